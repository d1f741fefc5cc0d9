# %% [markdown]
"""Lab 14: transformers.

Can a network read a text without a memory that it carries from word to word?

You write attention and its causal mask, multi-head attention, positions, the block that a
transformer repeats, and a small GPT around it. Then you let it write, and give it a cache of keys
and values, so that it writes the same text faster. The experiment compares it with the LSTM of lab
8 on the characters of Shakespeare, at equal processor time, and draws what its heads look at.

Lecture sections: Attention mechanism; Transformers; Language modeling.

    dlcourse check lab14              check your answers (takes seconds)
    dlcourse check lab14 --task 14.3  check one task
    dlcourse run lab14 --tiny         run the whole experiment for a moment (takes seconds)
    dlcourse run lab14                run the whole experiment (five minutes on a laptop)
    dlcourse run lab14 --full         train for longer; on a GPU also nanoGPT's baby configuration

A recorded run of the solution (`dlcourse run lab14`, real tiny Shakespeare, on a processor):

    data: tinyshakespeare from datasets/tinyshakespeare/input.txt; 1,003,856 training characters

    largest difference to torch, in float64
      scaled_dot_product_attention                 4e-16
      nn.MultiheadAttention                        2e-16

    validation loss at equal processor time, 3 seeds
                     parameters  ms a step  steps       after 5.7 s      after 28.4 s
    LSTM, 192 units     321,858       47.4    600     2.180 ± 0.004     1.882 ± 0.013
    GPT, 2 blocks       108,610       25.9   1096     2.416 ± 0.006     2.020 ± 0.006

    mean number of characters that each head looks back, and its weight on the last one
      block 1     2.2  33%     2.8  25%     2.2  33%     1.7  32%
      block 2     3.9  22%     3.9  27%     7.8  13%     4.2  21%

    loss of the trained GPT
      as trained                                2.02
      with all positions set to 0               2.91
      at places 193 to 256, never trained       3.08

    characters a second     no cache     cache   ratio  same text
      a text of 32               810      1185     1.4  yes
      a text of 64               681      1204     1.8  yes
      a text of 128              433      1185     2.7  yes
      a text of 256              205      1126     5.2  yes
    samples at four settings: results/lab14/samples.txt

    validation loss                  published  measured
    nanoGPT, baby configuration         1.4697         -
    it takes a GPU and --full, so it is not measured here
    figures: results/lab14

Over 3 seeds (mean, standard deviation, how many seeds agree):

    difference to scaled_dot_product_attention                   4e-16 < 1e-06           exact
    difference to nn.MultiheadAttention                          2e-16 < 1e-06           exact
    loss in the end: LSTM, GPT                           1.882 (0.016) < 2.020 (0.007)   3 of 3
    characters back: first block, last block                 2.2 (0.1) < 6.7 (1.8)       3 of 3
    loss with all positions set to 0                       2.91 (0.07) > 2.02 (0.01)     3 of 3
    loss at places 193 to 256, never trained               3.08 (0.03) > 2.02 (0.01)     3 of 3
    cache: lengths with the same text                                4 = 4               exact
    cache: times as fast at the last length                  5.3 (0.2) > 3.0             3 of 3
    positions: squared lengths differ from 32 by             1.907e-06 < 0.001           exact
    positions: first sine + cosine at place 1                    1.382 = 1.382           exact
    difference to nn.TransformerEncoderLayer                     4e-16 < 1e-06           exact
    difference to the gradients of its weights                   1e-14 < 1e-06           exact
    GPT, last norm gives 0: only the decoder's bias                  0 = 0               exact
    GPT: places of one letter differ by                         0.2838 > 0.01            exact
    GPT: embeddings without a gradient                               0 = 0               exact
    logits that were changed by the top 5                            0 = 0               exact
    letters with a chance among the top 5                            5 = 5               exact
    odds of 4 to 1 at temperature 1/2                               16 = 16              exact
"""

# %%
from __future__ import annotations

import copy
import functools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, models, plots
from dlcourse.errors import UsageError
from dlcourse.findings import Findings

# %% [markdown]
# ## 1. Attention
# A query asks, each key says what its place has to offer, and the answer is a mean of the values,
# weighted by how well query and key fit. All places are computed at once, with two matrix products.


# %%
def attention(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1); return (outputs, weights).

        weights = softmax(queries @ keys^T / sqrt(D)) over the keys
        outputs = weights @ values

    mask: bool, True where a query may look at a key; all other weights are 0. None: everywhere.
    Raise ValueError if the mask leaves a query no key, as in a text that is only padding.
    Shape: queries (..., T, D), keys (..., S, D), values (..., S, V), mask (..., T, S)
    -> (..., T, V), (..., T, S).

    >>> values = torch.tensor([[0.0], [1.0]])
    >>> attention(torch.ones(1, 4), torch.tensor([[0.0] * 4, [0.5] * 4]), values)
    (tensor([[0.7311]]), tensor([[0.2689, 0.7311]]))
    """
    # Task 14.1 (3 points). Hint: in the example the scores are 0 and 4 * 0.5 / sqrt(4) = 1. Hint:
    # masked_fill gives a score of -inf, and so a weight of 0. Hint: transpose(-2, -1) leaves the
    # dimensions in front as they are.
    # BEGIN SOLUTION
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])  # (..., T, S)
    if mask is not None:
        if not mask.any(dim=-1).all():
            raise ValueError("mask must leave every query at least one key; is a text all padding?")
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)
    return weights @ values, weights
    # END SOLUTION


# %% [markdown]
# A language model predicts each token from those before it. In training it reads all places of a
# text at once, so a mask must hide from each place what comes after it.


# %%
def causal_mask(num_queries: int, num_keys: int) -> Tensor:
    """Return the mask that lets each place look at itself and at all places before it.

    The queries are at the last `num_queries` of the `num_keys` places.
    Shape: -> bool (num_queries, num_keys), True where a query may look.

    >>> causal_mask(2, 3)
    tensor([[ True,  True, False],
            [ True,  True,  True]])
    """
    # Task 14.2 (1 point). Hint: compare the place of each query, a column, with the place of each
    # key, a row. Hint: the first query is at the place num_keys - num_queries.
    # BEGIN SOLUTION
    places = torch.arange(num_keys)
    return places <= places[num_keys - num_queries :, None]
    # END SOLUTION


# %% [markdown]
# ## 2. Several heads
# One softmax can look at one thing. So queries, keys and values are cut into H parts of equal
# width, the heads. Each head attends on its own, and a last layer mixes what they found. The
# weights have the names and shapes of `nn.MultiheadAttention`.


# %%
def multi_head(
    x: Tensor,
    in_weight: Tensor,
    in_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    num_heads: int,
    cache: Cache | None = None,
) -> tuple[Tensor, Tensor]:
    """Causal self-attention with several heads; return (outputs, weights).

    1. x @ in_weight^T + in_bias gives queries, keys and values side by side, E columns each.
    2. Each is cut into heads: head h takes the columns h E / H to (h + 1) E / H.
    3. With a cache (task 14.8), cache.extend(keys, values) returns the keys and values of all S
       tokens so far, which take the place of those of x. Both are (N, H, places, E / H).
    4. Your `attention` with your `causal_mask`, for each head.
    5. The outputs of the heads side by side, times out_weight^T, plus out_bias.

    Raise ValueError if num_heads does not divide E.
    Shape: x (N, T, E), in_weight (3 E, E), in_bias (3 E,), out_weight (E, E), out_bias (E,)
    -> (N, T, E), weights (N, H, T, S); without a cache S is T.

    >>> x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    >>> weight = torch.cat([torch.zeros(4, 2), torch.eye(2)])  # the values are x, all scores are 0
    >>> multi_head(x, weight, torch.zeros(6), torch.eye(2), torch.zeros(2), num_heads=2)[0]
    tensor([[[1., 2.],
             [2., 3.]]])
    """
    # Task 14.3 (3 points). Hint: F.linear and chunk(3, dim=-1) make step 1. Hint: step 2 is
    # view(N, T, H, E / H), then transpose(1, 2). Hint: step 5 undoes step 2: transpose(1, 2), then
    # flatten(2).
    # BEGIN SOLUTION
    E = x.shape[2]
    if E % num_heads:
        raise ValueError(f"num_heads must divide the width {E}, got {num_heads}")
    projected = F.linear(x, in_weight, in_bias).chunk(3, dim=-1)
    queries, keys, values = (
        part.unflatten(-1, (num_heads, -1)).transpose(1, 2) for part in projected
    )  # (N, H, T, E / H) each
    if cache is not None:
        keys, values = cache.extend(keys, values)
    mask = causal_mask(queries.shape[2], keys.shape[2])
    outputs, weights = attention(queries, keys, values, mask.to(x.device))
    return F.linear(outputs.transpose(1, 2).flatten(2), out_weight, out_bias), weights
    # END SOLUTION


# %% [markdown]
# ## 3. Positions
# Attention does not know in which order its keys come: it is a sum. So each place adds its own
# pattern to the vector of its token: sines and cosines with wavelengths from 6 to 60,000 places,
# like the fast and the slow hands of a clock.


# %%
def positions(num_positions: int, width: int) -> Tensor:
    """Return a pattern for each place t = 0, 1, ... (Vaswani et al. 2017, section 3.5).

    Column 2i is sin(t / 10000^(2i / width)), column 2i + 1 is cos(t / 10000^(2i / width)).
    Shape: -> float32 (num_positions, width); the width is even.

    >>> positions(2, 4)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.0100, 0.9999]])
    """
    # Task 14.4 (1 point). Hint: torch.arange(0, width, 2) holds the numbers 2i. Hint: fill
    # table[:, 0::2] with the sines and table[:, 1::2] with the cosines.
    # BEGIN SOLUTION
    wavelengths = 10_000 ** (torch.arange(0, width, 2) / width)
    angles = torch.arange(num_positions)[:, None] / wavelengths  # (num_positions, width / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
    # END SOLUTION


# %% [markdown]
# ## 4. The block, and GPT
# A transformer repeats one block: attention, then two linear layers for each place alone. Each part
# adds to x what it found, as in a residual network. "Pre-norm" means that each part reads a
# normalized x, while x itself goes straight through (Radford et al. 2019).


# %%
class SelfAttention(nn.Module):
    """The weights of `multi_head`, with the names of nn.MultiheadAttention; it is complete.

    After a call, `weights` holds the attention weights (N, H, T, S).
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        self.weights: Tensor | None = None

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        last = self.out_proj
        outputs, weights = multi_head(
            x, self.in_proj_weight, self.in_proj_bias, last.weight, last.bias, self.num_heads, cache
        )
        self.weights = weights.detach()
        return outputs


class Block(nn.Module):
    """A pre-norm block. Its weights have the names of nn.TransformerEncoderLayer.

        y = x + self_attn(norm1(x))
        output = y + linear2(gelu(linear1(norm2(y))))

    The cache, if there is one, belongs to self_attn. Shape: (N, T, E) -> (N, T, E).

    >>> Block(8, num_heads=2)(torch.ones(1, 3, 8)).shape
    torch.Size([1, 3, 8])
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attn = SelfAttention(width, num_heads)
        self.linear1, self.linear2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        # Task 14.5 (2 points). Hint: call self.self_attn(..., cache). Hint: F.gelu comes between
        # the two linear layers.
        # BEGIN SOLUTION
        x = x + self.self_attn(self.norm1(x), cache)
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))
        # END SOLUTION


# %%
class GPT(nn.Module):
    """A language model of `num_layers` blocks that reads at most `context` tokens.

    Vectors of the tokens plus `positions`, all blocks, a last norm, and a decoder that gives the
    logits of each next token. Its sums use the attributes below and no others.

    caches: None, or a Cache for each block. Then `tokens` go on after those in the caches, of which
        there are caches[0].num_tokens, and they have the positions that follow.
    Raise ValueError if there are more than `context` tokens together, or if a token is not one of
    0, ..., vocab_size - 1.
    Shape: int64 (N, T) -> logits (N, T, vocab_size).

    >>> GPT(7, 8, num_heads=2, num_layers=1, context=4)(torch.tensor([[3, 0, 6]])).shape
    torch.Size([1, 3, 7])
    """

    def __init__(
        self, vocab_size: int, width: int, num_heads: int, num_layers: int, context: int
    ) -> None:
        super().__init__()
        self.context, self.vocab_size = context, vocab_size
        self.embedding = nn.Embedding(vocab_size, width)
        self.register_buffer("positions", positions(context, width), persistent=False)
        self.layers = nn.ModuleList(Block(width, num_heads) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)
        self.decoder = nn.Linear(width, vocab_size)

    def forward(self, tokens: Tensor, caches: Sequence[Cache] | None = None) -> Tensor:
        # Task 14.6 (2 points). Hint: with T new tokens after S old ones, add the rows S to S + T of
        # self.positions. Hint: go through zip(self.layers, caches), with None for each cache if
        # there are none.
        # BEGIN SOLUTION
        start = caches[0].num_tokens if caches else 0
        end = start + tokens.shape[1]
        if end > self.context:
            raise ValueError(f"a text of {end} tokens is longer than the context of {self.context}")
        if not 0 <= tokens.min() <= tokens.max() < self.vocab_size:
            raise ValueError(f"tokens must be at least 0 and below {self.vocab_size}")
        x = self.embedding(tokens) + self.positions[start:end]  # (N, T, E)
        for layer, cache in zip(self.layers, caches or [None] * len(self.layers), strict=True):
            x = layer(x, cache)
        return self.decoder(self.norm(x))
        # END SOLUTION


# %% [markdown]
# ## 5. Writing
# The model gives a logit to each possible next token. A temperature below 1 makes likely tokens
# even more likely, and top-k leaves only the k most likely ones.


# %%
def next_probabilities(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None
) -> Tensor:
    """Return softmax(logits / temperature), over the top_k largest logits only; the others get 0.

    top_k: None takes all. Equal logits do not occur.
    Raise ValueError if temperature is not above 0, or top_k is not one of 1, ..., V.
    Shape: (N, V) -> (N, V); the sum of each row is 1.

    >>> next_probabilities(torch.tensor([[0.0, math.log(2), math.log(3)]]), top_k=2)
    tensor([[0.0000, 0.4000, 0.6000]])
    """
    # Task 14.7 (2 points). Hint: logits.topk(k).values[:, -1:] is the smallest logit that counts.
    # Hint: set the others to -inf before the softmax.
    # BEGIN SOLUTION
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    if top_k is not None:
        if not 1 <= top_k <= logits.shape[1]:
            raise ValueError(f"top_k must be at least 1, at most the number of logits, got {top_k}")
        smallest = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < smallest, -math.inf)
    return torch.softmax(logits / temperature, dim=1)
    # END SOLUTION


# %% [markdown]
# For each new token the model would read the whole text again. But the keys and values of the
# tokens before it are the same as in the step before: a causal model never looks ahead. So they are
# kept, and each step computes only the newest token.


# %%
class Cache:
    """The keys and values of one attention layer for all tokens so far; None before the first.

    Shape: keys and values (N, H, places, D).
    """

    def __init__(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    @property
    def num_tokens(self) -> int:
        return 0 if self.keys is None else self.keys.shape[2]

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add the keys and values of new tokens at the end; keep and return those of all tokens."""
        # Task 14.8 (4 points). Hint: torch.cat, along the places; the first time there is nothing
        # to add to. Hint: store the result in self.keys and self.values.
        # BEGIN SOLUTION
        if self.keys is not None:
            keys = torch.cat([self.keys, keys], dim=2)
            values = torch.cat([self.values, values], dim=2)
        self.keys, self.values = keys, values
        return keys, values
        # END SOLUTION


# %%
@torch.no_grad()
def generate(
    model: Callable[..., Tensor],
    prompt: Tensor,
    max_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
    caches: Sequence[Cache] | None = None,
) -> Tensor:
    """Continue each row of `prompt` by `max_tokens` tokens; return only the new ones.

    model(tokens, caches) returns logits (N, T, V). Each token is drawn from `next_probabilities` of
    the logits at the last place, by torch.multinomial(..., 1, generator=generator).
    caches: None, or an empty Cache for each block. Without caches, the model reads the whole text
        for each token. With them, it reads the prompt once, and then only each newest token.
    Raise ValueError if `max_tokens` or the length of the prompt is below 1.
    Shape: int64 (N, T) -> int64 (N, max_tokens).

    >>> def count(tokens, caches):  # a "model" that always says the next number
    ...     return 50 * torch.eye(10)[tokens + 1]
    >>> generate(count, torch.tensor([[2, 3]]), 4)
    tensor([[4, 5, 6, 7]])
    """
    # Task 14.8, continued. Hint: keep `tokens`, the whole text, and `new`, what the model reads
    # next; without caches both are the same.
    # BEGIN SOLUTION
    if max_tokens < 1 or prompt.shape[1] < 1:
        raise ValueError(
            f"max_tokens and the prompt's length must be at least 1, "
            f"got {max_tokens} and {prompt.shape[1]}"
        )
    tokens = new = prompt
    for _ in range(max_tokens):
        p = next_probabilities(model(new, caches)[:, -1], temperature, top_k)
        drawn = torch.multinomial(p, 1, generator=generator)
        tokens = torch.cat([tokens, drawn], dim=1)
        new = tokens if caches is None else drawn
    return tokens[:, prompt.shape[1] :]
    # END SOLUTION


# %% [markdown]
# ## 6. The experiment
# Two models read the characters of Shakespeare for the same processor time: the LSTM of lab 8,
# which carries its state from window to window, and your GPT, which reads each window of 64
# characters by itself. The time of a step is measured first, for both in turns, so that other
# programs on your machine slow down both alike. Then each makes as many steps as fit the time. An
# "epoch" of this lab is the time of 120 steps of the LSTM.
#
# **Predict before you run it.** Which has the lower loss in the end? How far back do the heads of
# the first block look, and those of the last one? How much faster does a cache make the writing of
# 256 characters?
#
# *Your prediction:*

# %%
LENGTH = 64  # characters in a window
LSTM, TRANSFORMER = "LSTM, 192 units", "GPT, 2 blocks"
SIZES = {"width": 64, "num_heads": 4, "num_layers": 2}
# Windows in a batch and learning rate, chosen on the validation text for each.
SETTINGS = {LSTM: (16, 6e-3), TRANSFORMER: (8, 4e-3)}
MAP = 20  # characters in the picture of a head
SHOWN = {" ": "␣", "\n": "⏎"}

# nanoGPT's config/train_shakespeare_char.py, and the validation loss that its README reports.
BABY = {"embedding_dim": 384, "num_heads": 6, "num_layers": 6, "context_size": 256, "dropout": 0.2}
PUBLISHED = 1.4697

Batches = Iterator[tuple[Tensor, Tensor]]


def random_windows(tokens: Tensor, rows: int, length: int, seed: int) -> Batches:
    """Yield batches of windows at random places; targets are one character ahead."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        starts = torch.randint(len(tokens) - length, (rows, 1), generator=generator)
        text = tokens[(starts + torch.arange(length + 1)).to(tokens.device)]
        yield text[:, :-1], text[:, 1:]


def in_order(tokens: Tensor, rows: int, length: int) -> Batches:
    """Yield the text again and again, each batch going on where the one before ended."""
    while True:
        yield from data.TextBatches(tokens, rows, length)


def loss_of(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy at each place. Shape: int64 (N, T) twice -> (N, T)."""
    return F.cross_entropy(model(inputs).transpose(1, 2), targets, reduction="none")


@torch.no_grad()
def evaluate(model: nn.Module, val: data.TextBatches) -> float:
    """Return the mean loss of a character. The LSTM starts with an empty state, and so goes on."""
    model.eval()
    forget(model)
    losses = [loss_of(model, inputs, targets) for inputs, targets in val]
    forget(model)
    model.train()
    return torch.cat(losses, 1).mean().item()


def forget(model: nn.Module) -> None:
    if isinstance(model, models.RecurrentLM):
        model.reset_state()


class Training:
    """A new model by its name, with its batches and Adam; `step` trains it on one batch."""

    def __init__(self, name: str, tokens: Tensor, vocab_size: int, seed: int) -> None:
        torch.manual_seed(seed)
        rows, self.lr = SETTINGS[name]
        if name == LSTM:
            self.model: nn.Module = models.RecurrentLM(vocab_size, hidden_size=192)
            self.batches = in_order(tokens, rows, LENGTH)
        else:
            self.model = GPT(vocab_size, **SIZES, context=LENGTH)
            self.batches = random_windows(tokens, rows, LENGTH, seed)
        self.model.to(tokens.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters())

    def step(self, lr: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        loss = loss_of(self.model, *next(self.batches)).mean()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()

    def run(self, steps: int, val: data.TextBatches, marks: int) -> list[float]:
        """Train; return the validation loss at `marks` equal distances. The learning rate rises for
        50 steps and then falls to 0 at the end."""
        losses: list[float] = []
        for step in range(1, steps + 1):
            self.step(self.lr * min(step / 50, 1) * (1 - (step - 1) / steps))
            if step * marks >= (len(losses) + 1) * steps:
                losses.append(evaluate(self.model, val))
        return losses


def step_costs(tokens: Tensor, vocab_size: int, rounds: int) -> dict[str, float]:
    """Return the processor time of a step of each model, in seconds: the median over steps that the
    models make in turns."""
    trainings = {name: Training(name, tokens, vocab_size, seed=0) for name in SETTINGS}
    seconds: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for _ in range(rounds):
        for name, training in trainings.items():
            start = time.process_time()
            training.step(1e-3)
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def compare(
    tokens: Tensor,
    val: data.TextBatches,
    vocab_size: int,
    seeds: Sequence[int],
    epochs: int,
    epoch_steps: int,
    findings: Findings,
) -> tuple[list[GPT], dict[str, list[float]], list[float]]:
    """Train both with each seed for the time of epochs * epoch_steps steps of the LSTM.

    Return the GPTs, the mean loss after each epoch by name, and the seconds of these marks.
    """
    costs = step_costs(tokens, vocab_size, rounds=3 if epoch_steps < 50 else 30)
    seconds = [epoch_steps * (number + 1) * costs[LSTM] for number in range(epochs)]
    print(f"\nvalidation loss at equal processor time, {len(seeds)} seeds")
    ends = "".join(f"{f'after {end:.1f} s':>18}" for end in (seconds[0], seconds[-1]))
    print(f"{'':<16}{'parameters':>11}{'ms a step':>11}{'steps':>7}{ends}")
    found, gpts = {}, []
    for name, cost in costs.items():
        rows, steps = [], round(seconds[-1] / cost)
        for seed in seeds:
            training = Training(name, tokens, vocab_size, seed)
            rows.append(training.run(steps, val, epochs))
            if isinstance(training.model, GPT):
                gpts.append(training.model.eval())
        found[name] = torch.tensor(rows)  # (seeds, epochs)
        mean, spread = found[name].mean(0), found[name].std(0, correction=0)
        ends = "".join(f"{f'{mean[k]:.3f} ± {spread[k]:.3f}':>18}" for k in (0, -1))
        size = sum(p.numel() for p in training.model.parameters())
        print(f"{name:<16}{size:>11,}{1000 * cost:>11.1f}{steps:>7}{ends}", flush=True)
    last = {name: losses[:, -1].tolist() for name, losses in found.items()}
    findings.claim("loss in the end: LSTM, GPT", last[LSTM], "<", last[TRANSFORMER], ".3f")
    return gpts, {name: losses.mean(0).tolist() for name, losses in found.items()}, seconds


def distance_to_torch() -> dict[str, float]:
    """Return the largest difference, in float64, to what torch computes for the same weights."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 9, 24, dtype=torch.float64, generator=generator)
    mine = SelfAttention(24, 4).double()
    theirs = nn.MultiheadAttention(24, 4, batch_first=True, dtype=torch.float64)
    theirs.load_state_dict(mine.state_dict())
    hidden = ~causal_mask(9, 9)  # torch's layer wants True where a query must not look
    expected, _ = theirs(x, x, x, attn_mask=hidden)
    one = F.scaled_dot_product_attention(x, x, x, is_causal=True)
    return {
        "scaled_dot_product_attention": (attention(x, x, x, ~hidden)[0] - one).abs().max().item(),
        "nn.MultiheadAttention": (mine(x) - expected).abs().max().item(),
    }


@torch.no_grad()
def looked_at(model: GPT, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return what each head looks at: the mean number of characters back, and the mean weight on
    the character just before. Shape: int64 (N, T) -> (layers, heads) twice."""
    model(inputs)
    weights = torch.stack([layer.self_attn.weights for layer in model.layers])  # (L, N, H, T, T)
    places = torch.arange(inputs.shape[1], device=inputs.device)
    back = (places[:, None] - places).clamp(min=0)
    distance = (weights * back).sum(-1).mean((1, 3))
    before = weights.diagonal(-1, dim1=-2, dim2=-1).mean((1, 3))
    return distance, before


def look(gpts: Sequence[GPT], unseen: Tensor, findings: Findings) -> dict[str, Tensor]:
    """Print how far back the heads of the first model look. Return the weights of its nearest and
    of its farthest head on a short text, by a title."""
    inputs = unseen[: 16 * LENGTH].view(16, LENGTH)
    distance, before = looked_at(gpts[0], inputs)
    print("\nmean number of characters that each head looks back, and its weight on the last one")
    for number, rows in enumerate(zip(distance, before, strict=True), start=1):
        cells = "".join(f"{d:>8.1f} {w:>4.0%}" for d, w in zip(*rows, strict=True))
        print(f"  block {number}{cells}")
    blocks = [looked_at(model, inputs)[0].mean(1).tolist() for model in gpts]
    first, last = [found[0] for found in blocks], [found[-1] for found in blocks]
    findings.claim("characters back: first block, last block", first, "<", last, ".1f")
    looked_at(gpts[0], unseen[None, :MAP])
    maps = {}
    for kind, place in (("nearest", distance.argmin()), ("farthest", distance.argmax())):
        layer, head = divmod(int(place), distance.shape[1])
        weights = gpts[0].layers[layer].self_attn.weights[0, head]
        maps[f"the head that looks {kind}: block {layer + 1}, head {head + 1}"] = weights.cpu()
    return maps


@torch.no_grad()
def loss_by_place(model: GPT, tokens: Tensor, length: int) -> Tensor:
    """Return the mean loss at each place of windows that do not overlap. Shape: -> (length,)."""
    batches = data.TextBatches(tokens, (len(tokens) - 1) // length, length)
    inputs, targets = next(iter(batches))
    return loss_of(model, inputs, targets).mean(0)


def widened(model: GPT, context: int) -> GPT:
    """Return the same model with another context; it has the same weights."""
    other = GPT(model.vocab_size, **SIZES, context=context)
    other.load_state_dict(model.state_dict())
    return other.to(model.decoder.weight.device)


def break_positions(gpts: Sequence[GPT], unseen: Tensor, findings: Findings) -> None:
    """Print the loss without positions, and at places that were never trained."""
    far = f"at places {3 * LENGTH + 1} to {4 * LENGTH}, never trained"
    losses: dict[str, list[float]] = {"as trained": [], "with all positions set to 0": [], far: []}
    for model in gpts:
        blind = widened(model, LENGTH)
        blind.positions.zero_()
        found = (
            loss_by_place(model, unseen, LENGTH),
            loss_by_place(blind, unseen, LENGTH),
            loss_by_place(widened(model, 4 * LENGTH), unseen, 4 * LENGTH)[-LENGTH:],
        )
        for name, places in zip(losses, found, strict=True):
            losses[name].append(places.mean().item())
    print("\nloss of the trained GPT")
    for name, values in losses.items():
        print(f"  {name:<40}{statistics.fmean(values):>6.2f}")
        if name != "as trained":
            claim = f"loss {name}"
            findings.claim(claim, values, ">", losses["as trained"], ".2f", task="14.4")


def speed(model: GPT, prompt: Tensor, length: int, cached: bool) -> tuple[float, Tensor]:
    """Return the characters a second of processor time of a text of `length`, and the text."""
    caches = [Cache() for _ in model.layers] if cached else None
    generator = torch.Generator().manual_seed(0)
    start = time.process_time()
    text = generate(model, prompt, length - prompt.shape[1], generator=generator, caches=caches)
    return text.shape[1] / (time.process_time() - start), text


def measure_cache(
    gpts: Sequence[GPT], prompt: Tensor, lengths: Sequence[int], findings: Findings
) -> dict[str, list[float]]:
    """Print the characters a second of texts of each length, written with and without a cache."""
    print(f"\n{'characters a second':<22}{'no cache':>10}{'cache':>10}{'ratio':>8}  same text")
    speeds: dict[str, list[float]] = {"no cache": [], "cache": []}
    same = []
    for length in lengths:
        slow, fast, equal = [], [], []
        for model in gpts:
            wide = widened(model, length).cpu().double()
            (one, text), (other, again) = (speed(wide, prompt, length, c) for c in (False, True))
            slow.append(one)
            fast.append(other)
            equal.append(text.equal(again))
        for name, values in (("no cache", slow), ("cache", fast)):
            speeds[name].append(statistics.median(values))
        ratios = [two / one for one, two in zip(slow, fast, strict=True)]
        print(f"  a text of {length:<10}{speeds['no cache'][-1]:>10.0f}{speeds['cache'][-1]:>10.0f}"
              f"{statistics.median(ratios):>8.1f}  {'yes' if all(equal) else 'NO'}")  # fmt: skip
        same.append(all(equal))
    findings.claim("cache: lengths with the same text", sum(same), "=", len(lengths), ".0f",
                   task="14.2 or 14.5 or 14.6 or 14.8", exact=True)  # fmt: skip
    findings.claim("cache: times as fast at the last length", ratios, ">", 3, ".1f", task="14.8")
    return speeds


def write(
    model: GPT, prompt: str, length: int, vocabulary: data.Vocabulary, **settings: Any
) -> str:
    """Continue `prompt` by `length` characters; the model sees only the last ones, its context.

    settings: temperature and top_k. Raises UsageError for a prompt that is empty, longer than the
    context, or has a character that is not in the vocabulary, and for a length below 1.
    """
    unknown = sorted({character for character in prompt if character not in vocabulary})
    if unknown:
        raise UsageError(f"prompt holds {unknown[0]!r}, which is not in the training text")
    if not 1 <= len(prompt) <= model.context:
        raise UsageError(f"prompt must have 1 to {model.context} characters, got {len(prompt)}")
    if length < 1:
        raise UsageError(f"length must be at least 1, got {length}")
    text = vocabulary.encode(prompt)[None].to(next(model.parameters()).device)
    for _ in range(length):
        drawn = generate(model, text[:, -model.context :], 1, **settings)
        text = torch.cat([text, drawn], 1)
    return "".join(vocabulary.decode(text[0]))


def write_samples(
    path: Path, model: GPT, prompt: str, length: int, vocabulary: data.Vocabulary
) -> None:
    with path.open("w", encoding="utf-8") as file:
        for temperature, top_k in ((0.5, None), (0.8, 10), (1.0, None), (1.5, None)):
            text = write(model, prompt, length, vocabulary, temperature=temperature, top_k=top_k)
            file.write(f"temperature {temperature}, top-k {top_k or 'off'}\n\n{text}\n\n\n")
    print(f"samples at four settings: {path}")


def train_baby(
    text: data.TextData,
    device: torch.device,
    seed: int = 0,
    steps: int = 5000,
    rows: int = 64,
    sizes: dict[str, Any] = BABY,
) -> float:
    """Train the package's GPT as nanoGPT's baby configuration; return its validation loss.

    nanoGPT's validation text is the last tenth: here the validation text and the test text. The
    step is the one that is best on the first half; the loss is that of both halves. The model
    differs from nanoGPT's in its positions, which are fixed, and in its biases.
    """
    torch.manual_seed(seed)
    model = models.build("transformer_lm", vocab_size=len(text.vocabulary), **sizes).to(device)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99))
    batches = random_windows(text.train.to(device), rows, model.context_size, seed)
    val, second_half = (
        data.TextBatches(part.to(device), 8, model.context_size) for part in (text.val, text.test)
    )
    best, of_both = math.inf, math.inf
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            cosine = 0.55 + 0.45 * math.cos(math.pi * step / steps)  # from 1 to a tenth
            group["lr"] = 1e-3 * min(step / 100, cosine)
        optimizer.zero_grad()
        loss_of(model, *next(batches)).mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 250 == 0 or step == steps:
            loss = evaluate(model, val)
            if loss < best:
                best, of_both = loss, (loss + evaluate(model, second_half)) / 2
    return of_both


@torch.no_grad()
def check_pieces(model: GPT, tokens: Tensor, findings: Findings) -> None:
    """Compare what your functions compute with what is known without them.

    model: a trained one. tokens: of the text, int64 (N,), more than its context.
    """
    claim = functools.partial(findings.claim, form=".4g", exact=True)
    table = positions(200, 64)
    off = (table.square().sum(1) - 32).abs().max().item()  # 32 pairs of a sine and a cosine
    claim("positions: squared lengths differ from 32 by", off, "<", 1e-3, task="14.4")
    first = round(table[1, :2].sum().item(), 4)
    claim("positions: first sine + cosine at place 1", first, "=",
          round(math.sin(1) + math.cos(1), 4), task="14.4")  # fmt: skip

    theirs = nn.TransformerEncoderLayer(
        24, 4, 96, 0.0, F.gelu, batch_first=True, norm_first=True, dtype=torch.float64
    )
    mine, x = Block(24, 4).double(), torch.randn(2, 9, 24, dtype=torch.float64)
    mine.load_state_dict(theirs.state_dict())
    apart = (mine(x) - theirs(x, ~causal_mask(9, 9))).abs().max().item()
    decided = "14.1 or 14.2 or 14.3 or 14.5"
    claim("difference to nn.TransformerEncoderLayer", apart, "<", 1e-6, form=".0e", task=decided)
    gaps = []
    with torch.enable_grad():
        (mine(x).square().sum() - theirs(x, ~causal_mask(9, 9)).square().sum()).backward()
    weights = dict(theirs.named_parameters())
    for name, weight in mine.named_parameters():
        known, grad = weights[name].grad, weight.grad
        gaps.append(((0 * known if grad is None else grad) + known).abs().max().item())
    claim("difference to the gradients of its weights", max(gaps), "<", 1e-6, form=".0e",
          task=decided)  # fmt: skip

    tokens = tokens[None, : model.context]
    logits, bare, mute = model(tokens), copy.deepcopy(model), copy.deepcopy(model)
    mute.norm.weight.zero_()
    mute.norm.bias.zero_()
    apart = (mute(tokens) - mute.decoder.bias).abs().max().item()
    claim("GPT, last norm gives 0: only the decoder's bias", apart, "=", 0, task="14.6")
    bare.layers = nn.ModuleList()
    moved = bare(tokens[:, :1].expand(1, 8))[0].diff(dim=0).abs().max().item()
    claim("GPT: places of one letter differ by", moved, ">", 0.01, task="14.4 or 14.6")

    with torch.enable_grad():
        bare(tokens).square().sum().backward()
    still = bare.embedding.weight.grad is None
    claim("GPT: embeddings without a gradient", still, "=", 0, task="14.6")

    given = logits.clone()
    top = next_probabilities(given[:, -1], top_k=5)
    claim("logits that were changed by the top 5", given.ne(logits).sum().item(), "=", 0,
          task="14.7")  # fmt: skip
    claim("letters with a chance among the top 5", (top > 0).sum().item(), "=", 5, task="14.7")
    odds = next_probabilities(torch.tensor([[0.0, math.log(4)]]), temperature=0.5)[0]
    claim("odds of 4 to 1 at temperature 1/2", round((odds[1] / odds[0]).item(), 3), "=", 16,
          task="14.7")  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab14", __doc__, argv, epochs=5, full_epochs=50)
    text = data.load_text("tinyshakespeare", args.data_dir, offline=args.offline)
    V, findings, device = len(text.vocabulary), args.findings, args.device
    tokens = text.train.to(device)
    unseen = text.val[: 4096 if args.tiny else 16_400].to(device)
    val = data.TextBatches(unseen, 16, LENGTH, split="val")
    print(f"data: {text.source}; {len(tokens):,} training characters")

    print("\nlargest difference to torch, in float64")
    for name, distance in distance_to_torch().items():
        print(f"  {name:<40}{distance:>10.0e}")
        text_of = f"difference to {name}"
        task = "14.1 or 14.2 or 14.3" if name.startswith("nn") else "14.1 or 14.2"
        findings.claim(text_of, distance, "<", 1e-6, ".0e", task=task, exact=True)

    seeds = range(3 * args.seed, 3 * args.seed + (1 if args.tiny else 3))
    steps = 10 if args.tiny else 120
    gpts, curves, seconds = compare(tokens, val, V, seeds, args.epochs, steps, findings)
    maps = look(gpts, unseen, findings)
    break_positions(gpts, unseen, findings)
    lengths = (8, 16, 24, 32) if args.tiny else (32, 64, 128, 256)
    speeds = measure_cache(gpts, unseen[None, :1].cpu(), lengths, findings)
    prompt = "".join(text.vocabulary.decode(unseen[:8]))
    length = 20 if args.tiny else 300
    write_samples(args.out / "samples.txt", gpts[0], prompt, length, text.vocabulary)

    check_pieces(gpts[0], unseen, findings)
    baby = "-"
    if args.full and device.type == "cuda":
        baby = f"{train_baby(text, device, args.seed):.4f}"
    print(f"\n{'validation loss':<32}{'published':>10}{'measured':>10}")
    print(f"{'nanoGPT, baby configuration':<32}{PUBLISHED:>10}{baby:>10}")
    if baby == "-":
        print("it takes a GPU and --full, so it is not measured here")

    if args.plot:
        draw(args.out, curves, seconds, speeds, lengths)
        shown = text.vocabulary.decode(unseen[:MAP])
        labels = [SHOWN.get(character, character) for character in shown]
        for title, weights in maps.items():
            name = "head_near.png" if "near" in title else "head_far.png"
            plots.attention_map(weights, labels, labels, args.out / name, title)
        print(f"figures: {args.out}")
    findings.report()


def draw(
    out: Path,
    curves: dict[str, list[float]],
    seconds: Sequence[float],
    speeds: dict[str, list[float]],
    lengths: Sequence[int],
) -> None:
    plots.curves(
        curves,
        out / "loss.png",
        x=seconds,
        xlabel="processor time, seconds",
        ylabel="validation loss",
    )
    plots.curves(
        speeds,
        out / "cache.png",
        x=lengths,
        xscale="log",
        yscale="log",
        xlabel="characters in the text",
        ylabel="characters a second",
    )


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** The GPT has a third of the LSTM's weights. Why does it take more than a third of the time
# for a character on one core of a processor, and why can it be faster than the LSTM on a GPU?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The GPT computes more than the products with its weights: scores between all pairs of places, a
# softmax for each of them, and norms. One core does all this one after the other, so only the
# amount counts. But the LSTM must make 64 steps, each of which waits for the one before. The GPT
# computes all 64 places at once, in two blocks. A GPU has thousands of cores that work at the same
# time: the GPT keeps it busy, and with the LSTM it waits most of the time.
# </details>
#
# **2.** Remove the line with the mask from your `multi_head` and run the experiment with `--tiny`,
# then for longer. What happens to the validation loss, and to the samples?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The loss falls far below 1 within a short time, also on validation text, because each place sees
# the character that it should predict: it only has to copy it from the right. But when the model
# writes, there is nothing to the right, so the samples are nonsense. A loss that is too good to be
# true often means that the answer leaks into the input.
# </details>
#
# **3.** Set the positions to zero (`model.positions.zero_()`) before the training. Which sentences
# can such a model no longer tell apart, and why does it still learn something about order?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The last place sees the same set of characters whatever their order, so "dog bites man" and "man
# bites dog" look alike to its first block. The causal mask still tells something: each place sees
# another set, the one of all characters before it, so a second block can find out how many there
# are, and what was added last.
# </details>
#
# **4.** With a cache, a step at place 1,000 still takes longer than a step at place 10. Which part
# of the work grows, and which part does not? What does the cache cost?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The layers of the block work on one token, whatever came before it. The scores and the weighted
# sum go over all earlier keys and values, so this part grows in proportion to the place. Without a
# cache, both parts are done again for all places. The cache costs memory: two vectors for each
# token, in each block.
# </details>
#
# ## What you have seen
# Attention reads all places of a text at once; a mask is all that makes a language model of it. On
# one core and in half a minute the LSTM reaches the lower loss: its weights learn more from each
# character, and its state goes on from window to window. The heads of the first block look at the
# last few characters, those of the second one further back. Without its positions, and at places
# that it never saw in training, the model is far worse. A cache writes the same text, and the
# longer the text is, the more time it saves. A larger GPT gains much from a GPU and more time: the
# published loss of nanoGPT is 1.47.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab14` asks seven questions with four choices each, and explains the answers.
# BEGIN QUIZ
# Q: Why are the scores divided by sqrt(D)?
# + The dot product of two random vectors of D numbers has a standard deviation of sqrt(D), and a
#     softmax of large scores is nearly one-hot. | Then its gradient is nearly 0.
# - So that the weights add up to 1. | The softmax does this, whatever the scores are.
# - To save memory. | The scores have the same shape before and after.
# - Because there are D heads. | The number of heads does not enter; D is the width of one head.
# Q: A hidden key gets a score of 0 instead of -infinity. What goes wrong?
# + It still gets a weight, since exp(0) is 1. | Only exp(-infinity) is 0.
# - Nothing: a score of 0 means a weight of 0. | A weight is the exponential of its score, over the
#     sum of all.
# - The weights no longer add up to 1. | They do: the softmax comes after it.
# - The loss becomes NaN. | All numbers stay finite. The model only looks at what it must not see.
# Q: Width 96, 4 heads, a text of 64 tokens. What is the shape of the attention weights of one block
#     for a batch of 16 texts?
# + (16, 4, 64, 64) | Each head has a weight for each pair of a query and a key.
# - (16, 64, 96) | This is the shape of the block's outputs.
# - (16, 4, 64, 24) | This is the shape of the queries, keys and values.
# - (16, 64, 64) | Each head has weights of its own.
# Q: You double the number of heads and keep the width. How does the number of weights change?
# + It stays the same. | The heads only cut the same columns into narrower parts.
# - It doubles. | Then each head would have to keep its width.
# - It grows by a factor of four. | Nothing grows: the matrices stay 3E x E and E x E.
# - It halves. | Each head is half as wide, but there are twice as many.
# Q: What would happen without positions, in a block without a mask?
# + If you swap two tokens, their outputs are swapped and nothing else changes. | Sums do not know
#     the order of their terms.
# - The block could not be computed. | All shapes stay the same.
# - All outputs would be equal. | They depend on the query, which differs from token to token.
# - The model would look only at the token itself. | It looks wherever query and key fit.
# Q: Why may the keys and values of earlier tokens be kept while a causal model writes?
# + They depend only on their own token and on those before it, which do not change any more. | In
#     a model that looks ahead, each new token would change them all.
# - They are equal for all tokens. | Then attention would have nothing to choose from.
# - The weights of the model are random. | Whether they are trained plays no role.
# - Their gradients are 0. | No gradient is needed to write.
# Q: Temperature 1, top-k 1. What does the model write?
# + Always the most likely next token. | All others have the probability 0.
# - Each token with its probability. | This is top-k "off".
# - Always the same token. | The most likely token depends on the text so far.
# - One token and then nothing. | top-k says how many choices there are for each token.
# END QUIZ
