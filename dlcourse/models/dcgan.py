"""DCGAN: a generator and a discriminator of strided convolutions."""

from __future__ import annotations

from torch import nn

from dlcourse.errors import UsageError
from dlcourse.models.gan import GAN
from dlcourse.values import check_whole

__all__ = ["DCGAN", "SMALLEST", "draw_weights", "generator"]

# The height of the smallest maps for each image size; each stage of the generator doubles it.
SMALLEST = {28: 7, 32: 4, 64: 4}


def generator(image_size: int, channels: int, latent_dim: int, width: int) -> nn.Sequential:
    """Latents (N, latent_dim) -> images (N, channels, image_size, image_size) in [0, 1]."""
    size = SMALLEST[image_size]
    maps = width * image_size // (2 * size)
    layers = [
        nn.Unflatten(1, (latent_dim, 1, 1)),
        nn.ConvTranspose2d(latent_dim, maps, size, bias=False),  # (N, maps, size, size)
        nn.BatchNorm2d(maps),
        nn.ReLU(),
    ]
    while maps > width:
        layers += [  # twice the height and width, half the maps
            nn.ConvTranspose2d(maps, maps // 2, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(maps // 2),
            nn.ReLU(),
        ]
        maps //= 2
    return nn.Sequential(
        *layers, nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), nn.Sigmoid()
    )


def discriminator(image_size: int, channels: int, width: int) -> nn.Sequential:
    """Images (N, channels, image_size, image_size) -> logits (N,), high for a real image."""
    layers = [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    maps, size = width, image_size // 2
    while size > SMALLEST[image_size]:
        layers += [  # half the height and width, twice the maps
            nn.Conv2d(maps, 2 * maps, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * maps),
            nn.LeakyReLU(0.2),
        ]
        maps, size = 2 * maps, size // 2
    return nn.Sequential(*layers, nn.Conv2d(maps, 1, size), nn.Flatten(0))


class DCGAN(GAN):
    """DCGAN (Radford, Metz & Chintala 2016, arXiv:1511.06434) for 28x28, 32x32 or 64x64 images.

    Strided convolutions replace pooling. Batch normalization follows every layer except the
    generator's last and the discriminator's first. The generator uses ReLU, the discriminator
    LeakyReLU 0.2, and weights are drawn with standard deviation 0.02. width: maps of the layers
    next to the image; each further layer has twice as many (in the paper 128 in the generator, for
    64x64).

    Differs from the paper: pixels in [0, 1] and a sigmoid for [-1, 1] and tanh (the same up to
    scale), normal latents for uniform ones; 28x28 starts from 7x7 maps, not 4x4.

    Shape: latents (N, latent_dim) -> images (N, channels, image_size, image_size) in [0, 1].
    """

    def __init__(
        self, image_size: int = 28, channels: int = 1, latent_dim: int = 64, width: int = 32
    ) -> None:
        if image_size not in SMALLEST:
            raise UsageError(f"image_size must be 28, 32 or 64, got {image_size}")
        check_whole(width=width)
        super().__init__((channels, image_size, image_size), latent_dim)
        self.generator = generator(image_size, channels, latent_dim, width)
        self.discriminator = discriminator(image_size, channels, width)
        self.apply(draw_weights)


def draw_weights(layer: nn.Module) -> None:
    """Weights of a layer from N(0, 0.02), scales of batch normalization from N(1, 0.02)."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
