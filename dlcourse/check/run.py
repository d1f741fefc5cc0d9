"""`dlcourse check`: a verdict in seconds, in this process, on any system."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path

from dlcourse.check import student_host
from dlcourse.check.pytest_plugin import TestSession, run_session
from dlcourse.check.record import Record
from dlcourse.check.student import InProcessChannel, Student, StudentError
from dlcourse.course import Lab
from dlcourse.errors import UsageError
from dlcourse.runtime import versions

__all__ = ["check", "stubs"]


def stubs(source: str) -> dict[str, str]:
    """Tasks whose stub stands in `source`, and the name each asks for."""
    pattern = r"""^[ \t]*raise NotImplementedError\(["']task (\d+\.\d+): ([\w.]{1,100})["']\)"""
    return dict(reversed(re.findall(pattern, source, re.MULTILINE)))


def check(lab: Lab, file: Path | None = None, task: str | None = None) -> Record:
    """Grade `file` (default: the student's script of `lab`), all of it or one `task`.

    `file` may be a notebook. Raises UsageError for a file that is not there or not to be read as
    text, GradingError where the tests cannot run.
    """
    path = Path(file) if file is not None else lab.student
    if not path.is_file():
        raise UsageError(f"no file {path}; `dlcourse labs` lists the labs that are there")
    start = time.perf_counter()
    channel = InProcessChannel(path, lab.name, shown(path))
    source = path.read_bytes()
    unwritten = stubs(channel.host.source.decode("utf-8", "replace"))
    tests = []

    failure: list[StudentError] = []  # the file is loaded once, because that can take long

    def open_student(item: object) -> Student:
        channel.left_s = student_host.LIMIT_S
        if failure:
            raise failure[0]
        try:
            Student(channel)._ask("load")
        except StudentError as error:
            failure.append(error)
            raise
        return Student(channel)

    def work(session: TestSession) -> None:
        violations = Student(channel)._violations(session.rules)
        tests.extend(session.grade(open_student, unwritten, violations))

    run_session(lab, work, task)
    extra = {
        "file": shown(path),
        "sha256": hashlib.sha256(source).hexdigest(),
        "tests_sha256": hashlib.sha256(lab.tests.read_bytes()).hexdigest(),
        "device": "cpu",
        "versions": versions(),
        "layers": [],
    }
    return Record(lab.short, tests, time.perf_counter() - start, extra)


def shown(path: Path) -> str:
    """`path` as seen from the current folder, where it lies within."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name
