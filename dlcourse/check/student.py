"""The test's side of a student: `student.conv2d(x, w)` runs there and returns a plain tensor here.

The same in both places: what a test can do in `dlcourse check` is what it can do across the
sandbox's boundary. Arguments cross as copies; a function of the test's is called back; a function
or class of torch's crosses by name; objects that are no plain data stay there, behind a Handle.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from dlcourse.check.process_state import Separation
from dlcourse.check.protocol import Buffers, ProtocolError, clean_text, decode, encode
from dlcourse.check.source import read_source
from dlcourse.check.student_host import StudentHost

__all__ = ["CallBack", "Channel", "Handle", "InProcessChannel", "Student", "StudentError"]

KINDS = {
    "exception", "import failure", "killed", "malformed reply", "memory", "missing",
    "not written", "output", "refused", "time",
}  # fmt: skip

# A call in process has no time limit: after this long the student is told what can be done, ...
SLOW_S = 10.0
# ... and a Ctrl-C stops one test, unless a second follows within this time.
AGAIN_S = 1.0

CallBack = Callable[[int, dict, Buffers], tuple[dict, Buffers]]


class StudentError(Exception):
    """Student code did not answer. `kind` is one of KINDS, `traceback` its own frames or ""."""

    def __init__(self, kind: str, text: str, traceback: str = "", task: str | None = None) -> None:
        super().__init__(text)
        self.kind, self.text, self.traceback, self.task = kind, text, traceback, task


class Channel(Protocol):
    """Takes a request to student code, and brings its answer."""

    def ask(self, message: dict, buffers: Buffers, call_back: CallBack) -> tuple: ...


class InProcessChannel:
    """The channel to student code in this same process.

    path: the student's file; name: the module's name; shown: what messages call the file.
    """

    def __init__(self, path: Path, name: str, shown: str | None = None) -> None:
        source = read_source(path.read_bytes(), path.name)
        self.host = StudentHost(source, shown or str(path), name, self.call_back)
        self.separation = Separation([self.host.filename])
        self.current: CallBack | None = None
        self.interrupted = -AGAIN_S

    def ask(self, message: dict, buffers: Buffers, call_back: CallBack) -> tuple:
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

    def call_back(self, number: int, message: dict, buffers: Buffers) -> tuple:
        with self.separation.tests():
            return self.current(number, message, buffers)


def tell_slow(loading: bool) -> None:
    what = (
        f"your file has been loading for {SLOW_S:.0f} s: code at the top level runs at import"
        if loading
        else f"your code has been running for {SLOW_S:.0f} s"
    )
    print(
        f"{what}; Ctrl-C stops it and goes on with the next test",
        file=sys.stderr,
    )


class Student:
    """A student's module behind a channel: attributes are its functions, classes and constants."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._functions: list[Callable] = []
        self._printed = ""
        self._asked = False

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._ask("get", args=(name,))

    def probe(self, name: str, *args: object, **kwargs: object) -> object:
        """Run the probe called `name` (see `dlcourse.check.probes`) next to student code."""
        return self._ask("probe", args=args, kwargs=kwargs, name=name)

    def _violations(self, rules: dict[str, tuple]) -> dict[str, tuple[str, str]]:
        """By task, what its answer uses against `rules` and where; see `forbidden.violations`.

        To be asked before anything else. A file that cannot be read breaks every rule.
        """
        if not rules:
            return {}
        try:
            found = self._ask("read", args=(rules,))
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
        args: tuple = (),
        kwargs: dict | None = None,
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
            raise StudentError("malformed reply", f"the answer is no plain data: {error}") from None

    def _give(self, value: object) -> dict:
        """What crosses for a value that is no plain data: a handle, a name, or a way back."""
        if isinstance(value, Handle):
            return {"t": "handle", "v": object.__getattribute__(value, "_number")}
        if callable(value):
            name = public_name(value)
            if name:
                return {"t": "name", "module": name[0], "v": name[1]}
            self._functions.append(value)
            return {"t": "callback", "v": len(self._functions) - 1}
        raise TypeError(f"a {type(value).__name__} cannot be handed to student code")

    def _take(self, node: dict) -> object:
        if node.get("t") == "handle" and type(node.get("v")) is int and node["v"] >= 0:
            return Handle(self, node["v"])
        raise ProtocolError(f"no such value: {clean_text(node.get('t'), 40)}")

    def _call_back(self, number: int, message: dict, buffers: Buffers) -> tuple:
        """Call a function that the test passed, with what student code gives it."""
        if type(number) is not int or not 0 <= number < len(self._functions):
            raise ProtocolError("a call to a function that was not passed")
        args = decode(message.get("args"), buffers, self._take)
        kwargs = decode(message.get("kwargs"), buffers, self._take)
        replies = Buffers()
        try:
            value = self._functions[number](*args, **kwargs)
            return {"value": encode(value, replies, self._give)}, replies
        except StudentError:
            raise
        except Exception as error:  # noqa: BLE001 (the test's function, given a student's values)
            return {"error": f"{type(error).__name__}: {clean_text(error, 200)}"}, Buffers()


class Handle:
    """An object of the student's that stays there: attributes, calls, len, items, iteration."""

    def __init__(self, student: Student, number: int) -> None:
        self._student, self._number = student, number

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._student._ask("get", self._number, (name,))

    def __call__(self, *args: object, **kwargs: object) -> object:
        return self._student._ask("call", self._number, args, kwargs)

    def __len__(self) -> int:
        return self._student._ask("len", self._number)

    def __getitem__(self, index: object) -> object:
        return self._student._ask("item", self._number, (index,))

    def __iter__(self) -> Iterator:
        items = self._student._ask("list", self._number)
        if not isinstance(items, list):
            raise StudentError("malformed reply", "iterating gave no list")
        return iter(items)

    def __repr__(self) -> str:
        return f"<the student's object {self._number}>"


def public_name(value: Callable) -> tuple[str, str] | None:
    """Module and name under which torch or the standard library has `value`; None for others."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if (
        not module
        or not name
        or module.split(".")[0] not in ("torch", "builtins", "math", "_operator")
    ):
        return None
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return (module, name) if found is value else None


def read_error(error: object, what: str, name: object) -> StudentError:
    """The StudentError that an answer to the request `what` announces.

    What it says is a claim, and only shown: of a hidden test not even that. So the kinds whose
    words are always shown are taken where they cannot tell of a test: "import failure" while
    loading, "missing" for the `name` asked of the module, in words of our own.
    """
    kind = error.get("kind") if isinstance(error, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        return StudentError("malformed reply", "the answer is neither a value nor an error")
    text, task = clean_text(error.get("text", ""), 500), error.get("task")
    if kind == "missing" and what == "get" and isinstance(name, str):
        text = f"{name} is missing from your file"
    elif kind == "missing" or (kind == "import failure" and what != "load"):
        kind = "exception"
    return StudentError(
        kind, text, clean_text(error.get("traceback", "")), task if isinstance(task, str) else None
    )
