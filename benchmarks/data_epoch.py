"""Train one epoch from memory, against the same loop over torchvision's MNIST in a DataLoader.

    DLCOURSE_DATA=DIR python benchmarks/data_epoch.py

LeNet-5 with batch size 64 and the MLP 784-128-10 with batch size 512, Adam, real MNIST in IDX
files. The DataLoader has 0, 1 or 2 workers; the fastest of the three counts.
"""

from __future__ import annotations

import functools
import statistics
import time

import common
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from dlcourse import data, models
from dlcourse.data.folder import data_folder


def epoch(model: nn.Module, optimizer: torch.optim.Optimizer, batches) -> None:
    for inputs, targets in batches:
        loss = F.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(2)
    mnist = data.load("mnist", offline=True)
    if mnist.synthetic:
        parser.error("needs real MNIST in IDX files: set DLCOURSE_DATA")
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    )
    samples = datasets.MNIST(str(data_folder()), transform=transform)
    result = {"data": mnist.source.replace(str(data_folder()), "DLCOURSE_DATA")}
    for name, batch_size in (("lenet5", 64), ("mlp", 512)):
        loaders, alone = {}, {}
        for workers in (0, 1, 2):
            loaders[workers] = DataLoader(samples, batch_size, shuffle=True, num_workers=workers)
            start = time.perf_counter()
            for _ in loaders[workers]:
                pass
            alone[workers] = round(time.perf_counter() - start, 3)
        # Try every number of workers: the best alone is not always the best during training.
        contestants = {"memory": mnist.batches(batch_size, val_fraction=0)[0]}
        contestants |= {f"dataloader_{workers}": loader for workers, loader in loaders.items()}
        runs = {}
        for contestant, batches in contestants.items():
            torch.manual_seed(0)
            model = models.build(name)
            optimizer = torch.optim.Adam(model.parameters(), fused=True)  # as `fit` uses it
            runs[contestant] = functools.partial(epoch, model, optimizer, batches)
        seconds = common.interleave(runs, args.rounds)
        medians = {contestant: statistics.median(taken) for contestant, taken in seconds.items()}
        best = min((c for c in medians if c != "memory"), key=medians.get)
        result[f"{name}_batch_{batch_size}"] = {
            "seconds": {contestant: common.spread(taken) for contestant, taken in seconds.items()},
            "loading_alone_s": alone,
            "best_dataloader": best,
            "times_as_fast": round(medians[best] / medians["memory"], 2),
        }
    common.record("data_epoch", result, args.out)


if __name__ == "__main__":
    main()
