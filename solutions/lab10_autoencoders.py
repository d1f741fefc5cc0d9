# %% [markdown]
"""Lab 10: autoencoders.

How few numbers can describe a handwritten digit, and can we find these numbers without labels?

You write principal component analysis and the deep autoencoder that is better (Hinton &
Salakhutdinov 2006), the losses that determine how its images are blurred, a denoising autoencoder,
and a task whose targets come from the images themselves. Labels are used only for the last table.

Lecture sections: Autoencoder: data encoding; Autoencoder (AE); Self-supervision.

    dlcourse check lab10               check your answers (takes seconds)
    dlcourse check lab10 --task 10.3   check one task
    dlcourse run lab10 --tiny          run the whole experiment on 540 images (takes seconds)
    dlcourse run lab10                 use 7,200 images (a few minutes on a laptop)
    dlcourse run lab10 --full          use all images: the error falls below a quarter of PCA's

A recorded run of the solution (`dlcourse run lab10`, real MNIST, on a processor):

    data: MNIST from datasets/MNIST/raw; 7,200 training images without labels

    squared error, numbers in the code         2       4       8      16      30
    PCA                                    43.21   37.29   29.30   21.09   13.96
    deep autoencoder                       36.84   27.97   18.53   13.11    9.62

    30 numbers: squared error              published    measured
    PCA                                        13.87       13.96
    784-1000-500-250-30                         3.00        7.20

    4 numbers, trained on      squared    absolute        gray
    squared                      29.34       70.54       25.1%
    absolute                     48.32       68.52        6.7%
    cross_entropy                28.62       69.12       25.5%

    half of the pixels missing; trained on             squared
    nothing                                              43.73
    whole images                                         40.30
    broken images                                        18.34

    squared error                             digits       noise
    784-784, no bottleneck                     10.19      260.30
    784-30                                     38.11      229.42

    linear classifier, 200 labels, on                    right
    pixels                                               61.7%
    convolutions, untrained                              74.4%
    convolutions trained on rotations                    84.5%
    codes of the deep autoencoder                        71.9%
    figures: results/lab10

Over 3 seeds (mean, standard deviation, how many seeds agree):

    2 numbers: deep autoencoder against PCA               36.95 (0.27) < 43.21           3 of 3
    4 numbers: deep autoencoder against PCA               27.73 (0.31) < 37.29           3 of 3
    8 numbers: deep autoencoder against PCA               18.68 (0.19) < 29.30           3 of 3
    16 numbers: deep autoencoder against PCA              13.05 (0.14) < 21.09           3 of 3
    30 numbers: deep autoencoder against PCA               9.71 (0.15) < 13.96           3 of 3
    deep with 16 numbers against PCA with 30              13.05 (0.14) < 13.96           3 of 3
    30 numbers: 784-1000-500-250-30 against PCA            7.09 (0.11) < 13.96           3 of 3
    gray pixels: absolute error against squared error      6.2% (0.5%) < 25.0% (0.2%)    3 of 3
    repairing: trained on broken against whole images     18.26 (0.07) < 40.38 (0.18)    3 of 3
    noise, 784 numbers: error, that of plain gray          260.2 (0.3) > 65.3            3 of 3
    200 labels: trained on rotations against untrained    84.6% (0.9%) > 70.9% (3.3%)    3 of 3
    PCA: largest mean of a code                              5.827e-07 < 0.001           exact
    PCA: largest correlation of two codes                    2.641e-07 < 0.01            exact
    PCA: error of the mean image                              1.07e-07 < 0.001           exact
    parameters of the deep autoencoder                       2,837,314 = 2,837,314       exact
    smallest number in a code: has no SiLU                      -2.237 < -0.5            exact
    squared, gray for black                                        196 = 196             exact
    absolute, gray for black                                       392 = 392             exact
    cross_entropy, gray for black                                543.4 = 543.4           exact
    interpolation: middle and end are off by                         0 < 1e-05           exact
    all 784 ones removed: error of the rest                        784 = 784             exact
    turned once: wrong pixels in the first row                       0 = 0               exact
The figures in results/lab10:

    codes: Test images by their code of two numbers, PCA's and the autoencoder's; a color for each
      digit.
    denoising: Half of the pixels are missing: what networks make of it that were trained on whole
      or on broken images.
    interpolation: Images on the way from one digit to another: mixed as pixels, and as codes.
    losses: With 4 numbers, the absolute error gives few gray pixels and the squared error gives
      many.
    map: What the decoder draws for each place in the plane of codes of two numbers.
    numbers: The squared error by how many numbers the code has: the deep autoencoder is below PCA
      at each of them.
    reconstructions: Test images, and what is left of them after codes of 2, 8 and 30 numbers.
"""

# %%
from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, plots
from dlcourse.errors import UsageError
from dlcourse.findings import Findings

# %% [markdown]
# ## 1. The best linear code
# An autoencoder has an encoder f from image to code and a decoder g from code to image, such that
# g(f(x)) is close to x. If both are linear, the best code is known: the coordinates along the
# directions in which the images vary most.
#
# None of your functions may change the tensors that it gets.


# %%
def pca(images: Tensor, latent_dim: int) -> tuple[Tensor, Tensor]:
    """Return the mean image and the `latent_dim` directions of largest variance, largest first.

    The directions are orthonormal rows. The sign of each direction does not matter.
    Shape: images (N, D) -> mean (D,), components (latent_dim, D).

    >>> mean, components = pca(torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]]), 1)
    >>> mean, components.abs()
    (tensor([2., 1.]), tensor([[1., 0.]]))
    """
    if latent_dim > min(images.shape):
        raise UsageError(f"latent_dim must be at most {min(images.shape)}, got {latent_dim}")
    # Task 10.1 (2 points). Hint: subtract the mean. torch.linalg.svd(..., full_matrices=False)
    # gives U, S, Vh; the rows of Vh are the directions in the right order.
    # BEGIN SOLUTION
    mean = images.mean(dim=0)
    _, _, directions = torch.linalg.svd(images - mean, full_matrices=False)
    return mean, directions[:latent_dim]
    # END SOLUTION


# %%
def pca_reconstruct(images: Tensor, mean: Tensor, components: Tensor) -> tuple[Tensor, Tensor]:
    """Return the codes of the images, and the images that the decoder makes from the codes.

    Shape: images (N, D), mean (D,), components (K, D) -> codes (N, K), outputs (N, D).

    >>> pca_reconstruct(torch.tensor([[5.0, 3.0]]), torch.tensor([2.0, 1.0]),
    ...                 torch.tensor([[1.0, 0.0]]))
    (tensor([[3.]]), tensor([[5., 1.]]))
    """
    # Task 10.2 (1 point). Hint: subtract the mean, then multiply by components.T to encode.
    # Multiply by components to decode, then add the mean.
    # BEGIN SOLUTION
    codes = (images - mean) @ components.T
    return codes, codes @ components + mean
    # END SOLUTION


# %% [markdown]
# ## 2. The deep autoencoder
# With nonlinear layers between image and code, the code can follow curved structures in the data.
# The encoder of the paper is 784-1000-500-250-30, and the decoder has the same sizes backward: 784
# pixels must pass through 30 numbers.


# %%
def draw_weights(layer: nn.Module) -> None:
    """Draw the weights of He et al. 2015; with torch's smaller ones, training hardly starts."""
    if isinstance(layer, nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)


class Autoencoder(nn.Module):
    """Linear layers from `sizes[0]` pixels down to a code of `sizes[-1]` numbers, and back.

    self.encoder and self.decoder are nn.Sequential. Encoder: nn.Linear from each size to the next,
    with nn.SiLU between them (x * sigmoid(x), a smooth ReLU), but not after the code. Decoder: the
    same sizes backward, with nn.SiLU between them and nn.Sigmoid at the end, since pixels lie in
    [0, 1].

    Shape: inputs (N, *) with sizes[0] numbers for each image -> the same shape.

    >>> Autoencoder((784, 100, 2))(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 1, 28, 28])
    """

    def __init__(self, sizes: Sequence[int] = (784, 1000, 500, 250, 30)) -> None:
        super().__init__()
        # Task 10.3 (3 points). Hint: write a loop over zip(sizes, sizes[1:]) that appends
        # nn.Linear and nn.SiLU to a list. Remove the last SiLU. Use it for sizes and sizes[::-1].
        # BEGIN SOLUTION
        self.encoder, self.decoder = nn.Sequential(), nn.Sequential()
        for net, widths in ((self.encoder, sizes), (self.decoder, sizes[::-1])):
            for fan_in, fan_out in itertools.pairwise(widths):
                net.extend([nn.Linear(fan_in, fan_out), nn.SiLU()])
            net.pop(-1)
        self.decoder.append(nn.Sigmoid())
        # END SOLUTION
        self.apply(draw_weights)

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the codes. Shape: (N, *) -> (N, sizes[-1])."""
        # Task 10.3, continued. Hint: use flatten(1).
        # BEGIN SOLUTION
        return self.encoder(inputs.flatten(1))
        # END SOLUTION

    def decode(self, codes: Tensor) -> Tensor:
        """Return the flat images for codes. Shape: (N, sizes[-1]) -> (N, sizes[0])."""
        return self.decoder(codes)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.decode(self.encode(inputs)).view_as(inputs)


# %% [markdown]
# ## 3. The loss determines how images are blurred
# If two images have the same code, the decoder must give one answer for both. For the squared error
# the best answer is their mean, which is gray. For the absolute error it is the median, which is
# black or white. Cross-entropy treats each pixel as the probability of ink.


# %%
def reconstruction_loss(outputs: Tensor, targets: Tensor, kind: str = "squared") -> Tensor:
    """Return the error of the outputs: the sum over each image, then the mean over the images.

    kind: "squared" sums (o - t)^2; "absolute" sums |o - t|; "cross_entropy" sums
    -t log(o) - (1 - t) log(1 - o), for outputs and targets in [0, 1].
    Shape: outputs and targets (N, *) -> a tensor of shape ().

    >>> outputs, targets = torch.tensor([[0.5, 0.5], [0.0, 1.0]]), torch.tensor([[0.0, 1.0]] * 2)
    >>> reconstruction_loss(outputs, targets)  # (0.25 + 0.25 + 0 + 0) / 2 images
    tensor(0.2500)
    """
    # Task 10.4 (2 points). Hint: F.binary_cross_entropy gives the third one and is finite also if
    # o is exactly 0 or 1. By default it takes the mean over all pixels, which is not wanted here.
    # BEGIN SOLUTION
    if kind == "squared":
        errors = (outputs - targets).square()
    elif kind == "absolute":
        errors = (outputs - targets).abs()
    else:
        errors = F.binary_cross_entropy(outputs, targets, reduction="none")
    return errors.sum() / len(targets)
    # END SOLUTION


# %% [markdown]
# ## 4. Training without labels
# The training loop is that of the labs before, but the targets are the images themselves.


# %%
def train(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    loss: Callable[[nn.Module, Tensor], Tensor],
    epochs: int,
    lr: float = 3e-3,
) -> None:
    """Minimize loss(model, images) by Adam; the learning rate rises to `lr`, then falls to 0."""
    optimizer = torch.optim.Adam(model.parameters(), lr)
    steps = epochs * len(batches) + 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps, cycle_momentum=False)
    model.train()
    for _ in range(epochs):
        for images, _ in batches:
            value = loss(model, images)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()
    model.eval()


# %% [markdown]
# ## 5. From one digit to another
# A code can be changed by hand. The codes on the straight line between two digits give images that
# nobody has drawn.


# %%
def interpolate(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Return `steps` codes at equal distances on the line from `start` to `end`, both included.

    Shape: start (K,), end (K,), steps at least 2 -> (steps, K), with the dtype of `start`.

    >>> interpolate(torch.tensor([0.0, 4.0]), torch.tensor([1.0, 0.0]), 3)
    tensor([[0.0000, 4.0000],
            [0.5000, 2.0000],
            [1.0000, 0.0000]])
    """
    # Task 10.5 (1 point). Hint: use torch.linspace(0, 1, steps) as a column.
    # BEGIN SOLUTION
    weights = torch.linspace(0, 1, steps).to(start)[:, None]
    return (1 - weights) * start + weights * end
    # END SOLUTION


# %% [markdown]
# ## 6. Denoising
# If the code is wide, the network can simply copy the image: the error is 0, but the code is
# useless. So remove some pixels of the input and ask for the whole image. Only a network that knows
# what digits look like can fill in the missing pixels (Vincent et al. 2008).


# %%
def denoising_loss(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    fraction: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the squared reconstruction_loss between model(broken images) and the whole images.

    In the broken images each number is 0 with probability `fraction`, independently, drawn with
    `generator`; the other numbers are unchanged. Do not change `images` itself.
    Shape: images (N, *) -> ().

    >>> denoising_loss(lambda broken: broken, torch.ones(1, 10), fraction=1.0)
    tensor(10.)
    """
    # Task 10.6 (2 points). Hint: a number of torch.rand(images.shape, generator=generator) is less
    # than `fraction` with probability `fraction`.
    # BEGIN SOLUTION
    keep = torch.rand(images.shape, generator=generator) >= fraction
    return reconstruction_loss(model(images * keep.to(images.device)), images)
    # END SOLUTION


# %% [markdown]
# ## 7. Labels that cost nothing
# Self-supervision: hide something that you know about the image, and train a network to find it.
# Here the network must say by how many quarter turns an image was rotated. For that it must know
# how upright digits look (Gidaris et al. 2018).


# %%
def rotations(images: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate each image counterclockwise by 0, 1, 2 and 3 quarter turns; return images and turns.

    The order is: first all images without rotation, then all rotated once, and so on.
    Shape: images (N, C, H, H) -> inputs (4 N, C, H, H), targets int64 (4 N,).

    >>> inputs, targets = rotations(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    >>> inputs[1], targets
    (tensor([[[2., 4.],
             [1., 3.]]]), tensor([0, 1, 2, 3]))
    """
    # Task 10.7 (2 points). Hint: use torch.rot90(images, k, dims=(2, 3)) and repeat_interleave.
    # BEGIN SOLUTION
    inputs = torch.cat([images.rot90(turns, (2, 3)) for turns in range(4)])
    return inputs, torch.arange(4, device=images.device).repeat_interleave(len(images))
    # END SOLUTION


# %% [markdown]
# ## 8. The experiment
# All errors are measured on test images, which are never used for training.
#
# **Predict before you run it.** PCA needs 30 numbers for an error of about 14. How many numbers
# does a deep autoencoder need for the same error? What does an autoencoder with a code of 784
# numbers do with an image of pure noise?
#
# *Your prediction:*


# %%
def squared(model: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return reconstruction_loss(model(images), images)


@torch.inference_mode()
def run(model: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return model(images), computed in parts."""
    return torch.cat([model(part) for part in images.split(1000)])


NUMBERS = (2, 4, 8, 16, 30)  # lengths of the code


def compare_codes(
    batches: data.Batches, test: Tensor, epochs: int, findings: Findings
) -> tuple[dict[str, Callable], dict[str, list[float]]]:
    """Compare PCA and autoencoders by length of the code; return the models and their errors."""
    images = batches.images[batches.indices.to(batches.device)].flatten(1) / 255
    mean, directions = pca(images, 30)
    nets, errors = {}, {"PCA": [], "deep autoencoder": []}

    def linear(kept: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda x: pca_reconstruct(x.flatten(1), mean, kept)[1].view_as(x)

    def error_of(model: Callable[[Tensor], Tensor]) -> float:
        return reconstruction_loss(run(model, test), test).item()

    print(f"\n{'squared error, numbers in the code':<36}" + "".join(f"{n:>8}" for n in NUMBERS))
    for latent_dim in NUMBERS:
        nets[f"PCA {latent_dim}"] = linear(directions[:latent_dim])
        deep = Autoencoder((784, 400, 100, latent_dim)).to(test.device)
        train(deep, batches, squared, epochs)
        nets[f"deep {latent_dim}"] = deep
        errors["PCA"].append(error_of(nets[f"PCA {latent_dim}"]))
        errors["deep autoencoder"].append(error_of(deep))
    for name, row in errors.items():
        print(f"{name:<36}" + "".join(f"{error:>8.2f}" for error in row))
    for latent_dim, flat, curved in zip(NUMBERS, *errors.values(), strict=True):
        text = f"{latent_dim} numbers: deep autoencoder against PCA"
        findings.claim(text, curved, "<", flat, ".2f", task="10.3")
    text = "deep with 16 numbers against PCA with 30"
    findings.claim(text, errors["deep autoencoder"][3], "<", errors["PCA"][4], ".2f")

    print(f"\n{'30 numbers: squared error':<36}{'published':>12}{'measured':>12}")
    print(f"{'PCA':<36}{'13.87':>12}{errors['PCA'][-1]:>12.2f}")
    name = "784-1000-500-250-30"
    nets[name] = Autoencoder().to(test.device)
    train(nets[name], batches, squared, epochs)
    print(f"{name:<36}{'3.00':>12}{error_of(nets[name]):>12.2f}", flush=True)
    text = f"30 numbers: {name} against PCA"
    findings.claim(text, error_of(nets[name]), "<", errors["PCA"][-1], ".2f", task="10.3")
    return nets, errors


def copy_noise(batches: data.Batches, test: Tensor, epochs: int, findings: Findings) -> None:
    """Remove the bottleneck: is noise copied as well as a digit, with a code of 784 numbers?"""
    noise = torch.rand_like(test[:500])
    print(f"\n{'squared error':<36}{'digits':>12}{'noise':>12}")
    errors = {}
    for name, sizes in (("784-784, no bottleneck", (784, 784)), ("784-30", (784, 30))):
        net = Autoencoder(sizes).to(test.device)
        train(net, batches, squared, epochs)
        errors[name] = [squared(net, images).item() for images in (test[:500], noise)]
        print(f"{name:<36}{errors[name][0]:>12.2f}{errors[name][1]:>12.2f}", flush=True)
    # A pixel of the noise is uniform in [0, 1], so plain gray has the error 784 / 12.
    free = errors["784-784, no bottleneck"][1]
    findings.claim("noise, 784 numbers: error, that of plain gray", free, ">", 784 / 12, ".1f")


def compare_losses(
    batches: data.Batches, test: Tensor, epochs: int, findings: Findings
) -> list[Tensor]:
    """Train one network with three losses; return the outputs for the first test images."""
    print(f"\n{'4 numbers, trained on':<22}{'squared':>12}{'absolute':>12}{'gray':>12}")
    shown, grays = [], []
    for kind in ("squared", "absolute", "cross_entropy"):
        net = Autoencoder((784, 256, 64, 4)).to(test.device)
        train(net, batches, lambda m, x, kind=kind: reconstruction_loss(m(x), x, kind), epochs)
        outputs = run(net, test)
        errors = [reconstruction_loss(outputs, test, k).item() for k in ("squared", "absolute")]
        gray = (
            ((outputs > 0.1) & (outputs < 0.9)).float().mean().item()
        )  # neither background nor ink
        print(f"{kind:<22}{errors[0]:>12.2f}{errors[1]:>12.2f}{gray:>12.1%}")
        shown.append(outputs[:8])
        grays.append(gray)
    text = "gray pixels: absolute error against squared error"
    findings.claim(text, grays[1], "<", grays[0], ".1%", task="10.4")
    return shown


def denoise(batches: data.Batches, test: Tensor, epochs: int, findings: Findings) -> list[Tensor]:
    """Compare training on whole and on broken images; return some images of each kind."""
    broken = test * (torch.rand_like(test) >= 0.5)
    shown, errors = [test[:8], broken[:8]], {"nothing": reconstruction_loss(broken, test).item()}
    for name, fraction in (("whole images", 0.0), ("broken images", 0.5)):
        net = Autoencoder((784, 500, 100)).to(test.device)
        train(net, batches, lambda m, x, f=fraction: denoising_loss(m, x, f), epochs)
        repaired = run(net, broken)
        errors[name] = reconstruction_loss(repaired, test).item()
        shown.append(repaired[:8])
    print(f"\n{'half of the pixels missing; trained on':<46}{'squared':>12}")
    print("\n".join(f"{name:<46}{error:>12.2f}" for name, error in errors.items()))
    text = "repairing: trained on broken against whole images"
    findings.claim(text, errors["broken images"], "<", errors["whole images"], ".2f", task="10.6")
    return shown


def self_supervise(batches: data.Batches, epochs: int) -> tuple[nn.Module, nn.Module]:
    """Return untrained convolutions, and the same ones trained to recognize rotations."""

    def convolutions() -> nn.Sequential:  # (N, 1, 28, 28) -> (N, 288)
        convs = nn.Conv2d(1, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU()
        return nn.Sequential(*convs, nn.AdaptiveMaxPool2d(3), nn.Flatten()).to(batches.device)

    def turn_loss(model: nn.Module, images: Tensor) -> Tensor:
        inputs, targets = rotations(images)
        return F.cross_entropy(model(inputs), targets)

    turned = convolutions()
    train(nn.Sequential(turned, nn.Linear(288, 4).to(batches.device)), batches, turn_loss, epochs)
    return convolutions(), turned


def linear_accuracy(encode: Callable, mnist: data.ImageData, chosen: Tensor, device: str) -> float:
    """Return the accuracy of a least-squares classifier on codes, with the labels of `chosen`."""
    images = mnist.train_images[chosen], mnist.test_images[:2000]
    known, unseen = (run(encode, part.to(device) / 255).cpu() for part in images)
    known, unseen = ((codes - known.mean(0)) / known.std() for codes in (known, unseen))
    targets = F.one_hot(mnist.train_labels[chosen], 10) - 0.1
    ridge = known.T @ known + 20 * torch.eye(known.shape[1])
    scores = unseen @ torch.linalg.solve(ridge, known.T @ targets)
    return (scores.argmax(1) == mnist.test_labels[:2000]).float().mean().item()


def draw(
    nets: dict[str, Callable],
    errors: dict[str, list[float]],
    test: Tensor,
    labels: Tensor,
    out: Path,
) -> None:
    """Draw errors, reconstructions, the plane of 2-number codes, and a path from digit to digit."""
    plots.curves(
        errors,
        out / "numbers.png",
        x=NUMBERS,
        title="How few numbers describe a digit?",
        xlabel="numbers in the code",
        ylabel="squared error of a test image",
        xticks=NUMBERS,
    )
    rows = {
        "test images": test[:8],
        **{name: run(nets[name], test[:8]) for name in ("PCA 2", "deep 2", "PCA 8", "deep 8")},
        **{name: run(nets[name], test[:8]) for name in ("PCA 30", "784-1000-500-250-30")},
    }
    images = torch.cat([*rows.values()])
    plots.mosaic(images, 8, out / "reconstructions.png", "From so many numbers", list(rows))
    flat, deep = nets["deep 2"], nets["784-1000-500-250-30"]
    codes = run(flat.encode, test)
    plots.code_scatter(codes, labels, "0123456789", out / "codes.png")
    side = codes.quantile(torch.linspace(0.03, 0.97, 15).to(codes), dim=0)  # (15, 2)
    plane = torch.cartesian_prod(side[:, 1].flip(0), side[:, 0]).flip(1)  # (225, 2), top row first
    images = run(flat.decode, plane).view(-1, 28, 28)
    plots.mosaic(images, 15, out / "map.png", "The plane of 2-number codes, decoded")
    codes = run(deep.encode, test[:5])
    walk = torch.cat([interpolate(a, b, 8) for a, b in itertools.pairwise(codes)])
    images = run(deep.decode, walk).view(-1, 28, 28)
    plots.mosaic(images, 8, out / "interpolation.png", "From digit to digit in code space")


def check_pieces(images: Tensor, net: Autoencoder, findings: Findings) -> None:
    """Compare what your functions compute with what is known without them.

    images: float32 (N, 1, 28, 28). net: a trained one for such images.
    """
    claim = functools.partial(findings.claim, form=".4g", exact=True)
    flat, decided = images.flatten(1), "10.1 or 10.2"
    codes, outputs = pca_reconstruct(flat, *pca(flat, 4))
    claim("PCA: largest mean of a code", codes.mean(0).abs().max().item(), "<", 1e-3, task=decided)
    related = (torch.corrcoef(codes.T) - torch.eye(4).to(codes)).abs().max().item()
    claim("PCA: largest correlation of two codes", related, "<", 1e-2, task=decided)
    away = (outputs - flat).mean(0).abs().max().item()
    claim("PCA: error of the mean image", away, "<", 1e-3, task=decided)
    sizes = (784, 1000, 500, 250, 30, 250, 500, 1000, 784)
    known = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
    count = sum(weight.numel() for weight in Autoencoder().parameters())
    claim("parameters of the deep autoencoder", count, "=", known, form=",.0f", task="10.3")
    lowest = run(net.encode, images).min().item()  # SiLU is never below -0.28
    claim("smallest number in a code: has no SiLU", lowest, "<", -0.5, task="10.3")
    gray, black = torch.full((2, 784), 0.5), torch.zeros(2, 784)
    for kind, pixel in (("squared", 1 / 4), ("absolute", 1 / 2), ("cross_entropy", math.log(2))):
        loss = round(reconstruction_loss(gray, black, kind).item(), 2)
        claim(f"{kind}, gray for black", loss, "=", round(784 * pixel, 2), task="10.4")
    line = interpolate(flat[0], flat[1], 5)
    apart = (line[-1] - flat[1]).abs().max() + (line[2] - (flat[0] + flat[1]) / 2).abs().max()
    claim("interpolation: middle and end are off by", apart.item(), "<", 1e-5, task="10.5")
    loss = round(denoising_loss(lambda broken: broken, torch.ones(2, 784), 1.0).item(), 2)
    claim("all 784 ones removed: error of the rest", loss, "=", 784, task="10.4 or 10.6")
    turned = rotations(images)[0][len(images) : 2 * len(images)]
    wrong = turned[:, :, 0].ne(images[..., -1]).sum().item()
    claim("turned once: wrong pixels in the first row", wrong, "=", 0, task="10.7")


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab10", __doc__, argv, epochs=6, full_epochs=15)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    limit = 600 if args.tiny else None if args.full else 8_000
    batches, _, _ = mnist.batches(
        batch_size=100, seed=args.seed, device=args.device, limit=limit, normalize="none"
    )
    print(f"data: {mnist.source}; {batches.num_samples:,} training images without labels")
    test = mnist.test_images[:limit].to(args.device) / 255
    shorter, findings = max(1, args.epochs // 2), args.findings
    nets, errors = compare_codes(batches, test, args.epochs, findings)
    blurred = compare_losses(batches, test, args.epochs, findings)
    repaired = denoise(batches, test, shorter, findings)
    copy_noise(batches, test, shorter, findings)

    untrained, turned = self_supervise(batches, shorter)
    encoders = {
        "pixels": nn.Flatten(),
        "convolutions, untrained": untrained,
        "convolutions trained on rotations": turned,
        "codes of the deep autoencoder": nets["784-1000-500-250-30"].encode,
    }
    print(f"\n{'linear classifier, 200 labels, on':<46}{'right':>12}")
    rights = {}
    for name, encode in encoders.items():
        rights[name] = linear_accuracy(encode, mnist, batches.indices[:200].cpu(), args.device)
        print(f"{name:<46}{rights[name]:>12.1%}")
    turned, before = rights["convolutions trained on rotations"], rights["convolutions, untrained"]
    text = "200 labels: trained on rotations against untrained"
    findings.claim(text, turned, ">", before, ".1%", task="10.7")
    check_pieces(test[:500], nets["784-1000-500-250-30"], findings)
    if args.plot:
        draw(nets, errors, test, mnist.test_labels[:limit], args.out)
        rows = ["test images", "squared error", "absolute error", "cross-entropy"]
        images = torch.cat([test[:8], *blurred])
        plots.mosaic(images, 8, args.out / "losses.png", "4 numbers, trained on", rows)
        rows = ["whole", "broken", "trained on whole images", "trained on broken images"]
        plots.mosaic(torch.cat(repaired), 8, args.out / "denoising.png", "Repairing", rows)
        print(f"figures: {args.out}")
    findings.report()


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** An autoencoder with a code of 784 numbers has room to copy every pixel. Has it learned to
# copy, and how do you know?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Not here. A copy would return noise without an error, but its error on noise is larger than that
# of plain gray. The loss was measured on digits only, so gradient descent found a solution that
# works for digits. Still, nothing but the training prevents copying: the longer it lasts and the
# more different the images are, the closer to a copy it gets, and then the code says nothing about
# the images. A narrow code, missing pixels (task 10.6) or a penalty on the code prevent it.
# </details>
#
# **2.** Decode a random code. Why is the result often not a digit, and what would have to change?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The loss does not require the codes to fill the space. Between the clusters of digits the decoder
# was never trained, so its output can be anything there. A variational autoencoder adds a term that
# pulls the codes toward one known distribution. A GAN (lab 11) starts from a known distribution.
# </details>
#
# ## What you have seen
# At every length of the code, a deep autoencoder describes digits better than PCA, and with half as
# many numbers it is still better than PCA with 30. The loss decides what happens to what the code
# cannot hold: the squared error makes it gray, the absolute error decides for black or white. A
# network repairs images only if it was trained on broken ones. And a task without labels, such as
# recognizing rotations, can make a few labels go further.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab10` asks seven questions with four choices each, and explains the answers.
# BEGIN QUIZ
# Q: Which code of k numbers can be decoded linearly with the smallest squared error?
# + The coordinates along the k directions of largest variance, after subtracting the mean. | This
#     is principal component analysis.
# - The k brightest pixels. | Other pixels may vary more, and directions may combine many pixels.
# - The class probabilities of a classifier. | They help to tell classes apart, not to restore
#     pixels.
# - k random projections. | They keep a share of the variance, but not the largest one.
# Q: An autoencoder has only linear layers and a code of 30 numbers. What can it reach at best?
# + The error of PCA with 30 components. | A composition of linear maps is linear, and PCA is the
#     best linear code.
# - A lower error than PCA, because it has more parameters. | More parameters of a linear map do not
#     leave the linear maps.
# - Error 0. | This needs as many numbers as the images have independent directions.
# - A higher error than PCA in each case. | Training can come as close to PCA as one likes.
# Q: Why is an autoencoder useless if its code is as wide as the image and nothing else is required?
# + It can copy each pixel: the error is 0 and nothing about the images is learned. | A narrow code,
#     noise, or a penalty prevents copying.
# - It cannot be trained. | It can, and reaches a small error easily.
# - Its loss is not differentiable. | The width of the code does not change the loss.
# - Its code is always random. | It may be the image itself.
# Q: What is the target when a denoising autoencoder sees an image with missing pixels?
# + The whole image, without the noise. | The network has to learn how pixels depend on each other.
# - The image with the missing pixels. | Then copying would be the best answer.
# - The noise alone. | This is another method; here the output is the image.
# - The class of the digit. | No labels are used.
# Q: Trained on the squared error, an autoencoder with 4 numbers draws blurred digits. Why?
# + Where several images are possible, the mean of their pixels has the smallest squared error. |
#     The mean of sharp edges at different places is a gray area.
# - The convolutions smooth the image. | The blur also appears with linear layers only.
# - The learning rate is too large. | A smaller rate does not remove it.
# - The squared error prefers dark images. | It prefers the mean, bright or dark.
# Q: A network is trained to tell by which angle, 0, 90, 180 or 270 degrees, an image was turned.
#     Why can this help to classify digits?
# + To tell the angle, its features must respond to strokes and shapes, and labels are not needed. |
#     The targets come from the images themselves.
# - Digits are rotated in the test set. | They are not; the angles are only a task for learning.
# - It has seen the labels during rotation. | No label is used.
# - It makes the images smaller. | Turning keeps the number of pixels.
# Q: Why is it not enough to decode a random code if you want a new digit?
# + The decoder was trained only near the codes of real images, and these do not fill the space. | A
#     variational autoencoder or a GAN uses a known distribution of codes.
# - A decoder works only together with its encoder. | It is a function of the code alone.
# - Random codes always give the mean image. | They may give anything.
# - Random numbers are not differentiable. | Decoding needs no gradient.
# END QUIZ
