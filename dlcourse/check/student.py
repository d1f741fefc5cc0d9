"""What a test sees of a student: `student.conv2d(x, w)` calls student code, wherever it runs.

A test can do the same in `dlcourse check` as across the boundary of the sandbox. Arguments cross as
copies, a function of the test is called back, and a function or class of torch crosses by name. An
object that is not plain data stays on the student's side, and the test gets a Handle of it.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from dlcourse.check.process_state import Separation
from dlcourse.check.protocol import Buffers, ProtocolError, clean_text, decode, encode
from dlcourse.check.source import read_source
from dlcourse.check.student_host import StudentHost

__all__ = ["CallBack", "Channel", "Handle", "InProcessChannel", "Student", "StudentError"]

KINDS = {
    "exception", "import failure", "killed", "malformed reply", "memory", "missing",
    "not written", "output", "refused", "time",
}  # fmt: skip

# In `check` a call has no time limit: after this time a message says that Ctrl-C stops it.
SLOW_S = 10.0
# Ctrl-C stops one test; a second one within this time stops all.
AGAIN_S = 1.0

# A message or an answer as JSON, with its tensors' bytes.
Answer = tuple[dict, Buffers]
CallBack = Callable[[int, dict, Buffers], Answer]


class StudentError(Exception):
    """Student code did not answer.

    kind: one of KINDS. traceback: the frames of the student's file, or "". task: the task of the
    stub that raised, if it was one.
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
        self.host = StudentHost(source, shown or str(path), name, self.call_back)
        self.separation = Separation([self.host.filename])
        self.interrupted = -AGAIN_S

    def ask(self, message: dict, buffers: Buffers, call_back: CallBack) -> Answer:
        self.current = call_back
        start = time.monotonic()
        told = threading.Timer(SLOW_S, tell_slow, [message["do"] == "load"])
        told.daemon = True
        told.start()
        try:
            with self.separation.student():
                return self.host.answer(message, buffers)
        except KeyboardInterrupt as error:
            if time.monotonic() - self.interrupted < AGAIN_S:
                raise
            self.interrupted = time.monotonic()
            seconds = self.interrupted - start
            text = f"stopped by Ctrl-C after {seconds:.0f} s; does a loop never end?"
            return {"error": self.host.explain(error) | {"kind": "time", "text": text}}, Buffers()
        finally:
            told.cancel()

    def call_back(self, number: int, message: dict, buffers: Buffers) -> Answer:
        with self.separation.tests():
            return self.current(number, message, buffers)


def tell_slow(loading: bool) -> None:
    what = f"your {'file has been loading' if loading else 'code has been running'}"
    why = ": code at the top level runs at import" if loading else ""
    print(
        f"{what} for {SLOW_S:.0f} s{why}; Ctrl-C stops it and goes on with the next test",
        file=sys.stderr,
    )


class Student:
    """A student's module behind a channel: attributes are its functions, classes and constants."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._functions: list[Callable] = []
        self._printed = ""
        self._asked = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._ask("get", args=(name,))

    def probe(self, name: str, *args: object, **kwargs: object) -> Any:
        """Run the probe called `name` (see `dlcourse.check.probes`) next to student code."""
        return self._ask("probe", args=args, kwargs=kwargs, name=name)

    def _violations(self, rules: dict[str, tuple]) -> dict[str, tuple[str, str]]:
        """Return for each task its forbidden use and the line; see `forbidden.violations`.

        Call it before student code runs. A file that cannot be read violates every rule.
        """
        if not rules:
            return {}
        try:
            found: Any = self._ask("read", args=(rules,))  # no student code has run yet
            return {
                task: (clean_text(text, 500), f"line {int(line)}")
                for task, (text, line) in found.items()
            }
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
        try:
            reply, replies = self._channel.ask(message, buffers, self._call_back)
            self._printed = clean_text(self._printed + clean_text(reply.get("printed", "")))
            if "error" in reply:
                raise read_error(reply["error"], what, args[0] if of is None and args else None)
            return decode(reply.get("value"), replies, self._take)
        except ProtocolError as error:
            raise StudentError("malformed reply", f"not plain data: {error}") from None

    def _give(self, value: object) -> dict:
        """Return the node of a value that is not plain data: a handle, a name or a callback."""
        if isinstance(value, Handle):
            return {"t": "handle", "v": object.__getattribute__(value, "_number")}
        if callable(value):
            name = public_name(value)
            if name:
                return {"t": "name", "module": name[0], "v": name[1]}
            self._functions.append(value)
            return {"t": "callback", "v": len(self._functions) - 1}
        raise TypeError(f"a {type(value).__name__} cannot cross to student code")

    def _take(self, node: dict) -> object:
        if node.get("t") == "handle" and type(node.get("v")) is int and node["v"] >= 0:
            return Handle(self, node["v"])
        raise ProtocolError(f"an unknown kind of value: {clean_text(node.get('t'), 40)}")

    def _call_back(self, number: int, message: dict, buffers: Buffers) -> Answer:
        """Call the test's function of that `number` with the student's arguments."""
        if type(number) is not int or not 0 <= number < len(self._functions):
            raise ProtocolError("a call to a function that was not passed")
        args = decode(message.get("args"), buffers, self._take)
        kwargs = decode(message.get("kwargs"), buffers, self._take)
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise ProtocolError("a call without a list of arguments")
        replies = Buffers()
        try:
            value = self._functions[number](*args, **kwargs)
            return {"value": encode(value, replies, self._give)}, replies
        except StudentError:
            raise
        except Exception as error:  # noqa: BLE001 (a student's values may break the function)
            return {"error": f"{type(error).__name__}: {clean_text(error, 200)}"}, Buffers()


class Handle:
    """An object on the student's side: it gives attributes, calls, len, items and iteration."""

    def __init__(self, student: Student, number: int) -> None:
        self._student, self._number = student, number

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._student._ask("get", self._number, (name,))

    def __call__(self, *args: object, **kwargs: object) -> Any:
        return self._student._ask("call", self._number, args, kwargs)

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
        return f"<the student's object {self._number}>"


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
