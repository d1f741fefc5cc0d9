"""Units of work: runs that may train as one model, and what a worker does with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlcourse import runtime
from dlcourse.compare import batched, plan
from dlcourse.compare.material import Place
from dlcourse.compare.row import Row, key_of
from dlcourse.compare.single import run_one

__all__ = ["failed", "run_unit", "units"]

Settings = Mapping[str, Any]


def units(runs: Sequence[Settings], jobs: int, together: bool = True) -> list[list[Settings]]:
    """`runs` in lists that one worker takes at a time, in the order of their first runs.

    Runs that can train as one model share a list, where that leaves enough lists for `jobs`.
    """
    able = [run for run in runs if together and batched.can_share(run)]
    made = [[run] for run in runs if not (together and batched.can_share(run))]
    for places in plan.cells([batched.shared_settings(run) for run in able], ()).values():
        pieces = max(-(-len(places) // batched.MOST), min(jobs, len(places) // 4), 1)
        size = -(-len(places) // pieces)
        # Neighbors share an optimizer: fewer, larger updates.
        order = sorted(places, key=lambda place: batched.by_optimizer(able[place]))
        made += [[able[i] for i in order[at : at + size]] for at in range(0, len(order), size)]
    first = {key_of(run): place for place, run in enumerate(runs)}
    return sorted(made, key=lambda unit: min(first[key_of(run)] for run in unit))


def run_unit(runs: Sequence[Settings], place: Place, test: bool) -> list[Row]:
    """The rows of `runs`: as one model where that works and is quicker, else one after another.

    A run that raises an error is marked as failed with the error's text; the others go on.
    """
    runtime.set_threads(place.threads)
    rows = None
    if len(runs) > 1:
        try:
            rows = batched.run_together(runs, place, test)
        except Exception:  # noqa: BLE001 (each run shows its own error when it runs alone)
            rows = None
    return rows if rows is not None else [run_alone(run, place, test) for run in runs]


def run_alone(run: Settings, place: Place, test: bool) -> Row:
    try:
        return run_one(run, place, test)
    except Exception as error:  # noqa: BLE001 (an error costs only its run, and is in its row)
        return failed(run, "failed", f"{type(error).__name__}: {error}")


def failed(run: Settings, status: str, message: str) -> Row:
    """The row of a run that has nothing to show but `message`."""
    return Row(dict(run), status, message=message)
