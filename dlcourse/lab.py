"""What all lab scripts share: their flags, their output folder, and how they end."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from dlcourse import course, runtime
from dlcourse.errors import DlcourseError, UsageError
from dlcourse.findings import Findings

__all__ = ["check", "parse_flags", "quiz", "script"]

TINY_LIMIT = 2000


def parse_flags(
    name: str,
    doc: str,
    argv: Sequence[str] | None,
    *,
    epochs: int,
    full_epochs: int,
    tiny_epochs: int = 2,
    long: bool = False,
    backbones: Sequence[str] = (),
    captions: bool = False,
) -> argparse.Namespace:
    """Parse the flags common to all labs, seed everything, and make the output folder.

    name, doc: of the lab, for --help. epochs, full_epochs, tiny_epochs: the default, and those of
        --full and --tiny.
    long: whether the run also takes --resume and --deterministic.
    backbones: the choices of --backbone, its default first; the namespace has `backbone` then.
    captions: whether the run also takes --captions; the namespace has `captions` then.

    Returns a namespace with `data_dir`, `offline`, `device` (torch.device), `seed`, `threads`,
    `epochs`, `tiny`, `full`, `limit` (the number of training images: 2000 with --tiny, else
    None), `out` (Path), `plot` and `findings` (Findings); a long run also has `resume` and
    `deterministic`. If torchrun started several processes, only the first one prints, and the
    others get a temporary `out`.

    Raises UsageError for an invalid value, and SystemExit after --help.
    """
    parser = Parser(
        prog=name, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data-dir", metavar="DIR", help="data folder (default: $DLCOURSE_DATA, else datasets)")
    add("--offline", action="store_true", help="never touch the network")
    add("--device", help="cuda, mps or cpu (default: the first one that this machine has)")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--threads", type=int, metavar="N", help="threads to compute with (default: torch's)")
    add("--epochs", type=int, metavar="N", help=f"default: {epochs}")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--tiny", action="store_true", help=f"{TINY_LIMIT} images: only a test")
    size.add_argument("--full", action="store_true", help=f"a long run: {full_epochs} epochs")
    folder = Path("results") / name
    add("--out", type=Path, metavar="DIR", help=f"{folder}, with --tiny {folder / 'tiny'}")
    add("--no-plot", dest="plot", action="store_false", help="write no figures")
    if long:
        add("--resume", action="store_true", help="continue from the checkpoint in --out")
        add("--deterministic", action="store_true", help="bitwise the same numbers, slower")
    if backbones:
        add("--backbone", choices=backbones, default=backbones[0], help="default: %(default)s")
    if captions:
        add("--captions", metavar="NAME", help="only caption your own images, imported as NAME")
    args = parser.parse_args(argv)
    args.out = args.out or (folder / "tiny" if args.tiny else folder)
    if int(os.environ.get("RANK", "0")) > 0:
        silence(args)
    if args.epochs is None:
        args.epochs = tiny_epochs if args.tiny else full_epochs if args.full else epochs
    if args.epochs < 1:
        raise UsageError(f"--epochs must be at least 1, got {args.epochs}")
    args.limit = TINY_LIMIT if args.tiny else None
    args.device = runtime.pick_device(args.device)
    runtime.set_threads(args.threads)
    runtime.seed_everything(args.seed)
    make_writable(args.out)
    doubts = course.DOUBTS.get()
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython():
        from dlcourse.check import cells

        with contextlib.suppress(UsageError):  # a notebook far from its course
            doubts = cells.doubts(course.find_lab(name))
    args.findings = Findings(args.out, args.tiny, doubts)
    return args


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises UsageError."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see --help)")


def silence(args: argparse.Namespace) -> None:
    """Let this process print no results and leave no files; torchrun's first process does."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (open until the process ends)
    args.out = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, args.out, ignore_errors=True)


def make_writable(folder: Path) -> None:
    """Make `folder` if it is missing. Raises UsageError now, not after an hour of training."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write into --out {str(folder)!r}: {error.strerror}; name another folder"
        ) from None


def check(what: str) -> object:
    """In a notebook, check a task ("5.2") or a lab ("lab05"); the result shows as a table.

    What counts is what the cells that were run define. In a script this does nothing but say so.
    """
    from dlcourse.check.cells import check_cells

    return check_cells(what)


def quiz(name: str) -> None:
    """In a notebook, ask the questions of the lab `name`, such as "lab05".

    Raises UsageError for a lab that does not exist or has no quiz.
    """
    from dlcourse import quiz as questions

    questions.ask(course.find_lab(name))


def script(main: Callable[[], int | None]) -> None:
    """Run `main` as a script: a user error is one line on stderr and exit status 2."""
    path = Path(sys.argv[0]).resolve()
    try:
        here = course.Lab(path.stem, path.parent.parent)
        with course.running(here) if path == here.student else contextlib.nullcontext():
            status = main()
        sys.exit(status)
    except DlcourseError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
