"""Refuse, while student code runs, the operators and functions that its task asks it to write.

The syntax tree of a file cannot tell what runs, so two observers watch it:

- **Operators.** Each forbidden operator of PyTorch gets a kernel that refuses it, in the dispatcher
  of this process. Every way to an operator ends there: `F.conv2d`, `torch.ops`, a module,
  TorchScript, a thread, a saved reference, also with modes switched off or keys excluded.
- **Python functions.** A profile function sees each call. The file of the called code tells whether
  it is, for example, `torch.optim.adam.adam`, under whatever name it was saved.

What would run out of their sight is refused as a whole: functions that were traced, scripted or
compiled before the call, and ctypes, which can change the process itself.

A refusal counts even if student code catches the exception.
"""

from __future__ import annotations

import contextlib
import ctypes
import fnmatch
import functools
import importlib
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, ClassVar

import torch

__all__ = ["Guard", "NotAllowedError", "Rule", "split_names"]

# A task, and the names that it forbids; see `dlcourse.check.points`.
Rule = tuple[str, Sequence[str]]
# By the id of a code: the code, and the path of the function if it is forbidden, or "".
Verdicts = dict[int, tuple[CodeType, str]]

KEYS = ("CPU", "CompositeImplicitAutograd", "CompositeExplicitAutograd", "MkldnnCPU")
# Calls that would go around a kernel, or around the profile function.
SWITCHES = {
    "call_boxed", "redispatch_boxed", "_dispatch_library", "_jit_script_compile",
    "setprofile", "_setprofileallthreads", "start_new_thread", "start_joinable_thread",
}  # fmt: skip
# Code that torch.compile and torch.fx have made of other functions.
GENERATED = "torch.fx.generated"
COMPILED = (
    "torch._dynamo.convert_frame*", "torch._dynamo.eval_frame*compile_wrapper", f"{GENERATED}*",
)  # fmt: skip
HIDES = "it hides what runs"
WRITE_IT = "this task asks you to write that yourself"
PACKAGES = {
    str(Path(torch.__file__).parent): "torch",
    str(Path(__file__).parents[1]): "dlcourse",
    str(Path(torch.__file__).parents[1] / "torchvision"): "torchvision",
}


IMPORTING = {importlib._bootstrap._find_and_load.__code__}  # type: ignore[attr-defined]
# torch's operators in Python, and what wraps them.
WRAPPERS = ("torch._decomp", "torch._prims_common", "torch._refs")
INIT = "torch.nn.init"
# What runs while a library is imported; the methods of a dataclass are in "<string>".
LIBRARY = (*PACKAGES, str(Path(functools.__file__).parent), "<frozen ", "<string>")
CTYPES = str(Path(ctypes.__file__).parent)
SITE_PACKAGES = str(Path(torch.__file__).parents[1])


class NotAllowedError(BaseException):
    """Student code ran what its task forbids. No `except Exception` of a student's stops it."""


def split_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide forbidden names into those of operators, "*conv*", and paths, "torch.optim*"."""
    return [n for n in names if "." not in n], [n for n in names if "." in n]


@functools.cache
def pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern that matches what one of `names` matches; none matches nothing."""
    return re.compile("|".join(map(fnmatch.translate, names)) or r"(?!)")


@functools.cache
def kernels_of(names: tuple[str, ...], modules: int) -> list[tuple[str, str]]:
    """Return (operator, key) for every kernel of an operator that one of `names` matches.

    modules: how many are loaded; one more may bring operators.
    """
    matches = pattern(names).match
    return [
        (operator, key)
        for operator in torch._C._dispatch_get_all_op_names()
        if matches(operator.partition("::")[2].partition(".")[0])
        for key in KEYS
        if torch._C._dispatch_has_kernel_for_dispatch_key(operator, key)
    ]


class Guard:
    """Watches the student code of one process, in which one guard works at a time.

    shared: whether tests run in the same process; then nothing of this stays between two requests.
    """

    current: ClassVar[Guard | None] = None

    def __init__(self, *, shared: bool) -> None:
        observe_scripts_and_ctypes()
        Guard.current = self
        self.shared = shared
        self.rule: Rule = ("", ())
        self.active = False
        self.watching = 0  # how many blocks of `watch` are open, one inside the other
        self.refusal: NotAllowedError | None = None
        self.libraries: dict[tuple[str, str], Any] = {}  # by namespace and key
        self.operators: tuple[str, ...] = ()
        # For each rule, what is known of the codes that have run; they are kept alive.
        self.verdicts_by_rule: dict[tuple[str, ...], Verdicts] = {(): {}}
        self.verdicts = self.verdicts_by_rule[()]
        self.forbids, self.calls = pattern(()).match, SWITCHES
        self.finders = [*sys.meta_path]
        self.strangers: set[int] = set()  # the threads that the file has started while it loaded

    @contextlib.contextmanager
    def watch(self, rule: Rule | None) -> Iterator[None]:
        """Within this block student code runs under `rule`; raises NotAllowedError at its end.

        A function of the tests that student code calls may open a block inside the block.
        """
        threads = set(sys._current_frames())
        outer, self.refusal = self.refusal, None
        before = self.rule
        self.watching += 1
        self.arm(rule or ("", ()))
        try:
            if rule and self.strangers & threads:
                self.refuse("a thread beside the function", "it started while the file loaded")
            with self.profiled(on=bool(rule)):
                yield
        finally:
            self.watching -= 1
            if self.watching:
                self.arm(before)
            elif self.shared:
                self.arm(("", ()))
            if not rule:
                self.strangers |= set(sys._current_frames()) - threads
            refusal, self.refusal = self.refusal, outer
            if refusal is not None:
                raise refusal

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Within this block inside `watch`, a function of the tests runs."""
        rule = self.rule
        if not self.shared or not self.active:
            yield
            return
        with self.profiled(on=False):
            self.arm(("", ()))
            try:
                yield
            finally:
                self.arm(rule)

    @contextlib.contextmanager
    def profiled(self, *, on: bool) -> Iterator[None]:
        """Switch the profile function on or off, and back at the end."""
        before, was = sys.getprofile(), self.active
        self.active = False
        sys.setprofile(self.profile if on else None)
        threading.setprofile(self.profile if on else None)  # for threads that start from now on
        self.active = on
        try:
            yield
            if on and sys.getprofile() != self.profile:
                self.refuse("sys.setprofile", HIDES)
        finally:
            self.active = False
            # cProfile's own is an object that cannot be set again; it sees nothing from here on.
            sys.setprofile(before if callable(before) else None)
            threading.setprofile(self.profile if was else None)
            self.active = was

    def arm(self, rule: Rule) -> None:
        """Replace the kernels that `rule` forbids, and put back those that it allows."""
        self.rule = rule
        names, paths = map(tuple, split_names(rule[1]))
        self.forbids = pattern((*paths, *COMPILED)).match
        self.verdicts = self.verdicts_by_rule.setdefault(paths, {})
        self.calls = SWITCHES.union(names)
        operators = names
        if operators == self.operators:
            return
        self.libraries.clear()  # this puts the earlier kernels back
        self.operators = operators
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch 2.11 warns of a kernel that is replaced
            for operator, key in kernels_of(operators, len(sys.modules)) if operators else []:
                namespace, _, name = operator.partition("::")
                if (namespace, key) not in self.libraries:
                    library = torch._C._dispatch_library("IMPL", namespace, key)
                    self.libraries[namespace, key] = library
                with contextlib.suppress(RuntimeError):
                    kernel = self.refusing(name.partition(".")[0])
                    self.libraries[namespace, key].impl(name, key, kernel)

    def refusing(self, operator: str) -> Callable:
        def kernel(*args: object, **kwargs: object) -> None:
            self.refuse(f"torch's {operator}")

        return kernel

    def refuse(self, what: str, why: str = WRITE_IT) -> None:
        task = f"task {self.rule[0]}: " if self.rule[0] else ""
        text = f"{task}your code ran {what}; {why}"
        self.refusal = self.refusal or NotAllowedError(text)
        raise self.refusal

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            code = frame.f_code
            known = self.verdicts.get(id(code))
            path = known[1] if known else self.look_up(code)
            if path and not internal(path, frame) and not self.imports(frame):
                self.refuse(path, HIDES if is_compiled(path) else WRITE_IT)
        elif event == "c_call" and argument.__name__ in self.calls:
            self.call(frame, argument.__name__)

    def call(self, frame: FrameType, name: str) -> None:
        # A thread that `threading` starts has the profile function, too. torchvision registers its
        # own operators while it is imported.
        known = frame.f_code in (threading.Thread.start.__code__, PROFILED)
        if not known and not self.imports(frame):
            self.refuse(name)

    def imports(self, frame: FrameType | None) -> bool:
        """Return whether a library runs in `frame` because it is imported.

        A student who adds an importer could name its code as that of a library; then nothing
        counts as imported.
        """
        if not all(finder in self.finders or is_installed(finder) for finder in sys.meta_path):
            return False
        while frame is not None and frame.f_code.co_filename.startswith(LIBRARY):
            if frame.f_code in IMPORTING:
                return True
            frame = frame.f_back
        return False

    def look_up(self, code: CodeType) -> str:
        """Return the path of a function that the rule forbids, or "". Keeps `code` alive."""
        path = path_of(code)
        path = path if path and self.forbids(path) else ""
        self.verdicts[id(code)] = code, path
        return path


def internal(path: str, frame: FrameType | None) -> bool:
    """Return whether a library calls `path` for its own ends.

    PyTorch itself runs `torch._decomp` for tensors on the meta device, for example.
    """
    caller = frame
    while caller is not None and path_of(caller.f_code).startswith((*WRAPPERS, INIT)):
        caller = caller.f_back
    if path.startswith(WRAPPERS) and caller is not None and path_of(caller.f_code):
        return True
    if path.startswith(INIT) and caller is not None:
        layer = path_of(caller.f_code).startswith("torch.nn.modules.")
        if layer and caller.f_code.co_name == "reset_parameters":
            return True  # a new layer gets its first weights
    return False


def is_installed(finder: object) -> bool:
    """Return whether an importer is that of an installed package; setuptools has one."""
    owner = finder if isinstance(finder, type) else type(finder)
    file = getattr(sys.modules.get(owner.__module__), "__file__", None)
    return bool(file) and str(file).startswith(SITE_PACKAGES)


is_compiled = pattern(COMPILED).match


@functools.cache
def observe_scripts_and_ctypes() -> None:
    """Have every call of a TorchScript function, and every use of ctypes, tell the guard."""
    for kind in (torch._C.ScriptFunction, torch._C.ScriptMethod):
        kind.__call__ = observed(kind.__call__)  # type: ignore[method-assign]  # on purpose
    sys.addaudithook(audit)


def observed(call: Callable) -> Callable:
    def observing(*args: object, **kwargs: object) -> object:
        if Guard.current is not None and Guard.current.active:
            Guard.current.refuse("a function in TorchScript", HIDES)
        return call(*args, **kwargs)

    return observing


def audit(event: str, arguments: tuple) -> None:
    guard = Guard.current
    if guard is None or not event.startswith("ctypes.") or (guard.shared and not guard.active):
        return
    frame: FrameType | None = sys._getframe(1)
    if guard.imports(frame):
        return
    while frame is not None and frame.f_code.co_filename.startswith(CTYPES):
        frame = frame.f_back
    if frame is None or not path_of(frame.f_code):  # PyTorch and the package may use it
        guard.refuse("ctypes", "it can change the process that checks it")


def path_of(code: CodeType) -> str:
    """Return the path of a function of one of the PACKAGES, such as "torch.optim.adam.adam"."""
    if code.co_filename.startswith("<eval_with_key>"):
        return GENERATED
    for folder, package in PACKAGES.items():
        if code.co_filename.startswith((f"{folder}/", f"{folder}\\")):
            inside = code.co_filename[len(folder) :].removesuffix(".py").removesuffix("__init__")
            module = re.sub(r"[\\/]+", ".", inside).strip(".")
            name = getattr(code, "co_qualname", code.co_name)  # Python 3.10 has no co_qualname
            return ".".join(part for part in (package, module, name) if part)
    return ""


PROFILED = Guard.profiled.__wrapped__.__code__  # type: ignore[attr-defined]  # of contextmanager
