"""The warm process from which each submission is forked: it has torch, one thread, no environment.

`process.ForkServer` starts it, and sends one JSON line for each fork over a socket, together with
the fork's own socket. It never sees a test, an expected value or a solution.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections import deque

from dlcourse.grade.sandbox import confinement, linux
from dlcourse.startup import lasting_imports

__all__ = ["COULD_NOT_LOCK_IN", "SIZE", "main"]

CHECKER: list[str] = []  # the names of the modules that `forget_checker` forgets

SIZE = struct.Struct("<Q")  # the length of a frame
COULD_NOT_LOCK_IN = 70  # the exit status of a process whose confinement failed


def main(descriptor: int) -> None:
    linux.die_with_parent()
    linux.adopt_orphans()
    control = socket.socket(fileno=descriptor)
    set_up(control)
    serve(control)


def set_up(control: socket.socket) -> None:
    setup = json.loads(control.recv(2**16))
    with lasting_imports():  # a fork would copy all that it walks through
        warm_up(setup["modules"])
    linux.use_huge_pages()
    confinement.note_baseline()
    confinement.READABLE[:] = setup["folders"]
    confinement.note_private(
        [os.__file__, confinement.__file__, str(sys.modules["torch"].__file__)]
    )
    confinement.UID += os.getpid() % confinement.UIDS
    confinement.enter_namespaces(
        ["/usr", "/lib", "/lib64", *confinement.DEVICES, *setup["folders"]],
        [*setup["hidden"], *setup["answers"]],
    )
    control.send(json.dumps({"ready": True}).encode())


def serve(control: socket.socket) -> None:
    """Fork for each order. No frame that a submission could climb to holds a path."""
    server = os.getpid()
    while True:
        line, descriptors, _, _ = socket.recv_fds(control, 2**16, 1)
        if not line:
            return
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            control.close()
            middle(descriptors[0], order, server)
        for inherited in descriptors:
            os.close(inherited)
        # The next message says whether the fork has ended ("reap") or must be killed.
        has_ended = control.recv(16) == b"reap"
        status = reap(pid, 1.0 if has_ended else 0.0)
        if has_ended:
            control.send(json.dumps({"status": status}).encode())


def warm_up(modules: list[str]) -> None:
    import torch

    torch.set_num_threads(1)
    # Making the first optimizer imports a compiler, which takes 1.2 s.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    importlib.import_module("dlcourse.check.student_host")
    # matplotlib looks for fonts and a settings folder, which the sandbox will not have.
    # The text of the package's models and training is hidden: they must be imported before.
    for name in ["matplotlib.pyplot", "dlcourse.models", "dlcourse.train", *modules]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # The package imports some names only when they are used; later their files are hidden.
    for name, module in list(sys.modules.items()):
        if name.startswith("dlcourse."):
            for public in getattr(module, "__all__", []):
                getattr(module, public)
    # Else each fork would do it, and copy the memory that it walks through.
    importlib.import_module("dlcourse.check.guard").observe()
    CHECKER[:] = [n for n in sys.modules if n.startswith(("dlcourse.check", "dlcourse.grade"))]


def reap(pid: int, patience_s: float) -> int:
    """Return how `pid` ended (below 0: the signal); kill it if it takes over `patience_s`."""
    end = time.monotonic() + patience_s
    ended, status = 0, 0
    while not ended and time.monotonic() < end:
        time.sleep(0.002)
        ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended:
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    # The submission is killed with it. That takes a while, and nobody waits for it.
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return os.waitstatus_to_exitcode(status)


def middle(descriptor: int, order: dict, server: int) -> None:
    """Run between server and submission, as the parent of the first process in a pid namespace."""
    from dlcourse.check.protocol import Buffers, pack

    status = COULD_NOT_LOCK_IN
    try:
        linux.die_with_parent()
        if os.getppid() != server:  # it died before the kernel was asked
            return
        with contextlib.suppress(OSError):
            linux.unshare(linux.CLONE_NEWPID)
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(tell)
            if os.read(told, 1):  # the parent speaks first, unless it has died
                inner(descriptor, order)
            os._exit(COULD_NOT_LOCK_IN)
        write_frame(pack({"pid": pid}, Buffers()), descriptor)
        os.write(tell, b".")
        os.close(tell)
        os.close(descriptor)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status < 0:  # a number alone could also be what the submission gave to exit()
            end_by_signal(-status)
    finally:
        os._exit(status % 256)


def end_by_signal(number: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # SIGKILL has no handler
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def inner(descriptor: int, order: dict) -> None:
    """Lock in, load the student's file, answer requests until the socket closes."""
    status = COULD_NOT_LOCK_IN
    try:
        os.dup2(descriptor, 3)
        null = os.open("/dev/null", os.O_RDWR)
        for standard in range(3):
            os.dup2(null, standard)
        os.closerange(4, 4096)
        os.environ.clear()
        from dlcourse.check.protocol import Buffers, ProtocolError, pack, unpack
        from dlcourse.check.student_host import StudentHost

        confinement.HIDDEN[:] = order.get("hidden", [])  # while probing only
        reports = confinement.lock_in(
            confinement.Limits(**order["limits"]), probing=order.get("probing", False)
        )
        write_frame(pack({"layers": [report.as_dict() for report in reports]}, Buffers()))
        confinement.READABLE.clear()
        source = read_frame()

        def answer(message: dict, buffers: deque[bytes]) -> None:
            reply, replies = host.answer(message, buffers)
            try:
                frame = pack(reply, replies)
            except (ProtocolError, ValueError) as error:  # ValueError: an int of too many digits
                told = {"kind": "output", "text": f"your answer is too large: {error}"}
                frame = pack({"error": told}, Buffers())
            write_frame(frame)

        def call_back(number: int, message: dict, buffers: deque[bytes]) -> tuple:
            write_frame(pack({**message, "callback": number}, buffers))
            while True:
                message, buffers = unpack(read_frame())
                if "do" not in message:
                    return message, buffers
                answer(message, buffers)  # the test's function asks for something itself

        host = StudentHost(source, order["filename"], order["name"], call_back)
        sys.argv = [order["filename"]]
        forget_checker()
        status = 0
        while True:
            answer(*unpack(read_frame()))
    except EOFError:
        pass
    finally:
        os._exit(status)


def forget_checker() -> None:
    """Give student code that imports the checker a copy of its own, not the one that runs."""
    for name in CHECKER:
        del sys.modules[name]
    for owner, name in (("dlcourse", "check"), ("dlcourse", "grade"), ("__main__", "fork_server")):
        vars(sys.modules[owner]).pop(name, None)


def read_frame() -> bytes:
    return read_exactly(SIZE.unpack(read_exactly(SIZE.size))[0])


def read_exactly(count: int) -> bytes:
    parts = []
    while count:
        part = os.read(3, min(count, 2**20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def write_frame(frame: bytes, descriptor: int = 3) -> None:
    view = memoryview(SIZE.pack(len(frame)) + frame)
    while view:
        view = view[os.write(descriptor, view) :]
