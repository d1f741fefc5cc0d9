"""Training without labels: the inputs are the targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

__all__ = ["Reconstruction"]


class Reconstruction:
    """`batches` with every target replaced by its inputs, for training an autoencoder.

    >>> fit(autoencoder, Reconstruction(train), Reconstruction(val),
    ...     loss=squared_error)  # doctest: +SKIP
    """

    unlabeled = True  # `fit` measures the loss alone

    def __init__(self, batches: Any) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return ((inputs, inputs) for inputs, _ in self.batches)

    def __getattr__(self, name: str) -> Any:
        """Every other attribute (`batch_size`, `seed`, `set_epoch`) is that of the batches."""
        # `batches` is missing while an object is copied or unpickled. Labels are not the targets.
        if name in ("batches", "labels"):
            raise AttributeError(name)
        return getattr(self.batches, name)
