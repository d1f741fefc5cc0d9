# %% [markdown]
"""Lab 03: gradient descent and its variants.

Which optimizer is the fastest, how large can a step be, and what do the optimizers' names mean?

You write the common optimizers, each in a few lines, so that they give exactly the results of
torch.optim, and the schedules that lower the learning rate. You also compute the largest learning
rate that does not diverge. The experiment runs all optimizers in a ravine and on digits.

Lectures: A (best step, momentum, Nesterov, Adagrad), J (schedules), K (RMSprop, Adam, NAdam).

    dlcourse check lab03              check your answers (takes seconds)
    dlcourse check lab03 --task 3.2   check one task
    dlcourse run lab03 --tiny         run the whole experiment on 2,000 images (takes seconds)
    dlcourse run lab03                run the whole experiment (about a minute on a laptop)

A recorded run of the solution (`dlcourse run lab03`, real MNIST, 2 cores):

    data: MNIST from datasets/MNIST/raw; 10,800 training images
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

    optimizer         lr    train loss       val
    sgd              0.1        0.0714    96.00%
    momentum        0.02        0.0270    96.25%
    nesterov        0.02        0.0277    96.25%
    adagrad         0.02        0.0958    95.83%
    rmsprop        0.002        0.0573    95.00%
    adadelta         1.0        0.0337    96.00%
    adam           0.002        0.0442    95.33%
    nadam          0.002        0.0363    96.17%

    schedule of sgd from lr 0.3       train loss       val
    constant                              0.0235    96.58%
    a/(b+t)                               0.0545    95.92%
    linear to 0                           0.0317    96.08%
    halved on plateau                     0.0211    96.17%

    batch of 1,000 images       lr   steps    train loss       val
    1000                       0.1       8        1.2601    74.17%
    64                         0.1     128        0.1807    86.92%
    1                         0.01    8000        0.0075    90.67%
    figures: results/lab03
"""

# %%
from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, plots

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
    # Task 3.1 (1 point). Hint: torch.randperm takes a generator; tensors have a method `split`.
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
    # Task 3.2 (2 points). Hint: state.get("v", 0.0) is the v of the step before, or 0 in the first
    # step. Return the new v in a dictionary.
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
    # Task 3.3 (2 points). Hint: eps is outside the root.
    raise NotImplementedError("task 3.3: adagrad")


def rmsprop(
    w: Tensor, g: Tensor, state: State, lr: float, alpha: float = 0.99, eps: float = 1e-8
) -> tuple[Tensor, State]:
    """RMSprop (Tieleman & Hinton 2012): Adagrad that slowly forgets, so its steps can grow again.

        s <- alpha s + (1 - alpha) g^2          w <- w - lr g / (sqrt(s) + eps)

    >>> rmsprop(torch.tensor([1.0]), torch.tensor([3.0]), {}, lr=0.05)[0]
    tensor([0.5000])
    """
    # Task 3.3, continued. Hint: only s differs from Adagrad.
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
    # Task 3.4 (2 points). Hint: keep two numbers for each weight. d uses the new s and the old u.
    # torch.sqrt takes tensors, not the number 0.0: use state.get("u", torch.zeros_like(g)).
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
        w <- w - lr M / (sqrt(S) + eps)     with M = m / (1 - b1^t), S = s / (1 - b2^t)
    The divisors correct the effect of starting at 0.

    >>> adam(torch.tensor([1.0, 1.0]), torch.tensor([3.0, -0.01]), {}, lr=0.1)[0]
    tensor([0.9000, 1.1000])
    """
    # Task 3.5 (2 points). Hint: keep t in the state too. M and S use the new m and s.
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
    # Task 3.6 (2 points). Hint: keep the product P_t in the state; P_{t+1} = P_t mu_{t+1}.
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
    # Task 3.7 (2 points). Hint: at t = 0 the learning rate is a / b.
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
    # Task 3.7, continued. Hint: compare val_losses[-1] with all of val_losses[:-1].
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
    # Task 3.8 (2 points). Hint: torch.linalg.eigvalsh gives the eigenvalues in increasing order.
    # At the best lr, the factors of the smallest and of the largest eigenvalue differ only in sign.
    raise NotImplementedError("task 3.8: best_lr")


# %% [markdown]
# ## 5. The experiment
# First, a ravine whose walls are a hundred times as steep as its floor. Then digits: each optimizer
# on the same network, each schedule with SGD, and three batch sizes.


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


def run_ravine(path: str | None) -> None:
    """Print the loss of gradient descent near the largest lr, and the speed of each optimizer."""
    best, largest = best_lr(RAVINE)
    print(f"ravine: gradient descent is fastest at lr {best:.5f}, diverges above {largest:.5f}")
    for lr in (0.99 * largest, 1.01 * largest):
        print(f"  lr {lr:.5f}: loss {descend(sgd, lr, 1000)[1][-1]:.1e} after 1000 steps")

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
) -> tuple[list[float], float]:
    """Train a new 784-64-10; return the training loss of each epoch and the validation accuracy."""
    inputs, targets = split
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)).to(inputs.device)
    params = list(model.parameters())
    states: list[State] = [{} for _ in params]
    losses, val_losses, count = [], [], itertools.count()
    for _ in range(epochs):
        total = 0.0
        for batch in minibatches(len(inputs), batch_size, generator):
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


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab03", __doc__, argv, epochs=8, full_epochs=30)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    limit = args.limit or (None if args.full else 12_000)
    batches = mnist.batches(500, seed=args.seed, device=args.device, limit=limit)
    split, val = whole(batches[0]), whole(batches[1])
    print(f"data: {mnist.source}; {len(split[0]):,} training images")
    run_ravine(args.out / "ravine.png" if args.plot else None)

    print(f"\n{'optimizer':<12}{'lr':>8}{'train loss':>14}{'val':>10}")
    curves, settings = {}, {"epochs": args.epochs, "seed": args.seed}
    for name, (step, lr) in OPTIMIZERS.items():
        curves[name], accuracy = train(step, lr, split, val, **settings)
        print(f"{name:<12}{lr:>8}{curves[name][-1]:>14.4f}{accuracy:>10.2%}")

    steps = args.epochs * -(-len(split[0]) // 64)
    schedules: dict[str, tuple[Schedule, bool]] = {
        "constant": (lambda lr, t: lr, False),
        "a/(b+t)": (lambda lr, t: inverse(lr, t, steps / 5), False),
        "linear to 0": (lambda lr, t: linear(lr, t, steps), False),
        "halved on plateau": (lambda lr, t: lr, True),
    }
    print(f"\n{'schedule of sgd from lr 0.3':<30}{'train loss':>14}{'val':>10}")
    for name, (schedule, plateau) in schedules.items():
        losses, accuracy = train(
            sgd, 0.3, split, val, schedule=schedule, plateau=plateau, **settings
        )
        print(f"{name:<30}{losses[-1]:>14.4f}{accuracy:>10.2%}")

    few = (split[0][:1000], split[1][:1000])
    print(f"\n{'batch of 1,000 images':<24}{'lr':>6}{'steps':>8}{'train loss':>14}{'val':>10}")
    for batch_size, lr in ((1000, 0.1), (64, 0.1), (1, 0.01)):
        losses, accuracy = train(sgd, lr, few, val, batch_size=batch_size, **settings)
        count = args.epochs * -(-1000 // batch_size)
        print(f"{batch_size:<24}{lr:>6}{count:>8}{losses[-1]:>14.4f}{accuracy:>10.2%}")

    if args.plot:
        plots.curves(
            curves,
            args.out / "optimizers.png",
            xlabel="epoch",
            ylabel="training loss",
            yscale="log",
        )
        print(f"figures: {args.out}")


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# 1. Gradient descent zigzags across the ravine and moves slowly along it. Why does momentum help
#    with both?
# 2. The ravine is parallel to one of the axes. If it were rotated by 45 degrees, for which
#    optimizers would the result change, and for which not?

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab03` asks seven questions with four choices each, and explains the answers.
