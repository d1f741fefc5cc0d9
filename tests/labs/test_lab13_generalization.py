"""Tests of lab 13, with their points. `student` is the lab under test: a solution or a submission.

The oracles are counting, hand arithmetic, numpy's least squares, and the bracket table that lecture
T prints.
"""

import math

import numpy as np
import torch

from dlcourse.check import expect, points

# The table of lecture T for R = 81, eta = 3.
TABLE = [
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    [(27, 3), (9, 9), (3, 27), (1, 81)],
    [(9, 9), (3, 27), (1, 81)],
    [(6, 27), (2, 81)],
    [(5, 81)],
]


def generator(seed):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def refused(function, *args):
    """Whether `function` raises a ValueError, and what happens otherwise."""
    try:
        got = function(*args)
    except Exception as error:  # noqa: BLE001 (the student's error, whatever its class)
        return str(error).startswith("ValueError"), str(error)
    return False, f"expected a ValueError, got {got!r}"


def pair(returned):
    """A list of two values as a tuple; anything else as it is."""
    return tuple(returned) if isinstance(returned, list) else returned


def count_changes(student, size, share, seed):
    """The number of labels that are replaced: with a million classes, (almost) none by itself."""
    labels = torch.arange(size)
    changed = student.random_labels(labels, share, 10**6, generator(seed))
    expect((changed.dtype, tuple(changed.shape)), (torch.int64, (size,)), ("dtype", "shape"))
    return changed.ne(labels)


@points(0.5, task="13.1", hint="replace exactly round(share * N) labels")
def test_the_share_of_labels_is_replaced(student):
    for size, share, count in [(10, 0.3, 3), (7, 0.5, 4), (20, 0.21, 4), (50, 1.0, 50)]:
        what = f"labels that change of {size} with share {share}"
        found = int(count_changes(student, size, share, seed=size).sum())
        expect(found, count, what)
    labels = torch.tensor([3, 1, 2])
    expect(student.random_labels(labels, 0.0, 10, generator(0)), labels, "share 0")


@points(0.5, task="13.1", hint="draw random places, and classes from 0 to num_classes - 1")
def test_places_and_classes_are_random(student):
    first, again, other = (count_changes(student, 100, 0.3, seed) for seed in (5, 5, 6))
    assert first.equal(again), "expected the same places from generators with the same seed"
    ones = torch.ones(50, dtype=torch.int64)
    one, two = (student.random_labels(ones, 1.0, 9, generator(3)) for _ in range(2))
    assert one.equal(two), "expected the same classes from generators with the same seed"
    assert not first.equal(other), "expected other places from another seed"
    assert not first[:30].all(), "expected random places, got the first ones"
    drawn = student.random_labels(torch.full((3000,), 2), 1.0, 3, generator(1))
    counts = [int(drawn.eq(label).sum()) for label in range(3)]
    # The standard deviation is 26.
    assert sum(counts) == 3000, f"classes must be from 0 to 2, got {drawn.unique().tolist()}"
    assert min(counts) > 850, (
        f"of 3000 new labels of 3 classes, {counts} are 0, 1, 2; expected about 1000 each"
    )


@points(0.5, task="13.1", hint="work on a copy: labels.clone(); check `share` first")
def test_the_given_labels_stay_and_a_wrong_share_is_refused(student):
    labels = torch.arange(20)
    _, left = student.probe("in_place", "random_labels", labels, 0.5, 10, generator(2))
    assert torch.equal(left[0], labels), "random_labels changed the tensor `labels`"
    for share in (-0.1, 1.5):
        right, text = refused(student.random_labels, labels, share, 10, generator(0))
        assert right, f"share {share}: {text}"


@points(0.5, task="13.1", hint="random places, random classes, exact share", hidden=True)
def test_random_labels_of_other_sizes(student):
    for size, share in [(9, 0.1), (11, 0.6), (333, 0.07), (64, 0.999)]:
        expect(int(count_changes(student, size, share, seed=3).sum()), round(share * size))
    first, again, other = (count_changes(student, 60, 0.4, seed) for seed in (15, 15, 16))
    assert first.equal(again), "the same generator gives the same places"
    assert not first.equal(other), "another generator gives others"
    sevens = torch.full((60,), 7)
    one, two = (student.random_labels(sevens, 1.0, 9, generator(4)) for _ in range(2))
    assert one.equal(two), "the same generator gives the same classes"
    labels = torch.randint(5, (4000,), generator=generator(8))
    before = labels.clone()
    changed = student.random_labels(labels, 1.0, 5, generator(9))
    counts = torch.bincount(changed, minlength=5).tolist()
    assert len(counts) == 5, "classes from 0 to 4"
    assert min(counts) > 650, "each class is equally likely"
    # A new label is equal to the old one with probability 1/5, standard deviation 25.
    assert 600 < int(changed.eq(before).sum()) < 1000, "new labels do not depend on the old ones"
    places = sum(count_changes(student, 40, 0.25, seed).long() for seed in range(60))
    assert int(places.min()) > 2, "each place is equally likely"
    _, left = student.probe("in_place", "random_labels", before, 1.0, 5, generator(3))
    assert torch.equal(left[0], before)
    for share in (1.01, -1e-9, math.nan):
        assert refused(student.random_labels, labels, share, 5, generator(0))[0]


@points(0.5, task="13.2", hint="mean over N, then the maximum over R, then the mean over S")
def test_rademacher_by_hand(student):
    signs = torch.tensor([[1.0, -1, 1, 1], [-1.0, -1, 1, -1]])
    outputs = torch.tensor(
        [
            [[1.0, 1, 1, 0.6], [1.0, -1, -1, 0.2], [-1.0, 1, -1, -0.6]],
            [[0.5, 0, 0, 0], [-0.8, 1, 0.5, -0.5], [1.0, 1, 1, 1]],
        ]
    )
    # Correlations: 1.6, 1.2, -3.6 of 4; -0.5, 0.8, -2 of 4. The best: 0.4 and 0.2.
    got = student.rademacher(signs, outputs)
    expect(
        got,
        0.3,
        mistakes={
            "taking absolute values": 0.7,
            "taking the mean over the functions": -0.625 / 6,
            "taking the maximum over everything": 0.4,
            "taking the sum over N": 1.2,
            "taking the signs of the outputs": 0.5,
            "the share of the outputs that have the right sign": 0.75,
            "the maximum over the draws instead of the functions": 0.2 / 3,
            "leaving out the signs": 0.95,
        },
    )


@points(0.5, task="13.2", hint="S, R and N may all differ", hidden=True)
def test_rademacher_of_random_outputs(student):
    for s, r, n in [(1, 1, 5), (4, 1, 3), (1, 6, 2), (5, 3, 7)]:
        signs = randn(s, n, seed=n).sign()
        outputs = randn(s, r, n, seed=r).tanh()
        best = [
            max(float(np.mean(signs[i].numpy() * outputs[i, j].numpy())) for j in range(r))
            for i in range(s)
        ]
        expect(student.rademacher(signs, outputs), sum(best) / s)


@points(0.5, task="13.3", hint="with fewer features than samples: (X^T X)^-1 X^T y")
def test_least_squares_of_few_features(student):
    # The line through (0, 1), (1, 2), (2, 6): slope 2.5, intercept 0.5.
    features = torch.tensor([[0.0, 1], [1, 1], [2, 1]], dtype=torch.float64)
    targets = torch.tensor([[1.0, 2], [2, 4], [6, 12]], dtype=torch.float64)
    expected = torch.tensor([[2.5, 5], [0.5, 1]], dtype=torch.float64)
    expect(student.least_squares(features, targets), expected)


@points(0.5, task="13.3", hint="with more features than samples, take the smallest weight")
def test_least_squares_of_many_features(student):
    features, targets = randn(4, 7, seed=1), randn(4, 3, seed=2)
    got = student.least_squares(features, targets)
    expected = torch.from_numpy(np.linalg.lstsq(features.numpy(), targets.numpy(), rcond=None)[0])
    expect(tuple(got.shape), (7, 3), "shape")
    expect(features @ got, targets, "features @ w, which can be equal to the targets here")
    expect(got, expected, "w, the smallest one that fits")


def two_splits(n, d, classes, seed):
    """Inputs whose labels depend on them, and labels of all classes."""
    inputs = randn(2 * n, d, seed=seed)
    labels = (inputs[:, :classes] + randn(2 * n, classes, seed=seed + 1)).argmax(1)
    labels[:classes] = torch.arange(classes)
    return (inputs[:n], labels[:n]), (inputs[n:], labels[n:])


def errors(train, test, weight, width, classes):
    """The two errors of one width, by numpy."""
    w = weight[:width].numpy()
    hidden = [np.maximum(inputs.numpy() @ w.T, 0) for inputs, _ in (train, test)]
    fitted = np.linalg.lstsq(hidden[0], np.eye(classes)[train[1].numpy()], rcond=None)[0]
    return tuple(
        float(np.mean((h @ fitted).argmax(1) != labels.numpy()))
        for h, (_, labels) in zip(hidden, (train, test), strict=True)
    )


@points(1, task="13.3", hint="the first `width` rows of the weight; fit the training samples only")
def test_errors_by_width(student):
    train, test = two_splits(30, 5, 3, seed=4)
    weight = randn(60, 5, seed=6)
    got = student.errors_by_width(train, test, weight, [12, 4, 60])
    got = [tuple(float(value) for value in pair) for pair in got]
    assert len(got) == 3, f"expected 3 pairs for 3 widths, got {len(got)}"
    for width, pair in zip([12, 4, 60], got, strict=True):
        names = (f"training error of width {width}", f"test error of width {width}")
        expect(pair, errors(train, test, weight, width, 3), names)


@points(1, task="13.3", hint="other widths, sizes and classes", hidden=True)
def test_errors_by_width_of_other_sizes(student):
    for n, d, classes, widths in [(25, 3, 2, [1, 9, 25, 26]), (40, 6, 5, [80, 10])]:
        train, test = two_splits(n, d, classes, seed=n)
        weight = randn(max(widths) + 3, d, seed=d)
        got = student.errors_by_width(train, test, weight, widths)
        got = [tuple(float(value) for value in pair) for pair in got]
        expect(got, [errors(train, test, weight, width, classes) for width in widths])
    low = randn(20, 3, seed=1) @ randn(3, 8, seed=2)  # features that depend on each other
    targets = randn(20, 2, seed=3)
    expected = torch.from_numpy(np.linalg.lstsq(low.numpy(), targets.numpy(), rcond=None)[0])
    expect(student.least_squares(low, targets), expected)


def stopped(losses, patience):
    """The rule again: the first epoch whose last `patience` losses have no new lowest."""
    numbers = [math.inf if math.isnan(loss) else loss for loss in losses]
    for end in range(1, len(numbers) + 1):
        best = numbers.index(min(numbers[:end])) + 1
        if end - best >= patience:
            return best, end
    return best, end


def other_rule(losses, patience, equal=False, before=False):
    """The rule with a mistake: what is a new lowest loss?"""
    lowest, best = math.inf, 0
    for epoch, loss in enumerate(losses, start=1):
        if loss < lowest or (equal and loss == lowest):
            lowest, best = loss, epoch
        if before:
            lowest = loss
        if epoch - best >= patience:
            break
    return best, epoch


@points(1, task="13.4", hint="count the epochs since the best one; an equal loss is no new lowest")
def test_stop_by_hand(student):
    cases = [
        ([5.0, 4.0, 3.0, 3.5, 3.2, 3.4, 3.3, 1.0, 2.0, 1.5], 3, (3, 6)),
        ([2.0, 1.9999, 1.9998, 1.9997], 2, (4, 4)),
        ([5.0, 4.0, 3.0], 2, (3, 3)),
        ([1.0, 2.0, 0.5], 1, (1, 2)),
        ([2.0, 2.0, 2.0, 1.0], 2, (1, 3)),
        ([3.0, 4.0, 2.0, 4.0, 1.0, 5.0, 6.0, 7.0], 3, (5, 8)),
        ([3.0, math.nan, 2.0, math.nan, math.nan], 2, (3, 5)),
        ([4.0], 5, (1, 1)),
        ([math.nan, 3.0, 2.0, 2.5], 3, (3, 4)),
    ]
    for losses, patience, expected in cases:
        got = pair(student.stop(losses, patience))
        numbers = [math.inf if math.isnan(loss) else loss for loss in losses]
        small = "a small step down that does not count"
        never = "starting with a loss of NaN, which no loss is below"
        expect(
            got,
            expected,
            ("best epoch", "last epoch"),
            mistakes={
                "counting epochs from 0": (expected[0] - 1, expected[1] - 1),
                "taking an equal loss for a new lowest": other_rule(losses, patience, equal=True),
                "comparing with the loss before only": other_rule(losses, patience, before=True),
                "stopping one epoch too late": stopped(losses, patience + 1),
                "returning the last epoch as the best": (expected[1], expected[1]),
                "going on after the stop": (numbers.index(min(numbers)) + 1, len(losses)),
                small if numbers == losses else never: (1, 1 + patience),
            },
        )


@points(1, task="13.4", hint="count the epochs without a new lowest", hidden=True)
def test_stop_of_random_losses(student):
    for seed in range(40):
        losses = torch.randint(1, 8, (seed % 12 + 1,), generator=generator(seed)).double()
        if seed % 3 == 1 and len(losses) > 2:
            losses[2::3] = math.nan
        patience = seed % 4 + 1
        expect(pair(student.stop(losses.tolist(), patience)), stopped(losses.tolist(), patience))
    for seed in range(12):  # small steps, and a first loss that is not a number
        losses = [math.nan] * (seed % 2) + (1 + randn(9, seed=seed) / 10**5).tolist()
        expect(pair(student.stop(losses, 3)), stopped(losses, 3))


class Trainer:
    """Gives losses from a table of functions of the epochs, and notes who was trained."""

    def __init__(self, losses):
        self.losses, self.calls = losses, []

    def __call__(self, config, epochs):
        self.calls.append((config["name"], epochs))
        return self.losses[config["name"]](epochs)


def named(names):
    return [{"name": name, "lr": 0.1 * i} for i, name in enumerate(names)]


@points(1, task="13.5", hint="each rung trains the first n of the candidates, sorted by their loss")
def test_the_best_of_a_rung_go_on(student):
    trainer = Trainer(
        {"a": lambda r: 5 / r, "b": lambda r: 3.0, "c": lambda r: 2.0 + r, "d": lambda r: 4 / r}
    )
    rungs = [(4, 1), (2, 2), (1, 4)]
    best = pair(student.successive_halving(trainer, named("abcd"), rungs))
    # Losses: 5, 3, 3, 4 for 1 epoch, so b and c go on: 3 and 4. b goes on: 3.
    expect(
        trainer.calls,
        [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("b", 2), ("c", 2), ("b", 4)],
        mistakes={
            "keeping the candidates with the highest losses": [
                ("a", 1), ("b", 1), ("c", 1), ("d", 1), ("a", 2), ("d", 2), ("a", 4),
            ],
            "keeping the first candidates instead of the best": [
                ("a", 1), ("b", 1), ("c", 1), ("d", 1), ("a", 2), ("b", 2), ("a", 4),
            ],
        },
    )  # fmt: skip
    expect(best, ({"name": "b", "lr": 0.1}, 3.0), ("best candidate", "its loss"))


@points(1, task="13.5", hint="remember the lowest loss of all rungs; NaN counts as infinite")
def test_the_lowest_loss_that_was_seen_counts(student):
    trainer = Trainer(
        {
            "a": lambda r: 1.0 * r,
            "b": lambda r: 2.0 if r == 1 else 1.0,
            "c": lambda r: math.nan,
            "d": lambda r: 12.0 - r,
        }
    )
    best = pair(student.successive_halving(trainer, named("cabd"), [(4, 1), (3, 3), (1, 9)]))
    expect(trainer.calls[4:7], [("a", 3), ("b", 3), ("d", 3)], "the second rung")
    expect(
        best,
        ({"name": "a", "lr": 0.1}, 1.0),
        ("best candidate", "its loss"),
        mistakes={
            "looking at the last rung only, or the last of equal losses": (
                {"name": "b", "lr": 0.2}, 1.0,
            ),
        },
    )  # fmt: skip
    diverged = pair(student.successive_halving(lambda *_: math.nan, named("ab"), [(2, 1), (1, 2)]))
    expect(diverged, ({"name": "a", "lr": 0.0}, math.inf), ("best candidate", "its loss"))


def halved(train, configs, rungs):
    """The same in another way: one list of all (loss, call) pairs."""
    seen = []
    for count, epochs in rungs:
        rung = []
        for config in configs[:count]:
            loss = train(config, epochs)
            seen.append((math.inf if math.isnan(loss) else loss, len(seen), config))
            rung.append(seen[-1])
        configs = [config for _, _, config in sorted(rung, key=lambda entry: entry[:2])]
    loss, _, config = min(seen, key=lambda entry: entry[:2])
    return config, loss


def noisy(seed, most=1.85):
    """A training whose loss falls with the epochs, differently for each candidate."""

    def train(config, epochs):
        draw = generator(1000 * seed + 10 * config["id"] + epochs)
        value = float(torch.rand((), generator=draw)) + 1 / epochs
        return math.nan if value > most else round(value, 1)

    return train


@points(1, task="13.5", hint="the order of the candidates, ties and NaN", hidden=True)
def test_successive_halving_of_random_losses(student):
    for seed, rungs in enumerate([[(9, 1), (3, 3), (1, 9)], [(5, 2)], [(8, 1), (4, 2), (2, 4)]]):
        configs = [{"id": i} for i in range(rungs[0][0])]
        got = pair(student.successive_halving(noisy(seed), configs, rungs))
        expect(got, halved(noisy(seed), configs, rungs))
    for seed in range(3, 15):  # where many candidates give NaN
        configs, rungs = [{"id": i} for i in range(6)], [(6, 1), (3, 2), (1, 4)]
        got = pair(student.successive_halving(noisy(seed, 1.3), configs, rungs))
        expect(got, halved(noisy(seed, 1.3), configs, rungs))
    got = pair(student.successive_halving(lambda config, epochs: math.nan, configs, rungs))
    expect(got, (configs[0], math.inf), "losses that are all NaN")


def plain(table):
    """Rungs as tuples of numbers, whether they came as lists or as tuples."""
    return [[tuple(rung) for rung in rungs] for rungs in table]


@points(1, task="13.6", hint="bracket s starts with (s_max + 1) // (s + 1) * eta ** s candidates")
def test_the_table_of_the_lecture(student):
    got = plain(student.brackets(81, 3))
    up = [[(34, 3), (11, 9), (3, 27), (1, 81)], [(15, 9), (5, 27), (1, 81)], [(8, 27), (2, 81)]]
    expect(
        got,
        TABLE,
        mistakes={
            "rounding n up": [TABLE[0], *up, TABLE[4]],
            "starting with s = 0": TABLE[::-1],
        },
    )
    expect(plain(student.brackets(4, 2)), [[(4, 1), (2, 2), (1, 4)], [(2, 2), (1, 4)], [(3, 4)]])
    expect(plain(student.brackets(243))[0][:2], [(243, 1), (81, 3)], "the first rungs of R = 243")
    kinds = {type(number) for rungs in got for rung in rungs for number in rung}
    assert kinds == {int}, "expected whole numbers"


@points(0.5, task="13.6", hint="round down: R // eta ** (s - i); refuse R < 1 and eta < 2")
def test_brackets_of_a_number_that_is_no_power(student):
    expected = [[(9, 1), (3, 3), (1, 10)], [(3, 3), (1, 10)], [(3, 10)]]
    expect(plain(student.brackets(10, 3)), expected)
    expect(plain(student.brackets(1, 3)), [[(1, 1)]])
    for R, eta in [(0, 3), (9, 1)]:
        right, text = refused(student.brackets, R, eta)
        assert right, f"brackets({R}, {eta}): {text}"


@points(0.5, task="13.6", hint="whole numbers only, for each R and eta", hidden=True)
def test_brackets_of_other_numbers(student):
    for R, eta in [(125, 5), (1000, 10), (7, 2), (26, 3), (100, 4), (59049, 3), (1, 4)]:
        s_max = next(s for s in range(64) if eta ** (s + 1) > R)
        expected = []
        for s in reversed(range(s_max + 1)):
            n = (s_max + 1) // (s + 1) * eta**s
            expected.append([(n // eta**i, R // eta ** (s - i)) for i in range(s + 1)])
        got = plain(student.brackets(R, eta))
        expect(got, expected)
        kinds = {type(number) for rungs in got for rung in rungs for number in rung}
        assert kinds == {int}, "expected whole numbers"
    for R, eta in [(-3, 3), (5, 0), (0, 2), (5, 1)]:
        assert refused(student.brackets, R, eta)[0]


@points(0.5, task="13.7", hint="new candidates for each bracket, as many as its first rung has")
def test_hyperband_runs_each_bracket(student):
    drawn = iter(range(100))
    calls = []

    def train(config, epochs):
        calls.append((config["id"], epochs))
        return abs(config["id"] - 10) + 1 / epochs

    best = pair(student.hyperband(train, lambda: {"id": next(drawn)}, 9, 3))
    # Brackets: 9 candidates (0 to 8), 3 candidates (9 to 11), 3 candidates (12 to 14).
    first = [(i, 1) for i in range(9)] + [(8, 3), (7, 3), (6, 3), (8, 9)]
    expect(calls[: len(first)], first, "what the first bracket trains")
    expect(next(drawn), 15, "the number of candidates that are drawn")
    expect(
        (best[0], round(float(best[1]), 6)),
        ({"id": 10}, round(1 / 9, 6)),
        ("best candidate", "its loss"),
        mistakes={"returning the result of the last bracket": ({"id": 12}, round(2 + 1 / 9, 6))},
    )
    calls.clear()
    student.hyperband(train, lambda: {"id": next(drawn)}, 4, 2)
    epochs = [epochs for _, epochs in calls]
    expect(epochs, [1, 1, 1, 1, 2, 2, 4, 2, 2, 4, 4, 4, 4], "the epochs of each call, R=4, eta=2")


@points(0.5, task="13.7", hint="pass R and eta on; the best of all brackets wins", hidden=True)
def test_hyperband_with_other_settings(student):
    for R, eta in [(16, 2), (10, 3), (1, 4)]:
        drawn, cost = iter(range(1000)), []

        def train(config, epochs, cost=cost):
            cost.append(epochs)
            return (config["id"] * 7919 % 101) / 10 + 1 / epochs

        best = pair(student.hyperband(train, lambda drawn=drawn: {"id": next(drawn)}, R, eta))
        s_max = next(s for s in range(64) if eta ** (s + 1) > R)
        tables = [
            [((s_max + 1) // (s + 1) * eta**s // eta**i, R // eta ** (s - i)) for i in range(s + 1)]
            for s in reversed(range(s_max + 1))
        ]
        expect(next(drawn), sum(rungs[0][0] for rungs in tables), "the candidates drawn")
        again, seen = iter(range(1000)), []
        for rungs in tables:
            configs = [{"id": next(again)} for _ in range(rungs[0][0])]
            seen.append(halved(train, configs, rungs))
        expect(best, min(seen, key=lambda pair: pair[1]))
        expect(sum(cost), 2 * sum(n * r for rungs in tables for n, r in rungs), "epochs")
