"""Tests of lab 10, with their points. `student` is the lab under test: a solution or a submission.

The oracles are eigenvectors of the covariance, forward passes computed from the weights, and hand
arithmetic.
"""

import itertools

import torch
import torch.nn.functional as F

from dlcourse.check import assert_close, expect, points


def rand(*shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def spread_out(num_images, num_pixels, seed=0):
    """Make images whose variance differs between pixels, so that all directions differ."""
    return 3 + rand(num_images, num_pixels, seed=seed) * torch.arange(1.0, num_pixels + 1)


def unchanged(left, given, name, function):
    """Check that a function left its argument called `name` as it was."""
    expect(left, given, f"{function} changed its argument `{name}`", rtol=0, atol=0)


def signed(components, expected):
    """Give each direction the sign of the expected one, if the shapes agree."""
    if not isinstance(components, torch.Tensor) or components.shape != expected.shape:
        return components
    return components * (components * expected).sum(1, keepdim=True).sign()


def check_pca(student, images, latent_dim, mean, expected, mistakes=None):
    got, left = student.probe("in_place", "pca", images, latent_dim)
    if isinstance(got, list | tuple) and len(got) == 2:
        got = (got[0], signed(got[1], expected))
    mistakes = {
        name: (value[0], signed(value[1], expected)) for name, value in (mistakes or {}).items()
    }
    expect(got, (mean, expected), ("mean", "components"), mistakes=mistakes)
    unchanged(left[0], images, "images", "pca")


@points(
    1,
    task="10.1",
    forbidden=("torch._lowrank*", "*_lowrank"),
    hint="subtract the mean first; each row is a direction",
)
def test_pca_by_hand(student):
    # A cross around (1, 2, 3): the variance is largest along the second pixel, then the first.
    images = torch.tensor([[2.0, 2.0, 3.0], [0.0, 2.0, 3.0], [1.0, 4.0, 3.0], [1.0, 0.0, 3.0]])
    mean, first, second = torch.tensor([1.0, 2.0, 3.0]), [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]
    expected = torch.tensor([first, second])
    uncentered = torch.linalg.eigh(images.T @ images).eigenvectors.T.flip(0)[:2]
    check_pca(
        student,
        images,
        2,
        mean,
        expected,
        {
            "not subtracting the mean": (mean, uncentered),
            "taking the directions of smallest variance": (
                mean,
                torch.tensor([[0.0, 0.0, 1.0], second]),
            ),
            "the order smallest first": (mean, expected.flip(0)),
            "the directions as columns": (mean, expected.T),
            "all directions instead of the first latent_dim": (mean, torch.eye(3)[[1, 0, 2]]),
            "the mean over the pixels instead of the images": (images.mean(1), ...),
            "the order components, mean": (expected, mean),
        },
    )
    images = torch.tensor([[1.0, 2.0, 7.0], [3.0, 5.0, 13.0], [-1.0, -1.0, 1.0]])
    mean, direction = torch.tensor([1.0, 2.0, 7.0]), torch.tensor([[2.0, 3.0, 6.0]]) / 7
    check_pca(student, images, 1, mean, direction)


@points(
    1, task="10.1", hint="return the directions of largest variance, largest first", hidden=True
)
def test_pca_finds_the_eigenvectors_of_the_covariance(student):
    for num_images, num_pixels, latent_dim in [(50, 6, 3), (7, 12, 4), (40, 5, 5)]:
        images = spread_out(num_images, num_pixels, seed=latent_dim)
        _, vectors = torch.linalg.eigh(images.T.cov())
        check_pca(student, images, latent_dim, images.mean(0), vectors.T.flip(0)[:latent_dim])


@points(
    0.5,
    task="10.2",
    forbidden=("dlcourse.models*",),
    hint="subtract the mean before you encode, add it after you decode",
)
def test_pca_reconstructs_by_hand(student):
    # Minus the mean, the images are (0, 3, 0), (3, 0, 4) and (4, 0, -3).
    images = torch.tensor([[1.0, 5.0, 3.0], [4.0, 2.0, 7.0], [5.0, 2.0, 0.0], [1.0, 3.0, 3.0]])
    mean = torch.tensor([1.0, 2.0, 3.0])
    components = torch.tensor([[0.0, 1.0, 0.0], [0.6, 0.0, 0.8]])
    codes = torch.tensor([[3.0, 0.0], [0.0, 5.0], [0.0, 0.0], [1.0, 0.0]])
    outputs = torch.tensor([[1.0, 5.0, 3.0], [4.0, 2.0, 7.0], [1.0, 2.0, 3.0], [1.0, 3.0, 3.0]])
    got, left = student.probe("in_place", "pca_reconstruct", images, mean, components)
    expect(
        got,
        (codes, outputs),
        ("codes", "outputs"),
        mistakes={
            "not subtracting the mean": (codes + torch.tensor([2.0, 3.0]), ...),
            "not adding the mean": (codes, outputs - mean),
            "subtracting the mean from the outputs": (codes, outputs - 2 * mean),
            "the order outputs, codes": (outputs, codes),
            "returning the images, not what the code keeps of them": (codes, images),
        },
    )
    unchanged(left[0], images, "images", "pca_reconstruct")


@points(0.5, task="10.2", hint="codes (N, K) use components.T; outputs are (N, D)", hidden=True)
def test_pca_reconstructs_along_any_directions(student):
    images, mean = rand(4, 6), rand(6, seed=1)
    basis, _ = torch.linalg.qr(rand(6, 3, seed=2))
    codes = torch.einsum("nd,dk->nk", images - mean, basis)
    outputs = torch.einsum("nk,dk->nd", codes, basis) + mean
    got, left = student.probe("in_place", "pca_reconstruct", images, mean, basis.T.contiguous())
    expect(got, (codes, outputs), ("codes", "outputs"))
    unchanged(left[0], images, "images", "pca_reconstruct")


def layers(weights):
    """Return the names of the student's weights in order, the encoder's first."""
    return [n for part in ("encoder.", "decoder.") for n in weights if n.startswith(part)]


USUAL = (784, 1000, 500, 250, 30, 250, 500, 1000, 784)


def shapes_of(pairs):
    """The shapes of the weights of linear layers, (inputs, outputs) each."""
    return [shape for fan_in, fan_out in pairs for shape in ((fan_out, fan_in), (fan_out,))]


def loaded(model, sizes, seed=0):
    """Load random weights into `model`, so that it cannot choose them; return them in order."""
    state = model.state_dict()
    names, pairs = layers(state), itertools.pairwise([*sizes, *sizes[-2::-1]])
    expect([tuple(state[name].shape) for name in names], shapes_of(pairs), "the weights' shapes")
    drawn = {
        name: rand(*state[name].shape, seed=seed + i, dtype=torch.float32) - 0.5
        for i, name in enumerate(names)
    }
    model.load_state_dict(drawn)
    return [drawn[name] for name in names]


def forward(weights, inputs, between=F.silu, code=None, end=torch.sigmoid):
    """Compute the codes and outputs of the autoencoder from its weights in order.

    between, code, end: the functions between the layers, after the code and at the end.
    """
    pairs = list(zip(weights[::2], weights[1::2], strict=True))
    half, x = len(pairs) // 2, inputs.flatten(1)
    for number, (weight, bias) in enumerate(pairs, start=1):
        x = F.linear(x, weight, bias)
        if number == half:
            codes = x = code(x) if code else x
        elif number < len(pairs) and between:
            x = between(x)
    return codes, (end(x) if end else x).view_as(inputs)


@points(
    1,
    task="10.3",
    forbidden=("dlcourse.models*",),
    hint="look at print(Autoencoder((6, 5, 4, 2))): which layer is wrong?",
)
def test_autoencoder_has_its_layers(student):
    for sizes in [(6, 5, 4, 2), (784, 1000, 500, 250, 30), (7, 3)]:
        weights = student.Autoencoder(sizes).state_dict()
        names = layers(weights)
        shapes = [tuple(weights[name].shape) for name in names]
        widths = [*sizes, *sizes[-2::-1]]
        half = list(itertools.pairwise(sizes))
        expect(
            shapes,
            shapes_of(itertools.pairwise(widths)),
            "the shapes of the weights in encoder and decoder",
            mistakes={
                "a decoder with the sizes of the encoder": shapes_of(half * 2),
                "ignoring sizes": shapes_of(itertools.pairwise(USUAL)),
                "linear layers without biases": shapes_of(itertools.pairwise(widths))[::2],
                "layers that are only in a Python list: an nn.Sequential registers them": [],
            },
        )
        assert len(names) == len(weights), "expected weights only in encoder and decoder"


@points(
    1, task="10.3", hint="SiLU between the layers, but not after the code; a sigmoid at the end"
)
def test_autoencoder_computes_its_codes_and_images(student):
    model = student.Autoencoder((12, 7, 5, 3))
    weights = loaded(model, (12, 7, 5, 3))
    for batch_size in (1, 2):
        inputs = rand(batch_size, 1, 3, 4, seed=batch_size, dtype=torch.float32)
        got = (model.encode(inputs), model(inputs))
        wrong = {
            "SiLU after the code": {"code": F.silu},
            "a sigmoid after the code": {"code": torch.sigmoid},
            "leaving out the SiLU between the layers": {"between": None},
            "ReLU instead of SiLU": {"between": torch.relu},
            "leaving out the sigmoid at the end": {"end": None},
            "SiLU before the sigmoid at the end": {"end": lambda x: F.silu(x).sigmoid()},
            "tanh at the end instead of a sigmoid": {"end": torch.tanh},
        }
        expect(
            got,
            forward(weights, inputs),
            ("codes", "outputs"),
            mistakes={name: forward(weights, inputs, **more) for name, more in wrong.items()},
            call=f"model = Autoencoder((12, 7, 5, 3)); model.encode(inputs), model(inputs) with "
            f"inputs of shape {tuple(inputs.shape)}",
        )
    check_slopes(student, model, weights, inputs)


def check_slopes(student, model, weights, inputs):
    """Compare the gradient with respect to the inputs."""
    inputs.requires_grad_()
    expected = torch.autograd.grad(forward(weights, inputs)[1].sum(), inputs)[0]
    got = student.probe("gradients", model, inputs)[0]
    expect(got, expected, "the gradient with respect to the inputs")


@points(1, task="10.3", hint="build the layers from `sizes`, however many there are", hidden=True)
def test_autoencoders_of_other_sizes(student):
    for sizes, shape in [((8, 3), (2, 4)), ((18, 9, 6, 4, 2), (2, 3, 3)), ((5, 9, 4), (5,))]:
        model = student.Autoencoder(sizes)
        weights = loaded(model, sizes, seed=len(sizes))
        inputs = rand(3, *shape, dtype=torch.float32)
        codes, outputs = forward(weights, inputs)
        expect((model.encode(inputs), model(inputs)), (codes, outputs), ("codes", "outputs"))
        expect(model.decode(codes), outputs.flatten(1), "decode(codes)")
        check_slopes(student, model, weights, inputs)


@points(
    1,
    task="10.4",
    forbidden=("dlcourse.train*",),
    hint="take the sum over each image, then the mean over the images",
)
def test_losses_by_hand(student):
    outputs = torch.tensor([[0.5, 0.5, 0.8], [0.25, 1.0, 0.9]])
    targets = torch.tensor([[0.0, 1.0, 0.8], [0.75, 1.0, 0.0]])
    # The squares are (0.25, 0.25, 0) and (0.25, 0, 0.81), the absolute values (0.5, 0.5, 0) and
    # (0.5, 0, 0.9).
    lengths = (0.5**0.5 + 1.06**0.5) / 2
    for kind, total, more in (
        ("squared", 1.56, {"the length of the difference, not its square": lengths}),
        ("absolute", 2.4, {"leaving out the absolute value": 0.4 / 2}),
    ):
        other = 1.56 if kind == "absolute" else 2.4
        mistakes = more | {
            "the mean over all pixels": total / 6,
            "the sum over the images, not their mean": total,
            "dividing by the number of pixels instead of the images": total / 3,
            f"ignoring kind={kind!r}": other / 2,
            "half of the squares": total / 4,
        }
        got, left = student.probe("in_place", "reconstruction_loss", outputs, targets, kind)
        mistakes = {name: torch.tensor(value) for name, value in mistakes.items()}
        expect(got, torch.tensor(total / 2), mistakes=mistakes)
        unchanged(left[0], outputs, "outputs", "reconstruction_loss")
    expect(student.reconstruction_loss(outputs, targets), torch.tensor(0.78), "default kind")
    # Images of 1 x 2 pixels: -log 0.5 - log 0.75, then twice log 2, then 0 where both are sure.
    outputs = torch.tensor([[[0.5, 0.25]], [[0.5, 0.5]], [[0.0, 1.0]]])
    targets = torch.tensor([[[1.0, 0.0]], [[0.5, 1.0]], [[0.0, 1.0]]])
    total = torch.tensor([2.0, 4 / 3, 2.0, 2.0]).log().sum()
    expect(
        student.reconstruction_loss(outputs, targets, kind="cross_entropy"),
        total / 3,
        mistakes={
            "0 * log(0), which is not a number": torch.tensor(torch.nan),
            "the mean over all pixels": total / 6,
            "the sum over the images, not their mean": total,
            "leaving out (1 - t) log(1 - o)": torch.tensor([2.0, 2.0, 2.0**0.5]).log().sum() / 3,
            "outputs taken as logits": F.binary_cross_entropy_with_logits(outputs, targets) * 2,
        },
        atol=1e-3,
    )
    outputs = outputs.clone().requires_grad_()
    slopes = student.probe("gradients", "reconstruction_loss", outputs, targets)[0]
    expect(slopes, 2 * (outputs.detach() - targets) / 3, "the gradient with respect to outputs")
    for kind in ("absolute", "cross_entropy"):
        student.probe("gradients", "reconstruction_loss", outputs, targets, kind)


@points(1, task="10.4", hint="-t log(o) - (1 - t) log(1 - o); it is 0 if both are 0", hidden=True)
def test_losses_of_images(student):
    outputs, targets = 0.05 + 0.9 * rand(3, 1, 4, 5), rand(3, 1, 4, 5, seed=1)
    logs = targets * outputs.log() + (1 - targets) * (1 - outputs).log()
    for kind, expected in {
        "squared": F.mse_loss(outputs, targets) * 20,
        "absolute": F.l1_loss(outputs, targets) * 20,
        "cross_entropy": -logs.sum() / 3,
    }.items():
        assert_close(student.reconstruction_loss(outputs, targets, kind), expected)
    leaf = outputs.clone().requires_grad_()
    for kind, expected in {
        "squared": 2 * (outputs - targets) / 3,
        "absolute": (outputs - targets).sign() / 3,
        "cross_entropy": (outputs - targets) / (outputs * (1 - outputs)) / 3,
    }.items():
        expect(student.probe("gradients", "reconstruction_loss", leaf, targets, kind)[0], expected)
    sure = torch.tensor([[0.0, 1.0]])
    got = student.reconstruction_loss(sure, sure, kind="cross_entropy")
    assert_close(got, torch.tensor(0.0), atol=1e-3, rtol=0)


@points(0.5, task="10.5", hint="the first code is `start`, the last is `end`")
def test_line_between_two_codes(student):
    start, end = torch.tensor([1.0, -2.0, 0.0]).double(), torch.tensor([-3.0, 2.0, 0.0]).double()
    expected = [[1, -2, 0], [0, -1, 0], [-1, 0, 0], [-2, 1, 0], [-3, 2, 0]]
    expected = torch.tensor(expected).double()
    fifths = torch.arange(5).double()[:, None] / 5
    sixths = torch.arange(6).double()[:, None] / 5
    got, left = student.probe("in_place", "interpolate", start, end, 5)
    expect(
        got,
        expected,
        mistakes={
            "leaving out the end": start + fifths * (end - start),
            "one code more than `steps`": start + sixths * (end - start),
            "going from `end` to `start`": expected.flip(0),
            "start + weight * end: start needs the weight 1 - weight": start
            + torch.arange(5).double()[:, None] / 4 * end,
        },
    )
    assert got.dtype == torch.float64, f"expected the dtype of start, float64, got {got.dtype}"
    unchanged(left[0], start, "start", "interpolate")


@points(0.5, task="10.5", hint="use equal distances and the dtype of the codes", hidden=True)
def test_line_has_equal_steps(student):
    start, end = rand(5), rand(5, seed=1)
    for steps in (2, 7):
        got = student.interpolate(start, end, steps)
        expected = [start + (end - start) * i / (steps - 1) for i in range(steps)]
        assert_close(got, torch.stack(expected))


def broken_of(student, images, fraction, seed=0):
    """Return the loss for a model that halves its inputs, and the inputs that it received."""
    seen = []

    def model(broken):
        seen.append(broken)
        return broken / 2

    generator = torch.Generator().manual_seed(seed)
    loss, left = student.probe("in_place", "denoising_loss", model, images, fraction, generator)
    assert len(seen) == 1, f"expected one call of the model, got {len(seen)}"
    expect(seen[0].shape, images.shape, "the shape of the broken images")
    unchanged(left[1], images, "images", "denoising_loss")
    return loss, seen[0]


def check_gone(broken, fraction):
    """Check that each number of images of ones is 0 with probability `fraction`, independently."""
    values = sorted(set(broken.flatten().tolist()))
    assert values == [0.0, 1.0], (
        f"images of ones: expected broken ones of 0 and 1, got {values[:4]}"
    )
    gone = (broken == 0).double()
    # If each number is drawn independently, the shares of rows and columns differ a little.
    assert gone.mean(0).std() < 0.2, "the same pixels are 0 in all images: draw for each image"
    assert gone.mean(1).std() < 0.2, "whole images are 0: draw for each number"
    assert gone.mean(0).std() > 0.02 < gone.mean(1).std(), "draw for each number independently"
    assert abs(gone.mean() - fraction) < 0.03, (
        f"fraction {fraction}: expected about {fraction:.0%} of the numbers to be 0, "
        f"got {gone.mean():.1%}"
    )


@points(
    1,
    task="10.6",
    forbidden=("dlcourse.models*",),
    needs=("10.4",),
    hint="give the model broken images; compare with the whole ones",
)
def test_denoising_loss_compares_with_the_whole_images(student):
    images = 0.5 + rand(4, 1, 5, 7)
    loss, broken = broken_of(student, images, 0.4)
    assert not torch.equal(broken, images), "expected broken images as the model's inputs"
    expect(torch.where(broken == 0, images, broken), images, "the numbers that are not 0")
    gap = broken / 2 - images
    expect(
        loss,
        gap.square().sum() / 4,
        mistakes={
            "comparing with the broken images": (broken / 2).square().sum() / 4,
            "the mean over all pixels": gap.square().mean(),
            "comparing only the numbers that are left": gap[broken != 0].square().sum() / 4,
        },
    )
    images = torch.ones(60, 150)
    broken = broken_of(student, images, 0.3)[1]
    check_gone(broken, 0.3)
    again, other = (broken_of(student, images, 0.3, seed=seed)[1] for seed in (0, 1))
    assert torch.equal(broken, again), "expected the same broken images with the same generator"
    assert not torch.equal(broken, other), "expected other broken images with another generator"
    expect(broken_of(student, images, 0.0)[1], images, "fraction 0: the broken images")


@points(1, task="10.6", needs=("10.4",), hint="draw for each number; use `generator`", hidden=True)
def test_denoising_breaks_its_share(student):
    images = torch.ones(50, 200)
    for fraction in (0.2, 0.7):
        loss, broken = broken_of(student, images, fraction)
        check_gone(broken, fraction)
        expect(loss, (broken / 2 - images).square().sum() / 50)
    again = broken_of(student, images, 0.7)[1]
    assert torch.equal(broken, again), "expected the same broken images with the same generator"
    other = broken_of(student, images, 0.7, seed=1)[1]
    assert not torch.equal(broken, other), "expected other broken images with another generator"
    whole = broken_of(student, images, 0.0)[1]
    assert_close(whole, images)


@points(1, task="10.7", hint="counterclockwise: the right column becomes the top row")
def test_rotations_by_hand(student):
    images = torch.arange(1.0, 13).reshape(3, 1, 2, 2)  # (1 2, 3 4), (5 6, 7 8), (9 10, 11 12)
    first = images[:, :, [0, 0, 1, 1], [0, 1, 0, 1]].flatten(1)
    turns = [[0, 1, 2, 3], [1, 3, 0, 2], [3, 2, 1, 0], [2, 0, 3, 1]]  # of the four pixels
    parts = [first[:, order].view(3, 1, 2, 2) for order in turns]
    targets = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
    got, left = student.probe("in_place", "rotations", images)
    mirrored = [first[:, order].view(3, 1, 2, 2) for order in ([1, 0, 3, 2], [2, 3, 0, 1])]
    flipped = [first[:, order].view(3, 1, 2, 2) for order in ([0, 2, 1, 3], [3, 1, 2, 0])]
    expect(
        got,
        (torch.cat(parts), targets),
        ("inputs", "targets"),
        mistakes={
            "rotating clockwise": (torch.cat([parts[i] for i in (0, 3, 2, 1)]), ...),
            "all turns of the first image, then all of the second": (
                torch.stack(parts, 1).flatten(0, 1), ...,
            ),
            "mirroring instead of rotating": (
                torch.cat([parts[0], *mirrored, parts[2]]), ...,
            ),
            "transposing instead of rotating": (
                torch.cat([parts[0], flipped[0], parts[2], flipped[1]]), ...,
            ),
            "1, 2, 3 and 4 turns": (torch.cat([*parts[1:], parts[0]]), ...),
            "targets in the order 0 1 2 3 0 1 ...": (..., torch.arange(4).repeat(3)),
            "counting the turns from 1": (..., targets + 1),
            "targets that are not int64": (..., targets.float()),
            "degrees instead of turns": (..., 90 * targets),
        },
    )  # fmt: skip
    assert got[1].dtype == torch.int64, f"expected targets of int64, got {got[1].dtype}"
    unchanged(left[0], images, "images", "rotations")


@points(1, task="10.7", hint="first all images unrotated, then all rotated once", hidden=True)
def test_rotations_of_several_images(student):
    images = rand(3, 2, 5, 5)
    inputs, targets = student.rotations(images)
    once = images.transpose(2, 3).flip(2)
    expected = [images, once, images.flip(2, 3), images.transpose(2, 3).flip(3)]
    assert_close(inputs, torch.cat(expected))
    assert_close(targets, torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]))
