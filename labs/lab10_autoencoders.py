# %% [markdown]
"""Lab 10: autoencoders.

How few numbers hold a handwritten digit, and can they be found without a single label?

You write principal component analysis, the deep autoencoder that beats it (Hinton & Salakhutdinov
2006), the losses that decide how it blurs, a denoising autoencoder, and a task that the images set
themselves. Labels are used only to judge, in the last table.

Lectures: C and K (autoencoders), J (learning without labels).

    dlcourse check lab10               what is right so far, in seconds
    dlcourse check lab10 --task 10.3   one task
    dlcourse run lab10 --tiny          the whole experiment on 2,000 images, in seconds
    dlcourse run lab10                 the whole experiment, some minutes on a laptop
    dlcourse run lab10 --full          longer training: below a quarter of PCA's error

A recorded run of the solution (`dlcourse run lab10`, real MNIST, 2 cores):

    data: MNIST from datasets/MNIST/raw; 54,000 training images, no label of theirs

    30 numbers: squared error            published    measured
    PCA                                      13.87       13.87
    deep autoencoder                          3.00        3.42
    convolutional autoencoder                    -        4.64
    PCA, 2 numbers                               -       43.64
    deep autoencoder, 2 numbers                  -       28.21

    4 numbers, trained on      squared    absolute        gray
    squared                      23.13       57.84       22.0%
    absolute                     36.57       55.80        7.1%
    cross_entropy                22.95       57.86       22.5%

    half the pixels gone; trained on                   squared
    nothing                                              44.65
    whole images                                         38.78
    broken images                                         9.23

    linear classifier, 200 labels, on                    right
    pixels                                               60.9%
    convolutions, untrained                              70.0%
    convolutions that tell the turn                      84.6%
    codes of the deep autoencoder                        65.8%
    figures: results/lab10
"""

# %%
from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, plots
from dlcourse.errors import UsageError
from dlcourse.models.conv_autoencoder import ConvAutoencoder

# %% [markdown]
# ## 1. The best linear code
# An autoencoder is an encoder f, image to code, and a decoder g, code to image, with g(f(x)) close
# to x. If both are linear, the best code is known: coordinates along the directions in which the
# images vary most.


# %%
def pca(images: Tensor, latent_dim: int) -> tuple[Tensor, Tensor]:
    """The mean image and the `latent_dim` directions of largest variance, largest first.

    The directions are orthonormal rows; each may point either way.
    Shape: images (N, D) -> mean (D,), components (latent_dim, D).

    >>> mean, components = pca(torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]]), 1)
    >>> mean, components.abs()
    (tensor([2., 1.]), tensor([[1., 0.]]))
    """
    if latent_dim > min(images.shape):
        raise UsageError(f"latent_dim must be at most {min(images.shape)}, got {latent_dim}")
    # Task 10.1 (2 points). Hint: take the mean away; torch.linalg.svd(..., full_matrices=False)
    # gives U, S, Vh, and the rows of Vh are the directions, in order.
    raise NotImplementedError("task 10.1: pca")


# %%
def pca_reconstruct(images: Tensor, mean: Tensor, components: Tensor) -> tuple[Tensor, Tensor]:
    """The codes of the images, and the images that the codes stand for.

    Shape: images (N, D), mean (D,), components (K, D) -> codes (N, K), outputs (N, D).

    >>> pca_reconstruct(torch.tensor([[5.0, 3.0]]), torch.tensor([2.0, 1.0]),
    ...                 torch.tensor([[1.0, 0.0]]))
    (tensor([[3.]]), tensor([[5., 1.]]))
    """
    # Task 10.2 (1 point). Hint: encode by a product with components.T, decode by one with
    # components; the mean is taken away before and added after.
    raise NotImplementedError("task 10.2: pca_reconstruct")


# %% [markdown]
# ## 2. The deep autoencoder
# With layers between image and code the code bends along the data. The paper's network is
# 784-1000-500-250-30, and the same back: 784 pixels squeezed through 30 numbers.


# %%
def draw_weights(layer: nn.Module) -> None:
    """Weights of He et al. 2015; from torch's smaller ones a deep autoencoder hardly starts."""
    if isinstance(layer, nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)


class Autoencoder(nn.Module):
    """Linear layers from `sizes[0]` pixels down to a code of `sizes[-1]` numbers, and back.

    `encoder` and `decoder` are nn.Sequential. Encoder: nn.Linear from each size to the next,
    nn.SiLU between them (x * sigmoid(x), a ReLU with a round corner), none after the code. Decoder:
    the same sizes backward, nn.SiLU between them, nn.Sigmoid at the end: pixels lie in [0, 1].

    Shape: inputs (N, *), sizes[0] numbers each -> the same shape.

    >>> Autoencoder((784, 100, 2))(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 1, 28, 28])
    """

    def __init__(self, sizes: Sequence[int] = (784, 1000, 500, 250, 30)) -> None:
        super().__init__()
        # Task 10.3 (3 points). Hint: write a loop over zip(sizes, sizes[1:]) that appends
        # nn.Linear and nn.SiLU to a list, drop the last SiLU; use it for sizes and sizes[::-1].
        raise NotImplementedError("task 10.3: Autoencoder")
        self.apply(draw_weights)

    def encode(self, inputs: Tensor) -> Tensor:
        """The codes. Shape: (N, *) -> (N, sizes[-1])."""
        # Task 10.3, continued. Hint: flatten(1).
        raise NotImplementedError("task 10.3: Autoencoder.encode")

    def decode(self, codes: Tensor) -> Tensor:
        """The images of codes. Shape: (N, sizes[-1]) -> (N, sizes[0])."""
        return self.decoder(codes)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.decode(self.encode(inputs)).view_as(inputs)


# %% [markdown]
# ## 3. The loss decides what is blurred
# Where the code leaves open which of two images it was, one answer must do for both. Squared error
# asks for their mean, which is gray; absolute error for the median, which is one or the other;
# cross-entropy takes each pixel for a coin and asks for its probability.


# %%
def reconstruction_loss(outputs: Tensor, targets: Tensor, kind: str = "squared") -> Tensor:
    """How far the outputs are from the targets: summed over an image, averaged over the images.

    kind: "squared" sums (o - t)^2; "absolute" sums |o - t|; "cross_entropy" sums
    -t log(o) - (1 - t) log(1 - o), for outputs and targets in [0, 1].
    Shape: outputs and targets (N, *) -> ().

    >>> outputs, targets = torch.tensor([[0.5, 0.5], [0.0, 1.0]]), torch.tensor([[0.0, 1.0]] * 2)
    >>> reconstruction_loss(outputs, targets)  # (0.25 + 0.25 + 0 + 0) / 2 images
    tensor(0.2500)
    """
    # Task 10.4 (2 points). Hint: F.binary_cross_entropy has the third, finite also where o is
    # exactly 0 or 1; mind what it averages over.
    raise NotImplementedError("task 10.4: reconstruction_loss")


# %% [markdown]
# ## 4. Training without labels
# The loop of every lab before, but that the images are their own targets.


# %%
def train(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    loss: Callable[[nn.Module, Tensor], Tensor],
    epochs: int,
    lr: float = 3e-3,
) -> None:
    """Minimize loss(model, images) by Adam, whose learning rate rises to `lr`, then falls to 0."""
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
# ## 5. A way between two digits
# A code can be changed by hand. On the straight line between two codes lie images that nobody drew.


# %%
def interpolate(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """`steps` codes at equal distances on the line from `start` to `end`, both included.

    Shape: start (K,), end (K,), steps at least 2 -> (steps, K).

    >>> interpolate(torch.tensor([0.0, 4.0]), torch.tensor([1.0, 0.0]), 3)
    tensor([[0.0000, 4.0000],
            [0.5000, 2.0000],
            [1.0000, 0.0000]])
    """
    # Task 10.5 (1 point). Hint: torch.linspace(0, 1, steps) as a column.
    raise NotImplementedError("task 10.5: interpolate")


# %% [markdown]
# ## 6. Denoising
# If the code is wide, copying is a perfect and useless answer. So break the input and ask for the
# whole image: what is missing can only be found by knowing what digits look like (Vincent et al.
# 2008).


# %%
def denoising_loss(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    fraction: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The squared reconstruction_loss of model(broken images) against the whole images.

    Each number of the images is set to 0 on its own with probability `fraction`, drawn from
    `generator`; the others stay as they are. `images` itself is not changed.
    Shape: images (N, *) -> ().

    >>> denoising_loss(lambda broken: broken, torch.ones(1, 10), fraction=1.0)
    tensor(10.)
    """
    # Task 10.6 (2 points). Hint: torch.rand(images.shape, generator=generator) is below `fraction`
    # with probability `fraction`.
    raise NotImplementedError("task 10.6: denoising_loss")


# %% [markdown]
# ## 7. Labels that cost nothing
# Self-supervision: hide something that you know about the image, and learn to tell it. Turn each
# image by a quarter and ask how often; whoever answers must know what stands upright (Gidaris et
# al. 2018).


# %%
def rotations(images: Tensor) -> tuple[Tensor, Tensor]:
    """Each image turned counterclockwise by 0, 1, 2 and 3 quarters, with the number of quarters.

    First all images unturned, then all turned once, and so on.
    Shape: images (N, C, H, H) -> inputs (4 N, C, H, H), targets int64 (4 N,).

    >>> inputs, targets = rotations(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    >>> inputs[1], targets
    (tensor([[[2., 4.],
             [1., 3.]]]), tensor([0, 1, 2, 3]))
    """
    # Task 10.7 (2 points). Hint: torch.rot90(images, k, dims=(2, 3)) and repeat_interleave.
    raise NotImplementedError("task 10.7: rotations")


# %% [markdown]
# ## 8. The experiment
# Every error is of the 10,000 test images, which no training sees.


# %%
def squared(model: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return reconstruction_loss(model(images), images)


@torch.inference_mode()
def run(model: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """model(images), in parts."""
    return torch.cat([model(part) for part in images.split(1000)])


def compare_codes(batches: data.Batches, test: Tensor, epochs: int) -> dict[str, Callable]:
    """PCA, the deep and the convolutional autoencoder by their errors; returns them."""
    images = batches.images[batches.indices.to(batches.device)].flatten(1) / 255
    mean, directions = pca(images, 30)

    def linear(latent_dim: int) -> Callable[[Tensor], Tensor]:
        kept = directions[:latent_dim]
        return lambda x: pca_reconstruct(x.flatten(1), mean, kept)[1].view_as(x)

    contestants = {
        "PCA": (linear(30), 0, "13.87"),
        "deep autoencoder": (Autoencoder(), epochs, "3.00"),
        "convolutional autoencoder": (ConvAutoencoder(latent_dim=30), epochs // 2, "-"),
        "PCA, 2 numbers": (linear(2), 0, "-"),
        "deep autoencoder, 2 numbers": (Autoencoder((784, 1000, 500, 250, 2)), epochs // 2, "-"),
    }
    print(f"\n{'30 numbers: squared error':<34}{'published':>12}{'measured':>12}")
    for name, (model, length, published) in contestants.items():
        if isinstance(model, nn.Module):
            train(model.to(test.device), batches, squared, max(1, length))
        error = reconstruction_loss(run(model, test), test).item()
        print(f"{name:<34}{published:>12}{error:>12.2f}")
    return {name: model for name, (model, _, _) in contestants.items()}


def compare_losses(batches: data.Batches, test: Tensor, epochs: int) -> list[Tensor]:
    """One network under three losses; returns what each makes of the first test images."""
    print(f"\n{'4 numbers, trained on':<22}{'squared':>12}{'absolute':>12}{'gray':>12}")
    shown = []
    for kind in ("squared", "absolute", "cross_entropy"):
        net = Autoencoder((784, 256, 64, 4)).to(test.device)
        train(net, batches, lambda m, x, kind=kind: reconstruction_loss(m(x), x, kind), epochs)
        outputs = run(net, test)
        errors = [reconstruction_loss(outputs, test, k).item() for k in ("squared", "absolute")]
        gray = ((outputs > 0.1) & (outputs < 0.9)).float().mean().item()  # neither paper nor ink
        print(f"{kind:<22}{errors[0]:>12.2f}{errors[1]:>12.2f}{gray:>12.1%}")
        shown.append(outputs[:8])
    return shown


def denoise(batches: data.Batches, test: Tensor, epochs: int) -> list[Tensor]:
    """Trained on whole and on broken images: which mends a broken one? Returns some of each."""
    broken = test * (torch.rand_like(test) >= 0.5)
    shown, errors = [test[:8], broken[:8]], {"nothing": reconstruction_loss(broken, test).item()}
    for name, fraction in (("whole images", 0.0), ("broken images", 0.5)):
        net = Autoencoder((784, 500, 100)).to(test.device)
        train(net, batches, lambda m, x, f=fraction: denoising_loss(m, x, f), epochs)
        mended = run(net, broken)
        errors[name] = reconstruction_loss(mended, test).item()
        shown.append(mended[:8])
    print(f"\n{'half the pixels gone; trained on':<46}{'squared':>12}")
    print("\n".join(f"{name:<46}{error:>12.2f}" for name, error in errors.items()))
    return shown


def self_supervise(batches: data.Batches, epochs: int) -> tuple[nn.Module, nn.Module]:
    """Convolutions as they are at first, and those that learned to tell the turn."""

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
    """Of a linear classifier on the codes, by least squares from the labels of `chosen`."""
    images = mnist.train_images[chosen], mnist.test_images[:2000]
    known, unseen = (run(encode, part.to(device) / 255).cpu() for part in images)
    known, unseen = ((codes - known.mean(0)) / known.std() for codes in (known, unseen))
    targets = F.one_hot(mnist.train_labels[chosen], 10) - 0.1
    ridge = known.T @ known + 20 * torch.eye(known.shape[1])
    scores = unseen @ torch.linalg.solve(ridge, known.T @ targets)
    return (scores.argmax(1) == mnist.test_labels[:2000]).float().mean().item()


def draw(nets: dict[str, Callable], test: Tensor, labels: Tensor, out: Path) -> None:
    """Reconstructions; the plane of 2-number codes; a walk from digit to digit."""
    deep, flat = nets["deep autoencoder"], nets["deep autoencoder, 2 numbers"]
    rows = [run(net, test[:8]) for name, net in nets.items() if "2 numbers" not in name]
    title = "Test images; from 30 numbers by PCA, deep, convolutional"
    plots.image_grid(torch.cat([test[:8], *rows]), path=out / "reconstructions.png", title=title)
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


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab10", __doc__, argv, epochs=8, full_epochs=15)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    batches, _, _ = mnist.batches(
        batch_size=100, seed=args.seed, device=args.device, limit=args.limit, normalize="none"
    )
    print(f"data: {mnist.source}; {batches.num_samples:,} training images, no label of theirs")
    test = mnist.test_images[: args.limit].to(args.device) / 255
    shorter = max(1, args.epochs // 2)
    nets = compare_codes(batches, test, args.epochs)
    blurred = compare_losses(batches, test, shorter)
    mended = denoise(batches, test, shorter)

    untrained, turned = self_supervise(batches, max(1, shorter // 2))
    encoders = {
        "pixels": nn.Flatten(),
        "convolutions, untrained": untrained,
        "convolutions that tell the turn": turned,
        "codes of the deep autoencoder": nets["deep autoencoder"].encode,
    }
    print(f"\n{'linear classifier, 200 labels, on':<46}{'right':>12}")
    for name, encode in encoders.items():
        right = linear_accuracy(encode, mnist, batches.indices[:200].cpu(), args.device)
        print(f"{name:<46}{right:>12.1%}")
    if args.plot:
        draw(nets, test, mnist.test_labels[: args.limit], args.out)
        title = "4 numbers: the images; trained on squared, absolute error, cross-entropy"
        images = torch.cat([test[:8], *blurred])
        plots.image_grid(images, path=args.out / "losses.png", title=title)
        title = "Whole; broken; mended by training on whole, on broken images"
        plots.image_grid(torch.cat(mended), path=args.out / "denoising.png", title=title)
        print(f"figures: {args.out}")


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# 1. Give the deep autoencoder a code of 784 numbers. What can it do, and what has it learned then?
# 2. Decode a code drawn at random. Why is it so often no digit, and what would have to change?
