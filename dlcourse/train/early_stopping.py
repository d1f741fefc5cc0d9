"""When to stop, as a state machine over scores. It knows nothing of models, so not of torch."""

from __future__ import annotations

import math

from dlcourse.errors import UsageError

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Say of each epoch's score whether it is the best yet, and when to give up.

    A score improves on the best when it is better by more than `min_delta`, in the score's own
    unit, or with `relative` as a share of the best's size (so 0.01 asks -50 to become -49.5 or
    20 to become 20.2); NaN never improves. The first score is the best yet, unless a `baseline`
    is to be beaten. After `patience` epochs in a row without improvement `stop` turns true; with
    patience None it never does.

    >>> stopping = EarlyStopping(patience=2, mode="min")
    >>> [stopping.update(loss) for loss in (0.9, 0.5, 0.6, 0.7)]
    [True, True, False, False]
    >>> stopping.stop, stopping.best, stopping.best_epoch
    (True, 0.5, 2)

    Source: Prechelt 1998, "Early stopping, but when?".
    """

    def __init__(
        self,
        patience: int | None = None,
        min_delta: float = 0.0,
        mode: str = "max",
        *,
        relative: bool = False,
        baseline: float | None = None,
    ) -> None:
        if patience is not None and patience < 1:
            raise UsageError(f"patience must be at least 1 epoch (or None), got {patience}")
        if not min_delta >= 0:
            raise UsageError(f"min_delta must be at least 0, got {min_delta}")
        if mode not in ("min", "max"):
            raise UsageError(f"mode must be 'min' or 'max', got {mode!r}")
        if baseline is not None and not math.isfinite(baseline):
            raise UsageError(f"baseline must be a finite score (or None), got {baseline}")
        self.patience, self.min_delta, self.mode = patience, min_delta, mode
        self.relative = relative
        worst = math.inf if mode == "min" else -math.inf
        self.best = worst if baseline is None else baseline
        self.best_epoch = 0
        self.epoch = 0

    def update(self, score: float) -> bool:
        """Take the next epoch's score; return whether it is the best so far."""
        self.epoch += 1
        gain = self.best - score if self.mode == "min" else score - self.best
        least = self.min_delta
        if self.relative:
            least *= abs(self.best) if math.isfinite(self.best) else 0.0
        if not gain > least:  # false for NaN too
            return False
        self.best, self.best_epoch = score, self.epoch
        return True

    @property
    def stop(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.epoch - self.best_epoch >= self.patience

    def state_dict(self) -> dict[str, float | int]:
        """What `update` has changed, for `load_state_dict`."""
        return {"best": self.best, "best_epoch": self.best_epoch, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        """Go on from what `state_dict` returned."""
        self.best, self.best_epoch, self.epoch = state["best"], state["best_epoch"], state["epoch"]
