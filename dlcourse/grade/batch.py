"""`dlcourse grade`: grade a folder of untrusted submissions in the sandbox, each of them once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from dlcourse import files, work_folder
from dlcourse.check.record import COULD_NOT, Record, TestRecord
from dlcourse.check.text import clean_text
from dlcourse.course import Lab
from dlcourse.errors import GradingError, UsageError
from dlcourse.grade import returns, school_zip
from dlcourse.grade.adjustments import Adjustments, adjusted, read_adjustments
from dlcourse.grade.lists import penalized, read_days_late, text_of
from dlcourse.grade.reports import Class, write_reports
from dlcourse.grade.roster import join, read_roster
from dlcourse.grade.submissions import Graded, Intake, Submission, find_submissions

if TYPE_CHECKING:
    from dlcourse.grade.job import BatchSettings

__all__ = ["Journal", "as_text", "grade_folder"]

# In the folder of reports: the points by hand and the days late that are in force.
ADJUST, LATE = "adjust.csv", "late.csv"


class Journal(work_folder.Journal):
    """Records of submissions by key, so that a batch that was killed continues where it was."""

    encode = staticmethod(asdict)
    error = GradingError

    @staticmethod
    def decode(saved: dict) -> Record:
        tests = [TestRecord(**{**test, "needs": tuple(test["needs"])}) for test in saved["tests"]]
        return Record(saved["lab"], tests, saved["execution_time"], saved["extra_data"])


def grade_folder(
    folder: Path,
    lab: Lab,
    out: Path,
    jobs: int = 1,
    *,
    allow_unsandboxed: bool = False,
    executor: Executor | None = None,
    late: Path | None = None,
    per_day: float = 0.1,
    roster: Path | None = None,
    adjust: Path | None = None,
    column: str | None = None,
    worksheet: Path | None = None,
) -> list[Graded]:
    """Grade every submission in `folder`, or in such a folder's .zip; write all reports to `out`.

    A submission that the journal in `out` already holds, with the same tests and environment, is
    not graded again. Everything in `folder` that is not graded is named on stderr.

    executor: where the work runs; by default in `jobs` processes on this machine. late: a CSV file
    with the columns student,days_late; per_day: the share of the score that each day costs.
    roster: the class, see `roster.read_roster`. adjust: points given by hand, see `adjustments`.
    What `late` and `adjust` say stays in force in `out` until another list is given. column: the
    name of the assignment in Canvas's gradebook. worksheet: Moodle's grading worksheet, of which a
    filled copy is written.

    Raises UsageError for bad arguments, before anything is graded, and GradingError if the grader
    cannot prove itself or cannot write.
    """
    if not sys.platform.startswith("linux"):
        raise GradingError("grading untrusted code needs Linux; `dlcourse check` runs anywhere")
    if jobs < 1:
        raise UsageError(f"--jobs must be at least 1, got {jobs}")
    penalized(0.0, 0.0, per_day)
    with school_zip.opened(folder) as opened:
        intake = find_submissions(opened, lab)
        joined = join(intake.submissions, read_roster(roster)) if roster else None
        students = joined.submissions if joined else intake.submissions
        # From here on all lists are read, so that nothing is graded if one of them is wrong.
        days_late = days_late_of(students, late, out, per_day)
        by_hand = adjustments_of(students, lab, adjust, out)
        sheet = returns.read_worksheet(worksheet, students) if worksheet else None
        if column is not None:
            returns.check_column(column, students)
        for line in [*Intake(students, intake.left_out).lines(), *(joined.lines if joined else [])]:
            print(line, file=sys.stderr)

        def refuse(about: Any) -> str | None:
            return None if about["lab"] == lab.name else f"holds the grades of {about['lab']}"

        with work_folder.claimed_folder(
            out, "batch.json", {"lab": lab.name}, refuse=refuse, label="--out", work="batch"
        ):
            records = records_of(
                intake.submissions, opened, lab, out, jobs, allow_unsandboxed, executor
            )
            graded = []
            for one, record in zip(students, records, strict=True):
                name_helpers(record, one, lab)
                record, lines = adjusted(record, one, by_hand)
                days, total = days_late.get(one, 0.0), by_hand.total(one)
                score = penalized(record.score, days, per_day) if total is None else total
                graded.append(Graded(one, record, days, score, lines, total is not None))
            batch = Class(graded, intake.left_out, joined.nothing if joined else ())
            try:
                for name, path in ((ADJUST, adjust), (LATE, late)):
                    if path:
                        files.write_text(out / name, text_of(path.read_bytes()))
                said = write_reports(batch, lab, out, column or "", sheet)
            except OSError as error:
                raise Journal.cannot_write(out, error) from None
    for line in said:
        print(line, file=sys.stderr)
    return graded


def adjustments_of(
    students: list[Submission], lab: Lab, adjust: Path | None, out: Path
) -> Adjustments:
    """The points that the list `adjust` gives by hand, else those of an earlier run into `out`."""
    kept = out / ADJUST
    if adjust is None and not kept.is_file():
        return Adjustments()
    found = read_adjustments(adjust or kept, students, lab)
    if adjust is None and found.rows:
        count = sum(map(len, found.rows.values()))
        print(f"{kept}: {count} points by hand stay in force; see --adjust", file=sys.stderr)
    return found


def days_late_of(
    submissions: list[Submission], late: Path | None, out: Path, per_day: float
) -> dict[Submission, float]:
    """The days in the list `late`, else in that of an earlier run into `out`; 1 for a submission
    that only Canvas marks as late."""
    kept = out / LATE
    path = late or (kept if kept.is_file() else None)
    listed = read_days_late(path, submissions) if path else {}
    if listed and not late:
        print(
            f"{kept}: the days late of {len(listed)} submissions stay in force, and each day costs "
            f"{per_day:g} of the score; see --late and --per-day",
            file=sys.stderr,
        )
    for one in submissions:
        mates = [other for other in listed if one.group and one.group == other.group]
        if path and mates and one not in listed:
            print(
                f"{one.student}: no row in {path.name}, so not late; {mates[0].student} has one "
                "and handed in the same work",
                file=sys.stderr,
            )
        if one.late and one not in listed:
            listed[one] = 1.0
            print(
                f"{one.student}: Canvas marks it LATE; counted as 1 day, "
                "a row in the --late list overrides that",
                file=sys.stderr,
            )
    return listed


def name_helpers(record: Record, submission: Submission, lab: Lab) -> None:
    """Say it in `record` if the file did not load because a module next to it was not read."""
    modules = {PurePosixPath(name).stem for name in submission.unread if name.endswith(".py")}
    for test in record.tests:
        match = re.search(r"No module named '([\w.]+)'", test.reason)
        if test.outcome == "import failure" and match and match[1].split(".")[0] in modules:
            module = match[1].split(".")[0]
            test.reason += (
                f"; only {lab.name}.py is graded and {module}.py is not read: "
                "copy what you use from it into the lab's file"
            )


def records_of(
    submissions: list[Submission],
    folder: Path,
    lab: Lab,
    out: Path,
    jobs: int,
    allow_unsandboxed: bool,
    executor: Executor | None,
) -> list[Record]:
    """The record of each submission, from the journal if it is there, else by grading it."""
    from dlcourse.grade.batch_process import processes
    from dlcourse.grade.job import BatchSettings

    environment = environment_of(lab, allow_unsandboxed=allow_unsandboxed)
    keys = {submission: key_of(submission, environment) for submission in submissions}
    journal = Journal(out / "journal.jsonl")
    try:
        todo = [one for one in submissions if not is_graded(journal, keys[one])]
        if todo:
            hidden = (lab.tests.parent, lab.solution.parent, out.resolve(), folder.resolve())
            settings = BatchSettings(lab, hidden, allow_unsandboxed=allow_unsandboxed)
            with contextlib.ExitStack() as stack:
                count = min(jobs, len(todo))
                pool = executor or stack.enter_context(processes(count))
                others = 0 if executor else count - 1
                fill(journal, pool, settings, todo, keys, environment, others)
    finally:
        journal.close()
    return [journal.records[keys[submission]] for submission in submissions]


def fill(
    journal: Journal,
    pool: Executor,
    settings: BatchSettings,
    todo: list[Submission],
    keys: dict[Submission, str],
    environment: dict[str, Any],
    others: int,
) -> None:
    """Let the grader prove itself, then grade `todo`. Each record goes to the journal at once.

    others: how many more processes of `pool` start while one of them proves the grader.
    """
    from dlcourse.grade import work

    proving = pool.submit(work.prove, settings)
    for _ in range(others):
        pool.submit(work.warm_up, settings)  # what goes wrong there, a submission will show
    proof = result_of(proving)
    extra = {**environment, "layers": proof.layers}
    blank = result_of(pool.submit(work.grade_one, settings, proof.job(b"")))[0]
    tasks = {}
    for submission in todo:
        if submission.problem:
            tests = ungraded(blank, "missing", submission.problem)
            about = {**extra, "student": submission.student}
            journal.add(keys[submission], Record(settings.lab.short, tests, 0.0, about))
        else:
            job = proof.job(submission.source)
            tasks[pool.submit(work.grade_one, settings, job)] = submission
    progress = tqdm(as_completed(tasks), total=len(tasks), unit="submission", disable=None)
    for done in progress:
        submission = tasks.pop(done)
        try:
            tests, seconds = result_of(done)
        except Exception as error:  # noqa: BLE001 (an engine raises its own; the batch goes on)
            why = str(error) if isinstance(error, GradingError) else repr(error)
            tests, seconds = ungraded(blank, COULD_NOT, clean_text(why, 500)), 0.0
        about = {**extra, "student": submission.student, "sha256": submission.sha256}
        record = Record(settings.lab.short, tests, seconds, about)
        journal.add(keys[submission], record)
        failed = next((test for test in tests if test.outcome == COULD_NOT), None)
        if failed:
            progress.write(
                f"{submission.student}: could not check {failed.name}: {failed.reason}; "
                "the same command tries this submission again",
                file=sys.stderr,
            )


def result_of(call: Future[Any]) -> Any:
    try:
        return call.result()
    except BrokenExecutor:
        raise GradingError("a process that grades died while it worked on this") from None


def is_graded(journal: Journal, key: str) -> bool:
    """Whether `key` has a record other than "could not be checked"."""
    return key in journal.records and journal.records[key].exit_status != GradingError.exit_status


def ungraded(tests: Iterable[TestRecord], outcome: str, reason: str) -> list[TestRecord]:
    """Return copies of `tests` for a submission that no test could run on."""
    return [
        TestRecord(
            test.task, test.name, 0.0, test.max_score, outcome, reason,
            hint=test.hint, hidden=test.hidden, needs=test.needs,
        )
        for test in tests
    ]  # fmt: skip


def environment_of(lab: Lab, *, allow_unsandboxed: bool) -> dict[str, Any]:
    """Everything that a grade depends on, except the submission."""
    package = Path(__file__).parent.parent
    sources = sorted(path for path in package.rglob("*") if path.suffix in (".py", ".jinja"))
    return {
        "tests_sha256": sha256_of([lab.tests]),
        "solution_sha256": sha256_of([path for path in [lab.solution] if path.is_file()]),
        "package_sha256": sha256_of(sources),
        "allow_unsandboxed": allow_unsandboxed,
        "device": "cpu",
        "data": "none",
        # Not `runtime.versions`, for which this process would have to import torch.
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("torch", "torchvision", "numpy")},
    }


def sha256_of(paths: Iterable[Path]) -> str:
    """The hash of the names and contents of `paths`."""
    parts = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def key_of(submission: Submission, environment: dict[str, Any]) -> str:
    text = json.dumps([submission.student, submission.sha256, environment], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def as_text(graded: list[Graded], out: Path) -> str:
    """A summary of a batch: the median score, and how often each outcome occurred."""
    scores = [one.score for one in graded if one.is_known]
    unknown = len(graded) - len(scores)
    median = f"median {statistics.median(scores):g}" if scores else "no score"
    kinds = Counter(
        verdict.outcome for one in graded for verdict in one.record.verdicts()
    ).most_common()
    problems = sum(bool(one.submission.problem) for one in graded)
    made = [name for name in ("canvas.csv", "moodle.csv", "moodle_feedback.zip")
            if (out / name).is_file()]  # fmt: skip
    schools = "\nfor the school: " + ", ".join(str(out / name) for name in made) if made else ""
    unread = f"not graded: {problems}, see stderr and report.html\n" if problems else ""
    return (
        f"{len(graded)} submissions, {median} of {graded[0].record.max_score:g} points"
        f"{f', {unknown} not known: see stderr' if unknown else ''}\n"
        f"tasks: {', '.join(f'{count} {kind}' for kind, count in kinds)}\n"
        f"{unread}"
        f"reports: {out / 'report.html'}, {out / 'details.csv'}, {out / 'students'}{schools}"
    )
