"""`report.html`: a study on one page with its figures, for phones too and without a network.

The verdict comes first, with its criterion; then the figure that the study is about and the table;
what explains them is folded.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from matplotlib.figure import Figure

from dlcourse import page
from dlcourse.compare import figures, lr_search, table
from dlcourse.compare.study import Study
from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.figure_style import describe, finish
from dlcourse.files import write_text

__all__ = ["FORMS", "study_figures", "write_progress", "write_report"]

MOST_CURVES = 10
MOST_ROWS, MOST_COLUMNS = 80, 20  # of a heat map that can still be read
FORMS = ("png", "svg", "pdf")  # of exported figures


class Verdict(Protocol):
    """What the page needs of an experiment's answer."""

    @property
    def outcome(self) -> str: ...
    @property
    def reasons(self) -> Sequence[str]: ...
    @property
    def criterion(self) -> str: ...


def write_report(
    study: Study,
    *,
    title: str = "",
    expected: str = "",
    verdict: Verdict | None = None,
    more: Mapping[str, Figure] | None = None,
    export: str | None = None,
) -> Path:
    """Write the page into the study's folder and return its path.

    expected, verdict: the expected outcome of an experiment, and what was found. more: figures by
    caption; the first one stands at the top of the page. export: "png", "svg" or "pdf" also writes
    every figure into the folder, in that form.
    """
    all_lost = len(study.lost) == len(study.results)
    drawn = {**(more or {}), **({} if all_lost else study_figures(study))}
    if export:
        export_figures(study.folder, drawn, export)
    return render(
        study, title=title, expected=expected, verdict=verdict, all_lost=all_lost, drawn=drawn
    )


def write_progress(
    study: Study, said: str, share: float, *, running: bool, title: str, expected: str
) -> Path:
    """Write the page of a study of which not all runs are finished; return its path.

    said: what is done, the best so far and the time left. share: what is done, from 0 to 1.
    running: whether more will come; the browser then loads the page again and again.
    """
    drawn = dict(list(study_figures(study).items())[-1:]) if study.results else {}
    return render(
        study, title=title, expected=expected, said=said, share=share, running=running,
        drawn=drawn,
    )  # fmt: skip


def render(
    study: Study,
    *,
    title: str,
    expected: str,
    drawn: Mapping[str, Figure],
    verdict: Verdict | None = None,
    all_lost: bool = False,
    said: str = "",
    share: float = 1.0,
    running: bool = False,
) -> Path:
    head, rows = results_table(study) if study.results else ([], [])
    text = page.render(
        "compare/report.html.jinja",
        title=title or f"Study {study.folder.name}",
        synthetic=bool(study.about.get("synthetic")),
        all_lost=all_lost,
        running=running,
        said=said,
        share=share,
        expected=expected,
        verdict=verdict,
        summary=summary(study) if study.results else "",
        head=head,
        rows=rows,
        curves=curve_table(study) if study.results else ([], []),
        lost=table.lost_lines(study),
        notes=notes(study) if study.results else [],
        pictures=[picture(caption, figure) for caption, figure in drawn.items()],
        formulas=[line.split(": ", 1) for line in table.formulas(study)],
        made=how_it_was_made(study),
        defaults=defaults(study),
    )
    path = study.folder / "report.html"
    write_text(path, text)
    return path


def export_figures(folder: Path, drawn: Mapping[str, Figure], form: str) -> list[Path]:
    """Write each figure into `folder`, named after its caption.

    Raises UnknownNameError for a form that is not in FORMS, UsageError if a file cannot be written.
    """
    if form not in FORMS:
        raise UnknownNameError("--figures", form, FORMS)
    paths = []
    for caption, figure in drawn.items():
        words = re.findall(r"[a-z0-9]+", caption.split(":")[0].lower())
        path = folder / f"{'_'.join(words)}.{form}"
        if path in paths:  # two captions that begin alike
            path = folder / f"{'_'.join(re.findall(r'[a-z0-9]+', caption.lower()))}.{form}"
        try:
            finish(figure, path)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from None
        paths.append(path)
    return paths


def summary(study: Study) -> str:
    score = table.headline(study)
    return (
        f"{len(study.results)} run{'s' * (len(study.results) != 1)}; {score}"
        f"{table.unit_of(score)}: mean, sample standard deviation and n over seeds."
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
        rows.append([*(cell.named(name) for name in names), lrs, mean, rest])
    return [*names, "lr", table.headline(study), "± (n)"], rows


def notes(study: Study) -> list[str]:
    """What a reader must know to understand the numbers."""
    found = [text for text in [table.precision(table.cells_of(study))] if text]
    found += lr_search.edge_notes(study)
    if any(limit is not None for limit in study.grid.get("max_seconds", [])):
        lengths = [len(result.epochs) for result in study.results]
        found.append(
            f"each run trained as many epochs as fit into max_seconds: {min(lengths)} to "
            f"{max(lengths)}"
        )
    if any(result.status == "diverged" for result in study.results):
        found.append(
            "a run has diverged if its loss became infinite or not a number; its score is that of "
            "the weights kept before that, or of the initial ones"
        )
    if any(result.used.get("batch_norm_settled") for result in study.results):
        found.append(
            "scores of models with batch norm use statistics that were recomputed over the "
            "training images; the curves show validation during training, with running statistics"
        )
    return found


def study_figures(study: Study) -> dict[str, Figure]:
    """A heat map if there are two axes and not too many values; learning curves with bands.

    The curves are those of the best cells, in the order of the grid, so that their colors do not
    change with the results.
    """
    cells = table.cells_of(study)
    names = table.varying(cells)
    drawn = {}
    if len(names) == 2:
        labels = [list(dict.fromkeys(cell.named(n) for cell in cells)) for n in names]
        if len(labels[0]) <= MOST_ROWS and len(labels[1]) <= MOST_COLUMNS:
            drawn["Every cell"] = heat_map(study, cells, names, *labels)
    groups = curve_groups(study)
    which = f"the best {MOST_CURVES} of {len(cells)}, " if len(cells) > MOST_CURVES else ""
    label = ", ".join(names).replace("_", " ")
    for column in curve_columns(study):
        caption = f"{column.replace('_', ' ')}: {which}mean, band from least to most over seeds"
        drawn[caption] = figures.learning_bands(groups, column, label)
    return drawn


def curve_columns(study: Study) -> list[str]:
    wanted = ("train_loss", f"val_{study.results[0].monitor}")
    there = {name for result in study.results for epoch in result.epochs for name in epoch}
    return [column for column in dict.fromkeys(wanted) if column in there]


def curve_groups(study: Study) -> figures.Groups:
    """The runs of the best cells by the cells' names, in the order of the grid."""
    cells = [cell for cell in table.cells_of(study) if cell.n]
    names = table.varying(table.cells_of(study))
    # A failed run does not know the direction of a metric of the user's.
    done = [result for result in study.results if result.status == "done"]
    sign = 1 if any(result.lower_is_better for result in done) else -1
    best = sorted(cells, key=lambda cell: sign * cell.mean)[:MOST_CURVES]
    return {
        name_of(cell, names): [(one.epochs, one.status == "diverged") for one in cell.results]
        for cell in cells
        if any(cell is one for one in best)
    }


def curve_table(study: Study) -> tuple[list[str], list[list[str]]]:
    """The curves of at most figures.FEW epochs as numbers: head and rows; else empty."""
    longest = max(len(result.epochs) for result in study.results)
    if longest > figures.FEW:
        return [], []
    head = ["curve", "cell", *(f"epoch {number}" for number in range(1, longest + 1))]
    rows = []
    for column in curve_columns(study):
        share = table.unit_of(column) == " in percent"
        for name, runs in curve_groups(study).items():
            epochs, means, _, _ = figures.band(
                [run for run, _ in runs], column, 100 if share else 1
            )
            label = f"{column.replace('_', ' ')}{table.unit_of(column)}"
            shown = {epoch: f"{mean:.4g}" for epoch, mean in zip(epochs, means, strict=True)}
            rows.append([label, name, *(shown.get(n, "-") for n in range(1, longest + 1))])
    return head, rows


def heat_map(
    study: Study,
    cells: Sequence[table.Cell],
    names: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
) -> Figure:
    values = [[math.nan] * len(columns) for _ in rows]
    texts = [[""] * len(columns) for _ in rows]
    for cell in cells:
        i, j = (
            labels.index(cell.named(name))
            for labels, name in zip((rows, columns), names, strict=True)
        )
        values[i][j] = cell.mean
        lines = [cell.shown, table.spread(cell.std, cell.digits)]
        lines += [f"{cell.diverged} of {len(cell.results)} diverged"] * bool(cell.diverged)
        texts[i][j] = "\n".join(filter(None, lines))
    score = table.headline(study)
    label = f"{score.replace('_', ' ')}{table.unit_of(score)}"
    count = max(cell.n for cell in cells)
    title = f"{names[0]} by {names[1]}: {label}, n = {count}"
    return figures.heat_map(values, texts, rows, columns, title.replace("_", " "))


def name_of(cell: table.Cell, names: Sequence[str]) -> str:
    """The values that tell a cell from the others; the legend's title names the settings."""
    return ", ".join(cell.named(name) for name in names) or "all runs"


def picture(caption: str, figure: Figure) -> dict[str, Any]:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130)
    return {
        "caption": caption,
        "description": describe(figure),
        "data": base64.b64encode(file.getvalue()).decode(),
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
