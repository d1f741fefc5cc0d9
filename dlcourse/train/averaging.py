"""Averages of the weights during training, which often generalize better than the last ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from dlcourse.errors import UnknownNameError

__all__ = ["AVERAGES", "Average"]

AVERAGES = ("ema", "swa")
EMA_DECAY = 0.999
SWA_START = 0.75


class Average:
    """A second model that holds an average of the weights of `model`.

    "ema": after step t the average a becomes d a + (1 - d) w, with d = min(0.999, (1 + t) /
        (10 + t)), so that the first weights are forgotten soon (Polyak & Juditsky 1992; the ramp
        is TensorFlow's).
    "swa": the mean of the weights at the ends of the epochs in the last quarter of training;
        before that the weights themselves (Izmailov et al. 2018, arXiv:1803.05407).

    Buffers of floats, such as the running statistics of batch norm, are averaged in the same way;
    those of whole numbers and truth values, such as indices and masks, are copied.

    Raises UnknownNameError for another name.
    """

    def __init__(self, name: str, model: nn.Module, epochs: int) -> None:
        if name not in AVERAGES:
            raise UnknownNameError("average", name, AVERAGES)
        self.name, self.source, self.count = name, model, 0
        self.first_epoch = int(SWA_START * epochs) + 1
        self.averaged = AveragedModel(model, use_buffers=True)

    @property
    def model(self) -> nn.Module:
        """The averaged model."""
        return self.averaged.module

    def on_step(self) -> None:
        if self.name == "ema":
            self.count += 1
            decay = min(EMA_DECAY, (1 + self.count) / (10 + self.count))
            self.update(get_ema_multi_avg_fn(decay))

    def on_epoch(self, epoch: int) -> None:
        if self.name == "swa":
            if epoch <= self.first_epoch:
                self.averaged.n_averaged.zero_()  # the next update copies
            self.update(get_swa_multi_avg_fn())

    def update(self, average: Callable[..., None]) -> None:
        def average_floats(kept: Any, current: Any, count: Any) -> None:
            if kept[0].is_floating_point() or kept[0].is_complex():
                average(kept, current, count)
            else:  # rounding would turn indices into others
                torch._foreach_copy_(kept, current)

        self.averaged.multi_avg_fn = average_floats
        self.averaged.update_parameters(self.source)

    def state_dict(self) -> dict[str, Any]:
        return {"count": torch.tensor(self.count), "averaged": self.averaged.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = int(state["count"])
        self.averaged.load_state_dict(state["averaged"])
