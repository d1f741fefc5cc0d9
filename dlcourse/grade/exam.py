"""Exams from the labs' quizzes: shuffled sheets to print, their key, and a file for Moodle."""

from __future__ import annotations

import csv
import io
import random
import re
import string
from collections.abc import Sequence
from pathlib import Path

from dlcourse import course, quiz
from dlcourse.course import Lab
from dlcourse.errors import UsageError
from dlcourse.files import write_text
from dlcourse.page import render
from dlcourse.quiz import Question

__all__ = ["as_gift", "labs_named", "write"]

# What a GIFT file may not hold unescaped: https://docs.moodle.org/en/GIFT_format
GIFT_SPECIAL = re.compile(r"[\\~=#{}:]")


def labs_named(text: str, root: Path | None = None) -> list[Lab]:
    """The labs that `text` names: "lab05", "1,3,5", or a range such as "lab01-lab06".

    Raises UsageError for a name that is not a lab, and for an empty range.
    """
    every = course.labs(root)
    found: list[Lab] = []
    for part in text.split(","):
        names = [name.strip() for name in part.split("-")]
        if len(names) > 2 or not all(names):
            raise UsageError(f"--exam expects labs, as in lab01-lab06 or 1,3,5; got {text!r}")
        first, last = (course.find_lab(name, root) for name in (names[0], names[-1]))
        between = every[every.index(first) : every.index(last) + 1]
        if not between:
            raise UsageError(f"--exam: {part!r} holds no lab; write the smaller number first")
        found += [lab for lab in between if lab not in found]
    return found


def write(
    labs: Sequence[Lab],
    out: Path,
    *,
    seed: int = 0,
    questions: int | None = None,
    sheets: int = 2,
) -> list[Path]:
    """Write an exam on the quizzes of `labs` into the folder `out`, and return the paths.

    seed: the same seed gives the same files. questions: how many to draw, as many from each lab
    as possible (default: all). sheets: how many versions, named A, B, ...; all have the same
    questions, each in its own order, with the choices in its own order too.

    Files: sheet_A.html, ... to print; key.html and key.csv with the right letters; and exam.gift,
    which Moodle imports into its question bank.

    Raises UsageError for a number out of range, and if `out` holds an exam already.
    """
    pool = [[(lab.short, question) for question in quiz.load(lab)] for lab in labs]
    total = sum(map(len, pool))
    if questions is not None and not 1 <= questions <= total:
        raise UsageError(f"--questions must be from 1 to {total}, got {questions}")
    if not 1 <= sheets <= 26:
        raise UsageError(f"--sheets must be from 1 to 26, got {sheets}")
    try:
        there = sorted(out.glob("sheet_*.html"))
    except OSError:
        there = []
    if there:
        raise UsageError(f"--out {str(out)!r} holds an exam; name another folder")
    rng = random.Random(seed)
    chosen = draw(pool, total if questions is None else questions, rng)
    title = "Exam: " + ", ".join(lab.short for lab in labs)
    files: dict[str, str] = {}
    keys: dict[str, list[tuple[str, Question]]] = {}
    for letter in string.ascii_uppercase[:sheets]:
        order = rng.sample(chosen, len(chosen))
        keys[letter] = [(lab, question.shuffled(rng)) for lab, question in order]
        files[f"sheet_{letter}.html"] = render(
            "grade/exam_sheet.html.jinja",
            title=f"{title} · sheet {letter}",
            questions=[question for _, question in keys[letter]],
            letters=quiz.LETTERS,
        )
    files["key.html"] = render(
        "grade/exam_key.html.jinja",
        title=f"Key · {title}",
        sheets=keys,
        zip=zip,
        letters=quiz.LETTERS,
    )
    files["key.csv"] = key_table(keys)
    files["exam.gift"] = as_gift(chosen)
    try:
        for name, text in files.items():
            write_text(out / name, text)
    except OSError as error:
        raise UsageError(f"cannot write into --out {str(out)!r}: {error.strerror}") from None
    return [out / name for name in files]


def draw(
    pool: Sequence[Sequence[tuple[str, Question]]], count: int, rng: random.Random
) -> list[tuple[str, Question]]:
    """Draw `count` of the questions in `pool`, in turn from each of its parts."""
    left = [rng.sample(part, len(part)) for part in pool]
    chosen: list[tuple[str, Question]] = []
    while len(chosen) < count:
        for part in rng.sample(left, len(left)):
            if part and len(chosen) < count:
                chosen.append(part.pop())
    return sorted(chosen, key=lambda entry: entry[0])


def key_table(keys: dict[str, list[tuple[str, Question]]]) -> str:
    """The right letters as CSV: one row for each question, numbered as on its sheet."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["sheet", "question", "right", "lab", "text"])
    for letter, entries in keys.items():
        for number, (lab, question) in enumerate(entries, start=1):
            rows.writerow([letter, number, question.key, lab, question.text])
    return text.getvalue()


def as_gift(entries: Sequence[tuple[str, Question]]) -> str:
    """The questions of `entries`, (lab, question), in Moodle's GIFT format."""
    parts = []
    for number, (lab, question) in enumerate(entries, start=1):
        choices = "".join(
            f"\n  {'=' if choice.right else '~'}{escape(choice.text)}#{escape(choice.why)}"
            for choice in question.choices
        )
        parts.append(f"::{lab} {number:02}::[plain]{escape(question.text)}{{{choices}\n}}\n")
    return "\n".join(parts)


def escape(text: str) -> str:
    """`text` with a backslash before each character that GIFT gives a meaning."""
    return GIFT_SPECIAL.sub(r"\\\g<0>", text)
