"""Validate the inputs, sizes and weights of models; use a model and leave its mode as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dlcourse.errors import UsageError

__all__ = ["check_images", "check_tokens", "in_eval_mode", "load_weights"]

COUNTER = "num_batches_tracked"
NAMED = 3  # how many keys a message names before it counts the rest


def check_images(inputs: Tensor, channels: int, size: int | None = None, least: int = 1) -> None:
    """Raise UsageError unless `inputs` are (N, channels, size, size). For size None, height and
    width must be at least `least`."""
    if inputs.dim() == 4 and inputs.shape[1] == channels:
        height, width = inputs.shape[2:]
        if (height == width == size) if size else min(height, width) >= least:
            return
    sides = f"{size}, {size})" if size else f"H, W), H and W at least {least}"
    raise UsageError(f"inputs must be (N, {channels}, {sides}, got {tuple(inputs.shape)}")


def check_tokens(tokens: Tensor, vocab_size: int, name: str = "inputs", dim: int = 2) -> None:
    """Raise UsageError unless `tokens` are token numbers, int64 (N, T), or (T,) if `dim` is 1, with
    T at least 1.
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


def load_weights(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """`model.load_state_dict(state)`, but an error is one line that names the keys.

    The counters `num_batches_tracked`, which older files lack, keep their values.

    Raises UsageError for weights of another architecture, and then leaves `model` unchanged.
    """
    own = model.state_dict()
    missing = [key for key in own if key not in state and not key.endswith(COUNTER)]
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
    model.load_state_dict({**own, **state})


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Put `model` into eval mode, and then each of its modules back into the mode that it had: a
    backbone that is trained no more may stay in eval mode while the rest trains."""
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training
