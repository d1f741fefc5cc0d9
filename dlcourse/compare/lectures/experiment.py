"""An experiment of the lectures: its question, its study, and how its verdict is reached.

A verdict rests on claims. A claim is measured once for each seed as a number that is positive if
the claim holds, for example a difference of two losses. It is decided if the 95 % confidence
interval of the mean over seeds (Student's t) leaves out zero. With one seed there is no interval,
so nothing is decided.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from dlcourse.compare import report
from dlcourse.compare.grid import grid
from dlcourse.compare.settings import Environment
from dlcourse.compare.study import Study
from dlcourse.compare.table import half_width
from dlcourse.errors import UsageError

__all__ = ["Answer", "Claim", "Experiment", "as_list", "by_seed", "judge", "means", "run"]


@dataclass(frozen=True)
class Claim:
    """One statement that must hold for the expected outcome.

    text: the statement. margins: for each seed a number that is positive if the statement holds.
    A single margin of a calculation without chance is `exact`.
    """

    text: str
    margins: Sequence[float]
    exact: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the statement holds; None if the spread over seeds covers zero, or n is 1."""
        mean = statistics.fmean(self.margins) if self.margins else math.nan
        width = 0.0 if self.exact else half_width(self.margins)
        if not abs(mean) > width:  # also for NaN
            return None
        return mean > 0

    @property
    def measured(self) -> str:
        """The statement with its margin, as "... by 0.21±0.05 (n = 3)"."""
        word = {True: "yes", False: "no", None: "not decided"}[self.holds]
        if self.exact:
            return f"{self.text}: {word}"
        mean = statistics.fmean(self.margins) if self.margins else math.nan
        width = half_width(self.margins)
        spread = "" if math.isnan(width) else f" ± {width:.2g}"
        return f"{self.text}: {word} (margin {mean:.3g}{spread}, n = {len(self.margins)})"


@dataclass
class Answer:
    """What a study says to a question.

    claims: what the expected outcome requires. measured: the numbers behind them, in words.
    figures: by caption.
    """

    claims: Sequence[Claim]
    measured: str
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """Whether the expected outcome is "confirmed", "not confirmed" or "not decided"."""
        held = [claim.holds for claim in self.claims]
        if False in held:
            return "not confirmed"
        return "confirmed" if held and None not in held else "not decided"

    @property
    def reasons(self) -> list[str]:
        """Every claim with its margin, then the numbers."""
        return [*(claim.measured for claim in self.claims), self.measured]

    @property
    def found(self) -> str:
        """The reasons in one line."""
        return "; ".join(self.reasons)

    @property
    def criterion(self) -> str:
        """How the verdict was reached."""
        return (
            "each claim must hold by a margin whose 95 % confidence interval over seeds "
            "(Student's t, paired by seed) leaves out zero; with one seed nothing is decided"
        )

    @property
    def text(self) -> str:
        """The verdict as two lines."""
        return f"Expected outcome {self.outcome}: {self.found}\nCriterion: {self.criterion}"


@dataclass(frozen=True)
class Experiment:
    """A question of the lectures.

    lecture: the letter of the deck (T, C, A, J, K) and the topic. expected: the outcome in one
    sentence. grid: settings of `grid` at full size. tiny: the settings that differ at the size that
    takes about half a minute on two cores. judge: returns the answer of a finished study. needs:
    settings that must have two values or more, and which values its question cannot do without.
    """

    name: str
    lecture: str
    expected: str
    grid: Mapping[str, Any]
    tiny: Mapping[str, Any]
    judge: Callable[[Study, Environment], Answer]
    needs: Mapping[str, Sequence[Any]]

    @property
    def title(self) -> str:
        return f"{self.name} ({self.lecture})"

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise UsageError for settings of `grid` with which `judge` has no answer."""
        grid = "for a study without its question, leave the experiment's name out"
        for name, value in settings.items():
            values = value if isinstance(value, list) else [value]
            required = self.needs.get(name)
            if required is not None and (len(values) < 2 or set(required) - set(values)):
                shown = ", ".join("none" if one is None else str(one) for one in required)
                which = f"with {shown} among them" if required else "to compare"
                raise UsageError(
                    f"{self.name} needs two or more values of {name}, {which}, got {value}; {grid}"
                )
            own = isinstance(self.grid.get(name), list) or name in ("seed", "seeds")
            if len(values) > 1 and not own:
                raise UsageError(
                    f"{self.name} takes one value of {name}, got {len(values)}: it compares "
                    f"{', '.join(self.needs)}; {grid}"
                )


def run(
    experiment: Experiment,
    out: Path | str | None,
    *,
    environment: Environment,
    tiny: bool = False,
    export: str | None = None,
    **options: Any,
) -> tuple[Study, Answer]:
    """Run `experiment` and judge it; its page is written into the study's folder.

    options: of `grid`; they also replace the experiment's own settings. export: as for
        `write_report`.

    Raises UsageError for settings with which the experiment has no answer.
    """
    settings = {**experiment.grid, **(experiment.tiny if tiny else {}), **options}
    experiment.check(settings)
    size = "tiny" if tiny else "full"
    out = out or Path("results/compare") / f"{experiment.name}_{size}"
    study = grid(out, **settings, environment=environment, about={"experiment": experiment.name})
    return study, judge(experiment, study, environment, export)


def judge(
    experiment: Experiment, study: Study, environment: Environment, export: str | None = None
) -> Answer:
    """What the finished `study` says to `experiment`; its page is written into the folder.

    Raises UsageError for a study of settings with which the experiment has no answer.
    """
    experiment.check(study.grid)
    environment = dataclasses.replace(environment, synthetic=study.about.get("synthetic"))
    if len(study.lost) == len(study.results):
        answer = Answer([], "no run has a score")
    else:
        answer = experiment.judge(study, environment)
    report.write_report(
        study,
        title=experiment.title,
        expected=experiment.expected,
        verdict=answer,
        more=answer.figures,
        export=export,
    )
    return answer


def as_list(experiments: Iterable[Experiment]) -> str:
    """The name, the lecture and the expected outcome of each experiment."""
    lines = []
    for one in experiments:
        lines += [f"{one.name:<16}lecture {one.lecture}", f"{'':16}{one.expected}"]
    return "\n".join(lines)


def by_seed(study: Study, score: str, **where: Any) -> list[float]:
    """`score` of the runs with the settings `where`, in the order of the study's seeds.

    NaN stands for a run without that score.
    """
    scores = {
        result.settings["seed"]: result.scores.get(score, math.nan)
        for result in study.results
        if all(result.settings.get(name) == value for name, value in where.items())
    }
    return [scores.get(seed, math.nan) for seed in study.grid["seed"]]


def means(study: Study, score: str, axis: str, **where: Any) -> dict[Any, float]:
    """The mean of `score` over seeds for each value of `axis`; NaN if a run has none."""
    return {
        value: statistics.fmean(by_seed(study, score, **{axis: value}, **where))
        for value in study.grid[axis]
    }
