"""Tests of lab 02, with their points. `student` is the lab under test: a solution or a submission.

The oracles are finite differences and autograd in float64, torch's own loss, numpy's interpolation,
and the numbers of regions that lecture A prints.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from dlcourse.check import expect, points

AUTOGRAD = (
    "autograd*", "backward", "_backward", "grad", "grad_and_value", "jac*", "vjp", "jvp", "*_dual",
    "torch.autograd.*backward*", "torch.autograd.functional*", "torch.autograd.gradcheck*",
    "torch._functorch.apis.*grad*", "torch._functorch.eager*", "run_backward", "*loss*_backward*",
    "*softmax_backward*",
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


HIDDEN_AND_LOGITS = ("the hidden units", "the logits")


@points(0.5, task="2.1", hint="apply the ReLU to the hidden units only; return hidden and logits")
def test_forward_by_hand(student):
    params = {
        "weight1": torch.tensor([[1.0, 0.0], [0.0, -1.0], [2.0, 1.0]]),
        "bias1": torch.tensor([1.0, 2.0, -9.0]),
        "weight2": torch.tensor([[2.0, 5.0, 1.0], [0.0, -2.0, 3.0]]),
        "bias2": torch.tensor([0.5, -1.0]),
    }
    # Before the ReLU: 3 + 1, -4 + 2, 10 - 9 in the first sample; 0, 1.5, -10.5 in the second.
    hidden = torch.tensor([[4.0, 0.0, 1.0], [0.0, 1.5, 0.0]])
    logits = torch.tensor([[9.5, 2.0], [8.0, -4.0]])
    expect(
        student.forward(params, torch.tensor([[3.0, 4.0], [-1.0, 0.5]])),
        (hidden, logits),
        HIDDEN_AND_LOGITS,
        mistakes={
            "a ReLU on the logits too": (hidden, logits.relu()),
            "leaving out the ReLU": (torch.tensor([[4.0, -2.0, 1.0], [0.0, 1.5, -10.5]]), ...),
            "returning the hidden units before their ReLU": (..., logits),
            "leaving out bias2": (hidden, logits - params["bias2"]),
            "leaving out bias1": (torch.tensor([[3.0, 0.0, 10.0], [0.0, 0.0, 0.0]]), ...),
            "adding bias1 after the ReLU": (torch.tensor([[4.0, 2.0, 1.0], [1.0, 2.0, -9.0]]), ...),
            "swapping hidden units and logits": (logits, hidden),
        },
    )
    params, inputs = new_params(3, 5, 2), randn(4, 3, seed=9)
    expect(student.forward(params, inputs), network(params, inputs), HIDDEN_AND_LOGITS)


@points(0.5, task="2.1", hint="weight1 is (H, D), so transpose it; add both biases", hidden=True)
def test_forward_is_that_of_torch_layers(student):
    for n, d, h, k in [(1, 3, 2, 4), (7, 5, 6, 3), (2, 4, 4, 4)]:
        params, inputs = new_params(d, h, k, seed=n), randn(n, d, seed=99)
        expect(student.forward(params, inputs), network(params, inputs), HIDDEN_AND_LOGITS)


@points(0.5, task="2.2", hint="take -log p of the true class, then the mean", forbidden=LOSSES)
def test_cross_entropy_by_hand(student):
    # p = 3/8, 1/4 and 1/8 of the true classes
    log2, log3, log5 = math.log(2), math.log(3), math.log(5)
    logits = torch.tensor([[0.0, log2, log3, log2], [-2.0, -2, -2, -2], [log5, 0, 0, 0]])
    by_hand = torch.tensor((math.log(8 / 3) + math.log(4) + math.log(8)) / 3)
    expect(F.cross_entropy(logits, torch.tensor([2, 0, 3])), by_hand)
    check_loss(student, logits, torch.tensor([2, 0, 3]))
    check_loss(student, 3 * randn(5, 3, seed=4).float(), torch.tensor([0, 2, 1, 1, 2]))


def check_loss(student, logits, targets):
    """Compare with torch's own loss."""
    __tracebackhide__ = True
    n, k = logits.shape
    expected = F.cross_entropy(logits, targets)
    columns = -F.log_softmax(logits, dim=0)[torch.arange(n), targets].mean()
    expect(
        student.cross_entropy(logits, targets),
        expected,
        mistakes={
            "the sum instead of the mean": n * expected,
            "dividing by N K instead of N": expected / k,
            "a wrong sign": -expected,
            "the softmax over the samples instead of the classes": columns,
            "leaving out the logarithm": -F.softmax(logits, 1)[torch.arange(n), targets].mean(),
            "the logarithm to base 2": expected / math.log(2),
            "leaving out -z of the true class": logits.logsumexp(1).mean(),
            "the loss of each sample instead of their mean": F.cross_entropy(
                logits, targets, reduction="none"
            ),
        },
    )


@points(0.5, task="2.2", hint="subtract the largest logit of each row before you call exp")
def test_cross_entropy_of_large_logits_is_finite(student):
    logits = torch.tensor([[1000.0, 0.0, 0.0], [0.0, 1000.0, -5.0], [-2000.0, -1990.0, -2010.0]])
    expected = torch.tensor((0.0 + 1000.0 + math.log(1 + math.exp(-10))) / 3)
    got = student.cross_entropy(logits, torch.tensor([0, 0, 1]))
    mistakes = {
        "an exp that overflows": torch.tensor(math.nan),
        "an exp that overflows to infinity": torch.tensor(math.inf),
        "the logarithm of 0: each row needs its own largest logit": torch.tensor(-math.inf),
    }
    expect(got, expected, mistakes=mistakes)


@points(1, task="2.2", hint="each row has its own largest logit and true class", hidden=True)
def test_cross_entropy_is_that_of_torch(student):
    for n, k, scale in [(1, 2, 1), (9, 5, 3), (4, 10, 5000)]:
        logits, targets = scale * randn(n, k, seed=n) - scale, torch.arange(n) * 3 % k
        check_loss(student, logits, targets)


def check_loss_gradient(student, logits, targets, expected):
    __tracebackhide__ = True
    n, k = logits.shape
    got, left = student.probe("in_place", "cross_entropy_gradient", logits, targets)
    expect(
        got,
        expected,
        mistakes={
            "forgetting to divide by N": n * expected,
            "dividing by K instead of N": n / k * expected,
            "leaving out the 1 of the true class": logits.softmax(1) / n,
            "adding 1 instead of subtracting it": 2 * logits.softmax(1) / n - expected,
            "dividing only p, or only t, by N": logits.softmax(1) / n
            - (logits.softmax(1) - n * expected),
            "a wrong sign": -expected,
            "the softmax over the samples instead of the classes": (
                logits.softmax(0) - logits.softmax(1)
            )
            / n
            + expected,
        },
    )
    expect(left[0], logits, "the tensor `logits`, which must not change")


@points(
    0.5, task="2.3", hint="subtract 1 from p at the true class; divide by N", forbidden=AUTOGRAD
)
def test_gradient_of_the_loss_by_hand(student):
    # p = (3/4, 1/4), (1/2, 1/2) and (1/4, 3/4); divided by N = 3
    logits = torch.tensor([[math.log(3), 0.0], [-1.0, -1.0], [0.0, math.log(3)]])
    expected = torch.tensor([[-0.25, 0.25], [0.5, -0.5], [-0.75, 0.75]]) / 3
    check_loss_gradient(student, logits, torch.tensor([0, 1, 0]), expected)
    # p = 1/4 each, N = 2
    expected = torch.tensor([[0.125, 0.125, -0.375, 0.125], [-0.375, 0.125, 0.125, 0.125]])
    check_loss_gradient(student, torch.full((2, 4), -7.0), torch.tensor([2, 0]), expected)


@points(0.5, task="2.3", hint="the loss is a mean, so divide by N; softmax over dim=1", hidden=True)
def test_gradient_of_the_loss_is_that_of_autograd(student):
    for n, k in [(1, 3), (8, 4), (4, 8)]:
        logits, targets = (4 * randn(n, k, seed=n)).requires_grad_(), torch.arange(n) * 5 % k
        (expected,) = torch.autograd.grad(F.cross_entropy(logits, targets), logits)
        check_loss_gradient(student, logits.detach(), targets, expected)


def gradients_of(params, inputs, dlogits):
    """Compute the derivatives with torch's autograd."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    logits = network(leaves, inputs)[1]
    found = torch.autograd.grad(logits, list(leaves.values()), grad_outputs=dlogits)
    return dict(zip(leaves, found, strict=True))


def check_backward(student, params, inputs, dlogits):
    __tracebackhide__ = True
    n, (hidden, _) = len(inputs), network(params, inputs)
    expected = gradients_of(params, inputs, dlogits)
    straight = {**params, "bias1": params["bias1"] + 1e6}  # all ReLUs are on
    no_mask = gradients_of(straight, inputs, dlogits)
    first, second = ("weight1", "bias1"), ("weight2", "bias2")
    got = student.backward(params, inputs, hidden, dlogits)
    expect(
        got,
        expected,
        mistakes={
            "leaving out the ReLU": {**expected, **{name: no_mask[name] for name in first}},
            "leaving out the ReLU at bias1": {**expected, "bias1": no_mask["bias1"]},
            "leaving out the ReLU at weight1": {**expected, "weight1": no_mask["weight1"]},
            "dividing by N, which dlogits already contains": {
                name: value / n for name, value in expected.items()
            },
            "the mean over the samples for the biases instead of the sum": {
                **expected, **{name: expected[name] / n for name in ("bias1", "bias2")}
            },
            "swapping the layers' derivatives": {
                **{a: expected[b] for a, b in zip(first + second, second + first, strict=True)}
            },
            "transposing the derivatives of the weights": {
                name: value.T if value.dim() == 2 else value for name, value in expected.items()
            },
            "a wrong sign": {name: -value for name, value in expected.items()},
        },
    )  # fmt: skip


@points(
    1,
    task="2.4",
    hint="start with bias2 and weight2; then go back through weight2 and the ReLU",
    forbidden=AUTOGRAD,
)
def test_backward_by_hand(student):
    # Two samples; in the first one the second unit is off, in the other one the first.
    params = {
        "weight1": torch.tensor([[1.0, 0.0, 1.0], [0.0, -1.0, 2.0]]),
        "bias1": torch.tensor([-1.0, 2.0]),
        "weight2": torch.tensor([[2.0, 5.0]]),
        "bias2": torch.tensor([0.5]),
    }
    inputs = torch.tensor([[3.0, 4.0, -1.0], [-2.0, 0.5, 1.0]])
    hidden, dlogits = torch.tensor([[1.0, 0.0], [0.0, 3.5]]), torch.tensor([[1.0], [-2.0]])
    expected = {
        "weight1": torch.tensor([[6.0, 8.0, -2.0], [20.0, -5.0, -10.0]]),
        "bias1": torch.tensor([2.0, -10.0]),
        "weight2": torch.tensor([[1.0, -7.0]]),
        "bias2": torch.tensor([-1.0]),
    }
    expect(student.backward(params, inputs, hidden, dlogits), expected)


@points(1, task="2.4", hint="sum over the samples; dlogits already contains 1 / N")
def test_backward_of_more_samples_units_and_classes(student):
    check_backward(student, new_params(3, 5, 2, seed=5), randn(4, 3, seed=77), randn(4, 2, seed=3))
    check_backward(student, new_params(2, 3, 4, seed=6), randn(7, 2, seed=78), randn(7, 4, seed=4))


@points(1, task="2.4", hint="the gradient is 0 where hidden is 0; return all four", hidden=True)
def test_backward_is_that_of_autograd(student):
    for n, d, h, k in [(1, 1, 1, 1), (10, 4, 6, 3), (3, 6, 6, 6)]:
        params, inputs = new_params(d, h, k, seed=n), randn(n, d, seed=77)
        check_backward(student, params, inputs, randn(n, k, seed=n + 1))


@points(0.5, task="2.5", hint="change one entry at a time; divide by 2 eps", forbidden=AUTOGRAD)
def test_numerical_gradient_by_hand(student):
    # With eps 0.5, a cube at 2 has (2.5^3 - 1.5^3) / 1 = 12.25. One side alone gives
    # (2.5^3 - 8) / 0.5 = 15.25 or (8 - 1.5^3) / 0.5 = 9.25.
    check_numerical(student, [[2.0, 0.0, -2.0], [1.0, 3.0, 0.0]], 0.5)
    check_numerical(student, [2.0, -1.0, 4.0, 0.5], 0.25)


def check_numerical(student, x, eps):
    """Check the derivative of a sum of cubes: 3 x^2, and eps^2 more, which shows the step."""
    __tracebackhide__ = True
    x = torch.tensor(x, dtype=torch.float64)
    expected = 3 * x**2 + eps**2
    got, left = student.probe("in_place", "numerical_gradient", lambda x: (x**3).sum(), x, eps)
    expect(
        got,
        expected,
        mistakes={
            "a step up only, not down": expected + 3 * x * eps,
            "a step down only, not up": expected - 3 * x * eps,
            "dividing by eps instead of 2 eps": 2 * expected,
            "multiplying by eps, or dividing by 2 and then multiplying by eps": expected * eps**2,
            "a wrong sign": -expected,
            "a step of its own instead of eps": 3 * x**2,
            "moving all entries at once": expected.sum().expand_as(x),
        },
        rtol=1e-8,
    )
    expect(got.dtype, x.dtype, "the dtype of the result")
    expect(left[1], x, "the tensor x, which must not change", rtol=0, atol=0)


@points(0.25, task="2.5", hint="the result has the shape of x: fill each entry", hidden=True)
def test_numerical_gradient_of_a_matrix(student):
    x, factor = randn(3, 2), randn(3, 2, seed=1)
    got = student.numerical_gradient(lambda x: (x.sin() * factor).sum(), x)
    expect(got, x.cos() * factor, rtol=0, atol=1e-6)


@points(0.25, task="2.5", hint="go up by eps and down by eps, both from x itself", hidden=True)
def test_numerical_gradient_steps_both_ways_by_eps(student):
    # At 1, |x - 1| has the slopes -1 and 1, which cancel.
    x = torch.tensor([1.0], dtype=torch.float64)
    kink = student.numerical_gradient(lambda x: (x - 1).abs().sum(), x, 1e-3)
    expect(kink, torch.zeros_like(x), rtol=0, atol=1e-9)
    check_numerical(student, [[[1.0], [-3.0]]], 0.1)


def relu_sum(x, knots, values, weights):
    return values[0] + torch.relu(x[:, None] - knots[:-1]) @ weights


@points(0.25, task="2.6", hint="with the slopes -2, 0 and 6 the weights are -2, 0 + 2 and 6 - 0")
def test_relu_weights_by_hand(student):
    # slopes -2, 0 and 6
    knots, values = torch.tensor([-0.5, 0.0, 2.0, 2.75]), torch.tensor([2.0, 1.0, 1.0, 5.5])
    expected = torch.tensor([-2.0, 2.0, 6.0])
    expect(
        student.relu_weights(knots, values),
        expected,
        mistakes={
            "returning the slopes": torch.tensor([-2.0, 0.0, 6.0]),
            "leaving out the first weight": expected[1:],
            "the slope before minus the slope after": -expected,
            "not dividing by the differences of the knots": torch.tensor([-1.0, 1.0, 4.5]),
            "the first distance of two knots for all": torch.tensor([-2.0, 2.0, 9.0]),
            "dividing the knots by the values": torch.tensor([-0.5, math.inf, -math.inf]),
            "a weight for the last knot too": torch.tensor([-2.0, 2.0, 6.0, -6.0]),
            "the values for slopes": torch.tensor([2.0, -1.0, 0.0]),
        },
    )


@points(0.25, task="2.6", hint="with more knots, the sum of ReLUs must be closer to the sine")
def test_error_on_the_sine_falls_with_the_number_of_relus(student):
    x = torch.linspace(-math.pi, math.pi, 501, dtype=torch.float64)
    for units in (4, 8, 16, 32):
        knots = torch.linspace(-math.pi, math.pi, units + 1, dtype=torch.float64)
        weights = student.relu_weights(knots, knots.sin())
        expect(weights.shape, torch.Size([units]), "the shape")
        error = (relu_sum(x, knots, knots.sin(), weights) - x.sin()).abs().max().item()
        # Straight pieces of length h differ from a sine by at most h^2 / 8.
        bound = (2 * math.pi / units) ** 2 / 8
        assert error <= bound, (
            f"the sum of {units} ReLUs differs from the sine by {error:.3g}, expected {bound:.3g}"
        )


@points(
    0.5, task="2.6", hint="the pieces can differ in length; values[0] need not be 0", hidden=True
)
def test_relu_sum_interpolates(student):
    for count, seed in [(2, 0), (3, 1), (9, 2)]:
        knots = (randn(count, seed=seed).abs() + 0.1).cumsum(0) - 1
        values = randn(count, seed=seed + 10)
        x = torch.linspace(knots[0].item(), knots[-1].item(), 40, dtype=torch.float64)
        weights = student.relu_weights(knots, values)
        expect(weights.shape, torch.Size([count - 1]), "the shape")
        expected = torch.from_numpy(np.interp(x.numpy(), knots.numpy(), values.numpy()))
        expect(relu_sum(x, knots, values, weights), expected)


@points(
    0.5, task="2.7", hint="the first factor is (width // num_inputs) ** (num_inputs * (layers - 1))"
)
def test_region_bounds_of_the_lecture(student):
    for width, expected in [(8, 37), (12, 79)]:
        expect(student.region_bound(2, width), expected)
    expect(student.region_bound(2, 4, 2), 44, mistakes={"a power of layers - 1 alone": 22})
    expect(student.region_bound(2, 4, 3), 176)
    # 7 // 3 = 2 folds for each input, and 1 + 7 + 21 + 35 regions of the last layer
    expect(
        student.region_bound(3, 7, layers=2),
        512,
        mistakes={
            "`/` instead of `//`": (7 / 3) ** 3 * 64,
            "leaving out the last j, num_inputs": 8 * 29,
            "leaving out j = 0": 8 * 63,
            "a power of layers - 1 alone": 2 * 64,
            "layers instead of layers - 1": 64 * 64,
            "adding instead of multiplying": 8 + 64,
        },
    )
    expect(student.region_bound(1, 5), 6)


@points(
    0.5,
    task="2.7",
    hint="// rounds down; j runs from 0 to num_inputs, both included",
    hidden=True,
)
def test_region_bounds_of_other_networks(student):
    # One input: each ReLU adds one piece. 3 inputs, 2 ReLUs: all patterns occur. 5 // 2 = 2 folds.
    cases = {(1, 6): 7, (3, 2): 4, (3, 7, 3): 64 * 64, (2, 5, 4): 2**6 * 16, (1, 4, 2): 20}
    for arguments, expected in cases.items():
        expect(student.region_bound(*arguments), expected)


@points(
    1, task="2.8", hint="count the different patterns (rows) of on and off, joined over all layers"
)
def test_regions_by_hand(student):
    cross = (torch.eye(2), torch.zeros(2))
    # A ReLU is on above 0, so it is off at 0.
    got = student.count_regions([cross], torch.tensor([[0.0, 0.0], [-1.0, -1.0]]))
    expect(got, 1, mistakes={"`>= 0` instead of `> 0`": 2})
    # At the first three points both units are on, at the other two only the second.
    got = student.count_regions([cross], torch.tensor([[1.0, 1], [2, 1], [3, 5], [-1, 1], [-2, 1]]))
    expect(got, 2, mistakes={"counting the different outputs instead of on and off": 4})
    # Two layers with biases. The patterns are 11 1, 01 0, 11 0, 11 1, 10 1, 00 1 and 00 1.
    layers = [
        (torch.eye(2), torch.tensor([-1.0, 1.0])),
        (torch.tensor([[1.0, -1.0]]), torch.tensor([0.5])),
    ]
    points = torch.tensor([[2.0, 0], [0, 0], [2, 3], [5, 1], [3, -4], [0, -2], [-2, -2]])
    expect(
        student.count_regions(layers, points),
        5,
        mistakes={
            "counting the last layer's patterns only": 2,
            "counting the first layer's patterns only, or leaving out the biases": 4,
            "adding up the counts of the layers, or leaving out the ReLU between them": 6,
            "counting the points": 7,
        },
    )
    # A weight that is not symmetric, 3 units for 2 inputs: the patterns are 101, 011, 000 and 101.
    layers = [(torch.tensor([[1.0, 2.0], [-1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.0, -1.0, 0.5]))]
    points = torch.tensor([[1.0, 1.0], [-3.0, 1.0], [-1.0, -1.0], [4.0, 0.0]])
    expect(student.count_regions(layers, points), 3)


def square(half, side):
    places = ((torch.arange(side) + 0.5) / side * 2 - 1) * half
    return torch.cartesian_prod(places, places)


@points(1, task="2.8", hint="join the patterns of all layers; use the biases", hidden=True)
def test_regions_of_folded_planes(student):
    at = torch.tensor([0.1, 0.4, 0.6, 0.95])
    weight, bias = torch.stack([2 * at, -torch.ones(4)], dim=1), -at.square()
    expect(student.count_regions([(weight, bias)], square(1.0, 40)), 11)
    fold = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    folded = [(fold, torch.zeros(4)), (weight.repeat_interleave(2, dim=1), bias)]
    expect(student.count_regions(folded, square(1.0, 40)), 44)
    # The first layer has two units that are always on. Only the second one separates points.
    idle = (torch.eye(2), torch.full((2,), 10.0))
    halves = (torch.tensor([[1.0, 0.0]]), torch.tensor([-10.0]))
    expect(student.count_regions([idle, halves], square(1.0, 10)), 2)


def trained(params, batches, lr, *, after=False, once=False, skip=()):
    """Train with autograd; return the new parameters and each batch's loss.

    after: measure each loss after its step. once: take every derivative at the first parameters.
    skip: parameters that do not move.
    """
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    losses = []
    for inputs, targets in batches:
        for leaf in leaves.values():
            leaf.grad = None
        loss = F.cross_entropy(network(params if once else leaves, inputs)[1], targets)
        if once:
            start = {name: value.clone().requires_grad_() for name, value in params.items()}
            loss = F.cross_entropy(network(start, inputs)[1], targets)
            found = torch.autograd.grad(loss, list(start.values()))
            for leaf, gradient in zip(leaves.values(), found, strict=True):
                leaf.grad = gradient
        else:
            loss.backward()
        for name, leaf in leaves.items():
            if name not in skip:
                leaf.data -= lr * leaf.grad
        if after:
            loss = F.cross_entropy(network(leaves, inputs)[1], targets)
        losses.append(loss.item())
    return {name: leaf.detach() for name, leaf in leaves.items()}, losses


def check_training(student, params, batches, lr):
    __tracebackhide__ = True
    expected, losses = trained(params, batches, lr)
    sizes = [len(targets) for _, targets in batches]
    mean = sum(loss * size for loss, size in zip(losses, sizes, strict=True)) / sum(sizes)
    later = trained(params, batches, lr, after=True)[1]
    later = sum(loss * size for loss, size in zip(later, sizes, strict=True)) / sum(sizes)
    arguments = (params, [tuple(batch) for batch in batches], lr)
    got, left = student.probe("in_place", "train_epoch", *arguments)
    expect(
        got,
        (expected, mean),
        ("the new parameters", "the mean loss"),
        mistakes={
            "adding the derivatives instead of subtracting them": (
                trained(params, batches, -lr)[0], ...,
            ),
            "leaving out lr": (trained(params, batches, 1.0)[0], ...),
            "using the first parameters for all batches": (
                trained(params, batches, lr, once=True)[0], ...,
            ),
            "returning the old parameters": (params, ...),
            "training on the last batch only": (trained(params, batches[-1:], lr)[0], ...),
            "training on the first batch only": (trained(params, batches[:1], lr)[0], ...),
            "moving the weights but not the biases": (
                trained(params, batches, lr, skip=("bias1", "bias2"))[0], ...,
            ),
            "the mean over the batches instead of the samples": (
                expected, sum(losses) / len(losses),
            ),
            "the sum of the batches' losses": (expected, sum(losses)),
            "the loss of the last batch": (expected, losses[-1]),
            "the sum over the samples instead of the mean": (expected, mean * sum(sizes)),
            "the loss after each step instead of before it": (expected, later),
        },
    )  # fmt: skip
    expect(left[0], params, "the tensors in `params`, which must not change", rtol=0, atol=0)


def make_batches(sizes, d, k, seed):
    return [
        (randn(size, d, seed=seed + i), (torch.arange(size) * 7 + i) % k)
        for i, size in enumerate(sizes)
    ]


LOOP = {
    "task": "2.9",
    "needs": ("2.1", "2.2", "2.3", "2.4"),
    "forbidden": (*AUTOGRAD, "torch.optim*", "dlcourse.optim*", "dlcourse.train*"),
}


@points(1, **LOOP, hint="in each step, start from the parameters of the step before")
def test_training_for_one_epoch(student):
    check_training(student, new_params(3, 5, 2, seed=1), make_batches([4, 4, 1], 3, 2, 30), 0.3)


@points(1, **LOOP, hint="return the newest parameters and the loss; call it again with them")
def test_network_trains_for_several_epochs(student):
    # Four points of XOR, which no network without hidden units can learn.
    inputs = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).double()
    targets, params = torch.tensor([0, 1, 1, 0]), new_params(2, 6, 2, seed=3)
    batches, expected = [(inputs[:3], targets[:3]), (inputs[3:], targets[3:])], params
    for epoch in range(1, 11):
        params, _ = student.train_epoch(params, batches, 0.5)
        expected, _ = trained(expected, batches, 0.5)
        expect(params, expected, f"the parameters after epoch {epoch}")


@points(1, **LOOP, hint="weight each batch's loss by its number of samples", hidden=True)
def test_training_is_that_of_torch(student):
    for sizes, d, h, k, lr in [([1], 2, 3, 4, 0.1), ([5, 2, 6, 3], 4, 3, 5, 0.05)]:
        params = new_params(d, h, k, seed=d)
        check_training(student, params, make_batches(sizes, d, k, 60), lr)
