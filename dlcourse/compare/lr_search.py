"""`lr="auto"`: the same short search of a learning rate for every cell of a grid.

A cell is the runs that agree in all settings except the seed. Each candidate is a multiple of the
optimizer's usual learning rate and trains with the cell's first seed for a third of the epochs.
The candidate that scores best on the validation data is taken; the test data are not read. If the
best one lies at the edge of the candidates, the search goes on in that direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlcourse import optim
from dlcourse.compare.result import Result, cells, ranked
from dlcourse.compare.settings import AUTO, RunSettings, parse
from dlcourse.compare.study import Study

__all__ = ["FACTORS", "edge_notes", "next_trials", "with_best"]

# Multiples of the usual learning rate. The usual one comes first, so it wins a tie.
FACTORS = (1.0, 0.3, 3.0, 0.1, 10.0)
BELOW, ABOVE = (0.03, 0.01, 0.003, 0.001), (30.0, 100.0, 300.0, 1000.0)


def next_trials(runs: Sequence[RunSettings], results: Mapping[str, Result]) -> list[RunSettings]:
    """The trials that are still needed before every cell of `runs` has its learning rate.

    results: the results of earlier trials by key. An empty list means that the search is over.
    """
    missing = []
    for cell in searched_cells(runs).values():
        missing += [trial for trial in trials(cell[0], results) if trial.key not in results]
    return missing


def searched_cells(runs: Sequence[RunSettings]) -> dict[str, list[RunSettings]]:
    searched = [run for run in runs if run.values.get("lr") == AUTO]
    groups = cells([run.values for run in searched], ("seed",))
    return {key: [searched[i] for i in positions] for key, positions in groups.items()}


def trials(run: RunSettings, results: Mapping[str, Result]) -> list[RunSettings]:
    """The trials of a run's cell so far, and the next ones if the best lies at the edge."""
    usual = optim.OPTIMIZERS[run.fit["optimizer"]].lr
    epochs = max(1, run.fit["epochs"] // 3)

    def trial(factor: float) -> RunSettings:
        return parse({**run.values, "lr": float(f"{usual * factor:.3g}"), "epochs": epochs})

    made = [trial(factor) for factor in FACTORS]
    below, above = map(trial, BELOW), map(trial, ABOVE)
    while all(one.key in results for one in made):
        lrs = [one.values["lr"] for one in made]
        best = best_lr([results[one.key] for one in made])
        wider = next(below if best == min(lrs) else above, None)
        if min(lrs) < best < max(lrs) or wider is None:
            break
        made.append(wider)
    return made


def with_best(runs: Sequence[RunSettings], results: Mapping[str, Result]) -> list[RunSettings]:
    """`runs` with the learning rate that the search found for each cell."""
    found = {run.key: run for run in runs}
    for cell in searched_cells(runs).values():
        lr = best_lr([results[trial.key] for trial in trials(cell[0], results)])
        found |= {run.key: parse({**run.values, "lr": lr}) for run in cell}
    return [found[run.key] for run in runs]


def best_lr(results: Sequence[Result]) -> float:
    """The learning rate of the best trial; the smallest one if every trial went wrong."""
    done = [result for result in results if result.status == "done"]
    best = min(results, key=lambda one: float(one.settings["lr"]))
    if done:
        best = done[ranked([result.quality for result in done])[0]]
    return float(best.settings["lr"])


def edge_notes(study: Study) -> list[str]:
    """A line for each cell whose best learning rate lies at the edge of the widest search."""
    if study.grid.get("lr") != [AUTO]:
        return []
    axes = [name for name, values in study.grid.items() if len(values) > 1 and name != "seed"]
    notes = []
    for positions in cells([result.settings for result in study.sweep], ("lr",)).values():
        cell = [study.sweep[position] for position in positions]
        lrs = [result.settings["lr"] for result in cell]
        best = best_lr(cell)
        if not min(lrs) < best < max(lrs):
            name = ", ".join(f"{axis}={cell[0].settings[axis]}" for axis in axes)
            notes.append(
                f"{name or 'lr'}: the best learning rate, {best:g}, lies at the edge of the widest "
                f"search ({min(lrs):g} to {max(lrs):g})"
            )
    return notes
