"""Functions that run in the process of student code: `student.probe("gradients", ...)`.

A probe sees no expected value. A test must verify what a probe returns: student code can forge it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

__all__ = ["PROBES"]


def gradients(
    module: ModuleType, name: str, *args: object, **kwargs: object
) -> list[Tensor | None]:
    """Return the gradients of `sum(module.name(*args))` for each argument that requires one."""
    outputs = getattr(module, name)(*args, **kwargs)
    leaves = [arg for arg in args if isinstance(arg, Tensor) and arg.requires_grad]
    return list(torch.autograd.grad(outputs.sum(), leaves, allow_unused=True))


def in_place(module: ModuleType, name: str, *args: object, **kwargs: object) -> tuple:
    """Return the result of `module.name(*args)`, and the arguments as the call left them."""
    returned = getattr(module, name)(*args, **kwargs)
    return returned, list(args)


def is_module(module: ModuleType, value: object) -> bool:
    """Return whether `value` is a torch.nn.Module."""
    return isinstance(value, torch.nn.Module)


def seeded(module: ModuleType, seed: int, name: str, *args: object, **kwargs: object) -> object:
    """Seed torch and return the result of `module.name(*args)`."""
    torch.manual_seed(seed)
    return getattr(module, name)(*args, **kwargs)


functions: tuple[Callable[..., Any], ...] = (gradients, in_place, is_module, seeded)
PROBES = {function.__name__: function for function in functions}
