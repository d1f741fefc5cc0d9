"""The package's docstrings, which are plain English, as reStructuredText for Sphinx.

A docstring of the package marks code with single backticks, explains arguments and attributes as
"name, other: text" with indented continuation lines, and indents examples that are not doctests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

__all__ = ["as_rst"]

ITEM = re.compile(r"(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*): (?P<text>.+)")
SENTENCES = ("Shape", "Raises", "Example", "Note", "Source", "Units")
# Inside of a paragraph an item can follow a sentence: "... on its line. path: the file".
SPLIT = re.compile(r"(?<=[.;]) (?=[a-z_]\w*(?:, [a-z_]\w*)*: )")

NEW = "\f"
# A name of two humps, such as UsageError, can only be a class.
CLASS = re.compile(r"\b([A-Z][a-z]+[A-Z]\w+)\b")

Resolve = Callable[[str], str | None]


def as_rst(lines: Sequence[str], names: Sequence[str], resolve: Resolve) -> list[str]:
    """The lines of a docstring as lines of reStructuredText.

    names: the arguments or attributes; "name: text" is an item only for one of them. resolve: the
    full name of an object that the reference documents, for what stands between backticks; None if
    it documents none.
    """
    made: list[str] = []
    for block in blocks(lines):
        if block[0].lstrip().startswith(">>>"):
            made += [line.removeprefix("    ") if block[0][0] == " " else line for line in block]
        elif all(line.startswith("    ") for line in block):
            made += ["::", "", *(f"    {line.removeprefix('    ')}" for line in block)]
        elif any(re.search(r"\S {3,}\S", line) for line in block):  # a table that spaces align
            made += ["::", "", *(f"    {line}" for line in block)]
        else:
            made += paragraph(block, names, resolve)
        made.append("")
    return made


def blocks(lines: Sequence[str]) -> list[list[str]]:
    """The paragraphs of `lines`, without the empty lines between them."""
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line.rstrip())
        elif found[-1]:
            found.append([])
    return [block for block in found if block]


def paragraph(block: Sequence[str], names: Sequence[str], resolve: Resolve) -> list[str]:
    """A paragraph, of which lines may explain arguments."""
    items: list[tuple[str, str]] = []  # (names, text); "" for running text
    for piece in pieces(block):
        match = ITEM.fullmatch(piece)
        known = match and all(name.strip("* ") in names for name in match["names"].split(","))
        if match and known and match["names"] not in SENTENCES:
            items.append((match["names"], match["text"]))
        elif items and not piece.startswith(NEW):
            items[-1] = (items[-1][0], f"{items[-1][1]} {piece}")
        else:
            items.append(("", piece.removeprefix(NEW)))
    made: list[str] = []
    for label, text in items:
        if label:
            listed = ", ".join(f"**{name.strip()}**" for name in label.replace("*", "").split(","))
            made += [f"- {listed}: {inline(text, resolve)}"]
        else:
            made += ["", inline(text, resolve), ""]
    return made


def pieces(block: Sequence[str]) -> list[str]:
    """The lines of a paragraph, continuation lines joined, cut where an item may begin.

    A line that begins a sentence of its own after a full stop starts with NEW.
    """
    joined: list[str] = []
    for line in block:
        if joined and joined[-1].endswith(".") and re.match(r"[A-Z]", line):
            joined.append(NEW + line)
        elif joined and (line.startswith(" ") or not ITEM.fullmatch(line)):
            joined[-1] += f" {line.strip()}"
        else:
            joined.append(line.strip())
    return [piece for line in joined for piece in SPLIT.split(line)]


def inline(text: str, resolve: Resolve) -> str:
    """`text` with its code as literals or references, and nothing else that is markup."""
    made = []
    for part in re.split(r"(``[^`]+``|`[^`]+`)", text):
        code = part.strip("`")
        if not part.startswith("`") or not code:
            made += [word_or_class(word, resolve) for word in CLASS.split(part)]
        elif full := resolve(code.removesuffix("()")):
            made.append(rf"\ :py:obj:`{code} <{full}>`\ ")
        else:
            made.append(rf"\ ``{code}``\ ")
    return "".join(made).replace("\\  ", " ").strip()


def word_or_class(text: str, resolve: Resolve) -> str:
    """A reference if `text` names a class that has an entry, else `text` without any markup."""
    if CLASS.fullmatch(text) and (full := resolve(text)):
        return rf"\ :py:obj:`{text} <{full}>`\ "
    return re.sub(r"([\\*|`])|(?<=\w)(_)(?!\w)", r"\\\1\2", text)
