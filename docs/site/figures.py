"""A figure on a page: its caption below it, its description for who does not see it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

__all__ = ["figure"]


def figure(path: Path, caption: str) -> str:
    """The lines of MyST Markdown that show the file next to the page; a click shows it alone.

    caption: Markdown. The description is the one that `dlcourse.figure_style` wrote into the file.
    """
    with Image.open(path) as image:
        description = image.info.get("Description") or path.stem.replace("_", " ")
    return f"```{{figure}} {path.name}\n:alt: {description}\n:target: {path.name}\n\n{caption}\n```"
