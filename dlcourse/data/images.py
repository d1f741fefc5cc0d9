"""Image data sets by name: found, fetched or replaced by a stand-in, as tensors in memory."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
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
from dlcourse.data.split import stratified_split, stratified_subset
from dlcourse.data.synthetic.digits import draw_digits
from dlcourse.data.torchvision_files import find_files, read_files
from dlcourse.errors import DataError, UnknownNameError, UsageError

__all__ = ["ImageData", "load"]


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images and labels in memory.

    train_images, test_images: uint8 (N, C, H, W). train_labels, test_labels: int64 (N,).
    source: where they came from, in words. synthetic: whether a stand-in takes their place.
    """

    name: str
    source: str
    synthetic: bool
    class_names: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor

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
        """Batches to train on (shuffled, augmented), to validate on and to test on (neither).

        val_fraction: share of the training images that is cut off for validation, each class in
            proportion, by `split_seed`, so that runs with other seeds validate on the same images.
        seed: of the order and of the augmentation. augment: see `dlcourse.data.augment`.
        limit: at most so many training images (validation included), and test images; classes in
            proportion.
        normalize: "channel", "pixel" or "none", measured on the training part alone.

        Raises UsageError for a value that cannot be.
        """
        if limit is not None and limit < 1:
            raise UsageError(f"limit must be at least 1, got {limit}")
        generator = torch.Generator().manual_seed(split_seed)
        chosen = subset(self.train_labels, limit, generator)
        rest, cut = stratified_split(self.train_labels[chosen], val_fraction, generator)
        train, val = chosen[rest], chosen[cut]
        images, labels = self.train_images.to(device), self.train_labels.to(device)
        common = {
            "batch_size": batch_size,
            "normalize": Standardization.of(images, train, normalize),
            "source": self.source,
            "synthetic": self.synthetic,
            "seed": seed,
        }
        return (
            Batches(
                images, labels, indices=train, shuffle=True,
                drop_last=drop_last, augment=augment, **common,
            ),
            Batches(images, labels, indices=val, **common),
            Batches(
                self.test_images.to(device), self.test_labels.to(device),
                indices=subset(self.test_labels, limit, generator), **common,
            ),
        )  # fmt: skip


def subset(labels: Tensor, limit: int | None, generator: torch.Generator) -> Tensor:
    if limit is None or limit >= len(labels):
        return torch.arange(len(labels))
    return stratified_subset(labels, limit, generator)


def load(
    name: str, data_dir: str | PathLike[str] | None = None, *, offline: bool = False
) -> ImageData:
    """The image data set called `name`: a known one, or any `<name>.npz` in the data folder.

    Taken is the first that is there: `<name>.npz`, torchvision's files, a download (unless
    `offline`), the synthetic stand-in; the last is said on stderr and in `source`.
    data_dir: the data folder, else $DLCOURSE_DATA, else datasets/.

    Raises UnknownNameError, and DataError for a file that is there but damaged.
    """
    folder = data_folder(data_dir)
    entry = catalog.CATALOG.get(name)
    if entry is not None and entry.kind != "images":
        raise UsageError(f"data set {name!r} is {entry.kind}; load it with load_text")
    npz = folder / f"{name}.npz"
    if entry is None and (Path(name).name != name or not npz.is_file()):
        here = sorted(path.stem for path in folder.glob("*.npz"))
        known = [known.name for known in catalog.CATALOG.values() if known.kind == "images"]
        raise UnknownNameError("data set", name, dict.fromkeys([*known, *here]))
    if npz.is_file():
        return from_arrays(name, f"{title(entry, name)} from {npz}", read_npz(npz), entry)
    if path := find_files(entry, folder):
        arrays = read_files(entry, path)
        check_arrays(arrays, str(path))
        return from_arrays(name, f"{entry.title} from {path}", arrays, entry)
    why = "--offline" if offline else ""
    if not offline:
        from dlcourse.data.store import get

        try:
            npz = get(name, folder)
            return from_arrays(name, f"{entry.title} from {npz}", read_npz(npz), entry)
        except DataError as error:
            why = str(error)
    return stand_in(entry, folder, why)


def title(entry: catalog.DataSet | None, name: str) -> str:
    return entry.title if entry else name


def from_arrays(
    name: str, source: str, arrays: dict[str, np.ndarray], entry: catalog.DataSet | None
) -> ImageData:
    names = arrays.get("class_names")
    if names is None:
        num_classes = int(arrays["train_labels"].max()) + 1
        known = entry is not None and len(entry.classes) == num_classes
        names = entry.classes if known else range(num_classes)
    return ImageData(
        name,
        source,
        False,
        tuple(map(str, names)),
        *(
            torch.from_numpy(arrays[f"{split}_{what}"])
            for split in ("train", "test")
            for what in ("images", "labels")
        ),
    )


def stand_in(entry: catalog.DataSet, folder: Path, why: str) -> ImageData:
    """The synthetic data set in place of `entry`, said on stderr with the reason."""
    print(
        f"dlcourse: {entry.title} IS NOT HERE: SYNTHETIC {entry.stand_in.upper()} TAKE ITS PLACE.\n"
        f"  Looked in {str(folder)!r}; {why}\n"
        f"  For the real data: `dlcourse data get {entry.name}`",
        file=sys.stderr,
    )
    class_names, tensors = draw(entry.stand_in, len(entry.classes))
    source = f"synthetic {entry.stand_in} (stand-in for {entry.title})"
    return ImageData(entry.name, source, True, class_names, *tensors)


@functools.lru_cache(maxsize=1)
def draw(kind: str, num_classes: int) -> tuple[tuple[str, ...], tuple[Tensor, ...]]:
    if kind == "digits":
        return tuple("0123456789"), draw_digits()
    from dlcourse.data.synthetic.shapes import class_names, draw_shapes

    return class_names(num_classes), draw_shapes(num_classes=num_classes)
