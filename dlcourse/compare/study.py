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
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcourse import files
from dlcourse.compare.result import Result, plain
from dlcourse.errors import DataError

__all__ = ["Journal", "Study", "load"]


class Journal(files.Journal):
    """Results by the key of their settings, as JSON lines and as CSV."""

    encode = staticmethod(Result.as_json)
    decode = staticmethod(Result.from_json)

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder / f"{name}.jsonl")
        self.table = folder / f"{name}.csv"
        self.curves = folder / "curves.csv" if name == "runs" else None
        self.write(self.records.values())

    def add(self, key: str, record: Result) -> None:
        super().add(key, record)
        lines = curve(record) if self.curves else []
        if not set(flat(record)) <= set(self.fields) or not all(
            set(line) <= set(self.curve_fields) for line in lines
        ):
            self.write(self.records.values())
            return
        write_csv(self.table, [flat(record)], self.fields, append=True)
        if self.curves and lines:
            write_csv(self.curves, lines, self.curve_fields, append=True)

    def write(self, results: Iterable[Result]) -> None:
        """Write both tables again, with `results` in this order."""
        results = list(results)
        lines = [flat(result) for result in results]
        self.fields = names_in(lines)
        write_csv(self.table, lines, self.fields)
        if self.curves:
            lines = [line for result in results for line in curve(result)]
            self.curve_fields = names_in(lines)
            write_csv(self.curves, lines, self.curve_fields)


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
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def lost(self) -> list[Result]:
        """The results without scores."""
        return [result for result in self.results if not result.has_scores]

    def claimed(self) -> AbstractContextManager[None]:
        """Make the folder that of this study, and be its only writer while the block runs.

        Raises UsageError if it holds something else.
        """
        about = plain({"grid": self.grid, "about": self.about})

        def refuse(there: Mapping[str, Any]) -> str | None:
            return difference(there["grid"], about["grid"])

        return files.claimed_folder(
            self.folder, "study.json", about, refuse=refuse, label="--out", work="study"
        )


def difference(there: Mapping[str, Any], asked: Mapping[str, Any]) -> str | None:
    """How another study's grid differs from the one that is asked for; None if it does not."""
    for name in dict.fromkeys([*there, *asked]):
        if there.get(name) != asked.get(name):
            return (
                f"holds another study: its {name} is {shown(there.get(name))}, here "
                f"{shown(asked.get(name))}"
            )
    return None


def shown(values: Sequence[Any] | None) -> str:
    return "not set" if values is None else ",".join(map(str, values))


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


def in_order(results: Sequence[Result], grid: Mapping[str, Sequence[Any]]) -> list[Result]:
    """`results` in the order of the grid's runs."""
    names = [name for name in grid if name != "seed"] + ["seed"]

    def position(result: Result) -> list[int]:
        settings, found = plain(result.settings), []
        for name in names:
            values = plain(grid[name])
            value = settings.get(name)
            found.append(values.index(value) if value in values else 0)
        return found

    return sorted(results, key=position)


def flat(result: Result) -> dict[str, Any]:
    """A row of the table: the settings, then the result."""
    settings = {
        name: "x".join(map(str, value)) if isinstance(value, list | tuple) else value
        for name, value in result.settings.items()
    }
    return {
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


def curve(result: Result) -> list[dict[str, Any]]:
    return [{"run": result.key, **epoch} for epoch in result.epochs]


def names_in(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for line in lines for name in line))


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
