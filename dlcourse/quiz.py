"""A lab's quiz: questions with four choices, one of them right, and a reason for each.

The questions stand at the end of a solution, between `# BEGIN QUIZ` and `# END QUIZ`:

    # Q: How many positions has a 5 x 5 filter along 28 pixels?
    # + 24 | The filter needs 5 pixels, so it can start at the first 28 - 5 + 1 pixels.
    # - 28 | This is the answer for a padding of 2.
    # - 23 | One position is missing: the filter can also start at the first pixel.
    # - 5 | This is the size of the filter.

Lines that start with three spaces continue the line above. A student version does not contain the
block. The student bundle has the same questions in a packed file, which does not show a key to
someone who only looks at it.
"""

from __future__ import annotations

import base64
import json
import random
import re
import textwrap
import zlib
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from dlcourse.course import Lab
from dlcourse.errors import UsageError

__all__ = [
    "BEGIN",
    "END",
    "LETTERS",
    "Choice",
    "Question",
    "ask",
    "load",
    "pack",
    "read",
    "unpack",
    "without_quiz",
]

BEGIN, END = "# BEGIN QUIZ", "# END QUIZ"
BLOCK = re.compile(rf"^{BEGIN}\n(?P<inside>.*?)^{END}\n?", re.MULTILINE | re.DOTALL)
LETTERS = "abcd"


@dataclass(frozen=True)
class Choice:
    """One answer to a question: its text, whether it is right, and why."""

    text: str
    right: bool
    why: str


@dataclass(frozen=True)
class Question:
    """A question with four choices, exactly one of them right."""

    text: str
    choices: tuple[Choice, ...]

    def shuffled(self, rng: random.Random) -> Question:
        return Question(self.text, tuple(rng.sample(self.choices, len(self.choices))))

    @property
    def key(self) -> str:
        """The letter of the right choice."""
        return next(
            letter for letter, choice in zip(LETTERS, self.choices, strict=True) if choice.right
        )


def read(source: str, filename: str = "solution") -> list[Question]:
    """Read the questions in a solution's `source`, which errors call `filename`.

    Raises UsageError, with the line, for a question without four different choices of which one
    is right, and for a choice without a reason.
    """
    questions = []
    for block in BLOCK.finditer(source):
        first = source[: block.start("inside")].count("\n") + 1
        entries: list[tuple[int, str]] = []
        for number, line in enumerate(block["inside"].splitlines(), start=first):
            text = line.removeprefix("#")
            if text.startswith("    ") and entries:
                entries[-1] = (entries[-1][0], f"{entries[-1][1]} {text.strip()}")
            elif text.strip():
                entries.append((number, text.strip()))
        starts = [at for at, (_, text) in enumerate(entries) if text.startswith("Q: ")]
        if entries and starts[:1] != [0]:
            raise UsageError(f"{filename}:{entries[0][0]}: a quiz starts with '# Q: ...'")
        for start, end in zip(starts, [*starts[1:], len(entries)], strict=True):
            questions.append(read_question(entries[start:end], filename))
    return questions


def read_question(entries: Sequence[tuple[int, str]], filename: str) -> Question:
    number, text = entries[0]
    choices = []
    for line, entry in entries[1:]:
        match = re.fullmatch(r"([+-]) (.+?) \| (.+)", entry)
        if match is None:
            raise UsageError(
                f"{filename}:{line}: expected '# + choice | reason' or '# - choice | reason', "
                f"got {entry!r}"
            )
        choices.append(Choice(match[2].strip(), match[1] == "+", match[3].strip()))
    right = sum(choice.right for choice in choices)
    if len({choice.text for choice in choices}) != 4 or len(choices) != 4 or right != 1:
        raise UsageError(
            f"{filename}:{number}: a question needs four different choices, one of them with '+'; "
            f"got {len(choices)} choices, {right} with '+'"
        )
    return Question(text.removeprefix("Q: "), tuple(choices))


def without_quiz(source: str) -> str:
    """The source of a solution without its questions."""
    return BLOCK.sub("", source)


def pack(questions: Sequence[Question]) -> str:
    """The text of a file that holds `questions`; `unpack` reads it."""
    return base64.b64encode(
        zlib.compress(json.dumps(list(map(astuple, questions))).encode())
    ).decode()


def unpack(text: str) -> list[Question]:
    return [
        Question(question, tuple(Choice(*choice) for choice in choices))
        for question, choices in json.loads(zlib.decompress(base64.b64decode(text)))
    ]


def load(lab: Lab) -> list[Question]:
    """The questions of `lab`, from its solution, or from the packed file of a student bundle.

    Raises UsageError if there are none.
    """
    questions: list[Question] = []
    if lab.solution.is_file():
        questions = read(lab.solution.read_text(encoding="utf-8"), lab.solution.name)
    elif lab.quiz.is_file():
        try:
            questions = unpack(lab.quiz.read_text(encoding="ascii"))
        except (ValueError, TypeError, zlib.error):
            raise UsageError(
                f"{lab.quiz} is damaged; take it from the course's zip again"
            ) from None
    if not questions:
        raise UsageError(f"{lab.short} has no quiz")
    return questions


def ask(
    lab: Lab,
    *,
    seed: int | None = None,
    read_line: Callable[[str], str] = input,
    write: Callable[[str], Any] = print,
) -> int:
    """Ask the questions of `lab` one after another, in the terminal or in a notebook.

    After each answer comes the verdict with its reason. The choices are shuffled by `seed`
    (default: anew each time). "q", or the end of the input, ends the quiz early.

    Returns how many answers were right. Raises UsageError if the lab has no quiz.
    """
    rng = random.Random(seed)
    questions = [question.shuffled(rng) for question in load(lab)]
    write(f"{lab.short}: {lab.title} {len(questions)} questions. Type a letter, or q to stop.")
    right = answered = 0
    for number, question in enumerate(questions, start=1):
        write(f"\n{wrapped(question.text, f'{number}. ')}")
        for letter, choice in zip(LETTERS, question.choices, strict=True):
            write(wrapped(choice.text, f"   {letter}) "))
        answer = ""
        while not (len(answer) == 1 and answer in LETTERS + "q"):
            try:
                answer = read_line("Your answer (a, b, c or d): ").strip().lower().rstrip(").")
            except EOFError:
                answer = "q"
        if answer == "q":
            break
        answered += 1
        chosen = question.choices[LETTERS.index(answer)]
        right += chosen.right
        write(wrapped(chosen.why, "Right. " if chosen.right else "Wrong. "))
        if not chosen.right:
            best = question.choices[LETTERS.index(question.key)]
            write(wrapped(best.text, f"The right answer is {question.key}) "))
            write(wrapped(best.why, ""))
    write(f"\n{right} of {answered} answers are right.")
    if answered < len(questions):
        write(f"{len(questions) - answered} questions are left.")
    return right


def wrapped(text: str, start: str) -> str:
    """`text` after `start`, in lines of at most 79 characters."""
    return textwrap.fill(text, 79, initial_indent=start, subsequent_indent=" " * min(len(start), 6))
