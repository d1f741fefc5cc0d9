"""The course on disk: where it is, which labs it has, and their tasks and points.

This is the only file that knows the form of a lab file. It imports no torch. A task is read from
the comment above its block, `# Task 5.2 (3 points). Hint: ... Hint: ...`.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import itertools
import json
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from dlcourse.errors import DlcourseError, UnknownNameError, UsageError

__all__ = [
    "DOUBTS", "LINE_END", "TASK", "Lab", "Lines", "Task", "as_json", "as_text",
    "enclosing_names", "find_course", "find_lab", "is_text", "labs", "lines_of_tasks",
    "load_script", "read_functions", "running", "stubs",
]  # fmt: skip

LINE_END = re.compile(r"\r\n?|\n")  # Python's; str.splitlines has more, also inside of strings
TASK = re.compile(
    r"^\s*# Task (?P<id>\d+\.\d+)(?: \((?P<points>\d+(?:\.\d+)?) points?\))?[.,:]?\s*(?P<rest>.*)$"
)
# What stands in a student version where the solution has an answer.
STUB = re.compile(r"task (?P<id>\d+\.\d+): (?P<name>[\w.]+)")
# What Python and PyTorch raise for values of a wrong type, shape or size.
WRONG = (
    ArithmeticError, AttributeError, LookupError, NameError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
Lines = dict[str, list[str]]  # of each task's functions, and under "" all others
# `Lab.doubts` of the student's script that runs now.
DOUBTS: ContextVar[tuple[list[str], list[str]]] = ContextVar("DOUBTS", default=([], []))
LAB_NUMBER = re.compile(r"(?:lab[ _-]?)?(\d+)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Task:
    """A numbered task of a lab.

    id: the lab's number and the task's, "5.2". points: what the task is worth. name: the function
        or class to write, "" where it is unknown. hints: those of the task's comments, in order;
        each takes one step further.
    """

    id: str
    points: float
    name: str
    hints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lab:
    """A lab of the course in the folder `root`. Some of its files may be missing."""

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
    def quiz(self) -> Path:
        """The packed questions that a student bundle has instead of the solution's."""
        return self.root / "labs" / "quiz" / f"{self.name}.txt"

    @property
    def title(self) -> str:
        """The first line of the lab's docstring, without "Lab 05: "; else the lab's name."""
        try:
            doc = ast.get_docstring(ast.parse(self.source))
        except SyntaxError:
            doc = None
        return re.sub(r"^Lab \d+: ", "", (doc or self.name).splitlines()[0])

    @property
    def tasks(self) -> list[Task]:
        """The tasks that the lab announces, and those that only its tests still know.

        A student who deletes a task's comment together with its stub does not lose the task. The
        tests say what a task is worth.
        """
        tasks = {task.id: task for task in read_tasks(self.source)}
        if self.tests.is_file():
            for task in read_tested_tasks(self.tests.read_text(encoding="utf-8")):
                tasks[task.id] = replace(tasks.get(task.id, task), points=task.points)
        return sorted(tasks.values(), key=lambda task: [int(part) for part in task.id.split(".")])

    @property
    def functions(self) -> dict[str, list[str]]:
        """The functions of each task, by its id: "conv2d", "LeNet5.__init__"."""
        return read_functions(self.source)

    @property
    def figures(self) -> dict[str, str]:
        """The captions of the experiment's figures, by the names of their files without ".png".

        The docstring lists them below "The figures in results/lab05:", as "name: caption"; a line
        that is indented further continues the line above.
        """
        block = re.search(r"^The figures in .*:\n\n((?: {4}.*\n)+)", self.source, re.MULTILINE)
        text = re.sub(r"\n {5,}", " ", block[1]) if block else ""
        return dict(re.findall(r"^ *(\w+): (.+)$", text, re.MULTILINE))

    def unwritten(self) -> set[str]:
        """The ids of the tasks that the student has not written yet; all without a file."""
        if not self.student.is_file():
            return {task.id for task in self.tasks}
        return set(stubs(self.student.read_text(encoding="utf-8", errors="replace")))

    @property
    def handed_out(self) -> Path:
        """A copy of the student version, with all hints, that only the student bundle holds."""
        return self.root / "tests" / "labs" / f"{self.name}.py"

    @property
    def source(self) -> str:
        """The text that defines the lab: its solution, or else the lab as it was handed out."""
        paths = [path for path in (self.solution, self.handed_out) if path.is_file()]
        return [*paths, self.student][0].read_text(encoding="utf-8", errors="replace")

    @property
    def memory(self) -> Path:
        """The file in which `dlcourse check` remembers what is passed, of all labs."""
        return self.root / "results" / "passed.json"

    def checked(self) -> dict[str, bool]:
        """Whether each task passed its last check; only those that nothing has changed since.

        An unreadable memory is an empty one.
        """
        try:
            seen = json.loads(self.memory.read_text(encoding="utf-8"))[self.short]
            now = self.fingerprints()
            return {task: seen[task][0] for task in now if seen.get(task, "")[1:] == [now[task]]}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def fingerprints(self) -> dict[str, str]:
        """A hash of each task's code in the student's file, of what is no task's, and the tests."""
        text = self.student.read_text(encoding="utf-8", errors="replace")
        lines = lines_of_tasks(text, self.functions)
        tests = self.tests.read_text(encoding="utf-8") if self.tests.is_file() else ""
        texts = {task: repr((lines[""], own, tests)) for task, own in lines.items() if task}
        return {task: hashlib.sha256(code.encode()).hexdigest() for task, code in texts.items()}

    def doubts(self) -> tuple[list[str], list[str]]:
        """The written tasks that failed their last check, and those not checked since a change."""
        checked, unwritten = self.checked(), self.unwritten()
        written = [task.id for task in self.tasks if task.id not in unwritten]
        failed = [task for task in written if checked.get(task) is False]
        return failed, [task for task in written if task not in checked]


def stubs(source: str) -> dict[str, str]:
    """Tasks whose stub stands in `source`, not below a `return`, and the name each asks for."""
    pattern = r"""[ \t]*raise NotImplementedError\(["']task (\d+\.\d+): ([\w.]{1,100})["']\)"""
    found: dict[str, str] = {}
    above: dict[int, str] = {}  # by indentation, the statement above; its text may be hostile
    for line in source.split("\n"):
        indent = len(line) - len(line.lstrip())
        if (match := re.match(pattern, line)) and not re.match(r"return\b", above.get(indent, "")):
            found.setdefault(match[1], match[2])
        if line.strip() and line[indent] not in "#)]}":
            above = {depth: text for depth, text in above.items() if depth < indent}
            above[indent] = line.strip()
    return found


def enclosing_names(source: str) -> dict[int, str]:
    """Map each line of `source` (from 1) to the name of its innermost function or class.

    Raises SyntaxError for a source that does not parse.
    """
    names: dict[int, str] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{prefix}.{child.name}" if prefix else child.name
                end = child.end_lineno or child.lineno
                names.update(dict.fromkeys(range(child.lineno, end + 1), inner))
            if not isinstance(child, ast.expr):  # no expression holds a definition
                visit(child, inner)

    visit(ast.parse(source), "")
    return names


def read_tasks(source: str) -> list[Task]:
    """The tasks that the comments of `source` announce, in order.

    A comment can hold several hints, each after "Hint:". Those of "Task 3.3, continued." follow,
    with the function that they belong to. Tasks have no names if `source` does not parse.
    """
    try:
        names = enclosing_names(source)
    except SyntaxError:
        names = {}
    lines = LINE_END.split(source)
    tasks: dict[str, Task] = {}
    for number, line in enumerate(lines, start=1):
        if not (match := TASK.match(line)):
            continue
        words = [match["rest"], *map(bare, itertools.takewhile(is_text, lines[number:]))]
        _, *hints = map(str.strip, " ".join(words).split("Hint:"))
        name = names.get(number, "").removesuffix(".__init__")
        task = tasks.get(match["id"])
        if match["points"] is not None:
            tasks[match["id"]] = Task(match["id"], float(match["points"]), name, tuple(hints))
        elif task is not None:
            own = f"{name.rpartition('.')[2]}: " if name != task.name else ""
            hints = [own + hint for hint in hints]
            tasks[match["id"]] = replace(task, hints=(*task.hints, *hints))
    return list(tasks.values())


def is_text(line: str) -> bool:
    """Whether `line` continues the comment of a task."""
    comment = line.strip()
    return comment.startswith("#") and not comment.startswith(("# BEGIN", "# Task", "# %%"))


def bare(line: str) -> str:
    return line.strip().lstrip("# ")


def read_tested_tasks(tests: str) -> list[Task]:
    """The tasks that the `@points(3, task="5.2")` of a lab's `tests` name, with their points.

    Tests that were handed out lack some; they say in POINTS what each task is worth in all.
    """
    points: dict[str, float] = {}
    for node in ast.walk(ast.parse(tests)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "points" and node.args:
            task = next((word.value for word in node.keywords if word.arg == "task"), None)
            if isinstance(task, ast.Constant):
                points.setdefault(str(task.value), 0.0)
                points[str(task.value)] += ast.literal_eval(node.args[0])
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "POINTS":
            points = ast.literal_eval(node.value)
            break
    return [Task(task, worth, "") for task, worth in points.items()]


def read_functions(source: str) -> dict[str, list[str]]:
    """The functions that hold the comments of each task, in order, by task id.

    The result is empty if `source` does not parse.
    """
    try:
        names = enclosing_names(source)
    except SyntaxError:
        return {}
    found: dict[str, list[str]] = {}
    for number, line in enumerate(LINE_END.split(source), start=1):
        if (match := TASK.match(line)) and number in names:
            found.setdefault(match["id"], []).append(names[number])
    return found


def lines_of_tasks(source: str, functions: dict[str, list[str]]) -> Lines:
    """The lines of each task's `functions` in `source`; {} if it is not Python."""
    owner = {name: task for task, names in functions.items() for name in names}
    found: Lines = {"": [], **{task: [] for task in functions}}
    try:
        names = enclosing_names(source)
    except SyntaxError:
        return {}
    for number, line in enumerate(LINE_END.split(source), start=1):
        name = names.get(number, "")
        # A line of a function inside of a task's function is a line of the task.
        while name and name not in owner:
            name = name.rpartition(".")[0]
        found[owner.get(name, "")].append(line)
    return found


def find_course(start: Path | None = None) -> Path:
    """Find the course's folder: `start` (default: the current folder) or the nearest above it.

    If none of them is one, it is the folder that contains the package. Raises UsageError if that
    is none either.
    """
    start = (start or Path.cwd()).resolve()
    for folder in [start, *start.parents, Path(__file__).resolve().parent.parent]:
        if (folder / "tests" / "labs").is_dir() and any(
            any((folder / kind).glob("lab*.py")) for kind in ("labs", "solutions")
        ):
            return folder
    raise UsageError(f"no course found from {start} upward; go to the folder that contains labs/")


def labs(root: Path | None = None) -> list[Lab]:
    """The labs of the course in `root` (default: see `find_course`), in order."""
    root = find_course() if root is None else root
    names = {path.stem for kind in ("labs", "solutions") for path in root.glob(f"{kind}/lab*.py")}
    return [Lab(name, root) for name in sorted(names)]


def find_lab(name: str, root: Path | None = None) -> Lab:
    """Find the lab called `name`: "5", "lab5", "lab05" or "lab05_convnets".

    Raises UsageError, which lists the labs, for any other name.
    """
    found = labs(root)
    number = LAB_NUMBER.fullmatch(name)
    wanted = f"lab{int(number[1]):02d}" if number else name
    for lab in found:
        if wanted in (lab.name, lab.short):
            return lab
    names = [lab.short for lab in found]
    tests = (root or find_course()) / "tests" / "labs"
    for test in tests.glob(f"test_{wanted}*.py") if number else []:
        name = test.name.removeprefix("test_")
        raise UsageError(f"labs/{name} is missing; put it back from the course as you got it")
    if number:
        raise UsageError(f"there is no {wanted}; choose one of {', '.join(names)}")
    for lab in found:
        if Path(name).stem == lab.name:
            raise UsageError(f"LAB is a lab, not a file: {lab.short} for {name}")
        if name in [task.id for task in lab.tasks]:
            raise UsageError(f"LAB is a lab, not a task: {lab.short} for task {name}")
    raise UnknownNameError("lab", wanted, names)


def as_text(labs: Iterable[Lab]) -> str:
    """The course at a glance: the title and points of each lab, and the state of each task."""
    lines = []
    for lab in labs:
        tasks, unwritten = lab.tasks, lab.unwritten()
        checked = lab.checked()
        total = sum(task.points for task in tasks)
        lines.append(f"{lab.short}  {lab.title}  ({total:g} points)")
        for task in tasks:
            passed = checked.get(task.id)
            state = "not checked" if passed is None else "passed" if passed else "not passed"
            state = "to do" if task.id in unwritten else state
            lines.append(f"    {task.id:<5} {task.name:<28} {task.points:>4g}  {state}")
    return "\n".join(lines)


def as_json(labs: Iterable[Lab]) -> str:
    """The same as `as_text`, as a JSON list of labs."""
    found = []
    for lab in labs:
        unwritten, checked = lab.unwritten(), lab.checked()
        tasks = [
            {"id": task.id, "points": task.points, "name": task.name,
             "written": task.id not in unwritten, "passed": checked.get(task.id) is True}
            for task in lab.tasks
        ]  # fmt: skip
        done = checked.keys() >= {task["id"] for task in tasks if task["written"]}
        found.append({"name": lab.name, "title": lab.title, "tasks": tasks, "checked": done})
    return json.dumps(found, indent=2)


def load_script(path: Path) -> ModuleType:
    """Import the script at `path` anew, under its file's name.

    Raises UsageError if there is no such file.
    """
    if not path.is_file():
        raise UsageError(f"no file {path}; `dlcourse labs` lists the labs")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None, path
    assert spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickles look their module up by name.
    sys.modules[path.stem] = module
    # Python would take the code of an edit that was saved in the same second, from its cache.
    exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), module.__dict__)
    return module


@contextlib.contextmanager
def running(lab: Lab) -> Iterator[None]:
    """Run the student's script in this context; its `DOUBTS` are printed below its results.

    Raises UsageError, which names the task, where a task fails. A stub that is left is named in one
    line. For another error the traceback is printed first.
    """
    token = DOUBTS.set(lab.doubts())
    failed = "Do not trust these results before these tasks pass their tests"
    unknown = "These tasks were not checked since the last change"
    try:
        yield
        for why, tasks in zip((failed, unknown), DOUBTS.get(), strict=True):
            if tasks:
                print(f"{why}: {', '.join(tasks)} (dlcourse check {lab.short})")
    except DlcourseError:
        raise
    except Exception as error:
        stub = STUB.fullmatch(str(error)) if isinstance(error, NotImplementedError) else None
        if stub is not None:
            raise UsageError(
                f"task {stub['id']} {stub['name']} is not written yet; "
                f"`dlcourse check {lab.short}` shows what is left"
            ) from None
        where = innermost(error, lab.student)
        if where is None or isinstance(error, NotImplementedError) or not isinstance(error, WRONG):
            raise
        traceback.print_exception(error)
        known = DOUBTS.get()[0]
        also = f"; task {' and '.join(known)} failed its last check" if known else ""
        for task, functions in lab.functions.items():
            if any(f"{where}.".startswith(f"{name}.") for name in functions):
                raise UsageError(
                    f"this {type(error).__name__} comes from task {task} ({where}); "
                    f"`dlcourse check {lab.short} --task {task}` tries this task alone{also}"
                ) from None
        raise UsageError(
            f"this {type(error).__name__} comes from {where or lab.student.name}, which uses your "
            f"answers; `dlcourse check {lab.short}` shows which of them is wrong{also}"
        ) from None
    finally:
        DOUBTS.reset(token)


def innermost(error: Exception, script: Path) -> str | None:
    """The function of `script` in which `error` was raised; "" for none, None outside of it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if Path(frame.filename) == script]  # fmt: skip
    if not frames or frames[-1].lineno is None:
        return None
    names = enclosing_names(script.read_text(encoding="utf-8", errors="replace"))
    return names.get(frames[-1].lineno, "")
