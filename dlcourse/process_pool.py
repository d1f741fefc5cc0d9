"""Local processes as an Executor; a process that dies costs only the call it was working on.

The standard library's pool breaks as a whole when one of its processes dies. This module imports
no torch, nor does a new process until its first call does.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from dlcourse.startup import lasting_imports

__all__ = ["ProcessPool"]


class ProcessPool(Executor):
    """`jobs` processes, each started when it is first needed, and again after it died.

    A call whose process died raises BrokenExecutor; the other calls continue.

    initializer: called first in each process. is_worn: called in a process after each of its calls;
    if it returns True, another process takes its place.
    """

    def __init__(
        self,
        jobs: int,
        initializer: Callable[[], object] | None = None,
        is_worn: Callable[[], bool] | None = None,
    ) -> None:
        self.threads = ThreadPoolExecutor(jobs)
        self.initializer, self.is_worn = initializer, is_worn
        self.own = threading.local()
        self.workers: list[Worker] = []
        self.closed = False

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call `call` in one of the processes."""
        return self.threads.submit(self.run, call, args, kwargs)

    def run(self, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if self.closed:
            raise BrokenExecutor("the processes have been ended")
        worker: Worker | None = getattr(self.own, "worker", None)
        if worker is None or not worker.process.is_alive():
            worker = self.own.worker = Worker(self.initializer)
            self.workers.append(worker)
        result = worker.run(call, args, kwargs)
        if self.is_worn is not None and worker.run(self.is_worn, (), {}):
            worker.end()
        return result

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes; with `wait` False at once, even during a call."""
        if wait:
            self.threads.shutdown(cancel_futures=cancel_futures)
        self.closed = True
        self.threads.shutdown(wait=False, cancel_futures=True)
        for worker in self.workers:
            worker.end()
        self.threads.shutdown()


class Worker:
    """One process and the pipe to it."""

    def __init__(self, initializer: Callable[[], object] | None) -> None:
        # Forked children of a process whose torch has started threads would hang.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, initializer), daemon=True)
        self.process.start()
        theirs.close()

    def run(self, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        try:
            self.pipe.send((call, args, kwargs))
            succeeded, result = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(timeout=5)
            raise BrokenExecutor(
                f"its process died (exit status {self.process.exitcode})"
            ) from None
        if not succeeded:
            raise result
        return result

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def serve(pipe: Connection, initializer: Callable[[], object] | None) -> None:
    """Answer calls in a worker process until the pipe is closed."""
    # Ctrl-C reaches the whole process group; the parent ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if initializer is not None:
        initializer()
    with contextlib.suppress(EOFError, OSError):
        with lasting_imports():  # the first call names a function, whose module imports torch
            call, args, kwargs = pipe.recv()
        while True:
            try:
                answer = (True, call(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 (raised again in the parent)
                answer = (False, error)
            pipe.send(answer)
            call, args, kwargs = pipe.recv()
