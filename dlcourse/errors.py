"""The exceptions that dlcourse raises for its users, and the exit status of each.

    DlcourseError                 one line for the user, no traceback
    ├── UsageError                a wrong argument or flag                     exit 2
    │   └── UnknownNameError      an unknown name; offers the nearest one      exit 2
    ├── DataError                 data missing, damaged or unreadable          exit 2
    ├── TrainingError             training cannot continue                     exit 2
    │   └── NonFiniteLossError    the loss became NaN or infinite              exit 2
    └── GradingError              a submission could not be graded             exit 3

A message names the argument, the value received, what was expected, and the next step.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = [
    "DataError",
    "DlcourseError",
    "GradingError",
    "NonFiniteLossError",
    "TrainingError",
    "UnknownNameError",
    "UsageError",
]


class DlcourseError(Exception):
    """The root: an error whose message is meant for the user."""

    exit_status = 2


class UsageError(DlcourseError):
    """A wrong argument or flag."""


class UnknownNameError(UsageError):
    """A name that is not one of the choices. The message offers the nearest choice.

    >>> str(UnknownNameError("model", "lenet", ["mlp", "lenet5"]))
    "unknown model 'lenet'; did you mean 'lenet5'? (mlp, lenet5)"
    >>> str(UnknownNameError("optimizer", "SGD", ["adam", "sgd"]))
    "unknown optimizer 'SGD'; did you mean 'sgd'? (adam, sgd)"
    """

    def __init__(self, kind: str, name: str, choices: Iterable[str]) -> None:
        choices = list(choices)
        spelled = {choice.lower(): choice for choice in choices}
        near = difflib.get_close_matches(str(name).lower(), spelled, n=1, cutoff=0.5)
        hint = f"did you mean {spelled[near[0]]!r}?" if near else "choose one of"
        known = f"{hint} ({', '.join(choices)})" if choices else "there are none yet"
        super().__init__(f"unknown {kind} {name!r}; {known}")


class DataError(DlcourseError):
    """Data are missing, damaged or unreadable. The message names the file."""


class TrainingError(DlcourseError):
    """Training cannot continue."""


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite, or the monitor was NaN in every epoch.

    The model holds its best weights so far; without a best epoch the last ones.

    history: the History of the epochs before, if training has one.
    """

    history: Any = None


class GradingError(DlcourseError):
    """A submission, or a whole batch, could not be graded."""

    exit_status = 3
