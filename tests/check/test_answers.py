"""Answers by torch, torchvision or the package are found in the text of a submission."""

from functools import cache

import pytest

from dlcourse import course
from dlcourse.check.forbidden import violations
from dlcourse.check.points import ALWAYS

from support import shortcuts
from support.imports import ROOT


@cache
def rules(short):
    """For each task of a lab, its functions, what it forbids, and what it allows."""
    lab = course.find_lab(short, ROOT)
    marks = [test.points for test in vars(course.load_script(lab.tests)).values()
             if hasattr(test, "points")]  # fmt: skip
    return {
        task: (
            functions,
            [*ALWAYS, *(name for mark in marks if mark.task == task for name in mark.forbidden)],
        )
        for task, functions in lab.functions.items()
    }


@pytest.mark.parametrize(
    ("lab", "task"), [(lab, task) for lab, found in shortcuts.SHORTCUTS.items() for task in found]
)
def test_shortcut_is_found_in_the_text(lab, task):
    source = shortcuts.HEAD + shortcuts.SHORTCUTS[lab][task]
    found = violations(source.encode(), {task: rules(lab)[task]})
    assert list(found) == [task]
