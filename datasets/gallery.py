"""A small picture of each synthetic stand-in, for datasets/README.md.

python datasets/gallery.py datasets
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from dlcourse.data.synthetic.digits import draw_digits
from dlcourse.data.synthetic.grammar import build_grammar
from dlcourse.data.synthetic.paired_grammar import build_paired_grammar
from dlcourse.data.synthetic.shapes import draw_shapes

__all__ = ["write_gallery"]

COLUMNS = 20


def write_gallery(folder: Path) -> list[Path]:
    """Write a picture of each stand-in into `folder`; returns their paths."""
    short = (pair for pair in build_paired_grammar().pairs(0) if len(pair[0]) < 12)
    pairs = itertools.islice(short, 4)
    made = {
        "digits": tiles(draw_digits(5 * COLUMNS, 0)[0]),
        "shapes": tiles(draw_shapes(5 * COLUMNS, 0)[0]),
        "grammar": page(build_grammar().text(90, seed=0)),
        "paired_grammar": page("\n".join(two_lines(pair) for pair in pairs)),
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


def two_lines(pair: tuple[list[str], list[str]]) -> str:
    return " ".join(pair[0]) + "\n    " + " ".join(pair[1])


if __name__ == "__main__":
    for path in write_gallery(Path(sys.argv[1])):
        print(path)
