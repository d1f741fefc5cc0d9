"""Studies of language models on a text: perplexity, equal time, and what they refuse."""

import math

import pytest

from dlcourse import compare, data, models
from dlcourse.cli import main
from dlcourse.compare.grid import expand
from dlcourse.compare.settings import Environment, parse
from dlcourse.compare.train_run import TimeLimit, splits
from dlcourse.errors import UsageError
from dlcourse.train import evaluate, fit


@pytest.fixture(scope="module")
def text_dir(tmp_path_factory):
    """A folder with words.txt, in which each word is known from the one before."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "words.txt").write_text("a b c d e f g\n" * 150)
    return str(folder)


@pytest.fixture(scope="module")
def settings(text_dir):
    return {
        "data": "words", "epochs": 4, "batch_size": 4, "bptt": 8, "hidden_size": 12, "lr": 0.02,
        "data_dir": text_dir, "device": "cpu", "offline": True,
    }  # fmt: skip


@pytest.fixture(scope="module")
def study(settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "s"
    return compare.grid(out, model=["elman_lm", "gru_lm"], seeds=2, **settings)


def test_language_models_are_judged_by_their_perplexity_on_the_test_text(study):
    assert [result.status for result in study.results] == ["done"] * 4
    # Eight tokens that follow each other: guessing has a perplexity of 8, knowing one of 1.
    for result in study.results:
        assert 1 < result.scores["test_perplexity"] < 8
        assert result.lower_is_better
        assert result.used["vocab_size"] == 9  # with <unk>
        assert "val_fraction" not in result.used
    assert "test_perplexity: mean ± standard deviation (n) over seeds" in compare.as_text(study)
    page = compare.write_report(study).read_text()
    assert "validation perplexity" in page
    assert "binomial" not in page


def test_a_run_is_what_fit_and_evaluate_give(study, settings, text_dir):
    text = data.load_text("words", text_dir, offline=True)
    train, val, test = text.batches(4, 8)
    run = next(one for one in study.results if one.settings["model"] == "gru_lm")
    alone = splits(parse(run.settings), Environment(text_dir, offline=True, device="cpu"))
    assert [batches.num_samples for batches in alone] == [
        batches.num_samples for batches in (train, val, test)
    ]
    import torch

    torch.manual_seed(run.settings["seed"])
    model = models.build("gru_lm", vocab_size=9, hidden_size=12)
    history = fit(model, train, val, epochs=4, lr=0.02, seed=0, device="cpu", progress=False)
    assert history["val_perplexity"] == pytest.approx(
        [epoch["val_perplexity"] for epoch in run.epochs]
    )
    found = evaluate(model, test, metrics=("perplexity",))["perplexity"]
    assert run.scores["test_perplexity"] == pytest.approx(found)


def test_limit_cuts_the_tokens_and_max_size_the_vocabulary(settings, text_dir):
    run = parse({"model": "gru_lm", "data": "words", "seed": 0, "limit": 100, "max_size": 5,
                 "batch_size": 2})  # fmt: skip
    environment = Environment(text_dir, offline=True, device="cpu")
    train, _, _ = splits(run, environment)
    assert train.num_samples == 98
    assert int(train.inputs.max()) < 5


def test_runs_of_equal_time_end_before_the_epoch_that_exceeds_it():
    class Run:
        stop = None

    run, limit = Run(), TimeLimit(10.0)
    for spent, stops in (([4.0], False), ([4.0, 3.0], False), ([4.0, 3.0, 3.0], True)):
        run.history = {"seconds": spent}
        limit.on_epoch(run)
        assert (run.stop is not None) == stops
    run = Run()
    run.history = {"seconds": [30.0]}  # the first epoch always runs
    limit.on_epoch(run)
    assert run.stop == "10 s are over"


def test_max_seconds_ends_a_run_and_the_page_says_how_many_epochs_it_had(settings, tmp_path):
    study = compare.grid(
        tmp_path / "s", model=["elman_lm"], max_seconds=1e-6, **{**settings, "epochs": 9}
    )
    assert [len(result.epochs) for result in study.results] == [1]
    assert "as many epochs as fit into max_seconds: 1 to 1." in (
        compare.write_report(study).read_text()
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_size": 50}, "train_size is for images, and model 'gru_lm' is a language model"),
        ({"random_labels": 0.5}, "random_labels is for images"),
        ({"data": "mnist"}, "data set 'mnist' is images; a comparison of language models needs a"),
        ({"model": "mlp", "data": "ptb"}, "data set 'ptb' is text; a comparison of classifiers"),
        ({"model": "mlp", "bptt": 9}, "bptt is for texts, and model 'mlp' is an? image classifier"),
        ({"model": "ngram"}, "model 'ngram' with .*: "),
        ({"max_seconds": -1}, "max_seconds must be a number"),
        ({"bptt": 0}, "bptt must be a whole number"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes, message, text_dir):
    environment = Environment(text_dir, offline=True, device="cpu")
    axes = {"model": "gru_lm", "data": "words", "seed": 0, **changes}
    with pytest.raises(UsageError, match=message):
        expand({name: [value] for name, value in axes.items()}, environment)


def test_one_command_compares_language_models(text_dir, tmp_path, capsys):
    argv = ["compare", "--model", "elman_lm,transformer_lm", "--data", "words", "--data-dir"]
    argv += [text_dir, "--offline", "--epochs", "1", "--device", "cpu", "--max-seconds", "30"]
    argv += ["--axis", "bptt=8", "--out", str(tmp_path / "s")]
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "test_perplexity" in out
    assert "transformer_lm" in out
    assert not math.isnan(compare.load(tmp_path / "s").results[0].scores["test_perplexity"])
