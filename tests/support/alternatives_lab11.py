"""Right answers to lab 11 that differ in form from the reference. Each replaces the function."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import math\n\nimport numpy as np\nimport torch\nimport torch.nn.functional as F\n"

ALTERNATIVES = {
    "11.1 in double precision": """
def discriminator_loss(real_logits, fake_logits):
    real, fake = real_logits.double(), fake_logits.double()
    return F.softplus(-real).mean() + F.softplus(fake).mean()
""",
    "11.1 by logsigmoid": """
def discriminator_loss(real_logits, fake_logits):
    return -F.logsigmoid(real_logits).mean() - F.logsigmoid(-fake_logits).mean()
""",
    "11.1 by cross-entropy with targets": """
def discriminator_loss(real_logits, fake_logits):
    bce = F.binary_cross_entropy_with_logits
    return bce(real_logits, torch.ones_like(real_logits)) + bce(fake_logits, torch.zeros_like(fake_logits))
""",
    "11.1 by logaddexp": """
def discriminator_loss(real_logits, fake_logits):
    zero = torch.zeros(())
    real = torch.logaddexp(zero.to(real_logits), -real_logits).sum() / real_logits.numel()
    return real + torch.logaddexp(zero.to(fake_logits), fake_logits).sum() / fake_logits.numel()
""",
    "11.1 by a module": """
def discriminator_loss(real_logits, fake_logits):
    criterion = nn.BCEWithLogitsLoss()
    real = criterion(real_logits, torch.ones(len(real_logits)).to(real_logits))
    fake = criterion(fake_logits, torch.zeros(len(fake_logits)).to(fake_logits))
    return torch.add(real, fake)
""",
    "11.1 by hand": """
def discriminator_loss(real_logits, fake_logits):
    def loss(x):  # log(1 + e^x), without overflow
        return (x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))).mean()

    return loss(-real_logits) + loss(fake_logits)
""",
    "11.2 in double precision": """
def generator_loss(fake_logits, kind="non_saturating"):
    logits = fake_logits.to(torch.float64)
    return -F.softplus(logits).mean() if kind == "minimax" else F.softplus(-logits).mean()
""",
    "11.2 by logsigmoid": """
def generator_loss(fake_logits, kind="non_saturating"):
    sign = -1 if kind == "minimax" else 1
    return -sign * F.logsigmoid(sign * fake_logits).mean()
""",
    "11.2 by cross-entropy with targets": """
def generator_loss(fake_logits, kind="non_saturating"):
    target = torch.full_like(fake_logits, float(kind != "minimax"))
    loss = F.binary_cross_entropy_with_logits(fake_logits, target)
    return loss if kind == "non_saturating" else -loss
""",
    "11.2 by a table": """
def generator_loss(fake_logits, kind="non_saturating"):
    losses = {"minimax": lambda x: F.logsigmoid(-x), "non_saturating": lambda x: nn.Softplus()(-x)}
    return torch.mean(losses[kind](fake_logits))
""",
    "11.2 by log-sigmoid and mean": """
def generator_loss(fake_logits, kind="non_saturating"):
    if kind not in ("minimax", "non_saturating"):
        raise ValueError(kind)
    losses = nn.LogSigmoid()(-fake_logits) if kind == "minimax" else -nn.LogSigmoid()(fake_logits)
    return losses.sum() / len(losses)
""",
    "11.2 by logaddexp": """
def generator_loss(fake_logits, kind="non_saturating"):
    zeros = torch.zeros_like(fake_logits)
    if kind == "minimax":
        return torch.mean(-torch.logaddexp(zeros, fake_logits))
    return torch.mean(torch.logaddexp(zeros, -fake_logits))
""",
    "11.3 with a closure": """
def discriminator_step(generator, discriminator, optimizer, images, latents):
    fakes = generator(latents).detach()

    def closure():
        optimizer.zero_grad()
        loss = discriminator_loss(discriminator(images), discriminator(fakes))
        loss.backward()
        return loss

    return optimizer.step(closure).item()
""",
    "11.3 without a graph of the generator": """
def discriminator_step(generator, discriminator, optimizer, images, latents):
    with torch.no_grad():
        fakes = generator(latents)
    discriminator.zero_grad()
    loss = discriminator_loss(discriminator(images), discriminator(fakes))
    loss.backward()
    optimizer.step()
    return float(loss)
""",
    "11.3 by two backward passes": """
def discriminator_step(generator, discriminator, optimizer, images, latents):
    optimizer.zero_grad(set_to_none=True)
    real = F.softplus(-discriminator(images)).mean()
    real.backward()
    fake = F.softplus(discriminator(generator(latents).detach())).mean()
    fake.backward()
    optimizer.step()
    return real.item() + fake.item()
""",
    "11.3 by autograd.grad": """
def discriminator_step(generator, discriminator, optimizer, images, latents):
    loss = discriminator_loss(discriminator(images), discriminator(generator(latents)))
    weights = list(discriminator.parameters())
    for weight, grad in zip(weights, torch.autograd.grad(loss, weights)):
        weight.grad = grad
    optimizer.step()
    return loss.item()
""",
    "11.3 of one batch": """
def discriminator_step(generator, discriminator, optimizer, images, latents):
    optimizer.zero_grad()
    fakes = generator(latents)
    loss = discriminator_loss(discriminator(images), discriminator(fakes.detach()))
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())
""",
    "11.3 by zeroing in place": """
def discriminator_step(generator, discriminator, optimizer, images, latents):
    with torch.no_grad():
        fakes = generator(latents)
    real, fake = discriminator(images), discriminator(fakes)
    loss = discriminator_loss(real_logits=real, fake_logits=fake)
    optimizer.zero_grad(set_to_none=False)
    torch.autograd.backward(loss)
    optimizer.step()
    return loss.detach().numpy().item()
""",
    "11.4 by freezing the discriminator": """
def generator_step(generator, discriminator, optimizer, latents, kind="non_saturating"):
    discriminator.requires_grad_(False)
    loss = generator_loss(discriminator(generator(latents)), kind)
    optimizer.zero_grad()
    loss.backward()
    discriminator.requires_grad_(True)
    optimizer.step()
    return loss.detach().item()
""",
    "11.4 clearing both": """
def generator_step(generator, discriminator, optimizer, latents, kind="non_saturating"):
    generator.zero_grad()
    fakes = generator(latents)
    loss = generator_loss(discriminator(fakes), kind=kind)
    loss.backward()
    discriminator.zero_grad()
    optimizer.step()
    return float(loss.detach())
""",
    "11.4 by autograd.grad": """
def generator_step(generator, discriminator, optimizer, latents, kind="non_saturating"):
    loss = generator_loss(discriminator(generator(latents)), kind)
    weights = [w for w in generator.parameters()]
    for weight, grad in zip(weights, torch.autograd.grad(loss, weights)):
        weight.grad = grad
    optimizer.step()
    return loss.tolist()
""",
    "11.4 step by step": """
def generator_step(generator, discriminator, optimizer, latents, kind="non_saturating"):
    optimizer.zero_grad(set_to_none=False)
    images = generator(latents)
    logits = discriminator(images)
    loss = generator_loss(logits, kind)
    loss.backward()
    optimizer.step()
    discriminator.zero_grad()
    return loss.item()
""",
    "11.4 by backward with inputs": """
def generator_step(generator, discriminator, optimizer, latents, kind="non_saturating"):
    optimizer.zero_grad()
    loss = generator_loss(discriminator(generator(latents)), kind=kind)
    loss.backward(inputs=list(generator.parameters()))
    optimizer.step()
    return float(loss.item())
""",
    "11.5 by view and modules": """
class Generator(nn.Module):
    def __init__(self, latent_dim=64, width=32):
        super().__init__()
        self.latent_dim = latent_dim
        self.up2 = nn.ConvTranspose2d(width, 1, 4, 2, 1)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 4, 2, 1)
        self.start = nn.ConvTranspose2d(latent_dim, 2 * width, kernel_size=(7, 7))
        self.norm1, self.norm2 = nn.BatchNorm2d(2 * width), nn.BatchNorm2d(width)
        self.relu, self.sigmoid = nn.ReLU(), nn.Sigmoid()

    def forward(self, latents):
        x = latents.view(-1, self.latent_dim, 1, 1)
        x = self.relu(self.norm1(self.start(x)))
        x = self.relu(self.norm2(self.up1(x)))
        return self.sigmoid(self.up2(x))
""",
    "11.5 by a loop": """
class Generator(nn.Module):
    def __init__(self, latent_dim=64, width=32):
        super().__init__()
        for name, layer in {
            "start": nn.ConvTranspose2d(latent_dim, width * 2, 7),
            "norm1": nn.BatchNorm2d(width * 2),
            "up1": nn.ConvTranspose2d(width * 2, width, 4, stride=2, padding=1),
            "norm2": nn.BatchNorm2d(width),
            "up2": nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),
        }.items():
            self.add_module(name, layer)

    def forward(self, latents):
        x = latents.unsqueeze(-1).unsqueeze(-1)
        for name, layer in self.named_children():
            x = layer(x)
            if name.startswith("norm"):
                x = x.clamp(min=0)
        return torch.sigmoid(x)
""",
    "11.5 by unflatten": """
class Generator(nn.Module):
    def __init__(self, latent_dim=64, width=32):
        super().__init__()
        up = dict(kernel_size=4, stride=2, padding=1)
        self.start, self.norm1 = nn.ConvTranspose2d(latent_dim, 2 * width, 7), nn.BatchNorm2d(2 * width)
        self.up1, self.norm2 = nn.ConvTranspose2d(2 * width, width, **up), nn.BatchNorm2d(width)
        self.up2 = nn.ConvTranspose2d(width, 1, **up)
        self.apply(draw_weights)

    def forward(self, latents):
        hidden = F.relu(self.norm1(self.start(latents.unflatten(1, (-1, 1, 1)))))
        return torch.sigmoid(self.up2(F.relu(self.norm2(self.up1(hidden)))))
""",
    "11.5 by functions": """
class Generator(nn.Module):
    def __init__(self, latent_dim=64, width=32):
        super().__init__()
        self.start = nn.ConvTranspose2d(latent_dim, width + width, kernel_size=7, stride=1, padding=0)
        self.norm1 = nn.BatchNorm2d(width + width)
        self.up1 = nn.ConvTranspose2d(width + width, width, kernel_size=4, stride=2, padding=1)
        self.norm2 = nn.BatchNorm2d(width)
        self.up2 = nn.ConvTranspose2d(width, 1, kernel_size=4, stride=2, padding=1)
        for layer in (self.start, self.up1, self.up2):
            draw_weights(layer)

    def forward(self, latents):
        x = latents[..., None, None]
        for layer in (self.start, self.norm1, torch.relu, self.up1, self.norm2, torch.relu, self.up2):
            x = layer(x)
        return F.sigmoid(x)
""",
    "11.5 by a product for the first layer": """
class Generator(nn.Module):
    def __init__(self, latent_dim=64, width=32):
        super().__init__()
        self.start = nn.ConvTranspose2d(latent_dim, 2 * width, 7)
        self.norm1, self.norm2 = nn.BatchNorm2d(2 * width), nn.BatchNorm2d(width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, (4, 4), (2, 2), (1, 1))
        self.up2 = nn.ConvTranspose2d(width, 1, (4, 4), (2, 2), (1, 1))
        self.apply(draw_weights)

    def forward(self, latents):
        x = torch.einsum("ni,iohw->nohw", latents, self.start.weight) + self.start.bias[:, None, None]
        x = self.norm1(x).relu()
        x = self.norm2(self.up1(x)).relu_()
        return 1 / (1 + torch.exp(-self.up2(x)))
""",
    "11.6 by one-hot": """
def coverage(logits):
    p = torch.softmax(logits, -1)
    shares = F.one_hot(p.argmax(1), logits.shape[1]).float().mean(0)
    return shares, p.amax(1).mean()
""",
    "11.6 by comparing": """
def coverage(logits):
    classes = logits.argmax(dim=1)
    shares = torch.stack([(classes == k).float().mean() for k in range(logits.size(1))])
    return shares, torch.exp(logits.max(1).values - logits.logsumexp(1)).mean()
""",
    "11.6 by counting in numpy": """
def coverage(logits):
    counts = np.bincount(logits.argmax(1).numpy(), minlength=logits.shape[1])
    probabilities = F.softmax(logits, dim=1)
    return torch.tensor(counts / len(logits)), probabilities.max(1)[0].sum() / len(logits)
""",
    "11.6 by histogram": """
def coverage(logits):
    N, K = logits.shape
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    best, which = torch.max(p, dim=1)
    shares = torch.zeros(K)
    for k in which.tolist():
        shares[k] += 1 / N
    return [shares, best.mean()]
""",
    "11.6 by sorting": """
def coverage(logits):
    probabilities = F.log_softmax(logits, dim=1).exp()
    confidence = probabilities.sort(dim=1, descending=True).values[:, 0]
    counts = torch.bincount(torch.argmax(probabilities, 1), minlength=probabilities.size(1))
    return counts.float().div(counts.sum()), torch.mean(confidence)
""",
    "11.7 with a tensor": """
def play(x, y, lr, steps, in_turn=False):
    way = torch.empty(steps + 1, 2)
    way[0] = torch.tensor([x, y])
    for i in range(steps):
        way[i + 1, 0] = way[i, 0] - lr * way[i, 1]
        way[i + 1, 1] = way[i, 1] + lr * way[i + (1 if in_turn else 0), 0]
    return way
""",
    "11.7 by matrices": """
def play(x, y, lr, steps, in_turn=False):
    move = torch.tensor([[1.0, -lr], [lr, 1.0 - lr * lr if in_turn else 1.0]])
    points = [torch.tensor([x, y])]
    for _ in range(steps):
        points.append(move @ points[-1])
    return torch.stack(points)
""",
    "11.7 by autograd": """
def play(x, y, lr, steps, in_turn=False):
    x, y = torch.tensor(x, requires_grad=True), torch.tensor(y, requires_grad=True)
    way = [torch.stack([x, y]).detach()]
    for _ in range(steps):
        dx, dy = torch.autograd.grad(x * y, [x, y])
        x.data -= lr * dx
        if in_turn:
            (dy,) = torch.autograd.grad(x * y, [y])
        y.data += lr * dy
        way.append(torch.stack([x, y]).detach())
    return torch.stack(way)
""",
    "11.7 by a recursion": """
def play(x, y, lr, steps, in_turn=False):
    if steps == 0:
        return torch.tensor([[x, y]])
    new = x - lr * y
    rest = play(new, y + lr * (new if in_turn else x), lr, steps - 1, in_turn)
    return torch.cat([torch.tensor([[x, y]]), rest])
""",
    "11.7 by numpy": """
def play(x, y, lr, steps, in_turn=False):
    way = np.zeros((steps + 1, 2))
    way[0] = x, y
    for t in range(steps):
        way[t + 1, 0] = way[t, 0] - lr * way[t, 1]
        if in_turn:
            way[t + 1, 1] = way[t, 1] + lr * way[t + 1, 0]
        else:
            way[t + 1, 1] = way[t, 1] + lr * way[t, 0]
    return torch.from_numpy(way).float()
""",
    "11.8 by where": """
def project(latents):
    length = latents.square().sum(1, keepdim=True).sqrt()
    return torch.where(length > 1, latents / length, latents)
""",
    "11.8 by renorm": """
def project(latents):
    return torch.stack([z / max(1.0, float(z.norm())) for z in latents])
""",
    "11.8 by normalize": """
def project(latents):
    long = torch.linalg.vector_norm(latents, dim=1) > 1
    out = latents.clone()
    out[long] = F.normalize(latents[long], dim=1)
    return out
""",
    "11.8 by a factor": """
def project(latents):
    factor = torch.rsqrt((latents * latents).sum(-1, keepdim=True)).clamp(max=1.0)
    return latents * factor
""",
    "11.8 by maximum": """
def project(latents):
    lengths = torch.linalg.norm(latents, dim=1)
    return latents / torch.maximum(lengths, torch.ones_like(lengths)).unsqueeze(1)
""",
}

# Mutants that no test can catch, because they compute the same, with the reason for each.
SURVIVORS = {}
