"""Processes that take calls: each is started once, and again when it died or is worn."""

import functools
import operator
import os
from concurrent.futures import BrokenExecutor

import pytest

from dlcourse.process_pool import ProcessPool


def test_a_process_that_dies_is_replaced_and_an_error_is_handed_back():
    pool = ProcessPool(1)
    try:
        first = pool.submit(os.getpid).result()
        assert first == pool.submit(os.getpid).result() != os.getpid()
        with pytest.raises(BrokenExecutor, match=r"its process died \(exit status 7\)"):
            pool.submit(os._exit, 7).result()
        assert pool.submit(os.getpid).result() != first
        with pytest.raises(ValueError, match="invalid literal"):
            pool.submit(int, "planted").result()
    finally:
        pool.shutdown(wait=False)
    with pytest.raises(RuntimeError):
        pool.submit(os.getpid)


def test_a_process_begins_with_the_initializer_and_is_replaced_when_it_is_worn():
    # The initializer ends the process, which shows that it was called.
    with (
        ProcessPool(1, initializer=functools.partial(os._exit, 5)) as pool,
        pytest.raises(BrokenExecutor, match=r"\(exit status 5\)"),
    ):
        pool.submit(os.getpid).result()
    with ProcessPool(1, is_worn=functools.partial(operator.gt, 1, 0)) as pool:
        assert pool.submit(os.getpid).result() != pool.submit(os.getpid).result()
    with ProcessPool(1, is_worn=functools.partial(operator.gt, 0, 1)) as pool:
        assert pool.submit(os.getpid).result() == pool.submit(os.getpid).result()
