"""A folder with one writer, and a journal in it: work that is killed continues where it stopped."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dlcourse.errors import DlcourseError, UsageError
from dlcourse.files import write_text

__all__ = ["Journal", "claimed_folder"]


@contextlib.contextmanager
def claimed_folder(
    folder: Path,
    name: str | None = None,
    about: Mapping[str, Any] | None = None,
    *,
    refuse: Callable[[Mapping[str, Any]], str | None] = lambda _: None,
    label: str = "folder",
    work: str = "run",
) -> Iterator[None]:
    """Be the only writer of `folder` while the block runs; make the folder if it is new.

    name: the file that says what the folder holds. A folder with other files but without this
        one is refused. None accepts every folder.
    about: what to write to `name` in a new folder.
    refuse: gets what an existing `name` holds and returns why this work may not go on there
        ("holds the grades of lab04"), or None if it may.
    label, work: how messages call the folder ("--out") and its writer ("batch").

    Raises UsageError for a folder that is refused, in use, or not writable.
    """
    where = f"{label} {str(folder)!r}"
    try:
        entries = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
        if name and name not in entries and entries - {".lock"}:
            raise UsageError(f"{where} holds other files; name an empty or a new folder")
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"another {work} writes into {where}; wait for it, or name another folder"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot write into {where}: {error.strerror or error}") from None
    with lock:
        if name:
            describe(folder / name, about or {}, refuse, where)
        yield


def describe(
    path: Path,
    about: Mapping[str, Any],
    refuse: Callable[[Mapping[str, Any]], str | None],
    where: str,
) -> None:
    """Write `about` to `path`, or compare with what is already there."""
    try:
        if not path.is_file():
            write_text(path, json.dumps(about, indent=2) + "\n")
        elif reason := refuse(json.loads(path.read_text(encoding="utf-8"))):
            raise UsageError(f"{where} {reason}; name another folder")
    except OSError as error:
        raise UsageError(f"cannot write into {where}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{where} is damaged: {path.name} cannot be read; name another folder"
        ) from None


class Journal:
    """Records by key in a file of JSON lines, appended one by one.

    Work that was killed reads its journal and continues after the last whole line. A subclass
    sets how a record is stored (`encode` to JSON's types, `decode` from them) and which error a
    failed write raises (`error`).
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
                # Another version's line is skipped: the work behind it is done again.
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    self.records[entry["key"]] = self.decode(entry["record"])
        try:
            self.file = path.open("ab")
            # A half-written last line is cut off, so that the next line starts fresh.
            self.file.truncate(whole)
        except OSError as error:
            raise self.cannot_write(path, error) from None

    def add(self, key: str, record: Any) -> None:
        """Append `record`; it is on the disk when this returns."""
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
        """The error for a file that could not be written."""
        return cls.error(
            f"cannot write {path}: {error.strerror}; fix that and run the same command again: "
            "finished work is kept"
        )
