"""Optimizers on two surfaces of two weights, a ravine and a saddle, with torch's own optimizers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dlcourse import optim

__all__ = ["RAVINE", "SADDLE", "SURFACES", "Surface", "Walk", "best_walk", "walk"]


@dataclass(frozen=True)
class Surface:
    """A function of two weights, and a start.

    height: of w, Shape (..., 2) -> (...). arrived: whether a walk is there, of (w, its height).
    extent: what a figure shows: left, right, low, high.
    """

    name: str
    height: Callable[[Tensor], Tensor]
    start: tuple[float, float]
    arrived: Callable[[Tensor, float], bool]
    extent: tuple[float, float, float, float]


# Eigenvalues 0.1 and 10: plain descent is unstable above lr = 2 / 10, and then needs hundreds of
# steps along the floor.
RAVINE = Surface(
    "ravine",
    lambda w: 0.05 * w[..., 0] ** 2 + 5 * w[..., 1] ** 2,
    (-4.0, 1.0),
    lambda w, height: height < 1e-3,
    (-4.5, 2.5, -1.5, 1.5),
)
# Started beside the ridge, where the gradient hardly shows the way down.
SADDLE = Surface(
    "saddle",
    lambda w: 0.5 * w[..., 0] ** 2 - 0.5 * w[..., 1] ** 2,
    (-1.5, 1e-3),
    lambda w, height: abs(w[1].item()) > 1.0,
    (-2.0, 2.0, -1.5, 1.5),
)
SURFACES = (RAVINE, SADDLE)
# From 10 down to 0.001, four a decade: the large ones fly off, or arrive, in few steps.
LRS = [10 ** (exponent / 4) for exponent in range(4, -13, -1)]


@dataclass
class Walk:
    """The points of a walk, (steps + 1, 2), and after how many steps it arrived (inf: never)."""

    optimizer: str
    lr: float
    points: list[tuple[float, float]]
    arrived: float


def walk(surface: Surface, optimizer: str, lr: float, steps: int = 300) -> Walk:
    """Go down `surface` from its start with the optimizer called `optimizer`."""
    weights = torch.tensor(surface.start, dtype=torch.float64, requires_grad=True)
    stepper = optim.build(optimizer, [weights], lr)
    points, arrived = [surface.start], math.inf
    for step in range(1, steps + 1):
        height = surface.height(weights)
        stepper.zero_grad()
        height.backward()
        stepper.step()
        point = tuple(weights.tolist())
        if not all(map(math.isfinite, point)) or max(map(abs, point)) > 1e3:
            break
        points.append(point)
        if surface.arrived(weights.detach(), surface.height(weights).item()):
            arrived = step
            break
    return Walk(optimizer, lr, points, arrived)


def best_walk(surface: Surface, optimizer: str, steps: int = 300) -> Walk:
    """The walk that arrives first over the same range of learning rates for every optimizer."""
    best = None
    for lr in LRS:
        # Who has not arrived by then is no better.
        found = walk(surface, optimizer, lr, min(steps, best.arrived) if best else steps)
        if best is None or found.arrived < best.arrived:
            best = found
    return best
