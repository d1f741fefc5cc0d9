"""Right answers to lab 01 that differ in form from the reference. Each replaces the function."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import math\n\nimport numpy as np\nimport torch\nimport torch.nn.functional as F\n"

ALTERNATIVES = {
    "1.1 by where": """
def neuron(inputs, weight, bias):
    total = (inputs * weight).sum(dim=1) + bias
    return torch.where(total < 0, torch.tensor(0.0), torch.tensor(1.0))
""",
    "1.1 by heaviside": """
def neuron(inputs, weight, bias):
    return torch.heaviside(torch.mv(inputs, weight) + bias, torch.tensor(1.0))
""",
    "1.1 by a loop": """
def neuron(inputs, weight, bias):
    outputs = []
    for x in inputs:
        outputs.append(1.0 if torch.dot(x, weight).item() + float(bias) >= 0 else 0.0)
    return torch.tensor(outputs)
""",
    "1.2 with whole numbers": """
def and_gate():
    return torch.tensor([2.0, 2.0]), -3.0
""",
    "1.2 with a bias in a tensor": """
def and_gate():
    return torch.ones(2), torch.tensor(-1.5)
""",
    "1.2 unlike weights": """
def and_gate():
    weight = torch.empty(2)
    weight[0], weight[1] = 3.0, 4.0
    return weight, -5.5
""",
    "1.3 by OR and NAND": """
def xor_network():
    hidden = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    return hidden, torch.tensor([-0.5, 1.5]), torch.ones(2), -1.5
""",
    "1.3 by one without the other": """
def xor_network():
    hidden = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    return hidden, torch.full((2,), -0.5), torch.ones(2), -0.5
""",
    "1.3 by the and_gate": """
def xor_network():
    weight, bias = and_gate()
    return torch.stack([weight, torch.ones(2)]), torch.tensor([bias, -0.5]), torch.tensor([-2.0, 1.0]), torch.tensor(-0.5)
""",
    "1.4 by indices": """
def perceptron_epoch(weight, bias, inputs, targets, lr=1.0):
    wrong = 0
    for i in range(len(inputs)):
        y = neuron(inputs[i : i + 1], weight, bias)[0]
        if y != targets[i]:
            wrong += 1
            weight = weight + lr * (targets[i] - y) * inputs[i]
            bias = bias + lr * (targets[i] - y)
    return weight, bias, wrong
""",
    "1.4 in place, on a copy": """
def perceptron_epoch(weight, bias, inputs, targets, lr=1.0):
    weight, bias, mistakes = weight.clone(), bias.clone(), torch.tensor(0)
    for x, t in zip(inputs, targets):
        y = neuron(x.unsqueeze(0), weight, bias).squeeze()
        weight += lr * (t - y) * x
        bias += lr * (t - y)
        mistakes += (t - y).abs().long()
    return weight, bias, mistakes
""",
    "1.4 by two cases": """
def perceptron_epoch(weight, bias, inputs, targets, lr=1.0):
    w, b, mistakes = weight.clone(), float(bias), 0
    for x, t in zip(inputs, targets):
        fired = torch.dot(w, x) + b >= 0
        if fired and t == 0:
            w, b, mistakes = w - lr * x, b - lr, mistakes + 1
        elif not fired and t == 1:
            w, b, mistakes = w + lr * x, b + lr, mistakes + 1
    return w, b, mistakes
""",
    "1.5 by a sum": """
def line_gradient(a, b, x, y):
    n = len(x)
    error = a * x + b - y
    return 2 / n * torch.dot(x, error), 2 / n * error.sum()
""",
    "1.5 by moments": """
def line_gradient(a, b, x, y):
    da = 2 * (a * (x * x).mean() + b * x.mean() - (x * y).mean())
    db = 2 * (a * x.mean() + b - y.mean())
    return da, db
""",
    "1.5 by a loop": """
def line_gradient(a, b, x, y):
    da = db = 0.0
    for xi, yi in zip(x.tolist(), y.tolist()):
        da += 2 * xi * (a * xi + b - yi) / len(x)
        db -= 2 * (yi - a * xi - b) / len(x)
    return torch.tensor(da), torch.tensor(db)
""",
    "1.6 with stacked tensors": """
def fit_line(x, y, a, b, lr, steps):
    now = torch.tensor([a, b], dtype=x.dtype)
    path = [now]
    for _ in range(steps):
        now = now - lr * torch.stack(line_gradient(now[0], now[1], x, y))
        path.append(now)
    return torch.stack(path)
""",
    "1.6 into an array": """
def fit_line(x, y, a, b, lr, steps):
    path = torch.zeros(steps + 1, 2)
    path[0, 0], path[0, 1] = a, b
    for i in range(steps):
        da, db = line_gradient(path[i, 0], path[i, 1], x, y)
        path[i + 1, 0] = path[i, 0] - lr * da
        path[i + 1, 1] = path[i, 1] - lr * db
    return path
""",
    "1.6 with plain numbers": """
def fit_line(x, y, a, b, lr, steps):
    path = []
    while len(path) <= steps:
        path.append([a, b])
        da, db = (float(d) for d in line_gradient(a, b, x, y))
        a -= lr * da
        b -= lr * db
    return torch.tensor(path)
""",
    "1.7 by columns": """
def logistic_gradient(weight, bias, inputs, targets):
    p = 1 / (1 + torch.exp(-(inputs @ weight + bias)))
    return ((p - targets)[:, None] * inputs).mean(0), (p - targets).mean()
""",
    "1.7 by the transpose": """
def logistic_gradient(weight, bias, inputs, targets):
    n = inputs.shape[0]
    error = (inputs.mv(weight) + bias).sigmoid().sub(targets)
    return inputs.T @ error / n, error.sum() / n
""",
    "1.7 by a loop": """
def logistic_gradient(weight, bias, inputs, targets):
    dweight, dbias = torch.zeros_like(weight), torch.zeros(())
    for x, t in zip(inputs, targets):
        error = torch.sigmoid((x * weight).sum() + bias) - t
        dweight, dbias = dweight + error * x, dbias + error
    return dweight / len(inputs), dbias / len(inputs)
""",
    "1.1 by numpy, in double precision": """
def neuron(inputs, weight, bias):
    return torch.from_numpy(np.where((inputs @ weight + bias).numpy() >= 0, 1.0, 0.0))
""",
    "1.1 by an einsum": """
def neuron(inputs, weight, bias):
    return 1.0 * (torch.einsum("nd,d->n", inputs, weight) >= -bias)
""",
    "1.2 with a bias of one element": """
def and_gate():
    return 10 * torch.ones(2), torch.tensor([-15.0])
""",
    "1.2 by numpy": """
def and_gate():
    return torch.from_numpy(np.array([0.6, 0.7])).float(), np.float64(-0.97)
""",
    "1.3 by NOR": """
def xor_network():
    return torch.tensor([[-2.0, -2.0], [2.0, 2.0]]), torch.tensor([1.0, -3.0]), torch.tensor([-1.0, -1.0]), 0.5
""",
    "1.3 with a bias of one element": """
def xor_network():
    one = torch.ones(2)
    return torch.stack([one, -one]), 0.5 * torch.tensor([-1.0, 3.0]), one, torch.tensor([-1.5])
""",
    "1.4 with numbers": """
def perceptron_epoch(weight, bias, inputs, targets, lr=1.0):
    w, b, wrong = weight.tolist(), float(bias), 0
    for x, t in zip(inputs.tolist(), targets.tolist()):
        y = float(sum(wi * xi for wi, xi in zip(w, x)) + b >= 0)
        if y != t:
            wrong += 1
            w = [wi + lr * (t - y) * xi for wi, xi in zip(w, x)]
            b += lr * (t - y)
    return torch.tensor(w), torch.tensor(b), wrong
""",
    "1.4 with a list of errors": """
def perceptron_epoch(weight, bias, inputs, targets, lr=1.0):
    errors = []
    for row in range(inputs.shape[0]):
        errors.append(targets[row] - neuron(inputs[row].reshape(1, -1), weight, bias).item())
        weight = torch.add(weight, inputs[row], alpha=lr * errors[-1].item())
        bias = bias + lr * errors[-1]
    return [weight, bias, torch.stack(errors).count_nonzero()]
""",
    "1.5 by a matrix": """
def line_gradient(a, b, x, y):
    columns = torch.stack([x, torch.ones_like(x)], dim=1)
    gradient = 2 * columns.T @ (columns @ torch.tensor([a, b], dtype=x.dtype) - y) / len(x)
    return gradient[0], gradient[1]
""",
    "1.5 with plain numbers": """
def line_gradient(a, b, x, y):
    residual = y - a * x - b
    return (-2 * x * residual).mean().item(), (-2 * residual).mean().item()
""",
    "1.6 in double precision": """
def fit_line(x, y, a, b, lr, steps):
    point = np.array([a, b])
    path = [point.copy()]
    for _ in range(steps):
        point = point - lr * np.array([float(d) for d in line_gradient(point[0], point[1], x, y)])
        path.append(point)
    return torch.from_numpy(np.stack(path))
""",
    "1.6 in two lists": """
def fit_line(x, y, a, b, lr, steps):
    xs, ys = [a], [b]
    for i in range(steps):
        gradients = line_gradient(xs[i], ys[i], x, y)
        xs.append(float(xs[i] - lr * gradients[0]))
        ys.append(float(ys[i] - lr * gradients[1]))
    return torch.stack([torch.tensor(xs), torch.tensor(ys)], dim=-1)
""",
    "1.7 with an einsum": """
def logistic_gradient(weight, bias, inputs, targets):
    delta = torch.special.expit(F.linear(inputs, weight[None]).squeeze(1) + bias) - targets
    return torch.einsum("n,nd->d", delta, inputs) / targets.numel(), delta.sum() / targets.numel()
""",
    "1.7 in double precision": """
def logistic_gradient(weight, bias, inputs, targets):
    x = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1).double()
    p = torch.sigmoid(x @ torch.cat([weight, bias.reshape(1)]).double())
    gradient = torch.mean(x * (p - targets).unsqueeze(1), dim=0)
    return gradient[:-1], gradient[-1].item()
""",
}

# Mutants that no test can catch, because they compute the same, with the reason for each.
SURVIVORS = {
    "1.3 line 3: 1.0 -> 2.0": "an AND that takes away 2 gives the same answers",
}
