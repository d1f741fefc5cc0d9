"""Losses, and what each one says about its targets, so about metrics and shapes.

A loss is a function of (outputs, targets) that returns the mean over a batch as a scalar tensor.
`describe_loss` looks at one and returns an Objective, from which `fit` takes its defaults.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from dlcourse.errors import UsageError
from dlcourse.values import check_share

__all__ = [
    "IGNORED", "CrossEntropy", "Loss", "Objective", "check_scalar", "class_fix",
    "cross_entropy", "cross_entropy_in_place", "describe_loss", "laplacian_loss",
    "mean_squared_error", "name_of", "require_classes", "require_same_shape", "shape_of",
    "squared_error",
]  # fmt: skip

Loss = Callable[[Any, Any], Tensor]

# The target that cross-entropy and every metric of classes skips, as in PyTorch.
IGNORED = -100
# Elements in one piece of the softmax: 4 MB in float32, which stays in the cache for all passes.
PIECE = 1 << 20
BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)  # the binomial weights of Burt & Adelson 1983


def shape_of(value: object) -> str:
    """The dtype and shape of a tensor as messages show them: "float32 (64, 10)"."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    size = f" of {len(value)} values" if isinstance(value, tuple | list) else ""
    return f"a {type(value).__name__}{size}"


def name_of(value: Any) -> str:
    """The name under which messages and the History show a name, a function or an object."""
    while isinstance(value, functools.partial):
        value = value.func
    return value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)


def check_scalar(what: str, value: Any) -> Tensor:
    """Refuse a value of a loss or metric that is no scalar tensor. Raises UsageError."""
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise UsageError(
            f"{what} must return a scalar tensor, the mean over the batch, got {shape_of(value)}"
        )
    return value


def require_same_shape(outputs: Tensor, targets: Tensor, what: str) -> None:
    """Refuse shapes that would broadcast. Raises UsageError with both shapes and the fix."""
    if outputs.shape == targets.shape:
        return
    fix = "give outputs and targets the same shape"
    if outputs.dim() == 0 and targets.numel() == 1:
        fix = "let the model keep its batch dimension (squeeze(-1) instead of squeeze())"
    elif outputs.shape == (*targets.shape, 1):
        fix = "use targets.unsqueeze(-1), or return outputs.squeeze(-1) from the model"
    elif targets.shape == (*outputs.shape, 1):
        fix = "use targets.squeeze(-1), or return outputs.unsqueeze(-1) from the model"
    raise UsageError(
        f"{what} compares outputs {tuple(outputs.shape)} with targets {tuple(targets.shape)}, "
        f"which would broadcast; {fix}"
    )


def require_classes(logits: Tensor, targets: Tensor, what: str) -> None:
    """Refuse targets that are not one class number for each row of logits (..., classes)."""
    if logits.shape[:-1] != targets.shape:
        raise UsageError(
            f"{what} takes logits (..., classes) and targets (...), got logits "
            f"{tuple(logits.shape)} and targets {tuple(targets.shape)}; "
            f"{class_fix(logits, targets)}"
        )


def class_fix(logits: Tensor, targets: Tensor) -> str:
    """How to turn `targets` into class numbers."""
    if targets.shape == logits.shape and logits.shape[-1] > 1:
        return "turn one-hot targets into class numbers: targets.argmax(-1)"
    if targets.dim() == logits.dim() and targets.shape[-1] == 1:
        return "remove the last dimension of the targets: targets.squeeze(-1)"
    if logits.dim() == 3 and tuple(logits.shape[1::-1]) == tuple(targets.shape):
        return "swap the first two dimensions of one of them: transpose(0, 1)"
    return "give one int64 class number for each row of logits"


def cross_entropy(
    logits: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy in nats. Targets of -100 are skipped.

    class_weights: float (classes,); the mean then divides by the sum of the targets' weights.

    Shape: logits (..., classes), targets int64 (...) -> (). Raises UsageError for other shapes.
    """
    require_classes(logits, targets, "cross_entropy")
    return F.cross_entropy(
        logits.flatten(0, -2), targets.flatten(), class_weights, label_smoothing=label_smoothing
    )


class CrossEntropy:
    """`cross_entropy` with settings, for `fit(loss=CrossEntropy(...))`.

    label_smoothing: how much of each target is spread over all classes while training, at least 0
        and below 1; validation uses plain labels (Szegedy et al. 2016, section 7).
    class_weights: one number of at least 0 for each class, for classes of unequal size. They count
        in training and in validation, as in `torch.nn.CrossEntropyLoss(weight=...)`.

    Raises UsageError for values outside these ranges.
    """

    def __init__(
        self, label_smoothing: float = 0.0, class_weights: Sequence[float] | Tensor | None = None
    ) -> None:
        check_share(label_smoothing=label_smoothing)
        weights = None
        if class_weights is not None:
            weights = torch.as_tensor(class_weights, dtype=torch.float32)
            if weights.dim() != 1 or not ((weights > 0) & weights.isfinite()).all():
                raise UsageError(
                    "class_weights must be one finite number above 0 for each class (targets of "
                    f"-100 are left out), got {class_weights}"
                )
        self.label_smoothing, self.class_weights = label_smoothing, weights

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(logits)
        return cross_entropy(logits, targets, self.label_smoothing, weights)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Squared differences, summed over a sample, mean over samples. Shape: (N, *) twice -> ()."""
    require_same_shape(outputs, targets, "squared_error")
    return (outputs - targets).square().sum() / len(outputs)


def mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of squared differences. Shape: (N, *) twice -> (). Raises UsageError if unequal."""
    require_same_shape(outputs, targets, "mean_squared_error")
    return (outputs - targets).square().mean()


def laplacian_loss(outputs: Tensor, targets: Tensor, levels: int = 3) -> Tensor:
    """Lap1: sum over the levels j of the Laplacian pyramid of 4^j |L_j(outputs) - L_j(targets)|.

    L_j is level j minus its blurred half-size copy; the last level is the copy itself. Absolute
    values are summed over pixels, and the mean is over images (Bojanowski et al. 2017, equation 3;
    Ling & Okada 2006).

    Shape: (N, C, H, W) twice -> (). Raises UsageError for unequal shapes.
    """
    require_same_shape(outputs, targets, "laplacian_loss")
    difference = outputs - targets  # the pyramid is linear: one of the difference is enough
    loss = outputs.new_zeros(())
    for level in range(levels - 1):
        small = blur(difference)[:, :, ::2, ::2]
        large = F.interpolate(small, difference.shape[2:], mode="bilinear", align_corners=False)
        loss = loss + 4**level * (difference - large).abs().sum()
        difference = small
    return (loss + 4 ** (levels - 1) * difference.abs().sum()) / len(outputs)


def blur(images: Tensor) -> Tensor:
    """`images` (N, C, H, W) under the 5x5 binomial filter, the border repeated outward."""
    C = images.shape[1]
    weights = torch.tensor(BLUR).to(images)
    kernel = torch.outer(weights, weights).expand(C, 1, 5, 5)
    return F.conv2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), kernel, groups=C)


def cross_entropy_in_place(logits: Tensor, targets: Tensor) -> Tensor:
    """`cross_entropy` that writes the gradient over the logits, to save memory.

    With a vocabulary of 10,000 words the logits are the largest array that a language model
    computes; autograd's own cross-entropy writes four more arrays of that size. Use the logits for
    nothing else afterwards. Where no gradient is needed this is `cross_entropy`.

    Shape: logits (..., classes), targets int64 (...) -> ().
    """
    if not (torch.is_grad_enabled() and logits.requires_grad):
        return cross_entropy(logits, targets)
    require_classes(logits, targets, "cross_entropy_in_place")
    return InPlace.apply(logits.flatten(0, -2), targets.flatten())


class InPlace(torch.autograd.Function):
    """Mean cross-entropy that turns its logits (N, C) into d loss / d logits in the forward pass.

    The backward pass of a linear layer needs its inputs and weights but never its outputs, so the
    outputs may be overwritten.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        used = targets != IGNORED
        count = used.sum().clamp(min=1)
        rows = max(1, PIECE // logits.shape[1])
        losses = []
        pieces = (logits.split(rows), targets[:, None].split(rows), used[:, None].split(rows))
        for piece, right, counts in zip(*pieces, strict=True):
            right = right.clamp(min=0)
            piece -= piece.amax(1, keepdim=True)
            shifted = piece.gather(1, right)
            sums = piece.exp_().sum(1, keepdim=True)
            losses.append((sums.log() - shifted) * counts)
            share = counts.to(piece) / count
            piece *= share / sums
            piece.scatter_add_(1, right, -share)
        ctx.gradient = logits
        return torch.cat(losses).sum() / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, None]:
        return ctx.gradient.mul_(scale), None


@dataclass(frozen=True, eq=False)
class Objective:
    """A loss, and what its kind says about outputs and targets.

    kind: "classes" (one class number for each target), "binary" (0 or 1 for each output),
        "values" (a number for each output) or "custom" (a function that is not known here).
    evaluate: the loss for validation, without label smoothing if `loss` is a CrossEntropy.
    class_dim: where the classes are in the outputs: last (-1), or 1 as in `torch.nn`.
    threshold: outputs above it mean 1, for the kind "binary".
    takes: what outputs must be, "logits", "probabilities" or "log-probabilities"; "" for anything.
    ignore_index, class_weights: of a cross-entropy.
    """

    loss: Loss
    evaluate: Loss
    name: str
    kind: str = "custom"
    class_dim: int = -1
    threshold: float = 0.0
    takes: str = ""
    ignore_index: int = IGNORED
    class_weights: Tensor | None = None
    label_smoothing: float = 0.0

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        if self.kind in ("values", "binary"):
            require_same_shape(outputs, targets, self.name)
        return self.loss(outputs, targets)

    def weight(self, targets: Tensor) -> Tensor | float:
        """What the batch counts in a mean over batches: its targets, without ignored ones.

        Where that depends on their values, it is a tensor, so that nothing waits for the device.
        """
        if self.kind != "classes" or targets.is_floating_point():
            return float(targets.numel()) if isinstance(targets, Tensor) else 1.0
        used = targets != self.ignore_index
        if self.class_weights is None:
            return used.sum()
        weights = self.class_weights.to(targets.device)
        return (weights[targets.where(used, 0)] * used).sum()

    def weights(self, batches: Sequence[Tensor]) -> list[Tensor | float]:
        """`weight` for the targets of several batches, which is cheaper if none is ignored."""
        if batches and self.kind == "classes" and self.class_weights is None:
            flat = torch.cat([targets.reshape(-1) for targets in batches])
            if not (flat == self.ignore_index).any():
                return [float(targets.numel()) for targets in batches]
        return [self.weight(targets) for targets in batches]


# Functions and classes of losses, and what each group says to an Objective.
KNOWN: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (
        (cross_entropy, cross_entropy_in_place, CrossEntropy),
        {"kind": "classes", "takes": "logits"},
    ),
    (
        (F.cross_entropy, nn.CrossEntropyLoss),
        {"kind": "classes", "class_dim": 1, "takes": "logits"},
    ),
    (
        (F.nll_loss, nn.NLLLoss),
        {"kind": "classes", "class_dim": 1, "takes": "log-probabilities"},
    ),
    ((F.multi_margin_loss, nn.MultiMarginLoss), {"kind": "classes", "class_dim": 1}),
    (
        (F.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss),
        {"kind": "binary", "takes": "logits"},
    ),
    (
        (F.binary_cross_entropy, nn.BCELoss),
        {"kind": "binary", "takes": "probabilities", "threshold": 0.5},
    ),
    (
        (mean_squared_error, squared_error, F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss,
         F.poisson_nll_loss, nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss,
         nn.PoissonNLLLoss),
        {"kind": "values"},
    ),
]  # fmt: skip


def describe_loss(loss: Any) -> Objective:
    """The Objective of `loss`: a function, a `functools.partial` of one, or a module of torch.nn.

    Raises UsageError for a class, for something that cannot be called, and for another reduction
    than the mean.
    """
    if isinstance(loss, Objective):
        return loss
    if isinstance(loss, type):
        raise UsageError(f"loss is the class {loss.__name__}; give an instance: {loss.__name__}()")
    if not callable(loss):
        raise UsageError(f"loss must be a function of (outputs, targets), got {loss!r}")
    function: Any = loss
    settings: dict[str, Any] = {}
    while isinstance(function, functools.partial):
        settings = {**function.keywords, **settings}
        function = function.func
    if isinstance(function, nn.Module):
        names = ("reduction", "weight", "ignore_index", "label_smoothing")
        settings |= {name: getattr(function, name, None) for name in names}
    name = name_of(function)
    reduction = settings.get("reduction") or "mean"
    if reduction != "mean":
        raise UsageError(
            f"loss {name} has reduction={reduction!r}; fit takes means over a batch: leave "
            "reduction out"
        )
    known: dict[str, Any] = next(
        (
            said
            for keys, said in KNOWN
            for key in keys
            if function is key or (isinstance(key, type) and isinstance(function, key))
        ),
        {},
    )
    objective = Objective(loss, loss, name, **known)
    if isinstance(loss, CrossEntropy):
        return replace(
            objective,
            name="cross_entropy",
            evaluate=CrossEntropy(class_weights=loss.class_weights),
            label_smoothing=loss.label_smoothing,
            class_weights=loss.class_weights,
        )
    if objective.kind != "classes":
        return objective
    ignore_index, weights = settings.get("ignore_index"), settings.get("weight")
    return replace(
        objective,
        ignore_index=IGNORED if ignore_index is None else ignore_index,
        class_weights=settings.get("class_weights") if weights is None else weights,
        label_smoothing=settings.get("label_smoothing") or 0.0,
    )
