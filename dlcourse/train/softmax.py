"""The cross-entropy over many classes, in the memory of the logits."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dlcourse.train.metrics import cross_entropy

__all__ = ["cross_entropy_in_place"]

# Numbers of a piece: 4 MB in float32, which stays in the cache for all five passes over it.
PIECE = 1 << 20


def cross_entropy_in_place(logits: Tensor, targets: Tensor) -> Tensor:
    """`cross_entropy` of logits that nobody needs afterwards: their gradient takes their place.

    With 10,000 words the logits of a batch are the most of all that a language model computes and
    keeps; autograd's own cross-entropy writes four more arrays of their size. Where no gradient is
    asked for, it is `cross_entropy`, and the logits stay.

    Shape: logits (..., classes), targets int64 (...) -> ().
    """
    if not (torch.is_grad_enabled() and logits.requires_grad):
        return cross_entropy(logits, targets)
    return InPlace.apply(logits.flatten(0, -2), targets.flatten())


class InPlace(torch.autograd.Function):
    """Mean cross-entropy, which turns its logits (N, C) into d loss / d logits in the forward pass.

    A linear layer's backward pass needs its inputs and weights, never its outputs, so these may go.
    """

    @staticmethod
    def forward(ctx, logits: Tensor, targets: Tensor) -> Tensor:
        rows = max(1, PIECE // logits.shape[1])
        losses = []
        for piece, right in zip(logits.split(rows), targets[:, None].split(rows), strict=True):
            piece -= piece.amax(1, keepdim=True)
            shifted = piece.gather(1, right)
            sums = piece.exp_().sum(1, keepdim=True)
            losses.append(sums.log() - shifted)
            piece /= sums * len(logits)
            piece.scatter_add_(1, right, torch.full_like(sums, -1 / len(logits)))
        ctx.gradient = logits
        return torch.cat(losses).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx, scale: Tensor) -> tuple[Tensor, None]:
        return ctx.gradient.mul_(scale), None
