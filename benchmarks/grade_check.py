"""Measure how long a student waits for `dlcourse --help` and for `dlcourse check`.

    python benchmarks/grade_check.py

The check is timed on a solution and on a stub. Required: --help in under 0.15 s and the check of
the solution in under 10 s, each as a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import common

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).with_name("dlcourse")


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    def run(*words: str) -> None:
        subprocess.run([COMMAND, *words], cwd=ROOT, capture_output=True, check=False)

    seconds = common.interleave(
        {
            "--help": lambda: run("--help"),
            "check of the solution": lambda: run("check", "lab05", "--solution"),
            "check of the untouched lab": lambda: run("check", "lab05"),
        },
        args.rounds,
    )
    result = {name: common.spread(values) for name, values in seconds.items()}
    common.record(
        "grade_check", {"seconds": result, "asked": {"--help": 0.15, "check": 10}}, args.out
    )


if __name__ == "__main__":
    main()
