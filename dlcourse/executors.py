"""Run work on a cluster that is already running, instead of on this machine's processes."""

from __future__ import annotations

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

        return cast(Executor, Client(address, timeout=TIMEOUT_S).get_executor())
    except ImportError:
        raise UsageError(f"executor {name!r} needs Dask: pip install distributed") from None
    except (OSError, ValueError) as error:
        reason = str(error) or f"no answer in {TIMEOUT_S} s"
        raise UsageError(
            f"no Dask scheduler at {address}: {reason}; start one with `dask scheduler`, or check "
            "the address"
        ) from None
