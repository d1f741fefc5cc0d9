"""Run the runs of a study: in this process, in local processes or on a cluster."""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import datetime
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dlcourse import extensions, runtime
from dlcourse.compare import stacked
from dlcourse.compare.fingerprint import fingerprints
from dlcourse.compare.result import Result, cells
from dlcourse.compare.settings import Environment, RunSettings
from dlcourse.compare.study import Journal, Study, in_order, position_in
from dlcourse.compare.train_run import dataset, train_run
from dlcourse.errors import DataError, UsageError
from dlcourse.figure_style import is_share
from dlcourse.process_pool import ProcessPool

__all__ = ["Progress", "Runner", "State", "Watch", "duration", "run_unit", "units"]

Unit = Sequence[RunSettings]


@dataclasses.dataclass(frozen=True)
class State:
    """How far a part of a study is.

    part: "search" or "runs". done, total: numbers of runs. said: running, left, failed and the
    best so far, in words. seconds_left: None before a run of this start is finished.
    """

    part: str
    done: int
    total: int
    said: str
    seconds_left: float | None


# Gets the study with the results so far, after each finished run.
Watch = Callable[[Study, State], None]


class Runner:
    """Runs the runs of one study in `environment`.

    runs: its runs. Every worker must find their data real, or synthetic, as they are here.
    together: whether runs may train as one model. progress: None shows it on a terminal.
    watch: gets the study after each finished run. about: when, where and on what the study runs.
    """

    def __init__(
        self,
        environment: Environment,
        runs: Unit,
        together: bool,
        progress: bool | None,
        watch: Watch | None = None,
    ) -> None:
        found = dataset(runs[0], environment)
        self.executor, self.together, self.progress = environment.executor, together, progress
        self.watch = watch
        self.study: Study | None = None
        # An executor cannot be pickled, and no worker needs it.
        self.environment = dataclasses.replace(
            environment, executor=None, synthetic=found.synthetic
        )
        self.about: dict[str, Any] = {
            "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "data": found.source,
            "synthetic": found.synthetic,
            "device": environment.device,
            "cores": os.cpu_count(),
            "versions": runtime.versions(),
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "fingerprints": fingerprints(runs, environment),
        }

    @contextlib.contextmanager
    def working_in(self, study: Study) -> Iterator[None]:
        """Claim the study's folder, start local processes if `jobs` asks for them, end them."""
        pool, self.study = None, study
        with study.claimed():
            try:
                if self.executor is None and self.environment.jobs > 1:
                    self.executor = pool = ProcessPool(self.environment.jobs)
                yield
            except KeyboardInterrupt:
                files = study.folder.glob("*.jsonl")
                finished = sum(path.read_bytes().count(b"\n") for path in files)
                text = (
                    f"stopped; {finished} finished runs are saved in {study.folder}, the same "
                    "command continues"
                )
                if not finished:
                    text = (
                        "stopped before a run was finished, so nothing is saved; runs that train "
                        "as one model finish together, --no-together finishes them one by one"
                    )
                print(f"\ndlcourse: {text}", file=sys.stderr)
                raise
            finally:
                if pool:
                    # Without waiting: after Ctrl-C that would be for the runs in progress.
                    pool.shutdown(wait=False)

    def test(self, study: Study, runs: Unit) -> None:
        """Do the final runs of `study`, which read the test images; they become its results."""
        with contextlib.closing(Journal(study.folder, "runs")) as journal:
            self.finish(journal, runs, test=True)
            study.results = [journal.records[run.key] for run in runs]
            journal.write(study.results)

    def finish(self, journal: Journal, runs: Unit, test: bool = False) -> None:
        """Do the runs that the journal does not hold. Each result is written before the next run.

        test: whether the test images are read, once for each run.
        """
        distinct = {run.key: run for run in runs}
        left = [run for key, run in distinct.items() if key not in journal.records]
        done, jobs = len(distinct) - len(left), self.environment.jobs
        title = "runs" if test else "search"
        grid = self.study.grid if self.study is not None else {}
        position, so_far = position_in(grid), in_order(journal.records.values(), grid)
        with Progress(title, len(distinct), done, jobs, self.progress) as progress:
            for result in self.results(units(left, jobs, self.together), test):
                journal.add(result.key, result)
                progress.add(result)
                if self.watch is not None and self.study is not None:
                    bisect.insort(so_far, result, key=position)
                    results = so_far if test else []
                    self.watch(dataclasses.replace(self.study, results=results), progress.state)

    def results(self, units: Sequence[Unit], test: bool) -> Iterator[Result]:
        """The results of `units` in the order in which they finish."""
        if self.executor is None:
            for unit in units:
                yield from run_unit(unit, self.environment, test)
        else:
            yield from submitted(self.executor, units, self.environment, test)


class Progress(tqdm):
    """A line on stderr: runs done, running and left, the best so far, and the time left.

    shown: None shows it only on a terminal.
    """

    def __init__(self, title: str, total: int, done: int, jobs: int, shown: bool | None) -> None:
        self.jobs, self.failed, self.left = jobs, 0, total - done
        self.title, self.done, self.at_start = title, done, done
        self.started = time.monotonic()
        self.best: Result | None = None
        super().__init__(
            total=total,
            initial=done,
            desc=title,
            disable=None if shown is None else not shown,
            file=sys.stderr,
            unit=self.words(),
            bar_format="{desc}: {n_fmt}/{total_fmt} done, {unit}, about {remaining} left",
        )

    def add(self, result: Result) -> None:
        """Count a run that is finished."""
        self.failed += result.status != "done"
        if result.status == "done" and (self.best is None or result.quality > self.best.quality):
            self.best = result
        self.left -= 1
        self.done += 1
        self.unit = self.words()
        self.update()

    @property
    def state(self) -> State:
        """The same for a page, also where the line is not shown."""
        new = self.done - self.at_start
        each = (time.monotonic() - self.started) / new if new else None
        left = None if each is None else each * self.left
        return State(self.title, self.done, self.done + self.left, self.words(), left)

    def words(self) -> str:
        """What the line says after the number of finished runs."""
        running = min(self.jobs, self.left)
        text = f"{running} running, {self.left - running} left"
        if self.failed:
            text += f", {self.failed} went wrong"
        if self.best:
            named = [self.best.settings.get(name) for name in ("init", "optimizer", "lr")]
            monitor = self.best.monitor
            score = self.best.scores[f"val_{monitor}"]
            shown = f"{score:.1%}" if is_share(monitor) else f"{score:.4g}"
            by = " ".join(str(one) for one in named if one is not None)
            text += f", best validation {monitor} {shown}" + f" ({by})" * bool(by)
        return text


def duration(seconds: float) -> str:
    """As "40 s", "12 min" or "3.1 h".

    >>> duration(40.2), duration(700), duration(11_000)
    ('40 s', '12 min', '3.1 h')
    """
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def submitted(
    executor: Executor, units: Sequence[Unit], environment: Environment, test: bool
) -> Iterator[Result]:
    """The results of `units` in the order in which an executor finishes them.

    The runs of a unit whose worker died are tried again one by one.
    """
    left, waiting = list(units), dict[Future[list[Result]], Unit]()
    try:
        while left:
            waiting = {executor.submit(run_unit, unit, environment, test): unit for unit in left}
            left = []
            for future in as_completed(list(waiting)):
                unit = waiting.pop(future)
                try:
                    yield from future.result()
                except (UsageError, DataError):
                    raise
                except Exception as error:  # noqa: BLE001 (each engine has its own for this)
                    if len(unit) > 1:
                        left += [[run] for run in unit]
                    else:
                        message = f"{type(error).__name__}: {error}"
                        yield Result(unit[0].values, "died", message=message)
    finally:
        for future in waiting:
            future.cancel()


def units(runs: Unit, jobs: int, together: bool = True) -> list[Unit]:
    """`runs` in groups that one worker takes at a time, in the order of their first runs.

    Runs that can train as one model share a group, if that leaves enough groups for `jobs`.
    """
    able = [run for run in runs if together and stacked.can_stack(run)]
    groups: list[Unit] = [[run] for run in runs if not (together and stacked.can_stack(run))]
    for positions in cells([run.values for run in able], stacked.FREE).values():
        pieces = max(-(-len(positions) // stacked.MOST), min(jobs, len(positions) // 4), 1)
        size = -(-len(positions) // pieces)
        # Runs with the same optimizer side by side: fewer and larger updates.
        order = sorted(
            positions, key=lambda i: repr([able[i].fit[name] for name in stacked.OPTIMIZER])
        )
        groups += [[able[i] for i in order[at : at + size]] for at in range(0, len(order), size)]
    first = {run.key: position for position, run in enumerate(runs)}
    return sorted(groups, key=lambda group: min(first[run.key] for run in group))


def run_unit(runs: Unit, environment: Environment, test: bool) -> list[Result]:
    """The results of `runs`: trained as one model if that works and is faster, else one by one.

    A run that raises an error has "failed" with the text of the error; the others continue.
    Raises UsageError and DataError, which concern more than one run.
    """
    extensions.load_inherited()
    runtime.set_threads(environment.threads)
    results = None
    if len(runs) > 1:
        # If the stack fails, each run shows its own error when it trains alone.
        with contextlib.suppress(Exception):
            results = stacked.train_stack(runs, environment, test)
    if results is None:
        results = []
        for run in runs:
            try:
                results.append(train_run(run, environment, test))
            except UsageError as error:
                # Not as UnknownNameError, which cannot be unpickled.
                raise UsageError(str(error)) from None
            except DataError:
                raise
            except Exception as error:  # noqa: BLE001 (an error costs only its run)
                message = f"{type(error).__name__}: {error}"
                results.append(Result(run.values, "failed", message=message))
    return results
