"""Train many runs as one model: stacked weights, `vmap` over them, torch's own optimizers.

Runs that differ in seed, initialization, optimizer, learning rate or weight decay share every
operation of a step. The optimizers work elementwise, so one instance over the slice of the stack
with the same settings does to each model what it would do to that model alone. Results are those
of `fit` up to rounding in float32.
"""

from __future__ import annotations

import copy
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from dlcourse import optim, runtime
from dlcourse.compare.result import Result
from dlcourse.compare.settings import Environment, RunSettings
from dlcourse.compare.splits import images, splits
from dlcourse.compare.train_run import arguments_for, build, prefixed
from dlcourse.data import Batches
from dlcourse.train import METRICS, EarlyStopping, cross_entropy
from dlcourse.train.batch_norm import settle_batch_norm

__all__ = ["FREE", "MOST", "by_optimizer", "can_stack", "train_stack"]

# What may differ between the models of one stack.
FREE = ("seed", "init", "optimizer", "lr", "weight_decay")
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
        set(run.fit_arguments) <= set(KNOWN)
        and run.fit_setting("schedule") in SCHEDULES
        and run.fit_setting("optimizer") in ELEMENTWISE
    )


def by_optimizer(run: RunSettings) -> tuple[str, float, float]:
    """A sort key that puts runs with equal optimizer settings side by side."""
    name, lr, weight_decay = optimizer_settings(run)
    return (
        name,
        math.inf if lr is None else lr,
        math.inf if weight_decay is None else weight_decay,
    )


def optimizer_settings(run: RunSettings) -> tuple[str, float | None, float | None]:
    """Name, learning rate and weight decay of the run's optimizer."""
    return run.fit_setting("optimizer"), run.fit_setting("lr"), run.fit_setting("weight_decay")


class Stack:
    """Several models of one architecture as one.

    models: at least one. compiled: whether `gradients` is compiled.

    The methods take inputs of shape (B, ...) for all models or, with `each`, (models, B, ...).
    """

    def __init__(self, models: Sequence[nn.Module], compiled: bool = False) -> None:
        runtime.keep_freed_memory()
        params, buffers = stack_module_state(list(models))
        self.params = {name: columns_first(value) for name, value in params.items()}
        self.buffers = {name: value.detach().clone() for name, value in buffers.items()}
        self.module = copy.deepcopy(models[0])
        self.count = len(models)
        # `compile` needs one function that includes the gradients.
        self.compiled = torch.compile(grad(self.total, has_aux=True)) if compiled else None

    def outputs(
        self, inputs: Tensor, each: bool, params: dict[str, Tensor] | None = None
    ) -> Tensor:
        """Shape: (models, B, ...)."""
        return vmap(self.call, in_dims=(0, 0, 0 if each else None))(
            params or self.params, self.buffers, inputs
        )

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
            return self.compiled(params, inputs, targets, each)
        total, losses = self.total(self.params, inputs, targets, each)
        gradients = torch.autograd.grad(total, tuple(self.params.values()))
        return dict(zip(self.params, gradients, strict=True)), losses.detach()

    def call(self, params: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Tensor) -> Tensor:
        outputs: Tensor = functional_call(self.module, (params, buffers), (inputs,))
        return outputs

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
    """A leaf tensor with the same values, whose matrices are stored transposed.

    The batched product that a linear layer becomes is 2.4 times as fast with them on a CPU.
    """
    weight = weight.detach().clone()
    if weight.dim() == 3:
        weight = weight.mT.contiguous().mT
    return weight.requires_grad_()


class Optimizers:
    """One optimizer with its schedule for every slice of `stack` with the same settings.

    each: optimizer, lr and weight_decay of each model; equal ones are side by side.
    """

    def __init__(
        self,
        stack: Stack,
        each: Sequence[tuple[str, float | None, float | None]],
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

    def __len__(self) -> int:
        return len(self.batches[0])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if not self.each:
            yield from self.batches[0]
            return
        for group in zip(*self.batches, strict=True):
            inputs, targets = (torch.stack(part) for part in zip(*group, strict=True))
            yield inputs[self.which], targets[self.which]


def train_stack(
    runs: Sequence[RunSettings], environment: Environment, test: bool = True
) -> list[Result] | None:
    """The results of `runs`, trained as one model; None if that is not faster on this machine.

    compile=True, an argument of `fit`, is taken to mean that the stack is faster once compiled.

    Raises RuntimeError for a model that cannot be stacked, for example one with dropout.
    """
    start = time.perf_counter()
    runs = sorted(runs, key=by_optimizer)
    first, seeds = runs[0], [run.seed for run in runs]
    models = [build(run, environment).to(environment.device) for run in runs]
    batches = {
        run.seed: splits(run, environment) for run in {run.seed: run for run in runs}.values()
    }
    streams = Streams({seed: parts[0] for seed, parts in batches.items()}, seeds)
    _, val, test_batches = batches[seeds[0]]
    each = [optimizer_settings(run) for run in runs]
    compiled = bool(first.fit_setting("compile"))
    if not compiled and not is_faster(models, each, streams):
        return None
    stack = Stack(models, compiled)
    steps = first.fit_setting("epochs") * len(streams)
    optimizers = Optimizers(stack, each, first.fit_setting("schedule"), steps)
    count = sum(parameter.numel() for parameter in models[0].parameters())
    data = images(first.data, environment)
    results = [
        Result(
            run.values, "done", parameters=count, data=val.source,
            used=run.used(arguments_for(run, data)), together=len(runs),
        )
        for run in runs
    ]  # fmt: skip
    train_epochs(results, stack, optimizers, streams, val, first)
    settled = settle_batch_norm(
        stack.module, streams, lambda inputs: stack.outputs(inputs, streams.each)
    )
    score_results(results, stack, (streams.batches[0], val, test_batches), first, settled, test)
    seconds = (time.perf_counter() - start) / len(results)
    for result in results:
        result.seconds = seconds
    return results


def score_results(
    results: Sequence[Result],
    stack: Stack,
    batches: tuple[Batches, Batches, Batches],
    run: RunSettings,
    settled: bool,
    test: bool,
) -> None:
    """Fill in the scores of the weights that the stack holds, as `train_run` does.

    batches: for training, validation and test. run: settings that all results share.
    """
    train, val, test_batches = batches
    metrics = run.fit_setting("metrics")
    kept = [result.kept_epoch for result in results]
    measured = score(stack, val, metrics) if settled or None in kept else None
    # Seeds only order the training images differently, so one seed's batches do for all.
    train_scores = score(stack, train, metrics) if run.train_scores else None
    test_scores = score(stack, test_batches, metrics) if test else None
    for model, (result, epoch) in enumerate(zip(results, kept, strict=True)):
        if measured and (settled or epoch is None):
            result.scores = prefixed("val", measured[model])
        elif epoch:
            result.scores = {k: v for k, v in epoch.items() if k.startswith("val_")}
        result.scores["train_loss"] = result.epochs[-1]["train_loss"] if result.epochs else math.nan
        if train_scores:
            result.scores |= prefixed("train", train_scores[model])
        if test_scores:
            result.scores |= prefixed("test", test_scores[model])


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
    monitor, metrics = run.fit_setting("monitor"), run.fit_setting("metrics")
    keep_last = run.keep == "last"
    min_delta = math.inf if keep_last else run.fit_setting("min_delta")
    patience, mode = run.fit_setting("patience"), run.fit_setting("mode")
    stopping = [EarlyStopping(patience, min_delta, mode) for _ in results]
    active = [True] * len(results)
    initial, kept = (stack.state(), stack.state())
    for epoch in range(1, run.fit_setting("epochs") + 1):
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
        means, scores = (weights @ history).tolist(), score(stack, val, metrics)
        seconds = (time.perf_counter() - start) / len(results)
        better = []
        for model, result in enumerate(results):
            if not active[model]:
                continue
            if not finite[:, model].all():
                step = int(finite[:, model].long().argmin())
                result.status, active[model] = "diverged", False
                result.message = (
                    f"the loss is {history[step, model]:g} at step {step + 1} of epoch {epoch}"
                )
                if keep_last:
                    restore(kept, initial, model)
                continue
            result.epochs.append(
                {"epoch": epoch, "lr": lrs[model], "train_loss": means[model]}
                | prefixed("val", scores[model])
                | {"seconds": seconds}
            )
            if stopping[model].update(scores[model][monitor]):
                result.best_epoch = epoch
                better.append(model)
            if keep_last:
                better.append(model)
            active[model] = not stopping[model].stop
        if better:
            current = stack.state()
            for model in better:
                restore(kept, current, model)
        if not any(active):
            break
    stack.write(kept)


def restore(target: Mapping[str, Tensor], source: Mapping[str, Tensor], model: int) -> None:
    for name, value in target.items():
        value[model] = source[name][model]


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
    each: Sequence[tuple[str, float | None, float | None]],
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

    on_gpu = inputs.device.type == "cuda"
    rounds = [(seconds(together, on_gpu), seconds(in_turn, on_gpu)) for _ in range(1 + TRIALS)]
    for batches in streams.batches:
        batches.epoch = 0
    return statistics.median(ours / theirs for ours, theirs in rounds[1:]) < 1


def seconds(step: Callable[[], None], on_gpu: bool) -> float:
    start = time.perf_counter()
    step()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start
