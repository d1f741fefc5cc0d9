"""What a training run did, and everything that is needed to repeat it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from dlcourse.errors import DataError, UnknownNameError, UsageError
from dlcourse.files import write_text

__all__ = ["History"]

# JSON has no tokens for these numbers, so a file holds them as strings.
NO_JSON = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


@dataclass
class History:
    """The course of a run: one row for each epoch, and the configuration.

    epochs:  one dict for each epoch: `epoch` (from 1), `lr` (the learning rate of its first step),
             `train_loss` (mean over all targets), with validation `val_loss` and `val_<metric>`,
             and `seconds` (wall clock of training and validation).
    config:  the arguments of `fit` with every default filled in, and the model's class and number
             of parameters. `lr` and `weight_decay` are those of the optimizer.
    data:    where the data came from, in words; says so if a synthetic stand-in was used.
    best_epoch: the epoch whose weights the model holds (0: no epoch was scored).
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
        """The column `name` ("train_loss", "val_accuracy", ...), one value for each epoch.

        Raises UnknownNameError.
        """
        names = list(self.epochs[0]) if self.epochs else []
        if name not in names:
            raise UnknownNameError("column", name, names)
        return [row[name] for row in self.epochs]

    @property
    def best(self) -> dict[str, float]:
        """The row of `best_epoch`. Raises UsageError if no epoch was scored."""
        if not self.best_epoch:
            raise UsageError("no epoch was scored, so there is no best one; give val to fit")
        return self.epochs[self.best_epoch - 1]

    def save(self, path: str | PathLike[str]) -> None:
        """Write as JSON, atomically. Numbers that JSON lacks become "NaN" and "Infinity"."""
        text = json.dumps(to_json(asdict(self)), indent=2, allow_nan=False)
        write_text(Path(path), text + "\n")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> History:
        """Read what `save` wrote. Raises DataError, which names the file, for anything else."""
        try:
            saved = json.loads(Path(path).read_text(encoding="utf-8"))
            rows = saved.get("epochs", []) if isinstance(saved, Mapping) else []
            for row in rows:
                row |= {name: NO_JSON.get(value, value) for name, value in row.items()}
            return cls(**saved)
        except OSError as error:
            raise DataError(f"cannot read history {str(path)!r}: {error.strerror}") from None
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(f"{str(path)!r} is not a saved History: {error}") from None


def to_json(value: Any) -> Any:
    """`value` with numbers that JSON lacks as strings, and unknown objects by their text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(key): to_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(one) for one in value]
    return value if isinstance(value, str | int | float | None) else str(value)
