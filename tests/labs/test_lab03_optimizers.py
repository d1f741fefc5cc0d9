"""Tests of lab 03, with their points. `student` is the lab under test: a solution or a submission.

The oracles are torch.optim, which makes the same steps as the student's optimizer in float64,
gradient descent in this file, and hand arithmetic.
"""

import torch

from dlcourse.check import expect, points

MOMENTUM = {"mu": "momentum"}  # torch's name
OPTIMIZERS = ("torch.optim*", "_fused_*")


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def gradient_of(w):
    """Return the gradient of a bowl that is steeper in some directions and not quite quadratic."""
    return torch.linspace(0.1, 3.0, w.numel(), dtype=w.dtype).reshape(w.shape) * w + w.sin() / 2


PARTS = ("the new w", "the new state")


def torch_step(optimizer_class, **settings):
    """Return a step that torch's optimizer makes with these settings, whatever it is given."""

    def step(w, g, state, **_):
        if not state:
            parameter = torch.nn.Parameter(w.clone())
            state = {"parameter": parameter, "optimizer": optimizer_class([parameter], **settings)}
        state["parameter"].data = w.clone()
        state["parameter"].grad = g.clone()
        state["optimizer"].step()
        return state["parameter"].detach().clone(), state

    return step


def follow(step, optimizer_class, steps, names, shape=(3, 2), **settings):
    """Compare the student's optimizer with torch's for `steps` steps, each on its own gradients.

    names: torch's name for each of the `settings`, where it is another one.
    """
    __tracebackhide__ = True
    theirs = {names.get(name, name): value for name, value in settings.items()}
    wrong = {
        f"ignoring `{name}`": torch_step(
            optimizer_class, **{key: value for key, value in theirs.items() if key != their_name}
        )
        for name, their_name in ((name, names.get(name, name)) for name in settings)
        if their_name not in ("lr", "momentum", "nesterov")
    }
    if "betas" in settings:
        swapped = {**theirs, "betas": theirs["betas"][::-1]}
        wrong["swapping the betas"] = torch_step(optimizer_class, **swapped)
    wrong["leaving out lr"] = torch_step(optimizer_class, **{**theirs, "lr": 1.0})
    w, state, states = randn(*shape), {}, {name: {} for name in wrong}
    oracle, kept = torch_step(optimizer_class, **theirs), {}
    for _ in range(steps):
        gradient, others = gradient_of(w), {}
        for name, other in wrong.items():
            new, states[name] = other(w, gradient, states[name])
            others[name] = (new, ...)
        expected, kept = oracle(w, gradient, kept)
        returned = step(w, gradient, state, **settings)
        expect(returned, (expected, ...), PARTS, mistakes=others, rtol=0, atol=1e-6)
        w, state = expected, returned[1]
        is_dictionary(state)


def is_dictionary(state):
    __tracebackhide__ = True
    assert isinstance(state, dict), (
        f"the new state: expected a dictionary, got a {type(state).__name__}"
    )


def by_hand(step, gradients, expected, mistakes=None, **settings):
    """Check the weights after each step from w = 1; `mistakes` holds the weights of mistakes."""
    __tracebackhide__ = True
    w, state = torch.tensor([1.0]), {}
    for at, (gradient, value) in enumerate(zip(gradients, expected, strict=True)):
        returned = step(w, torch.tensor([gradient]), state, **settings)
        others = {
            name: (torch.tensor([values[at]]), ...)
            for name, values in (mistakes or {}).items()
            if at < len(values)
        }
        new = (torch.tensor([value]), ...)
        expect(returned, new, PARTS, mistakes=others, rtol=0, atol=2e-4)
        w, state = returned
        is_dictionary(state)


def check_batches(student, num_samples, batch_size, seed):
    """Check that the batches hold each number once; return all numbers in their order."""
    __tracebackhide__ = True
    generator = torch.Generator().manual_seed(seed)
    batches = student.minibatches(num_samples, batch_size, generator)
    assert isinstance(batches, list | tuple), (
        f"expected a list of batches, got a {type(batches).__name__}"
    )
    for batch in batches:
        one = isinstance(batch, torch.Tensor) and batch.dim() == 1
        expect(batch, ... if one else torch.zeros(batch_size, dtype=torch.int64), "a batch")
    sizes = [len(batch) for batch in batches]
    whole, rest = divmod(num_samples, batch_size)
    expect(
        sizes,
        [batch_size] * whole + [rest] * (rest > 0),
        "the sizes of the batches",
        mistakes={
            "leaving out the last, smaller batch": [batch_size] * whole,
            "taking batch_size for the number of batches": [
                len(part) for part in torch.arange(num_samples).chunk(batch_size)
            ],
        },
    )
    numbers = torch.cat(list(batches)).tolist()
    expect(sorted(numbers), list(range(num_samples)), "all numbers of all batches, sorted")
    return numbers


@points(0.5, task="3.1", hint="use each number once; the last batch holds the rest")
def test_minibatches_hold_each_number_once(student):
    check_batches(student, 10, 4, seed=0)
    check_batches(student, 6, 3, seed=0)
    first, again, other = (check_batches(student, 31, 7, seed) for seed in (5, 5, 6))
    assert first != sorted(first), "expected shuffled numbers, got 0, 1, 2, ..."
    assert first == again, "expected the same batches from generators with the same seed"
    assert first != other, "expected other batches from a generator with another seed"


@points(0.5, task="3.1", hint="shuffle only with the given generator", hidden=True)
def test_minibatches_are_shuffled_by_the_generator(student):
    first, again, other = (
        check_batches(student, *sizes) for sizes in [(50, 50, 1), (50, 50, 1), (50, 8, 2)]
    )
    assert first != sorted(first), "the numbers must be shuffled"
    assert first == again, "the same generator must give the same batches"
    assert first != other, "another generator must give other batches"
    check_batches(student, 6, 1, seed=0)
    check_batches(student, 3, 5, seed=0)


@points(0.5, task="3.2", hint="v <- mu v + g, without lr; then w <- w - lr v", forbidden=OPTIMIZERS)
def test_two_steps_of_momentum_by_hand(student):
    # v: 3, then 0.9 * 3 + 2 = 4.7
    mistakes = {
        "forgetting the v of the step before": [0.4, 0.0],
        "v <- mu v + (1 - mu) g": [0.94, 0.846],
        "v <- mu v + lr g": [0.88, 0.692],
        "using the old v": [1.0, 0.4],
        "adding the step instead of subtracting it": [1.6],
        "v <- mu (v + g)": [0.46],
    }
    by_hand(student.momentum, [3.0, 2.0], [0.4, -0.54], mistakes, lr=0.2)
    # mu 0.5; v: 3, then 1.5 + 2
    mistakes = {"ignoring `mu`": [0.4, -0.54]}
    by_hand(student.momentum, [3.0, 2.0], [0.4, -0.3], mistakes, lr=0.2, mu=0.5)
    follow(student.momentum, torch.optim.SGD, 4, MOMENTUM, lr=0.3, mu=0.6)


@points(0.5, task="3.2", hint="with nesterov, subtract lr (g + mu v), with the new v")
def test_two_steps_of_nesterov_by_hand(student):
    # v: 3, so 3 + 2.7; then 4.7, so 2 + 4.23
    mistakes = {"ignoring `nesterov`, or looking ahead with the old v": [0.7]}
    by_hand(student.momentum, [3.0, 2.0], [0.43, -0.193], mistakes, lr=0.1, nesterov=True)
    follow(student.momentum, torch.optim.SGD, 4, MOMENTUM, lr=0.3, mu=0.6, nesterov=True)


@points(0.5, task="3.2", hint="keep v from step to step: then momentum wins on a ravine")
def test_momentum_beats_gradient_descent_on_a_ravine(student):
    curvature = torch.tensor([1.0, 100.0], dtype=torch.float64)
    start = torch.tensor([-4.0, 1.0], dtype=torch.float64)
    plain, w, state = start, start, {}
    for _ in range(100):
        plain = plain - 2 / 101 * curvature * plain  # the best learning rate
        w, state = student.momentum(w, curvature * w, state, 0.01)
    losses = [(curvature * x.square()).sum().item() / 2 for x in (plain, w)]
    assert losses[1] < losses[0] / 4, (
        f"after 100 steps: the best gradient descent has loss {losses[0]:.2g}, momentum has "
        f"{losses[1]:.2g}; expected less than a quarter of the first"
    )


@points(0.5, task="3.2", hint="multiply the old v by mu; keep v for all steps", hidden=True)
def test_momentum_is_that_of_torch(student):
    for lr, mu, nesterov in [(0.1, 0.9, False), (0.05, 0.9, True), (0.2, 0.5, True)]:
        settings = {"lr": lr, "mu": mu, "nesterov": nesterov}
        follow(student.momentum, torch.optim.SGD, 12, MOMENTUM, **settings)


@points(0.25, task="3.3", hint="add g^2 to s; eps is outside the root", forbidden=OPTIMIZERS)
def test_two_steps_of_adagrad_by_hand(student):
    # eps 1: 0.1 * 3 / (3 + 1), then 0.1 * 4 / (5 + 1)
    mistakes = {
        "eps inside the root": [0.9051],
        "leaving out eps": [0.9],
        "forgetting the root": [0.97],
        "forgetting the square": [0.8902],
        "forgetting the s of the step before": [0.925, 0.845],
        "adding the step instead of subtracting it": [1.075],
        "leaving out lr": [0.25],
    }
    by_hand(student.adagrad, [3.0, 4.0], [0.925, 0.8583], mistakes, lr=0.1, eps=1.0)
    follow(student.adagrad, torch.optim.Adagrad, 4, {}, lr=0.3, eps=0.2)
    follow(student.adagrad, torch.optim.Adagrad, 3, {}, lr=0.3)


@points(0.25, task="3.3", hint="s <- alpha s + (1 - alpha) g^2")
def test_two_steps_of_rmsprop_by_hand(student):
    # alpha 0.75, eps 1; s: 2.25, so 0.1 * 3 / 2.5; then 1.6875 + 4 = 5.6875, so 0.1 * 4 / 3.3848
    mistakes = {
        "eps inside the root": [0.8336],
        "leaving out eps": [0.8],
        "swapping alpha and 1 - alpha": [0.9166],
        "s <- s + g^2 or s <- alpha s + g^2": [0.925],
        "forgetting the root": [0.9077],
        "forgetting the s of the step before": [0.88, 0.7467],
        "leaving out lr": [-0.2],
    }
    by_hand(student.rmsprop, [3.0, 4.0], [0.88, 0.7618], mistakes, lr=0.1, alpha=0.75, eps=1.0)
    follow(student.rmsprop, torch.optim.RMSprop, 4, {}, lr=0.03, alpha=0.7, eps=0.2)


@points(0.5, task="3.3", hint="keep s for all steps; use lr, alpha and eps", hidden=True)
def test_adagrad_and_rmsprop_are_those_of_torch(student):
    for lr, eps in [(0.1, 1e-10), (0.5, 0.1)]:
        follow(student.adagrad, torch.optim.Adagrad, 12, {}, lr=lr, eps=eps)
    for lr, alpha, eps in [(0.01, 0.99, 1e-8), (0.05, 0.9, 0.1)]:
        settings = {"lr": lr, "alpha": alpha, "eps": eps}
        follow(student.rmsprop, torch.optim.RMSprop, 12, {}, **settings)
    follow(student.rmsprop, torch.optim.RMSprop, 5, {}, lr=0.02)


@points(0.5, task="3.4", hint="d uses the new s and the old u; then update u", forbidden=OPTIMIZERS)
def test_two_steps_of_adadelta_by_hand(student):
    # rho 0.5, eps 0.5: s 4.5, d = 3 sqrt(0.5 / 5) = 0.9487, u 0.45;
    # then s 4.25, d = 2 sqrt(0.95 / 4.75) = 0.8944
    mistakes = {
        "dividing by the old s": [-2.0],
        "leaving out eps in the lower root": [0.0],
        "swapping the two roots": [-8.4868],
        "leaving out the upper root": [-0.3416],
        "updating u with g instead of d": [0.0513, -2.0007],
        "forgetting u": [0.0513, -0.5976],
        "adding the step instead of subtracting it": [1.9487],
    }
    by_hand(student.adadelta, [3.0, 2.0], [0.0513, -0.8431], mistakes, rho=0.5, eps=0.5)
    # lr 0.5: half of each step, and the same u
    mistakes = {
        "leaving out lr": [0.0513],
        "multiplying d by lr before you update u": [0.5257, 0.1666],
    }
    by_hand(student.adadelta, [3.0, 2.0], [0.5257, 0.0785], mistakes, lr=0.5, rho=0.5, eps=0.5)
    follow(student.adadelta, torch.optim.Adadelta, 4, {}, lr=0.4, rho=0.7, eps=0.02)
    follow(student.adadelta, torch.optim.Adadelta, 3, {}, lr=1.0)


@points(
    0.5,
    task="3.4",
    hint="lr multiplies d in the step, not in u; both roots contain eps",
    hidden=True,
)
def test_adadelta_is_that_of_torch(student):
    for lr, rho, eps in [(1.0, 0.9, 1e-6), (0.3, 0.6, 0.01)]:
        follow(student.adadelta, torch.optim.Adadelta, 12, {}, lr=lr, rho=rho, eps=eps)
    follow(student.adadelta, torch.optim.Adadelta, 5, {}, lr=1.0)


@points(
    1,
    task="3.5",
    hint="t starts at 1; keep m and s undivided, divide only in M and S",
    forbidden=OPTIMIZERS,
)
def test_two_steps_of_adam_by_hand(student):
    # betas 0.5, 0.5: M = 3, S = 9; then m = 1.75, M = 7/3, s = 4.25, S = 17/3
    mistakes = {
        "leaving out both corrections": [0.9293],
        "leaving out the correction of m": [0.95],
        "leaving out the correction of s": [0.8586],
        "a first step with t = 2": [0.9184],
        "keeping M and S instead of m and s": [0.9, 0.7868],
        "the corrections of the first step in all steps": [0.9, 0.7799],
        "adding the step instead of subtracting it": [1.1],
        "forgetting the state of the step before": [0.9, 0.8],
    }
    by_hand(student.adam, [3.0, 2.0], [0.9, 0.802], mistakes, lr=0.1, betas=(0.5, 0.5))
    # eps 1: 0.1 * 3 / (3 + 1)
    mistakes = {"eps inside the root": [0.9051], "leaving out eps": [0.9]}
    by_hand(student.adam, [3.0], [0.925], mistakes, lr=0.1, betas=(0.6, 0.9), eps=1.0)
    follow(student.adam, torch.optim.Adam, 4, {}, lr=0.2, betas=(0.6, 0.9), eps=0.2)
    follow(student.adam, torch.optim.Adam, 3, {}, lr=0.2)


@points(1, task="3.5", hint="use b1 for m and b2 for s; add eps after the root", hidden=True)
def test_adam_is_that_of_torch(student):
    for lr, betas, eps in [(0.1, (0.9, 0.999), 1e-8), (0.05, (0.7, 0.8), 0.1)]:
        follow(student.adam, torch.optim.Adam, 12, {}, lr=lr, betas=betas, eps=eps)
    follow(student.adam, torch.optim.Adam, 5, {}, shape=(4,), lr=0.1)


@points(0.5, task="3.6", hint="compute mu_t and P_t by hand for t = 1", forbidden=OPTIMIZERS)
def test_two_steps_of_nadam_by_hand(student):
    # t = 1, betas 0.5, 0.5: mu_1 = 0.5 (1 - 0.96^0.004 / 2) = 0.25004, mu_2 = 0.25008,
    # P_1 = mu_1, P_2 = 0.06253; m = 1.5, S = 9, M = 0.40015 + 3 = 3.40015
    # t = 2: mu_3 = 0.25012, P_3 = 0.01564; m = 1.75, S = 17/3, M = 0.44467 + 1.59987
    mistakes = {
        "Adam, without the look-ahead, or leaving out the part of m": [0.9],
        "leaving out the part of g": [0.9867],
        "b1 for every mu": [0.8667],
    }
    by_hand(student.nadam, [3.0, 2.0], [0.8867, 0.8008], mistakes, lr=0.1, betas=(0.5, 0.5))
    follow(student.nadam, torch.optim.NAdam, 4, {}, lr=0.2, betas=(0.6, 0.8), eps=0.2)
    follow(student.nadam, torch.optim.NAdam, 3, {}, lr=0.2)


@points(
    0.5, task="3.6", hint="mu changes with t: keep the product P_t, do not use b1^t", hidden=True
)
def test_nadam_is_that_of_torch(student):
    for lr, betas, eps in [(0.1, (0.9, 0.999), 1e-8), (0.05, (0.7, 0.8), 0.1)]:
        follow(student.nadam, torch.optim.NAdam, 12, {}, lr=lr, betas=betas, eps=eps)
    follow(student.nadam, torch.optim.NAdam, 5, {}, shape=(4,), lr=0.1)


def check_inverse(student, lr, t, b):
    __tracebackhide__ = True
    expect(
        student.inverse(lr, t=t, b=b),
        lr / (1 + t / b),
        mistakes={
            "taking lr for a": lr / (b + t),
            "a / t, without b": lr * b / max(t, 1e-9),
            "lr / (1 + t)": lr / (1 + t),
            "lr / (1 + b t)": lr / (1 + b * t),
        },
    )


def check_linear(student, lr, t, steps):
    __tracebackhide__ = True
    expect(
        student.linear(lr, t=t, steps=steps),
        lr - lr * t / steps,
        mistakes={
            "the part of the steps that is done": lr * t / steps,
            "whole numbers: `//` rounds down": lr * (1 - t // steps),
            "`(steps - t) // steps`": lr * ((steps - t) // steps),
            "a line that ends one step earlier": lr * (1 - t / (steps - 1)),
            "1 instead of lr at the start": 1 - t / steps,
        },
    )


def check_halve(student, lr, losses, factor):
    __tracebackhide__ = True
    last, before = losses[-1], losses[:-1]
    previous = lr if not before or last < before[-1] else lr / 2
    highest = lr if not before or last < max(before) else lr / 2
    equal = lr if last == min(losses) else lr / 2
    expect(
        student.halve(lr, losses),
        factor * lr,
        mistakes={
            "comparing with the loss before only": previous,
            "comparing with the highest loss": highest,
            "taking an equal loss for a lower one": equal,
            "halving also after the first epoch": lr / 2 if len(losses) == 1 else -1.0,
            "swapping the two cases": lr / 2 if factor == 1 else -1.0,
        },
    )


@points(1, task="3.7", hint="compute the examples of the docstrings by hand", forbidden=OPTIMIZERS)
def test_schedules_at_the_start_in_between_and_at_the_end(student):
    for lr, t, b in [(0.6, 0, 4.0), (0.3, 5, 20.0), (0.3, 60, 20.0)]:
        check_inverse(student, lr, t, b)
    for t in (0, 3, 9):
        check_linear(student, 0.6, t, 9)
    check_halve(student, 0.6, [5.0, 4.0, 3.0], 1)
    check_halve(student, 0.6, [3.0], 1)
    check_halve(student, 0.6, [2.0, 2.0], 0.5)
    check_halve(student, 0.6, [3.0, 1.0, 2.0], 0.5)
    check_halve(student, 0.6, [1.0, 3.0, 2.0], 0.5)
    check_halve(student, 0.6, [1.0, 3.0, 1.0], 0.5)


@points(
    1, task="3.7", hint="check t = 0 and t = steps; compare with all losses so far", hidden=True
)
def test_schedules_start_and_end_where_they_should(student):
    for lr, t, b in [(0.3, 0, 7.0), (1.0, 7, 7.0), (0.2, 100, 25.0)]:
        check_inverse(student, lr, t, b)
    for t in (0, 1, 8, 10):
        check_linear(student, 0.7, t, 10)
    cases = [([3.0], 1), ([3.0, 3.0], 0.5), ([1.0, 3.0, 2.0], 0.5), ([3.0, 2.0, 1.9], 1)]
    for losses, factor in cases:
        check_halve(student, 0.8, losses, factor)


RATES = ("the fastest lr", "the lr above which it diverges")


def check_best_lr(student, hessian, low, high):
    __tracebackhide__ = True
    diagonal = hessian.diagonal()
    mean = hessian.trace().item() / len(hessian)
    expect(
        student.best_lr(hessian),
        (2 / (low + high), 2 / high),
        RATES,
        mistakes={
            "swapping the two": (2 / high, 2 / (low + high)),
            "the diagonal instead of the eigenvalues": (
                2 / (diagonal.min() + diagonal.max()).item(), 2 / diagonal.max().item(),
            ),
            "1 / (low + high), half of the fastest lr": (1 / (low + high), ...),
            "1 / high as the fastest lr": (1 / high, 2 / high),
            "1 / high as the largest lr": (..., 1 / high),
            "the smallest eigenvalue instead of the largest": (..., 2 / low),
            "the sum of all eigenvalues": (2 / (mean * len(hessian)), 2 / high),
        },
    )  # fmt: skip


def after(hessian, lr, steps=400):
    """Return the distance to the minimum after gradient descent from (1, ..., 1)."""
    w = torch.ones(len(hessian), dtype=hessian.dtype)
    for _ in range(steps):
        w = w - lr * (hessian @ w)
    return w.norm().item()


@points(1, task="3.8", hint="solve 1 - lr low = -(1 - lr high) for lr")
def test_best_lr_by_hand(student):
    # The eigenvalues are 6 and 1, not the diagonal; then 7, 3 and 2, in another order.
    check_best_lr(student, torch.tensor([[5.0, 2.0], [2.0, 2.0]]), 1.0, 6.0)
    check_best_lr(student, torch.diag(torch.tensor([3.0, 7.0, 2.0])), 2.0, 7.0)


@points(1, task="3.8", hint="use the eigenvalues, not the diagonal", hidden=True)
def test_descent_diverges_just_above_the_largest_lr(student):
    for d, seed in [(2, 0), (5, 1)]:
        root = randn(d, d, seed=seed)
        hessian = root @ root.T + 0.5 * torch.eye(d, dtype=torch.float64)
        low, high = torch.linalg.eigvalsh(hessian)[[0, -1]].tolist()
        check_best_lr(student, hessian, low, high)
        largest = 2 / high
        assert after(hessian, 1.03 * largest) > 1e3 > 1 > after(hessian, 0.97 * largest)
