"""Measure how grids and grading gain from several processes, and from a Dask cluster.

    python benchmarks/scale_out.py                         (needs as many idle cores as workers)

A grid of equal runs, each in one thread, is done in one process, with --jobs, and on a running Dask
cluster of as many workers; then a class is graded with one job and with several. efficiency: the
time of one process divided by the number of workers times the time with them. Starting the
processes is counted in: see seconds_of_run for what it is spread over.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import common
from distributed import Client, LocalCluster

from dlcourse import compare, course
from dlcourse.grade.batch import grade_folder


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):
        work()
    return time.perf_counter() - start


def grid(place: Path, runs: int, epochs: int, **where: object) -> float:
    """Train equal runs one by one, each in a single thread."""
    out = tempfile.mkdtemp(dir=place)
    settings = {"model": "lenet5", "data": "mnist", "limit": 6000, "epochs": epochs}
    return seconds(
        lambda: compare.grid(out, **settings, seeds=runs, together=False, threads=1,
                             offline=True, device="cpu", **where)  # type: ignore[arg-type]  # kinds
    )  # fmt: skip


def grading(place: Path, submissions: int, jobs: int) -> float:
    lab = course.find_lab("lab05", common.ROOT)
    folder = Path(tempfile.mkdtemp(dir=place))
    for number in range(submissions):
        path = folder / f"student{number}" / f"{lab.name}.py"
        path.parent.mkdir()
        path.write_text(f"# {number}\n{lab.solution.read_text(encoding='utf-8')}", encoding="utf-8")
    out = Path(tempfile.mkdtemp(dir=place))
    return seconds(lambda: grade_folder(folder, lab, out, jobs))


def row(one: float, several: float, workers: int) -> dict[str, float]:
    efficiency = one / (workers * several)
    return {"seconds": round(several, 1), "efficiency": round(efficiency, 3)}


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--submissions", type=int, default=100)
    args = parser.parse_args()
    load, n = round(os.getloadavg()[0], 1), args.workers
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        one = grid(place, args.runs, args.epochs)
        jobs = grid(place, args.runs, args.epochs, jobs=n)
        with (
            LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            client.wait_for_workers(n)
            dask = grid(place, args.runs, args.epochs, executor=client.get_executor())
        alone = grading(place, args.submissions, 1)
        together = grading(place, args.submissions, n)
    common.record(
        "scale_out",
        {
            "load_average": load,
            "workers": n,
            "runs": args.runs,
            "seconds_of_run": round(one / args.runs, 2),
            "grid, one process": {"seconds": round(one, 1)},
            "grid, jobs": row(one, jobs, n),
            "grid, Dask": row(one, dask, n),
            "submissions": args.submissions,
            "grading, one job": {"seconds": round(alone, 1)},
            "grading, jobs": row(alone, together, n),
        },
        args.out,
    )


if __name__ == "__main__":
    main()
