"""Seeds, threads, devices and versions: each is decided here and nowhere else."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import random
import sys

import numpy as np
import torch

from dlcourse.errors import UsageError

__all__ = [
    "available_devices", "has_bf16", "keep_freed_memory", "pick_device", "seed_everything",
    "set_threads", "versions",
]  # fmt: skip

# What glibc's malloc.h calls M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and PyTorch (on every device).

    Raises UsageError for a seed that NumPy does not take.
    """
    if not 0 <= seed < 2**32:
        raise UsageError(f"seed must be between 0 and 2**32 - 1, got {seed}")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def set_threads(threads: int | None) -> int:
    """Set the number of threads that torch computes with, and return the number in use.

    None changes nothing. Raises UsageError for a number below 1.
    """
    if threads is not None:
        if threads < 1:
            raise UsageError(f"threads must be at least 1, got {threads}")
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def keep_freed_memory() -> None:
    """Let glibc keep up to 256 MB of freed memory and use it again.

    Without this, gradients of a few MB go back to the system after each step and come back page
    by page. That takes a fifth of a step of a small convolutional network, and a sixth of a step
    of many models that train as one. The function does nothing on systems without glibc.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None)
            libc.mallopt(TRIM_THRESHOLD, 256 * 2**20)
            libc.mallopt(MMAP_THRESHOLD, 32 * 2**20)


def available_devices() -> list[str]:
    """The kinds of device that this machine has, fastest first: cuda, mps, cpu."""
    devices = []
    if torch.cuda.is_available():
        devices.append("cuda")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """The device called `name` ("cuda", "cuda:1", "mps", "cpu"); None picks the fastest one.

    Each of the processes that torchrun starts on a machine gets its own GPU. Raises UsageError,
    which lists the devices of this machine, if it has no such device.
    """
    available = available_devices()
    try:
        device = torch.device(available[0] if name is None else name)
    except RuntimeError:
        raise UsageError(
            f"unknown device {name!r}; this machine has: {', '.join(available)}"
        ) from None
    if device.type not in available:
        raise UsageError(
            f"this machine has no {device.type} device; it has: {', '.join(available)}"
        )
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(f"no device '{device}'; this machine has {count} GPU(s)")
    return device


def has_bf16(device: torch.device) -> bool:
    """Whether `device` has instructions for bfloat16 and does not emulate them."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        # Not every supported torch has this function.
        found: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def versions() -> dict[str, str]:
    """The versions and the hardware that a recorded result depends on, by name."""
    from importlib.metadata import version

    found = {
        # An import of the package would make a cycle: its typed face imports this module.
        "dlcourse": sys.modules["dlcourse"].__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # its own type cannot be stored in a checkpoint
        "torchvision": version("torchvision"),
        "numpy": np.__version__,
        "platform": platform.platform(terse=True),
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found
