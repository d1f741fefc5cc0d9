"""A study's folder: what was asked, one row a run as runs finish, and what was drawn from them.

study.json    the grid, and where and when it ran
runs.jsonl    one line a run, its learning curve included: what a killed study resumes from
runs.csv      one row a run
curves.csv    one row an epoch of a run
sweep.jsonl, sweep.csv   likewise, for the runs that searched a learning rate
report.html   everything on one page
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcourse import journal
from dlcourse.compare.row import Row, clean, key_of
from dlcourse.errors import DataError, UsageError

__all__ = ["Journal", "Study", "claim", "load"]


class Journal(journal.Journal):
    """Rows by the key of their settings, and the same as CSV."""

    encode = staticmethod(Row.as_json)
    decode = staticmethod(Row.from_json)

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder / f"{name}.jsonl")
        self.table = folder / f"{name}.csv"
        self.curves = folder / "curves.csv" if name == "runs" else None
        self.write(self.records.values())

    def add(self, key: str, record: Row) -> None:
        super().add(key, record)
        lines = curve(key, record) if self.curves else []
        if not set(flat(record)) <= set(self.fields) or not all(
            set(line) <= set(self.curve_fields) for line in lines
        ):
            self.write(self.records.values())
            return
        write_csv(self.table, [flat(record)], self.fields, append=True)
        if lines:
            write_csv(self.curves, lines, self.curve_fields, append=True)

    def write(self, rows: Iterable[Row]) -> None:
        """Both tables anew, with `rows` in this order."""
        rows = list(rows)
        lines = [flat(row) for row in rows]
        self.fields = names_in(lines)
        write_csv(self.table, lines, self.fields)
        if self.curves:
            lines = [line for row in rows for line in curve(key_of(row.settings), row)]
            self.curve_fields = names_in(lines)
            write_csv(self.curves, lines, self.curve_fields)


@dataclass
class Study:
    """A grid and the rows of its runs, in the grid's order; `sweep` are those behind lr="auto".

    about: the date, versions, hardware and data behind them.
    """

    folder: Path
    grid: dict[str, list[Any]]
    rows: list[Row]
    sweep: list[Row] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name


def claim(folder: Path, grid: Mapping[str, Sequence[Any]], about: Mapping[str, Any]) -> None:
    """Make `folder` the study of `grid`. Raises UsageError where it holds something else."""
    path = folder / "study.json"
    asked = json.loads(json.dumps(clean(dict(grid))))
    try:
        if path.is_file():
            refuse_another(folder, json.loads(path.read_text(encoding="utf-8"))["grid"], asked)
            return
        if folder.is_dir() and any(entry.name != ".lock" for entry in folder.iterdir()):
            raise UsageError(f"--out {folder} holds other files; name an empty or a new folder")
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_name("study.json.part")
        part.write_text(json.dumps({"grid": asked, "about": about}, indent=2) + "\n")
        part.replace(path)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"cannot use --out {folder}: {error}") from None


def refuse_another(folder: Path, there: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    for name in dict.fromkeys([*there, *asked]):
        if there.get(name) != asked.get(name):
            raise UsageError(
                f"--out {folder} holds another study: its {name} is {shown(there.get(name))}, "
                f"here {shown(asked.get(name))}; name another folder"
            )


def shown(values: Sequence[Any] | None) -> str:
    return "not set" if values is None else ",".join(map(str, values))


def load(folder: Path | str) -> Study:
    """The study in `folder`, as far as it has come. Raises DataError where there is none."""
    from dlcourse.compare import plan

    folder = Path(folder)
    try:
        saved = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        grid, about = saved["grid"], saved["about"]
        rows, sweep = (rows_of(folder / f"{name}.jsonl") for name in ("runs", "sweep"))
    except OSError as error:
        raise DataError(f"no study in {str(folder)!r}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{str(folder)!r} holds no readable study: {error}") from None
    return Study(folder, grid, plan.in_order(rows, grid), sweep, about)


def rows_of(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [Row.from_json(json.loads(line)["record"]) for line in lines if line.endswith("\n")]


def flat(row: Row) -> dict[str, Any]:
    """A row of the table: settings, then what came of them."""
    settings = {
        name: "x".join(map(str, value)) if isinstance(value, list | tuple) else value
        for name, value in row.settings.items()
    }
    return {
        **settings,
        "status": row.status,
        **row.scores,
        "best_epoch": row.best_epoch,
        "epochs_run": len(row.epochs),
        "parameters": row.parameters,
        "seconds": round(row.seconds, 4),
        "together": row.together,
        "source": row.data,
        "message": row.message,
        "run": key_of(row.settings),
    }


def curve(key: str, row: Row) -> list[dict[str, Any]]:
    return [{"run": key, **epoch} for epoch in row.epochs]


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
