"""Figures of a study. Each function draws one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from dlcourse.figure_style import (
    MARKERS,
    add_legend,
    finish,
    in_percent,
    is_share,
    new_figure,
    only_integers,
    styled,
)

__all__ = [
    "FEW", "Groups", "band", "error_by", "heat_map", "learning_bands", "learning_pair",
    "search_race",
]  # fmt: skip

# The runs of a group: the epochs of each, and whether it diverged after them.
Groups = Mapping[str, Sequence[tuple[Sequence[Mapping[str, float]], bool]]]
FEW = 3  # curves of so few epochs are points
MOST_HIDDEN = 0.5  # a gap in the values of more than this share of their range is cut


@styled
def learning_bands(groups: Groups, column: str, title: str = "") -> Figure:
    """`column` of the learning curves by epoch: the mean of each group, and a band from its
    lowest to its highest value; points with bars for at most FEW epochs.

    title: of the legend. A run that stopped early counts in the epochs that it has; a cross marks
    where a run diverged.
    """
    figure = new_figure(6, 3.6)
    ax = figure.subplots()
    scale, label = 1, column.replace("_", " ").replace("val ", "validation ")
    if is_share(column):
        scale, label = 100, f"{label} in percent"
    longest = max((len(run) for runs in groups.values() for run, _ in runs), default=0)
    for index, (name, runs) in enumerate(groups.items()):
        points = band([run for run, _ in runs], column, scale)
        epochs, means, lows, highs = points
        # Colors repeat after eight: another marker then.
        marker = MARKERS[(index + index // len(MARKERS)) % len(MARKERS)]
        if longest <= FEW:
            # Side by side, so that the bars of several groups can be told apart.
            shift = 0.5 * ((index + 1) / (len(groups) + 1) - 0.5)
            places = [epoch + shift for epoch in epochs]
            bars = [
                [max(0.0, m - low) for m, low in zip(means, lows, strict=True)],
                [max(0.0, high - m) for m, high in zip(means, highs, strict=True)],
            ]
            drawn = ax.errorbar(places, means, bars, fmt=marker, capsize=3, label=name)
            color = drawn[0].get_color()
        else:
            (line,) = ax.plot(epochs, means, label=name)
            color = line.get_color()
            ax.fill_between(epochs, lows, highs, color=color, alpha=0.2, linewidth=0)
        ends = [end for run, diverged in runs if diverged and (end := last(run, column))]
        for epoch, value in ends:
            ax.plot(epoch, scale * value, "x", color=color, markersize=10, markeredgewidth=2.5)
    if any(diverged for runs in groups.values() for _, diverged in runs):
        ax.plot([], [], "x", color="0.3", label="diverged after this epoch")
    ax.set(ylabel=label, xlabel="epoch")
    if column.endswith(("loss", "perplexity")):
        ax.set_yscale("symlog", linthresh=1e-6)
    only_integers(ax)
    ax.grid(True)
    add_legend(ax, most=1, title=title)
    return finish(figure, None)


@styled
def learning_pair(runs: Sequence[Sequence[Mapping[str, float]]], column: str) -> Figure:
    """Training and validation values of `column` by epoch: the mean over `runs`, a band from the
    lowest to the highest, and a dot at the epoch where the mean on the validation data is best.
    """
    figure = new_figure(6, 4.2)
    ax = figure.subplots()
    for name, label in ((f"train_{column}", "training"), (f"val_{column}", "validation")):
        epochs, means, lows, highs = band(runs, name)
        (line,) = ax.plot(epochs, means, label=label)
        ax.fill_between(epochs, lows, highs, color=line.get_color(), alpha=0.2, linewidth=0)
    if means:
        at = means.index(min(means) if column == "loss" else max(means))
        ax.plot(
            epochs[at], means[at], "o", color=line.get_color(), markersize=9,
            label=f"best epoch: {epochs[at]}",
        )  # fmt: skip
        ax.axvline(epochs[at], color=line.get_color(), alpha=0.4, linewidth=1)
    ax.set(xlabel="epoch", ylabel=column)
    if is_share(column):
        in_percent(ax.yaxis)
    only_integers(ax)
    ax.grid(True)
    add_legend(ax)
    return finish(figure, None)


def band(
    runs: Sequence[Sequence[Mapping[str, float]]], column: str, scale: float = 1
) -> tuple[list[int], list[float], list[float], list[float]]:
    """The epochs with a finite value of `column`, and its mean, lowest and highest value there."""
    epochs, means, lows, highs = [], [], [], []
    for epoch in range(max(map(len, runs), default=0)):
        row = [run[epoch].get(column, math.nan) for run in runs if epoch < len(run)]
        row = [scale * value for value in row if math.isfinite(value)]
        if row:
            epochs.append(epoch + 1)
            means.append(statistics.fmean(row))
            lows.append(min(row))
            highs.append(max(row))
    return epochs, means, lows, highs


def last(run: Sequence[Mapping[str, float]], column: str) -> tuple[int, float] | None:
    """The last epoch of a run with a finite value of `column`, and this value."""
    for number in range(len(run), 0, -1):
        if math.isfinite(value := run[number - 1].get(column, math.nan)):
            return number, value
    return None


@styled
def heat_map(
    values: Sequence[Sequence[float]],
    texts: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
) -> Figure:
    """A value and a text for each of `rows` and `columns`; NaN is gray.

    If a few values are far from all others, the colors leave them out; see `color_range`.
    """
    finite = [value for row in values for value in row if math.isfinite(value)] or [0.0]
    low, high = color_range(finite)
    ends = {(True, False): "min", (False, True): "max"}
    extend = ends.get((min(finite) < low, max(finite) > high), "neither")
    lines = max((text.count("\n") + 1 for row in texts for text in row), default=1)
    figure = new_figure(1.2 * len(columns) + 2.4, 0.3 * (lines + 0.6) * len(rows) + 1.9)
    ax = figure.subplots()
    ax.set_facecolor("lightgray")
    image = ax.imshow(values, cmap="cividis", aspect="auto", vmin=low, vmax=high)
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            color = "k" if not values[i][j] < (low + high) / 2 else "w"
            ax.text(j, i, text, ha="center", va="center", color=color, fontsize=10)
    ax.set(title=title, xticks=range(len(columns)), yticks=range(len(rows)))
    ax.set_xticklabels(columns, rotation=30, ha="right")
    ax.set_yticklabels(rows)
    figure.colorbar(image, extend=extend)
    return finish(figure, None)


def color_range(values: Sequence[float]) -> tuple[float, float]:
    """The values between which colors change: all, or the larger group if a gap parts them.

    A gap counts if it is more than half of the whole range; the group then holds at least half of
    the values. So one dead row does not make all others look alike.

    >>> color_range([10.0, 10.1, 96.0, 97.0, 97.5])
    (96.0, 97.5)
    >>> color_range([1.0, 2.0, 3.0])
    (1.0, 3.0)
    """
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    for at in range(1, len(ordered)):
        if ordered[at] - ordered[at - 1] > MOST_HIDDEN * (high - low):
            below, above = ordered[:at], ordered[at:]
            group = above if len(above) >= len(below) else below
            if group[0] < group[-1]:
                return group[0], group[-1]
    return low, high


@styled
def search_race(races: Mapping[str, Sequence[tuple[float, float]]], ylabel: str) -> Figure:
    """The best score that each search had found, against the epochs it had spent.

    races: (epochs, score) pairs by the name of the search; one without pairs is left out.
    ylabel: the score. A share, such as "accuracy", is labeled in percent.
    """
    figure = new_figure(6, 3.8)
    ax = figure.subplots()
    for name, points in races.items():
        if points:
            epochs, scores = zip(*points, strict=True)
            ax.step(epochs, scores, where="post", label=name)
    ax.set(xlabel="epochs of training spent", ylabel=ylabel)
    if is_share(ylabel.removesuffix(" so far")):
        in_percent(ax.yaxis)
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
