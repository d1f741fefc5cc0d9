"""The multilayer perceptron."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.values import check_share

__all__ = ["MLP"]

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}


class MLP(nn.Module):
    """Linear layers with an activation between them (Rumelhart, Hinton & Williams 1986).

    hidden_sizes: the width of each hidden layer; empty gives a linear classifier.
    activation: "relu", "tanh", "sigmoid" or "gelu". dropout: the share of hidden units dropped.
    batch_norm: whether each hidden layer is normalized before its activation.

    Shape: inputs (N, *) with in_features numbers per sample -> logits (N, num_classes).
    """

    def __init__(
        self,
        in_features: int = 784,
        hidden_sizes: Sequence[int] = (128,),
        num_classes: int = 10,
        activation: str = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        sizes = [in_features, *hidden_sizes]
        if min(*sizes, num_classes) < 1:
            raise UsageError(f"sizes must be at least 1, got {sizes} and num_classes {num_classes}")
        if activation not in ACTIVATIONS:
            raise UnknownNameError("activation", activation, ACTIVATIONS)
        check_share(dropout=dropout)
        self.in_features = in_features
        layers: list[nn.Module] = [nn.Flatten()]
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers.append(nn.Linear(fan_in, fan_out, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(fan_out))
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], num_classes))

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.shape[1:].numel() != self.in_features:
            raise UsageError(
                f"inputs must have {self.in_features} numbers per sample, got {tuple(inputs.shape)}"
            )
        return self.layers(inputs)
