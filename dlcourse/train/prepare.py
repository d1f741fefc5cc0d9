"""From the arguments of `fit` to a Run that is ready to start."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch

from dlcourse import optim
from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.runtime import pick_device, versions
from dlcourse.train import distributed
from dlcourse.train.averaging import Average
from dlcourse.train.checkpoint import Checkpoint
from dlcourse.train.early_stopping import EarlyStopping
from dlcourse.train.history import History
from dlcourse.train.metrics import cross_entropy, find
from dlcourse.train.progress import Progress
from dlcourse.train.run import Run
from dlcourse.train.speed import Speed
from dlcourse.train.tensorboard import TensorBoard

__all__ = ["prepare"]

# Arguments that the History's config holds as they are.
WRITTEN = (
    "epochs", "lr", "weight_decay", "decay_vectors", "label_smoothing", "clip_norm", "clip_value",
    "accumulate", "average", "monitor", "mode", "patience", "min_delta", "relative", "baseline",
)  # fmt: skip
KNOBS = ("channels_last", "fused", "bf16", "compile", "deterministic")


def prepare(**given: Any) -> Run:
    """The Run that `fit` was asked for; `given` are all its arguments. Raises UsageError."""
    check(given)
    model, train = given["model"], given["train"]
    device = pick_device(given["device"])
    distributed.join(device)
    torch.manual_seed(given["seed"] + distributed.rank())
    steps = given["epochs"] * len(train)
    speed = Speed(model, device, **{name: given[name] for name in KNOBS}, steps=steps)
    speed.place(model)
    optimizer = build_optimizer(given, speed)
    stopping = EarlyStopping(
        given["patience"],
        given["min_delta"],
        given["mode"],
        relative=given["relative"],
        baseline=given["baseline"],
    )
    loss, smoothing = given["loss"], given["label_smoothing"]
    return Run(
        model=model,
        net=speed.compiled(distributed.wrap(model)),
        speed=speed,
        optimizer=optimizer,
        scheduler=build_schedule(given, optimizer),
        stopping=stopping,
        history=describe(given, device),
        loss=functools.partial(loss, label_smoothing=smoothing) if smoothing else loss,
        epochs=given["epochs"],
        steps=len(train),
        monitor=given["monitor"],
        accumulate=given["accumulate"],
        clip_norm=given["clip_norm"],
        clip_value=given["clip_value"],
        average=Average(given["average"], model, given["epochs"]) if given["average"] else None,
        callbacks=callbacks(given),
        rank=distributed.rank(),
        first_pass=getattr(train, "epoch", 0),
        generator=getattr(train, "generator", None),
    )


def check(given: dict[str, Any]) -> None:
    """Refuse what cannot be."""
    names = ["loss", *find(given["metrics"])]
    for name in ("epochs", "accumulate"):
        if given[name] < 1:
            raise UsageError(f"{name} must be at least 1, got {given[name]}")
    for name in ("clip_norm", "clip_value"):
        if given[name] is not None and not given[name] > 0:
            raise UsageError(f"{name} must be above 0 (or None), got {given[name]}")
    if given["val"] is not None and given["monitor"] not in names:
        raise UnknownNameError("monitor", given["monitor"], names)
    if len(given["train"]) == 0:
        raise UsageError("train holds no batch: is batch_size larger than the data?")
    if given["val"] is None and given["schedule"] == "halve":
        raise UsageError("schedule 'halve' looks at the validation loss: give val")
    if not 0 <= given["label_smoothing"] < 1:
        raise UsageError(
            f"label_smoothing must be at least 0 and below 1, got {given['label_smoothing']}"
        )
    if given["label_smoothing"] and given["loss"] is not cross_entropy:
        raise UsageError("label_smoothing is for loss=cross_entropy; leave one of the two out")
    if given["resume"] and given["checkpoint"] is None:
        raise UsageError("resume=True needs checkpoint=FOLDER, where the run was written")


def build_optimizer(given: dict[str, Any], speed: Speed) -> torch.optim.Optimizer:
    if not isinstance(given["optimizer"], str):
        return given["optimizer"]
    model, weight_decay = given["model"], given["weight_decay"]
    params = model.parameters()
    if not given["decay_vectors"]:
        params = optim.spare_vectors(model, weight_decay)
    settings = {"weight_decay": weight_decay, **speed.optimizer_settings(given["optimizer"])}
    return optim.build(given["optimizer"], params, given["lr"], **settings)


def build_schedule(given: dict[str, Any], optimizer: torch.optim.Optimizer) -> Any:
    schedule = given["schedule"]
    if isinstance(schedule, str):
        schedule = functools.partial(optim.build_schedule, schedule)
    steps = given["epochs"] * math.ceil(len(given["train"]) / given["accumulate"])
    return schedule and schedule(optimizer, steps)


def callbacks(given: dict[str, Any]) -> list:
    """All of the run. Called in this order after an epoch, so a checkpoint knows of the others'
    wishes; started in the opposite one, so they find what it resumed."""
    made = [*given["callbacks"], Progress(given["progress"])]
    if given["tensorboard"] is not None:
        made.append(TensorBoard(given["tensorboard"]))
    if given["checkpoint"] is not None:
        made.append(Checkpoint(given["checkpoint"], given["resume"]))
    return made


def describe(given: dict[str, Any], device: torch.device) -> History:
    """An empty History that says how the run was asked for."""
    train = given["train"]
    config = {
        "model": type(given["model"]).__name__,
        "parameters": sum(p.numel() for p in given["model"].parameters()),
        **{name: name_of(given[name]) for name in ("optimizer", "schedule", "loss")},
        **{name: given[name] for name in WRITTEN},
        "metrics": list(find(given["metrics"])),
        "batch_size": getattr(train, "batch_size", None),
        "data_seed": getattr(train, "seed", None),
    }
    source = getattr(train, "source", "")
    return History(config, given["seed"], str(device), source, versions())


def name_of(value: Any) -> str | None:
    """How the History names what may be a name, a function or an object."""
    if value is None or isinstance(value, str):
        return value
    return getattr(value, "__name__", type(value).__name__)
