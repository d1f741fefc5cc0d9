"""Optimizers on two surfaces of two weights, a ravine and a saddle."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import Tensor

from dlcourse import optim
from dlcourse.figure_style import new_figure, styled

__all__ = ["RAVINE", "SADDLE", "Surface", "Walk", "best_walk", "trajectories", "walk"]


@dataclass(frozen=True)
class Surface:
    """A function of two weights, and where walks on it start and end.

    height: takes weights of shape (..., 2) and returns their heights (...). arrived: takes the
    weights and their height, and says whether a walk is at its goal. extent: what a figure shows,
    (left, right, low, high); a walk that leaves it has failed.
    """

    name: str
    height: Callable[[Tensor], Tensor]
    start: tuple[float, float]
    arrived: Callable[[Tensor, float], bool]
    extent: tuple[float, float, float, float]


# Eigenvalues 0.1 and 10: plain gradient descent is unstable above lr = 2 / 10, and then needs
# hundreds of steps along the floor.
RAVINE = Surface(
    "ravine",
    lambda w: 0.05 * w[..., 0] ** 2 + 5 * w[..., 1] ** 2,
    (-4.0, 1.0),
    lambda w, height: height < 1e-3,
    (-4.5, 2.5, -1.5, 1.5),
)
# The start is next to the ridge, where the gradient hardly shows the way down.
SADDLE = Surface(
    "saddle",
    lambda w: 0.5 * w[..., 0] ** 2 - 0.5 * w[..., 1] ** 2,
    (-1.5, 1e-3),
    lambda w, height: abs(w[1].item()) > 1.0,
    (-2.0, 2.0, -1.5, 1.5),
)
# Learning rates are 10 ** (exponent / 4): from 0.001 to 10 at first, further if the best one lies
# at an end, but never beyond 1e-6 and 1e6.
FIRST, LAST, FURTHEST = -12, 4, 24


@dataclass
class Walk:
    """The points of a walk, (steps + 1, 2), and after how many steps it arrived (inf: never).

    at_edge: whether its learning rate is the first or last one that was tried.
    """

    optimizer: str
    lr: float
    points: list[tuple[float, float]]
    arrived: float
    at_edge: bool = False


def walk(surface: Surface, optimizer: str, lr: float, steps: float = 300) -> Walk:
    """Walk down `surface` with the optimizer called `optimizer` for at most `steps` steps.

    The walk ends when it arrives. If it leaves the extent of the surface first, it never arrives.
    """
    weights = torch.tensor(surface.start, dtype=torch.float64, requires_grad=True)
    stepper = optim.build(optimizer, [weights], lr)
    found = Walk(optimizer, lr, [surface.start], math.inf)
    left, right, low, high = surface.extent
    while len(found.points) <= steps:
        stepper.zero_grad()
        surface.height(weights).backward()
        stepper.step()
        x, y = weights.tolist()
        if not (left <= x <= right and low <= y <= high):
            break
        found.points.append((x, y))
        if surface.arrived(weights.detach(), surface.height(weights).item()):
            found.arrived = len(found.points) - 1
            break
    return found


def best_walk(surface: Surface, optimizer: str, steps: int = 300) -> Walk:
    """The walk that arrives first, over the same range of learning rates for every optimizer.

    The range becomes wider until the best learning rate lies inside it; if that does not happen
    within 1e-6 to 1e6, the walk says that it is `at_edge`. Of walks that arrive equally soon the
    one with the smallest learning rate counts; if none arrives, the one that comes lowest.
    """
    walks: dict[int, Walk] = {}
    todo = list(range(FIRST, LAST + 1))
    while todo:
        walks |= {e: walk(surface, optimizer, 10 ** (e / 4), steps) for e in todo}
        best = min(sorted(walks), key=lambda e: rank(surface, walks[e]))
        todo = []
        if best == min(walks) and best > -FURTHEST:
            todo = [best - 1]
        elif best == max(walks) and best < FURTHEST:
            todo = [best + 1]
    found = walks[best]
    found.at_edge = best in (min(walks), max(walks))
    return found


def rank(surface: Surface, walk: Walk) -> tuple[float, float]:
    """A sort key: soon is better, then low."""
    height = surface.height(torch.tensor(walk.points[-1], dtype=torch.float64))
    return walk.arrived, height.item()


@styled
def trajectories(surface: Surface, walks: Sequence[Walk]) -> Figure:
    """Walks down a surface on top of its contours; the legend says when each one arrived."""
    figure = new_figure(7, 6)
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
        ax.plot(xs, ys, marker=".", label=label)
    ax.plot(*surface.start, "k*", markersize=10)
    ax.set(xlim=(left, right), ylim=(low, high), title=surface.name)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=10)
    return figure
