"""Say where the text of a submission uses what a task asks the student to write, before it runs.

This gives the friendly message, with a line number. The search starts at the task's functions and
follows the names in them: imports, assignments, and the functions, classes and variables of the
file. A name may stand for everything that any statement binds it to. What the text does not show,
such as `getattr(F, "con" + "v2d")`, `dlcourse.check.guard` refuses while the code runs.
"""

from __future__ import annotations

import ast
import builtins
import fnmatch
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence

__all__ = ["violations"]

PACKAGES = ("torch", "torchvision")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Assignment = ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr
# The paths that each name may stand for, such as {"torch.nn.functional"}.
Names = defaultdict[str, set[str]]


def violations(
    source: bytes, rules: dict[str, tuple[Sequence[str], Sequence[str]]]
) -> dict[str, tuple[str, int]]:
    """Return the first forbidden use of each task: a message for the student, and the line.

    rules: for each task, the functions that belong to it ("conv2d", "LeNet5.forward") and the names
    that it forbids. Of a method, the whole class is read. A name with a dot is a full path in any
    package; a name without a dot is the last part of a path in torch or torchvision. Both may
    contain `*`.

    Raises whatever Python's parser raises.
    """
    file = File(ast.parse(source))
    found = {}
    for task, (functions, forbidden) in rules.items():
        for function in dict.fromkeys(name.partition(".")[0] for name in functions):
            uses = file.other_bindings(function) or file.uses(function, forbidden)
            if uses and task not in found:
                found[task] = f"task {task}: {uses[0][0]}", uses[0][1]
    return found


class File:
    """The top level of a file: the statements that bind or change each name, and its paths."""

    def __init__(self, tree: ast.Module) -> None:
        self.parts: dict[str, list[ast.stmt]] = defaultdict(list)
        self.names: Names = defaultdict(set)
        self.stars: list[str] = []
        for statement in tree.body:
            for node in at_top(statement):
                for name in bound_by(node) | changed_by(node):
                    part = node if isinstance(node, Definition) else statement
                    self.parts[name].append(part)
                if not isinstance(node, Definition):
                    bind(node, self.names)
                if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                    self.stars.append(node.module or "")

    def other_bindings(self, function: str) -> list[tuple[str, int]]:
        """Return what binds `function` and is no `def` or `class`, with its line."""
        how = f"write {function} as a `def` or `class` of your file"
        said = f"{function} is not defined here; {how}"
        parts = self.parts.get(function, [])
        lines = [part.lineno for part in parts if not isinstance(part, Definition)]
        if not parts and (self.stars or "__getattr__" in self.parts):
            lines = [1]
        if len(lines) < len(parts):
            said = f"this line gives {function} another value than its `def` or `class`; delete it"
        return [(said, line) for line in lines]

    def uses(self, function: str, forbidden: Sequence[str]) -> list[tuple[str, int]]:
        """Return a message and the line of each forbidden use that `function` reaches."""
        found = []
        todo: deque[ast.stmt] = deque(self.parts.get(function, []))
        seen: set[int] = set()
        while todo:
            part = todo.popleft()
            if id(part) in seen:
                continue
            seen.add(id(part))
            nodes = list(ast.walk(part))[1:]
            local = {name for node in nodes for name in bound_by(node)}
            local = local if isinstance(part, Definition) else set()
            names = defaultdict(set, {n: p for n, p in self.names.items() if n not in local})
            for node in nodes:
                bind(node, names)
            for node in nodes:
                for path in sorted(stands_for(node, names) | self.starred(node, local)):
                    if is_forbidden(path, forbidden):
                        said = f"{function} uses {path}, which this task asks you to write yourself"
                        found.append((said, getattr(node, "lineno", 1)))
                if isinstance(node, ast.Name) and node.id not in local:
                    todo.extend(self.parts.get(node.id, []))
        return sorted(found, key=lambda use: use[1])

    def starred(self, node: ast.AST, local: set[str]) -> set[str]:
        """Return the paths of a name that only a star import can bind."""
        if not isinstance(node, ast.Name) or node.id in {*local, *self.names, *self.parts}:
            return set()
        return set() if hasattr(builtins, node.id) else {f"{s}.{node.id}" for s in self.stars}


def is_forbidden(path: str, forbidden: Sequence[str]) -> bool:
    by_torch = path.partition(".")[0] in PACKAGES
    last = path.rpartition(".")[2]
    return any(
        fnmatch.fnmatchcase(path, name)
        if "." in name
        else by_torch and fnmatch.fnmatchcase(last, name)
        for name in forbidden
    )


def stands_for(node: ast.AST | None, names: Names) -> set[str]:
    """Return every path that an expression may stand for, as far as its text tells."""
    if isinstance(node, ast.Name):
        return set(names.get(node.id, ()))
    if isinstance(node, ast.Attribute):
        return {f"{path}.{node.attr}" for path in stands_for(node.value, names)}
    if isinstance(node, ast.Constant):
        # A module by its name, as in sys.modules["torch"] or import_module("torch").
        named = isinstance(node.value, str) and node.value.partition(".")[0] in PACKAGES
        return {str(node.value)} if named else set()
    if isinstance(node, ast.Call):
        called = getattr(node.func, "id", getattr(node.func, "attr", ""))
        of = stands_for(node.args[0], names) if node.args else set()
        words = [word.value for word in node.args[1:2] if isinstance(word, ast.Constant)]
        if called == "getattr" and words:
            return {f"{path}.{words[0]!s}" for path in of}
        return of if called in ("import_module", "__import__", "vars") else set()
    parts = ast.iter_child_nodes(node) if isinstance(node, ast.expr) else ()
    found = {path for part in parts for path in stands_for(part, names)}
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        # vars(F)["conv2d"] or F.__dict__["conv2d"]
        key = node.slice.value
        paths = {path.removesuffix(".__dict__") for path in stands_for(node.value, names)}
        found |= {f"{path}.{key}" for path in paths} if isinstance(key, str) else set()
    return found


def bind(node: ast.AST, names: Names) -> None:
    """Add to `names` what the statement or expression `node` alone binds; forget nothing."""
    value: ast.AST | None = None
    if isinstance(node, ast.Import):
        for alias in node.names:
            whole = alias.name if alias.asname else alias.name.partition(".")[0]
            names[alias.asname or whole].add(whole)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for alias in node.names:
            names[alias.asname or alias.name].add(f"{node.module}.{alias.name}")
    elif isinstance(node, Assignment):
        value = node.value
    elif isinstance(node, ast.For | ast.comprehension):
        value = node.iter
    elif isinstance(node, ast.withitem):
        value = node.context_expr
    elif isinstance(node, ast.Match):
        value = node.subject
    paths = stands_for(value, names)
    for name in {name for part in ast.walk(node) for name in bound_by(part)} if paths else ():
        names[name] |= paths


def at_top(node: ast.AST) -> Iterator[ast.AST]:
    """Yield `node` and what it contains, but nothing inside a function or class."""
    yield node
    for child in ast.iter_child_nodes(node) if not isinstance(node, Definition) else ():
        yield from at_top(child)


def bound_by(node: ast.AST) -> set[str]:
    """Return the names that `node` binds by itself."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, Definition | ast.MatchAs | ast.MatchStar | ast.ExceptHandler):
        return {node.name} if node.name else set()
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    return {node.arg} if isinstance(node, ast.arg) else set()


def changed_by(node: ast.AST) -> set[str]:
    """Return the name that `ops.conv = ...`, `ops[0] = ...` or `ops.append(...)` changes."""
    place = node.value if isinstance(node, ast.Expr) else node
    place = place.func if isinstance(place, ast.Call) else place
    if not isinstance(place, ast.Attribute | ast.Subscript) or not isinstance(
        place.value, ast.Name
    ):
        return set()
    stored = not isinstance(place.ctx, ast.Load)
    return {place.value.id} if stored or isinstance(node, ast.Expr) else set()
