"""Grids of runs: what can vary, what is fair, what a study's folder keeps, what is refused."""

import csv
import json
import pickle
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dlcourse import compare, init, models, optim, train
from dlcourse.cli import main
from dlcourse.compare import lr_search, report, runner, settings, table, train_run
from dlcourse.compare.grid import axes_of
from dlcourse.compare.result import Result
from dlcourse.compare.settings import Environment, parse
from dlcourse.compare.study import Journal, Study
from dlcourse.data import catalog, load
from dlcourse.errors import DataError, UnknownNameError, UsageError


@pytest.fixture
def environment(data_dir):
    return Environment(data_dir, device="cpu")


@pytest.fixture
def splits(environment):
    def cut(seed=0, **values):
        run = parse({"model": "mlp", "data": "blobs", "batch_size": 20, "seed": seed, **values})
        return train_run.splits(run, environment)

    return cut


def test_every_combination_runs_once_with_seeds_innermost(grid):
    study = grid(init=["zeros", "xavier"], optimizer=["sgd", "adam"], seeds=2)
    found = [
        tuple(r.settings[name] for name in ("init", "optimizer", "seed")) for r in study.results
    ]
    assert found == [
        (i, o, s) for i in ("zeros", "xavier") for o in ("sgd", "adam") for s in (0, 1)
    ]
    assert all(row.status == "done" for row in study.results)


def test_a_run_is_what_a_plain_call_of_fit_gives(grid, data_dir):
    row = grid(init="xavier", optimizer="momentum", seeds=[3], together=False).results[0]
    model = init.initialize(
        models.build("mlp", in_features=64, hidden_sizes=(8,), num_classes=4), "xavier", seed=3
    )
    splits = load("blobs", data_dir).batches(20, seed=3)
    history = train.fit(
        model, *splits[:2], epochs=2, optimizer="momentum", seed=3, device="cpu", progress=False
    )
    assert row.scores["train_loss"] == history["train_loss"][-1]
    assert row.scores["test_accuracy"] == train.evaluate(model, splits[2])["accuracy"]


def test_optimizers_of_one_seed_share_first_weights_and_the_order_of_the_data(environment, splits):
    values = {"model": "mlp", "data": "blobs", "init": "normal:0.1", "seed": 5}
    weights = [
        train_run.build(parse({**values, "optimizer": name}), environment).layers[1].weight
        for name in ("sgd", "adam")
    ]
    assert torch.equal(*weights)
    other = train_run.build(parse({**values, "seed": 6}), environment).layers[1].weight
    assert not torch.equal(weights[0], other)
    orders = [[targets.tolist() for _, targets in splits(seed)[0]] for seed in (5, 5, 6)]
    assert orders[0] == orders[1] != orders[2]


def test_every_seed_validates_and_tests_on_the_same_images(splits):
    for one, other in zip(splits(1)[1:], splits(2)[1:], strict=True):
        assert torch.equal(one.indices, other.indices)


def test_smaller_training_sets_are_parts_of_larger_ones(splits):
    small, large = (set(splits(train_size=n)[0].indices.tolist()) for n in (50, 120))
    assert len(small) == 50
    assert small < large
    with pytest.raises(UsageError, match="train_size must be at most 360 here, got 361"):
        splits(train_size=361)


def test_random_labels_touch_their_share_of_the_training_labels_only(splits):
    true = splits()[0].labels
    train, val, test = splits(random_labels=0.5)
    changed = (train.labels != true).nonzero().flatten()
    assert set(changed.tolist()) <= set(train.indices.tolist())
    # A quarter of the labels drawn anew are the true ones by chance.
    assert len(changed) / len(train.indices) == pytest.approx(0.5 * 0.75, abs=0.07)
    more = splits(random_labels=1.0)[0].labels
    assert torch.equal(more[changed], train.labels[changed])
    assert torch.equal(val.labels, true)
    assert torch.equal(test.labels, splits()[2].labels)


def test_the_test_split_is_read_once_a_run_and_never_by_the_search(grid, monkeypatch):
    read = []
    iterate = train_run.Batches.__iter__

    def noted(self):
        read.append((self.num_samples, self.shuffle))
        return iterate(self)

    monkeypatch.setattr(train_run.Batches, "__iter__", noted)
    grid(optimizer=["sgd", "adam"], lr="auto", seeds=2, together=False)
    assert sum(one == (120, False) for one in read) == 4


def test_auto_takes_the_best_of_the_same_factors_for_every_optimizer(grid):
    study = grid(optimizer=["sgd", "adam"], lr="auto", seeds=2, epochs=3)
    for name, usual in (("sgd", 0.1), ("adam", 0.001)):
        tried = [row for row in study.sweep if row.settings["optimizer"] == name]
        lrs = sorted(row.settings["lr"] for row in tried[: len(lr_search.FACTORS)])
        assert lrs == pytest.approx([usual * factor for factor in (0.1, 0.3, 1, 3, 10)])
        best = max(tried, key=lambda row: row.scores["val_accuracy"])
        taken = {r.settings["lr"] for r in study.results if r.settings["optimizer"] == name}
        assert taken == {best.settings["lr"]}
        assert all("test_accuracy" not in row.scores for row in tried)


def test_a_search_passes_over_what_diverged_and_prefers_the_usual_rate_in_a_tie():
    def row(lr, status, accuracy):
        return Result({"lr": lr}, status, {"val_accuracy": accuracy})

    rows = [row(0.1, "done", 0.5), row(0.3, "done", 0.5), row(1.0, "diverged", 0.9)]
    assert lr_search.best_lr(rows) == 0.1
    assert lr_search.best_lr([row(1.0, "diverged", 0.1), row(0.1, "diverged", 0.1)]) == 0.1
    losses = [
        Result({"lr": lr, "monitor": "loss", "mode": "min"}, "done", {"val_loss": loss})
        for lr, loss in ((0.1, 0.7), (0.3, 0.2))
    ]
    assert lr_search.best_lr(losses) == 0.3


def test_runs_that_diverge_are_kept_marked_and_counted(grid):
    study = grid(optimizer="sgd", lr=[0.1, 1e6], seeds=2, together=False)
    assert [row.status for row in study.results] == ["done", "done", "diverged", "diverged"]
    assert "the loss is" in study.results[2].message
    found = table.cells_of(study)
    assert (found[1].n, found[1].diverged) == (2, 2)
    assert "(2, 2 diverged)" in compare.as_text(study)
    assert "4 runs, 2 diverged or lost" in compare.as_text(study)


def test_a_run_that_fails_costs_only_itself(grid, monkeypatch):
    real = train.fit

    def breaks(model, *args, **kwargs):
        if kwargs["seed"] == 1:
            raise RuntimeError("planted")
        return real(model, *args, **kwargs)

    monkeypatch.setattr(train_run, "fit", breaks)
    study = grid(seeds=3, together=False)
    assert [row.status for row in study.results] == ["done", "failed", "done"]
    assert study.results[1].message == "RuntimeError: planted"
    cell = table.cells_of(study)[0]
    assert (cell.n, cell.lost) == (2, 1)
    assert "failed: RuntimeError: planted" in compare.as_text(study)


def test_mean_spread_and_n_are_those_of_the_seeds(grid):
    study = grid(seeds=3)
    values = torch.tensor([100 * row.scores["test_accuracy"] for row in study.results])
    cell = table.cells_of(study)[0]
    assert cell.mean == pytest.approx(values.mean().item())
    assert cell.std == pytest.approx(values.std().item())
    assert cell.n == 3


def test_names_come_with_their_formula_and_source(grid):
    text = compare.as_text(grid(init=["zeros", "normal:0.5"], optimizer=["sgd", "nadam"]))
    assert "init normal:0.5: w ~ N(0, 0.5^2)" in text
    assert "optimizer sgd: w -= lr g  (Robbins & Monro 1951)" in text
    assert "optimizer nadam" in text
    assert re.search(r"init \\ optimizer +sgd +nadam", text)


@pytest.mark.parametrize(
    "axis",
    [
        {"depth": [0, 2]},
        {"activation": ["relu", "tanh"]},
        {"dropout": [0.0, 0.5]},
        {"batch_norm": [False, True]},
        {"hidden_sizes": [(8,), (8, 4)], "width": None},
        {"batch_size": [10, 40]},
        {"schedule": [None, "cosine"]},
        {"weight_decay": [0.0, 0.1]},
        {"train_size": [50, 200]},
        {"random_labels": [0.0, 1.0]},
        {"keep": ["best", "last"]},
        {"model": ["mlp", "logistic_regression"], "width": None},
    ],
    ids=lambda axis: next(iter(axis)),
)
def test_an_argument_of_the_model_of_fit_or_of_the_data_is_an_axis(grid, small, axis):
    if axis.pop("width", 0) is None:
        del small["width"]
    study = grid(**axis)
    name, values = next(iter(axis.items()))
    assert [row.status for row in study.results] == ["done"] * 2
    assert [row.settings[name] for row in study.results] == values
    losses = [row.scores["train_loss"] for row in study.results]
    assert losses[0] != losses[1] or name == "keep"


def test_keep_last_keeps_the_last_weights(grid, small, data_dir):
    rows = grid(keep=["best", "last"], random_labels=1.0, epochs=6, together=False).results
    best, last = rows
    assert best.scores["val_accuracy"] == max(e["val_accuracy"] for e in best.epochs)
    assert last.scores["val_accuracy"] == last.epochs[-1]["val_accuracy"]
    assert len(last.epochs) == 6


@pytest.mark.parametrize("together", [True, False])
def test_keep_last_leaves_the_patience_as_it_is(grid, small, data_dir, together):
    study = grid(
        keep=["best", "last"], patience=2, monitor="loss", mode="min", epochs=30, lr=0.01,
        together=together,
    )  # fmt: skip
    losses = [[epoch["val_loss"] for epoch in result.epochs] for result in study.results]
    assert losses[0] == losses[1]
    assert 3 < len(losses[0]) < 30
    assert min(losses[0]) == losses[0][-3]
    assert [result.scores["val_loss"] for result in study.results] == [losses[0][-3], losses[0][-1]]


def test_a_folder_holds_a_row_a_run_in_csv_and_json_and_the_curves(grid, tmp_path):
    study = grid(init=["zeros", "xavier"], seeds=2)
    with (tmp_path / "study" / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["init"], row["seed"]) for row in rows] == [
        ("zeros", "0"), ("zeros", "1"), ("xavier", "0"), ("xavier", "1"),
    ]  # fmt: skip
    assert float(rows[2]["test_accuracy"]) == study.results[2].scores["test_accuracy"]
    lines = (tmp_path / "study" / "runs.jsonl").read_text().splitlines()
    assert {json.loads(line)["record"]["status"] for line in lines} == {"done"}
    with (tmp_path / "study" / "curves.csv").open(newline="") as file:
        curves = list(csv.DictReader(file))
    assert len(curves) == 4 * 2
    assert {row["run"] for row in curves} == {row["run"] for row in rows}
    about = json.loads((tmp_path / "study" / "study.json").read_text())["about"]
    assert about["data"].startswith("blobs from")
    assert about["versions"]["torch"] == torch.__version__


def test_rows_are_on_disk_before_the_next_run_starts(grid, tmp_path, monkeypatch):
    seen = []
    real = train_run.fit

    def looks(*args, **kwargs):
        path = tmp_path / "study" / "runs.csv"
        seen.append(len(path.read_text().splitlines()) if path.exists() else 0)
        return real(*args, **kwargs)

    monkeypatch.setattr(train_run, "fit", looks)
    grid(seeds=3, together=False)
    assert seen == [1, 2, 3]


def test_a_stopped_study_resumes_where_it_was_and_comes_to_the_same(
    grid, tmp_path, monkeypatch, capsys
):
    whole = grid(tmp_path / "whole", lr=[0.01, 0.001], seeds=2, together=False)
    real, calls = train_run.fit, []

    def stops(*args, **kwargs):
        calls.append(kwargs["seed"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(train_run, "fit", stops)
    with pytest.raises(KeyboardInterrupt):
        grid(lr=[0.01, 0.001], seeds=2, together=False)
    said = capsys.readouterr().err
    assert f"stopped; 2 finished runs are saved in {tmp_path / 'study'}, the same command" in said
    with (tmp_path / "study" / "runs.jsonl").open("ab") as file:
        file.write(b'{"key": "torn')
    resumed = grid(lr=[0.01, 0.001], seeds=2, together=False)
    assert len(calls) == 3 + 2
    assert [row.scores for row in resumed.results] == [row.scores for row in whole.results]


def test_a_finished_study_runs_nothing_again(grid, monkeypatch):
    first = grid(lr="auto", seeds=2)
    monkeypatch.setattr(runner, "run_unit", None)
    assert grid(lr="auto", seeds=2).results == first.results


def test_a_folder_of_another_study_is_never_overwritten(grid, tmp_path):
    grid(epochs=2)
    before = (tmp_path / "study" / "runs.jsonl").read_bytes()
    with pytest.raises(
        UsageError, match="holds another study: its epochs is 2, here 1; name anoth"
    ):
        grid(epochs=1)
    assert (tmp_path / "study" / "runs.jsonl").read_bytes() == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="holds other files; name an empty or a new folder"):
        grid(tmp_path / "other")


def test_a_study_is_read_back_as_it_was(grid, tmp_path):
    study = grid(optimizer="sgd", lr=[0.1, 1e6], seeds=2)
    again = compare.load(tmp_path / "study")
    assert compare.as_text(again) == compare.as_text(study)
    with pytest.raises(DataError, match="no study in"):
        compare.load(tmp_path / "nowhere")
    (tmp_path / "study" / "study.json").write_text("{")
    with pytest.raises(DataError, match="holds no readable study"):
        compare.load(tmp_path / "study")


def test_two_studies_are_laid_side_by_side(grid, tmp_path):
    one = grid(tmp_path / "one", init=["zeros", "xavier"], epochs=1)
    other = grid(tmp_path / "other", init=["xavier", "lecun"], epochs=3)
    text = compare.beside(one, other)
    pair = other.results[0], one.results[1]
    difference = 100 * pair[0].scores["test_accuracy"] - 100 * pair[1].scores["test_accuracy"]
    assert "epochs: 1 | 3" in text
    assert re.search(rf"init=xavier .*{re.escape(f'{difference:+.4g}')}", text)
    assert re.search(r"init=lecun +\d", text)


def test_a_study_that_goes_on_keeps_its_beginning_and_says_what_changed(grid, tmp_path, capsys):
    grid()
    path = tmp_path / "study" / "study.json"
    saved = json.loads(path.read_text())
    saved["about"]["versions"]["torch"], saved["about"]["device"] = "1.0", "cuda"
    path.write_text(json.dumps(saved))
    study = grid()
    assert study.about == saved["about"]
    assert capsys.readouterr().err == (
        f"dlcourse: the finished runs in '{tmp_path / 'study'}' stay as they are; they were made "
        f"with device cuda (now cpu), torch 1.0 (now {torch.__version__})\n"
    )


def test_data_of_one_name_from_two_places_are_named_beside_each_other(grid, data_dir, tmp_path):
    shutil.copy(Path(data_dir, "blobs.npz"), tmp_path)
    one, other = grid(tmp_path / "one"), grid(tmp_path / "other", data_dir=str(tmp_path))
    assert f"data: blobs from {data_dir}/blobs.npz | blobs from {tmp_path}" in compare.beside(
        one, other
    )
    assert "data: " not in compare.beside(one, one)


def test_a_study_does_not_go_on_with_other_data(grid, data_dir, tmp_path):
    source = Path(data_dir, "blobs.npz")
    shutil.copy(source, tmp_path)
    first = grid(seeds=1)
    assert grid(data_dir=str(tmp_path)).results == first.results  # the same data, elsewhere
    arrays = dict(np.load(source))
    arrays["test_labels"] = arrays["test_labels"][::-1].copy()
    np.savez(tmp_path / "blobs.npz", **arrays)
    with pytest.raises(UsageError, match="holds results from before its data blobs changed; name"):
        grid(data_dir=str(tmp_path))


def test_a_study_does_not_go_on_with_another_model_of_the_same_name(grid):
    def one(num_classes=4, width=3):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))

    def other(num_classes=4, width=3):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, num_classes))

    def study(build, **settings):
        models.register("mine", build, input_size=(1, 8, 8), **settings)
        try:
            return grid(model="mine", width=3)
        finally:
            del models.MODELS["mine"]

    first = study(one)
    assert study(one).results == first.results
    for build, changed in ((other, {}), (one, {"width": 5})):
        with pytest.raises(UsageError, match="results from before its model mine changed; name"):
            study(build, **changed)


def test_the_journal_writes_a_column_that_only_a_later_row_has(tmp_path):
    journal = Journal(tmp_path, "runs")
    rows = [Result({"seed": 0}, "failed"), Result({"seed": 1}, "done", {"test_accuracy": 0.5})]
    for row in rows:
        journal.add(row.key, row)
    journal.close()
    with (tmp_path / "runs.csv").open(newline="") as file:
        assert [row["test_accuracy"] for row in csv.DictReader(file)] == ["", "0.5"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "mpl"}, "unknown model 'mpl'; did you mean 'mlp'?"),
        ({"data": "blob"}, "unknown data set 'blob'; did you mean 'blobs'?"),
        ({"init": ["xavier", "kamiing"]}, "unknown initializer 'kamiing'; did you mean 'kaiming'?"),
        ({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'?"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin'; did you mean 'cosine'?"),
        ({"dropuot": 0.5}, "unknown axis for model 'mlp': 'dropuot'; did you mean 'dropout'?"),
        ({"model": "lenet5", "depth": 2}, "unknown axis for model 'lenet5': "),
        ({"init": []}, "axis 'init' has no values: the grid is empty"),
        ({"lr": [0.1, 0.1]}, "axis 'lr' has 0.1 twice"),
        ({"lr": [1, 0.1, 1.0]}, "axis 'lr' has 1.0 twice"),
        ({"width": None, "hidden_sizes": [[8], [9], [8]]}, "axis 'hidden_sizes' has [8] twice"),
        ({"lr": -1}, "lr must be a number of at least 0, got -1"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number of at least 1, got 2.5"),
        ({"random_labels": 1.5}, "random_labels must be a number from 0 to 1, got 1.5"),
        ({"keep": "frist"}, "unknown keep 'frist'"),
        ({"monitor": "acuracy"}, "unknown monitor 'acuracy'; did you mean 'accuracy'?"),
        ({"dropout": 2}, "dropout must be at least 0 and below 1, got 2"),
        ({"activation": "rellu"}, "unknown activation 'rellu'; did you mean 'relu'?"),
        ({"depth": "x"}, "depth must be a whole number of at least 0, got 'x'"),
        ({"hidden_sizes": (8,)}, "give hidden_sizes or width, not both"),
        ({"seed": 3}, "seed is not an axis: seeds=3 gives 0, 1, 2"),
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"jobs": 0}, "jobs must be a whole number of at least 1, got 0"),
    ],
    ids=str,
)
def test_a_grid_that_cannot_be_is_refused_before_anything_runs(grid, tmp_path, settings, message):
    with pytest.raises(UsageError) as caught:
        grid(**settings)
    assert message in str(caught.value)
    assert isinstance(caught.value, UnknownNameError) == message.startswith("unknown")
    assert not (tmp_path / "study").exists()


def test_a_grid_of_ten_thousand_runs_says_its_cost_and_waits_for_a_yes(grid, tmp_path):
    with pytest.raises(UsageError) as caught:
        grid(lr=[0.001 * i for i in range(1, 101)], weight_decay=[0.01 * i for i in range(100)])
    assert re.fullmatch(
        r"the grid has 10,000 runs of about [\d.]+ s: [\d.]+ (s|min|h) on 1 process; "
        r"add --yes to start, or drop values",
        str(caught.value),
    )
    assert not (tmp_path / "study").exists()


def test_words_of_the_command_line_become_values():
    assert settings.parse_values("zeros,normal:0.01, 3,0.5,1e-3,true,none,256x128,10") == [
        "zeros", "normal:0.01", 3, 0.5, 0.001, True, None, (256, 128), 10,
    ]  # fmt: skip
    assert axes_of({"a": [1, 2], "b": (1, 2)}, 1) == {"a": [1, 2], "b": [(1, 2)], "seed": [0]}


@pytest.mark.parametrize("text", ["0.1,,0.2", "0.1,", ",", " , 1"])
def test_an_empty_value_between_commas_is_refused(text):
    with pytest.raises(UsageError, match=r" has an empty value between its commas$"):
        settings.parse_values(text)


def test_the_command_runs_a_grid_and_prints_its_table(data_dir, tmp_path, capsys):
    argv = ["compare", "--data", "blobs", "--data-dir", data_dir, "--out", str(tmp_path / "s")]
    argv += ["--device", "cpu", "--init", "zeros,xavier", "--optimizer", "sgd,adam"]
    argv += ["--seeds", "2", "--epochs", "2", "--batch-size", "20", "--axis", "hidden-sizes=8x4"]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert "test_accuracy in percent: mean ± standard deviation (n) over seeds, 8 runs" in out
    assert err == ""
    assert main(["compare", "--beside", str(tmp_path / "s"), str(tmp_path / "s")]) == 0
    assert "+0" in capsys.readouterr().out
    assert main([*argv[:-1], "hidden_sizes"]) == 2
    assert "--axis must be NAME=VALUE,VALUE,..., got 'hidden_sizes'" in capsys.readouterr().err
    assert main([*argv, "--executor", "slurm"]) == 2
    assert "unknown executor 'slurm'; expected dask:ADDRESS" in capsys.readouterr().err


def test_a_study_whose_runs_were_all_lost_exits_1_and_says_why(
    data_dir, tmp_path, capsys, monkeypatch
):
    def broken(*args, **kwargs):
        raise RuntimeError("planted")

    monkeypatch.setattr(train_run, "fit", broken)
    argv = ["compare", "--data", "blobs", "--data-dir", data_dir, "--device", "cpu"]
    argv += ["--epochs", "1", "--lr", "0.1,0.2", "--out", str(tmp_path / "s"), "--no-together"]
    assert main(argv) == 1
    assert "  failed: RuntimeError: planted (2 runs)\n" in capsys.readouterr().out
    page = (tmp_path / "s" / "report.html").read_text()
    assert "No run of this study has a score." in page
    assert "<li>failed: RuntimeError: planted (2 runs)</li>" in page
    assert main(["compare", "--report", str(tmp_path / "s")]) == 1


def test_an_experiment_whose_runs_were_all_lost_decides_nothing(
    data_dir, tmp_path, capsys, monkeypatch
):
    def broken(*args, **kwargs):
        raise RuntimeError("planted")

    monkeypatch.setattr(train_run, "fit", broken)
    argv = ["compare", "dropout", "--tiny", "--data", "blobs", "--data-dir", data_dir]
    argv += ["--device", "cpu", "--train-size", "60", "--limit", "none", "--no-together"]
    assert main([*argv, "--out", str(tmp_path / "s")]) == 1
    assert "Expected outcome not decided: no run has a score" in capsys.readouterr().out


def test_a_wrong_argument_found_in_a_run_ends_the_study(grid, monkeypatch):
    def refuses(*args, **kwargs):
        raise UnknownNameError("thing", "a", ["b"])

    monkeypatch.setattr(train_run, "fit", refuses)
    with pytest.raises(UsageError, match="unknown thing 'a'"):
        grid(seeds=2, together=False)
    # The error must come back from another process too.
    error = pickle.loads(pickle.dumps(caught(lambda: grid(seeds=2, together=False))))
    assert str(error).startswith("unknown thing 'a'")


def caught(call):
    try:
        call()
    except UsageError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "lenet5"}, "model 'lenet5' cannot take the images (1, 8, 8) of blobs: inputs"),
        ({"model": "lstm_lm"}, "; a comparison of language models needs a text"),
        ({"model": "mlp", "num_classes": 3}, "it returns (2, 3), expected (2, 4)"),
        ({"data": "ptb"}, "data set 'ptb' is text; a comparison of classifiers needs images"),
        ({"train_size": 401}, "train_size must be at most 400 here, got 401"),
        ({"val_fraction": 0}, "val_fraction must be above 0"),
        ({"batch_norm": "maybe"}, "batch_norm must be true or false, got 'maybe'"),
        ({"patience": 0}, "patience must be a whole number of at least 1, got 0"),
        ({"width": 2.5}, "width must be a whole number of at least 1, got 2.5"),
        ({"metrics": "top5"}, "monitor 'accuracy' is not measured; name it in metrics (top5), or"),
    ],
    ids=str,
)
def test_a_model_that_cannot_take_the_data_is_refused_before_the_first_run(
    small, tmp_path, settings, message
):
    if settings.get("model", "mlp") != "mlp":
        del small["width"]
    with pytest.raises(UsageError) as error:
        compare.grid(tmp_path / "study", **{**small, **settings})
    assert message in str(error.value)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--lr -1", "lr must be a number of at least 0, got -1"),
        ("--lr -1,0.1", "lr must be a number of at least 0, got -1"),
        ("--weight-decay -1e-3,0", "weight_decay must be a number of at least 0, got -0.001"),
        ("--weight-decay -inf", "weight_decay must be a number of at least 0, got '-inf'"),
        ("--lr -x", "argument --lr: expected one argument"),
        ("--max-epochs 3", "--max-epochs has no effect with a grid without --search"),
        ("--report x --seeds 3", "--seeds has no effect with --report; leave one of them out"),
        ("--beside x y --epochs 3", "--epochs has no effect with --beside"),
        ("depth --search random", "give --search or EXPERIMENT, not both"),
        ("--lr 0.1 --axis lr=0.2", "lr is given twice, by --axis and by --lr"),
        ("--jobs 0", "jobs must be a whole number of at least 1, got 0"),
    ],
)
def test_flags_that_make_no_sense_are_refused_by_name(flags, message, data_dir, capsys):
    argv = ["compare", "--data-dir", data_dir] if "--report" in flags else ["compare"]
    assert main([*argv, *flags.split()]) == 2
    assert message in capsys.readouterr().err


def test_the_search_of_a_learning_rate_goes_on_until_the_best_is_inside():
    run = parse({"model": "mlp", "data": "blobs", "optimizer": "adam", "lr": "auto", "seed": 0})
    results = {}

    def play(best):
        results.clear()
        while trials := lr_search.next_trials([run], results):
            for trial in trials:
                lr = trial.values["lr"]
                score = -abs(torch.tensor(lr / best).log10().item())
                results[trial.key] = Result(trial.values, "done", {"val_accuracy": score})
        return sorted(result.settings["lr"] for result in results.values())

    # Adam's usual learning rate is 0.001.
    assert play(0.001) == [0.0001, 0.0003, 0.001, 0.003, 0.01]
    assert play(0.03) == [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]
    assert lr_search.with_best([run], results)[0].values["lr"] == 0.03
    assert play(1e-9)[0] == 1e-6
    study = Study(tmp := Path("s"), {"lr": ["auto"], "seed": [0]}, [], list(results.values()))
    assert lr_search.edge_notes(study) == [
        "lr: the best learning rate, 1e-06, lies at the edge of the widest search (1e-06 to 0.01)"
    ]
    assert study.folder == tmp


def test_a_page_shows_the_learning_rate_and_the_defaults_that_were_used(grid):
    study = grid(optimizer=["sgd", "adam"])
    assert [result.used["lr"] for result in study.results] == [0.1, 0.001]
    page = report.write_report(study).read_text()
    assert "usual" not in page
    assert ">0.1</td>" in page
    assert ">0.001</td>" in page
    assert "dropout = 0.0; " in page
    assert re.search(r"sgd +0\.1 ", compare.as_text(study))


def test_the_difference_of_two_studies_is_paired_by_seed_with_its_spread(grid, tmp_path):
    one = grid(tmp_path / "one", lr=0.01, seeds=[0, 1, 2])
    other = grid(tmp_path / "other", lr=0.1, seeds=[1, 2, 3])
    pairs = torch.tensor(
        [
            100 * (b.scores["test_accuracy"] - a.scores["test_accuracy"])
            for a, b in zip(one.results[1:], other.results[:2], strict=True)
        ]
    )
    text = compare.beside(one, other)
    assert "test_accuracy in percent: mean ± standard deviation (n) over seeds" in text
    assert f"{pairs.mean():+.4g}±{pairs.std():.2g} (2)" in text
    loss = grid(tmp_path / "loss", monitor="loss", mode="min")
    with pytest.raises(UsageError, match=r"judged by different scores: .* by test_accuracy, "):
        compare.beside(one, loss)


def test_no_file_of_a_study_holds_infinity(grid, tmp_path):
    grid(optimizer="sgd", lr=[0.1, 1e30], keep="last", seeds=2)
    for path in (tmp_path / "study").glob("*.json*"):
        assert not re.search(r"Infinity|NaN", path.read_text()), path


class PlainDescent(torch.optim.Optimizer):
    """An optimizer that does not know `weight_decay`."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] * parameter.grad


def test_a_registered_model_optimizer_schedule_and_data_set_are_compared(grid, data_dir, tmp_path):
    blobs = load("blobs", data_dir)
    models.register("own_model", models.MLP, hidden_sizes=(8,))
    optim.register("plain_descent", PlainDescent, lr=0.1)
    optim.register_schedule("own_schedule", lambda optimizer, steps: optim.linear(optimizer, steps))
    catalog.register("own_data", lambda: blobs)
    try:
        own = grid(
            tmp_path / "own", model="own_model", optimizer="plain_descent", schedule="own_schedule",
            data="own_data", width=8, seeds=2,
        )  # fmt: skip
    finally:
        for names, name in (
            (models.MODELS, "own_model"), (optim.OPTIMIZERS, "plain_descent"),
            (optim.SCHEDULES, "own_schedule"), (catalog.REGISTERED, "own_data"),
        ):  # fmt: skip
            names.pop(name, None)
    usual = grid(tmp_path / "usual", optimizer="sgd", schedule="linear", together=False, seeds=2)
    for one, other in zip(own.results, usual.results, strict=True):
        assert one.scores == pytest.approx(other.scores, rel=1e-4)
        assert (one.lr, one.used["weight_decay"]) == (0.1, None)


def test_a_setting_that_the_optimizer_does_not_take_is_refused_before_the_first_run(grid, tmp_path):
    optim.register("plain_descent", PlainDescent, lr=0.1)
    try:
        with pytest.raises(UsageError, match=r"optimizer 'plain_descent': .*weight_decay"):
            grid(optimizer="plain_descent", weight_decay=0.1)
    finally:
        del optim.OPTIMIZERS["plain_descent"]
    assert not (tmp_path / "study").exists()


def test_a_score_has_the_digits_that_its_test_set_can_tell(grid):
    # 120 test images: the standard error of 50 % is 4.6 points, of 98 % on 10,000 it is 0.14.
    assert table.binomial_error(50.0, 120) == pytest.approx(4.6, abs=0.1)
    assert [table.digits_of(*case) for case in [(50.0, 120), (98.0, 10_000), (9.0, 0)]] == [
        0, 1, None,
    ]  # fmt: skip
    study = grid(seeds=2)
    (cell,) = table.cells_of(study)
    assert study.results[0].test_size == 120
    assert re.fullmatch(r"\d+±(\d+|0\.\d+|\d\.\d) \(2\)", cell.text)
    assert "note: a score counts 120 test images, so it has a binomial standard error of" in (
        compare.as_text(study)
    )


def test_a_reader_follows_few_calls_from_the_command_to_a_row(tmp_path, data_dir):
    """Files, and calls from a function of one file to one of another, until the row is written."""
    package = str(Path(compare.__file__).parent)
    calls, files = set(), set()

    def note(frame, event, _):
        code, caller = frame.f_code, frame.f_back
        if event != "call" or not code.co_filename.startswith(package):
            return
        while caller is not None and not caller.f_code.co_filename.startswith(package):
            caller = caller.f_back
        files.add(code.co_filename)
        if caller is not None and caller.f_code.co_filename != code.co_filename:
            calls.add((caller.f_code, code))
        if code is Journal.add.__code__:
            sys.setprofile(None)

    command = ["compare", "--data", "blobs", "--data-dir", data_dir, "--out", str(tmp_path / "s")]
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        main([*command, "--epochs", "1", "--lr", "0.1", "--seeds", "1", "--no-together"])
    finally:
        sys.setprofile(before)
    assert len(calls) <= 40, [(caller.co_name, code.co_name) for caller, code in calls]
    assert 5 < len(files) <= 18
