"""The labs' tests catch wrong answers and take right ones of any shape.

Four of each lab's mutants are tried here, a third of the right answers to its tasks, several at
once, and half of the answers to everything. DLCOURSE_ALL_TESTS=1 tries all answers, and
`benchmarks/grade_mutants.py` all mutants and right answers, each alone.
"""

import importlib
import os
import sys
from collections import Counter, defaultdict

import pytest

from support import mutants, sweep, tiny

if not sys.platform.startswith("linux"):
    pytest.skip("graded in the sandbox, which needs Linux", allow_module_level=True)


@pytest.fixture(scope="module", params=sweep.LABS)
def warm(request):
    return sweep.Sweep(request.param)


@pytest.fixture(scope="module")
def answers(warm):
    return importlib.import_module(f"support.alternatives_{warm.lab.short}")


def test_mutants_change_one_thing_inside_the_answers():
    made = dict(mutants.mutants(tiny.SOLUTION))
    assert "90.1 line 1: a + b -> a - b" in made
    assert "return a - b" in made["90.1 line 1: a + b -> a - b"]()
    assert "90.2 line 1: 0 -> 1" in made
    assert len(made) == 9
    assert len({make() for make in made.values()}) == len(made)


def test_mutants_are_caught_but_for_those_that_are_explained(warm, answers):
    made = list(warm.mutants())
    assert warm.failed == []
    assert set(answers.SURVIVORS) <= {label for label, _, _ in made}
    assert len(answers.SURVIVORS) <= 0.05 * len(made)
    assert all(reason.strip() for reason in answers.SURVIVORS.values())
    tried = [one for one in made if one[0] not in answers.SURVIVORS]
    tried = tried[:: -(-len(tried) // 4)]
    survivors = [label for label, make, task in tried if not warm.first_lost(make(), task)]
    assert survivors == []


def test_right_answers_of_another_shape_are_taken(warm, answers):
    rounds = defaultdict(list)
    tasks = Counter()
    for name in answers.ALTERNATIVES:
        task = name.split()[0]
        rounds[tasks[task]].append(name)
        tasks[task] += 1
    refused = {}
    step = 1 if os.environ.get("DLCOURSE_ALL_TESTS") else 3
    for names in list(rounds.values())[::step]:
        if warm.first_lost(warm.shaped(answers, *names), names[0].split()[0]):
            for name in names:
                lost = warm.first_lost(warm.shaped(answers, name), name.split()[0], alone=True)
                if lost:  # else only the answers together do not work
                    refused[name] = (lost.name, lost.outcome, lost.reason)
    assert refused == {}


# Answers that come to nothing, agree with everything, or poison what is computed from them.
POISON = """
import torch

class Yes:
    def __eq__(self, other): return True
    def __getattr__(self, name): return answer

def answer(*args, **kwargs):
    tensors = [arg for arg in args if isinstance(arg, torch.Tensor) and arg.is_floating_point()]
    return {value}

def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return answer
"""


VALUES = [
    "Yes()",
    "torch.full_like(tensors[0] if tensors else torch.ones(1), torch.nan)",
    "tensors[0][:0] if tensors and tensors[0].dim() else torch.empty(0)",
    "args[0] if args else None",
]


def test_answer_to_everything_earns_nothing(warm):
    # The labs take turns: two of the values for each.
    first = sweep.LABS.index(warm.lab.short) % 2
    for value in VALUES if os.environ.get("DLCOURSE_ALL_TESTS") else VALUES[first::2]:
        tests = warm.all_of(POISON.replace("{value}", value))
        assert {test.name: test.score for test in tests if test.score} == {}, value
        assert "could not check" not in {test.outcome for test in tests}, value


def test_every_task_has_five_right_answers_of_another_shape(warm, answers):
    tasks = [name.split()[0] for name in answers.ALTERNATIVES]
    assert {
        task.id: tasks.count(task.id) for task in warm.lab.tasks if tasks.count(task.id) < 5
    } == {}
