"""Tests of lab 05, with their points. `student` is the lab under test: a solution or a submission.

The oracles are torch's own layers and numbers computed by hand.
"""

import torch
import torch.nn.functional as F

from dlcourse.check import expect, points


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def check_size(student, size, kernel_size, stride, padding):
    """Compare with the number of outputs of torch's own convolution."""
    __tracebackhide__ = True
    image = torch.zeros(1, 1, size, size)
    weight = torch.zeros(1, 1, kernel_size, kernel_size)
    whole = (size - kernel_size + 2 * padding) / stride
    expect(
        student.conv_output_size(size, kernel_size, stride, padding),
        F.conv2d(image, weight, stride=stride, padding=padding).shape[-1],
        mistakes={
            "`/` instead of `//`": whole + 1,
            "dividing by the stride before subtracting kernel_size": (size + 2 * padding) // stride
            - kernel_size
            + 1,
            "rounding to the nearest number": round(whole) + 1,
            "rounding up": -int(-whole // 1) + 1,
            "leaving out the first position": int(whole),
            "padding on one side only": (size - kernel_size + padding) // stride + 1,
            "ignoring padding": (size - kernel_size) // stride + 1,
            "ignoring stride": size - kernel_size + 2 * padding + 1,
            "adding 1 before the division": (size - kernel_size + 2 * padding + 1) // stride,
            "subtracting the padding": (size - kernel_size - 2 * padding) // stride + 1,
        },
    )


@points(0.5, task="5.1", hint="compute the three examples of the docstring by hand")
def test_output_size_of_other_images(student):
    # The last one: positions 0, 3 and 6 of 6 + 2 * 2 pixels.
    for sizes in [
        (9, 3, 1, 0),
        (28, 5, 1, 2),
        (8, 3, 2, 0),
        (9, 2, 3, 1),
        (6, 3, 3, 2),
        (9, 3, 4, 0),
        (10, 3, 4, 0),
    ]:
        check_size(student, *sizes)


@points(0.5, task="5.1", hint="each position must lie inside the image: round down", hidden=True)
def test_output_size_is_that_of_torch(student):
    for sizes in [(5, 5, 1, 0), (224, 11, 4, 2), (10, 3, 2, 1), (1, 1, 1, 0), (11, 4, 5, 3)]:
        check_size(student, *sizes)


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
    expect(
        student.conv2d(image, weight),
        expected,
        mistakes={
            # 9 + 0 - 2 * 1, ...: what the filter sees upside down
            "a flipped filter": torch.tensor([[[[3.0, 2.0], [0.0, -1.0]]]]),
            "a transposed image or output": expected.mT,
            "the mean instead of the sum": expected / 4,
        },
    )


def check_conv(student, inputs, weight, bias, **settings):
    """Compare with torch's own convolution."""
    __tracebackhide__ = True
    stride, padding = settings.get("stride", 1), settings.get("padding", 0)
    expected = F.conv2d(inputs, weight, bias, **settings)
    mistakes = {
        "a flipped filter": F.conv2d(inputs, weight.flip(2, 3), bias, **settings),
        "a transposed filter": F.conv2d(inputs, weight.mT, bias, **settings),
        "ignoring stride": F.conv2d(inputs, weight, bias, padding=padding),
        "ignoring padding": F.conv2d(inputs, weight, bias, stride=stride),
        "the first input channel only": F.conv2d(inputs[:, :1], weight[:, :1], bias, **settings),
    }
    if bias is not None:
        mistakes["leaving out the bias"] = F.conv2d(inputs, weight, **settings)
        mistakes["adding the bias for each input channel"] = F.conv2d(
            inputs, weight, inputs.shape[1] * bias, **settings
        )
    expect(student.conv2d(inputs, weight, bias, **settings), expected, mistakes=mistakes)


@points(1, task="5.2", hint="sum over all input channels; add bias[o]; use stride and padding")
def test_conv2d_of_many_channels_is_that_of_torch(student):
    inputs, weight, bias = randn(2, 3, 8, 7), randn(4, 3, 3, 3, seed=1), 5 + randn(4, seed=2)
    for settings in ({}, {"padding": 2}, {"stride": 2}, {"stride": 3, "padding": 1}):
        check_conv(student, inputs, weight, bias, **settings)
    check_conv(student, inputs, weight, None)
    # Every second column of a wider tensor is not contiguous in memory.
    check_conv(student, randn(1, 2, 5, 12)[..., ::2], randn(3, 2, 2, 2), None)


@points(1, task="5.2", hint="use stride and padding; check the output's shape first", hidden=True)
def test_conv2d_with_stride_and_padding_is_that_of_torch(student):
    for seed, (stride, padding, kernel_size) in enumerate([(2, 0, 3), (1, 2, 5), (3, 1, 2)]):
        inputs = randn(1 + seed, 2, 9, 22, seed=seed)[..., ::2]
        weight = randn(3, 2, kernel_size, kernel_size, seed=seed + 10)
        bias = randn(3, seed=seed + 20)
        check_conv(student, inputs, weight, bias, stride=stride, padding=padding)
        check_conv(student, inputs, weight, None, stride=stride)


def check_pool(student, inputs, *kernel_size):
    __tracebackhide__ = True
    size = kernel_size[0] if kernel_size else 2
    mistakes = {
        "the mean instead of the maximum": F.avg_pool2d(inputs, size),
        "the smallest instead of the largest": -F.max_pool2d(-inputs, size),
        "blocks of 2 x 2, whatever kernel_size": F.max_pool2d(inputs, 2),
        "blocks that overlap": F.max_pool2d(inputs, size, stride=1),
        "keeping blocks that are not whole": F.max_pool2d(inputs, size, ceil_mode=True),
        "a maximum that starts from 0": F.max_pool2d(inputs, size).clamp(min=0),
        "every second number instead of the maximum": inputs[:, :, ::size, ::size],
    }
    expect(student.max_pool2d(inputs, *kernel_size), F.max_pool2d(inputs, size), mistakes=mistakes)


@points(
    1,
    task="5.3",
    hint="take one maximum of each kernel_size x kernel_size block",
    forbidden=("*max_pool*", "*MaxPool*", "*roi_pool*"),
)
def test_max_pool_of_channels_odd_sides_and_negative_numbers(student):
    # Two channels, negative numbers, blocks of 3 x 3; row 3 and column 6 fill no block.
    inputs = -torch.arange(2 * 4 * 7.0).reshape(1, 2, 4, 7)
    check_pool(student, inputs, 3)
    expected = torch.tensor([[[[0.0, -3.0]], [[-28.0, -31.0]]]])
    expect(student.max_pool2d(inputs, 3), expected)
    check_pool(student, randn(2, 3, 6, 9, seed=3) - 10, 3)
    check_pool(student, randn(3, 2, 5, 7, seed=4))
    check_pool(student, randn(1, 2, 9, 8, seed=5), 4)


@points(1, task="5.3", hint="the side need not be a multiple of kernel_size", hidden=True)
def test_max_pool_is_that_of_torch(student):
    for kernel_size, height, width in [(2, 7, 5), (3, 9, 11), (4, 4, 4), (1, 3, 2)]:
        check_pool(student, randn(2, 3, height, width, seed=kernel_size) - 10, kernel_size)


def check_sobel(student, images):
    """Compare with differences of shifted images, smoothed with the weights 1, 2, 1."""
    __tracebackhide__ = True

    def edges(images):
        x = F.pad(images, (1, 1, 1, 1))
        across = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
        down = x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]
        return across[..., 2:, :] - across[..., :-2, :], down[..., 2:] - down[..., :-2]

    gy, gx = edges(images)
    length = torch.hypot(gy, gx)
    expect(
        student.sobel(images),
        length,
        mistakes={
            "forgetting the root": length**2,
            "the sum of the absolute values": gy.abs() + gx.abs(),
            "the sum of the responses": gy + gx,
            "the root of |gy| + |gx|": (gy.abs() + gx.abs()).sqrt(),
            "gy alone": gy.abs(),
            "gx alone": gx.abs(),
            "leaving out the padding": length[..., 1:-1, 1:-1],
            "both responses instead of their length": torch.cat([gy, gx], dim=1),
            "the mean of the squares": length / 2**0.5,
        },
        rtol=1e-4,
        atol=1e-4,
    )


@points(
    1,
    task="5.4",
    needs=("5.2",),
    hint="at a step from left to right, gx is 4 and gy is 0",
    forbidden=("*conv*", "*Conv*"),
)
def test_sobel_by_hand(student):
    check_sobel(student, randn(2, 1, 5, 4, seed=8))
    # One bright pixel: gy and gx are 3 at the corners around it; at the sides one is 6, one is 0.
    images = torch.zeros(2, 1, 3, 4)
    images[1, 0, 1, 1] = 3.0
    corner = 3 * 2**0.5
    around = [[corner, 6.0, corner, 0.0], [6.0, 0.0, 6.0, 0.0], [corner, 6.0, corner, 0.0]]
    expected = torch.stack([torch.zeros(1, 3, 4), torch.tensor([around])])
    expect(student.sobel(images)[1:], expected[1:], "the second of two images")


@points(
    1,
    task="5.4",
    needs=("5.2",),
    hint="square gy and gx, add them, then take the root",
    hidden=True,
)
def test_sobel_is_the_length_of_the_gradient(student):
    check_sobel(student, randn(3, 1, 6, 9))


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
# The same, with typical mistakes.
KNOWN_MISTAKES = {
    "the mean instead of the maximum in the pooling, then the ReLU": [
        [-0.2807, 0.047, 0.1866, 0.0233, 0.0071],
        [-0.1819, 0.0482, 0.1705, -0.0594, 0.0561],
    ],
    "a ReLU on the logits": [[0.0, 0.0, 0.2232, 0.1102, 0.0], [0.0, 0.0, 0.3197, 0.0, 0.0]],
    "a softmax on the logits": [
        [0.0751, 0.0275, 0.1191, 0.1063, 0.0665],
        [0.0659, 0.0417, 0.1474, 0.0914, 0.0557],
    ],
    "leaving out the ReLU after conv1": [
        [-0.2215, -1.2639, 0.1938, 0.1511, -0.3464],
        [-0.498, -0.9849, 0.2917, -0.2233, -0.6455],
    ],
    "leaving out the ReLU after conv2": [
        [-0.1978, -1.2269, 0.0761, 0.1405, -0.1483],
        [-0.3429, -1.0324, 0.3439, -0.0069, -0.5945],
    ],
    "leaving out the ReLU after fc1": [
        [0.8944, -0.7803, 0.4262, 0.3624, -1.0322],
        [1.2329, -0.7417, 0.9159, 1.0869, -1.3088],
    ],
    "leaving out the ReLU after fc2": [
        [-3.0633, -1.6239, -0.2716, 0.8385, -1.2093],
        [-3.3443, -1.6907, 0.1176, 0.2932, -1.563],
    ],
    "leaving out the ReLUs after the convolutions": [
        [-0.1715, -1.285, 0.039, 0.1833, -0.1164],
        [-0.3502, -1.0696, 0.2906, -0.0616, -0.5822],
    ],
    "leaving out the ReLUs after the linear layers": [
        [-0.9558, -0.4276, 0.8451, 1.4045, -2.0726],
        [-0.7059, -1.0403, 1.6488, 1.5242, -2.518],
    ],
    "leaving out all ReLUs": [
        [-1.212, -0.5349, 0.3513, 1.4721, -1.8762],
        [-0.9507, -0.871, 1.2177, 1.8406, -2.6888],
    ],
    "the mean instead of the maximum in the pooling": [
        [-0.2641, -0.084, 0.2628, -0.0047, -0.0355],
        [-0.2476, -0.0903, 0.1974, -0.0784, -0.0338],
    ],
}


@points(
    1,
    task="5.5",
    hint="compare with the table: which layer has another shape or name?",
    forbidden=("dlcourse.models*",),
)
def test_lenet5_has_the_layers_of_the_table(student):
    weights = student.LeNet5().state_dict()
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    expect(shapes, LENET5_SHAPES, "the shapes of the parameters")
    last = student.LeNet5(num_classes=7).state_dict()["fc3.weight"]
    mistakes = {"ignoring num_classes": (10, 84)}
    expect(tuple(last.shape), (7, 84), "the shape of fc3.weight", mistakes=mistakes)


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
    right = isinstance(logits, torch.Tensor) and logits.shape == (2, 10)
    expect(logits, ... if right else torch.zeros(2, 10))
    expected = torch.tensor(KNOWN_LOGITS)
    expect(
        logits[:, :5].detach(),
        expected,
        "the first 5 of 10 logits",
        mistakes={name: torch.tensor(values) for name, values in KNOWN_MISTAKES.items()},
        rtol=0,
        atol=2e-3,
    )
    student.probe("gradients", model, randn(1, 1, 28, 28).requires_grad_())
    expect(tuple(model(randn(1, 1, 28, 28)).shape), (1, 10), "the shape of one image's logits")


@points(1, task="5.5", hint="num_classes is the width of fc3; return logits", hidden=True)
def test_lenet5_takes_the_number_of_classes(student):
    model = student.LeNet5(num_classes=26)
    weights = loaded(model, num_classes=26)
    inputs = 3 * randn(5, 1, 28, 28, seed=7)
    logits = model(inputs)
    expect(logits.detach(), lenet5(weights, inputs), rtol=1e-3, atol=1e-4)
    expect(model(inputs[3:4]).detach(), lenet5(weights, inputs[3:4]), rtol=1e-3, atol=1e-4)
    leaf = inputs[:1].clone().requires_grad_()
    slopes = student.probe("gradients", model, leaf)[0]
    wanted = torch.autograd.grad(lenet5(weights, leaf).sum(), leaf)[0]
    expect(slopes, wanted, "the gradient", rtol=1e-3, atol=1e-4)


def counts_of(student, **settings):
    """Return the student's counts for LeNet-5, without layers that have no parameters."""
    counts = student.count_parameters(student.LeNet5(**settings))
    expect(counts, ... if isinstance(counts, dict) else {}, "the counts")
    return {name: count for name, count in counts.items() if count}


@points(0.5, task="5.6", needs=("5.5",), hint="count weights and biases: conv1 has 6 * 25 + 6")
def test_parameters_of_lenet5(student):
    counts = counts_of(student)
    right = {"conv1": 156, "conv2": 2416, "fc1": 48120, "fc2": 10164, "fc3": 850}
    expect(
        counts,
        right,
        mistakes={
            "forgetting the biases": {
                "conv1": 150, "conv2": 2400, "fc1": 48000, "fc2": 10080, "fc3": 840,
            },
            "counting tensors instead of their numbers": dict.fromkeys(right, 2),
        },
    )  # fmt: skip
    # A layer that contains two others, and one without parameters.
    inner = student.nn.Sequential(student.nn.Linear(3, 2), student.nn.Linear(2, 4, bias=False))
    model = student.nn.Sequential(inner, student.nn.ReLU(), student.nn.Linear(4, 5))
    expect(
        student.count_parameters(model),
        {"0": 16, "1": 0, "2": 25},
        mistakes={"leaving out layers without parameters": {"0": 16, "2": 25}},
    )
    inner.requires_grad_(False)
    frozen = {"leaving out parameters that do not learn": {"0": 0, "1": 0, "2": 25}}
    expect(student.count_parameters(model), {"0": 16, "1": 0, "2": 25}, mistakes=frozen)


@points(
    0.5,
    task="5.6",
    needs=("5.5",),
    hint="count the parameters of the model that you are given",
    hidden=True,
)
def test_parameters_of_another_lenet5(student):
    counts = counts_of(student, num_classes=3)
    expect(counts, {"conv1": 156, "conv2": 2416, "fc1": 48120, "fc2": 10164, "fc3": 255})
    nn = student.nn
    inner = nn.Sequential(nn.Conv2d(2, 7, 3, bias=False), nn.Tanh(), nn.Linear(3, 1))
    model = nn.Sequential(nn.Linear(9, 4), nn.Sequential(inner, nn.Linear(5, 2)), nn.Flatten())
    inner.requires_grad_(False)
    expect(student.count_parameters(model), {"0": 40, "1": 126 + 4 + 12, "2": 0})
