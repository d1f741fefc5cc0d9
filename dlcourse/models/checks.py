"""Validate the inputs, sizes and weights of models, before a layer fails with torch's own words."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dlcourse.errors import UsageError

__all__ = ["check_images", "check_sizes", "check_tokens", "count_tokens", "load_weights"]

NAMED = 3  # keys that a message names before it counts the rest


def check_images(inputs: Tensor, channels: int, size: int | None = None, least: int = 1) -> None:
    """Raise UsageError unless `inputs` are (N, channels, size, size); size None: at least `least`
    pixels a side."""
    if inputs.dim() == 4 and inputs.shape[1] == channels:
        height, width = inputs.shape[2:]
        if (height == width == size) if size else min(height, width) >= least:
            return
    sides = f"{size}, {size})" if size else f"H, W), H and W at least {least}"
    raise UsageError(f"inputs must be (N, {channels}, {sides}, got {tuple(inputs.shape)}")


def check_sizes(**sizes: int) -> None:
    """Raise UsageError for the first of `sizes`, by name, that is not a whole number above 0."""
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise UsageError(f"{name} must be at least 1, got {size!r}")


def check_tokens(tokens: Tensor, vocab_size: int, name: str = "inputs", dim: int = 2) -> None:
    """Raise UsageError unless `tokens` are numbers of a vocabulary, int64 (N, T), or (T,) where
    `dim` is 1, with T at least 1.
    """
    if tokens.dim() != dim or tokens.dtype != torch.int64 or tokens.shape[-1] < 1:
        raise UsageError(
            f"{name} must be token numbers, int64 {'(N, T)' if dim == 2 else '(T,)'}, "
            f"T at least 1, got {tokens.dtype} {tuple(tokens.shape)}"
        )
    if tokens.numel() and not 0 <= tokens.min() <= tokens.max() < vocab_size:
        raise UsageError(
            f"{name} must hold token numbers from 0 to {vocab_size - 1}, "
            f"got {int(tokens.min())} to {int(tokens.max())}"
        )


def count_tokens(inputs: Tensor, padding: int | None) -> Tensor:
    """How many tokens of each row come before its padding, int64 (N,) on the CPU.

    Shape: inputs int64 (N, T). Raises UsageError for a row of padding alone.
    """
    N, T = inputs.shape
    if padding is None:
        return torch.full((N,), T)
    places = torch.arange(1, T + 1, device=inputs.device)
    lengths = torch.where(inputs == padding, 0, places).amax(1).cpu()
    if N and lengths.min() < 1:
        raise UsageError(f"row {int(lengths.argmin())} of the texts holds nothing but padding")
    return lengths


def load_weights(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """`model.load_state_dict(state)`, whose complaint is one line: which keys do not fit.

    Raises UsageError for weights of another architecture, and leaves `model` as it was.
    """
    own = model.state_dict()
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    reshaped = [
        f"{key} {tuple(state[key].shape)}, not {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    wrong = [
        f"{what} {', '.join(keys[:NAMED])}" + f" and {len(keys) - NAMED} more" * (len(keys) > NAMED)
        for what, keys in (("lacks", missing), ("has also", unexpected), ("has", reshaped))
        if keys
    ]
    if wrong:
        raise UsageError(
            f"these weights are not a {type(model).__name__}'s: the state dict {'; '.join(wrong)}"
        )
    model.load_state_dict(state)
