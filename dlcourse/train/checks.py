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
from dlcourse.train.losses import (
    Objective,
    check_scalar,
    class_fix,
    require_same_shape,
    shape_of,
)
from dlcourse.train.metrics import Metric

__all__ = [
    "check_batch",
    "check_batches",
    "check_outputs",
    "explained",
    "first_loss",
    "non_finite",
    "watched",
]

CLEAN = "remove or replace them: torch.nan_to_num(values), or leave those samples out"


def check_batches(name: str, batches: Any) -> None:
    """Refuse what is no sized iterable of batches. name: "train" or "val"."""
    if isinstance(batches, Dataset):
        raise UsageError(
            f"{name} is a {type(batches).__name__}, which yields single samples; wrap it: "
            f"DataLoader({name}_set, batch_size=64{', shuffle=True' if name == 'train' else ''})"
        )
    parts = batches if isinstance(batches, tuple) and batches else (batches,)
    if all(isinstance(part, Tensor | np.ndarray) for part in parts):
        raise UsageError(
            f"{name} is {shape_of(batches)}, not batches; use "
            "DataLoader(TensorDataset(inputs, targets), batch_size=64)"
        )
    if not hasattr(batches, "__iter__"):
        raise UsageError(f"{name} must yield batches (inputs, targets), got {shape_of(batches)}")
    try:
        length = None if isinstance(batches, Iterator) else len(batches)
    except TypeError:
        length = None
    if length is None:
        raise UsageError(
            f"{name} is a {type(batches).__name__}, which can be read only once or has no length; "
            "give a list of batches or a DataLoader over a data set of known size"
        )
    if length == 0:
        raise UsageError(f"{name} holds no batch: is batch_size larger than the data?")


def parts_of(inputs: Any, targets: Any) -> list[tuple[str, Any]]:
    """Every part of a batch, with the word for it: the inputs may be several tensors."""
    several = inputs if isinstance(inputs, tuple | list) else [inputs]
    return [*(("inputs", part) for part in several), ("targets", targets)]


def is_finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())


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
    parts = parts_of(inputs, targets)
    for what, value in parts:
        if not isinstance(value, Tensor):
            raise UsageError(f"{name} yields {what} that are {shape_of(value)}, not a tensor")
    wanted = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)
    for what, value in parts:
        if value.dim() == 0 or value.shape[:1] != targets.shape[:1]:
            raise UsageError(
                f"{name} yields {what} {shape_of(value)} and targets {shape_of(targets)}; the "
                "first dimension of both must be the batch"
            )
        if not is_finite(value):
            raise UsageError(f"{name} holds {what} that are NaN or infinite; {CLEAN}")
        floats = what == "inputs" and value.is_floating_point() and wanted is not None
        if floats and value.dtype != wanted:
            raise UsageError(
                f"{name} yields inputs {shape_of(value)}, but the model computes in "
                f"{str(wanted).removeprefix('torch.')}; convert them: inputs.to({wanted})"
            )
    return (tuple(inputs) if isinstance(inputs, list) else inputs), targets


def check_outputs(name: str, objective: Objective, outputs: Any, targets: Tensor) -> None:
    """Refuse outputs and targets that do not fit the kind of loss. Raises UsageError."""
    loss, have = objective.name, f"{name} has targets {shape_of(targets)}"
    if objective.kind == "custom":
        return
    if not isinstance(outputs, Tensor):
        raise UsageError(
            f"the model returns {shape_of(outputs)}, and loss {loss} takes one tensor; "
            "return the logits alone, or give a loss function that takes what the model returns"
        )
    check_scale(objective, outputs)
    if objective.kind == "classes":
        check_classes(name, objective, outputs, targets)
        return
    require_same_shape(outputs, targets, loss)
    # Autocast returns bfloat16, which losses convert themselves.
    if not targets.is_floating_point() or targets.dtype == torch.float64 != outputs.dtype:
        raise UsageError(f"{have}, and {loss} takes float32 targets; targets.float()")
    if objective.kind == "binary" and not ((targets >= 0) & (targets <= 1)).all():
        raise UsageError(
            f"{name} has targets from {targets.min():g} to {targets.max():g}, and {loss} takes "
            "targets from 0 to 1"
        )


def check_scale(objective: Objective, outputs: Tensor) -> None:
    """Refuse probabilities where the loss takes logits, and the reverse: it would not complain.

    Raises UsageError.
    """
    loss, scores, dim = objective.name, outputs.detach().float(), objective.class_dim
    fix = ""
    if objective.takes == "probabilities" and not ((scores >= 0) & (scores <= 1)).all():
        fix = "end the model with nn.Sigmoid(), or use loss=nn.BCEWithLogitsLoss()"
    elif objective.takes == "log-probabilities" and (scores.logsumexp(dim).abs() > 0.05).any():
        fix = "end the model with nn.LogSoftmax(dim), or use loss=nn.CrossEntropyLoss()"
    elif objective.takes == "logits" and objective.kind == "binary":
        if last_operation(outputs) == "Sigmoid":
            fix = "leave the last sigmoid of the model out"
    elif objective.takes == "logits" and scores.dim() > 1 and scores.shape[dim] > 1:
        sums_to_1 = ((scores.sum(dim) - 1).abs() < 0.01).all()
        fix = "leave the last softmax of the model out" if sums_to_1 and (scores >= 0).all() else ""
    if fix:
        raise UsageError(f"the model does not return {objective.takes}, which {loss} takes; {fix}")


def last_operation(outputs: Tensor) -> str:
    """The last operation that changed numbers, such as "Sigmoid"; "" where no graph tells it."""
    node = outputs.grad_fn
    while node is not None and node.name().startswith(("Squeeze", "Unsqueeze", "View", "ToCopy")):
        node = node.next_functions[0][0]
    return node.name().removesuffix("0").removesuffix("Backward") if node is not None else ""


def check_classes(name: str, objective: Objective, outputs: Tensor, targets: Tensor) -> None:
    """`check_outputs` for losses that take class numbers."""
    loss, have = objective.name, f"{name} has targets {shape_of(targets)}"
    # Whether the classes are in dimension 1, as in torch.nn.
    first = objective.class_dim == 1 and outputs.dim() > 1
    if first and targets.is_floating_point() and targets.shape == outputs.shape:
        return  # probabilities of classes, which torch's cross-entropy takes
    logits = outputs.movedim(1, -1) if first else outputs
    fits = targets.shape == logits.shape[:-1]
    if targets.dtype != torch.int64 and (fits or targets.is_floating_point()):
        fix = "targets.long()" if fits else class_fix(logits, targets)
        if targets.is_floating_point() and logits.shape[-1] == 1:
            fix = "use loss=nn.BCEWithLogitsLoss() for 0 or 1, nn.MSELoss() for numbers"
        raise UsageError(f"{have}, and {loss} takes int64 class numbers; {fix}")
    if not fits:
        fix = class_fix(logits, targets)
        if first and targets.shape == outputs.shape[:-1]:
            fix = "use loss=dlcourse.train.cross_entropy, which has the classes last"
        elif outputs.dim() > 2 and targets.shape == outputs.movedim(1, -1).shape[:-1]:
            fix = "use loss=nn.CrossEntropyLoss(), which has the classes in dimension 1"
        raise UsageError(
            f"{have} for outputs {tuple(outputs.shape)}, which do not fit {loss}; {fix}"
        )
    check_labels(name, objective, targets, logits.shape[-1])


def check_labels(name: str, objective: Objective, targets: Tensor, num_classes: int) -> None:
    """Refuse labels outside of 0 to num_classes - 1, and class weights for another number."""
    weights = objective.class_weights
    if weights is not None and len(weights) != num_classes:
        raise UsageError(
            f"class_weights has {len(weights)} numbers for {num_classes} classes; give one each"
        )
    if weights is not None and not (weights > 0).all():
        raise UsageError(
            f"class_weights must be above 0, got {weights.tolist()}; to leave targets out, set "
            f"them to {objective.ignore_index}"
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


def first_loss(
    name: str, batches: Any, objective: Objective, outputs: Any, targets: Tensor
) -> Tensor:
    """The loss of the first of `batches`, if outputs, targets and the loss are as they should be.

    All labels that lie in memory are checked, not only those of this batch. Raises UsageError.
    """
    check_outputs(name, objective, outputs, targets)
    if objective.kind == "classes":
        labels = labels_in_memory(batches)
        if labels is not None and not labels.is_floating_point():
            if labels.numel() and (labels == objective.ignore_index).all():
                raise UsageError(
                    f"{name} has no target that counts: all are {objective.ignore_index}, which "
                    f"{objective.name} ignores"
                )
            check_labels(name, objective, labels, outputs.shape[objective.class_dim])
    with watched("loss", None, objective, outputs, targets):
        return check_scalar(f"loss {objective.name}", objective(outputs, targets))


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
    if metric.needs != "classes":
        require_same_shape(outputs, targets, f"metric {name!r}")
        if metric.needs == "binary" and not ((targets == 0) | (targets == 1)).all():
            raise UsageError(
                f"metric {name!r} takes targets of 0 and 1; the targets have other values"
            )
        return
    in_dim_1 = outputs.dim() > 2 and objective.class_dim == 1
    logits = outputs.movedim(1, -1) if in_dim_1 else outputs
    if targets.is_floating_point() or targets.shape != logits.shape[:-1]:
        raise UsageError(
            f"metric {name!r} takes logits (N, classes) and int64 targets (N), got outputs "
            f"{shape_of(outputs)} and targets {shape_of(targets)}; 'binary_accuracy' is for "
            "targets of 0 and 1, 'mae' and 'mse' are for numbers"
        )


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
        if pairs and getattr(func, "__name__", "").endswith("_loss"):
            require_same_shape(*pairs[0], self.what)
        result = func(*args, **kwargs)
        if isinstance(result, Tensor):
            for a, b in pairs:
                if result.shape == torch.broadcast_shapes(a.shape, b.shape):
                    require_same_shape(a, b, self.what)
            if ours:
                self.outputs.add(id(result))
            if theirs:
                self.targets.add(id(result))
            self.alive.append(result)
        return result


def grows(one: Tensor, other: Tensor) -> bool:
    """Whether broadcasting makes more elements than either has, by a dimension put in front."""
    if one.dim() == other.dim():
        return False
    try:
        size = math.prod(torch.broadcast_shapes(one.shape, other.shape))
    except RuntimeError:
        return False
    return size > max(one.numel(), other.numel())


def non_finite(name: str, batches: Iterable[Any]) -> str:
    """Where the first NaN or infinite number in `batches` is, and what to do; "" for none."""
    for number, batch in enumerate(batches, start=1):
        for what, value in parts_of(*batch):
            if not is_finite(value):
                return (
                    f"{name} holds NaN or infinite numbers in the {what} of batch {number}; {CLEAN}"
                )
    return ""


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn torch's errors for known mistakes in the data into one line that says the fix."""
    try:
        yield
    except RuntimeError as error:
        if "does not require grad" in str(error):
            raise UsageError(
                "the loss does not depend on the model's parameters; look in the model and the "
                "loss for detach(), item(), numpy(), torch.tensor(...) or torch.no_grad()"
            ) from None
        if not any(words in str(error) for words in ("same dtype", "should be the same")):
            raise
        raise UsageError(
            f"the model cannot compute with the inputs of {name} ({error}); convert whole numbers: "
            "inputs.float()"
        ) from None
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
