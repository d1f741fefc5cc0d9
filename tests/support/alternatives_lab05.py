"""Right answers to lab 05 that differ in form from the reference. Each replaces the function."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import math\n\nimport numpy as np\nimport torch\nimport torch.nn.functional as F\n"

ALTERNATIVES = {
    "5.1 by counting": """
def conv_output_size(size, kernel_size, stride=1, padding=0):
    return len(range(0, size + 2 * padding - kernel_size + 1, stride))
""",
    "5.1 by rounding down": """
def conv_output_size(size, kernel_size, stride=1, padding=0):
    return math.floor((size + padding + padding - kernel_size) / stride) + 1
""",
    "5.1 by stepping": """
def conv_output_size(size, kernel_size, stride=1, padding=0):
    places, end = 0, kernel_size
    while end <= size + 2 * padding:
        places, end = places + 1, end + stride
    return places
""",
    "5.2 by loops over places": """
def conv2d(inputs, weight, bias=None, stride=1, padding=0):
    x = F.pad(inputs, (padding,) * 4)
    k = weight.shape[-1]
    h, w = (x.shape[2] - k) // stride + 1, (x.shape[3] - k) // stride + 1
    out = torch.zeros(len(x), len(weight), h, w, dtype=x.dtype)
    for i in range(h):
        for j in range(w):
            patch = x[:, :, i * stride : i * stride + k, j * stride : j * stride + k]
            out[:, :, i, j] = torch.einsum("ncuv,ocuv->no", patch, weight)
    return out if bias is None else out + bias.view(1, -1, 1, 1)
""",
    "5.2 by views": """
def conv2d(inputs, weight, bias=None, stride=1, padding=0):
    k = weight.shape[-1]
    x = F.pad(inputs, (padding,) * 4).unfold(2, k, stride).unfold(3, k, stride)
    out = torch.tensordot(x, weight, dims=([1, 4, 5], [1, 2, 3])).permute(0, 3, 1, 2)
    return out if bias is None else out + bias[:, None, None]
""",
    "5.2 by shifted sums": """
def conv2d(inputs, weight, bias=None, stride=1, padding=0):
    x = F.pad(inputs, (padding,) * 4)
    k = weight.shape[-1]
    h, w = x.shape[2] - k + 1, x.shape[3] - k + 1
    out = sum(
        torch.einsum("nchw,oc->nohw", x[:, :, u : u + h : stride, v : v + w : stride], weight[:, :, u, v])
        for u in range(k)
        for v in range(k)
    )
    return out if bias is None else out + bias[None, :, None, None]
""",
    "5.2 into zeros of the default dtype": """
def conv2d(inputs, weight, bias=None, stride=1, padding=0):
    n, _, height, width = inputs.shape
    k = weight.shape[-1]
    padded = torch.zeros(n, inputs.shape[1], height + 2 * padding, width + 2 * padding)
    padded[:, :, padding : padding + height, padding : padding + width] = inputs
    rows, columns = conv_output_size(height, k, stride, padding), conv_output_size(width, k, stride, padding)
    outputs = torch.zeros(n, len(weight), rows, columns)
    for i in range(rows):
        for j in range(columns):
            patch = padded[:, :, i * stride : i * stride + k, j * stride : j * stride + k]
            outputs[:, :, i, j] = torch.einsum("ncuv,ocuv->no", patch, weight)
    return outputs if bias is None else outputs + bias.view(1, -1, 1, 1)
""",
    "5.3 by unfolding": """
def max_pool2d(inputs, kernel_size=2):
    k = kernel_size
    return inputs.unfold(2, k, k).unfold(3, k, k).flatten(-2).max(-1).values
""",
    "5.3 by loops": """
def max_pool2d(inputs, kernel_size=2):
    k = kernel_size
    n, c, h, w = inputs.shape
    out = torch.empty(n, c, h // k, w // k, dtype=inputs.dtype)
    for i in range(h // k):
        for j in range(w // k):
            out[:, :, i, j] = inputs[:, :, i * k : i * k + k, j * k : j * k + k].amax((2, 3))
    return out
""",
    "5.3 by slices": """
def max_pool2d(inputs, kernel_size=2):
    k = kernel_size
    h, w = inputs.shape[2] // k * k, inputs.shape[3] // k * k
    shifted = [inputs[:, :, u:h:k, v:w:k] for u in range(k) for v in range(k)]
    return torch.stack(shifted).max(dim=0)[0]
""",
    "5.4 by two convolutions": """
def sobel(images):
    down = torch.tensor([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], dtype=images.dtype)
    gy = conv2d(images, down[None, None], padding=1)
    gx = conv2d(images, down.t()[None, None], padding=1)
    return torch.sqrt(gx**2 + gy**2)
""",
    "5.4 by the norm": """
def sobel(images):
    side = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    return conv2d(images, torch.stack([side, side.T])[:, None], padding=1).norm(dim=1, keepdim=True)
""",
    "5.4 by slices": """
def sobel(images):
    x = F.pad(images, (1, 1, 1, 1))
    rows = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
    columns = x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]
    return torch.hypot(rows[..., 2:, :] - rows[..., :-2, :], columns[..., 2:] - columns[..., :-2])
""",
    "5.5 in another order, by modules": """
class LeNet5(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.fc3 = nn.Linear(84, num_classes)
        self.fc2 = nn.Linear(120, 84)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.conv1 = nn.Conv2d(1, 6, (5, 5), padding="same")
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)

    def forward(self, inputs):
        x = self.pool(self.relu(self.conv1(inputs)))
        x = self.pool(self.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        return self.fc3(self.relu(self.fc2(self.relu(self.fc1(x)))))
""",
    "5.5 by its own pooling": """
class LeNet5(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        for name, layer in {
            "conv1": nn.Conv2d(1, 6, 5, padding=2), "conv2": nn.Conv2d(6, 16, 5),
            "fc1": nn.Linear(400, 120), "fc2": nn.Linear(120, 84), "fc3": nn.Linear(84, num_classes),
        }.items():
            self.add_module(name, layer)

    def forward(self, inputs):
        for conv in (self.conv1, self.conv2):
            inputs = max_pool2d(conv(inputs).clamp(min=0))
        inputs = inputs.reshape(inputs.shape[0], -1)
        for linear in (self.fc1, self.fc2):
            inputs = linear(inputs).clamp(min=0)
        return self.fc3(inputs)
""",
    "5.5 by its own convolution": """
class LeNet5(nn.Module):
    def __init__(self, num_classes: int = 10):
        nn.Module.__init__(self)
        self.conv1, self.conv2 = nn.LazyConv2d(6, 5, padding=2), nn.LazyConv2d(16, 5)
        self.fc1, self.fc2, self.fc3 = (nn.LazyLinear(n) for n in (120, 84, num_classes))
        self(torch.zeros(1, 1, 28, 28))

    def forward(self, inputs):
        x = F.max_pool2d(self.conv1(inputs), 2).relu()
        x = F.max_pool2d(self.conv2(x), 2).relu().flatten(start_dim=1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))
""",
    "5.6 by names": """
def count_parameters(model):
    counts = {name: 0 for name, _ in model.named_children()}
    for name, parameter in model.named_parameters():
        counts[name.split(".")[0]] += parameter.numel()
    return counts
""",
    "5.6 by shapes": """
def count_parameters(model):
    counts = {}
    for name, layer in model.named_children():
        counts[name] = int(sum(np.prod(tuple(p.shape)) for p in layer.parameters()))
    return counts
""",
    "5.6 by vectors": """
def count_parameters(model):
    return {
        name: len(torch.nn.utils.parameters_to_vector(layer.parameters())) if list(layer.parameters()) else 0
        for name, layer in dict(model.named_children()).items()
    }
""",
    "5.1 by divmod": """
def conv_output_size(size, kernel_size, stride=1, padding=0):
    steps, _ = divmod(size - kernel_size + padding * 2, stride)
    return steps + 1
""",
    "5.1 by torch": """
def conv_output_size(size, kernel_size, stride=1, padding=0):
    return torch.arange(-padding, size + padding - kernel_size + 1, stride).numel()
""",
    "5.2 image by image": """
def conv2d(inputs, weight, bias=None, stride=1, padding=0):
    images = []
    for image in F.pad(inputs, [padding] * 4):
        columns = F.unfold(image[None], weight.shape[2], stride=stride)[0]
        flat = weight.reshape(weight.shape[0], -1) @ columns
        if bias is not None:
            flat += bias.unsqueeze(1)
        images.append(flat.view(weight.shape[0], (image.shape[1] - weight.shape[2]) // stride + 1, -1))
    return torch.stack(images)
""",
    "5.3 rows, then columns": """
def max_pool2d(inputs, kernel_size=2):
    k = kernel_size
    rows = torch.stack([part.amax(2) for part in inputs.split(k, dim=2) if part.shape[2] == k], dim=2)
    return torch.stack([part.amax(3) for part in rows.split(k, dim=3) if part.shape[3] == k], dim=3)
""",
    "5.3 by F.unfold": """
def max_pool2d(inputs, kernel_size=2):
    n, c, h, w = inputs.shape
    patches = F.unfold(inputs.reshape(n * c, 1, h, w), kernel_size, stride=kernel_size)
    return patches.max(dim=1).values.reshape(n, c, h // kernel_size, w // kernel_size)
""",
    "5.4 in double precision": """
def sobel(images):
    down = torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]], dtype=torch.float64)
    both = [conv2d(images.double(), kernel.reshape(1, 1, 3, 3), padding=1) for kernel in (down, down.T)]
    return (both[0] ** 2 + both[1] ** 2) ** 0.5
""",
    "5.4 by complex numbers": """
def sobel(images):
    kernel = torch.tensor([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]])
    edges = conv2d(images, torch.stack([kernel, kernel.T]).unsqueeze(1), padding=1)
    return torch.complex(edges[:, :1], edges[:, 1:]).abs()
""",
    "5.5 in a Sequential, with names": """
class LeNet5(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, stride=1, padding=(2, 2))
        self.conv2 = nn.Conv2d(in_channels=6, out_channels=16, kernel_size=(5, 5))
        self.fc1, self.fc2 = nn.Linear(16 * 25, 120), nn.Linear(120, 84)
        self.fc3 = nn.Linear(in_features=84, out_features=num_classes)

    def features(self, x):
        for conv in [self.conv1, self.conv2]:
            x = nn.functional.max_pool2d(torch.relu(conv(x)), kernel_size=2, stride=2)
        return x

    def forward(self, inputs):
        x = self.features(inputs).view(-1, 400)
        for linear in [self.fc1, self.fc2]:
            x = torch.relu(linear(x))
        return self.fc3(x)
""",
    "5.5 with modules made on the way": """
class LeNet5(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        sizes = {"fc1": (400, 120), "fc2": (120, 84), "fc3": (84, num_classes)}
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        for name, size in sizes.items():
            setattr(self, name, nn.Linear(*size))

    def forward(self, inputs):
        x = F.adaptive_max_pool2d(self.conv1(inputs).relu(), 14)
        x = F.adaptive_max_pool2d(self.conv2(x).relu(), 5)
        x = F.relu(self.fc1(x.reshape(len(x), 400)))
        return self.fc3(F.relu(self.fc2(x)))
""",
    "5.6 by a loop": """
def count_parameters(model):
    counts = {}
    for name, layer in model.named_children():
        total = 0
        for parameter in layer.parameters():
            size = 1
            for side in parameter.shape:
                size *= side
            total += size
        counts[name] = total
    return counts
""",
    "5.6 by the state": """
def count_parameters(model):
    return {
        name: sum(value.numel() for value in dict(layer.named_parameters()).values())
        for name, layer in model._modules.items()
    }
""",
}

# Mutants that no test can catch, because they compute the same, with the reason for each.
SURVIVORS = {}
