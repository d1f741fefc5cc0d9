"""The reference models, one architecture in each file. `build` makes any of MODELS by its name.

A name is imported when it is first used, so that building one model does not load the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlcourse.models.alexnet import AlexNet
    from dlcourse.models.autoencoder import DeepAutoencoder
    from dlcourse.models.checks import load_weights
    from dlcourse.models.cifar_resnet import CifarResNet
    from dlcourse.models.conv_autoencoder import ConvAutoencoder
    from dlcourse.models.dcgan import DCGAN
    from dlcourse.models.denoising_autoencoder import DenoisingAutoencoder
    from dlcourse.models.feedforward_lm import FeedForwardLM
    from dlcourse.models.gan import MLPGAN
    from dlcourse.models.glo import GLO
    from dlcourse.models.googlenet import GoogLeNet
    from dlcourse.models.lenet import LeNet5, WideLeNet
    from dlcourse.models.logistic_regression import LogisticRegression
    from dlcourse.models.mlp import MLP
    from dlcourse.models.ngram import NGram
    from dlcourse.models.pca import PCA
    from dlcourse.models.perceptron import Perceptron
    from dlcourse.models.recurrent_lm import RecurrentLM
    from dlcourse.models.registry import MODELS, Entry, build, register
    from dlcourse.models.resnet import ResNet
    from dlcourse.models.seq2seq import Seq2Seq
    from dlcourse.models.spatial_transformer import SpatialTransformer
    from dlcourse.models.text_classifier import TextClassifier
    from dlcourse.models.transformer_lm import TransformerLM
    from dlcourse.models.vgg import VGG

HOME = {
    "AlexNet": "alexnet",
    "CifarResNet": "cifar_resnet",
    "ConvAutoencoder": "conv_autoencoder",
    "DCGAN": "dcgan",
    "DeepAutoencoder": "autoencoder",
    "DenoisingAutoencoder": "denoising_autoencoder",
    "Entry": "registry",
    "FeedForwardLM": "feedforward_lm",
    "GLO": "glo",
    "GoogLeNet": "googlenet",
    "LeNet5": "lenet",
    "LogisticRegression": "logistic_regression",
    "MLP": "mlp",
    "MLPGAN": "gan",
    "MODELS": "registry",
    "NGram": "ngram",
    "PCA": "pca",
    "Perceptron": "perceptron",
    "RecurrentLM": "recurrent_lm",
    "ResNet": "resnet",
    "Seq2Seq": "seq2seq",
    "SpatialTransformer": "spatial_transformer",
    "TextClassifier": "text_classifier",
    "TransformerLM": "transformer_lm",
    "VGG": "vgg",
    "WideLeNet": "lenet",
    "build": "registry",
    "load_weights": "checks",
    "register": "registry",
}

__all__ = [
    "DCGAN",
    "GLO",
    "MLP",
    "MLPGAN",
    "MODELS",
    "PCA",
    "VGG",
    "AlexNet",
    "CifarResNet",
    "ConvAutoencoder",
    "DeepAutoencoder",
    "DenoisingAutoencoder",
    "Entry",
    "FeedForwardLM",
    "GoogLeNet",
    "LeNet5",
    "LogisticRegression",
    "NGram",
    "Perceptron",
    "RecurrentLM",
    "ResNet",
    "Seq2Seq",
    "SpatialTransformer",
    "TextClassifier",
    "TransformerLM",
    "WideLeNet",
    "build",
    "load_weights",
    "register",
]


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *HOME])
