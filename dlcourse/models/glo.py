"""GLO: a generator without a discriminator; each training image has its own latent."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse.errors import UsageError
from dlcourse.models.checks import in_eval_mode
from dlcourse.models.dcgan import SMALLEST, draw_weights, generator

__all__ = ["GLO"]


class GLO(nn.Module):
    """Generative latent optimization (Bojanowski, Joulin, Lopez-Paz & Szlam, arXiv:1707.05776).

    Latents and generator are learned together, so that the generator turns latent i into image i.
    After each step `project` pulls the latents back into the unit ball. New images come from a
    Gaussian fitted to the learned latents.

    num_images: training images. image_size, channels, latent_dim, width: as in DCGAN, whose
    generator it is. Train with `train.laplacian_loss`, as the paper does, or a plain squared error,
    which blurs more.

    Differs from the paper: latents begin random on the sphere, not as principal components.

    Shape: indices int64 (N,) of training images -> images (N, channels, image_size, image_size).
    """

    def __init__(
        self,
        num_images: int = 32,
        image_size: int = 28,
        channels: int = 1,
        latent_dim: int = 32,
        width: int = 32,
    ) -> None:
        super().__init__()
        if min(num_images, channels, latent_dim, width) < 1:
            raise UsageError(
                "num_images, channels, latent_dim and width must be at least 1, got "
                f"{num_images}, {channels}, {latent_dim} and {width}"
            )
        if image_size not in SMALLEST:
            raise UsageError(f"image_size must be 28, 32 or 64, got {image_size}")
        self.latents = nn.Parameter(F.normalize(torch.randn(num_images, latent_dim)))
        self.generator = generator(image_size, channels, latent_dim, width)
        self.generator.apply(draw_weights)

    def forward(self, indices: Tensor) -> Tensor:
        """The images that the generator makes from the latents of these training images."""
        return self.generator(self.latents[indices])

    @torch.no_grad()
    def project(self) -> None:
        """Pull every latent outside the unit ball back onto its surface, in place."""
        self.latents.div_(self.latents.norm(dim=1, keepdim=True).clamp(min=1))

    @torch.no_grad()
    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """New images (num_samples, C, H, W), from a Gaussian with the latents' mean and covariance.

        Batch normalization is in eval mode.
        """
        latents = self.latents.detach()
        centered = latents - latents.mean(0)
        # Rows of noise @ centered / sqrt(n) have the covariance of `centered`, whatever its rank.
        noise = torch.randn(num_samples, len(latents), generator=generator).to(latents)
        drawn = latents.mean(0) + noise @ centered / len(latents) ** 0.5
        with in_eval_mode(self):
            return self.generator(drawn / drawn.norm(dim=1, keepdim=True).clamp(min=1))
