"""Files that survive a crash.

A program that is killed while it writes leaves the old file or the new one, never half of one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["atomic_path", "write_text"]


@contextlib.contextmanager
def atomic_path(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the same folder; it becomes `path` when the block succeeds.

    If the block raises, `path` keeps its old content and the temporary file is deleted. The
    folder is made if it does not exist.

    sync: whether to wait until the content is on the disk, so that it also survives a power cut.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        if sync:
            with part.open("r+b") as file:
                os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, line ends unchanged, atomically."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8", newline="")
