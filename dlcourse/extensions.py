"""Python files of your own that register models, data sets, optimizers and schedules.

A command loads them with `--extension FILE`; the processes that it starts load them again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dlcourse.errors import DlcourseError, UsageError

__all__ = ["HASHES", "PREFIX", "VARIABLE", "load", "load_inherited"]

# The files that this process has loaded; processes that it starts inherit the variable.
VARIABLE = "DLCOURSE_EXTENSIONS"
PREFIX = "dlcourse_extension_"
HASHES: dict[str, str] = {}  # of the content of each file that was loaded, by its path


def load(files: Sequence[str | Path]) -> None:
    """Run each file once. Raises UsageError, naming the file, if that fails, or if the file has
    changed since this process ran it."""
    for file in map(Path, files):
        path = file.resolve()
        name = PREFIX + str(path).encode().hex()
        spec = importlib.util.spec_from_file_location(name, path)
        if path.suffix != ".py" or not path.is_file() or spec is None or spec.loader is None:
            raise UsageError(f"extension {str(file)!r} is not a Python file (.py)")
        content = path.read_bytes()
        sha = hashlib.sha256(content).hexdigest()[:16]
        if name in sys.modules:
            if HASHES.get(str(path), sha) != sha:
                raise UsageError(
                    f"extension {str(file)!r} has changed since this process ran it; start the "
                    "process again (on a cluster, its workers)"
                )
            continue
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            # Python's cache would give the code of an edit that was saved in the same second.
            exec(compile(content, str(path), "exec", dont_inherit=True), module.__dict__)
        except DlcourseError as error:
            del sys.modules[name]
            raise UsageError(f"extension {str(file)!r}: {error}") from None
        except Exception as error:  # noqa: BLE001  it is the user's own code
            del sys.modules[name]
            raise UsageError(f"extension {str(file)!r}: {type(error).__name__}: {error}") from None
        HASHES[str(path)] = sha
        loaded = os.environ.get(VARIABLE, "").split(os.pathsep)
        os.environ[VARIABLE] = os.pathsep.join(filter(None, dict.fromkeys([*loaded, str(path)])))


def load_inherited() -> None:
    """Load the files that the process which started this one had loaded."""
    load([path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path])
