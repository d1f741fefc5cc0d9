"""What a batch has done, line by line, so that a killed one goes on where it was."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from dlcourse.errors import GradingError
from dlcourse.grade.record import Record

__all__ = ["Journal"]


class Journal:
    """Records by key in an append-only file; a line is whole or, after a kill, not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, Record] = {}
        whole = 0
        if path.is_file():
            for line in path.read_bytes().splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                # A line of another version's is passed over: what it graded is graded again.
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    self.records[entry["key"]] = Record.from_journal(entry["record"])
        try:
            self.file = path.open("ab")
            # A torn last line goes, so that the next one does not hang on it.
            self.file.truncate(whole)
        except OSError as error:
            raise cannot_write(path, error) from None

    def add(self, key: str, record: Record) -> None:
        line = json.dumps({"key": key, "record": record.to_journal()}).encode() + b"\n"
        try:
            self.file.write(line)
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:
            raise cannot_write(self.path, error) from None
        self.records[key] = record

    def close(self) -> None:
        self.file.close()


def cannot_write(path: Path, error: OSError) -> GradingError:
    return GradingError(
        f"cannot write {path}: {error.strerror}; mend that and run the same command again: "
        "what is graded stays"
    )
