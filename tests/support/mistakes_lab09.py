"""Typical mistakes in lab 09."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

EMPTY = "if not lengths or min(lengths) < 1:"
MASK = "mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]"
FILL = "[*sentence, *[padding] * (max(lengths) - len(sentence))]"
READ = "    return outputs, h[0], c[0]\n"
LENGTHS = "lengths = mask.sum(1).cpu()"
CLASSIFY = "_, h, _ = read(self.lstm, self.embedding(tokens), mask)"
ENCODED = "return (outputs, self.U(outputs)), (h, c)"
BEFORE = "before, logits = torch.full_like(targets[:, 0], self.end), []"
NEXT = "            before = target\n"
LOSS = "return F.cross_entropy(logits[mask], targets[mask])"
SCORES = "scores = torch.tanh((query @ W.T)[:, None] + keys) @ v"
WEIGHTS = "weights = scores.masked_fill(~mask, -torch.inf).softmax(1)"
CONTEXT = "return (weights[..., None] * memory).sum(1), weights"
STOPS = "        if word == end:\n            break\n        words = [*words, word]\n"
BEST_WORD = "word = int(step([words])[0].argmax())"
SUMS = "sums = torch.tensor([[total] for _, total in open_]) + step([words for words, _ in open_])"
NORMALIZED = "words, _ = max(complete + open_, key=lambda pair: pair[1] / len(pair[0]) ** alpha)"
BARE = "return words[:-1] if words[-1] == end else words"
CLIPPED = "return (counts[0] & counts[1]).total()"
GRAMS = "for i in range(len(words) - n + 1)"
SCORE = "return 100 * math.exp(min(0.0, 1 - r / c) + sum(logs) / 4)"

MISTAKES = {
    "9.1 fills up the given sentences": Mistake(
        "rows = [[*sentence, *[padding] * (max(lengths) - len(sentence))] for sentence in sentences]",
        "rows, most = sentences, max(lengths)\n    for row in rows:\n        row.extend([padding] * (most - len(row)))",
        "must not change",
    ),
    "9.2 squeezes a batch of one": Mistake(
        "return outputs, h[0], c[0]", "return outputs, h.squeeze(), c.squeeze()", "expected shape"
    ),
    "9.2 keeps no graph": Mistake(
        "packed, (h, c) = lstm(packed)",
        "with torch.no_grad():\n        packed, (h, c) = lstm(packed)",
        "detached",
    ),
    "9.2 detaches the state": Mistake(
        "return self.fc(h)\n", "return self.fc(h.detach())\n", "detached"
    ),
    "9.3 detaches the state of the encoder": Mistake(
        "self.U(outputs)), (h, c)", "self.U(outputs)), (h.detach(), c.detach())", "detached"
    ),
    "9.4 refuses only a mask without any word": Mistake(
        "if not mask.any(1).all():", "if not mask.any():", "ValueError"
    ),
    "9.4 detaches the weights": Mistake(
        "return (weights[..., None] * memory).sum(1), weights",
        "return (weights.detach()[..., None] * memory).sum(1), weights.detach()",
        "detached",
    ),
    "9.4 divides the scores by the root of A": Mistake(
        "[:, None] + keys) @ v", "[:, None] + keys) @ v / len(v) ** 0.5"
    ),
    "9.5 keeps `width` of each beginning": Mistake(
        "sums.flatten().topk(min(width, sums.numel())).indices.tolist():",
        "[r * sums.shape[1] + w for r in range(len(sums)) for w in sums[r].topk(min(width, sums.shape[1])).indices.tolist()]:",
        "of each beginning",
    ),
    "9.5 narrows the beam": Mistake(
        "open_ = [pair for pair in kept if pair[0][-1] != end]",
        "open_ = [pair for pair in kept if pair[0][-1] != end]\n        width -= len(kept) - len(open_)",
        "",
    ),
    "9.5 multiplies by alpha": Mistake(
        "len(pair[0]) ** alpha", "(len(pair[0]) * alpha if alpha else 1)", "length * alpha"
    ),
    "9.5 stops at `width` sentences": Mistake(
        "        if not open_:\n            break\n",
        "        if not open_ or len(complete) >= width:\n            break\n",
        "",
    ),
    "9.1 compares the words with the padding": Mistake(
        MASK, "mask = torch.tensor(rows) != padding", "comparing the words with `padding`"
    ),
    "9.1 turns the mask around": Mistake(MASK, MASK.replace("<", ">="), "False where a word is"),
    "9.1 fills up with 0": Mistake(FILL, FILL.replace("[padding]", "[0]"), "filling up with 0"),
    "9.1 fills up on the left": Mistake(
        FILL, "[*[padding] * (max(lengths) - len(sentence)), *sentence]", "on the left"
    ),
    "9.1 counts one place too many": Mistake(MASK, MASK.replace("<", "<=")),
    "9.1 gives the mask as numbers": Mistake(MASK, MASK.replace("mask = ", "mask = 1 * (") + ")"),
    "9.1 takes an empty sentence": Mistake(EMPTY, "if not lengths:"),
    "9.2 reads the padding": Mistake(LENGTHS, "lengths = torch.full((len(mask),), mask.shape[1])"),
    "9.2 reads the padding without packing": Mistake(
        READ,
        "    outputs, (h, c) = lstm(inputs)\n" + READ,
        "reading the padding",
    ),
    "9.2 leaves one word out": Mistake(
        LENGTHS, "lengths = (mask.sum(1).cpu() - 1).clamp(min=mask.sum(1).min().clamp(max=1))"
    ),
    "9.2 sorts the rows": Mistake(
        READ,
        "    outputs, h, c = (part[..., lengths.argsort(descending=True), :] for part in (outputs.transpose(0, 1), h, c))\n    return outputs.transpose(0, 1), h[0], c[0]\n",
    ),
    "9.2 forgets total_length": Mistake(", total_length=mask.shape[1]", ""),
    "9.2 keeps the dimension of the layers": Mistake(
        READ, "    return outputs, h, c\n", "a dimension for the layers"
    ),
    "9.2 swaps h and c": Mistake(
        READ, "    return outputs, c[0], h[0]\n", "the order outputs, c, h"
    ),
    "9.2 takes rows without words": Mistake("if lengths.min() < 1:", "if False:"),
    "9.2 classifies by c": Mistake(
        CLASSIFY, CLASSIFY.replace("_, h, _", "_, _, h"), "the memory c instead of h"
    ),
    "9.2 classifies by the mean of the outputs": Mistake(
        CLASSIFY,
        CLASSIFY.replace("_, h, _", "h, _, _") + "\n        h = h.mean(1)",
        "the mean of the outputs",
    ),
    "9.2 gives every row a full mask": Mistake(
        CLASSIFY, CLASSIFY.replace("mask)", "mask | True)"), "reading the padding"
    ),
    "9.3 returns the outputs as keys": Mistake(
        ENCODED, ENCODED.replace("self.U(outputs)", "outputs"), "without self.U"
    ),
    "9.3 swaps h and c": Mistake(ENCODED, ENCODED.replace("(h, c)", "(c, h)"), "the order c, h"),
    "9.3 gives the word that is to be predicted": Mistake(
        "predicted, state, _ = self.step(before, state, memory, mask)",
        "predicted, state, _ = self.step(target, state, memory, mask)",
        "the word that it must predict",
    ),
    "9.3 gives the word that it would write": Mistake(
        NEXT, "            before = predicted.argmax(1)\n", "that it would write itself"
    ),
    "9.3 begins with word 0": Mistake(
        BEFORE, BEFORE.replace("self.end", "0"), "word 0 instead of self.end"
    ),
    "9.3 begins with the first target": Mistake(BEFORE, "before, logits = targets[:, 0], []"),
    "9.3 forgets the state": Mistake(
        "predicted, state, _ = self.step(before", "predicted, _, _ = self.step(before"
    ),
    "9.3 stacks along the batch": Mistake(
        "return torch.stack(logits, 1)", "return torch.stack(logits)", "a dimension T in front"
    ),
    "9.3 counts the padding": Mistake(
        LOSS,
        "return F.cross_entropy(logits.flatten(0, 1), targets.flatten())",
        "counting the padding",
    ),
    "9.3 divides by all places": Mistake(
        LOSS,
        "return (F.cross_entropy(logits.transpose(1, 2), targets, reduction='none') * mask).mean()",
        "dividing by all places",
    ),
    "9.3 sums": Mistake(
        LOSS,
        LOSS.replace("targets[mask]", "targets[mask], reduction='sum'"),
        "the sum, not the mean",
    ),
    "9.3 takes the mean of the sentences' means": Mistake(
        LOSS,
        "return torch.stack([F.cross_entropy(a[m], b[m]) for a, b, m in zip(logits, targets, mask)]).mean()",
        "the mean over sentences",
    ),
    "9.4 forgets the mask": Mistake(
        WEIGHTS, "weights = scores.softmax(1)", "attending to the padding"
    ),
    "9.4 masks with 0": Mistake(
        WEIGHTS, WEIGHTS.replace("-torch.inf", "0.0"), "0 instead of minus infinity"
    ),
    "9.4 masks after the softmax": Mistake(
        WEIGHTS, "weights = scores.softmax(1) * mask", "after the softmax"
    ),
    "9.4 masks the words": Mistake(WEIGHTS, WEIGHTS.replace("~mask", "mask")),
    "9.4 forgets tanh": Mistake(SCORES, SCORES.replace("torch.tanh", ""), "leaving out tanh"),
    "9.4 takes the softmax over the batch": Mistake(
        WEIGHTS, WEIGHTS.replace("softmax(1)", "softmax(0)")
    ),
    "9.4 sums up the keys": Mistake(
        CONTEXT, CONTEXT.replace("memory", "keys"), "of the keys instead of the memory"
    ),
    "9.4 takes the mean": Mistake(
        CONTEXT, "return memory.mean(1), weights", "the mean of the memory"
    ),
    "9.4 swaps the results": Mistake(
        CONTEXT,
        "return weights, (weights[..., None] * memory).sum(1)",
        "the order weights, context",
    ),
    "9.4 takes padding alone": Mistake("if not mask.any(1).all():", "if False:"),
    "9.5 goes on after the end": Mistake(STOPS, "        words = [*words, word]\n"),
    "9.5 returns the end": Mistake(
        STOPS,
        "        words = [*words, word]\n        if word == end:\n            break\n",
        "returning `end`, too",
    ),
    "9.5 takes the least probable word": Mistake(
        BEST_WORD, BEST_WORD.replace("argmax", "argmin"), "the least probable word"
    ),
    "9.5 asks for the last word only": Mistake(
        BEST_WORD, BEST_WORD.replace("[words]", "[words[-1:]]"), "the beginnings"
    ),
    "9.5 forgets the sum": Mistake(SUMS, "sums = step([words for words, _ in open_])"),
    "9.5 multiplies log probabilities": Mistake(SUMS, SUMS.replace("]) + step", "]) * step")),
    "9.5 does not divide by the length": Mistake(
        NORMALIZED, NORMALIZED.replace(" / len(pair[0]) ** alpha", ""), "not dividing by the length"
    ),
    "9.5 does not count the end": Mistake(
        NORMALIZED,
        NORMALIZED.replace("len(pair[0]) **", "max(len([w for w in pair[0] if w != end]), 1) **"),
    ),
    "9.5 drops what is left": Mistake(
        NORMALIZED,
        NORMALIZED.replace("complete + open_", "complete or [([], 0.0, 0)]")
        .replace("len(pair[0])", "max(len(pair[0]), 1)")
        .replace("words, _ =", "words, *_ =")
        + "\n    words = words or [end]",
        "dropping the beginnings",
    ),
    "9.5 returns the end of a beam": Mistake(BARE, "return words", "returning `end`, too"),
    "9.5 stops at the first complete sentence": Mistake("if not open_:", "if complete:"),
    "9.5 keeps complete sentences in the beam": Mistake(
        "open_ = [pair for pair in kept if pair[0][-1] != end]", "open_ = kept"
    ),
    "9.5 ignores the width": Mistake("topk(min(width, sums.numel()))", "topk(1)", "greedy search"),
    "9.5 takes no words": Mistake(
        '    if max_words < 1:\n        raise ValueError(f"max_words must',
        '    if False:\n        raise ValueError(f"max_words must',
    ),
    "9.6 does not clip": Mistake(
        CLIPPED,
        "return sum(count for gram, count in counts[0].items() if gram in counts[1])",
        "not clipping",
    ),
    "9.6 counts each n-gram once": Mistake(
        CLIPPED, "return len(counts[0] & counts[1])", "counting each n-gram once"
    ),
    "9.6 returns the share": Mistake(
        CLIPPED, "return (counts[0] & counts[1]).total() / counts[0].total()", "returning the share"
    ),
    "9.6 forgets the last n-gram": Mistake(GRAMS, "for i in range(len(words) - n)"),
    "9.6 forgets the brevity penalty": Mistake(
        SCORE, "return 100 * math.exp(sum(logs) / 4)", "leaving out the brevity penalty"
    ),
    "9.6 rewards long translations": Mistake(
        SCORE, "return 100 * math.exp(1 - r / c + sum(logs) / 4)"
    ),
    "9.6 swaps r and c": Mistake(SCORE, SCORE.replace("r / c", "c / r")),
    "9.6 returns a share": Mistake(SCORE, SCORE.replace("100 * ", ""), "not multiplying by 100"),
    "9.6 fails if nothing matches": Mistake(
        "        if not matches:\n            return 0.0\n", ""
    ),
}
