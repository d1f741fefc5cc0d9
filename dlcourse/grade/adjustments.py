"""Points that an instructor gives by hand: for written answers, as overrides, after a complaint.

A list with the columns student,task,points and, if wanted, note and out_of. What `task` holds:

5.2      the points replace those of the task's tests
answers  the points are added to those of the tests, for answers in words; out_of, the most that
         these may get, is added to the points of the lab
total    the points replace the sum, also after a late penalty
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcourse.check.record import BY_HAND, Record, TestRecord
from dlcourse.course import Lab
from dlcourse.errors import UsageError
from dlcourse.grade.lists import find_student, read_rows
from dlcourse.grade.submissions import Submission

__all__ = ["Adjustment", "Adjustments", "adjusted", "read_adjustments"]

ANSWERS, TOTAL = "answers", "total"


@dataclass(frozen=True)
class Adjustment:
    """A row of the list."""

    task: str
    points: float
    note: str = ""


@dataclass
class Adjustments:
    """The rows of each submission, and the most points of the written answers (0 if not said)."""

    rows: dict[Submission, list[Adjustment]] = dataclasses.field(default_factory=dict)
    out_of: float = 0.0

    def total(self, submission: Submission) -> float | None:
        """The sum that the list sets for `submission`, or None."""
        found = [row.points for row in self.rows.get(submission, ()) if row.task == TOTAL]
        return found[0] if found else None


def read_adjustments(path: Path, submissions: Sequence[Submission], lab: Lab) -> Adjustments:
    """Read the CSV file `path`.

    Raises UsageError for a row that names nobody or no task, a second row for the same student
    and task, points above those of the task, and numbers that are not finite and at least 0.
    """
    most = {task.id: task.points for task in lab.tasks}
    found = Adjustments()
    first: dict[tuple[Submission, str], str] = {}
    stated: dict[float, str] = {}
    for row in read_rows(path, ("student", "task", "points"), ("note", "out_of")):
        submission, task = find_student(row, submissions), row.cells["task"].casefold()
        points, out_of = row.number("points"), row.cells.get("out_of", "")
        if task not in (*most, ANSWERS, TOTAL):
            raise UsageError(
                f"{row.where}: {lab.short} has no task {task!r}; expected one of "
                f"{', '.join(most)}, {ANSWERS}, {TOTAL}"
            )
        if (submission, task) in first:
            raise UsageError(
                f"{row.where}: a second row for {submission.student} and {task}; "
                f"{first[submission, task]} is the first"
            )
        if out_of and task != ANSWERS:
            raise UsageError(f"{row.where}: out_of belongs to {ANSWERS}, not to {task}")
        if out_of:
            stated.setdefault(row.number("out_of"), row.where)
        limit = row.number("out_of") if out_of else most.get(task)
        if limit is not None and points > limit:
            raise UsageError(f"{row.where}: {task} has {limit:g} points, got {points:g}")
        first[submission, task] = row.where
        note = row.cells.get("note", "")
        found.rows.setdefault(submission, []).append(Adjustment(task, points, note))
    if len(stated) > 1:
        where = " and ".join(f"{number:g} ({row})" for number, row in stated.items())
        raise UsageError(f"{path.name}: out_of must be the same in all rows, got {where}")
    found.out_of = next(iter(stated), 0.0)
    return found


def adjusted(
    record: Record, submission: Submission, adjustments: Adjustments
) -> tuple[Record, list[str]]:
    """A copy of `record` with the points that were given by hand, and a line for each of them.

    What changes the points of a task stands in the record as one more test of the task.
    """
    rows = adjustments.rows.get(submission, [])
    answers = [row for row in rows if row.task == ANSWERS]
    tests, lines = [], []
    for row in rows:
        note = f": {row.note}" if row.note else ""
        if row.task == TOTAL:
            lines.append(f"the total is set to {row.points:g} by hand{note}")
        elif row.task == ANSWERS:
            lines.append(f"{row.points:g} points for written answers{note}")
            tests.append(by_hand(row.task, row.points, adjustments.out_of, row.note))
        else:
            before = sum(test.score for test in record.tests if test.task == row.task)
            lines.append(f"task {row.task}: {row.points:g} points by hand, not {before:g}{note}")
            tests.append(by_hand(row.task, round(row.points - before, 6), 0.0, row.note))
    if adjustments.out_of and not answers:
        tests.append(by_hand(ANSWERS, 0.0, adjustments.out_of, "no points given"))
    return dataclasses.replace(record, tests=[*record.tests, *tests]), lines


def by_hand(task: str, points: float, most: float, note: str) -> TestRecord:
    return TestRecord(task, BY_HAND, points, most, BY_HAND, note)
