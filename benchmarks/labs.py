"""Run the labs' solutions on real data, record what they show, and write their handouts.

    DLCOURSE_DATA=DIR python benchmarks/labs.py lab05 [--seeds 3] [--full]

Each lab is run with the seeds 0, 1, 2, ... What the run with seed 0 prints replaces the lines below
"A recorded run" in the solution's docstring; the lab's claims over all seeds replace the lines
below "Over N seeds". The figures are reduced in size and saved in handouts/, with a page that shows
them together with the question and the tasks. Everything is recorded in results/labs/. `--full`
records one long run and changes neither docstring nor handout. `--page` runs nothing: it writes
docstring and page from what is recorded. `--figures` runs seed 0 once more and renews only the
figures; it refuses a run that prints anything else than the record. Each run computes with one
thread: with another number of threads it adds numbers in another order, and rounds differently.
"""

from __future__ import annotations

import ast
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from common import RESULTS, parser, record
from PIL import Image, PngImagePlugin

from dlcourse import course
from dlcourse.data.folder import data_folder
from dlcourse.findings import Claim
from dlcourse.grade import student_version

BLOCK = r"(?:\n(?:    .*\n)*)*(?=\"\"\"|^\S)"
RUN = re.compile(rf"^(A recorded run.*:\n){BLOCK}", re.MULTILINE)
CLAIMS = re.compile(rf"^Over \d+ seeds.*:\n{BLOCK}", re.MULTILINE)
FIGURE_WIDTH = 700  # pixels, as wide as a page of text


def main() -> None:
    made = parser(__doc__)
    made.add_argument("labs", nargs="+", metavar="LAB")
    made.add_argument("--seeds", type=int, default=3, metavar="N", help="default: %(default)s")
    made.add_argument(
        "--first", type=int, default=0, metavar="SEED",
        help="add the runs from this seed on to those that are recorded",
    )  # fmt: skip
    made.add_argument("--full", action="store_true", help="the long run")
    made.add_argument("--page", action="store_true", help="run nothing, write from the record")
    made.add_argument("--figures", action="store_true", help="renew the figures alone")
    args = made.parse_args()
    for name in args.labs:
        lab = course.find_lab(name)
        path = args.out or RESULTS / "labs" / f"{lab.short}{'_full' if args.full else ''}.json"
        if args.figures:
            renew_figures(lab, json.loads(path.read_text(encoding="utf-8"))["result"])
        elif not args.page:
            measure(lab, range(args.first, 1 if args.full else args.seeds), args.full, path)
        if not args.full:
            write_docstring(lab, json.loads(path.read_text(encoding="utf-8"))["result"])
            write_page(lab)


def measure(lab: course.Lab, seeds: range, full: bool, path: Path) -> None:
    """Run `lab` with each seed; record what seed 0 prints, all claims, and the seconds in `path`.

    The record is written after each run. Runs of other seeds than 0 add to what it holds.
    """
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            flags = ["--seed", str(seed), *["--full"] * full, *["--no-plot"] * (seed > 0)]
            stdout, seconds = run(lab, flags, folder)
            claims = read_claims(lab, Path(folder))
            if seed == 0 and not full:
                shrink_figures(lab, Path(folder) / "results" / lab.short)
        if seed == 0:
            result = {"flags": "--full" if full else "", "cpu_seconds": [], "stdout": stdout}
        else:
            result = json.loads(path.read_text(encoding="utf-8"))["result"]
            before = [Claim(**claim) for claim in result["claims"]]
            claims = [over_seeds(same) for same in zip(before, claims, strict=True)]
        result["cpu_seconds"] += [round(seconds)]
        record(lab.name, result | {"claims": [asdict(claim) for claim in claims]}, path)


def renew_figures(lab: course.Lab, result: dict) -> None:
    """Draw the figures of the recorded run again; stop if the run differs from the record."""
    with tempfile.TemporaryDirectory() as folder:
        stdout, _ = run(lab, ["--seed", "0"], folder)
        if stdout != result["stdout"]:
            raise SystemExit(f"{lab.short}: the run differs from its record; record it again")
        shrink_figures(lab, Path(folder) / "results" / lab.short)


def over_seeds(same: Sequence[Claim]) -> Claim:
    """One claim with the numbers of all runs."""
    left, right = [[v for c in same for v in getattr(c, side)] for side in ("left", "right")]
    return replace(same[0], left=left, right=right)


def read_claims(lab: course.Lab, folder: Path) -> list[Claim]:
    """The claims of the run in `folder`."""
    path = folder / "results" / lab.short / "findings.json"
    return [Claim(**claim) for claim in json.loads(path.read_text(encoding="utf-8"))]


def run(lab: course.Lab, flags: list[str], folder: str) -> tuple[list[str], float]:
    """Run the solution in `folder`; return what it prints and the processor time that it needs."""
    # The lab prints the path of its data. A link keeps this machine's path out of the record.
    (Path(folder) / "datasets").symlink_to(data_folder().resolve())
    environment = os.environ | {"DLCOURSE_DATA": "datasets"}
    start = children_seconds()
    done = subprocess.run(
        [
            sys.executable, "-m", "dlcourse", "run", lab.name, "--solution", "--offline",
            "--threads", "1", *flags,
        ],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )  # fmt: skip
    return done.stdout.splitlines(), children_seconds() - start


def children_seconds() -> float:
    """The processor time of this process's children; other programs do not count."""
    used = os.times()
    return used.children_user + used.children_system


def write_docstring(lab: course.Lab, result: dict) -> None:
    """Put the recorded run and the claims into the docstring; generate the student version."""
    text = lab.solution.read_text(encoding="utf-8")
    for heading, block in ((RUN, run_block(result)), (CLAIMS, claims_block(result))):
        text, count = heading.subn(
            lambda match, block=block: (match[1] if match.re is RUN else "") + block, text, count=1
        )
        if not count:
            raise SystemExit(f"{lab.solution.name}: the docstring has no line {heading.pattern!r}")
    lab.solution.write_text(text, encoding="utf-8", newline="\n")
    student_version.write([lab])


def run_block(result: dict) -> str:
    """What the recorded run prints, as the docstring shows it; the claims follow over all seeds."""
    lines = itertools.takewhile(lambda line: line != "what this run shows", result["stdout"])
    return "\n" + "".join(f"    {line}".rstrip() + "\n" for line in lines)


def claims_block(result: dict) -> str:
    """The claims over all seeds, as the docstring shows them: means and standard deviations."""
    claims = [Claim(**claim) for claim in result["claims"]]
    seeds = max(len(claim.left) for claim in claims)
    lines = [f"Over {seeds} seeds (mean, standard deviation, how many seeds agree):", ""]
    for claim in claims:
        left, right = (average(side, claim.form) for side in (claim.left, claim.right))
        agree = "exact" if claim.exact else f"{claim.agreeing} of {len(claim.left)}"
        lines.append(f"    {claim.text:<50}{left:>16} {claim.relation} {right:<16}{agree}")
    return "\n".join(lines) + "\n"


def average(values: list[float], form: str) -> str:
    """The mean, and in brackets the standard deviation, if the values differ."""
    if len(set(values)) == 1:
        return format(values[0], form)
    return f"{statistics.mean(values):{form}} ({statistics.stdev(values):{form}})"


def shrink_figures(lab: course.Lab, results: Path) -> None:
    """Save the run's figures, reduced in size, as handouts/<lab>_<figure>.png."""
    folder = lab.root / "handouts"
    folder.mkdir(exist_ok=True)
    for old in folder.glob(f"{lab.short}_*.png"):
        old.unlink()
    for path in sorted(results.glob("*.png")):
        with Image.open(path) as image:
            described = PngImagePlugin.PngInfo()
            # What dlcourse.figure_style wrote, for readers who do not see the figure.
            described.add_text("Description", image.info.get("Description", ""))
            image = image.convert("RGB")
            image.thumbnail((FIGURE_WIDTH, FIGURE_WIDTH), Image.Resampling.LANCZOS)
            # Unlike the default, this method keeps the colors of small parts.
            image = image.quantize(64, method=Image.Quantize.FASTOCTREE)
            image.save(folder / f"{lab.short}_{path.name}", optimize=True, pnginfo=described)


def write_page(lab: course.Lab) -> None:
    """Write handouts/<lab>.md: the lab's question, tasks, recorded run and figures."""
    doc = ast.get_docstring(ast.parse(lab.solution.read_text(encoding="utf-8")))
    title, _, body = doc.partition("\n\n")  # indented lines are code in Markdown, too
    tasks = [f"| {task.id} | `{task.name}` | {task.points:g} |" for task in lab.tasks]
    figures = [
        figure_block(path, lab.figures)
        for path in sorted((lab.root / "handouts").glob(f"{lab.short}_*.png"))
    ]
    body = body.partition("\nThe figures in ")[0].rstrip()
    page = [
        f"# {title.rstrip('.')}",
        body,
        f"The tasks are in [`labs/{lab.name}.py`](../labs/{lab.name}.py).",
        "\n".join(["| task | function | points |", "|---|---|---|", *tasks]),
        *figures,
    ]
    path = lab.root / "handouts" / f"{lab.short}.md"
    path.write_text("\n\n".join(page) + "\n", encoding="utf-8", newline="\n")


def figure_block(path: Path, captions: Mapping[str, str]) -> str:
    """A figure with its description, and its caption below it."""
    name = path.stem.partition("_")[2]
    with Image.open(path) as image:
        description = image.info.get("Description", "").replace("]", ")").replace("[", "(")
    caption = captions.get(name, f"{name.replace('_', ' ').capitalize()}.")
    return f"![{description or caption}]({path.name})\n\n*{caption}*"


if __name__ == "__main__":
    main()
