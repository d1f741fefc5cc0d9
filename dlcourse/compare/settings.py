"""The settings of a run, and the environment it runs in.

`parse` turns the flat names that users type into a `RunSettings` once, when a grid is expanded;
the object then travels to the process that trains.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import inspect
import math
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from dlcourse import init, models, optim, runtime
from dlcourse.compare.result import is_language_model, key_of
from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.train import METRICS, CrossEntropy, EarlyStopping, Execution, Gradients, fit

__all__ = [
    "AUTO", "FIT", "OBJECTS", "ONLY_IMAGES", "ONLY_TEXT", "Environment", "RunSettings",
    "SplitSettings", "check_number", "model_parameters", "parse", "parse_values",
]  # fmt: skip


@dataclass(frozen=True)
class Environment:
    """Where runs happen; one object from the command line to the worker.

    data_dir, offline: as for `dlcourse.data.load`. device: "cpu", "cuda", ..., or None for the
        best one here. threads: torch's threads in each process; None divides the cores by `jobs`.
    jobs: the number of local processes; with 1 the runs happen in this process. executor: where
        the runs are submitted instead.
    synthetic: whether the study's data are the synthetic stand-in; None until they are loaded.

    Raises UsageError for a device that is not available, or fewer than one thread or job.
    """

    data_dir: str | None = None
    offline: bool = False
    device: str | None = None
    threads: int | None = None
    jobs: int = 1
    executor: Executor | None = None
    synthetic: bool | None = None

    def __post_init__(self) -> None:
        for name, value in (("jobs", self.jobs), ("threads", self.threads)):
            if value is not None:
                check_number(name, value, least=1, whole=True)
        # The class is frozen, so its own fields can only be set this way.
        object.__setattr__(self, "device", str(runtime.pick_device(self.device)))
        if self.threads is None and self.jobs > 1:
            object.__setattr__(self, "threads", max(1, (os.cpu_count() or 1) // self.jobs))


@dataclass(frozen=True)
class SplitSettings:
    """How a run cuts and batches its data.

    Images:
    limit: at most this many training images, and test images. train_size: at most this many of
    the training images that are left after validation is cut off. random_labels: the share of
    training labels that are drawn at random. val_fraction, normalize, drop_last: as for
    `ImageData.batches`. Texts: limit: at most this many tokens of each split. bptt: as for
    `TextData.batches`. max_size: at most this many words in the vocabulary, as for `load_text`.
    batch_size: None takes 64 images, or 20 rows of a text.
    """

    batch_size: int | None = None
    limit: int | None = None
    bptt: int = 35
    max_size: int | None = None
    train_size: int | None = None
    random_labels: float = 0.0
    val_fraction: float = 0.1
    normalize: str = "channel"
    drop_last: bool = False


@dataclass(frozen=True)
class RunSettings:
    """The parsed settings of one run.

    values: the settings as the user gave them. key: a short name made of them.
    keep: whether the weights of the "best" or of the "last" epoch are kept and scored.
    train_scores: whether the kept weights are also scored on the training data. max_seconds: a run
    ends before the epoch that would exceed so much time of training; the first one always runs.
    model_arguments: what the model takes, without defaults. fit: what `fit` takes, with defaults.
    """

    values: dict[str, Any]
    key: str
    model: str
    data: str
    init: str = "default"
    keep: str = "best"
    train_scores: bool = False
    max_seconds: float | None = None
    seed: int = 0
    splits: SplitSettings = SplitSettings()
    model_arguments: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> bool:
        """Whether the run trains a language model on a text, and not a classifier of images."""
        return is_language_model(self.model)

    @property
    def batch_size(self) -> int:
        return self.splits.batch_size or (20 if self.text else 64)


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
# What `fit` takes by itself for a classifier, and for a language model.
FIT |= {"metrics": ("accuracy",), "monitor": "accuracy"}
# Runs that train as one model compute in float32, so the others do too, on every machine.
FIT |= {"bf16": False}
FIT_TEXT = {"metrics": ("perplexity",), "monitor": "perplexity"}
# What only one kind of data has.
ONLY_IMAGES = ("train_size", "random_labels", "val_fraction", "normalize", "drop_last")
ONLY_TEXT = ("bptt", "max_size")
SPLITS = tuple(one.name for one in dataclasses.fields(SplitSettings))
# "search" only says which method a run belongs to.
OWN = ("model", "data", "init", "keep", "train_scores", "max_seconds", "seed", "search")
KEEP = ("best", "last")
AUTO = "auto"  # the value of lr that asks for a search
SHORTHAND = ("depth", "width")  # of hidden_sizes

# What the value of a setting must be. A setting whose default is None may also be None.
WHOLE_NUMBERS = {
    "epochs": 1, "batch_size": 1, "seed": 0, "patience": 1, "accumulate": 1, "limit": 20,
    "train_size": 1, "bptt": 1, "max_size": 1,
}  # fmt: skip
NUMBERS = {
    "lr": (0, math.inf), "weight_decay": (0, math.inf), "min_delta": (0, math.inf),
    "max_seconds": (0, math.inf), "clip_norm": (0, math.inf), "clip_value": (0, math.inf),
    "random_labels": (0, 1), "val_fraction": (0, 1), "label_smoothing": (0, 1),
    "baseline": (-math.inf, math.inf),
}  # fmt: skip
CHOICES: dict[str, Iterable[str]] = {
    "optimizer": optim.OPTIMIZERS, "schedule": optim.SCHEDULES, "keep": KEEP,
    "mode": ("min", "max"), "average": ("ema", "swa"),
    "normalize": ("channel", "pixel", "none"),
}  # fmt: skip


def parse(values: Mapping[str, Any]) -> RunSettings:
    """Sort the settings of a run by who takes them, and check each value.

    `depth` and `width` stand for `hidden_sizes` if the model takes that and not them.

    Raises UnknownNameError for a name that nothing takes, UsageError for a wrong value.
    """
    takes = model_parameters(values["model"])
    text = is_language_model(values["model"])
    groups: dict[str, dict[str, Any]] = {"own": {}, "splits": {}, "fit": {}, "model": {}}
    hidden: dict[str, Any] = {}
    for name, value in values.items():
        if name in (ONLY_IMAGES if text else ONLY_TEXT):
            other, kind = ("images", "language model") if text else ("texts", "image classifier")
            raise UsageError(
                f"{name} is for {other}, and model {values['model']!r} is a {kind}; leave one of "
                "them out"
            )
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
    arguments = FIT | (FIT_TEXT if text else {}) | groups["fit"]
    monitor, metrics = arguments["monitor"], arguments["metrics"]
    if monitor not in ("loss", *METRICS):  # looked up now, because metrics can be registered
        raise UnknownNameError("monitor", str(monitor), ("loss", *METRICS))
    if monitor not in ("loss", *(metrics or ())):
        names = ", ".join(metrics or ())
        raise UsageError(
            f"monitor {monitor!r} is not measured; name it in metrics ({names}), or give another "
            "monitor"
        )
    if arguments["mode"] is None:
        arguments["mode"] = "min" if monitor == "loss" else METRICS[monitor].mode
    return RunSettings(
        dict(values),
        key_of(values),
        **groups["own"],
        splits=SplitSettings(**groups["splits"]),
        model_arguments=groups["model"],
        fit=arguments,
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


def parse_values(text: str) -> list[Any]:
    """Values as typed on a command line, with commas between them.

    Each is 3, 0.1, true, none, 256x128 (a tuple), or a word. Raises UsageError for an empty one.
    """
    words = {"true": True, "false": False, "none": None}
    values: list[Any] = []
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 1 and not all(parts):
        raise UsageError(f"{text!r} has an empty value between its commas")
    for part in filter(None, parts):
        sizes = part.split("x")
        value: Any = words.get(part.lower(), part)
        if len(sizes) > 1 and all(size.isdigit() for size in sizes):
            value = tuple(map(int, sizes))
        elif value is part:
            with contextlib.suppress(ValueError, SyntaxError):
                literal = ast.literal_eval(part)
                value = literal if isinstance(literal, int | float) else part
        values.append(value)
    return values
