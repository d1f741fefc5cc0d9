"""`fit` and `evaluate` against loops written out by hand, on small made-up data."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlcourse import optim, plots
from dlcourse.errors import DataError, NonFiniteLossError, UnknownNameError, UsageError
from dlcourse.train import History, evaluate, fit


def blobs(num_samples=256, batch_size=32, seed=0):
    """Batches of three well-separated Gaussian classes in the plane."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(3, (num_samples,), generator=generator)
    centers = torch.tensor([[4.0, 0.0], [-4.0, 0.0], [0.0, 4.0]])
    inputs = centers[targets] + torch.randn(num_samples, 2, generator=generator)
    return list(zip(inputs.split(batch_size), targets.split(batch_size), strict=True))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 3))


def test_fit_does_what_the_loop_by_hand_does(model):
    train, by_hand = blobs(), copy.deepcopy(model)
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.1)
    losses = []
    for _ in range(3):
        for inputs, targets in train:
            loss = F.cross_entropy(by_hand(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    history = fit(model, train, epochs=3, optimizer="sgd", lr=0.1, device="cpu")
    # Within rounding: the fused step of `fit` may round once where the plain one rounds twice.
    for ours, theirs in zip(model.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert history["train_loss"][-1] == pytest.approx(sum(losses[-8:]) / 8)


def test_fit_learns_and_writes_down_how(model):
    history = fit(model, blobs(), blobs(64, seed=1), epochs=5, lr=0.01, seed=3, device="cpu")
    assert history.best["val_accuracy"] > 0.95
    assert history.seed == 3
    assert history.device == "cpu"
    assert history.config["parameters"] == 2 * 16 + 16 + 16 * 3 + 3
    assert history.versions["torch"] == torch.__version__
    assert all(seconds > 0 for seconds in history["seconds"])


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("linear", [1.0, 0.75, 0.5, 0.25]),
        ("cosine", [(1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]),
    ],
)
def test_schedule_is_stepped_after_every_batch(model, name, rates):
    seen = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            seen.append(self.param_groups[0]["lr"])
            return super().step(closure)

    optimizer = Watched(model.parameters(), lr=1.0)
    fit(model, blobs(64), epochs=2, optimizer=optimizer, schedule=name, device="cpu")
    assert seen == pytest.approx(rates)


def test_onecycle_rises_to_lr_and_falls_towards_zero(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = optim.build_schedule("onecycle", optimizer, steps=100)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert 0.99 < max(rates) <= 1.0  # the peak lies between two steps
    assert 25 <= rates.index(max(rates)) <= 35
    assert rates[-1] < 0.01


def test_source_of_the_data_is_recorded(model):
    class Named(list):
        source = "synthetic digits (seed 0)"

    assert fit(model, Named(blobs()), epochs=1, device="cpu").data == "synthetic digits (seed 0)"


def test_evaluate_weighs_a_short_last_batch_by_its_size(model):
    inputs = torch.cat([batch for batch, _ in blobs(50, 16)])
    targets = torch.cat([batch for _, batch in blobs(50, 16)])
    scores = evaluate(model, blobs(50, 16))
    assert scores["loss"] == pytest.approx(F.cross_entropy(model(inputs), targets).item())
    assert scores["accuracy"] == pytest.approx((model(inputs).argmax(1) == targets).sum() / 50)


def test_evaluate_is_in_eval_mode_and_fit_in_train_mode(model):
    seen = []
    model.register_forward_hook(lambda module, *_: seen.append(module.training))
    fit(model, blobs(32, 32), blobs(32, 32), epochs=1, device="cpu")
    assert seen == [False, True, False]  # validation is tried before the first step


class GetsWorse(nn.Module):
    """A classifier whose every training step lowers its accuracy after the first epoch."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, inputs):
        return torch.cat([self.weight.expand(len(inputs), 1), torch.zeros(len(inputs), 1)], dim=1)


def test_best_weights_come_back_and_patience_stops():
    # Every target is class 1, right while the weight is negative: -0.5, then -0.2, 0.1, 0.4, ...
    model = GetsWorse()
    model.weight.data.fill_(-0.5)
    data = [(torch.zeros(4, 1), torch.ones(4, dtype=torch.int64))]

    def push_up(logits, targets):
        return -logits[:, 0].mean()

    history = fit(
        model,
        data,
        data,
        epochs=10,
        optimizer="sgd",
        lr=0.3,
        loss=push_up,
        metrics="accuracy",
        patience=3,
        device="cpu",
    )
    assert history["val_accuracy"] == [1.0, 0.0, 0.0, 0.0]
    assert history.best_epoch == 1
    assert history.stopped == "no better accuracy for 3 epochs"
    assert model.weight.item() == pytest.approx(-0.2)


def test_nan_loss_stops_names_the_step_and_keeps_the_best_weights(model):
    train = blobs()
    steps = []

    def breaks_in_epoch_2(logits, targets):
        steps.append(len(logits))
        return F.cross_entropy(logits, targets) * (math.nan if len(steps) == 13 else 1.0)

    val = [(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))]
    with pytest.raises(
        NonFiniteLossError, match=r"loss is nan at step 3 of epoch 2; try"
    ) as caught:
        fit(model, train, val, epochs=5, loss=breaks_in_epoch_2, device="cpu")
    assert len(caught.value.history) == 1
    assert caught.value.history.best_epoch == 1
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"epochs": 0}, UsageError, "epochs must be at least 1, got 0"),
        ({"monitor": "acuracy"}, UnknownNameError, "did you mean 'accuracy'"),
        ({"metrics": ("f1",)}, UnknownNameError, "unknown metric 'f1'"),
        ({"optimizer": "adm"}, UnknownNameError, "did you mean 'adam'"),
        ({"lr": -1.0}, UsageError, "optimizer 'adam': Invalid learning rate: -1.0"),
        ({"schedule": "cosin"}, UnknownNameError, "did you mean 'cosine'?"),
        ({"device": "tpu9"}, UsageError, "unknown device 'tpu9'; this machine has: "),
    ],
)
def test_impossible_arguments_are_refused(model, settings, error, message):
    with pytest.raises(error) as caught:
        fit(model, blobs(), blobs(), **{"device": "cpu", **settings})
    assert message in str(caught.value)


def test_no_batches_are_refused(model):
    with pytest.raises(UsageError, match="train holds no batch: is batch_size larger"):
        fit(model, [], device="cpu")
    with pytest.raises(UsageError, match="there is no batch to evaluate on"):
        evaluate(model, [])


def test_history_survives_save_and_load(model, tmp_path):
    history = fit(model, blobs(), blobs(), epochs=2, device="cpu")
    history.save(tmp_path / "history.json")
    assert History.load(tmp_path / "history.json") == history
    assert [path.name for path in tmp_path.iterdir()] == ["history.json"]


@pytest.mark.parametrize("text", ["{", "[]", '{"epoch": 3}', '"x"', "\x00"])
def test_a_damaged_history_is_named(tmp_path, text):
    path = tmp_path / "history.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"history\.json' is not a saved History"):
        History.load(path)


@pytest.mark.parametrize("epochs", [1, 2])
def test_learning_curves_show_a_run_of_a_single_epoch_too(epochs):
    rows = [{"epoch": n, "train_loss": 1 / n} for n in range(1, epochs + 1)]
    (ax,) = plots.learning_curves(History(epochs=rows)).axes
    (line,) = ax.lines
    assert line.get_marker() == ("x" if epochs == 1 else "None")
    low, high = ax.get_xlim()
    ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
    assert ticks == list(range(1, epochs + 1))


def test_history_names_its_columns():
    history = History(epochs=[{"epoch": 1, "train_loss": 0.5}])
    with pytest.raises(UnknownNameError, match="did you mean 'train_loss'"):
        history["trainloss"]
    with pytest.raises(UsageError, match="no epoch was scored"):
        _ = history.best


@pytest.mark.cuda
def test_fit_on_cuda_matches_cpu(model):
    on_cpu = copy.deepcopy(model)
    fit(on_cpu, blobs(), epochs=2, device="cpu")
    fit(model, blobs(), epochs=2, device="cuda")
    for ours, theirs in zip(model.parameters(), on_cpu.parameters(), strict=True):
        assert torch.allclose(ours.cpu(), theirs, atol=1e-4)
