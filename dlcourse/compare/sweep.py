"""`lr="auto"`: the same short search of a learning rate for every cell of a grid.

A cell is what agrees in all but the seed. Each candidate is a multiple of the optimizer's usual
learning rate; each trains on the cell's first seed for a third of the epochs; the best on the
validation data is taken. The test data are not touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlcourse import optim
from dlcourse.compare import plan
from dlcourse.compare.row import Row, key_of

__all__ = ["FACTORS", "candidates", "with_best"]

FACTORS = (1.0, 0.3, 3.0, 0.1, 10.0)  # the usual one first: it wins a tie

Settings = Mapping[str, Any]


def candidates(runs: Sequence[Settings]) -> list[dict[str, Any]]:
    """The sweep's runs for those of `runs` whose lr is "auto"."""
    searched = [run for run in runs if run.get("lr") == plan.AUTO]
    return [
        trial
        for places in plan.cells(searched, ("seed",)).values()
        for trial in trials(searched[places[0]])
    ]


def trials(run: Settings) -> list[dict[str, Any]]:
    usual = optim.OPTIMIZERS[run.get("optimizer", "adam")].lr
    epochs = max(1, run.get("epochs", 10) // 3)
    return [{**run, "lr": float(f"{usual * factor:.3g}"), "epochs": epochs} for factor in FACTORS]


def with_best(runs: Sequence[Settings], rows: Mapping[str, Row]) -> list[dict[str, Any]]:
    """`runs` with the learning rate that the sweep's `rows` (by key) found for each cell."""
    found = []
    chosen: dict[str, float] = {}
    for run in runs:
        if run.get("lr") != plan.AUTO:
            found.append(dict(run))
            continue
        cell = repr({name: value for name, value in run.items() if name != "seed"})
        if cell not in chosen:
            chosen[cell] = best([rows[key_of(trial)] for trial in trials(run)])
        found.append({**run, "lr": chosen[cell]})
    return found


def best(rows: Sequence[Row]) -> float:
    """The learning rate of the best row; the smallest where every one went wrong."""
    done = [row for row in rows if row.status == "done"]
    if not done:
        return min(row.settings["lr"] for row in rows)
    monitor = done[0].settings.get("monitor", "accuracy")
    pick = min if done[0].settings.get("mode", "max") == "min" else max
    return pick(done, key=lambda row: row.scores[f"val_{monitor}"]).settings["lr"]
