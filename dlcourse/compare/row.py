"""What one run gave."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["STATUSES", "Row", "key_of"]

STATUSES = ("done", "diverged", "failed", "died")


@dataclass
class Row:
    """One run: its settings and what came of them.

    status: "done"; "diverged" where the loss turned NaN or infinite (the scores are then those of
        the best weights before that, or of the first ones); "failed" where it raised an error;
        "died" where its process did. The last two have no scores.
    scores: `val_loss`, `val_accuracy`, ... of the weights that were kept, `test_...` of the same,
        `train_loss` of the last epoch as it was trained on; where `train_scores` was asked for,
        `train_loss`, `train_accuracy`, ... of the weights that were kept, in eval mode.
    epochs: the learning curve, a dict an epoch, as in `History`.
    seconds: wall clock of the run; its share of it where `together` runs trained as one model.
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
    message: str = ""

    @property
    def scored(self) -> bool:
        """Whether there are scores."""
        return self.status in ("done", "diverged")

    def as_json(self) -> dict[str, Any]:
        """Every field, with NaN and infinities as null: JSON has none."""
        return clean(asdict(self))

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Row:
        """What `as_json` wrote; null scores are NaN again."""
        row = cls(**saved)
        row.scores = {k: math.nan if v is None else v for k, v in row.scores.items()}
        row.epochs = [{k: math.nan if v is None else v for k, v in e.items()} for e in row.epochs]
        return row


def clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def key_of(settings: Mapping[str, Any]) -> str:
    """A name for `settings` that does not depend on their order."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
