"""grades.csv and junit.xml."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlcourse.course import Lab

if TYPE_CHECKING:
    from dlcourse.grade.batch import Graded

__all__ = ["csv_of", "junit_of"]


def csv_of(graded: Sequence[Graded], lab: Lab) -> str:
    """One row a student. Canvas reads Student, ID, SIS Login ID, Section and the lab's column;
    Moodle is told which columns to take."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    tasks = [task.id for task in lab.tasks]
    writer.writerow(
        ["Student", "ID", "SIS Login ID", "Section", lab.name, "raw score", "max score",
         "days late", *(f"task {task}" for task in tasks)]
    )  # fmt: skip
    for one in graded:
        scores = {verdict.task: verdict.score for verdict in one.record.verdicts()}
        writer.writerow(
            [
                *map(plain_cell, (one.submission.student, one.submission.id)),
                plain_cell(one.submission.id),
                "",
                f"{one.score:g}",
                f"{one.record.score:g}",
                f"{one.record.max_score:g}",
                f"{one.days_late:g}",
                *(f"{scores.get(task, 0):g}" for task in tasks),
            ]
        )
    return text.getvalue()


def plain_cell(text: str) -> str:
    """`text` so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def junit_of(graded: Sequence[Graded], lab: Lab) -> str:
    """One suite a student, one case a test."""
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
