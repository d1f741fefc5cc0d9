"""A grading worker: it collects a lab's tests once and runs them on one submission after another.

Each submission runs in a fork of a warm process, the fork server.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import math
import os
import queue
import resource
import threading
import time
from collections.abc import Iterator

import torch

from dlcourse import course
from dlcourse.check.pytest_plugin import TestSession, record_of, run_session, settle, worth
from dlcourse.check.record import COULD_NOT, TestRecord
from dlcourse.check.student import Student, StudentError, TimeLimit
from dlcourse.check.text import clean_text
from dlcourse.course import Lab, stubs
from dlcourse.errors import GradingError
from dlcourse.grade.batch_process import memory
from dlcourse.grade.job import PROOF_S, BatchSettings, Job
from dlcourse.grade.sandbox.confinement import missing
from dlcourse.grade.sandbox.process import Budget, ForkServer, SandboxProcess, budget_used_up

__all__ = ["SubmissionRun", "Worker", "needs", "worker"]

RELOADS = 2  # in the visible tests, and again in the hidden ones
# When the process of the tests ends itself: by the clock, times the budget and more; and by the CPU
# time that its tests have taken after the budget.
PATIENCE, PATIENCE_S, STUCK_S = 6.0, 120.0, 10.0
LARGE = 2**24  # bytes of the answers to one test, after which its memory is freed at once
MEMORY = 2 * 2**30  # bytes of address space that a lab's tests may take; none of ours takes half

NEEDS = """
import sys
import matplotlib.pyplot as plt
import torch
import torchvision
print(torch.rand(3, 3) / 3)
figure, ax = plt.subplots()
ax.plot([0, 1])
ax.set_title("$x^2$")
figure.canvas.draw()
plt.close(figure)
torchvision.transforms.Normalize(0.5, 0.5)(torch.rand(1, 2, 2))
for module in [value for value in vars().copy().values() if type(value) is type(sys)]:
    if module.__name__.startswith("dlcourse."):
        [getattr(module, name) for name in getattr(module, "__all__", [])]
"""


class Worker:
    """Runs pytest in a thread of its own, because its loop must not end between submissions."""

    fork_server: ForkServer  # the serving thread starts it

    def __init__(self, settings: BatchSettings) -> None:
        self.settings = settings
        self.jobs: queue.SimpleQueue = queue.SimpleQueue()
        self.answers: queue.SimpleQueue = queue.SimpleQueue()
        self.error: Exception | None = None
        self.load_s = 0.0  # of the last submission
        torch.set_num_threads(1)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        self.hear()

    def probe(self) -> None:
        """Raise GradingError if a layer of the sandbox that is needed is not in force."""
        self.reports = self.fork_server.probe()
        lacking = missing(self.reports)
        if lacking and not self.settings.allow_unsandboxed:
            also = (
                "; what must stay hidden lies below a folder that Python needs: move it"
                if "hidden folders" in lacking
                else ""
            )
            raise GradingError(
                f"the sandbox lacks {', '.join(lacking)}{also}; see `dlcourse doctor`, "
                "or pass --allow-unsandboxed for code that you trust"
            )

    def start_fork_server(self) -> ForkServer:
        lab = self.settings.lab
        source = lab.solution if lab.solution.is_file() else lab.student
        secrets = [lab.root / name for name in ("tests", "solutions", ".git")]
        # What any lab imports: the text of some of it is hidden from submissions.
        modules = imported(source.read_text(encoding="utf-8"))
        modules += imported(needs(lab).removesuffix(NEEDS))
        return ForkServer(modules, [*secrets, *self.settings.hidden])

    def grade(self, job: Job) -> list[TestRecord]:
        # An engine's worker may run several of its tasks in threads of one process.
        with TURN:
            if self.error is not None:
                raise self.error
            self.jobs.put(job)
            with bounded_memory():
                return self.hear(job.budget_s)

    def rest(self) -> None:
        """End the fork server, which has a torch of its own; the next submission starts another."""
        self.fork_server.close()

    def hear(self, budget_s: float = math.inf) -> list[TestRecord]:
        """Return the next answer. If the tests do not end on some value, this process ends.

        That is for what takes its time outside of Python; see OwnLimit.
        """
        start, start_cpu_s = time.monotonic(), self.cpu_s()
        while True:
            try:
                answer = self.answers.get(timeout=1.0)
                break
            except queue.Empty:
                late = time.monotonic() - start > PATIENCE * budget_s + PATIENCE_S
                if late or self.cpu_s() - start_cpu_s > budget_s + STUCK_S:
                    os._exit(1)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def cpu_s(self) -> float:
        """Return the seconds of CPU that the tests have taken."""
        number = self.thread.ident
        if number is None or not self.thread.is_alive():
            return 0.0
        return time.clock_gettime(time.pthread_getcpuclockid(number))

    def serve(self) -> None:
        lab = self.settings.lab

        def work(session: TestSession) -> None:
            self.probe()
            self.answers.put([])
            while True:
                job = self.jobs.get()
                try:
                    self.answers.put(self.grade_now(session, job))
                except GradingError as error:
                    self.answers.put(error)
                except Exception as error:  # noqa: BLE001 (one file never ends a batch)
                    self.answers.put(could_not(session, error))

        try:
            # In this thread: the kernel ends the fork server with the thread that started it.
            # It becomes warm while the tests are collected.
            self.fork_server = self.start_fork_server()
            run_session(lab, work)
        except Exception as error:  # noqa: BLE001 (it is told to the batch)
            self.error = error
            self.answers.put(error)

    def grade_now(self, session: TestSession, job: Job) -> list[TestRecord]:
        """Grade `job`, the hidden tests last and in a process of their own."""
        run = SubmissionRun(self, job)
        unwritten = stubs(job.source.decode("utf-8", "replace"))
        session.limit = lambda: OwnLimit(run.budget)
        try:
            tests = self.run_part(session, run, unwritten, hidden=False)
            self.load_s = run.load_s
            if any(worth(item).hidden for item in session.items):
                tests += self.run_part(session, run, unwritten, hidden=True)
        finally:
            run.close()
        settle(tests, unwritten, run.violations)
        return tests

    def run_part(
        self, session: TestSession, run: SubmissionRun, unwritten: dict[str, str], *, hidden: bool
    ) -> list[TestRecord]:
        """Run the hidden tests or the others, once more if the fork server was lost meanwhile."""
        try:
            tests = self.try_part(session, run, unwritten, hidden)
            if self.fork_server.process.poll() is None:
                return tests
        except GradingError:
            pass
        return self.try_part(session, run, unwritten, hidden)

    def try_part(
        self, session: TestSession, run: SubmissionRun, unwritten: dict[str, str], hidden: bool
    ) -> list[TestRecord]:
        if self.fork_server.process.poll() is not None:
            self.fork_server.close()
            self.fork_server = self.start_fork_server()
        if hidden:
            run.begin_hidden()
        else:
            run.begin(session.rules)
        return session.run_part(lambda item: run.open(item.originalname), unwritten, hidden=hidden)


class OwnLimit(TimeLimit):
    """Ends a test that works on an answer for longer than the budget of its submission allows."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget.left_s)
        self.budget = budget
        self.clock = time.pthread_getcpuclockid(threading.get_ident())

    def stop(self) -> float:
        left_s = self.budget.left_s - (time.clock_gettime(self.clock) - self.budget.tests_s)
        return max(left_s, 0.1) if left_s > 0 else super().stop()


class SubmissionRun:
    """The sandboxed processes of one submission, which share one budget.

    The visible tests have one and the hidden tests another, each loading the file anew. Where a
    test has lost its process, a successor takes its place, at most RELOADS times.
    """

    def __init__(self, worker: Worker, job: Job) -> None:
        self.worker, self.job = worker, job
        self.budget = Budget(job.budget_s)
        self.process: SandboxProcess | None = None
        self.failure: StudentError | None = None  # of the first load, before any test
        self.load_s = 0.0
        self.violations: dict[str, tuple[str, str]] = {}

    def begin(self, rules: dict[str, tuple]) -> None:
        """Start the process of the visible tests: read the file for violations, then load it."""
        self.loads = 0
        process = self.enter()
        process.allow(self.job.limits_s.get("", PROOF_S))
        self.violations = Student(process)._violations(rules)
        start = time.perf_counter()
        try:
            self.load(process)
            self.failure = None
        except StudentError as error:
            self.failure = not_loaded(error)
        self.load_s = time.perf_counter() - start

    def begin_hidden(self) -> None:
        """Start the process of the hidden tests. What it says of its loading is not passed on."""
        self.loads = 0
        self.close()

    def open(self, test: str) -> Student:
        if self.failure is not None:
            raise self.failure
        self.budget.charge_tests()
        if self.budget.left_s <= 0:
            self.close()
            raise budget_used_up(self.budget)
        process = self.process
        if process is not None and process.received > LARGE:
            gc.collect()  # a test that failed leaves frames that hold their answers in a cycle
        if process is None or not process.alive:
            process = self.successor()
        process.allow(self.job.limits_s.get(test, self.job.default_s))
        return Student(process)

    def successor(self) -> SandboxProcess:
        """Return a process that has loaded the file anew."""
        if self.loads > RELOADS:
            raise StudentError("killed", f"your code ended its process {self.loads} times")
        process = self.enter()
        try:
            self.load(process)
        except StudentError as error:
            process.close()
            text = f"your file did not load again: {error.text}"
            raise StudentError("killed", text, error.traceback) from None
        return process

    def enter(self) -> SandboxProcess:
        lab = self.worker.settings.lab
        self.process = self.worker.fork_server.open(
            self.job.source, f"{lab.name}.py", lab.name, self.worker.settings.limits, self.budget
        )
        return self.process

    def load(self, process: SandboxProcess) -> None:
        self.loads += 1
        process.allow(self.job.limits_s.get("", PROOF_S))
        Student(process)._ask("load")

    def close(self) -> None:
        if self.process is not None:
            self.process.close()


def could_not(session: TestSession, error: Exception) -> list[TestRecord]:
    """The records of a file on which the grader itself failed with `error`."""
    reason = f"the grader itself failed: {type(error).__name__}: {clean_text(error, 300)}"
    tests = {item.originalname: record_of(item, COULD_NOT) for item in session.items}
    for test in tests.values():
        test.score, test.reason = 0.0, reason
    return list(tests.values())


def not_loaded(error: StudentError) -> StudentError:
    """Say that it was the loading of the file that did not end well."""
    if error.kind == "import failure":
        return error
    kind = "import failure" if error.kind == "time" else error.kind
    text = f"your file did not finish loading: {error.text}"
    if error.kind == "time":
        text += "; code at the top level runs at import: move it into main()"
    return StudentError(kind, text, error.traceback, error.task)


def imported(source: str) -> list[str]:
    """The modules that the top level of a trusted `source` imports."""
    names = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def needs(lab: Lab) -> str:
    """A file that does, in the sandbox, what a right answer may need: late imports above all."""
    imports, paths = [], [one.solution for one in course.labs(lab.root)]
    for path in paths:
        if path.is_file():
            imports += [
                ast.unparse(node)
                for node in ast.parse(path.read_text(encoding="utf-8")).body
                if isinstance(node, ast.Import | ast.ImportFrom)
            ]
    ordered = sorted(dict.fromkeys(imports), key=lambda line: "__future__" not in line)
    return "\n".join([*ordered, NEEDS])


WORKERS: dict[BatchSettings, Worker] = {}
STARTING, TURN = threading.Lock(), threading.Lock()


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Within this block, keep a student's values from filling the machine.

    The limit is the process's, which may be one of an engine's workers: afterwards it is lifted.
    """
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory(0) + MEMORY, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, most))


def worker(settings: BatchSettings) -> Worker:
    """This process's worker for a batch, which is started when it is first asked for.

    The workers of other batches rest then: an engine's process may serve many batches.
    """
    with STARTING:
        if settings not in WORKERS:
            with TURN:
                for other in WORKERS.values():
                    other.rest()
            WORKERS[settings] = Worker(settings)
        return WORKERS[settings]
