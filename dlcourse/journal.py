"""What long work has done, line by line, so that killed work goes on where it was."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlcourse.errors import DlcourseError

__all__ = ["Journal"]


class Journal:
    """Records by key in an append-only file of JSON lines; a line is whole or not there.

    A subclass says what a record is (`encode` to JSON's types, `decode` from them) and what is
    raised where the file cannot be written (`error`).
    """

    encode: Callable[[Any], Any] = staticmethod(lambda record: record)
    decode: Callable[[Any], Any] = staticmethod(lambda record: record)
    error: type[DlcourseError] = DlcourseError

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, Any] = {}
        whole = 0
        if path.is_file():
            for line in path.read_bytes().splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                # A line of another version's is passed over: what it records is done again.
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    self.records[entry["key"]] = self.decode(entry["record"])
        try:
            self.file = path.open("ab")
            # A torn last line goes, so that the next one does not hang on it.
            self.file.truncate(whole)
        except OSError as error:
            raise self.cannot_write(path, error) from None

    def add(self, key: str, record: Any) -> None:
        line = json.dumps({"key": key, "record": self.encode(record)}).encode() + b"\n"
        try:
            self.file.write(line)
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:
            raise self.cannot_write(self.path, error) from None
        self.records[key] = record

    def close(self) -> None:
        self.file.close()

    @classmethod
    def cannot_write(cls, path: Path, error: OSError) -> DlcourseError:
        return cls.error(
            f"cannot write {path}: {error.strerror}; mend that and run the same command again: "
            "what is done stays"
        )
