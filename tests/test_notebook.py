"""A notebook back as a script: what only a notebook can run is left out."""

import pytest

from dlcourse import course
from dlcourse.errors import UsageError
from dlcourse.notebook import SETUP, as_notebook, as_script

from support import exports


@pytest.mark.parametrize("lab", course.labs(), ids=lambda lab: lab.name)
def test_a_labs_notebook_gives_a_script_that_compiles_and_trains_nothing(lab):
    script = as_script(as_notebook(lab.student.read_text(encoding="utf-8"), lab.short))
    compile(script, "script", "exec")
    assert "main([" not in script
    for added in ("IPython", "lab.check", "zipfile", "RUN"):
        assert added not in script
    assert script.count("raise NotImplementedError") == lab.student.read_text(
        encoding="utf-8"
    ).count("raise NotImplementedError")


def test_imports_from_the_future_come_first():
    script = as_script(
        exports.notebook("!pip install x", "from __future__ import annotations\nx = 1")
    )
    assert script.startswith("from __future__ import annotations\n")
    compile(script, "script", "exec")


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("if x:\n    %time y\nz = 1", "if x:\n    pass\nz = 1"),
        ("%%time\nx = 1", "x = 1"),
        ("files = !ls\nx = 1", "pass\nx = 1"),
        ("fit?\nx = 1", "pass\nx = 1"),
        ("x = '''\n%kept\n!kept\n'''", "x = '''\n%kept\n!kept\n'''"),
        ("x = 5 \\\n% 3", "x = 5 \\\n% 3"),
        ("x = 1 if y else \\\n  not z", "x = 1 if y else \\\n  not z"),
    ],
)
def test_magics_and_shell_lines_are_left_out_and_python_is_kept(cell, kept):
    script = as_script(exports.notebook(cell))
    assert script.strip().splitlines()[1:][-len(kept.splitlines()) :] == kept.splitlines()


@pytest.mark.parametrize("sign", ["\u2028", "\x0c", "\x85", "\x1c"])
def test_only_line_ends_of_python_end_a_line(sign):
    """Such signs come with pasted text."""
    cell = f"# a note{sign}that goes on\r\nword = 'a{sign}b'\n%time\n"
    script = as_script(exports.notebook(cell))
    names = {}
    exec(script, names)
    assert names["word"] == f"a{sign}b"
    assert script.startswith(f"# %% cell 2\n# a note{sign}that goes on\nword")


def test_a_notebook_of_version_3_is_read():
    text = '{"worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1"}]}], "nbformat": 3}'
    assert as_script(text) == "# %% cell 1\nx = 1\n"


@pytest.mark.parametrize(
    "cell",
    [
        SETUP,
        "RUN = True\nif RUN:\n    main([])\n\n    x = 1",
        'lab.check("5.2")  # again',
        'lab.quiz("lab05")',
        "main([])",
    ],
)
def test_cells_that_check_or_run_are_left_out_but_not_what_a_student_adds_to_them(cell):
    assert as_script(exports.notebook("x = 1", cell)) == "# %% cell 2\nx = 1\n"
    assert "y = 2" in as_script(exports.notebook(f"{cell}\ny = 2"))


# Each would keep the process that reads it busy for hours, or fill its memory.
ENDLESS = [
    " " * 200_000 + "x y",
    "RUN = 1\nif RUN:\n" + " \n" * 60 + "x",
    "RUN = a" + " " * 200_000 + "\n(",
    "x = (\n" + "% 1\n" * 20_000 + ")",
    "x = [" + "0," * 8_000_000 + "]",
    "x = f'" + "{a}" * 60_000 + "'",
]
REFUSED = (
    r"^the notebook(?:: cell \d does not parse, .+|: too many lines begin with %, ! or \?, .+"
    "| holds more than (?:262,144 characters of code|10,000 braces))$"
)


@pytest.mark.parametrize("cell", ENDLESS, ids=[cell[:20].strip() for cell in ENDLESS])
def test_a_cell_that_would_take_hours_to_read_is_refused_at_once(cell):
    with pytest.raises(UsageError, match=REFUSED):
        as_script(exports.notebook(cell))


def test_a_notebook_of_a_hundred_thousand_cells_is_refused_at_once():
    with pytest.raises(UsageError, match=r"^the notebook has more than 10,000 cells$"):
        as_script(exports.notebook(*["x"] * 100_000))
