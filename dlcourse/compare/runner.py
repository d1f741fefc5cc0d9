"""Run the runs of a study: in this process, in local processes or on a cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from pathlib import Path
from typing import Any

from dlcourse import extensions, runtime
from dlcourse.compare import stacked
from dlcourse.compare.process_pool import ProcessPool
from dlcourse.compare.progress import Progress
from dlcourse.compare.result import Result, cells
from dlcourse.compare.settings import Environment, RunSettings
from dlcourse.compare.splits import images
from dlcourse.compare.study import Journal, Study
from dlcourse.compare.train_run import train_run
from dlcourse.errors import DataError, UsageError

__all__ = ["Runner", "run_unit", "units"]

Unit = Sequence[RunSettings]


class Runner:
    """Runs the runs of one study in `environment`.

    together: whether runs may train as one model. progress: None shows it on a terminal.
    """

    def __init__(
        self, environment: Environment, together: bool = True, progress: bool | None = None
    ) -> None:
        self.environment, self.together, self.progress = environment, together, progress
        self.executor = environment.executor

    def about(self, data: str) -> dict[str, Any]:
        """When, where and on what the study runs.

        From then on, every worker must find `data` as real, or as synthetic, as they are here.
        """
        found = images(data, self.environment)
        self.environment = dataclasses.replace(self.environment, synthetic=found.synthetic)
        return {
            "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "data": found.source,
            "synthetic": found.synthetic,
            "device": self.environment.device,
            "cores": os.cpu_count(),
            "versions": runtime.versions(),
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        }

    @contextlib.contextmanager
    def working_in(self, study: Study) -> Iterator[None]:
        """Claim the study's folder, start local processes if `jobs` asks for them, end them."""
        pool = None
        with study.claimed():
            try:
                if self.executor is None and self.environment.jobs > 1:
                    self.executor = pool = ProcessPool(self.environment.jobs)
                yield
            except KeyboardInterrupt:
                print(f"\ndlcourse: {interrupted(study.folder)}", file=sys.stderr)
                raise
            finally:
                if pool:
                    # Without waiting: after Ctrl-C that would be for the runs in progress.
                    pool.shutdown(wait=False)

    def finish(self, journal: Journal, runs: Unit, test: bool) -> None:
        """Do the runs that the journal does not hold. Each result is written before the next run.

        test: whether the test images are read, once for each run.
        """
        distinct = {run.key: run for run in runs}
        left = [run for key, run in distinct.items() if key not in journal.records]
        done, jobs = len(distinct) - len(left), self.environment.jobs
        title = "runs" if test else "search"
        with Progress(title, len(distinct), done, jobs, self.progress) as progress:
            for result in self.results(units(left, jobs, self.together), test):
                journal.add(result.key, result)
                progress.add(result)

    def results(self, units: Sequence[Unit], test: bool) -> Iterator[Result]:
        """The results of `units` in the order in which they finish."""
        environment = self.environment.for_worker()
        if self.executor is None:
            for unit in units:
                yield from run_unit(unit, environment, test)
        else:
            yield from submitted(self.executor, units, environment, test)


def submitted(
    executor: Executor, units: Sequence[Unit], environment: Environment, test: bool
) -> Iterator[Result]:
    """The results of `units` in the order in which an executor finishes them.

    The runs of a unit whose worker died are tried again one by one.
    """
    waiting = submit(executor, units, environment, test)
    try:
        while waiting:
            again: list[RunSettings] = []
            for future in as_completed(list(waiting)):
                unit = waiting.pop(future)
                try:
                    yield from future.result()
                except (UsageError, DataError):
                    raise
                except Exception as error:  # noqa: BLE001 (each engine has its own for this)
                    if len(unit) > 1:
                        again += unit
                    else:
                        yield lost(unit[0], "died", error)
            waiting = submit(executor, [[run] for run in again], environment, test)
    finally:
        for future in waiting:
            future.cancel()


def interrupted(folder: Path) -> str:
    """What Ctrl-C leaves behind."""
    finished = sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl"))
    text = f"stopped; {finished} finished runs are saved in {folder}, the same command continues"
    if not finished:
        text = (
            "stopped before a run was finished, so nothing is saved; runs that train as one model "
            "finish together, --no-together finishes them one by one"
        )
    return text


def submit(
    executor: Executor, units: Iterable[Unit], environment: Environment, test: bool
) -> dict[Future[list[Result]], Unit]:
    return {executor.submit(run_unit, unit, environment, test): unit for unit in units}


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
        order = sorted(positions, key=lambda i: stacked.by_optimizer(able[i]))
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
    return [run_alone(run, environment, test) for run in runs] if results is None else results


def run_alone(run: RunSettings, environment: Environment, test: bool) -> Result:
    try:
        result = train_run(run, environment, test)
    except UsageError as error:
        # Not as UnknownNameError, which cannot be unpickled.
        raise UsageError(str(error)) from None
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 (an error costs only its run, whose result says it)
        result = lost(run, "failed", error)
    return result


def lost(run: RunSettings, status: str, error: Exception) -> Result:
    """The result of a run that has no scores."""
    return Result(run.values, status, message=f"{type(error).__name__}: {error}")
