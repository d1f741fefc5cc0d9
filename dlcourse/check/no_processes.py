"""Refuse to start another process while student code runs, with one message everywhere.

In `dlcourse grade` the kernel refuses it anyway, but the student would read only "[Errno 2]" there,
and `dlcourse check` would say nothing.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing.process
import sys
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["ProcessRefusedError", "refuse_processes"]

REFUSAL = "no processes while a lab is graded; use num_workers=0"
EVENTS = {
    "_winapi.CreateProcess", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn",
    "os.startfile", "os.system", "subprocess.Popen",
}  # fmt: skip

running = False  # whether student code runs now


class ProcessRefusedError(PermissionError):
    """Student code tried to start a process, or to make an object that processes share."""

    def __init__(self) -> None:
        super().__init__(REFUSAL)


@contextlib.contextmanager
def refuse_processes() -> Iterator[None]:
    """Within this block, starting a process or making a lock for processes raises."""
    global running
    install()
    before, running = running, True
    try:
        yield
    finally:
        running = before


@functools.cache
def install() -> None:
    sys.addaudithook(watch)
    # multiprocessing starts processes without an audit event.
    guard(multiprocessing.process.BaseProcess, "start")
    with contextlib.suppress(ImportError):
        from multiprocessing import heap, shared_memory, synchronize

        guard(heap.Arena, "__init__")
        guard(synchronize.SemLock, "__init__")
        guard(shared_memory.SharedMemory, "__init__")


def watch(event: str, _: tuple) -> None:
    if running and event in EVENTS:
        raise ProcessRefusedError


def guard(owner: type, name: str) -> None:
    original: Callable = getattr(owner, name)

    @functools.wraps(original)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if running:
            raise ProcessRefusedError
        return original(*args, **kwargs)

    setattr(owner, name, guarded)
