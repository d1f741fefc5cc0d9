"""Check values that a user gives: whole numbers, and shares between 0 and 1."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from dlcourse.errors import UsageError

__all__ = ["check_share", "check_whole", "is_number"]


def is_number(value: object) -> bool:
    """Whether `value` is an int or a float; True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_whole(least: int = 1, /, **values: Any) -> None:
    """Raise UsageError for the first of `values`, by name, that is not a whole number of at least
    `least`. True and False do not count as numbers."""
    for name, value in values.items():
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise UsageError(f"{name} must be a whole number, at least {least}, got {value!r}")
        if value < least:
            raise UsageError(f"{name} must be at least {least}, got {value}")


def check_share(**values: Any) -> None:
    """Raise UsageError for the first of `values`, by name, that is not a number in [0, 1)."""
    for name, value in values.items():
        if not is_number(value) or not 0 <= value < 1:
            raise UsageError(f"{name} must be at least 0 and below 1, got {value!r}")
