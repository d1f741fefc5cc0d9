"""A page for each lab, from its solution, its recorded run and its figures. No answer is shown."""

from __future__ import annotations

import ast
import json
import random
import re
import shutil
from pathlib import Path

import jupytext
from figures import figure

from dlcourse import course, notebook, quiz
from dlcourse.course import STUB, Lab, Task
from dlcourse.grade import student_version

__all__ = ["lab_page", "write"]

# A Markdown block inside of HTML needs an empty line on both sides.
FOLDED = "<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def write(root: Path, source: Path, extra: Path, repository: str) -> None:
    """Write the pages of all labs of the course in `root`, and their list, to source/labs.

    extra: the folder whose files the site offers as they are; the notebooks go there.
    repository: "owner/name" on GitHub, for the links to Colab; "" leaves these out.
    """
    folder = source / "labs"
    folder.mkdir(parents=True)
    for name in ("labs", "notebooks"):
        (extra / name).mkdir(parents=True)
    labs = [lab for lab in course.labs(root) if lab.solution.is_file()]
    for lab in labs:
        (folder / f"{lab.short}.md").write_text(lab_page(lab, repository), encoding="utf-8")
        for path in figures(lab):
            shutil.copy(path, folder)
            shutil.copy(path, extra / "labs")  # where a click on the figure leads
        script = student_script(lab)
        (extra / "notebooks" / f"{lab.name}.py").write_text(script, encoding="utf-8")
        (extra / "notebooks" / f"{lab.name}.ipynb").write_text(
            notebook.as_notebook(script, lab.short), encoding="utf-8"
        )
    (folder / "index.md").write_text(list_of(labs), encoding="utf-8")


def list_of(labs: list[Lab]) -> str:
    rows = []
    for lab in labs:
        question = " ".join(introduction(lab).split("\n\n")[0].split())
        points = sum(task.points for task in lab.tasks)
        title = lab.title.rstrip(".")
        rows.append(f"| [{lab.short}]({lab.short}.md) | {title} | {question} | {points:g} |")
    pages = "\n".join(lab.short for lab in labs)
    return "\n".join(
        [
            "# The labs",
            "",
            "Each lab is a script with numbered tasks. You write the answers, and `dlcourse check` "
            "tells you in seconds which of them are right. Then you run the experiment.",
            "",
            "| lab | topic | question | points |",
            "|---|---|---|---|",
            *rows,
            "",
            "```{toctree}",
            ":hidden:",
            "",
            pages,
            "```",
            "",
        ]
    )


def student_script(lab: Lab) -> str:
    return student_version.generate(lab.solution.read_text(encoding="utf-8"), lab.solution.name)


def docstring(lab: Lab) -> str:
    return ast.get_docstring(ast.parse(lab.source)) or ""


def introduction(lab: Lab) -> str:
    """The docstring between its title and the recorded run."""
    text = docstring(lab).partition("\n\n")[2]
    return re.split(r"^A recorded run", text, maxsplit=1, flags=re.MULTILINE)[0].strip()


def lab_page(lab: Lab, repository: str) -> str:
    """The page of `lab` in MyST Markdown."""
    title = docstring(lab).splitlines()[0].rstrip(".")
    parts = [f"# {title}", introduction(lab)]
    parts.append(downloads(lab, repository))
    tasks = {task.id: task for task in lab.tasks}
    cells = jupytext.reads(student_script(lab), fmt="py:percent").cells[1:]
    holds = [re.findall(STUB.pattern, cell.source) for cell in cells]
    last = {task: at for at, found in enumerate(holds) for task, _ in found}
    announced: set[str] = set()
    for at, (cell, found) in enumerate(zip(cells, holds, strict=True)):
        text = cell.source.strip()
        if cell.cell_type == "markdown":
            parts.append(text if not text.startswith("## Quiz") else quiz_part(lab))
            continue
        ids = dict.fromkeys(task for task, _ in found)
        for task in ids:
            if task not in announced:
                parts.append(heading(tasks[task]))
                announced.add(task)
        code = f"```python\n{text}\n```"
        if ids:
            parts.append(code)
            parts += [hints(tasks[task]) for task in ids if last[task] == at]
        else:
            is_main = "\ndef main(" in f"\n{text}"
            summary = "The code of the experiment" if is_main else "More code of the lab"
            if text.startswith(("from ", "import ")):
                summary = "The imports"
            parts.append(FOLDED.format(summary=summary, body=code))
            if is_main:
                parts += [recorded(lab), *map(figure_part, figures(lab))]
    return "\n\n".join(part for part in parts if part) + "\n"


def downloads(lab: Lab, repository: str) -> str:
    links = [
        f'<a href="../notebooks/{lab.name}.{suffix}" download>{text}</a>'
        for suffix, text in (("ipynb", "Download the notebook"), ("py", "Download the script"))
    ]
    if repository:
        place = f"https://colab.research.google.com/github/{repository}/blob/gh-pages"
        links.append(f'<a href="{place}/notebooks/{lab.name}.ipynb">Open in Colab</a>')
    items = "\n".join(f"<li>{link}</li>" for link in links)
    return f'<ul class="downloads">\n{items}\n</ul>'


def heading(task: Task) -> str:
    unit = "point" if task.points == 1 else "points"
    return f"### Task {task.id}: `{task.name}` ({task.points:g} {unit})"


def hints(task: Task) -> str:
    """The hints of a task, each folded by itself."""
    return "\n\n".join(
        FOLDED.format(
            summary=f"Hint {number} for task {task.id}", body=escaped(hint[:1].upper() + hint[1:])
        )
        for number, hint in enumerate(task.hints, start=1)
    )


def escaped(text: str) -> str:
    """Plain text as Markdown; what is between backticks stays code."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_<>\[\]|#$])", r"\\\1", part)
        for part in parts
    )


def recorded(lab: Lab) -> str:
    """The run that the docstring shows, with where and when it was made."""
    _, marker, run = docstring(lab).partition("\nA recorded run")
    path = lab.root / "benchmarks" / "results" / "labs" / f"{lab.short}.json"
    if not marker or not path.is_file():
        return "## A recorded run\n\nNo run of this lab is recorded yet."
    run = run.partition("\nThe figures in ")[0].strip()
    record = json.loads(path.read_text(encoding="utf-8"))
    seconds = record["result"].get("cpu_seconds", [])
    torch = record["versions"]["torch"].partition("+")[0]
    made = (
        f"Recorded on {record['date']} with PyTorch {torch} "
        f"on {record['hardware']['cores']} cores ({record['hardware']['cpu']})."
    )
    if seconds:
        made += f" Processor time of a run: {', '.join(map(str, seconds))} s."
    return f"## A recorded run\n\nA recorded run{' ' + run if run[0] == '(' else run}\n\n{made}"


def figures(lab: Lab) -> list[Path]:
    return sorted((lab.root / "handouts").glob(f"{lab.short}_*.png"))


def figure_part(path: Path) -> str:
    lab = course.find_lab(path.stem.partition("_")[0], path.parents[1])
    name = path.stem.partition("_")[2]
    return figure(path, escaped(lab.figures.get(name, f"{name.replace('_', ' ').capitalize()}.")))


def quiz_part(lab: Lab) -> str:
    """The questions with their choices in a fixed order, and the answers folded."""
    questions = quiz.read(lab.source, lab.solution.name)
    if not questions:
        return ""
    parts = ["## Quiz"]
    rng = random.Random(lab.short)
    for number, question in enumerate(questions, start=1):
        mixed = question.shuffled(rng)
        lettered = list(zip(quiz.LETTERS, mixed.choices, strict=True))
        choices = "\n".join(f"- ({letter}) {escaped(one.text)}" for letter, one in lettered)
        reasons = "\n".join(f"- ({letter}) {escaped(one.why)}" for letter, one in lettered)
        parts += [
            f"**Question {number}.** {escaped(question.text)}\n\n{choices}",
            FOLDED.format(
                summary=f"Answer to question {number}",
                body=f"({mixed.key}) is right.\n\n{reasons}",
            ),
        ]
    return "\n\n".join(parts)
