"""What an experiment shows: the claims of a lab's text, each compared with the numbers of the run.

The claims of the recorded runs, over several seeds, are in `benchmarks/results/labs/`.
"""

from __future__ import annotations

import json
import operator
import statistics
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dlcourse.files import write_text

__all__ = ["Claim", "Findings"]

HOLDS = {"<": operator.lt, ">": operator.gt, "=": operator.eq}
Doubts = tuple[Collection[str], Collection[str]]
WORDS = {"<": "expected less than ", ">": "expected more than ", "=": "expected "}


@dataclass
class Claim:
    """`left` should be "<", ">" or "=" to `right`, on average over the seeds.

    left, right: one number for each seed. The other fields are explained at `Findings.claim`.
    """

    text: str
    left: list[float]
    relation: str
    right: list[float]
    form: str
    task: str = ""
    exact: bool = False

    @property
    def means(self) -> tuple[float, float]:
        return statistics.fmean(self.left), statistics.fmean(self.right)

    @property
    def holds(self) -> bool:
        return HOLDS[self.relation](*self.means)

    @property
    def agreeing(self) -> int:
        """How many seeds agree with the claim."""
        return sum(map(HOLDS[self.relation], self.left, self.right))

    def rests_on(self, tasks: Collection[str]) -> list[str]:
        """Those of `tasks` on which it rests: what is exact on its own, all else on every task."""
        own = self.task.split(" or ") if self.exact and self.task else tasks
        return [task for task in tasks if task in own]

    def line(self, failed: Collection[str] = (), unknown: Collection[str] = ()) -> str:
        """What `Findings.report` prints of it. failed, unknown: the `doubts` of `Findings`."""
        left, right = (format(value, self.form) for value in self.means)
        seeds = f"  ({self.agreeing} of {len(self.left)} seeds)" if len(self.left) > 1 else ""
        own = self.rests_on(failed)
        task = " or ".join(own) if self.holds else " or ".join(own or failed) or self.task
        see = f"{seeds}; see task {task}" if task else seeds
        if self.holds:
            mark = "?  " if own or self.rests_on(unknown) else "yes"
            return f"{mark}  {self.text:<50}{left:>10} {self.relation} {right}{see}"
        return f"NO   {self.text:<50}{left:>10}, {WORDS[self.relation]}{right}{see}"


class Findings:
    """The claims of one run. `report` prints them and writes `findings.json` into `out`.

    tiny: whether the run is too small for all claims but the exact ones. doubts: the tasks that
    failed their last check, and those that were not checked; a claim on them is not confirmed.
    """

    def __init__(self, out: Path, tiny: bool = False, doubts: Doubts = ((), ())) -> None:
        self.out, self.tiny, self.doubts = out, tiny, doubts
        self.claims: list[Claim] = []

    def claim(
        self,
        text: str,
        left: float | Sequence[float],
        relation: str,
        right: float | Sequence[float],
        form: str = ".3g",
        *,
        task: str = "",
        exact: bool = False,
    ) -> None:
        """Claim that `left`, a number of this run, is less than, more than or equal to `right`.

        left, right: one number, or one for each seed of the run. relation: "<", ">" or "=".
        form: how they are printed, as for format(). task: what decides it, "2.3" or "2.3 or 2.4".
        exact: whether it depends neither on the seed nor on the size of the run, so that a tiny
        run shows it too, and on no other task.
        """
        seeds = max(len(side) if isinstance(side, Sequence) else 1 for side in (left, right))
        first, second = (
            [float(value) for value in (side if isinstance(side, Sequence) else [side] * seeds)]
            for side in (left, right)
        )
        self.claims.append(Claim(text, first, relation, second, form, task, exact))

    def report(self) -> None:
        """Print each claim, its numbers, and whether it holds."""
        shown = [claim for claim in self.claims if claim.exact or not self.tiny]
        lines = [claim.line(*self.doubts) for claim in shown]
        print("\nwhat this run shows", *lines, sep="\n")
        if any(line.startswith("?") for line in lines):
            print("?: it seems so, but a task behind it failed its last check or was not checked.")
        if self.tiny:
            hidden = len(self.claims) - len(shown)
            print(f"A --tiny run is too small for the other {hidden} claims of this lab.")
        elif not all(claim.holds for claim in shown):
            print("What fails with one seed may hold on average: try --seed 1 and --seed 2 too.")
        text = json.dumps([asdict(claim) for claim in self.claims], indent=2)
        write_text(self.out / "findings.json", text + "\n")
