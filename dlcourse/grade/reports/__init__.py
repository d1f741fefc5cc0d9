"""Reports of a batch: CSV, Gradescope's JSON, JUnit XML and HTML, all from the same records."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlcourse.course import Lab
from dlcourse.grade.reports import html, tables

if TYPE_CHECKING:
    from dlcourse.grade.batch import Graded

__all__ = ["write_reports"]


def write_reports(graded: Sequence[Graded], lab: Lab, out: Path) -> None:
    """Write grades.csv, junit.xml, report.html, and a folder a student with what they may see."""
    save(out / "grades.csv", tables.csv_of(graded, lab))
    save(out / "junit.xml", tables.junit_of(graded, lab))
    save(out / "report.html", html.overview(graded, lab))
    for one in graded:
        folder = out / "students" / one.submission.slug
        folder.mkdir(parents=True, exist_ok=True)
        record = {**one.record.as_dict(hidden_too=False), "score": one.score}
        save(folder / "results.json", json.dumps(record, indent=1) + "\n")
        save(folder / "feedback.html", html.feedback(one, lab))


def save(path: Path, text: str) -> None:
    """Write whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="")
    os.replace(part, path)
