# %% [markdown]
"""Lab 11: generative adversarial networks.

Can a network learn to draw digits if its only teacher is another network that is still learning
too?

You write the losses of the two players, the steps that they make in turn, and the generator of
DCGAN (Radford et al. 2016). The samples are judged by a classifier and by their distance to real
digits. You make the generator collapse, give the discriminator a head start, see in a game with two
numbers why such training is unstable, and use GLO, which has no second player.

Lecture sections: Generative adversarial network (GAN); Generative latent optimization (GLO).

    dlcourse check lab11               check your answers (takes seconds)
    dlcourse check lab11 --task 11.3   check one task
    dlcourse run lab11 --tiny          run the whole experiment on 900 images (takes seconds)
    dlcourse run lab11                 use 10,800 images and small networks (a few minutes)
    dlcourse run lab11 --full          use all images and train longer (for a GPU)

A recorded run of the solution (`dlcourse run lab11`, real MNIST, on a processor):

    data: MNIST from datasets/MNIST/raw; 10,800 training images

    x * y, distance from (0, 0)                        start  step 100  step 200
    both at once                                        1.41      2.33      3.83
    in turn                                             1.41      1.39      1.36

    gradient of the generator, if D(fake) is             0.5   0.00005
    minimax                                              0.5   4.5e-05
    non_saturating                                       0.5         1

    judge: LeNet-5, right on 96.96% of the test images
    samples of                             rarest     sure     near  reached
    MNIST: other test images                 9.0%    97.7%    91.9%    84.2%
    DCGAN, non-saturating                    2.3%    72.6%    46.8%    29.1%
    DCGAN, minimax                           2.6%    65.9%    80.9%    56.0%
    DCGAN, non-saturating, D first           0.3%    64.5%    83.4%    28.2%
    DCGAN, minimax, D first                  0.0%    46.5%    26.1%    24.5%
    generator alone: collapsed               1.6%    63.5%     0.3%     0.3%
    GLO, on 1,000 images                     4.2%    73.5%    95.2%    69.5%
    figures: results/lab11

Over 3 seeds (mean, standard deviation, how many seeds agree):

    distance, both at once                                        3.83 = 3.83            exact
    distance, in turn                                             1.36 = 1.36            exact
    gradient at a sure D: minimax, non-saturating                5e-05 < 1               exact
    near a real image: collapsed, DCGAN                        2% (2%) < 50% (3%)        3 of 3
    real images reached: collapsed, DCGAN                      2% (1%) < 30% (2%)        3 of 3
    real images reached: DCGAN, other real images             30% (2%) < 84%             3 of 3
    D first, near: minimax, non-saturating                   37% (14%) < 69% (13%)       3 of 3
    loss of a D that says 1/2: 2 ln 2                            1.386 = 1.386           exact
    loss of a D that is right and sure                               0 = 0               exact
    G: smallest input of up1 and of up2                              0 = 0               exact
    step of D: its loss, less the loss before it                     0 < 0.0001          exact
    step of D: filters of G that it moves                            0 = 0               exact
    step of D: filters of D that it moves                            3 = 3               exact
    step of G: its loss, less the loss before it                     0 < 0.0001          exact
    step of G: filters of G that it moves                            3 = 3               exact
    step of G: filters of D that it moves                            0 = 0               exact
    parameters of G for 64 latent numbers, width 32            234,273 = 234,273         exact
    coverage of one class: smallest share                            0 = 0               exact
    and how sure the judge is                                        1 = 1               exact
    lengths 5 and 1/2, projected, added up                         1.5 = 1.5             exact
The figures in results/lab11:

    losses: Both players' losses: neither of them says how good the images are.
    losses_head_start: If the discriminator is trained first, its loss stays near 0; the minimax
      loss then hardly changes.
    saddle: Two players of x y: at once they move away from (0, 0), in turn they stay on a curve.
    samples: Real digits, and samples of each generator.
    training: The images of the same 16 latents during the training.
"""

# %%
from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, models, plots
from dlcourse.findings import Findings
from dlcourse.train import evaluate, fit, laplacian_loss

# %% [markdown]
# ## 1. The game
# The generator G makes an image from random numbers z. The discriminator returns a logit that says
# whether an image is real; below, D(x) is the sigmoid of this logit. D tries to make
# log D(real) + log(1 - D(G(z))) large, and G tries to make it small. If the discriminator is sure,
# its logits are far from 0. So compute the losses from the logits: the logarithm of a sigmoid that
# was rounded to 0 is minus infinity.
#
# None of your functions may change the tensors that it gets.


# %%
def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return the mean of -log D(real) plus the mean of -log(1 - D(fake)), with D = sigmoid(logit).

    Loss and gradients must be finite for logits of any size.
    Shape: real_logits (N,), fake_logits (M,) -> ().

    >>> discriminator_loss(torch.tensor([0.0]), torch.tensor([0.0, 0.0]))  # 2 log 2
    tensor(1.3863)
    """
    # Task 11.1 (1 point). For a hint: dlcourse hint 11.1
    raise NotImplementedError("task 11.1: discriminator_loss")


# %%
def generator_loss(fake_logits: Tensor, kind: str = "non_saturating") -> Tensor:
    """Return the loss of the generator, the mean over the images.

    kind: "minimax" is log(1 - D(fake)), the loss of the original game. Its gradient is almost 0 if
    D is sure that the image is fake, and then the generator cannot learn. "non_saturating" is
    -log D(fake): it has the same goal, but a large gradient there. The loss must be finite for
    logits of any size.
    Shape: fake_logits (N,) -> ().

    >>> generator_loss(torch.tensor([0.0])), generator_loss(torch.tensor([0.0]), "minimax")
    (tensor(0.6931), tensor(-0.6931))
    """
    # Task 11.2 (2 points). For a hint: dlcourse hint 11.2
    raise NotImplementedError("task 11.2: generator_loss")


# %% [markdown]
# ## 2. Two steps in turn
# Each player has its own optimizer and changes only its own weights.


# %%
def adam(net: nn.Module, lr: float) -> torch.optim.Adam:
    """Return the optimizer of one player, with the betas of the DCGAN paper."""
    return torch.optim.Adam(net.parameters(), lr, betas=(0.5, 0.999))


def gradient_norm(net: nn.Module) -> float:
    """Return the norm of the gradient that is stored in the weights of `net`, or 0 without one."""
    grads = [p.grad.norm() for p in net.parameters() if p.grad is not None]
    return torch.stack(grads).norm().item() if grads else 0.0


def discriminator_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    latents: Tensor,
) -> float:
    """Make one step of the discriminator on real images and generator(latents); return its loss.

    optimizer: the optimizer of the discriminator's weights. Do not change the generator's weights,
    and store no gradient in them. Gradients that were stored in the discriminator before must have
    no effect. The loss is a Python float.
    Shape: images (N, *), latents (N, latent_dim).
    """
    # Task 11.3 (3 points). For a hint: dlcourse hint 11.3
    raise NotImplementedError("task 11.3: discriminator_step")


# %%
def generator_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
    latents: Tensor,
    kind: str = "non_saturating",
) -> float:
    """Make one step of the generator against the current discriminator; return its loss.

    optimizer: the optimizer of the generator's weights. Do not change the discriminator's weights.
    The loss is a Python float.
    Shape: latents (N, latent_dim).
    """
    # Task 11.4 (2 points). For a hint: dlcourse hint 11.4
    raise NotImplementedError("task 11.4: generator_step")


# %% [markdown]
# ## 3. DCGAN
# The discriminator halves the side of the image by strides, and the generator doubles it by
# transposed convolutions. This is the generator:
#
# | layer | operations                                                  | output             |
# |-------|-------------------------------------------------------------|--------------------|
# | start | nn.ConvTranspose2d, kernel 7, of latents (N, latent_dim, 1, 1) | (N, 2 width, 7, 7) |
# | norm1 | nn.BatchNorm2d; ReLU                                         | (N, 2 width, 7, 7) |
# | up1   | nn.ConvTranspose2d, kernel 4, stride 2, padding 1            | (N, width, 14, 14) |
# | norm2 | nn.BatchNorm2d; ReLU                                         | (N, width, 14, 14) |
# | up2   | nn.ConvTranspose2d, kernel 4, stride 2, padding 1; sigmoid   | (N, 1, 28, 28)     |


# %%
class Discriminator(nn.Module):
    """Shape: images (N, 1, 28, 28) in [0, 1] -> logits (N,), high for real images."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)
        self.norm2 = nn.BatchNorm2d(2 * width)
        self.conv3 = nn.Conv2d(2 * width, 1, 7)
        self.apply(draw_weights)

    def forward(self, images: Tensor) -> Tensor:
        x = F.leaky_relu(self.conv1(images), 0.2)  # (N, width, 14, 14)
        x = F.leaky_relu(self.norm2(self.conv2(x)), 0.2)  # (N, 2 width, 7, 7)
        return self.conv3(x).flatten()


class Generator(nn.Module):
    """Shape: latents (N, latent_dim) from N(0, 1) -> images (N, 1, 28, 28) in [0, 1].

    Name the layers start, norm1, up1, norm2 and up2, as in the table above.

    >>> Generator(latent_dim=10)(torch.randn(2, 10)).shape
    torch.Size([2, 1, 28, 28])
    """

    def __init__(self, latent_dim: int = 64, width: int = 32) -> None:
        super().__init__()
        # Task 11.5 (2 points). For a hint: dlcourse hint 11.5
        raise NotImplementedError("task 11.5: Generator")
        self.apply(draw_weights)

    def forward(self, latents: Tensor) -> Tensor:
        # Task 11.5, continued.
        raise NotImplementedError("task 11.5: Generator.forward")


def draw_weights(layer: nn.Module) -> None:
    """Draw the weights from a normal distribution with std 0.02, as in the paper."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)


# %% [markdown]
# ## 4. A judge
# The losses say which player is winning, not how good the images are. So a classifier of digits
# judges the samples: does each digit occur, and how sure is the classifier of its answers?


# %%
def coverage(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the share of the images in each class, and the mean probability of their classes.

    The class of an image is its most probable class.
    Shape: logits (N, K) -> shares (K,), confidence ().

    >>> coverage(torch.tensor([[9.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 0.0]]))
    (tensor([0.7500, 0.2500]), tensor(0.9999))
    """
    # Task 11.6 (1 point). For a hint: dlcourse hint 11.6
    raise NotImplementedError("task 11.6: coverage")


# %% [markdown]
# ## 5. Why it is unstable
# A game has no loss that both players minimize. The smallest example: x tries to make x * y small,
# and y tries to make it large. The only equilibrium is (0, 0).


# %%
def play(x: float, y: float, lr: float, steps: int, in_turn: bool = False) -> Tensor:
    """Return the path of (x, y): x descends on x * y and y ascends, beginning with the start.

    in_turn: y moves after x and uses the new x. Otherwise both move at once, from the same point.
    Shape: -> (steps + 1, 2), float32.

    >>> play(1.0, 1.0, lr=0.5, steps=1)
    tensor([[1.0000, 1.0000],
            [0.5000, 1.5000]])
    >>> play(1.0, 1.0, lr=0.5, steps=1, in_turn=True)
    tensor([[1.0000, 1.0000],
            [0.5000, 1.2500]])
    """
    # Task 11.7 (2 points). For a hint: dlcourse hint 11.7
    raise NotImplementedError("task 11.7: play")


# %% [markdown]
# ## 6. Without an adversary
# GLO (Bojanowski et al. 2017) gives each training image its own latent. It learns the latents
# together with the generator, so that G(latent) is the image. The latents stay in the unit ball, so
# that they are close to each other.


# %%
def project(latents: Tensor) -> Tensor:
    """Shorten latents that are longer than 1 to length 1; do not change the others.

    Shape: (N, latent_dim) -> (N, latent_dim).

    >>> project(torch.tensor([[3.0, 4.0], [0.3, 0.4]]))
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    # Task 11.8 (1 point). For a hint: dlcourse hint 11.8
    raise NotImplementedError("task 11.8: project")


# %% [markdown]
# ## 7. The experiment
# The judge alone cannot tell good samples from bad ones: it is sure of many scribbles too. So the
# samples are also compared with 1,000 real test images, pixel by pixel. An image is near a real one
# if it is closer to it than the fifth nearest neighbor of the real one. "near" is the share of
# the samples that are near some real image. "reached" is the share of the real images that have a
# sample near them: a generator that draws the same few images reaches few (Naeem et al. 2020).
# "rarest" is the share of the rarest digit, and "sure" the mean confidence of the judge.
#
# **Predict before you run it.** Give the discriminator 200 steps before the generator makes its
# first one. With which of the two losses can the generator still learn, and why?
#
# *Your prediction:*

# %%
LATENT_DIM = 64


# %%
def closeness(fakes: Tensor, reals: Tensor, neighbors: int = 5) -> tuple[float, float]:
    """Return the share of the fakes near a real image, and of the real images with a fake near.

    Shape: fakes (N, *), reals (M, *), M above `neighbors`.
    """
    fakes, reals = fakes.flatten(1), reals.flatten(1)
    # The closest image to a real image is itself.
    radius = torch.cdist(reals, reals).kthvalue(neighbors + 1, dim=1).values
    near = torch.cdist(reals, fakes) < radius[:, None]  # (M, N)
    return near.any(0).float().mean().item(), near.any(1).float().mean().item()


@dataclass
class Game:
    """A trained pair of players, their losses at each step, and what the generator drew.

    drawings: from the same latents, after each of `steps`.
    """

    generator: Generator
    discriminator: Discriminator
    losses: dict[str, list[float]]
    drawings: list[Tensor] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    def draw(self, latents: Tensor) -> None:
        self.drawings.append(run(self.generator, latents))
        self.steps.append(len(self.losses["generator"]))


def train_gan(
    batches: data.Batches,
    epochs: int,
    width: int,
    kind: str = "non_saturating",
    lr: float = 1e-3,
    head_start: int = 0,
) -> Game:
    """Train both players in turn, with a learning rate that falls to 0.

    head_start: how many steps the discriminator makes before the generator's first one. If a loss
    is not finite, stop, print a message, and load the weights from before this epoch.
    """
    device = batches.device
    game = Game(
        Generator(LATENT_DIM, width).to(device), Discriminator(width).to(device),
        {"discriminator": [], "generator": []},
    )  # fmt: skip
    players = game.generator, game.discriminator
    optimizers = [adam(player, lr) for player in players]
    steps = epochs * len(batches)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        for optimizer in optimizers
    ]
    shown = torch.randn(16, LATENT_DIM, device=device)
    for images, _ in itertools.islice(itertools.cycle(batches), head_start):
        latents = torch.randn(len(images), LATENT_DIM, device=device)
        discriminator_step(*players, optimizers[1], images, latents)
    for epoch in range(1, epochs + 1):
        best = copy.deepcopy([player.state_dict() for player in players])
        for number, (images, _) in enumerate(batches):
            latents = torch.randn(len(images), LATENT_DIM, device=device)
            loss_d = discriminator_step(*players, optimizers[1], images, latents)
            loss_g = generator_step(*players, optimizers[0], latents, kind)
            if not math.isfinite(loss_d + loss_g):
                print(f"stopped in epoch {epoch}: losses {loss_d}, {loss_g}; a smaller lr may help")
                for player, weights in zip(players, best, strict=True):
                    player.load_state_dict(weights)
                return game
            for schedule in schedules:
                schedule.step()
            game.losses["discriminator"].append(loss_d)
            game.losses["generator"].append(loss_g)
            if number % -(-len(batches) // 5) == 0:
                game.draw(shown)
    game.draw(shown)
    return game


def collapse(generator: Generator, discriminator: Discriminator, steps: int) -> Generator:
    """Train the generator alone for `steps` steps; the discriminator does not change."""
    generator = copy.deepcopy(generator)
    optimizer, device = adam(generator, 1e-3), discriminator.conv1.weight.device
    for _ in range(steps):
        latents = torch.randn(64, LATENT_DIM, device=device)
        generator_step(generator, discriminator, optimizer, latents)
    return generator


def train_glo(images: Tensor, epochs: int, width: int) -> tuple[Generator, Tensor]:
    """Train GLO on images (N, 1, 28, 28); return the generator and latents (N, LATENT_DIM)."""
    generator = Generator(LATENT_DIM, width).to(images.device)
    latents = nn.Parameter(project(torch.randn(len(images), LATENT_DIM, device=images.device)))
    groups = [{"params": generator.parameters()}, {"params": [latents], "lr": 1e-2}]
    optimizer = torch.optim.Adam(groups, lr=1e-3)
    for _ in range(epochs):
        for chosen in torch.randperm(len(images), device=images.device).split(64):
            loss = laplacian_loss(generator(latents[chosen]), images[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                latents.copy_(project(latents))
    return generator, latents.detach()


def gaussian_like(latents: Tensor, num_samples: int) -> Tensor:
    """Draw new latents from a Gaussian with the mean and covariance of the learned ones."""
    centered = latents - latents.mean(0)
    noise = torch.randn(num_samples, len(latents), device=latents.device)
    return project(latents.mean(0) + noise @ centered / len(latents) ** 0.5)


@torch.inference_mode()
def run(net: nn.Module, inputs: Tensor) -> Tensor:
    """Return net(inputs) in evaluation mode, computed in parts."""
    net.eval()
    outputs = torch.cat([net(part) for part in inputs.split(500)])
    net.train()
    return outputs


def vanishing_gradient(findings: Findings) -> None:
    """Print the gradient of both losses for a fake that the discriminator recognizes."""
    print(f"\n{'gradient of the generator, if D(fake) is':<46}{'0.5':>10}{'0.00005':>10}")
    sizes = {}
    for kind in ("minimax", "non_saturating"):
        sizes[kind] = []
        for logit in (0.0, -10.0):
            fake = torch.tensor([logit], requires_grad=True)
            generator_loss(fake, kind).backward()
            sizes[kind].append(fake.grad.abs().item())
        print(f"{kind:<46}{sizes[kind][0]:>10.2g}{sizes[kind][1]:>10.2g}")
    text = "gradient at a sure D: minimax, non-saturating"
    small, large = sizes["minimax"][1], sizes["non_saturating"][1]
    findings.claim(text, small, "<", large, ".1g", task="11.2", exact=True)


def check_pieces(images: Tensor, findings: Findings) -> None:
    """Compare what your functions compute with what is known without them.

    images: real ones, float32 (N, 1, 28, 28).
    """
    claim = functools.partial(findings.claim, form=".4g", exact=True)
    sure = torch.full((4,), 20.0, device=images.device)
    for text, logits, expected in (
        ("loss of a D that says 1/2: 2 ln 2", (0 * sure, 0 * sure), 2 * math.log(2)),
        ("loss of a D that is right and sure", (sure, -sure), 0.0),
    ):
        loss = round(discriminator_loss(*logits).item(), 4)
        claim(text, loss, "=", round(expected, 4), task="11.1")

    players = generator, discriminator = Generator(8, 4), Discriminator(4)
    latents = torch.randn(len(images), 8, device=images.device)
    inputs: list[float] = []  # the smallest ones of the layers behind a ReLU
    for player in players:
        player.to(images.device)
    for layer in (generator.up1, generator.up2):
        layer.register_forward_pre_hook(lambda _, args: inputs.append(args[0].min().item()))
    fakes = generator(latents)
    expected = discriminator_loss(discriminator(images), discriminator(fakes)).item()
    claim("G: smallest input of up1 and of up2", min(inputs), "=", 0, task="11.5")

    def weights_moved(step: Callable[[], float]) -> tuple[float, list[float]]:
        # Behind a filter comes a norm: the gradient of its bias is only rounding.
        before = [[w.clone() for w in net.parameters() if w.dim() == 4] for net in players]
        loss = step()
        after = [[w for w in net.parameters() if w.dim() == 4] for net in players]
        pairs = [zip(*both, strict=True) for both in zip(before, after, strict=True)]
        return loss, [float(sum(not torch.equal(a, b) for a, b in net)) for net in pairs]

    loss, moved = weights_moved(lambda: discriminator_step(
        *players, adam(discriminator, 1e-3), images, latents))  # fmt: skip
    claim("step of D: its loss, less the loss before it", abs(loss - expected), "<", 1e-4,
          task="11.1 or 11.3")  # fmt: skip
    claim("step of D: filters of G that it moves", moved[0], "=", 0, task="11.3")
    claim("step of D: filters of D that it moves", moved[1], "=", 3, task="11.3")
    expected = generator_loss(discriminator(generator(latents))).item()
    loss, moved = weights_moved(lambda: generator_step(
        *players, adam(generator, 1e-3), latents))  # fmt: skip
    claim("step of G: its loss, less the loss before it", abs(loss - expected), "<", 1e-4,
          task="11.2 or 11.4")  # fmt: skip
    claim("step of G: filters of G that it moves", moved[0], "=", 3, task="11.4 or 11.5")
    claim("step of G: filters of D that it moves", moved[1], "=", 0, task="11.4")
    count = sum(weight.numel() for weight in Generator(64, 32).parameters())
    claim("parameters of G for 64 latent numbers, width 32", count, "=", 234_273, form=",.0f",
          task="11.5")  # fmt: skip
    shares, confidence = coverage(20 * torch.eye(10)[[0, 0, 0]])
    claim("coverage of one class: smallest share", shares.min().item(), "=", 0, task="11.6")
    claim("and how sure the judge is", round(confidence.item(), 4), "=", 1, task="11.6")
    lengths = project(torch.tensor([[3.0, 4.0], [0.3, 0.4]])).norm(dim=1)
    claim("lengths 5 and 1/2, projected, added up", round(lengths.sum().item(), 4), "=", 1.5,
          task="11.8")  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab11", __doc__, argv, epochs=4, full_epochs=18, tiny_epochs=1)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    limit, width, num_samples = None if args.full else 12_000, 32 if args.full else 16, 1000
    if args.tiny:
        limit, width = 1000, 4
    batches, val, test = mnist.batches(
        batch_size=64, seed=args.seed, device=args.device, limit=limit, normalize="none"
    )
    print(f"data: {mnist.source}; {batches.num_samples:,} training images")
    findings = args.findings

    ways = {
        "both at once": play(1.0, 1.0, lr=0.1, steps=200),
        "in turn": play(1.0, 1.0, lr=0.1, steps=200, in_turn=True),
    }
    print(f"\n{'x * y, distance from (0, 0)':<46}{'start':>10}{'step 100':>10}{'step 200':>10}")
    for (name, way), expected in zip(ways.items(), (3.83, 1.36), strict=True):
        far = way.norm(dim=1)
        print(f"{name:<46}{far[0]:>10.2f}{far[100]:>10.2f}{far[200]:>10.2f}")
        end = round(far[-1].item(), 2)
        findings.claim(f"distance, {name}", end, "=", expected, "g", task="11.7", exact=True)
    vanishing_gradient(findings)

    judge = models.build("lenet5")
    fit(judge, batches, val, epochs=2, lr=3e-3, schedule="onecycle", device=args.device)
    print(f"\njudge: LeNet-5, right on {evaluate(judge, test)['accuracy']:.2%} of the test images")
    real = torch.cat([images for images, _ in test])
    reals, others = real[: len(real) // 2][:1000], real[len(real) // 2 :][:1000]
    print(f"{'samples of':<36}{'rarest':>9}{'sure':>9}{'near':>9}{'reached':>9}")
    samples, near, reached = {}, {}, {}

    def show(name: str, images: Tensor) -> None:
        shares, confidence = coverage(run(judge, images))
        near[name], reached[name] = closeness(images, reals)
        print(
            f"{name:<36}{shares.min():>9.1%}{confidence:>9.1%}{near[name]:>9.1%}"
            f"{reached[name]:>9.1%}",
            flush=True,
        )
        samples[name] = images[:80]

    show("MNIST: other test images", others)
    latents = torch.randn(num_samples, LATENT_DIM, device=args.device)
    games = {}
    for head_start in (0, 200 if not args.tiny else 2):
        for kind in ("non_saturating", "minimax"):
            name = f"DCGAN, {kind.replace('_', '-')}{', D first' if head_start else ''}"
            torch.manual_seed(args.seed)
            games[name] = train_gan(batches, args.epochs, width, kind, head_start=head_start)
            show(name, run(games[name].generator, latents))
    game = games["DCGAN, non-saturating"]
    generator = collapse(game.generator, game.discriminator, steps=10 if args.tiny else 200)
    show("generator alone: collapsed", run(generator, latents))
    images = mnist.train_images[batches.indices[:1000].cpu()].to(args.device) / 255
    generator, learned = train_glo(images, 1 if args.tiny else 20 * args.epochs, width)
    show(f"GLO, on {len(images):,} images", run(generator, gaussian_like(learned, num_samples)))

    normal, collapsed = "DCGAN, non-saturating", "generator alone: collapsed"
    findings.claim("near a real image: collapsed, DCGAN", near[collapsed], "<", near[normal], ".0%")
    text = "real images reached: collapsed, DCGAN"
    findings.claim(text, reached[collapsed], "<", reached[normal], ".0%")
    text = "real images reached: DCGAN, other real images"
    findings.claim(text, reached[normal], "<", reached["MNIST: other test images"], ".0%")
    late = [near[f"DCGAN, {kind}, D first"] for kind in ("minimax", "non-saturating")]
    findings.claim("D first, near: minimax, non-saturating", late[0], "<", late[1], ".0%")

    check_pieces(reals[:64], findings)
    if args.plot:
        plots.trajectories(ways, args.out / "saddle.png", "x descends x y, y climbs it")
        few = {f"{player}, {name.removeprefix('DCGAN, ')}": smooth(losses)
               for name, each in games.items() if "D first" in name
               for player, losses in each.losses.items()}  # fmt: skip
        plots.curves(
            {player: smooth(losses) for player, losses in game.losses.items()},
            args.out / "losses.png",
            title="DCGAN, non-saturating: both losses",
            xlabel="step / 10",
            ylabel="loss",
        )
        plots.curves(
            few,
            args.out / "losses_head_start.png",
            title="The discriminator was trained first",
            xlabel="step / 10",
            ylabel="loss",
        )
        plots.mosaic(
            torch.cat(game.drawings[::2]),
            16,
            args.out / "training.png",
            "The same 16 latents during the training",
            [f"step {step}" for step in game.steps[::2]],
        )
        rows = torch.cat([images[:16] for images in samples.values()])
        plots.mosaic(rows, 16, args.out / "samples.png", rows=list(samples))
        print(f"figures: {args.out}")
    findings.report()


def smooth(values: list[float], window: int = 10) -> list[float]:
    """Return the mean of each `window` values."""
    parts = [values[i : i + window] for i in range(0, len(values), window)]
    return [sum(part) / len(part) for part in parts]


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** The loss of the discriminator falls to 0 and stays there. Is this good?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# No. The discriminator is always right, and its logits are far from 0. With the minimax loss the
# generator then gets almost no gradient. With the other loss it gets a gradient, but from a
# discriminator that no longer looks at details. Near the equilibrium D only guesses, and its loss
# is about 2 log 2 = 1.39.
# </details>
#
# **2.** If the generator is trained alone, against a discriminator that does not change, it draws
# the same scribble again and again. Why does this lower its loss, and what prevents it in ordinary
# training?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Against one fixed discriminator the best image is the one with the highest logit, whether it is a
# digit or not. Nothing in the loss asks for variety. In ordinary training D makes its next step,
# learns that this image is always fake, and the generator must draw something else. If the
# generator only jumps from digit to digit, the game goes in circles, like x * y.
# </details>
#
# **3.** The judge is almost as sure of the collapsed generator's images as of the DCGAN's. Why does
# it not notice that they are scribbles?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# It was trained on digits only, and its softmax must give the whole probability to the ten of them.
# It looks for what tells digits apart, not for what makes an image a digit. To measure whether
# samples look like the data, compare them with data.
# </details>
#
# ## What you have seen
# Two networks that learn from each other can draw digits, but nothing in their losses tells you
# when the images are good. If the discriminator is far ahead, the gradient of the minimax loss
# vanishes, and the generator's images stay further from real ones; without a head start this lab
# does not show which loss is better. A generator without an opponent collapses. The judge's
# confidence hardly shows it, the distance to real images does. That distance is not perfect either:
# a blurred image is close to many others, so it flatters GLO, whose images are blurred.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab11` asks seven questions with four choices each, and explains the answers.
