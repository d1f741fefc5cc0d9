"""What every neural language model here shares: a carried state, and generating."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dlcourse.errors import UsageError
from dlcourse.models.checks import check_tokens

__all__ = ["LanguageModel"]


class LanguageModel(nn.Module):
    """Tokens in, logits of each next token out; what came before is carried from call to call.

    A subclass gives `advance(inputs, state) -> (logits, state)`, which computes from a state (None
    at the start) and returns the next one, a tensor or a tuple of tensors. `forward` carries that
    state, cut from its graph, to the next call, as truncated backpropagation through time needs;
    `reset_state` forgets it, and so must whoever starts a pass or changes the batch size.

    Shape: inputs int64 (B, T) -> logits (B, T, vocab_size).
    """

    vocab_size: int

    def __init__(self) -> None:
        super().__init__()
        self.reset_state()

    def advance(self, inputs: Tensor, state: object) -> tuple[Tensor, object]:
        raise NotImplementedError

    def reset_state(self) -> None:
        """Forget what came before."""
        self.state, self.state_rows = None, None

    def forward(self, inputs: Tensor) -> Tensor:
        check_tokens(inputs, self.vocab_size)
        if self.state is not None and self.state_rows != len(inputs):
            raise UsageError(
                f"inputs have {len(inputs)} rows, the state carried so far {self.state_rows}; "
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
        vocabulary: object = None,
        generator: torch.Generator | None = None,
    ) -> Tensor | list[str]:
        """Continue `prompt` by `length` tokens, each drawn from the model; return only the new.

        prompt: token numbers int64 (T,), or, with the `vocabulary` of a TextData, its tokens: a
            list of words or a string of characters; the answer is then a list of them too.
        temperature: logits are divided by it: below 1 bolder, 0 always takes the likeliest token.
        top_k: draw among the `top_k` likeliest only (None: all). generator: a CPU generator, so
            that a seed gives the same text everywhere.

        The carried state and the mode of the model stay as they were. Raises UsageError for an
        empty prompt, a symbol or number that is not in the vocabulary, and impossible settings.
        """
        if length < 1:
            raise UsageError(f"length must be at least 1, got {length}")
        if temperature < 0:
            raise UsageError(f"temperature must be at least 0, got {temperature}")
        if top_k is not None and not 1 <= top_k <= self.vocab_size:
            raise UsageError(f"top_k must be 1 to {self.vocab_size}, got {top_k}")
        numbers = self.number_prompt(prompt, vocabulary)
        was_training = self.training
        self.eval()
        device = next(self.parameters(), numbers).device  # counts have none
        inputs, state, drawn = numbers.to(device)[None], None, []
        for _ in range(length):
            logits, state = self.advance(inputs, state)
            token = draw(logits[0, -1].float().cpu(), temperature, top_k, generator)
            drawn.append(token)
            inputs = torch.full_like(inputs[:, :1], token)
        self.train(was_training)
        return torch.tensor(drawn) if vocabulary is None else vocabulary.decode(drawn)

    def number_prompt(self, prompt: Tensor | Iterable[str], vocabulary: object) -> Tensor:
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
    # The largest logit goes first: a tiny temperature would overflow the others' quotients alike.
    p = torch.softmax((logits - logits.max()) / temperature, 0)
    return int(torch.multinomial(p, 1, generator=generator))


def detach(state: object) -> object:
    """The same state, cut from the graph it came from."""
    return state.detach() if isinstance(state, Tensor) else tuple(part.detach() for part in state)
