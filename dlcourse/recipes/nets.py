"""Small networks that reach a good accuracy soon; the reference models are in `dlcourse.models`."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DigitNet", "ObjectNet", "pooled"]


def pooled(in_channels: int, out_channels: int) -> nn.Sequential:
    """A 3x3 convolution, the larger of each 2x2, batch norm, ReLU: (N, C, H, W) -> H/2, W/2.

    Pooling comes first, so that what follows has a quarter of the numbers.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


class DigitNet(nn.Module):
    """Three convolutions for 28x28 digits, the first with a stride, each with batch norm.

    Shape: inputs (N, 1, 28, 28), normalized -> logits (N, num_classes).
    """

    def __init__(self, widths: tuple[int, int, int] = (16, 32, 64), num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths[0], 5, stride=2, bias=False)
        self.norm1 = nn.BatchNorm2d(widths[0])
        self.stage2 = pooled(widths[0], widths[1])
        self.stage3 = pooled(widths[1], widths[2])
        self.fc = nn.Linear(widths[2] * 9, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(inputs)))  # (N, widths[0], 12, 12)
        x = self.stage3(self.stage2(x))  # (N, widths[2], 3, 3)
        return self.fc(x.flatten(1))


class ObjectNet(nn.Module):
    """Three pooled stages for 32x32 images, the last two with a residual block each.

    Shape: inputs (N, 3, 32, 32), normalized -> logits (N, num_classes).
    Source: the layout of Page 2018, "How to train your ResNet".
    """

    def __init__(
        self, widths: tuple[int, int, int, int] = (32, 64, 128, 256), num_classes: int = 10
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        self.stage1 = pooled(widths[0], widths[1])
        self.stage2 = pooled(widths[1], widths[2])
        self.stage3 = pooled(widths[2], widths[3])
        self.block = nn.Sequential(*(same(widths[3]) for _ in range(2)))
        self.fc = nn.Linear(widths[3], num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(self.stem(inputs))))  # (N, widths[3], 4, 4)
        x = x + self.block(x)
        return self.fc(F.max_pool2d(x, 4).flatten(1))  # (N, num_classes)


def same(channels: int) -> nn.Sequential:
    """A 3x3 convolution, batch norm, ReLU: (N, C, H, W) -> the same shape."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )
