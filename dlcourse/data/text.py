"""Text data sets: read, split, numbered, and cut into batches for truncated backpropagation."""

from __future__ import annotations

import codecs
import functools
import itertools
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dlcourse.data import catalog, token_cache
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
PIECE = 2**17  # bytes, and the rest of the line


class TextBatches:
    """An iterable of (inputs int64 (B, T), targets int64 (B, T)); targets are one token ahead.

    The tokens are laid out in `batch_size` contiguous rows, which are read `bptt` tokens at a time:
    row b of each batch continues row b of the batch before, so a hidden state can be carried over.
    The last batch may be shorter. Up to `batch_size` tokens at the very end do not fill the rows
    and are left out; a line on stderr says so if they are more than 1 % of all.

    tokens: whole numbers (N,) of any type. split: how messages call them.
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
        for inputs, targets in zip(
            self.inputs.split(self.bptt, 1), self.targets.split(self.bptt, 1), strict=True
        ):
            yield inputs.long(), targets.long()


class TextData:
    """A text as numbers. train, val, test: int64 (N,). level: "word" or "char".

    tokens: the numbers by split in the narrowest type that holds them; the attributes train, val
    and test are made of these each time, and `batches` widens one batch at a time.
    entropy_rate: nats per token if it is known exactly (for the stand-in), otherwise None.
    """

    def __init__(
        self,
        name: str,
        source: str,
        synthetic: bool,
        level: str,
        vocabulary: Vocabulary,
        train: Tensor,
        val: Tensor,
        test: Tensor,
        entropy_rate: float | None = None,
    ) -> None:
        self.name, self.source, self.synthetic, self.level = name, source, synthetic, level
        self.vocabulary, self.entropy_rate = vocabulary, entropy_rate
        self.tokens = {"train": train, "val": val, "test": test}

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(part)} {split}" for split, part in self.tokens.items())
        return f"TextData(name={self.name!r}, source={self.source!r}, {self.level}s: {sizes})"

    @property
    def train(self) -> Tensor:
        return self.tokens["train"].long()

    @property
    def val(self) -> Tensor:
        return self.tokens["val"].long()

    @property
    def test(self) -> Tensor:
        return self.tokens["test"].long()

    @property
    def best_perplexity(self) -> float | None:
        """The best perplexity that any model can reach on unseen text, if it is known."""
        return None if self.entropy_rate is None else math.exp(self.entropy_rate)

    def batches(
        self,
        batch_size: int = 20,
        bptt: int = 35,
        *,
        limit: int | None = None,
        device: str | torch.device = "cpu",
    ) -> tuple[TextBatches, TextBatches, TextBatches]:
        """Batches of train, val and test, on `device`. limit: at most this many tokens of each.

        Raises UsageError; see TextBatches.
        """
        if limit is not None:
            check_whole(limit=limit)
        train, val, test = (
            TextBatches(
                tokens[:limit].to(device), batch_size, bptt, self.source, self.synthetic, split
            )
            for split, tokens in self.tokens.items()
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
    if level not in (None, *LEVELS):
        raise UnknownNameError("level", str(level), LEVELS)
    if max_size is not None:
        check_whole(max_size=max_size)
    if name in catalog.REGISTERED:
        made = catalog.REGISTERED[name].make()
        if not isinstance(made, TextData):
            raise UsageError(f"data set {name!r} is not a TextData, got {type(made).__name__}")
        size = len(made.vocabulary)
        if level not in (None, made.level) or (max_size or size) < size:
            raise UsageError(
                f"text {name!r} is registered as {made.level}s with a vocabulary of {size}; leave "
                "out level and max_size"
            )
        return made
    level = level or ("char" if name == "tinyshakespeare" else "word")
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
        source = f"synthetic text from a grammar (stand-in for {entry.title})"
        vocabulary, numbers = numbered(stand_in(), level, max_size)
        entropy_rate = build_grammar().entropy_rate(level) if max_size is None else None
    else:
        source = f"{name} from {path}"
        vocabulary, numbers = read_numbers(path, folder, level, max_size)
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


def read_numbers(
    path: Path, folder: Path, level: str, max_size: int | None
) -> tuple[Vocabulary, dict[str, Tensor]]:
    """`numbered` of the text at `path`; that of a large one is kept, see `token_cache`."""
    files = files_of(path)
    if sum(file.stat().st_size for file in files) < token_cache.LEAST:
        return numbered(read_splits(path), level, max_size)
    key = token_cache.key_of(files, level, max_size)
    found = token_cache.load(folder, key)
    if found is None:
        found = numbered(read_splits(path), level, max_size)
        token_cache.save(folder, key, *found)
    return found


def numbered(
    texts: dict[str, bytes], level: str, max_size: int | None
) -> tuple[Vocabulary, dict[str, Tensor]]:
    """The vocabulary of train, and the numbers of all tokens of each split, (N,), as narrow as can
    be: uint8, int16 or int32.

    Empties `texts`, and reads each of them once, in pieces: its tokens as a list would take ten
    times as much memory as the text. A token is numbered at first in the order of appearance.
    """
    seen: defaultdict[str, int] = defaultdict(itertools.count().__next__)
    found: dict[str, list[np.ndarray]] = {}
    for split in SPLITS:
        found[split] = []
        for piece in tokens_in(texts.pop(split), level):
            part = np.fromiter(map(seen.__getitem__, piece), np.int32, len(piece))
            found[split].append(part.astype(np.min_scalar_type(len(seen))))
        if split == "train":
            counts = np.zeros(len(seen), np.int64)
            for part in found[split]:
                counts += np.bincount(part, minlength=len(seen))
            vocabulary = Vocabulary.build(dict(zip(seen, counts.tolist(), strict=True)), max_size)
    # PyTorch has no whole 16 and 32 bits without a sign.
    kind = next(kind for kind in (np.uint8, np.int16, np.int32)
                if len(vocabulary) - 1 <= np.iinfo(kind).max)  # fmt: skip
    final = np.array([vocabulary[token] for token in seen], kind)
    numbers = {}
    for split, parts in found.items():
        whole = np.empty(sum(map(len, parts)), kind)
        places = np.split(whole, np.cumsum([len(part) for part in parts])[:-1])
        for place, part in zip(places, parts, strict=True):
            place[:] = final[part]
        numbers[split] = torch.from_numpy(whole)
    return vocabulary, numbers


def tokens_in(text: bytes, level: str) -> Iterator[list[str]]:
    """`tokenize` of a text whose lines end with line feeds, piece by piece."""
    for piece in in_pieces(text):
        yield list(piece) if level == "char" else piece.replace("\n", f" {EOS} ").split()
    if level == "word" and not text.endswith(b"\n"):
        yield [EOS]


def in_pieces(text: bytes) -> Iterator[str]:
    """UTF-8, cut every PIECE bytes after the end of a line, or a space if the lines are long."""
    start = 0
    while start < len(text):
        at = start + PIECE
        end = text.find(b"\n", at, at + PIECE) + 1 or text.find(b" ", at) + 1 or len(text)
        yield text[start:end].decode()
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


def files_of(path: Path) -> list[Path]:
    """The file of a text, or those of its splits. Raises DataError."""
    if not path.is_dir():
        return [path]
    found = split_files(path)
    for split, files in found.items():
        if len(files) != 1:
            word = "valid" if split == "val" else split
            raise DataError(
                f"folder {str(path)!r} must hold one file with {word!r} in its name, "
                f"it holds {len(files)}"
            )
    return [found[split][0] for split in SPLITS]


def read_splits(path: Path) -> dict[str, bytes]:
    """The text of train, val and test. Raises DataError."""
    files = files_of(path)
    if len(files) == 1:
        return cut(read_text(path), path)
    return {split: read_text(file) for split, file in zip(SPLITS, files, strict=True)}


def cut(text: bytes, path: Path) -> dict[str, bytes]:
    """90 : 5 : 5 of `text`, cut at the ends of lines if there are any nearby."""
    ends = [text.find(b"\n", int(share * len(text))) + 1 for share in (0.9, 0.95)]
    if not 0 < ends[0] < ends[1] < len(text):
        ends = [start_of_character(text, int(share * len(text))) for share in (0.9, 0.95)]
    parts = text[: ends[0]], text[ends[0] : ends[1]], text[ends[1] :]
    if any(map(is_blank, parts)):
        count = len(text.decode())
        raise DataError(f"text {str(path)!r} has {count} characters: too short to be split")
    return dict(zip(SPLITS, parts, strict=True))


def start_of_character(text: bytes, at: int) -> int:
    """`at`, or the next place that is not inside a character of UTF-8."""
    while text[at : at + 1] and text[at] & 0xC0 == 0x80:
        at += 1
    return at


def is_blank(text: bytes) -> bool:
    return all(piece.isspace() for piece in in_pieces(text))


def read_text(path: Path) -> bytes:
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
    read = 0
    try:
        for piece in in_pieces(content):
            read += len(piece.encode())
    except UnicodeDecodeError as error:
        at = read + error.start
        line = content.count(b"\n", 0, at) + 1
        raise DataError(
            f"text {str(path)!r} is not UTF-8 (byte {at:,}, line {line:,}, is "
            f"0x{content[at]:02X}); convert it first, for example with "
            "iconv -f latin1 -t UTF-8"
        ) from None
    content = content.removeprefix(codecs.BOM_UTF8)
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if is_blank(content):
        raise DataError(f"text {str(path)!r} is empty")
    return content


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


def stand_in() -> dict[str, bytes]:
    return dict(made_up())


@functools.cache
def made_up() -> dict[str, bytes]:
    grammar = build_grammar()
    return {
        split: grammar.text(n, seed).encode()
        for seed, (split, n) in enumerate(STAND_IN_WORDS.items())
    }
