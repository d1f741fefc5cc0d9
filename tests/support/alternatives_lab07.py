"""Right answers to lab 07 that differ in form from the reference. Each replaces the functions."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import math\n\nimport numpy as np\nimport torch\n"

EXTRACT = """
def extract(model, inputs, batch_size=500):
    with torch.no_grad():
        return torch.cat([model(batch).flatten(1) for batch in inputs.split(batch_size)])
"""
FREEZE = """
def freeze(model):
    model.eval()
    model.requires_grad_(False)
    return model
"""
UNIT = """
def unit_vectors(count, dim, generator):
    return F.normalize(torch.randn(count, dim, generator=generator))
"""
MATCH = """
def match(features, points):
    return points[assign(torch.cdist(features.detach(), points).square())]
"""

ALTERNATIVES = {
    "7.1 in loops": """
def freeze(model):
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.eval()
    return model


def extract(model, inputs, batch_size=500):
    found = []
    with torch.no_grad():
        for start in range(0, len(inputs), batch_size):
            outputs = model(inputs[start : start + batch_size])
            found.append(outputs.reshape(len(outputs), -1))
    return torch.cat(found, dim=0)
""",
    "7.1 with a decorator": """
def freeze(model):
    model.train(False)
    for _, p in model.named_parameters():
        p.requires_grad_(False)
    return model


@torch.no_grad()
def extract(model, inputs, batch_size=500):
    outputs = [model(b) for b in torch.split(inputs, batch_size)]
    return torch.cat(outputs).flatten(start_dim=1)
""",
    "7.1 by modules": """
def freeze(model):
    for module in model.modules():
        module.training = False
        for p in module.parameters(recurse=False):
            p.requires_grad = False
    return model


def extract(model, inputs, batch_size=500):
    return torch.cat([model(b).detach().flatten(1) for b in inputs.split(batch_size)])
""",
    "7.1 into one tensor": FREEZE
    + """
def extract(model, inputs, batch_size=500):
    features = None
    with torch.inference_mode():
        for i in range(math.ceil(len(inputs) / batch_size)):
            rows = slice(i * batch_size, (i + 1) * batch_size)
            outputs = model(inputs[rows])
            if features is None:
                features = outputs.new_empty(len(inputs), outputs[0].numel())
            features[rows] = outputs.reshape(outputs.shape[0], -1)
    return features.clone()
""",
    "7.1 with chunks": FREEZE
    + """
def extract(model, inputs, batch_size=500):
    model_outputs = []
    remaining = inputs
    while len(remaining) > 0:
        batch, remaining = remaining[:batch_size], remaining[batch_size:]
        with torch.no_grad():
            model_outputs += [row.flatten() for row in model(batch)]
    return torch.stack(model_outputs)
""",
    "7.2 by autograd": """
def fit_linear(features, labels, num_classes, lr, steps, weight_decay):
    weight = torch.zeros(num_classes, features.shape[1], dtype=features.dtype, requires_grad=True)
    bias = torch.zeros(num_classes, dtype=features.dtype, requires_grad=True)
    for _ in range(steps):
        loss = F.cross_entropy(features @ weight.T + bias, labels)
        loss = loss + weight_decay / 2 * (weight**2).sum()
        grads = torch.autograd.grad(loss, [weight, bias])
        with torch.no_grad():
            weight -= lr * grads[0]
            bias -= lr * grads[1]
    return weight.detach(), bias.detach()
""",
    "7.2 with a layer": """
def fit_linear(features, labels, num_classes, lr, steps, weight_decay):
    layer = nn.Linear(features.size(1), num_classes).to(features.dtype)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    for _ in range(steps):
        layer.zero_grad()
        loss = F.cross_entropy(layer(features), labels) + 0.5 * weight_decay * layer.weight.square().sum()
        loss.backward()
        with torch.no_grad():
            for p in layer.parameters():
                p.sub_(lr * p.grad)
    return layer.weight.data, layer.bias.data
""",
    "7.2 in place": """
def fit_linear(features, labels, num_classes, lr, steps, weight_decay):
    n, d = features.shape
    W = features.new_zeros(num_classes, d)
    b = features.new_zeros(num_classes)
    onehot = torch.eye(num_classes, dtype=features.dtype)[labels]
    for _ in range(steps):
        z = features @ W.T + b
        p = torch.exp(z - z.logsumexp(1, keepdim=True))
        g = (p - onehot) / n
        W *= 1 - lr * weight_decay
        W -= lr * g.T @ features
        b -= lr * g.sum(0)
    return W, b
""",
    "7.2 with the labels' places": """
def fit_linear(features, labels, num_classes, lr, steps, weight_decay):
    W = torch.zeros((num_classes, features.shape[1]), dtype=features.dtype)
    b = torch.zeros((num_classes,), dtype=features.dtype)
    rows = torch.arange(len(labels))
    for step in range(steps):
        g = torch.softmax(torch.addmm(b, features, W.t()), -1)
        g[rows, labels] -= 1
        gw = torch.mm(g.t(), features) / len(labels) + weight_decay * W
        W, b = W - lr * gw, b - lr * g.mean(dim=0)
    return W, b
""",
    "7.2 with a column of ones": """
def fit_linear(features, labels, num_classes, lr, steps, weight_decay):
    n, d = features.shape
    x = torch.cat([features, torch.ones(n, 1).to(features)], dim=1)
    both = torch.zeros(num_classes, d + 1).to(features)
    decay = torch.full((d + 1,), float(weight_decay)).to(features)
    decay[-1] = 0
    for _ in range(steps):
        errors = F.softmax(x @ both.T, dim=1) - F.one_hot(labels, num_classes)
        both = both - lr * (errors.T @ x / n + decay * both)
    return both[:, :d], both[:, d]
""",
    "7.3 in loops": """
def parameter_groups(backbone, head, backbone_lr, head_lr):
    first, second = [], []
    for p in backbone.parameters():
        if p.requires_grad:
            first.append(p)
    for p in head.parameters():
        if p.requires_grad:
            second.append(p)
    return [{"params": first, "lr": backbone_lr}, {"params": second, "lr": head_lr}]
""",
    "7.3 by filter": """
def parameter_groups(backbone, head, backbone_lr, head_lr):
    learns = lambda p: p.requires_grad
    return [
        dict(params=list(filter(learns, backbone.parameters())), lr=backbone_lr),
        dict(params=list(filter(learns, head.parameters())), lr=head_lr),
    ]
""",
    "7.3 with names": """
def parameter_groups(backbone, head, backbone_lr, head_lr):
    def group(module, lr):
        return {"params": [p for _, p in module.named_parameters() if p.requires_grad is True], "lr": lr, "name": type(module).__name__}

    return [group(backbone, backbone_lr), group(head, head_lr)]
""",
    "7.3 by a dict of modules": """
def parameter_groups(backbone, head, backbone_lr, head_lr):
    groups = []
    for module, lr in {backbone: backbone_lr, head: head_lr}.items():
        groups.append({"lr": lr, "params": [*(p for p in module.parameters() if p.requires_grad)]})
    return groups
""",
    "7.3 as a tuple": """
def parameter_groups(backbone, head, backbone_lr, head_lr):
    trainable = [[p for p in m.parameters() if p.requires_grad] for m in (backbone, head)]
    return tuple({"params": ps, "lr": lr} for ps, lr in zip(trainable, (backbone_lr, head_lr)))
""",
    "7.4 by a weighted sum": """
def colorization(images, cell=4):
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=images.dtype).view(1, 3, 1, 1)
    gray = (images * weights).sum(dim=1, keepdim=True)
    colors = images[:, [0, 2]] - gray
    return gray.repeat(1, 3, 1, 1), F.avg_pool2d(colors, kernel_size=cell)
""",
    "7.4 by einsum": """
def colorization(images, cell=4):
    gray = torch.einsum("nchw,c->nhw", images, torch.tensor([0.299, 0.587, 0.114]).to(images))
    n, h, w = gray.shape
    colors = torch.stack([images[:, 0] - gray, images[:, 2] - gray], dim=1)
    cells = colors.view(n, 2, h // cell, cell, w // cell, cell).mean(dim=(3, 5))
    return torch.stack([gray, gray, gray], dim=1), cells
""",
    "7.4 pooling first": """
def colorization(images, cell=4):
    r, g, b = images.unbind(1)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    pool = nn.AvgPool2d(cell)
    small = pool(torch.stack([r, y, b], 1))
    return y[:, None].expand(-1, 3, -1, -1).clone(), torch.stack([small[:, 0] - small[:, 1], small[:, 2] - small[:, 1]], 1)
""",
    "7.4 by convolutions": """
def colorization(images, cell=4):
    kernel = torch.tensor([[0.299, 0.587, 0.114]], dtype=images.dtype)
    gray = F.conv2d(images, kernel.expand(3, 3)[:, :, None, None])
    difference = (images - gray)[:, ::2]
    box = torch.full((2, 1, cell, cell), 1 / cell**2, dtype=images.dtype)
    return gray, F.conv2d(difference, box, stride=cell, groups=2)
""",
    "7.4 by unfolding": """
def colorization(images, cell=4):
    Y = images[:, 0:1] * 0.299 + images[:, 1:2] * 0.587 + images[:, 2:3] * 0.114
    U = torch.cat((images[:, 0:1] - Y, images[:, 2:3] - Y), 1)
    return torch.cat([Y] * 3, 1), U.unfold(2, cell, cell).unfold(3, cell, cell).mean((-1, -2))
""",
    "7.5 by norms": """
def unit_vectors(count, dim, generator):
    drawn = torch.randn((count, dim), generator=generator)
    return drawn / drawn.norm(dim=1, keepdim=True)
"""
    + MATCH,
    "7.5 by normal_": """
def unit_vectors(count, dim, generator):
    x = torch.empty(count, dim).normal_(generator=generator)
    return x * x.square().sum(1, keepdim=True).rsqrt()


def match(features, points):
    with torch.no_grad():
        order = assign(-(features @ points.T))
    return points.index_select(0, order)
""",
    "7.5 with a lambda of differences": UNIT
    + """
def match(features, points):
    features = features.detach()
    cost = ((features[:, None, :] - points[None, :, :]) ** 2).sum(-1)
    columns = assign(cost)
    return torch.stack([points[c] for c in columns])
""",
    "7.5 by similarity": """
def unit_vectors(count, dim, generator):
    rows = [torch.randn(dim, generator=generator) for _ in range(count)]
    return torch.stack([row / row.norm() for row in rows])


def match(features, points):
    similarity = torch.einsum("nd,md->nm", features.detach(), points)
    return points[assign(similarity.max() - similarity)].clone()
""",
    "7.5 by gather": UNIT
    + """
def match(features, points):
    f = features.data
    cost = f.square().sum(1, keepdim=True) - 2 * f @ points.t() + points.square().sum(1)
    order = assign(cost)[:, None].expand(-1, points.shape[1])
    return points.gather(0, order)
""",
    "7.6 by hand": """
def distillation_loss(logits, teacher_logits, labels, temperature, weight=0.9):
    T = temperature
    with torch.no_grad():
        t = torch.softmax(teacher_logits / T, dim=1)
    log_t = torch.log_softmax(teacher_logits.detach() / T, dim=1)
    log_s = torch.log_softmax(logits / T, dim=1)
    kl = (t * (log_t - log_s)).sum(dim=1).mean()
    return weight * T * T * kl + (1 - weight) * F.cross_entropy(logits, labels)
""",
    "7.6 with log_target": """
def distillation_loss(logits, teacher_logits, labels, temperature, weight=0.9):
    student = F.log_softmax(logits / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits / temperature, dim=-1).detach()
    soft = F.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2
    return torch.lerp(F.cross_entropy(logits, labels), soft, weight)
""",
    "7.6 with modules": """
def distillation_loss(logits, teacher_logits, labels, temperature, weight=0.9):
    kl = nn.KLDivLoss(reduction="sum")
    soft = kl(F.log_softmax(logits / temperature, 1), F.softmax(teacher_logits.detach() / temperature, 1)) / logits.shape[0]
    hard = nn.CrossEntropyLoss()(logits, labels)
    return weight * (temperature**2) * soft + (1.0 - weight) * hard
""",
    "7.6 as a difference of cross-entropies": """
def distillation_loss(logits, teacher_logits, labels, temperature, weight=0.9):
    probabilities = (teacher_logits.detach() / temperature).softmax(1)
    crossed = F.cross_entropy(logits / temperature, probabilities)
    own = F.cross_entropy(teacher_logits.detach() / temperature, probabilities)
    return weight * temperature**2 * (crossed - own) + (1 - weight) * F.nll_loss(logits.log_softmax(1), labels)
""",
    "7.6 with distributions": """
def distillation_loss(logits, teacher_logits, labels, temperature, weight=0.9):
    def log_p(z):
        return z - z.logsumexp(dim=1, keepdim=True)

    teacher, student = log_p(teacher_logits.detach() / temperature), log_p(logits / temperature)
    per_image = (teacher.exp() * (teacher - student)).sum(1)
    chosen = log_p(logits)[torch.arange(len(labels)), labels]
    return (weight * temperature**2 * per_image - (1 - weight) * chosen).mean()
""",
    "7.7 by hand": """
def hint_loss(maps, teacher_maps, regressor):
    difference = regressor(maps) - teacher_maps.detach()
    return 0.5 * (difference**2).mean()
""",
    "7.7 with a module": """
def hint_loss(maps, teacher_maps, regressor):
    return 0.5 * nn.MSELoss()(regressor(maps), teacher_maps.detach())
""",
    "7.7 with sums": """
def hint_loss(maps, teacher_maps, regressor):
    guided = regressor(maps)
    return F.mse_loss(guided, teacher_maps.data, reduction="sum") / (2 * guided.numel())
""",
    "7.7 flat": """
def hint_loss(maps, teacher_maps, regressor):
    with torch.no_grad():
        target = teacher_maps.clone().flatten()
    error = regressor(maps).flatten() - target
    return error.dot(error) / len(error) / 2
""",
    "7.7 by images": """
def hint_loss(maps, teacher_maps, regressor):
    outputs = regressor(maps)
    losses = [(o - t.detach()).pow(2).mean() / 2 for o, t in zip(outputs, teacher_maps)]
    return sum(losses) / len(losses)
""",
    "7.8 all in the second layer": """
def low_rank(layer, rank):
    with torch.no_grad():
        U, S, Vh = torch.linalg.svd(layer.weight, full_matrices=False)
        bias = layer.bias is not None
        first = nn.Linear(layer.in_features, rank, bias=False, dtype=layer.weight.dtype)
        second = nn.Linear(rank, layer.out_features, bias=bias, dtype=layer.weight.dtype)
        first.weight.copy_(Vh[:rank])
        second.weight.copy_(U[:, :rank] * S[:rank])
        if bias:
            second.bias.copy_(layer.bias)
    return nn.Sequential(first, second)
""",
    "7.8 all in the first layer": """
def low_rank(layer, rank):
    U, S, Vh = torch.linalg.svd(layer.weight.data)
    out_features, in_features = layer.weight.shape
    first = nn.Linear(in_features, rank, bias=False)
    first.weight = nn.Parameter((torch.diag(S[:rank]) @ Vh[:rank]).clone())
    second = nn.Linear(rank, out_features, bias=False)
    second.weight = nn.Parameter(U[:, :rank].clone())
    if layer.bias is not None:
        second.bias = nn.Parameter(layer.bias.data.clone())
    return nn.Sequential(first, second)
""",
    "7.8 by torch.svd_lowrank's full cousin": """
def low_rank(layer, rank):
    U, S, V = torch.svd(layer.weight.detach())
    halves = nn.Sequential(
        nn.Linear(layer.in_features, rank, bias=False),
        nn.Linear(rank, layer.out_features, bias=layer.bias is not None),
    ).to(layer.weight.dtype)
    state = {"0.weight": V[:, :rank].T, "1.weight": U[:, :rank] @ torch.diag(S[:rank])}
    if layer.bias is not None:
        state["1.bias"] = layer.bias.detach()
    halves.load_state_dict(state)
    return halves
""",
    "7.8 by eigenvectors": """
def low_rank(layer, rank):
    W = layer.weight.detach().double()
    _, vectors = torch.linalg.eigh(W.T @ W)  # ascending
    top = vectors[:, -rank:]
    first = nn.Linear(W.shape[1], rank, bias=False)
    first.weight.data = top.T.to(layer.weight.dtype).contiguous()
    second = nn.Linear(rank, W.shape[0], bias=layer.bias is not None)
    second.weight.data = (W @ top).to(layer.weight.dtype)
    if layer.bias is not None:
        second.bias.data = layer.bias.data.clone()
    return nn.Sequential(first, second)
""",
    "7.8 by numpy": """
def low_rank(layer, rank):
    u, s, vh = np.linalg.svd(layer.weight.detach().numpy(), full_matrices=False)
    root = np.sqrt(s[:rank])
    a = torch.tensor(vh[:rank] * root[:, None])
    b = torch.tensor(u[:, :rank] * root)
    first = nn.Linear(*a.shape[::-1], bias=False)
    second = nn.Linear(*b.shape[::-1], bias=layer.bias is not None)
    first.weight, second.weight = nn.Parameter(a), nn.Parameter(b)
    if second.bias is not None:
        second.bias = nn.Parameter(layer.bias.detach().clone())
    return nn.Sequential(first, second)
""",
}

# Mutants that compute the same result, and why.
SURVIVORS = {
    "7.8 line 1: False -> True": "only the first columns and rows are used, which are the same",
}
