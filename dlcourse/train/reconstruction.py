"""Training without labels: each image is its own target."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

__all__ = ["Reconstruction", "squared_error"]


class Reconstruction:
    """`batches` with each target replaced by its inputs: what an autoencoder is given to `fit`.

    >>> fit(autoencoder, Reconstruction(train), Reconstruction(val), loss=squared_error,
    ...     metrics=(), monitor="loss", mode="min")  # doctest: +SKIP
    """

    def __init__(self, batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return ((inputs, inputs) for inputs, _ in self.batches)

    def __getattr__(self, name: str) -> object:
        """`batch_size`, `seed`, `source`, `set_epoch` and all else is that of the batches."""
        if name == "batches":  # while being copied or unpickled
            raise AttributeError(name)
        return getattr(self.batches, name)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Squared differences summed over a sample, mean over samples. Shape: (N, *) twice -> ()."""
    return (outputs - targets).square().sum() / len(outputs)
