"""What a model says of inputs and sizes that it cannot take, before any layer fails."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from dlcourse.errors import UsageError

__all__ = ["check_images", "check_sizes", "load_weights"]

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
