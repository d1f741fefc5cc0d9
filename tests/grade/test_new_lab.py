"""`dlcourse new` writes a lab that works at once, and refuses bad names by name."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dlcourse import course
from dlcourse.check.run import check as check_lab
from dlcourse.cli import main
from dlcourse.grade.release import visible_tests

from support import tiny
from support.mutants import mutants

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path, monkeypatch):
    tiny.make_course(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def lab(root, capsys):
    assert main(["new", "lab07_two_words"]) == 0
    assert capsys.readouterr().out.split() == [
        str(root / "solutions" / "lab07_two_words.py"),
        str(root / "tests" / "labs" / "test_lab07_two_words.py"),
        str(root / "tests" / "support" / "alternatives_lab07.py"),
        str(root / "labs" / "lab07_two_words.py"),
    ]
    return course.find_lab("lab07")


def points(lab, path):
    return sum(test.score for test in check_lab(lab, path).tests)


def test_the_solution_has_full_points_and_the_stub_none(lab):
    assert lab.title == "two words."
    assert [(task.id, task.name, task.points) for task in lab.tasks] == [("7.1", "accuracy", 1)]
    assert points(lab, lab.solution) == 1
    assert points(lab, lab.student) == 0


def test_no_placeholder_of_the_template_is_left(lab, root):
    texts = [path.read_text() for path in root.rglob("*lab07*.py")]
    assert len(texts) == 4
    assert not [text for text in texts if "NN" in text or "TOPIC" in text]


def test_labs_write_generates_the_same_student_version(lab, capsys):
    text = lab.student.read_text()
    lab.student.unlink()
    assert main(["labs", "--write"]) == 0
    assert capsys.readouterr().out.split() == [str(lab.student)]
    assert lab.student.read_text() == text


def test_one_test_is_hidden_and_one_is_visible(lab):
    assert lab.tests.read_text().count("\ndef test_") == 2
    assert visible_tests(lab).count("\ndef test_") == 1


def test_the_tests_accept_every_alternative_and_reject_every_mutant(lab, root, tmp_path):
    path = root / "tests" / "support" / "alternatives_lab07.py"
    spec = importlib.util.spec_from_file_location("alternatives_lab07", path)
    answers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(answers)
    source = lab.solution.read_text()
    before = source.partition('if __name__ == "__main__":')[0]
    file = tmp_path / "submission.py"
    assert len(answers.ALTERNATIVES) == 5
    for name, answer in answers.ALTERNATIVES.items():
        file.write_text(before + answers.IMPORTS + answer)
        assert points(lab, file) == 1, name
    wrong = dict(mutants(source))
    assert len(wrong) >= 3
    for label, make in wrong.items():
        file.write_text(make())
        assert points(lab, file) < 1, label


def test_the_experiment_prints_the_lines_of_its_recorded_run(lab, capsys):
    images, labels = np.zeros((300, 1, 28, 28), np.uint8), np.arange(300) % 10
    images[np.arange(300), 0, labels] = 255  # a white row, at the height that the digit says
    Path("datasets").mkdir()
    np.savez(
        "datasets/mnist.npz",
        train_images=images, train_labels=labels, test_images=images, test_labels=labels,
    )  # fmt: skip
    assert main(["run", "lab07", "--solution", "--tiny", "--offline"]) == 0
    printed = capsys.readouterr().out.partition("\nwhat this run shows")[0].splitlines()
    assert [line.split(":")[0] for line in printed] == ["data", "accuracy", "figures"]
    doc = lab.solution.read_text().partition("A recorded run")[2]
    assert all(f"\n    {line.split(':')[0]}: " in doc for line in printed)
    assert len(list(Path("results/lab07/tiny").glob("*.png"))) == 2


def test_the_skeleton_is_clean_for_the_linter(lab, root):
    files = [str(path) for path in root.rglob("*lab07*.py") if path != lab.student]
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--config", ROOT / "pyproject.toml", *files],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "name", ["lab7_x", "lab07", "lab007_x", "Lab07_x", "lab07_X", "../lab07_x"]
)
def test_a_name_of_another_form_is_refused(root, name, capsys):
    before = sorted(root.rglob("*"))
    assert main(["new", name]) == 2
    assert capsys.readouterr().err == (
        f"dlcourse: lab name {name!r} is not valid; expected lab, two digits, an underscore and a "
        "topic in lower-case letters, such as lab16_transformers\n"
    )
    assert sorted(root.rglob("*")) == before


def test_a_number_that_is_taken_is_refused(root, capsys):
    assert main(["new", "lab90_products"]) == 2
    assert capsys.readouterr().err == (
        "dlcourse: lab90 exists already as lab90_sums; choose another number for 'lab90_products'\n"
    )


@pytest.mark.parametrize(
    "there", ["tests/labs/test_lab07_more.py", "tests/support/alternatives_lab07.py"]
)
def test_a_file_that_exists_is_not_overwritten(root, there, capsys):
    (root / there).parent.mkdir(exist_ok=True)
    (root / there).write_text("# work")
    assert main(["new", "lab07_more"]) == 2
    assert capsys.readouterr().err == (
        f"dlcourse: {root / there} exists already; move it away or choose another name\n"
    )
    assert (root / there).read_text() == "# work"
    assert not (root / "solutions" / "lab07_more.py").exists()


def test_a_course_without_solutions_is_refused(root, capsys):
    for path in (root / "solutions").glob("*"):
        path.unlink()
    (root / "solutions").rmdir()
    assert main(["new", "lab07_more"]) == 2
    err = capsys.readouterr().err
    assert err.endswith("no folder solutions/; a new lab needs the instructor's whole course\n")
