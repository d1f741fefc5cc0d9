"""Claimed folders and journals keep what was there when something fails."""

import json

import pytest
from filelock import FileLock

from dlcourse.errors import UsageError
from dlcourse.work_folder import Journal, claimed_folder


def another_lab(there):
    return None if there["lab"] == "lab05" else f"holds the grades of {there['lab']}"


def test_a_claimed_folder_says_what_it_holds_and_can_be_claimed_again(tmp_path):
    folder = tmp_path / "out"
    for _ in range(2):
        with claimed_folder(folder, "batch.json", {"lab": "lab05"}, refuse=another_lab):
            assert json.loads((folder / "batch.json").read_text()) == {"lab": "lab05"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", "mine", "holds other files; name an empty or a new folder"),
        ("batch.json", '{"lab": "lab04"}', "holds the grades of lab04; name another folder"),
        ("batch.json", "{", "is damaged: batch.json cannot be read; name another folder"),
        ("batch.json", "[]", "is damaged: batch.json cannot be read; name another folder"),
    ],
)
def test_a_folder_that_holds_something_else_is_refused_and_kept(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with (
        pytest.raises(UsageError) as caught,
        claimed_folder(tmp_path, "batch.json", {"lab": "lab05"}, refuse=another_lab, label="--out"),
    ):
        pytest.fail("the folder was claimed")
    assert str(caught.value) == f"--out {str(tmp_path)!r} {message}"
    assert (tmp_path / name).read_text() == content


def test_a_folder_has_one_writer_at_a_time(tmp_path):
    with claimed_folder(tmp_path), pytest.raises(UsageError, match="another batch writes into"):
        claimed_folder(tmp_path, work="batch").__enter__()
    with FileLock(tmp_path / ".lock", timeout=0):  # released when the block ended
        pass


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="cannot write into folder"):
        claimed_folder(tmp_path / "out").__enter__()


def test_a_journal_goes_on_after_its_last_whole_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    first = Journal(path)
    first.add("a", [1])
    first.add("b", [2])
    first.close()
    whole = path.read_bytes()
    path.write_bytes(b"not JSON\n" + whole[:-3])
    second = Journal(path)
    assert second.records == {"a": [1]}
    second.add("c", [3])
    second.close()
    third = Journal(path)
    third.close()
    assert third.records == {"a": [1], "c": [3]}
