"""report.html for the instructor, and a page of feedback for each student."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup

from dlcourse import page
from dlcourse.course import Lab
from dlcourse.grade.submissions import Graded

__all__ = ["feedback", "overview"]

BINS = 10


def overview(graded: Sequence[Graded], left_out: Sequence[str], lab: Lab) -> str:
    """The class at a glance: scores, pass rates, every student, what was not read, the sandbox."""
    scores = [one.score for one in graded]
    highest = max(one.record.max_score for one in graded)
    bins = Counter(min(BINS - 1, int(BINS * score / highest)) if highest else 0 for score in scores)
    passes: dict[str, list[bool]] = {}
    outcomes: Counter[str] = Counter()
    for one in graded:
        for verdict in one.record.verdicts():
            passes.setdefault(verdict.task, []).append(verdict.outcome == "passed")
            outcomes[verdict.outcome] += 1
    names = {task.id: task.name for task in lab.tasks}
    layers = {
        layer["layer"]: layer for one in graded for layer in one.record.extra_data.get("layers", [])
    }
    return page.render(
        "grade/reports/overview.html.jinja",
        title=f"{lab.short}: {lab.title}",
        count=len(graded),
        median=f"{statistics.median(scores):g}",
        highest=highest,
        bins=[bins[at] for at in range(BINS)],
        rates=[[task, names.get(task, ""), *rate_of(passed)] for task, passed in passes.items()],
        outcomes=outcomes.most_common(),
        students=[
            [
                Markup('<a href="students/{}/feedback.html">{}</a>').format(
                    one.submission.slug, one.submission.student
                ),
                f"{one.score:g}",
                f"{one.days_late:g}" if one.days_late else "",
                "; ".join(one.remarks) or first_trouble(one),
            ]
            for one in graded
        ],
        left_out=left_out,
        layers=[
            [name, "in force" if layer["in_force"] else "absent", layer["note"]]
            for name, layer in layers.items()
        ],
    )


def rate_of(passed: list[bool]) -> tuple[str, Markup]:
    """The share that passed as a text and as a bar."""
    text = f"{sum(passed) / len(passed):.0%}"
    return text, Markup('<div class="bar"><i style="width: {}"></i></div>').format(text)


def first_trouble(one: Graded) -> str:
    """The first task that did not pass, and its outcome."""
    for verdict in one.record.verdicts():
        if verdict.outcome != "passed":
            return f"{verdict.task}: {verdict.outcome}"
    return ""


def feedback(one: Graded, lab: Lab) -> str:
    """What a student may see. Of a hidden test that is the outcome and the hint, no more."""
    order = [verdict.task for verdict in one.record.verdicts()]
    names = {task.id: task.name for task in lab.tasks}
    tests = [
        {
            "task": test.task,
            "name": names.get(test.task, ""),
            "points": f"{test.score:g} / {test.max_score:g}",
            "passed": test.passed,
            "outcome": test.outcome,
            "output": ""
            if one.said_on_top(test)
            else test.output(hidden_too=False).removeprefix(test.outcome).strip(),
        }
        for test in sorted(one.record.tests, key=lambda test: order.index(test.task))
    ]
    return page.render(
        "grade/reports/feedback.html.jinja",
        title=f"{lab.short}: {lab.title}",
        student=one.submission.student,
        score=f"{one.score:g} of {one.record.max_score:g} points",
        days_late=one.days_late,
        remarks=one.remarks,
        tests=tests,
    )
