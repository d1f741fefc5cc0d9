# %% [markdown]
"""Lab 01: the neuron.

What can one neuron decide, what can three neurons decide, and how can they learn their weights?

You write a neuron with a step function and choose its weights by hand for AND and XOR. Then three
methods find weights for you: the perceptron rule, gradient descent on a line, and logistic
regression on images.

Lecture sections: Formal neuron; Learning with the perceptron; Parameter tuning: gradient descent;
Logistic regression.

    dlcourse check lab01              check your answers (takes seconds)
    dlcourse check lab01 --task 1.3   check one task
    dlcourse run lab01 --tiny         run the whole experiment on 1,800 images (takes seconds)
    dlcourse run lab01                run the whole experiment (takes seconds too)

A recorded run of the solution (`dlcourse run lab01`, real MNIST, 2 cores):

    data: MNIST from datasets/MNIST/raw; 54,000 training images
    XOR by three neurons: [0, 1, 1, 0], 9 parameters
    perceptron rule on AND: 0 mistakes in epoch 6
    perceptron rule on XOR: 4 mistakes in epoch 100
    perceptron rule on AND, bias 0: 4 mistakes in epoch 100

    step       a       b        loss
       0   -2.00    1.00    0.860344
     250   -1.18    1.30    0.159421
     500   -0.82    1.10    0.088204
    1250   -0.19    0.75    0.014939
    2500    0.15    0.56    0.000775
    4750    0.24    0.50    0.000004
    with x standardized, one step with lr 0.5: loss 0.000000

    logistic regression, 3 against 8, after 100 steps; three times, each time
    with half of the images             val     test   spread   test loss
    normalized                       96.22%   96.79%    0.21%       0.101
    not normalized, times 255        96.24%   96.34%    0.29%    2.13e+03
    figures: results/lab01

Over 3 seeds (mean, standard deviation, how many seeds agree):

    parameters of the XOR network                                    9 = 9               exact
    right answers of the AND neuron                                  4 = 4               exact
    right answers of the XOR network                                 4 = 4               exact
    epochs of the perceptron rule, AND                               6 = 6               exact
    epochs of the perceptron rule, XOR                             100 = 100             exact
    epochs of the perceptron rule, AND, bias 0                     100 = 100             exact
    mistakes in epoch 1 of AND                                       2 = 2               exact
    the line after 250 steps: loss                              0.1594 = 0.1594          exact
    the line after 4,750 steps: a                                 0.24 = 0.24            exact
    the line after 4,750 steps: b                                  0.5 = 0.5             exact
    the line, x standardized, one step: loss                     9e-16 < 1e-09           exact
    3 against 8, right                                  96.79% (0.21%) > 90.00%          3 of 3
    3 against 8, test loss, not normalized              2.13e+03 (795) > 0.101 (0.0015)  3 of 3
    derivative by the bias, less (1/2 - share of 8)              0e+00 < 1e-06           exact
The figures in results/lab01:

    gates: One neuron computes AND; XOR needs three. Shaded: where the output is 1.
    line: The line on its way to the points (later steps are darker), and its mean squared error.
    weights: The mean 3, the mean 8, and the trained weights: bright ones count for 8, dark ones for
      3.
"""

# %%
from __future__ import annotations

import functools
import statistics
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dlcourse import data, lab, plots

# The four inputs of a gate, and the answers of AND and XOR to them.
GATE_INPUTS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
AND = torch.tensor([0.0, 0.0, 0.0, 1.0])
XOR = torch.tensor([0.0, 1.0, 1.0, 0.0])

# %% [markdown]
# ## 1. A neuron and its gates
# A neuron multiplies each input by a weight, adds up the products and a bias, and fires (answers 1)
# if the sum is 0 or more.


# %%
def neuron(inputs: Tensor, weight: Tensor, bias: Tensor | float) -> Tensor:
    """Return 1.0 for each sample whose weighted sum plus `bias` is at least 0, otherwise 0.0.

    Shape: inputs (N, D), weight (D,), bias a number -> a floating-point tensor (N,).

    >>> inputs = torch.tensor([[0.0, 1.0], [1.0, 1.0], [3.0, 1.0]])
    >>> neuron(inputs, weight=torch.tensor([1.0, -2.0]), bias=1.0)  # the sums are -1, 0 and 2
    tensor([0., 1., 1.])
    """
    # Task 1.1 (1 point). For a hint: dlcourse hint 1.1
    raise NotImplementedError("task 1.1: neuron")


# %%
def and_gate() -> tuple[Tensor, float]:
    """Return the weight and the bias of an AND neuron: 1 for (1, 1), 0 for the other inputs.

    The answers must stay right when each input is off by up to 0.1.
    Shape: weight float32 (2,), bias a number.

    >>> neuron(GATE_INPUTS, *and_gate())
    tensor([0., 0., 0., 1.])
    """
    # Task 1.2 (1 point). For a hint: dlcourse hint 1.2
    raise NotImplementedError("task 1.2: and_gate")


# %%
def xor_network() -> tuple[Tensor, Tensor, Tensor, float]:
    """Return two hidden neurons and an output neuron that together answer XOR: 9 parameters.

    Returns (hidden weight, hidden bias, output weight, output bias): float32 tensors of the shapes
    (2, 2), (2,) and (2,), and a number. Row i of the hidden weight belongs to hidden neuron i.
    `run_network` (below) runs the network. Again, the answers must stay right when each input is
    off by up to 0.1.

    >>> run_network(GATE_INPUTS, *xor_network())
    tensor([0., 1., 1., 0.])
    """
    # Task 1.3 (2 points). For a hint: dlcourse hint 1.3
    raise NotImplementedError("task 1.3: xor_network")


def run_network(
    inputs: Tensor, hidden_weight: Tensor, hidden_bias: Tensor, weight: Tensor, bias: float
) -> Tensor:
    """Run a hidden layer of your neurons and one output neuron. Shape: (N, D) -> (N,)."""
    hidden = [neuron(inputs, w, b) for w, b in zip(hidden_weight, hidden_bias, strict=True)]
    return neuron(torch.stack(hidden, dim=1).to(weight), weight, bias)


# %% [markdown]
# ## 2. The perceptron rule
# If the neuron's answer is right, do not change its weights. If the answer should be 1, add the
# input to the weights; if it should be 0, subtract it. If a line separates the two classes, the
# rule makes no more mistakes after a finite number of steps (Rosenblatt 1958).


# %%
def perceptron_epoch(
    weight: Tensor, bias: Tensor, inputs: Tensor, targets: Tensor, lr: float = 1.0
) -> tuple[Tensor, Tensor, int]:
    """Apply the perceptron rule once to each sample, in order, always with the newest weights.

    For each sample x with target t and output y = neuron(x):
        weight <- weight + lr (t - y) x          bias <- bias + lr (t - y)
    Shape: weight (D,), bias (), inputs (N, D), targets 0.0 or 1.0 (N,).
    Returns the new weight (D,), the new bias () and the number of wrong answers during the pass.
    The given weight and bias stay as they are.

    >>> perceptron_epoch(torch.zeros(2), torch.tensor(0.0), GATE_INPUTS, AND)
    (tensor([1., 1.]), tensor(0.), 2)
    """
    # Task 1.4 (2 points). For a hint: dlcourse hint 1.4
    raise NotImplementedError("task 1.4: perceptron_epoch")


# %% [markdown]
# ## 3. A line by gradient descent
# The derivative of the step function is 0 everywhere, so it gives no direction. Leave the step out:
# the mean squared error of the line a x + b has a derivative. Move a and b a little against it,
# again and again.


# %%
def line_gradient(a: float, b: float, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives of the mean of (y - (a x + b))^2 with respect to a and to b.

    The mean is over all points. Compute the derivatives by hand: do not use torch's autograd.
    Shape: x (N,), y (N,) -> two numbers, tensors of shape ().

    >>> line_gradient(1.0, 0.0, torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.0]))
    (tensor(5.), tensor(3.))
    """
    # Task 1.5 (1 point). For a hint: dlcourse hint 1.5
    raise NotImplementedError("task 1.5: line_gradient")


# %%
def fit_line(x: Tensor, y: Tensor, a: float, b: float, lr: float, steps: int) -> Tensor:
    """Return every (a, b) of gradient descent, beginning with the start. Call your line_gradient.

    Each step subtracts from a and from b their own derivatives, multiplied by lr.
    Shape: x (N,), y (N,) -> (steps + 1, 2).

    >>> fit_line(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.0]), 1.0, 0.0, lr=0.1, steps=1)
    tensor([[ 1.0000,  0.0000],
            [ 0.5000, -0.3000]])
    """
    # Task 1.6 (2 points). For a hint: dlcourse hint 1.6
    raise NotImplementedError("task 1.6: fit_line")


# %% [markdown]
# ## 4. Logistic regression
# Replace the step function by a sigmoid. Now the neuron's output is a probability:
# p = 1 / (1 + exp(-z)), where z = x . weight + bias. The loss, the mean of -log p(right class), is
# convex and has a gradient everywhere.


# %%
def logistic_gradient(
    weight: Tensor, bias: Tensor, inputs: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the derivatives of the mean of -t log p - (1 - t) log(1 - p), by hand again.

    They are taken with respect to weight and to bias. The chain rule gives short results: for one
    sample they are (p - t) x and (p - t).
    Shape: weight (D,), bias (), inputs (N, D), targets 0.0 or 1.0 (N,) -> (D,), ().

    >>> x = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    >>> logistic_gradient(torch.zeros(2), torch.tensor(0.0), x, torch.tensor([1.0, 0.0]))
    (tensor([-0.5000,  1.0000]), tensor(0.))
    """
    # Task 1.7 (2 points). For a hint: dlcourse hint 1.7
    raise NotImplementedError("task 1.7: logistic_gradient")


# %% [markdown]
# ## 5. The experiment
# Run the perceptron rule on AND and on XOR, fit the line of the lecture, and tell the digits 3 and
# 8 apart by logistic regression. Then break it: AND without a bias, and inputs that are 255 times
# as large, as if nobody had normalized the pixels.
#
# **Predict before you run it.** The perceptron rule learns AND in 6 epochs. Does it learn AND if
# the bias always stays 0? How many steps does the line need if x is standardized first?
#
# *Your prediction:*


# %%
def lecture_points() -> tuple[Tensor, Tensor]:
    """Return points on the line y = x / 4 + 1 / 2, the one in the lecture. Shape: (20,), (20,).

    The lecture draws its points but does not list them. The means of x and of x^2 here give the
    gradients and losses that the lecture prints. It makes 250 steps between two slides.
    """
    x = torch.linspace(0.0715, 0.9838, 20, dtype=torch.float64)
    return x, x / 4 + 1 / 2


def learn_gate(targets: Tensor, epochs: int = 100, use_bias: bool = True) -> list[int]:
    """Count the mistakes of each epoch of the perceptron rule; stop after an epoch without any."""
    weight, bias, mistakes = torch.zeros(2), torch.tensor(0.0), []
    while len(mistakes) < epochs and 0 not in mistakes:
        weight, bias, count = perceptron_epoch(weight, bias, GATE_INPUTS, targets)
        mistakes.append(count)
        bias = bias if use_bias else torch.tensor(0.0)
    return mistakes


def two_classes(batches: data.Batches, first: int, second: int) -> tuple[Tensor, Tensor]:
    """Return the flat images of two classes; the targets are 0.0 for `first`, 1.0 for `second`.

    Shape: (N, 784), (N,).
    """
    pairs = [(inputs.flatten(1), targets) for inputs, targets in batches]
    inputs, targets = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    kept = (targets == first) | (targets == second)
    return inputs[kept], (targets[kept] == second).float()


def train_logistic(
    inputs: Tensor, targets: Tensor, steps: int, lr: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Return the weight (784,) and the bias () after `steps` steps with your gradient."""
    weight, bias = inputs.new_zeros(784), inputs.new_zeros(())
    for _ in range(steps):
        dweight, dbias = logistic_gradient(weight, bias, inputs, targets)
        weight, bias = weight - lr * dweight, bias - lr * dbias
    return weight, bias


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab01", __doc__, argv, epochs=100, full_epochs=1000, tiny_epochs=20)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    train, val, test = mnist.batches(512, seed=args.seed, device=args.device, limit=args.limit)
    print(f"data: {mnist.source}; {train.num_samples:,} training images")

    answers = run_network(GATE_INPUTS, *xor_network()).int().tolist()
    parameters = sum(torch.as_tensor(part).numel() for part in xor_network())
    print(f"XOR by three neurons: {answers}, {parameters} parameters")
    claim = functools.partial(args.findings.claim, form="g", exact=True)
    claim("parameters of the XOR network", parameters, "=", 9, task="1.3")
    for name, outputs, gate, task in (
        ("AND neuron", neuron(GATE_INPUTS, *and_gate()), AND, "1.1 or 1.2"),
        ("XOR network", run_network(GATE_INPUTS, *xor_network()), XOR, "1.1 or 1.3"),
    ):
        right = outputs.eq(gate).sum().item()
        claim(f"right answers of the {name}", right, "=", 4, task=task)
    for name, gate, use_bias, expected in (
        ("AND", AND, True, 6), ("XOR", XOR, True, 100), ("AND, bias 0", AND, False, 100),
    ):  # fmt: skip
        mistakes = learn_gate(gate, use_bias=use_bias)
        print(f"perceptron rule on {name}: {mistakes[-1]} mistakes in epoch {len(mistakes)}")
        text, task = f"epochs of the perceptron rule, {name}", "1.1 or 1.4"
        claim(text, len(mistakes), "=", expected, task=task)
    # The sums of the first epoch are 0, -1, -1 and -1: the first and the last answer are wrong.
    claim("mistakes in epoch 1 of AND", learn_gate(AND)[0], "=", 2, task="1.1 or 1.4")

    x, y = lecture_points()
    path = fit_line(x, y, a=-2.0, b=1.0, lr=0.01, steps=19 * 250)
    lines = path[::250].tolist()  # one line for each slide of the lecture
    print(f"\n{'step':>4}{'a':>8}{'b':>8}{'loss':>12}")
    for slide in (0, 1, 2, 5, 10, 19):
        a, b = lines[slide]
        loss = (y - a * x - b).square().mean()
        print(f"{250 * slide:>4}{a:>8.2f}{b:>8.2f}{loss:>12.6f}")

    a, b = lines[1]
    loss = round((y - a * x - b).square().mean().item(), 4)
    for text, value, expected in (
        ("the line after 250 steps: loss", loss, 0.1594),
        ("the line after 4,750 steps: a", round(lines[19][0], 2), 0.24),
        ("the line after 4,750 steps: b", round(lines[19][1], 2), 0.5),
    ):
        claim(text, value, "=", expected, task="1.5 or 1.6")
    standard = (x - x.mean()) / x.std(correction=0)
    a, b = fit_line(standard, y, a=-2.0, b=1.0, lr=0.5, steps=1)[-1].tolist()
    loss = (y - a * standard - b).square().mean().item()
    print(f"with x standardized, one step with lr 0.5: loss {loss:.6f}")
    claim(
        "the line, x standardized, one step: loss", loss, "<", 1e-9, form=".0e", task="1.5 or 1.6"
    )

    inputs, targets = two_classes(train, 3, 8)
    means = [inputs[targets == 0].mean(0), inputs[targets == 1].mean(0)]
    print(f"\nlogistic regression, 3 against 8, after {args.epochs} steps; three times, each time")
    print(f"{'with half of the images':<30}{'val':>9}{'test':>9}{'spread':>9}{'test loss':>12}")
    accuracies, losses = {}, {}
    for name, scale in (("normalized", 1.0), ("not normalized, times 255", 255.0)):
        val_scores, accuracies[name], losses[name] = [], [], []
        for seed in range(3 * args.seed, 3 * args.seed + 3):
            generator = torch.Generator().manual_seed(seed)
            half = torch.randperm(len(inputs), generator=generator)[: len(inputs) // 2]
            half = half.to(inputs.device)
            trained = train_logistic(scale * inputs[half], targets[half], args.epochs)
            for split, scores in ((val, val_scores), (test, accuracies[name])):
                unseen, right = two_classes(split, 3, 8)
                answers = neuron(scale * unseen, *trained)
                scores.append((answers == right).float().mean().item())
            logits = scale * unseen @ trained[0] + trained[1]
            losses[name].append(F.binary_cross_entropy_with_logits(logits, right).item())
        print(
            f"{name:<30}{statistics.mean(val_scores):>9.2%}{statistics.mean(accuracies[name]):>9.2%}"
            f"{statistics.stdev(accuracies[name]):>9.2%}{statistics.mean(losses[name]):>12.3g}"
        )
    good, broken = losses.values()
    right = accuracies["normalized"]
    args.findings.claim("3 against 8, right", right, ">", 0.9, ".2%", task="1.7")
    args.findings.claim("3 against 8, test loss, not normalized", broken, ">", good, ".3g")

    # With weights 0 each p is 1 / 2, so the derivative by the bias is the mean of 1 / 2 - t.
    share, slope = targets.mean().item(), logistic_gradient(0 * means[0], 0.0, inputs, targets)[1]
    claim("derivative by the bias, less (1/2 - share of 8)", abs(slope - 0.5 + share), "<", 1e-6,
          form=".0e", task="1.7")  # fmt: skip
    drawn = train_logistic(inputs, targets, args.epochs)[0]
    if args.plot:
        gates = {
            "AND: one neuron": (lambda points: neuron(points, *and_gate()), AND),
            "XOR: three neurons": (lambda points: run_network(points, *xor_network()), XOR),
        }
        plots.decision_regions(gates, GATE_INPUTS, args.out / "gates.png")
        plots.line_descent(x, y, lines, args.out / "line.png")
        plots.image_grid(
            [image.reshape(28, 28) for image in (*means, drawn)],
            titles=["mean 3", "mean 8", "weights"],
            path=args.out / "weights.png",
            title="Bright weights count for 8, dark weights for 3",
        )
        print(f"figures: {args.out}")
    args.findings.report()


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** Why can no single neuron answer XOR, whatever its weights?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The neuron would need b < 0, w1 + b >= 0, w2 + b >= 0 and w1 + w2 + b < 0. Add the second and the
# third inequality: w1 + w2 + 2b >= 0, so w1 + w2 + b >= -b. Since b < 0, -b is above 0. This
# contradicts the last inequality.
# </details>
#
# **2.** The loss of the line fell quickly in the first 250 steps and then slowly for thousands of
# steps. Which two properties of the data determine this speed? Why is one step enough if x is
# standardized?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The means of x and of x^2. They determine the Hessian, 2 [[E x^2, E x], [E x, 1]]. Its eigenvalues
# are 2.59 and 0.12 here, so the error shrinks 22 times as slowly in one direction as in the other.
# If x is standardized, the Hessian is 2 times the identity. Then all directions are equally fast,
# and one step with lr 0.5 reaches the minimum.
# </details>
#
# **3.** Why does AND need a bias?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Without a bias the sum for the input (0, 0) is 0, so the neuron answers 1 there, whatever its
# weights. Its line always goes through the origin.
# </details>
#
# ## What you have seen
# One neuron draws one line, and where no line separates the classes, the perceptron rule never
# comes to an end; three neurons solve XOR with 9 parameters. Gradient descent needs a function
# without steps, and its speed depends on the scale of the inputs: standardized, the line is found
# at once; with inputs 255 times as large, logistic regression is as often right, but when it is
# wrong, it is completely sure, and its loss is huge.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab01` asks seven questions with four choices each, and explains the answers.
