"""Several processes that train one model, each on some rows of every batch.

`torchrun --nproc-per-node 2 -m dlcourse run lab05` starts them, and `fit` joins them. Every process
walks over the same batches in the same order and takes every n-th row. The rows of the processes do
not overlap, and together they are the batch that one process alone would have: the gradient and the
result are the same within rounding. (Dropout and batch norm see only the rows of their process.)
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
    "from_first", "gather", "join", "my_rows", "rank", "same_buffers", "total", "world_size",
    "wrap",
]  # fmt: skip


def join(device: torch.device) -> None:
    """Join the processes that torchrun started, unless this process is alone or has joined."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(leave)


def leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """The number of this process."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def wrap(model: nn.Module) -> nn.Module:
    """`model` with its gradients averaged over all processes."""
    return DistributedDataParallel(model) if world_size() > 1 else model


def my_rows(inputs: Any, targets: Tensor) -> tuple[Any, Tensor, float]:
    """This process's rows of a batch, and which share of them counts here.

    A batch with fewer than two rows for each process is not split: every process takes all of it,
    and each counts one share of it. So no process is left without a row, nor with a single one,
    for which batch norm has no statistics.
    """
    size = world_size()
    if size == 1 or len(targets) < 2 * size:
        return inputs, targets, 1 / size
    rows = slice(rank(), None, size)
    several = isinstance(inputs, tuple | list)
    return tuple(one[rows] for one in inputs) if several else inputs[rows], targets[rows], 1.0


def total(values: Tensor) -> Tensor:
    """The sum over all processes, in place. Shape: any."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def gather(value: Any) -> list[Any]:
    """The values of all processes, in the order of their ranks."""
    values = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(values, value)
    return values


def from_first(value: Any) -> Any:
    """The value of the first process."""
    values = [value]
    if world_size() > 1:
        dist.broadcast_object_list(values, 0)
    return values[0]


def same_buffers(model: nn.Module) -> None:
    """Give every process the buffers of the first one, such as its running statistics."""
    if world_size() > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)
