"""A language model made of attention: a small GPT."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse.errors import UsageError
from dlcourse.models.checks import check_tokens
from dlcourse.models.language_model import LanguageModel
from dlcourse.values import check_share, check_whole

__all__ = ["TransformerLM", "sinusoids"]

# The keys and values of a block for the tokens so far, each (B, H, S, E / H).
Past = tuple[Tensor, Tensor]


def sinusoids(num_positions: int, width: int) -> Tensor:
    """Return the positions of Vaswani et al. (2017, section 3.5), float32 (num_positions, width):

    column 2i is sin(t / 10000^(2i / width)), column 2i + 1 is the cosine of the same angle.
    """
    places = torch.arange(num_positions)[:, None]
    angles = places / 10_000 ** (torch.arange(0, width, 2) / width)  # (T, ceil(width / 2))
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]


class Block(nn.Module):
    """Causal self-attention, then two linear layers, each on normalized inputs and with a shortcut:

        x = x + attention(norm1(x)),    x = x + linear2(gelu(linear1(norm2(x))))

    The weights have the names of nn.TransformerEncoderLayer(norm_first=True, activation="gelu").

    Shape: x (B, T, E), keys and values of S earlier tokens -> (B, T, E), those of all S + T.
    """

    def __init__(self, embedding_dim: int, num_heads: int, dropout: float, std: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embedding_dim)
        # It holds the weights; `attend` computes, because torch's forward takes no past keys.
        self.self_attn = nn.MultiheadAttention(embedding_dim, num_heads, dropout, batch_first=True)
        self.norm2 = nn.LayerNorm(embedding_dim)
        self.linear1 = nn.Linear(embedding_dim, 4 * embedding_dim)
        self.linear2 = nn.Linear(4 * embedding_dim, embedding_dim)
        self.dropout = nn.Dropout(dropout)
        for last in (self.self_attn.out_proj, self.linear2):
            nn.init.normal_(last.weight, std=std)

    def forward(self, x: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        attended, past = self.attend(self.norm1(x), past)
        x = x + self.dropout(attended)
        x = x + self.dropout(self.linear2(F.gelu(self.linear1(self.norm2(x)))))
        return x, past

    def attend(self, x: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        layer = self.self_attn
        projected = F.linear(x, layer.in_proj_weight, layer.in_proj_bias).chunk(3, 2)
        q, k, v = (part.unflatten(2, (layer.num_heads, -1)).transpose(1, 2) for part in projected)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        T, S = q.shape[2], k.shape[2]
        mask = None
        if 1 < T < S:  # torch's is_causal aligns the first query with the first key
            mask = torch.ones(T, S, dtype=torch.bool, device=x.device).tril(S - T)
        p = layer.dropout if self.training else 0.0
        heads = F.scaled_dot_product_attention(q, k, v, mask, dropout_p=p, is_causal=1 < T == S)
        return layer.out_proj(heads.transpose(1, 2).flatten(2)), (k, v)


class TransformerLM(LanguageModel):
    """A decoder-only transformer (Vaswani et al. 2017, arXiv:1706.03762; Radford et al. 2019).

    Embedding plus sinusoidal positions, `num_layers` blocks, a layer norm, a softmax over the
    vocabulary. Variant: pre-norm, GELU, as in GPT-2; a feed-forward width of 4 * embedding_dim.
    The weights of `layers` and `norm` are those of nn.TransformerEncoder, with its names.

    context_size: the most tokens that it reads at once. dropout: the share of numbers dropped from
        the embedded inputs, the attention weights and what each part of a block adds.
    tied: embedding and softmax share their weights; the embedding is then multiplied by
        sqrt(embedding_dim).

    Differs from the papers: no encoder; the positions are fixed, in GPT-2 they are learned.

    No state goes from batch to batch: `forward` reads each row of its inputs from the beginning.
    `generate` keeps the keys and values of the text so far. If the text has filled the context, it
    goes on with the last half of it; a longer prompt is refused.

    Shape: inputs int64 (B, T), T at most context_size -> logits (B, T, vocab_size).
    """

    positions: Tensor

    def __init__(
        self,
        vocab_size: int = 10_000,
        embedding_dim: int = 128,
        num_heads: int = 4,
        num_layers: int = 4,
        context_size: int = 128,
        dropout: float = 0.0,
        tied: bool = False,
    ) -> None:
        super().__init__()
        check_whole(
            vocab_size=vocab_size,
            embedding_dim=embedding_dim,
            num_heads=num_heads,
            num_layers=num_layers,
            context_size=context_size,
        )
        check_share(dropout=dropout)
        if embedding_dim % num_heads:
            raise UsageError(
                f"num_heads must divide embedding_dim {embedding_dim}, got {num_heads}; every head "
                "takes an equal part of the width"
            )
        self.vocab_size, self.context_size = vocab_size, context_size
        self.scale = embedding_dim**0.5 if tied else 1.0
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.register_buffer("positions", sinusoids(context_size, embedding_dim), persistent=False)
        self.dropout = nn.Dropout(dropout)
        std = 0.02 / (2 * num_layers) ** 0.5  # as in GPT-2: the sum of all blocks starts small
        self.layers = nn.ModuleList(
            Block(embedding_dim, num_heads, dropout, std) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(embedding_dim)
        self.decoder = nn.Linear(embedding_dim, vocab_size, bias=False)
        nn.init.normal_(self.embedding.weight, std=1 / self.scale)
        nn.init.normal_(self.decoder.weight, std=embedding_dim**-0.5)
        if tied:
            self.decoder.weight = self.embedding.weight

    def forward(self, inputs: Tensor) -> Tensor:
        check_tokens(inputs, self.vocab_size)
        return self.advance(inputs, None)[0]

    def advance(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The logits of `inputs` after the text of `state`, and the state with them: the tokens,
        int64 (B, S), and a Past for each block."""
        T = inputs.shape[1]
        if self.context_size < T:
            raise UsageError(
                f"a text of {T} tokens is longer than the context of {self.context_size}; "
                "give its end, or build the model with a larger context_size"
            )
        tokens, pasts = state or (inputs[:, :0], [None] * len(self.layers))
        tokens = torch.cat([tokens, inputs], 1)
        if tokens.shape[1] > self.context_size:  # full: read the end again, at new positions
            tokens = tokens[:, -max(T, self.context_size // 2) :]
            logits, state = self.advance(tokens, None)
            return logits[:, -T:], state
        places = self.positions[tokens.shape[1] - T : tokens.shape[1]]
        x = self.dropout(self.scale * self.embedding(inputs) + places)  # (B, T, E)
        grown = []
        for block, past in zip(self.layers, pasts, strict=True):
            x, past = block(x, past)
            grown.append(past)
        return self.decoder(self.norm(x)), (tokens, grown)  # (B, T, V)
