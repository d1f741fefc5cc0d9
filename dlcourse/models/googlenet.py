"""GoogLeNet, and the Inception block that it is made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse.models.checks import check_images
from dlcourse.values import check_whole

__all__ = ["AuxiliaryClassifier", "GoogLeNet", "Inception"]

# Table 1 of the paper: channels of the 1x1 branch, the reduction before 3x3, 3x3, the reduction
# before 5x5, 5x5, and the projection after pooling. A pooling stands between two stages (3b, 4a).
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class ConvReLU(nn.Sequential):
    """A convolution that keeps the size (unless it strides), batch normalization, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        padding = kernel_size // 2
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


class Inception(nn.Module):
    """Filters of three sizes and a pooling, side by side (Szegedy et al. 2014, figure 2b).

    1x1 convolutions make the expensive branches narrow first.
    Shape: inputs (N, in_channels, H, W) -> (N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W).
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
    ) -> None:
        super().__init__()
        check_whole(
            in_channels=in_channels, ch1x1=ch1x1, ch3x3red=ch3x3red, ch3x3=ch3x3,
            ch5x5red=ch5x5red, ch5x5=ch5x5, pool_proj=pool_proj,
        )  # fmt: skip
        self.branch1 = ConvReLU(in_channels, ch1x1, 1)
        self.branch2 = nn.Sequential(
            ConvReLU(in_channels, ch3x3red, 1), ConvReLU(ch3x3red, ch3x3, 3)
        )
        self.branch3 = nn.Sequential(
            ConvReLU(in_channels, ch5x5red, 1), ConvReLU(ch5x5red, ch5x5, 5)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), ConvReLU(in_channels, pool_proj, 1)
        )
        self.out_channels = ch1x1 + ch3x3 + ch5x5 + pool_proj

    def forward(self, inputs: Tensor) -> Tensor:
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return torch.cat([branch(inputs) for branch in branches], dim=1)


class AuxiliaryClassifier(nn.Module):
    """A classifier at half depth that brings gradients there; used only in training.

    Shape: inputs (N, in_channels, H, W) -> logits (N, num_classes).
    """

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.7) -> None:
        super().__init__()
        self.conv = ConvReLU(in_channels, 128, 1)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.conv(F.adaptive_avg_pool2d(inputs, 4)).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x))))


class GoogLeNet(nn.Module):
    """GoogLeNet, 22 layers (Szegedy et al. 2014, arXiv:1409.4842, table 1).

    Differs from the paper: batch normalization after each convolution (Ioffe & Szegedy 2015) for
    local response normalization, which makes it train from random weights without care. The 5x5
    filters are the paper's (torchvision's are 3x3).

    In training mode, forward returns a tuple: the logits, then the logits of the two auxiliary
    classifiers. The paper adds their losses with weight 0.3 each, and `dlcourse.train.fit` does the
    same. In eval mode it returns the logits alone.

    Shape: inputs (N, 3, H, W), H and W at least 32 and 224 in the paper -> logits
    (N, num_classes), in training mode three of these.
    """

    # `fit` reads this: what each auxiliary classifier's loss counts in training.
    auxiliary_weight = 0.3

    def __init__(self, num_classes: int = 1000, dropout: float = 0.4) -> None:
        super().__init__()
        check_whole(num_classes=num_classes)
        self.stem = nn.Sequential(
            ConvReLU(3, 64, 7, stride=2),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            ConvReLU(64, 64, 1),
            ConvReLU(64, 192, 3),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 192, H / 8, W / 8)
        )
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inceptions = nn.ModuleDict()
        in_channels = 192
        for name, maps in INCEPTIONS.items():
            self.inceptions[name] = block = Inception(in_channels, *maps)
            in_channels = block.out_channels
            if name == "4a":
                self.aux1 = AuxiliaryClassifier(in_channels, num_classes)
            elif name == "4d":
                self.aux2 = AuxiliaryClassifier(in_channels, num_classes)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(in_channels, num_classes)

    def forward(self, inputs: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        check_images(inputs, 3, least=32)
        x, auxiliary = self.stem(inputs), []
        for name, block in self.inceptions.items():
            if name in ("4a", "5a"):
                x = self.pool(x)
            x = block(x)
            if self.training and name in ("4a", "4d"):
                classifier = self.aux1 if name == "4a" else self.aux2
                auxiliary.append(classifier(x))
        logits = self.fc(self.dropout(x.mean(dim=(2, 3))))
        return (logits, *auxiliary) if self.training else logits
