"""What users bring to `fit`: each case is handled rightly, or refused in one line before a step."""

# ruff: noqa: E501 (the tables have one line for each case)

import functools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlcourse.errors import TrainingError, UsageError
from dlcourse.train import (
    Callback,
    CrossEntropy,
    EarlyStopping,
    Reconstruction,
    cross_entropy,
    evaluate,
    fit,
    mean_squared_error,
    predict,
    squared_error,
)

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(40, 3, generator=GENERATOR)
CLASSES = X.argmax(1)
BINARY = (X[:, :1] > 0).float()
NUMBERS = X @ torch.tensor([[1.0], [-2.0], [0.5]]) + 3


def batches(inputs=X, targets=CLASSES, size=16):
    return list(zip(inputs.split(size), targets.split(size), strict=True))


def net(outputs=3):
    torch.manual_seed(0)
    return nn.Linear(3, outputs)


def refusal(*args, **settings):
    with pytest.raises(UsageError) as caught:
        fit(*args, device="cpu", epochs=1, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The loss decides what is measured.


@pytest.mark.parametrize(
    ("outputs", "targets", "loss", "columns", "monitor", "mode"),
    [
        (3, CLASSES, cross_entropy, ["val_accuracy"], "accuracy", "max"),
        (3, CLASSES, F.cross_entropy, ["val_accuracy"], "accuracy", "max"),
        (3, CLASSES, nn.CrossEntropyLoss(), ["val_accuracy"], "accuracy", "max"),
        (3, CLASSES, CrossEntropy(0.1), ["val_accuracy"], "accuracy", "max"),
        (
            3, CLASSES, functools.partial(F.cross_entropy, label_smoothing=0.1), ["val_accuracy"],
            "accuracy", "max",
        ),
        (1, BINARY, nn.BCEWithLogitsLoss(), ["val_binary_accuracy"], "binary_accuracy", "max"),
        (
            1, BINARY, F.binary_cross_entropy_with_logits, ["val_binary_accuracy"],
            "binary_accuracy", "max",
        ),
        (1, BINARY * 0.8 + 0.1, nn.BCEWithLogitsLoss(), [], "loss", "min"),
        (1, NUMBERS, F.mse_loss, [], "loss", "min"),
        (1, NUMBERS, nn.SmoothL1Loss(), [], "loss", "min"),
        (1, NUMBERS, mean_squared_error, [], "loss", "min"),
        (1, NUMBERS, lambda o, t: (o - t).abs().mean(), [], "loss", "min"),
    ],
)  # fmt: skip
def test_the_loss_decides_metrics_monitor_and_direction(
    outputs, targets, loss, columns, monitor, mode
):
    data = batches(targets=targets)
    history = fit(net(outputs), data, data, loss=loss, epochs=2, device="cpu")
    assert [name for name in history.best if name.startswith("val_") and name != "val_loss"] == (
        columns
    )
    assert (history.config["monitor"], history.config["mode"]) == (monitor, mode)


def test_a_regression_keeps_its_best_epoch_and_not_the_first_one():
    data = batches(targets=NUMBERS)
    settings = {"loss": F.mse_loss, "optimizer": "sgd", "lr": 0.1, "epochs": 20, "device": "cpu"}
    history = fit(net(1), data, data, patience=3, **settings)
    assert history.best_epoch == 20
    assert history.best["val_loss"] == min(history["val_loss"]) < 0.1 * history["val_loss"][0]


def test_tokens_are_judged_by_perplexity_and_reconstructions_by_their_loss():
    tokens = torch.randint(5, (4, 7), generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5))
    data = [(tokens[:, :-1], tokens[:, 1:])]
    history = fit(model, data, data, epochs=1, device="cpu")
    assert history.best["val_perplexity"] == pytest.approx(math.exp(history.best["val_loss"]))
    assert history.config["mode"] == "min"
    coder = Reconstruction(batches())
    history = fit(net(), coder, coder, loss=squared_error, epochs=1, device="cpu")
    assert history.config["metrics"] == []


def test_probabilities_count_as_one_above_a_half():
    model = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
    scores = evaluate(model, batches(targets=BINARY), loss=nn.BCELoss())
    right = ((model(X) > 0.5) == (BINARY > 0.5)).float().mean().item()
    assert scores["binary_accuracy"] == pytest.approx(right)


def test_classes_in_dimension_one_are_measured_there():
    model = nn.Conv1d(3, 4, 1)
    inputs = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.randint(4, (5, 4), generator=torch.Generator().manual_seed(1))
    scores = evaluate(model, [(inputs, targets)], loss=nn.CrossEntropyLoss())
    right = (model(inputs).argmax(1) == targets).float().mean().item()
    assert scores["accuracy"] == pytest.approx(right)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"early_stopping": EarlyStopping(3, mode="max"), "monitor": "loss"}, "mode='max', but loss is better if it is low"),
        ({"monitor": "mse"}, "monitor 'mse' is not measured; add it: metrics=['accuracy', 'mse']"),
        ({"metrics": "acuracy"}, "unknown metric 'acuracy'; did you mean 'accuracy'?"),
        ({"metrics": ["accuracy", "accuracy"]}, "two metrics are called 'accuracy'; name them"),
        ({"metrics": "mae"}, "metric 'mae' compares outputs (16, 3) with targets (16,)"),
        ({"metrics": [lambda o, t: o.mean()]}, "a lambda has no name for the History"),
        ({"metrics": {"own": lambda o, t: o.mean()}, "monitor": "own"}, "whether a low or a high own is better is unknown"),
        ({"metrics": [lambda: 1], "patience": True}, "patience must be at least 1 epoch"),
        ({"metrics": 3}, "metrics must be names, functions or metric objects, got 3"),
    ],
)  # fmt: skip
def test_metrics_that_do_not_apply_are_refused(settings, message):
    assert refusal(net(), batches(), batches(), **settings).startswith(message)


def test_accuracy_of_numbers_is_refused_by_name():
    data = batches(targets=NUMBERS)
    said = refusal(net(1), data, data, loss=nn.MSELoss(), metrics="accuracy")
    assert said.startswith("metric 'accuracy' takes logits (N, classes) and int64 targets (N), got")
    assert "'mae' and 'mse' are for numbers" in said


# Shapes, dtypes and values.


@pytest.mark.parametrize("name", ["train", "val"])
@pytest.mark.parametrize(
    ("outputs", "targets", "loss", "message"),
    [
        (1, NUMBERS[:, 0], F.mse_loss, "mse_loss compares outputs (16, 1) with targets (16,), which would broadcast; use targets.unsqueeze(-1), or return outputs.squeeze(-1) from the model"),
        (1, NUMBERS[:, 0], lambda o, t: ((o - t) ** 2).mean(), "loss <lambda> compares outputs (16, 1) with targets (16,), which would broadcast"),
        (1, NUMBERS[:, 0], lambda o, t: F.l1_loss(o, t), "loss <lambda> compares outputs (16, 1)"),
        (1, BINARY[:, 0], nn.BCEWithLogitsLoss(), "BCEWithLogitsLoss compares outputs (16, 1)"),
        (1, (X[:, :1] > 0).long(), nn.BCEWithLogitsLoss(), "{} has targets int64 (16, 1), and BCEWithLogitsLoss takes float32 targets; targets.float()"),
        (1, BINARY * 2, nn.BCEWithLogitsLoss(), "{} has targets from 0 to 2, and BCEWithLogitsLoss takes targets from 0 to 1"),
        (1, NUMBERS.double(), nn.MSELoss(), "{} has targets float64 (16, 1), and MSELoss takes float32 targets"),
        (3, CLASSES.float(), cross_entropy, "{} has targets float32 (16,), and cross_entropy takes int64 class numbers; targets.long()"),
        (3, CLASSES.int(), F.cross_entropy, "{} has targets int32 (16,), and cross_entropy takes int64 class numbers; targets.long()"),
        (3, CLASSES.byte(), cross_entropy, "{} has targets uint8 (16,)"),
        (3, CLASSES[:, None], cross_entropy, "{} has targets int64 (16, 1) for outputs (16, 3), which do not fit cross_entropy; remove the last dimension of the targets: targets.squeeze(-1)"),
        (3, F.one_hot(CLASSES), cross_entropy, "{} has targets int64 (16, 3) for outputs (16, 3), which do not fit cross_entropy; turn one-hot targets into class numbers: targets.argmax(-1)"),
        (3, F.one_hot(CLASSES).float(), cross_entropy, "{} has targets float32 (16, 3), and cross_entropy takes int64 class numbers; turn one-hot targets"),
        (3, CLASSES + 1, cross_entropy, "{} has labels from 1 to 3, but the model has 3 outputs (labels 0 to 2); labels start at 0: targets - 1"),
        (2, CLASSES, cross_entropy, "{} has labels from 0 to 2, but the model has 2 outputs"),
        (3, CLASSES - 1, nn.CrossEntropyLoss(), "{} has labels from -1 to 1, but the model has 3"),
        (1, NUMBERS[:, 0], cross_entropy, "{} has targets float32 (16,), and cross_entropy takes int64"),
        (3, CLASSES, CrossEntropy(class_weights=[1.0, 2.0]), "class_weights has 2 numbers for 3"),
        (3, CLASSES, lambda o, t: o.sum(1), "loss <lambda> must return a scalar tensor"),
    ],
)  # fmt: skip
def test_targets_that_do_not_fit_are_refused_before_the_first_step(
    name, outputs, targets, loss, message
):
    bad, model = batches(targets=targets), net(outputs)
    before = model.weight.clone()
    good = batches(targets={1: NUMBERS, 2: CLASSES.clamp(max=1), 3: CLASSES}[outputs])
    if name == "val":
        if getattr(loss, "__name__", "") == "<lambda>" or isinstance(loss, CrossEntropy):
            good = bad
        said = refusal(model, good, bad, loss=loss)
    else:
        said = refusal(model, bad, loss=loss)
    assert said.startswith(message.format(name)), said
    assert torch.equal(model.weight, before)


def test_a_label_that_comes_late_in_memory_is_found_before_the_first_step():
    labels = CLASSES.clone()
    labels[-1] = 7
    for train in (
        batches(targets=labels),
        DataLoader(TensorDataset(X, labels), batch_size=16),
    ):
        assert refusal(net(), train).startswith("train has labels from 0 to 7, but the model has 3")


def test_a_short_last_batch_of_one_cannot_broadcast_silently():
    class Squeezes(nn.Linear):
        def forward(self, inputs):
            return super().forward(inputs).squeeze()

    said = refusal(Squeezes(3, 1), batches(X[:17], NUMBERS[:17, 0]), loss=nn.MSELoss())
    assert said == (
        "MSELoss compares outputs () with targets (1,), which would broadcast; let the model keep "
        "its batch dimension (squeeze(-1) instead of squeeze())"
    )


def test_a_first_batch_of_one_hides_no_broadcast():
    data = [(X[:1], NUMBERS[:1, 0]), (X[1:9], NUMBERS[1:9, 0])]
    said = refusal(net(1), data, loss=lambda o, t: (o - t).square().mean())
    assert "compares outputs (8, 1) with targets (8,)" in said


def test_time_first_outputs_are_not_matched_with_batch_first_targets():
    logits, targets = torch.zeros(5, 2, 3), torch.zeros(2, 5, dtype=torch.int64)
    with pytest.raises(UsageError, match="swap the first two dimensions of one of them"):
        cross_entropy(logits, targets)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_inputs_that_are_not_finite_are_named(value):
    inputs = X.clone()
    inputs[5, 1] = value
    assert refusal(net(), batches(inputs)).startswith(
        "train holds inputs that are NaN or infinite; remove or replace them"
    )
    inputs[5, 1], inputs[30, 0] = 0.0, value
    with pytest.raises(TrainingError) as caught:
        fit(net(), batches(inputs), device="cpu")
    assert "train holds NaN or infinite numbers in the inputs of batch 2;" in str(caught.value)
    with pytest.raises(TrainingError) as caught:
        fit(net(), batches(), batches(inputs), device="cpu")
    assert "val holds NaN or infinite numbers in the inputs of batch 2;" in str(caught.value)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (TensorDataset(X, CLASSES), "train is a TensorDataset, which yields single samples; wrap it: DataLoader(train_set, batch_size=64, shuffle=True)"),
        ((X, CLASSES), "train is a tuple of 2 values, not batches; use DataLoader(TensorDataset("),
        (X, "train is float32 (40, 3), not batches"),
        ((X.numpy(), CLASSES.numpy()), "train is a tuple of 2 values, not batches"),
        ((pair for pair in batches()), "train is a generator, which can be read only once or has no length; give a list of batches or a DataLoader"),
        (zip(X, CLASSES, strict=True), "train is a zip, which can be read only once"),
        ([{"x": X, "y": CLASSES}], "train yields a dict with the keys 'x', 'y'; fit takes pairs"),
        ([(X.numpy(), CLASSES.numpy())], "train yields inputs that are a ndarray, not a tensor"),
        ([(X, CLASSES, X)], "train must yield pairs (inputs, targets), got a tuple of 3 values"),
        ([(X, CLASSES[:7])], "train yields inputs float32 (40, 3) and targets int64 (7,); the first"),
        ([(X.double(), CLASSES)], "train yields inputs float64 (40, 3), but the model computes in float32; convert them: inputs.to(torch.float32)"),
        ([], "train holds no batch: is batch_size larger than the data?"),
        (None, "train must yield batches (inputs, targets), got a NoneType"),
    ],
)  # fmt: skip
def test_batches_of_another_form_are_refused(train, message):
    assert refusal(net(), train).startswith(message)


def test_outputs_that_are_no_tensor_are_refused_and_taken_by_a_loss_of_ones_own():
    class Both(nn.Linear):
        def forward(self, inputs):
            return super().forward(inputs), inputs

    assert refusal(Both(3, 3), batches()).startswith(
        "the model returns a tuple of 2 values, and loss cross_entropy takes one tensor; return "
    )

    def own(outputs, targets):
        return F.cross_entropy(outputs[0], targets)

    history = fit(Both(3, 3), batches(), batches(), loss=own, epochs=1, device="cpu")
    assert history.config["metrics"] == []


def test_inputs_may_be_several_tensors():
    class Two(nn.Linear):
        def forward(self, one, other):
            return super().forward(one + other)

    pairs = [((inputs, inputs), targets) for inputs, targets in batches()]
    model = Two(3, 3)
    assert len(fit(model, pairs, pairs, epochs=2, device="cpu")) == 2
    torch.testing.assert_close(predict(model, pairs), model(X, X).detach())


# Nothing that is given is ignored.


def other_optimizer(model):
    return torch.optim.SGD(net().parameters(), lr=0.1)


def own_optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": nn.MSELoss}, "loss is the class MSELoss; give an instance: MSELoss()"),
        ({"loss": "mse"}, "loss must be a function of (outputs, targets), got 'mse'"),
        ({"loss": nn.CrossEntropyLoss(reduction="sum")}, "loss CrossEntropyLoss has reduction='sum'"),
        ({"loss": functools.partial(F.cross_entropy, reduction="none")}, "loss cross_entropy has reduction='none'; fit takes means over a batch"),
        ({"optimizer": torch.optim.Adam}, "optimizer is the class Adam; give a name"),
        ({"optimizer": own_optimizer, "lr": 0.5}, "lr is ignored if optimizer is an object; give it to SGD(..., lr=...)"),
        ({"optimizer": own_optimizer, "weight_decay": 0.5}, "weight_decay is ignored if optimizer"),
        ({"optimizer": other_optimizer}, "optimizer holds parameters that are not this model's"),
        ({"lr": True}, "lr must be a finite number (or None), got True"),
        ({"lr": math.inf}, "lr must be a finite number (or None), got inf"),
        ({"lr": "0.1"}, "lr must be a finite number (or None), got '0.1'"),
        ({"epochs": 1.5}, "epochs must be a whole number, at least 1, got 1.5"),
        ({"epochs": True}, "epochs must be a whole number, at least 1, got True"),
        ({"seed": 0.5}, "seed must be a whole number, at least 0, got 0.5"),
        ({"progress": "yes"}, "progress must be True, False or None, got 'yes'"),
        ({"patience": 3}, "patience is measured on validation data; give val, or leave it out"),
        ({"monitor": "loss"}, "monitor is measured on validation data; give val"),
        ({"metrics": "accuracy"}, "metrics is measured on validation data; give val"),
        ({"early_stopping": EarlyStopping(3)}, "early_stopping is measured on validation data"),
        ({"early_stopping": 3, "val": batches()}, "early_stopping must be EarlyStopping(...), got 3"),
        ({"patience": 1.5, "val": batches()}, "patience must be at least 1 epoch (or None), got 1.5"),
        ({"patience": 2, "early_stopping": EarlyStopping(3), "val": batches()}, "patience is the short form of early_stopping=EarlyStopping(patience=...); give one"),
        ({"callbacks": [print]}, "callbacks must be instances of Callback, got <built-in function print>; write a subclass of Callback"),
        ({"callbacks": [Callback]}, "callbacks must be instances of Callback, got Callback; give an instance"),
        ({"schedule": torch.optim.lr_scheduler.StepLR}, "schedule must be a name or a function (optimizer, steps) -> scheduler"),
        ({"schedule": lambda optimizer, steps: 3}, "schedule <lambda> must return a scheduler, got 3"),
        ({"gradients": 1.0}, "gradients must be Gradients(...), got 1.0"),
        ({"execution": True}, "execution must be Execution(...), got True"),
    ],
)  # fmt: skip
def test_an_argument_without_effect_or_sense_is_refused(settings, message):
    model, settings = net(), {"epochs": 1, **settings}
    if callable(settings.get("optimizer")) and not isinstance(settings["optimizer"], type):
        settings["optimizer"] = settings["optimizer"](model)
    with pytest.raises(UsageError) as caught:
        fit(model, batches(), settings.pop("val", None), device="cpu", **settings)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_model_that_is_none_or_has_nothing_to_train_is_refused():
    assert refusal(nn.Linear, batches()) == "model is the class Linear; give an instance"
    assert refusal(len, batches()).startswith("model must be a torch.nn.Module, got <built-in")
    frozen = net().requires_grad_(False)
    assert refusal(frozen, batches()).startswith("Linear has no parameters that gradients train;")


def test_a_batch_of_one_sample_and_batch_norm_are_told_apart_from_other_errors():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    with pytest.raises(TrainingError) as caught:
        fit(model, batches(X[:17], CLASSES[:17]), device="cpu")
    assert str(caught.value) == (
        "batch norm needs at least 2 samples in a batch, and a batch of train has one; leave a "
        "short last batch out: drop_last=True in Batches or DataLoader"
    )


def test_numpy_targets_are_named_with_their_kind():
    assert "a ndarray" in refusal(net(), [(X, np.zeros(40))])


# Probabilities are no logits: the loss would be computed, and be wrong.


@pytest.mark.parametrize(
    ("outputs", "last", "targets", "loss", "fix"),
    [
        (3, [nn.Softmax(1)], CLASSES, cross_entropy, "leave the last softmax of the model out"),
        (3, [nn.Softmax(1)], CLASSES, nn.CrossEntropyLoss(), "leave the last softmax of the model out"),
        (3, [nn.Softmax(1)], F.one_hot(CLASSES).float(), F.cross_entropy, "leave the last softmax of the model out"),
        (3, [], CLASSES, F.nll_loss, "end the model with nn.LogSoftmax(dim), or use loss=nn.CrossEntropyLoss()"),
        (3, [nn.Softmax(1)], CLASSES, nn.NLLLoss(), "end the model with nn.LogSoftmax(dim), or use loss=nn.CrossEntropyLoss()"),
        (1, [nn.Sigmoid()], BINARY, nn.BCEWithLogitsLoss(), "leave the last sigmoid of the model out"),
        (1, [nn.Sigmoid(), nn.Flatten(0)], BINARY[:, 0], F.binary_cross_entropy_with_logits, "leave the last sigmoid of the model out"),
        (1, [], BINARY, nn.BCELoss(), "end the model with nn.Sigmoid(), or use loss=nn.BCEWithLogitsLoss()"),
    ],
)  # fmt: skip
def test_outputs_on_another_scale_than_the_loss_takes_are_refused(
    outputs, last, targets, loss, fix
):
    model = nn.Sequential(net(outputs), *last)
    message = refusal(model, batches(targets=targets), loss=loss)
    assert message.startswith("the model does not return ")
    assert message.endswith(fix)


@pytest.mark.parametrize(
    ("last", "targets", "loss"),
    [
        ([nn.LogSoftmax(1)], CLASSES, F.nll_loss),
        ([nn.LogSoftmax(1)], CLASSES, nn.CrossEntropyLoss()),
        ([nn.ReLU()], CLASSES, nn.CrossEntropyLoss()),
        ([nn.Softmax(1)], CLASSES, lambda outputs, targets: F.nll_loss(outputs.log(), targets)),
        ([nn.Softmax(1)], F.one_hot(CLASSES).float(), F.mse_loss),
    ],
)  # fmt: skip
def test_outputs_on_the_scale_that_the_loss_takes_are_accepted(last, targets, loss):
    history = fit(
        nn.Sequential(net(), *last), batches(targets=targets), device="cpu", epochs=1, loss=loss
    )
    assert math.isfinite(history.epochs[0]["train_loss"])


def test_a_sigmoid_behind_several_outputs_is_seen_in_training():
    model = nn.Sequential(net(1), nn.Sigmoid(), nn.Flatten(0), nn.Unflatten(0, (-1, 1)))
    assert "sigmoid" in refusal(model, batches(targets=BINARY), loss=nn.BCEWithLogitsLoss())


# torch's own words for these do not say where to look.


def test_a_loss_that_no_parameter_changes_is_refused():
    class Detached(nn.Linear):
        def forward(self, inputs):
            return super().forward(inputs).detach()

    def from_numpy(outputs, targets):
        return torch.tensor(F.cross_entropy(outputs, targets).item())

    for message in (
        refusal(Detached(3, 3), batches()),
        refusal(net(), batches(), loss=from_numpy),
    ):
        assert message.startswith("the loss does not depend on the model's parameters; look")


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8])
def test_whole_numbers_that_the_model_cannot_take_are_named(dtype):
    inputs = torch.arange(40 * 3 * 16).reshape(40, 3, 4, 4).remainder(200).to(dtype)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    convolution = nn.Sequential(nn.Conv2d(3, 3, 4), nn.Flatten())
    for model in (linear, convolution):
        for val in (None, batches(inputs)):
            message = refusal(model, batches(inputs), val)
            assert message.startswith("the model cannot compute with the inputs of ")
            assert message.endswith("convert whole numbers: inputs.float()")


def test_targets_that_are_all_ignored_are_refused():
    nothing = batches(targets=torch.full_like(CLASSES, -100))
    assert refusal(net(), batches(), nothing) == (
        "val has no target that counts: all are -100, which cross_entropy ignores"
    )
    assert refusal(net(), nothing).startswith("train has no target that counts")


def test_a_class_without_weight_is_refused():
    # A batch of that class alone would divide by 0.
    with pytest.raises(UsageError, match=r"one finite number above 0 for each class .*-100"):
        CrossEntropy(class_weights=[0.0, 1.0, 1.0])
    loss = nn.CrossEntropyLoss(weight=torch.tensor([0.0, 1.0, 1.0]))
    assert refusal(net(), batches(), loss=loss) == (
        "class_weights must be above 0, got [0.0, 1.0, 1.0]; to leave targets out, set them to -100"
    )


def test_lazy_layers_are_refused_until_they_have_shapes():
    model = nn.Sequential(nn.LazyLinear(3))
    assert refusal(model, batches()) == (
        "Sequential has lazy layers, which get their shapes from the first batch; before fit: "
        "model(next(iter(train))[0])"
    )
    model(X)
    fit(model, batches(), device="cpu", epochs=1)


def test_an_optimizer_that_needs_a_closure_is_refused():
    model = net()
    message = refusal(model, batches(), optimizer=torch.optim.LBFGS(model.parameters()))
    assert message.startswith("LBFGS computes the loss several times in each step")


def test_a_monitor_that_is_never_a_number_is_an_error():
    metrics = {"odd": lambda outputs, targets: torch.tensor(math.nan)}
    stopping = EarlyStopping(mode="max")
    with pytest.raises(TrainingError, match=r"^odd is NaN after every epoch, .* last weights$"):
        fit(
            net(),
            batches(),
            batches(),
            device="cpu",
            epochs=2,
            metrics=metrics,
            early_stopping=stopping,
        )
