"""A process of a batch: it ends with the batch, and gives way to a new one when it has grown."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import resource
from pathlib import Path

from dlcourse.grade.sandbox import linux
from dlcourse.process_pool import ProcessPool
from dlcourse.startup import lasting_imports

__all__ = ["memory", "processes"]

GROWTH = 512 * 2**20  # bytes by which a process may grow before a new one takes its place

started_with: int | None = None  # bytes that this process had after its first work


def processes(jobs: int) -> ProcessPool:
    """Return an Executor of `jobs` processes that grade; each works on one submission at a time."""
    return ProcessPool(jobs, join_batch, is_worn)


def join_batch() -> None:
    """Initialize a process of the batch: it ends when the batch is killed."""
    linux.die_with_parent()
    # The batch may have gone while this process was still importing.
    parent = multiprocessing.parent_process()
    if parent is None or os.getppid() != parent.pid:
        os._exit(1)
    with lasting_imports():
        import torch  # noqa: F401 (the first call needs it)


def memory(field: int = 1) -> int:
    """Return the bytes of this process: resident (1), or of its whole address space (0)."""
    return int(Path("/proc/self/statm").read_text().split()[field]) * resource.getpagesize()


def is_worn() -> bool:
    """Return whether this process has grown by more than GROWTH since its first work."""
    global started_with
    if started_with is None:
        started_with = memory()
    if memory() - started_with < GROWTH:
        return False
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return memory() - started_with > GROWTH
