"""What a recipe is, and how one is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from dlcourse import data
from dlcourse.train import History, fit

__all__ = ["Recipe", "Splits"]


@dataclass(frozen=True)
class Splits:
    """Batches to train on, to validate on and to test on, and what they are cut from."""

    train: Any
    val: Any
    test: Any
    whole: data.ImageData | data.TextData


@dataclass(frozen=True)
class Recipe:
    """A model, its data and its training, with settings that were chosen on validation data.

    about: what it is and where it is from. expected: what it reached, on what, how often.
    model(splits) -> the model, for its data. data: a name of `data.load`, or of `data.load_text`.
    batches, training: arguments of its `batches`, and of `fit`.
    chooses: whether the weights are those of the best epoch on validation data, else the last.
    """

    about: str
    expected: str
    model: Callable[[Splits], nn.Module]
    data: str
    training: Mapping[str, Any]
    batches: Mapping[str, Any] = field(default_factory=dict)
    text: bool = False
    chooses: bool = True

    @property
    def epochs(self) -> int:
        return self.training["epochs"]

    @property
    def metric(self) -> str:
        """What its result is given in."""
        return "perplexity" if self.text else "accuracy"

    def splits(
        self,
        data_dir: str | None = None,
        *,
        offline: bool = False,
        seed: int = 0,
        device: str | torch.device = "cpu",
        limit: int | None = None,
    ) -> Splits:
        """The data, loaded and cut. limit: see ImageData.batches; of a text it is no matter."""
        if self.text:
            whole = data.load_text(self.data, data_dir, offline=offline)
            return Splits(*whole.batches(**self.batches, device=device), whole)
        whole = data.load(self.data, data_dir, offline=offline)
        parts = whole.batches(**self.batches, seed=seed, device=device, limit=limit)
        return Splits(*parts, whole)

    def train(self, splits: Splits, *, seed: int = 0, **changed: Any) -> tuple[nn.Module, History]:
        """A new model, trained. changed: arguments of `fit` that shall be otherwise."""
        torch.manual_seed(seed)
        model = self.model(splits)
        metrics = {"metrics": (self.metric,), "monitor": self.metric}
        metrics |= {"mode": "min" if self.text else "max"}
        settings = {"seed": seed, **metrics, **self.training, **changed}
        val = splits.val if self.chooses else None
        return model, fit(model, splits.train, val, **settings)
