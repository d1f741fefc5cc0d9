"""How a signal passes through a deep network: activations and gradients by layer."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from dlcourse import optim
from dlcourse.compare.settings import Environment, parse
from dlcourse.compare.study import Study
from dlcourse.compare.train_run import build, splits
from dlcourse.figure_style import MARKERS, finish, new_figure, styled
from dlcourse.train import cross_entropy

__all__ = ["STEPS", "Layer", "gradient_by_depth", "layer_histograms", "probe", "ten_layers"]

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
    seen: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, args: object, outputs: Tensor) -> None:
        outputs.retain_grad()
        seen[module] = outputs

    hooks = [
        module.register_forward_hook(keep)
        for module in model.modules()
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
        measure(str(number), outputs.detach(), outputs.grad)
        for number, outputs in enumerate(seen.values(), start=1)
    ]


def measure(name: str, outputs: Tensor, gradients: Tensor | None) -> Layer:
    units = outputs.transpose(0, 1).flatten(1)  # (units, samples)
    gradients = torch.zeros_like(outputs) if gradients is None else gradients
    return Layer(
        name,
        *histogram(outputs),
        *histogram(gradients),
        std=outputs.std().item(),
        dead=(units == 0).all(1).float().mean().item(),
        saturated=(outputs.abs() > 0.97).float().mean().item(),
        gradient_norm=gradients.norm().item(),
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


@styled
def layer_histograms(cases: Mapping[str, Sequence[Layer]], what: str = "activations") -> Figure:
    """How "activations" or "gradients" are spread: a row for each case, a column for each layer."""
    depth = max(len(layers) for layers in cases.values())
    height = 1.25 * len(cases) + 0.5
    figure = new_figure(1.15 * depth + 0.4, height, layout=None)
    axes = figure.subplots(len(cases), depth, squeeze=False)
    # By hand: the constrained layout takes seconds for so many axes.
    figure.subplots_adjust(0.04, 0.25 / height, 0.99, 1 - 0.6 / height, wspace=0.2, hspace=0.35)
    for row, (name, layers) in zip(axes, cases.items(), strict=True):
        for ax in row[len(layers) :]:
            ax.axis("off")
        pick = "" if what == "activations" else "gradient_"
        edges = [getattr(layer, f"{pick}edges") for layer in layers]
        # One range for a row: otherwise activations that die look like those that live.
        left, right = min(low for low, _ in edges), max(high for _, high in edges)
        for ax, layer, (low, high) in zip(row, layers, edges, strict=False):
            counts = layer.activations if what == "activations" else layer.gradients
            middles = low + (high - low) / BINS * (np.arange(BINS) + 0.5)
            heights, places = np.histogram(middles, BINS, (left, right), weights=counts)
            ax.stairs(heights, places, fill=True)
            ax.set_yticks([])
            ax.set_xlim(left, right)
            ax.set_xticks([])
        row[0].set_xticks([left, right], [f"{left:.1g}", f"{right:.1g}"], fontsize=9)
        row[0].set_ylabel(name, fontsize=9)
    for number, ax in enumerate(axes[0], start=1):
        ax.set_title(f"layer {number}", fontsize=10)
    figure.suptitle(what)
    return figure


@styled
def gradient_by_depth(cases: Mapping[str, Sequence[Layer]]) -> Figure:
    """The norm of the gradient and the spread of the activations by layer, on log scales."""
    figure = new_figure(11, 4.4)
    left, right = figure.subplots(1, 2)
    for marker, (name, layers) in zip(itertools.cycle(MARKERS), cases.items(), strict=False):
        depth = range(1, len(layers) + 1)
        left.plot(depth, [layer.gradient_norm for layer in layers], marker=marker, label=name)
        right.plot(depth, [layer.std for layer in layers], marker=marker, label=name)
    for ax, title in ((left, "gradient norm"), (right, "standard deviation of activations")):
        ax.set(title=title, xlabel="layer")
        ax.set_yscale("symlog", linthresh=1e-9)
        ax.grid(True)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return finish(figure, None)
