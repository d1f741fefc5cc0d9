"""A vocabulary: tokens to numbers and back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from dlcourse.data.folder import whole_file
from dlcourse.errors import DataError, UsageError

__all__ = ["EOS", "UNK", "Vocabulary"]

UNK, EOS = "<unk>", "<eos>"


class Vocabulary:
    """Tokens numbered from 0; a token that is not among them counts as `<unk>`, number 0.

    tokens: the tokens in order, `<unk>` first. Raises UsageError for anything else.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        if not tokens or tokens[0] != UNK or len(set(tokens)) != len(tokens):
            raise UsageError(f"tokens must be distinct, {UNK} the first, got {list(tokens[:3])}...")
        self.tokens = tuple(tokens)
        self.numbers = {token: number for number, token in enumerate(tokens)}

    @classmethod
    def build(
        cls, tokens: Iterable[str], max_size: int | None = None, min_count: int = 1
    ) -> Vocabulary:
        """Of the tokens that occur at least `min_count` times the most frequent, `<unk>` included
        `max_size` in all (None: every one); equally frequent ones in order of their characters.

        Raises UsageError for a max_size below 1.
        """
        if max_size is not None and max_size < 1:
            raise UsageError(f"max_size must be at least 1 (for {UNK} itself), got {max_size}")
        counts = Counter(tokens)
        counts.pop(UNK, None)
        ranked = sorted((-n, token) for token, n in counts.items() if n >= min_count)
        return cls([UNK, *(token for _, token in ranked)][:max_size])

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self.numbers

    def __getitem__(self, token: str) -> int:
        """The number of `token`, that of `<unk>` where it is unknown."""
        return self.numbers.get(token, 0)

    def encode(self, tokens: Iterable[str]) -> Tensor:
        """The tokens' numbers, int64 (N,)."""
        get = self.numbers.get
        return torch.tensor([get(token, 0) for token in tokens], dtype=torch.int64)

    def decode(self, numbers: Iterable[int] | Tensor) -> list[str]:
        """The tokens with these numbers. Raises UsageError for a number that none has."""
        found = []
        for number in map(int, numbers):
            if not 0 <= number < len(self):
                raise UsageError(f"token number must be 0 to {len(self) - 1}, got {number}")
            found.append(self.tokens[number])
        return found

    def save(self, path: str | PathLike[str]) -> None:
        """Write as a JSON list, whole or not at all."""
        with whole_file(Path(path)) as part:
            part.write_text(json.dumps(self.tokens, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Vocabulary:
        """Read what `save` wrote. Raises DataError, naming the file, for anything else."""
        try:
            tokens = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"cannot read vocabulary {str(path)!r}: {error.strerror}") from None
        except ValueError as error:
            raise DataError(f"{str(path)!r} is not a saved vocabulary: {error}") from None
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise DataError(f"{str(path)!r} is not a saved vocabulary: it is no list of strings")
        return cls(tokens)
