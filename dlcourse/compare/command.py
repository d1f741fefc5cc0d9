"""The command `dlcourse compare`, after its flags are parsed."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from dlcourse import executors, runtime
from dlcourse.compare import report, search, table
from dlcourse.compare.grid import grid
from dlcourse.compare.lectures import experiment
from dlcourse.compare.lectures.catalog import EXPERIMENTS
from dlcourse.compare.live import LivePage
from dlcourse.compare.settings import Environment, parse_values
from dlcourse.compare.study import Study, load
from dlcourse.errors import DataError, UnknownNameError, UsageError

__all__ = ["compare"]

DEFAULTS = {"model": "mlp", "data": "mnist"}
TINY = {"limit": 4000, "epochs": 3}
# Flags that name settings of a run; several values make an axis.
SETTINGS = (
    "model", "data", "init", "optimizer", "lr", "epochs", "batch_size", "train_size",
    "random_labels", "depth", "width", "activation", "dropout", "batch_norm", "schedule",
    "weight_decay", "patience", "limit", "max_seconds",
)  # fmt: skip
SEARCH = ("max_epochs", "eta")
PLACE = ("data_dir", "offline", "device", "threads")
RUN = ("seeds", "tiny", "out", "jobs", "executor", "no_together", "open", "figures")
# What each way to call the command reads; every other flag is refused.
READ = {
    "list": (),
    "beside": (),
    "report": (*PLACE, "figures"),
    "search": (*SETTINGS, "axis", *SEARCH, *PLACE, *RUN),
    "experiment": (*SETTINGS, "axis", *PLACE, *RUN, "yes"),
    "grid": (*SETTINGS, "axis", *PLACE, *RUN, "yes"),
}


def compare(args: argparse.Namespace) -> int:
    """Do what the flags say and print the result; return the exit status.

    The status is 1 if no run of a study has a score.
    """
    kind = kind_of(args)
    runtime.set_threads(args.threads)
    folders = {"beside": args.beside, "report": [args.report]}.get(kind, [])
    studies = [load(folder) for folder in folders]
    for study in studies:
        if not study.results:
            raise DataError(
                f"no run of the study {study.folder} is finished; repeat the command that started "
                "it"
            )
    if kind == "list":
        print(experiment.as_list(EXPERIMENTS.values()))
    elif kind == "beside":
        print(table.beside(*studies))
    else:
        executor = executors.connect(args.executor) if args.executor else None
        jobs = 1 if args.jobs is None else args.jobs
        environment = Environment(
            args.data_dir, args.offline, args.device, args.threads, jobs, executor
        )
        if kind == "report":
            redraw(studies[0], environment, args.figures)
        else:
            studies = [run(kind, args, environment)]
        print(studies[0].folder / "report.html")
    lost = [len(study.lost) == len(study.results) for study in studies]
    return int(kind != "beside" and any(lost))


def kind_of(args: argparse.Namespace) -> str:
    """Which of READ the flags ask for. Raises UsageError for a flag that this one does not read."""
    asked = [kind for kind in READ if getattr(args, kind, None)]
    if len(asked) > 1:
        raise UsageError(f"give {flag(asked[0])} or {flag(asked[1])}, not both")
    kind = asked[0] if asked else "grid"
    for name in sorted({name for names in READ.values() for name in names}):
        if getattr(args, name) not in (None, False, []) and name not in READ[kind]:
            raise UsageError(f"{flag(name)} has no effect with {flag(kind)}; leave one of them out")
    return kind


def flag(name: str) -> str:
    """How a user types the argument `name`."""
    words = {"experiment": "EXPERIMENT", "grid": "a grid without --search"}
    return words.get(name, f"--{name.replace('_', '-')}")


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that the flags name: several values make a list."""
    given = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    for text in args.axis:
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"--axis must be NAME=VALUE,VALUE,..., got {text!r}")
        if name in given:
            raise UsageError(f"{name} is given twice, by --axis and by {flag(name)}")
        given[name] = values
    settings: dict[str, Any] = {}
    for name, text in given.items():
        values = parse_values(text)
        settings[name] = values[0] if len(values) == 1 else values
    return settings


def run(kind: str, args: argparse.Namespace, environment: Environment) -> Study:
    """Run a search, an experiment of the lectures or a grid; print what was found."""
    settings = settings_of(args)
    how: dict[str, Any] = {"environment": environment, "together": not args.no_together}
    if args.seeds is not None:
        how["seeds"] = args.seeds
    page = LivePage()
    if args.open:
        how["watch"] = page
    try:
        return watched_run(kind, args, settings, how, page)
    except BaseException:
        page.stop()  # otherwise the browser would load it for ever
        raise


def watched_run(
    kind: str,
    args: argparse.Namespace,
    settings: dict[str, Any],
    how: dict[str, Any],
    page: LivePage,
) -> Study:
    if kind == "experiment":
        if args.experiment not in EXPERIMENTS:
            raise UnknownNameError("experiment", args.experiment, EXPERIMENTS)
        chosen = EXPERIMENTS[args.experiment]
        page.title, page.expected = chosen.title, chosen.expected
        study, answer = experiment.run(
            chosen, args.out, tiny=args.tiny, yes=args.yes, export=args.figures, **how, **settings
        )
        print(f"{table.as_text(study)}\nExpected: {chosen.expected}\n{answer.text}")
    elif kind == "search":
        settings = {**DEFAULTS, **({"limit": TINY["limit"]} if args.tiny else {}), **settings}
        study = search.search(
            args.out or Path("results/compare/search"),
            methods=args.search.split(","),
            max_epochs=(9 if args.tiny else 81) if args.max_epochs is None else args.max_epochs,
            eta=3 if args.eta is None else args.eta,
            **how,
            **settings,
        )
        report.write_report(study, more=search.race_figure(study), export=args.figures)
        print(f"{search.as_text(study)}\n{table.as_text(study)}")
    else:
        settings = {**DEFAULTS, **(TINY if args.tiny else {}), **settings}
        several = [name for name, value in settings.items() if isinstance(value, list)]
        single = [str(settings[name]) for name in DEFAULTS if name not in several]
        out = args.out or Path("results/compare") / "_".join([*single, *several])
        study = grid(out, **settings, **how, yes=args.yes)
        report.write_report(study, export=args.figures)
        print(table.as_text(study))
    return study


def redraw(study: Study, environment: Environment, form: str | None) -> None:
    """Draw the page of a study again; print its verdict if it is a whole experiment."""
    whole = len(study.results) == math.prod(map(len, study.grid.values()))
    chosen = EXPERIMENTS.get(study.about.get("experiment", ""))
    if whole and chosen:
        print(experiment.judge(chosen, study, environment, form).text)
    else:
        more = search.race_figure(study) if "search" in study.grid else {}
        report.write_report(study, more=more, export=form)
