"""Submissions on disk: a folder, a zip or a file a student, in the layouts that schools export.

Nothing is extracted and nothing is run: of each submission one Python file is read.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dlcourse.check.protocol import clean_text
from dlcourse.course import Lab
from dlcourse.errors import UsageError

__all__ = ["Submission", "find_submissions"]

MAX_SOURCE = 2**20  # bytes; a lab has 20,000
MAX_ENTRIES = 2000
MAX_DIRECTORY = 2**21  # bytes of a zip's list of entries, which zipfile reads at once
# Moodle: Name_1234_assignsubmission_file_; Canvas: name_LATE_123_456_file.py
MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_file_?.*$")
CANVAS = re.compile(r"^(?P<name>[^_]+)(?:_LATE)?_(?P<id>\d+)_\d+_.+$")
Read = Callable[[], bytes]
GRADESCOPE = re.compile(r"^submission_(?P<id>\d+)$")


@dataclass(frozen=True)
class Submission:
    """One student's file; `problem` says why there is none. `id` is what the school calls them."""

    student: str
    id: str
    source: bytes = b""
    problem: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.source + self.problem.encode()).hexdigest()

    @property
    def slug(self) -> str:
        """A plain name for files: letters, digits, dot, dash; a hash where that loses something."""
        plain = re.sub(r"[^A-Za-z0-9.-]+", "_", self.student).strip("._")[:80]
        if plain == self.student:
            return plain
        return f"{plain}-{hashlib.sha256(self.student.encode('utf-8', 'replace')).hexdigest()[:8]}"


def find_submissions(folder: Path, lab: Lab) -> list[Submission]:
    """One Submission a student below `folder`, sorted by student.

    Raises UsageError where there is no such folder or no submission in it. A submission that
    cannot be read is there nevertheless, with its `problem`.
    """
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}; name the one that holds a folder or zip a student")
    names = gradescope_names(folder / "submission_metadata.yml")
    grouped: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(folder.iterdir()):
        plain = path.is_dir() or path.suffix in (".zip", ".py")
        # A link could pass somebody else's file, or the solution, for a submission.
        if path.name.startswith((".", "__MACOSX")) or path.is_symlink() or not plain:
            continue
        grouped.setdefault(owner(path, names), []).append(path)
    if not grouped:
        raise UsageError(f"no submission in {folder}; expected a folder, zip or .py a student")
    found = []
    for (student, number), paths in grouped.items():
        try:
            candidates = {name: read for path in paths for name, read in files_of(path, lab)}
            found.append(Submission(student, number, pick(candidates, lab)()))
        except Exception as error:  # noqa: BLE001 (damage in a zip raises whatever its codec does)
            found.append(Submission(student, number, problem=clean_text(error, 300)))
    seen = Counter(submission.student for submission in found)
    return sorted(
        (
            replace(one, student=f"{one.student} ({one.id})") if seen[one.student] > 1 else one
            for one in found
        ),
        key=lambda submission: submission.student,
    )


def owner(path: Path, names: dict[str, str]) -> tuple[str, str]:
    """Student and id that the name of a file or folder tells."""
    stem = path.name if path.is_dir() else path.stem
    if match := MOODLE.match(stem) or (CANVAS.match(stem) if path.is_file() else None):
        return clean_text(match["name"], 100), match["id"]
    if match := GRADESCOPE.match(stem):
        return names.get(stem, stem), match["id"]
    return clean_text(stem, 100), clean_text(stem, 100)


def gradescope_names(path: Path) -> dict[str, str]:
    """Folder -> student's name, from Gradescope's export; read by line, for two keys are all."""
    names: dict[str, str] = {}
    if not path.is_file():
        return names
    folder = None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if match := re.match(r"^(submission_\d+):", line):
            folder = match[1]
        elif folder and (match := re.match(r"^\s+-?\s*:?(?:name|email): (.+)$", line)):
            names.setdefault(folder, clean_text(match[1].strip("\"' "), 100))
    return names


def files_of(path: Path, lab: Lab) -> list[tuple[str, Read]]:
    """Name of each Python file of one submission, and what reads it. Raises ValueError for a bad
    zip."""
    if path.suffix == ".zip" and path.is_file():
        return files_of_zip(path)
    if path.is_file():
        return [(f"{lab.name}.py" if lab.name in path.name else path.name, partial(read, path))]
    found = []
    for file in sorted(path.rglob("*")):
        if file.is_symlink() or not file.is_file() or "__MACOSX" in file.parts:
            continue
        if file.suffix == ".zip":
            found += files_of_zip(file)
        elif file.suffix == ".py":
            found.append((file.relative_to(path).as_posix(), partial(read, file)))
        if len(found) > MAX_ENTRIES:
            raise ValueError(f"more than {MAX_ENTRIES} files")
    return found


def read(path: Path) -> bytes:
    with path.open("rb") as file:
        return capped(file, path.name)


def capped(file: BinaryIO, name: str) -> bytes:
    data = file.read(MAX_SOURCE + 1)
    if len(data) > MAX_SOURCE:
        raise ValueError(f"{name} is larger than {MAX_SOURCE:,} bytes")
    return data


class Small(io.FileIO):
    """A file that is never read by more than MAX_DIRECTORY bytes at once."""

    def read(self, size: int = -1) -> bytes:
        data = super().read(MAX_DIRECTORY if size < 0 else min(size, MAX_DIRECTORY))
        if size > MAX_DIRECTORY or (size < 0 and super().read(1)):
            raise ValueError(f"a zip of more than {MAX_ENTRIES} entries")
        return data


def files_of_zip(path: Path) -> list[tuple[str, Read]]:
    with Small(path) as file, zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES:
            raise ValueError(f"a zip of more than {MAX_ENTRIES} entries")
        found = []
        for entry in entries:
            name = PurePosixPath(entry.filename.replace("\\", "/"))
            if name.is_absolute() or ".." in name.parts or ":" in entry.filename:
                raise ValueError(f"a zip with the path {clean_text(entry.filename, 80)!r}")
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise ValueError(f"a zip with a link, {clean_text(entry.filename, 80)!r}")
            if not entry.is_dir() and name.suffix == ".py" and "__MACOSX" not in name.parts:
                found.append((str(name), partial(read_zipped, path, entry)))
        return found


def read_zipped(path: Path, entry: zipfile.ZipInfo) -> bytes:
    # What the directory announces may be a lie: no more than the cap is read.
    with zipfile.ZipFile(path) as archive, archive.open(entry) as file:
        return capped(file, PurePosixPath(entry.filename).name)


def pick(candidates: dict[str, Read], lab: Lab) -> Read:
    """The lab among a submission's files: the one of its name, else the only one."""
    named = [name for name in candidates if PurePosixPath(name).name == f"{lab.name}.py"]
    chosen = named or list(candidates)
    if not chosen:
        raise ValueError(f"no Python file in it; expected {lab.name}.py")
    if len(chosen) > 1:
        shown = ", ".join(sorted(chosen)[:3])
        raise ValueError(f"{len(chosen)} files could be {lab.name}.py: {clean_text(shown, 200)}")
    return candidates[chosen[0]]
