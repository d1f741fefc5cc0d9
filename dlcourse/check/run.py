"""`dlcourse check`: a verdict in seconds, in this process, on any system."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from pathlib import Path

import pytest

from dlcourse.check import student_host
from dlcourse.check.pytest_plugin import TestSession, run_session, worth
from dlcourse.check.record import COULD_NOT, Record
from dlcourse.check.source import defined_twice, read_source
from dlcourse.check.student import InProcessChannel, Student, StudentError
from dlcourse.course import Lab, stubs
from dlcourse.errors import UsageError
from dlcourse.files import write_text
from dlcourse.runtime import versions

__all__ = ["check", "grade_file", "remember"]


def check(lab: Lab, file: Path | None = None, task: str | None = None) -> Record:
    """Grade `file` (default: the student's script of `lab`), all of it or one `task`.

    `file` may be a notebook. Raises UsageError for a file that is not there or not to be read as
    text, GradingError where the tests cannot run.
    """
    path = Path(file) if file is not None else lab.student
    if not path.is_file():
        raise UsageError(f"no file {path}; `dlcourse labs` lists the labs that are there")
    start = time.perf_counter()
    read_source(path.read_bytes(), path.name)  # before the tests are collected
    records = []
    run_session(lab, lambda session: records.append(grade_file(session, lab, path)), task)
    (record,) = records
    record.execution_time = time.perf_counter() - start
    if file is None:
        remember(lab, record)
    return record


def grade_file(session: TestSession, lab: Lab, path: Path) -> Record:
    """Load the file at `path` and run the tests of `session` on it. Raises like `check`."""
    start = time.perf_counter()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    first = InProcessChannel(path, lab.name, shown(path))
    channels = {False: first}  # the hidden tests get one of their own, as in `grade`
    unwritten = stubs(first.host.source.decode("utf-8", "replace"))
    failure: list[StudentError] = []  # the file is loaded once, because that can take long

    def open_student(item: pytest.Function) -> Student:
        hidden = worth(item).hidden
        if hidden not in channels:
            channels[hidden] = InProcessChannel(path, lab.name, shown(path))
        channel = channels[hidden]
        channel.left_s = student_host.LIMIT_S
        if failure:
            raise failure[0]
        try:
            Student(channel)._ask("load")
        except StudentError as error:
            failure.append(error)
            raise
        return Student(channel)

    violations = Student(first)._violations(session.rules)
    tests = session.grade(open_student, unwritten, violations)
    extra = {
        "file": shown(path),
        "sha256": sha256,
        "tests_sha256": hashlib.sha256(lab.tests.read_bytes()).hexdigest(),
        "defined_twice": defined_twice(first.host.source),
        "device": "cpu",
        "versions": versions(),
        "layers": [],
    }
    return Record(lab.short, tests, time.perf_counter() - start, extra)


def remember(lab: Lab, record: Record) -> None:
    """Write down which tasks of `record` passed, for `labs` and `run`, if the folder allows it."""
    try:
        seen = dict(json.loads(lab.memory.read_text(encoding="utf-8")))
        known = dict(seen.get(lab.short, {}))
    except (OSError, ValueError, TypeError):
        seen, known = {}, {}
    with contextlib.suppress(OSError):
        now = lab.fingerprints()
        if hashlib.sha256(lab.student.read_bytes()).hexdigest() != record.extra_data["sha256"]:
            return  # saved again since it was checked
        for verdict in record.verdicts():
            code = None if verdict.outcome in ("not reached", COULD_NOT) else now.get(verdict.task)
            known[verdict.task] = [verdict.outcome == "passed", code]
        seen[lab.short] = known
        write_text(lab.memory, json.dumps(seen, indent=1) + "\n")


def shown(path: Path) -> str:
    """`path` as seen from the current folder, where it lies within."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name
