"""Who may import whom, no import cycles, complete `__all__` lists, and examples that are true."""

import ast
import doctest
import importlib

import pytest

from support.imports import ROOT, cycles, import_graph, package_sources, used_names

SOURCES = package_sources()
BASE = {"errors", "files", "runtime", "values", "work_folder"}
LEARNING = {"data", "figure_style", "init", "models", "optim", "plots", "train"}
# What each part of the package may import of the others (docs/architecture.md draws it).
MAY_IMPORT = {
    "errors": set(),
    "files": set(),
    "startup": set(),
    "work_folder": {"errors", "files"},
    "values": {"errors"},
    "runtime": {"errors"},
    "executors": {"errors"},
    "process_pool": {"startup"},
    "extensions": {"errors"},
    "page": set(),
    "course": {"errors", "files"},
    "quiz": {"course", "errors"},
    "notebook": {"course", "errors", "files", "quiz"},
    "findings": {"files"},
    "lab": {"check", "course", "errors", "findings", "quiz", "runtime"},  # for notebooks
    "doctor": {"data", "errors", "grade", "runtime"},  # data.folder, without torch
    "data": BASE,
    "init": BASE,
    "models": BASE,
    "optim": BASE,
    "train": {*BASE, "optim"},
    "figure_style": {"errors"},
    "plots": {*BASE, "figure_style", "models", "train"},  # the types that it draws
    "recipes": {*BASE, *LEARNING, "lab"},
    "compare": {*BASE, *LEARNING, "executors", "extensions", "page", "process_pool"},
    "check": {*BASE, "course", "notebook"},  # a submission may be a notebook
    "grade": {*BASE, "course", "executors", "check", "page", "process_pool", "quiz", "startup"},
}
# The command line may import everything, and the package itself names its parts for type checkers.
FREE = {"", "__main__", "cli", "instructor"}


def part(module):
    """ "dlcourse.train.fit" -> "train", "dlcourse" -> "" """
    return module.partition(".")[2].partition(".")[0]


def violations(sources):
    """Every import that the rules above forbid, as "dlcourse.a imports dlcourse.b"."""
    found = []
    for name, imported in import_graph(sources).items():
        for other in sorted(imported):
            root = other.partition(".")[0]
            if root in ("labs", "solutions", "tests", "support"):
                found.append(f"{name} imports {other}")
            allowed = {part(name), *MAY_IMPORT.get(part(name), ())}
            if root == "dlcourse" and part(name) not in FREE and part(other) not in allowed:
                found.append(f"{name} imports {other}")
    return found


def test_every_part_of_the_package_has_its_rule():
    assert {part(name) for name in SOURCES} == {*MAY_IMPORT, *FREE}


def test_imports_run_one_way():
    assert violations(SOURCES) == []


def test_no_modules_import_each_other_in_a_circle():
    assert cycles(import_graph(SOURCES)) == []


@pytest.mark.parametrize(
    "source",
    [
        "from dlcourse.train import fit",
        "from dlcourse import train",
        "import dlcourse.train.fit",
        "from ..train.fit import fit",
        "from .. import train",
        "def late():\n    from dlcourse.train import fit",
        "if TYPE_CHECKING:\n    from dlcourse.train.fit import fit",
        "import tests.support",
    ],
)
def test_a_forbidden_import_is_found_wherever_it_stands(source):
    planted = {**SOURCES, "dlcourse.check.run": source}
    (found,) = violations(planted)
    assert found.startswith("dlcourse.check.run imports ")


def test_a_circle_is_found():
    sources = {
        "dlcourse": "",
        "dlcourse.a": "from dlcourse import b",
        "dlcourse.b": "if TYPE_CHECKING:\n    from .c import d",
        "dlcourse.c": "def late():\n    import dlcourse.a",
        "dlcourse.d": "from dlcourse import a",
    }
    assert cycles(import_graph(sources)) == [["dlcourse.a", "dlcourse.b", "dlcourse.c"]]


def listed(tree):
    """What a module's `__all__` lists; None if it has none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return None


def order(name):
    """Constants, then classes, then functions, each from A to Z (as the linter sorts them)."""
    return not name.isupper(), not name[0].isupper(), name


def unlisted(sources):
    """Names that one module uses of another although its `__all__` does not list them."""
    return [
        f"{module}.{name}"
        for module, names in used_names(sources).items()
        for name in sorted(names - set(listed(ast.parse(sources[module])) or []))
        if not name.startswith("__") and module not in ("dlcourse.cli", "dlcourse.instructor")
    ]


@pytest.mark.parametrize("name", SOURCES)
def test_all_is_sorted_and_names_what_exists(name):
    names = listed(ast.parse(SOURCES[name])) or []
    assert names == sorted(set(names), key=order)
    module = importlib.import_module(name) if names else None
    assert [entry for entry in names if not hasattr(module, entry)] == []


def test_all_lists_what_other_modules_and_the_labs_use():
    labs = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("solutions/*.py")}
    assert unlisted({**SOURCES, **labs}) == []


def test_a_name_that_all_does_not_list_is_found():
    sources = {
        "dlcourse": "",
        "dlcourse.a": "__all__ = ['f']",
        "dlcourse.b": "from dlcourse import a\nfrom dlcourse.a import f, g\na.f(a.h)",
    }
    assert unlisted(sources) == ["dlcourse.a.g", "dlcourse.a.h"]


@pytest.mark.parametrize("name", SOURCES)
def test_examples_in_docstrings_are_true(name):
    if ">>>" not in SOURCES[name]:
        return
    assert not doctest.testmod(importlib.import_module(name)).failed
