"""The lectures' experiments: a question, the study that answers it, and whether the answer came."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from dlcourse.compare import harness, report
from dlcourse.compare.material import Place
from dlcourse.compare.study import Study

__all__ = ["Answer", "Experiment", "as_list", "judge", "mean", "means", "run"]


@dataclass
class Answer:
    """Whether the expected outcome came, what was found, and figures of it by caption."""

    came: bool
    found: str
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A question of the lectures.

    lecture: its letter (T, C, A, J, K) and what stands there. expected: the outcome, one sentence.
    grid: settings of `harness.grid` at full size; tiny: those that differ at the size that takes
    half a minute on two cores. judge: the answer, from the finished study and where it ran.
    """

    name: str
    lecture: str
    expected: str
    grid: Mapping[str, Any]
    tiny: Mapping[str, Any]
    judge: Callable[[Study, Place], Answer]


def run(
    experiment: Experiment,
    out: Path | str | None = None,
    *,
    tiny: bool = False,
    **options: Any,
) -> tuple[Study, Answer]:
    """Run `experiment` and judge it; its page is written into the study's folder.

    options: of `harness.grid`; they also overrule the experiment's own settings.
    """
    settings = {**experiment.grid, **(experiment.tiny if tiny else {}), **options}
    size = "tiny" if tiny else "full"
    out = out or Path("results/compare") / f"{experiment.name}_{size}"
    study = harness.grid(out, **settings, about={"experiment": experiment.name})
    where = {name: options[name] for name in ("data_dir", "offline", "threads") if name in options}
    return study, judge(experiment, study, **where)


def judge(
    experiment: Experiment,
    study: Study,
    data_dir: str | None = None,
    offline: bool = False,
    threads: int | None = None,
) -> Answer:
    """What the finished `study` says to `experiment`; its page is written into the folder."""
    place = Place(data_dir, offline, study.about["device"], threads, study.about["synthetic"])
    answer = experiment.judge(study, place)
    report.write_report(
        study,
        title=f"{experiment.name} ({experiment.lecture})",
        expected=experiment.expected,
        verdict=(answer.came, answer.found),
        more=answer.figures,
    )
    return answer


def as_list(experiments: Iterable[Experiment]) -> str:
    """Each experiment's name, lecture and expected outcome."""
    lines = []
    for one in experiments:
        lines += [f"{one.name:<16}lecture {one.lecture}", f"{'':16}{one.expected}"]
    return "\n".join(lines)


def mean(study: Study, score: str, **where: Any) -> float:
    """The mean of `score` over the study's runs whose settings are `where`; NaN where one has none.

    >>> mean(study, "test_loss", dropout=0.5)  # doctest: +SKIP
    """
    rows = [
        row
        for row in study.rows
        if all(row.settings.get(name) == value for name, value in where.items())
    ]
    return statistics.fmean(row.scores.get(score, float("nan")) for row in rows)


def means(study: Study, score: str, axis: str, **where: Any) -> dict[Any, float]:
    """`mean` for each value of `axis`, in the grid's order."""
    return {value: mean(study, score, **{axis: value}, **where) for value in study.grid[axis]}
