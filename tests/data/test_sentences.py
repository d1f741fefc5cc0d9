"""Sentence pairs and labeled texts: files of the published layouts, your own, and the stand-ins."""

import io
import itertools
import tarfile

import pytest

from dlcourse import data
from dlcourse.data.sentences import STAND_IN_SIZES, words
from dlcourse.data.store import verify
from dlcourse.errors import DataError, UnknownNameError, UsageError

ARCHIVES = {"training": "train", "validation": "val", "mmt16_task1_test": "test"}
GERMAN, ENGLISH = "Zwei\u2028 Männer.\r\nEin Hund läuft!\n", "Two men.\nA dog runs!\n"


def write_tar(path, members):
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def multi30k(tmp_path):
    for name, split in ARCHIVES.items():
        # The published archives hold files of macOS, too.
        write_tar(
            tmp_path / "multi30k" / f"{name}.tar.gz",
            {f"./._{split}.de": "x", f"./{split}.de": GERMAN, f"{split}.en": ENGLISH},
        )
    return tmp_path


def test_pairs_are_read_from_the_published_archives(multi30k):
    pairs = data.load_pairs("multi30k", multi30k, offline=True)
    assert (
        pairs.train
        == pairs.test
        == [
            (["zwei", "männer", "."], ["two", "men", "."]),
            (["ein", "hund", "läuft", "!"], ["a", "dog", "runs", "!"]),
        ]
    )
    assert pairs.source_vocabulary.tokens[:2] == ("<unk>", "<eos>")
    assert set(pairs.target_vocabulary) == {
        *("<unk>", "<eos>", "two", "men", ".", "a", "dog", "runs", "!")
    }
    assert (pairs.synthetic, pairs.best) == (False, None)
    few = data.load_pairs("multi30k", multi30k, limit=1, max_size=3, offline=True)
    assert len(few.train) == 1
    assert len(few.source_vocabulary) == 3
    assert len(few.test) == 2


def test_archive_with_another_hash_is_bad(multi30k):
    (status,) = verify(multi30k, ["multi30k"])
    assert not status.ok
    assert "training.tar.gz' has a wrong hash; delete it and run `dlcourse data get multi30k`" in (
        status.problem
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no archive", "cannot read .*training.tar.gz'.*; delete it and run"),
        ({"train.de": GERMAN}, "training.tar.gz' holds no file train.en"),
        ({"train.de": GERMAN, "train.en": "One.\n"}, "holds 2 sentences but 1 translations"),
    ],
)
def test_damaged_archive_is_named(multi30k, content, message):
    path = multi30k / "multi30k" / "training.tar.gz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write_tar(path, content)
    with pytest.raises(DataError, match=message):
        data.load_pairs("multi30k", multi30k, offline=True)


def test_cut_archive_is_named(multi30k):
    path = multi30k / "multi30k" / "training.tar.gz"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"cannot read .*training.tar.gz'"):
        data.load_pairs("multi30k", multi30k, offline=True)


def test_own_pairs_are_lines_with_a_tab(tmp_path):
    lines = [f"Satz {i}.\tSentence {i}.\tCC-BY 2.0" for i in range(40)]
    (tmp_path / "anki.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pairs = data.load_pairs("anki", tmp_path)
    assert (len(pairs.train), len(pairs.val), len(pairs.test)) == (37, 2, 1)
    assert pairs.train[3] == (["satz", "3", "."], ["sentence", "3", "."])
    (tmp_path / "anki.tsv").write_text("\n".join([*lines, "no tab"]), encoding="utf-8")
    with pytest.raises(DataError, match=r"a tab and its translation in each line; .*: 'no tab'"):
        data.load_pairs("anki", tmp_path)
    (tmp_path / "anki.tsv").write_text("\n".join(lines[:8]), encoding="utf-8")
    with pytest.raises(DataError, match="has too few lines to be split"):
        data.load_pairs("anki", tmp_path)
    with pytest.raises(UnknownNameError, match=r"unknown pairs 'ankj'; did you mean 'anki'\?"):
        data.load_pairs("ankj", tmp_path)


def write_agnews(folder, train, test='"4","Chip","Small."\n'):
    (folder / "agnews").mkdir(exist_ok=True)
    (folder / "agnews" / "train.csv").write_text(train, encoding="utf-8")
    (folder / "agnews" / "test.csv").write_text(test, encoding="utf-8")


def test_labeled_texts_are_read_from_the_published_files(tmp_path):
    write_agnews(tmp_path, "".join(f'"{i % 4 + 1}","Title {i}","A ""b"", c."\n' for i in range(40)))
    news = data.load_labeled("agnews", tmp_path, offline=True)
    assert news.test == [(["chip", "small", "."], 3)]
    assert (len(news.train), len(news.val)) == (38, 2)
    numbers = {int(text[1]): label for text, label in news.train + news.val}
    assert numbers == {i: i % 4 for i in range(40)}
    assert news.train[0][0][2:] == ["a", '"', "b", '"', ",", "c", "."]
    assert news.class_names == ("World", "Sports", "Business", "Sci/Tech")
    again = data.load_labeled("agnews", tmp_path, limit=5, offline=True)
    assert again.train == news.train[:5]


@pytest.mark.parametrize("row", ['"5","a","b"', '"0","a","b"', '"x","a","b"', '"1"', '"1","",""'])
def test_row_without_class_or_text_is_named(tmp_path, row):
    write_agnews(tmp_path, '"1","a","b"\n' + row + "\n")
    with pytest.raises(DataError, match=r"row 2 of '.*train.csv' must be a class from 1 to 4"):
        data.load_labeled("agnews", tmp_path, offline=True)


def test_missing_files_are_replaced_by_a_made_up_language_with_a_notice(tmp_path, capsys):
    pairs = data.load_pairs("multi30k", tmp_path, limit=300, offline=True)
    said = capsys.readouterr().err
    assert "Multi30k IS NOT HERE: A MADE-UP LANGUAGE TAKES ITS PLACE." in said
    assert "`dlcourse data get multi30k`" in said
    assert (pairs.synthetic, pairs.best) == (True, 100.0)
    assert pairs.source == "sentences of a paired grammar (stand-in for Multi30k)"
    assert [len(part) for part in (pairs.train, pairs.val, pairs.test)] == [300, 1000, 1000]
    news = data.load_labeled("agnews", tmp_path, limit=300, offline=True)
    assert "AG News IS NOT HERE" in capsys.readouterr().err
    assert (news.synthetic, news.best, len(news.train)) == (True, 1.0, 300)


def test_wrong_name_kind_and_size_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"^data set 'ptb' is text; load it with load_text$"):
        data.load_pairs("ptb", tmp_path)
    with pytest.raises(UsageError, match=r"^data set 'multi30k' is pairs; load it with load_pairs"):
        data.load_labeled("multi30k", tmp_path)
    with pytest.raises(
        UsageError, match=r"^data set 'agnews' is labeled texts; load it with load_"
    ):
        data.load("agnews", tmp_path)
    with pytest.raises(UnknownNameError, match=r"unknown labeled texts 'agnew'; did you mean"):
        data.load_labeled("agnew", tmp_path)
    with pytest.raises(UsageError, match="limit must be at least 1, got 0"):
        data.load_pairs("multi30k", tmp_path, limit=0)
    with pytest.raises(UsageError, match="max_size must be at least 1, got 0"):
        data.load_labeled("agnews", tmp_path, max_size=0)


def drawn(draw, seed, count=400):
    return list(itertools.islice(draw(seed), count))


def test_a_sentence_of_the_grammar_has_one_translation_and_the_same_each_time():
    grammar = data.build_paired_grammar()
    pairs = drawn(grammar.pairs, 0)
    assert pairs == drawn(data.build_paired_grammar().pairs, 0)
    assert pairs != drawn(grammar.pairs, 1)
    translations = {}
    small = data.build_paired_grammar(num_nouns=4, num_verbs=3, num_adjectives=4)
    for source, target in drawn(small.pairs, 0, 4000):
        assert translations.setdefault(tuple(source), target) == target
    assert len(translations) < 4000  # some were drawn twice


def test_a_sentence_by_hand():
    grammar = data.build_paired_grammar()
    noun, other = grammar.nouns[0], grammar.nouns[2]
    names = {word.source: word for word in [*grammar.adjectives, *grammar.verbs, *grammar.adverbs]}
    for source, target in drawn(lambda seed: iterate(grammar, noun, other, seed), 0):
        (first, *more, subject) = source[
            : source.index(next(w for w in source if stem(w, noun))) + 1
        ]
        many = subject == noun.source + "s"
        ending = noun.gender + "s" * many
        stems = {"the": "il", "a": "un", "this": "ist", "some": "kel", "these": "ist"}
        phrase = [noun.target + "n" * many, *(names[a].target + ending for a in more)]
        phrase.append(stems[first] + ending)
        start = target.index(phrase[0])
        assert target[start : start + len(phrase)] == phrase
        assert start == (1 if source[-1] in names and source[-1].endswith("ly") else 0)
        assert target[-1].endswith("unt" if many else "it")
        verb = source[len(more) + 2]
        assert verb.endswith("s") != many
        plain = names[verb.removesuffix("s")].target
        assert (target[-1].removesuffix("unt").removesuffix("it") != plain) == ("up" in source)


def iterate(grammar, noun, other, seed):
    from random import Random

    rng = Random(seed)
    while True:
        yield grammar.clause(rng, noun, other)


def stem(word, noun):
    return word in (noun.source, noun.source + "s")


def test_synonyms_share_their_translation_and_words_are_distinct():
    grammar = data.build_paired_grammar()
    sources = [w.source for w in [*grammar.nouns, *grammar.verbs, *grammar.adjectives]]
    assert len(set(sources)) == len(sources)
    for words_of in (grammar.nouns, grammar.adjectives):
        assert len({word.target for word in words_of}) == len(words_of) * 3 // 4
    alike = {}
    for noun in grammar.nouns:
        assert alike.setdefault(noun.target, (noun.gender, noun.category)) == (
            noun.gender, noun.category,
        )  # fmt: skip
    assert {noun.gender for noun in grammar.nouns} == set("aoe")


def test_the_class_of_a_text_is_the_category_of_its_first_subject():
    grammar = data.build_paired_grammar()
    category = {}
    for noun in grammar.nouns:
        category |= {noun.source: noun.category, noun.source + "s": noun.category}
    texts = drawn(grammar.texts, 0)
    assert all(label == next(category[w] for w in text if w in category) for text, label in texts)
    # The most frequent category of all nouns is often another one.
    counted = [
        max(range(4), key=[category[w] for w in text if w in category].count) for text, _ in texts
    ]
    agree = sum(count == label for count, (_, label) in zip(counted, texts, strict=True))
    assert 0.4 < agree / len(texts) < 0.85


def test_words_keep_signs_apart():
    assert words("Don't — 3,5 %!") == ["don", "'", "t", "—", "3", ",", "5", "%", "!"]
    assert words(" \t") == []
    assert set(STAND_IN_SIZES) == {"train", "val", "test"}
