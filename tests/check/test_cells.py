"""`lab.check` in a notebook: what the cells that were run define, and the table that it shows."""

import sys
from types import SimpleNamespace

import pytest

from dlcourse import course
from dlcourse import lab as lab_module
from dlcourse.check.cells import check_cells, definitions
from dlcourse.check.source import place
from dlcourse.errors import UsageError

from support import tiny


@pytest.fixture
def lab(tmp_path, monkeypatch):
    made = tiny.make_course(tmp_path / "course", tiny.SOLUTION + "\n\nTABLE = dict(a=add)\n")
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def cells(monkeypatch):
    """The cells that were run in a made-up notebook."""
    run = []
    shell = SimpleNamespace(history_manager=SimpleNamespace(input_hist_raw=run))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return run


def test_the_newest_definition_counts_and_nothing_is_run_again(lab):
    script = definitions(
        [
            "%matplotlib inline\nimport torch\nfrom __future__ import annotations",
            "def add(a, b):\n    # mine\n    return LIMIT",
            "TABLE = dict(a=add)\nLIMIT = 3\nhistory = train_for_hours()",
            "add(1, 2)\nfor x in range(3):\n    print(x)",
            "def add(a, b): broken(",
            "@cache\ndef add(a, b):\n    return a + b + LIMIT",
            "lab.check('90.1')",
        ],
        lab,
    )
    assert [line for line in script.splitlines() if line and not line.startswith("#")] == [
        "from __future__ import annotations", "import torch",
        "@cache", "def add(a, b):", "    return a + b + LIMIT", "TABLE = dict(a=add)",
        "try: LIMIT = 3", "except Exception: pass",
    ]  # fmt: skip
    lines = script.splitlines()
    assert place(script.encode(), lines.index("@cache") + 1) == "cell [5], line 1"
    assert place(script.encode(), lines.index("try: LIMIT = 3") + 1) == "cell [2], line 2"


@pytest.mark.parametrize("sign", ["\u2028", "\x0b", "\x85"])
def test_a_sign_that_ends_no_line_in_python_ends_none_here(lab, sign):
    code = f"def add(a, b):\n    # one{sign}two\n    total = a + b\n    return total"
    assert definitions([code], lab).endswith(f"{code}\n\n\n")
    lines = course.lines_of_tasks(code, {"90.1": ["add"]})["90.1"]
    assert lines == code.split("\n")


def test_a_task_is_checked_as_its_cell_defines_it(lab, cells):
    cells += ["import torch", "def add(a, b):\n    return a - b"]
    first = check_cells("90.1")
    assert [(v.task, v.outcome) for v in first.record.verdicts()] == [("90.1", "wrong answer")]
    cells.append("def add(a, b):\n    return a + b")
    shown = lab_module.check("90.1")
    assert shown.record.exit_status == 0
    assert "<td>90.1</td><td>add</td><td>2 of 2</td><td>passed</td>" in shown._repr_html_()
    assert "90.1" in repr(shown)


@pytest.mark.parametrize(
    "experiment",
    [
        ["x = torch.zeros(3)", "x[0] = 5", "y = x"],
        ["x = torch.zeros(3)\nx = x / 255"],
        ["net = torch.nn.Linear(2, 2)", "net.training = False"],
        ["losses = []", "for step in range(3):\n    losses.append(step)", "last = losses[-1]"],
        ["batch = next(iter([[1, 2]]))", "one, two = batch", "def show():\n    return one"],
        ["SCALE = 2", "SCALE = SCALE * 2", "SCALE = 0"],
        ["SCALE = 4\nSCALE = SCALE - 4"],
        ["TEN = [10]", "TEN[0] = 0", "SCALE = TEN[0]"],
        ["SCALE, COUNTS = 0, [\n    n for n in (1, 2)\n]  # two lines"],
    ],
)
def test_cells_that_try_things_out_cost_no_point(lab, cells, experiment):
    scale = " + SCALE" * any("SCALE" in cell for cell in experiment)
    cells += ["import torch", *experiment, f"def add(a, b):\n    return a + b{scale}"]
    assert [v.outcome for v in check_cells("90.1").record.verdicts()] == ["passed"]


def test_a_copy_in_the_same_cell_is_named_and_a_cell_that_is_run_again_is_not(lab, cells):
    twice = "def add(a, b):\n    return a + b\n\ndef add(a, b):\n    return a - b"
    cells += ["import torch", "def add(a, b):\n    return 7", twice, twice]
    shown = check_cells("90.1")
    said = "add is defined twice, in cell [3], line 1 and cell [3], line 4: only the last"
    assert said in shown._repr_html_()
    cells.append("def add(a, b):\n    return a + b")
    assert "twice" not in check_cells("90.1")._repr_html_()


def test_a_run_knows_what_the_checks_of_its_cells_said(lab, cells, tmp_path, monkeypatch):
    def doubts():
        args = lab_module.parse_flags(
            "lab90", "Sums.", ["--out", str(tmp_path)], epochs=1, full_epochs=1
        )
        return ["90.1" in tasks for tasks in args.findings.doubts]

    monkeypatch.setattr("dlcourse.check.cells.CHECKED", {})
    cells += ["import torch", "def add(a, b):\n    return a - b"]
    assert doubts() == [False, True]
    check_cells("90.1")
    assert doubts() == [True, False]
    cells += ["x = 3", "def add(a, b):\n    return a + b"]
    assert doubts() == [False, True]
    check_cells("90.1")
    cells.append("RUN = True")
    assert doubts() == [False, False]


def test_a_notebook_far_from_its_course_runs(cells, tmp_path):
    args = lab_module.parse_flags("lab77", "", ["--out", str(tmp_path)], epochs=1, full_epochs=1)
    assert args.findings.doubts == ([], [])


def test_an_error_names_the_cell_and_its_line(lab, cells):
    cells += ["import torch", "\ndef add(a, b):\n    return a.b"]
    assert "cell [1], line 3, in add" in check_cells("90.1")._repr_html_()


def test_a_reason_is_shown_as_text_and_not_as_html(lab, cells):
    cells += ["import torch", "def add(a, b):\n    raise ValueError('<b>no</b>')"]
    text = check_cells("lab90")._repr_html_()
    assert "&lt;b&gt;no&lt;/b&gt;" in text
    assert "<b>no" not in text


def test_an_unknown_task_or_lab_is_named(lab, cells):
    with pytest.raises(UsageError, match=r"unknown task '90\.7'"):
        check_cells("90.7")
    with pytest.raises(UsageError, match="there is no lab91; choose one of lab90"):
        check_cells("91.1")


def test_in_a_script_it_only_says_so(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert lab_module.check("5.2") is None
    assert capsys.readouterr().err == "lab.check works in a notebook; elsewhere: dlcourse check\n"


def test_the_labs_name_of_the_module_is_lab():
    # The cells call lab.check: every lab must import that name.
    for one in course.labs():
        assert "lab" in one.source.split("from dlcourse import ", 1)[1].split("\n", 1)[0]
