"""What a study shows of itself while it runs: done, running, left, the best so far, time left."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from dlcourse.compare.row import Row

__all__ = ["Progress"]


class Progress:
    """A line on stderr; None shows it only where that is a terminal."""

    def __init__(self, what: str, total: int, done: int, jobs: int, shown: bool | None) -> None:
        self.jobs, self.best, self.bad = jobs, None, 0
        self.bar = tqdm(
            total=total,
            initial=done,
            desc=what,
            disable=None if shown is None else not shown,
            file=sys.stderr,
            bar_format="{desc}: {n_fmt}/{total_fmt} done, {postfix[0]}, about {remaining} to go",
            postfix=[self.words(total - done)],
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.close()

    def add(self, row: Row) -> None:
        """Count a run that is done."""
        self.bad += row.status != "done"
        monitor = row.settings.get("monitor", "accuracy")
        score = row.scores.get(f"val_{monitor}")
        sign = -1 if row.settings.get("mode", "max") == "min" else 1
        if row.status == "done" and (self.best is None or sign * score > sign * self.best[0]):
            self.best = (score, row)
        self.bar.postfix = [self.words(self.bar.total - self.bar.n - 1)]
        self.bar.update()

    def words(self, left: int) -> str:
        running = min(self.jobs, left)
        text = f"{running} running, {left - running} left"
        if self.bad:
            text += f", {self.bad} went wrong"
        if self.best:
            score, row = self.best
            named = [row.settings.get(name) for name in ("init", "optimizer", "lr")]
            text += f", best {score:.4f} ({' '.join(str(n) for n in named if n is not None)})"
        return text
