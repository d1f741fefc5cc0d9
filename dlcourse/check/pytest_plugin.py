"""Let pytest collect a lab's tests once, and run them for one student or for many.

Nothing here knows where student code runs: a test asks its `student`, which has a channel.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
import torch.testing._comparison

from dlcourse.check.examples import Examples, read_examples, run_examples
from dlcourse.check.expect import WrongAnswerError
from dlcourse.check.explain import explain_assertion
from dlcourse.check.points import ALWAYS, PartialCredit, Points
from dlcourse.check.process_state import fixed_settings, seed_everything
from dlcourse.check.record import COULD_NOT, NOT_COUNTED, TestRecord
from dlcourse.check.student import Student, StudentError
from dlcourse.check.student_host import TimeLimitError
from dlcourse.check.text import clean_text
from dlcourse.course import Lab
from dlcourse.errors import GradingError, UnknownNameError

__all__ = ["TestSession", "record_of", "run_session", "settle", "worth"]

# Outcomes that a failed earlier task may explain. A crash or a time limit has its own cause.
EXCUSED = {"wrong answer", "exception", "partial", "missing", "not reached"}
# Outcomes that end the process of student code.
LOST = {"killed", "malformed reply", "output", "time"}


class TestSession:
    """A pytest plugin: the `student` fixture, the order of the tests, and their records.

    work: called once with this session, after the tests are collected.
    """

    __test__ = False

    def __init__(
        self, lab: Lab, work: Callable[[TestSession], None], task: str | None = None
    ) -> None:
        self.tests, self.work, self.task = lab.tests, work, task
        self.examples, self.functions = read_examples(lab.source), lab.functions
        self.items: list[pytest.Function] = []
        self.error: BaseException | None = None
        self.unwritten: dict[str, str] = {}
        self.student_now: Student | None = None
        self.compared: tuple[str, object, object] | None = None
        self.failure: pytest.ExceptionInfo | None = None
        # Bounds each test itself; it may raise TimeLimitError in it.
        self.limit: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext

    @pytest.fixture
    def student(self, request: pytest.FixtureRequest) -> Student:
        self.student_now = self.open_student(request.node)
        task = worth(request.node).task
        self.student_now._rule = task, self.rules[task][1]
        return self.student_now

    def pytest_configure(self, config: pytest.Config) -> None:
        # pytest's own explanation would compare a student's values character by character.
        own = config.pluginmanager.get_plugin("assertion")
        config.hook.pytest_assertrepr_compare._remove_plugin(own)

    def pytest_collection_modifyitems(self, items: list[pytest.Function]) -> None:
        items[:] = [item for item in items if hasattr(getattr(item, "function", None), "points")]
        tasks = list(dict.fromkeys(worth(item).task for item in items))
        if self.task is not None:
            if self.task not in tasks:
                self.error = UnknownNameError("task", self.task, tasks)
            items[:] = [item for item in items if worth(item).task == self.task]
        for task in dict.fromkeys(worth(item).task for item in items):
            if task in self.examples:
                first = next(i for i, item in enumerate(items) if worth(item).task == task)
                items.insert(first, example_test(items, task, self.examples[task]))
        # Hidden tests run last: what student code remembers of them then reaches no visible output.
        items.sort(key=lambda item: worth(item).hidden)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = [item for item in session.items if isinstance(item, pytest.Function)]
        forget(self.tests)
        if self.items and not session.testsfailed and not self.error:
            # It would keep all reports, and search them all for each that failed at the end.
            session.config.pluginmanager.unregister(name="terminalreporter")
            # pytest would report an exception here as its own internal error.
            try:
                self.work(self)
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (raised again below)
                self.error = error
        return True

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        self.compared = (op, left, right)

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> object:
        with self.limit():
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo) -> object:
        assert call.when != "collect"
        self.failure = self.failure or call.excinfo
        # pytest's own holds the traceback as text, which can take longer to write than the test.
        return pytest.TestReport(
            item.nodeid, item.location, {}, "failed" if call.excinfo else "passed", None, call.when
        )

    @functools.cached_property
    def rules(self) -> dict[str, tuple[list[str], tuple[str, ...]]]:
        """Return for each task its functions and the names that it forbids.

        They come from the lab as it was handed out: a student's file cannot change them.
        """
        forbidden: dict[str, list[str]] = {}
        for mark in map(worth, self.items):
            names = forbidden.setdefault(mark.task, list(ALWAYS))
            names += [name for name in mark.forbidden if name not in names]
            names[:] = [name for name in names if name not in mark.allowed]
        return {
            task: (self.functions.get(task, []), tuple(names)) for task, names in forbidden.items()
        }

    def grade(
        self,
        open_student: Callable[[pytest.Function], Student],
        unwritten: dict[str, str],
        violations: dict[str, tuple[str, str]],
    ) -> list[TestRecord]:
        """Run all tests with one student; the arguments are those of `run_part` and `settle`."""
        tests = self.run_part(open_student, unwritten, hidden=False)
        tests += self.run_part(open_student, unwritten, hidden=True)
        settle(tests, unwritten, violations)
        return tests

    def run_part(
        self,
        open_student: Callable[[pytest.Function], Student],
        unwritten: dict[str, str],
        *,
        hidden: bool,
    ) -> list[TestRecord]:
        """Run the hidden tests or the others; return one record for each test function.

        open_student: returns the student for a test. unwritten: the tasks whose stub is still in
        the file, with the name that each asks for.

        Where a test ends the process of student code, the other tests of its task run last: they
        are likely to do the same, and the tests of the other tasks must not pay for it.
        """
        self.open_student, self.unwritten = open_student, unwritten
        queue = deque(item for item in self.items if worth(item).hidden == hidden)
        cases: dict[str, list[TestRecord]] = {item.originalname: [] for item in queue}
        lost: set[str] = set()
        while queue:
            item = queue.popleft()
            test = self.run(item, queue[0] if queue else None)
            cases[item.originalname].append(test)
            if test.outcome in LOST and test.task not in lost:
                lost.add(test.task)
                queue = deque(sorted(queue, key=lambda other: worth(other).task in lost))
        return [merge(several) for several in cases.values()]

    def run(self, item: pytest.Function, following: pytest.Function | None) -> TestRecord:
        self.student_now = self.compared = self.failure = None
        seed_everything()
        test, start = record_of(item, "passed"), time.perf_counter()
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        test.seconds = time.perf_counter() - start
        if self.student_now is not None:
            test.printed = self.student_now._printed
        if self.failure is not None:
            self.judge(test, item, self.failure)
            self.failure = None
        return test

    def judge(self, test: TestRecord, item: pytest.Function, failure: pytest.ExceptionInfo) -> None:
        """Write into `test` why it did not pass."""
        error = failure.value
        test.score, test.where = 0.0, ""
        call = self.student_now._last_call if self.student_now is not None else ""
        if isinstance(error, StudentError):
            test.outcome, test.reason, test.traceback = error.kind, error.text, error.traceback
            test.where = call
            if error.kind in ("import failure", "missing", "not allowed"):
                test.where = ""
            if error.kind == "not allowed" and test.hidden:
                test.outcome = "exception"  # what a student's process says of a hidden test
            if error.kind == "not written":
                self.judge_stub(test, error.task)
        elif isinstance(error, TimeLimitError):
            test.outcome, test.reason = "time", f"{call}: the tests did not end on your answers"
        elif isinstance(error, PartialCredit):
            test.outcome, test.reason = "partial", clean_text(error)
            test.score = test.max_score * error.fraction
        elif (
            self.student_now is None
            or not self.student_now._asked
            or isinstance(error, pytest.skip.Exception | GradingError)
        ):
            test.outcome, test.where = COULD_NOT, statement(failure, item.path)
            test.reason = (
                f"the test itself failed: {type(error).__name__}: {clean_text(error, 500)}"
            )
        else:
            test.outcome = "wrong answer"
            test.reason = explain_assertion(error, failure.tb, self.compared)
            if isinstance(error, WrongAnswerError):
                call, test.mistake = error.call or call, error.mistake
                # A hint for the task could contradict what is known about this answer.
                test.hint = "" if error.mistake and not test.hidden else test.hint
            name = call.partition("(")[0]
            if call and not (name and f"{name}(" in test.reason):
                test.reason = f"{call}: {test.reason}"

    def judge_stub(self, test: TestRecord, task: str | None) -> None:
        """Judge a visible test that met the stub of `task`, if the file has one.

        The reason comes from the text of the file. In a hidden test the task that the exception
        names, even a real one, could carry the test's input.
        """
        if task is None or task not in self.unwritten or test.hidden:
            test.outcome = "exception"
            return
        test.outcome = "not written" if task == test.task else "not reached"
        test.reason, test.where = stub_text(task, self.unwritten), ""


def stub_text(task: str, unwritten: dict[str, str]) -> str:
    return f"task {task}: {unwritten[task]} is not written yet"


def worth(item: pytest.Item) -> Points:
    """Return what the decorator `points` stored on a collected test."""
    return item.function.points  # type: ignore[attr-defined]  # only functions with it are kept


def example_test(
    items: list[pytest.Function], task: str, blocks: list[Examples]
) -> pytest.Function:
    """Make the test that runs the docstring examples of a task. It gives no points."""

    def run(student: Student) -> None:
        for block in blocks:
            run_examples(student, block)

    own = [worth(item) for item in items if worth(item).task == task]
    needs = tuple(dict.fromkeys(name for one in own for name in one.needs))
    run.points = Points(0.0, task, "", False, needs)  # type: ignore[attr-defined]  # see `worth`
    module = next(item for item in items if worth(item).task == task).getparent(pytest.Module)
    name = f"test_examples_of_task_{task.replace('.', '_')}"
    return pytest.Function.from_parent(module, name=name, callobj=run)


def record_of(item: pytest.Function, outcome: str) -> TestRecord:
    """Return a record of `item` with all its points."""
    marked = worth(item)
    return TestRecord(
        marked.task, item.originalname, marked.points, marked.points, outcome,
        hint=marked.hint, hidden=marked.hidden, needs=marked.needs,
    )  # fmt: skip


def statement(failure: pytest.ExceptionInfo, path: Path) -> str:
    """Return the statement of the test that failed, on one line.

    Statements of helpers that set `__tracebackhide__ = True` are skipped.
    """
    own = [entry for entry in failure.traceback if str(entry.path) == str(path)]
    entries = [entry for entry in own if not entry.ishidden(failure)] or own
    return clean_text(" ".join(str(entries[-1].statement).split()), 160) if entries else ""


def merge(cases: list[TestRecord]) -> TestRecord:
    """Make one record of a test function's cases. The reason is that of the first case that could
    not run, which leaves the points unknown, else of the first that failed.
    A hidden test gives all of its points or none: a share would tell more than that it failed.
    """
    merged = min(cases, key=lambda case: (case.outcome != COULD_NOT, case.passed))
    merged.score = round(sum(case.score for case in cases) / len(cases), 6)
    if merged.hidden and not merged.passed:
        merged.score = 0.0
    merged.seconds = sum(case.seconds for case in cases)
    passed = sum(case.passed for case in cases)
    if 0 < passed < len(cases):
        merged.reason = f"{passed} of {len(cases)} cases passed; then: {merged.reason}"
    return merged


def settle(
    tests: list[TestRecord], unwritten: dict[str, str], violations: dict[str, tuple[str, str]]
) -> None:
    """Apply what concerns several tests: a stub or a violation costs its whole task, a failed task
    excuses the tasks that need it, and visible tests count only if the task's hidden tests pass.

    unwritten: the tasks whose stub is still in the file, with the name that each asks for.
    violations: the tasks that use a forbidden name, with the message and the line. Both were read
    from the text of the file. How a hidden test failed must change nothing here; whether it passed
    decides about the visible points.
    """
    # A refusal while the code ran costs the whole task too, and keeps its own traceback.
    refused = {
        test.task: test.reason
        for test in reversed(tests)
        if test.outcome == "not allowed" and not test.hidden
    }
    violations = {task: (reason, "") for task, reason in refused.items()} | violations
    for test in tests:
        reason, line = violations.get(test.task, (test.reason, ""))
        if reason != test.reason and test.outcome not in (
            COULD_NOT, "import failure", "not written",
        ):  # fmt: skip
            test.score, test.outcome, test.traceback = 0.0, "not allowed", ""
            test.reason, test.where = reason, line
    # Examples come first and are shown first, but only the other tests can tell mistakes apart.
    mistakes = {t.task: t.mistake for t in reversed(tests) if t.mistake and not t.hidden}
    for test in tests:
        if test.max_score == 0 and test.outcome == "wrong answer" and test.task in mistakes:
            test.reason += f"; this is the result of {mistakes[test.task]}"
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
        elif lacking and (test.hidden or test.outcome in EXCUSED):
            test.outcome, test.reason = "not reached", f"task {lacking[0]} comes first"
        else:
            continue
        test.traceback = test.where = ""
    # Else code that plays back the values of the visible tests would earn their points.
    lost = {t.task for t in tests if t.hidden and not t.passed and t.outcome != COULD_NOT}
    for test in tests:
        if test.task in lost and not test.hidden:
            test.score = 0.0
            if test.passed:
                reason = f"task {test.task}: a hidden test failed; then visible tests do not count"
                test.outcome, test.reason = NOT_COUNTED, reason


def forget(tests: Path) -> None:
    """Make the next session import the file `tests` again."""
    for name in [name for name in sys.modules if name.rpartition(".")[2] == tests.stem]:
        del sys.modules[name]


def run_session(lab: Lab, work: Callable[[TestSession], None], task: str | None = None) -> None:
    """Collect the tests of `lab` and call `work` with the session.

    Raises GradingError if the tests cannot be collected, UnknownNameError if they have no `task`
    of that name, and whatever `work` raises.
    """
    tests = lab.tests
    if not tests.is_file():
        raise GradingError(f"no tests {tests}; `dlcourse labs` lists the labs")
    said, stdout = io.StringIO(), sys.stdout

    def aloud(session: TestSession) -> None:
        # Only pytest's own output is held back, also while a grading worker serves.
        with contextlib.redirect_stdout(stdout):
            work(session)

    session = TestSession(lab, aloud, task)
    arguments = [
        str(tests),
        f"--rootdir={lab.root}",
        *("-c", os.devnull, "--noconftest", "--import-mode=importlib", "--capture=no"),
        *("--tb=native", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler"),
        f"--confcutdir={tests.parent}",  # else each folder above it is searched for tests
        # What the garbage collector finds fails no test: it may be an earlier submission's. pytest
        # collects garbage to find it, which takes 0.2 s each time where torch is loaded.
        *("-p", "no:unraisableexception", "-p", "no:threadexception"),
        *("-p", "no:logging"),  # hangs itself into every logger there is, three times for a test
    ]
    forget(tests)  # pytest would take a module of the same name, from another course too
    try:
        with (
            contextlib.redirect_stdout(said),
            fixed_settings(),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            patch.setattr(sys, "unraisablehook", lambda _: None)
            patch.setattr(threading, "excepthook", lambda _: None)
            # No lab makes a DTensor; to ask for one, `assert_close` would import for 0.5 s.
            patch.setattr(torch.testing._comparison, "_HAS_DTENSOR", False, raising=False)
            pytest.main(arguments, plugins=[session])
    finally:
        forget(tests)
    if session.error is not None:
        raise session.error
    if not session.items:
        last = next((line for line in reversed(said.getvalue().splitlines()) if line), "no points")
        raise GradingError(f"{tests.name} holds no tests that can run: {clean_text(last, 300)}")
