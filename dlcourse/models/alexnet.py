"""AlexNet."""

from __future__ import annotations

from torch import Tensor, nn

from dlcourse.errors import UsageError
from dlcourse.models.checks import check_images
from dlcourse.values import check_share, check_whole

__all__ = ["AlexNet"]


class AlexNet(nn.Module):
    """AlexNet, one tower (Krizhevsky 2014, arXiv:1404.5997), 61,100,840 parameters for ImageNet.

    Differs from the paper of 2012 (Krizhevsky, Sutskever & Hinton): no local response
    normalization, no split over two GPUs, 64 maps in the first layer. The names of its weights
    are torchvision's.

    image_size: 224, or 32 for the course's small form: the first filters are 5x5 with stride 1
    where the large form has 11x11 with stride 4, and the hidden layers have 1024 units for 4096.

    Shape: inputs (N, 3, image_size, image_size), normalized -> logits (N, num_classes).
    """

    def __init__(
        self, num_classes: int = 1000, image_size: int = 224, dropout: float = 0.5
    ) -> None:
        super().__init__()
        check_whole(num_classes=num_classes)
        if image_size not in (32, 224):
            raise UsageError(f"image_size must be 32 or 224, got {image_size!r}")
        check_share(dropout=dropout)
        self.image_size = image_size
        large = image_size == 224
        stem = nn.Conv2d(3, 64, 11, 4, padding=2) if large else nn.Conv2d(3, 64, 5, padding=2)
        self.features = nn.Sequential(
            stem,  # (N, 64, 55, 55); small (N, 64, 32, 32)
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),  # (N, 64, 27, 27); (N, 64, 15, 15)
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),  # (N, 192, 13, 13); (N, 192, 7, 7)
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),  # (N, 256, 6, 6); (N, 256, 3, 3)
        )
        places, hidden_size = (36, 4096) if large else (9, 1024)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * places, hidden_size),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_size, hidden_size),
            nn.ReLU(),
            nn.Linear(hidden_size, num_classes),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        check_images(inputs, 3, self.image_size)
        return self.classifier(self.features(inputs).flatten(1))
