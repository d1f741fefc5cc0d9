"""The length of each text in a batch whose shorter texts are padded."""

from __future__ import annotations

import torch
from torch import Tensor

from dlcourse.errors import UsageError

__all__ = ["count_tokens"]


def count_tokens(inputs: Tensor, padding: int | None) -> Tensor:
    """The number of tokens before the padding in each row, int64 (N,) on the CPU.

    Shape: inputs int64 (N, T). Raises UsageError for a row that is only padding.
    """
    N, T = inputs.shape
    if padding is None:
        return torch.full((N,), T)
    places = torch.arange(1, T + 1, device=inputs.device)
    lengths = torch.where(inputs == padding, 0, places).amax(1).cpu()
    if N and lengths.min() < 1:
        raise UsageError(f"row {int(lengths.argmin())} of the texts holds nothing but padding")
    return lengths
