"""Grade 500 submissions of lab05, 10 % of them hostile or broken, in one batch with full isolation.

    python benchmarks/grade_batch.py            (about a minute on 2 cores)

Required: every submission gets a record, no hostile one earns more points than its honest code, the
parent stays under 1 GB, and a batch that is killed with SIGKILL and started again ends with the
same grades.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common

from dlcourse import course
from dlcourse.grade.student_version import generate

sys.path.append(str(common.ROOT / "tests"))
from support.attacks import ATTACKS


def hostile(name: str, attack: str, stub: str) -> str:
    """An attack followed by an unwritten lab: it deserves no points."""
    future = "from __future__ import annotations\n"
    return future + "WON, WRONG_SUM = False, -1\n" + attack + stub.replace(future, "")


def make(folder: Path, students: int) -> dict[str, float]:
    """Write the submissions and return the score that each must get."""
    lab = course.find_lab("lab05", common.ROOT)
    solution = lab.solution.read_text(encoding="utf-8")
    stub = generate(solution)
    full = sum(task.points for task in lab.tasks)
    attacks = list(ATTACKS.items())
    expected = {}
    for number in range(students):
        name = f"student{number:03d}"
        if number % 10 == 9:
            text, expected[name] = hostile(*attacks[number // 10 % len(attacks)], stub), 0.0
        elif number % 10 == 4:
            text, expected[name] = stub, 0.0
        else:
            text, expected[name] = f"# {name}\n{solution}", full
        (folder / name).mkdir(parents=True)
        (folder / name / f"{lab.name}.py").write_text(text, encoding="utf-8")
    return expected


def command(folder: Path, out: Path, jobs: int) -> list[str]:
    return [sys.executable, "-m", "dlcourse", "grade", str(folder), "--lab", "lab05",
            "--out", str(out), "--jobs", str(jobs)]  # fmt: skip


def run(folder: Path, out: Path, jobs: int, kill_after: int | None = None) -> dict:
    """Run a batch; kill it with SIGKILL when the journal holds `kill_after` records."""
    journal = out / "journal.jsonl"
    start = time.perf_counter()
    process = subprocess.Popen(
        command(folder, out, jobs),
        cwd=common.ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak_kb = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak_kb = max(peak_kb, *(int(line.split()[1]) for line in status.splitlines()
                                     if line.startswith("VmHWM")))  # fmt: skip
        except (OSError, TypeError):
            pass
        if kill_after and journal.is_file() and journal.read_bytes().count(b"\n") >= kill_after:
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.05)
    return {"seconds": time.perf_counter() - start, "status": process.returncode,
            "parent_peak_mb": peak_kb // 1024}  # fmt: skip


def grades(out: Path) -> dict[str, float]:
    with (out / "details.csv").open(newline="", encoding="utf-8-sig") as file:
        return {row["student"]: float(row["score"]) for row in csv.DictReader(file)}


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--students", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        expected = make(place / "submissions", args.students)
        whole = run(place / "submissions", place / "out", args.jobs)
        got = grades(place / "out")
        kills = [run(place / "submissions", place / "killed", args.jobs, at)
                 for at in (args.students // 5, args.students // 2)]  # fmt: skip
        last = run(place / "submissions", place / "killed", args.jobs)
        lines = (place / "killed" / "journal.jsonl").read_text().splitlines()
        keys = [json.loads(line)["key"] for line in lines]
        again = run(place / "submissions", place / "killed", args.jobs)
        common.record(
            "grade_batch",
            {
                "submissions": args.students,
                "jobs": args.jobs,
                "records": len(got),
                "wrong_scores": {k: got.get(k) for k in expected if got.get(k) != expected[k]},
                "seconds": round(whole["seconds"], 1),
                "submissions_a_minute": round(60 * args.students / whole["seconds"]),
                "parent_peak_mb": whole["parent_peak_mb"],
                "killed_at_statuses": [kill["status"] for kill in kills],
                "resumed_status": last["status"],
                "same_grades_after_kills": grades(place / "killed") == got,
                "graded_twice": len(keys) - len(set(keys)),
                "nothing_to_do_s": round(again["seconds"], 2),
            },
            args.out,
        )


if __name__ == "__main__":
    main()
