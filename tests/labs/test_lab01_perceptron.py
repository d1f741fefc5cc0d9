"""Tests of lab 01, with their points. `student` is the lab under test: a solution or a submission.

The oracles are truth tables, hand arithmetic, the numbers that lecture C prints, and autograd.
"""

import math

import torch
import torch.nn.functional as F

from dlcourse.check import expect, points

GATE_INPUTS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
AND = torch.tensor([0.0, 0.0, 0.0, 1.0])
XOR = torch.tensor([0.0, 1.0, 1.0, 0.0])
AUTOGRAD = (
    "autograd*", "backward", "_backward", "grad", "grad_and_value", "jac*", "vjp", "jvp", "*_dual",
    "torch.autograd.*backward*", "torch.autograd.functional*", "torch.autograd.gradcheck*",
    "torch._functorch.apis.*grad*", "torch._functorch.eager*", "run_backward", "*loss*_backward*",
    "*softmax_backward*",
)  # fmt: skip


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def step(inputs, weight, bias):
    """The test's own neuron. Shape: (N, D), (D,), a number -> (N,)."""
    return torch.ge((inputs * weight).sum(-1), -bias).float()


def has_shape(what, got, shape):
    """Check that `got` is a tensor of that shape, and return it in single precision."""
    __tracebackhide__ = True
    right = isinstance(got, torch.Tensor) and got.shape == shape
    expect(got, ... if right else torch.zeros(shape), f"the {what}")
    return got.float()


def neuron_of(weight, bias, which=""):
    """Check that weight and bias are those of a neuron with two inputs, and return them."""
    __tracebackhide__ = True
    one = isinstance(bias, int | float) or (isinstance(bias, torch.Tensor) and bias.numel() == 1)
    expect(bias, ... if one else 0.0, f"the {which}bias")
    return has_shape(f"{which}weight", weight, (2,)), torch.as_tensor(bias).float().reshape(())


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
    # The sums without the bias are -2, -1, 0 and 3.
    inputs = torch.tensor([[0.0, 1.0, 5.0], [1.0, 1.0, -3.0], [2.0, 1.0, 0.5], [3.0, 0.0, -1.0]])
    weight = torch.tensor([1.0, -2.0, 0.0])
    for bias, right, mistakes in [
        (2.0, [1, 1, 1, 1], {"`> 0` instead of `>= 0`": [0, 1, 1, 1]}),
        (torch.tensor(-2.0), [0, 0, 0, 1], {"adding the bias for each input": [0, 0, 0, 0]}),
    ]:
        mistakes["leaving out the bias"] = [0, 0, 1, 1]
        mistakes["subtracting the bias"] = [0, 0, 0, 1] if bias > 0 else [1, 1, 1, 1]
        expect(
            student.neuron(inputs, weight, bias),
            torch.tensor(right).float(),
            mistakes={name: torch.tensor(value).float() for name, value in mistakes.items()},
        )


@points(0.5, task="1.1", hint="use all D inputs and weights; add the bias once", hidden=True)
def test_neuron_takes_any_number_of_inputs(student):
    for n, d in [(1, 1), (7, 3), (20, 784)]:
        inputs, weight = randn(n, d, seed=d), randn(d, seed=n)
        for bias in (torch.tensor(0.3), -2.0):
            expect(student.neuron(inputs, weight, bias), step(inputs, weight, bias))
    at_zero = torch.tensor([[1.0, -1.0], [2.0, 3.0]])
    expect(student.neuron(at_zero, torch.tensor([4.0, 4.0]), 0.0), torch.ones(2), "a sum of 0")


@points(0.5, task="1.2", hint="the sums weight[0] x1 + weight[1] x2 + bias must not be close to 0")
def test_and_gate_answers_and(student):
    returned = student.and_gate()
    expect(returned, (..., ...), ("weight", "bias"))
    neuron = neuron_of(*returned)
    gates = {"an OR gate": torch.tensor([0.0, 1.0, 1.0, 1.0]), "a NAND gate": 1 - AND}
    expect(step(GATE_INPUTS, *neuron), AND, "its four answers", mistakes=gates)
    all_right(step(nearby(), *neuron), AND)


@points(0.5, task="1.2", hint="keep the sums for (1, 0) and (1, 1) away from 0", hidden=True)
def test_and_gate_has_room_to_spare(student):
    all_right(step(nearby(0.08), *neuron_of(*student.and_gate())), AND)


def xor_by(student):
    """The student's network as a function of inputs (N, 2)."""
    __tracebackhide__ = True
    returned = student.xor_network()
    names = ("hidden weight", "hidden bias", "output weight", "output bias")
    expect(returned, (..., ..., ..., ...), names)
    hidden_weight = has_shape("hidden weight", returned[0], (2, 2))
    hidden_bias = has_shape("hidden bias", returned[1], (2,))
    weight, bias = neuron_of(*returned[2:], "output ")

    def network(inputs):
        hidden = (inputs @ hidden_weight.T + hidden_bias >= 0).float()
        return step(hidden, weight, bias)

    return network


@points(0.5, task="1.3", hint="return shapes (2, 2), (2,), (2,) and a number: 4 + 2 + 2 + 1")
def test_xor_network_has_9_parameters(student):
    xor_by(student)
    count = sum(torch.as_tensor(part).numel() for part in student.xor_network())
    expect(count, 9, "the number of parameters")


@points(1, task="1.3", hint="write down the answers of both hidden neurons to the four inputs")
def test_xor_network_answers_xor(student):
    gates = {"XNOR, the opposite": 1 - XOR, "an AND gate": AND, "an OR gate": (AND + XOR)}
    expect(xor_by(student)(GATE_INPUTS), XOR, "its four answers", mistakes=gates)
    all_right(xor_by(student)(nearby()), XOR)


@points(0.5, task="1.3", hint="keep the sums of all three neurons away from 0", hidden=True)
def test_xor_network_has_room_to_spare(student):
    all_right(xor_by(student)(nearby(0.08)), XOR)


PARTS = ("the new weight", "the new bias", "the number of wrong answers")


def perceptron(weight, bias, inputs, targets, lr, bias_factor=1.0):
    """Compute the rule again, independently, on lists of numbers. The bias takes its own factor."""
    weight, bias, mistakes = weight.tolist(), float(bias), 0
    for x, t in zip(inputs.tolist(), targets.tolist(), strict=True):
        y = 1.0 if sum(w * v for w, v in zip(weight, x, strict=True)) + bias >= 0 else 0.0
        mistakes += y != t
        weight = [w + lr * (t - y) * v for w, v in zip(weight, x, strict=True)]
        bias += bias_factor * lr * (t - y)
    return torch.tensor(weight), torch.tensor(bias), mistakes


@points(
    0.5,
    task="1.4",
    needs=("1.1",),
    hint="add lr (t - y) x to the weight and lr (t - y) to the bias after each sample",
)
def test_perceptron_rule_by_hand(student):
    # lr 0.25. The sums are -1.5 (wrong: w becomes (0.25, 0, -1), b -0.25), -0.25 (wrong: w becomes
    # (0.25, -0.25, -1), b 0), 0.75 (right), 0.25 (right) and 1 (wrong).
    inputs = torch.tensor([[1.0, -2, 0], [0, -1, 0], [1, -2, 0], [-2, 1, -1], [2, 2, -1]])
    weight, bias, targets = (
        torch.tensor([0, 0.5, -1]),
        torch.tensor(-0.5),
        torch.tensor([1.0, 1, 1, 1, 0]),
    )
    given = (weight, bias, inputs, targets)
    got, left = student.probe("in_place", "perceptron_epoch", *given, lr=0.25)
    expect(left, list(given), "the arguments, which must not change: weight = weight + ...")
    new_weight, new_bias = torch.tensor([-0.25, -0.75, -0.75]), torch.tensor(-0.25)
    old = targets - step(inputs, weight, bias)
    expect(
        got,
        (new_weight, new_bias, 3),
        PARTS,
        mistakes={
            "a bias that never changes": perceptron(weight, bias, inputs, targets, 0.25, 0.0),
            "leaving out lr": perceptron(weight, bias, inputs, targets, 1.0),
            "leaving out lr at the bias": perceptron(weight, bias, inputs, targets, 0.25, 4.0),
            "y - t instead of t - y": perceptron(weight, bias, inputs, targets, -0.25),
            "the old weights for all samples": (weight + 0.25 * old @ inputs, ..., ...),
            "adding up t - y": (new_weight, new_bias, 1),
            "counting the samples": (new_weight, new_bias, 5),
            "counting the right answers, or only the answers 0 that should be 1": (
                new_weight,
                new_bias,
                2,
            ),
            "dividing the count by the number of samples": (new_weight, new_bias, 0.6),
        },
    )


@points(0.25, task="1.4", needs=("1.1",), hint="count a mistake when the answer differs from t")
def test_perceptron_counts_each_wrong_answer_once(student):
    # Both answers are 1 and stay 1, with the bias at 9 and at 8: two mistakes in the second pass.
    inputs, targets = torch.tensor([[1.0], [0.0], [2.0]]), torch.tensor([0.0, 0.0, 1.0])
    weight, bias = torch.tensor([0.25]), torch.tensor(10.0)
    for _ in range(2):
        expected = perceptron(weight, bias, inputs, targets, 1.0)
        got = student.perceptron_epoch(weight, bias, inputs, targets)
        signed = {
            "adding up t - y": (*expected[:2], -2),
            "counting the samples": (*expected[:2], 3),
        }
        expect(got, expected, PARTS, mistakes=signed)
        weight, bias = expected[:2]


@points(0.25, task="1.4", needs=("1.1",), hint="use the newest weights for each sample")
def test_perceptron_learns_and_but_never_xor(student):
    for targets, epochs in ((AND, 10), (XOR, 20)):
        weight, bias = torch.zeros(2), torch.tensor(0.0)
        for _ in range(epochs):
            expected = perceptron(weight, bias, GATE_INPUTS, targets, 1.0)
            got = student.perceptron_epoch(weight, bias, GATE_INPUTS, targets)
            expect(got, expected, PARTS)
            weight, bias, mistakes = expected
        assert (mistakes == 0) == (targets is AND)


@points(1, task="1.4", needs=("1.1",), hint="multiply both updates by lr and t - y", hidden=True)
def test_perceptron_epoch_of_many_inputs(student):
    for n, d, lr in [(1, 3, 1.0), (30, 4, 0.25), (12, 6, 2.0)]:
        inputs, targets = randn(n, d, seed=n), (randn(n, seed=d) > 0).float()
        weight, bias = randn(d, seed=n + d), torch.tensor(0.5)
        got = student.perceptron_epoch(weight, bias, inputs, targets, lr)
        expect(got, perceptron(weight, bias, inputs, targets, lr), PARTS)


@points(
    0.5,
    task="1.5",
    hint="take the mean over the points of 2 x (a x + b - y) and of 2 (a x + b - y)",
    forbidden=AUTOGRAD,
)
def test_line_gradient_by_hand(student):
    # errors -0.5, 1 and -2: 2 (-0.5 - 2 - 6) / 3 and 2 (-0.5 + 1 - 2) / 3
    x, y = torch.tensor([1.0, -2.0, 3.0]), torch.tensor([0.0, -3.0, 2.5])
    check_line_gradient(student, 0.5, -1.0, x, y, (-17 / 3, -1.0))


def check_line_gradient(student, a, b, x, y, expected):
    __tracebackhide__ = True
    da, db = map(torch.tensor, expected)
    n = len(x)
    expect(
        student.line_gradient(a, b, x, y),
        (da, db),
        ("the derivative with respect to a", "the derivative with respect to b"),
        mistakes={
            "the sum instead of the mean": (n * da, n * db),
            "a wrong sign": (-da, -db),
            "leaving out the factor 2": (da / 2, db / 2),
            "the factor 2 in one of the two only": (da, db / 2),
            "leaving out the factor x": (db, db),
            "swapping the two": (db, da),
            "leaving out b": (da - 2 * b * x.mean(), db - 2 * b),
            "the mean of x times the mean of the errors": (x.mean() * db, db),
        },
    )


@points(0.5, task="1.5", hint="take the mean over the points, not the sum", hidden=True)
def test_line_gradient_is_that_of_autograd(student):
    for n in (1, 5, 50):
        x, y = randn(n, seed=n), randn(n, seed=n + 1)
        a, b = (torch.tensor(value, requires_grad=True) for value in (0.7, -1.3))
        expected = torch.autograd.grad((y - (a * x + b)).square().mean(), (a, b))
        check_line_gradient(student, 0.7, -1.3, x, y, [value.item() for value in expected])


@points(
    1,
    task="1.6",
    needs=("1.5",),
    hint="the first row is the start; compute both derivatives before you change a or b",
)
def test_two_steps_of_fit_line_by_hand(student):
    x, y = torch.tensor([1.0, 2.0]), torch.zeros(2)
    # at (0.5, -0.3) the errors are 0.2 and 0.7: derivatives 0.2 + 1.4 and 0.2 + 0.7
    expected = torch.tensor([[1.0, 0.0], [0.5, -0.3], [0.34, -0.39]])
    turns = [expected[0]]
    for _ in range(2):
        turns.append(descend_in_turns(turns[-1], x, y, 0.1))
    expect(
        student.fit_line(x, y, 1.0, 0.0, lr=0.1, steps=2),
        expected,
        "the path",
        mistakes={
            "changing a before you compute the derivative for b": torch.stack(turns),
            "leaving out the start": expected[1:],
            "going up instead of down": torch.tensor([[1.0, 0.0], [1.5, 0.3], [2.34, 0.81]]),
            "the derivatives at the start in every step": torch.tensor(
                [[1.0, 0.0], [0.5, -0.3], [0.0, -0.6]]
            ),
            "leaving out lr": torch.tensor([[1.0, 0.0], [-4.0, -3.0], [25.0, 15.0]]),
            "swapping a and b": expected.flip(1),
            "one row for a and one for b": expected.T,
        },
    )
    got = student.fit_line(x, y, 1.5, 0.5, lr=0.1, steps=0)
    expect(got, torch.tensor([[1.5, 0.5]]), "the path of 0 steps")
    # errors 0.25 and 1: the derivatives are 0.25 + 2 = 2.25 and 1.25
    got = student.fit_line(x, torch.tensor([1.0, 1.0]), 0.75, 0.5, lr=0.2, steps=1)
    expect(got, torch.tensor([[0.75, 0.5], [0.3, 0.25]]), "the path of 1 step, with lr 0.2")


def descend_in_turns(start, x, y, lr):
    """One step that changes a before it computes the derivative for b."""
    a, b = start
    a = a - lr * (2 * x * (a * x + b - y)).mean()
    return torch.stack([a, b - lr * 2 * (a * x + b - y).mean()])


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
    path = has_shape("path", path, (96, 2))
    expect(path[-1], torch.tensor([0.24, 0.50]), "the end of the path", rtol=0, atol=6e-3)


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
        expect(student.fit_line(x, y, a, b, lr, steps), torch.stack(rows), "the path")


@points(
    1,
    task="1.7",
    hint="p = sigmoid(x . weight + bias); take the means of (p - t) x and of p - t",
    forbidden=AUTOGRAD,
)
def test_logistic_gradient_by_hand(student):
    # z = log 3, 0 and 0, so the errors are -1/4, 1/2 and 1/2.
    log3 = math.log(3)
    inputs, targets = (
        torch.tensor([[4.0, 4.0], [0.0, log3], [-log3, 0.0]]),
        torch.tensor([1.0, 0, 0]),
    )
    expected = torch.tensor([-1 - log3 / 2, -1 + log3 / 2]) / 3, torch.tensor(0.25)
    weight, bias = torch.tensor([1.0, -1.0]), torch.tensor(log3)
    check_logistic(student, weight, bias, inputs, targets, expected)


def gradients_of(loss, weight, bias, inputs, targets):
    leaves = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    return torch.autograd.grad(loss(inputs @ leaves[0] + leaves[1], targets), leaves)


def check_logistic(student, weight, bias, inputs, targets, expected):
    __tracebackhide__ = True
    (n, d), (dweight, dbias) = inputs.shape, expected
    without_bias = gradients_of(
        F.binary_cross_entropy_with_logits, weight, 0 * bias, inputs, targets
    )
    squared = gradients_of(F.mse_loss, weight, bias, inputs, targets)
    expect(
        student.logistic_gradient(weight, bias, inputs, targets),
        expected,
        ("the derivative with respect to weight", "the derivative with respect to bias"),
        mistakes={
            "the sums instead of the means": (n * dweight, n * dbias),
            "the sum instead of the mean for the weight": (n * dweight, dbias),
            "the sum instead of the mean for the bias": (dweight, n * dbias),
            "dividing by D instead of N": (n / d * dweight, ...),
            "t - p instead of p - t": (-dweight, -dbias),
            "leaving out the bias": without_bias,
            "leaving out the sigmoid": (squared[0] / 2, squared[1] / 2),
        },
    )


@points(1, task="1.7", hint="add the bias before the sigmoid; take means, not sums", hidden=True)
def test_logistic_gradient_is_that_of_autograd(student):
    for n, d in [(1, 1), (8, 3), (40, 20)]:
        inputs, targets = randn(n, d, seed=n), (randn(n, seed=d) > 0).float()
        weight, bias = randn(d, seed=n + d), torch.tensor(0.8)
        expected = gradients_of(F.binary_cross_entropy_with_logits, weight, bias, inputs, targets)
        check_logistic(student, weight, bias, inputs, targets, expected)
