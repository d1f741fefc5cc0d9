"""Time `dlcourse check LAB` and `dlcourse run LAB --tiny` on each lab's solution.

python benchmarks/labs_quick.py [LAB ...]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import parser, record

from dlcourse import course


def seconds(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "dlcourse", *command], check=True, capture_output=True)
    return round(time.perf_counter() - start, 1)


def main() -> None:
    args = parser(__doc__)
    args.add_argument("labs", nargs="*", metavar="LAB", help="default: all")
    args = args.parse_args()
    result = {}
    for lab in args.labs or [lab.short for lab in course.labs()]:
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "out")
            result[lab] = {
                "check": seconds("check", lab, "--solution"),
                "run --tiny": seconds(
                    "run", lab, "--solution", "--tiny", "--offline", "--out", out
                ),
            }
        print(lab, result[lab], flush=True)
    record("labs_quick", result, args.out)


if __name__ == "__main__":
    main()
