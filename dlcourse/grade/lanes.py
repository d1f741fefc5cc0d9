"""Processes that grade side by side: one that dies or fills its memory costs its own work alone."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import resource
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from dlcourse.errors import GradingError
from dlcourse.grade.sandbox import linux
from dlcourse.startup import lasting_imports

__all__ = ["Lanes", "memory"]

GROWTH = 512 * 2**20  # bytes by which a process may grow before a new one takes its place

started_with: int | None = None  # bytes that this process had after its first work


class Lanes(Executor):
    """An Executor of `jobs` processes, each for one call at a time.

    A pool of the standard library gives up all of its calls when one of its processes dies. Here a
    call whose process dies raises GradingError, and a new process does the next one.
    """

    def __init__(self, jobs: int) -> None:
        self.threads = ThreadPoolExecutor(jobs)
        self.mine = threading.local()
        self.pools: list[ProcessPoolExecutor] = []

    def submit(self, function: Callable, /, *args: Any, **kwargs: Any) -> Future:
        return self.threads.submit(self.run, function, *args, **kwargs)

    def run(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        pool = getattr(self.mine, "pool", None) or self.start()
        try:
            result = pool.submit(function, *args, **kwargs).result()
            if pool.submit(is_worn).result():
                self.stop(pool)
        except BrokenProcessPool:
            self.stop(pool)
            raise GradingError("a process that grades died while it worked on this") from None
        return result

    def start(self) -> ProcessPoolExecutor:
        self.mine.pool = ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn"), initializer=join_batch
        )
        self.pools.append(self.mine.pool)
        return self.mine.pool

    def stop(self, pool: ProcessPoolExecutor) -> None:
        self.mine.pool = None
        self.pools.remove(pool)
        pool.shutdown()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.threads.shutdown(wait, cancel_futures=cancel_futures)
        for pool in self.pools:
            pool.shutdown(wait)


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
