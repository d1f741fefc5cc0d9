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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dlcourse.check.text import clean_text
from dlcourse.errors import UsageError

__all__ = [
    "Owner",
    "Person",
    "is_school_name",
    "owner_of",
    "people_of_blackboard",
    "school_of",
    "submitters",
]

# What a student chose, the name of the file, comes last: it must not be read as the school's part.
CANVAS = re.compile(
    r"^(?P<name>.+?)(?P<late>_LATE)?_(?P<id>[0-9]+)_"
    r"(?:(?P<order>[0-9]+)_(?P<file>.+)|(?P<entry>(?:text|link)\.html?))$"
)
CANVAS_ANONYMOUS = re.compile(
    r"^(?P<late>LATE_)?anon_(?P<id>[A-Za-z0-9]+)_"
    r"(?:(?P<order>[0-9]+)_(?P<file>.+)|(?P<entry>(?:text|link)\.html?))$"
)
MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>[0-9]+)_assignsubmission_[a-z]+_?(?P<file>.*)$")
GRADESCOPE = re.compile(r"^submission_(?P<id>[0-9]+)(?:\.zip)?$")
BLACKBOARD = re.compile(
    r"^(?P<work>.+?)_attempt_(?P<attempt>[0-9]{4}(?:-[0-9][0-9]){5})(?:_(?P<file>.+)|\.txt)$"
)
# In the order of preference where all entries of a folder could come from several.
SCHOOLS = {
    "Moodle": (MOODLE,),
    "Gradescope": (GRADESCOPE,),
    "Blackboard": (BLACKBOARD,),
    "Canvas": (CANVAS_ANONYMOUS, CANVAS),
}
WITH_FOLDERS = {"Moodle", "Gradescope"}  # the others export files alone


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


def schools_of(name: str, *, is_folder: bool) -> list[str]:
    """The schools whose form the `name` of an entry has."""
    return [
        school
        for school, patterns in SCHOOLS.items()
        if (not is_folder or school in WITH_FOLDERS)
        and any(pattern.match(name) for pattern in patterns)
    ]


def school_of(entries: Mapping[str, bool]) -> str:
    """The one school that a folder with these entries comes from; "" for none.

    entries: the name of each, and whether it is a folder. A student can give a file a name in the
    form of another school, so the form that all have decides. Raises UsageError if none is.
    """
    forms = {name: schools_of(name, is_folder=folder) for name, folder in entries.items()}
    forms = {name: schools for name, schools in forms.items() if schools}
    if not forms:
        return ""
    common = [school for school in SCHOOLS if all(school in of for of in forms.values())]
    first, *others = sorted(forms, key=lambda name: len(forms[name]))
    if not common:
        other = next(name for name in others if not set(forms[first]) & set(forms[name]))
        raise UsageError(
            f"one folder with exports of {forms[first][0]} ({clean_text(first, 100)}) and of "
            f"{forms[other][0]} ({clean_text(other, 100)}); grade each from a folder of its own"
        )
    if len(common) > 1 and not others:
        raise UsageError(
            f"{clean_text(first, 100)} could be an export of {' or of '.join(common)}; put the "
            "file into a folder with the name of the student"
        )
    return common[0]


def owner_of(name: str, *, is_folder: bool, school: str) -> Owner:
    """Read the `name` of an entry of an export of `school`, "" for none."""
    if school not in schools_of(name, is_folder=is_folder):
        return plain_owner(name, is_folder)
    match = next(filter(None, (pattern.match(name) for pattern in SCHOOLS[school])))
    if school == "Moodle":
        shown = clean_text(match["name"], 100)
        if shown.casefold() == "participant":  # blind marking: all students have this name
            shown = f"{shown} {match['id']}"
        return Owner(f"moodle {match['id']}", Person(shown, match["id"], school="moodle"),
                     match["file"])  # fmt: skip
    if school == "Gradescope":
        key = f"submission_{match['id']}"
        person = Person(key, match["id"], school="gradescope")
        return Owner(key, person, "" if is_folder else name)
    if school == "Blackboard":
        login = match["work"].rpartition("_")[2]
        # A login may hold "_": only the whole beginning tells one student from another.
        key, file = f"blackboard {match['work']}", match["file"] or name
        person = Person(login, login, login, school="blackboard")
        return Owner(key, person, file, match["attempt"])
    known = match.groupdict().get("name")
    shown, kind = known or f"anon_{match['id']}", "canvas" if known else "canvas anonymous"
    return Owner(
        f"canvas {match['id']}", Person(clean_text(shown, 100), match["id"], school=kind),
        match["file"] or match["entry"], order=int(match["order"] or 0),
        late=bool(match["late"]),
    )  # fmt: skip


def plain_owner(name: str, is_folder: bool) -> Owner:
    """The owner of an entry that has the name of its student."""
    stem = re.sub(r"(?i)(\.py\.txt|\.tar\.\w+|\.\w+)$", "", name) or name
    stem = name if is_folder else stem
    person = Person(clean_text(stem, 100), clean_text(stem, 100))
    return Owner(f"named {stem}", person, "" if is_folder else name)


def is_school_name(name: str) -> bool:
    """Whether `name` is one that Canvas, Moodle, Gradescope or Blackboard gives."""
    return bool(schools_of(name, is_folder=False))


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
