"""Atomic writes keep what was there when something fails."""

import pytest

from dlcourse.files import atomic_path, write_text


def fail_after_writing(path):
    path.write_text("half")
    raise ZeroDivisionError


def test_a_write_that_fails_keeps_the_old_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "new folder" / "grades.csv"
    write_text(path, "one\r\n")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as part:
        fail_after_writing(part)
    assert path.read_bytes() == b"one\r\n"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("sync", [False, True])
def test_a_write_that_succeeds_replaces_the_file(tmp_path, sync):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"old")
    with atomic_path(path, sync=sync) as part:
        part.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
