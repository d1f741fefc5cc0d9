"""Find pairs of submissions that share more than the task explains.

Winnowing (Schleimer, Wilkerson & Aiken 2003, SIGMOD) over normalized tokens: names, numbers and
strings count by their kind only, comments and layout not at all. What stands in the handed-out lab
is left out. A shared fingerprint weighs less the more of the class has it (inverse document
frequency), so that idioms do not make a pair and copies do, even if most of the class has them. A
listed pair is a reason to read both, not a verdict.

Code that a submission holds packed in a text is unpacked and compared too, and so are the functions
and classes of the package, which a student can copy as well.
"""

from __future__ import annotations

import ast
import bisect
import functools
import hashlib
import io
import keyword
import math
import token
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.lib.stride_tricks import sliding_window_view

from dlcourse import page
from dlcourse.check.text import clean_text
from dlcourse.course import Lab
from dlcourse.errors import UsageError
from dlcourse.files import write_text
from dlcourse.grade.packed import inner_sources, signs
from dlcourse.grade.submissions import Submission
from dlcourse.work_folder import claimed_folder

__all__ = [
    "Pair",
    "as_text",
    "fingerprints",
    "from_package",
    "packed",
    "shared_lines",
    "similar",
    "write_pages",
]

GRAM = 12  # tokens: shorter matches are noise
WINDOW = 8  # a match of GRAM + WINDOW - 1 tokens is always found
FEWEST = 3  # fingerprints that a pair must share
MOST = 0.9  # of a function's fingerprints make a copy of it
ROUNDING = 1e-9  # of sums of weights
IDIOM = 12  # fingerprints: a shorter function of the package says nothing
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
    """Two students, the share of the smaller one's weighted fingerprints that both have (0 to 1),
    and how many these are."""

    first: str
    second: str
    share: float
    fingerprints: int


def tokens(source: bytes) -> list[tuple[str, int]]:
    """The normalized tokens of `source` and their lines, as far as it can be read."""
    found: list[tuple[str, int]] = []
    try:
        for part in tokenize.tokenize(io.BytesIO(source).readline):
            if part.type in SILENT:
                continue
            word = part.string
            if part.type == token.NAME:
                word = word if keyword.iskeyword(word) else "n"
            elif part.type in (token.NUMBER, token.STRING):
                word = "0" if part.type == token.NUMBER else "s"
            found.append((word, part.start[0]))
    except (tokenize.TokenError, SyntaxError, ValueError):
        pass
    return found


def hashes_of(words: Sequence[str]) -> np.ndarray:
    """The hashes of all runs of GRAM tokens in `words`, uint64."""
    grams = (" ".join(words[at : at + GRAM]) for at in range(len(words) - GRAM + 1))
    digests = b"".join(hashlib.blake2b(gram.encode(), digest_size=8).digest() for gram in grams)
    return np.frombuffer(digests, ">u8")


@functools.cache
def gram_hashes(source: bytes) -> np.ndarray:
    """The hashes of `source`; kept, because each submission is asked for several times."""
    return hashes_of([word for word, _ in tokens(source)])


def shared_lines(source: bytes, other: bytes, starter: bytes = b"") -> set[int]:
    """The lines of `source` (from 1) with tokens of runs that `other` has and `starter` lacks."""
    lines = [line for _, line in tokens(source)]
    hashes, given = gram_hashes(source).tolist(), set(gram_hashes(starter).tolist())

    def covered(by: set[int]) -> set[int]:
        runs = (range(at, at + GRAM) for at, gram in enumerate(hashes) if gram in by)
        return {at for run in runs for at in run}

    return {lines[at] for at in covered(set(gram_hashes(other).tolist()) - given) - covered(given)}


def fingerprints(source: bytes) -> set[int]:
    """The winnowed hashes of `source` and of the code packed in it."""
    return set().union(*(winnowed(gram_hashes(text)) for text in [source, *inner_sources(source)]))


def winnowed(hashes: np.ndarray) -> set[int]:
    """The least of every WINDOW neighbors in `hashes`."""
    if not len(hashes):
        return set()
    windows = sliding_window_view(hashes, min(WINDOW, len(hashes)))
    return set(windows.min(1).tolist())


def similar(
    submissions: Sequence[Submission], starter: bytes = b"", least: float = 0.5
) -> list[Pair]:
    """The pairs that share at least `least` of the smaller one's fingerprints, most first.

    starter: the handed-out lab. Students who handed in together are not compared. Raises
    UsageError if `least` is not between 0 and 1.
    """
    if not 0 <= least <= 1:
        raise UsageError(f"--least must be a share from 0 to 1, got {least!r}")
    # Every run of tokens in the lab counts as given, not only its fingerprints.
    given = set(gram_hashes(starter).tolist())
    students = [one for one in submissions if not one.problem]
    marks = [fingerprints(one.source) - given for one in students]
    spread = Counter(mark for found in marks for mark in found)
    weights = {mark: math.log((len(marks) + 1) / count) for mark, count in spread.items()}
    sizes = [sum(weights[mark] for mark in found) for found in marks]
    pairs = []
    for one, two in candidates(marks, weights, sizes, least):
        first, second = students[one], students[two]
        both = marks[one] & marks[two]
        if len(both) < FEWEST or (first.group and first.group == second.group):
            continue
        share = sum(weights[mark] for mark in both) / min(sizes[one], sizes[two])
        if share >= least:
            names = first.student, second.student
            pairs.append(Pair(*names, round(min(share, 1.0), 3), len(both)))
    return sorted(
        pairs, key=lambda pair: (-pair.share, -pair.fingerprints, pair.first, pair.second)
    )


def candidates(
    marks: Sequence[set[int]], weights: Mapping[int, float], sizes: Sequence[float], least: float
) -> Iterator[tuple[int, int]]:
    """Positions of all pairs that can share `least` of the smaller one's weight, and of some more.

    The rarest marks of a submission, down to where the others together weigh less than `least`,
    include one that the other of such a pair has too (prefix filtering: Bayardo, Ma & Srikant 2007,
    WWW). So a class is not compared pair by pair: almost nobody else has the rarest marks.
    """
    holders: defaultdict[int, list[int]] = defaultdict(list)
    for at, found in enumerate(marks):
        for mark in found:
            holders[mark].append(at)
    for at, found in enumerate(marks):
        rest, others = sizes[at] * (1 + ROUNDING), set[int]()
        for mark in sorted(found, key=weights.__getitem__, reverse=True):
            if rest < least * sizes[at]:
                break
            rest -= weights[mark]
            others.update(holders[mark])
        for other in others:
            if (sizes[at], at) < (sizes[other], other):
                yield min(at, other), max(at, other)


def write_pages(
    pairs: Sequence[Pair], submissions: Sequence[Submission], lab: Lab, starter: bytes, out: Path
) -> None:
    """Write a page for each pair, both texts side by side, and index.html, which links them.

    Raises UsageError if `out` holds other files or cannot be written.
    """
    texts = {one.student: one.source for one in submissions}
    with claimed_folder(out, "similar.json", {"lab": lab.name}, label="--out"):
        for old in out.glob("pair_*.html"):
            old.unlink()
        rows = []
        for number, pair in enumerate(pairs, start=1):
            name = f"pair_{number:03}.html"
            both = [(pair.first, pair.second), (pair.second, pair.first)]
            text = page.render(
                "grade/pair.html.jinja",
                title=f"{lab.short}: {pair.first} and {pair.second}",
                share=f"{pair.share:.0%}",
                sides=[
                    (one, marked_lines(texts[one], shared_lines(texts[one], texts[other], starter)))
                    for one, other in both
                ],
            )
            write_text(out / name, text)
            link = Markup('<a href="{}">{:.0%}</a>').format(name, pair.share)
            rows.append([link, pair.first, pair.second])
        write_text(
            out / "index.html",
            page.render("grade/similar.html.jinja", title=f"{lab.short}: similar work", rows=rows),
        )


def marked_lines(source: bytes, shared: set[int]) -> list[tuple[str, bool]]:
    """The lines of `source`, and whether each is shared."""
    lines = source.decode("utf-8", "replace").splitlines()
    return [(clean_text(line, 500), at in shared) for at, line in enumerate(lines, start=1)]


def from_package(submissions: Sequence[Submission], starter: bytes = b"") -> list[Pair]:
    """The functions and classes of the package that a submission holds almost whole.

    `share` is the share of their fingerprints, at least MOST: an answer written after the same
    paper shares up to three quarters with ours.
    """
    given = set(gram_hashes(starter).tolist())
    parts = [(name, marks) for name, found in package_parts()
             if len(marks := found - given) >= IDIOM]  # fmt: skip
    known = set().union(*(marks for _, marks in parts))
    pairs = []
    for one in submissions:
        texts = [one.source, *inner_sources(one.source)]
        held = {mark for text in texts for mark in known.intersection(gram_hashes(text).tolist())}
        pairs += [
            Pair(one.student, name, round(len(marks & held) / len(marks), 3), len(marks & held))
            for name, marks in parts
            if held and len(marks & held) >= MOST * len(marks)
        ]
    return pairs


@functools.cache
def package_parts() -> list[tuple[str, set[int]]]:
    """Each function and class of the package by its place, with its fingerprints."""
    package, parts = Path(__file__).parent.parent, []
    for path in sorted(package.rglob("*.py")):
        source, place = path.read_bytes(), path.relative_to(package.parent).as_posix()
        words, lines = zip(*tokens(source), strict=True) if source else ((), ())
        hashes = hashes_of(words)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                first = bisect.bisect_left(lines, node.lineno)
                last = bisect.bisect_right(lines, node.end_lineno or node.lineno)
                marks = winnowed(hashes[first : max(first, last - GRAM + 1)])
                parts.append((f"{place}: {node.name}", marks))
    return parts


def packed(submissions: Sequence[Submission]) -> list[str]:
    """A line for each submission that runs code which is not written in it, or could."""
    lines = []
    for one in submissions:
        found = signs(one.source)
        if found or inner_sources(one.source):
            also = f" and {len(found) - 5} more" if len(found) > 5 else ""
            shown = ", ".join(found[:5]) or "a text that holds Python code"
            lines.append(f"{one.student}: may run packed code ({shown}{also}); read it by hand")
    return lines


def as_text(pairs: Sequence[Pair]) -> str:
    """One line for each pair."""
    if not pairs:
        return "no two submissions share more than the task explains"
    return "\n".join(
        f"{pair.share:>5.0%}  {pair.fingerprints:>4} fingerprints  {pair.first}  {pair.second}"
        for pair in pairs
    )
