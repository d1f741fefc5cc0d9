"""A class with every oddity, in five layouts: a row for each student, and equal grades."""

import csv
import json
import re
import sys
from concurrent.futures import Executor, Future

import pytest

from dlcourse.errors import UsageError
from dlcourse.grade.batch import grade_folder

from support import classroom, importers, tiny

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the sandbox needs Linux"
)
COUNT = 24  # every oddity, and two groups


class Once(Executor):
    """Grades without the proof, and each file once: all layouts hold the same."""

    def __init__(self):
        self.settings, self.done = None, {}

    def submit(self, function, settings, job=None):
        from dlcourse.grade import work
        from dlcourse.grade.job import Proof

        from support.warm import Here

        self.settings = self.settings or settings
        future = Future()
        if function is work.prove:
            future.set_result(Proof({}, []))
        else:
            if job.source not in self.done:
                self.done[job.source] = Here().submit(work.grade_one, self.settings, job).result()
            future.set_result(self.done[job.source])
        return future


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The lab, the class, and the folder that the tests write to."""
    place = tmp_path_factory.mktemp("class")
    lab = tiny.make_course(place / "course")
    wrong = tiny.SOLUTION.replace("a + b", "a - b")
    stub = lab.student.read_text()
    return lab, classroom.students(COUNT, lab.name, tiny.SOLUTION, wrong, stub), place


@pytest.fixture(scope="module")
def graded(made):
    """{layout: the graded class}, each straight from the school's .zip."""
    lab, students, place = made
    executor, found = Once(), {}
    for layout in classroom.LAYOUTS:
        archive = classroom.as_zip(classroom.make(place, layout, students))
        found[layout] = grade_folder(archive, lab, place / f"out_{layout}", executor=executor)
    return found


def by_student(layout, students, graded):
    keys = {student.key(layout): student for student in students}
    return {keys[one.submission.id].number: one for one in graded}


@pytest.mark.parametrize("layout", classroom.LAYOUTS)
def test_every_student_has_a_row_and_none_is_lost(made, graded, layout):
    found = by_student(layout, made[1], graded[layout])
    assert sorted(found) == list(range(COUNT))
    assert len(graded[layout]) == COUNT
    with (made[2] / f"out_{layout}" / "details.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == COUNT
    slugs = {one.submission.slug for one in graded[layout]}
    assert {path.name for path in (made[2] / f"out_{layout}" / "students").iterdir()} == slugs
    assert len(slugs) == COUNT


def test_grades_are_equal_across_the_layouts(made, graded):
    expected = {
        n: one.record.score for n, one in by_student("folders", made[1], graded["folders"]).items()
    }
    for layout in classroom.LAYOUTS:
        found = by_student(layout, made[1], graded[layout])
        assert {number: one.record.score for number, one in found.items()} == expected, layout


def test_each_oddity_has_the_grade_that_it_deserves(made, graded):
    found = by_student("canvas", made[1], graded["canvas"])
    scores = {student.oddity: found[student.number].record.score for student in made[1]}
    nothing = {
        "stub", "other archive", "UTF-16", "helper beside", "exits", "does not parse", "empty",
        "torn zip",
    }  # fmt: skip
    assert {kind for kind, score in scores.items() if score == 0} == nothing
    assert 0 < scores["wrong"] < 6
    assert {kind for kind, score in scores.items() if score == 6} == {*scores} - nothing - {"wrong"}
    said = {student.oddity: found[student.number].remarks for student in made[1]}
    assert all(said[kind] for kind in nothing - {"stub"})


def test_grades_return_to_canvas_and_moodle(made, graded):
    lab, students, place = made
    known = {10_000 + s.number: ("", "", s.name) for s in students}
    text = (place / "out_canvas" / "canvas.csv").read_text("utf-8")
    grades, _, _ = importers.canvas(text, {1: lab.name}, known)
    found = by_student("canvas", students, graded["canvas"])
    assert {who - 10_000: float(cells[1]) for who, cells in grades.items()} == {
        number: one.score for number, one in found.items()
    }
    assert not (place / "out_canvas_anonymous" / "canvas.csv").exists()
    data = (place / "out_moodle" / "moodle_feedback.zip").read_bytes()
    numbers = {student.key("moodle") for student in students}
    assert importers.moodle_zip(data, numbers) == {n: ["feedback.html"] for n in numbers}


def test_pages_need_no_more_width_than_a_phone_has(made, graded):
    out = made[2] / "out_folders"
    student = graded["folders"][0].submission.slug
    for path in (out / "report.html", out / "students" / student / "feedback.html"):
        text = path.read_text("utf-8")
        assert 'content="width=device-width, initial-scale=1"' in text
        style, body = text.split("</style>")
        # On a phone a row is a block of lines, each with its column's name.
        assert "@media (max-width: 40rem)" in style
        assert body.count("<table") == body.count('<table class="rows">') > 0
        assert body.count("<td") == body.count("<td data-head=")
        assert re.search(r"\btd { overflow-wrap: anywhere", style)
        # A figure that was tapped is larger, and moves inside its own box.
        style, tapped = re.subn(r"figure\.drawn:focus img {[^}]*}", "", style)
        assert not tapped or re.search(r"\nfigure {[^}]*overflow-x: auto", style)
        least = re.findall(r"(?<!max-)\bwidth: *([\d.]+)(px|rem)", style + body)
        assert all(float(n) * (16 if unit == "rem" else 1) < 390 for n, unit in least)


def test_lists_change_the_reports_without_grading_again(made, graded, capsys):
    lab, students, place = made
    sheet = ["Identifier,Full name,Grade,Maximum Grade,Last modified (grade),Feedback comments"]
    sheet += [f'Participant {s.key("moodle")},"{s.name}",,6.00,-,' for s in students]
    sheet += ["Participant 999,Zoe Z,,6.00,-,"]
    (place / "Grades.csv").write_text("\n".join(sheet) + "\n", encoding="utf-8")
    (place / "hand.csv").write_text(f"student,task,points,note\n{students[2].name},90.2,2,oral\n")
    again = {"lab": lab, "out": place / "out_moodle", "executor": None}  # nothing is left to grade
    folder = place / "moodle"
    lists = {"roster": place / "Grades.csv", "worksheet": place / "Grades.csv"}
    adjusted = grade_folder(folder, **again, **lists, adjust=place / "hand.csv")
    assert "handed in nothing: 1 of 25: Zoe Z" in capsys.readouterr().err
    stub = by_student("moodle", students, adjusted)[2]
    assert (stub.score, stub.remarks[-1]) == (2.0, "task 90.2: 2 points by hand, not 0: oral")
    results = json.loads(
        (place / "out_moodle" / "students" / stub.submission.slug / "results.json").read_text()
    )
    assert results["score"] == 2.0
    assert "\ntask 90.2: 2 points by hand, not 0: oral\n" in results["output"]
    stored = importers.moodle(
        (place / "out_moodle" / "moodle.csv").read_text("utf-8"), {"502", "503", "999"}, 6.0
    )
    assert [grade for grade, _ in stored.values()] == [2.0, 6.0, None]
    for name in ("report.html", "details.csv"):
        assert "Zoe Z" in (place / "out_moodle" / name).read_text("utf-8")
    # The points by hand stay when the class is graded again.
    kept = by_student("moodle", students, grade_folder(folder, **again))
    assert kept[2].score == 2.0
    assert "1 points by hand stay in force" in capsys.readouterr().err
    (place / "none.csv").write_text("student,task,points,note\n")
    fresh = grade_folder(folder, **again, adjust=place / "none.csv")
    assert by_student("moodle", students, fresh)[2].score == 0.0


def test_a_wrong_list_stops_before_anything_is_graded(made, graded):
    lab, _, place = made
    out = place / "new"
    with pytest.raises(UsageError, match="Canvas imports no grades of anonymous submissions"):
        grade_folder(place / "canvas_anonymous", lab, out, column="Lab (1)")
    with pytest.raises(UsageError, match=r"cannot read .*none\.csv"):
        grade_folder(place / "canvas", lab, out, roster=place / "x" / "none.csv")
    assert not out.exists()
