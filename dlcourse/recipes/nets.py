"""Small networks that reach a good accuracy soon; the reference models are in `dlcourse.models`."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DigitNet", "ObjectNet"]


def pooled(in_channels: int, out_channels: int, padding: int = 1) -> nn.Sequential:
    """A 3x3 convolution, the larger of each 2x2, batch norm, ReLU: (N, C, H, W) -> H/2, W/2.

    Pooling comes first, so that what follows has a quarter of the numbers.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=padding, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def same(in_channels: int, out_channels: int) -> nn.Sequential:
    """A 3x3 convolution, batch norm, ReLU: (N, C, H, W) -> the same H, W."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


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
    """Three pooled stages for 32x32 images, the last two with a residual block each.

    Shape: inputs (N, 3, 32, 32), normalized -> logits (N, num_classes).
    Source: the layout of Page 2018, "How to train your ResNet".
    """

    def __init__(
        self, widths: tuple[int, int, int, int] = (32, 64, 128, 128), num_classes: int = 10
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        self.stage1 = pooled(widths[0], widths[1])
        self.stage2 = pooled(widths[1], widths[2])
        self.stage3 = pooled(widths[2], widths[3])
        self.block = nn.Sequential(*(same(widths[3], widths[3]) for _ in range(2)))
        self.fc = nn.Linear(widths[3], num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(self.stem(inputs))))  # (N, widths[3], 4, 4)
        x = x + self.block(x)
        return self.fc(F.max_pool2d(x, 4).flatten(1))  # (N, num_classes)
