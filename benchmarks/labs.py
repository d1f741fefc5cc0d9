"""Run the labs' solutions on real data, record their output, and write their handouts.

    DLCOURSE_DATA=DIR python benchmarks/labs.py lab05 [--full]

The output replaces the lines below "A recorded run" in the solution's docstring. The figures are
reduced in size and saved in handouts/, with a page that shows them together with the question and
the tasks. Output and seconds are recorded in results/labs/. `--full` records the long run and
changes neither docstring nor handout. `--page` writes only the page and runs nothing.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import RESULTS, parser, record
from PIL import Image

from dlcourse import course
from dlcourse.data.folder import data_folder
from dlcourse.grade import student_version

HEADING = re.compile(r'^(A recorded run.*:\n)(?:\n(?:    .*\n)*)*(?="""|^\S)', re.MULTILINE)
FIGURE_WIDTH = 700  # pixels, as wide as a page of text


def main() -> None:
    made = parser(__doc__)
    made.add_argument("labs", nargs="+", metavar="LAB")
    made.add_argument("--full", action="store_true", help="the long run")
    made.add_argument("--page", action="store_true", help="write only the page of the handout")
    args = made.parse_args()
    for name in args.labs:
        lab = course.find_lab(name)
        if args.page:
            write_page(lab)
            continue
        with tempfile.TemporaryDirectory() as folder:
            stdout, seconds = run(lab, ["--full"] if args.full else [], folder)
            if not args.full:
                write_recorded_run(lab, stdout)
                shrink_figures(lab, Path(folder) / "results" / lab.short)
                write_page(lab)
        result = {
            "flags": "--full" if args.full else "",
            "seconds": round(seconds),
            "stdout": stdout,
        }
        file = f"{lab.short}_full.json" if args.full else f"{lab.short}.json"
        record(lab.name, result, args.out or RESULTS / "labs" / file)


def run(lab: course.Lab, flags: list[str], folder: str) -> tuple[list[str], float]:
    """Run the solution in `folder`; return the lines that it prints and its seconds."""
    # The lab prints the path of its data. A link keeps this machine's path out of the record.
    (Path(folder) / "datasets").symlink_to(data_folder().resolve())
    environment = os.environ | {"DLCOURSE_DATA": "datasets"}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "dlcourse", "run", lab.name, "--solution", "--offline", *flags],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines(), time.perf_counter() - start


def write_recorded_run(lab: course.Lab, stdout: list[str]) -> None:
    """Put `stdout` below "A recorded run" in the docstring and generate the student version."""
    source = lab.solution.read_text(encoding="utf-8")
    block = "".join(f"    {line}".rstrip() + "\n" for line in stdout)
    text, count = HEADING.subn(lambda match: f"{match[1]}\n{block}", source, count=1)
    if not count:
        raise SystemExit(f"{lab.solution.name}: the docstring has no line 'A recorded run ...:'")
    lab.solution.write_text(text, encoding="utf-8", newline="\n")
    student_version.write([lab])


def shrink_figures(lab: course.Lab, results: Path) -> None:
    """Save the run's figures, reduced in size, as handouts/<lab>_<figure>.png."""
    folder = lab.root / "handouts"
    folder.mkdir(exist_ok=True)
    for old in folder.glob(f"{lab.short}_*.png"):
        old.unlink()
    for path in sorted(results.glob("*.png")):
        with Image.open(path) as image:
            image = image.convert("RGB")
            image.thumbnail((FIGURE_WIDTH, FIGURE_WIDTH), Image.Resampling.LANCZOS)
            image = image.quantize(64)
            image.save(folder / f"{lab.short}_{path.name}", optimize=True)


def write_page(lab: course.Lab) -> None:
    """Write handouts/<lab>.md: the lab's question, tasks, recorded run and figures."""
    doc = ast.get_docstring(ast.parse(lab.solution.read_text(encoding="utf-8")))
    title, _, body = doc.partition("\n\n")  # indented lines are code in Markdown, too
    tasks = [f"| {task.id} | `{task.name}` | {task.points:g} |" for task in lab.tasks]
    figures = sorted((lab.root / "handouts").glob(f"{lab.short}_*.png"))
    page = [
        f"# {title.rstrip('.')}",
        body,
        f"The tasks are in [`labs/{lab.name}.py`](../labs/{lab.name}.py).",
        "\n".join(["| task | function | points |", "|---|---|---|", *tasks]),
        *(f"![{figure.stem}]({figure.name})" for figure in figures),
    ]
    path = lab.root / "handouts" / f"{lab.short}.md"
    path.write_text("\n\n".join(page) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
