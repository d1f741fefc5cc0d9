"""Early stopping against tables of scores worked out by hand."""

import math
import subprocess
import sys

import pytest

from dlcourse.errors import UsageError
from dlcourse.train import EarlyStopping, early_stopping

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
        # relative: a tenth of the best's size, whichever its sign
        ({"min_delta": 0.1, "relative": True}, [20.0, 21.9, 22.1, 24.0, 24.4], "10101", "00000"),
        ({"min_delta": 0.1, "relative": True}, [-50.0, -46.0, -44.0], "101", "000"),
        ({"min_delta": 0.1, "relative": True, "mode": "min"}, [-50, -54, -56], "101", "000"),
        ({"min_delta": 0.1, "relative": True, "mode": "min"}, [2.0, 1.85, 1.75], "101", "000"),
        ({"min_delta": 0.5, "relative": True}, [0.0, 0.001], "11", "00"),
        # a baseline has to be beaten, by min_delta too
        ({"patience": 2, "baseline": 0.5}, [0.4, 0.5, 0.6], "001", "010"),
        ({"patience": 3, "baseline": 0.5, "min_delta": 0.2}, [0.6, 0.8], "01", "00"),
        ({"patience": 1, "baseline": 0.5, "mode": "min"}, [0.6], "0", "1"),
        ({"patience": 2, "mode": "min"}, [math.inf, 3.0, -math.inf, 0.0], "0110", "0000"),
        ({"min_delta": math.inf}, [0.1, 0.2], "00", "00"),
    ],
)
def test_each_score_is_judged_as_by_hand(settings, scores, improved, stops):
    stopping = EarlyStopping(**{"mode": "max", **settings})
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
        ({"baseline": NAN}, "baseline must be a finite score (or None), got nan"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(UsageError) as caught:
        EarlyStopping(**settings)
    assert str(caught.value) == message


@pytest.mark.parametrize("cut", range(6))
def test_its_state_goes_on_wherever_it_is_cut(cut):
    scores, settings = (
        [0.5, 0.7, 0.6, NAN, 0.71, 0.2],
        {"patience": 2, "min_delta": 0.05, "mode": "max"},
    )
    whole, first = EarlyStopping(**settings), EarlyStopping(**settings)
    expected = [(whole.update(score), whole.stop) for score in scores]
    seen = [(first.update(score), first.stop) for score in scores[:cut]]
    second = EarlyStopping(**settings)
    second.load_state_dict(first.state_dict())
    seen += [(second.update(score), second.stop) for score in scores[cut:]]
    assert seen == expected


def test_it_needs_no_torch():
    code = (
        "import sys, importlib.util as util; import dlcourse.errors; "
        f"spec = util.spec_from_file_location('alone', {early_stopping.__file__!r}); "
        "spec.loader.exec_module(util.module_from_spec(spec)); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("mode", "better"), [("max", 0.84), ("min", 0.82)])
def test_a_difference_that_is_only_rounding_is_no_improvement(mode, better):
    stopping = EarlyStopping(mode=mode)
    # 83 of 100 as a mean over batches of 64 and 36, and over 50 and 50.
    scores = (0.8299999833106995, 0.8300000429153442, 0.8299999237060547, better)
    assert [stopping.update(score) for score in scores] == [True, False, False, True]
    assert stopping.best_epoch == 4
