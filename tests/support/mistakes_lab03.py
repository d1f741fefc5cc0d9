"""Typical mistakes in lab 03."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

BATCHES = "return list(torch.randperm(num_samples, generator=generator).split(batch_size))"
V = 'v = mu * state.get("v", 0.0) + g\n'
MOMENTUM = 'return w - lr * (g + mu * v if nesterov else v), {"v": v}'
ADAGRAD = 's = state.get("s", 0.0) + g.square()\n    return w - lr * g / (s.sqrt() + eps), {"s": s}'
RMSPROP = 's = alpha * state.get("s", 0.0) + (1 - alpha) * g.square()\n    return w - lr * g / (s.sqrt() + eps), {"s": s}'
DELTA_S = 's = rho * state.get("s", zeros) + (1 - rho) * g.square()'
DELTA_D = "d = g * (u + eps).sqrt() / (s + eps).sqrt()"
DELTA = 'return w - lr * d, {"s": s, "u": rho * u + (1 - rho) * d.square()}'
ADAM_S = 's = b2 * state.get("s", 0.0) + (1 - b2) * g.square()\n    root = (s / (1 - b2**t)).sqrt()\n    return'
ADAM = 'return w - lr * m / (1 - b1**t) / (root + eps), {"t": t, "m": m, "s": s}'
ADAM_STATE = '    t = state.get("t", 0) + 1\n    m = b1'
AHEAD = "ahead = next_mu * m / (1 - product * next_mu) + (1 - mu) * g / (1 - product)"
PRODUCT = 'product = state.get("product", 1.0) * mu'
MUS = "mu, next_mu = (b1 * (1 - 0.96 ** (0.004 * i) / 2) for i in (t, t + 1))"
NADAM = 'return w - lr * ahead / (root + eps), {"t": t, "m": m, "s": s, "product": product}'
INVERSE = "return lr * b / (b + t)"
LINEAR = "return lr * (steps - t) / steps"
HALVE = "return lr if all(val_losses[-1] < loss for loss in val_losses[:-1]) else lr / 2"
EIGENVALUES = "eigenvalues = torch.linalg.eigvalsh(hessian)"
BEST = "return 2 / (low + high), 2 / high"

MISTAKES = {
    "3.1 does not shuffle": Mistake(
        BATCHES,
        "return list(torch.arange(num_samples).split(batch_size))",
        "expected shuffled numbers",
    ),
    "3.1 ignores the generator": Mistake(
        BATCHES, BATCHES.replace(", generator=generator", ""), "generators with the same seed"
    ),
    "3.1 leaves out the rest": Mistake(
        BATCHES,
        "return list(torch.randperm(num_samples, generator=generator)[: num_samples // batch_size * batch_size].split(batch_size))",
        "leaving out the last, smaller batch",
    ),
    "3.1 draws with replacement": Mistake(
        BATCHES,
        "return list(torch.randint(num_samples, (num_samples,), generator=generator).split(batch_size))",
        "all numbers of all batches",
    ),
    "3.1 makes batch_size batches": Mistake(
        BATCHES, BATCHES.replace("split", "chunk"), "taking batch_size for the number of batches"
    ),
    "3.1 starts from 1": Mistake(
        BATCHES,
        BATCHES.replace("generator=generator)", "generator=generator).add(1)"),
        "all numbers of all batches",
    ),
    "3.1 seeds its own generator": Mistake(
        BATCHES,
        BATCHES.replace("generator=generator", "generator=torch.Generator().manual_seed(0)"),
        "another seed",
    ),
    "3.1 gives one tensor": Mistake(
        BATCHES,
        "return torch.randperm(num_samples, generator=generator)",
        "expected a list of batches, got a Tensor",
    ),
    "3.2 forgets v": Mistake(
        MOMENTUM, MOMENTUM.replace('{"v": v}', "{}"), "forgetting the v of the step before"
    ),
    "3.2 averages": Mistake(V, V.replace("+ g", "+ (1 - mu) * g"), "v <- mu v + (1 - mu) g"),
    "3.2 uses the old v": Mistake(
        MOMENTUM,
        'return w - lr * (g + mu * v if nesterov else state.get("v", 0.0)), {"v": v}',
        "using the old v",
    ),
    "3.2 goes up": Mistake(
        MOMENTUM, MOMENTUM.replace("w - lr", "w + lr"), "adding the step instead of subtracting it"
    ),
    "3.2 ignores nesterov": Mistake(
        MOMENTUM,
        MOMENTUM.replace("(g + mu * v if nesterov else v)", "v"),
        "ignoring `nesterov`, or",
    ),
    "3.2 looks ahead with the old v": Mistake(
        MOMENTUM,
        'return w - lr * (g + mu * state.get("v", 0.0) if nesterov else v), {"v": v}',
        "or looking ahead with the old v",
    ),
    "3.2 has its own mu": Mistake(V, V.replace("mu *", "0.9 *"), "ignoring `mu`"),
    "3.2 multiplies v by lr twice": Mistake(V, V.replace("+ g", "+ lr * g")),
    "3.2 returns w alone": Mistake(
        MOMENTUM, MOMENTUM.replace(', {"v": v}', ""), "expected 2 values (the new w, the new state)"
    ),
    "3.2 returns v for the state": Mistake(
        MOMENTUM,
        MOMENTUM.replace('{"v": v}', "v"),
        "the new state: expected a dictionary, got a Tensor",
    ),
    "3.3 has eps inside the root": Mistake(
        ADAGRAD, ADAGRAD.replace("(s.sqrt() + eps)", "(s + eps).sqrt()"), "eps inside the root"
    ),
    "3.3 forgets eps": Mistake(
        ADAGRAD, ADAGRAD.replace("(s.sqrt() + eps)", "s.sqrt()"), "leaving out eps"
    ),
    "3.3 forgets the root": Mistake(
        ADAGRAD, ADAGRAD.replace("s.sqrt()", "s"), "forgetting the root"
    ),
    "3.3 forgets the square": Mistake(
        ADAGRAD, ADAGRAD.replace("g.square()", "g.abs()"), "forgetting the square"
    ),
    "3.3 forgets s": Mistake(
        ADAGRAD, ADAGRAD.replace('{"s": s}', "{}"), "forgetting the s of the step before"
    ),
    "3.3 forgets lr": Mistake(ADAGRAD, ADAGRAD.replace("lr * ", ""), "leaving out lr"),
    "3.3 has one s for all weights": Mistake(
        ADAGRAD, ADAGRAD.replace("g.square()", "g.square().sum()")
    ),
    "3.3 RMSprop with eps inside": Mistake(
        RMSPROP, RMSPROP.replace("(s.sqrt() + eps)", "(s + eps).sqrt()"), "eps inside the root"
    ),
    "3.3 RMSprop swaps alpha": Mistake(
        RMSPROP,
        RMSPROP.replace(
            'alpha * state.get("s", 0.0) + (1 - alpha)', '(1 - alpha) * state.get("s", 0.0) + alpha'
        ),
        "swapping alpha and 1 - alpha",
    ),
    "3.3 RMSprop is Adagrad": Mistake(
        RMSPROP,
        RMSPROP.replace('alpha * state.get("s", 0.0) + (1 - alpha) *', 'state.get("s", 0.0) +'),
        "s <- s + g^2",
    ),
    "3.3 RMSprop has its own alpha": Mistake(RMSPROP, RMSPROP.replace("alpha", "0.99"), "expected"),
    "3.4 uses the old s": Mistake(
        DELTA_D,
        'd = g * (u + eps).sqrt() / (state.get("s", zeros) + eps).sqrt()',
        "dividing by the old s",
    ),
    "3.4 forgets an eps": Mistake(
        DELTA_D,
        DELTA_D.replace("(s + eps).sqrt()", "s.sqrt()"),
        "leaving out eps in the lower root",
    ),
    "3.4 swaps the roots": Mistake(
        DELTA_D, "d = g * (s + eps).sqrt() / (u + eps).sqrt()", "swapping the two roots"
    ),
    "3.4 keeps gradients in u": Mistake(
        DELTA, DELTA.replace("d.square()", "g.square()"), "updating u with g instead of d"
    ),
    "3.4 forgets u": Mistake(DELTA, 'return w - lr * d, {"s": s}', "forgetting u"),
    "3.4 forgets lr": Mistake(DELTA, DELTA.replace("lr * ", ""), "leaving out lr"),
    "3.4 has lr in u": Mistake(
        DELTA,
        DELTA.replace("d.square()", "(lr * d).square()"),
        "multiplying d by lr before you update u",
    ),
    "3.4 uses the new u": Mistake(
        'u = state.get("u", zeros)', 'u = rho * state.get("u", zeros) + (1 - rho) * g.square()'
    ),
    "3.4 goes up": Mistake(DELTA, DELTA.replace("w - lr", "w + lr"), "adding the step"),
    "3.5 forgets the corrections": Mistake(
        ADAM_S.partition("return")[0] + ADAM,
        ADAM_S.partition("return")[0].replace("(s / (1 - b2**t))", "s")
        + ADAM.replace(" / (1 - b1**t)", ""),
        "leaving out both corrections",
    ),
    "3.5 forgets the correction of m": Mistake(
        ADAM, ADAM.replace(" / (1 - b1**t)", ""), "leaving out the correction of m"
    ),
    "3.5 forgets the correction of s": Mistake(
        ADAM_S, ADAM_S.replace("(s / (1 - b2**t))", "s"), "leaving out the correction of s"
    ),
    "3.5 starts with t = 2": Mistake(
        ADAM_STATE, ADAM_STATE.replace('("t", 0)', '("t", 1)'), "a first step with t = 2"
    ),
    "3.5 does not count": Mistake(
        ADAM, ADAM.replace('"t": t', '"t": 0'), "the corrections of the first step in all steps"
    ),
    "3.5 swaps the betas": Mistake(
        ADAM_STATE, "    b1, b2 = b2, b1\n" + ADAM_STATE, "swapping the betas"
    ),
    "3.5 has eps inside the root": Mistake(
        ADAM_S.partition("return")[0] + ADAM,
        ADAM_S.partition("return")[0].replace("(s / (1 - b2**t))", "(s / (1 - b2**t) + eps)")
        + ADAM.replace("(root + eps)", "root"),
        "eps inside the root",
    ),
    "3.5 forgets eps": Mistake(ADAM, ADAM.replace("(root + eps)", "root"), "leaving out eps"),
    "3.5 keeps the corrected values": Mistake(
        ADAM,
        ADAM.replace('"m": m, "s": s', '"m": m / (1 - b1**t), "s": s / (1 - b2**t)'),
        "keeping M and S instead of m and s",
    ),
    "3.5 multiplies by t": Mistake(ADAM_S, ADAM_S.replace("b2**t", "b2 * t")),
    "3.5 has its own betas": Mistake(ADAM_STATE, "    b1, b2 = 0.9, 0.999\n" + ADAM_STATE),
    "3.6 is Adam": Mistake(AHEAD, "ahead = m / (1 - b1**t)", "Adam, without the look-ahead, or"),
    "3.6 leaves out m": Mistake(
        AHEAD, "ahead = (1 - mu) * g / (1 - product)", "or leaving out the part of m"
    ),
    "3.6 leaves out g": Mistake(
        AHEAD, "ahead = next_mu * m / (1 - product * next_mu)", "leaving out the part of g"
    ),
    "3.6 has b1 for mu": Mistake(MUS, "mu, next_mu = b1, b1", "b1 for every mu"),
    "3.6 forgets the product": Mistake(NADAM, NADAM.replace(', "product": product', "")),
    "3.6 does not count": Mistake(NADAM, NADAM.replace('"t": t', '"t": 0')),
    "3.6 uses mu_t twice": Mistake(MUS, MUS.replace("(t, t + 1)", "(t, t)")),
    "3.6 multiplies the product twice": Mistake(PRODUCT, PRODUCT + " * next_mu"),
    "3.6 swaps the betas": Mistake(
        'b1, b2 = betas\n    t = state.get("t", 0) + 1\n    mu',
        'b2, b1 = betas\n    t = state.get("t", 0) + 1\n    mu',
        "",
    ),
    "3.7 takes lr for a": Mistake(INVERSE, "return lr / (b + t)", "taking lr for a"),
    "3.7 multiplies t by b": Mistake(INVERSE, "return lr / (1 + b * t)", "lr / (1 + b t)"),
    "3.7 forgets b": Mistake(INVERSE, "return lr / (1 + t)", "lr / (1 + t)"),
    "3.7 grows": Mistake(LINEAR, "return lr * t / steps", "the part of the steps that is done"),
    "3.7 rounds down": Mistake(
        LINEAR, "return lr * ((steps - t) // steps)", "`(steps - t) // steps`"
    ),
    "3.7 ends a step too early": Mistake(
        LINEAR, "return lr * (1 - t / (steps - 1))", "a line that ends one step earlier"
    ),
    "3.7 forgets lr": Mistake(LINEAR, "return (steps - t) / steps", "1 instead of lr at the start"),
    "3.7 compares with the loss before": Mistake(
        HALVE,
        "return lr if len(val_losses) < 2 or val_losses[-1] < val_losses[-2] else lr / 2",
        "comparing with the loss before only",
    ),
    "3.7 keeps lr for an equal loss": Mistake(HALVE, HALVE.replace("[-1] < loss", "[-1] <= loss")),
    "3.7 compares with itself": Mistake(HALVE, HALVE.replace("[:-1])", ")"), "expected"),
    "3.7 swaps the cases": Mistake(
        HALVE,
        HALVE.replace("lr if all", "lr / 2 if all").replace("else lr / 2", "else lr"),
        "",
    ),
    "3.8 swaps the two": Mistake(BEST, "return 2 / high, 2 / (low + high)", "swapping the two"),
    "3.8 reads the diagonal": Mistake(
        EIGENVALUES,
        "eigenvalues = hessian.diagonal().sort().values",
        "the diagonal instead of the eigenvalues",
    ),
    "3.8 halves the best": Mistake(
        BEST, "return 1 / (low + high), 2 / high", "1 / (low + high), half of the fastest lr"
    ),
    "3.8 takes 1 / high": Mistake(BEST, "return 1 / high, 2 / high", "1 / high as the fastest lr"),
    "3.8 stops at 1 / high": Mistake(
        BEST, "return 2 / (low + high), 1 / high", "1 / high as the largest lr"
    ),
    "3.8 takes the smallest": Mistake(
        BEST, "return 2 / (low + high), 2 / low", "the smallest eigenvalue instead of the largest"
    ),
    "3.8 adds up all eigenvalues": Mistake(BEST, "return 2 / hessian.trace().item(), 2 / high"),
    "3.8 takes the wrong end": Mistake(
        "low, high = eigenvalues[0].item(), eigenvalues[-1].item()",
        "low, high = eigenvalues[0].item(), eigenvalues[1].item()",
    ),
    "3.7 compares with the highest loss": Mistake(
        "return lr if all(val_losses[-1] < loss for loss in val_losses[:-1]) else lr / 2",
        "return lr if len(val_losses) == 1 or val_losses[-1] < max(val_losses[:-1]) else lr / 2",
        "highest",
    ),
    "3.2 puts lr into v": Mistake(
        'v = mu * state.get("v", 0.0) + g',
        'v = mu * state.get("v", 0.0) + lr * g',
        "v <- mu v + lr g",
    ),
}
