"""Synthetic scenes of two things, with captions that a grammar makes.

    caption  = thing relation thing
    thing    = "a" ["small"] texture color shape
    relation = "above" | "below" | "left of" | "right of"

Each scene has two right captions: it can begin with either thing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor

from dlcourse.data.synthetic.shapes import SIZE, by_kind, edge
from dlcourse.errors import UsageError
from dlcourse.values import check_whole

__all__ = ["Scene", "Thing", "captions_of", "choose_scenes", "draw_scenes"]

TEXTURES = ("plain", "striped")
COLORS = {
    "red": (0.9, 0.1, 0.1), "green": (0.1, 0.75, 0.2), "blue": (0.15, 0.3, 0.95),
    "yellow": (0.95, 0.9, 0.1), "purple": (0.65, 0.1, 0.75), "white": (1.0, 1.0, 1.0),
}  # fmt: skip
SHAPES = {"circle": "disk", "square": "square", "triangle": "triangle", "cross": "cross"}
# Each relation with its opposite, and the place of its first thing: (x, y), y downward.
RELATIONS = {
    "above": ("below", (0.0, -0.5)), "below": ("above", (0.0, 0.5)),
    "left of": ("right of", (-0.5, 0.0)), "right of": ("left of", (0.5, 0.0)),
}  # fmt: skip


class Thing(NamedTuple):
    """One of the two things of a scene."""

    small: bool
    texture: str
    color: str
    shape: str

    @property
    def held_out(self) -> bool:
        """Whether the color never occurs with the shape, unless it is asked for."""
        return list(COLORS).index(self.color) == list(SHAPES).index(self.shape)


class Scene(NamedTuple):
    """Two things, and where the first one is: a key of RELATIONS."""

    first: Thing
    relation: str
    second: Thing


MOST = 5000  # scenes; there are more, but to draw all of them at random takes long
THINGS = [Thing(*parts) for parts in itertools.product((True, False), TEXTURES, COLORS, SHAPES)]


def choose_scenes(count: int, held_out: bool = False, seed: int = 0) -> list[Scene]:
    """Choose `count` scenes of which no two look alike.

    held_out: whether the first or the second thing of each scene is a held-out combination of a
    color and a shape: a red circle, a green square, a blue triangle or a yellow cross. If not, no
    scene shows one.

    Raises UsageError for a count below 1, or above 5,000.
    """
    check_whole(count=count)
    if count > MOST:
        raise UsageError(f"count must be at most {MOST}, got {count}")
    random, scenes = Random(seed), dict[frozenset[tuple[str, ...]], Scene]()
    pairs = [pair for pair in itertools.permutations(THINGS, 2)
             if held_out == any(thing.held_out for thing in pair)]  # fmt: skip
    while len(scenes) < count:
        first, second = random.choice(pairs)
        scene = Scene(first, random.choice(list(RELATIONS)), second)
        scenes.setdefault(frozenset(map(tuple, captions_of(scene))), scene)
    return list(scenes.values())


def captions_of(scene: Scene) -> list[list[str]]:
    """Return the two right captions of a scene, as words.

    >>> circle = Thing(True, "striped", "red", "circle")
    >>> scene = Scene(circle, "above", Thing(False, "plain", "blue", "square"))
    >>> [" ".join(caption) for caption in captions_of(scene)]
    ['a small striped red circle above a plain blue square', \
'a plain blue square below a small striped red circle']
    """
    names = [["a", *["small"] * t.small, t.texture, t.color, t.shape]
             for t in (scene.first, scene.second)]  # fmt: skip
    relations = scene.relation, RELATIONS[scene.relation][0]
    return [
        [*one, *relation.split(), *other]
        for relation, one, other in zip(relations, names, names[::-1], strict=True)
    ]


def draw_scenes(scenes: Sequence[Scene], seed: int = 0) -> Tensor:
    """Draw an image of each scene: uint8 (N, 3, 32, 32).

    Places, sizes, rotations, stripes, the gray of the background and the noise are random.
    Raises UsageError if there is no scene.
    """
    if not scenes:
        raise UsageError("scenes must hold at least one scene, got none")
    generator = torch.Generator().manual_seed(seed)
    B = len(scenes)

    def uniform(low: float, high: float, channels: int = 1) -> Tensor:
        return low + (high - low) * torch.rand(B, channels, 1, 1, generator=generator)

    axis = torch.linspace(-1, 1, SIZE)
    images = uniform(0.3, 0.6).expand(B, 3, SIZE, SIZE)
    for side in (1, -1):
        things = [scene.first if side == 1 else scene.second for scene in scenes]
        center = side * torch.tensor([RELATIONS[scene.relation][1] for scene in scenes])
        place = center.view(B, 2, 1, 1) + uniform(-0.06, 0.06, 2)
        x, y = (a - c for a, c in zip((axis, axis[:, None]), place.unbind(1), strict=True))
        small = torch.tensor([thing.small for thing in things]).view(B, 1, 1)
        radius = torch.where(small, uniform(0.29, 0.33)[:, 0], uniform(0.44, 0.5)[:, 0])
        turn = uniform(-0.25, 0.25)[:, 0]
        u, v = (
            (x * turn.cos() + y * turn.sin()) / radius,
            (y * turn.cos() - x * turn.sin()) / radius,
        )
        kinds = torch.tensor([list(SHAPES).index(thing.shape) for thing in things])
        inside = (2 * radius * SIZE * by_kind(tuple(SHAPES.values()), kinds, edge, u, v)).sigmoid()
        color = torch.tensor([COLORS[thing.color] for thing in things]).view(B, 3, 1, 1)
        striped = torch.tensor([thing.texture == "striped" for thing in things]).view(B, 1, 1)
        stripes = torch.sin(24 * (x + y) + uniform(0, 2 * math.pi)[:, 0]).mul(4).sigmoid()
        light = torch.where(striped, 1 - 0.8 * stripes, 1.0)[:, None]
        images = torch.lerp(images, color * light, inside[:, None])
    images = images + 0.04 * torch.randn(images.shape, generator=generator)
    return images.clamp(0, 1).mul(255).round().to(torch.uint8)
