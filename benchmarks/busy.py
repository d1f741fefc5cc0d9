"""Measure one epoch on a busy machine: another process keeps each core occupied.

    python benchmarks/busy.py     (about 2 minutes on 2 cores)

The epoch trains LeNet-5 on 1,280 images with batch size 64. Each run is a process of its own,
because GOMP_SPINCOUNT is read when torch is imported. `import dlcourse` sets it to 10000; the run
"torch's default" unsets it. The run with one thread shows what a student could set by hand. All
runs share the same busy machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from common import parser, record, spread

CODE = """
import json, os, sys, time
if sys.argv[1] == "default":
    os.environ["GOMP_SPINCOUNT"] = ""
    import dlcourse
    del os.environ["GOMP_SPINCOUNT"]
import dlcourse
import torch
torch.set_num_threads(int(sys.argv[2]))
from dlcourse import data, models
from dlcourse.train import fit
images = torch.randint(256, (1280, 1, 28, 28), dtype=torch.uint8)
labels = torch.randint(10, (1280,))
batches = data.Batches(images, labels, 64, shuffle=True)
model = models.build("lenet5")
fit(model, batches, epochs=1, device="cpu")
start = time.perf_counter()
fit(model, batches, epochs=1, device="cpu")
print(time.perf_counter() - start)
"""
BUSY = "while True: pass"
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith(("GOMP", "OMP"))}


def epoch(setting: str, threads: int) -> float:
    done = subprocess.run(
        [sys.executable, "-c", CODE, setting, str(threads)],
        capture_output=True, text=True, check=True, env=CLEAN,
    )  # fmt: skip
    return float(done.stdout)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=3)
    args = made.parse_args()
    cores = os.cpu_count()
    runs = {
        "one thread": ("ours", 1),
        f"{cores} threads": ("ours", cores),
        f"{cores} threads, torch's default": ("default", cores),
    }
    result = {"busy_loops": cores}
    for machine in ("quiet", "busy"):
        loops = [
            subprocess.Popen([sys.executable, "-c", BUSY])
            for _ in range(cores if machine == "busy" else 0)
        ]
        try:
            seconds = {name: [] for name in runs}
            for _ in range(args.rounds):
                for name, run in runs.items():
                    seconds[name].append(epoch(*run))
        finally:
            for one in loops:
                one.kill()
                one.wait()
        result[machine] = {name: spread(values) for name, values in seconds.items()}
    alone = statistics.median(seconds["one thread"])
    result["busy_epoch_over_one_thread"] = {
        name: round(statistics.median(values) / alone, 2) for name, values in seconds.items()
    }
    record("busy", result, args.out)


if __name__ == "__main__":
    main()
