"""The convolutional autoencoder."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from dlcourse.errors import UsageError
from dlcourse.models.autoencoder import Autoencoder
from dlcourse.values import check_whole

__all__ = ["ConvAutoencoder"]


class ConvAutoencoder(Autoencoder):
    """Strided convolutions down to the code, transposed ones back up (after Masci et al. 2011).

    width: maps at half the image's height and width; at a quarter there are twice as many.

    Differs from the paper: strides for max-pooling, a linear code of `latent_dim` numbers behind
    the maps, trained whole instead of layer by layer.

    Shape: inputs (N, C, H, W) in [0, 1], H and W multiples of 4 -> the same, through codes
    (N, latent_dim).
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        width: int = 16,
        latent_dim: int = 30,
    ) -> None:
        super().__init__(image_shape, latent_dim)
        C, H, W = self.image_shape
        check_whole(width=width)
        if H % 4 or W % 4:
            raise UsageError(f"height and width must be multiples of 4, got {H}x{W}")
        smallest = (2 * width, H // 4, W // 4)
        features = 2 * width * (H // 4) * (W // 4)
        self.encoder = nn.Sequential(
            nn.Conv2d(C, width, 4, stride=2, padding=1),  # (N, width, H/2, W/2)
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),  # (N, 2 width, H/4, W/4)
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(features, latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, features),
            nn.ReLU(),
            nn.Unflatten(1, smallest),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, C, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )
