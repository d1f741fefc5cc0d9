"""Right answers to lab 15 that differ in form from the reference. Each replaces the functions."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import itertools\nimport math\nfrom collections import Counter, defaultdict\n\nimport numpy as np\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n"

DECODER = """
class CaptionDecoder(nn.Module):
    def __init__(self, feature_size, vocab_size, end, at_each_word, size=128):
        super().__init__()
        self.end, self.at_each_word = end, at_each_word
        self.image = nn.Linear(feature_size, size)
        self.embedding = nn.Embedding(vocab_size, size)
        self.gru = nn.GRU(2 * size if at_each_word else size, size, batch_first=True)
        self.fc = nn.Linear(size, vocab_size)
"""

PREDICTOR = """
class FramePredictor(nn.Module):
    def __init__(self, size=24, patch=4, kernel_size=3, reach=2):
        super().__init__()
        self.size, self.patch, self.side = size, patch, 2 * reach + 1
        self.conv = nn.Conv2d(patch**2 + size, 4 * size, kernel_size)
        self.out = nn.Conv2d(size, self.side**2, 3, padding=1)

    def begin(self, frames):
        N, _, _, H, W = frames.shape
        zeros = frames.new_zeros(N, self.size, H // self.patch, W // self.patch)
        return zeros, zeros

    def step(self, frame, state):
        patches = F.pixel_unshuffle(frame, self.patch)
        state = conv_lstm_step(patches, state, self.conv.weight, self.conv.bias)
        shares = F.interpolate(self.out(state[0]).softmax(1), scale_factor=self.patch)
        around = F.unfold(frame, self.side, padding=self.side // 2).view_as(shares)
        return (shares * around).sum(1, keepdim=True), state
"""

ALTERNATIVES = {
    "15.1 with lists": """
def grams_of(words, n):
    return [" ".join(words[i : i + n]) for i in range(max(0, len(words) - n + 1))]

def clipped_matches(caption, references, n):
    total = 0
    for gram in set(grams_of(caption, n)):
        most = max(grams_of(r, n).count(gram) for r in references)
        total += min(most, grams_of(caption, n).count(gram))
    return total

def bleu(captions, references):
    if len(captions) == 0 or len(captions) != len(references):
        raise ValueError("lengths")
    for some in references:
        if len(some) == 0:
            raise ValueError("a caption without references")
    product = 1.0
    for n in range(1, 5):
        found = sum(clipped_matches(c, some, n) for c, some in zip(captions, references))
        total = sum(len(grams_of(c, n)) for c in captions)
        if found == 0:
            return 0.0
        product *= found / total
    c = sum(len(words) for words in captions)
    r = 0
    for words, some in zip(captions, references):
        r += sorted((abs(len(one) - len(words)), len(one)) for one in some)[0][1]
    penalty = 1.0 if c > r else math.exp(1 - r / c)
    return 100 * penalty * product ** 0.25
""",
    "15.1 with dicts": """
def count_of(words, n):
    counts = defaultdict(int)
    for i in range(len(words)):
        if i + n <= len(words):
            counts[tuple(words[i : i + n])] += 1
    return counts

def clipped_matches(caption, references, n):
    best = {}
    for reference in references:
        for gram, number in count_of(reference, n).items():
            best[gram] = max(number, best.get(gram, 0))
    return sum(min(number, best.get(gram, 0)) for gram, number in count_of(caption, n).items())

def bleu(captions, references):
    if not len(captions) == len(references) > 0 or any(not some for some in references):
        raise ValueError("no references")
    p = []
    for n in (1, 2, 3, 4):
        hits = [clipped_matches(c, some, n) for c, some in zip(captions, references)]
        all_of_them = [max(0, len(c) - n + 1) for c in captions]
        p.append(sum(hits) / sum(all_of_them) if sum(hits) else 0.0)
    if min(p) == 0:
        return 0.0
    c = sum(map(len, captions))
    r = sum(min((len(x) for x in some), key=lambda k: abs(k - len(words)) + 0.5 * (k > len(words)))
            for words, some in zip(captions, references))
    return 100.0 * min(1.0, math.exp(1 - r / c)) * math.prod(p) ** (1 / 4)
""",
    "15.1 with numpy": """
def clipped_matches(caption, references, n):
    def grams(words):
        return Counter(zip(*(words[i:] for i in range(n))))
    mine = grams(caption)
    return int(sum(min(k, max(grams(r)[g] for r in references)) for g, k in mine.items()))

def bleu(captions, references):
    if not captions or len(captions) != len(references):
        raise ValueError(len(captions))
    if 0 in [len(some) for some in references]:
        raise ValueError("empty")
    table = np.zeros((4, 2))
    c = r = 0
    for caption, some in zip(captions, references):
        for n in range(4):
            table[n] += clipped_matches(caption, some, n + 1), max(len(caption) - n, 0)
        c += len(caption)
        lengths = sorted(len(one) for one in some)
        r += lengths[int(np.argmin([abs(k - len(caption)) for k in lengths]))]
    if (table[:, 0] == 0).any():
        return 0.0
    score = np.exp(np.log(table[:, 0] / table[:, 1]).mean())
    return float(100 * score * (1 if c > r else np.exp(1 - r / c)))
""",
    "15.1 by removing": """
def clipped_matches(caption, references, n):
    grams = [tuple(caption[i : i + n]) for i in range(len(caption) - n + 1)]
    matches = 0
    for gram in dict.fromkeys(grams):
        most = 0
        for reference in references:
            rest = [tuple(reference[i : i + n]) for i in range(len(reference) - n + 1)]
            count = 0
            while gram in rest:
                rest.remove(gram)
                count += 1
            most = max(most, count)
        matches += min(most, grams.count(gram))
    return matches

def bleu(captions, references):
    pairs = list(zip(captions, references))
    if not pairs or len(references) != len(captions) or min(len(s) for _, s in pairs) < 1:
        raise ValueError("references")
    logs = 0.0
    for n in range(1, 5):
        up = sum(clipped_matches(*pair, n) for pair in pairs)
        if up == 0:
            return 0.0
        logs += (math.log(up) - math.log(sum(len(c) - n + 1 for c, _ in pairs if len(c) >= n))) / 4
    c = sum(len(words) for words, _ in pairs)
    r = 0
    for words, some in pairs:
        best = None
        for one in some:
            if best is None or (abs(len(one) - len(words)), len(one)) < (abs(best - len(words)), best):
                best = len(one)
        r += best
    return math.exp(logs + (0 if c > r else 1 - r / c)) * 100
""",
    "15.1 with max over Counters": """
def clipped_matches(caption, references, n):
    counts = lambda words: Counter(tuple(words[i:i + n]) for i in range(0, len(words) - n + 1))
    limit = counts(references[0])
    for other in references[1:]:
        limit = limit | counts(other)
    return sum((limit & counts(caption)).values())

def bleu(captions, references):
    if len(references) < 1 or len(captions) != len(references) or not all(len(s) for s in references):
        raise ValueError
    precisions = []
    for n in range(1, 5):
        top = bottom = 0
        for words, some in zip(captions, references):
            top += clipped_matches(words, some, n)
            bottom += max(len(words) + 1 - n, 0)
        precisions.append(top / bottom if bottom > 0 else 0)
    score = (precisions[0] * precisions[1] * precisions[2] * precisions[3]) ** 0.25
    if score == 0:
        return 0.0
    c = sum(len(words) for words in captions)
    near = [min(some, key=lambda one: (abs(len(one) - len(w)), len(one))) for w, some in zip(captions, references)]
    r = len(list(itertools.chain(*near)))
    return 100 * score * (math.exp(1 - r / c) if r > c else 1)
""",
    "15.2 in loops": """
def nearest(features, known, count=1):
    if count < 1 or count > len(known):
        raise ValueError(f"count {count}")
    rows = []
    for row in features:
        cosines = []
        for other in known:
            lengths = row.norm() * other.norm()
            cosines.append(float(row @ other / lengths) if lengths > 0 else 0.0)
        rows.append(sorted(range(len(known)), key=lambda i: cosines[i], reverse=True)[:count])
    return torch.tensor(rows)

def consensus(captions, similarity):
    if len(captions) == 0:
        raise ValueError("no captions")
    best, place = -math.inf, 0
    for i in range(len(captions)):
        total = 0.0
        for j in range(len(captions)):
            if i != j:
                total += similarity(captions[i], captions[j])
        if total > best:
            best, place = total, i
    return place
""",
    "15.2 by cosine_similarity": """
def nearest(features, known, count=1):
    if not 0 < count <= known.size(0):
        raise ValueError("count")
    cosines = F.cosine_similarity(features[:, None], known[None], dim=2)
    return cosines.argsort(dim=1, descending=True)[:, :count]

def consensus(captions, similarity):
    if not captions:
        raise ValueError("captions")
    means = []
    for i, caption in enumerate(captions):
        others = captions[:i] + captions[i + 1 :]
        means.append(sum(similarity(caption, o) for o in others) / max(1, len(others)))
    return means.index(max(means))
""",
    "15.2 by distances": """
def nearest(features, known, count=1):
    if count not in range(1, len(known) + 1):
        raise ValueError(f"1 to {len(known)}, got {count}")
    directions = known / known.norm(dim=1, keepdim=True).clamp(min=1e-30)
    return (-(features @ directions.T)).sort(dim=1).indices[:, :count]

def consensus(captions, similarity):
    n = len(captions)
    if n < 1:
        raise ValueError("at least one")
    table = torch.zeros(n, n, dtype=torch.float64)
    for i, j in itertools.permutations(range(n), 2):
        table[i, j] = similarity(captions[i], captions[j])
    return int(table.sum(1).argmax())
""",
    "15.2 by einsum": """
def nearest(features, known, count=1):
    if count <= 0 or count > known.shape[0]:
        raise ValueError("wrong count")
    products = torch.einsum("nd,md->nm", features, known)
    lengths = known.square().sum(1).sqrt()
    return torch.topk(products / torch.where(lengths > 0, lengths, 1.0), count).indices

def consensus(captions, similarity):
    if captions == []:
        raise ValueError("empty")
    totals = {}
    for i in range(len(captions)):
        totals[i] = sum(similarity(captions[i], c) for j, c in enumerate(captions) if i != j)
    return max(totals, key=totals.get)
""",
    "15.2 by numpy": """
def nearest(features, known, count=1):
    if count < 1 or len(known) < count:
        raise ValueError
    a, b = features.numpy(), known.numpy()
    norms = np.linalg.norm(b, axis=1)
    cosines = a @ b.T / np.where(norms == 0, 1, norms)
    return torch.from_numpy(np.argsort(-cosines, axis=1)[:, :count].copy())

def consensus(captions, similarity):
    if len(captions) < 1:
        raise ValueError
    totals = [0.0] * len(captions)
    for i, one in enumerate(captions):
        for j, other in enumerate(captions):
            totals[i] += similarity(one, other) if i != j else 0.0
    return int(np.argmax(totals))
""",
    "15.3 word by word": DECODER
    + """
    def begin(self, features):
        if features.ndim != 2 or features.size(1) != self.image.weight.size(1):
            raise ValueError(f"wrong shape {tuple(features.shape)}")
        code = self.image(features).tanh()
        state = code.new_zeros(code.shape) if self.at_each_word else code
        return code, state.unsqueeze(0)

    def predict(self, before, code, state):
        logits = []
        for t in range(before.shape[1]):
            x = self.embedding(before[:, t])
            if self.at_each_word:
                x = torch.cat((x, code), dim=-1)
            out, state = self.gru(x.unsqueeze(1), state)
            logits.append(self.fc(out.squeeze(1)))
        return torch.stack(logits, 1), state

    def forward(self, features, captions):
        code, state = self.begin(features)
        before = torch.full_like(captions, self.end)
        before[:, 1:] = captions[:, :-1]
        logits, _ = self.predict(before, code, state)
        return logits
""",
    "15.3 with repeat and roll": DECODER
    + """
    def begin(self, features):
        if len(features.shape) != 2 or features.shape[-1] != self.image.in_features:
            raise ValueError("features")
        code = torch.tanh(F.linear(features, self.image.weight, self.image.bias))
        return code, code.unsqueeze(0) * (0 if self.at_each_word else 1)

    def predict(self, before, code, state):
        x = self.embedding(before)
        if self.at_each_word:
            x = torch.cat([x, code.unsqueeze(1).repeat(1, x.size(1), 1)], -1)
        x, state = self.gru(x, state)
        return self.fc(x), state

    def forward(self, features, captions):
        before = captions.roll(1, dims=1)
        before[:, 0] = self.end
        code, state = self.begin(features)
        return self.predict(before, code, state)[0]
""",
    "15.3 with F.pad": DECODER
    + """
    def begin(self, features):
        try:
            n, d = features.shape
        except ValueError:
            raise ValueError("features must have two dimensions")
        if d != self.image.in_features:
            raise ValueError(f"expected {self.image.in_features} features, got {d}")
        code = torch.tanh(self.image(features))
        if self.at_each_word:
            return code, torch.zeros(1, n, code.shape[1], dtype=code.dtype)
        return code, code.reshape(1, n, -1)

    def predict(self, before, code, state):
        words = self.embedding(before)
        if not self.at_each_word:
            outputs, last = self.gru(words, state)
        else:
            told = torch.stack([code] * before.size(1), dim=1)
            outputs, last = self.gru(torch.cat([words, told], dim=2), state)
        return self.fc(outputs), last

    def forward(self, features, captions):
        code, state = self.begin(features)
        return self.predict(F.pad(captions[:, :-1], (1, 0), value=self.end), code, state)[0]
""",
    "15.3 with the equations": DECODER
    + """
    def begin(self, features):
        if features.dim() != 2 or features.shape[1] != self.image.weight.shape[1]:
            raise ValueError(str(features.shape))
        code = 2 * torch.sigmoid(2 * self.image(features)) - 1
        return (code, torch.zeros_like(code)[None]) if self.at_each_word else (code, code[None])

    def predict(self, before, code, state):
        W, U = self.gru.weight_ih_l0, self.gru.weight_hh_l0
        b, d = self.gru.bias_ih_l0, self.gru.bias_hh_l0
        h, logits = state[0], []
        for t in range(before.shape[1]):
            x = self.embedding.weight[before[:, t]]
            x = torch.cat([x, code], 1) if self.at_each_word else x
            r1, z1, n1 = (x @ W.T + b).chunk(3, 1)
            r2, z2, n2 = (h @ U.T + d).chunk(3, 1)
            z = torch.sigmoid(z1 + z2)
            h = (1 - z) * torch.tanh(n1 + torch.sigmoid(r1 + r2) * n2) + z * h
            logits.append(h @ self.fc.weight.T + self.fc.bias)
        return torch.stack(logits, dim=1), h[None]

    def forward(self, features, captions):
        code, state = self.begin(features)
        end = torch.tensor([[self.end]]).expand(len(captions), 1)
        return self.predict(torch.hstack([end, captions])[:, :-1], code, state)[0]
""",
    "15.3 without predict in forward": DECODER
    + """
    def begin(self, features):
        if features.dim() != 2:
            raise ValueError("two dimensions")
        if features.shape[1] != self.image.in_features:
            raise ValueError("width")
        code = torch.tanh(self.image(features))
        return code, torch.stack([code * float(not self.at_each_word)])

    def inputs(self, before, code):
        x = self.embedding(before)
        if self.at_each_word:
            N, T = before.shape
            x = torch.cat([x, code.view(N, 1, -1).expand(N, T, code.size(1))], dim=2)
        return x

    def predict(self, before, code, state):
        outputs, state = self.gru(self.inputs(before, code), state)
        return self.fc(outputs), state

    def forward(self, features, captions):
        code, state = self.begin(features)
        first = captions.new_full((captions.size(0), 1), self.end)
        before = torch.cat((first, captions), 1)[:, : captions.size(1)]
        return self.fc(self.gru(self.inputs(before, code), state)[0])
""",
    "15.4 one image at a time": """
def write(decoder, features, max_words=20):
    if max_words < 1:
        raise ValueError("max_words")
    captions = []
    for row in features:
        code, state = decoder.begin(row[None])
        word, words = decoder.end, []
        for _ in range(max_words):
            logits, state = decoder.predict(torch.tensor([[word]]), code, state)
            word = int(logits[0, -1].argmax())
            if word == decoder.end:
                break
            words.append(word)
        captions.append(words)
    return captions
""",
    "15.4 until all have ended": """
def write(decoder, features, max_words=20):
    if not max_words >= 1:
        raise ValueError(f"max_words {max_words}")
    code, state = decoder.begin(features)
    N = features.size(0)
    before = torch.full((N, 1), decoder.end)
    done = torch.zeros(N, dtype=torch.bool)
    captions = [[] for _ in range(N)]
    for _ in range(max_words):
        logits, state = decoder.predict(before, code, state)
        before = logits[:, -1].argmax(1, keepdim=True)
        done |= before[:, 0] == decoder.end
        if done.all():
            break
        for n in range(N):
            if not done[n]:
                captions[n].append(before[n, 0].item())
    return captions
""",
    "15.4 reading from the start": """
def write(decoder, features, max_words=20):
    if max_words <= 0:
        raise ValueError("at least one word")
    code, state = decoder.begin(features)
    words = torch.full((len(features), 1), decoder.end)
    for _ in range(max_words):
        logits, _ = decoder.predict(words, code, state)
        words = torch.cat([words, logits[:, -1:].argmax(2)], 1)
    captions = []
    for row in words[:, 1:].tolist():
        captions.append(list(itertools.takewhile(lambda word: word != decoder.end, row)))
    return captions
""",
    "15.4 through forward": """
def write(decoder, features, max_words=20):
    if max_words < 1:
        raise ValueError
    words = torch.full((len(features), max_words), decoder.end)
    with torch.no_grad():
        for t in range(max_words):
            words[:, t] = decoder(features, words[:, : t + 1])[:, t].argmax(1)
    lengths = [(row == decoder.end).nonzero() for row in words]
    return [row[: int(places[0])].tolist() if len(places) else row.tolist() for row, places in zip(words, lengths)]
""",
    "15.4 with zip": """
def write(decoder, features, max_words=20):
    if max_words in (0,) or max_words < 0:
        raise ValueError("max_words must be at least 1")
    code, state = decoder.begin(features)
    before = torch.tensor([[decoder.end]] * len(features))
    steps = []
    while len(steps) < max_words:
        logits, state = decoder.predict(before, code, state)
        before = logits.softmax(-1).max(-1).indices
        steps.append(before.flatten().tolist())
    captions = []
    for row in zip(*steps):
        end = row.index(decoder.end) if decoder.end in row else max_words
        captions.append(list(row[:end]))
    return captions
""",
    "15.5 with slices": """
def conv_lstm_step(x, state, weight, bias):
    h, c = state
    D = h.shape[1]
    k = weight.shape[2]
    a = F.conv2d(torch.cat((x, h), 1), weight, bias, 1, (k - 1) // 2)
    i = torch.sigmoid(a[:, :D])
    f = torch.sigmoid(a[:, D : 2 * D])
    g = torch.tanh(a[:, 2 * D : 3 * D])
    o = torch.sigmoid(a[:, 3 * D :])
    c_new = f * c + i * g
    return o * torch.tanh(c_new), c_new
""",
    "15.5 two convolutions": """
def conv_lstm_step(x, state, weight, bias):
    C = x.shape[1]
    a = F.conv2d(x, weight[:, :C], bias, padding="same") + F.conv2d(state[0], weight[:, C:], padding="same")
    i, f, g, o = torch.tensor_split(a, 4, dim=1)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c
""",
    "15.5 four convolutions": """
def conv_lstm_step(x, state, weight, bias):
    h, c = state
    both = F.pad(torch.cat([x, h], 1), [weight.size(-1) // 2] * 4)
    i, f, g, o = (F.conv2d(both, w, b) for w, b in zip(weight.chunk(4), bias.chunk(4)))
    c = f.sigmoid().mul(c).add(i.sigmoid().mul(g.tanh()))
    return [o.sigmoid().mul(c.tanh()), c]
""",
    "15.5 by unfolding": """
def conv_lstm_step(x, state, weight, bias):
    h, c = state
    N, D, H, W = h.shape
    columns = F.unfold(torch.cat([x, h], 1), weight.shape[-1], padding=weight.shape[-1] // 2)
    a = (weight.flatten(1) @ columns + bias[:, None]).reshape(N, 4, D, H, W)
    i, f, o = a[:, 0].sigmoid(), a[:, 1].sigmoid(), a[:, 3].sigmoid()
    c = f * c + i * a[:, 2].tanh()
    return o * c.tanh(), c
""",
    "15.5 with a module": """
def conv_lstm_step(x, state, weight, bias):
    h, c = state
    conv = torch.nn.functional.conv2d
    z = conv(torch.concat([x, h], dim=1), weight, padding=weight.shape[-1] // 2) + bias.view(1, -1, 1, 1)
    i, f, g, o = z.split(h.size(1), dim=1)
    i, f, o = (1 / (1 + torch.exp(-gate)) for gate in (i, f, o))
    c = f * c + i * g.tanh()
    return o * c.tanh(), c
""",
    "15.6 with an index": PREDICTOR
    + """
    def forward(self, frames):
        T = frames.size(1)
        if T < 2:
            raise ValueError(f"{T} frames")
        state, predictions = self.begin(frames), []
        for t in range(T - 1):
            prediction, state = self.step(frames[:, t], state)
            predictions += [prediction]
        return torch.stack(predictions, 1)
""",
    "15.6 with cat": PREDICTOR
    + """
    def forward(self, frames):
        if not frames.shape[1] > 1:
            raise ValueError("one frame only")
        state = self.begin(frames)
        result = None
        for frame in frames.transpose(0, 1)[:-1]:
            next_frame, state = self.step(frame, state)
            next_frame = next_frame.unsqueeze(1)
            result = next_frame if result is None else torch.cat([result, next_frame], dim=1)
        return result
""",
    "15.6 filling in": PREDICTOR
    + """
    def forward(self, frames):
        if frames.shape[1] <= 1:
            raise ValueError("at least two frames, please")
        predictions = [None] * (frames.shape[1] - 1)
        state = self.begin(frames)
        for t in range(len(predictions)):
            predictions[t], state = self.step(frames[:, t, :], state)
        return torch.stack(predictions).transpose(0, 1)
""",
    "15.6 reading all": PREDICTOR
    + """
    def forward(self, frames):
        if len(frames[0]) < 2:
            raise ValueError
        state, outputs = self.begin(frames), []
        for frame in frames.split(1, dim=1):
            output, state = self.step(frame.squeeze(1), state)
            outputs.append(output[:, None])
        return torch.cat(outputs[:-1], 1)
""",
    "15.6 recursively": PREDICTOR
    + """
    def follow(self, frames, state):
        prediction, state = self.step(frames[0], state)
        return [prediction] + (self.follow(frames[1:], state) if len(frames) > 1 else [])

    def forward(self, frames):
        if frames.shape[1] in (0, 1):
            raise ValueError("too few frames")
        return torch.stack(self.follow(list(frames.unbind(1))[:-1], self.begin(frames)), dim=1)
""",
    "15.7 with one loop": """
def rollout(model, frames, horizon):
    T = frames.shape[1]
    if horizon < 1 or T < 1:
        raise ValueError("horizon or frames")
    state, predictions = model.begin(frames), []
    for t in range(T + horizon - 1):
        frame = frames[:, t] if t < T else predictions[-1]
        prediction, state = model.step(frame, state)
        predictions.append(prediction)
    return torch.stack(predictions[T - 1 :], 1)
""",
    "15.7 growing the film": """
def rollout(model, frames, horizon):
    if horizon <= 0:
        raise ValueError(f"horizon {horizon}")
    if frames.size(1) == 0:
        raise ValueError("no frames")
    film = frames
    for _ in range(horizon):
        state = model.begin(film)
        for frame in film.unbind(1):
            prediction, state = model.step(frame, state)
        film = torch.cat([film, prediction.unsqueeze(1)], 1)
    return film[:, -horizon:]
""",
    "15.7 with a queue": """
def rollout(model, frames, horizon):
    if not (horizon >= 1 and frames.shape[1] >= 1):
        raise ValueError
    queue, found, state = list(frames.unbind(1)), [], model.begin(frames)
    while len(found) < horizon:
        frame, state = model.step(queue.pop(0), state)
        if not queue:
            queue.append(frame)
            found.append(frame)
    return torch.stack(found, dim=1)
""",
    "15.7 filling in": """
def rollout(model, frames, horizon):
    if horizon < 1:
        raise ValueError("horizon")
    if frames.shape[1] < 1:
        raise ValueError("frames")
    state = model.begin(frames)
    for t in range(frames.shape[1]):
        frame, state = model.step(frames[:, t], state)
    film = torch.empty(len(frames), horizon, *frames.shape[2:], dtype=frames.dtype)
    for t in range(horizon):
        film[:, t] = frame
        frame, state = model.step(frame, state)
    return film
""",
    "15.7 with accumulate": """
def rollout(model, frames, horizon):
    N, T = frames.shape[:2]
    if min(horizon, T) < 1:
        raise ValueError((horizon, T))
    pair = None, model.begin(frames)
    for frame in frames.transpose(0, 1):
        pair = model.step(frame, pair[1])
    pairs = itertools.accumulate(range(horizon - 1), lambda p, _: model.step(*p), initial=pair)
    return torch.cat([frame.unsqueeze(1) for frame, _ in pairs], dim=1)
""",
    "15.8 with repeat": """
def copy_last(frames, horizon):
    if horizon < 1:
        raise ValueError("horizon")
    return frames[:, -1].unsqueeze(1).repeat(1, horizon, 1, 1, 1)

def errors_by_horizon(predicted, frames):
    if predicted.shape != frames.shape:
        raise ValueError("shapes")
    return ((predicted - frames) ** 2).flatten(2).sum(2).mean(0)
""",
    "15.8 with stack": """
def copy_last(frames, horizon):
    if horizon <= 0:
        raise ValueError(f"horizon {horizon}")
    return torch.stack([frames[:, -1]] * horizon, dim=1)

def errors_by_horizon(predicted, frames):
    if tuple(predicted.size()) != tuple(frames.size()):
        raise ValueError(f"{predicted.size()} {frames.size()}")
    N = len(frames)
    return torch.stack([F.mse_loss(predicted[:, t], frames[:, t], reduction="sum") / N for t in range(frames.size(1))])
""",
    "15.8 with loops": """
def copy_last(frames, horizon):
    if horizon < 1:
        raise ValueError
    films = []
    for film in frames:
        films.append(torch.cat([film[-1:]] * horizon))
    return torch.stack(films)

def errors_by_horizon(predicted, frames):
    if predicted.shape != frames.shape:
        raise ValueError
    total = torch.zeros(frames.shape[1], dtype=frames.dtype)
    for mine, right in zip(predicted, frames):
        for t in range(len(total)):
            total[t] += (mine[t] - right[t]).pow(2).sum()
    return total / len(frames)
""",
    "15.8 with einsum": """
def copy_last(frames, horizon):
    if not horizon >= 1:
        raise ValueError("at least one frame ahead")
    return frames[:, [-1] * horizon]

def errors_by_horizon(predicted, frames):
    if list(predicted.shape) != list(frames.shape):
        raise ValueError("not the same shape")
    d = predicted - frames
    return torch.einsum("ntchw,ntchw->t", d, d) / d.shape[0]
""",
    "15.8 with norms": """
def copy_last(frames, horizon):
    if horizon < 1:
        raise ValueError("horizon")
    return frames.select(1, -1)[:, None].expand(-1, horizon, *frames.shape[2:]).clone()

def errors_by_horizon(predicted, frames):
    if predicted.shape != frames.shape:
        raise ValueError("shape")
    return torch.linalg.vector_norm(frames - predicted, dim=(2, 3, 4)).square().sum(0) / len(frames)
""",
}

SURVIVORS: dict[str, str] = {}
