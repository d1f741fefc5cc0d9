"""Logistic regression: one linear layer, trained with cross-entropy."""

from __future__ import annotations

from torch import Tensor, nn

from dlcourse.errors import UsageError
from dlcourse.values import check_whole

__all__ = ["LogisticRegression"]


class LogisticRegression(nn.Module):
    """A linear classifier for any number of classes (Cox 1958; softmax: Bridle 1990).

    Weights start at zero: the loss is convex, so no symmetry has to be broken.

    Shape: inputs (N, *) with in_features numbers per sample -> logits (N, num_classes).
    """

    def __init__(self, in_features: int = 784, num_classes: int = 10) -> None:
        super().__init__()
        check_whole(in_features=in_features, num_classes=num_classes)
        self.linear = nn.Linear(in_features, num_classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        x = inputs.flatten(1)
        if x.shape[1] != self.linear.in_features:
            raise UsageError(
                f"inputs must have {self.linear.in_features} numbers per sample, "
                f"got {tuple(inputs.shape)}"
            )
        return self.linear(x)
