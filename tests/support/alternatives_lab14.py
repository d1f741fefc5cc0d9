"""Right answers to lab 14 that differ in form from the reference. Each replaces the function."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import math\n\nimport numpy as np\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n"

# What the classes of the lab bring along, as the student finds them.
BLOCK = """
class Block(nn.Module):
    def __init__(self, width, num_heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attn = SelfAttention(width, num_heads)
        self.linear1, self.linear2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
"""
GPT = """
class GPT(nn.Module):
    def __init__(self, vocab_size, width, num_heads, num_layers, context):
        super().__init__()
        self.context, self.vocab_size = context, vocab_size
        self.embedding = nn.Embedding(vocab_size, width)
        self.register_buffer("positions", positions(context, width), persistent=False)
        self.layers = nn.ModuleList(Block(width, num_heads) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)
        self.decoder = nn.Linear(width, vocab_size)
"""
CACHE = """
class Cache:
    def __init__(self):
        self.keys = None
        self.values = None

    @property
    def num_tokens(self):
        return 0 if self.keys is None else self.keys.shape[2]
"""

ALTERNATIVES = {
    "14.1 by einsum": """
def attention(queries, keys, values, mask=None):
    scores = torch.einsum("...td,...sd->...ts", queries, keys) * queries.size(-1) ** -0.5
    if mask is not None:
        if (mask.sum(-1) == 0).any():
            raise ValueError("a query may look nowhere")
        scores = torch.where(mask, scores, float("-inf"))
    weights = F.softmax(scores, dim=-1)
    return torch.einsum("...ts,...sv->...tv", weights, values), weights
""",
    "14.1 with a bias": """
def attention(queries, keys, values, mask=None):
    D = queries.shape[-1]
    scores = torch.matmul(queries / D**0.5, keys.mT)
    if mask is not None:
        if not torch.all(torch.any(mask, -1)):
            raise ValueError("all padding")
        bias = torch.zeros(mask.shape, dtype=scores.dtype)
        bias[~mask] = -torch.inf
        scores = scores + bias
    weights = torch.softmax(scores, -1)
    return [torch.matmul(weights, values), weights]
""",
    "14.1 by exponentials": """
def attention(queries, keys, values, mask=None):
    scores = (queries @ keys.swapaxes(-1, -2)) / np.sqrt(queries.shape[-1])
    if mask is None:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool)
    if (~mask).all(-1).any():
        raise ValueError("no key is left")
    low = scores.masked_fill(~mask, -1e30)
    e = torch.exp(low - low.amax(-1, keepdim=True)) * mask
    weights = e / e.sum(-1, keepdim=True)
    return weights @ values, weights
""",
    "14.1 by log_softmax": """
def attention(queries, keys, values, mask=None):
    d_k = queries.size(-1)
    energy = queries.matmul(keys.transpose(-1, -2)).div(math.sqrt(d_k))
    if mask is not None:
        for row in mask.reshape(-1, mask.shape[-1]):
            if not row.any():
                raise ValueError("one row of the mask is empty")
        energy.masked_fill_(mask == 0, float("-inf"))
    weights = energy.log_softmax(-1).exp()
    return weights.matmul(values), weights
""",
    "14.1 by finite numbers": """
def attention(queries, keys, values, mask=None):
    if mask is not None and not bool(mask.any(-1).all()):
        raise ValueError("mask")
    s = keys @ queries.transpose(-2, -1)
    s = s.transpose(-2, -1) / torch.tensor(float(queries.shape[-1])).sqrt().to(queries.dtype)
    if mask is not None:
        s = s.masked_fill(mask.logical_not(), torch.finfo(s.dtype).min)
    w = nn.Softmax(dim=-1)(s)
    return w @ values, w
""",
    "14.2 by tril": """
def causal_mask(num_queries, num_keys):
    return torch.ones(num_queries, num_keys, dtype=torch.bool).tril(num_keys - num_queries)
""",
    "14.2 by triu": """
def causal_mask(num_queries, num_keys):
    return torch.triu(torch.ones((num_queries, num_keys)), diagonal=num_keys - num_queries + 1) == 0
""",
    "14.2 in loops": """
def causal_mask(num_queries, num_keys):
    first = num_keys - num_queries
    return torch.tensor([[s <= first + t for s in range(num_keys)] for t in range(num_queries)])
""",
    "14.2 by cutting": """
def causal_mask(num_queries, num_keys):
    square = torch.tril(torch.ones(num_keys, num_keys)).bool()
    return square[-num_queries:]
""",
    "14.2 by comparing": """
def causal_mask(num_queries, num_keys):
    rows = torch.arange(num_keys - num_queries, num_keys).unsqueeze(1)
    return torch.arange(num_keys).unsqueeze(0).le(rows)
""",
    "14.2 row by row": """
def causal_mask(num_queries, num_keys):
    mask = torch.zeros(num_queries, num_keys, dtype=torch.bool)
    for t in range(num_queries):
        mask[t, : num_keys - num_queries + t + 1] = True
    return mask
""",
    "14.3 by view": """
def multi_head(x, in_weight, in_bias, out_weight, out_bias, num_heads, cache=None):
    N, T, E = x.shape
    if E % num_heads != 0:
        raise ValueError("num_heads must divide E")
    q, k, v = (x @ in_weight.T + in_bias).split(E, dim=2)
    q = q.view(N, T, num_heads, E // num_heads).transpose(1, 2)
    k = k.view(N, T, num_heads, E // num_heads).transpose(1, 2)
    v = v.view(N, T, num_heads, E // num_heads).transpose(1, 2)
    if cache is not None:
        k, v = cache.extend(k, v)
    out, weights = attention(q, k, v, causal_mask(T, k.size(2)))
    out = out.transpose(1, 2).contiguous().view(N, T, E)
    return out @ out_weight.T + out_bias, weights
""",
    "14.3 head by head": """
def multi_head(x, in_weight, in_bias, out_weight, out_bias, num_heads, cache=None):
    E = x.shape[2]
    D, rest = divmod(E, num_heads)
    if rest:
        raise ValueError(f"{num_heads} heads")
    parts = torch.matmul(x, in_weight.t()) + in_bias
    q, k, v = parts[..., :E], parts[..., E:2 * E], parts[..., 2 * E:]
    q, k, v = (torch.stack(p.split(D, -1), 1) for p in (q, k, v))
    if cache is not None:
        k, v = cache.extend(k, v)
    results = [attention(q[:, h], k[:, h], v[:, h], causal_mask(q.shape[2], k.shape[2])) for h in range(num_heads)]
    together = torch.cat([outputs for outputs, _ in results], -1)
    return together @ out_weight.T + out_bias, torch.stack([w for _, w in results], 1)
""",
    "14.3 by one reshape": """
def multi_head(x, in_weight, in_bias, out_weight, out_bias, num_heads, cache=None):
    if x.shape[-1] / num_heads != x.shape[-1] // num_heads:
        raise ValueError("width")
    N, T, E = x.shape
    q, k, v = F.linear(x, in_weight, in_bias).reshape(N, T, 3, num_heads, -1).permute(2, 0, 3, 1, 4)
    k, v = (k, v) if cache is None else cache.extend(k, v)
    out, weights = attention(q, k, v, causal_mask(T, k.shape[-2]))
    return F.linear(out.permute(0, 2, 1, 3).reshape(N, T, E), out_weight, out_bias), weights
""",
    "14.3 by three products": """
def multi_head(x, in_weight, in_bias, out_weight, out_bias, num_heads, cache=None):
    width = x.size(-1)
    if width % num_heads:
        raise ValueError(width)
    heads = []
    for w, b in zip(in_weight.chunk(3), in_bias.chunk(3)):
        y = F.linear(x, w, b)
        heads.append(y.unflatten(2, (num_heads, width // num_heads)).permute(0, 2, 1, 3))
    if cache:
        heads[1:] = cache.extend(heads[1], heads[2])
    mask = causal_mask(heads[0].shape[2], heads[1].shape[2])
    out, weights = attention(*heads, mask)
    out = torch.cat(out.unbind(1), -1)
    return F.linear(out, out_weight, out_bias), weights
""",
    "14.3 by einsum": """
def multi_head(x, in_weight, in_bias, out_weight, out_bias, num_heads, cache=None):
    N, T, E = x.shape
    if E % num_heads:
        raise ValueError("heads")
    W = in_weight.view(3, num_heads, E // num_heads, E)
    qkv = torch.einsum("nte,khde->knhtd", x, W) + in_bias.view(3, 1, num_heads, 1, -1)
    q, k, v = qkv[0], qkv[1], qkv[2]
    if cache is not None:
        k, v = cache.extend(k, v)
    out, weights = attention(q, k, v, causal_mask(T, k.shape[2]))
    O = out_weight.view(E, num_heads, -1)
    return torch.einsum("nhtd,ehd->nte", out, O) + out_bias, weights
""",
    "14.4 by slices": """
def positions(num_positions, width):
    table = torch.zeros(num_positions, width)
    t = torch.arange(num_positions, dtype=torch.float32).unsqueeze(1)
    frequency = torch.exp(torch.arange(0, width, 2).float() * (-math.log(10000.0) / width))
    table[:, 0::2] = torch.sin(t * frequency)
    table[:, 1::2] = torch.cos(t * frequency)
    return table
""",
    "14.4 in loops": """
def positions(num_positions, width):
    rows = []
    for t in range(num_positions):
        row = []
        for i in range(width // 2):
            angle = t / 10000 ** (2 * i / width)
            row += [math.sin(angle), math.cos(angle)]
        rows.append(row)
    return torch.tensor(rows)
""",
    "14.4 by a phase": """
def positions(num_positions, width):
    columns = torch.arange(width)
    angles = torch.outer(torch.arange(num_positions).double(), 10000.0 ** -((columns - columns % 2) / width).double())
    return torch.sin(angles + (columns % 2) * math.pi / 2).float()
""",
    "14.4 by numpy": """
def positions(num_positions, width):
    angles = np.arange(num_positions)[:, None] / np.power(10000, np.arange(0, width, 2) / width)
    table = np.empty((num_positions, width), dtype=np.float32)
    table[:, ::2], table[:, 1::2] = np.sin(angles), np.cos(angles)
    return torch.from_numpy(table)
""",
    "14.4 by where": """
def positions(num_positions, width):
    i = torch.arange(width)
    angles = torch.arange(num_positions).view(-1, 1) / torch.pow(10000, (i // 2 * 2) / width)
    return torch.where(i % 2 == 0, angles.sin(), angles.cos())
""",
    "14.4 by complex numbers": """
def positions(num_positions, width):
    angles = torch.arange(num_positions).outer(10000 ** (-torch.arange(0, width, 2) / width))
    turns = torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turns).flip(-1).reshape(num_positions, width)
""",
    "14.5 in steps": BLOCK
    + """
    def forward(self, x, cache=None):
        normed = self.norm1(x)
        attended = self.self_attn(normed, cache)
        y = attended + x
        hidden = self.linear1(self.norm2(y))
        hidden = nn.GELU()(hidden)
        return y + self.linear2(hidden)
""",
    "14.5 by shortcuts": BLOCK
    + """
    def forward(self, x, cache=None):
        shortcut = x
        x = self.self_attn(self.norm1(x), cache=cache)
        x = shortcut = shortcut + x
        for layer in (self.norm2, self.linear1, F.gelu, self.linear2):
            x = layer(x)
        return torch.add(shortcut, x)
""",
    "14.5 by the error function": BLOCK
    + """
    def forward(self, x, cache=None):
        x = x + self.self_attn(self.norm1(x), cache)
        h = self.linear1(self.norm2(x))
        h = h * 0.5 * (1 + torch.erf(h / math.sqrt(2)))
        return x + self.linear2(h)
""",
    "14.5 with two functions": BLOCK
    + """
    def feed(self, x):
        return self.linear2(F.gelu(self.linear1(x)))

    def forward(self, x, cache=None):
        x = x + self.self_attn(self.norm1(x), cache)
        return x + self.feed(self.norm2(x))
""",
    "14.5 with sequential": BLOCK
    + """
    def forward(self, x, cache=None):
        mlp = nn.Sequential(self.norm2, self.linear1, nn.GELU(), self.linear2)
        if cache is None:
            y = x + self.self_attn(self.norm1(x))
        else:
            y = x + self.self_attn(self.norm1(x), cache)
        return torch.stack([y, mlp(y)]).sum(0)
""",
    "14.6 with an index": GPT
    + """
    def forward(self, tokens, caches=None):
        S = 0
        if caches is not None and len(caches) > 0:
            S = caches[0].num_tokens
        T = tokens.size(1)
        if S + T > self.context:
            raise ValueError("too long")
        if (tokens < 0).any() or (tokens >= self.vocab_size).any():
            raise ValueError("unknown token")
        x = self.embedding(tokens)
        x = x + self.positions[torch.arange(S, S + T)]
        for i, layer in enumerate(self.layers):
            x = layer(x, None if caches is None else caches[i])
        x = self.norm(x)
        return self.decoder(x)
""",
    "14.6 by narrow": GPT
    + """
    def forward(self, tokens, caches=None):
        old = 0 if caches is None else caches[0].num_tokens
        new = tokens.shape[1]
        if not old + new <= self.context:
            raise ValueError(f"{old + new} tokens")
        if tokens.max() >= self.vocab_size or tokens.min() < 0:
            raise ValueError("not in the vocabulary")
        hidden = self.positions.narrow(0, old, new) + self.embedding(tokens)
        for block, cache in zip(self.layers, caches if caches is not None else len(self.layers) * [None]):
            hidden = block(hidden, cache)
        return self.decoder(self.norm(hidden))
""",
    "14.6 by one-hot rows": GPT
    + """
    def forward(self, tokens, caches=None):
        start = caches[0].num_tokens if caches else 0
        if start + tokens.shape[-1] > len(self.positions):
            raise ValueError("context")
        numbers = tokens.tolist()
        if any(number not in range(self.vocab_size) for row in numbers for number in row):
            raise ValueError("vocabulary")
        x = self.embedding.weight[tokens] + self.positions[start:][: tokens.shape[-1]]
        caches = iter(caches or [])
        for layer in self.layers:
            x = layer(x, next(caches, None))
        return F.linear(self.norm(x), self.decoder.weight, self.decoder.bias)
""",
    "14.6 by try": GPT
    + """
    def forward(self, tokens, caches=None):
        first = 0
        if caches:
            first = caches[0].num_tokens
        last = first + tokens.shape[1]
        if last > self.context:
            raise ValueError("longer than the context")
        try:
            x = self.embedding(tokens)
        except IndexError:
            raise ValueError("unknown token") from None
        x = x + self.positions[first:last].unsqueeze(0)
        if caches:
            for layer, cache in zip(self.layers, caches):
                x = layer(x, cache)
        else:
            for layer in self.layers:
                x = layer(x)
        return self.decoder(self.norm(x))
""",
    "14.6 by places": GPT
    + """
    def forward(self, tokens, caches=None):
        known = torch.arange(self.vocab_size)
        if not torch.isin(tokens, known).all():
            raise ValueError(tokens)
        places = torch.arange(tokens.shape[1])
        if caches:
            places += caches[0].num_tokens
        if places[-1] >= self.context:
            raise ValueError(places)
        x = self.embedding(tokens) + F.embedding(places, self.positions)
        for n in range(len(self.layers)):
            x = self.layers[n](x, caches[n] if caches else None)
        return self.decoder(self.norm(x))
""",
    "14.7 by sorting": """
def next_probabilities(logits, temperature=1.0, top_k=None):
    if temperature <= 0:
        raise ValueError("temperature")
    V = logits.shape[1]
    if top_k is None:
        top_k = V
    if top_k < 1 or top_k > V:
        raise ValueError("top_k")
    order = logits.argsort(dim=1, descending=True)
    hidden = (logits / temperature).scatter(1, order[:, top_k:], float("-inf"))
    return hidden.softmax(1)
""",
    "14.7 by renormalizing": """
def next_probabilities(logits, temperature=1.0, top_k=None):
    if not temperature > 0 or (top_k is not None and top_k not in range(1, logits.shape[-1] + 1)):
        raise ValueError("impossible")
    p = F.softmax(logits / temperature, -1)
    if top_k is not None:
        kept = logits.topk(top_k).indices
        p = torch.zeros_like(p).scatter(-1, kept, p.gather(-1, kept))
        p = p / p.sum(-1, keepdim=True)
    return p
""",
    "14.7 row by row": """
def next_probabilities(logits, temperature=1.0, top_k=None):
    if temperature <= 0:
        raise ValueError(temperature)
    k = logits.size(-1) if top_k is None else top_k
    if not 0 < k <= logits.size(-1):
        raise ValueError(k)
    result = torch.zeros_like(logits)
    for n, row in enumerate(logits):
        values, places = row.topk(k)
        result[n, places] = torch.softmax(values / temperature, 0)
    return result
""",
    "14.7 by kthvalue": """
def next_probabilities(logits, temperature=1.0, top_k=None):
    V = logits.size(1)
    if temperature <= 0 or top_k is not None and not 1 <= top_k <= V:
        raise ValueError(f"{temperature}, {top_k}")
    if top_k:
        least = logits.kthvalue(V - top_k + 1, dim=1, keepdim=True).values
        logits = torch.where(logits >= least, logits, -math.inf)
    return (logits / temperature).softmax(dim=1)
""",
    "14.7 by scattering": """
def next_probabilities(logits, temperature=1.0, top_k=None):
    if temperature <= 0:
        raise ValueError("cold")
    scaled = logits / temperature
    if top_k is not None:
        if top_k <= 0 or top_k > logits.shape[-1]:
            raise ValueError("k")
        values, indices = torch.topk(scaled, top_k, dim=-1)
        scaled = torch.full_like(scaled, -torch.inf).scatter_(-1, indices, values)
    return torch.exp(scaled - scaled.logsumexp(-1, keepdim=True))
""",
    "14.8 with early cases": CACHE
    + """
    def extend(self, keys, values):
        if self.keys is None:
            self.keys, self.values = keys, values
        else:
            self.keys = torch.cat((self.keys, keys), -2)
            self.values = torch.cat((self.values, values), -2)
        return self.keys, self.values

@torch.no_grad()
def generate(model, prompt, max_tokens, temperature=1.0, top_k=None, generator=None, caches=None):
    if max_tokens <= 0 or prompt.numel() == 0:
        raise ValueError("nothing to do")
    new_tokens, text = [], prompt
    inputs = prompt
    while len(new_tokens) < max_tokens:
        if caches is None:
            logits = model(text, None)
        else:
            logits = model(inputs, caches)
        p = next_probabilities(logits[:, -1, :], temperature, top_k)
        inputs = torch.multinomial(p, num_samples=1, generator=generator)
        new_tokens.append(inputs)
        text = torch.cat((text, inputs), dim=1)
    return torch.cat(new_tokens, 1)
""",
    "14.8 with room for all": CACHE
    + """
    def extend(self, keys, values):
        if self.num_tokens == 0:
            self.keys, self.values = keys[:, :, :0], values[:, :, :0]
        self.keys, self.values = (torch.cat(pair, 2) for pair in ((self.keys, keys), (self.values, values)))
        return self.keys, self.values

def generate(model, prompt, max_tokens, temperature=1.0, top_k=None, generator=None, caches=None):
    N, T = prompt.shape
    if T == 0 or max_tokens < 1:
        raise ValueError(f"{T} {max_tokens}")
    text = torch.zeros(N, T + max_tokens, dtype=torch.int64)
    text[:, :T] = prompt
    with torch.no_grad():
        for end in range(T, T + max_tokens):
            start = end - 1 if caches is not None and end > T else 0
            logits = model(text[:, start:end], caches)[:, -1]
            text[:, end] = torch.multinomial(next_probabilities(logits, temperature, top_k), 1, generator=generator)[:, 0]
    return text[:, T:]
""",
    "14.8 with lists": CACHE
    + """
    def extend(self, keys, values):
        parts = [(keys, values)] if self.keys is None else [(self.keys, self.values), (keys, values)]
        self.keys = torch.concat([k for k, _ in parts], dim=2)
        self.values = torch.concat([v for _, v in parts], dim=2)
        return self.keys, self.values

@torch.no_grad()
def generate(model, prompt, max_tokens, temperature=1.0, top_k=None, generator=None, caches=None):
    if max_tokens < 1:
        raise ValueError("max_tokens")
    if len(prompt[0]) < 1:
        raise ValueError("prompt")
    rows = prompt.tolist()
    for step in range(max_tokens):
        read = rows if caches is None or step == 0 else [row[-1:] for row in rows]
        logits = model(torch.tensor(read), caches)
        drawn = torch.multinomial(next_probabilities(logits[:, -1], temperature, top_k), 1, generator=generator)
        for row, token in zip(rows, drawn.flatten().tolist()):
            row.append(token)
    return torch.tensor(rows)[:, -max_tokens:]
""",
    "14.8 in two functions": CACHE
    + """
    def extend(self, keys, values):
        old = self.keys is not None
        self.keys = torch.cat([self.keys, keys], dim=2) if old else keys
        self.values = torch.cat([self.values, values], dim=2) if old else values
        return (self.keys, self.values)

def step(model, tokens, temperature, top_k, generator, caches):
    logits = model(tokens, caches)[:, -1]
    return torch.multinomial(next_probabilities(logits, temperature, top_k), 1, generator=generator)

@torch.no_grad()
def generate(model, prompt, max_tokens, temperature=1.0, top_k=None, generator=None, caches=None):
    if prompt.shape[1] < 1 or max_tokens < 1:
        raise ValueError("at least one")
    settings = temperature, top_k, generator, caches
    text = torch.cat([prompt, step(model, prompt, *settings)], 1)
    for _ in range(max_tokens - 1):
        text = torch.cat([text, step(model, text if caches is None else text[:, -1:], *settings)], 1)
    return text[:, len(prompt[0]):]
""",
    "14.8 by inverting the distribution": CACHE
    + """
    def extend(self, keys, values):
        if self.keys is not None:
            keys, values = torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2)
        self.keys = keys
        self.values = values
        return [keys, values]

@torch.no_grad()
def generate(model, prompt, max_tokens, temperature=1.0, top_k=None, generator=None, caches=None):
    if min(max_tokens, prompt.shape[1]) < 1:
        raise ValueError()
    text, unread = prompt, prompt
    for _ in range(max_tokens):
        p = next_probabilities(model(unread, caches)[:, -1], temperature, top_k)
        u = torch.rand(len(p), 1, generator=generator).to(p.dtype)
        token = (p.cumsum(1) < u * p.sum(1, keepdim=True)).sum(1, keepdim=True)
        text = torch.cat([text, token], 1)
        unread = text if caches is None else token
    return text[:, prompt.shape[1]:]
""",
}

# Mutants that no test can catch, because they compute the same, with the reason for each.
SURVIVORS = {
    "14.6 line 8: True -> False": "there are as many caches as blocks",
}
