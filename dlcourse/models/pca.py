"""Principal component analysis, the best linear autoencoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dlcourse.errors import UsageError
from dlcourse.models.autoencoder import Autoencoder

__all__ = ["PCA"]


class PCA(Autoencoder):
    """Codes are coordinates along the directions in which the images vary most (Pearson 1901).

    `fit` finds these directions; nothing is trained by gradients. No other linear code of
    `latent_dim` numbers has a smaller squared error (Eckart & Young 1936).

    Buffers: `mean` (D,), `components` (latent_dim, D), orthonormal rows by falling variance, and
    `variances` (latent_dim,), where D = C * H * W.

    Shape: inputs (N, C, H, W) -> the same, through codes (N, latent_dim).
    """

    mean: Tensor
    components: Tensor
    variances: Tensor

    def __init__(self, image_shape: Sequence[int] = (1, 28, 28), latent_dim: int = 30) -> None:
        super().__init__(image_shape, latent_dim)
        in_features = math.prod(self.image_shape)
        self.register_buffer("mean", torch.zeros(in_features))
        self.register_buffer("components", torch.zeros(latent_dim, in_features))
        self.register_buffer("variances", torch.zeros(latent_dim))

    @torch.no_grad()
    def fit(self, images: Tensor) -> PCA:
        """Find mean and components by the singular value decomposition of the centered images.

        images: (N, C, H, W), N above latent_dim. Components are signed so that the largest number
        of each is positive. Raises UsageError for too few images.
        """
        self.check_images(images)
        if len(images) <= self.latent_dim:
            raise UsageError(
                f"PCA to {self.latent_dim} numbers needs more than {self.latent_dim} images, "
                f"got {len(images)}"
            )
        data = images.flatten(1).to(self.mean)  # (N, D)
        mean = data.mean(0)
        data = data - mean
        # The right singular vectors of an (N, D) matrix are those of its R, (D, D), found in
        # a fraction of the time where N is large; squaring the data instead would lose digits.
        if len(data) > data.shape[1]:
            data = torch.linalg.qr(data, mode="r").R
        _, values, components = torch.linalg.svd(data, full_matrices=False)
        components = components[: self.latent_dim]
        largest = components.gather(1, components.abs().argmax(1, keepdim=True))
        self.mean.copy_(mean)
        self.components.copy_(components * largest.sign())
        self.variances.copy_(values[: self.latent_dim].square() / (len(images) - 1))
        return self

    def map_to_codes(self, inputs: Tensor) -> Tensor:
        return (inputs.flatten(1) - self.mean) @ self.components.T

    def map_to_images(self, codes: Tensor) -> Tensor:
        return (codes @ self.components + self.mean).unflatten(1, self.image_shape)
