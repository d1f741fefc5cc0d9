"""Tests of lab 09, with their points. `student` is the lab under test: a solution or a submission.

The oracles are torch.lstm_cell for one sentence at a time, loops over words, exhaustive search, and
hand arithmetic.
"""

import itertools
import math

import torch

from dlcourse.check import expect, points


def generator(seed):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def refused(function, *args):
    """Check that `function` raises a ValueError for what it cannot take."""
    try:
        got = f"{function(*args)!r}"
    except Exception as error:  # noqa: BLE001 (the student's error, whatever its class)
        got = str(error)
    assert got.startswith("ValueError"), f"expected a ValueError, got {got}"


def plain(returned):
    """A list of numbers, whether they came as a list, a tuple or a tensor."""
    if isinstance(returned, torch.Tensor):
        return returned.tolist()
    if not isinstance(returned, list | tuple):
        return returned
    return [one.item() if isinstance(one, torch.Tensor) else one for one in returned]


def mask_of(lengths, width=None):
    return torch.tensor([[i < n for i in range(width or max(lengths))] for n in lengths])


@points(
    0.5,
    task="9.1",
    forbidden=("pad_sequence", "*nested*", "*padded*", "pack_sequence"),
    hint="fill up to the longest sentence; the mask comes from the lengths",
)
def test_pad_fills_short_sentences_up(student):
    expected = torch.tensor([[3, 8, 8, 8], [5, 8, 6, 2], [8, 1, 8, 8]])
    lengths, left = [1, 4, 2], [[3], [5, 8, 6, 2], [8, 1]]
    mask = mask_of(lengths)
    got, after = student.probe("in_place", "pad", left, 8)
    expect(
        got,
        (expected, mask),
        ("tokens", "mask"),
        mistakes={
            "a mask that is False where a word is": (..., ~mask),
            "comparing the words with `padding`": (..., expected != 8),
            "filling up with 0 instead of `padding`": (expected.where(mask, 0), ...),
            "filling up on the left": (
                torch.tensor([[8, 8, 8, 3], [5, 8, 6, 2], [8, 8, 8, 1]]), ...,
            ),
        },
    )  # fmt: skip
    expect(after[0], left, "the sentences, which must not change")
    expect(student.pad([[4, 2]])[0], torch.tensor([[4, 2]]), "one sentence")
    tokens, mask = student.pad([[1], [2, 3]])
    expect((tokens, mask), (torch.tensor([[1, 0], [2, 3]]), mask_of([1, 2])), ("tokens", "mask"))
    refused(student.pad, [[1, 2], []])
    refused(student.pad, [])


@points(0.5, task="9.1", hint="an empty sentence is refused, wherever it is", hidden=True)
def test_pad_of_random_sentences(student):
    for seed, lengths in enumerate([[3], [1, 1], [2, 7, 1, 7, 4], [5, 2, 1, 1, 1, 3]]):
        numbers = [torch.randint(4, (n,), generator=generator(seed + n)).tolist() for n in lengths]
        tokens = torch.full((len(lengths), max(lengths)), 2)
        for row, sentence in enumerate(numbers):
            for place, word in enumerate(sentence):
                tokens[row, place] = word
        _, left = student.probe("in_place", "pad", numbers, 2)
        expect(left[0], numbers, "the sentences after the call")
        expect(student.pad(numbers, 2), (tokens, mask_of(lengths)))
    for empty in ([[]], [[], [1]], [[1], [2], []]):
        refused(student.pad, empty)


def drawn(model, seed):
    """Load random float64 weights into `model`, so that it cannot choose them; return them."""
    model.double()
    state = {
        name: randn(*tensor.shape, seed=seed + number) / 2
        for number, (name, tensor) in enumerate(model.state_dict().items())
    }
    assert all(value.numel() for value in state.values()), "a weight without numbers"
    model.load_state_dict(state)
    return state


def run(state, name, inputs, first=None):
    """Return the states (h, c) of an LSTM after each row of `inputs` (T, D), one by one."""
    names = [f"{name}.{part}{'_l0' * (name != 'decoder')}" for part in
             ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]  # fmt: skip
    weights = [state[part] for part in names]
    h = inputs.new_zeros(1, weights[1].shape[1])
    h, c = first or (h, h)
    steps = []
    for x in inputs:
        h, c = torch.lstm_cell(x[None], (h, c), *weights)
        steps.append((h, c))
    return steps


def read_alone(state, name, inputs, lengths):
    """Return what `read` gives, from each sentence alone."""
    runs = [run(state, name, row[:n]) for row, n in zip(inputs, lengths, strict=True)]
    outputs = torch.zeros(*inputs.shape[:2], runs[0][0][0].shape[1], dtype=inputs.dtype)
    for row, steps in enumerate(runs):
        outputs[row, : len(steps)] = torch.cat([h for h, _ in steps])
    h, c = (torch.cat([steps[-1][part] for steps in runs]) for part in (0, 1))
    return outputs, h, c


READ = ("outputs", "h", "c")


@points(1, task="9.2", hint="a row ends at its last word: mask.sum(1) says where that is")
def test_read_stops_at_the_last_word(student):
    model = student.TextClassifier(5, 2, 3)
    state = drawn(model, seed=1)
    for lengths, width in [([2, 4, 1], 4), ([3, 1], 5), ([2], 3)]:
        inputs, mask = randn(len(lengths), width, 3, seed=width), mask_of(lengths, width)
        outputs, h, c = read_alone(state, "lstm", inputs, lengths)
        over = read_alone(state, "lstm", inputs, [width] * len(lengths))
        got = student.read(model.lstm, inputs, mask)
        expect(
            got,
            (outputs, h, c),
            READ,
            mistakes={
                "reading the padding, too": over,
                "the state after the padding": (..., over[1], ...),
                "the memory c after the padding": (..., h, over[2]),
                "outputs that are not 0 at the padding": (over[0], h, c),
                "the order outputs, c, h": (outputs, c, h),
                "h with a dimension for the layers": (outputs, h[None], c[None]),
            },
        )
        expect(got[0].dtype, inputs.dtype, "the dtype of the outputs")
    refused(student.read, model.lstm, randn(2, 3, 3), mask_of([3, 0]))
    student.probe("gradients", "read", model.lstm, inputs.requires_grad_(), mask)


@points(0.5, task="9.2", hint="embed the tokens, read them, and give h to the linear layer")
def test_classifier_ignores_the_padding(student):
    model = student.TextClassifier(7, 3, 4)
    state = drawn(model, seed=30)
    tokens, lengths = torch.tensor([[1, 6, 2, 6], [3, 3, 0, 0], [5, 0, 0, 0]]), [4, 2, 1]
    embedded = state["embedding.weight"][tokens]
    outputs, h, c = read_alone(state, "lstm", embedded, lengths)
    over = read_alone(state, "lstm", embedded, [4, 4, 4])[1]

    def logits(features):
        return features @ state["fc.weight"].T + state["fc.bias"]

    expect(
        model(tokens, mask_of(lengths)),
        logits(h),
        "logits",
        mistakes={
            "reading the padding, too": logits(over),
            "the memory c instead of h": logits(c),
            "the mean of the outputs instead of the last one": logits(outputs.mean(1)),
            "leaving out the linear layer": h,
        },
    )
    student.probe("gradients", model, tokens, mask_of(lengths))


@points(1.5, task="9.2", hint="other lengths; no gradient may reach the padding", hidden=True)
def test_read_and_classify_other_sentences(student):
    for size, lengths, width in [(2, [1], 1), (5, [3, 6, 6, 2, 1], 6), (4, [2, 2], 7)]:
        model = student.TextClassifier(9, size + 1, size)
        state = drawn(model, seed=size)
        inputs, mask = randn(len(lengths), width, size, seed=size), mask_of(lengths, width)
        expected = read_alone(state, "lstm", inputs, lengths)
        expect(student.read(model.lstm, inputs, mask), expected, READ)
        slopes = student.probe("gradients", "read", model.lstm, inputs.requires_grad_(), mask)[0]
        total = sum(part.sum() for part in read_alone(state, "lstm", inputs, lengths))
        expect(slopes, torch.autograd.grad(total, inputs)[0], "the gradient of the inputs")
        tokens = torch.randint(9, (len(lengths), width), generator=generator(size))
        leaves = [value.requires_grad_() for value in state.values()]
        h = read_alone(state, "lstm", state["embedding.weight"][tokens], lengths)[1]
        wanted = h @ state["fc.weight"].T + state["fc.bias"]
        expect(model(tokens, mask), wanted.detach(), "logits")
        slopes = student.probe("gradients", model, tokens, mask)
        expect(slopes, list(torch.autograd.grad(wanted.sum(), leaves)), "the gradients")
        refused(student.read, model.lstm, inputs.detach(), mask & False)
        refused(model, tokens, mask & False)


def words_before(targets, end):
    return torch.cat([torch.full((len(targets), 1), end), targets[:, :-1]], 1)


def translate(state, sources, lengths, before, first=None):
    """The logits of the plain translator, one sentence at a time, for given words before each."""
    rows = []
    for source, n, words in zip(sources, lengths, before, strict=True):
        last = run(state, "encoder", state["source_embedding.weight"][source[:n]])[-1]
        steps = run(state, "decoder", state["target_embedding.weight"][words], first or last)
        h = torch.cat([h for h, _ in steps])
        rows.append(h @ state["fc.weight"].T + state["fc.bias"])
    return torch.stack(rows)


@points(0.5, task="9.3", needs=("9.2",), hint="embed the sources, then call your `read`")
def test_encoder_returns_memory_and_state(student):
    sources, lengths = torch.tensor([[1, 4, 2], [3, 0, 0]]), [3, 1]
    for attention in (False, True):
        model = student.Translator(5, 4, 1, attention, 3)
        state = drawn(model, seed=50)
        embedded = state["source_embedding.weight"][sources]
        outputs, h, c = read_alone(state, "encoder", embedded, lengths)
        keys = outputs @ state["U.weight"].T if attention else outputs
        got = model.encode(sources, mask_of(lengths))
        expect(
            got,
            ((outputs, keys), (h, c)),
            mistakes={
                "the order c, h in the state": ((outputs, keys), (c, h)),
                "the order keys, outputs in the memory": ((keys, outputs), (h, c)),
                "outputs twice, without self.U": ((outputs, outputs), (h, c)),
            },
        )


@points(
    1, task="9.3", needs=("9.2",), hint="before the first word stands self.end, then the targets"
)
def test_translator_is_given_the_right_words(student):
    model = student.Translator(6, 5, 2, False, 3)
    state = drawn(model, seed=70)
    sources, lengths = torch.tensor([[1, 4, 2], [5, 3, 0]]), [3, 2]
    targets = torch.tensor([[3, 1, 4, 2], [4, 2, 0, 0]])
    before = words_before(targets, 2)

    def logits(words, first=None):
        return translate(state, sources, lengths, words, first)

    own = before.clone()
    for t in range(1, 4):
        own[:, t] = logits(own)[:, t - 1].argmax(1)
    zeros = (torch.zeros(1, 3).double(), torch.zeros(1, 3).double())
    expect(
        model(sources, mask_of(lengths), targets),
        logits(before),
        "logits",
        mistakes={
            "giving the decoder the word that it must predict": logits(targets),
            "giving the decoder the word that it would write itself": logits(own),
            "beginning with word 0 instead of self.end": logits(words_before(targets, 0)),
            "beginning with a state of zeros": logits(before, zeros),
            "a dimension T in front": logits(before).transpose(0, 1),
        },
    )
    got = model(sources, mask_of(lengths), targets[:, :1])
    expect(got, logits(before)[:, :1], "logits of one word")
    student.probe("gradients", model, sources, mask_of(lengths), targets[:, :1])


@points(0.5, task="9.3", hint="logits[mask] and targets[mask] hold the words alone")
def test_loss_of_the_words_alone(student):
    logits = torch.tensor(
        [[[0.0, 0.0], [0.0, math.log(4)]], [[0.0, math.log(3)], [0.0, math.log(7)]]]
    )
    targets, mask = torch.tensor([[1, 1], [1, 0]]), torch.tensor([[True, False], [True, True]])
    parts = [math.log(2), math.log(4 / 3), math.log(8)]
    expect(
        student.sequence_loss(logits, targets, mask),
        torch.tensor(sum(parts) / 3),
        mistakes={
            "counting the padding, too": torch.tensor((sum(parts) + math.log(5 / 4)) / 4),
            "dividing by all places instead of the words": torch.tensor(sum(parts) / 4),
            "the sum, not the mean": torch.tensor(sum(parts)),
            "the mean over sentences of their means": torch.tensor(
                parts[0] / 2 + (parts[1] + parts[2]) / 4
            ),
        },
    )
    slopes = student.probe("gradients", "sequence_loss", logits.requires_grad_(), targets, mask)[0]
    expect(slopes[0, 1], torch.zeros(2), "the gradient at the padding")


def attended(query, keys, memory, mask, W, v):
    """The context and the weights, with one loop over rows and one over places."""
    contexts, rows = [], []
    for n, q in enumerate(query @ W.T):
        scores = [
            math.exp(sum(math.tanh(a + b) * c for a, b, c in zip(q, keys[n, j], v, strict=True)))
            if mask[n, j]
            else 0.0
            for j in range(keys.shape[1])
        ]
        weights = [score / sum(scores) for score in scores]
        contexts.append(sum(w * m for w, m in zip(weights, memory[n], strict=True)))
        rows.append(torch.tensor(weights).double())
    return torch.stack(contexts), torch.stack(rows)


@points(1, task="9.3", needs=("9.2", "9.4"), hint="with and without attention", hidden=True)
def test_translators_of_other_sizes(student):
    for seed, (lengths, T, sizes) in enumerate([([2, 5, 1], 3, (7, 4, 3)), ([3], 1, (4, 6, 2))]):
        V, W, size = sizes
        sources = torch.randint(V, (len(lengths), max(lengths)), generator=generator(seed))
        targets = torch.randint(W, (len(lengths), T), generator=generator(seed + 1))
        mask = mask_of(lengths)
        for end in (0, W - 1):
            model = student.Translator(V, W, end, False, size)
            state = drawn(model, seed=90 + end)
            leaves = [value.requires_grad_() for value in state.values()]
            expected = translate(state, sources, lengths, words_before(targets, end))
            expect(model(sources, mask, targets), expected.detach(), "logits")
            slopes = student.probe("gradients", model, sources, mask, targets)
            expect(slopes, list(torch.autograd.grad(expected.sum(), leaves)), "the gradients")
        model = student.Translator(V, W, 1, True, size)
        state = drawn(model, seed=120)
        memory, h, c = read_alone(
            state, "encoder", state["source_embedding.weight"][sources], lengths
        )
        keys, logits = memory @ state["U.weight"].T, []
        for words in words_before(targets, 1).unbind(1):
            context, _ = attended(h, keys, memory, mask, state["W.weight"], state["v"])
            x = torch.cat([state["target_embedding.weight"][words], context], 1)
            weights = [state[f"decoder.{p}_{q}"] for p in ("weight", "bias") for q in ("ih", "hh")]
            h, c = torch.lstm_cell(x, (h, c), *weights)
            logits.append(torch.cat([h, context], 1) @ state["fc.weight"].T + state["fc.bias"])
        expect(model(sources, mask, targets), torch.stack(logits, 1), "logits with attention")
        targets, width = targets % 4, 4
        logits = randn(len(lengths), T, width, seed=seed)
        kept = torch.rand(len(lengths), T, generator=generator(seed)) < 0.7
        kept[0, 0] = True
        picked = logits.log_softmax(2).gather(2, targets[..., None])[..., 0]
        expected = -sum(picked[n, t] for n, t in kept.nonzero().tolist()) / int(kept.sum())
        expect(student.sequence_loss(logits, targets, kept), expected, "sequence_loss")
        leaf = logits.clone().requires_grad_()
        slopes = student.probe("gradients", "sequence_loss", leaf, targets, kept)[0]
        wanted = torch.nn.functional.cross_entropy(leaf[kept], targets[kept])
        expect(slopes, torch.autograd.grad(wanted, leaf)[0], "the gradient of sequence_loss")


ATTENTION = ("context", "weights")


@points(
    1,
    task="9.4",
    forbidden=("*attention*", "*Attention*"),
    hint="score_j = v . tanh(W q + k_j); the softmax is over the places of one row",
)
def test_attention_by_hand(student):
    # tanh(0.5) = 0.4621, tanh(1.5) = 0.9051, tanh(-0.5) = -0.4621.
    query, W = torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[0.5, 0.0]]).double()
    keys = torch.tensor([[[0.0], [1.0], [-1.0]]]).double()
    memory = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]]).double()
    v, mask = torch.tensor([2.0]).double(), torch.tensor([[True, True, False]])
    scores = [2 * math.tanh(0.5), 2 * math.tanh(1.5)]
    first = 1 / (1 + math.exp(scores[1] - scores[0]))
    weights = torch.tensor([[first, 1 - first, 0.0]]).double()
    third = torch.tensor([[*scores, 2 * math.tanh(-0.5)]]).double()
    all_three = third.softmax(1)
    linear = torch.tensor([[1.0, 3.0, -torch.inf]]).double().softmax(1)
    got, left = student.probe("in_place", "attend", query, keys, memory, mask, W, v)
    expect(
        got,
        (weights[:, :2], weights),
        ATTENTION,
        mistakes={
            "attending to the padding, too": (..., all_three),
            "0 instead of minus infinity as the score of the padding": (
                ..., third.where(mask, 0).softmax(1),
            ),
            "setting the weights of the padding to 0 after the softmax": (..., all_three * mask),
            "leaving out tanh": (..., linear),
            "the order weights, context": (weights, weights[:, :2]),
            "the mean of the memory instead of the weighted sum": (memory.mean(1), weights),
            "the weighted sum of the keys instead of the memory": (
                (weights[..., None] * keys).sum(1), weights,
            ),
        },
    )  # fmt: skip
    for name, before, after in zip(
        ("query", "keys", "memory", "mask"), (query, keys, memory, mask), left, strict=False
    ):
        expect(after, before, f"attend changed its argument `{name}`", rtol=0, atol=0)
    refused(student.attend, query, keys, memory, mask & False, W, v)
    # Two rows, of which one has no word; two numbers in a key, with v = (2, -1).
    two, tokens = torch.tensor([[1.0, 0.0], [0.5, 1.0]]).double(), mask_of([2, 1])
    keys, W, v = randn(2, 2, 2), randn(2, 2, seed=1), torch.tensor([2.0, -1.0]).double()
    memory = randn(2, 2, 3, seed=2)
    expected = attended(two, keys, memory, tokens, W, v)
    expect(student.attend(two, keys, memory, tokens, W, v), expected, ATTENTION)
    refused(student.attend, two, keys, memory, torch.tensor([[True, True], [False, False]]), W, v)
    leaves = [part.requires_grad_() for part in (two, keys, memory, W, v)]
    student.probe("gradients", "attend", *leaves[:3], tokens, *leaves[3:])


@points(1, task="9.4", hint="N, S, H, A and M may all differ", hidden=True)
def test_attention_of_other_sizes(student):
    for seed, (N, S, H, A, M) in enumerate([(3, 4, 2, 5, 3), (2, 6, 3, 3, 3), (1, 1, 4, 2, 1)]):
        query, keys, memory = randn(N, H, seed=seed), randn(N, S, A), randn(N, S, M, seed=9)
        W, v = randn(A, H, seed=4), randn(A, seed=5)
        mask = mask_of([max(1, S - n) for n in range(N)], S)
        expected = attended(query, keys, memory, mask, W, v)
        expect(student.attend(query, keys, memory, mask, W, v), expected, ATTENTION)
        leaves = [part.clone().requires_grad_() for part in (query, keys, memory, W, v)]
        slopes = student.probe("gradients", "attend", *leaves[:3], mask, *leaves[3:])
        q, k, m, weight, vector = leaves
        scores = torch.einsum("a,nsa->ns", vector, torch.tanh((q @ weight.T)[:, None] + k))
        scores = torch.where(mask, scores.exp(), 0)
        weights = scores / scores.sum(1, keepdim=True)
        total = torch.einsum("ns,nsm->", weights, m) + weights.sum()
        expect(slopes, list(torch.autograd.grad(total, leaves)), "the gradients", atol=1e-9)
    mask = mask_of([2, 1])
    mask[1, 0] = False
    refused(student.attend, randn(2, 3), randn(2, 2, 2), randn(2, 2, 2), mask, randn(2, 3), v[:2])


def table(seed, V, length=8):
    """A step whose probabilities depend on the word before and on the length of the beginning."""
    probabilities = (1.5 * randn(length + 1, V + 1, V, seed=seed)).softmax(2)

    def step(beginnings):
        rows = [probabilities[len(words), words[-1] if words else V] for words in beginnings]
        return torch.stack(rows).log()

    return step


GREEDY = "greedy search, or forgetting the sum over all words"


def by_hand(rows):
    """A step from the probabilities after some beginnings; after all others, 0 is sure."""

    def step(beginnings):
        sure = [0.98] + [0.02 / (len(rows[()]) - 1)] * (len(rows[()]) - 1)
        found = [rows.get(tuple(plain(words)), sure) for words in beginnings]
        return torch.tensor(found).double().log()

    return step


@points(0.5, task="9.5", hint="begin with step([[]]); take the argmax until it is `end`")
def test_greedy_takes_the_best_word_each_time(student):
    asked = []
    told = by_hand({(): [0.1, 0.2, 0.7], (2,): [0.3, 0.6, 0.1]})

    def step(beginnings):
        asked.append([plain(words) for words in beginnings])
        return told(beginnings)

    expect(
        plain(student.greedy(step, 0, 6)),
        [2, 1],
        mistakes={
            "returning `end`, too": [2, 1, 0],
            "the least probable word": [],
        },
    )
    expect(asked, [[[]], [[2]], [[2, 1]]], "the beginnings that step was called with")
    expect(plain(student.greedy(step, 0, 1)), [2], "the words for max_words 1")
    expect(plain(student.greedy(step, 2, 5)), [], "the words if `end` is the best first word")
    refused(student.greedy, step, 0, 0)


@points(1, task="9.5", hint="compare the sums of log probabilities, then divide by the lengths")
def test_beam_search_by_hand(student):
    # Greedy search takes 1 and 2: 0.5 * 0.4. The sentence 2 has the probability 0.4 * 0.9.
    step = by_hand({(): [0.1, 0.5, 0.4], (1,): [0.3, 0.3, 0.4], (2,): [0.9, 0.05, 0.05]})
    expect(
        plain(student.beam_search(step, 0, 3, 1, 0.0)),
        [1, 2],
        "width 1",
        mistakes={"returning `end`, too": [1, 2, 0]},
    )
    expect(
        plain(student.beam_search(step, 0, 3, 2, 0.0)),
        [2],
        "width 2",
        mistakes={
            GREEDY: [1, 2],
            "returning `end`, too": [2, 0],
        },
    )
    expect(
        plain(student.beam_search(step, 0, 1, 3, 0.0)),
        [1],
        "max_words 1",
        mistakes={"dropping the beginnings that are left": []},
    )
    # The empty sentence: log 0.45 = -0.80 for 1 word. The sentence 1: log 0.44 = -0.82 for 2 words.
    step = by_hand({(): [0.45, 0.55], (1,): [0.8, 0.2]})
    expect(plain(student.beam_search(step, 0, 2, 2, 0.0)), [], "alpha 0: the shorter sentence")
    expect(
        plain(student.beam_search(step, 0, 2, 2)),
        [1],
        "alpha 1, the default: the mean over the words",
        mistakes={"not dividing by the length, or not counting `end`": []},
    )
    refused(student.beam_search, step, 0, 2, 0)
    refused(student.beam_search, step, 0, 2, -1)
    refused(student.beam_search, step, 0, 0, 2)


def all_sentences(step, end, V, max_words, alpha):
    """The best sentence of all, by trying all of them."""
    scores = {}
    others = [word for word in range(V) if word != end]
    for length in range(1, max_words + 1):
        for begin in itertools.product(others, repeat=length - 1):
            for last in [end, *(others if length == max_words else [])]:
                words = [*begin, last]
                total = sum(float(step([words[:i]])[0, words[i]]) for i in range(length))
                scores[tuple(words)] = total / length**alpha
    best = max(scores, key=scores.__getitem__)
    return [word for word in best if word != end]


@points(0.25, task="9.5", hint="a beam that keeps everything finds the best sentence of all")
def test_wide_beam_finds_the_best_sentence_of_all(student):
    for seed in range(6):
        V, max_words = 3 + seed % 2, 2 + seed % 2
        step, end, alpha = table(seed, V), seed % V, (0.0, 1.0, 0.6)[seed % 3]
        # A beam as wide as the vocabulary is enough for two words, its square for three.
        expected = all_sentences(step, end, V, max_words, alpha)
        got = student.beam_search(step, end, max_words, V ** (max_words - 1), alpha)
        expect(plain(got), expected, f"V {V}, max_words {max_words}, alpha {alpha}")


def beam(step, end, max_words, width, alpha, mistake=""):
    """The search again, with sorted lists and probabilities instead of their logarithms."""
    kept, done = [((), 1.0)], []
    for _ in range(max_words):
        longer = [
            ((*words, word), p * q)
            for words, p in kept
            for word, q in enumerate(step([list(words)])[0].exp().tolist())
        ]
        longer = sorted(longer, key=lambda pair: -pair[1])
        each = [[pair for pair in longer if pair[0][:-1] == words][:width] for words, _ in kept]
        longer = [*itertools.chain(*each)] if mistake == "each" else longer[:width]
        done += [pair for pair in longer if pair[0][-1] == end]
        kept = [pair for pair in longer if pair[0][-1] != end]
        width -= len(longer) - len(kept) if mistake == "narrower" else 0
        if mistake == "early" and len(done) >= width:
            break
    length = {"times": lambda n: n * alpha}.get(mistake, lambda n: n**alpha)
    words, _ = max(done + kept, key=lambda pair: math.log(pair[1]) / length(len(pair[0])))
    return [word for word in words if word != end]


@points(0.25, task="9.5", hint="each round keeps `width` of the extensions of all beginnings")
def test_narrow_beams(student):
    wrong = {
        "keeping `width` extensions of each beginning": "each",
        "a beam that becomes narrower with each complete sentence": "narrower",
        "stopping when `width` sentences are complete": "early",
        "length * alpha instead of length ** alpha": "times",
    }
    # Tables on which these mistakes change the result.
    for seed, V, width, most in [(67, 4, 2, 4), (67, 3, 2, 5), (8, 3, 2, 5)]:
        alpha = 0.5
        setting = (table(seed, V), seed % V, most, width, alpha)
        mistakes = {name: beam(*setting, mistake) for name, mistake in wrong.items()}
        mistakes[GREEDY] = beam(*setting[:3], 1, alpha)
        got = plain(student.beam_search(*setting))
        expect(got, beam(*setting), f"V {V}, max_words {most}, width {width}, alpha {alpha}",
               mistakes=mistakes)  # fmt: skip


@points(1, task="9.5", hint="other widths, lengths and `end`", hidden=True)
def test_searches_of_random_tables(student):
    for seed, (V, width, most, alpha) in enumerate(
        [(4, 2, 5, 1.0), (6, 3, 4, 0.0), (3, 12, 6, 0.7), (5, 1, 3, 2.0), (4, 4, 1, 1.0),
         (7, 5, 5, 0.3), (2, 3, 7, 1.0), (5, 2, 6, 1.3)]
    ):  # fmt: skip
        step, end = table(20 + seed, V), seed % V
        got = plain(student.beam_search(step, end, most, width, alpha))
        expect(got, beam(step, end, most, width, alpha))
        words = []
        while len(words) < most and int(step([words]).argmax()) != end:
            words = [*words, int(step([words]).argmax())]
        expect(plain(student.greedy(step, end, most)), words)
        expect(
            plain(student.beam_search(step, end, most, width)), beam(step, end, most, width, 1.0)
        )
    for seed, V, most in [(227, 5, 4), (104, 3, 5), (327, 3, 5)]:  # mistakes change their results
        setting = (table(seed, V), seed % V, most, 2, 0.5)
        expect(plain(student.beam_search(*setting)), beam(*setting))
    for wrong in [(step, 0, 3, -1), (step, 0, -2, 3)]:
        refused(student.beam_search, *wrong)
    refused(student.greedy, step, 0, -1)


def matches(translation, reference, n):
    """Cross out each n-gram of the reference that is found."""
    left = [tuple(reference[i : i + n]) for i in range(len(reference) - n + 1)]
    found = 0
    for i in range(len(translation) - n + 1):
        if tuple(translation[i : i + n]) in left:
            left.remove(tuple(translation[i : i + n]))
            found += 1
    return found


def bleu(translations, references):
    """BLEU as a product of fractions."""
    product = 1.0
    for n in range(1, 5):
        grams = sum(max(0, len(t) + 1 - n) for t in translations)
        both = zip(translations, references, strict=True)
        product *= sum(matches(t, r, n) for t, r in both) / grams if grams else 0.0
    c, r = sum(map(len, translations)), sum(map(len, references))
    return 100 * product**0.25 * (math.exp(1 - r / c) if 0 < c < r else 1.0)


@points(
    1,
    task="9.6",
    forbidden=("sacrebleu.*", "nltk.*", "torchtext.*", "torchmetrics.*", "evaluate.*"),
    hint="add up matches and n-grams over the corpus; c < r gives the penalty exp(1 - r / c)",
)
def test_bleu_by_hand(student):
    # The example of Papineni et al. 2002: "the" is in the reference twice.
    many, cat = ["the"] * 7, ["the", "cat", "is", "on", "the", "mat"]
    expect(
        student.clipped_matches(many, cat, 1),
        2,
        mistakes={
            "not clipping": 7,
            "counting each n-gram once": 1,
            "returning the share, not the count": 2 / 7,
        },
    )
    expect(student.clipped_matches(cat, many, 1), 2)
    expect(student.clipped_matches(list("ababc"), list("baba"), 2), 2, "pairs of words")
    expect(student.clipped_matches(["a", "b"], ["a", "b", "c"], 3), 0, "n above the length")
    # Matches of 1 to 4 words: 9 of 10, 6 of 8, 4 of 6, 2 of 4; 10 words against 11.
    translations = [["a", "b", "c", "d", "e"], ["u", "v", "w", "x", "x"]]
    references = [["a", "b", "c", "d", "e"], ["s", "v", "w", "x", "y", "z"]]
    p = [8 / 10, 6 / 8, 4 / 6, 2 / 4]
    score = 100 * math.prod(p) ** 0.25
    penalty = math.exp(1 - 11 / 10)
    each = list(map(bleu, [[t] for t in translations], [[r] for r in references]))
    expect(
        student.bleu(translations, references),
        score * penalty,
        mistakes={
            "leaving out the brevity penalty": score,
            "the mean of the BLEU of each sentence": sum(each) / 2,
            "the arithmetic mean of the p_n": 100 * sum(p) / 4 * penalty,
            "not multiplying by 100": score / 100 * penalty,
            "r / c and c / r swapped": score * math.exp(1 - 10 / 11),
        },
    )
    long = [translations[0] + ["f"]], [references[0]]
    expect(student.bleu(*long), bleu(*long), "a translation that is too long has no penalty")
    expect(student.bleu(references, references), 100.0, "perfect translations")
    expect(student.bleu([["a", "b", "c"]], [["a", "b", "c"]]), 0.0, "no sequence of four words")
    both = [list("ab"), list("abcde")]
    expect(student.bleu(both, both), 100.0, "perfect translations of two and of five words")
    refused(student.bleu, translations, references[:1])
    refused(student.bleu, [], [])


@points(1, task="9.6", hint="corpora of any size, also with empty translations", hidden=True)
def test_bleu_of_random_corpora(student):
    for seed in range(6):
        lengths = torch.randint(0, 14, (2, 5), generator=generator(seed)).clamp(min=seed % 3)
        corpora = [
            [
                torch.randint(3, (n,), generator=generator(seed + 10 * i)).tolist()
                for i, n in enumerate(row)
            ]
            for row in lengths.tolist()
        ]
        translations, references = ([[str(w) for w in s] for s in corpus] for corpus in corpora)
        for t, r in list(zip(translations, references, strict=True))[:2]:
            for n in (1, 2, 3, 4):
                expect(student.clipped_matches(t, r, n), matches(t, r, n))
        expect(student.bleu(translations, references), bleu(translations, references))
    expect(student.bleu([[], []], [["a"], ["b"]]), 0.0)
    expect(student.bleu([list("abcd")], [list("abdc")]), 0.0)
    refused(student.bleu, [], [])
