"""A grading worker: it collects a lab's tests once and runs them on one submission after another.

Each submission runs in a fork of a warm process, the fork server. An Executor runs the functions at
the end of this file, in processes that serve many calls.
"""

from __future__ import annotations

import ast
import multiprocessing
import os
import queue
import resource
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from dlcourse import course
from dlcourse.check.pytest_plugin import TestSession, run_session
from dlcourse.check.record import TestRecord
from dlcourse.check.run import stubs
from dlcourse.check.student import Student, StudentError
from dlcourse.course import Lab
from dlcourse.errors import GradingError
from dlcourse.grade.sandbox import linux
from dlcourse.grade.sandbox.confinement import Limits, missing
from dlcourse.grade.sandbox.process import ForkServer, SandboxProcess

__all__ = ["BatchSettings", "Job", "Proof", "grade_one", "join_batch", "prove"]

FACTOR, LEAST_S, PROOF_S = 10.0, 2.0, 120.0
MEMORY = 4 * 2**30  # bytes of address space that a lab's tests may take

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


@dataclass(frozen=True)
class BatchSettings:
    """What all submissions of a batch share. hidden: folders that no submission may see."""

    lab: Lab
    hidden: tuple[Path, ...] = ()
    limits: Limits = field(default_factory=Limits)
    allow_unsandboxed: bool = False


@dataclass(frozen=True)
class Job:
    """One file to grade. limits_s: seconds for each test by name; "" is the limit for loading."""

    source: bytes
    limits_s: dict[str, float] = field(default_factory=dict)
    default_s: float = LEAST_S


@dataclass(frozen=True)
class Proof:
    """What the grader has proved: time limits from the reference, and the layers in force."""

    limits_s: dict[str, float]
    layers: list[dict]


class Worker:
    """Runs pytest in a thread of its own, because its loop must not end between submissions."""

    fork_server: ForkServer  # the serving thread starts it

    def __init__(self, settings: BatchSettings) -> None:
        self.settings = settings
        self.jobs: queue.SimpleQueue = queue.SimpleQueue()
        self.answers: queue.SimpleQueue = queue.SimpleQueue()
        self.turn = threading.Lock()
        self.error: Exception | None = None
        torch.set_num_threads(1)
        threading.Thread(target=self.serve, daemon=True).start()
        self.hear()

    def prepare(self) -> None:
        self.fork_server = self.start_fork_server()
        self.reports = self.fork_server.probe()
        lacking = missing(self.reports)
        if lacking and not self.settings.allow_unsandboxed:
            raise GradingError(
                f"the sandbox lacks {', '.join(lacking)}; see `dlcourse doctor`, "
                "or pass --allow-unsandboxed for code that you trust"
            )
        if "read-only root" not in {report.layer for report in self.reports if report.in_force}:
            refuse_exposed(self.settings)

    def start_fork_server(self) -> ForkServer:
        lab = self.settings.lab
        source = lab.solution if lab.solution.is_file() else lab.student
        return ForkServer(imported(source.read_text(encoding="utf-8")), self.settings.hidden)

    def grade(self, job: Job) -> list[TestRecord]:
        # An engine's worker may run several of its tasks in threads of one process.
        with self.turn:
            if self.error is not None:
                raise self.error
            self.jobs.put(job)
            return self.hear()

    def hear(self) -> list[TestRecord]:
        answer = self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def serve(self) -> None:
        lab = self.settings.lab

        def work(session: TestSession) -> None:
            self.answers.put([])
            while True:
                job = self.jobs.get()
                try:
                    self.answers.put(self.grade_now(session, job))
                except GradingError as error:
                    self.answers.put(error)
                except Exception as error:  # noqa: BLE001 (one file never ends a batch)
                    self.answers.put(session.could_not(error))

        try:
            # In this thread: the kernel ends the fork server with the thread that started it.
            self.prepare()
            run_session(lab, work)
        except Exception as error:  # noqa: BLE001 (likewise)
            self.error = error
            self.answers.put(error)

    def grade_now(self, session: TestSession, job: Job) -> list[TestRecord]:
        """Grade `job`, and once more if the fork server was lost in the first attempt."""
        try:
            tests = self.try_once(session, job)
        except GradingError:
            return self.try_once(session, job)
        return tests if self.fork_server.process.poll() is None else self.try_once(session, job)

    def try_once(self, session: TestSession, job: Job) -> list[TestRecord]:
        if self.fork_server.process.poll() is not None:
            self.fork_server.close()
            self.fork_server = self.start_fork_server()
        run = SubmissionRun(self.fork_server, self.settings, job)
        try:
            return session.grade(
                lambda item: run.open(item.originalname),
                stubs(job.source.decode("utf-8", "replace")),
                run.violations(session.rules),
            )
        finally:
            run.close()


def refuse_exposed(settings: BatchSettings) -> None:
    """Raise GradingError where a hidden folder lies below one that Python must read.

    Landlock cannot hide it; a mount namespace can.
    """
    for secret in settings.hidden:
        for readable in map(Path, ("/usr", sys.prefix, sys.base_prefix)):
            if secret.resolve().is_relative_to(readable.resolve()):
                raise GradingError(
                    f"{secret} lies below {readable}, which submissions can read here; move it, "
                    "or grade on a system that allows mount namespaces"
                )


class SubmissionRun:
    """The sandboxed process of one submission, and its successor when a test has lost it."""

    def __init__(self, fork_server: ForkServer, settings: BatchSettings, job: Job) -> None:
        self.fork_server, self.settings, self.job = fork_server, settings, job
        self.failure: StudentError | None = None
        self.process = self.enter()

    def enter(self) -> SandboxProcess:
        self.loaded = False
        lab = self.settings.lab
        return self.fork_server.open(
            self.job.source, f"{lab.name}.py", lab.name, self.settings.limits
        )

    def violations(self, rules: dict[str, tuple]) -> dict[str, tuple[str, str]]:
        """The violations of `rules` in the file, read before any of it runs."""
        self.process.allow(self.job.limits_s.get("", PROOF_S))
        return Student(self.process)._violations(rules)

    def open(self, test: str) -> Student:
        if self.failure is not None:
            raise self.failure
        if not self.process.alive:
            self.process = self.enter()
        if not self.loaded:
            self.process.allow(self.job.limits_s.get("", PROOF_S))
            self.loaded = True
            try:
                Student(self.process)._ask("load")
            except StudentError as error:
                self.failure = not_loaded(error)
                raise self.failure from None
        self.process.allow(self.job.limits_s.get(test, self.job.default_s))
        return Student(self.process)

    def close(self) -> None:
        self.process.close()


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
STARTING = threading.Lock()


def join_batch() -> None:
    """Initialize a process of an Executor.

    It ends when the batch is killed, and a limit on its memory keeps a student's values from
    filling the machine.
    """
    linux.die_with_parent()
    # The batch may have gone while this process was still importing.
    parent = multiprocessing.parent_process()
    if parent is None or os.getppid() != parent.pid:
        os._exit(1)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, most))


def worker(settings: BatchSettings) -> Worker:
    with STARTING:
        if settings not in WORKERS:
            WORKERS[settings] = Worker(settings)
        return WORKERS[settings]


def prove(settings: BatchSettings) -> Proof:
    """Prove the grader: the reference scores full, the stub 0, and late imports work.

    Raises GradingError where one of them fails.
    """
    from dlcourse.grade.student_version import generate

    lab = settings.lab
    if not lab.solution.is_file():
        raise GradingError(f"no solution {lab.solution}; the grader needs it to prove itself")
    source = lab.solution.read_bytes()
    mine = worker(settings)
    start = time.perf_counter()
    tests = mine.grade(Job(source, default_s=PROOF_S))
    total_s = time.perf_counter() - start
    for test in tests:
        if not test.passed:
            raise GradingError(
                f"the reference fails {test.name}: {test.outcome}: {test.reason}; no batch was run"
            )
    for test in mine.grade(Job(needs(lab).encode(), default_s=PROOF_S)):
        if test.outcome in ("import failure", "killed", "memory", "output", "time"):
            raise GradingError(
                f"a right answer could not run in the sandbox: {test.reason}; no batch was run"
            )
    stub = generate(source.decode("utf-8"), lab.solution.name).encode()
    for test in mine.grade(Job(stub, default_s=PROOF_S)):
        if test.score:
            raise GradingError(
                f"an unwritten lab gets {test.score:g} points from {test.name}; no batch was run"
            )
    limits = {test.name: max(LEAST_S, FACTOR * test.seconds) for test in tests}
    limits[""] = max(LEAST_S, FACTOR * total_s)
    return Proof(limits, [report.as_dict() for report in mine.reports])


def grade_one(settings: BatchSettings, job: Job) -> tuple[list[TestRecord], float]:
    """Grade one file. Returns the records of its tests, and how many seconds that took."""
    mine = worker(settings)
    start = time.perf_counter()
    return mine.grade(job), time.perf_counter() - start
