"""Typical mistakes in lab 02."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

HIDDEN = 'hidden = torch.relu(inputs @ params["weight1"].T + params["bias1"])'
LOGITS = 'return hidden, hidden @ params["weight2"].T + params["bias2"]'
SHIFTED = "shifted = logits - logits.amax(dim=1, keepdim=True)"
TRUE = "true = shifted[torch.arange(len(targets)), targets]  # (N,)"
LOSS = "return (shifted.exp().sum(dim=1).log() - true).mean()"
SOFTMAX = "gradient = torch.softmax(logits, dim=1)\n"
ONE = "gradient[torch.arange(len(targets)), targets] -= 1"
BY_N = "return gradient / len(targets)"
DHIDDEN = 'dhidden = (dlogits @ params["weight2"]) * (hidden > 0)  # (N, H), before the ReLU'
STEP = "step.view(-1)[i] = eps"
QUOTIENT = "gradient.view(-1)[i] = (function(x + step) - function(x - step)) / (2 * eps)"
SLOPES = "slopes = values.diff() / knots.diff()"
WEIGHTS = "return slopes.diff(prepend=slopes.new_zeros(1))"
LAST = "last = sum(math.comb(width, j) for j in range(num_inputs + 1))"
BOUND = "return (width // num_inputs) ** (num_inputs * (layers - 1)) * last"
RELU = """points = torch.relu(points @ weight.T + bias)
        patterns.append(points > 0)
    return len("""
ON = "patterns.append(points > 0)\n    return"
COUNT = "return len(torch.cat(patterns, dim=1).unique(dim=0))"
GRADIENTS = "gradients = backward(params, inputs, hidden, cross_entropy_gradient(logits, targets))\n        params = {"
UPDATE = "params = {name: value - lr * gradients[name] for name, value in params.items()}"
ADD = "total += float(cross_entropy(logits, targets)) * len(targets)"
END = "return params, total / count"

MISTAKES = {
    "2.1 applies the ReLU to the logits too": Mistake(
        LOGITS,
        'return hidden, torch.relu(hidden @ params["weight2"].T + params["bias2"])',
        "a ReLU on the logits too",
    ),
    "2.1 forgets the ReLU": Mistake(
        HIDDEN, 'hidden = inputs @ params["weight1"].T + params["bias1"]', "leaving out the ReLU"
    ),
    "2.1 forgets bias1": Mistake(
        HIDDEN, HIDDEN.replace(' + params["bias1"]', ""), "leaving out bias1"
    ),
    "2.1 forgets bias2": Mistake(
        LOGITS, LOGITS.replace(' + params["bias2"]', ""), "leaving out bias2"
    ),
    "2.1 adds bias1 after the ReLU": Mistake(
        HIDDEN,
        'hidden = torch.relu(inputs @ params["weight1"].T) + params["bias1"]',
        "adding bias1 after the ReLU",
    ),
    "2.1 forgets to transpose": Mistake(HIDDEN, HIDDEN.replace(".T", "")),
    "2.1 returns the logits alone": Mistake(
        LOGITS,
        LOGITS.replace("hidden, hidden", "hidden"),
        "expected 2 values (the hidden units, the logits), got a tensor of shape",
    ),
    "2.1 swaps what it returns": Mistake(
        LOGITS,
        'return hidden @ params["weight2"].T + params["bias2"], hidden',
        "the hidden units: expected shape",
    ),
    "2.1 applies a sigmoid": Mistake(HIDDEN, HIDDEN.replace("relu", "sigmoid")),
    "2.1 returns probabilities": Mistake(
        LOGITS, 'return hidden, torch.softmax(hidden @ params["weight2"].T + params["bias2"], 1)'
    ),
    "2.2 sums over the samples": Mistake(
        LOSS, LOSS.replace("mean", "sum"), "the sum instead of the mean"
    ),
    "2.2 takes the mean over the classes too": Mistake(
        LOSS, LOSS.replace(".mean()", ".sum() / logits.numel()"), "dividing by N K instead of N"
    ),
    "2.2 has the wrong sign": Mistake(LOSS, LOSS.replace("return (", "return -("), "a wrong sign"),
    "2.2 overflows": Mistake(SHIFTED, "shifted = logits", "an exp that overflows"),
    "2.2 subtracts the largest of all logits": Mistake(
        SHIFTED, "shifted = logits - logits.max()", "each row needs its own largest logit"
    ),
    "2.2 sums over the samples inside": Mistake(
        SHIFTED + "\n    " + TRUE + "\n    " + LOSS,
        "z = logits - logits.amax(dim=0)\n    return (z.exp().sum(dim=0).log()[targets] - z[torch.arange(len(targets)), targets]).mean()",
        "the softmax over the samples instead of the classes",
    ),
    "2.2 forgets the logarithm": Mistake(
        LOSS, "return -(true.exp() / shifted.exp().sum(dim=1)).mean()", "leaving out the logarithm"
    ),
    "2.2 uses the logarithm to base 2": Mistake(
        LOSS,
        "return ((shifted.exp().sum(dim=1).log() - true) / math.log(2)).mean()",
        "the logarithm to base 2",
    ),
    "2.2 forgets the true class": Mistake(
        TRUE, "true = -logits.amax(dim=1)", "leaving out -z of the true class"
    ),
    "2.2 returns the loss of each sample": Mistake(
        LOSS, LOSS.replace(".mean()", ""), "expected shape (), got (3,)"
    ),
    "2.2 takes every class for the true one": Mistake(
        TRUE, "true = shifted[:, targets].diagonal()[:1]"
    ),
    "2.3 forgets to divide": Mistake(BY_N, "return gradient", "forgetting to divide by N"),
    "2.3 divides by K": Mistake(
        BY_N, "return gradient / logits.shape[1]", "dividing by K instead of N"
    ),
    "2.3 forgets the true class": Mistake(ONE, "pass", "leaving out the 1 of the true class"),
    "2.3 adds 1": Mistake(ONE, ONE.replace("-=", "+="), "adding 1 instead of subtracting it"),
    "2.3 has the wrong sign": Mistake(BY_N, "return -gradient / len(targets)", "a wrong sign"),
    "2.3 takes the softmax over the samples": Mistake(
        SOFTMAX,
        SOFTMAX.replace("dim=1", "dim=0"),
        "the softmax over the samples instead of the classes",
    ),
    "2.3 subtracts 1 after the division": Mistake(
        ONE + "\n    " + BY_N,
        "gradient /= len(targets)\n    " + ONE + "\n    return gradient",
        "dividing only p, or only t, by N",
    ),
    "2.3 forgets the softmax": Mistake(SOFTMAX, "gradient = logits.clone()\n"),
    "2.3 changes the logits": Mistake(
        SOFTMAX,
        "gradient = logits.exp_().div_(logits.sum(1, keepdim=True))\n",
        "which must not change",
    ),
    "2.3 subtracts 1 in whole columns": Mistake(ONE, "gradient[:, targets] -= 1"),
    "2.4 forgets the ReLU": Mistake(
        DHIDDEN, 'dhidden = dlogits @ params["weight2"]', "leaving out the ReLU"
    ),
    "2.4 passes the ReLU at 0": Mistake(
        DHIDDEN, DHIDDEN.replace("> 0", ">= 0"), "leaving out the ReLU"
    ),
    "2.4 multiplies by the hidden units": Mistake(
        DHIDDEN, DHIDDEN.replace("(hidden > 0)", "hidden")
    ),
    "2.4 divides by N again": Mistake(
        '"weight1": dhidden.T @ inputs,\n        "bias1": dhidden.sum(dim=0),\n        "weight2": dlogits.T @ hidden,\n        "bias2": dlogits.sum(dim=0),',
        '"weight1": dhidden.T @ inputs / len(inputs),\n        "bias1": dhidden.mean(dim=0),\n        "weight2": dlogits.T @ hidden / len(inputs),\n        "bias2": dlogits.mean(dim=0),',
        "dividing by N, which dlogits already contains",
    ),
    "2.4 takes the mean for the biases": Mistake(
        '"bias1": dhidden.sum(dim=0),\n        "weight2": dlogits.T @ hidden,\n        "bias2": dlogits.sum(dim=0),',
        '"bias1": dhidden.mean(dim=0),\n        "weight2": dlogits.T @ hidden,\n        "bias2": dlogits.mean(dim=0),',
        "the mean over the samples for the biases instead of the sum",
    ),
    "2.4 transposes the weights' derivatives": Mistake(
        '"weight2": dlogits.T @ hidden',
        '"weight2": hidden.T @ dlogits',
        "'weight2': expected shape",
    ),
    "2.4 forgets the ReLU at bias1": Mistake(
        '"bias1": dhidden.sum(dim=0)',
        '"bias1": (dlogits @ params["weight2"]).sum(dim=0)',
        "leaving out the ReLU at bias1",
    ),
    "2.4 returns the weights only": Mistake(
        '        "bias1": dhidden.sum(dim=0),\n', "", "'bias1' is missing"
    ),
    "2.4 sums all of bias2": Mistake(
        '"bias2": dlogits.sum(dim=0)', '"bias2": dlogits.sum()', "'bias2': expected shape"
    ),
    "2.4 goes back through weight1": Mistake(DHIDDEN, DHIDDEN.replace("weight2", "weight1")),
    "2.4 sums over the units": Mistake(
        '"bias1": dhidden.sum(dim=0)', '"bias1": dhidden.sum(dim=1)', "'bias1'"
    ),
    "2.5 steps up only": Mistake(
        QUOTIENT,
        QUOTIENT.replace("function(x - step)) / (2 * eps)", "function(x)) / eps"),
        "a step up only, not down",
    ),
    "2.5 divides by eps": Mistake(
        QUOTIENT, QUOTIENT.replace("(2 * eps)", "eps"), "dividing by eps instead of 2 eps"
    ),
    "2.5 divides by 2 and multiplies": Mistake(
        QUOTIENT, QUOTIENT.replace("(2 * eps)", "2 * eps"), "multiplying by eps"
    ),
    "2.5 has its own eps": Mistake(
        STEP + "\n        " + QUOTIENT,
        STEP.replace("eps", "1e-6") + "\n        " + QUOTIENT.replace("eps", "1e-6"),
        "a step of its own instead of eps",
    ),
    "2.5 moves all entries": Mistake(
        STEP + "\n        gradient", "step += eps\n        gradient", "moving all entries at once"
    ),
    "2.5 has the wrong sign": Mistake(
        QUOTIENT,
        QUOTIENT.replace(
            "(function(x + step) - function(x - step))", "(function(x - step) - function(x + step))"
        ),
        "a wrong sign",
    ),
    "2.5 leaves x moved": Mistake(
        QUOTIENT,
        "before = function(x)\n        x.view(-1)[i] += eps\n        gradient.view(-1)[i] = (function(x) - before) / eps",
    ),
    "2.5 returns a flat tensor": Mistake(
        QUOTIENT + "\n    return gradient",
        QUOTIENT + "\n    return gradient.flatten()",
        "expected shape (2, 3), got (6,)",
    ),
    "2.5 changes x and does not put it back": Mistake(
        STEP + "\n        " + QUOTIENT,
        "old = x.clone()\n        up, down = x.clone(), x.clone()\n        up.view(-1)[i] += eps\n        down.view(-1)[i] -= eps\n        gradient.view(-1)[i] = (function(up) - function(down)) / (2 * eps)\n        if i == x.numel() - 1:\n            x.copy_(up)",
        "which must not change",
    ),
    "2.5 knows vectors only": Mistake(
        "for i in range(x.numel()):\n        step", "for i in range(len(x)):\n        step"
    ),
    "2.6 returns the slopes": Mistake(WEIGHTS, "return slopes", "returning the slopes"),
    "2.6 forgets the first weight": Mistake(
        WEIGHTS, "return slopes.diff()", "expected shape (3,), got (2,)"
    ),
    "2.6 has the wrong sign": Mistake(
        WEIGHTS, WEIGHTS.replace("return ", "return -"), "the slope before minus the slope after"
    ),
    "2.6 forgets the knots": Mistake(
        SLOPES, "slopes = values.diff()", "not dividing by the differences of the knots"
    ),
    "2.6 swaps the quotient": Mistake(SLOPES, "slopes = knots.diff() / values.diff()"),
    "2.6 has a weight for the last knot": Mistake(
        WEIGHTS,
        WEIGHTS.replace("))", "), append=slopes.new_zeros(1))"),
        "expected shape (3,), got (4,)",
    ),
    "2.6 appends instead": Mistake(WEIGHTS, WEIGHTS.replace("prepend", "append")),
    "2.7 divides with /": Mistake(BOUND, BOUND.replace("//", "/"), "`/` instead of `//`"),
    "2.7 leaves out the last j": Mistake(LAST, LAST.replace("num_inputs + 1", "num_inputs")),
    "2.7 leaves out j = 0": Mistake(LAST, LAST.replace("range(num", "range(1, num")),
    "2.7 raises to layers": Mistake(BOUND, BOUND.replace("(layers - 1)", "layers")),
    "2.7 forgets num_inputs in the power": Mistake(
        BOUND,
        BOUND.replace("(num_inputs * (layers - 1))", "(layers - 1)"),
        "a power of layers - 1 alone",
    ),
    "2.7 sums over the width": Mistake(LAST, LAST.replace("num_inputs + 1", "width + 1")),
    "2.7 swaps n and j": Mistake(LAST, LAST.replace("width, j", "num_inputs, j")),
    "2.8 looks at the last layer": Mistake(
        COUNT, "return len(patterns[-1].unique(dim=0))", "counting the last layer's patterns only"
    ),
    "2.8 looks at the first layer": Mistake(
        COUNT,
        "return len(patterns[0].unique(dim=0))",
        "counting the first layer's patterns only, or",
    ),
    "2.8 adds up the layers": Mistake(
        COUNT,
        "return sum(len(pattern.unique(dim=0)) for pattern in patterns)",
        "adding up the counts of the layers",
    ),
    "2.8 is on at 0": Mistake(RELU, RELU.replace("> 0", ">= 0"), "expected"),
    "2.8 forgets the biases": Mistake(
        RELU, RELU.replace(" + bias", ""), "or leaving out the biases"
    ),
    "2.8 forgets the ReLU": Mistake(
        RELU, RELU.replace("torch.relu(points @ weight.T + bias)", "points @ weight.T + bias")
    ),
    "2.8 counts every point": Mistake(COUNT, COUNT.replace(".unique(dim=0)", ""), "expected"),
    "2.8 counts units": Mistake(COUNT, "return int(torch.cat(patterns, dim=1).any(dim=0).sum())"),
    "2.8 counts the outputs": Mistake(RELU, RELU.replace("points > 0", "points")),
    "2.8 gives the patterns": Mistake(
        COUNT, "return torch.cat(patterns, dim=1).unique(dim=0)", "expected the int 1, got a tensor"
    ),
    "2.9 goes up": Mistake(
        UPDATE,
        UPDATE.replace("value -", "value +"),
        "adding the derivatives instead of subtracting them",
    ),
    "2.9 forgets lr": Mistake(UPDATE, UPDATE.replace("lr * ", ""), "leaving out lr"),
    "2.9 starts every batch anew": Mistake(
        GRADIENTS + UPDATE.removeprefix("params = {"),
        "gradients = backward(params, inputs, hidden, cross_entropy_gradient(logits, targets))\n        new = {"
        + UPDATE.removeprefix("params = {"),
        "returning the old parameters",
    ),
    "2.9 uses the first parameters for all": Mistake(
        "hidden, logits = forward(params, inputs)\n        gradients = backward(params, inputs,",
        "start = params if count == 0 else start\n        hidden, logits = forward(start, inputs)\n        gradients = backward(start, inputs,",
        "using the first parameters for all batches",
    ),
    "2.9 changes the given parameters": Mistake(
        UPDATE,
        "for name in params:\n            params[name] -= lr * gradients[name]",
        "which must not change",
    ),
    "2.9 gives the mean over the batches": Mistake(
        ADD + "\n        count += len(targets)",
        ADD.replace(" * len(targets)", "") + "\n        count += 1",
        "the mean over the batches instead of the samples",
    ),
    "2.9 divides the batches' means by the samples": Mistake(
        ADD, ADD.replace(" * len(targets)", "")
    ),
    "2.9 gives the last loss": Mistake(
        END, "return params, cross_entropy(logits, targets).item()", "the loss of the last batch"
    ),
    "2.9 gives the sum": Mistake(
        END, "return params, total", "the sum over the samples instead of the mean"
    ),
    "2.9 measures the loss after the step": Mistake(
        ADD,
        ADD.replace("logits,", "forward(params, inputs)[1],"),
        "the loss after each step instead of before it",
    ),
    "2.9 returns after the first batch": Mistake(
        "count += len(targets)\n    " + END,
        "count += len(targets)\n        " + END,
        "training on the first batch only",
    ),
    "2.9 moves the weights only": Mistake(
        UPDATE,
        'params = {name: value - lr * gradients[name] * name.startswith("w") for name, value in params.items()}',
        "moving the weights but not the biases",
    ),
    "2.9 forgets the loss": Mistake(END, "return params", "expected 2 values"),
    "2.9 passes the targets for dlogits": Mistake(
        "cross_entropy_gradient(logits, targets))\n        params =", "logits)\n        params ="
    ),
    "2.9 passes the inputs of one batch": Mistake(
        "for inputs, targets in batches:\n        hidden",
        "for inputs, targets in list(batches)[:1]:\n        hidden",
        "training on the first batch only",
    ),
    "2.5 returns float32": Mistake(
        "    gradient = torch.zeros_like(x)\n    for",
        "    gradient = torch.zeros(x.shape)\n    for",
        "dtype",
    ),
    "2.8 counts different outputs": Mistake(
        "        patterns.append(points > 0)\n    return",
        "        patterns.append(points)\n    return",
        "instead of on and off",
    ),
}
