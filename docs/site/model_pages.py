"""A page for each architecture of the registry: its drawing, its size, its paper, and its code."""

from __future__ import annotations

import inspect
import itertools
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from dlcourse import plots
from dlcourse.errors import UsageError
from dlcourse.models import registry
from dlcourse.models.registry import MODELS, Entry
from dlcourse.models.summary import stages, summary

__all__ = ["write"]

Named = tuple[str, Entry]


def write(root: Path, source: Path, extra: Path) -> None:
    """Write the pages of all models, and their list, to source/models.

    extra: the folder whose files the site offers as they are; the drawings go there too.
    """
    folder = source / "models"
    folder.mkdir(parents=True)
    rows = {row["name"]: row for row in registry.as_dicts(MODELS)}
    groups = grouped()
    for function, entries in groups.items():
        text = page(function, entries, {name: rows[name] for name, _ in entries}, folder)
        (folder / f"{page_name(function)}.md").write_text(text, encoding="utf-8")
        code = Path(inspect.getfile(function)).relative_to(root)
        (source / "files" / code).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / code, source / "files" / code)
    shutil.copytree(folder, extra / "models", ignore=shutil.ignore_patterns("*.md"))
    lines = ["# The reference models", "", ABOUT, ""]
    by_kind = sorted(groups.items(), key=lambda item: KINDS.index(item[1][0][1].kind))
    for kind, found in itertools.groupby(by_kind, key=lambda item: item[1][0][1].kind):
        lines += [f"## {kind[0].upper()}{kind[1:]}s", ""]
        lines += ["| architecture | names | paper |", "|---|---|---|"]
        for function, entries in found:
            names = ", ".join(f"`{name}`" for name, _ in entries)
            link = f"[{function.__name__}]({page_name(function)}.md)"
            lines.append(f"| {link} | {names} | {paper(entries)} |")
        lines.append("")
    pages = "\n".join(page_name(function) for function in groups)
    lines += ["```{toctree}", ":hidden:", "", pages, "```", ""]
    (folder / "index.md").write_text("\n".join(lines), encoding="utf-8")


ABOUT = (
    "`dlcourse.models.build(NAME)` builds any of them; [Add a model](../add-a-model.md) says how "
    "your own gets a name. Parameter counts are for the defaults."
)
KINDS = list(dict.fromkeys(entry.kind for entry in MODELS.values()))


def grouped() -> dict[Callable[..., nn.Module], list[Named]]:
    """The models by the class that makes them, in the registry's order."""
    groups: dict[Callable[..., nn.Module], list[Named]] = {}
    for name, entry in MODELS.items():
        groups.setdefault(entry.function, []).append((name, entry))
    return groups


def page_name(function: Callable[..., nn.Module]) -> str:
    return function.__name__.lower()


def paper(entries: Sequence[Named]) -> str:
    """The papers of a group, each once."""
    papers = dict.fromkeys(f"{entry.paper} {entry.year or ''}".strip() for _, entry in entries)
    return "; ".join(papers)


def drawing(name: str, entry: Entry, folder: Path) -> list[str]:
    """The lines with a drawing of the model and the table of its layers."""
    model, inputs = entry.builder(), entry.example_inputs()
    try:
        drawn, layers = stages(model, *inputs), summary(model, *inputs)
    except UsageError as error:
        return [f"It has no layers to draw: {error}.", ""]
    path = folder / f"{page_name(entry.function)}.svg"
    plots.architecture(drawn, path)
    described = "; ".join(
        f"{' and '.join(dict.fromkeys(stage.kinds))}, {' by '.join(map(str, stage.shape))}"
        for stage in drawn
    )
    return [
        "## Drawing",
        "",
        f"```{{figure}} {path.name}",
        f":alt: {name} from left to right. {described}.",
        f":target: {path.name}",
        "",
        f"`{name}`, from left to right. Slabs are feature maps, bars are vectors.",
        "```",
        "",
        "## Layers",
        "",
        f"`dlcourse models {name}` prints:",
        "",
        "```text",
        layers,
        "```",
        "",
    ]


def page(
    function: Callable[..., nn.Module],
    entries: Sequence[Named],
    rows: dict[str, dict[str, Any]],
    folder: Path,
) -> str:
    name = function.__name__
    lines = [f"# {name}", "", f"Paper: {paper(entries)}.", ""]
    if differs := registry.departures(function):
        lines += [f"Differs from the paper: {differs}", ""]
    lines += ["| name | input | parameters |", "|---|---|---|"]
    for one, row in rows.items():
        size = " x ".join(map(str, row["input_size"])) or "integers"
        lines.append(f"| `{one}` | {size} | {row['parameters']:,} |")
    lines += ["", *drawing(*entries[0], folder)]
    lines += [
        "## Description",
        "",
        "```{eval-rst}",
        f".. autoclass:: dlcourse.models.{name}",
        "```",
        "",
        "## The code",
        "",
        "<details>",
        f"<summary>{Path(inspect.getfile(function)).name}</summary>",
        "",
        f"```{{literalinclude}} ../files/dlcourse/models/{Path(inspect.getfile(function)).name}",
        ":language: python",
        "```",
        "",
        "</details>",
        "",
    ]
    return "\n".join(lines)
