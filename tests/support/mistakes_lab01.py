"""Typical mistakes in lab 01."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

NEURON = "return (inputs @ weight + bias >= 0).float()"
AND = "return torch.tensor([1.0, 1.0]), -1.5"
HIDDEN_BIAS = "hidden_bias = torch.tensor([-0.5, -1.5])  # OR, AND"
XOR = "return hidden_weight, hidden_bias, torch.tensor([1.0, -1.0]), -0.5"
ERROR = "error = targets[i] - neuron(x[None], weight, bias)[0]"
UPDATE = "weight, bias = weight + lr * error * x, bias + lr * error"
COUNT = "mistakes += int(error != 0)"
LINE_ERROR = "error = a * x + b - y"
LINE = "return (2 * x * error).mean(), (2 * error).mean()"
STEP = """da, db = line_gradient(a, b, x, y)
        a, b = a - lr * da, b - lr * db"""
PATH = "path = [(a, b)]\n"
APPEND = "path.append((float(a), float(b)))\n    return torch.tensor(path)"
SIGMOID = "error = torch.sigmoid(inputs @ weight + bias) - targets  # (N,)"
LOGISTIC = "return error @ inputs / len(inputs), error.mean()"

MISTAKES = {
    "1.4 changes the given weight": Mistake(
        "weight, bias = weight + lr * error * x, bias + lr * error",
        "weight += lr * error * x\n        bias = bias + lr * error",
        "must not change",
    ),
    "1.4 changes the given bias": Mistake(
        "weight, bias = weight + lr * error * x, bias + lr * error",
        "weight = weight + lr * error * x\n        bias += lr * error",
        "must not change",
    ),
    "1.1 fires only above 0": Mistake(NEURON, NEURON.replace(">=", ">"), "`> 0` instead of `>= 0`"),
    "1.1 forgets the bias": Mistake(NEURON, NEURON.replace(" + bias", ""), "leaving out the bias"),
    "1.1 subtracts the bias": Mistake(
        NEURON, NEURON.replace("+ bias", "- bias"), "subtracting the bias"
    ),
    "1.1 adds the bias to each product": Mistake(
        NEURON,
        "return ((inputs * weight + bias).sum(dim=1) >= 0).float()",
        "adding the bias for each input",
    ),
    "1.1 gives truth values": Mistake(
        NEURON, NEURON.replace(".float()", ""), "expected torch.float32, got torch.bool"
    ),
    "1.1 gives whole numbers": Mistake(
        NEURON, NEURON.replace("float", "int"), "expected torch.float32, got torch.int32"
    ),
    "1.1 answers -1 instead of 0": Mistake(NEURON, "return torch.sign(inputs @ weight + bias)"),
    "1.1 leaves out the step": Mistake(NEURON, "return inputs @ weight + bias"),
    "1.1 applies a sigmoid": Mistake(NEURON, "return torch.sigmoid(inputs @ weight + bias)"),
    "1.1 sums over the samples": Mistake(
        NEURON,
        "return ((inputs * weight).sum(dim=0) + bias >= 0).float()",
        "expected shape (4,), got (3,)",
    ),
    "1.1 has no return": Mistake(NEURON, NEURON.removeprefix("return "), "is a `return` missing?"),
    "1.1 gives a numpy array": Mistake(
        NEURON, NEURON + ".numpy()", "torch.from_numpy makes it a tensor"
    ),
    "1.2 is an OR": Mistake(AND, AND.replace("-1.5", "-0.5"), "the result of an OR gate"),
    "1.2 is a NAND": Mistake(
        AND, "return torch.tensor([-1.0, -1.0]), 1.5", "the result of a NAND gate"
    ),
    "1.2 has no margin": Mistake(AND, AND.replace("-1.5", "-2.0"), "off by up to 0.1"),
    "1.2 has no margin below": Mistake(AND, AND.replace("-1.5", "-1.05"), "off by up to 0.1"),
    "1.2 has a bias of the wrong sign": Mistake(AND, AND.replace("-1.5", "1.5")),
    "1.2 has no bias": Mistake(
        AND,
        "return torch.tensor([1.0, 1.0])",
        "expected 2 values (weight, bias), got a tensor of shape (2,)",
    ),
    "1.2 has a column of weights": Mistake(
        AND, AND.replace("[1.0, 1.0]", "[[1.0], [1.0]]"), "expected shape (2,), got (2, 1)"
    ),
    "1.2 gives a list": Mistake(
        AND,
        "return [1.0, 1.0], -1.5",
        "the weight: expected a tensor of shape (2,), got a list of 2 values",
    ),
    "1.3 answers the opposite": Mistake(
        XOR, XOR.replace("[1.0, -1.0]), -0.5", "[-1.0, 1.0]), 0.5"), "XNOR, the opposite"
    ),
    "1.3 swaps OR and AND": Mistake(HIDDEN_BIAS, HIDDEN_BIAS.replace("-0.5, -1.5", "-1.5, -0.5")),
    "1.3 has the AND with weight 1": Mistake(XOR, XOR.replace("-1.0]", "1.0]"), "an OR gate"),
    "1.3 has a hidden neuron without margin": Mistake(
        HIDDEN_BIAS, HIDDEN_BIAS.replace("-0.5, -1.5", "-1.0, -2.0"), "off by up to 0.1"
    ),
    "1.3 gives one hidden bias": Mistake(
        HIDDEN_BIAS,
        "hidden_bias = torch.tensor([-0.5])",
        "the hidden bias: expected shape (2,), got (1,)",
    ),
    "1.3 gives the hidden neurons one by one": Mistake(
        XOR,
        "return hidden_weight[0], hidden_bias[0], hidden_weight[1], hidden_bias[1], torch.tensor([1.0, -1.0]), -0.5",
        "expected 4 values",
    ),
    "1.3 has an output weight of shape (1, 2)": Mistake(
        XOR,
        XOR.replace("[1.0, -1.0]", "[[1.0, -1.0]]"),
        "the output weight: expected shape (2,), got (1, 2)",
    ),
    "1.4 has the wrong sign": Mistake(
        ERROR, "error = neuron(x[None], weight, bias)[0] - targets[i]"
    ),
    "1.4 forgets lr": Mistake(UPDATE, UPDATE.replace("lr * ", ""), "leaving out lr"),
    "1.4 forgets lr at the bias": Mistake(
        UPDATE, UPDATE.replace("bias + lr * error", "bias + error"), "leaving out lr at the bias"
    ),
    "1.4 forgets the bias": Mistake(
        UPDATE, "weight = weight + lr * error * x", "a bias that never changes"
    ),
    "1.4 forgets x": Mistake(UPDATE, UPDATE.replace(" * x", "")),
    "1.4 uses the old weights": Mistake(
        "mistakes = 0\n    for i, x in enumerate(inputs):\n        error = targets[i] - neuron(x[None], weight, bias)[0]",
        "mistakes, old = 0, (weight, bias)\n    for i, x in enumerate(inputs):\n        error = targets[i] - neuron(x[None], *old)[0]",
        "the old weights for all samples",
    ),
    "1.4 counts the samples": Mistake(COUNT, "mistakes += 1", "counting the samples"),
    "1.4 counts the right answers": Mistake(COUNT, COUNT.replace("!=", "==")),
    "1.4 adds up signed errors": Mistake(COUNT, "mistakes += int(error)"),
    "1.4 only adds": Mistake(ERROR, f"{ERROR.replace('= ', '= (')}).clamp(min=0)"),
    "1.4 stops at the first mistake": Mistake(
        COUNT, COUNT + "\n        if mistakes:\n            break"
    ),
    "1.5 sums": Mistake(
        LINE, "return (2 * x * error).sum(), (2 * error).sum()", "the sum instead of the mean"
    ),
    "1.5 forgets the 2": Mistake(LINE, LINE.replace("2 * ", ""), "leaving out the factor 2"),
    "1.5 forgets the 2 once": Mistake(
        LINE, LINE.replace("(2 * error)", "error"), "the factor 2 in one of the two only"
    ),
    "1.5 has the wrong sign": Mistake(LINE_ERROR, "error = y - (a * x + b)", "a wrong sign"),
    "1.5 forgets x": Mistake(LINE, LINE.replace("2 * x", "2"), "leaving out the factor x"),
    "1.5 swaps the two": Mistake(
        LINE, "return (2 * error).mean(), (2 * x * error).mean()", "swapping the two"
    ),
    "1.5 forgets b": Mistake(LINE_ERROR, "error = a * x - y", "leaving out b"),
    "1.5 multiplies means": Mistake(
        LINE,
        LINE.replace("(2 * x * error).mean()", "2 * x.mean() * error.mean()"),
        "the mean of x times the mean of the errors",
    ),
    "1.5 returns one for each point": Mistake(
        LINE,
        LINE.replace(".mean()", ""),
        "the derivative with respect to a: expected shape (), got (3,)",
    ),
    "1.6 changes a before b": Mistake(
        STEP,
        "a = a - lr * line_gradient(a, b, x, y)[0]\n        b = b - lr * line_gradient(a, b, x, y)[1]",
        "changing a before you compute the derivative for b",
    ),
    "1.6 goes up": Mistake(
        STEP,
        STEP.replace("a - lr", "a + lr").replace("b - lr", "b + lr"),
        "going up instead of down",
    ),
    "1.6 forgets the start": Mistake(PATH, "path = []\n", "leaving out the start"),
    "1.6 forgets lr": Mistake(STEP, STEP.replace("lr * ", ""), "leaving out lr"),
    "1.6 has its own lr": Mistake(STEP, STEP.replace("lr * ", "0.1 * ")),
    "1.6 computes the derivatives once": Mistake(
        "for _ in range(steps):\n        da, db = line_gradient(a, b, x, y)\n",
        "da, db = line_gradient(a, b, x, y)\n    for _ in range(steps):\n",
        "the derivatives at the start in every step",
    ),
    "1.6 returns only the end": Mistake(
        APPEND,
        "pass\n    return torch.tensor([float(a), float(b)])",
        "the path: expected shape (3, 2), got (2,)",
    ),
    "1.6 swaps a and b": Mistake(
        APPEND, APPEND.replace("float(a), float(b)", "float(b), float(a)")
    ),
    "1.6 returns a list": Mistake(
        APPEND,
        APPEND.replace("torch.tensor(path)", "path"),
        "the path: expected a tensor of shape (3, 2), got a list of 3 values",
    ),
    "1.6 uses the derivative of a for both": Mistake(STEP, STEP.replace("lr * db", "lr * da")),
    "1.7 sums": Mistake(
        LOGISTIC, "return error @ inputs, error.sum()", "the sums instead of the means"
    ),
    "1.7 sums for the weight": Mistake(
        LOGISTIC,
        LOGISTIC.replace(" / len(inputs)", ""),
        "the sum instead of the mean for the weight",
    ),
    "1.7 sums for the bias": Mistake(
        LOGISTIC, LOGISTIC.replace("mean", "sum"), "the sum instead of the mean for the bias"
    ),
    "1.7 divides by D": Mistake(
        LOGISTIC, LOGISTIC.replace("len(inputs)", "len(weight)"), "dividing by D instead of N"
    ),
    "1.7 has the wrong sign": Mistake(
        SIGMOID, "error = targets - torch.sigmoid(inputs @ weight + bias)", "t - p instead of p - t"
    ),
    "1.7 forgets the bias": Mistake(
        SIGMOID, SIGMOID.replace(" + bias", ""), "leaving out the bias"
    ),
    "1.7 forgets the sigmoid": Mistake(
        SIGMOID, "error = inputs @ weight + bias - targets", "leaving out the sigmoid"
    ),
    "1.7 rounds p": Mistake(
        SIGMOID, "error = torch.sigmoid(inputs @ weight + bias).round() - targets"
    ),
    "1.7 returns a column": Mistake(
        LOGISTIC,
        LOGISTIC.replace("error @ inputs", "(error @ inputs)[:, None]"),
        "expected shape (2,), got (2, 1)",
    ),
    "1.7 adds the derivative of a square": Mistake(
        LOGISTIC,
        "slope = (error + targets) * (1 - error - targets)\n    return (error * slope) @ inputs / len(inputs), (error * slope).mean()",
    ),
}
