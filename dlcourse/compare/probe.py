"""What flows through a network: each layer's activations, and the gradients that come back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlcourse.train import cross_entropy

__all__ = ["Layer", "probe"]

ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.LeakyReLU, nn.ELU)
BINS = 50


@dataclass
class Layer:
    """One activation layer, over a batch.

    activations, gradients: shares in BINS equal bins, all 0 where nothing is finite; edges: the
    outer edges (low, high).
    std: of the activations. dead: the share of units that are 0 on the whole batch. saturated: the
    share of activations beyond 0.97 in size, where a tanh hardly has a slope.
    gradient_norm: of the loss by the activations, over the batch.
    """

    name: str
    activations: list[float]
    edges: tuple[float, float]
    gradients: list[float]
    gradient_edges: tuple[float, float]
    std: float
    dead: float
    saturated: float
    gradient_norm: float


def probe(model: nn.Module, inputs: Tensor, targets: Tensor) -> list[Layer]:
    """A forward and a backward pass of `model` on one batch, in train mode; weights stay.

    Shape: inputs (N, ...), targets int64 (N,). Layers that share an activation module count once.
    """
    seen: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(module: nn.Module, args: object, outputs: Tensor) -> None:
            outputs.retain_grad()
            seen[name] = outputs

        return hook

    hooks = [
        module.register_forward_hook(keep(name))
        for name, module in model.named_modules()
        if isinstance(module, ACTIVATIONS)
    ]
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    try:
        model.train()
        cross_entropy(model(inputs), targets).backward()
    finally:
        for hook in hooks:
            hook.remove()
        model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, value in model.named_buffers():
                value.copy_(buffers[name])
    return [
        layer(str(number), outputs.detach(), outputs.grad)
        for number, outputs in enumerate(seen.values(), start=1)
    ]


def layer(name: str, outputs: Tensor, gradients: Tensor) -> Layer:
    units = outputs.transpose(0, 1).flatten(1)  # (units, samples)
    counts, edges = histogram(outputs)
    gradient_counts, gradient_edges = histogram(gradients)
    return Layer(
        name,
        counts,
        edges,
        gradient_counts,
        gradient_edges,
        outputs.std().item(),
        (units == 0).all(1).float().mean().item(),
        (outputs.abs() > 0.97).float().mean().item(),
        gradients.norm().item(),
    )


def histogram(values: Tensor) -> tuple[list[float], tuple[float, float]]:
    values = values[values.isfinite()].float().cpu()
    if not len(values):
        return [0.0] * BINS, (-1.0, 1.0)
    low, high = values.min().item(), values.max().item()
    if low == high:
        low, high = low - 1e-8, high + 1e-8
    counts = torch.histc(values, BINS, low, high)
    return (counts / counts.sum()).tolist(), (low, high)
