"""Unfold the hints of a task in steps: the more often its check failed, the more hints.

The first failing check shows what was expected. The second adds the hint of the test that failed,
each further one a hint from the task's comment; `dlcourse hint 2.4` shows these too, one more with
each call. How far a student is stands in `results/hints.json` of the course.
"""

from __future__ import annotations

import contextlib
import json

from dlcourse.check.record import COULD_NOT, Record
from dlcourse.course import Lab
from dlcourse.errors import UnknownNameError
from dlcourse.files import write_text

__all__ = ["next_hint", "unfold"]

# Outcomes about which no hint says anything.
NO_ANSWER = {"not written", "not reached", "import failure", "missing", "not allowed", COULD_NOT}

# By task: how many checks failed since it last passed, and how many hints were asked for.
Counts = dict[str, dict[str, int]]


def read(lab: Lab) -> Counts:
    try:
        kept = json.loads((lab.root / "results" / "hints.json").read_text(encoding="utf-8"))
        return {
            str(task): {name: int(counts.get(name, 0)) for name in ("failed", "asked")}
            for task, counts in kept.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # none yet, or damaged: begin again


def count(counts: Counts, task: str, name: str) -> int:
    """Add 1 to a count and return it."""
    kept = counts.setdefault(task, {"failed": 0, "asked": 0})
    kept[name] += 1
    return kept[name]


def keep(lab: Lab, counts: Counts) -> bool:
    """Write the counts; return whether that is possible here."""
    with contextlib.suppress(OSError):
        write_text(lab.root / "results" / "hints.json", json.dumps(counts, indent=1) + "\n")
        return True
    return False


def unfold(record: Record, lab: Lab) -> None:
    """Count the failed tasks of a check, and keep of each test's hints those that it may show."""
    counts, hints = read(lab), {task.id: task.hints for task in lab.tasks}
    failed = {}
    for verdict in record.verdicts():
        if verdict.outcome == "passed":
            counts.pop(verdict.task, None)
        elif verdict.outcome not in NO_ANSWER:
            failed[verdict.task] = count(counts, verdict.task, "failed")
    remembered = keep(lab, counts)
    for test in record.tests:
        # Where nothing can be remembered, each check is shown with the test's hint.
        times = failed.get(test.task, 1) if remembered else 2
        shown = [test.hint] * bool(test.hint) + list(hints.get(test.task, ()))
        test.hint = "\n".join(shown[: times - 1])


def next_hint(lab: Lab, task_id: str) -> str:
    """Return the hints of a task so far and one more. Raises UnknownNameError for another task."""
    tasks = {task.id: task for task in lab.tasks}
    if task_id not in tasks:
        raise UnknownNameError("task", task_id, tasks)
    task, counts = tasks[task_id], read(lab)
    asked = count(counts, task_id, "asked")
    total = len(task.hints)
    if not keep(lab, counts):
        asked = total
    shown = [f"hint {i} of {total}: {hint}" for i, hint in enumerate(task.hints[:asked], start=1)]
    if asked < total:
        shown.append(f"`dlcourse hint {task_id}` again shows the next one")
    return "\n".join([f"task {task_id}: {task.name}", *(shown or ["this task has no hints"])])
