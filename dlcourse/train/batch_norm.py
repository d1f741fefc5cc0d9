"""Recompute the statistics of batch normalization over the training data."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["settle_batch_norm"]


@torch.no_grad()
def settle_batch_norm(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    forward: Callable[[Tensor], Tensor] | None = None,
) -> bool:
    """Replace the running statistics of every batch norm by means over `batches`.

    During training the running mean and variance are exponential averages of the last batches, so
    they belong to older weights and, after few steps, partly to their initial values 0 and 1. In a
    deep net these errors multiply. One pass over the training data with fixed weights gives the
    statistics that the weights really see ("precise batch norm", Wu & Johnson 2021,
    arXiv:2105.07576). Dropout is off during the pass. A batch of one sample is left out.

    forward: what to call with the inputs instead of `model`.

    Returns whether the model has running statistics. It is left in eval mode.
    """
    norms = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
    ]
    model.eval()
    if not norms:
        return False
    device = next(model.parameters()).device
    momenta = [norm.momentum for norm in norms]
    seen = 0
    try:
        for norm in norms:
            norm.train()
        for inputs, targets in batches:
            size = targets.shape[-1]
            if size < 2:
                continue
            seen += size
            for norm in norms:
                # The first batch replaces the old statistics, the k-th has the weight 1 / k.
                norm.momentum = size / seen
            (forward or model)(inputs.to(device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.eval()
    return True
