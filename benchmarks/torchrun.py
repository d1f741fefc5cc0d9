"""Compare two processes of `torchrun`, one thread each, with one process of two threads on a CPU.

    DLCOURSE_DATA=DIR python benchmarks/torchrun.py     (about 4 minutes on 2 idle cores)

LeNet-5 with batch size 512 on MNIST, and ResNet-20 with batch size 128 on CIFAR-10, which both make
the same steps: each of the two processes takes half of every batch. The two take turns, and the
first epoch of each turn is not counted, so that the start of the processes is not in the figures.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from common import parser, record, spread

from dlcourse import data, models, runtime
from dlcourse.train import distributed, fit

# data set, batch size, images in an epoch
WORK = {"lenet5": ("mnist", 512, 30_720), "resnet20": ("cifar10", 128, 1_920)}
WAYS = {
    "one process, 2 threads": (2, []),
    "two processes, 1 thread each": (
        1, ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ),
}  # fmt: skip


def turn(name: str, way: str, share: float, epochs: int) -> list[float]:
    """Train in new processes. Returns the steps a second of each epoch except the first one."""
    threads, launcher = WAYS[way]
    flags = ["--train", name, "--share", str(share), "--epochs", str(epochs)]
    done = subprocess.run(
        [sys.executable, *launcher, str(Path(__file__)), *flags],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def train(name: str, share: float, epochs: int) -> None:
    """In a process of its own, or in one of two: train, and print the steps a second."""
    kind, batch_size, images = WORK[name]
    runtime.set_threads(int(os.environ["OMP_NUM_THREADS"]))
    whole = data.load(kind, offline=True)
    batches, _, _ = whole.batches(batch_size, limit=round(share * images), val_fraction=0)
    history = fit(models.build(name), batches, epochs=1 + epochs, device="cpu", progress=False)
    if distributed.rank() == 0:
        print(json.dumps([len(batches) / seconds for seconds in history["seconds"][1:]]))


def compare(name: str, share: float, rounds: int, epochs: int) -> dict:
    speeds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, found in speeds.items():
            found += turn(name, way, share, epochs)
    threads, processes = (statistics.median(found) for found in speeds.values())
    return {
        "steps_a_second": {way: spread(found, 2) for way, found in speeds.items()},
        "times_as_fast": round(processes / threads, 3),
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    made.add_argument("--epochs", type=int, default=3, help="in a turn; default: %(default)s")
    made.add_argument("--share", type=float, default=1, help="of the images; default: %(default)s")
    made.add_argument("--train", choices=WORK, help="what the processes of this script are given")
    args = made.parse_args()
    if args.train:
        train(args.train, args.share, args.epochs)
        return
    result = {
        "data": "MNIST; CIFAR-10 whose pixels went through JPEG",
        "load_average": round(os.getloadavg()[0], 1),
        **{name: compare(name, args.share, args.rounds, args.epochs) for name in WORK},
    }
    record("torchrun", result, args.out)


if __name__ == "__main__":
    main()
