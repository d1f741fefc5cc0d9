"""Run a grid of settings: expand it, check it, search learning rates, run what is left."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlcourse import models, optim
from dlcourse.compare import lr_search
from dlcourse.compare.runner import Runner, Watch, duration
from dlcourse.compare.settings import AUTO, Environment, RunSettings, parse
from dlcourse.compare.study import Journal, Study
from dlcourse.compare.train_run import arguments_for, build, dataset, splits
from dlcourse.data import ImageData, TextData
from dlcourse.errors import UsageError
from dlcourse.train import cross_entropy

__all__ = ["MANY", "axes_of", "expand", "grid", "take_environment"]

# A grid with more runs than this starts only after the user has seen its cost and agreed.
MANY = 1000


def grid(
    out: Path | str,
    *,
    seeds: int | Sequence[int] = 1,
    environment: Environment | None = None,
    together: bool = True,
    yes: bool = False,
    progress: bool | None = None,
    watch: Watch | None = None,
    about: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Study:
    """Run every combination of `settings` with every seed. A list is an axis, the rest is fixed.

    >>> grid("results/init", model="mlp", data="mnist", init=["xavier", "kaiming"],
    ...      optimizer=["sgd", "adam"], lr="auto", seeds=3, epochs=3)  # doctest: +SKIP

    settings: `model`, `data`, `init`, any argument of the model, of `fit` and of SplitSettings.
        keep="last" keeps the last weights instead of those of the best epoch on the validation
        data. train_scores=True also scores the kept weights on the training data. lr="auto"
        searches a learning rate for every cell, see `lr_search`.
    out: the study's folder; a study that is already there continues. seeds: how many seeds
        (0, 1, ...), or which ones.
    environment: where the runs happen; its fields may also be given by themselves (jobs=2). The
        results and their order do not depend on it, if each run has as many threads.
    together: whether runs may train as one model where that is faster.
    yes: whether to start more than MANY runs. progress: None shows a line on a terminal.
    watch: gets the study with its results so far, and its State, after each finished run.
    about: what the study's record says besides when, where and on what it ran.

    Raises UsageError for a grid or a folder that cannot be used. Ctrl-C keeps finished runs.
    """
    environment, settings = take_environment(environment, settings)
    axes = axes_of(settings, seeds)
    runs = expand(axes, environment)
    if len(runs) > MANY and not yes:
        refuse_cost(runs, environment)
    runner = Runner(environment, runs, together, progress, watch)
    study = Study(Path(out), axes, [], about={**runner.about, **(about or {})})
    with runner.working_in(study):
        if any(run.values.get("lr") == AUTO for run in runs):
            with contextlib.closing(Journal(study.folder, "sweep")) as journal:
                while trials := lr_search.next_trials(runs, journal.records):
                    runner.finish(journal, trials)
                study.sweep = list(journal.records.values())
                runs = lr_search.with_best(runs, journal.records)
        runner.test(study, runs)
    return study


def take_environment(
    environment: Environment | None, settings: Mapping[str, Any]
) -> tuple[Environment, dict[str, Any]]:
    """Separate the fields of Environment from the other settings.

    Raises UsageError if both `environment` and a field are given.
    """
    fields = {one.name for one in dataclasses.fields(Environment)} - {"synthetic"}
    given = {name: value for name, value in settings.items() if name in fields}
    if environment is not None and given:
        raise UsageError(f"give environment or {next(iter(given))}, not both")
    rest = {name: value for name, value in settings.items() if name not in given}
    return environment or Environment(**given), rest


def axes_of(settings: Mapping[str, Any], seeds: int | Sequence[int]) -> dict[str, list[Any]]:
    """A list of values for each setting, then the seeds that are asked for.

    Raises UsageError for no seed, or for a seed among the settings.
    """
    if "seed" in settings:
        raise UsageError("seed is not an axis: seeds=3 gives 0, 1, 2; seeds=[4, 7] gives those")
    if isinstance(seeds, int) and (seeds < 1 or isinstance(seeds, bool)):
        raise UsageError(f"seeds must be at least 1, got {seeds}")
    axes = {
        name: list(value) if isinstance(value, list | range) else [value]
        for name, value in settings.items()
    }
    return {**axes, "seed": list(range(seeds)) if isinstance(seeds, int) else list(seeds)}


def expand(axes: Mapping[str, Sequence[Any]], environment: Environment) -> list[RunSettings]:
    """Every run of a grid in the order of its axes, each one checked.

    Raises UsageError for an axis without values or with a repeated value, for a setting that
    nothing takes or whose value is wrong, and for a model that cannot take the data.
    """
    for name in ("model", "data", "seed"):
        if name not in axes:
            raise UsageError(f"no {name} given; name one, as --{name} NAME")
    for name, values in axes.items():
        if not values:
            raise UsageError(f"axis {name!r} has no values: the grid is empty")
        seen = set()
        for value in values:
            # Equal numbers, as 1 and 1.0, count as the same; a list has no hash.
            mark = value if isinstance(value, int | float) else repr(value)
            if mark in seen:
                raise UsageError(f"axis {name!r} has {value!r} twice")
            seen.add(mark)
    runs = [
        parse(dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values())
    ]
    found: dict[tuple[Any, ...], ImageData | TextData] = {}
    for run in runs:
        if run.seed == runs[0].seed:  # runs that differ only in their seeds are all alike here
            key = run.data, run.text, run.splits.max_size
            if key not in found:
                found[key] = dataset(run, environment)
            check(run, found[key])
    return runs


def check(run: RunSettings, data: ImageData | TextData) -> None:
    """Raise UsageError if the run's data are too few, or if its model cannot take them."""
    size = run.splits.train_size
    available = len(data.train if isinstance(data, TextData) else data.train_images)
    if run.splits.limit is not None:
        available = min(available, run.splits.limit)
    if size is not None and size > available:
        raise UsageError(f"train_size must be at most {available} here, got {size}")
    if run.splits.val_fraction == 0:
        raise UsageError("val_fraction must be above 0: runs are judged on validation images")
    given = {name: run.fit[name] for name in ("lr", "weight_decay")}
    given = {name: value for name, value in given.items() if value not in (None, AUTO)}
    optim.build(run.fit["optimizer"], [torch.zeros(1, requires_grad=True)], **given)
    arguments = tuple(arguments_for(run, data).items())
    if isinstance(data, TextData):
        check_language_model(run.model, arguments, len(data.vocabulary))
    else:
        shape = tuple(data.train_images.shape[1:])
        check_model(run.model, arguments, shape, data.num_classes, run.data)


@functools.lru_cache(maxsize=1024)
def check_language_model(name: str, arguments: tuple[tuple[str, Any], ...], words: int) -> None:
    """Raise UsageError unless the model can be built and trained, and predicts `words` tokens."""
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model = models.build(name, **dict(arguments))
            if not any(one.requires_grad for one in model.parameters()):
                raise UsageError("it has no parameters that gradient descent can train")
            shape = tuple(model.eval()(torch.zeros(2, 3, dtype=torch.int64)).shape)
    except Exception as error:  # noqa: BLE001 (a user's model may raise anything)
        raise UsageError(f"model {name!r} with {dict(arguments)}: {error}") from None
    if shape != (2, 3, words):
        raise UsageError(
            f"model {name!r} returns {shape} for 2 rows of 3 tokens, expected (2, 3, {words})"
        )


@functools.lru_cache(maxsize=1024)
def check_model(
    name: str,
    arguments: tuple[tuple[str, Any], ...],
    shape: tuple[int, ...],
    classes: int,
    data: str,
) -> None:
    """Raise UsageError unless the model can be built, trained, and classify images of `shape`.

    The model is first tried on the "meta" device, which has no memory behind its tensors: that
    takes milliseconds even for a large one. A model that looks at values needs the CPU.
    """
    for device in ("meta", "cpu"):
        model = outputs = problem = None
        try:
            with torch.device(device), torch.no_grad(), torch.random.fork_rng(devices=[]):
                model = models.build(name, **dict(arguments))
                outputs = model.eval()(torch.zeros(2, *shape))
            break
        except Exception as error:  # noqa: BLE001 (a user's model may raise anything)
            problem = error
    if problem is not None and model is None:
        if isinstance(problem, UsageError):
            raise problem
        raise UsageError(f"model {name!r} with {dict(arguments)}: {problem}")
    if problem is not None:
        raise UsageError(f"model {name!r} cannot take the images {shape} of {data}: {problem}")
    if model is None or not any(one.requires_grad for one in model.parameters()):
        raise UsageError(f"model {name!r} has no parameters that gradient descent can train")
    found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    if not isinstance(found, tuple) or len(found) != 2 or found[1] < classes:
        raise UsageError(
            f"model {name!r} is not a classifier of {data}: for 2 images it returns {found}, "
            f"expected (2, {classes}); `dlcourse models` lists the image classifiers"
        )


def refuse_cost(runs: Sequence[RunSettings], environment: Environment) -> None:
    """Raise UsageError with what `runs` would cost, estimated from a few steps of the first one."""
    run = runs[0]
    model = build(run, environment).to(environment.device)
    batches, _, _ = splits(run, environment)
    inputs, targets = next(iter(batches))
    took = []
    for _ in range(4):
        start = time.perf_counter()
        cross_entropy(model(inputs), targets).backward()
        if inputs.device.type == "cuda":
            torch.cuda.synchronize()
        took.append(time.perf_counter() - start)
    each = min(took) * len(batches) * run.fit["epochs"]
    jobs = environment.jobs
    total = duration(each * len(runs) / jobs)
    raise UsageError(
        f"the grid has {len(runs):,} runs of about {each:.1f} s: {total} on {jobs} "
        f"process{'es' if jobs > 1 else ''}; add --yes to start, or drop values"
    )
