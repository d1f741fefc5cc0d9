"""A study as text: mean, spread and number of runs for each cell, and which runs diverged."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlcourse import init, optim
from dlcourse.compare import lr_search
from dlcourse.compare.result import Result, cells
from dlcourse.compare.settings import AUTO
from dlcourse.compare.study import Study
from dlcourse.errors import UsageError
from dlcourse.figure_style import is_share

__all__ = [
    "Cell", "as_text", "beside", "cells_of", "formulas", "half_width", "headline", "lost_lines",
    "precision", "shown", "spread", "unit_of", "varying",
]  # fmt: skip

# Student's t for a two-sided 95 % interval, by degrees of freedom from 1 to 10; then the bound
# for each number of degrees of freedom from which it holds.
T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
T95_ABOVE = {10: 2.228, 15: 2.131, 20: 2.086, 30: 2.042, 60: 2.0}


@dataclass
class Cell:
    """Runs that differ only in the seed, and in the learning rate if that was searched.

    settings: what the runs have in common. lrs: the learning rates they used.
    mean, std: of `values`; std is the sample standard deviation, NaN for one run.
    values: the score of each run that has one by its seed, diverged runs included.
    diverged, lost: how many runs diverged; how many have no score.
    results: all runs of the cell. digits: how many decimals of the score say something; None where
        that is not known, see `digits_of`.
    """

    settings: dict[str, Any]
    lrs: tuple[float | None, ...]
    values: dict[int, float]
    diverged: int
    lost: int
    results: list[Result]
    digits: int | None = None

    @property
    def n(self) -> int:
        """The number of runs with a score."""
        return len(self.values)

    def named(self, name: str) -> str:
        """The value of a setting, as the command line takes it."""
        value = self.settings.get(name)
        return str(value).lower() if value is None or isinstance(value, bool) else str(value)

    @property
    def mean(self) -> float:
        """The mean score; NaN without a run."""
        return statistics.fmean(self.values.values()) if self.values else math.nan

    @property
    def std(self) -> float:
        """The sample standard deviation of the score; NaN for fewer than two runs."""
        return deviation(list(self.values.values()))

    @property
    def text(self) -> str:
        """As "97.1±0.2 (3)"; in brackets n, and how many diverged or were lost, if any."""
        marks = [str(self.n)]
        marks += [f"{self.diverged} diverged"] * bool(self.diverged)
        marks += [f"{self.lost} lost"] * bool(self.lost)
        value = f"{self.shown}{spread(self.std, self.digits)}" if self.n else "-"
        return f"{value} ({', '.join(marks)})"

    @property
    def shown(self) -> str:
        """The mean with its digits."""
        return shown(self.mean, self.digits)


def shown(value: float, digits: int | None = None) -> str:
    if not math.isfinite(value):
        return "inf" if value > 0 else "nan"
    return f"{value:.4g}" if digits is None else f"{value:.{digits}f}"


def spread(std: float, digits: int | None = None) -> str:
    if math.isnan(std):
        return ""
    rounded = 0.0 if digits is None else round(std, digits)
    return f"±{std:.{digits}f}" if rounded else f"±{std:.2g}"


def binomial_error(percent: float, count: int) -> float:
    """The standard error, in points, of a share in percent that was counted on `count` samples.

    As if one more sample of each kind had been seen, so that it is not 0 at 0 and 100 percent.

    >>> round(binomial_error(90.0, 300), 1)
    1.8
    """
    share = (percent / 100 * count + 1) / (count + 2)
    return 100 * math.sqrt(share * (1 - share) / count)


def digits_of(percent: float, count: int) -> int | None:
    """The decimals of a share in percent: the last one is about as large as its binomial error.

    None if `count`, the number of samples, is 0 (unknown), or if `percent` is not finite.

    >>> digits_of(84.0, 300), digits_of(98.0, 10_000)
    (0, 1)
    """
    if not count or not math.isfinite(percent):
        return None
    return max(0, -math.floor(math.log10(binomial_error(percent, count))))


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation; NaN for fewer than two values or one that is not finite."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return math.nan
    return statistics.stdev(values)


def half_width(values: Sequence[float]) -> float:
    """Half the width of the 95 % confidence interval of the mean (Student's t).

    NaN for fewer than two values or one that is not finite.
    """
    freedom = len(values) - 1
    factor = math.nan
    if 1 <= freedom <= len(T95):
        factor = T95[freedom - 1]
    elif freedom > 0:
        factor = next(t for least, t in reversed(T95_ABOVE.items()) if freedom >= least)
    return factor * deviation(values) / math.sqrt(max(1, len(values)))


def headline(study: Study) -> str:
    """The score that a table shows: the monitored one, on the test images."""
    return f"test_{study.results[0].monitor}"


def unit_of(score: str) -> str:
    """The unit of a score, as it follows its name: shares are shown in percent."""
    if is_share(score):
        return " in percent"
    return " in nats" if score.endswith("loss") else ""


def cells_of(study: Study) -> list[Cell]:
    """The study's cells in the grid's order."""
    score = headline(study)
    scale = 100 if unit_of(score) == " in percent" else 1
    without = ("seed", "lr") if study.grid.get("lr") == [AUTO] else ("seed",)
    found = []
    for positions in cells([result.settings for result in study.results], without).values():
        results = [study.results[position] for position in positions]
        cell = Cell(
            {k: v for k, v in results[0].settings.items() if k not in without},
            tuple(dict.fromkeys(result.lr for result in results)),
            {
                result.settings["seed"]: scale * result.scores[score]
                for result in results
                if score in result.scores
            },
            sum(result.status == "diverged" for result in results),
            sum(not result.scores for result in results),
            results,
        )
        if scale == 100:
            cell.digits = digits_of(cell.mean, max(result.test_size for result in results))
        found.append(cell)
    return found


def precision(found: Sequence[Cell]) -> str:
    """How exactly a test set can tell scores in percent, as a sentence; "" if it is not known."""
    sizes = {result.test_size for cell in found for result in cell.results if result.test_size}
    errors = [
        binomial_error(cell.mean, max(sizes)) for cell in found if sizes and cell.digits is not None
    ]
    if not errors:
        return ""
    least, most = min(errors), max(errors)
    span = f"{least:.2g}" if f"{least:.2g}" == f"{most:.2g}" else f"{least:.2g} to {most:.2g}"
    return (
        f"a score counts {max(sizes):,} test images, so it has a binomial standard error of {span} "
        "points"
    )


def varying(found: Sequence[Cell]) -> list[str]:
    """The settings with more than one value among the cells, in their order."""
    names = dict.fromkeys(name for cell in found for name in cell.settings)
    return [name for name in names if len({repr(cell.settings.get(name)) for cell in found}) > 1]


def as_text(study: Study) -> str:
    """The formulas behind the names, then the cells; two axes make a crossed table."""
    found = cells_of(study)
    names = varying(found)
    score = headline(study)
    bad = sum(result.status != "done" for result in study.results)
    lines = [
        *formulas(study),
        f"{score}{unit_of(score)}: mean ± standard deviation (n) over seeds, "
        f"{len(study.results)} run{'s' * (len(study.results) != 1)}"
        + (f", {bad} diverged or lost" if bad else ""),
    ]
    lines += crossed(found, *names) if len(names) == 2 else listed(found, names)
    lines += [f"note: {text}" for text in [precision(found)] if text]
    lines += [f"  {line}" for line in lost_lines(study)]
    lines += [f"note: {note}" for note in lr_search.edge_notes(study)]
    seconds = sum(result.seconds for result in (*study.results, *study.sweep))
    sizes = sorted({result.parameters for result in study.results if result.parameters}) or [0]
    span = "-".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1])))
    lines.append(
        f"data: {study.results[0].data or study.about.get('data', '')}; {span} parameters; "
        f"{seconds:.0f} s of training; {study.folder}"
    )
    return "\n".join(lines)


def lost_lines(study: Study, most: int = 5) -> list[str]:
    """Why runs have no score: each reason once, with the number of runs."""
    reasons = Counter(
        f"{result.status}: {result.message.splitlines()[0] if result.message else ''}"
        for result in study.lost
    )
    lines = [
        f"{reason} ({count} runs)" if count > 1 else reason
        for reason, count in reasons.most_common(most)
    ]
    if len(reasons) > most:
        lines.append(f"and {len(reasons) - most} other reasons; see runs.csv")
    return lines


def formulas(study: Study) -> list[str]:
    """The rule and the source of each initializer and optimizer that the grid names."""
    lines = []
    for name in study.grid.get("init", []):
        lines.append(f"init {name}: {init.describe(name)}")
    for name in study.grid.get("optimizer", []):
        if entry := optim.OPTIMIZERS.get(name):
            lines.append(f"optimizer {name}: {entry.formula}  ({entry.source})")
    return lines


def crossed(found: Sequence[Cell], row_axis: str, column_axis: str) -> list[str]:
    columns = list(dict.fromkeys(cell.named(column_axis) for cell in found))
    table: dict[str, dict[str, str]] = {}
    for cell in found:
        row = table.setdefault(cell.named(row_axis), {})
        row[cell.named(column_axis)] = cell.text
    head = [f"{row_axis} \\ {column_axis}", *columns]
    return aligned(
        [head, *([name, *(row.get(c, "") for c in columns)] for name, row in table.items())]
    )


def listed(found: Sequence[Cell], names: Sequence[str]) -> list[str]:
    head = [*names, *(["lr"] if "lr" not in names else []), "score"]
    body = []
    for cell in found:
        row = [cell.named(name) for name in names]
        if "lr" not in names:
            row.append(",".join(f"{lr:g}" for lr in cell.lrs if lr is not None))
        body.append([*row, cell.text])
    return aligned([head, *body])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def beside(one: Study, other: Study) -> str:
    """Two studies side by side, with the difference of the cells that both have.

    The difference is taken for each seed that both cells have, then averaged.

    Raises UsageError if the studies are judged by different scores.
    """
    score, theirs = headline(one), headline(other)
    if score != theirs:
        raise UsageError(
            f"the studies are judged by different scores: {one.folder} by {score}, {other.folder} "
            f"by {theirs}"
        )
    tables = [{name_of(cell, one, other): cell for cell in cells_of(s)} for s in (one, other)]
    lines = [["", str(one.folder), str(other.folder), "difference"]]
    for name in dict.fromkeys([*tables[0], *tables[1]]):
        pair = [table.get(name) for table in tables]
        lines.append([name, *(cell.text if cell else "" for cell in pair), difference(*pair)])
    return "\n".join(
        [
            f"{score}{unit_of(score)}: mean ± standard deviation (n) over seeds",
            "difference: second minus first, paired by seed, mean ± standard deviation (pairs)",
            *fixed(one, other),
            *aligned(lines),
        ]
    )


def difference(one: Cell | None, other: Cell | None) -> str:
    """As "+0.8±0.3 (3)"; seeds that only one cell has are left out."""
    if one is None or other is None:
        return ""
    pairs = [other.values[seed] - one.values[seed] for seed in one.values if seed in other.values]
    if not pairs:
        return "no seed in common"
    return f"{statistics.fmean(pairs):+.4g}{spread(deviation(pairs))} ({len(pairs)})"


def name_of(cell: Cell, one: Study, other: Study) -> str:
    both = {**one.grid, **other.grid}
    several = [
        name
        for name in both
        if name != "seed" and any(len(study.grid.get(name, [])) > 1 for study in (one, other))
    ]
    return " ".join(f"{name}={cell.named(name)}" for name in several if name in cell.settings)


def fixed(one: Study, other: Study) -> list[str]:
    """The settings that have one value in each study and differ between the studies, and where
    data of one name come from if that differs."""
    sources = [str(study.about.get("data", "")) for study in (one, other)]
    same = one.grid.get("data") == other.grid.get("data")
    lines = [f"data: {' | '.join(sources)}"] if same and sources[0] != sources[1] else []
    for name in dict.fromkeys([*one.grid, *other.grid]):
        values = [study.grid.get(name, []) for study in (one, other)]
        if name != "seed" and max(map(len, values)) == 1 and values[0] != values[1]:
            lines.append(f"{name}: {' | '.join(str(v[0]) if v else 'not set' for v in values)}")
    return lines
