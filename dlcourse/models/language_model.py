"""The base of every language model here: a state that is carried along, and text generation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from dlcourse.errors import UsageError
from dlcourse.models.checks import check_tokens, in_eval_mode
from dlcourse.values import check_whole

__all__ = ["LanguageModel"]


class LanguageModel(nn.Module):
    """Predict each next token; a state is carried from call to call.

    A subclass defines `advance(inputs, state) -> (logits, state)`, which starts from a state (None
    at the beginning) and returns the next one, a tensor or a tuple of tensors. `forward` detaches
    that state and keeps it for the next call, as truncated backpropagation through time needs.
    Call `reset_state` before a new pass over a text and before another batch size.

    Shape: inputs int64 (B, T) -> logits (B, T, vocab_size).
    """

    vocab_size: int

    def __init__(self) -> None:
        super().__init__()
        self.state: Any = None
        self.state_rows = 0

    def advance(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        raise NotImplementedError

    def reset_state(self) -> None:
        """Forget the text so far."""
        self.state, self.state_rows = None, 0

    def forward(self, inputs: Tensor) -> Tensor:
        check_tokens(inputs, self.vocab_size)
        if self.state is not None and self.state_rows != len(inputs):
            raise UsageError(
                f"inputs have {len(inputs)} rows, but the carried state has {self.state_rows}; "
                "call reset_state() before another batch size"
            )
        logits, state = self.advance(inputs, self.state)
        self.state, self.state_rows = detach(state), len(inputs)
        return logits

    @torch.no_grad()
    def generate(
        self,
        prompt: Tensor | Iterable[str],
        length: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        *,
        vocabulary: Any = None,
        generator: torch.Generator | None = None,
    ) -> Tensor | list[str]:
        """Continue `prompt` by `length` tokens, each drawn from the model; return the new tokens.

        prompt: token numbers int64 (T,), or, with the `vocabulary` of a TextData, its tokens: a
            list of words or a string of characters. The result is then a list of tokens too.
        temperature: logits are divided by it. Below 1 the text is safer: likely tokens become even
            more likely, and 0 always takes the most likely token (greedy search). Above 1 it is
            bolder: unlikely tokens are drawn more often.
        top_k: draw only from the `top_k` most likely tokens (None: all). generator: a CPU
            generator, so that a seed gives the same text on every device.

        The carried state and the mode of the model stay as they were. Raises UsageError for an
        empty prompt, a symbol or number that is not in the vocabulary, and impossible settings.
        """
        check_whole(length=length)
        if not 0 <= temperature < math.inf:
            raise UsageError(f"temperature must be at least 0, got {temperature}")
        if top_k is not None and top_k not in range(1, self.vocab_size + 1):
            raise UsageError(f"top_k must be 1 to {self.vocab_size}, got {top_k}")
        if vocabulary is not None and len(vocabulary) != self.vocab_size:
            raise UsageError(
                f"the vocabulary has {len(vocabulary)} tokens, but the model {self.vocab_size}; "
                "give the one that the model was trained with"
            )
        numbers = self.number_prompt(prompt, vocabulary)
        device = next(self.parameters(), numbers).device  # counts have none
        inputs, state, drawn = numbers.to(device)[None], None, []
        with in_eval_mode(self):
            for _ in range(length):
                logits, state = self.advance(inputs, state)
                token = draw(logits[0, -1].float().cpu(), temperature, top_k, generator)
                drawn.append(token)
                inputs = torch.full_like(inputs[:, :1], token)
        return torch.tensor(drawn) if vocabulary is None else vocabulary.decode(drawn)

    def number_prompt(self, prompt: Tensor | Iterable[str], vocabulary: Any) -> Tensor:
        """The numbers of a prompt, int64 (T,). Raises UsageError; see generate."""
        if vocabulary is not None and not isinstance(prompt, Tensor):
            symbols = list(prompt)
            unknown = list(dict.fromkeys(s for s in symbols if s not in vocabulary))
            if unknown:
                raise UsageError(
                    f"prompt holds {', '.join(map(repr, unknown[:5]))}, not in the vocabulary of "
                    f"{len(vocabulary)}; a prompt is a list of words, or a string of characters"
                )
            prompt = vocabulary.encode(symbols)
        if not isinstance(prompt, Tensor):
            raise UsageError("prompt must be token numbers; for words give the vocabulary too")
        check_tokens(prompt, self.vocab_size, "prompt", dim=1)
        return prompt


def draw(
    logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator | None
) -> int:
    """A token number drawn from softmax(logits / temperature), logits float32 (vocab_size,)."""
    if temperature == 0:
        return int(logits.argmax())
    if top_k is not None:
        kept = logits.topk(top_k)
        return int(kept.indices[draw(kept.values, temperature, None, generator)])
    # Subtract the largest logit first, so that a tiny temperature does not overflow.
    p = torch.softmax((logits - logits.max()) / temperature, 0)
    return int(torch.multinomial(p, 1, generator=generator))


def detach(state: Any) -> Any:
    """The same state without its graph."""
    return state.detach() if isinstance(state, Tensor) else tuple(part.detach() for part in state)
