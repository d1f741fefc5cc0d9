"""The course on disk: where it is, which labs it has, and their tasks and points.

Nothing here imports torch or runs a lab: a task is read from the comment above its block,
`# Task 5.2 (3 points). Hint: ...`.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

from dlcourse.errors import UnknownNameError, UsageError

__all__ = [
    "Lab",
    "Task",
    "as_json",
    "as_text",
    "enclosing_names",
    "find_course",
    "find_lab",
    "labs",
    "load_script",
]

TASK = re.compile(
    r"^\s*# Task (?P<id>\d+\.\d+)(?: \((?P<points>\d+(?:\.\d+)?) points?\))?[.,:]?\s*(?P<rest>.*)$"
)


@dataclass(frozen=True)
class Task:
    """A numbered task: `id` "5.2", its `points`, the function it asks for, a hint ("" for none)."""

    id: str
    points: float
    name: str
    hint: str


@dataclass(frozen=True)
class Lab:
    """One lab of the course at `root`; its files need not all be there."""

    name: str
    root: Path

    @property
    def short(self) -> str:
        return self.name.partition("_")[0]

    @property
    def student(self) -> Path:
        return self.root / "labs" / f"{self.name}.py"

    @property
    def solution(self) -> Path:
        return self.root / "solutions" / f"{self.name}.py"

    @property
    def tests(self) -> Path:
        return self.root / "tests" / "labs" / f"test_{self.name}.py"

    @property
    def title(self) -> str:
        """What the first line of the lab's docstring says after "Lab 05:", else its name."""
        try:
            doc = ast.get_docstring(ast.parse(self._source()))
        except SyntaxError:
            doc = None
        return re.sub(r"^Lab \d+: ", "", (doc or self.name).splitlines()[0])

    @property
    def tasks(self) -> list[Task]:
        return read_tasks(self._source())

    @property
    def functions(self) -> dict[str, list[str]]:
        """By task id, the functions that hold it: "conv2d", "LeNet5.__init__"."""
        return read_functions(self._source())

    def unwritten(self) -> set[str]:
        """Ids of the tasks whose stub still stands in the student's file."""
        if not self.student.is_file():
            return {task.id for task in self.tasks}
        text = self.student.read_text(encoding="utf-8", errors="replace")
        return set(re.findall(r'NotImplementedError\("task (\d+\.\d+): ', text))

    def _source(self) -> str:
        path = self.solution if self.solution.is_file() else self.student
        return path.read_text(encoding="utf-8", errors="replace")


def enclosing_names(source: str) -> dict[int, str]:
    """The qualified name of the innermost function or class at each line (from 1) of `source`."""
    names: dict[int, str] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{prefix}.{child.name}" if prefix else child.name
                names.update(dict.fromkeys(range(child.lineno, child.end_lineno + 1), inner))
            visit(child, inner)

    visit(ast.parse(source), "")
    return names


def read_tasks(source: str) -> list[Task]:
    """The tasks that the comments of `source` announce, in order; without names if it is broken."""
    try:
        names = enclosing_names(source)
    except SyntaxError:
        names = {}
    lines = source.splitlines()
    tasks = []
    for number, line in enumerate(lines, start=1):
        match = TASK.match(line)
        if not match or match["points"] is None:
            continue
        words = [match["rest"]]
        for follower in lines[number:]:
            comment = follower.strip()
            if not comment.startswith("#") or comment.startswith(("# BEGIN", "# Task", "# %%")):
                break
            words.append(comment.lstrip("# "))
        hint = " ".join(words).strip().removeprefix("Hint:").strip()
        name = names.get(number, "").removesuffix(".__init__")
        tasks.append(Task(match["id"], float(match["points"]), name, hint))
    return tasks


def read_functions(source: str) -> dict[str, list[str]]:
    """By task id, the functions in which its comments stand, in order; none if it is broken."""
    try:
        names = enclosing_names(source)
    except SyntaxError:
        return {}
    found: dict[str, list[str]] = {}
    for number, line in enumerate(source.splitlines(), start=1):
        if (match := TASK.match(line)) and number in names:
            found.setdefault(match["id"], []).append(names[number])
    return found


def find_course(start: Path | None = None) -> Path:
    """The course's folder: the nearest from `start` (the current folder) upward, else the one
    that the package lies in. Raises UsageError where there is none."""
    start = (start or Path.cwd()).resolve()
    for folder in [start, *start.parents, Path(__file__).resolve().parent.parent]:
        if (folder / "tests" / "labs").is_dir() and any(
            any((folder / kind).glob("lab*.py")) for kind in ("labs", "solutions")
        ):
            return folder
    raise UsageError(f"no course found from {start} upward; change to the folder that holds labs/")


def labs(root: Path | None = None) -> list[Lab]:
    """Every lab of the course at `root` (default: found from the current folder), in order."""
    root = find_course() if root is None else root
    names = {path.stem for kind in ("labs", "solutions") for path in root.glob(f"{kind}/lab*.py")}
    return [Lab(name, root) for name in sorted(names)]


def find_lab(name: str, root: Path | None = None) -> Lab:
    """The lab called `name`: "5", "lab05" or "lab05_convnets".

    Raises UnknownNameError, with the nearest name, for any other.
    """
    there = labs(root)
    wanted = f"lab{int(name):02d}" if name.isascii() and name.isdigit() else name
    for lab in there:
        if wanted in (lab.name, lab.short):
            return lab
    raise UnknownNameError("lab", name, [lab.short for lab in there])


def as_text(labs: Iterable[Lab]) -> str:
    """The course at a glance: each lab's title and points, each task and whether it is written."""
    lines = []
    for lab in labs:
        tasks, unwritten = lab.tasks, lab.unwritten()
        total = sum(task.points for task in tasks)
        lines.append(f"{lab.short}  {lab.title}  ({total:g} points)")
        for task in tasks:
            state = "to do" if task.id in unwritten else "written"
            lines.append(f"    {task.id:<5} {task.name:<28} {task.points:>4g}  {state}")
    return "\n".join(lines)


def as_json(labs: Iterable[Lab]) -> str:
    """What `as_text` says, as a JSON list of labs."""
    found = []
    for lab in labs:
        unwritten = lab.unwritten()
        tasks = [{**asdict(task), "written": task.id not in unwritten} for task in lab.tasks]
        found.append({"name": lab.name, "title": lab.title, "tasks": tasks})
    return json.dumps(found, indent=2)


def load_script(path: Path) -> ModuleType:
    """The script at `path`, imported afresh under its file's name."""
    if not path.is_file():
        raise UsageError(f"no file {path}; `dlcourse labs` lists what there is")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickles look their module up by name.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
