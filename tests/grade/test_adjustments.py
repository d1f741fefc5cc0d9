"""Points by hand: which rows are refused, and what they do to a record."""

import pytest

from dlcourse.check.record import Record, TestRecord
from dlcourse.errors import UsageError
from dlcourse.grade.adjustments import Adjustments, adjusted, read_adjustments
from dlcourse.grade.submissions import Submission

from support import tiny

ADA, BOB = Submission("ada", "1", name="ada"), Submission("bob", "2", name="bob")
HEAD = "student,task,points,note\n"


@pytest.fixture
def read(tmp_path):
    lab = tiny.make_course(tmp_path / "course")

    def write(text):
        path = tmp_path / "adjust.csv"
        path.write_text(text)
        return read_adjustments(path, [ADA, BOB], lab)

    return write


def record():
    return Record(
        "lab90",
        [TestRecord("90.1", "test_add", 0.5, 2.0, "partial"),
         TestRecord("90.2", "test_total", 3.0, 3.0, "passed")],
        0.1,
    )  # fmt: skip


def test_points_replace_those_of_a_task_and_are_added_for_answers(read):
    found = read("student,task,points,note,out_of\nada,90.1,2,misread,\nada,answers,1.5,good,4\n")
    ada, lines = adjusted(record(), ADA, found)
    assert (ada.score, ada.max_score) == (6.5, 9.0)
    assert [(v.task, v.score, v.outcome) for v in ada.verdicts()] == [
        ("90.1", 2.0, "by hand"), ("90.2", 3.0, "passed"), ("answers", 1.5, "by hand"),
    ]  # fmt: skip
    assert lines == [
        "task 90.1: 2 points by hand, not 0.5: misread", "1.5 points for written answers: good",
    ]  # fmt: skip
    bob, lines = adjusted(record(), BOB, found)
    assert (bob.score, bob.max_score, lines) == (3.5, 9.0, [])


def test_a_task_may_lose_points_by_hand(read):
    ada, _ = adjusted(record(), ADA, read(f"{HEAD}ada,90.2,1,copied\n"))
    assert (ada.score, ada.max_score) == (1.5, 5.0)


def test_the_total_may_be_set(read):
    found = read(f"{HEAD}ada,Total,4,\n")
    assert (found.total(ADA), found.total(BOB)) == (4.0, None)
    assert adjusted(record(), ADA, found)[1] == ["the total is set to 4 by hand"]


def test_no_list_changes_nothing():
    assert adjusted(record(), ADA, Adjustments()) == (record(), [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEAD}adda,90.1,1,\n", "row 2: no submission is from student 'adda'"),
        (f"{HEAD}ada,90.12,1,\n", "row 2: lab90 has no task '90.12'; expected one of 90.1,"),
        (f"{HEAD}ada,90.1,1,\n1,90.1,2,\n",
         "row 3: a second row for ada and 90.1; adjust.csv, row 2 is the first"),
        (f"{HEAD}ada,90.1,20,\n", "row 2: 90.1 has 2 points, got 20"),
        (f"{HEAD}ada,90.1,-1,\n", "points must be a number that is at least 0, got '-1'"),
        (f"{HEAD}ada,90.1,nan,\n", "got 'nan'"),
        (f"{HEAD}ada,90.1,,\n", "got ''"),
        ("student,task\nada,90.1\n", "expected columns student,task,points"),
        ("student,task,points,out_of\nada,90.1,1,2\n", "out_of belongs to answers, not to 90.1"),
        ("student,task,points,out_of\nada,answers,5,4\n", "answers has 4 points, got 5"),
        ("student,task,points,out_of\nada,answers,1,4\nbob,answers,1,5\n",
         "out_of must be the same in all rows, got 4 (adjust.csv, row 2) and 5 (adjust.csv, row 3"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_meant_is_named(read, text, message):
    with pytest.raises(UsageError) as caught:
        read(text)
    assert message in str(caught.value)
