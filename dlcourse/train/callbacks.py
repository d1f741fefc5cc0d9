"""What `fit` tells others while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlcourse.train.run import Run

__all__ = ["Callback"]


class Callback:
    """Called by `fit` with the Run, which holds the model, the optimizer and the History.

    Set `run.stop` to a reason and training ends after this epoch. Early stopping:

    >>> class Patience(Callback):
    ...     def __init__(self, epochs):
    ...         self.epochs = epochs
    ...
    ...     def on_epoch(self, run):
    ...         losses = run.history["val_loss"]
    ...         if len(losses) - 1 - losses.index(min(losses)) >= self.epochs:
    ...             run.stop = f"no lower loss for {self.epochs} epochs"

    Under several processes every one of them calls its own callbacks; `run.rank` is 0 in one alone.
    """

    def on_start(self, run: Run) -> None:
        """Before the first epoch, or where a resumed run goes on."""

    def on_step(self, run: Run) -> None:
        """After each batch: `run.step` batches of epoch `run.epoch` are done."""

    def on_epoch(self, run: Run) -> None:
        """After each epoch: `run.history.epochs[-1]` is its row."""

    def on_end(self, run: Run) -> None:
        """When training has ended, whether well or by an error."""
