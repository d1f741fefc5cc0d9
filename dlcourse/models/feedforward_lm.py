"""The feed-forward language model of Bengio et al."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dlcourse.models.language_model import LanguageModel
from dlcourse.values import check_share, check_whole

__all__ = ["FeedForwardLM"]


class FeedForwardLM(LanguageModel):
    """Embeddings of the last tokens side by side, a tanh layer, a softmax (Bengio et al. 2003):

        y = b + W x + U tanh(d + H x),    x = (C(w_{t-1}), ..., C(w_{t-n+1}))

    context_size: how many tokens it sees, n - 1 in the paper. direct: whether it has W. dropout:
    the share of numbers dropped from x and from the hidden layer.

    Differs from the paper: full softmax on one machine; dropout. The places before the
    beginning of a text have their own embedding, number vocab_size.

    Shape: inputs int64 (B, T) -> logits (B, T, vocab_size).
    """

    def __init__(
        self,
        vocab_size: int = 10_000,
        context_size: int = 4,
        embedding_dim: int = 60,
        hidden_size: int = 100,
        direct: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_whole(
            vocab_size=vocab_size,
            context_size=context_size,
            embedding_dim=embedding_dim,
            hidden_size=hidden_size,
        )
        check_share(dropout=dropout)
        self.vocab_size, self.context_size = vocab_size, context_size
        self.C = nn.Embedding(vocab_size + 1, embedding_dim)
        self.H = nn.Linear(context_size * embedding_dim, hidden_size)
        self.U = nn.Linear(hidden_size, vocab_size)
        self.W = nn.Linear(context_size * embedding_dim, vocab_size, bias=False) if direct else None
        self.dropout = nn.Dropout(dropout)
        nn.init.uniform_(self.C.weight, -0.1, 0.1)

    def advance(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        before = self.context_size - 1
        if state is None:
            state = inputs.new_full((len(inputs), before), self.vocab_size)
        tokens = torch.cat([state, inputs], 1)  # (B, before + T)
        windows = self.C(tokens).unfold(1, self.context_size, 1)  # (B, T, E, context)
        x = self.dropout(windows.transpose(2, 3).flatten(2))  # (B, T, context * E)
        logits = self.U(self.dropout(torch.tanh(self.H(x))))  # (B, T, V)
        if self.W is not None:
            logits = logits + self.W(x)
        return logits, tokens[:, tokens.shape[1] - before :]
