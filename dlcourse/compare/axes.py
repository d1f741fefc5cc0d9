"""What can vary: the arguments of a model and of `fit`, and what the harness adds to them."""

from __future__ import annotations

import ast
import functools
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from dlcourse import init, models, optim
from dlcourse.data import ImageData
from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.train import fit

__all__ = ["DATA", "Parts", "check", "parse_value", "parse_values", "split"]

# Arguments of `ImageData.batches`, a share of training labels drawn anew, a smaller training part.
DATA = {
    "batch_size": 64,
    "limit": None,
    "train_size": None,
    "random_labels": 0.0,
    "val_fraction": 0.1,
    "whiten": "channel",
}
# "search" only says which one a run belongs to.
OWN = {"init": "default", "keep": "best", "train_scores": False, "search": None, "seed": 0}
# Not values to compare, or the harness's own business.
NOT_FIT = (
    "model", "train", "val", "loss", "seed", "device", "progress", "callbacks", "checkpoint",
    "resume", "tensorboard",
)  # fmt: skip
FIT = [name for name in inspect.signature(fit).parameters if name not in NOT_FIT]
KEEP = ("best", "last")


@dataclass(frozen=True)
class Parts:
    """The settings of a run, sorted by who takes them."""

    model: dict[str, Any]
    fit: dict[str, Any]
    data: dict[str, Any]
    own: dict[str, Any]


def split(settings: Mapping[str, Any]) -> Parts:
    """Sort `settings` by who takes them.

    `depth` and `width` stand for `hidden_sizes` where a model takes that and not them.

    Raises UnknownNameError for a name that neither the harness, `fit` nor the model takes.
    """
    parts = Parts({}, {}, dict(DATA), dict(OWN))
    takes = model_arguments(settings["model"])
    for name, value in settings.items():
        if name in ("model", "data", *OWN):
            parts.own[name] = value
        elif name in DATA:
            parts.data[name] = value
        elif name in FIT:
            parts.fit[name] = value
        elif name in takes:
            parts.model[name] = tuple(value) if isinstance(value, list) else value
        elif not ("hidden_sizes" in takes and name in ("depth", "width")):
            raise UnknownNameError(
                f"axis for model {settings['model']!r}:", name, known(settings["model"])
            )
    shorthand = [name for name in ("depth", "width") if name in settings and name not in takes]
    if shorthand:
        if "hidden_sizes" in settings:
            raise UsageError(f"give hidden_sizes or {shorthand[0]}, not both")
        width, depth = settings.get("width", 128), settings.get("depth", 1)
        for name, value in (("width", width), ("depth", depth)):
            if not isinstance(value, int) or value < 0:
                raise UsageError(f"{name} must be a whole number of 0 or more, got {value!r}")
        parts.model["hidden_sizes"] = (width,) * depth
    return parts


def known(model: str) -> list[str]:
    """Every axis that a run of `model` can have."""
    takes = model_arguments(model)
    short = ["depth", "width"] if "hidden_sizes" in takes else []
    return list(dict.fromkeys(["model", "data", *OWN, *FIT, *DATA, *short, *takes]))


@functools.cache
def model_arguments(name: str) -> list[str]:
    if name not in models.MODELS:
        raise UnknownNameError("model", name, models.MODELS)
    return list(inspect.signature(models.MODELS[name].builder).parameters)


def fit_to_data(arguments: dict[str, Any], model: str, data: ImageData) -> dict[str, Any]:
    """`arguments` of a model with the sizes that the data decide, where they are not given."""
    channels, height, width = data.train_images.shape[1:]
    sizes = {
        "in_features": channels * height * width,
        "in_channels": channels,
        "num_classes": data.num_classes,
    }
    takes = model_arguments(model)
    return {**{name: size for name, size in sizes.items() if name in takes}, **arguments}


def check(settings: Mapping[str, Any], data: ImageData) -> int:
    """Refuse a run that could not start; return how many parameters its model has.

    The model is built without memory behind its weights, so that thousands are checked in no time.
    Raises UsageError, naming the argument.
    """
    parts = split(settings)
    init.parse(parts.own["init"])
    one_of("optimizer", parts.fit.get("optimizer", "adam"), optim.OPTIMIZERS)
    one_of("keep", parts.own["keep"], KEEP)
    if parts.fit.get("schedule"):
        one_of("schedule", parts.fit["schedule"], optim.SCHEDULES)
    at_least("epochs", parts.fit.get("epochs", 1), 1, whole=True)
    at_least("batch_size", parts.data["batch_size"], 1, whole=True)
    at_least("seed", parts.own["seed"], 0, whole=True)
    at_least("weight_decay", parts.fit.get("weight_decay", 0.0), 0)
    for name, least in (("limit", 20), ("train_size", 1)):
        if parts.data[name] is not None:
            at_least(name, parts.data[name], least, whole=True)
    if parts.fit.get("lr") is not None:
        at_least("lr", parts.fit["lr"], 0)
    share = parts.data["random_labels"]
    if not is_number(share) or not 0 <= share <= 1:
        raise UsageError(f"random_labels must be a share from 0 to 1, got {share!r}")
    arguments = fit_to_data(parts.model, settings["model"], data)
    return count_parameters(settings["model"], tuple(arguments.items()))


@functools.lru_cache(maxsize=1024)
def count_parameters(name: str, arguments: tuple[tuple[str, Any], ...]) -> int:
    """The number of parameters of a model; UsageError where it cannot be built."""
    try:
        with torch.device("meta"):
            model = models.build(name, **dict(arguments))
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        raise UsageError(f"model {name!r} with {dict(arguments)}: {error}") from None
    return sum(parameter.numel() for parameter in model.parameters())


def one_of(name: str, value: object, choices: Mapping[str, Any] | tuple[str, ...]) -> None:
    if value not in choices:
        raise UnknownNameError(name, str(value), choices)


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def at_least(name: str, value: object, least: float, whole: bool = False) -> None:
    if not is_number(value) or value < least or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{name} must be {kind} of at least {least}, got {value!r}")


def parse_value(text: str) -> Any:
    """A value as typed on a command line: 3, 0.1, true, none, 256x128 (a tuple), or a word."""
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    sizes = text.split("x")
    if len(sizes) > 1 and all(size.isdigit() for size in sizes):
        return tuple(map(int, sizes))
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, int | float) else text


def parse_values(text: str) -> list[Any]:
    """Values as typed on a command line, with commas between them."""
    return [parse_value(part.strip()) for part in text.split(",") if part.strip()]
