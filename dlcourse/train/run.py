"""A training run: its state, which a checkpoint holds, and the callbacks that watch it."""

from __future__ import annotations

import contextlib
import copy
import math
import random
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from dlcourse.errors import NonFiniteLossError
from dlcourse.train import checks, distributed
from dlcourse.train.early_stopping import EarlyStopping
from dlcourse.train.execution import Gradients, Placement, memory_advice
from dlcourse.train.history import History
from dlcourse.train.losses import Objective
from dlcourse.train.metrics import as_row, weighted_sums

if TYPE_CHECKING:
    from dlcourse.train.averaging import Average

__all__ = [
    "LOOK_EVERY",
    "Callback",
    "Run",
    "call",
    "find_generators",
    "moved",
    "reset_state",
    "same_generators",
]

# The attributes of a Run that a checkpoint holds as they are.
VALUES = ("best_weights", "epoch_lr", "first_pass", "losses", "samples", "step", "weights")
# Steps between two looks at the losses. A look waits for the device, so not every step has one.
LOOK_EVERY = 50


class Callback:
    """Called by `fit` with the Run, which holds the model, the optimizer and the History.

    Set `run.stop` to a reason, and training ends after the current epoch. Early stopping:

    >>> class Patience(Callback):
    ...     def __init__(self, epochs):
    ...         self.epochs = epochs
    ...
    ...     def on_epoch(self, run):
    ...         losses = run.history["val_loss"]
    ...         if len(losses) - 1 - losses.index(min(losses)) >= self.epochs:
    ...             run.stop = f"no lower loss for {self.epochs} epochs"

    If several processes train together, each calls its own callbacks; only one of them has
    `run.rank` 0.

    last: whether it is called after the other callbacks, and so knows what they decided. It is
        started before them, so that they find what it resumed.
    """

    last = False

    def on_start(self, run: Run) -> None:
        """Called before the first epoch, or where a resumed run continues."""

    def on_step(self, run: Run) -> None:
        """Called after each step of the optimizer: `run.step` batches of the epoch are done."""

    def on_epoch(self, run: Run) -> None:
        """Called after each epoch: `run.history.epochs[-1]` is its row."""

    def on_end(self, run: Run) -> None:
        """Called when training has ended, also by an error."""


@dataclass(eq=False)
class Run:
    """The state of a run of `fit`.

    net: what computes the outputs: the model, perhaps compiled or shared among processes.
    metrics: by name. monitor: the name of the score that decides which epoch is best.
    epochs: how many there will be. steps: batches in an epoch. step: batches done in this epoch.
    samples: how many were trained on so far, by all processes.
    losses: one () tensor for each batch of the current epoch. weights: what each of them counts.
    stop: a reason to end training after this epoch, else None. rank: of this process.
    first_pass: the pass over the training data (see `set_epoch`) that is epoch 1.
    generators: every random generator that was found in the training data.
    """

    model: nn.Module
    net: nn.Module
    placement: Placement
    optimizer: torch.optim.Optimizer
    scheduler: Any
    stopping: EarlyStopping
    history: History
    objective: Objective
    metrics: Mapping[str, Any]
    monitor: str
    epochs: int
    steps: int
    gradients: Gradients
    average: Average | None = None
    callbacks: Sequence[Callback] = ()
    rank: int = 0
    first_pass: int = 0
    train: Any = None
    step: int = 0
    samples: int = 0
    losses: list[Tensor] = field(default_factory=list)
    weights: list[Tensor | float] = field(default_factory=list)
    stop: str | None = None

    def __post_init__(self) -> None:
        self.generators = find_generators(self.train)
        self.epoch_generators = generator_states(self.generators)
        self.on_step = [
            one.on_step for one in self.callbacks if type(one).on_step is not Callback.on_step
        ]
        self.auxiliary = getattr(self.model, "auxiliary_weight", None)
        self.plateau = isinstance(self.scheduler, ReduceLROnPlateau)
        # One process with a step for each batch needs no weights: its gradient is the batch's.
        self.weighted = self.gradients.accumulate > 1 or distributed.world_size() > 1
        self.group_weight: Tensor | float = 0.0
        self.targets: list[Tensor] = []  # of the batches that have no weight yet
        self.batch: tuple[Any, Tensor] | None = None
        self.share = 1.0
        self.checked = False
        self.epoch_lr = 0.0
        self.keep_weights()

    @property
    def epoch(self) -> int:
        """The current epoch, from 1; between two epochs the next one."""
        return len(self.history) + 1

    @property
    def step_is_due(self) -> bool:
        """Whether the optimizer makes its step after this batch."""
        done = self.step + 1
        return done % self.gradients.accumulate == 0 or done == self.steps

    @property
    def scored(self) -> nn.Module:
        """The model that is validated and kept: the average if there is one."""
        return self.average.model if self.average else self.model

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Start the callbacks, the last one first, and end them in the opposite order."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.placement.settings())
            for callback in reversed(self.callbacks):
                stack.callback(callback.on_end, self)
                callback.on_start(self)
            yield

    def start_epoch(self) -> None:
        """Set the model to training mode, with a fresh hidden state unless this is a resume."""
        self.model.train()
        self.optimizer.zero_grad()
        if self.step == 0:
            self.epoch_lr = float(self.optimizer.param_groups[0]["lr"])
            reset_state(self.model)

    def remaining(self, batches: Iterable[Any]) -> Iterator[tuple[Any, Tensor]]:
        """The batches of this epoch that are left: the rows of this process, on the device."""
        for batch in self.rest(batches):
            if not self.checked:
                checks.check_batch("train", batch, self.model)
            inputs, targets = batch
            self.samples += len(targets)
            inputs, targets, self.share = distributed.my_rows(inputs, targets)
            targets = targets.to(self.placement.device, non_blocking=True)
            self.batch = self.placement.inputs(inputs), targets
            yield self.batch

    def forward(self, inputs: Any) -> Any:
        """The outputs of a batch; the first one shows whether the model takes the memory layout."""
        if self.checked or not self.placement.may_change_layout:
            return call(self.net, inputs)
        # What the attempt draws, and adds to the statistics of batch norm, is taken back.
        drawn = generator_states([])
        buffers = [(buffer, buffer.clone()) for buffer in self.model.buffers()]
        try:
            return call(self.net, inputs)
        except RuntimeError as error:
            self.placement.leave_layout(self.model, error)
        set_generator_states(drawn, [])
        for buffer, before in buffers:
            buffer.copy_(before)
        return call(self.net, self.placement.inputs(inputs))

    def loss(self, outputs: Any, targets: Tensor) -> Tensor:
        """The loss of a batch; losses of auxiliary classifiers (GoogLeNet) count as it says."""
        if self.auxiliary is not None and isinstance(outputs, tuple):
            main, *others = (self.loss(one, targets) for one in outputs)
            return main + self.auxiliary * torch.stack(others).sum()
        if self.checked:
            return self.objective(outputs, targets)
        # A batch of one sample broadcasts to itself and shows nothing: look at the next one too.
        self.checked = len(targets) > 1
        return checks.first_loss("train", self.train, self.objective, outputs, targets)

    def backward(self, loss: Tensor) -> None:
        """Compute gradients, and note the loss.

        Batches that share a step count by their number of targets; `step_optimizer` divides.
        """
        assert self.batch is not None
        targets = self.batch[1]
        if self.weighted:
            weight = self.objective.weight(targets) * self.share
            (loss * weight).backward()
            self.group_weight = self.group_weight + weight
            self.weights.append(weight)
        else:
            loss.backward()
            self.targets.append(targets)
        self.losses.append(loss.detach())

    def step_optimizer(self) -> None:
        """Clip the gradients, make a step of the optimizer, and clear the gradients."""
        if self.weighted:
            self.divide_gradients()
        self.gradients.clip(self.model)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def divide_gradients(self) -> None:
        """Turn sums over the targets of a group into the mean, over all processes."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        weight = torch.as_tensor(self.group_weight, dtype=torch.float32, device=gradients[0].device)
        weight = distributed.total(weight.clone()).clamp(min=1e-12)
        # DistributedDataParallel has already divided by the number of processes.
        torch._foreach_mul_(gradients, distributed.world_size() / weight)
        self.group_weight = 0.0

    def end_batch(self, stepped: bool) -> None:
        """Count the batch, and after a step of the optimizer tell everyone about it."""
        self.step += 1
        if stepped:
            if self.scheduler and not self.plateau:
                self.scheduler.step()
            if self.average:
                self.average.on_step()
            for tell in self.on_step:
                tell(self)
        if self.step % LOOK_EVERY == 0:
            self.look()

    def settle(self) -> None:
        """Give every batch its weight."""
        self.weights += self.objective.weights(self.targets)
        self.targets = []

    def look(self) -> None:
        """Raise NonFiniteLossError for the first loss since the last look that is not finite."""
        self.settle()
        newest = torch.stack(self.losses[-LOOK_EVERY:])
        counts = as_row(self.weights[-LOOK_EVERY:], newest.device)
        # The mean over a batch of ignored targets alone is NaN, and no fault.
        values = distributed.total(newest.where(counts > 0, 0.0)) / distributed.world_size()
        if values.isfinite().all():
            return
        place, value = next((i, v) for i, v in enumerate(values.tolist()) if not math.isfinite(v))
        advice = checks.non_finite("train", self.train) or (
            "try a smaller lr, or look for a division or log of 0"
        )
        raise NonFiniteLossError(
            f"the loss is {value} at step {self.step - len(values) + place + 1} of epoch "
            f"{self.epoch}; {advice}; the best weights so far are kept"
        )

    def end_pass(self) -> float:
        """The mean loss over all targets of the epoch, of all processes."""
        if self.step % LOOK_EVERY:
            self.look()
        if self.average:
            self.average.on_epoch(self.epoch)
        total, count = distributed.total(torch.stack(weighted_sums(self.losses, self.weights)))
        return (total / count).item() if count else math.nan

    def judge(self, scores: dict[str, float]) -> None:
        """Take the scores of the epoch: is it the best, and is it the last?"""
        if self.plateau:
            self.scheduler.step(scores["loss"])
        if self.stopping.update(scores[self.monitor]):
            self.history.best_epoch = self.epoch
            self.keep_weights()
        self.check_patience()

    def check_patience(self) -> None:
        if self.stopping.stop:
            self.stop = f"no better {self.monitor} for {self.stopping.patience} epochs"

    def end_epoch(self, row: dict[str, float]) -> None:
        """Write the epoch into the History and tell the callbacks."""
        self.history.epochs.append(row)
        self.step, self.losses, self.weights = 0, [], []
        for callback in self.callbacks:
            callback.on_epoch(self)

    def keep_weights(self) -> None:
        self.best_weights = copy.deepcopy(self.scored.state_dict())

    def restore_best(self) -> None:
        self.model.load_state_dict(self.best_weights)

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turn the errors of a batch that does not fit into advice."""
        try:
            with checks.explained("train"):
                yield
        except torch.OutOfMemoryError as error:
            assert self.batch is not None
            traceback.clear_frames(error.__traceback__)  # they hold what filled the memory
            raise memory_advice(self.model, self.objective, *self.batch) from None

    def rest(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The batches of this epoch without those that were done before a resume."""
        set_epoch(batches, self.first_pass + self.epoch - 1)
        if not self.step:
            self.epoch_generators = generator_states(self.generators)
            return iter(batches)
        # The order may be drawn from the generators: replay the epoch's start, then continue.
        now = generator_states(self.generators)
        set_generator_states(self.epoch_generators, self.generators)
        rest = iter(batches)
        for _ in range(self.step):
            next(rest)
        set_generator_states(now, self.generators)
        return rest

    def parts(self) -> dict[str, Any]:
        """The parts that have a `state_dict` of their own."""
        names = ("model", "optimizer", "scheduler", "average", "stopping")
        found = {name: getattr(self, name) for name in names}
        return {name: part for name, part in found.items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        """Everything that training needs to continue, in types that weights_only can read."""
        self.settle()
        return {
            **{name: part.state_dict() for name, part in self.parts().items()},
            **{name: getattr(self, name) for name in VALUES},
            "steps": self.steps,
            "carried": {name: getattr(self.model, name) for name in carried(self.model)},
            "history": asdict(self.history),
            # A resumed run may have more patience.
            "stop": None if self.stopping.stop else self.stop,
            "generators": distributed.gather(generator_states(self.generators)),
            "epoch_generators": distributed.gather(self.epoch_generators),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        device = self.placement.device
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        for name in VALUES:
            setattr(self, name, moved(state[name], device))
        for name, value in state["carried"].items():
            setattr(self.model, name, moved(value, device))
        config = self.history.config
        self.history.__dict__.update(state["history"], config=config)
        self.stop = state["stop"]
        self.check_patience()
        number = self.rank if self.rank < len(state["generators"]) else 0
        self.epoch_generators = state["epoch_generators"][number]
        set_generator_states(state["generators"][number], self.generators)


def call(model: nn.Module, inputs: Any) -> Any:
    """The outputs of `model`, which takes one tensor, or several as arguments."""
    return model(inputs) if isinstance(inputs, Tensor) else model(*inputs)


def reset_state(model: nn.Module) -> None:
    """Clear the hidden state that a recurrent model carries from batch to batch."""
    reset = getattr(model, "reset_state", None)
    if callable(reset):
        reset()


def set_epoch(batches: Any, epoch: int) -> None:
    """Tell `batches`, or its sampler, which epoch the next pass is, where they want to know."""
    sampler, group = getattr(batches, "sampler", None), getattr(batches, "batch_sampler", None)
    for order in (batches, sampler, group, getattr(group, "sampler", None)):
        if order is not None and hasattr(order, "set_epoch"):
            order.set_epoch(epoch)
            return


def find_generators(root: Any) -> list[Any]:
    """Every random generator of PyTorch, NumPy or Python in `root` and the objects it holds.

    That covers a DataLoader's own, those of its samplers, and those of its data set and transforms.
    """
    found: list[Any] = []
    seen: set[int] = set()

    def walk(value: Any, depth: int) -> None:
        if id(value) in seen or depth > 6:
            return
        seen.add(id(value))
        kinds = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
        if isinstance(value, kinds):
            found.append(value)
        elif isinstance(value, list | tuple) and len(value) <= 100:
            for one in value:
                walk(one, depth + 1)
        elif hasattr(value, "__dict__") and not isinstance(value, Tensor | nn.Module | type):
            for name, one in list(vars(value).items()):
                if name != "_iterator":
                    walk(one, depth + 1)

    walk(root, 0)
    return found


# The global generators, by their names in a checkpoint.
GLOBAL: dict[str, Any] = {"torch": torch.default_generator, "numpy": np.random, "python": random}


def generator_states(own: Sequence[Any]) -> dict[str, Any]:
    """The states of Python's, NumPy's and PyTorch's global generators, and of `own`."""
    return {
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        **{name: state_of(generator) for name, generator in GLOBAL.items()},
        "own": [state_of(one) for one in own],
    }


def set_generator_states(states: dict[str, Any], own: Sequence[Any]) -> None:
    for device, one in enumerate(states["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(one, device)
    pairs = [(generator, states[name]) for name, generator in GLOBAL.items()]
    for generator, state in [*pairs, *zip(own, states["own"], strict=True)]:
        if isinstance(generator, np.random.Generator):
            generator.bit_generator.state = state
        elif hasattr(generator, "setstate"):  # Python's
            generator.setstate(state)
        else:
            generator.set_state(state)


def state_of(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return plain(generator.bit_generator.state)
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if hasattr(generator, "getstate"):  # Python's
        return plain(generator.getstate())
    return plain(generator.get_state(legacy=False))


def plain(value: Any) -> Any:
    """`value` with NumPy's arrays and numbers as Python's, which weights_only can read."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return tuple(plain(one) for one in value) if isinstance(value, tuple) else value


@contextlib.contextmanager
def same_generators(batches: Any) -> Iterator[None]:
    """Leave every generator as it was, and the batches at the same epoch, whatever is drawn."""
    own, epoch = find_generators(batches), getattr(batches, "epoch", None)
    before = generator_states(own)
    try:
        yield
    finally:
        set_generator_states(before, own)
        if isinstance(epoch, int):
            set_epoch(batches, epoch)


def carried(model: nn.Module) -> list[str]:
    """The attributes that a recurrent model carries from batch to batch outside its state_dict."""
    names = ("state", "state_rows") if hasattr(model, "reset_state") else ()
    return [name for name in names if hasattr(model, name)]


def moved(value: Any, device: torch.device) -> Any:
    """`value` with its tensors, in lists and tuples too, on `device`."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list | tuple):
        return type(value)(moved(one, device) for one in value)
    return value
