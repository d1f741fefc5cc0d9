"""Search settings with the methods of `hyperband`, each at the same cost.

A configuration is judged by the best epoch of its run on the validation data. The test data are
read once, for the winner of each method.
"""

from __future__ import annotations

import contextlib
import math
import random
import re
from collections.abc import Generator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from dlcourse.compare import figures
from dlcourse.compare.grid import axes_of, expand, take_environment
from dlcourse.compare.hyperband import METHODS, Settings, brackets
from dlcourse.compare.result import Result, key_of, ranked
from dlcourse.compare.runner import Runner, Watch
from dlcourse.compare.settings import AUTO, Environment, check_number, parse
from dlcourse.compare.study import Journal, Study
from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.figure_style import is_share

__all__ = ["as_text", "race", "race_figure", "search"]

RANGE = re.compile(r"(log|uniform):([^:]*):([^:]*)")
# What the grid of a search names besides the settings of runs.
OWN = ("search", "max_epochs", "eta")


def search(
    out: Path | str,
    *,
    methods: Sequence[str] = ("hyperband", "random"),
    max_epochs: int = 27,
    eta: int = 3,
    seeds: int | Sequence[int] = 1,
    environment: Environment | None = None,
    together: bool = True,
    progress: bool | None = None,
    watch: Watch | None = None,
    **settings: Any,
) -> Study:
    """Search with each of `methods`; the study's results are those of the winners, tested.

    >>> search("results/search", model="mlp", data="mnist", width=[32, 128], optimizer="adam",
    ...        lr="log:0.0001:0.1", max_epochs=9)  # doctest: +SKIP

    settings: as for `grid`. A list is a choice; "log:LOW:HIGH" and "uniform:LOW:HIGH" are ranges,
        of whole numbers if both ends are. max_epochs, eta: R and eta of Hyperband.
    seeds: the seeds that retrain each winner. The search itself uses only the first one.
    The other arguments are as for `grid`. The study's `sweep` holds the results of the search.

    Raises UsageError for an unknown method, a wrong range or a wrong setting.
    """
    environment, settings = take_environment(environment, settings)
    for name in methods:
        if name not in METHODS:
            raise UnknownNameError("search", name, METHODS)
    if not methods:
        raise UsageError(f"no search named; choose of {', '.join(METHODS)}")
    check_number("max_epochs", max_epochs, 1, whole=True)
    check_number("eta", eta, 2, whole=True)
    space = axes_of(settings, seeds)
    chosen = space.pop("seed")
    if "epochs" in space or AUTO in space.get("lr", []):
        raise UsageError("a search sets epochs itself, and lr is a range as log:0.0001:1")
    ends = {
        name: list(dict.fromkeys(end for value in values for end in ends_of(name, value)))
        for name, values in space.items()
    }
    corners = expand({**ends, "seed": chosen[:1]}, environment)
    asked: dict[str, list[Any]] = {
        "search": list(methods), "max_epochs": [max_epochs], "eta": [eta], **space, "seed": chosen
    }  # fmt: skip
    runner = Runner(environment, corners, together, progress, watch)
    study = Study(Path(out), asked, [], about=runner.about)
    with runner.working_in(study):
        with contextlib.closing(Journal(study.folder, "sweep")) as journal:
            for name in methods:
                for runs, _ in play(study, name, journal.records, runner, journal):
                    study.sweep += [journal.records[key_of(run)] for run in runs]
        winners = [winner(study, name) for name in methods]
        finals = [parse({**one, "seed": seed}) for one in winners for seed in chosen]
        runner.test(study, finals)
    return study


def ends_of(name: str, value: Any) -> list[Any]:
    """The ends of a range; of anything else, the value itself."""
    if not isinstance(value, str) or not (parts := RANGE.fullmatch(value)):
        return [value]
    whole = all(re.fullmatch(r"\d+", part) for part in parts.groups()[1:])
    try:
        low, high = ((int if whole else float)(part) for part in parts.groups()[1:])
    except ValueError:
        low, high = 1, 0
    if not low < high or not math.isfinite(high - low) or (parts[1] == "log" and low <= 0):
        raise UsageError(
            f"{name} {value!r}: a range is log:LOW:HIGH (or uniform), LOW below HIGH, and above 0 "
            "for log"
        )
    return [low, high]


def draw_value(name: str, values: Sequence[Any], source: random.Random) -> Any:
    """One of `values`, or a number from the range that it names."""
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
    results: Mapping[str, Result],
    runner: Runner | None = None,
    journal: Journal | None = None,
) -> Generator[tuple[list[Settings], list[float]], None, None]:
    """Yield the rungs of a method with their scores.

    The runs are trained by `runner` into `journal`; without them, `results` must hold them all.
    """
    seed = study.grid["seed"][0]
    source = random.Random(seed)
    space = {key: values for key, values in study.grid.items() if key not in (*OWN, "seed")}

    def draw() -> Settings:
        drawn = {key: draw_value(key, values, source) for key, values in space.items()}
        return {**drawn, "search": name, "seed": seed}

    method = METHODS[name](draw, study.grid["max_epochs"][0], study.grid["eta"][0])
    with contextlib.suppress(StopIteration):
        rung = next(method)
        while True:
            if runner and journal:
                runner.finish(journal, [parse(run) for run in rung])
            scores = [results[key_of(run)].quality for run in rung]
            yield rung, scores
            rung = method.send(scores)


def winner(study: Study, name: str) -> Settings:
    """The settings of the best run of a method."""
    results = [result for result in study.sweep if result.settings["search"] == name]
    return results[ranked([result.quality for result in results])[0]].settings


def race(study: Study) -> dict[str, list[tuple[int, float]]]:
    """For each method the epochs spent, and the best validation score seen by then."""
    results = {result.key: result for result in study.sweep}
    done = [result for result in study.sweep if result.status == "done"]
    sign = -1 if any(result.lower_is_better for result in done) else 1  # of a quality
    found = {}
    for name in study.grid["search"]:
        played = [
            (run["epochs"], score)
            for runs, scores in play(study, name, results)
            for run, score in zip(runs, scores, strict=True)
        ]
        spent = accumulate(epochs for epochs, _ in played)
        best = accumulate((score for _, score in played), max)
        points = zip(spent, best, strict=True)
        found[name] = [(at, sign * score) for at, score in points if score > -math.inf]
    return found


def as_text(study: Study) -> str:
    """The table of brackets, and what each method had found when its epochs were spent."""
    table = brackets(study.grid["max_epochs"][0], study.grid["eta"][0])
    lines = ["Hyperband's brackets, configurations x epochs in each rung:"]
    lines += [
        f"  s={len(rungs) - 1}: {', '.join(f'{count}x{epochs}' for count, epochs in rungs)}"
        for rungs in table
    ]
    for name, points in race(study).items():
        runs = [result for result in study.sweep if result.settings["search"] == name]
        form = ".2%" if is_share(study.sweep[0].monitor) else ".4f"
        best = f"best on validation {points[-1][1]:{form}}" if points else "every run went wrong"
        spent = points[-1][0] if points else 0
        lines.append(f"{name}: {len(runs)} runs, {spent} epochs of training, {best}")
    return "\n".join(lines)


def race_figure(study: Study) -> dict[str, Figure]:
    """The best score so far against the epochs spent, by caption."""
    races = race(study)
    if not any(races.values()):
        return {}
    ylabel = f"best validation {study.sweep[0].monitor} so far"
    return {"What each search had found, by cost": figures.search_race(races, ylabel)}
