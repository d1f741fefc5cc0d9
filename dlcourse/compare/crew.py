"""Who does the runs of a study: this process, local processes or a cluster; in one folder."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dlcourse import runtime
from dlcourse.compare import material, work
from dlcourse.compare.material import Place
from dlcourse.compare.processes import Processes
from dlcourse.compare.progress import Progress
from dlcourse.compare.row import Row, key_of
from dlcourse.compare.study import Journal, claim
from dlcourse.errors import UsageError

__all__ = ["Crew", "find_place"]

Settings = Mapping[str, Any]


def find_place(
    data_dir: str | None, offline: bool, device: str | None, threads: int | None, jobs: int
) -> Place:
    """Where runs happen, from what the user said. Raises UsageError where that cannot be."""
    if jobs < 1:
        raise UsageError(f"jobs must be at least 1, got {jobs}")
    if threads is None and jobs > 1:
        threads = max(1, (os.cpu_count() or 1) // jobs)
    return Place(data_dir, offline, str(runtime.pick_device(device)), threads)


@dataclass
class Crew:
    """What `harness.grid` was told of where and how runs are done."""

    place: Place
    jobs: int = 1
    executor: Executor | None = None
    together: bool = True
    progress: bool | None = None

    @contextlib.contextmanager
    def at_work(self, out: Path, grid: Mapping[str, list[Any]], about: Settings) -> Iterator[None]:
        """Claim the folder `out` for the study of `grid`, alone; start processes, and end them."""
        claim(out, grid, about)
        own = None
        try:
            with FileLock(out / ".lock", timeout=0):
                if self.executor is None and self.jobs > 1:
                    self.executor = own = Processes(self.jobs)
                yield
        except Timeout:
            raise UsageError(f"another study writes into {out}; wait for it") from None
        except KeyboardInterrupt:
            print(
                f"\ndlcourse: stopped; what is done is in {out}, the same command goes on from "
                "there",
                file=sys.stderr,
            )
            raise
        finally:
            if own:
                # Without waiting: on Ctrl-C that would be for the runs in progress.
                own.shutdown(wait=False)

    def finish(self, journal: Journal, runs: Sequence[Settings], test: bool) -> None:
        """Do those of `runs` that the journal does not hold; each row is written before the next.

        test: whether the test split is read, once a run.
        """
        distinct = {key_of(run): run for run in runs}
        left = [run for key, run in distinct.items() if key not in journal.records]
        what = "runs" if test else "search"
        with Progress(
            what, len(distinct), len(distinct) - len(left), self.jobs, self.progress
        ) as shown:
            for row in self.outcomes(work.units(left, self.jobs, self.together), test):
                journal.add(key_of(row.settings), row)
                shown.add(row)

    def outcomes(self, units: Sequence[Sequence[Settings]], test: bool) -> Iterator[Row]:
        """The rows of `units` as they come. Where a worker died, its runs are tried one by one."""
        if self.executor is None:
            for unit in units:
                yield from work.run_unit(unit, self.place, test)
            return
        waiting = self.submit(units, test)
        try:
            while waiting:
                again: list[Settings] = []
                for future in as_completed(list(waiting)):
                    unit = waiting.pop(future)
                    try:
                        rows = future.result()
                    except Exception as error:  # noqa: BLE001 (what an engine has for a dead worker)
                        if len(unit) > 1:
                            again += unit
                            continue
                        rows = [work.failed(unit[0], "died", f"{type(error).__name__}: {error}")]
                    yield from rows
                waiting = self.submit([[run] for run in again], test)
        finally:
            for future in waiting:
                future.cancel()

    def submit(
        self, units: Sequence[Sequence[Settings]], test: bool
    ) -> dict[Future, Sequence[Settings]]:
        return {self.executor.submit(work.run_unit, unit, self.place, test): unit for unit in units}

    def about(self, data: str) -> dict[str, Any]:
        """When, where and on what a study runs. From here on the data must be as real, or as
        synthetic, as those called `data` are now."""
        found = material.images(data, self.place)
        self.place = dataclasses.replace(self.place, synthetic=found.synthetic)
        return {
            "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "data": found.source,
            "synthetic": found.synthetic,
            "device": self.place.device,
            "cores": os.cpu_count(),
            "versions": runtime.versions(),
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        }
