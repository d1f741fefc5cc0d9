"""`dlcourse grade`: a folder of untrusted submissions, each graded in the sandbox, once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from tqdm import tqdm

from dlcourse import runtime
from dlcourse.check.record import Record, TestRecord
from dlcourse.course import Lab
from dlcourse.errors import GradingError, UsageError
from dlcourse.grade.journal import Journal
from dlcourse.grade.late import penalized
from dlcourse.grade.reports import write_reports
from dlcourse.grade.submissions import Submission, find_submissions

if TYPE_CHECKING:
    from dlcourse.grade import worker

__all__ = ["Graded", "as_text", "grade_folder"]


@dataclass
class Graded:
    """A submission and its record; `score` is what counts, after any late penalty."""

    submission: Submission
    record: Record
    days_late: float = 0.0
    score: float = 0.0


def grade_folder(
    folder: Path,
    lab: Lab,
    out: Path,
    jobs: int = 1,
    *,
    allow_unsandboxed: bool = False,
    executor: Executor | None = None,
    days_late: dict[str, float] | None = None,
    per_day: float = 0.1,
) -> list[Graded]:
    """Grade every submission in `folder` and write all reports to `out`.

    What the journal in `out` already holds, for the same submission, tests and environment, is not
    graded again. executor: where the work runs; default `jobs` processes here. days_late: by
    student, see `late.penalized`. Raises UsageError for folders that cannot be, GradingError where
    the grader cannot prove itself or cannot write.
    """
    if not sys.platform.startswith("linux"):
        raise GradingError("grading untrusted code needs Linux; `dlcourse check` runs anywhere")
    if jobs < 1:
        raise UsageError(f"--jobs must be at least 1, got {jobs}")
    submissions = find_submissions(folder, lab)
    claim(out, lab)
    try:
        claimed = FileLock(out / ".lock").acquire(timeout=0)
    except Timeout:
        raise UsageError(f"another batch writes into {out}; wait for it") from None
    with claimed:
        records = records_of(submissions, folder, lab, out, jobs, allow_unsandboxed, executor)
        graded = []
        for submission, record in zip(submissions, records, strict=True):
            days = (days_late or {}).get(submission.student, 0.0)
            score = penalized(record.score, days, per_day)
            graded.append(Graded(submission, record, days, score))
        try:
            write_reports(graded, lab, out)
        except OSError as error:
            raise Journal.cannot_write(out, error) from None
    return graded


def claim(out: Path, lab: Lab) -> None:
    """Make `out` this lab's. Raises UsageError where it holds something else."""
    about = out / "batch.json"
    try:
        if about.is_file():
            other = json.loads(about.read_text()).get("lab")
            if other != lab.name:
                raise UsageError(f"--out {out} holds the grades of {other}; name another folder")
        elif out.is_dir() and any(path.name != ".lock" for path in out.iterdir()):
            raise UsageError(f"--out {out} holds other files; name an empty or a new folder")
        out.mkdir(parents=True, exist_ok=True)
        about.write_text(json.dumps({"lab": lab.name}) + "\n")
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot use --out {out}: {error}") from None


def records_of(
    submissions: list[Submission],
    folder: Path,
    lab: Lab,
    out: Path,
    jobs: int,
    allow_unsandboxed: bool,
    executor: Executor | None,
) -> list[Record]:
    """The record of each submission: the journal's where it has one, else after grading it."""
    from dlcourse.grade import worker

    environment = environment_of(lab)
    keys = {submission: key_of(submission, environment) for submission in submissions}
    journal = Journal(out / "journal.jsonl")
    try:
        todo = [one for one in submissions if not is_graded(journal, keys[one])]
        if todo:
            hidden = (lab.tests.parent, lab.solution.parent, out.resolve(), folder.resolve())
            settings = worker.BatchSettings(lab, hidden, allow_unsandboxed=allow_unsandboxed)
            local = None if executor else local_pool(min(jobs, len(todo)))
            with local or contextlib.nullcontext(executor) as pool:
                fill(journal, pool, settings, todo, keys, environment)
    finally:
        journal.close()
    return [journal.records[keys[submission]] for submission in submissions]


@contextlib.contextmanager
def local_pool(jobs: int) -> Iterator[Executor]:
    """`jobs` processes here."""
    from dlcourse.grade import worker

    pool = ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context("spawn"), initializer=worker.join_batch
    )
    try:
        yield pool
    except BrokenProcessPool:
        raise GradingError(
            "a worker died; run the same command again: what is graded stays"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def fill(
    journal: Journal,
    pool: Executor,
    settings: worker.BatchSettings,
    todo: list[Submission],
    keys: dict[Submission, str],
    environment: dict,
) -> None:
    """Prove the grader, then grade `todo`; each record is in the journal before the next."""
    from dlcourse.grade import worker

    proof = pool.submit(worker.prove, settings).result()
    extra = {**environment, "layers": proof.layers}
    blank = pool.submit(worker.grade_one, settings, worker.Job(b"", proof.limits_s)).result()[0]
    tasks = {}
    for submission in todo:
        if submission.problem:
            journal.add(keys[submission], missing_file(submission, blank, settings.lab, extra))
        else:
            job = worker.Job(submission.source, proof.limits_s)
            tasks[pool.submit(worker.grade_one, settings, job)] = submission
    progress = tqdm(as_completed(tasks), total=len(tasks), unit="submission", disable=None)
    failed = []
    for done in progress:
        submission = tasks.pop(done)
        try:
            tests, seconds = done.result()
        except GradingError as error:
            failed.append(f"{submission.student}: {error}")
            continue
        about = {**extra, "student": submission.student, "sha256": submission.sha256}
        journal.add(keys[submission], Record(settings.lab.short, tests, seconds, about))
    if failed:
        raise GradingError(
            f"{len(failed)} of {len(todo)} submissions could not be graded, {failed[0]}; run the "
            "same command again: what is graded stays"
        )


def is_graded(journal: Journal, key: str) -> bool:
    """Whether `key` has a record, and not one that says that it could not be checked."""
    return key in journal.records and journal.records[key].exit_status != GradingError.exit_status


def missing_file(
    submission: Submission, blank: Iterable[TestRecord], lab: Lab, extra: dict
) -> Record:
    """The record of a submission without a file that could be graded."""
    tests = [
        replace(
            test, score=0.0, outcome="missing", reason=submission.problem, where="", traceback="",
            printed="",
        )
        for test in blank
    ]  # fmt: skip
    return Record(lab.short, tests, 0.0, {**extra, "student": submission.student})


def environment_of(lab: Lab) -> dict:
    """What a grade depends on beside the submission."""
    return {
        "tests_sha256": hashlib.sha256(lab.tests.read_bytes()).hexdigest(),
        "device": "cpu",
        "data": "none",
        "versions": runtime.versions(),
    }


def key_of(submission: Submission, environment: dict) -> str:
    text = json.dumps([submission.student, submission.sha256, environment], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def as_text(graded: list[Graded], out: Path) -> str:
    """A few lines on a batch: scores, and what went wrong how often."""
    scores = sorted(one.score for one in graded)
    kinds = Counter(
        verdict.outcome for one in graded for verdict in one.record.verdicts()
    ).most_common()
    return (
        f"{len(graded)} submissions, median {statistics.median(scores):g} of "
        f"{graded[0].record.max_score:g} points\n"
        f"tasks: {', '.join(f'{count} {kind}' for kind, count in kinds)}\n"
        f"reports: {out / 'grades.csv'}, {out / 'report.html'}, {out / 'students'}"
    )
