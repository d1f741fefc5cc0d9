"""Measure how the time and the memory of `load_text` grow with the size of a text.

    DLCOURSE_DATA=DIR python benchmarks/data_text.py

The texts are Penn Treebank's training text, repeated to each size. A new process reads each of
them, word by word and character by character; once from the text, once from the numbers that the
first time kept. Time is processor time. Memory is the growth of the process's peak, divided by the
size of the file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import common

from dlcourse import data
from dlcourse.data.folder import data_folder

MEGABYTES = (10, 50, 130, 500)
CHILD = """
import json, sys, time
import torch
from dlcourse.data.text import load_text
torch.zeros(2).count_nonzero()
def kilobytes(name):  # not getrusage, whose peak begins with that of the parent process
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name)))
open("/proc/self/clear_refs", "w").write("5")  # forget the peak of the imports
before, start = kilobytes("VmRSS"), time.process_time()
loaded = load_text(sys.argv[1], level=sys.argv[2])
seconds = time.process_time() - start
tokens = sum(len(part) for part in (loaded.train, loaded.val, loaded.test))
print(json.dumps({"cpu_s": round(seconds, 2), "million_tokens": round(tokens / 1e6, 2),
                  "million_tokens_per_s": round(tokens / seconds / 1e6, 2),
                  "memory_growth_bytes": 1024 * (kilobytes("VmHWM") - before)}))
"""


def main() -> None:
    args = common.parser(__doc__).parse_args()
    if data.load_text("ptb", offline=True).synthetic:
        raise SystemExit("needs real data: set DLCOURSE_DATA")
    folder = data_folder() / "ptb"
    text = next(path for path in folder.iterdir() if "train" in path.name).read_bytes()
    result: dict[str, object] = {"load_average": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "text.txt"
        for megabytes in MEGABYTES:
            path.write_bytes(text * max(1, round(megabytes * 1e6 / len(text))))
            size = path.stat().st_size
            for level in ("word", "char"):
                command = [sys.executable, "-c", CHILD, str(path), level]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                row = json.loads(done.stdout)
                row["memory_over_file"] = round(row.pop("memory_growth_bytes") / size, 2)
                result[f"{size / 1e6:.0f} MB, {level}"] = row
    common.record("data_text", result, args.out)


if __name__ == "__main__":
    main()
