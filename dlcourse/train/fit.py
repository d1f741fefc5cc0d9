"""The training loop: a pass over the training batches, a look at the validation data, again."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from dlcourse.errors import NonFiniteLossError, UsageError
from dlcourse.train import checks, distributed
from dlcourse.train.early_stopping import EarlyStopping
from dlcourse.train.execution import Execution, Gradients
from dlcourse.train.history import History
from dlcourse.train.losses import Loss, cross_entropy, describe_loss, shape_of
from dlcourse.train.metrics import (
    Mean,
    Metrics,
    Whole,
    default_metrics,
    find_metrics,
    measure,
)
from dlcourse.train.prepare import Schedule, prepare
from dlcourse.train.run import Callback, Run, call, moved, reset_state

__all__ = ["evaluate", "fit", "predict"]

# Rows at a time if `predict` is given one tensor.
PREDICT_BATCH = 512


def fit(
    model: nn.Module,
    train: Any,
    val: Any = None,
    *,
    epochs: int = 10,
    loss: Loss = cross_entropy,
    optimizer: str | torch.optim.Optimizer = "adam",
    lr: float | None = None,
    weight_decay: float | None = None,
    schedule: Schedule | None = None,
    gradients: Gradients | None = None,
    average: str | None = None,
    metrics: Metrics | None = None,
    monitor: str | None = None,
    patience: int | None = None,
    early_stopping: EarlyStopping | None = None,
    callbacks: Callback | Sequence[Callback] = (),
    execution: Execution | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: bool | None = None,
) -> History:
    """Train `model`, and leave it with the weights of its best epoch on `val`.

    train, val: iterables with a length over pairs (inputs, targets): those of `dlcourse.data`, a
        DataLoader, or a list. Inputs may be a tuple of tensors; the model takes them as arguments.
        Without `val` the last weights stay.
    loss(outputs, targets): the mean over a batch. The loss decides what is measured unless
        `metrics` says it: accuracy for class numbers, perplexity for tokens, binary accuracy for
        binary cross-entropy, and for anything else the loss alone.
    optimizer: a name from `optim.OPTIMIZERS`, or an optimizer over the model's parameters. lr,
        weight_decay: None takes the optimizer's own default.
    schedule: a name from `optim.SCHEDULES`, or a function (optimizer, steps) -> scheduler. It is
        stepped after every step of the optimizer ("halve": after every epoch).
    gradients: clipping and accumulation, see Gradients. average: "ema" or "swa", see Average; the
        averaged weights are scored and kept.
    metrics: what to measure on `val`: names from METRICS, functions (outputs, targets), or objects
        with `update` and `compute`. monitor: the one that decides which epoch is best, or "loss"
        (None: the first metric). Whether low or high is better belongs to the metric.
    patience: stop after so many epochs without improvement. early_stopping: the long form.
    callbacks: Checkpoint(folder), TensorBoard(folder), CSVLog(path), or your own.
    execution: how to compute, see Execution. device: "cpu", "cuda", ...; None takes the best one.
    seed: for dropout and every other random draw of the model; the batches have their own seed.
    progress: whether to show a line on stderr (None: on a terminal and in a notebook).

    If torchrun started several processes, they share every batch; see `distributed`.

    Raises UsageError for arguments or data that make no sense, before the first step; TrainingError
    for a batch that does not fit into memory; and NonFiniteLossError if a loss turns NaN or
    infinite. The last one names the step and carries the History as `.history`; the model then
    holds its best weights so far (its first ones if no epoch was scored).
    """
    run = prepare(
        model, train, val, epochs=epochs, loss=loss, optimizer=optimizer, lr=lr,
        weight_decay=weight_decay, schedule=schedule, gradients=gradients, average=average,
        metrics=metrics, monitor=monitor, patience=patience, early_stopping=early_stopping,
        callbacks=callbacks, execution=execution, seed=seed, device=device, progress=progress,
    )  # fmt: skip
    history = run.history
    try:
        with run.session():
            while run.epoch <= epochs and not run.stop:
                start = time.perf_counter()
                train_loss = train_epoch(run, train)
                row = {"epoch": run.epoch, "lr": run.epoch_lr, "train_loss": train_loss}
                if val is not None:
                    scores = validate(run, val)
                    row |= {f"val_{name}": score for name, score in scores.items()}
                    run.judge(scores)
                run.end_epoch(row | {"seconds": time.perf_counter() - start})
    except NonFiniteLossError as error:
        run.restore_best()
        history.stopped = str(error)
        error.history = history
        raise
    history.stopped = run.stop
    if not history.best_epoch:
        if val is not None and all(math.isnan(row[f"val_{run.monitor}"]) for row in history.epochs):
            undefined = NonFiniteLossError(
                f"{run.monitor} is NaN after every epoch, so that no epoch is the best; look at "
                "the metric, or give another monitor; the model keeps its last weights"
            )
            undefined.history = history
            raise undefined
        run.keep_weights()
    run.restore_best()
    return history


def train_epoch(run: Run, batches: Any) -> float:
    """One pass over `batches`. Returns the mean loss over all targets."""
    run.start_epoch()
    with run.explained():
        for inputs, targets in run.remaining(batches):
            with run.placement.autocast():
                outputs = run.forward(inputs)
                loss = run.loss(outputs, targets)
            run.backward(loss)
            step = run.step_is_due
            if step:
                run.step_optimizer()
            run.end_batch(step)
    return run.end_pass()


def validate(run: Run, val: Any) -> dict[str, float]:
    """The scores on `val`. Raises NonFiniteLossError if the loss is NaN or infinite."""
    with run.placement.autocast():
        scores = evaluate(run.scored, val, loss=run.objective, metrics=run.metrics, shared=True)
    if math.isfinite(scores["loss"]):
        return scores
    advice = checks.non_finite("val", val) or (
        "look at the validation data, and at layers that differ in eval mode (batch norm)"
    )
    raise NonFiniteLossError(
        f"the validation loss is {scores['loss']} after epoch {run.epoch}, and the training loss "
        f"is not; {advice}; the best weights so far are kept"
    )


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Any,
    *,
    loss: Loss = cross_entropy,
    metrics: Metrics | None = None,
    shared: bool = False,
) -> dict[str, float]:
    """Measure `model` in eval mode: {"loss": ..., "accuracy": ...}.

    loss, metrics: as in `fit`. Scores are means over all targets of `batches`, so a short last
    batch counts by its size, and those of a language model are means over tokens.
    shared: several processes share every batch, and all return the same scores.

    Raises UsageError for data that do not fit the loss or a metric.
    """
    objective = describe_loss(loss)
    objective = replace(objective, loss=objective.evaluate)
    device = next(model.parameters()).device
    if isinstance(objective.loss, nn.Module):
        objective.loss.to(device)
    found = None if metrics is None else find_metrics(metrics)
    # An epoch metric needs all rows, and no way to add up those of several processes is known.
    shared = shared and not any(hasattr(one, "update") for one in (found or {}).values())
    measures: dict[str, Mean | Whole] = {}
    model.eval()
    reset_state(model)
    if shared:
        distributed.same_buffers(model)
    for batch in batches:
        inputs, targets = batch if measures else checks.check_batch("the data", batch, model)
        share = 1.0
        if shared:
            inputs, targets, share = distributed.my_rows(inputs, targets)
        inputs, targets = moved(inputs, device), targets.to(device)
        outputs = call(model, inputs)
        first = not measures
        if first:
            checks.check_outputs("the data", objective, outputs, targets)
            if found is None:
                found = find_metrics(default_metrics(objective, targets))
            measures["loss"] = Mean(f"loss {objective.name}", objective, objective.weight, shared)
            measures |= {name: measure(name, one, objective, shared) for name, one in found.items()}
        for name, one in measures.items():
            watch: AbstractContextManager[None] = nullcontext()
            if first and isinstance(one, Mean):
                watch = checks.watched(name, (found or {}).get(name), objective, outputs, targets)
            with watch:
                one.update(outputs, targets, share)
    if not measures:
        raise UsageError("there is no batch to evaluate on")
    return {name: one.compute() for name, one in measures.items()}


@torch.inference_mode()
def predict(model: nn.Module, batches: Any) -> Tensor:
    """The outputs of `model` in eval mode for all inputs, in order, on the CPU.

    batches: pairs (inputs, targets), whose targets are not used; or batches of inputs alone; or
        one tensor of inputs (N, *). The logits of a classifier become classes by `.argmax(-1)`.

    Returns the outputs as one tensor, (N, *). Raises UsageError if there are none, or if they are
    not tensors of the same shape.
    """
    device = next(model.parameters()).device
    modes = [(module, module.training) for module in model.modules()]
    if isinstance(batches, Tensor):
        batches = batches.split(PREDICT_BATCH)
    parts = []
    model.eval()
    reset_state(model)
    try:
        for batch in batches:
            pair = isinstance(batch, tuple | list) and len(batch) == 2
            outputs = call(model, moved(batch[0] if pair else batch, device))
            if not isinstance(outputs, Tensor):
                raise UsageError(
                    f"predict takes models that return a tensor, got {shape_of(outputs)}"
                )
            parts.append(outputs.cpu())
    finally:
        for module, training in modes:  # a frozen part may stay in eval mode
            module.training = training
        reset_state(model)
    if not parts:
        raise UsageError("there is no batch to predict")
    if len({part.shape[1:] for part in parts}) > 1:
        raise UsageError(
            f"the outputs of the batches have the shapes {tuple(parts[0].shape)} and "
            f"{tuple(parts[-1].shape)}, which do not make one tensor; predict batch by batch"
        )
    return torch.cat(parts)
