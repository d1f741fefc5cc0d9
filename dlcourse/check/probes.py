"""Functions that run next to student code, called by name: `student.probe("gradients", ...)`.

A probe sees no expected value. What it returns is a claim, which the test verifies.
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

__all__ = ["PROBES"]


def gradients(
    module: ModuleType, name: str, *args: object, **kwargs: object
) -> list[Tensor | None]:
    """Gradients of `sum(module.name(*args))` for each tensor argument that requires one."""
    outputs = getattr(module, name)(*args, **kwargs)
    leaves = [arg for arg in args if isinstance(arg, Tensor) and arg.requires_grad]
    return list(torch.autograd.grad(outputs.sum(), leaves, allow_unused=True))


def in_place(module: ModuleType, name: str, *args: object, **kwargs: object) -> tuple:
    """What `module.name(*args)` returns, and its arguments as the call left them."""
    returned = getattr(module, name)(*args, **kwargs)
    return returned, list(args)


def is_module(module: ModuleType, value: object) -> bool:
    """Whether `value` is a torch.nn.Module."""
    return isinstance(value, torch.nn.Module)


def seeded(module: ModuleType, seed: int, name: str, *args: object, **kwargs: object) -> object:
    """What `module.name(*args)` returns when torch was seeded just before."""
    torch.manual_seed(seed)
    return getattr(module, name)(*args, **kwargs)


PROBES = {probe.__name__: probe for probe in (gradients, in_place, is_module, seeded)}
