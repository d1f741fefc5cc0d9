"""Losses and metrics of a batch: functions of (outputs, targets) that return a mean as a scalar."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["METRICS", "accuracy", "cross_entropy"]


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats. Shape: logits (..., classes), targets int64 (...) -> ()."""
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten())


def accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Share of targets that have the largest logit. Shape: (..., classes), (...) -> ()."""
    return (logits.argmax(-1) == targets).float().mean()


METRICS = {"accuracy": accuracy}
