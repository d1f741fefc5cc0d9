"""Stratified choice of samples by a fixed seed."""

from __future__ import annotations

import torch
from torch import Tensor

from dlcourse.errors import UsageError
from dlcourse.values import check_share

__all__ = ["stratified_split", "stratified_subset"]


def stratified_subset(labels: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Indices int64 (n,), sorted, of `n` samples; the share of each class is exact to within one.

    labels: int64 (N,), on the CPU, n <= N.
    """
    shuffled = torch.randperm(len(labels), generator=generator)
    shuffled = shuffled[labels[shuffled].argsort(stable=True)]
    counts = labels.bincount()
    # Taking evenly from the samples sorted by class gives every class its share to within one.
    rank = torch.arange(len(labels)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    share = (rank + 0.5) / counts.repeat_interleave(counts)
    return shuffled[share.argsort(stable=True)[:n]].sort().values


def stratified_split(
    labels: Tensor, fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Indices of the rest and of `fraction` of the samples, each class in proportion, sorted.

    Raises UsageError unless 0 <= fraction < 1, and for a fraction that is not 0 but rounds to no
    sample.
    """
    check_share(val_fraction=fraction)
    size = round(fraction * len(labels))
    if fraction and not size:
        raise UsageError(
            f"val_fraction {fraction} of {len(labels)} samples is less than one sample; give a "
            "larger fraction, or 0 for no validation"
        )
    chosen = stratified_subset(labels, size, generator)
    rest = torch.ones(len(labels), dtype=torch.bool)
    rest[chosen] = False
    return rest.nonzero().squeeze(1), chosen
