"""What a training run did, and everything that is needed to repeat it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from dlcourse.errors import DataError, UnknownNameError, UsageError

__all__ = ["History"]


@dataclass
class History:
    """One row an epoch, with the run's configuration beside it.

    epochs:  a dict an epoch: `epoch` (from 1), `train_loss`, `val_loss` and `val_<metric>` where
             there was validation, `seconds` (training and validation, wall clock).
    config:  the arguments of `fit`, and the model's class and number of parameters.
    data:    where the data came from, in words; names the stand-in where one was used.
    best_epoch: the epoch whose weights the model holds (0: none was scored).
    stopped: why training ended early, else None.
    """

    config: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    device: str = ""
    data: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    stopped: str | None = None

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, name: str) -> list[float]:
        """The column `name` ("train_loss", "val_accuracy", "seconds", ...), one value an epoch."""
        names = list(self.epochs[0]) if self.epochs else []
        if name not in names:
            raise UnknownNameError("column", name, names)
        return [row[name] for row in self.epochs]

    @property
    def best(self) -> dict[str, float]:
        """The row of `best_epoch`."""
        if not self.best_epoch:
            raise UsageError("no epoch was scored: there is no best one")
        return self.epochs[self.best_epoch - 1]

    def plot(self, path: str | PathLike[str] | None = None):
        """Draw the learning curves; see `dlcourse.plots.learning_curves`."""
        from dlcourse import plots

        return plots.learning_curves(self, path)

    def save(self, path: str | PathLike[str]) -> None:
        """Write as JSON, whole or not at all."""
        path = Path(path)
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        part.replace(path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> History:
        """Read what `save` wrote. Raises DataError, naming the file, for anything else."""
        try:
            return cls(**json.loads(Path(path).read_text(encoding="utf-8")))
        except OSError as error:
            raise DataError(f"cannot read history {str(path)!r}: {error.strerror}") from None
        except (ValueError, TypeError) as error:
            raise DataError(f"{str(path)!r} is not a saved History: {error}") from None
