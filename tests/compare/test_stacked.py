"""Runs that train as one model: each gives what it gives alone, and what cannot be one is not."""

import shutil
import sys

import pytest
from torch import nn

from dlcourse import models, optim
from dlcourse.compare import runner, stacked
from dlcourse.compare.result import Result
from dlcourse.compare.runner import Progress
from dlcourse.compare.settings import parse
from dlcourse.errors import UsageError


@pytest.fixture
def both(grid, tmp_path, monkeypatch):
    """The rows of a grid trained as one model and one by one."""

    def run(**settings):
        monkeypatch.setattr(stacked, "is_faster", lambda *args: True)
        together = grid(tmp_path / "together", **settings).results
        assert {row.together for row in together} == {len(together)}
        alone = grid(tmp_path / "alone", **settings, together=False).results
        assert {row.together for row in alone} == {1}
        return together, alone

    return run


def same(together, alone):
    for one, other in zip(together, alone, strict=True):
        assert one.settings == other.settings
        assert (one.status, one.best_epoch) == (other.status, other.best_epoch)
        assert one.scores == pytest.approx(other.scores, rel=1e-3, abs=1e-5), one.settings
        for epoch, alone_epoch in zip(one.epochs, other.epochs, strict=True):
            del epoch["seconds"], alone_epoch["seconds"]
            assert epoch == pytest.approx(alone_epoch, rel=1e-3, abs=1e-5), one.settings


def test_every_optimizer_and_initializer_gives_in_a_stack_what_it_gives_alone(both):
    same(*both(optimizer=list(optim.OPTIMIZERS), init=["xavier", "normal:0.1"]))


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "inverse", "lr": [0.01, 0.001]},
        {"schedule": "onecycle", "weight_decay": [0.0, 0.1]},
        {"patience": 1, "epochs": 5, "lr": [0.1, 0.0], "min_delta": 0.01},
        {"keep": "last", "random_labels": 0.5, "train_scores": True, "seeds": 2},
        {"keep": "last", "patience": 2, "epochs": 8, "lr": [0.3, 0.001]},
        {"monitor": "loss", "mode": "min", "depth": 2, "activation": "tanh", "seeds": 2},
        {"batch_norm": True, "optimizer": "sgd", "seeds": 2},
    ],
    ids=str,
)
def test_settings_mean_in_a_stack_what_they_mean_alone(both, settings):
    same(*both(**settings))


@pytest.fixture
def register():
    """Register a model for the time of a test."""
    names = []

    def add(name, build):
        models.register(name, build, input_size=(1, 8, 8))
        names.append(name)

    yield add
    for name in names:
        del models.MODELS[name]


def layers(width, *last):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 4), *last)


def test_frozen_weights_stay_frozen_where_runs_could_train_as_one(
    grid, register, tmp_path, monkeypatch
):
    monkeypatch.setattr(stacked, "is_faster", lambda *args: True)

    def frozen(width=8):
        net = layers(width)
        net[1].requires_grad_(False)
        return net

    register("frozen", frozen)
    together = grid(model="frozen", seeds=2).results
    alone = grid(tmp_path / "alone", model="frozen", seeds=2, together=False).results
    assert {row.together for row in together} == {1}
    same(together, alone)


def test_outputs_that_fit_refuses_are_refused_where_runs_could_train_as_one(
    grid, register, monkeypatch
):
    monkeypatch.setattr(stacked, "is_faster", lambda *args: True)
    register("softmax", lambda width=8: layers(width, nn.Softmax(-1)))
    with pytest.raises(UsageError, match="leave the last softmax of the model out"):
        grid(model="softmax", seeds=2)


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.skipif(
    sys.version_info[:3] == (3, 13, 0), reason="torch.compile needs Python 3.13.1 for a method"
)
def test_a_compiled_stack_gives_what_each_gives_alone(grid, tmp_path):
    # Adam would not notice gradients that are too large or too small alike.
    together = grid(tmp_path / "compiled", optimizer="sgd", seeds=2, compile=True).results
    alone = grid(tmp_path / "alone", optimizer="sgd", seeds=2, together=False).results
    for one, other in zip(together, alone, strict=True):
        assert (one.together, other.together) == (2, 1)
        assert one.scores == pytest.approx(other.scores, rel=1e-3, abs=1e-5)


def test_a_run_that_diverges_leaves_the_others_of_its_stack_alone(both):
    together, alone = both(optimizer="sgd", lr=[0.1, 1e30, 0.05])
    assert [row.status for row in together] == ["done", "diverged", "done"]
    same(together[::2], alone[::2])
    scores = [rows[1].scores["test_accuracy"] for rows in (together, alone)]
    assert scores[0] == pytest.approx(scores[1])
    assert alone[1].message.startswith("the loss is nan at step 2 of epoch 1")
    assert together[1].message == "the loss is nan at step 2 of epoch 1"


def test_a_model_that_cannot_be_stacked_trains_alone(grid, monkeypatch):
    monkeypatch.setattr(stacked, "is_faster", lambda *args: True)
    assert {row.together for row in grid(dropout=0.5, seeds=2).results} == {1}


def test_only_what_shares_every_step_shares_a_unit():
    def run(**changes):
        return parse({"model": "mlp", "data": "blobs", "seed": 0, **changes})

    differ = [run(), run(seed=1), run(init="zeros"), run(lr=0.1)]
    assert len(runner.units(differ, jobs=1)) == 1
    assert len(runner.units([run(), run(width=4)], jobs=1)) == 2
    assert len(runner.units(differ, jobs=1, together=False)) == 4
    many = [run(seed=seed) for seed in range(70)]
    made = runner.units(many, jobs=2)
    assert [len(unit) for unit in made] == [24, 24, 22]
    assert [one.seed for unit in made for one in unit] == list(range(70))
    assert not stacked.can_stack(run(clip_norm=1.0))
    assert stacked.can_stack(run(schedule="cosine"))
    assert not stacked.can_stack(run(schedule="halve"))


def test_an_epoch_of_the_stack_shows_every_model_its_own_order(grid, monkeypatch):
    monkeypatch.setattr(stacked, "is_faster", lambda *args: True)
    rows = grid(init="zeros", optimizer="sgd", seeds=2, depth=0).results
    # From equal weights only the order of the batches tells the seeds apart.
    assert rows[0].together == 2
    assert rows[0].scores["train_loss"] != rows[1].scores["train_loss"]


def test_progress_says_done_running_left_and_the_best_so_far(capsys):
    with Progress("runs", 4, 1, 2, True) as shown:
        shown.mininterval = 0
        settings = {"init": "xavier", "optimizer": "sgd", "lr": 0.1}
        shown.add(Result(settings, "done", {"val_accuracy": 0.75}))
        shown.add(Result(settings, "diverged", {"val_accuracy": 0.9}))
    said = capsys.readouterr().err
    assert "runs: 1/4 done, 2 running, 1 left, about" in said
    assert (
        "3/4 done, 1 running, 0 left, 1 went wrong, best validation accuracy 75.0% (xavier sgd 0.1)"
        in said
    )


def test_rounding_of_a_score_does_not_decide_which_epoch_is_best(both, monkeypatch):
    """A stack and a run alone cut the same sums differently, so equal scores differ by rounding."""
    made = stacked.score

    def shaken(stack, batches, metrics):
        scores = made(stack, batches, metrics)
        shaken.calls += 1
        return [
            {name: value * (1 + 1e-7 * (-1) ** shaken.calls) for name, value in one.items()}
            for one in scores
        ]

    shaken.calls = 0
    monkeypatch.setattr(stacked, "score", shaken)
    # With a learning rate of 0 every epoch has the same scores.
    together, alone = both(lr=[0.0, 0.01], epochs=4)
    assert [result.best_epoch for result in together] == [result.best_epoch for result in alone]
    assert together[0].best_epoch == 1
