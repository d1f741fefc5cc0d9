"""Tests of lab 06, with their points. `student` is the lab under test: a solution or a submission.

The oracles are published parameter counts, forward passes computed from the weights, and hand
arithmetic.
"""

import itertools

import torch
import torch.nn.functional as F

from dlcourse.check import assert_close, expect, points


def randn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@points(
    0.5,
    task="6.1",
    hint="each filter and each unit has a bias: 64 * (3 * 11 * 11 + 1), 2 * (10 + 1)",
    allowed=("torch._decomp*", "torch._refs*"),  # what runs on the device "meta", without memory
)
def test_parameters_by_hand(student):
    # 3 * (2 * 25 + 1) + 7 * (3 * 4 + 1) + 6 * (4 + 1)
    expect(
        student.count_parameters([(2, 3, 5), (3, 7, 2)], [(4, 6)]),
        274,
        mistakes={
            "leaving out the biases of the convolutions": 264,
            "leaving out the biases of the linear layers": 268,
            "leaving out all biases": 258,
            "kernel_size instead of its square": 112,
            "a bias for each input channel": 269,
            "a bias for each kernel of one channel; a filter has one bias": 291,
            "one bias for each layer": 266,
            "swapping in_features and out_features": 272,
        },
    )


def vgg(widths):
    """Return the layers of a VGG network for ImageNet, given the channels of its convolutions."""
    convolutions = [(i, o, 3) for i, o in itertools.pairwise([3, *widths])]
    return convolutions, [(25088, 4096), (4096, 4096), (4096, 1000)]


@points(0.5, task="6.1", hint="one bias for each output channel, not for each weight", hidden=True)
def test_parameters_of_alexnet_and_vgg(student):
    alexnet = [(3, 64, 11), (64, 192, 5), (192, 384, 3), (384, 256, 3), (256, 256, 3)]
    linears = [(9216, 4096), (4096, 4096), (4096, 1000)]
    assert student.count_parameters(alexnet, linears) == 61_100_840
    start = [64, 64, 128, 128]
    assert student.count_parameters(*vgg(start + [256] * 3 + [512] * 6)) == 138_357_544
    assert student.count_parameters(*vgg(start + [256] * 4 + [512] * 8)) == 143_667_240


def near(got, values, what, mistakes=None, call=""):
    """Compare with known numbers, which are rounded to four decimals."""
    mistakes = {name: torch.tensor(wrong) for name, wrong in (mistakes or {}).items()}
    expected = torch.tensor(values)
    expect(got, expected, what, mistakes=mistakes, atol=5e-4, rtol=1e-3, call=call)


def shaped(outputs, shape, call):
    """Check the shape of a network's outputs."""
    expect(tuple(outputs.shape), shape, "the shape of the outputs", call=call)


def part_of(name):
    """Return the part of a network that a weight belongs to: "block1.branch2", "stem"."""
    words = name.split(".")
    length = next((i for i, word in enumerate(words, 1) if word.startswith("branch")), 1)
    return words[:length]


def redrawn(model, seed=0):
    """Load random weights and statistics into `model`, whatever it drew; return them by name.

    Weights of the same part are drawn in the order in which they were built.
    """
    state = model.state_dict()
    for i, name in enumerate(sorted(state, key=part_of)):
        old = state[name]
        assert old.numel(), f"{name} has the shape {tuple(old.shape)}, which holds no numbers"
        if old.is_floating_point():
            value = randn(*old.shape, seed=seed + i)
            value = value / old[0].numel() ** 0.5 if old.dim() > 1 else value + 1
            state[name] = value.abs() + 0.5 if name.endswith("running_var") else value
    model.load_state_dict(state)
    return state


@points(1, task="6.2", hint="look at print(vgg_stage(3, (64, 64))): one pooling layer, at the end")
def test_vgg_stage_has_its_convolutions(student):
    def shapes(pairs):
        return [shape for i, o in pairs for shape in ((o, i, 3, 3), (o,))]

    for in_channels, widths in [(4, (3, 6, 7)), (2, (5,)), (3, (4, 4))]:
        right = shapes(itertools.pairwise([in_channels, *widths]))
        ends = widths[0], widths[-1]
        expect(
            [tuple(weight.shape) for weight in student.vgg_stage(in_channels, widths).parameters()],
            right,
            "the shapes of the weights and biases",
            mistakes={
                "not updating in_channels after a convolution": shapes(
                    (in_channels, width) for width in widths
                ),
                "convolutions without biases": right[::2],
                "two convolutions, however many widths there are": shapes(
                    itertools.pairwise([in_channels, *ends])
                ),
                "the first width for all convolutions": shapes(
                    itertools.pairwise([in_channels, *(widths[:1] * len(widths))])
                ),
            },
            call=f"vgg_stage({in_channels}, {widths}).parameters()",
        )
    stage = student.vgg_stage(1, (1, 1))
    center = torch.zeros(1, 1, 3, 3)
    center[0, 0, 1, 1] = -1.0
    weights = [torch.ones(1, 1, 3, 3), torch.tensor([-15.0]), center, torch.tensor([5.0])]
    stage.load_state_dict(dict(zip(stage.state_dict(), weights, strict=True)))
    # The first convolution adds up 9 pixels: 12, 21, 16 in both rows. After the bias and the ReLU
    # these are 0, 6, 1, and the second one makes 5, -1, 4. Ten times the image gives 105 and more.
    image = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    wrong = {
        "one ReLU at the end instead of one after each convolution": [8.0, 0.0],
        "leaving out the last ReLU": [5.0, -100.0],
        "the mean of the pixels instead of the largest": [2.5, 0.0],
    }
    expect(
        stage(torch.cat([image, 10 * image])),
        torch.tensor([5.0, 0.0]).view(2, 1, 1, 1),
        mistakes={name: torch.tensor(value).view(2, 1, 1, 1) for name, value in wrong.items()}
        | {
            "leaving out the pooling": torch.tensor([[5.0, 0, 4], [0, 0, 0]])
            .view(2, 1, 1, 3)
            .repeat(1, 1, 2, 1),
            "pooling with stride 1, or of 3": torch.tensor([[5.0, 4], [0, 0]]).view(2, 1, 1, 2),
        },
        call="vgg_stage(1, (1, 1)) of two images of shape (1, 2, 3)",
    )


@points(1, task="6.2", hint="padding 1, a ReLU after each convolution, then pooling", hidden=True)
def test_vgg_stage_computes_its_maps(student):
    for in_channels, widths, side in [(3, (4, 5), 8), (2, (3,), 7), (2, [4, 4, 4], 6)]:
        stage = student.vgg_stage(in_channels, widths)
        weights = list(redrawn(stage).values())
        pairs = itertools.pairwise([in_channels, *widths])
        sizes = [size for i, o in pairs for size in ((o, i, 3, 3), (o,))]
        expect([tuple(weight.shape) for weight in weights], sizes, "the shapes of the weights")
        inputs = x = randn(2, in_channels, side, side + 1, seed=50)
        leaves = [weight.requires_grad_() for weight in weights]
        for weight, bias in zip(weights[::2], weights[1::2], strict=True):
            x = F.conv2d(x, weight, bias, padding=1).relu()
        x = F.max_pool2d(x, 2)
        assert_close(stage(inputs), x, atol=1e-4, rtol=1e-4)
        slopes = student.probe("gradients", stage, inputs)
        expect(slopes, list(torch.autograd.grad(x.sum(), leaves)), rtol=1e-3, atol=1e-3)


def unit(x, tensors, padding, training):
    """Convolution, batch normalization and ReLU with five tensors of a state_dict."""
    weight, scale, bias, mean, var = tensors
    x = F.conv2d(x, weight, padding=padding)
    statistics = (None, None) if training else (mean, var)
    return F.batch_norm(x, *statistics, scale, bias, training=training).relu()


def tensors_of(state, part):
    found = [state[name] for name in state if name.startswith(f"{part}.")]
    return [tensor for tensor in found if tensor.is_floating_point()]


def inception(state, x, training=True, prefix=""):
    """Compute an Inception block from its weights."""
    outputs = []
    paddings = {"branch1": [0], "branch2": [0, 1], "branch3": [0, 2], "branch4": [0]}
    for branch, layers in paddings.items():
        y = F.max_pool2d(x, 3, stride=1, padding=1) if branch == "branch4" else x
        tensors = tensors_of(state, prefix + branch)
        for i, padding in enumerate(layers):
            y = unit(y, tensors[5 * i : 5 * i + 5], padding, training)
        outputs.append(y)
    return torch.cat(outputs, dim=1)


def slope_of(outputs, inputs):
    """The gradient of the sum of `outputs` with respect to `inputs`."""
    return torch.autograd.grad(outputs.sum(), inputs)[0]


# Known outputs of each branch in the test below: rows 1 to 3 of column 2 of the first image.
KNOWN_MAPS = [
    [0.0, 0.0, 2.1615],
    [0.7313, 0.0, 0.0],
    [2.4634, 0.0298, 0.0],
    [0.5638, 2.3529, 2.2173],
]
WRONG_BRANCH4 = {
    "leaving out the pooling of branch4": [1.6999, 0.4012, 1.9673],
    "the mean of the neighbors in branch4 instead of the largest": [0.0, 0.0, 1.3055],
    "pooling after the convolution in branch4": [2.1748, 3.5339, 3.5339],
}
# The gradient of the sum of all outputs with respect to row 1 of the first channel of that image.
KNOWN_SLOPES = [0.4787, 0.2666, 0.1726, 0.4767]


@points(
    1,
    task="6.3",
    hint="compare the channels and kernels of each branch with the table",
    forbidden=("dlcourse.models*",),
)
def test_inception_has_the_branches_of_the_table(student):
    state = student.Inception(16, 8, 4, 12, 2, 6, 7).state_dict()
    for branch, expected in {
        "branch1": [(8, 16, 1, 1)],
        "branch2": [(4, 16, 1, 1), (12, 4, 3, 3)],
        "branch3": [(2, 16, 1, 1), (6, 2, 5, 5)],
        "branch4": [(7, 16, 1, 1)],
    }.items():
        found = [
            tuple(weight.shape)
            for name, weight in state.items()
            if name.startswith(f"{branch}.") and weight.dim() == 4
        ]
        call = "Inception(16, 8, 4, 12, 2, 6, 7)"
        expect(found, expected, f"self.{branch}: the shapes of its filters", call=call)


@points(1, task="6.3", hint="concatenate branch1 to branch4 in this order along dim=1")
def test_inception_stacks_its_branches(student):
    outputs = student.Inception(16, 8, 4, 12, 2, 6, 7)(randn(2, 16, 9, 5))
    call = "Inception(16, 8, 4, 12, 2, 6, 7) of inputs (2, 16, 9, 5)"
    shaped(outputs, (2, 33, 9, 5), call)
    block = student.Inception(3, 1, 2, 1, 2, 1, 1)
    redrawn(block)
    inputs = randn(2, 3, 5, 4, seed=9).requires_grad_()
    near(
        block(inputs)[0, :, 1:4, 2],
        KNOWN_MAPS,
        "rows 1 to 3 of column 2, for each branch",
        mistakes={name: [*KNOWN_MAPS[:3], values] for name, values in WRONG_BRANCH4.items()}
        | {
            "stacking branch4 first and branch1 last": KNOWN_MAPS[::-1],
            "branch2 in the place of branch3": [KNOWN_MAPS[i] for i in (0, 1, 1, 3)],
        },
    )
    slopes = student.probe("gradients", block, inputs)[0]
    near(slopes[0, 0, 1], KNOWN_SLOPES, "the gradient with respect to the inputs")


@points(1, task="6.3", hint="branch4 begins with the pooling (stride 1, padding 1)", hidden=True)
def test_inception_computes_its_maps(student):
    for sizes in [(3, 2, 3, 4, 5, 6, 7), (6, 1, 1, 1, 1, 1, 1)]:
        block = student.Inception(*sizes)
        state = redrawn(block)
        n, one, few, three, fewer, five, last = sizes
        filters = [(one, n, 1, 1), (few, n, 1, 1), (three, few, 3, 3), (fewer, n, 1, 1),
                   (five, fewer, 5, 5), (last, n, 1, 1)]  # fmt: skip
        found = [tensors_of(state, f"branch{number}") for number in (1, 2, 3, 4)]
        found = [tuple(w.shape) for branch in found for w in branch if w.dim() == 4]
        expect(found, filters, "the shapes of the filters")
        inputs = randn(2, sizes[0], 6, 5, seed=9).requires_grad_()
        expected = inception(state, inputs)
        assert_close(block(inputs), expected.detach(), atol=1e-4, rtol=1e-4)
        slopes = student.probe("gradients", block, inputs)[0]
        assert_close(slopes, slope_of(expected, inputs), atol=1e-3, rtol=1e-3)


@points(0.5, task="6.4", hint="one head gives log 2; with the auxiliary head, 1.3 * log 2")
def test_loss_by_hand(student):
    # The probabilities of the targets are 3/4, 1/2 and 1/8; those of the other logits all 1/4.
    targets = torch.tensor([3, 0, 2])
    odds = torch.tensor([[1.0, 0, 0, 3], [1, 1, 0, 0], [7, 0, 1, 0]])
    logits, flat = odds.log().clamp(min=-99), torch.zeros(3, 4)
    first, second = torch.tensor(64 / 3).log() / 3, torch.tensor(4.0).log()
    again = F.cross_entropy(odds / odds.sum(1, keepdim=True), targets)
    expect(
        student.loss_of(logits, targets),
        first,
        mistakes={
            "a softmax before the cross-entropy, which has its own": again,
            "the sum over the images instead of their mean": 3 * first,
        },
    )
    expect(
        student.loss_of((logits, flat), targets, 0.5),
        first + 0.5 * second,
        mistakes={
            "ignoring the auxiliary logits, or adding them to the logits": first,
            "ignoring weight, which is 0.5 here": first + 0.3 * second,
            "leaving out the weight": first + second,
            "weighing both losses": 0.5 * (first + second),
            "weighing the first loss instead of the auxiliary one": 0.5 * first + second,
            "the sum of the auxiliary loss over the images": first + 1.5 * second,
        },
    )
    expect(student.loss_of((flat, logits), targets), second + 0.3 * first, "weight of 0.3")
    # The derivative is (probability - 1 for the target) / N: 1/4 and -3/4, for three images.
    student.probe("gradients", "loss_of", flat.clone().requires_grad_(), targets)
    leaves = (flat.clone().requires_grad_(), flat.clone().requires_grad_())
    expected = (torch.full((3, 4), 0.25) - F.one_hot(targets, 4)) / 3
    expect(
        student.probe("gradients", "loss_of", leaves, targets, 0.5),
        [expected, 0.5 * expected],
        ("the gradient with respect to the logits", "the one with respect to the auxiliary logits"),
    )


def googlenet(state, x, training):
    """Compute the two logits of SmallGoogLeNet from its weights."""
    x = unit(x, tensors_of(state, "stem"), 1, training)
    halfway = inception(state, x, training, "block1.")
    x = inception(state, F.max_pool2d(halfway, 2), training, "block2.")
    return tuple(
        F.linear(maps.mean(dim=(2, 3)), state[f"{head}.weight"], state[f"{head}.bias"])
        for maps, head in ((x, "classifier"), (halfway, "auxiliary"))
    )


# Known numbers in the test below: the logits of the second image, and the gradient of the sum of
# all logits with respect to row 2 of its last channel.
KNOWN_LOGITS = {
    "logits": [-1.964, 1.5303, 3.6914, 0.8954, 3.9489],
    "auxiliary logits": [2.6478, 4.2143, 0.6034, 1.2173, 1.9925],
    "logits after eval()": [-2.34, 1.338, 4.4161, -2.4685, 3.798],
    "not pooled": [-2.1796, 1.6379, 3.4011, 0.8507, 4.0814],
    "largest": [-3.9273, 3.4934, 3.4328, 3.2606, 5.1997],
    "sum": [-45.7744, 3.1534, 21.7435, 26.2147, 24.2262],
    "gradient": [-0.0234, -0.0243, -0.0454, -0.0178, -0.0118, -0.0473, 0.026],
}


@points(
    1,
    task="6.4",
    needs=("6.3",),
    hint="return (logits, auxiliary logits) in training mode, only logits after eval()",
)
def test_googlenet_has_two_heads_in_training(student):
    model = student.SmallGoogLeNet(num_classes=5)
    redrawn(model)
    inputs = randn(2, 3, 10, 7, seed=9).requires_grad_()
    outputs = model(inputs)
    call = "SmallGoogLeNet(num_classes=5) in training mode, of inputs (2, 3, 10, 7)"
    got = "a list" if isinstance(outputs, list) else "one tensor"
    assert isinstance(outputs, tuple), f"{call}: expected a tuple of two logits, got {got}"
    shapes = [tuple(logits.shape) for logits in outputs]
    expect(shapes, [(2, 5), (2, 5)], "the shapes of the outputs", call=call)
    logits, auxiliary = KNOWN_LOGITS["logits"], KNOWN_LOGITS["auxiliary logits"]
    wrong = {
        "returning the auxiliary logits first": auxiliary,
        "leaving out the pooling between the blocks": KNOWN_LOGITS["not pooled"],
        "the sum over height and width instead of the mean": KNOWN_LOGITS["sum"],
        "the largest value over height and width instead of the mean": KNOWN_LOGITS["largest"],
        "a softmax of the logits": torch.tensor(logits).softmax(0).tolist(),
    }
    near(outputs[0][1], logits, "logits of the second image", wrong, call)
    near(outputs[1][1], auxiliary, "auxiliary logits of the second image", call=call)
    slopes = student.probe("gradients", model, inputs)[0]
    what = "the gradient of both logits with respect to the inputs; is one of them detached?"
    near(slopes[1, 2, 2], KNOWN_LOGITS["gradient"], what)
    redrawn(model)
    model.eval()
    outputs = model(inputs)
    call = call.replace("in training mode", "after eval()")
    assert isinstance(outputs, torch.Tensor), f"{call}: expected only the logits"
    near(outputs[1], KNOWN_LOGITS["logits after eval()"], "logits of the second image", call=call)
    shaped(model(inputs[:1]), (1, 5), call.replace("(2, 3,", "(1, 3,"))
    redrawn(model)
    model.train()
    shapes = [tuple(logits.shape) for logits in model(inputs[:1])]
    expect(shapes, [(1, 5), (1, 5)], "the shapes of the two logits of one image")


@points(0.5, task="6.4", hint="multiply only the auxiliary loss by weight", hidden=True)
def test_loss_of_two_heads(student):
    logits, auxiliary, targets = randn(6, 4), randn(6, 4, seed=1), torch.tensor([0, 3, 1, 1, 2, 0])
    first, second = (-x.log_softmax(1)[range(6), targets].mean() for x in (logits, auxiliary))
    assert_close(student.loss_of(logits, targets), first)
    for weight in (0.0, 0.5):
        got = student.loss_of((logits, auxiliary), targets, weight)
        assert_close(got, first + weight * second)
    leaf = logits.clone().requires_grad_()
    slopes = student.probe("gradients", "loss_of", leaf, targets)[0]
    expect(slopes, torch.autograd.grad(F.cross_entropy(leaf, targets), leaf)[0], "the gradient")
    # The heads must be those of the network too.
    model = student.SmallGoogLeNet(num_classes=3)
    state = redrawn(model, seed=1)
    inputs = randn(3, 3, 6, 9, seed=8).requires_grad_()
    expected = googlenet(state, inputs, training=True)
    for got, wanted in zip(model(inputs), expected, strict=True):
        assert_close(got, wanted.detach(), atol=1e-3, rtol=1e-3)
    slopes = student.probe("gradients", model, inputs)[0]
    assert_close(slopes, slope_of(torch.cat(expected), inputs), atol=1e-2, rtol=1e-2)
    redrawn(model, seed=1)
    model.eval()
    for some in (inputs, inputs[:1]):
        assert_close(model(some), googlenet(state, some, False)[0].detach(), atol=1e-3, rtol=1e-3)
    model.train()
    for got, wanted in zip(model(inputs[:1]), googlenet(state, inputs[:1], True), strict=True):
        assert_close(got, wanted.detach(), atol=1e-3, rtol=1e-3)


def block_of(state, x, stride=1, residual=True, training=True):
    """Compute a residual block from its weights."""

    def norm(name, y):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        statistics = (None, None) if training else (mean, var)
        scale, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return F.batch_norm(y, *statistics, scale, bias, training=training)

    y = norm("bn1", F.conv2d(x, state["conv1.weight"], stride=stride, padding=1)).relu()
    y = norm("bn2", F.conv2d(y, state["conv2.weight"], padding=1))
    if residual:
        identity = x[:, :, ::stride, ::stride]
        y = y + torch.cat([identity, torch.zeros_like(y[:, x.shape[1] :])], dim=1)
    return y.relu()


# Known outputs in row 0, columns 0 to 2 of the second image, a list for each channel, for
# (out_channels, stride, residual, training).
KNOWN_BLOCKS = {
    (3, 1, True, True): [[0.2583, 0.1891, 0.0], [0.1342, 0.2295, 0.0], [0.2715, 2.8397, 0.9548]],
    (3, 1, False, True): [[0.0, 0.0, 0.0], [0.3025, 0.3344, 0.0], [1.8209, 1.6233, 1.5862]],
    (5, 2, True, True): [
        [0.526, 0.0, 0.0],
        [0.1483, 0.0305, 0.5921],
        [0.0159, 0.9501, 0.8061],
        [0.0, 0.0, 0.0794],
        [0.0, 0.0, 0.0],
    ],
    (5, 2, True, False): [
        [0.2108, 0.0, 0.0],
        [0.0, 0.0, 0.0],
        [0.0, 0.0297, 0.0],
        [0.0, 0.0, 0.3636],
        [0.0, 0.0, 0.0],
    ],
}
WRONG_BLOCKS = {
    (3, 1, True, True): {
        "leaving out the shortcut": KNOWN_BLOCKS[3, 1, False, True],
        "adding after the last ReLU": [
            [0.8874, 0.215, 0.0956], [0.1342, 0.2295, -0.1553], [0.2715, 2.8397, 0.9548],
        ],
        "leaving out the last ReLU": [
            [0.2583, 0.1891, -0.9286], [0.1342, 0.2295, -0.2372], [0.2715, 2.8397, 0.9548],
        ],
        "leaving out the ReLU between the convolutions": [
            [0.2449, 0.0043, 0.0], [0.2344, 0.1411, 0.0], [0.2457, 2.9704, 0.9609],
        ],
        "using bn1 twice": [
            [3.7632, 6.0776, 1.0155], [1.6268, 1.7471, 0.9542], [0.0, 2.5318, 0.783],
        ],
        "a ReLU before the addition": [
            [0.8874, 0.215, 0.0956], [0.1342, 0.2295, 0.0], [0.2715, 2.8397, 0.9548],
        ],
    },
    (3, 1, False, True): {"ignoring residual=False": KNOWN_BLOCKS[3, 1, True, True]},
}  # fmt: skip
# The gradient of the sum of all outputs of the third block, added up over each channel of x.
KNOWN_BLOCK_SLOPES = [1.5206, 9.4399, 10.8424]


@points(
    1,
    task="6.5",
    hint="name the layers conv1, bn1, conv2, bn2; no bias in the convolutions",
    forbidden=("dlcourse.models*",),
)
def test_residual_block_has_its_layers(student):
    state = student.ResidualBlock(4, 6, stride=2).state_dict()
    found = {name: tuple(w.shape) for name, w in state.items() if name.endswith(("weight", "bias"))}
    shapes = {
        "conv1.weight": (6, 4, 3, 3),
        "bn1.weight": (6,),
        "bn1.bias": (6,),
        "conv2.weight": (6, 6, 3, 3),
        "bn2.weight": (6,),
        "bn2.bias": (6,),
    }
    biases = {"conv1.bias": (6,), "conv2.bias": (6,)}
    one = {"conv2.bias": (6,)}
    mistakes = dict.fromkeys(["a convolution with a bias; bias=False"], shapes | one)
    mistakes["convolutions with biases; bias=False"] = shapes | biases
    expect(found, shapes, "the shapes of the weights", mistakes=mistakes)


@points(0.5, task="6.5", hint="relu(F(x) + x) with F(x) = bn2(conv2(relu(bn1(conv1(x)))))")
def test_residual_block_computes_known_maps(student):
    for (out_channels, stride, residual, training), values in KNOWN_BLOCKS.items():
        block = student.ResidualBlock(3, out_channels, stride, residual)
        redrawn(block)
        block.train(training)
        inputs = randn(2, 3, 7, 6, seed=9).requires_grad_()
        call = f"ResidualBlock(3, {out_channels}, stride={stride}, residual={residual})"
        call += f"{'' if training else ' after eval()'} of inputs (2, 3, 7, 6)"
        outputs = block(inputs)
        shaped(outputs, (2, out_channels, -(-7 // stride), 6 // stride), call)
        what = "each channel at row 0, columns 0 to 2, of the second image"
        wrong = WRONG_BLOCKS.get((out_channels, stride, residual, training))
        near(outputs[1, :, 0, :3], values, what, wrong, call)
        if stride == 2 and training:
            slopes = student.probe("gradients", block, inputs.detach().requires_grad_())[0]
            what = "the gradient with respect to x; is one of the two paths detached?"
            near(slopes[1].sum((1, 2)), KNOWN_BLOCK_SLOPES, what, call=call)


def has_width(state, width):
    """Check the filters of a block of 4 channels in and `width` out, which it could choose."""
    found = [tuple(state[f"conv{number}.weight"].shape) for number in (1, 2)]
    expect(found, [(width, 4, 3, 3), (width, width, 3, 3)], "the shapes of the filters")


@points(0.5, task="6.5", hint="use stride and residual; add the shortcut", hidden=True)
def test_blocks_that_shrink_widen_or_are_plain(student):
    for out_channels, stride, residual in [
        (4, 1, False),
        (7, 2, True),
        (7, 2, False),
        (4, 3, True),
    ]:
        block = student.ResidualBlock(4, out_channels, stride, residual)
        state = redrawn(block, seed=out_channels + stride)
        has_width(state, out_channels)
        inputs = randn(3, 4, 6, 9, seed=9)
        expected = block_of(state, inputs, stride, residual)
        assert_close(block(inputs), expected, atol=1e-4, rtol=1e-4)


@points(
    1,
    task="6.5",
    hint="the gradient goes through both paths; batch normalization knows training from eval()",
    hidden=True,
)
def test_blocks_give_gradients_and_know_evaluation_mode(student):
    for out_channels, stride, residual in [(4, 1, True), (6, 2, True), (6, 1, False)]:
        block = student.ResidualBlock(4, out_channels, stride, residual)
        state = redrawn(block, seed=stride)
        has_width(state, out_channels)
        inputs = randn(2, 4, 5, 8, seed=7).requires_grad_()
        slopes = student.probe("gradients", block, inputs)[0]
        expected = slope_of(block_of(state, inputs, stride, residual), inputs)
        assert_close(slopes, expected, atol=1e-3, rtol=1e-3)
        redrawn(block, seed=stride)
        block.eval()
        expected = block_of(state, inputs.detach(), stride, residual, training=False)
        assert_close(block(inputs.detach()), expected, atol=1e-3, rtol=1e-3)


@points(
    1,
    task="6.6",
    hint="top = left = padding gives back the image; smaller values move it down and right",
)
def test_crop_by_hand(student):
    image = torch.arange(1, 13).view(1, 1, 3, 4)  # (1 2 3 4, 5 6 7 8, 9 10 11 12)
    wrong = {
        "swapping top and left": [[0, 9, 10, 11], [0, 0, 0, 0], [0, 0, 0, 0]],
        "shifting the other way": [[0, 0, 5, 6], [0, 0, 9, 10], [0, 0, 0, 0]],
        "repeating the border instead of adding zeros": [[3, 4, 4, 4], [3, 4, 4, 4], [7, 8, 8, 8]],
        "shifting around the border instead of adding zeros": [
            [11, 12, 9, 10], [3, 4, 1, 2], [7, 8, 5, 6],
        ],
        "ignoring padding, which is 2 here": [[0] * 4] * 3,
        "a square window": [[0, 0, 0], [3, 4, 0], [7, 8, 0]],
    }  # fmt: skip
    for top, left, rows, mistakes in [
        (1, 4, [[0, 0, 0, 0], [3, 4, 0, 0], [7, 8, 0, 0]], wrong),
        (2, 2, [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], {}),
        (4, 1, [[0, 9, 10, 11], [0, 0, 0, 0], [0, 0, 0, 0]], {}),
    ]:
        got = student.crop(image, torch.tensor([top]), torch.tensor([left]), padding=2)
        mistakes = {name: torch.tensor([[value]]) for name, value in mistakes.items()}
        expect(got, torch.tensor([[rows]]), mistakes=mistakes)
    # Two images of 1 x 3 pixels and 2 channels; the default padding is 4.
    images = torch.arange(1, 13, dtype=torch.uint8).reshape(2, 2, 1, 3)
    expected = torch.tensor([[[[0, 1, 2]], [[0, 4, 5]]], [[[9, 0, 0]], [[12, 0, 0]]]])
    first = torch.tensor([[[[0, 1, 2]], [[0, 4, 5]]], [[[0, 7, 8]], [[0, 10, 11]]]])
    corners = torch.tensor([4, 4]), torch.tensor([3, 6])
    got, left = student.probe("in_place", "crop", images, *corners)
    mistakes = {"the corner of the first image for all images": first}
    expect(got, expected, mistakes=mistakes)
    assert got.dtype == torch.uint8, f"expected the dtype of images, torch.uint8, got {got.dtype}"
    expect(left[0], images, "crop changed its argument `images`", rtol=0, atol=0)


@points(1, task="6.6", hint="each image has its own top and left; H and W can differ", hidden=True)
def test_crop_of_several_images(student):
    generator = torch.Generator().manual_seed(0)
    for padding in (2, 4):
        images = torch.randint(256, (6, 3, 5, 8), generator=generator, dtype=torch.uint8)
        top, left = torch.randint(2 * padding + 1, (2, 6), generator=generator)
        expected = torch.zeros_like(images)
        for n, c, i, j in itertools.product(range(6), range(3), range(5), range(8)):
            row, column = i + int(top[n]) - padding, j + int(left[n]) - padding
            if 0 <= row < 5 and 0 <= column < 8:
                expected[n, c, i, j] = images[n, c, row, column]
        got = student.crop(images, top, left, padding)
        assert_close(got, expected)
        if padding == 4:
            assert_close(student.crop(images, top, left), expected)


@points(0.5, task="6.7", hint="mirror the last dimension where chosen is True")
def test_flip_by_hand(student):
    images = torch.arange(12).reshape(2, 1, 2, 3)  # (0 1 2, 3 4 5) and (6 7 8, 9 10 11)
    mirrored = torch.tensor([[[[2, 1, 0], [5, 4, 3]]], [[[8, 7, 6], [11, 10, 9]]]])
    upside_down = torch.tensor([[3, 4, 5], [0, 1, 2]])
    around = torch.tensor([[5, 4, 3], [2, 1, 0]])
    got, left = student.probe("in_place", "flip", images, torch.tensor([True, False]))
    expect(
        got,
        torch.stack([mirrored[0], images[1]]),
        mistakes={
            "mirroring all images": mirrored,
            "mirroring the images that were not chosen": torch.stack([images[0], mirrored[1]]),
            "turning the image upside down": torch.stack([upside_down[None], images[1]]),
            "rotating the image by a half turn": torch.stack([around[None], images[1]]),
            "leaving out the images that were not chosen": mirrored[:1],
        },
    )
    expect(left[0], images, "flip changed its argument `images`", rtol=0, atol=0)


@points(0.5, task="6.7", hint="mirror left and right; do not change `images`", hidden=True)
def test_flip_of_several_images(student):
    images = randn(5, 3, 4, 6)
    chosen = torch.tensor([True, False, True, True, False])
    got, (left, *_) = student.probe("in_place", "flip", images, chosen)
    assert torch.equal(left, images), "flip changed the tensor `images`"
    expected = [
        image[..., [5, 4, 3, 2, 1, 0]] if c else image
        for image, c in zip(images, chosen, strict=True)
    ]
    assert_close(got, torch.stack(expected))
