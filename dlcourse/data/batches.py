"""Batches sliced from tensors that stay in memory on the device: no workers, no per-sample Python.

Order and augmentation of epoch e depend on (seed, e) alone and are drawn on the CPU, so they are
the same on every device (as in `torch.utils.data.DistributedSampler`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from dlcourse.errors import UsageError
from dlcourse.values import check_whole

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
    Each pass is the next epoch, unless `set_epoch` sets another one.

    Raises UsageError for arguments that do not fit together, and for `drop_last` if it would leave
    no batch.
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
        check_whole(batch_size=batch_size)
        check_whole(0, seed=seed)
        if len(images) != len(labels):
            raise UsageError(f"{len(images)} images do not match {len(labels)} labels")
        for name, function in (("augment", augment), ("normalize", normalize)):
            if function is not None and (isinstance(function, type) or not callable(function)):
                hint = f"; write {function.__name__}()" if isinstance(function, type) else ""
                raise UsageError(f"{name} must be a function or None, got {function!r}{hint}")
        if indices is not None and len(indices):
            low, high = int(indices.min()), int(indices.max())
            if indices.dtype != torch.int64 or low < 0 or high >= len(images):
                raise UsageError(
                    f"indices must be int64, 0 to {len(images) - 1}, "
                    f"got {indices.dtype}, {low} to {high}"
                )
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.indices = torch.arange(len(images)) if indices is None else indices
        self.shuffle, self.drop_last = shuffle, drop_last
        self.normalize, self.augment = normalize, augment
        self.seed, self.source, self.synthetic = seed, source, synthetic
        self.epoch = 0
        if drop_last and len(self) == 0:
            raise UsageError(
                f"drop_last with batch_size {batch_size} leaves no batch of {self.num_samples} "
                "samples; use a smaller batch_size"
            )

    @property
    def num_samples(self) -> int:
        """How many samples there are, including any that drop_last leaves out."""
        return len(self.indices)

    @property
    def device(self) -> torch.device:
        """Where the batches are."""
        return self.images.device

    def __len__(self) -> int:
        whole, rest = divmod(self.num_samples, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be epoch `epoch` (from 0)."""
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
