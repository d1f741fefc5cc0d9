"""Measure how the time and the memory of `load_text` grow with the size of a text.

    DLCOURSE_DATA=DIR python benchmarks/data_text.py                  (10 to 500 MB; some minutes)
    DLCOURSE_DATA=DIR python benchmarks/data_text.py --megabytes 10 100 1000 2000

The texts are Penn Treebank's training text, repeated and cut to each size, read word by word,
character by character, and once more from the numbers that the first time kept. Memory is the
growth of the process's peak, divided by the size of the file.
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import common
import torch

from dlcourse import data
from dlcourse.data.folder import data_folder
from dlcourse.data.text import load_text

MEGABYTES = (10, 50, 130, 500)


def make(place: str, level: str, megabytes: int) -> Callable[[], dict]:
    path = Path(place) / f"text{megabytes}.txt"
    if not path.exists():
        folder = data_folder() / "ptb"
        text = next(one for one in folder.iterdir() if "train" in one.name).read_bytes()
        size = round(megabytes * 1e6)
        with path.open("wb") as file:
            for _ in range(size // len(text)):
                file.write(text)
            file.write(text[: size % len(text)])
    size = path.stat().st_size
    torch.zeros(2).count_nonzero()  # the first call of torch takes memory of its own

    def work() -> dict:
        start = os.times()
        loaded = load_text(path.stem, place, level=level)
        tokens = sum(map(len, loaded.tokens.values()))
        seconds = sum(os.times()[:2]) - sum(start[:2])
        grown = common.memory_kb("VmHWM") - before
        return {
            "million_tokens": round(tokens / 1e6, 2),
            "million_tokens_per_s": round(tokens / 1e6 / max(seconds, 0.01), 2),
            "memory_over_file": round(1024 * grown / size, 2),
        }

    before = common.memory_kb("VmRSS")
    return work


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--megabytes", type=int, nargs="+", default=MEGABYTES)
    args = parser.parse_args()
    if data.load_text("ptb", offline=True).synthetic:
        raise SystemExit("needs real data: set DLCOURSE_DATA")
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for name, level in (
            ("words", "word"), ("characters", "char"), ("words, kept", "word")
        ):  # fmt: skip
            prepare = functools.partial(make, place, level)
            found[name] = common.cost_curve(prepare, args.megabytes, "megabytes")
    common.record("data_text_size", found, args.out)


if __name__ == "__main__":
    main()
