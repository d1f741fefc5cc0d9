"""The library's own answers to the labs' tasks are forbidden, as far as trying found them."""

import json

import pytest

from dlcourse.check.forbidden import is_forbidden, violations

from support import shortcuts
from support.imports import ROOT
from support.rules import rules

RECORDED = ROOT / "benchmarks" / "results" / "answers.json"


@pytest.mark.parametrize(
    ("lab", "task"), [(lab, task) for lab, found in shortcuts.SHORTCUTS.items() for task in found]
)
def test_shortcut_is_found_in_the_text(lab, task):
    source = shortcuts.HEAD + shortcuts.SHORTCUTS[lab][task]
    found = violations(source.encode(), {task: rules(lab)[task]})
    assert list(found) == [task]


def test_recorded_answers_are_forbidden_or_allowed():
    labs = json.loads(RECORDED.read_text(encoding="utf-8"))["result"]["labs"]
    open_ = {
        (task, path)
        for lab, found in labs.items()
        for task, paths in found.items()
        for path in paths
        if not is_forbidden(path, rules(lab)[task][1])
    }
    assert open_ == ALLOWED


# The names that a task allows: (task, path).
ALLOWED: set[tuple[str, str]] = set()
