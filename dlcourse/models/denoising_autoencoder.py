"""The denoising autoencoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse.errors import UsageError
from dlcourse.models.autoencoder import Autoencoder

__all__ = ["DenoisingAutoencoder", "mask_pixels"]


def mask_pixels(inputs: Tensor, fraction: float) -> Tensor:
    """`inputs` with each number set to 0 with probability `fraction`, by torch's own generator."""
    return inputs * (torch.rand_like(inputs) >= fraction)


class DenoisingAutoencoder(Autoencoder):
    """One hidden layer that learns to mend its input (Vincent, Larochelle, Bengio & Manzagol 2008).

    In training `forward` first sets each pixel to 0 with probability `mask_fraction`; the loss
    then compares with the whole image. That, and not a narrow code, keeps it from copying: codes
    may be wider than the data. Logistic units; the decoder's weight is the encoder's transposed.

    Shape: inputs (N, C, H, W) in [0, 1] -> the same, through codes (N, latent_dim) in [0, 1].
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        latent_dim: int = 500,
        mask_fraction: float = 0.25,
    ) -> None:
        super().__init__(image_shape, latent_dim, overcomplete=True)
        if not 0 <= mask_fraction < 1:
            raise UsageError(f"mask_fraction must be at least 0 and below 1, got {mask_fraction}")
        self.mask_fraction = mask_fraction
        in_features = math.prod(self.image_shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(in_features, latent_dim), nn.Sigmoid())
        self.decoder_bias = nn.Parameter(torch.zeros(in_features))

    def decoder(self, codes: Tensor) -> Tensor:
        images = F.linear(codes, self.encoder[1].weight.T, self.decoder_bias).sigmoid()
        return images.unflatten(1, self.image_shape)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            inputs = mask_pixels(inputs, self.mask_fraction)
        return super().forward(inputs)
