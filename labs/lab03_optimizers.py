# %% [markdown]
"""Lab 03: gradient descent and its variants.

Which optimizer is the fastest, how large can a step be, and what do the optimizers' names mean?

You write the common optimizers, each in a few lines, so that they give exactly the results of
torch.optim, and the schedules that lower the learning rate. You also compute the largest learning
rate that does not diverge. The experiment runs all optimizers in a ravine and on digits.

Lecture sections: Optimal learning rate and convergence speed; Stochastic gradient descent; Using
momentum; Nesterov accelerated gradient; Adagrad; RMSprop, Adam and NAdam; Setting the learning
rate.

    dlcourse check lab03              check your answers (takes seconds)
    dlcourse check lab03 --task 3.2   check one task
    dlcourse run lab03 --tiny         run the whole experiment on 1,800 images (takes seconds)
    dlcourse run lab03                run the whole experiment (a minute or two on a laptop)

A recorded run of the solution (`dlcourse run lab03`, real MNIST, on a processor):

    data: MNIST from datasets/MNIST/raw; 3,000 training images
    ravine: gradient descent is fastest at lr 0.01980, diverges above 0.02000
      lr 0.01980: loss 1.9e-16 after 1000 steps
      lr 0.02020: loss 9.6e+18 after 1000 steps

    optimizer      best lr of 12  steps to loss 0.01
    sgd                   0.0198                 220
    momentum            0.003906                  83
    nesterov            0.007812                  58
    adagrad                    2                   6
    rmsprop               0.0625                  27
    adadelta                   2            over 400
    adam                   0.125                  73
    nadam                   0.25                  38

    optimizer         lr    train loss    spread    rank with each seed
    sgd              0.1        0.1756    0.0025           8  8  8
    momentum        0.02        0.0919    0.0029           2  2  1
    nesterov        0.02        0.0902    0.0005           1  1  2
    adagrad         0.02        0.1323    0.0055           7  7  7
    rmsprop        0.002        0.1074    0.0067           5  5  4
    adadelta         1.0        0.0987    0.0041           3  3  3
    adam           0.002        0.1230    0.0020           6  6  6
    nadam          0.002        0.1069    0.0030           4  4  5
    4 of the 8 change their rank with the seed

    sgd, batch 8, from lr 0.2         train loss    spread       val
    constant                              0.4533    0.0457    86.30%
    a/(b+t)                               0.0280    0.0065    92.77%
    linear to 0                           0.0416    0.0079    91.93%
    halved on plateau                     0.1270    0.0920    90.20%
    linear, not shuffled                  0.4987    0.1125    40.45%

    batch of 1,000 images       lr   steps    train loss       val
    1000                       0.1       6        1.6098    67.75%
    64                         0.1      96        0.2521    87.85%
    1                         0.01    6000        0.0182    90.15%
    figures: results/lab03

Over 3 seeds (mean, standard deviation, how many seeds agree):

    loss with 0.99 times the largest lr                        1.9e-16 < 1.0e+00         exact
    loss with 1.01 times the largest lr                        9.6e+18 > 1.0e+00         exact
    steps of sgd down the ravine                                   220 = 220             exact
    steps of momentum down the ravine                               83 = 83              exact
    steps of nesterov down the ravine                               58 = 58              exact
    steps of adagrad down the ravine                                 6 = 6               exact
    steps of rmsprop down the ravine                                27 = 27              exact
    steps of adadelta down the ravine                              401 > 400             exact
    steps of adam down the ravine                                   73 = 73              exact
    steps of nadam down the ravine                                  38 = 38              exact
    a/(b+t) after b steps: part of lr                              0.5 = 0.5             exact
    linear in the middle: part of lr                               0.5 = 0.5             exact
    halved on plateau: part of lr                                  0.5 = 0.5             exact
    training loss: a/(b+t) against constant              0.028 (0.006) < 0.453 (0.046)   3 of 3
    training loss: linear to 0 against constant          0.042 (0.008) < 0.453 (0.046)   3 of 3
    training loss: halved on plateau against constant    0.127 (0.092) < 0.453 (0.046)   3 of 3
    validation accuracy without shuffling                 40.4% (2.9%) < 91.9% (0.8%)    3 of 3
    shuffled: images of 1,000 in their old place                     0 < 20              exact
    validation accuracy: batches of 64 against 1,000      87.9% (0.4%) > 67.7% (0.8%)    3 of 3
The figures in results/lab03:

    optimizers: Training loss on digits by optimizer. This is one seed; the order changes with the
      next.
    ravine: 150 steps down a ravine: gradient descent zigzags, momentum swings, Adam turns early.
"""

# %%
from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, plots
from dlcourse.findings import Findings

# What an optimizer keeps from step to step, under names that you choose. It is empty before the
# first step.
State = dict[str, object]
# One step: (weights w, gradient g, state, lr) -> (new weights, new state).
Step = Callable[[Tensor, Tensor, State, float], tuple[Tensor, State]]

# %% [markdown]
# ## 1. Batches
# The gradient over all samples is exact but expensive. The gradient over a few random samples is
# cheap, and right on average. With all samples at once the method is called batch gradient descent;
# with one sample at a time, stochastic gradient descent (SGD). With some samples at a time, as
# almost everybody does it, the groups of samples are called mini-batches.


# %%
def minibatches(num_samples: int, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """Shuffle the numbers 0 to num_samples - 1 with `generator`; return them in batches.

    Each number is in exactly one batch. The last batch can be smaller than `batch_size`.
    Shape: each batch int64 (batch_size,).

    >>> [len(batch) for batch in minibatches(10, 4, torch.Generator())]
    [4, 4, 2]
    """
    # Task 3.1 (1 point). For a hint: dlcourse hint 3.1
    raise NotImplementedError("task 3.1: minibatches")


# %% [markdown]
# ## 2. Steps
# An optimizer is a rule for one step. Here it is a function of the weights w, their gradient g, the
# state that it kept from the step before, and the learning rate lr. It returns the new weights and
# the new state, a dictionary. Products, quotients and roots are element-wise.


# %%
def sgd(w: Tensor, g: Tensor, state: State, lr: float) -> tuple[Tensor, State]:
    """Gradient descent: w <- w - lr g. This function is complete; it shows how a step looks.

    Shape, here and below: w and g of the same shape, which can be any -> the new w.

    >>> sgd(torch.tensor([1.0]), torch.tensor([3.0]), {}, lr=0.1)
    (tensor([0.7000]), {})
    """
    return w - lr * g, state


# %%
def momentum(
    w: Tensor, g: Tensor, state: State, lr: float, mu: float = 0.9, nesterov: bool = False
) -> tuple[Tensor, State]:
    """SGD with momentum (Polyak 1964). The state holds v, which is 0 before the first step.

        v <- mu v + g          w <- w - lr v
    With `nesterov`, look ahead in the direction of v: w <- w - lr (g + mu v), with the new v.

    >>> w, state = momentum(torch.tensor([1.0]), torch.tensor([3.0]), {}, lr=0.1)
    >>> w, state = momentum(w, torch.tensor([2.0]), state, lr=0.1)
    >>> w  # v was 3 and is now 0.9 * 3 + 2 = 4.7
    tensor([0.2300])
    """
    # Task 3.2 (2 points). For a hint: dlcourse hint 3.2
    raise NotImplementedError("task 3.2: momentum")


# %%
def adagrad(
    w: Tensor, g: Tensor, state: State, lr: float, eps: float = 1e-10
) -> tuple[Tensor, State]:
    """Adagrad (Duchi et al. 2011): the larger a weight's past gradients, the smaller its steps.

        s <- s + g^2          w <- w - lr g / (sqrt(s) + eps)          s starts at 0

    >>> adagrad(torch.tensor([1.0, 1.0]), torch.tensor([3.0, 0.01]), {}, lr=0.1)[0]
    tensor([0.9000, 0.9000])
    """
    # Task 3.3 (1 point). For a hint: dlcourse hint 3.3
    raise NotImplementedError("task 3.3: adagrad")


def rmsprop(
    w: Tensor, g: Tensor, state: State, lr: float, alpha: float = 0.99, eps: float = 1e-8
) -> tuple[Tensor, State]:
    """RMSprop (Tieleman & Hinton 2012): Adagrad that slowly forgets, so its steps can grow again.

        s <- alpha s + (1 - alpha) g^2          w <- w - lr g / (sqrt(s) + eps)

    >>> rmsprop(torch.tensor([1.0]), torch.tensor([3.0]), {}, lr=0.05)[0]
    tensor([0.5000])
    """
    # Task 3.3, continued.
    raise NotImplementedError("task 3.3: rmsprop")


# %%
def adadelta(
    w: Tensor, g: Tensor, state: State, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6
) -> tuple[Tensor, State]:
    """Adadelta (Zeiler 2012): the size of past steps sets the size of the next one, so lr can be 1.

    Compute in this order:
        s <- rho s + (1 - rho) g^2
        d  = g sqrt(u + eps) / sqrt(s + eps)
        u <- rho u + (1 - rho) d^2
        w <- w - lr d                                   s and u start at 0

    >>> adadelta(torch.tensor([1.0]), torch.tensor([3.0]), {})[0]
    tensor([0.9968])
    """
    # Task 3.4 (1 point). For a hint: dlcourse hint 3.4
    raise NotImplementedError("task 3.4: adadelta")


# %%
def adam(
    w: Tensor,
    g: Tensor,
    state: State,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Tensor, State]:
    """Adam (Kingma & Ba 2015): momentum and RMSprop together. Step t = 1, 2, ...; betas (b1, b2).

        m <- b1 m + (1 - b1) g          s <- b2 s + (1 - b2) g^2          both start at 0
        w <- w - lr M / (sqrt(S) + eps)
    Because m and s start at 0, they are too small at first. M and S correct this: divide m by a
    factor that depends only on b1 and t, such that M = g if all gradients so far were equal to g.
    In the same way S = g^2. Find the two factors; keep m and s themselves uncorrected.

    >>> adam(torch.tensor([1.0, 1.0]), torch.tensor([3.0, -0.01]), {}, lr=0.1)[0]
    tensor([0.9000, 1.1000])
    """
    # Task 3.5 (2 points). For a hint: dlcourse hint 3.5
    raise NotImplementedError("task 3.5: adam")


# %%
def nadam(
    w: Tensor,
    g: Tensor,
    state: State,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Tensor, State]:
    """NAdam (Dozat 2016): Adam with Nesterov's look-ahead, as in torch.

    m, s, t and S are the same as in Adam.
        mu_t = b1 (1 - 0.96^(0.004 t) / 2)          P_t = mu_1 mu_2 ... mu_t
        M = mu_{t+1} m / (1 - P_{t+1}) + (1 - mu_t) g / (1 - P_t)
        w <- w - lr M / (sqrt(S) + eps)

    >>> nadam(torch.tensor([1.0]), torch.tensor([3.0]), {}, lr=0.1)[0]
    tensor([0.8944])
    """
    # Task 3.6 (1 point). For a hint: dlcourse hint 3.6
    raise NotImplementedError("task 3.6: nadam")


# %% [markdown]
# ## 3. Schedules
# Far from the minimum, large steps save time. Near the minimum, small steps reduce the noise of the
# mini-batches.


# %%
def inverse(lr: float, t: int, b: float) -> float:
    """Return the learning rate a / (b + t) after t steps. Choose a so that it is `lr` at t = 0.

    >>> inverse(0.5, t=30, b=10.0)
    0.125
    """
    # Task 3.7 (2 points). For a hint: dlcourse hint 3.7
    raise NotImplementedError("task 3.7: inverse")


def linear(lr: float, t: int, steps: int) -> float:
    """Return the learning rate after t of `steps` steps, on a straight line from `lr` to 0.

    >>> linear(0.5, t=30, steps=40)
    0.125
    """
    # Task 3.7, continued.
    raise NotImplementedError("task 3.7: linear")


def halve(lr: float, val_losses: Sequence[float]) -> float:
    """Return the learning rate for the next epoch.

    Keep `lr` if the last loss is lower than all before; otherwise (also if equal) halve it.
    val_losses: the validation loss after each epoch so far, at least one. After the first epoch
        there is nothing to compare, so keep `lr`.

    >>> halve(0.5, [2.0, 1.0]), halve(0.5, [2.0, 1.0, 1.5])
    (0.5, 0.25)
    """
    # Task 3.7, continued.
    raise NotImplementedError("task 3.7: halve")


# %% [markdown]
# ## 4. How large a step?
# Near its minimum a loss looks like a bowl, w . H w / 2, with the Hessian H. A step of gradient
# descent multiplies the distance to the minimum, along each eigenvector of H, by the factor
# 1 - lr * eigenvalue. Gradient descent converges if all factors are between -1 and 1. It is fastest
# when the largest absolute value of the factors is as small as possible.


# %%
def best_lr(hessian: Tensor) -> tuple[float, float]:
    """Return the fastest learning rate, and the one above which gradient descent diverges.

    hessian: symmetric, all eigenvalues above 0. Shape: (D, D) -> two Python numbers.

    >>> best_lr(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
    (0.5, 0.6666666666666666)
    """
    # Task 3.8 (2 points). For a hint: dlcourse hint 3.8
    raise NotImplementedError("task 3.8: best_lr")


# %% [markdown]
# ## 5. The experiment
# First, a ravine whose walls are a hundred times as steep as its floor. Then digits: each optimizer
# on the same network, each schedule with SGD, and three batch sizes. Where a table says "3 seeds",
# the numbers are means over three trainings, and "spread" is their standard deviation.
#
# **Predict before you run it.** Down the ravine, gradient descent needs 220 steps. How many does
# momentum need? On the digits, which optimizer will end with the lowest training loss, and will it
# be the same one with another seed?
#
# *Your prediction:*


# %%
def nesterov(w: Tensor, g: Tensor, state: State, lr: float) -> tuple[Tensor, State]:
    return momentum(w, g, state, lr, nesterov=True)


# Each optimizer, and its learning rate for the digits.
OPTIMIZERS: dict[str, tuple[Step, float]] = {
    "sgd": (sgd, 0.1),
    "momentum": (momentum, 0.02),
    "nesterov": (nesterov, 0.02),
    "adagrad": (adagrad, 0.02),
    "rmsprop": (rmsprop, 0.002),
    "adadelta": (adadelta, 1.0),
    "adam": (adam, 0.002),
    "nadam": (nadam, 0.002),
}
RAVINE = torch.diag(torch.tensor([1.0, 100.0], dtype=torch.float64))
RAVINE_STEPS = 400
# The steps that each optimizer needs with its best learning rate, and the task that decides it.
EXPECTED_STEPS = {
    "sgd": (220, "3.8"),
    "momentum": (83, "3.2"),
    "nesterov": (58, "3.2"),
    "adagrad": (6, "3.3"),
    "rmsprop": (27, "3.3"),
    "adadelta": (RAVINE_STEPS, "3.4"),  # more than these
    "adam": (73, "3.5"),
    "nadam": (38, "3.6"),
}


def descend(step: Step, lr: float, steps: int) -> tuple[Tensor, Tensor]:
    """Return the path from (-3.3, 1.1) down the ravine and the loss at each point of it.

    Shape: (steps + 1, 2), (steps + 1,).
    """
    w, state = torch.tensor([-3.3, 1.1], dtype=torch.float64), {}
    way = [w.clone()]
    for _ in range(steps):
        w, state = step(w, RAVINE @ w, state, lr)
        way.append(w.clone())
    way = torch.stack(way)
    return way, (way @ RAVINE * way).sum(dim=1) / 2


def run_ravine(findings: Findings, path: Path | None) -> None:
    """Print the loss of gradient descent near the largest lr, and the speed of each optimizer."""
    best, largest = best_lr(RAVINE)
    print(f"ravine: gradient descent is fastest at lr {best:.5f}, diverges above {largest:.5f}")
    for factor, relation in ((0.99, "<"), (1.01, ">")):
        loss = descend(sgd, factor * largest, 1000)[1][-1].item()
        print(f"  lr {factor * largest:.5f}: loss {loss:.1e} after 1000 steps")
        text = f"loss with {factor:g} times the largest lr"
        findings.claim(text, loss, relation, 1.0, ".1e", task="3.8", exact=True)

    print(f"\n{'optimizer':<12}{'best lr of 12':>16}{'steps to loss 0.01':>20}")
    ways = {}
    for name, (step, _) in OPTIMIZERS.items():
        found = []
        for lr in [best] if step is sgd else [2.0**i for i in range(-10, 2)]:
            way, losses = descend(step, lr, RAVINE_STEPS)
            # The loss must stay below 0.01 from this step on.
            needed = len(losses) - (losses.flip(0) < 0.01).long().cumprod(0).sum().item()
            found.append((needed, losses[-1].item(), lr, way))
        needed, _, lr, ways[name] = min(found, key=lambda run: run[:2])
        steps = needed if needed <= RAVINE_STEPS else f"over {RAVINE_STEPS}"
        print(f"{name:<12}{lr:>16.4g}{steps:>20}")
        expected, task = EXPECTED_STEPS[name]
        text = f"steps of {name} down the ravine"
        relation = ">" if expected == RAVINE_STEPS else "="
        findings.claim(text, needed, relation, expected, "g", task=task, exact=True)
    if path is not None:
        shown = {name: ways[name][:150] for name in ("sgd", "momentum", "adagrad", "adam")}
        plots.trajectories(shown, path, title="150 steps down a ravine")


Split = tuple[Tensor, Tensor]
# The learning rate for a step: (lr of this epoch, steps so far) -> lr.
Schedule = Callable[[float, int], float]


def train(
    step: Step,
    lr: float,
    split: Split,
    val: Split,
    *,
    epochs: int,
    seed: int,
    batch_size: int = 64,
    schedule: Schedule = lambda lr, t: lr,
    plateau: bool = False,
    shuffle: bool = True,
) -> tuple[list[float], float]:
    """Train a new 784-64-10; return the training loss of each epoch and the validation accuracy.

    shuffle: whether the batches are random; otherwise all images of class 0 come first, and so on.
    """
    inputs, targets = split
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)).to(inputs.device)
    params = list(model.parameters())
    states: list[State] = [{} for _ in params]
    losses, val_losses, count = [], [], itertools.count()
    for _ in range(epochs):
        total = 0.0
        batches = minibatches(len(inputs), batch_size, generator)
        for batch in batches if shuffle else targets.argsort().split(batch_size):
            batch = batch.to(inputs.device)
            loss = F.cross_entropy(model(inputs[batch]), targets[batch])
            gradients = torch.autograd.grad(loss, params)
            now = schedule(lr, next(count))
            for i, (param, gradient) in enumerate(zip(params, gradients, strict=True)):
                param.data, states[i] = step(param.detach(), gradient, states[i], now)
            total += loss.item() * len(batch)
        losses.append(total / len(inputs))
        logits = model(val[0]).detach()
        val_losses.append(F.cross_entropy(logits, val[1]).item())
        lr = halve(lr, val_losses) if plateau else lr
    return losses, (logits.argmax(1) == val[1]).float().mean().item()


def whole(batches: data.Batches) -> Split:
    """Return all images of a split, flat, and their classes. Shape: (N, 784), int64 (N,)."""
    pairs = [(inputs.flatten(1), targets) for inputs, targets in batches]
    inputs, targets = zip(*pairs, strict=True)
    return torch.cat(inputs), torch.cat(targets)


def compare_optimizers(
    split: Split, val: Split, epochs: int, seeds: Sequence[int], findings: Findings
) -> dict[str, list[float]]:
    """Train with each optimizer and seed; return the training losses of the last seed."""
    curves, last = {}, {}
    for name, (step, lr) in OPTIMIZERS.items():
        runs = [train(step, lr, split, val, epochs=epochs, seed=seed) for seed in seeds]
        curves[name] = runs[-1][0]
        last[name] = [losses[-1] for losses, _ in runs]
    ranks = {name: [] for name in last}
    for number in range(len(seeds)):
        for rank, name in enumerate(sorted(last, key=lambda name: last[name][number]), start=1):
            ranks[name].append(rank)
    print(
        f"\n{'optimizer':<12}{'lr':>8}{'train loss':>14}{'spread':>10}{'rank with each seed':>23}"
    )
    for name, losses in last.items():
        mean, spread = statistics.mean(losses), statistics.stdev(losses)
        order = "  ".join(map(str, ranks[name]))
        print(f"{name:<12}{OPTIMIZERS[name][1]:>8}{mean:>14.4f}{spread:>10.4f}{order:>18}")
    moved = sum(len(set(places)) > 1 for places in ranks.values())
    print(f"{moved} of the {len(ranks)} change their rank with the seed")
    return curves


def compare_schedules(
    split: Split, val: Split, epochs: int, seeds: Sequence[int], findings: Findings
) -> None:
    """Train by SGD with small batches and a large lr, with each schedule; break the shuffling."""
    batch_size, lr = 8, 0.2
    steps = epochs * -(-len(split[0]) // batch_size)
    runs = {
        "constant": {},
        "a/(b+t)": {"schedule": lambda lr, t: inverse(lr, t, steps / 5)},
        "linear to 0": {"schedule": lambda lr, t: linear(lr, t, steps)},
        "halved on plateau": {"plateau": True},
        "linear, not shuffled": {"schedule": lambda lr, t: linear(lr, t, steps), "shuffle": False},
    }
    print(f"\n{'sgd, batch 8, from lr 0.2':<30}{'train loss':>14}{'spread':>10}{'val':>10}")
    found: dict[str, list[list[float]]] = {}  # for each schedule, the losses and the accuracies
    for name, settings in runs.items():
        settings |= {"epochs": epochs, "batch_size": batch_size}
        trained = [train(sgd, lr, split, val, seed=seed, **settings) for seed in seeds]
        losses, accuracies = [run[0][-1] for run in trained], [run[1] for run in trained]
        found[name] = [losses, accuracies]
        mean, spread = statistics.mean(losses), statistics.stdev(losses)
        accuracy = statistics.mean(accuracies)
        print(f"{name:<30}{mean:>14.4f}{spread:>10.4f}{accuracy:>10.2%}", flush=True)
    for name, part in (
        ("a/(b+t) after b steps", inverse(lr, 90, 90.0) / lr),
        ("linear in the middle", linear(lr, 45, 90) / lr),
        ("halved on plateau", halve(lr, [0.5, 0.4, 0.4]) / lr),
    ):
        findings.claim(f"{name}: part of lr", part, "=", 0.5, "g", task="3.7", exact=True)
    constant = found["constant"][0]
    for name in ("a/(b+t)", "linear to 0", "halved on plateau"):
        text = f"training loss: {name} against constant"
        findings.claim(text, found[name][0], "<", constant, ".3f", task="3.7")
    shuffled, sorted_by_class = found["linear to 0"][1], found["linear, not shuffled"][1]
    findings.claim("validation accuracy without shuffling", sorted_by_class, "<", shuffled, ".1%")


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab03", __doc__, argv, epochs=6, full_epochs=30)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    batches = mnist.batches(500, seed=args.seed, device=args.device, limit=args.limit or 20_000)
    split, val = whole(batches[0]), whole(batches[1])
    split = (split[0][:3000], split[1][:3000])
    print(f"data: {mnist.source}; {len(split[0]):,} training images")
    findings, seeds = args.findings, range(3 * args.seed, 3 * args.seed + 3)
    run_ravine(findings, args.out / "ravine.png" if args.plot else None)
    curves = compare_optimizers(split, val, args.epochs, seeds, findings)
    if args.tiny:
        split = (split[0][:400], split[1][:400])
    compare_schedules(split, val, args.epochs, seeds, findings)

    few = (split[0][:1000], split[1][:1000])
    print(f"\n{'batch of 1,000 images':<24}{'lr':>6}{'steps':>8}{'train loss':>14}{'val':>10}")
    found = {}
    for batch_size, lr in ((1000, 0.1), (64, 0.1), (1, 0.01)):
        runs = [
            train(sgd, lr, few, val, batch_size=batch_size, epochs=args.epochs, seed=seed)
            for seed in seeds
        ]
        found[batch_size] = [accuracy for _, accuracy in runs]
        count = args.epochs * -(-len(few[0]) // batch_size)
        loss = statistics.mean(losses[-1] for losses, _ in runs)
        accuracy = statistics.mean(found[batch_size])
        print(f"{batch_size:<24}{lr:>6}{count:>8}{loss:>14.4f}{accuracy:>10.2%}")
    batches = minibatches(1000, 64, torch.Generator().manual_seed(args.seed))
    everything = torch.cat(list(batches))
    stay = everything.eq(torch.arange(1000)).sum().item()
    findings.claim("shuffled: images of 1,000 in their old place", stay, "<", 20, "g",
                   task="3.1", exact=True)  # fmt: skip
    text = "validation accuracy: batches of 64 against 1,000"
    findings.claim(text, found[64], ">", found[1000], ".1%", task="3.1")

    if args.plot:
        plots.curves(
            curves,
            args.out / "optimizers.png",
            title="One seed: the order changes with the next",
            xlabel="epoch",
            ylabel="training loss",
            yscale="log",
        )
        print(f"figures: {args.out}")
    findings.report()


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** Gradient descent zigzags across the ravine and moves slowly along it. Why does momentum
# help with both?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Across the ravine, the gradient changes its sign at each step, so the terms of v cancel. Along the
# ravine, all gradients point in the same direction, and v grows to 1 / (1 - mu) = 10 times the
# gradient.
# </details>
#
# **2.** The ravine is parallel to one of the axes. If it were rotated by 45 degrees, for which
# optimizers would the result change, and for which not?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# It would not change for SGD and momentum. They only add and scale vectors, so their paths rotate
# with the ravine. Adagrad, RMSprop, Adadelta, Adam and NAdam scale each coordinate separately. If
# the ravine is parallel to an axis, this removes it. After the rotation, both coordinates have
# gradients of about the same size, and scaling helps little.
# </details>
#
# **3.** With a constant learning rate of 0.2 and batches of 8, the training loss stops falling far
# from 0. Why do the schedules get below it, although they start with the same learning rate?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The gradient of 8 images is noisy. Near the minimum this noise is larger than the gradient itself,
# so the weights jump around the minimum at a distance that grows with the learning rate. A large
# rate is good at the start, where the gradient is large. When the rate falls, so does the distance.
# </details>
#
# ## What you have seen
# The curvature decides how large a step can be: a percent above the limit, gradient descent
# diverges. In a ravine, momentum and most optimizers that scale each coordinate need far fewer
# steps. On the digits, which are no such ravine, the optimizers end so close to each other that
# another seed changes their order, so one training proves nothing about them. What does matter
# there: a learning rate that falls when the steps are noisy, and batches that are shuffled.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab03` asks seven questions with four choices each, and explains the answers.
