# %% [markdown]
"""Lab 13: generalization and search.

A network can learn random labels by heart. Why does it generalize at all, what does its size have
to do with it, and how do we find good hyperparameters without trying them all?

You write random labels, the measure of capacity that belongs to them, and least squares on random
features, whose test error has a peak where the network just fits its labels. Then you write a rule
for early stopping, successive halving, and Hyperband.

Lecture sections: DNNs are overparameterized; Capacity; Regularization: Early Stopping; Model
selection: Hyperband.

    dlcourse check lab13              check your answers (takes seconds)
    dlcourse check lab13 --task 13.3  check one task
    dlcourse run lab13 --tiny         run the whole experiment on few images (takes seconds)
    dlcourse run lab13                run the whole experiment (a few minutes on a laptop)

A recorded run of the solution (`dlcourse run lab13`, real MNIST, 2 cores):

    data: MNIST from datasets/MNIST/raw; 1,000 training images

    1,000 labels,   epochs to       training     test
    random      99 %         accuracy  accuracy      gap
    0%          8 ± 0.6       100.00%     87.8% ± 0.4%   12.2%
    50%         28 ± 3.1       99.93%     57.3% ± 1.1%   42.6%
    100%        33 ± 1.5      100.00%     11.8% ± 0.9%   88.2%
    the lecture's bound on the gap, L p / sqrt(n), for L = 1 and p = 256: 8.1

    Rademacher capacity, at least
    images      linear model   network
    50                  1.00      1.00
    200                 0.97      1.00
    1000                0.59      1.00

    400 images, error by width (mean of 3 seeds)
    random labels               0%               20%    20%, stopped
    width         training    test  training    test        test
    20               45.9%   57.6%     50.2%   56.2%       56.5%
    40               27.3%   44.1%     36.1%   44.2%       43.6%
    100               5.9%   32.7%     18.3%   40.3%       33.0%
    200               0.3%   34.5%      4.5%   45.3%       28.7%
    300               0.0%   43.4%      0.7%   59.7%       26.6%
    400               0.0%   86.7%      0.0%   87.8%       25.8%
    500               0.0%   43.3%      0.0%   64.9%       25.2%
    600               0.0%   33.4%      0.0%   56.4%       24.9%
    800               0.0%   26.7%      0.0%   49.1%       24.6%
    1600              0.0%   19.7%      0.0%   37.9%       24.0%
    3200              0.0%   17.1%      0.0%   34.0%       23.1%

    Hyperband's brackets for R = 81, eta = 3: (candidates, epochs)
      s = 4  (81, 1)  (27, 3)  (9, 9)  (3, 27)  (1, 81)
      s = 3  (27, 3)  (9, 9)  (3, 27)  (1, 81)
      s = 2  (9, 9)  (3, 27)  (1, 81)
      s = 1  (6, 27)  (2, 81)
      s = 0  (5, 81)

    search, 3 seeds        epochs   validation loss     test accuracy
    Hyperband                    405     0.447 ± 0.005      84.8% ± 0.4%
    successive halving           324     0.457 ± 0.011      84.4% ± 0.4%
    random search                405     0.436 ± 0.006      85.3% ± 0.3%
    figures: results/lab13

Over 3 seeds (mean, standard deviation, how many seeds agree):

    random labels: training accuracy                            100.0% > 99.0%           3 of 3
    random labels: test accuracy                          11.8% (0.9%) < 20.0%           3 of 3
    epochs until 99 %: real labels, random ones                  8 (1) < 33 (2)          3 of 3
    bound on the gap from the lecture                              8.1 > 1.0             exact
    0% random: from the peak to training error 0                  1.33 < 2.00            3 of 3
    0% random, test error: widest, peak                   17.1% (0.7%) < 86.7% (1.2%)    3 of 3
    20% random: from the peak to training error 0                 1.00 < 2.00            3 of 3
    20% random, test error: widest, peak                  34.0% (4.6%) < 87.8% (1.0%)    3 of 3
    widest network: training error                                0.0% = 0.0%            exact
    the same stopped early, from the peak on              25.8% (0.8%) < 87.8% (1.0%)    3 of 3
    half of the labels random: changed, less 0.45               0.0005 < 0.03            exact
    given labels that were changed, too                              0 = 0               exact
    capacity of functions that fit any signs                         1 = 1               exact
    w with w1 + w2 = 4: smallest sum of squares                      8 = 8               exact
    losses fall slowly, patience 3: best of 9 epochs                 9 = 9               exact
    losses rise, patience 3: last epoch                              4 = 4               exact
    successive halving: the lowest loss                         0.1111 = 0.1111          exact
    epochs of all brackets for R = 81                             1701 = 1701            exact
    Hyperband: the lowest loss                                  0.1111 = 0.1111          exact
The figures in results/lab13:

    double_descent: Error by width: the test error has a peak where the network just fits its
      labels; label noise makes it wider, early stopping removes it.
    random_labels: A network learns random labels by heart, only later than real ones; on test
      images they are worth nothing.
"""

# %%
from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, plots
from dlcourse.findings import Findings

# %% [markdown]
# ## 1. Random labels
# Replace the labels of the training images by random ones. Then the images say nothing about the
# labels, and a network can only learn them by heart. If it succeeds, its capacity alone cannot be
# the reason why it generalizes on real labels.


# %%
def random_labels(
    labels: Tensor, share: float, num_classes: int, generator: torch.Generator
) -> Tensor:
    """Return a copy of `labels` in which a share of them is replaced by random classes.

    round(share * N) labels at random places are replaced; each class is equally likely, so a new
    label can be equal to the old one. Draw only with `generator`. `labels` stay as they are.
    Raise ValueError if `share` is not between 0 and 1.
    Shape: int64 (N,) -> int64 (N,).

    >>> random_labels(torch.tensor([7, 7, 7]), 0.0, 10, torch.Generator()).tolist()
    [7, 7, 7]
    """
    # Task 13.1 (2 points). Hint: the first numbers of torch.randperm(N, generator=generator) are
    # random places without repetition; torch.randint draws the new labels.
    # BEGIN SOLUTION
    if not 0 <= share <= 1:
        raise ValueError(f"share must be between 0 and 1, got {share}")
    count = round(share * len(labels))
    places = torch.randperm(len(labels), generator=generator)[:count]
    changed = labels.clone()
    changed[places] = torch.randint(num_classes, (count,), generator=generator)
    return changed
    # END SOLUTION


# %% [markdown]
# The Rademacher capacity measures the same thing in numbers. Draw signs s_1, ..., s_N, each -1 or 1
# with equal probability, and ask how well the best function h of a class H agrees with them:
#
#     R_N(H) = E_s [ max over h in H of  1/N sum_n s_n h(x_n) ]
#
# If H can produce any signs, R_N(H) is 1. If R_N(H) is small, the training error of each h in H is
# close to its test error. A network's H cannot be searched completely. Training on the signs, from
# several starts, finds good candidates, so we get a lower bound.


# %%
def rademacher(signs: Tensor, outputs: Tensor) -> float:
    """Return the mean over S draws of signs of the best correlation of R functions with them.

    signs: -1 or 1. outputs: what each function h gives for each x_n; outputs[s, r] is the r-th
        function that was trained on signs[s].
    Shape: signs (S, N), outputs (S, R, N) -> a Python number.

    >>> signs = torch.tensor([[1.0, -1.0], [1.0, 1.0]])
    >>> outputs = torch.tensor([[[1.0, -1.0], [1.0, 1.0]], [[0.5, 0.0], [-1.0, 1.0]]])
    >>> rademacher(signs, outputs)  # best: 1 for the first signs, 1/4 for the second
    0.625
    """
    # Task 13.2 (1 point). Hint: signs[:, None] has a place for the R functions. Take the mean over
    # N, then the maximum over R, then the mean over S.
    # BEGIN SOLUTION
    return (signs[:, None] * outputs).mean(dim=2).amax(dim=1).mean().item()
    # END SOLUTION


# %% [markdown]
# ## 2. Error against width
# A network with one hidden layer, whose first weights are random and stay so, has the features
# relu(W x). Only its last layer learns, by least squares, so training is exact and takes
# milliseconds. With fewer features than samples there is one best weight. With more, many weights
# have training error 0, and we take the smallest one.


# %%
def least_squares(features: Tensor, targets: Tensor) -> Tensor:
    """Return the weight w with the smallest squared error |features @ w - targets|^2.

    If several weights have the smallest error, return the one with the smallest sum of squares.
    Shape: (N, P), (N, K), both float64 -> (P, K), float64.

    >>> least_squares(torch.tensor([[1.0, 1.0]]).double(), torch.tensor([[4.0]]).double())
    tensor([[2.0000],
            [2.0000]], dtype=torch.float64)
    """
    # Task 13.3 (3 points). Hint: torch.linalg.pinv is the pseudo-inverse.
    # BEGIN SOLUTION
    return torch.linalg.pinv(features) @ targets
    # END SOLUTION


def errors_by_width(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], weight: Tensor, widths: Sequence[int]
) -> list[tuple[float, float]]:
    """Return (training error, test error) of the network for each width.

    A network of width p uses the first p rows of `weight`: its features are relu(x @ W.T), its last
    layer is `least_squares` on the one-hot training labels. An error is the share of samples whose
    largest output is not at their label.
    train, test: inputs float64 (N, D) and labels int64 (N,). The classes are 0 to the largest
    training label. Shape: weight (P, D) float64; each width is from 1 to P.
    """
    # Task 13.3, continued. Hint: F.one_hot(labels).double() are the targets. Use the same features
    # for the training and for the test inputs.
    # BEGIN SOLUTION
    targets = F.one_hot(train[1]).double()
    errors = []
    for width in widths:
        fitted = least_squares((train[0] @ weight[:width].T).relu(), targets)
        errors.append(
            tuple(error(inputs, labels, weight[:width], fitted) for inputs, labels in (train, test))
        )
    return errors
    # END SOLUTION


def error(inputs: Tensor, labels: Tensor, weight: Tensor, last: Tensor) -> float:
    """Return the share of wrong answers of the network with these two weights; it is complete."""
    return ((inputs @ weight.T).relu() @ last).argmax(1).ne(labels).double().mean().item()


# %% [markdown]
# ## 3. Early stopping
# Early stopping is a rule: go on until the validation loss has had no new lowest value for
# `patience` epochs, then take the weights of the best epoch.


# %%
def stop(val_losses: Sequence[float], patience: int) -> tuple[int, int]:
    """Return the best epoch, and the epoch after which training stops; the first epoch is 1.

    Training stops as soon as `patience` epochs in a row had no loss below the lowest one so far,
    else after the last epoch. The best epoch is the first one with the lowest loss among those that
    were trained. A loss that is NaN is never the lowest.
    val_losses: of all epochs that may be trained, at least one. Not all are NaN before the stop.

    >>> stop([3.0, 2.0, 2.5, 2.0, 1.0], patience=2)  # no new lowest in epochs 3 and 4
    (2, 4)
    """
    # Task 13.4 (2 points). Hint: keep the best loss and its epoch in two variables.
    # BEGIN SOLUTION
    lowest, best = math.inf, 0
    for epoch, loss in enumerate(val_losses, start=1):
        if loss < lowest:
            lowest, best = loss, epoch
        if epoch - best >= patience:
            break
    return best, epoch
    # END SOLUTION


# %% [markdown]
# ## 4. Search
# A learning rate, a width, a weight decay: which values are the best? Training each candidate to
# the end is expensive, and most candidates are hopeless after one epoch. Successive halving trains
# many candidates for a short time, keeps the best ones, and trains these for longer. Hyperband
# (Li et al. 2018) runs it several times, with different compromises between many candidates and
# long training.

# %%
# A candidate's hyperparameters by name, and what trains it: (candidate, epochs) -> validation loss.
Config = dict[str, Any]
Train = Callable[[Config, int], float]


def successive_halving(
    train: Train, configs: Sequence[Config], rungs: Sequence[tuple[int, int]]
) -> tuple[Config, float]:
    """Return the candidate with the lowest validation loss that was seen, and this loss.

    rungs: (n, r) for each rung: train n candidates for r epochs each. The first rung trains all of
        `configs`. Each later one trains the best of the rung before, from the beginning again.
    A loss that is NaN counts as infinite. Among equal losses the candidate that was trained first
    wins, also if all losses are infinite.

    >>> configs = [{"start": 3.0}, {"start": 2.0}]
    >>> successive_halving(lambda config, r: config["start"] / r, configs, [(2, 1), (1, 4)])
    ({'start': 2.0}, 0.5)
    """
    # Task 13.5 (3 points). Hint: sort the pairs (loss, place) of a rung; the first n of them go on
    # to the next rung.
    # BEGIN SOLUTION
    best: tuple[Config, float] = configs[0], math.inf
    for count, epochs in rungs:
        configs = configs[:count]
        losses = [train(config, epochs) for config in configs]
        losses = [math.inf if math.isnan(loss) else loss for loss in losses]
        order = sorted(range(len(configs)), key=lambda place: losses[place])
        configs = [configs[place] for place in order]
        if losses[order[0]] < best[1]:
            best = configs[0], losses[order[0]]
    return best
    # END SOLUTION


# %%
def brackets(R: int, eta: int = 3) -> list[list[tuple[int, int]]]:
    """Return the rungs (n, r) of each of Hyperband's brackets, from s = s_max down to 0.

    s_max is the largest s with eta^s <= R. Bracket s has the rungs i = 0, ..., s. It starts with
        n = floor((s_max + 1) / (s + 1)) eta^s
    candidates; rung i trains floor(n / eta^i) of them for floor(R / eta^(s - i)) epochs.
    Raise ValueError if R is below 1 or eta below 2.

    >>> brackets(9)
    [[(9, 1), (3, 3), (1, 9)], [(3, 3), (1, 9)], [(3, 9)]]
    """
    # Task 13.6 (2 points). Hint: compute with whole numbers. math.log(243, 3) is
    # 4.999999999999999, so find s_max by multiplying.
    # BEGIN SOLUTION
    if R < 1 or eta < 2:
        raise ValueError(f"expected R of at least 1 and eta of at least 2, got {R} and {eta}")
    s_max = 0
    while eta ** (s_max + 1) <= R:
        s_max += 1
    return [
        [((s_max + 1) // (s + 1) * eta**s // eta**i, R // eta ** (s - i)) for i in range(s + 1)]
        for s in range(s_max, -1, -1)
    ]
    # END SOLUTION


# %%
def hyperband(
    train: Train, draw: Callable[[], Config], R: int, eta: int = 3
) -> tuple[Config, float]:
    """Run every bracket of `brackets(R, eta)` once, each with new candidates from `draw`.

    Return the candidate with the lowest validation loss of all brackets, and this loss.

    >>> starts = iter([3.0, 2.0, 5.0, 1.0])
    >>> hyperband(lambda c, r: c["start"] / r, lambda: {"start": next(starts)}, R=2, eta=2)
    ({'start': 1.0}, 0.5)
    """
    # Task 13.7 (1 point). Hint: call `successive_halving` for each bracket; draw as many candidates
    # as its first rung has.
    # BEGIN SOLUTION
    found = []
    for rungs in brackets(R, eta):
        configs = [draw() for _ in range(rungs[0][0])]
        found.append(successive_halving(train, configs, rungs))
    return min(found, key=lambda pair: pair[1])
    # END SOLUTION


# %% [markdown]
# ## 5. The experiment
# Before you run it, write down your guess: does a network learn 1,000 random labels completely? At
# which width is the test error of 400 samples the largest? Which search wins at equal cost?
#
# *Your prediction:*


# %%
Split = tuple[Tensor, Tensor]
Seeds = Sequence[int]


def network(inputs: Tensor, width: int, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = nn.Linear(inputs.shape[1], width), nn.ReLU(), nn.Linear(width, 10)
    return nn.Sequential(*layers).to(inputs.device)


def epochs_of(
    model: nn.Module, train: Split, optimizer: torch.optim.Optimizer, epochs: int, seed: int
):
    """Train `model` on batches of 50, and yield after each epoch."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in torch.randperm(len(train[0]), generator=generator).split(50):
            batch = batch.to(train[0].device)
            loss = F.cross_entropy(model(train[0][batch]), train[1][batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield


@torch.no_grad()
def accuracy(model: nn.Module, split: Split) -> float:
    return (model(split[0]).argmax(1) == split[1]).double().mean().item()


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the standard deviation, which is 0 for a single value."""
    numbers = torch.tensor(values, dtype=torch.float64)
    return numbers.mean().item(), numbers.std().item() if len(values) > 1 else 0.0


def learn_by_heart(
    train: Split, test: Split, epochs: int, width: int, seeds: Seeds, findings: Findings
) -> dict[str, list[float]]:
    """Print how fast labels of which a share is random are learned; return the mean curves."""
    size = len(train[0])
    print(f"\n{size:,} labels,   epochs to {'':<6}training     test")
    print(f"{'random':<12}{'99 %':<13}accuracy  accuracy      gap")
    curves, ends = {}, {}
    for share in (0.0, 0.5, 1.0):
        runs: list[tuple[list[float], list[float]]] = []
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            labels = random_labels(train[1].cpu(), share, 10, generator).to(train[1].device)
            model = network(train[0], width, seed)
            optimizer = torch.optim.Adam(model.parameters(), 1e-3)
            fitted, tested = [], []
            for _ in epochs_of(model, (train[0], labels), optimizer, epochs, seed):
                fitted.append(accuracy(model, (train[0], labels)))
                tested.append(accuracy(model, test))
            runs.append((fitted, tested))
        needed = [next((e for e, a in enumerate(f, 1) if a >= 0.99), epochs) for f, _ in runs]
        fit, _ = mean_and_spread([f[-1] for f, _ in runs])
        right, spread = mean_and_spread([t[-1] for _, t in runs])
        slow, varied = mean_and_spread(needed)
        print(
            f"{share:<12.0%}{f'{slow:.0f} ± {varied:.1f}':<13}{fit:>8.2%}"
            f"{right:>10.1%} ± {spread:.1%}{fit - right:>8.1%}"
        )
        for name, which in (("training", 0), ("test", 1)):
            rows = torch.tensor([run[which] for run in runs])
            curves[f"{name}, {share:.0%} random"] = rows.mean(0).tolist()
        ends[share] = needed, [f[-1] for f, _ in runs], [t[-1] for _, t in runs]
    (real, *_), (random, fit, right) = ends[0.0], ends[1.0]
    claim = findings.claim
    claim("random labels: training accuracy", fit, ">", 0.99, ".1%", task="13.1")
    claim("random labels: test accuracy", right, "<", 0.2, ".1%", task="13.1")
    claim("epochs until 99 %: real labels, random ones", real, "<", random, ".0f", task="13.1")
    return curves


def fit_signs(inputs: Tensor, signs: Tensor, wide: bool, epochs: int, seed: int) -> Tensor:
    """Train a network, or a linear model, on `signs`; return its answers, -1 or 1. Shape: (N,)."""
    torch.manual_seed(seed)
    model = network(inputs, 256, seed) if wide else nn.Linear(inputs.shape[1], 10).to(inputs.device)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    labels = (signs > 0).long().to(inputs.device)
    for _ in epochs_of(model, (inputs, labels), optimizer, epochs, seed):
        pass
    with torch.no_grad():
        return (model(inputs).argmax(1) == 1).float().cpu() * 2 - 1


def measure_capacity(inputs: Tensor, sizes: Sequence[int], draws: int, epochs: int) -> None:
    """Print a lower bound of the Rademacher capacity of a linear model and of a network."""
    print("\nRademacher capacity, at least")
    print(f"{'images':<10}{'linear model':>14}{'network':>10}")
    for size in sizes:
        signs = (
            torch.randint(2, (draws, size), generator=torch.Generator().manual_seed(size)) * 2.0 - 1
        )
        found = []
        for wide in (False, True):
            outputs = [
                torch.stack(
                    [fit_signs(inputs[:size], one, wide, epochs, start) for start in range(2)]
                )
                for one in signs
            ]
            found.append(rademacher(signs, torch.stack(outputs)))
        print(f"{size:<10}{found[0]:>14.2f}{found[1]:>10.2f}")


def stopped_early(train: Split, val: Split, test: Split, weight: Tensor, steps: int) -> float:
    """Train the last layer by gradient descent, stop by the validation loss; return the error."""
    features, val_features = ((x @ weight.T).relu() for x, _ in (train, val))
    targets, val_targets = (F.one_hot(labels, 10).double() for _, labels in (train, val))
    lr = 1 / torch.linalg.matrix_norm(features, 2).square()
    last, losses, weights = torch.zeros(len(weight), 10).to(features), [], []
    for _ in range(steps):
        last = last - lr * features.T @ (features @ last - targets)
        weights.append(last)
        losses.append((val_features @ last - val_targets).square().mean().item())
        best, stopped = stop(losses, patience=20)
        if stopped < len(losses):
            break
    return error(*test, weight, weights[best - 1])


def descend_twice(
    splits: Sequence[Split],
    widths: Sequence[int],
    steps: int,
    seeds: Seeds,
    findings: Findings,
) -> dict[str, list[float]]:
    """Print the errors of random features by width; return the mean curves by name."""
    train, val, test = splits
    found: dict[str, list[list[float]]] = {}  # by name: for each seed, the error of each width
    for seed in seeds:
        for noise in (0.0, 0.2):
            generator = torch.Generator().manual_seed(seed)
            noisy = train[0], random_labels(train[1], noise, 10, generator)
            shape = max(widths), train[0].shape[1]
            weight = torch.randn(*shape, generator=generator, dtype=torch.float64) / shape[1] ** 0.5
            pairs = errors_by_width(noisy, test, weight, widths)
            for name, errors in zip(("training", "test"), zip(*pairs, strict=True), strict=True):
                found.setdefault(f"{name}, {noise:.0%} random", []).append(list(errors))
        early = [stopped_early(noisy, val, test, weight[:width], steps) for width in widths]
        found.setdefault("test, 20% random, stopped early", []).append(early)
    curves = {name: torch.tensor(rows).mean(0).tolist() for name, rows in found.items()}

    print(f"\n{len(train[0])} images, error by width (mean of {len(seeds)} seeds)")
    print(f"{'random labels':<16}{'0%':>14}{'20%':>18}{'20%, stopped':>16}")
    print(f"{'width':<10}{'training':>12}{'test':>8}{'training':>10}{'test':>8}{'test':>12}")
    for width, *cells in zip(widths, *curves.values(), strict=True):
        row = "".join(f"{c:>{w}.1%}" for c, w in zip(cells, (12, 8, 10, 8, 12), strict=True))
        print(f"{width:<10}{row}")

    claim = findings.claim
    for noise in ("0%", "20%"):
        peaks = [max(row) for row in found[f"test, {noise} random"]]
        apart = []
        for fitted, tested in zip(
            found[f"training, {noise} random"], found[f"test, {noise} random"], strict=True
        ):
            first = next(w for w, e in zip(widths, fitted, strict=True) if e == 0)
            peak = widths[tested.index(max(tested))]
            apart.append(max(peak / first, first / peak))
        claim(
            f"{noise} random: from the peak to training error 0", apart, "<", 2, ".2f", task="13.3"
        )
        last = [row[-1] for row in found[f"test, {noise} random"]]
        claim(f"{noise} random, test error: widest, peak", last, "<", peaks, ".1%", task="13.3")
    fitted = [row[-1] for row in found["training, 20% random"]]
    text = "widest network: training error"
    claim(text, fitted, "=", 0, ".1%", task="13.3", exact=True)
    early_rows = found["test, 20% random, stopped early"]
    stopped = [max(row[widths.index(len(train[0])) :]) for row in early_rows]
    claim("the same stopped early, from the peak on", stopped, "<", peaks, ".1%", task="13.4")
    return curves


class Search:
    """Trains candidates on a split, and counts the epochs."""

    def __init__(self, train: Split, val: Split, seed: int) -> None:
        self.train, self.val, self.seed, self.epochs = train, val, seed, 0
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self) -> Config:
        u = torch.rand(3, generator=self.generator).tolist()
        return {
            "lr": 10 ** (5 * u[0] - 4), "width": round(2 ** (3 + 6 * u[1])),
            "weight_decay": 10 ** (4 * u[2] - 6),
        }  # fmt: skip

    def model(self, config: Config, epochs: int) -> nn.Module:
        model = network(self.train[0], config["width"], self.seed)
        optimizer = torch.optim.SGD(
            model.parameters(), config["lr"], momentum=0.9, weight_decay=config["weight_decay"]
        )
        for _ in epochs_of(model, self.train, optimizer, epochs, self.seed):
            pass
        return model

    @torch.no_grad()
    def __call__(self, config: Config, epochs: int) -> float:
        with torch.enable_grad():
            model = self.model(config, epochs)
        self.epochs += epochs
        return F.cross_entropy(model(self.val[0]), self.val[1]).item()


def compare_searches(
    train: Split, val: Split, test: Split, R: int, seeds: Seeds, findings: Findings
) -> None:
    """Print the bracket table for R=81, and what three searches find at equal cost."""
    print("\nHyperband's brackets for R = 81, eta = 3: (candidates, epochs)")
    for s, rungs in zip(range(4, -1, -1), brackets(81), strict=True):
        print(f"  s = {s}  " + "  ".join(f"({n}, {r})" for n, r in rungs))

    cost = sum(n * r for rungs in brackets(R) for n, r in rungs)
    widest = brackets(R)[0]
    times = cost // sum(n * r for n, r in widest)
    methods: dict[str, Callable[[Search], tuple[Config, float]]] = {
        "Hyperband": lambda search: hyperband(search, search.draw, R),
        "successive halving": lambda search: min(
            (
                successive_halving(search, [search.draw() for _ in range(widest[0][0])], widest)
                for _ in range(times)
            ),
            key=lambda pair: pair[1],
        ),
        "random search": lambda search: successive_halving(
            search, [search.draw() for _ in range(cost // R)], [(cost // R, R)]
        ),
    }
    print(f"\nsearch, {len(seeds)} seeds{'epochs':>14}{'validation loss':>18}{'test accuracy':>18}")
    found = {}
    for name, method in methods.items():
        losses, tested = [], []
        for seed in seeds:
            search = Search(train, val, seed)
            config, loss = method(search)
            losses.append(loss)
            tested.append(accuracy(search.model(config, R), test))
        found[name] = losses
        (loss, a), (right, b) = mean_and_spread(losses), mean_and_spread(tested)
        print(
            f"{name:<20}{search.epochs:>12}{f'{loss:.3f} ± {a:.3f}':>18}"
            f"{f'{right:.1%} ± {b:.1%}':>18}"
        )


def whole(batches: data.Batches, limit: int) -> Split:
    """Return the first images of a split, flat, and their labels. Shape: (N, 784), int64 (N,)."""
    pairs = [(inputs.flatten(1), targets) for inputs, targets in batches]
    inputs, targets = zip(*pairs, strict=True)
    return torch.cat(inputs)[:limit], torch.cat(targets)[:limit]


def check_pieces(findings: Findings) -> None:
    """Compare what your functions compute with what is known without them."""
    claim = functools.partial(findings.claim, form=".4g", exact=True)
    labels = torch.zeros(10_000, dtype=torch.int64)
    changed = random_labels(labels, 0.5, 10, torch.Generator().manual_seed(0)).ne(0).float().mean()
    claim("half of the labels random: changed, less 0.45", abs(changed.item() - 0.45), "<", 0.03,
          task="13.1")  # fmt: skip
    claim("given labels that were changed, too", labels.count_nonzero().item(), "=", 0, task="13.1")
    signs = torch.tensor([[1.0, -1.0, 1.0, 1.0], [-1.0, -1.0, 1.0, -1.0]])
    able = torch.stack([signs, torch.zeros_like(signs)], dim=1)
    claim("capacity of functions that fit any signs", rademacher(signs, able), "=", 1, task="13.2")
    weight = least_squares(torch.tensor([[1.0, 1.0]]).double(), torch.tensor([[4.0]]).double())
    claim("w with w1 + w2 = 4: smallest sum of squares", round(weight.square().sum().item(), 4),
          "=", 8, task="13.3")  # fmt: skip
    for text, losses, place, expected in (
        (
            "losses fall slowly, patience 3: best of 9 epochs",
            [1 - i / 1e6 for i in range(9)],
            0,
            9,
        ),
        ("losses rise, patience 3: last epoch", [1.0 + i for i in range(9)], 1, 4),
    ):
        claim(text, stop(losses, 3)[place], "=", expected, task="13.4")
    rungs = [(9, 1), (3, 3), (1, 9)]
    configs = [{"loss": float(number)} for number in range(1, 10)]
    found = successive_halving(lambda config, r: config["loss"] / r, configs, rungs)[1]
    claim("successive halving: the lowest loss", found, "=", 1 / 9, task="13.5")
    cost = sum(n * r for rungs in brackets(81) for n, r in rungs)
    claim("epochs of all brackets for R = 81", cost, "=", 405 + 324 + 243 + 324 + 405, task="13.6")
    drawn = itertools.count(1)
    found = hyperband(lambda config, r: config["loss"] / r, lambda: {"loss": next(drawn)}, 9)[1]
    claim("Hyperband: the lowest loss", found, "=", 1 / 9, task="13.5 or 13.6 or 13.7")


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab13", __doc__, argv, epochs=60, full_epochs=200)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    loaders = mnist.batches(500, seed=args.seed, device=args.device, limit=12_000)
    size = 200 if args.tiny else 1000
    train, val, test = (
        whole(batches, limit) for batches, limit in zip(loaders, (size, 500, 2000), strict=True)
    )
    print(f"data: {mnist.source}; {size:,} training images")
    findings, seeds = args.findings, range(3 * args.seed, 3 * args.seed + (1 if args.tiny else 3))
    epochs = 15 if args.tiny else args.epochs
    curves = learn_by_heart(train, test, epochs, 256, seeds, findings)
    bound = 256 / math.sqrt(size)
    print(f"the lecture's bound on the gap, L p / sqrt(n), for L = 1 and p = 256: {bound:.1f}")
    findings.claim("bound on the gap from the lecture", bound, ">", 1, ".1f", exact=True)
    sizes, draws = ((10, 20, 50), 1) if args.tiny else ((50, 200, 1000), 4)
    measure_capacity(train[0], sizes, draws, epochs)

    few = 100 if args.tiny else 400
    # Least squares needs float64, which not every device has.
    exact = [(x.cpu().double(), y.cpu()) for x, y in ((train[0][:few], train[1][:few]), val, test)]
    widths = [round(few * ratio) for ratio in (0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 4, 8)]
    errors = descend_twice(exact, widths, 30 if args.tiny else 300, seeds, findings)

    check_pieces(findings)
    half = (train[0][: size // 2], train[1][: size // 2])
    compare_searches(half, val, test, 9 if args.tiny else 27, seeds, findings)

    if args.plot:
        path = args.out / "random_labels.png"
        plots.curves(curves, path, xlabel="epoch", ylabel="accuracy", percent=True)
        plots.curves(
            errors,
            args.out / "double_descent.png",
            x=widths,
            xscale="log",
            xlabel="width",
            ylabel="error",
            percent=True,
        )
        print(f"figures: {args.out}")
    findings.report()


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** The same network learns real labels and random ones without a mistake. What does this say
# about bounds on the gap that depend only on the network's size?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Such a bound is the same for both kinds of labels. For random labels the gap between training and
# test accuracy is 88 %, so the bound must allow that much, and it then says nothing about the real
# labels, where the gap is 12 %. What makes the difference must be in the data and in the training,
# not in the size of the network alone.
# </details>
#
# **2.** Why is the test error the largest just where the network begins to fit all labels, and why
# does it fall again when the network becomes wider?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# At this width there is exactly one weight that fits, and it must fit the noise too. The matrix of
# the features is close to singular, so this weight is very large. A wider network has many weights
# that fit, and least squares takes the smallest one, which is smoother. Early stopping also keeps
# the weight small, so it removes the peak.
# </details>
#
# **3.** Successive halving drops candidates that are bad after one epoch. Which good candidates
# does it lose, and what does Hyperband do about it? In the recorded run random search finds the
# best candidate at equal cost. Why could that be?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# It loses candidates that learn slowly but well, such as those with a small learning rate.
# Hyperband also runs brackets that start with fewer candidates and give each of them more epochs;
# its last bracket is a random search without any halving. Here 15 full runs are already enough for
# only three hyperparameters, and a loss after one or three epochs says little about the loss after
# 27. Halving pays off when good candidates are rare and full runs are expensive.
# </details>
#
# ## What you have seen
# A network that can learn any labels by heart still generalizes on real ones, so its size alone
# decides nothing. The test error has a peak where the network just fits its labels, and falls again
# beyond it; label noise makes the peak wider, early stopping removes it. Hyperband and successive
# halving spend their epochs on the promising candidates; whether this beats random search depends
# on the problem, and here it does not.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab13` asks seven questions with four choices each, and explains the answers.
# BEGIN QUIZ
# Q: A network learns 1,000 images with random labels until its training accuracy is 100 %. What is
#     its accuracy on test images, for 10 classes?
# + About 10 % | The labels say nothing about the images, so nothing carries over.
# - About 100 % | Learning by heart does not help on images that were not seen.
# - About 50 % | For 10 classes, guessing is right in 1 of 10 cases.
# - 0 % | Random answers are right in 1 of 10 cases.
# Q: The Rademacher capacity of a class of functions is 1 on N images. What does this tell about its
#     test error?
# + Nothing: the class can fit any signs, so a low training error is no evidence. | The bound on the
#     gap is then trivial.
# - Its test error is 1. | It may be small on real labels.
# - Its test error equals its training error. | This would follow from a capacity near 0.
# - It needs fewer images. | With more images the capacity may fall; it does not fall here.
# Q: The lecture's bound on the gap between test and training error is L p / sqrt(n) for L layers of
#     p units. L = 1, p = 256, n = 1,000 gives 8.1. What follows?
# + Nothing: a gap of error rates is never above 1. | A bound above 1 is true and useless.
# - The test error is 8.1 times the training error. | It bounds a difference, not a quotient.
# - The network needs 8.1 times as many images. | To bring the bound to 1, n must be 256 squared, 65
#     times as many.
# - The network does not generalize. | A bound from above says nothing about what really happens.
# Q: The test error of a network is drawn against its width, and training error 0 is reached first
#     at width w. Where is the peak of the double descent?
# + Near w | There the network can just fit its labels, with a very large weight.
# - At the largest width | There the error has fallen again.
# - At width 1 | There the error is large because the network fits nothing; this is the first
#     descent's start.
# - Where the test error equals the training error | Both are equal only for very small networks.
# Q: What does early stopping do to the peak of the double descent?
# + It removes it: a weight that is trained for a short time stays small. | The peak comes from very
#     large weights.
# - It moves it to larger widths. | More samples move it, and label noise makes it wider.
# - It doubles it. | Training to the end makes the peak.
# - Nothing. | In the experiment the error falls from width to width with it.
# Q: Hyperband with R = 81 and eta = 3 has a bracket that begins with 81 candidates. For how many
#     epochs does the last candidate of this bracket train in its last rung?
# + 81 | The rungs are 81 candidates for 1 epoch, 27 for 3, 9 for 9, 3 for 27, and 1 for 81.
# - 1 | This is the first rung.
# - 27 | This is the rung before the last one.
# - 405 | This is what the whole bracket costs.
# Q: What does Hyperband's bracket with s = 0 do?
# + It trains a few random candidates for all R epochs: random search. | It is the safeguard against
#     candidates that start slowly.
# - It trains all candidates for one epoch. | This is the first rung of the bracket with the largest
#     s.
# - It repeats the best bracket. | Brackets do not know each other.
# - It trains the best candidate of the other brackets again. | Each bracket draws its own
#     candidates.
# END QUIZ
