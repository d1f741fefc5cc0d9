"""Find the names of torch, torchvision and dlcourse that answer a task of a lab by themselves.

    python benchmarks/answers.py [LAB ...]

What is recorded of other labs stays.

Each public function and class is put in the place of each function or class of each task. First it
gets the arguments of the tests' first calls; what gives the solution's results is then tried with
all tests of the task. Expected: each name found is forbidden for its task, or the task allows it.
`tests/check/test_answers.py` compares the recorded names with the tests' rules.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
import io
import json
import os
import pkgutil
import select
import signal
import struct
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import common
import torch
import torchvision

import dlcourse
from dlcourse import course
from dlcourse.check.explain import matches
from dlcourse.check.forbidden import is_forbidden
from dlcourse.check.points import ALWAYS
from dlcourse.check.student import InProcessChannel, Student

SKIPPED = (
    "_", "set_", "manual_seed", "seed", "compile", "save", "load", "fork", "wait", "init_", "use_",
    "import_", "main", "breakpoint", "run_",
    "vitals", "spawn", "launch", "exit", "barrier", "hub", "download",
)  # fmt: skip
FOLDERS = (
    "torch", "torch.linalg", "torch.special", "torch.fft", "torch.func", "torch.autograd",
    "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.utils", "torch.optim",
    "torch.optim.lr_scheduler", "torch.optim.swa_utils", "torch.distributions", "torch.Tensor",
    "torchvision.ops", "torchvision.models", "torchvision.transforms",
    "torchvision.transforms.functional", "torchvision.transforms.v2.functional",
)  # fmt: skip
LIMIT_S = 20  # of all tests of a task; the solutions of some take 5 s on a busy machine
OWN = os.getpid()


def public_names() -> Iterator[tuple[str, Any]]:
    """Yield the path and the value of every public function and class."""
    packages = [info.name for info in pkgutil.walk_packages(dlcourse.__path__, "dlcourse.")]
    inner = [
        name for name in packages if name.split(".")[1] in ("init", "models", "optim", "train")
    ]
    seen = set()
    for folder in (*FOLDERS, "dlcourse.data", *inner):
        owner = torch.Tensor if folder == "torch.Tensor" else importlib.import_module(folder)
        for name in dir(owner):
            value = getattr(owner, name, None)
            if callable(value) and not name.startswith(SKIPPED) and (id(value), name) not in seen:
                seen.add((id(value), name))
                yield f"{folder}.{name}", value


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Drop what this block prints; a fork of this process ends if it takes over LIMIT_S."""
    signal.alarm(LIMIT_S if os.getpid() != OWN else 0)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.alarm(0)


def forked(tried: Callable[[Any], bool], values: list[Any]) -> Iterator[int]:
    """Yield the numbers of the `values` for which `tried` is true, in processes of their own.

    A call that ends its process counts as false.
    """
    start = 0
    while start < len(values):
        reading, writing = os.pipe()
        if (pid := os.fork()) == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            for number in range(start, len(values)):
                os.write(writing, struct.pack("<i?", number, False))
                os.write(writing, struct.pack("<i?", number, tried(values[number])))
            os._exit(0)
        os.close(writing)
        while select.select([reading], [], [], 4 * LIMIT_S)[0] and (part := os.read(reading, 5)):
            start, right = struct.unpack("<i?", part)
            if right:
                yield start
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        start += 1


def passes(test: Callable, channel: InProcessChannel) -> bool:
    try:
        with limited():
            torch.manual_seed(0)
            test(Student(channel))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return False
    return True


class Place:
    """The place of one function or class of a task, in the loaded solution."""

    def __init__(self, channel: InProcessChannel, name: str, tests: list[Callable]) -> None:
        self.channel, self.name, self.tests = channel, name, tests
        self.own = getattr(channel.host.module, name)
        self.calls: list[tuple[tuple, dict, object]] = []
        self.put(self.record)
        for test in tests:
            assert passes(test, channel), f"the solution fails {test.__name__}"
        self.put(self.own)

    def put(self, value: object) -> None:
        setattr(self.channel.host.module, self.name, value)

    def record(self, *args: Any, **kwargs: Any) -> object:
        given = None
        if len(self.calls) < 3:
            with contextlib.suppress(RuntimeError):  # a tensor in the middle of a graph
                given = copy.deepcopy((args, kwargs))
        result = self.own(*args, **kwargs)
        if given is not None:
            self.calls.append((*given, None if isinstance(self.own, type) else result))
        return result

    def answered_by(self, value: Any) -> bool:
        """Return whether `value` passes the tests in this place."""
        if isinstance(self.own, type) and not inspect.isclass(value):
            return False
        for args, kwargs, expected in self.calls[:1]:
            try:
                with limited():
                    args, kwargs = copy.deepcopy((args, kwargs))
                    got = value(*args, **kwargs)
                    if not isinstance(self.own, type) and not matches(got, expected, 1e-3, 1e-3):
                        return False
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                return False
        self.put(value)
        try:
            return all(passes(test, self.channel) for test in self.tests)
        finally:
            self.put(self.own)


def try_all(name: str, values: list[tuple[str, Any]]) -> dict[str, dict[str, str]]:
    """Return for each task the names that answer it, and whether they are forbidden."""
    lab = course.find_lab(name)
    tests = [
        test for test in vars(course.load_script(lab.tests)).values() if hasattr(test, "points")
    ]
    channel = InProcessChannel(lab.solution, lab.name)
    Student(channel)._ask("load")
    found: dict[str, dict[str, str]] = {}
    for task, functions in lab.functions.items():
        of_task = [test for test in tests if test.points.task == task]
        names = [*ALWAYS, *(name for test in of_task for name in test.points.forbidden)]
        for function in dict.fromkeys(name.partition(".")[0] for name in functions):
            place = Place(channel, function, of_task)
            for number in forked(place.answered_by, [value for _, value in values]):
                path = values[number][0]
                said = "forbidden" if is_forbidden(path, names) else "not forbidden"
                found.setdefault(task, {})[path] = said
                print(f"{task} {function}: {path}: {said}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("labs", nargs="*", metavar="LAB", help="default: all")
    args = parser.parse_args()
    assert torchvision.ops
    torch.set_num_threads(1)  # a fork cannot use the threads of its parent
    values = list(public_names())
    labs = args.labs or [lab.short for lab in course.labs(common.ROOT)]
    path = args.out or common.RESULTS / "answers.json"
    for lab in labs:
        found = try_all(lab, values)
        before = json.loads(path.read_text("utf-8"))["result"]["labs"] if path.is_file() else {}
        record = {"names_tried": len(values), "labs": dict(sorted((before | {lab: found}).items()))}
        common.record("answers", record, args.out)


if __name__ == "__main__":
    main()
