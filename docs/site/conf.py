"""Sphinx's settings for the web site; `make site` builds it (docs/site/build.py)."""

from __future__ import annotations

import inspect
import os
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import api_pages
import docstrings

import dlcourse

project = "dlcourse"
version = release = dlcourse.__version__
author = "the dlcourse authors"
project_copyright = "the dlcourse authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence", "attrs_block"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
default_role = "literal"
pygments_style = "a11y-high-contrast-light"

html_theme = "pydata_sphinx_theme"
html_title = "dlcourse"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = [os.environ["DLCOURSE_SITE_EXTRA"]]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": []}
html_theme_options: dict[str, Any] = {
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "header_links_before_dropdown": 8,
    "navbar_persistent": ["search-button"],  # the label of the wide one differs from its text
    # The buttons that unfold a part of the sidebar have no names, so no part is nested.
    "collapse_navigation": True,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
}
if repository := os.environ.get("DLCOURSE_REPOSITORY"):
    html_theme_options["github_url"] = f"https://github.com/{repository}"

NAMES = set(api_pages.documented())


def convert(
    app: object, what: str, name: str, entry: Any, options: object, lines: list[str]
) -> None:
    """Turn a docstring into reStructuredText, in place."""
    part = next(
        (one for one in api_pages.parts() if name == one or name.startswith(f"{one}.")), "dlcourse"
    )
    try:
        arguments = list(inspect.signature(entry).parameters)
    except (TypeError, ValueError):
        arguments = []
    arguments += getattr(entry, "__annotations__", {})
    arguments += [one for one in vars(entry) if what == "class"] if what == "class" else []
    lines[:] = docstrings.as_rst(
        lines, arguments, lambda code: api_pages.resolved(code, part, NAMES)
    )


def flatten_modules(
    app: object, page: str, template: object, context: dict[str, Any], doctree: object
) -> None:
    """Make one list of the page of all modules; Sphinx nests lists without items around them."""
    if page == "_modules/index":
        heading, _, rest = context["body"].partition("<ul>")
        items = re.findall(r"<li>.*?</li>", rest, re.DOTALL)
        context["body"] = f"{heading}<ul>{''.join(items)}</ul>"


def setup(app: Any) -> None:
    app.connect("html-page-context", flatten_modules)
    app.connect("autodoc-process-docstring", convert)
