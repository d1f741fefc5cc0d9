"""Synthetic digits like MNIST's: glyphs of matplotlib's fonts, warped, thickened, with noise."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

__all__ = ["draw_digits"]

FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSansMono-Bold",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol",
    "STIXGeneralItalic", "STIXGeneralBolIta", "cmr10", "cmss10", "cmtt10",
)  # fmt: skip
STROKES = (0, 1, 2, 3)
GLYPH = 48  # pixels a side of a glyph before it is warped
SIZE = 28
CHUNK = 5000


def draw_digits(
    num_train: int = 60_000, num_test: int = 10_000, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """train_images uint8 (num_train, 1, 28, 28), train_labels int64, test_images, test_labels.

    Digits are bright on dark, and all ten are equally likely. Each image has its own font,
    thickness, affine and smooth local warp, stray stroke and noise. The same seed gives the same
    images.
    """
    generator = torch.Generator().manual_seed(seed)
    total = num_train + num_test
    labels = torch.randint(10, (total,), generator=generator)
    images = torch.empty(total, 1, SIZE, SIZE, dtype=torch.uint8)
    for start in range(0, total, CHUNK):
        part = labels[start : start + CHUNK]
        images[start : start + CHUNK] = draw_part(part, generator)
    return images[:num_train], labels[:num_train], images[num_train:], labels[num_train:]


def draw_part(labels: Tensor, generator: torch.Generator) -> Tensor:
    """An image uint8 (B, 1, 28, 28) for each label (B,)."""
    shapes = glyphs()  # (fonts * strokes, 10, GLYPH, GLYPH)
    B = len(labels)
    style = torch.randint(len(shapes), (B,), generator=generator)
    inputs = shapes[style, labels].unsqueeze(1)
    images = F.grid_sample(inputs, warps(B, generator), align_corners=False)
    images *= uniform(B, 0.55, 1.0, generator).view(B, 1, 1, 1)
    images = torch.maximum(images, strays(B, generator))
    images += 0.12 * torch.randn(images.shape, generator=generator)
    return images.clamp_(0, 1).mul_(255).round_().to(torch.uint8)


def warps(B: int, generator: torch.Generator) -> Tensor:
    """Sampling grids (B, 28, 28, 2): rotate, slant, stretch and shift, then warp locally."""
    angle = uniform(B, -0.35, 0.35, generator)
    slant = uniform(B, -0.4, 0.4, generator)
    across, down = uniform(B, 0.85, 1.5, generator), uniform(B, 0.85, 1.3, generator)
    cos, sin = angle.cos(), angle.sin()
    affine = torch.stack(
        [
            torch.stack([across * (cos + slant * sin), across * (slant * cos - sin)], 1),
            torch.stack([down * sin, down * cos], 1),
        ],
        1,
    )  # (B, 2, 2)
    shift = 0.3 * (2 * torch.rand(B, 2, 1, generator=generator) - 1)
    grid = F.affine_grid(torch.cat([affine, shift], 2), [B, 1, SIZE, SIZE], align_corners=False)
    bend = 0.09 * torch.randn(B, 2, 5, 5, generator=generator)
    bend = F.interpolate(bend, (SIZE, SIZE), mode="bilinear", align_corners=True)
    return grid + bend.permute(0, 2, 3, 1)


def strays(B: int, generator: torch.Generator) -> Tensor:
    """A short faint stroke (B, 1, 28, 28) somewhere in each image."""
    axis = torch.arange(SIZE, dtype=torch.float32)
    x, y = (uniform(B, 0, SIZE, generator).view(B, 1, 1) for _ in range(2))
    angle = uniform(B, 0, math.pi, generator).view(B, 1, 1)
    dx, dy = axis.view(1, 1, -1) - x, axis.view(1, -1, 1) - y
    along, off = dx * angle.cos() + dy * angle.sin(), dy * angle.cos() - dx * angle.sin()
    inside = (1.5 - off.abs()).clamp(0, 1) * (5.0 - along.abs()).clamp(0, 1)
    return (inside * uniform(B, 0.2, 0.8, generator).view(B, 1, 1)).unsqueeze(1)


@functools.cache
def glyphs() -> Tensor:
    """Every digit in every font and thickness, float32 (fonts * strokes, 10, GLYPH, GLYPH)."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return torch.stack(
        [
            torch.stack([glyph(ImageFont.truetype(folder / f"{font}.ttf", 40), d, stroke)
                         for d in "0123456789"])
            for font in FONTS
            for stroke in STROKES
        ]
    )  # fmt: skip


def glyph(font: ImageFont.FreeTypeFont, digit: str, stroke: int) -> Tensor:
    """One digit, centered, float32 (GLYPH, GLYPH) in [0, 1]."""
    canvas = Image.new("L", (GLYPH, GLYPH))
    center = (GLYPH / 2, GLYPH / 2)
    pen = ImageDraw.Draw(canvas)
    left, top, right, bottom = pen.textbbox((0, 0), digit, font, stroke_width=stroke)
    corner = (center[0] - (left + right) / 2, center[1] - (top + bottom) / 2)
    pen.text(corner, digit, 255, font, stroke_width=stroke)
    return torch.from_numpy(np.asarray(canvas, np.float32) / 255)


def uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)
