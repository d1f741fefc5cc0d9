# %% [markdown]
"""Lab 02: the multilayer perceptron and backpropagation.

How does a network of neurons learn its weights, and what are hidden layers good for?

You write the forward and the backward pass of a network with one hidden layer, and check its
gradients with finite differences. You approximate a function by a sum of ReLUs, and count the
regions into which a network divides the plane. Last, you write the loop that trains the network.
You do not use autograd.

Lecture sections: Neural networks and back-propagation; MLP = universal approximators; Deep vs
shallow.

    dlcourse check lab02              check your answers (takes seconds)
    dlcourse check lab02 --task 2.4   check one task
    dlcourse run lab02 --tiny         run the whole experiment on 1,800 images (takes seconds)
    dlcourse run lab02                use 10,800 images (half a minute on a laptop)

A recorded run of the solution (`dlcourse run lab02`, real MNIST, 2 cores):

    data: MNIST from datasets/MNIST/raw; 10,800 training images
    gradient check in float64: differences up to 3.1e-10

    ReLUs       largest error on sin x
    3                           0.4373
    6                           0.1340
    12                          0.0329
    24                          0.0085
    48                          0.0021

    ReLUs                       the maximum is   counted
    1 layer of 8                    at most 37        37
    2 layers of 4                  at least 44        44
    2 layers of 4, found           at least 44        66
    1 layer of 12                   at most 79        79
    3 layers of 4                 at least 176       176

    MLP 784-100-10                  seed  train loss      val     test
    weights at the start: random       0      0.0425   95.75%   95.69%
    weights at the start: random       1      0.0448   96.50%   95.56%
    weights at the start: random       2      0.0449   96.08%   95.68%
    weights at the start: all 0        0      2.3017   11.25%   11.35%
    weights at the start: all 0        1      2.3019   11.25%   11.35%
    weights at the start: all 0        2      2.3017   11.25%   11.35%
    figures: results/lab02

Over 3 seeds (mean, standard deviation, how many seeds agree):

    gradient check                                               3e-10 < 1e-08           exact
    loss of ten equal scores: ln 10                              2.303 = 2.303           exact
    its derivative by the right one of 4 samples                -0.225 = -0.225          exact
    error on sin x: twice as many ReLUs, at most a third            0.31 < 0.33            exact
    regions of 1 layer of 8                                         37 = 37              exact
    regions of 2 layers of 4                                        44 = 44              exact
    regions of 2 layers of 4, found                                 66 = 66              exact
    regions of 1 layer of 12                                        79 = 79              exact
    regions of 3 layers of 4                                       176 = 176             exact
    what region_bound says of it                                   176 = 176             exact
    training loss, random weights: less than ln 10     0.044 (0.00135) < 2.3             exact
    test accuracy, random weights                       95.64% (0.07%) > 90.00%          3 of 3
    test accuracy, all weights 0                                11.35% < 15.00%          3 of 3
The figures in results/lab02:

    regions: The linear regions of small networks, each in its own color.
    sine: A sine from few ReLUs: each unit adds one bend.
    training: The training loss of an MLP, trained with the gradients of this lab, without autograd:
      with all weights 0 at the start it hardly falls.
"""

# %%
from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from dlcourse import data, lab, plots

# The weights and biases of the network, by name: "weight1", "bias1", "weight2", "bias2".
Params = dict[str, Tensor]
# A layer of ReLUs: weight (units, inputs) and bias (units,).
Layer = tuple[Tensor, Tensor]

# %% [markdown]
# ## 1. Forward
# The hidden layer computes H units from the D inputs. The output layer computes one logit for each
# of the K classes from the hidden units. As in PyTorch, row i of a weight belongs to unit i.


# %%
def forward(params: Params, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the hidden units and the logits of a network with one hidden layer of ReLUs.

        hidden = relu(weight1 x + bias1)          logits = weight2 hidden + bias2
    for each sample x (a row of `inputs`).
    Shape: weight1 (H, D), bias1 (H,), weight2 (K, H), bias2 (K,), inputs (N, D)
        -> hidden (N, H), logits (N, K).

    >>> params = {"weight1": torch.tensor([[1.0, 0.0], [0.0, -1.0]]), "bias1": torch.zeros(2),
    ...           "weight2": torch.tensor([[2.0, 5.0]]), "bias2": torch.tensor([0.5])}
    >>> forward(params, torch.tensor([[3.0, 4.0]]))
    (tensor([[3., 0.]]), tensor([[6.5000]]))
    """
    # Task 2.1 (1 point). For a hint: dlcourse hint 2.1
    raise NotImplementedError("task 2.1: forward")


# %% [markdown]
# ## 2. The loss
# Softmax turns logits z into probabilities p_k = exp(z_k) / sum_j exp(z_j). The loss of a sample is
# -log p of its true class. Computed in this way, exp overflows for z = 89 and more. If you first
# subtract the largest logit from all logits, no probability changes, and no exp is larger than 1.


# %%
def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over the samples of -log softmax(logits)[true class], for logits of any size.

    Shape: logits (N, K), targets int64 (N,) from 0 to K - 1 -> a tensor of shape ().
    Do not call torch's own functions (cross_entropy, softmax, log_softmax, logsumexp, nll_loss).

    >>> cross_entropy(torch.tensor([[0.0, 0.0], [1000.0, 0.0]]), torch.tensor([1, 0]))
    tensor(0.3466)
    """
    # Task 2.2 (2 points). For a hint: dlcourse hint 2.2
    raise NotImplementedError("task 2.2: cross_entropy")


# %%
def cross_entropy_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the derivative of cross_entropy(logits, targets) with respect to each logit.

    It is (p - t) / N, where p are the probabilities, and t is 1 at the true class and 0 elsewhere.
    Do not change `logits` itself. Shape: logits (N, K), targets int64 (N,) -> (N, K).

    >>> cross_entropy_gradient(torch.zeros(1, 4), torch.tensor([2]))
    tensor([[ 0.2500,  0.2500, -0.7500,  0.2500]])
    """
    # Task 2.3 (1 point). For a hint: dlcourse hint 2.3
    raise NotImplementedError("task 2.3: cross_entropy_gradient")


# %% [markdown]
# ## 3. Backward
# Apply the chain rule from the loss back to the inputs. A layer receives the derivative of the loss
# with respect to its outputs, and computes from it the derivatives with respect to its weights and
# its inputs.


# %%
def backward(params: Params, inputs: Tensor, hidden: Tensor, dlogits: Tensor) -> Params:
    """Return the derivative of the loss with respect to each parameter, with the keys of `params`.

    hidden: the hidden units that `forward` returned for `inputs`.
    dlogits: the derivative of the loss with respect to each logit.
    Shape: inputs (N, D), hidden (N, H), dlogits (N, K) -> each derivative as its parameter.

    >>> params = {"weight1": torch.tensor([[1.0, 0.0], [0.0, -1.0]]), "bias1": torch.zeros(2),
    ...           "weight2": torch.tensor([[2.0, 5.0]]), "bias2": torch.tensor([0.5])}
    >>> inputs = torch.tensor([[3.0, 4.0]])
    >>> backward(params, inputs, torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0]]))["weight1"]
    tensor([[6., 8.],
            [0., 0.]])
    """
    # Task 2.4 (3 points). For a hint: dlcourse hint 2.4
    raise NotImplementedError("task 2.4: backward")


# %%
def numerical_gradient(
    function: Callable[[Tensor], Tensor], x: Tensor, eps: float = 1e-6
) -> Tensor:
    """Return the derivative of `function` at `x` with respect to each entry of x.

        (function(x with entry + eps) - function(x with entry - eps)) / (2 eps)
    `function` takes a tensor of the same shape as x and returns one number. Do not change x.
    Shape: x float64, of any shape -> the same shape and dtype.

    >>> numerical_gradient(lambda x: x[0] ** 2 * x[1], torch.tensor([3.0, 2.0]).double())
    tensor([12.0000,  9.0000], dtype=torch.float64)
    """
    # Task 2.5 (1 point). For a hint: dlcourse hint 2.5
    raise NotImplementedError("task 2.5: numerical_gradient")


# %% [markdown]
# ## 4. A sum of ReLUs approximates any function
# A weighted sum of ReLUs consists of straight pieces. Each ReLU bends it at one place, its knot.
# With enough knots, the sum comes as close as you like to any continuous function on an interval.


# %%
def relu_weights(knots: Tensor, values: Tensor) -> Tensor:
    """Return the weights with which `relu_sum` goes straight from point to point (knots, values).

    Weight n is the slope after knot n minus the slope before it. Before the first knot the slope
    is 0. The last knot needs no weight.
    Shape: knots (M + 1,), in increasing order, values (M + 1,) -> (M,).

    >>> relu_weights(torch.tensor([0.0, 1.0, 3.0]), torch.tensor([0.0, 2.0, 2.0]))
    tensor([ 2., -2.])
    """
    # Task 2.6 (1 point). For a hint: dlcourse hint 2.6
    raise NotImplementedError("task 2.6: relu_weights")


def relu_sum(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Return values[0] + sum over n of weight_n relu(x - knot_n). Shape: (N,) -> (N,).

    It uses your weights. It is a network of one input, one hidden layer of M ReLUs and one output.
    """
    return values[0] + torch.relu(x[:, None] - knots[:-1]) @ relu_weights(knots, values)


# %% [markdown]
# ## 5. Regions of the plane
# In two dimensions each ReLU of the first layer bends along a line. The lines divide the plane into
# regions, and the network is linear in each region. The ReLUs of a deeper layer divide each of
# these regions again, along other lines.


# %%
def region_bound(num_inputs: int, width: int, layers: int = 1) -> int:
    """Return how many regions `layers` layers of `width` ReLUs can reach (Montufar et al. 2014).

        (width // num_inputs) ^ (num_inputs (layers - 1)) * sum for j = 0..num_inputs of C(width, j)
    C(n, j) is the number of ways to choose j of n items. A network with one layer never has more
    regions than this. Deeper networks can have more: for them it is a lower bound of the maximum.

    >>> region_bound(2, 3)  # three lines in the plane
    7
    >>> region_bound(1, 3, layers=2)
    12
    """
    # Task 2.7 (1 point). For a hint: dlcourse hint 2.7
    raise NotImplementedError("task 2.7: region_bound")


# %%
def count_regions(layers: Sequence[Layer], points: Tensor) -> int:
    """Count the regions in which the `points` lie: the different patterns of ReLUs on and off.

    layers: (weight, bias) of each layer of ReLUs. The inputs of the first layer are the points,
        those of each other layer are the outputs of the layer before it.
    A ReLU is on where its output is above 0. The pattern of a point includes all layers.
    Shape: points (N, D), weight (units, inputs), bias (units,).

    >>> points = torch.tensor([[-1.0, 1.0], [-2.0, 5.0], [1.0, 1.0], [1.0, -1.0]])
    >>> count_regions([(torch.eye(2), torch.zeros(2))], points)
    3
    """
    # Task 2.8 (2 points). For a hint: dlcourse hint 2.8
    raise NotImplementedError("task 2.8: count_regions")


# %% [markdown]
# ## 6. Training
# Everything is ready to train a network: go through the data in batches, compute the derivatives of
# each batch's loss, and move the parameters a little against them. One pass over the data is an
# epoch. Every deep network is trained by a loop like this one.


# %%
def train_epoch(
    params: Params, batches: Iterable[tuple[Tensor, Tensor]], lr: float
) -> tuple[Params, float]:
    """Train the network once on each batch; return the new parameters and the mean loss.

    For each batch, with the newest parameters: run the network forward, compute the derivatives of
    cross_entropy, and subtract from each parameter its derivative, multiplied by lr. Do not change
    the tensors in `params`; make new ones.
    The mean loss is over all samples of all batches. Each batch's loss is that before its step.
    Batches can have different sizes.
    Shape: batches of (inputs (N, D), targets int64 (N,)) -> a dictionary like `params`, a number.
    Call your own functions: autograd and torch.optim are not allowed.

    >>> params = {"weight1": torch.tensor([[1.0]]), "bias1": torch.zeros(1),
    ...           "weight2": torch.zeros(2, 1), "bias2": torch.zeros(2)}
    >>> batch = torch.tensor([[2.0]]), torch.tensor([1])
    >>> params, loss = train_epoch(params, [batch], lr=0.1)
    >>> params["weight2"].flatten(), params["bias2"]  # the loss was log 2
    (tensor([-0.1000,  0.1000]), tensor([-0.0500,  0.0500]))
    """
    # Task 2.9 (3 points). For a hint: dlcourse hint 2.9
    raise NotImplementedError("task 2.9: train_epoch")


# %% [markdown]
# ## 7. The experiment
# Check the gradients, approximate a sine, count regions, and train on digits with only the
# functions above. One of the networks whose regions are counted was not built by folding but found
# by a computer, which changed random weights as long as this did not lower the count.
#
# **Predict before you run it.** Two layers of 4 ReLUs are guaranteed to reach 44 regions. Can they
# reach more? What does the network learn if all its weights are 0 at the start?
#
# *Your prediction:*


# %%
def gradient_check(seed: int = 0) -> float:
    """Return the largest difference of `backward` from finite differences on a small network."""
    generator = torch.Generator().manual_seed(seed)
    params = new_params(5, 7, 3, generator, torch.float64)
    inputs = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    targets = torch.randint(3, (6,), generator=generator)
    hidden, logits = forward(params, inputs)
    gradients = backward(params, inputs, hidden, cross_entropy_gradient(logits, targets))

    def difference(name: str) -> float:
        numerical = numerical_gradient(
            lambda value: cross_entropy(forward(params | {name: value}, inputs)[1], targets),
            params[name],
        )
        return (gradients[name] - numerical).abs().max().item()

    return max(map(difference, params))


def new_params(
    num_inputs: int, width: int, num_classes: int, generator: torch.Generator, dtype: torch.dtype
) -> Params:
    """Draw random weights with variance 2 / (number of inputs); set the biases to 0."""
    shapes = {"1": (width, num_inputs), "2": (num_classes, width)}
    params = {}
    for layer, shape in shapes.items():
        weight = torch.randn(shape, generator=generator, dtype=dtype)
        params[f"weight{layer}"] = weight * math.sqrt(2 / shape[1])
        params[f"bias{layer}"] = torch.zeros(shape[0], dtype=dtype)
    return params


def tangents(units: int, start: float, end: float) -> Layer:
    """Make ReLUs that bend along tangents of y = x^2; no three of these lines meet in one point."""
    at = torch.linspace(start, end, units)
    return torch.stack([2 * at, -torch.ones(units)], dim=1), -at.square()


def folding_network(layers: int) -> list[Layer]:
    """Make layers of 4 ReLUs that fold the plane like paper, and a last layer that divides it.

    The sum of units 0 and 1 is |x|, that of units 2 and 3 is |y|. In the same way, a second layer
    gives ||x| - 1| and ||y| - 1|. Folding puts 4 (or 16) parts of the plane on top of each other,
    so each of the last layer's 11 regions counts 4 (or 16) times.
    """
    folded = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    joined = folded @ torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    network = [(folded, torch.zeros(4))]
    if layers == 3:
        network.append((joined, torch.tensor([-1.0, 1.0, -1.0, 1.0])))
    weight, bias = tangents(4, 0.1, 0.95)
    return [*network, (weight.repeat_interleave(2, dim=1), bias)]


# Two layers of 4 ReLUs, found by hill climbing on the number of regions.
FOUND = [
    ([[0.61, 0.15], [-1.2, -0.1], [0.31, 0.81], [0.01, -0.68]], [0.28, -0.1, 0.14, -0.21]),
    (
        [
            [-0.02, -0.09, -0.97, -0.75],
            [0.58, 0.86, -1.18, -1.03],
            [1.14, 1.46, -0.91, -0.87],
            [2.07, 2.15, -0.91, -0.81],
        ],
        [0.1, -0.21, -0.48, -0.89],
    ),
]


def grid(half: float, side: int) -> Tensor:
    """Return points of a square grid from -half to half. Shape: (side * side, 2)."""
    places = ((torch.arange(side) + 0.5) / side * 2 - 1) * half  # never on an axis
    return torch.cartesian_prod(places, places)


def draw_regions(networks: dict[str, tuple[list[Layer], float]], path: str) -> None:
    """Draw the plane; each region has its own color."""
    colors = torch.rand(2**12, 3, generator=torch.Generator().manual_seed(0))
    pictures = []
    for layers, half in networks.values():
        points, patterns = grid(half, 300), []
        for weight, bias in layers:
            points = torch.relu(points @ weight.T + bias)
            patterns.append(points > 0)
        codes = torch.cat(patterns, dim=1).long() @ 2 ** torch.arange(
            sum(len(b) for _, b in layers)
        )
        pictures.append(colors[codes].reshape(300, 300, 3).permute(2, 1, 0).flip(1))
    plots.image_grid(pictures, list(networks), columns=5, path=path)


def accuracy(params: Params, batches: data.Batches) -> float:
    """Return the fraction of the images that the network classifies correctly."""
    right = [
        forward(params, inputs.flatten(1))[1].argmax(1) == targets for inputs, targets in batches
    ]
    return torch.cat(right).float().mean().item()


def train_network(
    params: Params, train: data.Batches, val: data.Batches, epochs: int, lr: float = 0.1
) -> tuple[Params, list[float], list[float]]:
    """Train by mini-batch gradient descent.

    Returns the parameters, and the training loss and the validation error of each epoch.
    """
    losses, errors = [], []
    for _ in range(epochs):
        flat = ((inputs.flatten(1), targets) for inputs, targets in train)
        params, loss = train_epoch(params, flat, lr)
        losses.append(loss)
        errors.append(1 - accuracy(params, val))
    return params, losses, errors


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab02", __doc__, argv, epochs=8, full_epochs=40)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    limit = args.limit or (None if args.full else 12_000)
    train, val, test = mnist.batches(batch_size=64, seed=args.seed, device=args.device, limit=limit)
    print(f"data: {mnist.source}; {train.num_samples:,} training images")
    claim, difference = args.findings.claim, gradient_check(args.seed)
    print(f"gradient check in float64: differences up to {difference:.1e}")
    decided = "2.1 or 2.2 or 2.3 or 2.4"
    claim("gradient check", difference, "<", 1e-8, ".0e", task=f"{decided} or 2.5", exact=True)
    # With equal scores each of the ten classes has the probability 1 / 10.
    scores, right = torch.zeros(4, 10), torch.arange(4)
    loss, pull = cross_entropy(scores, right), cross_entropy_gradient(scores, right)[0, 0]
    for text, value, expected, task in (
        ("loss of ten equal scores: ln 10", loss, math.log(10), "2.2"),
        ("its derivative by the right one of 4 samples", pull, (0.1 - 1) / 4, "2.3"),
    ):
        claim(text, round(float(value), 4), "=", round(expected, 4), ".4g", task=task, exact=True)

    x = torch.linspace(-math.pi, math.pi, 1001, dtype=torch.float64)
    sines, worst = {"sin x": x.sin()}, []
    print(f"\n{'ReLUs':<10}{'largest error on sin x':>24}")
    for units in (3, 6, 12, 24, 48):
        knots = torch.linspace(-math.pi, math.pi, units + 1, dtype=torch.float64)
        sines[f"{units} ReLUs"] = relu_sum(x, knots, knots.sin())
        worst.append((sines[f"{units} ReLUs"] - x.sin()).abs().max().item())
        print(f"{units:<10}{worst[-1]:>24.4f}")
    text = "error on sin x: twice as many ReLUs, at most a third"
    claim(
        text,
        max(map(operator.truediv, worst[1:], worst)),
        "<",
        1 / 3,
        ".2f",
        task="2.6",
        exact=True,
    )

    networks = {
        "1 layer of 8": ([tangents(8, -1, 1)], 1.3),
        "2 layers of 4": (folding_network(2), 1.0),
        "2 layers of 4, found": ([tuple(map(torch.tensor, layer)) for layer in FOUND], 1.0),
        "1 layer of 12": ([tangents(12, -1, 1)], 1.3),
        "3 layers of 4": (folding_network(3), 2.0),
    }
    expected = {
        "1 layer of 8": (37, "at most"),
        "2 layers of 4": (44, "at least"),
        "2 layers of 4, found": (66, "at least"),
        "1 layer of 12": (79, "at most"),
        "3 layers of 4": (176, "at least"),
    }
    print(f"\n{'ReLUs':<24}{'the maximum is':>18}{'counted':>10}")
    for name, (layers, half) in networks.items():
        bound = region_bound(2, len(layers[-1][1]), len(layers))
        counted = count_regions(layers, grid(half, 300))
        right, words = expected[name]
        print(f"{name:<24}{f'{words} {bound}':>18}{counted:>10}")
        claim(f"regions of {name}", counted, "=", right, "g", task="2.8", exact=True)
    # The maximum of the last network: both other layers fold the plane 4 times, 4 * 4 * 11.
    claim("what region_bound says of it", bound, "=", 4 * 4 * 11, "g", task="2.7", exact=True)

    seeds = [3 * args.seed + number for number in range(3)]
    print(f"\n{'MLP 784-100-10':<30}{'seed':>6}{'train loss':>12}{'val':>9}{'test':>9}")
    curves, tests, last = {}, {"random": [], "all 0": []}, []
    for start in tests:
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            params = new_params(784, 100, 10, generator, torch.get_default_dtype())
            if start == "all 0":
                params = {name: torch.zeros_like(value) for name, value in params.items()}
            params = {name: value.to(args.device) for name, value in params.items()}
            params, losses, errors = train_network(params, train, val, args.epochs)
            tests[start].append(accuracy(params, test))
            print(
                f"{f'weights at the start: {start}':<30}{seed:>6}{losses[-1]:>12.4f}"
                f"{1 - errors[-1]:>9.2%}{tests[start][-1]:>9.2%}",
                flush=True,
            )
            last += losses[-1:] if start == "random" else []
            curves[f"weights at the start: {start}"] = losses
    text = "training loss, random weights: less than ln 10"
    claim(text, last, "<", math.log(10), ".3g", task=f"{decided} or 2.9", exact=True)
    claim("test accuracy, random weights", tests["random"], ">", 0.9, ".2%", task="2.9")
    claim("test accuracy, all weights 0", tests["all 0"], "<", 0.15, ".2%", task="2.9")

    if args.plot:
        few = {name: sines[name].tolist() for name in ("sin x", "3 ReLUs", "6 ReLUs", "12 ReLUs")}
        plots.curves(few, args.out / "sine.png", x=x.tolist(), xlabel="x")
        draw_regions(networks, args.out / "regions.png")
        plots.curves(
            curves,
            args.out / "training.png",
            xlabel="epoch",
            ylabel="training loss",
            yscale="log",
        )
        print(f"figures: {args.out}")
    args.findings.report()


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** Why does the network with all weights 0 learn so little?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# It learns only how frequent the classes are. All hidden units are 0, so the gradient of weight2,
# dlogits.T @ hidden, is 0. weight2 is 0, so the gradient of weight1 is 0 too. Only bias2 changes.
# If all weights started at another common value, all hidden units would always stay equal.
# </details>
#
# **2.** The folding networks have as many ReLUs as the shallow ones, but more regions. What is the
# price?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The regions do not have independent shapes. The last layer makes its 11 regions once, and folding
# repeats them, mirrored, 4 or 16 times. If you change one line, all its copies change. So depth
# helps most when the function repeats itself, as parity or the textures of an image do.
# </details>
#
# **3.** For one layer the formula is the maximum, for more layers only a guarantee. Why can 79 not
# be beaten by one layer of 12, while 44 is beaten by two layers of 4?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The regions of one layer are the pieces into which 12 straight lines cut the plane, and 12 lines
# make at most 79. The second layer's lines bend wherever they cross a line of the first layer, and
# a bent line can cross others several times. Folding is one way to use this, not the best one.
# </details>
#
# ## What you have seen
# Gradients computed by the chain rule agree with finite differences, and with them alone a network
# learns digits. Twice as many ReLUs make the error on a smooth function about four times smaller.
# Layers on top of each other reach more regions than the same number of units side by side; the
# formula for several layers is a guarantee, not a limit. And a network whose units start equal
# stays that way.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab02` asks seven questions with four choices each, and explains the answers.
