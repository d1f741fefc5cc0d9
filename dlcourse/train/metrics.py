"""Metrics: what is measured on validation data, and whether a low or a high score is better.

A metric is the name of one of METRICS; a function of (outputs, targets) that returns the mean over
a batch; or, for scores that are no mean of batches (F1, AUC, BLEU), an object with `update(outputs,
targets)`, `compute()` and `reset()`, as torchmetrics has them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.train import distributed
from dlcourse.train.losses import (
    IGNORED,
    Loss,
    Objective,
    check_scalar,
    cross_entropy,
    mean_squared_error,
    name_of,
    require_classes,
    require_same_shape,
    shape_of,
)

__all__ = [
    "METRICS", "Mean", "Metric", "Metrics", "Whole", "absolute_error", "accuracy", "as_row",
    "binary_accuracy", "default_metrics", "find_metrics", "measure", "mode_of", "register",
    "top5", "weighted_sums",
]  # fmt: skip

Metrics = str | Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True)
class Metric:
    """A named metric: its function, which direction is better, and what targets it needs.

    mode: "min" or "max". finish: turns the mean over all targets into the score (perplexity: exp).
    needs: "classes" (int64 class numbers), "binary" (0 or 1) or "values" (numbers), or "" for
        anything.
    """

    function: Loss
    mode: str
    needs: str = ""
    finish: Callable[[float], float] = float

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.function(outputs, targets)


def accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Share of targets that have the largest logit; targets of -100 are skipped.

    Shape: logits (..., classes), targets int64 (...) -> (). Raises UsageError for other shapes.
    """
    require_classes(logits, targets, "accuracy")
    return (logits.argmax(-1) == targets).sum() / (targets != IGNORED).sum()


def top5(logits: Tensor, targets: Tensor) -> Tensor:
    """Share of targets among the five largest logits; otherwise as `accuracy`."""
    require_classes(logits, targets, "top5")
    best = logits.topk(min(5, logits.shape[-1]), -1).indices
    return (best == targets.unsqueeze(-1)).any(-1).sum() / (targets != IGNORED).sum()


def binary_accuracy(outputs: Tensor, targets: Tensor, threshold: float = 0.0) -> Tensor:
    """Share of outputs on the right side of `threshold`: 0 for logits, 0.5 for probabilities.

    Shape: outputs (N, *), targets 0 or 1 (N, *) -> (). Raises UsageError for unequal shapes.
    """
    require_same_shape(outputs, targets, "binary_accuracy")
    return ((outputs > threshold) == (targets > 0.5)).float().mean()


def absolute_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of absolute differences. Shape: (N, *) twice -> (). Raises UsageError if unequal."""
    require_same_shape(outputs, targets, "absolute_error")
    return (outputs - targets).abs().mean()


def exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf  # a float64 ends there


METRICS: dict[str, Metric] = {
    "accuracy": Metric(accuracy, "max", "classes"),
    "top5": Metric(top5, "max", "classes"),
    "binary_accuracy": Metric(binary_accuracy, "max", "binary"),
    "mse": Metric(mean_squared_error, "min", "values"),
    "mae": Metric(absolute_error, "min", "values"),
    "perplexity": Metric(cross_entropy, "min", "classes", finish=exp),
}


def register(name: str, function: Loss, mode: str) -> None:
    """Add a metric to METRICS, so that `fit` and `compare` know it by name.

    function(outputs, targets): the mean over a batch, a scalar tensor. mode: "min" or "max",
    whichever is better. Raises UsageError for a name that is taken and for another mode.

    >>> def confident(logits, targets):
    ...     return (logits.softmax(-1).amax(-1) > 0.9).float().mean()
    >>> register("confident", confident, mode="max")
    >>> METRICS.pop("confident").mode
    'max'
    """
    if name in METRICS or name == "loss":
        raise UsageError(f"metric {name!r} already exists; choose another name")
    if mode not in ("min", "max"):
        raise UsageError(f"mode must be 'min' or 'max', got {mode!r}")
    if not callable(function):
        raise UsageError(f"metric {name!r} must be a function of (outputs, targets)")
    METRICS[name] = Metric(function, mode)


def find_metrics(metrics: Metrics) -> dict[str, Any]:
    """Every metric under its name. Raises UsageError for what is no metric, or a name used twice.

    metrics: one name, a sequence of names, functions and objects, or a dict from names to these.
    """
    if isinstance(metrics, Mapping):
        pairs: list[tuple[str, Any]] = list(metrics.items())
    elif isinstance(metrics, str) or callable(metrics) or hasattr(metrics, "update"):
        pairs = [(name_of(metrics), metrics)]
    elif isinstance(metrics, Sequence):
        pairs = [(name_of(one), one) for one in metrics]
    else:
        raise UsageError(f"metrics must be names, functions or metric objects, got {metrics!r}")
    found: dict[str, Any] = {}
    for name, one in pairs:
        if name in found or name == "loss":
            raise UsageError(
                f"two metrics are called {name!r}; name them: metrics={{'first': ..., "
                "'second': ...}"
            )
        if isinstance(one, str):
            if one not in METRICS:
                raise UnknownNameError("metric", one, METRICS)
            one = METRICS[one]
        if isinstance(one, type):
            raise UsageError(f"metric {name} is a class; give an instance: {name}(...)")
        if not callable(one) and not (hasattr(one, "update") and hasattr(one, "compute")):
            raise UsageError(
                f"metric {one!r} must be a name ({', '.join(METRICS)}), a function of (outputs, "
                "targets), or an object with update and compute"
            )
        if name == "<lambda>":
            raise UsageError(
                "a lambda has no name for the History: metrics={'my_name': lambda ...}"
            )
        found[name] = one
    return found


def mode_of(metric: Any) -> str | None:
    """Whether a low ("min") or a high ("max") score of `metric` is better; None: unknown.

    An own function or object says it by an attribute `mode`, or `higher_is_better` as torchmetrics.
    """
    mode = getattr(metric, "mode", None)
    if mode in ("min", "max"):
        return mode
    higher = getattr(metric, "higher_is_better", None)
    return None if higher is None else "max" if higher else "min"


def default_metrics(objective: Objective, targets: Tensor) -> tuple[str, ...]:
    """The metrics that fit the loss and one batch of targets; none where only the loss applies."""
    if objective.kind == "classes" and not targets.is_floating_point():
        tokens = targets.dim() > 1 and objective.class_dim == -1
        return ("perplexity",) if tokens else ("accuracy",)
    if objective.kind == "binary" and bool(((targets == 0) | (targets == 1)).all()):
        return ("binary_accuracy",)
    return ()


class Mean:
    """The mean over all targets of a pass, from the means over batches.

    shared: several processes each see a share of every batch.
    """

    def __init__(
        self,
        what: str,
        function: Loss,
        weight: Callable[[Tensor], Tensor | float],
        shared: bool = False,
        finish: Callable[[float], float] = float,
    ) -> None:
        self.what, self.function, self.weight = what, function, weight
        self.shared, self.finish = shared, finish
        self.values: list[Tensor] = []
        self.weights: list[Tensor | float] = []

    def update(self, outputs: Any, targets: Any, share: float = 1.0) -> None:
        """Take a batch. share: how much of it counts in this process."""
        value = check_scalar(self.what, self.function(outputs, targets))
        self.values.append(value.detach().reshape(()))
        self.weights.append(self.weight(targets) * share)

    def compute(self) -> float:
        total, count = weighted_sums(self.values, self.weights)
        if self.shared:
            total, count = distributed.total(torch.stack([total, count]))
        return self.finish((total / count).item()) if count else math.nan


class Whole:
    """A score of a whole pass, by an object with `update` and `compute`, which is reset."""

    def __init__(self, name: str, metric: Any) -> None:
        self.name, self.metric = name, metric
        if hasattr(metric, "reset"):
            with torch.inference_mode(False):  # its owner may change these tensors later
                metric.reset()
        if hasattr(metric, "sync_on_compute"):
            metric.sync_on_compute = False  # every process sees all batches, see evaluate

    @torch.inference_mode(False)
    @torch.no_grad()
    def update(self, outputs: Any, targets: Tensor, share: float = 1.0) -> None:
        # Tensors made in inference mode could not be changed in place by the metric's owner later.
        given = outputs.clone() if isinstance(outputs, Tensor) else outputs
        self.metric.update(given, targets.clone())

    @torch.inference_mode(False)
    @torch.no_grad()
    def compute(self) -> float:
        value = self.metric.compute()
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()
        if not isinstance(value, int | float):
            raise UsageError(f"metric {self.name!r} must compute one number, got {shape_of(value)}")
        return float(value)


def weighted_sums(
    values: Sequence[Tensor], weights: Sequence[Tensor | float]
) -> tuple[Tensor, Tensor]:
    """The sum of values times weights, and of the weights; a value of weight 0 may be NaN."""
    stacked = torch.stack(list(values))
    counts = as_row(weights, stacked.device)
    # float64, which not every GPU has, so that a million targets are counted exactly.
    exact = torch.float64 if stacked.device.type != "mps" else torch.float32
    stacked, counts = stacked.to(exact), counts.to(exact)
    return (stacked * counts).where(counts > 0, 0.0).sum(), counts.sum()


def as_row(weights: Sequence[Tensor | float], device: torch.device) -> Tensor:
    """The weights of several batches as one tensor, shape (batches,)."""
    if all(isinstance(weight, float) for weight in weights):
        return torch.tensor(weights, device=device)  # one operation instead of one for each
    return torch.stack([torch.as_tensor(weight, device=device) for weight in weights])


def measure(name: str, metric: Any, objective: Objective, shared: bool = False) -> Mean | Whole:
    """What collects `metric` over a pass.

    The built-in metrics take their cue from the loss: where its classes are, which target it
    ignores, and from which output on a sample counts as 1.
    """
    if hasattr(metric, "update"):
        return Whole(name, metric)
    if not isinstance(metric, Metric):
        unweighted = replace(objective, class_weights=None)  # a metric is a mean over targets
        return Mean(f"metric {name!r}", metric, unweighted.weight, shared)
    function = metric.function
    if function is binary_accuracy:
        function = functools.partial(binary_accuracy, threshold=objective.threshold)

    def adapted(outputs: Tensor, targets: Tensor) -> Tensor:
        if metric.needs != "classes":
            return function(outputs, targets)
        if outputs.dim() > 2 and objective.class_dim == 1:
            outputs = outputs.movedim(1, -1)
        if objective.ignore_index != IGNORED:
            targets = targets.masked_fill(targets == objective.ignore_index, IGNORED)
        return function(outputs, targets)

    def count(targets: Tensor) -> Tensor | float:
        if metric.needs != "classes":
            return float(targets.numel())
        return ((targets != IGNORED) & (targets != objective.ignore_index)).sum()

    return Mean(f"metric {name!r}", adapted, count, shared, metric.finish)
