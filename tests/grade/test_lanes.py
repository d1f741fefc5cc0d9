"""A process that dies or grows costs its own work alone."""

import os
import sys

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("the sandbox needs Linux", allow_module_level=True)

from dlcourse.errors import GradingError
from dlcourse.grade import lanes


def test_work_whose_process_dies_is_named_and_the_next_goes_on():
    with lanes.Lanes(1) as pool:
        before = pool.submit(os.getpid).result()
        assert before != os.getpid()
        assert pool.submit(os.getpid).result() == before
        dies, after = pool.submit(os._exit, 1), pool.submit(os.getpid)
        with pytest.raises(GradingError, match="a process that grades died while it worked on"):
            dies.result()
        assert after.result() not in (before, os.getpid())
        with pytest.raises(ValueError, match="invalid literal"):
            pool.submit(int, "x").result()


def test_process_that_has_grown_is_worn_until_it_gives_its_memory_back(monkeypatch):
    monkeypatch.setattr(lanes, "started_with", 0)
    monkeypatch.setattr(lanes, "GROWTH", 0)
    assert lanes.is_worn()  # which gives back what other tests have left
    monkeypatch.setattr(lanes, "started_with", None)
    monkeypatch.setattr(lanes, "GROWTH", 2**25)
    assert not lanes.is_worn()
    kept = bytearray(os.urandom(1)) * 2**26
    assert lanes.is_worn()
    del kept
    assert not lanes.is_worn()
