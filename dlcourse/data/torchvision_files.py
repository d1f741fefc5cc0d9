"""Image data sets in the files that torchvision uses: IDX (yann.lecun.com/exdb/mnist) for MNIST and
data sets in its format, raw or gzipped, and CIFAR's pickled batches.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import pickle
import struct
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dlcourse.data.catalog import RAW_FILES, DataSet, RawFile
from dlcourse.errors import DataError

__all__ = ["find_files", "idx_path", "read_files"]

UNSIGNED_BYTE = 0x08  # the only type of number in the IDX files of these data sets
CIFAR_FILES: dict[str, tuple[str, list[str], list[str]]] = {
    "cifar10": ("cifar-10-batches-py", [f"data_batch_{i}" for i in range(1, 6)], ["test_batch"]),
    "cifar100": ("cifar-100-python", ["train"], ["test"]),
}


def find_files(entry: DataSet, *roots: Path) -> list[Path]:
    """The files of `entry` below `roots`: IDX files in the catalog's order, or CIFAR's folder or
    archive. An empty list if there are none.

    IDX files may lie in `MNIST/raw/` or `MNIST/`, packed or not, also under the names that other
    mirrors give them (`train-images.idx3-ubyte`). Raises DataError, naming what is missing, if
    some are there and some are not.
    """
    if entry.layout == "cifar":
        for root in roots:
            folder, archive = root / CIFAR_FILES[entry.name][0], root / entry.files[0].path
            if folder.is_dir() or archive.is_file():
                return [folder if folder.is_dir() else archive]
        return []
    found = {file.path: idx_path(file.path, roots) for file in entry.files}
    there = [path for path in found.values() if path]
    missing = [Path(name).name.removesuffix(".gz") for name, path in found.items() if not path]
    if there and missing:
        raise DataError(
            f"{entry.title} is incomplete: {str(there[0].parent)!r} lacks {', '.join(missing)} "
            f"(looked for {missing[0]} and {other_name(missing[0])}, with and without .gz); add "
            f"what is missing, or run `dlcourse data get {entry.name}`"
        )
    return there


def idx_path(name: str, roots: Sequence[Path]) -> Path | None:
    """Where the file called `name` in the catalog is, under any of its names."""
    set_name, plain = Path(name).parts[0].lower(), Path(name).name.removesuffix(".gz")
    for root in roots:
        for folder in sorted(root.glob("*")):
            if folder.name.lower().replace("-", "").replace("_", "") != set_name:
                continue
            for file in (plain, other_name(plain)):
                # Some archives unpack each file into a folder of its own name.
                for end in (file, f"{file}.gz", f"{file}/{file}"):
                    for path in (folder / "raw" / end, folder / end):
                        if path.is_file():
                            return path
    return None


def other_name(plain: str) -> str:
    """train-images.idx3-ubyte, as some mirrors write train-images-idx3-ubyte."""
    return plain.replace("-idx", ".idx")


def read_files(entry: DataSet, paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """The arrays of `entry`, as in its npz, from what `find_files` found. Raises DataError."""
    arrays = read_mnist(entry, paths) if entry.layout == "idx" else read_cifar(entry, paths[0])
    return arrays | {"class_names": np.array(entry.classes)}


def read_mnist(entry: DataSet, paths: Sequence[Path]) -> dict[str, np.ndarray]:
    train_images, train_labels, test_images, test_labels = (
        read_idx(path, num_dims, RAW_FILES.get((entry.name, path.name.replace(".idx", "-idx"))))
        for path, num_dims in zip(paths, (3, 1, 3, 1), strict=True)
    )
    return {
        "train_images": train_images[:, None],
        "train_labels": train_labels.astype(np.int64),
        "test_images": test_images[:, None],
        "test_labels": test_labels.astype(np.int64),
    }


def read_idx(path: Path, num_dims: int, original: RawFile | None = None) -> np.ndarray:
    """The uint8 array of `num_dims` dimensions in an IDX file.

    original: the original file. A file of the same size must be identical; other sizes are other
    data and are taken as they are. Raises DataError if the file is unreadable, truncated, too
    long, of another kind, or not the original.
    """
    try:
        if path.suffix == ".gz":
            content = np.frombuffer(bytearray(gzip.decompress(path.read_bytes())), np.uint8)
        else:
            content = np.fromfile(path, np.uint8)
    except (OSError, EOFError, zlib.error) as error:
        raise damaged_idx(path, f"cannot be read: {error}") from None
    start = 4 + 4 * num_dims
    head = content[:start].tobytes()
    if head[:4] != bytes([0, 0, UNSIGNED_BYTE, num_dims]) or len(head) < start:
        raise damaged_idx(
            path, f"begins with {head[:4].hex() or 'nothing'}, not 000008{num_dims:02x}"
        )
    shape = struct.unpack(f">{num_dims}I", head[4:])
    if len(content) - start != math.prod(shape):
        raise damaged_idx(
            path,
            f"holds {len(content) - start:,} bytes of data where its header "
            f"says {math.prod(shape):,}",
        )
    if original and len(content) == original.bytes:
        md5 = hashlib.md5(content.data, usedforsecurity=False).hexdigest()
        if md5 != original.md5:
            raise damaged_idx(path, f"is damaged: its MD5 is {md5}, the original's {original.md5}")
    return content[start:].reshape(shape)


def damaged_idx(path: Path, what: str) -> DataError:
    return DataError(
        f"IDX file {str(path)!r} {what}; delete it and run `dlcourse data get` for its data set"
    )


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


def cifar_members(path: Path, folder: str, names: list[str]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each batch, from the folder or directly from the archive."""
    try:
        if path.is_dir():
            for name in names:
                yield name, (path / name).read_bytes()
            return
        # Only these members are read, into memory; nothing is unpacked.
        with tarfile.open(path) as archive:
            for name in names:
                stream = archive.extractfile(f"{folder}/{name}")
                if stream is None:
                    raise KeyError(f"{name} is not a file")
                yield name, stream.read()
    except (OSError, EOFError, KeyError, zlib.error, tarfile.TarError) as error:
        raise damaged(str(path), error) from None


class PlainUnpickler(pickle.Unpickler):
    """Unpickle plain containers and NumPy arrays only; nothing that could run code."""

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
