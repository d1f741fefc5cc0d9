"""Download files: several mirrors in turn, resumed, with the hash checked before use.

pooch checks the hash before a file gets its name; filelock keeps two processes from downloading at
the same time.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import filelock
import pooch
import requests
from tqdm import tqdm

from dlcourse.data.catalog import RemoteFile
from dlcourse.errors import DataError

__all__ = ["fetch_file", "hash_ok", "locked"]

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 4, 20
LOCK_TIMEOUT_S = 3600
CHUNK = 1 << 16

pooch.get_logger().setLevel(logging.ERROR)


def locked(folder: Path, name: str) -> AbstractContextManager[object]:
    """A context in which this process alone downloads `name` into `folder`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return filelock.FileLock(folder / f".{name}.lock", timeout=LOCK_TIMEOUT_S).acquire()
    except OSError as error:
        raise DataError(
            f"cannot write into data folder {str(folder)!r}: {error.strerror or error}; "
            "name another one with --data-dir or DLCOURSE_DATA"
        ) from None


def hash_ok(path: Path, known: str) -> bool:
    """Whether the file at `path` has the hash `known`, "md5:..." or "sha256:..."."""
    return pooch.hashes.hash_matches(str(path), known)


def fetch_file(file: RemoteFile, folder: Path) -> Path:
    """The path of `file` in `folder`, downloaded unless it is there with the right hash.

    A broken transfer is resumed at the next mirror that answers. Raises DataError with the answer
    of each mirror.
    """
    path = folder / file.path
    if path.is_file() and hash_ok(path, file.hash):
        return path
    tried = []
    for url in file.urls:
        # Again if a resumed file has a wrong hash: the part it started from may have been wrong.
        for _ in range(2):
            part = path.with_name(path.name + ".part")
            resumed = part.is_file()
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                pooch.retrieve(url, file.hash, path.name, path.parent, downloader=Resuming(part))
                return path
            except WrongContentError as error:
                tried.append(f"{url}: {error}")
                break
            except ValueError:
                tried.append(f"{url}: its content has a wrong hash")
                if not resumed:
                    break
            except requests.RequestException as error:
                tried.append(f"{url}: {reason(error)}")
                break
            except OSError as error:
                raise DataError(
                    f"cannot write {str(path)!r}: {error.strerror or error}; make room, "
                    "or name another folder with --data-dir or DLCOURSE_DATA"
                ) from None
    raise DataError(f"cannot fetch {path.name} from any of {len(tried)}: {'; '.join(tried)}")


class WrongContentError(Exception):
    """The answer is not the file but an error page."""


class Resuming:
    """A pooch downloader that keeps a broken transfer in `part` and asks only for the rest."""

    def __init__(self, part: Path) -> None:
        self.part = part

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        have = self.part.stat().st_size if self.part.is_file() else 0
        response = self.get(url, have)
        if response.status_code == 416:  # nothing is left to send, or the remote file is shorter
            have = 0
            response = self.get(url, have)
        with response:
            response.raise_for_status()
            if "text/html" in response.headers.get("Content-Type", ""):
                raise WrongContentError("it answered with an HTML page, not the file")
            resumed = response.status_code == 206
            have = have if resumed else 0
            length = int(response.headers.get("Content-Length", 0))
            with (
                open(self.part, "ab" if resumed else "wb") as file,
                tqdm(
                    desc=Path(url).name,
                    initial=have,
                    total=have + length or None,
                    unit="B",
                    unit_scale=True,
                    disable=None,
                    file=sys.stderr,
                ) as bar,
            ):
                for block in response.iter_content(CHUNK):
                    file.write(block)
                    bar.update(len(block))
        os.replace(self.part, output_file)

    @staticmethod
    def get(url: str, have: int) -> requests.Response:
        # Without compression, so that the file's own bytes are hashed and counted.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        return requests.get(
            url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        )


def reason(error: requests.RequestException) -> str:
    """What went wrong, in a few words."""
    if error.response is not None:
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the transfer broke off"
    return "no connection"
