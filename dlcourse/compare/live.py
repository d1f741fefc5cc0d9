"""The page of a study while it runs: opened in a browser, renewed as runs finish."""

from __future__ import annotations

import sys
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path

from dlcourse.compare import report
from dlcourse.compare.runner import State, duration
from dlcourse.compare.study import Study

__all__ = ["LivePage"]

# The page is renewed at most this often, and takes at most a tenth of the time.
LEAST_SECONDS, SHARE = 2.0, 0.1


class LivePage:
    """A `watch` of a study that writes its page from the first finished run on.

    title, expected: of the page. show: opens a page in a browser, and returns whether it could;
        None takes `webbrowser.open`.
    """

    def __init__(
        self, title: str = "", expected: str = "", show: Callable[[str], bool] | None = None
    ) -> None:
        self.title, self.expected, self.show = title, expected, show or webbrowser.open
        self.latest: tuple[Study, State] | None = None
        self.next_time = 0.0

    def __call__(self, study: Study, state: State) -> None:
        """Write the page if it is time, and open it if it is the first time."""
        first, self.latest = self.latest is None, (study, state)
        start = time.monotonic()
        if start < self.next_time:
            return
        path = self.write(study, state)
        end = time.monotonic()
        self.next_time = end + max(LEAST_SECONDS, (end - start) / SHARE)
        if first and not self.show(path.resolve().as_uri()):
            print(f"dlcourse: no browser can be started here; open {path}", file=sys.stderr)

    def stop(self) -> None:
        """Write the page once more after a study that ended early, so that it stands still."""
        if self.latest is not None:
            self.write(*self.latest, stopped=True)

    def write(self, study: Study, state: State, stopped: bool = False) -> Path:
        part = "runs of the search" if state.part == "search" else state.part
        said = f"{state.done} of {state.total} {part} done"
        if stopped:
            said = f"Stopped: {said}. The same command continues"
        else:
            left = state.seconds_left
            said += f", {state.said}" + ("" if left is None else f", about {duration(left)} left")
        return report.write_progress(
            study,
            f"{said}.",
            state.done / max(1, state.total),
            running=not stopped,
            title=self.title,
            expected=self.expected,
        )
