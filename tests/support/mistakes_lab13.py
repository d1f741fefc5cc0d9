"""Typical mistakes in lab 13."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

COUNT = "count = round(share * len(labels))"
PLACES = "places = torch.randperm(len(labels), generator=generator)[:count]"
DRAW = "torch.randint(num_classes, (count,), generator=generator)"
BEST = "(signs[:, None] * outputs).mean(dim=2).amax(dim=1).mean().item()"
PINV = "return torch.linalg.pinv(features) @ targets"
FIT = "fitted = least_squares((train[0] @ weight[:width].T).relu(), targets)"
LOWER = "if loss < lowest:"
ENOUGH = "if epoch - best >= patience:"
KEEP = "        if losses[order[0]] < best[1]:\n            best = configs[0], losses[order[0]]\n"
ORDER = "order = sorted(range(len(configs)), key=lambda place: losses[place])"
START = "(s_max + 1) // (s + 1) * eta**s // eta**i"
DRAWN = "configs = [draw() for _ in range(rungs[0][0])]"

MISTAKES = {
    "13.1 rounds up": Mistake(
        "round(share * len(labels))", "math.ceil(share * len(labels))", "share 0.21"
    ),
    "13.2 takes the signs of the outputs": Mistake(
        "signs[:, None] * outputs).mean", "signs[:, None] * outputs.sign()).mean", "the signs of"
    ),
    "13.3 sorts the widths": Mistake("for width in widths:", "for width in sorted(widths):"),
    "13.4 ignores small steps down": Mistake(
        "if loss < lowest:", "if loss < lowest - 1e-3:", "a small step down"
    ),
    "13.1 changes the given labels": Mistake("changed = labels.clone()", "changed = labels"),
    "13.1 draws each label by itself": Mistake(
        PLACES,
        "places = torch.rand(len(labels), generator=generator) < share\n    count = int(places.sum())",
    ),
    "13.1 replaces the first labels": Mistake(PLACES, "places = torch.arange(count)"),
    "13.1 rounds down": Mistake(COUNT, "count = int(share * len(labels))"),
    "13.1 draws with repetition": Mistake(
        PLACES, "places = torch.randint(len(labels), (count,), generator=generator)"
    ),
    "13.1 never draws the last class": Mistake(
        DRAW, DRAW.replace("num_classes,", "num_classes - 1,")
    ),
    "13.1 never draws class 0": Mistake(DRAW, DRAW.replace("num_classes,", "1, num_classes,")),
    "13.1 draws the places with the global generator": Mistake(
        PLACES, PLACES.replace(", generator=generator", "")
    ),
    "13.1 permutes labels instead of drawing": Mistake(
        DRAW, "labels[places[torch.randperm(count, generator=generator)]]"
    ),
    "13.1 does not refuse a wrong share": Mistake("if not 0 <= share <= 1:", "if False:"),
    "13.1 refuses only shares above 1": Mistake("if not 0 <= share <= 1:", "if share > 1:"),
    "13.2 takes absolute values": Mistake(BEST, BEST.replace(".amax", ".abs().amax")),
    "13.2 takes the mean over the functions": Mistake(
        BEST, BEST.replace(".amax(dim=1)", ".mean(dim=1)")
    ),
    "13.2 takes one maximum over everything": Mistake(
        BEST, BEST.replace(".amax(dim=1).mean()", ".max()")
    ),
    "13.2 takes the sum over N": Mistake(BEST, BEST.replace(".mean(dim=2)", ".sum(dim=2)")),
    "13.2 takes the maximum over the draws": Mistake(
        BEST, BEST.replace("amax(dim=1)", "amax(dim=0)")
    ),
    "13.2 forgets the signs": Mistake(BEST, BEST.replace("(signs[:, None] * outputs)", "outputs")),
    "13.3 inverts the normal equations always": Mistake(
        PINV,
        "return torch.linalg.inv(features.T @ features + 1e-10 * torch.eye(features.shape[1]).to(features)) @ features.T @ targets",
    ),
    "13.3 regularizes": Mistake(
        PINV,
        "return torch.linalg.solve(features.T @ features + 0.1 * torch.eye(features.shape[1]).to(features), features.T @ targets)",
    ),
    "13.3 transposes the result": Mistake(PINV, "return (torch.linalg.pinv(features) @ targets).T"),
    "13.3 uses the last rows of the weight": Mistake(FIT, FIT.replace("[:width]", "[-width:]")),
    "13.3 forgets the ReLU in the fit": Mistake(FIT, FIT.replace(".relu()", "")),
    "13.3 fits the test samples": Mistake(
        "targets = F.one_hot(train[1]).double()",
        "targets = F.one_hot(test[1]).double()\n    train, test = test, train",
    ),
    "13.3 fits numbers instead of classes": Mistake(
        "targets = F.one_hot(train[1]).double()", "targets = train[1][:, None].double()"
    ),
    "13.3 swaps the errors": Mistake(
        "for inputs, labels in (train, test)", "for inputs, labels in (test, train)"
    ),
    "13.3 uses all features for each width": Mistake(FIT, FIT.replace("[:width]", "")),
    "13.4 takes an equal loss for an improvement": Mistake(LOWER, "if loss <= lowest:"),
    "13.4 stops one epoch late": Mistake(ENOUGH, "if epoch - best > patience:"),
    "13.4 counts from 0": Mistake("enumerate(val_losses, start=1)", "enumerate(val_losses)"),
    "13.4 compares with the epoch before": Mistake(
        "            lowest, best = loss, epoch\n        if",
        "            best = epoch\n        lowest = loss\n        if",
    ),
    "13.4 never stops": Mistake(ENOUGH, "if False:"),
    "13.4 returns the last epoch": Mistake("return best, epoch", "return epoch, epoch"),
    "13.4 returns the lowest loss": Mistake("return best, epoch", "return lowest, epoch"),
    "13.5 keeps the worst": Mistake(ORDER, ORDER.replace("losses[place]", "-losses[place]")),
    "13.5 keeps the first": Mistake(ORDER, "order = list(range(len(configs)))"),
    "13.5 looks at the last rung only": Mistake(
        KEEP, KEEP.replace("if losses[order[0]] < best[1]", "if True")
    ),
    "13.5 lets the last of equal losses win": Mistake(KEEP, KEEP.replace("<", "<=")),
    "13.5 trains all candidates in each rung": Mistake(
        "configs = configs[:count]", "configs = configs[:]"
    ),
    "13.5 takes NaN as it is": Mistake("math.inf if math.isnan(loss) else loss", "loss"),
    "13.5 takes NaN for 0": Mistake("math.inf if math.isnan(loss)", "0.0 if math.isnan(loss)"),
    "13.5 returns the loss alone": Mistake(
        "    return best\n    # END SOLUTION\n\n\n# %%\ndef brackets",
        "    return best[1]\n    # END SOLUTION\n\n\n# %%\ndef brackets",
    ),
    "13.5 passes the number of candidates as epochs": Mistake(
        "train(config, epochs)", "train(config, count)"
    ),
    "13.6 rounds the number of candidates up": Mistake(
        START, "math.ceil((s_max + 1) / (s + 1) * eta**s) // eta**i"
    ),
    "13.6 multiplies before it rounds down": Mistake(
        START, "(s_max + 1) * eta**s // (s + 1) // eta**i"
    ),
    "13.6 starts with s = 0": Mistake("for s in range(s_max, -1, -1)", "for s in range(s_max + 1)"),
    "13.6 leaves out the last bracket": Mistake(
        "for s in range(s_max, -1, -1)", "for s in range(s_max, 0, -1)"
    ),
    "13.6 leaves out the last rung": Mistake("for i in range(s + 1)", "for i in range(s or 1)"),
    "13.6 takes the logarithm of 243 as it is": Mistake(
        "    while eta ** (s_max + 1) <= R:\n        s_max += 1\n",
        "    s_max = int(math.log(R, eta))\n",
    ),
    "13.6 keeps eta at 3": Mistake("    s_max = 0\n", "    eta = 3\n    s_max = 0\n"),
    "13.6 divides with a remainder": Mistake("R // eta ** (s - i)", "R / eta ** (s - i)"),
    "13.5 takes 1e9 for infinity": Mistake(
        "losses = [math.inf if math.isnan(loss) else loss",
        "losses = [1e9 if math.isnan(loss) else loss",
        "expected inf",
    ),
    "13.6 rounds down to floats": Mistake(
        "R // eta ** (s - i)", "R / eta ** (s - i) // 1", "whole numbers"
    ),
    "13.6 does not refuse R = 0": Mistake("if R < 1 or eta < 2:", "if eta < 2:"),
    "13.7 returns the last bracket's result": Mistake(
        "return min(found, key=lambda pair: pair[1])", "return found[-1]"
    ),
    "13.7 returns the worst result": Mistake("min(found, key", "max(found, key"),
    "13.7 draws only once": Mistake(
        f"    for rungs in brackets(R, eta):\n        {DRAWN}",
        "    configs = [draw() for _ in range(eta ** 9)][:brackets(R, eta)[0][0][0]]\n    for rungs in brackets(R, eta):",
    ),
    "13.7 draws too many": Mistake(DRAWN, DRAWN.replace("rungs[0][0]", "rungs[0][0] + 1")),
    "13.7 runs one bracket": Mistake(
        "for rungs in brackets(R, eta):", "for rungs in brackets(R, eta)[:1]:"
    ),
    "13.7 keeps eta at 3": Mistake("for rungs in brackets(R, eta):", "for rungs in brackets(R):"),
    "13.1 draws classes without the generator": Mistake(
        "torch.randint(num_classes, (count,), generator=generator)",
        "torch.randint(num_classes, (count,))",
        "same classes",
    ),
    "13.4 starts with the first loss, which can be NaN": Mistake(
        "lowest, best = math.inf, 0", "lowest, best = val_losses[0], 1"
    ),
    "13.4 takes an equal loss": Mistake("if loss < lowest:", "if loss <= lowest:", "equal loss"),
}
