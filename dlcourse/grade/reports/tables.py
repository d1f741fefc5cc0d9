"""grades.csv and junit.xml."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from dlcourse.course import Lab
from dlcourse.grade.submissions import Graded

__all__ = ["csv_of", "junit_of"]


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
