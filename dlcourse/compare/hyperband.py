"""Hyperband (Li et al. 2018, lecture T), successive halving and random search.

A method is a generator: it yields the configurations of a rung with the number of epochs that they
train, and receives their scores. It trains nothing itself. A configuration that continues with more
epochs is trained again from its initial weights, as in T's algorithm; every epoch counts as cost.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from dlcourse.compare.result import ranked

__all__ = ["METHODS", "Settings", "brackets"]

Settings = dict[str, Any]
# Yields the runs of a rung and receives their validation scores (more is better).
Method = Generator[list[Settings], list[float], None]


def brackets(max_epochs: int, eta: int = 3) -> list[list[tuple[int, int]]]:
    """The rungs of each of Hyperband's brackets; the one that starts most runs comes first.

    A rung is the number of configurations that train, and for how many epochs. n =
    floor((s_max + 1) / (s + 1)) eta^s configurations start, as in the table of T and of Li et al.
    for R=81, eta=3. Line 2 of the algorithm rounds up the whole product instead, which gives 34,
    15, 8 for that table's 27, 9, 6.
    """
    largest = 0
    while eta ** (largest + 1) <= max_epochs:
        largest += 1
    return [
        [
            ((largest + 1) // (s + 1) * eta**s // eta**i, max_epochs // eta ** (s - i))
            for i in range(s + 1)
        ]
        for s in range(largest, -1, -1)
    ]


def cost(rungs: Sequence[tuple[int, int]]) -> int:
    """The epochs of training in a bracket."""
    return sum(count * epochs for count, epochs in rungs)


def halve(draw: Callable[[], Settings], rungs: Sequence[tuple[int, int]]) -> Method:
    """One bracket: the best configurations of each rung continue in the next."""
    configurations = [draw() for _ in range(rungs[0][0])]
    for count, epochs in rungs:
        configurations = configurations[:count]
        scores = yield [{**one, "epochs": epochs} for one in configurations]
        configurations = [configurations[i] for i in ranked(scores)]


def hyperband(draw: Callable[[], Settings], max_epochs: int, eta: int) -> Method:
    """Every bracket once."""
    for rungs in brackets(max_epochs, eta):
        yield from halve(draw, rungs)


def halving(draw: Callable[[], Settings], max_epochs: int, eta: int) -> Method:
    """The widest bracket again and again, for at most as many epochs as Hyperband."""
    table = brackets(max_epochs, eta)
    for _ in range(sum(map(cost, table)) // cost(table[0])):
        yield from halve(draw, table[0])


def at_random(draw: Callable[[], Settings], max_epochs: int, eta: int) -> Method:
    """Full-length runs, for at most as many epochs as Hyperband."""
    count = sum(map(cost, brackets(max_epochs, eta))) // max_epochs
    yield from halve(draw, [(count, max_epochs)])


METHODS = {"hyperband": hyperband, "halving": halving, "random": at_random}
