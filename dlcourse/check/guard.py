"""Refuse, while student code runs, the operators and functions that its task asks it to write.

The syntax tree of a file cannot tell what runs, so two observers watch it:

- **Operators.** Each forbidden operator of PyTorch gets a kernel that refuses it, in the dispatcher
  of this process. Every way to an operator ends there: `F.conv2d`, `torch.ops`, a module,
  TorchScript, a thread, a saved reference, also with modes switched off or keys excluded.
- **Python functions.** A profile function sees each call. The file of the called code tells whether
  it is, for example, `torch.optim.adam.adam`, under whatever name it was saved.
- **Gradients.** Autograd numbers what it records. Where a task forbids it, a number that is missing
  afterwards tells that the student's code had something recorded, and so could derive it.

What would run out of their sight is refused as a whole: functions that were traced, scripted or
compiled before the call, threads that started before it, trace functions, audit hooks, code that
bears the name of a library's file or is a copy of a code object, and ctypes, which can change the
process itself.

A refusal counts even if student code catches the exception. Student code may also replace what this
module uses; so that it sees no difference, functions are bound here by name, the module has
`builtins` of its own, and no `with` statement of contextlib's stands around student code.
"""

from __future__ import annotations

import _thread
import builtins
import ctypes
import fnmatch
import functools
import gc
import importlib
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from gc import collect as gc_collect
from gc import disable as gc_disable
from gc import get_count as gc_get_count
from gc import isenabled as gc_isenabled
from pathlib import Path
from sys import _current_frames, _getframe, getprofile, setprofile
from types import CodeType, FrameType
from typing import Any, ClassVar, TypeVar

import torch
from torch._C import (
    _dispatch_get_all_op_names,
    _dispatch_has_kernel_for_dispatch_key,
    _dispatch_library,
)
from torch._functorch.vmap import lazy_load_decompositions

__all__ = ["Guard", "NotAllowedError", "Rule", "split_names"]

# Every function below looks its builtins up in this copy.
globals()["__builtins__"] = vars(builtins).copy()

Result = TypeVar("Result")
# A task, and the names that it forbids; see `dlcourse.check.points`.
Rule = tuple[str, Sequence[str]]
# By the id of a code: the code, and the path of the function if it is forbidden, or "".
Verdicts = dict[int, tuple[CodeType, str]]

# Those of the kernels that compute, on every kind of tensor that a processor holds.
KEYS = (
    "CPU", "CompositeImplicitAutograd", "CompositeExplicitAutograd", "MkldnnCPU",
    "CompositeExplicitAutogradNonFunctional", "CompositeImplicitAutogradNestedTensor",
    "AutogradNestedTensor", "NestedTensorCPU", "QuantizedCPU", "SparseCPU", "SparseCsrCPU",
)  # fmt: skip
# Calls that would go around a kernel, or around the profile function.
SWITCHES = {
    "call_boxed", "redispatch_boxed", "_dispatch_library", "_jit_script_compile",
    "_setprofileallthreads",
}  # fmt: skip
# What Python reports of code that could run unseen, however it is called.
UNSEEN = {
    "sys.addaudithook", "sys.monitoring.register_callback", "sys.settrace",
}  # fmt: skip
# What makes code objects; a copy of a library's would not tell that it is one.
COPIES_CODE = {"code.__new__", "marshal.loads"}
# The argument with the name of the file.
NAMES_CODE = {"compile": 1}
# Code that torch.compile and torch.fx have made of other functions; their Tracker takes note of
# code that is deleted.
GENERATED = "torch.fx.generated"
COMPILED = (
    "torch._dynamo.convert_frame.[!T]*", "torch._dynamo.eval_frame*compile_wrapper",
    f"{GENERATED}*", "torch.fx.interpreter*", "torch._inductor*",
)  # fmt: skip


@functools.cache
def pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern that matches what one of `names` matches; none matches nothing."""
    return re.compile("|".join(map(fnmatch.translate, names)) or r"(?!)")


# What makes or loads a program that runs without Python, and what starts a thread.
MAKES_SCRIPT = pattern((
    "_create_function_*", "_create_graph_*", "_create_method*", "_define",
    "_dispatch_get_computed*", "_import_ir*", "_jit_interpret*", "_jit_script*", "_jit_to_static*",
    "_load_*", "create_function", "define", "import_ir*", "parse_ir",
)).match  # fmt: skip
STARTS_THREAD = pattern(("_start_*thread", "start_*thread", "start_new")).match
OWN: set[CodeType] = set()  # of functions here that set the profile function of a thread
HIDES = "it hides what runs"
WRITE_IT = "this task asks you to write that yourself"
PACKAGES = {
    str(Path(torch.__file__).parent): "torch",
    str(Path(__file__).parents[1]): "dlcourse",
    str(Path(torch.__file__).parents[1] / "torchvision"): "torchvision",
}


IMPORTING = importlib._bootstrap._find_and_load.__code__  # type: ignore[attr-defined]
# torch's operators in Python, and what wraps them.
WRAPPERS = ("torch._decomp", "torch._prims_common", "torch._refs")
INIT = "torch.nn.init"
STDLIB = (str(Path(functools.__file__).parent), "<frozen ")
SITE_PACKAGES = str(Path(torch.__file__).parents[1])
# What runs while a library is imported; pytest imports modules whose names begin with "test".
LIBRARY = (*PACKAGES, *STDLIB, str(Path(SITE_PACKAGES) / "_pytest"))
CTYPES = str(Path(ctypes.__file__).parent)
SEPARATORS = re.compile(r"[\\/]+")
GARBAGE = 50_000  # objects with references to others; Python collects some after 700
GRADIENTS = "run_backward"  # who forbids this forbids autograd
LEAF = torch.zeros((), requires_grad=True)
# What a library that is only imported does not have yet.
VALUES = (torch.Tensor, torch.nn.Module, torch.optim.Optimizer)
IS_META = torch._C.TensorBase.is_meta.__get__  # type: ignore[attr-defined]


class NotAllowedError(BaseException):
    """Student code ran what its task forbids. No `except Exception` of a student's stops it."""


def split_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide forbidden names into those of operators, "*conv*", and paths, "torch.optim*"."""
    return [n for n in names if "." not in n], [n for n in names if "." in n]


@functools.cache
def kernels_of(names: tuple[str, ...], modules: int) -> list[tuple[str, str]]:
    """Return (operator, key) for every kernel of an operator that one of `names` matches.

    modules: how many are loaded; one more may bring operators.
    """
    matches = pattern(names).match
    return [
        (operator, key)
        for operator in _dispatch_get_all_op_names()
        if matches(operator.partition("::")[2].partition(".")[0])
        for key in KEYS
        if _dispatch_has_kernel_for_dispatch_key(operator, key)
    ]


class Guard:
    """Watches the student code of one process, in which one guard works at a time.

    shared: whether tests run in the same process; then nothing of this stays between two requests.
    """

    current: ClassVar[Guard | None] = None

    def __init__(self, *, shared: bool) -> None:
        observe()
        Guard.current = self
        self.shared = shared
        self.rule: Rule = ("", ())
        self.active = False
        self.watching = 0  # how many blocks of `watch` are open, one inside the other
        self.refusal: NotAllowedError | None = None
        self.libraries: dict[tuple[str, str], Any] = {}  # by namespace and key
        self.operators: tuple[str, ...] = ()
        self.kernels: list[tuple[str, str]] = []  # those that are replaced, by operator and key
        # For each rule, what is known of the codes that have run; they are kept alive.
        self.verdicts_by_rule: dict[tuple[str, ...], Verdicts] = {(): {}}
        self.verdicts = self.verdicts_by_rule[()]
        self.forbids, self.calls = pattern(()).match, SWITCHES
        self.finders = [*sys.meta_path]
        # The first optimizer or profiler imports the compiler, which runs what tasks forbid. In
        # `grade` it is there already, so that student code has no part in its import.
        self.compiler_waits = "torch._dynamo" not in sys.modules
        self.strangers: set[int] = set()  # the threads that the file has started and not ended
        self.known = set(_current_frames())
        self.of_libraries: set[int] = set()  # threads of a progress bar, for example
        self.unseen = ""  # what the file has installed while it loaded, such as a trace function
        self.lost = False  # whether something has replaced the profile function
        self.forged = False  # whether code bears the name of a library's file
        self.stays = False  # whether the profile function works between two calls, too
        self.callbacks = [*map(id, gc.callbacks)]
        # By thread, how many of autograd's numbers went to others than the student's code.
        self.other_nodes: dict[int, int] = {}

    def prepare(self, rules: Iterable[Rule]) -> None:
        """Make what `rules` need, before student code could replace what makes it."""
        for rule in rules:
            self.arm(rule)
        self.arm(("", ()))

    def watch(self, rule: Rule | None, act: Callable[[], Result]) -> Result:
        """Return act(), student code that runs under `rule`; raises NotAllowedError at its end.

        A function of the tests that student code calls may watch another act meanwhile.
        """
        threads = set(_current_frames())
        if self.stays:
            rule = rule or self.rule
        if not self.shared:
            self.strangers |= threads - self.known - self.of_libraries
        outer, self.refusal = self.refusal, None
        if not self.watching and outer is not None:
            # Student code has run after the last call, when something of its was deleted.
            self.refusal, outer = outer, None
        before = self.rule
        self.watching += 1
        self.arm(rule or ("", ()))
        state = self.state()
        try:
            if rule and self.strangers & threads:
                self.refuse("a thread beside the function", "it started before the call")
            if rule and self.unseen:
                self.refuse(self.unseen, HIDES)
            result = self.profiled(act, on=bool(rule))
            if rule and self.state() != state:
                self.unseen = "a change to what watches it"
                self.refuse(self.unseen, HIDES)
            return result
        finally:
            self.watching -= 1
            if self.watching:
                self.arm(before)
            elif self.shared:
                self.arm(("", ()))
            now = set(_current_frames())
            self.strangers |= now - threads - self.of_libraries
            self.known = now - self.strangers
            refusal, self.refusal = self.refusal, outer
            if refusal is not None:
                raise refusal

    def state(self) -> tuple:
        """Return what student code would change to get rid of this guard."""
        return (Guard.current, self.forbids, self.calls, id(self.verdicts), self.operators,
                set(self.libraries))  # fmt: skip

    def paused(self, act: Callable[[], Result]) -> Result:
        """Return act(), a function of the tests, called inside `watch`."""
        rule = self.rule
        if not self.shared or not self.active:
            return act()

        def unarmed() -> Result:
            nodes = self.nodes()
            self.arm(("", ()))
            try:
                return act()
            finally:
                self.arm(rule)
                recorded = self.nodes() - nodes
                self.other_nodes[_thread.get_ident()] += recorded

        return self.profiled(unarmed, on=False)

    def profiled(self, act: Callable[[], Result], *, on: bool) -> Result:
        """Return act(), while the profile function is on or off."""
        before, was, lost = getprofile(), self.active, self.lost
        gone = self.stays and lost
        self.active = self.lost = False
        setprofile(self.profile if on else None)
        self.active = on
        if on and not self.shared:
            # No test shares this process. What student code does when its objects are deleted, or
            # when an exception of its is described, is not its answer, but could become the next.
            before, was = self.profile, True
        try:
            if on and not self.shared:
                self.collect()
            nodes = self.nodes() if on else 0
            result = act()
            if on and (gone or self.lost or getprofile() != self.profile):
                self.refuse("sys.setprofile", HIDES)
            if on:
                self.refuse_nodes(nodes)
            return result
        finally:
            self.active = False
            # cProfile's own is an object that cannot be set again; it sees nothing from here on.
            setprofile(before if callable(before) else None)
            self.active, self.lost = was, lost and not gone

    def collect(self) -> None:
        """Collect garbage here, where it is seen what the deleted objects run, and nowhere else.

        The collector's callbacks run unseen where it interrupts the profile function.
        """
        if self.callbacks != [*map(id, gc.callbacks)]:
            self.refuse("a change of the garbage collector", HIDES)
        gc_disable()
        self.stays = True
        if gc_get_count()[0] > GARBAGE:
            gc_collect()

    def nodes(self) -> int:
        """Return how many operations of student code this thread's autograd has recorded."""
        thread = _thread.get_ident()
        others = self.other_nodes.setdefault(thread, 0)
        if GRADIENTS not in self.calls:
            return 0
        was, self.active = self.active, False
        try:
            number = record()
        finally:
            self.active = was
        self.other_nodes[thread] = others + 1
        return number - others

    def refuse_nodes(self, before: int) -> None:
        """Refuse autograd if it has recorded something since `nodes` returned `before`."""
        if self.nodes() != before:
            self.refuse("torch's autograd, with a tensor that requires a gradient")

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
        was, self.active = self.active, False  # what follows is not a student's
        self.libraries.clear()  # this puts the earlier kernels back
        self.operators = operators
        self.kernels = kernels_of(operators, len(sys.modules)) if operators else []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch 2.11 warns of a kernel that is replaced
            for operator, key in self.kernels:
                namespace, _, name = operator.partition("::")
                if (namespace, key) not in self.libraries:
                    self.libraries[namespace, key] = _dispatch_library("IMPL", namespace, key)
                try:
                    kernel = self.refusing(name.partition(".")[0])
                    self.libraries[namespace, key].impl(name, key, kernel)
                except RuntimeError:
                    pass  # another library has replaced this kernel
        self.active = was

    def arm_again(self) -> None:
        """Replace the kernels of operators, too, that an import has brought, as torchvision's."""
        if kernels_of(self.operators, len(sys.modules)) != self.kernels:
            self.operators = ()
            self.arm(self.rule)

    def refusing(self, operator: str) -> Callable:
        def kernel(*args: object, **kwargs: object) -> None:
            self.refuse(f"torch's {operator}")

        return kernel

    def note(self, what: str) -> None:
        """Refuse `what`, which could run code unseen; if the file loads, refuse what follows."""
        if self.active:
            self.refuse(what, HIDES)
        self.unseen = self.unseen or what

    def refuse(self, what: str, why: str = WRITE_IT) -> None:
        task = f"task {self.rule[0]}: " if self.rule[0] else ""
        text = f"{task}your code ran {what}; {why}"
        self.refusal = self.refusal or NotAllowedError(text)
        raise self.refusal

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if not self.active:
            return
        if self.stays and gc_isenabled():
            self.refuse("a change of the garbage collector", HIDES)
        if event == "call":
            code = frame.f_code
            if self.compiler_waits and code is IMPORTING:
                self.meet_compiler(frame.f_locals["name"])
            known = self.verdicts.get(id(code))
            path = known[1] if known else self.look_up(code)
            if path and not self.internal(path, frame) and not self.defines(frame):
                self.refuse(path, HIDES if is_compiled(path) else WRITE_IT)
        elif event == "c_call" and argument.__name__ in self.calls and not self.imports(frame):
            # torchvision registers its own operators while it is imported.
            self.refuse(argument.__name__)
        elif event == "return" and frame.f_code is IMPORTING and not self.imports(frame.f_back):
            self.arm_again()

    def defines(self, frame: FrameType) -> bool:
        """Return whether `frame` only makes what an import defines: it has no values yet.

        A library that is imported may call what student code has put in the place of a function.
        """
        return self.imports(frame) and not any(map(is_value, values_in(frame)))

    def imports(self, frame: FrameType | None) -> bool:
        """Return whether a library runs in `frame` because it is imported.

        A student who adds an importer could name its code as that of a library; then nothing
        counts as imported.
        """
        own = not all(finder in self.finders or is_installed(finder) for finder in sys.meta_path)
        if own or self.forged:
            return False
        while frame is not None and frame.f_code.co_filename.startswith(LIBRARY):
            if frame.f_code is IMPORTING:
                return True
            frame = frame.f_back
        return False

    def internal(self, path: str, frame: FrameType) -> bool:
        """Return whether a library calls `path` for its own ends.

        PyTorch itself runs `torch._decomp` for tensors on the meta device, for example.
        """
        if self.forged:
            return False
        inner, caller, by_name = frame, frame.f_back, True
        while caller is not None:
            # Student code may have put another function in the place of the one that is meant.
            by_name &= inner.f_code.co_name in caller.f_code.co_names
            if not path_of(caller.f_code).startswith((*WRAPPERS, INIT)):
                break
            inner, caller = caller, caller.f_back
        if caller is None:
            return False
        if path.startswith(WRAPPERS) and path_of(caller.f_code):
            # Where student code has it called back, it works on numbers.
            return all(map(is_meta, filter(is_value, values_in(frame))))
        layer = path_of(caller.f_code).startswith("torch.nn.modules.")
        # A new layer gets its first weights.
        return by_name and layer and caller.f_code.co_name == "reset_parameters"

    def meet_compiler(self, name: str) -> None:
        """Import the whole compiler, unseen, if the import of `name` is about to do that."""
        if name.startswith(("torch._dynamo", "torch._inductor")):
            self.compiler_waits = False
            importlib.import_module("torch._dynamo")  # nothing is watched in a profile function

    def look_up(self, code: CodeType) -> str:
        """Return the path of a function that the rule forbids, or "". Keeps `code` alive."""
        path = path_of(code)
        path = path if path and self.forbids(path) else ""
        self.verdicts[id(code)] = code, path
        return path


def is_installed(finder: object) -> bool:
    """Return whether an importer is that of an installed package; setuptools has one."""
    owner = finder if isinstance(finder, type) else type(finder)
    file = getattr(sys.modules.get(owner.__module__), "__file__", None)
    return bool(file) and str(file).startswith(SITE_PACKAGES)


is_compiled = pattern(COMPILED).match


def record() -> int:
    """Have autograd record an operation, under whatever mode, and return its number.

    Raises AttributeError where student code keeps autograd from recording.
    """
    with torch._C._InferenceMode(False), torch._C.DisableTorchFunction():
        return LEAF.clone().grad_fn._sequence_nr()  # type: ignore[union-attr]


def values_in(frame: FrameType) -> Iterator[object]:
    """Yield the local values of `frame`, and what its tuples, lists and dictionaries hold."""
    for value in frame.f_locals.values():
        kind = type(value)
        yield value
        yield from value if kind in (tuple, list) else value.values() if kind is dict else ()


def is_value(value: object) -> bool:
    # Not `isinstance`, which would ask an object of the student's for its class.
    return issubclass(type(value), VALUES)


def is_meta(value: object) -> bool:
    return type(value) in (torch.Tensor, torch.nn.Parameter) and IS_META(value)


@functools.cache
def observe() -> None:
    """Have TorchScript, new threads, and what Python itself reports tell the guard."""
    lazy_load_decompositions()  # else the first torch.vmap would register them while it is watched
    for owner in (torch._C, torch._C.ScriptModule, torch._C.CompilationUnit):
        for name in filter(MAKES_SCRIPT, dir(owner)):
            observe_one(owner, name, note_script)
    for kind in (torch._C.ScriptFunction, torch._C.ScriptMethod):
        observe_one(kind, "__call__", refuse_script)
    for module in (_thread, threading):
        for name in filter(STARTS_THREAD, dir(module)):
            setattr(module, name, starting(getattr(module, name)))
    sys.addaudithook(audit)


def observe_one(owner: Any, name: str, told: Callable[[Guard], None]) -> None:
    """Put a function in the place of `owner.name` that calls `told` first."""
    call = getattr(owner, name)

    @functools.wraps(call)
    def observing(*args: object, **kwargs: object) -> object:
        if Guard.current is not None and Guard.current.watching:
            told(Guard.current)
        return call(*args, **kwargs)

    setattr(owner, name, observing)


def note_script(guard: Guard) -> None:
    if not guard.imports(_getframe(2)):
        guard.note("TorchScript")


def refuse_script(guard: Guard) -> None:
    if guard.active:
        guard.refuse("a function in TorchScript", HIDES)


def starting(start: Callable) -> Callable:
    """Return a function that starts a thread as `start` does, with the profile function in it."""

    @functools.wraps(start)
    def observing(function: Callable, *more: object, **settings: object) -> object:
        guard = Guard.current
        if guard is None or not guard.watching:
            return start(function, *more, **settings)
        of_library = by_library(guard)

        def run(*args: object, **kwargs: object) -> None:
            if of_library:
                guard.of_libraries.add(_thread.get_ident())
            if not guard.active:
                function(*args, **kwargs)
                return
            setprofile(guard.profile)
            nodes = guard.nodes()
            function(*args, **kwargs)
            guard.refuse_nodes(nodes)

        OWN.add(run.__code__)
        return start(run, *more, **settings)

    return observing


def audit(event: str, arguments: tuple) -> None:
    guard = Guard.current
    if guard is None:
        return
    if event.startswith("ctypes."):
        if guard.active or not guard.shared:
            refuse_ctypes(guard)
    elif not guard.watching:
        return
    elif event in COPIES_CODE and not by_library(guard):
        guard.note("a copy of a code object")
    elif event in NAMES_CODE:
        file = arguments[NAMES_CODE[event]]
        if isinstance(file, str) and file.startswith(LIBRARY):
            guard.forged |= not by_library(guard)
    elif event in UNSEEN:
        guard.note("a debugger (sys.settrace)" if event == "sys.settrace" else event)
    elif event == "sys.setprofile" and guard.active and _getframe(1).f_code not in OWN:
        # Not refused at once: Python itself does it where an exception, of an endless
        # recursion or of the time limit, ends the profile function.
        guard.lost = True


def refuse_ctypes(guard: Guard) -> None:
    frame: FrameType | None = _getframe(2)
    if guard.imports(frame):
        return
    while frame is not None and frame.f_code.co_filename.startswith(CTYPES):
        frame = frame.f_back
    if guard.forged or frame is None or not path_of(frame.f_code):
        # PyTorch and the package may use it.
        guard.refuse("ctypes", "it can change the process that checks it")


def by_library(guard: Guard) -> bool:
    """Return whether an installed package caused the audit event, not student code."""
    frame: FrameType | None = _getframe(2)
    if guard.imports(frame):
        return True
    while frame is not None and frame.f_code.co_filename.startswith(STDLIB):
        if frame.f_code.co_filename.startswith(SITE_PACKAGES):
            break
        frame = frame.f_back
    return frame is None or frame.f_code.co_filename.startswith(SITE_PACKAGES)


def path_of(code: CodeType) -> str:
    """Return the path of a function of one of the PACKAGES, such as "torch.optim.adam.adam"."""
    if code.co_filename.startswith("<eval_with_key>"):
        return GENERATED
    for folder, package in PACKAGES.items():
        if code.co_filename.startswith((f"{folder}/", f"{folder}\\")):
            inside = code.co_filename[len(folder) :].removesuffix(".py").removesuffix("__init__")
            module = SEPARATORS.sub(".", inside).strip(".")
            name = getattr(code, "co_qualname", code.co_name)  # Python 3.10 has no co_qualname
            return ".".join(part for part in (package, module, name) if part)
    return ""
