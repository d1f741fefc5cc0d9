"""A recurrent network that classifies a text."""

from __future__ import annotations

from torch import Tensor, nn

from dlcourse.errors import UnknownNameError
from dlcourse.models.checks import check_tokens
from dlcourse.models.padding import count_tokens
from dlcourse.values import check_share, check_whole

__all__ = ["TextClassifier"]

LAYERS = {"elman": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class TextClassifier(nn.Module):
    """Embedding, a recurrent layer, and a linear layer on its last state.

    cell: "elman", "lstm" or "gru". bidirectional: a second layer reads backward (Schuster &
    Paliwal 1997), and both last states go into the linear layer. dropout: of embeddings and of the
    linear layer's inputs. padding: the token number that fills up short texts on the right; it is
    never read.

    Shape: inputs int64 (N, T) -> logits (N, num_classes). Raises UsageError for a text of padding
    alone.
    """

    def __init__(
        self,
        vocab_size: int = 10_000,
        num_classes: int = 2,
        embedding_dim: int = 64,
        hidden_size: int = 64,
        cell: str = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        check_whole(
            vocab_size=vocab_size,
            num_classes=num_classes,
            embedding_dim=embedding_dim,
            hidden_size=hidden_size,
        )
        if cell not in LAYERS:
            raise UnknownNameError("cell", cell, LAYERS)
        check_share(dropout=dropout)
        self.vocab_size, self.padding = vocab_size, padding
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.recurrent = LAYERS[cell](
            embedding_dim, hidden_size, batch_first=True, bidirectional=bidirectional
        )
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear((1 + bidirectional) * hidden_size, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        check_tokens(inputs, self.vocab_size)
        lengths = count_tokens(inputs, self.padding)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(self.embedding(inputs)), lengths, batch_first=True, enforce_sorted=False
        )
        _, last = self.recurrent(packed)
        h = last[0] if isinstance(last, tuple) else last  # (directions, N, H)
        return self.fc(self.dropout(h.transpose(0, 1).flatten(1)))
