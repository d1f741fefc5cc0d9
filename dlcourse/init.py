"""Named initializers, each with its rule and its source.

In the formulas w is a weight, n_in the number of inputs of a unit, and n_out the number of outputs
of an input. For a convolution these are channels of one group times the area of the kernel, also
for a transposed convolution. N(0, v) has variance v; U(a) is uniform on [-a, a]. Weights are all
parameters with two or more dimensions outside of normalization layers. Biases become 0. Scales and
shifts of normalization layers stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlcourse.errors import UnknownNameError, UsageError

__all__ = ["INITIALIZERS", "describe", "initialize", "parse"]

Draw = Callable[[Tensor, float, torch.Generator], object]

NORMALIZATIONS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Entry:
    """A named initializer: how to draw a weight, its rule and source, the meaning of `:value`."""

    draw: Draw | None
    formula: str
    source: str
    value: float | None = None
    meaning: str = ""


INITIALIZERS = {
    "default": Entry(
        None,
        "what the model itself draws; in PyTorch's layers w, b ~ U(1 / sqrt(n_in))",
        "LeCun, Bottou, Orr & Müller 1998",
    ),
    "zeros": Entry(
        lambda w, _, generator: nn.init.zeros_(w),
        "w = 0",
        "the symmetry that a random start breaks",
    ),
    "constant": Entry(
        lambda w, value, generator: nn.init.constant_(w, value),
        "w = {value}",
        "as zeros: equal units stay equal",
        1.0,
        "the weight",
    ),
    "normal": Entry(
        lambda w, std, generator: nn.init.normal_(w, 0.0, std, generator),
        "w ~ N(0, {value}^2)",
        "Krizhevsky, Sutskever & Hinton 2012 (0.01)",
        0.01,
        "the standard deviation",
    ),
    "uniform": Entry(
        lambda w, bound, generator: nn.init.uniform_(w, -bound, bound, generator),
        "w ~ U({value})",
        "Rumelhart, Hinton & Williams 1986",
        0.1,
        "the bound",
    ),
    "lecun": Entry(
        lambda w, _, generator: nn.init.kaiming_normal_(
            w, nonlinearity="linear", generator=generator
        ),
        "w ~ N(0, 1 / n_in)",
        "LeCun, Bottou, Orr & Müller 1998",
    ),
    "lecun_uniform": Entry(
        lambda w, _, generator: nn.init.kaiming_uniform_(
            w, nonlinearity="linear", generator=generator
        ),
        "w ~ U(sqrt(3 / n_in))",
        "LeCun, Bottou, Orr & Müller 1998",
    ),
    "xavier": Entry(
        lambda w, _, generator: nn.init.xavier_normal_(w, generator=generator),
        "w ~ N(0, 2 / (n_in + n_out))",
        "Glorot & Bengio 2010",
    ),
    "xavier_uniform": Entry(
        lambda w, _, generator: nn.init.xavier_uniform_(w, generator=generator),
        "w ~ U(sqrt(6 / (n_in + n_out)))",
        "Glorot & Bengio 2010",
    ),
    "kaiming": Entry(
        lambda w, _, generator: nn.init.kaiming_normal_(
            w, nonlinearity="relu", generator=generator
        ),
        "w ~ N(0, 2 / n_in)",
        "He, Zhang, Ren & Sun 2015, arXiv:1502.01852",
    ),
    "kaiming_uniform": Entry(
        lambda w, _, generator: nn.init.kaiming_uniform_(
            w, nonlinearity="relu", generator=generator
        ),
        "w ~ U(sqrt(6 / n_in))",
        "He, Zhang, Ren & Sun 2015, arXiv:1502.01852",
    ),
    "orthogonal": Entry(
        lambda w, gain, generator: nn.init.orthogonal_(w, gain, generator),
        "w w^T = {value}^2 I (or w^T w, whichever is smaller)",
        "Saxe, McClelland & Ganguli 2014, arXiv:1312.6120",
        1.0,
        "the gain",
    ),
}


def parse(name: str) -> tuple[Entry, float]:
    """The entry and the number of a name such as "xavier" or "normal:0.01".

    Raises UnknownNameError for a name that is not in INITIALIZERS, UsageError for a wrong number.
    """
    kind, colon, text = name.partition(":")
    if kind not in INITIALIZERS:
        raise UnknownNameError("initializer", kind, INITIALIZERS)
    entry = INITIALIZERS[kind]
    if not colon:
        return entry, entry.value or 0.0
    if entry.value is None:
        raise UsageError(f"initializer {kind!r} takes no number, got {name!r}")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (value < 0 and kind != "constant"):
        raise UsageError(
            f"initializer {name!r}: {entry.meaning} must be a number of 0 or more, got {text!r}"
        )
    return entry, value


def describe(name: str) -> str:
    """The rule behind `name` and its source, in one line."""
    entry, value = parse(name)
    return f"{entry.formula.format(value=f'{value:g}')}  ({entry.source})"


@torch.no_grad()
def initialize(
    model: nn.Module, name: str, *, seed: int = 0, generator: torch.Generator | None = None
) -> nn.Module:
    """Draw every weight of `model` again by the rule called `name`, and return the model.

    The draws depend only on `seed`, or come from `generator` (on the CPU), and are the same on
    every device. Initializers that scale the same distribution scale the same draws. The global
    generators are not used. "default" leaves the model as it is.

    Raises UnknownNameError and UsageError as `parse` does.
    """
    entry, value = parse(name)
    if entry.draw is None:
        return model
    generator = generator or torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, NORMALIZATIONS):
            continue
        for own_name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() >= 2:
                parameter.copy_(drawn_weight(entry.draw, module, parameter, value, generator))
            elif "bias" in own_name:
                parameter.zero_()
    return model


def drawn_weight(
    draw: Draw, module: nn.Module, weight: Tensor, value: float, generator: torch.Generator
) -> Tensor:
    """A new weight for `weight` of `module`, on the CPU.

    torch's initializers take the shape (out, in, ...). The groups of a convolution share no inputs,
    so each is drawn by itself; a transposed convolution has the shape (in, out, ...).
    """
    if not isinstance(module, nn.modules.conv._ConvNd):
        drawn = torch.empty(weight.shape)
        draw(drawn, value, generator)
        return drawn
    parts = []
    for part in weight.chunk(module.groups):
        shape = list(part.shape)
        if module.transposed:
            shape[:2] = shape[1::-1]
        drawn = torch.empty(shape)
        draw(drawn, value, generator)
        parts.append(drawn.transpose(0, 1) if module.transposed else drawn)
    return torch.cat(parts)
