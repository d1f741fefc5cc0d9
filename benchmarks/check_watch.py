"""`dlcourse check LAB --watch`: the time from a save to the verdict on the task that changed.

It runs in the student's bundle. For each lab, the solution is saved again and again with one more
comment in a task, each task in turn; the clock runs from the write to the line "total" of the
verdict. `cpu_s` is the processor time of the watching process in between (Linux).

    python benchmarks/check_watch.py [--saves 20]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common

from dlcourse import course


def cpu_s(process: subprocess.Popen) -> float:
    """The processor time that `process` has used, in seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seconds_of(lab: course.Lab, saves: int, place: Path) -> list[tuple[float, float]]:
    """The seconds of each save of `lab`, by the clock and of processor time."""
    file = place / "labs" / f"{lab.name}.py"
    lines = lab.solution.read_text(encoding="utf-8").splitlines()
    ends = [number for number, line in enumerate(lines) if line.strip() == "# BEGIN SOLUTION"]
    file.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "dlcourse", "check", lab.short, "--watch"]
    found = []
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) as process:
        wait_for(process, "total")
        for number in range(saves):
            at = ends[number % len(ends)]
            indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
            text = [*lines[:at], f"{indent}# save {number}", *lines[at:]]
            time.sleep(0.1)
            start, before = time.perf_counter(), cpu_s(process)
            file.write_text("\n".join(text) + "\n")
            wait_for(process, "total")
            found.append((time.perf_counter() - start, cpu_s(process) - before))
            wait_for(process, f"{lab.short}: ")
            lines = text
            ends = [n for n, line in enumerate(lines) if line.strip() == "# BEGIN SOLUTION"]
        process.terminate()
    return found


def wait_for(process: subprocess.Popen, start: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(start):
            return
    raise RuntimeError(f"the watch ended with {process.wait()}")


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--saves", type=int, default=20)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        place = common.student_bundle(Path(scratch))
        for lab in course.labs():
            clock, cpu = zip(*seconds_of(lab, args.saves, place), strict=True)
            rows.append(
                {"lab": lab.short,
                 "median_s": round(statistics.median(clock), 2), "worst_s": round(max(clock), 2),
                 "median_cpu_s": round(statistics.median(cpu), 2),
                 "worst_cpu_s": round(max(cpu), 2)}
            )  # fmt: skip
            print(rows[-1], flush=True)
    common.record(
        "check_watch", {"saves": args.saves, "load": os.getloadavg(), "labs": rows}, args.out
    )


if __name__ == "__main__":
    main()
