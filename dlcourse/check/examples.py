"""Run the examples in a task's docstrings against student code.

The text of the examples comes from the lab as it was written or handed out, never from a student's
file. It runs on the side of the tests: only the functions that it calls, and the constants of the
lab that it reads, are the student's.
"""

from __future__ import annotations

import ast
import builtins
import doctest
import math
from dataclasses import dataclass
from typing import Any

import torch

from dlcourse.check.expect import expect
from dlcourse.course import read_functions

__all__ = ["Examples", "read_examples", "run_examples"]

# What an example means by these names; every other name is the student's.
OWN = {"torch": torch, "math": math}
ATOL = 6e-5  # torch prints four digits after the point


@dataclass(frozen=True)
class Examples:
    """The examples of one docstring, in order; they share their variables."""

    examples: tuple[doctest.Example, ...]


def read_examples(source: str) -> dict[str, list[Examples]]:
    """Return the examples in the docstrings of each task of a lab's `source`, by task id.

    A task without examples is left out.
    """
    found: dict[str, list[Examples]] = {}
    docs = docstrings(ast.parse(source))
    for task, functions in read_functions(source).items():
        owners = {
            ".".join(name.split(".")[: i + 1])
            for name in functions
            for i in range(name.count(".") + 1)
        }
        for name in docs:
            if name in owners and (parsed := doctest.DocTestParser().get_examples(docs[name])):
                found.setdefault(task, []).append(Examples(tuple(parsed)))
    return found


def docstrings(tree: ast.AST, prefix: str = "") -> dict[str, str]:
    """The docstrings of all functions and classes, by name: "conv2d", "LeNet5.forward"."""
    found = {}
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = f"{prefix}{node.name}"
            found[name] = ast.get_docstring(node) or ""
            found |= docstrings(node, f"{name}.")
    return found


def run_examples(student: Any, block: Examples) -> None:
    """Run the examples of one docstring; raise WrongAnswerError at the first that gives another
    value."""
    __tracebackhide__ = True
    namespace: dict[str, Any] = dict(OWN)
    since: list[str] = []  # the statements since the last value that was compared
    for example in block.examples:
        tree = ast.parse(example.source)
        for name in foreign_names(tree) - set(namespace):
            namespace[name] = getattr(student, name)
        since.append(shown(tree))
        last = tree.body[-1]
        if not example.want or not isinstance(last, ast.Expr):
            exec(compile(tree, "<example>", "exec"), namespace)
            continue
        exec(compile(ast.Module(tree.body[:-1], []), "<example>", "exec"), namespace)
        got = eval(compile(ast.Expression(last.value), "<example>", "eval"), namespace)
        expected = eval(example.want, {"tensor": torch.tensor, "torch": torch, "inf": math.inf})
        expect(got, expected, rtol=1e-4, atol=ATOL, call="; ".join(since))
        since = []


def shown(tree: ast.Module) -> str:
    """The source of `tree`, without the parentheses that Python puts around `a, b`."""
    last = tree.body[-1]
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Tuple) and len(tree.body) == 1:
        return ", ".join(map(ast.unparse, last.value.elts))
    return ast.unparse(tree)


def foreign_names(tree: ast.AST) -> set[str]:
    """The names that `tree` reads and does not bind, without Python's own."""
    nodes = list(ast.walk(tree))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    return {node.id for node in names} - bound - set(vars(builtins))
