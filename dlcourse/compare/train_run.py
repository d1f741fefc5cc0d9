"""Train and score one run with `fit`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from dlcourse import init, models
from dlcourse.compare.result import Result
from dlcourse.compare.settings import Environment, RunSettings, model_parameters
from dlcourse.compare.splits import images, splits
from dlcourse.data import ImageData
from dlcourse.errors import NonFiniteLossError
from dlcourse.train import evaluate, fit
from dlcourse.train.batch_norm import settle_batch_norm

__all__ = ["arguments_for", "build", "prefixed", "train_run"]


def arguments_for(run: RunSettings, data: ImageData) -> dict[str, Any]:
    """The arguments of the run's model, with the sizes that the data decide."""
    channels, height, width = data.train_images.shape[1:]
    sizes = {
        "in_features": channels * height * width,
        "in_channels": channels,
        "num_classes": data.num_classes,
    }
    takes = model_parameters(run.model)
    return {name: size for name, size in sizes.items() if name in takes} | run.model_arguments


def build(run: RunSettings, environment: Environment) -> nn.Module:
    """The model of a run with its initial weights, a function of the settings and the seed."""
    arguments = arguments_for(run, images(run.data, environment))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        model = models.build(run.model, **arguments)
    return init.initialize(model, run.init, seed=run.seed)


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
    result = Result(
        run.values,
        "done",
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        data=train.source,
        used=run.used(arguments_for(run, images(run.data, environment))),
    )
    if run.keep == "last":
        run = run.replace(min_delta=math.inf)
    try:
        history = fit(
            model, train, val, seed=run.seed, device=environment.device, progress=False,
            **run.fit_objects,
        )  # fmt: skip
    except NonFiniteLossError as error:
        history = error.history
        result.status, result.message = "diverged", str(error)
    result.epochs, result.best_epoch = history.epochs, history.best_epoch
    settled = settle_batch_norm(model, train)
    metrics = run.fit_setting("metrics")
    kept = result.kept_epoch
    if kept is None or settled:
        result.scores = prefixed("val", evaluate(model, val, metrics=metrics))
    else:
        result.scores = {name: score for name, score in kept.items() if name.startswith("val_")}
    result.scores["train_loss"] = result.epochs[-1]["train_loss"] if result.epochs else math.nan
    if run.train_scores:
        result.scores |= prefixed("train", evaluate(model, train, metrics=metrics))
    if test:
        result.scores |= prefixed("test", evaluate(model, test_batches, metrics=metrics))
    result.seconds = time.perf_counter() - start
    return result


def prefixed(split: str, scores: Mapping[str, float]) -> dict[str, float]:
    """`scores` by the names "val_loss" or "test_accuracy"."""
    return {f"{split}_{name}": score for name, score in scores.items()}
