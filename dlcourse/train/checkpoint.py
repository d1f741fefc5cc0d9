"""Checkpoints: the whole state of a run in one file, and trained models with their settings."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dlcourse.errors import DataError, DlcourseError, UsageError
from dlcourse.files import atomic_path
from dlcourse.train import distributed
from dlcourse.train.history import History
from dlcourse.train.run import Callback, Run
from dlcourse.work_folder import claimed_folder

__all__ = ["NAME", "Checkpoint", "load_model", "read", "save_model", "write"]

FORMAT = 2
NAME = "checkpoint.pt"
# What a resumed run may change.
FREE = ("epochs", "patience", "min_delta")
# Schedules that do not depend on the number of epochs.
ENDLESS = (None, "halve")


class Checkpoint(Callback):
    """Writes `folder`/checkpoint.pt after every epoch, and on SIGTERM and Ctrl-C.

    resume: continue the run that `folder` holds, as if it had never stopped; start a new one if it
        holds none. The order of the batches continues exactly for every sampler whose random
        generator is one of the global ones or an attribute of the loader, its samplers, its data
        set or their transforms. The random state of worker processes that outlive an epoch
        (persistent_workers=True) cannot be restored; a line on stderr says so.

    A signal is answered after the current step: the state is written, then SIGTERM ends the
    process with status 143 and Ctrl-C raises KeyboardInterrupt. (If several processes train
    together it is answered at once, and the checkpoint of the last epoch stays.) If a file cannot
    be written, a line on stderr says so; the last complete file stays, and the next epoch tries
    again.

    Raises UsageError for a folder that another run writes into, for one that holds a run if
    `resume` is false, or another run; DataError for a checkpoint that cannot be read.
    """

    last = True

    def __init__(self, folder: str | PathLike[str], resume: bool = False) -> None:
        if not isinstance(folder, str | PathLike):
            raise UsageError(f"Checkpoint(folder) must be a path, got {folder!r}")
        if not isinstance(resume, bool):
            raise UsageError(f"resume must be True or False, got {resume!r}")
        self.path, self.resume = Path(folder) / NAME, resume
        self.caught: int | None = None
        self.proven = False
        self.handlers: dict[int, Any] = {}
        self.claim = contextlib.ExitStack()

    def on_start(self, run: Run) -> None:
        self.caught = None
        if not run.rank:
            self.claim.enter_context(claimed_folder(self.path.parent))
            for part in self.path.parent.glob(f"{NAME}.*.part"):
                part.unlink()  # half of a file, from a process that was killed
        state = read(self.path) if not run.rank and self.path.exists() else None
        if state and not self.resume:
            raise UsageError(
                f"{str(self.path.parent)!r} holds a run of {len(state['history']['epochs'])} "
                "epochs; resume it (resume=True, or --resume), or name another folder"
            )
        if getattr(run.train, "persistent_workers", False) and not run.rank:
            print(
                "dlcourse: the workers of train outlive an epoch (persistent_workers=True); a "
                "resumed run cannot restore what they draw at random",
                file=sys.stderr,
            )
        state = distributed.from_first(state)
        if state:
            check_same(state, run, self.path)
            run.load_state_dict(state)
        if threading.current_thread() is threading.main_thread() and "WORLD_SIZE" not in os.environ:
            for number in (signal.SIGTERM, signal.SIGINT):
                self.handlers[number] = signal.signal(number, self.catch)

    def catch(self, number: int, _frame: object) -> None:
        if self.caught is not None:  # the second signal is answered at once
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
        self.claim.close()

    def save(self, run: Run) -> None:
        state = run.state_dict()  # every process takes part in it
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
        """Read the first checkpoint of the run back: better to fail now than on the next day."""
        if self.proven:
            return
        try:
            read(self.path)
        except DataError:
            self.path.unlink()
            raise UsageError(
                "the state_dict of the model, the optimizer or the schedule holds something other "
                "than numbers and names, which a checkpoint cannot hold; leave that out of it, or "
                "leave the Checkpoint out"
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


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write `state` atomically; it is on the disk when this returns. Raises OSError."""
    try:
        with atomic_path(path, sync=True) as part, part.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
    except RuntimeError as error:
        # torch closes its archive, and finds it too short, after the error of the disk.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote, onto the CPU. Nothing in the file is executed. Raises DataError."""
    name = f"checkpoint {str(path)!r}"
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"cannot read {name}: {error.strerror}") from None
    try:
        with file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd pickles, which end as errors
            state = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DataError(
            f"{name} holds something other than numbers and names, which is not loaded; "
            "it is damaged, or no checkpoint of dlcourse; remove it"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{name} is truncated or damaged ({reason}); remove it") from None
    found = state.get("format") if isinstance(state, dict) else None
    if not isinstance(found, int):
        raise DataError(f"{name} is not a checkpoint of a run; remove it")
    if found != FORMAT:
        fix = "update dlcourse" if found > FORMAT else "finish it with the version that wrote it"
        raise DataError(f"{name} has format {found}, and this version reads {FORMAT}; {fix}")
    return state


def check_same(state: dict[str, Any], run: Run, path: Path) -> None:
    """Raise UsageError, which names the difference, unless `state` is that of a run like `run`."""
    then, now = state["history"], run.history
    sizes = {name: tuple(value.shape) for name, value in run.model.state_dict().items()}
    saved = {name: tuple(value.shape) for name, value in state["model"].items()}
    pairs: dict[str, tuple[Any, Any]] = {
        name: (then["config"].get(name), value)
        for name, value in now.config.items()
        if name not in FREE or (name == "epochs" and now.config["schedule"] not in ENDLESS)
    }
    steps = state.get("steps", run.steps), run.steps
    pairs |= {"seed": (then["seed"], now.seed), "number of batches": steps}
    pairs |= {"weights": (saved, sizes)}
    for name, (before, here) in pairs.items():
        if before != here:
            if name == "weights":
                odd = sorted(key for key in {**saved, **sizes} if saved.get(key) != sizes.get(key))
                before, here = (f"{odd[0]} {one.get(odd[0])}" for one in (saved, sizes))
            raise UsageError(
                f"checkpoint {str(path)!r} is of another run: {name} was {before}, now {here}; "
                "name another folder, or use the same settings"
            )
    if len(state["generators"][0]["own"]) != len(run.generators):
        raise UsageError(
            f"checkpoint {str(path)!r} is of another run: train had "
            f"{len(state['generators'][0]['own'])} random generators, now {len(run.generators)}; "
            "name another folder, or make the batches in the same way"
        )


def save_model(
    model: nn.Module,
    path: str | PathLike[str],
    config: Mapping[str, Any],
    history: History | None = None,
) -> None:
    """Write a trained model to `path`: its weights, and the `config` that builds it again.

    config: the arguments of the function that `load_model` is given, made of numbers, names, lists
        and dicts. history: is saved too, if given.

    >>> save_model(model, "lenet.pt", {"name": "lenet5", "num_classes": 10})  # doctest: +SKIP
    >>> model = load_model("lenet.pt", models.build)  # doctest: +SKIP

    The file is an ordinary `torch.load(path, weights_only=True)` file with the keys "model",
    "config" and "history". Raises UsageError if it cannot be written or read back.
    """
    path = Path(path)
    described = {"format": FORMAT, "model": model.state_dict(), "config": dict(config)}
    described["history"] = vars(history) if history is not None else None
    try:
        write(path, described)
        read(path)
    except OSError as error:
        raise UsageError(f"cannot write model {str(path)!r}: {error.strerror}") from None
    except DataError:
        path.unlink()
        raise UsageError(
            "the config of a saved model must be made of numbers, names, lists and dicts, got "
            f"{dict(config)}"
        ) from None


def load_model(path: str | PathLike[str], build: Callable[..., nn.Module]) -> nn.Module:
    """The model that `save_model` wrote, on the CPU and in eval mode.

    build: makes the model from the saved config: `models.build`, or the model's own class.

    Raises DataError for a file that is damaged, is not of `save_model`, or whose weights do not fit
    the model that `build` makes.
    """
    state = read(Path(path))
    if not isinstance(state.get("config"), dict) or "model" not in state or "step" in state:
        raise DataError(f"{str(path)!r} is not a model that save_model wrote")
    try:
        model = build(**state["config"])
        model.load_state_dict(state["model"])
    except DlcourseError:
        raise
    except (TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{str(path)!r} does not fit the model that build makes: {reason}"
        ) from None
    return model.eval()
