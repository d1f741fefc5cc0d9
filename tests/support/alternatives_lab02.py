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
}

# Mutants that no test can catch, because they compute the same, with the reason for each.
SURVIVORS = {
    "2.8 line 4: points > 0 -> points <= 0": "swapping on and off does not change which patterns differ"
}
