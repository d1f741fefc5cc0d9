"""Checkpoints: the whole state of a run in one file, so that nothing ends it for good."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import signal
import sys
import threading
import warnings
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from dlcourse.errors import DataError, UsageError
from dlcourse.train import distributed
from dlcourse.train.callbacks import Callback
from dlcourse.train.run import Run

__all__ = ["Checkpoint", "read", "write"]

FORMAT = 1
NAME = "checkpoint.pt"
# What a resumed run may do otherwise than the run that was stopped.
FREE = ("epochs", "patience", "min_delta")
# Schedules that do not depend on how many epochs there will be.
ENDLESS = (None, "halve")


class Checkpoint(Callback):
    """Writes `folder`/checkpoint.pt after every epoch, and on SIGTERM and Ctrl-C.

    A signal is answered after the step in progress: the state is written, then SIGTERM ends the
    process with status 143 and Ctrl-C raises KeyboardInterrupt. (Among several processes it is
    answered at once, and the last epoch's checkpoint stands.) A file that cannot be written is
    said on stderr; the last whole one stays, and the next epoch tries again.

    Raises UsageError for a folder that another run writes into, for one that holds a run where
    `resume` is false, or another run; DataError for a checkpoint that cannot be read.
    """

    def __init__(self, folder: str | PathLike[str], resume: bool = False) -> None:
        self.path, self.resume = Path(folder) / NAME, resume
        self.caught: int | None = None
        self.proven = False
        self.handlers: dict[int, Any] = {}

    def on_start(self, run: Run) -> None:
        self.lock = contextlib.nullcontext() if run.rank else claim(self.path.parent)
        state = read(self.path) if not run.rank and self.path.exists() else None
        if state and not self.resume:
            raise UsageError(
                f"{str(self.path.parent)!r} holds a run of {len(state['history']['epochs'])} "
                "epochs; resume it (resume=True, or --resume), or name another folder"
            )
        state = distributed.from_first(state)
        if state:
            check_same(state, run, self.path)
            run.load_state_dict(state)
        if threading.current_thread() is threading.main_thread() and "WORLD_SIZE" not in os.environ:
            for number in (signal.SIGTERM, signal.SIGINT):
                self.handlers[number] = signal.signal(number, self.catch)

    def catch(self, number: int, _frame: object) -> None:
        if self.caught is not None:  # asked twice: at once
            raise KeyboardInterrupt
        self.caught = number

    def on_step(self, run: Run) -> None:
        if self.caught is not None:
            self.save(run)
            self.answer(run)

    def on_epoch(self, run: Run) -> None:
        self.save(run)
        if self.caught is not None:
            self.answer(run)

    def on_end(self, run: Run) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        if hasattr(self, "lock") and not run.rank:
            self.lock.release()

    def save(self, run: Run) -> None:
        state = run.state_dict()  # all ranks have a part in it
        if run.rank:
            return
        try:
            write(self.path, state)
        except OSError as error:
            print(
                f"dlcourse: cannot write checkpoint {str(self.path)!r}: {error.strerror}; "
                "the one before it stays, and training goes on",
                file=sys.stderr,
            )
        else:
            self.prove()

    def prove(self) -> None:
        """Read the run's first checkpoint back: better to hear of it now than on the next day."""
        if self.proven:
            return
        try:
            read(self.path)
        except DataError:
            self.path.unlink()
            raise UsageError(
                "the state_dict of the model, the optimizer or the schedule holds something other "
                "than numbers and names, which no checkpoint can: leave that, or checkpoint, out"
            ) from None
        self.proven = True

    def answer(self, run: Run) -> None:
        where = f"epoch {run.epoch}, batch {run.step}" if run.step else f"epoch {run.epoch - 1}"
        print(
            f"\ndlcourse: stopped after {where}; the same command with resume goes on from "
            f"{str(self.path)!r}",
            file=sys.stderr,
        )
        if self.caught == signal.SIGTERM:
            sys.exit(128 + signal.SIGTERM)
        raise KeyboardInterrupt


def write(path: Path, state: dict[str, Any]) -> None:
    """Write `state`, whole or not at all, and on the disk when this returns. Raises OSError."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def read(path: Path) -> dict[str, Any]:
    """What `write` wrote, on the CPU; nothing in it is ever executed. Raises DataError."""
    name = f"checkpoint {str(path)!r}"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {name}: {error.strerror}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles: they end as errors
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DataError(
            f"{name} holds something other than numbers and names, which is not loaded; "
            "it is damaged, or not ours: remove it"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{name} is truncated or damaged ({reason}); remove it") from None
    found = state.get("format") if isinstance(state, dict) else None
    if not isinstance(found, int):
        raise DataError(f"{name} is not a checkpoint of a run; remove it")
    if found > FORMAT:
        raise DataError(
            f"{name} has format {found}, this version reads up to {FORMAT}; update dlcourse"
        )
    return state


def check_same(state: dict[str, Any], run: Run, path: Path) -> None:
    """Raise UsageError, naming what differs, unless `state` is of a run like `run`."""
    then, now = state["history"], run.history
    sizes = {name: tuple(value.shape) for name, value in run.model.state_dict().items()}
    saved = {name: tuple(value.shape) for name, value in state["model"].items()}
    pairs = {
        name: (then["config"].get(name), value)
        for name, value in now.config.items()
        if name not in FREE or (name == "epochs" and now.config["schedule"] not in ENDLESS)
    }
    pairs |= {"seed": (then["seed"], now.seed), "weights": (saved, sizes)}
    for name, (before, here) in pairs.items():
        if before != here:
            if name == "weights":
                odd = sorted(key for key in {**saved, **sizes} if saved.get(key) != sizes.get(key))
                before, here = (f"{odd[0]} {one.get(odd[0])}" for one in (saved, sizes))
            raise UsageError(
                f"checkpoint {str(path)!r} is of another run: {name} was {before}, now {here}; "
                "name another folder, or start as then"
            )


def claim(folder: Path) -> FileLock:
    """Lock `folder`, made where it is missing. Raises UsageError where another run has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"another run writes into {str(folder)!r}; wait for it, or name another folder"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot write into {str(folder)!r}: {error.strerror}") from None
    return lock
