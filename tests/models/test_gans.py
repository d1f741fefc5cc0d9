"""GAN losses against their formulas, training against the two steps taken by hand, GLO."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from dlcourse.data import Batches
from dlcourse.errors import NonFiniteLossError, UnknownNameError, UsageError
from dlcourse.models.dcgan import DCGAN
from dlcourse.models.gan import MLPGAN
from dlcourse.models.glo import GLO
from dlcourse.train import laplacian_loss
from dlcourse.train.gan import GENERATOR_LOSSES, coverage, discriminator_loss, fit_gan

BOTH = [lambda: MLPGAN(hidden_sizes=(32,)), lambda: DCGAN(width=4, latent_dim=8)]


def num_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def batches(num_images=12, batch_size=4, size=28, value=None):
    images = torch.randint(256, (num_images, 1, size, size), dtype=torch.uint8)
    if value is not None:
        images.fill_(value)
    labels = torch.zeros(num_images, dtype=torch.int64)
    return Batches(images, labels, batch_size, normalize=lambda inputs: inputs / 255)


def test_losses_are_the_papers_formulas():
    real, fake = torch.randn(5).double(), torch.randn(7).double()
    d_real, d_fake = 1 / (1 + (-real).exp()), 1 / (1 + (-fake).exp())
    value = d_real.log().mean() + (1 - d_fake).log().mean()
    assert_close(discriminator_loss(real, fake), -value)
    assert_close(GENERATOR_LOSSES["minimax"](fake), (1 - d_fake).log().mean())
    assert_close(GENERATOR_LOSSES["non_saturating"](fake), -d_fake.log().mean())


def test_the_generators_gradient_vanishes_under_minimax_where_the_discriminator_is_sure():
    for name, slope in [("minimax", lambda d: -d), ("non_saturating", lambda d: d - 1)]:
        fake = torch.tensor([-20.0, -1.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)
        GENERATOR_LOSSES[name](fake).backward()
        assert_close(fake.grad, slope(fake.detach().sigmoid()) / 4)


@pytest.mark.parametrize("logit", [1e4, -1e4])
def test_losses_hold_for_extreme_logits(logit):
    logits = torch.tensor([logit], requires_grad=True)
    losses = {
        "real": discriminator_loss(logits, torch.tensor([-1e4])),
        "fake": discriminator_loss(torch.tensor([1e4]), logits),
        "minimax": GENERATOR_LOSSES["minimax"](logits),
        "non_saturating": GENERATOR_LOSSES["non_saturating"](logits),
    }
    right = logit > 0
    assert {name: loss.item() for name, loss in losses.items()} == {
        "real": 0.0 if right else 1e4,
        "fake": 1e4 if right else 0.0,
        "minimax": -1e4 if right else 0.0,
        "non_saturating": 0.0 if right else 1e4,
    }
    for loss in losses.values():
        assert torch.autograd.grad(loss, logits)[0].isfinite().all()


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("batch_size", [1, 2])
def test_gans_make_images_and_judge_them(make, batch_size):
    gan = make()
    images = gan(gan.draw_latents(batch_size))
    assert images.shape == (batch_size, 1, 28, 28)
    assert 0 <= images.min() <= images.max() <= 1
    logits = gan.discriminate(images)
    assert logits.shape == (batch_size,)
    (discriminator_loss(logits, logits) + logits.sum()).backward()
    grads = [parameter.grad for parameter in gan.parameters()]
    assert all(grad.isfinite().all() for grad in grads)
    assert all(grad.any() for grad in grads[-2:])


@pytest.mark.parametrize(
    ("image_size", "channels", "generator_widths", "smallest"),
    [(28, 1, [8, 4, 1], 7), (32, 3, [16, 8, 4, 3], 4), (64, 3, [32, 16, 8, 4, 3], 4)],
)
def test_dcgan_has_a_stage_for_each_doubling(image_size, channels, generator_widths, smallest):
    gan = DCGAN(image_size, channels, latent_dim=5, width=4)
    convs = [m for m in gan.generator if isinstance(m, nn.ConvTranspose2d)]
    assert [conv.out_channels for conv in convs] == generator_widths
    assert convs[0].kernel_size == (smallest, smallest)
    convs = [m for m in gan.discriminator if isinstance(m, nn.Conv2d)]
    assert [conv.in_channels for conv in convs] == generator_widths[::-1]
    assert gan.discriminate(gan(gan.draw_latents(2))).shape == (2,)


def test_dcgan_for_28x28_counts_as_by_hand():
    gan = DCGAN(latent_dim=64, width=32)
    generator = 64 * 64 * 49 + 2 * 64 + 64 * 32 * 16 + 2 * 32 + 32 * 16 + 1
    discriminator = 32 * 16 + 32 + 32 * 64 * 16 + 2 * 64 + 64 * 49 + 1
    assert num_parameters(gan.generator) == generator
    assert num_parameters(gan.discriminator) == discriminator


def test_dcgan_draws_its_weights_as_the_paper_does():
    gan = DCGAN(width=64)
    for layer in gan.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.weight.numel() > 5000:
            assert 0.019 < layer.weight.std() < 0.021
        if isinstance(layer, nn.BatchNorm2d):
            assert 0.98 < layer.weight.mean() < 1.02


def test_samples_are_those_of_eval_mode_and_of_their_generator():
    gan = DCGAN(width=4)
    first, second = (gan.sample(5, torch.Generator().manual_seed(3)) for _ in range(2))
    in_parts = gan.sample(5, torch.Generator().manual_seed(3), batch_size=2)
    assert torch.equal(first, second)
    assert_close(first, in_parts)
    assert gan.training
    assert not first.requires_grad


@pytest.mark.parametrize("loss", GENERATOR_LOSSES)
def test_fit_gan_takes_the_two_steps_with_no_gradient_in_the_other_net(loss):
    gan = MLPGAN((1, 4, 4), latent_dim=3, hidden_sizes=(6,))
    by_hand = copy.deepcopy(gan)
    train = batches(8, 4, size=4)
    images = [inputs.clone() for inputs, _ in train]
    fit_gan(gan, train, epochs=1, lr=0.01, loss=loss, seed=5, device="cpu", progress=False)

    torch.manual_seed(5)
    d_params = list(by_hand.discriminator.parameters())
    g_params = list(by_hand.generator.parameters())
    d_adam = torch.optim.Adam(d_params, 0.01, (0.5, 0.999))
    g_adam = torch.optim.Adam(g_params, 0.01, (0.5, 0.999))
    for step, batch in enumerate(images):
        for adam in (d_adam, g_adam):
            adam.param_groups[0]["lr"] = 0.01 * (1 - step / 2)
        fakes = by_hand.generator(torch.randn(4, 3))
        real, fake = by_hand.discriminator(batch), by_hand.discriminator(fakes)
        value = -F.logsigmoid(real).mean() - F.logsigmoid(-fake).mean()
        grads = torch.autograd.grad(value, d_params, retain_graph=True)
        for parameter, grad in zip(d_params, grads, strict=True):
            parameter.grad = grad
        d_adam.step()
        fake = by_hand.discriminator(fakes)
        value = F.logsigmoid(-fake).mean() if loss == "minimax" else -F.logsigmoid(fake).mean()
        for parameter, grad in zip(g_params, torch.autograd.grad(value, g_params), strict=True):
            parameter.grad = grad
        g_adam.step()
    assert_close(dict(gan.named_parameters()), dict(by_hand.named_parameters()))


def test_a_gan_learns_the_brightness_of_its_images():
    torch.manual_seed(0)
    gan = MLPGAN((1, 4, 4), latent_dim=2, hidden_sizes=(16,))
    fit_gan(gan, batches(64, 16, size=4, value=217), epochs=40, lr=5e-3, device="cpu")
    assert (gan.sample(50) - 217 / 255).abs().mean() < 0.15


def test_fit_gan_keeps_the_weights_of_the_best_score():
    gan = MLPGAN((1, 4, 4), hidden_sizes=(4,))
    seen = []

    def score(gan):
        seen.append(copy.deepcopy(gan.state_dict()))
        return [0.1, 0.7, 0.3][len(seen) - 1]

    history = fit_gan(gan, batches(size=4), epochs=3, score=score, device="cpu")
    assert history.best_epoch == 2
    assert history["val_score"] == [0.1, 0.7, 0.3]
    assert_close(gan.state_dict(), seen[1])


def test_a_score_that_is_always_nan_is_an_error_and_the_last_weights_stay():
    gan = MLPGAN((1, 4, 4), hidden_sizes=(4,))
    seen = []

    def score(gan):
        seen.append(copy.deepcopy(gan.state_dict()))
        return math.nan

    with pytest.raises(NonFiniteLossError, match="the score is nan after every epoch") as caught:
        fit_gan(gan, batches(size=4), epochs=2, score=score, device="cpu")
    assert len(caught.value.history) == 2
    assert_close(gan.state_dict(), seen[1])


def test_a_score_may_be_a_tensor():
    history = fit_gan(
        MLPGAN((1, 4, 4)), batches(size=4), epochs=1, score=lambda gan: torch.tensor(0.5),
        device="cpu",
    )  # fmt: skip
    assert type(history["val_score"][0]) is float


def test_a_frozen_layer_of_a_discriminator_stays_as_it_is():
    gan = MLPGAN((1, 4, 4), hidden_sizes=(4,))
    frozen, trained = gan.discriminator[1], gan.discriminator[3]
    frozen.requires_grad_(False)
    before = frozen.weight.clone(), trained.weight.clone()
    fit_gan(gan, batches(size=4), epochs=2, device="cpu")
    assert torch.equal(frozen.weight, before[0])
    assert not torch.equal(trained.weight, before[1])
    assert not frozen.weight.requires_grad


def test_a_gan_whose_loss_is_nan_is_stopped_with_its_best_weights():
    gan = MLPGAN((1, 4, 4), hidden_sizes=(4,))
    train = batches(12, 4, size=4)
    after = []

    def poison(gan):
        after.append(copy.deepcopy(gan.state_dict()))
        if len(after) == 2:
            factors = iter([1 / 255, math.nan, math.nan])
            train.normalize = lambda inputs: inputs * next(factors)
        return 0.0

    with pytest.raises(NonFiniteLossError) as caught:
        fit_gan(gan, train, epochs=5, score=poison, device="cpu")
    assert str(caught.value) == (
        "the discriminator's loss is nan at step 2 of epoch 3; try a smaller lr; "
        "the best weights so far are kept"
    )
    assert_close(gan.state_dict(), after[0])
    assert len(caught.value.history) == 2
    assert caught.value.history.stopped == str(caught.value)


def test_without_a_score_the_last_whole_epoch_is_the_best():
    gan = MLPGAN((1, 4, 4), hidden_sizes=(4,))
    before = copy.deepcopy(gan.state_dict())
    train = batches(12, 4, size=4)
    factors = iter([1 / 255, math.nan, math.nan])
    train.normalize = lambda inputs: inputs * next(factors)
    with pytest.raises(NonFiniteLossError, match="loss is nan at step 2 of epoch 1;"):
        fit_gan(gan, train, epochs=2, device="cpu")
    assert_close(gan.state_dict(), before)
    train.normalize = lambda inputs: inputs / 255
    assert fit_gan(gan, train, epochs=2, device="cpu").best_epoch == 2


class Table(nn.Module):
    """A classifier whose logits are the first three pixels."""

    def forward(self, images):
        return images.flatten(1)[:, :3]


def test_coverage_is_the_share_of_each_class_and_the_mean_of_the_highest_probability():
    logits = torch.tensor([[4.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 9.0], [2.0, 1.0, 0.0]])
    images = torch.zeros(4, 1, 2, 2)
    images.view(4, 4)[:, :3] = logits
    shares, confidence = coverage(Table(), images, batch_size=3)
    assert shares.tolist() == [0.5, 0.25, 0.25]
    by_hand = [
        math.exp(4) / (math.exp(4) + 2),
        math.e / (math.e + 2),
        math.exp(9) / (math.exp(9) + 2),
        math.exp(2) / (math.exp(2) + math.e + 1),
    ]
    assert confidence == pytest.approx(sum(by_hand) / 4)
    with pytest.raises(UsageError, match="there is no image to judge"):
        coverage(Table(), images[:0])


@pytest.mark.parametrize("make", [*BOTH, lambda: GLO(num_images=4, width=4)])
def test_generators_survive_save_and_load(make, tmp_path):
    model, again = make(), make()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    samples = [m.sample(3, torch.Generator().manual_seed(0)) for m in (model, again)]
    assert torch.equal(*samples)


def test_glo_projects_onto_the_ball_only_what_left_it():
    glo = GLO(num_images=3, latent_dim=2, width=2)
    assert_close(glo.latents.norm(dim=1), torch.ones(3))
    glo.latents.data = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    glo.project()
    assert_close(glo.latents.data, torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))


@pytest.mark.parametrize("num_images", [5, 400])
def test_glo_draws_from_the_gaussian_of_its_latents(num_images):
    glo = GLO(num_images=num_images, latent_dim=3, width=2)
    glo.generator = nn.Identity()
    glo.latents.data = 0.1 * torch.randn(num_images, 3) * torch.tensor([1.0, 2.0, 0.5]) + 0.2
    drawn = glo.sample(20_000, torch.Generator().manual_seed(0))
    assert_close(drawn.mean(0), glo.latents.data.mean(0), atol=0.01, rtol=0)
    assert_close(drawn.T.cov(), glo.latents.data.T.cov(correction=0), atol=2e-3, rtol=0.05)


def test_glo_makes_each_image_from_its_own_latent_and_overfits():
    torch.manual_seed(0)
    targets = F.interpolate(torch.rand(8, 1, 4, 4), (28, 28), mode="bilinear")
    glo = GLO(num_images=8, latent_dim=8, width=4)
    adam = torch.optim.Adam(glo.parameters(), 0.01)
    for _ in range(30):
        loss = laplacian_loss(glo(torch.arange(8)), targets)
        adam.zero_grad()
        loss.backward()
        adam.step()
        glo.project()
    # The mean image is the best that one image for all could do.
    assert loss < 0.5 * laplacian_loss(targets.mean(0).expand_as(targets), targets)
    assert glo.latents.norm(dim=1).max() <= 1 + 1e-6
    others = glo.latents.grad.clone()
    glo.zero_grad()
    laplacian_loss(glo.eval()(torch.tensor([3])), targets[3:4]).backward()
    touched = glo.latents.grad.abs().sum(1) > 0
    assert touched.nonzero().flatten().tolist() == [3]
    assert others.abs().sum(1).all()


def pyramid(image, levels):
    """The Laplacian pyramid of an image (H, W), pixel by pixel."""
    weights, found = [1, 4, 6, 4, 1], []
    for _ in range(levels - 1):
        H, W = image.shape
        small = torch.zeros((H + 1) // 2, (W + 1) // 2, dtype=image.dtype)
        for i in range(0, H, 2):
            for j in range(0, W, 2):
                for u, v in [(u, v) for u in range(5) for v in range(5)]:
                    y, x = min(max(i + u - 2, 0), H - 1), min(max(j + v - 2, 0), W - 1)
                    small[i // 2, j // 2] += weights[u] * weights[v] / 256 * image[y, x]
        large = F.interpolate(small[None, None], (H, W), mode="bilinear")[0, 0]
        found.append(image - large)
        image = small
    return [*found, image]


def test_laplacian_loss_is_the_weighted_difference_of_two_pyramids():
    outputs, targets = torch.rand(2, 1, 9, 8).double(), torch.rand(2, 1, 9, 8).double()
    expected = sum(
        4**level * (a - b).abs().sum() / 2
        for output, target in zip(outputs, targets, strict=True)
        for level, (a, b) in enumerate(
            zip(pyramid(output[0], 3), pyramid(target[0], 3), strict=True)
        )
    )
    assert_close(laplacian_loss(outputs, targets), expected)
    color = [tensor.expand(2, 3, 9, 8) for tensor in (outputs, targets)]
    assert_close(laplacian_loss(*color), 3 * expected)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: DCGAN(image_size=30), UsageError, "image_size must be 28, 32 or 64, got 30"),
        (lambda: DCGAN(width=0), UsageError, "width must be at least 1, got 0"),
        (
            lambda: MLPGAN(latent_dim=0),
            UsageError,
            "image_shape must be (channels, height, width) and latent_dim a number, each at "
            "least 1, got (1, 28, 28) and 0",
        ),
        (
            lambda: MLPGAN(hidden_sizes=(3, -1)),
            UsageError,
            "hidden_sizes must be at least 1 each, got (3, -1)",
        ),
        (
            lambda: DCGAN(width=2)(torch.zeros(3, 100)),
            UsageError,
            "latents must have the shape (N, 64), got (3, 100)",
        ),
        (
            lambda: DCGAN(width=2).discriminate(torch.zeros(3, 1, 32, 32)),
            UsageError,
            "images must have the shape (N, 1, 28, 28), got (3, 1, 32, 32)",
        ),
        (lambda: GLO(image_size=16), UsageError, "image_size must be 28, 32 or 64, got 16"),
        (
            lambda: GLO(num_images=0),
            UsageError,
            "num_images, channels, latent_dim and width must be at least 1, got 0, 1, 32 and 32",
        ),
        (
            lambda: fit_gan(MLPGAN(), batches(), epochs=0),
            UsageError,
            "epochs must be at least 1, got 0",
        ),
        (
            lambda: fit_gan(MLPGAN(), batches(), loss="nonsaturating"),
            UnknownNameError,
            "unknown generator loss 'nonsaturating'; did you mean 'non_saturating'? "
            "(minimax, non_saturating)",
        ),
        (
            lambda: fit_gan(MLPGAN(), []),
            UsageError,
            "train holds no batch: is batch_size larger than the data?",
        ),
        (
            lambda: fit_gan(MLPGAN(), batches(size=32), device="cpu"),
            UsageError,
            "images must have the shape (N, 1, 28, 28), got (4, 1, 32, 32)",
        ),
        (
            lambda: fit_gan(MLPGAN(), [(2 * torch.ones(4, 1, 28, 28), torch.zeros(4))]),
            UsageError,
            "fit_gan needs images in [0, 1], as the generator makes them; train has pixels from 2 "
            "to 2; use batches(normalize='none')",
        ),
    ],
)
def test_impossible_gans_are_refused(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.cuda
def test_gans_train_on_cuda():
    gan = DCGAN(width=4)
    fit_gan(gan, batches(), epochs=1, device="cuda")
    assert gan.sample(2).is_cuda
