"""Batches sliced from tensors that stay in memory on the device: no workers, no per-sample Python.

Order and augmentation of epoch e are a function of (seed, e) alone, drawn on the CPU, so that they
are the same on every device (as `torch.utils.data.DistributedSampler` does with its epoch).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from dlcourse.errors import UsageError

__all__ = ["Augment", "Batches", "epoch_generator"]

Augment = Callable[[Tensor, torch.Generator], Tensor]


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """A CPU generator for one epoch; neighboring seeds and epochs share no stream."""
    state = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


class Batches:
    """An iterable of (inputs float32 (B, C, H, W), targets int64 (B,)) on the device of `images`.

    images: uint8 (N, C, H, W). labels: int64 (N,). indices: int64 (n,), the samples to use (None:
        all); the tensors are shared, not copied.
    normalize(float32 batch) -> float32 batch; may work in place. augment(uint8 batch, generator)
        -> uint8 batch, on the whole batch, before it is normalized.
    Each pass is the next epoch, unless `set_epoch` says which. Raises UsageError for a batch_size
    below 1.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        *,
        indices: Tensor | None = None,
        shuffle: bool = False,
        drop_last: bool = False,
        normalize: Callable[[Tensor], Tensor] | None = None,
        augment: Augment | None = None,
        seed: int = 0,
        source: str = "",
        synthetic: bool = False,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, got {batch_size}")
        if seed < 0:
            raise UsageError(f"seed must be 0 or more, got {seed}")
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.indices = torch.arange(len(images)) if indices is None else indices
        self.shuffle, self.drop_last = shuffle, drop_last
        self.normalize, self.augment = normalize, augment
        self.seed, self.source, self.synthetic = seed, source, synthetic
        self.epoch = 0

    @property
    def num_samples(self) -> int:
        """How many samples there are, those that drop_last leaves out included."""
        return len(self.indices)

    @property
    def device(self) -> torch.device:
        """Where the batches are."""
        return self.images.device

    def __len__(self) -> int:
        whole, rest = divmod(self.num_samples, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass that of `epoch` (from 0)."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = epoch_generator(self.seed, self.epoch)
        self.epoch += 1
        order = self.indices
        if self.shuffle:
            order = order[torch.randperm(len(order), generator=generator)]
        order = order.to(self.device)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            images = self.images.index_select(0, chosen)
            if self.augment is not None:
                images = self.augment(images, generator)
            inputs = images.float() if images.dtype == torch.uint8 else images
            if self.normalize is not None:
                inputs = self.normalize(inputs)
            yield inputs, self.labels.index_select(0, chosen)
