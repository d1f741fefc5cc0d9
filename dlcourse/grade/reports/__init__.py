"""Reports of a batch: CSV, Gradescope's JSON, JUnit XML and HTML, all from the same records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcourse.course import Lab
from dlcourse.files import write_text
from dlcourse.grade.reports import html, tables
from dlcourse.grade.submissions import Graded

__all__ = ["write_reports"]


def write_reports(graded: Sequence[Graded], left_out: Sequence[str], lab: Lab, out: Path) -> None:
    """Write grades.csv, junit.xml, report.html, and for each student a folder that they may see.

    left_out: a line for each entry of the folder that belongs to no submission.
    """
    write_text(out / "grades.csv", tables.csv_of(graded, left_out, lab))
    write_text(out / "junit.xml", tables.junit_of(graded, lab))
    write_text(out / "report.html", html.overview(graded, left_out, lab))
    for one in graded:
        folder = out / "students" / one.submission.slug
        write_text(folder / "results.json", json.dumps(gradescope(one), indent=1) + "\n")
        write_text(folder / "feedback.html", html.feedback(one, lab))


def gradescope(one: Graded) -> dict[str, Any]:
    """What Gradescope's results.json shows to the student. The remarks stand on top, once."""
    record = {**one.record.as_dict(hidden_too=False), "score": one.score}
    if one.remarks:
        record["output"] = "\n".join(one.remarks)
        for test, shown in zip(one.record.tests, record["tests"], strict=True):
            if one.said_on_top(test):
                shown["output"] = test.outcome
    return record
