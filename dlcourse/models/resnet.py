"""ResNet-18 and ResNet-34 for ImageNet, and the basic block that they are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse.models.checks import check_images
from dlcourse.values import check_whole

__all__ = ["BasicBlock", "ResNet"]


class BasicBlock(nn.Module):
    """relu(F(x) + x), F two 3x3 convolutions with batch normalization (He et al. 2015, figure 2).

    If the size or the number of maps changes, a 1x1 convolution adapts x (option B).

    Shape: inputs (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        check_whole(in_channels=in_channels, out_channels=out_channels, stride=stride)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, inputs: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(inputs)))
        x = self.bn2(self.conv2(x))
        shortcut = inputs if self.downsample is None else self.downsample(inputs)
        return F.relu(x + shortcut)


class ResNet(nn.Module):
    """A residual network of basic blocks (He, Zhang, Ren & Sun 2015, arXiv:1512.03385, table 1).

    num_blocks: how many in each of the four stages: (2, 2, 2, 2) is ResNet-18, 11,689,512
    parameters; (3, 4, 6, 3) is ResNet-34, 21,797,672. The names of the weights are torchvision's.

    Shape: inputs (N, 3, H, W), H and W at least 32 and 224 in the paper -> logits (N, num_classes).
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self, num_blocks: Sequence[int] = (2, 2, 2, 2), num_classes: int = 1000) -> None:
        super().__init__()
        check_whole(num_classes=num_classes, least_num_blocks=min(num_blocks))
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        in_channels = 64
        for stage, count in enumerate(num_blocks, start=1):
            out_channels = 32 * 2**stage  # 64, 128, 256, 512
            blocks = []
            for block in range(count):
                stride = 2 if stage > 1 and block == 0 else 1
                blocks.append(BasicBlock(in_channels, out_channels, stride))
                in_channels = out_channels
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(in_channels, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, inputs: Tensor) -> Tensor:
        check_images(inputs, 3, least=32)
        x = self.maxpool(F.relu(self.bn1(self.conv1(inputs))))  # (N, 64, H / 4, W / 4)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)  # at last (N, 512, H / 32, W / 32)
        return self.fc(x.mean(dim=(2, 3)))
