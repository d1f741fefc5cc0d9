"""`dlcourse compare`, once its flags are parsed."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from dlcourse import executors, runtime
from dlcourse.compare import axes, experiments, harness, lectures, report, search, study, table
from dlcourse.errors import DataError, UnknownNameError, UsageError

__all__ = ["TINY", "compare"]

TINY = {"limit": 4000, "epochs": 3}
# Flags that are axes; their names are the names of arguments.
AXES = (
    "model", "data", "init", "optimizer", "lr", "epochs", "batch_size", "train_size",
    "random_labels", "depth", "width", "activation", "dropout", "batch_norm", "schedule",
    "weight_decay", "patience", "limit",
)  # fmt: skip


def compare(args: argparse.Namespace) -> str:
    """Do what the flags say; returns what is to be printed."""
    runtime.set_threads(args.threads)
    if args.list:
        return experiments.as_list(lectures.EXPERIMENTS.values())
    if args.beside:
        one, other = map(study.load, args.beside)
        return table.beside(one, other)
    if args.report:
        return redrawn(args)
    if args.search:
        return searched(args)
    if args.experiment:
        return lecture(args)
    settings = {"model": "mlp", "data": "mnist", **(TINY if args.tiny else {}), **settings_of(args)}
    done = harness.grid(out_of(args, settings), **settings, **options(args))
    return f"{table.as_text(done)}\n{report.write_report(done)}"


def redrawn(args: argparse.Namespace) -> str:
    """Draw the page of a study that is there, with its verdict where it is a whole experiment."""
    found = study.load(args.report)
    if not found.rows:
        raise DataError(
            f"no run of the study {args.report} is done; repeat the command that began it"
        )
    whole = len(found.rows) == math.prod(map(len, found.grid.values()))
    if whole and (experiment := lectures.EXPERIMENTS.get(found.about.get("experiment"))):
        answer = experiments.judge(experiment, found, args.data_dir, args.offline, args.threads)
        return f"{verdict(answer)}\n{found.folder / 'report.html'}"
    more = search.race_figure(found) if "search" in found.grid else {}
    return f"{report.write_report(found, more=more)}"


def lecture(args: argparse.Namespace) -> str:
    """Run an experiment of the lectures and say whether the expected outcome came."""
    if args.experiment not in lectures.EXPERIMENTS:
        raise UnknownNameError("experiment", args.experiment, lectures.EXPERIMENTS)
    experiment = lectures.EXPERIMENTS[args.experiment]
    done, answer = experiments.run(
        experiment, args.out, tiny=args.tiny, **options(args), **settings_of(args)
    )
    return (
        f"{table.as_text(done)}\nExpected: {experiment.expected}\n{verdict(answer)}\n"
        f"{done.folder / 'report.html'}"
    )


def verdict(answer: experiments.Answer) -> str:
    return f"It {'came' if answer.came else 'did not come'}: {answer.found}"


def searched(args: argparse.Namespace) -> str:
    """Run searches and say what each found."""
    settings = {"model": "mlp", "data": "mnist", **settings_of(args)}
    if args.tiny:
        settings.setdefault("limit", TINY["limit"])
    given = options(args)
    del given["yes"]
    done = search.search(
        args.out or Path("results/compare/search"),
        methods=args.search.split(","),
        max_epochs=args.max_epochs or (9 if args.tiny else 81),
        eta=args.eta,
        **given,
        **settings,
    )
    page = report.write_report(done, more=search.race_figure(done))
    return f"{search.as_text(done)}\n{table.as_text(done)}\n{page}"


def options(args: argparse.Namespace) -> dict[str, Any]:
    """What says where runs happen, for `harness.grid`."""
    return {
        **({"seeds": args.seeds} if args.seeds is not None else {}),
        "jobs": args.jobs,
        "executor": executors.connect(args.executor) if args.executor else None,
        "together": not args.no_together,
        "yes": args.yes,
        "data_dir": args.data_dir,
        "offline": args.offline,
        "device": args.device,
        "threads": args.threads,
    }


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """The axes and fixed settings that the flags name: several values make a list."""
    given = {name: getattr(args, name) for name in AXES if getattr(args, name) is not None}
    for text in args.axis:
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"--axis must be NAME=VALUE,VALUE,..., got {text!r}")
        given[name] = values
    settings = {}
    for name, text in given.items():
        values = axes.parse_values(text)
        settings[name] = values[0] if len(values) == 1 else values
    return settings


def out_of(args: argparse.Namespace, settings: dict[str, Any]) -> Path:
    """--out, else a folder named for the axes."""
    if args.out:
        return args.out
    several = [name for name, value in settings.items() if isinstance(value, list)]
    names = [str(settings[name]) for name in ("model", "data") if name not in several]
    return Path("results/compare") / "_".join([*names, *several])
