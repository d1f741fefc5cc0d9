"""Run the lectures' experiments in their tiny size; record the seconds and verdict of each.

python benchmarks/compare_experiments.py [NAME ...]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import parser, record

from dlcourse.compare.lectures.catalog import EXPERIMENTS


def main() -> None:
    args = parser(__doc__)
    args.add_argument("names", nargs="*", default=list(EXPERIMENTS), help="default: all")
    args.add_argument("--full", action="store_true", help="run the full size")
    args = args.parse_args()
    result = {}
    for name in args.names:
        with tempfile.TemporaryDirectory() as folder:
            size = [] if args.full else ["--tiny"]
            command = [sys.executable, "-m", "dlcourse", "compare", name, *size, "--offline"]
            start = time.perf_counter()
            lines = subprocess.run(
                [*command, "--out", Path(folder) / "study"],
                check=True, capture_output=True, text=True,
            ).stdout.splitlines()  # fmt: skip
            took = time.perf_counter() - start
        verdict = next(line for line in lines if line.startswith("Expected outcome"))
        result[name] = {"seconds": round(took, 1), "verdict": verdict}
        print(name, result[name], flush=True)
    record(f"compare_experiments{'_full' if args.full else ''}", result, args.out)


if __name__ == "__main__":
    main()
