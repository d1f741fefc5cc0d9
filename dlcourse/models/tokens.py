"""What a model says of token numbers that it cannot take, and how it counts those it can."""

from __future__ import annotations

import torch
from torch import Tensor

from dlcourse.errors import UsageError

__all__ = ["check_tokens", "count_tokens"]


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
