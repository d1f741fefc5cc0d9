"""Measure how `dlcourse grade` grows with the number of submissions: memory, journal and resume.

    python benchmarks/grade_size.py                        (100 to 1,000 submissions of lab01)
    python benchmarks/grade_size.py --sizes 100 1000 5000 --jobs 2

whole: grade all submissions, with all reports. resume: the same command again when the last tenth
of the journal is gone, as after a kill. memory_mb is that of the parent; the processes that grade
count in the time alone.
"""

from __future__ import annotations

import contextlib
import functools
import io
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import common

from dlcourse import course
from dlcourse.grade.batch import grade_folder

SIZES = (100, 300, 1000)
LAB = "lab01"


def make(place: str, jobs: int, resumed: bool, submissions: int) -> Callable[[], dict]:
    lab = course.find_lab(LAB, common.ROOT)
    solution = lab.solution.read_text(encoding="utf-8")
    folder, out = Path(place) / f"class{submissions}", Path(place) / f"out{submissions}"
    for number in range(submissions):
        path = folder / f"student{number:05d}" / f"{lab.name}.py"
        if not path.exists():
            path.parent.mkdir(parents=True)
            path.write_text(f"# {number}\n{solution}", encoding="utf-8")
    journal = out / "journal.jsonl"
    if resumed:
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join(lines[: round(0.9 * submissions)]))
    else:
        shutil.rmtree(out, ignore_errors=True)

    def work() -> dict:
        with contextlib.redirect_stderr(io.StringIO()):
            graded = grade_folder(folder, lab, out, jobs)
        full = sum(task.points for task in lab.tasks)
        assert [one.score for one in graded] == [full] * submissions
        return {"journal_kb_each": round(journal.stat().st_size / 1000 / submissions, 1)}

    return work


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for name, resumed in (("whole", False), ("resume", True)):
            prepare = functools.partial(make, place, args.jobs, resumed)
            found[name] = common.cost_curve(prepare, args.sizes, "submissions")
    common.record("grade_size", {"lab": LAB, "jobs": args.jobs, **found}, args.out)


if __name__ == "__main__":
    main()
