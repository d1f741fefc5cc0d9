"""Make wrong solutions by machine: one small change in the syntax tree of an answer."""

import ast
import copy
from collections import Counter
from functools import partial

from dlcourse.course import TASK

SWAPS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div, ast.MatMult: ast.Mult, ast.Pow: ast.Mult, ast.Mod: ast.Mult,
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.And: ast.Or,
    ast.Or: ast.And, ast.USub: ast.UAdd,
}  # fmt: skip


def swapped(operator):
    return SWAPS[type(operator)]() if type(operator) in SWAPS else None


def changes(node):
    """The nodes that may stand for `node`, one change each."""
    if isinstance(node, ast.BinOp | ast.UnaryOp | ast.BoolOp | ast.AugAssign):
        if (other := swapped(node.op)) is not None:
            changed = copy.copy(node)
            changed.op = other
            yield changed
    elif isinstance(node, ast.Compare):
        if (other := swapped(node.ops[0])) is not None:
            changed = copy.copy(node)
            changed.ops = [other, *node.ops[1:]]
            yield changed
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, int | float):
            yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Return) and node.value is not None:
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.If):
        changed = copy.copy(node)
        changed.test = ast.UnaryOp(ast.Not(), node.test)
        yield changed
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Expr) and not is_text(node):
        yield ast.Pass()


def is_text(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def answer_lines(source):
    """For each line number inside an answer: its task and its place in the answer to that task.

    The place does not change when text outside of the answer does.
    """
    inside, task, lines, count = False, None, {}, Counter()
    for number, line in enumerate(source.splitlines(), start=1):
        if match := TASK.match(line):
            task = match["id"]
        if line.strip() in ("# BEGIN SOLUTION", "# END SOLUTION"):
            inside = line.strip() == "# BEGIN SOLUTION"
        elif inside:
            count[task] += 1
            lines[number] = f"{task} line {count[task]}"
    return lines


class Replace(ast.NodeTransformer):
    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return ast.copy_location(self.new, node) if node is self.old else self.generic_visit(node)


def mutants(source):
    """(what was changed, a function that makes the changed source) for each change in an answer.

    What was changed reads "1.3 line 2: a + b -> a - b": task, line of its answer, and change.
    """
    lines = answer_lines(source)
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if getattr(node, "lineno", None) not in lines:
            continue
        for changed in changes(node):
            label = f"{lines[node.lineno]}: {ast.unparse(node)} -> {ast.unparse(changed)}"
            yield " ".join(label.split()), partial(mutant, tree, node, changed)


def mutant(tree, node, changed):
    mapping = {}
    twin = copy.deepcopy(tree, mapping)
    # The children of a change come from the first tree, and are not shared by any other.
    return ast.unparse(ast.fix_missing_locations(Replace(mapping[id(node)], changed).visit(twin)))
