"""What every lab script shares: its flags, its output folder, its way out."""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from dlcourse import runtime
from dlcourse.errors import DlcourseError, UsageError

__all__ = ["parse_flags", "script"]

TINY_LIMIT = 2000


def parse_flags(
    name: str,
    doc: str,
    argv: Sequence[str] | None,
    *,
    epochs: int,
    full_epochs: int,
    long: bool = False,
) -> argparse.Namespace:
    """Parse the flags common to all labs, seed everything, make the output folder.

    Returns a namespace with `data_dir`, `device` (torch.device), `seed`, `threads`, `epochs` (from
    --epochs, else 1 with --tiny, `full_epochs` with --full, `epochs`), `tiny`, `full`, `limit`
    (training images to use: 2000 with --tiny, else None), `out` (Path) and `plot`; of a `long` run
    also `resume` and `deterministic`. Of several processes that torchrun started, only the first
    prints, and the others' `out` is a folder that goes when they end.
    Raises UsageError for a value that cannot be, SystemExit for --help.
    """
    parser = Parser(
        prog=name, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data-dir", metavar="DIR", help="data folder (default: $DLCOURSE_DATA, else datasets)")
    add("--offline", action="store_true", help="never touch the network")
    add("--device", help="cuda, mps or cpu (default: the first of these that is here)")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--threads", type=int, metavar="N", help="threads to compute with (default: torch's)")
    add("--epochs", type=int, metavar="N", help=f"default: {epochs}")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--tiny", action="store_true", help=f"{TINY_LIMIT} images, 1 epoch: a try")
    size.add_argument("--full", action="store_true", help=f"the long run: {full_epochs} epochs")
    add("--out", type=Path, default=Path("results") / name, metavar="DIR", help="%(default)s")
    add("--no-plot", dest="plot", action="store_false", help="write no figures")
    if long:
        add("--resume", action="store_true", help="go on from the checkpoint in --out")
        add("--deterministic", action="store_true", help="the same numbers to the bit, slower")
    args = parser.parse_args(argv)
    if int(os.environ.get("RANK", "0")) > 0:
        hush(args)
    if args.epochs is None:
        args.epochs = 1 if args.tiny else full_epochs if args.full else epochs
    if args.epochs < 1:
        raise UsageError(f"--epochs must be at least 1, got {args.epochs}")
    args.limit = TINY_LIMIT if args.tiny else None
    args.device = runtime.pick_device(args.device)
    runtime.set_threads(args.threads)
    runtime.seed_everything(args.seed)
    make_writable(args.out)
    return args


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that complains with a UsageError."""

    def error(self, message: str) -> None:
        raise UsageError(f"{message} (see --help)")


def hush(args: argparse.Namespace) -> None:
    """Of the processes that torchrun started, only the first prints results and leaves files."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (open until the process ends)
    args.out = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, args.out, ignore_errors=True)


def make_writable(folder: Path) -> None:
    """Make `folder` where it is missing. Raises UsageError now, not after an hour of training."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write into --out {str(folder)!r}: {error.strerror}; name another folder"
        ) from None


def script(main: Callable[[], int | None]) -> None:
    """Run `main` as a script: a user's error is one line on stderr and exit status 2."""
    try:
        sys.exit(main())
    except DlcourseError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
