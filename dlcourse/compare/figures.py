"""Figures of a study. Each function draws one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from dlcourse.figure_style import MARKERS, add_legend, finish, new_figure, only_integers, styled

__all__ = ["error_by", "heat_map", "learning_bands", "search_race"]

Groups = Mapping[str, Sequence[Sequence[Mapping[str, float]]]]


@styled
def learning_bands(groups: Groups, column: str) -> Figure:
    """`column` of the learning curves by epoch: the mean of each group, and a band from its
    lowest to its highest value.

    groups: the epochs of each run, by the name of the group. A run that stopped early counts in
        the epochs that it has.
    """
    figure = new_figure(6, 3.6 + 0.22 * (len(groups) + 1) // 2)
    ax = figure.subplots()
    for name, runs in groups.items():
        means, lows, highs, epochs = [], [], [], []
        for epoch in range(max((len(run) for run in runs), default=0)):
            row = [run[epoch].get(column, math.nan) for run in runs if epoch < len(run)]
            row = [value for value in row if math.isfinite(value)]
            if row:
                epochs.append(epoch + 1)
                means.append(statistics.fmean(row))
                lows.append(min(row))
                highs.append(max(row))
        (line,) = ax.plot(epochs, means, label=name, marker="o" if len(epochs) < 4 else "")
        ax.fill_between(epochs, lows, highs, color=line.get_color(), alpha=0.2, linewidth=0)
    ax.set(ylabel=column.replace("_", " "), xlabel="epoch")
    if column.endswith("loss"):
        ax.set_yscale("symlog", linthresh=1e-6)
    only_integers(ax)
    ax.grid(True)
    add_legend(ax, most=1)
    return finish(figure, None)


@styled
def heat_map(
    values: Sequence[Sequence[float]],
    texts: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
) -> Figure:
    """A value and a text for each of `rows` and `columns`; NaN is gray."""
    figure = new_figure(1.05 * len(columns) + 2, 0.6 * len(rows) + 1.6)
    ax = figure.subplots()
    ax.set_facecolor("lightgray")
    image = ax.imshow(values, cmap="cividis", aspect="auto")
    finite = [value for row in values for value in row if math.isfinite(value)] or [0]
    middle = (min(finite) + max(finite)) / 2
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            color = "k" if not values[i][j] < middle else "w"
            ax.text(j, i, text, ha="center", va="center", color=color, fontsize=10)
    ax.set(title=title, xticks=range(len(columns)), yticks=range(len(rows)))
    ax.set_xticklabels(columns, rotation=30, ha="right")
    ax.set_yticklabels(rows)
    figure.colorbar(image)
    return finish(figure, None)


@styled
def search_race(races: Mapping[str, Sequence[tuple[float, float]]], ylabel: str) -> Figure:
    """The best score that each search had found, against the epochs it had spent.

    races: (epochs, score) pairs by the name of the search; one without pairs is left out.
    """
    figure = new_figure(6, 3.8)
    ax = figure.subplots()
    for name, points in races.items():
        if points:
            epochs, scores = zip(*points, strict=True)
            ax.step(epochs, scores, where="post", label=name)
    ax.set(xlabel="epochs of training spent", ylabel=ylabel)
    ax.grid(True)
    add_legend(ax)
    return finish(figure, None)


@styled
def error_by(
    lines: Mapping[str, Mapping[float, Sequence[float]]],
    xlabel: str,
    ylabel: str,
    log: bool = False,
) -> Figure:
    """A line for each name: the mean at each x, with a bar from the lowest to the highest value."""
    figure = new_figure(6, 3.8)
    ax = figure.subplots()
    for index, (name, points) in enumerate(lines.items()):
        xs = sorted(points)
        means = [statistics.fmean(points[x]) for x in xs]
        spread = [
            # Rounding can put the mean of equal values just outside their range.
            [max(0.0, mean - min(points[x])) for x, mean in zip(xs, means, strict=True)],
            [max(0.0, max(points[x]) - mean) for x, mean in zip(xs, means, strict=True)],
        ]
        ax.errorbar(xs, means, spread, marker=MARKERS[index % 8], capsize=3, label=name)
    if log:
        ax.set_xscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(True)
    if len(lines) > 1:
        add_legend(ax)
    return finish(figure, None)
