import gc
import sys

import pytest

from dlcourse.startup import lasting_imports


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
