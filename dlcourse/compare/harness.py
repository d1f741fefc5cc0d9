"""A study from its grid: claim the folder, search learning rates, run what is left, write all."""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from dlcourse import runtime
from dlcourse.compare import axes, material, plan, single, sweep, work
from dlcourse.compare.material import Place
from dlcourse.compare.processes import Processes
from dlcourse.compare.progress import Progress
from dlcourse.compare.row import Row, key_of
from dlcourse.compare.study import Journal, Study, claim
from dlcourse.errors import UsageError
from dlcourse.train import cross_entropy

__all__ = ["MANY", "grid"]

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

    Raises UsageError where the grid or the folder cannot be. Ctrl-C keeps what is done.
    """
    if jobs < 1:
        raise UsageError(f"jobs must be at least 1, got {jobs}")
    if "seed" in settings:
        raise UsageError("seed is not an axis: seeds=3 gives 0, 1, 2; seeds=[4, 7] gives those")
    if not isinstance(seeds, int):
        seeds = list(seeds)
    elif seeds < 1:
        raise UsageError(f"seeds must be at least 1, got {seeds}")
    out = Path(out)
    axes_of_it = plan.listed(
        {**settings, "seed": range(seeds) if isinstance(seeds, int) else seeds}
    )
    device = str(runtime.pick_device(device))
    if threads is None and jobs > 1:
        threads = max(1, (os.cpu_count() or 1) // jobs)
    place = Place(data_dir, offline, device, threads)
    runs = plan.expand(axes_of_it, place)
    first = material.images(runs[0]["data"], place)
    place = Place(data_dir, offline, device, threads, first.synthetic)
    if len(runs) > MANY and not yes:
        raise UsageError(cost(runs, place, jobs))
    claim(out, axes_of_it, about(first.source, first.synthetic, device))
    try:
        with FileLock(out / ".lock", timeout=0), contextlib.ExitStack() as stack:
            pool = executor
            if pool is None and jobs > 1:
                pool = Processes(jobs)
                # Not its own context: on Ctrl-C that would wait for the runs in progress.
                stack.callback(pool.shutdown, wait=False)
            return carry_out(out, axes_of_it, runs, place, jobs, pool, together, progress)
    except Timeout:
        raise UsageError(f"another study writes into {out}; wait for it") from None
    except KeyboardInterrupt:
        print(
            f"\ndlcourse: stopped; what is done is in {out}, the same command goes on from there",
            file=sys.stderr,
        )
        raise


def carry_out(
    out: Path,
    axes_of_it: Mapping[str, list[Any]],
    runs: list[dict[str, Any]],
    place: Place,
    jobs: int,
    pool: Executor | None,
    together: bool,
    progress: bool | None,
) -> Study:
    searched = sweep.candidates(runs)
    swept: list[Row] = []
    if searched:
        with contextlib.closing(Journal(out, "sweep")) as journal:
            finish(journal, searched, place, jobs, pool, together, progress, test=False)
            swept = list(journal.records.values())
            runs = sweep.with_best(runs, journal.records)
    with contextlib.closing(Journal(out, "runs")) as journal:
        finish(journal, runs, place, jobs, pool, together, progress, test=True)
        rows = [journal.records[key_of(run)] for run in runs]
        journal.write(rows)
    return Study(
        out, dict(axes_of_it), rows, swept, about(rows[0].data, place.synthetic, place.device)
    )


def finish(
    journal: Journal,
    runs: Sequence[Mapping[str, Any]],
    place: Place,
    jobs: int,
    pool: Executor | None,
    together: bool,
    progress: bool | None,
    test: bool,
) -> None:
    """Do those of `runs` that the journal does not hold; each row is written before the next."""
    left = [run for run in runs if key_of(run) not in journal.records]
    what = "runs" if test else "learning rates"
    with Progress(what, len(runs), len(runs) - len(left), jobs, progress) as shown:
        for row in outcomes(work.units(left, jobs, together), place, test, pool):
            journal.add(key_of(row.settings), row)
            shown.add(row)


def outcomes(
    units: Sequence[Sequence[Mapping[str, Any]]], place: Place, test: bool, pool: Executor | None
) -> Iterator[Row]:
    """The rows of `units` as they come. Where a worker died, its runs are tried one by one."""
    if pool is None:
        for unit in units:
            yield from work.run_unit(unit, place, test)
        return
    waiting: dict[Future, Sequence[Mapping[str, Any]]] = {
        pool.submit(work.run_unit, unit, place, test): unit for unit in units
    }
    while waiting:
        again: list[Mapping[str, Any]] = []
        for future in as_completed(list(waiting)):
            unit = waiting.pop(future)
            try:
                rows = future.result()
            except Exception as error:  # noqa: BLE001 (whatever an engine raises for a dead worker)
                if len(unit) > 1:
                    again += unit
                    continue
                rows = [work.failed(unit[0], "died", f"{type(error).__name__}: {error}")]
            yield from rows
        waiting = {pool.submit(work.run_unit, [run], place, test): [run] for run in again}


def about(source: str, synthetic: bool | None, device: str) -> dict[str, Any]:
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "data": source,
        "synthetic": synthetic,
        "device": device,
        "cores": os.cpu_count(),
        "versions": runtime.versions(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


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
