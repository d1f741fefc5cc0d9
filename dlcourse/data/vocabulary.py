"""A vocabulary: tokens to numbers and back."""

from __future__ import annotations

import json
import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from dlcourse.data.folder import whole_file
from dlcourse.errors import DataError, UsageError
from dlcourse.values import check_whole

__all__ = ["EOS", "UNK", "Vocabulary"]

UNK, EOS = "<unk>", "<eos>"


class Vocabulary:
    """Tokens numbered from 0. Every other token counts as `<unk>`, which is number 0.

    tokens: the tokens in order, `<unk>` first. Raises UsageError for anything else.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        if not tokens or tokens[0] != UNK or len(set(tokens)) != len(tokens):
            raise UsageError(f"tokens must be distinct and begin with {UNK}, got {tokens[:3]!r}...")
        self.tokens = tuple(tokens)
        self.numbers = {token: number for number, token in enumerate(tokens)}

    @classmethod
    def build(
        cls,
        tokens: Iterable[str] | Mapping[str, int],
        max_size: int | None = None,
        min_count: int = 1,
    ) -> Vocabulary:
        """The most frequent of the tokens that occur at least `min_count` times.

        tokens: a text's tokens, or how often each token occurs in it.
        max_size: how many tokens at most, `<unk>` included (None: all). Of equally frequent ones,
        those that come first in alphabetical order are taken.

        Raises UsageError for a max_size below 1 or a min_count below 1.
        """
        check_whole(min_count=min_count)
        if max_size is not None:
            check_whole(max_size=max_size)
        counts = Counter(tokens)
        counts.pop(UNK, None)
        ranked = sorted((-n, token) for token, n in counts.items() if n >= min_count)
        return cls([UNK, *(token for _, token in ranked)][:max_size])

    def __repr__(self) -> str:
        return f"Vocabulary of {len(self)} tokens"

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self.numbers

    def __getitem__(self, token: str) -> int:
        """The number of `token`; the number of `<unk>` if the token is unknown."""
        return self.numbers.get(token, 0)

    def encode(self, tokens: Iterable[str]) -> Tensor:
        """The numbers of tokens, int64 (N,): a list of words or, for characters, also a string.

        Raises UsageError for a string if this is a vocabulary of words.
        """
        if isinstance(tokens, str) and any(len(token) > 1 for token in self.tokens[1:]):
            raise UsageError(
                f"this vocabulary holds words, so encode needs a list of words, got {tokens[:20]!r}"
                "; split a string with tokenize"
            )
        get = self.numbers.get
        return torch.tensor([get(token, 0) for token in tokens], dtype=torch.int64)

    def decode(self, numbers: Iterable[int] | Tensor) -> list[str]:
        """The tokens with these numbers. Raises UsageError for a number without a token."""
        found = []
        for number in numbers.tolist() if isinstance(numbers, Tensor) else numbers:
            try:
                place = operator.index(number)
            except TypeError:
                place = -1
            if not 0 <= place < len(self):
                raise UsageError(f"token number must be 0 to {len(self) - 1}, got {number}")
            found.append(self.tokens[place])
        return found

    def save(self, path: str | PathLike[str]) -> None:
        """Write the tokens as a JSON list, completely or not at all."""
        with whole_file(Path(path)) as part:
            part.write_text(json.dumps(self.tokens, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Vocabulary:
        """Read a file that `save` wrote. Raises DataError, naming the file, for anything else."""
        try:
            tokens = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"cannot read vocabulary {str(path)!r}: {error.strerror}") from None
        except ValueError as error:
            raise DataError(f"{str(path)!r} is not a saved vocabulary: {error}") from None
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise DataError(f"{str(path)!r} is not a saved vocabulary: it is no list of strings")
        return cls(tokens)
