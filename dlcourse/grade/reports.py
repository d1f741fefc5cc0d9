"""Reports of a batch: a table, Gradescope's JSON, JUnit XML and HTML, all from the same records."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import statistics
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from dlcourse import page
from dlcourse.check.record import BY_HAND, COULD_NOT, Record
from dlcourse.course import Lab
from dlcourse.files import atomic_path, write_text
from dlcourse.grade import returns
from dlcourse.grade.item_statistics import item_statistics
from dlcourse.grade.returns import Worksheet, number, plain_cell
from dlcourse.grade.roster import Student
from dlcourse.grade.submissions import Graded, listed

__all__ = ["Class", "write_reports"]

BINS = 10  # of the histogram of scores


@dataclass
class Class:
    """What the reports of a batch show: the graded, who is on the roster but handed in nothing, and
    a line for each entry of the folder that belongs to no submission."""

    graded: Sequence[Graded]
    left_out: Sequence[str] = ()
    nothing: Sequence[Student] = ()


def write_reports(
    batch: Class, lab: Lab, out: Path, column: str = "", worksheet: Worksheet | None = None
) -> list[str]:
    """Write all reports to `out`, and return lines about what could not be written.

    Files of an earlier run that this one does not write again are deleted: their grades are old.
    column: the name of Canvas's assignment. worksheet: Moodle's, to be filled.
    """
    graded, said = batch.graded, []
    # The lab's files are read once, not for each student.
    title, names = f"{lab.short}: {lab.title}", {task.id: task.name for task in lab.tasks}
    write_text(out / "details.csv", details_csv(batch, lab))
    write_text(out / "junit.xml", junit_of(graded, lab))
    write_text(out / "report.html", overview(batch, title, names))
    pages = {one.submission: feedback(one, title, names) for one in graded}
    for one in graded:
        folder = out / "students" / one.submission.slug
        write_text(folder / "results.json", json.dumps(gradescope(one), indent=1) + "\n")
        write_text(folder / "feedback.html", pages[one.submission])
    canvas = returns.canvas_csv(graded, column or lab.name)
    if canvas is None:
        said.append("canvas.csv: not written, Canvas imports no grades of anonymous submissions")
    else:
        write_text(out / "canvas.csv", canvas)
    if worksheet:
        text, lines = returns.worksheet_csv(worksheet, graded)
        write_text(out / "moodle.csv", text)
        said += lines
    if archive := returns.feedback_zip(graded, pages):
        with atomic_path(out / "moodle_feedback.zip") as part:
            part.write_bytes(archive)
    if canvas is None:
        (out / "canvas.csv").unlink(missing_ok=True)
    if not worksheet and (out / "moodle.csv").is_file():
        (out / "moodle.csv").unlink()
        said.append("moodle.csv: deleted, its grades were old; give --worksheet to write it again")
    if not archive:
        (out / "moodle_feedback.zip").unlink(missing_ok=True)
    return said + delete_old(out / "students", {one.submission.slug for one in graded})


def delete_old(students: Path, slugs: set[str]) -> list[str]:
    """Delete the reports of students who have none in this run; return a line that names them."""
    gone = []
    for folder in sorted(students.iterdir()) if students.is_dir() else ():
        if folder.name not in slugs and (folder / "results.json").is_file():
            for name in ("results.json", "feedback.html"):
                (folder / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # someone has put more into it
                folder.rmdir()
            gone.append(folder.name)
    return [f"students: deleted, as none of this name is graded now: {listed(gone)}"] * bool(gone)


def gradescope(one: Graded) -> dict[str, Any]:
    """What Gradescope's results.json shows to the student. The remarks stand on top, once.

    https://gradescope-autograders.readthedocs.io/en/latest/specs/
    """
    order = [verdict.task for verdict in one.record.verdicts()]
    tests = sorted(one.record.tests, key=lambda test: order.index(test.task))
    record = replace(one.record, tests=tests)
    shown = {**record.as_dict(hidden_too=False), "score": one.score}
    for test, entry in zip(tests, shown["tests"], strict=True):
        if one.said_on_top(test):
            entry["output"] = test.told
    lines = [*one.remarks, *hidden_points(record)]
    return {**shown, "output": "\n".join(lines)} if lines else shown


def hidden_points(record: Record) -> list[str]:
    """A line on the points of hidden tests, if there are any."""
    hidden = sum(test.max_score for test in record.tests if test.hidden)
    if not hidden:
        return []
    return [
        f"{hidden:g} of the {record.max_score:g} points are for hidden tests, which try other "
        "inputs and show only their outcome."
    ]


def details_csv(batch: Class, lab: Lab) -> str:
    """A row for each student, for who handed in nothing, and for each entry that was left out.

    It begins with a byte order mark, without which Excel takes UTF-8 for another encoding.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    tasks = list(dict.fromkeys(v.task for one in batch.graded for v in one.record.verdicts()))
    writer.writerow(
        [
            *("student", "id", "sis id", "login", "e-mail", "section", "group"),
            *("score", "raw score", "max score", "days late"),
            *(f"task {task}" for task in tasks),
            *("file", "remarks"),
        ]
    )
    for one in batch.graded:
        student = one.submission
        verdicts = one.record.verdicts()
        scores = {v.task: "" if v.outcome == COULD_NOT else number(v.score) for v in verdicts}
        raw = "" if "" in scores.values() else number(one.record.score)
        writer.writerow(
            [
                *map(plain_cell, (student.student, student.id, student.sis_id, student.login)),
                *map(plain_cell, (student.email, student.section, student.group)),
                *(returns.grade(one), raw, number(one.record.max_score), number(one.days_late)),
                *(scores.get(task, "0") for task in tasks),
                *map(plain_cell, (student.file, "; ".join(one.remarks))),
            ]
        )
    empty = [""] * (len(tasks) + 5)
    for missing in batch.nothing:
        who = (missing.name, missing.id, missing.sis_id, missing.login, missing.email)
        writer.writerow(
            [*map(plain_cell, (*who, missing.section)), "", *empty, "handed in nothing"]
        )
    for line in batch.left_out:
        writer.writerow([*[""] * 7, *empty, plain_cell(line)])
    return "\ufeff" + text.getvalue()


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


def overview(batch: Class, title: str, names: dict[str, str]) -> str:
    """The class at a glance: scores, pass rates, every student, what was not read, the sandbox.

    title: of the lab. names: what is to be written, by the id of the task.
    """
    graded = batch.graded
    scores = [one.score for one in graded if one.is_known]
    highest = max(one.record.max_score for one in graded)
    bins = Counter(min(BINS - 1, int(BINS * score / highest)) if highest else 0 for score in scores)
    passes: dict[str, list[bool]] = {}
    outcomes: Counter[str] = Counter()
    for one in graded:
        for verdict in one.record.verdicts():
            outcomes[verdict.outcome] += 1
            full = verdict.outcome == BY_HAND and verdict.score >= verdict.max_score
            if verdict.outcome != COULD_NOT:
                passes.setdefault(verdict.task, []).append(verdict.outcome == "passed" or full)
    layers = {
        layer["layer"]: layer for one in graded for layer in one.record.extra_data.get("layers", [])
    }
    return page.render(
        "grade/overview.html.jinja",
        title=title,
        count=len(graded),
        median=f"{statistics.median(scores):g}" if scores else "unknown",
        highest=highest,
        bins=[bins[at] for at in range(BINS)],
        rates=[[task, names.get(task, ""), *rate_of(passed)] for task, passed in passes.items()],
        outcomes=outcomes.most_common(),
        students=[
            [
                Markup('<a href="students/{}/feedback.html">{}</a>').format(
                    one.submission.slug, one.submission.student
                ),
                f"{one.score:g}" if one.is_known else "?",
                f"{one.days_late:g}" if one.days_late else "",
                "; ".join(one.remarks) or first_trouble(one),
            ]
            for one in graded
        ],
        tests=[
            [
                test.task,
                f"{test.name} (hidden)" if test.hidden else test.name,
                f"{test.mean:.2f} of {test.max_score:g}",
                f"{test.spread:.2f}",
                f"{test.pass_rate:.0%}",
                "" if test.discrimination is None else f"{test.discrimination:.2f}",
            ]
            for test in item_statistics(
                [one.record for one in graded if not one.submission.problem]
            )
        ],
        unread=[
            [one.submission.student, one.submission.file, one.submission.problem]
            for one in graded
            if one.submission.problem
        ],
        nothing=[[missing.name, missing.id, missing.email] for missing in batch.nothing],
        left_out=batch.left_out,
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


def feedback(one: Graded, title: str, names: dict[str, str]) -> str:
    """What a student may see. Of a hidden test that is the outcome and the hint, no more.

    title, names: as for `overview`.
    """
    order = [verdict.task for verdict in one.record.verdicts()]
    tests = [
        {
            "task": test.task,
            "name": names.get(test.task, ""),
            "points": f"{test.score:+g}"
            if test.outcome == BY_HAND and not test.max_score
            else f"{test.score:g} / {test.max_score:g}",
            "passed": test.passed,
            "outcome": test.told,
            "output": ""
            if one.said_on_top(test)
            else test.output(hidden_too=False).removeprefix(test.told).strip(),
        }
        for test in sorted(one.record.tests, key=lambda test: order.index(test.task))
    ]
    return page.render(
        "grade/feedback.html.jinja",
        title=title,
        student=one.submission.student,
        score=f"{f'{one.score:g}' if one.is_known else '?'} of {one.record.max_score:g} points",
        days_late=one.days_late,
        remarks=one.remarks,
        tests=tests,
    )
