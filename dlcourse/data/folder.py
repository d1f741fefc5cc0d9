"""Where data live, and files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from dlcourse.errors import DataError

__all__ = ["data_folder", "whole_file"]


def data_folder(data_dir: str | PathLike[str] | None = None) -> Path:
    """`data_dir`, else $DLCOURSE_DATA, else datasets/. Raises DataError where it is unreadable."""
    folder = Path(data_dir or os.environ.get("DLCOURSE_DATA") or "datasets")
    try:
        # Listing, not `access`: the latter errs on network disks and for root.
        with os.scandir(folder):
            pass
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DataError(
            f"cannot read data folder {str(folder)!r}: {error.strerror}; "
            "name another with --data-dir or DLCOURSE_DATA"
        ) from None
    return folder


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes its name only when the block ends well."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {str(path)!r}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
