"""What a batch has graded, so that a killed one goes on where it was."""

from __future__ import annotations

from dlcourse import journal
from dlcourse.check.record import Record
from dlcourse.errors import GradingError

__all__ = ["Journal"]


class Journal(journal.Journal):
    """Records of submissions by key."""

    encode = staticmethod(Record.to_journal)
    decode = staticmethod(Record.from_journal)
    error = GradingError
