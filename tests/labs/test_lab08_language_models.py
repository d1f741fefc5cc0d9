"""Tests of lab 08, with their points. `student` is the lab under test: a solution or a submission.

The oracles are torch's own cells, counts by hand, and a separate training loop in float64.
"""

import itertools
import math

import torch
import torch.nn.functional as F

from dlcourse.check import assert_close, expect, points
from dlcourse.check.student import StudentError


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def draw_tokens(num_tokens, vocab_size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(vocab_size, (num_tokens,), generator=generator).tolist()


def close(got, expected, what, mistakes=None):
    assert isinstance(got, float), f"expected {what} as a float, got {type(got).__name__}"
    expect(got, expected, what, mistakes=mistakes)


def unchanged(left, given, names, function):
    """Check that a function left its arguments as they were."""
    for name, one, other in zip(names.split(), left, given, strict=True):
        expect(one, other, f"{function} changed its argument `{name}`", rtol=0, atol=0)


def counted(tokens, n):
    """The oracle: count the positions of each sequence in the text."""
    runs = {tuple(tokens[i : i + k]) for k in range(1, n + 1) for i in range(len(tokens) - k + 1)}
    return {
        run: sum(tuple(tokens[i : i + len(run)]) == run for i in range(len(tokens))) for run in runs
    }


@points(
    0.5,
    task="8.1",
    forbidden=("dlcourse.models*",),
    hint="count tuples of each length up to n: (7,), (7, 8)",
)
def test_counts_of_a_short_text(student):
    tokens = [7, 8, 7, 8, 9]
    got, left = student.probe("in_place", "count_ngrams", tokens, 3)
    short = {(7,): 2, (8,): 2, (9,): 1, (7, 8): 2, (8, 7): 1, (8, 9): 1}
    longest = {(7, 8, 7): 1, (8, 7, 8): 1, (7, 8, 9): 1}
    expect(
        got,
        short | longest,
        mistakes={
            "counting only the longest sequences": longest,
            "stopping one length too early": short,
            "leaving out the sequences that end with the last token": {
                (7,): 2, (8,): 2, (7, 8): 2, (8, 7): 1, (7, 8, 7): 1, (8, 7, 8): 1,
            },
            "counting the shorter rests at the end of the text too": short
            | longest
            | {(9,): 3, (8, 9): 2},
            "counting each sequence once": dict.fromkeys(short | longest, 1),
        },
    )  # fmt: skip
    unchanged(left, (tokens, 3), "tokens n", "count_ngrams")
    expect(student.count_ngrams([4, 4, 4], 3), {(4,): 3, (4, 4): 2, (4, 4, 4): 1})
    expect(student.count_ngrams([5, 6, 5], 1), {(5,): 2, (6,): 1})


@points(0.5, task="8.1", hint="the last sequence ends with the last token", hidden=True)
def test_counts_of_any_text(student):
    for n, tokens in [(1, [5]), (3, [4, 4]), (3, draw_tokens(60, 3)), (4, draw_tokens(40, 2, 1))]:
        got = {run: count for run, count in student.count_ngrams(tokens, n).items() if count}
        assert got == counted(tokens, n)


def probability(counts, context, token, num_tokens, vocab_size, weights):
    """The interpolated trigram, with its three cases one by one."""
    a, b = context
    w1, w2, w3 = weights
    p = w1 * counts.get((token,), 0) / num_tokens + (1 - w1) / vocab_size
    if counts.get((b,), 0):
        p = w2 * counts.get((b, token), 0) / counts[(b,)] + (1 - w2) * p
    if counts.get((a, b), 0):
        p = w3 * counts.get((a, b, token), 0) / counts[(a, b)] + (1 - w3) * p
    return p


@points(
    1,
    task="8.2",
    forbidden=("dlcourse.models*",),
    hint="p1 = 0.5 * 1/6 + 0.5 / 10, p2 = 0.5 * 1/2 + 0.5 p1, p3 = 0.5 * 1/2 + 0.5 p2; "
    "a context that never occurred leaves the p below it unchanged",
)
def test_trigram_mixes_three_estimates(student):
    counts = counted([7, 8, 9, 7, 8, 7], 3)
    weights = (0.8, 0.5, 0.25)
    q0, q1 = 1 / 20, 0.8 * 1 / 6 + 0.2 / 20
    q2 = 0.5 * 1 / 2 + 0.5 * q1  # 8 occurs twice, and once before a 9
    in_reverse = 0.8 / 2 + 0.2 * (0.5 / 2 + 0.5 * (0.25 / 6 + 0.75 * q0))
    for context, token, expected, mistakes in [
        (
            (7, 8),
            9,
            0.25 * 1 / 2 + 0.75 * q2,
            {
                "taking w1 for the trigram and w3 for the single word": in_reverse,
                "swapping w and 1 - w": 0.75 / 2 + 0.25 * (0.5 / 2 + 0.5 * (0.2 / 6 + 0.8 * q0)),
                "not multiplying the lower order by 1 - w": 0.25 / 2 + 0.5 / 2 + 0.8 / 6 + q0,
                "leaving out 1 / vocab_size": 0.25 / 2 + 0.75 * (0.5 / 2 + 0.5 * 0.8 / 6),
                "dividing by num_tokens in p2 and p3": 0.25 / 6 + 0.75 * (0.5 / 6 + 0.5 * q1),
            },
        ),
        # 9 8 never occurs.
        (
            (9, 8),
            9,
            q2,
            {
                "multiplying p2 by 1 - w3, though (a, b) never occurred": 0.75 * q2,
                "starting again with 1 / vocab_size, though p3 = p2": q0,
                "taking 0, though p3 = p2": 0.0,
            },
        ),
        # 5 never occurs.
        (
            (7, 5),
            9,
            q1,
            {
                "multiplying by 1 - w, though the context never occurred": 0.75 * 0.5 * q1,
                "starting again with 1 / vocab_size, though p2 = p1": q0,
                "taking 0, though p2 = p1": 0.0,
            },
        ),
        # 7 never follows 7.
        ((5, 7), 7, 0.5 * 0 / 3 + 0.5 * (0.8 * 3 / 6 + 0.2 / 20), {}),
        # Neither 5 nor 4 occurs.
        ((5, 5), 4, 0.2 / 20, {}),
    ]:
        got = student.trigram_probability(counts, context, token, 6, 20, weights)
        close(got, expected, f"P({token} | {context[0]} {context[1]})", mistakes)


@points(1, task="8.2", hint="if a context never occurred, use the order below", hidden=True)
def test_trigram_is_a_distribution_after_any_context(student):
    tokens, weights = draw_tokens(50, 5), (0.9, 0.6, 0.3)
    counts = counted(tokens, 3)
    rare = next(c for c in itertools.product(range(5), repeat=2) if c not in counts)
    for context in [tuple(tokens[:2]), (tokens[3], tokens[4]), rare, (rare[0], 6), (6, tokens[0])]:
        total = 0.0
        for token in range(7):  # 5 and 6 are in the vocabulary but not in the text
            got = student.trigram_probability(counts, context, token, 50, 7, weights)
            close(
                got, probability(counts, context, token, 50, 7, weights), f"P({token} | {context})"
            )
            total += got
        assert math.isclose(total, 1.0, rel_tol=1e-9), (
            f"after {context}: expected probabilities with the sum 1, got {total:.6f}"
        )


@points(0.5, task="8.3", hint="exp((30 ln 8 + 10 ln 2) / 40)")
def test_perplexity_of_batches_of_unequal_length(student):
    close(
        student.perplexity([(1.0, 1), (2.0, 3), (0.5, 4)]),
        math.exp(9 / 8),
        "perplexity",
        {
            "weighing all batches alike": math.exp(3.5 / 3),
            "dividing by the number of batches": math.exp(9 / 3),
            "the mean of the batches' perplexities": (
                math.exp(1) + 3 * math.exp(2) + 4 * math.exp(0.5)
            )
            / 8,
            "leaving out exp": 9 / 8,
            "2 ** x instead of exp(x)": 2 ** (9 / 8),
            "a minus: the mean cross-entropy is positive": math.exp(-9 / 8),
        },
    )


@points(0.5, task="8.3", hint="call exp once, at the end, on the mean over all tokens", hidden=True)
def test_perplexity_weighs_every_token_alike(student):
    surprises = randn(100).abs().tolist()
    for sizes in ([100], [70, 29, 1], [1] * 100):
        parts = torch.tensor(surprises, dtype=torch.float64).split(sizes)
        batches = [(part.mean().item(), len(part)) for part in parts]
        close(student.perplexity(batches), math.exp(sum(surprises) / 100), "perplexity")


@points(
    0.5,
    task="8.4",
    forbidden=("dlcourse.models*",),
    hint="concatenate the vectors, the oldest first; then tanh(x @ H.T + d)",
)
def test_feedforward_joins_the_vectors(student):
    C = torch.tensor([[0.0, 1.0], [2.0, 3.0], [-1.0, 0.5]])
    H = torch.tensor([[0.1, 0.0, 0.0, 0.2], [0.0, -0.1, 0.3, 0.0], [1.0, 1.0, 1.0, 1.0]])
    d = torch.tensor([0.5, -0.5, 0.0])
    # x is (-1, 0.5, 2, 3) in the first window and (0, 1, -1, 0.5) in the second.
    inside = torch.tensor([[[1.0, 0.05, 4.5]], [[0.6, -0.9, 0.5]]])  # (2, 1, 3)
    windows = torch.tensor([[[2, 1]], [[0, 2]]])
    expect(
        student.feedforward(windows, C, H, d),
        inside.tanh(),
        mistakes={
            "leaving out tanh": inside,
            "a sigmoid instead of tanh": inside.sigmoid(),
            "leaving out d": (inside - d).tanh(),
            "adding d after tanh": (inside - d).tanh() + d,
            "the newest word first": torch.tensor([[[0.8, -1.1, 4.5]], [[0.6, -0.55, 0.5]]]).tanh(),
        },
    )
    C.requires_grad_()
    slopes = student.probe("gradients", "feedforward", windows, C, H, torch.zeros(3))[0]
    # At tanh(inside - d) the slopes are 1 - tanh^2; each word's vector gets them through its part
    # of H: word 1 is the last of the first window, word 0 the first of the second one.
    first, second = 1 - (inside - d).tanh().square()
    expected = torch.cat(
        [second @ H[:, :2], first @ H[:, 2:], first @ H[:, :2] + second @ H[:, 2:]]
    )
    expect(slopes, expected, "the gradient with respect to C")


@points(0.5, task="8.4", hint="windows can have any dimensions before the last one", hidden=True)
def test_feedforward_of_batches_of_windows(student):
    C, d = randn(9, 4), randn(5, seed=2)
    for shape in [(2, 3, 2), (6, 3), (3, 1, 1)]:
        H = randn(5, shape[-1] * 4, seed=1)
        windows = torch.tensor(draw_tokens(math.prod(shape), 9)).view(shape)
        C.requires_grad_()
        x = torch.cat([C[windows[..., i]] for i in range(shape[-1])], -1)
        expected = torch.tanh(F.linear(x, H, d))
        assert_close(student.feedforward(windows, C.detach(), H, d), expected.detach())
        slopes = student.probe("gradients", "feedforward", windows, C, H, d)[0]
        assert_close(slopes, torch.autograd.grad(expected.sum(), C)[0])


CELLS = ("*RNN*", "*LSTM*", "*GRU*", "*rnn*", "*lstm*", "*gru*", "dlcourse.models*")
# Each cell of torch: its function, how many blocks of rows its weights have, names of the results.
OF_TORCH = {
    "elman_step": (torch.rnn_tanh_cell, 1, "h'"),
    "lstm_step": (torch.lstm_cell, 4, ("h'", "c'")),
    "gru_step": (torch.gru_cell, 3, "h'"),
}
SIZES = [(1, 3, 2), (2, 4, 5), (3, 1, 4)]  # N, D, H
VISIBLE_SIZES = [(2, 3, 5), (3, 6, 4)]


def step_of_torch(name, x, *state_and_weights):
    """Compute the step called `name` with torch's own cell, which has a second bias."""
    function, _, _ = OF_TORCH[name]
    *state, W, U, b = state_and_weights
    before = tuple(state) if len(state) > 1 else state[0]
    return function(x, before, W, U, b, torch.zeros_like(b))


def check_step(student, name, sizes, seed, wrong=lambda x, *rest: {}):
    """Compare a student's step and its gradients with torch's cell.

    wrong: returns what typical mistakes give, for the arguments of the step.
    """
    _, blocks, results = OF_TORCH[name]
    N, D, H = sizes
    states = [randn(N, H, seed=seed + 1 + i) for i in range(2 if name == "lstm_step" else 1)]
    weights = [(blocks * H, D), (blocks * H, H), (blocks * H,)]
    weights = [randn(*shape, seed=seed + 3 + i) for i, shape in enumerate(weights)]
    given = [randn(N, D, seed=seed), *states, *weights]
    got, left = student.probe("in_place", name, *given)
    mistakes = wrong(*given)
    expect(got, step_of_torch(name, *given), results, mistakes=mistakes)
    names = "x h c W U b" if name == "lstm_step" else "x h W U b"
    unchanged(left, given, names, name)
    leaves = [tensor.clone().requires_grad_() for tensor in given]
    outputs = step_of_torch(name, *leaves)
    total = sum(part.sum() for part in outputs) if name == "lstm_step" else outputs.sum()
    slopes = student.probe("gradients", name, *leaves)
    what = [f"the gradient with respect to {argument}" for argument in names.split()]
    expect(slopes, list(torch.autograd.grad(total, leaves)), what)


@points(
    1,
    task="8.5",
    forbidden=CELLS,
    hint="tanh(x @ W.T + h @ U.T + b)",
)
def test_elman_step_is_that_of_torch(student):
    def wrong(x, h, W, U, b):
        half = step_of_torch("elman_step", x, h, W / 2, U / 2, b / 2)
        return {
            "leaving out b": step_of_torch("elman_step", x, h, W, U, 0 * b),
            "leaving out U h": step_of_torch("elman_step", x, h, W, 0 * U, b),
            "h @ U instead of h @ U.T": step_of_torch("elman_step", x, h, W, U.T, b),
            "a sigmoid instead of tanh": (1 + half) / 2,
        }

    for seed, sizes in enumerate(VISIBLE_SIZES):
        check_step(student, "elman_step", sizes, 100 + 10 * seed, wrong)


def in_order(blocks, *weights):
    """Return weights whose blocks of rows stand in another order."""
    parts = [weight.chunk(len(blocks)) for weight in weights]
    return [torch.cat([part[block] for block in blocks]) for part in parts]


@points(
    0.5,
    task="8.5",
    hint="in the example all gates are sigma(0) = 0.5, so c' = 0.5 * 1; the order is i, f, g, o",
)
def test_lstm_step_gives_what_torch_gives(student):
    def wrong(x, h, c, W, U, b):
        right = step_of_torch("lstm_step", x, h, c, W, U, b)
        orders = {
            "i, f, o, g": (0, 1, 3, 2),
            "f, i, g, o": (1, 0, 2, 3),
            "i, g, f, o": (0, 2, 1, 3),
        }
        # Each order names the blocks that a mistaken reader finds at i, f, g and o.
        return {
            f"the gates in the order {order}": step_of_torch(
                "lstm_step", x, h, c, *in_order(blocks, W, U, b)
            )
            for order, blocks in orders.items()
        } | {
            "returning (c', h')": right[::-1],
            "leaving out b": step_of_torch("lstm_step", x, h, c, W, U, 0 * b),
            "leaving out U h": step_of_torch("lstm_step", x, h, c, W, 0 * U, b),
            "leaving out tanh of c' in h'": (right[0] / right[1].tanh() * right[1], right[1]),
            "the old c instead of the new c' in h'": (
                right[0] / right[1].tanh() * c.tanh(), right[1],
            ),
        }  # fmt: skip

    for seed, sizes in enumerate(VISIBLE_SIZES):
        check_step(student, "lstm_step", sizes, 100 + 10 * seed, wrong)


@points(0.5, task="8.5", hint="the order of the blocks is i, f, g, o; h' uses c'", hidden=True)
def test_lstm_step_is_that_of_torch(student):
    for seed, sizes in enumerate(SIZES):
        check_step(student, "lstm_step", sizes, 10 * seed)
        check_step(student, "elman_step", sizes, 10 * seed)  # else nothing hidden calls it


@points(
    0.5,
    task="8.5",
    hint="with all weights 0, z is 0.5 and n is 0, so h' = 0.5 * h; in n, r multiplies only U h",
)
def test_gru_step_gives_what_torch_gives(student):
    def wrong(x, h, W, U, b):
        # sigma(-a) is 1 - sigma(a), and sigma(50) is 1.
        signs = torch.ones_like(b).view(3, -1)
        signs[1] = -1
        signs = signs.view(-1)
        always = torch.cat([torch.full_like(b[: len(b) // 3], 50.0), b[len(b) // 3 :]])
        return {
            "r and z in the other order": step_of_torch(
                "gru_step", x, h, *in_order((1, 0, 2), W, U, b)
            ),
            "z n + (1 - z) h instead of (1 - z) n + z h": step_of_torch(
                "gru_step", x, h, signs[:, None] * W, signs[:, None] * U, signs * b
            ),
            "leaving out r": step_of_torch("gru_step", x, h, W, U, always),
            "leaving out b": step_of_torch("gru_step", x, h, W, U, 0 * b),
            "adding b also to U h": torch.gru_cell(x, h, W, U, b, b),
        }

    for seed, sizes in enumerate(VISIBLE_SIZES):
        check_step(student, "gru_step", sizes, 100 + 10 * seed, wrong)


@points(0.5, task="8.5", hint="in n, r multiplies only U h; z multiplies the old h", hidden=True)
def test_gru_step_is_that_of_torch(student):
    for seed, sizes in enumerate(SIZES):
        check_step(student, "gru_step", sizes, 10 * seed)


@points(0.5, task="8.5", hint="s' = 0.5 * 1 + 0.5 * 2, then h' = sigma(s' + 1 + 1)")
def test_scrn_step_by_hand(student):
    names = ("h'", "s'")
    x, h = torch.tensor([[1.0, 2, -1], [0, 0, 0]]), torch.tensor([[0.5, -0.5], [0, 0]])
    s = torch.tensor([[1.0, 0, -2, 4], [0, 0, 0, 0]])
    A = torch.tensor([[1.0, 0, 1], [0, 0.5, 0]])
    B = torch.tensor([[1.0, 1, 1], [0, 1, 0], [2, 0, 0], [0, 0, -1]])
    P = torch.tensor([[0.1, 0, 0, 0.1], [0, 0.2, 0.2, 0]])
    R = torch.tensor([[2.0, 1], [0, 2]])
    # B x = (2, 2, 2, 1). P s' = (0.45, -0.1), A x = (0, 1) and R h = (0.5, -1).
    given = (x, h, s, A, B, P, R)
    got, left = student.probe("in_place", "scrn_step", *given, 0.75)
    inside = torch.tensor([[0.95, -0.1], [0, 0]])
    new = torch.tensor([[1.25, 0.5, -1, 3.25], [0, 0, 0, 0]])
    swapped = torch.tensor([[1.75, 1.5, 1, 1.75], [0, 0, 0, 0]])
    slow = torch.tensor([[1.05, 0.1, -1.8, 3.85], [0, 0, 0, 0]])
    expect(
        got,
        (inside.sigmoid(), new),
        names,
        mistakes={
            "P s instead of P s': h' uses the new s'": (
                torch.tensor([[1.0, -0.4], [0, 0]]).sigmoid(), new,
            ),
            "leaving out R h": (torch.tensor([[0.45, 0.9], [0, 0]]).sigmoid(), new),
            "tanh instead of the sigmoid": (inside.tanh(), new),
            "swapping alpha and 1 - alpha": (..., swapped),
            "ignoring alpha, which is 0.75 here": (..., slow),
            "B x without the factor 1 - alpha": (
                ..., torch.tensor([[2.75, 2, 0.5, 4], [0, 0, 0, 0]]),
            ),
        },
    )  # fmt: skip
    unchanged(left[:7], given, "x h s A B P R", "scrn_step")
    # The default alpha is 0.95.
    _, got_s = student.scrn_step(*given)
    expect(got_s, slow, "s' with the default alpha of 0.95")
    # Without P, the sum of s' changes by alpha for each number of s.
    s.requires_grad_()
    slopes = student.probe("gradients", "scrn_step", x, h, s, A, B, 0 * P, R, 0.75)[0]
    expect(slopes, torch.full((2, 4), 0.75), "the gradient with respect to s")


@points(0.5, task="8.5", hint="h' uses the new s', not s; alpha is 0.95 by default", hidden=True)
def test_scrn_step_is_its_equations(student):
    for N, D, H, K in [(1, 3, 2, 4), (3, 2, 5, 1)]:
        x, h, s = randn(N, D), randn(N, H, seed=1), randn(N, K, seed=2)
        A, B = randn(H, D, seed=3), randn(K, D, seed=4)
        P, R = randn(H, K, seed=5), randn(H, H, seed=6)
        leaves = [tensor.requires_grad_() for tensor in (x, h, s, A, B, P, R)]
        given = [leaf.detach() for leaf in leaves]
        for alpha in (0.95, 0.3):
            more = () if alpha == 0.95 else (alpha,)
            new = (1 - alpha) * F.linear(x, B) + alpha * s
            hidden = (F.linear(new, P) + F.linear(x, A) + F.linear(h, R)).sigmoid()
            got, left = student.probe("in_place", "scrn_step", *given, *more)
            expect(got, (hidden.detach(), new.detach()), ("h'", "s'"))
            unchanged(left[:7], given, "x h s A B P R", "scrn_step")
            slopes = student.probe("gradients", "scrn_step", *leaves, *more)
            expect(slopes, list(torch.autograd.grad(hidden.sum() + new.sum(), leaves)))


@points(
    0.5,
    task="8.6",
    forbidden=("clip_grad*", "torch.nn.utils.clip_grad*"),
    hint="the common norm of 3 and 4 is 5",
)
def test_clip_scales_all_gradients_alike(student):
    names = ("gradients", "norm")
    one, two = torch.tensor([[1.0, -2.0], [2.0, 0.0]]), torch.tensor([4.0])  # norms 3 and 4
    given = [one.clone(), two.clone()]
    got, left = student.probe("in_place", "clip", given, 2.5)
    expect(
        got,
        ([0.5 * one, 0.5 * two], 5.0),
        names,
        mistakes={
            "clipping each gradient alone, with its own norm": (
                [one * 2.5 / 3, two * 2.5 / 4],
                ...,
            ),
            "adding up the norms of the gradients": ([one * 2.5 / 7, two * 2.5 / 7], 7.0),
            "leaving out the square root": ([one / 10, two / 10], 25.0),
            "limiting each number to max_norm": ([one, two.clamp(max=2.5)], ...),
            "the norm of the largest gradient": ([one * 2.5 / 4, two * 2.5 / 4], 4.0),
            "the factor 1 / norm instead of max_norm / norm": ([one / 5, two / 5], ...),
            "the norm after the scaling": (..., 2.5),
        },
    )
    assert isinstance(got[1], float), f"expected the norm as a float, got {type(got[1]).__name__}"
    expect(left[0], [one, two], "clip changed the given gradients", rtol=0, atol=0)
    expect(
        student.clip([one, two], 6.0),
        ([one, two], 5.0),
        names,
        mistakes={"scaling up gradients that are short enough": ([1.2 * one, 1.2 * two], ...)},
    )
    expect(student.clip([torch.zeros(3)], 1.0), ([torch.zeros(3)], 0.0), names)


@points(0.5, task="8.6", hint="scale only above max_norm; change nothing in place", hidden=True)
def test_clip_scales_only_what_is_too_long(student):
    given = [randn(3, 4), randn(5, seed=1), randn(2, 1, 2, seed=2)]
    norm = torch.cat([g.flatten() for g in given]).norm().item()
    for max_norm in (0.1, norm * 0.999, norm * 1.001, 100.0):
        (got, got_norm), left = student.probe("in_place", "clip", given, max_norm)
        close(got_norm, norm, "norm")
        expect(got, [gradient * min(1.0, max_norm / norm) for gradient in given])
        expect(left[0], given, "clip changed the given gradients", rtol=0, atol=0)
    expect(student.clip([torch.zeros(2, 2)], 1.0), ([torch.zeros(2, 2)], 0.0))


class Game:
    """A model with the student's Elman cell, and the random weights that it starts with."""

    def __init__(self, student, vocab_size=6, size=4):
        settings = {"vocab_size": vocab_size, "hidden_size": size, "tied": True}
        self.model = student.models.RecurrentLM(cell=student.Cell, kind="elman", **settings)
        self.model.double()
        self.weights = {
            "embedding.weight": randn(vocab_size, size),
            "decoder.bias": randn(vocab_size, seed=1),
            "recurrent.cell.weights.W": randn(size, size, seed=2),
            "recurrent.cell.weights.U": randn(size, size, seed=3),
            "recurrent.cell.weights.b": randn(size, seed=4),
        }
        state = self.model.state_dict()
        tied = {"decoder.weight": self.weights["embedding.weight"]}
        self.model.load_state_dict({name: (self.weights | tied)[name] for name in state})

    def train(self, student, batches, lr, max_norm):
        """Train the student's model for one pass; return the perplexity and the weights."""
        try:
            perplexity = student.train_epoch(self.model, batches, lr, max_norm)
        except StudentError as error:
            if "second time" in error.text or "inplace operation" in error.text:
                error.text = "the gradient goes back into the batch before: detach the state"
            raise
        assert isinstance(perplexity, float), (
            f"train_epoch: expected a float, got {type(perplexity).__name__}"
        )
        state = self.model.state_dict()
        return perplexity, {name: state[name] for name in self.weights}


def twin_epoch(weights, batches, lr, max_norm, mistake=""):
    """The oracle: train on the formulas of the Elman model; return perplexity and weights.

    mistake: one of MISTAKES, to see what it gives.
    """
    weights = {name: value.clone() for name, value in weights.items()}
    h, total, count, old = None, 0.0, 0, None
    for inputs, targets in batches:
        E, b, W, U, d = (value.requires_grad_() for value in weights.values())
        if h is None or mistake == "starting each batch without a state":
            h = torch.zeros(len(inputs), E.shape[1], dtype=E.dtype)
        outputs = []
        for x in E[inputs].unbind(1):
            h = torch.tanh(F.linear(x, W, d) + F.linear(h, U))
            outputs.append(h)
        h = h.detach()
        logits = torch.stack(outputs, 1) @ E.T + b
        summed = mistake == "the sum of the losses instead of their mean"
        loss = F.cross_entropy(
            logits.transpose(1, 2), targets, reduction="sum" if summed else "mean"
        )
        gradients = torch.autograd.grad(loss, [E, b, W, U, d])
        if mistake == "adding the gradients of the batches before; zero_grad is missing" and old:
            gradients = [new + before for new, before in zip(gradients, old, strict=True)]
        old = gradients
        norms = [gradient.norm() for gradient in gradients]
        if mistake != "clipping each gradient alone":
            norms = [torch.stack(norms).norm()] * len(norms)
        factors = [min(1.0, max_norm / norm.item()) for norm in norms]
        if mistake == "leaving out the clipping":
            factors = [1.0] * len(norms)
        rate = {"ignoring lr": 1.0, "adding the gradient instead of subtracting it": -lr}
        rate = rate.get(mistake, lr)
        weights = {
            name: value.detach() - rate * factor * gradient
            for (name, value), factor, gradient in zip(
                weights.items(), factors, gradients, strict=True
            )
        }
        loss = loss.item() / (targets.numel() if summed else 1)
        total, count = total + loss * targets.numel(), count + targets.numel()
    return math.exp(total / count), weights


# Known results of twin_epoch in the test below, and what typical mistakes give: eight of the
# weights (see `fingerprint`) after one pass over batches of 4, 4 and 1 tokens.
KNOWN = {
    (0.8, 0.3): [0.0987, 0.7121, -1.2819, 1.3076, -1.5371, -0.691, 0.7106, 0.9671],
    (0.5, 100.0): [-0.2054, 0.6763, -1.1976, 1.3525, -1.4234, -0.5451, 0.8563, 1.1129],
}
WRONG = {
    (0.8, 0.3): {
        "starting each batch without a state": [
            0.1077, 0.7277, -1.2747, 1.307, -1.5434, -0.688, 0.7139, 0.9703,
        ],
        "adding the gradients of the batches before; zero_grad is missing": [
            0.0671, 0.6459, -1.3086, 1.2396, -1.5069, -0.6552, 0.7465, 1.0029,
        ],
        "leaving out the clipping": [
            -0.4117, 0.738, -1.0772, 1.3583, -1.3768, -0.4485, 0.9527, 1.2095,
        ],
        "clipping each gradient alone": [
            0.0621, 0.7067, -1.2701, 1.2967, -1.4579, -0.5902, 0.8115, 1.0678,
        ],
        "ignoring lr": [0.0626, 0.7108, -1.2685, 1.3071, -1.5244, -0.6753, 0.7263, 0.9828],
        "adding the gradient instead of subtracting it": [
            0.3537, 0.7827, -1.3337, 1.3371, -1.6256, -0.7912, 0.6105, 0.8671,
        ],
        "a softmax before the cross-entropy, which has its own": [
            0.1605, 0.6735, -1.3496, 1.3339, -1.5490, -0.7088, 0.6925, 0.9491,
        ],
        "the inputs as targets": [
            0.1902, 0.6436, -1.4511, 1.3041, -1.5462, -0.6969, 0.7059, 0.9620,
        ],
        "the state of the first batch for all later ones": [
            0.0990, 0.7109, -1.2830, 1.3065, -1.5372, -0.6908, 0.7108, 0.9673,
        ],
        "changing only the first of the parameters": [
            0.1014, 0.7015, -1.2912, 1.3013, -1.5860, -0.7477, 0.6539, 0.9105,
        ],
        "not changing the parameters themselves": [
            0.2387, 0.7335, -1.3219, 1.3148, -1.586, -0.7477, 0.6539, 0.9105,
        ],
    },
    (0.5, 100.0): {
        "the sum of the losses instead of their mean": [
            -0.9476, 1.5879, -0.293, 0.6071, -1.277, -0.3768, 1.0262, 1.2859,
        ],
    },
}  # fmt: skip
KNOWN_PERPLEXITY = 12.2419
WRONG_PERPLEXITY = {
    "weighing all batches alike": 10.6562,
    "returning that of the last batch": 7.02867,
    "returning the mean cross-entropy": 2.50486,
}


def text_batches(rows, lengths, vocab_size=6, seed=0):
    tokens = torch.tensor(draw_tokens(rows * sum(lengths) + 1, vocab_size, seed))
    inputs, targets = (part.view(rows, sum(lengths)) for part in (tokens[:-1], tokens[1:]))
    return list(zip(inputs.split(lengths, 1), targets.split(lengths, 1), strict=True))


def fingerprint(weights):
    """Eight numbers that every mistake changes."""
    U = weights["recurrent.cell.weights.U"]
    return torch.cat([weights["embedding.weight"][2], U[1]]).float()


@points(
    1,
    task="8.7",
    forbidden=("dlcourse.train*", "torch.optim*", "clip_grad*", "torch.nn.utils.clip_grad*"),
    allowed=("dlcourse.models*",),  # the tests train its RecurrentLM
    needs=("8.3", "8.5", "8.6"),
    hint="for each batch: mean cross-entropy, clip, then parameter -= lr * gradient; "
    "pass the state on to the next batch, detached",
)
def test_batches_move_the_weights(student):
    batches = text_batches(2, [4, 4, 1])
    for (lr, max_norm), values in KNOWN.items():
        perplexity, weights = Game(student).train(student, batches, lr, max_norm)
        call = f"train_epoch(model, batches, lr={lr}, max_norm={max_norm}), 4, 4 and 1 words a row"
        mistakes = {name: torch.tensor(wrong) for name, wrong in WRONG[lr, max_norm].items()}
        what = "eight of the weights afterwards"
        expect(
            fingerprint(weights),
            torch.tensor(values),
            what,
            mistakes=mistakes,
            atol=2e-4,
            call=call,
        )
        if lr == 0.8:
            what = "perplexity"
            wrong = WRONG_PERPLEXITY
            expect(perplexity, KNOWN_PERPLEXITY, what, mistakes=wrong, rtol=1e-4, call=call)


@points(
    1,
    task="8.7",
    needs=("8.3", "8.5", "8.6"),
    hint="pass the state to the next batch, but detach it; the last batch can be short",
    hidden=True,
)
def test_the_state_is_carried_and_its_gradient_cut(student):
    game, batches = Game(student), text_batches(3, [4, 4, 4, 1])
    perplexity, weights = game.train(student, batches, 1.0, 0.5)
    expected = twin_epoch(game.weights, batches, 1.0, 0.5)
    expect(perplexity, expected[0], "perplexity")
    expect(weights, expected[1])


@points(
    1,
    task="8.7",
    needs=("8.3", "8.5", "8.6"),
    hint="max_norm and lr are those that were passed; a large max_norm changes nothing",
    hidden=True,
)
def test_epochs_with_and_without_clipping(student):
    for lr, max_norm, rows, seed in ((0.5, 100.0, 2, 1), (2.0, 0.1, 1, 2)):
        game = Game(student, vocab_size=9, size=5)
        batches = text_batches(rows, [3, 5, 2], vocab_size=9, seed=seed)
        for _ in range(2):
            perplexity, weights = game.train(student, batches, lr, max_norm)
            expected = twin_epoch(game.weights, batches, lr, max_norm)
            expect(perplexity, expected[0], "perplexity")
            expect(weights, expected[1])
            game.weights = expected[1]


@points(0.5, task="8.8", hint="divide the logits, then use torch.softmax over the last dimension")
def test_soften_by_hand(student):
    rows = torch.tensor([[0.0, math.log(2), math.log(3)], [0.0, 0.0, -math.log(4)]])
    expected = torch.tensor([[1 / 14, 4 / 14, 9 / 14], [16 / 33, 16 / 33, 1 / 33]])
    got, left = student.probe("in_place", "soften", rows, 0.5)
    expect(
        got,
        expected,
        mistakes={
            "ignoring the temperature": rows.softmax(1),
            "multiplying by the temperature": (rows * 0.5).softmax(1),
            "dividing the probabilities instead of the logits": rows.softmax(1) / 0.5,
            "softmax over the first dimension": (rows / 0.5).softmax(0),
            "the sum over all rows": (rows / 0.5).flatten().softmax(0).view(2, 3),
            "returning the logarithms": expected.log(),
        },
    )
    expect(left[0], rows, "the tensor `logits`, which must not change")
    expect(student.soften(rows[None], 0.5), expected[None])
    expect(student.soften(torch.tensor([2000.0, 0.0]), 2.0), torch.tensor([1.0, 0.0]))


@points(0.5, task="8.8", hint="the sum of each row is 1; use torch.softmax", hidden=True)
def test_soften_of_many_rows(student):
    for shape, temperature in [((7,), 2.0), ((3, 5), 0.7), ((2, 3, 4), 1.3)]:
        logits = randn(*shape)
        expected = logits.double().div(temperature).exp()
        expected = expected / expected.sum(-1, keepdim=True)
        assert_close(student.soften(logits, temperature), expected)
    assert_close(student.soften(torch.tensor([1000.0, 0.0]), 0.5), torch.tensor([1.0, 0.0]))
