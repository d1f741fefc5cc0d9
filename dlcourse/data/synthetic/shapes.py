"""Synthetic color images like CIFAR's: a class is a shape with a texture, in any colors."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["SIZE", "by_kind", "class_names", "draw_shapes", "edge"]

SIZE = 32
CHUNK = 2500
SHAPES = ("disk", "square", "triangle", "cross", "star", "ring", "bar", "crescent", "wave", "pair")
TEXTURES = ("stripes", "checks", "plain", "dots", "rings", "grid", "zigzag", "rays", "bands",
            "grain")  # fmt: skip


def class_names(num_classes: int = 10) -> tuple[str, ...]:
    """Names by label: 10 classes are five shapes times two textures, 100 are ten times ten."""
    return tuple(f"{TEXTURES[t]} {SHAPES[s]}" for s, t in pairs(num_classes))


def pairs(num_classes: int) -> list[tuple[int, int]]:
    textures = 2 if num_classes == 10 else 10
    return [divmod(label, textures) for label in range(num_classes)]


def draw_shapes(
    num_train: int = 50_000, num_test: int = 10_000, num_classes: int = 10, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """train_images uint8 (num_train, 3, 32, 32), train_labels int64, test_images, test_labels.

    num_classes: 10 or 100. Colors, position, size, rotation and background are independent of the
    class, and neither the shape alone nor the texture alone determines it.
    """
    generator = torch.Generator().manual_seed(seed)
    total = num_train + num_test
    labels = torch.randint(num_classes, (total,), generator=generator)
    kinds = torch.tensor(pairs(num_classes))[labels]  # (total, 2)
    images = torch.empty(total, 3, SIZE, SIZE, dtype=torch.uint8)
    for start in range(0, total, CHUNK):
        shape, texture = kinds[start : start + CHUNK].unbind(1)
        images[start : start + CHUNK] = draw_part(shape, texture, generator)
    return images[:num_train], labels[:num_train], images[num_train:], labels[num_train:]


def draw_part(shape: Tensor, texture: Tensor, generator: torch.Generator) -> Tensor:
    """An image uint8 (B, 3, 32, 32) of each shape and texture, numbers (B,)."""
    B = len(shape)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(B, 1, 1, generator=generator)

    axis = torch.linspace(-1, 1, SIZE)
    x, y = axis.view(1, 1, -1) - uniform(-0.3, 0.3), axis.view(1, -1, 1) - uniform(-0.3, 0.3)
    angle, scale = uniform(-math.pi, math.pi), uniform(0.5, 0.85)
    u = (x * angle.cos() + y * angle.sin()) / scale
    v = (y * angle.cos() - x * angle.sin()) / scale
    inside = by_kind(SHAPES, shape, edge, u, v).mul_(15).sigmoid_()
    phase, pace = uniform(0, 2 * math.pi), uniform(7, 11)
    grain = torch.randn(u.shape, generator=generator)
    pattern = by_kind(TEXTURES, texture, light, u, v, phase, pace, grain).mul_(6).sigmoid_()
    # The two colors of the pattern differ in lightness, so that it is always visible.
    one = torch.rand(B, 3, 1, 1, generator=generator)
    other = (one + 0.5 * torch.where(one > 0.5, -1.0, 1.0)).clamp(0, 1)
    blobs = torch.rand(B, 3, 4, 4, generator=generator)
    back = F.interpolate(blobs, (SIZE, SIZE), mode="bilinear", align_corners=True)
    inside, pattern = inside.unsqueeze(1), pattern.unsqueeze(1)
    images = inside * (pattern * one + (1 - pattern) * other) + (1 - inside) * back
    images += 0.06 * torch.randn(images.shape, generator=generator)
    return images.clamp_(0, 1).mul_(255).round_().to(torch.uint8)


def edge(shape: str, u: Tensor, v: Tensor) -> Tensor:
    """A field (B, 32, 32) that is positive inside the shape; (u, v) in the shape's own axes."""
    r, far = (u.square() + v.square()).sqrt(), torch.maximum(u.abs(), v.abs())
    match shape:
        case "disk":
            return 0.85 - r
        case "square":
            return 0.75 - far
        case "triangle":
            return 0.5 - torch.maximum(v, 0.87 * u.abs() - 0.5 * v)
        case "cross":
            return torch.minimum(0.95 - far, 0.3 - torch.minimum(u.abs(), v.abs()))
        case "star":
            return 0.62 + 0.33 * (5 * torch.atan2(v, u)).cos() - r
        case "ring":
            return 0.22 - (r - 0.7).abs()
        case "bar":
            return torch.minimum(1 - u.abs(), 0.35 - v.abs())
        case "crescent":
            return torch.minimum(0.95 - r, ((u - 0.45).square() + v.square()).sqrt() - 0.65)
        case "wave":
            return torch.minimum(1 - u.abs(), 0.3 - (v - 0.45 * (4 * u).sin()).abs())
        case "pair":
            return 0.42 - ((u.abs() - 0.5).square() + v.square()).sqrt()
    raise AssertionError(shape)


def light(texture: str, u: Tensor, v: Tensor, phase: Tensor, pace: Tensor, grain: Tensor) -> Tensor:
    """A field (B, 32, 32) that is positive where the texture is light."""
    a, b = pace * u + phase, pace * v + phase
    match texture:
        case "stripes":
            return a.sin()
        case "checks":
            return a.sin() * b.sin() * 2
        case "plain":
            return torch.ones_like(a)
        case "dots":
            return a.sin() + b.sin() - 1
        case "rings":
            return (1.3 * pace * (u.square() + v.square()).sqrt() + phase).sin()
        case "grid":
            return torch.maximum(a.sin(), b.sin()) - 0.8
        case "zigzag":
            return (a + 1.5 * torch.asin((0.9 * b).sin())).sin()
        case "rays":
            return (8 * torch.atan2(v, u) + phase).sin()
        case "bands":
            return (0.4 * pace * u + phase).sin()
        case "grain":
            return grain
    raise AssertionError(texture)


def by_kind(
    names: tuple[str, ...], numbers: Tensor, field: Callable[..., Tensor], *args: Tensor
) -> Tensor:
    """field(names[numbers[b]], *args) for each sample b; all samples of a kind together."""
    result = torch.empty_like(args[0])
    for number in numbers.unique().tolist():
        chosen = (numbers == number).nonzero().squeeze(1)
        result[chosen] = field(names[number], *(arg[chosen] for arg in args))
    return result
