"""What every benchmark shares: fair timing, and a result file with hardware and versions."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import math
import multiprocessing
import os
import platform
import statistics
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import course
from dlcourse.grade.release import release
from dlcourse.runtime import versions

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
LINEAR = 1.1  # a power of the size up to this counts as linear
TICK_S = 0.01  # the resolution of processor time


def student_bundle(folder: Path) -> Path:
    """Unpack what students are given into `folder`, with every lab solved, and return its path.

    `python -m dlcourse` in that folder is the students' own.
    """
    release(course.find_course(), folder / "released")
    place = folder / "course"
    with zipfile.ZipFile(folder / "released" / "course.zip") as bundle:
        bundle.extractall(place)
    for lab in course.labs():
        (place / "labs" / lab.solution.name).write_bytes(lab.solution.read_bytes())
    return place


def interleave(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Measure the seconds of each contestant in each round.

    The contestants take turns, so that changes of the machine's speed affect all of them. The first
    round is not counted.
    """
    seconds = {name: [] for name in contestants}
    for counted in [False, *[True] * rounds]:
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if counted:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def interleave_apart(
    makers: dict[str, Callable[[], Callable[[], object]]], rounds: int
) -> dict[str, list[float]]:
    """Like `interleave`, but each contestant is created and run in a process of its own.

    What one contestant does to its process, such as keeping freed memory, then does not affect the
    others. The makers must be picklable.
    """
    spawn, pipes = multiprocessing.get_context("spawn"), {}
    for name, make in makers.items():
        pipes[name], theirs = spawn.Pipe()
        spawn.Process(target=serve, args=(make, theirs)).start()
        theirs.close()
    seconds = {name: [] for name in makers}
    try:
        for counted in [False, *[True] * rounds]:
            for name, pipe in pipes.items():
                pipe.send("run")
                took = pipe.recv()
                if counted:
                    seconds[name].append(took)
    finally:
        for pipe in pipes.values():  # this ends the processes, even if one has failed
            pipe.close()
    return seconds


def serve(make: Callable[[], Callable[[], object]], pipe: Connection) -> None:
    """In a contestant's process: run it for each message received and answer with its seconds."""
    run = make()
    with contextlib.suppress(EOFError):
        while pipe.recv():
            start = time.perf_counter()
            run()
            pipe.send(time.perf_counter() - start)


def cost_curve(
    make: Callable[[int], Callable[[], dict | None]], sizes: Sequence[int], unit: str
) -> dict:
    """Measure what work costs at each of `sizes`, and how its cost grows.

    `make(size)` prepares the work, which is not measured, and returns a function that does it and
    may return further figures. Each size has a process of its own. cpu_s: processor time of that
    process and of the ended ones that it started; a busy machine hardly changes it. memory_mb: by
    how much the process's own memory grew at most. exponent: of the power of the size that fits the
    processor time of the three largest sizes.
    """
    spawn, rows = multiprocessing.get_context("spawn"), []
    for size in sizes:
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=measure, args=(make, size, theirs))
        process.start()
        theirs.close()
        row = {unit: size, **ours.recv()}  # EOFError if the process failed, with its traceback
        process.join()
        rows.append(row)
        print(row, flush=True)
    last = rows[-3:]
    slope, _ = statistics.linear_regression(
        [math.log(row[unit]) for row in last],
        [math.log(max(row["cpu_s"], TICK_S)) for row in last],
    )
    grows = "linear" if slope <= LINEAR else "more than linear"
    return {
        "rows": rows,
        "exponent": round(slope, 2),
        "verdict": f"{grows}: processor time grows with {unit} to the power {slope:.2f}",
        "load_average": round(os.getloadavg()[0], 1),
    }


def measure(make: Callable[[int], Callable[[], dict | None]], size: int, pipe: Connection) -> None:
    """In a process of its own: do the work of one size and send what it cost."""
    run = make(size)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    before, wall, cpu = memory_kb("VmRSS"), time.perf_counter(), os.times()
    more = run()
    after, seconds = os.times(), time.perf_counter() - wall
    pipe.send({
        "cpu_s": round(sum(after[:4]) - sum(cpu[:4]), 3),
        "wall_s": round(seconds, 3),
        "memory_mb": round((memory_kb("VmHWM") - before) / 1000, 1),
        **(more or {}),
    })  # fmt: skip


def memory_kb(field: str) -> int:
    """A field of this process's status: VmRSS, its memory, or VmHWM, the peak of that."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field)))


def bare_loop(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Train one epoch as one writes it by hand, with a new Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for inputs, targets in batches:
        loss = F.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def spread(values: list[float], digits: int = 4) -> dict[str, float | int]:
    """The median, smallest and largest of `values`, and their number."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "n": len(values),
    }


def cpu_name() -> str:
    """The name of the processor, as far as the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def record(name: str, result: dict, out: Path | None = None) -> Path:
    """Write `result` with hardware, versions and date to `out` (default: results/<name>.json)."""
    path = out or RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {
        "benchmark": name,
        "date": datetime.date.today().isoformat(),
        "hardware": {"cpu": cpu_name(), "cores": os.cpu_count()},
        "versions": versions(),
        "result": result,
    }
    path.write_text(json.dumps(entry, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return path


def recorded(path: Path) -> dict:
    """The result recorded at `path`, for one that adds to it; {} if there is none.

    A record names one machine: what another one measured is left out, with a line on stderr.
    """
    if not path.is_file():
        return {}
    entry = json.loads(path.read_text(encoding="utf-8"))
    if entry["hardware"] == {"cpu": cpu_name(), "cores": os.cpu_count()}:
        return entry["result"]
    old = ", ".join(entry["result"])
    print(f"{path.name}: {old}: measured on {entry['hardware']['cpu']}; left out", file=sys.stderr)
    return {}


def parser(doc: str) -> argparse.ArgumentParser:
    """Return a parser with the flag that all benchmarks share."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--out", type=Path, help="file for the result (default: in results/)")
    return made
