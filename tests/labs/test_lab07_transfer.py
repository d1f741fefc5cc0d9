"""Tests of lab 07, with their points. `student` is the lab under test: a solution or a submission.

The oracles are numpy's arithmetic, hand arithmetic, every permutation of a few points, and for
more points the absence of an exchange that would bring them nearer.
"""

import itertools

import numpy as np
import torch

from dlcourse.check import expect, points


def generator(seed):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def load(module, seed=0, dtype=torch.float64):
    """Load random weights into a module on the student's side; return them by name."""
    if dtype == torch.float64:
        module.double()
    drawn = {
        name: randn(*value.shape, seed=seed + i).to(dtype).abs() + 0.1
        if name.endswith("running_var")
        else randn(*value.shape, seed=seed + i).to(dtype)
        for i, (name, value) in enumerate(module.state_dict().items())
        if value.is_floating_point()
    }
    module.load_state_dict(drawn, strict=False)
    return drawn


@points(0.5, task="7.1", hint="set requires_grad of every parameter, and evaluation mode")
def test_a_frozen_model_needs_no_gradient_and_evaluates(student):
    nn = student.nn
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.9)))
    frozen = student.freeze(model)
    assert frozen is not None, "freeze returned None; is a `return` missing?"
    for name, parameter in dict(model.named_parameters()).items():
        assert not parameter.requires_grad, f"{name} of the given model still requires a gradient"
    for part, name in ((model, "model"), (model[1], "model[1]"), (frozen, "the returned model")):
        expect(part.training, False, f"{name}.training", call="freeze(model)")
    expect(len(frozen.state_dict()), 7, "tensors in the state dict of the returned model")
    for name, parameter in dict(student.freeze(nn.Linear(2, 3)).named_parameters()).items():
        assert not parameter.requires_grad, f"{name} of nn.Linear(2, 3) still requires a gradient"


@points(0.5, task="7.1", hint="split the inputs, flatten each output, and concatenate")
def test_features_are_extracted_in_batches(student):
    sizes, inputs = [], randn(7, 2, 3)

    def double(batch):
        sizes.append(len(batch))
        return 2 * batch

    expect(
        student.extract(double, inputs, batch_size=2),
        (2 * inputs).reshape(7, 6),
        mistakes={
            "leaving out the last batch, which is smaller": (2 * inputs[:6]).reshape(6, 6),
            "not flattening the features": 2 * inputs,
            "the first batch alone": (2 * inputs[:2]).reshape(2, 6),
            "flattening everything": (2 * inputs).flatten(),
        },
    )
    expect(sorted(sizes, reverse=True), [2, 2, 2, 1], "the sizes of the batches")
    turned = inputs.mT  # not contiguous, as the maps of a network in channels_last
    expect(student.extract(student.nn.Identity(), turned, 2), turned.flatten(1))
    features = student.extract(student.nn.Linear(3, 4), torch.randn(5, 3))
    expect(tuple(features.shape), (5, 4), "the shape of the features of nn.Linear(3, 4)")
    assert not features.requires_grad, "the features hold a graph: use torch.no_grad()"


@points(1, task="7.1", hint="the statistics of batch normalization must not move", hidden=True)
def test_a_frozen_model_gives_the_same_features_again(student):
    nn = student.nn
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Dropout(0.8))
    state = load(model, seed=4)
    model.train()
    frozen = student.freeze(model)
    inputs = randn(1201, 2, 2, 1, seed=9)
    x = np.einsum("oi,nihw->nohw", state["0.weight"][:, :, 0, 0].numpy(), inputs.numpy())
    scale, shift, mean, var, bias = (
        state[name].numpy()[:, None, None]
        for name in ("1.weight", "1.bias", "1.running_mean", "1.running_var", "0.bias")
    )
    expected = torch.from_numpy((x + bias - mean) / np.sqrt(var + 1e-5) * scale + shift)
    for one in (model, frozen):
        expect(student.extract(one, inputs), expected.flatten(1))
        left = one.state_dict()
        assert all(torch.equal(left[name], value) for name, value in state.items())
        # A gradient goes to the inputs, and to nothing else.
        assert not one(inputs[:3]).requires_grad, "a parameter still requires a gradient"
        slopes = student.probe("gradients", one, inputs[:3].clone().requires_grad_())[0]
        factors = (scale / np.sqrt(var + 1e-5))[:, 0, 0] @ state["0.weight"][:, :, 0, 0].numpy()
        expect(slopes, torch.from_numpy(factors)[:, None, None].expand(3, 2, 2, 1))
    sizes = []

    def sizing(batch):
        sizes.append(len(batch))
        return batch[:, 0]

    expect(student.extract(sizing, inputs), inputs[:, 0].flatten(1))
    expect(sizes, [500, 500, 201])
    expect(student.extract(sizing, inputs[:2], 1), inputs[:2, 0].flatten(1))
    turned = inputs[:5].permute(0, 2, 1, 3)  # a view cannot flatten it
    expect(student.extract(nn.Identity(), turned, 3), turned.flatten(1))
    expect(sizes[3:], [1, 1])
    layer = nn.Linear(2, 3)
    slopes = student.probe("gradients", layer, torch.ones(4, 2))
    expect(slopes, [torch.full((3, 2), 4.0), torch.full((3,), 4.0)], "gradients before freezing")
    assert not student.freeze(layer)(torch.ones(1, 2)).requires_grad, "one layer"
    leaf = inputs[:3].clone().requires_grad_()
    assert not student.extract(nn.Flatten(), leaf).requires_grad


def descend(features, labels, num_classes, lr, steps, decay, **wrong):
    """The linear classifier by numpy; `wrong` names a mistake."""
    x, y = features.numpy(), np.eye(num_classes)[labels.numpy()]
    weight, bias = np.zeros((num_classes, x.shape[1])), np.zeros(num_classes)
    for _ in range(steps):
        errors = softmax(x @ weight.T + bias) - y
        errors = errors / (1 if "summed" in wrong else len(x))
        bias_step = errors.sum(0) + (decay * bias if "decay_bias" in wrong else 0)
        twice = 2 if "twice" in wrong else 1
        weight, bias = (
            weight - lr * (errors.T @ x + twice * decay * weight),
            bias if "no_bias" in wrong else bias - lr * bias_step,
        )
    return torch.from_numpy(weight), torch.from_numpy(bias)


@points(1, task="7.2", hint="the gradient for the logits is (softmax - one-hot) / N")
def test_linear_classifier_after_a_few_steps(student):
    features, labels = randn(7, 3, seed=1), torch.tensor([0, 3, 1, 1, 0, 3, 1])
    for steps, decay in [(1, 0.3), (4, 0.0), (4, 0.3)]:
        arguments = (features, labels, 5, 0.4, steps, decay)
        got = student.fit_linear(*arguments)
        expect(
            got,
            descend(*arguments),
            ("weight", "bias"),
            mistakes={
                "leaving out the weight decay": descend(*arguments[:5], 0.0),
                "decaying the bias too": descend(*arguments, decay_bias=True),
                "the sum of the cross-entropy instead of its mean": descend(
                    *arguments, summed=True
                ),
                "a decay of weight_decay instead of weight_decay / 2": descend(
                    *arguments, twice=True
                ),
                "a bias that does not learn": descend(*arguments, no_bias=True),
                "one step too many": descend(features, labels, 5, 0.4, steps + 1, decay),
                "steps in the other direction": descend(features, labels, 5, -0.4, steps, decay),
            },
        )
        dtypes = [part.dtype for part in got]
        expect(dtypes, [torch.float64] * 2, ("dtype of the weight", "dtype of the bias"))
        held = [part.requires_grad for part in got]
        assert held == [False, False], "detach the weight and the bias: they need no gradient"
    single = student.fit_linear(features.float(), labels, 5, 0.4, 1, 0.3)
    dtypes = [part.dtype for part in single]
    expect(dtypes, [torch.float32] * 2, ("dtype of the weight", "dtype of the bias"))


@points(1, task="7.2", hint="zeros at the start, and the dtype of the features", hidden=True)
def test_linear_classifier_of_other_sizes(student):
    for n, d, classes, lr, steps, decay in [(12, 4, 2, 0.3, 30, 0.01), (1, 2, 3, 1.0, 5, 0.2)]:
        features = randn(n, d, seed=n) * 2
        labels = torch.randint(classes, (n,), generator=generator(n))
        arguments = (features, labels, classes, lr, steps, decay)
        got, left = student.probe("in_place", "fit_linear", *arguments)
        expect(got, descend(*arguments))
        expect([part.dtype for part in got], [torch.float64] * 2, ("the weight", "the bias"))
        assert torch.equal(left[0], features)
        assert not got[0].requires_grad
        assert not got[1].requires_grad
        single = student.fit_linear(features.float(), *arguments[1:])
        assert single[0].dtype == single[1].dtype == torch.float32
        expect(single, tuple(value.float() for value in descend(*arguments)), rtol=1e-3, atol=1e-4)


def parts(student, seed=0):
    """A backbone with three parameters, a head with two, and their weights by name."""
    nn = student.nn
    backbone = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3, bias=False))
    head = nn.Linear(3, 2)
    return backbone, head, {"backbone": load(backbone, seed), "head": load(head, seed + 5)}


def gradients(inputs, weights):
    """The gradients of the sum of all outputs, by hand."""
    first, bias, second = weights["backbone"].values()
    x, (last, _) = inputs.sum(0), weights["head"].values()
    hidden = first @ x + len(inputs) * bias
    back = last.sum(0)
    return {
        "backbone": [torch.outer(second.T @ back, x), len(inputs) * second.T @ back,
                     torch.outer(back, hidden)],
        "head": [(second @ hidden).expand(2, 3), torch.full((2,), float(len(inputs))).double()],
    }  # fmt: skip


def stepped(weights, slopes, lrs):
    return [
        {
            name: value - lr * slope
            for (name, value), slope in zip(weights[part].items(), slopes[part], strict=True)
        }
        for part, lr in zip(("backbone", "head"), lrs, strict=True)
    ]


@points(0.5, task="7.3", hint='a list of two dicts: {"params": list(...), "lr": ...}')
def test_each_part_learns_with_its_own_rate(student):
    backbone, head, weights = parts(student)
    inputs = randn(4, 2, seed=8)
    network = student.nn.Sequential(backbone, head)
    groups = student.probe(
        "group_step", network, inputs, "parameter_groups", backbone, head, 0.01, 0.5
    )
    expect(
        [tuple(group) for group in groups],
        [(0.01, 3), (0.5, 2)],
        ("backbone: lr, number of parameters", "head: lr, number of parameters"),
        mistakes={
            "swapping the learning rates": [(0.5, 3), (0.01, 2)],
            "the head first": [(0.5, 2), (0.01, 3)],
            "one learning rate for both": [(0.5, 3), (0.5, 2)],
            "leaving out the backbone": [(0.01, 0), (0.5, 2)],
        },
    )
    slopes = gradients(inputs, weights)
    expect(
        [backbone.state_dict(), head.state_dict()],
        stepped(weights, slopes, (0.01, 0.5)),
        ("the backbone after a step", "the head after a step"),
        mistakes={"groups that hold copies of the parameters": [*weights.values()]},
        call="parameter_groups(backbone, head, 0.01, 0.5)",
    )
    backbone[1].requires_grad_(False)
    groups = student.probe(
        "group_step", network, inputs, "parameter_groups", backbone, head, 0.01, 0.5
    )
    expect(
        [tuple(group) for group in groups],
        [(0.01, 2), (0.5, 2)],
        ("frozen backbone[1]: lr, number of parameters", "head: lr, number of parameters"),
        mistakes={"putting frozen parameters into a group": [(0.01, 3), (0.5, 2)]},
    )
    head.requires_grad_(False)
    groups = student.probe(
        "group_step", network, inputs, "parameter_groups", backbone, head, 0.01, 0.5
    )
    expect(
        [tuple(group) for group in groups],
        [(0.01, 2), (0.5, 0)],
        ("backbone: lr, number of parameters", "frozen head: lr, number of parameters"),
        mistakes={"putting frozen parameters into a group": [(0.01, 2), (0.5, 2)]},
    )


@points(0.5, task="7.3", hint="frozen parameters are in no group", hidden=True)
def test_frozen_parameters_are_in_no_group(student):
    backbone, head, weights = parts(student, seed=20)
    backbone[0].requires_grad_(False)
    inputs = randn(3, 2, seed=2)
    network = student.nn.Sequential(backbone, head)
    groups = student.probe(
        "group_step", network, inputs, "parameter_groups", backbone, head, 0.2, 0.03
    )
    expect([tuple(group) for group in groups], [(0.2, 1), (0.03, 2)])
    slopes = gradients(inputs, weights)
    expected = stepped(weights, slopes, (0.2, 0.03))
    expected[0] |= {name: weights["backbone"][name] for name in ("0.weight", "0.bias")}
    expect([backbone.state_dict(), head.state_dict()], expected)
    backbone.requires_grad_(False)
    groups = student.probe(
        "group_step", network, inputs, "parameter_groups", backbone, head, 0.2, 0.1
    )
    expect([tuple(group) for group in groups], [(0.2, 0), (0.1, 2)])
    backbone.requires_grad_(True)
    head.requires_grad_(False)
    groups = student.probe(
        "group_step", network, inputs, "parameter_groups", backbone, head, 0.2, 0.1
    )
    expect([tuple(group) for group in groups], [(0.2, 3), (0.1, 0)])


@points(1, task="7.4", hint="Y = 0.299 R + 0.587 G + 0.114 B in all three channels")
def test_colorization_by_hand(student):
    # Two cells of 1 x 2 pixels would not be square: one image of 2 x 4 pixels with two cells.
    image = torch.zeros(1, 3, 2, 4, dtype=torch.float64)
    image[0, 0, 0, 0] = 1.0  # one red pixel in the left cell: Y 0.299
    image[0, 2, 1, 3] = 0.5  # one blue pixel in the right cell: Y 0.057
    image[0, 1, :, 2] = 1.0  # two green pixels in the right cell: Y 0.587
    gray = torch.tensor([[0.299, 0, 0.587, 0], [0, 0, 0.587, 0.057]], dtype=torch.float64)
    red = torch.tensor([0.701 / 4, (-2 * 0.587 - 0.057) / 4], dtype=torch.float64)
    blue = torch.tensor([-0.299 / 4, (-2 * 0.587 + 0.443) / 4], dtype=torch.float64)
    colors = torch.stack([red, blue])[None, :, None]
    rgb = image[0, ::2].reshape(2, 2, 2, 2).mean((1, 3))[None, :, None]
    expect(
        student.colorization(image, cell=2),
        (gray.expand(1, 3, 2, 4), colors),
        ("inputs", "targets"),
        mistakes={
            "one gray channel instead of three": (gray[None, None], ...),
            "the mean of the channels as gray": (image.mean(1, keepdim=True).expand(1, 3, 2, 4),
                                                 ...),
            "swapping red and blue": (..., colors.flip(1)),
            "the channels themselves as color": (..., rgb),
            "the sum over each cell instead of its mean": (..., 4 * colors),
            "the inverse difference, Y - R and Y - B": (..., -colors),
            "the color of the first pixel of each cell": (
                ..., torch.stack([(image - gray)[0, c, ::2, ::2] for c in (0, 2)])[None],
            ),
            "the largest color of each cell": (
                ..., torch.nn.functional.max_pool2d(torch.stack(
                    [(image - gray)[0, c] for c in (0, 2)])[None], 2),
            ),
        },
    )  # fmt: skip


@points(1, task="7.4", hint="other sizes, and the default cell of 4 pixels", hidden=True)
def test_colorization_of_random_images(student):
    for (n, h, w), cell in [((3, 8, 12), None), ((2, 6, 3), 3), ((1, 2, 5), 1)]:
        images = torch.rand(n, 3, h, w, dtype=torch.float64, generator=generator(h))
        arguments = (images,) if cell is None else (images, cell)
        (inputs, targets), left = student.probe("in_place", "colorization", *arguments)
        assert torch.equal(left[0], images)
        x, side = images.numpy(), cell or 4
        gray = np.einsum("nchw,c->nhw", x, np.array([0.299, 0.587, 0.114]))
        expect(inputs, torch.from_numpy(np.stack([gray] * 3, 1)))
        colors = np.stack([x[:, 0] - gray, x[:, 2] - gray], 1)
        cells = colors.reshape(n, 2, h // side, side, w // side, side).mean((3, 5))
        expect(targets, torch.from_numpy(cells))


@points(0.5, task="7.5", hint="divide normal numbers by the length of each row")
def test_unit_vectors_have_length_1_and_every_direction(student):
    got = student.unit_vectors(6, 4, generator(1))
    expect(tuple(got.shape), (6, 4), "shape")
    expect(got.norm(dim=1), torch.ones(6), "the lengths of the rows")
    assert torch.equal(got, student.unit_vectors(6, 4, generator(1))), (
        "expected the same points from generators with the same seed"
    )
    assert not torch.equal(got, student.unit_vectors(6, 4, generator(2))), (
        "expected other points from another seed"
    )
    plane = student.unit_vectors(4000, 2, generator(3)).abs()
    signs = (student.unit_vectors(4000, 2, generator(3)) > 0).double().mean(0)
    assert bool((signs - 0.5).abs().max() < 0.05), (
        f"expected as many positive numbers as negative ones, got shares of {signs.tolist()}"
    )
    # Half of the directions are nearer to an axis than to a diagonal; the deviation is 0.8 %.
    near = (plane.min(1).values / plane.max(1).values < np.tan(np.pi / 8)).double().mean().item()
    assert 0.46 < near < 0.54, (
        f"of 4000 points on the circle, {near:.0%} are nearer to an axis than to a diagonal; "
        "expected 50%: draw normal numbers"
    )


@points(0.5, task="7.5", hint="`assign` minimizes a cost: the nearer, the smaller")
def test_match_by_hand(student):
    # Angles of the points: 0, 90, 180 degrees. All features are near the first point.
    points_ = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    features = torch.tensor([[2.0, 0.5], [1.0, 0.8], [0.3, 0.2]], dtype=torch.float64)
    # f p: (2, 0.5, -2), (1, 0.8, -1), (0.3, 0.2, -0.3). The best sum is 2 + 0.8 - 0.3.
    expect(
        student.match(features, points_),
        points_,
        mistakes={
            "the order that makes the distances largest": points_[[2, 1, 0]],
            "the nearest point for each feature, so that points are used twice": points_[[0, 0, 0]],
        },
    )
    # The nearest point first would give feature 0 its point 0, 0.8 + 0; the best sum is 0.6 + 0.7.
    features = torch.tensor([[0.8, 0.6], [0.7, 0.0]], dtype=torch.float64)
    got, left = student.probe("in_place", "match", features, points_[:2])
    expect(
        got,
        points_[[1, 0]],
        mistakes={
            "taking the nearest point for each feature in turn": points_[:2],
            "the points in the order that they had": points_[:2],
        },
    )
    assert torch.equal(left[1], points_[:2]), "match changed the tensor `points`"
    # Three points whose best order is no exchange of two: its inverse is another order.
    features = points_[[1, 2, 0]] + 0.1
    expect(
        student.match(features, points_),
        points_[[1, 2, 0]],
        mistakes={"sorting the features by the points, the inverse order": points_[[2, 0, 1]]},
    )
    # The squared distances are 5 + 2 in this order and 9 + 0 in the other.
    features = torch.tensor([[3.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    near = {"the distances, or the angles, instead of the squared distances": points_[[1, 0]]}
    got = student.match(features.requires_grad_(), points_[:2])
    expect(got, points_[:2], mistakes=near)
    assert not got.requires_grad, "the points still hang on the graph of the features"


def order_of(got, given):
    """The number of each row of `got` among the rows of `given`, each used once."""
    equal = (got[:, None] == given[None]).all(2)
    assert tuple(equal.shape) == (len(given), len(given)), "a row for each feature"
    assert bool((equal.sum(0) == 1).all()), "each point is used once"
    assert bool((equal.sum(1) == 1).all()), "each row is one of the points"
    return equal.double().argmax(1)


@points(1, task="7.5", hint="the smallest sum of squared distances, exactly", hidden=True)
def test_match_and_unit_vectors_of_other_sizes(student):
    for count, dim in [(1, 3), (500, 1), (40, 7)]:
        expect(student.unit_vectors(count, dim, generator(5)).norm(dim=1), torch.ones(count))
    one, again, other = (student.unit_vectors(5, 3, generator(seed)) for seed in (6, 6, 7))
    assert torch.equal(one, again), "the same generator gives the same points"
    assert not torch.equal(one, other), "another generator gives others"
    many = student.unit_vectors(6000, 3, generator(8)).double()
    # Each coordinate of a point on the sphere is uniform on [-1, 1] (Archimedes).
    for column in many.T:
        counts = torch.histc(column, 4, -1, 1)
        assert bool((counts - 1500).abs().max() < 200), "every direction is equally likely"
    for seed in range(8):
        n, dim = seed % 5 + 2, seed % 3 + 2
        features = randn(n, dim, seed=seed) * (1 + torch.arange(n).double())[:, None]
        given = randn(n, dim, seed=50 + seed)
        given = given / given.norm(dim=1, keepdim=True)
        got = student.match(features.requires_grad_() if seed % 2 else features, given)
        assert not got.requires_grad
        order_of(got, given)
        best = min(
            (features.detach() - given[list(order)]).square().sum().item()
            for order in itertools.permutations(range(n))
        )
        expect((features.detach() - got).square().sum().item(), best)
    features, given = randn(30, 4, seed=1), randn(30, 4, seed=2)
    given = given / given.norm(dim=1, keepdim=True)
    order = order_of(student.match(features, given), given)
    # What feature a gains if it takes the point of b. An order is best if no cycle of such
    # exchanges gains anything (Floyd and Warshall's longest paths).
    near = (features @ given.T)[:, order]
    gain = near - near.diagonal()[:, None]
    for middle in range(30):
        gain = torch.maximum(gain, gain[:, middle, None] + gain[middle])
    assert float(gain.diagonal().max()) < 1e-9, "an exchange of points brings them nearer"


def divergence(teacher, logits, temperature):
    t, s = softmax(teacher.numpy() / temperature), softmax(logits.numpy() / temperature)
    return float((t * (np.log(t) - np.log(s))).sum(1).mean())


def cross_entropy(logits, labels):
    chosen = np.log(softmax(logits.numpy()))[np.arange(len(labels)), labels.numpy()]
    return float(-chosen.mean())


@points(1, task="7.6", hint="soften both logits by T; the labels' part has no temperature")
def test_distillation_loss_and_its_mistakes(student):
    logits, teacher = randn(4, 3, seed=1), 2 * randn(4, 3, seed=2)
    labels, T, a = torch.tensor([2, 0, 1, 2]), 2.5, 0.7
    soft, hard = divergence(teacher, logits, T), cross_entropy(logits, labels)
    t = softmax(teacher.numpy() / T)
    crossed = float(-(t * np.log(softmax(logits.numpy() / T))).sum(1).mean())
    expect(
        student.distillation_loss(logits, teacher, labels, T, a),
        torch.tensor(a * T**2 * soft + (1 - a) * hard, dtype=torch.float64),
        mistakes={
            "leaving out T squared": a * soft + (1 - a) * hard,
            "T instead of T squared": a * T * soft + (1 - a) * hard,
            "swapping weight and 1 - weight": (1 - a) * T**2 * soft + a * hard,
            "swapping teacher and student": a * T**2 * divergence(logits, teacher, T)
            + (1 - a) * hard,
            "softening the labels' part too": a * T**2 * soft
            + (1 - a) * cross_entropy(logits / T, labels),
            "softening the student only": a * T**2 * divergence(teacher * T, logits, T)
            + (1 - a) * hard,
            "softening the teacher only": a * T**2 * divergence(teacher, logits * T, T)
            + (1 - a) * hard,
            "no temperature": a * T**2 * divergence(teacher, logits, 1.0) + (1 - a) * hard,
            "dividing by N times C instead of N": a * T**2 * soft / 3 + (1 - a) * hard,
            "the sum over the batch instead of its mean": a * T**2 * soft * 4 + (1 - a) * hard,
            "the cross-entropy with the teacher instead of the divergence": a * T**2 * crossed
            + (1 - a) * hard,
            "ignoring the labels": a * T**2 * soft,
            "T squared on both parts": T**2 * (a * soft + (1 - a) * hard),
        },
    )
    alike = student.distillation_loss(logits, logits.clone(), labels, 2.0, 1.0)
    expect(alike, torch.tensor(0.0, dtype=torch.float64), "the loss of a student like the teacher")
    watched = student.distillation_loss(logits, teacher.clone().requires_grad_(), labels, T, a)
    assert not watched.requires_grad, "a gradient goes to the teacher's logits; use detach()"
    leaf = logits.clone().requires_grad_()
    slopes = student.probe("gradients", "distillation_loss", leaf, teacher, labels, T, a)[0]
    soft = softmax(logits.numpy() / T) - softmax(teacher.numpy() / T)
    hard = softmax(logits.numpy()) - np.eye(3)[labels.numpy()]
    expect(
        slopes,
        torch.from_numpy(a * T * soft + (1 - a) * hard) / 4,
        "the gradient for the logits",
        mistakes={"detached logits in the softened part": torch.from_numpy((1 - a) * hard) / 4},
    )


@points(1, task="7.6", hint="other temperatures and sizes; the default weight", hidden=True)
def test_distillation_loss_and_its_gradient(student):
    for n, classes, T, a in [(5, 4, 1.0, None), (1, 2, 0.5, 0.25), (3, 6, 8.0, 1.0)]:
        logits, teacher = 3 * randn(n, classes, seed=n), 3 * randn(n, classes, seed=n + 1)
        labels = torch.randint(classes, (n,), generator=generator(n))
        share = 0.9 if a is None else a
        expected = share * T**2 * divergence(teacher, logits, T)
        expected += (1 - share) * cross_entropy(logits, labels)
        arguments = (teacher, labels, T) if a is None else (teacher, labels, T, a)
        got = student.distillation_loss(logits, *arguments)
        expect(got, torch.tensor(expected, dtype=torch.float64))
        slopes = student.probe(
            "gradients", "distillation_loss", logits.clone().requires_grad_(), *arguments
        )[0]
        watched = teacher.clone().requires_grad_()
        assert not student.distillation_loss(logits, watched, *arguments[1:]).requires_grad
        soft = softmax(logits.numpy() / T) - softmax(teacher.numpy() / T)
        hard = softmax(logits.numpy()) - np.eye(classes)[labels.numpy()]
        expect(slopes, torch.from_numpy((share * T * soft + (1 - share) * hard) / n))


@points(0.5, task="7.7", hint="half of the mean over all numbers; the teacher is a constant")
def test_hint_loss_by_hand(student):
    maps = torch.tensor([[[[1.0, 2.0]]], [[[0.0, -1.0]]]], dtype=torch.float64)
    teacher = torch.tensor([[[[1.0, 3.0]], [[0.0, 0.0]]], [[[2.0, 0.0]], [[1.0, 1.0]]]]).double()

    def regressor(x):  # (N, 1, 1, 2) -> (N, 2, 1, 2)
        return torch.cat([x, 2 * x], dim=1)

    # Differences: 0, -1, 2, 4 and -2, -1, -1, -3. Their squares add up to 36, for 8 numbers.
    expect(
        student.hint_loss(maps, teacher, regressor),
        torch.tensor(2.25, dtype=torch.float64),
        mistakes={
            "leaving out the half": 4.5,
            "the sum instead of the mean": 18.0,
            "the mean over the images of a sum": 9.0,
            "not using the regressor": float((maps - teacher).square().mean() / 2),
            "the regressor of the teacher's maps": 20.25,
            "absolute differences instead of squares": 14 / 8 / 2,
            "the root of the mean": 4.5**0.5 / 2,
        },
    )
    watched = student.hint_loss(maps, teacher.clone().requires_grad_(), regressor)
    assert not watched.requires_grad, "a gradient goes to the teacher's maps; use detach()"
    leaf = maps.clone().requires_grad_()
    same = student.nn.Identity()
    slopes = student.probe("gradients", "hint_loss", leaf, teacher[:, :1], same)[0]
    expect(slopes, (maps - teacher[:, :1]) / 4, "the gradient for the student's maps")


@points(0.5, task="7.7", hint="the regressor learns too", hidden=True)
def test_hint_loss_trains_the_maps_and_the_regressor(student):
    regressor = student.nn.Conv2d(2, 3, 1)
    weight, bias = load(regressor, seed=3).values()
    maps, teacher = randn(4, 2, 3, 5, seed=6), randn(4, 3, 3, 5, seed=7)
    w = weight[:, :, 0, 0].numpy()
    outputs = np.einsum("oi,nihw->nohw", w, maps.numpy()) + bias.numpy()[:, None, None]
    difference = outputs - teacher.numpy()
    expect(
        student.hint_loss(maps, teacher, regressor),
        torch.tensor((difference**2).mean() / 2, dtype=torch.float64),
    )
    leaf = maps.clone().requires_grad_()
    slopes = student.probe("gradients", "hint_loss", leaf, teacher, regressor)[0]
    expected = np.einsum("oi,nohw->nihw", w, difference) / difference.size
    expect(slopes, torch.from_numpy(expected))
    assert student.hint_loss(maps, teacher, regressor).requires_grad
    watched = maps.clone().requires_grad_()
    assert not student.hint_loss(maps, watched, student.nn.Identity()).requires_grad


def cut(weight, rank):
    U, S, Vh = np.linalg.svd(weight.numpy(), full_matrices=False)
    return torch.from_numpy((U[:, :rank] * S[:rank]) @ Vh[:rank])


def shapes(module):
    return [tuple(parameter.shape) for parameter in module.parameters()]


@points(1, task="7.8", hint="U[:, :rank], S[:rank] and Vh[:rank] make the best weight of this rank")
def test_low_rank_is_the_best_approximation(student):
    layer = student.nn.Linear(4, 6)
    weight, bias = load(layer, seed=2).values()
    inputs = randn(5, 4, seed=9)
    for rank in (1, 3):
        halves = student.low_rank(layer, rank)
        expect(
            shapes(halves),
            [(rank, 4), (6, rank), (6,)],
            "the shapes of the parameters",
            mistakes={
                "a bias in both layers": [(rank, 4), (rank,), (6, rank), (6,)],
                "no bias": [(rank, 4), (6, rank)],
                "swapping in and out": [(rank, 6), (4, rank), (4,)],
            },
        )
        U, S, Vh = (torch.from_numpy(part) for part in np.linalg.svd(weight.numpy(), False))
        right = inputs @ cut(weight, rank).T
        smallest = (U[:, -rank:] * S[-rank:]) @ Vh[-rank:]
        expect(
            halves(inputs),
            right + bias,
            f"the outputs for rank {rank}",
            mistakes={
                "leaving out the bias": right,
                "a bias that was not copied": right + halves.state_dict().get("1.bias", 0),
                "leaving out the singular values": inputs @ (U[:, :rank] @ Vh[:rank]).T + bias,
                "the singular values in both layers": inputs
                @ (U[:, :rank] * S[:rank] ** 2 @ Vh[:rank]).T
                + bias,
                "the root of the singular values in one layer only": inputs
                @ (U[:, :rank] * S[:rank].sqrt() @ Vh[:rank]).T
                + bias,
                "the smallest singular values instead of the largest": inputs @ smallest.T + bias,
                "the first rows and columns of the weight": inputs[:, :rank] @ weight[:, :rank].T
                + bias,
            },
        )


@points(0.5, task="7.8", hint="copy the bias; new parameters require gradients")
def test_low_rank_makes_new_layers(student):
    layer = student.nn.Linear(5, 3)
    before = load(layer, seed=4)
    halves = student.low_rank(layer, 3)
    inputs = randn(2, 5, seed=3)
    expected = inputs @ before["weight"].T + before["bias"]
    expect(halves(inputs), expected, "the outputs for the full rank, which are those of the layer")
    for parameter in halves.parameters():
        assert parameter.requires_grad, "a parameter of the new layers does not require a gradient"
    load(halves, seed=30)
    left = layer.state_dict()
    for name in ("weight", "bias"):
        expect(left[name], before[name], f"{name} of the given layer after training the new ones")
    plain = student.low_rank(student.nn.Linear(5, 3, bias=False), 2)
    expect(shapes(plain), [(2, 5), (3, 2)], "the shapes for a layer without a bias")


@points(1.5, task="7.8", hint="wide and narrow layers, with and without bias", hidden=True)
def test_low_rank_of_other_layers(student):
    for fan_in, fan_out, bias, rank in [(7, 3, True, 2), (3, 8, False, 1), (6, 6, True, 5)]:
        for dtype in (torch.float64, torch.float32):
            layer = student.nn.Linear(fan_in, fan_out, bias=bias)
            state = load(layer, seed=fan_in, dtype=dtype)
            halves = student.low_rank(layer, rank)
            right = [(rank, fan_in), (fan_out, rank)] + [(fan_out,)] * bias
            assert shapes(halves) == right
            assert all(parameter.dtype == dtype for parameter in halves.parameters())
            inputs = randn(4, fan_in, seed=1).to(dtype)
            expected = inputs @ cut(state["weight"], rank).T + (state["bias"] if bias else 0)
            loose = {} if dtype == torch.float64 else {"rtol": 1e-3, "atol": 1e-4}
            expect(halves(inputs), expected, **loose)
            slopes = student.probe("gradients", halves, inputs.clone().requires_grad_())[0]
            expect(slopes, cut(state["weight"], rank).sum(0).expand(4, fan_in), **loose)
            # What they compute, and learn, with other weights.
            first, second, *added = load(halves, seed=77, dtype=dtype).values()
            expect(halves(inputs), inputs @ first.T @ second.T + sum(added), **loose)
            learned = [torch.outer(second.sum(0), inputs.sum(0)),
                       (first @ inputs.sum(0)).expand(fan_out, rank),
                       torch.full((fan_out,), 4.0, dtype=dtype)]  # fmt: skip
            expect(student.probe("gradients", halves, inputs), learned[: 2 + bias], **loose)
            left = layer.state_dict()
            assert all(torch.equal(left[name], value) for name, value in state.items())
