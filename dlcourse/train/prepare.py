"""From the arguments of `fit` to a Run that is ready to start."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from dlcourse import optim
from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.runtime import pick_device, versions
from dlcourse.train import checks, distributed
from dlcourse.train.early_stopping import EarlyStopping
from dlcourse.train.execution import Execution, Gradients, Placement
from dlcourse.train.history import History
from dlcourse.train.losses import Loss, Objective, describe_loss, name_of
from dlcourse.train.metrics import (
    METRICS,
    Mean,
    Metrics,
    default_metrics,
    find_metrics,
    measure,
    mode_of,
)
from dlcourse.train.progress import Progress
from dlcourse.train.run import Callback, Run, call, moved, reset_state, same_generators
from dlcourse.values import check_whole, is_number

__all__ = ["Schedule", "prepare"]

Schedule = str | Callable[[torch.optim.Optimizer, int], Any]


def prepare(
    model: nn.Module,
    train: Any,
    val: Any,
    *,
    epochs: int,
    loss: Loss,
    optimizer: str | torch.optim.Optimizer,
    lr: float | None,
    weight_decay: float | None,
    schedule: Schedule | None = None,
    gradients: Gradients | None = None,
    average: str | None = None,
    metrics: Metrics | None = None,
    monitor: str | None = None,
    patience: int | None = None,
    early_stopping: EarlyStopping | None = None,
    callbacks: Callback | Sequence[Callback] = (),
    execution: Execution | None = None,
    seed: int,
    device: str | torch.device | None,
    progress: bool | None,
) -> Run:
    """The Run for the arguments of `fit`. Raises UsageError for arguments that make no sense."""
    check_model(model)
    checks.check_batches("train", train)
    check_whole(epochs=epochs)
    check_whole(0, seed=seed)
    if progress not in (None, True, False):
        raise UsageError(f"progress must be True, False or None, got {progress!r}")
    gradients = Gradients() if gradients is None else gradients
    execution = Execution() if execution is None else execution
    check_kind("gradients", gradients, Gradients)
    check_kind("execution", execution, Execution)
    stopping = choose_stopping(patience, early_stopping)
    made_callbacks = choose_callbacks(callbacks, progress)
    objective = describe_loss(loss)
    if val is None:
        refuse_without_val(
            schedule, metrics=metrics, monitor=monitor, patience=patience,
            early_stopping=early_stopping,
        )  # fmt: skip
    else:
        checks.check_batches("val", val)

    place = pick_device(device)
    distributed.join(place)
    torch.manual_seed(seed + distributed.rank())
    steps = len(train)
    classifies = objective.kind == "classes"
    placement = Placement(execution, model, place, epochs * steps, classifies)
    placement.place(model)
    if isinstance(objective.loss, nn.Module):
        objective.loss.to(place)
    made_optimizer = build_optimizer(model, objective, optimizer, lr, weight_decay, placement)
    chosen: dict[str, Any] = {}
    if val is not None:
        with placement.autocast():
            try:
                chosen = choose_metrics(model, val, objective, metrics)
            except RuntimeError as error:
                placement.leave_layout(model, error)
                chosen = choose_metrics(model, val, objective, metrics)
    name, mode = choose_monitor(monitor, chosen, stopping)
    weights = objective.class_weights
    config = {
        "model": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "epochs": epochs,
        "optimizer": name_of(optimizer),
        "schedule": None if schedule is None else name_of(schedule),
        **describe_optimizer(made_optimizer),
        "loss": objective.name,
        "label_smoothing": objective.label_smoothing,
        "class_weights": None if weights is None else weights.tolist(),
        **asdict(gradients),
        "average": average,
        "metrics": list(chosen),
        "monitor": name if val is not None else None,
        "mode": mode if val is not None else None,
        "patience": stopping.patience,
        "min_delta": stopping.min_delta,
        "relative": stopping.relative,
        "baseline": stopping.baseline,
        "batch_size": getattr(train, "batch_size", None),
        "data_seed": getattr(train, "seed", None),
    }
    averaged = None
    if average is not None:
        from dlcourse.train.averaging import Average  # not in the student bundle

        averaged = Average(average, model, epochs)
    source = getattr(train, "source", "")
    return Run(
        model=model,
        net=placement.compiled(distributed.wrap(model)),
        placement=placement,
        optimizer=made_optimizer,
        scheduler=build_schedule(
            schedule, made_optimizer, epochs * math.ceil(steps / gradients.accumulate)
        ),
        stopping=stopping.fresh(mode),
        history=History(config, seed, str(place), source, versions()),
        objective=objective,
        metrics=chosen,
        monitor=name,
        epochs=epochs,
        steps=steps,
        gradients=gradients,
        average=averaged,
        callbacks=made_callbacks,
        rank=distributed.rank(),
        first_pass=getattr(train, "epoch", 0),
        train=train,
    )


def check_kind(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise UsageError(f"{name} must be {kind.__name__}(...), got {value!r}")


def check_model(model: Any) -> None:
    if isinstance(model, type):
        raise UsageError(f"model is the class {model.__name__}; give an instance")
    if not isinstance(model, nn.Module):
        raise UsageError(f"model must be a torch.nn.Module, got {model!r}")
    if any(isinstance(p, nn.UninitializedParameter) for p in model.parameters()):
        raise UsageError(
            f"{type(model).__name__} has lazy layers, which get their shapes from the first batch; "
            "before fit: model(next(iter(train))[0])"
        )
    if not any(p.requires_grad for p in model.parameters()):
        fix = "set requires_grad=True for those to train"
        for other in ("fit", "learn"):
            if hasattr(model, other):
                fix = f"it has a method of its own: {type(model).__name__}.{other}"
        raise UsageError(f"{type(model).__name__} has no parameters that gradients train; {fix}")


def choose_stopping(patience: int | None, given: EarlyStopping | None) -> EarlyStopping:
    if given is None:
        return EarlyStopping(patience)
    check_kind("early_stopping", given, EarlyStopping)
    if patience is not None:
        raise UsageError(
            "patience is the short form of early_stopping=EarlyStopping(patience=...); give one"
        )
    return given


def choose_callbacks(given: Callback | Sequence[Callback], progress: bool | None) -> list[Callback]:
    """All callbacks of the run, those that are `last` (checkpoints) at the end."""
    callbacks = [given] if isinstance(given, Callback) else list(given)
    for one in callbacks:
        if not isinstance(one, Callback):
            kind = one.__name__ if isinstance(one, type) else repr(one)
            fix = "give an instance" if isinstance(one, type) else "write a subclass of Callback"
            raise UsageError(f"callbacks must be instances of Callback, got {kind}; {fix}")
    callbacks.append(Progress(progress))
    return sorted(callbacks, key=lambda one: one.last)


def refuse_without_val(schedule: Schedule | None, **given: Any) -> None:
    """Refuse arguments that have no effect without validation data."""
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"{name} is measured on validation data; give val, or leave it out")
    if schedule == "halve":
        raise UsageError("schedule 'halve' looks at the validation loss: give val")


def build_optimizer(
    model: nn.Module,
    objective: Objective,
    optimizer: str | torch.optim.Optimizer,
    lr: float | None,
    weight_decay: float | None,
    placement: Placement,
) -> torch.optim.Optimizer:
    numbers = {"lr": lr, "weight_decay": weight_decay}
    given = {name: value for name, value in numbers.items() if value is not None}
    for name, value in given.items():
        if not (is_number(value) and math.isfinite(value)):
            raise UsageError(f"{name} must be a finite number (or None), got {value!r}")
    of_loss = list(objective.loss.parameters()) if isinstance(objective.loss, nn.Module) else []
    if isinstance(optimizer, str):
        if any(p.requires_grad for p in of_loss):
            raise UsageError(
                f"loss {objective.name} has parameters of its own; give an optimizer over them and "
                "those of the model"
            )
        settings = placement.optimizer_settings(optimizer)
        return optim.build(optimizer, model.parameters(), lr, weight_decay, **settings)
    if isinstance(optimizer, type):
        raise UsageError(
            f"optimizer is the class {optimizer.__name__}; give a name "
            f"({', '.join(optim.OPTIMIZERS)}) or an instance: "
            f"{optimizer.__name__}(model.parameters(), lr=...)"
        )
    check_kind("optimizer", optimizer, torch.optim.Optimizer)
    if isinstance(optimizer, torch.optim.LBFGS):
        raise UsageError(
            "LBFGS computes the loss several times in each step, and fit computes it once for each "
            f"batch; use one of {', '.join(optim.OPTIMIZERS)}"
        )
    for name in given:
        raise UsageError(
            f"{name} is ignored if optimizer is an object; give it to "
            f"{type(optimizer).__name__}(..., {name}=...)"
        )
    allowed = {id(p) for p in [*model.parameters(), *of_loss]}
    if any(id(p) not in allowed for group in optimizer.param_groups for p in group["params"]):
        raise UsageError(
            "optimizer holds parameters that are not this model's; make it from "
            "model.parameters() after the model is complete"
        )
    return optimizer


def describe_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The learning rate and every other setting that the optimizer really has."""
    groups = optimizer.param_groups
    settings = {name: value for name, value in groups[0].items() if name != "params"}
    for name, value in settings.items():
        if isinstance(value, torch.Tensor | tuple):
            settings[name] = value.tolist() if isinstance(value, torch.Tensor) else list(value)
    for name in ("lr", "weight_decay"):
        values = [group.get(name) for group in groups]
        if any(value != values[0] for value in values):
            settings[name] = values
    return {
        "lr": settings.pop("lr", None),
        "weight_decay": settings.pop("weight_decay", None),
        "optimizer_settings": settings,
    }


def build_schedule(schedule: Schedule | None, optimizer: torch.optim.Optimizer, steps: int) -> Any:
    if schedule is None:
        return None
    if isinstance(schedule, str):
        return optim.build_schedule(schedule, optimizer, steps)
    if isinstance(schedule, LRScheduler | type) or not callable(schedule):
        raise UsageError(
            "schedule must be a name or a function (optimizer, steps) -> scheduler, such as lambda "
            f"optimizer, steps: StepLR(optimizer, steps // 3); got {name_of(schedule)}"
        )
    made = schedule(optimizer, steps)
    if not hasattr(made, "step"):
        raise UsageError(f"schedule {name_of(schedule)} must return a scheduler, got {made!r}")
    return made


def choose_metrics(
    model: nn.Module, val: Any, objective: Objective, metrics: Metrics | None
) -> dict[str, Any]:
    """The metrics by name, as asked for or as fit the loss, tried on the first batch of `val`.

    The generators and the model are left as they were.
    """
    device = next(model.parameters()).device
    with same_generators(val), torch.inference_mode(), checks.explained("val"):
        inputs, targets = checks.check_batch("val", next(iter(val)), model)
        training = model.training
        model.eval()
        reset_state(model)
        inputs, targets = moved(inputs, device), targets.to(device)
        outputs = call(model, inputs)
        checks.first_loss("val", val, objective, outputs, targets)
        if metrics is None:
            unlabeled = getattr(val, "unlabeled", False)
            metrics = () if unlabeled else default_metrics(objective, targets)
        found = find_metrics(metrics)
        for name, metric in found.items():
            tried = measure(name, metric, objective)
            if isinstance(tried, Mean):  # another object would remember this batch
                with checks.watched(name, metric, objective, outputs, targets):
                    tried.update(outputs, targets)
        reset_state(model)
        model.train(training)
    return found


def choose_monitor(
    monitor: str | None, metrics: dict[str, Any], stopping: EarlyStopping
) -> tuple[str, str]:
    """The score that decides which epoch is best, and its direction."""
    if monitor is None:
        first = next(iter(metrics), None)
        known = first is not None and (mode_of(metrics[first]) or stopping.mode)
        monitor = first if first is not None and known else "loss"
    elif monitor != "loss" and monitor not in metrics:
        if monitor in METRICS:
            raise UsageError(
                f"monitor {monitor!r} is not measured; add it: metrics={[*metrics, monitor]}"
            )
        raise UnknownNameError("monitor", monitor, ["loss", *metrics])
    mode = "min" if monitor == "loss" else mode_of(metrics[monitor])
    if mode and stopping.mode and mode != stopping.mode:
        raise UsageError(
            f"mode={stopping.mode!r}, but {monitor} is better if it is "
            f"{'low' if mode == 'min' else 'high'}; leave mode out"
        )
    if not (mode or stopping.mode):
        raise UsageError(
            f"whether a low or a high {monitor} is better is unknown; give "
            "early_stopping=EarlyStopping(mode='min') or mode='max'"
        )
    return monitor, mode or stopping.mode or "min"
