"""What the results of a study depend on besides its settings: the data, and its user's own code.

A study that goes on keeps the results that it has, which is right only while these are the same.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from dlcourse import extensions, models, optim
from dlcourse.compare.settings import Environment, RunSettings
from dlcourse.compare.train_run import dataset
from dlcourse.data import ImageData, TextData
from dlcourse.train import METRICS

__all__ = ["fingerprints"]

# Where code lies that only another version changes; a study names the versions.
LIBRARIES = ("dlcourse", "torch", "torchvision")


def fingerprints(runs: Sequence[RunSettings], environment: Environment) -> dict[str, str]:
    """A hash of every data set and extension, and of every registered model, optimizer, schedule
    and metric of `runs`, by name ("data mnist"). What has no text, as in Python's prompt, has none.
    """
    found = {f"extension {Path(path).name}": sha for path, sha in extensions.HASHES.items()}
    named: dict[str, Callable[..., Any]] = {}
    for run in {(one.data, one.model, one.fit["optimizer"], one.fit["schedule"],
                 one.fit["metrics"]): one for one in runs}.values():  # fmt: skip
        if f"data {run.data}" not in found:
            found[f"data {run.data}"] = hash_of_data(dataset(run, environment))
        named[f"model {run.model}"] = models.MODELS[run.model].builder
        named[f"optimizer {run.fit['optimizer']}"] = optim.OPTIMIZERS[run.fit["optimizer"]].factory
        if run.fit["schedule"] is not None:
            named[f"schedule {run.fit['schedule']}"] = optim.SCHEDULES[run.fit["schedule"]]
        for name in METRICS.keys() & set(run.fit["metrics"] or ()):
            named[f"metric {name}"] = METRICS[name].function
    for name, code in named.items():
        if text := source_of(code):
            found[name] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return found


def hash_of_data(found: ImageData | TextData) -> str:
    """The CRC-32 of all numbers of a data set."""
    parts: list[Tensor] = []
    if isinstance(found, TextData):
        parts = list(found.tokens.values())
    else:
        parts = [found.train_images, found.train_labels, found.test_images, found.test_labels]
    crc = 0
    for part in parts:
        crc = zlib.crc32(part.cpu().contiguous().numpy().data, crc)
    return f"{crc:08x}"


def source_of(code: Any) -> str:
    """The text of a function or class of the user's own; "" for one of a library, or without text.

    What an extension defines has the hash of its file.
    """
    settings = ""
    while isinstance(code, functools.partial):
        settings += repr((code.args, sorted(code.keywords.items())))
        code = code.func
    module = str(getattr(code, "__module__", ""))
    if module.partition(".")[0] in LIBRARIES or module.startswith(extensions.PREFIX):
        return ""
    try:
        return settings + inspect.getsource(code)
    except (OSError, TypeError):
        return ""
