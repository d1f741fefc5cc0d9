"""The line that a study shows while it runs: done, running, left, the best so far, time left."""

from __future__ import annotations

import sys

from tqdm import tqdm

from dlcourse.compare.result import Result

__all__ = ["Progress"]


class Progress:
    """A line on stderr; with `shown` None only if that is a terminal."""

    def __init__(self, title: str, total: int, done: int, jobs: int, shown: bool | None) -> None:
        self.jobs, self.failed, self.left = jobs, 0, total - done
        self.best: Result | None = None
        self.bar = tqdm(
            total=total,
            initial=done,
            desc=title,
            disable=None if shown is None else not shown,
            file=sys.stderr,
            unit=self.words(),
            bar_format="{desc}: {n_fmt}/{total_fmt} done, {unit}, about {remaining} left",
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def add(self, result: Result) -> None:
        """Count a run that is finished."""
        self.failed += result.status != "done"
        if result.status == "done" and (self.best is None or result.quality > self.best.quality):
            self.best = result
        self.left -= 1
        self.bar.unit = self.words()
        self.bar.update()

    def words(self) -> str:
        """What the line says after the number of finished runs."""
        running = min(self.jobs, self.left)
        text = f"{running} running, {self.left - running} left"
        if self.failed:
            text += f", {self.failed} went wrong"
        if self.best:
            named = [self.best.settings.get(name) for name in ("init", "optimizer", "lr")]
            score = self.best.scores[f"val_{self.best.monitor}"]
            text += f", best {score:.4f} ({' '.join(str(n) for n in named if n is not None)})"
        return text
