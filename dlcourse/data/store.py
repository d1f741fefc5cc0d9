"""The data sets in the data folder: what is there, download it, verify it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from dlcourse.data import catalog
from dlcourse.data.folder import data_folder, split_files
from dlcourse.data.torchvision_files import find_files, idx_path, read_files
from dlcourse.errors import DataError, UnknownNameError

__all__ = ["Status", "as_dicts", "as_text", "get", "here", "locate", "statuses", "verify"]


@dataclass(frozen=True)
class Status:
    """A data set and whether it is in the data folder.

    path: where it is, or "". ok: whether it is undamaged, None if that was not checked. problem:
    what is damaged or missing.
    """

    name: str
    title: str
    kind: str
    size: str
    licence: str
    source: str
    path: str = ""
    bytes: int = 0
    ok: bool | None = None
    problem: str = ""


def statuses(data_dir: str | PathLike[str] | None = None) -> list[Status]:
    """The course's data sets, registered ones, and other `<name>.npz` files; nothing is read."""
    folder = data_folder(data_dir)
    found = []
    for entry in catalog.CATALOG.values():
        try:
            path, problem = here(entry, folder), ""
        except DataError as error:
            path, problem = None, str(error)
        found.append(
            Status(
                entry.name, entry.title, entry.kind, entry.size, entry.licence, entry.homepage,
                str(path or ""), weight(path), problem=problem,
            )
        )  # fmt: skip
    for name, own in catalog.REGISTERED.items():
        found.append(
            Status(name, own.title, own.kind, own.title, "your own", "registered", "in memory")
        )
    taken = {status.name for status in found}
    for path in sorted(folder.glob("*.npz")):
        if path.stem not in taken:
            found.append(
                Status(path.stem, path.stem, "images", "imported", "your own", "imported",
                       str(path), weight(path))
            )  # fmt: skip
    return found


def verify(data_dir: str | PathLike[str] | None = None, names: Sequence[str] = ()) -> list[Status]:
    """Read and check what is in the data folder: the hash of a file if it is known, otherwise its
    structure (an npz holds a checksum of every array).

    names: check only these. What is not here has no status. Raises UnknownNameError.
    """
    there = {status.name: status for status in statuses(data_dir)}
    for name in names:
        if name not in there:
            raise UnknownNameError("data set", name, there)
    checked = []
    for status in there.values():
        if names and status.name not in names:
            continue
        if status.problem:
            checked.append(replace(status, ok=False))
        elif status.bytes:
            try:
                check(status.name, data_folder(data_dir))
                checked.append(replace(status, ok=True))
            except DataError as error:
                checked.append(replace(status, ok=False, problem=str(error)))
    return checked


def check(name: str, folder: Path) -> None:
    """Raise DataError unless the data set called `name` in `folder` is undamaged."""
    from dlcourse.data.fetch import hash_ok
    from dlcourse.data.npz import check_arrays, is_captioned, read_captioned, read_npz

    npz = folder / f"{name}.npz"
    if npz.is_file():
        if is_captioned(npz):
            read_captioned(npz)
        else:
            read_npz(npz)
        return
    entry = catalog.CATALOG[name]
    files = files_of(entry, folder)
    for path, remote in zip(files, entry.files, strict=True):
        raw = catalog.RAW_FILES.get((name, path.name.replace(".idx", "-idx")))
        # The hash in the catalog is that of the packed file.
        unpacked = entry.kind == "images" and path.suffix != ".gz"
        known = (raw and f"md5:{raw.md5}") if unpacked else remote.hash
        if known and not hash_ok(path, known):
            raise DataError(
                f"{str(path)!r} has a wrong hash; delete it and run `dlcourse data get {name}`"
            )
    if entry.kind == "images":
        check_arrays(read_files(entry, files), str(files[0]))


def weight(path: Path | None) -> int:
    """Bytes of a file, or of the files in a folder."""
    if path is None:
        return 0
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def as_dicts(statuses: list[Status]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(status) for status in statuses]


def as_text(statuses: list[Status]) -> str:
    """A table for people."""
    lines = []
    for status in statuses:
        state = "not here" if not status.path else f"{status.bytes / 1e6:.1f} MB in {status.path}"
        if status.ok is not None:
            state = f"{'good' if status.ok else 'BAD'}, {state}"
        lines.append(f"{status.name:<16} {status.size}")
        lines.append(f"{'':<16} {state}; licence: {status.licence}; source: {status.source}")
        if status.problem:
            lines.append(f"{'':<16} {status.problem}")
    return "\n".join(lines) if lines else "nothing is here yet; `dlcourse data list` names all"


def get(name: str, data_dir: str | PathLike[str] | None = None) -> Path:
    """Download the data set `name` into the data folder unless it is there; return where it is.

    Images become `<name>.npz`, texts and weights keep their files. Files that are there are not
    downloaded again, and processes that share the folder download once.

    Raises UnknownNameError, and DataError with the answer of each mirror.
    """
    from dlcourse.data.fetch import fetch_file, locked
    from dlcourse.data.npz import write_npz

    entry, folder = catalog.find(name), data_folder(data_dir)
    with suppress(DataError):  # incomplete
        if path := here(entry, folder):
            return path
    with locked(folder, name):
        with suppress(DataError):
            if path := here(entry, folder):  # another process has downloaded it
                return path
        if entry.kind != "images":
            paths = [fetch_file(file, folder) for file in entry.files]
            return paths[0] if entry.kind == "weights" else paths[0].parent
        fetched = folder / f".{name}.fetched"
        for file in entry.files:
            if entry.layout != "idx" or not idx_path(file.path, [folder]):
                fetch_file(file, fetched)
        npz = folder / f"{name}.npz"
        write_npz(npz, read_files(entry, find_files(entry, folder, fetched)))
        shutil.rmtree(fetched)
        return npz


def locate(entry: catalog.DataSet, folder: Path, offline: bool) -> tuple[list[Path], str]:
    """The files of texts or weights, downloaded unless here or `offline`; or none, and why.

    Raises DataError if a part of the files is missing.
    """
    why = "--offline"
    if not offline:
        try:
            get(entry.name, folder)
        except DataError as error:
            why = str(error)
    return files_of(entry, folder), why


def here(entry: catalog.DataSet, folder: Path) -> Path | None:
    """Where `entry` is in `folder`, or None. Raises DataError if a part of its files is missing."""
    npz = folder / f"{entry.name}.npz"
    if entry.kind == "images" and npz.is_file():
        return npz
    files = files_of(entry, folder)
    one_file = entry.layout == "cifar" or entry.kind == "weights"
    return None if not files else files[0] if one_file else files[0].parent


def files_of(entry: catalog.DataSet, folder: Path) -> list[Path]:
    """The original files of `entry` in `folder`, or an empty list.

    Raises DataError, naming what is missing, if only a part of them is there.
    """
    if entry.kind == "images":
        return find_files(entry, folder)
    paths = [folder / file.path for file in entry.files]
    missing = [path.name for path in paths if not path.is_file()]
    if not missing:
        return paths
    parent = paths[0].parent
    if len(paths) > 1 and parent.is_dir():
        found = list(split_files(parent).values())  # under other names
        if all(len(files) == 1 for files in found):
            return [path for files in found for path in files]
        if any(found):
            raise DataError(
                f"{entry.title} is incomplete: {str(parent)!r} lacks {', '.join(missing)}; add "
                f"what is missing, or run `dlcourse data get {entry.name}`"
            )
    return []
