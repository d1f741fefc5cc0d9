"""Count the wrong answers that the labs' tests catch, and the right answers that they refuse.

    python benchmarks/grade_mutants.py [LAB ...]

Each mutant is a solution with one small change, made by machine, inside an answer. It is graded on
the visible tests alone, as on a student's machine, and on all tests. At least three right answers
of another shape for each task are graded on all tests. Expected: visible tests catch 97 % of the
mutants, all tests 99 %; each survivor is explained; each right answer gets full points. What is
recorded of labs that are not named stays.
"""

from __future__ import annotations

import importlib
import json
import sys
import time

import common

sys.path.append(str(common.ROOT / "tests"))
from support import sweep


def try_all(lab: str) -> dict:
    answers, warm = importlib.import_module(f"support.alternatives_{lab}"), sweep.Sweep(lab)
    start = time.perf_counter()
    made = list(warm.mutants())
    unseen = [one for one in made if not warm.first_lost(one[1](), one[2], visible=True)]
    survivors = [label for label, make, task in unseen if not warm.first_lost(make(), task)]
    seconds = time.perf_counter() - start
    refused = {}
    for name in answers.ALTERNATIVES:
        if lost := warm.first_lost(warm.shaped(answers, name), name.split()[0]):
            refused[name] = f"{lost.name}: {lost.outcome}: {lost.reason}"
    return {
        "mutants": len(made),
        "caught": round(1 - len(survivors) / len(made), 4),
        "caught_by_visible_tests": round(1 - len(unseen) / len(made), 4),
        "caught_by_hidden_tests_only": [label for label, _, _ in unseen if label not in survivors],
        "survivors": {label: answers.SURVIVORS.get(label, "not explained") for label in survivors},
        "seconds": round(seconds, 1),
        "right_answers": len(answers.ALTERNATIVES),
        "refused": refused,
    }


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("labs", nargs="*", default=sweep.LABS, metavar="LAB", help="default: all")
    args = parser.parse_args()
    path = args.out or common.RESULTS / "grade_mutants.json"
    try:
        for lab in args.labs:
            found = {lab: try_all(lab)}
            before = (
                json.loads(path.read_text(encoding="utf-8"))["result"] if path.is_file() else {}
            )
            common.record("grade_mutants", dict(sorted((before | found).items())), path)
    finally:
        sweep.Sweep.shared.close()


if __name__ == "__main__":
    main()
