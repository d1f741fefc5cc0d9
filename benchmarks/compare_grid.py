"""Time the grid of 5 initializers, 8 optimizers and 3 seeds in its tiny size.

    python benchmarks/compare_grid.py

The time is that of the whole command, from its start to its report: 120 runs, and 200 more runs
that search the learning rates.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import parser, record, spread

FLAGS = (
    "--model mlp --data mnist --init zeros,normal:0.01,normal:1,xavier,kaiming --optimizer "
    "sgd,momentum,nesterov,adagrad,rmsprop,adadelta,adam,nadam --lr auto --seeds 3 --tiny"
)


def main() -> None:
    args = parser(__doc__)
    args.add_argument("--rounds", type=int, default=3)
    args.add_argument("--jobs", default="2")
    args = args.parse_args()
    seconds = []
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "study"
            command = [sys.executable, "-m", "dlcourse", "compare", *FLAGS.split()]
            start = time.perf_counter()
            text = subprocess.run(
                [*command, "--jobs", args.jobs, "--out", out, "--offline"],
                check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
            seconds.append(time.perf_counter() - start)
            rows = len((out / "runs.jsonl").read_text().splitlines())
            swept = len((out / "sweep.jsonl").read_text().splitlines())
    result = {
        "command": f"dlcourse compare {FLAGS} --jobs {args.jobs}",
        "runs": rows,
        "runs of the search": swept,
        "seconds": spread(seconds, 1),
        "table": text.splitlines()[-8:-2],
    }
    record("compare_grid", result, args.out)


if __name__ == "__main__":
    main()
