# %% [markdown]
"""Lab 10: autoencoders.

How few numbers can describe a handwritten digit, and can we find these numbers without labels?

You write principal component analysis and the deep autoencoder that is better (Hinton &
Salakhutdinov 2006), the losses that determine how its images are blurred, a denoising autoencoder,
and a task whose targets come from the images themselves. Labels are used only for the last table.

Lectures: C and K (autoencoders), J (learning without labels).

    dlcourse check lab10               check your answers (takes seconds)
    dlcourse check lab10 --task 10.3   check one task
    dlcourse run lab10 --tiny          run the whole experiment on 2,000 images (takes seconds)
    dlcourse run lab10                 run the whole experiment (a few minutes on a laptop)
    dlcourse run lab10 --full          train longer: the error falls below a quarter of PCA's

A recorded run of the solution (`dlcourse run lab10`, real MNIST, 2 cores):

    data: MNIST from datasets/MNIST/raw; 54,000 training images without labels

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

    half of the pixels missing; trained on             squared
    nothing                                              44.65
    whole images                                         38.78
    broken images                                         9.23

    linear classifier, 200 labels, on                    right
    pixels                                               60.9%
    convolutions, untrained                              70.0%
    convolutions trained on rotations                    84.6%
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
    # Task 10.1 (2 points). For a hint: dlcourse hint 10.1
    raise NotImplementedError("task 10.1: pca")


# %%
def pca_reconstruct(images: Tensor, mean: Tensor, components: Tensor) -> tuple[Tensor, Tensor]:
    """Return the codes of the images, and the images that the decoder makes from the codes.

    Shape: images (N, D), mean (D,), components (K, D) -> codes (N, K), outputs (N, D).

    >>> pca_reconstruct(torch.tensor([[5.0, 3.0]]), torch.tensor([2.0, 1.0]),
    ...                 torch.tensor([[1.0, 0.0]]))
    (tensor([[3.]]), tensor([[5., 1.]]))
    """
    # Task 10.2 (1 point). For a hint: dlcourse hint 10.2
    raise NotImplementedError("task 10.2: pca_reconstruct")


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
        # Task 10.3 (3 points). For a hint: dlcourse hint 10.3
        raise NotImplementedError("task 10.3: Autoencoder")
        self.apply(draw_weights)

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the codes. Shape: (N, *) -> (N, sizes[-1])."""
        # Task 10.3, continued.
        raise NotImplementedError("task 10.3: Autoencoder.encode")

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
    # Task 10.4 (2 points). For a hint: dlcourse hint 10.4
    raise NotImplementedError("task 10.4: reconstruction_loss")


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
    # Task 10.5 (1 point). For a hint: dlcourse hint 10.5
    raise NotImplementedError("task 10.5: interpolate")


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
    # Task 10.6 (2 points). For a hint: dlcourse hint 10.6
    raise NotImplementedError("task 10.6: denoising_loss")


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
    # Task 10.7 (2 points). For a hint: dlcourse hint 10.7
    raise NotImplementedError("task 10.7: rotations")


# %% [markdown]
# ## 8. The experiment
# All errors are measured on the 10,000 test images, which are never used for training.


# %%
def squared(model: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return reconstruction_loss(model(images), images)


@torch.inference_mode()
def run(model: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return model(images), computed in parts."""
    return torch.cat([model(part) for part in images.split(1000)])


def compare_codes(batches: data.Batches, test: Tensor, epochs: int) -> dict[str, Callable]:
    """Print the errors of PCA, the deep and the convolutional autoencoder; return the models."""
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
    """Train one network with three losses; return the outputs for the first test images."""
    print(f"\n{'4 numbers, trained on':<22}{'squared':>12}{'absolute':>12}{'gray':>12}")
    shown = []
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
    return shown


def denoise(batches: data.Batches, test: Tensor, epochs: int) -> list[Tensor]:
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


def draw(nets: dict[str, Callable], test: Tensor, labels: Tensor, out: Path) -> None:
    """Draw reconstructions, the plane of 2-number codes, and a path from digit to digit."""
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
    print(f"data: {mnist.source}; {batches.num_samples:,} training images without labels")
    test = mnist.test_images[: args.limit].to(args.device) / 255
    shorter = max(1, args.epochs // 2)
    nets = compare_codes(batches, test, args.epochs)
    blurred = compare_losses(batches, test, shorter)
    repaired = denoise(batches, test, shorter)

    untrained, turned = self_supervise(batches, max(1, shorter // 2))
    encoders = {
        "pixels": nn.Flatten(),
        "convolutions, untrained": untrained,
        "convolutions trained on rotations": turned,
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
        title = "Whole; broken; repaired by training on whole, on broken images"
        plots.image_grid(torch.cat(repaired), path=args.out / "denoising.png", title=title)
        print(f"figures: {args.out}")


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# 1. Give the deep autoencoder a code of 784 numbers. What can it do then, and what does it learn?
# 2. Decode a random code. Why is the result often not a digit, and what would have to change?

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab10` asks seven questions with four choices each, and explains the answers.
