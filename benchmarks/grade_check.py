"""Measure how long a student waits for `dlcourse --help` and for `dlcourse check`.

    python benchmarks/grade_check.py

The checks run in the student's bundle, on a solved lab and on one as it was handed out, and once
more on the solution in this course, where the hidden tests run too. Each is a process of its own,
and so is `import torch`, the part of a check that cannot be shortened here. Required: --help in
under 0.15 s and the student's check of the solution in under 2.5 s.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import common

LAB = "lab05_convnets"
COMMAND = [sys.executable, "-m", "dlcourse"]


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bundle = common.student_bundle(Path(scratch))
        stub = bundle / "stub.py"
        stub.write_bytes((common.ROOT / "labs" / f"{LAB}.py").read_bytes())

        def run(*words: str, folder: Path = bundle) -> None:
            subprocess.run([*COMMAND, *words], cwd=folder, capture_output=True, check=False)

        seconds = common.interleave(
            {
                "--help": lambda: run("--help"),
                "import torch": lambda: subprocess.run([sys.executable, "-c", "import torch"]),
                "check": lambda: run("check", "lab05"),
                "check of an untouched lab": lambda: run("check", "lab05", "--file", str(stub)),
                "check with the hidden tests": lambda: run(
                    "check", "lab05", "--solution", folder=common.ROOT
                ),
            },
            args.rounds,
        )
    result = {name: common.spread(values) for name, values in seconds.items()}
    common.record(
        "grade_check", {"seconds": result, "asked": {"--help": 0.15, "check": 2.5}}, args.out
    )


if __name__ == "__main__":
    main()
