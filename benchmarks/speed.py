"""Measure what each speed setting of `fit` adds, and all of them against a DataLoader.

    DLCOURSE_DATA=DIR python benchmarks/speed.py     (about 12 minutes on 2 cores)
    python benchmarks/speed.py --summary             (about 3 minutes; nothing is recorded)

LeNet-5 with batch size 512 on real MNIST, and ResNet-20 with batch size 128 on CIFAR-10 with crops
and flips, each over a part of its images, each contestant in a process of its own. The rival is a
bare loop with Adam over torchvision's data set and transforms in a DataLoader with 0, 1 and 2
workers; the fastest of these counts. Its LeNet-5 applies ReLU before pooling, as most people write
it.

--summary prints what each setting alone is worth on this machine, in steps over random numbers.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from functools import partial

import torch
from common import bare_loop, cpu_name, interleave_apart, parser, record, spread
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from dlcourse import data, models, runtime
from dlcourse.data import Compose, Crop, Flip
from dlcourse.data.folder import data_folder
from dlcourse.train import Execution, execution, fit

KNOBS = {
    "plain": Execution(channels_last=False, fused=False, bf16=False),
    "channels_last": Execution(channels_last=True, fused=False, bf16=False),
    "fused": Execution(channels_last=False, fused=True, bf16=False),
    "freed_memory_not_kept": Execution(),
    "by_itself": Execution(),
    "compiled": Execution(compile=True),
}
BATCH_SIZE = {"lenet5": 512, "resnet20": 128}
# What --summary measures. "memory": freed memory is kept, which is not a setting but always done.
ALONE = {
    "none of them": Execution(channels_last=False, fused=False, bf16=False),
    "channels_last": Execution(channels_last=True, fused=False, bf16=False),
    "fused": Execution(channels_last=False, fused=True, bf16=False),
    "memory": Execution(channels_last=False, fused=False, bf16=False),
    "bf16": Execution(channels_last=False, fused=False, bf16=True),
    "compile": Execution(channels_last=False, fused=False, bf16=False, compile=True),
    "fit by itself": Execution(),
}
# Model, batch size, shape of a sample, steps of a measurement.
SHORT: dict[str, tuple[str, int, tuple[int, ...], int]] = {
    "MLP, batch 64": ("mlp", 64, (1, 28, 28), 150),
    "LeNet-5, batch 512": ("lenet5", 512, (1, 28, 28), 6),
    "ResNet-20, batch 128": ("resnet20", 128, (3, 32, 32), 2),
}
COUNT = {"lenet5": 60_000, "resnet20": 1_920}  # enough to make up for the start of the workers


class Images(torch.utils.data.Dataset):
    """Images in memory, each passed through torchvision's transforms."""

    def __init__(self, images, labels, transform):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(self.images[index]), int(self.labels[index])


def ours(name: str, knob: str) -> Callable[[], object]:
    augment = Compose(Crop(4), Flip()) if name == "resnet20" else None
    whole = data.load("mnist" if name == "lenet5" else "cifar10", offline=True)
    batches, _, _ = whole.batches(
        BATCH_SIZE[name], limit=COUNT[name], val_fraction=0, augment=augment
    )
    if knob == "freed_memory_not_kept":
        execution.keep_freed_memory = lambda: None
    return partial(fit, models.build(name), batches, epochs=1, device="cpu", execution=KNOBS[knob])


def rival(name: str, workers: int) -> Callable[[], object]:
    if name == "lenet5":
        transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
        )
        samples = datasets.MNIST(str(data_folder()), transform=transform)
        samples, model = Subset(samples, range(COUNT[name])), usual_lenet5()
    else:
        transform = transforms.Compose(
            [
                transforms.ToPILImage(), transforms.RandomCrop(32, 4),
                transforms.RandomHorizontalFlip(), transforms.ToTensor(),
                transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
            ]
        )  # fmt: skip
        cifar, some = data.load("cifar10", offline=True), slice(COUNT[name])
        samples = Images(cifar.train_images[some], cifar.train_labels[some], transform)
        model = models.build(name)
    loader = DataLoader(samples, BATCH_SIZE[name], shuffle=True, num_workers=workers)
    return partial(bare_loop, model, loader)


def usual_lenet5() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def compare(name: str, rounds: int) -> dict:
    rivals = {f"dataloader_{workers}": partial(rival, name, workers) for workers in (0, 1, 2)}
    seconds = interleave_apart({knob: partial(ours, name, knob) for knob in KNOBS} | rivals, rounds)
    medians = {contestant: statistics.median(values) for contestant, values in seconds.items()}
    best = min(rivals, key=medians.get)
    return {
        "seconds": {contestant: spread(values) for contestant, values in seconds.items()},
        "speed_against_plain": {knob: round(medians["plain"] / medians[knob], 3) for knob in KNOBS},
        "best_dataloader": best,
        "times_as_fast_as_the_dataloader": round(medians[best] / medians["by_itself"], 2),
    }


def steps(work: str, setting: str, device: str) -> Callable[[], object]:
    """A few steps over random numbers, with one setting alone."""
    name, batch_size, shape, count = SHORT[work]
    batches = [
        (torch.randn(batch_size, *shape), torch.randint(10, (batch_size,))) for _ in range(count)
    ]
    if setting not in ("memory", "fit by itself"):
        execution.keep_freed_memory = lambda: None
    return partial(
        fit, models.build(name), batches, epochs=1, device=device, execution=ALONE[setting]
    )


def summary(rounds: int, device: str) -> dict[str, dict[str, float]]:
    """How many times as fast each setting alone makes each model, by the fastest of `rounds`."""
    on = torch.device(device)
    here = {"bf16": runtime.has_bf16(on), "compile": execution.has_compiler(on),
            "memory": on.type == "cpu"}  # fmt: skip
    worth: dict[str, dict[str, float]] = {setting: {} for setting in ALONE}
    for work, (name, *_) in SHORT.items():
        asked = [one for one in ALONE if here.get(one, one != "channels_last" or name != "mlp")]
        makers = {setting: partial(steps, work, setting, device) for setting in asked}
        fastest = {one: min(took) for one, took in interleave_apart(makers, rounds).items()}
        for setting, seconds in fastest.items():
            worth[setting][work] = fastest["none of them"] / seconds
    return worth


def as_table(worth: dict[str, dict[str, float]]) -> str:
    """The lines of `summary`; a dash where a setting does nothing or the machine lacks it."""
    lines = [" " * 14 + "".join(f"{work:>22}" for work in SHORT)]
    for setting, by_work in worth.items():
        cells = [f"{by_work[work]:.2f}" if work in by_work else "-" for work in SHORT]
        lines.append(f"{setting:14}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--summary", action="store_true", help="only print a short table")
    made.add_argument("--device", default="cpu", help="of the summary; default: %(default)s")
    made.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    args = made.parse_args()
    if args.summary:
        machine = f"{cpu_name()}, {torch.get_num_threads()} threads, on {args.device}"
        print(f"{machine}, load average {os.getloadavg()[0]:.1f}: times as fast as without")
        print(as_table(summary(args.rounds, args.device)))
        return
    result = {
        "data": "MNIST; CIFAR-10 whose pixels went through JPEG",
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 1),
        "bf16_on_by_itself": runtime.has_bf16(torch.device("cpu")),
        "lenet5, batch 512": compare("lenet5", args.rounds),
        "resnet20, batch 128": compare("resnet20", args.rounds),
    }
    # The settings are worth something else on a processor that computes in bfloat16.
    record("speed_bf16" if result["bf16_on_by_itself"] else "speed", result, args.out)


if __name__ == "__main__":
    main()
