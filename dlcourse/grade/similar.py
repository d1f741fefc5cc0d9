"""Pairs of submissions that share more than the task explains.

Winnowing (Schleimer, Wilkerson & Aiken 2003, SIGMOD) over normalized tokens: names, numbers and
strings count by kind only, comments and layout not at all. What stands in the handed-out lab is
left out. A listed pair is a reason to read both, not a verdict.
"""

from __future__ import annotations

import hashlib
import io
import keyword
import token
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from dlcourse.grade.submissions import Submission

__all__ = ["Pair", "as_text", "fingerprints", "similar"]

GRAM = 12  # tokens: shorter matches are noise
WINDOW = 8  # a match of GRAM + WINDOW - 1 tokens is always found
MAX_SHARED = 0.5  # a fingerprint in more of the class than this is how the task is solved
SILENT = {
    token.NEWLINE,
    token.INDENT,
    token.DEDENT,
    token.ENDMARKER,
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.ENCODING,
}


@dataclass(frozen=True)
class Pair:
    """Two students and the share of the smaller one's fingerprints that both have, 0 to 1."""

    first: str
    second: str
    share: float
    fingerprints: int


def tokens(source: bytes) -> list[str]:
    """The normalized tokens of `source`; of a file that breaks off, those before the break."""
    found = []
    try:
        for part in tokenize.tokenize(io.BytesIO(source).readline):
            if part.type in SILENT:
                continue
            if part.type == token.NAME:
                found.append(part.string if keyword.iskeyword(part.string) else "n")
            elif part.type in (token.NUMBER, token.STRING):
                found.append("0" if part.type == token.NUMBER else "s")
            else:
                found.append(part.string)
    except (tokenize.TokenError, SyntaxError, ValueError):
        pass
    return found


def gram_hashes(source: bytes) -> list[int]:
    """A hash for every GRAM tokens of `source` in a row."""
    words = tokens(source)
    grams = (" ".join(words[at : at + GRAM]) for at in range(len(words) - GRAM + 1))
    return [
        int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest(), "big")
        for gram in grams
    ]


def fingerprints(source: bytes) -> set[int]:
    """The winnowed hashes of `source`: the least of each WINDOW in a row."""
    hashes = gram_hashes(source)
    last = max(1, len(hashes) - WINDOW + 1)
    return {min(hashes[at : at + WINDOW]) for at in range(last)} if hashes else set()


def similar(
    submissions: Iterable[Submission], starter: bytes = b"", least: float = 0.5
) -> list[Pair]:
    """The pairs that share at least `least` of the smaller one's fingerprints, most first."""
    # All of what is handed out, not only its fingerprints: none of it may count.
    given = set(gram_hashes(starter))
    prints = {
        submission.student: fingerprints(submission.source) - given
        for submission in submissions
        if submission.source
    }
    spread = Counter(mark for marks in prints.values() for mark in marks)
    common = max(3.0, MAX_SHARED * len(prints))
    holders = defaultdict(list)
    for student, marks in prints.items():
        for mark in marks:
            if spread[mark] <= common:
                holders[mark].append(student)
    shared = Counter(pair for students in holders.values() for pair in combinations(students, 2))
    sizes = Counter(student for students in holders.values() for student in students)
    pairs = []
    for (first, second), count in shared.items():
        share = count / min(sizes[first], sizes[second])
        if share >= least and count >= 3:
            pairs.append(Pair(first, second, round(share, 3), count))
    return sorted(pairs, key=lambda pair: (-pair.share, -pair.fingerprints, pair.first))


def as_text(pairs: Sequence[Pair]) -> str:
    """One line a pair."""
    if not pairs:
        return "no two submissions share more than the task explains"
    return "\n".join(
        f"{pair.share:>5.0%}  {pair.fingerprints:>4} fingerprints  {pair.first}  {pair.second}"
        for pair in pairs
    )
