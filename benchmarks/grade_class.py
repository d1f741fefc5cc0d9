"""A class of 40 students with every oddity of `tests/support/classroom.py`, in five layouts.

Each layout is graded from the one .zip that a school hands out, in the sandbox. Counts the rows,
and the students whose grade differs from that in the layout of folders: both must be as expected.

    python benchmarks/grade_class.py [--students 40] [--lab lab01] [--jobs 2]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import common

sys.path.insert(0, str(common.ROOT / "tests"))
from dlcourse import course
from dlcourse.grade.batch import grade_folder

from support import classroom


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--students", type=int, default=40)
    parser.add_argument("--lab", default="lab01")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    lab = course.find_lab(args.lab)
    answer = lab.solution.read_text(encoding="utf-8")
    stub = lab.student.read_text(encoding="utf-8")
    # The first task is right, the others are not written.
    first = answer.partition("# END SOLUTION")[0]
    at = stub.index("raise NotImplementedError")
    wrong = first + stub[stub.index("\n", at) :]
    students = classroom.students(args.students, lab.name, answer, wrong, stub)
    rows, scores = [], {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        for layout in classroom.LAYOUTS:
            archive = classroom.as_zip(classroom.make(place, layout, students))
            start = time.perf_counter()
            graded = grade_folder(archive, lab, place / f"out_{layout}", args.jobs)
            numbers = {student.key(layout): student.number for student in students}
            scores[layout] = {numbers[one.submission.id]: one.record.score for one in graded}
            rows.append(
                {"layout": layout, "rows": len(graded), "students": len(scores[layout]),
                 "full": sum(one.record.score == one.record.max_score for one in graded),
                 "none": sum(one.record.score == 0 for one in graded),
                 "seconds": round(time.perf_counter() - start, 1)}
            )  # fmt: skip
            print(rows[-1], flush=True)
    apart = {
        layout: sum(found[number] != scores["folders"][number] for number in scores["folders"])
        for layout, found in scores.items()
    }
    result = {"students": args.students, "lab": lab.short, "jobs": args.jobs, "layouts": rows,
              "grades_that_differ": apart}  # fmt: skip
    common.record("grade_class", result, args.out)


if __name__ == "__main__":
    main()
