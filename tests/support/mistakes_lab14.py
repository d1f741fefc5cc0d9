"""Typical mistakes in lab 14."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

SCORES = "scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])"
HIDE = "scores = scores.masked_fill(~mask, -math.inf)"
SOFTMAX = "weights = scores.softmax(dim=-1)\n    return weights @ values, weights"
EMPTY = "if not mask.any(dim=-1).all():"
PLACES = "return places <= places[num_keys - num_queries :, None]"
CUT = "part.unflatten(-1, (num_heads, -1)).transpose(1, 2) for part in projected"
JOIN = "outputs.transpose(1, 2).flatten(2)"
ATTEND = "outputs, weights = attention(queries, keys, values, mask.to(x.device))"
DIVIDES = "if E % num_heads:"
EXTEND = "        keys, values = cache.extend(keys, values)\n    mask"
WAVES = "10_000 ** (torch.arange(0, width, 2) / width)"
TABLE = "torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)"
FIRST = "x = x + self.self_attn(self.norm1(x), cache)"
SECOND = "return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))"
START = "start = caches[0].num_tokens if caches else 0"
EMBED = "x = self.embedding(tokens) + self.positions[start:end]"
LAYER = "            x = layer(x, cache)\n"
LAST = "return self.decoder(self.norm(x))"
KEEP = "logits = logits.masked_fill(logits < smallest, -math.inf)"
SMALLEST = "smallest = logits.topk(top_k).values[:, -1:]"
SOFT = "return torch.softmax(logits / temperature, dim=1)"
CAT = "            keys = torch.cat([self.keys, keys], dim=2)\n            values = torch.cat([self.values, values], dim=2)\n"
STORE = "self.keys, self.values = keys, values\n        return"
NEXT = "p = next_probabilities(model(new, caches)[:, -1], temperature, top_k)"
NEW = "new = tokens if caches is None else drawn"
RETURN = "return tokens[:, prompt.shape[1] :]"

MISTAKES = {
    "14.1 changes the queries": Mistake(
        SCORES,
        "queries *= queries.shape[-1] ** -0.5\n    scores = queries @ keys.transpose(-2, -1)",
        "must not change",
    ),
    "14.1 detaches the weights": Mistake(
        SOFTMAX, SOFTMAX.replace("weights @", "weights.detach() @"), "gradients"
    ),
    "14.3 detaches the input": Mistake(
        "F.linear(x, in_weight, in_bias)", "F.linear(x.detach(), in_weight, in_bias)", "detached"
    ),
    "14.3 detaches a weight": Mistake(
        "F.linear(x, in_weight, in_bias)", "F.linear(x, in_weight.detach(), in_bias)", "detached"
    ),
    "14.6 detaches the embeddings": Mistake(
        EMBED, "x = (self.embedding(tokens) + self.positions[start:end]).detach()", "detached"
    ),
    "14.7 changes the logits": Mistake(
        SOFT, "logits /= temperature\n    return torch.softmax(logits, dim=1)", "must not change"
    ),
    "14.7 hides in the given logits": Mistake(
        KEEP, "logits.masked_fill_(logits < smallest, -math.inf)", "must not change"
    ),
    "14.1 does not scale": Mistake(
        SCORES, "scores = queries @ keys.transpose(-2, -1)", "not dividing by sqrt(D)"
    ),
    "14.1 divides by D": Mistake(
        SCORES, SCORES.replace("math.sqrt(queries.shape[-1])", "queries.shape[-1]"), "dividing by D"
    ),
    "14.1 takes the number of keys": Mistake(
        SCORES,
        SCORES.replace("queries.shape[-1]", "keys.shape[-2]"),
        "the root of the number of keys",
    ),
    "14.1 takes the values' width": Mistake(
        SCORES,
        SCORES.replace("queries.shape[-1]", "values.shape[-1]"),
        "the root of the values' width",
    ),
    "14.1 hides where the mask is True": Mistake(
        HIDE, HIDE.replace("~", ""), "hiding where the mask is True"
    ),
    "14.1 hides with 0": Mistake(
        HIDE, HIDE.replace("-math.inf", "0.0"), "a score of 0 instead of -inf"
    ),
    "14.1 hides after the softmax": Mistake(
        f"{HIDE}\n    weights = scores.softmax(dim=-1)",
        "pass\n    weights = scores.softmax(dim=-1) * (1 if mask is None else mask)",
        "after the softmax",
    ),
    "14.1 ignores the mask": Mistake(HIDE, "pass", "ignoring the mask"),
    "14.1 takes the softmax over the queries": Mistake(
        SOFTMAX, SOFTMAX.replace("dim=-1", "dim=-2"), "a softmax over the queries"
    ),
    "14.1 returns the outputs alone": Mistake(
        SOFTMAX, SOFTMAX.replace("@ values, weights", "@ values"), "2 values"
    ),
    "14.1 swaps the results": Mistake(
        SOFTMAX, SOFTMAX.replace("weights @ values, weights", "weights, weights @ values")
    ),
    "14.1 transposes the first dimensions": Mistake(
        SCORES, SCORES.replace("transpose(-2, -1)", "transpose(0, 1)")
    ),
    "14.1 takes the whole transpose": Mistake(
        SCORES,
        SCORES.replace(
            "keys.transpose(-2, -1)", "keys.mT.mT.permute(*range(keys.dim() - 1, -1, -1))"
        ),
    ),
    "14.1 overflows": Mistake(
        "weights = scores.softmax(dim=-1)",
        "weights = scores.exp() / scores.exp().sum(-1, keepdim=True)",
        "scores of 0 and 2000",
    ),
    "14.1 does not refuse an empty row": Mistake(EMPTY, "if False:", "ValueError"),
    "14.1 refuses only an empty mask": Mistake(EMPTY, "if not mask.any():", "ValueError"),
    "14.2 hides the own place": Mistake(PLACES, PLACES.replace("<=", "<"), "cannot look at itself"),
    "14.2 is True where hidden": Mistake(PLACES, PLACES.replace("<=", ">"), "must not look"),
    "14.2 looks ahead": Mistake(PLACES, PLACES.replace("<=", ">=")),
    "14.2 puts the queries first": Mistake(
        PLACES, "return places <= places[:num_queries, None]", "the first places"
    ),
    "14.2 gives numbers": Mistake(PLACES, f"{PLACES[:7]}({PLACES[7:]}).float()", "bool"),
    "14.2 swaps rows and columns": Mistake(PLACES, f"return ({PLACES[7:]}).T"),
    "14.2 gives scores": Mistake(
        PLACES,
        f"return torch.zeros(num_queries, num_keys).masked_fill(~({PLACES[7:]}), -math.inf)",
        "bool",
    ),
    "14.3 does not transpose after the cut": Mistake(
        CUT,
        "part.reshape(part.shape[0], num_heads, part.shape[1], -1) for part in projected",
        "transpose after the cut",
    ),
    "14.3 does not transpose before the join": Mistake(
        JOIN, "outputs.reshape(x.shape)", "before the heads are joined"
    ),
    "14.3 takes every H-th column": Mistake(
        CUT,
        "part.unflatten(-1, (-1, num_heads)).permute(0, 3, 1, 2) for part in projected",
        "every H-th column",
    ),
    "14.3 forgets the mask": Mistake(
        ATTEND, "outputs, weights = attention(queries, keys, values)", "causal mask"
    ),
    "14.3 swaps queries and keys": Mistake(
        "queries, keys, values = (\n", "keys, queries, values = (\n", "swapping queries and keys"
    ),
    "14.3 swaps keys and values": Mistake(
        "queries, keys, values = (\n", "queries, values, keys = (\n"
    ),
    "14.3 forgets out_bias": Mistake(
        "out_weight, out_bias), weights", "out_weight), weights", "out_bias"
    ),
    "14.3 forgets the last layer": Mistake(
        f"F.linear({JOIN}, out_weight, out_bias), weights",
        f"{JOIN}, weights",
        "leaving out the last layer",
    ),
    "14.3 forgets in_bias": Mistake("F.linear(x, in_weight, in_bias)", "F.linear(x, in_weight)"),
    "14.3 takes out_weight untransposed": Mistake(
        f"F.linear({JOIN}, out_weight, out_bias), weights",
        f"{JOIN} @ out_weight + out_bias, weights",
        "instead of its transpose",
    ),
    "14.3 uses one head": Mistake(CUT, CUT.replace("(num_heads, -1)", "(1, -1)")),
    "14.3 scales by the whole width": Mistake(
        ATTEND, ATTEND.replace("attention(queries", "attention(queries / num_heads**0.5"), "sqrt(E)"
    ),
    "14.3 does not refuse a wrong width": Mistake(DIVIDES, "if False:"),
    "14.3 returns the outputs alone": Mistake(
        "out_weight, out_bias), weights", "out_weight, out_bias)", "2 values"
    ),
    "14.4 puts all sines first": Mistake(
        TABLE, "torch.cat([angles.sin(), angles.cos()], dim=1)", "all sines first"
    ),
    "14.4 starts with the cosine": Mistake(
        TABLE,
        TABLE.replace("angles.sin(), angles.cos()", "angles.cos(), angles.sin()"),
        "cosines before sines",
    ),
    "14.4 counts from 1": Mistake(
        "torch.arange(num_positions)[:, None]",
        "torch.arange(1, num_positions + 1)[:, None]",
        "counting from 1",
    ),
    "14.4 takes i instead of 2i": Mistake(
        WAVES, "10_000 ** (torch.arange(0, width // 2) / width)", "instead of 2i"
    ),
    "14.4 multiplies by the wavelength": Mistake(
        "[:, None] / wavelengths", "[:, None] * wavelengths"
    ),
    "14.4 takes only sines": Mistake(TABLE, TABLE.replace("angles.cos()", "angles.sin()")),
    "14.4 transposes": Mistake(f"return {TABLE}", f"return {TABLE}.T"),
    "14.5 is post-norm": Mistake(
        f"{FIRST}\n        {SECOND}",
        "x = self.norm1(x + self.self_attn(x, cache))\n        return self.norm2(x + self.linear2(F.gelu(self.linear1(x))))",
        "a norm after each part",
    ),
    "14.5 uses ReLU": Mistake(SECOND, SECOND.replace("gelu", "relu"), "ReLU instead of GELU"),
    "14.5 forgets the first shortcut": Mistake(
        FIRST, FIRST.replace("x + ", ""), "the first shortcut"
    ),
    "14.5 forgets the second shortcut": Mistake(
        SECOND, SECOND.replace("x + ", ""), "the second shortcut"
    ),
    "14.5 forgets the norms": Mistake(
        f"{FIRST}\n        {SECOND}",
        "x = x + self.self_attn(x, cache)\n        return x + self.linear2(F.gelu(self.linear1(x)))",
        "leaving out the norms",
    ),
    "14.5 uses norm1 twice": Mistake(SECOND, SECOND.replace("norm2", "norm1"), "norm1 twice"),
    "14.5 feeds both parts from x": Mistake(
        f"{FIRST}\n        {SECOND}",
        "y = x + self.self_attn(self.norm1(x), cache)\n        return y + self.linear2(F.gelu(self.linear1(self.norm2(x))))",
        "both parts to the same x",
    ),
    "14.5 adds to the normalized x": Mistake(
        f"{FIRST}\n        {SECOND}",
        "x = self.norm1(x)\n        x = x + self.self_attn(x, cache)\n        x = self.norm2(x)\n        return x + self.linear2(F.gelu(self.linear1(x)))",
    ),
    "14.5 forgets GELU": Mistake(SECOND, SECOND.replace("F.gelu", "")),
    "14.6 forgets the positions": Mistake(
        EMBED, "x = self.embedding(tokens)", "leaving out the positions"
    ),
    "14.6 forgets the last norm": Mistake(
        LAST, "return self.decoder(x)", "leaving out the last norm"
    ),
    "14.6 returns probabilities": Mistake(
        LAST, "return self.decoder(self.norm(x)).softmax(-1)", "a softmax of the logits"
    ),
    "14.6 uses one block": Mistake(LAYER, f"{LAYER}            break\n", "only one of the blocks"),
    "14.6 refuses a full context": Mistake("if end > self.context:", "if end >= self.context:"),
    "14.6 does not refuse a long text": Mistake("if end > self.context:", "if False:"),
    "14.6 does not refuse unknown tokens": Mistake(
        "if not 0 <= tokens.min() <= tokens.max() < self.vocab_size:", "if False:"
    ),
    "14.6 refuses only large tokens": Mistake(
        "if not 0 <= tokens.min() <= tokens.max() < self.vocab_size:",
        "if tokens.max() >= self.vocab_size:",
    ),
    "14.6 takes the vocabulary's size for a token": Mistake(
        "tokens.max() < self.vocab_size", "tokens.max() <= self.vocab_size"
    ),
    "14.7 multiplies by the temperature": Mistake(
        SOFT, SOFT.replace("/", "*"), "multiplying by the temperature"
    ),
    "14.7 ignores the temperature": Mistake(
        SOFT, SOFT.replace(" / temperature", ""), "ignoring the temperature"
    ),
    "14.7 divides the probabilities": Mistake(
        SOFT, "return torch.softmax(logits, dim=-1) / temperature", "dividing the probabilities"
    ),
    "14.7 keeps the smallest": Mistake(
        f"{SMALLEST}\n        {KEEP}",
        "largest = (-logits).topk(top_k).values[:, -1:]\n        logits = logits.masked_fill(-logits < largest, -math.inf)",
        "keeping the smallest",
    ),
    "14.7 hides with 0": Mistake(
        KEEP, KEEP.replace("-math.inf", "0.0"), "setting the other logits to 0"
    ),
    "14.7 ignores top_k": Mistake(KEEP, "pass", "ignoring top_k"),
    "14.7 does not renormalize": Mistake(
        f"{SMALLEST}\n        {KEEP}\n    {SOFT}",
        f"{SMALLEST}\n        return torch.softmax(logits / temperature, dim=-1) * (logits >= smallest)\n    {SOFT}",
        "do not add up to 1",
    ),
    "14.7 keeps one too few": Mistake(KEEP, KEEP.replace("<", "<=")),
    "14.7 takes the threshold of the first row": Mistake(
        SMALLEST, "smallest = logits.topk(top_k).values[0, -1]"
    ),
    "14.7 does not refuse temperature 0": Mistake("if not temperature > 0:", "if temperature < 0:"),
    "14.7 does not refuse top_k 0": Mistake(
        "if not 1 <= top_k <= logits.shape[1]:", "if top_k and not 1 <= top_k <= logits.shape[1]:"
    ),
    "14.7 does not refuse a large top_k": Mistake(
        "if not 1 <= top_k <= logits.shape[1]:",
        "top_k = min(top_k, logits.shape[-1])\n        if top_k < 1:",
    ),
    "14.8 stores only the newest": Mistake(
        STORE, "self.keys, self.values = keys[:, :, -1:], values[:, :, -1:]\n        return"
    ),
    "14.8 returns only the newest": Mistake(
        CAT,
        "            self.keys = torch.cat([self.keys, keys], dim=2)\n            self.values = torch.cat([self.values, values], dim=2)\n            return keys, values\n",
        "only the new keys and values",
    ),
    "14.8 never stores": Mistake(STORE, "return"),
    "14.8 adds in front": Mistake(
        CAT,
        CAT.replace("[self.keys, keys]", "[keys, self.keys]").replace(
            "[self.values, values]", "[values, self.values]"
        ),
        "before the old ones",
    ),
    "14.8 joins along the width": Mistake(CAT, CAT.replace("dim=2", "dim=3")),
    "14.8 swaps keys and values": Mistake(
        STORE, "self.keys, self.values = values, keys\n        return"
    ),
    "14.8 ignores the cache in multi_head": Mistake(
        EXTEND, "        pass\n    mask", "ignoring the cache"
    ),
    "14.8 starts again with position 0": Mistake(START, "start = 0"),
    "14.8 does not pass the caches on": Mistake(
        LAYER, "            x = layer(x)\n", "ignoring the caches"
    ),
    "14.8 reads the whole text with caches": Mistake(
        NEW, "new = tokens", "reading the whole text each time"
    ),
    "14.8 reads only the newest token without caches": Mistake(
        NEW, "new = drawn", "without a cache"
    ),
    "14.8 never passes the caches to the model": Mistake(
        NEXT, NEXT.replace("model(new, caches)", "model(new, None)"), "pass the caches"
    ),
    "14.8 takes the first place": Mistake(NEXT, NEXT.replace("[:, -1]", "[:, 0]")),
    "14.8 returns the prompt too": Mistake(RETURN, "return tokens", "returning the prompt too"),
    "14.8 ignores the temperature": Mistake(
        NEXT, NEXT.replace(", temperature, top_k)", ", 1.0, top_k)")
    ),
    "14.8 ignores top_k": Mistake(NEXT, NEXT.replace("temperature, top_k)", "temperature)")),
    "14.8 always takes the most likely": Mistake(
        "drawn = torch.multinomial(p, 1, generator=generator)", "drawn = p.argmax(1, keepdim=True)"
    ),
    "14.8 draws without the generator": Mistake(
        "torch.multinomial(p, 1, generator=generator)", "torch.multinomial(p, 1)", "the same seed"
    ),
    "14.8 writes one token too many": Mistake(
        "for _ in range(max_tokens):", "for _ in range(max_tokens + 1):"
    ),
    "14.8 does not refuse max_tokens 0": Mistake(
        "if max_tokens < 1 or prompt.shape[1] < 1:", "if prompt.shape[1] < 1:"
    ),
    "14.5 ignores the cache": Mistake(FIRST, FIRST.replace(", cache", ""), "ignoring the cache"),
    "14.5 detaches x": Mistake(FIRST, f"x = x.detach()\n        {FIRST}", "detached"),
    "14.6 starts with position 0 after a cache": Mistake(START, "start = 0", "start again with 0"),
    "14.6 passes no caches on": Mistake(LAYER, "            x = layer(x)\n", "ignoring the caches"),
    "14.6 passes the first cache to every block": Mistake(
        LAYER, "            x = layer(x, caches[0] if caches else None)\n", "one cache for all"
    ),
    "14.4 returns float64": Mistake(
        "return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)",
        "return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1).double()",
        "float32",
    ),
}
