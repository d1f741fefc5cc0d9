"""When to stop training: a state machine over scores. It does not import torch."""

from __future__ import annotations

import math

from dlcourse.errors import UsageError
from dlcourse.values import is_number

__all__ = ["ROUNDING", "EarlyStopping"]

# Scores are means in float32, whose rounding depends on how the batches are cut and computed. A
# smaller share of the score than this is such rounding: it must not decide which epoch is best.
ROUNDING = 1e-6


class EarlyStopping:
    """Decide for each epoch's score whether it is the best so far, and when to give up.

    patience: stop after so many epochs in a row without improvement; None: never.
    min_delta: a score must be better than the best by more than this, in the unit of the score;
        with relative=True as a share of the best score's size (0.01 asks -50 to become -49.5).
    mode: "min" or "max", whichever is better. In `fit` leave it out for a score whose direction is
        known.
    baseline: a score that the first epoch already has to beat. Without it the first score is the
        best so far. NaN never improves.

    >>> stopping = EarlyStopping(patience=2, mode="min")
    >>> [stopping.update(loss) for loss in (0.9, 0.5, 0.6, 0.7)]
    [True, True, False, False]
    >>> stopping.stop, stopping.best, stopping.best_epoch
    (True, 0.5, 2)

    Raises UsageError for values that make no sense.
    Source: Prechelt 1998, "Early stopping, but when?".
    """

    def __init__(
        self,
        patience: int | None = None,
        min_delta: float = 0.0,
        mode: str | None = None,
        *,
        relative: bool = False,
        baseline: float | None = None,
    ) -> None:
        if patience is not None and (
            isinstance(patience, bool) or not isinstance(patience, int) or patience < 1
        ):
            raise UsageError(f"patience must be at least 1 epoch (or None), got {patience!r}")
        if not is_number(min_delta) or not min_delta >= 0:
            raise UsageError(f"min_delta must be at least 0, got {min_delta!r}")
        if mode not in (None, "min", "max"):
            raise UsageError(f"mode must be 'min' or 'max', got {mode!r}")
        if not isinstance(relative, bool):
            raise UsageError(f"relative must be True or False, got {relative!r}")
        if baseline is not None and not (is_number(baseline) and math.isfinite(baseline)):
            raise UsageError(f"baseline must be a finite score (or None), got {baseline!r}")
        self.patience, self.min_delta, self.mode = patience, min_delta, mode
        self.relative, self.baseline = relative, baseline
        worst = math.inf if mode == "min" else -math.inf
        self.best = worst if baseline is None else baseline
        self.best_epoch = 0
        self.epoch = 0

    def fresh(self, mode: str) -> EarlyStopping:
        """The same settings before the first epoch, to judge by `mode`."""
        return EarlyStopping(
            self.patience, self.min_delta, mode, relative=self.relative, baseline=self.baseline
        )

    def update(self, score: float) -> bool:
        """Take the score of the next epoch and return whether it is the best so far."""
        if self.mode is None:
            raise UsageError("EarlyStopping needs mode='min' or mode='max' to compare scores")
        self.epoch += 1
        gain = self.best - score if self.mode == "min" else score - self.best
        size = abs(self.best) if math.isfinite(self.best) else 0.0
        least = self.min_delta * size if self.relative else self.min_delta
        if not gain > max(least, ROUNDING * size):  # false for NaN too
            return False
        self.best, self.best_epoch = score, self.epoch
        return True

    @property
    def stop(self) -> bool:
        """Whether the patience is used up."""
        return self.patience is not None and self.epoch - self.best_epoch >= self.patience

    def state_dict(self) -> dict[str, float | int]:
        return {"best": self.best, "best_epoch": self.best_epoch, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        self.best = state["best"]
        self.best_epoch, self.epoch = int(state["best_epoch"]), int(state["epoch"])
