"""Every lab runs, as a script or as a notebook, and prints what its docstring says it prints."""

import ast
import itertools
import json
import os
import re
from pathlib import Path

import pytest

from dlcourse import course, notebook
from dlcourse.check.run import check
from dlcourse.check.source import read_source
from dlcourse.errors import UsageError
from dlcourse.findings import Claim

from support import mistakes

ROOT = Path(__file__).parents[1]
LABS = [lab for lab in course.labs() if lab.solution.is_file()]


def recorded_run(lab):
    """The lines of the run that the lab's docstring shows."""
    doc = ast.get_docstring(ast.parse(lab.solution.read_text(encoding="utf-8")))
    block = re.search(r"^A recorded run.*:\n\n((?:    .*\n|\n)*(?:    .*))", doc, re.MULTILINE)
    assert block, f"{lab.name}: no recorded run; python benchmarks/labs.py {lab.short}"
    return [line.removeprefix("    ") for line in block[1].splitlines()]


def recorded(lab):
    """What benchmarks/labs.py recorded of the lab."""
    path = ROOT / "benchmarks" / "results" / "labs" / f"{lab.short}.json"
    return json.loads(path.read_text(encoding="utf-8"))["result"]


# The labs whose experiments state claims; the others wait for their record over three seeds.
CLAIMING = pytest.mark.parametrize(
    "lab", [lab for lab in LABS if "claims" in recorded(lab)], ids=lambda lab: lab.short
)


def without_numbers(lines):
    """What a run prints whatever its size: no numbers, no widths, not which data and folder."""
    # A tiny run shows only some of the claims; the next test compares these.
    lines = itertools.takewhile(lambda line: line != "what this run shows", lines)
    masked = (re.sub(r"[-+]?\d[\d,.e%+-]*|\binf\b|\bnan\b", "#", line) for line in lines)
    masked = (line.replace("/tiny", "") for line in masked if line)
    left_out = ("data:", "figures:")
    return [" ".join(line.split()) for line in masked if not line.startswith(left_out)]


def test_numbers_and_data_do_not_count_in_the_comparison():
    lines = ["data: MNIST; 54,000", "LeNet-5   61,706  99.1%", "loss -1.2e-05 in 3 s", "diverged"]
    assert without_numbers(lines) == ["LeNet# # #", "loss # in # s", "diverged"]


@pytest.fixture(scope="module")
def kernel():
    """Runs all notebooks in one kernel, which imports torch once."""
    import nbformat
    from nbclient import NotebookClient

    client = NotebookClient(nbformat.v4.new_notebook(), timeout=600, shutdown_kernel="immediate")
    with client.setup_kernel():
        yield client


def with_answers(lab, folder):
    """The student's notebook with the solution's answers in their places, and its file."""
    import nbformat

    text = notebook.as_notebook(lab.student.read_text(encoding="utf-8"), lab.short)
    text = text.replace(r"[\"--tiny\"]", r"[\"--tiny\", \"--offline\"]")
    made = nbformat.reads(text.replace("RUN = False", "RUN = True"), 4)
    nbformat.validate(made)
    answers = nbformat.reads(notebook.as_notebook(lab.solution.read_text("utf-8"), lab.short), 4)
    for mine, answer in zip(made.cells, answers.cells, strict=True):
        assert "# BEGIN SOLUTION" not in answer.source
        if "raise NotImplementedError" in mine.source:
            mine.source = answer.source
    path = folder / f"{lab.name}.ipynb"
    nbformat.write(made, path)
    return made, path


# The notebook that runs here; all run with DLCOURSE_ALL_TESTS=1, in five minutes.
ALL = bool(os.environ.get("DLCOURSE_ALL_TESTS"))
RUN = [lab for lab in LABS if ALL or lab.short == "lab05"]


def shown_claims(lab, folder, printed):
    """Compare what a tiny run prints, and the claims that it saves, with the record."""
    assert without_numbers(printed) == without_numbers(recorded_run(lab))
    assert not list(folder.parent.glob("*.png")), "a tiny run overwrote the whole run's figures"
    if (folder / "findings.json").exists():
        claims = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
        assert [claim["text"] for claim in claims] == [
            claim["text"] for claim in recorded(lab)["claims"]
        ]
        assert all(Claim(**claim).holds for claim in claims if claim["exact"])


@pytest.mark.parametrize("lab", [lab for lab in LABS if lab not in RUN], ids=lambda lab: lab.short)
def test_tiny_run_prints_the_recorded_lines(lab, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    course.load_script(lab.solution).main(["--tiny", "--offline", "--no-plot"])
    printed = capsys.readouterr().out.splitlines()
    folder = tmp_path / "results" / lab.short / "tiny"
    shown_claims(lab, folder, printed)


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.short)
def test_notebook_with_the_answers_holds_what_the_solution_holds(lab, tmp_path):
    made, path = with_answers(lab, tmp_path)
    assert sum(cell.source.startswith("lab.check(") for cell in made.cells) == len(lab.tasks)
    mine, solution = (
        {node.name: ast.unparse(node) for node in ast.parse(text).body if hasattr(node, "name")}
        for text in (read_source(path.read_bytes(), path.name), lab.solution.read_bytes())
    )
    assert mine == solution


@pytest.mark.parametrize("lab", RUN, ids=lambda lab: lab.short)
def test_notebook_runs_and_prints_the_recorded_lines(lab, tmp_path, kernel):
    import nbformat

    made, path = with_answers(lab, tmp_path)
    assert check(lab, path).exit_status == 0
    checks = [cell for cell in made.cells if cell.source.startswith("lab.check(")]
    # Each takes a while: one of them stands for all.
    made.cells = [cell for cell in made.cells if cell not in checks[1:]]
    # Each notebook starts without the names of the one before.
    start = f"%reset -f\nimport os\nos.chdir({str(tmp_path)!r})\ndel os"
    made.cells.insert(0, nbformat.v4.new_code_cell(start))
    kernel.nb = made
    for index, cell in enumerate(made.cells):
        kernel.execute_cell(cell, index)
    (verdict,) = checks[0].outputs
    assert "<td>passed</td>" in verdict["data"]["text/html"]
    outputs = [output for cell in made.cells for output in cell.get("outputs", [])]
    printed = "".join(o["text"] for o in outputs if o.get("name") == "stdout").splitlines()
    folder = tmp_path / "results" / lab.short / "tiny"
    shown_claims(lab, folder, printed)
    figures = sum("image/png" in output.get("data", {}) for output in outputs)
    assert figures == len(list(folder.glob("*.png"))) >= 2


@CLAIMING
def test_docstring_and_handout_show_the_recorded_numbers(lab, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    benchmark = course.load_script(ROOT / "benchmarks" / "labs.py")
    doc = ast.get_docstring(ast.parse(lab.solution.read_text(encoding="utf-8")))
    for block in (benchmark.run_block(recorded(lab)), benchmark.claims_block(recorded(lab))):
        assert block.strip("\n") in doc, f"python benchmarks/labs.py {lab.short} --page"
        assert block.strip("\n") in (ROOT / "handouts" / f"{lab.short}.md").read_text(
            encoding="utf-8"
        )


@CLAIMING
def test_each_question_has_a_place_for_an_answer_and_a_folded_one_after_it(lab):
    text = lab.student.read_text(encoding="utf-8")
    assert text.index("# *Your prediction:*") < text.index("\ndef main(")
    assert text.count("\nLecture sections: ") == 1
    _, _, closing = text.partition("# ## Questions to think about\n")
    numbers = re.findall(r"^# \*\*(\d)\.\*\*", closing, re.MULTILINE)
    place = (
        "# *Your answer:*\n#\n# <details><summary>An answer to compare with yours</summary>\n#\n"
    )
    assert len(numbers) == closing.count(place) == closing.count("# </details>\n") >= 2
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    assert closing.count("# ## What you have seen\n") == 1


@CLAIMING
def test_the_readme_states_numbers_that_the_handout_shows(lab):
    rows = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    (row,) = [row for row in rows if row.startswith(f"| [{lab.short}]")]
    page = (ROOT / "handouts" / f"{lab.short}.md").read_text(encoding="utf-8")
    stated = re.findall(r"\d+\.\d+%?", row)
    assert [number for number in stated if number not in page] == []


@CLAIMING
def test_every_claim_holds_over_three_seeds(lab):
    claims = [Claim(**claim) for claim in recorded(lab)["claims"]]
    short = [claim.text for claim in claims if len(claim.left) < 3 and not claim.exact]
    wrong = [
        claim.text for claim in claims if not claim.holds or 2 * claim.agreeing < len(claim.left)
    ]
    assert (short, wrong) == ([], [])


@CLAIMING
def test_the_printed_numbers_of_a_claim_show_that_it_holds(lab):
    for claim in (Claim(**claim) for claim in recorded(lab)["claims"]):
        left, right = (format(value, claim.form) for value in claim.means)
        assert (left == right) == (claim.relation == "="), claim.text


@CLAIMING
def test_an_exact_claim_names_each_task(lab):
    claims = [Claim(**claim) for claim in recorded(lab)["claims"]]
    named = {
        task for claim in claims if claim.exact and claim.task for task in claim.task.split(" or ")
    }
    assert named == {task.id for task in lab.tasks}


@pytest.mark.parametrize(
    "mistake",
    [
        "1.1 fires only above 0", "1.2 is an OR", "1.3 answers the opposite",
        "1.4 has the wrong sign", "1.5 sums", "1.6 changes a before b", "1.7 sums",
    ],
)  # fmt: skip
def test_a_tiny_run_names_the_task_that_is_wrong(mistake, tmp_path):
    solution = LABS[0].solution.read_text(encoding="utf-8")
    script = tmp_path / LABS[0].student.name
    script.write_text(mistakes.of_lab("lab01")[mistake].source(solution), encoding="utf-8")
    course.load_script(script).main(["--tiny", "--offline", "--no-plot", "--out", str(tmp_path)])
    claims = json.loads((tmp_path / "findings.json").read_text(encoding="utf-8"))
    wrong = [claim for claim in (Claim(**saved) for saved in claims) if not claim.holds]
    assert any(claim.exact and mistake.split()[0] in claim.task.split(" or ") for claim in wrong)


@pytest.mark.parametrize("lab", [lab for lab in LABS if lab.figures], ids=lambda lab: lab.short)
def test_captions_belong_to_the_figures_of_the_handout(lab):
    figures = (ROOT / "handouts").glob(f"{lab.short}_*.png")
    assert {path.stem.partition("_")[2] for path in figures} == set(lab.figures)
    page = (ROOT / "handouts" / f"{lab.short}.md").read_text(encoding="utf-8")
    assert [caption for caption in lab.figures.values() if f"\n\n*{caption}*" not in page] == []


def test_notebook_is_the_same_twice_and_is_not_overwritten(tmp_path):
    lab = course.find_lab("lab05")
    paths = [notebook.write(lab, tmp_path / name) for name in ("a.ipynb", "b.ipynb")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    cells = json.loads(paths[0].read_text(encoding="utf-8"))["cells"]
    assert {cell["cell_type"] for cell in cells} == {"code", "markdown"}
    assert "".join(cells[0]["source"]).startswith("# Lab 05: ")
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert code[0].startswith("# This cell finds the course.")
    assert code[3] == 'lab.check("5.1")'
    assert code[-2].startswith("RUN = False")
    assert code[-1].startswith('# lab.quiz("lab05")')
    assert any("Your answers" in "".join(cell["source"]) for cell in cells)
    with pytest.raises(UsageError, match=r"a\.ipynb exists and may contain your work"):
        notebook.write(lab, paths[0])


def test_notebook_into_no_folder_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"cannot write .*No such file or directory"):
        notebook.write(course.find_lab("lab05"), tmp_path / "none" / "a.ipynb")


def test_script_without_its_end_is_said():
    with pytest.raises(UsageError, match="lab05: the script does not end in"):
        notebook.as_notebook("x = 1\n", "lab05")
