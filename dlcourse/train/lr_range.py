"""The learning-rate range test: which learning rates train a model at all?"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dlcourse.errors import UsageError
from dlcourse.train.checks import check_batches
from dlcourse.train.losses import Loss, cross_entropy
from dlcourse.train.prepare import prepare
from dlcourse.train.run import Run, call, same_generators
from dlcourse.values import check_whole, is_number

__all__ = ["LRRange", "lr_range_test"]

SMOOTHING = 0.9
# The test ends when the smoothed loss is above the lowest one by so many times its size.
BLOWN_UP = 3.0


@dataclass(frozen=True)
class LRRange:
    """The loss at growing learning rates.

    lrs, losses: one for each step; the losses are smoothed. suggestion: a tenth of the learning
    rate with the lowest loss, since beyond that one the loss grows.
    """

    lrs: list[float]
    losses: list[float]

    @property
    def suggestion(self) -> float:
        return self.lrs[self.losses.index(min(self.losses))] / 10


def lr_range_test(
    model: nn.Module,
    train: Any,
    *,
    loss: Loss = cross_entropy,
    optimizer: str = "adam",
    weight_decay: float | None = None,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> LRRange:
    """Train a copy of `model` while the learning rate grows exponentially.

    The copy makes at most `steps` steps with learning rates from `lowest` to `highest`; the test
    ends early when the loss blows up. The model and every random generator stay as they were.
    `dlcourse.plots.lr_range` draws the result. The other arguments are those of `fit`.

    Raises UsageError for arguments that make no sense, and what `fit` raises for its arguments.
    Source: Smith 2017, "Cyclical learning rates", arXiv:1506.01186, section 3.3.
    """
    check_whole(3, steps=steps)
    check_batches("train", train)
    if not (is_number(lowest) and is_number(highest) and 0 < lowest < highest < math.inf):
        raise UsageError(
            f"lowest and highest must be numbers with 0 < lowest < highest, got {lowest!r} and "
            f"{highest!r}"
        )
    if not isinstance(optimizer, str):
        raise UsageError(f"lr_range_test takes the name of an optimizer, got {optimizer!r}")
    lrs: list[float] = []
    losses: list[float] = []
    smoothed = 0.0
    with same_generators(train):
        run = prepare(
            copy.deepcopy(model), train, None, epochs=math.ceil(steps / len(train)),
            loss=loss, optimizer=optimizer, lr=lowest, weight_decay=weight_decay, seed=seed,
            device=device, progress=False,
        )  # fmt: skip
        for step, value in enumerate(
            itertools.islice(losses_of(run, train, lowest, highest, steps), steps)
        ):
            smoothed = SMOOTHING * smoothed + (1 - SMOOTHING) * value
            corrected = smoothed / (1 - SMOOTHING ** (step + 1))
            lowest_loss = min([corrected, *losses])
            if not math.isfinite(value) or corrected - lowest_loss > BLOWN_UP * abs(lowest_loss):
                break
            lrs.append(lowest * (highest / lowest) ** (step / (steps - 1)))
            losses.append(corrected)
    if len(losses) < 2:
        raise UsageError(f"the loss blows up at once; start lower than lowest={lowest:g}")
    return LRRange(lrs, losses)


def losses_of(run: Run, train: Any, lowest: float, highest: float, steps: int) -> Iterator[float]:
    """The loss of each step, each with a larger learning rate."""
    step = 0
    while step < steps:
        run.start_epoch()
        with run.explained():
            for inputs, targets in run.remaining(train):
                for group in run.optimizer.param_groups:
                    group["lr"] = lowest * (highest / lowest) ** (step / (steps - 1))
                loss = run.loss(call(run.net, inputs), targets)
                yield loss.item()
                run.backward(loss)
                run.step_optimizer()
                step += 1
