"""Figures of the lectures' experiments. Each function draws one, and writes it as PNG if `path`
is given."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from os import PathLike

import torch
from matplotlib.figure import Figure

from dlcourse.compare.lectures.activations import Layer
from dlcourse.compare.lectures.surfaces import Surface, Walk
from dlcourse.plots import finish

__all__ = ["error_by", "gradient_by_depth", "layer_histograms", "trajectories"]

Path = str | PathLike[str] | None


def layer_histograms(
    cases: Mapping[str, Sequence[Layer]], what: str = "activations", path: Path = None
) -> Figure:
    """How "activations" or "gradients" are spread: a row for each case, a column for each layer."""
    depth = max(len(layers) for layers in cases.values())
    height = 1.25 * len(cases) + 0.5
    figure = Figure(figsize=(1.15 * depth + 0.4, height))
    axes = figure.subplots(len(cases), depth, squeeze=False)
    # By hand: the constrained layout takes seconds for so many axes.
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
    """The norm of the gradient and the spread of the activations by layer, on log scales."""
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
    """Walks down a surface on top of its contours; the legend says when each one arrived."""
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    ax = figure.subplots()
    left, right, low, high = surface.extent
    x, y = torch.meshgrid(
        torch.linspace(left, right, 120), torch.linspace(low, high, 120), indexing="xy"
    )
    height = surface.height(torch.stack([x, y], dim=-1))
    ax.contour(x.numpy(), y.numpy(), height.numpy(), 25, cmap="Greys", linewidths=0.6)
    for one in walks:
        arrived = f"{one.arrived} steps" if math.isfinite(one.arrived) else "not there"
        if one.at_edge:
            arrived += ", at the edge of the search"
        label = f"{one.optimizer} (lr {one.lr:.2g}): {arrived}"
        xs, ys = zip(*one.points, strict=True)
        ax.plot(xs, ys, ".-", markersize=3, linewidth=1, label=label)
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
    """A line for each name: the mean at each x, with a bar from the lowest to the highest value."""
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    ax = figure.subplots()
    for name, points in lines.items():
        xs = sorted(points)
        means = [statistics.fmean(points[x]) for x in xs]
        spread = [
            # Rounding can put the mean of equal values just outside their range.
            [max(0.0, mean - min(points[x])) for x, mean in zip(xs, means, strict=True)],
            [max(0.0, max(points[x]) - mean) for x, mean in zip(xs, means, strict=True)],
        ]
        ax.errorbar(xs, means, spread, marker="o", markersize=4, capsize=3, label=name)
    if log:
        ax.set_xscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(alpha=0.3)
    if len(lines) > 1:
        ax.legend()
    return finish(figure, path)
