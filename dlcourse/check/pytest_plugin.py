"""A lab's tests as pytest collects them once, run for one student or for many.

Nothing here knows where student code runs: a test asks its `student`, which has a channel.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlcourse.check.explain import explain_assertion
from dlcourse.check.points import PartialCredit, Points
from dlcourse.check.process_state import fixed_settings, seed_everything
from dlcourse.check.protocol import clean_text
from dlcourse.check.record import COULD_NOT, TestRecord
from dlcourse.check.student import Student, StudentError
from dlcourse.errors import GradingError, UnknownNameError

__all__ = ["TestSession", "run_session"]

# Failures that a failed task before may explain; a crash or a time limit speaks for itself.
EXCUSED = {"wrong answer", "exception", "partial", "missing", "not reached"}


class TestSession:
    """A pytest plugin: the `student` fixture, the order of the tests, what each came to.

    work: called once, with this session, when the tests are collected.
    """

    __test__ = False

    def __init__(
        self, tests: Path, work: Callable[[TestSession], None], task: str | None = None
    ) -> None:
        self.tests, self.work, self.task = tests, work, task
        self.items: list[pytest.Function] = []
        self.error: BaseException | None = None
        self.open_student: Callable[[pytest.Function], Student] | None = None
        self.unwritten: dict[str, str] = {}
        self.student_now: Student | None = None
        self.compared: tuple | None = None
        self.failure: pytest.ExceptionInfo | None = None

    @pytest.fixture
    def student(self, request: pytest.FixtureRequest) -> Student:
        self.student_now = self.open_student(request.node)
        return self.student_now

    def pytest_configure(self, config: pytest.Config) -> None:
        # pytest's own explanation compares what student code made character by character.
        own = config.pluginmanager.get_plugin("assertion")
        config.hook.pytest_assertrepr_compare._remove_plugin(own)

    def pytest_collection_modifyitems(self, items: list[pytest.Function]) -> None:
        items[:] = [item for item in items if isinstance(worth(item), Points)]
        tasks = list(dict.fromkeys(worth(item).task for item in items))
        if self.task is not None:
            if self.task not in tasks:
                self.error = UnknownNameError("task", self.task, tasks)
            items[:] = [item for item in items if worth(item).task == self.task]
        # Hidden tests last: what student code remembers of them reaches no output that is shown.
        items.sort(key=lambda item: worth(item).hidden)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = session.items
        forget(self.tests)
        if self.items and not session.testsfailed and not self.error:
            # pytest would take an exception here for an error of its own.
            try:
                self.work(self)
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (raised again below)
                self.error = error
        return True

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        self.compared = (op, left, right)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo) -> object:
        if call.excinfo is not None and self.failure is None:
            self.failure = call.excinfo
        return (yield)

    def rules(self, functions: dict[str, list[str]]) -> dict[str, tuple]:
        """By task that bans names: the functions that hold it, and these names."""
        forbidden: dict[str, list[str]] = {}
        for item in self.items:
            forbidden.setdefault(worth(item).task, []).extend(worth(item).forbidden)
        return {
            task: (functions.get(task, []), names) for task, names in forbidden.items() if names
        }

    def grade(
        self,
        open_student: Callable[[pytest.Function], Student],
        unwritten: dict[str, str],
        violations: dict[str, tuple[str, str]],
    ) -> list[TestRecord]:
        """Run every test against the students that `open_student` opens; one record a function.

        unwritten: the tasks whose stub stands in the file, and the name each asks for; that says
        more than a test that failed. violations: the tasks that use what they ban, and where.
        """
        self.open_student, self.unwritten = open_student, unwritten
        cases: dict[str, list[TestRecord]] = {}
        for item, following in zip(self.items, [*self.items[1:], None], strict=True):
            cases.setdefault(item.originalname, []).append(self.run(item, following))
        tests = [merge(several) for several in cases.values()]
        settle(tests, unwritten, violations)
        return tests

    def could_not(self, error: Exception) -> list[TestRecord]:
        """The records of a file over which the grader itself failed."""
        reason = f"the grader itself failed: {type(error).__name__}: {clean_text(error, 300)}"
        tests = {}
        for item in self.items:
            marked = worth(item)
            tests[item.originalname] = TestRecord(
                marked.task, item.originalname, 0.0, marked.points, COULD_NOT, reason,
                hint=marked.hint, hidden=marked.hidden, needs=marked.needs,
            )  # fmt: skip
        return list(tests.values())

    def run(self, item: pytest.Function, following: pytest.Function | None) -> TestRecord:
        self.student_now = self.compared = self.failure = None
        seed_everything()
        start = time.perf_counter()
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        marked = worth(item)
        test = TestRecord(
            marked.task, item.originalname, marked.points, marked.points, "passed",
            hint=marked.hint, hidden=marked.hidden, needs=marked.needs,
            seconds=time.perf_counter() - start,
        )  # fmt: skip
        if self.student_now is not None:
            test.printed = self.student_now._printed
        if self.failure is not None:
            self.judge(test, item)
            self.failure = None
        return test

    def judge(self, test: TestRecord, item: pytest.Function) -> None:
        """Fill in why `test` did not pass."""
        error, traceback = self.failure.value, self.failure.tb
        test.score, test.where = 0.0, statement(self.failure, item.path)
        if isinstance(error, StudentError):
            test.outcome, test.reason, test.traceback = error.kind, error.text, error.traceback
            if error.kind in ("import failure", "missing"):
                test.where = ""
            if error.kind == "not written":
                self.judge_stub(test, error.task)
        elif isinstance(error, PartialCredit):
            test.outcome, test.reason = "partial", clean_text(error)
            test.score = test.max_score * error.fraction
        elif (
            self.student_now is None
            or not self.student_now._asked
            or isinstance(error, pytest.skip.Exception | GradingError)
        ):
            test.outcome = COULD_NOT
            test.reason = (
                f"the test itself failed: {type(error).__name__}: {clean_text(error, 500)}"
            )
        else:
            test.outcome = "wrong answer"
            test.reason = explain_assertion(error, traceback, self.compared)

    def judge_stub(self, test: TestRecord, task: str | None) -> None:
        """A test met the stub of `task`, if there is one: its words come from the file, for what
        student code says could be what a hidden test gave it."""
        if task not in self.unwritten:
            test.outcome = "exception"
            return
        test.outcome = "not written" if task == test.task else "not reached"
        test.reason, test.where = stub_text(task, self.unwritten), ""


def stub_text(task: str, unwritten: dict[str, str]) -> str:
    return f"task {task}: {unwritten[task]} is not written yet"


def worth(item: pytest.Item) -> Points | None:
    return getattr(getattr(item, "function", None), "points", None)


def statement(failure: pytest.ExceptionInfo, path: Path) -> str:
    """The test's own statement that failed, on one line; not one of a helper's that hides itself
    (`__tracebackhide__ = True`)."""
    own = [entry for entry in failure.traceback if str(entry.path) == str(path)]
    entries = [entry for entry in own if not entry.ishidden(failure)] or own
    return clean_text(" ".join(str(entries[-1].statement).split()), 160) if entries else ""


def merge(cases: list[TestRecord]) -> TestRecord:
    """The cases of one test function as one record; the first that did not pass speaks."""
    merged = next((case for case in cases if not case.passed), cases[0])
    merged.score = round(sum(case.score for case in cases) / len(cases), 6)
    merged.seconds = sum(case.seconds for case in cases)
    passed = sum(case.passed for case in cases)
    if 0 < passed < len(cases):
        merged.reason = f"{passed} of {len(cases)} cases passed; then: {merged.reason}"
    return merged


def settle(
    tests: list[TestRecord], unwritten: dict[str, str], violations: dict[str, tuple[str, str]]
) -> None:
    """What tests say together: a stub or an violation voids its task, a failed task excuses those
    that need it."""
    for test in tests:
        if test.task in violations and test.outcome not in (
            COULD_NOT, "import failure", "not written",
        ):  # fmt: skip
            test.score, test.outcome, test.traceback = 0.0, "not allowed", ""
            test.reason, test.where = violations[test.task]
    stubs = {test.task: test.reason for test in tests if test.outcome == "not written"}
    passed = {test.task: True for test in tests}
    for test in tests:
        passed[test.task] &= test.passed
    for test in tests:
        lacking = [task for task in test.needs if not passed.get(task, True)]
        if test.task in stubs:
            test.score, test.outcome, test.reason = 0.0, "not written", stubs[test.task]
        elif test.passed or test.outcome in (COULD_NOT, "import failure", "not allowed"):
            continue
        elif test.task in unwritten:
            test.outcome, test.reason = "not written", stub_text(test.task, unwritten)
        elif lacking and test.outcome in EXCUSED:
            test.outcome, test.reason = "not reached", f"task {lacking[0]} comes first"
        else:
            continue
        test.traceback = test.where = ""


def forget(tests: Path) -> None:
    """Have the next session import `tests` anew, not be given this one's module."""
    for name in [name for name in sys.modules if name.rpartition(".")[2] == tests.stem]:
        del sys.modules[name]


@contextlib.contextmanager
def no_distributed_tensors() -> Iterator[None]:
    """Keep `assert_close` from importing torch.distributed.tensor, which takes half a second.

    It asks whether a value is a DTensor, and no lab makes one.
    """
    import torch.testing._comparison as comparison

    before = getattr(comparison, "_HAS_DTENSOR", None)
    if before is not None:
        comparison._HAS_DTENSOR = False
    try:
        yield
    finally:
        if before is not None:
            comparison._HAS_DTENSOR = before


def run_session(
    tests: Path, root: Path, work: Callable[[TestSession], None], task: str | None = None
) -> None:
    """Collect the file `tests` of the course at `root` and call `work` with the session.

    Raises GradingError where the tests cannot be collected, UnknownNameError for a `task` that
    they do not have, and whatever `work` raises.
    """
    if not tests.is_file():
        raise GradingError(f"no tests {tests}; `dlcourse labs` lists what there is")
    said, stdout = io.StringIO(), sys.stdout

    def aloud(session: TestSession) -> None:
        # Only pytest's own words are held back, also where the work never ends.
        with contextlib.redirect_stdout(stdout):
            work(session)

    session = TestSession(tests, aloud, task)
    arguments = [
        str(tests),
        f"--rootdir={root}",
        *("-c", os.devnull, "--noconftest", "--import-mode=importlib", "--capture=no"),
        *("--tb=native", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler"),
    ]
    autoload = os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        with contextlib.redirect_stdout(said), fixed_settings(), no_distributed_tensors():
            pytest.main(arguments, plugins=[session])
    finally:
        if autoload is None:
            del os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
        forget(tests)
    if session.error is not None:
        raise session.error
    if not session.items:
        last = next((line for line in reversed(said.getvalue().splitlines()) if line), "no points")
        raise GradingError(f"{tests.name} holds no tests that can run: {clean_text(last, 300)}")
