"""Compare `fit` with a bare loop over the same batches: LeNet-5 and an MLP, batch 64 and 512.

    DLCOURSE_DATA=DIR python benchmarks/fit_overhead.py     (about 2 minutes on 2 cores)

The comparison is made twice: with the arithmetic of the bare loop (every speed setting off), so
that the difference is the cost of the loop itself, and with the defaults of `fit` (channels_last,
fused Adam). A ratio above 1 means that `fit` is faster.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable
from functools import partial

import torch
from common import bare_loop, interleave, parser, record, spread
from torch import nn

from dlcourse import data, models
from dlcourse.train import Execution, fit

MODELS = {"lenet5": {}, "mlp": {"hidden_sizes": (128,)}}
# Training images in an epoch, chosen so that an epoch takes about half a second.
IMAGES = {"lenet5": 8_000, "mlp": 30_000}
PLAIN = Execution(channels_last=False, fused=False, bf16=False)


def fresh(train: Callable[[nn.Module], object], start: nn.Module) -> None:
    """Train a copy of `start`. A model that went on from round to round would slow down by numbers
    near 0, and each contestant's at another time."""
    train(copy.deepcopy(start))


def main() -> None:
    args = parser(__doc__).parse_args()
    mnist = data.load("mnist", offline=True)
    result = {"data": "MNIST", "threads": torch.get_num_threads()}
    for name, settings in MODELS.items():
        for batch_size in (64, 512):
            train, _, _ = mnist.batches(batch_size=batch_size, limit=IMAGES[name])
            runs = {
                "bare": lambda m, t=train: bare_loop(m, t),
                "fit_plain": lambda m, t=train: fit(m, t, epochs=1, device="cpu", execution=PLAIN),
                "fit": lambda m, t=train: fit(m, t, epochs=1, device="cpu"),
            }
            start = models.build(name, **settings)
            contestants = {key: partial(fresh, run, start) for key, run in runs.items()}
            seconds = interleave(contestants, rounds=9)
            medians = {key: statistics.median(values) for key, values in seconds.items()}
            result[f"{name}, batch {batch_size}"] = {
                **{f"{key}_s": spread(values) for key, values in seconds.items()},
                "speed_of_fit_plain_over_bare": round(medians["bare"] / medians["fit_plain"], 3),
                "speed_of_fit_over_bare": round(medians["bare"] / medians["fit"], 3),
            }
    record("fit_overhead", result, args.out)


if __name__ == "__main__":
    main()
