"""report.html for the instructor and one page of feedback a student. No script, nothing fetched."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from dlcourse.check.record import TestRecord
from dlcourse.course import Lab

if TYPE_CHECKING:
    from dlcourse.grade.batch import Graded

__all__ = ["feedback", "overview"]

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1f24; background: #fff; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2rem; }
p.note { color: #57606a; margin-top: .2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .7rem; border-bottom: 1px solid #d8dee4;
         vertical-align: top; }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { white-space: pre-wrap; margin: .2rem 0; font-size: .85rem; }
.bar { background: #eaeef2; height: .8rem; min-width: 10rem; }
.bar i { display: block; height: 100%; background: #0969da; }
.passed { color: #1a7f37; } .failed { color: #b42318; }
svg text { font-size: 11px; fill: #57606a; }
"""


def page(title: str, body: str) -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        '</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: set[int]) -> str:
    """A table of cells that are HTML already; columns in `numeric` are set to the right."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f'<{tag} class="n">{cell}</{tag}>' if at in numeric else f"<{tag}>{cell}</{tag}>"
            for at, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def bar(share: float) -> str:
    return f'<div class="bar"><i style="width:{100 * share:.0f}%"></i></div>'


def histogram(scores: Sequence[float], highest: float) -> str:
    """Ten bins from 0 to `highest` as an inline drawing."""
    counts = Counter(min(9, int(10 * score / highest)) if highest else 0 for score in scores)
    top = max(counts.values())
    columns = "".join(
        f'<rect x="{10 + 60 * at}" y="{120 - 100 * counts[at] / top:.1f}" width="52" '
        f'height="{100 * counts[at] / top:.1f}" fill="#0969da"/>'
        f'<text x="{36 + 60 * at}" y="{114 - 100 * counts[at] / top:.1f}" text-anchor="middle">'
        f"{counts[at] or ''}</text>"
        f'<text x="{36 + 60 * at}" y="136" text-anchor="middle">'
        f"{highest * at / 10:.3g}\u2013{highest * (at + 1) / 10:.3g}</text>"
        for at in range(10)
    )
    return f'<svg viewBox="0 0 620 142" role="img" aria-label="Scores">{columns}</svg>'


def overview(graded: Sequence[Graded], lab: Lab) -> str:
    """Distribution, pass rate a task, every student, and the layers that were in force."""
    scores = [one.score for one in graded]
    highest = max(one.record.max_score for one in graded)
    title = f"{lab.short}: {lab.title}"
    names = {task.id: task.name for task in lab.tasks}
    passes: dict[str, list[bool]] = {}
    outcomes: Counter[str] = Counter()
    for one in graded:
        for verdict in one.record.verdicts():
            passes.setdefault(verdict.task, []).append(verdict.outcome == "passed")
            outcomes[verdict.outcome] += 1
    tasks = [
        [task, escape(names.get(task, "")), f"{sum(ok) / len(ok):.0%}", bar(sum(ok) / len(ok))]
        for task, ok in passes.items()
    ]
    students = [
        [
            f'<a href="students/{one.submission.slug}/feedback.html">'
            f"{escape(one.submission.student)}</a>",
            f"{one.score:g}",
            f"{one.days_late:g}" if one.days_late else "",
            escape(main_outcome(one)),
        ]
        for one in graded
    ]
    layers = {
        layer["layer"]: layer for one in graded for layer in one.record.extra_data.get("layers", [])
    }
    shown = [
        [escape(name), "in force" if layer["in_force"] else "absent", escape(layer["note"])]
        for name, layer in layers.items()
    ]
    head = ["student", f"score of {highest:g}", "days late", "first trouble"]
    said = [[escape(outcome), str(count)] for outcome, count in outcomes.most_common()]
    body = (
        f"<h1>{escape(title)}</h1><p class=note>{len(graded)} submissions, median "
        f"{statistics.median(scores):g} of {highest:g} points</p>"
        f"<h2>Scores</h2>{histogram(scores, highest)}"
        f"<h2>Tasks</h2>{table(['task', 'name', 'passed', ''], tasks, {2})}"
        f"<h2>Verdicts</h2>{table(['verdict', 'tasks'], said, {1})}"
        f"<h2>Students</h2>{table(head, students, {1, 2})}"
        f"<h2>Sandbox</h2>{table(['layer', 'state', ''], shown, set())}"
    )
    return page(title, body)


def main_outcome(one: Graded) -> str:
    """The first task that did not pass, and why."""
    for verdict in one.record.verdicts():
        if verdict.outcome != "passed":
            return f"{verdict.task}: {verdict.outcome}"
    return ""


def feedback(one: Graded, lab: Lab) -> str:
    """What a student may see: of hidden tests the outcome and the hint, no more."""

    def said(test: TestRecord) -> str:
        return test.output(hidden_too=False).removeprefix(test.outcome).strip()

    order = [verdict.task for verdict in one.record.verdicts()]
    names = {task.id: task.name for task in lab.tasks}
    rows = [
        [
            test.task,
            escape(names.get(test.task, "")),
            f"{test.score:g} / {test.max_score:g}",
            f'<span class="{"passed" if test.passed else "failed"}">{escape(test.outcome)}</span>'
            + (f"<pre>{escape(said(test))}</pre>" if not test.passed else ""),
        ]
        for test in sorted(one.record.tests, key=lambda test: order.index(test.task))
    ]
    late = f", after {one.days_late:g} days late" if one.days_late else ""
    body = (
        f"<h1>{escape(lab.short)}: {escape(lab.title)}</h1>"
        f"<p class=note>{escape(one.submission.student)}: {one.score:g} of "
        f"{one.record.max_score:g} points{late}</p>"
        f"{table(['task', 'name', 'points', 'verdict'], rows, {2})}"
    )
    return page(f"{lab.short}: {one.submission.student}", body)
