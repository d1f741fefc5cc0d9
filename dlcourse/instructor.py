"""The commands that only an instructor or a lecturer needs; the student bundle lacks this file.

Each block is like those of cli.py: the flags of one command, then its call.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from dlcourse.startup import lasting_imports

__all__ = ["COMMANDS"]

Call = Callable[[argparse.Namespace], int]


def compare(parser: argparse.ArgumentParser) -> Call:
    """run a grid: initialization x optimizer x learning rate x seed, or any other argument"""
    parser.description = "A flag marked * is an axis: it takes several values with commas."
    parser.add_argument(
        "experiment", nargs="?", metavar="EXPERIMENT", help="name of an experiment of the lectures"
    )
    parser.add_argument("--list", action="store_true", help="list the lectures' experiments")
    for flag, text in {
        "model": "a name from dlcourse.models: image classifiers or language models (default: mlp)",
        "data": "images, or a text for language models (default: mnist)",
        "init": "initializers: zeros, normal:STD, uniform:A, xavier, kaiming, lecun, ...",
        "optimizer": "sgd, momentum, nesterov, adagrad, rmsprop, adadelta, adam, nadam, adamw",
        "lr": "learning rates, or auto: the same short search for each, judged on validation",
        "epochs": "passes over the training data",
        "batch-size": "images in each step (default: 64)",
        "train-size": "number of training images to use",
        "random-labels": "share of training labels that are replaced by random ones, 0 to 1",
        "depth": "hidden layers",
        "width": "units in a hidden layer",
        "activation": "relu, tanh, ...",
        "dropout": "share of units dropped",
        "batch-norm": "false,true",
        "schedule": "none, linear, cosine, ...",
        "weight-decay": "factor of the squared norm of the weights",
        "patience": "epochs without improvement before a run stops",
        "limit": "number of images (or tokens) to use, of training and of test",
        "max-seconds": "end each run before the epoch that would make its training longer",
    }.items():
        parser.add_argument(f"--{flag}", metavar="V,V", help=f"* {text}")
    parser.add_argument(
        "--axis", action="append", default=[], metavar="NAME=V,V", help="* any other argument"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="runs for each cell (default: 1)")
    parser.add_argument(
        "--search",
        metavar="NAME,NAME",
        help="search with hyperband, halving or random, at equal cost; a value may then be "
        "log:LOW:HIGH or uniform:LOW:HIGH",
    )
    parser.add_argument("--max-epochs", type=int, metavar="R", help="of a search (default: 81)")
    parser.add_argument("--eta", type=int, metavar="N", help="of a search (default: 3)")
    parser.add_argument("--tiny", action="store_true", help="a small size, to see it work")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the study, also to resume one"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: 1)")
    parser.add_argument("--executor", metavar="NAME", help="a cluster: dask:ADDRESS")
    parser.add_argument(
        "--no-together", action="store_true", help="never train several runs as one model"
    )
    parser.add_argument(
        "--open",
        action="store_true",
        help="show the page in a browser from the first finished run on, while the study runs",
    )
    parser.add_argument(
        "--figures",
        choices=("png", "svg", "pdf"),
        metavar="FORM",
        help="write every figure into the study's folder as png, svg or pdf",
    )
    parser.add_argument("--yes", action="store_true", help="start a grid of more than 1,000 runs")
    parser.add_argument("--beside", nargs=2, metavar="DIR", help="compare two finished studies")
    parser.add_argument("--report", metavar="DIR", help="draw the page of an existing study")
    parser.add_argument(
        "--data-dir", metavar="DIR", help="data folder (default: $DLCOURSE_DATA, else datasets)"
    )
    parser.add_argument(
        "--extension", action="append", default=[], metavar="FILE",
        help="your Python file that registers models, data sets, optimizers or schedules",
    )  # fmt: skip
    parser.add_argument("--offline", action="store_true", help="never touch the network")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, mps (default: the best here)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads for each process")

    def call(args: argparse.Namespace) -> int:
        with lasting_imports():
            from dlcourse.compare import command

        return command.compare(args)

    return call


def new(parser: argparse.ArgumentParser) -> Call:
    """write the skeleton of a new lab, with one worked task"""
    parser.add_argument("name", metavar="NAME", help="labNN_topic, such as lab16_transformers")

    def call(args: argparse.Namespace) -> int:
        from dlcourse import course
        from dlcourse.grade import new_lab

        for path in new_lab.create(args.name, course.find_course()):
            print(path)
        return 0

    return call


def grade(parser: argparse.ArgumentParser) -> Call:
    """grade a folder of submissions in the sandbox (Linux)"""
    parser.add_argument(
        "folder", type=Path, metavar="DIR",
        help="one folder, zip or file for each student; or the .zip that the school made of them",
    )  # fmt: skip
    parser.add_argument("--lab", required=True, metavar="LAB", help="the lab that they answer")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder for records and reports"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument("--executor", metavar="NAME", help="a cluster: dask:ADDRESS")
    parser.add_argument(
        "--late", type=Path, metavar="CSV",
        help="columns student,days_late; they stay in force until another list is given",
    )  # fmt: skip
    parser.add_argument(
        "--per-day",
        type=float,
        default=0.1,
        help="share of the score lost for each day late (default: %(default)s)",
    )
    parser.add_argument(
        "--roster", type=Path, metavar="CSV",
        help="the class: Canvas's gradebook, Moodle's worksheet, or columns such as "
        "student,id,email",
    )  # fmt: skip
    parser.add_argument(
        "--adjust", type=Path, metavar="CSV",
        help="points by hand: columns student,task,points,note; task may be answers (with "
        "out_of) or total; they stay in force until another list is given",
    )  # fmt: skip
    parser.add_argument(
        "--column", metavar="NAME", help="the assignment in Canvas, such as 'Lab 5 (1234)'"
    )
    parser.add_argument(
        "--worksheet", type=Path, metavar="CSV",
        help="Moodle's grading worksheet; a filled copy is written to OUT",
    )  # fmt: skip
    parser.add_argument(
        "--allow-unsandboxed",
        action="store_true",
        help="run code that you trust as your own without the sandbox",
    )

    def call(args: argparse.Namespace) -> int:
        from dlcourse import course, executors
        from dlcourse.grade import batch

        lab = course.find_lab(args.lab)
        graded = batch.grade_folder(
            args.folder,
            lab,
            args.out,
            args.jobs,
            allow_unsandboxed=args.allow_unsandboxed,
            executor=executors.connect(args.executor) if args.executor else None,
            late=args.late,
            per_day=args.per_day,
            roster=args.roster,
            adjust=args.adjust,
            column=args.column,
            worksheet=args.worksheet,
        )
        print(batch.as_text(graded, args.out))
        return 3 if any(one.record.exit_status == 3 for one in graded) else 0

    return call


def release(parser: argparse.ArgumentParser) -> Call:
    """write the student bundle, and an autograder for Gradescope for each lab"""
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder for the zip files"
    )

    def call(args: argparse.Namespace) -> int:
        from dlcourse import course
        from dlcourse.grade.release import release

        for path in release(course.find_course(), args.out):
            print(path)
        return 0

    return call


def similar(parser: argparse.ArgumentParser) -> Call:
    """list submissions that share more than the task explains"""
    parser.add_argument("folder", type=Path, metavar="DIR", help="as for grade")
    parser.add_argument("--lab", required=True, metavar="LAB", help="the lab that they answer")
    parser.add_argument(
        "--least",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="smallest share to list, 0 to 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write a page for each pair, with both texts",
    )

    def call(args: argparse.Namespace) -> int:
        from dlcourse import course
        from dlcourse.grade import school_zip, similar, student_version
        from dlcourse.grade.submissions import find_submissions

        lab = course.find_lab(args.lab)
        with school_zip.opened(args.folder) as folder:
            intake = find_submissions(folder, lab)
        for line in intake.lines():
            print(line, file=sys.stderr)
        starter = student_version.starter(lab)
        pairs = similar.similar(intake.submissions, starter, args.least)
        print(similar.as_text([*pairs, *similar.from_package(intake.submissions, starter)]))
        for line in similar.packed(intake.submissions):
            print(line)
        if args.out:
            similar.write_pages(pairs, intake.submissions, lab, starter, args.out)
            print(f"pages: {args.out / 'index.html'}")
        return 0

    return call


COMMANDS = (compare, new, grade, release, similar)
