"""Statistics of tests, against hand arithmetic."""

import pytest

from dlcourse.check.record import Record, TestRecord
from dlcourse.grade.item_statistics import item_statistics


def records(*rows):
    """A record for each row; a row has the points of the tests a, b, c of 2 points each."""
    return [
        Record(
            "lab90",
            [TestRecord("90.1", name, score, 2.0, "passed" if score == 2 else "partial")
             for name, score in zip("abc", row, strict=True)],
            0.0,
        )
        for row in rows
    ]  # fmt: skip


def test_mean_spread_pass_rate_and_discrimination():
    a, b, c = item_statistics(records((2, 2, 0), (2, 2, 0), (0, 0, 0), (0, 2, 0)))
    assert (a.mean, a.spread, a.pass_rate) == (1.0, 1.0, 0.5)
    # a = 2 2 0 0 and b + c = 2 2 0 2: covariance 0.5, deviations 1 and sqrt(3)/2.
    assert a.discrimination == pytest.approx(0.5 / (1 * 0.75**0.5))
    # a + c = 2 2 0 0 and b = 2 2 0 2: the same two columns.
    assert b.discrimination == pytest.approx(a.discrimination)
    assert (c.mean, c.pass_rate, c.discrimination) == (0.0, 0.0, None)


def test_a_test_that_contradicts_the_others_is_negative():
    a, _, _ = item_statistics(records((2, 0, 0), (0, 2, 2), (2, 0, 0), (0, 2, 2)))
    assert a.discrimination == pytest.approx(-1)


def test_one_student_has_no_discrimination():
    assert [test.discrimination for test in item_statistics(records((2, 1, 0)))] == [None] * 3


def test_points_by_hand_and_what_could_not_run_do_not_count():
    (one,) = records((2, 2, 0))
    one.tests.append(TestRecord("90.1", "by hand", 1.0, 0.0, "by hand"))
    one.tests[1].outcome = "could not check"
    assert [(test.name, test.mean) for test in item_statistics([one])] == [("a", 2.0), ("c", 0.0)]


def test_a_visible_test_counts_by_itself_although_a_hidden_one_cost_its_points():
    first, second = records((0, 0, 2), (0, 2, 0))
    first.tests[0].outcome = "not counted"
    a, _, _ = item_statistics([first, second])
    assert (a.mean, a.pass_rate) == (1.0, 0.5)
