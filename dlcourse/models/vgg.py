"""The VGG networks, from the table of their paper."""

from __future__ import annotations

from torch import Tensor, nn

from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.models.checks import check_images
from dlcourse.values import check_share, check_whole

__all__ = ["CONFIGURATIONS", "VGG"]

# Table 1 of the paper: the maps of each 3x3 convolution, stage by stage, by the column's letter.
CONFIGURATIONS = {
    "A": ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    "B": ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    "D": ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
    "E": ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}


class VGG(nn.Module):
    """Stages of 3x3 convolutions, each closed by pooling (Simonyan & Zisserman 2015,
    arXiv:1409.1556). VGG-16 is column D: 138,357,544 parameters; VGG-19 is E: 143,667,240.

    configuration: the column's letter, "A" (11 layers), "B" (13), "D" (16) or "E" (19).
    batch_norm: normalize before each ReLU of the features (not in the paper, which came first).
    image_size: 224, or 32 for the small form usual on CIFAR: five poolings leave one place, and
    one linear layer follows where the large form has three.

    The names of the weights are torchvision's.
    Shape: inputs (N, 3, image_size, image_size), normalized -> logits (N, num_classes).
    """

    def __init__(
        self,
        configuration: str = "D",
        num_classes: int = 1000,
        image_size: int = 224,
        batch_norm: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_whole(num_classes=num_classes)
        if configuration not in CONFIGURATIONS:
            raise UnknownNameError("configuration", configuration, CONFIGURATIONS)
        if image_size not in (32, 224):
            raise UsageError(f"image_size must be 32 or 224, got {image_size!r}")
        check_share(dropout=dropout)
        self.image_size = image_size
        layers: list[nn.Module] = []
        in_channels = 3
        for stage in CONFIGURATIONS[configuration]:
            for out_channels in stage:
                layers.append(nn.Conv2d(in_channels, out_channels, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(out_channels))
                layers.append(nn.ReLU())
                in_channels = out_channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)  # (N, 512, 7, 7); small (N, 512, 1, 1)
        if image_size == 32:
            self.classifier = nn.Sequential(nn.Linear(512, num_classes))
        else:
            self.classifier = nn.Sequential(
                nn.Linear(512 * 7 * 7, 4096),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(4096, 4096),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(4096, num_classes),
            )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                # Through sixteen layers, torch's own smaller weights let the signal vanish.
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        check_images(inputs, 3, self.image_size)
        return self.classifier(self.features(inputs).flatten(1))
