"""The lectures' experiments: each can start, each verdict can go both ways, one from end to end."""

import math
from types import SimpleNamespace

import pytest
import torch

from dlcourse.cli import main
from dlcourse.compare.grid import axes_of, expand
from dlcourse.compare.lectures import catalog
from dlcourse.compare.lectures.catalog import EXPERIMENTS
from dlcourse.compare.lectures.experiment import Answer, Claim
from dlcourse.compare.result import Result
from dlcourse.compare.settings import Environment
from dlcourse.compare.study import Study

NAMES = (
    "initialization", "optimizers", "schedules", "batch-size", "batch-norm", "depth", "dropout",
    "early-stopping", "random-labels", "width",
)  # fmt: skip


def grid_of(name, size):
    experiment = EXPERIMENTS[name]
    settings = {**experiment.grid, **(experiment.tiny if size == "tiny" else {})}
    seeds = max(3, settings.pop("seeds"))  # one seed decides nothing
    return axes_of(settings, seeds)


def study(tmp_path, name, scores, **fields):
    """The tiny study of `name` whose runs have the scores that `scores` makes of their settings."""
    grid = grid_of(name, "tiny")
    runs = [{}]
    for axis, values in grid.items():
        runs = [{**run, axis: value} for run in runs for value in values]
    results = [
        Result(run, "done", scores(run), **{k: f(run) for k, f in fields.items()}) for run in runs
    ]
    return Study(tmp_path, grid, results)


def judged(study, name):
    return EXPERIMENTS[name].judge(study, Environment(device="cpu"))


def test_the_experiments_are_listed_with_lecture_and_expected_outcome(capsys):
    assert main(["compare", "--list"]) == 0
    out = capsys.readouterr().out
    assert tuple(EXPERIMENTS) == NAMES
    for experiment in EXPERIMENTS.values():
        assert f"{experiment.name:<16}lecture {experiment.lecture}" in out
        assert experiment.expected in out
        assert experiment.expected.count(". ") == 0
        assert experiment.expected.endswith(".")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("initialization --init xavier,kaiming", "init, with normal:0.01, normal:1, xavier"),
        ("optimizers --optimizer adam", "optimizer, with sgd, momentum among them, got adam"),
        ("schedules --schedule cosine,linear", "schedule, with none among them"),
        ("batch-size --batch-size 16", "batch_size, to compare, got 16"),
        ("batch-norm --batch-norm true", "batch_norm, with False, True among them"),
        ("depth --model plain20,plain56", "model, with plain20, plain56, resnet20, resnet56"),
        ("dropout --dropout 0.2,0.5", "dropout, with 0.0 among them"),
        ("dropout --lr 0.1,0.01", "dropout takes one value of lr, got 2: it compares dropout"),
        ("early-stopping --axis keep=last", "keep, with best, last among them"),
        ("random-labels --random-labels 0,0.5", "random_labels, with 0.0, 1.0 among them"),
        ("width --width 4", "width, to compare, got 4"),
        ("width --depth 1,2", "width takes one value of depth, got 2"),
    ],
)
def test_settings_that_leave_an_experiment_without_an_answer_are_refused_before_it_runs(
    flags, said, tmp_path, capsys
):
    assert main(["compare", *flags.split(), "--tiny", "--out", str(tmp_path / "s")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "s").exists()


def test_every_experiment_says_what_it_needs_and_has_it():
    for name in NAMES:
        for size in ("tiny", "full"):
            EXPERIMENTS[name].check(grid_of(name, size))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", ["tiny", "full"])
def test_every_run_of_an_experiment_can_start(name, size, monkeypatch):
    shapes = {"mnist": (1, 1, 28, 28), "cifar10": (1, 3, 32, 32)}
    monkeypatch.setattr(
        "dlcourse.compare.train_run.load",
        lambda name, *rest: SimpleNamespace(
            train_images=torch.empty(60000, *shapes[name][1:], device="meta"), num_classes=10
        ),
    )
    assert expand(grid_of(name, size), Environment(device="cpu"))


@pytest.mark.parametrize(
    ("name", "expected", "otherwise"),
    [
        (
            "schedules",
            lambda run: {"test_loss": 1.0 if run["schedule"] is None else 0.5},
            lambda run: {"test_loss": {None: 1.0, "cosine": 1.1}.get(run["schedule"], 0.5)},
        ),
        (
            "batch-size",
            lambda run: {"train_loss": run["batch_size"]},
            lambda run: {"train_loss": -run["batch_size"]},
        ),
        (
            "batch-norm",
            lambda run: {"test_accuracy": 0.8 if run["batch_norm"] or run["init"] else 0.1}
            | ({} if run["batch_norm"] else {"test_accuracy": 0.1}),
            lambda run: {"test_accuracy": 0.8},
        ),
        (
            "depth",
            lambda run: {"train_loss": 2.0 if run["model"] == "plain56" else 1.0},
            lambda run: {"train_loss": 2.0 if run["model"] == "resnet56" else 1.0},
        ),
        (
            "dropout",
            lambda run: {"test_loss": 1 - run["dropout"]},
            lambda run: {"test_loss": 1 + run["dropout"]},
        ),
        (
            "random-labels",
            lambda run: {"train_accuracy": 1.0, "test_accuracy": 0.9 - 0.8 * run["random_labels"]},
            lambda run: {"train_accuracy": 1 - run["random_labels"], "test_accuracy": 0.1},
        ),
        (
            "width",
            lambda run: {"test_loss": 2 - abs(math.log2(run["width"]) - 2) / 4,
                         "train_accuracy": 0.9},
            lambda run: {"test_loss": 2 - math.log2(run["width"]) / 10, "train_accuracy": 0.9},
        ),
    ],
)  # fmt: skip
def test_a_verdict_follows_the_scores(name, expected, otherwise, tmp_path):
    def epochs(run):
        return [{"epoch": 1, "train_loss": 0.4 + run.get("random_labels", 0)}]

    def filled(scores):
        return lambda run: (
            {"train_loss": 0.0, "train_accuracy": 0.5, "test_accuracy": 0.5} | (scores(run))
        )

    answer = judged(study(tmp_path, name, filled(expected), epochs=epochs), name)
    assert answer.outcome == "confirmed", answer.found
    answer = judged(study(tmp_path, name, filled(otherwise), epochs=epochs), name)
    assert answer.outcome == "not confirmed", answer.found


@pytest.mark.parametrize(("turn", "outcome"), [(5, "confirmed"), (99, "not decided")])
def test_early_stopping_needs_a_loss_that_rises_before_the_end(turn, outcome, tmp_path):
    epochs = EXPERIMENTS["early-stopping"].tiny["epochs"]
    made = study(
        tmp_path,
        "early-stopping",
        lambda run: {"test_loss": 0.8 if run["keep"] == "best" else 1.0},
        best_epoch=lambda run: min(turn, epochs),
    )
    answer = judged(made, "early-stopping")
    assert answer.outcome == outcome, answer.found


def test_lectures_claims_about_ten_layers_are_measured_not_taken_from_the_runs(
    data_dir, tmp_path, monkeypatch
):
    monkeypatch.setattr(catalog, "STEPS", 1)
    monkeypatch.setattr(catalog.activations, "layer_histograms", lambda cases, what: None)
    made = study(tmp_path, "initialization", lambda run: {})
    made.grid["data"], made.grid["seed"] = ["blobs"], [0, 1]
    answer = EXPERIMENTS["initialization"].judge(made, Environment(data_dir, device="cpu"))
    assert answer.outcome == "confirmed", answer.found
    assert len(answer.figures) == 10


def test_an_experiment_runs_by_name_and_says_whether_the_outcome_is_confirmed(
    data_dir, tmp_path, capsys
):
    out = tmp_path / "study"
    argv = ["compare", "random-labels", "--tiny", "--data", "blobs", "--data-dir", data_dir]
    argv += ["--out", str(out), "--device", "cpu", "--train-size", "60", "--limit", "none"]
    assert main([*argv, "--epochs", "10", "--seeds", "2"]) == 0
    text = capsys.readouterr().out
    assert f"Expected: {EXPERIMENTS['random-labels'].expected}" in text
    # Four classes: a guess is right for one in four, above the fifth that ten classes allow.
    assert "Expected outcome not decided: nine in ten random labels are learned" in text
    page = (out / "report.html").read_text()
    assert "<h1>random-labels (A: the randomization test (Zhang et al. 2017))</h1>" in page
    assert "Expected outcome not decided.</strong>" in page
    (out / "report.html").unlink()
    assert main(["compare", "--report", str(out), "--data-dir", data_dir]) == 0
    assert "Expected outcome not decided: nine in ten" in capsys.readouterr().out
    assert "<li>nine in ten random labels" in (out / "report.html").read_text()
    lines = (out / "runs.jsonl").read_text().splitlines(keepends=True)
    (out / "runs.jsonl").write_text(lines[0])
    assert main(["compare", "--report", str(out), "--data-dir", data_dir]) == 0
    assert "Expected outcome" not in (out / "report.html").read_text()
    (out / "runs.jsonl").write_text("")
    assert main(["compare", "--report", str(out)]) == 2
    assert f"no run of the study {out} is finished" in capsys.readouterr().err
    assert main(["compare", "random-lables"]) == 2
    assert "unknown experiment 'random-lables'; did you mean 'random-labels'?" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("margins", "holds"),
    [
        ([0.5], None),  # n = 1 has no spread
        ([0.5, 0.6, 0.55], True),
        ([-0.5, -0.6, -0.55], False),
        ([0.5, -0.4, 0.1], None),
        ([0.5, math.nan, 0.5], None),
        # Mean 1, standard deviation 0.5, n = 3: half the interval is 4.303 * 0.5 / sqrt(3) = 1.24.
        ([0.5, 1.0, 1.5], None),
        # The same with n = 4 and a standard deviation of 0.5: 3.182 * 0.5 / 2 = 0.80.
        ([1 - 0.4330127, 1 - 0.4330127, 1 + 0.4330127, 1 + 0.4330127], True),
    ],
)
def test_a_claim_is_decided_only_if_the_spread_over_seeds_leaves_out_zero(margins, holds):
    assert Claim("a", margins).holds is holds


def test_an_outcome_needs_every_claim_and_one_that_fails_is_enough_against_it():
    yes, no, open_ = Claim("a", [1, 1.1]), Claim("b", [-1, -1.1]), Claim("c", [1])
    assert Answer([yes, yes], "").outcome == "confirmed"
    assert Answer([yes, open_], "").outcome == "not decided"
    assert Answer([yes, open_, no], "").outcome == "not confirmed"
    assert Answer([], "").outcome == "not decided"
    assert "c: not decided (margin 1, n = 1)" in Answer([open_], "").found


def test_a_run_without_a_score_leaves_the_worst_start_open(tmp_path):
    def scores(run):
        lost = (run["seed"], run["init"], run["batch_norm"]) == (0, "kaiming", False)
        return {} if lost else {"test_accuracy": 0.8 if run["batch_norm"] else 0.1}

    assert judged(study(tmp_path, "batch-norm", scores), "batch-norm").outcome == "not decided"


def test_one_seed_decides_nothing_about_depth(tmp_path):
    made = study(tmp_path, "depth", lambda run: {"train_loss": 2.0, "train_accuracy": 0.5})
    made.grid["seed"] = [0]
    made.results = [one for one in made.results if one.settings["seed"] == 0]
    assert judged(made, "depth").outcome == "not decided"


def test_batch_sizes_are_compared_from_small_to_large_in_whatever_order_they_are_given(tmp_path):
    found = study(tmp_path, "batch-size", lambda run: {"train_loss": run["batch_size"] / 100})
    found.grid["batch_size"] = [256, 16, 64]
    answer = judged(found, "batch-size")
    texts = [claim.text for claim in answer.claims]
    assert texts == ["16 ends lower than 64", "64 ends lower than 256"]


def test_the_share_dropped_is_chosen_by_the_validation_loss(tmp_path):
    losses = {0.0: (1.0, 1.0), 0.2: (0.7, 0.9), 0.5: (0.8, 0.5)}
    found = study(
        tmp_path, "dropout",
        lambda run: dict(zip(("val_loss", "test_loss"), losses[run["dropout"]], strict=True)),
    )  # fmt: skip
    assert judged(found, "dropout").claims[0].text.startswith("dropout 0.2 ends")


def test_a_run_that_diverged_does_not_count_as_soon_to_fit_or_to_be_best(tmp_path):
    scores = {"train_accuracy": 1.0, "test_accuracy": 0.1, "test_loss": 1.0}
    for name, axis, value in (
        ("random-labels", "random_labels", 0.0), ("early-stopping", "keep", "best")
    ):  # fmt: skip
        found = study(
            tmp_path, name, lambda run: scores,
            epochs=lambda run: [{"epoch": epoch, "train_loss": 1.0} for epoch in range(1, 31)],
            best_epoch=lambda run: 9,
        )  # fmt: skip
        last = next(one for one in reversed(found.results) if one.settings[axis] == value)
        last.status, last.epochs, last.best_epoch = "diverged", last.epochs[:2], 0
        claim = judged(found, name).claims[-1]
        assert claim.holds is None, claim.measured
        assert math.isnan(claim.margins[-1])


@pytest.mark.parametrize("order", [[0.0, 0.2, 0.5], [0.5, 0.2, 0.0]])
def test_a_share_with_a_lost_run_is_not_the_best(order, tmp_path):
    losses = {0.0: 1.0, 0.2: 0.9, 0.5: math.nan}
    found = study(
        tmp_path, "dropout",
        lambda run: {"val_loss": losses[run["dropout"]], "test_loss": losses[run["dropout"]]},
    )  # fmt: skip
    found.grid["dropout"] = order
    assert judged(found, "dropout").outcome == "confirmed"
