"""Settings of the whole process that student code may change, and how they are put back.

In `dlcourse check` a student's file runs in the process of the tests. Each side keeps its own
settings there, as it does in `dlcourse grade`, where they are two processes: a default dtype, a
seed or a replaced function of torch that a file sets holds for the file, never for the tests.
"""

from __future__ import annotations

import builtins
import contextlib
import json
import locale
import math
import operator
import os
import random
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torch.testing._comparison

__all__ = ["Separation", "fixed_settings", "seed_everything"]

MISSING = object()
# Names that student code may replace in `builtins` while the code below puts them back.
all, getattr, len, map, setattr, vars = (
    builtins.all, builtins.getattr, builtins.len, builtins.map, builtins.setattr, builtins.vars,
)  # fmt: skip

OWNERS: list[Any] = [
    builtins, json, math, operator, random, warnings, np, torch, torch.Tensor, torch.autograd,
    torch.linalg, torch.nn, torch.nn.Module, F, torch.nn.init, torch.testing,
    torch.testing._comparison,
]  # fmt: skip

Settings = dict[str, Any]


def default_device() -> torch.device | None:
    context = getattr(getattr(torch, "_GLOBAL_DEVICE_CONTEXT", None), "device_context", None)
    return None if context is None else context.device


def deterministic() -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


def folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def set_filters(filters: list) -> None:
    # `resetwarnings` also tells the module that what it remembers is out of date.
    warnings.resetwarnings()
    warnings.filters[:] = filters  # type: ignore[index]


def set_environment(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def set_streams(streams: tuple) -> None:
    sys.stdin, sys.stderr, sys.argv = streams


# How each setting is read, and how it is set to what was read.
SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "default device": (default_device, torch.set_default_device),
    "autocast": (
        lambda: torch.is_autocast_enabled("cpu"),
        lambda enabled: torch.set_autocast_enabled("cpu", enabled),
    ),
    "print options": (
        torch._tensor_str.get_printoptions,
        lambda options: torch.set_printoptions(**options),
    ),
    "deterministic": (
        deterministic,
        lambda both: torch.use_deterministic_algorithms(both[0], warn_only=both[1]),
    ),
    "threads": (torch.get_num_threads, torch.set_num_threads),
    "matmul precision": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "anomaly": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "numpy errors": (np.geterr, lambda errors: np.seterr(**errors)),
    "numpy print options": (
        np.get_printoptions,
        lambda options: np.set_printoptions(**options),
    ),
    "warnings": (lambda: list(warnings.filters), set_filters),
    "locale": (
        lambda: locale.setlocale(locale.LC_ALL),
        lambda name: locale.setlocale(locale.LC_ALL, name),
    ),
    "environment": (lambda: dict(os.environ), set_environment),
    "import path": (lambda: list(sys.path), lambda path: sys.path.__setitem__(slice(None), path)),
    "folder": (folder, os.chdir),
    "recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "streams": (lambda: (sys.stdin, sys.stderr, sys.argv), set_streams),
}
# They are set without being compared: comparing costs more, or calls what is compared.
RANDOM: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "torch's generator": (torch.get_rng_state, torch.set_rng_state),
    "random": (random.getstate, random.setstate),
    "numpy's generator": (np.random.get_state, np.random.set_state),
}
FIXED: Settings = {
    "grad mode": True,
    "default dtype": torch.float32,
    "default device": None,
    "autocast": False,
    "deterministic": (False, False),
    "threads": 1,
    "matmul precision": "highest",
    "anomaly": False,
}


def read_settings() -> Settings:
    return {name: get() for name, (get, _) in (SETTINGS | RANDOM).items()}


def apply_settings(wanted: Settings, current: Settings) -> None:
    """Set what differs between the two. What the system refuses stays as it is."""
    for name, value in wanted.items():
        with contextlib.suppress(Exception):
            if name in RANDOM:
                RANDOM[name][1](value)
            elif current[name] != value:
                SETTINGS[name][1](value)


def seed_everything(seed: int = 0) -> None:
    """Seed the generators of torch, numpy and Python."""
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


@contextlib.contextmanager
def fixed_settings() -> Iterator[None]:
    """Run tests under the same settings everywhere; those of before come back at the end."""
    before = read_settings()
    apply_settings(FIXED, before)
    try:
        yield
    finally:
        apply_settings(before, read_settings())


class Namespace:
    """The names of a module or a class, and what student code has replaced in it."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.names: Settings = {}
        self.values: list[Any] = []

    def changed(self) -> bool:
        now = vars(self.owner)
        return len(now) != len(self.values) or not all(map(operator.is_, now.values(), self.values))

    def remember(self) -> None:
        if self.changed():
            self.names = dict(vars(self.owner))
            self.values = list(self.names.values())

    def take_back(self) -> Settings:
        """Undo what was replaced, added or deleted; return it, for `apply_patches`."""
        if not self.changed():
            return {}
        now = dict(vars(self.owner))
        patches = {
            name: value
            for name, value in now.items()
            if self.names.get(name, MISSING) is not value
            # An import adds its module to the package: that is no patch.
            and not (name not in self.names and type(value) is types.ModuleType)
        }
        patches |= {name: MISSING for name in self.names if name not in now}
        apply_patches(self.owner, {name: self.names.get(name, MISSING) for name in patches})
        self.remember()
        return patches


def apply_patches(owner: Any, patches: Settings) -> None:
    for name, value in patches.items():
        if value is MISSING:
            with contextlib.suppress(AttributeError):
                delattr(owner, name)
        else:
            setattr(owner, name, value)


class Separation:
    """Keeps the settings of the tests and those of student code apart in one process.

    argv: what student code finds as `sys.argv`.
    """

    def __init__(self, argv: list[str]) -> None:
        self.namespaces = [Namespace(owner) for owner in OWNERS]
        self.patches: list[Settings] = [{} for _ in OWNERS]
        self.theirs: Settings = {**FIXED, "streams": (sys.stdin, sys.stderr, argv)}
        self.ours: Settings = {}

    def enter(self) -> None:
        """Give the process the settings of student code."""
        self.ours = read_settings()
        apply_settings(self.theirs, self.ours)
        for namespace, patches in zip(self.namespaces, self.patches, strict=True):
            namespace.remember()
            if patches:
                apply_patches(namespace.owner, patches)

    def leave(self) -> None:
        """Give the process the settings of the tests."""
        self.patches = [namespace.take_back() for namespace in self.namespaces]
        self.theirs = read_settings()
        apply_settings(self.ours, self.theirs)

    @contextlib.contextmanager
    def student(self) -> Iterator[None]:
        """Within, student code runs."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    @contextlib.contextmanager
    def tests(self) -> Iterator[None]:
        """Within `student`, a function of the test runs."""
        self.leave()
        try:
            yield
        finally:
            self.enter()
