"""A lab as a notebook: the script's cells, and a last line that runs the experiment."""

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
    """The notebook, as JSON (nbformat 4), of a lab's script; `short` is "lab05".

    What `dlcourse run` does at the end of a script is a call and the figures in a notebook.
    Raises UsageError where the script does not end as a lab does.
    """
    import jupytext

    if SCRIPT_END not in source:
        raise UsageError(f"{short}: the script lacks its end, {SCRIPT_END!r}; restore it")
    end = NOTEBOOK_END.format(short=short)
    notebook = jupytext.reads(source.replace(SCRIPT_END, end), fmt="py:percent")
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    for number, cell in enumerate(notebook.cells):
        # Drawn at random otherwise: the same lab would never give the same file twice.
        cell["id"] = f"{short}-{number:02}"
    return jupytext.writes(notebook, fmt="ipynb")


def write(lab: Lab, out: Path | None = None, *, solution: bool = False) -> Path:
    """Write `lab` as a notebook to `out` (default: <name>.ipynb here); return the path.

    A notebook that is there already is not overwritten: it may hold a student's work.

    Raises UsageError for a lab without a script, a file that is there, a folder not to be written.
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
            f"{path} is there already and may hold work; name another with --out"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror}") from None
    return path
