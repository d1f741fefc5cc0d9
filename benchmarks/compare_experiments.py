"""Run the lectures' experiments; record the verdict, table and figures of each.

python benchmarks/compare_experiments.py [NAME ...] [--full] [--smaller SETTING=VALUE ...]

The tiny size runs unless --full is given. --smaller makes the full size of an experiment that is
out of reach smaller; the record says so. What is recorded of other experiments stays. The figures
go to docs/experiments/; the web site shows them with the record.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, parser, record, recorded
from PIL import Image, PngImagePlugin

from dlcourse.compare.lectures.catalog import EXPERIMENTS
from dlcourse.data.folder import data_folder

MOST_FIGURES, FIGURE_WIDTH = 3, 900


def main() -> None:
    args = parser(__doc__)
    args.add_argument("names", nargs="*", default=list(EXPERIMENTS), help="default: all")
    args.add_argument("--full", action="store_true", help="run the full size")
    args.add_argument("--smaller", nargs="+", default=[], metavar="SETTING=VALUE")
    args = args.parse_args()
    size = "full" if args.full else "tiny"
    title = f"compare_experiments{'_full' if args.full else ''}"
    for name in args.names:
        found = run(name, size, dict(one.split("=") for one in args.smaller))
        path = args.out or RESULTS / f"{title}.json"
        record(title, recorded(path) | {name: found}, args.out)


def run(name: str, size: str, smaller: dict[str, str]) -> dict[str, Any]:
    """Run one experiment at a size, with the settings `smaller` changed; return its record."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study"
        command = [sys.executable, "-m", "dlcourse", "compare", name, "--offline", "--figures"]
        start = time.perf_counter()
        lines = subprocess.run(
            [*command, "png", *["--tiny"] * (size == "tiny"), "--out", str(study),
             *(f"--{name.replace('_', '-')}={value}" for name, value in smaller.items())],
            check=True, capture_output=True, text=True,
        ).stdout.splitlines()  # fmt: skip
        took = time.perf_counter() - start
        about = json.loads((study / "study.json").read_text(encoding="utf-8"))["about"]
        end = next(at for at, line in enumerate(lines) if line.startswith("Expected: "))
        table = [line.replace(f"; {study}", "") for line in lines[:end]]
        return {
            "seconds": round(took, 1),
            "date": about["date"][:10],
            "synthetic": about["synthetic"],
            "smaller": smaller,
            "verdict": next(line for line in lines if line.startswith("Expected outcome")),
            "table": [
                line.replace(str(data_folder()), "datasets").replace(str(Path.cwd()), ".")
                for line in table
            ],
            "figures": keep_figures(study, f"{name}_{size}"),
        }


def keep_figures(study: Path, start: str) -> list[dict[str, str]]:
    """Save the study's first figures in docs/experiments; return their files and captions."""
    folder = ROOT / "docs" / "experiments"
    folder.mkdir(exist_ok=True)
    for old in folder.glob(f"{start}_*.png"):
        old.unlink()
    kept = []
    paths = sorted(study.glob("*.png"), key=lambda path: path.stat().st_mtime_ns)
    for path in paths[:MOST_FIGURES]:
        with Image.open(path) as image:
            described = PngImagePlugin.PngInfo()
            described.add_text("Description", image.info.get("Description", ""))
            small = image.convert("RGB")
            small.thumbnail((FIGURE_WIDTH, FIGURE_WIDTH), Image.Resampling.LANCZOS)
            target = folder / f"{start}_{path.name}"
            small.quantize(64).save(target, optimize=True, pnginfo=described)
        kept.append({"file": target.name, "caption": path.stem.replace("_", " ").capitalize()})
    return kept


if __name__ == "__main__":
    main()
