"""Where work that fans out runs beside this machine's own processes: an engine already there."""

from __future__ import annotations

from concurrent.futures import Executor

from dlcourse.errors import UsageError

__all__ = ["connect"]


def connect(name: str) -> Executor:
    """The Executor that `name` stands for: `dask:ADDRESS` is a running Dask scheduler's.

    Its workers need this package, and what the work reads at the same paths. Raises
    UsageError for another name, or where the engine cannot be reached.
    """
    kind, _, address = name.partition(":")
    if kind != "dask" or not address:
        raise UsageError(
            f"unknown executor {name!r}; expected dask:ADDRESS, as dask:tcp://host:8786"
        )
    try:
        from distributed import Client

        return Client(address).get_executor()
    except ImportError:
        raise UsageError(f"executor {name!r} needs Dask: pip install distributed") from None
    except OSError as error:
        raise UsageError(f"no Dask scheduler at {address}: {error}") from None
