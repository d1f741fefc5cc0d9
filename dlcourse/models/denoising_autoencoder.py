"""The denoising autoencoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse.models.autoencoder import Autoencoder
from dlcourse.values import check_share

__all__ = ["DenoisingAutoencoder", "mask_pixels"]


def mask_pixels(inputs: Tensor, fraction: float) -> Tensor:
    """`inputs` with each number set to 0 with probability `fraction`, by torch's own generator."""
    return inputs * (torch.rand_like(inputs) >= fraction)


class DenoisingAutoencoder(Autoencoder):
    """One hidden layer that learns to repair its input (Vincent et al. 2008).

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
        check_share(mask_fraction=mask_fraction)
        self.mask_fraction = mask_fraction
        in_features = math.prod(self.image_shape)
        hidden = nn.Linear(in_features, latent_dim)
        self.encoder = nn.Sequential(nn.Flatten(), hidden, nn.Sigmoid())
        self.decoder_bias = nn.Parameter(torch.zeros(in_features))

    @property
    def weight(self) -> Tensor:
        """The weight that encoder and decoder share. Shape: (latent_dim, C * H * W)."""
        return self.encoder.get_parameter("1.weight")

    def map_to_images(self, codes: Tensor) -> Tensor:
        images = F.linear(codes, self.weight.T, self.decoder_bias).sigmoid()
        return images.unflatten(1, self.image_shape)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            inputs = mask_pixels(inputs, self.mask_fraction)
        return super().forward(inputs)
