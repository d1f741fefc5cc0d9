"""One run: its data, its model, its training with `fit`, and its scores."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import io
import math
import os
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from dlcourse import data, init, models, optim
from dlcourse.compare.result import Result, plain
from dlcourse.compare.settings import (
    FIT,
    OBJECTS,
    ONLY_IMAGES,
    ONLY_TEXT,
    Environment,
    RunSettings,
    model_parameters,
)
from dlcourse.data import Batches, ImageData, TextBatches, TextData, catalog
from dlcourse.data.folder import data_folder
from dlcourse.errors import DataError, NonFiniteLossError, UnknownNameError, UsageError
from dlcourse.train import Callback, evaluate, fit
from dlcourse.train.batch_norm import settle_batch_norm
from dlcourse.train.run import Run

__all__ = [
    "arguments_for",
    "build",
    "dataset",
    "fill_scores",
    "image_splits",
    "new_result",
    "splits",
    "train_run",
]


Splits = tuple[Batches, Batches, Batches] | tuple[TextBatches, TextBatches, TextBatches]


def dataset(run: RunSettings, environment: Environment) -> ImageData | TextData:
    """The data set of a run; after the first time from memory, unless its file has changed.

    Raises DataError if it is synthetic in this process and real in the study, or the reverse, and
    UsageError if it is not of the kind that the run's model takes.
    """
    expected = environment.synthetic
    # If it is known, the study has already printed that the data are synthetic.
    quiet = contextlib.redirect_stderr(io.StringIO())
    with contextlib.nullcontext() if expected is None else quiet:
        found = load(
            run.data, environment.data_dir, environment.offline, run.text, run.splits.max_size,
            stamp_of(run.data, environment.data_dir),
        )  # fmt: skip
    if expected is not None and found.synthetic != expected:
        kind = "synthetic" if expected else "real"
        raise DataError(
            f"the study uses {kind} {run.data} data, but this worker found {found.source}; give "
            "both the same data folder"
        )
    return found


def stamp_of(name: str, data_dir: str | None) -> tuple[Any, ...]:
    """What is another one if the data set `name` is registered again, or its file replaced."""
    found: list[Any] = [catalog.REGISTERED.get(name)]
    folder = data_folder(data_dir)
    for path in (f"{folder}/{name}.npz", f"{folder}/{name}.txt", name):
        with contextlib.suppress(OSError):
            about = os.stat(path)
            found.append((about.st_mtime_ns, about.st_size))
    return tuple(found)


@functools.lru_cache(maxsize=2)
def load(
    name: str,
    data_dir: str | None,
    offline: bool,
    text: bool,
    max_size: int | None,
    stamp: tuple[Any, ...],
) -> ImageData | TextData:
    entry = data.CATALOG.get(name)
    kind = "text" if text else "images"
    if entry is not None and entry.kind != kind:
        names = [one.name for one in data.CATALOG.values() if one.kind == kind]
        raise UsageError(
            f"data set {name!r} is {entry.kind}; {MODELS_FOR[kind]}: choose one of "
            f"{', '.join(names)}"
        )
    if text:
        try:
            return data.load_text(name, data_dir, max_size=max_size, offline=offline)
        except UnknownNameError as error:
            raise UsageError(f"{error}; {MODELS_FOR[kind]}") from None
    return data.load(name, data_dir, offline=offline)


MODELS_FOR = {
    "images": "a comparison of classifiers needs images",
    "text": "a comparison of language models needs a text",
}


@functools.lru_cache(maxsize=4)
def base_splits(
    found: ImageData,
    device: str | None,
    limit: int | None,
    val_fraction: float,
    normalize: str,
) -> tuple[Batches, Batches, Batches]:
    return found.batches(
        limit=limit, val_fraction=val_fraction, normalize=normalize, device=device or "cpu"
    )


def text_splits(found: TextData, run: RunSettings, device: str | None) -> Splits:
    return found.batches(
        run.batch_size, run.splits.bptt, limit=run.splits.limit, device=device or "cpu"
    )


def splits(run: RunSettings, environment: Environment) -> Splits:
    """The training, validation and test batches of a run, of images or of a text."""
    found = dataset(run, environment)
    if isinstance(found, TextData):
        return text_splits(found, run, environment.device)
    return image_splits(found, run, environment.device)


def image_splits(
    found: ImageData, run: RunSettings, device: str | None
) -> tuple[Batches, Batches, Batches]:
    """The training, validation and test batches of a run on images.

    The order of the training batches is a function of the run's seed and the epoch alone. A
    smaller `train_size` is a part of a larger one. The labels that a smaller `random_labels`
    redraws are among those that a larger one redraws. Validation and test labels stay true.

    Raises UsageError for a `train_size` above the number of training images.
    """
    wanted = run.splits
    base = base_splits(found, device, wanted.limit, wanted.val_fraction, wanted.normalize)
    train, val, test = (copy.copy(batches) for batches in base)
    for batches in (train, val, test):
        batches.batch_size, batches.seed, batches.epoch = run.batch_size, run.seed, 0
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


def arguments_for(run: RunSettings, found: ImageData | TextData) -> dict[str, Any]:
    """The arguments of the run's model, with the sizes that the data decide."""
    if isinstance(found, TextData):
        sizes = {"vocab_size": len(found.vocabulary)}
    else:
        channels, height, width = found.train_images.shape[1:]
        sizes = {
            "in_features": channels * height * width,
            "in_channels": channels,
            "num_classes": found.num_classes,
        }
    takes = model_parameters(run.model)
    return {name: size for name, size in sizes.items() if name in takes} | run.model_arguments


def build(run: RunSettings, environment: Environment) -> nn.Module:
    """The model of a run with its initial weights, a function of the settings and the seed."""
    arguments = arguments_for(run, dataset(run, environment))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        model = models.build(run.model, **arguments)
    return init.initialize(model, run.init, seed=run.seed)


def new_result(run: RunSettings, model: nn.Module, environment: Environment) -> Result:
    """A result for `run`, with its settings and its model's size, before anything is trained.

    `used` gets every setting that is in force, defaults and the sizes of the data included.
    """
    found = dataset(run, environment)
    used = {
        "model": run.model, "data": run.data, "init": run.init, "keep": run.keep,
        "seed": run.seed, **model_parameters(run.model), **run.fit,
        **dataclasses.asdict(run.splits), "batch_size": run.batch_size,
        "max_seconds": run.max_seconds, **arguments_for(run, found),
    }  # fmt: skip
    for name in ONLY_IMAGES if run.text else ONLY_TEXT:
        used.pop(name, None)
    optimizer = optim.build(used["optimizer"], [torch.zeros(1, requires_grad=True)])
    for name in ("lr", "weight_decay"):
        if used[name] is None:
            used[name] = optimizer.defaults.get(name)
    count = sum(parameter.numel() for parameter in model.parameters())
    test_size = len(found.test if isinstance(found, TextData) else found.test_images)
    test_size = min(test_size, run.splits.limit or test_size)
    return Result(
        run.values, "done", parameters=count, data=found.source, test_size=test_size,
        used=plain(used),
    )  # fmt: skip


class TimeLimit(Callback):
    """Ends training before the epoch that would make it longer than `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def on_epoch(self, run: Run) -> None:
        spent = run.history["seconds"]
        if sum(spent) + spent[-1] > self.seconds:
            run.stop = f"{self.seconds:g} s are over"


class KeepLast(Callback):
    """Keeps the weights of the last epoch instead of those of the best one."""

    def on_epoch(self, run: Run) -> None:
        run.history.best_epoch = 0
        run.keep_weights()


def train_run(run: RunSettings, environment: Environment, test: bool = True) -> Result:
    """Train a run and score it.

    A model with batch norm is scored with statistics over the training images, see
    `settle_batch_norm`: after a short training the running statistics still lag behind the
    weights, and a deep net multiplies that error.

    test: whether the test images are read, once, after everything is decided.

    Raises what `fit` raises, except for a loss that is not finite: that run has "diverged".
    """
    start = time.perf_counter()
    train, val, test_batches = splits(run, environment)
    model = build(run, environment)
    result = new_result(run, model, environment)
    arguments = {name: value for name, value in run.fit.items() if value != FIT[name]}
    arguments["bf16"] = run.fit["bf16"]  # here the default is another one than that of `fit`
    callbacks: list[Callback] = [KeepLast()] if run.keep == "last" else []
    if run.max_seconds is not None:
        callbacks.append(TimeLimit(run.max_seconds))
    for argument, (make, names) in OBJECTS.items():
        parts = {name: arguments.pop(name) for name in names if name in arguments}
        if parts:
            arguments[argument] = make(**parts)
    try:
        history = fit(
            model, train, val, seed=run.seed, device=environment.device, progress=False,
            callbacks=callbacks, **arguments,
        )  # fmt: skip
    except NonFiniteLossError as error:
        history = error.history
        result.status, result.message = "diverged", str(error)
    result.epochs, result.best_epoch = history.epochs, history.best_epoch
    settled = settle_batch_norm(model, train)
    measured = {}
    for split, batches, wanted in (
        ("val", val, settled or result.status != "done"),
        ("train", train, run.train_scores),
        ("test", test_batches, test),
    ):
        if wanted:
            measured[split] = evaluate(model, batches, metrics=run.fit["metrics"])
    fill_scores(result, measured)
    result.seconds = time.perf_counter() - start
    return result


def fill_scores(result: Result, measured: Mapping[str, Mapping[str, float]]) -> None:
    """Write the scores of the weights that were kept into `result`.

    measured: scores of these weights by split. Without "val" they are those of the kept epoch.
    """
    kept = result.epochs[result.best_epoch - 1] if result.epochs else {}
    last = result.epochs[-1]["train_loss"] if result.epochs else math.nan
    result.scores = {name: score for name, score in kept.items() if name.startswith("val_")}
    result.scores |= {f"val_{name}": score for name, score in measured.get("val", {}).items()}
    result.scores["train_loss"] = last
    for split in ("train", "test"):
        result.scores |= {f"{split}_{name}": v for name, v in measured.get(split, {}).items()}
