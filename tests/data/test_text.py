"""Texts, vocabularies, batches for truncated backpropagation, and the grammar's exact entropy."""

import math
from itertools import islice

import numpy as np
import pytest
import torch

from dlcourse import data
from dlcourse.data.synthetic.grammar import Grammar
from dlcourse.data.text import TextBatches
from dlcourse.errors import DataError, UnknownNameError, UsageError


def write_splits(folder, train="the cat sat\nthe dog sat\n", valid="the cow sat\n", test="a cat\n"):
    folder.mkdir()
    for name, text in (("train", train), ("valid", valid), ("test", test)):
        (folder / f"toy.{name}.txt").write_text(text, encoding="utf-8")


def test_folder_of_three_files_is_numbered_by_its_training_words(tmp_path):
    write_splits(tmp_path / "toy")
    toy = data.load_text("toy", tmp_path)
    assert toy.vocabulary.tokens == ("<unk>", "<eos>", "sat", "the", "cat", "dog")
    assert toy.vocabulary.decode(toy.val) == ["the", "<unk>", "sat", "<eos>"]
    assert toy.train.tolist() == [3, 4, 2, 1, 3, 5, 2, 1]
    assert (toy.synthetic, toy.best_perplexity) == (False, None)


def test_one_file_is_cut_in_order_and_nothing_is_lost(tmp_path):
    text = "".join(f"line {i} é\n" for i in range(100))
    (tmp_path / "book.txt").write_text(text, encoding="utf-8")
    book = data.load_text("book", tmp_path, level="char")
    parts = ["".join(book.vocabulary.decode(part)) for part in (book.train, book.val, book.test)]
    assert len(parts[0]) + len(parts[1]) + len(parts[2]) == len(text)
    assert parts[0] == text[: len(parts[0])]
    assert 0.88 < len(parts[0]) / len(text) < 0.93


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "book.txt").write_bytes("caf\u00e9 ".encode("latin-1") * 50)
    with pytest.raises(DataError, match=r"book\.txt' is not UTF-8 \(byte 3\); convert it first"):
        data.load_text("book", tmp_path)


def test_empty_missing_or_doubled_split_is_refused(tmp_path):
    write_splits(tmp_path / "empty", valid=" \n")
    with pytest.raises(DataError, match=r"valid\.txt' is empty"):
        data.load_text("empty", tmp_path)
    write_splits(tmp_path / "missing")
    (tmp_path / "missing" / "toy.test.txt").unlink()
    with pytest.raises(DataError, match="one file with 'test' in its name, it holds 0"):
        data.load_text("missing", tmp_path)


def test_unknown_text_or_level_gets_the_near_name(tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown text 'ptp'; did you mean 'ptb'\?"):
        data.load_text("ptp", tmp_path)
    with pytest.raises(UnknownNameError, match=r"unknown level 'words'; did you mean 'word'\?"):
        data.load_text("ptb", tmp_path, level="words")


def test_vocabulary_of_size_0_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"max_size must be at least 1 .* got 0"):
        data.Vocabulary.build(["a"], max_size=0)
    with pytest.raises(UsageError, match="max_size must be at least 1, got 0"):
        data.load_text("ptb", tmp_path, max_size=0, offline=True)


def test_vocabulary_is_capped_saved_and_loaded(tmp_path):
    vocabulary = data.Vocabulary.build(["b", "a", "a", "c", "c", "é"], max_size=4)
    assert vocabulary.tokens == ("<unk>", "a", "c", "b")
    assert vocabulary["é"] == 0
    vocabulary.save(tmp_path / "v.json")
    assert data.Vocabulary.load(tmp_path / "v.json").tokens == vocabulary.tokens
    with pytest.raises(UsageError, match="token number must be 0 to 3, got 4"):
        vocabulary.decode([4])


@pytest.mark.parametrize(
    ("text", "message"), [("[", "not a saved vocabulary"), ("[1]", "no list of strings")]
)
def test_damaged_vocabulary_is_refused(tmp_path, text, message):
    (tmp_path / "v.json").write_text(text)
    with pytest.raises(DataError, match=message):
        data.Vocabulary.load(tmp_path / "v.json")


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_rows_go_on_from_batch_to_batch_and_targets_are_one_ahead(batch_size):
    batches = TextBatches(torch.arange(100), batch_size, 9, "", False)
    pairs = list(batches)
    assert len(pairs) == len(batches)
    inputs = torch.cat([x for x, _ in pairs], 1)
    targets = torch.cat([y for _, y in pairs], 1)
    row = 99 // batch_size
    assert torch.equal(inputs.flatten(), torch.arange(row * batch_size))
    assert torch.equal(targets, inputs + 1)
    assert batches.num_samples == targets.numel()


def test_text_batches_refuse_what_cannot_be():
    with pytest.raises(UsageError, match="bptt must be at least 1, got 0"):
        TextBatches(torch.arange(9), 1, 0, "", False)
    with pytest.raises(UsageError, match="batch_size must be below the 9 tokens, got 9"):
        TextBatches(torch.arange(9), 9, 3, "", False)


def test_entropy_of_a_coin_tossed_until_heads_is_that_of_the_geometric_law():
    # sentence: "tails" sentence | <eos>; H = 2 bits a sentence, 2 tokens a sentence.
    coin = Grammar({"s": [("tails", "s"), ("<eos>",)]}, {"s": np.array([0.5, 0.5])})
    assert coin.sentence_entropy == pytest.approx(2 * math.log(2))
    assert coin.expected_length() == pytest.approx(2)
    assert coin.entropy_rate() == pytest.approx(math.log(2))


def test_no_word_begins_two_alternatives_so_that_a_text_has_one_derivation():
    for alternatives in data.build_grammar().rules.values():
        assert len({alternative[0] for alternative in alternatives}) == len(alternatives)


def parse(grammar, words):
    """Log-probability of a sentence by its only derivation: an oracle apart from the formula."""
    tables = {
        symbol: {a[0]: (a[1:], math.log(p)) for a, p in
                 zip(alternatives, grammar.probabilities[symbol], strict=True)}
        for symbol, alternatives in grammar.rules.items()
    }  # fmt: skip
    total = 0.0
    for sentence in words:
        stack = ["sentence"]
        for word in [*sentence, "<eos>"]:
            followers, log_p = tables[stack.pop()][word]
            stack.extend(reversed(followers))
            total += log_p
        assert not stack
    return total


@pytest.mark.parametrize("level", ["word", "char"])
def test_entropy_rate_is_what_a_perfect_model_measures(level):
    grammar = data.build_grammar(seed=3)
    sentences = list(islice(grammar.sentences(0), 20_000))
    tokens = sum(
        len(words) + 1 if level == "word" else len(" ".join(words)) + 1 for words in sentences
    )
    assert -parse(grammar, sentences) / tokens == pytest.approx(
        grammar.entropy_rate(level), rel=0.01
    )


def test_grammar_text_is_deterministic_and_differs_by_seed():
    grammar = data.build_grammar()
    assert grammar.text(500, 1) == data.build_grammar().text(500, 1)
    assert grammar.text(500, 1) != grammar.text(500, 2)
    assert 500 <= len(data.tokenize(grammar.text(500, 1))) < 560


def test_stand_in_is_said_loudly_and_knows_its_best_perplexity(tmp_path, capsys):
    ptb = data.load_text("ptb", tmp_path, offline=True)
    assert ptb.synthetic
    assert "A SYNTHETIC TEXT TAKES ITS PLACE" in capsys.readouterr().err
    assert len(ptb.train) > 929_000
    assert ptb.best_perplexity == pytest.approx(math.exp(data.build_grammar().entropy_rate()))


@pytest.mark.real_data
def test_penn_treebank_has_the_published_number_of_tokens():
    ptb = data.load_text("ptb", offline=True)
    assert [len(ptb.train), len(ptb.val), len(ptb.test)] == [929_589, 73_760, 82_430]
    assert len(ptb.vocabulary) == 10_000
