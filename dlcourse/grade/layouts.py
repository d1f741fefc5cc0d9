"""Whose file is this? What the names in a school's export tell.

Canvas      doejane[_LATE]_USER_ATTACHMENT_file.py, [LATE_]anon_ID_ATTACHMENT_file.py,
            doejane_USER_text.html (lib/content_zipper.rb of Canvas)
Moodle      Jane Doe_PARTICIPANT_assignsubmission_file_/..., ..._onlinetext_/...
Gradescope  submission_NUMBER/..., people in submission_metadata.yml
Blackboard  WORK_LOGIN_attempt_2026-03-01-10-00-00_file.py, ....txt with "Name: Jane Doe (login)"
otherwise   a folder, .zip, .py or .ipynb for each student, named after the student
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from dlcourse.check.protocol import clean_text

__all__ = ["Owner", "Person", "is_school_name", "owner_of", "people_of_blackboard", "submitters"]

CANVAS = re.compile(
    r"^(?P<name>.+?)(?P<late>_LATE)?_(?P<id>\d+)_"
    r"(?:(?P<order>\d+)_(?P<file>.+)|(?P<entry>(?:text|link)\.html?))$"
)
CANVAS_ANONYMOUS = re.compile(
    r"^(?P<late>LATE_)?anon_(?P<id>[A-Za-z0-9]+)_"
    r"(?:(?P<order>\d+)_(?P<file>.+)|(?P<entry>(?:text|link)\.html?))$"
)
MOODLE = re.compile(r"^(?P<name>.+)_(?P<id>\d+)_assignsubmission_[a-z]+_?(?P<file>.*)$")
GRADESCOPE = re.compile(r"^submission_(?P<id>\d+)(?:\.zip)?$")
BLACKBOARD = re.compile(
    r"^(?P<work>.+)_attempt_(?P<attempt>\d{4}(?:-\d\d){5})(?:_(?P<file>.+)|\.txt)$"
)


@dataclass(frozen=True)
class Person:
    """A student as the school knows them; what it does not tell is "".

    school: where `id` comes from: "canvas", "canvas anonymous", "moodle", "gradescope",
    "blackboard", or "" for the name of a folder or a file. sis_id: the number in the school's
    register of students.
    """

    name: str
    id: str = ""
    login: str = ""
    email: str = ""
    school: str = ""
    sis_id: str = ""


@dataclass(frozen=True)
class Owner:
    """What the name of an entry tells.

    key: the same for all entries of one student. file: the name that the student's file had, ""
    for a folder. attempt: later ones sort later. order: the attachment's number in Canvas, 0
    elsewhere. late: whether Canvas marks it LATE.
    """

    key: str
    person: Person
    file: str = ""
    attempt: str = ""
    order: int = 0
    late: bool = False


def owner_of(name: str, *, is_folder: bool) -> Owner:
    """Read the `name` of an entry, a file or a folder."""
    if match := MOODLE.match(name):
        shown = clean_text(match["name"], 100)
        if shown.casefold() == "participant":  # blind marking: all students have this name
            shown = f"{shown} {match['id']}"
        return Owner(f"moodle {match['id']}", Person(shown, match["id"], school="moodle"),
                     match["file"])  # fmt: skip
    if match := GRADESCOPE.match(name):
        key = f"submission_{match['id']}"
        person = Person(key, match["id"], school="gradescope")
        return Owner(key, person, "" if is_folder else name)
    if is_folder:
        return Owner(name, Person(clean_text(name, 100), clean_text(name, 100)))
    if match := BLACKBOARD.match(name):
        login = match["work"].rpartition("_")[2]
        # A login may hold "_": only the whole beginning tells one student from another.
        key, file = f"blackboard {match['work']}", match["file"] or name
        person = Person(login, login, login, school="blackboard")
        return Owner(key, person, file, match["attempt"])
    if match := CANVAS_ANONYMOUS.match(name) or CANVAS.match(name):
        known = match.groupdict().get("name")
        shown, school = known or f"anon_{match['id']}", "canvas" if known else "canvas anonymous"
        return Owner(
            f"canvas {match['id']}", Person(clean_text(shown, 100), match["id"], school=school),
            match["file"] or match["entry"], order=int(match["order"] or 0),
            late=bool(match["late"]),
        )  # fmt: skip
    stem = re.sub(r"(?i)(\.py\.txt|\.tar\.\w+|\.\w+)$", "", name) or name
    return Owner(stem, Person(clean_text(stem, 100), clean_text(stem, 100)), name)


def is_school_name(name: str) -> bool:
    """Whether `name` is one that Canvas, Moodle, Gradescope or Blackboard gives."""
    patterns = (CANVAS, CANVAS_ANONYMOUS, MOODLE, GRADESCOPE, BLACKBOARD)
    return any(pattern.match(name) for pattern in patterns)


def submitters(path: Path) -> dict[str, list[Person]]:
    """The people behind each folder of Gradescope's export, from submission_metadata.yml.

    Read line by line: of YAML this needs a list of flat mappings. {} where there is no such file.
    """
    found: dict[str, list[dict[str, str]]] = {}
    if not path.is_file():
        return {}
    folder, indent = "", -1
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        depth = len(line) - len(line.lstrip())
        if match := re.match(r"^['\"]?(submission_\d+)['\"]?:", line):
            folder, indent = match[1], -1
            found[folder] = []
        elif folder and re.match(r"^\s+:?submitters:\s*$", line):
            indent = depth
        elif indent >= 0 and line.strip():
            if depth < indent or (depth == indent and not line.lstrip().startswith("- ")):
                indent = -1
                continue
            if line.lstrip().startswith("- "):
                found[folder].append({})
            if found[folder] and (match := re.match(r"^\s*(?:- )?:?(\w+):\s+(.+)$", line)):
                found[folder][-1][match[1]] = yaml_text(match[2])
    return {
        folder: [
            Person(one.get("name") or one.get("email") or folder, one.get("sid", ""),
                   email=one.get("email", ""), school="gradescope", sis_id=one.get("sid", ""))
            for one in several
        ]
        for folder, several in found.items()
    }  # fmt: skip


def yaml_text(text: str) -> str:
    """The string that a YAML scalar on one line stands for; "" for null."""
    text = text.strip()
    if text in ("null", "~", "''", '""'):
        return ""
    if text[:1] == "'" and text[-1:] == "'" and len(text) > 1:
        text = text[1:-1].replace("''", "'")
    elif text[:1] == '"' and text[-1:] == '"' and len(text) > 1:
        try:
            text = json.loads(re.sub(r"\\x([0-9A-Fa-f]{2})", r"\\u00\1", text))
        except ValueError:
            text = text[1:-1]
    return clean_text(text, 100)


def people_of_blackboard(path: Path) -> Person | None:
    """The person that the text file which Blackboard writes for each attempt names."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        match = re.search(r"^Name:\s*(.+?)\s*\(([^()]+)\)\s*$", file.read(2**16), re.MULTILINE)
    if not match:
        return None
    login = clean_text(match[2], 100)
    return Person(clean_text(match[1], 100), login, login, school="blackboard")
