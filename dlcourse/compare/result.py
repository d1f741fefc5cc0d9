"""The result of one run, and how results are grouped."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dlcourse.models import MODELS
from dlcourse.train.early_stopping import ROUNDING

__all__ = ["Result", "cells", "is_language_model", "key_of", "plain", "ranked"]

LOWER_IS_BETTER = ("loss", "mse", "mae", "perplexity")


@dataclass
class Result:
    """What one run gave.

    settings: the settings as the user gave them. used: every setting that was in force, defaults
        included; `lr` is the learning rate really used.
    status: "done"; "diverged" if the loss became NaN or infinite (the scores are then those of the
        weights kept before that, or of the initial ones); "failed" if the run raised an error;
        "died" if its process ended. The last two have no scores.
    scores: `val_loss`, `val_accuracy`, ... and `test_loss`, ... of the weights that were kept;
        `train_loss` of the last epoch as measured while training. With `train_scores`,
        `train_loss`, `train_accuracy`, ... are those of the kept weights in eval mode.
    epochs: the learning curve, one dict for each epoch, as in `History`.
    best_epoch: the epoch whose weights were kept (0: the initial weights, or the last ones).
    parameters: the number of trained numbers in the model.
    seconds: wall clock of the run; if several runs trained `together` as one model, its share.
    data: where the data came from. test_size: how many test samples the scores are means over; 0
        if it is not recorded. message: why the run did not end well.
    """

    settings: dict[str, Any]
    status: str
    scores: dict[str, float] = field(default_factory=dict)
    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    parameters: int = 0
    seconds: float = 0.0
    together: int = 1
    data: str = ""
    test_size: int = 0
    message: str = ""
    used: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A short name of the run, which does not depend on the order of the settings."""
        return key_of(self.settings)

    @property
    def monitor(self) -> str:
        """The score that decides which epoch is best."""
        usual = "perplexity" if is_language_model(self.settings.get("model")) else "accuracy"
        return str(self.settings.get("monitor") or usual)

    @property
    def lower_is_better(self) -> bool:
        """Whether a lower value of `monitor` is better."""
        usual = "min" if self.monitor in LOWER_IS_BETTER else "max"
        return (self.used.get("mode") or self.settings.get("mode") or usual) == "min"

    @property
    def lr(self) -> float | None:
        """The learning rate that was used."""
        return self.used.get("lr", self.settings.get("lr"))

    @property
    def quality(self) -> float:
        """The monitored validation score, signed so that more is better; -inf without one."""
        value = self.scores.get(f"val_{self.monitor}", math.nan)
        if self.status != "done" or math.isnan(value):
            value = -math.inf
        elif self.lower_is_better:
            value = -value
        return value

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Result:
        """The result that `plain` turned into `saved`; a score of null is NaN again."""
        result = cls(**saved)
        for scores in (result.scores, *result.epochs):
            scores |= {name: math.nan for name, value in scores.items() if value is None}
        return result


def is_language_model(name: Any) -> bool:
    """Whether the model called `name` predicts the next token of a text."""
    return name in MODELS and MODELS[name].kind == "language model"


def plain(value: Any) -> Any:
    """`value` in JSON's types; NaN and infinities, which JSON does not have, become null."""
    if isinstance(value, Result):
        value = asdict(value)
    if isinstance(value, Mapping):
        value = {str(key): plain(item) for key, item in value.items()}
    elif isinstance(value, list | tuple):
        value = [plain(item) for item in value]
    elif isinstance(value, float) and not math.isfinite(value):
        value = None
    return value


def key_of(settings: Mapping[str, Any]) -> str:
    """A short name of `settings`, which does not depend on their order."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def cells(runs: Iterable[Mapping[str, Any]], without: Sequence[str]) -> dict[str, list[int]]:
    """Positions in `runs` of the runs that agree in all settings except `without`."""
    found: dict[str, list[int]] = {}
    for position, run in enumerate(runs):
        key = repr({name: value for name, value in run.items() if name not in without})
        found.setdefault(key, []).append(position)
    return found


def ranked(scores: Sequence[float]) -> list[int]:
    """Positions in `scores`, the highest score first.

    Scores that differ from the highest one left by rounding only count as equal to it, as in
    EarlyStopping, and keep their order.
    """
    left = sorted(range(len(scores)), key=lambda i: -scores[i])
    found: list[int] = []
    while left:
        top = scores[left[0]]
        equal = [i for i in left if scores[i] >= top - ROUNDING * abs(top)]
        found += sorted(equal)
        left = left[len(equal) :]
    return found
