"""The reference models, one architecture a file. `build` makes any of MODELS by its name."""

from __future__ import annotations

from functools import partial

from torch import nn

from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.models.about import Entry
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
from dlcourse.models.resnet import ResNet
from dlcourse.models.seq2seq import Seq2Seq
from dlcourse.models.text_classifier import TextClassifier
from dlcourse.models.vgg import VGG

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
    "TextClassifier",
    "WideLeNet",
    "build",
    "load_weights",
]

DIGIT, IMAGE, PICTURE = (1, 28, 28), (3, 32, 32), (3, 224, 224)
SMALL = {"image_size": 32, "num_classes": 10}
VGGS = {"11": "A", "13": "B", "16": "D", "19": "E"}
DEPTHS = (20, 32, 44, 56, 110)
HE = "He, Zhang, Ren & Sun"

image_classifier = partial(Entry, kind="image classifier")
vgg = partial(image_classifier, paper="Simonyan & Zisserman", year=2015)
language_model = partial(Entry, kind="language model")
autoencoder = partial(Entry, kind="autoencoder", input_size=DIGIT)

MODELS: dict[str, Entry] = {
    "perceptron": Entry(Perceptron, "neuron", "Rosenblatt", 1958, (2,)),
    "logistic_regression": image_classifier(
        LogisticRegression, paper="Cox", year=1958, input_size=DIGIT
    ),
    "mlp": image_classifier(
        MLP, paper="Rumelhart, Hinton & Williams", year=1986, input_size=DIGIT
    ),
    "lenet5": image_classifier(
        LeNet5, paper="LeCun, Bottou, Bengio & Haffner", year=1998, input_size=DIGIT
    ),
    "wide_lenet": image_classifier(WideLeNet, paper="Jia et al.", year=2014, input_size=DIGIT),
    "alexnet": image_classifier(AlexNet, paper="Krizhevsky", year=2014, input_size=PICTURE),
    "alexnet_32": image_classifier(
        partial(AlexNet, **SMALL), paper="Krizhevsky", year=2014, input_size=IMAGE
    ),
    **{f"vgg{n}": vgg(partial(VGG, letter), input_size=PICTURE) for n, letter in VGGS.items()},
    **{
        f"vgg{n}_bn": vgg(partial(VGG, letter, batch_norm=True), input_size=PICTURE)
        for n, letter in VGGS.items()
    },
    **{
        f"vgg{n}_32": vgg(partial(VGG, letter, **SMALL), input_size=IMAGE)
        for n, letter in VGGS.items()
    },
    **{
        f"vgg{n}_bn_32": vgg(partial(VGG, letter, batch_norm=True, **SMALL), input_size=IMAGE)
        for n, letter in VGGS.items()
    },
    "googlenet": image_classifier(GoogLeNet, paper="Szegedy et al.", year=2014, input_size=PICTURE),
    "resnet18": image_classifier(ResNet, paper=HE, year=2015, input_size=PICTURE),
    "resnet34": image_classifier(
        partial(ResNet, (3, 4, 6, 3)), paper=HE, year=2015, input_size=PICTURE
    ),
    **{
        f"{kind}{depth}": image_classifier(
            partial(CifarResNet, depth, **settings), paper=HE, year=year, input_size=IMAGE
        )
        for kind, year, settings in (
            ("resnet", 2015, {}),
            ("plain", 2015, {"residual": False}),
            ("preact_resnet", 2016, {"preactivation": True}),
        )
        for depth in DEPTHS
    },
    "ngram": language_model(NGram, paper="Kneser & Ney", year=1995),
    "feedforward_lm": language_model(
        FeedForwardLM, paper="Bengio, Ducharme, Vincent & Jauvin", year=2003
    ),
    "elman_lm": language_model(
        partial(RecurrentLM, cell="elman"), paper="Elman 1990; Mikolov et al.", year=2010
    ),
    "lstm_lm": language_model(
        partial(RecurrentLM, cell="lstm"),
        paper="Hochreiter & Schmidhuber 1997; Zaremba et al.",
        year=2014,
    ),
    "gru_lm": language_model(partial(RecurrentLM, cell="gru"), paper="Cho et al.", year=2014),
    "scrn_lm": language_model(partial(RecurrentLM, cell="scrn"), paper="Mikolov et al.", year=2015),
    "text_classifier": Entry(
        TextClassifier, "text classifier", "Hochreiter & Schmidhuber", 1997
    ),
    "seq2seq": Entry(Seq2Seq, "translator", "Bahdanau, Cho & Bengio", 2015),
    "pca": autoencoder(PCA, paper="Pearson", year=1901),
    "deep_autoencoder": autoencoder(DeepAutoencoder, paper="Hinton & Salakhutdinov", year=2006),
    "conv_autoencoder": autoencoder(ConvAutoencoder, paper="Masci et al.", year=2011),
    "denoising_autoencoder": autoencoder(DenoisingAutoencoder, paper="Vincent et al.", year=2008),
    "mlp_gan": Entry(MLPGAN, "generator", "Goodfellow et al.", 2014, (64,)),
    "dcgan": Entry(DCGAN, "generator", "Radford, Metz & Chintala", 2016, (64,)),
    "dcgan_32": Entry(
        partial(DCGAN, image_size=32, channels=3), "generator", "Radford, Metz & Chintala", 2016,
        (64,),
    ),
    "glo": Entry(GLO, "generator", "Bojanowski, Joulin, Lopez-Paz & Szlam", 2017),
}  # fmt: skip


def build(name: str, **settings: object) -> nn.Module:
    """The model called `name`, with `settings` for its constructor.

    Raises UnknownNameError for a name not in MODELS, UsageError for a setting it does not take.
    """
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    try:
        return MODELS[name].builder(**settings)
    except TypeError as error:
        raise UsageError(f"model {name!r}: {error}") from None
