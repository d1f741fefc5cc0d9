# %% [markdown]
"""Lab 06: deep convolutional networks.

If depth is good, is more depth better?

You count the parameters of AlexNet and VGG. Then you build the three ideas that made networks grow
from 8 layers to hundreds: VGG's stages of small filters, Inception's branches with a second
classifier at half depth, and the residual block. The experiment compares plain and residual
networks of 20 and 44 layers, as He et al. 2015 did (figure 6 of arXiv:1512.03385).

Lecture sections: AlexNet; VGG-16, VGG-19; From shallow to deep; Auxiliary loss on intermediate
layers; ResNets: skip connections.

    dlcourse check lab06              check your answers (takes seconds)
    dlcourse check lab06 --task 6.2   check one task
    dlcourse run lab06 --tiny         run the whole experiment on 90 images (takes seconds)
    dlcourse run lab06                use 1,350 images, small networks (minutes on a laptop)
    dlcourse run lab06 --full         use all images, the paper's networks (for a GPU)

A recorded run of the solution (`dlcourse run lab06`, CIFAR-10, pixels through JPEG):

    data: CIFAR-10 from datasets/cifar10.npz; 1,350 training images

    parameters of           convolutions  linear layers     together
    AlexNet                    2,469,696     58,631,144   61,100,840
    VGG-16                    14,714,688    123,642,856  138,357,544
    VGG-19                    20,024,384    123,642,856  143,667,240
    VGG-16, as you build      14,714,688

    gradient before training, convolution        first      last     ratio
    plain-20                                         2      0.24      8.37
    plain-44                                     1e+02      0.21       495
    ResNet-44                                        2      0.24      8.14
    plain-20, no batch norm                      0.006    0.0046      1.31
    plain-44, no batch norm                     0.0053    0.0011      4.64

    pixels through JPEG       parameters  training loss    train     test
    plain-20                      68,050          2.185    18.0%    17.8%
    ResNet-20                     68,050          1.896    27.9%    27.5%
    plain-44                     165,714          2.212    15.3%    14.5%
    ResNet-44                    165,714          2.050    21.6%    20.9%
    ResNet-20, unaugmented        68,050          1.639    39.4%    32.4%
    Inception, one head           16,076          1.743    34.4%    31.3%
    Inception, two heads          16,076          1.692    36.9%    32.2%
    figures: results/lab06

Over 3 seeds (mean, standard deviation, how many seeds agree):

    parameters of VGG-16, counted                          138,357,544 = 138,357,544     exact
    parameters of its convolutions, built                   14,714,688 = 14,714,688      exact
    parameters of both Inception blocks                         14,152 = 14,152          exact
    parameters of ResNet-20                                    269,722 = 269,722         exact
    plain-44: gradient of the first, of the last layer         69 (49) > 0.2 (0.015)     exact
    first to last: ResNet-44 against plain-44              9.48 (1.31) < 346 (247)       exact
    first layer, no batch norm: 44 against 20 layers   0.0041 (0.0011) < 0.04 (0.034)    3 of 3
    training loss: plain-20 against plain-44             2.139 (0.109) < 2.247 (0.052)   3 of 3
    training loss: ResNet-44 against plain-44            2.018 (0.029) < 2.247 (0.052)   3 of 3
    train minus test accuracy: augmented, not augmented     2.6% (2.0%) < 7.5% (0.5%)     3 of 3
    heads in training                                                2 = 2               exact
    loss of both without knowledge: 1.3 ln 10                    2.993 = 2.993           exact
    cropped one pixel lower: wrong pixels                            0 = 0               exact
    flipped: wrong pixels in the first column                        0 = 0               exact
The figures in results/lab06:

    augmentation: Eight images, and what the network sees of them in three epochs: they are shifted,
      cropped and mirrored at random.
    depth: The training loss by epoch: the plain network of 44 layers is the worst, and a residual
      network learns faster than a plain one of the same depth.
    gradients: The gradient of each layer's weights before training: without shortcuts it changes by
      a large factor from the last layer to the first.
"""

# %%
from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, plots
from dlcourse.findings import Findings
from dlcourse.train import evaluate

# %% [markdown]
# ## 1. The layers of AlexNet and VGG
# Both networks have convolutions, followed by three linear layers. In these tables a convolution is
# (in_channels, out_channels, kernel_size), and a linear layer is (in_features, out_features).
#
# None of your functions may change the tensors that it gets.

# %%
ALEXNET = (
    [(3, 64, 11), (64, 192, 5), (192, 384, 3), (384, 256, 3), (256, 256, 3)],
    [(256 * 6 * 6, 4096), (4096, 4096), (4096, 1000)],
)
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
VGG19 = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)


# %%
def count_parameters(
    convolutions: Sequence[tuple[int, int, int]], linears: Sequence[tuple[int, int]]
) -> int:
    """Count the weights and biases of these layers; each output channel or unit has a bias.

    >>> count_parameters([(3, 64, 11)], [])  # 64 filters of 3 * 11 * 11 weights, 64 biases
    23296
    >>> count_parameters([], [(10, 2), (2, 1)])
    25
    """
    # Task 6.1 (1 point). For a hint: dlcourse hint 6.1
    raise NotImplementedError("task 6.1: count_parameters")


# %%
def vgg_stage(in_channels: int, widths: Sequence[int]) -> nn.Sequential:
    """Build one stage of a VGG network (Simonyan & Zisserman 2015, arXiv:1409.1556).

    For each number in `widths`, add a 3x3 convolution with this many output channels and padding 1,
    and nn.ReLU. Add one nn.MaxPool2d(2) at the end.
    Shape of its inputs: (N, in_channels, H, W) -> (N, widths[-1], H // 2, W // 2).

    >>> vgg_stage(3, (64, 64))(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 64, 16, 16])
    """
    # Task 6.2 (2 points). For a hint: dlcourse hint 6.2
    raise NotImplementedError("task 6.2: vgg_stage")


def vgg_features(stages: Sequence[Sequence[int]]) -> nn.Sequential:
    """Build all stages of a VGG network from your vgg_stage."""
    inputs = [3, *(widths[-1] for widths in stages)]
    return nn.Sequential(*map(vgg_stage, inputs, stages))


# %% [markdown]
# ## 2. Inception: which filter size? All of them
# Filters of three sizes and a pooling layer work in parallel, and their outputs are concatenated.
# In the expensive branches, 1x1 convolutions first reduce the number of channels.


# %%
def conv_relu(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """Build a convolution that keeps height and width, batch normalization, and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


class Inception(nn.Module):
    """An Inception block (Szegedy et al. 2014, arXiv:1409.4842, figure 2b).

    | branch  | layers                                                    | channels |
    |---------|-----------------------------------------------------------|----------|
    | branch1 | 1x1                                                       | n1       |
    | branch2 | 1x1 to reduced3 channels, then 3x3                        | n3       |
    | branch3 | 1x1 to reduced5 channels, then 5x5                        | n5       |
    | branch4 | nn.MaxPool2d(3, stride=1, padding=1), then 1x1            | pooled   |

    Build every convolution with conv_relu. Name the branches self.branch1 to self.branch4, with the
    layers in the order of the table. Concatenate their outputs along the channels in this order.
    Shape: inputs (N, in_channels, H, W) -> (N, n1 + n3 + n5 + pooled, H, W).

    >>> Inception(16, 8, 4, 12, 2, 6, 6)(torch.zeros(2, 16, 9, 9)).shape
    torch.Size([2, 32, 9, 9])
    """

    def __init__(
        self, in_channels: int, n1: int, reduced3: int, n3: int, reduced5: int, n5: int, pooled: int
    ) -> None:
        super().__init__()
        # Task 6.3 (3 points). For a hint: dlcourse hint 6.3
        raise NotImplementedError("task 6.3: Inception")

    def forward(self, inputs: Tensor) -> Tensor:
        # Task 6.3, continued.
        raise NotImplementedError("task 6.3: Inception.forward")


# %% [markdown]
# A second, auxiliary classifier at half depth solves the same task, so its gradient reaches the
# first layers on a shorter path. It is used only during training.


# %%
class SmallGoogLeNet(nn.Module):
    """Two Inception blocks with a classifier after each.

    forward: stem, block1, pool, block2, then the mean over height and width, then classifier.
    In training mode (`self.training` is True), also apply `auxiliary` to the mean over height and
    width of block1's outputs, and return (logits, auxiliary logits). In evaluation mode return only
    the logits.

    Shape: inputs (N, 3, H, W) -> logits (N, num_classes); in training mode two of them.
    """

    def __init__(self, num_classes: int = 10, stride: int = 1) -> None:
        super().__init__()
        self.stem = conv_relu(3, 16, 3)
        self.stem[0].stride = (stride, stride)
        self.block1 = Inception(16, 12, 8, 16, 4, 8, 12)  # (N, 48, H, W)
        self.auxiliary = nn.Linear(48, num_classes)
        self.pool = nn.MaxPool2d(2)
        self.block2 = Inception(48, 24, 16, 32, 8, 16, 24)  # (N, 96, H / 2, W / 2)
        self.classifier = nn.Linear(96, num_classes)

    def forward(self, inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        # Task 6.4 (2 points). For a hint: dlcourse hint 6.4
        raise NotImplementedError("task 6.4: SmallGoogLeNet.forward")


def loss_of(
    outputs: Tensor | tuple[Tensor, Tensor], targets: Tensor, weight: float = 0.3
) -> Tensor:
    """Return the mean cross-entropy; for two logits, add `weight` times that of the auxiliary ones.

    outputs: logits (N, num_classes), or (logits, auxiliary logits). Shape: targets (N,) -> ().

    >>> even, targets = torch.zeros(1, 2), torch.tensor([0])
    >>> loss_of(even, targets), loss_of((even, even), targets)  # log 2, and 1.3 * log 2
    (tensor(0.6931), tensor(0.9011))
    """
    # Task 6.4, continued.
    raise NotImplementedError("task 6.4: loss_of")


# %% [markdown]
# ## 3. The residual block
# It is hard for two layers to learn the identity, that is, to return their input unchanged. But if
# the input is added to their output, they only have to learn to output 0.


# %%
def shortcut(inputs: Tensor, out_channels: int, stride: int) -> Tensor:
    """Take the inputs at every `stride`-th position and add channels of zeros: no parameters."""
    missing = out_channels - inputs.shape[1]
    return F.pad(inputs[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, missing))


class ResidualBlock(nn.Module):
    """relu(F(x) + x) with F(x) = bn2(conv2(relu(bn1(conv1(x))))); relu(F(x)) if not `residual`.

    conv1 (with `stride`) and conv2 are 3x3 with padding 1 and without bias. bn1 and bn2 are
    nn.BatchNorm2d. Instead of x, add shortcut(x, out_channels, stride): it has the shape of F(x).
    Shape: inputs (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).

    >>> ResidualBlock(8, 16, stride=2)(torch.zeros(2, 8, 6, 6)).shape
    torch.Size([2, 16, 3, 3])
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, residual: bool = True
    ) -> None:
        super().__init__()
        self.out_channels, self.stride, self.residual = out_channels, stride, residual
        # Task 6.5 (3 points). For a hint: dlcourse hint 6.5
        raise NotImplementedError("task 6.5: ResidualBlock")

    def forward(self, inputs: Tensor) -> Tensor:
        # Task 6.5, continued.
        raise NotImplementedError("task 6.5: ResidualBlock.forward")


class CifarNet(nn.Module):
    """6n + 2 layers from your blocks: a convolution, three stages of n blocks, a linear layer.

    width: channels of the first stage; each of the next two stages doubles them.
    stride: the stride of the first convolution.
    """

    def __init__(self, depth: int, residual: bool, width: int = 16, stride: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_relu(3, width, 3)]
        layers[0][0].stride = (stride, stride)
        in_channels = width
        for stage in range(3):
            for block in range((depth - 2) // 6):
                down = 2 if stage > 0 and block == 0 else 1
                layers.append(ResidualBlock(in_channels, width * 2**stage, down, residual))
                in_channels = width * 2**stage
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(in_channels, 10)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, inputs: Tensor) -> Tensor:
        return self.classifier(self.features(inputs).mean(dim=(2, 3)))


# %% [markdown]
# ## 4. More images out of each image
# A cat that is shifted by some pixels, or mirrored, is still a cat. Each epoch sees a different
# version of each image.


# %%
def crop(images: Tensor, top: Tensor, left: Tensor, padding: int = 4) -> Tensor:
    """Add `padding` zeros on all sides of each image, then cut out a window of the old size.

    The window of image i has its upper left corner at row top[i] and column left[i] of the padded
    image. Both are from 0 to 2 * padding; top = left = padding gives back the image.
    Shape: images (N, C, H, W), top int64 (N,), left int64 (N,) -> (N, C, H, W), with the dtype of
    `images`.

    >>> image = torch.tensor([[[[1, 2], [3, 4]]]])
    >>> crop(image, torch.tensor([0]), torch.tensor([1]), padding=1)
    tensor([[[[0, 0],
              [1, 2]]]])
    """
    # Task 6.6 (2 points). For a hint: dlcourse hint 6.6
    raise NotImplementedError("task 6.6: crop")


# %%
def flip(images: Tensor, chosen: Tensor) -> Tensor:
    """Mirror the chosen images from left to right. Do not change `images` itself.

    Shape: images (N, C, H, W), chosen bool (N,) -> (N, C, H, W).

    >>> flip(torch.tensor([[[[1, 2]]], [[[3, 4]]]]), torch.tensor([False, True])).flatten()
    tensor([1, 2, 4, 3])
    """
    # Task 6.7 (1 point). For a hint: dlcourse hint 6.7
    raise NotImplementedError("task 6.7: flip")


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Apply your crop and your flip with random settings for each image."""
    top, left = torch.randint(9, (2, len(images)), generator=generator)
    chosen = torch.rand(len(images), generator=generator) < 0.5
    return flip(crop(images, top, left), chosen.to(images.device))


# %% [markdown]
# ## 5. The experiment
# Look at the gradients of plain and residual networks before any training. Then train both with 20
# and 44 layers, ResNet-20 without augmentation, and Inception with and without its second
# classifier. By default the networks are half as wide as in the paper, their first convolution has
# stride 2, and there are few images and epochs. This makes them hundreds of times cheaper. So the
# accuracies are low; what counts is the comparison. The pixels of this CIFAR-10 went through JPEG.
#
# **Predict before you run it.** Are the gradients of the plain network of 44 layers smaller or
# larger in the first layer than in the last one? Does augmentation raise the accuracy on the test
# images in five epochs?
#
# *Your prediction:*


# %%
def train(model: nn.Module, batches: data.Batches, epochs: int, lr: float, weight: float = 0.3):
    """Train by SGD with momentum; lr rises to `lr` and then falls to 0. Return the mean losses."""
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=1e-4)
    steps = epochs * len(batches) + 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps, cycle_momentum=False)
    losses = []
    for _ in range(epochs):
        model.train()
        total = 0.0
        for inputs, targets in batches:
            # On a CPU, convolutions are a fifth faster if the channels are adjacent in memory.
            outputs = model(inputs.contiguous(memory_format=torch.channels_last))
            loss = loss_of(outputs, targets, weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            main = outputs[0] if isinstance(outputs, tuple) else outputs
            total += F.cross_entropy(main.detach(), targets).item()
        losses.append(total / len(batches))
    return losses


def count_the_famous(findings: Findings) -> None:
    """Print the numbers of parameters of AlexNet and VGG."""
    print(f"\n{'parameters of':<22}{'convolutions':>14}{'linear layers':>15}{'together':>13}")
    tables, totals = {"AlexNet": ALEXNET}, {}
    for name, stages in {"VGG-16": VGG16, "VGG-19": VGG19}.items():
        widths = [3, *(width for stage in stages for width in stage)]
        convolutions = [(i, o, 3) for i, o in itertools.pairwise(widths)]
        tables[name] = (convolutions, [(512 * 7 * 7, 4096), (4096, 4096), (4096, 1000)])
    for name, (convolutions, linears) in tables.items():
        parts = count_parameters(convolutions, []), count_parameters([], linears)
        totals[name] = parts
        print(f"{name:<22}{parts[0]:>14,}{parts[1]:>15,}{sum(parts):>13,}")
    with torch.device("meta"):  # only shapes, no memory
        google = SmallGoogLeNet()
        blocks = nn.ModuleList([google.block1, google.block2])
        nets = vgg_features(VGG16), blocks, CifarNet(20, True)
    built, inception, residual = (sum(w.numel() for w in net.parameters()) for net in nets)
    print(f"{'VGG-16, as you build':<22}{built:>14,}")
    claim = functools.partial(findings.claim, form=",.0f", exact=True)
    for text, count, expected, task in (  # He et al. (2015) write 0.27 million for ResNet-20
        ("parameters of VGG-16, counted", sum(totals["VGG-16"]), 138_357_544, "6.1"),
        ("parameters of its convolutions, built", built, 14_714_688, "6.2"),
        ("parameters of both Inception blocks", inception, 14_152, "6.3"),
        ("parameters of ResNet-20", residual, 269_722, "6.5"),
    ):
        claim(text, count, "=", expected, task=task)


def check_pieces(images: Tensor, findings: Findings) -> None:
    """Compare the two heads, the crop and the flip with what is known of them."""
    claim = functools.partial(findings.claim, form=".4g", exact=True)
    outputs = SmallGoogLeNet()(images / 255)
    heads = len(outputs) if isinstance(outputs, tuple) else 1
    claim("heads in training", heads, "=", 2, task="6.4")
    even, targets = torch.zeros(8, 10), torch.arange(8)
    loss = round(loss_of((even, even), targets, 0.3).item(), 4)
    claim("loss of both without knowledge: 1.3 ln 10", loss, "=", round(1.3 * math.log(10), 4),
          task="6.4")  # fmt: skip
    # The window is one row below the image, and in the columns of the image.
    lower = crop(images, torch.full((8,), 5), torch.full((8,), 4))[:, :, :-1]
    differing = lower.ne(images[:, :, 1:]).sum().item()
    claim("cropped one pixel lower: wrong pixels", differing, "=", 0, task="6.6")
    mirrored = flip(images, torch.ones(8, dtype=torch.bool))
    differing = mirrored[..., 0].ne(images[..., -1]).sum().item()
    claim("flipped: wrong pixels in the first column", differing, "=", 0, task="6.7")


def gradient_sizes(model: nn.Module, batch: tuple[Tensor, Tensor]) -> list[float]:
    """Return the norm of the gradient in each convolution, first to last, before any training."""
    loss_of(model(batch[0]), batch[1]).backward()
    weights = [w for w in model.parameters() if w.dim() == 4]
    sizes = [weight.grad.norm().item() for weight in weights]
    model.zero_grad()
    return sizes


def without_norm(model: CifarNet) -> CifarNet:
    """Break it: remove the batch normalization from your blocks."""
    for block in model.modules():
        if isinstance(block, ResidualBlock):
            block.bn1 = block.bn2 = nn.Identity()
    return model


def look_at_gradients(
    batch: tuple[Tensor, Tensor], size: dict[str, int], findings: Findings
) -> dict[str, list[float]]:
    """Print the sizes of the gradients before any training; return them."""
    nets = {
        "plain-20": CifarNet(20, False, **size),
        "plain-44": CifarNet(44, False, **size),
        "ResNet-44": CifarNet(44, True, **size),
        "plain-20, no batch norm": without_norm(CifarNet(20, False, **size)),
        "plain-44, no batch norm": without_norm(CifarNet(44, False, **size)),
    }
    print(f"\n{'gradient before training, convolution':<40}{'first':>10}{'last':>10}{'ratio':>10}")
    gradients, ratio = {}, {}
    for name, net in nets.items():
        sizes = gradients[name] = gradient_sizes(net.to(batch[0].device), batch)
        ratio[name] = sizes[0] / sizes[-1]
        print(f"{name:<40}{sizes[0]:>10.2g}{sizes[-1]:>10.2g}{ratio[name]:>10.3g}")
    text = "plain-44: gradient of the first, of the last layer"
    sizes = gradients["plain-44"]
    claim = functools.partial(findings.claim, task="6.4 or 6.5", exact=True)
    claim(text, sizes[0], ">", sizes[-1], ".2g")
    text = "first to last: ResNet-44 against plain-44"
    claim(text, ratio["ResNet-44"], "<", ratio["plain-44"], ".3g")
    sizes = [gradients[f"plain-{depth}, no batch norm"][0] for depth in (44, 20)]
    text = "first layer, no batch norm: 44 against 20 layers"
    findings.claim(text, sizes[0], "<", sizes[1], ".2g")
    return gradients


def draw(
    losses: dict[str, list[float]], gradients: dict[str, list[float]], images: Tensor, out: Path
) -> None:
    depths = [f"{kind}-{depth}" for depth in (20, 44) for kind in ("plain", "ResNet")]
    plots.curves(
        {name: losses[name] for name in depths},
        out / "depth.png",
        title="Is deeper better?",
        xlabel="epoch",
        ylabel="training loss",
    )
    plots.curves(
        gradients,
        out / "gradients.png",
        title="Before training: how large are the gradients?",
        xlabel="convolution",
        ylabel="norm of its gradient",
        yscale="log",
    )
    generator = torch.Generator().manual_seed(0)
    again = [augment(images, generator) for _ in range(3)]
    rows = ["images", *(f"in epoch {epoch}" for epoch in (1, 2, 3))]
    plots.image_grid(torch.cat([images, *again]), path=out / "augmentation.png", rows=rows)


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab06", __doc__, argv, epochs=5, full_epochs=100)
    cifar = data.load("cifar10", args.data_dir, offline=args.offline)
    size = {"width": 16} if args.full else {"width": 8, "stride": 2}
    settings = {
        "batch_size": 128 if args.full else 64,
        "seed": args.seed,
        "device": args.device,
        "limit": 100 if args.tiny else None if args.full else 1_500,
    }
    bare, _, test = cifar.batches(**settings)
    batches, _, _ = cifar.batches(augment=augment, **settings)
    print(f"data: {cifar.source}; {batches.num_samples:,} training images")
    findings = args.findings
    count_the_famous(findings)
    gradients = look_at_gradients(next(iter(bare)), size, findings)

    stride = size.get("stride", 1)
    runs = {
        "plain-20": (CifarNet(20, False, **size), batches, 0.0),
        "ResNet-20": (CifarNet(20, True, **size), batches, 0.0),
        "plain-44": (CifarNet(44, False, **size), batches, 0.0),
        "ResNet-44": (CifarNet(44, True, **size), batches, 0.0),
        "ResNet-20, unaugmented": (CifarNet(20, True, **size), bare, 0.0),
        "Inception, one head": (SmallGoogLeNet(stride=stride), batches, 0.0),
        "Inception, two heads": (SmallGoogLeNet(stride=stride), batches, 0.3),
    }
    title = "pixels through JPEG"
    print(f"\n{title:<24}{'parameters':>12}{'training loss':>15}{'train':>9}{'test':>9}")
    losses, scores = {}, {}
    for name, (model, images, weight) in runs.items():
        model.to(args.device, memory_format=torch.channels_last)
        losses[name] = train(model, images, args.epochs, lr=0.05, weight=weight)
        scores[name] = [evaluate(model, split)["accuracy"] for split in (bare, test)]
        count = sum(parameter.numel() for parameter in model.parameters())
        print(
            f"{name:<24}{count:>12,}{losses[name][-1]:>15.3f}"
            f"{scores[name][0]:>9.1%}{scores[name][1]:>9.1%}",
            flush=True,
        )
    last = {name: values[-1] for name, values in losses.items()}
    for left, right in (("plain-20", "plain-44"), ("ResNet-44", "plain-44")):
        text = f"training loss: {left} against {right}"
        findings.claim(text, last[left], "<", last[right], ".3f", task="6.5")
    gaps = [train - test for train, test in (scores["ResNet-20"], scores["ResNet-20, unaugmented"])]
    text = "train minus test accuracy: augmented, not augmented"
    findings.claim(text, gaps[0], "<", gaps[1], ".1%", task="6.6")
    check_pieces(cifar.test_images[:8], findings)
    if args.plot:
        draw(losses, gradients, cifar.train_images[:8], args.out)
        print(f"figures: {args.out}")
    findings.report()


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** The plain network of 44 layers could copy the one of 20 layers and let the other layers
# compute the identity. Does it fail in generalization or in optimization, and which number shows
# it?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# In optimization. Overfitting would mean a low training loss and a bad test accuracy. Here the
# training loss itself is higher. The solution exists, but gradient descent does not find it. In the
# residual network, the identity path makes this solution the starting point of the search.
# </details>
#
# **2.** Lectures explain the failure of deep plain networks by gradients that vanish. Look at the
# table and at gradients.png: do they vanish here? Why does batch normalization change the answer?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# No layer's gradient is close to 0 with batch normalization. On the contrary: it grows toward the
# first layer. Each normalization keeps the outputs at the same size, and the price is that the
# gradient grows by a factor in each layer on its way back (Yang et al. 2019, arXiv:1902.08129).
# Without batch normalization all gradients are small, and smaller with 44 layers than with 20. He
# et al. (2015) also say that vanishing gradients are not the reason. The residual network has a
# path around every block, on which nothing is multiplied, so its gradients differ far less.
# </details>
#
# **3.** Most of VGG-16's parameters are in one layer. Which one, and why do ResNets not need it?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# The first linear layer, with 512 * 7 * 7 inputs and 4096 units: 103 of 138 million. A ResNet
# averages each map over its positions, so the classifier gets one number for each channel.
# </details>
#
# **4.** After so few epochs, the network trained without augmentation is often better on the test
# images than the one with it. Why would you use augmentation anyway?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Look at the gap between train and test. Without augmentation the network already begins to learn
# its images by heart, and more epochs would widen the gap. With augmentation each epoch brings
# other images, so it learns more slowly, but it can go on learning for a hundred epochs.
# </details>
#
# ## What you have seen
# More layers make a plain network train worse, and a residual one of the same depth trains far
# better. The gradients before training suggest why: in the plain network of 44 layers they are
# hundreds of times as large in the first layer as in the last one. Whether 44 residual layers are
# better than 20 cannot be told from so short a training, and neither can the use of Inception's
# second classifier: GoogLeNet needed it before batch normalization was known, this small network
# does not. Augmentation narrows the gap between train and test; it pays only in a longer training.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab06` asks seven questions with four choices each, and explains the answers.
