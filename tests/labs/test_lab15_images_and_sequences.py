"""Tests of lab 15, with their points. `student` is the lab under test: a solution or a submission.

The oracles are arithmetic by hand, loops over words and angles, and torch.gru_cell and
torch.lstm_cell, which read one word or the neighborhood of one pixel at a time.
"""

import math

import torch
import torch.nn.functional as F

from dlcourse.check import expect, points


def generator(seed):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def rand(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=generator(seed))


def refused(function, *args):
    """Check that `function` raises a ValueError for what it cannot take."""
    try:
        got = f"{function(*args)!r}"
    except Exception as error:  # noqa: BLE001 (the student's error, whatever its class)
        got = str(error)
    assert got.startswith("ValueError"), f"expected a ValueError, got {got}"


def plain(returned):
    """Nested lists of numbers, whether they came as lists, tuples or tensors."""
    if isinstance(returned, torch.Tensor):
        return returned.tolist()
    return [plain(one) for one in returned] if isinstance(returned, list | tuple) else returned


def drawn(model, seed):
    """Give a student's model random weights of float64; return them."""
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    state = {
        name: randn(*shape, seed=seed + number) * (0.8 if len(shape) > 1 else 0.5)
        for number, (name, shape) in enumerate(shapes.items())
    }
    assert all(value.numel() for value in state.values()), "a weight without numbers"
    model.double()
    model.load_state_dict(state)
    return state


def grams(words, n):
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def matches(caption, references, n):
    most = {g: max(grams(r, n).count(g) for r in references) for g in grams(caption, n)}
    return sum(min(grams(caption, n).count(g), count) for g, count in most.items())


def bleu(captions, references, pick=min):
    """pick: min or max, of two references that are equally near in length."""
    c, r, p = sum(map(len, captions)), 0, []
    for caption, some in zip(captions, references, strict=True):
        gap = min(abs(len(one) - len(caption)) for one in some)
        r += pick(len(one) for one in some if abs(len(one) - len(caption)) == gap)
    for n in (1, 2, 3, 4):
        found = sum(matches(*both, n) for both in zip(captions, references, strict=True))
        if not found:
            return 0.0
        p.append(found / sum(len(grams(words, n)) for words in captions))
    return 100 * math.prod(p) ** 0.25 * (1 if c > r else math.exp(1 - r / c))


SCORES = ("sacrebleu.*", "nltk.*", "torchtext.*", "torchmetrics.*", "evaluate.*")


@points(1, task="15.1", hint="the larger count of the references, then the smaller of the two")
def test_matches_of_several_references(student):
    caption = ["a", "a", "a", "a", "small", "red", "red", "red", "circle"]
    references = [
        ["a", "red", "circle", "a", "blue", "red", "small"],
        ["small", "red", "red", "red", "a", "circle"],
    ]
    expect(
        student.clipped_matches(caption, references, 1),
        7,  # a 2, small 1, red 3, circle 1
        mistakes={
            "the sum over the references": 12,
            "not clipping": 9,
            "one reference alone, or leaving out the last n-gram": 6,
            "counting each n-gram once": 4,
            "the smaller count of the references": 5,
            "adding the counts of the references": 8,
        },
    )
    expect(student.clipped_matches(caption, references, 2), 4, "pairs of words")
    expect(student.clipped_matches(caption, references, 3), 2, "three words")
    expect(student.clipped_matches(["ab", "c"], [["a", "bc"]], 2), 0, "ab c and a bc")
    expect(student.clipped_matches(["a"], [["b"], ["a", "c"]], 2), 0, "n above the length")
    expect(student.clipped_matches([], [["b"]], 1), 0, "a caption without words")
    expect(student.clipped_matches(list("abab"), [list("xab"), list("ba")], 2), 2, "pairs")


@points(
    1,
    task="15.1",
    forbidden=SCORES,
    hint="r adds up the lengths of the references that are nearest in length",
)
def test_bleu_of_several_references_by_hand(student):
    captions = [["a", "b", "c", "d", "e"], ["u", "v", "w", "x", "x"]]
    references = [
        [
            ["b", "c", "d", "e", "f", "g", "h"],
            ["z", "a", "b", "c", "d", "e", "g", "g"],
        ],  # the nearest has 7 words
        [["u", "v", "w", "x"], ["p", "q", "x", "y", "z", "w"]],  # 4 and 6 words are equally near
    ]
    p = [9 / 10, 7 / 8, 5 / 6, 3 / 4]  # of x x, one x counts
    score, r = 100 * math.prod(p) ** 0.25, 7 + 4
    each = [bleu([c], [some]) for c, some in zip(captions, references, strict=True)]

    def scored(r):
        return score * min(1, math.exp(1 - r / 10))

    long = bleu([list("abcde")], [[list("abcd")]])
    wrong = {
        "r / c and c / r swapped": long * math.exp(1 - 5 / 4),
        "a factor exp(1 - r / c) although c is above r": long * math.exp(1 - 4 / 5),
        "not multiplying by 100": long / 100,
    }
    got = student.bleu([list("abcde")], [[list("abcd")]])
    expect(got, long, "c above r", mistakes=wrong)
    expect(
        student.bleu(captions, references),
        scored(r),
        mistakes={
            "leaving out the brevity penalty": score,
            "the longer one of two references that are equally near": scored(13),
            "the lengths of the longest references": scored(8 + 6),
            "the lengths of all references": scored(25),
            "the mean of the BLEU of each caption": sum(each) / 2,
            "the first reference alone": bleu(captions, [some[:1] for some in references]),
            "the last reference alone": bleu(captions, [some[-1:] for some in references]),
            "not multiplying by 100": scored(r) / 100,
            "r / c and c / r swapped": score * math.exp(1 - 10 / r),
            "the arithmetic mean of the p_n": 25 * sum(p) * scored(r) / score,
        },
    )
    near = [["a", "b", "c", "d", "e", "f"], ["a", "b", "c", "d"]]  # the longer one comes first
    later = {"the first of two references that are equally near": 100 * math.exp(1 - 6 / 5)}
    expect(student.bleu([near[0][:5]], [near]), 100.0, mistakes=later)
    two = [[["a", "b", "c", "d", "e", "f"], ["a", "b", "c", "d", "x", "y", "z", "z"]]]
    expect(student.bleu([["a", "b", "c", "d", "e", "f"]], two), 100.0, "one of the references")
    far = [[["a", "b", "c", "d", "g", "h", "i", "j", "k"], ["a", "x"]]]  # 9 and 2 words
    expect(student.bleu([list("abcd")], far), 100.0, "a reference that is shorter, and nearer")
    far = [[["a", "b", "c", "d", "g"], ["x"]]]
    expect(student.bleu([list("abcd")], far), 100 * math.exp(1 - 5 / 4), "nearer, not shorter")
    expect(student.bleu([list("abc")], [[list("abc")]]), 0.0, "no sequence of four words")
    both = [list("ab"), list("abcde")]
    expect(student.bleu(both, [[one] for one in both]), 100.0, "two words and five words")
    refused(student.bleu, captions, references[:1])
    refused(student.bleu, captions[:1], [[]])
    refused(student.bleu, [], [])


@points(1, task="15.1", hint="any number of references", hidden=True)
def test_bleu_of_random_captions(student):
    for seed in range(3):
        draw = generator(seed)

        def words(low, draw=draw):
            n = int(torch.randint(low, 12, (), generator=draw))
            return [str(w) for w in torch.randint(3, (n,), generator=draw).tolist()]

        captions = [words(seed % 3) for _ in range(5)]
        references = [[words(1) for _ in range(1 + (seed + i) % 4)] for i in range(5)]
        for n in (1, 2, 3, 4):
            for both in zip(captions[:3], references[:3], strict=True):
                expect(student.clipped_matches(*both, n), matches(*both, n))
        expect(student.bleu(captions, references), bleu(captions, references))
    expect(student.bleu([[], []], [[["a"]], [["b"]]]), 0.0)
    expect(student.bleu([list("abcd")], [[list("abdc"), list("dcba")]]), 0.0)
    expect(student.clipped_matches(["a", "bc"], [["ab", "c"]], 2), 0)
    expect(student.bleu([list("xyx")], [[list("xyx"), ["y"]]]), 0.0)
    for captions, references in [([["a"], ["b"]], [[["a"]], []]), ([["a"]], []), ([], [])]:
        refused(student.bleu, captions, references)


@points(1, task="15.2", hint="divide by the lengths; the largest cosine comes first")
def test_nearest_by_angle(student):
    known = torch.tensor([[8.0, 6.0], [0.0, 1.0], [0.0, 0.0], [-9.0, 1.0], [1.0, -1.0]]).double()
    features = torch.tensor([[0.1, 3.0], [0.5, 0.4], [-1.0, -3.0]]).double()
    right = torch.tensor([[1, 0, 3], [0, 1, 4], [4, 3, 2]])
    flat, far = features @ known.T, torch.cdist(features, known)
    expect(
        student.nearest(features, known, 1),
        right[:, :1],
        mistakes={
            "products that are not divided by the lengths of the rows": flat.argmax(1, True),
            "the smallest distance instead of the angle": far.argmin(1, True),
            "the most different rows": torch.tensor([[4], [3], [1]]),
            "a row instead of a column": right[:, 0],
        },
    )
    expect(student.nearest(features, known), right[:, :1], "without count")
    expect(student.nearest(features, known, 3), right, "three of them")
    order = torch.tensor([[1, 0, 3, 2, 4], [0, 1, 4, 2, 3], [4, 3, 2, 0, 1]])
    expect(student.nearest(features, known, 5), order, "all of them; one of them is 0")
    refused(student.nearest, features, known, 0)
    refused(student.nearest, features, known, 6)


@points(1, task="15.2", hint="add up the similarities with all others, not with itself")
def test_consensus_of_captions(student):
    table = [
        [9.0, 1.0, 2.0, 3.0],  # 6
        [7.0, 0.0, 1.0, 1.0],  # 9
        [1.0, 4.0, 9.5, 3.5],  # 8.5
        [5.0, 2.0, 2.0, 1.0],  # 9
    ]
    captions = [["w0", "x"], ["w1"], ["w2"], ["w3", "y", "z"]]

    def similarity(one, other):
        return table[int(one[0][1:])][int(other[0][1:])]

    expect(
        student.consensus(captions, similarity),
        1,
        mistakes={
            "comparing a caption with itself, too": 2,
            "the caption that agrees least, or similarity(other, caption)": 0,
            "the last of several": 3,
            "returning the caption": captions[1],
        },
    )
    expect(student.consensus(captions[2:], similarity), 0, "two captions")
    expect(student.consensus(captions[:1], similarity), 0, "one caption")
    # Not with itself, but with another one that is the same.
    twins = [["w0"], ["w1"], ["w3"], ["w1"]]
    sums = [1 + 3 + 1, 7 + 1 + 0, 5 + 2 + 2, 7 + 0 + 1]
    expect(student.consensus(twins, similarity), sums.index(max(sums)), "captions w0 w1 w3 w1")
    twins = [["w2"], ["w1"], ["w2"], ["w0"]]
    expect(student.consensus(twins, similarity), 0, "captions w2 w1 w2 w0")
    refused(student.consensus, [], similarity)


@points(1, task="15.2", hint="other features, other captions", hidden=True)
def test_neighbors_of_random_features(student):
    for seed, (n, m, d) in enumerate([(1, 4, 3), (5, 9, 7), (3, 1, 2)]):
        features, known = randn(n, d, seed=seed), randn(m, d, seed=seed + 10)
        known = known * torch.arange(1, m + 1)[:, None] ** 2
        angles = [[float(a @ b / b.norm()) for b in known] for a in features]
        order = torch.tensor([sorted(range(m), key=lambda j, row=row: -row[j]) for row in angles])
        for count in {1, m, (m + 1) // 2}:
            expect(student.nearest(features, known, count), order[:, :count])
        expect(student.nearest(features.float(), known.float()), order[:, :1])
    for n in (2, 5):
        captions = [["x", str(i)] for i in torch.randperm(n, generator=generator(n)).tolist()]
        table = torch.randint(4, (n, n), generator=generator(n + 1))

        def similarity(one, other, table=table):
            return int(table[int(one[1]), int(other[1])])

        order = [int(c[1]) for c in captions]
        sums = [sum(int(table[i, j]) for j in order if j != i) for i in order]
        expect(student.consensus(captions, similarity), sums.index(max(sums)))
    alike = {"aa": 9, "ab": 1, "ba": 4}
    got = student.consensus([["a"], ["b"], ["a"]], lambda one, other: alike[one[0] + other[0]])
    expect(got, 0, "captions a, b and a")
    expect(student.consensus([["a"], ["b"]], lambda one, other: 2), 0, "equal sums")
    known, features = torch.tensor([[0.0, 0], [-1, -1], [4, 2]]).double(), torch.ones(1, 2).double()
    expect(student.nearest(features, known, 3), torch.tensor([[2, 0, 1]]), "a known row of 0")
    for count in (0, 4):
        refused(student.nearest, features, known, count)


def gru(state, inputs, h):
    weights = [state[f"gru.{kind}_{way}_l0"] for kind in ("weight", "bias") for way in ("ih", "hh")]
    return torch.gru_cell(inputs, h, *weights)


def linear(state, name, inputs):
    return inputs @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def decode(state, features, before, at_each_word, mistake=""):
    """The logits after each of the words before (N, T), and the last state (N, H)."""
    code = linear(state, "image", features)
    code = code if mistake == "no tanh" else torch.tanh(code)
    h = code if at_each_word == (mistake == "other start") else torch.zeros_like(code)
    logits = []
    for number, word in enumerate(before.unbind(1)):
        inputs = state["embedding.weight"][word]
        if at_each_word:
            told = torch.zeros_like(code) if mistake == "once" and number else code
            parts = [told, inputs] if mistake == "code first" else [inputs, told]
            inputs = torch.cat(parts, 1)
        h = gru(state, inputs, h)
        logits.append(linear(state, "fc", h))
    return torch.stack(logits, 1), h


def before_of(captions, end):
    return torch.cat([torch.full((len(captions), 1), end), captions[:, :-1]], 1)


@points(0.5, task="15.3", hint="the code is the state at the start, or 0")
def test_decoder_begins_with_the_image(student):
    features = randn(3, 5, seed=1)
    for at_each_word in (False, True):
        model = student.CaptionDecoder(5, 7, 2, at_each_word, 4)
        state = drawn(model, seed=10)
        plain_code = linear(state, "image", features)
        code = torch.tanh(plain_code)
        zeros = torch.zeros(1, 3, 4).double()
        first, other = (zeros, code[None]) if at_each_word else (code[None], zeros)
        expect(
            model.begin(features),
            (code, first),
            ("code", "state"),
            mistakes={
                "forgetting tanh": (plain_code, ...),
                "code and state swapped": (first, code),
                "a state without its first dimension": (code, first[0]),
                "starting as the other kind of decoder does": (code, other),
            },
        )
        refused(model.begin, features[:, :4])
        refused(model.begin, features[0])
        refused(model.begin, features[None])


@points(1.5, task="15.3", hint="the words before: self.end, then all but the last one")
def test_decoder_is_given_the_right_words(student):
    features, captions = randn(2, 5, seed=2), torch.tensor([[3, 1, 6, 2], [4, 4, 2, 0]])
    for at_each_word in (False, True):
        model = student.CaptionDecoder(5, 7, 2, at_each_word, 4)
        state = drawn(model, seed=30)
        before = before_of(captions, 2)

        def logits(words, mistake="", state=state, at_each_word=at_each_word):
            return decode(state, features, words, at_each_word, mistake)[0]

        own = before.clone()
        for t in range(1, 4):
            own[:, t] = logits(own)[:, t - 1].argmax(1)
        last = linear(state, "fc", torch.zeros(2, 4).double())
        expect(
            model(features, captions),
            logits(before),
            "logits",
            mistakes={
                "giving the decoder the word that it must predict": logits(captions),
                "giving the decoder the word that it would write itself": logits(own),
                "beginning with word 0 instead of self.end": logits(before_of(captions, 0)),
                "forgetting tanh": logits(before, "no tanh"),
                "the state of the other kind of decoder": logits(before, "other start"),
                "telling the image at the first word alone": logits(before, "once"),
                "the code in front of the embedding": logits(before, "code first"),
                "a dimension T in front": logits(before).transpose(0, 1),
                "logits without the GRU": last[:, None].expand(-1, 4, -1),
            },
        )
        expect(model(features, captions[:, :1]), logits(before[:, :1]), "logits of one word")
        code, first = model.begin(features)
        got = model.predict(captions, code, first)
        wanted, h = decode(state, features, captions, at_each_word)
        expect(got, (wanted, h[None]), ("logits", "state"))
        # From a state in the middle of a caption.
        got = model.predict(captions[:, 1:], code, decode(
            state, features, captions[:, :1], at_each_word
        )[1][None])  # fmt: skip
        expect(got, (wanted[:, 1:], h[None]), ("logits after word 1", "state"))
        student.probe("gradients", model, features, captions)


@points(1, task="15.3", hint="other sizes, one image, one word", hidden=True)
def test_decoders_of_other_sizes(student):
    for seed, (n, d, v, size, t) in enumerate([(1, 3, 4, 2, 1), (4, 6, 9, 5, 6)]):
        for at_each_word in (True, False):
            end = v - 1
            model = student.CaptionDecoder(d, v, end, at_each_word, size)
            state = drawn(model, seed=50 + seed)
            features = randn(n, d, seed=seed)
            captions = torch.randint(v, (n, t), generator=generator(seed))
            wanted, _ = decode(state, features, before_of(captions, end), at_each_word)
            expect(model(features, captions), wanted)
            leaf = features.clone().requires_grad_()
            twin = features.clone().requires_grad_()
            slopes = student.probe("gradients", model, leaf, captions)[0]
            total = decode(state, twin, before_of(captions, end), at_each_word)[0].sum()
            expect(slopes, torch.autograd.grad(total, twin)[0], "gradient of the features")
            refused(model.begin, randn(n, d + 1))


def writer(student, seed, end=1, at_each_word=True, n=6, vocabulary=6):
    """A student's decoder whose captions end at different words; its weights; features."""
    model = student.CaptionDecoder(4, vocabulary, end, at_each_word, 5)
    state = drawn(model, seed)
    state = {name: value * (3 if "embedding" in name else 1) for name, value in state.items()}
    model.load_state_dict(state)
    return model, state, 2 * randn(n, 4, seed=seed + 1)


def captions_by(state, features, end, at_each_word, max_words):
    """Greedy captions, one image at a time, and reading all words from the start each time."""
    found = []
    for row in features:
        words = []
        while len(words) < max_words:
            before = torch.tensor([[end, *words]])
            word = int(decode(state, row[None], before, at_each_word)[0][0, -1].argmax())
            if word == end:
                break
            words.append(word)
        found.append(words)
    return found


def wandering(state, features, end, at_each_word, count, first=None, forget=False):
    """Greedy captions that do not stop at their end, from the word `first` on."""
    found = []
    for row in features:
        words = [end if first is None else first]
        for _ in range(count):
            before = torch.tensor([words[-1:] if forget else words])
            words.append(int(decode(state, row[None], before, at_each_word)[0][0, -1].argmax()))
        found.append(words[1:])
    return found


def until(rows, end):
    return [row[: row.index(end)] if end in row else row for row in rows]


# Seeds of decoders some of whose captions end at once, and some never.
WRITERS = [(80, False), (51, True)]


@points(
    1,
    task="15.4",
    needs=("15.3",),
    hint="each word is read before the next one; cut a row at its first end",
)
def test_captions_that_end_at_different_words(student):
    for seed, at_each_word in WRITERS:
        model, state, features = writer(student, seed, at_each_word=at_each_word)
        right = captions_by(state, features, 1, at_each_word, 9)
        lengths = set(map(len, right))
        assert len(lengths) > 2, "the test's own captions"
        assert {0, 9} < lengths, "the test's own captions"
        shortest = [words[: min(map(len, right))] for words in right]
        ended = [[*words, 1][:9] for words in right]
        begun = [[1, *words] for words in right]
        zero = wandering(state, features, 1, at_each_word, 9, first=0)
        forgetful = wandering(state, features, 1, at_each_word, 9, forget=True)
        full = wandering(state, features, 1, at_each_word, 9)
        going_on = [[word for word in words if word != 1] for words in full]
        expect(
            plain(student.write(model, features, 9)),
            right,
            mistakes={
                "keeping the end": ended,
                "keeping the word before the first one": begun,
                "stopping all captions at the first end": shortest,
                "beginning with word 0 instead of decoder.end": until(zero, 1),
                "forgetting the state": until(forgetful, 1),
                "going on behind the end": going_on,
            },
        )
        expect(plain(student.write(model, features[:1], 9)), right[:1], "one image")
        for most in (3, 1):
            cut = [words[:most] for words in right]
            expect(plain(student.write(model, features, most)), cut, f"max_words {most}")
        refused(student.write, model, features, 0)
        refused(student.write, model, features, -2)


@points(1, task="15.4", needs=("15.3",), hint="other decoders, other lengths", hidden=True)
def test_captions_of_other_decoders(student):
    for seed in (17, 43):
        for at_each_word in (False, True):
            model, state, features = writer(
                student, seed, end=seed % 5, at_each_word=at_each_word, n=seed % 4
            )
            for most in (1, 7):
                right = captions_by(state, features, seed % 5, at_each_word, most)
                expect(plain(student.write(model, features, most)), right)
            right = captions_by(state, features, seed % 5, at_each_word, 20)
            expect(plain(student.write(model, features)), right, "without max_words")
    for seed, at_each_word in [(102, False), (130, True)]:  # these go on behind their end
        model, state, features = writer(student, seed, end=2, at_each_word=at_each_word, n=4)
        right = captions_by(state, features, 2, at_each_word, 7)
        expect(plain(student.write(model, features, 7)), right)
    refused(student.write, model, features, 0)


def around(maps, k):
    """The neighborhood of each pixel, one row each: (N H W, channels k k)."""
    return F.unfold(maps, k, padding=k // 2).transpose(1, 2).flatten(0, 1)


def stepped(x, h, c, weight, bias, order=(0, 1, 2, 3)):
    """The step of a convolutional LSTM, by torch.lstm_cell at each pixel. order: of the gates."""
    N, D, H, W = h.shape
    rows = around(torch.cat([x, h], 1), weight.shape[-1])
    weight = torch.cat([weight.chunk(4)[place] for place in order]).flatten(1)
    bias = torch.cat([bias.chunk(4)[place] for place in order])
    c = c.permute(0, 2, 3, 1).reshape(-1, D)
    zeros, none = torch.zeros_like(c), torch.zeros(4 * D, D).to(weight)
    found = torch.lstm_cell(rows, (zeros, c), weight, none, bias, torch.zeros_like(bias))
    return tuple(part.reshape(N, H, W, D).permute(0, 3, 1, 2) for part in found)


@points(1, task="15.5", forbidden=("*lstm*", "*LSTM*"), hint="the four parts are i, f, g, o")
def test_step_of_a_convolutional_lstm(student):
    x, h, c = randn(2, 3, 4, 5, seed=1), randn(2, 2, 4, 5, seed=2), randn(2, 2, 4, 5, seed=3)
    for k in (3, 1, 5):
        weight, bias = randn(8, 5, k, k, seed=4) / k, randn(8, seed=5)
        right = stepped(x, h, c, weight, bias)
        swapped = torch.cat([weight[:, 3:], weight[:, :3]], 1)
        gates = F.conv2d(torch.cat([x, h], 1), weight, bias, padding=k // 2).chunk(4, 1)
        old = gates[3].sigmoid() * c.tanh()
        expect(
            student.conv_lstm_step(x, (h, c), weight, bias),
            right,
            ("h", "c"),
            mistakes={
                "the order c, h": (right[1], right[0]),
                "the order i, f, o, g": stepped(x, h, c, weight, bias, (0, 1, 3, 2)),
                "the order f, i, g, o": stepped(x, h, c, weight, bias, (1, 0, 2, 3)),
                "h in front of x": stepped(x, h, c, swapped, bias),
                "h from the old c": (old, right[1]),
                "forgetting the bias": stepped(x, h, c, weight, 0 * bias),
                "forgetting tanh(c')": (gates[3].sigmoid() * right[1], right[1]),
                "sigmoid instead of tanh for g": (
                    ...,
                    gates[1].sigmoid() * c + gates[0].sigmoid() * gates[2].sigmoid(),
                ),
            },
        )
    many = randn(1, 5, 2, 2, seed=11), randn(1, 5, 2, 2, seed=12)
    given = x[:1, :, :2, :2], randn(20, 8, 1, 1, seed=13), randn(20, seed=14)
    wanted = stepped(given[0], *many, *given[1:])
    expect(student.conv_lstm_step(given[0], many, *given[1:]), wanted, ("h", "c"))
    one = randn(2, 2, 1, 1, seed=7), randn(2, 2, 1, 1, seed=8)
    weight = randn(8, 3, 3, 3, seed=9)
    x = x[:, :1, :1, :1].clone().requires_grad_()
    wanted = stepped(x, *one, weight, bias)
    expect(student.conv_lstm_step(x, one, weight, bias), wanted, ("h", "c"))
    slopes = student.probe("gradients", "conv_lstm_step", x, one, weight, bias)[0]
    expect(slopes, torch.autograd.grad(sum(map(torch.sum, wanted)), x)[0], "the gradient of x")


@points(1, task="15.5", hint="other sizes, and the gradient", hidden=True)
def test_steps_of_other_sizes(student):
    for seed, (n, channels, d, k, size) in enumerate(
        [(1, 1, 3, 1, (2, 3)), (3, 4, 1, 5, (3, 2)), (1, 2, 5, 3, (2, 2))]
    ):
        x, h, c = randn(n, channels, *size, seed=seed), *randn(2, n, d, *size, seed=seed + 1)
        weight, bias = randn(4 * d, channels + d, k, k, seed=seed + 2), randn(4 * d, seed=9)
        right = stepped(x, h, c, weight, bias)
        expect(student.conv_lstm_step(x, (h, c), weight, bias), right, ("h", "c"))
        leaves = [t.clone().requires_grad_() for t in (x, h, c, weight, bias)]
        twins = [t.clone().requires_grad_() for t in (x, h, c, weight, bias)]
        slopes = student.probe(
            "gradients", "conv_lstm_step", leaves[0], tuple(leaves[1:3]), *leaves[3:]
        )
        total = sum(part.sum() for part in stepped(*twins))
        expect(tuple(slopes), torch.autograd.grad(total, twins))


def read(state, frame, hidden, patch, side):
    """A prediction of the next frame and the next state, from the weights of a predictor."""
    patches = F.pixel_unshuffle(frame, patch)
    h, c = stepped(patches, *hidden, state["conv.weight"], state["conv.bias"])
    shares = F.conv2d(h, state["out.weight"], state["out.bias"], padding=1).softmax(1)
    shares = shares.repeat_interleave(patch, 2).repeat_interleave(patch, 3)
    reach, (H, W) = side // 2, frame.shape[2:]
    padded, total = F.pad(frame, (reach,) * 4), 0
    for place in range(side**2):
        row, column = divmod(place, side)
        moved = padded[:, :, row : row + H, column : column + W]
        total = total + shares[:, place : place + 1] * moved
    return total, (h, c)


def predictor(student, seed, size=3, patch=2, kernel_size=3, reach=1):
    model = student.FramePredictor(size, patch, kernel_size, reach)
    return model, drawn(model, seed)


def zeros_for(frames, size, patch):
    N, _, _, H, W = frames.shape
    return (torch.zeros(N, size, H // patch, W // patch).double(),) * 2


def watch(state, frames, size=3, patch=2, side=3, forget=False, own=False):
    """The predictions of a film's frames 2, 3, ... and T + 1, and the last state.

    forget: begin again at each frame. own: read the predictions, not the frames.
    """
    hidden, found = zeros_for(frames, size, patch), []
    for number, frame in enumerate(frames.unbind(1)):
        hidden = zeros_for(frames, size, patch) if forget else hidden
        seen = found[-1] if own and number else frame
        following, hidden = read(state, seen, hidden, patch, side)
        found.append(following)
    return torch.stack(found, 1), hidden


@points(1, task="15.6", needs=("15.5",), hint="read frames 1 to T - 1, and keep the state")
def test_next_frames_after_the_right_ones(student):
    frames = rand(2, 4, 1, 4, 6, seed=1)
    model, state = predictor(student, seed=20)
    all_of_them = watch(state, frames)[0]
    right = all_of_them[:, :-1]
    expect(
        model(frames),
        right,
        mistakes={
            "forgetting the state": watch(state, frames, forget=True)[0][:, :-1],
            "reading its own predictions": watch(state, frames, own=True)[0][:, :-1],
            "reading the last frame, too": all_of_them,
            "leaving out the first frame": watch(state, frames[:, 1:])[0],
            "a dimension T in front": right.transpose(0, 1),
            "the frames themselves": frames[:, 1:],
        },
    )
    expect(model(frames[:, :2]), right[:, :1], "two frames")
    leaf, twin = frames.clone().requires_grad_(), frames.clone().requires_grad_()
    slopes = student.probe("gradients", model, leaf)[0]
    wanted = torch.autograd.grad(watch(state, twin)[0][:, :-1].sum(), twin)[0]
    expect(slopes, wanted, "the gradient for the frames")
    refused(model, frames[:, :1])
    refused(model, frames[:, :0])


@points(1, task="15.6", needs=("15.5",), hint="films of other sizes", hidden=True)
def test_next_frames_of_other_films(student):
    for seed, (n, t, size, patch, reach) in enumerate([(1, 2, 2, 4, 2), (3, 5, 1, 1, 1)]):
        frames = rand(n, t, 1, 2 * patch, 3 * patch, seed=seed)
        model, state = predictor(student, 60 + seed, size, patch, 3, reach)
        wanted = watch(state, frames, size, patch, 2 * reach + 1)[0][:, :-1]
        expect(model(frames), wanted)
        leaf, twin = frames.clone().requires_grad_(), frames.clone().requires_grad_()
        total = watch(state, twin, size, patch, 2 * reach + 1)[0][:, :-1].sum()
        slopes = student.probe("gradients", model, leaf)[0]
        expect(slopes, torch.autograd.grad(total, twin)[0], "gradient of the frames")
        refused(model, frames[:, :1])


def rolled(state, frames, horizon, *, forget=False, size=3, patch=2, side=3):
    predicted, hidden = watch(state, frames, size, patch, side)
    found = [predicted[:, -1]]
    while len(found) < horizon:
        hidden = zeros_for(frames, size, patch) if forget else hidden
        following, hidden = read(state, found[-1], hidden, patch, side)
        found.append(following)
    return torch.stack(found, 1)


@points(1, task="15.7", needs=("15.5",), hint="the first prediction is read before the second")
def test_rollout_reads_its_own_predictions(student):
    frames = rand(2, 3, 1, 4, 6, seed=4)
    model, state = predictor(student, seed=80)
    right = rolled(state, frames, 5)
    last = frames[:, -1:]
    twice = rolled(state, torch.cat([frames, last], 1), 5)
    expect(
        student.rollout(model, frames, 4),
        right[:, :4],
        mistakes={
            "forgetting the state between the predictions": rolled(state, frames, 4, forget=True),
            "reading only the last frame": rolled(state, last, 4),
            "the last frame instead of the first prediction": torch.cat([last, right[:, 1:4]], 1),
            "leaving out the first prediction": right[:, 1:],
            "one frame too many": right,
            "reading the last frame twice": twice[:, :4],
            "the same prediction again": right[:, :1].expand(-1, 4, -1, -1, -1),
            "a dimension T in front": right[:, :4].transpose(0, 1),
        },
    )
    expect(student.rollout(model, frames, 1), right[:, :1], "horizon 1")
    expect(student.rollout(model, last, 2), rolled(state, last, 2), "one frame")
    refused(student.rollout, model, frames, 0)
    refused(student.rollout, model, frames, -1)
    refused(student.rollout, model, frames[:, :0], 2)


@points(1, task="15.7", needs=("15.5",), hint="other films and horizons", hidden=True)
def test_rollouts_of_other_films(student):
    for seed, (n, t, horizon, size, patch) in enumerate([(1, 1, 3, 2, 4), (3, 4, 2, 1, 1)]):
        frames = rand(n, t, 1, 3 * patch, 2 * patch, seed=seed)
        model, state = predictor(student, 90 + seed, size, patch)
        wanted = rolled(state, frames, horizon, size=size, patch=patch)
        expect(student.rollout(model, frames, horizon), wanted)
        expect(student.rollout(model, frames, 1), wanted[:, :1])
        refused(student.rollout, model, frames, 0)
    refused(student.rollout, model, frames[:, :0], 1)


@points(0.5, task="15.8", hint="the last frame again and again; the sum over the pixels")
def test_copies_and_errors_by_hand(student):
    frames = torch.arange(24.0).reshape(2, 2, 1, 2, 3)
    last = frames[:, 1:]
    copies = torch.cat([last, last, last], 1)
    expect(
        student.copy_last(frames, 3),
        copies,
        mistakes={
            "the first frame": frames[:, :1].expand(-1, 3, -1, -1, -1),
            "the last film": frames[-1:].expand(3, -1, -1, -1, -1),
            "one copy": last,
            "a dimension T in front": copies.transpose(0, 1),
        },
    )
    expect(student.copy_last(frames, 1), last, "horizon 1")
    expect(student.copy_last(frames[:, :1], 2), frames[:, [0, 0]], "one frame")
    refused(student.copy_last, frames, 0)
    predicted = frames + torch.tensor([[1.0, -2.0], [3.0, 4.0]]).reshape(2, 2, 1, 1, 1)
    right = torch.tensor([6 * (1 + 9) / 2, 6 * (4 + 16) / 2])
    expect(
        student.errors_by_horizon(predicted, frames),
        right,
        mistakes={
            "the mean over the pixels": right / 6,
            "the sum over the films": right * 2,
            "the absolute error": torch.tensor([12.0, 18.0]),
            "the root of the error": right.sqrt(),
            "an error for each film": torch.tensor([6 * 5 / 2, 6 * 25 / 2]),
            "one number for all frames": right.mean(),
        },
    )
    refused(student.errors_by_horizon, predicted[:, :1], frames)
    refused(student.errors_by_horizon, predicted, frames[:1])
    refused(student.errors_by_horizon, predicted[..., :1], frames)


@points(0.5, task="15.8", hint="other films", hidden=True)
def test_copies_and_errors_of_other_films(student):
    for n, t, size in [(1, 3, (2, 5)), (4, 1, (3, 3)), (2, 2, (3, 2))]:
        frames, other = randn(n, t, 1, *size, seed=n), randn(n, t, 1, *size, seed=n + 1)
        wanted = [
            sum(float(((a[i] - b[i]) ** 2).sum()) for a, b in zip(frames, other, strict=True)) / n
            for i in range(t)
        ]
        expect(student.errors_by_horizon(frames, other), torch.tensor(wanted).double())
        copied = torch.stack([frames[:, -1] for _ in range(n + 1)], 1)
        expect(student.copy_last(frames, n + 1), copied)
        expect(student.copy_last(frames, 1), copied[:, :1])
        refused(student.errors_by_horizon, frames, torch.cat([other, other], 1))
        refused(student.copy_last, frames, 0)
        refused(student.copy_last, frames, -1)
