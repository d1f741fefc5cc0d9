"""Several processes that train one model, each on its rows of every batch.

`torchrun --nproc-per-node 2 -m dlcourse run lab05` starts them; `fit` joins them. Each process
walks the same batches in the same order and takes every n-th row, so rows never overlap and the
global batch is the batch of one process: same gradient, same result within rounding (dropout and
batch norm see their own rows only).
"""

from __future__ import annotations

import atexit
import os
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

__all__ = [
    "from_first",
    "gather",
    "join",
    "mean",
    "my_rows",
    "rank",
    "same_buffers",
    "total",
    "world_size",
    "wrap",
]


def join(device: torch.device) -> None:
    """Join the processes that torchrun started, if it did and this one has not yet."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(leave)


def leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """This process's number, 0 in one alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def wrap(model: nn.Module) -> nn.Module:
    """`model`, its gradients averaged over all processes."""
    return DistributedDataParallel(model) if world_size() > 1 else model


def my_rows(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, float]:
    """This process's rows of a batch, and the weight that makes a mean over processes of means
    over their rows the mean over the batch."""
    size, number = world_size(), rank()
    if size == 1:
        return inputs, targets, 1.0
    share = len(range(number, len(targets), size))
    first = number if share else 0  # without a row of its own it takes one that weighs nothing
    return inputs[first::size], targets[first::size], share * size / len(targets)


def mean(values: Tensor) -> Tensor:
    """The mean over processes, in place. Shape: any."""
    return total(values).div_(world_size())


def total(values: Tensor) -> Tensor:
    """The sum over processes, in place. Shape: any."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def gather(value: Any) -> list:
    """What each process has, in the order of their ranks."""
    values = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(values, value)
    return values


def from_first(value: Any) -> Any:
    """What the first process has."""
    values = [value]
    if world_size() > 1:
        dist.broadcast_object_list(values, 0)
    return values[0]


def same_buffers(model: nn.Module) -> None:
    """Give every process the first one's running statistics."""
    if world_size() > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)
