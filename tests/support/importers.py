"""The rules by which Canvas and Moodle read grades back, written anew from their public sources.

Each importer returns what the school would store, and raises ValueError where it would refuse.

canvas      https://github.com/instructure/canvas-lms/blob/master/lib/gradebook_importer.rb
            and Assignment.title_and_id in app/models/assignment.rb
moodle      https://github.com/moodle/moodle/blob/main/mod/assign/feedback/offline/importgradeslib.php
            and process_import_grades in mod/assign/feedback/offline/locallib.php
moodle_zip  https://github.com/moodle/moodle/blob/main/mod/assign/feedback/file/importziplib.php
"""

import csv
import io
import re
import zipfile

NO_ASSIGNMENT = (
    "Current Score", "Current Points", "Current Grade", "Final Score", "Final Points",
    "Final Grade", "Override Score", "Override Grade", "Override Status",
)  # fmt: skip


def canvas(text, assignments, students):
    """Import a gradebook.

    assignments: {id: title}. students: {id: (sis id, login, name)}. Returns (grades by student id
    or, for a student whom Canvas does not know, by name; points possible by assignment; titles of
    the assignments that Canvas would create).
    """
    rows = [
        row for row in csv.reader(io.StringIO(text)) if not re.fullmatch("[;, ]*", ",".join(row))
    ]
    rows = [[decimal(cell) for cell in row] for row in rows]
    head = rows[0]
    if not (len(head) > 3 and "Student" in head[0] and "ID" in head[1]):
        raise ValueError("Invalid header row")
    count, sis, login = 3, None, None
    if re.search(r"SIS\s+Login\s+ID", head[2]):
        count, login = 4, 2
    elif re.search(r"SIS\s+User\s+ID", head[2]) and re.search(r"SIS\s+Login\s+ID", head[3]):
        count, sis, login = 5, 2, 3
    if "Section" not in head[count - 1]:
        raise ValueError("Invalid header row")
    columns, new = {}, []
    for name in head[count:]:
        if any(word in name for word in NO_ASSIGNMENT):
            continue
        match = re.fullmatch(r"(.*)\s\((\d+)\)", name)
        known = int(match[2]) if match and int(match[2]) in assignments else None
        if known is None:
            known = next((number for number, title in assignments.items() if title == name), None)
        if known is None:
            new.append(match[1] if match else name)
        columns[known or name] = head.index(name)
    possible, grades = {}, {}
    for row in rows[1:]:
        if "Points Possible" in row[0]:
            possible = {key: float(row[at]) for key, at in columns.items()}
            continue
        number = int(re.match(r"\s*\d*", row[1])[0] or 0)  # Ruby's to_i
        who = number if number in students else None
        for place, at in ((0, sis), (1, login)):
            if who is None and at is not None and row[at]:
                who = next((key for key, ids in students.items() if ids[place] == row[at]), None)
        if who is None:
            who = next((key for key, ids in students.items() if ids[2] == row[0]), row[0])
        grades[who] = {key: row[at].strip() for key, at in columns.items()}
    return grades, possible, new


def decimal(cell):
    """What Canvas makes of a cell that is a number, with decimal points or commas."""
    if not re.fullmatch(r"-?[0-9.,]+%?", cell):
        return cell
    *parts, last = re.split("[,.]", cell)
    return f"{''.join(parts)}.{last}" if parts else last


def moodle(text, participants, most):
    """Import a grading worksheet into an assignment whose maximum grade is `most`.

    participants: the ids of those who may be graded. Returns {id: (grade or None, comment)};
    None stands for a grade that Moodle skips.
    """
    rows = list(csv.reader(io.StringIO(text.lstrip("\ufeff"))))
    head = rows[0]
    if not {"Identifier", "Grade", "Last modified (grade)"} <= set(head):
        raise ValueError("invalidgradeimport")
    stored = {}
    for row in rows[1:]:
        if len(row) != len(head):
            raise ValueError("csvweirdcolumns")
        cells = dict(zip(head, row, strict=True))
        number = cells["Identifier"][len("Participant ") :]
        if number not in participants:
            continue
        grade = float(cells["Grade"]) if cells["Grade"] not in ("", "-") else None
        if grade is not None and not 0 <= grade <= most:
            grade = None
        stored[number] = (grade, cells.get("Feedback comments", ""))
    return stored


def moodle_zip(data, participants):
    """Import feedback files: {participant id: [file names]}; a file of nobody raises ValueError."""
    stored = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for path in archive.namelist():
            if path.rpartition("/")[2].startswith((".", "~")):
                continue
            parts = path.split("/")
            while parts:
                name, *parts = parts
                info = name.split("_", 4)
                if len(info) < 4 or not info[1].isdigit() or info[1] not in participants:
                    continue
                if info[2:4] not in (["assignsubmission", "file"], ["assignfeedback", "file"]):
                    continue
                rest = "/".join([info[4] if len(info) > 4 else "", *parts])
                stored.setdefault(info[1], []).append(rest.lstrip("/"))
                break
            else:
                raise ValueError(f"{path} belongs to nobody")
    return stored
