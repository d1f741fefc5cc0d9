"""Tests of lab 06, with their points. `student` is the lab under test: a solution or a submission.

The oracles are published parameter counts, forward passes computed from the weights, and hand
arithmetic.
"""

import itertools

import torch
import torch.nn.functional as F
from torch.testing import assert_close

from dlcourse.check import points
from dlcourse.check.explain import difference


def randn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@points(
    0.5,
    task="6.1",
    hint="each filter and each unit has a bias: 64 * (3 * 11 * 11 + 1), 2 * (10 + 1)",
)
def test_parameters_of_the_examples(student):
    assert student.count_parameters([(3, 64, 11)], []) == 23296
    assert student.count_parameters([], [(10, 2), (2, 1)]) == 25
    # 3 * (2 * 25 + 1) + 6 * (4 + 1)
    assert student.count_parameters([(2, 3, 5)], [(4, 6)]) == 183


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


def redrawn(model, seed=0):
    """Load random weights into `model`, so that it cannot choose them; return them by name."""
    drawn = {
        name: old
        if "running" in name or "num_batches" in name
        else randn(*old.shape, seed=seed + i)
        for i, (name, old) in enumerate(model.state_dict().items())
    }
    model.load_state_dict(drawn)
    return drawn


@points(1, task="6.2", hint="look at print(vgg_stage(3, (64, 64))): one pooling layer, at the end")
def test_vgg_stage_has_its_convolutions(student):
    for in_channels, widths in [(3, (4, 4)), (2, (5,)), (4, (3, 6, 7))]:
        shapes = [
            tuple(weight.shape) for weight in student.vgg_stage(in_channels, widths).parameters()
        ]
        expected = [
            shape
            for i, o in itertools.pairwise([in_channels, *widths])
            for shape in ((o, i, 3, 3), (o,))
        ]
        assert shapes == expected, (
            f"vgg_stage({in_channels}, {widths}): expected {expected}, got {shapes}"
        )
    stage = student.vgg_stage(1, (1, 1))
    center = torch.zeros(1, 1, 3, 3)
    center[0, 0, 1, 1] = -1.0
    weights = [torch.ones(1, 1, 3, 3), torch.tensor([-15.0]), center, torch.tensor([5.0])]
    stage.load_state_dict(dict(zip(stage.state_dict(), weights, strict=True)))
    # The first convolution adds up 9 pixels: 12, 21, 16 in both rows. After the bias and the ReLU
    # these are 0, 6, 1, and the second one makes 5, -1, 4. Ten times the image gives 105 and more.
    image = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    expected = torch.tensor([[[[5.0]]], [[[0.0]]]])
    assert_close(stage(torch.cat([image, 10 * image])), expected)


@points(1, task="6.2", hint="padding 1, a ReLU after each convolution, then pooling", hidden=True)
def test_vgg_stage_computes_its_maps(student):
    for in_channels, widths, side in [(3, (4, 5), 8), (2, (3,), 7), (2, [4, 4, 4], 6)]:
        stage = student.vgg_stage(in_channels, widths)
        weights = list(redrawn(stage).values())
        inputs = x = randn(2, in_channels, side, side + 1, seed=50)
        for weight, bias in zip(weights[::2], weights[1::2], strict=True):
            x = F.conv2d(x, weight, bias, padding=1).relu()
        assert_close(stage(inputs), F.max_pool2d(x, 2), atol=1e-4, rtol=1e-4)


def conv_relu(x, weights, padding):
    """Convolution, batch normalization in training mode and ReLU, with the next three weights."""
    weight, scale, bias = (next(weights) for _ in range(3))
    x = F.conv2d(x, weight, padding=padding)
    return F.batch_norm(x, None, None, scale, bias, training=True).relu()


def inception(state, x):
    """Compute an Inception block in training mode from its weights."""

    def weights(branch):
        trained = ("weight", "bias")
        names = [n for n in state if n.startswith(f"{branch}.") and n.endswith(trained)]
        return iter([state[name] for name in names])

    outputs = [conv_relu(x, weights("branch1"), 0)]
    for branch, padding in (("branch2", 1), ("branch3", 2)):
        left = weights(branch)
        outputs.append(conv_relu(conv_relu(x, left, 0), left, padding))
    pooled = F.max_pool2d(x, 3, stride=1, padding=1)
    outputs.append(conv_relu(pooled, weights("branch4"), 0))
    return torch.cat(outputs, dim=1)


# Known outputs of each branch in the test below: rows 1 to 3 of column 2 of the first image.
KNOWN_MAPS = [
    [0.0430, 0.5474, 0.0000],
    [0.4810, 1.3257, 0.4680],
    [1.1373, 3.5277, 0.0000],
    [0.2871, 1.4275, 1.1864],
]


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
        assert found == expected, f"{branch}: expected filters {expected}, got {found}"


@points(1, task="6.3", hint="concatenate branch1 to branch4 in this order along dim=1")
def test_inception_stacks_its_branches(student):
    outputs = student.Inception(16, 8, 4, 12, 2, 6, 7)(randn(2, 16, 9, 5))
    assert tuple(outputs.shape) == (2, 33, 9, 5)
    block = student.Inception(3, 1, 2, 1, 2, 1, 1)
    state = block.state_dict()
    for number in range(1, 5):
        names = [name for name in state if name.startswith(f"branch{number}.")]
        names = [name for name in names if name.endswith(("weight", "bias"))]
        for i, name in enumerate(names):
            state[name] = randn(*state[name].shape, seed=10 * number + i)
    block.load_state_dict(state)
    outputs = block(randn(2, 3, 5, 4, seed=9))[0, :, 1:4, 2]
    for number, (got, values) in enumerate(zip(outputs, KNOWN_MAPS, strict=True), start=1):
        expected = torch.tensor(values)
        assert torch.allclose(got, expected, atol=2e-3), (
            f"branch{number}, rows 1 to 3 of column 2: {difference(got, expected)}"
        )


@points(1, task="6.3", hint="branch4 begins with the pooling (stride 1, padding 1)", hidden=True)
def test_inception_computes_its_maps(student):
    for sizes in [(3, 2, 3, 4, 5, 6, 7), (6, 1, 1, 1, 1, 1, 1)]:
        block = student.Inception(*sizes)
        state = redrawn(block)
        inputs = randn(2, sizes[0], 6, 5, seed=9)
        assert_close(block(inputs), inception(state, inputs), atol=1e-4, rtol=1e-4)


@points(0.5, task="6.4", hint="one head gives log 2; with the auxiliary head, 1.3 * log 2")
def test_loss_by_hand(student):
    even, targets = torch.zeros(1, 2), torch.tensor([0])
    log2 = torch.tensor(2.0).log()
    assert_close(student.loss_of(even, targets), log2)
    assert_close(student.loss_of((even, even), targets), 1.3 * log2)
    # The losses are log 4 and (log(4/3) + log 2) / 2.
    logits, targets = torch.zeros(2, 4), torch.tensor([3, 0])
    auxiliary = torch.tensor([[1.0, 0, 0, 3], [1, 1, 0, 0]]).log()  # p = 3/4 and 1/2
    assert_close(student.loss_of(logits, targets), 2 * log2)
    expected = 2 * log2 + 0.5 * (torch.tensor(4 / 3).log() + log2) / 2
    assert_close(student.loss_of((logits, auxiliary), targets, 0.5), expected)


@points(
    1,
    task="6.4",
    needs=("6.3",),
    hint="return (logits, auxiliary logits) in training mode, only logits after eval()",
)
def test_googlenet_has_two_heads_in_training(student):
    model = student.SmallGoogLeNet(num_classes=7)
    inputs = randn(2, 3, 12, 12)
    outputs = model(inputs)
    assert isinstance(outputs, tuple | list), "expected two logits in training mode"
    assert [tuple(logits.shape) for logits in outputs] == [(2, 7), (2, 7)]
    halfway = model.block1(model.stem(inputs))
    logits = model.classifier(model.block2(model.pool(halfway)).mean(dim=(2, 3)))
    assert_close(outputs[0], logits, atol=1e-4, rtol=1e-4)
    assert_close(outputs[1], model.auxiliary(halfway.mean(dim=(2, 3))), atol=1e-4, rtol=1e-4)
    model.eval()
    outputs = model(inputs)
    assert not isinstance(outputs, tuple | list), "expected only the logits after eval()"
    halfway = model.block1(model.stem(inputs))
    logits = model.classifier(model.block2(model.pool(halfway)).mean(dim=(2, 3)))
    assert_close(outputs, logits, atol=1e-4, rtol=1e-4)


@points(0.5, task="6.4", hint="multiply only the auxiliary loss by weight", hidden=True)
def test_loss_of_two_heads(student):
    logits, auxiliary, targets = randn(6, 4), randn(6, 4, seed=1), torch.tensor([0, 3, 1, 1, 2, 0])
    first, second = (-x.log_softmax(1)[range(6), targets].mean() for x in (logits, auxiliary))
    assert_close(student.loss_of(logits, targets), first)
    for weight in (0.0, 0.5):
        got = student.loss_of((logits, auxiliary), targets, weight)
        assert_close(got, first + weight * second)


def block_of(state, x, stride=1, residual=True):
    """Compute a residual block in training mode from its weights."""
    y = F.conv2d(x, state["conv1.weight"], stride=stride, padding=1)
    y = F.batch_norm(y, None, None, state["bn1.weight"], state["bn1.bias"], training=True).relu()
    y = F.conv2d(y, state["conv2.weight"], padding=1)
    y = F.batch_norm(y, None, None, state["bn2.weight"], state["bn2.bias"], training=True)
    if residual:
        identity = x[:, :, ::stride, ::stride]
        y = y + torch.cat([identity, torch.zeros_like(y[:, x.shape[1] :])], dim=1)
    return y.relu()


# Known outputs in row 0, columns 0 to 2 of the second image, a list for each channel, for
# (out_channels, stride, residual).
KNOWN_BLOCKS = {
    (3, 1, True): [[0.6833, 0.0, 0.0], [0.0, 0.4818, 0.0], [0.8487, 0.0, 0.0]],
    (3, 1, False): [[1.7302, 0.0, 0.0], [0.0, 0.0, 0.0], [0.6365, 0.0, 0.0]],
    (5, 2, True): [
        [0.0000, 1.8539, 0.3332],
        [0.0000, 0.0000, 0.0000],
        [0.0000, 0.0000, 2.4480],
        [1.0475, 0.4340, 1.5564],
        [0.2692, 0.3378, 0.2847],
    ],
}


@points(
    1,
    task="6.5",
    hint="name the layers conv1, bn1, conv2, bn2; no bias in the convolutions",
    forbidden=("dlcourse.models*",),
)
def test_residual_block_has_its_layers(student):
    state = student.ResidualBlock(4, 6, stride=2).state_dict()
    shapes = {
        name: tuple(w.shape) for name, w in state.items() if name.endswith(("weight", "bias"))
    }
    assert shapes == {
        "conv1.weight": (6, 4, 3, 3),
        "bn1.weight": (6,),
        "bn1.bias": (6,),
        "conv2.weight": (6, 6, 3, 3),
        "bn2.weight": (6,),
        "bn2.bias": (6,),
    }


@points(0.5, task="6.5", hint="relu(F(x) + x) with F(x) = bn2(conv2(relu(bn1(conv1(x)))))")
def test_residual_block_computes_known_maps(student):
    names = ("conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight", "bn2.weight", "bn2.bias")
    for (out_channels, stride, residual), values in KNOWN_BLOCKS.items():
        block = student.ResidualBlock(3, out_channels, stride, residual)
        state = block.state_dict()
        for seed, name in enumerate(names):
            state[name] = randn(*state[name].shape, seed=seed)
        block.load_state_dict(state)
        got = block(randn(2, 3, 6, 6, seed=9))[1, :, 0, :3]
        expected = torch.tensor(values)
        assert torch.allclose(got, expected, atol=2e-3), (
            f"ResidualBlock(3, {out_channels}, stride={stride}, residual={residual}), each channel "
            f"at row 0, columns 0 to 2: {difference(got, expected)}"
        )


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
        inputs = randn(3, 4, 6, 6, seed=9)
        expected = block_of(state, inputs, stride, residual)
        assert_close(block(inputs), expected, atol=1e-4, rtol=1e-4)


@points(
    1,
    task="6.5",
    needs=("6.4",),
    hint="38 layers must train as well as 8 with the shortcut, and badly without it",
    hidden=True,
)
def test_deep_plain_networks_train_worse_and_residual_ones_do_not(student):
    targets = torch.arange(160) % 10
    inputs = randn(10, 3, 8, 8)[targets] + 0.7 * randn(160, 3, 8, 8, seed=1)
    batches = list(zip(inputs.split(16), targets.split(16), strict=True))
    loss = {}
    for depth, residual in itertools.product((8, 38), (False, True)):
        model = student.probe("seeded", 0, "CifarNet", depth, residual, 8)
        loss[depth, residual] = student.train(model, batches, 2, 0.05)[-1]
    assert loss[38, False] > loss[8, False] + 0.4, (
        f"plain: expected 38 layers to train worse than 8, got losses {loss[38, False]:.2f} "
        f"and {loss[8, False]:.2f}"
    )
    assert loss[38, True] < loss[8, True] + 0.4, (
        f"residual: expected 38 layers to train as well as 8, got losses {loss[38, True]:.2f} "
        f"and {loss[8, True]:.2f}"
    )


@points(
    1,
    task="6.6",
    hint="top = left = padding gives back the image; smaller values move it down and right",
)
def test_crop_by_hand(student):
    image = torch.tensor([[[[1, 2], [3, 4]]]])
    for top, left, expected in [
        (1, 1, [[1, 2], [3, 4]]),
        (0, 1, [[0, 0], [1, 2]]),
        (2, 1, [[3, 4], [0, 0]]),
        (1, 2, [[2, 0], [4, 0]]),
        (0, 0, [[0, 0], [0, 1]]),
    ]:
        got = student.crop(image, torch.tensor([top]), torch.tensor([left]), padding=1)
        got = got.tolist()
        assert got == [[expected]], f"top {top}, left {left}: expected {expected}, got {got[0][0]}"
    # Two images of 1 x 3 pixels and 2 channels; the default padding is 4.
    images = torch.arange(1, 13).reshape(2, 2, 1, 3)
    got = student.crop(images, torch.tensor([4, 4]), torch.tensor([3, 6])).tolist()
    expected = [[[[0, 1, 2]], [[0, 4, 5]]], [[[9, 0, 0]], [[12, 0, 0]]]]
    assert got == expected, f"top 4 and 4, left 3 and 6: expected {expected}, got {got}"


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
    images = torch.tensor([[[[1, 2]]], [[[3, 4]]]])
    got = student.flip(images, torch.tensor([False, True]))
    assert_close(got, torch.tensor([[[[1, 2]]], [[[4, 3]]]]))
    images = torch.arange(12).reshape(2, 1, 2, 3)
    got, (left, *_) = student.probe("in_place", "flip", images, torch.tensor([True, False]))
    assert_close(got, torch.tensor([[[[2, 1, 0], [5, 4, 3]]], [[[6, 7, 8], [9, 10, 11]]]]))
    assert torch.equal(left, images), "flip changed the tensor `images`"


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
