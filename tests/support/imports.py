"""Which module of the package imports which: read from the source, without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def package_sources(root: Path = ROOT) -> dict[str, str]:
    """The source of every module of the package, by its name ("dlcourse.train.fit")."""
    found = {}
    for path in sorted((root / "dlcourse").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path.read_text(encoding="utf-8")
    return found


def imports(name: str, source: str, modules: Mapping[str, str]) -> set[str]:
    """The modules that the module `name` imports: at the top, in functions, for types only.

    `from dlcourse import data` imports dlcourse.data, `from dlcourse.errors import UsageError`
    imports dlcourse.errors. Packages other than this one count by their first name.
    """
    is_package = any(other.startswith(f"{name}.") for other in modules)
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").split(".") if node.module else []
            if node.level:
                parts = name.split(".")
                base = parts[: len(parts) - node.level + is_package] + base
            start = ".".join(base)
            for alias in node.names:
                full = f"{start}.{alias.name}"
                found.add(full if full in modules else start)
    return {module if module in modules else module.partition(".")[0] for module in found} - {name}


def import_graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    return {name: imports(name, source, sources) for name, source in sources.items()}


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other in a circle (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(name: str) -> Iterator[list[str]]:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph[name] & graph.keys()):
            if other not in index:
                yield from visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            place = stack.index(name)
            group, stack[place:] = stack[place:], []
            if len(group) > 1:
                yield sorted(group)

    return [group for name in graph if name not in index for group in visit(name)]


def used_names(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """The names of each module that other modules use: `from a import name`, or `a.name`."""
    used: dict[str, set[str]] = {name: set() for name in sources}
    for name, source in sources.items():
        tree, bound = ast.parse(source), {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and not node.level and node.module in sources:
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    if full in sources:
                        bound[alias.asname or alias.name] = full
                    elif node.module != name:
                        used[node.module].add(alias.name)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = bound.get(node.value.id, name)
                if module != name and f"{module}.{node.attr}" not in sources:
                    used[module].add(node.attr)
    return used
