"""Where each reference model comes from, what it takes, and what it weighs."""

from __future__ import annotations

import functools
import inspect
import itertools
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

__all__ = ["Entry", "as_dicts", "as_text", "departures"]


@dataclass(frozen=True)
class Entry:
    """One row of MODELS.

    builder: the class, or a partial of it, with a default for every argument. kind: what the
    model is for. paper, year: who described it, when. input_size: of one sample, for the
    defaults; () for token numbers of any length.
    """

    builder: Callable[..., nn.Module]
    kind: str
    paper: str
    year: int
    input_size: tuple[int, ...] = ()


def departures(builder: Callable[..., nn.Module]) -> str:
    """What the docstring of a model says of where it departs from its paper; "" for nothing."""
    model = builder.func if isinstance(builder, functools.partial) else builder
    match = re.search(r"Departs from the paper[^:]*: (.*?)(?:\n\n|\Z)", inspect.getdoc(model), re.S)
    return " ".join(match[1].split()) if match else ""


def count_parameters(builder: Callable[..., nn.Module]) -> int:
    """How many numbers are learned; for PCA, whose are not by gradients, those that it finds."""
    with torch.device("meta"):  # counted, not made
        model = builder()
    return sum(p.numel() for p in model.parameters()) or sum(b.numel() for b in model.buffers())


def as_dicts(models: Mapping[str, Entry]) -> list[dict[str, object]]:
    """One row a model, for JSON: name, kind, paper, year, input_size, parameters, departs."""
    return [
        {
            "name": name,
            "kind": entry.kind,
            "paper": entry.paper,
            "year": entry.year,
            "input_size": list(entry.input_size),
            "parameters": count_parameters(entry.builder),
            "departs": departures(entry.builder),
        }
        for name, entry in models.items()
    ]


def as_text(models: Mapping[str, Entry]) -> str:
    """A table for people; models of one class in a row share the line on where they depart."""
    lines = [f"{'name':<24}{'input':<12}{'parameters':>12}  paper"]
    for departs, rows in itertools.groupby(as_dicts(models), key=lambda row: row["departs"]):
        for row in rows:
            size = "x".join(map(str, row["input_size"])) or "integers"
            lines.append(
                f"{row['name']:<24}{size:<12}{row['parameters']:>12,}  {row['paper']} {row['year']}"
            )
        lines += textwrap.wrap(
            f"departs: {departs}" if departs else "", 96, initial_indent=" " * 8,
            subsequent_indent=" " * 8,
        )  # fmt: skip
    return "\n".join(lines)
