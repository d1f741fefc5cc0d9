"""What a recipe is, and how it is trained."""

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
    """Batches for training, validation and test, and the data set that they are cut from."""

    train: Any
    val: Any
    test: Any
    whole: Any


@dataclass(frozen=True)
class Recipe:
    """A model, its data and its training. The settings were chosen on validation data.

    about: what it is, and its source. expected: the result, the data, and the number of runs.
    model(splits): makes the model for the data. data: a name that `data.load` knows, or
        `data.load_text` if `text` is true.
    batches, training: arguments of `ImageData.batches` (or `TextData.batches`), and of `fit`.
    chooses: whether to keep the weights of the best epoch on validation data; else the last ones.
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
        """How many epochs it trains by default."""
        return int(self.training["epochs"])

    @property
    def metric(self) -> str:
        """The name of the score in which its result is given."""
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
        """Load the data and cut them. limit: see ImageData.batches; texts are not limited."""
        if self.text:
            text = data.load_text(self.data, data_dir, offline=offline)
            return Splits(*text.batches(**self.batches, device=device), text)
        whole = data.load(self.data, data_dir, offline=offline)
        parts = whole.batches(**self.batches, seed=seed, device=device, limit=limit)
        return Splits(*parts, whole)

    def train(self, splits: Splits, *, seed: int = 0, **changed: Any) -> tuple[nn.Module, History]:
        """Train a new model. changed: arguments of `fit` that replace those of the recipe."""
        torch.manual_seed(seed)
        model = self.model(splits)
        settings = {"seed": seed, **self.training, **changed}
        if not self.chooses:
            return model, fit(model, splits.train, **settings)
        return model, fit(model, splits.train, splits.val, metrics=self.metric, **settings)
