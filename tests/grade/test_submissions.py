"""Intake: every entry of an exported folder is a row, part of a row, or a line that names it."""

import os
import unicodedata
import zipfile

import pytest

from dlcourse.errors import UsageError
from dlcourse.grade import submissions
from dlcourse.grade.submissions import Submission, find_submissions

from support import exports, tiny

ANSWER = exports.ANSWER


@pytest.fixture
def lab(tmp_path):
    return tiny.make_course(tmp_path / "course")


@pytest.fixture
def intake(lab, tmp_path):
    return lambda case: find_submissions(exports.make(tmp_path, case), lab)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "submissions"
    made.mkdir()
    return made


def test_canvas_gives_a_row_for_every_student_whatever_the_file_ends_with(intake):
    found = intake("canvas_endings")
    rows = {one.student: (one.id, bool(one.source), one.late) for one in found.submissions}
    assert rows == {
        "a": ("10001", True, False), "b": ("10002", True, False), "c": ("10003", True, False),
        "d": ("10004", True, False), "e": ("10005", False, False), "f": ("10006", True, False),
        "g_h": ("10007", True, True), "i": ("10008", False, False),
    }  # fmt: skip
    assert found.lines() == [
        "d: lab90_sums.py.txt is read as lab90_sums.py",
        "e: not graded: no Python file in it; expected lab90_sums.py, .ipynb or .zip; "
        "it holds work.tar.gz",
        "i: not graded: no Python file in it; expected lab90_sums.py, .ipynb or .zip; "
        "it holds text.html",
    ]


@pytest.mark.parametrize(
    ("case", "line"),
    [
        ("canvas_two_files",
         "a: only a_10001_1000_lab90_sums.py is graded; not read: test_lab90_sums.py"),
        ("canvas_two_attempts", "a: only a_10001_1001_lab90_sums-1.py is graded; "
         "not read: lab90_sums.py (an older attempt)"),
    ],
)  # fmt: skip
def test_canvas_takes_the_exact_name_first_then_the_newest_attempt(intake, case, line):
    found = intake(case)
    assert [(one.student, one.source) for one in found.submissions] == [("a", ANSWER)]
    assert found.lines() == [line]


def test_canvas_names_anonymous_students_by_their_number(intake):
    found = intake("canvas_anonymous").submissions
    assert [(one.student, one.id, one.late) for one in found] == [
        ("anon_Qw8rt", "Qw8rt", True), ("anon_k3XyZ", "k3XyZ", False)
    ]  # fmt: skip


def test_moodle_joins_the_folders_of_one_participant(intake):
    found = intake("moodle")
    assert {one.student: (one.id, one.source) for one in found.submissions} == {
        "Jörg Ü": ("10002", b""),
        "Participant 10003": ("10003", ANSWER),
        "Student A (10001)": ("10001", ANSWER),
        "Student A (10004)": ("10004", ANSWER),
    }
    assert found.lines() == [
        "Jörg Ü: not graded: no Python file in it; expected lab90_sums.py, .ipynb or .zip; "
        "it holds onlinetext.html",
        "Student A (10001): only lab90_sums.py is graded; not read: onlinetext.html",
    ]


def test_gradescope_gives_a_row_for_each_of_a_group_with_id_and_mail(intake):
    found = intake("gradescope")
    assert {one.student: (one.id, one.email, one.group) for one in found.submissions} == {
        "Student A": ("0010001", "a@example.org", "submission_3001"),
        "Jörg Ü": ("0010002", "b@example.org", "submission_3001"),
        "submission_3002": ("3002", "", ""),
        "Student C": ("Student C", "c@x.org", ""),
    }
    assert found.lines() == [
        "Student C: not graded: submission_metadata.yml lists submission_3003, but the folder "
        "holds no submission_3003",
    ]


def test_blackboard_takes_the_newest_attempt_of_each_login(intake):
    found = intake("blackboard")
    assert {one.student: (one.login, one.source) for one in found.submissions} == {
        "Student A": ("a_b", ANSWER), "Student C": ("c_b", b""),
    }  # fmt: skip
    assert found.lines() == [
        "Student A: only Lab05_a_b_attempt_2026-03-02-10-00-00_lab90_sums.py is graded; not read: "
        "lab90_sums.py (an older attempt)",
        "Student C: not graded: no Python file in it; expected lab90_sums.py, .ipynb or .zip; "
        "an older attempt holds lab90_sums.py",
    ]


def test_a_school_export_inside_one_folder_is_found(intake):
    found = intake("wrapped")
    assert [one.student for one in found.submissions] == ["a", "b"]
    assert found.lines() == ["__MACOSX: not read, a hidden or system file"]


def test_folders_of_all_kinds_give_a_row_or_a_line(intake):
    found = intake("folders")
    assert {one.student: bool(one.source) for one in found.submissions} == {
        "ada": True, "bob": True, "cyd": False, "dan": False, "eve": True, "Eve": True,
        "fay": False, "gus": False, "hal": True, "ida": True,
    }  # fmt: skip
    assert found.lines() == [
        ".DS_Store: not read, a hidden or system file",
        "notes.txt: not read; expected a folder, .zip, .py or .ipynb for each student",
        "'Eve', 'eve': these names differ only in case or encoding; each is graded as a student",
        "ada: only lab90_sums.py is graded; not read: work/utils.py, .venv/, __pycache__/, env/",
        "bob: mine.py is read as lab90_sums.py",
        "cyd: not graded: 2 files could be lab90_sums.py: one.py, two.py",
        "dan: not graded: no Python file in it; expected lab90_sums.py, .ipynb or .zip; "
        "it holds report.pdf",
        "fay: not graded: no Python file in it; expected lab90_sums.py, .ipynb or .zip; "
        "it holds fay.rar",
        "gus: not graded: gus.zip: a zip that holds 'lab90_sums.py' twice",
        "hal: only lab90_sums.py is graded; not read: broken.zip: File is not a zip file",
        "ida: x.py is read as lab90_sums.py",
    ]


def test_what_is_no_plain_source_says_what_it_is(intake):
    found = {one.student: one for one in intake("contents").submissions}
    assert {name: one.problem for name, one in found.items() if one.problem} == {
        "utf16": "utf16.py is UTF-16; save it as UTF-8",
        "utf16le": "utf16le.py is UTF-16; save it as UTF-8",
        "latin1": "latin1.py is not UTF-8 (byte 0xf6 in line 1); save it as UTF-8",
        "nul": "nul.py holds NUL bytes (line 3); it is damaged or not a text file",
        "empty": "empty.py is empty",
        "nothing": "nothing.ipynb is a notebook without code cells",
        "cell": "cell.ipynb: cell 3 does not parse, line 1: invalid syntax",
        "torn": "torn.ipynb is not a notebook: its JSON is damaged at line 1; "
        "open it in Jupyter and save it again",
        "other": "other.ipynb is a notebook of the language R; expected Python",
    }
    assert found["declared"].source.endswith(ANSWER)
    assert found["marked"].source == ANSWER
    assert found["notebook"].source == b"# %% cell 2\nx = 1\n"
    assert found["magic"].source == b"# %% cell 2\npass\npass\nx = (5\n% 3)\n"


def test_names_that_differ_in_unicode_only_are_named(lab, folder):
    for form in ("NFC", "NFD"):
        exports.put(folder, {f"{unicodedata.normalize(form, 'Jörg')}.py": ANSWER})
    found = find_submissions(folder, lab)
    assert len(found.submissions) == 2
    assert found.lines() == [
        "'Jo\\u0308rg', 'J\\xf6rg': these names differ only in case or encoding; "
        "each is graded as a student"
    ]


def damage(path):
    """Change a byte of what is compressed, while the checksum stays."""
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)


def test_submission_that_cannot_be_read_has_a_problem(lab, folder):
    exports.put(
        folder,
        {
            "climbs.zip": exports.zipped({"../lab90_sums.py": ""}),
            "bomb.zip": exports.zipped({"lab90_sums.py": "0" * 10**7}),
            "many.zip": exports.zipped({f"{n:0200}": "" for n in range(2001)}),
            "flipped.zip": exports.zipped({"lab90_sums.py": tiny.SOLUTION}),
            "torn.zip": b"PK\x03\x04",
        },
    )
    damage(folder / "flipped.zip")
    (folder / "linked.py").symlink_to(lab.solution)
    os.mkfifo(folder / "pipe.py")
    (folder / "none").mkdir()
    (folder / "link").mkdir()
    (folder / "link" / "lab90_sums.py").symlink_to(lab.solution)
    (folder / "link" / "deep").symlink_to(lab.solution.parent)
    found = {one.student: one.problem for one in find_submissions(folder, lab).submissions}
    assert found.pop("flipped").startswith("lab90_sums.py cannot be unpacked: ")
    assert found == {
        "climbs": "climbs.zip: a zip with the path '../lab90_sums.py'",
        "bomb": "lab90_sums.py is larger than 1,048,576 bytes",
        "many": "many.zip: a zip of more than 2000 files",
        "torn": "torn.zip: File is not a zip file",
        "linked": "linked.py is a link; links are not read",
        "pipe": "pipe.py is not a regular file",
        "none": "no Python file in it; expected lab90_sums.py, .ipynb or .zip",
        "link": "deep is a link; links are not read",
    }


def test_a_zip_that_lists_too_many_files_is_not_read_whole(lab, folder, monkeypatch):
    monkeypatch.setattr(submissions, "MAX_DIRECTORY", 10_000)
    exports.put(folder, {"many.zip": exports.zipped({f"{n:0200}": "" for n in range(100)})})
    (found,) = find_submissions(folder, lab).submissions
    assert found.problem == "many.zip: the zip lists too many files"


def test_of_a_zip_only_the_lab_is_read(lab, folder, monkeypatch):
    files = {f"{number}.py": "0" * 10**6 for number in range(50)}
    exports.put(folder, {"bulk.zip": exports.zipped({**files, "lab90_sums.py": "mine"})})
    read = []
    capped = submissions.capped

    def watched(file, name, limit):
        read.append(name)
        return capped(file, name, limit)

    monkeypatch.setattr(submissions, "capped", watched)
    assert [one.source for one in find_submissions(folder, lab).submissions] == [b"mine"]
    assert read == ["lab90_sums.py"]


def test_a_folder_without_submissions_is_refused_and_says_what_it_holds(lab, folder):
    exports.put(folder, {"notes.txt": ""})
    message = r"^no submission in .*; expected a folder, .zip, .* \(not read: notes.txt: not read; "
    with pytest.raises(UsageError, match=message):
        find_submissions(folder, lab)
    with pytest.raises(UsageError, match=r"^no folder .*; name the one that holds a folder"):
        find_submissions(folder / "none", lab)


def test_plain_names_for_files():
    assert Submission("ada.l", "1").slug == "ada.l"
    assert Submission("../x", "1").slug.startswith("x-")
    assert Submission("a b", "1").slug != Submission("a_b", "1").slug
    hashed = Submission("a b", "1").slug
    assert Submission(hashed, "1").slug != hashed  # a name that is another's folder


def test_zip_names_with_backslashes_are_folders(lab, folder):
    with zipfile.ZipFile(folder / "win.zip", "w") as archive:
        info = zipfile.ZipInfo("work")
        info.filename = "work\\lab90_sums.py"
        archive.writestr(info, "x = 1")
    (found,) = find_submissions(folder, lab).submissions
    assert found.source == b"x = 1"


EVIL = f"doejane_10001_501_Jane Roe_77_assignsubmission_file_{exports.LAB}.py"


def test_name_in_the_form_of_another_school_gives_nobody_elses_row(lab, tmp_path):
    others = {f"ada_10002_502_{exports.LAB}.py": exports.ANSWER}
    late = f"bob_10003_503_x_attempt_2026-03-01-10-00-00_{exports.LAB}.py"
    folder = exports.put(tmp_path / "class", {EVIL: exports.ANSWER, late: exports.ANSWER, **others})
    found = find_submissions(folder, lab).submissions
    assert {one.student: one.id for one in found} == {
        "ada": "10002", "bob": "10003", "doejane": "10001",
    }  # fmt: skip
    twice = f"Student A_10001_assignsubmission_file_x_77_assignsubmission_file_{exports.LAB}.py"
    moodle = {f"Student B_10002_assignsubmission_file_{exports.LAB}.py": exports.ANSWER}
    folder = exports.put(tmp_path / "moodle", {twice: exports.ANSWER, **moodle})
    assert [one.id for one in find_submissions(folder, lab).submissions] == ["10001", "10002"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([f"ada_1_2_{exports.LAB}.py", f"B_3_assignsubmission_file_{exports.LAB}.py"],
         r"exports of Moodle \(B_3_.*\) and of Canvas \(ada_1_2_.*\); grade each from"),
        ([EVIL], "could be an export of Moodle or of Canvas; put the file into a folder"),
        (["ada_7_1_x.py", "bob_7_2_y.py"], "ada_7_1_x.py and bob_7_2_y.py have the same ID, 7,"),
        (["7/x.py", "ada_7_2_y.py"], r"7 \(7/x.py\) and ada \(.*\) have the same ID, '7'; rename"),
    ],
)  # fmt: skip
def test_folder_that_would_mix_up_students_is_refused_by_both_names(lab, tmp_path, names, message):
    folder = exports.put(tmp_path / "class", dict.fromkeys(names, exports.ANSWER))
    with pytest.raises(UsageError, match=message):
        find_submissions(folder, lab)


def test_links_and_doubles_are_named(lab, tmp_path):
    folder = exports.put(tmp_path / "class", {"ada/x.py": exports.ANSWER})
    (folder / "bob").symlink_to(lab.root / "solutions", target_is_directory=True)
    (folder / "cyd").symlink_to(tmp_path / "nothing")
    (folder / "ada" / "more").symlink_to(lab.root, target_is_directory=True)
    doubles = [("work/x.py", "a"), ("work\\x.py", "b")]
    (folder / "dan.zip").write_bytes(exports.zipped(doubles))
    said = "\n".join(find_submissions(folder, lab).lines())
    for line in (
        "ada: only x.py is graded; not read: more is a link; links are not read",
        "bob: not graded: bob is a link; links are not read",
        "cyd: not graded: cyd is a link; links are not read",
        "dan: not graded: dan.zip: a zip that holds 'work/x.py' twice",
    ):
        assert line in said
