"""Grading: what a lab's tests import, and what turns a lab into a record of points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dlcourse.grade.points import award, points

if TYPE_CHECKING:
    from dlcourse.course import Lab
    from dlcourse.grade.record import Record

__all__ = ["award", "check", "points"]


def check(lab: Lab, file: Path | None = None, task: str | None = None) -> Record:
    """Grade `file` (default: the student's script of `lab`) in this process; see `in_process`."""
    from dlcourse.grade import in_process

    return in_process.check(lab, file, task)
