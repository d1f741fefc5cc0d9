"""Hyperband's table to the number, who goes on, equal cost, and a search from end to end."""

import re

import pytest

from dlcourse.cli import main
from dlcourse.compare import hyperband, search
from dlcourse.compare.result import Result
from dlcourse.errors import UnknownNameError, UsageError


def test_the_brackets_for_81_and_3_are_those_of_the_lecture():
    assert hyperband.brackets(81, 3) == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(27, 3), (9, 9), (3, 27), (1, 81)],
        [(9, 9), (3, 27), (1, 81)],
        [(6, 27), (2, 81)],
        [(5, 81)],
    ]


def test_a_power_of_eta_is_met_exactly_and_another_budget_is_never_exceeded():
    assert len(hyperband.brackets(243, 3)) == 6  # log(243) / log(3) is 4.99... in floating point
    assert len(hyperband.brackets(1000, 10)) == 4
    assert hyperband.brackets(1, 3) == [[(1, 1)]]
    for rungs in hyperband.brackets(100, 3):
        assert all(count >= 1 and 1 <= epochs <= 100 for count, epochs in rungs)


def played(method, quality, max_epochs=9, eta=3):
    """The rungs of `method` where configuration i has the score quality(i, epochs)."""
    numbers = iter(range(10_000))
    rungs = []
    steps = hyperband.METHODS[method](lambda: {"lr": next(numbers)}, max_epochs, eta)
    runs = next(steps)
    while True:
        rungs.append([(run["lr"], run["epochs"]) for run in runs])
        try:
            runs = steps.send([quality(run["lr"], run["epochs"]) for run in runs])
        except StopIteration:
            return rungs


def test_the_best_of_a_rung_go_on_and_losers_stop():
    rungs = played("hyperband", lambda i, epochs: -abs(i - 5))
    assert rungs[0] == [(i, 1) for i in range(9)]
    assert rungs[1] == [(5, 3), (4, 3), (6, 3)]
    assert rungs[2] == [(5, 9)]
    # The next bracket draws anew.
    assert rungs[3] == [(i, 3) for i in (9, 10, 11)]


def test_a_run_that_went_wrong_never_goes_on():
    assert played("hyperband", lambda i, epochs: float("-inf") if i < 8 else 0.1)[2] == [(8, 9)]
    assert Result({}, "diverged", {"val_accuracy": 0.9}).quality == float("-inf")
    assert Result({}, "died").quality == float("-inf")
    loss = Result({"monitor": "loss", "mode": "min"}, "done", {"val_loss": 0.4})
    assert loss.quality == -0.4
    registered = Result({"monitor": "gap"}, "done", {"val_gap": 0.4}, used={"mode": "min"})
    assert registered.quality == -0.4


def test_rounding_of_a_score_does_not_decide_which_runs_go_on():
    rungs = played("hyperband", lambda i, epochs: -0.5 + 1e-8 * i)
    assert rungs[1] == [(0, 3), (1, 3), (2, 3)]
    # A difference that is more than rounding does.
    rungs = played("hyperband", lambda i, epochs: -0.5 + 1e-5 * (i == 7) + 1e-8 * i)
    assert rungs[1] == [(7, 3), (0, 3), (1, 3)]


def test_every_method_spends_what_hyperband_spends_and_no_more():
    spent = {
        name: sum(epochs for rung in played(name, lambda i, e: 0.0, 27) for _, epochs in rung)
        for name in hyperband.METHODS
    }
    assert spent["hyperband"] == sum(hyperband.cost(rungs) for rungs in hyperband.brackets(27, 3))
    for name in ("halving", "random"):
        assert 0.7 * spent["hyperband"] < spent[name] <= spent["hyperband"]


@pytest.fixture(scope="session")
def searched(small_settings, tmp_path_factory):
    settings = {**small_settings, "optimizer": "sgd", "lr": "log:0.0001:1.0", "max_epochs": 4}
    del settings["epochs"]
    out = tmp_path_factory.mktemp("search") / "study"
    settings |= {"eta": 2, "methods": ("hyperband", "random"), "seeds": 2}
    return search.search(out, **settings), settings


def test_what_was_found_is_the_best_on_validation_and_only_that_is_tested(searched):
    study, _ = searched
    assert all("test_accuracy" not in row.scores for row in study.sweep)
    assert [row.settings["search"] for row in study.results] == ["hyperband"] * 2 + ["random"] * 2
    for row in study.results:
        rivals = [r for r in study.sweep if r.settings["search"] == row.settings["search"]]
        best = max(rivals, key=lambda rival: rival.scores["val_accuracy"])
        assert row.settings["lr"] == best.settings["lr"]
        assert "test_accuracy" in row.scores
    lrs = [row.settings["lr"] for row in study.sweep]
    assert min(lrs) >= 0.0001
    assert max(lrs) <= 1
    assert len(set(lrs)) > 4


def test_the_race_is_the_best_so_far_by_epochs_spent(searched):
    study, _ = searched
    races = search.race(study)
    for name, points in races.items():
        assert [best for _, best in points] == sorted(best for _, best in points)
        rows = [row for row in study.sweep if row.settings["search"] == name]
        assert points[-1][1] == max(row.scores["val_accuracy"] for row in rows)
    budget = sum(hyperband.cost(rungs) for rungs in hyperband.brackets(4, 2))
    assert races["hyperband"][-1][0] == budget
    assert races["random"][-1][0] == budget // 4 * 4
    assert f"hyperband: {len(study.sweep) - budget // 4} runs, {budget} epochs" in (
        search.as_text(study)
    )


def test_a_search_goes_on_where_it_was_and_trains_nothing_twice(searched, monkeypatch):
    study, settings = searched
    keys = [row.key for row in study.sweep]
    assert len(set(keys)) == len(keys)
    monkeypatch.setattr("dlcourse.compare.runner.run_unit", None)
    again = search.search(study.folder, **settings)
    assert again.results == study.results
    assert search.race(again) == search.race(study)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"methods": ["hyperbnd"]}, "unknown search 'hyperbnd'; did you mean 'hyperband'?"),
        ({"methods": []}, "no search named; choose of hyperband, halving, random"),
        ({"lr": "log:0:1"}, "lr 'log:0:1': a range is log:LOW:HIGH (or uniform), LOW below HIGH"),
        ({"lr": "log:1:0.1"}, "lr 'log:1:0.1': a range is"),
        ({"lr": "uniform:a:b"}, "lr 'uniform:a:b': a range is"),
        ({"lr": "auto"}, "a search sets epochs itself, and lr is a range as log:0.0001:1"),
        ({"epochs": 3}, "a search sets epochs itself"),
        ({"max_epochs": 0}, "max_epochs must be a whole number of at least 1, got 0"),
        ({"eta": 1}, "eta must be a whole number of at least 2, got 1"),
        ({"dropout": "uniform:0.5:1.5"}, "dropout must be at least 0 and below 1, got 1.5"),
    ],
    ids=str,
)
def test_a_search_that_cannot_be_is_refused_before_anything_runs(
    small, tmp_path, settings, message
):
    del small["epochs"]
    with pytest.raises(UsageError) as caught:
        search.search(tmp_path / "study", **{**small, **settings})
    assert message in str(caught.value)
    assert isinstance(caught.value, UnknownNameError) == message.startswith("unknown")
    assert not (tmp_path / "study").exists()


def test_whole_ends_draw_whole_numbers():
    source = search.random.Random(0)
    widths = [search.draw_value("width", ["log:4:64"], source) for _ in range(200)]
    assert all(isinstance(width, int) and 4 <= width <= 64 for width in widths)
    # As many below the geometric middle as above.
    assert 70 < sum(width < 16 for width in widths) < 130
    assert {search.draw_value("init", ["xavier", "uniform:0.1"], source) for _ in range(50)} == {
        "xavier", "uniform:0.1",
    }  # fmt: skip


def test_the_command_searches_and_draws_the_race(data_dir, tmp_path, capsys):
    argv = ["compare", "--search", "hyperband,random", "--data", "blobs", "--data-dir", data_dir]
    argv += ["--lr", "log:0.001:1.0", "--width", "4,8", "--max-epochs", "2", "--eta", "2"]
    assert main([*argv, "--batch-size", "40", "--out", str(tmp_path / "s"), "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "  s=1: 2x1, 1x2\n  s=0: 2x2\n" in out
    assert re.search(
        r"^random: 4 runs, 8 epochs of training, best on validation \d+\.\d\d%$", out, re.M
    )
    assert "What each search had found" in (tmp_path / "s" / "report.html").read_text()


def test_a_race_by_the_loss_shows_losses_as_they_were_measured(data_dir, tmp_path):
    study = search.search(
        tmp_path / "s", methods=["random"], model="mlp", data="blobs", data_dir=data_dir,
        device="cpu", width=[2, 4, 8], lr="log:0.001:0.1", monitor="loss", mode="min",
        max_epochs=2, eta=2,
    )  # fmt: skip
    losses = [result.scores["val_loss"] for result in study.sweep]
    points = search.race(study)["random"]
    assert [score for _, score in points] == [min(losses[: n + 1]) for n in range(len(losses))]
    assert f"best on validation {min(losses):.4f}" in search.as_text(study)
    (figure,) = search.race_figure(study).values()
    (line,) = figure.axes[0].lines
    assert min(line.get_ydata()) == min(losses)
