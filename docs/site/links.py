"""The links of the repository's documents become those of the site, and are checked there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["broken", "page_of", "pages_of", "rewritten"]

# Documents outside of docs/ that are pages of the site; README.md is its start page.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "datasets/README.md": "datasets.md",
}
CODE = re.compile(r"^```.*?^```$|^(?: {4}[^\n]*\n)+|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\]\()([^)\s]+)(\))")


def page_of(path: str) -> str | None:
    """The page of the site that shows the repository's file `path`; None if there is none."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/") and path.endswith(".md"):
        return path.removeprefix("docs/")
    if re.fullmatch(r"handouts/lab\d+\.md", path):
        return path.replace("handouts/", "labs/")
    return None


def rewritten(text: str, home: str, root: Path, source: Path) -> str:
    """A document's text with the links that it needs as a page of the site.

    text: the document at the path `home` of the repository `root`. source: the folder of the pages.
    A link to a document becomes one to its page. Any other file of the repository is copied to
    source/files, and the link leads there. Raises ValueError for a link that leads to no file.
    """
    page = page_of(home)
    assert page is not None, home

    def replaced(match: re.Match[str]) -> str:
        target, mark, anchor = match[2].partition("#")
        if urlsplit(target).scheme or not target:
            return match[0]
        path = os.path.normpath(os.path.join(os.path.dirname(home), target)).replace(os.sep, "/")
        there = page_of(path)
        if there is None:
            if not (root / path).is_file():
                raise ValueError(f"{home}: the link {match[2]} leads to no file")
            there = f"files/{path}"
            (source / there).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / path, source / there)
        relative = os.path.relpath(there, os.path.dirname(page) or ".").replace(os.sep, "/")
        return f"{match[1]}{relative}{mark}{anchor}{match[3]}"

    return outside_code(text, lambda part: LINK.sub(replaced, part))


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """`text` with what is not code, in blocks or between backticks, changed."""
    # A link's text may be code, so the parts are put together again before they are changed.
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\0{len(kept) - 1}\0"

    changed = change(CODE.sub(keep, text))
    return re.sub(r"\0(\d+)\0", lambda match: kept[int(match[1])], changed)


class Anchors(HTMLParser):
    """What a page of HTML names (`ids`) and what it leads to (`links`)."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is not None and name in ("id", "name"):
                self.ids.add(value)
            if value is not None and name in ("href", "src"):
                self.links.append(value)


def pages_of(html: Path) -> list[Path]:
    """The pages of the site in the folder `html`, without the templates of the theme."""
    return [path for path in sorted(html.rglob("*.html")) if "_static" not in path.parts]


def broken(html: Path) -> list[str]:
    """The links inside the site in the folder `html` that lead nowhere, as "page: link"."""
    pages = {}
    for path in pages_of(html):
        pages[path.resolve()] = parsed = Anchors()
        parsed.feed(path.read_text(encoding="utf-8"))
    found = []
    for path, parsed in pages.items():
        for link in parsed.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            lost = not target.is_file()
            if not lost and parts.fragment and target in pages:
                lost = unquote(parts.fragment) not in pages[target].ids
            if lost:
                found.append(f"{path.relative_to(html.resolve()).as_posix()}: {link}")
    return found
