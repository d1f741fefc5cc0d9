"""Search over settings by the methods of `hyperband`, at equal cost.

A configuration is judged on the validation data by the best epoch of its run; the test data are
read once, for what each method found.
"""

from __future__ import annotations

import contextlib
import math
import random
import re
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Executor
from itertools import accumulate
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from dlcourse.compare import figures, plan
from dlcourse.compare.crew import Crew, find_place
from dlcourse.compare.harness import seeds_of
from dlcourse.compare.hyperband import METHODS, Settings, brackets
from dlcourse.compare.row import Row, key_of
from dlcourse.compare.study import Journal, Study
from dlcourse.errors import UnknownNameError, UsageError

__all__ = ["as_text", "race", "race_figure", "search"]

RANGE = re.compile(r"(log|uniform):([^:]+):([^:]+)")
OWN = ("search", "max_epochs", "eta")


def search(
    out: Path | str,
    *,
    methods: Sequence[str] = ("hyperband", "random"),
    max_epochs: int = 27,
    eta: int = 3,
    seeds: int | Sequence[int] = 1,
    jobs: int = 1,
    executor: Executor | None = None,
    together: bool = True,
    data_dir: str | None = None,
    offline: bool = False,
    device: str | None = None,
    threads: int | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> Study:
    """Search by each of `methods` at equal cost; the study's rows are what each found, tested.

    >>> search("results/search", model="mlp", data="mnist", width=[32, 128], optimizer="adam",
    ...        lr="log:0.0001:0.1", max_epochs=9)  # doctest: +SKIP

    settings: as of `harness.grid`; a list is a choice, "log:LOW:HIGH" and "uniform:LOW:HIGH" are
        ranges, of whole numbers where both ends are. max_epochs, eta: R and eta of Hyperband.
    seeds: of the runs of what was found; the search runs with the first and draws with it.
    The rest is as of `harness.grid`; the study's `sweep` holds the rows of the search.

    Raises UsageError for a method, a range or a setting that cannot be.
    """
    for name in methods:
        if name not in METHODS:
            raise UnknownNameError("search", name, METHODS)
    if not methods:
        raise UsageError(f"no search named; choose of {', '.join(METHODS)}")
    for name, value, least in (("max_epochs", max_epochs, 1), ("eta", eta, 2)):
        if not isinstance(value, int) or value < least:
            raise UsageError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if "epochs" in settings or plan.AUTO in plan.listed(settings).get("lr", []):
        raise UsageError("a search sets epochs itself, and lr is a range as log:0.0001:1")
    seeds = seeds_of(seeds, settings)
    place = find_place(data_dir, offline, device, threads, jobs)
    crew = Crew(place, jobs, executor, together, progress)
    space = plan.listed(settings)
    ends = {
        name: [end for value in values for end in ends_of(name, value)]
        for name, values in space.items()
    }
    runs = plan.expand({**ends, "seed": seeds[:1]}, place)
    asked = {"search": list(methods), "max_epochs": [max_epochs], "eta": [eta], **space}
    study = Study(Path(out), {**asked, "seed": seeds}, [], about=crew.about(runs[0]["data"]))
    with crew.at_work(study.folder, study.grid, study.about):
        with contextlib.closing(Journal(study.folder, "sweep")) as journal:
            for name in methods:
                for runs, _ in play(study, name, journal.records, crew, journal):
                    study.sweep += [journal.records[key_of(run)] for run in runs]
        found = [winner(study, name) for name in methods]
        runs = [{**one, "seed": seed} for one in found for seed in seeds]
        with contextlib.closing(Journal(study.folder, "runs")) as journal:
            crew.finish(journal, runs, test=True)
            study.rows = [journal.records[key_of(run)] for run in runs]
            journal.write(study.rows)
    return study


def ends_of(name: str, value: Any) -> list[Any]:
    """The values of a setting that are checked before anything runs: of a range, its ends."""
    if not isinstance(value, str) or not (parts := RANGE.fullmatch(value)):
        return [value]
    whole = all(re.fullmatch(r"\d+", part) for part in parts.groups()[1:])
    try:
        low, high = ((int if whole else float)(part) for part in parts.groups()[1:])
    except ValueError:
        low, high = 1, 0
    if not low < high or (parts[1] == "log" and low <= 0):
        raise UsageError(f"{name} {value!r}: a range is log:LOW:HIGH (or uniform), LOW below HIGH")
    return [low, high]


def drawn(name: str, values: Sequence[Any], source: random.Random) -> Any:
    value = source.choice(values)
    ends = ends_of(name, value)
    if len(ends) == 1:
        return value
    low, high = ends
    if value.startswith("log"):
        found = math.exp(source.uniform(math.log(low), math.log(high)))
    else:
        found = source.uniform(low, high)
    return round(found) if isinstance(low, int) else float(f"{found:.3g}")


def play(
    study: Study,
    name: str,
    records: Mapping[str, Row],
    crew: Crew | None = None,
    journal: Journal | None = None,
) -> Generator[tuple[list[Settings], list[float]], None, None]:
    """The rungs of a method with their scores; trained by `crew`, or read from `records` alone."""
    seed = study.grid["seed"][0]
    source = random.Random(seed)
    space = {key: values for key, values in study.grid.items() if key not in (*OWN, "seed")}

    def draw() -> Settings:
        found = {key: drawn(key, values, source) for key, values in space.items()}
        return {**found, "search": name, "seed": seed}

    method = METHODS[name](draw, study.grid["max_epochs"][0], study.grid["eta"][0])
    with contextlib.suppress(StopIteration):
        runs = next(method)
        while True:
            if crew:
                crew.finish(journal, runs, test=False)
            scores = [score(records[key_of(run)]) for run in runs]
            yield runs, scores
            runs = method.send(scores)


def score(row: Row) -> float:
    """The monitored validation score, more is better; -inf where the run went wrong."""
    value = row.scores.get(f"val_{row.settings.get('monitor', 'accuracy')}", math.nan)
    if row.status != "done" or math.isnan(value):
        return -math.inf
    return -value if row.settings.get("mode", "max") == "min" else value


def winner(study: Study, name: str) -> Settings:
    rows = [row for row in study.sweep if row.settings["search"] == name]
    return max(rows, key=score).settings


def race(study: Study) -> dict[str, list[tuple[int, float]]]:
    """For each method what was spent, in epochs, and the best validation score seen by then."""
    records = {key_of(row.settings): row for row in study.sweep}
    found = {}
    for name in study.grid["search"]:
        played = [
            (run["epochs"], best)
            for runs, scores in play(study, name, records)
            for run, best in zip(runs, scores, strict=True)
        ]
        spent = accumulate(epochs for epochs, _ in played)
        best = accumulate((score for _, score in played), max)
        found[name] = [point for point in zip(spent, best, strict=True) if point[1] > -math.inf]
    return found


def as_text(study: Study) -> str:
    """The bracket table, and what each method had found when its epochs were spent."""
    table = brackets(study.grid["max_epochs"][0], study.grid["eta"][0])
    lines = ["Hyperband's brackets, configurations x epochs a rung:"]
    lines += [
        f"  s={len(rungs) - 1}: {', '.join(f'{count}x{epochs}' for count, epochs in rungs)}"
        for rungs in table
    ]
    for name, points in race(study).items():
        runs = [row for row in study.sweep if row.settings["search"] == name]
        best = f"best on validation {points[-1][1]:.4f}" if points else "nothing that did not fail"
        spent = points[-1][0] if points else 0
        lines.append(f"{name}: {len(runs)} runs, {spent} epochs of training, {best}")
    return "\n".join(lines)


def race_figure(study: Study) -> dict[str, Figure]:
    """The best so far against the epochs spent, by caption."""
    monitor = study.rows[0].settings.get("monitor", "accuracy")
    return {
        "What each search had found, by cost": figures.search_race(
            race(study), f"best validation {monitor} so far"
        )
    }
