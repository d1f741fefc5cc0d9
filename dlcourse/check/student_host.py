"""The host of student code: it loads the file, does what a test asks, and answers with data.

`dlcourse check` runs it in the process of the tests, `dlcourse grade` in the sandbox. It knows no
test and no expected value.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import itertools
import linecache
import operator
import re
import sys
import traceback
import types
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from dlcourse.check.forbidden import violations
from dlcourse.check.guard import Guard, NotAllowedError
from dlcourse.check.no_processes import ProcessRefusedError, refuse_processes
from dlcourse.check.probes import PROBES
from dlcourse.check.process_state import seed_everything
from dlcourse.check.protocol import Buffers, ProtocolError, decode, encode
from dlcourse.check.source import place
from dlcourse.check.text import clean_text

__all__ = ["LIMIT_S", "StudentHost", "TimeLimitError"]

LIBRARIES = ("torch.", "dlcourse.")
MAX_ITEMS = 100_000
LIMIT_S = 30.0  # for student code in one test of `dlcourse check`
MAX_PRINTED = 2**20  # characters
LEFT_OVER = re.compile(r"<{7}|={7}|>{7}|%%?\w+|!\w+")  # lines of git and of IPython
NOT_WRITTEN = re.compile(r"^task (\d+\.\d+): (.+)$")

# What a test can ask of an object, besides calling it.
REQUESTS: dict[str, Callable[..., Any]] = {
    "get": getattr, "item": operator.getitem, "len": len, "list": iter,
}  # fmt: skip

Answer = tuple[dict, Buffers]


class OutputLimitError(Exception):
    """Student code printed more than MAX_PRINTED characters."""


class TimeLimitError(BaseException):
    """Student code ran for longer than LIMIT_S in one test of `dlcourse check`."""

    def __str__(self) -> str:
        return f"stopped after {LIMIT_S:.0f} s; does a loop never end?"


class Printed(io.TextIOBase):
    """A standard output that keeps 2,000 characters and refuses more than MAX_PRINTED."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text, self.count = "", 0

    def writable(self) -> bool:
        return True

    def reconfigure(self, **settings: object) -> None:
        """Accept and ignore the settings: every character can be printed here already."""

    def write(self, text: str) -> int:
        self.count += len(text)
        if self.count > MAX_PRINTED:
            raise OutputLimitError(f"your code printed more than {MAX_PRINTED:,} characters")
        if len(self.text) < 2000:
            self.text += text[: 2000 - len(self.text)]
        return len(text)


class NoInput(io.TextIOBase):
    """A standard input that says why there is none."""

    def read(self, size: int | None = -1) -> str:
        raise EOFError("nobody types while a lab is checked; take values from the arguments")

    def readline(self, size: int = -1) -> str:  # type: ignore[override]  # IOBase's gives bytes
        return self.read()


class StudentHost:
    """Holds one student's module, and its objects that are not plain data.

    source: the file's bytes. filename: the name of the file in tracebacks. name: the module's name.
    call_back: gets (number, message, buffers), calls the test's function of that number and returns
        its answer.
    shared: whether the tests run in this process too.
    """

    def __init__(
        self,
        source: bytes,
        filename: str,
        name: str,
        call_back: Callable[[int, dict, Buffers], Answer],
        *,
        shared: bool = False,
    ) -> None:
        self.source, self.filename, self.name = source, filename, name
        self.call_back = call_back
        self.guard = Guard(shared=shared)
        self.watch = self.guard.watch  # bound before student code could replace it
        self.module: types.ModuleType | None = None
        self.objects: list[object] = []
        self.numbers: dict[int, int] = {}

    def answer(self, message: dict, buffers: Buffers) -> Answer:
        """Do what `message` asks. The answer holds "value" or "error"; only Ctrl-C and the time
        limit raise.

        A function of the tests that student code calls may ask again before the first answer.
        """
        printed, replies = Printed(), Buffers()
        stdin, sys.stdin = sys.stdin, NoInput()
        try:
            rule = message.get("rule")
            with contextlib.redirect_stdout(printed), refuse_processes():
                reply = self.watch(rule, lambda: self.done(message, buffers, replies))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 (whatever student code raises is data here)
            replies.clear()
            try:
                reply = {"error": self.explain(error)}
            except (KeyboardInterrupt, TimeLimitError):
                raise
            except BaseException:  # noqa: BLE001 (it may lie about its text, traceback, ...)
                reply = {"error": {"kind": "exception", "text": "an exception without words"}}
        finally:
            sys.stdin = stdin
        if printed.text:
            reply["printed"] = clean_text(printed.text)
        return reply, replies

    def done(self, message: dict, buffers: Buffers, replies: Buffers) -> dict:
        # An object of the student's may compute its value only when it is encoded.
        return {"value": encode(self.do(message, buffers), replies, self.hold)}

    def do(self, message: dict, buffers: Buffers) -> object:
        what = message["do"]
        if what == "read":
            # Tests ask this first, before student code could change the answer.
            rules = self.arguments(message, buffers)[0][0]
            self.guard.prepare((task, names) for task, (_, names) in rules.items())
            found = violations(self.source, rules)
            return {task: (text, place(self.source, line)) for task, (text, line) in found.items()}
        if self.module is None:
            self.load()
        if what == "load":
            return None
        target: Any = self.module if message.get("of") is None else self.objects[message["of"]]
        args, kwargs = self.arguments(message, buffers)
        if what == "probe":
            return as_list(PROBES[message["name"]](self.module, *args, **kwargs))
        if what == "call":
            return as_list(target(*args, **kwargs))
        return as_list(REQUESTS[what](target, *args))

    def arguments(self, message: dict, buffers: Buffers) -> tuple[list[Any], dict[str, Any]]:
        args = decode(message["args"], buffers, self.find, strided=True)
        kwargs = decode(message["kwargs"], buffers, self.find, strided=True)
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise ProtocolError("a request without a list of arguments")
        return args, kwargs

    def load(self) -> None:
        # A file that draws numbers at its top gets the same ones in `check` and in `grade`.
        seed_everything()
        module = types.ModuleType(self.name)
        module.__file__ = self.filename
        lines = self.source.decode("utf-8", "replace").splitlines(keepends=True)
        # Tracebacks quote the source from here, because the sandbox has no file to read.
        linecache.cache[self.filename] = (len(self.source), None, lines, self.filename)
        sys.modules[self.name] = module
        try:
            exec(compile(self.source, self.filename, "exec"), module.__dict__)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            sys.modules.pop(self.name, None)
            raise LoadError(error) from error
        self.module = module

    def hold(self, value: object) -> dict:
        """Keep an object that is not plain data, and return a node with its number."""
        number = self.numbers.get(id(value))
        if number is None:
            if len(self.objects) >= MAX_ITEMS:
                raise OutputLimitError(f"your code gave out more than {MAX_ITEMS:,} objects")
            number = self.numbers[id(value)] = len(self.objects)
            self.objects.append(value)
        kind = type(value)
        name = kind.__qualname__
        if kind.__module__ != self.name:
            name = f"{kind.__module__}.{name}"
        return {"t": "handle", "v": number, "of": clean_text(name, 60)}

    def find(self, node: dict) -> object:
        """Return the value of a node that only this side can decode."""
        if node.get("t") == "handle":
            return self.objects[node["v"]]
        if node.get("t") == "name":
            return operator.attrgetter(node["v"])(importlib.import_module(node["module"]))
        if node.get("t") == "callback":
            return self.stand_in(node["v"])
        if node.get("t") == "namespace":
            attributes: Any = decode(node["v"], Buffers(), self.find)
            return types.SimpleNamespace(**attributes)
        raise ProtocolError(f"an unknown kind of value: {clean_text(node.get('t'), 40)}")

    def stand_in(self, number: int) -> Callable:
        """Return a function that calls the test's function of that `number`."""

        def call(*args: object, **kwargs: object) -> object:
            buffers = Buffers()
            message = {
                "args": encode(list(args), buffers, self.hold),
                "kwargs": encode(kwargs, buffers, self.hold),
            }
            reply, replies = self.guard.paused(lambda: self.call_back(number, message, buffers))
            if "error" in reply:
                raise RuntimeError(reply["error"])
            return decode(reply["value"], replies, self.find, strided=True)

        return call

    def explain(self, error: BaseException) -> dict:
        """Describe an exception: its kind, one line, and the frames of the student's file."""
        loading = isinstance(error, LoadError)
        if isinstance(error, LoadError):
            error = error.cause
        text = describe(error)
        kind = "import failure" if loading else "exception"
        said = text.partition(": ")[2]
        match = NOT_WRITTEN.match(said) if type(error) is NotImplementedError else None
        if match:
            return {"kind": "not written", "task": match[1], "text": match[0]}
        if isinstance(error, NotAllowedError):
            kind, text = "not allowed", str(error)
        elif isinstance(error, OutputLimitError):
            kind, text = "output", str(error)
        elif isinstance(error, TimeLimitError):
            kind, text = "import failure" if loading else "time", str(error)
        elif isinstance(error, PermissionError) and not loading:
            kind, text = "refused", refusal(error, text)
        elif isinstance(error, ModuleNotFoundError) and str(error.name).startswith(LIBRARIES):
            text += "; it is not available while a lab is graded"
        elif isinstance(error, AttributeError) and error.obj is self.module and self.module:
            kind = "missing"
        frames = self.own_frames(error)
        if loading:
            line = frames[-1].lineno if frames else getattr(error, "lineno", None)
            at = f", {place(self.source, line)}" if line else ""
            what = clean_text(error.msg if isinstance(error, SyntaxError) else said, 300)
            if left := LEFT_OVER.match(getattr(error, "text", None) or ""):
                what = f"remove {left[0]}, which a merge or a notebook has left here"
            what = f"{type(error).__name__}{at}: {what}"
            if isinstance(error, SystemExit):
                what = f"your code called sys.exit() while loading{at}"
            text = f"{self.filename} does not load: {what}"
        shown = "".join(
            f"{self.filename}, {place(self.source, frame.lineno or 1)}, in {frame.name}\n"
            f"    {frame.line}\n"
            for frame in frames
        )
        return {"kind": kind, "text": clean_text(text, 500), "traceback": clean_text(shown)}

    def own_frames(self, error: BaseException) -> list[traceback.FrameSummary]:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename == self.filename]
        return own if len(own) <= 6 else own[:2] + own[-4:]


class LoadError(Exception):
    """The student's file does not load, because of `cause`."""

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause


def as_list(value: object) -> object:
    """Turn iterators and dictionary views into lists, which can cross to the test."""
    if isinstance(value, (Iterator, KeysView, ValuesView, ItemsView)):
        items = list(itertools.islice(value, MAX_ITEMS + 1))
        if len(items) > MAX_ITEMS:
            raise OutputLimitError(f"your code gave back more than {MAX_ITEMS:,} items")
        return items
    return value


def refusal(error: PermissionError, text: str) -> str:
    if isinstance(error, ProcessRefusedError):
        return str(error)
    if error.errno == errno.EPERM:
        return f"{text}; while a lab is graded, your code has no network and no other processes"
    return text


def describe(error: BaseException) -> str:
    """Return "ValueError: its message", or the type alone if the message cannot be read."""
    if isinstance(error, SystemExit):
        return "your code called sys.exit()"
    if isinstance(error, MemoryError):
        return "MemoryError: your code needs more memory than there is"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 (a student's __str__ may raise anything)
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
