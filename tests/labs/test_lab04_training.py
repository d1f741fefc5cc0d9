"""Tests of lab 04, with their points. `student` is the lab under test: a solution or a submission.

The oracles are torch's own layers, moments of the random draws, and hand arithmetic.
"""

import itertools
import math

import torch
import torch.nn.functional as F

from dlcourse.check import assert_close, points
from dlcourse.check.student import StudentError


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@points(0.5, task="4.1", hint="use mean(dim=0) and var(dim=0, correction=0) of train")
def test_standardize_by_hand(student):
    # Column 1: mean 2, var 1. Column 2: mean 5, var 0, so only eps is left.
    train = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    val, test = torch.tensor([[2.0, 5.0]]), torch.tensor([[5.0, 6.0]])
    got = student.standardize(train, val, test, eps=0.25)
    scale = math.sqrt(1.25)
    expected = [
        [[-1 / scale, 0.0], [1 / scale, 0.0]],
        [[0.0, 0.0]],
        [[3 / scale, 2.0]],
    ]
    assert len(got) == 3, f"expected three tensors, got {len(got)}"
    for mine, values in zip(got, expected, strict=True):
        assert_close(mine, torch.tensor(values))
    # mean 3 and var 6 of three samples; the default eps is 0.01
    train = torch.tensor([[0.0], [3.0], [6.0]])
    got = student.standardize(train, torch.tensor([[4.0], [9.0]]), torch.tensor([[1.0]]))
    assert_close(got[1], torch.tensor([[1.0], [6.0]]) / math.sqrt(6.01))
    assert_close(got[2], torch.tensor([[-2.0]]) / math.sqrt(6.01))


@points(0.5, task="4.1", hint="use the mean and var of train for val and test too", hidden=True)
def test_standardize_knows_train_alone(student):
    train, val, test = (
        3 + randn(n, 5, seed=n) * torch.arange(1.0, 6.0, dtype=torch.float64) for n in (40, 7, 1)
    )
    got = student.standardize(train, val, test)
    variance = (train - train.mean(0)).square().mean(0)
    for mine, inputs in zip(got, (train, val, test), strict=True):
        assert_close(mine, (inputs - train.mean(0)) / (variance + 0.01).sqrt())
    assert_close(
        student.standardize(train, val, test, eps=0.0)[0].std(0, correction=0)[2].item(), 1.0
    )


def check_draw(rule, fan_in, fan_out, variance):
    """Check that `rule` draws normal weights with mean 0 and this variance."""
    weight, shape = rule(fan_in, fan_out), (fan_out, fan_in)
    assert tuple(weight.shape) == shape, f"expected shape {shape}, got {tuple(weight.shape)}"
    got, sure = weight.square().mean().item(), math.sqrt(2 / weight.numel())
    assert abs(got / variance - 1) < 6 * sure, f"expected variance {variance:.3g}, got {got:.3g}"
    mean = weight.mean().item()
    assert abs(mean) < 6 * math.sqrt(variance / weight.numel()), f"expected mean 0, got {mean:.2g}"
    far = (weight.abs() > 2 * math.sqrt(variance)).double().mean().item()
    # 4.6 % of normal draws are more than two standard deviations from 0; of uniform draws, none.
    assert 0.035 < far < 0.056, f"expected a normal distribution, got {far:.1%} beyond 2 std"


@points(
    0.5,
    task="4.2",
    hint="xavier: shape (fan_out, fan_in), variance 2 / (fan_in + fan_out)",
    forbidden=("torch.nn.init*",),
)
def test_xavier_has_its_variance(student):
    check_draw(student.xavier, 200, 600, 2 / 800)
    draws = student.xavier(20, 30), student.xavier(20, 30)
    assert not torch.equal(*draws), "expected new random numbers in each call"


@points(0.5, task="4.2", hint="kaiming: shape (fan_out, fan_in), variance 2 / fan_in")
def test_kaiming_has_its_variance(student):
    check_draw(student.kaiming, 200, 600, 2 / 200)


@points(1, task="4.2", hint="fan_in counts the inputs, fan_out the outputs", hidden=True)
def test_initializers_tell_inputs_from_outputs(student):
    for fan_in, fan_out in [(900, 100), (100, 900), (784, 300)]:
        check_draw(student.xavier, fan_in, fan_out, 2 / (fan_in + fan_out))
        check_draw(student.kaiming, fan_in, fan_out, 2 / fan_in)
    again = student.xavier(900, 100), student.xavier(900, 100)
    assert not torch.equal(*again), "expected new draws with each call"


@points(0.5, task="4.3", hint="a weight has shape (outputs, inputs): inputs @ weight.T")
def test_propagate_by_hand(student):
    weights = [
        torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 0.0]]),
        torch.tensor([[1.0, 1.0, -1.0]]),
    ]
    got = student.propagate(torch.tensor([[1.0, 1.0], [0.0, -2.0]]), weights, torch.relu)
    assert isinstance(got, list | tuple), "expected a list with the outputs of each layer"
    assert len(got) == 2, f"expected the outputs of 2 layers, got {len(got)} tensors"
    # First 1 + 2, -1 -> 0 and 3; then 3 + 0 - 3. Second -4 -> 0, 2 and 0; then 0 + 2 - 0.
    assert_close(got[0], torch.tensor([[3.0, 0.0, 3.0], [0.0, 2.0, 0.0]]))
    assert_close(got[1], torch.tensor([[0.0], [2.0]]))


@points(0.5, task="4.3", hint="apply the activation after the product in each layer", hidden=True)
def test_propagate_any_activation(student):
    inputs, sizes = randn(4, 3), (3, 5, 2, 6)
    weights = [randn(b, a, seed=a) for a, b in itertools.pairwise(sizes)]
    for activation in (torch.tanh, torch.sigmoid):
        expected, x = [], inputs
        for weight in weights:
            x = activation(F.linear(x, weight))
            expected.append(x)
        got = student.propagate(inputs, weights, activation)
        assert len(got) == 3, f"expected the outputs of 3 layers, got {len(got)} tensors"
        for mine, outputs in zip(got, expected, strict=True):
            assert_close(mine, outputs)


def ten_layers(student, rule, activation):
    """Return the outputs of ten layers of 500 units with weights from `rule(fan_in, fan_out)`."""
    torch.manual_seed(0)
    weights = [rule(500, 500) for _ in range(10)]
    return student.propagate(randn(200, 500, dtype=torch.float32), weights, activation)


def normal(std):
    return lambda fan_in, fan_out: std * torch.randn(fan_out, fan_in)


@points(1, task="4.3", needs=("4.2",), hint="compare with the recorded run in the docstring")
def test_ten_tanh_layers_die_saturate_or_live(student):
    dead = ten_layers(student, normal(0.01), torch.tanh)
    assert dead[0].std() > 0.1
    assert dead[-1].std() < 1e-5, "tanh, std 0.01: expected the tenth layer's outputs to be near 0"
    full = ten_layers(student, normal(1.0), torch.tanh)
    assert (full[-1].abs() > 0.99).float().mean() > 0.7, (
        "tanh, std 1.0: expected the tenth layer's outputs to be near -1 and 1"
    )
    alive = ten_layers(student, student.xavier, torch.tanh)
    assert 0.1 < alive[-1].std() < 0.9, "tanh, Xavier: expected the tenth layer to be alive"
    assert (alive[-1].abs() > 0.99).float().mean() < 0.01
    fading = ten_layers(student, student.xavier, torch.relu)
    holding = ten_layers(student, student.kaiming, torch.relu)
    assert fading[-1].std() < 0.1 * fading[0].std(), "ReLU, Xavier: expected the signal to fade"
    assert 0.5 < holding[-1].std() / holding[0].std() < 2, "ReLU, Kaiming: expected it to hold"


@points(
    1,
    task="4.4",
    hint="in training mode, use the mean and variance of each column; then weight and bias",
    forbidden=("*batch_norm*", "*BatchNorm*"),
)
def test_batch_norm_in_training(student):
    norm = student.BatchNorm(1)
    got = norm(torch.tensor([[1.0], [3.0], [5.0]]))
    root = math.sqrt(1.5)
    assert_close(got, torch.tensor([[-root], [0.0], [root]]), atol=1e-4, rtol=0)
    norm = student.BatchNorm(4)
    state = {
        "weight": randn(4, seed=1, dtype=torch.float32),
        "bias": randn(4, seed=2, dtype=torch.float32),
        "running_mean": torch.zeros(4),
        "running_var": torch.ones(4),
    }
    norm.load_state_dict(state)
    for batch_size in (2, 9):
        inputs = 5 + 3 * randn(batch_size, 4, seed=batch_size, dtype=torch.float32)
        expected = F.batch_norm(inputs, None, None, state["weight"], state["bias"], training=True)
        assert_close(norm(inputs), expected, atol=1e-5, rtol=1e-4)


@points(1, task="4.4", hint="update with momentum 0.1; after eval(), use the running values")
def test_batch_norm_keeps_running_values(student):
    norm = student.BatchNorm(2)
    norm(torch.tensor([[1.0, 10.0], [3.0, 10.0]]))  # means 2 and 10, variances 1 and 0
    kept = norm.state_dict()
    assert_close(kept["running_mean"], torch.tensor([0.2, 1.0]))
    assert_close(kept["running_var"], torch.tensor([1.0, 0.9]))
    norm.eval()
    got = norm(torch.tensor([[1.2, 0.0]]))
    assert_close(got, torch.tensor([[1.0, -1.0 / math.sqrt(0.9)]]), atol=1e-4, rtol=0)
    norm = student.BatchNorm(2, momentum=0.5, eps=3.0)
    inputs = torch.tensor([[1.0, 10.0], [3.0, 10.0]], requires_grad=True)
    assert_close(norm(inputs).detach(), torch.tensor([[-0.5, 0.0], [0.5, 0.0]]))
    norm.eval()
    for _ in range(2):  # the running values do not change in evaluation mode
        got = norm(torch.tensor([[3.0, 6.0]])).detach()  # means 1 and 5, variances 1 and 0.5
        assert_close(got, torch.tensor([[1.0, 1 / math.sqrt(3.5)]]))
    keeps_no_graph(student, norm)


def keeps_no_graph(student, norm):
    """Check that the running values do not belong to a graph."""
    __tracebackhide__ = True
    try:
        student.copy.deepcopy(norm)  # torch refuses to copy a buffer with a graph
    except StudentError:
        raise AssertionError(
            "the running values keep the gradient graph: use mean.detach() and var.detach()"
        ) from None


@points(1, task="4.4", hint="use momentum and eps; change nothing in evaluation mode", hidden=True)
def test_batch_norm_takes_its_settings(student):
    norm = student.BatchNorm(3, momentum=0.5, eps=0.5)
    weight, bias = randn(3, seed=3, dtype=torch.float32), randn(3, seed=4, dtype=torch.float32)
    mean, var = torch.zeros(3), torch.ones(3)
    norm.load_state_dict({"weight": weight, "bias": bias, "running_mean": mean, "running_var": var})
    for seed in range(3):
        inputs = 2 - 4 * randn(5, 3, seed=seed, dtype=torch.float32)
        expected = F.batch_norm(inputs, None, None, weight, bias, training=True, eps=0.5)
        assert_close(norm(inputs), expected, atol=1e-5, rtol=1e-4)
        mean = (mean + inputs.mean(0)) / 2
        var = (var + inputs.var(0, correction=0)) / 2
    norm.eval()
    for batch_size in (1, 4):
        inputs = randn(batch_size, 3, seed=9, dtype=torch.float32)
        expected = (inputs - mean) / (var + 0.5).sqrt() * weight + bias
        assert_close(norm(inputs), expected, atol=1e-5, rtol=1e-4)
    kept = norm.state_dict()
    assert_close(kept["running_mean"], mean)
    assert_close(kept["running_var"], var)
    norm.train()
    norm(randn(4, 3, dtype=torch.float32).requires_grad_())
    keeps_no_graph(student, norm)


@points(
    1,
    task="4.5",
    hint="divide the other numbers by 1 - p; return the inputs if training is False",
    forbidden=("*dropout*", "*Dropout*"),
)
def test_dropout_drops_its_share(student):
    inputs = (1 + randn(200, 300).abs()) * randn(200, 300, seed=1).sign()
    for p in (0.5, 0.2):
        outputs = student.dropout(inputs, p, training=True)
        gone = outputs == 0
        assert_close(torch.where(gone, inputs / (1 - p), outputs), inputs / (1 - p))
        share = gone.double().mean().item()
        assert abs(share - p) < 0.02, f"p = {p}: expected about {p:.0%} zeros, got {share:.1%}"
    assert_close(student.dropout(inputs, 0.5, training=False), inputs)
    assert_close(student.dropout(inputs, 0.0, training=True), inputs)
    first, (left, *_) = student.probe("in_place", "dropout", inputs, 0.5, True)
    assert torch.equal(left, inputs), "dropout changed the tensor `inputs`"
    for dim, what in ((0, "columns"), (1, "rows")):
        share = (first == 0).double().mean(dim)
        assert 0.01 < share.std() < 0.1, f"draw for each number, not for whole {what}"
    second = student.dropout(inputs, 0.5, True)
    assert not torch.equal(first, second), "expected other zeros in each call"


@points(1, task="4.5", hint="draw for each number; do not change `inputs`", hidden=True)
def test_dropout_draws_each_number(student):
    inputs = torch.ones(200, 100)
    outputs, (left, *_) = student.probe("in_place", "dropout", inputs, 0.5, True)
    assert torch.equal(left, torch.ones(200, 100)), "dropout changed the tensor `inputs`"
    gone = (outputs == 0).double()
    # If each number is drawn independently, the fractions of rows and columns differ a little.
    assert 0.02 < gone.mean(0).std() < 0.06, "draw for each number, not for whole columns"
    assert 0.03 < gone.mean(1).std() < 0.08, "draw for each number, not for whole rows"
    again = student.dropout(inputs, 0.5, True)
    assert not torch.equal(outputs, again), "expected other zeros in each call"
    assert_close(student.dropout(inputs, 0.0, True), inputs)
    signed = randn(3, 4, 5)
    outputs = student.dropout(signed, 0.25, True)
    assert_close(outputs, torch.where(outputs == 0, 0.0, signed / 0.75))


@points(
    0.5,
    task="4.6",
    hint="2 - 0.1 * (0.5 + 1 * 2): the decay is weight_decay * weight",
    forbidden=("torch.optim*", "_fused_*"),
)
def test_sgd_step_by_hand(student):
    got = student.sgd_step(torch.tensor([2.0]), torch.tensor([0.5]), lr=0.1, weight_decay=1.0)
    assert_close(got, torch.tensor([1.75]))
    weight, gradient = torch.tensor([1.0, -3.0, 0.5]), torch.tensor([0.5, 1.0, -2.0])
    got = student.sgd_step(weight, gradient, lr=0.5, weight_decay=0.2)
    assert_close(got, torch.tensor([0.65, -3.2, 1.45]))  # 1 - 0.5 (0.5 + 0.2), ...


@points(0.5, task="4.6", hint="the penalty adds weight_decay * weight", hidden=True)
def test_sgd_steps_are_those_of_torch(student):
    weight = randn(3, 4)
    twin = weight.clone().requires_grad_()
    optimizer = torch.optim.SGD([twin], lr=0.3, weight_decay=0.2)
    for seed in range(5):
        gradient = randn(3, 4, seed=seed + 1)
        weight = student.sgd_step(weight, gradient, 0.3, 0.2)
        twin.grad = gradient
        optimizer.step()
    assert_close(weight, twin.detach())


def run_of(stopping, errors):
    """Return the answers of `update` and `stop` to each error."""
    return [(stopping.update(error), stopping.stop) for error in errors]


@points(
    1,
    task="4.7",
    hint="write down epoch, best_epoch and best after each error",
    forbidden=("torch.optim*",),
)
def test_early_stopping_of_the_example(student):
    stopping = student.EarlyStopping(patience=2)
    said = run_of(stopping, [0.5, 0.3, 0.4, 0.3])
    assert said == [(True, False), (True, False), (False, False), (False, True)]
    assert (stopping.best, stopping.best_epoch, stopping.epoch) == (0.3, 2, 4)
    stopping = student.EarlyStopping(patience=3)
    said = run_of(stopping, [0.9, 1.0, 0.8, 0.8, 0.7, 0.9, 0.8, 0.7])
    assert [better for better, _ in said] == [True, False, True, False, True, False, False, False]
    assert [stop for _, stop in said] == [False] * 7 + [True]
    assert (stopping.best, stopping.best_epoch, stopping.epoch) == (0.7, 5, 8)


@points(1, task="4.7", hint="count the epochs since the last improvement", hidden=True)
def test_early_stopping_waits_for_its_patience(student):
    generator = torch.Generator().manual_seed(0)
    for patience in (1, 2, 3):
        stopping = student.EarlyStopping(patience)
        best, since = math.inf, 0
        for error in torch.rand(12, generator=generator).tolist():
            better = error < best
            best, since = (error, 0) if better else (best, since + 1)
            assert run_of(stopping, [error]) == [(better, since >= patience)]
            assert stopping.best == best, f"expected best {best:.3f}, got {stopping.best}"
    stopping = student.EarlyStopping(3)
    said = run_of(stopping, [0.9, 1.0, 1.1, 0.8, 0.8, 0.7, 0.9, 0.9, 0.9])
    assert [stop for _, stop in said] == [False] * 8 + [True]
    assert (stopping.best, stopping.best_epoch, stopping.epoch) == (0.7, 6, 9)
