"""Augmentation of whole batches, each sample its own draw.

Every class is a callable (images (B, C, H, W), generator) -> images of the same shape, dtype and
device. Draws are made on the CPU from the generator, so that they are the same on every device.
Pass one, or several in `Compose`, as `augment=` to `ImageData.batches`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dlcourse.data.batches import Augment
from dlcourse.errors import UsageError

__all__ = ["Compose", "Crop", "Cutout", "Flip", "Noise", "Shift"]


class Compose:
    """One augmentation after the other."""

    def __init__(self, *steps: Augment) -> None:
        self.steps = steps

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        for step in self.steps:
            images = step(images, generator)
        return images


@dataclass(frozen=True)
class Crop:
    """Pad by `padding` pixels of 0 on every side, then cut the size out again at random.

    With 4 on CIFAR-10 this is the crop of He et al. 2015 (arXiv:1512.03385).
    """

    padding: int = 4

    def __post_init__(self) -> None:
        at_least("padding", self.padding, 0)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        B = len(images)
        top, left = torch.randint(2 * self.padding + 1, (2, B), generator=generator)
        return windows(F.pad(images, (self.padding,) * 4), top, left, images.shape[2:])


@dataclass(frozen=True)
class Shift:
    """Shift by up to `pixels` each way; zeros come in."""

    pixels: int = 2

    def __post_init__(self) -> None:
        at_least("pixels", self.pixels, 0)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return Crop(self.pixels)(images, generator)


@dataclass(frozen=True)
class Flip:
    """Mirror left to right with probability `p`."""

    p: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise UsageError(f"p must be between 0 and 1, got {self.p}")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        mirrored = (torch.rand(len(images), generator=generator) < self.p).nonzero().squeeze(1)
        mirrored = mirrored.to(images.device)
        return images.index_copy(0, mirrored, images.index_select(0, mirrored).flip(3))


@dataclass(frozen=True)
class Cutout:
    """Set a square of `size` pixels a side, its center anywhere, to 0.

    DeVries & Taylor 2017 (arXiv:1708.04552): the square may hang over the edge.
    """

    size: int = 8

    def __post_init__(self) -> None:
        at_least("size", self.size, 1)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        B, _, H, W = images.shape
        device = images.device
        top = torch.randint(H, (B, 1), generator=generator).to(device) - self.size // 2
        left = torch.randint(W, (B, 1), generator=generator).to(device) - self.size // 2
        rows, columns = torch.arange(H, device=device), torch.arange(W, device=device)
        down = (rows >= top) & (rows < top + self.size)  # (B, H)
        across = (columns >= left) & (columns < left + self.size)  # (B, W)
        return images.masked_fill((down[:, :, None] & across[:, None, :]).unsqueeze(1), 0)


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise of standard deviation `std`, on the scale 0 to 255, and clip to it."""

    std: float = 10.0

    def __post_init__(self) -> None:
        at_least("std", self.std, 0)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(images.shape, generator=generator).to(images.device) * self.std
        return (images + noise).round_().clamp_(0, 255).to(images.dtype)


def windows(images: Tensor, top: Tensor, left: Tensor, size: torch.Size) -> Tensor:
    """The window of `size` (H, W) of each image (B, C, ...) whose corner is at (top, left) (B,)."""
    # Rows are gathered whole, samples sorted by column; then each column is one slice. Both copy
    # runs of bytes, which on a CPU is several times as fast as a gather pixel by pixel.
    B, C, rows, columns = images.shape
    (H, W), device = size, images.device
    order = left.argsort(stable=True)
    first = (order * C * rows + top[order]).to(device).view(B, 1, 1)
    chosen = first + torch.arange(C, device=device).view(C, 1) * rows
    chosen = (chosen + torch.arange(H, device=device)).flatten()
    taken = images.reshape(B * C * rows, columns).index_select(0, chosen).view(B, C, H, columns)
    cut = images.new_empty(B, C, H, W)
    start = 0
    for column, count in enumerate(left.bincount().tolist()):
        part = slice(start, start + count)
        cut[part] = taken[part, :, :, column : column + W]
        start += count
    return cut.index_select(0, order.argsort().to(device))


def at_least(name: str, value: float, least: float) -> None:
    if value < least:
        raise UsageError(f"{name} must be at least {least}, got {value}")
