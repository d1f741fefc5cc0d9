"""`lab.check("5.2")` in a notebook: check what its cells define, without saving anything."""

from __future__ import annotations

import ast
import html
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from dlcourse import course
from dlcourse.check import hints, table
from dlcourse.check.record import Record
from dlcourse.check.run import check
from dlcourse.course import LINE_END, Lab, lines_of_tasks
from dlcourse.notebook import without_magics

__all__ = ["Shown", "check_cells", "definitions", "doubts"]

CHECKED: dict[str, tuple[bool, list[str]]] = {}  # of each task: whether it passed, and its code


class Shown:
    """The verdict on a task or a lab, as a table in a notebook."""

    def __init__(self, record: Record, lab: Lab) -> None:
        self.record, self.lab = record, lab

    def __repr__(self) -> str:
        return table.as_text(self.record, self.lab)

    def _repr_html_(self) -> str:
        names = {task.id: task.name for task in self.lab.tasks}
        rows = []
        for verdict in self.record.verdicts():
            test, lines = verdict.worst, []
            if test:
                steps = [f"hint: {step}" for step in test.hint.split("\n")]
                lines = [test.reason, test.traceback, *steps]
            cells = (
                verdict.task, names.get(verdict.task, ""),
                f"{verdict.score:g} of {verdict.max_score:g}", verdict.outcome,
                "\n".join(line.rstrip() for line in lines if line),
            )  # fmt: skip
            rows.append("".join(f"<td>{html.escape(cell)}</td>" for cell in cells))
        head = "".join(f"<th>{name}</th>" for name in ("task", "name", "points", "verdict", ""))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        style = "text-align: left; white-space: pre-wrap"
        more = "".join(
            f"<p>{html.escape(line)}</p>" for line in table.totals(self.record, self.lab)
        )
        return f'<table style="{style}"><tr>{head}</tr>{body}</table>{more}'


def check_cells(what: str) -> Shown | None:
    """Check a task ("5.2") or a lab ("lab05") as the cells that were run define it.

    Outside of a notebook it only says so, and returns None. Raises UsageError for another name.
    """
    cells = cells_run()
    if cells is None:
        print("lab.check works in a notebook; elsewhere: dlcourse check", file=sys.stderr)
        return None
    task = what if "." in what else None
    lab = course.find_lab(what.split(".")[0])
    source = definitions(cells, lab)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{lab.name}.py"
        path.write_text(source, encoding="utf-8")
        record = check(lab, path, task)
    lines = lines_of_tasks(source, lab.functions)
    CHECKED.update(
        {v.task: (v.outcome == "passed", lines.get(v.task, [])) for v in record.verdicts()}
    )
    hints.unfold(record, lab)
    return Shown(record, lab)


def cells_run() -> list[str] | None:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell and shell.history_manager.input_hist_raw


def doubts(lab: Lab) -> tuple[list[str], list[str]]:
    """Like `Lab.doubts`, of the cells that were run."""
    lines = lines_of_tasks(definitions(cells_run() or [], lab), lab.functions)
    last = {task: CHECKED[task][0] for task in lines if CHECKED.get(task, "")[1:] == (lines[task],)}
    return [t for t in last if not last[t]], [t for t in lines if t and t not in last]


def definitions(cells: Iterable[str], lab: Lab) -> str:
    """The script that `cells`, in the order in which they were run, define.

    Of each name the cell that defined it last counts. Imports, functions, classes and the
    assignments of the lab are kept, others only if they call nothing: training is not repeated.
    As these may read what is not kept, they may fail. `x[0] = 1` adds to an earlier `x = ...`.
    A mark and empty lines above each part tell `source.place` its cell and line.
    """
    given = {name for node in parsed(lab.source) for name in assigned(node)}
    found: dict[str, str] = {}
    for number, cell in enumerate(cells):
        code, mark = without_magics(cell), f"# %% cell [{number}]\n"
        for node in parsed(code):
            names, changes = assigned(node), False
            if isinstance(node, ast.Import | ast.ImportFrom):
                key = ast.unparse(node)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                key = node.name
            else:
                calls = any(isinstance(n, ast.Call) for n in ast.walk(node))
                if not names or (calls and not set(names) <= given):
                    continue
                key, changes = " ".join(names), bool({*names} & loaded(node))
            first = min(n.lineno for n in [node, *getattr(node, "decorator_list", [])])
            part = "\n".join(LINE_END.split(code)[first - 1 : node.end_lineno])
            part = part if set(names) <= given else f"try: {part}\nexcept Exception: pass"
            part = mark + "\n" * (first - 1) + part + "\n\n\n"
            # A copy in the same cell is kept, for `source.defined_twice` to name it.
            earlier = found.get(key, "")
            found[key] = earlier + part if mark in earlier or changes else part
    return "".join(sorted(found.values(), key=lambda part: "from __future__" not in part))


def parsed(code: str) -> list[ast.stmt]:
    try:
        return ast.parse(code).body
    except SyntaxError:
        return []


def loaded(node: ast.AST) -> set[str]:
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    return {name.id for name in names if isinstance(name.ctx, ast.Load)}


def assigned(node: ast.stmt) -> list[str]:
    """The plain names that an assignment binds."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return []
    return [n.id for t in targets if t for n in ast.walk(t) if isinstance(n, ast.Name)]
