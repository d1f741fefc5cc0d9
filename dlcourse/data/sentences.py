"""Sentences with what belongs to each of them: a translation, or a class."""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from random import Random
from typing import TypeVar

from dlcourse.data import catalog, store
from dlcourse.data.folder import data_folder
from dlcourse.data.synthetic.paired_grammar import NUM_CATEGORIES, build_paired_grammar
from dlcourse.data.text import cut, read_text, with_newlines
from dlcourse.data.vocabulary import EOS, Vocabulary
from dlcourse.errors import DataError, UnknownNameError
from dlcourse.values import check_whole

__all__ = [
    "Labeled",
    "LabeledTexts",
    "Pair",
    "SentencePairs",
    "load_labeled",
    "load_pairs",
    "words",
]

Pair = tuple[list[str], list[str]]  # the words of a sentence, and of its translation
Labeled = tuple[list[str], int]  # the words of a text, and its class

T = TypeVar("T")

STAND_IN_SIZES = {"train": 29_000, "val": 1_000, "test": 1_000}  # those of Multi30k
LANGUAGES = ("de", "en")  # of Multi30k, source and target
VAL_SHARE = 20  # one in so many training texts is for validation


@dataclass(frozen=True, eq=False)
class SentencePairs:
    """Sentences and their translations as words.

    The vocabularies hold `<eos>` and the words of the training sentences. best: the exact match and
    the BLEU in percent that a perfect model reaches, if they are known (of the stand-in).
    """

    name: str
    source: str
    synthetic: bool
    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    train: list[Pair] = field(repr=False)
    val: list[Pair] = field(repr=False)
    test: list[Pair] = field(repr=False)
    best: float | None = None


@dataclass(frozen=True, eq=False)
class LabeledTexts:
    """Texts as words, each with its class from 0 on. The vocabulary is that of the training texts.

    best: the accuracy that a perfect model reaches, if it is known (of the stand-in).
    """

    name: str
    source: str
    synthetic: bool
    vocabulary: Vocabulary
    class_names: tuple[str, ...]
    train: list[Labeled] = field(repr=False)
    val: list[Labeled] = field(repr=False)
    test: list[Labeled] = field(repr=False)
    best: float | None = None


def words(text: str) -> list[str]:
    """The words of a text in small letters; each other sign but spaces counts as a word.

    >>> words("It's 3 o'clock, Jane!")
    ['it', "'", 's', '3', 'o', "'", 'clock', ',', 'jane', '!']
    """
    return re.findall(r"\w+|[^\w\s]", text.lower())


def load_pairs(
    name: str = "multi30k",
    data_dir: str | PathLike[str] | None = None,
    *,
    limit: int | None = None,
    max_size: int | None = None,
    offline: bool = False,
) -> SentencePairs:
    """The sentence pairs called `name`: "multi30k" (German to English), or your own.

    Your own pairs are a UTF-8 file `<name>.tsv` in the data folder with a sentence, a tab and its
    translation in each line; what stands after another tab (the license in Tatoeba's files) is
    left out. It is cut 90 : 5 : 5. limit: how many training pairs at most. max_size: of each
    vocabulary. Multi30k is downloaded unless it is there or `offline`; if that fails, two made-up
    languages take its place, with a notice on stderr.

    Raises UnknownNameError, UsageError, and DataError for a file that is damaged.
    """
    check_limits(limit, max_size)
    folder, best = data_folder(data_dir), None
    entry = catalog.CATALOG.get(name)
    if entry is None:
        path = folder / f"{name}.tsv"
        if not path.is_file():
            own = sorted(path.stem for path in folder.glob("*.tsv"))
            raise UnknownNameError("pairs", name, [*catalog.names("pairs"), *own])
        parts = cut(read_text(path), path)
        if not (parts["train"].endswith(b"\n") and parts["val"].endswith(b"\n")):
            raise DataError(f"{str(path)!r} has too few lines to be split into train, val and test")
        splits = {split: read_tsv(text.decode(), path) for split, text in parts.items()}
        source = f"{name} from {path}"
    else:
        catalog.check_kind(entry, "pairs")
        paths, why = store.locate(entry, folder, offline)
        if paths:
            splits = {
                split: read_archive(path, split)
                for split, path in zip(STAND_IN_SIZES, paths, strict=True)
            }
            source = f"{entry.title} from {paths[0].parent}"
        else:
            source, best = announce(entry, folder, why), 100.0
            splits = stand_in(build_paired_grammar().pairs, limit)
    splits["train"] = splits["train"][:limit]
    source_vocabulary, target_vocabulary = (
        Vocabulary.build([*itertools.chain(*side), *[EOS] * len(side)], max_size)
        for side in zip(*splits["train"], strict=True)
    )
    return SentencePairs(
        name, source, best is not None, source_vocabulary, target_vocabulary,
        splits["train"], splits["val"], splits["test"], best,
    )  # fmt: skip


def load_labeled(
    name: str = "agnews",
    data_dir: str | PathLike[str] | None = None,
    *,
    limit: int | None = None,
    max_size: int | None = None,
    offline: bool = False,
) -> LabeledTexts:
    """The texts with classes called `name`: "agnews".

    A twentieth of the training texts is for validation, always the same. limit: how many training
    texts at most. max_size: of the vocabulary. It is downloaded unless it is there or `offline`;
    if that fails, a made-up language takes its place, with a notice on stderr.

    Raises UnknownNameError, UsageError, and DataError for a file that is damaged.
    """
    check_limits(limit, max_size)
    folder, best = data_folder(data_dir), None
    if name not in catalog.CATALOG:
        raise UnknownNameError("labeled texts", name, catalog.names("labeled texts"))
    entry = catalog.CATALOG[name]
    catalog.check_kind(entry, "labeled texts")
    paths, why = store.locate(entry, folder, offline)
    if paths:
        train, test = (read_csv(path, len(entry.classes)) for path in paths)
        Random(0).shuffle(train)
        held_out = -(-len(train) // VAL_SHARE)
        splits = {"train": train[held_out:], "val": train[:held_out], "test": test}
        class_names, source = entry.classes, f"{entry.title} from {paths[0].parent}"
    else:
        source, best = announce(entry, folder, why), 1.0
        splits = stand_in(build_paired_grammar().texts, limit)
        class_names = tuple(f"category {number}" for number in range(NUM_CATEGORIES))
    splits["train"] = splits["train"][:limit]
    vocabulary = Vocabulary.build(
        itertools.chain.from_iterable(text for text, _ in splits["train"]), max_size
    )
    return LabeledTexts(
        name, source, best is not None, vocabulary, class_names,
        splits["train"], splits["val"], splits["test"], best,
    )  # fmt: skip


def check_limits(limit: int | None, max_size: int | None) -> None:
    given = {"limit": limit, "max_size": max_size}
    check_whole(**{name: value for name, value in given.items() if value is not None})


def announce(entry: catalog.DataSet, folder: Path, why: str) -> str:
    """Say on stderr that the stand-in is used, and why; return what to call it."""
    print(
        f"dlcourse: {entry.title} IS NOT HERE: A MADE-UP LANGUAGE TAKES ITS PLACE.\n"
        f"  Looked in {str(folder)!r} for {', '.join(file.path for file in entry.files)}; {why}\n"
        f"  For the real data: `dlcourse data get {entry.name}`",
        file=sys.stderr,
    )
    return f"sentences of a paired grammar (stand-in for {entry.title})"


def stand_in(draw: Callable[[int], Iterator[T]], limit: int | None) -> dict[str, list[T]]:
    """The sentences of each split, drawn with a seed of its own; at most `limit` to train with."""
    sizes = STAND_IN_SIZES | (
        {} if limit is None else {"train": min(limit, STAND_IN_SIZES["train"])}
    )
    return {
        split: list(itertools.islice(draw(seed), size))
        for seed, (split, size) in enumerate(sizes.items())
    }


def read_tsv(text: str, path: Path) -> list[Pair]:
    pairs = []
    for line in lines_of(text):
        columns = [words(column) for column in line.split("\t")]
        if len(columns) < 2 or not columns[0] or not columns[1]:
            raise DataError(
                f"{str(path)!r} must hold a sentence, a tab and its translation in each line; "
                f"this line does not: {line[:40]!r}"
            )
        pairs.append((columns[0], columns[1]))
    return pairs


def lines_of(text: str) -> list[str]:
    """The lines of a text; unlike for str.splitlines, only a line end ends a line."""
    return with_newlines(text).removesuffix("\n").split("\n")


def read_archive(path: Path, split: str) -> list[Pair]:
    """The pairs in the members `<split>.de` and `.en` of a tar.gz, which is never unpacked."""
    sides = []
    try:
        with tarfile.open(path, "r:gz") as archive:
            members = {Path(member.name).name: member for member in archive if member.isfile()}
            for language in LANGUAGES:
                name = next(
                    (n for n in sorted(members) if re.fullmatch(rf"{split}\w*\.{language}", n)), ""
                )
                if not name:
                    raise DataError(f"{str(path)!r} holds no file {split}.{language}")
                content = archive.extractfile(members[name])
                assert content is not None, "a member that is a file"
                sides.append(lines_of(content.read().decode("utf-8")))
    except (tarfile.TarError, EOFError, OSError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(
            f"cannot read {str(path)!r}: {error}; delete it and run `dlcourse data get multi30k`"
        ) from None
    if len(sides[0]) != len(sides[1]):
        raise DataError(
            f"{str(path)!r} holds {len(sides[0])} sentences but {len(sides[1])} translations"
        )
    pairs = [(words(one), words(other)) for one, other in zip(*sides, strict=True)]
    return [pair for pair in pairs if all(pair)]


def read_csv(path: Path, num_classes: int) -> list[Labeled]:
    """The rows (class from 1 on, title, text) of a CSV file without a heading."""
    labels, found = [str(label) for label in range(1, num_classes + 1)], []
    for number, row in enumerate(csv.reader(io.StringIO(read_text(path).decode())), start=1):
        text = words(" ".join(row[1:]))
        if not text or row[0] not in labels:
            raise DataError(
                f"row {number} of {str(path)!r} must be a class from 1 to {num_classes}, a title "
                f"and a text, got {','.join(row)[:40]!r}"
            )
        found.append((text, int(row[0]) - 1))
    return found
