"""Losses and metrics of a batch: functions of (outputs, targets) that return a mean as a scalar.

Means of batches are averaged with the number of targets as weights; a metric whose function has a
`finish` is that function of the average (perplexity: exp of the mean cross-entropy).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor

from dlcourse.errors import UnknownNameError

__all__ = [
    "METRICS",
    "absolute_error",
    "accuracy",
    "cross_entropy",
    "find",
    "finish",
    "mean_squared_error",
    "perplexity",
    "top5",
]


def cross_entropy(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy in nats. Shape: logits (..., classes), targets int64 (...) -> ()."""
    return F.cross_entropy(
        logits.flatten(0, -2), targets.flatten(), label_smoothing=label_smoothing
    )


def accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Share of targets that have the largest logit. Shape: (..., classes), (...) -> ()."""
    return (logits.argmax(-1) == targets).float().mean()


def top5(logits: Tensor, targets: Tensor) -> Tensor:
    """Share of targets among the five largest logits. Shape: (..., classes), (...) -> ()."""
    best = logits.topk(min(5, logits.shape[-1]), -1).indices
    return (best == targets.unsqueeze(-1)).any(-1).float().mean()


def mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of squared differences. Shape: (N, *) twice -> (). A regressor's loss."""
    return (outputs - targets).square().mean()


def absolute_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of absolute differences. Shape: (N, *) twice -> ()."""
    return (outputs - targets).abs().mean()


def perplexity(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in nats, to be averaged over all tokens before exp is taken of it (`finish`).

    Shape: logits (..., vocab_size), targets int64 (...) -> ().
    """
    return cross_entropy(logits, targets)


def exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf  # a float64 ends there


perplexity.finish = exp

METRICS = {
    "accuracy": accuracy,
    "top5": top5,
    "mse": mean_squared_error,
    "mae": absolute_error,
    "perplexity": perplexity,
}


def find(metrics: Sequence[str | Callable]) -> dict[str, Callable]:
    """The functions of `metrics` by their names. Raises UnknownNameError."""
    unknown = [one for one in metrics if isinstance(one, str) and one not in METRICS]
    if unknown:
        raise UnknownNameError("metric", unknown[0], METRICS)
    return {
        one if isinstance(one, str) else one.__name__: METRICS[one] if isinstance(one, str) else one
        for one in metrics
    }


def finish(metric: Callable, mean: float) -> float:
    """The score that `metric` makes of its average over all targets."""
    return getattr(metric, "finish", float)(mean)
