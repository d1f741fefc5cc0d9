"""A model as a table of its layers, and as the list of stages that a drawing shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["Stage", "stages", "summary"]


def summary(model: nn.Module, input_size: Sequence[int], dtype: torch.dtype = torch.float32) -> str:
    """A table: each layer, its output's shape, parameters and multiply-adds, for one sample.

    input_size: of one sample, such as (1, 28, 28). The model stays in the mode it was in.
    """
    import torchinfo

    table = torchinfo.summary(
        model,
        input_size=(1, *input_size),
        dtypes=[dtype],
        device=next(model.parameters()).device,
        mode="eval",
        verbose=0,
        depth=4,
        col_names=("output_size", "num_params", "mult_adds"),
        row_settings=("var_names", "depth"),
    )
    return str(table)


@dataclass(frozen=True)
class Stage:
    """Layers in a row whose output has one shape: what they are, and that shape without N."""

    kinds: tuple[str, ...]
    shape: tuple[int, ...]


@torch.no_grad()
def stages(model: nn.Module, input_size: Sequence[int]) -> list[Stage]:
    """What a sample of `input_size` goes through, in order; the first stage is the input itself.

    A block (Inception, residual) counts as one layer. Layers that only rearrange, normalize or
    apply an activation are left out.
    """
    found = [Stage(("input",), tuple(input_size))]

    def note(layer: nn.Module, _: tuple, output: Tensor) -> None:
        kind, shape = describe(layer), tuple(output.shape[1:])
        if found[-1].shape == shape and len(found) > 1:
            found[-1] = Stage((*found[-1].kinds, kind), shape)
        else:
            found.append(Stage((kind,), shape))

    hooks = [layer.register_forward_hook(note) for layer in units(model) if describe(layer)]
    training, device = model.training, next(model.parameters()).device
    try:
        model.eval()(torch.zeros(1, *input_size, device=device))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return found


def units(module: nn.Module) -> Iterator[nn.Module]:
    """The layers and blocks of `module`, looking into plain containers only."""
    for child in module.children():
        if type(child) in (nn.Sequential, nn.ModuleList, nn.ModuleDict):
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
    if isinstance(layer, nn.Linear):
        return "linear"
    return "" if type(layer).__module__.startswith("torch.") else type(layer).__name__
