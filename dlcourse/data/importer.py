"""Turn a folder, zip or tar of images, `class/name.png`, into one `<name>.npz`.

Archives are read member by member and never unpacked, so no path in them can leave the archive.
"""

from __future__ import annotations

import io
import re
import struct
import sys
import tarfile
import unicodedata
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from dlcourse.data.catalog import CATALOG
from dlcourse.data.folder import data_folder, split_of
from dlcourse.data.images import stratified_split
from dlcourse.data.npz import write_npz
from dlcourse.errors import DataError, UsageError
from dlcourse.values import check_whole

__all__ = ["as_text", "import_images"]

FORMATS = {
    "AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "TGA", "TIFF",
    "WEBP",
}  # fmt: skip
TEST_FRACTION = 0.2
LEAST_IN_CLASS = 5  # images: one of them is a fifth
LEAST_TO_TRAIN = 6  # images: a tenth of them, for validation, rounds to one
NAMED = 3  # files that a message names before it counts the rest
NAMED_CLASSES = 20


Reader = Callable[[], bytes] | None  # gives the content of a file; None for a folder


@dataclass(frozen=True)
class Member:
    """A file or folder at the imported path."""

    where: PurePosixPath
    read: Reader


@dataclass(frozen=True)
class Sample:
    """An image before it is decoded. split: "train", "val", "test", or "" for none."""

    split: str
    label: str
    member: Member


def import_images(
    name: str,
    path: str | PathLike[str],
    data_dir: str | PathLike[str] | None = None,
    *,
    size: int = 32,
    gray: bool = False,
    skip_bad: bool = False,
    force: bool = False,
    seed: int = 0,
) -> tuple[Path, dict[str, int]]:
    """Write `<name>.npz` from the images at `path`; return its path and the images of each class.

    path: a folder, zip or tar that holds `class/name.png`, or these below folders for the splits
        (train, val, test and their usual variants, in any case). A fifth of each class, drawn by
        `seed`, becomes the test split if there is none. A val split becomes the test split if
        there is no other, otherwise it joins train.
    size: pixels on each side. Larger or oblong images are scaled to fit, then cut to the center
        square. force: replace an earlier `<name>.npz`.

    Images are turned upright as their EXIF data say, transparent ones are put on white, 16-bit
    and floating-point ones are scaled to 0 to 255 by a common range. Files of other kinds are
    counted and named on stderr, hidden ones are ignored.

    Raises UsageError, and DataError for an archive with links or with paths that leave it, for
    classes that are empty, too small or ambiguous, and for images that cannot be decoded, unless
    `skip_bad`.
    """
    check_whole(size=size)
    check_whole(0, seed=seed)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) or name.lower().endswith(".npz"):
        raise UsageError(
            f"NAME must consist of letters, digits, '_' and '-', without .npz, got {name!r}"
        )
    if name.lower() in CATALOG:
        raise UsageError(f"{name!r} is a data set of the course; choose another NAME")
    npz = data_folder(data_dir) / f"{name}.npz"
    if npz.exists() and not force:
        raise UsageError(
            f"data set {name!r} already exists ({str(npz)!r}); choose another NAME, or replace it "
            "with --force"
        )
    path = Path(path)
    with opened(path) as members:
        samples = arrange(members, path)
        images, bad = decode_all([sample.member for sample in samples], size, gray)
    if bad and not skip_bad:
        first = "; ".join(f"{where} ({why})" for where, why in list(bad.items())[:NAMED])
        raise DataError(
            f"{len(bad)} of {len(samples)} images in {str(path)!r} cannot be decoded: {first}"
            f"{'; ...' if len(bad) > NAMED else ''}; fix them, or leave them out with --skip-bad"
        )
    for where, why in bad.items():
        say(f"left out {where}: {why}")
    names = sorted({sample.label for sample in samples})
    kept = [sample for sample in samples if str(sample.member.where) not in bad]
    labels = np.array([names.index(sample.label) for sample in kept], np.int64)
    splits = choose_splits(kept, labels, names, path, seed)
    stacked = np.stack(images)
    arrays = {"class_names": np.array(names)}
    for split in ("train", "test"):
        arrays[f"{split}_images"] = stacked[splits == split]
        arrays[f"{split}_labels"] = labels[splits == split]
    write_npz(npz, arrays)
    say(f"{(splits == 'train').sum()} images to train on, {(splits == 'test').sum()} to test on")
    return npz, dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True))


def as_text(path: Path, counts: dict[str, int]) -> str:
    """The line that reports an import: the file, and how many images each class has."""
    named = [f"{name} {count}" for name, count in counts.items()]
    if len(named) > NAMED_CLASSES:
        named[NAMED_CLASSES:] = [f"and {len(named) - NAMED_CLASSES} more"]
    total, classes = sum(counts.values()), "class" if len(counts) == 1 else "classes"
    return f"{path}: {total} images in {len(counts)} {classes}: {', '.join(named)}"


def say(note: str) -> None:
    print(f"dlcourse: {note}", file=sys.stderr)


@contextmanager
def opened(path: Path) -> Iterator[list[Member]]:
    """The files and folders at `path`, in order; files can be read inside the block."""
    found: list[tuple[str, bool, Reader]] = []  # name, whether it is a link, reader
    if not path.exists():
        raise DataError(f"there is no folder or file {str(path)!r}")
    try:
        if path.is_dir():
            for file in path.rglob("*"):
                reader: Reader = file.read_bytes if file.is_file() else None
                found.append((file.relative_to(path).as_posix(), file.is_symlink(), reader))
            yield checked(found, path)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
                    reader = None if info.is_dir() else partial(archive.read, info)
                    found.append((info.filename, is_link, reader))
                yield checked(found, path)
        elif tarfile.is_tarfile(path):
            # Read in the archive's order: going back in a compressed tar means starting over.
            with tarfile.open(path) as tar:
                for item in tar:
                    stream = tar.extractfile(item) if item.isfile() else None
                    reader = partial(bytes, stream.read()) if stream else None
                    found.append((item.name, not (item.isfile() or item.isdir()), reader))
            yield checked(found, path)
        else:
            raise DataError(f"{str(path)!r} is not a folder, zip or tar; unpack it first")
    except (OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile,
            tarfile.TarError) as error:  # fmt: skip
        raise DataError(f"cannot read {str(path)!r}: {error}") from None


def checked(found: list[tuple[str, bool, Reader]], path: Path) -> list[Member]:
    """The visible members in order. Raises DataError for a link and for a path that leads out."""
    members = []
    for name, is_link, read in sorted(found, key=lambda entry: entry[0]):
        where = PurePosixPath(name.replace("\\", "/"))
        if is_link or where.is_absolute() or ".." in where.parts or ":" in where.parts[0]:
            what = "a link or device" if is_link else "a path that leads outside"
            raise DataError(f"{str(path)!r} holds {what}: {name!r}; nothing was imported")
        # Hidden files and folders are those of an operating system or a tool.
        if where.parts and not any(part.startswith((".", "__")) for part in where.parts):
            members.append(Member(where, read))
    return members


def arrange(members: list[Member], path: Path) -> list[Sample]:
    """Find split and class of each image from its path; say on stderr what is no image."""
    Image.init()
    endings = {e for e, kind in Image.registered_extensions().items() if kind in FORMATS}
    files = [member for member in members if member.read]
    images = [member for member in files if member.where.suffix.lower() in endings]
    passed = [member.where for member in files if member.where.suffix.lower() not in endings]
    kinds = Counter(where.suffix.lower() or "without an ending" for where in passed)
    passed_over = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    if not images:
        there = f"; it holds {passed_over}" if passed else ""
        raise DataError(
            f"{str(path)!r} holds no images; they must be stored as class/name.png{there}"
        )
    if passed:
        named = ", ".join(map(str, passed[:NAMED])) + ", ..." * (len(passed) > NAMED)
        say(
            f"passed over {len(passed)} files that are not images, or of no kind that can be read "
            f"({passed_over}): {named}"
        )
    depth, inside = find_level([image.where.parts for image in images], path)
    samples = []
    for image in images:
        parts = image.where.parts
        split = ""
        if inside == "splits":  # split/class/name.png, or split/split/class/name.png
            split = split_of(parts[depth]) or ""
            level = depth + 1
            if len(parts) > level + 2 and split_of(parts[level]) == split:
                level += 1
        else:
            level = depth
            if inside == "classes":  # class/split/name.png
                split = split_of(parts[depth + 1]) or ""
        if len(parts) < level + 2:
            raise DataError(
                f"image {str(image.where)!r} in {str(path)!r} is in no class folder; "
                "move it into one, or away"
            )
        samples.append(Sample(split, unicodedata.normalize("NFC", parts[level]), image))
    refuse_empty_folders(members, images, depth, inside == "splits", path)
    refuse_equal_names(samples, path)
    return samples


def find_level(paths: list[tuple[str, ...]], path: Path) -> tuple[int, str]:
    """How many folders enclose everything, and what the next ones hold: "splits" if they are
    splits, "classes" if they are classes that hold splits, "images" if they are plain classes.
    """
    depth = 0
    while (
        len({parts[: depth + 1] for parts in paths}) == 1
        and all(len(parts) > depth + 2 for parts in paths)
        and not split_of(paths[0][depth])
    ):
        depth += 1
    heads = {parts[depth]: split_of(parts[depth]) for parts in paths if len(parts) > depth + 1}
    splits = [head for head, split in heads.items() if split]
    if heads and len(splits) == len(heads):
        return depth, "splits"
    if splits and all(len(parts) > depth + 2 for parts in paths if parts[depth] in splits):
        other = next(head for head, split in heads.items() if not split)
        raise DataError(
            f"{str(path)!r} holds {other!r} next to the splits {', '.join(sorted(splits))}; "
            "move it away, or give it the name of a split"
        )
    deep = all(len(parts) > depth + 2 and split_of(parts[depth + 1]) for parts in paths)
    return depth, "classes" if deep else "images"


def refuse_empty_folders(
    members: list[Member], images: list[Member], depth: int, has_splits: bool, path: Path
) -> None:
    """Raise DataError for a folder of a class, or of a split, that holds no image."""
    filled = {parent for image in images for parent in image.where.parents}
    there = {member.where for member in members if not member.read}
    there |= {parent for member in members for parent in member.where.parents}
    for folder in sorted(there - filled):
        # Deeper than the classes, and next to the folders around them, such folders do no harm.
        level = len(folder.parts) - depth
        if (level == 1 or (level == 2 and has_splits)) and folder.parent in filled:
            raise DataError(
                f"class folder {str(folder)!r} in {str(path)!r} is empty, or holds no file that "
                "is an image; remove it, or convert its files to PNG or JPEG"
            )


def refuse_equal_names(samples: list[Sample], path: Path) -> None:
    """Raise DataError for two classes whose names differ in case alone."""
    names: dict[str, str] = {}
    for sample in samples:
        same = names.setdefault(sample.label.casefold().strip(), sample.label)
        if same != sample.label:
            raise DataError(
                f"the class folders {same!r} and {sample.label!r} in {str(path)!r} differ only in "
                "case or spaces; give them one name, or two different ones"
            )


def choose_splits(
    samples: list[Sample], labels: np.ndarray, names: list[str], path: Path, seed: int
) -> np.ndarray:
    """ "train" or "test" for each sample, (N,). Raises DataError for classes that are too small."""
    splits = np.array([sample.split for sample in samples], dtype="U5")
    present = set(splits.tolist())
    counts = np.bincount(labels, minlength=len(names))
    if not counts.all():
        raise DataError(f"class {names[counts.argmin()]!r} in {str(path)!r} has no image")
    if len(present) == 1:
        if present != {""}:
            say(f"the only split is {present.pop()!r}: a fifth of it becomes the test split")
        if counts.min() < LEAST_IN_CLASS:
            raise DataError(
                f"class {names[counts.argmin()]!r} in {str(path)!r} has {counts.min()} images: too "
                f"few to be split into training, validation and test; {LEAST_IN_CLASS} are needed"
            )
        splits[:] = "train"
        generator = torch.Generator().manual_seed(seed)
        _, cut = stratified_split(torch.from_numpy(labels), TEST_FRACTION, generator)
        splits[cut.numpy()] = "test"
    elif "train" not in present:
        raise DataError(
            f"{str(path)!r} has the splits {', '.join(sorted(present))}, but no train split; "
            "give one of its folders the name train"
        )
    elif "test" not in present:
        say("there is no test split: 'val' is used as the test split")
        splits[splits == "val"] = "test"
    elif "val" in present:
        say("'val' joins the training split; validation is cut off from that when training starts")
        splits[splits == "val"] = "train"
    to_train = np.bincount(labels[splits == "train"], minlength=len(names))
    if not to_train.all():
        raise DataError(
            f"class {names[to_train.argmin()]!r} in {str(path)!r} has no image in the train split"
        )
    if to_train.sum() < LEAST_TO_TRAIN:
        raise DataError(
            f"{str(path)!r} leaves {to_train.sum()} images to train on; {LEAST_TO_TRAIN} are "
            "needed to cut off one for validation"
        )
    to_test = np.bincount(labels[splits == "test"], minlength=len(names))
    if not to_test.all():
        say(f"class {names[to_test.argmin()]!r} has no image in the test split")
    return splits


def decode_all(
    members: list[Member], size: int, gray: bool
) -> tuple[list[np.ndarray], dict[str, str]]:
    """The images that can be decoded, each uint8 (C, size, size), and why others cannot, by path.

    Pixels of more than 8 bits are scaled after all are known, by a range that they share: the
    difference between a dark image and a bright one must stay.
    """
    pixels: list[np.ndarray] = []
    peaks = {"i": 0.0, "f": 0.0}  # the largest value of wide integers and of floats
    kinds: list[str] = []
    bad: dict[str, str] = {}
    several = []
    for member in tqdm(members, unit="image", disable=None, file=sys.stderr):
        assert member.read is not None
        try:
            decoded, kind, peak, frames = decode(member.read(), size, gray)
        except UnidentifiedImageError:
            bad[str(member.where)] = "not an image, or damaged"
        except (OSError, EOFError, ValueError, SyntaxError, TypeError, LookupError, ArithmeticError,
                struct.error, zlib.error, zipfile.BadZipFile, Image.DecompressionBombError,
                Image.DecompressionBombWarning) as error:  # fmt: skip
            bad[str(member.where)] = str(error) or type(error).__name__
        else:
            pixels.append(decoded)
            kinds.append(kind)
            if kind:
                peaks[kind] = max(peaks[kind], peak)
            if frames > 1:
                several.append(str(member.where))
    if several:
        say(f"{len(several)} files hold several pictures, the first of each was taken: {several[0]}"
            f"{', ...' if len(several) > 1 else ''}")  # fmt: skip
    for kind, what in (("i", "integers"), ("f", "floats")):
        if kind in kinds:
            top = next((top for top in ((1.0,) if kind == "f" else ()) + (255.0, 65535.0)
                        if peaks[kind] <= top), peaks[kind])  # fmt: skip
            count = kinds.count(kind)
            say(f"{count} images hold {what} up to {peaks[kind]:g}: 0 to {top:g} becomes 0 to 255")
            for i in range(len(pixels)):
                if kinds[i] == kind:
                    pixels[i] = (pixels[i] * (255 / top)).round().clip(0, 255).astype(np.uint8)
    channels = 1 if gray else 3
    return [np.repeat(one, channels // len(one), 0) for one in pixels], bad


def decode(content: bytes, size: int, gray: bool) -> tuple[np.ndarray, str, float, int]:
    """(pixels, kind, peak, frames) of an image file.

    pixels: (C, size, size), uint8 where kind is "", otherwise float32 with the values of the file:
    kind "i" for more than 8 bits, "f" for floats. peak: the largest value. frames: how many
    pictures the file holds.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(content)) as opened_image:
            # The second picture of a phone's file (MPO) is a preview.
            frames = 1 if opened_image.format == "MPO" else getattr(opened_image, "n_frames", 1)
            opened_image.load()  # a TIFF file turns itself upright here
            image = ImageOps.exif_transpose(opened_image)
    kind, peak = "", 0.0
    if image.mode == "F" or image.mode.startswith("I"):
        kind = "f" if image.mode == "F" else "i"
        values = np.asarray(image.convert("F"))
        if not np.isfinite(values).all() or values.min() < 0:
            raise ValueError("it holds negative values or NaN, which have no range to scale by")
        peak, picture = float(values.max()), image.convert("F")
    else:
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        picture = image.convert("L" if gray else "RGB")
    W, H = picture.size
    side = min(W, H)
    left, top = (W - side) // 2, (H - side) // 2
    square = (left, top, left + side, top + side)
    pixels = np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=square))
    return (pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)), kind, peak, frames
