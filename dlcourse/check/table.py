"""The score table on a terminal: aligned plain text, readable without color."""

from __future__ import annotations

import shutil
import textwrap

from dlcourse.check.record import Record
from dlcourse.course import Lab

__all__ = ["as_line", "as_text", "totals"]


def as_text(record: Record, lab: Lab) -> str:
    """Return one row for each task, with reason and hint below a failed one, and the total."""
    width = min(shutil.get_terminal_size((100, 24)).columns, 110)
    names = {task: shown(functions) for task, functions in lab.functions.items()}
    lines = [f"{lab.short}  {lab.title}", "", f"{'task':<6}{'points':>11}  verdict", ""]
    broken = {test.reason for test in record.tests if test.outcome == "import failure"}
    lines[2:2] = [line for reason in sorted(broken) for line in [reason, ""]]
    for verdict in record.verdicts():
        points = f"{verdict.score:g} / {verdict.max_score:g}"
        name = names.get(verdict.task, "")
        lines.append(f"{verdict.task:<6}{points:>11}  {verdict.outcome:<16}{name}".rstrip())
        if (test := verdict.worst) and test.outcome != "import failure":
            body = [test.reason]
            if test.outcome != "not reached":
                body += [
                    test.traceback.rstrip(),
                    test.where and f"in: {test.where}",
                    test.printed and f"printed: {test.printed}",
                    *(f"hint: {hint}" for hint in test.hint.splitlines()),
                ]
            lines += [wrapped for part in body if part for wrapped in indent(part, width)]
    wrong = [v.task for v in record.verdicts() if v.outcome not in ("passed", "not written")]
    if wrong and not broken:
        lines += ["", f"for the next hint on a task: dlcourse hint {wrong[0]}"]
    points = f"{record.score:g} / {record.max_score:g}"
    lines += ["", f"{'total':<6}{points:>11}   {record.execution_time:.1f} s"]
    lines += [line for text in totals(record, lab) for line in textwrap.wrap(text, width)]
    return "\n".join(lines)


def shown(functions: list[str]) -> str:
    """The functions of a task: "conv2d"; of several, those outside of a class, and the classes."""
    if len(functions) == 1:
        return functions[0].removesuffix(".__init__")
    return ", ".join(dict.fromkeys(name.partition(".")[0] for name in functions))


def totals(record: Record, lab: Lab) -> list[str]:
    """Lines on what is defined twice, and on visible and hidden points, where there are any."""
    said = list(record.extra_data.get("defined_twice", ()))
    shown = {verdict.task for verdict in record.verdicts()}
    hidden = sum(task.points for task in lab.tasks if task.id in shown) - record.max_score
    if hidden <= 0:
        return said
    return [
        *said,
        f"{record.score:g} of {record.max_score:g} visible points; {hidden:g} more are graded "
        "by hidden tests, which try other inputs. The visible points of a task count only if "
        "all its hidden tests pass.",
    ]


def as_line(record: Record) -> str:
    """The points of a file, and the tasks that are not passed."""
    left = [verdict.task for verdict in record.verdicts() if verdict.outcome != "passed"]
    tasks = f"; not passed: {', '.join(left)}" if left else "; all tasks passed"
    return f"{record.lab}: {record.score:g} of {record.max_score:g} points{tasks}"


def indent(text: str, width: int) -> list[str]:
    return [
        wrapped
        for line in text.splitlines()
        for wrapped in textwrap.wrap(
            line, width, initial_indent=" " * 19, subsequent_indent=" " * 21, drop_whitespace=True
        )
    ]
