"""How a signal passes through a deep network: activations and gradients by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlcourse import optim
from dlcourse.compare.settings import Environment, parse
from dlcourse.compare.splits import splits
from dlcourse.compare.study import Study
from dlcourse.compare.train_run import build
from dlcourse.train import cross_entropy

__all__ = ["STEPS", "Layer", "probe", "ten_layers"]

ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.LeakyReLU, nn.ELU)
BINS = 50
STEPS = 10
BATCH = 100


@dataclass
class Layer:
    """One activation layer, measured on a batch.

    activations, gradients: shares in BINS equal bins, all 0 if no value is finite. edges,
        gradient_edges: the outer edges (low, high) of these bins.
    std: the standard deviation of the activations. dead: the share of units that are 0 on the whole
        batch. saturated: the share of activations above 0.97 in size, where a tanh has almost no
        slope.
    gradient_norm: the norm of the loss's gradient with respect to the activations.
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
    """Measure every activation layer in a forward and a backward pass of `model` in train mode.

    The weights do not change. Layers that share an activation module count once.

    Shape: inputs (N, ...), targets int64 (N,).
    """
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
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
        measure(str(number), outputs.detach(), gradient_of(outputs))
        for number, outputs in enumerate(seen.values(), start=1)
    ]


def gradient_of(outputs: Tensor) -> Tensor:
    return torch.zeros_like(outputs) if outputs.grad is None else outputs.grad


def measure(name: str, outputs: Tensor, gradients: Tensor) -> Layer:
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


def ten_layers(
    activation: str, study: Study, environment: Environment, seed: int, steps: int = 0
) -> dict[str, list[Layer]]:
    """Measure ten layers of 500 units for each of the study's initializers.

    seed: of the weights and of the batch. steps: how many steps of SGD come first.
    """
    common = {
        "model": "mlp", "data": study.grid["data"][0], "depth": 10, "width": 500,
        "activation": activation, "batch_size": BATCH, "seed": seed,
        "limit": study.grid.get("limit", [None])[0],
    }  # fmt: skip
    found = {}
    for rule in study.grid["init"]:
        run = parse({**common, "init": rule})
        inputs, targets = next(iter(splits(run, environment)[0]))
        model = build(run, environment).to(environment.device)
        optimizer = optim.build("sgd", model.parameters(), 0.03)
        for _ in range(steps):
            optimizer.zero_grad()
            cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        found[rule] = probe(model, inputs, targets)
    return found
