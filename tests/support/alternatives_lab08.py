"""Right answers to lab 08 that differ in form from the reference. Each replaces the function."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import collections\nimport itertools\nimport math\n\nimport numpy as np\nimport torch\nimport torch.nn.functional as F\n"

ALTERNATIVES = {
    "8.1 by a Counter of zips": """
def count_ngrams(tokens, n):
    counts = collections.Counter()
    for k in range(1, n + 1):
        counts.update(zip(*(tokens[i:] for i in range(k))))
    return counts
""",
    "8.1 by a defaultdict, start by start": """
def count_ngrams(tokens, n):
    counts = collections.defaultdict(int)
    for start in range(len(tokens)):
        for stop in range(start + 1, min(start + n, len(tokens)) + 1):
            counts[tuple(tokens[start:stop])] += 1
    return counts
""",
    "8.1 by growing windows": """
def count_ngrams(tokens, n):
    counts, window = {}, []
    for token in tokens:
        window = [*window, token][-n:]
        for i in range(len(window)):
            run = tuple(window[i:])
            if run not in counts:
                counts[run] = 0
            counts[run] += 1
    return counts
""",
    "8.1 by setdefault": """
def count_ngrams(tokens, n):
    counts = dict()
    length = len(tokens)
    for i in range(length):
        for k in range(1, n + 1):
            if i + k > length:
                break
            key = tuple(tokens[i : i + k])
            counts.setdefault(key, 0)
            counts[key] = counts[key] + 1
    return counts
""",
    "8.1 by a comprehension": """
def count_ngrams(tokens, n):
    grams = [tuple(tokens[i : i + k]) for k in range(1, n + 1) for i in range(len(tokens) - k + 1)]
    return dict(collections.Counter(grams))
""",
    "8.2 written out": """
def trigram_probability(counts, context, token, num_tokens, vocab_size, weights):
    a, b = context
    w1, w2, w3 = weights
    p = w1 * counts.get((token,), 0) / num_tokens + (1 - w1) / vocab_size
    if (b,) in counts:
        p = w2 * counts.get((b, token), 0) / counts[b,] + (1 - w2) * p
    if (a, b) in counts:
        p = w3 * counts.get((a, b, token), 0) / counts[a, b] + (1 - w3) * p
    return p
""",
    "8.2 by recursion": """
def trigram_probability(counts, context, token, num_tokens, vocab_size, weights):
    def smooth(context, weights):
        if not weights:
            return 1 / vocab_size
        lower = smooth(context[1:], weights[:-1])
        total = counts.get(context, 0) if context else num_tokens
        if total == 0:
            return lower
        return weights[-1] * counts.get(context + (token,), 0) / total + (1 - weights[-1]) * lower

    return smooth(tuple(context), list(weights))
""",
    "8.2 from the top down": """
def trigram_probability(counts, context, token, num_tokens, vocab_size, weights):
    counts = collections.Counter(counts)
    p, left = 0.0, 1.0
    for used, weight in ((tuple(context), weights[2]), (tuple(context)[1:], weights[1])):
        if counts[used]:
            p += left * weight * counts[(*used, token)] / counts[used]
            left *= 1 - weight
    return p + left * (weights[0] * counts[(token,)] / num_tokens + (1 - weights[0]) / vocab_size)
""",
    "8.2 by exceptions": """
def trigram_probability(counts, context, token, num_tokens, vocab_size, weights):
    a, b = context
    w1, w2, w3 = weights
    p1 = w1 * (counts[(token,)] if (token,) in counts else 0) / num_tokens + (1 - w1) / vocab_size
    try:
        p2 = w2 * counts.get((b, token), 0) / counts[(b,)] + (1 - w2) * p1
    except KeyError:
        p2 = p1
    try:
        p3 = w3 * counts.get((a, b, token), 0) / counts[(a, b)] + (1 - w3) * p2
    except KeyError:
        p3 = p2
    return p3
""",
    "8.2 by tensors": """
def trigram_probability(counts, context, token, num_tokens, vocab_size, weights):
    p = torch.tensor(1 / vocab_size, dtype=torch.float64)
    for weight, seen in zip(weights, [(), context[1:], context]):
        total = num_tokens if seen == () else counts.get(seen, 0)
        if total > 0:
            p = torch.lerp(p, torch.tensor(counts.get(seen + (token,), 0) / total, dtype=torch.float64), weight)
    return p.item()
""",
    "8.3 by a loop": """
def perplexity(batches):
    total, count = 0.0, 0
    for mean, tokens in batches:
        total += mean * tokens
        count += tokens
    return math.exp(total / count)
""",
    "8.3 by numpy": """
def perplexity(batches):
    means, tokens = zip(*batches)
    return float(np.exp(np.average(means, weights=tokens)))
""",
    "8.3 by torch": """
def perplexity(batches):
    means, tokens = torch.tensor(list(batches), dtype=torch.float64).T
    return (means @ tokens / tokens.sum()).exp().item()
""",
    "8.3 by a product of powers": """
def perplexity(batches):
    batches = list(batches)
    count = sum(tokens for _, tokens in batches)
    return math.prod(math.exp(mean * tokens / count) for mean, tokens in batches)
""",
    "8.3 by a running mean": """
def perplexity(batches):
    mean, seen = 0.0, 0
    for loss, tokens in batches:
        seen += tokens
        mean += (loss - mean) * tokens / seen
    return math.e**mean
""",
    "8.4 by embedding and linear": """
def feedforward(windows, C, H, d):
    x = F.embedding(windows, C)
    return torch.tanh(F.linear(x.reshape(*windows.shape[:-1], -1), H, d))
""",
    "8.4 by einsum": """
def feedforward(windows, C, H, d):
    n, E = windows.shape[-1], C.shape[1]
    return torch.einsum("...ne,hne->...h", C[windows], H.view(-1, n, E)).add(d).tanh()
""",
    "8.4 word by word": """
def feedforward(windows, C, H, d):
    E, total = C.size(1), d
    for i in range(windows.size(-1)):
        total = total + C[windows[..., i]] @ H[:, i * E : (i + 1) * E].t()
    return torch.tanh(total)
""",
    "8.4 by index_select": """
def feedforward(windows, C, H, d):
    vectors = C.index_select(0, windows.flatten()).view(*windows.shape, -1)
    x = vectors.reshape(windows.shape[:-1] + (-1,))
    return (torch.matmul(x, H.transpose(0, 1)) + d).tanh()
""",
    "8.4 by one-hot vectors": """
def feedforward(windows, C, H, d):
    chosen = F.one_hot(windows, len(C)).to(C.dtype) @ C
    parts = chosen.unbind(-2)
    return torch.tanh(F.linear(torch.cat(parts, -1), H, d))
""",
    "8.5 by linear": """
def elman_step(x, h, W, U, b):
    return torch.tanh(F.linear(x, W, b) + F.linear(h, U))

def lstm_step(x, h, c, W, U, b):
    i, f, g, o = torch.split(F.linear(x, W, b) + F.linear(h, U), h.shape[1], dim=-1)
    c_next = c * f.sigmoid() + i.sigmoid() * g.tanh()
    return o.sigmoid() * c_next.tanh(), c_next

def gru_step(x, h, W, U, b):
    gx, gh = F.linear(x, W, b), F.linear(h, U)
    H = h.shape[1]
    rz = torch.sigmoid(gx[:, : 2 * H] + gh[:, : 2 * H])
    r, z = rz[:, :H], rz[:, H:]
    n = torch.tanh(gx[:, 2 * H :] + r * gh[:, 2 * H :])
    return n + z * (h - n)

def scrn_step(x, h, s, A, B, P, R, alpha=0.95):
    s = torch.lerp(F.linear(x, B), s, alpha)
    return torch.sigmoid(F.linear(s, P) + F.linear(x, A) + F.linear(h, R)), s
""",
    "8.5 with one matrix": """
def elman_step(x, h, W, U, b):
    return (torch.cat([x, h], 1) @ torch.cat([W, U], 1).T + b).tanh()

def lstm_step(x, h, c, W, U, b):
    gates = torch.cat([x, h], 1) @ torch.cat([W, U], 1).T + b
    i, f, g, o = gates.unflatten(1, (4, -1)).unbind(1)
    c = torch.sigmoid(f).mul(c).addcmul(torch.sigmoid(i), torch.tanh(g))
    return [torch.sigmoid(o) * torch.tanh(c), c]

def scrn_step(x, h, s, A, B, P, R, alpha=0.95):
    new = alpha * s + (1 - alpha) * torch.einsum("nd,kd->nk", x, B)
    inside = torch.cat([new, x, h], 1) @ torch.cat([P, A, R], 1).T
    return 1 / (1 + torch.exp(-inside)), new
""",
    "8.5 block by block": """
def elman_step(x, h, W, U, b):
    inside = torch.stack([W @ xi + U @ hi + b for xi, hi in zip(x, h)])
    return 2 * torch.sigmoid(2 * inside) - 1

def lstm_step(x, h, c, W, U, b):
    H = h.shape[-1]
    pre = [x @ W[k * H : k * H + H].T + h @ U[k * H : k * H + H].T + b[k * H : k * H + H] for k in range(4)]
    new = torch.sigmoid(pre[1]) * c + torch.sigmoid(pre[0]) * torch.tanh(pre[2])
    return torch.sigmoid(pre[3]) * torch.tanh(new), new

def gru_step(x, h, W, U, b):
    Wr, Wz, Wn = W.chunk(3)
    Ur, Uz, Un = U.chunk(3)
    br, bz, bn = b.chunk(3)
    r = (x @ Wr.T + br + h @ Ur.T).sigmoid()
    z = (x @ Wz.T + bz + h @ Uz.T).sigmoid()
    n = (x @ Wn.T + bn + r * (h @ Un.T)).tanh()
    return (1 - z) * n + z * h
""",
    "8.5 by slices": """
def elman_step(x, h, W, U, b):
    pre = (W @ x.T + U @ h.T).T + b
    return torch.tanh(pre)

def lstm_step(x, h, c, W, U, b):
    H = h.size(1)
    pre = torch.addmm(b, x, W.T) + torch.mm(h, U.T)
    i, f, o = (torch.sigmoid(pre[:, k * H : (k + 1) * H]) for k in (0, 1, 3))
    g = torch.tanh(pre[:, 2 * H : 3 * H])
    c = f * c + i * g
    h = o * torch.tanh(c)
    return (h, c)

def gru_step(x, h, W, U, b):
    H = h.size(1)
    wx, uh = x @ W.T + b, h @ U.T
    r = torch.sigmoid(wx[:, :H] + uh[:, :H])
    z = torch.sigmoid(wx[:, H : 2 * H] + uh[:, H : 2 * H])
    n = torch.tanh(wx[:, -H:] + r * uh[:, -H:])
    return torch.lerp(n, h, z)

def scrn_step(x, h, s, A, B, P, R, alpha=0.95):
    s_new = alpha * s
    s_new = s_new + (1 - alpha) * torch.matmul(x, B.T)
    h_new = torch.matmul(s_new, P.T)
    h_new = h_new + torch.matmul(x, A.T) + torch.matmul(h, R.T)
    return [h_new.sigmoid(), s_new]
""",
    "8.5 by exponentials": """
def sigma(x):
    return 1 / (1 + (-x).exp())

def tanh(x):
    return 2 * sigma(2 * x) - 1

def elman_step(x, h, W, U, b):
    return tanh(torch.einsum("hd,nd->nh", W, x) + torch.einsum("hk,nk->nh", U, h) + b)

def lstm_step(x, h, c, W, U, b):
    i, f, g, o = (torch.einsum("hd,nd->nh", W, x) + torch.einsum("hk,nk->nh", U, h) + b).tensor_split(4, dim=1)
    c = sigma(f) * c + sigma(i) * tanh(g)
    return sigma(o) * tanh(c), c

def gru_step(x, h, W, U, b):
    x_parts, h_parts = (x @ W.T + b).view(len(x), 3, -1), (h @ U.T).view(len(h), 3, -1)
    r, z = sigma(x_parts[:, 0] + h_parts[:, 0]), sigma(x_parts[:, 1] + h_parts[:, 1])
    return z * h + (1 - z) * tanh(x_parts[:, 2] + r * h_parts[:, 2])
""",
    "8.6 by one long vector": """
def clip(gradients, max_norm):
    norm = torch.cat([g.reshape(-1) for g in gradients]).norm().item()
    scale = min(1.0, max_norm / norm) if norm else 1.0
    return [g * scale for g in gradients], norm
""",
    "8.6 by norms of norms": """
def clip(gradients, max_norm):
    norm = torch.stack([torch.linalg.vector_norm(g) for g in gradients]).norm()
    if norm <= max_norm:
        return list(gradients), float(norm)
    return [g / norm * max_norm for g in gradients], float(norm)
""",
    "8.6 by a loop over copies": """
def clip(gradients, max_norm):
    norm = sum(float((g**2).sum()) for g in gradients) ** 0.5
    clipped = [g.clone() for g in gradients]
    if norm > max_norm:
        for g in clipped:
            g.mul_(max_norm / norm)
    return tuple(clipped), norm
""",
    "8.6 by numpy": """
def clip(gradients, max_norm):
    norm = float(np.sqrt(sum((g.detach().numpy() ** 2).sum() for g in gradients)))
    if norm > max_norm:
        gradients = [g * (max_norm / norm) for g in gradients]
    return gradients, norm
""",
    "8.6 by a helper of torch": """
def clip(gradients, max_norm):
    norm = math.hypot(*[float(torch.linalg.norm(g.flatten())) for g in gradients])
    scale = max_norm / max(norm, max_norm)
    return [torch.mul(g, scale) for g in gradients], norm
""",
    "8.7 by backward": """
def train_epoch(model, batches, lr, max_norm):
    state, total, count = [], 0.0, 0
    for inputs, targets in batches:
        logits, state = model.advance(inputs, state)
        state = [s.detach() for s in state]
        loss = F.cross_entropy(logits.transpose(1, 2), targets)
        model.zero_grad()
        loss.backward()
        gradients, _ = clip([p.grad for p in model.parameters()], max_norm)
        for p, g in zip(model.parameters(), gradients):
            p.data.sub_(g, alpha=lr)
        total += loss.item() * targets.numel()
        count += targets.numel()
    return math.exp(total / count)
""",
    "8.7 with no_grad and add_": """
def train_epoch(model, batches, lr, max_norm):
    weights = tuple(model.parameters())
    state, means, tokens = [], [], []
    for x, y in batches:
        logits, state = model.advance(x, tuple(s.detach() for s in state))
        loss = F.nll_loss(logits.reshape(-1, logits.shape[-1]).log_softmax(-1), y.reshape(-1))
        grads, norm = clip(torch.autograd.grad(loss, weights), max_norm)
        with torch.no_grad():
            for w, g in zip(weights, grads):
                w.add_(g, alpha=-lr)
        means.append(float(loss.detach()))
        tokens.append(y.numel())
    return perplexity(zip(means, tokens))
""",
    "8.7 by sums": """
def train_epoch(model, batches, lr, max_norm):
    state, seen = [], []
    for inputs, targets in batches:
        logits, new = model.advance(inputs, state)
        state = [part.detach().clone() for part in new]
        p = torch.softmax(logits, -1).gather(2, targets.unsqueeze(-1)).squeeze(-1)
        loss = -p.log().mean()
        gradients = clip(torch.autograd.grad(loss, list(model.parameters())), max_norm)[0]
        for parameter, gradient in zip(model.parameters(), gradients):
            with torch.no_grad():
                parameter.copy_(parameter - lr * gradient)
        seen.append([loss.item(), targets.shape[0] * targets.shape[1]])
    return perplexity(seen)
""",
    "8.7 with zip and set_": """
def train_epoch(model, batches, lr, max_norm):
    hidden = []
    log_total = 0.0
    num_words = 0
    for x, y in batches:
        B, T = y.shape
        logits, hidden = model.advance(x, hidden)
        hidden = [part.detach() for part in hidden]
        loss = F.cross_entropy(logits.reshape(B * T, -1), y.reshape(B * T))
        for p in model.parameters():
            p.grad = None
        loss.backward()
        params = list(model.parameters())
        new, _ = clip([p.grad for p in params], max_norm)
        with torch.no_grad():
            for p, g in zip(params, new):
                p.copy_(p - lr * g)
        log_total += float(loss) * B * T
        num_words += B * T
    return perplexity([(log_total / num_words, num_words)])
""",
    "8.7 with a sum over the words": """
def train_epoch(model, batches, lr, max_norm):
    state, parameters, seen = [], [*model.parameters()], []
    for inputs, targets in batches:
        logits, state = model.advance(inputs, [s.clone().detach() for s in state])
        losses = F.cross_entropy(logits.permute(0, 2, 1), targets, reduction="none")
        mean = losses.sum() / losses.numel()
        gradients, norm = clip(list(torch.autograd.grad(mean, parameters)), max_norm)
        for i, parameter in enumerate(parameters):
            parameter.data = parameter.data - lr * gradients[i]
        seen += [(loss, 1) for loss in losses.detach().flatten().tolist()]
    return perplexity(seen)
""",
    "8.8 by hand": """
def soften(logits, temperature):
    scaled = logits / temperature
    e = (scaled - scaled.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)
""",
    "8.8 by log-softmax": """
def soften(logits, temperature):
    return F.log_softmax(logits * (1 / temperature), dim=-1).exp()
""",
    "8.8 by logsumexp": """
def soften(logits, temperature):
    scaled = torch.div(logits, temperature)
    return torch.exp(scaled - torch.logsumexp(scaled, -1, keepdim=True))
""",
    "8.8 by a module": """
def soften(logits, temperature):
    return torch.nn.Softmax(dim=-1)(logits.div(temperature))
""",
    "8.8 by powers": """
def soften(logits, temperature):
    logs = F.log_softmax(logits, -1) / temperature
    logs = logs - logs.logsumexp(dim=-1).unsqueeze(-1)
    return logs.exp()
""",
}

# Mutants that no test can catch, because they compute the same, with the reason for each.
SURVIVORS = {
    "8.7 line 7: True -> False": "there are as many gradients as parameters",
}


def source(name, solution):
    """The solution with the answer called `name` in the place of its own."""
    main = 'if __name__ == "__main__":'
    before, _, _ = solution.partition(main)
    return before + IMPORTS + ALTERNATIVES[name]
