"""What a test sees of a student: `student.conv2d(x, w)` calls student code, wherever it runs.

A test can do the same in `dlcourse check` as across the boundary of the sandbox. Arguments cross as
copies, a function of the test is called back, and a function or class of torch crosses by name. An
object that is not plain data stays on the student's side, and the test gets a Handle of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import math
import threading

# Bound here, because the clock runs while student code may have replaced them.
from builtins import min  # noqa: UP029 (see above)
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any, Protocol

import torch

from dlcourse.check import student_host
from dlcourse.check.explain import shown_call
from dlcourse.check.process_state import Separation
from dlcourse.check.protocol import Buffers, ProtocolError, decode, encode
from dlcourse.check.source import read_source
from dlcourse.check.student_host import StudentHost, TimeLimitError
from dlcourse.check.text import clean_text

__all__ = [
    "CallBack",
    "Channel",
    "Handle",
    "InProcessChannel",
    "Student",
    "StudentError",
    "TimeLimit",
]

# What student code may say of itself. The other kinds of StudentError ("killed", "malformed reply"
# and "time") are facts, which this side alone states.
KINDS = {
    "exception", "import failure", "missing", "not allowed", "not written", "output", "refused",
}  # fmt: skip

# Ctrl-C stops one test; a second one within this time stops all.
AGAIN_S = 1.0
# So often may functions of the tests and of the student call each other, one inside the other.
MOST_INSIDE = 20

# A message or an answer as JSON, with its tensors' bytes.
Answer = tuple[dict, Buffers]
CallBack = Callable[[int, dict, Buffers], Answer]


class StudentError(Exception):
    """Student code did not answer.

    kind: one of KINDS, or "killed", "malformed reply" or "time". traceback: the frames of the
    student's file, or "". task: the task of the stub that raised, if it was one.
    """

    def __init__(self, kind: str, text: str, traceback: str = "", task: str | None = None) -> None:
        super().__init__(text)
        self.kind, self.text, self.traceback, self.task = kind, text, traceback, task


class Channel(Protocol):
    """Sends a request to student code and returns the answer."""

    def ask(self, message: dict, buffers: Buffers, call_back: CallBack) -> Answer: ...


class InProcessChannel:
    """The channel to student code in this same process.

    path: the student's file. name: the module's name. shown: the file's name in messages.
    """

    def __init__(self, path: Path, name: str, shown: str | None = None) -> None:
        source = read_source(path.read_bytes(), path.name)
        self.host = StudentHost(source, shown or str(path), name, self.call_back, shared=True)
        self.separation = Separation([self.host.filename])
        self.interrupted = -AGAIN_S
        self.left_s = student_host.LIMIT_S
        self.limit = TimeLimit(self.left_s)

    def ask(self, message: dict, buffers: Buffers, call_back: CallBack) -> Answer:
        self.current = call_back
        start = monotonic()
        outer, self.limit = self.limit, TimeLimit(self.left_s)
        try:
            with self.separation.student(), self.limit:
                reply, replies = self.host.answer(message, buffers)
        except (KeyboardInterrupt, TimeLimitError) as error:
            told = self.host.explain(error)
            if isinstance(error, TimeLimitError):
                raise StudentError("time", told["text"], told["traceback"]) from None
            if monotonic() - self.interrupted < AGAIN_S:
                raise
            self.interrupted = monotonic()
            seconds = self.interrupted - start
            text = f"stopped by Ctrl-C after {seconds:.0f} s; does a loop never end?"
            raise StudentError("time", text, told["traceback"]) from None
        finally:
            self.left_s -= monotonic() - start
            self.limit = outer
        told = reply.get("error", {})
        if told.get("kind") == "time":
            raise StudentError("time", told["text"], told["traceback"])
        return reply, replies

    def call_back(self, number: int, message: dict, buffers: Buffers) -> Answer:
        limit = self.limit
        limit.paused = True
        try:
            with self.separation.tests():
                answer = self.current(number, message, buffers)
        finally:
            limit.paused = False
        if limit.due:  # the other thread may find it paused again and again
            raise TimeLimitError
        return answer


class TimeLimit:
    """Within this block, TimeLimitError is raised in this thread after `seconds`, on every system.

    Python raises it between two of its own steps, so a call that waits outside of Python, such as
    time.sleep, ends first. Nothing is raised while `paused`.
    """

    def __init__(self, seconds: float) -> None:
        # Not at once: it must not be raised before the block has begun.
        self.seconds, self.paused, self.done = max(seconds, 0.1), False, False
        self.raised = self.due = False
        self.thread, self.lock = ctypes.c_ulong(threading.get_ident()), threading.Lock()

    def __enter__(self) -> None:
        CLOCK.call_at(monotonic() + self.seconds, self)

    def stop(self) -> float:
        """Raise the error if it is time; return after how many seconds to look again."""
        with self.lock:
            self.due = True
            if not self.done and not self.paused:
                error = ctypes.py_object(TimeLimitError)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(self.thread, error)
                self.raised = True
        # Student code may have caught it, or the test's function was running.
        return 0.01 if self.paused else 1.0

    def __exit__(self, *_: object) -> None:
        while not self.done:
            with contextlib.suppress(TimeLimitError), self.lock:
                self.done = True
        if self.raised:
            # Python raises between two steps what it has not raised yet. To take it back instead
            # makes Python 3.11 repeat its next step without end if a profile function is set.
            with contextlib.suppress(TimeLimitError):
                for _step in range(100):
                    pass


class Clock:
    """A thread that stops each TimeLimit when it is due.

    One for all of them: starting a thread takes longer than most requests.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.limits: list[tuple[float, TimeLimit]] = []
        self.wakes_at = math.inf
        self.thread: threading.Thread | None = None

    def call_at(self, due: float, limit: TimeLimit) -> None:
        with self.changed:
            self.limits.append((due, limit))
            if self.thread is None or not self.thread.is_alive():  # a fork has none
                self.thread = threading.Thread(target=self.run, daemon=True)
                self.thread.start()
            elif due < self.wakes_at:
                self.changed.notify()

    def run(self) -> None:
        with self.changed:
            while True:
                now = monotonic()
                open_ones = [(due, limit) for due, limit in self.limits if not limit.done]
                self.limits = [
                    (due, limit) if due > now else (now + limit.stop(), limit)
                    for due, limit in open_ones
                ]
                self.wakes_at = min((due for due, _ in self.limits), default=math.inf)
                self.changed.wait(self.wakes_at - now if self.limits else None)


CLOCK = Clock()


class Student:
    """A student's module behind a channel: attributes are its functions, classes and constants."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._functions: list[Callable] = []
        self._kept: dict[str, Handle] = {}  # the functions that were asked for, by name
        self._printed = ""
        self._asked = False
        self._inside = 0  # how many functions of the tests run, each called by student code
        self._rule: tuple[str, tuple[str, ...]] | None = None  # what its task forbids
        self._called: tuple[str, tuple, dict] | None = None

    @property
    def _last_call(self) -> str:
        """The last call of a student's function, as a student would write it, or ""."""
        return shown_call(*self._called) if self._called else ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self._kept:
            return labeled(self._kept[name], name)
        value = labeled(self._ask("get", args=(name,)), name)
        if isinstance(value, Handle) and value._type == "builtins.function":
            self._kept[name] = value  # a test that calls it often asks for it once
        return value

    def probe(self, name: str, *args: object, **kwargs: object) -> Any:
        """Run the probe called `name` (see `dlcourse.check.probes`) next to student code."""
        at = next((i for i, arg in enumerate(args) if isinstance(arg, str)), None)
        if at is not None:  # the name of the function that the probe calls
            self._called = (str(args[at]), args[at + 1 :], kwargs)
        return self._ask("probe", args=args, kwargs=kwargs, name=name)

    def _violations(self, rules: dict[str, tuple]) -> dict[str, tuple[str, str]]:
        """Return for each task its forbidden use and the line; see `forbidden.violations`.

        Call it before student code runs. A file that cannot be read violates every rule.
        """
        if not rules:
            return {}
        try:
            found: Any = self._ask("read", args=(rules,))  # no student code has run yet
            return {t: (clean_text(x, 500), clean_text(at, 40)) for t, (x, at) in found.items()}
        except StudentError as error:
            return {
                task: (f"task {task}: your file cannot be read: {error.text}", "") for task in rules
            }

    def _ask(
        self,
        what: str,
        of: int | None = None,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
        **more: str,
    ) -> object:
        self._asked = True
        buffers = Buffers()
        message = {
            "do": what,
            "of": of,
            "args": encode(list(args), buffers, self._give),
            "kwargs": encode(kwargs or {}, buffers, self._give),
            **more,
        }
        if self._rule and what != "load":
            message["rule"] = list(self._rule)
        try:
            reply, replies = self._channel.ask(message, buffers, self._call_back)
            self._printed = clean_text(self._printed + clean_text(reply.get("printed", "")))
            if "error" in reply:
                raise read_error(reply["error"], what, args[0] if of is None and args else None)
            return decode(reply.get("value"), replies, self._take)
        except ProtocolError as error:
            raise StudentError("malformed reply", f"not plain data: {error}") from None

    def _give(self, value: object) -> dict:
        """Return the node of a value that is not plain data, such as a handle or a callback."""
        if isinstance(value, Handle):
            return {"t": "handle", "v": value._number}
        if isinstance(value, SimpleNamespace):  # a stand-in for an object of the student's
            return {"t": "namespace", "v": encode(vars(value), Buffers(), self._give)}
        if callable(value):
            name = public_name(value)
            if name:
                return {"t": "name", "module": name[0], "v": name[1]}
            self._functions.append(value)
            return {"t": "callback", "v": len(self._functions) - 1}
        raise TypeError(f"a {type(value).__name__} cannot cross to student code")

    def _take(self, node: dict) -> object:
        if node.get("t") == "handle" and type(node.get("v")) is int and node["v"] >= 0:
            return Handle(self, node["v"], clean_text(node.get("of", "object"), 60))
        raise ProtocolError(f"an unknown kind of value: {clean_text(node.get('t'), 40)}")

    def _call_back(self, number: int, message: dict, buffers: Buffers) -> Answer:
        """Call the test's function of that `number` with the student's arguments."""
        if type(number) is not int or not 0 <= number < len(self._functions):
            raise ProtocolError("a call to a function that was not passed")
        args = decode(message.get("args"), buffers, self._take)
        kwargs = decode(message.get("kwargs"), buffers, self._take)
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise ProtocolError("a call without a list of arguments")
        if self._inside == MOST_INSIDE:
            raise StudentError("exception", f"calls within calls, more than {MOST_INSIDE} deep")
        replies = Buffers()
        self._inside += 1
        try:
            value = self._functions[number](*args, **kwargs)
            return {"value": encode(value, replies, self._give)}, replies
        except StudentError:
            raise
        except Exception as error:  # noqa: BLE001 (a student's values may break the function)
            return {"error": f"{type(error).__name__}: {clean_text(error, 200)}"}, Buffers()
        finally:
            self._inside -= 1


class Handle:
    """An object on the student's side: it gives attributes, calls, len, items and iteration.

    of: the name of its type, as student code says it.
    """

    def __init__(self, student: Student, number: int, of: str = "object") -> None:
        self._student, self._number, self._type = student, number, of
        self._label = f"<{of}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if hasattr(torch.Tensor, name) and not hasattr(torch.nn.Module, name):
            # Only a plain tensor says its shape: another object could say anything.
            of = self._type.rpartition(".")[2]
            raise AssertionError(f"{self._label}: expected a tensor, got {of}")
        return labeled(self._student._ask("get", self._number, (name,)), f"{self._label}.{name}")

    def __call__(self, *args: object, **kwargs: object) -> Any:
        self._student._called = (self._label, args, kwargs)
        value = self._student._ask("call", self._number, args, kwargs)
        if isinstance(value, Handle):
            labeled(value, shown_call(self._label, args, kwargs))
        return value

    def __bool__(self) -> bool:
        # Python would ask the student's object for its length.
        raise TypeError(f"{self._label} is no plain data, so it is neither true nor false")

    def __len__(self) -> int:
        length = self._student._ask("len", self._number)
        if not isinstance(length, int):
            raise StudentError("malformed reply", "the length is not a number")
        return length

    def __getitem__(self, index: object) -> Any:
        return self._student._ask("item", self._number, (index,))

    def __iter__(self) -> Iterator:
        items = self._student._ask("list", self._number)
        if not isinstance(items, list):
            raise StudentError("malformed reply", "iterating gave no list")
        return iter(items)

    def __repr__(self) -> str:
        return self._label


def labeled(value: object, label: str) -> object:
    """Give a Handle the text that stands for it in messages, and return it."""
    if isinstance(value, Handle):
        value._label = label
    return value


def public_name(value: Callable) -> tuple[str, str] | None:
    """Return the module and name of a function of torch or the standard library, else None."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if (
        not module
        or not name
        or module.split(".")[0] not in ("torch", "builtins", "math", "_operator")
    ):
        return None
    found: object = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return (module, name) if found is value else None


def read_error(error: object, what: str, name: object) -> StudentError:
    """Return the StudentError that an answer to the request `what` reports.

    Student code can forge it, and its text is only shown, for a hidden test not at all. The text of
    two kinds is always shown, so they are accepted only where the text cannot describe a hidden
    input: "import failure" while the file loads, and "missing" for the `name` that was requested,
    with a text made here.
    """
    kind = error.get("kind") if isinstance(error, dict) else None
    if not isinstance(error, dict) or not isinstance(kind, str) or kind not in KINDS:
        return StudentError("malformed reply", "the answer is neither a value nor an error")
    text, task = clean_text(error.get("text", ""), 500), error.get("task")
    if kind == "missing" and what == "get" and isinstance(name, str):
        text = f"{name} is missing from your file"
    elif kind == "missing" or (kind == "import failure" and what != "load"):
        kind = "exception"
    return StudentError(
        kind, text, clean_text(error.get("traceback", "")), task if isinstance(task, str) else None
    )
