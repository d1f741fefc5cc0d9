"""The class list: whom a submission is from, and who handed in nothing."""

import pytest

from dlcourse.errors import UsageError
from dlcourse.grade.roster import Student, join, read_roster
from dlcourse.grade.submissions import Submission

CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Lab 1 (77),Final Score\r\n"
    "    Points Possible,,,,,10,(read only)\r\n"
    '"Doe, Jane",10001,0001,jdoe,A,9,90\r\n"Ü, Jörg",10002,10001,joerg,B,,\r\n'
    '"Student, Test",999,,test,A,,\r\n'
)
MOODLE = (
    "Identifier,Full name,Email address,Status,Grade,Last modified (grade)\r\n"
    "Participant 101,Jane Doe,jane@x.org,,,-\r\nParticipant 102,Jörg Ü,joerg@x.org,,,-\r\n"
)
GRADESCOPE = "First Name,Last Name,SID,Email,Sections\r\nJane,Doe,0001,jane@x.org,A\r\n"


@pytest.fixture
def roster(tmp_path):
    def write(text):
        path = tmp_path / "class.csv"
        path.write_text(text, encoding="utf-8", newline="")
        return read_roster(path)

    return write


def test_the_lists_that_schools_export_are_read(roster):
    canvas = roster(CANVAS)
    assert canvas.students[0] == Student("Jane Doe", "10001", "10001", "0001", "jdoe", section="A")
    assert [one.name for one in canvas.students] == ["Jane Doe", "Jörg Ü"]
    assert canvas.unread == ["Lab 1 (77)", "Final Score"]
    assert roster(MOODLE).students[1] == Student("Jörg Ü", "102", email="joerg@x.org")
    assert roster(GRADESCOPE).students == [
        Student("Jane Doe", sis_id="0001", email="jane@x.org", section="A")
    ]
    assert roster("student;id\nJane Doe;7\n").students == [Student("Jane Doe", "7")]
    # An id that ends in digits, as many logins do, is no "Participant 101".
    assert roster("student,id\nJane Doe,jd1234\n").students == [Student("Jane Doe", "jd1234")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grade,note\n1,x\n", "its first row is 'grade,note'; expected some of the columns stud"),
        ("student,id\n", "lists no students"),
        ("student,id\nada\n", "row 2: expected 2 cells, got 1"),
    ],
)
def test_a_list_that_names_no_students_is_refused(roster, text, message):
    with pytest.raises(UsageError) as caught:
        roster(text)
    assert message in str(caught.value)


def canvas(name, number):
    return Submission(name, number, name=name, school="canvas", canvas_id=number)


def test_a_submission_gets_the_names_and_numbers_of_its_student(roster):
    joined = join([canvas("doejane", "10001")], roster(CANVAS))
    (one,) = joined.submissions
    assert (one.student, one.id, one.sis_id, one.login, one.section) == (
        "Jane Doe", "10001", "0001", "jdoe", "A",
    )  # fmt: skip
    assert [missing.name for missing in joined.nothing] == ["Jörg Ü"]
    assert joined.lines == [
        "columns of the roster that are not read: Lab 1 (77), Final Score",
        "handed in nothing: 1 of 2: Jörg Ü",
    ]


def test_a_canvas_number_is_not_taken_for_another_students_register_number(roster):
    # 10001 is Jane's number in Canvas and Jörg's in the register.
    (one,) = join([canvas("x", "10001")], roster(CANVAS)).submissions
    assert one.student == "Jane Doe"
    (two,) = join(
        [Submission("x", "10001", name="x", school="gradescope", sis_id="10001")], roster(CANVAS)
    ).submissions
    assert (two.student, two.canvas_id) == ("Jörg Ü", "10002")


@pytest.mark.parametrize("name", ["JDOE", "doe jane", "Jane  DOE", "doejane", "0001", "10001"])
def test_a_folder_is_matched_by_number_login_or_name(roster, name):
    text = CANVAS.replace("10002,10001", "10002,0002")
    (one,) = join([Submission(name, name, name=name)], roster(text)).submissions
    assert (one.student, one.canvas_id) == ("Jane Doe", "10001")


def test_who_is_not_on_the_roster_is_kept_and_said(roster):
    namesakes = roster("student,id\nBen B,1\nBen B,2\n")
    stranger, ben = Submission("zoe", "zoe", name="zoe"), Submission("Ben B", "Ben B", name="Ben B")
    joined = join([stranger, ben], namesakes)
    assert [one.notes for one in joined.submissions] == [
        ("not on the roster",), ("could be Ben B (1) or Ben B (2) on the roster",),
    ]  # fmt: skip
    # One of them did hand in.
    assert joined.nothing == []
    assert joined.lines == ["not known whether they handed in: Ben B (1), Ben B (2)"]


def test_a_student_with_a_row_in_each_section_is_one_student(roster):
    text = "student,email,section\nAda A,a@x.org,1\nBen B,,1\nBen B,,1\nAda A,a@x.org,2\n"
    ada, *bens = roster(text).students
    assert ada == Student("Ada A", email="a@x.org", section="1, 2")
    assert [ben.name for ben in bens] == ["Ben B", "Ben B"]  # two may have one name
    joined = join([Submission("Ada A", "Ada A", name="Ada A")], roster(text))
    assert (joined.submissions[0].email, joined.submissions[0].section) == ("a@x.org", "1, 2")
    assert joined.nothing == bens


def test_two_submissions_of_one_student_are_refused(roster):
    two = [Submission(name, name, name=name) for name in ("jdoe", "Jane Doe")]
    message = "'jdoe' and 'Jane Doe' are both Jane Doe on the roster; leave only one of them"
    with pytest.raises(UsageError, match=message):
        join(two, roster(CANVAS))


def test_anonymous_submissions_have_no_roster(roster):
    nobody = Submission("anon_x", "x", school="canvas anonymous")
    with pytest.raises(UsageError, match="no roster can say whose they are; leave out --roster"):
        join([nobody], roster(CANVAS))
