"""What every benchmark shares: timing in turn, and a result file that says where it came from."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse.runtime import versions

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def interleave(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contestant in each round; they take turns, so the machine's drift hits all.

    One uncounted round comes first.
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
    """As `interleave`, with each contestant made and run in a process of its own.

    So what one does to its process, such as keeping freed memory, is not there for the others.
    Makers must be picklable.
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
        for pipe in pipes.values():  # which ends the processes, also where one has failed
            pipe.close()
    return seconds


def serve(make: Callable[[], Callable[[], object]], pipe: Connection) -> None:
    """In a contestant's process: run it when told, answer with its seconds."""
    run = make()
    with contextlib.suppress(EOFError):
        while pipe.recv():
            start = time.perf_counter()
            run()
            pipe.send(time.perf_counter() - start)


def bare_loop(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """An epoch as one writes it by hand, with a new Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for inputs, targets in batches:
        loss = F.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def spread(values: list[float], digits: int = 4) -> dict[str, float | int]:
    """Median, least, most and n."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "n": len(values),
    }


def cpu_name() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def record(name: str, result: dict, out: Path | None = None) -> Path:
    """Write `result` with hardware, versions and date to benchmarks/results/<name>.json."""
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


def parser(doc: str) -> argparse.ArgumentParser:
    """A parser with the flag common to all benchmarks."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--out", type=Path, help="where the result goes (default: results/ beside)")
    return made
