# %% [markdown]
"""Lab 04: tricks of the trade.

The network is correct and so is its gradient. Why does it still not learn, and what makes it learn
well?

You write the methods that turn a correct network into a good one: standardized inputs, weights of
the right size, batch normalization, dropout, weight decay and early stopping. The experiment first
looks at the outputs of ten layers before any training. Then it trains networks with and without
these methods, on few images with some wrong labels, where the difference is easy to see.

Lecture sections: Activity propagation in deep nets; Tuning weights initialization; Smarter
initialization; Batch normalization; Dropout; Weight decay; Early stopping.

    dlcourse check lab04              check your answers (takes seconds)
    dlcourse check lab04 --task 4.2   check one task
    dlcourse run lab04 --tiny         run the whole experiment on 600 images (takes seconds)
    dlcourse run lab04                run the whole experiment (a minute or two on a laptop)

A recorded run of the solution (`dlcourse run lab04`, real MNIST, on a processor):

    data: MNIST from datasets/MNIST/raw; 1,800 training images

    ten layers of 500    std of the outputs of layer   saturated
                               1         5        10  |h| > 0.99
    tanh, std 0.01          0.14   0.00035   1.9e-07          0%
    tanh, std 1.0           0.97      0.98      0.98         90%
    tanh, Xavier            0.46      0.29      0.21          0%
    ReLU, Xavier            0.34     0.082     0.015           -
    ReLU, Kaiming           0.43      0.41      0.34           -

    ten hidden layers of 100, 3 seeds           test   spread
    Kaiming's weights                          90.4%     0.3%
    weights of std 0.01                        10.6%     0.6%
    weights of std 0.01, batch norm            86.3%     0.7%

    784-256-256-10, 3 seeds     epochs    train     test   spread
    no method at all                30    99.8%   84.88%    0.32%
    early stopping                   9    85.3%   87.63%    0.21%
    + batch norm                     9    90.6%   86.73%    0.54%
    + dropout                       15    81.2%   88.70%    0.07%
    + weight decay                   9    84.4%   87.95%    0.24%
    + all three                     14    79.8%   89.64%    0.16%
    + all three, eval() forgotten                 78.80%
    figures: results/lab04

Over 3 seeds (mean, standard deviation, how many seeds agree):

    standardized images: mean of all pixels                    0.00229 < 0.1             exact
    tanh, std 0.01: signal of layer 10                        1.95e-07 < 0.0001          exact
    tanh, std 1.0: share of saturated units                      0.905 > 0.8             exact
    tanh, std 1.0: largest output, |h|                               1 = 1               exact
    tanh, Xavier: signal of layer 10                             0.211 > 0.1             exact
    ReLU, signal of layer 10: Xavier, Kaiming                    0.015 < 0.343           exact
    layer 10 behind batch norm: std                                  1 = 1               exact
    dropout keeps the mean of ones                                   1 = 1               exact
    weight 2, one step of decay alone                             1.75 = 1.75            exact
    ten layers, weights of std 0.01: chance               10.6% (0.6%) < 20.0%           3 of 3
    the same with batch norm                              86.3% (0.7%) > 10.6% (0.6%)    3 of 3
    ten layers, Kaiming's weights                         90.4% (0.3%) > 10.6% (0.6%)    3 of 3
    early stopping: kept error above the least one                   0 = 0               exact
    epochs: 5 more than until the best one                           9 = 9               exact
    epochs until early stopping                                      9 < 30              3 of 3
    test: early stopping against no method              87.63% (0.21%) > 84.88% (0.32%)  3 of 3
    test: + dropout against only early stopping         88.70% (0.07%) > 87.63% (0.21%)  3 of 3
    test: + all three against only early stopping       89.64% (0.16%) > 87.63% (0.21%)  3 of 3
    all three, eval() forgotten                         78.80% (0.78%) < 89.64% (0.16%)  3 of 3
The figures in results/lab04:

    activations: The activations of ten layers: with small weights they die out, with large ones
      they saturate, with Xavier or Kaiming they keep their spread.
    errors: Validation error with a fifth of the labels random: without early stopping it rises
      again; all methods together are best.
    signal: The spread of the signal by layer: with too small weights, each layer loses a factor.
"""

# %%
from __future__ import annotations

import copy
import itertools
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, plots
from dlcourse.findings import Findings

# Images (N, 784) and their classes (N,).
Split = tuple[Tensor, Tensor]

# %% [markdown]
# ## 1. Inputs of the same size
# Gradient descent uses the same learning rate for all weights. This works best if all inputs have
# about the same size and a mean near 0. Measure mean and size on the training data only: validation
# and test data stand for future data, whose mean is unknown.


# %%
def standardize(
    train: Tensor, val: Tensor, test: Tensor, eps: float = 0.01
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three tensors with each column standardized: (x - mean) / sqrt(var + eps).

    mean and var are always those of the column in `train`. var is the mean of the squared distances
    from the mean. With eps, a pixel that almost never changes does not become very large. The given
    tensors stay as they are.
    Shape: train (N, D), val (M, D), test (L, D) -> the same three shapes.

    >>> train = torch.tensor([[1.0, 5.0], [4.0, 5.0]])  # means 2.5 and 5, variances 2.25 and 0
    >>> standardize(train, torch.tensor([[2.5, 5.0]]), torch.tensor([[5.0, 6.0]]), eps=4.0)
    (tensor([[-0.6000,  0.0000],
            [ 0.6000,  0.0000]]), tensor([[0., 0.]]), tensor([[1.0000, 0.5000]]))
    """
    # Task 4.1 (1 point). Hint: compute mean and var of train once, and use them for all three.
    # Hint: mean(dim=0) and var(dim=0, correction=0) are those of each column; eps is inside the
    # root.
    # BEGIN SOLUTION
    mean, scale = train.mean(dim=0), (train.var(dim=0, correction=0) + eps).sqrt()
    return (train - mean) / scale, (val - mean) / scale, (test - mean) / scale
    # END SOLUTION


# %% [markdown]
# ## 2. Weights of the right size
# A unit adds up fan_in products. If its weights are too small, the signal fades from layer to
# layer. If they are too large, every tanh saturates near -1 or 1. Between these there is a size
# that keeps the signal the same. fan_out matters too, because the gradient goes through the layer
# in the other direction.


# %%
def xavier(fan_in: int, fan_out: int) -> Tensor:
    """Draw the weights of a layer: normal distribution, mean 0, variance 2 / (fan_in + fan_out).

    Source: Glorot & Bengio 2010. Shape: -> float32 (fan_out, fan_in), as in
    nn.Linear.

    >>> xavier(200, 600).shape, round(xavier(200, 600).std().item(), 2)
    (torch.Size([600, 200]), 0.05)
    """
    # Task 4.2 (2 points). Hint: torch.randn draws with variance 1. Hint: s * torch.randn(...) has
    # variance s * s, so multiply by a root.
    # BEGIN SOLUTION
    return torch.randn(fan_out, fan_in) * (2 / (fan_in + fan_out)) ** 0.5
    # END SOLUTION


# %%
def kaiming(fan_in: int, fan_out: int) -> Tensor:
    """Draw the weights of a layer before a ReLU: normal distribution, mean 0, variance 2 / fan_in.

    A ReLU sets half of its inputs to 0. Twice Xavier's variance (at equal widths) corrects this.
    Source: He et al. 2015, arXiv:1502.01852. Shape: -> float32 (fan_out, fan_in).

    >>> kaiming(200, 600).shape, round(kaiming(200, 600).std().item(), 1)
    (torch.Size([600, 200]), 0.1)
    """
    # Task 4.2, continued. Hint: fan_out is needed only for the shape.
    # BEGIN SOLUTION
    return torch.randn(fan_out, fan_in) * (2 / fan_in) ** 0.5
    # END SOLUTION


# %%
def propagate(
    inputs: Tensor, weights: Sequence[Tensor], activation: Callable[[Tensor], Tensor]
) -> list[Tensor]:
    """Return the outputs of each layer of a network without biases, from the first to the last.

    A layer multiplies by its weight, then applies `activation` (torch.tanh, torch.relu, ...).
    Shape: inputs (N, D0), weights [(D1, D0), (D2, D1), ...] -> [(N, D1), (N, D2), ...].

    >>> double = torch.tensor([[2.0]])
    >>> propagate(torch.tensor([[1.0], [-1.0]]), [double, double], torch.relu)
    [tensor([[2.],
            [0.]]), tensor([[4.],
            [0.]])]
    """
    # Task 4.3 (2 points). Hint: the outputs of one layer are the inputs of the next. Hint: row i of
    # a weight belongs to unit i, so multiply the inputs by weight.T.
    # BEGIN SOLUTION
    outputs = []
    for weight in weights:
        inputs = activation(inputs @ weight.T)
        outputs.append(inputs)
    return outputs
    # END SOLUTION


# %% [markdown]
# ## 3. Batch normalization
# Good initial weights help at the start. Batch normalization helps during the whole training: over
# the images of each batch, it gives each unit mean 0 and variance 1, and then lets the network
# learn another scale and shift. After the training, a single image must be classified without a
# batch, so running values of mean and variance are kept for that.


# %%
class BatchNorm(nn.Module):
    """Batch normalization of units (Ioffe & Szegedy 2015, arXiv:1502.03167).

    In training mode (`self.training` is True): (x - mean) / sqrt(var + eps) * weight + bias, with
    the mean and var of each column of the batch (var is the mean of the squared distances). Then
    update running_mean and running_var:
    running = (1 - momentum) * running + momentum * batch.
    In evaluation mode: the same formula with running_mean and running_var, which do not change.

    Shape: inputs (N, num_features) -> (N, num_features).
    Do not call torch's own functions (batch_norm, BatchNorm1d, ...).

    >>> BatchNorm(1)(torch.tensor([[1.0], [3.0], [5.0]])).flatten().detach()
    tensor([-1.2247,  0.0000,  1.2247])
    """

    def __init__(self, num_features: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        # Buffers are saved with the weights and move to the GPU with them, but are not trained.
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, inputs: Tensor) -> Tensor:
        # Task 4.4 (3 points). Hint: choose mean and var by self.training; the rest of the formula
        # is the same. Hint: mean(dim=0) and var(dim=0, correction=0) are those of the batch. Hint:
        # the running values need the number, not its gradient graph: mean.detach(). The outputs
        # need the graph.
        # BEGIN SOLUTION
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = inputs.mean(dim=0), inputs.var(dim=0, correction=0)
            self.running_mean = torch.lerp(self.running_mean, mean.detach(), self.momentum)
            self.running_var = torch.lerp(self.running_var, var.detach(), self.momentum)
        return (inputs - mean) / (var + self.eps).sqrt() * self.weight + self.bias
        # END SOLUTION


# %% [markdown]
# ## 4. Against overfitting: three methods
# Dropout removes units at random, so that no unit can rely on another one. Weight decay pulls every
# weight toward 0, so only weights that lower the loss stay large. Early stopping ends the training
# when the validation error stops falling.


# %%
def dropout(inputs: Tensor, p: float, training: bool) -> Tensor:
    """Set each number to 0 with probability p, independently, and divide the others by 1 - p.

    Dividing keeps the expected value the same. So in evaluation mode (training=False) return the
    inputs unchanged. Do not change `inputs` itself.
    Source: Srivastava et al. 2014. p: at least 0, below 1.
    Shape: inputs (*) -> (*). Do not call torch's own functions (dropout, Dropout, ...).

    >>> dropout(torch.ones(1000), 0.5, training=True).unique()  # zeros at random places
    tensor([0., 2.])
    """
    # Task 4.5 (2 points). Hint: draw one random number for each number of the inputs. Hint:
    # torch.rand_like(inputs) >= p is True with probability 1 - p.
    # BEGIN SOLUTION
    if not training:
        return inputs
    return inputs * (torch.rand_like(inputs) >= p) / (1 - p)
    # END SOLUTION


# %%
def sgd_step(weight: Tensor, gradient: Tensor, lr: float, weight_decay: float) -> Tensor:
    """Return the weight after one step of gradient descent with weight decay.

    The step minimizes loss + weight_decay / 2 * sum(weight ** 2).
    gradient: the gradient of `loss` alone, with the same shape as weight.

    >>> sgd_step(torch.tensor([2.0]), torch.tensor([0.5]), lr=0.1, weight_decay=1.0)
    tensor([1.7500])
    """
    # Task 4.6 (1 point). Hint: what is the gradient of weight_decay / 2 * weight ** 2? Hint: add
    # it to `gradient`, before you multiply by lr.
    # BEGIN SOLUTION
    return weight - lr * (gradient + weight_decay * weight)
    # END SOLUTION


# %%
class EarlyStopping:
    """Watch the validation error after each epoch, and say when to stop.

    best: the lowest error so far. best_epoch: the epoch of the lowest error, counted from 1.
    epoch: the number of epochs so far.

    >>> stopping = EarlyStopping(patience=2)
    >>> [(stopping.update(error), stopping.stop) for error in (0.5, 0.3, 0.4, 0.3)]
    [(True, False), (True, False), (False, False), (False, True)]
    >>> stopping.best, stopping.best_epoch
    (0.3, 2)
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best, self.best_epoch, self.epoch = float("inf"), 0, 0

    def update(self, error: float) -> bool:
        """Count the epoch. If its error is lower than all before, remember it and return True."""
        # Task 4.7 (2 points). Hint: count the epoch first, in both cases. Hint: an error equal to
        # the best one is not an improvement.
        # BEGIN SOLUTION
        self.epoch += 1
        if error >= self.best:
            return False
        self.best, self.best_epoch = error, self.epoch
        return True
        # END SOLUTION

    @property
    def stop(self) -> bool:
        """True if the last `patience` epochs brought no improvement."""
        # Task 4.7, continued. Hint: how many epochs ago was the best one?
        # BEGIN SOLUTION
        return self.epoch - self.best_epoch >= self.patience
        # END SOLUTION


# %% [markdown]
# ## 5. The experiment
# First, ten layers of 500 units before any training: does the signal reach the last layer? Then
# networks of ten layers are trained from weights that are too small, with and without batch
# normalization. Then a multilayer perceptron learns from 1,800 images, a fifth of which have a
# random label, as in data that people labeled in a hurry: without any of the methods, with each of
# them, and with all. Three seeds show how much chance matters; "spread" is the standard deviation.
#
# **Predict before you run it.** Without early stopping, is the network better or worse after 30
# epochs than after 5? Which method helps most against the wrong labels?
#
# *Your prediction:*


# %%
class MLP(nn.Module):
    """Linear layers with ReLU, optionally with your BatchNorm and your dropout after each."""

    def __init__(self, sizes: Sequence[int], batch_norm: bool = False, p: float = 0.0) -> None:
        super().__init__()
        self.p = p
        self.linears = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(
            BatchNorm(size) if batch_norm else nn.Identity() for size in sizes[1:-1]
        )
        for linear in self.linears:
            linear.weight.data.copy_(kaiming(linear.in_features, linear.out_features))
            linear.bias.data.zero_()

    def forward(self, inputs: Tensor) -> Tensor:
        for linear, norm in zip(self.linears[:-1], self.norms, strict=True):
            inputs = dropout(norm(linear(inputs)).relu(), self.p, self.training)
        return self.linears[-1](inputs)


def spoil(labels: Tensor, share: float) -> Tensor:
    """Replace a share of the labels by random ones; a tenth of these are right by chance."""
    wrong = torch.rand(labels.shape, device=labels.device) < share
    return torch.where(wrong, torch.randint_like(labels, 10), labels)


@torch.no_grad()
def error_of(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """Return the fraction of wrongly classified images."""
    model.eval()
    return (model(inputs).argmax(dim=1) != targets).float().mean().item()


def train(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    val: tuple[Tensor, Tensor],
    epochs: int,
    lr: float,
    weight_decay: float = 0.0,
    patience: int = 5,
    keep_last: bool = False,
    batch_size: int = 50,
) -> list[float]:
    """Train with early stopping; return the validation errors.

    keep_last: whether to keep the weights of the last epoch instead of those of the best one.
    """
    stopping, errors = EarlyStopping(patience), []
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(len(inputs), device=inputs.device).split(batch_size):
            loss = F.cross_entropy(model(inputs[rows]), targets[rows])
            model.zero_grad()
            loss.backward()
            with torch.no_grad():
                for weight in model.parameters():
                    # Biases and scales do not cause overfitting, so they get no weight decay.
                    decay = weight_decay if weight.dim() > 1 else 0.0
                    weight.copy_(sgd_step(weight, weight.grad, lr, decay))
        errors.append(error_of(model, *val))
        if stopping.update(errors[-1]):
            best = copy.deepcopy(model.state_dict())
        if stopping.stop:
            break
    if not keep_last:
        model.load_state_dict(best)
    return errors


def look_into_ten_layers(inputs: Tensor, findings: Findings) -> dict[str, list[Tensor]]:
    """Print the standard deviation of the layers' outputs for each rule; return the outputs."""
    sizes = [inputs.shape[1]] + [500] * 10
    rules = {
        "tanh, std 0.01": (torch.tanh, lambda fan_in, fan_out: 0.01 * torch.randn(fan_out, fan_in)),
        "tanh, std 1.0": (torch.tanh, lambda fan_in, fan_out: torch.randn(fan_out, fan_in)),
        "tanh, Xavier": (torch.tanh, xavier),
        "ReLU, Xavier": (torch.relu, xavier),
        "ReLU, Kaiming": (torch.relu, kaiming),
    }
    print(f"\n{'ten layers of 500':<18}{'std of the outputs of layer':>30}{'saturated':>12}")
    print(f"{'':<18}{1:>10}{5:>10}{10:>10}{'|h| > 0.99':>12}")
    found = {}
    for name, (activation, rule) in rules.items():
        weights = [rule(*pair).to(inputs) for pair in itertools.pairwise(sizes)]
        found[name] = outputs = propagate(inputs, weights, activation)
        stds = "".join(f"{outputs[layer - 1].std():>10.2g}" for layer in (1, 5, 10))
        saturated = f"{(outputs[-1].abs() > 0.99).float().mean():.0%}"
        print(f"{name:<18}{stds}{saturated if activation is torch.tanh else '-':>12}")
    last = {name: layers[-1].std().item() for name, layers in found.items()}
    saturation = (found["tanh, std 1.0"][-1].abs() > 0.99).float().mean().item()
    largest = found["tanh, std 1.0"][-1].abs().max().item()
    normalized = BatchNorm(500).to(inputs.device)(found["tanh, std 1.0"][-1]).std().item()
    kept = dropout(torch.ones(10_000), 0.5, training=True).mean().item()
    decayed = sgd_step(torch.tensor(2.0), torch.tensor(0.0), lr=0.25, weight_decay=0.5).item()
    for text, left, relation, right, task in (
        ("standardized images: mean of all pixels", inputs.mean().abs().item(), "<", 0.1, "4.1"),
        ("tanh, std 0.01: signal of layer 10", last["tanh, std 0.01"], "<", 1e-4, "4.3"),
        ("tanh, std 1.0: share of saturated units", saturation, ">", 0.8, "4.3"),
        ("tanh, std 1.0: largest output, |h|", round(largest, 2), "=", 1, "4.3"),
        ("tanh, Xavier: signal of layer 10", last["tanh, Xavier"], ">", 0.1, "4.2 or 4.3"),
        ("ReLU, signal of layer 10: Xavier, Kaiming", last["ReLU, Xavier"], "<",
         last["ReLU, Kaiming"], "4.2 or 4.3"),
        ("layer 10 behind batch norm: std", round(normalized, 2), "=", 1, "4.4"),
        ("dropout keeps the mean of ones", round(kept, 1), "=", 1, "4.5"),
        ("weight 2, one step of decay alone", decayed, "=", 1.75, "4.6"),
    ):  # fmt: skip
        findings.claim(text, left, relation, right, ".3g", task=task, exact=True)
    return found


def rescue(splits: Sequence[Split], epochs: int, seeds: Sequence[int], findings: Findings) -> None:
    """Train ten layers whose weights are too small, with and without batch normalization."""
    (inputs, targets), val, test = splits
    print(f"\n{'ten hidden layers of 100, 3 seeds':<38}{'test':>10}{'spread':>9}")
    found = {}
    for name, small, batch_norm in (
        ("Kaiming's weights", False, False),
        ("weights of std 0.01", True, False),
        ("weights of std 0.01, batch norm", True, True),
    ):
        found[name] = []
        for seed in seeds:
            torch.manual_seed(seed)
            model = MLP((784, *[100] * 10, 10), batch_norm=batch_norm).to(inputs.device)
            for linear in model.linears if small else ():
                nn.init.normal_(linear.weight, 0.0, 0.01)
            train(model, inputs, targets, val, epochs, lr=0.1)
            found[name].append(1 - error_of(model, *test))
        mean, spread = statistics.mean(found[name]), statistics.stdev(found[name])
        print(f"{name:<38}{mean:>10.1%}{spread:>9.1%}", flush=True)
    good_start, alone, rescued = found.values()
    findings.claim("ten layers, weights of std 0.01: chance", alone, "<", 0.2, ".1%")
    findings.claim("the same with batch norm", rescued, ">", alone, ".1%", task="4.4")
    findings.claim("ten layers, Kaiming's weights", good_start, ">", alone, ".1%", task="4.2")


TRICKS = {
    "early stopping": {},
    "+ batch norm": {"batch_norm": True},
    "+ dropout": {"p": 0.5},
    "+ weight decay": {"weight_decay": 3e-3},
    "+ all three": {"batch_norm": True, "p": 0.5, "weight_decay": 3e-3},
}


def try_the_tricks(
    splits: Sequence[Split], epochs: int, seeds: Sequence[int], findings: Findings
) -> dict[str, list[float]]:
    """Train with each method and each seed; return the validation errors of the last seed."""
    (inputs, targets), val, test = splits
    runs = {"no method at all": {"patience": epochs, "keep_last": True}} | TRICKS
    print(f"\n{'784-256-256-10, 3 seeds':<26}{'epochs':>8}{'train':>9}{'test':>9}{'spread':>9}")
    curves, tests, lengths, forgotten, away, ends = {}, {}, {}, [], [], []
    for name, settings in runs.items():
        settings = dict(settings)
        layers = {key: settings.pop(key) for key in ("batch_norm", "p") if key in settings}
        trained, tests[name], lengths[name] = [], [], []
        for seed in seeds:
            torch.manual_seed(seed)
            model = MLP((784, 256, 256, 10), **layers).to(inputs.device)
            curves[name] = train(model, inputs, targets, val, epochs, lr=0.1, **settings)
            trained.append(1 - error_of(model, inputs, targets))
            tests[name].append(1 - error_of(model, *test))
            if name == "+ all three":
                # Break it: forget model.eval(), so that dropout also removes units from new images.
                with torch.no_grad():
                    right = model.train()(test[0]).argmax(1) == test[1]
                forgotten.append(right.float().mean().item())
            lengths[name].append(len(curves[name]))
            if name == "early stopping":
                away.append(error_of(model, *val) - min(curves[name]))
                ends.append(min(epochs, curves[name].index(min(curves[name])) + 1 + 5))
        print(
            f"{name:<26}{statistics.mean(lengths[name]):>8.0f}{statistics.mean(trained):>9.1%}"
            f"{statistics.mean(tests[name]):>9.2%}{statistics.stdev(tests[name]):>9.2%}",
            flush=True,
        )
    print(f"{'+ all three, eval() forgotten':<43}{statistics.mean(forgotten):>9.2%}")
    text = "early stopping: kept error above the least one"
    findings.claim(text, away, "=", 0, "g", task="4.7", exact=True)
    text = "epochs: 5 more than until the best one"
    findings.claim(text, lengths["early stopping"], "=", ends, "g", task="4.7", exact=True)
    text = "epochs until early stopping"
    findings.claim(text, lengths["early stopping"], "<", epochs, "g", task="4.7")
    alone = tests["early stopping"]
    text = "test: early stopping against no method"
    findings.claim(text, alone, ">", tests["no method at all"], ".2%", task="4.7")
    for name in ("+ dropout", "+ all three"):
        text = f"test: {name} against only early stopping"
        findings.claim(text, tests[name], ">", alone, ".2%", task="4.5")
    findings.claim("all three, eval() forgotten", forgotten, "<", tests["+ all three"], ".2%")
    return curves


def draw(outputs: dict[str, list[Tensor]], curves: dict[str, list[float]], out: Path) -> None:
    plots.histograms(
        {name: [layers[i] for i in (0, 3, 6, 9)] for name, layers in outputs.items()},
        ["layer 1", "layer 4", "layer 7", "layer 10"],
        out / "activations.png",
    )
    plots.curves(
        {name: [layer.std().item() for layer in layers] for name, layers in outputs.items()},
        out / "signal.png",
        title="Does the signal come through?",
        xlabel="layer",
        ylabel="standard deviation of its outputs",
        yscale="log",
    )
    plots.curves(
        {name: [100 * error for error in errors] for name, errors in curves.items()},
        out / "errors.png",
        title="784-256-256-10, a fifth of the labels random",
        xlabel="epoch",
        ylabel="validation error, %",
    )


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab04", __doc__, argv, epochs=30, full_epochs=60, tiny_epochs=2)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    batches = mnist.batches(
        batch_size=500, seed=args.seed, device=args.device, limit=args.limit, normalize="none"
    )
    parts = [[torch.cat(column) for column in zip(*split, strict=True)] for split in batches]
    inputs = standardize(*(images.flatten(1) for images, _ in parts), eps=0.1)
    splits = [(images, targets) for images, (_, targets) in zip(inputs, parts, strict=True)]
    (images, labels), val, test = splits
    size = 600 if args.tiny else 1800
    images, labels, val = images[:size], labels[:size], (val[0][:2000], val[1][:2000])
    print(f"data: {mnist.source}; {len(images):,} training images")
    findings = args.findings
    seeds = [3 * args.seed + number for number in range(2 if args.tiny else 3)]
    outputs = look_into_ten_layers(images[:1000], findings)
    rescue([(images, labels), val, test], min(args.epochs, 10), seeds, findings)
    curves = try_the_tricks([(images, spoil(labels, 0.2)), val, test], args.epochs, seeds, findings)
    if args.full:
        model = MLP((784, 512, 512, 10), batch_norm=True, p=0.3).to(args.device)
        train(model, *splits[0], val, epochs=20, lr=0.2, weight_decay=3e-4, batch_size=128)
        accuracy = 1 - error_of(model, *test)
        print(
            f"{f'784-512-512-10, {len(splits[0][0]):,} images, right labels':<43}{accuracy:>9.2%}"
        )
        findings.claim("all images: more than 98% right", accuracy, ">", 0.98, ".2%")
    if args.plot:
        draw(outputs, curves, args.out)
        print(f"figures: {args.out}")
    findings.report()


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** With ReLU, the signal fades under Xavier's weights. By which factor in each layer, and why?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# A ReLU sets half of the numbers to 0, which halves the mean square. With 500 inputs and 500
# outputs Xavier's variance is 1 / 500, so the product with the weights keeps the mean square.
# Together the size of the signal falls by the factor sqrt(1/2) in each layer, and to about 1/23
# after nine more layers. Kaiming's variance, 2 / 500, corrects exactly this half.
# </details>
#
# **2.** A network with batch normalization receives a single image in training mode. What is its
# output?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The mean of a batch of one image is the image itself, so every unit becomes 0, and the output is
# the same for all images. During training a batch must have several images. After it, model.eval()
# makes the network use the running values. Forgetting this call is a common mistake.
# </details>
#
# **3.** With a fifth of the labels wrong, the training accuracy goes on rising after the validation
# accuracy has begun to fall. What does the network learn in these epochs?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# It learns the wrong labels by heart, image by image. What the images of a class have in common
# lowers the loss of many images at once, so it is learned in the first epochs. A wrong label helps
# only its own image, so it comes later, and it changes what the network says of similar images.
# </details>
#
# ## What you have seen
# The size of the first weights decides whether ten layers learn at all. Batch normalization makes
# them learn even from weights that are far too small; where the start is good already, it brings
# nothing here, and alone it only learns the wrong labels faster. Against wrong labels, dropout and
# early stopping help far more than chance explains; weight decay alone helps hardly more than the
# spread. And a network with dropout must be told when the training is over.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab04` asks seven questions with four choices each, and explains the answers.
# BEGIN QUIZ
# Q: Inputs are standardized with a mean and a standard deviation. From which data?
# + From the training data, for all splits. | The network must see validation and test images as it
#     will see new images.
# - From each split by itself. | Then the same image would have another input in another split.
# - From all data together. | The test split would take part in training.
# - From each image by itself. | This is another method; it removes the brightness of an image,
#     which may matter.
# Q: Ten tanh layers of 500 units start with normal weights of standard deviation 0.01. What
#     happens?
# + The activations shrink from layer to layer to almost 0, and so do the gradients. | Each layer
#     multiplies the size by about 0.01 x sqrt(500) = 0.22.
# - All units saturate at -1 or 1. | This happens with a standard deviation of 1.
# - Nothing: a small start is the safe choice. | A network whose last layers see almost 0 hardly
#     learns.
# - The loss becomes NaN. | The numbers shrink; they do not overflow.
# Q: Why does Kaiming's initialization use twice Xavier's variance, if all layers have the same
#     width?
# + A ReLU sets half of its inputs to 0 and halves the mean square. | The factor 2 restores it in
#     each layer.
# - A ReLU has twice the slope of tanh at 0. | Both have slope 1 there (the ReLU on its positive
#     side).
# - Deeper networks need larger weights. | The variance depends on the width, not on the depth.
# - The bias needs its own variance. | Biases start at 0.
# Q: A network with batch normalization is evaluated in training mode by mistake. What is wrong with
#     its outputs?
# + They depend on the other images in the batch. | In training mode, mean and variance come from
#     the batch; after model.eval() from running values.
# - They are all 0. | This is so only for a batch of one image.
# - They are scaled by the learned weight twice. | Weight and bias act once in both modes.
# - Nothing: only dropout has two modes. | Batch normalization has two modes, too.
# Q: With inverted dropout of probability p, what is done to the units that are kept during
#     training?
# + They are divided by 1 - p. | So their expectation stays the same, and nothing has to be scaled
#     when the network is used.
# - They are multiplied by 1 - p. | The sum of the units would shrink twice.
# - They are divided by p. | For p = 0.1 this would make them ten times as large.
# - Nothing. | Then the outputs at test time would be larger than in training, by 1 / (1 - p).
# Q: Weight decay adds weight_decay / 2 x (sum of squared weights) to the loss. What does a step of
#     SGD do in addition?
# + It subtracts lr x weight_decay x weight from each weight. | This is the gradient of the extra
#     term.
# - It subtracts lr x weight_decay from each weight. | This is what the absolute value (L1) does, up
#     to the sign.
# - It multiplies the gradient by 1 - weight_decay. | The weights shrink, not the gradients.
# - It subtracts lr x weight_decay x weight squared. | The derivative of w squared / 2 is w.
# Q: Early stopping with patience 3 watches the validation error. Which network does it return?
# + The one of the epoch with the lowest validation error. | The three later epochs only showed that
#     no improvement came.
# - The one of the last epoch. | This network had three epochs more to overfit.
# - The one with the lowest test error. | The test split is never used to choose anything.
# - The one with the lowest training error. | The training error goes on falling while the network
#     overfits.
# END QUIZ
