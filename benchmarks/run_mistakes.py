"""What `dlcourse run LAB --tiny` says to one wrong task: for each task, a mistake of a beginner.

    python benchmarks/run_mistakes.py [LAB ...]

The mistake is the first of the task's first eight in tests/support that changes a number that the
run prints, without an error if there is one. The task was not checked before: only the claims can
tell.
"""

from __future__ import annotations

import collections
import contextlib
import io
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from common import ROOT, parser, record

from dlcourse import course
from dlcourse.findings import Claim

sys.path.insert(0, str(ROOT / "tests"))

from support import mistakes

TRIES = 8
LIMIT_S = 60  # for a run that never ends
NAMED, OTHER, CONFIRMED = "a claim names it", "a claim names another task", "all confirmed"
ERROR, OTHER_ERROR = "an error names it", "an error names another task or none"
SAME = "the same numbers"
OUTCOMES = (NAMED, OTHER, CONFIRMED, ERROR, OTHER_ERROR, SAME)
# What to take of several mistakes of a task: the first of the first kind.
BETTER = ({NAMED, OTHER, CONFIRMED}, {ERROR, OTHER_ERROR}, {SAME})


def run(name: str, source: str) -> tuple[set[str], str, list[Claim]]:
    """Run `source` in a fork of this process; return its lines, its error, and its claims."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lab = course.Lab(name, folder)
        lab.student.parent.mkdir()
        lab.student.write_text(source, encoding="utf-8")
        flags = ["--tiny", "--offline", "--no-plot", "--threads", "1", "--out", str(folder)]
        if (pid := os.fork()) == 0:
            signal.alarm(LIMIT_S)
            out, error = io.StringIO(), ""
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
                try:
                    with course.running(lab):
                        course.load_script(lab.student).main(flags)
                except Exception as raised:  # noqa: BLE001 (it is recorded)
                    error = str(raised) or type(raised).__name__
            said = {"lines": out.getvalue().splitlines(), "error": error}
            (folder / "said.json").write_text(json.dumps(said), encoding="utf-8")
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            return set(), f"the process ended with status {status}", []
        said = json.loads((folder / "said.json").read_text(encoding="utf-8"))
        saved = folder / "findings.json"
        claims = json.loads(saved.read_text(encoding="utf-8")) if saved.exists() else []
    return set(said["lines"]), said["error"], [Claim(**claim) for claim in claims]


def outcome(name: str, source: str, task: str, lines: set[str]) -> tuple[str, list[str]]:
    """What the run of `source` says of its mistake in `task`; `lines` are those of the solution."""
    printed, error, claims = run(name, source)
    if error:
        return ERROR if f"from task {task} " in error else OTHER_ERROR, [error]
    if lines <= printed:
        return SAME, []
    wrong = [claim for claim in claims if claim.exact and not claim.holds]
    said = [f"{claim.text}: see {claim.task}" for claim in wrong]
    named = any(task in claim.task.split(" or ") for claim in wrong)
    return NAMED if named else OTHER if wrong else CONFIRMED, said


def main() -> None:
    args = parser(__doc__)
    args.add_argument("labs", nargs="*", metavar="LAB", help="default: all")
    args = args.parse_args()
    result = {}
    for name in args.labs or [lab.short for lab in course.labs()]:
        lab = course.find_lab(name)
        solution = lab.solution.read_text(encoding="utf-8")
        # Lines of two runs: those with measured seconds differ.
        lines = run(lab.name, solution)[0] & run(lab.name, solution)[0]
        found: dict[str, dict] = {}
        ranks: dict[str, int] = {}
        tries = collections.Counter[str]()
        for mistake, edit in mistakes.of_lab(lab.short).items():
            task = mistake.split()[0]
            if ranks.get(task, 3) == 0 or tries[task] == TRIES:
                continue
            tries[task] += 1
            what, said = outcome(lab.name, edit.source(solution), task, lines)
            rank = next(i for i, kind in enumerate(BETTER) if what in kind)
            if rank < ranks.get(task, 3):
                ranks[task] = rank
                found[task] = {"mistake": mistake, "outcome": what, "said": said}
        for one in found.values():
            print(one, flush=True)
        counts = collections.Counter(one["outcome"] for one in found.values())
        result[lab.short] = {"counts": {o: counts[o] for o in OUTCOMES}, "tasks": found}
        print(lab.short, result[lab.short]["counts"], flush=True)
    record("run_mistakes", result, args.out)


if __name__ == "__main__":
    main()
