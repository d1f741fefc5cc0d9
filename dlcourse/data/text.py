"""Text data sets: read, split, numbered, and cut into batches for truncated backpropagation."""

from __future__ import annotations

import codecs
import functools
import itertools
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dlcourse.data import catalog
from dlcourse.data.folder import data_folder, split_files
from dlcourse.data.synthetic.grammar import build_grammar
from dlcourse.data.vocabulary import EOS, Vocabulary
from dlcourse.errors import DataError, UnknownNameError, UsageError
from dlcourse.values import check_whole

__all__ = [
    "LEVELS", "TextBatches", "TextData", "cut", "load_text", "read_text", "tokenize",
    "with_newlines",
]  # fmt: skip

LEVELS = ("word", "char")
SPLITS = ("train", "val", "test")
STAND_IN_WORDS = {"train": 930_000, "val": 74_000, "test": 82_000}
# The longer marks first: that of UTF-32 begins with that of UTF-16.
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
# Larger shares of tokens that are left out, or unknown, are reported.
LEFT_OUT, UNKNOWN = 0.01, 0.3
PIECE = 2**20  # characters, and the rest of the line


class TextBatches:
    """An iterable of (inputs int64 (B, T), targets int64 (B, T)); targets are one token ahead.

    The tokens are laid out in `batch_size` contiguous rows, which are read `bptt` tokens at a time:
    row b of each batch continues row b of the batch before, so a hidden state can be carried over.
    The last batch may be shorter. Up to `batch_size` tokens at the very end do not fill the rows
    and are left out; a line on stderr says so if they are more than 1 % of all.

    tokens: int64 (N,). split: how messages call them.
    """

    def __init__(
        self,
        tokens: Tensor,
        batch_size: int,
        bptt: int,
        source: str = "",
        synthetic: bool = False,
        split: str = "",
    ) -> None:
        check_whole(batch_size=batch_size, bptt=bptt)
        row = (len(tokens) - 1) // batch_size
        of_split = f" of {split}" * bool(split)
        if row < 1:
            raise UsageError(
                f"batch_size must be below the {len(tokens)} tokens{of_split}, got {batch_size}"
            )
        left_out = len(tokens) - 1 - row * batch_size
        if left_out > LEFT_OUT * len(tokens):
            print(
                f"dlcourse: the last {left_out} of {len(tokens)} tokens{of_split} are left out "
                f"because they do not fill {batch_size} rows; a smaller batch_size uses more",
                file=sys.stderr,
            )
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
    """A text as numbers. train, val, test: int64 (N,). level: "word" or "char".

    entropy_rate: nats per token if it is known exactly (for the stand-in), otherwise None.
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
        """The best perplexity that any model can reach on unseen text, if it is known."""
        return None if self.entropy_rate is None else math.exp(self.entropy_rate)

    def batches(
        self, batch_size: int = 20, bptt: int = 35, *, device: str | torch.device = "cpu"
    ) -> tuple[TextBatches, TextBatches, TextBatches]:
        """Batches of train, val and test, on `device`. Raises UsageError; see TextBatches."""
        train, val, test = (
            TextBatches(tokens.to(device), batch_size, bptt, self.source, self.synthetic, split)
            for split, tokens in zip(SPLITS, (self.train, self.val, self.test), strict=True)
        )
        return train, val, test


def tokenize(text: str, level: str = "word") -> list[str]:
    """The words of each line with `<eos>` at its end, or the characters.

    Only line feed, carriage return and both together end a line. Raises UnknownNameError.

    >>> tokenize("a b\\r\\nc")
    ['a', 'b', '<eos>', 'c', '<eos>']
    """
    if level not in LEVELS:
        raise UnknownNameError("level", level, LEVELS)
    text = with_newlines(text)
    if level == "char":
        return list(text)
    if text and not text.endswith("\n"):
        text += "\n"
    return text.replace("\n", f" {EOS} ").split()


def with_newlines(text: str) -> str:
    """`text` with every end of a line as one line feed."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def load_text(
    name: str,
    data_dir: str | PathLike[str] | None = None,
    *,
    level: str | None = None,
    max_size: int | None = None,
    offline: bool = False,
) -> TextData:
    """The text called `name`: "ptb", "tinyshakespeare", a registered text, or your own.

    Your own text is a UTF-8 file, or a folder with one file each for train, valid and test (any
    prefix and ending), in the data folder or at the path `name`. One file is cut 90 : 5 : 5.

    level: "word" or "char" (None: "char" for tinyshakespeare, else "word"). max_size: of the
    vocabulary, which is built from train alone. A course text that is not in the data folder is
    downloaded unless `offline`; if that fails, a text from a grammar takes its place, with a
    notice on stderr.

    Raises UnknownNameError, UsageError, and DataError for a file that is damaged or not UTF-8.
    """
    level = level or ("char" if name == "tinyshakespeare" else "word")
    if level not in LEVELS:
        raise UnknownNameError("level", level, LEVELS)
    if max_size is not None:
        check_whole(max_size=max_size)
    if name in catalog.REGISTERED:
        made = catalog.REGISTERED[name].make()
        if not isinstance(made, TextData):
            raise UsageError(f"data set {name!r} is not a TextData, got {type(made).__name__}")
        return made
    folder = data_folder(data_dir)
    path, why = find_text(name, folder, offline)
    entropy_rate = None
    if path is None:
        entry = catalog.find(name)
        print(
            f"dlcourse: {entry.title} IS NOT HERE: A SYNTHETIC TEXT TAKES ITS PLACE.\n"
            f"  Looked in {str(folder)!r} for {', '.join(file.path for file in entry.files)}; {why}"
            f"\n  For the real data: `dlcourse data get {name}`",
            file=sys.stderr,
        )
        texts, source = (
            dict(stand_in()),
            f"synthetic text from a grammar (stand-in for {entry.title})",
        )
        entropy_rate = build_grammar().entropy_rate(level) if max_size is None else None
    else:
        texts, source = read_splits(path), f"{name} from {path}"
    vocabulary, numbers = numbered(texts, level, max_size)
    for split, part in numbers.items():
        unknown = len(part) - int(part.count_nonzero())
        if unknown > UNKNOWN * len(part):
            print(
                f"dlcourse: {unknown} of the {len(part)} tokens of {split} in {name!r} are not in "
                f"the vocabulary of {len(vocabulary)} and count as <unk>",
                file=sys.stderr,
            )
    return TextData(
        name, source, path is None, level, vocabulary, **numbers, entropy_rate=entropy_rate
    )


def numbered(
    texts: dict[str, str], level: str, max_size: int | None
) -> tuple[Vocabulary, dict[str, Tensor]]:
    """The vocabulary of train, and the numbers of all tokens of each split, int64 (N,).

    Empties `texts`, and reads each of them once, in pieces: its tokens as a list would take ten
    times as much memory as the text. A token is numbered at first in the order of appearance.
    """
    seen: defaultdict[str, int] = defaultdict(itertools.count().__next__)
    found: dict[str, list[np.ndarray]] = {}
    for split in SPLITS:
        pieces = map(tokenize, in_pieces(texts.pop(split)), itertools.repeat(level))
        found[split] = [np.fromiter(map(seen.__getitem__, piece), np.int32) for piece in pieces]
        if split == "train":
            counts = np.zeros(len(seen), np.int64)
            for piece in found[split]:
                counts += np.bincount(piece, minlength=len(seen))
            vocabulary = Vocabulary.build(dict(zip(seen, counts.tolist(), strict=True)), max_size)
    final = np.array([vocabulary[token] for token in seen])
    numbers = {}
    for split, parts in found.items():
        numbers[split] = torch.empty(sum(map(len, parts)), dtype=torch.int64)
        places = numbers[split].split([len(part) for part in parts])
        for place, part in zip(places, parts, strict=True):
            place.copy_(torch.from_numpy(final[part]))
    return vocabulary, numbers


def in_pieces(text: str) -> Iterator[str]:
    """`text`, cut after the end of a line every PIECE characters."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + PIECE) + 1 or len(text)
        yield text[start:end]
        start = end


def find_text(name: str, folder: Path, offline: bool) -> tuple[Path | None, str]:
    """Where the text is, or None and the reason why it is not available."""
    entry = catalog.CATALOG.get(name)
    if entry is None:
        for path in (folder / name, folder / f"{name}.txt", Path(name)):
            if path.exists():
                return path, ""
        own = sorted(path.stem for path in folder.glob("*.txt"))
        raise UnknownNameError("text", name, [*catalog.names("text"), *own])
    catalog.check_kind(entry, "text")
    from dlcourse.data.store import locate

    paths, why = locate(entry, folder, offline)
    return (None if not paths else paths[0] if len(paths) == 1 else paths[0].parent), why


def read_splits(path: Path) -> dict[str, str]:
    """The text of train, val and test. Raises DataError."""
    if path.is_file():
        return cut(read_text(path), path)
    texts = {}
    for split, files in split_files(path).items():
        if len(files) != 1:
            word = "valid" if split == "val" else split
            raise DataError(
                f"folder {str(path)!r} must hold one file with {word!r} in its name, "
                f"it holds {len(files)}"
            )
        texts[split] = read_text(files[0])
    return texts


def cut(text: str, path: Path) -> dict[str, str]:
    """90 : 5 : 5 of `text`, cut at the ends of lines if there are any nearby."""
    ends = [text.find("\n", int(share * len(text))) + 1 for share in (0.9, 0.95)]
    if not 0 < ends[0] < ends[1] < len(text):
        ends = [int(share * len(text)) for share in (0.9, 0.95)]
    parts = text[: ends[0]], text[ends[0] : ends[1]], text[ends[1] :]
    if not all(part and not part.isspace() for part in parts):
        raise DataError(f"text {str(path)!r} has {len(text)} characters: too short to be split")
    return dict(zip(SPLITS, parts, strict=True))


def read_text(path: Path) -> str:
    """The text of a UTF-8 file without its byte order mark, every line ended by a line feed.

    Raises DataError for another encoding, which is named if it can be recognized.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read text {str(path)!r}: {error.strerror}") from None
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), "")
    if not encoding and b"\0" in content:
        encoding = guess_wide(content)
        if not encoding:
            raise DataError(
                f"text {str(path)!r} holds a NUL at byte {content.index(0):,}: this is not a text"
            )
    if encoding:
        raise DataError(
            f"text {str(path)!r} is {encoding}, not UTF-8; save it as UTF-8, for example with "
            f"iconv -f {encoding} -t UTF-8"
        )
    try:
        text = with_newlines(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"text {str(path)!r} is not UTF-8 (byte {error.start:,}, line {line:,}, is "
            f"0x{content[error.start]:02X}); convert it first, for example with "
            "iconv -f latin1 -t UTF-8"
        ) from None
    if not text or text.isspace():
        raise DataError(f"text {str(path)!r} is empty")
    return text


def guess_wide(content: bytes) -> str:
    """The encoding of a text without a mark, from which bytes of most characters are 0, or ""."""
    for encoding, width, zeros in (
        ("UTF-32LE", 4, (2, 3)),
        ("UTF-32BE", 4, (0, 1)),
        ("UTF-16LE", 2, (1,)),
        ("UTF-16BE", 2, (0,)),
    ):
        share = 0.7 * (len(content) // width)
        if all(content[place::width].count(0) > share for place in zeros):
            return encoding
    return ""


@functools.lru_cache(maxsize=1)
def stand_in() -> dict[str, str]:
    grammar = build_grammar()
    return {split: grammar.text(n, seed) for seed, (split, n) in enumerate(STAND_IN_WORDS.items())}
