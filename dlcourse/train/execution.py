"""How a step is computed: memory layout, fused kernels, bfloat16, compilation, determinism.

By itself `fit` does what gained on one processor and was not measured to lose on another; the
figures are in docs/training.md. bfloat16 is on where it also leaves the scores as they are.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dlcourse.errors import TrainingError, UsageError
from dlcourse.runtime import has_bf16, keep_freed_memory
from dlcourse.train.losses import Loss
from dlcourse.values import check_whole, is_number

__all__ = ["Execution", "Gradients", "Placement", "has_compiler", "memory_advice"]

# Steps after which `torch.compile` pays off: a ResNet-20 took 27 s and gained 0.03 s in each step.
WORTH_COMPILING = 1000
FUSED = ("adam", "adamw", "momentum", "nesterov", "sgd")


@dataclass(frozen=True)
class Execution:
    """How `fit` computes. None lets it decide; the results stay the same within rounding.

    The rounding of bfloat16 is coarse: single numbers differ in the third digit, while accuracies
    and perplexities differ less than those of two seeds.

    channels_last: keep the channels of filters and images innermost in memory. None: for models
        with 2D convolutions, unless they flatten with `view`, which needs torch's usual layout.
    fused: update all weights in one kernel. None: for Adam, AdamW and SGD, unless a layer has
        sparse gradients.
    bf16: compute in bfloat16 where autocast allows it. None: for a cross-entropy over classes, on a
        device that has instructions for it, unless the environment variable DLCOURSE_BF16 is 0.
        Weights and their updates stay in float32.
    compile: use `torch.compile`, on a GPU with CUDA graphs. It costs 4 to 30 s, and gains where
        there is much to fuse, such as batch norm and ReLU in a ResNet. None: on a GPU, where there
        is a compiler and the run has at least 1,000 steps.
    deterministic: use torch's deterministic algorithms, and switch off everything above that is
        None: the same numbers to the last bit on the same machine, on a GPU too.

    Raises UsageError for a value that is not True, False or None.
    """

    channels_last: bool | None = None
    fused: bool | None = None
    bf16: bool | None = None
    compile: bool | None = False
    deterministic: bool = False

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (isinstance(value, bool) or (value is None and name != "deterministic")):
                raise UsageError(f"Execution({name}=...) must be True or False, got {value!r}")


@dataclass(frozen=True)
class Gradients:
    """What happens to gradients between the backward pass and the step of the optimizer.

    accumulate: how many batches share one step; the step is that of one large batch. The last
        group of an epoch may be smaller.
    clip_norm: the largest norm of all gradients together. clip_value: the largest absolute value
        of one element. None leaves gradients as they are.

    Raises UsageError for values out of range.
    """

    accumulate: int = 1
    clip_norm: float | None = None
    clip_value: float | None = None

    def __post_init__(self) -> None:
        check_whole(accumulate=self.accumulate)
        for name in ("clip_norm", "clip_value"):
            value = getattr(self, name)
            if value is not None and (not is_number(value) or not value > 0):
                raise UsageError(f"{name} must be above 0 (or None), got {value!r}")

    def clip(self, model: nn.Module) -> None:
        """Clip the gradients of `model` in place."""
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), self.clip_norm)
        if self.clip_value is not None:
            nn.utils.clip_grad_value_(model.parameters(), self.clip_value)


class Placement:
    """An Execution as decided for one model on one device: True or False for each setting.

    steps: how many steps the run will have. classifies: whether the loss is a cross-entropy over
    classes.

    Raises UsageError for bf16 on a device that only emulates it, for compile without a compiler,
    and for an unknown value of DLCOURSE_BF16.
    """

    def __init__(
        self,
        execution: Execution,
        model: nn.Module,
        device: torch.device,
        steps: int = 0,
        classifies: bool = False,
    ) -> None:
        if execution.bf16 and not has_bf16(device):
            raise UsageError(
                f"bf16=True, but this {device.type} does not compute in bfloat16 and would be "
                "slower; leave it out, and it is used where it is supported"
            )
        if execution.compile and not has_compiler(device):
            raise UsageError(
                "compile=True, but torch.compile finds no compiler here (Triton for a GPU, g++ or "
                "clang++ for a CPU); install one, or use compile=None"
            )
        on = not execution.deterministic
        convolves = any(isinstance(layer, nn.Conv2d) for layer in model.modules())
        sparse = any(getattr(layer, "sparse", False) is True for layer in model.modules())

        def decide(asked: bool | None, default: bool) -> bool:
            return on and default if asked is None else asked

        self.device = device
        self.channels_last = decide(execution.channels_last, convolves)
        self.layout = torch.channels_last if self.channels_last else torch.preserve_format
        self.may_change_layout = execution.channels_last is None and self.channels_last
        self.fused = decide(execution.fused, not sparse)
        self.bf16 = decide(execution.bf16, classifies and bf16_wanted() and has_bf16(device))
        worth = device.type == "cuda" and steps >= WORTH_COMPILING and has_compiler(device)
        self.compile = decide(execution.compile, worth)
        self.deterministic = execution.deterministic

    def place(self, model: nn.Module) -> None:
        """Move `model` to the device, with its filters in the memory layout of `channels_last`."""
        model.to(self.device)
        if self.channels_last:
            model.to(memory_format=torch.channels_last)
        if self.device.type == "cpu":
            keep_freed_memory()

    def leave_layout(self, model: nn.Module, error: RuntimeError) -> None:
        """Go back to torch's usual memory layout if `error` asks for it; else raise `error`."""
        if not (self.may_change_layout and "view size is not compatible" in str(error)):
            raise error
        self.channels_last = self.may_change_layout = False
        self.layout = torch.contiguous_format
        model.to(memory_format=self.layout)

    def optimizer_settings(self, name: str) -> dict[str, bool]:
        """Arguments for torch's optimizer class."""
        return {"fused": True} if self.fused and name in FUSED else {}

    def compiled(self, model: nn.Module) -> Any:
        mode = "reduce-overhead" if self.device.type == "cuda" else "default"
        return torch.compile(model, mode=mode) if self.compile else model

    def inputs(self, inputs: Any) -> Any:
        """`inputs` on the device: one tensor, or each of several; images in the filters' layout."""
        if not isinstance(inputs, Tensor):
            return tuple(self.inputs(one) for one in inputs)
        inputs = inputs.to(self.device, non_blocking=True)
        if inputs.dim() == 4:
            inputs = inputs.to(memory_format=self.layout)
        return inputs

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The context of each forward pass and its loss."""
        if not self.bf16:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    @contextlib.contextmanager
    def settings(self) -> Iterator[None]:
        """Set torch's global switches while a run lasts."""
        if not self.deterministic:
            yield
            return
        was = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(was[0])
            torch.backends.cudnn.benchmark = was[1]


def bf16_wanted() -> bool:
    """Whether the environment leaves bfloat16 on. Raises UsageError for an unknown value."""
    value = os.environ.get("DLCOURSE_BF16") or "1"
    if value not in ("0", "1"):
        raise UsageError(f"DLCOURSE_BF16 must be 0 or 1, got {value!r}")
    return value == "1"


def has_compiler(device: torch.device) -> bool:
    """Whether `torch.compile` has the compiler that it needs for `device`."""
    if device.type == "cuda":
        return importlib.util.find_spec("triton") is not None
    usual = "clang++" if sys.platform == "darwin" else "g++"
    return shutil.which(os.environ.get("CXX", usual)) is not None


def memory_advice(model: nn.Module, loss: Loss, inputs: Any, targets: Tensor) -> TrainingError:
    """The error for a batch that does not fit into memory, with a size that fits.

    Tries half of the batch, a quarter, and so on. Gradients are cleared.
    """
    size = len(targets) // 2
    while size:
        model.zero_grad(set_to_none=True)
        if targets.is_cuda:
            torch.cuda.empty_cache()
        several = inputs if isinstance(inputs, tuple) else (inputs,)
        part = [one[:size] for one in several]
        try:
            loss(model(*part), targets[:size]).backward()
        except torch.OutOfMemoryError:
            size //= 2
        else:
            break
    model.zero_grad(set_to_none=True)
    advice = f"a batch of {size} fits" if size else "not even a batch of 1 fits: a smaller model"
    return TrainingError(f"out of memory with a batch of {len(targets)}; {advice}")
