"""Texts, vocabularies, batches for truncated backpropagation, and the grammar's exact entropy."""

import math
from itertools import islice

import numpy as np
import pytest
import torch

from dlcourse import data
from dlcourse.data import text as text_module
from dlcourse.data.synthetic.grammar import Grammar
from dlcourse.data.text import TextBatches, read_splits
from dlcourse.errors import DataError, UnknownNameError, UsageError

from support.texts import EQUAL, PLAIN, REFUSED


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


@pytest.mark.parametrize("level", ["word", "char"])
def test_a_text_read_in_pieces_gives_the_numbers_of_the_whole(tmp_path, monkeypatch, level):
    lines = [f"{'ab' * (i % 5)} <unk> c\x85{i % 7}\u2028d  é {i}" for i in range(300)]
    (tmp_path / "book.txt").write_text("\n".join([*lines, "", "", "end"]), encoding="utf-8")
    texts = read_splits(tmp_path / "book.txt")
    monkeypatch.setattr("dlcourse.data.text.PIECE", 50)
    book = data.load_text("book", tmp_path, level=level, max_size=40)
    texts = {split: text.decode() for split, text in texts.items()}
    vocabulary = data.Vocabulary.build(data.tokenize(texts["train"], level), 40)
    assert book.vocabulary.tokens == vocabulary.tokens
    for split, whole in texts.items():
        expected = vocabulary.encode(data.tokenize(whole, level))
        assert torch.equal(getattr(book, split), expected), split


@pytest.mark.parametrize("level", ["word", "char"])
def test_a_text_without_line_ends_is_cut_between_characters(tmp_path, monkeypatch, level):
    monkeypatch.setattr("dlcourse.data.text.PIECE", 7)
    text = " ".join(f"é{'ü' * (i % 9)}\U0001f600{i % 3}" for i in range(200))
    own = own_text(tmp_path, text.encode(), level=level, max_size=1000)
    train = own.vocabulary.decode(own.train)
    whole = train + own.vocabulary.decode(own.val) + own.vocabulary.decode(own.test)
    if level == "char":
        assert "".join(whole) == text
        assert 0.88 * len(text) < len(train) < 0.92 * len(text)
    else:
        assert [train[-1], whole[-1]] == ["<eos>", "<eos>"]
        assert abs(len(whole) - 203) <= 2  # a cut makes two words of one


def test_numbers_are_stored_in_the_narrowest_type_and_come_out_as_int64(tmp_path):
    for level, kind in (("char", torch.uint8), ("word", torch.int16)):
        text = "\n".join(f"{i} {i % 400}" for i in range(2000))
        own = own_text(tmp_path, text.encode(), level=level)
        assert own.tokens["train"].dtype == kind
        for split, batches in zip(("train", "val", "test"), own.batches(3, 5), strict=True):
            part = getattr(own, split)
            assert part.dtype == torch.int64
            assert torch.equal(part, own.tokens[split].to(torch.int64))
            inputs, targets = next(iter(batches))
            assert (inputs.dtype, targets.dtype) == (torch.int64, torch.int64)
            assert torch.equal(targets[0], part[1:6])


def test_a_large_text_is_numbered_once_until_it_changes(tmp_path, monkeypatch):
    monkeypatch.setattr("dlcourse.data.token_cache.LEAST", 0)
    numbered = []
    monkeypatch.setattr(
        "dlcourse.data.text.numbered",
        lambda *args, real=text_module.numbered: numbered.append(args[1:]) or real(*args),
    )

    def load(content, **settings):
        own = own_text(tmp_path, content, **settings)
        return own.vocabulary.tokens, [getattr(own, s).tolist() for s in ("train", "val", "test")]

    text = PLAIN.encode()
    first = load(text)
    assert load(text) == first
    assert numbered == [("word", None)]
    small, chars, changed = load(text, max_size=4), load(text, level="char"), load(b"a " + text)
    assert numbered == [("word", None), ("word", 4), ("char", None), ("word", None)]
    assert len({str(one) for one in (first, small, chars, changed)}) == 4
    own = own_text(tmp_path, text)
    own.tokens["train"].zero_()
    assert load(text) == first
    for path in (tmp_path / ".tokens").glob("*.npy"):
        path.write_bytes(path.read_bytes()[:-1])
    del numbered[:]
    assert load(text) == first
    assert len(numbered) == 1


def test_a_large_text_is_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr("dlcourse.data.token_cache.LEAST", 0)
    (tmp_path / ".tokens").write_bytes(b"a file where the folder would be")
    assert own_text(tmp_path, PLAIN.encode()).vocabulary["cat"] > 0


def test_text_that_is_not_utf8_is_refused(tmp_path, monkeypatch):
    (tmp_path / "far.txt").write_bytes(b"line\n" * 100 + b"caf\xe9 " + b"line\n" * 100)
    monkeypatch.setattr("dlcourse.data.text.PIECE", 9)
    with pytest.raises(DataError, match=r"is not UTF-8 \(byte 503, line 101, is 0xE9\)"):
        data.load_text("far", tmp_path)
    (tmp_path / "book.txt").write_bytes("caf\u00e9 ".encode("latin-1") * 50)
    with pytest.raises(DataError, match=r"book\.txt' is not UTF-8 \(byte 3, line 1"):
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
    with pytest.raises(UsageError, match="max_size must be at least 1, got 0"):
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


def own_text(tmp_path, content, **settings):
    (tmp_path / "own.txt").write_bytes(content)
    return data.load_text("own", tmp_path, **settings)


@pytest.mark.parametrize("level", ["word", "char"])
@pytest.mark.parametrize("form", EQUAL)
def test_marks_and_line_ends_change_no_token(tmp_path, form, level):
    own = own_text(tmp_path, EQUAL[form], level=level)
    expected = own_text(tmp_path, PLAIN.encode(), level=level)
    assert own.vocabulary.tokens == expected.vocabulary.tokens
    for split in ("train", "val", "test"):
        assert torch.equal(getattr(own, split), getattr(expected, split))


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0b", "\x0c", "\u2029", "\x1c"])
def test_only_line_feeds_end_a_line(separator):
    assert data.tokenize(f"a{separator}b\nc\n") == ["a", "b", "<eos>", "c", "<eos>"]
    assert data.tokenize(f"a{separator}b", "char") == ["a", separator, "b"]


def test_a_last_line_without_line_feed_is_a_line_and_blank_lines_count():
    assert data.tokenize("a\nb") == data.tokenize("a\nb\n") == ["a", "<eos>", "b", "<eos>"]
    assert data.tokenize("a\n\nb") == ["a", "<eos>", "<eos>", "b", "<eos>"]
    assert data.tokenize("") == []


@pytest.mark.parametrize("what", REFUSED)
def test_other_encodings_and_no_text_are_refused_by_name(tmp_path, what):
    content, message = REFUSED[what]
    with pytest.raises(DataError, match=message):
        own_text(tmp_path, content)


@pytest.mark.parametrize("names", [
    ("train.txt", "valid.txt", "test.txt"), ("Train.txt", "val.txt", "TEST.txt"),
    ("my.training.txt", "my.dev.txt", "my.testing.txt"),
    ("wiki.train.tokens", "wiki.validation.tokens", "wiki.test.tokens"),
])  # fmt: skip
def test_files_of_a_folder_are_known_by_the_usual_names_of_splits(tmp_path, names):
    (tmp_path / "own").mkdir()
    for name, word in zip(names, ("a a b", "a", "b"), strict=True):
        (tmp_path / "own" / name).write_text(word)
        (tmp_path / "own" / f".{name}.swp").write_bytes(b"\0")
    own = data.load_text("own", tmp_path)
    assert [len(own.train), len(own.val), len(own.test)] == [4, 2, 2]


def test_penn_treebank_under_other_names_is_taken_and_a_part_is_named(tmp_path):
    (tmp_path / "ptb").mkdir()
    for word in ("train", "valid"):
        (tmp_path / "ptb" / f"{word}.txt").write_text("no it was\n")
    with pytest.raises(
        DataError, match=r"Penn Treebank .* is incomplete: .* lacks ptb\.train\.txt, "
    ):
        data.load_text("ptb", tmp_path, offline=True)
    (tmp_path / "ptb" / "test.txt").write_text("it was\n")
    ptb = data.load_text("ptb", tmp_path, offline=True)
    assert (ptb.synthetic, len(ptb.test)) == (False, 3)


def test_tokens_that_fill_no_row_are_counted_aloud(capsys):
    TextBatches(torch.arange(1000), 9, 10)
    assert capsys.readouterr().err == ""
    TextBatches(torch.arange(100), 60, 10, split="val")
    told = capsys.readouterr().err
    assert "the last 39 of 100 tokens of val are left out because they do not fill 60 rows" in told


@pytest.mark.parametrize(("batch_size", "message"), [
    (2.5, "batch_size must be a whole number, at least 1, got 2.5"),
    (True, "batch_size must be a whole number, at least 1, got True"),
    (0, "batch_size must be at least 1, got 0"),
    (65, "batch_size must be below the 65 tokens of val, got 65"),
])  # fmt: skip
def test_text_batches_name_the_split_and_the_value(tmp_path, batch_size, message):
    with pytest.raises(UsageError, match=message):
        own_text(tmp_path, PLAIN.encode(), level="char").batches(batch_size)


def test_a_text_of_unknown_words_is_said(tmp_path, capsys):
    own_text(tmp_path, "\n".join(f"word{i}" for i in range(200)).encode())
    assert "9 of the 18 tokens of val in 'own' are not in the vocab" in capsys.readouterr().err


def test_a_registered_text_keeps_its_level_and_vocabulary(tmp_path, monkeypatch):
    monkeypatch.setattr(data.catalog, "REGISTERED", {})
    write_splits(tmp_path / "toy")
    toy = data.load_text("toy", tmp_path)
    data.register("mine", lambda: toy, kind="text")
    assert data.load_text("mine") is data.load_text("mine", level="word", max_size=6) is toy
    for asked in ({"level": "char"}, {"max_size": 5}):
        with pytest.raises(UsageError, match="registered as words with a vocabulary of 6;"):
            data.load_text("mine", **asked)


def test_a_vocabulary_of_words_refuses_a_string_and_numbers_that_are_none():
    words = data.Vocabulary.build(["the", "cat"])
    with pytest.raises(UsageError, match="needs a list of words, got 'the cat'; split"):
        words.encode("the cat")
    assert data.Vocabulary.build("abc").encode("cab").tolist() == [3, 1, 2]
    for number in (1.5, 3, -1, torch.tensor([0.5])):
        with pytest.raises(UsageError, match="token number must be 0 to 2, got"):
            words.decode(number if isinstance(number, torch.Tensor) else [number])
    with pytest.raises(UsageError, match=r"tokens must be distinct and begin with <unk>, got \[\]"):
        data.Vocabulary([])
    with pytest.raises(UsageError, match="min_count must be at least 1, got 0"):
        data.Vocabulary.build(["a"], min_count=0)
