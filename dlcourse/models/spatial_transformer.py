"""The spatial transformer: a network that turns its input upright before it reads it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse.models.checks import check_images
from dlcourse.models.lenet import LeNet5
from dlcourse.values import check_whole

__all__ = ["SpatialTransformer"]


class SpatialTransformer(nn.Module):
    """LeNet-5 behind a spatial transformer (Jaderberg, Simonyan, Zisserman & Kavukcuoglu 2015),
    67,226 parameters, of which the localization network has 5,520.

    The localization network looks at the image and gives an affine map, and the image is sampled
    anew through this map. The maps start as the identity.
    Differs from the paper: a smaller localization network, and LeNet-5 as the classifier.

    Shape: inputs (N, 1, 28, 28), in [0, 1] or normalized -> logits (N, num_classes). What lies
    outside the image counts as 0.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        check_whole(num_classes=num_classes)
        self.localization = nn.Sequential(
            nn.Conv2d(1, 8, kernel_size=7),
            nn.MaxPool2d(2),
            nn.ReLU(),  # (N, 8, 11, 11)
            nn.Conv2d(8, 10, kernel_size=5),
            nn.MaxPool2d(2),
            nn.ReLU(),  # (N, 10, 3, 3)
            nn.Flatten(),
            nn.Linear(90, 32),
            nn.ReLU(),
        )
        self.affine = nn.Linear(32, 6)
        nn.init.zeros_(self.affine.weight)
        with torch.no_grad():
            self.affine.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))
        self.classifier = LeNet5(num_classes)

    def theta(self, inputs: Tensor) -> Tensor:
        """The affine map of each image, (N, 2, 3); see `torch.nn.functional.affine_grid`."""
        check_images(inputs, 1, 28)
        return self.affine(self.localization(inputs)).unflatten(1, (2, 3))

    def sample(self, inputs: Tensor, theta: Tensor) -> Tensor:
        """The images seen through the affine maps, of the same shape as `inputs`."""
        grid = F.affine_grid(theta, list(inputs.shape), align_corners=False)
        return F.grid_sample(inputs, grid, align_corners=False)

    def transform(self, inputs: Tensor) -> Tensor:
        """The images as the classifier sees them, of the same shape as `inputs`."""
        return self.sample(inputs, self.theta(inputs))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.classifier(self.transform(inputs))
