"""The settings of a run, and the environment it runs in.

`parse` turns the flat names that users type into a `RunSettings` once, when a grid is expanded;
the object then travels to the process that trains.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import math
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import torch

from dlcourse import init, models, optim, runtime
from dlcourse.compare.result import key_of, plain
from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.train import (
    METRICS,
    CrossEntropy,
    EarlyStopping,
    Execution,
    Gradients,
    fit,
)

__all__ = [
    "AUTO",
    "Environment",
    "RunSettings",
    "SplitSettings",
    "check_number",
    "model_parameters",
    "parse",
    "parse_values",
]


@dataclass(frozen=True)
class Environment:
    """Where runs happen; one object from the command line to the worker.

    data_dir, offline: as for `dlcourse.data.load`. device: "cpu", "cuda", ..., or None for the
        best one here. threads: torch's threads in each process.
    jobs: the number of local processes; with 1 the runs happen in this process. executor: where
        the runs are submitted instead.
    synthetic: whether the study's data are the synthetic stand-in; None until they are loaded.
    """

    data_dir: str | None = None
    offline: bool = False
    device: str | None = None
    threads: int | None = None
    jobs: int = 1
    executor: Executor | None = None
    synthetic: bool | None = None

    def resolve(self) -> Environment:
        """Return a copy with a device and a number of threads.

        Raises UsageError for a device that is not available, or fewer than one thread or job.
        """
        for name, value in (("jobs", self.jobs), ("threads", self.threads)):
            if value is not None:
                check_number(name, value, least=1, whole=True)
        threads = self.threads
        if threads is None and self.jobs > 1:
            threads = max(1, (os.cpu_count() or 1) // self.jobs)
        device = str(runtime.pick_device(self.device))
        return dataclasses.replace(self, device=device, threads=threads)

    def for_worker(self) -> Environment:
        """Return what a worker needs, which can be pickled."""
        return dataclasses.replace(self, executor=None)


@dataclass(frozen=True)
class SplitSettings:
    """How a run cuts and batches its data.

    limit: at most this many training images, and test images. train_size: at most this many of
    the training images that are left after validation is cut off. random_labels: the share of
    training labels that are drawn at random. val_fraction, normalize, drop_last: as for
    `ImageData.batches`.
    """

    batch_size: int = 64
    limit: int | None = None
    train_size: int | None = None
    random_labels: float = 0.0
    val_fraction: float = 0.1
    normalize: str = "channel"
    drop_last: bool = False


@dataclass(frozen=True)
class RunSettings:
    """The parsed settings of one run.

    values: the settings as the user gave them; they identify the run.
    model_arguments, fit_arguments: what the model and `fit` take, without defaults.
    keep: whether the weights of the "best" or of the "last" epoch are kept and scored.
    train_scores: whether the kept weights are also scored on the training data.
    """

    values: dict[str, Any]
    model: str
    data: str
    init: str = "default"
    keep: str = "best"
    train_scores: bool = False
    seed: int = 0
    splits: SplitSettings = SplitSettings()
    model_arguments: dict[str, Any] = field(default_factory=dict)
    fit_arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A short name of the run, which does not depend on the order of the settings."""
        return key_of(self.values)

    def fit_setting(self, name: str) -> Any:
        """The value of an argument of `fit`: the given one, else the default."""
        value = self.fit_arguments.get(name, FIT[name])
        if name == "mode" and value is None:
            monitor = self.fit_setting("monitor")
            value = "min" if monitor == "loss" else METRICS[monitor].mode
        return value

    @property
    def fit_objects(self) -> dict[str, Any]:
        """The given arguments as `fit` takes them: clip_norm=1 within gradients=Gradients(1)."""
        given = dict(self.fit_arguments)
        for argument, (make, names) in OBJECTS.items():
            parts = {name: given.pop(name) for name in names if name in given}
            if parts:
                given[argument] = make(**parts)
        return given

    def replace(self, **changes: Any) -> RunSettings:
        """Return these settings with other values for some arguments of `fit`."""
        return dataclasses.replace(
            self,
            values={**self.values, **changes},
            fit_arguments={**self.fit_arguments, **changes},
        )

    def used(self, model_arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Every setting that is in force, defaults included.

        model_arguments: what the model is built with, sizes from the data included.
        """
        defaults = {**model_parameters(self.model), **FIT, **dataclasses.asdict(self.splits)}
        given = {**model_arguments, **self.fit_arguments}
        used = {
            "model": self.model, "data": self.data, "init": self.init, "keep": self.keep,
            "seed": self.seed, **defaults, **given,
        }  # fmt: skip
        optimizer = optim.build(used["optimizer"], [torch.zeros(1, requires_grad=True)])
        for name in ("lr", "weight_decay"):
            if used[name] is None:
                used[name] = optimizer.defaults.get(name)
        used["mode"] = self.fit_setting("mode")
        fields: dict[str, Any] = plain(used)
        return fields

    def without(self, *names: str) -> dict[str, Any]:
        """The values except for `names`; runs that differ in these alone agree in the rest."""
        return {name: value for name, value in self.values.items() if name not in names}


# Arguments of `fit` that no setting may change: a study decides them itself.
DECIDED = (
    "model", "train", "val", "loss", "seed", "device", "progress", "callbacks", "early_stopping",
    "gradients", "execution",
)  # fmt: skip
# Settings that `fit` takes as parts of an object.
OBJECTS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "early_stopping": (EarlyStopping, ("patience", "min_delta", "mode", "relative", "baseline")),
    "gradients": (Gradients, ("accumulate", "clip_norm", "clip_value")),
    "execution": (
        Execution, ("channels_last", "fused", "bf16", "compile", "deterministic"),
    ),
    "loss": (CrossEntropy, ("label_smoothing",)),
}  # fmt: skip
FIT: dict[str, Any] = {
    name: parameter.default
    for name, parameter in inspect.signature(fit).parameters.items()
    if name not in DECIDED
}
FIT |= {
    name: inspect.signature(make).parameters[name].default
    for make, names in OBJECTS.values()
    for name in names
}
# What `fit` takes by itself for a classifier.
FIT |= {"metrics": ("accuracy",), "monitor": "accuracy"}
SPLITS = tuple(one.name for one in dataclasses.fields(SplitSettings))
# "search" only says which method a run belongs to.
OWN = ("model", "data", "init", "keep", "train_scores", "seed", "search")
KEEP = ("best", "last")
AUTO = "auto"  # the value of lr that asks for a search
SHORTHAND = ("depth", "width")  # of hidden_sizes

# What the value of a setting must be. A setting whose default is None may also be None.
WHOLE_NUMBERS = {
    "epochs": 1, "batch_size": 1, "seed": 0, "patience": 1, "accumulate": 1, "limit": 20,
    "train_size": 1,
}  # fmt: skip
NUMBERS = {
    "lr": (0, math.inf), "weight_decay": (0, math.inf), "min_delta": (0, math.inf),
    "clip_norm": (0, math.inf), "clip_value": (0, math.inf), "random_labels": (0, 1),
    "val_fraction": (0, 1), "label_smoothing": (0, 1), "baseline": (-math.inf, math.inf),
}  # fmt: skip
CHOICES: dict[str, Iterable[str]] = {
    "optimizer": optim.OPTIMIZERS, "schedule": optim.SCHEDULES, "keep": KEEP,
    "mode": ("min", "max"), "monitor": ("loss", *METRICS), "average": ("ema", "swa"),
    "normalize": ("channel", "pixel", "none"),
}  # fmt: skip


def parse(values: Mapping[str, Any]) -> RunSettings:
    """Sort the settings of a run by who takes them, and check each value.

    `depth` and `width` stand for `hidden_sizes` if the model takes that and not them.

    Raises UnknownNameError for a name that nothing takes, UsageError for a wrong value.
    """
    takes = model_parameters(values["model"])
    groups: dict[str, dict[str, Any]] = {"own": {}, "splits": {}, "fit": {}, "model": {}}
    hidden: dict[str, Any] = {}
    for name, value in values.items():
        if name in OWN:
            group = groups["own"]
        elif name in SPLITS:
            group = groups["splits"]
        elif name in FIT:
            group = groups["fit"]
        elif name in takes:
            group = groups["model"]
        elif name in SHORTHAND and "hidden_sizes" in takes:
            group = hidden
        else:
            shorthand = SHORTHAND if "hidden_sizes" in takes else ()
            known = dict.fromkeys([*OWN, *FIT, *SPLITS, *shorthand, *takes])
            raise UnknownNameError(f"axis for model {values['model']!r}:", name, known)
        check_value(name, value, takes.get(name))
        if name == "metrics" and isinstance(value, str):
            value = (value,)
        group[name] = tuple(value) if isinstance(value, list) else value
    if hidden:
        if "hidden_sizes" in values:
            raise UsageError(f"give hidden_sizes or {next(iter(hidden))}, not both")
        groups["model"]["hidden_sizes"] = (hidden.get("width", 128),) * hidden.get("depth", 1)
    groups["own"].pop("search", None)
    return RunSettings(
        dict(values),
        **groups["own"],
        splits=SplitSettings(**groups["splits"]),
        model_arguments=groups["model"],
        fit_arguments=groups["fit"],
    )


def check_value(name: str, value: Any, default: Any) -> None:
    """Raise UsageError if a setting cannot have this value.

    default: the default of an argument of a model, whose type the value must have.
    """
    if name in SPLITS:
        default = getattr(SplitSettings, name)
    elif name in FIT:
        default = FIT[name]
    if name == "init":
        init.parse(value)
    elif (value is None and default is None) or (name == "lr" and value == AUTO):
        pass  # the default, or a search for the learning rate
    elif name in WHOLE_NUMBERS:
        check_number(name, value, WHOLE_NUMBERS[name], whole=True)
    elif name in NUMBERS:
        check_number(name, value, *NUMBERS[name])
    elif name in SHORTHAND:
        check_number(name, value, least=int(name == "width"), whole=True)
    elif name in CHOICES:
        if value not in CHOICES[name]:
            raise UnknownNameError(name, str(value), CHOICES[name])
    elif isinstance(default, bool) and not isinstance(value, bool):
        raise UsageError(f"{name} must be true or false, got {value!r}")
    elif type(default) is int:
        check_number(name, value, whole=True)
    elif isinstance(default, float):
        check_number(name, value)


def check_number(
    name: str, value: Any, least: float = -math.inf, most: float = math.inf, whole: bool = False
) -> None:
    """Raise UsageError unless `value` is a finite number from `least` to `most`."""
    types = int if whole else int | float
    number = isinstance(value, types) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not least <= value <= most:
        kind = "a whole number" if whole else "a number"
        limits = f" of at least {least}" if least > -math.inf else ""
        if most < math.inf:
            limits = f" from {least} to {most}"
        raise UsageError(f"{name} must be {kind}{limits}, got {value!r}")


@functools.cache
def model_parameters(name: str) -> dict[str, Any]:
    """The arguments of a model with their defaults. Raises UnknownNameError."""
    if name not in models.MODELS:
        raise UnknownNameError("model", name, models.MODELS)
    parameters = inspect.signature(models.MODELS[name].builder).parameters
    return {
        name: None if one.default is inspect.Parameter.empty else one.default
        for name, one in parameters.items()
    }


def parse_value(text: str) -> Any:
    """A value as typed on a command line: 3, 0.1, true, none, 256x128 (a tuple), or a word."""
    words = {"true": True, "false": False, "none": None}
    sizes = text.split("x")
    value: Any = text
    if text.lower() in words:
        value = words[text.lower()]
    elif len(sizes) > 1 and all(size.isdigit() for size in sizes):
        value = tuple(map(int, sizes))
    else:
        try:
            literal = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            literal = text
        if isinstance(literal, int | float):
            value = literal
    return value


def parse_values(text: str) -> list[Any]:
    """Values as typed on a command line, with commas between them."""
    return [parse_value(part.strip()) for part in text.split(",") if part.strip()]
