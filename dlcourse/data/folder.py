"""Where data are stored, how splits are named there, and files that are written completely."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from dlcourse.errors import DataError
from dlcourse.files import atomic_path

__all__ = ["data_folder", "split_files", "split_of", "whole_file"]

SPLIT_NAMES = {
    "train": ("train", "training", "trn", "trainset", "trainingset"),
    "val": ("val", "valid", "validation", "valset", "dev", "devset", "devel", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "testset", "testingset"),
}
# Words that people add to the name of a split.
FILLERS = {"", "set", "data", "dataset", "images", "image", "imgs", "img", "seg", "split", "folder"}


def data_folder(data_dir: str | PathLike[str] | None = None) -> Path:
    """`data_dir`, else $DLCOURSE_DATA, else datasets/. Raises DataError if it is not readable."""
    folder = Path(data_dir or os.environ.get("DLCOURSE_DATA") or "datasets")
    try:
        # `access` gives wrong answers on network disks and for root; listing does not.
        with os.scandir(folder):
            pass
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DataError(
            f"cannot read data folder {str(folder)!r}: {error.strerror}; "
            "name another one with --data-dir or DLCOURSE_DATA"
        ) from None
    return folder


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """`dlcourse.files.atomic_path`, but a failed write is a DataError."""
    try:
        with atomic_path(path) as part:
            yield part
    except OSError as error:
        raise DataError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def split_of(name: str, fillers: bool = True) -> str | None:
    """The split that the name of a folder or file means, in any case, or None.

    fillers: whether only words such as "set" or "images" may come with it; a file's name
    (`wiki.valid.tokens`) may have any other words.

    >>> split_of("Train"), split_of("seg_test"), split_of("train station"), split_of("ants")
    ('train', 'test', None, None)
    """
    words = set(re.split(r"[^a-z]+", name.lower()))
    found = [split for split, names in SPLIT_NAMES.items() if words & set(names)]
    rest = words - FILLERS - set(SPLIT_NAMES[found[0]]) if found else words
    return found[0] if len(found) == 1 and not (fillers and rest) else None


def split_files(folder: Path) -> dict[str, list[Path]]:
    """The visible files in `folder` whose names mean train, val and test, for example
    `ptb.valid.txt`.
    """
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    found: dict[str, list[Path]] = {split: [] for split in SPLIT_NAMES}
    for path in files:
        split = split_of(path.name, fillers=False)
        if split and not path.name.startswith("."):
            found[split].append(path)
    return found
