"""dlcourse: the deep-learning course that people can run.

A thin PyTorch package that the lab scripts call. `import dlcourse` imports neither torch nor any
part of the package: each part is loaded when it is first used, so `dlcourse.train.fit` works after
a plain `import dlcourse`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlcourse import (
        check,
        compare,
        course,
        data,
        errors,
        init,
        lab,
        models,
        optim,
        plots,
        recipes,
        runtime,
        train,
    )

__all__ = [
    "__version__",
    "check",
    "compare",
    "course",
    "data",
    "errors",
    "init",
    "lab",
    "models",
    "optim",
    "plots",
    "recipes",
    "runtime",
    "train",
]

__version__ = "0.2.0"

# OpenMP threads that spin while they wait slow down everything else on a busy machine. libgomp
# reads this value when torch is imported, and a lab imports torch before any other file of this
# package. That many spins take about 20 microseconds, enough to bridge the gaps between the
# operations of a short training step.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def __getattr__(name: str) -> Any:
    """Import the part of the package called `name` when it is first used (PEP 562)."""
    if name in __all__:
        import importlib

        return importlib.import_module(f"dlcourse.{name}")
    raise AttributeError(f"module 'dlcourse' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
