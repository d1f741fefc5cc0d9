"""The labs' solutions against libraries that only developers install."""

import random

import sacrebleu

from dlcourse import course


def corpus(seed):
    """Translations and references of a few words, so that they share many sequences."""
    rng = random.Random(seed)
    sizes = range(rng.randint(1, 12))
    references = [rng.choices("abcdef"[: rng.randint(2, 6)], k=rng.randint(1, 20)) for _ in sizes]
    translations = []
    for reference in references:
        words = [word if rng.random() < 0.8 else rng.choice("abcxyz") for word in reference]
        translations.append(words[rng.randint(0, 2) :] + rng.choices("ab", k=rng.randint(0, 2)))
    return translations, references


def test_bleu_of_several_references_is_that_of_sacrebleu():
    bleu, scores = course.load_script(course.find_lab("lab15").solution).bleu, []
    for seed in range(20):
        captions, first = corpus(seed)
        rng = random.Random(seed)
        more = [rng.choices("abc", k=rng.randint(1, 20)) for _ in captions]
        sides = [[" ".join(words) for words in side] for side in (first, more)]
        expected = sacrebleu.corpus_bleu(
            [" ".join(words) for words in captions], sides,
            smooth_method="none", tokenize="none", force=True,
        ).score  # fmt: skip
        scores.append(bleu(captions, list(zip(first, more, strict=True))))
        assert abs(scores[-1] - expected) < 1e-9 * max(1, expected)
    assert len({score for score in scores if score}) > 12


def test_bleu_is_that_of_sacrebleu_on_20_corpora():
    bleu = course.load_script(course.find_lab("lab09").solution).bleu
    scores = []
    for seed in range(20):
        translations, references = corpus(seed)
        expected = sacrebleu.corpus_bleu(
            [" ".join(words) for words in translations],
            [[" ".join(words) for words in references]],
            smooth_method="none",
            tokenize="none",
            force=True,
        ).score
        scores.append(bleu(translations, references))
        assert abs(scores[-1] - expected) < 1e-9 * max(1, expected)
    assert len({score for score in scores if score}) > 12
    assert 0.0 in scores
