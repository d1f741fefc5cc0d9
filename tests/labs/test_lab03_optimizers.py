"""Tests of lab 03, with their points. `student` is the lab under test: a solution or a submission.

The oracles are torch.optim, which makes the same steps as the student's optimizer in float64,
gradient descent in this file, and hand arithmetic.
"""

from functools import partial

import torch

from dlcourse.check import points

OPTIMIZERS = ("torch.optim*", "_fused_*")


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def gradient_of(w):
    """Return the gradient of a bowl that is steeper in some directions and not quite quadratic."""
    return torch.linspace(0.1, 3.0, w.numel(), dtype=w.dtype).reshape(w.shape) * w + w.sin() / 2


def two_parts(returned):
    """Check that a step returned new weights and a new state, and return them."""
    __tracebackhide__ = True
    right = isinstance(returned, tuple) and len(returned) == 2
    assert right, f"expected (new w, new state), got {type(returned).__name__}"
    w, state = returned
    assert isinstance(w, torch.Tensor), f"the new w: expected a tensor, got {type(w).__name__}"
    assert isinstance(state, dict), f"the state: expected a dictionary, got {type(state).__name__}"
    return w, state


def follow(step, optimizer_class, steps, shape=(3, 2), **settings):
    """Compare the student's optimizer with torch's for `steps` steps, each on its own gradients."""
    __tracebackhide__ = True
    w, state = randn(*shape), {}
    oracle = torch.nn.Parameter(w.clone())
    optimizer = optimizer_class([oracle])
    for number in range(1, steps + 1):
        w, state = two_parts(step(w, gradient_of(w), state, **settings))
        oracle.grad = gradient_of(oracle.detach())
        optimizer.step()
        assert w.shape == oracle.shape, (
            f"step {number}: expected shape {tuple(oracle.shape)}, got {tuple(w.shape)}"
        )
        apart = (w - oracle.detach()).abs().max().item()
        assert apart <= 1e-6, f"step {number}: the weights differ from torch's by up to {apart:.2g}"


def by_hand(step, gradients, expected, **settings):
    """Check the weights after each step from w = 1."""
    __tracebackhide__ = True
    w, state = torch.tensor([1.0]), {}
    for number, (gradient, value) in enumerate(zip(gradients, expected, strict=True), start=1):
        w, state = two_parts(step(w, torch.tensor([gradient]), state, **settings))
        got = round(float(w), 4) + 0.0
        assert abs(got - value) <= 2e-4, f"step {number}: expected w = {value:.4f}, got {got:.4f}"


@points(0.5, task="3.1", hint="use each number once; the last batch holds the rest")
def test_minibatches_hold_each_number_once(student):
    batches = list(student.minibatches(10, 4, torch.Generator().manual_seed(0)))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    numbers = sorted(torch.cat(batches).tolist())
    assert numbers == list(range(10))
    first, again, other = (
        torch.cat(list(student.minibatches(30, 7, torch.Generator().manual_seed(seed)))).tolist()
        for seed in (5, 5, 6)
    )
    assert first != sorted(first), "expected shuffled numbers"
    assert first == again, "expected the same batches from generators with the same seed"
    assert first != other, "expected other batches from a generator with another seed"


@points(0.5, task="3.1", hint="shuffle only with the given generator", hidden=True)
def test_minibatches_are_shuffled_by_the_generator(student):
    def order(num_samples, batch_size, seed):
        batches = student.minibatches(num_samples, batch_size, torch.Generator().manual_seed(seed))
        assert max(len(batch) for batch in batches) == batch_size
        return torch.cat(list(batches)).tolist()

    first, again, other = order(50, 50, 1), order(50, 50, 1), order(50, 7, 2)
    assert first != sorted(first), "the numbers must be shuffled"
    assert first == again, "the same generator must give the same batches"
    assert first != other, "another generator must give other batches"
    assert sorted(first) == sorted(other) == list(range(50))
    assert len(order(6, 1, 0)) == 6


@points(0.5, task="3.2", hint="v <- mu v + g, without lr; then w <- w - lr v", forbidden=OPTIMIZERS)
def test_two_steps_of_momentum_by_hand(student):
    # v: 3, then 0.9 * 3 + 2 = 4.7
    by_hand(student.momentum, [3.0, 2.0], [0.7, 0.23], lr=0.1)
    follow(student.momentum, partial(torch.optim.SGD, lr=0.3, momentum=0.6), 4, lr=0.3, mu=0.6)


@points(0.5, task="3.2", hint="with nesterov, subtract lr (g + mu v), with the new v")
def test_two_steps_of_nesterov_by_hand(student):
    # v: 3, so 3 + 2.7; then 4.7, so 2 + 4.23
    by_hand(student.momentum, [3.0, 2.0], [0.43, -0.193], lr=0.1, nesterov=True)
    oracle = partial(torch.optim.SGD, lr=0.3, momentum=0.6, nesterov=True)
    follow(student.momentum, oracle, 4, lr=0.3, mu=0.6, nesterov=True)


@points(0.5, task="3.2", hint="keep v from step to step: then momentum wins on a ravine")
def test_momentum_beats_gradient_descent_on_a_ravine(student):
    curvature = torch.tensor([1.0, 100.0], dtype=torch.float64)
    start = torch.tensor([-4.0, 1.0], dtype=torch.float64)
    plain, w, state = start, start, {}
    for _ in range(200):
        plain = plain - 2 / 101 * curvature * plain  # the best learning rate
        w, state = two_parts(student.momentum(w, curvature * w, state, 0.01))
    losses = [(curvature * x.square()).sum().item() / 2 for x in (plain, w)]
    assert losses[1] < losses[0] / 10, (
        f"after 200 steps: the best gradient descent has loss {losses[0]:.2g}, momentum has "
        f"{losses[1]:.2g}; expected less than a tenth of the first"
    )


@points(0.5, task="3.2", hint="multiply the old v by mu; keep v for all 50 steps", hidden=True)
def test_momentum_is_that_of_torch(student):
    for lr, mu, nesterov in [(0.1, 0.9, False), (0.05, 0.9, True), (0.2, 0.5, True)]:
        follow(
            student.momentum,
            partial(torch.optim.SGD, lr=lr, momentum=mu, nesterov=nesterov),
            50,
            lr=lr,
            mu=mu,
            nesterov=nesterov,
        )


@points(0.5, task="3.3", hint="add g^2 to s; eps is outside the root", forbidden=OPTIMIZERS)
def test_two_steps_of_adagrad_by_hand(student):
    # 0.1 * 3 / 3, then 0.1 * 4 / 5
    by_hand(student.adagrad, [3.0, 4.0], [0.9, 0.82], lr=0.1)
    follow(student.adagrad, partial(torch.optim.Adagrad, lr=0.3, eps=0.2), 4, lr=0.3, eps=0.2)
    follow(student.adagrad, partial(torch.optim.Adagrad, lr=0.3), 3, lr=0.3)


@points(0.5, task="3.3", hint="s <- alpha s + (1 - alpha) g^2")
def test_two_steps_of_rmsprop_by_hand(student):
    # s: 0.09, so 0.01 * 3 / 0.3; then 0.0891 + 0.16 = 0.2491, so 0.01 * 4 / 0.4991
    by_hand(student.rmsprop, [3.0, 4.0], [0.9, 0.8199], lr=0.01)
    settings = {"lr": 0.03, "alpha": 0.7, "eps": 0.2}
    follow(student.rmsprop, partial(torch.optim.RMSprop, **settings), 4, **settings)


@points(1, task="3.3", hint="keep s for all 50 steps; use lr, alpha and eps", hidden=True)
def test_adagrad_and_rmsprop_are_those_of_torch(student):
    for lr, eps in [(0.1, 1e-10), (0.5, 0.1)]:
        follow(
            student.adagrad,
            partial(torch.optim.Adagrad, lr=lr, eps=eps),
            50,
            lr=lr,
            eps=eps,
        )
    follow(student.adagrad, partial(torch.optim.Adagrad, lr=0.2), 5, lr=0.2)
    for lr, alpha, eps in [(0.01, 0.99, 1e-8), (0.05, 0.9, 0.1)]:
        follow(
            student.rmsprop,
            partial(torch.optim.RMSprop, lr=lr, alpha=alpha, eps=eps),
            50,
            lr=lr,
            alpha=alpha,
            eps=eps,
        )
    follow(student.rmsprop, partial(torch.optim.RMSprop, lr=0.02), 5, lr=0.02)


@points(1, task="3.4", hint="d uses the new s and the old u; then update u", forbidden=OPTIMIZERS)
def test_two_steps_of_adadelta_by_hand(student):
    # rho 0.5, eps 0.5: s 4.5, d = 3 sqrt(0.5 / 5) = 0.9487, u 0.45;
    # then s 4.25, d = 2 sqrt(0.95 / 4.75) = 0.8944
    by_hand(student.adadelta, [3.0, 2.0], [0.0513, -0.8431], rho=0.5, eps=0.5)
    settings = {"lr": 0.4, "rho": 0.7, "eps": 0.02}
    follow(student.adadelta, partial(torch.optim.Adadelta, **settings), 4, **settings)
    follow(student.adadelta, partial(torch.optim.Adadelta, lr=1.0), 3)


@points(
    1, task="3.4", hint="lr multiplies d in the step, not in u; both roots contain eps", hidden=True
)
def test_adadelta_is_that_of_torch(student):
    for lr, rho, eps in [(1.0, 0.9, 1e-6), (0.3, 0.6, 0.01)]:
        follow(
            student.adadelta,
            partial(torch.optim.Adadelta, lr=lr, rho=rho, eps=eps),
            50,
            lr=lr,
            rho=rho,
            eps=eps,
        )
    follow(student.adadelta, partial(torch.optim.Adadelta, lr=1.0), 5)


@points(
    1,
    task="3.5",
    hint="t starts at 1; keep m and s undivided, divide only in M and S",
    forbidden=OPTIMIZERS,
)
def test_two_steps_of_adam_by_hand(student):
    # betas 0.5, 0.5: M = 3, S = 9; then m = 1.75, M = 7/3, s = 4.25, S = 17/3
    by_hand(student.adam, [3.0, 2.0], [0.9, 0.802], lr=0.1, betas=(0.5, 0.5))
    settings = {"lr": 0.2, "betas": (0.6, 0.9), "eps": 0.2}
    follow(student.adam, partial(torch.optim.Adam, **settings), 4, **settings)
    follow(student.adam, partial(torch.optim.Adam, lr=0.2), 3, lr=0.2)


@points(1, task="3.5", hint="use b1 for m and b2 for s; add eps after the root", hidden=True)
def test_adam_is_that_of_torch(student):
    for lr, betas, eps in [(0.1, (0.9, 0.999), 1e-8), (0.05, (0.7, 0.8), 0.1)]:
        follow(
            student.adam,
            partial(torch.optim.Adam, lr=lr, betas=betas, eps=eps),
            50,
            lr=lr,
            betas=betas,
            eps=eps,
        )
    follow(student.adam, partial(torch.optim.Adam, lr=0.1), 5, shape=(4,), lr=0.1)


@points(1, task="3.6", hint="compute mu_t and P_t by hand for t = 1", forbidden=OPTIMIZERS)
def test_two_steps_of_nadam_by_hand(student):
    # t = 1, betas 0.5, 0.5: mu_1 = 0.5 (1 - 0.96^0.004 / 2) = 0.25004, mu_2 = 0.25008,
    # P_1 = mu_1, P_2 = 0.06253; m = 1.5, S = 9, M = 0.40015 + 3 = 3.40015
    # t = 2: mu_3 = 0.25012, P_3 = 0.01564; m = 1.75, S = 17/3, M = 0.44467 + 1.59987
    by_hand(student.nadam, [3.0, 2.0], [0.8867, 0.8008], lr=0.1, betas=(0.5, 0.5))
    settings = {"lr": 0.2, "betas": (0.6, 0.9), "eps": 0.2}
    follow(student.nadam, partial(torch.optim.NAdam, **settings), 4, **settings)
    follow(student.nadam, partial(torch.optim.NAdam, lr=0.2), 3, lr=0.2)


@points(1, task="3.6", hint="mu changes with t: keep the product P_t, do not use b1^t", hidden=True)
def test_nadam_is_that_of_torch(student):
    for lr, betas, eps in [(0.1, (0.9, 0.999), 1e-8), (0.05, (0.7, 0.8), 0.1)]:
        follow(
            student.nadam,
            partial(torch.optim.NAdam, lr=lr, betas=betas, eps=eps),
            50,
            lr=lr,
            betas=betas,
            eps=eps,
        )
    follow(student.nadam, partial(torch.optim.NAdam, lr=0.1), 5, shape=(4,), lr=0.1)


def close(what, got, expected):
    __tracebackhide__ = True
    assert isinstance(got, float | int), f"{what}: expected a number, got {type(got).__name__}"
    assert abs(got - expected) <= 1e-6 * max(1, abs(expected)), (
        f"{what}: expected {expected:.6g}, got {got:.6g}"
    )


@points(1, task="3.7", hint="compute the examples of the docstrings by hand")
def test_schedules_of_the_examples(student):
    close("inverse(0.5, t=30, b=10.0)", student.inverse(0.5, t=30, b=10.0), 0.125)
    close("linear(0.5, t=30, steps=40)", student.linear(0.5, t=30, steps=40), 0.125)
    close("halve(0.5, [2.0, 1.0])", student.halve(0.5, [2.0, 1.0]), 0.5)
    close("halve(0.5, [2.0, 1.0, 1.5])", student.halve(0.5, [2.0, 1.0, 1.5]), 0.25)
    close("inverse(0.6, t=0, b=4.0)", student.inverse(0.6, t=0, b=4.0), 0.6)
    close("linear(0.6, t=0, steps=9)", student.linear(0.6, t=0, steps=9), 0.6)
    close("linear(0.6, t=9, steps=9)", student.linear(0.6, t=9, steps=9), 0.0)
    for losses, expected in [([3.0], 0.6), ([2.0, 2.0], 0.3), ([1.0, 3.0, 2.0], 0.3)]:
        close(f"halve(0.6, {losses})", student.halve(0.6, losses), expected)


@points(
    1, task="3.7", hint="check t = 0 and t = steps; compare with all losses so far", hidden=True
)
def test_schedules_start_and_end_where_they_should(student):
    for lr, t, b in [(0.3, 0, 7.0), (1.0, 7, 7.0), (0.2, 100, 25.0)]:
        close(f"inverse({lr}, {t}, {b})", student.inverse(lr, t, b), lr / (1 + t / b))
    for t in (0, 1, 8, 10):
        close(f"linear(0.7, {t}, 10)", student.linear(0.7, t, 10), 0.7 - 0.07 * t)
    cases = [([3.0], 1), ([3.0, 3.0], 0.5), ([1.0, 3.0, 2.0], 0.5), ([3.0, 2.0, 1.9], 1)]
    for losses, factor in cases:
        close(f"halve(0.8, {losses})", student.halve(0.8, losses), 0.8 * factor)


def after(hessian, lr, steps=400):
    """Return the distance to the minimum after gradient descent from (1, ..., 1)."""
    w = torch.ones(len(hessian), dtype=hessian.dtype)
    for _ in range(steps):
        w = w - lr * (hessian @ w)
    return w.norm().item()


@points(1, task="3.8", hint="solve 1 - lr low = -(1 - lr high) for lr")
def test_best_lr_of_the_example(student):
    best, largest = student.best_lr(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
    close("the fastest lr", best, 0.5)
    close("the lr above which it diverges", largest, 2 / 3)
    # The eigenvalues are 6 and 1, not the diagonal.
    best, largest = student.best_lr(torch.tensor([[5.0, 2.0], [2.0, 2.0]]))
    close("with [[5, 2], [2, 2]], the fastest lr", best, 2 / 7)
    close("with [[5, 2], [2, 2]], the lr above which it diverges", largest, 1 / 3)


@points(1, task="3.8", hint="use the eigenvalues, not the diagonal", hidden=True)
def test_descent_diverges_just_above_the_largest_lr(student):
    for d, seed in [(2, 0), (5, 1)]:
        root = randn(d, d, seed=seed)
        hessian = root @ root.T + 0.5 * torch.eye(d, dtype=torch.float64)
        best, largest = student.best_lr(hessian)
        low, high = torch.linalg.eigvalsh(hessian)[[0, -1]].tolist()
        close("the lr above which it diverges", largest, 2 / high)
        close("the fastest lr", best, 2 / (low + high))
        assert after(hessian, 1.03 * largest) > 1e3 > 1 > after(hessian, 0.97 * largest)
