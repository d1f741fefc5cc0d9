"""The reference models, one architecture a file. `build` makes any of MODELS by its name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.models.lenet import LeNet5
from dlcourse.models.mlp import MLP

__all__ = ["MLP", "MODELS", "LeNet5", "build"]

MODELS: dict[str, Callable[..., nn.Module]] = {"mlp": MLP, "lenet5": LeNet5}


def build(name: str, **settings: object) -> nn.Module:
    """The model called `name`, with `settings` for its constructor.

    Raises UnknownNameError for a name not in MODELS, UsageError for a setting it does not take.
    """
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    try:
        return MODELS[name](**settings)
    except TypeError as error:
        raise UsageError(f"model {name!r}: {error}") from None
