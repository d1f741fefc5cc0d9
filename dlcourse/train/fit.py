"""The training loop: a pass over the batches, a look at the validation data, again."""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from dlcourse import optim
from dlcourse.errors import NonFiniteLossError, UnknownNameError, UsageError
from dlcourse.runtime import pick_device, versions
from dlcourse.train.early_stopping import EarlyStopping
from dlcourse.train.history import History
from dlcourse.train.metrics import METRICS, cross_entropy

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
    schedule: str | None = None,
    loss: Loss = cross_entropy,
    metrics: Sequence[str] = ("accuracy",),
    monitor: str = "accuracy",
    mode: str = "max",
    patience: int | None = None,
    min_delta: float = 0.0,
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: bool | None = None,
) -> History:
    """Train `model` and leave it with the weights of its best epoch on `val`.

    train, val: iterables with a length over (inputs, targets); `dlcourse.data` makes them, a
        DataLoader will do. Without `val` the last weights stay.
    schedule: a name from optim.SCHEDULES, stepped after each batch over all `epochs`.
    loss(outputs, targets): the mean over the batch, a scalar tensor.
    metrics, monitor, mode: names from METRICS to measure on `val`; the one ("loss" too) that
        decides which epoch is best, and whether "max" or "min" is better.
    patience, min_delta: see EarlyStopping. seed: for dropout and every other draw of the model;
        the order of the batches has the seed of `train`.
    device: "cpu", "cuda", ... or None for the best there is. progress: None shows a bar on stderr
        where that is a terminal.

    Raises UsageError for an argument that cannot be, and NonFiniteLossError where the loss turns
    NaN or infinite: it names the step, carries the History so far as `.history`, and the model
    then holds its best weights so far (those it came with, where no epoch was scored).
    """
    if epochs < 1:
        raise UsageError(f"epochs must be at least 1, got {epochs}")
    if val is not None and monitor not in ("loss", *metrics):
        raise UnknownNameError("monitor", monitor, ["loss", *metrics])
    if len(train) == 0:
        raise UsageError("train holds no batch: is batch_size larger than the data?")
    torch.manual_seed(seed)
    device = pick_device(device)
    model.to(device)
    history = History(
        config={
            "model": type(model).__name__,
            "parameters": sum(p.numel() for p in model.parameters()),
            "epochs": epochs,
            "optimizer": optimizer if isinstance(optimizer, str) else type(optimizer).__name__,
            "lr": lr,
            "weight_decay": weight_decay,
            "schedule": schedule,
            "loss": getattr(loss, "__name__", type(loss).__name__),
            "monitor": monitor,
            "mode": mode,
            "patience": patience,
            "min_delta": min_delta,
            "batch_size": getattr(train, "batch_size", None),
            "data_seed": getattr(train, "seed", None),
        },
        seed=seed,
        device=str(device),
        data=getattr(train, "source", ""),
        versions=versions(),
    )
    if isinstance(optimizer, str):
        optimizer = optim.build(optimizer, model.parameters(), lr, weight_decay=weight_decay)
    scheduler = schedule and optim.build_schedule(schedule, optimizer, epochs * len(train))
    stopping = EarlyStopping(patience, min_delta, mode)
    best_weights = copy.deepcopy(model.state_dict())
    hide = None if progress is None else not progress
    bar = tqdm(total=epochs * len(train), unit="batch", disable=hide, file=sys.stderr)
    try:
        for epoch in range(1, epochs + 1):
            start = time.perf_counter()
            bar.set_description(f"epoch {epoch}/{epochs}", refresh=False)
            train_loss = train_epoch(model, train, optimizer, scheduler, loss, epoch, bar)
            row = {"epoch": epoch, "train_loss": train_loss}
            if val is not None:
                scores = evaluate(model, val, loss=loss, metrics=metrics)
                row |= {f"val_{name}": score for name, score in scores.items()}
                bar.set_postfix({"val " + monitor: f"{scores[monitor]:.4f}"}, refresh=False)
                if stopping.update(scores[monitor]):
                    history.best_epoch = epoch
                    best_weights = copy.deepcopy(model.state_dict())
            history.epochs.append(row | {"seconds": time.perf_counter() - start})
            if stopping.stop and val is not None:
                history.stopped = f"no better {monitor} for {patience} epochs"
                break
    except NonFiniteLossError as error:
        model.load_state_dict(best_weights)
        history.stopped = str(error)
        error.history = history
        raise
    finally:
        bar.close()
    if history.best_epoch:
        model.load_state_dict(best_weights)
    return history


def train_epoch(
    model: nn.Module,
    batches: Batches,
    optimizer: torch.optim.Optimizer,
    scheduler: LRScheduler | None,
    loss: Loss,
    epoch: int,
    bar: tqdm,
) -> float:
    """One pass over `batches`; returns the mean of the batches' losses."""
    model.train()
    reset_state(model)
    device = next(model.parameters()).device
    losses = []
    for step, (inputs, targets) in enumerate(batches, start=1):
        batch_loss = loss(model(inputs.to(device)), targets.to(device))
        optimizer.zero_grad()
        batch_loss.backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
        losses.append(batch_loss.detach())
        bar.update()
        if step % LOOK_EVERY == 0:
            check_finite(losses, epoch)
    check_finite(losses, epoch)
    return torch.stack(losses).mean().item()


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Batches,
    *,
    loss: Loss = cross_entropy,
    metrics: Sequence[str] = ("accuracy",),
) -> dict[str, float]:
    """The mean `loss` and `metrics` of `model` over `batches`, in eval mode: {"loss": ..., ...}.

    Batches count by their number of targets, so a short last batch is weighed rightly.
    """
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise UnknownNameError("metric", unknown[0], METRICS)
    measures = {"loss": loss, **{name: METRICS[name] for name in metrics}}
    model.eval()
    reset_state(model)
    device = next(model.parameters()).device
    sums, count = torch.zeros(len(measures), device=device), 0
    for inputs, targets in batches:
        targets = targets.to(device)
        outputs = model(inputs.to(device))
        values = torch.stack([measure(outputs, targets) for measure in measures.values()])
        sums += values * targets.numel()
        count += targets.numel()
    if count == 0:
        raise UsageError("there is no batch to evaluate on")
    return dict(zip(measures, (sums / count).tolist(), strict=True))


def reset_state(model: nn.Module) -> None:
    """Start a pass with a fresh hidden state where `model` carries one from batch to batch."""
    if hasattr(model, "reset_state"):
        model.reset_state()


def check_finite(losses: list[Tensor], epoch: int) -> None:
    """Raise NonFiniteLossError for the first loss that is NaN or infinite, with its step."""
    newest = torch.stack(losses[-LOOK_EVERY:])
    if not newest.isfinite().all():
        values = torch.stack(losses).tolist()
        step = next(i for i, value in enumerate(values) if not math.isfinite(value))
        raise NonFiniteLossError(
            f"the loss is {values[step]} at step {step + 1} of epoch {epoch}; "
            "try a smaller lr, or look for a division or log of 0; the best weights so far are kept"
        )
