"""The residual networks for CIFAR, the plain ones of equal depth, and pre-activation blocks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse.errors import UsageError
from dlcourse.models.checks import check_images
from dlcourse.values import check_whole

__all__ = ["CifarResNet", "PreActivationBlock", "ResidualBlock"]


def shortcut(inputs: Tensor, out_channels: int, stride: int) -> Tensor:
    """`inputs` at every `stride`-th place, with maps of zeros added (option A: no parameters)."""
    if stride == 1 and out_channels == inputs.shape[1]:
        return inputs
    padding = (0, 0, 0, 0, 0, out_channels - inputs.shape[1])
    return F.pad(inputs[:, :, ::stride, ::stride], padding)


class ResidualBlock(nn.Module):
    """relu(F(x) + x), F two 3x3 convolutions with batch normalization (He et al. 2015, figure 2).

    residual: False leaves "+ x" out: a plain block.
    Shape: inputs (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, residual: bool = True
    ) -> None:
        super().__init__()
        check_whole(in_channels=in_channels, out_channels=out_channels, stride=stride)
        self.residual = residual
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, inputs: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(inputs)))
        x = self.bn2(self.conv2(x))
        if self.residual:
            x = x + shortcut(inputs, x.shape[1], self.conv1.stride[0])
        return F.relu(x)


class PreActivationBlock(nn.Module):
    """F(x) + x, normalization and ReLU before each convolution (He et al. 2016, arXiv:1603.05027).

    x passes unchanged from the first block to the last.
    Shape: inputs (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, residual: bool = True
    ) -> None:
        super().__init__()
        check_whole(in_channels=in_channels, out_channels=out_channels, stride=stride)
        self.residual = residual
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.conv1(F.relu(self.bn1(inputs)))
        x = self.conv2(F.relu(self.bn2(x)))
        if self.residual:
            x = x + shortcut(inputs, x.shape[1], self.conv1.stride[0])
        return x


class CifarResNet(nn.Module):
    """6n + 2 layers: a convolution, three stages of n blocks, a linear layer (He et al. 2015, 4.2).

    depth: 20, 32, 44, 56, 110 in the paper: 0.27, 0.46, 0.66, 0.85, 1.7 M parameters.
    residual: False gives the plain network of equal depth and equally many parameters.
    preactivation: True gives the blocks of He et al. 2016, with one more normalization at the end.
    width: maps in the first stage, doubled in each of the next two; 16 in the paper.

    Shape: inputs (N, 3, H, W), H and W at least 4 and 32 in the paper -> logits (N, num_classes).
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential

    def __init__(
        self,
        depth: int = 20,
        num_classes: int = 10,
        residual: bool = True,
        preactivation: bool = False,
        width: int = 16,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        check_whole(num_classes=num_classes, width=width, in_channels=in_channels)
        if depth < 8 or (depth - 2) % 6:
            raise UsageError(f"depth must be 6n + 2 (8, 14, 20, 26, 32, ...), got {depth}")
        self.preactivation = preactivation
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4 * width if preactivation else width)
        make_block = PreActivationBlock if preactivation else ResidualBlock
        in_channels = width
        for stage in range(3):
            blocks, out_channels = [], width * 2**stage
            for block in range((depth - 2) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(make_block(in_channels, out_channels, stride, residual))
                in_channels = out_channels
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(in_channels, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, inputs: Tensor) -> Tensor:
        check_images(inputs, self.conv1.in_channels, least=4)
        x = self.conv1(inputs)  # (N, width, H, W)
        if not self.preactivation:
            x = F.relu(self.bn1(x))
        x = self.layer3(self.layer2(self.layer1(x)))  # (N, 4 width, H / 4, W / 4)
        if self.preactivation:
            x = F.relu(self.bn1(x))
        return self.fc(x.mean(dim=(2, 3)))
