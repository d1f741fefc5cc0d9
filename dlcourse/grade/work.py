"""What the processes of a batch do: prove the grader, and grade one submission after another.

An Executor runs these functions, in processes that serve many calls. The process that gives the
orders does not import the worker, and torch with it.
"""

from __future__ import annotations

import time

from dlcourse.check.record import TestRecord
from dlcourse.errors import GradingError
from dlcourse.grade.job import BUDGET_S, LEAST_S, PROOF_S, BatchSettings, Job, Proof

__all__ = ["FACTOR", "grade_one", "prove", "warm_up"]

# A limit is so many times what the reference takes: for one test, for loading, for the whole file.
FACTOR, LOAD_FACTOR, BUDGET_FACTOR = 10.0, 10.0, 5.0
LOAD_LEAST_S = 5.0


def proof_of(source: bytes) -> Job:
    return Job(source, default_s=PROOF_S, budget_s=10 * PROOF_S)


def prove(settings: BatchSettings) -> Proof:
    """Prove the grader: the reference scores full, the stub 0, and late imports work.

    Raises GradingError where one of them fails.
    """
    from dlcourse.grade.student_version import generate
    from dlcourse.grade.worker import needs, worker

    lab = settings.lab
    if not lab.solution.is_file():
        raise GradingError(f"no solution {lab.solution}; the grader needs it to prove itself")
    source = lab.solution.read_bytes()
    mine = worker(settings)
    start = time.perf_counter()
    tests = mine.grade(proof_of(source))
    total_s, load_s = time.perf_counter() - start, mine.load_s
    for test in tests:
        if not test.passed:
            raise GradingError(
                f"the reference fails {test.name}: {test.outcome}: {test.reason}; no batch was run"
            )
    for test in mine.grade(proof_of(needs(lab).encode())):
        if test.outcome in ("import failure", "killed", "output", "time"):
            raise GradingError(
                f"a right answer could not run in the sandbox: {test.reason}; no batch was run"
            )
    stub = generate(source.decode("utf-8"), lab.solution.name).encode()
    for test in mine.grade(proof_of(stub)):
        if test.score:
            raise GradingError(
                f"an unwritten lab gets {test.score:g} points from {test.name}; no batch was run"
            )
    limits = {test.name: max(LEAST_S, FACTOR * test.seconds) for test in tests}
    limits[""] = max(LOAD_LEAST_S, LOAD_FACTOR * load_s)
    budget_s = max(BUDGET_S, BUDGET_FACTOR * total_s)
    return Proof(limits, [report.as_dict() for report in mine.reports], budget_s)


def warm_up(settings: BatchSettings) -> None:
    """Start this process's worker, so that its first submission does not wait for that."""
    from dlcourse.grade.worker import worker

    worker(settings)


def grade_one(settings: BatchSettings, job: Job) -> tuple[list[TestRecord], float]:
    """Grade one file. Returns the records of its tests, and how many seconds that took."""
    from dlcourse.grade.worker import worker

    mine = worker(settings)
    start = time.perf_counter()
    return mine.grade(job), time.perf_counter() - start
