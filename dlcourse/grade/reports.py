"""Reports of a batch: CSV, Gradescope's JSON, JUnit XML and HTML, all from the same records."""

from __future__ import annotations

import csv
import io
import json
import statistics
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from dlcourse import page
from dlcourse.course import Lab
from dlcourse.files import write_text
from dlcourse.grade.submissions import Graded

__all__ = ["write_reports"]

BINS = 10  # of the histogram of scores


def write_reports(graded: Sequence[Graded], left_out: Sequence[str], lab: Lab, out: Path) -> None:
    """Write grades.csv, junit.xml, report.html, and for each student a folder that they may see.

    left_out: a line for each entry of the folder that belongs to no submission.
    """
    write_text(out / "grades.csv", csv_of(graded, left_out, lab))
    write_text(out / "junit.xml", junit_of(graded, lab))
    write_text(out / "report.html", overview(graded, left_out, lab))
    for one in graded:
        folder = out / "students" / one.submission.slug
        write_text(folder / "results.json", json.dumps(gradescope(one), indent=1) + "\n")
        write_text(folder / "feedback.html", feedback(one, lab))


def gradescope(one: Graded) -> dict[str, Any]:
    """What Gradescope's results.json shows to the student. The remarks stand on top, once."""
    record = {**one.record.as_dict(hidden_too=False), "score": one.score}
    if one.remarks:
        record["output"] = "\n".join(one.remarks)
        for test, shown in zip(one.record.tests, record["tests"], strict=True):
            if one.said_on_top(test):
                shown["output"] = test.outcome
    return record


def csv_of(graded: Sequence[Graded], left_out: Sequence[str], lab: Lab) -> str:
    """A row for each student, then one without a student for each entry that was left out.

    Canvas reads Student, ID, SIS Login ID, Section and the lab's column; in Moodle, say which
    column is which. Not for import: what was not graded and why, in the column `remarks`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    tasks = [task.id for task in lab.tasks]
    head = [
        *("Student", "ID", "SIS Login ID", "Section", lab.name),
        *("raw score", "max score", "days late"),
        *(f"task {task}" for task in tasks),
        *("e-mail", "file", "remarks"),
    ]
    writer.writerow(head)
    for one in graded:
        handed_in = one.submission
        scores = {verdict.task: verdict.score for verdict in one.record.verdicts()}
        writer.writerow(
            [
                plain_cell(handed_in.student),
                plain_cell(handed_in.id),
                plain_cell(handed_in.login or handed_in.id),
                "",
                f"{one.score:g}",
                f"{one.record.score:g}",
                f"{one.record.max_score:g}",
                f"{one.days_late:g}",
                *(f"{scores.get(task, 0):g}" for task in tasks),
                *map(plain_cell, (handed_in.email, handed_in.file, "; ".join(one.remarks))),
            ]
        )
    for line in left_out:
        writer.writerow(["" for _ in head[1:]] + [plain_cell(line)])
    return text.getvalue()


def plain_cell(text: str) -> str:
    """`text`, marked so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def junit_of(graded: Sequence[Graded], lab: Lab) -> str:
    """A suite for each student, a case for each test."""
    root = ET.Element("testsuites", name=lab.name)
    for one in graded:
        tests = one.record.tests
        errors = sum(test.outcome == "could not check" for test in tests)
        failed = sum(not test.passed for test in tests) - errors
        suite = ET.SubElement(
            root,
            "testsuite",
            name=one.submission.student,
            tests=str(len(tests)),
            failures=str(failed),
            errors=str(errors),
            time=f"{one.record.execution_time:.3f}",
        )
        for test in tests:
            case = ET.SubElement(
                suite, "testcase", name=test.name, classname=f"task {test.task}",
                time=f"{test.seconds:.3f}",
            )  # fmt: skip
            if not test.passed:
                kind = "error" if test.outcome == "could not check" else "failure"
                ET.SubElement(case, kind, message=test.outcome).text = test.output(hidden_too=True)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


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
        "grade/overview.html.jinja",
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
        "grade/feedback.html.jinja",
        title=f"{lab.short}: {lab.title}",
        student=one.submission.student,
        score=f"{one.score:g} of {one.record.max_score:g} points",
        days_late=one.days_late,
        remarks=one.remarks,
        tests=tests,
    )
