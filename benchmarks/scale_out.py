"""Measure how grids and grading gain from several processes, and from a Dask cluster.

    DLCOURSE_DATA=DIR python benchmarks/scale_out.py   (9 minutes on 2 idle cores, one a worker)

A grid of equal runs, each in one thread, is done in one process, in local processes as `--jobs`
starts them, and on a Dask cluster of as many workers; then a class is graded with one job and with
several. One process and several take turns.

efficiency, a median over the rounds: the time of one process divided by the number of workers times
the time with them, all of them started. start_s: what starting them takes, with their data and a
first short run, or with the lab's tests and the proof that comes before a batch;
efficiency_with_start counts that too.

What limits more workers than that is measured as the seconds that each run takes of the parent or
of each worker. `estimate` computes from these what many workers would give.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, wait
from pathlib import Path
from typing import Any, NamedTuple

import common
from compare_size import Instant
from distributed import Client, LocalCluster

from dlcourse import compare, course
from dlcourse.compare.grid import axes_of, expand
from dlcourse.compare.runner import run_unit
from dlcourse.compare.settings import Environment, RunSettings
from dlcourse.compare.train_run import splits
from dlcourse.grade.batch import grade_folder
from dlcourse.process_pool import ProcessPool

GRID: dict[str, Any] = {"model": "lenet5", "data": "mnist", "limit": 6000}
WHERE: dict[str, Any] = {"threads": 1, "offline": True, "device": "cpu"}
LAB = "lab05"
ROUNDS = 5
MANY = (100, 100_000)  # workers and runs of the estimate


class Times(NamedTuple):
    """What some work took: until all its workers had started, and after that."""

    start_s: float
    seconds: float


def estimate(
    workers: int, runs: int, run_s: float, start_s: float, plan_s: float, parent_s: float
) -> dict[str, float]:
    """What a study of equal runs would take on many workers, computed from measured seconds.

    The model: the parent first plans all runs, plan_s for each. Then all workers start at the same
    time, each ready after start_s. Each worker does one run after another, run_s for each, and the
    parent meanwhile hands runs out and records their results, parent_s for each. The slower of the
    two decides:

        seconds = runs * plan_s + start_s + max(ceil(runs / workers) * run_s, runs * parent_s)

    efficiency: the seconds of one worker that needs no parent, runs * run_s, divided by workers *
    seconds. workers_kept_busy: with more, the workers wait for the parent, run_s / parent_s. Not
    in the model: a network and a disk that all workers share, workers that differ in speed or
    fail, and that one machine shares its memory's bandwidth among its cores.
    """
    rounds = -(-runs // workers)
    seconds = runs * plan_s + start_s + max(rounds * run_s, runs * parent_s)
    return {
        "workers": workers,
        "runs": runs,
        "hours": round(seconds / 3600, 2),
        "efficiency": round(runs * run_s / (workers * seconds), 3),
        "workers_kept_busy": int(run_s / parent_s),
    }


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):
        work()
    return time.perf_counter() - start


def grid(place: Path, runs: int, epochs: int, executor: Executor | None) -> float:
    """The seconds of equal runs, each trained by itself."""
    out = tempfile.mkdtemp(dir=place)
    return seconds(
        lambda: compare.grid(out, **GRID, epochs=epochs, seeds=runs, together=False,
                             executor=executor, yes=True, **WHERE)
    )  # fmt: skip


def load_data(run: RunSettings, environment: Environment) -> None:
    """In a worker: load and split the data, so that its runs find them in memory."""
    splits(run, environment)


def warm_up(run: RunSettings, environment: Environment) -> None:
    """In a worker: load the data, and do a first short run, which takes longer than a later one."""
    load_data(run, environment)
    short = expand(axes_of(GRID | {"limit": 512, "epochs": 1}, 1), environment)
    run_unit(short, environment, True)


def start(executor: Executor, workers: int, run: RunSettings, environment: Environment) -> None:
    """Start all workers of `executor` and warm each of them up.

    A worker does one call at a time, so while the first ones last, each takes one.
    """
    calls = [executor.submit(warm_up, run, environment) for _ in range(workers)]
    for call in calls:
        call.result()


@contextlib.contextmanager
def dask(workers: int) -> Iterator[Executor]:
    """The executor of a Dask cluster of this machine."""
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(workers)
        yield client.get_executor(pure=False)  # as `executors.connect` makes it


ENGINES: dict[str, Callable[[int], contextlib.AbstractContextManager[Executor]]] = {
    "jobs": ProcessPool,
    "Dask": dask,
}


def grids(place: Path, workers: int, runs: int, epochs: int) -> dict[str, Any]:
    """The grid in one process, in local processes and on Dask; and each one's constants."""
    environment = Environment(**WHERE)
    (run,) = expand(axes_of(GRID | {"epochs": epochs}, 1), environment)
    warm_up(run, environment)

    def turns(name: str) -> tuple[list[Times], list[Times]]:
        begin = time.perf_counter()
        with ENGINES[name](workers) as executor:
            start(executor, workers, run, environment)
            start_s = time.perf_counter() - begin
            hand_out_s[name] = round(seconds_of_an_empty_task(executor, environment), 6)
            return in_turn(
                lambda: Times(0.0, grid(place, runs, epochs, None)),
                lambda: Times(start_s, grid(place, runs, epochs, executor)),
            )

    hand_out_s: dict[str, float] = {}
    found = {name: turns(name) for name in ENGINES}
    of_one = [times.seconds for one, _ in found.values() for times in one]
    return {
        **{f"grid, {name}": gain(workers, *both) for name, both in found.items()},
        "seconds_of_run": round(statistics.median(of_one) / runs, 2),
        "constants": {
            **constants_of_a_worker(run, environment),
            **constants_of_the_parent(place, run, environment),
            "hand_out_s": hand_out_s,
        },
    }


def in_turn(
    one: Callable[[], Times], several: Callable[[], Times]
) -> tuple[list[Times], list[Times]]:
    """What both report, taking turns: a machine's speed changes over minutes."""
    pairs = [(one(), several()) for _ in range(ROUNDS)]
    return [first for first, _ in pairs], [second for _, second in pairs]


def gain(workers: int, one: Sequence[Times], several: Sequence[Times]) -> dict[str, Any]:
    """The row of a way to work with several workers, against one in the same round."""

    def efficiency(starts: int) -> float:
        pairs = zip(one, several, strict=True)
        return round(
            statistics.median(
                (a.seconds + starts * a.start_s) / (workers * (b.seconds + starts * b.start_s))
                for a, b in pairs
            ),
            3,
        )

    return {
        "start_s": round(statistics.median(times.start_s for times in several), 2),
        "start_s_of_one": round(statistics.median(times.start_s for times in one), 2),
        "seconds": common.spread([times.seconds for times in several], 1),
        "seconds_of_one": common.spread([times.seconds for times in one], 1),
        "efficiency": efficiency(0),
        "efficiency_with_start": efficiency(1),
    }


def seconds_of_an_empty_task(
    executor: Executor, environment: Environment, tasks: int = 300
) -> float:
    """What the way to a worker and back takes, as a mean of many tasks without a run."""
    return seconds(
        lambda: wait([executor.submit(run_unit, [], environment, True) for _ in range(tasks)])
    ) / tasks  # fmt: skip


def constants_of_a_worker(run: RunSettings, environment: Environment) -> dict[str, Any]:
    """What a new process takes before its first run, and what a task and its result weigh."""
    with ProcessPool(1) as pool:
        process_s = seconds(lambda: pool.submit(run_unit, [], environment, True).result())
        data_s = seconds(lambda: pool.submit(load_data, run, environment).result())
        results = [pool.submit(run_unit, [run], environment, True).result() for _ in range(2)]
    took = [result.seconds for (result,) in results]
    constants: dict[str, Any] = {
        "start_of_process_s": round(process_s, 2),
        "loading_data_s": round(data_s, 2),
        "first_run_longer_by_s": round(took[0] - took[1], 2),
    }
    sent_by_name: dict[str, Any] = {
        "task": (run_unit, ([run], environment, True), {}), "result": results[0]
    }  # fmt: skip
    for name, sent in sent_by_name.items():
        copy = functools.partial(lambda sent: pickle.loads(pickle.dumps(sent)), sent)
        repeats = [seconds(copy) for _ in range(50)]
        constants[f"pickling_of_{name}_s"] = round(statistics.median(repeats), 6)
        constants[f"bytes_of_{name}"] = len(pickle.dumps(sent))
    return constants


def constants_of_the_parent(
    place: Path, run: RunSettings, environment: Environment, runs: int = 1000
) -> dict[str, float]:
    """What planning a run takes, and handing it out and recording its result without training."""
    settings = GRID | {"epochs": run.fit["epochs"]}
    plan = seconds(lambda: expand(axes_of(settings, runs), environment))
    whole = grid(place, runs, settings["epochs"], Instant())
    return {"plan_s": round(plan / runs, 6), "record_s": round((whole - plan) / runs, 6)}


def grading(place: Path, submissions: int, jobs: int) -> Times:
    """What `dlcourse grade --jobs` takes for so many submissions after one for each job.

    A class of one for each job shows the start, with the proof that comes before a batch. The
    submissions are right answers that differ in a comment.
    """
    lab = course.find_lab(LAB, common.ROOT)
    solution = lab.solution.read_text(encoding="utf-8")

    def grade(count: int) -> float:
        folder, out = (Path(tempfile.mkdtemp(dir=place)) for _ in range(2))
        for number in range(count):
            path = folder / f"student{number}" / f"{lab.name}.py"
            path.parent.mkdir()
            path.write_text(f"# {number}\n{solution}", encoding="utf-8")
        return seconds(lambda: grade_folder(folder, lab, out, jobs))

    start_s = grade(jobs)
    return Times(start_s, grade(jobs + submissions) - start_s)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--submissions", type=int, default=80)
    args = parser.parse_args()
    load, n = round(os.getloadavg()[0], 1), args.workers
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        found = grids(place, n, args.runs, args.epochs)
        one, several = in_turn(
            functools.partial(grading, place, args.submissions, 1),
            functools.partial(grading, place, args.submissions, n),
        )
    constants = found["constants"]
    many = estimate(
        *MANY,
        run_s=found["seconds_of_run"],
        start_s=found["grid, Dask"]["start_s"],
        plan_s=constants["plan_s"],
        parent_s=constants["record_s"] + constants["hand_out_s"]["Dask"],
    )
    result = {
        "load_average": load,
        "workers": n,
        "runs": args.runs,
        **found,
        "estimate": many,
        "submissions": args.submissions,
        "grading, jobs": gain(n, one, several),
    }
    common.record("scale_out", result, args.out)


if __name__ == "__main__":
    main()
