"""Right answers to lab 02 that differ in form from the reference. Each replaces the function."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import math\n\nimport numpy as np\nimport torch\nimport torch.nn.functional as F\n"

ALTERNATIVES = {
    "2.1 by linear": """
def forward(params, inputs):
    hidden = F.relu(F.linear(inputs, params["weight1"], params["bias1"]))
    return hidden, F.linear(hidden, params["weight2"], params["bias2"])
""",
    "2.1 by einsum": """
def forward(params, inputs):
    before = torch.einsum("nd,hd->nh", inputs, params["weight1"]) + params["bias1"]
    hidden = before * (before > 0)
    return hidden, torch.einsum("nh,kh->nk", hidden, params["weight2"]) + params["bias2"]
""",
    "2.1 by samples": """
def forward(params, inputs):
    hidden = torch.stack([(params["weight1"] @ x + params["bias1"]).clamp(min=0) for x in inputs])
    return hidden, torch.stack([params["weight2"] @ h + params["bias2"] for h in hidden])
""",
    "2.2 by gather": """
def cross_entropy(logits, targets):
    largest = logits.max(dim=1, keepdim=True).values
    log_sum = torch.log(torch.exp(logits - largest).sum(1, keepdim=True)) + largest
    return (log_sum - logits.gather(1, targets[:, None])).mean()
""",
    "2.2 by one-hot": """
def cross_entropy(logits, targets):
    z = logits - logits.max(1)[0].reshape(-1, 1)
    log_p = z - z.exp().sum(1).log()[:, None]
    return -(F.one_hot(targets, logits.shape[1]) * log_p).sum() / len(logits)
""",
    "2.2 by a loop": """
def cross_entropy(logits, targets):
    total = 0
    for z, t in zip(logits, targets):
        z = z - z.max()
        total = total + torch.log(sum(torch.exp(z))) - z[t]
    return total / logits.shape[0]
""",
    "2.3 by one-hot": """
def cross_entropy_gradient(logits, targets):
    n, k = logits.shape
    return (logits.softmax(1) - F.one_hot(targets, k)) / n
""",
    "2.3 by its own softmax": """
def cross_entropy_gradient(logits, targets):
    e = (logits - logits.amax(1, keepdim=True)).exp()
    return (e / e.sum(1, keepdim=True) - torch.eye(logits.shape[1], dtype=logits.dtype)[targets]) / len(e)
""",
    "2.3 by scatter": """
def cross_entropy_gradient(logits, targets):
    p = F.softmax(logits, dim=-1)
    ones = torch.zeros_like(p).scatter_(1, targets.unsqueeze(1), 1.0)
    return (p - ones) / p.size(0)
""",
    "2.4 with a mask": """
def backward(params, inputs, hidden, dlogits):
    dhidden = dlogits.mm(params["weight2"])
    dhidden[hidden <= 0] = 0
    gradients = {}
    gradients["bias2"] = dlogits.sum(0)
    gradients["weight2"] = dlogits.t().mm(hidden)
    gradients["bias1"] = dhidden.sum(0)
    gradients["weight1"] = dhidden.t().mm(inputs)
    return gradients
""",
    "2.4 by einsum": """
def backward(params, inputs, hidden, dlogits):
    dbefore = torch.einsum("nk,kh->nh", dlogits, params["weight2"]) * hidden.sign()
    return dict(
        weight1=torch.einsum("nh,nd->hd", dbefore, inputs), bias1=torch.einsum("nh->h", dbefore),
        weight2=torch.einsum("nk,nh->kh", dlogits, hidden), bias2=torch.einsum("nk->k", dlogits),
    )
""",
    "2.4 sample by sample": """
def backward(params, inputs, hidden, dlogits):
    gradients = {name: torch.zeros_like(value) for name, value in params.items()}
    for x, h, d in zip(inputs, hidden, dlogits):
        dh = torch.where(h > 0, params["weight2"].T @ d, torch.zeros_like(h))
        gradients["weight1"] += torch.outer(dh, x)
        gradients["bias1"] += dh
        gradients["weight2"] += torch.outer(d, h)
        gradients["bias2"] += d
    return gradients
""",
    "2.5 on a copy": """
def numerical_gradient(function, x, eps=1e-6):
    gradient = torch.empty_like(x)
    for place in np.ndindex(*x.shape):
        up, down = x.clone(), x.clone()
        up[place] += eps
        down[place] -= eps
        gradient[place] = (function(up) - function(down)) / eps / 2
    return gradient
""",
    "2.5 by moving and putting back": """
def numerical_gradient(function, x, eps=1e-6):
    x = x.clone()
    flat, out = x.view(-1), []
    for i in range(len(flat)):
        old = flat[i].item()
        flat[i] = old + eps
        up = float(function(x))
        flat[i] = old - eps
        down = float(function(x))
        flat[i] = old
        out.append((up - down) / (2 * eps))
    return torch.tensor(out, dtype=x.dtype).reshape(x.shape)
""",
    "2.5 by unit vectors": """
def numerical_gradient(function, x, eps=1e-6):
    steps = eps * torch.eye(x.numel(), dtype=x.dtype)
    values = [
        function(x + step.reshape(x.shape)) - function(x - step.reshape(x.shape)) for step in steps
    ]
    return torch.stack([torch.as_tensor(v) for v in values]).reshape(x.shape) / (2 * eps)
""",
    "2.6 by slices": """
def relu_weights(knots, values):
    slopes = (values[1:] - values[:-1]) / (knots[1:] - knots[:-1])
    weights = slopes.clone()
    weights[1:] -= slopes[:-1]
    return weights
""",
    "2.6 by a loop": """
def relu_weights(knots, values):
    weights, slope = [], 0.0
    for i in range(len(knots) - 1):
        new = (values[i + 1] - values[i]) / (knots[i + 1] - knots[i])
        weights.append(new - slope)
        slope = new
    return torch.stack(weights)
""",
    "2.6 by solving": """
def relu_weights(knots, values):
    matrix = torch.relu(knots[1:, None] - knots[:-1])
    return torch.linalg.solve(matrix, values[1:] - values[0])
""",
    "2.7 by factorials": """
def region_bound(num_inputs, width, layers=1):
    total = 0
    for j in range(min(num_inputs, width) + 1):
        total += math.factorial(width) // math.factorial(j) // math.factorial(width - j)
    return int(width // num_inputs) ** (num_inputs * (layers - 1)) * total
""",
    "2.7 layer by layer": """
def region_bound(num_inputs, width, layers=1):
    if layers > 1:
        return (width // num_inputs) ** num_inputs * region_bound(num_inputs, width, layers - 1)
    return sum(math.comb(width, j) for j in range(num_inputs + 1))
""",
    "2.7 by Pascal's triangle": """
def region_bound(num_inputs, width, layers=1):
    row = [1] + [0] * num_inputs
    for _ in range(width):
        row = [1] + [row[j] + row[j - 1] for j in range(1, num_inputs + 1)]
    folds = math.floor(width / num_inputs)
    return sum(row) * math.prod([folds**num_inputs] * (layers - 1))
""",
    "2.8 by a set": """
def count_regions(layers, points):
    patterns = [[] for _ in points]
    for weight, bias in layers:
        points = (points @ weight.t() + bias).clamp(min=0)
        for pattern, on in zip(patterns, (points > 0).tolist()):
            pattern.extend(on)
    return len(set(map(tuple, patterns)))
""",
    "2.8 by codes": """
def count_regions(layers, points):
    codes = torch.zeros(len(points), dtype=torch.int64)
    for weight, bias in layers:
        before = F.linear(points, weight, bias)
        for on in (before > 0).T:
            codes = 2 * codes + on
        points = before.relu()
    return codes.unique().numel()
""",
    "2.8 by numpy": """
def count_regions(layers, points):
    h, patterns = points, torch.zeros(len(points), 0)
    for weight, bias in layers:
        h = torch.maximum(h @ weight.T + bias, torch.tensor(0.0))
        patterns = torch.hstack([patterns, h.sign()])
    return np.unique(patterns.numpy(), axis=0).shape[0]
""",
    "2.1 by addmm": """
def forward(params, inputs):
    w1, b1, w2, b2 = (params[name] for name in ("weight1", "bias1", "weight2", "bias2"))
    hidden = torch.addmm(b1, inputs, w1.t()).relu_()
    return [hidden, torch.addmm(b2, hidden, w2.t())]
""",
    "2.1 by maximum": """
def forward(params, inputs):
    z = (params["weight1"] @ inputs.T).T + params["bias1"].unsqueeze(0)
    hidden = torch.where(z > 0, z, torch.zeros_like(z))
    return hidden, torch.matmul(hidden, params["weight2"].mT).add(params["bias2"])
""",
    "2.2 as a number": """
def cross_entropy(logits, targets):
    logits = logits - logits.max(dim=1, keepdim=True)[0]
    p = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    losses = [-(z[t] - torch.log(torch.exp(z).sum())).item() for z, t in zip(logits, targets)]
    return sum(losses) / len(losses)
""",
    "2.2 by logaddexp": """
def cross_entropy(logits, targets):
    total = logits[:, 0]
    for column in logits.unbind(1)[1:]:
        total = torch.logaddexp(total, column)
    return torch.mean(total - torch.take_along_dim(logits, targets.unsqueeze(1), dim=1).squeeze(1))
""",
    "2.3 by a loop": """
def cross_entropy_gradient(logits, targets):
    rows = []
    for z, t in zip(logits, targets):
        p = torch.softmax(z, 0)
        p[t] -= 1.0
        rows.append(p / logits.shape[0])
    return torch.stack(rows)
""",
    "2.3 by comparing": """
def cross_entropy_gradient(logits, targets):
    true = targets[:, None] == torch.arange(logits.size(1))
    return (torch.softmax(logits, 1) - true.to(logits.dtype)).div(logits.size(0))
""",
    "2.4 from the logits of the ReLU": """
def backward(params, inputs, hidden, dlogits):
    before = inputs @ params["weight1"].T + params["bias1"]
    d = torch.where(before > 0, dlogits @ params["weight2"], 0.0)
    return {
        "bias2": dlogits.sum(0), "bias1": d.sum(0),
        "weight2": torch.einsum("nk,nh->kh", dlogits, hidden), "weight1": (inputs.T @ d).T,
    }
""",
    "2.4 in one matrix": """
def backward(params, inputs, hidden, dlogits):
    ones = torch.ones(len(inputs), 1, dtype=inputs.dtype)
    top = dlogits.T @ torch.cat([hidden, ones], dim=1)
    bottom = ((dlogits @ params["weight2"]) * hidden.gt(0)).T @ torch.cat([inputs, ones], dim=1)
    return {"weight1": bottom[:, :-1], "bias1": bottom[:, -1], "weight2": top[:, :-1], "bias2": top[:, -1]}
""",
    "2.5 by numpy": """
def numerical_gradient(function, x, eps=1e-6):
    array, gradient = x.numpy().copy(), np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        old = array[place]
        array[place] = old + eps
        gradient[place] = float(function(torch.from_numpy(array.copy())))
        array[place] = old - eps
        gradient[place] -= float(function(torch.from_numpy(array.copy())))
        array[place] = old
    return torch.from_numpy(gradient) / (2 * eps)
""",
    "2.5 on the flat tensor": """
def numerical_gradient(function, x, eps=1e-6):
    flat, slopes = x.flatten(), []
    for i in range(flat.numel()):
        ends = []
        for sign in (1, -1):
            moved = flat.clone()
            moved[i] += sign * eps
            ends.append(function(moved.view_as(x)))
        slopes.append((ends[0] - ends[1]) / (eps + eps))
    return torch.tensor(slopes, dtype=x.dtype).view(x.shape)
""",
    "2.6 by numpy": """
def relu_weights(knots, values):
    slopes = np.diff(values.numpy()) / np.diff(knots.numpy())
    return torch.from_numpy(np.diff(slopes, prepend=0.0))
""",
    "2.6 by concatenation": """
def relu_weights(knots, values):
    slopes = torch.cat([torch.zeros(1), (values[1:] - values[:-1]) / (knots[1:] - knots[:-1])])
    return slopes[1:] - slopes[:-1]
""",
    "2.7 with a float that is whole": """
def region_bound(num_inputs, width, layers=1):
    last = sum(math.comb(width, j) for j in range(0, num_inputs + 1))
    return math.pow(width // num_inputs, num_inputs * (layers - 1)) * last
""",
    "2.7 by binomials in turn": """
def region_bound(num_inputs, width, layers=1):
    total, choose = 0, 1
    for j in range(num_inputs + 1):
        total += choose
        choose = choose * (width - j) // (j + 1)
    for _ in range(layers - 1):
        total *= (width // num_inputs) ** num_inputs
    return total
""",
    "2.8 by text": """
def count_regions(layers, points):
    names = [""] * len(points)
    for weight, bias in layers:
        points = F.relu(F.linear(points, weight, bias))
        names = [name + "".join("+" if unit > 0 else "-" for unit in row) for name, row in zip(names, points)]
    return len({*names})
""",
    "2.8 point by point": """
def count_regions(layers, points):
    seen = []
    for x in points:
        pattern = []
        for weight, bias in layers:
            x = torch.clamp(weight @ x + bias, min=0)
            pattern += [bool(unit) for unit in x > 0]
        if pattern not in seen:
            seen.append(pattern)
    return torch.tensor(len(seen))
""",
    "2.9 step by step": """
def train_epoch(params, batches, lr):
    losses, sizes = [], []
    for batch in batches:
        x, t = batch
        hidden, logits = forward(params, x)
        losses.append(cross_entropy(logits, t))
        sizes.append(x.shape[0])
        dlogits = cross_entropy_gradient(logits, t)
        gradients = backward(params, x, hidden, dlogits)
        new = {}
        for name in params:
            new[name] = params[name] - lr * gradients[name]
        params = new
    return params, sum(loss * size for loss, size in zip(losses, sizes)) / sum(sizes)
""",
    "2.9 on copies, in place": """
def train_epoch(params, batches, lr):
    params = {name: value.clone() for name, value in params.items()}
    total = torch.zeros(())
    samples = 0
    for inputs, targets in batches:
        hidden, logits = forward(params, inputs)
        total += len(inputs) * cross_entropy(logits, targets)
        for name, gradient in backward(params, inputs, hidden, cross_entropy_gradient(logits, targets)).items():
            params[name].sub_(gradient, alpha=lr)
        samples += len(inputs)
    return params, (total / samples).item()
""",
    "2.9 with a helper": """
def one_step(params, inputs, targets, lr):
    hidden, logits = forward(params, inputs)
    gradients = backward(params, inputs, hidden, cross_entropy_gradient(logits, targets))
    return {key: torch.add(params[key], gradients[key], alpha=-lr) for key in sorted(params)}, logits

def train_epoch(params, batches, lr):
    losses = torch.tensor([], dtype=torch.float64)
    for inputs, targets in batches:
        params, logits = one_step(params, inputs, targets, lr)
        loss = cross_entropy(logits, targets)
        losses = torch.cat([losses, torch.full((len(targets),), float(loss), dtype=torch.float64)])
    return params, losses.mean()
""",
    "2.9 over a list": """
def train_epoch(params, batches, lr):
    batches, total = list(batches), 0.0
    for i in range(len(batches)):
        inputs, targets = batches[i]
        hidden, logits = forward(params, inputs)
        n = targets.numel()
        total = total + n * float(cross_entropy(logits, targets))
        d = backward(params, inputs, hidden, cross_entropy_gradient(logits, targets))
        params = dict(params, **{name: params[name] - d[name] * lr for name in d})
    return (params, total / sum(len(targets) for _, targets in batches))
""",
    "2.9 with each parameter by name": """
def train_epoch(params, batches, lr):
    w1, b1, w2, b2 = params["weight1"], params["bias1"], params["weight2"], params["bias2"]
    loss_sum = n = 0
    for x, t in batches:
        now = {"weight1": w1, "bias1": b1, "weight2": w2, "bias2": b2}
        hidden, logits = forward(now, x)
        d = backward(now, x, hidden, cross_entropy_gradient(logits, t))
        w1, b1 = w1 - lr * d["weight1"], b1 - lr * d["bias1"]
        w2, b2 = w2 - lr * d["weight2"], b2 - lr * d["bias2"]
        loss_sum += cross_entropy(logits, t).item() * len(x)
        n += len(x)
    return {"weight1": w1, "bias1": b1, "weight2": w2, "bias2": b2}, loss_sum / n
""",
}

# Mutants that no test can catch, because they compute the same, with the reason for each.
SURVIVORS = {
    "2.8 line 4: points > 0 -> points <= 0": "swapping on and off does not change which patterns differ"
}
