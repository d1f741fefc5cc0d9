"""The encoder-decoder, with and without additive attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlcourse.errors import UsageError
from dlcourse.models.checks import check_tokens, in_eval_mode
from dlcourse.models.padding import count_tokens
from dlcourse.values import check_whole

__all__ = ["AdditiveAttention", "Seq2Seq"]


class AdditiveAttention(nn.Module):
    """Weigh the places of a source by how well they fit a decoder's state (Bahdanau et al. 2015,
    section 3.1):

        score_j = v . tanh(W s + U h_j),   weights = softmax over j,   context = sum_j weights_j h_j

    Shape: state s (N, state_size), memory h (N, S, memory_size), mask (N, S), True where there is
    a token -> context (N, memory_size), weights (N, S), each row summing to 1.
    """

    def __init__(self, state_size: int, memory_size: int, attention_size: int) -> None:
        super().__init__()
        self.W = nn.Linear(state_size, attention_size, bias=False)
        self.U = nn.Linear(memory_size, attention_size, bias=False)
        self.v = nn.Linear(attention_size, 1, bias=False)

    def forward(
        self, state: Tensor, memory: Tensor, mask: Tensor, keys: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """keys: `U(memory)` if the caller has computed it; it is the same for every state."""
        keys = self.U(memory) if keys is None else keys
        scores = self.v(torch.tanh(self.W(state)[:, None] + keys))[..., 0]  # (N, S)
        weights = scores.masked_fill(~mask, -torch.inf).softmax(1)
        return (weights[..., None] * memory).sum(1), weights


class Seq2Seq(nn.Module):
    """Encoder-decoder of GRUs with attention (Bahdanau, Cho & Bengio 2015, arXiv:1409.0473).

    A GRU reads the source in both directions, another one writes the target. Without `attention`
    the decoder sees only the last states of the source (Cho et al. 2014).

    start, end: the token numbers that open and close a target. padding: the number that fills up
    short sources on the right (None: all sources have the same length).

    Differs from the paper: the last state goes through one linear layer straight to the logits,
    with no maxout between.

    forward(sources, targets) uses teacher forcing: it gives the logits of each target token after
    the correct tokens before it. After a forward, `alignment` (N, T, S) holds the attention weights
    of each target token.

    Shape: sources int64 (N, S), targets int64 (N, T) without `start` -> logits
    (N, T, target_vocab_size).
    """

    def __init__(
        self,
        source_vocab_size: int = 10_000,
        target_vocab_size: int = 10_000,
        embedding_dim: int = 64,
        hidden_size: int = 64,
        attention: bool = True,
        start: int = 0,
        end: int = 1,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        check_whole(
            source_vocab_size=source_vocab_size,
            target_vocab_size=target_vocab_size,
            embedding_dim=embedding_dim,
            hidden_size=hidden_size,
        )
        for name, number in (("start", start), ("end", end)):
            if not 0 <= number < target_vocab_size:
                raise UsageError(f"{name} must be 0 to {target_vocab_size - 1}, got {number}")
        self.source_vocab_size, self.target_vocab_size = source_vocab_size, target_vocab_size
        self.start, self.end, self.padding = start, end, padding
        memory_size = 2 * hidden_size
        self.source_embedding = nn.Embedding(source_vocab_size, embedding_dim)
        self.encoder = nn.GRU(embedding_dim, hidden_size, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(memory_size, hidden_size)
        self.target_embedding = nn.Embedding(target_vocab_size, embedding_dim)
        self.attention = (
            AdditiveAttention(hidden_size, memory_size, hidden_size) if attention else None
        )
        self.decoder = nn.GRUCell(embedding_dim + memory_size, hidden_size)
        self.fc = nn.Linear(hidden_size + memory_size, target_vocab_size)
        self.alignment: Tensor | None = None

    def forward(self, sources: Tensor, targets: Tensor) -> Tensor:
        check_tokens(targets, self.target_vocab_size, "targets")
        if len(sources) != len(targets):
            raise UsageError(f"{len(sources)} sources do not go with {len(targets)} targets")
        before = torch.cat([targets.new_full((len(targets), 1), self.start), targets[:, :-1]], 1)
        memory, state = self.encode(sources)
        steps = []
        for token in before.unbind(1):
            logits, state, weights = self.decode(token, state, memory)
            steps.append((logits, weights))
        self.alignment = torch.stack([weights for _, weights in steps], 1).detach()
        return torch.stack([logits for logits, _ in steps], 1)

    def encode(self, sources: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor | None], Tensor]:
        """The memory that the decoder attends to, and its first state.

        Shape: int64 (N, S) -> memory: (values (N, S, 2H), mask (N, S), keys (N, S, H) or None);
        state (N, H).
        """
        check_tokens(sources, self.source_vocab_size, "sources")
        lengths = count_tokens(sources, self.padding)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.source_embedding(sources), lengths, batch_first=True, enforce_sorted=False
        )
        outputs, last = self.encoder(packed)  # last (2, N, H)
        S = sources.shape[1]
        values, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True, total_length=S)
        mask = torch.arange(S, device=sources.device) < lengths.to(sources.device)[:, None]
        ends = last.transpose(0, 1).flatten(1)  # (N, 2H)
        if self.attention is None:  # one place to attend to: the ends
            values, mask = ends[:, None], mask[:, :1]
        keys = None if self.attention is None else self.attention.U(values)
        return (values, mask, keys), torch.tanh(self.bridge(ends))

    def decode(
        self, token: Tensor, state: Tensor, memory: tuple[Tensor, Tensor, Tensor | None]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of the decoder.

        Shape: token int64 (N,), state (N, H), memory as from `encode` -> logits
        (N, target_vocab_size), new state (N, H), weights (N, S), or (N, 1) without attention.
        """
        values, mask, keys = memory
        if self.attention is None:
            context, weights = values[:, 0], mask.to(values.dtype)
        else:
            context, weights = self.attention(state, values, mask, keys)
        embedded = self.target_embedding(token)
        state = self.decoder(torch.cat([embedded, context], 1), state)
        return self.fc(torch.cat([state, context], 1)), state, weights

    @torch.no_grad()
    def translate(self, sources: Tensor, max_length: int) -> Tensor:
        """Write the most likely next token until every row has its `end` (greedy search).

        Shape: int64 (N, S) -> int64 (N, T), T at most max_length, only `end` after the first one.
        """
        check_whole(max_length=max_length)
        token = sources.new_full((len(sources),), self.start)
        done = torch.zeros_like(token, dtype=torch.bool)
        written: list[Tensor] = []
        with in_eval_mode(self):
            memory, state = self.encode(sources)
            while len(written) < max_length and not done.all():
                logits, state, _ = self.decode(token, state, memory)
                token = logits.argmax(1).masked_fill(done, self.end)
                done |= token == self.end
                written.append(token)
        return torch.stack(written, 1)
