"""The data of a run: loaded once a process, cut and relabeled as the run's settings say."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
from dataclasses import dataclass
from typing import Any

import torch

from dlcourse import data
from dlcourse.data import Batches, ImageData
from dlcourse.errors import DataError, UsageError

__all__ = ["Place", "images", "splits"]


@dataclass(frozen=True)
class Place:
    """Where runs happen: what every process that runs them must be told."""

    data_dir: str | None = None
    offline: bool = False
    device: str = "cpu"
    threads: int | None = None
    synthetic: bool | None = None


def images(name: str, place: Place) -> ImageData:
    """The data set called `name`, from memory after the first time."""
    if place.synthetic is None:
        return load(name, place.data_dir, place.offline)
    # A worker repeats what the study has said already.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        found = load(name, place.data_dir, place.offline)
    if found.synthetic != place.synthetic:
        raise DataError(
            f"the study has {'synthetic' if place.synthetic else 'real'} {name} data, this worker "
            f"found {found.source}; give both the same data folder"
        )
    return found


@functools.lru_cache(maxsize=2)
def load(name: str, data_dir: str | None, offline: bool) -> ImageData:
    return data.load(name, data_dir, offline=offline)


@functools.lru_cache(maxsize=4)
def base_splits(
    name: str, place: Place, limit: int | None, val_fraction: float, whiten: str
) -> tuple[Batches, Batches, Batches]:
    return images(name, place).batches(
        limit=limit, val_fraction=val_fraction, normalize=whiten, device=place.device
    )


def splits(
    name: str, settings: dict[str, Any], seed: int, place: Place
) -> tuple[Batches, Batches, Batches]:
    """Batches to train on, validate on and test on, as `axes.DATA` settings say.

    The order of the training batches is a function of `seed` and the epoch alone. A smaller
    train_size is a part of a larger one; the labels redrawn at a smaller share are among those
    redrawn at a larger one; validation and test labels stay true.
    """
    base = base_splits(name, place, settings["limit"], settings["val_fraction"], settings["whiten"])
    train, val, test = (copy.copy(batches) for batches in base)
    for batches in (train, val, test):
        batches.batch_size, batches.seed, batches.epoch = settings["batch_size"], seed, 0
    generator = torch.Generator().manual_seed(0)
    order = train.indices[torch.randperm(len(train.indices), generator=generator)]
    size = settings["train_size"]
    if size is not None:
        if size > len(order):
            raise UsageError(f"train_size must be at most {len(order)} here, got {size}")
        train.indices = order = order[:size]
    if share := settings["random_labels"]:
        chosen = order[: round(share * len(order))].to(train.labels.device)
        num_classes = int(train.labels.max()) + 1
        drawn = torch.randint(num_classes, (len(order),), generator=generator)[: len(chosen)]
        train.labels = train.labels.clone()
        train.labels[chosen] = drawn.to(train.labels)
    return train, val, test
