"""The perceptron: a neuron with a step function, and its learning rule."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlcourse.errors import UsageError
from dlcourse.values import check_whole

__all__ = ["Perceptron"]


class Perceptron(nn.Module):
    """Neurons that fire or not, side by side (Rosenblatt 1958).

    A step has no useful gradient, so `learn` follows the perceptron rule instead; weights start at
    zero. Classes that no line separates (XOR) are never learned.

    Shape: inputs (N, in_features) -> 0.0 or 1.0, (N, out_features).
    """

    def __init__(self, in_features: int = 2, out_features: int = 1) -> None:
        super().__init__()
        check_whole(in_features=in_features, out_features=out_features)
        self.weight = nn.Parameter(torch.zeros(out_features, in_features), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(out_features), requires_grad=False)

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.dim() != 2 or inputs.shape[1] != self.weight.shape[1]:
            raise UsageError(
                f"inputs must be (N, {self.weight.shape[1]}), got {tuple(inputs.shape)}"
            )
        return (inputs @ self.weight.T + self.bias > 0).to(inputs)

    def learn(self, inputs: Tensor, targets: Tensor, lr: float = 1.0) -> int:
        """One pass over the samples, one after another: w += lr (target - output) x.

        Shape: inputs (N, in_features), targets 0 or 1, (N, out_features).
        Returns the number of wrong outputs; 0 means that the rule has converged. Raises UsageError
        for other targets.
        """
        outputs = len(self.weight)
        if targets.shape[1:].numel() != outputs or not ((targets == 0) | (targets == 1)).all():
            raise UsageError(
                f"targets must be 0 or 1, (N, {outputs}), got {tuple(targets.shape)} from "
                f"{targets.min():g} to {targets.max():g}"
            )
        mistakes = 0
        for x, target in zip(inputs, targets, strict=True):
            error = target - self(x[None])[0]  # (out_features,)
            self.weight.add_(lr * torch.outer(error, x))
            self.bias.add_(lr * error)
            mistakes += int(error.count_nonzero())
        return mistakes
