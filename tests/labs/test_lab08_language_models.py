"""Tests of lab 08, with their points. `student` is the lab under test: a solution or a submission.

The oracles are torch's own cells, counts by hand, and a separate training loop in float64.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch.testing import assert_close

from dlcourse.check import points
from dlcourse.check.explain import difference


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def draw_tokens(num_tokens, vocab_size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(vocab_size, (num_tokens,), generator=generator).tolist()


def close(got, expected, what):
    assert isinstance(got, float), f"expected {what} as a float, got {type(got).__name__}"
    assert math.isclose(got, expected, rel_tol=1e-5), (
        f"{what}: expected {expected:.6g}, got {got:.6g}"
    )


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
def test_counts_of_the_example(student):
    got = student.count_ngrams([7, 8, 7, 8], 2)
    assert got == {(7,): 2, (8,): 2, (7, 8): 2, (8, 7): 1}
    assert student.count_ngrams([4, 4, 4], 3) == {(4,): 3, (4, 4): 2, (4, 4, 4): 1}
    assert student.count_ngrams([5, 6, 5], 1) == {(5,): 2, (6,): 1}


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
def test_trigram_of_the_example(student):
    counts = counted([7, 8, 9, 7, 8, 7], 3)
    p1 = 0.5 * 1 / 6 + 0.5 / 10
    p2 = 0.5 * 1 / 2 + 0.5 * p1
    p3 = 0.5 * 1 / 2 + 0.5 * p2
    got = student.trigram_probability(counts, (7, 8), 9, 6, 10, (0.5, 0.5, 0.5))
    close(got, p3, "P(9 | 7 8)")
    weights = (0.8, 0.5, 0.25)
    p1 = 0.8 * 1 / 6 + 0.2 / 20
    p2 = 0.5 * 1 / 2 + 0.5 * p1  # 8 occurs twice, and once before a 9
    for context, token, expected in [
        ((7, 8), 9, 0.25 * 1 / 2 + 0.75 * p2),
        ((9, 8), 9, p2),  # 9 8 never occurs
        ((7, 5), 9, p1),  # 5 never occurs
        ((5, 7), 7, 0.5 * 0 / 3 + 0.5 * (0.8 * 3 / 6 + 0.2 / 20)),  # 7 never follows 7
        ((5, 5), 4, 0.2 / 20),  # neither 5 nor 4 occurs
    ]:
        got = student.trigram_probability(counts, context, token, 6, 20, weights)
        close(got, expected, f"weights (0.8, 0.5, 0.25), P({token} | {context[0]} {context[1]})")


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
def test_perplexity_of_the_example(student):
    close(student.perplexity([(math.log(8), 30), (math.log(2), 10)]), 4 * 2**0.5, "perplexity")
    close(student.perplexity([(1.0, 1), (2.0, 3), (0.5, 4)]), math.exp(9 / 8), "perplexity")


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
def test_feedforward_of_the_example(student):
    C = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    H = torch.tensor([[0.1, 0.0, 0.0, 0.2]])
    got = student.feedforward(torch.tensor([[1, 0]]), C, H, torch.zeros(1))
    assert_close(got, torch.tensor([[math.tanh(0.1 * 2 + 0.2 * 1)]]))
    C = torch.tensor([[0.0, 1.0], [2.0, 3.0], [-1.0, 0.5]])
    H = torch.tensor([[0.1, 0.0, 0.0, 0.2], [0.0, -0.1, 0.3, 0.0], [1.0, 1.0, 1.0, 1.0]])
    d = torch.tensor([0.5, -0.5, 0.0])
    # x is (-1, 0.5, 2, 3) in the first window and (0, 1, -1, 0.5) in the second.
    expected = torch.tensor([[[1.0, 0.05, 4.5]], [[0.6, -0.9, 0.5]]]).tanh()  # (2, 1, 3)
    assert_close(student.feedforward(torch.tensor([[[2, 1]], [[0, 2]]]), C, H, d), expected)


@points(0.5, task="8.4", hint="windows can have any dimensions before the last one", hidden=True)
def test_feedforward_of_batches_of_windows(student):
    C, d = randn(9, 4), randn(5, seed=2)
    for shape in [(2, 3, 2), (6, 3), (3, 1, 1)]:
        H = randn(5, shape[-1] * 4, seed=1)
        windows = torch.tensor(draw_tokens(math.prod(shape), 9)).view(shape)
        x = torch.cat([C[windows[..., i]] for i in range(shape[-1])], -1)
        assert_close(student.feedforward(windows, C, H, d), torch.tanh(F.linear(x, H, d)))


def cell_of_torch(kind, blocks, N, D, H, seed=0):
    """Return x, h, c, W, U, b, and torch's own cell with these weights."""
    x, h, c = randn(N, D, seed=seed), randn(N, H, seed=seed + 1), randn(N, H, seed=seed + 2)
    W, U = randn(blocks * H, D, seed=seed + 3), randn(blocks * H, H, seed=seed + 4)
    b = randn(blocks * H, seed=seed + 5)
    cell = getattr(torch.nn, kind)(D, H, dtype=torch.float64)
    weights = {"weight_ih": W, "weight_hh": U, "bias_ih": b, "bias_hh": torch.zeros_like(b)}
    cell.load_state_dict(weights)
    return x, h, c, W, U, b, cell


CELLS = ("RNN*", "LSTM*", "GRU*", "rnn*", "lstm*", "gru*", "dlcourse.models*")
SIZES = [(1, 3, 2), (2, 4, 5), (3, 1, 4)]  # N, D, H
VISIBLE_SIZES = (2, 3, 5)


@points(
    1,
    task="8.5",
    forbidden=CELLS,
    hint="tanh(x @ W.T + h @ U.T + b)",
)
@torch.no_grad()
def test_elman_step_is_that_of_torch(student):
    for seed, sizes in enumerate(SIZES):
        x, h, _, W, U, b, cell = cell_of_torch("RNNCell", 1, *sizes, seed=10 * seed)
        assert_close(student.elman_step(x, h, W, U, b), cell(x, h))


@points(
    0.5,
    task="8.5",
    hint="in the example all gates are sigma(0) = 0.5, so c' = 0.5 * 1; the order is i, f, g, o",
)
@torch.no_grad()
def test_lstm_step_of_the_example_and_of_torch(student):
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    h, c = student.lstm_step(zero, zero, one, torch.zeros(4, 1), torch.zeros(4, 1), torch.zeros(4))
    assert_close(c, torch.tensor([[0.5]]))
    assert_close(h, torch.tensor([[0.5 * math.tanh(0.5)]]))
    x, h, c, W, U, b, cell = cell_of_torch("LSTMCell", 4, *VISIBLE_SIZES, seed=100)
    expected_h, expected_c = cell(x, (h, c))
    got_h, got_c = student.lstm_step(x, h, c, W, U, b)
    assert_close(got_c, expected_c)
    assert_close(got_h, expected_h)


@points(0.5, task="8.5", hint="the order of the blocks is i, f, g, o; h' uses c'", hidden=True)
@torch.no_grad()
def test_lstm_step_is_that_of_torch(student):
    for seed, sizes in enumerate(SIZES):
        x, h, c, W, U, b, cell = cell_of_torch("LSTMCell", 4, *sizes, seed=10 * seed)
        got_h, got_c = student.lstm_step(x, h, c, W, U, b)
        expected_h, expected_c = cell(x, (h, c))
        assert_close(got_c, expected_c)
        assert_close(got_h, expected_h)


@points(
    0.5,
    task="8.5",
    hint="with all weights 0, z is 0.5 and n is 0, so h' = 0.5 * h; in n, r multiplies only U h",
)
@torch.no_grad()
def test_gru_step_of_the_example_and_of_torch(student):
    one = torch.ones(1, 1)
    got = student.gru_step(one, one, torch.zeros(3, 1), torch.zeros(3, 1), torch.zeros(3))
    assert_close(got, torch.tensor([[0.5]]))
    x, h, _, W, U, b, cell = cell_of_torch("GRUCell", 3, *VISIBLE_SIZES, seed=100)
    assert_close(student.gru_step(x, h, W, U, b), cell(x, h))


@points(0.5, task="8.5", hint="in n, r multiplies only U h; z multiplies the old h", hidden=True)
@torch.no_grad()
def test_gru_step_is_that_of_torch(student):
    for seed, sizes in enumerate(SIZES):
        x, h, _, W, U, b, cell = cell_of_torch("GRUCell", 3, *sizes, seed=10 * seed)
        assert_close(student.gru_step(x, h, W, U, b), cell(x, h))


@points(0.5, task="8.5", hint="s' = 0.5 * 1 + 0.5 * 2, then h' = sigma(s' + 1 + 1)")
def test_scrn_step_by_hand(student):
    one = torch.ones(1, 1)
    h, s = student.scrn_step(one, one, 2 * one, one, one, one, one, alpha=0.5)
    assert_close(s, torch.tensor([[1.5]]))
    assert_close(h, torch.tensor([[3.5]]).sigmoid())
    x, h = torch.tensor([[1.0, 2, -1], [0, 0, 0]]), torch.tensor([[0.5, -0.5], [0, 0]])
    s = torch.tensor([[1.0, 0, -2, 4], [0, 0, 0, 0]])
    A = torch.tensor([[1.0, 0, 1], [0, 0.5, 0]])
    B = torch.tensor([[1.0, 1, 1], [0, 1, 0], [2, 0, 0], [0, 0, -1]])
    P = torch.tensor([[0.1, 0, 0, 0.1], [0, 0.2, 0.2, 0]])
    R = torch.tensor([[2.0, 1], [0, 2]])
    # B x = (2, 2, 2, 1). P s' = (0.45, -0.1), A x = (0, 1) and R h = (0.5, -1).
    got_h, got_s = student.scrn_step(x, h, s, A, B, P, R, alpha=0.75)
    assert_close(got_s, torch.tensor([[1.25, 0.5, -1, 3.25], [0, 0, 0, 0]]))
    assert_close(got_h, torch.tensor([[0.95, -0.1], [0, 0]]).sigmoid())
    # The default alpha is 0.95.
    _, got_s = student.scrn_step(x, h, s, A, B, P, R)
    assert_close(got_s, torch.tensor([[1.05, 0.1, -1.8, 3.85], [0, 0, 0, 0]]))


@points(0.5, task="8.5", hint="h' uses the new s', not s; alpha is 0.95 by default", hidden=True)
def test_scrn_step_is_its_equations(student):
    for N, D, H, K in [(1, 3, 2, 4), (3, 2, 5, 1)]:
        x, h, s = randn(N, D), randn(N, H, seed=1), randn(N, K, seed=2)
        A, B = randn(H, D, seed=3), randn(K, D, seed=4)
        P, R = randn(H, K, seed=5), randn(H, H, seed=6)
        for alpha in (0.95, 0.3):
            more = () if alpha == 0.95 else (alpha,)
            got_h, got_s = student.scrn_step(x, h, s, A, B, P, R, *more)
            new = (1 - alpha) * F.linear(x, B) + alpha * s
            assert_close(got_s, new)
            assert_close(got_h, (F.linear(new, P) + F.linear(x, A) + F.linear(h, R)).sigmoid())


@points(0.5, task="8.6", forbidden=("clip_grad*",), hint="the common norm of 3 and 4 is 5")
def test_clip_of_the_example(student):
    gradients, norm = student.clip([torch.tensor([3.0]), torch.tensor([[4.0]])], max_norm=1.0)
    close(norm, 5.0, "norm")
    assert_close(gradients[0], torch.tensor([0.6]))
    assert_close(gradients[1], torch.tensor([[0.8]]))
    given = [torch.tensor([[1.0, -2.0], [2.0, 0.0]]), torch.tensor([4.0])]  # norm 5
    (gradients, norm), left = student.probe("in_place", "clip", given, 2.5)
    close(norm, 5.0, "norm")
    assert_close(gradients[0], torch.tensor([[0.5, -1.0], [1.0, 0.0]]))
    assert_close(gradients[1], torch.tensor([2.0]))
    assert torch.equal(left[0][0], given[0]), "clip changed the given gradients"
    gradients, norm = student.clip(given, 6.0)
    close(norm, 5.0, "norm")
    assert_close(gradients[0], given[0])  # below max_norm nothing is scaled
    gradients, _ = student.clip([torch.zeros(3)], 1.0)
    assert_close(gradients[0], torch.zeros(3))


@points(0.5, task="8.6", hint="scale only above max_norm; change nothing in place", hidden=True)
def test_clip_scales_only_what_is_too_long(student):
    given = [randn(3, 4), randn(5, seed=1), randn(2, 1, 2, seed=2)]
    norm = torch.cat([g.flatten() for g in given]).norm().item()
    for max_norm in (0.1, norm * 0.999, norm * 1.001, 100.0):
        (got, got_norm), left = student.probe("in_place", "clip", given, max_norm)
        close(got_norm, norm, "norm")
        for gradient, expected in zip(got, given, strict=True):
            assert_close(gradient, expected * min(1.0, max_norm / norm))
        for gradient, before in zip(left[0], given, strict=True):
            assert torch.equal(gradient, before), "clip changed the given gradients"
    zeros, norm = student.clip([torch.zeros(3)], 1.0)
    assert_close(zeros[0], torch.zeros(3))
    assert norm == 0


class Game:
    """A model with the student's Elman cell and random weights, and an independent twin of it."""

    def __init__(self, student, vocab_size=6, size=4):
        self.size = size
        settings = {"vocab_size": vocab_size, "hidden_size": size, "tied": True}
        self.model = student.models.RecurrentLM(cell=student.Cell, kind="elman", **settings)
        self.model.double()
        state = self.model.state_dict()
        self.twin = {
            "embedding.weight": randn(vocab_size, size),
            "decoder.bias": randn(vocab_size, seed=1),
            "recurrent.cell.weights.W": randn(size, size, seed=2),
            "recurrent.cell.weights.U": randn(size, size, seed=3),
            "recurrent.cell.weights.b": randn(size, seed=4),
        }
        self.twin = {name: value.requires_grad_() for name, value in self.twin.items()}
        tied = {"decoder.weight": self.twin["embedding.weight"]}
        self.model.load_state_dict({name: (self.twin | tied)[name].detach() for name in state})

    def logits(self, inputs, h):
        E, b, W, U, d = self.twin.values()
        outputs = []
        for x in E[inputs].unbind(1):
            h = torch.tanh(F.linear(x, W, d) + F.linear(h, U))
            outputs.append(h)
        return torch.stack(outputs, 1) @ E.T + b, h

    def train_epoch(self, batches, lr, max_norm):
        """Train the twin for one pass; return its perplexity."""
        h = randn(len(batches[0][0]), self.size) * 0
        total, count = 0.0, 0
        for inputs, targets in batches:
            logits, h = self.logits(inputs, h.detach())
            loss = F.cross_entropy(logits.transpose(1, 2), targets)
            gradients = torch.autograd.grad(loss, list(self.twin.values()))
            norm = torch.cat([g.flatten() for g in gradients]).norm()
            for value, gradient in zip(self.twin.values(), gradients, strict=True):
                value.data -= lr * gradient * min(1.0, max_norm / norm.item())
            total, count = total + loss.item() * targets.numel(), count + targets.numel()
        return math.exp(total / count)

    def compare(self, student, batches, lr, max_norm):
        what = f"after {len(batches)} batches" if len(batches) > 1 else "after one batch"
        got = student.train_epoch(self.model, batches, lr, max_norm)
        expected = self.train_epoch(batches, lr, max_norm)
        close(got, expected, f"perplexity {what}")
        state = self.model.state_dict()
        for name, value in self.twin.items():
            assert torch.allclose(state[name], value), (
                f"{what}, lr {lr}, max_norm {max_norm}: {name}: {difference(state[name], value)}"
            )


def text_batches(rows, lengths, vocab_size=6):
    tokens = torch.tensor(draw_tokens(rows * sum(lengths) + 1, vocab_size))
    inputs, targets = (part.view(rows, sum(lengths)) for part in (tokens[:-1], tokens[1:]))
    return list(zip(inputs.split(lengths, 1), targets.split(lengths, 1), strict=True))


@points(
    1,
    task="8.7",
    forbidden=("dlcourse.train*", "SGD"),
    needs=("8.3", "8.6"),
    hint="for each batch: mean cross-entropy, clip, then parameter -= lr * gradient; "
    "pass the state on to the next batch, detached",
)
def test_batches_move_the_weights(student):
    for lr, max_norm in ((0.5, 100.0), (2.0, 0.1)):
        Game(student).compare(student, text_batches(2, [5]), lr, max_norm)
    Game(student).compare(student, text_batches(2, [4, 4, 1]), 0.8, 0.3)


@points(
    1,
    task="8.7",
    needs=("8.3", "8.6"),
    hint="pass the state to the next batch, but detach it; the last batch can be short",
    hidden=True,
)
def test_the_state_is_carried_and_its_gradient_cut(student):
    Game(student).compare(student, text_batches(3, [4, 4, 4, 1]), 1.0, 0.5)


@points(
    1,
    task="8.7",
    needs=("8.3", "8.6"),
    hint="the text 0 1 2 3 4 5 0 1 ... must be easy to learn",
    hidden=True,
)
def test_training_learns_a_text_that_repeats(student):
    game, tokens = Game(student, size=8), torch.arange(121) % 6
    inputs, targets = tokens[:-1].view(2, 60), tokens[1:].view(2, 60)
    batches = list(zip(inputs.split(10, 1), targets.split(10, 1), strict=True))
    perplexities = [student.train_epoch(game.model, batches, 1.0, 0.5) for _ in range(25)]
    assert perplexities[-1] < 1.5 < perplexities[0], (
        f"expected a perplexity below 1.5 after 25 passes, got {perplexities[-1]:.2f}"
    )
    # Measured here with the learned weights and a new state.
    state = game.model.state_dict()
    for name, value in game.twin.items():
        value.data = state[name]
    logits, _ = game.logits(inputs, randn(2, 8) * 0)
    right = (logits.argmax(2) == targets).double().mean().item()
    assert right > 0.95, f"expected over 95 % right predictions, got {right:.0%}"


@points(0.5, task="8.8", hint="divide the logits, then use torch.softmax over the last dimension")
def test_soften_of_the_example(student):
    logits = torch.tensor([0.0, math.log(4)])
    assert_close(student.soften(logits, temperature=0.5), torch.tensor([1 / 17, 16 / 17]))
    assert_close(student.soften(logits, 1.0), torch.tensor([0.2, 0.8]))
    rows = torch.tensor([[0.0, math.log(2), math.log(3)], [0.0, 0.0, -math.log(4)]])
    expected = torch.tensor([[1 / 14, 4 / 14, 9 / 14], [16 / 33, 16 / 33, 1 / 33]])
    assert_close(student.soften(rows, 0.5), expected)
    assert_close(student.soften(rows[None], 0.5), expected[None])
    assert_close(student.soften(torch.tensor([2000.0, 0.0]), 2.0), torch.tensor([1.0, 0.0]))


@points(0.5, task="8.8", hint="the sum of each row is 1; use torch.softmax", hidden=True)
def test_soften_of_many_rows(student):
    for shape, temperature in [((7,), 2.0), ((3, 5), 0.7), ((2, 3, 4), 1.3)]:
        logits = randn(*shape)
        expected = logits.double().div(temperature).exp()
        expected = expected / expected.sum(-1, keepdim=True)
        assert_close(student.soften(logits, temperature), expected)
    assert_close(student.soften(torch.tensor([1000.0, 0.0]), 0.5), torch.tensor([1.0, 0.0]))
