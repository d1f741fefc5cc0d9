"""The line on stderr that shows how far a run is."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm

from dlcourse.train.run import Callback, Run

__all__ = ["Progress", "progress_bar"]


def progress_bar(total: int, shown: bool | None, **settings: Any) -> tqdm[Any]:
    """A bar on stderr. shown: None shows it on a terminal and in a notebook."""
    if shown is None:
        shown = sys.stderr.isatty() or in_notebook()
    return tqdm(total=total, disable=not shown, file=sys.stderr, **settings)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook (Jupyter, Colab, VS Code)."""
    shell = sys.modules.get("IPython")
    instance = shell.get_ipython() if shell is not None else None
    return instance is not None and hasattr(instance, "kernel")


class Progress(Callback):
    """One line with epoch, loss, validation score, best score, samples per second, time left.

    shown: None shows the line on a terminal and in a notebook. The loss is that of the newest
    batch, the score that of the newest epoch.
    """

    EVERY_S = 0.2

    def __init__(self, shown: bool | None = None) -> None:
        self.shown = shown
        self.bar: tqdm[Any] | None = None

    def on_start(self, run: Run) -> None:
        self.bar = progress_bar(
            run.epochs * run.steps,
            False if run.rank else self.shown,
            initial=len(run.history) * run.steps + run.step,
            bar_format="{desc} {percentage:3.0f}%, {remaining} left",
        )
        self.samples, self.drawn, self.rate = run.samples, time.perf_counter(), 0.0

    def on_step(self, run: Run) -> None:
        if self.bar is None or self.bar.disable:
            return
        now = time.perf_counter()
        if now - self.drawn >= self.EVERY_S:
            self.rate = (run.samples - self.samples) / (now - self.drawn)
            self.samples, self.drawn = run.samples, now
            self.draw(run, self.bar)

    def on_epoch(self, run: Run) -> None:
        if self.bar is not None and not self.bar.disable:
            self.draw(run, self.bar)
            # Validation is over: the next rate is that of training alone.
            self.samples, self.drawn = run.samples, time.perf_counter()

    def on_end(self, run: Run) -> None:
        if self.bar is not None:
            self.bar.close()

    def draw(self, run: Run, bar: tqdm[Any]) -> None:
        bar.set_description_str(self.words(run), refresh=False)
        bar.n = len(run.history) * run.steps + run.step
        bar.refresh()

    def words(self, run: Run) -> str:
        rows = run.history.epochs
        loss = run.losses[-1].item() if run.losses else rows[-1]["train_loss"]
        epoch = run.epoch if run.step else len(rows)
        parts = [f"epoch {epoch}/{run.epochs}", f"loss {loss:.4f}"]
        if rows and f"val_{run.monitor}" in rows[-1]:
            parts.append(f"val {run.monitor} {rows[-1][f'val_{run.monitor}']:.4f}")
            parts.append(f"best {run.stopping.best:.4f}")
        return ", ".join([*parts, f"{self.rate:,.0f} samples/s,"])
