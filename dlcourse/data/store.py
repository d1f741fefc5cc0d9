"""The data sets in the data folder: what is here, get it, verify it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path

from dlcourse.data import catalog
from dlcourse.data.folder import data_folder
from dlcourse.data.torchvision_files import find_files, idx_path, read_files
from dlcourse.errors import DataError, UnknownNameError

__all__ = ["Status", "as_dicts", "as_text", "get", "statuses", "verify"]


@dataclass(frozen=True)
class Status:
    """A data set and whether it is here. path: where it is, "" where it is not. ok: whether what
    is there is whole, None where it was not looked at or is not there; problem: what is not."""

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
    """The course's data sets and any other `<name>.npz` in the data folder; nothing is read."""
    folder = data_folder(data_dir)
    found = []
    for entry in catalog.CATALOG.values():
        path = here(entry, folder)
        found.append(
            Status(
                entry.name, entry.title, entry.kind, entry.size, entry.licence, entry.homepage,
                str(path or ""), weight(path),
            )
        )  # fmt: skip
    for path in sorted(folder.glob("*.npz")):
        if path.stem not in catalog.CATALOG:
            found.append(
                Status(path.stem, path.stem, "images", "imported", "your own", "imported",
                       str(path), weight(path))
            )  # fmt: skip
    return found


def verify(data_dir: str | PathLike[str] | None = None, names: Sequence[str] = ()) -> list[Status]:
    """Read and re-check what is here: hashes where the file's is known, else its structure (an
    npz carries a checksum of every array). names: these alone. Raises UnknownNameError."""
    there = {status.name: status for status in statuses(data_dir)}
    for name in names:
        if name not in there:
            raise UnknownNameError("data set", name, there)
    checked = []
    for status in there.values():
        if status.path and (not names or status.name in names):
            try:
                check(status.name, Path(status.path))
                checked.append(Status(**asdict(status) | {"ok": True}))
            except DataError as error:
                checked.append(Status(**asdict(status) | {"ok": False, "problem": str(error)}))
    return checked


def check(name: str, path: Path) -> None:
    """Raise DataError unless the data set at `path` is whole."""
    from dlcourse.data.fetch import hash_ok
    from dlcourse.data.npz import check_arrays, read_npz

    if path.suffix == ".npz":
        read_npz(path)
        return
    entry = catalog.CATALOG[name]
    for file in entry.files:
        if entry.layout == "idx":
            there = idx_path(path, file.path)
            raw = catalog.RAW_FILES.get((name, there.name))
            known = file.hash if there.suffix == ".gz" else raw and f"md5:{raw.md5}"
        elif entry.layout == "cifar":
            there, known = path, None if path.is_dir() else file.hash
        else:
            there, known = path / Path(file.path).name, file.hash
        if known and not hash_ok(there, known):
            raise DataError(
                f"{str(there)!r} has a wrong hash; delete it and run `dlcourse data get {name}`"
            )
    if entry.kind == "images":
        check_arrays(read_files(entry, path), str(path))


def weight(path: Path | None) -> int:
    """Bytes of a file, or of the files in a folder."""
    if path is None:
        return 0
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def as_dicts(statuses: list[Status]) -> list[dict[str, object]]:
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
    """Fetch the data set `name` into the data folder unless it is there; the path it is at.

    Images become `<name>.npz`, text keeps its files. Those who share the folder fetch once.
    Raises UnknownNameError, and DataError with what each mirror answered.
    """
    from dlcourse.data.fetch import fetch_file, locked
    from dlcourse.data.npz import write_npz

    entry, folder = catalog.find(name), data_folder(data_dir)
    if path := here(entry, folder):
        return path
    with locked(folder, name):
        if path := here(entry, folder):  # another process fetched it meanwhile
            return path
        if entry.kind == "text":
            for file in entry.files:
                fetch_file(file, folder)
            return here(entry, folder)
        fetched = folder / f".{name}.fetched"
        for file in entry.files:
            fetch_file(file, fetched)
        npz = folder / f"{name}.npz"
        write_npz(npz, read_files(entry, find_files(entry, fetched)))
        shutil.rmtree(fetched)
        return npz


def here(entry: catalog.DataSet, folder: Path) -> Path | None:
    """Where `entry` is in `folder`, None where it is not there whole."""
    npz = folder / f"{entry.name}.npz"
    if entry.kind == "images":
        return npz if npz.is_file() else find_files(entry, folder)
    paths = [folder / file.path for file in entry.files]
    return paths[0].parent if all(path.is_file() for path in paths) else None
