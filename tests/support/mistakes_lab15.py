"""Typical mistakes in lab 15."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

MOST = "most |= counts"
CLIPPED = "return sum((first & most).values())"
GRAMS = "for i in range(len(words) - n + 1))\n        for words in (caption, *references)"
NEAR = "key=lambda length: (abs(length - len(caption)), length))"
SCORE = "return 100 * math.exp(min(0.0, 1 - r / c) + sum(logs) / 4)"
COSINES = "cosines = F.normalize(features, dim=1) @ F.normalize(known, dim=1).T"
PLACES = "return cosines.topk(count, dim=1).indices"
COUNT = "if not 1 <= count <= len(known):"
TOTALS = "sum(similarity(one, other) for j, other in enumerate(captions) if j != i)"
BEST = "return max(range(len(captions)), key=totals.__getitem__)"
WIDTH = "if features.dim() != 2 or features.shape[1] != self.image.in_features:"
CODE = "code = torch.tanh(self.image(features))"
STATE = "return code, (torch.zeros_like(code) if self.at_each_word else code)[None]"
TOLD = "inputs = torch.cat([inputs, repeated], dim=2)"
FIRST = "first = torch.full_like(captions[:, :1], self.end)"
BEFORE = "torch.cat([first, captions[:, :-1]], dim=1), code, state)[0]"
PREDICTED = "return self.fc(outputs), state"
START = "before, written = torch.full((len(features), 1), decoder.end, device=code.device), []"
NEXT = "logits, state = decoder.predict(before, code, state)"
WORD = "before = logits.argmax(2)"
ROWS = "return [row[: row.index(decoder.end)] if decoder.end in row else row for row in rows]"
MAPS = 'torch.cat([x, h], dim=1), weight, bias, padding="same")'
GATES = "i, f, g, o = gates.chunk(4, dim=1)"
CELL = "c = f.sigmoid() * c + i.sigmoid() * g.tanh()"
HIDDEN = "return o.sigmoid() * c.tanh(), c"
TWO = "if T < 2:"
READ = "for frame in frames[:, :-1].unbind(1):"
FOLLOWING = "following, state = self.step(frame, state)"
STACKED = "predicted.append(following)\n        return torch.stack(predicted, dim=1)"
HORIZON = "if horizon < 1 or T < 1:"
SEEN = "for frame in frames.unbind(1):\n        following, state = model.step(frame, state)"
ROLLED = "following, state = model.step(following, state)"
ENOUGH = "while len(predicted) < horizon:"
COLLECTED = "predicted = [following]"
FILM = "predicted.append(following)\n    return torch.stack(predicted, dim=1)"
AHEAD = 'if horizon < 1:\n        raise ValueError(f"horizon must'
COPIED = "return frames[:, -1:].expand(-1, horizon, -1, -1, -1)"
SHAPES = "if predicted.shape != frames.shape:"
ERROR = "return (predicted - frames).square().sum(dim=(2, 3, 4)).mean(dim=0)"

MISTAKES = {
    "15.1 joins the words": Mistake(
        "Counter(tuple(words[i : i + n])", "Counter(''.join(words[i : i + n])", "a bc"
    ),
    "15.3 detaches the code": Mistake(
        "code = torch.tanh(self.image(features))",
        "code = torch.tanh(self.image(features)).detach()",
        "detached",
    ),
    "15.5 detaches h": Mistake(
        "return o.sigmoid() * c.tanh(), c\n",
        "return (o.sigmoid() * c.tanh()).detach(), c\n",
        "gradient",
    ),
    "15.1 adds the counts of the references": Mistake(MOST, "most += counts"),
    "15.1 looks at the last reference alone": Mistake(MOST, "most = counts", "one reference alone"),
    "15.1 takes the smaller counts": Mistake(MOST, "most = most & counts if most else counts"),
    "15.1 does not clip": Mistake(
        CLIPPED, "return sum(k for g, k in first.items() if g in most)", "not clipping"
    ),
    "15.1 counts each n-gram once": Mistake(CLIPPED, "return len(first & most)", "counting each"),
    "15.1 forgets the last n-gram": Mistake(GRAMS, GRAMS.replace(" - n + 1", " - n")),
    "15.1 takes the longer of two": Mistake(
        NEAR, NEAR.replace(", length)", ", -length)"), "longer one"
    ),
    "15.1 takes the shortest reference": Mistake(NEAR, "default=0)"),
    "15.1 takes the longest reference": Mistake(NEAR, "key=lambda length: -length)", "longest"),
    "15.1 rewards short captions": Mistake(SCORE, SCORE.replace("min", "max")),
    "15.1 forgets the brevity penalty": Mistake(
        SCORE, "return 100 * math.exp(sum(logs) / 4)", "penalty"
    ),
    "15.1 swaps r and c": Mistake(SCORE, SCORE.replace("r / c", "c / r")),
    "15.1 gives a share": Mistake(SCORE, SCORE.replace("100 * ", ""), "100"),
    "15.2 compares products": Mistake(
        COSINES, "cosines = features @ known.T", "not divided by the lengths"
    ),
    "15.2 compares distances": Mistake(
        COSINES, "cosines = -torch.cdist(features, known)", "distance"
    ),
    "15.2 normalizes the columns": Mistake(COSINES, COSINES.replace("dim=1", "dim=0")),
    "15.2 takes the most different": Mistake(
        PLACES, "return cosines.topk(count, dim=1, largest=False).indices", "most different"
    ),
    "15.2 returns the cosines": Mistake(PLACES, PLACES.replace("indices", "values")),
    "15.2 looks along the wrong dimension": Mistake(
        PLACES, "return cosines.topk(count, dim=0).indices.T"
    ),
    "15.2 divides 0 by 0": Mistake(
        COSINES,
        "cosines = F.normalize(features, dim=1) @ (known / known.norm(dim=1, keepdim=True)).T",
    ),
    "15.2 forgets to check count": Mistake(COUNT, "if False:"),
    "15.2 compares a caption with itself": Mistake(
        TOTALS, "sum(similarity(one, other) for other in captions)", "itself"
    ),
    "15.2 leaves out captions that are the same": Mistake(
        TOTALS, TOTALS.replace("j != i", "other != one")
    ),
    "15.2 swaps the two captions": Mistake(
        TOTALS, TOTALS.replace("(one, other)", "(other, one)"), "similarity(other, caption)"
    ),
    "15.2 returns the caption": Mistake(
        BEST, "return captions[max(range(len(captions)), key=totals.__getitem__)]"
    ),
    "15.2 takes the caption that agrees least": Mistake(BEST, BEST.replace("max(", "min(")),
    "15.2 takes the last of several": Mistake(
        BEST, "return max(range(len(captions)), key=lambda i: (totals[i], i))", "last"
    ),
    "15.3 forgets tanh": Mistake(CODE, "code = self.image(features)", "tanh"),
    "15.3 starts with the code in both kinds": Mistake(
        STATE, "return code, code[None]", "other kind"
    ),
    "15.3 starts with zeros in both kinds": Mistake(
        STATE, "return code, torch.zeros_like(code)[None]", "other kind"
    ),
    "15.3 swaps code and state": Mistake(
        STATE, STATE.replace("return code, ", "return ") + ", code", "swapped"
    ),
    "15.3 forgets the dimension of the layers": Mistake(
        STATE, STATE.replace("[None]", ""), "first dimension"
    ),
    "15.3 accepts features of any width": Mistake(WIDTH, "if False:"),
    "15.3 puts the code in front": Mistake(
        TOLD, "inputs = torch.cat([repeated, inputs], dim=2)", "in front"
    ),
    "15.3 begins with word 0": Mistake(
        FIRST, "first = torch.zeros_like(captions[:, :1])", "word 0"
    ),
    "15.3 gives the word that it must predict": Mistake(
        BEFORE, "captions, code, state)[0]", "must predict"
    ),
    "15.3 leaves out the first word": Mistake(
        BEFORE, "captions[:, :-1] if captions.shape[1] > 1 else first, code, state)[0]"
    ),
    "15.3 returns no state": Mistake(PREDICTED, "return self.fc(outputs)"),
    "15.3 returns the outputs for logits": Mistake(PREDICTED, "return outputs, state"),
    "15.4 forgets the state": Mistake(
        NEXT, "logits, _ = decoder.predict(before, code, state)", "state"
    ),
    "15.4 begins with word 0": Mistake(START, START.replace("decoder.end", "0"), "word 0"),
    "15.4 keeps the end": Mistake(
        ROWS,
        "return [row[: row.index(decoder.end) + 1] if decoder.end in row else row for row in rows]",
        "keeping the end",
    ),
    "15.4 stops all at the first end": Mistake(
        ROWS,
        "n = min(row.index(decoder.end) if decoder.end in row else len(row) for row in rows)\n    return [row[:n] for row in rows]",
        "first end",
    ),
    "15.4 removes the end and goes on": Mistake(
        ROWS, "return [[word for word in row if word != decoder.end] for row in rows]", "going on"
    ),
    "15.4 expects an end in each row": Mistake(
        ROWS, "return [row[: row.index(decoder.end)] for row in rows]"
    ),
    "15.4 writes the least probable word": Mistake(WORD, "before = logits.argmin(2)"),
    "15.4 does not read what it has written": Mistake(
        WORD, "written.append(logits.argmax(2))\n        continue"
    ),
    "15.5 puts h in front of x": Mistake(MAPS, MAPS.replace("[x, h]", "[h, x]")),
    "15.5 forgets the padding": Mistake(MAPS, "torch.cat([x, h], dim=1), weight, bias)"),
    "15.5 always pads by one": Mistake(MAPS, MAPS.replace('"same"', "1")),
    "15.5 forgets the bias": Mistake(MAPS, MAPS.replace(", bias,", ","), "bias"),
    "15.5 swaps g and o": Mistake(GATES, "i, f, o, g = gates.chunk(4, dim=1)", "i, f, o, g"),
    "15.5 swaps i and f": Mistake(GATES, "f, i, g, o = gates.chunk(4, dim=1)", "f, i, g, o"),
    "15.5 cuts the rows of the maps": Mistake(
        GATES, "i, f, g, o = gates[:, : len(h[0])].repeat(1, 4, 1, 1).chunk(4, dim=1)"
    ),
    "15.5 uses sigmoid for g": Mistake(
        CELL, CELL.replace("g.tanh()", "g.sigmoid()"), "sigmoid instead of tanh"
    ),
    "15.5 forgets to forget": Mistake(CELL, CELL.replace("f.sigmoid() * c", "c")),
    "15.5 returns c first": Mistake(HIDDEN, "return c, o.sigmoid() * c.tanh()", "c, h"),
    "15.5 forgets tanh": Mistake(HIDDEN, "return o.sigmoid() * c, c", "tanh"),
    "15.6 accepts one frame": Mistake(TWO, "if False:"),
    "15.6 reads the last frame, too": Mistake(
        READ, "for frame in frames.unbind(1):", "last frame, too"
    ),
    "15.6 leaves out the first frame": Mistake(READ, "for frame in frames[:, 1:].unbind(1):"),
    "15.6 goes through the films": Mistake(READ, "for frame in frames[:-1].unbind(0):"),
    "15.6 begins again at each frame": Mistake(
        FOLLOWING, "following, _ = self.step(frame, state)", "state"
    ),
    "15.6 reads its own predictions": Mistake(
        FOLLOWING,
        "following, state = self.step(predicted[-1] if predicted else frame, state)",
        "own predictions",
    ),
    "15.6 stacks the frames in front": Mistake(
        STACKED, STACKED.replace("dim=1", "dim=0"), "dimension T in front"
    ),
    "15.6 puts the frames side by side": Mistake(STACKED, STACKED.replace("stack", "cat")),
    "15.7 accepts a horizon of 0": Mistake(HORIZON, "if T < 1:"),
    "15.7 accepts no frames": Mistake(HORIZON, "if horizon < 1:"),
    "15.7 reads only the last frame": Mistake(
        SEEN, SEEN.replace("frames.unbind(1)", "frames[:, -1:].unbind(1)"), "only the last"
    ),
    "15.7 forgets the state of what it saw": Mistake(
        SEEN, SEEN.replace("following, state", "following, _")
    ),
    "15.7 forgets the state of what it predicts": Mistake(
        ROLLED, "following, _ = model.step(following, state)"
    ),
    "15.7 reads the last frame again and again": Mistake(
        ROLLED, "following, state = model.step(frame, state)"
    ),
    "15.7 predicts one frame too many": Mistake(
        ENOUGH, "while len(predicted) <= horizon:", "too many"
    ),
    "15.7 leaves out the first prediction": Mistake(
        COLLECTED, "predicted = []", "leaving out the first"
    ),
    "15.7 begins with the last frame": Mistake(
        COLLECTED, "predicted = [frame]", "instead of the first"
    ),
    "15.7 stacks the frames in front": Mistake(
        FILM, FILM.replace("dim=1", "dim=0"), "dimension T in front"
    ),
    "15.8 accepts a horizon of 0": Mistake(AHEAD, AHEAD.replace("horizon < 1", "False")),
    "15.8 copies the first frame": Mistake(COPIED, COPIED.replace("-1:", ":1"), "first frame"),
    "15.8 copies once": Mistake(COPIED, "return frames[:, -1:]", "one copy"),
    "15.8 loses the dimension of the frames": Mistake(COPIED, "return frames[:, -1]"),
    "15.8 compares any shapes": Mistake(SHAPES, "if False:"),
    "15.8 takes the mean of the pixels": Mistake(
        ERROR, "return (predicted - frames).square().mean(dim=(0, 2, 3, 4))", "mean over the pixels"
    ),
    "15.8 adds up the films": Mistake(
        ERROR, "return (predicted - frames).square().sum(dim=(0, 2, 3, 4))", "sum over the films"
    ),
    "15.8 takes the absolute error": Mistake(ERROR, ERROR.replace("square", "abs"), "absolute"),
    "15.8 returns one number": Mistake(ERROR, ERROR.replace("mean(dim=0)", "mean()"), "one number"),
    "15.8 returns an error for each film": Mistake(
        ERROR, "return (predicted - frames).square().sum(dim=(2, 3, 4)).mean(dim=1)", "each film"
    ),
    "15.1 takes the first of two near references": Mistake(
        "key=lambda length: (abs(length - len(caption)), length))",
        "key=lambda length: abs(length - len(caption)))",
        "equally near",
    ),
    "15.6 detaches the predictions": Mistake(
        "            predicted.append(following)\n        return torch",
        "            predicted.append(following.detach())\n        return torch",
    ),
}
