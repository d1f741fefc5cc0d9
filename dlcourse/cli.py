"""The command `dlcourse`: one block for each command, its flags first, then its call.

A block only parses, calls and prints. It imports what it needs when it runs, so that
`dlcourse --help` never imports torch. Results go to stdout, progress and errors to stderr.
Exit status: 0 good, 1 a check failed, 2 misuse, 3 could not be graded.
"""

from __future__ import annotations

import argparse
import errno
import importlib.util
import io
import json
import os
import re
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from dlcourse import __version__
from dlcourse.errors import DlcourseError, UnknownNameError, UsageError
from dlcourse.startup import end_process, lasting_imports

if TYPE_CHECKING:
    from dlcourse.check.record import Record
    from dlcourse.data.store import Status

__all__ = ["build_parser", "entry_point", "main"]

EPILOG = (
    "LAB is lab05, 5 or lab05_convnets. "
    "Exit status: 0 good, 1 a check failed, 2 misuse, 3 could not be graded."
)
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows has no EDQUOT
LAB_HELP = "lab05, 5 or lab05_convnets"
# Words that are values although they begin like flags: -1, -1e-3, -1,0.1, -inf. Before Python 3.14
# argparse knows only -1 and -0.1, and asks for the argument that it was given.
NEGATIVE = re.compile(r"-(\.?\d|inf|nan)", re.IGNORECASE)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that reports an error in one line and offers the nearest name."""

    def __init__(self, **settings: Any) -> None:
        # No abbreviations: `run LAB --s` is a flag of the lab, not of `run`.
        super().__init__(allow_abbrev=False, **settings)
        self._negative_number_matcher = NEGATIVE

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is None or value in action.choices:
            return
        if value in INSTRUCTOR:
            raise UsageError(
                f"{value!r} is a command for instructors; the student bundle does not contain it"
            )
        raise UnknownNameError(str(action.metavar or action.dest), str(value), action.choices)


Call = Callable[[argparse.Namespace], int]


def labs(parser: Parser) -> Call:
    """the course at a glance: labs, tasks, points"""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--write",
        action="store_true",
        help="generate labs/ from solutions/ and print the files that changed",
    )

    def call(args: argparse.Namespace) -> int:
        from dlcourse import course

        found = course.labs()
        if args.write:
            from dlcourse.grade import student_version

            for path in student_version.write(found):
                print(path)
            return 0
        print(course.as_json(found) if args.json else course.as_text(found))
        return 0

    return call


def run(parser: Parser) -> Call:
    """run a lab script; the flags after LAB go to the lab"""
    parser.add_argument("lab", metavar="LAB", nargs="?", help=LAB_HELP)
    parser.add_argument(
        "--solution", action="store_true", help="run the complete script, not the student's"
    )

    def call(args: argparse.Namespace) -> int:
        from dlcourse import course

        if args.lab is None:
            return show_help(parser, "LAB", args.rest)
        lab = course.find_lab(args.lab)
        with lasting_imports():
            import torch  # noqa: F401 (the lab script imports it next)
        if args.solution:
            return course.load_script(lab.solution).main(args.rest) or 0
        with course.running(lab):
            return course.load_script(lab.student).main(args.rest) or 0

    return call


def train(parser: Parser) -> Call:
    """train a recipe, or list the recipes; the flags after RECIPE go to the recipe"""
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", help="mnist-fast, lenet5, ...")

    def call(args: argparse.Namespace) -> int:
        if args.recipe is None and args.rest:
            return show_help(parser, "RECIPE", args.rest)
        with lasting_imports():
            from dlcourse import recipes

        if args.recipe is None:
            print(recipes.as_text())
        else:
            recipes.run(args.recipe, args.rest)
        return 0

    return call


def check(parser: Parser) -> Call:
    """see what is right so far, in seconds, on this machine"""
    parser.epilog = (
        "For your own code only: it runs here without protection and could print any verdict. "
        "Never check other people's code with it; dlcourse grade does that."
    )
    parser.add_argument("lab", metavar="LAB", help=LAB_HELP)
    parser.add_argument("--task", metavar="ID", help="check one task only, such as 5.2")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--file", type=Path, metavar="F", help="a file other than labs/LAB.py")
    which.add_argument("--solution", action="store_true", help="check the complete script")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print the whole record as JSON")
    how.add_argument(
        "--watch", action="store_true", help="check again whenever the file is saved, until Ctrl-C"
    )

    def call(args: argparse.Namespace) -> int:
        from dlcourse import course

        lab = course.find_lab(args.lab)
        with lasting_imports():
            from dlcourse.check import hints, table
            from dlcourse.check.run import check

        if args.watch:
            from dlcourse.check.watch import watch

            def show(record: Record, is_second: bool) -> None:
                if not is_second:
                    hints.unfold(record, lab)
                text = table.as_line(record) if is_second else table.as_text(record, lab)
                print(f"{text}\n", flush=True)

            watch(lab, show, lab.solution if args.solution else args.file, args.task)
        record = check(lab, lab.solution if args.solution else args.file, args.task)
        if not args.solution:
            hints.unfold(record, lab)
        print(json.dumps(record.as_dict(), indent=2) if args.json else table.as_text(record, lab))
        return record.exit_status

    return call


def hint(parser: Parser) -> Call:
    """get the next hint for a task"""
    parser.add_argument("task", metavar="TASK", help="the number of the task, such as 5.2")

    def call(args: argparse.Namespace) -> int:
        from dlcourse import course
        from dlcourse.check import hints

        print(hints.next_hint(course.find_lab(args.task.partition(".")[0]), args.task))
        return 0

    return call


def notebook(parser: Parser) -> Call:
    """write a lab as a Jupyter notebook"""
    parser.add_argument("lab", metavar="LAB", help=LAB_HELP)
    parser.add_argument(
        "--out", type=Path, metavar="F", help="path of the notebook (default: LAB.ipynb here)"
    )
    parser.add_argument(
        "--solution", action="store_true", help="write the complete script, not the student's"
    )

    def call(args: argparse.Namespace) -> int:
        from dlcourse import course, notebook

        print(notebook.write(course.find_lab(args.lab), args.out, solution=args.solution))
        return 0

    return call


def quiz(parser: Parser) -> Call:
    """answer a lab's questions, or make an exam of them"""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("lab", metavar="LAB", nargs="?", help=LAB_HELP)
    what.add_argument(
        "--exam", metavar="LABS", help="for instructors: write an exam; lab01-lab06 or 1,3,5"
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="shuffle in the same way each time (default: anew)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the exam")
    parser.add_argument("--questions", type=int, metavar="N", help="of the exam (default: all)")
    parser.add_argument("--sheets", type=int, metavar="N", help="versions of the exam (default: 2)")

    def call(args: argparse.Namespace) -> int:
        from dlcourse import course, quiz

        if args.lab is not None:
            for flag in ("out", "questions", "sheets"):
                if getattr(args, flag) is not None:
                    raise UsageError(f"--{flag} belongs to --exam; leave it out")
            quiz.ask(course.find_lab(args.lab), seed=args.seed)
            return 0
        from dlcourse.grade import exam

        if args.out is None:
            raise UsageError("--exam needs --out DIR")
        # Students have the questions and this program: a seed that they know would tell the order.
        seed = secrets.randbelow(2**31) if args.seed is None else args.seed
        labs, sheets = exam.labs_named(args.exam), 2 if args.sheets is None else args.sheets
        for path in exam.write(labs, args.out, seed=seed, questions=args.questions, sheets=sheets):
            print(path)
        print(f"the same exam again: --seed {seed}")
        return 0

    return call


def data(parser: Parser) -> Call:
    """list, get, verify and import data sets"""
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    shared = Parser(add_help=False)
    add_data_dir(shared)
    add_extension(shared)

    def add_action(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, parents=[shared], help=text)

    listing = add_action("list", "what is here, its size and license")
    listing.add_argument("--json", action="store_true", help="print JSON")
    fetching = add_action("get", "fetch data sets and check their hashes")
    fetching.add_argument("names", nargs="+", metavar="NAME", help="mnist, cifar10, ...")
    checking = add_action("verify", "check again what is here")
    checking.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")
    checking.add_argument("--json", action="store_true", help="print JSON")
    importing = add_action("import", "turn a folder, zip or tar of class/name.png into NAME.npz")
    importing.add_argument("name", metavar="NAME", help="the name for dlcourse.data.load")
    importing.add_argument("path", type=Path, metavar="PATH", help="the folder or archive")
    importing.add_argument(
        "--size", type=int, default=32, help="height and width in pixels (default: 32)"
    )
    importing.add_argument(
        "--captions", type=Path, metavar="FILE",
        help="a CSV or .tsv file with the columns image and caption, in place of classes",
    )  # fmt: skip
    importing.add_argument("--gray", action="store_true", help="one channel instead of three")
    importing.add_argument(
        "--seed", type=int, default=0, help="seed that draws the test split (default: 0)"
    )
    importing.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave out images that cannot be decoded or, with --captions, have no caption",
    )
    importing.add_argument("--force", action="store_true", help="replace an earlier NAME.npz")

    def call(args: argparse.Namespace) -> int:
        from dlcourse.data import store

        if args.action == "list":
            print(shown_data(store.statuses(args.data_dir), args.json))
        elif args.action == "get":
            for name in args.names:
                print(store.get(name, args.data_dir))
        elif args.action == "verify":
            statuses = store.verify(args.data_dir, args.names)
            print(shown_data(statuses, args.json))
            everything = store.statuses(args.data_dir)
            gone = [one.name for one in everything if one.name in args.names and not one.path]
            for name in gone:
                print(f"dlcourse: {name} is not here: dlcourse data get {name}", file=sys.stderr)
            return 0 if not gone and all(status.ok for status in statuses) else 1
        elif args.captions is not None:
            from dlcourse.data.caption_importer import import_captioned

            if args.gray:
                raise UsageError("--gray does not work with --captions; leave out one of the two")
            path, counts = import_captioned(
                args.name, args.path, args.captions, args.data_dir, size=args.size,
                skip_bad=args.skip_bad, force=args.force, seed=args.seed,
            )  # fmt: skip
            print(
                f"{path}: {counts['captions']} captions of {counts['train']} images to train on, "
                f"{counts['val']} to validate and {counts['test']} to test on"
            )
        else:
            from dlcourse.data import importer

            path, counts = importer.import_images(
                args.name, args.path, args.data_dir, size=args.size, gray=args.gray,
                skip_bad=args.skip_bad, force=args.force, seed=args.seed,
            )  # fmt: skip
            print(importer.as_text(path, counts))
        return 0

    return call


def models(parser: Parser) -> Call:
    """list the reference models, or show the layers of one"""
    parser.add_argument("name", nargs="?", metavar="NAME", help="lenet5, resnet20, ...")
    add_extension(parser)
    parser.add_argument("--draw", type=Path, metavar="F", help="write a drawing of NAME (PNG)")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")

    def call(args: argparse.Namespace) -> int:
        with lasting_imports():
            from dlcourse import models
            from dlcourse.models import registry

        if args.name is None:
            if args.draw:
                raise UsageError("--draw needs the NAME of a model")
            rows = registry.as_dicts(models.MODELS) if args.json else None
            print(json.dumps(rows, indent=2) if args.json else registry.as_text(models.MODELS))
            return 0
        model = models.build(args.name)
        from dlcourse.models.summary import stages, summary

        inputs = models.MODELS[args.name].example_inputs()
        print(summary(model, *inputs))
        if args.draw:
            from dlcourse import plots

            plots.architecture(stages(model, *inputs), args.draw, args.name)
            print(args.draw)
        return 0

    return call


def doctor(parser: Parser) -> Call:
    """see what this machine can do, and how to fix what is wrong"""
    parser.add_argument("--data-dir", metavar="DIR", help="the data folder to look into")
    parser.add_argument("--json", action="store_true", help="print JSON")

    def call(args: argparse.Namespace) -> int:
        from dlcourse import doctor

        report = doctor.examine(args.data_dir)
        print(doctor.as_json(report) if args.json else doctor.as_text(report))
        return 0 if report.healthy else 1

    return call


def add_extension(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--extension", action="append", default=[], metavar="FILE",
        help="your Python file that registers models, data sets, optimizers or schedules",
    )  # fmt: skip


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir", metavar="DIR", help="data folder (default: $DLCOURSE_DATA, else datasets)"
    )


def shown_data(statuses: list[Status], as_json: bool) -> str:
    from dlcourse.data import store

    return json.dumps(store.as_dicts(statuses), indent=2) if as_json else store.as_text(statuses)


def show_help(parser: Parser, missing: str, rest: Sequence[str]) -> int:
    """Print the help that `run --help` and `train --help` ask for: `rest` holds their flags."""
    if set(rest) & {"-h", "--help"}:
        parser.print_help()
        return 0
    parser.error(f"the following arguments are required: {missing}")


COMMANDS = (labs, run, train, check, hint, notebook, quiz, data, models, doctor)
# The commands that a student bundle lacks, and the module without which it does.
INSTRUCTOR = dict.fromkeys(("compare", "new", "grade", "release", "similar"), "instructor")
INSTRUCTOR["train"] = "recipes"
# Their flags after the name are parsed by the lab or the recipe, --help too.
PASSES_ON = ("run", "train")


def is_here(command: str) -> bool:
    return importlib.util.find_spec(f"dlcourse.{INSTRUCTOR[command]}") is not None


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; in a student bundle without instructors' commands."""
    parser = Parser(
        prog="dlcourse", description="The deep-learning course that people can run.", epilog=EPILOG
    )
    parser.add_argument("--version", action="version", version=f"dlcourse {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    found: list[Callable[[Any], Call]] = [
        one for one in COMMANDS if one.__name__ not in INSTRUCTOR or is_here(one.__name__)
    ]
    if is_here("grade"):
        from dlcourse import instructor

        found += instructor.COMMANDS
    for command in found:
        name = command.__name__
        one = commands.add_parser(name, help=command.__doc__, add_help=name not in PASSES_ON)
        one.set_defaults(call=command(one))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's) and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A console that lacks a character (cp1252 has no check mark) shows its escape instead.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        parser = build_parser()
        args, rest = parser.parse_known_args(argv)
        if args.command in PASSES_ON:
            args.rest = rest
        elif rest:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        if getattr(args, "extension", None):
            from dlcourse.extensions import load

            load(args.extension)
        return args.call(args)
    except DlcourseError as error:
        print(f"dlcourse: {error}", file=sys.stderr)
        return error.exit_status
    except ModuleNotFoundError as error:
        # A part of a command, such as `labs --write`, that only the whole course has.
        if not (error.name or "").startswith("dlcourse.") or is_here("grade"):
            raise
        print(
            f"dlcourse: this is for instructors; the student bundle does not contain {error.name}",
            file=sys.stderr,
        )
        return UsageError.exit_status
    except KeyboardInterrupt:
        print("dlcourse: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`dlcourse ... | head`) has gone; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in FULL:
            raise
        print(f"dlcourse: {error}; free some space, then repeat the command", file=sys.stderr)
        return UsageError.exit_status


def entry_point() -> NoReturn:
    """The command `dlcourse`: run the command line of this process, and end it."""
    end_process(main())
