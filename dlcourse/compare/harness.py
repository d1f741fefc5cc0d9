"""A study from its grid: claim the folder, search learning rates, run what is left, write all."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import torch

from dlcourse.compare import axes, material, plan, single, sweep
from dlcourse.compare.crew import Crew, find_place
from dlcourse.compare.material import Place
from dlcourse.compare.row import Row, key_of
from dlcourse.compare.study import Journal, Study
from dlcourse.errors import UsageError
from dlcourse.train import cross_entropy

__all__ = ["MANY", "grid", "seeds_of"]

# More runs than this start only when the cost has been seen and said yes to.
MANY = 1000


def grid(
    out: Path | str,
    *,
    seeds: int | Sequence[int] = 1,
    jobs: int = 1,
    executor: Executor | None = None,
    together: bool = True,
    yes: bool = False,
    data_dir: str | None = None,
    offline: bool = False,
    device: str | None = None,
    threads: int | None = None,
    progress: bool | None = None,
    about: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Study:
    """Run every combination of `settings` with every seed; a list is an axis, the rest is fixed.

    >>> grid("results/init", model="mlp", data="mnist", init=["xavier", "kaiming"],
    ...      optimizer=["sgd", "adam"], lr="auto", seeds=3, epochs=3)  # doctest: +SKIP

    settings: `model`, `data`, `init`, any argument of the model, of `fit` and of `axes.DATA`;
        keep="last" keeps the last weights, not those of the epoch best on the validation data;
        train_scores=True scores the kept weights on the training data too;
        lr="auto" searches one for every cell, see `sweep`.
    out: the study's folder, made or resumed. seeds: how many (0, 1, ...), or which.
    jobs: local processes (1: this one); executor: where units of work run instead. Results are
        the same either way, in the same order, given as many threads a run.
    together: whether runs may train as one model where that is quicker.
    yes: run more than MANY runs too. device: "cpu", "cuda", ...; None takes the best there is.
    about: what the study's record is to say beside when, where and on what it ran.

    Raises UsageError where the grid or the folder cannot be. Ctrl-C keeps what is done.
    """
    place = find_place(data_dir, offline, device, threads, jobs)
    crew = Crew(place, jobs, executor, together, progress)
    out, axes_of_it = Path(out), plan.listed({**settings, "seed": seeds_of(seeds, settings)})
    runs = plan.expand(axes_of_it, place)
    if len(runs) > MANY and not yes:
        raise UsageError(cost(runs, place, jobs))
    about = {**crew.about(runs[0]["data"]), **(about or {})}
    swept: list[Row] = []
    with crew.at_work(out, axes_of_it, about):
        if searched := sweep.candidates(runs):
            with contextlib.closing(Journal(out, "sweep")) as journal:
                crew.finish(journal, searched, test=False)
                swept = list(journal.records.values())
                runs = sweep.with_best(runs, journal.records)
        with contextlib.closing(Journal(out, "runs")) as journal:
            crew.finish(journal, runs, test=True)
            rows = [journal.records[key_of(run)] for run in runs]
            journal.write(rows)
    return Study(out, axes_of_it, rows, swept, about)


def seeds_of(seeds: int | Sequence[int], settings: Mapping[str, Any]) -> list[int]:
    """Which seeds are asked for. Raises UsageError where none are."""
    if "seed" in settings:
        raise UsageError("seed is not an axis: seeds=3 gives 0, 1, 2; seeds=[4, 7] gives those")
    if not isinstance(seeds, int):
        return list(seeds)
    if seeds < 1:
        raise UsageError(f"seeds must be at least 1, got {seeds}")
    return list(range(seeds))


def cost(runs: Sequence[Mapping[str, Any]], place: Place, jobs: int) -> str:
    """What `runs` would cost one after another, from a few steps of the first."""
    run = {name: value for name, value in runs[0].items() if value != plan.AUTO}
    parts = axes.split(run)
    model = single.build(run, place).to(place.device)
    batches, _, _ = material.splits(run["data"], parts.data, 0, place)
    inputs, targets = next(iter(batches))
    took = []
    for _ in range(4):
        start = time.perf_counter()
        cross_entropy(model(inputs), targets).backward()
        if torch.device(place.device).type == "cuda":
            torch.cuda.synchronize()
        took.append(time.perf_counter() - start)
    batches.epoch = 0
    each = min(took) * len(batches) * parts.fit.get("epochs", 10)
    return (
        f"the grid has {len(runs):,} runs of about {each:.1f} s: {hours(each * len(runs) / jobs)} "
        f"on {jobs} process{'es' if jobs > 1 else ''}; add --yes to start, or drop values"
    )


def hours(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
