"""Small networks that reach a good accuracy soon; the reference models are in `dlcourse.models`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DigitNet", "ObjectNet"]

# A direction of the patches with less variance than this is hardly blown up.
LEAST_VARIANCE = 5e-4
ReLU = partial(nn.ReLU, inplace=True)


def pooled(
    in_channels: int,
    out_channels: int,
    padding: int = 1,
    activation: Callable[[], nn.Module] = ReLU,
) -> nn.Sequential:
    """A 3x3 convolution, the larger of each 2x2, batch norm, activation: H, W -> H/2, W/2.

    Pooling comes first, so that what follows has a quarter of the numbers.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=padding, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(out_channels),
        activation(),
    )


def same(
    in_channels: int, out_channels: int, activation: Callable[[], nn.Module] = ReLU
) -> nn.Sequential:
    """A 3x3 convolution, batch norm, activation: (N, C, H, W) -> the same H, W."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        activation(),
    )


def whitening_filters(images: Tensor, size: int = 2) -> Tensor:
    """Filters whose outputs on `images` (N, C, H, W) are uncorrelated, each of variance 1.

    They are the principal directions of all patches of `size` x `size`, over their standard
    deviations, and the same negated, for a rectifier keeps one half: (2 C size^2, C, size, size).
    """
    C = images.shape[1]
    patches = F.unfold(images.cpu(), size).transpose(1, 2).flatten(0, 1)  # (patches, C size^2)
    variances, directions = torch.linalg.eigh(patches.T.cov())
    filters = (directions / (variances + LEAST_VARIANCE).sqrt()).T.view(-1, C, size, size)
    return torch.cat([filters, -filters])


class DigitNet(nn.Module):
    """Three convolutions with batch norm and a hidden layer, for 28x28 digits.

    The first convolution has a stride and leaves out two pixels of the margin, which is blank.

    Shape: inputs (N, 1, 28, 28), normalized -> logits (N, num_classes).
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)
        )
        self.stage2 = pooled(16, 32, padding=0)
        self.stage3 = same(32, 64)
        self.fc1 = nn.Linear(64 * 4 * 4, 128)
        self.fc2 = nn.Linear(128, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.stem(inputs[:, :, 2:-2, 2:-2])  # (N, 16, 10, 10)
        x = self.stage3(self.stage2(x))  # (N, 64, 4, 4)
        x = x.permute(0, 2, 3, 1).flatten(1)  # in memory's order under channels_last: no copy
        return self.fc2(F.relu(self.fc1(x)))


class ObjectNet(nn.Module):
    """Whitened patches, then three pooled stages of two convolutions, for 32x32 images.

    The first layer is fixed: filters that whiten the 2x2 patches of `images`, a sample of the
    inputs, normalized, (N, 3, H, W). Other filters start by handing their inputs through. In eval
    mode the logits are the mean of those of each image and of its mirror image. momentum: that of
    batch norm.

    Shape: inputs (N, 3, 32, 32), normalized -> logits (N, num_classes).
    Source: Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498, with
    fewer channels.
    """

    def __init__(
        self,
        images: Tensor,
        widths: tuple[int, int, int] = (64, 128, 256),
        num_classes: int = 10,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        filters = whitening_filters(images)
        self.whiten = nn.Conv2d(3, len(filters), 2)
        self.whiten.weight = nn.Parameter(filters, requires_grad=False)
        self.stages = nn.Sequential()
        for narrow, wide in pairwise((len(filters), *widths)):
            self.stages.append(pooled(narrow, wide, activation=nn.GELU))
            self.stages.append(same(wide, wide, activation=nn.GELU))
        for layer in self.stages.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.dirac_(layer.weight.data[: layer.in_channels])
            elif isinstance(layer, nn.BatchNorm2d):
                layer.momentum = momentum
        self.fc = nn.Linear(widths[-1], num_classes, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        logits = self.logits(inputs)
        return logits if self.training else (logits + self.logits(inputs.flip(3))) / 2

    def logits(self, inputs: Tensor) -> Tensor:
        """The logits of the images as they are: (N, 3, 32, 32) -> (N, num_classes)."""
        x = self.stages(F.gelu(self.whiten(inputs)))  # (N, widths[-1], 3, 3)
        # A ninth: no batch norm bounds these outputs at the learning rate of the other layers.
        return self.fc(x.amax(dim=(2, 3))) / 9
