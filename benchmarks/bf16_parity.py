"""Train in float32 and in bfloat16 from the same seeds; compare scores and speed.

    DLCOURSE_DATA=DIR python benchmarks/bf16_parity.py [NAME ...] [--jobs N]

The scores are those of the validation data. A run has a process and `--threads` of its own; N of
them compute at once, always both kinds, so that the seconds of the two kinds can be compared. The
machine needs bfloat16 instructions (`dlcourse doctor` names them); without them the record is left
as it is. What is recorded of models that are not named stays.
"""

from __future__ import annotations

import multiprocessing
import statistics
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch
from common import RESULTS, parser, record, recorded, spread

from dlcourse import data, models, recipes, runtime
from dlcourse.models import DeepAutoencoder
from dlcourse.train import Execution, Reconstruction, fit, squared_error

EPOCHS = {"lenet5": 5, "resnet20": 10, "lstm": 2, "autoencoder": 5}
SCORES = {"lenet5": "accuracy", "resnet20": "accuracy", "lstm": "perplexity", "autoencoder": "loss"}


def train(name: str, seed: int, bf16: bool, device: str, epochs: int, limit: int | None) -> Any:
    """Train one model; return its score on the validation data and its seconds of training."""
    settings: dict[str, Any] = {
        "seed": seed, "device": device, "epochs": epochs, "execution": Execution(bf16=bf16),
    }  # fmt: skip
    if name in ("resnet20", "lstm"):
        recipe = recipes.find({"resnet20": "cifar10-resnet20", "lstm": "ptb-lstm100"}[name])
        splits = recipe.splits(offline=True, seed=seed, device=device, limit=limit)
        _, history = recipe.train(splits, **settings)
    else:
        mnist = data.load("mnist", offline=True)
        torch.manual_seed(seed)
        if name == "lenet5":
            parts = mnist.batches(64, seed=seed, device=device, limit=limit)
            history = fit(models.build("lenet5"), *parts[:2], lr=3e-3, **settings)
        else:
            parts = mnist.batches(100, normalize="none", seed=seed, device=device, limit=limit)
            train, val = (Reconstruction(part) for part in parts[:2])
            history = fit(
                DeepAutoencoder(), train, val, loss=squared_error, lr=3e-3, schedule="onecycle",
                **settings,
            )  # fmt: skip
    return history[f"val_{SCORES[name]}"][-1], sum(history["seconds"])


def compare(name: str, args: Any) -> dict[str, Any]:
    """The scores and seconds of both kinds over all seeds, and the difference of the means."""
    epochs = args.epochs or EPOCHS[name]
    asked = [
        (name, seed, bf16, args.device, epochs, args.limit)
        for seed in range(args.seeds)
        for bf16 in (False, True)
    ]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        args.jobs, spawn, initializer=torch.set_num_threads, initargs=(args.threads,)
    ) as pool:
        found = list(pool.map(train, *zip(*asked, strict=True)))
    scores = {kind: [score for score, _ in found[at::2]] for at, kind in enumerate(KINDS)}
    seconds = {kind: [took for _, took in found[at::2]] for at, kind in enumerate(KINDS)}
    means = {kind: statistics.mean(values) for kind, values in scores.items()}
    deviation = max(statistics.stdev(values) for values in scores.values()) if args.seeds > 1 else 0
    difference = means["bf16"] - means["float32"]
    return {
        "score": f"val_{SCORES[name]}",
        "epochs": epochs,
        "limit": args.limit,
        **{kind: spread(values, 5) for kind, values in scores.items()},
        "means": {kind: round(value, 5) for kind, value in means.items()},
        "difference_of_means": round(difference, 5),
        "larger_standard_deviation": round(deviation, 5),
        "parity": abs(difference) <= deviation,
        "seconds": {kind: spread(values, 1) for kind, values in seconds.items()},
        "times_as_fast": round(
            statistics.median(seconds["float32"]) / statistics.median(seconds["bf16"]), 2
        ),
    }


KINDS = ("float32", "bf16")


def main() -> None:
    made = parser(__doc__)
    made.add_argument("names", nargs="*", default=list(EPOCHS), metavar="NAME", help="default: all")
    made.add_argument("--seeds", type=int, default=4, help="default: %(default)s")
    made.add_argument("--jobs", type=int, default=2, help="runs at once (default: %(default)s)")
    made.add_argument("--threads", type=int, default=1, help="of each run (default: %(default)s)")
    made.add_argument("--device", default="cpu", choices=runtime.available_devices())
    made.add_argument("--epochs", type=int, help="default: 5, 10, 2 and 5")
    made.add_argument("--limit", type=int, help="number of images (default: all)")
    args = made.parse_args()
    if unknown := set(args.names) - set(EPOCHS):
        made.error(f"unknown: {', '.join(unknown)}; the names are {', '.join(EPOCHS)}")
    if not runtime.has_bf16(torch.device(args.device)):
        raise SystemExit(f"this {args.device} does not compute in bfloat16; nothing is recorded")
    title = "bf16_parity" if args.device == "cpu" else f"bf16_parity_{args.device}"
    path = args.out or RESULTS / f"{title}.json"
    for name in args.names:
        found = {name: compare(name, args) | {"jobs": args.jobs, "threads": args.threads}}
        record(title, recorded(path) | found, args.out)


if __name__ == "__main__":
    main()
