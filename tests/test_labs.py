"""Every lab runs as a notebook from top to bottom, and prints what its docstring says it prints."""

import ast
import json
import re

import pytest

from dlcourse import course, notebook
from dlcourse.errors import UsageError

LABS = [lab for lab in course.labs() if lab.solution.is_file()]


def recorded_run(lab):
    """The lines of the run that the lab's docstring shows."""
    doc = ast.get_docstring(ast.parse(lab.solution.read_text(encoding="utf-8")))
    block = re.search(r"^A recorded run.*:\n\n((?:    .*\n|\n)*(?:    .*))", doc, re.MULTILINE)
    assert block, f"{lab.name}: no recorded run; python benchmarks/labs.py {lab.short}"
    return [line.removeprefix("    ") for line in block[1].splitlines()]


def without_numbers(lines):
    """What a run prints whatever its size: no numbers, no widths, and not which data it had."""
    masked = (re.sub(r"[-+]?\d[\d,.e%+-]*|\binf\b|\bnan\b", "#", line) for line in lines)
    return [" ".join(line.split()) for line in masked if not line.startswith("data:")]


def test_numbers_and_data_do_not_count_in_the_comparison():
    lines = ["data: MNIST; 54,000", "LeNet-5   61,706  99.1%", "loss -1.2e-05 in 3 s", "diverged"]
    assert without_numbers(lines) == ["LeNet# # #", "loss # in # s", "diverged"]


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.short)
def test_notebook_runs_and_prints_the_recorded_lines(lab, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    text = notebook.as_notebook(lab.solution.read_text(encoding="utf-8"), lab.short)
    made = nbformat.reads(text.replace(r"[\"--tiny\"]", r"[\"--tiny\", \"--offline\"]"), 4)
    nbformat.validate(made)
    client = NotebookClient(made, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs = [output for cell in made.cells for output in cell.get("outputs", [])]
    printed = "".join(o["text"] for o in outputs if o.get("name") == "stdout").splitlines()
    assert without_numbers(printed) == without_numbers(recorded_run(lab))
    figures = sum("image/png" in output.get("data", {}) for output in outputs)
    assert figures == len(list((tmp_path / "results" / lab.short).glob("*.png"))) >= 2


def test_notebook_is_the_same_twice_and_is_not_overwritten(tmp_path):
    lab = course.find_lab("lab05")
    paths = [notebook.write(lab, tmp_path / name) for name in ("a.ipynb", "b.ipynb")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    cells = json.loads(paths[0].read_text(encoding="utf-8"))["cells"]
    assert {cell["cell_type"] for cell in cells} == {"code", "markdown"}
    assert "".join(cells[0]["source"]).startswith("Lab 05: ")
    with pytest.raises(UsageError, match=r"a\.ipynb exists and may contain your work"):
        notebook.write(lab, paths[0])


def test_notebook_into_no_folder_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"cannot write .*No such file or directory"):
        notebook.write(course.find_lab("lab05"), tmp_path / "none" / "a.ipynb")


def test_script_without_its_end_is_said():
    with pytest.raises(UsageError, match="lab05: the script does not end in"):
        notebook.as_notebook("x = 1\n", "lab05")
