"""Tests of lab 10, with their points. `student` is the lab under test: a solution or a submission.

The oracles are eigenvectors of the covariance, forward passes computed from the weights, and hand
arithmetic.
"""

import itertools

import torch
import torch.nn.functional as F
from torch.testing import assert_close

from dlcourse.check import points


def rand(*shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def spread_out(num_images, num_pixels, seed=0):
    """Make images whose variance differs between pixels, so that all directions differ."""
    return 3 + rand(num_images, num_pixels, seed=seed) * torch.arange(1.0, num_pixels + 1)


def same_directions(components, expected):
    """Compare directions after giving each the sign of the expected one."""
    assert tuple(components.shape) == tuple(expected.shape), (
        f"expected components of shape {tuple(expected.shape)}, got {tuple(components.shape)}"
    )
    sign = (components * expected).sum(1, keepdim=True).sign()
    assert_close(components * sign, expected, atol=1e-6, rtol=1e-5)


@points(
    1,
    task="10.1",
    forbidden=("dlcourse.models*", "*_lowrank"),
    hint="subtract the mean first; each row is a direction",
)
def test_pca_by_hand(student):
    images = torch.tensor([[1.0, 2.0, 7.0], [4.0, 6.0, 7.0], [-2.0, -2.0, 7.0]])
    mean, components = student.pca(images, 1)
    assert_close(mean, torch.tensor([1.0, 2.0, 7.0]))
    same_directions(components, torch.tensor([[0.6, 0.8, 0.0]]))
    # A cross around (1, 2, 3): the variance is largest along the second pixel, then the first.
    cross = [[2.0, 2.0, 3.0], [0.0, 2.0, 3.0], [1.0, 4.0, 3.0], [1.0, 0.0, 3.0]]
    mean, components = student.pca(torch.tensor(cross), 2)
    assert_close(mean, torch.tensor([1.0, 2.0, 3.0]))
    same_directions(components, torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))


@points(
    1, task="10.1", hint="return the directions of largest variance, largest first", hidden=True
)
def test_pca_finds_the_eigenvectors_of_the_covariance(student):
    for num_images, num_pixels, latent_dim in [(50, 6, 3), (7, 12, 4), (40, 5, 5)]:
        images = spread_out(num_images, num_pixels, seed=latent_dim)
        mean, components = student.pca(images, latent_dim)
        assert_close(mean, images.mean(0))
        _, vectors = torch.linalg.eigh(images.T.cov())
        same_directions(components, vectors.T.flip(0)[:latent_dim])


@points(
    0.5,
    task="10.2",
    forbidden=("dlcourse.models*",),
    hint="compute the docstring's example by hand: 5 minus the mean 2 is 3",
)
def test_pca_reconstructs_the_example(student):
    codes, outputs = student.pca_reconstruct(
        torch.tensor([[5.0, 3.0]]), torch.tensor([2.0, 1.0]), torch.tensor([[1.0, 0.0]])
    )
    assert_close(codes, torch.tensor([[3.0]]))
    assert_close(outputs, torch.tensor([[5.0, 1.0]]))
    # Minus the mean, the images are (0, 3, 0), (3, 0, 4) and (4, 0, -3).
    codes, outputs = student.pca_reconstruct(
        torch.tensor([[1.0, 5.0, 3.0], [4.0, 2.0, 7.0], [5.0, 2.0, 0.0]]),
        torch.tensor([1.0, 2.0, 3.0]),
        torch.tensor([[0.0, 1.0, 0.0], [0.6, 0.0, 0.8]]),
    )
    assert_close(codes, torch.tensor([[3.0, 0.0], [0.0, 5.0], [0.0, 0.0]]))
    assert_close(outputs, torch.tensor([[1.0, 5.0, 3.0], [4.0, 2.0, 7.0], [1.0, 2.0, 3.0]]))


@points(0.5, task="10.2", hint="codes (N, K) use components.T; outputs are (N, D)", hidden=True)
def test_pca_reconstructs_along_any_directions(student):
    images, mean = rand(4, 6), rand(6, seed=1)
    basis, _ = torch.linalg.qr(rand(6, 3, seed=2))
    codes, outputs = student.pca_reconstruct(images, mean, basis.T.contiguous())
    assert_close(codes, torch.einsum("nd,dk->nk", images - mean, basis))
    assert_close(outputs, torch.einsum("nk,dk->nd", codes, basis) + mean)


def layers(weights):
    """Return the names of the student's weights in order, the encoder's first."""
    return [n for part in ("encoder.", "decoder.") for n in weights if n.startswith(part)]


def expected_shapes(sizes):
    widths = [*sizes, *sizes[-2::-1]]
    pairs = itertools.pairwise(widths)
    return [shape for fan_in, fan_out in pairs for shape in ((fan_out, fan_in), (fan_out,))]


def loaded(model, seed=0):
    """Load random weights into `model`, so that it cannot choose them; return them in order."""
    state = model.state_dict()
    names = layers(state)
    drawn = {
        name: rand(*state[name].shape, seed=seed + i, dtype=torch.float32) - 0.5
        for i, name in enumerate(names)
    }
    model.load_state_dict(drawn)
    return [drawn[name] for name in names]


def forward(weights, inputs):
    """Compute the codes and outputs of the autoencoder from its weights in order."""
    pairs = list(zip(weights[::2], weights[1::2], strict=True))
    half, x = len(pairs) // 2, inputs.flatten(1)
    for number, (weight, bias) in enumerate(pairs, start=1):
        x = F.linear(x, weight, bias)
        if number == half:
            codes = x
        elif number < len(pairs):
            x = x * x.sigmoid()
    return codes, x.sigmoid().view_as(inputs)


@points(
    1,
    task="10.3",
    forbidden=("dlcourse.models*",),
    hint="look at print(Autoencoder((6, 5, 4, 2))): which layer is wrong?",
)
def test_autoencoder_has_its_layers(student):
    for sizes in [(6, 5, 4, 2), (784, 1000, 500, 250, 30)]:
        weights = student.Autoencoder(sizes).state_dict()
        names = layers(weights)
        assert [tuple(weights[name].shape) for name in names] == expected_shapes(sizes)
        assert len(names) == len(weights), "expected weights only in encoder and decoder"


@points(
    1, task="10.3", hint="SiLU between the layers, but not after the code; a sigmoid at the end"
)
def test_autoencoder_computes_its_codes_and_images(student):
    model = student.Autoencoder((12, 7, 5, 3))
    weights = loaded(model)
    for batch_size in (1, 2):
        inputs = rand(batch_size, 1, 3, 4, seed=batch_size, dtype=torch.float32)
        codes, outputs = forward(weights, inputs)
        assert_close(model.encode(inputs), codes)
        assert_close(model(inputs), outputs)
        assert_close(model.decode(codes), outputs.flatten(1))


def bumps(num_images):
    """Draw a bright spot anywhere: two numbers describe it, but not linearly. (N, 1, 8, 8)."""
    y, x = rand(2, num_images, 1, 1, dtype=torch.float32) * 5 + 1
    axis = torch.arange(8.0)
    distance = (axis.view(1, 8, 1) - y).square() + (axis.view(1, 1, 8) - x).square()
    return (-distance / 3).exp().unsqueeze(1)


@points(
    1,
    task="10.3",
    needs=("10.4",),
    hint="a trained autoencoder has a much lower error than PCA: are all layers registered?",
    hidden=True,
)
def test_trained_autoencoder_is_far_below_pca(student):
    images = bumps(256)
    model = student.Autoencoder((64, 64, 32, 2))
    weights = loaded(model)
    batches = [(part, torch.zeros(32)) for part in images.split(32)]
    student.train(model, batches, student.squared, epochs=60, lr=3e-3)
    state = model.state_dict()
    weights = [state[name] for name in layers(state)]
    error = (forward(weights, images)[1] - images).square().sum() / 256
    dropped = torch.linalg.eigvalsh(images.flatten(1).T.cov(correction=0))[:-2].sum()
    assert error < 0.5 * dropped, (
        f"expected less than half of PCA's squared error, {dropped:.2f}, got {error:.2f}"
    )


@points(
    1,
    task="10.4",
    forbidden=("dlcourse.train*",),
    hint="take the sum over each image, then the mean over the images",
)
def test_losses_by_hand(student):
    outputs = torch.tensor([[0.5, 0.5, 0.8], [0.25, 1.0, 0.5]])
    targets = torch.tensor([[0.0, 1.0, 0.8], [0.75, 1.0, 0.0]])
    assert_close(student.reconstruction_loss(outputs, targets), torch.tensor(0.5))
    # (0.25 + 0.25 + 0) and (0.25 + 0 + 0.25): 0.5 each; absolute: 1 each
    assert_close(student.reconstruction_loss(outputs, targets, "squared"), torch.tensor(0.5))
    assert_close(student.reconstruction_loss(outputs, targets, "absolute"), torch.tensor(1.0))
    # Images of 2 x 1 pixels: -log 0.5 - log 0.75, then twice log 2, then 0 where both are sure.
    outputs = torch.tensor([[[0.5], [0.25]], [[0.5], [0.5]], [[0.0], [1.0]]])
    targets = torch.tensor([[[1.0], [0.0]], [[0.5], [1.0]], [[0.0], [1.0]]])
    expected = torch.tensor([2.0, 4 / 3, 2.0, 2.0]).log().sum() / 3
    got = student.reconstruction_loss(outputs, targets, kind="cross_entropy")
    assert_close(got, expected, atol=1e-3, rtol=0)


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
    sure = torch.tensor([[0.0, 1.0]])
    got = student.reconstruction_loss(sure, sure, kind="cross_entropy")
    assert_close(got, torch.tensor(0.0), atol=1e-3, rtol=0)


@points(0.5, task="10.5", hint="the first code is `start`, the last is `end`")
def test_line_between_two_codes(student):
    got = student.interpolate(torch.tensor([0.0, 4.0]), torch.tensor([1.0, 0.0]), 3)
    assert_close(got, torch.tensor([[0.0, 4.0], [0.5, 2.0], [1.0, 0.0]]))
    start, end = torch.tensor([1.0, -2.0, 0.0]).double(), torch.tensor([-3.0, 2.0, 0.0]).double()
    expected = [[1, -2, 0], [0, -1, 0], [-1, 0, 0], [-2, 1, 0], [-3, 2, 0]]
    assert_close(student.interpolate(start, end, 5), torch.tensor(expected).double())


@points(0.5, task="10.5", hint="use equal distances and the dtype of the codes", hidden=True)
def test_line_has_equal_steps(student):
    start, end = rand(5), rand(5, seed=1)
    for steps in (2, 7):
        got = student.interpolate(start, end, steps)
        expected = [start + (end - start) * i / (steps - 1) for i in range(steps)]
        assert_close(got, torch.stack(expected))


def broken_of(student, images, fraction, seed=0, **more):
    """Return the loss for a model that halves its inputs, and the inputs that it received."""
    seen = []

    def model(broken):
        seen.append(broken)
        return broken / 2

    generator = torch.Generator().manual_seed(seed)
    loss = student.denoising_loss(model, images, fraction, generator, **more)
    assert len(seen) == 1, f"expected one call of the model, got {len(seen)}"
    return loss, seen[0]


@points(
    1,
    task="10.6",
    forbidden=("dlcourse.models*",),
    needs=("10.4",),
    hint="give the model broken images; compare with the whole ones",
)
def test_denoising_loss_compares_with_the_whole_images(student):
    images = 0.5 + rand(4, 1, 6, 6)
    loss, broken = broken_of(student, images.clone(), 0.5)
    assert tuple(broken.shape) == (4, 1, 6, 6)
    assert_close(torch.where(broken == 0, images, broken), images)
    assert_close(loss, (broken / 2 - images).square().sum() / 4)
    all_gone = student.denoising_loss(lambda broken: broken, images, 1.0)
    assert_close(all_gone, images.square().sum() / 4)
    images = torch.ones(60, 150)
    broken = broken_of(student, images.clone(), 0.3)[1]
    gone = (broken == 0).double()
    assert abs(gone.mean() - 0.3) < 0.03, (
        f"fraction 0.3: expected about 30% of the numbers to be 0, got {gone.mean():.1%}"
    )
    assert gone.mean(0).std() > 0.02 < gone.mean(1).std(), "draw for each number independently"
    again, other = (broken_of(student, images.clone(), 0.3, seed=seed)[1] for seed in (0, 1))
    assert torch.equal(broken, again), "expected the same broken images with the same generator"
    assert not torch.equal(broken, other), "expected other broken images with another generator"
    assert_close(broken_of(student, images.clone(), 0.0)[1], images)


@points(1, task="10.6", needs=("10.4",), hint="draw for each number; use `generator`", hidden=True)
def test_denoising_breaks_its_share(student):
    images = torch.ones(50, 200)
    for fraction in (0.2, 0.7):
        loss, broken = broken_of(student, images, fraction)
        gone = (broken == 0).double()
        assert abs(gone.mean() - fraction) < 0.03, (
            f"expected about {fraction:.0%} of the numbers to be 0, got {gone.mean():.1%}"
        )
        # If each number is drawn independently, the fractions of rows and columns differ a little.
        assert gone.mean(0).std() > 0.04
        assert gone.mean(1).std() > 0.015
        assert_close(loss, (broken / 2 - images).square().sum() / 50)
    again = broken_of(student, images, 0.7)[1]
    assert torch.equal(broken, again), "expected the same broken images with the same generator"
    other = broken_of(student, images, 0.7, seed=1)[1]
    assert not torch.equal(broken, other), "expected other broken images with another generator"
    whole = broken_of(student, images, 0.0)[1]
    assert_close(whole, images)


@points(1, task="10.7", hint="counterclockwise: the right column becomes the top row")
def test_rotations_of_the_example(student):
    inputs, targets = student.rotations(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    turned = [[[1, 2], [3, 4]], [[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]]]
    assert_close(inputs, torch.tensor(turned, dtype=torch.float32)[:, None])
    assert_close(targets, torch.tensor([0, 1, 2, 3]))
    images = torch.arange(8.0).reshape(2, 1, 2, 2)
    inputs, targets = student.rotations(images)
    assert_close(targets, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]))
    assert_close(inputs[:2], images)
    assert_close(inputs[3, 0], torch.tensor([[5.0, 7.0], [4.0, 6.0]]))  # the second image
    assert_close(inputs[6, 0], torch.tensor([[2.0, 0.0], [3.0, 1.0]]))  # the first image


@points(1, task="10.7", hint="first all images unrotated, then all rotated once", hidden=True)
def test_rotations_of_several_images(student):
    images = rand(3, 2, 5, 5)
    inputs, targets = student.rotations(images)
    once = images.transpose(2, 3).flip(2)
    expected = [images, once, images.flip(2, 3), images.transpose(2, 3).flip(3)]
    assert_close(inputs, torch.cat(expected))
    assert_close(targets, torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]))
