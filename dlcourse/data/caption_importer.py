"""Turn images and a file of their captions into one `<name>.npz` (see `dlcourse.data.npz`)."""

from __future__ import annotations

import csv
import io
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from PIL import Image

from dlcourse.data.folder import data_folder, whole_file
from dlcourse.data.images import stratified_split
from dlcourse.data.importer import (
    FORMATS,
    LEAST_TO_TRAIN,
    NAMED,
    TEST_FRACTION,
    Store,
    checked_npz,
    decode_all,
    opened,
    refuse_bad,
    say,
)
from dlcourse.data.sentences import words
from dlcourse.data.text import read_text
from dlcourse.errors import DataError
from dlcourse.values import check_whole

__all__ = ["import_captioned"]

COLUMNS = ("image", "caption")
VAL_FRACTION = 0.1  # of the images that are not for testing

Row = tuple[int, PurePosixPath, str]  # line, image, caption


def import_captioned(
    name: str,
    path: str | PathLike[str],
    captions: str | PathLike[str],
    data_dir: str | PathLike[str] | None = None,
    *,
    size: int = 32,
    skip_bad: bool = False,
    force: bool = False,
    seed: int = 0,
) -> tuple[Path, dict[str, int]]:
    """Write `<name>.npz` from images and their captions; return its path and what it holds.

    path: a folder, zip or tar of images. captions: a UTF-8 file with the columns image (a path in
        `path`) and caption, which its first line names, separated by tabs if its name ends in .tsv,
        and otherwise by commas. Several lines for an image are several captions of it.
    size, force: as in `import_images`. skip_bad: leave out images that cannot be decoded or have
        no caption. seed: draws the fifth of the images for testing and then a tenth for validation.

    Raises UsageError, and DataError for images or a file of captions that cannot be used whole.
    """
    check_whole(size=size)
    check_whole(0, seed=seed)
    npz = checked_npz(name, data_folder(data_dir), force)
    path, captions = Path(path), Path(captions)
    rows = read_rows(captions)
    with opened(path) as members:
        files = {member.where: member for member in members if member.read}
        for line, where, _ in rows:
            if where not in files:
                raise DataError(
                    f"line {line} of {str(captions)!r} names the image {str(where)!r}, which is "
                    f"not in {str(path)!r}; correct its path there, or remove the line"
                )
        named = {where for _, where, _ in rows}
        Image.init()
        endings = {e for e, kind in Image.registered_extensions().items() if kind in FORMATS}
        silent = [w for w in files if w not in named and w.suffix.lower() in endings]
        if silent:
            first = ", ".join(map(str, silent[:NAMED])) + ", ..." * (len(silent) > NAMED)
            found = f"{len(silent)} of the images in {str(path)!r} have no caption: {first}"
            if not skip_bad:
                raise DataError(f"{found}; add captions, or leave them out with --skip-bad")
            say(f"left out: {found}")
        order = sorted(named)
        store = Store(npz, [files[where] for where in order], size, gray=False)
        bad = decode_all(store, size, gray=False)
    refuse_bad(bad, len(order), path, skip_bad)
    kept = torch.tensor([place for place, where in enumerate(order) if str(where) not in bad])
    splits = choose_splits(kept, path, seed)
    arrays: dict[str, Any] = {}
    for split, places in splits.items():
        number = {order[place]: n for n, place in enumerate(places.tolist())}
        found_rows = [(text, number[where]) for _, where, text in rows if where in number]
        arrays[f"{split}_images"] = store.pixels[places.numpy()]
        arrays[f"{split}_captions"] = np.array([text for text, _ in found_rows])
        arrays[f"{split}_places"] = np.array([place for _, place in found_rows], np.int64)
    with whole_file(npz) as part, open(part, "wb") as file:
        np.savez(file, **arrays)
    store.remove()
    counts = {split: len(places) for split, places in splits.items()}
    return npz, counts | {"captions": sum(len(arrays[f"{split}_captions"]) for split in splits)}


def choose_splits(kept: torch.Tensor, path: Path, seed: int) -> dict[str, torch.Tensor]:
    """The places of the images of each split. Raises DataError if they are too few."""
    generator = torch.Generator().manual_seed(seed)
    least = LEAST_TO_TRAIN + 1
    if len(kept) < least:
        raise DataError(
            f"{str(path)!r} has {len(kept)} images with captions: too few to be split into "
            f"training, validation and test; {least} are needed"
        )
    rest, test = stratified_split(torch.zeros_like(kept), TEST_FRACTION, generator)
    train, val = stratified_split(torch.zeros_like(rest), VAL_FRACTION, generator)
    return {"train": kept[rest[train]], "val": kept[rest[val]], "test": kept[test]}


def read_rows(path: Path) -> list[Row]:
    """The line, image and caption of each row. Raises DataError, naming the line."""
    tabs = path.suffix.lower() == ".tsv"
    between, kind = ("\t", "tabs") if tabs else (",", "commas")
    text = io.StringIO(read_text(path).decode(), newline="")
    reader = csv.reader(text, delimiter=between, strict=True)
    rows: list[Row] = []
    try:
        heading = next(filter(None, reader), [])
        names = [name.strip().lower() for name in heading]
        for column in COLUMNS:
            if names.count(column) != 1:
                raise DataError(
                    f"the first line of {str(path)!r} must name the columns image and caption, "
                    f"separated by {kind}, once each; it names {', '.join(map(repr, heading))}"
                )
        for row in filter(None, reader):
            at = f"line {reader.line_num} of {str(path)!r}"
            if len(row) != len(names):
                raise DataError(
                    f"{at} has {len(row)} columns, but the first line has {len(names)}; put a "
                    f'caption that holds {kind} in double quotes ("...")'
                )
            image, caption = (row[names.index(column)].strip() for column in COLUMNS)
            if not words(caption):
                raise DataError(f"{at} has an empty caption; write one, or remove the line")
            rows.append((reader.line_num, PurePosixPath(image.replace("\\", "/")), caption))
    except csv.Error as error:
        raise DataError(
            f"line {reader.line_num} of {str(path)!r} cannot be read: {error}; put a caption that "
            "holds double quotes in double quotes, and write each quote in it twice"
        ) from None
    if not rows:
        raise DataError(f"{str(path)!r} has no lines of captions below its first line")
    return rows
