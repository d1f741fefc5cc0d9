"""Named optimizers and schedules, each with its rule and its source.

A schedule is a function (optimizer, steps) -> torch scheduler, `steps` those of the optimizer.
In the formulas w are the weights, g the gradient, t the step (from 1), products elementwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from dlcourse.errors import UnknownNameError, UsageError

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "build",
    "build_schedule",
    "halve",
    "inverse",
    "spare_vectors",
]


@dataclass(frozen=True)
class Entry:
    """A named optimizer: torch's class, the settings that make it so, a usual learning rate."""

    factory: Callable[..., torch.optim.Optimizer]
    lr: float
    formula: str
    source: str
    settings: tuple[tuple[str, object], ...] = ()


OPTIMIZERS = {
    "sgd": Entry(torch.optim.SGD, 0.1, "w -= lr g", "Robbins & Monro 1951"),
    "momentum": Entry(
        torch.optim.SGD,
        0.02,
        "v = mu v + g; w -= lr v",
        "Polyak 1964",
        (("momentum", 0.9),),
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
        "Adam whose m looks one step ahead, as Nesterov's momentum does",
        "Dozat 2016",
    ),
    "adamw": Entry(
        torch.optim.AdamW,
        0.001,
        "Adam, and w -= lr wd w beside it instead of wd w inside g",
        "Loshchilov & Hutter 2019, arXiv:1711.05101",
    ),
}


def build(
    name: str, params: Iterable[Tensor], lr: float | None = None, **settings: object
) -> torch.optim.Optimizer:
    """The optimizer called `name` over `params`; `lr` None takes the name's usual learning rate.

    `settings` go to torch's class (`momentum`, `betas`, `weight_decay`, ...). Raises
    UnknownNameError for a name not in OPTIMIZERS, UsageError for a setting torch refuses.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    entry = OPTIMIZERS[name]
    try:
        return entry.factory(
            params, lr=entry.lr if lr is None else lr, **{**dict(entry.settings), **settings}
        )
    except (TypeError, ValueError) as error:
        raise UsageError(f"optimizer {name!r}: {error}") from None


def spare_vectors(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Two parameter groups: matrices and filters decay, biases and the scales of norms do not.

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

    a = lr b, so that it starts at lr; b is the number of steps that halve it, None for a tenth of
    `steps`, after which the last step has an eleventh of lr.
    """
    b = steps / 10 if b is None else b
    return lr_scheduler.LambdaLR(optimizer, lambda step: b / (b + step))


def halve(optimizer: torch.optim.Optimizer, steps: int) -> lr_scheduler.ReduceLROnPlateau:
    """The learning rate is halved after every epoch without a new low of the validation loss.

    Source: lecture J. Its step(loss) is called once an epoch.
    """
    return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.0)


SCHEDULES = {
    "linear": linear,
    "cosine": cosine,
    "onecycle": onecycle,
    "inverse": inverse,
    "halve": halve,
}


def build_schedule(
    name: str, optimizer: torch.optim.Optimizer, steps: int
) -> lr_scheduler.LRScheduler:
    """The schedule called `name` over `steps` optimizer steps; its step() follows each of theirs
    (that of "halve" each epoch).

    Raises UnknownNameError for a name not in SCHEDULES.
    """
    if name not in SCHEDULES:
        raise UnknownNameError("schedule", name, SCHEDULES)
    return SCHEDULES[name](optimizer, steps)
