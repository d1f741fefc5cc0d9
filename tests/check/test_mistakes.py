"""The visible tests catch what beginners write, and say what is wrong with it; hidden ones too.

Every sixth mistake of each lab is tried; DLCOURSE_ALL_TESTS=1 tries all (two minutes).
"""

import os
from collections import Counter

import pytest

from dlcourse import course
from dlcourse.check.record import NOT_COUNTED

from support import mistakes

# What the hidden tests let pass, next to values that are right. A file that plays back the answers
# to the visible tests has all points for these, and for nothing else that is wrong.
SIDE_EFFECTS = {
    "1.4 changes the given weight", "1.4 changes the given bias", "6.6 writes into its images",
    "7.5 changes the points", "8.1 consumes the tokens", "8.8 divides the logits in place",
    "11.3 sets the generator to evaluation mode", "12.1 changes the weight",
    "12.3 has the given images require a gradient", "12.5 stores gradients in the parameters",
    "14.7 changes the logits", "14.7 hides in the given logits",
}  # fmt: skip
TAKEN = {
    "11.7 returns float64", "12.5 returns float64", "12.7 takes a style of one channel",
    "12.7 takes contents of several images",
}  # fmt: skip


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
    found = mistakes.verdicts(lab, sources | rights, tmp_path_factory.mktemp(lab), hidden=True)
    for name in rights:
        assert [test for test in found.pop(name) if not test.passed] == []
    return found


@pytest.mark.parametrize("hidden", [False, True], ids=["visible", "hidden"])
def test_tests_catch_every_typical_mistake(verdicts, hidden):
    missed = {
        name
        for name, tests in verdicts.items()
        if {test.outcome for test in tests if test.hidden == hidden} <= {"passed", NOT_COUNTED}
    }
    assert missed <= (SIDE_EFFECTS | TAKEN if hidden else set())
    assert {test.outcome for tests in verdicts.values() for test in tests} & {
        "could not check", "import failure", "not written",
    } == set()  # fmt: skip


def test_messages_answer_the_mistake(lab, verdicts):
    silent = {}
    for name, tests in verdicts.items():
        said = "\n".join(test.output(hidden_too=False) for test in tests if not test.hidden)
        if mistakes.of_lab(lab)[name].says not in said:
            silent[name] = said
    assert silent == {}


def test_every_task_has_four_typical_mistakes(lab):
    tasks = Counter(name.split()[0] for name in mistakes.of_lab(lab))
    assert {
        task.id: tasks[task.id] for task in course.find_lab(lab).tasks if tasks[task.id] < 4
    } == {}
