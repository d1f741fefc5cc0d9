"""Measure what a checkpoint costs by the size of the model, and kill writers at random moments.

    python benchmarks/checkpoints.py                       (1 to 100 M parameters; a minute)
    python benchmarks/checkpoints.py --millions 1 10 100 500

The state is that of a model with Adam: three numbers for each parameter. Then a process writes one
checkpoint after another and is killed (SIGKILL) at a random moment, again and again; each time the
file must load, whole, and be no older than the last one whose write had returned.
"""

from __future__ import annotations

import functools
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import common
import torch

from dlcourse.train import checkpoint

MILLIONS = (1, 10, 50, 100)
WRITER = """
import sys
from pathlib import Path
from dlcourse.train import checkpoint
import torch
number = 0
while True:
    number += 1
    state = {"number": number, "values": torch.full((500_000,), float(number))}
    checkpoint.write(Path(sys.argv[1]), state)
    print(number, flush=True)
"""


def make(place: str, write: bool, millions: int) -> Callable[[], dict]:
    path = Path(place) / f"{millions}.pt"
    state = {name: {"w": torch.zeros(1000, 1000 * millions)} for name in ("model", "m", "v")}
    if not write:
        checkpoint.write(path, state)
        del state

    def work() -> dict:
        if write:
            checkpoint.write(path, state)
        else:
            checkpoint.read(path)
        return {"file_mb": round(path.stat().st_size / 1e6)}

    return work


def killed(kills: int) -> dict:
    """Kill a writer so often; count what is wrong with the files that it leaves."""
    source, wrong, half = random.Random(0), 0, 0
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / checkpoint.NAME
        for _ in range(kills):
            path.unlink(missing_ok=True)
            with subprocess.Popen(
                [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
            ) as writer:
                assert writer.stdout is not None
                said = [writer.stdout.readline()]  # the first one is whole
                time.sleep(source.uniform(0, 0.2))
                writer.kill()
                said += writer.stdout.readlines()
            last = max(int(line) for line in said if line.endswith("\n"))
            state = checkpoint.read(path)
            whole = bool((state["values"] == state["number"]).all())
            wrong += not whole or state["number"] < last
            parts = list(Path(place).glob("*.part"))
            half += bool(parts)
            for part in parts:
                part.unlink()
    return {"kills": kills, "during_a_write": half, "wrong": wrong}


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--millions", type=int, nargs="+", default=MILLIONS)
    parser.add_argument("--kills", type=int, default=20)
    args = parser.parse_args()
    found: dict = {}
    with tempfile.TemporaryDirectory() as place:
        for name, write in (("write", True), ("read", False)):
            prepare = functools.partial(make, place, write)
            found[name] = common.cost_curve(prepare, args.millions, "million_parameters")
    found["killed"] = killed(args.kills)
    common.record("checkpoints", found, args.out)


if __name__ == "__main__":
    main()
