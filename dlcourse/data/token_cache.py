"""The numbers of a large text, kept in the data folder: the text is read by words only once.

They are found by the hash of the text's files, so they are never those of an older text, and are
mapped into memory: only what is used is read. The folder can be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dlcourse.data.vocabulary import Vocabulary
from dlcourse.files import atomic_path, write_text

__all__ = ["FOLDER", "LEAST", "key_of", "load", "save"]

FOLDER = ".tokens"
LEAST = 20_000_000  # bytes: a smaller text takes seconds
VERSION = 1  # of how a text becomes numbers


def key_of(files: Sequence[Path], level: str, max_size: int | None) -> str:
    """The name of the numbers of a text in these files. Raises OSError."""
    found = hashlib.blake2b(repr((VERSION, level, max_size)).encode(), digest_size=16)
    for path in files:
        part = hashlib.blake2b(digest_size=16)
        with path.open("rb") as file:
            while piece := file.read(2**20):
                part.update(piece)
        found.update(part.digest())
    return found.hexdigest()


def load(folder: Path, key: str) -> tuple[Vocabulary, dict[str, Tensor]] | None:
    """The vocabulary, and the numbers of each split, if `save` has written them whole."""
    try:
        about = json.loads((folder / FOLDER / f"{key}.json").read_text(encoding="utf-8"))
        # "c": what a program writes into them stays in its own memory.
        numbers = torch.from_numpy(np.load(folder / FOLDER / f"{key}.npy", mmap_mode="c"))
        parts = numbers.split(list(about["lengths"].values()))
        return Vocabulary(about["vocabulary"]), dict(zip(about["lengths"], parts, strict=True))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        return None


def save(folder: Path, key: str, vocabulary: Vocabulary, numbers: Mapping[str, Tensor]) -> None:
    """Keep the numbers; without a word if the folder cannot be written, because they are a copy."""
    first = next(iter(numbers.values())).numpy()
    lengths = {split: len(part) for split, part in numbers.items()}
    with contextlib.suppress(OSError):
        with atomic_path(folder / FOLDER / f"{key}.npy") as path, path.open("wb") as file:
            header = {"descr": first.dtype.str, "fortran_order": False}
            shape = (sum(lengths.values()),)
            np.lib.format.write_array_header_1_0(file, {**header, "shape": shape})
            for part in numbers.values():
                part.numpy().tofile(file)
        about = {"lengths": lengths, "vocabulary": vocabulary.tokens}
        write_text(folder / FOLDER / f"{key}.json", json.dumps(about))
