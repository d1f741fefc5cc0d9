"""Which runs there are: every combination of the axes' values, checked before the first starts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from dlcourse.compare import axes, material
from dlcourse.compare.material import Place
from dlcourse.compare.row import Row
from dlcourse.errors import UsageError

__all__ = ["AUTO", "cells", "expand", "in_order", "listed", "varying"]

AUTO = "auto"


def listed(settings: Mapping[str, Any]) -> dict[str, list[Any]]:
    """`settings` with a list for every axis: a list has several values, anything else is one."""
    return {
        name: list(value) if isinstance(value, list | range) else [value]
        for name, value in settings.items()
    }


def expand(grid: Mapping[str, Sequence[Any]], place: Place) -> list[dict[str, Any]]:
    """Every run of `grid`, seeds innermost, each checked.

    Raises UsageError for an axis without values, one that the model does not take, or a value that
    cannot be.
    """
    for name in ("model", "data", "seed"):
        if name not in grid:
            raise UsageError(f"no {name} given; name one, as --{name} NAME")
    for name, values in grid.items():
        if not values:
            raise UsageError(f"axis {name!r} has no values: the grid is empty")
        repeated = [value for i, value in enumerate(values) if value in values[:i]]
        if repeated:
            raise UsageError(f"axis {name!r} has {repeated[0]!r} twice")
    order = [name for name in grid if name != "seed"] + ["seed"]
    runs = [
        dict(zip(order, values, strict=True))
        for values in itertools.product(*(grid[name] for name in order))
    ]
    seen = set()
    for run in runs:
        # What is checked depends on neither the seed's value nor, for most grids, on much else.
        known = {name: value for name, value in run.items() if name != "seed"}
        if known.get("lr") == AUTO:
            del known["lr"]
        key = repr(known)
        if key not in seen:
            seen.add(key)
            axes.check({**known, "seed": run["seed"]}, material.images(run["data"], place))
    return runs


def varying(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The axes with more than one value among `runs`, in their order."""
    names = dict.fromkeys(name for run in runs for name in run)
    return [name for name in names if len({repr(run.get(name)) for run in runs}) > 1]


def cells(runs: Sequence[Mapping[str, Any]], without: Sequence[str]) -> dict[str, list[int]]:
    """Places in `runs` of those that agree in all but `without`, in order of the first of each."""
    found: dict[str, list[int]] = {}
    for place, run in enumerate(runs):
        key = repr({name: value for name, value in run.items() if name not in without})
        found.setdefault(key, []).append(place)
    return found


def in_order(rows: Sequence[Row], grid: Mapping[str, Sequence[Any]]) -> list[Row]:
    """`rows` in the order of the grid's runs, however they finished."""
    names = [name for name in grid if name != "seed"] + ["seed"]

    def place(row: Row) -> list[int]:
        return [position(grid[name], row.settings.get(name)) for name in names]

    return sorted(rows, key=place)


def position(values: Sequence[Any], value: Any) -> int:
    wanted = list(value) if isinstance(value, tuple) else value
    plain = [list(one) if isinstance(one, tuple) else one for one in values]
    return plain.index(wanted) if wanted in plain else 0
