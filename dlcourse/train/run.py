"""Where a training run stands: what callbacks see, what a checkpoint holds."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from dlcourse.train import distributed
from dlcourse.train.averaging import Average
from dlcourse.train.callbacks import Callback
from dlcourse.train.early_stopping import EarlyStopping
from dlcourse.train.history import History
from dlcourse.train.speed import Speed

__all__ = ["Run"]


@dataclass(eq=False)
class Run:
    """All that changes while `fit` runs.

    net: what is called for the outputs: the model, shared among processes or compiled or as it is.
    epochs: that will be. steps: batches an epoch. step: batches done of the current epoch.
    accumulate: batches a step of the optimizer. loss: what is trained on.
    samples: trained on so far, by all processes. losses: of the current epoch's batches, () each.
    stop: a reason to end training after this epoch, else None. rank: of this process among several.
    first_pass: the pass over the training data (see `set_epoch`) that is epoch 1.
    generator: a DataLoader's own, which its order is drawn from.
    """

    model: nn.Module
    net: nn.Module
    speed: Speed
    optimizer: torch.optim.Optimizer
    scheduler: Any
    stopping: EarlyStopping
    history: History
    loss: Callable[[Tensor, Tensor], Tensor]
    epochs: int
    steps: int
    monitor: str
    accumulate: int = 1
    clip_norm: float | None = None
    clip_value: float | None = None
    average: Average | None = None
    callbacks: Sequence[Callback] = ()
    rank: int = 0
    first_pass: int = 0
    generator: torch.Generator | None = None
    step: int = 0
    samples: int = 0
    losses: list[Tensor] = field(default_factory=list)
    stop: str | None = None

    def __post_init__(self) -> None:
        self.epoch_generators = self.generators()
        self.on_step = [
            one.on_step for one in self.callbacks if type(one).on_step is not Callback.on_step
        ]
        self.plateau = isinstance(self.scheduler, ReduceLROnPlateau)
        self.keep_weights()

    @property
    def epoch(self) -> int:
        """The current epoch, from 1; after it has ended, the next."""
        return len(self.history) + 1

    @property
    def group_size(self) -> int:
        """How many batches share the step of the optimizer that the next batch is part of."""
        if self.accumulate == 1:
            return 1
        return min(self.accumulate, self.steps - self.step // self.accumulate * self.accumulate)

    @property
    def group_ends(self) -> bool:
        """Whether a step of the optimizer is due."""
        return self.step % self.accumulate == 0 or self.step == self.steps

    @property
    def scored(self) -> nn.Module:
        """The model that is validated and kept: the average where there is one."""
        return self.average.model if self.average else self.model

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Around all training: callbacks start, the last first, and end in the other order."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.speed.settings())
            for callback in reversed(self.callbacks):
                stack.callback(callback.on_end, self)
                callback.on_start(self)
            yield

    def clip(self) -> None:
        """Bound the gradients as was asked."""
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        if self.clip_value is not None:
            nn.utils.clip_grad_value_(self.model.parameters(), self.clip_value)

    def after_step(self) -> None:
        """All that follows a step of the optimizer."""
        if self.scheduler and not self.plateau:
            self.scheduler.step()
        if self.average:
            self.average.on_step()
        for call in self.on_step:
            call(self)

    def judge(self, scores: dict[str, float]) -> None:
        """Take the scores of the epoch: is it the best, is it the last?"""
        if self.plateau:
            self.scheduler.step(scores["loss"])
        if self.stopping.update(scores[self.monitor]):
            self.history.best_epoch = self.epoch
            self.keep_weights()
        self.heed_patience()

    def heed_patience(self) -> None:
        """Stop where it has run out."""
        if self.stopping.stop:
            self.stop = f"no better {self.monitor} for {self.stopping.patience} epochs"

    def end_epoch(self, row: dict[str, float]) -> None:
        """Write the epoch down."""
        self.history.epochs.append(row)
        self.step, self.losses = 0, []
        for callback in self.callbacks:
            callback.on_epoch(self)

    def keep_weights(self) -> None:
        """Remember the weights as the best so far."""
        self.best_weights = copy.deepcopy(self.scored.state_dict())

    def restore_best(self) -> None:
        """Give the model the best weights so far."""
        self.model.load_state_dict(self.best_weights)

    def left(self, batches: Iterable) -> Iterator:
        """This epoch's batches, without those done before a resume."""
        order = batches if hasattr(batches, "set_epoch") else getattr(batches, "sampler", None)
        if hasattr(order, "set_epoch"):
            order.set_epoch(self.first_pass + self.epoch - 1)
        if not self.step:
            self.epoch_generators = self.generators()
            return iter(batches)
        # The order may be drawn from the generators: they start the epoch again, then go on.
        now = self.generators()
        self.set_generators(self.epoch_generators)
        rest = iter(batches)
        for _ in range(self.step):
            next(rest)
        self.set_generators(now)
        return rest

    def generators(self) -> dict[str, Any]:
        """The state of Python's, NumPy's and PyTorch's global generators, and the loader's own."""
        (_, key, *numpy), (version, python, gauss) = np.random.get_state(), random.getstate()
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "numpy": (torch.tensor(key.astype(np.int64)), *numpy),
            "python": (version, torch.tensor(python), gauss),
            "loader": self.generator.get_state() if self.generator else None,
        }

    def set_generators(self, state: dict[str, Any]) -> None:
        """Put back what `generators` returned."""
        torch.set_rng_state(state["torch"])
        for device, one in enumerate(state["cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(one, device)
        key, *numpy = state["numpy"]
        np.random.set_state(("MT19937", key.numpy().astype(np.uint32), *numpy))
        version, python, gauss = state["python"]
        random.setstate((version, tuple(python.tolist()), gauss))
        if self.generator and state["loader"] is not None:
            self.generator.set_state(state["loader"])

    def state_dict(self) -> dict[str, Any]:
        """Everything that training needs to go on, in types that weights_only reads."""
        return {
            "model": self.model.state_dict(),
            "carried": {name: getattr(self.model, name) for name in carried(self.model)},
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict() if self.scheduler else None,
            "average": self.average.state_dict() if self.average else None,
            "stopping": self.stopping.state_dict(),
            "best_weights": self.best_weights,
            "history": asdict(self.history),
            "step": self.step,
            "samples": self.samples,
            "losses": self.losses,
            # A resumed run may have more patience.
            "stop": None if self.stopping.stop else self.stop,
            "first_pass": self.first_pass,
            "generators": distributed.gather(self.generators()),
            "epoch_generators": distributed.gather(self.epoch_generators),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.model.load_state_dict(state["model"])
        device = self.speed.device
        for name, value in state["carried"].items():
            setattr(self.model, name, moved(value, device))
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler:
            self.scheduler.load_state_dict(state["scheduler"])
        if self.average:
            self.average.load_state_dict(state["average"])
        self.stopping.load_state_dict(state["stopping"])
        self.best_weights = state["best_weights"]
        config = self.history.config
        self.history.__dict__.update(state["history"], config=config)
        self.step, self.samples = state["step"], state["samples"]
        self.losses, self.stop = moved(state["losses"], device), state["stop"]
        self.heed_patience()
        self.first_pass = state["first_pass"]
        number = self.rank if self.rank < len(state["generators"]) else 0
        self.epoch_generators = state["epoch_generators"][number]
        self.set_generators(state["generators"][number])


def carried(model: nn.Module) -> list[str]:
    """Attributes of a recurrent model that go from batch to batch, in no state_dict of torch's."""
    names = ("state", "state_rows") if hasattr(model, "reset_state") else ()
    return [name for name in names if hasattr(model, name)]


def moved(value: Any, device: torch.device) -> Any:
    """`value` with its tensors, in lists and tuples too, on `device`."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list | tuple):
        return type(value)(moved(one, device) for one in value)
    return value
