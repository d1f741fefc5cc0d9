"""The trusted side of the sandbox: it starts fork servers, sends requests, ends late processes."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from dlcourse.check.protocol import MAX_FRAME, Buffers, ProtocolError, pack, unpack
from dlcourse.check.student import CallBack, StudentError
from dlcourse.errors import GradingError
from dlcourse.grade.sandbox.confinement import Limits, Report
from dlcourse.grade.sandbox.fork_server import COULD_NOT_LOCK_IN, SIZE

__all__ = ["ForkServer", "SandboxProcess", "probe_layers"]

START_S = 600.0  # importing torch on a busy machine
LOCK_IN_S = 20.0
BUSY = 3.0  # times the limit that code may take by the clock while it has not had that much CPU
CPU_CLOCK = 2  # the low bits of the number of a process's clock
KILLED = {9: "killed (SIGKILL)", 11: "crashed (SIGSEGV)", 6: "aborted (SIGABRT)", 24: "CPU limit"}


def site_folders() -> list[str]:
    """Return the folders of the packages that a right answer needs."""
    found = set()
    for name in ("torch", "torchvision", "numpy", "matplotlib"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            found.add(str(Path(spec.origin).parents[1]))
    return sorted(found)


class ForkServer:
    """A warm process that forks a confined process for each submission, one at a time.

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
        folders = [
            os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, *sites, str(package))
        ]
        if "/tmp" in folders:
            raise GradingError("Python lies in /tmp itself; move it into a folder below")
        setup = {
            "modules": list(modules),
            "folders": folders,
            "hidden": [os.path.realpath(folder) for folder in hidden],
        }
        self.say(json.dumps(setup).encode())
        self.problem = self.hear()["namespaces"]
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
        self, source: bytes, filename: str, name: str, limits: Limits, *, probing: bool = False
    ) -> SandboxProcess:
        """Fork for the student's file `source`, and end the earlier fork."""
        if self.current is not None:
            self.current.close()
        ours, theirs = socket.socketpair()
        order = {"filename": filename, "name": name, "limits": asdict(limits), "probing": probing}
        with theirs:
            try:
                self.say(json.dumps(order).encode(), [theirs.fileno()])
            except GradingError:
                ours.close()
                raise
        self.current = SandboxProcess(self, ours)
        self.current.begin(source)
        return self.current

    def probe(self) -> list[Report]:
        """Try to break every layer, in a fork of its own, and return the reports."""
        process = self.open(b"", "probe", "probe", Limits(), probing=True)
        process.close()
        return process.layers

    def end(self, word: bytes) -> int:
        """Let the current fork end (b"reap") or kill it (b"kill"), and return its exit status."""
        self.say(word)
        self.current = None
        return self.hear()["status"]

    def close(self) -> None:
        self.control.close()
        self.process.kill()
        self.process.wait()


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
        """Grant `seconds` for the requests from now on."""
        self.left_s = self.granted_s = seconds
        self.reserve_s = (BUSY - 1) * seconds
        self.cpu_from_s = self.cpu_s()

    @contextlib.contextmanager
    def on_the_clock(self) -> Iterator[None]:
        """Count the time of this block as the submission's, with the reading of its answers.

        A test's function that is called back may make a request of its own. It stays under the
        deadline of the outermost request.
        """
        if self.counting:
            yield
            return
        self.counting = True
        self.deadline = time.monotonic() + self.left_s
        try:
            yield
        finally:
            self.counting = False
            self.left_s = self.deadline - time.monotonic()

    def cpu_s(self) -> float:
        """Return the seconds of CPU that the submission has used."""
        try:
            return time.clock_gettime((~self.pid << 3) | CPU_CLOCK) if self.pid else 0.0
        except OSError:
            return 0.0

    def prolong(self) -> bool:
        """Extend the deadline by the time without CPU, within the reserve; return if it did."""
        lacking_s = self.granted_s - (self.cpu_s() - self.cpu_from_s)
        if lacking_s < 0.1 * self.granted_s or self.reserve_s <= 0:
            return False
        more_s = min(lacking_s, self.reserve_s)
        self.deadline, self.reserve_s = time.monotonic() + more_s, self.reserve_s - more_s
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
                self.close()
                raise StudentError("time", f"your code took longer than {self.granted_s:.0f} s")

    def gone(self) -> StudentError:
        """Return why the submission's process ended."""
        self.alive = False
        self.link.close()
        status = self.fork_server.end(b"reap")
        if status == COULD_NOT_LOCK_IN and not self.layers:
            raise GradingError("the sandbox could not lock itself in")
        if status > 128:
            how = KILLED.get(status - 128, f"ended by signal {status - 128}")
            return StudentError("killed", f"the process that ran your code was {how}")
        return StudentError("killed", "the process that ran your code ended itself")

    def close(self) -> None:
        if self.alive:
            self.alive = False
            self.link.close()
            self.fork_server.end(b"kill")


def probe_layers() -> list[Report]:
    """Return a report of every layer of the sandbox on this machine; takes a few seconds."""
    fork_server = ForkServer()
    try:
        return fork_server.probe()
    finally:
        fork_server.close()
