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
    module: ModuleType, function: str | Callable, *args: object, **kwargs: object
) -> list[Tensor | None]:
    """Return the gradients of the sum of all outputs of `function(*args)`.

    function: a name in the student's file, or an object of it. The gradients are those of the
    arguments that require one, also inside a tuple, and then those of the parameters of a
    torch.nn.Module.
    """
    called = getattr(module, function) if isinstance(function, str) else function
    outputs = called(*args, **kwargs)
    leaves = [leaf for leaf in tensors_in(args) if leaf.requires_grad]
    if isinstance(called, torch.nn.Module):
        leaves += called.parameters()
    total = torch.stack([output.sum() for output in tensors_in(outputs)]).sum()
    return list(torch.autograd.grad(total, leaves, allow_unused=True))


def tensors_in(value: object) -> list[Tensor]:
    """Return the tensors in nested lists and tuples."""
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in tensors_in(item)]
    return [value] if isinstance(value, Tensor) else []


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
