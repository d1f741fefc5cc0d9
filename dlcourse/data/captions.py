"""Images with captions, from a `<name>.npz` that `dlcourse data import --captions` writes."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from dlcourse.data.folder import data_folder
from dlcourse.data.npz import is_captioned, read_captioned
from dlcourse.data.sentences import words
from dlcourse.errors import DataError, UnknownNameError

__all__ = ["Captioned", "CaptionedImages", "load_captioned"]


class Captioned(NamedTuple):
    """Images uint8 (N, 3, S, S), and the captions of each of them as words."""

    images: Tensor
    captions: list[list[list[str]]]


class CaptionedImages(NamedTuple):
    """Images with captions in three splits, which share no image file."""

    name: str
    source: str
    train: Captioned
    val: Captioned
    test: Captioned


def load_captioned(name: str, data_dir: str | PathLike[str] | None = None) -> CaptionedImages:
    """The images with captions that `dlcourse data import NAME FOLDER --captions FILE` wrote.

    data_dir: the data folder, else $DLCOURSE_DATA, else datasets/. The captions are split into
    words in small letters, as the sentences of `load_pairs` are.

    Raises UnknownNameError if there are no images with captions of this name, and DataError for a
    damaged file.
    """
    folder = data_folder(data_dir)
    path = folder / f"{name}.npz"
    if Path(name).name != name or not is_captioned(path):
        own = [found.stem for found in sorted(folder.glob("*.npz")) if is_captioned(found)]
        if not own:
            raise DataError(
                f"folder '{folder}' holds no captioned images, so there are no {name!r}; import "
                "some: dlcourse data import NAME PATH --captions FILE"
            )
        raise UnknownNameError("captioned images", name, own)
    splits = []
    for images, texts, places in read_captioned(path).values():
        captions: list[list[list[str]]] = [[] for _ in images]
        for text, place in zip(texts.tolist(), places.tolist(), strict=True):
            captions[place].append(words(text))
        splits.append(Captioned(torch.from_numpy(images), captions))
    return CaptionedImages(name, f"{name} from {path}", *splits)
