"""Text from a seeded probabilistic grammar whose entropy rate is known exactly.

The alternatives of each symbol begin with different words, so a text has only one derivation, and
the entropy of a sentence is a sum over symbols: the expected number of uses times the entropy of
the choice (Grenander 1976; Chi 1999, Computational Linguistics 25:131). Sentences are drawn
independently, so the entropy rate is that entropy over the expected length.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcourse.data.vocabulary import EOS

__all__ = ["Grammar", "build_grammar", "made_up_words", "zipf"]

SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
POOL = 4096


@dataclass(frozen=True)
class Grammar:
    """A probabilistic grammar.

    rules: the alternatives of each symbol, each a tuple of a word and the symbols that follow it.
    probabilities: of the alternatives of each symbol. The first symbol starts a sentence.
    """

    rules: dict[str, list[tuple[str, ...]]]
    probabilities: dict[str, np.ndarray]

    @functools.cached_property
    def expected_uses(self) -> dict[str, float]:
        """The expected uses of each symbol in a sentence; solves n = e_start + M^T n."""
        symbols = list(self.rules)
        M = np.zeros((len(symbols), len(symbols)))
        for i, symbol in enumerate(symbols):
            for alternative, p in zip(self.rules[symbol], self.probabilities[symbol], strict=True):
                for follower in alternative[1:]:
                    M[i, symbols.index(follower)] += p
        start = np.eye(len(symbols))[0]
        return dict(zip(symbols, np.linalg.solve(np.eye(len(symbols)) - M.T, start), strict=True))

    @property
    def sentence_entropy(self) -> float:
        """In nats per sentence."""
        return sum(
            uses * -(self.probabilities[symbol] * np.log(self.probabilities[symbol])).sum()
            for symbol, uses in self.expected_uses.items()
        )

    def expected_length(self, level: str = "word") -> float:
        """The expected tokens of a sentence: words with `<eos>`, or characters with the newline."""
        return sum(
            uses * p * (1 if level == "word" or alternative[0] == EOS else len(alternative[0]) + 1)
            for symbol, uses in self.expected_uses.items()
            for alternative, p in zip(self.rules[symbol], self.probabilities[symbol], strict=True)
        ) - (level == "char")  # no space stands before the newline

    def entropy_rate(self, level: str = "word") -> float:
        """In nats per token; its exponential is the best perplexity that any model can reach."""
        return self.sentence_entropy / self.expected_length(level)

    def sentences(self, seed: int) -> Iterator[list[str]]:
        """An endless iterator of sentences, each a list of words without `<eos>`."""
        rng = np.random.default_rng(seed)
        draws = {symbol: self.draws(symbol, rng) for symbol in self.rules}
        start = next(iter(self.rules))
        while True:
            words, stack = [], [start]
            while stack:
                word, *followers = next(draws[stack.pop()])
                words.append(word)
                stack.extend(reversed(followers))
            yield words[:-1]

    def draws(self, symbol: str, rng: np.random.Generator) -> Iterator[tuple[str, ...]]:
        alternatives, p = self.rules[symbol], self.probabilities[symbol]
        while True:
            for i in rng.choice(len(alternatives), POOL, p=p).tolist():
                yield alternatives[i]

    def text(self, num_words: int, seed: int) -> str:
        """Lines of sentences with at least `num_words` words in total, counting `<eos>`."""
        lines, count = [], 0
        for words in self.sentences(seed):
            lines.append(" ".join(words))
            count += len(words) + 1
            if count >= num_words:
                break
        return "\n".join(lines) + "\n"


def build_grammar(seed: int = 0, num_nouns: int = 600, num_verbs: int = 300) -> Grammar:
    """A small English of made-up words. Subject and verb agree in number, also across nested
    relative clauses, and words are Zipf distributed.
    """
    rng = np.random.default_rng(seed)
    stems = made_up_words(num_nouns + num_verbs + 250, rng)
    nouns, verbs = stems[:num_nouns], stems[num_nouns : num_nouns + num_verbs]
    adjectives, adverbs = stems[-250:-50], stems[-50:]
    endings = {"one": ("", "s"), "many": ("s", "")}  # of a noun, of a verb
    determiners = {"one": ["a", "every", "this", "each"], "many": ["some", "all", "these", "most"]}
    rules: dict[str, list[tuple[str, ...]]] = {"sentence": [], "object": [], "end": [(EOS,)]}
    weights: dict[str, Any] = {"sentence": zipf(8), "object": zipf(8), "end": [0.6]}
    for number, (noun_end, verb_end) in endings.items():
        for d in determiners[number]:
            rules["sentence"].append((d, f"noun {number}", f"verb {number}", "end"))
            rules["object"].append((d, f"noun {number}"))
        rules[f"noun {number}"] = [
            *((noun + noun_end,) for noun in nouns),
            *((adjective + "ic", f"noun {number}") for adjective in adjectives),
        ]
        weights[f"noun {number}"] = [*0.75 * zipf(num_nouns), *0.25 * zipf(len(adjectives))]
        rules[f"verb {number}"] = [
            ("that", f"clause {number}", f"verb {number}"),
            *((verb + "k" + verb_end, "object") for verb in verbs),
        ]
        weights[f"verb {number}"] = [0.2, *0.8 * zipf(num_verbs)]
        rules[f"clause {number}"] = rules[f"verb {number}"][1:]
        weights[f"clause {number}"] = zipf(num_verbs)[rng.permutation(num_verbs)]
    rules["end"] += [(adverb + "ly", "end") for adverb in adverbs] + [("and", "sentence")]
    weights["end"] += [*0.3 * zipf(len(adverbs)), 0.1]
    return Grammar(rules, {symbol: np.array(weights[symbol]) / sum(weights[symbol])
                           for symbol in rules})  # fmt: skip


def made_up_words(n: int, rng: np.random.Generator) -> list[str]:
    """`n` different words of two or three syllables."""
    words: dict[str, None] = {}
    while len(words) < n:
        words["".join(rng.choice(SYLLABLES, rng.integers(2, 4)))] = None
    return list(words)


def zipf(n: int) -> np.ndarray:
    """The probabilities of `n` words by Zipf's law, the most frequent first; float64 (n,)."""
    weights = 1 / np.arange(1, n + 1)
    return weights / weights.sum()
