"""Short films of a digit that moves and bounces off the walls (after Srivastava et al. 2015)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dlcourse.errors import UsageError
from dlcourse.values import check_whole

__all__ = ["move_digits"]

FASTEST = 2  # pixels from frame to frame, along each axis


def move_digits(
    digits: Tensor, count: int, num_frames: int, size: int = 32, seed: int = 0
) -> Tensor:
    """Return `count` films: uint8 (count, num_frames, 1, size, size).

    digits: uint8 (N, 1, H, W); each film shows one of them, drawn at random, at half its size.
    It starts at a random place with a random velocity of whole pixels, never 0 along both axes,
    and turns round where it would leave the frame. The same seed gives the same films.

    Raises UsageError for digits of another shape or type, and for frames that are too small.
    """
    check_whole(count=count, num_frames=num_frames)
    if digits.dim() != 4 or digits.shape[1] != 1 or digits.dtype != torch.uint8 or not len(digits):
        raise UsageError(
            f"digits must be uint8 (N, 1, H, W), got {digits.dtype} {tuple(digits.shape)}"
        )
    H, W = (side // 2 for side in digits.shape[2:])
    check_whole(max(H, W) + 1, size=size)
    generator = torch.Generator().manual_seed(seed)
    chosen = digits[torch.randint(len(digits), (count,), generator=generator)]
    small = F.avg_pool2d(chosen.float(), 2).round().to(torch.uint8)
    room = torch.tensor([size - H, size - W])
    start = (torch.rand(count, 2, generator=generator) * (room + 1)).long()
    speeds = torch.cartesian_prod(*[torch.arange(-FASTEST, FASTEST + 1)] * 2)
    speeds = speeds[speeds.any(1)]
    speed = speeds[torch.randint(len(speeds), (count,), generator=generator)]
    films = torch.zeros(count, num_frames, 1, size, size, dtype=torch.uint8)
    for t in range(num_frames):
        # Going on without walls, and folding the way at the walls, is the same as to bounce.
        places = room - ((start + t * speed) % (2 * room) - room).abs()
        for film, digit, (top, left) in zip(films, small, places.tolist(), strict=True):
            film[t, 0, top : top + H, left : left + W] = digit[0]
    return films
