"""Give generated answers to every test of every lab: none may stop the grader.

    python benchmarks/grade_fuzz.py                 (2,000 answers to each test: 20 minutes)
    python benchmarks/grade_fuzz.py --answers 20    (half a minute)

The answers are of every type that can cross from student code, nested, empty, nan, of odd dtypes
and wrong shapes. One in ten rounds changes right answers instead. Required: every test of every
round gets a verdict, and none is "could not check".
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter

import common

from dlcourse import course
from dlcourse.check.pytest_plugin import TestSession, run_session
from dlcourse.check.record import COULD_NOT
from dlcourse.check.student import InProcessChannel, Student

sys.path.append(str(common.ROOT / "tests"))
from support.answers import AnyAnswers


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--answers", type=int, default=2000, help="for each test")
    parser.add_argument("--seed", default="", help="a word that gives other answers")
    args = parser.parse_args()
    outcomes: Counter[str] = Counter()
    tests, problems = 0, []
    start = time.perf_counter()
    for lab in course.labs(common.ROOT):
        draw = random.Random(f"{lab.name}{args.seed}")

        def work(session: TestSession) -> None:
            nonlocal tests
            names = {item.originalname for item in session.items}
            tests += len(names)
            for at in range(args.answers):
                # One for each round: it keeps every object that its answers name.
                right = None if at % 10 else InProcessChannel(lab.solution, lab.name)  # noqa: B023 (called at once)
                channel = AnyAnswers(draw, right)  # noqa: B023 (called at once)
                records = session.grade(lambda _: Student(channel), {}, {})  # noqa: B023 (called at once)
                outcomes.update(record.outcome for record in records)
                if len(records) != len(names):
                    problems.append(f"{len(names) - len(records)} tests without a verdict")
                problems.extend(f"{record.name}: {record.reason}" for record in records
                                if record.outcome == COULD_NOT)  # fmt: skip

        run_session(lab, work)
    result = {
        "tests": tests,
        "answers_to_each": args.answers,
        "outcomes": dict(outcomes.most_common()),
        "problems": problems[:20],
        "seconds": round(time.perf_counter() - start, 1),
    }
    common.record("grade_fuzz", result, args.out)


if __name__ == "__main__":
    main()
