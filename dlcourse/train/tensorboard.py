"""The History as TensorBoard shows it."""

from __future__ import annotations

from os import PathLike

from dlcourse.errors import UsageError
from dlcourse.train.callbacks import Callback
from dlcourse.train.run import Run

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Writes every column of the History, and the learning rate, to `folder` after each epoch.

    Raises UsageError where the package tensorboard is not installed.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UsageError(
                "tensorboard is not installed, and tensorboard= asks for it: "
                "pip install tensorboard"
            ) from None
        self.make_writer, self.folder, self.writer = SummaryWriter, folder, None

    def on_start(self, run: Run) -> None:
        if not run.rank:
            self.writer = self.make_writer(str(self.folder), purge_step=run.epoch)

    def on_epoch(self, run: Run) -> None:
        if self.writer:
            row = {**run.history.epochs[-1], "lr": run.optimizer.param_groups[0]["lr"]}
            for name, value in row.items():
                if name != "epoch":
                    self.writer.add_scalar(name, value, row["epoch"])

    def on_end(self, run: Run) -> None:
        if self.writer:
            self.writer.close()
