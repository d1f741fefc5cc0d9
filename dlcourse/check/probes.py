"""Functions that run in the process of student code: `student.probe("gradients", ...)`.

A probe sees no expected value. A test must verify what a probe returns: student code can forge it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

__all__ = ["PROBES"]


def gradients(
    module: ModuleType, function: str | Callable, *args: object, **kwargs: object
) -> list[Tensor]:
    """Return the gradients of the sum of all outputs of `function(*args)`.

    function: a name in the student's file, or an object of it. The gradients are those of the
    arguments that require one, also inside a tuple; if none does, those of the parameters of
    `function`, a network. Raises RuntimeError for one that no gradient reaches.
    """
    called: Any = getattr(module, function) if isinstance(function, str) else function
    outputs = tensors_in(called(*args, **kwargs))
    given = [leaf for leaf in tensors_in(args) if leaf.requires_grad]
    names = ["the input"] if len(given) == 1 else [f"input {n + 1}" for n in range(len(given))]
    leaves = dict(zip(names, given, strict=True)) or dict(called.named_parameters())
    found: Sequence[Tensor | None] = [None] * len(leaves)
    outputs = [output.sum() for output in outputs if output.requires_grad]
    if outputs:
        total = torch.stack(outputs).sum()
        found = torch.autograd.grad(total, [*leaves.values()], allow_unused=True)
    for name, gradient in zip(leaves, found, strict=True):
        if gradient is None:
            raise RuntimeError(
                f"no gradient goes from the result back to {name}: is a tensor detached, or "
                "turned into a number?"
            )
    return [gradient for gradient in found if gradient is not None]


def tensors_in(value: object) -> list[Tensor]:
    """Return the tensors in nested lists and tuples."""
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in tensors_in(item)]
    return [value] if isinstance(value, Tensor) else []


def in_place(module: ModuleType, name: str, *args: object, **kwargs: object) -> tuple:
    """Return the result of `module.name(*args)`, and the arguments as the call left them."""
    returned = getattr(module, name)(*args, **kwargs)
    return returned, list(args)


def held_gradients(module: ModuleType, network: torch.nn.Module) -> list[str]:
    """Return the names of the parameters of `network` that hold a gradient.

    To a test a parameter crosses as a copy, which never holds one.
    """
    return [name for name, one in network.named_parameters() if one.grad is not None]


class GradientDescent:
    """An optimizer: gradient descent. One of torch's would load torch's compiler, for seconds."""

    def __init__(self, network: torch.nn.Module, lr: float) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(network.parameters()), "lr": lr}]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.param_groups[0]["params"]:
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        loss = torch.enable_grad()(closure)() if closure else None
        for parameter in self.param_groups[0]["params"]:
            if parameter.grad is not None:
                parameter -= self.param_groups[0]["lr"] * parameter.grad
        return loss


def gradient_descent(module: ModuleType, network: torch.nn.Module, lr: float) -> GradientDescent:
    """Return an optimizer of the parameters of `network`, which would cross to a test as copies."""
    return GradientDescent(network, lr)


def group_step(
    module: ModuleType, network: Callable, inputs: Tensor, name: str, *args: object
) -> list[tuple[float, int]]:
    """Make a step of gradient descent with the groups for an optimizer that `name(*args)` returns.

    The loss is the sum of network(inputs). Return the learning rate of each group, and the number
    of its parameters.
    """
    groups = [(group["lr"], list(group["params"])) for group in getattr(module, name)(*args)]
    network(inputs).sum().backward()
    with torch.no_grad():
        for lr, parameters in groups:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter -= lr * parameter.grad
    return [(lr, len(parameters)) for lr, parameters in groups]


PROBES: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (gradients, gradient_descent, group_step, held_gradients, in_place)
}
