"""Workers in the process of the tests, all over one fork server: to start one takes seconds."""

import atexit
from concurrent.futures import Executor, Future

import pytest

from dlcourse import course
from dlcourse.grade.sandbox.process import ForkServer
from dlcourse.grade.worker import Worker, imported

running: list[ForkServer] = []


def fork_server(worker=None):
    """The fork server of this process, for all labs; another one if it has ended."""
    if not running or running[0].process.poll() is not None:
        labs = [lab for lab in course.labs() if lab.solution.is_file()]
        sources = [lab.solution.read_text(encoding="utf-8") for lab in labs]
        root = course.find_course()
        hidden = [root / name for name in ("tests", "solutions", ".git")]
        server = ForkServer([name for text in sources for name in imported(text)], hidden)
        atexit.register(server.close)
        running[:] = [server]
    return running[0]


def use(patch):
    """Let the workers of this process share its fork server, which none of them ends."""
    patch.setattr(Worker, "start_fork_server", fork_server)
    patch.setattr(Worker, "rest", lambda worker: None)


class WarmWorker(Worker):
    start_fork_server = fork_server


class Here(Executor):
    """Calls at once what it is given, in this process."""

    def submit(self, call, *args):
        future = Future()
        with pytest.MonkeyPatch.context() as patch:
            use(patch)
            future.set_result(call(*args))
        return future
