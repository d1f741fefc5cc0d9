"""n-gram language models: counts, smoothed by interpolation or by the Kneser-Ney method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.models.checks import check_tokens
from dlcourse.models.language_model import LanguageModel
from dlcourse.values import check_whole

__all__ = ["SMOOTHINGS", "NGram"]

SMOOTHINGS = ("kneser-ney", "interpolation")
CONFIDENCE = 0.5  # of interpolation in every order before `tune`
DISCOUNT = 0.75  # if a text is too short to estimate one
SETTINGS = ("order", "vocab_size", "smoothing", "boundary")  # that counts belong to

Step = tuple[np.ndarray, np.ndarray, np.ndarray]  # known, share, p


@dataclass
class Counts:
    """The k-grams of a text, one order of an NGram: arrays over its M k-grams or their C contexts.

    keys (M,): context * V + last token, ascending. A context is the place of its (k-1)-gram in the
    order below, so the place of a k-gram identifies it. seen (M,): how often the text holds it.
    counts (M,): the counts that its probability is computed from. totals (C,): the sum of counts
    after a context. kinds (3, C): how many of these counts are 1, 2, and 3 or more.
    """

    keys: np.ndarray
    seen: np.ndarray
    counts: np.ndarray
    totals: np.ndarray
    kinds: np.ndarray
    discounts: np.ndarray  # (4,), of a count 0, 1, 2, and 3 or more


class NGram(LanguageModel):
    """Estimate the next token from counts of the tokens that followed the last `order` - 1 tokens.

    Each order k refines the one below, and the lowest one refines 1 / vocab_size:

        p_k(w | context) = share(w, context) + rest(context) p_{k-1}(w | context less its first)

    smoothing: "kneser-ney": share is the count minus a discount, divided by the total (Kneser & Ney
        1995), with separate discounts for the counts 1, 2, and 3 or more (Chen & Goodman 1999).
        Below the highest order, the count of w is the number of different tokens before it.
        "interpolation": share is `confidences[k - 1]` times the relative frequency (Jelinek &
        Mercer 1980); see `tune`.
    boundary: the number of the token that ends a sentence, or None. Sentences are treated as
        independent: no context reaches back beyond the last boundary. The boundary is predicted
        like any other token, and it also stands for the beginning of the text.

    `fit` counts; nothing is trained by gradients.

    Shape: inputs int64 (B, T) -> log probabilities (B, T, vocab_size), which serve as logits.
    """

    def __init__(
        self,
        vocab_size: int = 10_000,
        order: int = 5,
        smoothing: str = "kneser-ney",
        boundary: int | None = None,
    ) -> None:
        super().__init__()
        check_whole(vocab_size=vocab_size, order=order)
        if smoothing not in SMOOTHINGS:
            raise UnknownNameError("smoothing", smoothing, SMOOTHINGS)
        if boundary is not None and not 0 <= boundary < vocab_size:
            raise UsageError(f"boundary must be None or 0 to {vocab_size - 1}, got {boundary}")
        self.vocab_size, self.order = vocab_size, order
        self.smoothing, self.boundary = smoothing, boundary
        self.confidences = [CONFIDENCE] * order
        self.orders: list[Counts] = []

    def fit(self, tokens: Tensor) -> NGram:
        """Count the n-grams of a text, int64 (N,). Raises UsageError for invalid tokens."""
        numbers, reach = self.lay_out(tokens)
        first_is_there = int(self.boundary is None)  # otherwise it is our own boundary, not counted
        keys, seen = np.arange(self.vocab_size), np.bincount(
            numbers[1 - first_is_there :], minlength=self.vocab_size
        )  # fmt: skip
        places, orders = numbers, [(keys, seen)]
        longer = []  # for each order below the highest: how many different (k+1)-grams end with it
        for k in range(2, self.order + 1):
            here = np.flatnonzero(reach >= k - 1)  # the places where a k-gram ends
            keys, first, inverse, seen = np.unique(
                places[here - 1] * self.vocab_size + numbers[here],
                return_index=True,
                return_inverse=True,
                return_counts=True,
            )
            longer.append(np.bincount(places[here[first]], minlength=len(orders[-1][0])))
            orders.append((keys, seen))
            places = np.full(len(numbers), -1)
            places[here] = inverse
        self.orders = []
        for k, (keys, seen) in enumerate(orders, start=1):
            counts = seen
            if self.smoothing == "kneser-ney" and k < self.order:
                # The beginning of a sentence has nothing before it: use how often it occurs.
                counts = np.where(longer[k - 1] > 0, longer[k - 1], seen)
            contexts, size = keys // self.vocab_size, len(orders[k - 2][0]) if k > 1 else 1
            kinds = [
                np.bincount(contexts[kind], minlength=size)
                for kind in (counts == 1, counts == 2, counts > 2)
            ]
            totals = np.bincount(contexts, counts, minlength=size)
            self.orders.append(
                Counts(keys, seen, counts, totals, np.stack(kinds), estimate_discounts(counts))
            )
        return self

    def tune(self, tokens: Tensor, rounds: int = 20) -> NGram:
        """Set the `confidences` of interpolation by `rounds` of expectation maximization on a text
        not used for counting. Raises UsageError before `fit`, or for another smoothing.
        """
        if self.smoothing != "interpolation":
            raise UsageError(f"tune is for smoothing 'interpolation', this is {self.smoothing!r}")
        for _ in range(rounds):
            steps: list[Step] = []  # of each order, from the lowest
            p = self.walk(tokens, steps)
            reached = np.ones(len(p))  # the probability that an order is used at all
            for k in reversed(range(len(steps))):
                known, share, total = steps[k]
                own = np.where(known, reached * share / total, 0.0)
                asked = reached[known].sum()
                self.confidences[k] = float(own.sum() / asked) if asked else CONFIDENCE
                reached = reached - own
        return self

    def probabilities(self, tokens: Tensor) -> Tensor:
        """The probability of each token of a text given those before it.

        Shape: int64 (N,) -> float64 (N,). Without a boundary the first has no context at all.
        Raises UsageError where nothing was counted yet, or for tokens that cannot be.
        """
        return torch.from_numpy(self.walk(tokens, []))

    def walk(self, tokens: Tensor, steps: list[Step]) -> np.ndarray:
        """The probabilities; `steps` is filled with each order's (known context, share, p)."""
        self.check_fitted()
        numbers, reach = self.lay_out(tokens)
        start = len(numbers) - len(tokens)
        p = np.full(len(numbers), 1 / self.vocab_size)
        places = np.zeros(len(numbers) + 1, dtype=np.int64)  # of the empty context, everywhere
        for k, order in enumerate(self.orders, start=1):
            if not len(order.keys):
                break
            before = places[:-1]  # the (k-1)-gram that ends just before each token
            known = (reach >= k - 1) & (before >= 0)
            known[known] = order.totals[before[known]] > 0
            context = np.where(known, before, 0)
            keys = context * self.vocab_size + numbers
            place = np.searchsorted(order.keys, keys).clip(max=len(order.keys) - 1)
            hit = known & (order.keys[place] == keys)
            share, rest = self.smooth(k, np.where(hit, order.counts[place], 0), context)
            p = np.where(known, share + rest * p, p)
            steps.append((known[start:], share[start:], p[start:]))
            ends = hit if k > 1 else np.ones_like(hit)  # our own boundary is also a context
            places = np.concatenate([[-1], np.where(ends, place, -1)])
        return p[start:]

    def smooth(self, k: int, counts: np.ndarray, context: np.ndarray) -> tuple:
        """(share, rest) of order k, from the counts of the requested tokens after `context`."""
        order = self.orders[k - 1]
        totals = order.totals[context].clip(min=1)
        if self.smoothing == "interpolation":
            confidence = self.confidences[k - 1]
            return confidence * counts / totals, np.full(totals.shape, 1 - confidence)
        share = (counts - order.discounts[counts.clip(max=3)]) / totals
        return share, order.discounts[1:] @ order.kinds[:, context] / totals

    def distribution(self, context: Sequence[int]) -> Tensor:
        """The probability of every token after the token numbers `context`.

        Shape: float64 (vocab_size,).
        """
        self.check_fitted()
        context = [int(number) for number in context]
        if self.boundary is not None:  # tokens before the last boundary do not matter
            context = [self.boundary, *context]
            last = max(i for i, number in enumerate(context) if number == self.boundary)
            context = context[last:]
        p = np.full(self.vocab_size, 1 / self.vocab_size)
        for k, order in enumerate(self.orders, start=1):
            place = self.find(context[len(context) - k + 1 :]) if len(context) >= k - 1 else -1
            if place < 0 or not order.totals[place]:
                break
            edges = np.array([place, place + 1]) * self.vocab_size
            first, end = np.searchsorted(order.keys, edges)
            counts = np.zeros(self.vocab_size, dtype=np.int64)
            counts[order.keys[first:end] % self.vocab_size] = order.counts[first:end]
            share, rest = self.smooth(k, counts, np.array([place]))
            p = share + rest * p
        return torch.from_numpy(p)

    def count(self, *tokens: int) -> int:
        """How often the text holds these tokens in a row; at most `order` tokens."""
        self.check_fitted()
        if not 1 <= len(tokens) <= self.order:
            raise UsageError(f"count takes 1 to {self.order} tokens, got {len(tokens)}")
        place = self.find(tokens)
        return int(self.orders[len(tokens) - 1].seen[place]) if place >= 0 else 0

    def find(self, tokens: Sequence[int]) -> int:
        """The place of a k-gram in its order, or -1 if the text does not hold it."""
        place = 0
        for order, token in zip(self.orders, tokens, strict=False):
            if not 0 <= token < self.vocab_size:  # its key would be that of other tokens
                raise UsageError(f"tokens must be 0 to {self.vocab_size - 1}, got {token}")
            key = place * self.vocab_size + token
            place = int(np.searchsorted(order.keys, key))
            if place == len(order.keys) or order.keys[place] != key:
                return -1
        return place

    def advance(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        if state is None:
            state = inputs[:, :0]
        seen = torch.cat([state, inputs], 1)  # (B, context + T)
        reach, start = self.order - 1, state.shape[1]
        rows = [
            [self.distribution(row[max(0, t - reach) : t]) for t in range(start + 1, len(row) + 1)]
            for row in seen.tolist()
        ]
        logits = torch.stack([torch.stack(row) for row in rows]).log().float()  # (B, T, V)
        return logits.to(inputs.device), seen[:, max(0, seen.shape[1] - reach) :]

    def lay_out(self, tokens: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Token numbers (N,), with a boundary before them if there is one, and for each token how
        many of the tokens before it belong to its context.
        """
        check_tokens(tokens, self.vocab_size, "tokens", dim=1)
        numbers = tokens.cpu().numpy()
        reach = np.arange(len(numbers))
        if self.boundary is not None:
            numbers = np.concatenate([[self.boundary], numbers])
            places = np.arange(len(numbers))
            last = np.maximum.accumulate(np.where(numbers == self.boundary, places, 0))
            reach = places - np.concatenate([[0], last[:-1]])
        return numbers, reach

    def check_fitted(self) -> None:
        if not self.orders:
            raise UsageError("this NGram has counted nothing yet; call fit(tokens) first")

    def get_extra_state(self) -> dict[str, Any]:
        """The results of `fit` and `tune`, and what they belong to; part of the state_dict."""
        arrays = [{name: torch.from_numpy(a) for name, a in vars(c).items()} for c in self.orders]
        settings = {name: getattr(self, name) for name in SETTINGS}
        return {"orders": arrays, "confidences": list(self.confidences), "settings": settings}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        # Older files lack the settings.
        saved = {"order": len(state["confidences"]), **state.get("settings", {})}
        for name, value in saved.items():
            if value != getattr(self, name):
                raise UsageError(
                    f"these are the counts of {name} {value}, the model has {name} "
                    f"{getattr(self, name)}"
                )
        self.confidences = list(state["confidences"])
        self.orders = [
            Counts(**{name: tensor.numpy() for name, tensor in arrays.items()})
            for arrays in state["orders"]
        ]


def estimate_discounts(counts: np.ndarray) -> np.ndarray:
    """Discounts (4,) of a count 0, 1, 2, and 3 or more (Chen & Goodman 1999, equation 26)."""
    n1, n2, n3, n4 = (int((counts == i).sum()) for i in (1, 2, 3, 4))
    if not n1 * n2 * n3:
        return np.array([0, DISCOUNT, DISCOUNT, DISCOUNT])
    y = n1 / (n1 + 2 * n2)
    found = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return found.clip(0, [0, 1, 2, 3])
