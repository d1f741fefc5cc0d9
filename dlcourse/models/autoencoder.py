"""The deep autoencoder, and what every autoencoder here shares: encode, decode, forward."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from dlcourse.errors import UsageError

__all__ = ["Autoencoder", "DeepAutoencoder"]


class Autoencoder(nn.Module):
    """From images to a few numbers and back: forward(inputs) = decode(encode(inputs)).

    image_shape: (C, H, W). latent_dim: numbers in a code. A code with more numbers than the image
    has would let the network copy it, so it is refused unless `overcomplete`. A subclass sets the
    modules `encoder`, (N, C, H, W) -> (N, latent_dim), and `decoder`, back to (N, C, H, W), or
    overrides `map_to_codes` and `map_to_images`.

    Raises UsageError for impossible sizes, and for inputs of another shape.
    """

    encoder: nn.Module
    decoder: nn.Module

    def __init__(
        self, image_shape: Sequence[int], latent_dim: int, *, overcomplete: bool = False
    ) -> None:
        super().__init__()
        self.image_shape, self.latent_dim = tuple(image_shape), latent_dim
        if len(self.image_shape) != 3 or min(self.image_shape) < 1:
            raise UsageError(
                f"image_shape must be (channels, height, width), each at least 1, "
                f"got {self.image_shape}"
            )
        in_features = math.prod(self.image_shape)
        if latent_dim < 1 or (latent_dim > in_features and not overcomplete):
            raise UsageError(
                f"latent_dim must be from 1 to {in_features}, the numbers in an image of shape "
                f"{self.image_shape}, got {latent_dim}"
            )

    def encode(self, inputs: Tensor) -> Tensor:
        """The codes of images. Shape: (N, C, H, W) -> (N, latent_dim)."""
        self.check_images(inputs)
        return self.map_to_codes(inputs)

    def decode(self, codes: Tensor) -> Tensor:
        """The images of codes. Shape: (N, latent_dim) -> (N, C, H, W)."""
        if codes.dim() != 2 or codes.shape[1] != self.latent_dim:
            raise UsageError(
                f"codes must have the shape (N, {self.latent_dim}), got {tuple(codes.shape)}"
            )
        return self.map_to_images(codes)

    def map_to_codes(self, inputs: Tensor) -> Tensor:
        codes: Tensor = self.encoder(inputs)
        return codes

    def map_to_images(self, codes: Tensor) -> Tensor:
        images: Tensor = self.decoder(codes)
        return images

    def forward(self, inputs: Tensor) -> Tensor:
        return self.decode(self.encode(inputs))

    def check_images(self, inputs: Tensor) -> None:
        """Raise UsageError unless `inputs` are images of `image_shape`."""
        if inputs.dim() != 4 or tuple(inputs.shape[1:]) != self.image_shape:
            expected = ", ".join(map(str, self.image_shape))
            raise UsageError(
                f"inputs must have the shape (N, {expected}), got {tuple(inputs.shape)}"
            )


class DeepAutoencoder(Autoencoder):
    """The deep autoencoder 784-1000-500-250-30 and back (Hinton & Salakhutdinov 2006).

    hidden_sizes: widths of the encoder's hidden layers; the decoder mirrors them. Codes are
    linear, pixels logistic, as in the paper.

    Differs from the paper: SiLU for logistic hidden units (with ReLU the same training leaves a
    third more error), and trained whole from random weights
    (He et al. 2015) where the paper first trains each layer as a restricted Boltzmann machine.

    Shape: inputs (N, C, H, W) in [0, 1] -> the same, through codes (N, latent_dim).
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        hidden_sizes: Sequence[int] = (1000, 500, 250),
        latent_dim: int = 30,
    ) -> None:
        super().__init__(image_shape, latent_dim)
        sizes = [math.prod(image_shape), *hidden_sizes, latent_dim]
        if min(sizes) < 1:
            raise UsageError(f"hidden_sizes must be at least 1 each, got {tuple(hidden_sizes)}")
        self.encoder = nn.Sequential(nn.Flatten(), *linear_layers(sizes))
        self.decoder = nn.Sequential(
            *linear_layers(sizes[::-1]), nn.Sigmoid(), nn.Unflatten(1, self.image_shape)
        )
        self.apply(draw_weights)


def linear_layers(sizes: Sequence[int]) -> list[nn.Module]:
    """Linear layers from each size to the next, SiLU between them."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.SiLU()]
    return layers[:-1]


def draw_weights(layer: nn.Module) -> None:
    """Weights of a layer as He et al. 2015 draw them for ReLU.

    With torch's own, smaller ones the images hardly reach the code of a deep autoencoder: after
    three epochs its error is still three times as large.
    """
    if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
