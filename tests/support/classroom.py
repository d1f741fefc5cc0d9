"""One class, as five schools export it: every student hands in the same files everywhere.

What the students do is of the kinds that public reports name: other endings, archives, notebooks,
several files, several attempts, damaged encodings, code that does not load, groups.
"""

import io
import json
import zipfile
from dataclasses import dataclass

from support.exports import notebook, put, zipped

LAYOUTS = ("canvas", "canvas_anonymous", "moodle", "gradescope", "folders")
NAMES = (
    "Ada A",
    "Jörg Ü",
    "Anne-Marie O'Neil",
    "Bo",
    "Zoë de la Cruz",
    "李 明",
    "Ngũgĩ Wa",
    "Mc_D",
)


@dataclass(frozen=True)
class Student:
    """A student of the made-up class, with a number in each school's way."""

    number: int
    name: str
    oddity: str
    files: dict

    @property
    def login(self):
        return "".join(filter(str.isascii, filter(str.isalnum, self.name.lower()))) or "x"

    def key(self, layout):
        """The id by which the reports of `layout` name the student."""
        return {
            "canvas": f"{10_000 + self.number}",
            "canvas_anonymous": f"k{self.number:03}Xy",
            "moodle": f"{500 + self.number}",
            "gradescope": f"00{7_000 + self.number}",
            "folders": self.name,
        }[layout]


def oddities(lab, answer, wrong, stub):
    """{kind: files that a student hands in}; a list of pairs stands for two attempts.

    answer, wrong, stub: scripts of the lab called `lab`.
    """
    script = f"{lab}.py"
    return {
        "right": {script: answer},
        "wrong": {script: wrong},
        "stub": {script: stub},
        "notebook": {f"{lab}.ipynb": notebook("%matplotlib inline\n!pip list", answer)},
        "capital ending": {f"{lab}.PY": answer},
        "text ending": {f"{script}.txt": answer},
        "zip": {"work.ZIP": zipped({f"work/{script}": answer})},
        "other archive": {"work.tar.gz": b"\x1f\x8b"},
        "UTF-16": {script: answer.encode("utf-16")},
        "byte order mark": {script: b"\xef\xbb\xbf" + answer.encode()},
        "own test beside": {script: answer, f"test_{script}": "def test_nothing(): pass\n"},
        "helper beside": {
            script: f"from utils import helper\n{answer}",
            "utils.py": "helper = 1\n",
        },
        "exits": {script: f"{answer}\nimport sys\nsys.exit()\n"},
        "does not parse": {script: f"{answer}\ndef broken(:\n"},
        "notebook named .py": {script: notebook(answer)},
        "environment": {
            "all.zip": zipped({script: answer, "venv/lib/m.py": "", "__MACOSX/._x": ""})
        },
        "empty": {script: " \n"},
        "two attempts": [{script: stub}, {script: answer}],
        "torn zip": {"work.zip": b"PK\x03\x04"},
        "other name": {"my solution (final).py": answer},
        "late": {script: answer},
        "uses the package": {
            script: f"{answer}\nfrom dlcourse.models import build\nfrom dlcourse.train import fit\n"
        },
    }


def students(count, lab, answer, wrong, stub):
    """`count` students, whose oddities repeat, and whose names are of all kinds."""
    kinds = list(oddities(lab, answer, wrong, stub).items())
    made = []
    for number in range(count):
        kind, files = kinds[number % len(kinds)]
        name = f"{NAMES[number % len(NAMES)]} {number}"
        made.append(Student(number, name, kind, files))
    return made


def attempts(student):
    return student.files if isinstance(student.files, list) else [student.files]


def canvas(student):
    """Canvas puts all files of all students into one folder and numbers the attachments."""
    late = "_LATE" if student.oddity == "late" else ""
    for at, files in enumerate(attempts(student)):
        for place, (name, data) in enumerate(files.items()):
            stem, dot, ending = name.partition(".")
            again = f"{stem}-{at}{dot}{ending}" if at else name
            order = 900 + 1000 * at + place
            yield f"{student.login}{late}_{student.key('canvas')}_{order}_{again}", data


def canvas_anonymous(student):
    late = "LATE_" if student.oddity == "late" else ""
    for name, data in canvas(student):
        rest = name.split(f"_{student.key('canvas')}_", 1)[1]
        yield f"{late}anon_{student.key('canvas_anonymous')}_{rest}", data


def moodle(student):
    """Moodle has a folder for each kind of submission of a participant."""
    start = f"{student.name}_{student.key('moodle')}_assignsubmission"
    for name, data in attempts(student)[-1].items():
        yield f"{start}_file_/{name}", data
    yield f"{start}_onlinetext_/onlinetext.html", "<p>see my file</p>"


def folders(student):
    for name, data in attempts(student)[-1].items():
        yield f"{student.name}/{name}", data


def make(folder, layout, made):
    """Write the class `made` below `folder` as `layout`; return the folder."""
    if layout == "gradescope":
        return gradescope(folder / layout, made)
    write = {
        "canvas": canvas, "canvas_anonymous": canvas_anonymous, "moodle": moodle,
        "folders": folders,
    }[layout]  # fmt: skip
    return put(folder / layout, dict(pair for student in made for pair in write(student)))


def gradescope(folder, made):
    """Gradescope has a folder for each submission; students who hand in the same are one group."""
    groups, lines = {}, ["---"]
    for student in made:
        groups.setdefault(student.oddity, []).append(student)
    files = {}
    for number, group in enumerate(groups.values(), start=3001):
        lines += [f"submission_{number}:", "  :submitters:"]
        for student in group:
            lines += [
                f"  - :name: {json.dumps(student.name)}",
                f"    :sid: '{student.key('gradescope')}'",
                f"    :email: {student.login}{student.number}@example.org",
            ]
        lines += ["  :created_at: 2026-03-02 10:00:00 Z"]
        for name, data in attempts(group[0])[-1].items():
            files[f"submission_{number}/{name}"] = data
    return put(folder, {**files, "submission_metadata.yml": "\n".join(lines) + "\n"})


def as_zip(folder):
    """The folder as the one .zip that a school hands out, next to it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    path = folder.with_suffix(".zip")
    path.write_bytes(buffer.getvalue())
    return path
