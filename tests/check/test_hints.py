"""Hints unfold in steps, with each failing check and with each `dlcourse hint`."""

import json

import pytest

from dlcourse import course
from dlcourse.check import hints
from dlcourse.check.run import check as check_lab
from dlcourse.cli import main
from dlcourse.grade.student_version import generate

from support import tiny

SOLUTION = tiny.SOLUTION.replace(
    "    # Task 90.1 (2 points). Hint: one operator.\n",
    "    # Task 90.1 (2 points). Hint: one operator is\n    # enough. Hint: it is called +.\n",
).replace("# Task 90.3, continued.", "# Task 90.3, continued. Hint: call it.")
WRONG = SOLUTION.replace("return a + b", "return a - b")


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tiny.make_course(tmp_path, SOLUTION)


def checked(lab, text, capsys):
    """The hints that `dlcourse check` prints."""
    lab.student.write_text(text)
    main(["check", "lab90"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line.startswith("hint: ")]


def test_each_failing_check_of_a_task_shows_one_hint_more(lab, capsys):
    first, second = "hint: one operator is enough.", "hint: it is called +."
    assert checked(lab, WRONG, capsys) == []
    assert checked(lab, WRONG, capsys) == ["hint: add, not subtract"]
    assert checked(lab, WRONG, capsys) == ["hint: add, not subtract", first]
    assert checked(lab, WRONG, capsys) == ["hint: add, not subtract", first, second]
    assert checked(lab, SOLUTION, capsys) == []
    assert checked(lab, WRONG, capsys) == []  # from the start again


def test_task_that_is_not_written_does_not_use_up_hints(lab, capsys):
    assert checked(lab, generate(SOLUTION), capsys) == []
    assert checked(lab, generate(SOLUTION), capsys) == []
    assert checked(lab, WRONG, capsys) == []


def test_hint_command_gives_one_hint_more_each_time(lab, capsys):
    said = []
    for _ in range(3):
        assert main(["hint", "90.1"]) == 0
        said.append(capsys.readouterr().out.splitlines())
    first, second = "hint 1 of 2: one operator is enough.", "hint 2 of 2: it is called +."
    assert said[0] == ["task 90.1: add", first, "`dlcourse hint 90.1` again shows the next one"]
    assert said[1] == said[2] == ["task 90.1: add", first, second]


def test_hint_for_an_unknown_task_lists_the_tasks(lab, capsys):
    assert main(["hint", "90.7"]) == 2
    assert "(90.1, 90.2, 90.3)" in capsys.readouterr().err
    assert main(["hint", "90.2"]) == 0
    assert capsys.readouterr().out == "task 90.2: total\nthis task has no hints\n"


@pytest.mark.parametrize("kept", ["", "[]", '{"90.1": 3}', '{"90.1": {"failed": "x"}}'])
def test_damaged_memory_begins_again(lab, capsys, kept):
    path = lab.root / "results" / "hints.json"
    path.parent.mkdir()
    path.write_text(kept)
    assert checked(lab, WRONG, capsys) == []
    assert json.loads(path.read_text())["90.1"] == {"failed": 1, "asked": 0}


def test_where_nothing_can_be_remembered_the_tests_hint_is_shown_at_once(lab, capsys):
    (lab.root / "results").write_text("a file where the folder should be")
    assert checked(lab, WRONG, capsys) == ["hint: add, not subtract"]
    assert main(["hint", "90.1"]) == 0
    assert "hint 2 of 2" in capsys.readouterr().out


def test_student_version_leaves_the_line_to_replace_and_no_hint():
    text = generate(SOLUTION)
    assert "operator" not in text
    assert (
        "    # Task 90.1 (2 points). For a hint: dlcourse hint 90.1\n"
        '    raise NotImplementedError("task 90.1: add")\n'
    ) in text
    assert "# Task 90.3, continued.\n        raise" in text
    kept = generate(SOLUTION, hints=True)
    assert [task.hints for task in course.read_tasks(kept)] == [
        ("one operator is enough.", "it is called +."), (), ("step: call it.",)
    ]  # fmt: skip


def test_instructors_check_of_the_solution_counts_nothing(lab):
    assert main(["check", "lab90", "--solution"]) == 0
    assert not (lab.root / "results").exists()


def test_record_of_a_failed_check_keeps_the_hint_for_the_reports(lab):
    lab.student.write_text(WRONG)
    record = check_lab(lab)
    assert "hint: add, not subtract" in record.tests[0].output(hidden_too=False)
    hints.unfold(record, lab)
    assert "hint" not in record.tests[0].output(hidden_too=False)
