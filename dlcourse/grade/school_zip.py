"""A class as the one .zip that a school hands out: unpacked for a while, with care."""

from __future__ import annotations

import contextlib
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from dlcourse.check.text import clean_text
from dlcourse.errors import UsageError

__all__ = ["opened"]

MAX_FILES = 200_000
MAX_BYTES = 8 * 2**30


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Yield the folder of submissions at `path`; of a .zip, a copy that is deleted afterwards.

    The zips inside stay as they are. Raises UsageError for a zip that is damaged, that would write
    outside of its folder, or that is too large.
    """
    if not (path.is_file() and path.suffix.lower() == ".zip"):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="submissions-") as name:
        folder = Path(name) / clean_text(path.stem, 100)
        folder.mkdir()
        try:
            unpack(path, folder)
        except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError) as error:
            raise UsageError(f"cannot read {path}: {error}; download it again") from None
        except (OSError, RuntimeError) as error:
            raise UsageError(f"cannot unpack {path}: {error}; unpack it by hand") from None
        yield folder


def unpack(path: Path, folder: Path) -> None:
    written: set[str] = set()
    size = 0
    with zipfile.ZipFile(path) as archive:
        if len(archive.infolist()) > MAX_FILES:
            raise UsageError(f"{path} holds more than {MAX_FILES:,} files")
        for info in archive.infolist():
            name = readable_name(info)
            parts = PurePosixPath(name.replace("\\", "/")).parts
            shown = clean_text(name, 80)
            if not parts or ".." in parts or PurePosixPath(name).is_absolute() or "\0" in name:
                raise UsageError(f"{path} holds the path {shown!r}; unpack it by hand")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise UsageError(f"{path} holds a link, {shown!r}; unpack it by hand")
            target = folder.joinpath(*parts)
            if info.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            if str(target) in written:
                raise UsageError(f"{path} holds {shown!r} twice; unpack it by hand")
            written.add(str(target))
            size += info.file_size
            if size > MAX_BYTES:
                raise UsageError(f"{path} unpacks to more than {MAX_BYTES:,} bytes")
            target.parent.mkdir(parents=True, exist_ok=True)
            # zipfile reads no more than the size that was just counted.
            with archive.open(info) as source, target.open("xb") as file:
                shutil.copyfileobj(source, file)


def readable_name(info: zipfile.ZipInfo) -> str:
    """The name of an entry; many programs write UTF-8 without the flag that says so."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename
