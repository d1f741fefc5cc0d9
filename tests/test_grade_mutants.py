"""The labs' tests catch wrong answers and take right ones of any shape.

Of each lab's mutants every fifth is tried here; `benchmarks/grade_mutants.py` tries all.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("graded in the sandbox, which needs Linux", allow_module_level=True)

spec = importlib.util.spec_from_file_location("sweep", Path(__file__).parent / "grade" / "sweep.py")
sweep = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sweep)
tiny, mutants = sweep.load("tiny"), sweep.load("mutants")


@pytest.fixture(scope="module", params=sweep.LABS)
def warm(request):
    return sweep.Sweep(request.param)


@pytest.fixture(scope="module", autouse=True)
def one_zygote():
    yield
    if sweep.Sweep.shared is not None:
        sweep.Sweep.shared.close()


@pytest.fixture(scope="module")
def answers(warm):
    return sweep.load(f"alternatives_{warm.lab.short}")


def test_mutants_change_one_thing_inside_the_answers():
    made = dict(mutants.mutants(tiny.SOLUTION))
    assert "line 9: a + b -> a - b" in made
    assert "return a - b" in made["line 9: a + b -> a - b"]()
    assert "line 16: 0 -> 1" in made
    assert len(made) == 9
    assert len({make() for make in made.values()}) == len(made)


def test_mutants_are_caught_but_for_those_that_are_explained(warm, answers):
    made = list(warm.mutants())
    assert warm.failed == []
    assert set(answers.SURVIVORS) <= {label for label, _, _ in made}
    assert len(answers.SURVIVORS) <= 0.05 * len(made)
    assert all(reason.strip() for reason in answers.SURVIVORS.values())
    tried = [one for one in made[::5] if one[0] not in answers.SURVIVORS]
    survivors = [label for label, make, task in tried if not warm.first_lost(make(), task)]
    assert survivors == []


def test_right_answers_of_another_shape_are_taken(warm, answers):
    refused = {}
    for name in answers.ALTERNATIVES:
        source = answers.source(name, warm.solution)
        if lost := warm.first_lost(source, name.split()[0], alone=True):
            refused[name] = (lost.name, lost.outcome, lost.reason)
    assert refused == {}


def test_every_task_has_three_right_answers_of_another_shape(warm, answers):
    tasks = [name.split()[0] for name in answers.ALTERNATIVES]
    assert {
        task.id: tasks.count(task.id) for task in warm.lab.tasks if tasks.count(task.id) < 3
    } == {}
