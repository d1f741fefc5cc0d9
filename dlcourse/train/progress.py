"""One line on stderr that says how training goes."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

from dlcourse.train.callbacks import Callback
from dlcourse.train.run import Run

__all__ = ["Progress"]


class Progress(Callback):
    """Epoch, loss, validation score, best so far, samples a second and time left.

    shown: None shows it only where stderr is a terminal. The loss is that of the newest batch,
    the score that of the newest epoch.
    """

    EVERY_S = 0.2

    def __init__(self, shown: bool | None = None) -> None:
        self.hide = None if shown is None else not shown

    def on_start(self, run: Run) -> None:
        self.bar = tqdm(
            total=run.epochs * run.steps,
            initial=len(run.history) * run.steps + run.step,
            disable=True if run.rank else self.hide,
            file=sys.stderr,
            bar_format="{desc} {percentage:3.0f}%, {remaining} left",
        )
        self.samples, self.drawn, self.rate = run.samples, time.perf_counter(), 0.0

    def on_step(self, run: Run) -> None:
        if self.bar.disable:
            return
        now = time.perf_counter()
        if now - self.drawn >= self.EVERY_S:
            self.rate = (run.samples - self.samples) / (now - self.drawn)
            self.samples, self.drawn = run.samples, now
            self.draw(run)

    def on_epoch(self, run: Run) -> None:
        if not self.bar.disable:
            self.draw(run)
            # Validation is over: the next rate is of training alone.
            self.samples, self.drawn = run.samples, time.perf_counter()

    def draw(self, run: Run) -> None:
        self.bar.set_description_str(self.words(run), refresh=False)
        self.bar.n = len(run.history) * run.steps + run.step
        self.bar.refresh()

    def on_end(self, run: Run) -> None:
        if hasattr(self, "bar"):
            self.bar.close()

    def words(self, run: Run) -> str:
        rows = run.history.epochs
        loss = run.losses[-1].item() if run.losses else rows[-1]["train_loss"]
        epoch = run.epoch if run.step else len(rows)
        parts = [f"epoch {epoch}/{run.epochs}", f"loss {loss:.4f}"]
        if rows and f"val_{run.monitor}" in rows[-1]:
            parts.append(f"val {run.monitor} {rows[-1][f'val_{run.monitor}']:.4f}")
            parts.append(f"best {run.stopping.best:.4f}")
        return ", ".join([*parts, f"{self.rate:,.0f} samples/s,"])
