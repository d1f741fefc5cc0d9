"""One image data set as one `<name>.npz`: the course's own format, never unpickled.

Arrays: train_images, test_images uint8 (N, C, H, W); train_labels, test_labels int64 (N,);
optional class_names, strings (num_classes,).
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from dlcourse.data.folder import whole_file
from dlcourse.errors import DataError

__all__ = ["check_arrays", "read_npz", "write_npz"]

REQUIRED = ("train_images", "train_labels", "test_images", "test_labels")


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of `path`, checked. Raises DataError, naming the file, for anything else."""
    try:
        # Opened here, since np.load leaves a file open that turns out to be no zip.
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            wanted = [name for name in (*REQUIRED, "class_names") if name in file.files]
            arrays = {name: file[name] for name in wanted}
    except (
        OSError,
        EOFError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
        AttributeError,
        TypeError,
    ) as error:
        why = "it holds pickled objects" if "allow_pickle" in str(error) else str(error)
        raise DataError(f"cannot read {str(path)!r}: {why}; delete it or fetch it again") from None
    check_arrays(arrays, str(path))
    return arrays


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write `arrays`, checked, whole or not at all. Raises DataError."""
    check_arrays(arrays, str(path))
    with whole_file(path) as part, open(part, "wb") as file:
        np.savez(file, **arrays)


def check_arrays(arrays: dict[str, np.ndarray], where: str) -> None:
    """Raise DataError, naming `where` and the array, unless `arrays` are an image data set."""
    missing = [name for name in REQUIRED if name not in arrays]
    if missing:
        raise DataError(f"{where!r} lacks the array {missing[0]}; it needs {', '.join(REQUIRED)}")
    names = arrays.get("class_names")
    if names is not None and (names.ndim != 1 or names.dtype.kind != "U"):
        raise DataError(f"class_names in {where!r} must be a row of strings, got {kind(names)}")
    for split in ("train", "test"):
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
            raise DataError(
                f"{split}_images in {where!r} must be uint8 (N, C, H, W), got {kind(images)}"
            )
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            raise DataError(
                f"{split}_labels in {where!r} must be int64 ({len(images)},), got {kind(labels)}"
            )
        num_classes = len(names) if names is not None else labels.max() + 1
        if labels.min() < 0 or labels.max() >= num_classes:
            raise DataError(
                f"{split}_labels in {where!r} must be 0 to {num_classes - 1}, "
                f"got {labels.min()} to {labels.max()}"
            )
    if arrays["train_images"].shape[1:] != arrays["test_images"].shape[1:]:
        raise DataError(
            f"train_images and test_images in {where!r} differ in shape: "
            f"{kind(arrays['train_images'])} and {kind(arrays['test_images'])}"
        )


def kind(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape}"
