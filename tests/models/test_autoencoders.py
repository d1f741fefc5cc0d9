"""PCA against numpy's decomposition, autoencoders against their forwards written out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from dlcourse.data import Batches
from dlcourse.errors import UsageError
from dlcourse.models.autoencoder import DeepAutoencoder
from dlcourse.models.conv_autoencoder import ConvAutoencoder
from dlcourse.models.denoising_autoencoder import DenoisingAutoencoder, mask_pixels
from dlcourse.models.pca import PCA
from dlcourse.train import Reconstruction, fit, squared_error

TRAINED = [DeepAutoencoder, ConvAutoencoder, DenoisingAutoencoder]


def num_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def rand(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def strokes(num_images, size=28):
    """Smooth images (N, 1, size, size) in [0, 1] with few degrees of freedom, as digits have."""
    coarse = rand(num_images, 1, 4, 4).float()
    return F.interpolate(coarse, (size, size), mode="bilinear")


@pytest.mark.parametrize("num_images", [9, 200])  # fewer and more images than pixels
def test_pca_is_numpys_decomposition(num_images):
    images = rand(num_images, 2, 3, 4)
    pca = PCA((2, 3, 4), latent_dim=5).double().fit(images)
    data = images.flatten(1).numpy()
    variances, directions = np.linalg.eigh(np.cov(data, rowvar=False))
    assert_close(pca.mean, torch.from_numpy(data.mean(0)))
    assert_close(pca.variances, torch.from_numpy(variances[::-1][:5].copy()))
    overlap = np.abs(pca.components.numpy() @ directions[:, ::-1][:, :5])
    np.testing.assert_allclose(overlap, np.eye(5), atol=1e-9)
    assert (pca.components.gather(1, pca.components.abs().argmax(1, True)) > 0).all()


def test_pca_leaves_the_variance_of_the_directions_it_drops_and_no_basis_leaves_less():
    images = rand(300, 1, 4, 6) * torch.linspace(1, 3, 24, dtype=torch.float64).view(4, 6)
    pca = PCA((1, 4, 6), latent_dim=7).double().fit(images)
    error = squared_error(pca(images), images)
    centered = images.flatten(1) - images.flatten(1).mean(0)
    dropped = torch.linalg.eigvalsh(centered.T @ centered / 300)[:-7].sum()
    assert_close(error, dropped)
    for _ in range(20):
        basis, _ = torch.linalg.qr(pca.components.T + 0.01 * torch.randn(24, 7).double())
        other = (centered - centered @ basis @ basis.T).square().sum() / 300
        assert other > error


def test_pca_codes_are_orthonormal_coordinates():
    images = rand(50, 1, 4, 4)
    pca = PCA((1, 4, 4), latent_dim=6).double().fit(images)
    assert_close(pca.components @ pca.components.T, torch.eye(6, dtype=torch.float64))
    codes = pca.encode(images)
    assert_close(codes.T.cov(), torch.diag(pca.variances), atol=1e-12, rtol=0)
    assert_close(pca.encode(pca.decode(codes)), codes)


def test_pca_with_as_many_numbers_as_pixels_loses_nothing():
    images = rand(40, 1, 3, 3)
    pca = PCA((1, 3, 3), latent_dim=9).double().fit(images)
    assert_close(pca(images), images)


def test_pca_in_float32_keeps_its_digits():
    images = rand(2000, 1, 8, 8)
    exact, single = PCA((1, 8, 8), 5).double().fit(images), PCA((1, 8, 8), 5).fit(images.float())
    assert_close(single(images.float()).double(), exact(images), atol=1e-4, rtol=0)


def test_deep_autoencoder_has_the_papers_layers():
    model = DeepAutoencoder()
    sizes = [784, 1000, 500, 250, 30, 250, 500, 1000, 784]
    assert [tuple(w.shape) for w in model.parameters() if w.dim() == 2] == [
        (sizes[i + 1], sizes[i]) for i in range(8)
    ]
    assert num_parameters(model) == 2_837_314


def test_deep_autoencoder_is_silu_inside_linear_at_the_code_and_logistic_at_the_pixels():
    model = DeepAutoencoder((2, 3, 3), hidden_sizes=(7, 5), latent_dim=4).double()
    inputs = rand(3, 2, 3, 3)
    w = list(model.parameters())

    def silu(x):
        return x / (1 + (-x).exp())

    h = silu(inputs.flatten(1) @ w[0].T + w[1])
    codes = silu(h @ w[2].T + w[3]) @ w[4].T + w[5]
    h = silu(silu(codes @ w[6].T + w[7]) @ w[8].T + w[9])
    assert_close(model.encode(inputs), codes)
    assert_close(model(inputs), torch.sigmoid(h @ w[10].T + w[11]).reshape(3, 2, 3, 3))


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32)])
def test_conv_autoencoder_is_two_strided_convolutions_each_way(channels, size):
    model = ConvAutoencoder((channels, size, size), width=3, latent_dim=5).double()
    inputs = rand(2, channels, size, size)
    w = list(model.parameters())
    x = F.conv2d(inputs, w[0], w[1], stride=2, padding=1).relu()
    x = F.conv2d(x, w[2], w[3], stride=2, padding=1).relu()
    codes = F.linear(x.flatten(1), w[4], w[5])
    assert_close(model.encode(inputs), codes)
    x = F.linear(codes, w[6], w[7]).relu().reshape(2, 6, size // 4, size // 4)
    x = F.conv_transpose2d(x, w[8], w[9], stride=2, padding=1).relu()
    x = F.conv_transpose2d(x, w[10], w[11], stride=2, padding=1).sigmoid()
    assert_close(model(inputs), x)


def test_denoising_autoencoder_ties_its_weights():
    model = DenoisingAutoencoder((1, 4, 4), latent_dim=20).double().eval()
    assert num_parameters(model) == 16 * 20 + 20 + 16
    inputs = rand(3, 1, 4, 4)
    bias_out, weight, bias_in = model.parameters()
    codes = torch.sigmoid(inputs.flatten(1) @ weight.T + bias_in)
    expected = torch.sigmoid(codes @ weight + bias_out).reshape(3, 1, 4, 4)
    assert_close(model(inputs), expected)


def test_denoising_autoencoder_masks_in_training_only():
    model = DenoisingAutoencoder(mask_fraction=0.5)
    inputs = strokes(4)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


def test_masking_drops_its_share_of_pixels_and_leaves_the_others():
    masked = mask_pixels(torch.full((1, 1, 100, 100), 2.0), 0.3)
    assert set(masked.unique().tolist()) == {0.0, 2.0}
    assert 0.27 < (masked == 0).float().mean() < 0.33
    assert torch.equal(mask_pixels(masked, 0.0), masked)


@pytest.mark.parametrize("model", TRAINED)
@pytest.mark.parametrize("batch_size", [1, 2])
def test_small_batches_keep_their_shape_and_range_and_give_finite_gradients(model, batch_size):
    autoencoder = model()
    wide = strokes(2 * batch_size)
    inputs = wide[::2]  # not contiguous where there are two
    outputs = autoencoder(inputs)
    assert outputs.shape == inputs.shape
    assert 0 <= outputs.min() <= outputs.max() <= 1
    squared_error(outputs, inputs).backward()
    grads = [parameter.grad for parameter in autoencoder.parameters()]
    assert all(grad.isfinite().all() and grad.any() for grad in grads)


@pytest.mark.parametrize(
    "autoencoder",
    [
        DeepAutoencoder((1, 12, 12), hidden_sizes=(100, 50)),
        ConvAutoencoder((1, 12, 12), width=8),
        DenoisingAutoencoder((1, 12, 12), latent_dim=200, mask_fraction=0.1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_autoencoders_overfit_32_images_through_fit_and_survive_save_and_load(
    autoencoder, tmp_path
):
    images = (strokes(32, size=12) * 255).byte()
    train = Batches(images, torch.zeros(32).long(), 16, shuffle=True, normalize=lambda x: x / 255)
    inputs = images / 255
    history = fit(
        autoencoder,
        Reconstruction(train),
        epochs=60,
        lr=3e-3,
        loss=squared_error,
        device="cpu",
    )
    autoencoder.eval()
    spread = squared_error(inputs.mean(0).expand_as(inputs), inputs)
    assert squared_error(autoencoder(inputs), inputs) < 0.25 * spread
    assert history["train_loss"][-1] < 0.5 * history["train_loss"][0]
    assert history.config["batch_size"] == 16
    torch.save(autoencoder.state_dict(), tmp_path / "weights.pt")
    state = torch.load(tmp_path / "weights.pt", weights_only=True)
    expected = autoencoder(inputs)
    for parameter in autoencoder.parameters():
        torch.nn.init.zeros_(parameter)
    autoencoder.load_state_dict(state)
    assert torch.equal(autoencoder(inputs), expected)


def test_a_fitted_pca_survives_save_and_load(tmp_path):
    images = strokes(20)
    pca = PCA(latent_dim=3).fit(images)
    torch.save(pca.state_dict(), tmp_path / "pca.pt")
    again = PCA(latent_dim=3)
    again.load_state_dict(torch.load(tmp_path / "pca.pt", weights_only=True))
    assert torch.equal(again(images), pca(images))


def test_reconstruction_gives_each_image_as_its_own_target():
    batches = Batches((strokes(5) * 255).byte(), torch.arange(5), 2, seed=7)
    own = Reconstruction(batches)
    assert len(own) == 3
    assert own.seed == 7
    for inputs, targets in own:
        assert torch.equal(inputs, targets)


def test_squared_error_sums_over_an_image_and_averages_over_images():
    outputs = torch.tensor([[[1.0, 2.0]], [[0.0, 3.0]]])
    assert squared_error(outputs, torch.zeros(2, 1, 2)).item() == (1 + 4 + 9) / 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: PCA(latent_dim=785),
            "latent_dim must be from 1 to 784, the numbers in an image of shape (1, 28, 28), "
            "got 785",
        ),
        (
            lambda: DeepAutoencoder((1, 2, 2), (8,), latent_dim=5),
            "latent_dim must be from 1 to 4, the numbers in an image of shape (1, 2, 2), got 5",
        ),
        (
            lambda: ConvAutoencoder(latent_dim=0),
            "latent_dim must be from 1 to 784, the numbers in an image of shape (1, 28, 28), got 0",
        ),
        (
            lambda: DeepAutoencoder(hidden_sizes=(10, 0)),
            "hidden_sizes must be at least 1 each, got (10, 0)",
        ),
        (
            lambda: PCA((28, 28)),
            "image_shape must be (channels, height, width), each at least 1, got (28, 28)",
        ),
        (lambda: ConvAutoencoder(width=0), "width must be at least 1, got 0"),
        (
            lambda: ConvAutoencoder((1, 30, 28)),
            "height and width must be multiples of 4, got 30x28",
        ),
        (
            lambda: DenoisingAutoencoder(mask_fraction=1.0),
            "mask_fraction must be at least 0 and below 1, got 1.0",
        ),
        (
            lambda: ConvAutoencoder()(torch.zeros(2, 3, 32, 32)),
            "inputs must have the shape (N, 1, 28, 28), got (2, 3, 32, 32)",
        ),
        (
            lambda: DeepAutoencoder()(torch.zeros(2, 784)),
            "inputs must have the shape (N, 1, 28, 28), got (2, 784)",
        ),
        (
            lambda: DeepAutoencoder().decode(torch.zeros(2, 31)),
            "codes must have the shape (N, 30), got (2, 31)",
        ),
        (
            lambda: PCA().fit(torch.zeros(30, 1, 28, 28)),
            "PCA to 30 numbers needs more than 30 images, got 30",
        ),
    ],
)
def test_impossible_autoencoders_are_refused(make, message):
    with pytest.raises(UsageError) as caught:
        make()
    assert str(caught.value) == message


def test_a_denoising_code_may_be_wider_than_the_data():
    assert DenoisingAutoencoder((1, 2, 2), latent_dim=9).encode(torch.zeros(1, 1, 2, 2)).shape == (
        1,
        9,
    )


@pytest.mark.cuda
@pytest.mark.parametrize("model", TRAINED)
def test_autoencoders_run_on_cuda(model):
    autoencoder = model().cuda()
    inputs = strokes(2).cuda()
    squared_error(autoencoder(inputs), inputs).backward()
    assert PCA(latent_dim=1).cuda().fit(inputs)(inputs).is_cuda
