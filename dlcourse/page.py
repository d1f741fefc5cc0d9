"""HTML pages from Jinja2 templates, with every inserted text escaped.

`page.html.jinja` is the skeleton of every report. A report's own template extends it, fills the
block `body`, and may import the macros `table` and `bar` from `page_macros.html.jinja`.
"""

from __future__ import annotations

import functools
from pathlib import Path

import jinja2

__all__ = ["render"]


@functools.cache
def environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: object) -> str:
    """Fill the template at the path `template` below the package, as "compare/report.html.jinja".

    Texts in `values` are escaped, unless they are `markupsafe.Markup`. A template that names a
    value which is not given raises `jinja2.UndefinedError`.
    """
    return environment().get_template(template).render(**values)
