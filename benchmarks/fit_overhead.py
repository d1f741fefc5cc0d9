"""`fit` against a bare loop over the same batches, LeNet-5, batch 64 and 512, in turn.

DLCOURSE_DATA=DIR python benchmarks/fit_overhead.py     (about 2 minutes on 2 cores)
"""

from __future__ import annotations

import statistics

import torch
import torch.nn.functional as F
from common import interleave, parser, record, spread

from dlcourse import data, models
from dlcourse.train import fit


def bare_loop(model: torch.nn.Module, batches: data.Batches) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for inputs, targets in batches:
        loss = F.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main() -> None:
    args = parser(__doc__).parse_args()
    mnist = data.load("mnist", offline=True)
    result = {}
    for batch_size in (64, 512):
        train, _, _ = mnist.batches(batch_size=batch_size)
        model = models.build("lenet5")
        seconds = interleave(
            {
                "fit": lambda m=model, t=train: fit(m, t, epochs=1, lr=1e-3, device="cpu"),
                "bare": lambda m=model, t=train: bare_loop(m, t),
            },
            rounds=5,
        )
        ratios = [f / b for f, b in zip(seconds["fit"], seconds["bare"], strict=True)]
        result[f"batch {batch_size}"] = {
            "fit_s": spread(seconds["fit"]),
            "bare_s": spread(seconds["bare"]),
            "fit_over_bare": spread(ratios),
            "of_medians": round(
                statistics.median(seconds["fit"]) / statistics.median(seconds["bare"]), 4
            ),
        }
    record("fit_overhead", result, args.out)


if __name__ == "__main__":
    main()
