"""Right answers to lab 04 that differ in form from the reference. Each replaces the function."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import math\n\nimport torch\nfrom torch import nn\n"

# What the two classes of the lab bring along, as the student finds it.
NORM = """
class BatchNorm(nn.Module):
    def __init__(self, num_features, momentum=0.1, eps=1e-5):
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
"""
STOPPING = """
class EarlyStopping:
    def __init__(self, patience):
        self.patience = patience
        self.best, self.best_epoch, self.epoch = float("inf"), 0, 0
"""

ALTERNATIVES = {
    "4.1 by sums": """
def standardize(train, val, test, eps=0.01):
    mean = train.sum(0) / len(train)
    var = ((train - mean) ** 2).sum(0) / len(train)
    return [(x - mean) * (var + eps) ** -0.5 for x in (train, val, test)]
""",
    "4.1 by var_mean": """
def standardize(train, val, test, eps=0.01):
    var, mean = torch.var_mean(train, dim=0, keepdim=True, unbiased=False)
    return tuple((x - mean) / torch.sqrt(var + eps) for x in (train, val, test))
""",
    "4.1 by moments": """
def standardize(train, val, test, eps=0.01):
    mean = train.mean(0)
    scale = torch.sqrt(train.square().mean(0) - mean.square() + eps)
    f = lambda x: x.sub(mean).div(scale)
    return f(train), f(val), f(test)
""",
    "4.2 by normal": """
def xavier(fan_in, fan_out):
    return torch.normal(0.0, math.sqrt(2 / (fan_in + fan_out)), (fan_out, fan_in))


def kaiming(fan_in, fan_out):
    return torch.normal(0.0, math.sqrt(2 / fan_in), size=(fan_out, fan_in))
""",
    "4.2 by a layer": """
def xavier(fan_in, fan_out):
    layer = nn.Linear(fan_in, fan_out)
    layer.weight.data.normal_(0, (2 / (fan_in + fan_out)) ** 0.5)
    return layer.weight.data


def kaiming(fan_in, fan_out):
    return torch.randn(fan_in, fan_out).T * math.sqrt(2 / fan_in)
""",
    "4.3 by F.linear": """
def propagate(inputs, weights, activation):
    outputs = [inputs]
    for weight in weights:
        outputs.append(activation(nn.functional.linear(outputs[-1], weight)))
    return outputs[1:]
""",
    "4.3 by recursion": """
def propagate(inputs, weights, activation):
    if len(weights) == 0:
        return []
    first = activation((weights[0] @ inputs.T).T)
    return [first] + propagate(first, weights[1:], activation)
""",
    "4.3 by accumulate": """
def propagate(inputs, weights, activation):
    import itertools

    steps = itertools.accumulate(weights, lambda x, w: activation(x.matmul(w.t())), initial=inputs)
    return list(steps)[1:]
""",
    "4.4 in place": NORM
    + """
    def forward(self, inputs):
        if self.training:
            mean = inputs.mean(0)
            var = ((inputs - mean) ** 2).mean(0)
            with torch.no_grad():
                self.running_mean.mul_(1 - self.momentum).add_(self.momentum * mean)
                self.running_var.mul_(1 - self.momentum).add_(self.momentum * var)
        else:
            mean = self.running_mean
            var = self.running_var
        return self.weight * (inputs - mean) / torch.sqrt(var + self.eps) + self.bias
""",
    "4.4 by the formula": NORM
    + """
    def forward(self, inputs):
        if not self.training:
            return (inputs - self.running_mean) * torch.rsqrt(self.running_var + self.eps) * self.weight + self.bias
        var, mean = torch.var_mean(inputs, dim=0, unbiased=False)
        m = self.momentum
        self.running_mean = (1 - m) * self.running_mean + m * mean.detach()
        self.running_var = (1 - m) * self.running_var + m * var.detach()
        return (inputs - mean) * torch.rsqrt(var + self.eps) * self.weight + self.bias
""",
    "4.4 by copying": NORM
    + """
    def forward(self, inputs):
        if self.training:
            n = inputs.shape[0]
            mean = inputs.sum(0, keepdim=True) / n
            centered = inputs - mean
            var = centered.pow(2).sum(0, keepdim=True) / n
            for kept, new in ((self.running_mean, mean), (self.running_var, var)):
                kept.data += self.momentum * (new[0].data - kept)
        else:
            centered, var = inputs - self.running_mean, self.running_var
        return centered / (var + self.eps) ** 0.5 * self.weight + self.bias
""",
    "4.5 by bernoulli": """
def dropout(inputs, p, training):
    if training:
        mask = torch.bernoulli(torch.full_like(inputs, 1 - p))
        inputs = inputs * mask / (1 - p)
    return inputs
""",
    "4.5 by masked_fill": """
def dropout(inputs, p, training):
    return inputs.masked_fill(torch.rand(inputs.shape) < p, 0) / (1 - p) if training else inputs
""",
    "4.5 by where": """
def dropout(inputs, p, training):
    if not training or p == 0:
        return inputs.clone()
    keep = torch.empty(inputs.size()).uniform_() > p
    return torch.where(keep, inputs / (1 - p), torch.zeros_like(inputs))
""",
    "4.6 by shrinking": """
def sgd_step(weight, gradient, lr, weight_decay):
    return (1 - lr * weight_decay) * weight - lr * gradient
""",
    "4.6 by autograd": """
def sgd_step(weight, gradient, lr, weight_decay):
    with torch.enable_grad():
        w = weight.detach().clone().requires_grad_()
        (weight_decay / 2 * (w * w).sum()).backward()
    return weight - lr * gradient - lr * w.grad
""",
    "4.7 by counting": STOPPING
    + """
        self.bad = 0

    def update(self, error):
        self.epoch += 1
        if error < self.best:
            self.best = error
            self.best_epoch = self.epoch
            self.bad = 0
            return True
        self.bad += 1
        return False

    @property
    def stop(self):
        return self.bad >= self.patience
""",
    "4.7 by a list": STOPPING
    + """
        self.errors = []

    def update(self, error):
        self.errors.append(error)
        self.epoch = len(self.errors)
        self.best = min(self.errors)
        self.best_epoch = self.errors.index(self.best) + 1
        return self.best_epoch == self.epoch

    @property
    def stop(self):
        return self.epoch >= self.best_epoch + self.patience
""",
    "4.7 by one line": STOPPING
    + """
    def update(self, error):
        better, self.epoch = error < self.best, self.epoch + 1
        if better:
            self.best, self.best_epoch = error, self.epoch
        return better

    @property
    def stop(self):
        return not self.epoch < self.best_epoch + self.patience
""",
    "4.1 by a helper": """
def standardize(train, val, test, eps=0.01):
    def scaled(inputs):
        return torch.div(inputs - train.mean(0, True), deviation)

    deviation = ((train - train.mean(0, True)).pow(2).mean(0, True) + eps).pow(0.5)
    return scaled(train), scaled(val), scaled(test)
""",
    "4.1 together": """
def standardize(train, val, test, eps=0.01):
    n, m = len(train), len(train) + len(val)
    std = torch.std(train, dim=0, unbiased=False)
    whole = (torch.cat([train, val, test]) - torch.mean(train, 0)) / torch.hypot(std, torch.tensor(eps).sqrt())
    return whole[:n], whole[n:m], whole[m:]
""",
    "4.2 row by row": """
def xavier(fan_in, fan_out):
    spread = (2 / (fan_in + fan_out)) ** 0.5
    return torch.stack([torch.randn(fan_in) * spread for _ in range(fan_out)])


def kaiming(fan_in, fan_out):
    return torch.stack([torch.randn(fan_in) * (2 / fan_in) ** 0.5 for _ in range(fan_out)])
""",
    "4.2 by the transpose": """
def xavier(fan_in, fan_out):
    return (torch.randn(fan_in, fan_out) * math.sqrt(2.0 / (fan_out + fan_in))).t().contiguous()


def kaiming(fan_in, fan_out):
    return torch.randn((fan_out, fan_in)).div(math.sqrt(fan_in / 2.0))
""",
    "4.2 by a distribution": """
def xavier(fan_in, fan_out):
    return torch.distributions.Normal(0.0, (2 / (fan_in + fan_out)) ** 0.5).sample((fan_out, fan_in))


def kaiming(fan_in, fan_out):
    weight = torch.empty((fan_out, fan_in))
    return weight.normal_(std=(2 / fan_in) ** 0.5)
""",
    "4.3 into a tuple": """
def propagate(inputs, weights, activation):
    found = ()
    for w in weights:
        last = found[-1] if found else inputs
        found += (activation(torch.einsum("nd,hd->nh", last, w)),)
    return found
""",
    "4.3 on columns": """
def propagate(inputs, weights, activation):
    outputs, columns = [], inputs.T
    for i in range(len(weights)):
        columns = activation(weights[i] @ columns)
        outputs = outputs + [columns.T]
    return outputs
""",
    "4.4 with a factor": NORM
    + """
    def forward(self, inputs):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean = inputs.mean(dim=0)
            var = inputs.square().mean(dim=0) - mean.square()
            self.running_mean += self.momentum * (mean.detach() - self.running_mean)
            self.running_var += self.momentum * (var.detach() - self.running_var)
        scale = self.weight / torch.sqrt(var + self.eps)
        return inputs * scale + (self.bias - mean * scale)
""",
    "4.4 in two methods": NORM
    + """
    def statistics(self, inputs):
        if not self.training:
            return self.running_mean, self.running_var
        mean = torch.mean(inputs, 0)
        var = torch.mean((inputs - mean) ** 2, 0)
        with torch.no_grad():
            self.running_mean.copy_((1 - self.momentum) * self.running_mean + self.momentum * mean)
            self.running_var.copy_((1 - self.momentum) * self.running_var + self.momentum * var)
        return mean, var

    def forward(self, inputs):
        mean, var = self.statistics(inputs)
        normalized = (inputs - mean) * (var + self.eps) ** -0.5
        return torch.addcmul(self.bias, normalized, self.weight)
""",
    "4.5 by multiplying in place on a copy": """
def dropout(inputs, p, training):
    outputs = inputs.clone()
    if training:
        outputs[torch.rand_like(outputs) < p] = 0.0
        outputs /= 1 - p
    return outputs
""",
    "4.5 by a distribution": """
def dropout(inputs, p, training):
    if not training:
        return inputs
    keep = torch.distributions.Bernoulli(1 - p).sample(inputs.shape).to(inputs.dtype)
    return keep * inputs * (1 / (1 - p))
""",
    "4.6 by addcmul": """
def sgd_step(weight, gradient, lr, weight_decay):
    total = torch.addcmul(gradient, weight, torch.full_like(weight, weight_decay))
    return weight + total * -lr
""",
    "4.6 in parts": """
def sgd_step(weight, gradient, lr, weight_decay):
    penalty = weight.mul(weight_decay)
    total = torch.add(gradient, penalty)
    return torch.sub(weight, total, alpha=lr)
""",
    "4.6 on a copy": """
def sgd_step(weight, gradient, lr, weight_decay):
    new = weight.clone()
    new -= lr * gradient
    new -= lr * weight_decay * weight
    return new
""",
    "4.7 by the list of bests": STOPPING
    + """
        self.bests = []

    def update(self, error):
        self.epoch += 1
        improved = all(error < best for best, _ in self.bests)
        if improved:
            self.bests.append((error, self.epoch))
            self.best, self.best_epoch = self.bests[-1]
        return improved

    @property
    def stop(self):
        return bool(self.epoch - self.best_epoch >= self.patience)
""",
    "4.7 with a method for the wait": STOPPING
    + """
    def update(self, error):
        self.epoch = self.epoch + 1
        if not error < self.best:
            return False
        self.best = error
        self.best_epoch = self.epoch
        return True

    def waited(self):
        return self.epoch - self.best_epoch

    @property
    def stop(self):
        return self.waited() > self.patience - 1
""",
}

# Mutants that no test can catch, because they compute the same, with the reason for each.
SURVIVORS = {}
