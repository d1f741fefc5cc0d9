"""What each speed knob of `fit` gains, and all of it against a DataLoader.

    DLCOURSE_DATA=DIR python benchmarks/speed.py     (about 2 minutes on 2 cores)

LeNet-5 at batch 512 on real MNIST, and ResNet-20 at batch 128 on CIFAR-10 with crops and flips,
each over a part of its images. The rival is a bare loop with Adam over torchvision's data set and
transforms in a DataLoader, with 0, 1 and 2 workers; the best of these counts. LeNet-5 applies ReLU
before pooling there, as most write it.
"""

from __future__ import annotations

import os
import statistics
from functools import partial

import torch
import torch.nn.functional as F
from common import interleave, parser, record, spread
from data_epoch import lenet5
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from dlcourse import data, models
from dlcourse.data import Compose, Crop, Flip
from dlcourse.data.folder import data_folder
from dlcourse.train import fit
from dlcourse.train.speed import has_bf16

KNOBS = {
    "plain": {"channels_last": False, "fused": False},
    "channels_last": {"channels_last": True, "fused": False},
    "fused": {"channels_last": False, "fused": True},
    "by_itself": {"bf16": None},
}


def loop(model: torch.nn.Module, batches: DataLoader) -> None:
    optimizer = torch.optim.Adam(model.parameters())
    model.train()
    for inputs, targets in batches:
        loss = F.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


class Images(torch.utils.data.Dataset):
    """Images in memory, through torchvision's transforms one by one."""

    def __init__(self, images, labels, transform):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(self.images[index]), int(self.labels[index])


def compare(ours: dict, rivals: dict, rounds: int) -> dict:
    seconds = interleave({**ours, **rivals}, rounds)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    best = min(rivals, key=medians.get)
    return {
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "speed_against_plain": {
            name: round(medians["plain"] / medians[name], 3) for name in ours if "plain" in ours
        },
        "best_dataloader": best,
        "times_as_fast_as_the_dataloader": round(medians[best] / medians["by_itself"], 2),
    }


def fits(build, batches, knobs: dict) -> dict:
    return {
        name: partial(fit, build(), batches, epochs=1, device="cpu", **settings)
        for name, settings in knobs.items()
    }


def lenet(rounds: int, count: int = 6_400) -> dict:
    mnist = data.load("mnist", offline=True)
    batches, _, _ = mnist.batches(512, limit=count, val_fraction=0)
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    )
    samples = Subset(datasets.MNIST(str(data_folder()), transform=transform), range(count))
    loaders = {
        f"dataloader_{workers}": partial(
            loop, lenet5(), DataLoader(samples, 512, shuffle=True, num_workers=workers)
        )
        for workers in (0, 1, 2)
    }
    return compare(fits(lambda: models.build("lenet5"), batches, KNOBS), loaders, rounds)


def resnet(rounds: int, count: int = 640) -> dict:
    cifar = data.load("cifar10", offline=True)
    batches, _, _ = cifar.batches(
        128, limit=count, val_fraction=0, augment=Compose(Crop(4), Flip())
    )
    transform = transforms.Compose(
        [
            transforms.ToPILImage(), transforms.RandomCrop(32, 4),
            transforms.RandomHorizontalFlip(), transforms.ToTensor(),
            transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        ]
    )  # fmt: skip
    samples = Images(cifar.train_images[:count], cifar.train_labels[:count], transform)
    loaders = {
        f"dataloader_{workers}": partial(
            loop,
            models.build("resnet20"),
            DataLoader(samples, 128, shuffle=True, num_workers=workers),
        )
        for workers in (0, 2)
    }
    ours = fits(lambda: models.build("resnet20"), batches, KNOBS)
    return compare(ours, loaders, rounds)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    args = made.parse_args()
    cpu = torch.device("cpu")
    result = {
        "data": "MNIST; CIFAR-10 whose pixels went through JPEG",
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 1),
        "bf16_on_by_itself": has_bf16(cpu),
        "lenet5, batch 512": lenet(args.rounds),
        "resnet20, batch 128": resnet(args.rounds),
    }
    record("speed", result, args.out)


if __name__ == "__main__":
    main()
