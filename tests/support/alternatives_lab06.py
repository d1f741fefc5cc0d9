"""Right answers to lab 06 that differ in form from the reference. Each replaces the function."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"

# What the classes of the lab bring along, as the student finds it.
GOOGLENET = """
class SmallGoogLeNet(nn.Module):
    def __init__(self, num_classes=10, stride=1):
        super().__init__()
        self.stem = conv_relu(3, 16, 3)
        self.stem[0].stride = (stride, stride)
        self.block1 = Inception(16, 12, 8, 16, 4, 8, 12)
        self.auxiliary = nn.Linear(48, num_classes)
        self.pool = nn.MaxPool2d(2)
        self.block2 = Inception(48, 24, 16, 32, 8, 16, 24)
        self.classifier = nn.Linear(96, num_classes)
"""
SIGNATURE = "def __init__(self, in_channels, n1, reduced3, n3, reduced5, n5, pooled):"
BLOCK = """
class ResidualBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, residual=True):
        super().__init__()
        self.out_channels, self.stride, self.residual = out_channels, stride, residual
"""

ALTERNATIVES = {
    "6.1 by loops": """
def count_parameters(convolutions, linears):
    total = 0
    for in_channels, out_channels, kernel_size in convolutions:
        total += in_channels * out_channels * kernel_size * kernel_size + out_channels
    for in_features, out_features in linears:
        total += in_features * out_features + out_features
    return total
""",
    "6.1 by layers": """
def count_parameters(convolutions, linears):
    with torch.device("meta"):
        layers = [nn.Conv2d(*c) for c in convolutions] + [nn.Linear(*l) for l in linears]
    return sum(p.numel() for layer in layers for p in layer.parameters())
""",
    "6.1 by one kind": """
def count_parameters(convolutions, linears):
    layers = list(convolutions) + [(i, o, 1) for i, o in linears]
    return sum(map(lambda l: l[1] + l[0] * l[1] * l[2] ** 2, layers))
""",
    "6.1 by numpy": """
def count_parameters(convolutions, linears):
    import math
    shapes = [(o, i, k, k) for i, o, k in convolutions] + [(o, i) for i, o in linears]
    return sum(math.prod(shape) + shape[0] for shape in shapes)
""",
    "6.1 by tensors": """
def count_parameters(convolutions, linears):
    count = 0
    for layer in [*convolutions, *linears]:
        i, o, *k = layer
        weights = torch.empty(o, i, *(k * 2), device="meta")
        count += weights.numel() + weights.size(0)
    return int(count)
""",
    "6.2 by appending": """
def vgg_stage(in_channels, widths):
    stage = nn.Sequential()
    for width in widths:
        stage.append(nn.Conv2d(in_channels, width, kernel_size=(3, 3), padding="same"))
        stage.append(nn.ReLU(inplace=True))
        in_channels = width
    stage.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return stage
""",
    "6.2 by pairs": """
def vgg_stage(in_channels, widths):
    pairs = zip([in_channels] + list(widths[:-1]), widths)
    convolutions = [nn.Sequential(nn.Conv2d(i, o, 3, 1, 1), nn.ReLU()) for i, o in pairs]
    return nn.Sequential(*convolutions, nn.MaxPool2d(2, 2))
""",
    "6.2 by recursion": """
def vgg_stage(in_channels, widths):
    if len(widths) == 0:
        return nn.Sequential(nn.MaxPool2d(2))
    first = [nn.Conv2d(in_channels, widths[0], 3, padding=1), nn.ReLU()]
    return nn.Sequential(*first, *vgg_stage(widths[0], widths[1:]))
""",
    "6.2 by an OrderedDict": """
def vgg_stage(in_channels, widths):
    from collections import OrderedDict

    layers = OrderedDict()
    channels = [in_channels, *widths]
    for n in range(len(widths)):
        layers[f"conv{n}"] = nn.Conv2d(channels[n], channels[n + 1], kernel_size=3, stride=1, padding=1)
        layers[f"relu{n}"] = nn.ReLU()
    layers["pool"] = nn.MaxPool2d((2, 2))
    return nn.Sequential(layers)
""",
    "6.2 by a class of its own": """
class Stage(nn.Sequential):
    def __init__(self, in_channels, widths):
        super().__init__()
        self.convs = nn.ModuleList()
        for width in widths:
            self.convs.append(nn.Conv2d(in_channels, width, 3, padding=1))
            in_channels = width

    def forward(self, x):
        for conv in self.convs:
            x = conv(x).relu()
        return F.max_pool2d(x, 2)


def vgg_stage(in_channels, widths):
    return Stage(in_channels, widths)
""",
    "6.3 written out": f"""
class Inception(nn.Module):
    {SIGNATURE}
        super().__init__()
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_relu(in_channels, pooled, 1))
        self.branch3 = nn.Sequential(conv_relu(in_channels, reduced5, 1), conv_relu(reduced5, n5, 5))
        self.branch2 = nn.Sequential(conv_relu(in_channels, reduced3, 1), conv_relu(reduced3, n3, 3))
        self.branch1 = nn.Sequential(conv_relu(in_channels, n1, 1))

    def forward(self, inputs):
        a, b, c, d = self.branch1(inputs), self.branch2(inputs), self.branch3(inputs), self.branch4(inputs)
        return torch.cat((a, b, c, d), 1)
""",
    "6.3 into one tensor": f"""
class Inception(nn.Module):
    {SIGNATURE}
        super().__init__()
        two = lambda middle, out, size: nn.Sequential(conv_relu(in_channels, middle, 1), conv_relu(middle, out, size))
        self.branch1 = conv_relu(in_channels, n1, 1)
        self.branch2, self.branch3 = two(reduced3, n3, 3), two(reduced5, n5, 5)
        self.branch4 = conv_relu(in_channels, pooled, 1)

    def forward(self, inputs):
        x = self.branch1(inputs)
        for branch in (self.branch2, self.branch3):
            x = torch.hstack((x, branch(inputs)))
        return torch.cat([x, self.branch4(F.max_pool2d(inputs, 3, stride=1, padding=1))], dim=-3)
""",
    "6.3 by own layers": f"""
class Inception(nn.Module):
    {SIGNATURE}
        super().__init__()

        def unit(i, o, k):
            return [nn.Conv2d(i, o, k, padding=(k - 1) // 2, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]

        self.branch1 = nn.Sequential(*unit(in_channels, n1, 1))
        self.branch2 = nn.Sequential(*unit(in_channels, reduced3, 1), *unit(reduced3, n3, 3))
        self.branch3 = nn.Sequential(*unit(in_channels, reduced5, 1), *unit(reduced5, n5, 5))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), *unit(in_channels, pooled, 1))

    def forward(self, inputs):
        return torch.concat([getattr(self, f"branch{{i}}")(inputs) for i in range(1, 5)], axis=1)
""",
    "6.3 by a ModuleDict of its own": f"""
class Inception(nn.Module):
    {SIGNATURE}
        super().__init__()
        sizes = {{"1": [(n1, 1)], "2": [(reduced3, 1), (n3, 3)], "3": [(reduced5, 1), (n5, 5)], "4": [(pooled, 1)]}}
        for name, layers in sizes.items():
            channels, branch = in_channels, nn.Sequential()
            for out_channels, kernel_size in layers:
                branch.append(conv_relu(channels, out_channels, kernel_size))
                channels = out_channels
            self.add_module("branch" + name, branch)
        self.pool = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)

    def forward(self, inputs):
        x1, x2, x3 = (branch(inputs) for branch in (self.branch1, self.branch2, self.branch3))
        return torch.cat([x1, x2, x3, self.branch4(self.pool(inputs))], dim=1)
""",
    "6.3 into an empty tensor": f"""
class Inception(nn.Module):
    {SIGNATURE}
        super().__init__()
        self.widths = [n1, n3, n5, pooled]
        self.branch1 = conv_relu(in_channels, out_channels=n1, kernel_size=1)
        self.branch2 = nn.Sequential(conv_relu(in_channels, reduced3, 1), conv_relu(reduced3, n3, 3))
        self.branch3 = nn.Sequential(conv_relu(in_channels, reduced5, 1), conv_relu(reduced5, n5, 5))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_relu(in_channels, pooled, 1))

    def forward(self, inputs):
        N, _, H, W = inputs.shape
        out = inputs.new_empty(N, sum(self.widths), H, W)
        start = 0
        for width, branch in zip(self.widths, [self.branch1, self.branch2, self.branch3, self.branch4]):
            out[:, start : start + width] = branch(inputs)
            start += width
        return out
""",
    "6.4 step by step": GOOGLENET
    + """
    def forward(self, inputs):
        x = self.stem(inputs)
        x = self.block1(x)
        aux = self.auxiliary(x.mean((2, 3)))
        x = self.pool(x)
        x = self.block2(x)
        x = self.classifier(x.mean((2, 3)))
        if self.training:
            return x, aux
        else:
            return x


def loss_of(outputs, targets, weight=0.3):
    if torch.is_tensor(outputs):
        return F.cross_entropy(outputs, targets)
    return F.cross_entropy(outputs[0], targets) + weight * F.cross_entropy(outputs[1], targets)
""",
    "6.4 by adaptive pooling": GOOGLENET
    + """
    def forward(self, inputs):
        half = self.block1(self.stem(inputs))
        x = F.adaptive_avg_pool2d(self.block2(self.pool(half)), 1).flatten(1)
        logits = self.classifier(x)
        return (logits, self.auxiliary(F.adaptive_avg_pool2d(half, 1).flatten(1))) if self.training else logits


def loss_of(outputs, targets, weight=0.3):
    outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    losses = [nn.CrossEntropyLoss()(logits, targets) for logits in outputs]
    return losses[0] + weight * sum(losses[1:])
""",
    "6.4 by logarithms": GOOGLENET
    + """
    def forward(self, inputs):
        half = self.block1(self.stem(inputs))
        logits = self.classifier(self.block2(self.pool(half)).flatten(2).mean(-1))
        outputs = (logits, self.auxiliary(half.mean(-1).mean(-1)))
        return outputs if self.training else outputs[0]


def loss_of(outputs, targets, weight=0.3):
    def nll(logits):
        picked = logits.gather(1, targets[:, None]).squeeze(1)
        return (logits.logsumexp(1) - picked).mean()

    return nll(outputs[0]) + nll(outputs[1]) * weight if isinstance(outputs, tuple) else nll(outputs)
""",
    "6.4 with early return": GOOGLENET
    + """
    def forward(self, inputs):
        x = self.block1(self.stem(inputs))
        if self.training:
            aux = self.auxiliary(torch.mean(x, (-2, -1)))
            x = self.block2(F.max_pool2d(x, 2))
            return self.classifier(torch.mean(x, (-2, -1))), aux
        x = self.block2(self.pool(x))
        return self.classifier(x.flatten(2).mean(2))


def loss_of(outputs, targets, weight=0.3):
    if type(outputs) is not tuple:
        outputs = (outputs,)
    weights = [1.0, weight]
    return sum(w * F.cross_entropy(o, targets) for w, o in zip(weights, outputs))
""",
    "6.4 with a helper": GOOGLENET
    + """
    def head(self, layer, maps):
        return layer(maps.sum((2, 3)) / (maps.shape[2] * maps.shape[3]))

    def forward(self, inputs):
        first = self.block1(self.stem(inputs))
        second = self.block2(self.pool(first))
        logits = self.head(self.classifier, second)
        if self.training:
            return logits, self.head(self.auxiliary, first)
        return logits


def loss_of(outputs, targets, weight=0.3):
    criterion = nn.CrossEntropyLoss()
    try:
        logits, auxiliary = outputs
        assert logits.dim() == 2
    except (ValueError, AssertionError):
        return criterion(outputs, targets)
    return criterion(logits, targets) + weight * criterion(auxiliary, targets)
""",
    "6.5 step by step": BLOCK
    + """
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.conv1 = nn.Conv2d(in_channels, out_channels, (3, 3), stride=stride, padding=1, bias=False)

    def forward(self, inputs):
        x = self.conv1(inputs)
        x = self.bn1(x)
        x = torch.relu(x)
        x = self.conv2(x)
        x = self.bn2(x)
        if not self.residual:
            return torch.relu(x)
        return torch.relu(shortcut(inputs, self.out_channels, self.stride) + x)
""",
    "6.5 by modules": BLOCK
    + """
        same = {"kernel_size": 3, "padding": 1, "bias": False}
        self.conv1 = nn.Conv2d(in_channels, out_channels, stride=stride, **same)
        self.conv2 = nn.Conv2d(out_channels, out_channels, **same)
        self.bn1, self.bn2 = nn.BatchNorm2d(out_channels), nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()

    def forward(self, inputs):
        out = self.relu(self.bn1(self.conv1(inputs)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + shortcut(inputs, self.out_channels, self.stride) if self.residual else out)
""",
    "6.5 by its own shortcut": BLOCK
    + """
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding="same", bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, inputs):
        x = self.bn2(self.conv2(self.bn1(self.conv1(inputs)).clamp(min=0)))
        if self.residual:
            identity = inputs[..., :: self.stride, :: self.stride]
            x = torch.cat([x[:, : inputs.shape[1]] + identity, x[:, inputs.shape[1] :]], dim=1)
        return x.clamp(min=0)
""",
    "6.5 with Sequential": BLOCK
    + """
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=(stride, stride), padding=1, bias=None)
        self.bn1 = nn.BatchNorm2d(num_features=out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(num_features=out_channels)

    def forward(self, x):
        main = nn.Sequential(self.conv1, self.bn1, nn.ReLU(), self.conv2, self.bn2)
        y = main(x)
        if self.residual:
            y += shortcut(x, self.out_channels, self.stride)
        return F.relu_(y)
""",
    "6.5 by maximum": BLOCK
    + """
        convolution = lambda i, s: nn.Conv2d(i, out_channels, 3, s, 1, 1, 1, False)
        self.conv1, self.conv2 = convolution(in_channels, stride), convolution(out_channels, 1)
        self.bn1, self.bn2 = (nn.BatchNorm2d(out_channels) for _ in range(2))

    def forward(self, inputs):
        zero = inputs.new_zeros(())
        x = torch.maximum(self.bn1(self.conv1(inputs)), zero)
        x = self.bn2(self.conv2(x))
        return torch.maximum(x + int(self.residual) * shortcut(inputs, self.out_channels, self.stride), zero)
""",
    "6.6 by indices": """
def crop(images, top, left, padding=4):
    N, C, H, W = images.shape
    padded = F.pad(images, (padding, padding, padding, padding))
    rows = (top[:, None] + torch.arange(H)).view(N, 1, H, 1)
    columns = (left[:, None] + torch.arange(W)).view(N, 1, 1, W)
    return padded[torch.arange(N).view(N, 1, 1, 1), torch.arange(C).view(1, C, 1, 1), rows, columns]
""",
    "6.6 by filling": """
def crop(images, top, left, padding=4):
    n, c, h, w = images.shape
    padded = torch.zeros(n, c, h + 2 * padding, w + 2 * padding, dtype=images.dtype)
    padded[:, :, padding : padding + h, padding : padding + w] = images
    out = torch.empty_like(images)
    for i in range(n):
        out[i] = padded[i, :, top[i] : top[i] + h, left[i] : left[i] + w]
    return out
""",
    "6.6 by narrowing": """
def crop(images, top, left, padding=4):
    padded = nn.ZeroPad2d(padding)(images)
    h, w = images.shape[-2:]
    parts = [x.narrow(1, int(t), h).narrow(2, int(l), w) for x, t, l in zip(padded, top, left)]
    return torch.cat([part[None] for part in parts])
""",
    "6.6 by rolling": """
def crop(images, top, left, padding=4):
    H, W = images.shape[2:]
    padded = F.pad(images, [padding] * 4)
    out = torch.zeros_like(images)
    for i in range(len(images)):
        moved = torch.roll(padded[i], (-int(top[i]), -int(left[i])), dims=(-2, -1))
        out[i] = moved[..., :H, :W]
    return out
""",
    "6.6 by gather": """
def crop(images, top, left, padding=4):
    N, C, H, W = images.shape
    padded = F.pad(images, (padding, padding, padding, padding), value=0)
    rows = (top.view(N, 1) + torch.arange(H)).view(N, 1, H, 1).expand(N, C, H, padded.shape[3])
    columns = (left.view(N, 1) + torch.arange(W)).view(N, 1, 1, W).expand(N, C, H, W)
    return padded.gather(2, rows).gather(3, columns)
""",
    "6.7 by a loop": """
def flip(images, chosen):
    return torch.stack([x.fliplr() if x.dim() == 2 else x.flip(-1) if c else x for x, c in zip(images, chosen)])
""",
    "6.7 by a copy": """
def flip(images, chosen):
    out = images.clone()
    out[chosen] = images[chosen].flip(-1)
    return out
""",
    "6.7 by where": """
def flip(images, chosen):
    mirrored = torch.flip(images, dims=[3])
    return torch.where(chosen[:, None, None, None], mirrored, images)
""",
    "6.7 by indices": """
def flip(images, chosen):
    W = images.shape[-1]
    forward, backward = torch.arange(W), torch.arange(W - 1, -1, -1)
    index = torch.where(chosen[:, None], backward, forward)
    return images.gather(3, index[:, None, None, :].expand_as(images))
""",
    "6.7 by arithmetic": """
def flip(images, chosen):
    result = torch.empty_like(images)
    for n in range(images.size(0)):
        result[n] = images[n].flip([2]) if bool(chosen[n]) else images[n]
    return result
""",
}

# Mutants that no test can catch, because they compute the same, with the reason for each.
SURVIVORS = {}
