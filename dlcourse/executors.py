"""Run work on a cluster that is already running, instead of on this machine's processes."""

from __future__ import annotations

import threading
from concurrent.futures import Executor
from typing import cast

from dlcourse.errors import UsageError

__all__ = ["connect"]

TIMEOUT_S = 8


def connect(name: str) -> Executor:
    """The Executor of the cluster `name`; `dask:ADDRESS` names a running Dask scheduler.

    The workers of the cluster need this package, and the files that the work reads at the same
    paths. Raises UsageError for another name, or if the cluster does not answer.
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
    # Not pure: Dask would answer an equal call with the result of an earlier one, though the files
    # that it reads may have changed since.
    return cast(Executor, made[0].get_executor(pure=False))
