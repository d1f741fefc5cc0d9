"""Scenes with captions, and films of moving digits."""

import itertools
import re

import pytest
import torch

from dlcourse import data
from dlcourse.data.synthetic.scenes import COLORS, RELATIONS, SHAPES, Scene, Thing
from dlcourse.errors import UsageError

HELD_OUT = {"red circle", "green square", "blue triangle", "yellow cross"}
THING = r"a (?:small )?(?:plain|striped) (\w+ \w+)"


def things_in(caption):
    """The colors and shapes of a caption that follows the grammar."""
    found = re.fullmatch(rf"{THING} (?:above|below|left of|right of) {THING}", " ".join(caption))
    assert found, caption
    return set(found.groups())


def test_scenes_are_different_and_the_same_for_the_same_seed():
    scenes = data.choose_scenes(300, seed=3)
    assert scenes == data.choose_scenes(300, seed=3)
    assert scenes[:50] != data.choose_scenes(50, seed=4)
    captions = [" ".join(caption) for scene in scenes for caption in data.captions_of(scene)]
    assert len(set(captions)) == 600
    words = {word for caption in captions for word in caption.split()}
    assert words >= {*COLORS, *SHAPES, "small", "plain", "striped", "above", "below", "left"}


def test_held_out_things_are_in_the_scenes_that_ask_for_them_alone():
    for held_out in (False, True):
        for scene in data.choose_scenes(200, held_out, seed=1):
            for caption in data.captions_of(scene):
                assert bool(things_in(caption) & HELD_OUT) == held_out


@pytest.mark.parametrize(
    ("relation", "opposite"),
    [("above", "below"), ("below", "above"), ("left of", "right of"), ("right of", "left of")],
)
def test_a_scene_is_drawn_as_its_captions_say(relation, opposite):
    square = Thing(False, "plain", "red", "square")
    circle = Thing(True, "plain", "blue", "circle")
    scene = Scene(square, relation, circle)
    one, other = (" ".join(caption) for caption in data.captions_of(scene))
    assert one == f"a plain red square {relation} a small plain blue circle"
    assert other == f"a small plain blue circle {opposite} a plain red square"
    images = data.draw_scenes([scene, Scene(circle, opposite, square)], seed=2).float() / 255
    for image in images:
        red = (image[0] - image[2] > 0.4).nonzero().float().mean(0)
        blue = (image[2] - image[0] > 0.4).nonzero().float().mean(0)
        (down, right), far = (red - blue).tolist(), 12
        wanted = {
            "above": down < -far, "below": down > far,
            "left of": right < -far, "right of": right > far,
        }  # fmt: skip
        assert [name for name, holds in wanted.items() if holds] == [relation]


def area(thing, other=None):
    """How many pixels a red thing covers, on average over images."""
    other = other or Thing(True, "plain", "blue", "circle")
    images = data.draw_scenes([Scene(thing, "above", other)] * 60, seed=5).float() / 255
    return ((images[:, 0] - images[:, 1] > 0.35) & (images[:, 0] > 0.5)).float().sum() / 60


def test_size_shape_and_texture_are_seen():
    large = {shape: area(Thing(False, "plain", "red", shape)) for shape in SHAPES}
    small = {shape: area(Thing(True, "plain", "red", shape)) for shape in SHAPES}
    for shape, pixels in large.items():
        assert pixels > 1.7 * small[shape]
    # A circle of radius 0.85 and a square of side 1.5, in units of the thing's own radius.
    assert abs(large["circle"] / large["square"] - 3.1416 * 0.85**2 / 1.5**2) < 0.06
    striped = area(Thing(False, "striped", "red", "square"))
    assert 0.3 < striped / large["square"] < 0.7


def test_images_are_the_same_for_the_same_seed_and_of_their_form():
    scenes = data.choose_scenes(9)
    images = data.draw_scenes(scenes, seed=1)
    assert (images.shape, images.dtype) == ((9, 3, 32, 32), torch.uint8)
    assert torch.equal(images, data.draw_scenes(scenes, seed=1))
    assert not torch.equal(images, data.draw_scenes(scenes, seed=2))
    twice = data.draw_scenes([scenes[0]] * 2)
    assert not torch.equal(twice[0], twice[1])


@pytest.mark.parametrize("count", [0, -1, 2.5, 5001])
def test_a_number_of_scenes_that_cannot_be_is_refused(count):
    with pytest.raises(UsageError, match=rf"^count must be .*, got {count}$"):
        data.choose_scenes(count)


def test_no_scenes_are_drawn_from_nothing():
    with pytest.raises(UsageError, match=r"^scenes must hold at least one scene, got none$"):
        data.draw_scenes([])


def test_every_relation_has_its_opposite():
    for relation, (opposite, (x, y)) in RELATIONS.items():
        assert RELATIONS[opposite] == (relation, (-x, -y))


def test_a_digit_moves_evenly_and_turns_at_the_walls():
    digits = torch.full((1, 1, 28, 28), 200, dtype=torch.uint8)
    films = data.move_digits(digits, 60, 30, size=20, seed=1)
    assert (films.shape, films.dtype) == ((60, 30, 1, 20, 20), torch.uint8)
    speeds = set()
    for film in films:
        rows, columns = film[:, 0].amax(2), film[:, 0].amax(1)
        assert set(film.unique().tolist()) == {0, 200}
        assert film.count_nonzero().item() == 30 * 14 * 14  # never cut off
        speed = []
        for line in (rows, columns):
            places = line.int().argmax(1).tolist()
            steps = [b - a for a, b in itertools.pairwise(places)]
            fastest = max(map(abs, steps))
            for place, step in zip(places[1:], steps, strict=True):
                # A step is only shorter where a wall (0, or 20 - 14) was met on the way.
                assert abs(step) == fastest or min(place, 6 - place) < fastest
            speed.append(fastest)
        speeds.add(tuple(speed))
    assert speeds <= set(itertools.product(range(3), repeat=2)) - {(0, 0)}
    assert len(speeds) == 8


def test_films_show_the_digits_at_half_their_size():
    digits, *_ = data.draw_digits(5, 1)
    films = data.move_digits(digits, 20, 1, seed=3)
    halves = (digits.float().unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))).round().flatten(1)
    sums = halves.sum(1).tolist()
    assert {film.float().sum().item() for film in films} == set(sums)
    assert torch.equal(films, data.move_digits(digits, 20, 1, seed=3))
    assert not torch.equal(films, data.move_digits(digits, 20, 1, seed=4))


def test_films_that_cannot_be_made_are_refused():
    digits = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
    for wrong in (digits[0], digits.float(), digits.expand(-1, 3, -1, -1), digits[:0]):
        with pytest.raises(UsageError, match=r"^digits must be uint8 \(N, 1, H, W\), got torch"):
            data.move_digits(wrong, 2, 5)
    for arguments, message in [
        ((0, 5), "count must be at least 1, got 0"),
        ((2, 0), "num_frames must be at least 1, got 0"),
        ((2, 5, 14), "size must be at least 15, got 14"),
    ]:
        with pytest.raises(UsageError, match=f"^{message}$"):
            data.move_digits(digits, *arguments)
