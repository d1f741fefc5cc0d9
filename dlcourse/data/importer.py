"""Any folder, zip or tar of images, `class/name.png`, made into one `<name>.npz`.

Archives are read member by member and never unpacked, so a path in them can lead nowhere.
"""

from __future__ import annotations

import io
import re
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from dlcourse.data.catalog import CATALOG
from dlcourse.data.folder import data_folder
from dlcourse.data.npz import write_npz
from dlcourse.data.split import stratified_split
from dlcourse.errors import DataError, UsageError

__all__ = ["import_images"]

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
TEST_FRACTION = 0.2
Item = tuple[PurePosixPath, Callable[[], bytes]]


def import_images(
    name: str,
    path: str | PathLike[str],
    data_dir: str | PathLike[str] | None = None,
    *,
    size: int = 32,
    gray: bool = False,
    skip_bad: bool = False,
    seed: int = 0,
) -> tuple[Path, dict[str, int]]:
    """Write `<name>.npz` from the images at `path`; returns it and the images of each class.

    path: a folder, zip or tar holding `class/name.png`, or `train/class/...` and `test/class/...`;
        without these a fifth of each class is cut off as test by `seed`.
    size: pixels a side; larger or oblong images are scaled to fit, then cut to the center square.

    Raises UsageError, and DataError for an archive with links or paths that lead outside, an empty
    class, and images that do not decode, named and counted, unless `skip_bad`.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) or name in CATALOG:
        raise UsageError(
            f"NAME must be of letters, digits, '_', '-' and no data set of the course, got {name!r}"
        )
    if size < 1:
        raise UsageError(f"size must be at least 1, got {size}")
    path = Path(path)
    samples = by_class(list(members(path)), path)
    images, bad = decode_all(samples, size, gray)
    if bad and not skip_bad:
        raise DataError(
            f"{len(bad)} of {len(samples)} images in {str(path)!r} do not decode: "
            f"{', '.join(bad[:3])}{', ...' if len(bad) > 3 else ''}; "
            "mend them, or leave them out with --skip-bad"
        )
    for where in bad:
        print(f"dlcourse: left out, does not decode: {where}", file=sys.stderr)
    names = sorted({label for _, label, _ in samples})
    kept = [sample for sample, image in zip(samples, images, strict=True) if image is not None]
    pixels = [image for image in images if image is not None]
    labels = np.array([names.index(label) for _, label, _ in kept], np.int64)
    counts = np.bincount(labels, minlength=len(names))
    if not counts.all():
        raise DataError(f"class {names[counts.argmin()]!r} in {str(path)!r} has no image")
    splits = np.array([split or "train" for split, _, _ in kept])
    if not any(split for split, _, _ in kept):
        generator = torch.Generator().manual_seed(seed)
        _, cut = stratified_split(torch.from_numpy(labels), TEST_FRACTION, generator)
        splits[cut.numpy()] = "test"
    stacked = np.stack(pixels)
    arrays = {"class_names": np.array(names)}
    for split in ("train", "test"):
        if not (splits == split).any():
            raise DataError(f"{str(path)!r} holds no image for {split}; 5 or more are needed")
        arrays[f"{split}_images"] = stacked[splits == split]
        arrays[f"{split}_labels"] = labels[splits == split]
    npz = data_folder(data_dir) / f"{name}.npz"
    write_npz(npz, arrays)
    return npz, dict(zip(names, counts.tolist(), strict=True))


def members(path: Path) -> Iterator[Item]:
    """The files at `path`, and the folders (as paths without a reader) where they matter."""
    try:
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                where = safe(file.relative_to(path).as_posix(), file.is_symlink(), path)
                yield where, file.read_bytes if file.is_file() else None
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for info in sorted(archive.infolist(), key=lambda info: info.filename):
                    is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
                    content = None if info.is_dir() else archive.read(info)
                    yield safe(info.filename, is_link, path), as_reader(content)
        elif path.is_file() and tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                for info in sorted(archive.getmembers(), key=lambda info: info.name):
                    where = safe(info.name, not (info.isfile() or info.isdir()), path)
                    content = archive.extractfile(info).read() if info.isfile() else None
                    yield where, as_reader(content)
        else:
            raise DataError(f"{str(path)!r} is no folder, zip or tar")
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise DataError(f"cannot read {str(path)!r}: {error}") from None


def as_reader(content: bytes | None) -> Callable[[], bytes] | None:
    return None if content is None else lambda: content


def safe(name: str, is_link: bool, path: Path) -> PurePosixPath:
    """The path of an archive's member. Raises DataError where it is a link or leads outside."""
    where = PurePosixPath(name.replace("\\", "/"))
    if is_link or where.is_absolute() or ".." in where.parts or ":" in where.parts[0]:
        what = "a link or device" if is_link else "a path that leads outside"
        raise DataError(f"{str(path)!r} holds {what}: {name!r}; nothing was imported")
    return where


def by_class(items: list[Item], path: Path) -> list[tuple[str, str, Item]]:
    """(split or "", class, item) for each image; the folders around the classes are stripped."""
    files = [(where, read) for where, read in items if read and where.suffix.lower() in ENDINGS]
    files = [
        item for item in files if not any(part.startswith((".", "__")) for part in item[0].parts)
    ]
    if not files:
        raise DataError(f"{str(path)!r} holds no images; they must lie as class/name.png")
    depth = 0
    while len({where.parts[: depth + 1] for where, _ in files}) == 1 and all(
        len(where.parts) > depth + 2 for where, _ in files
    ):
        depth += 1
    heads = {where.parts[depth] for where, _ in files}
    has_splits = heads == {"train", "test"}
    level = depth + has_splits
    found = []
    for where, read in files:
        if len(where.parts) < level + 2:
            raise DataError(f"image {str(where)!r} in {str(path)!r} lies in no class folder")
        split = where.parts[depth] if has_splits else ""
        found.append((split, where.parts[level], (where, read)))
    classes = {label for _, label, _ in found}
    for where, read in items:
        if read is None and len(where.parts) == level + 1 and where.name not in classes:
            raise DataError(f"class folder {str(where)!r} in {str(path)!r} is empty; remove it")
    return found


def decode_all(
    samples: list[tuple[str, str, Item]], size: int, gray: bool
) -> tuple[list[np.ndarray | None], list[str]]:
    """Each image as uint8 (C, size, size), None where it does not decode, and the bad ones."""
    images, bad = [], []
    for _, _, (where, read) in tqdm(samples, unit="image", disable=None, file=sys.stderr):
        try:
            images.append(decode(read(), size, gray))
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError,
                Image.DecompressionBombError, Image.DecompressionBombWarning):  # fmt: skip
            images.append(None)
            bad.append(str(where))
    return images, bad


def decode(content: bytes, size: int, gray: bool) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(content)) as image:
            picture = image.convert("L" if gray else "RGB")
    W, H = picture.size
    side = min(W, H)
    left, top = (W - side) // 2, (H - side) // 2
    square = (left, top, left + side, top + side)
    pixels = np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=square))
    return pixels[None] if gray else pixels.transpose(2, 0, 1)
