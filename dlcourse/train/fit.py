"""The training loop: a pass over the batches, a look at the validation data, again."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from os import PathLike

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from dlcourse.errors import NonFiniteLossError, UsageError
from dlcourse.train import distributed
from dlcourse.train.callbacks import Callback
from dlcourse.train.history import History
from dlcourse.train.metrics import cross_entropy, find, finish
from dlcourse.train.prepare import prepare
from dlcourse.train.run import Run
from dlcourse.train.speed import out_of_memory

__all__ = ["evaluate", "fit"]

Batches = Iterable[tuple[Tensor, Tensor]]
Loss = Callable[[Tensor, Tensor], Tensor]

# Steps between two looks at the losses: a look waits for the device, so it is not taken every step.
LOOK_EVERY = 50


def fit(
    model: nn.Module,
    train: Batches,
    val: Batches | None = None,
    *,
    epochs: int = 10,
    optimizer: str | torch.optim.Optimizer = "adam",
    lr: float | None = None,
    weight_decay: float = 0.0,
    decay_vectors: bool = True,
    schedule: str | Callable[[torch.optim.Optimizer, int], LRScheduler] | None = None,
    loss: Loss = cross_entropy,
    label_smoothing: float = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    accumulate: int = 1,
    average: str | None = None,
    metrics: Sequence[str | Loss] = ("accuracy",),
    monitor: str = "accuracy",
    mode: str = "max",
    patience: int | None = None,
    min_delta: float = 0.0,
    relative: bool = False,
    baseline: float | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | PathLike[str] | None = None,
    resume: bool = False,
    tensorboard: str | PathLike[str] | None = None,
    channels_last: bool | None = None,
    fused: bool | None = None,
    bf16: bool | None = False,
    compile: bool | None = False,
    deterministic: bool = False,
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: bool | None = None,
) -> History:
    """Train `model` and leave it with the weights of its best epoch on `val`.

    train, val: iterables with a length over (inputs, targets); `dlcourse.data` makes them, a
        DataLoader will do. Without `val` the last weights stay. What targets are is between the
        data and `loss`: classes, numbers, next tokens, or the inputs again (`Reconstruction`).
    optimizer: a name from optim.OPTIMIZERS, or an optimizer over the model's parameters.
    decay_vectors: False spares biases and the parameters of norms the weight decay.
    schedule: a name from optim.SCHEDULES, or a function (optimizer, steps) -> scheduler; stepped
        after each step of the optimizer, "halve" (a ReduceLROnPlateau) with each `val` loss.
    loss(outputs, targets): the mean over the batch, a scalar tensor. label_smoothing: of the
        cross-entropy that is trained on; validation's is plain.
    clip_norm, clip_value: the largest norm of all gradients together; largest size of one number.
    accumulate: batches a step of the optimizer. average: "ema" or "swa", see `Average`; the
        averaged weights are scored and kept.
    metrics, monitor, mode: names from METRICS (or functions) to measure on `val`; the one ("loss"
        too) that decides which epoch is best, and whether "max" or "min" is better.
    patience, min_delta, relative, baseline: see EarlyStopping. callbacks: see Callback.
    checkpoint: a folder, see Checkpoint. resume: go on from what is there, as if never stopped.
    tensorboard: a folder for its logs. channels_last ... deterministic: see Speed.
    seed: for dropout and every other draw of the model; the order of the batches has the seed of
        `train`.
    device: "cpu", "cuda", ... or None for the best there is. progress: None shows a line on stderr
        where that is a terminal.

    Processes that torchrun started share each batch: see `distributed`.

    Raises UsageError for an argument that cannot be, TrainingError for a batch that the device has
    no memory for, and NonFiniteLossError where a loss turns NaN or infinite: it names the step,
    carries the History so far as `.history`, and the model then holds its best weights so far
    (those it came with, where no epoch was scored).
    """
    run = prepare(**locals())
    history = run.history
    try:
        with run.session():
            while run.epoch <= epochs and not run.stop:
                start = time.perf_counter()
                row = {"epoch": run.epoch, "train_loss": train_epoch(run, train)}
                if val is not None:
                    with run.speed.autocast():
                        scores = evaluate(run.scored, val, loss=loss, metrics=metrics, shared=True)
                    check_scores(scores, row)
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
        run.keep_weights()
    run.restore_best()
    return history


def train_epoch(run: Run, batches: Batches) -> float:
    """One pass over `batches`; returns the mean of the batches' losses."""
    run.model.train()
    if run.step == 0:
        reset_state(run.model)
    run.optimizer.zero_grad()
    for inputs, targets in run.left(batches):
        run.samples += len(targets)
        inputs, targets, weight = distributed.my_rows(inputs, targets)
        inputs, targets = run.speed.inputs(inputs), run.speed.targets(targets)
        share = weight / run.group_size
        try:
            with run.speed.autocast():
                batch_loss = run.loss(run.net(inputs), targets)
            (batch_loss if share == 1 else batch_loss * share).backward()
        except torch.OutOfMemoryError as error:
            traceback.clear_frames(error.__traceback__)  # they hold what filled the memory
            raise out_of_memory(run.model, run.loss, inputs, targets) from None
        run.losses.append(batch_loss.detach() if weight == 1 else batch_loss.detach() * weight)
        run.step += 1
        if run.group_ends:
            run.clip()
            run.optimizer.step()
            run.optimizer.zero_grad()
            run.after_step()
        if run.step % LOOK_EVERY == 0:
            check_finite(run.losses[-LOOK_EVERY:], run)
    check_finite(run.losses[-LOOK_EVERY:], run)
    if run.average:
        run.average.on_epoch(run.epoch)
    return distributed.mean(torch.stack(run.losses)).mean().item()


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Batches,
    *,
    loss: Loss = cross_entropy,
    metrics: Sequence[str | Loss] = ("accuracy",),
    shared: bool = False,
) -> dict[str, float]:
    """The mean `loss` and `metrics` of `model` over `batches`, in eval mode: {"loss": ..., ...}.

    Batches count by their number of targets, so a short last batch is weighed rightly, and the
    means of a language model are means over tokens.
    shared: whether each of several processes takes its rows of the batches; all return the same.
    """
    measures = {"loss": loss, **find(metrics)}
    model.eval()
    reset_state(model)
    if shared:
        distributed.same_buffers(model)
    device = next(model.parameters()).device
    sums, count = torch.zeros(len(measures), device=device), 0
    for inputs, targets in batches:
        size = targets.numel()
        weight = size
        if shared:
            inputs, targets, part = distributed.my_rows(inputs, targets)
            weight = size * part / distributed.world_size()
        targets = targets.to(device)
        outputs = model(inputs.to(device))
        values = torch.stack([measure(outputs, targets) for measure in measures.values()])
        sums += values * weight
        count += size
    if count == 0:
        raise UsageError("there is no batch to evaluate on")
    means = ((distributed.total(sums) if shared else sums) / count).tolist()
    return {name: finish(measures[name], mean) for name, mean in zip(measures, means, strict=True)}


def reset_state(model: nn.Module) -> None:
    """Start a pass with a fresh hidden state where `model` carries one from batch to batch."""
    if hasattr(model, "reset_state"):
        model.reset_state()


def check_finite(newest: list[Tensor], run: Run) -> None:
    """Raise NonFiniteLossError for the first loss that is NaN or infinite, with its step."""
    values = distributed.mean(torch.stack(newest))
    if not values.isfinite().all():
        values = values.tolist()
        place = next(i for i, value in enumerate(values) if not math.isfinite(value))
        raise NonFiniteLossError(
            f"the loss is {values[place]} at step {run.step - len(values) + place + 1} of epoch "
            f"{run.epoch}; try a smaller lr, or look for a division or log of 0; "
            "the best weights so far are kept"
        )


def check_scores(scores: dict[str, float], row: dict[str, float]) -> None:
    """Raise NonFiniteLossError where the validation loss is NaN or infinite and training's not."""
    if not math.isfinite(scores["loss"]):
        raise NonFiniteLossError(
            f"the validation loss is {scores['loss']} after epoch {row['epoch']}, the training "
            f"loss {row['train_loss']:.4g}; look at the validation data, and at layers that differ "
            "in eval mode (batch norm, dropout); the best weights so far are kept"
        )
