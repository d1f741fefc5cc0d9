"""n-gram models against counting by hand, and the real Penn Treebank against published figures."""

import math
from collections import Counter, defaultdict

import pytest
import torch

from dlcourse import data
from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.models.cache_lm import Cache
from dlcourse.models.ngram import NGram

# 0 ends a sentence; 1 = a, 2 = b, 3 = c, 4 = d; 5 never occurs.
TEXT = torch.tensor([1, 2, 3, 0, 1, 2, 3, 4, 1, 0, 1, 2, 2, 0])


def perplexity(model, tokens):
    return math.exp(-model.probabilities(tokens).log().mean())


@pytest.mark.parametrize(
    ("ngram", "times"),
    [
        ((1,), 4),
        ((5,), 0),
        ((1, 2), 3),
        ((0, 1, 2), 3),  # every sentence begins so, the first too
        ((1, 2, 3), 2),
        ((2, 3, 4), 1),
        ((3, 0), 1),
        ((3, 0, 1), 0),  # reaches across the end of a sentence
        ((2, 1, 3), 0),
        ((1, 2, 3, 4, 1), 1),
        ((0, 1, 2, 3, 0), 1),
        ((2, 3, 4, 1, 0), 1),
        ((1, 2, 3, 0, 1), 0),
    ],
)
def test_counts_are_those_counted_by_hand(ngram, times):
    assert NGram(6, order=5, boundary=0).fit(TEXT).count(*ngram) == times


def test_without_a_boundary_every_run_of_tokens_counts():
    model = NGram(6, order=3).fit(TEXT)
    assert (model.count(3, 0, 1), model.count(0, 1, 2), model.count(1)) == (1, 2, 4)


def test_interpolated_trigram_is_the_fraction_worked_out_by_hand():
    model = NGram(6, order=3, smoothing="interpolation", boundary=0).fit(TEXT)
    model.confidences = [0.5, 0.6, 0.7]
    unigram = 0.5 * 2 / 14 + 0.5 / 6  # c is 2 of 14 tokens
    bigram = 0.6 * 2 / 4 + 0.4 * unigram  # after b comes c twice in 4
    trigram = 0.7 * 2 / 3 + 0.3 * bigram  # after a b, twice in 3
    assert float(model.distribution([1, 2])[3]) == pytest.approx(trigram, abs=1e-12)
    # After d b, never seen, the bigram decides.
    assert float(model.distribution([4, 2])[3]) == pytest.approx(bigram, abs=1e-12)


def naive_kneser_ney(tokens, vocab_size, order, boundary, discounts):
    """The definition with dictionaries, n-gram by n-gram; returns p(word, context)."""
    sentences, sentence = [], [boundary]
    for token in tokens:
        sentence.append(token)
        if token == boundary:
            sentences.append(sentence)
            sentence = [boundary]
    if len(sentence) > 1:
        sentences.append(sentence)
    seen = defaultdict(Counter)
    for sentence in sentences:
        for end in range(1, len(sentence)):
            for k in range(1, min(order, end + 1) + 1):
                gram = tuple(sentence[end - k + 1 : end + 1])
                seen[k][gram] += 1
    counts = {order: seen[order]}
    for k in range(1, order):
        counts[k] = Counter(gram[1:] for gram in seen[k + 1])
        for gram, n in seen[k].items():
            if gram not in counts[k]:
                counts[k][gram] = n

    def p(word, context):
        k = len(context) + 1
        lower = p(word, context[1:]) if context else 1 / vocab_size
        after = [n for gram, n in counts[k].items() if gram[:-1] == context]
        if not after:
            return lower
        d = discounts[k - 1]
        n = counts[k][(*context, word)]
        rest = sum(d[min(count, 3)] for count in after)
        return (n - d[min(n, 3)] + rest * lower) / sum(after)

    return p


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_kneser_ney_equals_its_definition_token_by_token(order):
    generator = torch.Generator().manual_seed(order)
    tokens = (torch.rand(400, generator=generator) ** 2 * 8).long()
    model = NGram(9, order, boundary=0).fit(tokens)
    d = [counts.discounts for counts in model.orders]
    p = naive_kneser_ney(tokens.tolist(), 9, order, 0, d)
    unseen = torch.tensor([8, 1, 1, 0, 2, 8, 8, 3, 7, 6, 5, 4, 0, 0, 1])
    past, expected = [0], []
    for token in unseen.tolist():
        context = tuple(past[max(0, len(past) - order + 1) :]) if order > 1 else ()
        expected.append(p(token, context))
        past = [0] if token == 0 else [*past, token]
    torch.testing.assert_close(
        model.probabilities(unseen), torch.tensor(expected, dtype=torch.float64)
    )


def test_discounts_are_those_of_the_formula():
    # Of the unigrams one occurs once, two twice, one three times, one four times.
    tokens = torch.tensor([0] + [1] * 2 + [2] * 2 + [3] * 3 + [4] * 4)
    found = NGram(5, order=1).fit(tokens).orders[0].discounts
    y = 1 / (1 + 2 * 2)
    assert found.tolist() == pytest.approx([0, 1 - 2 * y * 2, 2 - 3 * y / 2, 3 - 4 * y])


@pytest.mark.parametrize("smoothing", ["kneser-ney", "interpolation"])
@pytest.mark.parametrize("boundary", [0, None])
def test_probabilities_sum_to_one_and_agree_in_every_form(smoothing, boundary):
    model = NGram(6, 4, smoothing, boundary).fit(TEXT)
    for context in ([], [5], [1, 2], [3, 0], [0, 1, 2, 3, 4]):
        p = model.distribution(context)
        assert float(p.sum()) == pytest.approx(1)
        assert p.min() > 0
    tokens = torch.tensor([1, 2, 5, 0, 1, 2, 3])
    p = model.probabilities(tokens)
    one = [float(model.distribution(tokens[:i].tolist())[tokens[i]]) for i in range(len(tokens))]
    assert p.tolist() == pytest.approx(one)
    logits = model(tokens[None])[0, :-1].gather(1, tokens[1:, None])[:, 0]
    assert logits.exp().tolist() == pytest.approx(one[1:], rel=1e-5)


def test_context_is_carried_from_call_to_call():
    model, tokens = NGram(6, 4, boundary=0).fit(TEXT), torch.tensor([[1, 2, 3, 4], [2, 3, 0, 1]])
    whole = model(tokens)
    model.reset_state()
    in_parts = torch.cat([model(part) for part in tokens.split(1, dim=1)], 1)
    torch.testing.assert_close(in_parts, whole)


def test_tune_does_not_fall_behind_any_equal_weights():
    grammar = data.build_grammar(num_nouns=20, num_verbs=10)
    train, val = (data.tokenize(grammar.text(n, seed)) for seed, n in enumerate((3000, 600)))
    vocabulary = data.Vocabulary.build(train)
    val = vocabulary.encode(val)
    model = NGram(len(vocabulary), 3, "interpolation").fit(vocabulary.encode(train))
    others = []
    for weight in (0.2, 0.5, 0.8):
        model.confidences = [weight] * 3
        others.append(perplexity(model, val))
    assert perplexity(model.tune(val), val) < min(others)


def test_cache_gives_each_token_its_decayed_share_of_those_before():
    model = NGram(6, 2, boundary=0).fit(TEXT)
    cache = Cache(model, half_life=2, weight=0.25)
    tokens = torch.tensor([3, 1, 3, 4])
    d = 0.5**0.5
    shares = [0, 0, d**2 / (d**2 + d), 0]
    alone = model.probabilities(tokens).tolist()
    expected = [alone[0]] + [
        0.75 * p + 0.25 * share for p, share in zip(alone[1:], shares[1:], strict=True)
    ]
    assert cache.probabilities(tokens).tolist() == pytest.approx(expected)
    logits = cache(tokens[None])[0, :-1].gather(1, tokens[1:, None])[:, 0]
    assert logits.exp().tolist() == pytest.approx(expected[1:], rel=1e-5)


def test_cache_helps_where_words_come_in_bursts_and_learns_so():
    generator = torch.Generator().manual_seed(0)
    bursts = torch.randint(50, (100,), generator=generator).repeat_interleave(20)
    noise = bursts[torch.randperm(len(bursts), generator=generator)]
    model = NGram(50, 1).fit(noise)
    assert Cache(model).tune(bursts).weight > 0.5
    assert Cache(model).tune(noise).weight < 0.1


def test_saved_counts_give_the_same_probabilities(tmp_path):
    model = NGram(6, 3, boundary=0).fit(TEXT)
    torch.save(model.state_dict(), tmp_path / "counts.pt")
    again = NGram(6, 3, boundary=0)
    again.load_state_dict(torch.load(tmp_path / "counts.pt", weights_only=True))
    assert torch.equal(again.probabilities(TEXT), model.probabilities(TEXT))
    with pytest.raises(UsageError, match="these are the counts of order 3, the model has order 2"):
        NGram(6, 2).load_state_dict(model.state_dict())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vocab_size": 7}, "of vocab_size 6, the model has vocab_size 7"),
        ({"smoothing": "interpolation"}, "of smoothing kneser-ney, the model has smoothing inter"),
        ({"boundary": None}, "of boundary 0, the model has boundary None"),
    ],
)
def test_counts_are_not_taken_for_those_of_other_settings(changed, message):
    settings = {"vocab_size": 6, "order": 3, "boundary": 0}
    saved = NGram(**settings).fit(TEXT).state_dict()
    with pytest.raises(UsageError, match=message):
        NGram(**{**settings, **changed}).load_state_dict(saved)


def test_a_saved_cache_keeps_what_it_was_tuned_to():
    model = NGram(6, 2).fit(TEXT)
    tuned = Cache(model, half_life=3).tune(TEXT)
    again = Cache(NGram(6, 2))
    again.load_state_dict(tuned.state_dict())
    assert torch.equal(again.probabilities(TEXT), tuned.probabilities(TEXT))


def test_generates_only_what_it_counted_where_it_is_sure():
    model = NGram(6, 3, boundary=0).fit(torch.tensor([1, 2, 3, 4, 0] * 50))
    assert model.generate(torch.tensor([1]), 6, temperature=0).tolist() == [2, 3, 4, 0, 1, 2]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: NGram(0), UsageError, "vocab_size must be at least 1, got 0"),
        (lambda: NGram(5, 0), UsageError, "order must be at least 1, got 0"),
        (lambda: NGram(5, 2, "kneser"), UnknownNameError, "did you mean 'kneser-ney'?"),
        (lambda: NGram(5, boundary=5), UsageError, "boundary must be None or 0 to 4, got 5"),
        (lambda: NGram(5).probabilities(TEXT), UsageError, "has counted nothing yet; call fit"),
        (lambda: NGram(4).fit(TEXT), UsageError, "token numbers from 0 to 3, got 0 to 4"),
        (lambda: NGram(4).fit(TEXT[:0]), UsageError, "T at least 1, got torch.int64 (0,)"),
        (lambda: NGram(6).tune(TEXT), UsageError, "tune is for smoothing 'interpolation'"),
        (lambda: NGram(6).fit(TEXT).count(), UsageError, "count takes 1 to 5 tokens, got 0"),
        (lambda: NGram(6).fit(TEXT).count(1, 7), UsageError, "tokens must be 0 to 5, got 7"),
        (lambda: NGram(6).fit(TEXT).distribution([-1]), UsageError, "must be 0 to 5, got -1"),
        (lambda: Cache(NGram(6), 0), UsageError, "half_life must be above 0, got 0"),
        (lambda: Cache(NGram(6), weight=1), UsageError, "at least 0 and below 1, got 1"),
        (lambda: Cache(NGram(6).fit(TEXT)).tune(TEXT[:1]), UsageError, "at least 2 to tune"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tokens", [[1], [0], [1, 0], [1, 1]])
def test_texts_of_a_token_or_two_give_probabilities_too(tokens):
    model = NGram(3, 5, boundary=0).fit(torch.tensor(tokens))
    assert float(model.distribution([1]).sum()) == pytest.approx(1)
    assert model.probabilities(torch.tensor([1, 2, 0])).min() > 0


@pytest.mark.real_data
def test_real_penn_treebank_gives_the_published_141_and_with_a_cache_125():
    text = data.load_text("ptb", offline=True)
    if text.synthetic:
        pytest.skip("needs ptb in DLCOURSE_DATA")
    boundary = text.vocabulary["<eos>"]
    model = NGram(len(text.vocabulary), 5, boundary=boundary).fit(text.train)
    assert perplexity(model, text.test) == pytest.approx(141, abs=1)
    assert perplexity(Cache(model).tune(text.val), text.test) == pytest.approx(125, abs=1)
