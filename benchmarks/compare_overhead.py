"""Measure what the comparison harness costs over calling `fit` in a loop.

    python benchmarks/compare_overhead.py

The runs take a second or more. Both contestants build the same models, train them, and score them
on validation and test data; the harness also writes its study. No models are stacked here.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from common import interleave, parser, record, spread

from dlcourse import compare, init, models, train
from dlcourse.data import load
from dlcourse.data.folder import data_folder

RUNS, EPOCHS, LIMIT = 3, 5, 20000


def main() -> None:
    args = parser(__doc__)
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--data-dir")
    args = args.parse_args()
    images = load("mnist", args.data_dir)

    def loop() -> None:
        for seed in range(RUNS):
            parts = images.batches(seed=seed, limit=LIMIT, device="cpu")
            model = init.initialize(models.build("mlp"), "xavier", seed=seed)
            train.fit(model, *parts[:2], epochs=EPOCHS, seed=seed, device="cpu", progress=False)
            train.evaluate(model, parts[2])

    def harness() -> None:
        with tempfile.TemporaryDirectory() as folder:
            compare.grid(
                Path(folder) / "study", model="mlp", data="mnist", init="xavier", limit=LIMIT,
                epochs=EPOCHS, seeds=RUNS, together=False, device="cpu", progress=False,
                data_dir=args.data_dir,
            )  # fmt: skip

    seconds = interleave({"fit in a loop": loop, "harness": harness}, args.rounds)
    plain, ours = (statistics.median(values) for values in seconds.values())
    result = {
        "runs": RUNS,
        "data": images.source.replace(str(data_folder(args.data_dir)), "DLCOURSE_DATA"),
        "seconds a run": round(plain / RUNS, 2),
        **{name: spread(values) for name, values in seconds.items()},
        "overhead in percent": round(100 * (ours / plain - 1), 1),
    }
    record("compare_overhead", result, args.out)


if __name__ == "__main__":
    main()
