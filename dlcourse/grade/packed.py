"""Find Python code that hides in the texts of a file, and signs that a file runs such code.

Nothing is run. What a file packs in a way that is not known here is at least named, because to run
it takes one of a few functions.
"""

from __future__ import annotations

import ast
import base64
import binascii
import bz2
import codecs
import functools
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Sequence

__all__ = ["inner_sources", "signs"]

LEAST = 60  # bytes: a shorter text hides no answer
LONG = 400  # characters without a docstring's spaces: nobody writes that by hand
MAX = 2**20  # bytes of one text, unpacked
MAX_ALL = 2 * MAX  # and of all texts together, in all the ways in which they unpack
MAX_TEXTS, MAX_DEPTH = 2000, 5
MAX_BRACES = 10_000  # Python 3.11 takes minutes for one text with ten times as many
RUNNERS = {"exec", "eval", "compile", "__import__", "FunctionType", "CodeType"}
# How to reach one of them without its name, or have it called.
WAYS = {"__builtins__", "__globals__", "__self__", "__subclasses__", "get_type_hints"}
# No word of a program or a comment: numbers and letters as base64 has them, and escaped bytes.
NO_WORD = re.compile(r"[A-Za-z0-9+/=]{20,}|(?:\\x[0-9a-fA-F]{2}){8,}")
MOST_NO_WORDS = 1000  # characters of a file
LOADERS = {"builtins", "importlib", "marshal", "runpy", "code", "codeop", "pickle", "types"}


def inflated(make: Callable) -> Callable[[bytes], bytes]:
    # No more than MAX is made of a text that unpacks to gigabytes.
    return lambda data: make().decompress(data, MAX)


UNPACK: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: base64.b64decode(data, validate=True),
    lambda data: base64.urlsafe_b64decode(data),
    base64.b32decode,
    base64.b85decode,
    base64.a85decode,
    lambda data: bytes.fromhex(data.decode()),
    inflated(zlib.decompressobj),
    inflated(lambda: zlib.decompressobj(31)),  # gzip
    inflated(bz2.BZ2Decompressor),
    inflated(lzma.LZMADecompressor),
    lambda data: codecs.encode(data.decode(), "rot13").encode(),
    lambda data: data[::-1],
)
PROBLEMS = (
    ValueError, SyntaxError, EOFError, OSError, RecursionError, MemoryError, TypeError,
    binascii.Error, zlib.error, lzma.LZMAError,
)  # fmt: skip


def inner_sources(source: bytes) -> tuple[bytes, ...]:
    """Return the programs that the texts of `source` hold, as they are or packed."""
    return looked_through(source)[0]


def signs(source: bytes) -> tuple[str, ...]:
    """Return where `source` runs code that is not written in it, and its texts of odd length."""
    return looked_through(source)[1]


@functools.cache
def looked_through(source: bytes) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """Inner sources and signs; kept, because each submission is asked for several times."""
    if source.count(b"{") > MAX_BRACES:
        return (), (f"line 1: more than {MAX_BRACES:,} braces, which are not looked through",)
    try:
        nodes = list(ast.walk(ast.parse(source)))
        programs, all_of_them = programs_in(nodes)
        more = () if all_of_them else ("line 1: more packed text than is looked through",)
        return programs, more + signs_in(nodes) + no_words_in(source)
    except (RecursionError, MemoryError):
        return (), ("line 1: expressions that are too deep to be looked through",)
    except PROBLEMS:
        return (), ()


def programs_in(nodes: Sequence[ast.AST]) -> tuple[tuple[bytes, ...], bool]:
    """The programs in the texts of a file, and whether all texts could be looked through."""
    texts = list(dict.fromkeys(texts_of(nodes)))
    left, complete = MAX_ALL, len(texts) <= MAX_TEXTS
    found: dict[bytes, None] = {}
    seen, level = set(texts), texts[:MAX_TEXTS]
    for _ in range(MAX_DEPTH):
        found |= dict.fromkeys(text for text in level if is_program(text))
        unpacked = []
        for made in (made for text in level for made in unpacked_forms(text)):
            left -= len(made)
            if left < 0:
                complete = False
                break
            unpacked.append(made)
        level = [text for text in dict.fromkeys(unpacked) if text not in seen]
        complete &= len(level) <= MAX_TEXTS
        level = level[:MAX_TEXTS]
        seen |= set(level)
    return tuple(found), complete


def texts_of(nodes: Sequence[ast.AST]) -> Iterator[bytes]:
    """The constant texts of a program, also those that it joins or lists as numbers."""
    every = []
    for node in nodes:
        text = constant(node)
        if text is not None and len(text) >= LEAST:
            yield text
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            every.append(node.value)
    yield "".join(part for part in every if " " not in part).encode("utf-8", "replace")


def constant(node: ast.AST) -> bytes | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.encode("utf-8", "replace")
    if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        first: ast.AST = node
        parts = []
        while isinstance(first, ast.BinOp) and isinstance(first.op, ast.Add):  # may be thousands
            parts.append(constant(first.right))
            first = first.left
        known = [part for part in [constant(first), *reversed(parts)] if part is not None]
        return b"".join(known) if len(known) > len(parts) else None
    if isinstance(node, ast.List | ast.Tuple):
        values = [part.value for part in node.elts if isinstance(part, ast.Constant)]
        if values and all(isinstance(value, str) for value in values):
            return "".join(map(str, values)).encode("utf-8", "replace")
        if values and all(type(value) is int and 0 <= value < 256 for value in values):
            return bytes(values)  # type: ignore[arg-type]  # all are int
    return None


def unpacked_forms(text: bytes) -> Iterator[bytes]:
    for unpack in UNPACK:
        try:
            made = unpack(text)
        except PROBLEMS:
            continue
        if LEAST <= len(made) <= MAX:
            yield made


def is_program(text: bytes) -> bool:
    """Whether `text` is Python that defines or binds something, and not prose."""
    try:
        body = ast.parse(text).body
    except PROBLEMS:
        return False
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Assign) for node in body)


def no_words_in(source: bytes) -> tuple[str, ...]:
    found = [*NO_WORD.finditer(source.decode("utf-8", "replace"))]
    length = sum(len(match[0]) for match in found)
    if length <= MOST_NO_WORDS:
        return ()
    line = found[0].string.count("\n", 0, found[0].start()) + 1
    return (f"line {line}: {length:,} characters that are no words",)


def signs_in(nodes: Sequence[ast.AST]) -> tuple[str, ...]:
    prose = {id(node.body[0].value) for node in nodes
             if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and node.body
             and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    found = []
    for node in nodes:
        if not isinstance(node, ast.expr | ast.stmt):
            continue
        name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
        owner = node.value if isinstance(node, ast.Attribute) else None
        if name in WAYS or (
            name in RUNNERS and (owner is None or ast.unparse(owner) in LOADERS | {"__builtins__"})
        ):
            found.append((node.lineno, name))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            found += [(node.lineno, f"import of {one}") for one in sorted(LOADERS & set(names))]
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str | bytes)
            and id(node) not in prose
            and len(node.value) >= LONG
        ):
            found.append((node.lineno, f"a text of {len(node.value):,} characters"))
    return tuple(f"line {line}: {what}" for line, what in sorted(dict.fromkeys(found)))
