"""`dlcourse check --watch`: what is checked after a save, and in which order."""

import os

import pytest

from dlcourse.check import watch as module
from dlcourse.check.watch import changed_tasks, saves, watch
from dlcourse.course import lines_of_tasks
from dlcourse.errors import UsageError

from support import tiny

RIGHT = tiny.SOLUTION
WRONG = RIGHT.replace("result = add(result, value)", "result = add(value, value)")


@pytest.fixture
def lab(tmp_path):
    made = tiny.make_course(tmp_path / "course")
    made.tests.write_text(tiny.TESTS.replace(", hidden=True", ""))
    return made


def watched(lab, *sources):
    """The records after each of the saved `sources`: (tasks, score, whether it is the second)."""
    shown = []

    def saved():
        for source in sources:
            lab.student.write_text(source)
            yield source.encode()

    def show(record, is_second):
        shown.append(([v.task for v in record.verdicts()], record.score, is_second))

    watch(lab, show, saved=saved())
    return shown


def test_after_a_save_the_tasks_that_changed_come_first(lab):
    every = ["90.1", "90.2", "90.3"]
    assert watched(lab, WRONG, RIGHT, RIGHT + "# a note\n") == [
        (every, 3.0, False),
        (["90.2"], 3.0, False),
        (every, 6.0, True),
        (every, 6.0, False),  # what is outside of the tasks may change all of them
    ]
    assert lab.checked() == dict.fromkeys(every, True)


def test_a_file_that_does_not_load_is_explained_and_the_watch_goes_on(lab):
    shown = watched(lab, RIGHT, RIGHT.replace("return a + b", "return a +"), RIGHT)
    assert [(len(tasks), score) for tasks, score, _ in shown] == [(3, 6.0), (3, 0.0), (3, 6.0)]


@pytest.mark.parametrize(
    ("old", "new", "tasks"),
    [
        ("return a + b", "return b + a", {"90.1"}),
        ("self.count = start", "self.count = start  # kept", {"90.3"}),
        ("import torch", "import math", {"90.1", "90.2", "90.3"}),
        ("result = 0", "def zero():\n        return 0\n    result = zero()", {"90.2"}),
    ],
)
def test_which_tasks_a_change_may_change(lab, old, new, tasks):
    before = lines_of_tasks(RIGHT, lab.functions)
    after = lines_of_tasks(RIGHT.replace(old, new), lab.functions)
    assert changed_tasks(before, after) == tasks
    assert changed_tasks(before, before) == set()


def test_saves_are_seen_once_each_and_a_moved_file_is_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "a.py"
    path.write_text("one")
    contents = saves(path)
    assert next(contents) == b"one"
    steps = iter(["touch", "gone", "two", "empty", "three"])

    def act(_):
        step = next(steps)
        if step == "touch":
            os.utime(path, ns=(1, 1))
        elif step == "gone":
            path.unlink()
        else:
            path.write_text("" if step == "empty" else step)

    monkeypatch.setattr(module.time, "sleep", act)
    assert next(contents) == b"two"
    assert next(contents) == b"three"


def test_a_missing_file_is_one_line(lab):
    lab.student.unlink()
    with pytest.raises(UsageError, match=r"no file .*lab90_sums\.py; `dlcourse labs` lists"):
        watch(lab, lambda record, is_second: None)
