"""`report.html`: a study on one page, figures inside, readable on a phone and without a network."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from dlcourse.compare import figures, plan, table
from dlcourse.compare.study import Study

__all__ = ["study_figures", "write_report"]

MOST_CURVES = 10
# A browser that heeds this loads nothing from anywhere.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# Points of a figure's width that stay readable: a wider figure scrolls.
PIXELS_AN_INCH = 62
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
figure { margin: 1rem 0; overflow-x: auto; }
img { width: 100%; height: auto; background: white; border-radius: 4px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid #8884; }
td { white-space: nowrap; }
p, dd { overflow-wrap: anywhere; }
dt { font-weight: 600; }
.verdict { border-left: 4px solid #2a7; padding: .4rem .8rem; background: #2a71; }
.verdict.not { border-color: #c40; background: #c401; }
"""


def write_report(
    study: Study,
    *,
    title: str = "",
    expected: str = "",
    verdict: tuple[bool, str] | None = None,
    more: Mapping[str, Figure] | None = None,
) -> Path:
    """Write the page into the study's folder; returns its path.

    verdict: whether the expected outcome came, and what was found. more: figures by caption.
    """
    parts = [f"<h1>{html.escape(title or f'Study {study.name}')}</h1>"]
    if study.about.get("synthetic"):
        parts.append("<p><strong>Synthetic data stand in for the real ones.</strong></p>")
    if expected:
        parts.append(f"<p>Expected: {html.escape(expected)}</p>")
    if verdict:
        came, found = verdict
        kind, word = ("", "It came") if came else (" not", "It did not come")
        parts.append(f'<p class="verdict{kind}"><strong>{word}:</strong> {html.escape(found)}</p>')
    parts.append(results(study))
    for caption, figure in {**study_figures(study), **(more or {})}.items():
        parts.append(f"<h2>{html.escape(caption)}</h2>{picture(figure, caption)}")
    parts += [what_the_names_mean(study), how_it_was_made(study)]
    path = study.folder / "report.html"
    path.write_text(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title or study.name)}</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n",
        encoding="utf-8",
    )
    return path


def study_figures(study: Study) -> dict[str, Figure]:
    """Learning curves of the best cells with bands, and a heat map where there are two axes."""
    cells = table.cells_of(study)
    names = plan.varying([cell.settings for cell in cells])
    drawn = {}
    if len(names) == 2:
        rows, columns = (
            list(dict.fromkeys(str(cell.settings.get(name)) for cell in cells)) for name in names
        )
        values = [[math.nan] * len(columns) for _ in rows]
        texts = [[""] * len(columns) for _ in rows]
        for cell in cells:
            i, j = (
                where.index(str(cell.settings.get(name)))
                for where, name in zip((rows, columns), names, strict=True)
            )
            values[i][j] = cell.mean
            spread = "" if math.isnan(cell.std) else f"\n±{cell.std:.2g}"
            texts[i][j] = f"{table.shown(cell.mean)}{spread}" + "\n!" * bool(cell.diverged)
        score = table.headline(study.rows).replace("_", " ")
        title = f"{names[0]} by {names[1]}: {score}, n = {max(cell.n for cell in cells)} a cell"
        drawn["Every cell"] = figures.heat_map(values, texts, rows, columns, title)
    lower = study.rows[0].settings.get("mode", "max") == "min"
    ranked = sorted(
        (cell for cell in cells if cell.n), key=lambda cell: cell.mean if lower else -cell.mean
    )
    groups = {
        name_of(cell, names): [row.epochs for row in cell.rows] for cell in ranked[:MOST_CURVES]
    }
    columns = [
        column
        for column in ("train_loss", f"val_{study.rows[0].settings.get('monitor', 'accuracy')}")
        if any(column in epoch for runs in groups.values() for run in runs for epoch in run)
    ]
    if columns:
        which = f"the best {MOST_CURVES} of {len(cells)}, " if len(cells) > MOST_CURVES else ""
        for column in columns:
            caption = f"{column.replace('_', ' ')}: {which}mean, band from least to most over seeds"
            drawn[caption] = figures.learning_bands(groups, column)
    return drawn


def name_of(cell: table.Cell, names: Sequence[str]) -> str:
    return " ".join(f"{name}={cell.settings.get(name)}" for name in names) or "all runs"


def picture(figure: Figure, caption: str) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130)
    data = base64.b64encode(file.getvalue()).decode()
    least = round(figure.get_figwidth() * PIXELS_AN_INCH)
    return (
        f'<figure><img alt="{html.escape(caption)}" style="min-width: {least}px" '
        f'src="data:image/png;base64,{data}"></figure>'
    )


def results(study: Study) -> str:
    cells = table.cells_of(study)
    names = [name for name in plan.varying([cell.settings for cell in cells]) if name != "lr"]
    head = [*names, "lr", table.headline(study.rows), "± (n)"]
    rows = []
    for cell in cells:
        lrs = ", ".join(f"{lr:g}" for lr in cell.lrs if lr is not None) or "usual"
        mean, _, rest = cell.text.partition("±")
        if not rest:
            mean, _, rest = cell.text.partition(" ")
        rows.append([*(str(cell.settings.get(name)) for name in names), lrs, mean, rest])
    unit = " Shares are in percent." if head[-2].endswith("accuracy") else ""
    return (
        "<h2>Results</h2>"
        f"<p>{len(study.rows)} runs; mean, sample standard deviation and n over seeds.{unit}</p>"
        + rows_as_html(head, rows)
    )


def rows_as_html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    line = "".join(f"<th>{html.escape(text)}</th>" for text in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{line}</tr>{body}</table></div>'


def what_the_names_mean(study: Study) -> str:
    lines = [line.partition(": ") for line in table.formulas(study)]
    if not lines:
        return ""
    items = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(rest)}</dd>" for name, _, rest in lines
    )
    return f"<h2>What the names mean</h2><dl>{items}</dl>"


def how_it_was_made(study: Study) -> str:
    grid = [[name, ", ".join(map(str, values))] for name, values in study.grid.items()]
    about = []
    for name, value in study.about.items():
        if isinstance(value, dict):
            value = ", ".join(f"{part} {number}" for part, number in value.items())
        about.append([name, str(value)])
    return "<h2>How it was made</h2>" + "".join(
        f"<p><b>{html.escape(name)}</b>: {html.escape(value)}</p>"
        for name, value in [*grid, *about]
    )
