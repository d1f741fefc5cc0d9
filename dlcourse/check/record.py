"""The record of one graded file, from which the terminal, the JSON and every report are made.

`as_dict` uses Gradescope's field names: score, max_score, execution_time, tests (number, name,
score, max_score, status, output, visibility) and extra_data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from dlcourse.errors import GradingError

__all__ = ["BY_HAND", "COULD_NOT", "NOT_COUNTED", "Record", "TestRecord", "Verdict"]

COULD_NOT = "could not check"
BY_HAND = "by hand"  # points that an instructor gave
NOT_COUNTED = "not counted"  # a visible test that passed, of a task whose hidden test did not
# The outcomes of a hidden test that its student may see, with the reason. Each comes from the text
# of the file, from its first load, before any hidden test, or from which other tests passed.
ALWAYS_SHOWN = {
    BY_HAND, NOT_COUNTED, "not written", "not reached", "not allowed", "import failure",
}  # fmt: skip


@dataclass
class TestRecord:
    """One test. `outcome` is "passed", "partial", "could not check", or the kind of failure."""

    __test__ = False  # pytest would take a class of this name for a test

    task: str
    name: str
    score: float
    max_score: float
    outcome: str
    reason: str = ""
    where: str = ""
    traceback: str = ""
    printed: str = ""
    hint: str = ""
    mistake: str = ""  # the typical mistake that gives this answer, if it is known
    hidden: bool = False
    needs: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"

    @property
    def told(self) -> str:
        """The outcome that the student may see: how a hidden test failed could tell its inputs."""
        shown = not self.hidden or self.passed or self.outcome in ALWAYS_SHOWN | {COULD_NOT}
        return self.outcome if shown else "failed"

    def output(self, *, hidden_too: bool) -> str:
        """Return the test's message; without `hidden_too`, as the student may see it."""
        if self.passed:
            return ""
        lines = [self.outcome if hidden_too else self.told]
        if self.outcome in ALWAYS_SHOWN:
            lines += [self.reason, self.where]
        elif hidden_too or not (self.hidden or self.outcome == COULD_NOT):
            lines += [self.reason, self.traceback, self.where and f"in: {self.where}"]
            lines.append(self.printed and f"printed: {self.printed}")
        lines += [f"hint: {hint}" for hint in self.hint.splitlines()]
        return "\n".join(line.rstrip() for line in lines if line)

    def as_dict(self, *, hidden_too: bool = True) -> dict:
        """Return the test for a report; without `hidden_too`, a hidden test also has no name."""
        return {
            "number": self.task,
            "name": self.name if hidden_too or not self.hidden else "hidden test",
            "score": self.score,
            "max_score": self.max_score,
            "status": "passed" if self.passed else "failed",
            "output": self.output(hidden_too=hidden_too),
            "visibility": "hidden" if hidden_too and self.hidden else "visible",
            "extra_data": {
                "outcome": self.outcome if hidden_too else self.told,
                "hidden": self.hidden,
            },
        }


def task_order(task: str) -> list[float]:
    """Sorts "5.2" before "5.10", and what has no number last."""
    return [float(part) if part.isdigit() else math.inf for part in task.split(".")]


@dataclass
class Verdict:
    """The result of all tests of one task."""

    task: str
    score: float
    max_score: float
    outcome: str
    worst: TestRecord | None


@dataclass
class Record:
    """A graded file."""

    lab: str
    tests: list[TestRecord]
    execution_time: float
    extra_data: dict = field(default_factory=dict)

    @property
    def score(self) -> float:
        return round(sum(test.score for test in self.tests), 6)

    @property
    def max_score(self) -> float:
        return round(sum(test.max_score for test in self.tests), 6)

    @property
    def exit_status(self) -> int:
        """0 all passed, 1 something failed, 3 something could not be checked."""
        if any(test.outcome == COULD_NOT for test in self.tests):
            return GradingError.exit_status
        return 0 if all(test.passed for test in self.tests) else 1

    def verdicts(self) -> list[Verdict]:
        """Return one verdict for each task, in the order of the tasks' numbers."""
        by_task: dict[str, list[TestRecord]] = {}
        for test in self.tests:
            by_task.setdefault(test.task, []).append(test)
        verdicts = []
        for task in sorted(by_task, key=task_order):
            tests = by_task[task]
            score = round(sum(test.score for test in tests), 6)
            failed = [test for test in tests if not test.passed]
            # What could not run leaves the points unknown; what does not count has passed.
            rank = {COULD_NOT: 0, NOT_COUNTED: 2}
            worst = min(failed, key=lambda test: rank.get(test.outcome, 1), default=None)
            outcome = worst.outcome if worst else "passed"
            most = round(sum(test.max_score for test in tests), 6)
            if any(test.outcome == BY_HAND for test in tests):
                outcome = BY_HAND
            # With all points, what failed is an example: it gives none.
            elif worst and 0 < score < most and outcome != COULD_NOT:
                outcome = "partial"
            verdicts.append(Verdict(task, score, most, outcome, worst))
        return verdicts

    def as_dict(self, *, hidden_too: bool = True) -> dict:
        """Return the record with Gradescope's field names; without `hidden_too`, for a student.

        A student sees the time of the visible tests only, because code could encode a hidden input
        in it, and no hash against which a guess of the tests or of the solution could be checked.
        """
        extra = {"lab": self.lab, **self.extra_data}
        if not hidden_too:
            ours = ("layers", "allow_unsandboxed")
            extra = {n: v for n, v in extra.items() if n not in ours and "_sha256" not in n}
        shown_s = sum(test.seconds for test in self.tests if not test.hidden)
        return {
            "score": self.score,
            "max_score": self.max_score,
            "execution_time": round(self.execution_time if hidden_too else shown_s, 3),
            "tests": [test.as_dict(hidden_too=hidden_too) for test in self.tests],
            "extra_data": extra,
        }
