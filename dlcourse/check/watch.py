"""`dlcourse check LAB --watch`: a warm process that checks again whenever the file is saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from dlcourse.check.pytest_plugin import TestSession, run_session, worth
from dlcourse.check.record import Record
from dlcourse.check.run import grade_file, remember
from dlcourse.check.source import read_source
from dlcourse.course import Lab, Lines, lines_of_tasks
from dlcourse.errors import UsageError

__all__ = ["changed_tasks", "saves", "watch"]

POLL_S = 0.05


def watch(
    lab: Lab,
    show: Callable[[Record, bool], None],
    file: Path | None = None,
    task: str | None = None,
    saved: Iterator[bytes] | None = None,
) -> None:
    """Check `file` (default: the student's script) now and after each save, until Ctrl-C.

    show: is called with a record, and whether it is the second one after a save: the first is of
    the tasks whose code changed, the second of the whole file. saved: the contents to check;
    `saves(file)` if None.

    Raises what `check` raises.
    """
    path = file or lab.student
    if not path.is_file():
        raise UsageError(f"no file {path}; `dlcourse labs` lists the labs that are there")

    def work(session: TestSession) -> None:
        items, before = session.items, None
        tasks = {worth(item).task for item in items}
        functions = lab.functions  # reads the lab as it was handed out
        for data in saved or saves(path):
            after = lines_of_tasks(text_of(data, path), functions)
            changed = tasks & changed_tasks(before, after) if before and after else tasks
            before = after
            few = bool(changed) and changed != tasks
            if few:
                session.items = [item for item in items if worth(item).task in changed]
                show(grade_file(session, lab, path), False)
            session.items = items
            record = grade_file(session, lab, path)
            if file is None:
                remember(lab, record)
            show(record, few)

    run_session(lab, work, task)


def saves(path: Path) -> Iterator[bytes]:
    """Yield the content of `path` now, and again whenever another one is saved.

    Looks every POLL_S seconds, which works on every system and file system. A file that an editor
    has emptied or moved away for a moment is waited for.
    """
    seen, last = None, None
    while True:
        try:
            status = path.stat()
            stamp = status.st_mtime_ns, status.st_size
            if stamp != seen and status.st_size:
                data, seen = path.read_bytes(), stamp
                if data != last:
                    last = data
                    yield data
        except OSError:
            seen = None
        time.sleep(POLL_S)


def text_of(data: bytes, path: Path) -> str:
    """The script in `data`; "" if there is none, which the check then explains."""
    try:
        return read_source(data, path.name).decode("utf-8", "replace")
    except UsageError:
        return ""


def changed_tasks(before: Lines, after: Lines) -> set[str]:
    """The tasks with code that differs; all if something outside of their functions does."""
    outside = before[""] != after[""]
    return {task for task in after if task and (outside or before[task] != after[task])}
