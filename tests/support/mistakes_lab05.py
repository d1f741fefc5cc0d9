"""Typical mistakes in lab 05."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

SIZE = "return (size + 2 * padding - kernel_size) // stride + 1"
SIZES = (
    "height, width = (conv_output_size(s, kernel_size, stride, padding) for s in inputs.shape[2:])"
)
COLUMNS = "columns = F.unfold(inputs, kernel_size, stride=stride, padding=padding)  # (N, C*K*K, positions)"
PRODUCT = "outputs = weight.flatten(1) @ columns  # (N, O, positions)"
BIAS = "outputs = outputs + bias[:, None]"
RESHAPE = "return outputs.reshape(len(inputs), out_channels, height, width)"
ROWS = "rows, columns = height // kernel_size, width // kernel_size"
BLOCKS = "blocks = whole.reshape(n, c, rows, kernel_size, columns, kernel_size)"
AMAX = "return blocks.amax(dim=(3, 5))"
FILTER = "vertical = torch.tensor([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]])"
SOBEL = "return conv2d(images, weight, padding=1).square().sum(dim=1, keepdim=True).sqrt()"
CONV1 = "self.conv1 = nn.Conv2d(1, 6, kernel_size=5, padding=2)"
CONV2 = "self.conv2 = nn.Conv2d(6, 16, kernel_size=5)"
FC3 = "self.fc3 = nn.Linear(84, num_classes)"
STAGE1 = "x = F.relu(F.max_pool2d(self.conv1(inputs), 2))  # (N, 6, 14, 14)"
STAGE2 = "x = F.relu(F.max_pool2d(self.conv2(x), 2))  # (N, 16, 5, 5)"
FC1 = "x = F.relu(self.fc1(x.flatten(1)))  # (N, 120)"
FC2 = "x = F.relu(self.fc2(x))  # (N, 84)"
LOGITS = "return self.fc3(x)"
COUNT = "name: sum(parameter.numel() for parameter in layer.parameters())"
LAYERS = "for name, layer in model.named_children()"

MISTAKES = {
    "5.5 detaches between two layers": Mistake(
        STAGE2, STAGE2.replace("(x)", "(x.detach())"), "detached"
    ),
    "5.1 divides with /": Mistake(SIZE, SIZE.replace("//", "/"), "`/` instead of `//`"),
    "5.1 rounds up": Mistake(
        SIZE, "return -(-(size + 2 * padding - kernel_size) // stride) + 1", "rounding up"
    ),
    "5.1 forgets the first position": Mistake(
        SIZE, SIZE.removesuffix(" + 1"), "leaving out the first position"
    ),
    "5.1 pads one side": Mistake(
        SIZE, SIZE.replace("2 * padding", "padding"), "padding on one side only"
    ),
    "5.1 ignores padding": Mistake(SIZE, SIZE.replace(" + 2 * padding", ""), "ignoring padding"),
    "5.1 ignores stride": Mistake(SIZE, SIZE.replace(" // stride", ""), "ignoring stride"),
    "5.1 adds 1 before the division": Mistake(
        SIZE,
        "return (size + 2 * padding - kernel_size + 1) // stride",
        "expected",
    ),
    "5.1 subtracts the padding": Mistake(
        SIZE, SIZE.replace("+ 2", "- 2"), "subtracting the padding"
    ),
    "5.2 flips the filter": Mistake(
        PRODUCT, PRODUCT.replace("weight.flatten", "weight.flip(2, 3).flatten"), "a flipped filter"
    ),
    "5.2 transposes the filter": Mistake(
        PRODUCT, PRODUCT.replace("weight.flatten", "weight.mT.flatten"), "a transposed filter"
    ),
    "5.2 forgets the bias": Mistake(BIAS, "pass", "leaving out the bias"),
    "5.2 adds the bias for each channel": Mistake(
        BIAS,
        BIAS.replace("bias[", "inputs.shape[1] * bias["),
        "adding the bias for each input channel",
    ),
    "5.2 ignores stride": Mistake(
        SIZES + "\n    " + COLUMNS,
        SIZES.replace("stride", "1") + "\n    " + COLUMNS.replace("stride=stride, ", ""),
        "expected shape",
    ),
    "5.2 ignores padding": Mistake(
        SIZES + "\n    " + COLUMNS,
        SIZES.replace("padding", "0") + "\n    " + COLUMNS.replace(", padding=padding", ""),
        "expected shape",
    ),
    "5.2 sees the first channel": Mistake(
        COLUMNS + "\n    " + PRODUCT,
        COLUMNS.replace("inputs,", "inputs[:, :1],")
        + "\n    "
        + PRODUCT.replace("weight.", "weight[:, :1]."),
        "the first input channel only",
    ),
    "5.2 swaps height and width": Mistake(
        RESHAPE, RESHAPE.replace("height, width", "width, height"), "expected shape"
    ),
    "5.2 takes the mean": Mistake(
        PRODUCT,
        PRODUCT.replace("@ columns", "@ columns / kernel_size**2"),
        "the mean instead of the sum",
    ),
    "5.2 cannot do without a bias": Mistake("if bias is not None:\n        " + BIAS, BIAS),
    "5.2 adds one bias to all": Mistake(BIAS, "outputs = outputs + bias.sum()"),
    "5.2 gives one image": Mistake(RESHAPE, RESHAPE + "[:1]", "expected shape"),
    "5.3 takes the mean": Mistake(
        AMAX, AMAX.replace("amax", "mean"), "the mean instead of the maximum"
    ),
    "5.3 takes the smallest": Mistake(
        AMAX, AMAX.replace("amax", "amin"), "the smallest instead of the largest"
    ),
    "5.3 knows blocks of 2": Mistake(
        "n, c, height, width = inputs.shape\n    rows",
        "kernel_size = 2\n    n, c, height, width = inputs.shape\n    rows",
        "expected shape",
    ),
    "5.3 overlaps": Mistake(
        AMAX,
        "return inputs.unfold(2, kernel_size, 1).unfold(3, kernel_size, 1).amax(dim=(4, 5))",
        "expected shape",
    ),
    "5.3 keeps what fills no block": Mistake(
        ROWS, "rows, columns = -(-height // kernel_size), -(-width // kernel_size)"
    ),
    "5.3 starts from 0": Mistake(AMAX, AMAX + ".clamp(min=0)", "a maximum that starts from 0"),
    "5.3 takes the first of each block": Mistake(
        AMAX, "return blocks[:, :, :, 0, :, 0]", "every second number instead of the maximum"
    ),
    "5.3 mixes the dimensions": Mistake(
        BLOCKS, "blocks = whole.reshape(n, c, kernel_size, rows, kernel_size, columns)"
    ),
    "5.3 joins the channels": Mistake(AMAX, "return blocks.amax(dim=(1, 3, 5))", "expected shape"),
    "5.4 forgets the root": Mistake(SOBEL, SOBEL.removesuffix(".sqrt()"), "forgetting the root"),
    "5.4 adds absolute values": Mistake(
        SOBEL,
        SOBEL.replace("square()", "abs()").removesuffix(".sqrt()"),
        "the sum of the absolute values",
    ),
    "5.4 adds the responses": Mistake(
        SOBEL, SOBEL.replace(".square()", "").removesuffix(".sqrt()"), "the sum of the responses"
    ),
    "5.4 forgets the squares": Mistake(
        SOBEL, SOBEL.replace("square()", "abs()"), "the root of |gy| + |gx|"
    ),
    "5.4 forgets gx": Mistake(
        "weight = torch.stack([vertical, vertical.T])",
        "weight = torch.stack([vertical])",
        "gy alone",
    ),
    "5.4 uses gy twice": Mistake(
        "torch.stack([vertical, vertical.T])", "torch.stack([vertical, vertical])"
    ),
    "5.4 does not pad": Mistake(SOBEL, SOBEL.replace(", padding=1", ""), "expected shape"),
    "5.4 returns both responses": Mistake(
        SOBEL, "return conv2d(images, weight, padding=1)", "expected shape"
    ),
    "5.4 takes the mean": Mistake(
        SOBEL, SOBEL.replace("sum(dim", "mean(dim"), "the mean of the squares"
    ),
    "5.4 has 1 for 2": Mistake(FILTER, FILTER.replace("2.0", "1.0")),
    "5.4 drops the channel": Mistake(SOBEL, SOBEL.replace(", keepdim=True", ""), "expected shape"),
    "5.5 forgets the padding": Mistake(CONV1, CONV1.replace(", padding=2", "")),
    "5.5 pads conv2": Mistake(CONV2, CONV2.replace("=5", "=5, padding=2")),
    "5.5 ignores num_classes": Mistake(
        FC3, FC3.replace("num_classes", "10"), "ignoring num_classes"
    ),
    "5.5 uses another name": Mistake("self.fc3(x)", "self.out(x)"),
    "5.5 swaps the channels": Mistake(CONV2, CONV2.replace("6, 16", "6, 12"), "'conv2.weight'"),
    "5.5 applies a softmax": Mistake(
        LOGITS, "return F.softmax(self.fc3(x), dim=1)", "a softmax on the logits"
    ),
    "5.5 applies a ReLU to the logits": Mistake(
        LOGITS, "return F.relu(self.fc3(x))", "a ReLU on the logits"
    ),
    "5.5 forgets the ReLUs of the convolutions": Mistake(
        STAGE1 + "\n        " + STAGE2,
        STAGE1.replace(
            "F.relu(F.max_pool2d(self.conv1(inputs), 2))", "F.max_pool2d(self.conv1(inputs), 2)"
        )
        + "\n        "
        + STAGE2.replace(
            "F.relu(F.max_pool2d(self.conv2(x), 2))", "F.max_pool2d(self.conv2(x), 2)"
        ),
        "leaving out the ReLUs after the convolutions",
    ),
    "5.5 forgets the ReLU of fc1": Mistake(
        FC1,
        FC1.replace("F.relu(self.fc1(x.flatten(1)))", "self.fc1(x.flatten(1))"),
        "leaving out the ReLU after fc1",
    ),
    "5.5 forgets the ReLU of fc2": Mistake(
        FC2, FC2.replace("F.relu(self.fc2(x))", "self.fc2(x)"), "leaving out the ReLU after fc2"
    ),
    "5.5 pools with the mean": Mistake(
        STAGE1 + "\n        " + STAGE2,
        STAGE1.replace("max_pool2d", "avg_pool2d")
        + "\n        "
        + STAGE2.replace("max_pool2d", "avg_pool2d"),
        "the mean instead of the maximum in the pooling",
    ),
    "5.5 flattens the batch too": Mistake(FC1, FC1.replace("flatten(1)", "flatten()")),
    "5.5 squeezes a batch of one": Mistake(
        LOGITS, "return self.fc3(x).squeeze()", "shape of one image's logits"
    ),
    "5.5 has no return": Mistake(LOGITS, "self.fc3(x)", "is a `return` missing?"),
    "5.6 forgets the biases": Mistake(
        COUNT,
        'name: layer.weight.numel() if hasattr(layer, "weight") else 0',
        "forgetting the biases",
    ),
    "5.6 counts tensors": Mistake(
        COUNT, "name: len(list(layer.parameters()))", "counting tensors instead of their numbers"
    ),
    "5.6 counts one number for all": Mistake(
        "return {\n        " + COUNT + "\n        " + LAYERS + "\n    }",
        "return sum(parameter.numel() for parameter in model.parameters())",
        "got the int",
    ),
    "5.6 leaves out layers without parameters": Mistake(
        LAYERS + "\n    }",
        LAYERS + "\n        if list(layer.parameters())\n    }",
        "leaving out layers without parameters",
    ),
    "5.6 goes into the layers": Mistake(LAYERS, LAYERS.replace("children", "modules")),
    "5.6 counts lengths": Mistake(COUNT, COUNT.replace("parameter.numel()", "len(parameter)")),
    "5.6 counts this model whatever it gets": Mistake(LAYERS, LAYERS.replace("model", "LeNet5()")),
    "5.1 rounds to the nearest number": Mistake(
        "return (size + 2 * padding - kernel_size) // stride + 1",
        "return round((size + 2 * padding - kernel_size) / stride) + 1",
        "nearest",
    ),
    "5.6 leaves out frozen parameters": Mistake(
        "sum(parameter.numel() for parameter in layer.parameters())",
        "sum(p.numel() for p in layer.parameters() if p.requires_grad)",
        "do not learn",
    ),
}
