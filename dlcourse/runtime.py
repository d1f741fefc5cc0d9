"""Seed, threads, device and versions, each decided in this one place."""

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
    "available_devices", "keep_freed_memory", "pick_device", "seed_everything", "set_threads",
    "versions",
]  # fmt: skip

# What glibc's malloc.h calls M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's global generators (every device)."""
    if not 0 <= seed < 2**32:
        raise UsageError(f"seed must be between 0 and 2**32 - 1, got {seed}")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def set_threads(threads: int | None) -> int:
    """Set how many threads torch computes with (None leaves it); return the number in force."""
    if threads is not None:
        if threads < 1:
            raise UsageError(f"threads must be at least 1, got {threads}")
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def keep_freed_memory() -> None:
    """Have glibc keep up to 256 MB of what is freed, and use it again.

    Otherwise gradients of a few MB go back to the system after each step and come back page by
    page: a sixth of a step of many models in one, a fifth of a small convolutional network's.
    Does nothing where there is no glibc.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None)
            libc.mallopt(TRIM_THRESHOLD, 256 * 2**20)
            libc.mallopt(MMAP_THRESHOLD, 32 * 2**20)


def available_devices() -> list[str]:
    """The kinds of device that can compute here, the preferred first: cuda, then mps, then cpu."""
    devices = []
    if torch.cuda.is_available():
        devices.append("cuda")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """The device called `name` ("cuda", "cuda:1", "mps", "cpu"), or the best here for None.

    Of the processes that torchrun starts on a machine, each has a GPU of its own. Raises
    UsageError where the device is not to be had, naming those that are.
    """
    available = available_devices()
    try:
        device = torch.device(available[0] if name is None else name)
    except RuntimeError:
        raise UsageError(
            f"unknown device {name!r}; here there is: {', '.join(available)}"
        ) from None
    if device.type not in available:
        raise UsageError(f"no {device.type} device here; there is: {', '.join(available)}")
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(f"no device '{device}'; this machine has {count} GPU(s)")
    return device


def versions() -> dict[str, str]:
    """Versions and hardware that a recorded result depends on."""
    from importlib.metadata import version

    from dlcourse import __version__

    found = {
        "dlcourse": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # else a class of its own, that no checkpoint holds
        "torchvision": version("torchvision"),
        "numpy": np.__version__,
        "platform": platform.platform(terse=True),
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found
