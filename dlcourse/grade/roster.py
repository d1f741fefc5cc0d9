"""The list of a class: who the submissions are from, and who handed in nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dlcourse.errors import UsageError
from dlcourse.grade.lists import folded, read_table, squeezed
from dlcourse.grade.submissions import Submission, with_unique_names

__all__ = ["Joined", "Roster", "Student", "join", "read_roster"]

# How Canvas's gradebook, Moodle's worksheet, Gradescope's roster and people call the columns.
COLUMNS = {
    "name": ("student", "name", "full_name", "student_name"),
    "first": ("first_name", "firstname", "given_name"),
    "last": ("last_name", "lastname", "surname"),
    "id": ("id", "identifier", "user_id"),
    "sis_id": ("sis_user_id", "sid", "student_id", "student_number", "id_number", "idnumber"),
    "login": ("sis_login_id", "login", "login_id", "username"),
    "email": ("email", "e-mail", "email_address", "mail"),
    "section": ("section", "sections"),
}
EXPECTED = "student,id,sis_user_id,login,email,section"
# Rows of Canvas's gradebook that are no students.
NOBODY = {"points possible", "student, test"}


@dataclass(frozen=True)
class Student:
    """A row of the roster; what it does not tell is ""."""

    name: str
    id: str = ""
    canvas_id: str = ""
    sis_id: str = ""
    login: str = ""
    email: str = ""
    section: str = ""


@dataclass(frozen=True)
class Roster:
    """The class. unread: the columns of its file that were not read."""

    students: list[Student]
    unread: list[str]


@dataclass
class Joined:
    """The submissions, completed, in their order; who handed in nothing; and lines to print."""

    submissions: list[Submission]
    nothing: list[Student]
    lines: list[str]


def read_roster(path: Path) -> Roster:
    """The students in the CSV file `path`.

    The gradebook of Canvas, the grading worksheet of Moodle, the roster of Gradescope, and lists
    with columns such as student,id,email are read. Raises UsageError if no column names students.
    """
    table = read_table(path, ())
    columns = {
        field: next((name for name in names if name in table.names), "")
        for field, names in COLUMNS.items()
    }
    if not any(columns[field] for field in ("name", "last", "id", "sis_id", "login", "email")):
        raise UsageError(
            f"{path}: its first row is {table.separator.join(table.header)!r}; expected some of "
            f"the columns {EXPECTED}"
        )
    # Of the lists with a column ID, only Canvas's gradebook has this one too.
    from_canvas = {"id", "sis_login_id"} <= set(table.names)
    students = []
    for row in table.rows:
        cells = {field: row.cells[name] if name else "" for field, name in columns.items()}
        first, last = cells.pop("first"), cells.pop("last")
        cells["name"] = plain_name(cells["name"]) or f"{first} {last}".strip()
        # Moodle writes "Participant 101", also in other languages; an id elsewhere may be "jd101".
        is_moodle = columns["id"] == "identifier"
        if is_moodle and (number := re.fullmatch(r"\D+ ?(\d+)", cells["id"])):
            cells["id"] = number[1]
        if any(cells.values()) and folded(row.cells.get(columns["name"], "")) not in NOBODY:
            student = Student(**cells, canvas_id=cells["id"] if from_canvas else "")
            students.append(replace(student, name=student.name or student.login or student.email))
    students = without_repeats(students)
    if not students:
        raise UsageError(f"{path} lists no students")
    used = set(columns.values())
    unread = [
        head for head, name in zip(table.header, table.names, strict=True) if name not in used
    ]
    return Roster(students, unread)


def without_repeats(students: list[Student]) -> list[Student]:
    """`students`, with one entry for who has a row in each of several sections."""
    found: dict[Student | int, Student] = {}
    for at, one in enumerate(students):
        is_told = one.id or one.sis_id or one.login or one.email  # else it may be a namesake
        first = found.setdefault(replace(one, section="") if is_told else at, one)
        if is_told and one.section not in first.section.split(", "):
            sections = ", ".join(filter(None, (first.section, one.section)))
            found[replace(one, section="")] = replace(first, section=sections)
    return list(found.values())


def plain_name(text: str) -> str:
    """ "Doe, Jane" -> "Jane Doe" """
    last, comma, first = text.partition(",")
    return f"{first.strip()} {last.strip()}" if comma else text


def join(submissions: Sequence[Submission], roster: Roster) -> Joined:
    """Give every submission the name and the ids that the roster has for its student.

    Raises UsageError for anonymous submissions, and if two submissions that were not handed in by
    a group are of one student.
    """
    if any(one.school == "canvas anonymous" for one in submissions):
        raise UsageError(
            "the submissions are anonymous, so that no roster can say whose they are; leave out "
            "--roster"
        )
    students = roster.students
    found: dict[Student, Submission] = {}
    perhaps: set[Student] = set()
    joined: list[Submission] = []
    lines = []
    if roster.unread:
        lines.append(f"columns of the roster that are not read: {', '.join(roster.unread)}")
    for one in submissions:
        matches = matching(one, students)
        if len(matches) != 1:
            perhaps.update(matches)
            reason = f"could be {' or '.join(map(shown, matches))} on" if matches else "not on"
            joined.append(replace(one, notes=(*one.notes, f"{reason} the roster")))
            continue
        (student,) = matches
        if student in found:
            raise UsageError(
                f"{found[student].student!r} and {one.student!r} are both {student.name} on the "
                "roster; leave only one of them in the folder"
            )
        found[student] = one
        joined.append(completed(one, student))
    nothing = [student for student in students if student not in found and student not in perhaps]
    if unsure := [student for student in students if student in perhaps - found.keys()]:
        lines.append(f"not known whether they handed in: {', '.join(map(shown, unsure))}")
    if nothing:
        names = ", ".join(student.name for student in nothing)
        lines.append(f"handed in nothing: {len(nothing)} of {len(students)}: {names}")
    return Joined(list(with_unique_names(joined)), nothing, lines)


def shown(student: Student) -> str:
    """The name, and what tells namesakes apart."""
    known = student.id or student.sis_id or student.login or student.email
    return f"{student.name} ({known})" if known else student.name


def completed(one: Submission, student: Student) -> Submission:
    return replace(
        one, student=student.name, name=student.name, id=student.id or one.id,
        sis_id=student.sis_id or one.sis_id, login=student.login or one.login,
        email=student.email or one.email, section=student.section,
        canvas_id=student.canvas_id or one.canvas_id,
    )  # fmt: skip


def matching(one: Submission, students: Iterable[Student]) -> list[Student]:
    """The students whom `one` may be from: by the school's number, by login or e-mail, by name."""
    students = list(students)
    numbered = one.school in ("canvas", "moodle") and any(student.id for student in students)
    if numbered:
        # Numbers of one school; a register may have the same ones for others.
        return [student for student in students if student.id == one.id]
    ids = {folded(text) for text in (one.sis_id, one.login, one.email) if text}
    if not one.school:
        ids.add(folded(one.id))
    names = {one.name, one.student}
    rules: tuple[Callable[[Student], bool], ...] = (
        lambda s: bool(ids & {folded(t) for t in (s.sis_id, s.login, s.email) if t}),
        lambda s: not one.school and folded(s.id) in ids,
        lambda s: folded(s.name) in map(folded, names),
        # Canvas calls Jane Doe doejane.
        lambda s: bool({squeezed(s.name), squeezed(turned(s.name))} & set(map(squeezed, names))),
    )
    for rule in rules:
        if found := [student for student in students if rule(student)]:
            return found
    return []


def turned(name: str) -> str:
    """ "Jane Doe" -> "Doe Jane" """
    first, _, last = name.rpartition(" ")
    return f"{last} {first}"
