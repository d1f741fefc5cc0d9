"""Turn the bytes of a file that a student wrote into Python source, or say why that fails.

Nothing of the file is run. A notebook becomes the script that its code cells make.
"""

from __future__ import annotations

import ast
import codecs
import io
import re
import tokenize

from dlcourse.errors import UsageError

__all__ = ["defined_twice", "is_notebook", "place", "read_source"]

# The marks that editors write at the start of a file. UTF-32's mark begins with UTF-16's.
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def read_source(data: bytes, name: str) -> bytes:
    """Return Python source that `compile` accepts as far as its encoding goes.

    data: the content of the file that messages call `name`. A notebook is recognized by its
    content, whatever its name is.

    Raises UsageError for another encoding than UTF-8 (or the one that the file declares), for
    NUL bytes, and for a damaged notebook.
    """
    encoding = next((kind for mark, kind in MARKS.items() if data.startswith(mark)), None)
    if encoding is None and looks_like_utf16(data):
        encoding = "UTF-16"
    if encoding:
        raise UsageError(f"{name} is {encoding}; save it as UTF-8")
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise UsageError(f"{name} holds NUL bytes (line {line}); it is damaged or not a text file")
    data = data.removeprefix(codecs.BOM_UTF8)
    if is_notebook(data) or name.lower().endswith(".ipynb"):
        from dlcourse.notebook import as_script

        return as_script(decoded(data, "utf-8", name), name).encode()
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError as error:
        if "unknown encoding" in str(error):
            raise UsageError(f"{name} declares an unknown encoding; save it as UTF-8") from None
        encoding = "utf-8"
    decoded(data, encoding, name)
    return data


def place(source: bytes, line: int) -> str:
    """Say where a line of `source` is: "line 7", or "cell 3, line 2" if it was a notebook.

    `notebook.as_script` writes the numbers of the cells, and `cells.definitions` theirs as "[3]".
    """
    lines = source.splitlines()[:line]
    for number in range(len(lines), 0, -1):
        if cell := re.fullmatch(rb"# %% cell (\[?\d+\]?)", lines[number - 1]):
            return f"cell {cell[1].decode()}, line {line - number}"
    return f"line {line}"


def defined_twice(source: bytes) -> list[str]:
    """Name each function and class that a later one of the same name replaces, and both places.

    The parts of a property, overloads and the like belong together. Returns nothing for a source
    that does not parse.
    """
    try:
        bodies = [getattr(node, "body", None) for node in ast.walk(ast.parse(source))]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    said = []
    for body in bodies:
        first: dict[str, int] = {}
        for node in body if isinstance(body, list) else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                above = set(re.findall(r"\w+", " ".join(map(ast.unparse, node.decorator_list))))
                if node.name in first and not above & {node.name, "register"}:
                    both = f"{place(source, first[node.name])} and {place(source, node.lineno)}"
                    said.append(
                        f"{node.name} is defined twice, in {both}: only the last one counts; "
                        "delete the other one"
                    )
                if "overload" not in above:
                    first[node.name] = node.lineno
    return said


def is_notebook(data: bytes) -> bool:
    """Whether `data` looks like a notebook (JSON with cells) and not like Python."""
    return data.lstrip()[:1] == b"{" and (b'"cells"' in data or b'"worksheets"' in data)


def looks_like_utf16(data: bytes) -> bool:
    """Whether every second byte of the beginning is mostly NUL, as in UTF-16 without a mark."""
    start = data[:2000]
    return len(start) >= 4 and any(
        start[first::2].count(0) > 0.6 * len(start[first::2]) for first in (0, 1)
    )


def decoded(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(
            f"{name} is not {encoding.upper()} (byte 0x{data[error.start]:02x} in line {line}); "
            "save it as UTF-8"
        ) from None
