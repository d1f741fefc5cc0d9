# %% [markdown]
"""Lab 08: language models.

How well can we predict the next word from the words before it, and does a memory help more than
counting?

You write a smoothed trigram model, Bengio's feed-forward model, the Elman, LSTM, GRU and SCRN cells
from their equations, and the training loop: truncated backpropagation through time, where the state
is kept from batch to batch and the gradient is clipped. The experiment compares all of them with
the published table, and takes away the clipping and the state.

Lecture sections: Recurrent networks; Language modeling; Backpropagation through time; Long
short-term memory (LSTM); Gated recurrent network (GRU); Structurally constrained network (SCRN).

    dlcourse check lab08              check your answers (takes seconds)
    dlcourse check lab08 --task 8.5   check one task
    dlcourse run lab08 --tiny         run the whole experiment on 2,000 words (takes seconds)
    dlcourse run lab08                use 25,000 words (a minute on a laptop)
    dlcourse run lab08 --full         use all of Penn Treebank (an hour or two on a laptop)

A recorded run of the solution (`dlcourse run lab08`, real Penn Treebank, on a processor):

    data: ptb from datasets/ptb; 25,000 training words, 2,000 different

    size of the gradient, steps back           1        10        40
    Elman, U shrinks by 0.7              7.0e-01   2.8e-02   6.4e-07
    Elman, U grows by 1.3                1.3e+00   1.4e+01   3.6e+04
    LSTM, forget gates at 0.98           9.7e-01   7.9e-01   5.3e-01

    test perplexity                         measured  state lost
    your trigram                               161.8           -
    5-gram Kneser-Ney                          146.0           -
    Kneser-Ney with a cache                    123.0           -
    feed-forward                               219.3       224.6
    Elman, 100 units                           213.5       217.7
    GRU, 100 units                             183.1       183.4
    LSTM, 100 units                            168.9       169.4
    SCRN, 100 + 40 units                       239.4       263.2
    Elman without clipping: the loss is inf after 8 batches
    samples of the LSTM at three temperatures: results/lab08/samples.txt
    figures: results/lab08

Over 3 seeds (mean, standard deviation, how many seeds agree):

    gradient 40 steps back: Elman, U shrinks          6.4e-07 (1.6e-12) < 1.0e-05         exact
    gradient 40 steps back: Elman, U grows            3.6e+04 (7.7e-02) > 1.0e+03         exact
    gradient 40 steps back: LSTM                      6.0e-01 (1.1e-01) > 1.0e-01         exact
    perplexity: LSTM against Elman, 100 units              167.2 (1.6) < 216.2 (3.7)     3 of 3
    perplexity: LSTM against feed-forward                  167.2 (1.6) < 214.5 (5.2)     3 of 3
    perplexity: GRU against Elman, 100 units               183.9 (0.7) < 216.2 (3.7)     3 of 3
    perplexity: LSTM against a guess of V words                  168.9 < 2000.0          exact
    counts of single words, added up                              2000 = 2000            exact
    probabilities of all words, added up                             1 = 1               exact
    weights 1, 0, 0: share of the word                          0.2265 = 0.2265          exact
    perplexity, p = 1, 1, 1 and 1/16                                 2 = 2               exact
    feed-forward: largest hidden unit                                1 = 1               exact
    Elman, LSTM, GRU: differ from torch's cells by            5.96e-08 < 1e-05           exact
    norm of 3 and 4, clipped to 1                                    1 = 1               exact
    train_epoch with lr 0: same perplexity                           1 = 1               exact
    odds of 4 to 1 at temperature 1/2                               16 = 16              exact
    perplexity: counts and cache against LSTM                    123.0 < 167.2 (1.6)     3 of 3
    Elman, 100 units: perplexity, state lost               221.0 (4.5) > 216.2 (3.7)     3 of 3
    GRU, 100 units: perplexity, state lost                 185.3 (2.1) > 183.9 (0.7)     3 of 3
    LSTM, 100 units: perplexity, state lost                167.8 (1.6) > 167.2 (1.6)     3 of 3
    SCRN, 100 + 40 units: perplexity, state lost           267.8 (4.1) > 245.2 (5.0)     3 of 3
    Elman without clipping: loss, at the start                   1e+30 > 7.6 (0.0186)    3 of 3
The figures in results/lab08:

    gradients: The norm of the gradient by the number of steps back: it vanishes or explodes in an
      Elman network; an LSTM with open forget gates keeps it.
    perplexity: Validation perplexity of the five models by epoch.
"""

# %%
from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, models, plots
from dlcourse.findings import Findings
from dlcourse.models.cache_lm import Cache

# %% [markdown]
# ## 1. Counting
# A trigram model predicts a word from the two words before it, by counting how often the three
# words occurred together. Most triples never occur, so the estimate is mixed with estimates from
# one word before, from no word before, and from the size of the vocabulary alone.
#
# None of your functions may change the lists and tensors that it gets.


# %%
def count_ngrams(tokens: Sequence[int], n: int) -> dict[tuple[int, ...], int]:
    """Count each sequence of 1, 2, ... or n adjacent tokens; return one dict with tuples as keys.

    >>> count_ngrams([7, 8, 7, 8], 2)
    {(7,): 2, (8,): 2, (7, 8): 2, (8, 7): 1}
    """
    # Task 8.1 (1 point). For a hint: dlcourse hint 8.1
    raise NotImplementedError("task 8.1: count_ngrams")


# %%
def trigram_probability(
    counts: dict[tuple[int, ...], int],
    context: tuple[int, int],
    token: int,
    num_tokens: int,
    vocab_size: int,
    weights: tuple[float, float, float],
) -> float:
    """Return P(token | context) by interpolation of three estimates.

        p1 = w1 count(token) / num_tokens      + (1 - w1) / vocab_size
        p2 = w2 count(b, token) / count(b)     + (1 - w2) p1
        p3 = w3 count(a, b, token) / count(a, b) + (1 - w3) p2

    where context = (a, b) and weights = (w1, w2, w3). The result is p3. If count(b) is 0, p2 = p1;
    if count(a, b) is 0, p3 = p2. `counts` is count_ngrams(tokens, 3) of a text of `num_tokens`.

    >>> counts = count_ngrams([7, 8, 9, 7, 8, 7], 3)
    >>> trigram_probability(counts, (7, 8), 9, 6, 10, (0.5, 0.5, 0.5))
    0.4083333333333333
    """
    # Task 8.2 (2 points). For a hint: dlcourse hint 8.2
    raise NotImplementedError("task 8.2: trigram_probability")


# %% [markdown]
# ## 2. Perplexity
# The perplexity is exp of the mean cross-entropy. A perplexity of 100 means that the model is as
# uncertain as if it had to choose among 100 equally likely words. Every token counts once, and so
# does the end of a sentence (`<eos>`).


# %%
def perplexity(batches: Iterable[tuple[float, int]]) -> float:
    """Return exp of the mean cross-entropy over all tokens.

    batches: (mean cross-entropy, number of tokens) of each batch. A short batch must count less
        than a long one.

    >>> perplexity([(math.log(8), 30), (math.log(2), 10)])  # exp((30 ln 8 + 10 ln 2) / 40)
    5.656854249492381
    """
    # Task 8.3 (1 point). For a hint: dlcourse hint 8.3
    raise NotImplementedError("task 8.3: perplexity")


# %% [markdown]
# ## 3. A network instead of counts
# What a model learns about one word should also help with similar words. Bengio et al. (2003) give
# each word a vector, concatenate the vectors of the last words, and let a network predict the next.


# %%
def feedforward(windows: Tensor, C: Tensor, H: Tensor, d: Tensor) -> Tensor:
    """Return the hidden layer of Bengio's model: tanh(d + H x).

    x is the concatenation of the vectors of a window. windows: the last n - 1 tokens before each
    position, the oldest first. C: a vector for each token.
    Shape: windows int64 (..., n - 1), C (V, E), H (hidden, (n - 1) * E), d (hidden,)
    -> (..., hidden).

    >>> C = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> feedforward(torch.tensor([[1, 0]]), C, torch.tensor([[0.1, 0.0, 0.0, 0.2]]), torch.zeros(1))
    tensor([[0.3799]])
    """
    # Task 8.4 (1 point). For a hint: dlcourse hint 8.4
    raise NotImplementedError("task 8.4: feedforward")


# %% [markdown]
# ## 4. Cells with a memory
# A recurrent cell takes the vector x of a word and its own state, and returns the next state. Each
# function below makes one step for a batch. sigma is torch.sigmoid; the product of two vectors is
# element-wise.


# %%
def elman_step(x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Tensor:
    """h' = tanh(W x + U h + b) (Elman 1990).

    Shape: x (N, D), h (N, H), W (H, D), U (H, H), b (H,) -> (N, H).

    >>> one = torch.ones(1, 1)
    >>> elman_step(one, one, 0.5 * one, -0.2 * one, torch.zeros(1))
    tensor([[0.2913]])
    """
    # Task 8.5 (4 points). For a hint: dlcourse hint 8.5
    raise NotImplementedError("task 8.5: elman_step")


# %%
def lstm_step(
    x: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM (Hochreiter & Schmidhuber 1997) with forget gates; return (h', c').

        i, f, g, o = the four blocks of H rows of W x + U h + b, in this order
        c' = sigma(f) c + sigma(i) tanh(g)
        h' = sigma(o) tanh(c')

    Shape: x (N, D), h and c (N, H), W (4H, D), U (4H, H), b (4H,) -> (N, H), (N, H).

    >>> one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    >>> lstm_step(zero, zero, one, torch.zeros(4, 1), torch.zeros(4, 1), torch.zeros(4))
    (tensor([[0.2311]]), tensor([[0.5000]]))
    """
    # Task 8.5, continued.
    raise NotImplementedError("task 8.5: lstm_step")


# %%
def gru_step(x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Tensor:
    """One step of a gated recurrent unit (Cho et al. 2014), as in torch.

        r, z = sigma of the first and of the second block of H rows of W x + b + U h
        n = tanh(third block of (W x + b) + r (third block of U h))
        h' = (1 - z) n + z h

    Shape: x (N, D), h (N, H), W (3H, D), U (3H, H), b (3H,) -> (N, H).

    >>> one = torch.ones(1, 1)
    >>> gru_step(one, one, torch.zeros(3, 1), torch.zeros(3, 1), torch.zeros(3))
    tensor([[0.5000]])
    """
    # Task 8.5, continued.
    raise NotImplementedError("task 8.5: gru_step")


# %%
def scrn_step(
    x: Tensor,
    h: Tensor,
    s: Tensor,
    A: Tensor,
    B: Tensor,
    P: Tensor,
    R: Tensor,
    alpha: float = 0.95,
) -> tuple[Tensor, Tensor]:
    """One step of a structurally constrained network (Mikolov et al. 2015); return (h', s').

        s' = (1 - alpha) B x + alpha s      the context changes slowly and linearly
        h' = sigma(P s' + A x + R h)        the hidden units use the new context

    Shape: x (N, D), h (N, H), s (N, K), A (H, D), B (K, D), P (H, K), R (H, H)
    -> (N, H), (N, K).

    >>> one = torch.ones(1, 1)
    >>> scrn_step(one, one, 2 * one, one, one, one, one, alpha=0.5)
    (tensor([[0.9707]]), tensor([[1.5000]]))
    """
    # Task 8.5, continued.
    raise NotImplementedError("task 8.5: scrn_step")


# %% [markdown]
# ## 5. Models that use the cells
# The rest of the models is given: weights for your functions, vectors for the words, and an output
# layer whose weights are the same vectors (Press & Wolf 2017).
# `model.advance(inputs, state)` takes tokens (B, T) and the state ([] at the beginning), and
# returns logits (B, T, V) and the next state.


# %%
class FeedForward(nn.Module):
    """Bengio's model with your `feedforward`; its state holds the last tokens of the text."""

    CONTEXT = 4

    def __init__(self, vocab_size: int, size: int = 100) -> None:
        super().__init__()
        self.C = nn.Parameter(torch.empty(vocab_size, size).uniform_(-0.1, 0.1))
        self.H = nn.Parameter(torch.empty(size, self.CONTEXT * size).uniform_(-0.1, 0.1))
        self.d, self.b = nn.Parameter(torch.zeros(size)), nn.Parameter(torch.zeros(vocab_size))

    def advance(self, inputs: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        before = state[0] if state else inputs.new_zeros(len(inputs), self.CONTEXT - 1)
        tokens = torch.cat([before, inputs], 1)
        hidden = feedforward(tokens.unfold(1, self.CONTEXT, 1), self.C, self.H, self.d)
        return hidden @ self.C.T + self.b, [tokens[:, inputs.shape[1] :]]


class Cell(nn.Module):
    """One of your cells with its weights; models.RecurrentLM applies it to each word of a text.

    Shape: x (N, input_size), the tensors of the state -> output (N, output_size), the next state.
    """

    def __init__(self, input_size: int, hidden_size: int, kind: str) -> None:
        super().__init__()
        D, H, K = input_size, hidden_size, 40  # K: the slow units of SCRN
        gated = {
            name: {"W": (n * H, D), "U": (n * H, H), "b": (n * H,)} for name, n in GATES.items()
        }
        shapes = gated | {"scrn": {"A": (H, D), "B": (K, D), "P": (H, K), "R": (H, H)}}
        self.weights = nn.ParameterDict(
            {name: torch.empty(shape).uniform_(-0.1, 0.1) for name, shape in shapes[kind].items()}
        )
        self.step = STEPS[kind]
        self.widths = {"lstm": [H, H], "scrn": [H, K]}.get(kind, [H])
        self.output_size = H + K if kind == "scrn" else H

    def forward(self, x: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        state = self.step(
            x, *(state or [x.new_zeros(len(x), n) for n in self.widths]), **self.weights
        )
        state = [state] if isinstance(state, Tensor) else list(state)
        return torch.cat(state, 1)[:, : self.output_size], state


STEPS = {"elman": elman_step, "lstm": lstm_step, "gru": gru_step, "scrn": scrn_step}
GATES = {"elman": 1, "lstm": 4, "gru": 3}  # how many blocks of rows W, U and b have


# %% [markdown]
# ## 6. Backpropagation through time
# The gradient of a word's loss goes back through all earlier steps, and at each step it shrinks or
# grows. If it becomes too large, it is clipped. After some steps it is cut off, but the state is
# kept.


# %%
def clip(gradients: Sequence[Tensor], max_norm: float) -> tuple[list[Tensor], float]:
    """Scale all gradients by one factor, so that their common norm is at most `max_norm`.

    The common norm is the norm of one long vector of all their numbers. If it is at most max_norm,
    the gradients stay the same. Return the gradients and the common norm before the scaling, as a
    Python float. Do not change the given tensors.

    >>> clip([torch.tensor([3.0]), torch.tensor([[4.0]])], max_norm=1.0)
    ([tensor([0.6000]), tensor([[0.8000]])], 5.0)
    """
    # Task 8.6 (1 point). For a hint: dlcourse hint 8.6
    raise NotImplementedError("task 8.6: clip")


# %%
def train_epoch(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], lr: float, max_norm: float
) -> float:
    """Train for one pass of truncated backpropagation through time; return its perplexity.

    The state starts as [] and is passed on from batch to batch, but detached: no gradient goes back
    through it. For each batch, compute the gradients of its mean cross-entropy with respect to all
    model.parameters(), clip them together with your `clip`, then do parameter -= lr * gradient, in
    place, without torch.optim. The result is your `perplexity` over all tokens, with the losses
    before each step.

    model.advance(inputs, state): returns logits (B, T, V) and the next state, a list of tensors.
    batches: (inputs int64 (B, T), targets int64 (B, T)); each continues the text of the one before.
    """
    # Task 8.7 (3 points). For a hint: dlcourse hint 8.7
    raise NotImplementedError("task 8.7: train_epoch")


# %% [markdown]
# ## 7. Sampling
# Before the softmax, the logits are divided by a temperature. Below 1, likely words become even
# more likely. Above 1, the probabilities become more equal.


# %%
def soften(logits: Tensor, temperature: float) -> Tensor:
    """Return softmax(logits / temperature) over the last dimension.

    Shape: (..., V) -> (..., V); the sum of each row is 1.

    >>> soften(torch.tensor([0.0, math.log(4)]), temperature=0.5)
    tensor([0.0588, 0.9412])
    """
    # Task 8.8 (1 point). For a hint: dlcourse hint 8.8
    raise NotImplementedError("task 8.8: soften")


# %% [markdown]
# ## 8. The experiment
# First, see how fast gradients vanish or explode. Then compare all models on the same text. In the
# second half of the training each epoch halves the learning rate. The test text is used only at the
# end: once as it is, and once with the state thrown away after every 20 words.
#
# A default run is small: 25,000 of the 930,000 words, and only the 2,000 most frequent words are
# told apart; the others count as `<unk>`. So its perplexities cannot be compared with published
# ones. `--full` uses all words and prints the published numbers next to its own.
#
# **Predict before you run it.** With 25,000 words of training text, which predicts better: the LSTM
# or counting with a cache? And what does the Elman network do if its gradients are not clipped?
#
# *Your prediction:*


# %%
def gradient_norms(
    step: Callable, num_parts: int, hidden_size: int, steps: int = 40
) -> list[float]:
    """Return the size of d h_T / d h_{T-k} for k = 1, ..., steps; h is the state's last tensor."""
    states = [[(1e-9 * torch.randn(1, hidden_size)).requires_grad_() for _ in range(num_parts)]]
    for _ in range(steps):
        new = step(*states[-1])
        states.append([new] if isinstance(new, Tensor) else list(new))
    gradients = torch.autograd.grad(states[-1][-1].sum(), [state[-1] for state in states[:-1]])
    return [gradient.norm().item() / hidden_size**0.5 for gradient in reversed(gradients)]


def gradients_through_time(H: int = 50) -> dict[str, list[float]]:
    """Measure an Elman cell whose U is a scaled rotation, and an LSTM with open forget gates."""
    x, W, b = torch.zeros(1, 1), torch.zeros(4 * H, 1), torch.zeros(4 * H)
    U = torch.linalg.qr(torch.randn(H, H)).Q
    open_gates = torch.cat([b[:H], b[:H] + 4, b[: 2 * H]])  # sigma(4) = 0.98

    def elman(gain: float) -> Callable[[Tensor], Tensor]:
        return lambda h: elman_step(x, h, W[:H], gain * U, b[:H])

    def lstm(h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        return lstm_step(x, h, c, W, 0.1 * U.repeat(4, 1), open_gates)

    return {
        "Elman, U shrinks by 0.7": gradient_norms(elman(0.7), 1, H),
        "Elman, U grows by 1.3": gradient_norms(elman(1.3), 1, H),
        "LSTM, forget gates at 0.98": gradient_norms(lstm, 2, H),
    }


@torch.inference_mode()
def evaluate(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], carry_state: bool = True
) -> float:
    """Return the perplexity over all tokens; the state is kept from batch to batch or lost."""
    model.eval()
    state, seen = [], []
    for inputs, targets in batches:
        logits, state = model.advance(inputs, state if carry_state else [])
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        seen.append((loss.item(), targets.numel()))
    return perplexity(seen)


def fit(
    model: nn.Module, train: data.TextBatches, val: data.TextBatches, epochs: int, first_lr: float
) -> list[float]:
    """Train `model`; return the validation perplexity of each epoch."""
    curve = []
    for epoch in range(1, epochs + 1):
        lr = first_lr * 0.5 ** max(0, epoch - math.ceil(epochs / 2))
        train_epoch(model.train(), train, lr, max_norm=0.25)
        curve.append(evaluate(model, val))
    return curve


def without_clipping(model: nn.Module, batches: data.TextBatches, lr: float) -> list[float]:
    """Train with gradients of any size; return the loss of each batch, until it is not finite."""
    losses: list[float] = []
    for batch in itertools.islice(batches, 40):
        try:
            losses.append(math.log(train_epoch(model, [batch], lr, max_norm=math.inf)))
        except (OverflowError, ValueError):  # exp of a huge loss, or log of a NaN
            losses.append(math.inf)
        if not math.isfinite(losses[-1]):
            break
    return losses


@torch.inference_mode()
def write(
    model: models.RecurrentLM,
    prompt: list[str],
    length: int,
    temperature: float,
    text: data.TextData,
) -> str:
    """Continue `prompt` by `length` words. Raises UsageError for unknown words."""
    inputs, state, written = model.number_prompt(prompt, text.vocabulary)[None], [], []
    for _ in range(length):
        logits, state = model.advance(inputs.to(model.decoder.weight.device), state)
        inputs = torch.multinomial(soften(logits[:, -1], temperature), 1)  # (1, 1)
        written.append(inputs.item())
    return " ".join(text.vocabulary.decode(written))


def counted(train: Tensor, val: Tensor, test: Tensor, V: int, boundary: int) -> dict[str, float]:
    """Return the test perplexity of the models that count; `boundary` ends each sentence."""
    tokens, unseen = train.tolist(), test.tolist()
    counts = count_ngrams(tokens, 3)
    surprise = [
        -math.log(trigram_probability(counts, (a, b), c, len(tokens), V, (0.8, 0.5, 0.25)))
        for a, b, c in zip(unseen, unseen[1:], unseen[2:], strict=False)
    ]
    kneser_ney = models.build("ngram", vocab_size=V, boundary=boundary).fit(train)
    cached = Cache(kneser_ney).tune(val)
    return {
        "your trigram": perplexity([(sum(surprise) / len(surprise), len(surprise))]),
        "5-gram Kneser-Ney": math.exp(-kneser_ney.probabilities(test).log().mean()),
        "Kneser-Ney with a cache": math.exp(-cached.probabilities(test).log().mean()),
    }


PUBLISHED = {
    "5-gram Kneser-Ney": 141,
    "Kneser-Ney with a cache": 125,
    "feed-forward": 140,
    "Elman, 100 units": 129,
    "LSTM, 100 units": 115,
    "SCRN, 100 + 40 units": 115,
}


def check_pieces(
    model: nn.Module, text: data.TextBatches, words: list[int], V: int, findings: Findings
) -> None:
    """Compare what your functions compute with what is known without them.

    model: a trained one that is applied to `text`. words: of the training text, all below V.
    """
    claim = functools.partial(findings.claim, form=".4g", exact=True)
    counts, N, context = count_ngrams(words, 3), len(words), (words[0], words[1])
    claim("counts of single words, added up", sum(n for w, n in counts.items() if len(w) == 1), "=",
          N, task="8.1")  # fmt: skip

    def chance(word: int, *weights: float) -> float:
        return trigram_probability(counts, context, word, N, V, weights)

    total = sum(chance(word, 0.5, 0.5, 0.5) for word in range(V))
    claim("probabilities of all words, added up", round(total, 6), "=", 1, task="8.1 or 8.2")
    share = round(words.count(words[2]) / N, 6)
    claim("weights 1, 0, 0: share of the word", round(chance(words[2], 1, 0, 0), 6), "=", share,
          task="8.1 or 8.2")  # fmt: skip
    mixed = perplexity([(0.0, 30), (math.log(16), 10)])  # a quarter of the words has p = 1 / 16
    claim("perplexity, p = 1, 1, 1 and 1/16", round(mixed, 6), "=", 2, task="8.3")
    zero = torch.zeros(1, 1)
    largest = round(feedforward(zero.long(), zero, zero, 20 + zero[0]).item(), 4)
    claim("feed-forward: largest hidden unit", largest, "=", 1, task="8.4")

    apart = []
    for step, cell in ((elman_step, nn.RNNCell), (lstm_step, nn.LSTMCell), (gru_step, nn.GRUCell)):
        theirs = cell(3, 5)
        nn.init.zeros_(theirs.bias_hh)
        x, h, c = torch.randn(2, 3), torch.randn(2, 5), torch.randn(2, 5)
        states = (h, c) if step is lstm_step else (h,)
        weights = theirs.weight_ih, theirs.weight_hh, theirs.bias_ih
        mine, right = step(x, *states, *weights), theirs(x, states if len(states) > 1 else h)
        pairs = zip(mine, right, strict=True) if len(states) > 1 else [(mine, right)]
        apart += [(one - other).abs().max().item() for one, other in pairs]
    claim("Elman, LSTM, GRU: differ from torch's cells by", max(apart), "<", 1e-5, task="8.5")
    clipped = torch.cat(clip([torch.tensor([3.0]), torch.tensor([4.0])], 1.0)[0])
    claim("norm of 3 and 4, clipped to 1", round(clipped.norm().item(), 6), "=", 1, task="8.6")
    # Without steps, a training epoch only measures, and its state goes from batch to batch.
    ratio = train_epoch(model.eval(), text, 0.0, 1.0) / evaluate(model, text)
    claim("train_epoch with lr 0: same perplexity", round(ratio, 3), "=", 1, task="8.3 or 8.7")
    odds = soften(torch.tensor([0.0, math.log(4)]), 0.5)
    claim("odds of 4 to 1 at temperature 1/2", round((odds[1] / odds[0]).item(), 3), "=", 16,
          task="8.8")  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab08", __doc__, argv, epochs=2, full_epochs=14)
    text = data.load_text("ptb", args.data_dir, offline=args.offline)
    V = len(text.vocabulary) if args.full else min(2000, len(text.vocabulary))
    words = args.limit or (None if args.full else 25_000)
    ends = (words, words and words // 10, words and words // 3)
    # The numbers of the words are in the order of their frequency; 0 is <unk>.
    parts = [
        torch.where(part[:end] < V, part[:end], 0)
        for part, end in zip((text.train, text.val, text.test), ends, strict=True)
    ]
    train, val, test = (
        data.TextBatches(
            part.to(args.device), 20 if args.full else 10, 20, text.source, text.synthetic
        )
        for part in parts
    )
    best = f"; no model can reach less than {text.best_perplexity:.1f}" if text.synthetic else ""
    print(f"data: {text.source}; {len(parts[0]):,} training words, {V:,} different{best}")
    findings = args.findings

    norms = gradients_through_time()
    print(f"\n{'size of the gradient, steps back':<34}{1:>10}{10:>10}{40:>10}")
    for name, sizes in norms.items():
        print(f"{name:<34}" + "".join(f"{sizes[k - 1]:>10.1e}" for k in (1, 10, 40)))
    shrinking, growing, lstm = (sizes[-1] for sizes in norms.values())
    claim = functools.partial(findings.claim, form=".1e", task="8.5", exact=True)
    claim("gradient 40 steps back: Elman, U shrinks", shrinking, "<", 1e-5)
    claim("gradient 40 steps back: Elman, U grows", growing, ">", 1e3)
    claim("gradient 40 steps back: LSTM", lstm, ">", 0.1)

    measured = counted(*parts, V, text.vocabulary["<eos>"])
    tied = {"vocab_size": V, "cell": Cell, "tied": True, "dropout": 0.1 if args.full else 0.0}
    contestants = {
        "feed-forward": lambda: FeedForward(V),
        "Elman, 100 units": lambda: models.RecurrentLM(**tied, kind="elman"),
        "GRU, 100 units": lambda: models.RecurrentLM(**tied, kind="gru"),
        "LSTM, 100 units": lambda: models.RecurrentLM(**tied, kind="lstm"),
        "SCRN, 100 + 40 units": lambda: models.RecurrentLM(**tied, kind="scrn", embedding_dim=140),
    }
    known = PUBLISHED if args.full else {}
    print(f"\n{'test perplexity':<28}{'published' if known else '':>10}{'measured':>10}", end="")
    print(f"{'state lost':>12}")
    for name, value in measured.items():
        print(f"{name:<28}{known.get(name, ''):>10}{value:>10.1f}{'-':>12}")
    curves, lost = {}, {}
    for name, make in contestants.items():
        model = make().to(args.device)
        lr = 5.0 if name.startswith("Elman") else 20.0  # at 20 it diverges, since it has no gates
        curves[name] = fit(model, train, val, args.epochs, lr)
        measured[name] = evaluate(model, test)
        lost[name] = evaluate(model, test, carry_state=False)
        print(
            f"{name:<28}{known.get(name, ''):>10}{measured[name]:>10.1f}{lost[name]:>12.1f}",
            flush=True,
        )
        if name.startswith("LSTM"):
            lines = [f"{t}: {write(model, ['<eos>'], 60, t, text)}\n" for t in (0.5, 1.0, 1.5)]
            (args.out / "samples.txt").write_text("\n".join(lines), encoding="utf-8")
    broken = contestants["Elman, 100 units"]().to(args.device)
    losses = without_clipping(broken, train, lr=5.0)
    print(f"Elman without clipping: the loss is {losses[-1]:.3g} after {len(losses)} batches")
    print(f"samples of the LSTM at three temperatures: {args.out / 'samples.txt'}")

    for name in ("Elman, 100 units", "feed-forward"):
        text_of = f"perplexity: LSTM against {name}"
        findings.claim(text_of, measured["LSTM, 100 units"], "<", measured[name], ".1f")
    text_of = "perplexity: GRU against Elman, 100 units"
    gru, elman = measured["GRU, 100 units"], measured["Elman, 100 units"]
    findings.claim(text_of, gru, "<", elman, ".1f", task="8.5")
    decided = "8.3 or 8.5 or 8.6 or 8.7"
    claim("perplexity: LSTM against a guess of V words", measured["LSTM, 100 units"], "<", V,
          form=".1f", task=decided)  # fmt: skip
    check_pieces(model, test, parts[0][:2000].tolist(), V, findings)
    if not args.full:
        cached, neural = measured["Kneser-Ney with a cache"], measured["LSTM, 100 units"]
        findings.claim("perplexity: counts and cache against LSTM", cached, "<", neural, ".1f")
    for name in curves:
        if name != "feed-forward":
            findings.claim(
                f"{name}: perplexity, state lost", lost[name], ">", measured[name], ".1f"
            )
    last = min(losses[-1], 1e30)
    findings.claim("Elman without clipping: loss, at the start", last, ">", losses[0], ".3g")

    if args.plot:
        plots.curves(
            norms,
            args.out / "gradients.png",
            title="Gradients through time",
            xlabel="steps back",
            ylabel="norm of the gradient",
            yscale="log",
        )
        plots.curves(
            curves,
            args.out / "perplexity.png",
            title="Validation perplexity",
            xlabel="epoch",
            xticks=range(1, args.epochs + 1),
            ylabel="perplexity",
            yscale="log",
        )
        print(f"figures: {args.out}")
    findings.report()


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** The state is kept from batch to batch, but the gradient is cut off after 20 steps. Which
# information from 100 words ago can the network still use, and what can it not learn?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# It can use everything that the state still holds, because the state is never reset. But no
# gradient tells it that it helps to keep something for 100 steps. It only learns to keep what helps
# within 20 steps.
# </details>
#
# **2.** Someone leaves `<unk>` and `<eos>` out of the test text and reports a perplexity. Is it
# better or worse than before, and can you compare the two?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# You cannot compare them. Both tokens are frequent and easy to predict, so without them the mean
# cross-entropy usually rises. If the unknown words themselves are left out, the words that no model
# can predict are missing. Perplexities are comparable only over the same tokens and the same
# vocabulary.
# </details>
#
# **3.** In a default run, counting with a cache beats every network. With all the text the LSTM
# beats it: the published perplexities are 115 for the LSTM and 125 for the counts. What does the
# LSTM gain from more text that the counts do not?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Counts know only sequences of words that they have seen, and a cache adds only what was said a
# moment ago. This is a good estimate from little text, and needs no training. The LSTM must learn
# a vector for each of the words and how to use it, which takes many examples and several epochs.
# Once it has learned them, it also predicts after words that it has never seen together.
# </details>
#
# **4.** Remove `.detach()` from your `train_epoch` and run `dlcourse check lab08 --task 8.7`. What
# does torch complain about, and why does it happen only at the second batch?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The state of the first batch still belongs to the graph of that batch. The second gradient would
# go back through this graph, but torch has freed it after the first one. If it were kept, the graph
# would grow with every batch, until the memory is full.
# </details>
#
# ## What you have seen
# Gradients through time vanish or explode unless a gate keeps a path open; without clipping, the
# Elman network is lost after a few batches. The gated cells beat the Elman network and the
# feed-forward one on the same text. A state that is lost after every 20 words costs SCRN most,
# whose context is slow; the gated cells, trained so briefly, lose hardly anything. And with little
# text, careful counting is hard to beat.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab08` asks seven questions with four choices each, and explains the answers.
