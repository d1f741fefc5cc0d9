"""The trusted side of the sandbox: it starts fork servers, sends requests, ends late processes."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import select
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from dlcourse.check.protocol import MAX_FRAME, Buffers, ProtocolError, pack, unpack
from dlcourse.check.student import CallBack, StudentError
from dlcourse.errors import GradingError
from dlcourse.grade.sandbox.confinement import Limits, Report
from dlcourse.grade.sandbox.fork_server import COULD_NOT_LOCK_IN, SIZE

__all__ = ["Budget", "ForkServer", "SandboxProcess", "budget_used_up", "probe_layers"]

START_S = 600.0  # importing torch on a busy machine
LOCK_IN_S = 20.0
BUSY = 3.0  # times the limit that code may take by the clock while other work has the CPU
CPU_CLOCK = 2  # the low bits of the number of a process's clock
MAX_RECEIVED = 4 * MAX_FRAME  # bytes of all answers to one test, which may keep them all
KILLED = {9: "killed (SIGKILL)", 11: "crashed (SIGSEGV)", 6: "aborted (SIGABRT)", 24: "CPU limit"}


def site_folders() -> list[str]:
    """Return the folders of the packages that a right answer needs."""
    found = set()
    for name in ("torch", "torchvision", "numpy", "matplotlib"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            found.add(str(Path(spec.origin).parents[1]))
    return sorted(found)


def python_folders() -> list[str]:
    """Return the folders in which Python finds modules and libraries.

    Not `sys.prefix` itself: an environment can be the folder of the course.
    """
    lib = [os.path.join(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix)]
    paths = sysconfig.get_paths()
    return [*lib, *(f"{path}64" for path in lib), paths["stdlib"], paths["platstdlib"]]


def answers(package: Path) -> list[str]:
    """Return the folders whose source text answers tasks; the warm process has imported them."""
    spec = importlib.util.find_spec("torch")
    torch = Path(spec.origin).parent if spec is not None and spec.origin else package
    inner = ("optim", "_refs", "distributed/optim", "testing/_internal")
    found = [package / name for name in ("models", "train", "recipes", "compare")]
    found += [torch / name for name in inner]
    return [os.path.realpath(path) for path in found if path.is_dir()]


class ForkServer:
    """A warm process that forks a confined process for each submission, one at a time.

    It starts at once, and only the first `open` waits until it is warm.

    modules: imported before the first fork. hidden: folders that no fork may see.
    """

    def __init__(self, modules: Iterable[str] = (), hidden: Iterable[Path] = ()) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        package = Path(__file__).resolve().parents[2]
        sites = site_folders()
        code = (
            f"import sys; sys.path += {[*sites, str(package.parent)]!r}; "
            f"from dlcourse.grade.sandbox import fork_server; fork_server.main({theirs.fileno()})"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", code],
            env={"LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "MPLCONFIGDIR": "/tmp"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        folders = [os.path.realpath(path) for path in (*python_folders(), *sites, str(package))]
        if "/tmp" in folders:
            raise GradingError("Python lies in /tmp itself; move it into a folder below")
        self.hidden = [os.path.realpath(folder) for folder in hidden]
        setup = {
            "modules": list(modules),
            "folders": folders,
            "hidden": self.hidden,
            "answers": answers(package),
        }
        self.say(json.dumps(setup).encode())
        self.ready = False
        self.current: SandboxProcess | None = None

    def say(self, message: bytes, descriptors: Iterable[int] = ()) -> None:
        try:
            socket.send_fds(self.control, [message], list(descriptors))
        except OSError as error:
            raise self.lost(f"cannot be told: {error.strerror}") from None

    def hear(self) -> dict:
        self.control.settimeout(START_S)
        try:
            line = self.control.recv(2**16)
        except OSError as error:
            raise self.lost(f"does not answer: {error}") from None
        if not line:
            raise self.lost("ended; `dlcourse doctor` says what is missing")
        return json.loads(line)

    def lost(self, what: str) -> GradingError:
        self.close()
        return GradingError(f"the sandbox {what}")

    def open(
        self,
        source: bytes,
        filename: str,
        name: str,
        limits: Limits,
        budget: Budget | None = None,
        **probing: object,
    ) -> SandboxProcess:
        """Fork for the student's file `source`, and end the earlier fork.

        budget: what is left for the submission. probing: for `probe` alone.
        """
        if self.current is not None:
            self.current.close()
        if not self.ready:
            self.ready = self.hear()["ready"]
        ours, theirs = socket.socketpair()
        order = {"filename": filename, "name": name, "limits": asdict(limits), **probing}
        with theirs:
            try:
                self.say(json.dumps(order).encode(), [theirs.fileno()])
            except GradingError:
                ours.close()
                raise
        self.current = SandboxProcess(self, ours)
        self.current.begin(source)
        self.current.budget = budget or Budget()
        return self.current

    def probe(self) -> list[Report]:
        """Try to break every layer, in a fork of its own, and return the reports."""
        process = self.open(b"", "probe", "probe", Limits(), probing=True, hidden=self.hidden)
        process.close()
        return process.layers

    def kill(self) -> None:
        """Kill the current fork; the next one waits until it is gone, and nobody else does."""
        self.say(b"kill")
        self.current = None

    def reap(self) -> int:
        """Return the exit status of the current fork, which has ended; below 0 for a signal."""
        self.say(b"reap")
        self.current = None
        return self.hear()["status"]

    def close(self) -> None:
        self.control.close()
        self.process.kill()
        self.process.wait()


class Budget:
    """The seconds that one submission may take, over all of its tests and processes.

    Both the time in which it is asked and the CPU time of the tests on its answers count.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self.granted_s = self.left_s = seconds
        self.reserve_s = (BUSY - 1) * seconds
        self.tests_s = time.thread_time()  # of this thread's CPU time, what is counted already

    def charge_tests(self) -> float:
        """Count what the tests have done with the last answer, its decoding too."""
        spent_s = time.thread_time() - self.tests_s
        self.tests_s += spent_s
        self.left_s -= spent_s
        return spent_s


def budget_used_up(budget: Budget) -> StudentError:
    text = f"your file has used up the {budget.granted_s:.0f} s that all tests together may take"
    return StudentError("time", text)


class SandboxProcess:
    """The channel to one confined submission.

    Its time counts only while it handles a request. If other work keeps it from the CPU, it gets
    more time by the clock, up to BUSY times the limit.
    """

    def __init__(self, fork_server: ForkServer, link: socket.socket) -> None:
        self.fork_server, self.link = fork_server, link
        self.link.setblocking(False)
        self.alive, self.counting = True, False
        self.pid = 0
        self.layers: list[Report] = []
        self.budget = Budget()
        self.allow(LOCK_IN_S)

    def begin(self, source: bytes) -> None:
        try:
            with self.on_the_clock():
                self.pid = unpack(self.receive())[0]["pid"]
                message, _ = unpack(self.receive())
                self.layers = [Report(**report) for report in message["layers"]]
                self.send(source)
        except StudentError as error:
            raise GradingError(f"the sandbox could not lock itself in: {error}") from None

    def allow(self, seconds: float) -> None:
        """Grant `seconds` for the requests from now on, as far as the budget has them."""
        self.left_s = self.granted_s = seconds
        self.used_s = self.added_s = 0.0  # by the clock, and what of it was added for waiting
        self.received = 0  # bytes
        self.cpu_from_s, self.waited_from_s = self.cpu_s(), self.waited_s()

    @contextlib.contextmanager
    def on_the_clock(self) -> Iterator[None]:
        """Count the time of this block as the submission's.

        A test's function that is called back may make a request of its own. It stays under the
        deadline of the outermost request.
        """
        if self.counting:
            yield
            return
        self.left_s -= self.budget.charge_tests()
        self.counting = True
        self.start = time.monotonic()
        self.deadline = self.start + min(self.left_s, self.budget.left_s)
        added_s = self.added_s
        try:
            yield
        finally:
            self.counting = False
            spent_s = time.monotonic() - self.start
            self.used_s += spent_s
            self.charge(spent_s - (self.added_s - added_s))
            self.budget.tests_s = time.thread_time()

    def charge(self, seconds: float) -> None:
        self.left_s -= seconds
        self.budget.left_s -= seconds

    def cpu_s(self) -> float:
        """Return the seconds of CPU that the submission has used."""
        try:
            return time.clock_gettime((~self.pid << 3) | CPU_CLOCK) if self.pid else 0.0
        except OSError:
            return 0.0

    def waited_s(self) -> float:
        """Return the seconds that it was ready to run and had no CPU; inf where nobody knows."""
        try:
            _, waited, count = Path(f"/proc/{self.pid}/schedstat").read_text().split()
        except (OSError, ValueError):
            return math.inf
        return int(waited) / 1e9 if int(count) else math.inf

    def prolong(self) -> bool:
        """Extend the deadline by the time that it waited for a CPU; return if it did.

        Only code that is ready to run and has had less CPU than the clock says is waiting: code
        that sleeps is not, nor is code whose threads are in each other's way.
        """
        spent_s = self.used_s + time.monotonic() - self.start
        lacking_s = spent_s - (self.cpu_s() - self.cpu_from_s)
        if math.isfinite(self.waited_from_s):
            lacking_s = min(lacking_s, self.waited_s() - self.waited_from_s)
        reserve_s = min((BUSY - 1) * self.granted_s - self.added_s, self.budget.reserve_s)
        more_s = min(lacking_s - self.added_s, reserve_s)
        if more_s < 0.01 * self.granted_s:
            return False
        self.added_s += more_s
        self.budget.reserve_s -= more_s
        self.deadline += more_s
        return True

    def ask(self, message: dict, buffers: Buffers, call_back: CallBack) -> tuple:
        if not self.alive:
            raise StudentError("killed", "the process that ran your code is gone")
        try:
            with self.on_the_clock():
                self.send(pack(message, buffers))
                while True:
                    reply, replies = unpack(self.receive())
                    if "callback" not in reply:
                        return reply, replies
                    answer, answers = call_back(reply["callback"], reply, replies)
                    self.send(pack(answer, answers))
        except ProtocolError:
            self.close()
            raise

    def send(self, frame: bytes) -> None:
        view = memoryview(SIZE.pack(len(frame)) + frame)
        while view:
            self.wait(select.POLLOUT)
            try:
                view = view[self.link.send(view) :]
            except BlockingIOError:
                continue
            except OSError:
                raise self.gone() from None

    def receive(self) -> bytes:
        (size,) = SIZE.unpack(self.exactly(SIZE.size))
        if size > MAX_FRAME:
            self.close()
            raise StudentError(
                "output", f"the answer has {size:,} bytes; {MAX_FRAME:,} are allowed"
            )
        self.received += size
        if self.received > MAX_RECEIVED:
            self.close()
            raise StudentError(
                "output", f"your answers to one test have more than {MAX_RECEIVED:,} bytes"
            )
        return self.exactly(size)

    def exactly(self, count: int) -> bytes:
        # It grows with the data: a size that is only announced takes no memory.
        data = bytearray()
        while len(data) < count:
            self.wait(select.POLLIN)
            try:
                part = self.link.recv(min(count - len(data), 2**20))
            except BlockingIOError:
                continue
            except OSError:
                part = b""
            if not part:
                raise self.gone()
            data += part
        return bytes(data)

    def wait(self, event: int) -> None:
        """Return when the link is ready; the deadline also ends one that is always ready."""
        poll = select.poll()
        poll.register(self.link, event)
        while True:
            left_s = self.deadline - time.monotonic()
            if left_s > 0 and poll.poll(left_s * 1000):
                return
            if not self.prolong():
                used_up = self.budget.left_s < self.left_s
                self.close()
                if used_up:
                    raise budget_used_up(self.budget)
                raise StudentError("time", f"your code took longer than {self.granted_s:.0f} s")

    def gone(self) -> StudentError:
        """Return why the submission's process ended."""
        self.alive = False
        self.link.close()
        status = self.fork_server.reap()
        if status == COULD_NOT_LOCK_IN and not self.layers:
            raise GradingError("the sandbox could not lock itself in")
        if status < 0:
            how = KILLED.get(-status, f"ended by signal {-status}")
            return StudentError("killed", f"the process that ran your code was {how}")
        return StudentError("killed", "the process that ran your code ended itself")

    def close(self) -> None:
        if self.alive:
            self.alive = False
            self.link.close()
            self.fork_server.kill()


def probe_layers() -> list[Report]:
    """Return a report of every layer of the sandbox on this machine; takes a few seconds."""
    fork_server = ForkServer()
    try:
        return fork_server.probe()
    finally:
        fork_server.close()
