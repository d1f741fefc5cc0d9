"""A page for each public part of the package, from the names that it lists and their docstrings."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from types import GenericAlias
from typing import Any

import dlcourse
from dlcourse.models import MODELS

__all__ = ["documented", "resolved", "write"]


def parts() -> list[str]:
    """The public parts, as "dlcourse.data"."""
    return [f"dlcourse.{name}" for name in dlcourse.__all__ if name != "__version__"]


def documented() -> dict[str, Any]:
    """Every object that has an entry in the reference, by its full name."""
    found = {}
    for part in parts():
        module = import_module(part)
        found[part] = module
        found |= {f"{part}.{name}": getattr(module, name) for name in module.__all__}
    return found


def resolved(code: str, part: str, names: set[str]) -> str | None:
    """The full name that `code` stands for in a text of `part`; None if no entry has it."""
    for full in (code, f"{part}.{code}", f"dlcourse.{code}", f"dlcourse.errors.{code}"):
        if full in names:
            return full
    return None


def write(source: Path) -> None:
    folder = source / "api"
    folder.mkdir(parents=True)
    rows = []
    for part in parts():
        module = import_module(part)
        short = part.removeprefix("dlcourse.")
        (folder / f"{short}.rst").write_text(page(part), encoding="utf-8")
        first = (inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " ")
        rows.append(f"| [`{part}`]({short}.rst) | {first} |")
    pages = "\n".join(part.removeprefix("dlcourse.") for part in parts())
    (folder / "index.md").write_text(
        "\n".join(
            [
                "# API reference",
                "",
                "What the labs and your own scripts can use. The command line uses the same parts.",
                "",
                "| part | what it is |",
                "|---|---|",
                *rows,
                "",
                "```{toctree}",
                ":hidden:",
                "",
                pages,
                "```",
                "",
            ]
        ),
        encoding="utf-8",
    )


def page(part: str) -> str:
    module = import_module(part)
    lines = [part, "=" * len(part), "", f".. automodule:: {part}", "   :no-members:", ""]
    elsewhere = dict.fromkeys(
        entry.function for entry in MODELS.values() if part == "dlcourse.models"
    )
    for name in module.__all__:
        entry = getattr(module, name)
        # In Python 3.10 `dict[str, int]` counts as a class.
        is_class = inspect.isclass(entry) and not isinstance(entry, GenericAlias)
        if is_class and entry in elsewhere:  # on its own page, see model_pages
            continue
        lines += ["", name, "-" * len(name), ""]
        if is_class:
            lines += [f".. autoclass:: {part}.{name}", "   :members:", ""]
        elif callable(entry) and not isinstance(entry, GenericAlias):
            lines += [f".. autofunction:: {part}.{name}", ""]
        else:
            lines += [f".. py:data:: {part}.{name}", "", f"   {described(entry)}", ""]
    if elsewhere:
        links = ", ".join(f":py:obj:`{one.__name__} <{part}.{one.__name__}>`" for one in elsewhere)
        lines += ["", "The models", "----------", "", f"Each has its own page: {links}."]
    return "\n".join(lines)


def described(value: Any) -> str:
    """What a constant or the name of a type is, in words."""
    if isinstance(value, GenericAlias):
        return f"The type ``{value}``."
    if isinstance(value, dict):
        return "A dictionary with the keys " + ", ".join(f"``{key}``" for key in value) + "."
    return f"A value of type ``{type(value).__name__}``."
