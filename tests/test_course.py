"""The course on disk: labs found by name, and tasks that stay known."""

import json
import os

import pytest

from dlcourse import cli, course
from dlcourse.check import run
from dlcourse.errors import UsageError

from support import tiny


@pytest.fixture
def lab(tmp_path, monkeypatch):
    made = tiny.make_course(tmp_path / "course")
    monkeypatch.chdir(made.root)
    return made


@pytest.mark.parametrize("name", ["90", "lab90", "LAB90", "lab090", "lab90_sums"])
def test_a_lab_is_found_by_its_number_or_name(lab, name):
    assert course.find_lab(name) == lab


def test_a_number_without_leading_zero_is_enough():
    assert course.find_lab("lab8") == course.find_lab("8") == course.find_lab("lab08")
    assert course.find_lab("Lab 8") == course.find_lab("8")


def test_an_unknown_number_lists_the_labs(lab):
    tiny.make_course(lab.root, tiny.SOLUTION.replace("90.", "91."), name="lab91_more")
    with pytest.raises(UsageError, match=r"^there is no lab07; choose one of lab90, lab91$"):
        course.find_lab("7")


def test_a_deleted_lab_is_named(tmp_path):
    lab = tiny.make_course(tmp_path)
    for file in (lab.student, lab.solution):
        file.unlink()
    (tmp_path / "labs" / "lab91_more.py").write_text("")
    with pytest.raises(UsageError, match=r"^labs/lab90_sums.py is missing; put it back"):
        course.find_lab("90", tmp_path)


def test_a_task_stays_when_its_comment_goes_with_its_stub(lab):
    lab.solution.unlink()  # as in the student bundle
    kept = [line for line in lab.student.read_text().splitlines() if "ask 90.2" not in line]
    lab.student.write_text("\n".join(kept).replace("def total(values):", "def total(values): ..."))
    assert [(task.id, task.points) for task in lab.tasks] == [
        ("90.1", 2.0), ("90.2", 3.0), ("90.3", 1.0)
    ]  # fmt: skip
    assert lab.unwritten() == {"90.1", "90.3"}
    assert "(6 points)" in course.as_text([lab])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("labs/lab05_convnets.py", "LAB is a lab, not a file: lab05 for labs/lab05_convnets.py"),
        ("lab05_convnets.ipynb", "LAB is a lab, not a file: lab05 for lab05_convnets.ipynb"),
        ("5.2", "LAB is a lab, not a task: lab05 for task 5.2"),
    ],
)
def test_a_file_or_a_task_in_place_of_a_lab_is_told(name, message):
    with pytest.raises(UsageError) as caught:
        course.find_lab(name)
    assert str(caught.value) == message


def test_running_a_lab_with_an_unwritten_task_names_it_in_one_line(lab, capsys):
    lab.student.write_text(lab.student.read_text() + "\n\ndef main(argv):\n    add(1, 2)\n")
    assert cli.main(["run", "90"]) == 2
    assert capsys.readouterr().err == (
        "dlcourse: task 90.1 add is not written yet; `dlcourse check lab90` shows what is left\n"
    )


def test_a_script_is_run_as_it_was_saved_last_even_within_one_second(tmp_path):
    script, answers = tmp_path / "script.py", []
    for text in ("answer = 1\n", "answer = 2\n"):
        script.write_text(text)
        os.utime(script, (1_000_000_000, 1_000_000_000))
        answers.append(course.load_script(script).answer)
    assert answers == [1, 2]


MAIN = "\n\ndef main(argv):\n    print(add(1, 2))\n"


def test_running_a_lab_tells_which_answers_are_known_to_be_wrong(lab, capsys):
    def said(command, source):
        lab.student.write_text(source)
        cli.main([command, "90"])
        return capsys.readouterr().out.splitlines()

    right = tiny.SOLUTION + MAIN
    wrong = right.replace("return a + b", "return a - b")
    check = "{} (dlcourse check lab90)"
    tells = f"Do not trust these results before these tasks pass their tests: {check}"
    unknown = f"These tasks were not checked since the last change: {check}"
    assert said("run", wrong) == ["-1", unknown.format("90.1, 90.2, 90.3")]
    said("check", wrong)
    # Task 90.2 needs 90.1, so its tests say nothing yet.
    assert said("run", wrong) == ["-1", tells.format("90.1"), unknown.format("90.2")]
    assert said("run", right) == ["3", unknown.format("90.1, 90.2")]
    said("check", right)
    assert said("run", right) == ["3"]
    # What belongs to no task may change all of them.
    assert said("run", right + "\nx = 1\n") == ["3", unknown.format("90.1, 90.2, 90.3")]
    assert said("run", tiny.SOLUTION.replace("import torch", "import math") + MAIN)[1:] != []
    lab.memory.write_text('{"lab90": {"passed": ["90.1"], "sha256": "0"}}')  # of an earlier version
    assert said("run", right) == ["3", unknown.format("90.1, 90.2, 90.3")]
    assert said("check", right)[-1].split()[0] == "total"
    assert lab.checked() == {"90.1": True, "90.2": True, "90.3": True}


CLAIMS = """

def main(argv):
    from dlcourse import lab

    findings = lab.parse_flags("lab90", "", argv, epochs=1, full_epochs=1).findings
    findings.claim("sum", add(1, 2), "=", 3, "g", task="90.1", exact=True)
    findings.claim("all", total([1, 0]), "<", 2, "g", task="90.2")
    findings.report()
"""


def test_a_claim_is_confirmed_only_where_the_tasks_behind_it_passed_their_tests(lab, capsys):
    def marks(source, command=("run", "90"), by=cli.main):
        lab.student.write_text(source)
        by(list(command))
        lines = capsys.readouterr().out.splitlines()
        return [line[:3].strip() for line in lines if line[5:8] in ("sum", "all")]

    right = tiny.SOLUTION + CLAIMS
    wrong = right.replace("self.count = start", "self.count = 0")
    assert marks(right) == ["?", "?"]
    marks(right, ["check", "90"])
    assert marks(right) == ["yes", "yes"]
    marks(wrong, ["check", "90"])
    assert marks(wrong) == ["yes", "?"]  # what is not exact rests on each task
    lab.solution.write_text(wrong)
    assert marks(wrong, ["run", "90", "--solution"]) == ["yes", "yes"]


def test_the_state_of_each_task_is_that_of_its_last_check(lab, capsys):
    wrong = tiny.SOLUTION.replace("result = add(result, value)", "result = value")
    stub = wrong.replace("self.count = start", 'raise NotImplementedError("task 90.3: Counter")')
    lab.student.write_text(stub)
    assert [line.split()[-1] for line in course.as_text([lab]).splitlines()[1:]] == [
        "checked", "checked", "do"
    ]  # fmt: skip
    cli.main(["check", "90"])
    assert [line.split()[3:] for line in course.as_text([lab]).splitlines()[1:]] == [
        ["passed"], ["not", "passed"], ["to", "do"]
    ]  # fmt: skip
    assert json.loads(course.as_json([lab]))[0]["checked"] is True
    lab.student.write_text(stub.replace("a + b", "b + a"))
    assert lab.checked() == {"90.2": False, "90.3": False}
    assert json.loads(course.as_json([lab]))[0]["checked"] is False
    # A verdict of tests that have been replaced since, by a newer course, says nothing.
    lab.tests.write_text(lab.tests.read_text() + "\n# repaired\n")
    assert lab.checked() == {}


def test_a_file_saved_while_it_is_checked_is_not_remembered(lab, monkeypatch):
    lab.student.write_text(tiny.SOLUTION + "\nfrom pathlib import Path\nPath(__file__)\n")
    record = run.check(lab)
    lab.memory.unlink()
    lab.student.write_text(tiny.SOLUTION)
    run.remember(lab, record)
    assert lab.checked() == {}
    lab.student.unlink()
    run.remember(lab, record)
    assert lab.checked() == {}


def test_error_in_a_task_names_the_task_below_the_traceback(lab, capsys):
    text = tiny.SOLUTION.replace("return a + b", "return a + b[0]")
    lab.student.write_text(text + "\n\ndef main(argv):\n    print(total([1, 2]))\n")
    assert cli.main(["run", "90"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Traceback (most recent call last)")
    assert said.splitlines()[-1] == (
        "dlcourse: this TypeError comes from task 90.1 (add); "
        "`dlcourse check lab90 --task 90.1` tries this task alone"
    )


def test_error_behind_a_task_that_failed_its_check_names_that_task_too(lab, capsys):
    text = tiny.SOLUTION.replace("return a + b", "return [a + b]").replace(
        "result = add(result, value)", "result = result + add(0, value)"
    )
    lab.student.write_text(text + "\n\ndef main(argv):\n    print(total([1, 2]))\n")
    assert cli.main(["check", "90"]) == 1
    assert cli.main(["run", "90"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "dlcourse: this TypeError comes from task 90.2 (total); `dlcourse check lab90 --task 90.2` "
        "tries this task alone; task 90.1 failed its last check"
    )


def test_error_where_answers_are_used_points_to_the_check(lab, capsys):
    text = tiny.SOLUTION.replace("return result", "return str(result)")
    lab.student.write_text(text + "\n\ndef main(argv):\n    print(total([1, 2]) / 2)\n")
    assert cli.main(["run", "90"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "dlcourse: this TypeError comes from main, which uses your answers; "
        "`dlcourse check lab90` shows which of them is wrong"
    )


def test_another_missing_implementation_is_not_taken_for_an_unwritten_task(lab):
    lab.student.write_text("def main(argv):\n    raise NotImplementedError('no such kernel')\n")
    with pytest.raises(NotImplementedError, match="no such kernel"):
        cli.main(["run", "90"])


def test_help_of_a_lab_with_unwritten_tasks_shows_its_flags(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["run", "lab05", "--help"])
    assert stopped.value.code == 0
    assert "--tiny" in capsys.readouterr().out
