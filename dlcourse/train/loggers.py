"""Logs of a run: TensorBoard's, and a CSV file."""

from __future__ import annotations

import csv
import io
import itertools
from os import PathLike
from pathlib import Path
from typing import Any

from dlcourse.errors import UsageError
from dlcourse.files import write_text
from dlcourse.train.run import Callback, Run

__all__ = ["CSVLog", "TensorBoard"]


class TensorBoard(Callback):
    """Writes every column of the History to TensorBoard's logs in `folder` after each epoch.

    Raises UsageError if the package tensorboard is not installed.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UsageError(
                "TensorBoard(folder) needs the package tensorboard: pip install tensorboard"
            ) from None
        self.make_writer, self.folder = SummaryWriter, folder
        self.writer: Any = None

    def on_start(self, run: Run) -> None:
        if not run.rank:
            self.writer = self.make_writer(str(self.folder), purge_step=run.epoch)

    def on_epoch(self, run: Run) -> None:
        if self.writer:
            row = run.history.epochs[-1]
            for name, value in row.items():
                if name != "epoch":
                    self.writer.add_scalar(name, value, row["epoch"])

    def on_end(self, run: Run) -> None:
        if self.writer:
            self.writer.close()


class CSVLog(Callback):
    """Writes one row for each epoch to the CSV file `path`, with the columns of the History.

    The file is written anew after each epoch; a resumed run first writes the epochs that it
    already has. A column that an epoch lacks is empty in its row. Raises UsageError if the file
    cannot be written.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)

    def on_start(self, run: Run) -> None:
        self.write(run)

    def on_epoch(self, run: Run) -> None:
        self.write(run)

    def on_end(self, run: Run) -> None:
        self.write(run)  # with what later callbacks have added to the last row

    def write(self, run: Run) -> None:
        if run.rank:
            return
        rows, text = run.history.epochs, io.StringIO()
        writer = csv.DictWriter(text, dict.fromkeys(itertools.chain(*rows)))
        if rows:
            writer.writeheader()
        writer.writerows(rows)
        try:
            write_text(self.path, text.getvalue())
        except OSError as error:
            raise UsageError(f"cannot write log {str(self.path)!r}: {error.strerror}") from None
