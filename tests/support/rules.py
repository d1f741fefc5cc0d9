"""What the tests of the labs forbid."""

from functools import cache

from dlcourse import course
from dlcourse.check.points import ALWAYS

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
