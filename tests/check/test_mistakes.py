"""The visible tests catch what beginners write, and say what is wrong with it.

Every sixth mistake of each lab is tried; DLCOURSE_ALL_TESTS=1 tries all (two minutes).
"""

import os
from collections import Counter

import pytest

from dlcourse import course

from support import mistakes


@pytest.fixture(scope="module", params=mistakes.LABS)
def lab(request):
    return request.param


@pytest.fixture(scope="module")
def verdicts(lab, tmp_path_factory):
    solution = course.find_lab(lab).solution.read_text(encoding="utf-8")
    step = 1 if os.environ.get("DLCOURSE_ALL_TESTS") else 6
    chosen = list(mistakes.of_lab(lab).items())[::step]
    sources = {name: one.source(solution) for name, one in chosen}
    # A refusal of every file would look like a collection whose mistakes are all caught.
    rights = {f"{task.id} right": solution for task in course.find_lab(lab).tasks}
    found = mistakes.verdicts(lab, sources | rights, tmp_path_factory.mktemp(lab))
    for name in rights:
        assert [test for test in found.pop(name) if not test.passed] == []
    return found


def test_visible_tests_catch_every_typical_mistake(verdicts):
    missed = [name for name, tests in verdicts.items() if all(test.passed for test in tests)]
    assert missed == []
    assert {test.outcome for tests in verdicts.values() for test in tests} & {
        "could not check", "import failure", "not written",
    } == set()  # fmt: skip


def test_messages_answer_the_mistake(lab, verdicts):
    silent = {}
    for name, tests in verdicts.items():
        said = "\n".join(test.output(hidden_too=False) for test in tests)
        if mistakes.of_lab(lab)[name].says not in said:
            silent[name] = said
    assert silent == {}


def test_every_task_has_four_typical_mistakes(lab):
    tasks = Counter(name.split()[0] for name in mistakes.of_lab(lab))
    assert {
        task.id: tasks[task.id] for task in course.find_lab(lab).tasks if tasks[task.id] < 4
    } == {}
