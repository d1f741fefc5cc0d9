"""Text data sets: read, split, numbered, and cut into batches for truncated backpropagation."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from dlcourse.data import catalog
from dlcourse.data.folder import data_folder
from dlcourse.data.synthetic.grammar import build_grammar
from dlcourse.data.vocabulary import EOS, Vocabulary
from dlcourse.errors import DataError, UnknownNameError, UsageError

__all__ = ["LEVELS", "TextBatches", "TextData", "load_text", "tokenize"]

LEVELS = ("word", "char")
SPLITS = {"train": "train", "val": "valid", "test": "test"}  # ours: the word in file names
STAND_IN_WORDS = {"train": 930_000, "val": 74_000, "test": 82_000}


class TextBatches:
    """An iterable of (inputs int64 (B, T), targets int64 (B, T)); targets are one token ahead.

    The tokens lie in `batch_size` contiguous rows that are walked `bptt` tokens at a time, so row b
    of a batch goes on where row b of the batch before ended, and a hidden state carries over. The
    last batch may be shorter; fewer than `batch_size` tokens at the very end are left out.
    """

    def __init__(
        self, tokens: Tensor, batch_size: int, bptt: int, source: str, synthetic: bool
    ) -> None:
        for name, value in (("batch_size", batch_size), ("bptt", bptt)):
            if value < 1:
                raise UsageError(f"{name} must be at least 1, got {value}")
        row = (len(tokens) - 1) // batch_size
        if row < 1:
            raise UsageError(f"batch_size must be below the {len(tokens)} tokens, got {batch_size}")
        self.batch_size, self.bptt = batch_size, bptt
        self.source, self.synthetic = source, synthetic
        self.inputs = tokens[: row * batch_size].view(batch_size, row)
        self.targets = tokens[1 : row * batch_size + 1].view(batch_size, row)

    @property
    def num_samples(self) -> int:
        """How many tokens are predicted in one pass."""
        return self.targets.numel()

    def __len__(self) -> int:
        return math.ceil(self.inputs.shape[1] / self.bptt)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(self.inputs.split(self.bptt, 1), self.targets.split(self.bptt, 1), strict=True)


@dataclass(frozen=True, eq=False)
class TextData:
    """A text in numbers. train, val, test: int64 (N,). level: "word" or "char".

    entropy_rate: nats a token where it is known exactly (the stand-in), else None.
    """

    name: str
    source: str
    synthetic: bool
    level: str
    vocabulary: Vocabulary
    train: Tensor
    val: Tensor
    test: Tensor
    entropy_rate: float | None = None

    @property
    def best_perplexity(self) -> float | None:
        """The best that any model can have on unseen text, where that is known."""
        return None if self.entropy_rate is None else math.exp(self.entropy_rate)

    def batches(
        self, batch_size: int = 20, bptt: int = 35, *, device: str | torch.device = "cpu"
    ) -> tuple[TextBatches, TextBatches, TextBatches]:
        """Batches of train, val and test, on `device`. Raises UsageError; see TextBatches."""
        train, val, test = (
            TextBatches(tokens.to(device), batch_size, bptt, self.source, self.synthetic)
            for tokens in (self.train, self.val, self.test)
        )
        return train, val, test


def tokenize(text: str, level: str = "word") -> list[str]:
    """The words of each line, closed by `<eos>`, or the characters. Raises UnknownNameError."""
    if level not in LEVELS:
        raise UnknownNameError("level", level, LEVELS)
    if level == "char":
        return list(text)
    return [token for line in text.splitlines() for token in (*line.split(), EOS)]


def load_text(
    name: str,
    data_dir: str | PathLike[str] | None = None,
    *,
    level: str | None = None,
    max_size: int | None = None,
    offline: bool = False,
) -> TextData:
    """The text called `name`: "ptb", "tinyshakespeare", or a UTF-8 file, or a folder with the files
    `train`, `valid` and `test` (any prefix and ending), in the data folder or at that path.

    level: "word" or "char" (None: "char" for tinyshakespeare, else "word"). max_size: of the
    vocabulary, which is built from train alone. One file is cut 90 : 5 : 5, in order. What is not
    here is fetched unless `offline`, else a text from a grammar stands in, said on stderr.

    Raises UnknownNameError, UsageError, and DataError for a file that is damaged or not UTF-8.
    """
    level = level or ("char" if name == "tinyshakespeare" else "word")
    if level not in LEVELS:
        raise UnknownNameError("level", level, LEVELS)
    if max_size is not None and max_size < 1:
        raise UsageError(f"max_size must be at least 1, got {max_size}")
    folder = data_folder(data_dir)
    path, why = find_text(name, folder, offline)
    entropy_rate = None
    if path is None:
        entry = catalog.find(name)
        print(
            f"dlcourse: {entry.title} IS NOT HERE: A SYNTHETIC TEXT TAKES ITS PLACE.\n"
            f"  Looked in {str(folder)!r}; {why}\n"
            f"  For the real data: `dlcourse data get {name}`",
            file=sys.stderr,
        )
        texts, source = stand_in(), f"synthetic text from a grammar (stand-in for {entry.title})"
        entropy_rate = build_grammar().entropy_rate(level) if max_size is None else None
    else:
        texts, source = read_splits(path), f"{name} from {path}"
    tokens = {split: tokenize(text, level) for split, text in texts.items()}
    vocabulary = Vocabulary.build(tokens["train"], max_size)
    numbers = {split: vocabulary.encode(part) for split, part in tokens.items()}
    return TextData(
        name, source, path is None, level, vocabulary, **numbers, entropy_rate=entropy_rate
    )


def find_text(name: str, folder: Path, offline: bool) -> tuple[Path | None, str]:
    """Where the text is, or None and why it is not to be had."""
    entry = catalog.CATALOG.get(name)
    if entry is None:
        for path in (folder / name, folder / f"{name}.txt", Path(name)):
            if path.exists():
                return path, ""
        known = [known.name for known in catalog.CATALOG.values() if known.kind == "text"]
        raise UnknownNameError("text", name, known)
    if entry.kind != "text":
        raise UsageError(f"data set {name!r} is {entry.kind}; load it with load")
    from dlcourse.data.store import get, here

    path, why = here(entry, folder), "--offline"
    if path is None and not offline:
        try:
            path = get(name, folder)
        except DataError as error:
            why = str(error)
    if path is not None and len(entry.files) == 1:
        path = folder / entry.files[0].path
    return path, why


def read_splits(path: Path) -> dict[str, str]:
    """The text of train, val and test. Raises DataError."""
    if path.is_file():
        return cut(read_utf8(path), path)
    texts = {}
    for split, word in SPLITS.items():
        found = sorted(file for file in path.iterdir() if word in file.name and file.is_file())
        if len(found) != 1:
            raise DataError(
                f"folder {str(path)!r} must hold one file with {word!r} in its name, "
                f"it holds {len(found)}"
            )
        texts[split] = read_utf8(found[0])
    return texts


def cut(text: str, path: Path) -> dict[str, str]:
    """90 : 5 : 5 of `text`, cut at the ends of lines where there are any nearby."""
    ends = [text.find("\n", int(share * len(text))) + 1 for share in (0.9, 0.95)]
    if not 0 < ends[0] < ends[1] < len(text):
        ends = [int(share * len(text)) for share in (0.9, 0.95)]
    parts = text[: ends[0]], text[ends[0] : ends[1]], text[ends[1] :]
    if not all(parts):
        raise DataError(f"text {str(path)!r} has {len(text)} characters: too short to be split")
    return dict(zip(SPLITS, parts, strict=True))


def read_utf8(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise DataError(f"cannot read text {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"text {str(path)!r} is not UTF-8 (byte {error.start:,}); "
            f"convert it first: iconv -f latin1 -t utf-8"
        ) from None
    if not text.strip():
        raise DataError(f"text {str(path)!r} is empty")
    return text


@functools.lru_cache(maxsize=1)
def stand_in() -> dict[str, str]:
    grammar = build_grammar()
    return {split: grammar.text(n, seed) for seed, (split, n) in enumerate(STAND_IN_WORDS.items())}
