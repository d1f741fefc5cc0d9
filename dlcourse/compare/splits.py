"""The data of a run: loaded once in each process, then cut and relabeled for the run."""

from __future__ import annotations

import contextlib
import copy
import functools
import os

import torch

from dlcourse import data
from dlcourse.compare.settings import Environment, RunSettings
from dlcourse.data import Batches, ImageData
from dlcourse.errors import DataError, UsageError

__all__ = ["images", "splits"]


def images(name: str, environment: Environment) -> ImageData:
    """The data set called `name`; after the first time from memory.

    Raises DataError if it is synthetic in this process and real in the study, or the reverse.
    """
    known = environment.synthetic is not None
    with contextlib.ExitStack() as stack:
        if known:  # then the study has already printed that the data are synthetic
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
        found = load(name, environment.data_dir, environment.offline)
    if known and found.synthetic != environment.synthetic:
        kind = "synthetic" if environment.synthetic else "real"
        raise DataError(
            f"the study uses {kind} {name} data, but this worker found {found.source}; give both "
            "the same data folder"
        )
    return found


@functools.lru_cache(maxsize=2)
def load(name: str, data_dir: str | None, offline: bool) -> ImageData:
    entry = data.CATALOG.get(name)
    if entry is not None and entry.kind != "images":
        names = [one.name for one in data.CATALOG.values() if one.kind == "images"]
        raise UsageError(
            f"data set {name!r} is {entry.kind}; a comparison trains image classifiers: choose "
            f"one of {', '.join(names)}"
        )
    return data.load(name, data_dir, offline=offline)


@functools.lru_cache(maxsize=4)
def base_splits(
    name: str, environment: Environment, limit: int | None, val_fraction: float, normalize: str
) -> tuple[Batches, Batches, Batches]:
    return images(name, environment).batches(
        limit=limit,
        val_fraction=val_fraction,
        normalize=normalize,
        device=environment.device or "cpu",
    )


def splits(run: RunSettings, environment: Environment) -> tuple[Batches, Batches, Batches]:
    """The training, validation and test batches of a run.

    The order of the training batches is a function of the run's seed and the epoch alone. A
    smaller `train_size` is a part of a larger one. The labels that a smaller `random_labels`
    redraws are among those that a larger one redraws. Validation and test labels stay true.

    Raises UsageError for a `train_size` above the number of training images.
    """
    wanted = run.splits
    base = base_splits(
        run.data, environment.for_worker(), wanted.limit, wanted.val_fraction, wanted.normalize
    )
    train, val, test = (copy.copy(batches) for batches in base)
    for batches in (train, val, test):
        batches.batch_size, batches.seed, batches.epoch = wanted.batch_size, run.seed, 0
    train.drop_last = wanted.drop_last
    generator = torch.Generator().manual_seed(0)
    order = train.indices[torch.randperm(len(train.indices), generator=generator)]
    size = wanted.train_size
    if size is not None:
        if size > len(order):
            raise UsageError(f"train_size must be at most {len(order)} here, got {size}")
        train.indices = order = order[:size]
    if share := wanted.random_labels:
        chosen = order[: round(share * len(order))].to(train.labels.device)
        num_classes = int(train.labels.max()) + 1
        drawn = torch.randint(num_classes, (len(order),), generator=generator)[: len(chosen)]
        train.labels = train.labels.clone()
        train.labels[chosen] = drawn.to(train.labels)
    return train, val, test
