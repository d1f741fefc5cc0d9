import gc
import subprocess
import sys
import threading

import pytest

from dlcourse.startup import end_process, lasting_imports


@pytest.fixture
def frozen(monkeypatch):
    """A process that has not imported torch; the list gets an entry when objects are frozen."""
    calls = []
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(gc, "freeze", lambda: calls.append(gc.isenabled()))
    return calls


@pytest.fixture
def collections():
    """The generations that are collected while a test runs."""
    seen = []

    def note(phase, details):
        if phase == "start":
            seen.append(details["generation"])

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)


def test_nothing_is_collected_while_modules_are_imported(frozen, collections):
    with lasting_imports():
        collections.clear()
        keep = [[] for _ in range(100_000)]
        assert collections == []
        assert frozen == []
    assert frozen == [True]  # what was imported is left alone, and the rest is collected again
    keep += [[] for _ in range(100_000)]
    assert collections


def test_a_process_that_has_torch_already_is_not_changed(frozen, collections):
    sys.modules["torch"] = gc
    with lasting_imports():
        keep = [[] for _ in range(100_000)]
    assert collections
    assert len(keep) == 100_000
    assert frozen == []


@pytest.mark.parametrize("enabled", [True, False])
def test_collecting_goes_on_as_before_even_after_an_error(frozen, enabled):
    try:
        if not enabled:
            gc.disable()
        with pytest.raises(ImportError), lasting_imports():
            raise ImportError("no module named torch")
        assert gc.isenabled() == enabled
    finally:
        gc.enable()


IN_TURN = """
import sys

def loaded(*names):
    return [name for name in names if name in sys.modules]

import dlcourse
assert loaded("torch", "numpy", "matplotlib") == []
from dlcourse.cli import main
assert loaded("torch", "numpy", "matplotlib") == []
assert main(["check", "lab05", "--solution"]) == 0
slow = ["matplotlib", "torch.distributed.tensor", "torchvision", "dlcourse.grade"]
assert loaded(*slow) == [], loaded(*slow)
assert dlcourse.models is sys.modules["dlcourse.models"]
dlcourse.models.build("mlp")
assert loaded("dlcourse.models.googlenet") == []
import dlcourse.plots
assert loaded("matplotlib") == []
for name in ("train", "data"):
    assert getattr(dlcourse, name) is sys.modules[f"dlcourse.{name}"]
"""


def test_nothing_slow_is_imported_before_it_is_needed():
    done = subprocess.run([sys.executable, "-c", IN_TURN], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


ENDS = """
import atexit, sys, threading, time
from dlcourse.startup import end_process
sys.modules["torch"] = sys  # as if it were imported
class Kept:
    def __del__(self):
        print("taken apart")
kept = Kept()
atexit.register(print, "at the exit")
HOW
print("said", end="\\n")
end_process(3)
"""
THREAD = "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("", "said\nat the exit\n"),
        (THREAD, "said\nthread\nat the exit\ntaken apart\n"),
        ("del sys.modules['torch']", "said\nat the exit\ntaken apart\n"),
    ],
    ids=["at once", "after another thread", "without torch"],
)
def test_a_process_ends_with_its_status_and_all_that_it_has_said(how, said):
    code = ENDS.replace("HOW", how)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, said, "")


def test_a_profiler_sees_the_end(monkeypatch):
    monkeypatch.setattr(sys, "getprofile", lambda: print)
    monkeypatch.setattr(threading, "enumerate", lambda: [threading.main_thread()])
    with pytest.raises(SystemExit, match=r"^3$"):
        end_process(3)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_what_cannot_be_written_is_said_at_the_end():
    code = ENDS.replace("HOW", "sys.stdout = open('/dev/full', 'w')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 120
    assert "No space left on device" in done.stderr
