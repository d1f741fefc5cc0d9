"""What makes a process that needs torch start, and end, sooner."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

__all__ = ["end_process", "lasting_imports"]


@contextlib.contextmanager
def lasting_imports() -> Iterator[None]:
    """Import torch, or what imports torch, in a process that is ours from start to end.

    Modules create a million objects that stay. Python would walk through all of them, again and
    again during the imports and once more at the exit, to find what nobody uses: 1 s of the 3.5 s
    that `import torch` takes from start to end on a slow machine. Here nothing is collected
    meanwhile, and what there is afterwards is never walked through again. If the process has torch
    already, nothing changes.
    """
    if "torch" in sys.modules:
        yield
        return
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
    gc.freeze()


def end_process(status: int) -> NoReturn:
    """End this process with `status`, and leave the memory of torch to the system as it is.

    Python would take all modules apart first, which takes long where torch is one of them. What is
    registered for the end still runs, and what was printed is written. Where something else waits
    for the end (another thread, a profiler, a debugger), the process ends in Python's own way.
    """
    others = [thread for thread in threading.enumerate() if not thread.daemon]
    watched = sys.getprofile() or sys.gettrace()
    if "torch" in sys.modules and len(others) == 1 and not watched:
        atexit._run_exitfuncs()
        # If the output cannot be written, Python says so at its own end.
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    sys.exit(status)
