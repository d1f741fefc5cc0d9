"""Crop (padding 4) and flip 50,000 images of 3x32x32: whole batches against torchvision.

    DLCOURSE_DATA=DIR python benchmarks/data_augment.py

Both start from the images as they hold them in memory (uint8 tensors, PIL images) and end there.
torchvision's transforms of single samples are timed on 5,000 images in one thread: on PIL images,
as its CIFAR10 class gives them and which is faster, and on tensors.
"""

from __future__ import annotations

import statistics

import common
import torch
from PIL import Image
from torchvision import transforms

from dlcourse import data, runtime
from dlcourse.data.folder import data_folder

BATCH, SAMPLES = 512, 5000


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(2)
    runtime.keep_freed_memory()  # as `fit` does; the peers have it too
    cifar = data.load("cifar10", offline=True)
    images = cifar.train_images
    augment = data.Compose(data.Crop(4), data.Flip())
    generator = torch.Generator().manual_seed(0)
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images[:SAMPLES]]
    peer = transforms.Compose(
        [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    )

    def ours() -> None:
        for batch in images.split(BATCH):
            augment(batch, generator)

    def on_pictures() -> None:
        for picture in pictures:
            peer(picture)

    def on_tensors() -> None:
        for image in images[:SAMPLES]:
            peer(image)

    contestants = {
        "batches": ours,
        "torchvision_pil": on_pictures,
        "torchvision_tensor": on_tensors,
    }
    seconds = common.interleave(contestants, args.rounds)
    rates = {
        name: [(len(images) if name == "batches" else SAMPLES) / taken for taken in each]
        for name, each in seconds.items()
    }
    medians = {name: statistics.median(each) for name, each in rates.items()}
    best = max(medians[name] for name in medians if name != "batches")
    common.record(
        "data_augment",
        {
            "data": cifar.source.replace(str(data_folder()), "DLCOURSE_DATA"),
            "batch_size": BATCH,
            "images_a_second": {name: common.spread(each, 0) for name, each in rates.items()},
            "times_as_fast": round(medians["batches"] / best, 2),
        },
        args.out,
    )


if __name__ == "__main__":
    main()
