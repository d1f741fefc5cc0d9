"""What a recipe is, and the recipes, each with its source and the result that it reached.

Accuracies and perplexities are those of the test split, which was read once. "2 cores" are those of
the machine that benchmarks/results names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from dlcourse import data, models
from dlcourse.data import Compose, Crop, Flip
from dlcourse.recipes.nets import DigitNet, ObjectNet
from dlcourse.train import (
    CrossEntropy,
    Execution,
    Gradients,
    History,
    cross_entropy_in_place,
    fit,
)

__all__ = ["RECIPES", "Recipe", "Splits"]


@dataclass(frozen=True)
class Splits:
    """Batches for training, validation and test, and the data set that they are cut from."""

    train: Any
    val: Any
    test: Any
    whole: Any


@dataclass(frozen=True)
class Recipe:
    """A model, its data and its training. The settings were chosen on validation data.

    about: what it is, and its source. expected: the result, the data, and the number of runs.
    model(splits): makes the model for the data. data: a name that `data.load` knows, or
        `data.load_text` if `text` is true.
    batches, training: arguments of `ImageData.batches` (or `TextData.batches`), and of `fit`.
    chooses: whether to keep the weights of the best epoch on validation data; else the last ones.
    """

    about: str
    expected: str
    model: Callable[[Splits], nn.Module]
    data: str
    training: Mapping[str, Any]
    batches: Mapping[str, Any] = field(default_factory=dict)
    text: bool = False
    chooses: bool = True

    @property
    def epochs(self) -> int:
        """How many epochs it trains by default."""
        return int(self.training["epochs"])

    @property
    def metric(self) -> str:
        """The name of the score in which its result is given."""
        return "perplexity" if self.text else "accuracy"

    def splits(
        self,
        data_dir: str | None = None,
        *,
        offline: bool = False,
        seed: int = 0,
        device: str | torch.device = "cpu",
        limit: int | None = None,
    ) -> Splits:
        """Load the data and cut them. limit: see ImageData.batches; texts are not limited."""
        if self.text:
            text = data.load_text(self.data, data_dir, offline=offline)
            return Splits(*text.batches(**self.batches, device=device), text)
        whole = data.load(self.data, data_dir, offline=offline)
        parts = whole.batches(**self.batches, seed=seed, device=device, limit=limit)
        return Splits(*parts, whole)

    def train(self, splits: Splits, *, seed: int = 0, **changed: Any) -> tuple[nn.Module, History]:
        """Train a new model. changed: arguments of `fit` that replace those of the recipe."""
        torch.manual_seed(seed)
        model = self.model(splits)
        settings = {"seed": seed, **self.training, **changed}
        if not self.chooses:
            return model, fit(model, splits.train, **settings)
        return model, fit(model, splits.train, splits.val, metrics=self.metric, **settings)


CROP_AND_FLIP = Compose(Crop(4), Flip())
SMOOTH = CrossEntropy(label_smoothing=0.1)

RECIPES = {
    "mnist-fast": Recipe(
        about="99 % on MNIST in one epoch: batch norm, one-cycle Adam, smoothed labels.",
        expected="99.22 % on MNIST, mean of 10 seeds (least 99.14 %), 2.7 s on 2 cores",
        model=lambda splits: DigitNet(num_classes=splits.whole.num_classes),
        data="mnist",
        batches={"batch_size": 192},
        training={"epochs": 1, "lr": 0.02, "schedule": "onecycle", "loss": SMOOTH},
        chooses=False,
    ),
    "mnist-99.5": Recipe(
        about="99.5 % on MNIST: mnist-fast for five epochs, with shifts of one pixel.",
        expected="99.54 % on MNIST, mean of 5 seeds (least 99.49 %), 15 s on 2 cores",
        model=lambda splits: DigitNet(num_classes=splits.whole.num_classes),
        data="mnist",
        batches={"batch_size": 192, "augment": Crop(1)},
        training={"epochs": 5, "lr": 0.02, "schedule": "onecycle", "loss": SMOOTH},
        chooses=False,
    ),
    "lenet5": Recipe(
        about="LeNet-5 (LeCun et al. 1998) as lab 5 trains it: Adam, one-cycle, 8 epochs.",
        expected="99.13 % on MNIST, median of 3 seeds, 47 s on 2 cores; the paper has 99.05 %",
        model=lambda splits: models.build("lenet5", num_classes=splits.whole.num_classes),
        data="mnist",
        batches={"batch_size": 64},
        training={"epochs": 8, "lr": 3e-3, "schedule": "onecycle"},
    ),
    "cifar10-resnet20": Recipe(
        about="ResNet-20 on CIFAR-10 (He et al. 2015, section 4.2), but with a cosine schedule.",
        expected="87.0 % (pixels went through JPEG), n = 1, 8 minutes on a GPU; paper: 91.25 %",
        model=lambda splits: models.build("resnet20", num_classes=splits.whole.num_classes),
        data="cifar10",
        batches={"batch_size": 128, "augment": CROP_AND_FLIP},
        training={
            "epochs": 164, "optimizer": "momentum", "lr": 0.1, "weight_decay": 1e-4,
            "schedule": "cosine", "execution": Execution(compile=None),
        },
    ),
    "cifar10-fast": Recipe(
        about="A good accuracy on CIFAR-10 in minutes: whitened patches, three pooled stages.",
        expected="87.2 % (pixels went through JPEG), n = 1, 9.4 minutes on 2 cores",
        model=lambda splits: ObjectNet(
            next(iter(splits.train))[0], num_classes=splits.whole.num_classes
        ),
        data="cifar10",
        batches={"batch_size": 256, "augment": Compose(Crop(2), Flip())},
        training={
            "epochs": 6, "optimizer": "nesterov", "lr": 0.35, "weight_decay": 5e-4,
            "schedule": "linear", "loss": SMOOTH,
        },
    ),
    "cifar10-gpu": Recipe(
        about="cifar10-fast for a GPU: wider, in bfloat16, on all training images.",
        expected="90.5 % (pixels went through JPEG), n = 5, 8.4 s on an NVIDIA H200",
        model=lambda splits: ObjectNet(
            next(iter(splits.train))[0], (64, 256, 512), splits.whole.num_classes, momentum=0.4
        ),
        data="cifar10",
        batches={"batch_size": 1024, "val_fraction": 0, "augment": Compose(Crop(2), Flip())},
        training={
            "epochs": 24, "optimizer": "nesterov", "lr": 1.0, "weight_decay": 5e-4,
            "schedule": "linear", "loss": CrossEntropy(label_smoothing=0.2),
        },
        chooses=False,
    ),
    "ptb-lstm100": Recipe(
        about="An LSTM of 100 units on the Penn Treebank (Mikolov et al. 2015), exact softmax.",
        expected="112.7 on the Penn Treebank, n = 1, 21 minutes on 1 core; the paper has 115",
        model=lambda splits: models.RecurrentLM(
            len(splits.whole.vocabulary), hidden_size=100, dropout=0.1, tied=True
        ),
        data="ptb",
        text=True,
        batches={"batch_size": 20, "bptt": 20},
        training={
            "epochs": 12, "optimizer": "sgd", "lr": 20.0, "schedule": "linear",
            "loss": cross_entropy_in_place, "gradients": Gradients(clip_norm=0.25),
        },
    ),
    "char-gpt": Recipe(
        about="A GPT of 4 layers on the characters of tiny Shakespeare, as nanoGPT's for one CPU.",
        expected="test perplexity 5.76, n = 1, 5 minutes on 1 core; nanoGPT has 6.55 (loss 1.88)",
        model=lambda splits: models.TransformerLM(
            len(splits.whole.vocabulary), embedding_dim=128, context_size=64
        ),
        data="tinyshakespeare",
        text=True,
        batches={"batch_size": 16, "bptt": 64},
        training={
            "epochs": 2, "optimizer": "adamw", "lr": 2e-3, "schedule": "onecycle",
            "gradients": Gradients(clip_norm=1.0),
        },
    ),
}  # fmt: skip
