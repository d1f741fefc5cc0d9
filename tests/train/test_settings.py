"""What the settings of `fit` do, each against arithmetic by hand."""

import copy
import math
import platform
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlcourse import optim, train
from dlcourse.errors import NonFiniteLossError, TrainingError, UnknownNameError, UsageError
from dlcourse.train import (
    CrossEntropy,
    Execution,
    Gradients,
    Reconstruction,
    evaluate,
    execution,
    fit,
    mean_squared_error,
    squared_error,
)
from dlcourse.train.execution import Placement
from dlcourse.train.metrics import absolute_error


def problem(num_samples=64, batch_size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(num_samples, 5, generator=generator)
    targets = (inputs @ torch.randn(5, 3, generator=generator)).argmax(1)
    return list(zip(inputs.split(batch_size), targets.split(batch_size), strict=True))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return nn.Linear(5, 3)


def assert_close(ours, theirs, atol=1e-6):
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, other, atol=atol, rtol=0)


def test_accumulated_batches_are_one_large_batch(linear):
    large = copy.deepcopy(linear)
    fit(large, problem(batch_size=32), epochs=3, optimizer="sgd", device="cpu")
    fit(
        linear, problem(batch_size=8), epochs=3, optimizer="sgd", gradients=Gradients(accumulate=4),
        device="cpu",
    )  # fmt: skip
    assert_close(linear, large)


def test_a_last_group_that_is_short_is_a_mean_over_its_own_batches(linear):
    # 6 batches by 4: a step over 4, a step over 2
    by_hand, batches = copy.deepcopy(linear), problem(48, 8)
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.1)
    for group in (batches[:4], batches[4:]):
        optimizer.zero_grad()
        inputs, targets = (torch.cat(parts) for parts in zip(*group, strict=True))
        F.cross_entropy(by_hand(inputs), targets).backward()
        optimizer.step()
    groups = Gradients(accumulate=4)
    fit(linear, batches, epochs=1, optimizer="sgd", lr=0.1, gradients=groups, device="cpu")
    assert_close(linear, by_hand)


def test_a_schedule_counts_steps_of_the_optimizer(linear):
    rates = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    optimizer = Watched(linear.parameters(), lr=1.0)
    fit(
        linear, problem(48, 8), epochs=2, optimizer=optimizer, schedule="linear",
        gradients=Gradients(accumulate=4), device="cpu",
    )  # fmt: skip
    assert rates == pytest.approx([1.0, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("bound", [{"clip_norm": 0.01}, {"clip_value": 0.001}])
def test_gradients_are_clipped_as_by_hand(linear, bound):
    by_hand, (inputs, targets) = copy.deepcopy(linear), problem(16)[0]
    F.cross_entropy(by_hand(inputs), targets).backward()
    grads = [p.grad for p in by_hand.parameters()]
    norm = math.sqrt(sum(grad.square().sum().item() for grad in grads))
    assert norm > 0.1
    with torch.no_grad():
        for p, grad in zip(by_hand.parameters(), grads, strict=True):
            p -= grad * (0.01 / norm) if "clip_norm" in bound else grad.clamp(-0.001, 0.001)
    bounded = Gradients(**bound)
    batches = [(inputs, targets)]
    fit(linear, batches, epochs=1, optimizer="sgd", lr=1.0, gradients=bounded, device="cpu")
    assert_close(linear, by_hand, atol=1e-7)


def test_label_smoothing_is_of_the_training_loss_alone(linear):
    (inputs, targets), by_hand = problem(16)[0], copy.deepcopy(linear)
    soft = F.one_hot(targets, 3) * 0.7 + 0.1
    expected = -(soft * by_hand(inputs).log_softmax(1)).sum(1).mean()
    batches = [(inputs, targets)]
    history = fit(
        linear, batches, batches, epochs=1, optimizer="sgd", lr=0.0,
        loss=CrossEntropy(label_smoothing=0.3), device="cpu",
    )  # fmt: skip
    assert history["train_loss"][0] == pytest.approx(expected.item())
    plain = F.cross_entropy(by_hand(inputs), targets)
    assert history["val_loss"][0] == pytest.approx(plain.item())


def test_weight_decay_spares_biases_and_norms_when_asked(model):
    before = copy.deepcopy(model.state_dict())

    def flat(logits, targets):
        return logits.sum() * 0.0

    settings = {"epochs": 1, "optimizer": "sgd", "lr": 0.5, "weight_decay": 0.2, "device": "cpu"}
    groups = optim.spare_vectors(model, settings.pop("weight_decay"))
    optimizer = optim.build(settings.pop("optimizer"), groups, settings.pop("lr"))
    fit(model, problem(16), loss=flat, optimizer=optimizer, **settings)
    for name, value in model.named_parameters():
        expected = before[name] * (0.9 if value.dim() > 1 else 1.0)
        assert torch.allclose(value, expected), name
    plain = {"optimizer": "sgd", "lr": 0.5, "weight_decay": 0.2}
    fit(model, problem(16), loss=flat, **plain, **settings)  # by default all decay
    assert torch.allclose(model[1].weight, before["1.weight"] * 0.9)


def weights_after_each_step(model, batches, epochs, lr=0.5):
    """The model's state after each step of plain SGD, by hand; and the first."""
    model, states = copy.deepcopy(model).train(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    states.append(copy.deepcopy(model.state_dict()))
    for _ in range(epochs):
        for inputs, targets in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
            states.append(copy.deepcopy(model.state_dict()))
    return states


def test_ema_follows_its_formula(model):
    batches = problem()
    states = weights_after_each_step(model, batches, epochs=2)
    average = states[1]
    for t, state in enumerate(states[2:], start=2):
        decay = min(0.999, (1 + t) / (10 + t))
        average = {
            name: decay * average[name] + (1 - decay) * state[name]
            for name in state
            if state[name].is_floating_point()
        }
    fit(model, batches, epochs=2, optimizer="sgd", lr=0.5, average="ema", device="cpu")
    for name, expected in average.items():
        assert torch.allclose(model.state_dict()[name], expected, atol=1e-6), name


def test_swa_is_the_mean_over_the_last_quarter_of_the_epochs(model):
    batches = problem()
    ends = weights_after_each_step(model, batches, epochs=8)[4::4]
    fit(model, batches, epochs=8, optimizer="sgd", lr=0.5, average="swa", device="cpu")
    for name, value in model.named_parameters():
        assert torch.allclose(value, (ends[6][name] + ends[7][name]) / 2, atol=1e-6), name


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_averages_leave_indices_and_masks_as_they_are(model, average):
    class Permuted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model
            self.register_buffer("places", torch.arange(100))
            self.register_buffer("mask", torch.tensor([True, False]))

        def forward(self, inputs):
            return self.inner(inputs)

    permuted = Permuted()
    fit(permuted, problem(), epochs=8, average=average, device="cpu")
    assert permuted.places.tolist() == list(range(100))
    assert permuted.mask.tolist() == [True, False]


def test_the_averaged_weights_are_those_that_are_scored_and_kept(model):
    train, val = problem(), problem(seed=1)
    history = fit(model, train, val, epochs=6, optimizer="sgd", lr=0.5, average="ema", device="cpu")
    assert evaluate(model, val)["loss"] == pytest.approx(history.best["val_loss"])


def test_an_unknown_average_is_refused(model):
    with pytest.raises(UnknownNameError) as caught:
        fit(model, problem(), average="ewa", device="cpu")
    assert str(caught.value) == "unknown average 'ewa'; did you mean 'swa'? (ema, swa)"


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("inverse", [1.0, 1 / 2, 1 / 3, 1 / 4]),  # of 10 steps a tenth halves: b = 1
        ("linear", [1.0, 0.9, 0.8, 0.7]),
        (lambda optimizer, steps: optim.inverse(optimizer, steps, b=3.0), [1, 3 / 4, 3 / 5, 1 / 2]),
    ],
)
def test_schedules_follow_their_formulas(linear, schedule, rates):
    optimizer = torch.optim.SGD(linear.parameters(), lr=1.0)
    if isinstance(schedule, str):
        scheduler = optim.build_schedule(schedule, optimizer, 10)
    else:
        scheduler = schedule(optimizer, 10)
    seen = []
    for _ in rates:
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert seen == pytest.approx(rates)


def test_halve_halves_after_each_epoch_without_a_new_low(linear):
    losses, rates = iter([0.0, 3.0, 2.0, 2.5, 1.0, 1.0, 1.0]), []  # the first one is a trial

    def told(outputs, targets):
        if not torch.is_inference_mode_enabled():
            return outputs.sum() * 0.0
        return torch.tensor(next(losses))

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])

    optimizer = Watched(linear.parameters(), lr=1.0)
    batches = problem(16)
    fit(
        linear, batches, batches, epochs=6, optimizer=optimizer, schedule="halve", loss=told,
        device="cpu",
    )  # fmt: skip
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]


def test_a_schedule_may_be_a_function_of_the_optimizer_and_the_steps(linear):
    given = []

    def mine(optimizer, steps):
        given.append(steps)
        return torch.optim.lr_scheduler.StepLR(optimizer, steps // 2)

    history = fit(linear, problem(), epochs=3, schedule=mine, device="cpu")
    assert given == [12]
    assert history.config["schedule"] == "mine"


def test_several_metrics_are_means_over_all_targets(linear):
    batches = problem(50, 16)
    inputs, targets = (torch.cat(parts) for parts in zip(*batches, strict=True))

    def confident(logits, targets):
        return (logits.softmax(1).amax(1) > 0.5).float().mean()

    scores = evaluate(linear, batches, metrics=("accuracy", "top5", "perplexity", confident))
    logits = linear(inputs)
    assert list(scores) == ["loss", "accuracy", "top5", "perplexity", "confident"]
    assert scores["top5"] == 1.0  # of three classes
    assert scores["perplexity"] == pytest.approx(math.exp(F.cross_entropy(logits, targets).item()))
    share = (logits.softmax(1).max(1).values > 0.5).float().mean().item()
    assert scores["confident"] == pytest.approx(share)


def test_top5_looks_at_five_logits():
    logits = torch.arange(10.0).expand(10, 10)
    identity = nn.Sequential(nn.Linear(1, 1), nn.Identity())
    identity.forward = lambda inputs: inputs
    scores = evaluate(identity, [(logits, torch.arange(10))], metrics=("top5", "accuracy"))
    assert (scores["top5"], scores["accuracy"]) == (pytest.approx(0.5), pytest.approx(0.1))


def test_perplexity_of_a_hopeless_model_is_infinite_not_an_error():
    sure = nn.Sequential(nn.Linear(1, 1), nn.Identity())
    sure.forward = lambda inputs: inputs
    batches = [(torch.tensor([[0.0, 5000.0]]), torch.tensor([0]))]
    assert evaluate(sure, batches, metrics=("perplexity",))["perplexity"] == math.inf


def test_a_regressor_is_fitted_by_the_loss_alone():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(128, 4, generator=generator)
    targets = inputs @ torch.tensor([[1.0], [-2.0], [0.5], [3.0]]) + 0.7
    batches = list(zip(inputs.split(32), targets.split(32), strict=True))
    torch.manual_seed(0)
    line = nn.Linear(4, 1)
    history = fit(
        line, batches, batches, epochs=30, optimizer="sgd", lr=0.1, loss=mean_squared_error,
        metrics=("mse", "mae"), monitor="mae", device="cpu",
    )  # fmt: skip
    assert line.bias.item() == pytest.approx(0.7, abs=0.01)
    assert line.weight[0].tolist() == pytest.approx([1.0, -2.0, 0.5, 3.0], abs=0.01)
    assert history["val_mse"] == pytest.approx(history["val_loss"])
    assert absolute_error(line(inputs), targets).item() == pytest.approx(
        history.best["val_mae"], rel=1e-4
    )


def test_an_autoencoder_is_fitted_to_its_inputs():
    torch.manual_seed(0)
    coder = nn.Sequential(nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False))
    batches = Reconstruction(problem())
    history = fit(
        coder, batches, batches, epochs=40, lr=0.02, loss=squared_error, device="cpu",
    )  # fmt: skip
    assert history.best["val_loss"] < 0.1 * history["val_loss"][0]


def test_a_model_that_is_nan_only_in_eval_is_told_apart(model):
    class NanInEval(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, inputs):
            outputs = self.inner(inputs)
            return outputs if self.training else outputs * math.nan

    with pytest.raises(NonFiniteLossError) as caught:
        fit(NanInEval(), problem(), problem(), epochs=2, device="cpu")
    assert str(caught.value).startswith(
        "the validation loss is nan after epoch 1, and the training loss is not; "
    )
    assert "look at the validation data, and at layers that differ in eval mode" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("room", "advice"), [(5, "a batch of 4 fits"), (0, "not even a batch of 1 ")]
)
def test_out_of_memory_names_the_batch_size_that_fits(linear, room, advice):
    class Small(nn.Module):
        """Has memory for so many samples."""

        def __init__(self):
            super().__init__()
            self.inner = linear

        def forward(self, inputs):
            if len(inputs) > room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return self.inner(inputs)

    with pytest.raises(TrainingError) as caught:
        fit(Small(), problem(), device="cpu")
    assert str(caught.value).startswith(f"out of memory with a batch of 16; {advice}")


def test_deterministic_runs_are_the_same_to_the_bit(model):
    runs = []
    for _ in range(2):
        twin = copy.deepcopy(model)
        fit(twin, problem(), epochs=3, execution=Execution(deterministic=True), device="cpu")
        runs.append(twin.state_dict())
    assert not torch.are_deterministic_algorithms_enabled()
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


def test_knobs_come_on_by_themselves_only_where_they_gain(model, monkeypatch):
    convolves = nn.Sequential(nn.Conv2d(1, 2, 3))
    cpu = torch.device("cpu")
    on = Placement(Execution(), convolves, cpu)
    assert (on.channels_last, on.fused, on.bf16, on.compile) == (True, True, False, False)
    off = Placement(Execution(compile=None, deterministic=True), convolves, cpu, steps=10**6)
    assert (off.channels_last, off.fused, off.compile) == (False, False, False)
    # On a processor `compile` gains for some models and loses for others.
    monkeypatch.setattr(execution, "has_compiler", lambda device: True)
    for device, steps, compiles in (
        ("cpu", 10**6, False),
        ("cuda", 10**6, True),
        ("cuda", 9, False),
    ):
        place = Placement(Execution(compile=None), convolves, torch.device(device), steps)
        assert place.compile == compiles
    assert not Placement(Execution(), model, cpu).channels_last
    assert on.optimizer_settings("adam") == {"fused": True}
    assert on.optimizer_settings("rmsprop") == {}


class Flattened(nn.Module):
    """Flattens with `view`, which the memory layout channels_last does not allow."""

    def __init__(self, flatten):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.drop, self.output, self.flatten = nn.Dropout(), nn.Linear(4 * 36, 3), flatten

    def forward(self, inputs):
        hidden = self.drop(self.norm(self.conv(inputs)))
        return self.output(self.flatten(hidden))


@pytest.mark.parametrize("val", [None, "the same"])
def test_a_model_that_flattens_with_view_trains_in_the_usual_layout(val):
    torch.manual_seed(0)
    batches = [(torch.randn(8, 1, 8, 8), torch.randint(3, (8,))) for _ in range(2)]
    usual = Flattened(lambda hidden: hidden.view(len(hidden), -1))
    twin = copy.deepcopy(usual)
    for model, chosen in ((usual, None), (twin, False)):
        knobs = Execution(channels_last=chosen)
        fit(
            model, batches, val and batches, epochs=2, lr=0.01, device="cpu", execution=knobs
        )  # fmt: skip
    assert usual.conv.weight.is_contiguous()
    for name, value in usual.state_dict().items():
        torch.testing.assert_close(value, twin.state_dict()[name], msg=name)
    with pytest.raises(RuntimeError, match="view size"):
        fit(usual, batches, execution=Execution(channels_last=True), device="cpu")


def test_layers_with_sparse_gradients_train_with_sgd():
    torch.manual_seed(0)
    embedding = nn.Embedding(9, 5, sparse=True)
    model = nn.Sequential(embedding, nn.Flatten(), nn.Linear(15, 3))
    before = embedding.weight.detach().clone()
    fit(
        model, [(torch.tensor([[1, 2, 3], [3, 4, 5]]), torch.tensor([0, 2]))], optimizer="sgd",
        lr=0.1, device="cpu",
    )  # fmt: skip
    changed = (embedding.weight != before).any(1)
    assert changed.tolist() == [False, True, True, True, True, True, False, False, False]


@pytest.mark.parametrize("name", execution.FUSED)
def test_a_fused_optimizer_makes_the_steps_of_the_plain_one(linear, name):
    weights = []
    for fused in (True, False):
        twin = copy.deepcopy(linear)
        knob = Execution(fused=fused)
        fit(
            twin, problem(), epochs=3, optimizer=name, weight_decay=0.01, execution=knob,
            device="cpu",
        )  # fmt: skip
        weights.append(nn.utils.parameters_to_vector(twin.parameters()))
    torch.testing.assert_close(*weights)


FAULTS = """
import resource, sys
import torch
from dlcourse.train.execution import Execution, Placement
torch.set_num_threads(1)
if sys.argv[1] == "placed":
    model = torch.nn.Linear(1, 1)
    Placement(Execution(), model, torch.device("cpu")).place(model)
def step():
    return [torch.ones(1 << 20) for _ in range(20)]
step(), step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc is what is told")
def test_what_a_step_frees_is_kept_for_the_next():
    placed, left = (
        int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True).stdout)
        for how in ("placed", "left")
    )
    assert placed < left / 10


def test_bf16_is_refused_where_it_is_only_imitated(model, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    with pytest.raises(UsageError) as caught:
        fit(model, problem(), execution=Execution(bf16=True), device="cpu")
    assert str(caught.value) == (
        "bf16=True, but this cpu does not compute in bfloat16 and would be slower; "
        "leave it out, and it is used where it is supported"
    )
    assert not Placement(Execution(), model, torch.device("cpu"), classifies=True).bf16


def test_bf16_trains_where_it_is_to_be_had(model, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.delenv("DLCOURSE_BF16")
    dtypes = []
    model[0].register_forward_hook(lambda module, args, output: dtypes.append(output.dtype))
    history = fit(model, problem(), problem(), epochs=8, lr=0.03, device="cpu")
    assert set(dtypes) == {torch.bfloat16}
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert history.best["val_accuracy"] > 0.9


@pytest.mark.parametrize(
    ("loss", "settings", "dtype"),
    [
        ("cross_entropy", {}, torch.bfloat16),
        ("cross_entropy", {"bf16": False}, torch.float32),
        ("cross_entropy", {"deterministic": True}, torch.float32),
        ("cross_entropy", {"DLCOURSE_BF16": "0"}, torch.float32),
        ("cross_entropy", {"DLCOURSE_BF16": "1"}, torch.bfloat16),
        ("mean_squared_error", {}, torch.float32),
        ("mean_squared_error", {"bf16": True}, torch.bfloat16),
    ],
)
def test_bf16_is_on_by_itself_only_where_its_scores_were_found_equal(
    model, monkeypatch, loss, settings, dtype
):
    settings = dict(settings)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setenv("DLCOURSE_BF16", settings.pop("DLCOURSE_BF16", ""))
    dtypes = set()
    model[0].register_forward_hook(lambda module, args, output: dtypes.add(output.dtype))
    batches = problem()
    if loss == "mean_squared_error":
        batches = [(inputs, model(inputs).detach().float()) for inputs, _ in batches]
        dtypes.clear()
    fit(
        model, batches, epochs=1, loss=getattr(train, loss), execution=Execution(**settings),
        device="cpu",
    )  # fmt: skip
    assert dtypes == {dtype}


def test_a_value_of_dlcourse_bf16_that_says_nothing_is_refused(model, monkeypatch):
    monkeypatch.setenv("DLCOURSE_BF16", "off")
    with pytest.raises(UsageError, match="DLCOURSE_BF16 must be 0 or 1, got 'off'"):
        fit(model, problem(), device="cpu")


@pytest.mark.parametrize(
    ("asked", "compiler", "repaid", "calls"),
    [
        (True, "g++", 9, ["default"]),
        (None, "g++", 8, []),
        (False, "g++", 8, []),
    ],
)
def test_compile_goes_through_torch_compile_where_it_can_and_is_repaid(
    linear, monkeypatch, asked, compiler, repaid, calls
):
    modes = []
    monkeypatch.setattr(torch, "compile", lambda module, mode: modes.append(mode) or module)
    monkeypatch.setattr(execution.shutil, "which", lambda name: compiler)
    monkeypatch.setattr(execution, "WORTH_COMPILING", repaid)
    fit(linear, problem(), epochs=2, execution=Execution(compile=asked), device="cpu")  # 8 steps
    assert modes == calls


def test_compile_without_a_compiler_is_refused(linear, monkeypatch):
    monkeypatch.setattr(execution.shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match=r"finds no compiler here .* g\+\+ .* for a CPU\)"):
        fit(linear, problem(), execution=Execution(compile=True), device="cpu")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gradients(accumulate=0), "accumulate must be at least 1, got 0"),
        (lambda: Gradients(accumulate=1.5), "accumulate must be a whole number, at least 1, got"),
        (lambda: Gradients(clip_norm=0.0), "clip_norm must be above 0 (or None), got 0.0"),
        (lambda: Gradients(clip_value=math.nan), "clip_value must be above 0 (or None), got nan"),
        (lambda: Gradients(clip_norm=True), "clip_norm must be above 0 (or None), got True"),
        (lambda: CrossEntropy(1.0), "label_smoothing must be at least 0 and below 1, got 1.0"),
        (
            lambda: CrossEntropy(class_weights=[1.0, -1.0]),
            "class_weights must be one finite number above 0 for each class",
        ),
        (lambda: Execution(fused="yes"), "Execution(fused=...) must be True or False, got 'yes'"),
        (
            lambda: fit(nn.Linear(5, 3), problem(), schedule="halve", device="cpu"),
            "schedule 'halve' looks at the validation loss: give val",
        ),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(UsageError) as caught:
        make()
    assert str(caught.value).startswith(message)
