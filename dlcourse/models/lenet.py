"""LeNet-5, the convolutional network that read checks, and a wider one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse.models.checks import check_images
from dlcourse.values import check_whole

__all__ = ["LeNet5", "WideLeNet"]


class LeNet5(nn.Module):
    """LeNet-5 for 28x28 images (LeCun, Bottou, Bengio & Haffner 1998), 61,706 parameters.

    Differs from the paper: ReLU for tanh, max-pooling for trained averages, every map of conv2
    sees every map of conv1, softmax for radial basis functions. The paper pads its 28x28 digits
    to 32x32; padding 2 in conv1 does the same. (Without padding, fc1 has 256 inputs, not 400,
    and the network 44,426 parameters.)

    Shape: inputs (N, 1, 28, 28), normalized -> logits (N, num_classes).
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        check_whole(num_classes=num_classes)
        self.conv1 = nn.Conv2d(1, 6, kernel_size=5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        check_images(inputs, 1, 28)
        # ReLU and maximum commute; pooling first leaves ReLU a quarter of the numbers.
        x = F.relu(F.max_pool2d(self.conv1(inputs), 2))  # (N, 6, 14, 14)
        x = F.relu(F.max_pool2d(self.conv2(x), 2))  # (N, 16, 5, 5)
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 120)
        x = F.relu(self.fc2(x))  # (N, 84)
        return self.fc3(x)


class WideLeNet(nn.Module):
    """LeNet with 20 and 50 maps and 500 hidden units (lecture K), 431,080 parameters.

    The form that came with Caffe (Jia et al. 2014): no padding, so 28x28 becomes 50 maps of 4x4,
    800 numbers.

    Shape: inputs (N, 1, 28, 28), normalized -> logits (N, num_classes).
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        check_whole(num_classes=num_classes)
        self.conv1 = nn.Conv2d(1, 20, kernel_size=5)
        self.conv2 = nn.Conv2d(20, 50, kernel_size=5)
        self.fc1 = nn.Linear(800, 500)
        self.fc2 = nn.Linear(500, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        check_images(inputs, 1, 28)
        x = F.relu(F.max_pool2d(self.conv1(inputs), 2))  # (N, 20, 12, 12)
        x = F.relu(F.max_pool2d(self.conv2(x), 2))  # (N, 50, 4, 4)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))
