"""Where runs happen: local processes, one that dies, a Dask cluster; the same rows everywhere."""

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path

import pytest
from filelock import FileLock

from dlcourse import compare, executors
from dlcourse.cli import main
from dlcourse.compare import runner
from dlcourse.compare.result import Result
from dlcourse.errors import UsageError

ROOT = Path(__file__).parents[2]


def plain(study):
    """What must not depend on where the runs happened."""
    return [(row.settings, row.status, row.scores, row.best_epoch) for row in study.results]


@pytest.fixture
def axes():
    return {"optimizer": ["sgd", "adam"], "seeds": 2, "together": False, "threads": 1}


class Mortal(Executor):
    """Runs here and now; the worker dies on every unit that holds the seed `deadly`."""

    def __init__(self, deadly):
        self.deadly, self.units = deadly, []

    def submit(self, call, runs, *args):
        self.units.append([run.seed for run in runs])
        future = Future()
        if self.deadly in self.units[-1]:
            future.set_exception(BrokenExecutor("its process died (exit status -9)"))
        else:
            future.set_result(call(runs, *args))
        return future


def test_a_worker_that_dies_costs_only_its_run(grid, small):
    pool = Mortal(deadly=1)
    study = grid(seeds=3, executor=pool)
    assert pool.units == [[0, 1, 2], [0], [1], [2]]
    assert [row.status for row in study.results] == ["done", "died", "done"]
    assert study.results[1].message == "BrokenExecutor: its process died (exit status -9)"
    alone = grid(small["data_dir"] + "/../alone", seeds=[0, 2], together=False)
    assert plain(study)[::2] == plain(alone)


def test_processes_and_a_dask_cluster_give_the_rows_of_one_process_in_order(grid, axes, tmp_path):
    distributed = pytest.importorskip("distributed")
    alone = grid(tmp_path / "alone", **axes)
    assert plain(grid(tmp_path / "jobs", **axes, jobs=2)) == plain(alone)
    # A worker in this process, reached over TCP: all that is sent is pickled, as for another one.
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=":0"
    ) as cluster:
        assert cluster.scheduler_address.startswith("tcp://")
        pool = executors.connect(f"dask:{cluster.scheduler_address}")
        assert plain(grid(tmp_path / "dask", **axes, executor=pool)) == plain(alone)
        # An equal call is done again: the files that it reads may have changed.
        calls = [pool.submit(os.urandom, 8) for _ in range(2)]
        assert calls[0].result() != calls[1].result()


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ({"torch": "1.0"}, "worker tcp://a:2 of the cluster has torch 1.0, and here it is"),
        ({"dlcourse": "0.2.0 (0f)"}, r"has dlcourse 0.2.0 \(0f\), and here it is \d.* install the"),
        (ModuleNotFoundError("No module named 'dlcourse'"), "a worker .* cannot run dlcourse .*No"),
    ],
)
def test_a_worker_with_another_version_is_refused(there, message):
    class Cluster:
        def run(self, call):
            if isinstance(there, Exception):
                raise there
            return {"tcp://a:1": call(), "tcp://a:2": {**call(), **there}}

    with pytest.raises(UsageError, match=message):
        executors.refuse_other_workers(Cluster())


def test_a_cluster_that_is_not_there_is_said_in_one_line(monkeypatch):
    distributed = pytest.importorskip("distributed")

    def refused(address, timeout):
        raise OSError("connection refused")

    monkeypatch.setattr(distributed, "Client", refused)
    with pytest.raises(UsageError, match="no Dask scheduler at tcp://a:1: connection refused"):
        executors.connect("dask:tcp://a:1")
    # A search for a host's name that never ends.
    go_on, ended = threading.Event(), threading.Event()
    monkeypatch.setattr(
        distributed, "Client", lambda address, timeout: (go_on.wait(60), ended.set())
    )
    monkeypatch.setattr(executors, "TIMEOUT_S", -0.9)
    with pytest.raises(UsageError, match="no Dask scheduler at tcp://a:1: no answer in"):
        executors.connect("dask:tcp://a:1")
    assert not ended.is_set()
    go_on.set()


def test_ctrl_c_leaves_what_is_done_and_the_same_command_goes_on(small, tmp_path, capsys):
    out = tmp_path / "study"
    command = [
        sys.executable, "-m", "dlcourse", "compare", "--data", "blobs", "--epochs", "15",
        "--data-dir", small["data_dir"], "--device", "cpu", "--threads", "1", "--no-together",
        "--seeds", "6", "--batch-size", "10", "--out", str(out), "--jobs", "1",
    ]  # fmt: skip
    # Where the tests run in the background, SIGINT is ignored, and a child inherits that.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=heed
    )
    rows = out / "runs.jsonl"
    while not rows.is_file() or not rows.read_bytes():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert f"finished runs are saved in {out}, the same command continues" in said
    assert "Traceback" not in said
    done = rows.read_bytes()
    assert 1 <= done.count(b"\n") < 6
    assert len(compare.load(out).results) == done.count(b"\n")
    assert main(command[3:]) == 0
    assert "6 runs" in capsys.readouterr().out
    assert rows.read_bytes().startswith(done)
    assert rows.read_bytes().count(b"\n") == 6


def test_another_study_in_the_same_folder_at_the_same_time_is_refused(grid, tmp_path):
    grid(epochs=1)
    with (
        FileLock(tmp_path / "study" / ".lock"),
        pytest.raises(UsageError, match=r"another study writes into --out .*study'; wait for it"),
    ):
        grid(epochs=1)


def test_what_waits_is_called_off_when_a_study_stops(grid, monkeypatch):
    waiting = [Future(), Future()]

    class Slow(Executor):
        def submit(self, call, runs, *args):
            if runs[0].seed == 0:
                future = Future()
                future.set_result([Result(runs[0].values, "done")])
                return future
            return waiting[runs[0].seed - 1]

    def stop(self, row):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner.Progress, "add", stop)
    with pytest.raises(KeyboardInterrupt):
        grid(seeds=3, together=False, executor=Slow())
    assert all(future.cancelled() for future in waiting)


def test_runs_that_cannot_be_one_model_run_one_by_one(grid, monkeypatch):
    def broken(*args):
        raise RuntimeError("planted")

    monkeypatch.setattr(runner.stacked, "train_stack", broken)
    assert [row.status for row in grid(seeds=2).results] == ["done"] * 2
