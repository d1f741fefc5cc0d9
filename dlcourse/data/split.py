"""Stratified choice of samples by a fixed seed."""

from __future__ import annotations

import torch
from torch import Tensor

from dlcourse.errors import UsageError

__all__ = ["stratified_split", "stratified_subset"]


def stratified_subset(labels: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Indices int64 (n,), sorted, of `n` samples in which each class has its share to within one.

    labels: int64 (N,), on the CPU, n <= N.
    """
    shuffled = torch.randperm(len(labels), generator=generator)
    shuffled = shuffled[labels[shuffled].argsort(stable=True)]
    counts = labels.bincount()
    # Spread evenly along the samples sorted by class: every class gets its share to within one.
    rank = torch.arange(len(labels)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    share = (rank + 0.5) / counts.repeat_interleave(counts)
    return shuffled[share.argsort(stable=True)[:n]].sort().values


def stratified_split(
    labels: Tensor, fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Indices of (the rest, `fraction`) of the samples, each class in proportion, each sorted.

    Raises UsageError unless 0 <= fraction < 1.
    """
    if not 0 <= fraction < 1:
        raise UsageError(f"val_fraction must be at least 0 and below 1, got {fraction}")
    chosen = stratified_subset(labels, round(fraction * len(labels)), generator)
    rest = torch.ones(len(labels), dtype=torch.bool)
    rest[chosen] = False
    return rest.nonzero().squeeze(1), chosen
