"""Checks of what users bring to `fit`, made before the first step: batches, outputs, labels."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, Dataset, TensorDataset

from dlcourse.errors import TrainingError, UsageError
from dlcourse.train.losses import Objective, class_fix, require_same_shape, shape_of
from dlcourse.train.metrics import Metric

__all__ = [
    "CLEAN",
    "check_all_labels",
    "check_batch",
    "check_batches",
    "check_outputs",
    "check_scalar",
    "explained",
    "non_finite_batch",
    "watched",
]

LOADER = "DataLoader(TensorDataset(inputs, targets), batch_size=64)"


def check_batches(name: str, batches: Any) -> None:
    """Refuse what is no sized iterable of batches. name: "train" or "val"."""
    if isinstance(batches, Dataset):
        raise UsageError(
            f"{name} is a {type(batches).__name__}, which yields single samples; wrap it: "
            f"DataLoader({name}_set, batch_size=64{', shuffle=True' if name == 'train' else ''})"
        )
    if isinstance(batches, Tensor | np.ndarray) or (
        isinstance(batches, tuple)
        and batches
        and all(isinstance(one, Tensor | np.ndarray) for one in batches)
    ):
        raise UsageError(f"{name} is {shape_of(batches)}, not batches; use {LOADER}")
    if not hasattr(batches, "__iter__"):
        raise UsageError(f"{name} must yield batches (inputs, targets), got {shape_of(batches)}")
    if isinstance(batches, Iterator) or not hasattr(batches, "__len__"):
        raise UsageError(
            f"{name} is a {type(batches).__name__}, which can be read only once or has no length; "
            f"give a list of batches or a DataLoader"
        )
    try:
        length = len(batches)
    except TypeError:  # a DataLoader over an IterableDataset
        raise UsageError(
            f"{name} has no length; give a list of batches or a DataLoader over a data set of "
            "known size"
        ) from None
    if length == 0:
        raise UsageError(f"{name} holds no batch: is batch_size larger than the data?")


def check_batch(name: str, batch: Any, model: nn.Module) -> tuple[Any, Tensor]:
    """Return (inputs, targets) of a batch. Raises UsageError if they are not tensors that fit."""
    if isinstance(batch, dict):
        keys = ", ".join(map(repr, batch))
        raise UsageError(
            f"{name} yields a dict with the keys {keys}; fit takes pairs: "
            f"{name} = [(batch[{next(iter(batch), 'x')!r}], batch[...]) for batch in {name}]"
        )
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise UsageError(f"{name} must yield pairs (inputs, targets), got {shape_of(batch)}")
    inputs, targets = batch
    several = isinstance(inputs, tuple | list) and all(isinstance(one, Tensor) for one in inputs)
    parts = list(inputs) if several else [inputs]
    for what, value in [*(("inputs", part) for part in parts), ("targets", targets)]:
        if not isinstance(value, Tensor):
            raise UsageError(f"{name} yields {what} that are {shape_of(value)}, not a tensor")
        if value.dim() == 0 or len(value) != len(targets):
            raise UsageError(
                f"{name} yields inputs {shape_of(parts[0])} and targets {shape_of(targets)}; the "
                "first dimension of both must be the batch"
            )
        if value.is_floating_point() and not value.isfinite().all():
            raise UsageError(f"{name} holds {what} that are NaN or infinite; {CLEAN}")
    wanted = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)
    for part in parts:
        if part.is_floating_point() and wanted is not None and part.dtype != wanted:
            raise UsageError(
                f"{name} yields inputs {shape_of(part)}, but the model computes in "
                f"{str(wanted).removeprefix('torch.')}; convert them: inputs.to({wanted})"
            )
    return (tuple(inputs) if several else inputs), targets


CLEAN = "remove or replace them: torch.nan_to_num(values), or leave those samples out"


def check_outputs(name: str, objective: Objective, outputs: Any, targets: Tensor) -> None:
    """Refuse outputs and targets that do not fit the kind of loss. Raises UsageError."""
    if not isinstance(outputs, Tensor):
        if objective.kind == "custom":
            return
        raise UsageError(
            f"the model returns {shape_of(outputs)}, and loss {objective.name} takes one tensor; "
            "return the logits alone, or give a loss function that takes what the model returns"
        )
    loss, have = objective.name, f"{name} has targets {shape_of(targets)}"
    if objective.kind == "classes":
        logits = outputs.movedim(1, -1) if objective.class_dim == 1 else outputs
        if targets.is_floating_point():
            if objective.class_dim == 1 and targets.shape == outputs.shape:
                return  # probabilities of classes, which torch's cross-entropy takes
            fix = "targets.long()" if targets.shape == logits.shape[:-1] else ""
            fix = fix or class_fix(logits, targets)
            if logits.shape[-1] == 1:
                fix = "use loss=nn.BCEWithLogitsLoss() for 0 or 1, nn.MSELoss() for numbers"
            raise UsageError(f"{have}, and {loss} takes int64 class numbers; {fix}")
        if targets.shape != logits.shape[:-1]:
            fix = class_fix(logits, targets)
            if objective.class_dim == 1 and targets.shape == outputs.shape[:-1]:
                fix = "use loss=dlcourse.train.cross_entropy, which has the classes last"
            elif (
                objective.class_dim == -1
                and outputs.dim() > 2
                and (targets.shape == outputs.movedim(1, -1).shape[:-1])
            ):
                fix = "use loss=nn.CrossEntropyLoss(), which has the classes in dimension 1"
            raise UsageError(
                f"{have} for outputs {tuple(outputs.shape)}, which do not fit {loss}; {fix}"
            )
        if targets.dtype != torch.int64:
            raise UsageError(f"{have}, and {loss} takes int64 class numbers; targets.long()")
        check_labels(name, objective, targets, logits.shape[-1])
    elif objective.kind in ("values", "binary"):
        require_same_shape(outputs, targets, loss)
        # Autocast returns bfloat16, which losses convert themselves.
        if not targets.is_floating_point() or targets.dtype == torch.float64 != outputs.dtype:
            raise UsageError(f"{have}, and {loss} takes float32 targets; targets.float()")
        if objective.kind == "binary" and not ((targets >= 0) & (targets <= 1)).all():
            raise UsageError(
                f"{name} has targets from {targets.min():g} to {targets.max():g}, and {loss} takes "
                "targets from 0 to 1"
            )


def check_labels(name: str, objective: Objective, targets: Tensor, num_classes: int) -> None:
    """Refuse labels outside of 0 to num_classes - 1, and class weights for another number."""
    weights = objective.class_weights
    if weights is not None and len(weights) != num_classes:
        raise UsageError(
            f"class_weights has {len(weights)} numbers for {num_classes} classes; give one each"
        )
    used = targets[targets != objective.ignore_index]
    if used.numel() and (used.min() < 0 or used.max() >= num_classes):
        low, high = int(used.min()), int(used.max())
        fix = "give the model one output for each class"
        if low == 1 and high == num_classes:
            fix = "labels start at 0: targets - 1"
        elif low < 0:
            fix = f"{low} is no class; the target that is ignored is {objective.ignore_index}"
        raise UsageError(
            f"{name} has labels from {low} to {high}, but the model has {num_classes} outputs "
            f"(labels 0 to {num_classes - 1}); {fix}"
        )


def labels_in_memory(batches: Any) -> Tensor | None:
    """All labels of `batches` where they lie in memory as a tensor, else None."""
    labels = getattr(batches, "labels", None)
    if isinstance(labels, Tensor):
        indices = getattr(batches, "indices", None)
        return labels[indices.to(labels.device)] if isinstance(indices, Tensor) else labels
    if isinstance(batches, DataLoader) and isinstance(batches.dataset, TensorDataset):
        return batches.dataset.tensors[-1]
    if isinstance(batches, list) and all(
        isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[1], Tensor)
        for pair in batches
    ):
        return torch.cat([targets.reshape(-1) for _, targets in batches])
    return None


def check_all_labels(name: str, batches: Any, objective: Objective, outputs: Any) -> None:
    """`check_labels` for all labels that lie in memory, not only for those of one batch."""
    if objective.kind == "classes" and isinstance(outputs, Tensor):
        labels = labels_in_memory(batches)
        if labels is not None and not labels.is_floating_point():
            check_labels(name, objective, labels, outputs.shape[objective.class_dim])


@contextlib.contextmanager
def watched(
    name: str, metric: Any, objective: Objective, outputs: Any, targets: Tensor
) -> Iterator[None]:
    """Around the first use of a loss or metric: refuse it if it does not apply, or broadcasts.

    metric: None for the loss. Raises UsageError.
    """
    if isinstance(metric, Metric) and metric.needs:
        check_needs(name, metric, objective, outputs, targets)
    what = f"metric {name!r}" if metric is not None else f"loss {objective.name}"
    with BroadcastWatch(what, outputs, targets):
        yield


def check_needs(
    name: str, metric: Metric, objective: Objective, outputs: Any, targets: Tensor
) -> None:
    if not isinstance(outputs, Tensor):
        raise UsageError(f"metric {name!r} takes one output tensor, got {shape_of(outputs)}")
    have = f"outputs {shape_of(outputs)} and targets {shape_of(targets)}"
    if metric.needs == "classes":
        in_dim_1 = outputs.dim() > 2 and objective.class_dim == 1
        logits = outputs.movedim(1, -1) if in_dim_1 else outputs
        if targets.is_floating_point() or targets.shape != logits.shape[:-1]:
            raise UsageError(
                f"metric {name!r} takes logits (N, classes) and int64 targets (N), got {have}; "
                "'binary_accuracy' is for targets of 0 and 1, 'mae' and 'mse' are for numbers"
            )
        return
    require_same_shape(outputs, targets, f"metric {name!r}")
    if metric.needs == "binary" and not ((targets == 0) | (targets == 1)).all():
        raise UsageError(f"metric {name!r} takes targets of 0 and 1; the targets have other values")


class BroadcastWatch(TorchFunctionMode):
    """Refuse an operation that would silently broadcast outputs against targets.

    While it is active, every tensor that is computed from the outputs or from the targets is
    followed. An elementwise operation of one with the other, with unequal numbers of dimensions
    and a result larger than both, is the classic mistake of (N, 1) against (N,).
    """

    def __init__(self, what: str, outputs: Any, targets: Any) -> None:
        super().__init__()
        self.what = what
        self.alive: list[Any] = [outputs, targets]  # so that no id is used twice
        self.outputs, self.targets = {id(outputs)}, {id(targets)}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [value for value in [*args, *kwargs.values()] if isinstance(value, Tensor)]
        ours = [one for one in tensors if id(one) in self.outputs]
        theirs = [one for one in tensors if id(one) in self.targets]
        pairs = [
            (a, b)
            for a in ours
            for b in theirs
            if id(a) not in self.targets and id(b) not in self.outputs and grows(a, b)
        ]
        name = getattr(func, "__name__", "")
        if pairs and name.endswith("_loss"):
            self.refuse(*pairs[0])
        result = func(*args, **kwargs)
        if isinstance(result, Tensor):
            for a, b in pairs:
                if result.shape == torch.broadcast_shapes(a.shape, b.shape):
                    self.refuse(a, b)
            if ours:
                self.outputs.add(id(result))
            if theirs:
                self.targets.add(id(result))
            self.alive.append(result)
        return result

    def refuse(self, outputs: Tensor, targets: Tensor) -> None:
        require_same_shape(outputs, targets, self.what)


def grows(one: Tensor, other: Tensor) -> bool:
    """Whether broadcasting makes more elements than either has, by a dimension put in front."""
    if one.dim() == other.dim():
        return False
    try:
        size = math.prod(torch.broadcast_shapes(one.shape, other.shape))
    except RuntimeError:
        return False
    return size > max(one.numel(), other.numel())


def check_scalar(objective: Objective, loss: Any) -> Tensor:
    """Refuse a loss that is no scalar tensor. Raises UsageError."""
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise UsageError(
            f"loss {objective.name} must return a scalar tensor, the mean over the batch, got "
            f"{shape_of(loss)}"
        )
    return loss


def non_finite_batch(batches: Iterable[Any]) -> str | None:
    """Where the first NaN or infinite number in `batches` is: "inputs of batch 3", or None."""
    for number, (inputs, targets) in enumerate(batches, start=1):
        parts = inputs if isinstance(inputs, tuple | list) else (inputs,)
        for what, value in [*(("inputs", part) for part in parts), ("targets", targets)]:
            if value.is_floating_point() and not value.isfinite().all():
                return f"{what} of batch {number}"
    return None


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn torch's errors for known mistakes in the data into one line that says the fix."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TrainingError(
            f"batch norm needs at least 2 samples in a batch, and a batch of {name} has one; leave "
            "a short last batch out: drop_last=True in Batches or DataLoader"
        ) from None
    except IndexError as error:
        if "out of bounds" not in str(error) or "Target" not in str(error):
            raise
        raise UsageError(
            f"{name} has a label that the model has no output for ({error}); give the model one "
            "output for each class"
        ) from None
