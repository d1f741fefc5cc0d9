"""Run work on a cluster that is already running, instead of on this machine's processes."""

from __future__ import annotations

import hashlib
import sys
import threading
from concurrent.futures import Executor
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from dlcourse.errors import UsageError

__all__ = ["connect"]

TIMEOUT_S = 8


def connect(name: str) -> Executor:
    """The Executor of the cluster `name`; `dask:ADDRESS` names a running Dask scheduler.

    The workers of the cluster need the same version of this package, of Python, torch and NumPy,
    and the files that the work reads at the same paths. Raises UsageError for another name, if the
    cluster does not answer, or if a worker has something else.
    """
    kind, _, address = name.partition(":")
    if kind != "dask" or not address:
        raise UsageError(
            f"unknown executor {name!r}; expected dask:ADDRESS, for example dask:tcp://host:8786"
        )
    try:
        from distributed import Client
    except ImportError:
        raise UsageError(f"executor {name!r} needs Dask: pip install distributed") from None
    made: list[Client] = []
    problems = [f"no answer in {TIMEOUT_S} s"]

    def ask() -> None:
        try:
            made.append(Client(address, timeout=TIMEOUT_S))
        except Exception as error:  # noqa: BLE001 (Dask passes on whatever a wrong server sends)
            problems.append(str(error) or type(error).__name__)

    # In a thread, because Dask's own limit does not cover the search for the host's name.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(TIMEOUT_S + 1)
    if not made:
        raise UsageError(
            f"no Dask scheduler at {address}: {problems[-1]}; start one with `dask scheduler`, or "
            "check the address"
        )
    refuse_other_workers(made[0])
    # Not pure: Dask would answer an equal call with the result of an earlier one, though the files
    # that it reads may have changed since.
    return cast(Executor, made[0].get_executor(pure=False))


def installed() -> dict[str, str]:
    """What decides the results of a process: versions, and the text of this package."""
    text = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        text.update(path.read_bytes())
    return {
        "dlcourse": f"{sys.modules['dlcourse'].__version__} ({text.hexdigest()[:8]})",
        "Python": f"{sys.version_info.major}.{sys.version_info.minor}",
        **{name: version(name).partition("+")[0] for name in ("torch", "numpy")},
    }


def refuse_other_workers(client: Any) -> None:
    """Raise UsageError if a worker of the cluster cannot give the results of this process."""
    here = installed()
    try:
        there = client.run(installed)
    except Exception as error:  # noqa: BLE001 (raised on a worker, by whatever it lacks)
        why = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"a worker of the cluster cannot run dlcourse {here['dlcourse']} ({why}); install that "
            "on every worker"
        ) from None
    for worker, found in there.items():
        for name, mine in here.items():
            if found.get(name) != mine:
                raise UsageError(
                    f"worker {worker} of the cluster has {name} {found.get(name)}, and here it is "
                    f"{mine}; install the same on every worker and start it again"
                )
