"""Turn a folder, zip or tar of images, `class/name.png`, into one `<name>.npz`.

Archives are read member by member and never unpacked, so no path in them can leave the archive.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import shutil
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

__all__ = [
    "FORMATS",
    "LEAST_TO_TRAIN",
    "NAMED",
    "TEST_FRACTION",
    "Store",
    "as_text",
    "checked_npz",
    "decode_all",
    "import_images",
    "opened",
    "refuse_bad",
    "say",
]

FORMATS = {
    "AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "TGA", "TIFF",
    "WEBP",
}  # fmt: skip
TEST_FRACTION = 0.2
LEAST_IN_CLASS = 5  # images: one of them is a fifth
LEAST_TO_TRAIN = 6  # images: a tenth of them, for validation, rounds to one
NAMED = 3  # files that a message names before it counts the rest
NAMED_CLASSES = 20
KEPT = 500  # images after which a stopped import continues


Reader = Callable[[], bytes] | None  # gives the content of a file; None for a folder


@dataclass(frozen=True)
class Member:
    """A file or folder at the imported path.

    stamp: changes with the content. order: of the file in its container.
    """

    where: PurePosixPath
    read: Reader
    stamp: str = ""
    order: int = 0


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
    `skip_bad`. An import that was stopped continues where it was if the files are still the same.
    """
    check_whole(size=size)
    check_whole(0, seed=seed)
    npz = checked_npz(name, data_folder(data_dir), force)
    path = Path(path)
    with opened(path) as members:
        samples = arrange(members, path)
        store = Store(npz, [sample.member for sample in samples], size, gray)
        bad = decode_all(store, size, gray)
    refuse_bad(bad, len(samples), path, skip_bad)
    names = sorted({sample.label for sample in samples})
    numbers = {name: number for number, name in enumerate(names)}
    whole = np.array([str(sample.member.where) not in bad for sample in samples])
    kept = [sample for sample, good in zip(samples, whole, strict=True) if good]
    labels = np.array([numbers[sample.label] for sample in kept], np.int64)
    splits = choose_splits(kept, labels, names, path, seed)
    arrays, places = {"class_names": np.array(names)}, whole.nonzero()[0]
    for split in ("train", "test"):
        arrays[f"{split}_images"] = store.pixels[places[splits == split]]
        arrays[f"{split}_labels"] = labels[splits == split]
    write_npz(npz, arrays)
    store.remove()
    say_copies(arrays)
    say(f"{(splits == 'train').sum()} images to train on, {(splits == 'test').sum()} to test on")
    return npz, dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True))


def checked_npz(name: str, folder: Path, force: bool) -> Path:
    """The file to write. Raises UsageError for a bad or reserved name, and for one that is there,
    unless `force`.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) or name.lower().endswith(".npz"):
        raise UsageError(
            f"NAME must consist of letters, digits, '_' and '-', without .npz, got {name!r}"
        )
    if name.lower() in CATALOG:
        raise UsageError(f"{name!r} is a data set of the course; choose another NAME")
    npz = folder / f"{name}.npz"
    if npz.exists() and not force:
        raise UsageError(
            f"data set {name!r} already exists ({str(npz)!r}); choose another NAME, or replace it "
            "with --force"
        )
    return npz


def refuse_bad(bad: dict[str, str], total: int, path: Path, skip_bad: bool) -> None:
    """Raise DataError for images that cannot be decoded; name them on stderr if `skip_bad`."""
    if bad and not skip_bad:
        first = "; ".join(f"{where} ({why})" for where, why in list(bad.items())[:NAMED])
        raise DataError(
            f"{len(bad)} of {total} images in {str(path)!r} cannot be decoded: {first}"
            f"{'; ...' if len(bad) > NAMED else ''}; fix them, or leave them out with --skip-bad"
        )
    for where, why in bad.items():
        say(f"left out {where}: {why}")


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
    found: list[tuple[str, bool, Reader, str]] = []  # name, whether it is a link, reader, stamp
    if not path.exists():
        raise DataError(f"there is no folder or file {str(path)!r}")
    try:
        if path.is_dir():
            for file in path.rglob("*"):
                reader: Reader = file.read_bytes if file.is_file() else None
                about = file.lstat()
                stamp = f"{about.st_size} {about.st_mtime_ns}"
                found.append((file.relative_to(path).as_posix(), file.is_symlink(), reader, stamp))
            yield checked(found, path)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
                    reader = None if info.is_dir() else partial(archive.read, info)
                    found.append((info.filename, is_link, reader, f"{info.file_size} {info.CRC}"))
                yield checked(found, path)
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as tar:
                for item in tar:
                    reader = partial(read_item, tar, item) if item.isfile() else None
                    is_link = not (item.isfile() or item.isdir())
                    found.append((item.name, is_link, reader, f"{item.size} {item.mtime}"))
                yield checked(found, path)
        else:
            raise DataError(f"{str(path)!r} is not a folder, zip or tar; unpack it first")
    except (OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile,
            tarfile.TarError) as error:  # fmt: skip
        raise DataError(f"cannot read {str(path)!r}: {error}") from None


def read_item(tar: tarfile.TarFile, item: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(item)
    assert stream is not None
    return stream.read()


def checked(found: list[tuple[str, bool, Reader, str]], path: Path) -> list[Member]:
    """The visible members by name. Raises DataError for a link and for a path that leads out."""
    members = []
    for order, (name, is_link, read, stamp) in sorted(
        enumerate(found), key=lambda entry: entry[1][0]
    ):
        where = PurePosixPath(name.replace("\\", "/"))
        if is_link or where.is_absolute() or ".." in where.parts or ":" in where.parts[0]:
            what = "a link or device" if is_link else "a path that leads outside"
            raise DataError(f"{str(path)!r} holds {what}: {name!r}; nothing was imported")
        # Hidden files and folders are those of an operating system or a tool.
        if where.parts and not any(part.startswith((".", "__")) for part in where.parts):
            members.append(Member(where, read, stamp, order))
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


def say_copies(arrays: dict[str, np.ndarray]) -> None:
    """Say how many test images have the pixels of a training image: they make a score too good."""
    train, test = (
        [hashlib.blake2b(image, digest_size=16).digest() for image in arrays[f"{split}_images"]]
        for split in ("train", "test")
    )
    known = set(train)
    copies = sum(digest in known for digest in test)
    if copies:
        say(
            f"{copies} of the {len(test)} test images have the same pixels as a "
            "training image, so that the test score will be too good; remove the copies"
        )


class Store:
    """The decoded images in a file next to `npz`, so that an import that was stopped continues.

    pixels: uint8 (N, C, size, size), in the order of `members`. done: bool (N,), which of them are
    on the disk. Raises DataError if the folder cannot be written.
    """

    def __init__(self, npz: Path, members: list[Member], size: int, gray: bool) -> None:
        self.members, self.folder = members, npz.with_name(f".{npz.stem}.import")
        shape = (len(members), 1 if gray else 3, size, size)
        about = repr([shape, *((str(one.where), one.stamp) for one in members)])
        key = self.folder / hashlib.sha256(about.encode("utf-8", "replace")).hexdigest()[:16]
        try:
            if not key.is_file():
                self.remove()
                self.folder.mkdir(parents=True)
                for name, length in (("pixels", math.prod(shape)), ("done", len(members))):
                    with (self.folder / name).open("wb") as file:
                        file.truncate(length)
                key.touch()
            self.pixels = np.memmap(self.folder / "pixels", np.uint8, "r+", shape=shape)
            self.done = np.memmap(self.folder / "done", np.bool_, "r+", shape=shape[:1])
        except OSError as error:
            where = str(self.folder)
            raise DataError(f"cannot write {where!r}: {error.strerror or error}") from None

    def mark(self, places: list[int]) -> None:
        """Say that the pixels at `places` are whole, after they have reached the disk."""
        self.pixels.flush()
        self.done[places] = True
        self.done.flush()

    def remove(self) -> None:
        self.__dict__.pop("pixels", None)  # Windows removes no file that is mapped
        self.__dict__.pop("done", None)
        shutil.rmtree(self.folder, ignore_errors=True)


def decode_all(store: Store, size: int, gray: bool) -> dict[str, str]:
    """Decode the images that the store does not hold; return why some cannot be, by path.

    Pixels of more than 8 bits are scaled after all are known, by a range that they share: the
    difference between a dark image and a bright one must stay.
    """
    wide: dict[str, dict[int, np.ndarray]] = {"i": {}, "f": {}}  # wide integers, and floats
    peaks = {"i": 0.0, "f": 0.0}
    bad: dict[str, str] = {}
    several, new = [], list[int]()
    members = store.members
    # In the order of the archive: going back in a compressed tar means starting over.
    places = sorted(range(len(members)), key=lambda place: members[place].order)
    left = [place for place in places if not store.done[place]]
    if len(left) < len(places):
        say(f"{len(places) - len(left)} images were decoded by an earlier import that was stopped")
    for place in tqdm(
        left, total=len(places), initial=len(places) - len(left), unit="image", disable=None,
        file=sys.stderr,
    ):  # fmt: skip
        member = members[place]
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
            if kind:
                wide[kind][place], peaks[kind] = decoded, max(peaks[kind], peak)
            else:
                store.pixels[place] = decoded
            if frames > 1:
                several.append(str(member.where))
            elif not kind:  # what is said of the others is said again after a stop
                new.append(place)
            if len(new) == KEPT:
                store.mark(new)
                new.clear()
    store.mark(new)
    if several:
        several.sort()
        say(f"{len(several)} files hold several pictures, the first of each was taken: {several[0]}"
            f"{', ...' if len(several) > 1 else ''}")  # fmt: skip
    for kind, what in (("i", "integers"), ("f", "floats")):
        if wide[kind]:
            top = next((top for top in ((1.0,) if kind == "f" else ()) + (255.0, 65535.0)
                        if peaks[kind] <= top), peaks[kind])  # fmt: skip
            say(f"{len(wide[kind])} images hold {what} up to {peaks[kind]:g}: 0 to {top:g} becomes "
                "0 to 255")  # fmt: skip
            for place, values in wide[kind].items():
                store.pixels[place] = (values * (255 / top)).round().clip(0, 255)
    return {where: bad[where] for where in sorted(bad)}


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
