"""A process that has grown makes room for another."""

import os
import sys

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("the sandbox needs Linux", allow_module_level=True)

from dlcourse.grade import batch_process


def test_process_that_has_grown_is_worn_until_it_gives_its_memory_back(monkeypatch):
    monkeypatch.setattr(batch_process, "started_with", 0)
    monkeypatch.setattr(batch_process, "GROWTH", 0)
    assert batch_process.is_worn()  # which gives back what other tests have left
    monkeypatch.setattr(batch_process, "started_with", None)
    monkeypatch.setattr(batch_process, "GROWTH", 2**25)
    assert not batch_process.is_worn()
    kept = bytearray(os.urandom(1)) * 2**26
    assert batch_process.is_worn()
    del kept
    assert not batch_process.is_worn()
