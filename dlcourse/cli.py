"""The command `dlcourse`: parse, call, print. No logic lives here.

Each command imports what it needs when it runs, so that `dlcourse --help` never imports torch.
Results go to stdout, progress and errors to stderr. Exit status: 0 good, 1 a check failed,
2 misuse, 3 could not be graded.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dlcourse import __version__
from dlcourse.errors import DlcourseError, UnknownNameError, UsageError

__all__ = ["main"]

EPILOG = (
    "LAB is lab05, 5 or lab05_convnets. "
    "Exit status: 0 good, 1 a check failed, 2 misuse, 3 could not be graded."
)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are one line, with the nearest name where one is near."""

    def __init__(self, **settings: object) -> None:
        # No abbreviations: `run LAB --s` is a flag of the lab, not of `run`.
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> None:
        raise UsageError(f"{message} (see {self.prog} --help)")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            raise UnknownNameError(action.metavar or action.dest, str(value), action.choices)


def run(args: argparse.Namespace) -> int:
    if args.recipe:
        from dlcourse import recipes

        recipes.run(args.lab, args.lab_flags)
        return 0
    from dlcourse import course

    lab = course.find_lab(args.lab)
    script = course.load_script(lab.solution if args.solution else lab.student)
    return script.main(args.lab_flags) or 0


def labs(args: argparse.Namespace) -> int:
    from dlcourse import course

    there = course.labs()
    if args.write:
        from dlcourse.grade import student_version

        for path in student_version.write(there):
            print(path)
        return 0
    print(course.as_json(there) if args.json else course.as_text(there))
    return 0


def notebook(args: argparse.Namespace) -> int:
    from dlcourse import course, notebook

    print(notebook.write(course.find_lab(args.lab), args.out, solution=args.solution))
    return 0


def check(args: argparse.Namespace) -> int:
    from dlcourse import course

    lab = course.find_lab(args.lab)
    from dlcourse.check import table
    from dlcourse.check.run import check

    record = check(lab, lab.solution if args.solution else args.file, args.task)
    print(json.dumps(record.as_dict(), indent=2) if args.json else table.as_text(record, lab))
    return record.exit_status


def grade(args: argparse.Namespace) -> int:
    from dlcourse import course, executors
    from dlcourse.grade import batch, late

    lab = course.find_lab(args.lab)
    graded = batch.grade_folder(
        args.folder,
        lab,
        args.out,
        args.jobs,
        allow_unsandboxed=args.allow_unsandboxed,
        executor=executors.connect(args.executor) if args.executor else None,
        days_late=late.read_days(args.late) if args.late else None,
        per_day=args.per_day,
    )
    print(batch.as_text(graded, args.out))
    return 3 if any(one.record.exit_status == 3 for one in graded) else 0


def release(args: argparse.Namespace) -> int:
    from dlcourse import course
    from dlcourse.grade.release import release

    for path in release(course.find_course(), args.out):
        print(path)
    return 0


def similar(args: argparse.Namespace) -> int:
    from dlcourse import course
    from dlcourse.grade import similar as likeness
    from dlcourse.grade.submissions import find_submissions

    lab = course.find_lab(args.lab)
    there = find_submissions(args.folder, lab)
    print(likeness.as_text(likeness.similar(there, lab.student.read_bytes(), args.least)))
    return 0


def models(args: argparse.Namespace) -> int:
    from dlcourse import models
    from dlcourse.models import about, summary

    if args.name is None:
        rows = about.as_dicts(models.MODELS) if args.json else None
        print(json.dumps(rows, indent=2) if args.json else about.as_text(models.MODELS))
        return 0
    model, size = models.build(args.name), models.MODELS[args.name].input_size
    print(summary.summary(model, size))
    if args.draw:
        from dlcourse import plots

        plots.architecture(summary.stages(model, size), args.draw, args.name)
        print(args.draw)
    return 0


def compare(args: argparse.Namespace) -> int:
    from dlcourse.compare import command

    print(command.compare(args))
    return 0


def doctor(args: argparse.Namespace) -> int:
    from dlcourse import doctor

    report = doctor.examine(args.data_dir)
    print(doctor.as_json(report) if args.json else doctor.as_text(report))
    return 0 if report.healthy else 1


def data_list(args: argparse.Namespace) -> int:
    from dlcourse.data import library

    statuses = library.library(args.data_dir)
    print_data(library, statuses, args.json)
    return 0


def data_get(args: argparse.Namespace) -> int:
    from dlcourse.data import library

    for name in args.names:
        print(library.get(name, args.data_dir))
    return 0


def data_verify(args: argparse.Namespace) -> int:
    from dlcourse.data import library

    statuses = library.verify(args.data_dir, args.names)
    print_data(library, statuses, args.json)
    return 0 if all(status.ok for status in statuses) else 1


def data_import(args: argparse.Namespace) -> int:
    from dlcourse.data.importer import import_images

    path, counts = import_images(
        args.name,
        args.path,
        args.data_dir,
        size=args.size,
        gray=args.gray,
        skip_bad=args.skip_bad,
        seed=args.seed,
    )
    print(f"{path}: {sum(counts.values())} images in {len(counts)} classes")
    return 0


def print_data(library, statuses: list, as_json: bool) -> None:
    print(
        json.dumps(library.as_dicts(statuses), indent=2) if as_json else library.as_text(statuses)
    )


def add_run(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("run", help="run a lab script; what follows LAB goes to the lab")
    parser.add_argument("lab", metavar="LAB")
    parser.add_argument(
        "--solution", action="store_true", help="the complete script, not the student's"
    )
    parser.add_argument(
        "--recipe", action="store_true", help="LAB is a recipe's name: mnist-fast, lenet5, ..."
    )
    parser.set_defaults(call=run)


def add_labs(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("labs", help="the course at a glance: labs, tasks, points")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument(
        "--write", action="store_true", help="write labs/ anew from solutions/; prints what changed"
    )
    parser.set_defaults(call=labs)


def add_notebook(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("notebook", help="a lab as a Jupyter notebook")
    parser.add_argument("lab", metavar="LAB")
    parser.add_argument(
        "--out", type=Path, metavar="F", help="the notebook's path (default: LAB.ipynb here)"
    )
    parser.add_argument(
        "--solution", action="store_true", help="of the complete script, not the student's"
    )
    parser.set_defaults(call=notebook)


def add_check(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("check", help="what is right so far, in seconds, on this machine")
    parser.add_argument("lab", metavar="LAB")
    parser.add_argument("--task", metavar="ID", help="one task only, such as 5.2")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--file", type=Path, metavar="F", help="a file other than labs/LAB.py")
    which.add_argument("--solution", action="store_true", help="the complete script")
    parser.add_argument("--json", action="store_true", help="for machines: the whole record")
    parser.set_defaults(call=check)


def add_grade(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("grade", help="a folder of submissions, in the sandbox (Linux)")
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder, zip or file a student")
    parser.add_argument("--lab", required=True, metavar="LAB", help="the lab they answer")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder for records and reports"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument("--executor", metavar="NAME", help="a cluster's: dask:ADDRESS")
    parser.add_argument("--late", type=Path, metavar="CSV", help="columns student,days_late")
    parser.add_argument(
        "--per-day", type=float, default=0.1, help="lost a day late (default: %(default)s)"
    )
    parser.add_argument(
        "--allow-unsandboxed", action="store_true", help="for code that you trust as your own"
    )
    parser.set_defaults(call=grade)


def add_release(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("release", help="the student bundle, and a grader for Gradescope")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where they go")
    parser.set_defaults(call=release)


def add_similar(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("similar", help="submissions that share more than the task does")
    parser.add_argument("folder", type=Path, metavar="DIR", help="as for grade")
    parser.add_argument("--lab", required=True, metavar="LAB", help="the lab they answer")
    parser.add_argument(
        "--least", type=float, default=0.5, metavar="SHARE", help="0 to 1 (default: %(default)s)"
    )
    parser.set_defaults(call=similar)


def add_compare(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "compare",
        help="a grid of runs: initialization x optimizer x learning rate x seed, or any argument",
        description="Every flag marked * is an axis: values with commas between them.",
    )
    parser.add_argument(
        "experiment", nargs="?", metavar="EXPERIMENT", help="one of the lectures' by name"
    )
    parser.add_argument("--list", action="store_true", help="the lectures' experiments")
    for flag, text in {
        "model": "a name from dlcourse.models (default: mlp)",
        "data": "a data set (default: mnist)",
        "init": "initializers: zeros, normal:STD, uniform:A, xavier, kaiming, lecun, ...",
        "optimizer": "sgd, momentum, nesterov, adagrad, rmsprop, adadelta, adam, nadam, adamw",
        "lr": "learning rates, or auto: the same short search for each, judged on validation",
        "epochs": "passes over the training data",
        "batch-size": "images a step (default: 64)",
        "train-size": "training images, a part of all",
        "random-labels": "share of training labels drawn anew, 0 to 1",
        "depth": "hidden layers",
        "width": "units in a hidden layer",
        "activation": "relu, tanh, ...",
        "dropout": "share of units dropped",
        "batch-norm": "false,true",
        "schedule": "none, linear, cosine, ...",
        "weight-decay": "the factor of the weights' squared norm",
        "patience": "epochs without improvement before a run stops",
        "limit": "images in all, of training and of test",
    }.items():
        parser.add_argument(f"--{flag}", metavar="V,V", help=f"* {text}")
    parser.add_argument(
        "--axis", action="append", default=[], metavar="NAME=V,V", help="* any other argument"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="runs a cell (default: 1)")
    parser.add_argument(
        "--search",
        metavar="NAME,NAME",
        help="hyperband, halving, random: search, at equal cost, where a value may be "
        "log:LOW:HIGH or uniform:LOW:HIGH",
    )
    parser.add_argument("--max-epochs", type=int, metavar="R", help="of a search (default: 81)")
    parser.add_argument("--eta", type=int, default=3, help="of a search (default: %(default)s)")
    parser.add_argument("--tiny", action="store_true", help="a small size, to see it work")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the study's folder, also to resume"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument("--executor", metavar="NAME", help="a cluster's: dask:ADDRESS")
    parser.add_argument(
        "--no-together", action="store_true", help="never train several runs as one model"
    )
    parser.add_argument("--yes", action="store_true", help="start a grid of more than 1,000 runs")
    parser.add_argument(
        "--beside", nargs=2, metavar="DIR", help="two studies that are there, side by side"
    )
    parser.add_argument("--report", metavar="DIR", help="draw the page of a study that is there")
    parser.add_argument(
        "--data-dir", metavar="DIR", help="data folder (default: $DLCOURSE_DATA, else datasets)"
    )
    parser.add_argument("--offline", action="store_true", help="never touch the network")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, mps (default: the best here)")
    parser.add_argument("--threads", type=int, metavar="N", help="torch's threads a process")
    parser.set_defaults(call=compare)


def add_data(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("data", help="data sets: list, get, verify, import")
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    shared = Parser(add_help=False)
    shared.add_argument(
        "--data-dir", metavar="DIR", help="data folder (default: $DLCOURSE_DATA, else datasets)"
    )
    listing = actions.add_parser("list", parents=[shared], help="what is here, size, licence")
    listing.add_argument("--json", action="store_true", help="for machines")
    listing.set_defaults(call=data_list)
    fetching = actions.add_parser("get", parents=[shared], help="fetch, with the hash checked")
    fetching.add_argument("names", nargs="+", metavar="NAME")
    fetching.set_defaults(call=data_get)
    checking = actions.add_parser("verify", parents=[shared], help="re-check what is here")
    checking.add_argument("names", nargs="*", metavar="NAME", help="these alone (default: all)")
    checking.add_argument("--json", action="store_true", help="for machines")
    checking.set_defaults(call=data_verify)
    importing = actions.add_parser(
        "import", parents=[shared], help="a folder, zip or tar of class/name.png into NAME.npz"
    )
    importing.add_argument("name", metavar="NAME")
    importing.add_argument("path", type=Path, metavar="PATH")
    importing.add_argument("--size", type=int, default=32, help="pixels a side (default: 32)")
    importing.add_argument("--gray", action="store_true", help="one channel instead of three")
    importing.add_argument("--seed", type=int, default=0, help="of the test split (default: 0)")
    importing.add_argument(
        "--skip-bad", action="store_true", help="leave out images that do not decode"
    )
    importing.set_defaults(call=data_import)


def add_models(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("models", help="the reference models, or the layers of one")
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("--draw", type=Path, metavar="F", help="write a drawing of NAME (PNG)")
    parser.add_argument("--json", action="store_true", help="for machines: the list")
    parser.set_defaults(call=models)


def add_doctor(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("doctor", help="what this machine can do, and what to mend")
    parser.add_argument("--data-dir", metavar="DIR", help="the data folder to look into")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.set_defaults(call=doctor)


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="dlcourse", description="The deep-learning course that people can run.", epilog=EPILOG
    )
    parser.add_argument("--version", action="version", version=f"dlcourse {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    add_labs(commands)
    add_run(commands)
    add_notebook(commands)
    add_check(commands)
    add_grade(commands)
    add_release(commands)
    add_similar(commands)
    add_compare(commands)
    add_data(commands)
    add_models(commands)
    add_doctor(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's) and return its exit status."""
    try:
        parser = build_parser()
        args, rest = parser.parse_known_args(argv)
        if args.command == "run":
            args.lab_flags = rest
        elif rest:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        return args.call(args)
    except DlcourseError as error:
        print(f"dlcourse: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("dlcourse: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`dlcourse ... | head`) has gone; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
