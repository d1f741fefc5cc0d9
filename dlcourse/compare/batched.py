"""Many runs as one model: weights stacked, `vmap` over them, torch's own optimizers on the stack.

Runs that differ in seed, initialization, optimizer, learning rate or weight decay share every
operation of a step. Each optimizer updates elementwise, so one instance over the slice of the
stack that has its learning rate does to every model what it would do to that model alone; results
are those of `fit` within float32 rounding.
"""

from __future__ import annotations

import copy
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from dlcourse import optim, runtime
from dlcourse.compare import axes, material
from dlcourse.compare.material import Place
from dlcourse.compare.row import Row
from dlcourse.compare.single import build, kept_epoch, prefixed
from dlcourse.data import Batches
from dlcourse.train import METRICS, EarlyStopping, cross_entropy

__all__ = ["MOST", "can_share", "run_together", "shared_settings"]

# What may differ between the models of one stack.
FREE = ("seed", "init", "optimizer", "lr", "weight_decay")
# The arguments of `fit` that are followed here; a run with another goes through `fit` itself.
FOLLOWED = (
    "epochs", "optimizer", "lr", "weight_decay", "schedule", "metrics", "monitor", "mode",
    "patience", "min_delta", "compile",
)  # fmt: skip
# Schedules that look at nothing but the number of steps.
SCHEDULES = (None, "linear", "cosine", "onecycle", "inverse")
# Optimizers whose one-pass form is quicker on a stack (measured on a CPU).
FUSED = ("adam", "adamw")
# Models of a stack. More gain nothing, as the weights outgrow the processor's cache.
MOST = 32
TRIALS = 3


def can_share(settings: Mapping[str, Any]) -> bool:
    """Whether the loop here knows all that `settings` ask for."""
    fit = axes.split(settings).fit
    return set(fit) <= set(FOLLOWED) and fit.get("schedule") in SCHEDULES


def shared_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What runs must have in common to train as one model."""
    return {name: value for name, value in settings.items() if name not in FREE}


class Stack:
    """Models of one architecture as one.

    models: at least one. compiled: whether `gradients` is.
    inputs: (B, ...) for all models, or, where `each`, (models, B, ...) for each its own.
    """

    def __init__(self, models: Sequence[nn.Module], compiled: bool = False) -> None:
        runtime.keep_freed_memory()
        params, buffers = stack_module_state(list(models))
        self.params = {name: columns_first(value) for name, value in params.items()}
        self.buffers = {name: value.detach().clone() for name, value in buffers.items()}
        self.module = copy.deepcopy(models[0])
        self.count = len(models)
        # What `compile` is given must be one function, gradients included.
        self.compiled = torch.compile(grad(self.total, has_aux=True)) if compiled else None

    def outputs(self, inputs: Tensor, each: bool, params: dict | None = None) -> Tensor:
        """Shape: (models, B, ...)."""
        return vmap(self.call, in_dims=(0, 0, 0 if each else None))(
            params or self.params, self.buffers, inputs
        )

    def total(
        self, params: dict, inputs: Tensor, targets: Tensor, each: bool
    ) -> tuple[Tensor, Tensor]:
        """The sum of the models' mean cross-entropies, (), and each of them, (models,)."""
        outputs = self.outputs(inputs, each, params)  # (models, B, classes)
        if not each:
            targets = targets.expand(self.count, -1)
        # One softmax over all rows: `vmap` would take it apart into small operations.
        losses = F.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
        losses = losses.view(targets.shape).mean(1)
        return losses.sum(), losses

    def gradients(
        self, inputs: Tensor, targets: Tensor, each: bool
    ) -> tuple[dict[str, Tensor], Tensor]:
        """By name the gradients of each model's loss, and the losses, (models,)."""
        if self.compiled:
            params = {name: value.detach() for name, value in self.params.items()}
            return self.compiled(params, inputs, targets, each)
        total, losses = self.total(self.params, inputs, targets, each)
        gradients = torch.autograd.grad(total, tuple(self.params.values()))
        return dict(zip(self.params, gradients, strict=True)), losses.detach()

    def call(self, params: dict, buffers: dict, inputs: Tensor) -> Tensor:
        return functional_call(self.module, (params, buffers), (inputs,))

    def state(self) -> dict[str, Tensor]:
        """A copy of every weight and buffer."""
        return {
            name: value.detach().clone()
            for name, value in itertools.chain(self.params.items(), self.buffers.items())
        }

    @torch.no_grad()
    def write(self, state: Mapping[str, Tensor]) -> None:
        """Set every weight and buffer from `state`."""
        for name, value in itertools.chain(self.params.items(), self.buffers.items()):
            value.copy_(state[name])


def columns_first(weight: Tensor) -> Tensor:
    """A leaf with the same values; matrices lie in memory transposed, as the batched product that
    a linear layer becomes wants them (2.4 times as fast on a CPU)."""
    weight = weight.detach().clone()
    if weight.dim() == 3:
        weight = weight.mT.contiguous().mT
    return weight.requires_grad_()


class Optimizers:
    """An optimizer, and its schedule, for every slice of `stack` with the same settings.

    each: optimizer, lr and weight_decay of each model, equal ones side by side.
    """

    def __init__(
        self, stack: Stack, each: Sequence[tuple], schedule: str | None, steps: int
    ) -> None:
        self.stack, self.parts, self.schedulers = stack, [], []
        start = 0
        for (name, lr, weight_decay), same in itertools.groupby(each):
            end = start + len(list(same))
            slices = {key: value.detach()[start:end] for key, value in stack.params.items()}
            fused = {"fused": True} if name in FUSED else {}
            optimizer = optim.build(name, slices.values(), lr, weight_decay=weight_decay, **fused)
            self.parts.append((optimizer, slices, slice(start, end)))
            if schedule:
                self.schedulers.append(optim.build_schedule(schedule, optimizer, steps))
            start = end

    def step(self, gradients: Mapping[str, Tensor]) -> None:
        """One step of every model down the gradient of its own loss."""
        for optimizer, slices, place in self.parts:
            for name, weight in slices.items():
                weight.grad = gradients[name][place]
            optimizer.step()
        for scheduler in self.schedulers:
            scheduler.step()


class Streams:
    """The training batches of every model: one for all where they share a seed."""

    def __init__(self, batches: Mapping[int, Batches], seeds: Sequence[int]) -> None:
        self.batches = list(batches.values())
        places = {seed: place for place, seed in enumerate(batches)}
        self.which = torch.tensor([places[seed] for seed in seeds], device=self.batches[0].device)
        self.each = len(self.batches) > 1

    def __len__(self) -> int:
        return len(self.batches[0])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if not self.each:
            yield from self.batches[0]
            return
        for group in zip(*self.batches, strict=True):
            inputs, targets = (torch.stack(part) for part in zip(*group, strict=True))
            yield inputs[self.which], targets[self.which]


def run_together(
    runs: Sequence[Mapping[str, Any]], place: Place, test: bool = True
) -> list[Row] | None:
    """The rows of `runs`, trained as one model; None where that is not quicker here.

    compile=True, an argument of `fit`, is taken to say that it is quicker once compiled.

    Raises RuntimeError for a model that cannot be stacked, one with dropout say.
    """
    start = time.perf_counter()
    runs = sorted(runs, key=by_optimizer)
    parts = [axes.split(settings) for settings in runs]
    common, seeds = parts[0], [part.own["seed"] for part in parts]
    models = [build(settings, place).to(place.device) for settings in runs]
    batches = {
        seed: material.splits(runs[0]["data"], common.data, seed, place)
        for seed in dict.fromkeys(seeds)
    }
    streams = Streams({seed: made[0] for seed, made in batches.items()}, seeds)
    _, val, test_batches = batches[seeds[0]]
    epochs = common.fit.get("epochs", 10)
    each = [
        (
            part.fit.get("optimizer", "adam"),
            part.fit.get("lr"),
            part.fit.get("weight_decay", 0.0),
        )
        for part in parts
    ]
    schedule, steps = common.fit.get("schedule"), epochs * len(streams)
    compiled = common.fit.get("compile", False)
    if not compiled and not quicker(models, each, streams, place):
        return None
    stack = Stack(models, compiled)
    optimizers = Optimizers(stack, each, schedule, steps)
    count = sum(parameter.numel() for parameter in models[0].parameters())
    rows = [Row(dict(settings), "done", parameters=count, data=val.source) for settings in runs]
    train_rows(rows, stack, optimizers, streams, val, common)
    metrics = common.fit.get("metrics", ("accuracy",))
    first = score(stack, val, metrics) if any(kept_epoch(row) is None for row in rows) else None
    final = score(stack, test_batches, metrics) if test else [{}] * len(rows)
    # Seeds order the same training images differently.
    seen = common.own["train_scores"] and score(stack, streams.batches[0], metrics)
    for model, row in enumerate(rows):
        kept = kept_epoch(row)
        row.scores |= (
            prefixed("val", first[model])
            if kept is None
            else {name: value for name, value in kept.items() if name.startswith("val_")}
        )
        row.scores["train_loss"] = row.epochs[-1]["train_loss"] if row.epochs else math.nan
        if seen:
            row.scores |= prefixed("train", seen[model])
        row.scores |= prefixed("test", final[model])
        row.together = len(rows)
        row.seconds = (time.perf_counter() - start) / len(rows)
    return rows


def by_optimizer(settings: Mapping[str, Any]) -> tuple:
    lr = settings.get("lr")
    return (
        settings.get("optimizer", "adam"),
        math.inf if lr is None else lr,
        settings.get("weight_decay", 0.0),
    )


def train_rows(
    rows: Sequence[Row],
    stack: Stack,
    optimizers: Optimizers,
    streams: Streams,
    val: Batches,
    common: axes.Parts,
) -> None:
    """What `fit` does, for all rows at once; `stack` then holds the weights that it would keep."""
    fit = common.fit
    monitor, metrics = fit.get("monitor", "accuracy"), fit.get("metrics", ("accuracy",))
    keep_last = common.own["keep"] == "last"
    min_delta = math.inf if keep_last else fit.get("min_delta", 0.0)
    stopping = [EarlyStopping(fit.get("patience"), min_delta, fit.get("mode", "max")) for _ in rows]
    going = [True] * len(rows)
    first, kept = (stack.state(), stack.state())
    for epoch in range(1, fit.get("epochs", 10) + 1):
        start = time.perf_counter()
        stack.module.train()
        losses = []
        for inputs, targets in streams:
            gradients, step_losses = stack.gradients(inputs, targets, streams.each)
            optimizers.step(gradients)
            losses.append(step_losses)
        history = torch.stack(losses)  # (steps, models)
        finite = history.isfinite()
        means, scores = history.mean(0).tolist(), score(stack, val, metrics)
        seconds = (time.perf_counter() - start) / len(rows)
        better = []
        for model, row in enumerate(rows):
            if not going[model]:
                continue
            if not finite[:, model].all():
                step = int(finite[:, model].long().argmin())
                row.status, going[model] = "diverged", False
                row.message = (
                    f"the loss is {history[step, model]:g} at step {step + 1} of epoch {epoch}"
                )
                if keep_last:
                    restore(kept, first, model)
                continue
            row.epochs.append(
                {"epoch": epoch, "train_loss": means[model]}
                | prefixed("val", scores[model])
                | {"seconds": seconds}
            )
            if stopping[model].update(scores[model][monitor]):
                row.best_epoch = epoch
                better.append(model)
            if keep_last:
                better.append(model)
            going[model] = not stopping[model].stop
        if better:
            current = stack.state()
            for model in better:
                restore(kept, current, model)
        if not any(going):
            break
    stack.write(kept)


def restore(target: Mapping[str, Tensor], source: Mapping[str, Tensor], model: int) -> None:
    for name, value in target.items():
        value[model] = source[name][model]


@torch.no_grad()
def score(stack: Stack, batches: Batches, metrics: Sequence[str]) -> list[dict[str, float]]:
    """What `evaluate` measures, for each model of the stack."""
    measures = {"loss": cross_entropy, **{name: METRICS[name] for name in metrics}}
    stack.module.eval()
    sums, count = 0.0, 0
    for inputs, targets in batches:
        outputs = stack.outputs(inputs, each=False)
        values = [vmap(m, in_dims=(0, None))(outputs, targets) for m in measures.values()]
        sums = sums + torch.stack(values, 1) * targets.numel()  # (models, measures)
        count += targets.numel()
    return [dict(zip(measures, row, strict=True)) for row in (sums / count).tolist()]


def quicker(
    models: Sequence[nn.Module], each: Sequence[tuple], streams: Streams, place: Place
) -> bool:
    """Time a step of the stack against a step of each model in turn, a few times, on copies."""
    inputs, targets = next(iter(streams))
    own = (inputs[0], targets[0]) if streams.each else (inputs, targets)
    stack = Stack(models)
    stack.module.train()
    optimizers = Optimizers(stack, each, None, 1)
    model = copy.deepcopy(models[0]).train()
    name, lr, weight_decay = each[0]
    optimizer = optim.build(name, model.parameters(), lr, weight_decay=weight_decay)

    def together() -> None:
        optimizers.step(stack.gradients(inputs, targets, streams.each)[0])

    def in_turn() -> None:
        for _ in models:
            loss = cross_entropy(model(own[0]), own[1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    rounds = [(seconds(together, place), seconds(in_turn, place)) for _ in range(1 + TRIALS)]
    for batches in streams.batches:
        batches.epoch = 0
    return statistics.median(ours / theirs for ours, theirs in rounds[1:]) < 1


def seconds(step: Callable[[], None], place: Place) -> float:
    start = time.perf_counter()
    step()
    if torch.device(place.device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
