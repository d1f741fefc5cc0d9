# %% [markdown]
"""Lab 04: tricks of the trade.

The network is correct and so is its gradient. Why does it still not learn, and what makes it learn
well?

You write the methods that turn a correct network into a good one: standardized inputs, weights of
the right size, batch normalization, dropout, weight decay and early stopping. The experiment first
looks at the outputs of ten layers before any training. Then it trains a multilayer perceptron
with and without these methods.

Lectures: A and K (initialization, batch normalization), J (dropout), T and K (early stopping).

    dlcourse check lab04              check your answers (takes seconds)
    dlcourse check lab04 --task 4.2   check one task
    dlcourse run lab04 --tiny         run the whole experiment on 2,000 images (takes seconds)
    dlcourse run lab04                run the whole experiment (a few minutes on a laptop)

A recorded run of the solution (`dlcourse run lab04`, real MNIST):

    data: MNIST from datasets/MNIST/raw; 54,000 training images

    ten layers of 500    std of the outputs of layer   saturated
                               1         5        10  |h| > 0.99
    tanh, std 0.01          0.14   0.00035   1.9e-07          0%
    tanh, std 1.0           0.97      0.98      0.98         90%
    tanh, Xavier            0.46      0.29      0.21          0%
    ReLU, Xavier            0.34     0.082     0.015           -
    ReLU, Kaiming           0.43      0.41      0.34           -

    784-512-512-10      best epoch    train      val     test
    bare                         7   99.97%   97.83%   97.96%
    batch norm                   6   99.97%   98.02%   98.04%
    dropout                      8   99.53%   97.83%   98.00%
    weight decay                 8   99.95%   97.80%   98.08%
    all three                    8   99.40%   97.88%   98.31%
    figures: results/lab04
"""

# %%
from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, plots

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
    from the mean. With eps, a pixel that almost never changes does not become very large.
    Shape: train (N, D), val (M, D), test (L, D) -> the same three shapes.

    >>> train = torch.tensor([[1.0, 5.0], [4.0, 5.0]])  # means 2.5 and 5, variances 2.25 and 0
    >>> standardize(train, torch.tensor([[2.5, 5.0]]), torch.tensor([[5.0, 6.0]]), eps=4.0)
    (tensor([[-0.6000,  0.0000],
            [ 0.6000,  0.0000]]), tensor([[0., 0.]]), tensor([[1.0000, 0.5000]]))
    """
    # Task 4.1 (1 point). Hint: use mean(dim=0) and var(dim=0, correction=0), both of train only.
    raise NotImplementedError("task 4.1: standardize")


# %% [markdown]
# ## 2. Weights of the right size
# A unit adds up fan_in products. If its weights are too small, the signal fades from layer to
# layer. If they are too large, every tanh saturates near -1 or 1. Between these there is a size
# that keeps the signal the same. fan_out matters too, because the gradient goes through the layer
# in the other direction.


# %%
def xavier(fan_in: int, fan_out: int) -> Tensor:
    """Draw the weights of a layer: normal distribution, mean 0, variance 2 / (fan_in + fan_out).

    Source: Glorot & Bengio 2010. Shape: -> (fan_out, fan_in), as in nn.Linear.

    >>> xavier(200, 600).shape, round(xavier(200, 600).std().item(), 2)
    (torch.Size([600, 200]), 0.05)
    """
    # Task 4.2 (2 points). Hint: torch.randn has variance 1; s * torch.randn has variance s * s.
    raise NotImplementedError("task 4.2: xavier")


# %%
def kaiming(fan_in: int, fan_out: int) -> Tensor:
    """Draw the weights of a layer before a ReLU: normal distribution, mean 0, variance 2 / fan_in.

    A ReLU sets half of its inputs to 0. Twice Xavier's variance (at equal widths) corrects this.
    Source: He et al. 2015, arXiv:1502.01852. Shape: -> (fan_out, fan_in).

    >>> kaiming(200, 600).shape, round(kaiming(200, 600).std().item(), 1)
    (torch.Size([600, 200]), 0.1)
    """
    # Task 4.2, continued. Hint: fan_out is needed only for the shape.
    raise NotImplementedError("task 4.2: kaiming")


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
    # Task 4.3 (2 points). Hint: the outputs of one layer are the inputs of the next.
    raise NotImplementedError("task 4.3: propagate")


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
        # Task 4.4 (3 points). Hint: mean(dim=0) and var(dim=0, correction=0). The running values
        # need the number, not its gradient graph: mean.detach().
        raise NotImplementedError("task 4.4: BatchNorm.forward")


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
    # Task 4.5 (2 points). Hint: torch.rand_like(inputs) >= p is True with probability 1 - p.
    raise NotImplementedError("task 4.5: dropout")


# %%
def sgd_step(weight: Tensor, gradient: Tensor, lr: float, weight_decay: float) -> Tensor:
    """Return the weight after one step of gradient descent with weight decay.

    The step minimizes loss + weight_decay / 2 * sum(weight ** 2).
    gradient: the gradient of `loss` alone, with the same shape as weight.

    >>> sgd_step(torch.tensor([2.0]), torch.tensor([0.5]), lr=0.1, weight_decay=1.0)
    tensor([1.7500])
    """
    # Task 4.6 (1 point). Hint: what is the gradient of weight_decay / 2 * weight ** 2?
    raise NotImplementedError("task 4.6: sgd_step")


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
        # Task 4.7 (2 points). Hint: an error equal to the best one is not an improvement.
        raise NotImplementedError("task 4.7: EarlyStopping.update")

    @property
    def stop(self) -> bool:
        """True if the last `patience` epochs brought no improvement."""
        # Task 4.7, continued. Hint: how many epochs ago was the best one?
        raise NotImplementedError("task 4.7: EarlyStopping.stop")


# %% [markdown]
# ## 5. The experiment
# First, ten layers of 500 units before any training: does the signal reach the last layer? Then a
# multilayer perceptron without any of the methods, with each of them, and with three together.


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
    patience: int = 3,
    batch_size: int = 128,
) -> list[float]:
    """Train with early stopping and keep the best weights; return the validation errors."""
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
    model.load_state_dict(best)
    return errors


def look_into_ten_layers(inputs: Tensor) -> dict[str, list[Tensor]]:
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
    return found


def try_the_tricks(splits: Sequence[tuple[Tensor, Tensor]], epochs: int) -> dict[str, list[float]]:
    """Train the network with each method, print accuracies; return the validation errors."""
    (inputs, targets), val, _ = splits
    tricks = {
        "bare": {},
        "batch norm": {"batch_norm": True},
        "dropout": {"p": 0.3},
        "weight decay": {"weight_decay": 3e-4},
        "all three": {"batch_norm": True, "p": 0.3, "weight_decay": 3e-4},
    }
    print(f"\n{'784-512-512-10':<18}{'best epoch':>12}{'train':>9}{'val':>9}{'test':>9}")
    curves = {}
    for name, settings in tricks.items():
        weight_decay = settings.pop("weight_decay", 0.0)
        model = MLP((784, 512, 512, 10), **settings).to(inputs.device)
        curves[name] = errors = train(model, inputs, targets, val, epochs, 0.2, weight_decay)
        best = errors.index(min(errors)) + 1
        accuracies = [1 - error_of(model, *split) for split in splits]
        print(f"{name:<18}{best:>12}" + "".join(f"{accuracy:>9.2%}" for accuracy in accuracies))
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
        title="784-512-512-10 on digits",
        xlabel="epoch",
        ylabel="validation error, %",
    )


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab04", __doc__, argv, epochs=8, full_epochs=60)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    batches = mnist.batches(
        batch_size=500, seed=args.seed, device=args.device, limit=args.limit, normalize="none"
    )
    parts = [[torch.cat(column) for column in zip(*split, strict=True)] for split in batches]
    inputs = standardize(*(images.flatten(1) for images, _ in parts), eps=0.1)
    splits = [(images, targets) for images, (_, targets) in zip(inputs, parts, strict=True)]
    print(f"data: {mnist.source}; {len(inputs[0]):,} training images")
    outputs = look_into_ten_layers(inputs[0][:1000])
    curves = try_the_tricks(splits, args.epochs)
    if args.plot:
        draw(outputs, curves, args.out)
        print(f"figures: {args.out}")


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# 1. With ReLU, the signal fades under Xavier's weights. By which factor in each layer, and why?
# 2. A network with batch normalization receives a single image in training mode. What is its
#    output?

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab04` asks seven questions with four choices each, and explains the answers.
