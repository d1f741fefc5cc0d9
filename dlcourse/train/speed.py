"""What makes a step faster, and where: each knob on by itself only where a benchmark shows a gain.

`benchmarks/speed.py` has the figures. Measured on a CPU without bfloat16 only; what is said of GPUs
is not measured.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from dlcourse.errors import TrainingError, UsageError
from dlcourse.runtime import keep_freed_memory

__all__ = ["Speed", "fitting_batch_size", "has_bf16", "has_compiler", "out_of_memory"]

# Steps after which `torch.compile` is repaid: a ResNet-20 took 27 s and gained 0.03 s a step.
REPAID = 1000
FUSED = ("adam", "adamw", "momentum", "nesterov", "sgd")


class Speed:
    """The knobs of a run, decided for its model and device.

    channels_last: filters and images with the channels innermost; None: for models with
        convolutions. fused: one kernel for the whole update; None: for Adam, AdamW
        and SGD with and without momentum.
    bf16: autocast to bfloat16; None: where the device computes in it. compile: `torch.compile`,
        on a GPU with CUDA graphs; it costs 4 to 30 s, so it is on only when asked for; None: where
        there is a compiler and the run has `steps` enough to repay it. It gains where much is to be
        fused: batch norm and ReLU of a ResNet.
    deterministic: everything above off, unless asked for by name, and torch's deterministic
        algorithms: the same numbers to the bit on the same machine, on a GPU too.

    Raises UsageError for bf16 on a device that would only imitate it, and for compile without a
    compiler.
    """

    def __init__(
        self,
        model: nn.Module,
        device: torch.device,
        *,
        channels_last: bool | None = None,
        fused: bool | None = None,
        bf16: bool | None = False,
        compile: bool | None = False,
        deterministic: bool = False,
        steps: int = 0,
    ) -> None:
        if bf16 and not has_bf16(device):
            raise UsageError(
                f"bf16=True, but this {device.type} does not compute in bfloat16 and would be "
                "slower; leave it out, or bf16=None for where it can"
            )
        if compile and not has_compiler(device):
            raise UsageError(
                "compile=True, but torch.compile finds no compiler here (Triton for a GPU, g++ or "
                "clang++ for a CPU); install one, or compile=None for where there is one"
            )
        on = not deterministic
        convolves = any(isinstance(layer, nn.Conv2d) for layer in model.modules())
        self.device = device
        self.channels_last = on and convolves if channels_last is None else channels_last
        self.fused = on if fused is None else fused
        self.bf16 = on and has_bf16(device) if bf16 is None else bf16
        if compile is None:
            compile = on and steps >= REPAID and has_compiler(device)
        self.compile = compile
        self.deterministic = deterministic

    def place(self, model: nn.Module) -> None:
        """Move `model` to the device, its filters in the order of `channels_last`.

        On a CPU what a step frees is kept for the next, see `keep_freed_memory`.
        """
        model.to(self.device)
        if self.channels_last:
            model.to(memory_format=torch.channels_last)
        if self.device.type == "cpu":
            keep_freed_memory()

    def optimizer_settings(self, name: str) -> dict[str, bool]:
        """What to give to torch's optimizer class."""
        return {"fused": True} if self.fused and name in FUSED else {}

    def compiled(self, model: nn.Module) -> nn.Module:
        if not self.compile:
            return model
        mode = "reduce-overhead" if self.device.type == "cuda" else "default"
        return torch.compile(model, mode=mode)

    def inputs(self, inputs: Tensor) -> Tensor:
        """`inputs` on the device, images in the order that the filters have."""
        inputs = inputs.to(self.device, non_blocking=True)
        if self.channels_last and inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def targets(self, targets: Tensor) -> Tensor:
        """`targets` on the device."""
        return targets.to(self.device, non_blocking=True)

    def autocast(self) -> contextlib.AbstractContextManager:
        """Around each forward pass and its loss."""
        if not self.bf16:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    @contextlib.contextmanager
    def settings(self) -> Iterator[None]:
        """torch's own switches for the length of a run."""
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


def has_bf16(device: torch.device) -> bool:
    """Whether `device` has instructions for bfloat16, and does not just imitate them."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        found = getattr(torch.cpu, "get_capabilities", dict)()  # not in every torch that will do
        return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def has_compiler(device: torch.device) -> bool:
    """Whether what `torch.compile` needs for `device` is installed."""
    if device.type == "cuda":
        return importlib.util.find_spec("triton") is not None
    usual = "clang++" if sys.platform == "darwin" else "g++"
    return shutil.which(os.environ.get("CXX", usual)) is not None


def out_of_memory(model: nn.Module, loss, inputs: Tensor, targets: Tensor) -> TrainingError:
    """The error for a batch that the device has no memory for; it names a size that fits."""
    fits = fitting_batch_size(model, loss, inputs, targets)
    advice = f"a batch of {fits} fits" if fits else "not even a batch of 1 fits: a smaller model"
    return TrainingError(f"out of memory with a batch of {len(targets)}; {advice}")


def fitting_batch_size(model: nn.Module, loss, inputs: Tensor, targets: Tensor) -> int:
    """The largest half, quarter, ... of a batch that a forward and a backward pass have room for.

    0 where not even one sample fits. Gradients are gone afterwards.
    """
    size = len(targets) // 2
    while size:
        model.zero_grad(set_to_none=True)
        if inputs.is_cuda:
            torch.cuda.empty_cache()
        try:
            loss(model(inputs[:size]), targets[:size]).backward()
        except torch.OutOfMemoryError:
            size //= 2
        else:
            break
    model.zero_grad(set_to_none=True)
    return size
