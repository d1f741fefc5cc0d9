"""The IDX format of MNIST and its kin (LeCun, yann.lecun.com/exdb/mnist), raw or gzipped."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from dlcourse.data.catalog import RawFile
from dlcourse.errors import DataError

__all__ = ["read_idx"]

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, num_dims: int, original: RawFile | None = None) -> np.ndarray:
    """The uint8 array of `num_dims` dimensions in an IDX file.

    original: what an unpacked file of that size must be; a smaller set in its place is taken as
    it is. Raises DataError where the file is unreadable, truncated, too long, of another kind, or
    not the original.
    """
    try:
        if path.suffix == ".gz":
            content = np.frombuffer(bytearray(gzip.decompress(path.read_bytes())), np.uint8)
        else:
            content = np.fromfile(path, np.uint8)
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, f"cannot be read: {error}") from None
    start = 4 + 4 * num_dims
    head = content[:start].tobytes()
    if head[:4] != bytes([0, 0, UNSIGNED_BYTE, num_dims]) or len(head) < start:
        raise damaged(path, f"begins with {head[:4].hex() or 'nothing'}, not 000008{num_dims:02x}")
    shape = struct.unpack(f">{num_dims}I", head[4:])
    if len(content) - start != math.prod(shape):
        raise damaged(
            path,
            f"holds {len(content) - start:,} bytes of data where its header "
            f"says {math.prod(shape):,}",
        )
    if original and len(content) == original.bytes:
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if md5 != original.md5:
            raise damaged(path, f"is damaged: its MD5 is {md5}, the original's {original.md5}")
    return content[start:].reshape(shape)


def damaged(path: Path, what: str) -> DataError:
    return DataError(
        f"IDX file {str(path)!r} {what}; delete it and run `dlcourse data get` for its data set"
    )
