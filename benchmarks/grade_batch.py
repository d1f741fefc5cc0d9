"""Grade 500 submissions of lab05, 10 % of them hostile or broken, in one batch with full isolation.

    python benchmarks/grade_batch.py            (about a minute on 2 cores)

Required: every submission gets a record, no hostile one earns a point or takes longer than its
budget of 20 s (by the clock up to three times that on a busy machine), the parent and each process
that grades stay under 1 GB, and a batch that is killed with SIGKILL and started again ends with the
same grades.
"""

from __future__ import annotations

import contextlib
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
from support.attacks import ATTACKS, COURSE, OUT

ANSWERS = """
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *args, **kwargs: WRONG_SUM
"""


def hostile(attack: str, out: Path) -> str:
    """An attack, and the value that it prepared as the answer to everything: worth no points."""
    answers = "" if "__getattr__" in attack else ANSWERS
    text = f"WON, WRONG_SUM = False, -1\n{attack}{answers}"
    for mark, path in ((COURSE, common.ROOT), (OUT, out)):
        text = text.replace(mark, str(path)).replace(mark[::-1], str(path)[::-1])
    return text


def make(folder: Path, students: int) -> dict[str, float]:
    """Write the submissions and return the score that each must get."""
    lab = course.find_lab("lab05", common.ROOT)
    solution = lab.solution.read_text(encoding="utf-8")
    stub = generate(solution)
    full = sum(task.points for task in lab.tasks)
    attacks = list(ATTACKS.values())
    expected = {}
    for number in range(students):
        name = f"student{number:03d}"
        if number % 10 == 9:
            attack = attacks[number // 10 * 3 % len(attacks)]
            text, expected[name] = hostile(attack, folder.parent / "out"), 0.0
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
    peak_kb = workers_kb = 0
    while process.poll() is None:
        peak_kb = max(peak_kb, peak_kb_of(process.pid))
        workers_kb = max([workers_kb, *map(peak_kb_of, children_of(process.pid))])
        if kill_after and journal.is_file() and journal.read_bytes().count(b"\n") >= kill_after:
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.05)
    return {"seconds": time.perf_counter() - start, "status": process.returncode,
            "parent_peak_mb": peak_kb // 1024, "worker_peak_mb": workers_kb // 1024}  # fmt: skip


def peak_kb_of(pid: int) -> int:
    """The most memory that a process has had so far; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def children_of(pid: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, path.read_text().split())
    return found


def seconds_of(out: Path) -> dict[str, float]:
    lines = (out / "journal.jsonl").read_text().splitlines()
    records = [json.loads(line)["record"] for line in lines]
    return {one["extra_data"]["student"]: one["execution_time"] for one in records}


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
        got, seconds = grades(place / "out"), seconds_of(place / "out")
        slowest = max(expected, key=lambda name: seconds[name])
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
                "worker_peak_mb": whole["worker_peak_mb"],
                "slowest_submission": [slowest, round(seconds[slowest], 1)],
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
