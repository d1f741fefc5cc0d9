"""The generative adversarial network of linear layers, and the base of every GAN here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlcourse.errors import UsageError
from dlcourse.models.checks import in_eval_mode

__all__ = ["GAN", "MLPGAN"]


class GAN(nn.Module):
    """A generator and a discriminator (Goodfellow et al. 2014, arXiv:1406.2661).

    image_shape: (C, H, W). latent_dim: how many numbers, drawn from N(0, 1), make one image.
    A subclass sets `generator`, latents (N, latent_dim) -> images (N, C, H, W) in [0, 1], and
    `discriminator`, images -> logits (N,), high for a real image. `dlcourse.train.fit_gan` trains
    them against each other.

    Raises UsageError for impossible sizes, and for latents or images of another shape.
    """

    generator: nn.Module
    discriminator: nn.Module

    def __init__(self, image_shape: Sequence[int], latent_dim: int) -> None:
        super().__init__()
        self.image_shape, self.latent_dim = tuple(image_shape), latent_dim
        if len(self.image_shape) != 3 or min(*self.image_shape, latent_dim) < 1:
            raise UsageError(
                "image_shape must be (channels, height, width) and latent_dim a number, each at "
                f"least 1, got {self.image_shape} and {latent_dim}"
            )

    def forward(self, latents: Tensor) -> Tensor:
        """Generate images from latents. Shape: (N, latent_dim) -> (N, C, H, W)."""
        if latents.dim() != 2 or latents.shape[1] != self.latent_dim:
            raise UsageError(
                f"latents must have the shape (N, {self.latent_dim}), got {tuple(latents.shape)}"
            )
        return self.generator(latents)

    def discriminate(self, images: Tensor) -> Tensor:
        """Score how real images look. Shape: (N, C, H, W) in [0, 1] -> logits (N,)."""
        if images.dim() != 4 or tuple(images.shape[1:]) != self.image_shape:
            expected = ", ".join(map(str, self.image_shape))
            raise UsageError(
                f"images must have the shape (N, {expected}), got {tuple(images.shape)}"
            )
        return self.discriminator(images)

    def draw_latents(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents (num_samples, latent_dim) from N(0, 1), drawn on the CPU, the same everywhere."""
        latents = torch.randn(num_samples, self.latent_dim, generator=generator)
        return latents.to(next(self.parameters()))

    @torch.no_grad()
    def sample(
        self, num_samples: int, generator: torch.Generator | None = None, batch_size: int = 500
    ) -> Tensor:
        """New images (num_samples, C, H, W) in [0, 1], with batch normalization in eval mode."""
        latents = self.draw_latents(num_samples, generator)
        with in_eval_mode(self):
            return torch.cat([self(part) for part in latents.split(batch_size)])


class MLPGAN(GAN):
    """The GAN of linear layers (Goodfellow et al. 2014).

    hidden_sizes: widths of the generator's hidden layers; the discriminator has the same ones in
    reverse order.

    Differs from the paper: LeakyReLU 0.2 for maxout units in the discriminator, without dropout.

    Shape: latents (N, latent_dim) -> images (N, C, H, W) in [0, 1].
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        latent_dim: int = 64,
        hidden_sizes: Sequence[int] = (256, 512),
    ) -> None:
        super().__init__(image_shape, latent_dim)
        if min(hidden_sizes, default=1) < 1:
            raise UsageError(f"hidden_sizes must be at least 1 each, got {tuple(hidden_sizes)}")
        features = math.prod(self.image_shape)
        self.generator = nn.Sequential(
            *linear_layers([latent_dim, *hidden_sizes, features], nn.ReLU()),
            nn.Sigmoid(),
            nn.Unflatten(1, self.image_shape),
        )
        self.discriminator = nn.Sequential(
            nn.Flatten(),
            *linear_layers([features, *reversed(hidden_sizes), 1], nn.LeakyReLU(0.2)),
            nn.Flatten(0),
        )


def linear_layers(sizes: Sequence[int], activation: nn.Module) -> list[nn.Module]:
    """Linear layers from each size to the next, `activation` between them."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), activation]
    return layers[:-1]
