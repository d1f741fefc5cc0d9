"""No answer of student code stops the tests of a lab, whatever it is.

`benchmarks/grade_fuzz.py` gives many more answers to every test of every lab.
"""

import gc
import random

import pytest

from dlcourse import course
from dlcourse.check.pytest_plugin import run_session
from dlcourse.check.record import COULD_NOT
from dlcourse.check.student import InProcessChannel, Student

from support.answers import AnyAnswers

LABS = [lab.short for lab in course.labs()]


@pytest.mark.parametrize("name", LABS)
def test_no_answer_stops_a_lab(name):
    lab = course.find_lab(name)
    draw = random.Random(name)
    right = InProcessChannel(lab.solution, lab.name)
    outcomes = []

    def work(session):
        for channel in [AnyAnswers(draw, right), AnyAnswers(draw), AnyAnswers(draw)]:
            tests = session.grade(lambda _: Student(channel), {}, {})  # noqa: B023 (called at once)
            assert len(tests) == len({item.originalname for item in session.items})
            outcomes.extend(test.outcome for test in tests)

    run_session(lab, work)
    assert COULD_NOT not in outcomes
    assert "wrong answer" in outcomes


def reports():
    gc.collect()
    return sum(isinstance(one, pytest.TestReport) for one in gc.get_objects())


def test_nothing_of_a_graded_file_stays_with_the_tests():
    """A worker grades thousands: reports that stay fill its memory, and slow down its end."""
    lab, counts = course.find_lab("lab01"), []

    def work(session):
        for _ in range(3):
            session.grade(lambda _: Student(AnyAnswers(random.Random(0))), {}, {})
            counts.append(reports())

    run_session(lab, work)
    assert counts[0] == counts[2]
