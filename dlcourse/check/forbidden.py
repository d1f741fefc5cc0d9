"""Find where a submission uses a function of torch's that the task asks the student to write.

The search reads the submission's syntax tree before any of its code runs. It starts at the task's
functions. It follows names that imports and plain assignments bind (also `getattr` with a constant
name), the functions, classes and variables of the file that the code refers to, and the methods and
attributes of its own class. It cannot see a name that exists only while the code runs:
`getattr(F, "con" + "v2d")`, `exec`, `vars(F)`, `globals()`.
"""

from __future__ import annotations

import ast
import builtins
import fnmatch
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import torch

__all__ = ["violations"]

PACKAGES = ("torch", "torchvision")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
# Whatever has local names.
Local = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | Comprehension
Assignment = ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr
LOCAL = ""  # the path of a local name

# The path that each name stands for, such as "torch.nn.functional", or LOCAL.
Names = dict[str, str]


def violations(
    source: bytes, rules: dict[str, tuple[Sequence[str], Sequence[str]]]
) -> dict[str, tuple[str, int]]:
    """Return the first forbidden use of each task: a message for the student, and the line.

    rules: for each task, the functions that belong to it ("conv2d", "LeNet5.forward") and the
    names that it forbids. A name with a dot is a full path in any package; a name without a dot is
    the last part of a path in torch or torchvision. Both may contain `*`.

    Raises whatever Python's parser raises.
    """
    file = Scope(ast.parse(source).body, {})
    found = {}
    for task, (functions, forbidden) in rules.items():
        for function in functions:
            use = next(Search(file, forbidden).uses(function), None)
            if use and task not in found:
                path, line = use
                said = f"{function.removesuffix('.__init__')} uses {path}"
                text = f"task {task}: {said}, which this task asks you to write yourself"
                found[task] = text, line
    return found


class Scope:
    """The names that the statements of a file or a class bind.

    parts: the statements that define or change each name. names: the paths of imported names.
    stars: the modules of the star imports.
    """

    def __init__(self, body: Iterable[ast.stmt], names: Names) -> None:
        self.parts: dict[str, list[ast.AST]] = {}
        self.names = dict(names)
        self.stars: list[str] = []
        self.add(body, certain=True)

    def add(self, body: Iterable[ast.stmt], *, certain: bool) -> None:
        """Add `body`; if it is `certain` to run, its names replace earlier ones."""
        for statement in body:
            definition = isinstance(statement, Definition)
            paths = {} if definition else paths_in(statement, self.names)
            for name in bound_by(statement):
                if certain:
                    self.parts.pop(name, None)
                    self.names.pop(name, None)
                self.parts.setdefault(name, []).append(statement)
            for name in changed_by(statement):
                self.parts.setdefault(name, []).append(statement)
            if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
                self.stars.append(statement.module or "")
            self.names.update(paths)
            if not definition:
                self.add(blocks(statement), certain=False)


class Search:
    """A walk from a task's function through everything that it refers to."""

    def __init__(self, file: Scope, forbidden: Sequence[str]) -> None:
        self.file, self.forbidden = file, forbidden
        self.todo: deque[tuple[ast.AST, Owner | None]] = deque()
        self.seen: set[int] = set()

    def uses(self, function: str) -> Iterator[tuple[str, int]]:
        """Yield path and line of each forbidden use that `function` ("Class.method") reaches."""
        name, _, method = function.partition(".")
        for part in self.file.parts.get(name, []):
            if method and isinstance(part, ast.ClassDef):
                owner = Owner(part, self.file.names)
                self.follow([*part.bases, *part.decorator_list])
                self.follow(owner.scope.parts.get(method, []), owner)
            else:
                self.follow([part])
        while self.todo:
            part, its_owner = self.todo.popleft()
            yield from self.within(part, self.file.names, its_owner)

    def follow(self, parts: Iterable[ast.AST], owner: Owner | None = None) -> None:
        for part in parts:
            if id(part) not in self.seen:
                self.seen.add(id(part))
                self.todo.append((part, owner))

    def within(self, node: ast.AST, names: Names, owner: Owner | None) -> Iterator[tuple[str, int]]:
        if isinstance(node, Local):
            names = names | dict.fromkeys(local_names(node), LOCAL)
            names |= paths_in(node, names)
        if isinstance(node, ast.expr):
            path = self.path_of(node, names)
            if path and self.is_forbidden(path):
                yield path, node.lineno
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if owner is not None and node.id == owner.name:
                self.follow(owner.parts("__new__", "__init__"), owner)
            elif names.get(node.id) != LOCAL:
                self.follow(self.file.parts.get(node.id, []))
        elif isinstance(node, ast.Attribute) and owner is not None:
            base = node.value.id if isinstance(node.value, ast.Name) else ""
            if base in owner.called:
                self.follow(owner.parts(node.attr), owner)
        for child in ast.iter_child_nodes(node):
            yield from self.within(child, names, owner)

    def path_of(self, node: ast.expr, names: Names) -> str | None:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return dotted(node, names) or self.method_of_tensor(node.func, names)
        if isinstance(node, ast.Name) and not (
            node.id in names or node.id in self.file.parts or hasattr(builtins, node.id)
        ):
            # Nothing in the file binds this name, but a star import may.
            return next((f"{star}.{node.id}" for star in self.file.stars), None)
        return dotted(node, names)

    def method_of_tensor(self, called: ast.Attribute, names: Names) -> str | None:
        """Return the path of a tensor's method in `x.softmax(1)`.

        None if x is not a tensor: if it is a module, a class of the file, `self` or `cls`.
        """
        base = called.value.id if isinstance(called.value, ast.Name) else ""
        parts = self.file.parts.get(base, [])
        if base in ("self", "cls") or any(isinstance(part, ast.ClassDef) for part in parts):
            return None
        if dotted(called.value, names) or not hasattr(torch.Tensor, called.attr):
            return None
        return f"torch.Tensor.{called.attr}"

    def is_forbidden(self, path: str) -> bool:
        by_torch = path.partition(".")[0] in PACKAGES
        last = path.rpartition(".")[2]
        return any(
            fnmatch.fnmatchcase(path, name)
            if "." in name
            else by_torch and fnmatch.fnmatchcase(last, name)
            for name in self.forbidden
        )


class Owner:
    """The class of a method, with its other methods and the attributes that it sets."""

    def __init__(self, node: ast.ClassDef, names: Names) -> None:
        self.name = node.name
        self.scope = Scope(node.body, names)
        self.called = {node.name, "self", "cls"}
        for part in ast.walk(node):
            if isinstance(part, Assignment) and part.value is not None:
                for place in places_of(part):
                    if isinstance(place, ast.Attribute):
                        self.scope.parts.setdefault(place.attr, []).append(part.value)

    def parts(self, *names: str) -> list[ast.AST]:
        return [part for name in names for part in self.scope.parts.get(name, [])]


def dotted(node: ast.expr, names: Names) -> str | None:
    """Return the path that an expression stands for, or None if the text does not tell."""
    if isinstance(node, ast.Name):
        return names.get(node.id) or None
    if isinstance(node, ast.Attribute):
        base, last = node.value, node.attr
    elif isinstance(node, ast.NamedExpr):
        return dotted(node.value, names)
    elif isinstance(node, ast.Call):
        words = [word.value for word in node.args if isinstance(word, ast.Constant)]
        called = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if called in ("import_module", "__import__") and words and isinstance(words[0], str):
            return words[0] if called == "import_module" else words[0].partition(".")[0]
        if called != "getattr" or not words or not isinstance(words[0], str):
            return None
        base, last = node.args[0], words[0]
    else:
        return None
    path = dotted(base, names)
    return f"{path}.{last}" if path else None


def paths_in(node: ast.AST, names: Names) -> Names:
    """Return the paths of the names that imports and plain assignments in `node` bind."""
    found: Names = {}
    for part in inside(node):
        if isinstance(part, ast.Import):
            for alias in part.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                found[alias.asname or whole] = whole
        elif isinstance(part, ast.ImportFrom) and part.module and not part.level:
            for alias in part.names:
                found[alias.asname or alias.name] = f"{part.module}.{alias.name}"
        elif isinstance(part, Assignment) and part.value is not None:
            path = dotted(part.value, names | found)
            for target in targets_of(part):
                if path and isinstance(target, ast.Name):
                    found[target.id] = path
    return found


def local_names(node: Local) -> set[str]:
    """Return the local names of a function, lambda or comprehension."""
    if isinstance(node, Comprehension):
        places = [place for loop in node.generators for place in ast.walk(loop.target)]
        return {place.id for place in places if isinstance(place, ast.Name)}
    arguments = node.args
    own = {
        argument.arg
        for argument in (
            *arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs,
            arguments.vararg, arguments.kwarg,
        )
        if argument is not None
    }  # fmt: skip
    elsewhere = set()
    for part in inside(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            own.add(part.id)
        elif isinstance(part, Definition) and part is not node:
            own.add(part.name)
        elif isinstance(part, ast.Global | ast.Nonlocal):
            elsewhere.update(part.names)
    return own - elsewhere


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """Yield `node` and its descendants, but nothing inside an inner function, class or
    comprehension."""
    todo = deque([node])
    while todo:
        part = todo.popleft()
        yield part
        if part is node or not isinstance(part, Local | ast.ClassDef):
            todo.extend(ast.iter_child_nodes(part))


def blocks(statement: ast.stmt) -> Iterator[ast.stmt]:
    """Yield the statements directly inside an `if`, a loop, a `with`, a `match` or a `try`."""
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from child.body


def bound_by(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds, without those of its nested statements."""
    if isinstance(statement, Definition):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    return {
        part.id
        for child in ast.iter_child_nodes(statement)
        if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case)
        for part in inside(child)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }


def changed_by(statement: ast.stmt) -> set[str]:
    """Return the names whose attributes or items a statement sets, as `ops.conv = ...` does."""
    if not isinstance(statement, Assignment):
        return set()
    return {
        place.value.id
        for place in places_of(statement)
        if isinstance(place, ast.Attribute | ast.Subscript) and isinstance(place.value, ast.Name)
    }


def places_of(assignment: Assignment) -> list[ast.AST]:
    """Return every expression on the left of an assignment, at any depth."""
    return [place for target in targets_of(assignment) for place in ast.walk(target)]


def targets_of(assignment: Assignment) -> list[ast.expr]:
    return assignment.targets if isinstance(assignment, ast.Assign) else [assignment.target]
