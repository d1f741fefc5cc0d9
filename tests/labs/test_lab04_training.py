"""Tests of lab 04, with their points. `student` is the lab under test: a solution or a submission.

The oracles are torch's own layers, moments of the random draws, and hand arithmetic.
"""

import itertools
import math

import torch
import torch.nn.functional as F

from dlcourse.check import expect, points


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@points(0.5, task="4.1", hint="use mean(dim=0) and var(dim=0, correction=0) of train")
def test_standardize_by_hand(student):
    # Columns of train: means 2, 5 and -1, variances 6, 0 and 24 (of three samples).
    train = torch.tensor([[-1.0, 5.0, -7.0], [2.0, 5.0, -1.0], [5.0, 5.0, 5.0]])
    val = torch.tensor([[4.0, 5.0, 9.0], [2.0, 5.5, -1.0]])
    test = torch.tensor([[-2.0, 6.0, 0.0]])
    check_standardize(student, train, val, test, 0.25)
    check_standardize(student, train, val, test)


def check_standardize(student, train, val, test, *eps):
    __tracebackhide__ = True
    given = (train, val, test)

    def with_values(mean, var, eps=eps[0] if eps else 0.01, outside=0.0):
        return tuple((part - mean) / ((var + eps) ** 0.5 + outside) for part in given)

    rows, (mean, var) = len(train), (train.mean(0), train.var(0, correction=0))
    whole = torch.cat(given)
    got, left = student.probe("in_place", "standardize", *given, *eps)
    expect(left[:3], list(given), "the given tensors, which must not change")
    expect(
        got,
        with_values(mean, var),
        ("train", "val", "test"),
        mistakes={
            "the variance with N - 1": with_values(mean, var * rows / max(rows - 1, 1)),
            "the mean and variance of val for val": (
                ..., (val - val.mean(0)) / (val.var(0, correction=0) + 0.25).sqrt(), ...,
            ),
            "the mean and variance of all three": with_values(
                whole.mean(0), whole.var(0, correction=0)
            ),
            "one mean and variance for all columns": with_values(
                train.mean(), train.var(correction=0)
            ),
            "dividing by the variance": tuple(
                (part - mean) / (var + (eps or (0.01,))[0]) for part in given
            ),
            "leaving out the mean": with_values(0.0, var),
            "eps outside the root": with_values(mean, var, 0.0, (eps or (0.01,))[0]),
            "leaving out eps": with_values(mean, var, 0.0),
            "ignoring eps": with_values(mean, var, 0.01),
        },
    )  # fmt: skip


@points(0.5, task="4.1", hint="use the mean and var of train for val and test too", hidden=True)
def test_standardize_knows_train_alone(student):
    train, val, test = (
        3 + randn(n, 5, seed=n) * torch.arange(1.0, 6.0, dtype=torch.float64) for n in (40, 7, 1)
    )
    check_standardize(student, train, val, test)
    check_standardize(student, train, val, test, 0.0)


def check_draw(rule, fan_in, fan_out, variance):
    """Check that `rule` draws normal weights with mean 0 and this variance."""
    __tracebackhide__ = True
    weight = rule(fan_in, fan_out)
    right = isinstance(weight, torch.Tensor) and weight.shape == (fan_out, fan_in)
    expect(weight, ... if right else torch.zeros(fan_out, fan_in))
    sure = math.sqrt(2 / weight.numel())
    mistakes = {
        "the variance instead of its root": variance**2,
        "2 / (fan_in + fan_out) instead of 2 / fan_in": 2 / (fan_in + fan_out),
        "2 / fan_in instead of 2 / (fan_in + fan_out)": 2 / fan_in,
        "2 / fan_out": 2 / fan_out,
        "1 instead of 2": variance / 2,
        "leaving out the factor": 1.0,
    }
    mistakes = {name: v for name, v in mistakes.items() if abs(v / variance - 1) > 12 * sure}
    got = weight.square().mean().item()
    expect(got, variance, "the variance", mistakes=mistakes, rtol=6 * sure)
    mean = weight.mean().item()
    expect(mean, 0.0, "the mean", atol=6 * math.sqrt(variance / weight.numel()))
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
    check_draw(student.xavier, 500, 100, 2 / 600)
    draws = student.xavier(20, 30), student.xavier(20, 30)
    assert not torch.equal(*draws), "expected new random numbers in each call"


@points(0.5, task="4.2", hint="kaiming: shape (fan_out, fan_in), variance 2 / fan_in")
def test_kaiming_has_its_variance(student):
    check_draw(student.kaiming, 200, 600, 2 / 200)
    check_draw(student.kaiming, 500, 100, 2 / 500)
    draws = student.kaiming(20, 30), student.kaiming(20, 30)
    assert not torch.equal(*draws), "expected new random numbers in each call"


@points(1, task="4.2", hint="fan_in counts the inputs, fan_out the outputs", hidden=True)
def test_initializers_tell_inputs_from_outputs(student):
    for fan_in, fan_out in [(900, 100), (100, 900), (784, 300)]:
        check_draw(student.xavier, fan_in, fan_out, 2 / (fan_in + fan_out))
        check_draw(student.kaiming, fan_in, fan_out, 2 / fan_in)
    for rule in (student.xavier, student.kaiming):
        assert not torch.equal(rule(9, 8), rule(9, 8)), "expected new draws with each call"


@points(0.5, task="4.3", hint="a weight has shape (outputs, inputs): inputs @ weight.T")
def test_propagate_by_hand(student):
    weights = [
        torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 0.0]]),
        torch.tensor([[1.0, 1.0, -1.0]]),
        torch.tensor([[-2.0], [3.0]]),
    ]
    inputs = torch.tensor([[1.0, 1.0], [0.0, -2.0], [2.0, -1.0], [3.0, 0.5]])
    first, second = [[3.0, 0, 3], [0, 2, 0], [0, 1, 6], [4, 0, 9]], [[0.0], [2], [0], [0]]
    expected = [torch.tensor(first), torch.tensor(second), torch.tensor([[0.0, 0]] * 4)]
    expected[2][1, 1] = 6.0
    before = [inputs, *expected]
    linear = [x @ weight.T for x, weight in zip(before, weights, strict=False)]
    chain = [linear[0], linear[0] @ weights[1].T, linear[0] @ weights[1].T @ weights[2].T]
    expect(
        student.propagate(inputs, weights, torch.relu),
        expected,
        ("layer 1", "layer 2", "layer 3"),
        mistakes={
            "leaving out the activation": chain,
            "collecting what comes before the activation": linear,
            "the inputs in front of the outputs": [..., ..., ..., ...],
            "no activation after the last layer": [*expected[:2], linear[2]],
        },
    )
    got = student.propagate(inputs, weights[:2], torch.tanh)
    tanh = [linear[0].tanh(), (linear[0].tanh() @ weights[1].T).tanh()]
    expect(
        got,
        tanh,
        ("layer 1", "layer 2"),
        mistakes={"a ReLU, whatever the activation": expected[:2]},
    )


@points(0.5, task="4.3", hint="apply the activation after the product in each layer", hidden=True)
def test_propagate_any_activation(student):
    inputs, sizes = randn(4, 3), (3, 5, 2, 6)
    weights = [randn(b, a, seed=a) for a, b in itertools.pairwise(sizes)]
    for activation in (torch.tanh, torch.sigmoid):
        expected, x = [], inputs
        for weight in weights:
            x = activation(F.linear(x, weight))
            expected.append(x)
        expect(student.propagate(inputs, weights, activation), expected)


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
    weight, bias = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([0.5, 3.0, -2.0])
    for batch_size, settings in [(5, {}), (2, {"eps": 0.5}), (4, {"momentum": 0.3})]:
        norm = student.BatchNorm(3, **settings)
        load(norm, weight, bias)
        inputs = 5 - 3 * randn(batch_size, 3, seed=batch_size, dtype=torch.float32)
        check_norm(norm(inputs), inputs, weight, bias, settings.get("eps", 1e-5))
        gradient_reaches(student, norm, inputs, weight, bias, settings.get("eps", 1e-5))


def load(norm, weight, bias):
    running = {"running_mean": 0 * weight, "running_var": 0 * weight + 1}
    norm.load_state_dict({"weight": weight, "bias": bias, **running})


def check_norm(got, inputs, weight, bias, eps):
    """Compare with torch's own batch normalization."""
    __tracebackhide__ = True
    n = len(inputs)

    def norm(weight=weight, bias=bias, eps=eps, inputs=inputs):
        return F.batch_norm(inputs, None, None, weight, bias, training=True, eps=eps)

    unit = norm(None, None)
    std = (inputs - inputs.mean(0)).square().mean(0).sqrt()
    expect(
        got.detach() if isinstance(got, torch.Tensor) else got,
        norm(),
        mistakes={
            "leaving out weight and bias": unit,
            "leaving out weight": unit + bias,
            "leaving out bias": norm(bias=None),
            "leaving out eps": norm(eps=1e-12),
            "ignoring eps": norm(eps=1e-5),
            "the variance with N - 1": bias + (norm() - bias) * ((n - 1) / n) ** 0.5,
            "the running values in training mode": inputs / (1 + eps) ** 0.5 * weight + bias,
            "eps outside the root": (inputs - inputs.mean(0)) / (std + eps) * weight + bias,
            "the mean and variance of each sample": F.layer_norm(
                inputs, inputs.shape[1:], weight, bias, eps
            ),
            "dividing by the variance": (inputs - inputs.mean(0)) / (std**2 + eps) * weight + bias,
        },
        rtol=1e-4,
        atol=1e-4,
    )


def gradient_reaches(student, norm, inputs, weight, bias, eps):
    """Check the gradient of the sum of sigmoid(norm(inputs)) with respect to the inputs."""
    __tracebackhide__ = True

    def gradient(detach_mean=False, detach_var=False):
        x = inputs.clone().requires_grad_()
        mean, centered = x.mean(0), x - x.mean(0)
        var = centered.square().mean(0)
        mean, var = mean.detach() if detach_mean else mean, var.detach() if detach_var else var
        outputs = (x - mean) * torch.rsqrt(var + eps) * weight + bias
        return torch.autograd.grad(outputs.sigmoid().sum(), x)[0]

    model = student.nn.Sequential(norm, student.nn.Sigmoid())
    got = student.probe("gradients", model, inputs.clone().requires_grad_())
    expect(
        got[0],
        gradient(),
        "the gradient of the sum of sigmoid(outputs) with respect to the inputs",
        mistakes={
            "a detached mean": gradient(detach_mean=True),
            "a detached variance": gradient(detach_var=True),
            "a detached mean and variance": gradient(True, True),
        },
        rtol=1e-3,
        atol=1e-4,
    )


@points(1, task="4.4", hint="update with momentum 0.1; after eval(), use the running values")
def test_batch_norm_keeps_running_values(student):
    norm = student.BatchNorm(2)
    # means 3 and 10, variances 6 and 0
    norm(torch.tensor([[0.0, 10.0], [3.0, 10.0], [6.0, 10.0]]))
    expect(
        [norm.state_dict()[name] for name in ("running_mean", "running_var")],
        [torch.tensor([0.3, 1.0]), torch.tensor([1.5, 0.9])],
        ("running_mean", "running_var"),
        mistakes={
            "swapping momentum and 1 - momentum": [torch.tensor([2.7, 9.0]), ...],
            "running values that are those of the batch": [torch.tensor([3.0, 10.0]), ...],
            "running values that never change": [torch.zeros(2), torch.ones(2)],
            "a running_var that never changes": [torch.tensor([0.3, 1.0]), torch.ones(2)],
            "the variance with N - 1": [torch.tensor([0.3, 1.0]), torch.tensor([1.8, 0.9])],
            "leaving out (1 - momentum)": [torch.tensor([0.3, 1.0]), torch.tensor([1.6, 1.0])],
        },
    )
    norm = student.BatchNorm(2, momentum=0.5, eps=3.0)
    inputs = torch.tensor([[1.0, 10.0], [3.0, 10.0]], requires_grad=True)
    norm(inputs)  # means 2 and 10, variances 1 and 0; the running values: 1 and 5, 1 and 0.5
    norm.eval()
    one = torch.tensor([[3.0, 6.0]])
    for number in ("first", "second"):  # the running values do not change in evaluation mode
        expect(
            norm(one).detach(),
            torch.tensor([[1.0, 1 / math.sqrt(3.5)]]),
            f"in evaluation mode, {number} call",
            mistakes={
                "the values of the batch in evaluation mode": torch.zeros(1, 2),
                "ignoring eps": torch.tensor([[2.0, 1 / math.sqrt(0.5)]]),
                "ignoring momentum": torch.tensor([[1.4, 5 / math.sqrt(3.9)]]),
            },
        )
    keeps_no_graph(norm)


def keeps_no_graph(norm):
    """Check that the running values do not belong to a graph."""
    __tracebackhide__ = True
    held = norm.running_mean.requires_grad or norm.running_var.requires_grad
    assert not held, "the running values keep the gradient graph: use mean.detach(), var.detach()"


@points(1, task="4.4", hint="use momentum and eps; change nothing in evaluation mode", hidden=True)
def test_batch_norm_takes_its_settings(student):
    norm = student.BatchNorm(3, momentum=0.3, eps=0.5)
    weight, bias = randn(3, seed=3, dtype=torch.float32), randn(3, seed=4, dtype=torch.float32)
    mean, var = torch.zeros(3), torch.ones(3)
    norm.load_state_dict({"weight": weight, "bias": bias, "running_mean": mean, "running_var": var})
    for seed in range(3):
        inputs = 2 - 4 * randn(5, 3, seed=seed, dtype=torch.float32)
        expected = F.batch_norm(inputs, None, None, weight, bias, training=True, eps=0.5)
        expect(norm(inputs).detach(), expected)
        mean = 0.7 * mean + 0.3 * inputs.mean(0)
        var = 0.7 * var + 0.3 * inputs.var(0, correction=0)
    norm.eval()
    for batch_size in (1, 4):
        inputs = randn(batch_size, 3, seed=9, dtype=torch.float32)
        expected = (inputs - mean) / (var + 0.5).sqrt() * weight + bias
        expect(norm(inputs).detach(), expected)
    kept = norm.state_dict()
    expect(kept["running_mean"], mean, "running_mean")
    expect(kept["running_var"], var, "running_var")
    norm.train()
    inputs = randn(4, 3, dtype=torch.float32)
    norm(inputs.clone().requires_grad_())
    keeps_no_graph(norm)
    gradient_reaches(student, norm, inputs, weight, bias, 0.5)


@points(
    1,
    task="4.5",
    hint="divide the other numbers by 1 - p; return the inputs if training is False",
    forbidden=("*dropout*", "*Dropout*"),
)
def test_dropout_drops_its_share(student):
    inputs = (1 + randn(200, 300).abs()) * randn(200, 300, seed=1).sign()
    expect(
        student.dropout(inputs, 0.5, training=False),
        inputs,
        "in evaluation mode",
        mistakes={"multiplying by 1 - p in evaluation mode": inputs / 2},
    )
    expect(student.dropout(inputs, 0.0, training=True), inputs, "with p = 0")
    for p in (0.5, 0.2):
        check_dropped(student, inputs, p)
    outputs = check_dropped(student, inputs, 0.5)
    for dim, what in ((0, "columns"), (1, "rows")):
        share = (outputs == 0).double().mean(dim)
        assert 0.01 < share.std() < 0.1, f"draw for each number, not for whole {what}"
    second = student.dropout(inputs, 0.5, True)
    assert not torch.equal(outputs, second), "expected other zeros in each call"
    student.probe("gradients", "dropout", torch.ones(2, 3).requires_grad_(), 0.5, True)


def check_dropped(student, inputs, p):
    __tracebackhide__ = True
    outputs, (left, *_) = student.probe("in_place", "dropout", inputs, p, True)
    expect(left, inputs, "the tensor `inputs`, which must not change", rtol=0, atol=0)
    right = isinstance(outputs, torch.Tensor) and outputs.shape == inputs.shape
    expect(outputs, ... if right else inputs)
    share = (outputs == 0).double().mean().item()
    far = 6 * math.sqrt(p * (1 - p) / inputs.numel())
    wrong = {"keeping with probability p": 1 - p} if abs(2 * p - 1) > far else {}
    wrong["dropping nothing"] = 0.0
    expect(share, p, "the fraction of zeros", mistakes=wrong, rtol=0, atol=far)

    def kept(values):
        return torch.where(outputs == 0, 0.0, values)

    expect(
        outputs,
        kept(inputs / (1 - p)),
        mistakes={
            "leaving out the division by 1 - p": kept(inputs),
            "dividing by p": kept(inputs / p),
            "multiplying by 1 - p": kept(inputs * (1 - p)),
            "ones instead of the inputs": kept(torch.ones_like(inputs) / (1 - p)),
        },
    )
    return outputs


@points(1, task="4.5", hint="draw for each number; do not change `inputs`", hidden=True)
def test_dropout_draws_each_number(student):
    outputs = check_dropped(student, torch.ones(200, 100, dtype=torch.float64), 0.3)
    gone = (outputs == 0).double()
    # If each number is drawn independently, the fractions of rows and columns differ a little.
    assert 0.02 < gone.mean(0).std() < 0.06, "draw for each number, not for whole columns"
    assert 0.03 < gone.mean(1).std() < 0.08, "draw for each number, not for whole rows"
    again = student.dropout(torch.ones(200, 100), 0.3, True)
    assert not torch.equal(gone.bool(), again == 0), "expected other zeros in each call"
    expect(student.dropout(torch.ones(3, 4), 0.0, True), torch.ones(3, 4))
    check_dropped(student, randn(30, 40, 5), 0.25)
    whole = randn(6, 5)
    expect(student.dropout(whole, 0.4, False), whole, "in evaluation mode")
    leaf = torch.ones(200, 100).requires_grad_()
    slopes = student.probe("gradients", "dropout", leaf, 0.3, True)[0]
    expect(slopes, torch.where(slopes == 0, 0.0, torch.ones(200, 100) / 0.7), "the gradient")
    expect((slopes == 0).double().mean().item(), 0.3, "its share of zeros", atol=0.03)


@points(
    0.5,
    task="4.6",
    hint="2 - 0.1 * (0.5 + 1 * 2): the decay is weight_decay * weight",
    forbidden=("torch.optim*", "_fused_*"),
)
def test_sgd_step_by_hand(student):
    weight, gradient = torch.tensor([[1.0, -3.0, 0.5]]), torch.tensor([[0.5, 1.0, -2.0]])
    lr, decay = 0.5, 0.2
    plain = torch.tensor([[0.75, -3.5, 1.5]])  # without the decay
    (got, left) = student.probe("in_place", "sgd_step", weight, gradient, lr, decay)
    expect(
        got,
        torch.tensor([[0.65, -3.2, 1.45]]),  # 1 - 0.5 (0.5 + 0.2), ...
        mistakes={
            "leaving out the weight decay": plain,
            "the penalty itself instead of its gradient": plain - lr * decay / 2 * weight**2,
            "decay * weight ** 2": plain - lr * decay * weight**2,
            "half of the decay": plain - lr * decay / 2 * weight,
            "a decay without lr": plain - decay * weight,
            "adding the decay instead of subtracting it": plain + lr * decay * weight,
            "the sign of the weight instead of the weight": plain - lr * decay * weight.sign(),
            "adding the step instead of subtracting it": torch.tensor([[1.35, -2.8, -0.45]]),
            "shrinking the new weight": plain * (1 - lr * decay),
            "leaving out lr": torch.tensor([[0.3, -3.4, 2.4]]),
        },
    )
    expect(left[:2], [weight, gradient], ("weight, which must not change", "gradient"))


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
    expect(weight, twin.detach())


@points(
    1,
    task="4.7",
    hint="write down epoch, best_epoch and best after each error",
    forbidden=("torch.optim*",),
)
def test_early_stopping_of_the_example(student):
    check_stopping(student, 3, [0.5, 0.3, 0.45, 0.4, 0.3])
    check_stopping(student, 2, [0.5, 0.3, 0.4, 0.3])
    check_stopping(student, 3, [0.9, 1.0, 0.8, 0.8, 0.7, 0.9, 0.8, 0.7, 0.6])
    check_stopping(student, 1, [3.0, 2.0, 2.0, 1.0])


def check_stopping(student, patience, errors):
    """Check what `update` and `stop` say and what is kept, after each error."""
    __tracebackhide__ = True
    stopping, best, best_epoch = student.EarlyStopping(patience=patience), math.inf, 0
    for epoch, error in enumerate(errors, start=1):
        better = error < best
        best, best_epoch = (error, epoch) if better else (best, best_epoch)
        after = f"after the errors {errors[:epoch]}"
        wrong = {"taking an equal error for an improvement": True} if error == best else {}
        if best < error < errors[epoch - 2]:
            wrong = {"comparing with the error before only": True}
        expect(stopping.update(error), better, after, mistakes=wrong)
        expect(stopping.epoch, epoch, f"{after}, epoch")
        kept = {"the last error instead of the lowest": error} if error != best else {}
        expect(stopping.best, best, f"{after}, best", mistakes=kept)
        none = {"counting from 0, or not remembering the epoch": 0} if best_epoch == 1 else {}
        counted = none | {"counting from 0": best_epoch - 1, "the last epoch": epoch}
        expect(stopping.best_epoch, best_epoch, f"{after}, best_epoch", mistakes=counted)
        late = {"one epoch too late": False} if epoch - best_epoch == patience else {}
        early = {"one epoch too early": True} if epoch - best_epoch == patience - 1 else {}
        expect(
            stopping.stop, epoch - best_epoch >= patience, f"{after}, stop", mistakes=late | early
        )


@points(1, task="4.7", hint="count the epochs since the last improvement", hidden=True)
def test_early_stopping_waits_for_its_patience(student):
    generator = torch.Generator().manual_seed(0)
    for patience in (1, 2, 4):
        check_stopping(student, patience, torch.rand(12, generator=generator).tolist())
    check_stopping(student, 3, [0.9, 1.0, 1.1, 0.8, 0.8, 0.7, 0.9, 0.9, 0.9])
