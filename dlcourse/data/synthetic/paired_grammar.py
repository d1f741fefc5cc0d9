"""Sentences of a made-up language with their translations into another one, and with classes.

Each sentence has exactly one right translation and one right class, so a perfect model reaches a
BLEU of 100, an exact match of 100 % and an accuracy of 100 %.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import numpy as np

from dlcourse.data.synthetic.grammar import made_up_words, zipf

__all__ = ["NUM_CATEGORIES", "PairedGrammar", "build_paired_grammar"]

NUM_CATEGORIES = 4
MOST_CLAUSES = 3
CONJUNCTIONS = {"and": "et", "but": "sed", "because": "nam", "while": "dum"}
# A determiner by whether its noun is plural, and its translation without the ending.
DETERMINERS = (
    {"the": "il", "a": "un", "this": "ist"},
    {"the": "il", "some": "kel", "these": "ist"},
)
GENDERS = "aoe"  # the endings of adjectives and determiners
PARTICLE = "up"
ALIKE = 0.2  # the share of other nouns that are taken from the category of the first one

T = TypeVar("T")


def pick(rng: Random, items: Sequence[T]) -> T:
    """One of `items`, all equally likely; only random() is the same in all versions of Python."""
    return items[int(len(items) * rng.random())]


@dataclass(frozen=True)
class Word:
    """A word and its translation; of a noun also its gender and its category."""

    source: str
    target: str
    gender: str = ""
    category: int = 0


@dataclass(frozen=True)
class PairedGrammar:
    """Two languages that differ in the order of words, and whose words agree in different ways.

    The first has the order determiner, adjectives, noun; subject, verb, object, adverb. The second
    has the order noun, adjectives, determiner; adverb, subject, object, verb. There, adjectives
    and determiners agree with the gender of their noun, the determiner of an object ends in m, and
    a verb agrees with the number of its subject. Several words of the first language can have the
    same translation, and a verb with the particle "up", which stands after the object, is one other
    word. Conjunctions join up to three clauses, whose order stays.
    """

    nouns: list[Word]
    adjectives: list[Word]
    verbs: list[Word]
    adverbs: list[Word]
    with_particle: dict[str, str]  # the translation of a verb (source) with the particle

    def pairs(self, seed: int) -> Iterator[tuple[list[str], list[str]]]:
        """An endless iterator of sentences, each with its translation."""
        rng = Random(seed)
        while True:
            source, target = self.clause(rng, self.noun(rng), self.noun(rng))
            for _ in range(int(MOST_CLAUSES * rng.random())):
                joint = pick(rng, list(CONJUNCTIONS))
                more = self.clause(rng, self.noun(rng), self.noun(rng))
                source += [joint, *more[0]]
                target += [CONJUNCTIONS[joint], *more[1]]
            yield source, target

    def texts(self, seed: int) -> Iterator[tuple[list[str], int]]:
        """An endless iterator of sentences, each with the category of its first subject.

        A few of the other nouns are of this category, too, so counting words helps a little.
        """
        rng = Random(seed)
        while True:
            subject = self.noun(rng)
            alike = [noun for noun in self.nouns if noun.category == subject.category]
            text: list[str] = []
            for _ in range(1 + int(MOST_CLAUSES * rng.random())):
                first, second = (
                    pick(rng, alike) if rng.random() < ALIKE else self.noun(rng) for _ in range(2)
                )
                clause = self.clause(rng, first if text else subject, second)[0]
                text += ["and", *clause] if text else clause
            yield text, subject.category

    def clause(self, rng: Random, subject: Word, obj: Word) -> tuple[list[str], list[str]]:
        """A clause about two nouns, and its translation."""
        plural = rng.random() < 0.5
        first, first_target = self.phrase(rng, subject, plural, "")
        second, second_target = self.phrase(rng, obj, rng.random() < 0.5, "m")
        verb = pick(rng, self.verbs)
        source, meaning = [*first, verb.source + "s" * (not plural), *second], verb.target
        if verb.source in self.with_particle and rng.random() < 0.5:
            source.append(PARTICLE)
            meaning = self.with_particle[verb.source]
        before = []
        if rng.random() < 0.3:
            adverb = pick(rng, self.adverbs)
            source.append(adverb.source)
            before = [adverb.target]
        ending = "unt" if plural else "it"
        return source, [*before, *first_target, *second_target, meaning + ending]

    def phrase(
        self, rng: Random, noun: Word, plural: bool, case: str
    ) -> tuple[list[str], list[str]]:
        """A noun with its determiner and perhaps an adjective, and its translation."""
        word, translation = pick(rng, list(DETERMINERS[plural].items()))
        count = pick(rng, (0, 0, 1))
        adjectives = [pick(rng, self.adjectives) for _ in range(count)]
        ending = noun.gender + "s" * plural
        source = [word, *(one.source for one in adjectives), noun.source + "s" * plural]
        target = [noun.target + "n" * plural, *(one.target + ending for one in adjectives)]
        return source, [*target, translation + ending + case]

    def noun(self, rng: Random) -> Word:
        """Half of the nouns are drawn evenly, half by Zipf's law."""
        return pick(rng, self.nouns) if rng.random() < 0.5 else self.frequent(rng)

    def frequent(self, rng: Random) -> Word:
        return rng.choices(self.nouns, cum_weights=self.frequencies)[0]

    @functools.cached_property
    def frequencies(self) -> list[float]:
        return np.cumsum(zipf(len(self.nouns))).tolist()


def build_paired_grammar(
    seed: int = 0, num_nouns: int = 32, num_verbs: int = 16, num_adjectives: int = 16
) -> PairedGrammar:
    """Two languages of made-up words. Every fourth noun and adjective is a synonym of the one
    before, with the same translation, and every third verb has another meaning with a particle.
    """
    rng = np.random.default_rng(seed)
    sizes = (num_nouns, num_adjectives, num_verbs, num_verbs, 8)
    stems = made_up_words(2 * sum(sizes), rng)
    kinds = []
    for size, ending in zip(sizes, ("", "ic", "k", "k", "ly"), strict=True):
        own, stems = stems[: 2 * size], stems[2 * size :]
        kinds.append(
            [
                Word(first + ending, second)
                for first, second in zip(own[::2], own[1::2], strict=True)
            ]
        )
    nouns, adjectives, verbs, others, adverbs = kinds
    for words in (nouns, adjectives):
        for place in range(3, len(words), 4):
            words[place] = Word(words[place].source, words[place - 1].target)
    # Synonyms, which are neighbors, have the same gender and category.
    nouns = [
        Word(noun.source, noun.target, GENDERS[place // 2 % 3], place // 2 % NUM_CATEGORIES)
        for place, noun in enumerate(nouns)
    ]
    particle = {
        verb.source: other.target for verb, other in zip(verbs[::3], others[::3], strict=True)
    }
    return PairedGrammar(nouns, adjectives, verbs, adverbs, particle)
