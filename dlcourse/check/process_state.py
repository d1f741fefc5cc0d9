"""Keep the process-wide settings of a student's code and those of the tests apart.

`dlcourse check` runs a student's file in the process of the tests. Each side has its own settings
there, as it has in `dlcourse grade`, where they are two processes: a default dtype, a seed or a
replaced torch function that the file sets never reaches the tests.
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

# Bound here, because `leave` runs while student code may have replaced them in `builtins`.
from builtins import all, delattr, len, map, setattr, type, vars, zip  # noqa: UP029 (see above)
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torch.testing._comparison
from numpy.random import mtrand

__all__ = ["Separation", "fixed_settings", "read_settings", "seed_everything"]

MISSING = object()
# The modules and classes that tests use and in which student code may replace something.
OWNERS: list[Any] = [
    builtins, json, math, operator, random, warnings, np, torch, torch.Tensor, torch.autograd,
    torch.linalg, torch.nn, torch.nn.Module, F, torch.nn.init, torch.testing,
    torch.testing._comparison,
]  # fmt: skip

Settings = dict[str, Any]


def default_device() -> torch.device | None:
    context = getattr(getattr(torch, "_GLOBAL_DEVICE_CONTEXT", None), "device_context", None)
    return None if context is None else context.device


def folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def set_filters(filters: list) -> None:
    # `resetwarnings` also makes the module forget what it has cached.
    warnings.resetwarnings()
    warnings.filters[:] = filters  # type: ignore[index]


def set_environment(environment: dict[str, str]) -> None:
    before = dict(os.environ)
    for name in before.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(
        {name: value for name, value in environment.items() if before.get(name) != value}
    )


def set_streams(streams: tuple) -> None:
    sys.stdin, sys.stderr, sys.argv = streams


def torch_state() -> bytes:
    return torch.default_generator.get_state().numpy().tobytes()


def set_torch_state(state: bytes) -> None:
    torch.default_generator.set_state(torch.from_numpy(np.frombuffer(state, np.uint8).copy()))


# How to read each setting, and how to set it. Values can be compared.
SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "default device": (default_device, torch.set_default_device),
    "autocast": (
        lambda: torch.is_autocast_enabled("cpu"),
        lambda enabled: torch.set_autocast_enabled("cpu", enabled),
    ),
    "print options": (
        lambda: vars(torch._tensor_str.PRINT_OPTS).copy(),
        lambda options: torch.set_printoptions(**options),
    ),
    "deterministic": (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "threads": (torch.get_num_threads, torch.set_num_threads),
    "matmul precision": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "anomaly": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "numpy errors": (np.geterr, lambda errors: np.seterr(**errors)),
    "numpy print options": (np.get_printoptions, lambda options: np.set_printoptions(**options)),
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
    "torch's generator": (torch_state, set_torch_state),
    # Each side has its own object, because to copy its state is slow.
    "numpy's generator": (mtrand.get_bit_generator, mtrand.set_bit_generator),
    "random": (random.getstate, random.setstate),
}
GENERATORS = ("torch's generator", "numpy's generator", "random")
# What tests run under, in `check` and in `grade`.
FIXED: Settings = {
    "grad mode": True,
    "default dtype": torch.float32,
    "default device": None,
    "autocast": False,
    "deterministic": 0,
    "threads": 1,
    "matmul precision": "highest",
    "anomaly": False,
}


def read_settings() -> Settings:
    return {name: get() for name, (get, _) in SETTINGS.items()}


def apply_settings(wanted: Settings, current: Settings) -> None:
    """Set the settings that differ. One that the system refuses keeps its value."""
    for name, value in wanted.items():
        if current[name] != value:
            with contextlib.suppress(Exception):
                SETTINGS[name][1](value)


def seed_everything(seed: int = 0) -> None:
    """Seed the generators of torch, numpy and Python."""
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


@contextlib.contextmanager
def fixed_settings() -> Iterator[None]:
    """Use the same settings everywhere while tests run, and restore the earlier ones at the end."""
    before = read_settings()
    apply_settings({**FIXED, "numpy's generator": np.random.MT19937()}, before)
    try:
        yield
    finally:
        apply_settings(before, read_settings())


def replaced_names(owner: Any, before: Settings) -> Settings:
    """Return what student code has set in `owner` since `before`; MISSING for a deleted name."""
    now = vars(owner)
    if len(now) == len(before) and all(map(operator.is_, now.values(), before.values())):
        return {}
    replaced = {
        name: value
        for name, value in now.items()
        if before.get(name, MISSING) is not value
        # An import adds its module to the package, which replaces nothing.
        and not (name not in before and type(value) is types.ModuleType)
    }
    return replaced | {name: MISSING for name in before if name not in now}


def set_names(owner: Any, values: Settings) -> None:
    for name, value in values.items():
        if value is not MISSING:
            setattr(owner, name, value)
        elif name in vars(owner):
            delattr(owner, name)


class Separation:
    """Switches one process between the settings of the tests and those of student code.

    argv: the `sys.argv` of student code.
    """

    def __init__(self, argv: list[str]) -> None:
        # What student code has changed, and so keeps from one block to the next.
        self.theirs: Settings = {
            **FIXED,
            "streams": (sys.stdin, sys.stderr, argv),
            "numpy's generator": np.random.MT19937(),
        }
        self.replaced: list[Settings] = [{} for _ in OWNERS]

    def enter(self) -> None:
        """Give the process the settings of student code."""
        self.ours = read_settings()
        apply_settings(self.theirs, self.ours)
        # The copy of a mapping proxy by `dict` is slow, its own is not.
        self.names = [vars(owner).copy() for owner in OWNERS]
        for owner, replaced in zip(OWNERS, self.replaced, strict=True):
            set_names(owner, replaced)

    def leave(self) -> None:
        """Give the process the settings of the tests."""
        self.replaced = [*map(replaced_names, OWNERS, self.names)]
        for owner, replaced, names in zip(OWNERS, self.replaced, self.names, strict=True):
            set_names(owner, {name: names.get(name, MISSING) for name in replaced})
        now = read_settings()
        apply_settings(self.ours, now)
        given = {**self.ours, **self.theirs}
        self.theirs |= {
            name: value
            for name, value in now.items()
            # Each side draws from its own generators, even while they are in the same state.
            if name in GENERATORS or value != given[name]
        }

    @contextlib.contextmanager
    def student(self) -> Iterator[None]:
        """Within this block, student code runs."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    @contextlib.contextmanager
    def tests(self) -> Iterator[None]:
        """Within this block inside `student`, a function of the tests runs."""
        self.leave()
        try:
            yield
        finally:
            self.enter()
