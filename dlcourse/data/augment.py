"""Augmentation of whole batches, with a separate random draw for each image.

Every class is a callable (images (B, C, H, W), generator) -> images of the same shape, dtype and
device. Random numbers are drawn on the CPU from the generator, so they are the same on every
device. Pass one augmentation, or several in `Compose`, as `augment=` to `ImageData.batches`.
Inputs that are not images are refused with UsageError.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dlcourse.data.batches import Augment
from dlcourse.errors import UsageError
from dlcourse.values import check_whole

__all__ = ["Compose", "Crop", "Cutout", "Flip", "Noise", "Shift"]


class Compose:
    """Several augmentations, one after the other."""

    def __init__(self, *steps: Augment) -> None:
        for step in steps:
            if isinstance(step, type) or not callable(step):
                raise UsageError(f"Compose takes augmentations such as Flip(), got {step!r}")
        self.steps = steps

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        for step in self.steps:
            images = step(images, generator)
        return images


@dataclass(frozen=True)
class Crop:
    """Pad by `padding` pixels of 0 on every side, then cut out the original size at random.

    With 4 on CIFAR-10 this is the crop of He et al. 2015 (arXiv:1512.03385).
    """

    padding: int = 4

    def __post_init__(self) -> None:
        check_whole(0, padding=self.padding)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        check_images(self, images)
        B = len(images)
        top, left = torch.randint(2 * self.padding + 1, (2, B), generator=generator)
        return windows(F.pad(images, (self.padding,) * 4), top, left, images.shape[2:])


@dataclass(frozen=True)
class Shift:
    """Shift by up to `pixels` in each direction and fill with zeros."""

    pixels: int = 2

    def __post_init__(self) -> None:
        check_whole(0, pixels=self.pixels)

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
        check_images(self, images)
        mirrored = (torch.rand(len(images), generator=generator) < self.p).nonzero().squeeze(1)
        place = torch.arange(len(images))
        place[mirrored] = len(images) + torch.arange(len(mirrored))
        mirrored, place = mirrored.to(images.device), place.to(images.device)
        # On a CPU `index_copy` takes bytes one by one, several times as long as this copy.
        both = torch.cat([images, images.index_select(0, mirrored).flip(3)])
        return both.index_select(0, place)


@dataclass(frozen=True)
class Cutout:
    """Set a square with sides of `size` pixels and a random center to 0.

    As in DeVries & Taylor 2017 (arXiv:1708.04552), the square may extend over the edge.
    """

    size: int = 8

    def __post_init__(self) -> None:
        check_whole(size=self.size)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        check_images(self, images)
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
    """Add Gaussian noise of standard deviation `std` to uint8 images, and clip to 0 to 255."""

    std: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.std < float("inf"):
            raise UsageError(f"std must be at least 0, got {self.std}")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        check_images(self, images)
        if images.dtype != torch.uint8:
            raise UsageError(f"Noise takes uint8 images, 0 to 255, got {images.dtype}")
        noise = torch.randn(images.shape, generator=generator).to(images.device) * self.std
        return (images + noise).round_().clamp_(0, 255).to(images.dtype)


def windows(images: Tensor, top: Tensor, left: Tensor, size: torch.Size) -> Tensor:
    """From each of images (B, C, ...), the window of `size` (H, W) at corner (top, left), (B,)."""
    B, C, rows, columns = images.shape
    (H, W), area = size, rows * columns
    # Seen with these strides, a window begins at every pixel of the memory. `index_select` copies
    # whole windows, several times as fast on a CPU as a gather of single pixels.
    count = (B - 1) * C * area + (rows - H + 1) * columns - W + 1
    begins = images.contiguous().as_strided((max(count, 0), C, H, W), (1, area, columns, 1))
    first = torch.arange(B) * C * area + top * columns + left
    return begins.index_select(0, first.to(images.device))


def check_images(augmentation: Augment, images: Tensor) -> None:
    if images.dim() != 4:
        raise UsageError(
            f"{type(augmentation).__name__} takes images (B, C, H, W), got {tuple(images.shape)}"
        )
