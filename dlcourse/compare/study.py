"""A study's folder: what was asked, one result for each run as runs finish, and the report.

study.json    the grid, and where and when it ran
runs.jsonl    one line for each run with its learning curve; a killed study continues from it
runs.csv      one row for each run
curves.csv    one row for each epoch of each run
sweep.jsonl, sweep.csv   the same for the runs that searched a learning rate
report.html   everything on one page
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcourse import work_folder
from dlcourse.compare.result import Result, plain
from dlcourse.errors import DataError

__all__ = ["Journal", "Study", "in_order", "load", "position_in"]


class Journal(work_folder.Journal):
    """Results by the key of their settings, as JSON lines and as CSV."""

    encode = staticmethod(plain)
    decode = staticmethod(Result.from_json)

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder / f"{name}.jsonl")
        self.tables = {folder / f"{name}.csv": row}
        if name == "runs":
            self.tables[folder / "curves.csv"] = curve
        self.columns: dict[Path, list[str]] = {}
        self.write(self.records.values())

    def add(self, key: str, record: Result) -> None:
        super().add(key, record)
        for path, lines_of in self.tables.items():
            lines = lines_of(record)
            if any(set(line) - set(self.columns[path]) for line in lines):
                self.write(self.records.values())
                break
            write_csv(path, lines, self.columns[path], append=True)

    def write(self, results: Iterable[Result]) -> None:
        """Write the tables again, with `results` in this order."""
        results = list(results)
        for path, lines_of in self.tables.items():
            lines = [line for result in results for line in lines_of(result)]
            self.columns[path] = list(dict.fromkeys(name for line in lines for name in line))
            write_csv(path, lines, self.columns[path])


@dataclass
class Study:
    """A grid and the results of its runs, in the grid's order.

    sweep: the results of the runs that searched settings. about: the date, versions, hardware and
    data of the study.
    """

    folder: Path
    grid: dict[str, list[Any]]
    results: list[Result]
    sweep: list[Result] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def lost(self) -> list[Result]:
        """The results without scores."""
        return [result for result in self.results if not result.scores]

    def claimed(self) -> AbstractContextManager[None]:
        """Make the folder that of this study, and be its only writer while the block runs.

        If the study is there already, `about` becomes that of its beginning, when its runs began.
        Raises UsageError if the folder holds something else.
        """
        about = plain({"grid": self.grid, "about": self.about})

        def refuse(there: Mapping[str, Any]) -> str | None:
            for name in dict.fromkeys([*there["grid"], *about["grid"]]):
                values = [one["grid"].get(name) for one in (there, about)]
                if values[0] != values[1]:
                    old, new = ("not set" if v is None else ",".join(map(str, v)) for v in values)
                    return f"holds another study: its {name} is {old}, here {new}"
            then, now = (one["about"].get("fingerprints", {}) for one in (there, about))
            for name in then:
                if then[name] != now.get(name, then[name]):
                    return f"holds results from before its {name} changed"
            if changed := changes(there["about"], about["about"]):
                print(
                    f"dlcourse: the finished runs in {str(self.folder)!r} stay as they are; they "
                    f"were made with {changed}",
                    file=sys.stderr,
                )
            self.about = there["about"]
            return None

        return work_folder.claimed_folder(
            self.folder, "study.json", about, refuse=refuse, label="--out", work="study"
        )


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Which device or version differs between two times, as "torch 2.11 (now 2.12)"."""
    pairs = [("device", then.get("device"), now.get("device"))]
    before, here = then.get("versions", {}), now.get("versions", {})
    pairs += [(name, before.get(name), here[name]) for name in here]
    return ", ".join(f"{name} {old} (now {new})" for name, old, new in pairs if old != new)


def load(folder: Path | str) -> Study:
    """The study in `folder`, with the runs that are finished. Raises DataError if there is none."""
    folder = Path(folder)
    try:
        saved = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        grid, about = saved["grid"], saved["about"]
        results, sweep = (read(folder / f"{name}.jsonl") for name in ("runs", "sweep"))
        return Study(folder, grid, in_order(results, grid), sweep, about)
    except OSError as error:
        raise DataError(f"no study in {str(folder)!r}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{str(folder)!r} holds no readable study: {error}") from None


def read(path: Path) -> list[Result]:
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [Result.from_json(json.loads(line)["record"]) for line in lines if line.endswith("\n")]


def in_order(results: Iterable[Result], grid: Mapping[str, Sequence[Any]]) -> list[Result]:
    """`results` in the order of the grid's runs."""
    return sorted(results, key=position_in(grid))


def position_in(grid: Mapping[str, Sequence[Any]]) -> Callable[[Result], list[int]]:
    """A function that returns the place of a result among the grid's runs."""
    # JSON's text of a value, because a list cannot be looked up.
    places = {
        name: {json.dumps(value): place for place, value in enumerate(values)}
        for name, values in plain(grid).items()
    }

    def position(result: Result) -> list[int]:
        # A learning rate that was searched is not among the values of the grid.
        return [
            numbers.get(json.dumps(plain(result.settings.get(name))), 0)
            for name, numbers in places.items()
        ]

    return position


def row(result: Result) -> list[dict[str, Any]]:
    """The one line of a result in the table of runs: the settings, then the scores."""
    settings = {
        name: "x".join(map(str, value)) if isinstance(value, list | tuple) else value
        for name, value in result.settings.items()
    }
    line = {
        **settings,
        "lr": result.lr,
        "status": result.status,
        **result.scores,
        "best_epoch": result.best_epoch,
        "epochs_run": len(result.epochs),
        "parameters": result.parameters,
        "seconds": round(result.seconds, 4),
        "together": result.together,
        "source": result.data,
        "message": result.message,
        "run": result.key,
    }
    return [line]


def curve(result: Result) -> list[dict[str, Any]]:
    """The lines of a result in the table of learning curves."""
    return [{"run": result.key, **epoch} for epoch in result.epochs]


def write_csv(
    path: Path, lines: Sequence[Mapping[str, Any]], fields: Sequence[str], append: bool = False
) -> None:
    try:
        with path.open("a" if append else "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fields)
            if not append:
                writer.writeheader()
            writer.writerows(lines)
    except OSError as error:
        raise Journal.cannot_write(path, error) from None
