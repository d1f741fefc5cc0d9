"""Image data sets by name, as tensors in memory: found, downloaded, or a stand-in."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dlcourse.data import catalog
from dlcourse.data.batches import Augment, Batches
from dlcourse.data.folder import data_folder
from dlcourse.data.normalize import Standardization
from dlcourse.data.npz import check_arrays, read_npz
from dlcourse.data.synthetic.digits import draw_digits
from dlcourse.data.torchvision_files import find_files, read_files
from dlcourse.errors import DataError, UnknownNameError, UsageError
from dlcourse.values import check_share, check_whole

__all__ = ["ImageData", "load", "stratified_split"]


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images and labels in memory.

    train_images, test_images: uint8 (N, C, H, W). train_labels, test_labels: int64 (N,), 0 to
    num_classes - 1. source: where the data come from, in words. synthetic: whether they are a
    stand-in.

    Raises DataError for tensors of another shape, type or range.
    """

    name: str
    source: str
    synthetic: bool
    class_names: tuple[str, ...]
    train_images: Tensor = field(repr=False)
    train_labels: Tensor = field(repr=False)
    test_images: Tensor = field(repr=False)
    test_labels: Tensor = field(repr=False)

    def __post_init__(self) -> None:
        tensors = {f"{s}_{w}": getattr(self, f"{s}_{w}")
                   for s in ("train", "test") for w in ("images", "labels")}  # fmt: skip
        for name, tensor in tensors.items():
            if not isinstance(tensor, Tensor):
                raise DataError(f"{name} of {self.name!r} must be a tensor, got {type(tensor)}")
        arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
        check_arrays(arrays | {"class_names": np.array(self.class_names, str)}, self.name)

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    def batches(
        self,
        batch_size: int = 64,
        *,
        val_fraction: float = 0.1,
        seed: int = 0,
        device: str | torch.device = "cpu",
        augment: Augment | None = None,
        limit: int | None = None,
        normalize: str = "channel",
        drop_last: bool = False,
        split_seed: int = 0,
    ) -> tuple[Batches, Batches, Batches]:
        """Batches for training (shuffled, augmented), validation and test (neither).

        val_fraction: the share of the training images that is cut off for validation, each class
            in proportion. `split_seed` draws them, so runs with different seeds validate on the
            same images.
        seed: for the order and the augmentation. augment: see `dlcourse.data.augment`.
        limit: at most so many training images (validation included) and test images, each class
            in proportion.
        normalize: "channel", "pixel" or "none", measured on the training part alone.

        Raises UsageError for a value that makes no sense.
        """
        if limit is not None:
            check_whole(limit=limit)
        check_whole(0, split_seed=split_seed)
        check_share(val_fraction=val_fraction)
        generator = torch.Generator().manual_seed(split_seed)
        chosen = subset(self.train_labels, limit, generator)
        rest, cut = stratified_split(self.train_labels[chosen], val_fraction, generator)
        images, labels = self.train_images.to(device), self.train_labels.to(device)
        make = functools.partial(
            Batches,
            batch_size=batch_size,
            normalize=Standardization.of(images, chosen[rest], normalize),
            source=self.source,
            synthetic=self.synthetic,
            seed=seed,
        )
        return (
            make(
                images, labels, indices=chosen[rest], shuffle=True,
                drop_last=drop_last, augment=augment,
            ),
            make(images, labels, indices=chosen[cut]),
            make(
                self.test_images.to(device), self.test_labels.to(device),
                indices=subset(self.test_labels, limit, generator),
            ),
        )  # fmt: skip


def subset(labels: Tensor, limit: int | None, generator: torch.Generator) -> Tensor:
    if limit is None or limit >= len(labels):
        return torch.arange(len(labels))
    return stratified_subset(labels, limit, generator)


def load(
    name: str, data_dir: str | PathLike[str] | None = None, *, offline: bool = False
) -> ImageData:
    """The image data set called `name`: one of the course's, a registered one, or any `<name>.npz`
    in the data folder.

    Of these, the first that exists is taken: `<name>.npz`, torchvision's files, a download (unless
    `offline`), the synthetic stand-in, which is announced on stderr and in `source`.
    data_dir: the data folder, else $DLCOURSE_DATA, else datasets/.

    Raises UnknownNameError, and DataError for files that are damaged or incomplete.
    """
    entry = catalog.CATALOG.get(name)
    if entry is not None:
        catalog.check_kind(entry, "images")
    if name in catalog.REGISTERED:
        made = catalog.REGISTERED[name].make()
        if not isinstance(made, ImageData):
            raise UsageError(f"data set {name!r} is not an ImageData, got {type(made).__name__}")
        return made
    folder = data_folder(data_dir)
    npz = folder / f"{name}.npz"
    if Path(name).name == name and npz.is_file():
        title = entry.title if entry else name
        return from_arrays(name, f"{title} from {npz}", read_npz(npz), entry)
    if entry is None:
        own = sorted(path.stem for path in folder.glob("*.npz"))
        raise UnknownNameError("data set", name, dict.fromkeys([*catalog.names("images"), *own]))
    why = "--offline"
    if not offline:
        from dlcourse.data.store import get

        try:
            get(name, folder)
        except DataError as error:
            why = str(error)
        if npz.is_file():
            return from_arrays(name, f"{entry.title} from {npz}", read_npz(npz), entry)
    if paths := find_files(entry, folder):
        where = paths[0] if entry.layout == "cifar" else paths[0].parent
        return from_arrays(name, f"{entry.title} from {where}", read_files(entry, paths), entry)
    return stand_in(entry, folder, why)


def from_arrays(
    name: str, source: str, arrays: dict[str, np.ndarray], entry: catalog.DataSet | None
) -> ImageData:
    names = arrays.get("class_names")
    num_classes = int(arrays["train_labels"].max()) + 1
    if names is not None:
        class_names = tuple(map(str, names))
    elif entry is not None and len(entry.classes) == num_classes:
        class_names = entry.classes
    else:
        class_names = tuple(map(str, range(num_classes)))
    return ImageData(
        name,
        source,
        False,
        class_names,
        *(
            torch.from_numpy(arrays[f"{split}_{what}"])
            for split in ("train", "test")
            for what in ("images", "labels")
        ),
    )


def stand_in(entry: catalog.DataSet, folder: Path, why: str) -> ImageData:
    """The synthetic data set in place of `entry`, announced on stderr with the reason."""
    print(
        f"dlcourse: {entry.title} IS NOT HERE: SYNTHETIC {entry.stand_in.upper()} TAKE ITS PLACE.\n"
        f"  Looked in {str(folder)!r} for {entry.name}.npz and {entry.files[0].path}; {why}\n"
        f"  For the real data: `dlcourse data get {entry.name}`",
        file=sys.stderr,
    )
    class_names, tensors = draw(entry.stand_in, len(entry.classes))
    source = f"synthetic {entry.stand_in} (stand-in for {entry.title})"
    return ImageData(entry.name, source, True, class_names, *tensors)


@functools.lru_cache(maxsize=2)
def draw(
    kind: str, num_classes: int
) -> tuple[tuple[str, ...], tuple[Tensor, Tensor, Tensor, Tensor]]:
    if kind == "digits":
        return tuple("0123456789"), draw_digits()
    from dlcourse.data.synthetic.shapes import class_names, draw_shapes

    return class_names(num_classes), draw_shapes(num_classes=num_classes)


def stratified_subset(labels: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Indices int64 (n,), sorted, of `n` samples; the share of each class is exact to within one.

    labels: int64 (N,), on the CPU, n <= N.
    """
    shuffled = torch.randperm(len(labels), generator=generator)
    shuffled = shuffled[labels[shuffled].argsort(stable=True)]
    counts = labels.bincount()
    # Taking evenly from the samples sorted by class gives every class its share to within one.
    rank = torch.arange(len(labels)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    share = (rank + 0.5) / counts.repeat_interleave(counts)
    return shuffled[share.argsort(stable=True)[:n]].sort().values


def stratified_split(
    labels: Tensor, fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Indices of the rest and of `fraction` of the samples, each class in proportion, sorted.

    Raises UsageError unless 0 <= fraction < 1, and for a fraction that is not 0 but rounds to no
    sample.
    """
    check_share(val_fraction=fraction)
    size = round(fraction * len(labels))
    if fraction and not size:
        raise UsageError(
            f"val_fraction {fraction} of {len(labels)} samples is less than one sample; give a "
            "larger fraction, or 0 for no validation"
        )
    chosen = stratified_subset(labels, size, generator)
    rest = torch.ones(len(labels), dtype=torch.bool)
    rest[chosen] = False
    return rest.nonzero().squeeze(1), chosen
