"""Tests of lab 05, with their points. `student` is the lab under test: a solution or a submission.

The oracles are torch's own layers and numbers computed by hand.
"""

import torch
import torch.nn.functional as F

from dlcourse.check import assert_close, points
from dlcourse.check.explain import difference


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def near(got, expected, what=""):
    """Check that `got` equals `expected` up to rounding errors in float32."""
    __tracebackhide__ = True
    same = isinstance(got, torch.Tensor) and got.shape == expected.shape
    same = same and torch.allclose(got.to(expected.dtype), expected, rtol=1e-4, atol=1e-4)
    assert same, what + difference(got, expected)


@points(0.5, task="5.1", hint="compute the three examples of the docstring by hand")
def test_output_size_of_the_examples(student):
    assert student.conv_output_size(28, kernel_size=5) == 24
    assert student.conv_output_size(28, kernel_size=5, padding=2) == 28
    assert student.conv_output_size(7, kernel_size=2, stride=2) == 3
    # positions 0, 3 and 6 of 6 + 2 * 2 pixels
    assert student.conv_output_size(6, kernel_size=3, stride=3, padding=2) == 3


@points(0.5, task="5.1", hint="each position must lie inside the image: round down", hidden=True)
def test_output_size_is_that_of_torch(student):
    for size, kernel_size, stride, padding in [
        (5, 5, 1, 0),
        (224, 11, 4, 2),
        (9, 2, 3, 0),
        (10, 3, 2, 1),
        (1, 1, 1, 0),
        (11, 4, 5, 3),
    ]:
        image = torch.zeros(1, 1, size, size)
        weight = torch.zeros(1, 1, kernel_size, kernel_size)
        expected = F.conv2d(image, weight, stride=stride, padding=padding).shape[-1]
        got = student.conv_output_size(size, kernel_size, stride, padding)
        assert got == expected, (
            f"conv_output_size({size}, {kernel_size}, {stride}, {padding}): "
            f"expected {expected}, got {got}"
        )


@points(
    1,
    task="5.2",
    hint="do not flip the filter: its first weight multiplies the first pixel",
    forbidden=("*conv*", "*Conv*"),
)
def test_conv2d_of_one_filter_by_hand(student):
    image = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]])
    weight = torch.tensor([[[[1.0, 0.0], [0.0, -2.0]]]])
    # 1 * 1 - 2 * 5 = -9 at the first position, then 2 - 2 * 6 = -10, 4 - 16 and 5 - 18
    expected = torch.tensor([[[[-9.0, -10.0], [-12.0, -13.0]]]])
    assert_close(student.conv2d(image, weight), expected)


@points(1, task="5.2", hint="sum over all input channels; add bias[o]; use stride and padding")
def test_conv2d_of_many_channels_is_that_of_torch(student):
    inputs, weight, bias = randn(2, 3, 8, 6), randn(4, 3, 3, 3, seed=1), randn(4, seed=2)
    near(student.conv2d(inputs, weight, bias), F.conv2d(inputs, weight, bias))
    near(student.conv2d(inputs, weight), F.conv2d(inputs, weight))
    for stride, padding in [(1, 2), (2, 0), (3, 1)]:
        expected = F.conv2d(inputs, weight, bias, stride=stride, padding=padding)
        got = student.conv2d(inputs, weight, bias, stride=stride, padding=padding)
        near(got, expected, f"stride {stride}, padding {padding}: ")


@points(1, task="5.2", hint="use stride and padding; check the output's shape first", hidden=True)
def test_conv2d_with_stride_and_padding_is_that_of_torch(student):
    for seed, (stride, padding, kernel_size) in enumerate([(2, 0, 3), (1, 2, 5), (3, 1, 2)]):
        # Every second column of a wider tensor, so not contiguous in memory.
        inputs = randn(1, 2, 9, 22, seed=seed)[..., ::2]
        weight = randn(3, 2, kernel_size, kernel_size, seed=seed + 10)
        bias = randn(3, seed=seed + 20)
        expected = F.conv2d(inputs, weight, bias, stride=stride, padding=padding)
        got = student.conv2d(inputs, weight, bias, stride, padding)
        near(got, expected, f"stride {stride}, padding {padding}: ")


@points(
    1,
    task="5.3",
    hint="take one maximum of each kernel_size x kernel_size block",
    forbidden=("*max_pool*", "*MaxPool*"),
)
def test_max_pool_by_hand(student):
    inputs = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert_close(student.max_pool2d(inputs), torch.tensor([[[[5.0, 7.0], [13.0, 15.0]]]]))
    # Two channels, negative numbers, blocks of 3 x 3; row 3 and column 6 fill no block.
    inputs = -torch.arange(2 * 4 * 7.0).reshape(1, 2, 4, 7)
    expected = torch.tensor([[[[0.0, -3.0]], [[-28.0, -31.0]]]])
    assert_close(student.max_pool2d(inputs, 3), expected)


@points(1, task="5.3", hint="the side need not be a multiple of kernel_size", hidden=True)
def test_max_pool_is_that_of_torch(student):
    for kernel_size, height, width in [(2, 7, 5), (3, 9, 11), (4, 4, 4), (1, 3, 2)]:
        inputs = randn(2, 3, height, width, seed=kernel_size) - 10
        expected = F.max_pool2d(inputs, kernel_size)
        assert_close(student.max_pool2d(inputs, kernel_size), expected)


@points(1, task="5.4", needs=("5.2",), hint="at a step from left to right, gx is 4 and gy is 0")
def test_sobel_by_hand(student):
    step = torch.tensor([[[[0.0, 0.0, 1.0, 1.0]] * 3]])
    row = student.sobel(step)[0, 0, 1]
    assert_close(row, torch.tensor([0.0, 4.0, 4.0, 4.0]))
    column = student.sobel(step.transpose(2, 3).contiguous())[0, 0, :, 1]
    assert_close(column, torch.tensor([0.0, 4.0, 4.0, 4.0]))
    # One bright pixel: gy and gx are 3 at the corners around it; at the sides one is 6, one is 0.
    images = torch.zeros(2, 1, 3, 4)
    images[1, 0, 1, 1] = 3.0
    corner = 3 * 2**0.5
    around = [[corner, 6.0, corner, 0.0], [6.0, 0.0, 6.0, 0.0], [corner, 6.0, corner, 0.0]]
    expected = torch.stack([torch.zeros(1, 3, 4), torch.tensor([around])])
    near(student.sobel(images), expected, "around one bright pixel: ")


@points(
    1,
    task="5.4",
    needs=("5.2",),
    hint="square gy and gx, add them, then take the root",
    hidden=True,
)
def test_sobel_is_the_length_of_the_gradient(student):
    images = randn(3, 1, 6, 9)
    down = torch.tensor([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]])
    gy = F.conv2d(images, down[None, None], padding=1)
    gx = F.conv2d(images, down.T[None, None], padding=1)
    assert_close(student.sobel(images), torch.hypot(gy, gx))


LENET5_SHAPES = {
    "conv1.weight": (6, 1, 5, 5),
    "conv1.bias": (6,),
    "conv2.weight": (16, 6, 5, 5),
    "conv2.bias": (16,),
    "fc1.weight": (120, 400),
    "fc1.bias": (120,),
    "fc2.weight": (84, 120),
    "fc2.bias": (84,),
    "fc3.weight": (10, 84),
    "fc3.bias": (10,),
}


def lenet5(weights, inputs):
    """Compute LeNet-5 from its weights. Shape: inputs (N, 1, 28, 28) -> logits (N, 10)."""
    x = F.conv2d(inputs, weights["conv1.weight"], weights["conv1.bias"], padding=2)
    x = F.max_pool2d(x.relu(), 2)
    x = F.conv2d(x, weights["conv2.weight"], weights["conv2.bias"])
    x = F.max_pool2d(x.relu(), 2).flatten(1)
    x = F.linear(x, weights["fc1.weight"], weights["fc1.bias"]).relu()
    x = F.linear(x, weights["fc2.weight"], weights["fc2.bias"]).relu()
    return F.linear(x, weights["fc3.weight"], weights["fc3.bias"])


# The first five logits of two images, with the weights that `loaded` draws.
KNOWN_LOGITS = [
    [-0.2382, -1.2430, 0.2232, 0.1102, -0.3590],
    [-0.4854, -0.9439, 0.3197, -0.1580, -0.6541],
]


@points(
    1,
    task="5.5",
    hint="compare with the table: which layer has another shape or name?",
    forbidden=("dlcourse.models*",),
)
def test_lenet5_has_the_layers_of_the_table(student):
    weights = student.LeNet5().state_dict()
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == LENET5_SHAPES
    last = student.LeNet5(num_classes=7).state_dict()["fc3.weight"]
    assert tuple(last.shape) == (7, 84), f"num_classes 7: fc3.weight is {tuple(last.shape)}"


def loaded(model, num_classes=10):
    """Load random weights into `model`, so that it cannot choose them; return them."""
    shapes = LENET5_SHAPES | {"fc3.weight": (num_classes, 84), "fc3.bias": (num_classes,)}
    weights = {
        name: randn(*shape, seed=seed) / 10 for seed, (name, shape) in enumerate(shapes.items())
    }
    model.load_state_dict(weights)
    return weights


@points(
    1, task="5.5", hint="twice conv, ReLU, pool; then three linear layers, no ReLU after the last"
)
def test_lenet5_computes_known_logits(student):
    model = student.LeNet5()
    loaded(model)
    logits = model(randn(2, 1, 28, 28, seed=1))
    assert tuple(logits.shape) == (2, 10), f"expected logits (2, 10), got {tuple(logits.shape)}"
    expected = torch.tensor(KNOWN_LOGITS)
    assert torch.allclose(logits[:, :5], expected, atol=2e-3), (
        f"the first 5 of 10 logits: {difference(logits[:, :5], expected)}"
    )


@points(1, task="5.5", hint="num_classes is the width of fc3; return logits", hidden=True)
def test_lenet5_takes_the_number_of_classes(student):
    model = student.LeNet5(num_classes=26)
    weights = loaded(model, num_classes=26)
    inputs = 3 * randn(5, 1, 28, 28, seed=7)
    logits = model(inputs)
    assert tuple(logits.shape) == (5, 26)
    near(logits, lenet5(weights, inputs))


def counts_of(student, **settings):
    """Return the student's counts for LeNet-5, without layers that have no parameters."""
    counts = student.count_parameters(student.LeNet5(**settings))
    return {name: count for name, count in counts.items() if count}


@points(0.5, task="5.6", needs=("5.5",), hint="count weights and biases: conv1 has 6 * 25 + 6")
def test_parameters_of_lenet5(student):
    counts = counts_of(student)
    assert counts == {"conv1": 156, "conv2": 2416, "fc1": 48120, "fc2": 10164, "fc3": 850}
    assert sum(counts.values()) == 61706
    layers = student.nn.Linear(3, 2), student.nn.ReLU(), student.nn.Linear(2, 5)
    counts = student.count_parameters(student.nn.Sequential(*layers))
    assert counts == {"0": 8, "1": 0, "2": 15}


@points(
    0.5,
    task="5.6",
    needs=("5.5",),
    hint="count the parameters of the model that you are given",
    hidden=True,
)
def test_parameters_of_another_lenet5(student):
    counts = counts_of(student, num_classes=3)
    assert counts == {"conv1": 156, "conv2": 2416, "fc1": 48120, "fc2": 10164, "fc3": 255}
