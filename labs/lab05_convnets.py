# %% [markdown]
"""Lab 05: convolution and LeNet-5.

With the same number of weights, is a network that moves small filters over the image better than
one that connects every input to every unit?

You write convolution and max-pooling by hand, find edges with Sobel's filters, and build LeNet-5
(LeCun et al. 1998). The experiment trains it and a multilayer perceptron of the same size.

Lectures: T (convolutional networks), C (convolution), K (LeNet-5).

    dlcourse check lab05              check your answers (takes seconds)
    dlcourse check lab05 --task 5.2   check one task
    dlcourse run lab05 --tiny         run the whole experiment on 2,000 images (takes seconds)
    dlcourse run lab05                run the whole experiment (about a minute on a laptop)

A recorded run of the solution (`dlcourse run lab05`, real MNIST, 2 cores):

    data: MNIST from datasets/MNIST/raw; 54,000 training images
    LeNet-5 parameters: {'conv1': 156, 'conv2': 2416, 'fc1': 48120, 'fc2': 10164, 'fc3': 850}

    model       parameters      val     test   training
    LeNet-5         61,706   99.13%   99.17%       70 s
    MLP             62,020   97.55%   98.02%       13 s
    figures: results/lab05
"""

# %%
from __future__ import annotations

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
    # Task 5.1 (1 point). For a hint: dlcourse hint 5.1
    raise NotImplementedError("task 5.1: conv_output_size")


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
    # Task 5.2 (3 points). For a hint: dlcourse hint 5.2
    raise NotImplementedError("task 5.2: conv2d")


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
    # Task 5.3 (2 points). For a hint: dlcourse hint 5.3
    raise NotImplementedError("task 5.3: max_pool2d")


# %% [markdown]
# ## 3. Edges
# A filter can be useful without training. Sobel's first filter responds to brightness that changes
# from top to bottom, and the second to brightness that changes from left to right.


# %%
def sobel(images: Tensor) -> Tensor:
    """Return the strength of the edge at each pixel, sqrt(gy^2 + gx^2), from Sobel's responses.

    The filter for gy is [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]; the filter for gx is its transpose.
    Call your conv2d with padding 1, so that the size stays the same.
    Shape: images (N, 1, H, W) -> (N, 1, H, W).

    >>> sobel(torch.tensor([[[[0.0, 0.0, 1.0, 1.0]] * 3]]))[0, 0, 1]
    tensor([0., 4., 4., 4.])
    """
    # Task 5.4 (2 points). For a hint: dlcourse hint 5.4
    raise NotImplementedError("task 5.4: sobel")


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
        # Task 5.5 (3 points). For a hint: dlcourse hint 5.5
        raise NotImplementedError("task 5.5: LeNet5")

    def forward(self, inputs: Tensor) -> Tensor:
        # Task 5.5, continued.
        raise NotImplementedError("task 5.5: LeNet5.forward")


# %%
def count_parameters(model: nn.Module) -> dict[str, int]:
    """Count the parameters (weights and biases) of each layer of `model`, by the layer's name.

    >>> count_parameters(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)))
    {'0': 8, '1': 0, '2': 3}
    """
    # Task 5.6 (1 point). For a hint: dlcourse hint 5.6
    raise NotImplementedError("task 5.6: count_parameters")


# %% [markdown]
# ## 5. The experiment
# Compare LeNet-5 with a multilayer perceptron that has about as many weights, on the same images.
# The validation images decide which epoch's weights are kept. The test images are used only once,
# at the end.


# %%
def draw_edges(images: Tensor, path: str) -> None:
    """Draw digits, and their Sobel edges below them. Shape: images uint8 (8, 1, 28, 28)."""
    edges = sobel(images.float() / 255)
    plots.image_grid(torch.cat([images.float(), edges]), path=path, title="Digits and their edges")


def draw_features(model: LeNet5, image: Tensor, path: str) -> None:
    """Draw the six filters of conv1, and below each its response to `image` (1, 28, 28)."""
    filters = model.conv1.weight.detach()  # (6, 1, 5, 5)
    with torch.inference_mode():
        maps = model.conv1(image[None])[0]  # (6, 28, 28)
    plots.image_grid(
        [*filters[:, 0], *maps], columns=6, path=path, title="conv1: its filters, what each sees"
    )


@torch.inference_mode()
def predict(model: nn.Module, batches: data.Batches) -> tuple[Tensor, Tensor]:
    """Return the predicted and the true class of every image, on the CPU, each int64 (N,)."""
    model.eval()
    pairs = [(model(inputs).argmax(1), targets) for inputs, targets in batches]
    predictions, targets = zip(*pairs, strict=True)
    return torch.cat(predictions).cpu(), torch.cat(targets).cpu()


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("lab05", __doc__, argv, epochs=8, full_epochs=20)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    train, val, test = mnist.batches(
        batch_size=64, seed=args.seed, device=args.device, limit=args.limit
    )
    print(f"data: {mnist.source}; {train.num_samples:,} training images")

    contestants = {
        "LeNet-5": LeNet5(),
        "MLP": models.build("mlp", hidden_sizes=(78,)),
    }
    print(f"LeNet-5 parameters: {count_parameters(contestants['LeNet-5'])}")
    histories = {}
    for name, model in contestants.items():
        histories[name] = fit(
            model,
            train,
            val,
            epochs=args.epochs,
            lr=3e-3,
            schedule="onecycle",
            patience=3,
            seed=args.seed,
            device=args.device,
        )
        histories[name].save(args.out / f"history_{name}.json")

    print(f"\n{'model':<10}{'parameters':>12}{'val':>9}{'test':>9}{'training':>11}")
    for name, model in contestants.items():
        history = histories[name]
        print(
            f"{name:<10}{history.config['parameters']:>12,}"
            f"{history.best['val_accuracy']:>9.2%}{evaluate(model, test)['accuracy']:>9.2%}"
            f"{sum(history['seconds']):>9.0f} s"
        )

    if args.plot:
        draw_edges(mnist.test_images[:8], args.out / "edges.png")
        plots.learning_curves(histories, args.out / "learning_curves.png")
        inputs, _ = next(iter(test))
        draw_features(contestants["LeNet-5"], inputs[0], args.out / "features.png")
        plots.confusion_matrix(
            *predict(contestants["LeNet-5"], test), mnist.class_names, args.out / "confusion.png"
        )
        print(f"figures: {args.out}")


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# 1. fc1 has 48,120 of the 61,706 parameters. Why so many, and what could replace it?
# 2. Shuffle the pixels of every image with one fixed permutation. For which of the two networks
#    does the result change?

# %% [markdown]
# ## Quiz
# `dlcourse quiz lab05` asks seven questions with four choices each, and explains the answers.
