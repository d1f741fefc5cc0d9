"""A language model over any recurrent cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.models.cells import SCRN, Recurrent
from dlcourse.models.language_model import LanguageModel
from dlcourse.values import check_share, check_whole

__all__ = ["LAYERS", "RecurrentLM"]

# torch's layers compute the same as ElmanCell, LSTMCell and GRUCell, many times faster.
LAYERS = {"elman": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU, "scrn": SCRN}


class RecurrentLM(LanguageModel):
    """Embedding, recurrent layers, a softmax over the vocabulary (Mikolov et al. 2010).

    cell: "elman", "lstm", "gru" or "scrn", or a cell class such as LSTMCell, which is built with
        (embedding_dim, hidden_size) and applied step by step.
    embedding_dim: None takes the width of the layers' output: hidden_size, for SCRN plus
        context_size. num_layers: above 1 for torch's layers only.
    dropout: the share of numbers dropped from the inputs and outputs of each layer, never from the
        state (Zaremba et al. 2014, arXiv:1409.2329).
    tied: embedding and softmax share their weights (Press & Wolf 2017, arXiv:1608.05859).
    settings: for the layer itself, such as `context_size` and `alpha` of SCRN.

    Differs from the paper: an embedding before the hidden layer, the full softmax.

    Shape: inputs int64 (B, T) -> logits (B, T, vocab_size).
    """

    def __init__(
        self,
        vocab_size: int = 10_000,
        embedding_dim: int | None = None,
        hidden_size: int = 100,
        cell: str | Callable[[int, int], nn.Module] = "lstm",
        num_layers: int = 1,
        dropout: float = 0.0,
        tied: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__()
        check_whole(vocab_size=vocab_size, hidden_size=hidden_size, num_layers=num_layers)
        check_share(dropout=dropout)
        if isinstance(cell, str) and cell not in LAYERS:
            raise UnknownNameError("cell", cell, LAYERS)
        of_torch = isinstance(cell, str) and cell != "scrn"
        if num_layers > 1 and not of_torch:
            raise UsageError(f"num_layers must be 1 for this cell, got {num_layers}")
        if of_torch:
            settings |= {"num_layers": num_layers, "batch_first": True}
            settings |= {"dropout": dropout} if num_layers > 1 else {}
        self.vocab_size = vocab_size
        width = hidden_size + (settings.setdefault("context_size", 40) if cell == "scrn" else 0)
        embedding_dim = width if embedding_dim is None else embedding_dim
        check_whole(embedding_dim=embedding_dim)
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        if isinstance(cell, str):
            self.recurrent = LAYERS[cell](embedding_dim, hidden_size, **settings)
        else:
            self.recurrent = Recurrent(cell(embedding_dim, hidden_size, **settings))
            width = self.recurrent.output_size
        self.dropout = nn.Dropout(dropout)
        self.decoder = nn.Linear(width, vocab_size)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        if tied:
            if embedding_dim != width:
                raise UsageError(
                    f"tied weights need embedding_dim {width}, the width of the layers' output, "
                    f"got {embedding_dim}"
                )
            self.decoder.weight = self.embedding.weight

    def advance(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        embedded = self.dropout(self.embedding(inputs))  # (B, T, E)
        outputs, state = self.recurrent(embedded, state)  # (B, T, width)
        return self.decoder(self.dropout(outputs)), state  # (B, T, V)
