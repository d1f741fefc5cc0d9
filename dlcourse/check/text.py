"""Text of unknown origin, made fit for a terminal and a report."""

from __future__ import annotations

__all__ = ["clean_text"]


def clean_text(text: object, limit: int = 2000) -> str:
    """Return `text` without control characters and surrogates, cut to `limit` characters."""
    text = str(text)[: limit + 1].encode("utf-8", "replace").decode("utf-8")
    text = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    return text if len(text) <= limit else text[: limit - 4] + " ..."
