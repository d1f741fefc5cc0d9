# %% [markdown]
"""Lab 12: inside networks.

What does a trained network see, and can an image that a person calls a 7 be a 3 for it?

You look at the first filters, at the patches that excite a unit, and at the pixels that a decision
depends on. You climb from noise to an image that the network is sure of, make adversarial images
whose change is bounded, move the style of one picture to another, and write the grid sampler of a
spatial transformer.

Lecture sections: Adversarial examples; Neural style; Sample convolution filters learned.

    dlcourse check lab12              check your answers (takes seconds)
    dlcourse check lab12 --task 12.2  check one task
    dlcourse run lab12 --tiny         run the whole experiment on few images (takes seconds)
    dlcourse run lab12                run the whole experiment (minutes on a laptop)

A recorded run of the solution (`dlcourse run lab12`, real MNIST and CIFAR-10, 2 cores):

    data: MNIST from datasets/MNIST/raw; 5,400 training images

    LeNet-5 under attack: accuracy by epsilon on 300 test images of MNIST
                               0.0    0.05     0.1    0.15     0.2
    He's weights, FGSM       95.9%   78.4%   52.8%   30.8%   12.4%
    He's weights, PGD        95.9%   66.0%   12.8%    0.1%    0.0%
    PyTorch's, FGSM          95.1%   85.3%   61.8%   37.9%   16.8%
    PyTorch's, PGD           95.1%   82.4%   49.6%   14.9%    2.0%
    adversarial, FGSM        97.3%   94.6%   91.7%   89.1%   84.1%
    adversarial, PGD         97.3%   94.3%   91.1%   84.9%   60.4%
    PGD toward the next digit, epsilon 0.25: 99.9% ± 0.2% are read as it
    data: CIFAR-10 from datasets/cifar10.npz

    CIFAR-10, 4,000 images; they went through JPEG
    test accuracy                       50.6% ± 1.9%
    roughness of the filters, untrained 2.03 ± 0.02
    roughness of the filters, trained   1.30 ± 0.02
    from noise, the least sure class    99.72% ± 0.04%
    style loss that is left             0.1% ± 0.0%
    content loss, against the style     86.4% ± 3.8%
    a unit of conv3 sees 22x22 pixels

    MNIST, each digit rotated by up to 90 degrees
    plain LeNet-5             78,196 parameters   test 93.4% ± 0.2%
    spatial transformer       78,028 parameters   test 94.7% ± 0.3%
    angles of a class's digits: standard deviation 51.7 degrees
    after the transformer: 28.3 ± 4.5 degrees

    VGG-19: for its pictures, fetch its weights: dlcourse data get vgg19-weights
    figures: results/lab12

Over 3 seeds (mean, standard deviation, how many seeds agree):

    pixels that changed by more than epsilon                         0 = 0               exact
    FGSM at 0.15                                          30.8% (0.5%) < 50.0%           3 of 3
    PGD at 0.15                                            0.1% (0.2%) < 5.0%            3 of 3
    PGD at 0.15: first weights, He's and PyTorch's         0.1% (0.2%) < 14.9% (6.1%)    3 of 3
    PGD at 0.15, trained on such images                   84.9% (1.1%) > 80.0%           3 of 3
    roughness: trained, untrained                          1.30 (0.02) < 2.03 (0.02)     3 of 3
    from noise, the least sure of 10 classes            99.72% (0.04%) > 99.00%          3 of 3
    style loss that is left                                0.1% (0.0%) < 20.0%           3 of 3
    content loss: picture with the style, the style       86.4% (3.8%) < 100.0%          3 of 3
    field equal to the measured one                                  1 = 1               exact
    parameters: transformer, plain                               78028 < 78196           exact
    rotated digits: transformer, plain                    94.7% (0.3%) > 93.4% (0.2%)    3 of 3
    the same: each transformer, the best plain net        94.7% (0.3%) > 93.5%           3 of 3
    spread of the angles: after, three quarters of before      28.3 (4.5) < 38.8            3 of 3
    filters: the strongest weight is 0 or 1, less                    0 < 1e-06           exact
    and weights that were changed by that                            0 = 0               exact
    saliency of a linear model, less its weights                     0 < 1e-05           exact
    length of a step of lr 0.1 uphill                              0.1 = 0.1             exact
    PGD toward a peak at 0.6: distance in the end                 0.02 < 0.09            exact
    Gram matrix of ones at 12 places                                12 = 12              exact
    style loss of ones against zeros                              0.25 = 0.25            exact
    content loss of ones against zeros                             0.5 = 0.5             exact
    images that are not moved: difference                    1.013e-06 < 0.0001          exact
The figures in results/lab12:

    adversarial: Digits, the change of each pixel (gray is none, shown twice as strong), and their
      sum, which the network reads as the next digit.
    attacks: Accuracy by epsilon; a network trained on adversarial images keeps most digits.
    filters: The first filters before and after training: edges and colors come out of the noise.
    from_noise: Images made from noise, and how sure the network is of the class it was asked for.
    patches: The patches that excite six units most; what lies outside the image is black.
    saliency: How much the logit of the label depends on each pixel; bright is much.
    straightened: Five digits at twelve angles, and what the spatial transformer makes of them: it
      turns most of them to nearly the same direction, the outermost only a part of the way.
    style: The content of one picture with the style of another.
"""

# %%
from __future__ import annotations

import functools
import itertools
import math
import statistics
from collections import OrderedDict
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, models, plots
from dlcourse.errors import DataError, UnknownNameError, UsageError
from dlcourse.findings import Findings

# %% [markdown]
# ## 1. Filters
# The first convolution works on the pixels themselves, so its filters can be drawn like images.


# %%
def filter_pictures(weight: Tensor) -> Tensor:
    """Return the filters as pictures with values in [0, 1].

    A weight of 0 becomes 0.5. The weight with the largest absolute value in its filter (over all
    its channels) becomes 1 if it is positive, 0 if it is negative, and all others are in
    proportion. A filter of zeros becomes 0.5 everywhere.
    Raise ValueError unless C is 1 or 3: only gray and color pictures can be drawn.
    Shape: weight (O, C, K, K) -> (O, C, K, K).

    >>> filter_pictures(torch.tensor([[[[4.0, -2.0], [0.0, 1.0]]]]))
    tensor([[[[1.0000, 0.2500],
              [0.5000, 0.6250]]]])
    """
    # Task 12.1 (1 point). For a hint: dlcourse hint 12.1
    raise NotImplementedError("task 12.1: filter_pictures")


# %% [markdown]
# Deeper filters work on maps, not on pixels. There we look for the patches of the images that
# excite a unit most. Which patch does a unit see? Go back from the unit through the layers: a
# filter of size k that moves by a stride s over a map with padding p looks, for its position i, at
# the positions from i s - p to i s - p + k - 1 of the map before.

# %%
Layer = tuple[int, int, int]  # kernel_size, stride, padding of a convolution or a pooling


def receptive_field(layers: Sequence[Layer], position: int) -> tuple[int, int]:
    """Return the first pixel that a unit sees along one side of the image, and how many it sees.

    layers: (kernel_size, stride, padding) of each layer, from the image to the unit.
    position: of the unit in the output of the last layer, from 0. The first pixel can be negative
        because of the padding.

    >>> receptive_field([(5, 1, 0), (2, 2, 0)], 3)  # a 5x5 filter, then pooling by 2
    (6, 6)
    >>> receptive_field([(3, 1, 1)], 0)
    (-1, 3)
    """
    # Task 12.2 (3 points). For a hint: dlcourse hint 12.2
    raise NotImplementedError("task 12.2: receptive_field")


def strongest_patches(
    responses: Tensor, images: Tensor, layers: Sequence[Layer], count: int
) -> Tensor:
    """Return the patches that excite a unit most, the strongest first, one from each image.

    responses: the map of the unit for each image. The patch of an image is the receptive field of
        the largest response in its map (of the first one in reading order, if several are equal).
        Among images with equal responses the first one comes first.
    layers: as for `receptive_field`, the same along both sides. count: how many, at most N.
    What lies outside the image is 0.
    Shape: responses (N, H', W'), images (N, C, H, W) -> (count, C, size, size).
    """
    # Task 12.2, continued.
    raise NotImplementedError("task 12.2: strongest_patches")


# %% [markdown]
# ## 2. Saliency
# Which pixels decide? The derivative of a class's logit tells for each pixel how much the logit
# changes if the pixel changes a little (Simonyan, Vedaldi & Zisserman 2014).


# %%
def saliency(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return |d logit / d pixel| for the logit of each image's label, the largest of the channels.

    `images` stay as they are, and the parameters of `model` get no gradient.
    Shape: images (N, C, H, W), labels int64 (N,); model(images) are logits (N, K) -> (N, H, W).

    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> _ = model.load_state_dict({"1.weight": torch.tensor([[1.0, 2, 3, 4], [0, 0, 0, -7]])})
    >>> saliency(model, torch.zeros(1, 1, 2, 2), torch.tensor([1]))
    tensor([[[0., 0.],
             [0., 7.]]])
    """
    # Task 12.3 (2 points). For a hint: dlcourse hint 12.3
    raise NotImplementedError("task 12.3: saliency")


# %% [markdown]
# ## 3. Climbing
# Now change the image instead of the weights: follow the gradient until the network is sure of a
# class. Two tricks keep the image from becoming noise: a penalty on pixels far from gray, and
# jitter, small random shifts, so that no pixel can be tuned to one weight.


# %%
def maximize(
    score: Callable[[Tensor], Tensor],
    images: Tensor,
    steps: int,
    lr: float,
    decay: float = 0.0,
    jitter: int = 0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Climb from `images` to images with a larger score, by gradient ascent.

    Step t = 0, ..., steps - 1:
      1. Draw two whole numbers from -jitter to jitter, and shift all images by them, along rows and
         columns. What leaves the image on one side enters it on the other.
      2. Compute the gradient of score(shifted) - decay * (sum over all pixels of (pixel - 0.5)^2).
      3. Shift the gradient back, and divide the gradient of each image by its length (the root of
         the sum of its squares), unless that is 0.
      4. Add lr * (1 - t / steps) times this to the images, and clip them to [0, 1].
    score: maps (N, C, H, W) to one number for each image, or to their sum.
    The given `images` stay as they are. The result has no gradient.
    Shape: images (N, C, H, W), in [0, 1] -> (N, C, H, W).

    >>> score = nn.Sequential(nn.Flatten(), nn.Linear(2, 1, bias=False))
    >>> _ = score.load_state_dict({"1.weight": torch.tensor([[3.0, 4.0]])})
    >>> maximize(score, torch.full((1, 1, 1, 2), 0.1), steps=1, lr=0.5)
    tensor([[[[0.4000, 0.5000]]]])
    """
    # Task 12.4 (3 points). For a hint: dlcourse hint 12.4
    raise NotImplementedError("task 12.4: maximize")


# %% [markdown]
# ## 4. Adversarial images
# The same climb, with the loss as the score and a bound epsilon on the change of each pixel, gives
# an image that looks the same and is another class for the network. The bound is a promise, so it
# must hold exactly, not up to a rounding error: in float32, 0.5 + 0.1 is more than 0.1 above 0.5.


# %%
def project(changed: Tensor, images: Tensor, epsilon: float) -> Tensor:
    """Return `changed`, each pixel moved to the nearest value that is allowed.

    Allowed are values in [0, 1] whose difference from the pixel of `images` is at most epsilon.
    This difference, computed in float64, must not be larger by a single bit.
    Raise ValueError if epsilon is below 0 (or NaN), or if a pixel of `images` is outside [0, 1].
    Shape: changed, images (N, C, H, W), both float32 -> (N, C, H, W), float32.

    >>> images = torch.tensor([0.5, 0.5, 0.95]).reshape(1, 1, 1, 3)
    >>> project(images + torch.tensor([0.05, -0.2, 0.2]), images, 0.125)
    tensor([[[[0.5500, 0.3750, 1.0000]]]])
    """
    # Task 12.5 (3 points). For a hint: dlcourse hint 12.5
    raise NotImplementedError("task 12.5: project")


def fgsm(model: nn.Module, images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """Make adversarial images in one step (the fast gradient sign method, Goodfellow et al. 2015).

    Each pixel moves by epsilon in the direction, up or down, in which the cross entropy of its
    image grows. Pixels whose gradient is 0 stay. Finish with `project`, which also refuses what is
    not allowed. The parameters of `model` get no gradient.
    Shape: images (N, C, H, W) in [0, 1], labels int64 (N,) -> (N, C, H, W), without gradient.
    """
    # Task 12.5, continued.
    raise NotImplementedError("task 12.5: fgsm")


# %%
def pgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    epsilon: float,
    steps: int,
    step_size: float,
    targeted: bool = False,
) -> Tensor:
    """Make adversarial images in many steps (projected gradient descent, Madry et al. 2018).

    Start from `images`. Each step moves each pixel by `step_size`, up or down, so that the cross
    entropy with `labels` grows, and projects the result with `project`. The bound is always around
    the given images. If `targeted`, `labels` are the classes to reach, and the cross entropy must
    fall.
    Shape: images (N, C, H, W) in [0, 1], labels int64 (N,) -> (N, C, H, W), without gradient.

    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    >>> _ = model.load_state_dict({"1.weight": torch.eye(2)})
    >>> images, labels = torch.full((1, 1, 1, 2), 0.5), torch.tensor([0])
    >>> pgd(model, images, labels, epsilon=0.25, steps=3, step_size=0.125)
    tensor([[[[0.2500, 0.7500]]]])
    """
    # Task 12.6 (2 points). For a hint: dlcourse hint 12.6
    raise NotImplementedError("task 12.6: pgd")


# %% [markdown]
# ## 5. Style
# Gatys, Ecker & Bethge (2015) describe the style of a picture by its Gram matrices. F_ik is the
# response of filter i of a layer at place k. G_ij says how often filters i and j respond together;
# where they respond is lost. What the picture shows, its content, is in the responses themselves.


# %%
def gram(features: Tensor) -> Tensor:
    """Return the Gram matrix of each image, G_ij = sum over all places k of F_ik F_jk.

    Shape: features (N, C, H, W) -> (N, C, C).

    >>> gram(torch.tensor([[[[1.0, 2.0]], [[0.0, 3.0]]]]))
    tensor([[[5., 6.],
             [6., 9.]]])
    """
    # Task 12.7 (3 points). For a hint: dlcourse hint 12.7
    raise NotImplementedError("task 12.7: gram")


def style_loss(features: Tensor, style: Tensor) -> Tensor:
    """Return 1 / (4 C^2) times the sum of the squares of G / places - G' / places'.

    G, G': the Gram matrices of `features` and `style`. places: H W of the features, places': H' W'
        of the style.
    Raise ValueError if they differ in the number of channels.
    Shape: features (N, C, H, W), style (N, C, H', W') -> a tensor with one number.
    """
    # Task 12.7, continued.
    raise NotImplementedError("task 12.7: style_loss")


def content_loss(features: Tensor, content: Tensor) -> Tensor:
    """Return half of the mean squared difference of the features of two pictures.

    Raise ValueError if they differ in shape.
    Shape: features, content (N, C, H, W) -> a tensor with one number.
    """
    # Task 12.7, continued.
    raise NotImplementedError("task 12.7: content_loss")


# %% [markdown]
# Two functions that are complete: what a network with named layers computes in between, and the
# shapes of these layers for `receptive_field`.


# %%
def outputs_of(model: nn.Sequential, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Return the output of each named layer of `model`. Layers after the last one do not run.

    Raises UnknownNameError, with the nearest name, for a layer that does not exist, and UsageError
    for images with another number of channels than `model` reads.
    """
    layers = dict(model.named_children())
    channels = [layer.in_channels for layer in layers.values() if isinstance(layer, nn.Conv2d)]
    if channels and images.shape[1] != channels[0]:
        raise UsageError(f"images must have {channels[0]} channels, got {images.shape[1]}")
    for name in names:
        if name not in layers:
            raise UnknownNameError("layer", name, layers)
    outputs = {}
    for name, layer in layers.items():
        images = layer(images)
        if name in names:
            outputs[name] = images
        if len(outputs) == len(set(names)):
            break
    return outputs


def layers_to(model: nn.Sequential, last: str) -> list[Layer]:
    """Return (kernel_size, stride, padding) of the convolutions and poolings up to layer `last`.

    Raises UnknownNameError, with the nearest name, for a layer that does not exist, and UsageError
    for one whose units see the whole image, such as a linear layer.
    """
    layers = dict(model.named_children())
    if last not in layers:
        raise UnknownNameError("layer", last, layers)
    found = []
    for name, layer in layers.items():
        if isinstance(layer, nn.Conv2d):
            found.append((layer.kernel_size[0], layer.stride[0], int(layer.padding[0])))
        elif isinstance(layer, nn.MaxPool2d):
            sizes = (layer.kernel_size, layer.stride, layer.padding)
            kernel_size, stride, padding = (s if isinstance(s, int) else s[0] for s in sizes)
            found.append((kernel_size, stride, padding))
        elif not isinstance(layer, nn.ReLU | nn.BatchNorm2d):
            raise UsageError(f"layer {name!r} has no receptive field: {type(layer).__name__}")
        if name == last:
            break
    return found


# %%
def stylize(
    model: nn.Sequential,
    content: Tensor,
    style: Tensor,
    layers: tuple[str, Sequence[str]],
    steps: int,
    lr: float,
    style_weight: float,
) -> Tensor:
    """Return a picture with the content of `content` and the style of `style`.

    Start from `content` and call your `maximize`, without decay and jitter, with the negative of
        content_loss at the first of `layers`
        + style_weight * (sum of style_loss over the layers in the second of `layers`)
    `outputs_of` returns what a picture gives at these layers.
    Shape: content, style (1, C, H, W), in [0, 1] -> (1, C, H, W), in [0, 1].
    """
    # Task 12.7, continued.
    raise NotImplementedError("task 12.7: stylize")


# %% [markdown]
# ## 6. A spatial transformer
# A small network looks at the image and gives an affine map theta; the image is sampled anew
# through this map, and only then classified (Jaderberg et al. 2015). Sampling between the pixels is
# bilinear, so gradients reach theta, and the small network learns from the loss of the
# classification alone.


# %%
def affine_grid(theta: Tensor, height: int, width: int) -> Tensor:
    """Return where each pixel of the output lies in the input: theta times (x, y, 1).

    Coordinates go from -1 to 1, from the left edge of the first pixel to the right edge of the
    last one. So the center of pixel j of `width` pixels is at x = (2 j + 1) / width - 1, and in the
    same way along the height.
    Shape: theta (N, 2, 3) -> (N, height, width, 2); the last dimension is (x, y).
    Do not call torch's affine_grid.

    >>> affine_grid(torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]]]), 1, 2)
    tensor([[[[-0.5000,  0.5000],
              [ 0.5000,  0.5000]]]])
    """
    # Task 12.8 (3 points). For a hint: dlcourse hint 12.8
    raise NotImplementedError("task 12.8: affine_grid")


def grid_sample(images: Tensor, grid: Tensor) -> Tensor:
    """Return the images at the points of the grid, by bilinear interpolation.

    The column of a point, in pixels, is ((x + 1) W - 1) / 2 and its row ((y + 1) H - 1) / 2, for
    the coordinates (x, y) of `affine_grid`. The point lies between four pixels, and each of them
    counts by (1 - |its column - column|) (1 - |its row - row|). Pixels outside the image are 0.
    Gradients reach `images` and `grid`.
    Shape: images (N, C, H, W), grid (N, H', W', 2) -> (N, C, H', W').
    Do not call torch's grid_sample.

    >>> grid_sample(torch.tensor([[[[0.0, 4.0]]]]), torch.tensor([[[[-0.25, 0.0], [1.0, 0.0]]]]))
    tensor([[[[1., 2.]]]])
    """
    # Task 12.8, continued.
    raise NotImplementedError("task 12.8: grid_sample")


# %% [markdown]
# ## 7. The experiment
# LeNet-5 is trained on MNIST and attacked: once with initial weights as in He et al. (2015), once
# with PyTorch's, which are smaller, and once, also with PyTorch's, on adversarial images. A small
# network on CIFAR-10 is used for everything that needs color; its images went through JPEG. The
# pixels are in [0, 1].
#
# **Predict before you run it.** Each pixel of a digit may change by at most 0.15, where black is 0
# and white is 1. How many of 100 digits does LeNet-5 still read after one step of FGSM, and after
# 20 steps of PGD? And a LeNet-5 that was trained on adversarial images?
#
# *Your prediction:*


# %%
Split = tuple[Tensor, Tensor]
Seeds = Sequence[int]
# (images, labels, share of the training that is done) -> images to train on
Change = Callable[[Tensor, Tensor, float], Tensor]
EPSILON = 0.15
EPSILONS = sorted({0.0, 0.05, 0.1, EPSILON, 0.2})
FAST = torch.channels_last  # of all weights: a processor then needs a fifth less time for LeNet-5
WARM_UP = 0.3  # of the training: epsilon grows from 0, so that the network first learns digits


def train(
    model: nn.Module,
    batches: data.Batches,
    epochs: int,
    lr: float,
    change: Change | None = None,
    weight_decay: float = 0.0,
) -> None:
    """Train `model`, then set it to eval mode."""
    optimizer = torch.optim.Adam(model.parameters(), lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, epochs * len(batches))
    model.train()
    for epoch in range(epochs):
        for step, (images, labels) in enumerate(batches):
            done = (epoch + step / len(batches)) / epochs
            inputs = images if change is None else change(images, labels, done)
            loss = F.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    return model(images).argmax(1).eq(labels).double().mean().item()


def whole(batches: data.Batches, limit: int) -> Split:
    """Return the last images of a split and their labels."""
    images, labels = zip(*batches, strict=True)
    return torch.cat(images)[-limit:], torch.cat(labels)[-limit:]


def mean_and_spread(numbers: Sequence[float], form: str = ".1%") -> str:
    spread = statistics.stdev(numbers) if len(numbers) > 1 else 0.0
    return f"{statistics.fmean(numbers):{form}} ± {spread:{form}}"


# %%
def he_lenet() -> nn.Module:
    """Return a LeNet-5 whose weights start as He et al. (2015) draw them."""
    net = models.LeNet5()
    for layer in net.children():
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        nn.init.kaiming_normal_(layer.weight)
        nn.init.constant_(layer.get_parameter("bias"), 0)
    return net


def fool(
    batches: data.Batches, test: Split, epochs: int, seeds: Seeds, findings: Findings
) -> tuple[dict[str, list[float]], list[Tensor]]:
    """Print the accuracy under attack of LeNet-5, trained on images and on adversarial images.

    Returns the curves by name, and for a figure: images, their changes, adversarial images.
    """
    images, labels = test
    nets = {"He's weights": he_lenet, "PyTorch's": models.LeNet5, "adversarial": models.LeNet5}
    found: dict[str, list[list[float]]] = {}  # by name: for each seed, the accuracies by epsilon
    beyond, targeted = 0, []
    for seed in seeds:
        for kind, make in nets.items():
            torch.manual_seed(seed)
            net = make().to(images.device).to(memory_format=FAST)

            def attacked(x: Tensor, y: Tensor, done: float, net: nn.Module = net) -> Tensor:
                epsilon = EPSILON * min(1.0, done / WARM_UP)
                return pgd(net, x, y, epsilon, steps=2, step_size=epsilon / 1.5)

            if kind == "adversarial":
                train(net, batches, epochs, 1e-2, attacked)
            else:
                train(net, batches, epochs, 2e-3)
            rows: dict[str, list[float]] = {"FGSM": [], "PGD": []}
            for epsilon in EPSILONS:
                one = fgsm(net, images, labels, epsilon)
                steps = 20 if epsilon else 0  # nothing changes then
                many = pgd(net, images, labels, epsilon, steps, step_size=epsilon / 8)
                for name, changed in (("FGSM", one), ("PGD", many)):
                    rows[name].append(accuracy(net, changed, labels))
                    far = (changed.double() - images.double()).abs() > epsilon
                    beyond += int(far.sum())
            for name, row in rows.items():
                found.setdefault(f"{kind}, {name}", []).append(row)
            if kind == "He's weights":
                wanted = (labels + 1) % 10
                aimed = pgd(net, images, wanted, 0.25, 40, 0.02, targeted=True)
                targeted.append(accuracy(net, aimed, wanted))
                if seed == seeds[0]:
                    shown = [images[:8], (aimed - images)[:8] * 2 + 0.5, aimed[:8]]
    print(f"\nLeNet-5 under attack: accuracy by epsilon on {len(labels)} test images of MNIST")
    print(f"{'':<22}" + "".join(f"{epsilon:>8}" for epsilon in EPSILONS))
    curves = {name: torch.tensor(rows).mean(0).tolist() for name, rows in found.items()}
    for name, row in curves.items():
        print(f"{name:<22}" + "".join(f"{value:>8.1%}" for value in row))
    print(f"PGD toward the next digit, epsilon 0.25: {mean_and_spread(targeted)} are read as it")
    place = EPSILONS.index(EPSILON)
    at = {name: [row[place] for row in rows] for name, rows in found.items()}
    claim = findings.claim
    claim("pixels that changed by more than epsilon", beyond, "=", 0, "g",
          task="12.5 or 12.6", exact=True)  # fmt: skip
    claim(f"FGSM at {EPSILON}", at["He's weights, FGSM"], "<", 0.5, ".1%", task="12.5")
    claim(f"PGD at {EPSILON}", at["He's weights, PGD"], "<", 0.05, ".1%", task="12.6")
    plain = at["PyTorch's, PGD"]
    text = f"PGD at {EPSILON}: first weights, He's and PyTorch's"
    claim(text, at["He's weights, PGD"], "<", plain, ".1%")
    claim(f"PGD at {EPSILON}, trained on such images", at["adversarial, PGD"], ">", 0.8, ".1%")
    return curves, shown


# %%
def color_net() -> nn.Sequential:
    """Return a small network for 3x32x32 images in [0, 1], with names for its layers."""
    layers = {
        "norm": nn.BatchNorm2d(3, affine=False),
        "conv1": nn.Conv2d(3, 24, 7, padding=3),
        "relu1": nn.ReLU(),
        "pool1": nn.MaxPool2d(2),
        "conv2": nn.Conv2d(24, 48, 3, padding=1),
        "relu2": nn.ReLU(),
        "pool2": nn.MaxPool2d(2),
        "conv3": nn.Conv2d(48, 64, 3, padding=1),
        "relu3": nn.ReLU(),
        "pool3": nn.MaxPool2d(2),
        "flat": nn.Flatten(),
        "fc": nn.Linear(1024, 10),
    }
    return nn.Sequential(OrderedDict(layers))


def roughness(weight: Tensor) -> float:
    """Return how much neighboring weights of the filters differ: 2 if they are unrelated."""
    steps = weight.diff(dim=2).square().mean() + weight.diff(dim=3).square().mean()
    return (steps / 2 / weight.square().mean()).item()


def measured_field(model: nn.Sequential, last: str, row: int, column: int) -> tuple[int, ...]:
    """Return first row, first column, height and width of what a unit sees, by perturbation."""
    copy = nn.Sequential(
        *(
            # Positive weights, and means instead of maxima, so that each pixel has an effect.
            nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding)
            if isinstance(layer, nn.MaxPool2d)
            else layer
            for name, layer in deepcopy(model).cpu().named_children()
        )
    )[: list(dict(model.named_children())).index(last) + 1]
    for layer in copy:
        if isinstance(layer, nn.Conv2d):
            nn.init.ones_(layer.weight)
    pixels = torch.zeros(1, 3, 32, 32, requires_grad=True)
    copy(pixels + 1)[0, 0, row, column].backward()
    assert pixels.grad is not None
    seen = pixels.grad[0, 0].nonzero()
    first, final = seen.amin(0).tolist(), seen.amax(0).tolist()
    return (*first, *(b - a + 1 for a, b in zip(first, final, strict=True)))


def look_inside(
    images: data.ImageData, size: int, epochs: int, steps: int, seeds: Seeds, args: Any
) -> None:
    """Train the network on CIFAR-10, and look at its filters, patches, dreams and styles."""
    findings: Findings = args.findings
    rough: dict[str, list[float]] = {"untrained": [], "trained": []}
    tests, sure, lost, kept = [], [], [], []
    for seed in seeds:
        torch.manual_seed(seed)
        batches, _, test = images.batches(
            32, seed=seed, device=args.device, limit=size, normalize="none"
        )
        net = color_net().to(args.device)
        weight = net.get_parameter("conv1.weight").data
        filters = [filter_pictures(weight)]
        rough["untrained"].append(roughness(weight))
        train(net, batches, epochs, 3e-3, weight_decay=DECAY)
        filters.append(filter_pictures(weight))
        rough["trained"].append(roughness(weight))
        pictures, labels = whole(test, 1000)
        tests.append(accuracy(net, pictures, labels))

        generator = torch.Generator().manual_seed(seed)
        noise = 0.5 + 0.1 * torch.randn(10, 3, 32, 32, generator=generator)
        classes = torch.arange(10, device=args.device)

        def score(x: Tensor, net: nn.Module = net, classes: Tensor = classes) -> Tensor:
            return net(x).log_softmax(1).gather(1, classes[:, None])

        noise = noise.clamp(0, 1).to(args.device)
        dreams = maximize(score, noise, steps, 1.0, 5e-4, 2, generator)
        with torch.no_grad():
            shares = net(dreams).softmax(1).diagonal()
        sure.append(shares.min().item())

        ship = int(labels.eq(8).nonzero()[0])
        colorful = int(pictures.std(dim=1).mean(dim=(1, 2)).argmax())
        content, style = pictures[ship : ship + 1], pictures[colorful : colorful + 1]
        mixed = stylize(net, content, style, ("conv2", STYLES), steps, 0.5, STYLE_WEIGHT)
        with torch.no_grad():
            all_three = [outputs_of(net, x, ["conv2", *STYLES]) for x in (content, style, mixed)]
        start, pattern, end = all_three
        far, near = (
            sum(style_loss(x[name], pattern[name]).item() for name in STYLES) for x in (start, end)
        )
        lost.append(near / far)
        moved, other = (content_loss(x["conv2"], start["conv2"]).item() for x in (end, pattern))
        kept.append(moved / other)
        if seed == seeds[0]:
            first = net, filters, dreams, shares, (content, style, mixed), (pictures, labels)

    net, filters, dreams, shares, mix, (pictures, labels) = first
    print(f"\nCIFAR-10, {size:,} images; they went through JPEG")
    print(f"test accuracy                       {mean_and_spread(tests)}")
    for kind, numbers in rough.items():
        print(f"roughness of the filters, {kind:<10}{mean_and_spread(numbers, '.2f')}")
    print(f"from noise, the least sure class    {mean_and_spread(sure, '.2%')}")
    print(f"style loss that is left             {mean_and_spread(lost)}")
    print(f"content loss, against the style     {mean_and_spread(kept)}")
    claim = findings.claim
    claim("roughness: trained, untrained", rough["trained"], "<", rough["untrained"], ".2f")
    claim("from noise, the least sure of 10 classes", sure, ">", 0.99, ".2%", task="12.4")
    claim("style loss that is left", lost, "<", 0.2, ".1%", task="12.7")
    claim("content loss: picture with the style, the style", kept, "<", 1, ".1%", task="12.7")
    layers, last = layers_to(net, "conv3"), "conv3"
    top, height = receptive_field(layers, 4)
    left, width = receptive_field(layers, 3)
    same = measured_field(net, last, 4, 3) == (top, left, height, width)
    print(f"a unit of {last} sees {height}x{width} pixels")
    claim("field equal to the measured one", same, "=", 1, "g", task="12.2", exact=True)
    if args.plot:
        draw_inside(net, filters, dreams, shares, mix, pictures, labels, images.class_names, args)


DECAY = 3e-3
STYLES, STYLE_WEIGHT = ("relu1", "conv2", "conv3"), 100.0


def draw_inside(
    net: nn.Sequential,
    filters: list[Tensor],
    dreams: Tensor,
    shares: Tensor,
    mix: tuple[Tensor, Tensor, Tensor],
    pictures: Tensor,
    labels: Tensor,
    names: Sequence[str],
    args: Any,
) -> None:
    rows = ["untrained", "", "trained", ""]
    plots.mosaic(torch.cat(filters), 12, args.out / "filters.png", rows=rows, gap=1)
    with torch.no_grad():
        responses = outputs_of(net, pictures, ["conv3"])["conv3"]
    units = responses.amax(dim=(0, 2, 3)).topk(6).indices.tolist()
    layers = layers_to(net, "conv3")
    patches = [strongest_patches(responses[:, unit], pictures, layers, 10) for unit in units]
    rows = [f"conv3, unit {unit}" for unit in units]
    plots.mosaic(torch.cat(patches), 10, args.out / "patches.png", rows=rows, gap=1)
    maps = saliency(net, pictures[:10], labels[:10])
    maps = (maps / maps.amax(dim=(1, 2), keepdim=True))[:, None].expand(-1, 3, -1, -1)
    both = torch.cat([pictures[:10], maps])
    plots.mosaic(both, 10, args.out / "saliency.png", rows=["image", "saliency"], gap=1)
    titles = [f"{name}: {share:.1%}" for name, share in zip(names, shares, strict=True)]
    plots.image_grid(dreams, titles, 5, args.out / "from_noise.png", scale=False)
    plots.image_grid(
        torch.cat(mix), ["content", "style", "both"], 3, args.out / "style.png", scale=False
    )


# %%
class Straightener(models.SpatialTransformer):
    """A spatial transformer that can only rotate, with your sampler in it.

    Its localization network has more maps than the reference's, and gives a direction, (cos, sin)
    of the angle. With all six numbers of theta free, it enlarges the digits and hardly turns them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.localization = nn.Sequential(
            nn.Conv2d(1, 8, kernel_size=5, padding=2),
            nn.MaxPool2d(2),
            nn.ReLU(),  # (N, 8, 14, 14)
            nn.Conv2d(8, 16, kernel_size=5),
            nn.MaxPool2d(2),
            nn.ReLU(),  # (N, 16, 5, 5)
            nn.Flatten(),
            nn.Linear(400, 32),
            nn.ReLU(),
        )
        self.affine = nn.Linear(32, 2)
        nn.init.zeros_(self.affine.weight)
        with torch.no_grad():
            self.affine.bias.copy_(torch.tensor([1.0, 0]))  # no rotation at the start

    def theta(self, inputs: Tensor) -> Tensor:
        return rotation(*F.normalize(self.affine(self.localization(inputs))).unbind(1))

    def sample(self, inputs: Tensor, theta: Tensor) -> Tensor:
        return grid_sample(inputs, affine_grid(theta, *inputs.shape[2:]))


def wide_lenet() -> nn.Module:
    """Return a LeNet-5 that has as many parameters as the spatial transformer, or a few more."""
    net = models.LeNet5()
    net.fc1, net.fc2 = nn.Linear(400, 154), nn.Linear(154, 84)
    return net


def rotation(cos: Tensor, sin: Tensor) -> Tensor:
    """Return the affine maps that rotate by the angles. Shape: cos, sin (N,) -> (N, 2, 3)."""
    zero = torch.zeros_like(cos)
    return torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).unflatten(1, (2, 3))


def rotate(images: Tensor, angles: Tensor) -> Tensor:
    """Rotate each image by its angle, in radians, with your sampler. Shape: angles (N,)."""
    theta = rotation(angles.cos(), angles.sin())
    return grid_sample(images, affine_grid(theta.to(images.device), *images.shape[2:]))


def draw_angles(count: int, generator: torch.Generator) -> Tensor:
    """Return `count` angles between -DEGREES and DEGREES, in radians."""
    return (2 * torch.rand(count, generator=generator) - 1) * math.radians(DEGREES)


def angle_of(theta: Tensor) -> Tensor:
    """Return the angle by which each affine map rotates. Shape: theta (N, 2, 3) -> (N,)."""
    return torch.atan2(theta[:, 1, 0] - theta[:, 0, 1], theta[:, 0, 0] + theta[:, 1, 1])


def straighten(batches: data.Batches, test: Split, epochs: int, seeds: Seeds, args: Any) -> None:
    """Compare the spatial transformer with a plain LeNet-5 of its size on rotated digits."""
    images, labels = test
    angles = draw_angles(len(images), torch.Generator().manual_seed(0))
    tilted = rotate(images, angles)
    right: dict[str, list[float]] = {"plain LeNet-5": [], "spatial transformer": []}
    after, sizes = [], []
    for seed in seeds:
        for name, make in (("plain LeNet-5", wide_lenet), ("spatial transformer", Straightener)):
            torch.manual_seed(seed)
            net = make().to(args.device)
            generator = torch.Generator().manual_seed(seed)

            def tilt(
                x: Tensor, y: Tensor, done: float, generator: torch.Generator = generator
            ) -> Tensor:
                return rotate(x, draw_angles(len(x), generator))

            train(net, batches, epochs, 3e-3, tilt)
            right[name].append(accuracy(net, tilted, labels))
            if seed == seeds[0]:
                sizes.append(sum(p.numel() for p in net.parameters()))
        assert isinstance(net, Straightener)
        with torch.no_grad():
            left = angles + angle_of(net.theta(tilted)).cpu()
            # Only differences count: what is upright is the network's own choice, for each class.
            classes = [left[labels.cpu() == label] for label in range(10)]
            after.append(math.degrees(statistics.fmean(c.std().item() for c in classes)))
        if seed == seeds[0]:
            turns = torch.linspace(-1, 1, 12) * math.radians(DEGREES)
            # Digits that look different when they are turned; 0, 1 and 8 hardly do.
            examples = [images[labels == label][0] for label in SHOWN]
            turned = [rotate(image[None].expand(12, -1, -1, -1), turns) for image in examples]
            with torch.no_grad():
                shown = [part for x in turned for part in (x, net.transform(x))]
    before = math.degrees(angles.std().item())
    print(f"\nMNIST, each digit rotated by up to {DEGREES} degrees")
    for (name, numbers), size in zip(right.items(), sizes, strict=True):
        print(f"{name:<24}{size:>8,} parameters   test {mean_and_spread(numbers)}")
    print(f"angles of a class's digits: standard deviation {before:.1f} degrees")
    print(f"after the transformer: {mean_and_spread(after, '.1f')} degrees")
    claim = args.findings.claim
    plain, spatial = right.values()
    claim("parameters: transformer, plain", sizes[1], "<", sizes[0], "g", exact=True)
    claim("rotated digits: transformer, plain", spatial, ">", plain, ".1%", task="12.8")
    claim("the same: each transformer, the best plain net", spatial, ">", max(plain), ".1%")
    text = "spread of the angles: after, three quarters of before"
    claim(text, after, "<", 0.75 * before, ".1f", task="12.8")
    if args.plot:
        rows = ["rotated", "straightened"] * len(SHOWN)
        plots.mosaic(torch.cat(shown), 12, args.out / "straightened.png", rows=rows)


DEGREES, SHOWN = 90, (2, 3, 4, 5, 7)


# %%
def load_vgg(args: Any) -> nn.Sequential | None:
    """Return VGG-19 with names for its layers, or None if its weights are not in the data folder.

    Raises DataError for a damaged file.
    """
    found = data.verify(args.data_dir, [VGG])
    if not found:
        return None
    if not found[0].ok:
        raise DataError(found[0].problem)
    vgg = models.build("vgg19")
    models.load_weights(vgg, data.load_state_dict(VGG, args.data_dir, offline=True))
    return named_layers(vgg).to(args.device).eval()


def named_layers(vgg: nn.Module) -> nn.Sequential:
    """Return the layers of a VGG by the names of its paper, behind ImageNet's normalization."""
    norm = nn.BatchNorm2d(3, affine=False)
    statistics_of = {"running_mean": [0.485, 0.456, 0.406], "running_var": [0.229, 0.224, 0.225]}
    for name, values in statistics_of.items():
        power = 2 if name == "running_var" else 1
        getattr(norm, name).copy_(torch.tensor(values) ** power)
    layers: OrderedDict[str, nn.Module] = OrderedDict(norm=norm)
    stage, place = 1, 0
    for layer in vgg.get_submodule("features").children():
        if isinstance(layer, nn.Conv2d):
            place += 1
        kind = {nn.Conv2d: "conv", nn.ReLU: "relu", nn.MaxPool2d: "pool"}[type(layer)]
        layers[f"{kind}{stage}" if kind == "pool" else f"{kind}{stage}_{place}"] = layer
        if kind == "pool":
            stage, place = stage + 1, 0
    layers["flat"], layers["fc"] = nn.Flatten(), vgg.get_submodule("classifier")
    return nn.Sequential(layers)


def look_into_vgg(vgg: nn.Sequential, images: data.ImageData, steps: int, args: Any) -> None:
    """Draw with VGG-19 a tabby cat from noise, and the style of one picture on another."""
    noise = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(args.seed))
    noise = (0.4 + 0.2 * noise).to(args.device)

    def score(x: Tensor) -> Tensor:
        return vgg(x).log_softmax(1)[:, TABBY]

    dream = maximize(score, noise, steps, 20.0, 1e-5, 8, torch.Generator().manual_seed(args.seed))
    with torch.no_grad():
        share = vgg(dream).softmax(1)[0, TABBY].item()
    print(f"VGG-19: a tabby cat from noise, {share:.2%} sure")
    pair = images.test_images[[7, 3]].float().to(args.device) / 255
    content, style = F.interpolate(pair, (224, 224), mode="bicubic").clamp(0, 1).split(1)
    where = ("conv4_2", [f"conv{stage}_1" for stage in range(1, 6)])
    both = stylize(vgg, content, style, where, steps, 20.0, 100.0)
    if args.plot:
        titles = [f"tabby cat: {share:.1%}", "content", "style", "both"]
        shown = torch.cat([dream, content, style, both])
        plots.image_grid(shown, titles, 4, args.out / "vgg19.png", scale=False)


VGG, TABBY = "vgg19-weights", 281  # the class of ImageNet


def check_pieces(images: Tensor, labels: Tensor, findings: Findings) -> None:
    """Compare what your functions compute with what is known without them.

    images: float32 (N, 1, H, W) in [0, 1]. labels: int64 (N,).
    """
    claim = functools.partial(findings.claim, form=".4g", exact=True)
    weight = torch.randn(8, 3, 5, 5)
    given = weight.clone()
    reach = (filter_pictures(given) - 0.5).abs().amax((1, 2, 3))
    claim("filters: the strongest weight is 0 or 1, less", (reach - 0.5).abs().max().item(), "<",
          1e-6, task="12.1")  # fmt: skip
    claim("and weights that were changed by that", given.ne(weight).sum().item(), "=", 0,
          task="12.1")  # fmt: skip

    line = nn.Sequential(nn.Flatten(), nn.Linear(images[0].numel(), 10)).to(images.device)
    expected = line[1].weight[labels].abs().view_as(images)[:, 0]
    apart = (saliency(line, images, labels) - expected).abs().max().item()
    claim("saliency of a linear model, less its weights", apart, "<", 1e-5, task="12.3")

    gray, score = torch.full((2, 3, 4, 4), 0.5), nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    moved = (maximize(score, gray, steps=1, lr=0.1) - gray).flatten(1).norm(dim=1)
    claim("length of a step of lr 0.1 uphill", round(moved[0].item(), 4), "=", 0.1, task="12.4")

    def peak(x: Tensor) -> Tensor:  # class 0 is most probable at 0.6
        return torch.stack([-50 * (x - 0.6).square().flatten(), 0 * x.flatten()], dim=1)

    start, aim = torch.full((1, 1, 1, 1), 0.5), torch.tensor([0])
    end = pgd(peak, start, aim, epsilon=0.3, steps=5, step_size=0.08, targeted=True).item()
    claim("PGD toward a peak at 0.6: distance in the end", abs(end - 0.6), "<", 0.09,
          task="12.5 or 12.6")  # fmt: skip

    ones = torch.ones(1, 2, 3, 4)
    claim("Gram matrix of ones at 12 places", round(gram(ones)[0, 0, 1].item(), 4), "=", 12,
          task="12.7")  # fmt: skip
    loss = round(style_loss(ones, 0 * ones).item(), 4)
    claim("style loss of ones against zeros", loss, "=", 4 / 16, task="12.7")
    loss = round(content_loss(ones, 0 * ones).item(), 4)
    claim("content loss of ones against zeros", loss, "=", 0.5, task="12.7")
    same = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).to(images).expand(len(images), 2, 3)
    apart = (grid_sample(images, affine_grid(same, *images.shape[2:])) - images).abs().max().item()
    claim("images that are not moved: difference", apart, "<", 1e-4, task="12.8")


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab12", __doc__, argv, epochs=5, full_epochs=20, tiny_epochs=1)
    seeds = range(3 * args.seed, 3 * args.seed + (1 if args.tiny else 3))
    epochs, steps = args.epochs, 5 if args.tiny else 150
    vgg = load_vgg(args)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    attacked, colored, rotated = (
        (400, 300, 400) if args.tiny else (None,) * 3 if args.full else (6_000, 4_000, 9_000)
    )

    def digits(batch_size: int, limit: int | None) -> tuple[data.Batches, data.Batches]:
        """Return the batches of the training images, `limit` with validation, and of the test."""
        train_on, _, test = mnist.batches(
            batch_size, seed=args.seed, device=args.device, limit=limit, normalize="none"
        )
        return train_on, test

    batches, test = digits(32, attacked)
    print(f"data: {mnist.source}; {batches.num_samples:,} training images")
    # Training on adversarial images takes three times as long, and fewer epochs are enough.
    fewer, few = -(-4 * epochs // 5), whole(test, 50 if args.tiny else 300)
    curves, shown = fool(batches, few, fewer, seeds, args.findings)
    cifar = data.load("cifar10", args.data_dir, offline=args.offline)
    print(f"data: {cifar.source}")
    look_inside(cifar, colored or 50_000, epochs, steps, seeds, args)
    batches, test = digits(64, rotated)
    straighten(batches, whole(test, 200 if args.tiny else 8_000), epochs, seeds, args)
    if vgg is None:
        print("\nVGG-19: for its pictures, fetch its weights: dlcourse data get vgg19-weights")
    else:
        # A step takes seconds on a processor.
        few = args.device.type == "cpu" and not args.full
        look_into_vgg(vgg, cifar, max(1, steps // 5) if few else steps, args)
    check_pieces(*whole(test, 8), args.findings)
    if args.plot:
        rows = ["image", "change", "adversarial"]
        plots.mosaic(torch.cat(shown), 8, args.out / "adversarial.png", rows=rows)
        path = args.out / "attacks.png"
        plots.curves(curves, path, x=EPSILONS, xlabel="epsilon", ylabel="accuracy", percent=True)
        print(f"figures: {args.out}")
    args.findings.report()


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Break it
# Replace `0.15` in `EPSILON` by `0.3`, and run the lab again. The network that was trained on
# adversarial images now sees changes that are twice as large. Does it still learn, and what do its
# images look like to you?
#
# ## Questions to think about
# **1.** FGSM makes one step of size epsilon, PGD makes 20 small ones inside the same bound. Why are
# the small ones so much worse for the network?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The gradient tells only what happens near the image. After a step of 0.15 in each pixel the
# network is in another region, where other units are active, and the first direction is no longer
# the best one. PGD computes the direction again after each small step, so it goes on where FGSM
# only guessed.
# </details>
#
# **2.** LeNet-5 with He's initial weights reads the test images about as well as the one with
# PyTorch's, but far fewer of the attacked ones. He's weights are about 2.4 times as large. Why does
# this matter after the training?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Training changes the weights only as far as it needs to, so what starts large stays large. With
# larger weights in each of five layers the outputs change more for the same change of the pixels,
# and a small epsilon is enough to cross the border to another class. The accuracy on clean images
# does not show this.
# </details>
#
# **3.** The network is more than 99 % sure of each image that was made from noise. What does this
# say about its probabilities?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# They compare ten classes with each other and do not say whether the image shows any of them. The
# network was never trained on anything but photos of ten classes, so far away from these its
# outputs mean nothing, and softmax turns them into a sure answer all the same.
# </details>
#
# **4.** A Gram matrix adds up over all places. What does the style loss therefore not see, and why
# does it describe a style?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# It does not see where something is: shuffling the places of all features leaves G unchanged. What
# remains is which features occur together and how often, such as red with fine stripes, and this is
# what we call the style or the texture of a picture.
# </details>
#
# **5.** Nobody tells the spatial transformer by which angle a digit is rotated. How can it learn to
# turn it back, and why is the direction that it chooses not always upright?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The sampler is differentiable, so the gradient of the classification loss reaches theta, and a
# theta that makes digits easier to read lowers the loss. Digits of a class that all lie in the same
# direction are easier to read. Which direction this is does not matter to the classifier, so each
# class may have its own. Here theta can only rotate: with all six numbers free, the transformer
# learns to enlarge the digits first, which helps at once, and hardly turns them.
# </details>
#
# ## What you have seen
# Training turns noise in the first filters into smooth edges and colors. A network can be sure of
# an image that shows nothing, and a change that you hardly see takes most digits away from it; one
# that was trained on such images keeps most of them. Style is what features occur together, content
# is where they are. A spatial transformer turns rotated digits back and reads them better than a
# plain network of its size, although it was never told an angle.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab12` asks seven questions with four choices each, and explains the answers.
