# %% [markdown]
"""Lab 05: convolution and LeNet-5.

With the same number of weights, is a network that moves small filters over the image better than
one that connects every input to every unit?

You write convolution and max-pooling by hand, find edges with Sobel's filters, and build LeNet-5
(LeCun et al. 1998). The experiment trains it and a multilayer perceptron of the same size.

Lecture sections: Convolution; Convolutional neural networks (CNN); LeNet5.

    dlcourse check lab05              check your answers (takes seconds)
    dlcourse check lab05 --task 5.2   check one task
    dlcourse run lab05 --tiny         run the whole experiment on 1,800 images (takes seconds)
    dlcourse run lab05                use 10,800 images (half a minute on a laptop)
    dlcourse run lab05 --full         use all images and 10 epochs (minutes on a laptop)

A recorded run of the solution (`dlcourse run lab05`, real MNIST, 2 cores):

    data: MNIST from datasets/MNIST/raw; 10,800 training images
    LeNet-5 parameters: {'conv1': 156, 'conv2': 2416, 'fc1': 48120, 'fc2': 10164, 'fc3': 850}

                                model       parameters      val     test
    10,800 images               LeNet-5         61,706   97.83%   97.86%
    10,800 images               MLP             62,020   95.58%   95.14%
    the same, pixels shuffled   LeNet-5         61,706   93.42%   92.60%
    the same, pixels shuffled   MLP             62,020   95.83%   95.12%
    figures: results/lab05

Over 3 seeds (mean, standard deviation, how many seeds agree):

    parameters                                                   61706 = 61706           exact
    inputs of fc1: 16 maps of the last size                        400 = 400             exact
    weights and biases that training changed                        10 = 10              exact
    conv1 with your conv2d: largest difference                2.38e-07 < 1e-05           exact
    its pooling: largest difference                                  0 = 0               exact
    sobel where 0 and 1 meet: 1 + 2 + 1                              4 = 4               exact
    test: LeNet-5 against MLP                           98.06% (0.25%) > 95.13% (0.13%)  3 of 3
    LeNet-5: pixels shuffled                            92.69% (0.08%) < 98.06% (0.25%)  3 of 3
    change by shuffling: MLP against LeNet-5             0.13% (0.09%) < 5.37% (0.24%)   3 of 3
The figures in results/lab05:

    confusion: How often LeNet-5 takes each digit (row) for each other one (column).
    edges: Digits, and the strength of their edges found by the filters of task 5.4.
    features: The six filters of conv1 of the trained LeNet-5, and what each of them sees in a 7.
    learning_curves: Loss and accuracy of LeNet-5 and of the perceptron of the same size.
"""

# %%
from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcourse import data, lab, models, plots
from dlcourse.train import evaluate, fit

# %% [markdown]
# ## 1. Convolution
# A small filter is placed at each position of the image, and each position gives one number. The
# filter has few weights and uses the same ones at all positions: the connections are local, and the
# parameters are shared.


# %%
def conv_output_size(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
    """Return the number of positions of a filter along one side of the image.

    size: pixels along this side. padding: zeros added at both ends of the side.
    stride: pixels from one position to the next.

    >>> conv_output_size(28, kernel_size=5)
    24
    >>> conv_output_size(28, kernel_size=5, padding=2)
    28
    >>> conv_output_size(7, kernel_size=2, stride=2)
    3
    """
    # Task 5.1 (1 point). Hint: how far can the filter move from its first position? Hint: how many
    # whole strides fit into that? `//` rounds down.
    # BEGIN SOLUTION
    return (size + 2 * padding - kernel_size) // stride + 1
    # END SOLUTION


# %%
def conv2d(
    inputs: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    """Apply the filters in `weight` to `inputs`, without flipping them (as all frameworks do).

    outputs[n, o, i, j] = bias[o] + sum over c, u, v of
                          weight[o, c, u, v] * inputs[n, c, i * stride + u, j * stride + v]
    where `inputs` first gets `padding` rows and columns of zeros on all sides. Without a bias,
    bias[o] is 0.

    Shape: inputs (N, C, H, W), weight (O, C, K, K), bias (O,) -> (N, O, H_out, W_out), float32 or
    the dtype of the inputs.
    Do not call torch.nn.functional.conv2d or torch.nn.Conv2d.

    >>> image = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(image, torch.ones(1, 1, 2, 2))
    tensor([[[[ 8., 12.],
              [20., 24.]]]])
    """
    # Task 5.2 (3 points). Hint: loop over the positions i, j, and multiply the patch there by all
    # filters; F.pad(inputs, (padding,) * 4) pads. Hint: faster: torch.nn.functional.unfold returns
    # the patches as columns, (N, C*K*K, positions); then one matrix product is enough.
    # BEGIN SOLUTION
    out_channels, _, kernel_size, _ = weight.shape
    height, width = (conv_output_size(s, kernel_size, stride, padding) for s in inputs.shape[2:])
    columns = F.unfold(inputs, kernel_size, stride=stride, padding=padding)  # (N, C*K*K, positions)
    outputs = weight.flatten(1) @ columns  # (N, O, positions)
    if bias is not None:
        outputs = outputs + bias[:, None]
    return outputs.reshape(len(inputs), out_channels, height, width)
    # END SOLUTION


# %% [markdown]
# ## 2. Pooling
# Keep only the largest response in each neighborhood. This leaves a quarter of the numbers, and a
# small shift of the image changes them only a little.


# %%
def max_pool2d(inputs: Tensor, kernel_size: int = 2) -> Tensor:
    """Return the largest value of each `kernel_size` x `kernel_size` block; blocks do not overlap.

    If the last rows or columns do not fill a whole block, leave them out.
    Shape: inputs (N, C, H, W) -> (N, C, H // kernel_size, W // kernel_size).
    Do not call torch's own pooling (max_pool2d, MaxPool2d, adaptive_max_pool2d).

    >>> max_pool2d(torch.arange(16.0).reshape(1, 1, 4, 4))
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    # Task 5.3 (2 points). Hint: shorten both sides to a multiple of kernel_size. Hint: reshape each
    # side to (blocks, kernel_size), and take amax over both kernel_size dimensions.
    # BEGIN SOLUTION
    n, c, height, width = inputs.shape
    rows, columns = height // kernel_size, width // kernel_size
    whole = inputs[:, :, : rows * kernel_size, : columns * kernel_size]
    blocks = whole.reshape(n, c, rows, kernel_size, columns, kernel_size)
    return blocks.amax(dim=(3, 5))
    # END SOLUTION


# %% [markdown]
# ## 3. Edges
# A filter can be useful without training. Sobel's first filter responds to brightness that changes
# from top to bottom, and the second to brightness that changes from left to right.


# %%
def sobel(images: Tensor) -> Tensor:
    """Return the strength of the edge at each pixel, sqrt(gy^2 + gx^2), from Sobel's responses.

    The filter for gy is [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]; the filter for gx is its transpose.
    Call your conv2d (not torch's) with padding 1, so that the size stays the same.
    Shape: images (N, 1, H, W) -> (N, 1, H, W).

    >>> sobel(torch.tensor([[[[0.0, 0.0, 1.0, 1.0]] * 3]]))[0, 0, 1]
    tensor([0., 4., 4., 4.])
    """
    # Task 5.4 (2 points). Hint: a filter needs the shape (1, 1, 3, 3), or both together
    # (2, 1, 3, 3). Hint: then the two output channels are gy and gx; square, add, take the root.
    # BEGIN SOLUTION
    vertical = torch.tensor([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]])
    weight = torch.stack([vertical, vertical.T])[:, None].to(images)  # (2, 1, 3, 3)
    return conv2d(images, weight, padding=1).square().sum(dim=1, keepdim=True).sqrt()
    # END SOLUTION


# %% [markdown]
# ## 4. LeNet-5
# Two stages of convolution, ReLU and pooling extract features. Three linear layers classify them.
#
# | layer | operations                                 | output         |
# |-------|--------------------------------------------|----------------|
# | conv1 | 6 filters 5x5, padding 2; ReLU; pool by 2  | (N, 6, 14, 14) |
# | conv2 | 16 filters 5x5; ReLU; pool by 2            | (N, 16, 5, 5)  |
# | fc1   | 400 -> 120; ReLU                           | (N, 120)       |
# | fc2   | 120 -> 84; ReLU                            | (N, 84)        |
# | fc3   | 84 -> num_classes                          | (N, num_classes) |


# %%
class LeNet5(nn.Module):
    """LeNet-5 for 28x28 images, with ReLU and max-pooling.

    Name the layers conv1, conv2, fc1, fc2 and fc3, as in the table above.
    Shape: inputs (N, 1, 28, 28) -> logits (N, num_classes), no softmax.

    >>> LeNet5()(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        # Task 5.5 (3 points). Hint: five layers, five lines: nn.Conv2d and nn.Linear. Hint: conv1
        # is nn.Conv2d(1, 6, kernel_size=5, ...) with the padding of the table.
        # BEGIN SOLUTION
        self.conv1 = nn.Conv2d(1, 6, kernel_size=5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)
        # END SOLUTION

    def forward(self, inputs: Tensor) -> Tensor:
        # Task 5.5, continued. Hint: use F.relu, F.max_pool2d (faster than yours) and flatten(1).
        # BEGIN SOLUTION
        x = F.relu(F.max_pool2d(self.conv1(inputs), 2))  # (N, 6, 14, 14)
        x = F.relu(F.max_pool2d(self.conv2(x), 2))  # (N, 16, 5, 5)
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 120)
        x = F.relu(self.fc2(x))  # (N, 84)
        return self.fc3(x)
        # END SOLUTION


# %%
def count_parameters(model: nn.Module) -> dict[str, int]:
    """Count the parameters (weights and biases) of each layer of `model`, by the layer's name.

    >>> count_parameters(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)))
    {'0': 8, '1': 0, '2': 3}
    """
    # Task 5.6 (1 point). Hint: model.named_children() gives the layers and their names. Hint: add
    # up numel() of the parameters() of each layer.
    # BEGIN SOLUTION
    return {
        name: sum(parameter.numel() for parameter in layer.parameters())
        for name, layer in model.named_children()
    }
    # END SOLUTION


# %% [markdown]
# ## 5. The experiment
# Compare LeNet-5 with a multilayer perceptron that has about as many weights, on the same images.
# The validation images decide which epoch's weights are kept. The test images are used only once,
# at the end. Then break what a convolution relies on: the pixels of all images are shuffled, each
# image in the same way, so that neighbors are no longer related.
#
# **Predict before you run it.** For which of the two networks does the accuracy change if the
# pixels are shuffled, and which one is better then?
#
# *Your prediction:*


# %%
def draw_edges(images: Tensor, path: str) -> None:
    """Draw digits, and their Sobel edges below them. Shape: images uint8 (8, 1, 28, 28)."""
    edges = sobel(images.float() / 255)
    rows = ["digits", "their edges"]
    plots.image_grid(torch.cat([images.float(), edges]), path=path, rows=rows)


def draw_features(model: LeNet5, image: Tensor, path: str) -> None:
    """Draw the six filters of conv1, and below each its response to `image` (1, 28, 28)."""
    filters = model.conv1.weight.detach()  # (6, 1, 5, 5)
    with torch.inference_mode():
        maps = model.conv1(image[None])[0]  # (6, 28, 28)
    rows = ["filters of conv1", "what each sees"]
    plots.image_grid([*filters[:, 0], *maps], columns=6, path=path, rows=rows)


@torch.inference_mode()
def predict(model: nn.Module, batches: data.Batches) -> tuple[Tensor, Tensor]:
    """Return the predicted and the true class of every image, on the CPU, each int64 (N,)."""
    model.eval()
    pairs = [(model(inputs).argmax(1), targets) for inputs, targets in batches]
    predictions, targets = zip(*pairs, strict=True)
    return torch.cat(predictions).cpu(), torch.cat(targets).cpu()


def shuffle_pixels(images: data.ImageData, seed: int) -> data.ImageData:
    """Return the same images with their pixels in another order, the same one for each image."""
    height, width = images.train_images.shape[2:]
    order = torch.randperm(height * width, generator=torch.Generator().manual_seed(seed))

    def shuffle(pixels: Tensor) -> Tensor:
        return pixels.flatten(2)[:, :, order].reshape(pixels.shape)

    return dataclasses.replace(
        images,
        train_images=shuffle(images.train_images),
        test_images=shuffle(images.test_images),
    )


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab05", __doc__, argv, epochs=4, full_epochs=10)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    limit = args.limit or (None if args.full else 12_000)
    settings = {"batch_size": 64, "seed": args.seed, "device": args.device, "limit": limit}
    train, val, test = mnist.batches(**settings)
    print(f"data: {mnist.source}; {train.num_samples:,} training images")

    shuffled = shuffle_pixels(mnist, args.seed).batches(**settings)
    runs = {
        f"{train.num_samples:,} images": (train, val, test),
        "the same, pixels shuffled": shuffled,
    }
    print(f"LeNet-5 parameters: {count_parameters(LeNet5())}")
    print(f"\n{'':<28}{'model':<10}{'parameters':>12}{'val':>9}{'test':>9}")
    scores, histories, trained = {}, {}, {}
    for data_name, splits in runs.items():
        torch.manual_seed(args.seed)
        contestants = {"LeNet-5": LeNet5(), "MLP": models.build("mlp", hidden_sizes=(78,))}
        for name, model in contestants.items():
            history = fit(
                model,
                *splits[:2],
                epochs=args.epochs,
                lr=3e-3,
                schedule="onecycle",
                seed=args.seed,
                device=args.device,
            )
            scores[data_name, name] = evaluate(model, splits[2])["accuracy"]
            print(
                f"{data_name:<28}{name:<10}{history.config['parameters']:>12,}"
                f"{history.best['val_accuracy']:>9.2%}{scores[data_name, name]:>9.2%}",
                flush=True,
            )
            if name not in trained:
                history.save(args.out / f"history_{name}.json")
                histories[name], trained[name] = history, model

    some, broken = runs
    claim = functools.partial(args.findings.claim, form=".2%", task="5.5")
    parameters = sum(count_parameters(LeNet5()).values())
    exact = functools.partial(args.findings.claim, form=".3g", exact=True)
    args.findings.claim("parameters", parameters, "=", 61706, "g", task="5.5 or 5.6", exact=True)
    side = conv_output_size(conv_output_size(28, 5, padding=2), 2, stride=2)
    side = conv_output_size(conv_output_size(side, 5), 2, stride=2)
    exact("inputs of fc1: 16 maps of the last size", 16 * side**2, "=", 400, task="5.1")
    torch.manual_seed(args.seed)
    before_training, lenet = LeNet5(), trained["LeNet-5"].cpu()
    pairs = zip(before_training.parameters(), lenet.parameters(), strict=True)
    moved = sum(not torch.equal(before, after) for before, after in pairs)
    exact("weights and biases that training changed", moved, "=", 10, task="5.5")
    images = mnist.test_images[:8] / 255
    with torch.inference_mode():
        maps = lenet.conv1(images)
        mine = conv2d(images, lenet.conv1.weight, lenet.conv1.bias, padding=2)
        text = "conv1 with your conv2d: largest difference"
        exact(text, (mine - maps).abs().max().item(), "<", 1e-5, task="5.2 or 5.5")
        difference = (max_pool2d(maps) - F.max_pool2d(maps, 2)).abs().max().item()
        exact("its pooling: largest difference", difference, "=", 0, task="5.3")
    step = (torch.arange(8.0) > 3).expand(1, 1, 8, 8).float()
    edge = sobel(step)[0, 0, 4].max().item()
    exact("sobel where 0 and 1 meet: 1 + 2 + 1", edge, "=", 4, task="5.2 or 5.4")
    claim("test: LeNet-5 against MLP", scores[some, "LeNet-5"], ">", scores[some, "MLP"])
    if args.full:
        claim("test: LeNet-5", scores[some, "LeNet-5"], ">", 0.99)
    before, after = scores[some, "LeNet-5"], scores[broken, "LeNet-5"]
    claim("LeNet-5: pixels shuffled", after, "<", before)
    change = abs(scores[broken, "MLP"] - scores[some, "MLP"])
    claim("change by shuffling: MLP against LeNet-5", change, "<", before - after, task="")

    if args.plot:
        draw_edges(mnist.test_images[:8], args.out / "edges.png")
        plots.learning_curves(histories, args.out / "learning_curves.png")
        inputs, _ = next(iter(test))
        draw_features(trained["LeNet-5"], inputs[0], args.out / "features.png")
        plots.confusion_matrix(
            *predict(trained["LeNet-5"], test), mnist.class_names, args.out / "confusion.png"
        )
        print(f"figures: {args.out}")
    args.findings.report()


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** fc1 has 48,120 of the 61,706 parameters. Why so many, and what could replace it?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# It connects all 400 numbers to all 120 units and shares no weights. A filter of conv2 uses its 150
# weights at 100 positions. If you average each of the 16 maps over its positions, 16 numbers are
# left. A linear layer on them has only 170 parameters. The price: the network no longer knows where
# in the image a feature was.
# </details>
#
# **2.** Shuffling the pixels changes the result of one network and not of the other. Why?
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# LeNet-5's filters need neighboring pixels that are related, and after the shuffling they are not.
# For the MLP, another order of the inputs only changes the order of the columns of its first
# weight, so it trains as before, up to chance.
# </details>
#
# ## What you have seen
# With the same number of weights, a network that uses small filters everywhere beats one that
# connects every pixel to every unit. It can, because neighboring pixels belong together: when they
# no longer do, LeNet-5 loses its advantage, while the MLP does not notice.

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab05` asks seven questions with four choices each, and explains the answers.
# BEGIN QUIZ
# Q: How many positions has a 5 x 5 filter along a side of 28 pixels, with stride 1 and no padding?
# + 24 | The filter can start at the first 28 - 5 + 1 pixels.
# - 23 | One position is missing: the filter can also start at the first pixel.
# - 28 | This needs a padding of 2 at each end.
# - 6 | This is about 28 / 5, the number of filters side by side that do not overlap.
# Q: A convolution has 6 input channels, 16 output channels and 5 x 5 filters with a bias. How many
#     parameters does it have?
# + 2,416 | Each of the 16 filters has 6 x 5 x 5 weights and one bias: 16 x 151.
# - 2,400 | The 16 biases are missing.
# - 416 | A filter covers all 6 input channels, so it has 6 x 25 weights, not 25.
# - 2,406 | There is one bias for each output channel, not for each input channel.
# Q: Why does a convolution need so few parameters compared with a linear layer on the same image?
# + Each output looks only at a small patch, and all positions share the same weights. | Local
#     connections and shared parameters are the two ideas.
# - Its weights are smaller numbers. | The size of a number does not change how many there are.
# - Most of its outputs are 0. | A ReLU may set outputs to 0; this does not change the number of
#     weights.
# - It works on gray images only. | With several channels each filter has weights for all of them.
# Q: What does the Sobel filter ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)) answer to a constant gray area?
# + 0 | Its weights sum to 0, so only changes from left to right count.
# - The gray value itself | The weights would have to sum to 1, as in a mean.
# - Four times the gray value | The positive weights sum to 4, and the negative ones to -4.
# - The largest number in the area | This is max-pooling.
# Q: Max-pooling of 2 x 2 with stride 2 follows a convolution. Which statement is right?
# + It halves both sides and has no parameters. | It takes the largest of four numbers in each
#     channel.
# - It halves the number of channels. | Each channel is pooled by itself, and their number stays the
#     same.
# - It averages four numbers. | This is average pooling; LeNet's original used it with learned
#     factors.
# - It passes the same gradient to all four numbers. | Only the largest number gets the gradient.
# Q: Most of LeNet-5's 61,706 parameters are in
# + the first linear layer, because it connects all 400 numbers to 120 units. | 400 x 120 + 120 =
#     48,120.
# - the first convolution, because it sees the largest image. | It has 6 x 25 + 6 = 156: the size of
#     the image does not matter.
# - the second convolution, because it has the most filters. | It has 2,416.
# - the last layer, because it makes the decision. | It has 84 x 10 + 10 = 850.
# Q: All images, training and test, get their pixels shuffled by one fixed permutation, and both
#     networks are trained anew. Whose accuracy falls?
# + LeNet-5's, but not the MLP's. | A convolution needs neighboring pixels that belong together. A
#     linear layer has no idea of neighbors.
# - The MLP's, but not LeNet-5's. | For the MLP the permutation only reorders the columns of its
#     first weight.
# - Both fall to chance. | The images still differ between classes, and both can learn from that.
# - Neither. | A patch of shuffled pixels holds unrelated pixels, and shared filters no longer make
#     sense.
# END QUIZ
