"""Tests of lab 12, with their points. `student` is the lab under test: a solution or a submission.

The oracles are arithmetic by hand, perturbed pixels, closed forms of gradients, networks with the
same weights on the trusted side, and torch's own affine_grid and grid_sample.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

from dlcourse.check import expect, points


def generator(seed):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=generator(seed))


def rand(*shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, dtype=dtype, generator=generator(seed))


def refused(function, *args):
    """Fail unless `function` raises a ValueError."""
    try:
        said = f"got {function(*args)!r}"
    except Exception as error:  # noqa: BLE001 (the student's error, whatever its class)
        said = str(error)
    assert said.startswith("ValueError"), f"expected a ValueError, {said}"


def twins(student, *layers, seed=0, dtype=torch.float64):
    """The same network here and at the student: layers as (name, *arguments), random weights."""
    both = []
    for home in (nn, student.nn):
        both.append(home.Sequential(*(getattr(home, name)(*args) for name, *args in layers)))
    weights = {
        key: randn(*value.shape, seed=seed + number) / max(1, value[0].numel()) ** 0.5
        for number, (key, value) in enumerate(both[0].state_dict().items(), start=1)
    }
    for network in both:
        network.to(dtype)
        network.load_state_dict(weights)
    return both


def classifier(student, channels=1, size=4, classes=3, seed=0, dtype=torch.float64):
    """Twins that classify images (N, channels, size, size)."""
    layers = [("Conv2d", channels, 4, 3), ("Tanh",), ("Flatten",)]
    return twins(student, *layers, ("Linear", 4 * (size - 2) ** 2, classes), seed=seed, dtype=dtype)


def no_gradients(student, model):
    """Fail if a parameter of the student's `model` holds a gradient."""
    __tracebackhide__ = True
    held = student.probe("held_gradients", model)
    assert held == [], f"{held} of the model have a gradient now; use torch.autograd.grad"


def slope(function, inputs):
    """The gradient of the sum of function(inputs)."""
    inputs = inputs.clone().requires_grad_()
    return torch.autograd.grad(function(inputs).sum(), inputs)[0]


@points(0.5, task="12.1", hint="divide by the largest absolute value of each filter")
def test_filters_as_pictures(student):
    weight = torch.tensor([[2.0, -4, 1, 0], [0, 1, 3, 2], [-1, 2, 0, 1]]).reshape(1, 3, 2, 2)
    weight = torch.cat([weight, -weight / 100, torch.zeros(1, 3, 2, 2)])
    right = torch.cat([0.5 + weight[:1] / 8, 0.5 - weight[:1] / 8, torch.full((1, 3, 2, 2), 0.5)])
    low, high = weight.amin((1, 2, 3), True), weight.amax((1, 2, 3), True)
    channel = weight.abs().amax((2, 3), True).clamp(min=1e-12)
    got, left = student.probe("in_place", "filter_pictures", weight)
    assert torch.equal(left[0], weight), "filter_pictures changed the weight that it was given"
    expect(
        got,
        right,
        mistakes={
            "the same scale for all filters": 0.5 + weight / 8,
            "a scale for each channel; the colors are lost": 0.5 + weight / (2 * channel),
            "0 for the smallest weight; a weight of 0 must be gray": (weight - low)
            / (high - low).clamp(min=1e-12),
            "dividing by the largest weight instead of the largest absolute value": 0.5
            + weight / (2 * high.clamp(min=1e-12)),
            "a weight of 0 as black": right * 2 - 1,
        },
    )
    for shape in ((2, 4, 3, 3), (3, 2, 3, 3)):
        refused(student.filter_pictures, torch.ones(shape))


@points(0.5, task="12.1", hint="gray filters, color filters, a filter of zeros", hidden=True)
def test_filters_of_other_shapes(student):
    for shape in [(5, 1, 3, 3), (2, 3, 7, 7), (1, 1, 1, 1)]:
        weight = randn(*shape, seed=shape[0]) * torch.arange(1, shape[0] + 1).reshape(-1, 1, 1, 1)
        parts = [0.5 + f / f.abs().max() / 2 for f in weight]
        expect(student.filter_pictures(weight), torch.stack(parts))
        expect(student.filter_pictures(weight / 100), torch.stack(parts), "small weights")
    expect(student.filter_pictures(torch.zeros(2, 3, 1, 1)), torch.full((2, 3, 1, 1), 0.5))
    for channels in (2, 6):
        refused(student.filter_pictures, torch.ones(3, channels, 2, 2))


def seen(layers, position, size):
    """The first pixel and the number of pixels whose change changes the unit, by perturbation."""
    network = nn.Sequential(
        *(nn.Conv1d(1, 1, k, stride=s, padding=p, bias=False) for k, s, p in layers)
    )
    for layer in network:
        nn.init.ones_(layer.weight)
    before = network(torch.zeros(1, 1, size))
    after = network(torch.eye(size)[:, None])  # one pixel changed in each row
    changed = (after - before)[:, 0, position].nonzero().squeeze(1)
    return int(changed[0]), len(changed)


LAYERS = [
    [(3, 1, 0)],
    [(5, 1, 2), (2, 2, 0)],
    [(5, 1, 0), (2, 2, 0), (3, 1, 0)],
    [(3, 2, 1), (3, 1, 1), (2, 2, 0), (4, 3, 0)],
]


def pair(returned):
    """A list of two values as a tuple; anything else as it is."""
    return tuple(returned) if isinstance(returned, list) else returned


@points(1, task="12.2", hint="go back from the unit: first * stride - padding")
def test_receptive_fields_equal_those_measured_by_perturbation(student):
    for layers in LAYERS:
        for position in (3, 2):  # far enough from the edge
            right = seen(layers, position, 60)
            expect(
                pair(student.receptive_field(layers, position)),
                right,
                ("first pixel", "number of pixels"),
                mistakes={
                    "the last pixel instead of the number": (right[0], sum(right) - 1),
                    "one pixel less: from first to last are last - first + 1": (
                        right[0], right[1] - 1,
                    ),
                    "going through the layers from the image to the unit": (
                        seen(layers[::-1], position, 60)
                    ),
                },
            )  # fmt: skip
    names = ("first pixel", "number of pixels")
    expect(pair(student.receptive_field([(5, 1, 2), (3, 1, 1)], 0)), (-3, 7), names)
    expect(pair(student.receptive_field([], 4)), (4, 1), names)


@points(1, task="12.2", hint="the place of the largest response, and what it sees")
def test_the_strongest_patches(student):
    images = torch.arange(1.0, 4 * 2 * 36 + 1).reshape(4, 2, 6, 6)
    responses = torch.zeros(4, 2, 2)
    responses[0, 1, 0], responses[1, 0, 1], responses[2, 1, 1], responses[2, 0, 0] = 3, 7, 3, 2
    responses[3] = torch.tensor([[-8.0, -9], [-8, -10]])
    layers = [(3, 1, 0), (2, 2, 0)]  # a unit sees 4 pixels, the next one those from 2 on
    right = torch.stack([images[1, :, 0:4, 2:6], images[0, :, 2:6, 0:4], images[2, :, 2:6, 2:6]])
    swapped = torch.stack([images[1, :, 2:6, 0:4], images[0, :, 0:4, 2:6], images[2, :, 2:6, 2:6]])
    weakest = torch.stack([images[3, :, 0:4, 0:4], images[0, :, 2:6, 0:4], images[2, :, 2:6, 2:6]])
    got = student.strongest_patches(responses, images, layers, 3)
    mistakes = {
        "rows and columns swapped": swapped,
        "the weakest first": weakest,
        "the order of the images": right[[1, 0, 2]],
        "the last of equal responses first": right[[0, 2, 1]],
        "absolute values of the responses": torch.stack([images[3, :, 0:4, 0:4], *right[:2]]),
    }
    expect(got, right, mistakes=mistakes)
    got = student.strongest_patches(responses, images, layers, 4)
    expect(got, torch.cat([right, images[3:, :, 0:4, 0:4]]), "all four images")
    # A 3x3 filter with padding 1 at the corners: a row and a column of zeros.
    padded = F.pad(images, (1, 1, 1, 1))
    corner = torch.zeros(4, 6, 6)
    corner[0, 0, 0], corner[1, 5, 0], corner[2, 5, 5], corner[3, 2, 5] = 9, 8, 7, 6
    places = [(0, 0, 0), (1, 5, 0), (2, 5, 5), (3, 2, 5)]
    right = torch.stack([padded[n, :, row : row + 3, left : left + 3] for n, row, left in places])
    got = student.strongest_patches(corner, images, [(3, 1, 1)], 4)
    expect(got, right, "patches at the edge")
    wide = torch.zeros(1, 2, 4)  # the map of a 3x3 filter for an image of 4 x 6 pixels
    wide[0, 1, 2] = 1
    got = student.strongest_patches(wide, images[:1, :, :4], [(3, 1, 0)], 1)
    expect(got, images[:1, :, 1:4, 2:5], "a patch of a wide image")


@points(1, task="12.2", hint="other layers, and ties", hidden=True)
def test_patches_of_other_layers(student):
    for layers in [*LAYERS, [(2, 2, 0), (3, 1, 1), (5, 2, 2)], [(7, 3, 3), (3, 2, 0)]]:
        expect(pair(student.receptive_field(layers, 5)), seen(layers, 5, 140))
    network = nn.Sequential(nn.Conv2d(3, 2, 5, padding=2, stride=2), nn.MaxPool2d(3, 2, 1))
    images = rand(6, 3, 11, 13, seed=3, dtype=torch.float32)
    with torch.no_grad():
        network[0].weight.copy_(randn(2, 3, 5, 5, seed=4))
        responses = network(images)[:, 1]
    far = F.pad(images, (20,) * 4)
    order = sorted(range(6), key=lambda n: -float(responses[n].max()))
    patches = []
    for n in order:
        place = int(responses[n].flatten().argmax())
        row, column = (4 * i - 4 + 20 for i in divmod(place, responses.shape[2]))
        patches.append(far[n, :, row : row + 9, column : column + 9])
    got = student.strongest_patches(responses, images, [(5, 2, 2), (3, 2, 1)], 5)
    expect(got, torch.stack(patches)[:5])
    dark = torch.tensor([-3.0, -1.0, -2.0])[:, None, None] - rand(3, 2, 3, seed=9).float() / 2
    places = [divmod(int(dark[n].argmax()), 3) for n in range(3)]
    images = rand(3, 1, 4, 5, seed=6)
    expected = [images[n, :, i : i + 3, j : j + 3] for n, (i, j) in enumerate(places)]
    got = student.strongest_patches(dark, images, [(3, 1, 0)], 3)
    expect(got, torch.stack(expected)[[1, 2, 0]], "responses below 0")
    flat = torch.ones(5, 2, 3)
    flat[2, 1, 1] = 2
    images = rand(5, 1, 4, 5, seed=5)
    expected = torch.stack([images[n, :, i : i + 3, i : i + 3] for n, i in [(2, 1), (0, 0)]])
    expect(student.strongest_patches(flat, images, [(3, 1, 0)], 2), expected)


@points(0.5, task="12.3", hint="the gradient of the label's logit; its absolute value")
def test_saliency_of_a_linear_network(student):
    weight = torch.tensor([[1.0, -2, 3, -4, 0.5, 1, -5, 2], [6, 1, -7, 2, 3, -8, 1, 9]])
    model = student.nn.Sequential(student.nn.Flatten(), student.nn.Linear(8, 2))
    model.load_state_dict({"1.weight": weight, "1.bias": torch.tensor([5.0, -5.0])})
    images, labels = rand(3, 2, 2, 2, seed=1, dtype=torch.float32), torch.tensor([1, 0, 1])
    chosen = weight[labels].reshape(3, 2, 2, 2)
    shares = torch.softmax(images.flatten(1) @ weight.T + torch.tensor([5.0, -5.0]), 1)
    losses = (shares - F.one_hot(labels, 2)) @ weight
    got, left = student.probe("in_place", "saliency", model, images, labels)
    assert torch.equal(left[1], images), "saliency changed the images that it was given"
    assert not left[1].requires_grad, "the images that were given require a gradient now"
    expect(
        got,
        chosen.abs().amax(1),
        mistakes={
            "the largest before the absolute value": chosen.amax(1).abs(),
            "forgetting the absolute value": chosen.amax(1),
            "the sum over the channels": chosen.abs().sum(1),
            "the mean over the channels": chosen.abs().mean(1),
            "the mean over the images": chosen.abs().amax(1) / 3,
            "the first channel alone": chosen[:, 0].abs(),
            "the gradient of all logits": (
                weight.sum(0).reshape(2, 2, 2).abs().amax(0).expand(3, 2, 2)
            ),
            "the gradient of the loss": losses.reshape(3, 2, 2, 2).abs().amax(1),
        },
    )  # fmt: skip


@points(0.5, task="12.3", hint="torch.autograd.grad leaves the parameters alone")
def test_saliency_of_a_deeper_network(student):
    twin, model = classifier(student, channels=2, size=5, seed=2)
    images, labels = randn(4, 2, 5, 5, seed=3), torch.tensor([2, 0, 0, 1])
    slopes = slope(lambda x: twin(x)[range(4), labels], images)
    expect(student.saliency(model, images, labels), slopes.abs().amax(1))
    no_gradients(student, model)


@points(1, task="12.3", hint="other sizes, one image", hidden=True)
def test_saliency_of_other_sizes(student):
    for n, channels, size in [(1, 1, 3), (5, 3, 6)]:
        twin, model = classifier(student, channels, size, classes=4, seed=n)
        images = randn(n, channels, size, size, seed=n).to(memory_format=torch.channels_last)
        labels = torch.arange(n) % 4
        slopes = slope(lambda x, t=twin, y=labels: t(x)[range(len(y)), y], images)
        expect(student.saliency(model, images, labels), slopes.abs().amax(1))
        no_gradients(student, model)


def linear_score(student, weight):
    """A network at the student whose output for an image is the sum of weight * pixel."""
    model = student.nn.Sequential(
        student.nn.Flatten(), student.nn.Linear(weight.numel(), 1, bias=False)
    )
    model.to(weight.dtype)
    model.load_state_dict({"1.weight": weight.reshape(1, -1)})
    return model


@points(0.5, task="12.4", hint="divide the gradient of each image by its length")
def test_a_step_of_the_climb(student):
    weight = torch.tensor([[3.0, -4.0]]).double()  # length 5
    score = linear_score(student, weight)
    images = torch.tensor([[0.3, 0.6], [0.9, 0.2]]).double().reshape(2, 1, 1, 2)
    right = torch.tensor([[0.6, 0.2], [1.0, 0.0]]).double().reshape(2, 1, 1, 2)
    got, left = student.probe("in_place", "maximize", score, images, 1, 0.5)
    assert torch.equal(left[1], images), "maximize changed the images that it was given"
    step = weight.reshape(1, 1, 1, 2) / 10
    expect(
        got,
        right,
        mistakes={
            "going down": (images - step).clamp(0, 1),
            "forgetting to clip to [0, 1]": images + step,
            "forgetting to divide by the length": (images + 5 * step).clamp(0, 1),
            "one length for all images": (images + step / 2**0.5).clamp(0, 1),
            "a step in which each pixel moves equally far": (images + step.sign() / 2).clamp(0, 1),
        },
    )
    assert not got.requires_grad, "the images still hang on a graph: detach the result"
    # Two channels: the length goes over both, so 0.3 and 0.4 of 0.5 become 0.06 and 0.08 of 0.1.
    color = torch.full((1, 2, 1, 1), 0.5).double()
    got = student.maximize(linear_score(student, weight), color, 1, 0.1)
    step = weight.reshape(1, 2, 1, 1) / 50
    wrong = {"a length for each channel": color + 0.1 * step.sign()}
    expect(got, color + step, "images with two channels", mistakes=wrong)
    flat = linear_score(student, torch.zeros(1, 2).double())
    expect(student.maximize(flat, images, 2, 0.5), images, "a score whose gradient is 0")


@points(0.5, task="12.4", hint="lr * (1 - t / steps); the penalty is decay * (pixel - 0.5)^2")
def test_the_steps_become_shorter_and_the_penalty_pulls_to_gray(student):
    weight = torch.tensor([[0.6, 0.8]]).double()
    images = torch.tensor([0.1, 0.2]).double().reshape(1, 1, 1, 2)
    step = weight.reshape(1, 1, 1, 2) * 0.3
    expect(
        student.maximize(linear_score(student, weight), images, 3, 0.3),
        images + 2 * step,  # 1 + 2/3 + 1/3
        "3 steps",
        mistakes={
            "steps of the same length": images + 3 * step,
            "a last step of length 0": images + 1.5 * step,
            "one step": images + step,
        },
    )
    images = torch.tensor([0.1, 0.5, 0.9, 0.7]).double().reshape(1, 1, 2, 2)
    push = torch.tensor([0.0, 1.0, 0.0, 0.0]).double().reshape(1, 1, 2, 2)

    def moved(pull):
        return images + 0.05 * (push + pull) / (push + pull).norm()

    expect(
        student.maximize(linear_score(student, push[0]), images, 1, 0.05, 2.0),
        moved(-4 * (images - 0.5)),
        "a step with decay 2",
        mistakes={
            "forgetting the penalty": moved(0 * images),
            "pushing away from gray": moved(4 * (images - 0.5)),
            "pulling to black": moved(-4 * images),
            "half of the penalty": moved(-2 * (images - 0.5)),
            "the mean of the squares instead of their sum": moved(-(images - 0.5)),
        },
    )


def climb(function, images, shifts, lr, decay):
    """The climb with given shifts, from gradients of the twin."""
    for t, shift in enumerate(shifts):
        moved = images.roll(shift, (2, 3))
        gradient = slope(function, moved) - 2 * decay * (moved - 0.5)
        gradient = gradient.roll(tuple(-s for s in shift), (2, 3))
        sizes = torch.linalg.vector_norm(gradient, dim=(1, 2, 3), keepdim=True)
        images = (images + lr * (1 - t / len(shifts)) * gradient / sizes).clamp(0, 1)
    return images


def ways(function, images, steps, lr, decay, jitter, back=-1):
    """The images after the climb for each series of shifts that can be drawn.

    back: -1 if the gradient is shifted back, 0 if it is not, 1 if it is shifted on.
    """
    after = {(): images}
    for t in range(steps):
        part, before, after = lr * (1 - t / steps), after, {}
        for drawn, now in before.items():
            for shift in itertools.product(range(-jitter, jitter + 1), repeat=2):
                moved = now.roll(shift, (2, 3))
                gradient = slope(function, moved) - 2 * decay * (moved - 0.5)
                gradient = gradient.roll([back * s for s in shift], (2, 3))
                sizes = torch.linalg.vector_norm(gradient, dim=(1, 2, 3), keepdim=True)
                after[(*drawn, shift)] = (now + part * gradient / sizes).clamp(0, 1)
    return after


def check_jitter(student, steps, jitter, size, seeds):
    """The shifts that were drawn for each seed, after a look at the images that came of them."""
    twin, model = classifier(student, size=size, seed=size)
    images = rand(2, 1, size, size, seed=size)

    def drawn(got, back):
        """The shifts that lead to `got`, or None."""
        way = ways(twin, images, steps, 0.2, 0.1, jitter, back) if back + 1 else right
        return next((d for d, one in way.items() if torch.allclose(got, one, atol=1e-9)), None)

    right, found = ways(twin, images, steps, 0.2, 0.1, jitter), []
    for seed in seeds:
        got = student.maximize(model, images, steps, 0.2, 0.1, jitter, generator(seed))
        expect((got.dtype, tuple(got.shape)), (images.dtype, tuple(images.shape)))
        found.append(drawn(got, back=-1))
        if found[-1] is None:
            back = "shift the gradient back by the negative numbers: the gradient is "
            said = (
                f"{back}not shifted back"
                if drawn(got, back=0)
                else f"{back}shifted on"
                if drawn(got, back=1)
                else f"no shifts from -{jitter} to {jitter} along rows and columns lead to this"
            )
            raise AssertionError(f"images after {steps} step(s) with jitter {jitter}: {said}")
    return found


@points(1, task="12.4", hint="a new shift in each step; shift the gradient back")
def test_jitter_shifts_the_images_and_the_gradient_back(student):
    drawn = check_jitter(student, 1, 2, 6, [0, 1, 2, 3, 3])
    assert len(set(drawn)) > 2, f"expected other shifts from other seeds, got {drawn}"
    assert drawn[3] == drawn[4], "expected the same shifts from generators with the same seed"
    assert any(down != right for ((down, right),) in drawn), "rows and columns: two numbers"
    ends = {n for (shift,) in check_jitter(student, 1, 1, 5, range(40, 60)) for n in shift}
    assert ends == {-1, 0, 1}, f"expected all shifts from -1 to 1, got {sorted(ends)}"
    drawn = check_jitter(student, 2, 1, 5, [0, 1, 2, 3])
    assert any(first != second for first, second in drawn), "expected a new shift in each step"


@points(1, task="12.4", hint="both shifts go from -jitter to jitter", hidden=True)
def test_the_climb_of_other_networks(student):
    drawn = [shift for (shift,) in check_jitter(student, 1, 1, 4, range(30))]
    for along in zip(*drawn, strict=True):  # a right answer misses one in 1 of 32,000 cases
        assert set(along) == {-1, 0, 1}, "expected all shifts from -1 to 1 along rows and columns"
    drawn = check_jitter(student, 2, 1, 4, [10, 11, 12, 13, 10])
    assert any(first != second for first, second in drawn), "expected a new shift in each step"
    assert drawn[0] == drawn[4], "expected the same shifts from the same generator"
    flat, gray = linear_score(student, torch.zeros(1, 4).double()), rand(1, 1, 2, 2, seed=3)
    expect(student.maximize(flat, gray, 3, 0.5), gray, "a score whose gradient is 0")
    twin, model = classifier(student, channels=3, size=5, seed=5)
    images = rand(3, 3, 5, 5, seed=6)
    expect(student.maximize(model, images, 7, 0.4), climb(twin, images, [(0, 0)] * 7, 0.4, 0.0))
    got = student.maximize(model, images, 2, 0.05, 1.5)
    expect(got, climb(twin, images, [(0, 0)] * 2, 0.05, 1.5))
    assert not got.requires_grad


def beyond(changed, images, epsilon):
    """How many pixels are farther than epsilon from their images, to the bit."""
    return int(((changed.double() - images.double()).abs() > epsilon).sum())


PIXELS = torch.arange(256).float() / 255


@points(1, task="12.5", hint="clip to images - epsilon, images + epsilon, and to [0, 1]")
def test_project_by_hand(student):
    images = torch.tensor([0.5, 0.5, 0.5, 0.0625, 0.9375, 0.5]).reshape(1, 1, 2, 3)
    changed = torch.tensor([0.25, 0.75, 0.5625, -0.5, 1.5, 0.5]).reshape(1, 1, 2, 3)
    right = torch.tensor([0.375, 0.625, 0.5625, 0.0, 1.0, 0.5]).reshape(1, 1, 2, 3)
    expect(
        student.project(changed, images, 0.125),
        right,
        mistakes={
            "clipping to the bound only": images + (changed - images).clamp(-0.125, 0.125),
            "clipping to [0, 1] only": changed.clamp(0, 1),
            "each pixel at its bound": (images + 0.125 * (changed - images).sign()).clamp(0, 1),
        },
    )
    for epsilon in (-0.1, math.nan):
        refused(student.project, images, images, epsilon)
    for wrong in (images - 0.1, images + 0.1):
        refused(student.project, images, wrong, 0.1)
    expect(student.project(changed, images, 0), images, "epsilon 0")
    expect(student.project(changed, images, 0.1).dtype, torch.float32, "dtype")


@points(0.5, task="12.5", hint="round a bound that is too far toward the pixel: nextafter")
def test_the_bound_is_kept_to_the_bit(student):
    for epsilon in (0.15, 0.1, 8 / 255, 0.3):
        for sign in (-1, 1):
            images = PIXELS.reshape(1, 1, 16, 16)
            got = student.project(images + sign * 0.7, images, epsilon)
            far = beyond(got, images, epsilon)
            assert far == 0, f"{far} of 256 pixels differ by more than epsilon = {epsilon}"
            expect(got, (images + sign * epsilon).clamp(0, 1), atol=3e-7, rtol=0)


@points(0.5, task="12.5", hint="images + epsilon * gradient.sign(), then project")
def test_fgsm_of_a_linear_network(student):
    weight = torch.tensor([[1.0, 2, 0, 0], [3, -1, 0, 0]])
    model = student.nn.Sequential(student.nn.Flatten(), student.nn.Linear(4, 2, bias=False))
    model.load_state_dict({"1.weight": weight})
    images = torch.tensor([[0.5, 0.5, 0.25, 0.5], [0.9375, 0.0, 0.5, 0.5]]).reshape(2, 1, 2, 2)
    # The loss of label 0 grows if the second logit grows against the first: + - 0 0.
    right = torch.tensor([[0.625, 0.375, 0.25, 0.5], [0.8125, 0.125, 0.5, 0.5]])
    right = right.reshape(2, 1, 2, 2)
    got, left = student.probe("in_place", "fgsm", model, images, torch.tensor([0, 1]), 0.125)
    assert torch.equal(left[1], images), "fgsm changed the images that it was given"
    expect(
        got,
        right,
        mistakes={
            "lowering the loss": (2 * images - right).clamp(0, 1),
            "images that did not change": images,
        },
    )
    assert not got.requires_grad, "the images still hang on a graph: detach the result"
    far = beyond(student.fgsm(model, images, torch.tensor([0, 1]), 0.1), images, 0.1)
    assert far == 0, f"{far} pixels differ by more than epsilon = 0.1; finish with `project`"
    no_gradients(student, model)
    for epsilon, given in ((-0.1, images), (0.1, images + 0.5), (0.1, images - 0.5)):
        refused(student.fgsm, model, given, torch.tensor([0, 1]), epsilon)


@points(1, task="12.5", hint="other images and other epsilons", hidden=True)
def test_one_step_of_other_networks(student):
    for epsilon in (0.25, 0.05, 1 / 3, 2 / 255, 1.0, 0.0):
        images = rand(2, 3, 6, 6, seed=7, dtype=torch.float32)
        changed = images + randn(2, 3, 6, 6, seed=8, dtype=torch.float32)
        got = student.project(changed, images, epsilon)
        assert beyond(got, images, epsilon) == 0
        expect(got, changed.clamp(images - epsilon, images + epsilon).clamp(0, 1), atol=3e-7)
        twin, model = classifier(student, 3, 6, classes=4, seed=9, dtype=torch.float32)
        labels = torch.tensor([3, 1])
        signs = slope(lambda x, t=twin, y=labels: F.cross_entropy(t(x), y), images).sign()
        got = student.fgsm(model, images, labels, epsilon)
        expect(got, (images + epsilon * signs).clamp(0, 1), atol=3e-7)
        assert beyond(got, images, epsilon) == 0
        assert not got.requires_grad
    for epsilon in (-1e-9, -1.0, math.nan):
        refused(student.project, images, images, epsilon)
        refused(student.fgsm, model, images, labels, epsilon)
    for value in (1.001, -0.001):
        wrong = images.clone()
        wrong[1, 2, 3, 4] = value
        refused(student.project, images, wrong, 0.1)
        refused(student.fgsm, model, wrong, labels, 0.1)


def attack(twin, images, labels, epsilon, steps, step_size, sign=1):
    """Projected gradient descent with the twin."""
    low, high = (images - epsilon).clamp(0, 1), (images + epsilon).clamp(0, 1)
    changed = images
    for _ in range(steps):
        signs = slope(lambda x: F.cross_entropy(twin(x), labels), changed).sign()
        changed = (changed + sign * step_size * signs).clamp(low, high)
    return changed


def check_pgd(student, n, channels, size, epsilon, steps, step_size, targeted):
    twin, model = classifier(student, channels, size, classes=4, seed=n, dtype=torch.float32)
    images = rand(n, channels, size, size, seed=n, dtype=torch.float32)
    labels = torch.arange(n) % 4
    sign = -1 if targeted else 1
    arguments = (epsilon, steps, step_size, *([True] if targeted else []))
    got, left = student.probe("in_place", "pgd", model, images, labels, *arguments)
    assert torch.equal(left[1], images), "pgd changed the images that it was given"
    stays, whole = images, images
    for _ in range(steps):
        first = slope(lambda x: F.cross_entropy(twin(x), labels), images).sign()
        stays = (stays + sign * step_size * first).clamp(images - epsilon, images + epsilon)
        whole = attack(twin, whole, labels, epsilon, 1, step_size, sign)
    expect(
        got,
        attack(twin, images, labels, epsilon, steps, step_size, sign),
        "adversarial images",
        atol=1e-6,
        rtol=0,
        mistakes={
            "the wrong direction": attack(
                twin, images, labels, epsilon, steps, step_size, -sign
            ),
            "one step": attack(twin, images, labels, epsilon, 1, step_size, sign),
            "the gradient at the first images in each step": stays.clamp(0, 1),
            "a bound around the images of the step before": whole,
            "steps of epsilon": attack(twin, images, labels, epsilon, steps, epsilon, sign),
        },
    )  # fmt: skip
    far = beyond(got, images, epsilon)
    assert far == 0, f"{far} pixels differ by more than epsilon = {epsilon}"
    assert not got.requires_grad, "the images still hang on a graph: detach the result"
    no_gradients(student, model)
    return model, images, labels


@points(0.5, task="12.6", needs=("12.5",), hint="a new gradient in each step, then project")
def test_pgd(student):
    model, images, labels = check_pgd(student, 3, 1, 5, 0.15, 6, 0.05, False)
    refused(student.pgd, model, images, labels, -0.1, 3, 0.1)
    refused(student.pgd, model, images + 1, labels, 0.1, 3, 0.1)


@points(0.5, task="12.6", needs=("12.5",), hint="targeted: the loss must fall")
def test_targeted_pgd(student):
    check_pgd(student, 2, 3, 4, 0.1, 5, 0.03, True)


@points(1, task="12.6", hint="other networks, steps and bounds", hidden=True)
def test_pgd_of_other_networks(student):
    check_pgd(student, 4, 1, 6, 0.2, 9, 0.07, False)
    check_pgd(student, 1, 2, 5, 0.3, 4, 0.2, True)
    model, images, labels = check_pgd(student, 5, 3, 4, 8 / 255, 10, 2 / 255, False)
    refused(student.pgd, model, images, labels, math.nan, 2, 0.1)
    refused(student.pgd, model, images - 0.9, labels, 0.1, 2, 0.1)


@points(0.5, task="12.7", hint="F times its own transpose, for each image")
def test_gram_matrices(student):
    features = torch.tensor([[1.0, 2, 0, -1], [3, 0, 1, 1], [0, 2, 2, -2]]).reshape(1, 3, 2, 2)
    features = torch.cat([features, features.flip(1) * 2])
    first = torch.tensor([[6.0, 2, 6], [2, 11, 0], [6, 0, 12]])
    right = torch.stack([first, 4 * first.flip(0, 1)])
    flat = features.flatten(2)
    expect(
        student.gram(features),
        right,
        mistakes={
            "dividing by the number of places": right / 4,
            "dividing by the number of values": right / 12,
            "sums over the channels instead of the places": flat.transpose(1, 2) @ flat,
            "one matrix for all images": right.sum(0),
            "covariances: the means are subtracted": torch.stack(
                [(f - f.mean(1, True)) @ (f - f.mean(1, True)).T for f in flat]
            ),
        },
    )


def style_gradient(features, style):
    """The closed form of the gradient of the style loss (Gatys et al. 2015, with places apart)."""
    flat, other = features.flatten(2), style.flatten(2)
    places, others = flat.shape[2], other.shape[2]
    difference = flat @ flat.transpose(1, 2) / places - other @ other.transpose(1, 2) / others
    gradient = difference @ flat / (features.shape[1] ** 2 * places)
    return difference, gradient.reshape(features.shape)


@points(0.5, task="12.7", hint="divide each Gram matrix by its own number of places")
def test_style_and_content_losses(student):
    features, style = randn(1, 3, 4, 5, seed=1), randn(1, 3, 2, 7, seed=2)
    difference, gradient = style_gradient(features, style)
    right = difference.square().sum() / 36
    grams = [f.flatten(2) @ f.flatten(2).transpose(1, 2) for f in (features, style)]
    expect(
        student.style_loss(features, style),
        right,
        "style_loss",
        mistakes={
            "forgetting 1 / (4 C^2)": right * 36,
            "forgetting the 4": right * 4,
            "Gram matrices that are not divided by their places": (
                (grams[0] - grams[1]).square().sum() / 36
            ),
            "dividing both by the places of the features": (
                ((grams[0] - grams[1]) / 20).square().sum() / 36
            ),
            "absolute values instead of squares": difference.abs().sum() / 36,
        },
    )
    got = student.probe("gradients", "style_loss", features.clone().requires_grad_(), style)[0]
    expect(got, gradient, "gradient of style_loss", atol=1e-9, rtol=1e-9)
    two, styles = randn(2, 3, 4, 5, seed=4), randn(2, 3, 2, 7, seed=5)
    total = style_gradient(two, styles)[0].square().sum() / 36
    mean = {"the mean over the images instead of the sum": total / 2}
    expect(student.style_loss(two, styles), total, "style_loss of two images", mistakes=mean)
    content = randn(1, 3, 4, 5, seed=3)
    mean = (features - content).square().mean()
    expect(
        student.content_loss(features, content),
        mean / 2,
        "content_loss",
        mistakes={"forgetting the half": mean, "the sum": mean * 30},
    )
    for channels in (1, 2):
        refused(student.style_loss, features, randn(1, channels, 4, 5))
        refused(student.content_loss, features, randn(1, channels, 4, 5))
    refused(student.content_loss, features, randn(2, 3, 4, 5))
    refused(student.content_loss, features, randn(1, 3, 4, 1))


def styled(twin, content, style, layers, steps, lr, weight):
    """What stylize must return, from the closed forms and the twin's gradients."""
    where, styles = layers

    def outputs(images, name):
        return twin[: int(name) + 1](images)

    def score(images):
        loss = (outputs(images, where) - outputs(content, where)).square().mean() / 2
        for name in styles:
            difference, _ = style_gradient(outputs(images, name), outputs(style, name))
            channels = difference.shape[1]
            loss = loss + weight * difference.square().sum() / (4 * channels**2)
        return -loss

    return climb(score, content, [(0, 0)] * steps, lr, 0.0)


def extractor(student, channels, seed):
    layers = [("Conv2d", channels, 4, 3), ("Tanh",), ("Conv2d", 4, 3, 2), ("Tanh",)]
    return twins(student, *layers, seed=seed)


@points(1, task="12.7", needs=("12.4",), hint="maximize the negative loss; start from `content`")
def test_stylize(student):
    twin, model = extractor(student, 3, seed=4)
    content, style = rand(1, 3, 6, 7, seed=5), rand(1, 3, 5, 8, seed=6)
    arguments = (content, style, ("2", ["1", "3"]), 4, 0.3)
    right = styled(twin, *arguments, 5.0)
    expect(
        student.stylize(model, *arguments, 5.0),
        right,
        mistakes={
            "forgetting the style weight": styled(twin, *arguments, 1.0),
            "forgetting the content": styled(twin, *arguments, 1e9),
            "forgetting the style": styled(twin, *arguments, 0.0),
            "climbing away from the style": styled(twin, *arguments, -5.0),
            "the content as it was": content,
        },
    )


@points(1, task="12.7", hint="other networks and layers", hidden=True)
def test_style_of_other_networks(student):
    for n, channels, size in [(2, 2, 3), (1, 5, 4)]:
        features = randn(n, channels, size, size + 1, seed=size)
        style, content = randn(n, channels, 3, size, seed=1), randn(*features.shape, seed=2)
        expect(student.gram(features), torch.einsum("nihw,njhw->nij", features, features))
        difference, gradient = style_gradient(features, style)
        expect(student.style_loss(features, style), difference.square().sum() / (2 * channels) ** 2)
        leaf = features.clone().requires_grad_()
        expect(student.probe("gradients", "style_loss", leaf, style)[0], gradient, atol=1e-9)
        expect(student.content_loss(features, content), F.mse_loss(features, content) / 2)
        refused(student.style_loss, features, randn(n, channels + 1, 3, 3))
        refused(student.content_loss, features, randn(n, channels, size, size))
    twin, model = extractor(student, 1, seed=8)
    content, style = rand(1, 1, 5, 5, seed=9), rand(1, 1, 9, 4, seed=10)
    arguments = (content, style, ("0", ["0", "2", "3"]), 3, 0.2, 2.5)
    expect(student.stylize(model, *arguments), styled(twin, *arguments))


SAMPLERS = (
    "*affine_grid*", "*grid_sampl*", "*GridSampl*", "*roi_align*", "*RoIAlign*",
    "*deform*", "*Deform*",
)  # fmt: skip


@points(0.5, task="12.8", hint="pixel j is at (2 j + 1) / width - 1", forbidden=SAMPLERS)
def test_affine_grid_is_that_of_torch(student):
    theta = torch.tensor([[[1.0, 0.5, 0.25], [-0.5, 2.0, -1.0]], [[0.0, -1.0, 0], [1.0, 0, 0.5]]])
    theta = theta.double()
    grid = {
        corners: F.affine_grid(theta, [2, 1, 3, 5], align_corners=corners)
        for corners in (False, True)
    }
    turned = F.affine_grid(theta, [2, 1, 5, 3], align_corners=False).transpose(1, 2)
    expect(
        student.affine_grid(theta, 3, 5),
        grid[False],
        mistakes={
            "the centers of the corner pixels at -1 and 1": grid[True],
            "(y, x) instead of (x, y)": grid[False].flip(3),
            "rows and columns swapped": turned,
            "forgetting the third column of theta": grid[False] - theta[:, None, None, :, 2],
        },
    )
    # The sum over all pixels of theta (x, y, 1); the centers of the pixels add up to 0.
    slopes = student.probe("gradients", "affine_grid", theta.requires_grad_(), 3, 5)[0]
    expected = torch.tensor([0.0, 0.0, 15.0]).double().expand(2, 2, 3)
    expect(slopes, expected, "the gradient for theta", atol=1e-9)


@points(
    1, task="12.8", hint="four pixels around each point, each with its share", forbidden=SAMPLERS
)
def test_grid_sample_is_that_of_torch(student):
    images = torch.arange(24.0).reshape(1, 2, 3, 4).double() + 1
    points = torch.tensor([[0.1, -0.3], [0.9, 0.9], [-1.2, 0.2], [0.0, -3.0], [-0.6, 1.1]])
    grid = points.double().reshape(1, 1, 5, 2)
    right = F.grid_sample(images, grid, align_corners=False)
    other = {"align_corners": False}
    expect(
        student.grid_sample(images, grid),
        right,
        mistakes={
            "the nearest pixel": F.grid_sample(images, grid, mode="nearest", **other),
            "the pixels at the edge instead of zeros": F.grid_sample(
                images, grid, padding_mode="border", **other
            ),
            "the centers of the corner pixels at -1 and 1": F.grid_sample(
                images, grid, align_corners=True
            ),
            "(y, x) instead of (x, y)": F.grid_sample(images, grid.flip(3), **other),
        },
    )
    leaves = images.clone().requires_grad_(), grid.clone().requires_grad_()
    twin = images.clone().requires_grad_(), grid.clone().requires_grad_()
    slopes = torch.autograd.grad(F.grid_sample(*twin, align_corners=False).sum(), twin)
    got = student.probe("gradients", "grid_sample", *leaves)
    expect(tuple(got), slopes, ("gradient of images", "gradient of grid"), atol=1e-9, rtol=1e-9)


@points(1.5, task="12.8", hint="other sizes; several images", hidden=True, forbidden=SAMPLERS)
def test_samplers_of_other_sizes(student):
    for n, channels, (H, W), (h, w) in [(3, 2, (5, 7), (4, 6)), (1, 1, (1, 3), (2, 1))]:
        theta = randn(n, 2, 3, seed=H)
        grid = F.affine_grid(theta, [n, 1, h, w], align_corners=False)
        expect(student.affine_grid(theta, h, w), grid)
        expect(student.affine_grid(theta.float(), h, w), grid.float())
        images = randn(n, channels, H, W, seed=W)
        for given in (grid, 4 * randn(n, h, w, 2, seed=n), 0.2 * randn(n, h, w, 2, seed=n + 1)):
            leaves = images.clone().requires_grad_(), given.clone().requires_grad_()
            twin = images.clone().requires_grad_(), given.clone().requires_grad_()
            outputs = F.grid_sample(*twin, align_corners=False)
            expect(student.grid_sample(images, given), outputs.detach())
            got = student.probe("gradients", "grid_sample", *leaves)
            expect(tuple(got), torch.autograd.grad(outputs.sum(), twin), atol=1e-9)
    slopes = student.probe("gradients", "affine_grid", theta.clone().requires_grad_(), 3, 4)[0]
    leaf = theta.clone().requires_grad_()
    torch_grid = F.affine_grid(leaf, [1, 1, 3, 4], align_corners=False)
    expect(slopes, torch.autograd.grad(torch_grid.sum(), leaf)[0])
