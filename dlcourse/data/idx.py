"""The IDX format of MNIST and its kin (LeCun, yann.lecun.com/exdb/mnist), raw or gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from dlcourse.errors import DataError

__all__ = ["read_idx"]

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, num_dims: int) -> np.ndarray:
    """The uint8 array of `num_dims` dimensions in an IDX file.

    Raises DataError where the file is unreadable, truncated, too long or of another kind.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, f"cannot be read: {error}") from None
    start = 4 + 4 * num_dims
    if content[:4] != bytes([0, 0, UNSIGNED_BYTE, num_dims]) or len(content) < start:
        raise damaged(
            path, f"begins with {content[:4].hex() or 'nothing'}, not 000008{num_dims:02x}"
        )
    shape = struct.unpack(f">{num_dims}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise damaged(
            path,
            f"holds {len(content) - start:,} bytes of data where its header "
            f"says {math.prod(shape):,}",
        )
    # A copy, so that the array can be written to: torch warns about those that cannot.
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def damaged(path: Path, what: str) -> DataError:
    return DataError(
        f"IDX file {str(path)!r} {what}; delete it and run `dlcourse data get` for its data set"
    )
