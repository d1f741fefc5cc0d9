"""Measure how `dlcourse grade` grows with the number of submissions: memory, journal and resume.

    python benchmarks/grade_size.py                   (100 to 5,000 submissions on 2 idle cores)

A submission is a right answer to a lab of one task with one test, so that the time is that of the
harness: a sandboxed process for each submission, the journal, the reports. A submission of lab01
takes some 5 times as long.

whole: grade all submissions, with all reports. resume: the same command again when the last tenth
of the journal is gone, as after a kill. memory_mb is that of the parent; the processes that grade
count in the time alone.
"""

from __future__ import annotations

import contextlib
import functools
import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import common

from dlcourse import course
from dlcourse.grade.batch import grade_folder

sys.path.append(str(common.ROOT / "tests"))
from support import tiny

SIZES = (100, 1000, 5000)
SOLUTION = '''"""Lab 90: a sum."""


def add(a, b):
    # Task 90.1 (1 point).
    # BEGIN SOLUTION
    return a + b
    # END SOLUTION
'''
TESTS = """
from dlcourse.check import points


@points(1, task="90.1", hint="add")
def test_add(student):
    assert student.add(2, 3) == 5
"""


def make(place: str, jobs: int, resumed: bool, submissions: int) -> Callable[[], dict]:
    lab = course.find_lab("lab90", Path(place) / "course")
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
        assert [one.score for one in graded] == [1] * submissions
        lines = journal.read_bytes().count(b"\n")
        assert lines == submissions, f"{lines - submissions} submissions were graded twice"
        return {"journal_kb_each": round(journal.stat().st_size / 1000 / submissions, 1)}

    return work


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as place:
        tiny.make_course(Path(place) / "course", SOLUTION, TESTS)
        for name, resumed in (("whole", False), ("resume", True)):
            prepare = functools.partial(make, place, args.jobs, resumed)
            found[name] = common.cost_curve(prepare, args.sizes, "submissions")
    submission = "one task with one test"
    common.record("grade_size", {"submission": submission, "jobs": args.jobs, **found}, args.out)


if __name__ == "__main__":
    main()
