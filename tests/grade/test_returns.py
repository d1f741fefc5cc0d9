"""What goes back to Canvas, Moodle and Gradescope, field by field against the schools' rules."""

import ast
import csv
import io
import json
from dataclasses import replace

import pytest

from dlcourse.check.record import Record, TestRecord
from dlcourse.errors import UsageError
from dlcourse.grade import returns
from dlcourse.grade.reports import Class, gradescope, write_reports
from dlcourse.grade.submissions import Graded, Submission

from support import importers, tiny

COLUMN = "Lab 5, part (a) (1234)"


def record(first=2.0, second=1.5, outcome="passed"):
    return Record(
        "lab90",
        [
            TestRecord("90.10", "test_total", second, 3.0, "partial", hint="start from 0"),
            TestRecord("90.2", "test_add", first, 2.0, outcome),
            TestRecord("90.2", "test_more", 0.0, 1.0, "wrong answer", "expected 2", hidden=True),
        ],
        0.25,
    )


def graded(student, made=None, score=None, **more):
    made = made or record()
    return Graded(student, made, score=made.score if score is None else score, **more)


ADA = Submission("ada", "10001", name="ada", school="canvas", canvas_id="10001")
BOB = Submission("Bob Ö", "s2", name="Bob Ö", school="gradescope", sis_id="0007", email="b@x.org")
CYD = Submission("cyd1", "cyd1", name="cyd1")
STUDENTS = {
    10001: ("0001", "ada1", "Ada A"), 10002: ("0007", "bob", "Bob Ö"), 10003: ("9", "cyd1", "C D"),
    7: ("10001", "x", "X Y"),
}  # fmt: skip


def test_canvas_finds_every_student_and_makes_no_new_assignment():
    text = returns.canvas_csv([graded(ADA), graded(BOB, score=1 / 3), graded(CYD)], COLUMN)
    grades, possible, new = importers.canvas(text, {1234: "Lab 5, part (a)"}, STUDENTS)
    assert grades == {
        10001: {1234: "3.5"}, 10002: {1234: "0.333333"}, 10003: {1234: "3.5"},
    }  # fmt: skip
    assert possible == {1234: 6.0}
    assert new == []


def test_canvas_would_make_an_assignment_of_any_other_column():
    text = "Student,ID,SIS User ID,SIS Login ID,Section,Lab (1),raw score\r\nada,10001,,,,3,2\r\n"
    assert importers.canvas(text, {1: "Lab"}, STUDENTS)[2] == ["raw score"]


def test_a_grade_that_is_not_known_is_left_alone():
    lost, one_task = record(outcome="could not check"), record(outcome="could not check")
    lost.tests.reverse()  # a test of the same task that failed comes first
    one_task.tests.append(TestRecord("90.2", "by hand", 0.5, 0.0, "by hand"))
    answers = record(outcome="could not check")
    answers.tests.append(TestRecord("answers", "by hand", 0.5, 0.0, "by hand"))
    kinds = {ADA: (lost, {}), BOB: (one_task, {}), CYD: (lost, {"is_set": True})}
    text = returns.canvas_csv([graded(one, made, **kw) for one, (made, kw) in kinds.items()], "Lab")
    grades, _, _ = importers.canvas(text, {1: "Lab"}, STUDENTS)
    assert [cells[1] for cells in grades.values()] == ["", "4", "3.5"]
    assert not graded(ADA, answers).is_known


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("", "--column must be the assignment's column in Canvas's gradebook, such as"),
        ("ID", "got 'ID'"),
        ("Lab Final Score (5)", "Canvas does not import a column with 'Final Score' in its name"),
    ],
)
def test_a_column_that_canvas_would_not_read_is_refused(column, message):
    with pytest.raises(UsageError) as caught:
        returns.check_column(column, [ADA])
    assert message in str(caught.value)
    returns.check_column(COLUMN, [ADA])


def test_anonymous_submissions_give_no_file_for_canvas(tmp_path):
    nobody = replace(ADA, school="canvas anonymous", id="9k", canvas_id="")
    assert returns.canvas_csv([graded(nobody)], "Lab") is None
    with pytest.raises(UsageError, match="Canvas imports no grades of anonymous submissions"):
        returns.check_column("Lab (1)", [nobody])
    lab = tiny.make_course(tmp_path / "course")
    said = write_reports(Class([graded(nobody)]), lab, tmp_path / "out")
    assert said == ["canvas.csv: not written, Canvas imports no grades of anonymous submissions"]
    assert not (tmp_path / "out" / "canvas.csv").exists()


def test_reports_read_the_lab_once_and_not_for_each_student(tmp_path, monkeypatch):
    lab, parsed = tiny.make_course(tmp_path / "course"), []
    parse = ast.parse
    monkeypatch.setattr(ast, "parse", lambda *args, **kw: parsed.append(args) or parse(*args, **kw))
    counts = []
    for at, students in enumerate(([ADA], [ADA, BOB, CYD])):
        write_reports(Class([graded(one) for one in students]), lab, tmp_path / f"out{at}")
        counts.append(len(parsed))
        parsed.clear()
    assert counts[0] == counts[1] > 0


HEAD = (
    "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
    "Last modified (submission),Last modified (grade),Feedback comments"
)
DAY = '"Monday, 2 March 2026, 10:00 AM"'
EVE = Submission("Eve E", "101", name="Eve E", school="moodle")
FAY = Submission("Fay_F", "102", name="Fay_F", school="moodle")


def worksheet(tmp_path, *rows, head=HEAD, most="6.00", encoding="utf-8-sig"):
    path = tmp_path / "Grades.csv"
    lines = [head, *(row.format(most=most, day=DAY) for row in rows)]
    path.write_bytes("\r\n".join([*lines, ""]).encode(encoding))
    return path


ROWS = (
    'Participant 101,Eve E,e@x.org,"Submitted for grading - ",,"{most}",Yes,{day},-,',
    'Participant 102,Fay_F,f@x.org,"Submitted for grading - ",2.00,"{most}",No,{day},{day},old',
    'Participant 103,Gus G,g@x.org,No submission,,"{most}",Yes,-,-,',
)


def test_moodle_takes_the_filled_worksheet_back(tmp_path):
    sheet = returns.read_worksheet(worksheet(tmp_path, *ROWS), [EVE, FAY])
    text, said = returns.worksheet_csv(sheet, [graded(EVE), graded(FAY, days_late=2.0, score=2.8)])
    stored = importers.moodle(text, {"101", "102", "103"}, most=6.0)
    assert {number: grade for number, (grade, _) in stored.items()} == {
        "101": 3.5, "102": 2.8, "103": None,
    }  # fmt: skip
    assert stored["102"][1] == (
        "90.2: 2 of 3 points, partial<br>90.10: 1.5 of 3 points, partial<br>2 days late"
    )
    assert said == ["Fay_F: Grades.csv says that the grade cannot be changed"]
    before = list(csv.reader(io.StringIO(worksheet(tmp_path, *ROWS).read_text("utf-8-sig"))))
    after = list(csv.reader(io.StringIO(text)))
    changed = {4, 9}  # Grade and Feedback comments
    for old, new in zip(before, after, strict=True):
        assert [cell for at, cell in enumerate(old) if at not in changed] == [
            cell for at, cell in enumerate(new) if at not in changed
        ]
    assert after[3] == before[3]


def test_points_are_scaled_to_moodles_maximum_and_it_is_said(tmp_path):
    sheet = returns.read_worksheet(worksheet(tmp_path, *ROWS, most="100,00"), [EVE, FAY])
    text, said = returns.worksheet_csv(sheet, [graded(EVE), graded(FAY, score=6.5)])
    cells = [row[4] for row in csv.reader(io.StringIO(text))]
    assert cells == ["Grade", "58,33", "108,33", ""]
    assert said == [
        "Fay_F: Grades.csv says that the grade cannot be changed",
        "Grades.csv: points are scaled from 6 to 100",
        "Fay_F: 108.33 is above Moodle's maximum 100; Moodle leaves this grade out",
    ]


def test_the_worksheet_of_other_layouts_is_matched_by_address_or_name(tmp_path):
    mail = Submission("someone", "3", name="someone", email="E@x.org", school="gradescope")
    name = Submission("gus g", "gus g", name="gus g")
    stranger = Submission("zoe", "zoe", name="zoe")
    sheet = returns.read_worksheet(worksheet(tmp_path, *ROWS), [mail, name, stranger])
    assert sheet.rows == {mail: 0, name: 2}
    assert sheet.remarks == ["zoe: not in Grades.csv"]


def test_namesakes_never_get_one_row_of_the_worksheet(tmp_path):
    gus = Submission("gus", "gus", name="Gus G")
    namesakes = [Submission(f"Eve E ({n})", n, name="Eve E", school="canvas") for n in "12"]
    sheet = returns.read_worksheet(worksheet(tmp_path, *ROWS), [gus, *namesakes])
    assert sheet.rows == {gus: 2}
    reason = "not the only one of this name in Grades.csv or here; enter the grade by hand"
    assert sheet.remarks == [f"Eve E (1): {reason}", f"Eve E (2): {reason}"]


@pytest.mark.parametrize(
    ("head", "students", "message"),
    [
        (HEAD.replace("Grade,Max", "Bewertung,Max"), [EVE],
         "without grade; expected Moodle's grading worksheet: set Moodle's language to English"),
        (HEAD, [replace(EVE, id="10")], "has no row for any of the 1 submissions; download the"),
    ],
)  # fmt: skip
def test_a_worksheet_that_moodle_would_not_take_back_is_refused(tmp_path, head, students, message):
    with pytest.raises(UsageError) as caught:
        returns.read_worksheet(worksheet(tmp_path, *ROWS, head=head), students)
    assert message in str(caught.value)


def test_moodle_takes_the_feedback_files_of_every_participant():
    pages = {EVE: "<p>eve", FAY: "<p>fay", CYD: "<p>cyd"}
    data = returns.feedback_zip([graded(one) for one in pages], pages)
    stored = importers.moodle_zip(data, {"101", "102"})
    assert stored == {"101": ["feedback.html"], "102": ["feedback.html"]}
    assert returns.feedback_zip([graded(CYD)], pages) is None


def test_gradescope_shows_the_tasks_in_order_and_a_line_on_hidden_points():
    shown = json.loads(json.dumps(gradescope(graded(BOB, score=3.0))))
    # https://gradescope-autograders.readthedocs.io/en/latest/specs/
    known = {
        "score": float, "execution_time": float, "output": str, "tests": list, "extra_data": dict,
        "max_score": float,
    }  # fmt: skip
    assert {name: type(value) for name, value in shown.items()} == known
    assert shown["score"] == 3.0
    assert [test["number"] for test in shown["tests"]] == ["90.2", "90.2", "90.10"]
    test_fields = {
        "score": (float,), "max_score": (float,), "status": (str,), "name": (str,),
        "number": (str,), "output": (str,), "visibility": (str,), "extra_data": (dict,),
    }  # fmt: skip
    for test in shown["tests"]:
        assert set(test) == set(test_fields)
        assert all(type(test[field]) in kinds for field, kinds in test_fields.items())
        assert test["status"] in ("passed", "failed")
        assert test["visibility"] == "visible"  # hidden ones show their outcome
    assert shown["output"] == (
        "1 of the 6 points are for hidden tests, which try other inputs and show only their "
        "outcome."
    )
    assert "expected 2" not in json.dumps(shown)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        (" @x", " '@x"),
        ("a;=1", "a;'=1"),
        ("a\t=1", "a =1"),
        ("a\n+1", "a +1"),
        ("a, -1", "a, '-1"),
        ('"x";=1', '"x";\'=1'),
        ("\uff1d1", "'\uff1d1"),
        ("a|\uff0b1", "a|'\uff0b1"),
        ("Anna-Lena M\u00fcller, Dr.", "Anna-Lena M\u00fcller, Dr."),
    ],
)
def test_no_cell_begins_a_formula_in_any_country(text, cell):
    assert returns.plain_cell(text) == cell
