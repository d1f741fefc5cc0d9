"""Named optimizers and schedules, each with its rule and its source.

A schedule is a function (optimizer, steps) -> torch scheduler; steps counts those of the optimizer.
In the formulas w are the weights, g is the gradient, t the step (from 1); products are elementwise.

`register` and `register_schedule` add your own, which `fit` and `compare` then know by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from dlcourse.errors import UnknownNameError, UsageError

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "build",
    "build_schedule",
    "halve",
    "inverse",
    "register",
    "register_schedule",
    "spare_vectors",
]


@dataclass(frozen=True)
class Entry:
    """A named optimizer: its class and settings, its default learning rate, rule and source."""

    factory: Callable[..., torch.optim.Optimizer]
    lr: float
    formula: str
    source: str
    settings: tuple[tuple[str, object], ...] = ()


OPTIMIZERS: dict[str, Entry] = {
    "sgd": Entry(torch.optim.SGD, 0.1, "w -= lr g", "Robbins & Monro 1951"),
    "momentum": Entry(
        torch.optim.SGD, 0.02, "v = mu v + g; w -= lr v", "Polyak 1964", (("momentum", 0.9),)
    ),
    "nesterov": Entry(
        torch.optim.SGD,
        0.02,
        "v = mu v + g; w -= lr (g + mu v)",
        "Nesterov 1983; Sutskever et al. 2013",
        (("momentum", 0.9), ("nesterov", True)),
    ),
    "adagrad": Entry(
        torch.optim.Adagrad,
        0.01,
        "s += g^2; w -= lr g / (sqrt(s) + eps)",
        "Duchi, Hazan & Singer 2011",
    ),
    "adadelta": Entry(
        torch.optim.Adadelta,
        1.0,
        "s = rho s + (1-rho) g^2; d = g sqrt(u + eps) / sqrt(s + eps); "
        "u = rho u + (1-rho) d^2; w -= lr d",
        "Zeiler 2012, arXiv:1212.5701",
    ),
    "rmsprop": Entry(
        torch.optim.RMSprop,
        0.001,
        "s = rho s + (1-rho) g^2; w -= lr g / (sqrt(s) + eps)",
        "Tieleman & Hinton 2012, lecture 6.5",
    ),
    "adam": Entry(
        torch.optim.Adam,
        0.001,
        "m = b1 m + (1-b1) g; s = b2 s + (1-b2) g^2; "
        "w -= lr m / (1-b1^t) / (sqrt(s / (1-b2^t)) + eps)",
        "Kingma & Ba 2015, arXiv:1412.6980",
    ),
    "nadam": Entry(
        torch.optim.NAdam,
        0.001,
        "Adam with an m that looks one step ahead, as in Nesterov's momentum",
        "Dozat 2016",
    ),
    "adamw": Entry(
        torch.optim.AdamW,
        0.001,
        "Adam, with w -= lr wd w as a step of its own instead of wd w inside g",
        "Loshchilov & Hutter 2019, arXiv:1711.05101",
    ),
}


def build(
    name: str,
    params: Iterable[Any],
    lr: float | None = None,
    weight_decay: float | None = None,
    **settings: Any,
) -> torch.optim.Optimizer:
    """The optimizer called `name` over `params`: parameters, or groups of them as torch takes them.

    lr: None takes the default of the name. weight_decay: None takes that of torch's class (0.01 for
    AdamW, 0 for the others). settings: further arguments of the class (`momentum`, `betas`, ...).

    Raises UnknownNameError for a name that is not in OPTIMIZERS, and UsageError for a setting that
    the class refuses.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    entry = OPTIMIZERS[name]
    if weight_decay is not None:
        settings["weight_decay"] = weight_decay
    try:
        return entry.factory(
            params, lr=entry.lr if lr is None else lr, **{**dict(entry.settings), **settings}
        )
    except (TypeError, ValueError) as error:
        raise UsageError(f"optimizer {name!r}: {error}") from None


def register(
    name: str,
    factory: Callable[..., torch.optim.Optimizer],
    lr: float,
    *,
    formula: str = "",
    source: str = "",
    **settings: object,
) -> None:
    """Add an optimizer to OPTIMIZERS.

    factory(params, lr=..., **settings): a class of optimizers, or a function that makes one. It
    need not take `weight_decay`. lr: the default learning rate. formula, source: what reports show.

    >>> register("sgd_09", torch.optim.SGD, lr=0.05, momentum=0.9)
    >>> build("sgd_09", [torch.zeros(2, requires_grad=True)]).defaults["momentum"]
    0.9
    >>> entry = OPTIMIZERS.pop("sgd_09")

    Raises UsageError for a name that is taken, a factory that is not callable, and an lr that is no
    positive number.
    """
    if name in OPTIMIZERS:
        raise UsageError(f"optimizer {name!r} already exists; choose another name")
    if not callable(factory):
        raise UsageError(f"the factory of optimizer {name!r} must be callable, got {factory!r}")
    if isinstance(lr, bool) or not isinstance(lr, int | float) or not 0 < lr < math.inf:
        raise UsageError(f"the default lr of optimizer {name!r} must be above 0, got {lr!r}")
    OPTIMIZERS[name] = Entry(factory, lr, formula, source, tuple(settings.items()))


def register_schedule(name: str, schedule: Callable[[torch.optim.Optimizer, int], Any]) -> None:
    """Add a schedule, a function (optimizer, steps) -> torch scheduler, to SCHEDULES.

    Raises UsageError for a name that is taken and for something that is no function.
    """
    if name in SCHEDULES:
        raise UsageError(f"schedule {name!r} already exists; choose another name")
    if not callable(schedule) or isinstance(schedule, type):
        raise UsageError(f"schedule {name!r} must be a function (optimizer, steps) -> scheduler")
    SCHEDULES[name] = schedule


def spare_vectors(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Two groups of parameters: weights decay; biases and the parameters of norms do not.

    >>> optimizer = build("adamw", spare_vectors(torch.nn.Linear(3, 2), 0.1))
    >>> [group["weight_decay"] for group in optimizer.param_groups]
    [0.1, 0.0]

    Source: He et al. 2019, "Bag of tricks", arXiv:1812.01187, section 3.1.
    """
    params = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in params if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in params if p.dim() <= 1], "weight_decay": 0.0},
    ]


def linear(optimizer: torch.optim.Optimizer, steps: int) -> lr_scheduler.LRScheduler:
    """The learning rate falls on a straight line to zero."""
    return lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps))


def cosine(optimizer: torch.optim.Optimizer, steps: int) -> lr_scheduler.LRScheduler:
    """The learning rate falls on half a cosine to zero (Loshchilov & Hutter 2017)."""
    return lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)


def onecycle(optimizer: torch.optim.Optimizer, steps: int) -> lr_scheduler.LRScheduler:
    """The learning rate rises to lr over 30 % of the steps, then falls to zero (Smith 2018)."""
    peaks = [group["lr"] for group in optimizer.param_groups]
    return lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=steps + 1, cycle_momentum=False)


def inverse(
    optimizer: torch.optim.Optimizer, steps: int, b: float | None = None
) -> lr_scheduler.LRScheduler:
    """The learning rate is a / (b + t) after t steps (lecture J; Robbins & Monro 1951).

    a = lr b, so that it starts at lr. b is the number of steps that halve it; None takes a tenth of
    `steps`, so that the last step has an eleventh of lr.
    """
    b = steps / 10 if b is None else b
    return lr_scheduler.LambdaLR(optimizer, lambda step: b / (b + step))


def halve(optimizer: torch.optim.Optimizer, steps: int) -> lr_scheduler.ReduceLROnPlateau:
    """The learning rate is halved after every epoch without a new low of the validation loss.

    Source: lecture J. Call its step(loss) once for each epoch.
    """
    return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.0)


SCHEDULES: dict[str, Callable[[torch.optim.Optimizer, int], Any]] = {
    "linear": linear,
    "cosine": cosine,
    "onecycle": onecycle,
    "inverse": inverse,
    "halve": halve,
}


def build_schedule(name: str, optimizer: torch.optim.Optimizer, steps: int) -> Any:
    """The schedule called `name` for so many steps of the optimizer.

    Call its step() after each of them; that of "halve" after each epoch, with the validation loss.

    Raises UnknownNameError for a name that is not in SCHEDULES.
    """
    if name not in SCHEDULES:
        raise UnknownNameError("schedule", name, SCHEDULES)
    return SCHEDULES[name](optimizer, steps)
