"""The reference models by name: where each comes from, what it takes, how large it is."""

from __future__ import annotations

import inspect
import itertools
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dlcourse.errors import UnknownNameError, UsageError

__all__ = ["MODELS", "Entry", "as_dicts", "as_text", "build", "register"]


@dataclass(frozen=True)
class Entry:
    """One model in MODELS.

    model: "module.Class" below dlcourse.models, imported when the model is built, or a class or
        function that returns a model. Every argument has a default, `arguments` and `settings`
        change some of them.
    kind: what the model is for. paper, year: who described it and when. input_size: the size of
    one sample under the defaults, or () for token numbers of any length.
    """

    model: str | Callable[..., nn.Module]
    kind: str
    paper: str
    year: int | None
    input_size: tuple[int, ...] = ()
    arguments: tuple[Any, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def function(self) -> Callable[..., nn.Module]:
        """The class or function itself, imported if necessary."""
        if not isinstance(self.model, str):
            return self.model
        module, name = self.model.split(".")
        found: Callable[..., nn.Module] = getattr(import_module(f"dlcourse.models.{module}"), name)
        return found

    @property
    def is_here(self) -> bool:
        """Whether this copy of the package has the model; the student bundle lacks some."""
        if not isinstance(self.model, str):
            return True
        return Path(__file__).with_name(f"{self.model.split('.')[0]}.py").is_file()

    @property
    def builder(self) -> Callable[..., nn.Module]:
        """The function that builds the model; it takes further settings by name."""
        if not self.arguments and not self.settings:
            return self.function
        return partial(self.function, *self.arguments, **self.settings)

    def example_inputs(self) -> tuple[torch.Tensor, ...]:
        """Arguments for `forward`, a batch of one sample: zeros of the size, or token numbers."""
        if self.input_size:
            return (torch.zeros(1, *self.input_size),)
        if self.kind == "generator":  # the number of an image
            return (torch.zeros(1, dtype=torch.int64),)
        tokens = torch.zeros(1, TOKENS, dtype=torch.int64)
        return (tokens, tokens) if self.kind == "translator" else (tokens,)


TOKENS = 20  # length of an example
DIGIT, IMAGE, PICTURE = (1, 28, 28), (3, 32, 32), (3, 224, 224)
SMALL = {"image_size": 32, "num_classes": 10}
VGGS = {"11": "A", "13": "B", "16": "D", "19": "E"}
DEPTHS = (20, 32, 44, 56, 110)
HE = "He, Zhang, Ren & Sun"

image_classifier = partial(Entry, kind="image classifier")
vgg = partial(image_classifier, "vgg.VGG", paper="Simonyan & Zisserman", year=2015)
language_model = partial(Entry, kind="language model")
recurrent_lm = partial(language_model, "recurrent_lm.RecurrentLM")
autoencoder = partial(Entry, kind="autoencoder", input_size=DIGIT)
dcgan = partial(Entry, "dcgan.DCGAN", "generator", "Radford, Metz & Chintala", 2016, (64,))

IN_THE_COURSE: dict[str, Entry] = {
    "perceptron": Entry("perceptron.Perceptron", "neuron", "Rosenblatt", 1958, (2,)),
    "logistic_regression": image_classifier(
        "logistic_regression.LogisticRegression", paper="Cox", year=1958, input_size=DIGIT
    ),
    "mlp": image_classifier(
        "mlp.MLP", paper="Rumelhart, Hinton & Williams", year=1986, input_size=DIGIT
    ),
    "lenet5": image_classifier(
        "lenet.LeNet5", paper="LeCun, Bottou, Bengio & Haffner", year=1998, input_size=DIGIT
    ),
    "wide_lenet": image_classifier(
        "lenet.WideLeNet", paper="Jia et al.", year=2014, input_size=DIGIT
    ),
    "spatial_transformer": image_classifier(
        "spatial_transformer.SpatialTransformer",
        paper="Jaderberg, Simonyan, Zisserman & Kavukcuoglu",
        year=2015,
        input_size=DIGIT,
    ),
    "alexnet": image_classifier(
        "alexnet.AlexNet", paper="Krizhevsky", year=2014, input_size=PICTURE
    ),
    "alexnet_32": image_classifier(
        "alexnet.AlexNet", paper="Krizhevsky", year=2014, input_size=IMAGE, settings=SMALL
    ),
    **{
        f"vgg{n}{'_bn' * norm}{'_32' * small}": vgg(
            input_size=IMAGE if small else PICTURE,
            arguments=(letter,),
            settings=({"batch_norm": True} if norm else {}) | (SMALL if small else {}),
        )
        for small in (False, True)
        for norm in (False, True)
        for n, letter in VGGS.items()
    },
    "googlenet": image_classifier(
        "googlenet.GoogLeNet", paper="Szegedy et al.", year=2014, input_size=PICTURE
    ),
    "resnet18": image_classifier("resnet.ResNet", paper=HE, year=2015, input_size=PICTURE),
    "resnet34": image_classifier(
        "resnet.ResNet", paper=HE, year=2015, input_size=PICTURE, arguments=((3, 4, 6, 3),)
    ),
    **{
        f"{kind}{depth}": image_classifier(
            "cifar_resnet.CifarResNet", paper=HE, year=year, input_size=IMAGE,
            arguments=(depth,), settings=settings,
        )
        for kind, year, settings in (
            ("resnet", 2015, {}),
            ("plain", 2015, {"residual": False}),
            ("preact_resnet", 2016, {"preactivation": True}),
        )
        for depth in DEPTHS
    },
    "ngram": language_model("ngram.NGram", paper="Kneser & Ney", year=1995),
    "feedforward_lm": language_model(
        "feedforward_lm.FeedForwardLM", paper="Bengio, Ducharme, Vincent & Jauvin", year=2003
    ),
    "elman_lm": recurrent_lm(
        paper="Elman 1990; Mikolov et al.", year=2010, settings={"cell": "elman"}
    ),
    "lstm_lm": recurrent_lm(
        paper="Hochreiter & Schmidhuber 1997; Zaremba et al.", year=2014, settings={"cell": "lstm"}
    ),
    "gru_lm": recurrent_lm(paper="Cho et al.", year=2014, settings={"cell": "gru"}),
    "scrn_lm": recurrent_lm(paper="Mikolov et al.", year=2015, settings={"cell": "scrn"}),
    "transformer_lm": language_model(
        "transformer_lm.TransformerLM", paper="Vaswani et al. 2017; Radford et al.", year=2019
    ),
    "text_classifier": Entry(
        "text_classifier.TextClassifier", "text classifier", "Hochreiter & Schmidhuber", 1997
    ),
    "seq2seq": Entry("seq2seq.Seq2Seq", "translator", "Bahdanau, Cho & Bengio", 2015),
    "pca": autoencoder("pca.PCA", paper="Pearson", year=1901),
    "deep_autoencoder": autoencoder(
        "autoencoder.DeepAutoencoder", paper="Hinton & Salakhutdinov", year=2006
    ),
    "conv_autoencoder": autoencoder(
        "conv_autoencoder.ConvAutoencoder", paper="Masci et al.", year=2011
    ),
    "denoising_autoencoder": autoencoder(
        "denoising_autoencoder.DenoisingAutoencoder", paper="Vincent et al.", year=2008
    ),
    "mlp_gan": Entry("gan.MLPGAN", "generator", "Goodfellow et al.", 2014, (64,)),
    "dcgan": dcgan(),
    "dcgan_32": dcgan(settings={"image_size": 32, "channels": 3}),
    "glo": Entry("glo.GLO", "generator", "Bojanowski, Joulin, Lopez-Paz & Szlam", 2017),
}  # fmt: skip
MODELS = {name: entry for name, entry in IN_THE_COURSE.items() if entry.is_here}


def build(name: str, **settings: Any) -> nn.Module:
    """Build the model called `name`, with `settings` for its constructor.

    Raises UnknownNameError for a name not in MODELS, UsageError for a setting it does not take.
    """
    if name not in MODELS and name in IN_THE_COURSE:
        raise UsageError(f"model {name!r} is not in the student bundle")
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    try:
        return MODELS[name].builder(**settings)
    except TypeError as error:
        raise UsageError(f"model {name!r}: {error}") from None


def register(
    name: str,
    model: Callable[..., nn.Module],
    *,
    input_size: tuple[int, ...] = (),
    kind: str = "image classifier",
    paper: str = "your own",
    year: int | None = None,
    **settings: Any,
) -> None:
    """Give a model of your own a name that `build` and the commands know.

    model: a class or function that returns a module; every argument needs a default, in its
        signature or in `settings`. Commands can set the arguments by name (`--axis width=8,16`).
        If it takes `num_classes`, `in_channels` or `in_features`, `compare` fits them to the data.
    input_size: the size of one sample, for example (1, 28, 28), or () for token numbers.

    >>> register("tiny", nn.Linear, input_size=(4,), in_features=4, out_features=2)
    >>> build("tiny", out_features=3).weight.shape
    torch.Size([3, 4])
    >>> entry = MODELS.pop("tiny")

    Raises UsageError for a name that is taken, and for a model that is not callable or has an
    argument without a value.
    """
    if name in MODELS:
        raise UsageError(f"model {name!r} already exists; choose another name")
    if not callable(model) or isinstance(model, nn.Module):
        raise UsageError(f"model {name!r} needs a class or function that builds it, got {model!r}")
    try:
        inspect.signature(model).bind(**settings)
    except TypeError as error:
        raise UsageError(f"model {name!r}: {error}; give every argument a default") from None
    MODELS[name] = Entry(model, kind, paper, year, tuple(input_size), settings=settings)


def departures(model: Callable[..., nn.Module]) -> str:
    """What the docstring of a model says about differences from its paper, or ""."""
    match = re.search(r"Differs from the paper[^:]*: (.*?)(?:\n\n|\Z)", inspect.getdoc(model) or "",
                      re.S)  # fmt: skip
    return " ".join(match[1].split()) if match else ""


def count_parameters(builder: Callable[..., nn.Module]) -> int:
    """The number of parameters, or of numbers in buffers for a model without parameters (PCA)."""
    with torch.device("meta"):  # nothing is allocated
        model = builder()
    return sum(p.numel() for p in model.parameters()) or sum(b.numel() for b in model.buffers())


def as_dicts(models: Mapping[str, Entry]) -> list[dict[str, Any]]:
    """For JSON, a row for each model: name, kind, paper, year, input_size, parameters, departs."""
    return [
        {
            "name": name,
            "kind": entry.kind,
            "paper": entry.paper,
            "year": entry.year,
            "input_size": list(entry.input_size),
            "parameters": count_parameters(entry.builder),
            "departs": departures(entry.function),
        }
        for name, entry in models.items()
    ]


def as_text(models: Mapping[str, Entry]) -> str:
    """A table for people. Consecutive models of one class share the line on their differences."""
    lines = [f"{'name':<24}{'input':<12}{'parameters':>12}  paper"]
    for departs, rows in itertools.groupby(as_dicts(models), key=lambda row: row["departs"]):
        for row in rows:
            size = "x".join(map(str, row["input_size"])) or "integers"
            paper = f"{row['paper']} {row['year'] or ''}".strip()
            lines.append(f"{row['name']:<24}{size:<12}{row['parameters']:>12,}  {paper}")
        lines += textwrap.wrap(
            f"differs: {departs}" if departs else "", 96, initial_indent=" " * 8,
            subsequent_indent=" " * 8,
        )  # fmt: skip
    return "\n".join(lines)
