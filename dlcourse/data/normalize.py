"""Standardize images to mean 0 and standard deviation 1, for each channel or each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dlcourse.errors import UnknownNameError, UsageError

__all__ = ["NORMALIZATIONS", "Standardization"]

NORMALIZATIONS = ("channel", "pixel", "none")
CHUNK = 250
# A pixel that hardly varies (in MNIST's corners) is centered, but not scaled up.
MIN_STD = 1.0


@dataclass(frozen=True)
class Standardization:
    """(inputs - mean) / std, for inputs on the scale 0 to 255.

    mean, std: float32, (C, 1, 1) for channels or (C, H, W) for pixels.
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, images: Tensor, indices: Tensor, by: str = "channel") -> Standardization:
        """Measure mean and standard deviation on images[indices].

        images: uint8 (N, C, H, W). indices: int64 (n,). by: "channel", "pixel", or "none" for
        inputs in [0, 1]. A standard deviation below 1 counts as 1.

        Raises UnknownNameError for another `by`, UsageError for no images.
        """
        if by not in NORMALIZATIONS:
            raise UnknownNameError("normalization", by, NORMALIZATIONS)
        if len(indices) == 0:
            raise UsageError("there is no training image to measure mean and deviation on")
        C = images.shape[1]
        if by == "none":
            return cls(
                torch.zeros(C, 1, 1, device=images.device),
                torch.full((C, 1, 1), 255.0, device=images.device),
            )
        total = torch.zeros(images.shape[1:], device="cpu", dtype=torch.float64)
        squares = total.clone()
        for chosen in indices.to(images.device).split(CHUNK):
            part = images.index_select(0, chosen).float()
            # Sums of so few whole numbers below 2**16 are exact enough in float32.
            total += part.sum(0).cpu()
            squares += part.square_().sum(0).cpu()
        n = len(indices)
        if by == "channel":
            n *= total[0].numel()
            total, squares = (s.sum((1, 2), keepdim=True) for s in (total, squares))
        mean = total / n
        std = (squares / n - mean.square()).clamp(min=0).sqrt().clamp(min=MIN_STD)
        return cls(mean.float().to(images.device), std.float().to(images.device))

    def __call__(self, inputs: Tensor) -> Tensor:
        """Standardize a float32 batch (B, C, H, W) in place."""
        return inputs.sub_(self.mean).mul_(self.std.reciprocal())  # div_ takes half as long again
