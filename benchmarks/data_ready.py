"""Measure the seconds and the peak memory from files on disk to the first batch.

    DLCOURSE_DATA=DIR python benchmarks/data_ready.py

The files are cifar10.npz and MNIST's IDX files. Each time is that of a new process that has already
imported torch. Memory is the growth of the process's peak during loading, divided by the size of
the arrays.
"""

from __future__ import annotations

import json
import subprocess
import sys

import common

from dlcourse.data.folder import data_folder

CHILD = """
import json, sys, time
import torch
from dlcourse import data
from dlcourse.data import batches, images, normalize, npz, torchvision_files
torch.set_num_threads(2)
torch.zeros(2).float().sum()
def kilobytes(name):  # not getrusage, whose peak begins with that of the parent process
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name)))
open("/proc/self/clear_refs", "w").write("5")  # forget the peak of the imports
before, start = kilobytes("VmRSS"), time.perf_counter()
loaded = data.load(sys.argv[1], offline=True)
next(iter(loaded.batches(64)[0]))
seconds = time.perf_counter() - start
size = sum(t.nbytes for t in (loaded.train_images, loaded.train_labels,
                              loaded.test_images, loaded.test_labels))
assert not loaded.synthetic, "needs real data: set DLCOURSE_DATA"
print(json.dumps({"seconds": seconds, "times_size": 1024 * (kilobytes("VmHWM") - before) / size,
                  "source": loaded.source}))
"""


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    names = ("cifar10", "mnist")
    runs = {name: [] for name in names}
    for _ in range(args.rounds + 1):
        for name in names:
            done = subprocess.run(
                [sys.executable, "-c", CHILD, name], check=True, capture_output=True, text=True
            )
            runs[name].append(json.loads(done.stdout))
    result = {
        name: {
            "source": each[0]["source"].replace(str(data_folder()), "DLCOURSE_DATA"),
            "seconds": common.spread([run["seconds"] for run in each[1:]]),
            "memory_over_size": common.spread([run["times_size"] for run in each[1:]], 2),
        }
        for name, each in runs.items()
    }
    common.record("data_ready", result, args.out)


if __name__ == "__main__":
    main()
