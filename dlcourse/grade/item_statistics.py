"""How each test of a lab did in a class: how hard it was, and whether it told students apart."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from dlcourse.check.record import BY_HAND, COULD_NOT, NOT_COUNTED, Record, TestRecord

__all__ = ["ItemStatistics", "item_statistics"]


@dataclass(frozen=True)
class ItemStatistics:
    """One test in a class.

    mean, spread: of its points, `spread` is the standard deviation (of the whole class, so n and
    not n - 1 in the denominator). pass_rate: the share of students who have all its points.
    discrimination: the correlation of its points with the points of all other tests, from -1 to 1;
    None where one of them is the same for all. Below 0.2 the test says little about a student,
    below 0 it contradicts the others (Ebel and Frisbie, Essentials of Educational Measurement).
    """

    task: str
    name: str
    hidden: bool
    max_score: float
    mean: float
    spread: float
    pass_rate: float
    discrimination: float | None


def item_statistics(records: Sequence[Record]) -> list[ItemStatistics]:
    """The statistics of every test over `records`, in the order of the tests.

    Only tests count that ran: not a test that could not be checked, and no points given by hand.
    """
    columns: dict[str, list[tuple[float, float]]] = {}
    about: dict[str, TestRecord] = {}
    for record in records:
        tests = [test for test in record.tests if test.outcome not in (BY_HAND, COULD_NOT)]
        total = sum(map(own_score, tests))
        for test in tests:
            own = own_score(test)
            columns.setdefault(test.name, []).append((own, total - own))
            about.setdefault(test.name, test)
    found = []
    for name, column in columns.items():
        test, scores = about[name], [score for score, _ in column]
        found.append(
            ItemStatistics(
                test.task, name, test.hidden, test.max_score,
                statistics.mean(scores), statistics.pstdev(scores),
                sum(score >= test.max_score for score in scores) / len(scores),
                correlation(scores, [rest for _, rest in column]),
            )
        )  # fmt: skip
    return found


def own_score(test: TestRecord) -> float:
    """The points of a test by itself, also where another test of its task cost them."""
    return test.max_score if test.outcome == NOT_COUNTED else test.score


def correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's correlation, or None if one of the two does not vary."""
    try:
        return statistics.correlation(first, second)
    except statistics.StatisticsError:  # fewer than two values, or all equal
        return None
