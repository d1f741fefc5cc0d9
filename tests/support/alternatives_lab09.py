"""Right answers to lab 09 that differ in form from the reference. Each replaces the function."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import heapq\nimport itertools\nimport math\nfrom collections import Counter, defaultdict\n\nimport numpy as np\nimport torch\nimport torch.nn.functional as F\n"

ALTERNATIVES = {
    "9.1 row by row": """
def pad(sentences, padding=0):
    if len(sentences) == 0:
        raise ValueError("no sentences")
    T = max(len(s) for s in sentences)
    tokens = torch.full((len(sentences), T), padding)
    mask = torch.zeros(len(sentences), T, dtype=torch.bool)
    for n, s in enumerate(sentences):
        if len(s) == 0:
            raise ValueError(f"sentence {n} is empty")
        tokens[n, : len(s)] = torch.tensor(s)
        mask[n, : len(s)] = True
    return tokens, mask
""",
    "9.1 by zip_longest": """
def pad(sentences, padding=0):
    if not sentences or not all(sentences):
        raise ValueError("each sentence needs a word")
    marked = [[(word, True) for word in s] for s in sentences]
    columns = list(itertools.zip_longest(*marked, fillvalue=(padding, False)))
    both = torch.tensor(columns).transpose(0, 1)
    return both[..., 0].clone(), both[..., 1].bool()
""",
    "9.1 by F.pad": """
def pad(sentences, padding=0):
    if any(len(s) < 1 for s in sentences) or not len(sentences):
        raise ValueError("empty")
    T = max(map(len, sentences))
    rows = [F.pad(torch.as_tensor(s), (0, T - len(s)), value=padding) for s in sentences]
    ones = [F.pad(torch.ones(len(s), dtype=torch.bool), (0, T - len(s))) for s in sentences]
    return torch.stack(rows), torch.stack(ones)
""",
    "9.1 by numpy": """
def pad(sentences, padding=0):
    lengths = np.array([len(s) for s in sentences])
    if lengths.size == 0 or (lengths == 0).any():
        raise ValueError(str(lengths))
    mask = np.arange(lengths.max())[None] < lengths[:, None]
    tokens = np.full(mask.shape, padding, dtype=np.int64)
    tokens[mask] = np.concatenate([np.asarray(s) for s in sentences])
    return torch.from_numpy(tokens), torch.from_numpy(mask)
""",
    "9.1 by masked_scatter": """
def pad(sentences, padding=0):
    if not sentences or min(map(len, sentences)) == 0:
        raise ValueError
    lengths = torch.tensor([len(s) for s in sentences])
    mask = torch.arange(int(lengths.max())).expand(len(sentences), -1).lt(lengths.unsqueeze(1))
    flat = torch.tensor(list(itertools.chain.from_iterable(sentences)))
    return torch.full(mask.shape, padding).masked_scatter(mask, flat), mask
""",
    "9.2 over everything, then pick": """
def read(lstm, inputs, mask):
    if not mask.any(dim=1).all():
        raise ValueError("nothing but padding")
    outputs, _ = lstm(inputs)
    N = len(inputs)
    h, c = torch.zeros(N, lstm.hidden_size).to(inputs), torch.zeros(N, lstm.hidden_size).to(inputs)
    rows = []
    for n in range(N):
        _, (hn, cn) = lstm(inputs[n : n + 1, : int(mask[n].sum())])
        rows.append((hn[0, 0], cn[0, 0]))
    h, c = torch.stack([r[0] for r in rows]), torch.stack([r[1] for r in rows])
    return outputs * mask.unsqueeze(-1), h, c
""",
    "9.2 step by step": """
def read(lstm, inputs, mask):
    if (mask.sum(1) == 0).any():
        raise ValueError("a row without words")
    h = inputs.new_zeros(len(inputs), lstm.hidden_size)
    c, outputs = h, []
    for t in range(inputs.shape[1]):
        _, (h2, c2) = lstm(inputs[:, t : t + 1], (h[None], c[None]))
        on = mask[:, t, None]
        h, c = torch.where(on, h2[0], h), torch.where(on, c2[0], c)
        outputs.append(torch.where(on, h, 0.0))
    return torch.stack(outputs, dim=1), h, c
""",
    "9.2 each row alone": """
def read(lstm, inputs, mask):
    outputs, hs, cs = [], [], []
    for row, keep in zip(inputs, mask):
        length = int(keep.sum())
        if length == 0:
            raise ValueError("only padding")
        out, (h, c) = lstm(row[None, :length])
        outputs.append(F.pad(out[0], (0, 0, 0, len(row) - length)))
        hs.append(h[0, 0])
        cs.append(c[0, 0])
    return torch.stack(outputs), torch.stack(hs), torch.stack(cs)
""",
    "9.2 packed, h from the outputs": """
def read(lstm, inputs, mask):
    lengths = mask.long().sum(dim=1)
    if int(lengths.min()) == 0:
        raise ValueError("empty row")
    packed = nn.utils.rnn.pack_padded_sequence(inputs, lengths.tolist(), batch_first=True, enforce_sorted=False)
    out, state = lstm(packed)
    out = nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=inputs.size(1))[0]
    h = out[torch.arange(len(out)), lengths - 1]
    return out, h, state[1].squeeze(0)
""",
    "9.2 sorted by hand": """
def read(lstm, inputs, mask):
    lengths, order = mask.sum(1).sort(descending=True)
    if lengths[-1] == 0:
        raise ValueError(f"row {order[-1]} has no words")
    packed = nn.utils.rnn.pack_padded_sequence(inputs[order], lengths.cpu(), batch_first=True)
    out, (h, c) = lstm(packed)
    out, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
    out = F.pad(out, (0, 0, 0, inputs.shape[1] - out.shape[1]))
    back = order.argsort()
    return out[back], h[-1][back], c[-1][back]


class TextClassifier(TextClassifier):
    def forward(self, tokens, mask):
        states = read(self.lstm, self.embedding(tokens), mask)
        return F.linear(states[1], self.fc.weight, self.fc.bias)
""",
    "9.3 in a loop over places": """
class Translator(Translator):
    def encode(self, sources, mask):
        out, h, c = read(self.encoder, self.source_embedding(sources), mask)
        keys = self.U(out)
        return (out, keys), (h, c)

    def forward(self, sources, mask, targets):
        memory, state = self.encode(sources, mask)
        before = torch.full((len(targets),), self.end)
        outputs = []
        for t in range(targets.shape[1]):
            logits, state, _ = self.step(before, state, memory, mask)
            outputs.append(logits)
            before = targets[:, t]
        return torch.stack(outputs, dim=1)


def sequence_loss(logits, targets, mask):
    losses = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    return (losses * mask).sum() / mask.sum()
""",
    "9.3 with the words shifted first": """
class Translator(Translator):
    def encode(self, sources, mask):
        states = read(self.encoder, self.source_embedding(sources), mask)
        return [states[0], self.U(states[0])], states[1:]

    def forward(self, sources, mask, targets):
        N, T = targets.shape
        shifted = torch.cat([targets.new_full((N, 1), self.end), targets], dim=1)[:, :T]
        memory, state = self.encode(sources, mask)
        logits = []
        for t in range(T):
            out = self.step(shifted[:, t], state, memory, mask)
            logits.append(out[0][:, None])
            state = out[1]
        return torch.cat(logits, 1)


def sequence_loss(logits, targets, mask):
    return F.cross_entropy(logits.flatten(0, 1), targets.masked_fill(~mask, -100).flatten())
""",
    "9.3 with roll": """
class Translator(Translator):
    def encode(self, sources, mask):
        embedded = F.embedding(sources, self.source_embedding.weight)
        outputs, *state = read(self.encoder, embedded, mask)
        return (outputs, self.U(outputs)), tuple(state)

    def forward(self, sources, mask, targets):
        before = targets.roll(1, dims=1)
        before[:, 0] = self.end
        memory, state = self.encode(sources, mask)
        result = None
        for words in before.T:
            logits, state, _ = self.step(words, state, memory, mask)
            result = logits[:, None] if result is None else torch.cat([result, logits[:, None]], 1)
        return result


def sequence_loss(logits, targets, mask):
    logs = logits.log_softmax(-1)
    picked = logs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return -picked[mask].mean()
""",
    "9.3 filling a tensor": """
class Translator(Translator):
    def encode(self, sources, mask):
        outputs, h, c = read(self.encoder, self.source_embedding(sources), mask)
        return (outputs, self.U(outputs)), (h, c)

    def forward(self, sources, mask, targets):
        memory, state = self.encode(sources, mask)
        words = torch.tensor([self.end] * len(sources))
        steps = []
        for t, column in enumerate(targets.unbind(dim=1)):
            predicted, state, weights = self.step(words, state, memory, mask)
            steps += [predicted]
            words = column.clone()
        return torch.stack(steps).permute(1, 0, 2)


def sequence_loss(logits, targets, mask):
    one_hot = F.one_hot(targets, logits.shape[-1]).to(logits)
    losses = -(one_hot * F.log_softmax(logits, dim=-1)).sum(-1)
    return losses.masked_select(mask).sum() / int(mask.sum())
""",
    "9.3 with a helper": """
class Translator(Translator):
    def encode(self, sources, mask):
        memory, h, c = read(self.encoder, self.source_embedding(sources), mask)
        return (memory, self.U(memory)), (h, c)

    def inputs(self, targets):
        start = torch.ones_like(targets[:, :1]) * self.end
        return torch.hstack([start, targets[:, :-1]])

    def forward(self, sources, mask, targets):
        memory, state = self.encode(sources, mask)

        def steps(state):
            for word in self.inputs(targets).unbind(1):
                logits, state, _ = self.step(word, state, memory, mask)
                yield logits

        return torch.stack(list(steps(state)), 1)


def sequence_loss(logits, targets, mask):
    total, count = 0, 0
    for row, words, keep in zip(logits, targets, mask):
        total = total + F.nll_loss(row[keep].log_softmax(1), words[keep], reduction="sum")
        count += keep.sum()
    return total / count
""",
    "9.4 by einsum": """
def attend(query, keys, memory, mask, W, v):
    if (~mask).all(1).any():
        raise ValueError("only padding")
    hidden = torch.tanh(torch.einsum("ah,nh->na", W, query).unsqueeze(1) + keys)
    scores = torch.einsum("nsa,a->ns", hidden, v)
    scores = torch.where(mask, scores, torch.tensor(float("-inf"), dtype=scores.dtype))
    weights = torch.softmax(scores, dim=-1)
    return torch.einsum("ns,nsm->nm", weights, memory), weights
""",
    "9.4 by exponentials": """
def attend(query, keys, memory, mask, W, v):
    if mask.sum(1).min() == 0:
        raise ValueError("mask")
    scores = (torch.tanh(F.linear(query, W)[:, None, :] + keys) * v).sum(-1)
    scores = scores - scores.amax(1, keepdim=True).detach()
    parts = scores.exp() * mask
    weights = parts / parts.sum(1, keepdim=True)
    return (weights.unsqueeze(1) @ memory).squeeze(1), weights
""",
    "9.4 row by row": """
def attend(query, keys, memory, mask, W, v):
    contexts, rows = [], []
    for q, k, m, keep in zip(query, keys, memory, mask):
        if not keep.any():
            raise ValueError("a row has no word")
        scores = torch.tanh(W @ q + k[keep]) @ v
        part = scores.softmax(0)
        contexts.append(part @ m[keep])
        rows.append(torch.zeros_like(k[:, 0]).masked_scatter(keep, part))
    return torch.stack(contexts), torch.stack(rows)
""",
    "9.4 by adding minus infinity": """
def attend(query, keys, memory, mask, W, v):
    if not bool(mask.any(-1).all()):
        raise ValueError("no word")
    bias = torch.zeros(mask.shape).masked_fill(mask.logical_not(), -math.inf)
    scores = torch.matmul(torch.tanh(keys + torch.matmul(query, W.t()).unsqueeze(-2)), v)
    weights = (scores + bias).softmax(-1)
    return torch.bmm(weights[:, None], memory)[:, 0], weights
""",
    "9.4 by bmm": """
def attend(query, keys, memory, mask, W, v):
    for n in range(len(mask)):
        if mask[n].sum() == 0:
            raise ValueError(f"row {n}")
    energies = torch.tanh(query.mm(W.T).view(len(query), 1, -1) + keys)
    scores = energies.matmul(v.view(-1, 1)).squeeze(2).masked_fill(mask == False, float("-inf"))
    weights = F.softmax(scores, dim=1)
    return (memory * weights.unsqueeze(2)).sum(dim=1), weights
""",
    "9.5 with for loops": """
def greedy(step, end, max_words):
    if max_words <= 0:
        raise ValueError("max_words")
    result = []
    for _ in range(max_words):
        best = step([list(result)]).argmax(dim=1).tolist()[0]
        if best == end:
            return result
        result.append(best)
    return result


def beam_search(step, end, max_words, width, alpha=1.0):
    if width < 1:
        raise ValueError("width")
    if max_words < 1:
        raise ValueError("max_words")
    beams, finished = [(0.0, [])], []
    for _ in range(max_words):
        rows = step([words for _, words in beams]).tolist()
        candidates = []
        for (total, words), row in zip(beams, rows):
            for word, log_p in enumerate(row):
                candidates.append((total + log_p, words + [word]))
        candidates.sort(key=lambda c: c[0], reverse=True)
        beams = []
        for candidate in candidates[:width]:
            (finished if candidate[1][-1] == end else beams).append(candidate)
        if not beams:
            break
    best = max(finished + beams, key=lambda c: c[0] / len(c[1]) ** alpha)[1]
    return [word for word in best if word != end]
""",
    "9.5 with heapq": """
def greedy(step, end, max_words):
    if max_words < 1:
        raise ValueError(max_words)
    words, word = [], None
    while word != end and len(words) < max_words:
        word = torch.argmax(step([words])).item()
        words = words + [word]
    return words[:-1] if words[-1] == end else words


def beam_search(step, end, max_words, width, alpha=1.0):
    if min(max_words, width) < 1:
        raise ValueError("at least 1")
    alive, done = {(): 0.0}, {}
    while alive and max_words:
        max_words -= 1
        starts = list(alive)
        log_p = step([list(start) for start in starts])
        longer = {
            (*start, word): alive[start] + float(log_p[row, word])
            for row, start in enumerate(starts)
            for word in range(log_p.shape[1])
        }
        best = heapq.nlargest(width, longer, key=longer.get)
        done.update({words: longer[words] for words in best if words[-1] == end})
        alive = {words: longer[words] for words in best if words[-1] != end}
    done.update(alive)
    words = max(done, key=lambda w: done[w] / len(w) ** alpha)
    return list(words[:-1]) if words[-1] == end else list(words)
""",
    "9.5 recursive": """
def greedy(step, end, max_words):
    if max_words < 1:
        raise ValueError("max_words must be positive")

    def go_on(words):
        if len(words) == max_words:
            return words
        word = int(step([words])[-1].max(0).indices)
        return words if word == end else go_on([*words, word])

    return go_on([])


def beam_search(step, end, max_words, width, alpha=1.0):
    if width < 1 or max_words < 1:
        raise ValueError("width, max_words")

    def go_on(beam, rounds):
        if not beam or rounds == 0:
            return beam
        logs = torch.stack([step([words])[0] for words, _ in beam]) + torch.tensor([[p] for _, p in beam], dtype=torch.float64)
        values, places = logs.flatten().sort(descending=True)
        V = logs.shape[1]
        new = [(beam[i // V][0] + [i % V], p) for p, i in zip(values[:width].tolist(), places[:width].tolist())]
        ended = [pair for pair in new if pair[0][-1] == end]
        return ended + go_on([pair for pair in new if pair[0][-1] != end], rounds - 1)

    found = go_on([([], 0.0)], max_words)
    found.sort(key=lambda pair: -pair[1] / len(pair[0]) ** alpha)
    return [w for w in found[0][0] if w != end]
""",
    "9.5 with tensors": """
def greedy(step, end, max_words):
    if not max_words >= 1:
        raise ValueError(f"{max_words}")
    words = torch.empty(0, dtype=torch.long)
    for _ in range(max_words):
        log_p = step([words.tolist()])
        word = log_p[0].topk(1).indices
        if word.item() == end:
            break
        words = torch.cat([words, word])
    return words.tolist()


def beam_search(step, end, max_words, width, alpha=1.0):
    if max_words < 1 or width < 1:
        raise ValueError()
    beams, totals = torch.empty(1, 0, dtype=torch.long), torch.zeros(1, dtype=torch.float64)
    best, best_score = [], -math.inf
    for length in range(1, max_words + 1):
        sums = totals[:, None] + step(beams.tolist())
        totals, places = sums.view(-1).topk(min(width, sums.numel()))
        beams = torch.cat([beams[places // sums.shape[1]], (places % sums.shape[1])[:, None]], 1)
        ended = beams[:, -1] == end
        for words, total, is_done in zip(beams.tolist(), totals.tolist(), ended.tolist()):
            if (is_done or length == max_words) and total / length**alpha > best_score:
                best, best_score = words[: length - is_done], total / length**alpha
        beams, totals = beams[~ended], totals[~ended]
        if not len(beams):
            break
    return best
""",
    "9.5 with a class": """
class Beginning:
    def __init__(self, words=(), total=0.0):
        self.words, self.total = list(words), total

    def extended(self, word, log_p):
        return Beginning([*self.words, word], self.total + log_p)

    def normalized(self, alpha):
        return self.total * len(self.words) ** -alpha


def greedy(step, end, max_words):
    if max_words < 1:
        raise ValueError("no words")
    beginning = Beginning()
    for _ in range(max_words):
        row = step([beginning.words])[0].tolist()
        word = row.index(max(row))
        if word == end:
            break
        beginning = beginning.extended(word, row[word])
    return beginning.words


def beam_search(step, end, max_words, width, alpha=1.0):
    if max_words < 1 or width < 1:
        raise ValueError("no words or no beam")
    open_, complete = [Beginning()], []
    for _ in range(max_words):
        rows = step([b.words for b in open_]).tolist()
        longer = [b.extended(w, p) for b, row in zip(open_, rows) for w, p in enumerate(row)]
        longer = sorted(longer, key=lambda b: b.total)[::-1][:width]
        complete.extend(b for b in longer if b.words[-1] == end)
        open_ = [b for b in longer if b.words[-1] != end]
        if len(open_) == 0:
            break
    best = sorted([*complete, *open_], key=lambda b: b.normalized(alpha))[-1].words
    return best[: best.index(end)] if end in best else best
""",
    "9.6 with dicts": """
def ngrams(words, n):
    counts = defaultdict(int)
    for i in range(len(words) - n + 1):
        counts[" ".join(map(str, words[i : i + n]))] += 1
    return counts


def clipped_matches(translation, reference, n):
    a, b = ngrams(translation, n), ngrams(reference, n)
    return sum(min(count, b[gram]) for gram, count in a.items())


def bleu(translations, references):
    if len(translations) != len(references):
        raise ValueError("lengths")
    if len(translations) == 0:
        raise ValueError("empty corpus")
    matches, totals = [0] * 4, [0] * 4
    for t, r in zip(translations, references):
        for n in range(1, 5):
            matches[n - 1] += clipped_matches(t, r, n)
            totals[n - 1] += max(len(t) - n + 1, 0)
    if 0 in matches:
        return 0.0
    c, r = sum(len(t) for t in translations), sum(len(r) for r in references)
    bp = 1.0 if c > r else math.exp(1 - r / c)
    return 100 * bp * math.exp(sum(math.log(m / t) for m, t in zip(matches, totals)) / 4)
""",
    "9.6 by crossing out": """
def clipped_matches(translation, reference, n):
    left = [list(reference[i : i + n]) for i in range(len(reference) - n + 1)]
    count = 0
    for i in range(len(translation) - n + 1):
        if list(translation[i : i + n]) in left:
            left.remove(list(translation[i : i + n]))
            count += 1
    return count


def bleu(translations, references):
    if not translations or len(translations) != len(references):
        raise ValueError("one reference for each translation")
    product = 1.0
    for n in range(1, 5):
        grams = sum(max(0, len(t) - n + 1) for t in translations)
        if grams == 0:
            return 0.0
        product *= sum(clipped_matches(t, r, n) for t, r in zip(translations, references)) / grams
    c = sum(map(len, translations))
    r = sum(map(len, references))
    return 100 * product**0.25 * min(1.0, math.exp(1 - r / c))
""",
    "9.6 by zip": """
def clipped_matches(translation, reference, n):
    t = Counter(zip(*(translation[i:] for i in range(n))))
    r = Counter(zip(*(reference[i:] for i in range(n))))
    return sum((t & r).values())


def bleu(translations, references):
    if not len(translations) == len(references) > 0:
        raise ValueError(f"{len(translations)} != {len(references)}")
    p = []
    for n in range(1, 5):
        hits = sum(clipped_matches(t, r, n) for t, r in zip(translations, references))
        p.append(hits / max(1, sum(max(len(t) + 1 - n, 0) for t in translations)))
    if min(p) == 0:
        return 0.0
    c, r = len(sum(map(list, translations), [])), len(sum(map(list, references), []))
    return float(np.exp(np.mean(np.log(p))) * 100 * (np.exp(1 - r / c) if c < r else 1))
""",
    "9.6 by subtracting": """
def clipped_matches(translation, reference, n):
    def grams(words):
        return Counter(tuple(words[i : i + n]) for i in range(max(0, len(words) - n + 1)))

    have, want = grams(translation), grams(reference)
    return sum(have.values()) - sum((have - want).values())


def bleu(translations, references):
    if len(references) != len(translations) or len(references) < 1:
        raise ValueError("corpora")
    logs = 0.0
    for n in [4, 3, 2, 1]:
        found = sum(map(clipped_matches, translations, references, [n] * len(references)))
        if found == 0:
            return 0.0
        logs += (math.log(found) - math.log(sum(len(t) - n + 1 for t in translations if len(t) >= n))) / 4
    c, r = sum(map(len, translations)), sum(map(len, references))
    return math.exp(logs + min(0, 1 - r / c)) * 100
""",
    "9.6 by torch": """
def clipped_matches(translation, reference, n):
    total = 0
    grams = {tuple(translation[i : i + n]) for i in range(len(translation) - n + 1)}
    for gram in grams:
        counts = [
            sum(tuple(words[i : i + n]) == gram for i in range(len(words) - n + 1))
            for words in (translation, reference)
        ]
        total += min(counts)
    return total


def bleu(translations, references):
    if len(translations) != len(references) or len(translations) == 0:
        raise ValueError("not a corpus")
    table = torch.zeros(2, 4, dtype=torch.float64)
    for t, r in zip(translations, references):
        for n in range(4):
            table[0, n] += clipped_matches(t, r, n + 1)
            table[1, n] += max(len(t) - n, 0)
    c, r = sum(len(t) for t in translations), sum(len(r) for r in references)
    if (table[0] == 0).any():
        return 0.0
    score = (table[0] / table[1]).log().mean().exp() * 100
    return score.item() * (1 if c >= r else math.exp(1 - r / c))
""",
}

# Mutants that compute the same result, and why.
SURVIVORS: dict[str, str] = {}
