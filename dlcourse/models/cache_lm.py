"""A cache language model: recent words are likely to be used again."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlcourse.errors import UsageError
from dlcourse.models.checks import check_tokens
from dlcourse.models.language_model import LanguageModel
from dlcourse.models.ngram import NGram
from dlcourse.values import check_share

__all__ = ["Cache"]


class Cache(LanguageModel):
    """An n-gram model mixed with the recent words of the text (Kuhn & De Mori 1990).

    p = (1 - weight) p_model + weight p_cache. The cache gives each token its share of the tokens
    before; a token `half_life` tokens back counts half (Clarkson & Robinson 1997). For the first
    token there is no cache, so the model alone decides.

    model: a fitted NGram. weight: the weight of the cache, see `tune`.

    Shape: inputs int64 (B, T) -> log probabilities (B, T, vocab_size), which serve as logits.
    """

    def __init__(self, model: NGram, half_life: float = 100.0, weight: float = 0.1) -> None:
        super().__init__()
        if half_life <= 0:
            raise UsageError(f"half_life must be above 0, got {half_life}")
        check_share(weight=weight)
        self.model, self.vocab_size = model, model.vocab_size
        self.half_life, self.weight = half_life, weight

    @property
    def decay(self) -> float:
        return 0.5 ** (1 / self.half_life)

    def tune(self, tokens: Tensor, rounds: int = 20) -> Cache:
        """Set `weight` by `rounds` of expectation maximization on a text not used for counting."""
        cached, p = self.shares(tokens)[1:], self.model.probabilities(tokens).numpy()[1:]
        if len(p) == 0:
            raise UsageError("tokens must be at least 2 to tune a cache, got 1")
        for _ in range(rounds):
            own = self.weight * cached
            self.weight = float((own / (own + (1 - self.weight) * p)).mean())
        return self

    def probabilities(self, tokens: Tensor) -> Tensor:
        """The probability of each token of a text given those before it.

        Shape: int64 (N,) -> float64 (N,). Raises UsageError as NGram.probabilities does.
        """
        p = self.model.probabilities(tokens)
        mixed = (1 - self.weight) * p + self.weight * torch.from_numpy(self.shares(tokens))
        mixed[0] = p[0]
        return mixed

    def shares(self, tokens: Tensor) -> np.ndarray:
        """The cache's probability of each token, (N,); 0 for the first."""
        check_tokens(tokens, self.vocab_size, "tokens", dim=1)
        numbers = tokens.tolist()
        shares, total = np.zeros(len(numbers)), 0.0
        mass: dict[int, tuple[float, int]] = {}  # of each token, and when computed
        for now, number in enumerate(numbers):
            held, then = mass.get(number, (0.0, now))
            held *= self.decay ** (now - then)
            shares[now] = held / total if total else 0.0
            mass[number] = held + 1, now
            # Both are in units of this token; at the next one both have decayed equally.
            total = (total + 1) * self.decay
        return shares

    def advance(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        inner, mass = state or (None, inputs.new_zeros(len(inputs), self.vocab_size).double())
        logits, inner = self.model.advance(inputs, inner)
        p = logits.double().softmax(-1)  # (B, T, V)
        steps = []
        for token in inputs.unbind(1):
            mass = (self.decay * mass).scatter_add(1, token[:, None], torch.ones_like(mass[:, :1]))
            steps.append(mass / mass.sum(1, keepdim=True))
        mixed = (1 - self.weight) * p + self.weight * torch.stack(steps, 1)
        return mixed.log().float(), (inner, mass)

    def get_extra_state(self) -> dict[str, Any]:
        return {"half_life": self.half_life, "weight": self.weight}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.half_life, self.weight = state["half_life"], state["weight"]
