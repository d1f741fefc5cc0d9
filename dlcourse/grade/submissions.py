"""Find the submissions in an exported folder and read the one file of each that is graded.

Nothing is run, and nothing is extracted. Every entry of the folder becomes a submission, a part of
one, or a line in `Intake.left_out`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import stat
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dlcourse.check.record import COULD_NOT, Record, TestRecord
from dlcourse.check.source import read_source
from dlcourse.check.text import clean_text
from dlcourse.course import Lab
from dlcourse.errors import UsageError
from dlcourse.grade import layouts
from dlcourse.grade.layouts import Owner, Person

__all__ = ["Graded", "Intake", "Submission", "find_submissions", "listed", "with_unique_names"]

MAX_SOURCE = 2**20  # bytes of a script; a lab has 20,000
MAX_NOTEBOOK = 2**24  # bytes of a notebook, with the figures that it shows
MAX_ENTRIES = 2000  # files of one submission, without environments and caches
MAX_DIRECTORY = 2**23  # bytes of a zip's list of entries, which zipfile reads at once
SHOWN = 5  # names in one message
# Folders that tools make. A folder with a pyvenv.cfg is skipped too, and so are hidden ones.
SKIPPED = {"__MACOSX", "__pycache__", "dist-packages", "node_modules", "site-packages", "venv"}
SYSTEM_FILES = {"__macosx", "desktop.ini", "thumbs.db"}
# A file with one of these endings is an attempt to hand in, although it cannot be graded.
REFUSED = (
    ".7z", ".bz2", ".doc", ".docx", ".gz", ".htm", ".html", ".odt", ".pdf", ".pyc", ".rar", ".rtf",
    ".tar", ".tgz", ".xz",
)  # fmt: skip
METADATA = "submission_metadata.yml"
READ = (".py", ".ipynb", ".zip", ".py.txt")


@dataclass(frozen=True)
class Submission:
    """What one student handed in.

    student: the name in all reports; `name` is without what tells namesakes apart.
    id, login, email: what the school calls the student; "" where it does not tell.
    source: the Python source that is graded, b"" if `problem` says why there is none.
    file: where it is below the folder. notes: what to know about how it was read.
    unread: names of the files next to it. group: the same for all who handed in together.
    late: whether the school marks it late. school, sis_id: as in `layouts.Person`.
    canvas_id: the student's number in Canvas. section: from a roster.
    """

    student: str
    id: str
    source: bytes = b""
    problem: str = ""
    login: str = ""
    email: str = ""
    file: str = ""
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    group: str = ""
    late: bool = False
    name: str = ""
    school: str = ""
    sis_id: str = ""
    canvas_id: str = ""
    section: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.source + self.problem.encode()).hexdigest()

    @property
    def slug(self) -> str:
        """A plain name for files: letters, digits, dot, dash. A hash is added if that loses
        something, and where the name itself looks like one with a hash."""
        plain = re.sub(r"[^A-Za-z0-9.-]+", "_", self.student).strip("._")[:80]
        if plain == self.student and not re.search(r"-[0-9a-f]{16}$", plain):
            return plain
        digest = hashlib.sha256(self.student.encode("utf-8", "replace")).hexdigest()
        return f"{plain}-{digest[:16]}"

    @property
    def remarks(self) -> list[str]:
        """Why nothing was graded, and what was not read, one sentence each."""
        lines = [f"not graded: {self.problem}"] if self.problem else []
        lines += self.notes
        if self.unread and not self.problem:
            graded = clean_text(PurePosixPath(self.file).name, 100)
            lines.append(f"only {graded} is graded; not read: {listed(self.unread)}")
        return lines


@dataclass
class Graded:
    """A submission and its record. `score` is what counts, after any late penalty.

    by_hand: a line for each number of points that the instructor gave. is_set: whether one of them
    is the score itself.
    """

    submission: Submission
    record: Record
    days_late: float = 0.0
    score: float = 0.0
    by_hand: list[str] = field(default_factory=list)
    is_set: bool = False

    @property
    def is_known(self) -> bool:
        """Whether `score` is a grade: of each task the tests ran, or the points are by hand."""
        verdicts = self.record.verdicts()
        return self.is_set or all(verdict.outcome != COULD_NOT for verdict in verdicts)

    @property
    def remarks(self) -> list[str]:
        """The submission's remarks, why its file did not load, points by hand, and whether the
        score is not known."""
        broken = {test.reason for test in self.record.tests if test.outcome == "import failure"}
        unknown = "tests could not run, so the score is not known; the same command tries again"
        return [
            *self.submission.remarks, *sorted(broken), *self.by_hand,
            *([] if self.is_known else [unknown]),
        ]  # fmt: skip

    def said_on_top(self, test: TestRecord) -> bool:
        """Whether the remarks say why `test` failed, so that it need not say it again."""
        return bool(self.submission.problem) or test.outcome == "import failure"


@dataclass
class Intake:
    """The submissions in a folder, sorted by student, and a line for each entry that is none."""

    submissions: list[Submission]
    left_out: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """A line for everything that is not graded and for everything that may surprise."""
        return self.left_out + [
            f"{one.student}: {remark}" for one in self.submissions for remark in one.remarks
        ]


@dataclass(frozen=True)
class Entry:
    """A file inside a submission.

    read: takes a limit in bytes and returns the content; None for what is not read, for the reason
    `problem` if it is not plain. attempt, order: as in `layouts.Owner`. place: the entry of the
    exported folder that holds the file.
    """

    name: str
    read: Callable[[int], bytes] | None
    attempt: str = ""
    order: int = 0
    problem: str = ""
    place: str = ""

    @property
    def path(self) -> str:
        """Where it is below the exported folder."""
        flat = self.place.endswith(self.name) and not self.place.lower().endswith(".zip")
        return self.place if flat else f"{self.place}/{self.name}"


def find_submissions(folder: Path, lab: Lab) -> Intake:
    """Read the submissions below `folder` for `lab`.

    A submission that cannot be read is there nevertheless, with its `problem`. Raises UsageError
    if there is no such folder or no submission in it.
    """
    if not folder.is_dir():
        raise UsageError(
            f"no folder {folder}; name the one that holds a folder, .zip, .py or .ipynb for each "
            "student"
        )
    left_out: list[str] = []
    paths = entries_of(folder, left_out)
    groups: dict[str, list[tuple[Path, Owner]]] = {}
    people = layouts.submitters((paths[0].parent if paths else folder) / METADATA)
    folders = {path.name: path.is_dir() and not path.is_symlink() for path in paths}
    school = layouts.school_of(
        {name: folder for name, folder in folders.items() if not is_system_file(name)}
    )
    for path in paths:
        if path.name == METADATA and people:
            continue
        owner = layouts.owner_of(path.name, is_folder=folders[path.name], school=school)
        if reason := no_submission(path, owner):
            left_out.append(f"{clean_text(path.name, 200)}: {reason}")
        else:
            groups.setdefault(owner.key, []).append((path, owner))
    found = [
        one
        for key, several in groups.items()
        for one in submissions_of(key, several, people.get(key), lab)
    ]
    for key in people.keys() - groups.keys():
        problem = f"{METADATA} lists {key}, but the folder holds no {key}"
        found += [of_person(person, Submission("", "", problem=problem)) for person in people[key]]
    if not found:
        also = f" (not read: {'; '.join(left_out[:SHOWN])})" if left_out else ""
        raise UsageError(
            f"no submission in {folder}; expected a folder, .zip, .py or .ipynb for each student"
            f"{also}"
        )
    found = sorted(with_unique_names(found), key=lambda submission: submission.student)
    refuse_same(found)
    return Intake(found, left_out + look_alikes(found))


def entries_of(folder: Path, left_out: list[str]) -> list[Path]:
    """The entries of `folder`, or of the only folder in it if that is the school's export."""
    paths = sorted(folder.iterdir())
    shown = [path for path in paths if not is_system_file(path.name)]
    if len(shown) == 1 and shown[0].is_dir() and not shown[0].is_symlink():
        inner = sorted(shown[0].iterdir())
        if not layouts.is_school_name(shown[0].name) and any(
            layouts.is_school_name(path.name) for path in inner
        ):
            left_out += [
                f"{path.name}: not read, a hidden or system file"
                for path in paths
                if path not in shown
            ]
            return inner
    return paths


def is_system_file(name: str) -> bool:
    return name.startswith(".") or name.casefold() in SYSTEM_FILES


def no_submission(path: Path, owner: Owner) -> str:
    """Why the entry at `path` belongs to no submission; "" if it does."""
    if is_system_file(path.name):
        return "not read, a hidden or system file"
    known = layouts.is_school_name(path.name) or path.is_dir() or path.is_symlink()
    if known or not path.is_file() or path.name.lower().endswith(READ + REFUSED):
        return ""
    return "not read; expected a folder, .zip, .py or .ipynb for each student"


def submissions_of(
    key: str, several: list[tuple[Path, Owner]], people: list[Person] | None, lab: Lab
) -> Iterator[Submission]:
    """The submissions that the entries of one `key` make: one for each of the `people`."""
    entries: list[Entry] = []
    person = several[0][1].person
    for path, owner in several:
        if owner.person.name != person.name:
            raise UsageError(
                f"{clean_text(several[0][0].name, 100)} and {clean_text(path.name, 100)} have the "
                f"same ID, {person.id}, and different names; rename one of them"
            )
    for path, owner in several:
        if owner.attempt and owner.file == path.name:
            # Blackboard's own text file about the attempt.
            with contextlib.suppress(OSError):
                person = layouts.people_of_blackboard(path) or person
        else:
            entries += [replace(one, place=path.name) for one in contents(path, owner)]
    newest = max(owner.attempt for _, owner in several)
    submission = replace(
        read_newest(entries, newest, lab), late=any(owner.late for _, owner in several)
    )
    if not people:
        if people is not None:
            nobody = f"{METADATA} names nobody for {key}"
            submission = replace(submission, notes=(*submission.notes, nobody))
        yield of_person(person, submission)
        return
    for one in people:
        yield of_person(one, replace(submission, group=key if len(people) > 1 else ""), person.id)


def read_newest(entries: list[Entry], newest: str, lab: Lab) -> Submission:
    """Read the file to grade among the `entries` of the attempt `newest`; nobody's yet."""
    older = [one.name for one in entries if one.attempt != newest]
    try:
        chosen = pick([one for one in entries if one.attempt == newest], lab)
    except ValueError as error:
        also = f"; an older attempt holds {listed(older)}" if older else ""
        return Submission("", "", problem=clean_text(f"{error}{also}", 500))
    name = PurePosixPath(chosen.name).name
    notes = []
    if fit(name, lab) > ACCEPTED and (chosen.place, name) != (chosen.name, chosen.name):
        notes = [f"{clean_text(name, 100)} is read as {lab.name}.py"]
    unread = [
        one.problem or one.name + (" (an older attempt)" if is_older(one, chosen, lab) else "")
        for one in sorted(entries, key=lambda one: not one.name.endswith(".py"))
        if one is not chosen
    ]
    read = Submission("", "", file=chosen.path, notes=tuple(notes), unread=tuple(unread))
    try:
        return replace(read, source=source_of(chosen))
    except (UsageError, OSError, ValueError) as error:
        return replace(read, problem=clean_text(error, 500))
    except Exception as error:  # noqa: BLE001 (damage in a zip raises whatever its codec does)
        problem = f"{name} cannot be unpacked: {type(error).__name__}: {error}"
        return replace(read, problem=clean_text(problem, 500))


def is_older(one: Entry, chosen: Entry, lab: Lab) -> bool:
    same = fit(PurePosixPath(one.name).name, lab) < 4 and one.order < chosen.order
    return same or one.attempt < chosen.attempt


def of_person(person: Person, submission: Submission, number: str = "") -> Submission:
    return replace(
        submission, student=person.name, name=person.name, id=person.id or number or person.name,
        login=person.login, email=person.email, school=person.school,
        sis_id=person.sis_id, canvas_id=person.id if person.school == "canvas" else "",
    )  # fmt: skip


def source_of(entry: Entry) -> bytes:
    assert entry.read is not None
    name = PurePosixPath(entry.name).name
    source = read_source(entry.read(MAX_NOTEBOOK), clean_text(name, 100))
    if not source.strip():
        raise ValueError(f"{name} is empty")
    if len(source) > MAX_SOURCE:
        raise ValueError(f"{name} is larger than {MAX_SOURCE:,} bytes")
    return source


def with_unique_names(found: list[Submission]) -> Iterable[Submission]:
    """Add what tells students of one name apart: the id, and the place of the file."""
    for label in (lambda one: one.id, lambda one: one.file or one.problem):
        seen = Counter(one.student for one in found)
        found = [
            replace(one, student=f"{one.student} ({label(one)})") if seen[one.student] > 1 else one
            for one in found
        ]
    return found


def refuse_same(found: list[Submission]) -> None:
    """Raise UsageError if two students have one ID, or one folder for their feedback."""
    owners: dict[tuple[str, str], Submission] = {}
    for one in found:
        for what, value in (("ID", one.id), ("folder of feedback", one.slug)):
            other = owners.setdefault((what, value), one)
            if other is not one and not (what == "ID" and one.group and one.group == other.group):
                raise UsageError(
                    f"{other.student} ({other.file or 'no file'}) and {one.student} "
                    f"({one.file or 'no file'}) have the same {what}, {clean_text(value, 100)!r}; "
                    "rename one of them"
                )


def look_alikes(found: list[Submission]) -> list[str]:
    """A line for names that differ only in case or in how accents are encoded."""
    alike: dict[str, list[str]] = {}
    for one in found:
        folded = unicodedata.normalize("NFKC", one.student).casefold()
        alike.setdefault(folded, []).append(one.student)
    return [
        f"{', '.join(map(ascii, names))}: these names differ only in case or encoding; each is "
        "graded as a student"
        for names in alike.values()
        if len(names) > 1
    ]


def contents(path: Path, owner: Owner) -> Iterator[Entry]:
    """The files of one entry of the folder, those inside of a .zip too."""
    base = Entry(owner.file or path.name, None, owner.attempt, owner.order)
    if path.is_symlink():
        # A link could pass off another student's file, or the solution, as a submission.
        yield replace(base, problem=f"{path.name} is a link; links are not read")
    elif path.is_dir():
        try:
            yield from contents_of_folder(path)
        except (OSError, ValueError) as error:
            yield replace(base, problem=f"{path.name}: {error}")
    else:
        yield from contents_of_file(path, base)


def contents_of_folder(folder: Path) -> Iterator[Entry]:
    """Raises ValueError for too many files, OSError for a folder that cannot be opened."""

    def stop(error: OSError) -> None:
        raise error

    count = 0
    for place, folders, files in os.walk(folder, onerror=stop):
        for name in sorted(folders):
            inner = Path(place, name)
            shown = inner.relative_to(folder).as_posix()
            if inner.is_symlink():
                folders.remove(name)
                yield Entry(shown, None, problem=f"{shown} is a link; links are not read")
            elif is_skipped(name) or (inner / "pyvenv.cfg").exists():
                folders.remove(name)
                yield Entry(f"{shown}/", None)
        folders.sort()
        for name in sorted(files):
            count += 1
            if count > MAX_ENTRIES:
                raise ValueError(f"more than {MAX_ENTRIES} files")
            path = Path(place, name)
            shown = path.relative_to(folder).as_posix()
            if path.is_symlink():
                yield Entry(shown, None, problem=f"{shown} is a link; links are not read")
            else:
                yield from contents_of_file(path, Entry(shown, None))


def is_skipped(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED


def contents_of_file(path: Path, base: Entry) -> Iterator[Entry]:
    if not path.is_file():
        yield replace(base, problem=f"{base.name} is not a regular file")
    elif path.name.lower().endswith(".zip"):
        try:
            yield from (
                replace(one, attempt=base.attempt, order=base.order) for one in zipped(path)
            )
        except Exception as error:  # noqa: BLE001 (damage in a zip raises whatever it hits first)
            yield replace(base, problem=f"{base.name}: {clean_text(error, 300)}")
    else:
        yield replace(base, read=partial(read, path))


def read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return capped(file, path.name, limit)


def capped(file: BinaryIO, name: str, limit: int) -> bytes:
    limit = limit if name.lower().endswith(".ipynb") else MAX_SOURCE
    data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{name} is larger than {limit:,} bytes")
    return data


class Small(io.FileIO):
    """A file that never reads more than MAX_DIRECTORY bytes at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = -1 if size is None else size
        data = super().read(MAX_DIRECTORY if wanted < 0 else min(wanted, MAX_DIRECTORY)) or b""
        if wanted > MAX_DIRECTORY or (wanted < 0 and super().read(1)):
            raise ValueError("the zip lists too many files")
        return data


def zipped(path: Path) -> list[Entry]:
    """The files in a zip. Raises ValueError for one that tries to escape or hides a file."""
    with Small(path) as file, zipfile.ZipFile(file) as archive:
        found: list[Entry] = []
        names = Counter[str]()
        for info in archive.infolist():
            name = PurePosixPath(info.filename.replace("\\", "/"))
            shown = clean_text(info.filename, 80)
            if name.is_absolute() or ".." in name.parts or ":" in info.filename:
                raise ValueError(f"a zip with the path {shown!r}")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise ValueError(f"a zip with a link, {shown!r}")
            if info.is_dir() or any(map(is_skipped, name.parts)):
                continue
            names[str(name)] += 1
            found.append(Entry(str(name), partial(read_zipped, path, info)))
            if len(found) > MAX_ENTRIES:
                raise ValueError(f"a zip of more than {MAX_ENTRIES} files")
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(f"a zip that holds {clean_text(twice[0], 80)!r} twice")
        return found


def read_zipped(path: Path, info: zipfile.ZipInfo, limit: int) -> bytes:
    # The size in the list of entries may be a lie: no more than the limit is read.
    with zipfile.ZipFile(path) as archive, archive.open(info) as file:
        return capped(file, PurePosixPath(info.filename).name, limit)  # type: ignore[arg-type]


ACCEPTED = 2  # up to this fit, a name says without doubt that the file is the lab


def fit(name: str, lab: Lab) -> int:
    """How well a file's name fits the lab's, 0 best; above 6 it is not read at all."""
    wanted, folded = f"{lab.name}.py", name.casefold()
    # What Canvas, browsers and file managers add to the name of a second copy.
    plain = re.sub(r"(?:-\d+| ?\(\d+\))(?=(?:\.py|\.ipynb|\.py\.txt)$)", "", folded)
    names = [wanted.casefold(), f"{lab.name}.ipynb".casefold(), f"{wanted}.txt".casefold()]
    if name == wanted:
        return 0
    if plain in names:
        return 1 + names.index(plain)
    endings = [".py", ".ipynb", ".py.txt"]
    return next((4 + at for at, end in enumerate(endings) if folded.endswith(end)), 9)


def pick(entries: list[Entry], lab: Lab) -> Entry:
    """The file to grade. Raises ValueError where none is, or several could be."""
    ranked: dict[int, list[Entry]] = {}
    for entry in entries:
        if entry.read is not None:
            rank = fit(PurePosixPath(entry.name).name, lab)
            # In Canvas a later attempt is `lab05_convnets-1.py`, as good a name as the first.
            ranked.setdefault(1 if rank == 0 and entry.order else rank, []).append(entry)
    best = min(ranked, default=9)
    if best > 6:
        problems = [one.problem for one in entries if one.problem]
        if problems:
            raise ValueError(problems[0])
        holds = f"; it holds {listed([one.name for one in entries])}" if entries else ""
        raise ValueError(f"no Python file in it; expected {lab.name}.py, .ipynb or .zip{holds}")
    chosen = sorted(ranked[best], key=lambda one: one.order)
    if len(chosen) > 1 and (best > 3 or chosen[-1].order == chosen[-2].order):
        names = listed(sorted(one.name for one in chosen))
        raise ValueError(f"{len(chosen)} files could be {lab.name}.py: {names}")
    return chosen[-1]


def listed(names: Iterable[str]) -> str:
    names = [clean_text(name, 120) for name in names]
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
