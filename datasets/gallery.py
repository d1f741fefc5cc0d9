"""A small picture of each synthetic stand-in, for datasets/README.md.

python datasets/gallery.py datasets
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from dlcourse.data.synthetic.digits import draw_digits
from dlcourse.data.synthetic.grammar import build_grammar
from dlcourse.data.synthetic.shapes import draw_shapes

__all__ = ["write_gallery"]

COLUMNS = 20


def write_gallery(folder: Path) -> list[Path]:
    """Write digits.png, shapes.png and grammar.png into `folder`; returns their paths."""
    made = {
        "digits": tiles(draw_digits(5 * COLUMNS, 0)[0]),
        "shapes": tiles(draw_shapes(5 * COLUMNS, 0)[0]),
        "grammar": page(build_grammar().text(90, seed=0)),
    }
    paths = []
    for name, picture in made.items():
        paths.append(folder / f"{name}.png")
        picture.save(paths[-1], optimize=True)
    return paths


def tiles(images: Tensor) -> Image.Image:
    """Images uint8 (N, C, H, W) in rows of COLUMNS, one pixel apart."""
    N, C, H, W = images.shape
    grid = np.full((N // COLUMNS * (H + 1), COLUMNS * (W + 1), C), 255, np.uint8)
    for i, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
        y, x = i // COLUMNS * (H + 1), i % COLUMNS * (W + 1)
        grid[y : y + H, x : x + W] = image
    return Image.fromarray(grid if C == 3 else grid[:, :, 0])


def page(text: str) -> Image.Image:
    """The text in black on white."""
    font = ImageFont.load_default(12)
    lines = "\n".join(line[:95] for line in text.splitlines())
    box = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((8, 8), lines, font)
    picture = Image.new("L", (int(box[2]) + 8, int(box[3]) + 8), 255)
    ImageDraw.Draw(picture).multiline_text((8, 8), lines, 0, font)
    return picture


if __name__ == "__main__":
    for path in write_gallery(Path(sys.argv[1])):
        print(path)
