"""A lab's script as a notebook, and a notebook back as a script.

The notebook has the script's cells, and more: see `as_notebook`.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlcourse import quiz
from dlcourse.course import LINE_END, TASK, Lab
from dlcourse.errors import UsageError

__all__ = ["as_notebook", "as_script", "without_magics", "write"]

SCRIPT_END = """if __name__ == "__main__":
    lab.script(main)
"""
SETUP = """# This cell finds the course. In Colab, upload course.zip first (folder symbol, left).
import importlib.util
import sys
import zipfile
from pathlib import Path

if Path("course.zip").is_file() and not Path("course").is_dir():
    zipfile.ZipFile("course.zip").extractall("course")
    %pip install --quiet ./course
for folder in [Path("course"), *Path("notebook").absolute().parents]:
    if (folder / "dlcourse" / "__init__.py").is_file():
        sys.path.insert(0, str(folder.absolute()))
        break
if importlib.util.find_spec("dlcourse") is None:
    raise ModuleNotFoundError("put this notebook into the course's folder, or upload course.zip")
"""
NOTEBOOK_END = """# %%
RUN = False  # True runs the experiment; [] instead of ["--tiny"] runs the whole of it
if RUN:
    from IPython.display import Image, display

    main(["--tiny"])
    folder = "results/{short}/tiny"  # after main([]): "results/{short}"
    for figure in sorted(Path(folder).glob("*.png")):
        display(Image(figure))
"""
QUIZ = '# lab.quiz("{short}")  # remove the first "#", and run this cell'
ANSWERS = "**Your answers** (double-click here to write)\n\n1. \n2. "
# The cells that `as_notebook` adds, also with other arguments; `as_script` leaves them out. No two
# parts that repeat can match the same text: a file made for it would take years.
ADDED = re.compile(
    r"lab\.(?:check|quiz)\(.*\)\s*(?:#.*)?"
    r"|RUN = \w.*\n\s*if RUN:\n(?:[ \t].*\n|\n)*(?:[ \t].*)?"
    r"|main\([^\n]*\)\s*(?:#.*)?"
    r"|from pathlib import Path\s+from IPython\.display import Image, display\s+"
    r"(?:folder = .*\n\s*)?for figure in sorted\(.*\):\s+display\(Image\(figure\)\)"
)
# Lines that only IPython understands: `%magic`, `!shell`, `x = !shell`, `?help`, `help?`.
MAGIC = re.compile(r"[%!?]|[\w.,\s\[\]]+=\s*(?:!|%\w)|[\w.]+\?{1,2}$")  # of a stripped line
MAX_CODE = 2**18  # characters; reading a program takes 500 times its size in memory
MAX_TOKENIZED = 2**20  # characters, which takes 4 s
MAX_CELLS = 10_000
MAX_BRACES = 10_000  # Python 3.11 takes minutes for one text with ten times as many
FUTURE = re.compile(r"^from __future__ import [\w, ]+", re.MULTILINE)
# Cell magics whose cell is Python all the same.
CELL_MAGICS_OVER_PYTHON = {"%%time", "%%timeit", "%%capture", "%%prun"}


def as_notebook(source: str, short: str) -> str:
    """Turn a lab's script into a notebook, as JSON (nbformat 4); `short` is "lab05".

    The first code cell finds the course. After each task a cell checks it. The lines of the script
    that start `main` become a cell that runs the experiment and shows its figures if RUN is set.
    There is a place for answers to the questions, and a cell for the quiz.

    Raises UsageError if the script lacks its end.
    """
    import jupytext

    if SCRIPT_END not in source:
        raise UsageError(f"{short}: the script does not end in {SCRIPT_END!r}; restore these lines")
    script = quiz.without_quiz(source).replace(SCRIPT_END, NOTEBOOK_END.format(short=short))
    script = re.sub(r"^[ \t]*# (?:BEGIN|END) SOLUTION\n", "", script, flags=re.MULTILINE)
    start = SETUP.replace("%pip", "# %pip")  # jupytext makes a magic of it again
    script = script.replace("# %%\n", f"# %%\n{start}\n# %%\n", 1)
    notebook = jupytext.reads(script, fmt="py:percent")
    title = notebook.cells[0]
    title.source = re.sub(r"^(?=Lab \d)", "# ", title.source)
    notebook.cells = list(with_more_cells(notebook.cells, short))
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    for number, cell in enumerate(notebook.cells):
        # jupytext draws random ids; the same lab would never give the same file twice.
        cell["id"] = f"{short}-{number:02}"
    return jupytext.writes(notebook, fmt="ipynb")


def with_more_cells(cells: list[Any], short: str) -> Iterator[Any]:
    """`cells`, a check after the last cell of each task, a place for the answers, and the quiz."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    last = {
        match["id"]: number
        for number, cell in enumerate(cells)
        if cell.cell_type == "code"
        for match in map(TASK.match, cell.source.splitlines())
        if match
    }
    for number, cell in enumerate(cells):
        yield cell
        for task in (task for task, at in last.items() if at == number):
            yield new_code_cell(f'lab.check("{task}")')
        if cell.cell_type == "markdown" and "Questions to think about" in cell.source:
            yield new_markdown_cell(ANSWERS)
        if cell.cell_type == "markdown" and cell.source.startswith("## Quiz"):
            yield new_code_cell(QUIZ.format(short=short))


def as_script(text: str, name: str = "the notebook") -> str:
    """Return the Python script that the code cells of a notebook make.

    text: the notebook's JSON (nbformat 3 or 4); messages call it `name`. Left out are magics
    (`%time`, `%%bash`), shell lines (`!pip`), help lines (`fit?`), and the cells that `write` adds
    to run the experiment, which a grader must not run.

    Raises UsageError for damaged JSON, for a notebook of another language or without code, and
    for a cell that does not parse. The message says which cell; the first one is cell 1.
    """
    try:
        notebook = json.loads(text)
        sheets = notebook.get("worksheets", [notebook])
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
        metadata = notebook.get("metadata", {})
        language = (metadata.get("kernelspec") or {}).get("language") or (
            metadata.get("language_info") or {}
        ).get("name", "python")
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{name} is not a notebook: its JSON is damaged at line {error.lineno}; "
            "open it in Jupyter and save it again"
        ) from None
    except (AttributeError, KeyError, TypeError, RecursionError):
        raise UsageError(f"{name} is not a notebook: it has no list of cells") from None
    if str(language).lower() != "python":
        raise UsageError(f"{name} is a notebook of the language {language}; expected Python")
    if len(cells) > MAX_CELLS:
        raise UsageError(f"{name} has more than {MAX_CELLS:,} cells")
    parts = []
    code_size = braces = tokenized = 0
    for number, cell in enumerate(cells, start=1):
        try:
            if cell["cell_type"] != "code":
                continue
            source = cell["source"] if "source" in cell else cell["input"]
            code = source if isinstance(source, str) else "".join(source)
        except (AttributeError, KeyError, TypeError):
            raise UsageError(f"{name}: cell {number} is damaged: no source") from None
        if code.strip() == SETUP.strip() or ADDED.fullmatch(code.strip()):
            continue
        code_size += len(code)
        if code_size > MAX_CODE:
            raise UsageError(f"{name} holds more than {MAX_CODE:,} characters of code")
        braces += code.count("{")
        if braces > MAX_BRACES:
            raise UsageError(f"{name} holds more than {MAX_BRACES:,} braces")
        tokenized += sum(map(is_magic, LINE_END.split(code))) * len(code)
        if tokenized > MAX_TOKENIZED:
            raise UsageError(f"{name}: too many lines begin with %, ! or ?, up to cell {number}")
        code = without_magics(code)
        try:
            ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            at = str(error) or "it is nested too deep"
            if isinstance(error, SyntaxError):
                at = f"line {error.lineno}: {error.msg}"
            raise UsageError(f"{name}: cell {number} does not parse, {at}") from None
        if code.strip():
            parts.append(f"# %% cell {number}\n{code.rstrip()}\n")
    if not parts:
        raise UsageError(f"{name} is a notebook without code cells")
    script = "\n".join(parts)
    # A notebook may have these imports in any cell, a script only at its beginning.
    futures = dict.fromkeys(FUTURE.findall(script))
    return "".join([*(f"{line}\n" for line in futures), FUTURE.sub("", script)])


def without_magics(code: str) -> str:
    """Replace the lines of `code` that only IPython understands, so that blocks keep a body."""
    lines = LINE_END.split(code)
    first = next((line for line in lines if line.strip()), "").strip()
    if first.startswith("%%"):
        if first.split()[0] not in CELL_MAGICS_OVER_PYTHON:
            return ""
        lines[lines.index(next(line for line in lines if line.strip()))] = ""
    kept: list[str] = []
    for line in lines:
        if is_magic(line) and not is_continued("\n".join(kept)):
            line = line[: len(line) - len(line.lstrip())] + "pass"
        kept.append(line)
    return "\n".join(kept)


def is_magic(line: str) -> bool:
    """Whether `line` looks like one that only IPython understands."""
    return bool(MAGIC.match(line.strip()))


def is_continued(code: str) -> bool:
    """Whether the statement or string at the end of `code` goes on in the next line."""
    if code.endswith("\\"):
        return True
    try:
        list(tokenize.generate_tokens(io.StringIO(code + "\n").readline))
    except tokenize.TokenError as error:
        return "EOF in multi-line" in str(error) or "unterminated triple-quoted" in str(error)
    except SyntaxError:  # such as unindent that matches no outer level
        pass
    return False


def write(lab: Lab, out: Path | None = None, *, solution: bool = False) -> Path:
    """Write `lab` as a notebook to `out` (default: <name>.ipynb here), and return the path.

    solution: whether to write the complete script instead of the student's.

    Raises UsageError if the lab has no such script, if the folder is not writable, or if `out`
    exists: it may contain a student's work.
    """
    script = lab.solution if solution else lab.student
    path = out or Path(f"{lab.name}.ipynb")
    if not script.is_file():
        raise UsageError(f"no file {script}; `dlcourse labs` lists the labs")
    text = as_notebook(script.read_text(encoding="utf-8"), lab.short)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(
            f"{path} exists and may contain your work; name another file with --out"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror}") from None
    return path
