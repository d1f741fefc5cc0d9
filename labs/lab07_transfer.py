# %% [markdown]
"""Lab 07: transfer, learning without labels, compression.

A network has learned to recognize some classes. What is this worth for other classes of which we
have only a few labels? Can features be learned without any labels? And how small can the network
become afterwards?

You write feature extraction, a linear classifier, fine-tuning with two learning rates, two tasks
that need no labels, the losses of distillation and of hints, and a linear layer of low rank.

Lecture sections: Transfer Learning with CNNs; Self-supervision; Noise as Target (NAT); Deep nets do
not actually need to be huge; FitNets.

    dlcourse check lab07              check your answers (takes seconds)
    dlcourse check lab07 --task 7.3   check one task
    dlcourse run lab07 --tiny         run the whole experiment on few images (takes seconds)
    dlcourse run lab07                run the whole experiment (a few minutes on a laptop)
    dlcourse run lab07 --backbone resnet18   begin with ImageNet's weights (47 MB; best with a GPU)

The source classes are airplane, automobile, bird, cat and deer; the target classes are dog, frog,
horse, ship and truck.

A recorded run of the solution (`dlcourse run lab07`, CIFAR-10, pixels through JPEG):

    data: CIFAR-10 from datasets/cifar10.npz; 10,000 source and 20,000 target images

    linear classifier on           1% labels       5% labels      20% labels
    source labels               67.5% ± 0.6%    73.5% ± 0.5%    75.7% ± 0.1%
    colorization                55.4% ± 0.9%    63.6% ± 0.9%    65.8% ± 0.2%
    NAT                         52.8% ± 0.5%    59.6% ± 0.4%    63.1% ± 0.4%
    random weights              52.7% ± 0.6%    60.4% ± 0.4%    63.2% ± 0.4%

    target labels           from scratch        features      fine-tuned
    1% (200 images)         60.1% ± 0.6%    67.5% ± 0.6%    68.4% ± 0.4%
    5% (1,001 images)       70.3% ± 0.7%    73.5% ± 0.5%    75.2% ± 0.1%
    20% (4,000 images)      78.6% ± 0.4%    75.7% ± 0.1%    80.3% ± 0.3%

    validation accuracy by temperature: 1: 73.4%, 2: 74.1%, 4: 73.5%, 8: 72.1%; chosen: 2
                                  parameters     test accuracy
    teacher                          250,205      80.5%
    student, labels                    5,411      73.4% ± 0.3%
    student, distilled                 5,411      74.3% ± 0.8%
    student, hints, distilled          5,411      74.0% ± 0.6%

    rank      parameters    accuracy    fine-tuned
    1              1,792       20.0%         20.0%
    2              3,456       41.9%         46.2%
    4              6,784       73.7%         76.2%
    8             13,440       78.9%         79.6%
    16            26,752       80.3%         80.5%
    32            53,376       80.3%         80.8%
    64           106,624       80.5%         80.6%
    128          213,120       80.5%         80.8%
    whole        196,736       80.5%
    figures: results/lab07

Over 3 seeds (mean, standard deviation, how many seeds agree):

    20 %: colorization minus random features, spread       2.6% (0.1%) > 0.4%            3 of 3
    1 %: fine-tuned minus from scratch, spread             8.3% (0.6%) > 0.6%            3 of 3
    student: distilled minus labels, spread                0.9% (0.6%) > 0.8%            2 of 3
    full rank: largest difference of the outputs              8.77e-05 < 0.001           exact
    frozen: what still learns or is in training                      0 = 0               exact
    features in batches of 3: difference                             0 < 1e-05           exact
    two steps with decay 1/2: the weight                        0.5189 = 0.5189          exact
    learning rate of the head, of the backbone                       4 = 4               exact
    gray of pure red                                             0.299 = 0.299           exact
    red of pure red, less its gray                               0.701 = 0.701           exact
    points: lengths differ from 1 by                         1.192e-07 < 1e-05           exact
    points that match themselves: difference                         0 = 0               exact
    distilled, odds of e to 1 against 1 to 1, T = 2             0.4438 = 0.4438          exact
    hint loss of ones against zeros                                0.5 = 0.5             exact
    numbers of 6 -> 4 at rank 2                                     24 = 24              exact
The figures in results/lab07:

    low_rank: Accuracy by the parameters of a layer cut to rank r, before and after a short
      fine-tuning.
    transfer: Test accuracy by the share of labels: a network from scratch, features, fine-tuning.
"""

# %%
from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, models, plots
from dlcourse.errors import UsageError
from dlcourse.findings import Findings

# %% [markdown]
# ## 1. Features
# The backbone is the network without its last layer. Its outputs are the features of an image. A
# frozen backbone does not learn: its parameters get no gradient, and its batch normalization uses
# the mean and the variance that it has measured before.


# %%
def freeze(model: nn.Module) -> nn.Module:
    """Freeze `model` and return it: no parameter requires a gradient, and it is in evaluation mode.

    >>> frozen = freeze(nn.Sequential(nn.Linear(2, 3), nn.Dropout()))
    >>> frozen[0].weight.requires_grad, frozen[1].training
    (False, False)
    """
    # Task 7.1 (2 points). For a hint: dlcourse hint 7.1
    raise NotImplementedError("task 7.1: freeze")


def extract(model: Callable[[Tensor], Tensor], inputs: Tensor, batch_size: int = 500) -> Tensor:
    """Return the features of all inputs, computed in batches of at most `batch_size`.

    The result is flat and holds no graph for gradients.
    Shape: inputs (N, *) -> (N, D), where `model` maps (B, *) to (B, ...) with D numbers each.

    >>> extract(nn.AvgPool2d(2), torch.ones(3, 1, 4, 2), batch_size=2)
    tensor([[1., 1.],
            [1., 1.],
            [1., 1.]])
    """
    # Task 7.1, continued.
    raise NotImplementedError("task 7.1: extract")


# %%
def fit_linear(
    features: Tensor, labels: Tensor, num_classes: int, lr: float, steps: int, weight_decay: float
) -> tuple[Tensor, Tensor]:
    """Train a linear classifier by gradient descent on all features at once; return weight, bias.

    Start with zeros. Each of the `steps` steps moves both parameters against the gradient of
        mean of the cross-entropy + weight_decay / 2 * (sum of the squares of the weight).
    Shape: features (N, D), labels int64 (N,) -> weight (num_classes, D), bias (num_classes,). Both
    have the dtype of `features` and require no gradient.

    >>> fit_linear(torch.tensor([[1.0], [-1.0]]), torch.tensor([0, 1]), 2, 1.0, 1, 0.0)
    (tensor([[ 0.5000],
            [-0.5000]]), tensor([0., 0.]))
    """
    # Task 7.2 (2 points). For a hint: dlcourse hint 7.2
    raise NotImplementedError("task 7.2: fit_linear")


# %% [markdown]
# ## 2. Fine-tuning
# Fine-tuning continues the training of the backbone on the new classes. The new last layer, the
# head, begins with random weights and needs large steps. The backbone is already good, and large
# steps would destroy what it has learned. So each gets its own learning rate. The optimizers of
# torch take a list of groups, each a dict with "params" and "lr".


# %%
def parameter_groups(
    backbone: nn.Module, head: nn.Module, backbone_lr: float, head_lr: float
) -> list[dict[str, Any]]:
    """Return two groups for an optimizer: the backbone's parameters, then the head's.

    Each is {"params": a list of parameters, "lr": its learning rate}. Frozen parameters are in
    no group.

    >>> groups = parameter_groups(nn.Linear(3, 2), nn.Linear(2, 1, bias=False), 0.01, 0.1)
    >>> [(len(group["params"]), group["lr"]) for group in groups]
    [(2, 0.01), (1, 0.1)]
    """
    # Task 7.3 (1 point). For a hint: dlcourse hint 7.3
    raise NotImplementedError("task 7.3: parameter_groups")


# %% [markdown]
# ## 3. Learning without labels
# A pretext task has targets that cost nothing. Here the network sees the image in gray and must say
# which colors it had. For that it must recognize what is in the image.


# %%
def colorization(images: Tensor, cell: int = 4) -> tuple[Tensor, Tensor]:
    """Return the images in gray, and the colors that are missing, coarsely.

    The gray value of a pixel is Y = 0.299 R + 0.587 G + 0.114 B; all three channels of `inputs`
    hold it. Its color is (R - Y, B - Y). The targets hold the mean color of each cell of `cell`
    times `cell` pixels.
    Shape: images (N, 3, H, W) from 0 to 1, H and W multiples of `cell` -> inputs (N, 3, H, W),
    targets (N, 2, H / cell, W / cell).

    >>> inputs, targets = colorization(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1), cell=1)
    >>> inputs.flatten(), targets.flatten()
    (tensor([0.2990, 0.2990, 0.2990]), tensor([ 0.7010, -0.2990]))
    """
    # Task 7.4 (2 points). For a hint: dlcourse hint 7.4
    raise NotImplementedError("task 7.4: colorization")


# %% [markdown]
# Noise as targets (NAT, Bojanowski & Joulin 2017): draw a random point on the unit sphere for each
# image, and train the network to map the images to the points. Which image gets which point is not
# fixed: within a batch the points are exchanged so that each image gets a near one, and each point
# is used once. Similar images then get similar points, while the points keep the features apart.


# %%
def unit_vectors(count: int, dim: int, generator: torch.Generator) -> Tensor:
    """Return `count` random points on the unit sphere, every direction equally likely.

    Draw only with `generator`. Shape: -> (count, dim).

    >>> unit_vectors(2, 3, torch.Generator()).norm(dim=1)
    tensor([1., 1.])
    """
    # Task 7.5 (2 points). For a hint: dlcourse hint 7.5
    raise NotImplementedError("task 7.5: unit_vectors")


def assign(cost: Tensor) -> Tensor:
    """Return a column for each row, each column once, with the smallest sum of costs; complete.

    The Hungarian algorithm with shortest paths (Jonker & Volgenant 1987). The result is exact.
    Shape: cost (N, N), finite -> int64 (N,).

    >>> assign(torch.tensor([[1.0, 2.0], [1.0, 9.0]]))  # 2 + 1 is less than 1 + 9
    tensor([1, 0])
    """
    costs, n = cost.detach().cpu().double().numpy(), len(cost)
    # Column n is an extra one, in which each row waits for its place.
    row_of, by_row, by_column = np.full(n + 1, -1), np.zeros(n), np.zeros(n + 1)
    for row in range(n):
        row_of[n] = row
        column, done = n, np.zeros(n + 1, dtype=bool)
        distance, came_from = np.full(n, np.inf), np.full(n, n)
        while row_of[column] >= 0:
            done[column] = True
            new = costs[row_of[column]] - by_row[row_of[column]] - by_column[:n]
            shorter = ~done[:n] & (new < distance)
            distance[shorter], came_from[shorter] = new[shorter], column
            next_column = int(np.where(done[:n], np.inf, distance).argmin())
            step = distance[next_column]
            by_row[row_of[done]] += step
            by_column[done] -= step
            distance[~done[:n]] -= step
            column = next_column
        while column != n:
            row_of[column] = row_of[came_from[column]]
            column = came_from[column]
    return torch.from_numpy(row_of[:n].argsort())


def match(features: Tensor, points: Tensor) -> Tensor:
    """Return the points in the order that brings them nearest to the features.

    Row n of the result is the point of feature n. Each point is used once, and the sum of the
    squared distances |feature n - its point|^2 is as small as possible. The features may have any
    length; the points have length 1.
    Shape: features (N, D), points (N, D) -> (N, D), without a graph for gradients.

    >>> match(torch.tensor([[0.0, 2.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor([[0., 1.],
            [1., 0.]])
    """
    # Task 7.5, continued.
    raise NotImplementedError("task 7.5: match")


# %% [markdown]
# ## 4. Distillation
# A small student network can learn from a large teacher. The teacher's logits say more than a
# label: also how much a dog looks like a cat. A temperature T above 1 makes the probabilities
# softer, so that the small ones count too (Hinton, Vinyals & Dean 2015).


# %%
def distillation_loss(
    logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float, weight: float = 0.9
) -> Tensor:
    """Return weight * T^2 * KL(teacher, student) + (1 - weight) * cross-entropy with the labels.

    KL is the Kullback-Leibler divergence sum_k t_k log(t_k / s_k) between the probabilities
    t = softmax(teacher_logits / T) and s = softmax(logits / T). Its gradient for the logits shrinks
    like 1 / T^2, so the factor T^2 keeps both parts comparable. Both parts are means over the
    batch. No gradient goes to the teacher.
    Shape: logits and teacher_logits (N, C), labels int64 (N,) -> ().

    >>> logits = torch.tensor([[0.0, 0.0]])
    >>> distillation_loss(logits, torch.tensor([[2.0, 0.0]]), torch.tensor([0]), 2.0, weight=1.0)
    tensor(0.4438)
    """
    if not temperature > 0:
        raise UsageError(f"temperature must be above 0, got {temperature}; try 2 or 4")
    # Task 7.6 (2 points). For a hint: dlcourse hint 7.6
    raise NotImplementedError("task 7.6: distillation_loss")


# %% [markdown]
# A hint goes further: the maps in the middle of the student should tell what the teacher's maps in
# the middle tell (FitNets, Romero et al. 2015). The student has fewer maps, so a regressor, which
# is trained with it and then thrown away, translates them.


# %%
def hint_loss(maps: Tensor, teacher_maps: Tensor, regressor: Callable[[Tensor], Tensor]) -> Tensor:
    """Return half of the mean squared difference between regressor(maps) and teacher_maps.

    The mean is over all numbers of all images. No gradient goes to the teacher.
    Shape: maps (N, C, H, W), teacher_maps (N, K, H, W); regressor: (N, C, H, W) -> (N, K, H, W).
    The result has the shape ().

    >>> hint_loss(torch.ones(1, 1, 1, 2), torch.zeros(1, 1, 1, 2), lambda maps: 3 * maps)
    tensor(4.5000)
    """
    # Task 7.7 (1 point). For a hint: dlcourse hint 7.7
    raise NotImplementedError("task 7.7: hint_loss")


# %% [markdown]
# ## 5. Low rank
# The singular value decomposition W = U diag(S) V^T writes a weight as a sum of matrices of rank 1,
# the largest first. The first r of them are the best approximation of rank r (Eckart & Young 1936).
# Two thin layers compute it with r (in + out) numbers instead of in * out.


# %%
def low_rank(layer: nn.Linear, rank: int) -> nn.Sequential:
    """Return two linear layers, in -> rank -> out, that are the best approximation of `layer`.

    The first layer has no bias; the second one has a copy of the bias of `layer`, or none if
    `layer` has none. Training them does not change `layer`.

    >>> halves = low_rank(nn.Linear(6, 4), 2)
    >>> [tuple(parameter.shape) for parameter in halves.parameters()]
    [(2, 6), (4, 2), (4,)]
    """
    most = min(layer.weight.shape)
    if not 1 <= rank <= most:
        raise UsageError(f"rank must be from 1 to {most}, the rank of {layer}, got {rank}")
    # Task 7.8 (3 points). For a hint: dlcourse hint 7.8
    raise NotImplementedError("task 7.8: low_rank")


# %% [markdown]
# ## 6. The experiment
# The first five classes of CIFAR-10 are the source: all of their labels are known. The other five
# are the target, of which few labels are known.
#
# Before you run it, write down your guess: after training on 40 images of each class, how many of
# 100 target images does a network recognize, with and without the source? Which features are the
# best without labels? How much smaller can a layer become?
#
# *Your prediction:*

# %%
Split = tuple[Tensor, Tensor]
Seeds = Sequence[int]
SOURCE, TARGET = range(5), range(5, 10)
SHARES = (0.01, 0.05, 0.2)
# The means and standard deviations of the pixels in torchvision's recipe for ImageNet.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def of_classes(images: Tensor, labels: Tensor, classes: Sequence[int], limit: int) -> Split:
    """Return the first images of these classes, from 0 to 1, and their labels from 0 on.

    Raises UsageError for a class without images.
    """
    for label in classes:
        if not bool((labels == label).any()):
            raise UsageError(f"class {label} has no images; choose other classes or other data")
    places = torch.isin(labels, torch.tensor(classes)).nonzero().squeeze(1)[:limit]
    return images[places].float() / 255, labels[places] - classes[0]


def draw_share(labels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return the places of a share of the labels, drawn at random, equally many of each class.

    Raises UsageError for a share that is not between 0 and 1, and if a class keeps no label.
    """
    if not 0 <= share <= 1:
        raise UsageError(f"share of the labels must be from 0 to 1, got {share}")
    chosen = []
    for label in range(int(labels.max()) + 1):
        places = (labels == label).nonzero().squeeze(1)
        count = round(share * len(places))
        if not count:
            raise UsageError(
                f"class {label} has {len(places)} images, and a share of {share} leaves none of "
                "them; give a larger share or more images"
            )
        chosen.append(places[torch.randperm(len(places), generator=generator)[:count]])
    return torch.cat(chosen)


class Target:
    """The target images: a training part of which few labels are used, validation and test."""

    def __init__(self, train: Split, val: Split, test: Split) -> None:
        self.train, self.val, self.test = train, val, test

    def draw(self, share: float, seed: int) -> Tensor:
        return draw_share(self.train[1].cpu(), share, torch.Generator().manual_seed(seed))

    def few(self, share: float, seed: int) -> Split:
        places = self.draw(share, seed)
        return self.train[0][places], self.train[1][places]


class Normalize(nn.Module):
    """Standardize pixels from 0 to 1, and enlarge the images to `size` times `size` pixels."""

    def __init__(self, size: int = 32) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        mean, std = (torch.tensor(values).to(images).view(3, 1, 1) for values in (MEAN, STD))
        if images.shape[-1] != self.size:
            images = F.interpolate(images, size=self.size, mode="bilinear", antialias=True)
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def small_backbone(width: int) -> nn.Sequential:
    """Three convolutions with stride 2. Shape: (N, 3, 32, 32) -> (N, 4 width, 4, 4)."""
    net = nn.Sequential(Normalize())
    for fan_in, fan_out in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
        convolution = nn.Conv2d(fan_in, fan_out, 3, stride=2, padding=1, bias=False)
        net.append(nn.Sequential(convolution, nn.BatchNorm2d(fan_out), nn.ReLU()))
    return net.to(memory_format=torch.channels_last)


def resnet_backbone(model: models.ResNet) -> nn.Sequential:
    """A ResNet without its last layer. Shape: (N, 3, 32, 32) -> (N, 512, 2, 2)."""
    first = nn.Sequential(model.conv1, model.bn1, nn.ReLU(), model.maxpool, model.layer1)
    parts = Normalize(64), first, model.layer2, nn.Sequential(model.layer3, model.layer4)
    return nn.Sequential(*parts).to(memory_format=torch.channels_last)


def pretrained_resnet(name: str, data_dir: str | None, offline: bool) -> models.ResNet:
    """ResNet-18 with the weights called `name`, from the data folder or from torchvision.

    Raises DataError if they are not available, UsageError for weights of another network.
    """
    model = models.ResNet()
    models.load_weights(model, data.load_state_dict(name, data_dir, offline=offline))
    return model


def train(
    loss: Callable[[Tensor], Tensor],
    groups: list[dict[str, Any]],
    size: int,
    epochs: int,
    seed: int,
) -> None:
    """Minimize loss(places of a batch) with Adam; the learning rates fall to 0."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(groups)
    batch_size = min(100, size // 4)
    steps = epochs * (size // batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for _ in range(epochs):
        order = torch.randperm(size, generator=generator)
        for batch in order[: size - size % batch_size].split(batch_size):
            value = loss(batch)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()


def flip(images: Tensor) -> Tensor:
    """Mirror each image with probability 1/2."""
    chosen = torch.rand(len(images), 1, 1, 1).to(images.device) < 0.5
    return torch.where(chosen, images.flip(3), images)


def learn(
    backbone: nn.Module,
    head: nn.Module,
    split: Split,
    epochs: int,
    lrs: tuple[float, float],
    seed: int,
) -> None:
    """Train backbone and head on labels, with a learning rate for each."""
    images, labels = split
    for part in (backbone, head):
        part.requires_grad_(True).train()

    def loss(batch: Tensor) -> Tensor:
        return F.cross_entropy(head(backbone(flip(images[batch]))), labels[batch])

    train(loss, parameter_groups(backbone, head, *lrs), len(labels), epochs, seed)


def accuracy(backbone: nn.Module, head: nn.Module, split: Split) -> float:
    logits = extract(nn.Sequential(freeze(backbone), freeze(head)), split[0])
    return (logits.argmax(1) == split[1]).double().mean().item()


def flat(backbone: nn.Module) -> int:
    """Return how many features the backbone gives."""
    return extract(freeze(backbone), torch.zeros(1, 3, 32, 32)).shape[1]


def linear_head(features: int, hidden: int = 0) -> nn.Sequential:
    layers = [nn.Linear(features, hidden), nn.ReLU()] if hidden else []
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(hidden or features, len(TARGET)))


def linear_accuracies(backbone: nn.Module, target: Target, seeds: Seeds) -> list[list[float]]:
    """Return the test accuracy of a linear classifier on frozen features, by share and seed.

    The weight decay is the one with the best validation accuracy.
    """
    frozen, rows = freeze(backbone), []
    features = [extract(frozen, images) for images, _ in (target.train, target.val, target.test)]
    for share in SHARES:
        row = []
        for seed in seeds:
            places = target.draw(share, seed)
            mean, std = features[0][places].mean(0), features[0][places].std(0) + 1e-3
            known, valid, unseen = (
                (part - mean) / std for part in (features[0][places], *features[1:])
            )
            found = []
            for decay in (0.01, 0.1, 1.0):
                lr = 20 / known.shape[1]
                classifier = fit_linear(known, target.train[1][places], len(TARGET), lr, 100, decay)
                found.append(
                    tuple(
                        (F.linear(part, *classifier).argmax(1) == labels).double().mean().item()
                        for part, (_, labels) in ((valid, target.val), (unseen, target.test))
                    )
                )
            row.append(max(found)[1])
        rows.append(row)
    return rows


def learn_colors(backbone: nn.Module, images: Tensor, epochs: int, seed: int) -> None:
    """Train the backbone to tell the colors of gray images."""
    backbone.requires_grad_(True).train()
    channels, side = backbone(images[:2]).shape[1:3]
    head = nn.Conv2d(channels, 2, 1).to(images.device)

    def loss(batch: Tensor) -> Tensor:
        inputs, targets = colorization(flip(images[batch]), images.shape[-1] // side)
        # The colors are about 0.1, so that their squares would be tiny.
        return F.mse_loss(head(backbone(inputs)), 10 * targets)

    train(loss, parameter_groups(backbone, head, 3e-3, 3e-3), len(images), epochs, seed)


def learn_noise(backbone: nn.Module, images: Tensor, epochs: int, seed: int, dim: int = 64) -> None:
    """Train the backbone to map the images to points on the sphere."""
    features = flat(backbone)
    backbone.requires_grad_(True).train()
    head = nn.Sequential(nn.Flatten(), nn.Linear(features, dim)).to(images.device)
    points = unit_vectors(len(images), dim, torch.Generator().manual_seed(seed)).to(images.device)

    def loss(batch: Tensor) -> Tensor:
        outputs = F.normalize(head(backbone(flip(images[batch]))))
        points[batch] = match(outputs, points[batch])
        return (outputs - points[batch]).square().sum(dim=1).mean()

    train(loss, parameter_groups(backbone, head, 3e-3, 3e-3), len(images), epochs, seed)


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the standard deviation, which is 0 for a single value."""
    numbers = torch.tensor(values, dtype=torch.float64)
    return numbers.mean().item(), numbers.std().item() if len(values) > 1 else 0.0


def shown(values: Sequence[float]) -> str:
    mean, spread = mean_and_spread(values)
    return f"{mean:.1%} ± {spread:.1%}"


def claim_gain(
    findings: Findings, text: str, better: Sequence[float], worse: Sequence[float], task: str
) -> None:
    """Claim that the difference is more than the larger spread over the seeds."""
    gains = [one - other for one, other in zip(better, worse, strict=True)]
    spread = max(mean_and_spread(better)[1], mean_and_spread(worse)[1])
    findings.claim(text, gains, ">", spread, ".1%", task=task)


def compare_features(
    backbones: dict[str, nn.Module], target: Target, seeds: Seeds, findings: Findings
) -> dict[str, list[list[float]]]:
    """Print and return the accuracy of a linear classifier on the features of each backbone."""
    print(f"\n{'linear classifier on':<24}" + "".join(f"{f'{s:.0%} labels':>16}" for s in SHARES))
    found = {name: linear_accuracies(net, target, seeds) for name, net in backbones.items()}
    for name, rows in found.items():
        print(f"{name:<24}" + "".join(f"{shown(values):>16}" for values in rows))
    if "colorization" in found:
        text = "20 %: colorization minus random features, spread"
        better, worse = found["colorization"][-1], found["random weights"][-1]
        claim_gain(findings, text, better, worse, "7.4")
    return found


def compare_transfer(
    make: Callable[[bool], nn.Module],
    features: list[list[float]],
    target: Target,
    epochs: int,
    seeds: Seeds,
    findings: Findings,
) -> dict[str, list[float]]:
    """Print the accuracy by the share of labels; return the mean curves by name.

    make: returns a new backbone, trained on the source or not. features: the accuracies of a linear
        classifier on the features of a trained one, by share and seed.
    """
    print(f"\n{'target labels':<20}{'from scratch':>16}{'features':>16}{'fine-tuned':>16}")
    curves: dict[str, list[float]] = {"from scratch": [], "features": [], "fine-tuned": []}
    for share, row in zip(SHARES, features, strict=True):
        found: dict[str, list[float]] = {"from scratch": [], "features": row, "fine-tuned": []}
        for seed in seeds:
            few = target.few(share, seed)
            # Fewer images need more epochs, but not more steps.
            length = max(1, round(epochs * (0.2 / share) ** 0.3))
            for name, pretrained, lrs in (
                ("from scratch", False, (3e-3, 3e-3)),
                ("fine-tuned", True, (1e-3, 1e-2)),
            ):
                torch.manual_seed(seed)
                backbone = make(pretrained)
                head = linear_head(flat(backbone)).to(few[0].device)
                learn(backbone, head, few, length, lrs, seed)
                found[name].append(accuracy(backbone, head, target.test))
        cells = "".join(f"{shown(found[name]):>16}" for name in curves)
        print(f"{f'{share:.0%} ({len(few[1]):,} images)':<20}{cells}")
        for name, values in found.items():
            curves[name].append(mean_and_spread(values)[0])
        if share == SHARES[0]:
            text = "1 %: fine-tuned minus from scratch, spread"
            claim_gain(findings, text, found["fine-tuned"], found["from scratch"], "7.3")
    return curves


class Teaching:
    """What students learn from: images and their mirror images, labels, what the teacher says."""

    def __init__(self, teacher: nn.Sequential, few: Split) -> None:
        self.images, self.labels = torch.cat([few[0], few[0].flip(3)]), few[1].repeat(2)
        self.logits = extract(freeze(teacher), self.images)
        middle = teacher[0][:3]
        self.shape = middle(few[0][:1]).shape[1:]
        self.maps = extract(middle, self.images)

    def train_student(
        self, width: int, epochs: int, seed: int, temperature: float | None, hints: bool = False
    ) -> nn.Sequential:
        """Train a new student on the labels alone (temperature None), or distilled."""
        torch.manual_seed(seed)
        backbone = small_backbone(width).to(self.images.device)
        model = nn.Sequential(backbone, linear_head(flat(backbone)).to(self.images.device))
        model.requires_grad_(True).train()
        if hints:
            self.follow_hints(backbone[:3], max(1, epochs // 3), seed)

        def loss(batch: Tensor) -> Tensor:
            logits, labels = model(self.images[batch]), self.labels[batch]
            if temperature is None:
                return F.cross_entropy(logits, labels)
            return distillation_loss(logits, self.logits[batch], labels, temperature)

        train(loss, parameter_groups(*model, 3e-3, 3e-3), len(self.labels), epochs, seed)
        return model

    def follow_hints(self, lower: nn.Module, epochs: int, seed: int) -> None:
        """Train the lower half of a student to give the maps in the middle of the teacher."""
        regressor = nn.Conv2d(lower(self.images[:2]).shape[1], self.shape[0], 1)
        regressor.to(self.images.device)

        def loss(batch: Tensor) -> Tensor:
            hints = self.maps[batch].unflatten(1, self.shape)
            return hint_loss(lower(self.images[batch]), hints, regressor)

        groups = parameter_groups(lower, regressor, 3e-3, 3e-3)
        train(loss, groups, len(self.labels), epochs, seed)


def compress(
    teacher: nn.Sequential,
    target: Target,
    width: int,
    epochs: int,
    seeds: Seeds,
    findings: Findings,
) -> None:
    """Print the accuracy of the teacher and of students that learn from labels and from it."""
    teaching = Teaching(teacher, target.few(SHARES[-1], seeds[0]))
    scores = {}
    for temperature in (1.0, 2.0, 4.0, 8.0):
        model = teaching.train_student(width, epochs, seeds[0], temperature)
        scores[temperature] = accuracy(*model, target.val)
    best = max(scores, key=lambda temperature: scores[temperature])
    listed = ", ".join(f"{t:g}: {score:.1%}" for t, score in scores.items())
    print(f"\nvalidation accuracy by temperature: {listed}; chosen: {best:g}")
    print(f"{'':<28}{'parameters':>12}{'test accuracy':>18}")
    right = accuracy(*teacher, target.test)
    print(f"{'teacher':<28}{count_numbers(teacher):>12,}{f'{right:.1%}':>11}")
    found = {}
    for name, how in {
        "student, labels": (None, False),
        "student, distilled": (best, False),
        "student, hints, distilled": (best, True),
    }.items():
        made = [teaching.train_student(width, epochs, seed, *how) for seed in seeds]
        found[name] = [accuracy(*model, target.test) for model in made]
        print(f"{name:<28}{count_numbers(made[0]):>12,}{shown(found[name]):>18}")
    distilled, labels = found["student, distilled"], found["student, labels"]
    claim_gain(findings, "student: distilled minus labels, spread", distilled, labels, "7.6")


def count_numbers(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def cut_layer(
    teacher: nn.Sequential, few: Split, test: Split, epochs: int, seed: int, findings: Findings
) -> tuple[list[int], dict[str, list[float]]]:
    """Print and return the accuracy of the teacher with its largest layer cut to rank r.

    Only the head learns again, so its features need to be computed only once.
    """
    backbone, head = teacher
    layer = head[1]
    known, unseen = (extract(freeze(backbone), images) for images, _ in (few, test))
    whole = accuracy(nn.Identity(), head, (unseen, test[1]))
    print(f"\n{'rank':<8}{'parameters':>12}{'accuracy':>12}{'fine-tuned':>14}")
    ranks = [rank for rank in (1, 2, 4, 8, 16, 32, 64, 128) if rank <= min(layer.weight.shape)]
    sizes, curves = [], {"cut": [], "cut and fine-tuned": []}
    for rank in ranks:
        short = nn.Sequential(nn.Flatten(), low_rank(layer, rank), *copy.deepcopy(head[2:]))
        sizes.append(count_numbers(short[1]))
        curves["cut"].append(accuracy(nn.Identity(), short, (unseen, test[1])))
        short.requires_grad_(True).train()

        def loss(batch: Tensor, short: nn.Module = short) -> Tensor:
            return F.cross_entropy(short(known[batch]), few[1][batch])

        groups = [{"params": list(short.parameters()), "lr": 3e-4}]
        train(loss, groups, len(known), epochs, seed)
        curves["cut and fine-tuned"].append(accuracy(nn.Identity(), short, (unseen, test[1])))
        cells = [values[-1] for values in curves.values()]
        print(f"{rank:<8}{sizes[-1]:>12,}{cells[0]:>12.1%}{cells[1]:>14.1%}")
    print(f"{'whole':<8}{count_numbers(layer):>12,}{whole:>12.1%}")
    difference = low_rank(layer, min(layer.weight.shape))(unseen) - layer(unseen)
    largest = difference.abs().max().item()
    findings.claim("full rank: largest difference of the outputs", largest, "<", 1e-3,
                   task="7.1 or 7.8", exact=True)  # fmt: skip
    return sizes, curves


def check_pieces(findings: Findings) -> None:
    """Compare what your functions compute with what is known without them."""
    claim = functools.partial(findings.claim, form=".4g", exact=True)
    net = freeze(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout()))
    awake = sum(part.training for part in net.modules())
    awake += sum(weight.requires_grad for weight in net.parameters())
    claim("frozen: what still learns or is in training", awake, "=", 0, task="7.1")
    inputs = torch.randn(8, 4)
    apart = (extract(net, inputs, batch_size=3) - net(inputs)).abs().max().item()
    claim("features in batches of 3: difference", apart, "<", 1e-5, task="7.1")
    # After step 1 the logits of both samples are 1/2 and -1/2 apart from 0.
    pair, labels = torch.tensor([[1.0], [-1.0]]), torch.tensor([0, 1])
    weight = fit_linear(pair, labels, 2, lr=1.0, steps=2, weight_decay=0.5)[0][0].item()
    sure = 1 / (1 + math.exp(-1))
    claim("two steps with decay 1/2: the weight", round(weight, 4), "=",
          round(0.5 + (1 - sure) - 0.25, 4), task="7.2")  # fmt: skip
    rates = [group["lr"] for group in parameter_groups(nn.Linear(3, 2), nn.Linear(2, 1), 0.1, 0.4)]
    claim("learning rate of the head, of the backbone", rates[1] / rates[0], "=", 4, task="7.3")
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    gray, colors = (part.flatten()[0].item() for part in colorization(red))
    claim("gray of pure red", round(gray, 4), "=", 0.299, task="7.4")
    claim("red of pure red, less its gray", round(colors, 4), "=", 0.701, task="7.4")
    points = unit_vectors(50, 8, torch.Generator().manual_seed(0))
    apart = (points.norm(dim=1) - 1).abs().max().item()
    claim("points: lengths differ from 1 by", apart, "<", 1e-5, task="7.5")
    apart = (match(3 * points.flip(0), points) - points.flip(0)).abs().max().item()
    claim("points that match themselves: difference", apart, "=", 0, task="7.5")
    logits, teacher = torch.zeros(1, 2), torch.tensor([[2.0, 0.0]])
    loss = distillation_loss(logits, teacher, torch.tensor([0]), 2.0, weight=1.0).item()
    known = 4 * (math.log(2) + sure * math.log(sure) + (1 - sure) * math.log(1 - sure))
    claim("distilled, odds of e to 1 against 1 to 1, T = 2", round(loss, 4), "=", round(known, 4),
          task="7.6")  # fmt: skip
    maps = torch.ones(2, 3, 4, 4)
    loss = round(hint_loss(maps, 0 * maps, nn.Identity()).item(), 4)
    claim("hint loss of ones against zeros", loss, "=", 0.5, task="7.7")
    count = count_numbers(low_rank(nn.Linear(6, 4), 2))
    claim("numbers of 6 -> 4 at rank 2", count, "=", 2 * (6 + 4) + 4, task="7.8")


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags(
        "lab07", __doc__, argv, epochs=6, full_epochs=30, tiny_epochs=1,
        backbones=("small", "resnet18"),
    )  # fmt: skip
    resnet = None
    if args.backbone == "resnet18":
        resnet = pretrained_resnet("resnet18-weights", args.data_dir, args.offline)
    cifar = data.load("cifar10", args.data_dir, offline=args.offline)
    large, fewer, width = (400, 100, 4) if args.tiny else (20_000, 2000, 24)
    images, labels = cifar.train_images, cifar.train_labels
    half = len(images) * 9 // 10
    splits = (
        of_classes(images[:half], labels[:half], SOURCE, large // 2),
        of_classes(images[:half], labels[:half], TARGET, large),
        of_classes(images[half:], labels[half:], TARGET, fewer),
        of_classes(cifar.test_images, cifar.test_labels, TARGET, fewer if args.tiny else 5000),
    )
    source, *parts = [(x.to(args.device), y.to(args.device)) for x, y in splits]
    target = Target(*parts)
    print(f"data: {cifar.source}; {len(source[1]):,} source and {large:,} target images")
    findings, seeds = args.findings, range(3 * args.seed, 3 * args.seed + (1 if args.tiny else 3))

    state: dict[str, Tensor] = {}

    def make(pretrained: bool) -> nn.Module:
        backbone = resnet_backbone(models.ResNet()) if resnet else small_backbone(width)
        if pretrained:
            backbone.load_state_dict(state)
        return backbone.to(args.device)

    if resnet is None:
        known = "source labels"
        torch.manual_seed(args.seed)
        origin = make(False)
        head = linear_head(flat(origin), 128).to(args.device)
        learn(origin, head, source, args.epochs, (3e-3, 3e-3), args.seed)
    else:
        known = "ImageNet labels"
        origin = resnet_backbone(resnet).to(args.device)
        print("backbone: ResNet-18 with ImageNet's weights; no source, no colorization, no NAT")
    state.update(copy.deepcopy(origin.state_dict()))

    backbones = {known: origin}
    if resnet is None:
        unlabeled = torch.cat([source[0], target.train[0]])[::3]
        for name, learn_alone in (("colorization", learn_colors), ("NAT", learn_noise)):
            torch.manual_seed(args.seed)
            backbones[name] = make(False)
            learn_alone(backbones[name], unlabeled, args.epochs, args.seed)
    torch.manual_seed(args.seed)
    backbones["random weights"] = make(False)
    features = compare_features(backbones, target, seeds, findings)
    curves = compare_transfer(make, features[known], target, args.epochs, seeds, findings)

    few = target.few(SHARES[-1], seeds[0])
    torch.manual_seed(args.seed)
    teacher = nn.Sequential(make(True), linear_head(flat(origin), 128).to(args.device))
    learn(teacher[0], teacher[1], few, args.epochs, (1e-3, 1e-2), args.seed)
    compress(teacher, target, width // 4, args.epochs, seeds, findings)
    sizes, ranks = cut_layer(teacher, few, target.test, 3, args.seed, findings)
    check_pieces(findings)

    if args.plot:
        plots.curves(
            curves, args.out / "transfer.png", x=[100 * share for share in SHARES], xscale="log",
            xlabel="labels of the target in %", ylabel="test accuracy", percent=True,
        )  # fmt: skip
        plots.curves(
            ranks, args.out / "low_rank.png", x=sizes, xscale="log",
            xlabel="parameters of the layer", ylabel="test accuracy", percent=True,
        )  # fmt: skip
        print(f"figures: {args.out}")
    findings.report()


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** Why does fine-tuning help most with 1 % of the labels, and why does the head get a larger
# learning rate than the backbone?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Edges, colors and textures are useful for all classes, and 200 images are too few to learn them.
# With more labels the network can learn them from the target itself, so the source matters less.
# The head begins with random weights. If the backbone made steps of the same size, the random
# gradients that come through the head in the first steps would destroy its features.
# </details>
#
# **2.** Untrained convolutions are better features than one would expect. Why? And what could a
# pretext task add to them?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Random filters still respond to edges and colors, ReLU and stride make the responses robust
# against small shifts, and a linear classifier chooses among hundreds of them. A pretext task adds
# filters for what its targets need: to know the colors of a gray image, it must tell sky from
# grass. It helps as far as this is also what the labels need, and small networks that were trained
# for a short time learn little of it. In the recorded run colorization helps and NAT does not.
# </details>
#
# **3.** A student that is distilled sees the same images as one that learns from the labels. What
# more does it get, and why does a temperature help?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# For each image it gets the probabilities of all classes, not only the right one: that this truck
# looks a little like a ship. Here the teacher also knows the source classes, which the student has
# never seen. Without a temperature nearly all of the probability is at one class, and the rest
# hardly changes the loss.
# </details>
#
# ## What you have seen
# Features that were learned on some classes are worth many labels of others, and the fewer labels
# there are, the more. Features can also be learned without any label: colorization beats untrained
# convolutions, though it is far from features learned with labels. NAT does not beat them here. It
# has few epochs and small batches, so an image rarely meets a similar one with which it could share
# a part of the sphere; its authors trained far longer, on a million images. A small network learns
# a little more from a large one than from the labels alone, with 2 of 3 seeds; hints add nothing.
# The largest layer of the large network can lose nine tenths of its numbers at the cost of one
# percent.
#
# The seeds draw the labels and the start of each network that learns from them. The backbones of
# the table of features are trained once.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab07` asks seven questions with four choices each, and explains the answers.
