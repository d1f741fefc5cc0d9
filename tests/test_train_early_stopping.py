"""Early stopping against tables of scores worked out by hand."""

import math

import pytest

from dlcourse.errors import UsageError
from dlcourse.train import EarlyStopping

NAN = math.nan


@pytest.mark.parametrize(
    ("settings", "scores", "improved", "stops"),
    [
        ({"patience": 2}, [0.1, 0.3, 0.2, 0.2], "1100", "0001"),
        ({"patience": 1}, [0.1, 0.1], "10", "01"),  # an equal score is no improvement
        ({"patience": 2, "mode": "min"}, [0.9, 0.5, 0.6, 0.4, 0.4, 0.4], "110100", "000001"),
        ({"patience": 2, "min_delta": 0.1}, [0.5, 0.55, 0.61, 0.65], "1010", "0000"),
        ({"patience": 1, "min_delta": 0.1, "mode": "min"}, [-1.0, -1.05], "10", "01"),
        ({"patience": 1, "min_delta": 0.1, "mode": "max"}, [-1.0, -0.8], "11", "00"),
        ({"patience": None}, [0.5, 0.1, 0.1, 0.1], "1000", "0000"),
        ({"patience": 2}, [NAN, 0.5, NAN, NAN], "0100", "0001"),
        ({"patience": 2}, [NAN, NAN], "00", "01"),
    ],
)
def test_each_score_is_judged_as_by_hand(settings, scores, improved, stops):
    stopping = EarlyStopping(**settings)
    verdicts = [(stopping.update(score), stopping.stop) for score in scores]
    assert "".join("01"[i] for i, _ in verdicts) == improved
    assert "".join("01"[s] for _, s in verdicts) == stops


def test_best_score_and_its_epoch_are_kept():
    stopping = EarlyStopping(mode="min")
    for score in (0.9, 0.2, 0.4):
        stopping.update(score)
    assert (stopping.best, stopping.best_epoch) == (0.2, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patience": 0}, "patience must be at least 1 epoch (or None), got 0"),
        ({"min_delta": -1}, "min_delta must be at least 0, got -1"),
        ({"min_delta": NAN}, "min_delta must be at least 0, got nan"),
        ({"mode": "best"}, "mode must be 'min' or 'max', got 'best'"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(UsageError) as caught:
        EarlyStopping(**settings)
    assert str(caught.value) == message
