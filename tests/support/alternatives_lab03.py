"""Right answers to lab 03 that differ in form from the reference. Each replaces the function."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import math\n\nimport numpy as np\nimport torch\n"

ALTERNATIVES = {
    "3.1 by slices": """
def minibatches(num_samples, batch_size, generator):
    order = torch.randperm(num_samples, generator=generator)
    return [order[start : start + batch_size] for start in range(0, num_samples, batch_size)]
""",
    "3.1 as an iterator": """
def minibatches(num_samples, batch_size, generator):
    order = torch.rand(num_samples, generator=generator).argsort()
    while len(order):
        yield order[:batch_size]
        order = order[batch_size:]
""",
    "3.1 by drawing": """
def minibatches(num_samples, batch_size, generator):
    order = torch.multinomial(torch.ones(num_samples), num_samples, generator=generator)
    return torch.split(order, batch_size)
""",
    "3.2 with an if": """
def momentum(w, g, state, lr, mu=0.9, nesterov=False):
    if "velocity" in state:
        velocity = mu * state["velocity"] + g
    else:
        velocity = g.clone()
    if nesterov:
        w = w - lr * (g + mu * velocity)
    else:
        w = w - lr * velocity
    return w, {"velocity": velocity}
""",
    "3.2 in place": """
def momentum(w, g, state, lr, mu=0.9, nesterov=False):
    v = state.setdefault("v", torch.zeros_like(w))
    v.mul_(mu).add_(g)
    direction = g.add(v, alpha=mu) if nesterov else v
    return w.sub_(direction, alpha=lr), state
""",
    "3.2 with the step taken from the sum": """
def momentum(w, g, state, lr, mu=0.9, nesterov=False):
    step = mu * state.get("step", torch.zeros(())) + lr * g
    return w - (lr * g + mu * step if nesterov else step), {"step": step}
""",
    "3.3 in place": """
def adagrad(w, g, state, lr, eps=1e-10):
    state["sum"] = state.get("sum", torch.zeros_like(g)) + g**2
    return w.addcdiv(g, state["sum"].sqrt() + eps, value=-lr), state

def rmsprop(w, g, state, lr, alpha=0.99, eps=1e-8):
    state["mean"] = state.get("mean", torch.zeros_like(g)).mul(alpha).addcmul(g, g, value=1 - alpha)
    return w.addcdiv(g, state["mean"].sqrt() + eps, value=-lr), state
""",
    "3.3 by lerp": """
def adagrad(w, g, state, lr, eps=1e-10):
    total = g * g if not state else state["total"] + g * g
    return w - lr / (total**0.5 + eps) * g, {"total": total}

def rmsprop(w, g, state, lr, alpha=0.99, eps=1e-8):
    old = state["mean"] if state else torch.zeros_like(g)
    mean = torch.lerp(old, g * g, 1 - alpha)
    return w - lr / (mean**0.5 + eps) * g, {"mean": mean}
""",
    "3.3 with all gradients kept": """
def adagrad(w, g, state, lr, eps=1e-10):
    past = [*state.get("past", []), g]
    return w - lr * g / (torch.stack(past).norm(dim=0) + eps), {"past": past}

def rmsprop(w, g, state, lr, alpha=0.99, eps=1e-8):
    past = [*state.get("past", []), g]
    s = sum((1 - alpha) * alpha**i * old**2 for i, old in enumerate(reversed(past)))
    return w - lr * g / (s.sqrt() + eps), {"past": past}
""",
    "3.4 in place": """
def adadelta(w, g, state, lr=1.0, rho=0.9, eps=1e-6):
    if not state:
        state = {"s": torch.zeros_like(w), "u": torch.zeros_like(w)}
    s, u = state["s"], state["u"]
    s.mul_(rho).addcmul_(g, g, value=1 - rho)
    d = (u + eps).sqrt().div(s.add(eps).sqrt()).mul(g)
    u.mul_(rho).addcmul_(d, d, value=1 - rho)
    return w - lr * d, state
""",
    "3.4 by one root": """
def adadelta(w, g, state, lr=1.0, rho=0.9, eps=1e-6):
    s, u = state.get("both", (0.0, 0.0))
    s = rho * s + (1 - rho) * g**2
    d = g * torch.sqrt((u + eps) / (s + eps))
    return w - lr * d, {"both": (s, rho * u + (1 - rho) * d**2)}
""",
    "3.4 with a helper": """
def decay(old, new, rho):
    return rho * old + (1 - rho) * new

def adadelta(w, g, state, lr=1.0, rho=0.9, eps=1e-6):
    zeros = torch.zeros_like(g)
    s = decay(state.get("s", zeros), g * g, rho)
    d = g * ((state.get("u", zeros) + eps) ** 0.5) * (s + eps).rsqrt()
    return w - lr * d, dict(s=s, u=decay(state.get("u", zeros), d * d, rho))
""",
    "3.5 in place": """
def adam(w, g, state, lr, betas=(0.9, 0.999), eps=1e-8):
    if not state:
        state = {"t": 0, "m": torch.zeros_like(g), "s": torch.zeros_like(g)}
    state["t"] += 1
    state["m"].mul_(betas[0]).add_(g, alpha=1 - betas[0])
    state["s"].mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])
    m = state["m"] / (1 - math.pow(betas[0], state["t"]))
    s = state["s"] / (1 - math.pow(betas[1], state["t"]))
    return w - lr * m / (s.sqrt() + eps), state
""",
    "3.5 with products kept": """
def adam(w, g, state, lr, betas=(0.9, 0.999), eps=1e-8):
    p1, p2 = (state.get(name, 1.0) * b for name, b in zip(("p1", "p2"), betas))
    m = torch.lerp(g, state.get("m", torch.zeros_like(g)), betas[0])
    s = torch.lerp(g * g, state.get("s", torch.zeros_like(g)), betas[1])
    step = lr / (1 - p1) * m / (s.sqrt() / math.sqrt(1 - p2) + eps)
    return w - step, {"p1": p1, "p2": p2, "m": m, "s": s}
""",
    "3.5 with t in a tensor": """
def adam(w, g, state, lr, betas=(0.9, 0.999), eps=1e-8):
    b1, b2 = betas
    t, m, s = state.get("all", (torch.tensor(0.0, dtype=torch.float64), 0, 0))
    t, m, s = t + 1, b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * g.pow(2)
    M, S = m / (1 - b1**t), s / (1 - b2**t)
    return w - lr * M / (torch.sqrt(S) + eps), {"all": (t, m, s)}
""",
    "3.6 with the list of mus": """
def nadam(w, g, state, lr, betas=(0.9, 0.999), eps=1e-8):
    b1, b2 = betas
    t = state["t"] + 1 if "t" in state else 1
    mus = [b1 * (1 - 0.5 * 0.96 ** (0.004 * i)) for i in range(1, t + 2)]
    m = b1 * state.get("m", 0.0) + (1 - b1) * g
    s = b2 * state.get("s", 0.0) + (1 - b2) * g * g
    M = mus[-1] * m / (1 - math.prod(mus)) + (1 - mus[-2]) * g / (1 - math.prod(mus[:-1]))
    return w - lr * M / ((s / (1 - b2**t)).sqrt() + eps), {"t": t, "m": m, "s": s}
""",
    "3.6 in two steps": """
def nadam(w, g, state, lr, betas=(0.9, 0.999), eps=1e-8):
    b1, b2 = betas
    state = state or {"t": 0, "P": 1.0, "m": torch.zeros_like(g), "s": torch.zeros_like(g)}
    t = state["t"] + 1
    mu = b1 * (1 - 0.96 ** (t * 0.004) / 2)
    mu_next = b1 * (1 - 0.96 ** ((t + 1) * 0.004) / 2)
    P, m = state["P"] * mu, state["m"] * b1 + g * (1 - b1)
    s = state["s"] * b2 + g * g * (1 - b2)
    root = torch.sqrt(s / (1 - b2**t)) + eps
    w = w - lr * (1 - mu) / (1 - P) * g / root
    w = w - lr * mu_next / (1 - P * mu_next) * m / root
    return w, {"t": t, "P": P, "m": m, "s": s}
""",
    "3.6 with the next mu kept": """
def nadam(w, g, state, lr, betas=(0.9, 0.999), eps=1e-8):
    def mu(t):
        return betas[0] * (1 - math.exp(0.004 * t * math.log(0.96)) / 2)

    t, now, P, m, s = state.get("kept", (1, mu(1), mu(1), 0.0, 0.0))
    m = betas[0] * m + (1 - betas[0]) * g
    s = betas[1] * s + (1 - betas[1]) * g**2
    following = mu(t + 1)
    M = following * m / (1 - P * following) + (1 - now) * g / (1 - P)
    S = s / (1 - betas[1] ** t)
    return w - lr * M / (S.sqrt() + eps), {"kept": (t + 1, following, P * following, m, s)}
""",
    "3.7 by factors": """
def inverse(lr, t, b):
    return lr / (1 + t / b)

def linear(lr, t, steps):
    return lr * (1 - t / steps)

def halve(lr, val_losses):
    return lr if len(val_losses) == 1 or val_losses[-1] < min(val_losses[:-1]) else 0.5 * lr
""",
    "3.7 by index": """
def inverse(lr, t, b):
    a = lr * b
    return a / (b + t)

def linear(lr, t, steps):
    return lr - t * lr / steps

def halve(lr, val_losses):
    first_lowest = int(np.argmin(val_losses))
    return lr if first_lowest == len(val_losses) - 1 else lr / 2
""",
    "3.7 by loops": """
def inverse(lr, t, b):
    return 1 / (1 / lr + t / (lr * b))

def linear(lr, t, steps):
    return float(np.interp(t, [0, steps], [lr, 0.0]))

def halve(lr, val_losses):
    *before, last = val_losses
    for loss in before:
        if loss <= last:
            return lr * 0.5
    return lr
""",
    "3.8 unsorted": """
def best_lr(hessian):
    values = torch.linalg.eigvals(hessian).real
    return (2 / (values.min() + values.max())).item(), (2 / values.max()).item()
""",
    "3.8 by numpy": """
def best_lr(hessian):
    values = np.linalg.eigvalsh(hessian.numpy())
    return float(2 / (values[0] + values[-1])), float(2 / values[-1])
""",
    "3.8 by singular values": """
def best_lr(hessian):
    values = torch.linalg.svdvals(hessian)
    largest, smallest = float(values[0]), float(values[-1])
    return 1 / ((largest + smallest) / 2), 1 / (largest / 2)
""",
    "3.1 by shuffled keys": """
def minibatches(num_samples, batch_size, generator):
    keys = torch.rand(num_samples, generator=generator, dtype=torch.float64)
    order = torch.argsort(keys)
    return [part for part in torch.tensor_split(order, tuple(range(batch_size, num_samples, batch_size)))]
""",
    "3.1 of tensors made anew": """
def minibatches(num_samples, batch_size, generator):
    order, batches = torch.randperm(num_samples, generator=generator).tolist(), []
    for number in order:
        if not batches or len(batches[-1]) == batch_size:
            batches.append([])
        batches[-1].append(number)
    return [torch.tensor(batch) for batch in batches]
""",
    "3.2 with a state of its own form": """
def momentum(w, g, state, lr, mu=0.9, nesterov=False):
    v = g if not state else g + mu * state[0]
    return [w - lr * (g * 1.0 + mu * v), {0: v}] if nesterov else [w - lr * v, {0: v}]
""",
    "3.2 by lists of the past": """
def momentum(w, g, state, lr, mu=0.9, nesterov=False):
    past = state.get("past", []) + [g]
    v = sum(mu**i * old for i, old in enumerate(reversed(past)))
    direction = mu * v + g if nesterov else v
    return torch.sub(w, direction, alpha=lr), {"past": past}
""",
    "3.3 by rsqrt": """
def adagrad(w, g, state, lr, eps=1e-10):
    s = torch.as_tensor(state.get("s", 0.0)) + torch.square(g)
    return w - torch.mul(lr, g) / torch.add(torch.sqrt(s), eps), {"s": s}

def rmsprop(w, g, state, lr, alpha=0.99, eps=1e-8):
    s = g**2 - alpha * g**2 + alpha * state.get("s", torch.zeros(()))
    return w - lr * (g / (torch.sqrt(s) + eps)), {"s": s}
""",
    "3.3 on the given state": """
def adagrad(w, g, state, lr, eps=1e-10):
    state["s"] = state["s"] + g * g if "s" in state else g * g
    step = g / (state["s"].sqrt() + eps)
    return w.sub(step, alpha=lr), state

def rmsprop(w, g, state, lr, alpha=0.99, eps=1e-8):
    state["s"] = alpha * state["s"] + (1 - alpha) * g * g if "s" in state else (1 - alpha) * g * g
    step = g / (state["s"].sqrt() + eps)
    return w.sub(step, alpha=lr), state
""",
    "3.4 by logarithms of two": """
def adadelta(w, g, state, lr=1.0, rho=0.9, eps=1e-6):
    s = (1 - rho) * g**2
    u = torch.zeros_like(g)
    if state:
        s, u = s + rho * state["s"], state["u"]
    rms = lambda value: torch.sqrt(value + eps)
    d = rms(u) / rms(s) * g
    new_u = u.lerp(d * d, 1 - rho)
    return w.add(d, alpha=-lr), {"s": s, "u": new_u}
""",
    "3.4 with a tuple": """
def adadelta(w, g, state, lr=1.0, rho=0.9, eps=1e-6):
    s, u = state.setdefault("su", (g * 0, g * 0))
    s = s + (1 - rho) * (g.pow(2) - s)
    d = g * ((u + eps) / (s + eps)).pow(0.5)
    state["su"] = (s, u + (1 - rho) * (d.pow(2) - u))
    return w - d * lr, state
""",
    "3.5 by the step size of the paper": """
def adam(w, g, state, lr, betas=(0.9, 0.999), eps=1e-8):
    t = len(state.get("count", [])) + 1
    m = betas[0] * state.get("m", torch.zeros_like(w)) + (1 - betas[0]) * g
    s = betas[1] * state.get("s", torch.zeros_like(w)) + (1 - betas[1]) * g * g
    c1, c2 = 1 - pow(betas[0], t), 1 - pow(betas[1], t)
    return w - lr / c1 * m / (torch.sqrt(s) / c2**0.5 + eps), {"count": [0] * t, "m": m, "s": s}
""",
    "3.5 by weights that add up to 1": """
def adam(w, g, state, lr, betas=(0.9, 0.999), eps=1e-8):
    b1, b2 = betas
    c1, c2 = b1 * state.get("c1", 0.0) + 1, b2 * state.get("c2", 0.0) + 1
    m, s = b1 * state.get("m", 0) + g, b2 * state.get("s", 0) + g * g
    return w - lr * (m / c1) / ((s / c2) ** 0.5 + eps), {"c1": c1, "c2": c2, "m": m, "s": s}
""",
    "3.6 with Adam's parts": """
def nadam(w, g, state, lr, betas=(0.9, 0.999), eps=1e-8):
    t, m, s, P = state.get("all", (0, torch.zeros_like(g), torch.zeros_like(g), 1.0))
    t, m, s = t + 1, torch.lerp(g, m, betas[0]), torch.lerp(g.square(), s, betas[1])
    mus = betas[0] * (1 - torch.tensor([0.96], dtype=torch.float64) ** (0.004 * torch.tensor([t, t + 1])) / 2)
    P = P * mus[0].item()
    look = mus[1].item() * m / (1 - P * mus[1].item()) + (1 - mus[0].item()) * g / (1 - P)
    return w - lr * look / (torch.sqrt(s / (1 - betas[1] ** t)) + eps), {"all": (t, m, s, P)}
""",
    "3.6 by numpy's product": """
def nadam(w, g, state, lr, betas=(0.9, 0.999), eps=1e-8):
    t = int(state.get("t", 0)) + 1
    mu = betas[0] * (1 - 0.96 ** (0.004 * np.arange(1, t + 2)) / 2)
    m = betas[0] * state.get("m", torch.zeros_like(g)) + (1 - betas[0]) * g
    s = betas[1] * state.get("s", torch.zeros_like(g)) + (1 - betas[1]) * g**2
    first = float(mu[t] / (1 - mu.prod())) * m
    second = float((1 - mu[t - 1]) / (1 - mu[:t].prod())) * g
    return w - lr * (first + second) / ((s / (1 - betas[1] ** t)).sqrt() + eps), {"t": t, "m": m, "s": s}
""",
    "3.7 by tensors": """
def inverse(lr, t, b):
    return torch.tensor(lr * b / (b + t), dtype=torch.float64)

def linear(lr, t, steps):
    return torch.linspace(lr, 0, steps + 1, dtype=torch.float64)[t]

def halve(lr, val_losses):
    before = torch.tensor([float("inf"), *val_losses[:-1]])
    return torch.tensor(lr, dtype=torch.float64) / (1 if val_losses[-1] < before.min() else 2)
""",
    "3.7 by cases": """
def inverse(lr, t, b):
    if t == 0:
        return lr
    return (lr * b) / (t + b)

def linear(lr, t, steps):
    left = steps - t
    return left * (lr / steps)

def halve(lr, val_losses):
    if len(val_losses) <= 1:
        return lr
    best = sorted(val_losses[:-1])[0]
    if val_losses[-1] >= best:
        lr /= 2
    return lr
""",
    "3.8 by the largest and smallest of eig": """
def best_lr(hessian):
    values = sorted(torch.linalg.eig(hessian.double()).eigenvalues.real.tolist())
    return [2 / (values[0] + values[-1]), 2 / values[-1]]
""",
    "3.8 as tensors": """
def best_lr(hessian):
    values, _ = torch.linalg.eigh(hessian)
    best = 2 / (values[0] + values[-1])
    return best, 2 / values[-1]
""",
}

# Mutants that no test can catch, because they compute the same, with the reason for each.
SURVIVORS = {}
