"""Typical mistakes in lab 08."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

ENDS = "for end in range(k, len(tokens) + 1):\n            run = tuple(tokens[end - k : end])"
COUNT = "counts[run] = counts.get(run, 0) + 1"
TRIGRAM = """    p = 1 / vocab_size
    for order, weight in enumerate(weights):
        seen = context[2 - order :]  # (), (b,), (a, b)
        total = counts.get(seen, 0) if seen else num_tokens
        if total:
            share = counts.get((*seen, token), 0) / total
            p = weight * share + (1 - weight) * p
    return p
"""
MIX = "            p = weight * share + (1 - weight) * p\n"
PERPLEXITY = """    pairs = list(batches)
    return math.exp(sum(mean * tokens for mean, tokens in pairs) / sum(n for _, n in pairs))
"""
BENGIO = "return torch.tanh(C[windows].flatten(-2) @ H.T + d)"
ELMAN = "return torch.tanh(x @ W.T + h @ U.T + b)"
LSTM = """    i, f, g, o = (x @ W.T + h @ U.T + b).chunk(4, dim=1)  # (N, H) each
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c
"""
GRU = """    z = torch.sigmoid(z_x + z_h)
    return (1 - z) * torch.tanh(n_x + torch.sigmoid(r_x + r_h) * n_h) + z * h
"""
SCRN = """    s = (1 - alpha) * (x @ B.T) + alpha * s
    return torch.sigmoid(s @ P.T + x @ A.T + h @ R.T), s
"""
CLIP = """    norm = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
    factor = max_norm / norm if norm > max_norm else 1.0
    return [factor * gradient for gradient in gradients], norm
"""
FACTOR = "factor = max_norm / norm if norm > max_norm else 1.0"
ADVANCE = "logits, state = model.advance(inputs, [part.detach() for part in state])"
CROSS = "loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())\n        gradients"
CLIPPED = "gradients, _ = clip(torch.autograd.grad(loss, parameters), max_norm)"
GRAPH = f"""{ADVANCE}
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        {CLIPPED}"""
UPDATE = "                parameter -= lr * gradient\n"
SEEN = "seen.append((loss.item(), targets.numel()))\n    return perplexity(seen)\n    # END"
SOFTEN = "return torch.softmax(logits / temperature, dim=-1)"

MISTAKES = {
    "8.1 counts only the longest": Mistake(
        "for k in range(1, n + 1):",
        "for k in range(n, n + 1):",
        "counting only the longest sequences",
    ),
    "8.1 stops at n - 1": Mistake(
        "for k in range(1, n + 1):", "for k in range(1, n):", "stopping one length too early"
    ),
    "8.1 misses the last sequence": Mistake(
        ENDS,
        ENDS.replace("len(tokens) + 1", "len(tokens)"),
        "leaving out the sequences that end with the last token",
    ),
    "8.1 counts shorter rests at the end": Mistake(
        ENDS,
        "for end in range(len(tokens)):\n            run = tuple(tokens[end : end + k])",
        "counting the shorter rests at the end of the text too",
    ),
    "8.1 has numbers instead of tuples of one": Mistake(
        COUNT, "run = run[0] if k == 1 else run\n            counts[run] = counts.get(run, 0) + 1"
    ),
    "8.1 does not overlap": Mistake(ENDS, ENDS.replace("len(tokens) + 1", "len(tokens) + 1, k")),
    "8.1 counts each sequence once": Mistake(
        COUNT, "counts[run] = 1", "counting each sequence once"
    ),
    "8.1 starts with 0": Mistake(COUNT, "counts[run] = counts.get(run, -1) + 1"),
    "8.1 consumes the tokens": Mistake(COUNT, f"{COUNT}\n    while tokens:\n        tokens.pop()"),
    "8.1 forgets to return": Mistake("    return counts\n", ""),
    "8.2 takes the weights in reverse": Mistake(
        TRIGRAM,
        TRIGRAM.replace("(weights)", "(weights[::-1])"),
        "taking w1 for the trigram and w3 for the single word",
    ),
    "8.2 takes the context in reverse": Mistake(
        TRIGRAM, TRIGRAM.replace("context[2", "context[::-1][2")
    ),
    "8.2 gives 0 after an unknown context": Mistake(
        MIX, f"{MIX}        else:\n            p = 0.0\n", "taking 0, though p3 = p2"
    ),
    "8.2 starts again after an unknown context": Mistake(
        MIX,
        f"{MIX}        else:\n            p = 1 / vocab_size\n",
        "starting again with 1 / vocab_size, though p3 = p2",
    ),
    "8.2 weighs also where there is no context": Mistake(
        MIX,
        f"{MIX}        else:\n            p = (1 - weight) * p\n",
        "multiplying p2 by 1 - w3, though (a, b) never occurred",
    ),
    "8.2 divides by all tokens": Mistake(
        "/ total\n", "/ num_tokens\n", "dividing by num_tokens in p2 and p3"
    ),
    "8.2 does not shrink the lower order": Mistake(
        MIX, MIX.replace("(1 - weight) * p", "p"), "not multiplying the lower order by 1 - w"
    ),
    "8.2 swaps the two weights": Mistake(
        MIX,
        MIX.replace("weight * share + (1 - weight) * p", "(1 - weight) * share + weight * p"),
        "swapping w and 1 - w",
    ),
    "8.2 forgets the size of the vocabulary": Mistake(
        "p = 1 / vocab_size", "p = 0.0", "leaving out 1 / vocab_size"
    ),
    "8.2 looks up words that are missing": Mistake(
        "counts.get((*seen, token), 0) /", "counts[(*seen, token)] /"
    ),
    "8.2 divides by a context that never occurred": Mistake(
        "        if total:\n", "        if True:\n"
    ),
    "8.2 divides into whole numbers": Mistake(
        "counts.get((*seen, token), 0) /", "counts.get((*seen, token), 0) //"
    ),
    "8.3 takes the mean over batches": Mistake(
        PERPLEXITY,
        "    pairs = list(batches)\n    return math.exp(sum(mean for mean, _ in pairs) / len(pairs))\n",
        "weighing all batches alike",
    ),
    "8.3 takes exp of each batch": Mistake(
        PERPLEXITY,
        PERPLEXITY.replace("math.exp(sum(mean", "(sum(math.exp(mean)"),
        "the mean of the batches' perplexities",
    ),
    "8.3 forgets exp": Mistake(PERPLEXITY, PERPLEXITY.replace("math.exp(", "("), "leaving out exp"),
    "8.3 takes a power of 2": Mistake(
        PERPLEXITY, PERPLEXITY.replace("math.exp(", "2 ** ("), "2 ** x instead of exp(x)"
    ),
    "8.3 divides by the number of batches": Mistake(
        PERPLEXITY,
        PERPLEXITY.replace("sum(n for _, n in pairs)", "len(pairs)"),
        "dividing by the number of batches",
    ),
    "8.3 turns the sign": Mistake(
        PERPLEXITY,
        PERPLEXITY.replace("math.exp(", "math.exp(-"),
        "a minus: the mean cross-entropy is positive",
    ),
    "8.3 returns a tensor": Mistake(
        PERPLEXITY,
        PERPLEXITY.replace("return ", "return torch.tensor(").replace("pairs))", "pairs)))"),
    ),
    "8.4 forgets tanh": Mistake(BENGIO, BENGIO.replace("torch.tanh(", "("), "leaving out tanh"),
    "8.4 takes the sigmoid": Mistake(
        BENGIO, BENGIO.replace("tanh", "sigmoid"), "a sigmoid instead of tanh"
    ),
    "8.4 forgets d": Mistake(BENGIO, BENGIO.replace(" + d", ""), "leaving out d"),
    "8.4 adds d outside": Mistake(BENGIO, BENGIO.replace(" + d)", ") + d"), "adding d after tanh"),
    "8.4 has the newest word first": Mistake(
        BENGIO, BENGIO.replace("C[windows]", "C[windows.flip(-1)]"), "the newest word first"
    ),
    "8.4 adds up the vectors": Mistake(
        BENGIO, "E = C.shape[1]\n    return torch.tanh(C[windows].sum(-2) @ H[:, :E].T + d)"
    ),
    "8.4 takes the last word only": Mistake(
        BENGIO, "E = C.shape[1]\n    return torch.tanh(C[windows[..., -1]] @ H[:, -E:].T + d)"
    ),
    "8.4 mixes the numbers of the words": Mistake(
        BENGIO, BENGIO.replace(".flatten(-2)", ".mT.flatten(-2)")
    ),
    "8.4 flattens all windows": Mistake(
        BENGIO, BENGIO.replace(".flatten(-2)", ".flatten(-2).flatten(0, -2)")
    ),
    "8.4 detaches the vectors": Mistake(BENGIO, BENGIO.replace("C[", "C.detach()[")),
    "8.5 elman_step forgets b": Mistake(ELMAN, ELMAN.replace(" + b", ""), "elman_step"),
    "8.5 elman_step does not transpose U": Mistake(ELMAN, ELMAN.replace("U.T", "U"), "elman_step"),
    "8.5 elman_step does not transpose W": Mistake(ELMAN, ELMAN.replace("W.T", "W"), "elman_step"),
    "8.5 elman_step takes the sigmoid": Mistake(
        ELMAN, ELMAN.replace("tanh", "sigmoid"), "elman_step"
    ),
    "8.5 elman_step forgets the state": Mistake(
        ELMAN, ELMAN.replace(" + h @ U.T", ""), "elman_step"
    ),
    "8.5 elman_step detaches the state": Mistake(
        ELMAN, ELMAN.replace("h @", "h.detach() @"), "elman_step"
    ),
    "8.5 lstm_step takes the gates as i, f, o, g": Mistake(
        LSTM, LSTM.replace("i, f, g, o =", "i, f, o, g ="), "lstm_step"
    ),
    "8.5 lstm_step takes the gates as f, i, g, o": Mistake(
        LSTM, LSTM.replace("i, f, g, o =", "f, i, g, o ="), "lstm_step"
    ),
    "8.5 lstm_step uses the old c": Mistake(
        LSTM,
        LSTM.replace("    c = ", "    new = ").replace("tanh(c), c", "tanh(c), new"),
        "lstm_step",
    ),
    "8.5 lstm_step forgets tanh of c": Mistake(
        LSTM, LSTM.replace("torch.tanh(c), c", "c, c"), "lstm_step"
    ),
    "8.5 lstm_step takes the sigmoid of g": Mistake(
        LSTM, LSTM.replace("tanh(g)", "sigmoid(g)"), "lstm_step"
    ),
    "8.5 lstm_step forgets b": Mistake(LSTM, LSTM.replace(" + b", ""), "lstm_step"),
    "8.5 lstm_step returns c first": Mistake(
        LSTM,
        LSTM.replace(
            "return torch.sigmoid(o) * torch.tanh(c), c",
            "return c, torch.sigmoid(o) * torch.tanh(c)",
        ),
        "lstm_step",
    ),
    "8.5 lstm_step forgets the sigmoid of o": Mistake(
        LSTM, LSTM.replace("torch.sigmoid(o)", "o"), "lstm_step"
    ),
    "8.5 lstm_step detaches c": Mistake(
        LSTM, LSTM.replace("(f) * c", "(f) * c.detach()"), "lstm_step"
    ),
    "8.5 lstm_step changes c in place": Mistake(
        LSTM,
        LSTM.replace("    c = torch.sigmoid(f) * c", "    c *= torch.sigmoid(f)\n    c += 0"),
        "lstm_step",
    ),
    "8.5 gru_step swaps r and z": Mistake(
        "r_x, z_x, n_x = (x @ W.T + b).chunk(3, dim=1)\n    r_h, z_h, n_h",
        "z_x, r_x, n_x = (x @ W.T + b).chunk(3, dim=1)\n    z_h, r_h, n_h",
        "gru_step",
    ),
    "8.5 gru_step keeps 1 - z": Mistake(
        GRU,
        GRU.replace("(1 - z) * torch", "z * torch").replace("+ z * h", "+ (1 - z) * h"),
        "gru_step",
    ),
    "8.5 gru_step resets h before U": Mistake(
        GRU,
        GRU.replace(
            "torch.sigmoid(r_x + r_h) * n_h", "(torch.sigmoid(r_x + r_h) * h) @ U.chunk(3)[2].T"
        ),
        "gru_step",
    ),
    "8.5 gru_step resets all of n": Mistake(
        GRU,
        GRU.replace(
            "n_x + torch.sigmoid(r_x + r_h) * n_h", "torch.sigmoid(r_x + r_h) * (n_x + n_h)"
        ),
        "gru_step",
    ),
    "8.5 gru_step forgets r": Mistake(
        GRU, GRU.replace("torch.sigmoid(r_x + r_h) * ", ""), "gru_step"
    ),
    "8.5 gru_step takes the sigmoid of n": Mistake(
        GRU, GRU.replace("torch.tanh", "torch.sigmoid"), "gru_step"
    ),
    "8.5 gru_step adds b twice": Mistake(
        "(h @ U.T).chunk(3, dim=1)", "(h @ U.T + b).chunk(3, dim=1)", "gru_step"
    ),
    "8.5 gru_step forgets b": Mistake(
        "(x @ W.T + b).chunk(3, dim=1)", "(x @ W.T).chunk(3, dim=1)", "gru_step"
    ),
    "8.5 scrn_step uses the old s": Mistake(
        SCRN, SCRN.replace("    s = ", "    new = ").replace("R.T), s", "R.T), new"), "scrn_step"
    ),
    "8.5 scrn_step swaps alpha": Mistake(
        SCRN,
        SCRN.replace("(1 - alpha) * (x @ B.T) + alpha * s", "alpha * (x @ B.T) + (1 - alpha) * s"),
        "scrn_step",
    ),
    "8.5 scrn_step ignores alpha": Mistake(SCRN, "    alpha = 0.95\n" + SCRN, "scrn_step"),
    "8.5 scrn_step has another default": Mistake(
        "alpha: float = 0.95", "alpha: float = 0.5", "scrn_step"
    ),
    "8.5 scrn_step takes tanh": Mistake(SCRN, SCRN.replace("sigmoid", "tanh"), "scrn_step"),
    "8.5 scrn_step takes the sigmoid of s": Mistake(
        SCRN,
        SCRN.replace("    s = ", "    s = torch.sigmoid(").replace("alpha * s\n", "alpha * s)\n"),
        "scrn_step",
    ),
    "8.5 scrn_step forgets R": Mistake(SCRN, SCRN.replace(" + h @ R.T", ""), "scrn_step"),
    "8.5 scrn_step forgets 1 - alpha": Mistake(
        SCRN, SCRN.replace("(1 - alpha) * (x", "(x"), "scrn_step"
    ),
    "8.6 clips each gradient": Mistake(
        CLIP,
        "    norms = [gradient.norm().item() for gradient in gradients]\n    norm = math.sqrt(sum(n * n for n in norms))\n    return [g * min(1.0, max_norm / n) if n else g for g, n in zip(gradients, norms)], norm\n",
        "clipping each gradient alone, with its own norm",
    ),
    "8.6 adds up the norms": Mistake(
        CLIP,
        CLIP.replace(
            "math.sqrt(sum(gradient.square().sum().item() ", "(sum(gradient.norm().item() "
        ),
        "adding up the norms of the gradients",
    ),
    "8.6 forgets the root": Mistake(
        CLIP, CLIP.replace("math.sqrt", ""), "leaving out the square root"
    ),
    "8.6 scales up small gradients": Mistake(
        FACTOR,
        "factor = max_norm / norm if norm else 1.0",
        "scaling up gradients that are short enough",
    ),
    "8.6 divides by 0": Mistake(FACTOR, "factor = min(1.0, max_norm / norm)"),
    "8.6 returns the norm afterwards": Mistake(
        CLIP, CLIP.replace(", norm\n", ", factor * norm\n"), "the norm after the scaling"
    ),
    "8.6 returns a tensor as the norm": Mistake(
        CLIP, CLIP.replace(", norm\n", ", torch.tensor(norm)\n")
    ),
    "8.6 limits each number": Mistake(
        CLIP,
        CLIP.replace("factor * gradient for", "gradient.clamp(-max_norm, max_norm) for"),
        "limiting each number to max_norm",
    ),
    "8.6 changes the given gradients": Mistake(
        CLIP, CLIP.replace("factor * gradient for", "gradient.mul_(factor) for")
    ),
    "8.6 divides by the norm only": Mistake(
        FACTOR,
        "factor = 1 / norm if norm > max_norm else 1.0",
        "the factor 1 / norm instead of max_norm / norm",
    ),
    "8.6 takes the largest gradient": Mistake(
        CLIP,
        CLIP.replace(
            "math.sqrt(sum(gradient.square().sum().item() ", "(max(gradient.norm().item() "
        ),
        "the norm of the largest gradient",
    ),
    "8.7 starts each batch without a state": Mistake(
        ADVANCE, "logits, _ = model.advance(inputs, [])", "starting each batch without a state"
    ),
    "8.7 does not detach the state": Mistake(
        ADVANCE, "logits, state = model.advance(inputs, state)"
    ),
    "8.7 does not detach and keeps the graph": Mistake(
        GRAPH,
        GRAPH.replace("[part.detach() for part in state]", "state").replace(
            "parameters)", "parameters, retain_graph=True)"
        ),
    ),
    "8.7 passes on the first state only": Mistake(
        ADVANCE,
        "logits, new = model.advance(inputs, [part.detach() for part in state])\n        state = state or new",
        "the state of the first batch for all later ones",
    ),
    "8.7 forgets zero_grad": Mistake(
        CLIPPED,
        "loss.backward()\n        gradients, _ = clip([p.grad for p in parameters], max_norm)",
        "adding the gradients of the batches before",
    ),
    "8.7 does not clip": Mistake(
        CLIPPED, "gradients = torch.autograd.grad(loss, parameters)", "leaving out the clipping"
    ),
    "8.7 clips to 1": Mistake(CLIPPED, CLIPPED.replace("max_norm", "1.0")),
    "8.7 clips each gradient": Mistake(
        CLIPPED,
        "gradients = [clip([g], max_norm)[0][0] for g in torch.autograd.grad(loss, parameters)]",
        "clipping each gradient alone",
    ),
    "8.7 ignores lr": Mistake(UPDATE, UPDATE.replace("lr * ", ""), "ignoring lr"),
    "8.7 climbs": Mistake(
        UPDATE, UPDATE.replace("-=", "+="), "adding the gradient instead of subtracting it"
    ),
    "8.7 does not change the parameters": Mistake(
        UPDATE,
        UPDATE.replace("parameter -= ", "parameter = parameter - "),
        "not changing the parameters themselves",
    ),
    "8.7 changes only the first parameter": Mistake(
        UPDATE, UPDATE + "                break\n", "changing only the first of the parameters"
    ),
    "8.7 adds up the losses of the words": Mistake(
        CROSS, CROSS.replace("flatten())", "flatten(), reduction='sum')")
    ),
    "8.7 applies softmax before the cross-entropy": Mistake(
        CROSS,
        CROSS.replace("logits.flatten(0, 1)", "logits.flatten(0, 1).softmax(1)"),
        "a softmax before the cross-entropy",
    ),
    "8.7 predicts the inputs": Mistake(
        CROSS, CROSS.replace("targets.flatten", "inputs.flatten"), "the inputs as targets"
    ),
    "8.7 weighs all batches alike": Mistake(
        SEEN, SEEN.replace("targets.numel()", "1"), "weighing all batches alike"
    ),
    "8.7 returns the loss of the last batch": Mistake(
        SEEN, SEEN.replace("(seen)", "(seen[-1:])"), "returning that of the last batch"
    ),
    "8.7 returns the mean loss": Mistake(
        SEEN,
        SEEN.replace("perplexity(seen)", "math.log(perplexity(seen))"),
        "returning the mean cross-entropy",
    ),
    "8.8 ignores the temperature": Mistake(
        SOFTEN, SOFTEN.replace(" / temperature", ""), "ignoring the temperature"
    ),
    "8.8 multiplies by the temperature": Mistake(
        SOFTEN, SOFTEN.replace("/", "*"), "multiplying by the temperature"
    ),
    "8.8 divides the probabilities": Mistake(
        SOFTEN,
        "return torch.softmax(logits, dim=-1) / temperature",
        "dividing the probabilities instead of the logits",
    ),
    "8.8 sums over the first dimension": Mistake(
        SOFTEN, SOFTEN.replace("dim=-1", "dim=0"), "softmax over the first dimension"
    ),
    "8.8 sums over dimension 1": Mistake(
        SOFTEN, SOFTEN.replace("dim=-1", "dim=min(1, logits.dim() - 1)")
    ),
    "8.8 returns logarithms": Mistake(
        SOFTEN, SOFTEN.replace("softmax", "log_softmax"), "returning the logarithms"
    ),
    "8.8 overflows": Mistake(
        SOFTEN, "e = torch.exp(logits / temperature)\n    return e / e.sum(-1, keepdim=True)"
    ),
    "8.8 adds up all rows": Mistake(
        SOFTEN,
        "e = torch.exp(logits / temperature - (logits / temperature).amax())\n    return e / e.sum()",
        "the sum over all rows",
    ),
    "8.8 divides the logits in place": Mistake(
        "return torch.softmax(logits / temperature, dim=-1)",
        "logits /= temperature\n    return torch.softmax(logits, dim=-1)",
        "must not change",
    ),
}
