"""Right answers to lab 10 that differ in form from the reference. Each replaces the function."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import math\n\nimport numpy as np\nimport torch\nimport torch.nn.functional as F\n"

AUTOENCODER = """
class Autoencoder(nn.Module):
    def __init__(self, sizes=(784, 1000, 500, 250, 30)):
        super().__init__()
{init}
        self.apply(draw_weights)

    def encode(self, inputs):
        {encode}

    def decode(self, codes):
        return self.decoder(codes)

    def forward(self, inputs):
        return self.decode(self.encode(inputs)).view_as(inputs)
"""

ALTERNATIVES = {
    "10.1 by eigenvectors of the covariance": """
def pca(images, latent_dim):
    mean = images.mean(0)
    values, vectors = torch.linalg.eigh((images - mean).T @ (images - mean))
    return mean, vectors.flip(1)[:, :latent_dim].T
""",
    "10.1 by numpy": """
def pca(images, latent_dim):
    x = images.numpy()
    _, _, vh = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return torch.from_numpy(x.mean(axis=0)), torch.from_numpy(vh[:latent_dim])
""",
    "10.1 by the dual, signs turned": """
def pca(images, latent_dim):
    mean = images.sum(0) / images.shape[0]
    u, s, v = torch.svd(images - mean)
    return mean, -v[:, :latent_dim].t()
""",
    "10.1 by the Gram matrix": """
def pca(images, latent_dim):
    mean = torch.mean(images, 0)
    X = images - mean.expand_as(images)
    covariance = X.T.matmul(X) / (len(X) - 1)
    L, Q = torch.linalg.eigh(covariance)
    order = torch.argsort(L, descending=True)[:latent_dim]
    return mean, Q[:, order].T.contiguous()
""",
    "10.1 by svd of the transpose": """
def pca(images, latent_dim):
    mean = images.mean(dim=0)
    U, S, Vh = torch.linalg.svd((images - mean).T, full_matrices=False)
    components = U.T[:latent_dim]
    return (mean, components)
""",
    "10.2 by einsum": """
def pca_reconstruct(images, mean, components):
    codes = torch.einsum("nd,kd->nk", images - mean, components)
    return codes, torch.einsum("nk,kd->nd", codes, components) + mean
""",
    "10.2 by linear": """
def pca_reconstruct(images, mean, components):
    codes = F.linear(images, components, -components @ mean)
    return codes, F.linear(codes, components.T, mean)
""",
    "10.2 by loops": """
def pca_reconstruct(images, mean, components):
    codes = torch.stack([((images - mean) * c).sum(1) for c in components], dim=1)
    outputs = mean.expand_as(images).clone()
    for k in range(len(components)):
        outputs += codes[:, k : k + 1] * components[k]
    return codes, outputs
""",
    "10.2 by matmul": """
def pca_reconstruct(images, mean, components):
    centered = torch.sub(images, mean)
    codes = torch.matmul(centered, torch.transpose(components, 0, 1))
    decoded = torch.add(torch.matmul(codes, components), mean)
    return [codes, decoded]
""",
    "10.2 by batches": """
def pca_reconstruct(images, mean, components):
    codes = torch.stack([components @ (image - mean) for image in images])
    outputs = torch.stack([code @ components + mean for code in codes])
    return codes, outputs
""",
    "10.3 by lists": AUTOENCODER.format(
        init="""        def mlp(widths):
            layers = []
            for a, b in zip(widths[:-1], widths[1:]):
                layers += [nn.Linear(a, b), nn.SiLU()]
            return layers[:-1]
        self.encoder = nn.Sequential(*mlp(sizes))
        self.decoder = nn.Sequential(*mlp(list(reversed(sizes))), nn.Sigmoid())""",
        encode="return self.encoder(inputs.reshape(len(inputs), -1))",
    ),
    "10.3 with Flatten inside, decoder first": AUTOENCODER.format(
        init="""        back = sizes[::-1]
        self.decoder = nn.Sequential()
        self.encoder = nn.Sequential(nn.Flatten())
        for i in range(1, len(sizes)):
            self.decoder.append(nn.Linear(back[i - 1], back[i]))
            self.decoder.append(nn.SiLU() if i < len(sizes) - 1 else nn.Sigmoid())
            self.encoder.append(nn.Linear(sizes[i - 1], sizes[i]))
            if i < len(sizes) - 1:
                self.encoder.append(nn.SiLU())""",
        encode="return self.encoder(inputs)",
    ),
    "10.3 with nested blocks": AUTOENCODER.format(
        init="""        blocks = lambda w: [nn.Sequential(nn.SiLU(), nn.Linear(a, b)) for a, b in zip(w[1:], w[2:])]
        self.encoder = nn.Sequential(nn.Linear(*sizes[:2]), *blocks(sizes))
        self.decoder = nn.Sequential(nn.Linear(*sizes[::-1][:2]), *blocks(sizes[::-1]), nn.Sigmoid())""",
        encode="return self.encoder(torch.flatten(inputs, start_dim=1))",
    ),
    "10.3 by append and insert": AUTOENCODER.format(
        init="""        self.encoder, self.decoder = nn.Sequential(), nn.Sequential()
        n = len(sizes) - 1
        for i in range(n):
            self.encoder.append(nn.Linear(in_features=sizes[i], out_features=sizes[i + 1]))
            if i != n - 1:
                self.encoder.append(nn.SiLU(inplace=True))
        for i in range(n, 0, -1):
            self.decoder.append(nn.Linear(sizes[i], sizes[i - 1]))
            self.decoder.append(nn.SiLU() if i > 1 else nn.Sigmoid())""",
        encode="x = inputs.view(inputs.size(0), -1)\n        return self.encoder(x)",
    ),
    "10.3 with one activation": AUTOENCODER.format(
        init="""        act = nn.SiLU()

        def build(widths, last):
            net = []
            for k in range(len(widths) - 1):
                net.append(nn.Linear(widths[k], widths[k + 1]))
                net.append(act)
            net[-1] = last
            return nn.Sequential(*net)

        self.encoder = build(sizes, nn.Identity())
        self.decoder = build(tuple(reversed(sizes)), nn.Sigmoid())""",
        encode="return self.encoder(torch.flatten(inputs, 1))",
    ),
    "10.4 in double precision": """
def reconstruction_loss(outputs, targets, kind="squared"):
    o, t = outputs.double(), targets.double()
    if kind == "cross_entropy":
        return F.binary_cross_entropy(o, t, reduction="sum") / len(t)
    d = (o - t).flatten(1)
    return ((d * d if kind == "squared" else d.abs()).sum(1)).mean()
""",
    "10.4 by means": """
def reconstruction_loss(outputs, targets, kind="squared"):
    loss = {"squared": F.mse_loss, "absolute": F.l1_loss, "cross_entropy": F.binary_cross_entropy}[kind]
    return loss(outputs, targets) * targets[0].numel()
""",
    "10.4 by sums": """
def reconstruction_loss(outputs, targets, kind="squared"):
    if kind == "cross_entropy":
        return F.binary_cross_entropy(outputs, targets, reduction="sum") / outputs.shape[0]
    power = 2 if kind == "squared" else 1
    return (outputs - targets).abs().pow(power).flatten(1).sum(1).mean()
""",
    "10.4 by the formula": """
def reconstruction_loss(outputs, targets, kind="squared"):
    d = outputs - targets
    if kind == "squared":
        return (d * d).flatten(1).sum(dim=1).mean(dim=0)
    if kind == "absolute":
        return torch.linalg.vector_norm(d.flatten(1), ord=1, dim=1).mean()
    e = -torch.xlogy(targets, outputs) - torch.xlogy(1 - targets, 1 - outputs)
    return e.flatten(1).sum(1).mean()
""",
    "10.4 image by image": """
def reconstruction_loss(outputs, targets, kind="squared"):
    losses = []
    for o, t in zip(outputs, targets):
        if kind == "squared":
            losses.append(((o - t) ** 2).sum())
        elif kind == "absolute":
            losses.append(torch.abs(o - t).sum())
        elif kind == "cross_entropy":
            losses.append(F.binary_cross_entropy(o, t, reduction="sum"))
    return torch.stack(losses).mean()
""",
    "10.4 with clamped logs": """
def reconstruction_loss(outputs, targets, kind="squared"):
    N = targets.shape[0]
    if kind == "cross_entropy":
        log = lambda p: p.log().clamp(min=-100)
        return -(targets * log(outputs) + (1 - targets) * log(1 - outputs)).sum() / N
    loss = nn.MSELoss(reduction="sum") if kind == "squared" else nn.L1Loss(reduction="sum")
    return loss(outputs, targets) / N
""",
    "10.5 by lerp": """
def interpolate(start, end, steps):
    return torch.lerp(start, end, torch.linspace(0, 1, steps, dtype=start.dtype).unsqueeze(1))
""",
    "10.5 by a list": """
def interpolate(start, end, steps):
    return torch.stack([start + (end - start) * (i / (steps - 1)) for i in range(steps)])
""",
    "10.5 by linspace of tensors": """
def interpolate(start, end, steps):
    return torch.stack([torch.linspace(float(a), float(b), steps, dtype=start.dtype) for a, b in zip(start, end)], 1)
""",
    "10.5 by outer products": """
def interpolate(start, end, steps):
    t = torch.arange(steps, dtype=start.dtype) / (steps - 1)
    return torch.outer(1 - t, start) + torch.outer(t, end)
""",
    "10.5 into a tensor": """
def interpolate(start, end, steps):
    codes = start.new_empty((steps, len(start)))
    for i in range(steps):
        codes[i] = start * (1 - i / (steps - 1)) + end * (i / (steps - 1))
    return codes
""",
    "10.6 by bernoulli": """
def denoising_loss(model, images, fraction, generator=None):
    keep = torch.bernoulli(torch.full_like(images, 1 - fraction), generator=generator)
    return reconstruction_loss(model(images * keep), images)
""",
    "10.6 by masked_fill": """
def denoising_loss(model, images, fraction, generator=None):
    gone = torch.rand(images.shape, generator=generator) < fraction
    return (model(images.masked_fill(gone, 0)) - images).pow(2).sum() / images.size(0)
""",
    "10.6 by indexing a copy": """
def denoising_loss(model, images, fraction, generator=None):
    broken = images.clone()
    broken[torch.empty(images.shape).uniform_(generator=generator) < fraction] = 0.0
    return reconstruction_loss(model(broken), images, "squared")
""",
    "10.6 by where": """
def denoising_loss(model, images, fraction, generator=None):
    noise = torch.rand(images.size(), generator=generator)
    broken = torch.where(noise < fraction, torch.zeros_like(images), images)
    return F.mse_loss(model(broken), images, reduction="sum") / len(images)
""",
    "10.6 image by image": """
def denoising_loss(model, images, fraction, generator=None):
    masks = torch.stack([torch.rand(image.shape, generator=generator) for image in images]) > fraction
    outputs = model(images.clone().mul_(masks))
    return reconstruction_loss(outputs, images, kind="squared")
""",
    "10.7 by transposing": """
def rotations(images):
    once = images.transpose(-1, -2).flip(-2)
    twice = images.flip(-1).flip(-2)
    thrice = images.transpose(-1, -2).flip(-1)
    n = images.shape[0]
    return torch.cat([images, once, twice, thrice]), torch.tensor([0] * n + [1] * n + [2] * n + [3] * n)
""",
    "10.7 by turning again": """
def rotations(images):
    parts, labels = [images], [torch.zeros(len(images), dtype=torch.long)]
    for k in (1, 2, 3):
        parts.append(torch.rot90(parts[-1], 1, [2, 3]))
        labels.append(torch.full((len(images),), k))
    return torch.cat(parts), torch.cat(labels)
""",
    "10.7 by stacking": """
def rotations(images):
    turned = torch.stack([torch.rot90(images, k, (-2, -1)) for k in range(4)])
    return turned.flatten(0, 1), torch.arange(4 * len(images)) // len(images)
""",
    "10.7 by numpy": """
def rotations(images):
    turned = [np.rot90(images.numpy(), k, axes=(2, 3)).copy() for k in range(4)]
    inputs = torch.from_numpy(np.concatenate(turned))
    targets = torch.arange(4).unsqueeze(1).expand(4, len(images)).flatten()
    return inputs, targets
""",
    "10.7 image by image": """
def rotations(images):
    inputs, targets = [], []
    for k in range(4):
        for image in images:
            inputs.append(torch.rot90(image, k, (1, 2)))
            targets.append(k)
    return torch.stack(inputs), torch.LongTensor(targets)
""",
}

# Mutants that no test can catch, because they compute the same, with the reason for each.
SURVIVORS = {
    "10.1 line 2: False -> True": "more directions are computed and then cut off again",
}
