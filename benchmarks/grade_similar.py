"""Measure how the cost of `dlcourse similar` grows with the number of submissions.

    python benchmarks/grade_similar.py                 (100 to 5,000 submissions, minutes)

Each student of the class answers every task of lab05 with a right answer drawn from the collection
in tests/support, with own names and a few lines of their own; one in twenty copies another one and
renames. The cost is that of everything that the command does except reading files and writing
pages. That every copy is listed is checked.
"""

from __future__ import annotations

import functools
import random
import re
import sys
from collections.abc import Callable

import common

from dlcourse import course
from dlcourse.grade import similar, student_version
from dlcourse.grade.submissions import Submission

sys.path.append(str(common.ROOT / "tests"))
from support.alternatives_lab05 import ALTERNATIVES, IMPORTS

SIZES = (100, 300, 1000, 2500, 5000)
COPIES = 20  # one in so many students copies


def classroom(students: int) -> tuple[list[Submission], list[tuple[str, str]]]:
    """The submissions, and the pairs of which one was copied."""
    source = random.Random(students)
    by_task: dict[str, list[str]] = {}
    for name, text in ALTERNATIVES.items():
        by_task.setdefault(name.split()[0], []).append(text)
    made: list[Submission] = []
    pairs = []
    for number in range(students):
        name = f"student{number:05d}"
        if number % COPIES == COPIES - 1:
            other = source.choice(made)
            text = re.sub(r"\bwork_(\w+)", r"mine_\1", other.source.decode())
            pairs.append((other.student, name))
        else:
            text = IMPORTS + "".join(source.choice(texts) for texts in by_task.values())
            text += "".join(helper(source, at) for at in range(6))
        made.append(Submission(name, name, text.encode()))
    return made, pairs


def helper(source: random.Random, at: int) -> str:
    """A function of a student's own, as people leave them in a lab."""

    def term() -> str:
        return "x " + "".join(f"{source.choice('+-*/%&|^@')} x " for _ in range(3))

    frames = ["x = {}", "if {}:\n        x = x", "for x in range({}):\n        x += 1", "print({})",
              "while {}:\n        break", "x = [x for x in {}]", "assert {}, 'wrong'"]  # fmt: skip
    body = "".join(f"    {source.choice(frames).format(term())}\n" for _ in range(12))
    return f"\n\ndef work_{at}(x):\n{body}    return x\n"


def make(students: int) -> Callable[[], dict]:
    submissions, copies = classroom(students)
    lab = course.find_lab("lab05", common.ROOT)
    return functools.partial(compare, submissions, copies, student_version.starter(lab))


def compare(submissions: list[Submission], copies: list[tuple[str, str]], starter: bytes) -> dict:
    pairs = similar.similar(submissions, starter)
    similar.from_package(submissions, starter)
    similar.packed(submissions)
    listed = {(pair.first, pair.second) for pair in pairs}
    assert listed >= set(copies), "a copy is not listed"
    return {"pairs": len(pairs)}


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    args = parser.parse_args()
    common.record("grade_similar", common.cost_curve(make, args.sizes, "submissions"), args.out)


if __name__ == "__main__":
    main()
