"""The data folder as a library: what is here, get it, verify it."""

from __future__ import annotations

import shutil
from os import PathLike
from pathlib import Path

from dlcourse.data import catalog
from dlcourse.data.fetch import fetch_file, locked
from dlcourse.data.folder import data_folder
from dlcourse.data.npz import write_npz
from dlcourse.data.torchvision_files import find_files, read_files

__all__ = ["get"]


def get(name: str, data_dir: str | PathLike[str] | None = None) -> Path:
    """Fetch the data set `name` into the data folder unless it is there; the path it is at.

    Images become `<name>.npz`, text keeps its files. Those who share the folder fetch once.
    Raises UnknownNameError, and DataError with what each mirror answered.
    """
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
