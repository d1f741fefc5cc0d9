"""Tests of lab 01, with their points. `student` is the lab under test: a solution or a submission.

The oracles are truth tables, hand arithmetic, the numbers that lecture C prints, and autograd.
"""

import math

import torch
import torch.nn.functional as F
from torch.testing import assert_close

from dlcourse.check import points
from dlcourse.check.explain import difference

GATE_INPUTS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
AND = torch.tensor([0.0, 0.0, 0.0, 1.0])
XOR = torch.tensor([0.0, 1.0, 1.0, 0.0])
AUTOGRAD = ("autograd*", "backward", "grad", "grad_and_value", "jac*", "vjp", "jvp")


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def close(what, got, expected):
    """Check that `got` equals `expected` up to rounding, in single or in double precision.

    A number is accepted for a tensor of shape ().
    """
    __tracebackhide__ = True
    if isinstance(got, float | int) and expected.dim() == 0:
        got = torch.tensor(got)
    if isinstance(got, torch.Tensor):
        got = got.to(expected.dtype)
    assert is_close(got, expected), f"{what}: {difference(got, expected)}"


def is_close(got, expected):
    same = isinstance(got, torch.Tensor) and got.shape == expected.shape
    return same and torch.allclose(got, expected, rtol=1e-4, atol=1e-5)


def has_shape(what, got, shape):
    """Check that `got` is a tensor of that shape."""
    __tracebackhide__ = True
    right = isinstance(got, torch.Tensor) and got.shape == shape
    assert right, f"{what}: {difference(got, torch.zeros(shape))}"


def parts(returned, *names):
    """Check that the answer has one value for each of the `names`, and return it."""
    __tracebackhide__ = True
    expected = f"expected {len(names)} values ({', '.join(names)})"
    assert isinstance(returned, tuple | list), f"{expected}, got {kind(returned)}"
    assert len(returned) == len(names), f"{expected}, got {len(returned)}"
    return returned


def kind(value):
    """Say what a value is: its type, and the shape of a tensor."""
    if isinstance(value, torch.Tensor):
        return f"one tensor of shape {tuple(value.shape)}"
    return f"one {type(value).__name__}"


def step(inputs, weight, bias):
    """The test's own neuron. Shape: (N, D), (D,), a number -> (N,)."""
    return torch.ge((inputs * weight).sum(-1), -bias).float()


def neuron_of(weight, bias, which=""):
    """Check that weight and bias are those of a neuron with two inputs, and return them."""
    __tracebackhide__ = True
    has_shape(f"the {which}weight", weight, (2,))
    assert torch.as_tensor(bias).numel() == 1, f"the {which}bias: expected one number, got {bias!r}"
    return weight.float(), torch.as_tensor(bias).float().reshape(())


def nearby(off=0.099):
    """Move each gate input by `off`, up or down, in all four ways. Shape: (16, 2)."""
    ways = off * torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    return (GATE_INPUTS[:, None] + ways).flatten(0, 1)


def all_right(answers, gate):
    """Check the `answers` to `nearby()`, in each of the four corners of the gate."""
    __tracebackhide__ = True
    wrong = (answers.reshape(4, 4) != gate[:, None]).any(dim=1)
    corners = ", ".join(str(tuple(map(int, corner))) for corner in GATE_INPUTS[wrong])
    assert not corners, f"when each input is off by up to 0.1, the answer is wrong near {corners}"


@points(0.5, task="1.1", hint="a sum below 0 gives 0.0; a sum of 0 or more gives 1.0")
def test_neuron_fires_unless_the_sum_is_below_zero(student):
    inputs = torch.tensor([[0.0, 1.0], [1.0, 1.0], [3.0, 1.0]])
    assert_close(student.neuron(inputs, torch.tensor([1.0, -2.0]), 1.0), torch.tensor([0.0, 1, 1]))
    # The sums are 1 - 3 + 1 = -1 and -2 + 5 + 1 = 4.
    inputs, weight = torch.tensor([[1.0, 1.0, 0.0], [-2.0, 0.0, 5.0]]), torch.tensor([1.0, -3, 1])
    assert_close(student.neuron(inputs, weight, torch.tensor(1.0)), torch.tensor([0.0, 1.0]))


@points(0.5, task="1.1", hint="use all D inputs and weights; add the bias once", hidden=True)
def test_neuron_takes_any_number_of_inputs(student):
    for n, d in [(1, 1), (7, 3), (20, 784)]:
        inputs, weight = randn(n, d, seed=d), randn(d, seed=n)
        for bias in (torch.tensor(0.3), -2.0):
            assert_close(student.neuron(inputs, weight, bias), step(inputs, weight, bias))


@points(0.5, task="1.2", hint="the sums weight[0] x1 + weight[1] x2 + bias must not be close to 0")
def test_and_gate_answers_and(student):
    weight, bias = parts(student.and_gate(), "weight", "bias")
    close("the four answers", step(GATE_INPUTS, *neuron_of(weight, bias)), AND)
    all_right(step(nearby(), *neuron_of(weight, bias)), AND)


@points(0.5, task="1.2", hint="keep the sums for (1, 0) and (1, 1) away from 0", hidden=True)
def test_and_gate_has_room_to_spare(student):
    weight, bias = parts(student.and_gate(), "weight", "bias")
    all_right(step(nearby(0.08), *neuron_of(weight, bias)), AND)


def xor_by(student):
    """The student's network as a function of inputs (N, 2)."""
    __tracebackhide__ = True
    hidden_weight, hidden_bias, weight, bias = parts(
        student.xor_network(), "hidden weight", "hidden bias", "output weight", "output bias"
    )
    has_shape("the hidden weight", hidden_weight, (2, 2))
    has_shape("the hidden bias", hidden_bias, (2,))
    weight, bias = neuron_of(weight, bias, "output ")

    def network(inputs):
        hidden = (inputs @ hidden_weight.float().T + hidden_bias.float() >= 0).float()
        return step(hidden, weight, bias)

    return network


@points(0.5, task="1.3", hint="return shapes (2, 2), (2,), (2,) and a number: 4 + 2 + 2 + 1")
def test_xor_network_has_9_parameters(student):
    xor_by(student)
    count = sum(torch.as_tensor(part).numel() for part in student.xor_network())
    assert count == 9, f"expected 9 parameters, got {count}"


@points(1, task="1.3", hint="write down the answers of both hidden neurons to the four inputs")
def test_xor_network_answers_xor(student):
    close("the four answers", xor_by(student)(GATE_INPUTS), XOR)
    all_right(xor_by(student)(nearby()), XOR)


@points(0.5, task="1.3", hint="keep the sums of all three neurons away from 0", hidden=True)
def test_xor_network_has_room_to_spare(student):
    all_right(xor_by(student)(nearby(0.08)), XOR)


def perceptron(weight, bias, inputs, targets, lr):
    """Compute the rule again, independently, on lists of numbers."""
    weight, bias, mistakes = weight.tolist(), float(bias), 0
    for x, t in zip(inputs.tolist(), targets.tolist(), strict=True):
        y = 1.0 if sum(w * v for w, v in zip(weight, x, strict=True)) + bias >= 0 else 0.0
        mistakes += y != t
        weight = [w + lr * (t - y) * v for w, v in zip(weight, x, strict=True)]
        bias += lr * (t - y)
    return torch.tensor(weight), torch.tensor(bias), mistakes


@points(
    0.5,
    task="1.4",
    needs=("1.1",),
    hint="add lr (t - y) x to the weight and lr (t - y) to the bias after each sample",
)
def test_perceptron_rule_by_hand(student):
    # (0, 0) is answered by 1: the bias becomes -1. The next two answers are right. The sum for
    # (1, 1) is -1: weights and bias go up by 1.
    returned = student.perceptron_epoch(torch.zeros(2), torch.tensor(0.0), GATE_INPUTS, AND)
    weight, bias, mistakes = parts(returned, "weight", "bias", "mistakes")
    close("the new weight", weight, torch.tensor([1.0, 1.0]))
    close("the new bias", bias, torch.tensor(0.0))
    assert int(mistakes) == 2, f"expected 2 mistakes, got {int(mistakes)}"
    # lr 0.5; the sums are 1.5 (wrong: w becomes (0.5, -1, -1), b 0), -1 (right), -2 (wrong: w
    # becomes (-0.5, -1, -0.5), b 0.5) and 0 (right).
    inputs = torch.tensor([[1.0, 0, 2], [0, 1, 0], [-2, 0, 1], [0, 0, 1]])
    weight, bias, mistakes = student.perceptron_epoch(
        torch.tensor([1.0, -1, 0]), torch.tensor(0.5), inputs, torch.tensor([0.0, 0, 1, 1]), lr=0.5
    )
    close("lr 0.5: the new weight", weight, torch.tensor([-0.5, -1, -0.5]))
    close("lr 0.5: the new bias", bias, torch.tensor(0.5))
    assert int(mistakes) == 2, f"lr 0.5: expected 2 mistakes, got {int(mistakes)}"


def mistakes_by_epoch(student, targets, epochs):
    weight, bias, mistakes = torch.zeros(2), torch.tensor(0.0), []
    for _ in range(epochs):
        weight, bias, count = student.perceptron_epoch(weight, bias, GATE_INPUTS, targets)
        mistakes.append(int(count))
    return mistakes


@points(0.5, task="1.4", needs=("1.1",), hint="count a mistake when the answer differs from t")
def test_perceptron_learns_and_but_never_xor(student):
    learned = mistakes_by_epoch(student, AND, 20)
    assert learned[-1] == 0, f"AND: expected no mistake in epoch 20, got {learned[-1]}"
    never = mistakes_by_epoch(student, XOR, 50)
    assert min(never) > 0, (
        f"XOR: no line separates the classes, so each epoch has mistakes; got {min(never)} in "
        f"epoch {1 + never.index(min(never))}"
    )


@points(1, task="1.4", needs=("1.1",), hint="multiply both updates by lr and t - y", hidden=True)
def test_perceptron_epoch_of_many_inputs(student):
    for n, d, lr in [(1, 3, 1.0), (30, 4, 0.25), (12, 6, 2.0)]:
        inputs, targets = randn(n, d, seed=n), (randn(n, seed=d) > 0).float()
        weight, bias = randn(d, seed=n + d), torch.tensor(0.5)
        got = student.perceptron_epoch(weight, bias, inputs, targets, lr)
        expected = perceptron(weight, bias, inputs, targets, lr)
        close("the new weight", got[0], expected[0])
        close("the new bias", got[1], expected[1])
        assert int(got[2]) == expected[2]


@points(
    0.5,
    task="1.5",
    hint="take the mean over the points of 2 x (a x + b - y) and of 2 (a x + b - y)",
    forbidden=AUTOGRAD,
)
def test_line_gradient_by_hand(student):
    # errors 1 and 2: (2 * 1 * 1 + 2 * 2 * 2) / 2 = 5 and (2 * 1 + 2 * 2) / 2 = 3
    returned = student.line_gradient(1.0, 0.0, torch.tensor([1.0, 2.0]), torch.zeros(2))
    da, db = parts(returned, "derivative with respect to a", "derivative with respect to b")
    close("the derivative with respect to a", da, torch.tensor(5.0))
    close("the derivative with respect to b", db, torch.tensor(3.0))
    # errors -0.5, -1 and -1.5: 2 (-0.5 + 2 - 4.5) / 3 and 2 (-0.5 - 1 - 1.5) / 3
    x, y = torch.tensor([1.0, -2.0, 3.0]), torch.tensor([0.0, -1.0, 2.0])
    da, db = student.line_gradient(0.5, -1.0, x, y)
    close("of three points, the derivative with respect to a", da, torch.tensor(-2.0))
    close("of three points, the derivative with respect to b", db, torch.tensor(-2.0))


@points(0.5, task="1.5", hint="take the mean over the points, not the sum", hidden=True)
def test_line_gradient_is_that_of_autograd(student):
    for n in (1, 5, 50):
        x, y = randn(n, seed=n), randn(n, seed=n + 1)
        a, b = (torch.tensor(value, requires_grad=True) for value in (0.7, -1.3))
        expected = torch.autograd.grad((y - (a * x + b)).square().mean(), (a, b))
        da, db = student.line_gradient(0.7, -1.3, x, y)
        close("the derivative with respect to a", da, expected[0])
        close("the derivative with respect to b", db, expected[1])


@points(
    1,
    task="1.6",
    needs=("1.5",),
    hint="the first row is the start; compute both derivatives before you change a or b",
)
def test_two_steps_of_fit_line_by_hand(student):
    path = student.fit_line(torch.tensor([1.0, 2.0]), torch.zeros(2), 1.0, 0.0, lr=0.1, steps=2)
    # at (0.5, -0.3) the errors are 0.2 and 0.7: derivatives 0.2 + 1.4 and 0.2 + 0.7
    close("the path", path, torch.tensor([[1.0, 0.0], [0.5, -0.3], [0.34, -0.39]]))
    path = student.fit_line(torch.tensor([1.0, 2.0]), torch.zeros(2), 1.5, 0.5, lr=0.1, steps=0)
    close("the path of 0 steps", path, torch.tensor([[1.5, 0.5]]))


def lecture_points():
    x = torch.linspace(0.0715, 0.9838, 20)
    return x, x / 4 + 1 / 2


@points(
    0.5,
    task="1.6",
    needs=("1.5",),
    hint="return steps + 1 rows; each step starts at the row before",
)
def test_line_descends_as_in_the_lecture(student):
    path = student.fit_line(*lecture_points(), a=-2.0, b=1.0, lr=0.5, steps=95)
    has_shape("the path", path, (96, 2))
    end = tuple(round(value, 2) for value in path[-1].tolist())
    assert end == (0.24, 0.50), f"expected to end at a = 0.24, b = 0.50, got {end}"


@points(
    0.5,
    task="1.6",
    needs=("1.5",),
    hint="use lr and steps; 0 steps give only the start",
    hidden=True,
)
def test_fit_line_is_a_linear_iteration(student):
    x, y = randn(9, seed=3), randn(9, seed=4)
    ones = torch.stack([x, torch.ones(9)], dim=1)
    for a, b, lr, steps in [(0.0, 0.0, 0.05, 30), (2.0, -1.0, 0.2, 3), (1.5, 0.5, 0.1, 0)]:
        rows = [torch.tensor([a, b])]
        for _ in range(steps):
            rows.append(rows[-1] - lr * 2 / 9 * ones.T @ (ones @ rows[-1] - y))
        close("the path", student.fit_line(x, y, a, b, lr, steps), torch.stack(rows))


@points(
    1,
    task="1.7",
    hint="p = sigmoid(x . weight + bias); take the means of (p - t) x and of p - t",
    forbidden=AUTOGRAD,
)
def test_logistic_gradient_by_hand(student):
    x = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    dweight, dbias = student.logistic_gradient(
        torch.zeros(2), torch.tensor(0.0), x, torch.tensor([1.0, 0.0])
    )
    # p = 1/2 for both, errors -1/2 and 1/2: (-1/2 * 2) / 2 and (1/2 * 4) / 2
    close("the derivative with respect to weight", dweight, torch.tensor([-0.5, 1.0]))
    close("the derivative with respect to bias", dbias, torch.tensor(0.0))
    # z = log 3, 0 and 0, so the errors are -1/4, 1/2 and 1/2.
    log3 = math.log(3)
    x = torch.tensor([[4.0, 4.0], [0.0, log3], [-log3, 0.0]])
    dweight, dbias = student.logistic_gradient(
        torch.tensor([1.0, -1.0]), torch.tensor(log3), x, torch.tensor([1.0, 0.0, 0.0])
    )
    expected = torch.tensor([-1 - log3 / 2, -1 + log3 / 2]) / 3
    close("of three samples, the derivative with respect to weight", dweight, expected)
    close("of three samples, the derivative with respect to bias", dbias, torch.tensor(0.25))


@points(1, task="1.7", hint="add the bias before the sigmoid; take means, not sums", hidden=True)
def test_logistic_gradient_is_that_of_autograd(student):
    for n, d in [(1, 1), (8, 3), (40, 20)]:
        inputs, targets = randn(n, d, seed=n), (randn(n, seed=d) > 0).float()
        weight = randn(d, seed=n + d).requires_grad_()
        bias = torch.tensor(0.8, requires_grad=True)
        loss = F.binary_cross_entropy_with_logits(inputs @ weight + bias, targets)
        expected = torch.autograd.grad(loss, (weight, bias))
        dweight, dbias = student.logistic_gradient(weight.detach(), bias.detach(), inputs, targets)
        close("the derivative with respect to weight", dweight, expected[0])
        close("the derivative with respect to bias", dbias, expected[1])
