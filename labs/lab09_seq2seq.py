# %% [markdown]
"""Lab 09: sequence to sequence.

How does a network read a sentence of any length, and how does it write another one?

You pad sentences of different lengths into one batch, classify texts with an LSTM that ignores the
padding, and train an encoder and a decoder that translate. Then the decoder learns to look back at
the source, by additive attention. You write the searches for the best translation, greedy and with
a beam, and the score that judges it, BLEU.

Lecture sections: Recurrent networks; Sequence to sequence; Translation; Attention; Long short-term
memory (LSTM).

    dlcourse check lab09              check your answers (takes seconds)
    dlcourse check lab09 --task 9.3   check one task
    dlcourse run lab09 --tiny         run the whole experiment on few sentences (takes seconds)
    dlcourse run lab09                run the whole experiment (a few minutes on a laptop)

A recorded run of the solution (`dlcourse run lab09`, made-up languages, 2 cores):

    data: sentences of a paired grammar (stand-in for AG News); 4,000 to train
    a perfect model finds 100%

    test accuracy, mean ± standard deviation
    bag of words          71.5 ± 0.2 %
    LSTM                  99.5 ± 0.5 %
    logits of a text alone and in a batch of 23 words: 1e-06 apart

    data: sentences of a paired grammar (stand-in for Multi30k); 6,000 to train
    a perfect model has BLEU 100

    words in the source                 5 to 7       7 to 13      13 to 19      20 to 25
    BLEU, plain                     25.2 ± 3.3     7.9 ± 1.7     5.2 ± 0.2     4.0 ± 1.2
    BLEU, source reversed           53.3 ± 1.8    23.7 ± 1.3    16.0 ± 1.3    11.0 ± 0.3
    BLEU, attention                 98.3 ± 1.6    94.6 ± 5.6    91.4 ± 7.9   88.5 ± 10.2
    exact match, plain               2.0 ± 1.0     0.0 ± 0.0     0.0 ± 0.0     0.0 ± 0.0
    exact match, source reversed     5.7 ± 2.5     0.3 ± 0.6     0.0 ± 0.0     0.0 ± 0.0
    exact match, attention          93.7 ± 6.0   75.7 ± 23.1   55.3 ± 38.0   42.3 ± 41.5

    BLEU by width of the beam                1             2            12
    plain                            7.4 ± 1.4     7.9 ± 1.3     8.0 ± 1.6
    source reversed                 19.0 ± 0.4    20.4 ± 1.0    19.9 ± 0.7
    attention                       91.4 ± 8.4    91.6 ± 7.9    91.6 ± 7.9
    figures: results/lab09

Over 3 seeds (mean, standard deviation, how many seeds agree):

    logits of a text: alone and in a batch, apart                1e-06 < 1e-04           exact
    test accuracy: LSTM, bag of words                     99.5% (0.5%) > 71.5% (0.2%)    3 of 3
    BLEU, longest quarter: reversed, plain                  11.0 (0.3) > 4.0 (1.2)       3 of 3
    BLEU, longest quarter: attention, reversed             88.5 (10.2) > 11.0 (0.3)      3 of 3
    attention gains more than the spread of the seeds       84.5 (9.2) > 10.2            3 of 3
    BLEU, plain: beam of 12, of 1                            8.0 (1.6) > 7.4 (1.4)       2 of 3
    BLEU, source reversed: beam of 12, of 1                 19.9 (0.7) > 19.0 (0.4)      3 of 3
    padded with 7: 1, 2, 3 and 4, 7, 7 added up                     24 = 24              exact
    words in the mask                                                4 = 4               exact
    classifier: weights without a gradient                           0 = 0               exact
    loss of ten equal words: ln 10                               2.303 = 2.303           exact
    logits that the last target changes                              0 = 0               exact
    equal keys: mean of 2 and 4; 9 is padding                        3 = 3               exact
    weights of the attention, added up                               1 = 1               exact
    greedy: the likeliest first word                                 1 = 1               exact
    beam: first word of the likeliest sentence                       2 = 2               exact
    "the", seven times: matches                                      2 = 2               exact
    BLEU of a right translation                                    100 = 100             exact
The figures in results/lab09:

    alignment: A source (columns) and its translation (rows): how much each word that is written
      attends to each word that is read.
    length: Completely right translations by the length of the source, for the plain encoder and
      decoder, with the source reversed, and with attention.
"""

# %%
from __future__ import annotations

import contextlib
import functools
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, plots
from dlcourse.errors import UsageError
from dlcourse.findings import Findings

# %% [markdown]
# ## 1. Sentences of different lengths in one batch
# A tensor has rows of one length. So short sentences are filled up with padding, and a mask says
# where there is a word. Everything that follows must give the same result for a sentence alone and
# for the same sentence in a batch with longer ones.


# %%
def pad(sentences: Sequence[Sequence[int]], padding: int = 0) -> tuple[Tensor, Tensor]:
    """Return the sentences as the rows of one tensor, and a mask that is True where a word is.

    Short rows are filled up with `padding` on the right. A sentence can also contain this number
    as a word. Raise ValueError if there is no sentence, or if one has no words. Do not call torch's
    pad_sequence or nested tensors.
    Shape: N sentences, the longest with T words -> int64 (N, T), bool (N, T).

    >>> pad([[5, 0, 7], [4]], padding=9)
    (tensor([[5, 0, 7],
            [4, 9, 9]]), tensor([[ True,  True,  True],
            [ True, False, False]]))
    """
    # Task 9.1 (1 point). For a hint: dlcourse hint 9.1
    raise NotImplementedError("task 9.1: pad")


# %% [markdown]
# ## 2. A sentence has a class
# An LSTM reads the words one after another, and its last state stands for the whole sentence. In a
# batch, "last" means something else for each row: the LSTM must stop at the last word, and must not
# read the padding.


# %%
def read(lstm: nn.LSTM, inputs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Run an LSTM over each row up to its last word; return (outputs, h, c).

    lstm: with batch_first=True and one layer; it starts with a state of zeros.
    outputs: h after each word, and 0 at the padding. h, c: the state after the last word of a row.
    mask: as from `pad`. Raise ValueError if a row has no word.
    Shape: inputs (N, T, D), mask bool (N, T) -> (N, T, H), (N, H), (N, H), with the dtype
    of the inputs.

    >>> lstm = nn.LSTM(2, 1, batch_first=True)
    >>> mask = torch.tensor([[True, True, True], [True, False, False]])
    >>> outputs, h, c = read(lstm, torch.ones(2, 3, 2), mask)
    >>> outputs[1, 1:].tolist()  # behind the only word of row 1
    [[0.0], [0.0]]
    >>> (h[1] - outputs[1, 0]).abs().item()
    0.0
    """
    # Task 9.2 (3 points). For a hint: dlcourse hint 9.2
    raise NotImplementedError("task 9.2: read")


class TextClassifier(nn.Module):
    """An embedding, an LSTM, and a linear layer on its state after the last word.

    Shape: tokens int64 (N, T), mask bool (N, T) -> logits (N, num_classes).
    """

    def __init__(self, vocab_size: int, num_classes: int, size: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, size)
        self.lstm = nn.LSTM(size, size, batch_first=True)
        self.fc = nn.Linear(size, num_classes)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        # Task 9.2, continued.
        raise NotImplementedError("task 9.2: TextClassifier.forward")


# %% [markdown]
# ## 3. Encoder and decoder
# The encoder reads the source, and its last state is the first state of the decoder (Sutskever et
# al. 2014). The decoder gets the last word that was written and predicts the next one. `<eos>`
# tells it to begin, and it writes `<eos>` when the sentence is complete. In training we use teacher
# forcing: the decoder gets the right word before, not the one that it would have written itself.

# %%
State = tuple[Tensor, Tensor]  # h and c of an LSTM, (N, H) each
Memory = tuple[Tensor, Tensor]  # what the encoder remembers of each word, (N, S, H) each


class Translator(nn.Module):
    """An LSTM that reads, and one that writes, with or without attention.

    end: the number of `<eos>` among the target words. It ends a translation and stands for the word
    before the first one.
    """

    def __init__(
        self, source_size: int, target_size: int, end: int, attention: bool, size: int = 64
    ) -> None:
        super().__init__()
        self.end, self.attention = end, attention
        self.source_embedding = nn.Embedding(source_size, size)
        self.target_embedding = nn.Embedding(target_size, size)
        self.encoder = nn.LSTM(size, size, batch_first=True)
        self.decoder = nn.LSTMCell(2 * size if attention else size, size)
        self.fc = nn.Linear(2 * size if attention else size, target_size)
        self.U = nn.Linear(size, size, bias=False) if attention else nn.Identity()
        if attention:
            self.W, self.v = nn.Linear(size, size, bias=False), nn.Parameter(torch.ones(size))

    def encode(self, sources: Tensor, mask: Tensor) -> tuple[Memory, State]:
        """Read the sources; return the memory, and the state after the last word of each source.

        The memory is a pair: the encoder's outputs at each word, and `self.U` of these outputs. The
        state is the pair (h, c).
        Shape: int64 (N, S), bool (N, S) -> ((N, S, H), (N, S, H)), ((N, H), (N, H)).
        """
        # Task 9.3 (3 points). For a hint: dlcourse hint 9.3
        raise NotImplementedError("task 9.3: Translator.encode")

    def step(
        self, before: Tensor, state: State, memory: Memory, mask: Tensor
    ) -> tuple[Tensor, State, Tensor]:
        """One step of the decoder; it is complete.

        before: the word before the one that is predicted. Return the logits of the predicted word,
        the next state, and the weights of the attention (all 0 without attention).
        Shape: before int64 (N,), state and memory as from `encode`, mask (N, S)
        -> (N, target_size), state, (N, S).
        """
        inputs = self.target_embedding(before)
        weights = inputs.new_zeros(mask.shape)
        if not self.attention:
            state = self.decoder(inputs, state)
            return self.fc(state[0]), state, weights
        outputs, keys = memory
        context, weights = attend(state[0], keys, outputs, mask, self.W.weight, self.v)
        state = self.decoder(torch.cat([inputs, context], 1), state)
        return self.fc(torch.cat([state[0], context], 1)), state, weights

    def forward(self, sources: Tensor, mask: Tensor, targets: Tensor) -> Tensor:
        """Return the logits of each target word, after the right words before it.

        Shape: sources int64 (N, S), mask bool (N, S), targets int64 (N, T)
        -> (N, T, target_size).
        """
        # Task 9.3, continued.
        raise NotImplementedError("task 9.3: Translator.forward")


# %%
def sequence_loss(logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Return the mean cross-entropy over all words of the batch; the padding does not count.

    Shape: logits (N, T, V), targets int64 (N, T), mask bool (N, T) -> ().

    >>> logits = torch.tensor([[[0.0, 0.0], [9.0, -9.0]], [[0.0, math.log(3)], [5.0, 5.0]]])
    >>> mask = torch.tensor([[True, False], [True, False]])
    >>> sequence_loss(logits, torch.tensor([[0, 1], [1, 0]]), mask)  # (ln 2 + ln 4/3) / 2
    tensor(0.4904)
    """
    # Task 9.3, continued.
    raise NotImplementedError("task 9.3: sequence_loss")


# %% [markdown]
# ## 4. Look back at the source
# A decoder that sees only the last state of the encoder must find the whole sentence in one vector.
# With attention it looks at all states of the encoder before it writes a word, and weighs them by
# how well they fit its own state q (Bahdanau et al. 2015):
#
#     score_j = v . tanh(W q + k_j),   weights = softmax over j of the score_j
#     context = sum_j weights_j m_j
#
# Here m_j is the output of the encoder at word j, and k_j = U m_j. U is applied only once for each
# source, not again for each word that is written.


# %%
def attend(
    query: Tensor, keys: Tensor, memory: Tensor, mask: Tensor, W: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    """Additive attention; return (context, weights).

    The weight of a place without a word (mask False) is exactly 0, and the weights of a row sum
    to 1. Raise ValueError if a row has no word.
    Shape: query (N, H), keys (N, S, A), memory (N, S, M), mask bool (N, S), W (A, H), v (A,)
    -> (N, M), (N, S).

    >>> keys = memory = torch.tensor([[[0.0], [2.0], [5.0]]])
    >>> mask = torch.tensor([[True, True, False]])
    >>> attend(torch.zeros(1, 1), keys, memory, mask, torch.ones(1, 1), torch.ones(1))
    (tensor([[1.4478]]), tensor([[0.2761, 0.7239, 0.0000]]))
    """
    # Task 9.4 (2 points). For a hint: dlcourse hint 9.4
    raise NotImplementedError("task 9.4: attend")


# %% [markdown]
# ## 5. Search
# The network gives probabilities of the next word. The best translation is the sentence with the
# highest probability, but there are too many sentences to try all. Greedy search takes the best
# word each time. Beam search keeps the `width` best beginnings.
#
# `step(beginnings)` returns log probabilities of the next word after each beginning, a list of word
# numbers: a tensor (B, V) for B beginnings. [] is the beginning of every sentence. The word `end`
# completes a sentence.

# %%
Step = Callable[[list[list[int]]], Tensor]


def greedy(step: Step, end: int, max_words: int) -> list[int]:
    """Write the most probable next word until it is `end`; return the words before `end`.

    Stop after `max_words` words, also without `end`. Raise ValueError if max_words is below 1.

    >>> table = torch.tensor([[0.1, 0.6, 0.3], [0.2, 0.1, 0.7], [0.8, 0.1, 0.1]]).log()
    >>> greedy(lambda beginnings: table[[len(words) for words in beginnings]], end=0, max_words=5)
    [1, 2]
    """
    # Task 9.5 (3 points). For a hint: dlcourse hint 9.5
    raise NotImplementedError("task 9.5: greedy")


def beam_search(step: Step, end: int, max_words: int, width: int, alpha: float = 1.0) -> list[int]:
    """Return the best sentence that a beam of `width` beginnings finds, without `end`.

    Start with the beginning []. Each round extends all beginnings by all words and keeps the
    `width` extensions with the highest log probability (the sum over all their words). Those that
    end in `end` are complete; the others are the beginnings of the next round. Stop after
    `max_words` rounds, or when no beginning is left.
    Of the complete sentences and the beginnings that are left, return the one with the highest
    log probability / length ** alpha, where `end` counts as a word of the length.
    Raise ValueError if max_words or width is below 1.

    >>> table = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.1, 0.4], [0.9, 0.05, 0.05]]).log()
    >>> def step(beginnings):
    ...     return table[[len(words) for words in beginnings]]
    >>> beam_search(step, end=0, max_words=3, width=2)  # log(0.6 * 0.4 * 0.9) / 3 = -0.51
    [1, 2]
    >>> beam_search(step, end=0, max_words=3, width=2, alpha=0.0)  # log(0.6 * 0.5) = -1.2
    [1]
    """
    # Task 9.5, continued.
    raise NotImplementedError("task 9.5: beam_search")


# %% [markdown]
# ## 6. The score
# BLEU (Papineni et al. 2002) compares translations with references by their n-grams, the sequences
# of n words. It is computed for a whole corpus:
#
#     p_n  = clipped matches of all sentences / n-grams of all translations,   n = 1, ..., 4
#     BP   = 1 if c > r, else exp(1 - r / c)     c, r: words of all translations, all references
#     BLEU = 100 BP (p_1 p_2 p_3 p_4) ^ (1/4)
#
# The brevity penalty BP is there because a short translation that leaves out all difficult words
# would have a high precision.


# %%
def clipped_matches(translation: Sequence[str], reference: Sequence[str], n: int) -> int:
    """Return how many n-grams of the translation are in the reference.

    An n-gram counts at most as often as the reference contains it.

    >>> clipped_matches("the the the cat".split(), "the cat saw the dog".split(), 1)  # 2 + 1
    3
    """
    # Task 9.6 (2 points). For a hint: dlcourse hint 9.6
    raise NotImplementedError("task 9.6: clipped_matches")


def bleu(translations: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """Return the BLEU of a corpus, from 0 to 100, with one reference for each translation.

    It is 0 if one of the four p_n is 0, or has no n-grams at all. Raise ValueError if there are not
    as many translations as references, or none.

    >>> bleu(["a b c d".split()], ["a b c d e".split()])  # p_n are 1, BP is exp(1 - 5/4)
    77.8800783071405
    """
    # Task 9.6, continued.
    raise NotImplementedError("task 9.6: bleu")


# %% [markdown]
# ## 7. The experiment
# Before you run it, write down your guess: how much does the LSTM gain over counting words? The
# sources are divided into quarters by their length: how many translations of the longest quarter
# are completely right, with and without attention? What changes if the plain network reads the
# source from its end?
#
# *Your prediction:*


# %%
Pair = tuple[list[str], list[str]]  # a source and its translation, as words


class BagOfWords(nn.Module):
    """Logistic regression on how often each word occurs; the order does not count."""

    def __init__(self, vocab_size: int, num_classes: int) -> None:
        super().__init__()
        self.weight = nn.Embedding(vocab_size, num_classes)
        nn.init.zeros_(self.weight.weight)
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return (self.weight(tokens) * mask[..., None]).sum(1) + self.bias


def batches(lengths: Sequence[int], epochs: int, seed: int) -> Iterator[list[int]]:
    """Yield the places of the samples of each batch, 64 of similar length: little padding."""
    generator = torch.Generator("cpu").manual_seed(seed)
    for _ in range(epochs):
        order = torch.randperm(len(lengths), generator=generator, device="cpu")
        for block in order.split(8 * 64):
            ranked = sorted(block.tolist(), key=lambda place: lengths[place])
            for start in range(0, len(ranked), 64):
                yield ranked[start : start + 64]


def minimize(
    model: nn.Module, losses: Callable[[], Iterable[Tensor]], steps: int, lr: float
) -> None:
    """Train `model` by Adam with a learning rate that rises to `lr` and falls to 0."""
    optimizer = torch.optim.Adam(model.parameters(), lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, steps + 1, pct_start=0.1, cycle_momentum=False
    )
    model.train()
    for loss in losses():
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()


def train_classifier(
    model: nn.Module, texts: data.LabeledTexts, epochs: int, seed: int
) -> nn.Module:
    numbers = [texts.vocabulary.encode(text).tolist() for text, _ in texts.train]
    labels = torch.tensor([label for _, label in texts.train])

    def losses() -> Iterator[Tensor]:
        for places in batches([len(n) for n in numbers], epochs, seed):
            logits = model(*pad([numbers[place] for place in places]))
            yield F.cross_entropy(logits, labels[places])

    minimize(model, losses, epochs * -(-len(numbers) // 64), lr=0.01)
    return model


@torch.inference_mode()
def accuracy(model: nn.Module, texts: data.LabeledTexts, count: int) -> float:
    """Return the share of the first `count` test texts whose class is found."""
    logits = model(*pad([texts.vocabulary.encode(text).tolist() for text, _ in texts.test[:count]]))
    labels = torch.tensor([label for _, label in texts.test[:count]])
    return logits.argmax(1).eq(labels).float().mean().item()


def compare_classifiers(
    texts: data.LabeledTexts, epochs: int, seeds: Sequence[int], findings: Findings
) -> None:
    """Print the accuracy of the LSTM and of counting words."""
    V, found = len(texts.vocabulary), dict[str, list[float]]()
    best = "" if texts.best is None else f"\na perfect model finds {texts.best:.0%}"
    print(f"data: {texts.source}; {len(texts.train):,} to train{best}")
    makers: dict[str, type[nn.Module]] = {"bag of words": BagOfWords, "LSTM": TextClassifier}
    print("\ntest accuracy, mean ± standard deviation")
    for name, make in makers.items():
        found[name] = []
        for seed in seeds:
            torch.manual_seed(seed)
            model = train_classifier(make(V, len(texts.class_names)), texts, epochs, seed)
            found[name].append(accuracy(model, texts, 1000))
        print(f"{name:<18}{shown([100 * value for value in found[name]]):>14} %")
    longest = max(len(text) for text, _ in texts.test[:50])
    numbers = [texts.vocabulary.encode(text).tolist() for text, _ in texts.test[:50]]
    with torch.inference_mode():
        together = model(*pad(numbers))
        alone = torch.cat([model(*pad([sentence])) for sentence in numbers])
    gap = (together - alone).abs().max().item()
    print(f"logits of a text alone and in a batch of {longest} words: {gap:.0e} apart")
    findings.claim(
        "logits of a text: alone and in a batch, apart", gap, "<", 1e-4, ".0e",
        task="9.1 or 9.2", exact=True,
    )  # fmt: skip
    findings.claim(
        "test accuracy: LSTM, bag of words", found["LSTM"], ">", found["bag of words"], ".1%",
        task="9.2",
    )  # fmt: skip


class Task:
    """The sentence pairs of the experiment as numbers, forward or with reversed sources."""

    def __init__(self, pairs: data.SentencePairs, reverse: bool) -> None:
        self.pairs, self.order = pairs, -1 if reverse else 1
        self.end = pairs.target_vocabulary["<eos>"]
        self.sources = [self.read(source) for source, _ in pairs.train]
        self.targets = [
            [*pairs.target_vocabulary.encode(target).tolist(), self.end]
            for _, target in pairs.train
        ]

    def read(self, words: Sequence[str]) -> list[int]:
        """Return the numbers of the words of a source."""
        return self.pairs.source_vocabulary.encode(words).tolist()[:: self.order]

    def model(self, attention: bool) -> Translator:
        sizes = len(self.pairs.source_vocabulary), len(self.pairs.target_vocabulary)
        return Translator(*sizes, self.end, attention)

    def train(self, model: Translator, epochs: int, seed: int) -> None:
        def losses() -> Iterator[Tensor]:
            for places in batches([len(s) for s in self.sources], epochs, seed):
                sources, mask = pad([self.sources[place] for place in places])
                targets, target_mask = pad([self.targets[place] for place in places])
                yield sequence_loss(model(sources, mask, targets), targets, target_mask)

        minimize(model, losses, epochs * -(-len(self.sources) // 64), lr=0.01)


class Steps:
    """The `Step` of a model for one source. It remembers the state after each beginning."""

    def __init__(self, model: Translator, source: Sequence[int]) -> None:
        sources, self.mask = pad([source])
        self.model, self.weights = model, dict[tuple[int, ...], Tensor]()
        self.memory, self.first = model.encode(sources, self.mask)
        self.after: dict[tuple[int, ...], State] = {}

    def __call__(self, beginnings: list[list[int]]) -> Tensor:
        before = torch.tensor([words[-1] if words else self.model.end for words in beginnings])
        states = [self.after[tuple(words[:-1])] if words else self.first for words in beginnings]
        h, c = (torch.cat(parts) for parts in zip(*states, strict=True))
        outputs, keys = (part.expand(len(h), -1, -1) for part in self.memory)
        mask = self.mask.expand(len(h), -1)
        logits, (h, c), weights = self.model.step(before, (h, c), (outputs, keys), mask)
        for row, words in enumerate(beginnings):
            self.after[tuple(words)] = h[row : row + 1], c[row : row + 1]
            self.weights[tuple(words)] = weights[row]
        return logits.log_softmax(1)


@torch.inference_mode()
def search(task: Task, model: Translator, source: Sequence[str], width: int = 0) -> list[str]:
    """Return the translation of a source; width: of the beam, or 0 for greedy search."""
    step, most = Steps(model, task.read(source)), 2 * len(source) + 5
    found = beam_search(step, task.end, most, width) if width else greedy(step, task.end, most)
    return task.pairs.target_vocabulary.decode(found)


@torch.inference_mode()
def align(task: Task, model: Translator, sentence: str) -> tuple[list[str], list[str], Tensor]:
    """Translate a sentence; return its words, the translation and the weights (T, S).

    Raise UsageError for a word that is not in the vocabulary.
    """
    source = sentence.split()
    for word in source:
        if word not in task.pairs.source_vocabulary:
            raise UsageError(
                f"sentence holds {word!r}, not in the vocabulary of "
                f"{len(task.pairs.source_vocabulary)} words; replace it, or write <unk>"
            )
    steps = Steps(model, task.read(source))
    found = greedy(steps, task.end, 2 * len(source) + 5)
    # A translation that is cut off has no weights for `<eos>`.
    beginnings = [tuple(found[:n]) for n in range(len(found) + 1)]
    weights = torch.stack([steps.weights[one] for one in beginnings if one in steps.weights])
    words = [*task.pairs.target_vocabulary.decode(found), "<eos>"]
    return source, words[: len(weights)], weights


def quarters(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Divide pairs by the length of their source into four parts of the same size."""
    ranked = sorted(pairs, key=lambda pair: len(pair[0]))
    return [ranked[len(ranked) * i // 4 : len(ranked) * (i + 1) // 4] for i in range(4)]


def score(translations: list[list[str]], pairs: Sequence[Pair]) -> tuple[float, float]:
    """Return BLEU and exact match in percent: how many translations are the reference."""
    references = [target for _, target in pairs]
    right = sum(one == other for one, other in zip(translations, references, strict=True))
    return bleu(translations, references), 100 * right / len(pairs)


# Whether the source is reversed, and whether there is attention.
KINDS = {"plain": (False, False), "source reversed": (True, False), "attention": (False, True)}
WIDTHS = (1, 2, 12)


def compare_translators(
    pairs: data.SentencePairs, epochs: int, count: int, seeds: Sequence[int], findings: Findings
) -> tuple[list[list[Pair]], dict[str, list[float]], Task, Translator]:
    """Print BLEU and exact match by the length of the source, and what a beam changes.

    count: how many test sentences. Return the quarters, the mean exact match of each kind in them,
    and a task and a model with attention.
    """
    best = "" if pairs.best is None else f"\na perfect model has BLEU {pairs.best:.0f}"
    print(f"\ndata: {pairs.source}; {len(pairs.train):,} to train{best}")
    tasks = {reverse: Task(pairs, reverse) for reverse in (False, True)}
    parts = quarters(pairs.test[:count])
    # For each kind and seed: BLEU and exact match of each quarter; BLEU for each width.
    scores: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in KINDS}
    beams: dict[str, list[list[float]]] = {name: [] for name in KINDS}
    some = [pair for part in parts for pair in part[::4]]
    for seed in seeds:
        for name, (reverse, attention) in KINDS.items():
            torch.manual_seed(seed)
            task = tasks[reverse]
            model = task.model(attention)
            task.train(model, epochs, seed)
            written = [[search(task, model, source) for source, _ in part] for part in parts]
            scores[name].append([score(*both) for both in zip(written, parts, strict=True)])
            found = [[search(task, model, source, w) for source, _ in some] for w in WIDTHS]
            beams[name].append([score(translations, some)[0] for translations in found])

    ends = [f"{len(part[0][0])} to {len(part[-1][0])}" for part in parts]
    print(f"\n{'words in the source':<28}" + "".join(f"{end:>14}" for end in ends))
    for place, what in enumerate(("BLEU", "exact match")):
        for name, runs in scores.items():
            columns = [[run[quarter][place] for run in runs] for quarter in range(4)]
            print(
                f"{f'{what}, {name}':<28}" + "".join(f"{shown(column):>14}" for column in columns)
            )
    print(f"\n{'BLEU by width of the beam':<28}" + "".join(f"{width:>14}" for width in WIDTHS))
    for name, rows in beams.items():
        print(f"{name:<28}" + "".join(f"{shown(list(c)):>14}" for c in zip(*rows, strict=True)))

    longest = {name: [run[3][0] for run in runs] for name, runs in scores.items()}
    means = {
        name: [mean_and_spread([run[quarter][1] for run in runs])[0] for quarter in range(4)]
        for name, runs in scores.items()
    }
    claim_translations(longest, beams, findings)
    return parts, means, tasks[False], model


def shown(values: Sequence[float]) -> str:
    mean, spread = mean_and_spread(values)
    return f"{mean:.1f} ± {spread:.1f}"


def claim_translations(
    longest: dict[str, list[float]], beams: dict[str, list[list[float]]], findings: Findings
) -> None:
    """Claim what the scores of the longest quarter and of the beams show."""
    plain, reverse, attention = longest.values()
    claim = findings.claim
    claim("BLEU, longest quarter: reversed, plain", reverse, ">", plain, ".1f", task="9.3")
    claim("BLEU, longest quarter: attention, reversed", attention, ">", reverse, ".1f", task="9.4")
    gains = [a - b for a, b in zip(attention, plain, strict=True)]
    spread = max(mean_and_spread(values)[1] for values in (plain, attention))
    claim("attention gains more than the spread of the seeds", gains, ">", spread, ".1f")
    for name in ("plain", "source reversed"):
        one, _, twelve = zip(*beams[name], strict=True)
        claim(f"BLEU, {name}: beam of 12, of 1", twelve, ">", one, ".1f", task="9.5")


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard deviation; the deviation of one value is 0."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


@torch.no_grad()
def check_pieces(findings: Findings) -> None:
    """Compare what your functions compute with what is known without them."""
    claim = functools.partial(findings.claim, form=".4g", exact=True)
    tokens, mask = pad([[1, 2, 3], [4]], padding=7)
    claim("padded with 7: 1, 2, 3 and 4, 7, 7 added up", tokens.sum().item(), "=", 24, task="9.1")
    claim("words in the mask", mask.sum().item(), "=", 4, task="9.1")
    reader = TextClassifier(9, 3)
    with torch.enable_grad():
        reader(tokens, mask).square().sum().backward()
    idle = sum(weight.grad is None for weight in reader.parameters())
    claim("classifier: weights without a gradient", idle, "=", 0, task="9.2")
    logits = torch.zeros(2, 3, 10)
    logits[~mask] = 9 * torch.eye(10)[0]  # sure and wrong, but only at the padding
    loss = sequence_loss(logits, tokens, mask).item()
    claim("loss of ten equal words: ln 10", round(loss, 4), "=", round(math.log(10), 4), task="9.3")
    model = Translator(9, 9, end=0, attention=True)
    others = tokens.clone()
    others[:, -1] = 5
    apart = (model(tokens, mask, tokens) - model(tokens, mask, others)).abs().max().item()
    claim("logits that the last target changes", apart, "=", 0, task="9.2 or 9.3 or 9.4")
    known = torch.randn(1, 1, 4).expand(1, 3, 4)
    memory, words = torch.tensor([[[2.0], [4.0], [9.0]]]), torch.tensor([[True, True, False]])
    context, weights = attend(torch.randn(1, 4), known, memory, words, torch.eye(4), torch.ones(4))
    claim("equal keys: mean of 2 and 4; 9 is padding", round(context.item(), 4), "=", 3, task="9.4")
    claim("weights of the attention, added up", round(weights.sum().item(), 4), "=", 1, task="9.4")

    # The word after [], after 1 and after 2. The likeliest first word is 1, but 0.4 * 0.9 is most.
    table = torch.tensor([[0.0, 0.6, 0.4], [0.34, 0.33, 0.33], [0.9, 0.05, 0.05]]).log()

    def step(beginnings: list[list[int]]) -> Tensor:
        return table[[words[-1] if words else 0 for words in beginnings]]

    claim("greedy: the likeliest first word", sum(greedy(step, 0, 2)), "=", 1, task="9.5")
    found = beam_search(step, 0, 2, width=9, alpha=0.0)
    claim("beam: first word of the likeliest sentence", sum(found), "=", 2, task="9.5")
    cat = ["the", "cat", "is", "on", "the", "mat"]
    claim('"the", seven times: matches', clipped_matches(["the"] * 7, cat, 1), "=", 2, task="9.6")
    claim("BLEU of a right translation", round(bleu([cat], [cat]), 4), "=", 100, task="9.6")


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab09", __doc__, argv, epochs=5, full_epochs=20)
    sizes = (200, 200) if args.tiny else (None, None) if args.full else (4000, 6000)
    few, many = sizes
    settings = {"data_dir": args.data_dir, "offline": args.offline, "max_size": 8000}
    texts = data.load_labeled("agnews", limit=few, **settings)
    pairs = data.load_pairs("multi30k", limit=many, **settings)
    findings, seeds = args.findings, range(3 * args.seed, 3 * args.seed + (1 if args.tiny else 3))
    # New tensors and models are made on the device. On a CPU this is so anyway, and costs time.
    with contextlib.nullcontext() if args.device.type == "cpu" else args.device:
        compare_classifiers(texts, args.epochs, seeds, findings)
        count = 12 if args.tiny else 400
        parts, curves, task, model = compare_translators(pairs, args.epochs, count, seeds, findings)
        check_pieces(findings)
        example = next(source for source, _ in parts[2] if known(source, pairs))
        source, translation, weights = align(task, model, " ".join(example))
    if args.plot:
        middle = [statistics.mean(len(source) for source, _ in part) for part in parts]
        plots.curves(
            curves, args.out / "length.png", x=middle, title="Completely right translations",
            xlabel="words in the source", ylabel="exact match in %", ylim=(0, 100),
        )  # fmt: skip
        path = args.out / "alignment.png"
        plots.attention_map(weights, translation, source, path, "What each word attends to")
        print(f"figures: {args.out}")
    findings.report()


def known(source: Sequence[str], pairs: data.SentencePairs) -> bool:
    return all(word in pairs.source_vocabulary for word in source)


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** The plain translator fails on long sources, although the LSTM reads all of their words. Why
# does it help to read the source from its end, and why does this not solve the problem?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The whole source must fit into one vector, and the first words that are read have passed through
# the most steps. Reversed, the first words of the source are read last, just before the first words
# of the translation are written. Only a few steps lie between them, so the gradient reaches them.
# Training starts more easily, and the rest of the sentence follows. The vector is as small as
# before: it still cannot hold a long sentence. The lecture's table shows the same for English and
# French, with much larger networks: 26.17 BLEU forward and 30.59 reversed.
# </details>
#
# **2.** Break it: let your `sequence_loss` count the padding, too (`logits.flatten(0, 1)` and
# `targets.flatten()`), and run `dlcourse check lab09 --task 9.3`. What would this do to a training
# with real data, in which some sentences have 10 words and some have 50?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Most of the loss would come from places where the padding follows the padding, which is easy to
# predict. The mean loss looks small, and the gradient of the real words is divided by the number of
# all places, so it depends on the longest sentence of the batch. The network learns more slowly,
# and no error message says why.
# </details>
#
# **3.** In the picture of the alignment the dark places do not lie on the diagonal. Where does the
# decoder look when it writes the verb, the last word of a clause, and when it writes an adverb, the
# first one? Why does it often look at the place behind the word that it translates?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Adverbs come last in a source clause and first in the translation; verbs stand in the middle and
# come last. So the decoder jumps forward and back. The output of the encoder at a word knows this
# word and all before it, and nothing after it. Right behind the verb, the output still knows the
# verb, and also that its subject is complete, so this place can be the better one to look at.
# Bahdanau et al. read the source in both directions, so that each output also knows what follows.
# </details>
#
# **4.** In the experiment the LSTM beats the bag of words by far. On real news (AG News), Zhang et
# al. (2015) measured the opposite: a bag of words was better than an LSTM. What is different?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# In the made-up texts the class is decided by one word, the subject of the first clause, and the
# same words occur in all other places. Only the order tells which word counts. In news almost each
# word says something about the topic ("goal", "shares", "software"), wherever it stands. Then the
# order adds little, and counting needs fewer examples. Do not expect a network to be better before
# you have tried the simplest model.
# </details>
#
# ## What you have seen
# A sentence has the same class alone and in a batch, because the LSTM stops at its last word. Where
# the order of the words decides, it beats a bag of words. One vector is too small for a sentence:
# the plain translator fails, and reversing the source helps it without solving the problem. With
# attention the long sources are translated, too, although with this little training the three
# seeds still differ much. A wider beam gains little; it cannot repair a network that does not know
# the sentence.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab09` asks seven questions with four choices each, and explains the answers.
