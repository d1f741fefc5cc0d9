"""A lab as a notebook: the cells of the script, then a cell that runs the experiment."""

from __future__ import annotations

from pathlib import Path

from dlcourse.course import Lab
from dlcourse.errors import UsageError

__all__ = ["as_notebook", "write"]

SCRIPT_END = """if __name__ == "__main__":
    lab.script(main)
"""
NOTEBOOK_END = """# %%
main(["--tiny"])  # main([]) runs the whole experiment

# %%
from pathlib import Path

from IPython.display import Image, display

for figure in sorted(Path("results/{short}").glob("*.png")):
    display(Image(figure))
"""


def as_notebook(source: str, short: str) -> str:
    """Turn a lab's script into a notebook, as JSON (nbformat 4); `short` is "lab05".

    The last lines of the script, which start `main`, become a cell that calls it and a cell that
    shows the figures. Raises UsageError if the script does not end in those lines.
    """
    import jupytext

    if SCRIPT_END not in source:
        raise UsageError(f"{short}: the script does not end in {SCRIPT_END!r}; restore these lines")
    end = NOTEBOOK_END.format(short=short)
    notebook = jupytext.reads(source.replace(SCRIPT_END, end), fmt="py:percent")
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    for number, cell in enumerate(notebook.cells):
        # jupytext draws random ids; the same lab would never give the same file twice.
        cell["id"] = f"{short}-{number:02}"
    return jupytext.writes(notebook, fmt="ipynb")


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
