"""Measure how the cost of `dlcourse compare` grows with the number of runs, without their training.

    python benchmarks/compare_size.py                       (100 to 100,000 runs)

plan: expand a grid and check its runs, which comes before it is refused or started. resume: go on
with a study of which 90 % of the runs are in the journal; the others are answered at once by an
executor that trains nothing, so what is measured is the harness: reading the journal, handing out
runs, writing each result to the disk, ordering them. report: write the page and the tables.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import common

from dlcourse.compare.grid import axes_of, expand, grid
from dlcourse.compare.report import write_report
from dlcourse.compare.result import Result, plain
from dlcourse.compare.settings import Environment, RunSettings
from dlcourse.files import write_text

SIZES = (100, 1000, 10_000, 100_000)
SEEDS = 5
FIXED: dict[str, Any] = {"model": "mlp", "data": "mnist", "optimizer": ["sgd", "adam"], "epochs": 3}


class Instant(Executor):
    """Answers every run at once with a made-up result."""

    def submit(self, call: Callable, /, *args: Any, **kwargs: Any) -> Future:
        done: Future = Future()
        done.set_result([result(run) for run in args[0]])
        return done


def result(run: RunSettings) -> Result:
    accuracy = 0.5 + 0.4 * (hash(run.key) % 1000) / 1000
    scores = {f"{split}_{score}": value for split in ("train", "val", "test")
              for score, value in (("loss", 1 - accuracy), ("accuracy", accuracy))}  # fmt: skip
    epochs = [{"epoch": epoch, "seconds": 1.0, "lr": 0.1, **scores} for epoch in (1, 2, 3)]
    return Result(run.values, "done", scores, epochs, 3, 1000, 3.0, 1, "made up", 1000)


def plan(runs: int) -> Callable[[], None]:
    """Expand and check a grid of so many runs."""
    axes, environment = axes_of(FIXED | lrs(runs), SEEDS), Environment(offline=True)
    expand(axes_of(FIXED | lrs(10), SEEDS), environment)  # reads the data

    def work() -> None:
        assert len(expand(axes, environment)) == runs

    return work


def resume(runs: int) -> Callable[[], None]:
    """Continue a study of which 90 % of the runs are finished."""
    out = Path(tempfile.mkdtemp())
    axes = axes_of(FIXED | lrs(runs), SEEDS)
    planned = expand(axes, Environment(offline=True))
    with (out / "runs.jsonl").open("w") as file:
        for run in planned[: round(0.9 * runs)]:
            file.write(json.dumps({"key": run.key, "record": plain(result(run))}) + "\n")
    write_text(out / "study.json", json.dumps(plain({"grid": axes, "about": {}})))

    def work() -> None:
        study = grid(out, **asked(runs), executor=Instant())
        assert len(study.results) == runs
        assert {one.key for one in study.results} == {run.key for run in planned}
        shutil.rmtree(out)

    return work


def report(runs: int) -> Callable[[], None]:
    """Write the page of a whole study."""
    out = Path(tempfile.mkdtemp())
    study = grid(out, **asked(runs), executor=Instant())

    def work() -> None:
        write_report(study)
        shutil.rmtree(out)

    return work


def asked(runs: int) -> dict[str, Any]:
    return {**FIXED, **lrs(runs), "seeds": SEEDS, "yes": True, "offline": True}


def lrs(runs: int) -> dict[str, list[float]]:
    count = runs // (SEEDS * len(FIXED["optimizer"]))
    return {"lr": [(1 + at) / count for at in range(count)]}


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--part", choices=("plan", "resume", "report"))
    args = parser.parse_args()
    parts = {"plan": plan, "resume": resume, "report": report}
    if args.part:
        parts = {args.part: parts[args.part]}
    found = {name: common.cost_curve(make, args.sizes, "runs") for name, make in parts.items()}
    common.record("compare_size", found, args.out)


if __name__ == "__main__":
    main()
