"""The labs' tests catch wrong answers and take right ones of any shape."""

import importlib.util
import sys
from pathlib import Path

import pytest

from dlcourse import course

if not sys.platform.startswith("linux"):
    pytest.skip("graded in the sandbox, which needs Linux", allow_module_level=True)

from dlcourse.grade.worker import Job, Setting, Worker

HERE = Path(__file__).parent / "grade"


def load(name):
    spec = importlib.util.spec_from_file_location(f"grade_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny, mutants, alternatives = load("tiny"), load("mutants"), load("alternatives_lab05")

# Mutants that no test can catch, since they compute the same; each with its reason.
EQUIVALENT = {}


@pytest.fixture(scope="module")
def lab05():
    return course.find_lab("lab05")


@pytest.fixture(scope="module")
def warm(lab05):
    made = Worker(Setting(lab05))
    yield made
    made.zygote.close()


def score(warm, source):
    return sum(test.score for test in warm.grade(Job(source.encode(), {"": 5.0}, 2.0)))


def test_mutants_change_one_thing_inside_the_answers():
    made = dict(mutants.mutants(tiny.SOLUTION))
    assert "line 9: a + b -> a - b" in made
    assert "return a - b" in made["line 9: a + b -> a - b"]
    assert "line 16: 0 -> 1" in made
    assert len(made) == 9
    assert len(set(made.values())) == len(made)


def test_lab05_catches_nineteen_mutants_in_twenty(warm, lab05):
    source = lab05.solution.read_text(encoding="utf-8")
    made = dict(mutants.mutants(source))
    full = sum(task.points for task in lab05.tasks)
    survivors = {label for label, mutant in made.items() if score(warm, mutant) == full}
    assert len(made) >= 50
    assert survivors <= set(EQUIVALENT)
    assert len(survivors) <= 0.05 * len(made)


@pytest.mark.parametrize("name", alternatives.ALTERNATIVES)
def test_lab05_takes_right_answers_of_another_shape(warm, lab05, name):
    source = alternatives.source(name, lab05.solution.read_text(encoding="utf-8"))
    tests = warm.grade(Job(source.encode(), {"": 5.0}, 5.0))
    assert [(test.name, test.outcome, test.reason) for test in tests if not test.passed] == []


def test_every_task_of_lab05_has_three_alternatives(lab05):
    tasks = [name.split()[0] for name in alternatives.ALTERNATIVES]
    assert all(tasks.count(task.id) >= 3 for task in lab05.tasks)
