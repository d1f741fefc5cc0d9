"""What makes a process that needs torch start, and end, sooner."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

__all__ = ["lasting_imports"]


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
