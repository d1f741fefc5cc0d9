"""One image data set as one `<name>.npz`: the course's own format, never unpickled.

Arrays: train_images, test_images uint8 (N, C, H, W); train_labels, test_labels int64 (N,);
optional class_names, strings (num_classes,).

With captions, of each split (train, val, test): `<split>_images` uint8 (N, 3, S, S);
`<split>_captions`, strings (M,); `<split>_places` int64 (M,), the place of each caption's image.
"""

from __future__ import annotations

import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from dlcourse.data.folder import whole_file
from dlcourse.errors import DataError

__all__ = ["check_arrays", "is_captioned", "read_captioned", "read_npz", "write_npz"]

REQUIRED = ("train_images", "train_labels", "test_images", "test_labels")
CHANNELS = (1, 3, 4)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of `path`, checked. Raises DataError, naming the file, for anything else."""
    try:
        # Opened here because np.load leaves a file open if it is not a zip.
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            found = list(file.files)
            arrays = {name: file[name] for name in (*REQUIRED, "class_names") if name in found}
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
    if "train_captions" in found:
        raise DataError(
            f"{str(path)!r} holds images with captions, not with classes; load them with "
            "dlcourse.data.load_captioned"
        )
    unused = sorted(set(found) - set(arrays))
    check_arrays(arrays, str(path), unused)
    if unused:
        print(
            f"dlcourse: {str(path)!r} also holds {', '.join(unused)}, which is not used",
            file=sys.stderr,
        )
    return arrays


def is_captioned(path: Path) -> bool:
    """Whether `path` is an npz that holds captions; only its list of contents is read."""
    try:
        with zipfile.ZipFile(path) as file:
            return "train_captions.npy" in file.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def read_captioned(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Images, captions and places of each split. Raises DataError unless they fit together."""
    splits = {}
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            for split in ("train", "val", "test"):
                names = [f"{split}_{what}" for what in ("images", "captions", "places")]
                images, texts, places = (file[name] for name in names)
                if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 3:
                    raise ValueError(f"{names[0]} must be uint8 (N, 3, S, S), got {kind(images)}")
                if texts.dtype.kind != "U" or places.dtype != np.int64 or places.ndim != 1:
                    raise ValueError(f"{names[1]} must be strings, and {names[2]} int64 (M,)")
                whole = set(places.tolist()) == set(range(len(images))) and images.size
                if not whole or texts.shape != places.shape or (texts == "").any():
                    raise ValueError(f"{names[1]} do not fit the {len(images)} {names[0]}")
                splits[split] = images, texts, places
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{str(path)!r} is damaged: {error}; import it again with --force"
        ) from None
    return splits


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write `arrays`, checked, completely or not at all. Raises DataError."""
    check_arrays(arrays, str(path))
    with whole_file(path) as part, open(part, "wb") as file:
        contents: dict[str, Any] = dict(arrays)
        np.savez(file, **contents)


def check_arrays(
    arrays: dict[str, np.ndarray], where: str, others: list[str] | None = None
) -> None:
    """Raise DataError, naming `where` and the array, unless `arrays` are an image data set.

    others: names of further arrays in the file; a message mentions them if one is missing.
    """
    missing = [name for name in REQUIRED if name not in arrays]
    if missing:
        there = f"; it holds {', '.join([*arrays, *others])}" if others else ""
        raise DataError(
            f"{where!r} lacks the array {missing[0]}; it needs {', '.join(REQUIRED)}{there}"
        )
    names = arrays.get("class_names")
    if names is not None:
        if names.ndim != 1 or names.dtype.kind != "U":
            raise DataError(
                f"class_names in {where!r} must be a row of strings, got {kind(names)}; "
                "use np.array(names, dtype=str)"
            )
        if len(set(names.tolist())) != len(names):
            raise DataError(f"class_names in {where!r} must differ from each other")
    for split in ("train", "test"):
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        check_images(images, f"{split}_images in {where!r}")
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            raise DataError(
                f"{split}_labels in {where!r} must be int64 ({len(images)},), got {kind(labels)}"
                f"{label_cure(labels, len(images))}"
            )
    check_labels(arrays["train_labels"], arrays["test_labels"], names, where)
    if arrays["train_images"].shape[1:] != arrays["test_images"].shape[1:]:
        raise DataError(
            f"train_images and test_images in {where!r} differ in shape: "
            f"{kind(arrays['train_images'])} and {kind(arrays['test_images'])}"
        )


def check_images(images: np.ndarray, what: str) -> None:
    """Raise DataError, with a cure where one is obvious, unless `images` are uint8 (N, C, H, W)."""
    cures = []
    if images.ndim == 3:
        cures.append("add the channel with images[:, None]")
    # No camera has 28 channels and pictures of 28x3: this is (N, H, W, C).
    last = images.ndim == 4 and images.shape[3] in CHANNELS and images.shape[1] > max(CHANNELS)
    if last:
        cures.append("its channels are last: use images.transpose(0, 3, 1, 2)")
    if images.dtype != np.uint8 and images.dtype.kind in "iufb" and images.size:
        low, high = images.min(), images.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            cures.append("it holds NaN or infinity: remove those images")
        elif 0 <= low <= high <= 1:
            cures.append("scale [0, 1] with (255 * images).round().astype(np.uint8)")
        elif 0 <= low <= high <= 255:
            cures.append("use images.round().astype(np.uint8)")
        else:
            cures.append(f"scale {low:g} to {high:g} to 0 to 255 before astype(np.uint8)")
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape or last:
        cure = "".join(f"; {cure}" for cure in cures)
        raise DataError(f"{what} must be uint8 (N, C, H, W), got {kind(images)}{cure}")


def label_cure(labels: np.ndarray, n: int) -> str:
    """What to do about labels of a wrong type or shape, or ""."""
    if labels.ndim == 2 and labels.shape[0] == n:
        return "; use labels[:, 0]" if labels.shape[1] == 1 else "; use labels.argmax(1)"
    if labels.shape == (n,) and labels.dtype.kind in "iufb":
        whole = labels.dtype.kind != "f" or bool((labels == np.floor(labels)).all())
        return "; use labels.astype(np.int64)" if whole else "; labels must be whole numbers"
    return ""


def check_labels(train: np.ndarray, test: np.ndarray, names: np.ndarray | None, where: str) -> None:
    """Raise DataError unless labels are 0 to num_classes - 1 and, without names, have no gaps."""
    num_classes = int(train.max()) + 1 if names is None else len(names)
    for split, labels in (("train", train), ("test", test)):
        if labels.min() < 0 or labels.max() >= num_classes:
            raise DataError(
                f"{split}_labels in {where!r} must be 0 to {num_classes - 1}, "
                f"got {labels.min()} to {labels.max()}"
            )
    counts = np.bincount(train, minlength=num_classes)
    if names is None and not counts.all():
        gap = int(counts.argmin())
        raise DataError(
            f"train_labels in {where!r} hold {train.min()} to {train.max()}, but no {gap}; number "
            "the classes from 0 without gaps, or add class_names with a name for every class"
        )


def kind(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape}"
