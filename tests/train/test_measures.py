"""What is measured, averaged, logged, predicted and saved, against arithmetic by hand."""

import csv
import json
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlcourse import models, optim, plots
from dlcourse.errors import DataError, UsageError
from dlcourse.train import (
    METRICS,
    Callback,
    CrossEntropy,
    CSVLog,
    Gradients,
    History,
    cross_entropy,
    cross_entropy_in_place,
    evaluate,
    fit,
    load_model,
    lr_range_test,
    predict,
    register_metric,
    save_model,
)

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(41, 3, generator=GENERATOR)
Y = torch.randint(3, (41,), generator=GENERATOR)
NUMBERS = torch.randn(41, 1, generator=GENERATOR) * 10


def batches(targets=Y, size=8):
    return list(zip(X.split(size), targets.split(size), strict=True))


def net(outputs=3):
    torch.manual_seed(0)
    return nn.Linear(3, outputs)


def still(train, **settings):
    """The History of an epoch that changes nothing."""
    settings = {"optimizer": "sgd", "lr": 0.0, **settings}
    return fit(settings.pop("model", net()), train, epochs=1, device="cpu", **settings)


def test_the_training_loss_is_a_mean_over_samples_and_not_over_batches():
    model = net(1)
    history = still(batches(NUMBERS), model=model, loss=nn.MSELoss())  # the last batch has 1 row
    assert history["train_loss"][0] == pytest.approx(F.mse_loss(model(X), NUMBERS).item())


@pytest.mark.parametrize(
    "loss", [cross_entropy, nn.CrossEntropyLoss(), CrossEntropy(0.2), cross_entropy_in_place]
)
def test_ignored_targets_count_nowhere(loss):
    ignored = Y.clone()
    ignored[::3] = -100
    ignored[8:16] = -100  # a whole batch
    used, model = ignored != -100, net()
    smoothing = loss.label_smoothing if isinstance(loss, CrossEntropy) else 0.0
    history = still(batches(ignored), model=model, loss=loss)
    logits = model(X)
    trained = F.cross_entropy(logits[used], Y[used], label_smoothing=smoothing)
    assert history["train_loss"][0] == pytest.approx(trained.item())
    scores = evaluate(
        model, batches(ignored), loss=loss, metrics=["accuracy", "top5", "perplexity"]
    )
    plain = F.cross_entropy(logits[used], Y[used]).item()
    assert scores["loss"] == pytest.approx(plain)
    assert scores["perplexity"] == pytest.approx(math.exp(plain))
    assert scores["accuracy"] == pytest.approx((logits.argmax(1) == Y)[used].float().mean().item())
    assert scores["top5"] == 1.0


def test_the_ignored_target_is_that_of_the_loss():
    model, loss = net(), nn.CrossEntropyLoss(ignore_index=1)
    scores = evaluate(model, batches(), loss=loss)
    used = Y != 1
    assert scores["loss"] == pytest.approx(F.cross_entropy(model(X)[used], Y[used]).item())
    right = (model(X).argmax(1) == Y)[used].float().mean().item()
    assert scores["accuracy"] == pytest.approx(right)


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropy(class_weights=[1.0, 5.0, 0.5]),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.5])),
    ],
)
def test_class_weights_weigh_the_means_over_batches_too(loss):
    model = net()
    expected = F.cross_entropy(model(X), Y, torch.tensor([1.0, 5.0, 0.5])).item()
    history = still(batches(), model=model, loss=loss)
    assert history["train_loss"][0] == pytest.approx(expected)
    assert evaluate(model, batches(), loss=loss)["loss"] == pytest.approx(expected)
    assert history.config["class_weights"] == [1.0, 5.0, 0.5]


@pytest.mark.parametrize("name", ["accuracy", "own"])
def test_class_weights_do_not_weigh_a_metric(name):
    def own(logits, targets):
        return (logits.argmax(1) == targets).float().mean()

    model, loss = net(), CrossEntropy(class_weights=[1.0, 50.0, 0.1])
    expected = own(model(X), Y).item()
    metrics = own if name == "own" else name
    assert evaluate(model, batches(), loss=loss, metrics=metrics)[name] == pytest.approx(expected)


def test_accumulated_batches_of_unequal_size_are_one_large_batch():
    large, small = net(), net()
    settings = {"epochs": 2, "optimizer": "sgd", "lr": 0.5, "device": "cpu"}
    fit(large, batches(size=41), **settings)
    fit(small, batches(size=8), gradients=Gradients(accumulate=6), **settings)
    torch.testing.assert_close(small.weight, large.weight)


class F1:
    """F1 of class 0, a score that is no mean of batches; as torchmetrics are built."""

    higher_is_better = True

    def __init__(self):
        self.reset()

    def reset(self):
        self.hits = torch.zeros(())
        self.sizes = torch.zeros(())

    def update(self, logits, targets):
        said, true = logits.argmax(1) == 0, targets == 0
        self.hits += 2 * (said & true).sum()
        self.sizes += said.sum() + true.sum()

    def compute(self):
        return self.hits / self.sizes


def test_a_metric_may_be_an_object_that_is_computed_over_the_epoch():
    model = net()
    said, true = model(X).argmax(1) == 0, Y == 0
    f1 = (2 * (said & true).sum() / (said.sum() + true.sum())).item()
    assert evaluate(model, batches(), metrics=F1())["F1"] == pytest.approx(f1)
    history = fit(model, batches(), batches(), metrics={"f1": F1()}, epochs=3, device="cpu")
    assert history.config["metrics"] == ["f1"]
    assert history.config["mode"] == "max"
    assert history.best["val_f1"] == max(history["val_f1"])


def test_torchmetrics_work_as_they_are():
    torchmetrics = pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")
    metric = torchmetrics.F1Score(task="multiclass", num_classes=3, average="macro")
    ours = evaluate(net(), batches(), metrics=metric)["MulticlassF1Score"]
    metric.reset()
    assert ours == pytest.approx(metric(net()(X), Y).item())


def test_a_registered_metric_has_its_name_and_direction():
    def confidence(logits, targets):
        return logits.softmax(-1).amax(-1).mean()

    register_metric("confidence", confidence, mode="max")
    try:
        history = fit(net(), batches(), batches(), metrics="confidence", epochs=1, device="cpu")
        assert (history.config["monitor"], history.config["mode"]) == ("confidence", "max")
        with pytest.raises(UsageError, match="metric 'confidence' already exists"):
            register_metric("confidence", confidence, mode="max")
    finally:
        del METRICS["confidence"]


def test_an_optimizer_and_a_schedule_of_ones_own_have_names():
    class Plain(torch.optim.Optimizer):
        """Descent without momentum or weight decay."""

        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p -= group["lr"] * p.grad

    optim.register("plain", Plain, lr=0.1)
    optim.register_schedule(
        "step", lambda opt, steps: torch.optim.lr_scheduler.StepLR(opt, steps // 2)
    )
    try:
        ours, theirs = net(), net()
        history = fit(ours, batches(), optimizer="plain", schedule="step", epochs=2, device="cpu")
        fit(theirs, batches(), optimizer="sgd", schedule="step", epochs=2, device="cpu")
        torch.testing.assert_close(ours.weight, theirs.weight)
        assert history["lr"] == pytest.approx([0.1, 0.01])
        with pytest.raises(UsageError, match=r"optimizer 'plain': .*weight_decay"):
            fit(net(), batches(), optimizer="plain", weight_decay=0.1, device="cpu")
        with pytest.raises(UsageError, match="optimizer 'plain' already exists"):
            optim.register("plain", Plain, lr=0.1)
    finally:
        del optim.OPTIMIZERS["plain"], optim.SCHEDULES["step"]


@pytest.mark.parametrize(("name", "decay"), [("adamw", 0.01), ("adam", 0.0), ("sgd", 0.0)])
def test_the_history_records_what_the_optimizer_really_had(name, decay):
    history = fit(net(), batches(), optimizer=name, epochs=1, device="cpu")
    assert history.config["lr"] == optim.OPTIMIZERS[name].lr
    assert history.config["weight_decay"] == decay
    assert history["lr"] == [optim.OPTIMIZERS[name].lr]
    model = net()
    own = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.5)
    config = fit(model, batches(), optimizer=own, epochs=1, device="cpu").config
    assert (config["optimizer"], config["lr"]) == ("SGD", 0.3)
    assert config["optimizer_settings"]["momentum"] == 0.5


def test_each_epoch_records_its_learning_rate():
    history = fit(
        net(), batches(), optimizer="sgd", lr=1.0, schedule="linear", epochs=4, device="cpu"
    )
    assert history["lr"] == pytest.approx([1.0, 0.75, 0.5, 0.25])


def test_a_saved_history_has_no_tokens_that_json_lacks(tmp_path):
    rows = [{"epoch": 1, "val_perplexity": math.inf, "val_loss": math.nan, "x": -math.inf}]
    History({"min_delta": math.inf}, epochs=rows).save(tmp_path / "h.json")

    def refuse(token):
        raise AssertionError(token)

    json.loads((tmp_path / "h.json").read_text(), parse_constant=refuse)
    back = History.load(tmp_path / "h.json").epochs[0]
    assert (back["val_perplexity"], back["x"]) == (math.inf, -math.inf)
    assert math.isnan(back["val_loss"])


def test_predictions_are_those_of_the_model_in_eval_mode_in_order():
    model = nn.Sequential(net(), nn.Dropout(0.5))
    expected = model.eval()(X).detach()
    model.train()
    for data in (batches(), X, list(X.split(7))):
        # Within rounding: a product of one row may add in another order than that of many.
        torch.testing.assert_close(predict(model, data), expected)
    assert model.training
    model[1].eval()  # a frozen part stays as it is
    predict(model, X)
    assert [part.training for part in model] == [True, False]
    with pytest.raises(UsageError, match="there is no batch to predict"):
        predict(model, [])


def test_a_saved_model_comes_back_with_its_configuration(tmp_path):
    config = {"name": "mlp", "in_features": 3, "hidden_sizes": [4], "num_classes": 3}
    model, path = models.build(**config), tmp_path / "model.pt"
    history = fit(model, batches(), epochs=1, device="cpu")
    save_model(model, path, config, history)
    again = load_model(path, models.build)
    assert torch.equal(again(X), model.eval()(X))
    assert not again.training
    saved = torch.load(path, weights_only=True)
    assert saved["config"] == config
    assert saved["history"]["epochs"] == history.epochs
    with pytest.raises(DataError, match="does not fit the model that build makes"):
        load_model(path, lambda **config: nn.Linear(3, 3))
    with pytest.raises(UsageError, match="must be made of numbers, names, lists and dicts"):
        save_model(model, tmp_path / "odd.pt", {"build": models.build})
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


def test_a_csv_log_has_the_columns_of_the_history(tmp_path):
    history = fit(
        net(), batches(), batches(), epochs=2, callbacks=CSVLog(tmp_path / "log.csv"), device="cpu"
    )
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == history.epochs


def test_a_csv_log_keeps_each_number_in_its_column(tmp_path):
    class Every2(Callback):
        def on_epoch(self, run):
            if len(run.history) % 2 == 0:
                run.history.epochs[-1]["norm"] = float(len(run.history))

    callbacks = [CSVLog(tmp_path / "log.csv"), Every2()]
    fit(net(), batches(), epochs=4, callbacks=callbacks, device="cpu")
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["norm"] for row in rows] == ["", "2.0", "", "4.0"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]


def test_the_range_test_suggests_a_rate_that_trains_and_changes_nothing(tmp_path):
    torch.manual_seed(1)
    model = nn.Linear(3, 3)
    before, state = model.weight.clone(), torch.get_rng_state()
    targets = X.argmax(1)
    result = lr_range_test(
        model, batches(targets), optimizer="sgd", lowest=1e-5, highest=1e4, device="cpu"
    )
    assert torch.equal(model.weight, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert result.lrs[0] == pytest.approx(1e-5)
    assert result.lrs == sorted(result.lrs)
    assert 1e-3 < result.suggestion < 100
    figure = plots.lr_range(result, tmp_path / "range.png")
    assert figure.axes[0].get_xscale() == "log"
    assert (tmp_path / "range.png").stat().st_size > 0
    with pytest.raises(UsageError, match="0 < lowest < highest"):
        lr_range_test(model, batches(targets), lowest=1.0, highest=0.1)
    with pytest.raises(UsageError, match="train is a generator, which can be read only once"):
        lr_range_test(model, (pair for pair in batches(targets)))


def test_a_learning_rate_range_is_found_for_a_loss_below_zero():
    def shifted(logits, targets):
        return cross_entropy(logits, targets) - 10

    assert len(lr_range_test(net(), batches(), loss=shifted, highest=0.1).lrs) == 100
