"""A model as a table of its layers, and as the list of stages that a drawing shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dlcourse.models.checks import in_eval_mode

__all__ = ["Layer", "Stage", "layers", "stages", "summary"]

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Layer:
    """A layer of a model and what one sample costs in it.

    name: its place in the model. kind: its class. shape: of its output, without N. parameters:
    how many it has itself. multiply_adds: products of a weight and an input, biases not counted.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Stage:
    """Consecutive layers whose outputs have one shape: what they are, and that shape without N."""

    kinds: tuple[str, ...]
    shape: tuple[int, ...]


def summary(model: nn.Module, *inputs: Tensor) -> str:
    """A table: each layer, the shape of its output, its parameters and its multiply-adds.

    inputs: the arguments of `forward`, a batch of one sample. The model keeps its mode. Layers
    without parameters that leave the shape as it is, such as ReLU and dropout, are not listed.
    """
    rows, found = [], layers(model, *inputs)
    before: tuple[int, ...] = ()
    for layer in found:
        if layer.parameters or layer.multiply_adds or layer.shape != before:
            rows.append(layer)
        before = layer.shape
    width = max([len(row.name) for row in rows] + [20])
    lines = [
        f"{'layer':<{width}}  {'type':<18}{'output':<18}{'parameters':>13}{'multiply-adds':>17}"
    ]
    for row in rows:
        shape = "x".join(map(str, row.shape))
        lines.append(
            f"{row.name:<{width}}  {row.kind:<18}{shape:<18}"
            f"{row.parameters:>13,}{row.multiply_adds:>17,}"
        )
    parameters = sum(p.numel() for p in model.parameters())
    total = sum(layer.multiply_adds for layer in found)
    lines.append(f"{'total':<{width}}  {'':<36}{parameters:>13,}{total:>17,}")
    return "\n".join(lines)


def layers(model: nn.Module, *inputs: Tensor) -> list[Layer]:
    """The layers of `model` in the order in which `inputs` pass them.

    A module that holds others is listed if it has parameters, or computes products, itself.
    """
    if not any(map(list, (model.children(), model.parameters(), model.buffers()))):
        return []  # counts of words, say: there is nothing to pass
    shapes: dict[nn.Module, tuple[int, ...]] = {}
    spent: Counter[nn.Module] = Counter()  # by each module itself, not by those that it calls
    running: list[list[int]] = []  # for each call: operations before it, and of calls inside it

    def begin(module: nn.Module, args: tuple[Any, ...]) -> None:
        running.append([counter.get_total_flops(), 0])

    def note(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        before, inside = running.pop()
        operations = counter.get_total_flops() - before
        if running:
            running[-1][1] += operations
        spent[module] += (operations - inside) // 2
        if isinstance(module, nn.RNNBase):  # torch counts it only in part
            data = args[0].data  # of a packed sequence, too
            weights = sum(p.numel() for p in module.parameters() if p.dim() == 2)
            spent[module] += data.shape[:-1].numel() * weights - (operations - inside) // 2
        if (shape := shape_of(output)) is not None:
            shapes.pop(module, None)  # the last call counts
            shapes[module] = shape

    names = {module: name for name, module in model.named_modules()}
    counter = FlopCounterMode(display=False)
    # As plain matrix products, because not every torch counts those inside of fused attention.
    with watched(model, list(names), note, begin), sdpa_kernel(SDPBackend.MATH), counter:
        model(*inputs)

    found = []
    for module, shape in shapes.items():
        own = list(module.parameters(recurse=False))
        if not list(module.children()) or own or spent[module]:
            found.append(
                Layer(
                    names[module] or "(the model itself)",
                    type(module).__name__,
                    shape,
                    sum(p.numel() for p in own),
                    spent[module],
                )
            )
    return found


def stages(model: nn.Module, *inputs: Tensor) -> list[Stage]:
    """What a sample passes, in order. The first stage is the input itself.

    inputs: the arguments of `forward`, a batch of one sample. A block (Inception, residual) counts
    as one layer. Layers that only rearrange, normalize or apply an activation are left out.
    """
    found = [Stage(("input",), tuple(inputs[0].shape[1:]))]

    def note(layer: nn.Module, _: tuple[Any, ...], output: Any) -> None:
        kind, shape = describe(layer), shape_of(output)
        if shape is None:
            return
        if found[-1].shape == shape and len(found) > 1:
            found[-1] = Stage((*found[-1].kinds, kind), shape)
        else:
            found.append(Stage((kind,), shape))

    with watched(model, [layer for layer in units(model) if describe(layer)], note):
        model(*inputs)
    return found


@contextmanager
def watched(
    model: nn.Module,
    modules: list[nn.Module],
    note: Callable[..., None],
    begin: Callable[..., None] | None = None,
) -> Iterator[None]:
    """`model` in eval mode, without gradients, and with `note` as a forward hook of `modules`.

    begin: a hook to call before each forward.
    """
    hooks = [module.register_forward_hook(note) for module in modules]
    hooks += [module.register_forward_pre_hook(begin) for module in modules if begin]
    try:
        with torch.no_grad(), in_eval_mode(model):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def shape_of(output: Any) -> tuple[int, ...] | None:
    """The shape of an output, or of the first of several, without N."""
    while isinstance(output, tuple | list) and output:
        output = output[0]
    return tuple(output.shape[1:]) if isinstance(output, Tensor) else None


def units(module: nn.Module) -> Iterator[nn.Module]:
    """The layers and blocks of `module`, looking into plain containers only."""
    for child in module.children():
        if type(child) in CONTAINERS:
            yield from units(child)
        else:
            yield child


def describe(layer: nn.Module) -> str:
    """What a drawing calls `layer`; "" for one that it leaves out."""
    if isinstance(layer, nn.Sequential):
        layer = layer[0]
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        return f"conv {layer.kernel_size[0]}x{layer.kernel_size[1]}"
    if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
        return "pool"
    if isinstance(layer, nn.Linear | nn.Embedding | nn.RNNBase):
        return type(layer).__name__.lower()
    return "" if type(layer).__module__.startswith("torch.") else type(layer).__name__
