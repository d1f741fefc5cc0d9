"""The harness's figures: each function draws one, and writes it as PNG where `path` is given."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from os import PathLike

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlcourse.compare.probe import Layer
from dlcourse.compare.surfaces import Surface, Walk
from dlcourse.plots import finish

__all__ = [
    "error_by",
    "gradient_by_depth",
    "heat_map",
    "layer_histograms",
    "learning_bands",
    "search_race",
    "trajectories",
]

Path = str | PathLike[str] | None
Groups = Mapping[str, Sequence[Sequence[Mapping[str, float]]]]


def learning_bands(groups: Groups, column: str, path: Path = None) -> Figure:
    """`column` of the learning curves by epoch: each group's mean, and a band from least to most.

    groups: by name, the epochs of each run. Runs that stopped early count as long as they ran.
    """
    figure = Figure(figsize=(6, 3.6 + 0.22 * (len(groups) + 1) // 2), layout="constrained")
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
        (line,) = ax.plot(epochs, means, label=name, marker="." if len(epochs) < 2 else "")
        ax.fill_between(epochs, lows, highs, color=line.get_color(), alpha=0.2, linewidth=0)
    ax.set(ylabel=column.replace("_", " "), xlabel="epoch")
    if column.endswith("loss"):
        ax.set_yscale("symlog", linthresh=1e-6)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return finish(figure, path)


def heat_map(
    values: Sequence[Sequence[float]],
    texts: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    path: Path = None,
) -> Figure:
    """A value and a text for each of `rows` x `columns`; NaN is left gray."""
    figure = Figure(figsize=(1.05 * len(columns) + 2, 0.6 * len(rows) + 1.6), layout="constrained")
    ax = figure.subplots()
    ax.set_facecolor("lightgray")
    image = ax.imshow(values, cmap="viridis", aspect="auto")
    finite = [value for row in values for value in row if math.isfinite(value)] or [0]
    middle = (min(finite) + max(finite)) / 2
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            color = "k" if not values[i][j] < middle else "w"
            ax.text(j, i, text, ha="center", va="center", color=color, fontsize=8)
    ax.set(title=title, xticks=range(len(columns)), yticks=range(len(rows)))
    ax.set_xticklabels(columns, rotation=30, ha="right")
    ax.set_yticklabels(rows)
    figure.colorbar(image)
    return finish(figure, path)


def layer_histograms(
    cases: Mapping[str, Sequence[Layer]], what: str = "activations", path: Path = None
) -> Figure:
    """A row a case, a column a layer: how its "activations" or "gradients" are spread."""
    depth = max(len(layers) for layers in cases.values())
    height = 1.25 * len(cases) + 0.5
    figure = Figure(figsize=(1.15 * depth + 0.4, height))
    axes = figure.subplots(len(cases), depth, squeeze=False)
    # By hand: the constrained layout takes seconds over so many axes.
    figure.subplots_adjust(0.04, 0.25 / height, 0.99, 1 - 0.6 / height, wspace=0.2, hspace=0.35)
    for row, (name, layers) in zip(axes, cases.items(), strict=True):
        for ax in row[len(layers) :]:
            ax.axis("off")
        for ax, layer in zip(row, layers, strict=False):
            counts = layer.activations if what == "activations" else layer.gradients
            low, high = layer.edges if what == "activations" else layer.gradient_edges
            width = (high - low) / len(counts)
            ax.stairs(counts, [low + i * width for i in range(len(counts) + 1)], fill=True)
            ax.set_yticks([])
            ax.set_xticks([low, high], [f"{low:.1g}", f"{high:.1g}"], fontsize=6)
        row[0].set_ylabel(name, fontsize=7)
    for number, ax in enumerate(axes[0], start=1):
        ax.set_title(f"layer {number}", fontsize=8)
    figure.suptitle(what, fontsize=10)
    return finish(figure, path)


def gradient_by_depth(cases: Mapping[str, Sequence[Layer]], path: Path = None) -> Figure:
    """The norm of the gradient and the spread of the activations, by layer, on log scales."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, layers in cases.items():
        depth = range(1, len(layers) + 1)
        left.plot(depth, [layer.gradient_norm for layer in layers], "o-", label=name, markersize=3)
        right.plot(depth, [layer.std for layer in layers], "o-", label=name, markersize=3)
    for ax, title in ((left, "gradient norm"), (right, "standard deviation of activations")):
        ax.set(title=title, xlabel="layer")
        ax.set_yscale("symlog", linthresh=1e-9)
        ax.grid(alpha=0.3)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return finish(figure, path)


def trajectories(surface: Surface, walks: Sequence[Walk], path: Path = None) -> Figure:
    """Walks down a surface over its contours; the legend says when each arrived."""
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    ax = figure.subplots()
    left, right, low, high = surface.extent
    x, y = torch.meshgrid(
        torch.linspace(left, right, 120), torch.linspace(low, high, 120), indexing="xy"
    )
    height = surface.height(torch.stack([x, y], dim=-1))
    ax.contour(x.numpy(), y.numpy(), height.numpy(), 25, cmap="Greys", linewidths=0.6)
    for one in walks:
        arrived = f"{one.arrived} steps" if math.isfinite(one.arrived) else "never"
        label = f"{one.optimizer} (lr {one.lr:.2g}): {arrived}"
        ax.plot(*zip(*one.points, strict=True), ".-", markersize=3, linewidth=1, label=label)
    ax.plot(*surface.start, "k*", markersize=10)
    ax.set(xlim=(left, right), ylim=(low, high), title=surface.name)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    return finish(figure, path)


def error_by(
    lines: Mapping[str, Mapping[float, Sequence[float]]],
    xlabel: str,
    ylabel: str,
    log: bool = False,
    path: Path = None,
) -> Figure:
    """A line a name: the mean at each x with a bar from least to most."""
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    ax = figure.subplots()
    for name, points in lines.items():
        xs = sorted(points)
        means = [statistics.fmean(points[x]) for x in xs]
        spread = [
            [mean - min(points[x]) for x, mean in zip(xs, means, strict=True)],
            [max(points[x]) - mean for x, mean in zip(xs, means, strict=True)],
        ]
        ax.errorbar(xs, means, spread, marker="o", markersize=4, capsize=3, label=name)
    if log:
        ax.set_xscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(alpha=0.3)
    if len(lines) > 1:
        ax.legend()
    return finish(figure, path)


def search_race(
    races: Mapping[str, Sequence[tuple[float, float]]], ylabel: str, path: Path = None
) -> Figure:
    """The best found so far by each search against what it has spent: (epochs, score) pairs."""
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    ax = figure.subplots()
    for name, points in races.items():
        ax.step(*zip(*points, strict=True), where="post", label=name)
    ax.set(xlabel="epochs of training spent", ylabel=ylabel)
    ax.grid(alpha=0.3)
    ax.legend()
    return finish(figure, path)
