"""Late penalties: a function from a raw score to the one that counts; raw scores stay."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from dlcourse.errors import UsageError

__all__ = ["penalized", "read_days"]


def penalized(score: float, days_late: float, per_day: float = 0.1) -> float:
    """`score` less the fraction `per_day` for each day begun after the deadline, never below 0.

    >>> penalized(10.0, 1.2, per_day=0.1)
    8.0
    """
    if not 0 <= per_day <= 1:
        raise UsageError(f"the penalty a day must be a fraction from 0 to 1, got {per_day!r}")
    return round(score * max(0.0, 1 - per_day * math.ceil(max(0.0, days_late))), 6)


def read_days(path: Path) -> dict[str, float]:
    """Days late by student, from a CSV file with the columns `student` and `days_late`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return {row["student"]: float(row["days_late"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"cannot read {path}: {error}; expected columns student,days_late"
        ) from None
