"""Measure how the cost of `dlcourse data import` grows with the number of images.

    python benchmarks/data_import.py                       (1,000 to 50,000 images; some minutes)
    python benchmarks/data_import.py --sizes 1000 10000 200000

The images are random JPEG files of 64 x 64 pixels in ten classes, in one tar file; they become
32 x 32 pixels. Memory is that of the process: its own and the file that it has mapped.
"""

from __future__ import annotations

import functools
import io
import random
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import common
from PIL import Image

from dlcourse.data.importer import import_images

SIZES = (1000, 5000, 20_000, 50_000)


def make(place: str, images: int) -> Callable[[], None]:
    source, path = random.Random(0), Path(place) / f"{images}.tar"
    pictures = []
    for _ in range(100):
        file = io.BytesIO()
        noise = Image.frombytes("RGB", (8, 8), source.randbytes(192))
        noise.resize((64, 64)).save(file, "JPEG")
        pictures.append(file.getvalue())
    with tarfile.open(path, "w") as tar:
        for number in range(images):
            item = tarfile.TarInfo(f"class{number % 10}/{number}.jpg")
            item.size = len(pictures[number % 100])
            tar.addfile(item, io.BytesIO(pictures[number % 100]))

    def work() -> None:
        npz, counts = import_images(f"images{images}", path, place)
        assert sum(counts.values()) == images
        npz.unlink()

    return work


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        prepare = functools.partial(make, place)
        common.record("data_import", common.cost_curve(prepare, args.sizes, "images"), args.out)


if __name__ == "__main__":
    main()
