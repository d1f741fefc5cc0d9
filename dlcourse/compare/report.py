"""`report.html`: a study on one page with its figures, for phones too and without a network."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from matplotlib.figure import Figure

from dlcourse import page
from dlcourse.compare import figures, lr_search, table
from dlcourse.compare.study import Study
from dlcourse.files import write_text

__all__ = ["study_figures", "write_report"]

MOST_CURVES = 10
# Pixels for each inch of a figure; a figure that would be smaller scrolls instead.
PIXELS_PER_INCH = 62


class Verdict(Protocol):
    """What the page needs of an experiment's answer."""

    @property
    def outcome(self) -> str: ...
    @property
    def found(self) -> str: ...
    @property
    def criterion(self) -> str: ...


def write_report(
    study: Study,
    *,
    title: str = "",
    expected: str = "",
    verdict: Verdict | None = None,
    more: Mapping[str, Figure] | None = None,
) -> Path:
    """Write the page into the study's folder and return its path.

    expected, verdict: the expected outcome of an experiment, and what was found. more: figures by
    caption that follow the study's own.
    """
    head, rows = results_table(study)
    all_lost = len(study.lost) == len(study.results)
    drawn = {**({} if all_lost else study_figures(study)), **(more or {})}
    text = page.render(
        "compare/report.html.jinja",
        title=title or f"Study {study.folder.name}",
        synthetic=bool(study.about.get("synthetic")),
        all_lost=all_lost,
        expected=expected,
        verdict=verdict,
        summary=summary(study),
        head=head,
        rows=rows,
        lost=table.lost_lines(study),
        notes=notes(study),
        pictures=[picture(caption, figure) for caption, figure in drawn.items()],
        formulas=[line.split(": ", 1) for line in table.formulas(study)],
        made=how_it_was_made(study),
        defaults=defaults(study),
    )
    path = study.folder / "report.html"
    write_text(path, text)
    return path


def summary(study: Study) -> str:
    score = table.headline(study)
    return (
        f"{len(study.results)} runs; {score}{table.unit_of(score)}: mean, sample standard "
        "deviation and n over seeds."
    )


def results_table(study: Study) -> tuple[list[str], list[list[str]]]:
    """Head and rows: the axes, the learning rate that was used, and the score of each cell."""
    cells = table.cells_of(study)
    names = [name for name in table.varying(cells) if name != "lr"]
    rows = []
    for cell in cells:
        lrs = ", ".join(f"{lr:g}" for lr in cell.lrs if lr is not None)
        mean, _, rest = cell.text.partition("±")
        if not rest:
            mean, _, rest = cell.text.partition(" ")
        rows.append([*(str(cell.settings.get(name)) for name in names), lrs, mean, rest])
    return [*names, "lr", table.headline(study), "± (n)"], rows


def notes(study: Study) -> list[str]:
    """What a reader must know to understand the numbers."""
    found = lr_search.edge_notes(study)
    if any(result.used.get("batch_norm_settled") for result in study.results):
        found.append(
            "scores of models with batch norm use statistics that were recomputed over the "
            "training images; the curves show validation during training, with running statistics"
        )
    return found


def study_figures(study: Study) -> dict[str, Figure]:
    """Learning curves of the best cells with bands, and a heat map if there are two axes."""
    cells = table.cells_of(study)
    names = table.varying(cells)
    drawn = {}
    if len(names) == 2:
        drawn["Every cell"] = heat_map(study, cells, names)
    monitor, lower = study.results[0].monitor, study.results[0].lower_is_better
    ranked = sorted(
        (cell for cell in cells if cell.n), key=lambda cell: cell.mean if lower else -cell.mean
    )
    groups = {
        name_of(cell, names): [result.epochs for result in cell.results]
        for cell in ranked[:MOST_CURVES]
    }
    which = f"the best {MOST_CURVES} of {len(cells)}, " if len(cells) > MOST_CURVES else ""
    for column in ("train_loss", f"val_{monitor}"):
        if any(column in epoch for runs in groups.values() for run in runs for epoch in run):
            caption = f"{column.replace('_', ' ')}: {which}mean, band from least to most over seeds"
            drawn[caption] = figures.learning_bands(groups, column)
    return drawn


def heat_map(study: Study, cells: Sequence[table.Cell], names: Sequence[str]) -> Figure:
    rows, columns = (
        list(dict.fromkeys(str(cell.settings.get(name)) for cell in cells)) for name in names
    )
    values = [[math.nan] * len(columns) for _ in rows]
    texts = [[""] * len(columns) for _ in rows]
    for cell in cells:
        i, j = (
            labels.index(str(cell.settings.get(name)))
            for labels, name in zip((rows, columns), names, strict=True)
        )
        values[i][j] = cell.mean
        marks = f"\n±{cell.std:.2g}" * (not math.isnan(cell.std)) + "\n!" * bool(cell.diverged)
        texts[i][j] = table.shown(cell.mean) + marks
    score = table.headline(study)
    label = f"{score.replace('_', ' ')}{table.unit_of(score)}"
    count = max(cell.n for cell in cells)
    title = f"{names[0]} by {names[1]}: {label}, n = {count} in each cell"
    return figures.heat_map(values, texts, rows, columns, title)


def name_of(cell: table.Cell, names: Sequence[str]) -> str:
    return " ".join(f"{name}={cell.settings.get(name)}" for name in names) or "all runs"


def picture(caption: str, figure: Figure) -> dict[str, Any]:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130)
    return {
        "caption": caption,
        "data": base64.b64encode(file.getvalue()).decode(),
        "width": round(figure.get_figwidth() * PIXELS_PER_INCH),
    }


def how_it_was_made(study: Study) -> list[tuple[str, str]]:
    """The grid, then when, where and on what it ran."""
    lines = [(name, ", ".join(map(str, values))) for name, values in study.grid.items()]
    for name, value in study.about.items():
        if isinstance(value, dict):
            value = ", ".join(f"{part} {number}" for part, number in value.items())
        lines.append((name, str(value)))
    return lines


def defaults(study: Study) -> list[tuple[str, str]]:
    """The settings that the grid does not name, with the values that the runs used."""
    names = dict.fromkeys(name for result in study.results for name in result.used)
    lines = []
    for name in names:
        if name not in study.grid and name != "seed":
            values = dict.fromkeys(
                str(result.used[name]) for result in study.results if name in result.used
            )
            lines.append((name, ", ".join(values)))
    return lines
