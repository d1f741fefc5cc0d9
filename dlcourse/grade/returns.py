"""Files that carry grades back to where the submissions came from.

Canvas: a CSV for "Import grades", read by lib/gradebook_importer.rb. Moodle: the offline grading
worksheet, read by mod/assign/feedback/offline/importgradeslib.php, and a zip for "upload multiple
feedback files", read by mod/assign/feedback/file/importziplib.php.
"""

from __future__ import annotations

import csv
import html
import io
import re
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcourse.errors import UsageError
from dlcourse.grade.lists import Row, folded, number_in, read_table, text_of
from dlcourse.grade.submissions import Graded, Submission

__all__ = [
    "Worksheet",
    "canvas_csv",
    "check_column",
    "feedback_zip",
    "grade",
    "number",
    "plain_cell",
    "read_worksheet",
    "worksheet_csv",
]

CANVAS_HEAD = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
# Canvas leaves out every column whose name holds one of these.
NO_ASSIGNMENT = re.compile(
    "Current (Score|Points|Grade)|Final (Score|Points|Grade)|Override (Score|Grade|Status)"
)
# Moodle skips a worksheet without these columns, and reads the comments where they are.
GRADE, COMMENTS, MAXIMUM, LOCKED = (
    "grade", "feedback_comments", "maximum_grade", "grade_can_be_changed",
)  # fmt: skip
MOODLE_HEAD = ("identifier", GRADE, "last_modified_(grade)")
# The start of a formula, also in full-width or small form, at the start or after a separator.
FORMULA = re.compile(
    r"((?:^|[;,|])[\s\"']*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b])"
)
MOMENT = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold


def number(value: float) -> str:
    """`value` with a decimal point and without an exponent: "7.5", "0.333333", "12"."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def plain_cell(text: str) -> str:
    """`text` on one line, marked so that no spreadsheet takes it, or a part of it, for a formula.

    Which characters separate cells depends on the country that the spreadsheet is set to.
    """
    return FORMULA.sub(r"\1'", " ".join(re.split(r"[\t\r\n\v\f]+", text)))


def check_column(column: str, submissions: Sequence[Submission]) -> None:
    """Raise UsageError if Canvas would not take `column` for the name of an assignment."""
    if not column.strip() or column in (*CANVAS_HEAD, "LastName", "FirstName", "Integration ID"):
        raise UsageError(
            f"--column must be the assignment's column in Canvas's gradebook, such as "
            f"'Lab 5 (1234)', got {column!r}"
        )
    if match := NO_ASSIGNMENT.search(column):
        raise UsageError(
            f"Canvas does not import a column with {match[0]!r} in its name, got {column!r}; "
            "rename the assignment"
        )
    if is_anonymous(submissions):
        raise UsageError(
            "Canvas imports no grades of anonymous submissions; leave out --column, or turn "
            "anonymous grading off in Canvas and export again"
        )


def is_anonymous(submissions: Sequence[Submission]) -> bool:
    return any(one.school == "canvas anonymous" for one in submissions)


def canvas_csv(graded: Sequence[Graded], column: str) -> str | None:
    """What Canvas's gradebook imports: its own columns and one assignment, no more.

    Canvas finds a student by ID, else by SIS User ID, SIS Login ID or name. A further column would
    become a new assignment. None for anonymous submissions, whose grades Canvas does not import.
    """
    if is_anonymous([one.submission for one in graded]):
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*CANVAS_HEAD, column])
    most = max(one.record.max_score for one in graded)
    writer.writerow(["    Points Possible", "", "", "", "", number(most)])
    for one in graded:
        student = one.submission
        # The name of a folder may be a login.
        login = student.login or (student.id if not student.school else "")
        ids = (student.canvas_id, student.sis_id, login, student.section)
        writer.writerow([plain_cell(student.name), *map(plain_cell, ids), grade(one)])
    return text.getvalue()


def grade(one: Graded) -> str:
    """The grade of `one`; "", which Canvas and Moodle leave alone, if tests could not run."""
    return number(one.score) if one.is_known else ""


@dataclass
class Worksheet:
    """Moodle's grading worksheet, to be filled. rows: the row number of each submission."""

    path: Path
    separator: str
    lines: list[list[str]]
    names: list[str]
    rows: dict[Submission, int]
    most: dict[int, float]
    remarks: list[str]


def read_worksheet(path: Path, submissions: Sequence[Submission]) -> Worksheet:
    """Read the worksheet `path` and find the row of every submission.

    Raises UsageError if Moodle would not take the file back, or if no submission is in it.
    """
    table = read_table(path, ())
    if missing := [name for name in MOODLE_HEAD if name not in table.names]:
        raise UsageError(
            f"{path}: its first row is {table.separator.join(table.header)!r}, without "
            f"{', '.join(missing)}; expected Moodle's grading worksheet: set Moodle's language to "
            "English and download it again"
        )
    fitting = {
        one: [at for at, row in enumerate(table.rows) if is_row_of(row, one)] for one in submissions
    }
    claims = Counter(at for found in fitting.values() for at in found)
    rows = {
        one: found[0] for one, found in fitting.items() if len(found) == 1 and claims[found[0]] == 1
    }
    if not rows:
        raise UsageError(
            f"{path} has no row for any of the {len(submissions)} submissions; download the "
            "worksheet of the assignment that they were handed in for"
        )
    by_hand = f"not the only one of this name in {path.name} or here; enter the grade by hand"
    remarks = [
        f"{one.student}: {by_hand if found else f'not in {path.name}'}"
        for one, found in fitting.items()
        if one not in rows
    ]
    for one, at in rows.items():
        if table.rows[at].cells.get(LOCKED, "").casefold() == "no":
            remarks.append(f"{one.student}: {path.name} says that the grade cannot be changed")
    most = {
        at: number_in(table.rows[at].cells[MAXIMUM], f"{table.rows[at].where}: Maximum Grade")
        for at in rows.values()
        if table.rows[at].cells.get(MAXIMUM)
    }
    text = text_of(path.read_bytes()).lstrip("\ufeff")
    lines = [
        line
        for line in csv.reader(io.StringIO(text, newline=""), delimiter=table.separator)
        if any(cell.strip() for cell in line)
    ]
    return Worksheet(path, table.separator, lines, table.names, rows, most, remarks)


def is_row_of(row: Row, one: Submission) -> bool:
    """Whether `row` of a worksheet is about the student of `one`."""
    if one.school == "moodle":
        # "Participant 101"; the word is another one in other languages.
        return bool(re.fullmatch(rf"\D*{one.id}", row.cells["identifier"]))
    email = row.cells.get("email_address", "")
    if email and one.email:
        return folded(email) == folded(one.email)
    return folded(row.cells.get("full_name", "")) in {folded(one.name), folded(one.id)}


def worksheet_csv(worksheet: Worksheet, graded: Sequence[Graded]) -> tuple[str, list[str]]:
    """The worksheet with grades and comments, all else as it was, and lines about what was done.

    If Moodle's maximum is not that of the lab, the points are scaled to it.
    """
    lines = [list(line) for line in worksheet.lines]
    said = list(worksheet.remarks)
    for one in graded:
        if (at := worksheet.rows.get(one.submission)) is None or not one.is_known:
            continue
        line, highest = lines[at + 1], one.record.max_score
        most = worksheet.most.get(at, highest)
        # Moodle shows two decimals.
        points = round(one.score * most / highest, 2) if highest else 0.0
        if most != highest:
            said.append(f"{worksheet.path.name}: points are scaled from {highest:g} to {most:g}")
        if points > most:
            said.append(
                f"{one.submission.student}: {points:g} is above Moodle's maximum {most:g}; Moodle "
                "leaves this grade out"
            )
        cell = number(points)
        if MAXIMUM in worksheet.names and "," in line[worksheet.names.index(MAXIMUM)]:
            cell = cell.replace(".", ",")
        line[worksheet.names.index(GRADE)] = cell
        if COMMENTS in worksheet.names:
            line[worksheet.names.index(COMMENTS)] = comment(one)
    text = io.StringIO()
    csv.writer(text, delimiter=worksheet.separator, lineterminator="\r\n").writerows(lines)
    return text.getvalue(), list(dict.fromkeys(said))


def comment(one: Graded) -> str:
    """The verdict on each task, as the HTML that Moodle's comments are."""
    tasks = [
        f"{verdict.task}: {verdict.score:g} of {verdict.max_score:g} points, {verdict.outcome}"
        for verdict in one.record.verdicts()
    ]
    late = [f"{one.days_late:g} days late"] if one.days_late else []
    return "<br>".join(map(html.escape, [*tasks, *late, *one.remarks]))


def feedback_zip(graded: Sequence[Graded], pages: Mapping[Submission, str]) -> bytes | None:
    """Each student's page in the folder that Moodle has for them; None for no Moodle submission."""
    inside = [one.submission for one in graded if one.submission.school == "moodle"]
    if not inside:
        return None
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in inside:
            # Moodle takes the number after the first "_" for the participant's.
            name = re.sub(r"[_/\\]", " ", one.name)
            path = f"{name}_{one.id}_assignsubmission_file_/feedback.html"
            info = zipfile.ZipInfo(path, MOMENT)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(info, pages[one])
    return buffer.getvalue()
