"""Lists that an instructor gives: whom a row means, and which rows are refused."""

import unicodedata

import pytest

from dlcourse.errors import UsageError
from dlcourse.grade.lists import penalized, read_days_late
from dlcourse.grade.submissions import Submission

ADA = Submission("Student A", "10001", login="sa1", email="a@example.org", name="Student A")
JOERG = Submission("Jörg Ü", "10002", name="Jörg Ü")
CANVAS = Submission("doejane", "10003", name="doejane")
HEAD = "student,days_late\n"


@pytest.fixture
def read(tmp_path):
    def read(data, submissions=(ADA, JOERG, CANVAS)):
        path = tmp_path / "late.csv"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        days = read_days_late(path, submissions)
        return {one.id: number for one, number in days.items()}

    return read


@pytest.mark.parametrize(
    ("data", "days"),
    [
        (f"{HEAD}10001,1\n10002,2\n", {"10001": 1, "10002": 2}),
        (f"{HEAD}Student A ,1\n Jörg Ü,2\n", {"10001": 1, "10002": 2}),
        (f'{HEAD}"A, Student",1\n', {"10001": 1}),
        (f"{HEAD}sa1,1\n", {"10001": 1}),
        (f"{HEAD}A@Example.org,0\n", {"10001": 0}),
        (f'{HEAD}"Doe, Jane",1.5\n', {"10003": 1.5}),
        (unicodedata.normalize("NFD", f"{HEAD}Jörg Ü,2\n"), {"10002": 2}),
        (f"{HEAD}Jörg Ü,2\n".encode("cp1252"), {"10002": 2}),
        (f"{HEAD}Jörg Ü,2\n".encode("utf-16"), {"10002": 2}),
        (f"{HEAD}Jörg Ü,2\n".encode("utf-8-sig"), {"10002": 2}),
        ("student;days_late\r\nStudent A;1,5\r\n", {"10001": 1.5}),
        ("Days Late\tStudent\n1\tStudent A\n\n", {"10001": 1}),
        (HEAD, {}),
    ],
)
def test_late_list_is_read_as_schools_and_spreadsheets_write_it(read, data, days):
    assert read(data) == days


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (f"{HEAD}10001,1\nStudnet A,1\n",
         "late.csv, row 3: no submission is from student 'Studnet A'; the nearest is 'Student A'"),
        (f"{HEAD}Student A,3\n10001,0\n",
         "late.csv, row 3: a second row for Student A; late.csv, row 2 is the first"),
        (f"{HEAD}Student A,nan\n", "days_late must be a number that is at least 0, got 'nan'"),
        (f"{HEAD}Student A,inf\n", "got 'inf'"),
        (f"{HEAD}Student A,-3\n", "got '-3'"),
        (f"{HEAD}Student A,\n", "got ''"),
        (f"{HEAD}Student A,soon\n", "got 'soon'"),
        (f"{HEAD},1\n", "row 2: no submission is from student ''"),
        (f"{HEAD}Student A,1,2\n", "row 2: expected 2 cells, got 3"),
        ("", "late.csv is empty; expected columns student,days_late"),
        ("who,when\n", "its first row is 'who,when'; expected columns student,days_late"),
        ("student,days_late,note\n", "its first row is 'student,days_late,note'; expected columns"),
    ],
)  # fmt: skip
def test_row_of_a_late_list_that_cannot_be_meant_is_named(read, data, message):
    with pytest.raises(UsageError) as caught:
        read(data)
    assert message in str(caught.value)


def test_name_of_two_students_is_refused_with_their_ids(read):
    namesakes = [Submission(f"Ben ({n})", str(n), name="Ben") for n in (1, 2)]
    message = r"'Ben' could be Ben \(1\) \(id 1\), Ben \(2\) \(id 2\); write the id"
    with pytest.raises(UsageError, match=message):
        read(f"{HEAD}Ben,1\n", namesakes)
    assert read(f"{HEAD}2,1\n", namesakes) == {"2": 1}


def test_missing_list_is_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read .*no\.csv: No such file"):
        read_days_late(tmp_path / "no.csv", [ADA])


def test_late_penalty_takes_a_share_for_each_day_begun():
    assert penalized(10, 0) == 10
    assert penalized(10, 0.1, per_day=0.2) == 8
    assert penalized(10, 99) == 0
    with pytest.raises(UsageError, match="--per-day must be a fraction from 0 to 1, got nan"):
        penalized(10, 1, float("nan"))
