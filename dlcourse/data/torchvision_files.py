"""Image data sets in the files that torchvision keeps: IDX, and CIFAR's pickled batches."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np

from dlcourse.data.catalog import RAW_FILES, DataSet
from dlcourse.data.idx import read_idx
from dlcourse.errors import DataError

__all__ = ["find_files", "read_files"]

CIFAR_FILES = {
    "cifar10": ("cifar-10-batches-py", [f"data_batch_{i}" for i in range(1, 6)], ["test_batch"]),
    "cifar100": ("cifar-100-python", ["train"], ["test"]),
}


def find_files(entry: DataSet, root: Path) -> Path | None:
    """Where below `root` the files of `entry` are, as torchvision lays them out; None: nowhere."""
    if entry.layout == "idx":
        folder = root / Path(entry.files[0].path).parent
        there = all(idx_path(folder, file.path) for file in entry.files)
        return folder if there else None
    folder = root / CIFAR_FILES[entry.name][0]
    archive = root / entry.files[0].path
    return folder if folder.is_dir() else archive if archive.is_file() else None


def read_files(entry: DataSet, path: Path) -> dict[str, np.ndarray]:
    """The arrays of `entry`, as in its npz, from what `find_files` found. Raises DataError."""
    arrays = read_mnist(entry, path) if entry.layout == "idx" else read_cifar(entry, path)
    return arrays | {"class_names": np.array(entry.classes)}


def idx_path(folder: Path, name: str) -> Path | None:
    packed = folder / Path(name).name
    paths = [path for path in (packed.with_suffix(""), packed) if path.is_file()]
    return paths[0] if paths else None


def read_mnist(entry: DataSet, folder: Path) -> dict[str, np.ndarray]:
    paths = [idx_path(folder, file.path) for file in entry.files]
    train_images, train_labels, test_images, test_labels = (
        read_idx(path, num_dims, RAW_FILES.get((entry.name, path.name)))
        for path, num_dims in zip(paths, (3, 1, 3, 1), strict=True)
    )
    return {
        "train_images": train_images[:, None],
        "train_labels": train_labels.astype(np.int64),
        "test_images": test_images[:, None],
        "test_labels": test_labels.astype(np.int64),
    }


def read_cifar(entry: DataSet, path: Path) -> dict[str, np.ndarray]:
    folder, *splits = CIFAR_FILES[entry.name]
    arrays = {}
    for split, names in zip(("train", "test"), splits, strict=True):
        images, labels = [], []
        for name, content in cifar_members(path, folder, names):
            where = f"{path / name if path.is_dir() else path}"
            try:
                batch = PlainUnpickler(io.BytesIO(content), encoding="bytes").load()
                images.append(batch[b"data"].reshape(-1, *entry.shape))
                labels.extend(batch[b"labels" if entry.name == "cifar10" else b"fine_labels"])
            except (pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError,
                    AttributeError, IndexError, ImportError) as error:  # fmt: skip
                raise damaged(where, f"{name}: {error}") from None
        arrays[f"{split}_images"] = np.concatenate(images)
        arrays[f"{split}_labels"] = np.array(labels, np.int64)
    return arrays


def cifar_members(path: Path, folder: str, names: list[str]):
    """(name, content) of each of the batches, from the folder or straight from the archive."""
    try:
        if path.is_dir():
            for name in names:
                yield name, (path / name).read_bytes()
            return
        # Only these members are read, into memory: nothing is unpacked.
        with tarfile.open(path) as archive:
            for name in names:
                yield name, archive.extractfile(f"{folder}/{name}").read()
    except (OSError, EOFError, KeyError, AttributeError, tarfile.TarError) as error:
        raise damaged(str(path), error) from None


class PlainUnpickler(pickle.Unpickler):
    """Unpickles plain containers and NumPy arrays, nothing that could run code."""

    def find_class(self, module: str, name: str) -> type:
        if (module.split(".")[0], name) in {
            ("numpy", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"),
        }:  # fmt: skip
            return super().find_class(module.replace("numpy.core", "numpy._core")
                                      if hasattr(np, "_core") else module, name)  # fmt: skip
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def damaged(path: str, what: object) -> DataError:
    return DataError(
        f"CIFAR file {path!r} cannot be read: {what}; delete it and run `dlcourse data get`"
    )
