"""The lists that an instructor gives next to the submissions, and whom a row of them means."""

from __future__ import annotations

import csv
import difflib
import io
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcourse.errors import UsageError
from dlcourse.grade.submissions import Submission

__all__ = [
    "Row",
    "find_student",
    "folded",
    "names_of",
    "number_in",
    "penalized",
    "read_days_late",
    "read_rows",
    "read_table",
    "squeezed",
    "text_of",
]


@dataclass(frozen=True)
class Row:
    """A row of a list: `where` is "late.csv, row 3", the header being row 1."""

    where: str
    cells: dict[str, str]

    def number(self, column: str) -> float:
        """The number in `column`, also with a decimal comma. Raises UsageError for another."""
        return number_in(self.cells[column], f"{self.where}: {column}")


def number_in(text: str, what: str) -> float:
    """The number in `text`, also with a decimal comma; raises UsageError about `what` if none."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise UsageError(f"{what} must be a number that is at least 0, got {text!r}")
    return value


def read_rows(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> list[Row]:
    """The rows of a CSV file with these `columns`, in any order and case, cells stripped.

    Raises UsageError for a file, a header or a row of another form; see `read_table`.
    """
    table = read_table(path, columns)
    unknown = [name for name in table.names if name not in (*columns, *optional)]
    if unknown:
        raise table.other_header()
    return table.rows


@dataclass(frozen=True)
class Table:
    """A CSV file: its header as it stands and as names (`days_late`), and its rows."""

    path: Path
    separator: str
    header: list[str]
    names: list[str]
    rows: list[Row]
    expected: str

    def other_header(self) -> UsageError:
        return UsageError(
            f"{self.path}: its first row is {self.separator.join(self.header)!r}; "
            f"expected columns {self.expected}"
        )


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """A CSV file that has at least these `columns`, in any order and case, cells stripped.

    Separators may be commas, semicolons or tabs, as spreadsheets of different countries write
    them; the encoding UTF-8, UTF-16 with a mark, or cp1252. Blank lines are left out. Raises
    UsageError for a file that cannot be read, or that lacks a column or a cell.
    """
    expected = ",".join(columns)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}; expected columns {expected}"
        ) from None
    text = text_of(data).lstrip("\ufeff")
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise UsageError(f"{path} is empty; expected columns {expected}")
    separator = max(",;\t", key=first.count)
    lines = [
        [cell.strip() for cell in line]
        for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        if any(cell.strip() for cell in line)
    ]
    names = ["_".join(name.casefold().split()) for name in lines[0]]
    table = Table(path, separator, lines[0], names, [], expected)
    if set(columns) - set(names) or len(set(names)) < len(names):
        raise table.other_header()
    for number, line in enumerate(lines[1:], start=2):
        where = f"{path.name}, row {number}"
        if len(line) != len(names):
            raise UsageError(f"{where}: expected {len(names)} cells, got {len(line)}: {line}")
        table.rows.append(Row(where, dict(zip(names, line, strict=True))))
    return table


def text_of(data: bytes) -> str:
    for encoding in ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def find_student(row: Row, submissions: Sequence[Submission]) -> Submission:
    """The submission of the student whom `row` names in its column `student`.

    The cell may hold the id, the login, the e-mail address or the name, also as "Last, First".
    Case, spaces and the encoding of accents make no difference. Raises UsageError, with the nearest
    name, if it names nobody or several.
    """
    text = row.cells["student"]
    last, comma, first = text.partition(",")
    for spellings in (
        {folded(text)},
        {folded(f"{first} {last}")} if comma else set(),
        # Canvas writes "Doe, Jane" as doejane.
        {squeezed(text), squeezed(first + last)},
    ):
        found = [
            one
            for one in submissions
            if spellings & {change(name) for name in names_of(one) for change in (folded, squeezed)}
        ]
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(f"{one.student} (id {one.id})" for one in found)
            raise UsageError(f"{row.where}: {text!r} could be {several}; write the id")
    known = {name: one for one in submissions for name in names_of(one)}
    near = difflib.get_close_matches(text, known, n=1, cutoff=0.0)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    raise UsageError(f"{row.where}: no submission is from student {text!r}{hint}")


def names_of(submission: Submission) -> list[str]:
    names = (
        submission.student, submission.name, submission.id, submission.sis_id, submission.login,
        submission.email,
    )  # fmt: skip
    return [name for name in dict.fromkeys(names) if name]


def folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def squeezed(text: str) -> str:
    """Letters and digits alone."""
    return "".join(filter(str.isalnum, folded(text)))


def read_days_late(path: Path, submissions: Sequence[Submission]) -> dict[Submission, float]:
    """Days late of each submission that the CSV file names in its columns student,days_late.

    Raises UsageError for a row that names nobody, a second one for a student, or a number that is
    not finite and at least 0.
    """
    days: dict[Submission, float] = {}
    rows: dict[Submission, Row] = {}
    for row in read_rows(path, ("student", "days_late")):
        submission = find_student(row, submissions)
        if submission in rows:
            raise UsageError(
                f"{row.where}: a second row for {submission.student}; {rows[submission].where} is "
                "the first"
            )
        rows[submission], days[submission] = row, row.number("days_late")
    return days


def penalized(score: float, days_late: float, per_day: float = 0.1) -> float:
    """`score` less the fraction `per_day` for each day begun after the deadline, never below 0.

    >>> penalized(10.0, 1.2, per_day=0.1)
    8.0
    """
    if not 0 <= per_day <= 1:
        raise UsageError(f"--per-day must be a fraction from 0 to 1, got {per_day!r}")
    return round(score * max(0.0, 1 - per_day * math.ceil(max(0.0, days_late))), 6)
