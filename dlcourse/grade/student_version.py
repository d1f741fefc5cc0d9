"""Make the student version of a solution by cutting out its answers.

The lines between `# BEGIN SOLUTION` and `# END SOLUTION` become one line,
`raise NotImplementedError("task 5.2: conv2d")`; everything else stays as it is. A block that holds
only comments answers a question, not a task; it is removed completely. So is the quiz. The hints in
a task's comment are left out too: `dlcourse hint` unfolds them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from dlcourse import quiz
from dlcourse.course import TASK, Lab, enclosing_names, is_text
from dlcourse.errors import UsageError

__all__ = ["BEGIN", "END", "generate", "solution_lines", "starter", "surviving_lines", "write"]

BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"


def generate(source: str, filename: str = "solution", *, hints: bool = False) -> str:
    """The student version of a solution's `source`, which errors call `filename`.

    hints: whether the comments of the tasks keep their hints.

    Raises UsageError for markers that do not form pairs, for a block outside of a function or
    without a task comment above it, and if the result does not parse.
    """
    source = quiz.without_quiz(source)
    if quiz.BEGIN in source or quiz.END in source:
        raise UsageError(f"{filename}: {quiz.BEGIN!r} and {quiz.END!r} do not form a pair")
    try:
        names = enclosing_names(source)
    except SyntaxError as error:
        raise UsageError(
            f"{filename}:{error.lineno}: the solution does not parse: {error.msg}"
        ) from None
    kept: list[str] = []
    block: list[str] = []
    task: str | None = None
    opened: int | None = None  # the line of the BEGIN that has no END yet
    in_comment = first = cut = False  # in a task's comment, in its first one, in a hint of it
    for number, line in enumerate(source.removesuffix("\n").split("\n"), start=1):
        if match := TASK.match(line):
            task, first, cut = match["id"], match["points"] is not None, False
        in_comment = match is not None or (in_comment and is_text(line))
        if in_comment and not hints:
            before, found, _ = line.partition("Hint:")
            if cut or (found and not before.strip("# ") and not first):
                cut = True
                continue
            if found:
                pointer = f" For a hint: dlcourse hint {task}" if first else ""
                line, cut = before.rstrip() + pointer, True
        marker = line.strip()
        if marker == BEGIN:
            if opened:
                raise UsageError(
                    f"{filename}:{number}: BEGIN SOLUTION inside the block opened at line {opened}"
                )
            opened, block = number, []
        elif marker == END:
            if not opened:
                raise UsageError(f"{filename}:{number}: END SOLUTION without a BEGIN SOLUTION")
            if not all(is_comment(inside) for inside in block):
                name = names.get(opened, "").removesuffix(".__init__")
                if not name:
                    raise UsageError(
                        f"{filename}:{opened}: a solution block must stand in a function"
                    )
                if task is None:
                    raise UsageError(
                        f"{filename}:{opened}: no '# Task N.N (P points).' comment above"
                    )
                indent = line[: len(line) - len(line.lstrip())]
                kept.append(f'{indent}raise NotImplementedError("task {task}: {name}")')
            opened = None
        else:
            (block if opened else kept).append(line)
    if opened:
        raise UsageError(f"{filename}:{opened}: BEGIN SOLUTION without an END SOLUTION")
    text = "\n".join(kept) + "\n"
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise UsageError(
            f"{filename}: the student version does not parse at line {error.lineno}: {error.msg}"
        ) from None
    return text


def starter(lab: Lab) -> bytes:
    """The student version of `lab` as it is handed out, from its solution if that is there."""
    if not lab.solution.is_file():
        return lab.student.read_bytes()
    return generate(lab.solution.read_text(encoding="utf-8"), lab.solution.name).encode()


def is_comment(line: str) -> bool:
    return not line.strip() or line.strip().startswith("#")


def solution_lines(source: str) -> list[str]:
    """The stripped lines between the markers of `source` that occur nowhere else in it."""
    inside, outside, opened = [], set(), False
    for line in map(str.strip, source.splitlines()):
        if line in (BEGIN, END):
            opened = line == BEGIN
        elif opened:
            inside.append(line)
        else:
            outside.add(line)
    return [line for line in inside if line.strip("# ") and line not in outside]


def surviving_lines(text: str, source: str) -> list[str]:
    """The lines of the answers in `source` that `text` contains, which would be a leak."""
    there = set(map(str.strip, text.splitlines()))
    return [line for line in solution_lines(source) if line in there]


def write(labs: Iterable[Lab]) -> list[Path]:
    """Write the student version of every lab that has a solution; return the files that changed."""
    changed = []
    for lab in labs:
        if not lab.solution.is_file():
            continue
        text = generate(lab.solution.read_text(encoding="utf-8"), lab.solution.name)
        if not lab.student.is_file() or lab.student.read_text(encoding="utf-8") != text:
            lab.student.parent.mkdir(exist_ok=True)
            lab.student.write_text(text, encoding="utf-8", newline="\n")
            changed.append(lab.student)
    return changed
