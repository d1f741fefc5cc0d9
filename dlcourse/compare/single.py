"""One run by itself, through `fit`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from dlcourse import init, models
from dlcourse.compare import axes, material
from dlcourse.compare.material import Place
from dlcourse.compare.row import Row
from dlcourse.errors import NonFiniteLossError
from dlcourse.train import evaluate, fit

__all__ = ["build", "run_one"]


def build(settings: Mapping[str, Any], place: Place) -> nn.Module:
    """The model of a run with its first weights, a function of the settings and the seed."""
    parts = axes.split(settings)
    arguments = axes.fit_to_data(
        parts.model, settings["model"], material.images(settings["data"], place)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(parts.own["seed"])
        model = models.build(settings["model"], **arguments)
    return init.initialize(model, parts.own["init"], seed=parts.own["seed"])


def run_one(settings: Mapping[str, Any], place: Place, test: bool = True) -> Row:
    """Train the run that `settings` describe and score it.

    test: whether the test split is read, once, when all is decided. Raises what `fit` raises,
    save for a loss that is not finite: that run is marked as diverged.
    """
    start = time.perf_counter()
    parts = axes.split(settings)
    seed = parts.own["seed"]
    model = build(settings, place)
    train, val, test_batches = material.splits(settings["data"], parts.data, seed, place)
    row = Row(dict(settings), "done", data=train.source)
    keep_last = {"min_delta": math.inf} if parts.own["keep"] == "last" else {}
    try:
        history = fit(
            model, train, val, seed=seed, device=place.device, progress=False,
            **{**parts.fit, **keep_last},
        )  # fmt: skip
    except NonFiniteLossError as error:
        history = error.history
        row.status, row.message = "diverged", str(error)
    row.epochs, row.best_epoch = history.epochs, history.best_epoch
    row.parameters = history.config["parameters"]
    metrics = parts.fit.get("metrics", ("accuracy",))
    kept = kept_epoch(row)
    if kept is None:
        row.scores |= prefixed("val", evaluate(model, val, metrics=metrics))
    else:
        row.scores |= {name: value for name, value in kept.items() if name.startswith("val_")}
    row.scores["train_loss"] = row.epochs[-1]["train_loss"] if row.epochs else math.nan
    if parts.own["train_scores"]:
        row.scores |= prefixed("train", evaluate(model, train, metrics=metrics))
    if test:
        row.scores |= prefixed("test", evaluate(model, test_batches, metrics=metrics))
    row.seconds = time.perf_counter() - start
    return row


def kept_epoch(row: Row) -> dict[str, float] | None:
    """The epoch whose weights were kept, or None where those are the first weights."""
    if row.best_epoch:
        return row.epochs[row.best_epoch - 1]
    return row.epochs[-1] if row.status == "done" else None


def prefixed(split: str, scores: Mapping[str, float]) -> dict[str, float]:
    return {f"{split}_{name}": score for name, score in scores.items()}
