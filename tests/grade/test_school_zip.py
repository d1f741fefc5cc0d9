"""A school's .zip instead of a folder: the same submissions, and no file outside of its folder."""

import struct
import zipfile

import pytest

from dlcourse.errors import UsageError
from dlcourse.grade.school_zip import opened
from dlcourse.grade.submissions import find_submissions

from support import exports, tiny


@pytest.fixture
def lab(tmp_path):
    return tiny.make_course(tmp_path / "course")


@pytest.mark.parametrize("case", ["canvas_endings", "moodle", "gradescope", "folders"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_zip_gives_the_submissions_of_its_folder(lab, tmp_path, case, wrapped):
    folder = exports.make(tmp_path, case)
    school = case != "folders"
    with zipfile.ZipFile(tmp_path / "school.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            archive.write(path, f"export/{name}" if wrapped and school else name)
    expected = find_submissions(folder, lab)
    with opened(tmp_path / "school.zip") as copy:
        assert find_submissions(copy, lab) == expected
    assert not copy.exists()


def test_a_folder_is_used_as_it_is(tmp_path):
    with opened(tmp_path) as folder:
        assert folder == tmp_path


def test_names_in_utf8_without_the_flag_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("Jörg.py".encode().decode("cp437"), "x = 1")
    data = (tmp_path / "a.zip").read_bytes()
    mangled, plain = "Jörg.py".encode().decode("cp437").encode(), "Jörg.py".encode()
    assert mangled in data
    # zipfile sets the flag for such a name; write the bytes that a program without it writes.
    name_size = struct.pack("<H", len(plain))
    data = data.replace(mangled, plain)
    local = data.index(b"PK\x03\x04")
    central = data.index(b"PK\x01\x02")
    patched = bytearray(data)
    patched[local + 6 : local + 8] = patched[central + 8 : central + 10] = b"\0\0"
    patched[local + 26 : local + 28] = patched[central + 28 : central + 30] = name_size
    end = data.index(b"PK\x05\x06")
    patched[end + 12 : end + 20] = struct.pack("<II", end - central, central)
    (tmp_path / "a.zip").write_bytes(patched)
    with opened(tmp_path / "a.zip") as folder:
        assert [path.name for path in folder.iterdir()] == ["Jörg.py"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([("../x.py", "")], r"holds the path '\.\./x\.py'; unpack it by hand"),
        ([("/x.py", "")], "holds the path '/x.py'"),
        ([("a/x.py", ""), ("a/x.py", "")], "holds 'a/x.py' twice"),
    ],
)
def test_a_zip_that_would_lose_or_misplace_a_file_is_refused(tmp_path, files, message):
    (tmp_path / "bad.zip").write_bytes(exports.zipped(files))
    with pytest.raises(UsageError, match=message), opened(tmp_path / "bad.zip"):
        pass
    assert not (tmp_path / "x.py").exists()


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("link.py")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with (
        pytest.raises(UsageError, match=r"holds a link, 'link\.py'"),
        opened(tmp_path / "link.zip"),
    ):
        pass


def test_a_damaged_zip_is_one_line(tmp_path):
    (tmp_path / "torn.zip").write_bytes(b"PK\x03\x04")
    refused = pytest.raises(UsageError, match=r"cannot read .*torn\.zip: File is not a zip file")
    with refused, opened(tmp_path / "torn.zip"):
        pass
