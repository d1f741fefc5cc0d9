"""Tests of lab 02, with their points. `student` is the lab under test: a solution or a submission.

The oracles are finite differences and autograd in float64, torch's own loss, numpy's interpolation,
and the numbers of regions that lecture A prints.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from dlcourse.check import assert_close, points
from dlcourse.check.explain import difference

AUTOGRAD = (
    "autograd*", "backward", "_backward", "grad", "grad_and_value", "jac*", "vjp", "jvp", "*_dual",
    "torch.autograd.*backward*", "torch.autograd.functional*", "torch._functorch*",
)  # fmt: skip
LOSSES = ("*cross_entropy*", "*CrossEntropy*", "*softmax*", "*Softmax*", "log*sumexp", "*nll*")


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def new_params(d, h, k, seed=0):
    shapes = {"weight1": (h, d), "bias1": (h,), "weight2": (k, h), "bias2": (k,)}
    return {name: randn(*shape, seed=seed + i) for i, (name, shape) in enumerate(shapes.items())}


def network(params, inputs):
    """Compute the hidden units and the logits with torch's own layers."""
    hidden = F.relu(F.linear(inputs, params["weight1"], params["bias1"]))
    return hidden, F.linear(hidden, params["weight2"], params["bias2"])


SMALL = {
    "weight1": torch.tensor([[1.0, 0.0], [0.0, -1.0]]),
    "bias1": torch.zeros(2),
    "weight2": torch.tensor([[2.0, 5.0]]),
    "bias2": torch.tensor([0.5]),
}


@points(0.5, task="2.1", hint="apply the ReLU to the hidden units only; return hidden and logits")
def test_forward_by_hand(student):
    params = {
        "weight1": torch.tensor([[1.0, 0.0], [0.0, -1.0], [2.0, 1.0]]),
        "bias1": torch.tensor([1.0, 2.0, -9.0]),
        "weight2": torch.tensor([[2.0, 5.0, 1.0], [0.0, -2.0, 3.0]]),
        "bias2": torch.tensor([0.5, -1.0]),
    }
    # Before the ReLU: 3 + 1, -4 + 2, 10 - 9 in the first sample; 0, 1.5, -10.5 in the second.
    returned = student.forward(params, torch.tensor([[3.0, 4.0], [-1.0, 0.5]]))
    assert isinstance(returned, tuple | list), (
        f"expected two values (hidden, logits), got one {type(returned).__name__}"
    )
    assert len(returned) == 2, f"expected two values (hidden, logits), got {len(returned)}"
    hidden, logits = returned
    assert_close(hidden, torch.tensor([[4.0, 0.0, 1.0], [0.0, 1.5, 0.0]]))
    assert_close(logits, torch.tensor([[9.5, 2.0], [8.0, -4.0]]))


@points(0.5, task="2.1", hint="weight1 is (H, D), so transpose it; add both biases", hidden=True)
def test_forward_is_that_of_torch_layers(student):
    for n, d, h, k in [(1, 3, 2, 4), (7, 5, 6, 3), (2, 4, 4, 4)]:
        params, inputs = new_params(d, h, k, seed=n), randn(n, d, seed=99)
        hidden, logits = student.forward(params, inputs)
        expected_hidden, expected_logits = network(params, inputs)
        assert_close(hidden, expected_hidden)
        assert_close(logits, expected_logits)


@points(0.5, task="2.2", hint="take -log p of the true class, then the mean", forbidden=LOSSES)
def test_cross_entropy_by_hand(student):
    # p = 3/4 and 1/4 in the first row, 1/2 each in the second
    logits = torch.tensor([[math.log(3.0), 0.0], [7.0, 7.0]])
    expected = torch.tensor((math.log(4 / 3) + math.log(2)) / 2)
    assert_close(student.cross_entropy(logits, torch.tensor([0, 1])), expected)
    # p = 3/8, 1/4 and 1/8 of the true classes
    log2, log3, log5 = math.log(2), math.log(3), math.log(5)
    logits = torch.tensor([[0.0, log2, log3, log2], [-2.0, -2, -2, -2], [log5, 0, 0, 0]])
    expected = torch.tensor((math.log(8 / 3) + math.log(4) + math.log(8)) / 3)
    assert_close(student.cross_entropy(logits, torch.tensor([2, 0, 3])), expected)


@points(0.5, task="2.2", hint="subtract the largest logit of each row before you call exp")
def test_cross_entropy_of_large_logits_is_finite(student):
    logits = torch.tensor([[1000.0, 0.0], [0.0, 1000.0], [-2000.0, -1990.0]])
    expected = torch.tensor((0.0 + 1000.0 + math.log(1 + math.exp(-10))) / 3)
    assert_close(student.cross_entropy(logits, torch.tensor([0, 0, 1])), expected)


@points(1, task="2.2", hint="each row has its own largest logit and true class", hidden=True)
def test_cross_entropy_is_that_of_torch(student):
    for n, k, scale in [(1, 2, 1), (9, 5, 3), (4, 10, 5000)]:
        logits, targets = scale * randn(n, k, seed=n) - scale, torch.arange(n) * 3 % k
        got = student.cross_entropy(logits, targets)
        assert_close(got, F.cross_entropy(logits, targets))


@points(
    0.5, task="2.3", hint="subtract 1 from p at the true class; divide by N", forbidden=AUTOGRAD
)
def test_gradient_of_the_loss_by_hand(student):
    got = student.cross_entropy_gradient(torch.zeros(2, 4), torch.tensor([2, 0]))
    expected = torch.tensor([[0.125, 0.125, -0.375, 0.125], [-0.375, 0.125, 0.125, 0.125]])
    assert_close(got, expected)
    # p = (3/4, 1/4), (1/2, 1/2) and (1/4, 3/4); divided by N = 3
    logits = torch.tensor([[math.log(3), 0.0], [-1.0, -1.0], [0.0, math.log(3)]])
    got, left = student.probe("in_place", "cross_entropy_gradient", logits, torch.tensor([0, 1, 0]))
    assert_close(got, torch.tensor([[-0.25, 0.25], [0.5, -0.5], [-0.75, 0.75]]) / 3)
    assert torch.equal(left[0], logits), "cross_entropy_gradient changed the tensor `logits`"


@points(0.5, task="2.3", hint="the loss is a mean, so divide by N; softmax over dim=1", hidden=True)
def test_gradient_of_the_loss_is_that_of_autograd(student):
    for n, k in [(1, 3), (8, 4), (4, 8)]:
        logits, targets = 4 * randn(n, k, seed=n), torch.arange(n) * 5 % k
        logits.requires_grad_()
        (expected,) = torch.autograd.grad(F.cross_entropy(logits, targets), logits)
        assert_close(student.cross_entropy_gradient(logits.detach(), targets), expected)


def batch(n, d, h, k, seed):
    """Make parameters, inputs and targets; return also the hidden units and dlogits."""
    params, inputs, targets = new_params(d, h, k, seed), randn(n, d, seed=77), torch.arange(n) % k
    hidden, logits = network(params, inputs)
    dlogits = (logits.softmax(1) - F.one_hot(targets, k)) / n
    return params, inputs, hidden, dlogits, targets


def finite_differences(params, inputs, targets, eps=1e-6):
    found = {}
    for name, value in params.items():
        gradient = torch.zeros_like(value)
        for place in np.ndindex(*value.shape):
            losses = []
            for sign in (1, -1):
                moved = value.clone()
                moved[place] += sign * eps
                logits = network(params | {name: moved}, inputs)[1]
                losses.append(F.cross_entropy(logits, targets))
            gradient[place] = (losses[0] - losses[1]) / (2 * eps)
        found[name] = gradient
    return found


def compare(got, expected, atol):
    __tracebackhide__ = True
    assert isinstance(got, dict), f"expected a dictionary of gradients, got {type(got).__name__}"
    assert set(got) == set(expected), f"expected the keys {sorted(expected)}, got {sorted(got)}"
    for name, gradient in expected.items():
        value = got[name]
        right = isinstance(value, torch.Tensor) and value.shape == gradient.shape
        right = right and (value - gradient).abs().max().item() <= atol
        assert right, f"the gradient of {name!r}: {difference(value, gradient)}"


@points(
    1,
    task="2.4",
    hint="start with bias2 and weight2; then go back through weight2 and the ReLU",
    forbidden=AUTOGRAD,
)
def test_backward_by_hand(student):
    hidden, dlogits = torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0]])
    got = student.backward(SMALL, torch.tensor([[3.0, 4.0]]), hidden, dlogits)
    expected = {
        "weight1": torch.tensor([[6.0, 8.0], [0.0, 0.0]]),
        "bias1": torch.tensor([2.0, 0.0]),
        "weight2": torch.tensor([[3.0, 0.0]]),
        "bias2": torch.tensor([1.0]),
    }
    compare(got, expected, 1e-6)


@points(1, task="2.4", hint="sum over the samples; dlogits already contains 1 / N")
def test_backward_agrees_with_finite_differences(student):
    params, inputs, hidden, dlogits, targets = batch(4, 3, 5, 2, seed=5)
    got = student.backward(params, inputs, hidden, dlogits)
    compare(got, finite_differences(params, inputs, targets), 1e-6)


@points(1, task="2.4", hint="the gradient is 0 where hidden is 0; return all four", hidden=True)
def test_backward_is_that_of_autograd(student):
    for n, d, h, k in [(1, 1, 1, 1), (10, 4, 6, 3), (3, 6, 6, 6)]:
        params, inputs, hidden, _, _ = batch(n, d, h, k, seed=n)
        dlogits = randn(n, k, seed=n + 1)
        leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
        gradients = torch.autograd.grad(
            network(leaves, inputs)[1], list(leaves.values()), grad_outputs=dlogits
        )
        got = student.backward(params, inputs, hidden, dlogits)
        compare(got, dict(zip(leaves, gradients, strict=True)), 1e-10)


@points(1, task="2.5", hint="change one entry at a time; divide by 2 eps", forbidden=AUTOGRAD)
def test_numerical_gradient_by_hand(student):
    def function(x):
        return x[0] ** 2 * x[1]

    got = student.numerical_gradient(function, torch.tensor([3.0, 2.0], dtype=torch.float64))
    assert_close(got, torch.tensor([12.0, 9.0], dtype=torch.float64), rtol=0, atol=1e-6)
    # Of a matrix, with a large eps: (2.5^3 - 1.5^3) / 1 = 12.25 and (0.5^3 - (-0.5)^3) / 1 = 0.25.
    x = torch.tensor([[2.0, 0.0, -2.0]], dtype=torch.float64)
    got = student.numerical_gradient(lambda x: (x**3).sum(), x, 0.5)
    assert_close(got, torch.tensor([[12.25, 0.25, 12.25]], dtype=torch.float64))


@points(0.5, task="2.5", hint="the result has the shape of x: fill each entry", hidden=True)
def test_numerical_gradient_of_a_matrix(student):
    x, factor = randn(3, 2), randn(3, 2, seed=1)
    got = student.numerical_gradient(lambda x: (x.sin() * factor).sum(), x)
    assert_close(got, x.cos() * factor, rtol=0, atol=1e-6)


@points(0.5, task="2.5", hint="go up by eps and down by eps, both from x itself", hidden=True)
def test_numerical_gradient_steps_both_ways_by_eps(student):
    # At 1, |x - 1| has the slopes -1 and 1, which cancel. The result for the cubic depends on eps.
    x = torch.tensor([1.0], dtype=torch.float64)
    kink = student.numerical_gradient(lambda x: (x - 1).abs().sum(), x, 1e-3)
    assert_close(kink, torch.zeros_like(x), rtol=0, atol=1e-9)
    cubic = student.numerical_gradient(lambda x: (x**3).sum(), x, 0.1)
    assert_close(cubic, torch.full_like(x, 3.01), rtol=0, atol=1e-9)


def relu_sum(x, knots, values, weights):
    return values[0] + torch.relu(x[:, None] - knots[:-1]) @ weights


@points(0.5, task="2.6", hint="the slopes are 2 and 0, so the weights are 2 and 0 - 2")
def test_relu_weights_by_hand(student):
    weights = student.relu_weights(torch.tensor([0.0, 1.0, 3.0]), torch.tensor([0.0, 2.0, 2.0]))
    assert_close(weights, torch.tensor([2.0, -2.0]))
    # slopes -2, 0 and 6
    knots, values = torch.tensor([-1.0, 0.0, 2.0, 2.5]), torch.tensor([3.0, 1.0, 1.0, 4.0])
    assert_close(student.relu_weights(knots, values), torch.tensor([-2.0, 2.0, 6.0]))


@points(0.5, task="2.6", hint="with more knots, the sum of ReLUs must be closer to the sine")
def test_error_on_the_sine_falls_with_the_number_of_relus(student):
    x = torch.linspace(-math.pi, math.pi, 501, dtype=torch.float64)
    errors = []
    for units in (4, 8, 16, 32):
        knots = torch.linspace(-math.pi, math.pi, units + 1, dtype=torch.float64)
        weights = student.relu_weights(knots, knots.sin())
        errors.append((relu_sum(x, knots, knots.sin(), weights) - x.sin()).abs().max().item())
    # Straight pieces of length h differ from a sine by at most h^2 / 8.
    bounds = [(2 * math.pi / units) ** 2 / 8 for units in (4, 8, 16, 32)]
    close = all(error <= bound for error, bound in zip(errors, bounds, strict=True))
    shown = ", ".join(
        f"{error:.3g} (at most {b:.3g})" for error, b in zip(errors, bounds, strict=True)
    )
    assert close, f"the largest errors with 4, 8, 16 and 32 ReLUs: {shown}"


@points(1, task="2.6", hint="the pieces can differ in length; values[0] need not be 0", hidden=True)
def test_relu_sum_interpolates(student):
    for count, seed in [(2, 0), (3, 1), (9, 2)]:
        knots = (randn(count, seed=seed).abs() + 0.1).cumsum(0) - 1
        values = randn(count, seed=seed + 10)
        x = torch.linspace(knots[0].item(), knots[-1].item(), 40, dtype=torch.float64)
        weights = student.relu_weights(knots, values)
        assert tuple(weights.shape) == (count - 1,), (
            f"{count} knots: expected shape ({count - 1},), got {tuple(weights.shape)}"
        )
        expected = torch.from_numpy(np.interp(x.numpy(), knots.numpy(), values.numpy()))
        assert_close(relu_sum(x, knots, values, weights), expected)


@points(
    0.5, task="2.7", hint="the first factor is (width // num_inputs) ** (num_inputs * (layers - 1))"
)
def test_region_bounds_of_the_lecture(student):
    bounds = [student.region_bound(2, *widths) for widths in [(8,), (12,), (4, 2), (4, 3)]]
    assert bounds == [37, 79, 44, 176]
    # 7 // 3 = 2 folds for each input, and 1 + 7 + 21 + 35 regions of the last layer
    assert student.region_bound(3, 7, layers=2) == 2**3 * 64
    assert student.region_bound(1, 5) == 6


@points(
    0.5,
    task="2.7",
    hint="// rounds down; j runs from 0 to num_inputs, both included",
    hidden=True,
)
def test_region_bounds_of_other_networks(student):
    # One input: each ReLU adds one piece. 3 inputs, 2 ReLUs: all patterns occur. 7 // 3 = 2 folds.
    cases = {(1, 5): 6, (3, 2): 4, (3, 7, 2): 8 * 64, (2, 5, 4): 2**6 * 16, (1, 3, 2): 12}
    for arguments, expected in cases.items():
        got = student.region_bound(*arguments)
        assert got == expected, f"region_bound{arguments}: expected {expected}, got {got}"


@points(
    1, task="2.8", hint="count the different patterns (rows) of on and off, joined over all layers"
)
def test_regions_by_hand(student):
    cross = (torch.eye(2), torch.zeros(2))
    points = torch.tensor([[-1.0, 1.0], [-2.0, 5.0], [1.0, 1.0], [1.0, -1.0]])
    assert student.count_regions([cross], points) == 3
    # A ReLU is on above 0, so it is off at 0.
    assert student.count_regions([cross], torch.tensor([[0.0, 0.0], [-1.0, -1.0]])) == 1
    # Two layers with biases: the patterns are 111, 010, 110, 011 and again 111.
    layers = [
        (torch.eye(2), torch.tensor([-1.0, 1.0])),
        (torch.tensor([[1.0, -1.0]]), torch.tensor([0.5])),
    ]
    points = torch.tensor([[2.0, 0.0], [0.0, 0.0], [2.0, 3.0], [0.0, -0.8], [5.0, 1.0]])
    assert student.count_regions(layers, points) == 4


def square(half, side):
    places = ((torch.arange(side) + 0.5) / side * 2 - 1) * half
    return torch.cartesian_prod(places, places)


@points(1, task="2.8", hint="join the patterns of all layers; use the biases", hidden=True)
def test_regions_of_folded_planes(student):
    at = torch.tensor([0.1, 0.4, 0.6, 0.95])
    weight, bias = torch.stack([2 * at, -torch.ones(4)], dim=1), -at.square()
    assert student.count_regions([(weight, bias)], square(1.0, 80)) == 11
    fold = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    folded = [(fold, torch.zeros(4)), (weight.repeat_interleave(2, dim=1), bias)]
    assert student.count_regions(folded, square(1.0, 160)) == 44
    # The first layer has two units that are always on. Only the second one separates points.
    idle = (torch.eye(2), torch.full((2,), 10.0))
    halves = (torch.tensor([[1.0, 0.0]]), torch.tensor([-10.0]))
    assert student.count_regions([idle, halves], square(1.0, 10)) == 2
