"""Train many runs as one model: stacked weights, `vmap` over them, torch's own optimizers.

Runs that differ in seed, initialization, optimizer, learning rate or weight decay share every
operation of a step. The optimizers work elementwise, so one instance over the slice of the stack
with the same settings does to each model what it would do to that model alone. Results are those
of `fit` up to rounding in float32.
"""

from __future__ import annotations

import copy
import functools
import itertools
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from dlcourse import optim, runtime
from dlcourse.compare.result import Result
from dlcourse.compare.settings import FIT, Environment, RunSettings
from dlcourse.compare.train_run import build, dataset, fill_scores, image_splits, new_result
from dlcourse.data import Batches, ImageData
from dlcourse.train import METRICS, EarlyStopping, cross_entropy
from dlcourse.train.batch_norm import settle_batch_norm
from dlcourse.train.checks import first_loss
from dlcourse.train.losses import describe_loss

__all__ = ["FREE", "MOST", "OPTIMIZER", "can_stack", "train_stack"]

# What decides an optimizer, and what else may differ between the models of one stack.
OPTIMIZER = ("optimizer", "lr", "weight_decay")
FREE = ("seed", "init", *OPTIMIZER)
# The arguments of `fit` that the loop here knows; a run with another one goes through `fit`.
KNOWN = (
    "epochs", "optimizer", "lr", "weight_decay", "schedule", "metrics", "monitor", "mode",
    "patience", "min_delta", "compile",
)  # fmt: skip
# Schedules that depend on nothing but the number of steps.
SCHEDULES = (None, "linear", "cosine", "onecycle", "inverse")
# Optimizers that treat every weight by itself, so that a slice of the stack has several models. A
# registered one may not.
ELEMENTWISE = (
    "sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "nadam", "adamw",
)  # fmt: skip
# Optimizers whose one-pass form is faster on a stack (measured on a CPU).
FUSED = ("adam", "adamw")
# Models in one stack. More gain nothing: the weights outgrow the processor's cache.
MOST = 32
TRIALS = 3


def can_stack(run: RunSettings) -> bool:
    """Whether the loop here knows everything that the run asks for."""
    return (
        not run.text
        and run.max_seconds is None
        and all(value == FIT[name] for name, value in run.fit.items() if name not in KNOWN)
        and run.fit["schedule"] in SCHEDULES
        and run.fit["optimizer"] in ELEMENTWISE
    )


class Stack:
    """Several models of one architecture as one.

    models: at least one. compiled: whether `gradients` is compiled.

    The methods take inputs of shape (B, ...) for all models or, with `each`, (models, B, ...).
    """

    def __init__(self, models: Sequence[nn.Module], compiled: bool = False) -> None:
        runtime.keep_freed_memory()
        params, buffers = stack_module_state(list(models))
        self.params = {}
        for name, value in params.items():
            weight = value.detach().clone()
            if weight.dim() == 3:
                # The batched product that a linear layer becomes is 2.4 times as fast on a CPU
                # with matrices that are stored transposed.
                weight = weight.mT.contiguous().mT
            self.params[name] = weight.requires_grad_()
        self.buffers = {name: value.detach().clone() for name, value in buffers.items()}
        self.module = copy.deepcopy(models[0])
        self.count = len(models)
        # `compile` needs one function that includes the gradients.
        self.compiled = torch.compile(grad(self.total, has_aux=True)) if compiled else None

    def outputs(
        self, inputs: Tensor, each: bool, params: dict[str, Tensor] | None = None
    ) -> Tensor:
        """Shape: (models, B, ...)."""
        call = functools.partial(functional_call, self.module)
        weights = (params or self.params, self.buffers)
        outputs: Tensor = vmap(call, in_dims=(0, 0 if each else None))(weights, inputs)
        return outputs

    def total(
        self, params: dict[str, Tensor], inputs: Tensor, targets: Tensor, each: bool
    ) -> tuple[Tensor, Tensor]:
        """The sum of the models' mean cross-entropies, shape (), and each of them, (models,)."""
        outputs = self.outputs(inputs, each, params)  # (models, B, classes)
        if not each:
            targets = targets.expand(self.count, -1)
        # One softmax over all rows: `vmap` would split it into small operations.
        losses = F.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
        losses = losses.view(targets.shape).mean(1)
        return losses.sum(), losses

    def gradients(
        self, inputs: Tensor, targets: Tensor, each: bool
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The gradients of each model's loss by name, and the losses, shape (models,)."""
        if self.compiled:
            params = {name: value.detach() for name, value in self.params.items()}
            gradients, losses = self.compiled(params, inputs, targets, each)
        else:
            total, losses = self.total(self.params, inputs, targets, each)
            found = torch.autograd.grad(total, tuple(self.params.values()))
            gradients = dict(zip(self.params, found, strict=True))
        return gradients, losses.detach()

    def state(self) -> dict[str, Tensor]:
        """A copy of every weight and buffer."""
        return {
            name: value.detach().clone()
            for name, value in itertools.chain(self.params.items(), self.buffers.items())
        }

    def copy(self, state: dict[str, Tensor], models: Sequence[int]) -> None:
        """Copy the weights and buffers of some models into `state`."""
        for name, value in itertools.chain(self.params.items(), self.buffers.items()):
            for model in models:
                state[name][model] = value[model].detach()

    @torch.no_grad()
    def write(self, state: Mapping[str, Tensor]) -> None:
        """Set every weight and buffer from `state`."""
        for name, value in itertools.chain(self.params.items(), self.buffers.items()):
            value.copy_(state[name])


class Optimizers:
    """One optimizer with its schedule for every slice of `stack` with the same settings.

    each: the settings OPTIMIZER of each model; equal ones are best side by side.
    """

    def __init__(
        self,
        stack: Stack,
        each: Sequence[tuple[Any, ...]],
        schedule: str | None,
        steps: int,
    ) -> None:
        self.parts: list[tuple[torch.optim.Optimizer, dict[str, Tensor], slice]] = []
        self.schedulers: list[torch.optim.lr_scheduler.LRScheduler] = []
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

    def lrs(self) -> list[float]:
        """The learning rate of each model's next step."""
        return [
            optimizer.param_groups[0]["lr"]
            for optimizer, _, place in self.parts
            for _ in range(place.start, place.stop)
        ]

    def step(self, gradients: Mapping[str, Tensor]) -> None:
        """Take a step with every model, down the gradient of its own loss."""
        for optimizer, slices, place in self.parts:
            for name, weight in slices.items():
                weight.grad = gradients[name][place]
            optimizer.step()
        for scheduler in self.schedulers:
            scheduler.step()


class Streams:
    """The training batches of every model; models with the same seed share them.

    An iteration yields inputs and targets of shape (B, ...), or (models, B, ...) with `each`.
    """

    def __init__(self, batches: Mapping[int, Batches], seeds: Sequence[int]) -> None:
        self.batches = list(batches.values())
        places = {seed: place for place, seed in enumerate(batches)}
        self.which = torch.tensor([places[seed] for seed in seeds], device=self.batches[0].device)
        self.each = len(self.batches) > 1

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.each:
            for group in zip(*self.batches, strict=True):
                inputs, targets = (torch.stack(part) for part in zip(*group, strict=True))
                yield inputs[self.which], targets[self.which]
        else:
            yield from self.batches[0]


def train_stack(
    runs: Sequence[RunSettings], environment: Environment, test: bool = True
) -> list[Result]:
    """The results of `runs`, trained as one model.

    compile=True, an argument of `fit`, is taken to mean that the stack is faster once compiled.

    Raises RuntimeError for a model that cannot be stacked, for example one with dropout, and where
    one model is not faster on this machine.
    """
    start = time.perf_counter()
    first = runs[0]
    models = [build(run, environment).to(environment.device) for run in runs]
    found = dataset(first, environment)
    assert isinstance(found, ImageData), "can_stack leaves language models out"
    batches = {
        run.seed: image_splits(found, run, environment.device)
        for run in {run.seed: run for run in runs}.values()
    }
    streams = Streams({seed: parts[0] for seed, parts in batches.items()}, [r.seed for r in runs])
    _, val, test_batches = batches[first.seed]
    check_as_fit(models[0], streams.batches[0])
    each = [tuple(run.fit[name] for name in OPTIMIZER) for run in runs]
    compiled = bool(first.fit["compile"])
    if not compiled and not is_faster(models, each, streams):
        raise RuntimeError("these runs train faster one by one")
    stack = Stack(models, compiled)
    steps = first.fit["epochs"] * len(streams.batches[0])
    optimizers = Optimizers(stack, each, first.fit["schedule"], steps)
    results = [new_result(run, model, environment) for run, model in zip(runs, models, strict=True)]
    train_epochs(results, stack, optimizers, streams, val, first)
    settled = settle_batch_norm(
        stack.module, streams, lambda inputs: stack.outputs(inputs, streams.each)
    )
    metrics, measured = first.fit["metrics"], {}
    for split, parts, wanted in (
        ("val", val, settled or any(result.status != "done" for result in results)),
        # Seeds only order the training images differently, so one seed's batches do for all.
        ("train", streams.batches[0], first.train_scores),
        ("test", test_batches, test),
    ):
        if wanted:
            measured[split] = score(stack, parts, metrics)
    seconds = (time.perf_counter() - start) / len(runs)
    for model, result in enumerate(results):
        fill_scores(result, {split: scores[model] for split, scores in measured.items()})
        result.together, result.seconds = len(runs), seconds
    return results


def check_as_fit(model: nn.Module, batches: Batches) -> None:
    """Raise UsageError for outputs that `fit` refuses, RuntimeError for frozen weights.

    A stack would train such a model nevertheless, and all of its weights.
    """
    if not all(parameter.requires_grad for parameter in model.parameters()):
        raise RuntimeError("a model with frozen weights trains alone")
    inputs, targets = next(iter(batches))
    batches.epoch = 0
    outputs = copy.deepcopy(model)(inputs)
    first_loss("train", batches, describe_loss(cross_entropy), outputs, targets)


def train_epochs(
    results: Sequence[Result],
    stack: Stack,
    optimizers: Optimizers,
    streams: Streams,
    val: Batches,
    run: RunSettings,
) -> None:
    """Do for all results what `fit` does for one; the stack then holds the weights to keep.

    run: settings that all results share.
    """
    fit, keep_last = run.fit, run.keep == "last"
    stopping = [EarlyStopping(fit["patience"], fit["min_delta"], fit["mode"]) for _ in results]
    active = [True] * len(results)
    kept = stack.state()
    for epoch in range(1, fit["epochs"] + 1):
        start, lrs = time.perf_counter(), optimizers.lrs()
        stack.module.train()
        losses, sizes = [], []
        for inputs, targets in streams:
            sizes.append(targets.shape[-1])
            gradients, step_losses = stack.gradients(inputs, targets, streams.each)
            optimizers.step(gradients)
            losses.append(step_losses)
        history = torch.stack(losses)  # (steps, models)
        finite = history.isfinite()
        weights = torch.tensor(sizes, device=history.device) / sum(sizes)
        means, scores = (weights @ history).tolist(), score(stack, val, fit["metrics"])
        seconds = (time.perf_counter() - start) / len(results)
        keep = []
        for model, result in enumerate(results):
            if not active[model]:
                continue
            if not finite[:, model].all():
                step = int(finite[:, model].long().argmin())
                result.status, active[model] = "diverged", False
                result.message = (
                    f"the loss is {history[step, model]:g} at step {step + 1} of epoch {epoch}"
                )
                continue
            result.epochs.append(
                {"epoch": epoch, "lr": lrs[model], "train_loss": means[model]}
                | {f"val_{name}": value for name, value in scores[model].items()}
                | {"seconds": seconds}
            )
            is_best = stopping[model].update(scores[model][fit["monitor"]])
            if is_best or keep_last:
                result.best_epoch = 0 if keep_last else epoch
                keep.append(model)
            active[model] = not stopping[model].stop
        stack.copy(kept, keep)
        if not any(active):
            break
    stack.write(kept)


@torch.no_grad()
def score(stack: Stack, batches: Batches, metrics: Sequence[str]) -> list[dict[str, float]]:
    """What `evaluate` measures, for each model of the stack."""
    measures = {"loss": cross_entropy} | {name: METRICS[name] for name in metrics}
    stack.module.eval()
    sums, count = torch.zeros(stack.count, len(measures), device=batches.device), 0
    for inputs, targets in batches:
        outputs = stack.outputs(inputs, each=False)
        values = [vmap(m, in_dims=(0, None))(outputs, targets) for m in measures.values()]
        sums += torch.stack(values, 1) * targets.numel()  # (models, measures)
        count += targets.numel()
    finish = [float, *(METRICS[name].finish for name in metrics)]
    return [
        {name: end(value) for name, end, value in zip(measures, finish, row, strict=True)}
        for row in (sums / count).tolist()
    ]


def is_faster(
    models: Sequence[nn.Module],
    each: Sequence[tuple[Any, ...]],
    streams: Streams,
) -> bool:
    """Whether a step of the stack takes less time than a step of every model in turn.

    A few steps of each are timed, on copies.
    """
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

    ratios = []
    for _ in range(1 + TRIALS):
        took = []
        for step in (together, in_turn):
            start = time.perf_counter()
            step()
            if inputs.device.type == "cuda":
                torch.cuda.synchronize()
            took.append(time.perf_counter() - start)
        ratios.append(took[0] / took[1])
    for batches in streams.batches:
        batches.epoch = 0
    return statistics.median(ratios[1:]) < 1
