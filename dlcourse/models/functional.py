"""What a layer computes, opened up: each a plain-tensor function of a few lines, equal to torch's.

The LSTM cell stands with its kind, in `dlcourse.models.lstm`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["batch_norm", "conv2d", "dropout", "max_pool2d"]


def batch_norm(
    inputs: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch normalization (Ioffe & Szegedy 2015, algorithm 1) of each of C features or maps.

    In training the batch's mean and variance normalize, and the running ones, which normalize
    afterwards, are moved in place towards them.

    Shape: inputs (N, C) or (N, C, H, W), the others (C,) -> like inputs.
    """
    dims = [dim for dim in range(inputs.dim()) if dim != 1]
    mean, var = running_mean, running_var
    if training:
        mean, var = inputs.mean(dims), inputs.var(dims, correction=0)
        count = inputs.numel() / inputs.shape[1]
        running_mean.lerp_(mean.detach(), momentum)
        # The running variance is the unbiased one.
        running_var.lerp_(var.detach() * count / (count - 1), momentum)
    shape = [-1 if dim == 1 else 1 for dim in range(inputs.dim())]
    scale = weight * torch.rsqrt(var + eps)
    return (inputs - mean.view(shape)) * scale.view(shape) + bias.view(shape)


def dropout(inputs: Tensor, p: float, training: bool, mask: Tensor | None = None) -> Tensor:
    """Zero each number with probability `p` and scale the rest by 1 / (1 - p) (Srivastava et al.
    2014), so that the expected value stays; nothing in eval.

    mask: bool, which numbers stay, like inputs; None draws it. Shape: any -> the same.
    """
    if not training or p == 0:
        return inputs
    if mask is None:
        mask = torch.rand_like(inputs) >= p
    return inputs * mask / (1 - p)


def conv2d(
    inputs: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    """Cross-correlation as one matrix product over unfolded patches.

    Shape: inputs (N, C, H, W), weight (O, C, K, K), bias (O,) -> (N, O, H_out, W_out).
    """
    kernel_size = weight.shape[-1]
    height, width = ((s + 2 * padding - kernel_size) // stride + 1 for s in inputs.shape[2:])
    patches = F.unfold(inputs, kernel_size, padding=padding, stride=stride)  # (N, C K K, places)
    outputs = weight.flatten(1) @ patches  # (N, O, places)
    if bias is not None:
        outputs = outputs + bias[:, None]
    return outputs.unflatten(2, (height, width))


def max_pool2d(inputs: Tensor, kernel_size: int) -> Tensor:
    """The largest value of each kernel_size x kernel_size block; what fills no block is left out.

    Shape: inputs (N, C, H, W) -> (N, C, H // kernel_size, W // kernel_size).
    """
    blocks = inputs.unfold(2, kernel_size, kernel_size).unfold(3, kernel_size, kernel_size)
    return blocks.amax(dim=(4, 5))
