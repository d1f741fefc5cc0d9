"""A study as text: mean, spread and n of every cell, and what diverged."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlcourse import init, optim
from dlcourse.compare import plan
from dlcourse.compare.row import Row
from dlcourse.compare.study import Study

__all__ = ["Cell", "as_text", "beside", "cells_of", "formulas", "headline"]


@dataclass
class Cell:
    """Runs that differ in nothing but the seed (and the learning rate that was searched).

    mean, std: of `score` over the `n` runs that have one, those that diverged included; std is the
        sample's, NaN for one run. bad: how many of `of` diverged, failed or died.
    """

    settings: dict[str, Any]
    lrs: tuple[float | None, ...]
    mean: float
    std: float
    n: int
    diverged: int
    lost: int
    rows: list[Row]

    @property
    def text(self) -> str:
        """As "97.1±0.2 (3)"; in the brackets n and, where some did, how many diverged or died."""
        marks = [str(self.n)]
        marks += [f"{self.diverged} diverged"] * bool(self.diverged)
        marks += [f"{self.lost} lost"] * bool(self.lost)
        if not self.n:
            return f"- ({', '.join(marks)})"
        spread = "" if math.isnan(self.std) else f"±{self.std:.2g}"
        return f"{shown(self.mean)}{spread} ({', '.join(marks)})"


def shown(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "inf" if value > 0 else "nan"


def headline(rows: Sequence[Row], split: str = "test") -> str:
    """The score that a table shows: the monitored one, on the test data."""
    return f"{split}_{rows[0].settings.get('monitor', 'accuracy')}"


def cells_of(study: Study, score: str | None = None) -> list[Cell]:
    """The study's cells in the grid's order, by `score` (default: the headline).

    Shares ("..._accuracy") are in percent.
    """
    score = score or headline(study.rows)
    scale = 100 if score.endswith("accuracy") else 1
    searched = study.grid.get("lr") == [plan.AUTO]
    without = ("seed", "lr") if searched else ("seed",)
    found = []
    for places in plan.cells([row.settings for row in study.rows], without).values():
        rows = [study.rows[place] for place in places]
        values = [scale * row.scores[score] for row in rows if score in row.scores]
        found.append(
            Cell(
                {k: v for k, v in rows[0].settings.items() if k not in without},
                tuple(dict.fromkeys(row.settings.get("lr") for row in rows)),
                statistics.fmean(values) if values else math.nan,
                statistics.stdev(values) if len(values) > 1 else math.nan,
                len(values),
                sum(row.status == "diverged" for row in rows),
                sum(not row.scored for row in rows),
                rows,
            )
        )
    return found


def as_text(study: Study) -> str:
    """The formulas behind the names, then the cells: crossed where there are two axes."""
    found = cells_of(study)
    names = plan.varying([cell.settings for cell in found])
    score = headline(study.rows)
    unit = " in percent" if score.endswith("accuracy") else ""
    bad = sum(row.status != "done" for row in study.rows)
    lines = [
        *formulas(study),
        f"{score}{unit}: mean ± standard deviation (n) over seeds, {len(study.rows)} runs"
        + (f", {bad} diverged or lost" if bad else ""),
    ]
    if len(names) == 2:
        lines += crossed(found, *names)
    else:
        lines += listed(found, names)
    lines += [f"  {row.status}: {one_line(row.message)}" for row in study.rows if not row.scored][
        :5
    ]
    seconds = sum(row.seconds for row in (*study.rows, *study.sweep))
    sizes = sorted({row.parameters for row in study.rows if row.parameters})
    span = "-".join(
        f"{size:,}" for size in dict.fromkeys((sizes or [0])[:: max(1, len(sizes) - 1)])
    )
    lines.append(
        f"data: {study.rows[0].data or study.about.get('data', '')}; {span} parameters; "
        f"{seconds:.0f} s of training; {study.folder}"
    )
    return "\n".join(lines)


def one_line(message: str) -> str:
    return message.splitlines()[0] if message else ""


def formulas(study: Study) -> list[str]:
    """The rule and the source of each initializer and optimizer among several."""
    lines = []
    for name in study.grid.get("init", []):
        lines.append(f"init {name}: {init.describe(name)}")
    for name in study.grid.get("optimizer", []):
        entry = optim.OPTIMIZERS[name]
        lines.append(f"optimizer {name}: {entry.formula}  ({entry.source})")
    return lines


def crossed(found: Sequence[Cell], row_axis: str, column_axis: str) -> list[str]:
    columns = list(dict.fromkeys(str(cell.settings.get(column_axis)) for cell in found))
    table: dict[str, dict[str, str]] = {}
    for cell in found:
        row = table.setdefault(str(cell.settings.get(row_axis)), {})
        row[str(cell.settings.get(column_axis))] = cell.text
    head = [f"{row_axis} \\ {column_axis}", *columns]
    return aligned(
        [head, *([name, *(row.get(c, "") for c in columns)] for name, row in table.items())]
    )


def listed(found: Sequence[Cell], names: Sequence[str]) -> list[str]:
    with_lr = "lr" not in names and any(lr is not None for cell in found for lr in cell.lrs)
    head = [*names, *(["lr"] if with_lr else []), "score"]
    body = [
        [
            *(str(cell.settings.get(name)) for name in names),
            *([",".join(f"{lr:g}" for lr in cell.lrs if lr is not None)] if with_lr else []),
            cell.text,
        ]
        for cell in found
    ]
    return aligned([head, *body])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def beside(one: Study, other: Study) -> str:
    """Two studies side by side: the cells that agree in all that both have, and those of one."""
    tables = []
    for study in (one, other):
        found = cells_of(study)
        tables.append({name_of(cell, one, other): cell for cell in found})
    names = list(dict.fromkeys([*tables[0], *tables[1]]))
    lines = [["", str(one.folder), str(other.folder), "difference"]]
    for name in names:
        pair = [table.get(name) for table in tables]
        difference = f"{pair[1].mean - pair[0].mean:+.4g}" if all(pair) else ""
        lines.append([name, *(cell.text if cell else "" for cell in pair), difference])
    return "\n".join([*fixed(one, other), *aligned(lines)])


def name_of(cell: Cell, one: Study, other: Study) -> str:
    both = {**one.grid, **other.grid}
    several = [
        name
        for name in both
        if name != "seed" and any(len(study.grid.get(name, [])) > 1 for study in (one, other))
    ]
    return " ".join(f"{name}={cell.settings[name]}" for name in several if name in cell.settings)


def fixed(one: Study, other: Study) -> list[str]:
    """What is one value in each study and differs between them."""
    lines = []
    for name in dict.fromkeys([*one.grid, *other.grid]):
        values = [study.grid.get(name, []) for study in (one, other)]
        if name != "seed" and max(map(len, values)) == 1 and values[0] != values[1]:
            lines.append(f"{name}: {' | '.join(str(v[0]) if v else 'not set' for v in values)}")
    return lines
