"""Right answers to lab 13 that differ in form from the reference. Each replaces the function."""

# ruff: noqa: E501 (students' styles)

IMPORTS = "import itertools\nimport math\n\nimport numpy as np\nimport torch\n"

ALTERNATIVES = {
    "13.1 by a mask": """
def random_labels(labels, share, num_classes, generator):
    if share < 0 or share > 1 or share != share:
        raise ValueError("share")
    n = len(labels)
    mask = torch.zeros(n, dtype=torch.bool)
    mask[torch.randperm(n, generator=generator)[: round(share * n)]] = True
    return torch.where(mask, torch.randint(0, num_classes, (n,), generator=generator), labels)
""",
    "13.1 by sorting random numbers": """
def random_labels(labels, share, num_classes, generator):
    if not (0 <= share <= 1):
        raise ValueError(f"share {share}")
    order = torch.rand(len(labels), generator=generator).argsort()
    chosen = order[: int(share * len(labels) + 0.5)]
    new = (torch.rand(len(chosen), generator=generator, dtype=torch.float64) * num_classes).long()
    return labels.index_put((chosen,), new)
""",
    "13.1 in a loop": """
def random_labels(labels, share, num_classes, generator):
    if min(share, 1 - share) < 0 or math.isnan(share):
        raise ValueError("between 0 and 1, please")
    result = labels.tolist()
    for place in torch.randperm(len(result), generator=generator).tolist()[: round(share * len(result))]:
        result[place] = torch.randint(num_classes, (1,), generator=generator).item()
    return torch.tensor(result, dtype=labels.dtype)
""",
    "13.1 by scatter": """
def random_labels(labels, share, num_classes, generator):
    if share > 1 or share < 0 or share != share:
        raise ValueError()
    k = round(len(labels) * share)
    places = torch.randperm(labels.shape[0], generator=generator)[:k]
    return labels.scatter(0, places, torch.randint(num_classes, (k,), generator=generator))
""",
    "13.1 by multinomial": """
def random_labels(labels, share, num_classes, generator):
    if not 0.0 <= share <= 1.0:
        raise ValueError(share)
    k, out = round(share * len(labels)), labels.detach().clone()
    if k:
        places = torch.multinomial(torch.ones(len(labels)), k, generator=generator)
        out.index_copy_(0, places, torch.randint(num_classes, (k,), generator=generator))
    return out
""",
    "13.2 by vmap": """
def rademacher(signs, outputs):
    best = torch.func.vmap(lambda s, functions: (functions @ s / len(s)).max())
    return best(signs, outputs).mean().item()
""",
    "13.2 by einsum": """
def rademacher(signs, outputs):
    correlations = torch.einsum("sn,srn->sr", signs, outputs) / signs.shape[1]
    return float(correlations.max(dim=1).values.mean())
""",
    "13.2 in loops": """
def rademacher(signs, outputs):
    total = 0.0
    for s in range(len(signs)):
        total += max((signs[s] @ h).item() / len(h) for h in outputs[s])
    return total / len(signs)
""",
    "13.2 by bmm": """
def rademacher(signs, outputs):
    products = torch.bmm(outputs, signs.unsqueeze(2)).squeeze(2)
    return (products.amax(1) / signs.size(1)).mean().item()
""",
    "13.2 by numpy": """
def rademacher(signs, outputs):
    return (signs.numpy()[:, None, :] * outputs.numpy()).mean(-1).max(-1).mean().item()
""",
    "13.2 sorted": """
def rademacher(signs, outputs):
    means = (outputs * signs.reshape(len(signs), 1, -1)).mean(-1)
    return torch.sort(means, dim=1).values[:, -1].mean().item()
""",
    "13.3 by lstsq": """
def least_squares(features, targets):
    return torch.linalg.lstsq(features, targets, driver="gelsd", rcond=1e-12).solution

def errors_by_width(train, test, weight, widths):
    result = []
    for p in widths:
        w = weight[:p].T
        last = least_squares(torch.relu(train[0] @ w), torch.eye(int(train[1].max()) + 1).double()[train[1]])
        pair = []
        for x, y in (train, test):
            pair.append(1 - (torch.argmax(torch.relu(x @ w) @ last, dim=1) == y).double().mean().item())
        result.append(tuple(pair))
    return result
""",
    "13.3 by numpy": """
def least_squares(features, targets):
    return torch.from_numpy(np.linalg.lstsq(features.numpy(), targets.numpy(), rcond=None)[0])

def errors_by_width(train, test, weight, widths):
    def wrong(x, y, p, last):
        return ((x @ weight[:p].T).clamp(min=0) @ last).argmax(-1).ne(y).sum().item() / len(y)

    found = []
    for p in widths:
        hidden = (train[0] @ weight[:p].T).clamp(min=0)
        last = least_squares(hidden, F.one_hot(train[1]).double())
        found.append((wrong(*train, p, last), wrong(*test, p, last)))
    return found
""",
    "13.3 by the singular values": """
def least_squares(features, targets):
    u, s, vh = torch.linalg.svd(features, full_matrices=False)
    inverse = torch.where(s > 1e-12 * s[0], 1 / s, 0.0)
    return vh.T @ (inverse[:, None] * (u.T @ targets))

def errors_by_width(train, test, weight, widths):
    all_train, all_test = (train[0] @ weight.T).relu(), (test[0] @ weight.T).relu()
    one_hot = torch.zeros(len(train[1]), int(train[1].max()) + 1, dtype=torch.float64)
    one_hot[range(len(one_hot)), train[1]] = 1
    pairs = []
    for p in widths:
        last = least_squares(all_train[:, :p], one_hot)
        pairs.append(
            (
                ((all_train[:, :p] @ last).argmax(1) != train[1]).double().mean().item(),
                ((all_test[:, :p] @ last).argmax(1) != test[1]).double().mean().item(),
            )
        )
    return pairs
""",
    "13.3 by the Gram matrix": """
def least_squares(features, targets):
    gram = features @ features.T
    return features.T @ torch.linalg.pinv(gram, hermitian=True, rtol=1e-13) @ targets

def errors_by_width(train, test, weight, widths):
    return [
        tuple(
            error(x, y, weight[:p], least_squares((train[0] @ weight[:p].T).relu(), F.one_hot(train[1]).double()))
            for x, y in (train, test)
        )
        for p in widths
    ]
""",
    "13.3 as a generator of lists": """
def least_squares(features, targets):
    return features.pinverse() @ targets

def errors_by_width(train, test, weight, widths):
    targets = F.one_hot(train[1], int(train[1].max()) + 1).to(torch.float64)
    out = []
    for width in widths:
        part = weight.narrow(0, 0, width)
        last = least_squares(F.relu(F.linear(train[0], part)), targets)
        out.append([error(train[0], train[1], part, last), error(test[0], test[1], part, last)])
    return out
""",
    "13.4 with a counter": """
def stop(val_losses, patience):
    best, waited, lowest = 1, 0, float("inf")
    for i in range(len(val_losses)):
        if val_losses[i] < lowest:
            best, lowest, waited = i + 1, val_losses[i], 0
        else:
            waited += 1
        if waited == patience:
            return best, i + 1
    return best, len(val_losses)
""",
    "13.4 by the definition": """
def stop(val_losses, patience):
    losses = [math.inf if loss != loss else loss for loss in val_losses]
    for end in range(1, len(losses) + 1):
        best = losses.index(min(losses[:end])) + 1
        if end - best >= patience:
            return best, end
    return best, end
""",
    "13.4 with while": """
def stop(val_losses, patience):
    epoch, best = 0, 0
    while epoch < len(val_losses) and epoch - best < patience:
        epoch += 1
        if not best or val_losses[epoch - 1] < val_losses[best - 1] or math.isnan(val_losses[best - 1]):
            best = epoch
    return best, epoch
""",
    "13.4 by accumulate": """
def stop(val_losses, patience):
    clean = [math.inf if math.isnan(x) else x for x in val_losses]
    minima = list(itertools.accumulate(clean, min))
    firsts = [minima.index(m) + 1 for m in minima]
    for epoch, first in enumerate(firsts, 1):
        if epoch - first >= patience:
            return first, epoch
    return firsts[-1], len(firsts)
""",
    "13.4 by tensors": """
def stop(val_losses, patience):
    losses = torch.tensor(val_losses, dtype=torch.float64).nan_to_num(nan=math.inf, posinf=math.inf)
    for end in range(1, len(losses) + 1):
        best = int(losses[:end].argmin()) if not losses[:end].isinf().all() else 0
        best = int((losses[:end] == losses[best]).nonzero()[0])
        if end - best - 1 >= patience:
            break
    return [best + 1, end]
""",
    "13.5 with sorted and a key": """
def successive_halving(train, configs, rungs):
    seen, alive = [], list(configs)
    for n, r in rungs:
        scored = []
        for config in alive[:n]:
            loss = train(config, r)
            scored.append((float("inf") if loss != loss else loss, config))
        scored.sort(key=lambda pair: pair[0])
        seen.append(scored[0])
        alive = [config for _, config in scored]
    loss, config = min(seen, key=lambda pair: pair[0])
    return config, loss
""",
    "13.5 by torch": """
def successive_halving(train, configs, rungs):
    best, lowest = configs[0], math.inf
    for n, r in rungs:
        losses = torch.tensor([train(c, r) for c in configs[:n]], dtype=torch.float64)
        losses = losses.nan_to_num(nan=math.inf, posinf=math.inf)
        order = torch.argsort(losses, stable=True).tolist()
        if losses[order[0]].item() < lowest:
            best, lowest = configs[order[0]], losses[order[0]].item()
        configs = [configs[i] for i in order]
    return best, lowest
""",
    "13.5 with pairs and places": """
def successive_halving(train, configs, rungs):
    history = []
    for n, r in rungs:
        rung = []
        for place, config in enumerate(configs):
            if place == n:
                break
            loss = train(config, r)
            rung.append((math.inf if math.isnan(loss) else loss, place))
        rung.sort()
        history.append((rung[0][0], configs[rung[0][1]]))
        configs = [configs[place] for _, place in rung]
    losses = [loss for loss, _ in history]
    winner = losses.index(min(losses))
    return history[winner][1], history[winner][0]
""",
    "13.5 recursive": """
def successive_halving(train, configs, rungs):
    (n, r), rest = rungs[0], rungs[1:]
    losses = [train(c, r) for c in configs[:n]]
    losses = [loss if loss == loss else math.inf for loss in losses]
    order = np.argsort(losses, kind="stable")
    here = configs[order[0]], losses[order[0]]
    if not rest:
        return here
    later = successive_halving(train, [configs[i] for i in order], rest)
    return later if later[1] < here[1] else here
""",
    "13.5 keeping only what is needed": """
def successive_halving(train, configs, rungs):
    best = (configs[0], float("inf"))
    survivors = list(configs)
    for i, (n, r) in enumerate(rungs):
        results = []
        for config in survivors[:n]:
            loss = train(config, r)
            if math.isnan(loss):
                loss = float("inf")
            if loss < best[1]:
                best = (config, loss)
            results.append(loss)
        keep = rungs[i + 1][0] if i + 1 < len(rungs) else 1
        survivors = [survivors[j] for j in sorted(range(len(results)), key=results.__getitem__)[:keep]]
    return best
""",
    "13.6 in loops": """
def brackets(R, eta=3):
    if R < 1:
        raise ValueError("R")
    if eta < 2:
        raise ValueError("eta")
    s_max, power = 0, eta
    while power <= R:
        s_max, power = s_max + 1, power * eta
    table = []
    for s in reversed(range(s_max + 1)):
        n = int((s_max + 1) / (s + 1)) * eta**s
        table.append([(n // eta**i, R // eta ** (s - i)) for i in range(s + 1)])
    return table
""",
    "13.6 by dividing": """
def brackets(R, eta=3):
    if R < 1 or eta <= 1:
        raise ValueError(f"R={R}, eta={eta}")
    s_max, left = 0, R
    while left >= eta:
        left //= eta
        s_max += 1
    result = []
    for s in range(s_max, -1, -1):
        rungs, n = [], (s_max + 1) // (s + 1) * eta**s
        for i in range(s + 1):
            rungs.append((n, R // eta ** (s - i)))
            n //= eta
        result.append(rungs)
    return result
""",
    "13.6 by a corrected logarithm": """
def brackets(R, eta=3):
    if R < 1 or eta < 2:
        raise ValueError("at least 1 and 2")
    s_max = round(math.log(R) / math.log(eta))
    s_max -= eta**s_max > R
    return [
        [((s_max + 1) // (s + 1) * eta ** (s - i), R // eta ** (s - i)) for i in range(s + 1)]
        for s in range(s_max, -1, -1)
    ]
""",
    "13.6 with lists": """
def brackets(R, eta=3):
    if not (R >= 1 and eta >= 2):
        raise ValueError("wrong R or eta")
    s_max = max(s for s in range(100) if eta**s <= R)
    out = []
    for s in list(range(s_max + 1))[::-1]:
        n = math.floor((s_max + 1) / (s + 1)) * eta**s
        out.append([[math.floor(n / eta**i), math.floor(R / eta ** (s - i))] for i in range(s + 1)])
    return out
""",
    "13.6 recursive": """
def brackets(R, eta=3):
    if R < 1 or eta < 2:
        raise ValueError(str((R, eta)))

    def depth(r):
        return 0 if r < eta else 1 + depth(r // eta)

    top = depth(R) + 1

    def rungs(n, s):
        return [(n, R // eta**s)] + (rungs(n // eta, s - 1) if s else [])

    return [rungs(top // (s + 1) * eta**s, s) for s in range(top - 1, -1, -1)]
""",
    "13.7 by argmin, the loss as a tensor": """
def hyperband(train, draw, R, eta=3):
    found = []
    for rungs in brackets(R, eta):
        found.append(successive_halving(train, [draw() for _ in range(rungs[0][0])], rungs))
    losses = torch.tensor([loss for _, loss in found], dtype=torch.float64)
    place = int(losses.argmin())
    return found[place][0], losses[place]
""",
    "13.7 in a loop": """
def hyperband(train, draw, R, eta=3):
    best, lowest = None, math.inf
    for rungs in brackets(R, eta):
        configs = []
        while len(configs) < rungs[0][0]:
            configs.append(draw())
        config, loss = successive_halving(train, configs, rungs)
        if best is None or loss < lowest:
            best, lowest = config, loss
    return best, lowest
""",
    "13.7 as one expression": """
def hyperband(train, draw, R, eta=3):
    return min(
        (successive_halving(train, [draw() for _ in range(r[0][0])], r) for r in brackets(R, eta)),
        key=lambda result: result[1],
    )
""",
    "13.7 with sorted": """
def hyperband(train, draw, R, eta=3):
    results = []
    for rungs in brackets(R, eta):
        n, _ = rungs[0]
        results.append(successive_halving(train, list(draw() for _ in range(n)), rungs))
    results.sort(key=lambda pair: pair[1])
    return results[0]
""",
    "13.7 with the losses apart": """
def hyperband(train, draw, R, eta=3):
    found = [successive_halving(train, [draw() for _ in range(rungs[0][0])], rungs) for rungs in brackets(R, eta)]
    losses = [loss for _, loss in found]
    return found[losses.index(min(losses))]
""",
    "13.7 with numpy": """
def hyperband(train, draw, R, eta=3):
    pairs = []
    for rungs in brackets(R, eta=eta):
        start = [draw() for _ in range(max(n for n, _ in rungs))]
        pairs.append(tuple(successive_halving(train, start, rungs)))
    return pairs[int(np.argmin([loss for _, loss in pairs]))]
""",
}

# Mutants that compute the same result, and why.
SURVIVORS = {
    "13.4 line 1: 0 -> 1": "the first loss that is not NaN sets `best`, before the rule can stop",
}
