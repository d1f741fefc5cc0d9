"""Typical mistakes in lab 04."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

SCALE = "mean, scale = train.mean(dim=0), (train.var(dim=0, correction=0) + eps).sqrt()"
STANDARD = "return (train - mean) / scale, (val - mean) / scale, (test - mean) / scale"
XAVIER = "return torch.randn(fan_out, fan_in) * (2 / (fan_in + fan_out)) ** 0.5"
KAIMING = "return torch.randn(fan_out, fan_in) * (2 / fan_in) ** 0.5"
LAYER = "inputs = activation(inputs @ weight.T)\n        outputs.append(inputs)"
BATCH = "mean, var = inputs.mean(dim=0), inputs.var(dim=0, correction=0)"
MEAN = "self.running_mean = torch.lerp(self.running_mean, mean.detach(), self.momentum)"
VAR = "self.running_var = torch.lerp(self.running_var, var.detach(), self.momentum)"
NORM = "return (inputs - mean) / (var + self.eps).sqrt() * self.weight + self.bias"
EVAL = "if not training:\n        return inputs\n    "
DROP = "return inputs * (torch.rand_like(inputs) >= p) / (1 - p)"
STEP = "return weight - lr * (gradient + weight_decay * weight)"
COUNT = "self.epoch += 1\n        if error >= self.best:\n            return False\n"
KEEP = "self.best, self.best_epoch = error, self.epoch\n        return True"
STOP = "return self.epoch - self.best_epoch >= self.patience"

MISTAKES = {
    "4.1 changes train": Mistake(
        "return (train - mean) / scale, (val",
        "train -= mean\n    return train / scale, (val",
        "must not change",
    ),
    "4.5 detaches the inputs": Mistake(
        "return inputs * (torch.rand_like(inputs) >= p) / (1 - p)",
        "return inputs.detach() * (torch.rand_like(inputs) >= p) / (1 - p)",
        "detached",
    ),
    "4.1 divides by N - 1": Mistake(
        SCALE, SCALE.replace(", correction=0", ""), "the variance with N - 1"
    ),
    "4.1 standardizes val by itself": Mistake(
        STANDARD,
        STANDARD.replace(
            "(val - mean) / scale", "(val - val.mean(0)) / (val.var(0, correction=0) + eps).sqrt()"
        ),
        "the mean and variance of val for val",
    ),
    "4.1 takes the values of all three": Mistake(
        SCALE,
        "whole = torch.cat([train, val, test])\n    mean, scale = whole.mean(dim=0), (whole.var(dim=0, correction=0) + eps).sqrt()",
        "the mean and variance of all three",
    ),
    "4.1 has one mean for all columns": Mistake(
        SCALE,
        SCALE.replace("dim=0, ", "").replace("dim=0", ""),
        "one mean and variance for all columns",
    ),
    "4.1 divides by the variance": Mistake(
        SCALE, SCALE.replace(".sqrt()", ""), "dividing by the variance"
    ),
    "4.1 forgets the mean": Mistake(
        STANDARD, STANDARD.replace(" - mean", ""), "leaving out the mean"
    ),
    "4.1 has eps outside the root": Mistake(
        SCALE,
        "mean, scale = train.mean(dim=0), train.var(dim=0, correction=0).sqrt() + eps",
        "eps outside the root",
    ),
    "4.1 has its own eps": Mistake(SCALE, SCALE.replace("eps", "0.01"), "ignoring eps"),
    "4.1 leaves out test": Mistake(
        STANDARD,
        STANDARD.replace(", (test - mean) / scale", ""),
        "expected 3 values (train, val, test), got 2 values",
    ),
    "4.2 forgets the root": Mistake(
        XAVIER, XAVIER.replace(" ** 0.5", ""), "the variance instead of its root"
    ),
    "4.2 has the shape the other way": Mistake(
        XAVIER,
        XAVIER.replace("fan_out, fan_in)", "fan_in, fan_out)"),
        "expected shape (600, 200), got (200, 600)",
    ),
    "4.2 draws uniformly": Mistake(
        XAVIER,
        "return (2 * torch.rand(fan_out, fan_in) - 1) * (6 / (fan_in + fan_out)) ** 0.5",
        "expected a normal distribution",
    ),
    "4.2 has Kaiming's variance in xavier": Mistake(
        XAVIER,
        XAVIER.replace("(fan_in + fan_out)", "fan_in"),
        "2 / fan_in instead of 2 / (fan_in + fan_out)",
    ),
    "4.2 has 1 for 2": Mistake(KAIMING, KAIMING.replace("2 /", "1 /"), "1 instead of 2"),
    "4.2 has fan_out in kaiming": Mistake(
        KAIMING, KAIMING.replace("2 / fan_in", "2 / fan_out"), "2 / fan_out"
    ),
    "4.2 forgets the factor": Mistake(
        KAIMING, "return torch.randn(fan_out, fan_in)", "leaving out the factor"
    ),
    "4.2 has a mean of its own": Mistake(
        KAIMING, KAIMING.replace("** 0.5", "** 0.5 * 0.995 + (2 / fan_in) ** 0.5 * 0.1"), "the mean"
    ),
    "4.2 seeds": Mistake(
        KAIMING, "torch.manual_seed(0)\n    " + KAIMING, "new random numbers in each call"
    ),
    "4.3 forgets the activation": Mistake(
        LAYER,
        LAYER.replace("activation(inputs @ weight.T)", "inputs @ weight.T"),
        "leaving out the activation",
    ),
    "4.3 keeps what comes before the activation": Mistake(
        LAYER,
        "before = inputs @ weight.T\n        outputs.append(before)\n        inputs = activation(before)",
        "collecting what comes before the activation",
    ),
    "4.3 puts the inputs first": Mistake(
        "outputs = []\n    for weight", "outputs = [inputs]\n    for weight", "expected 3 values"
    ),
    "4.3 starts every layer from the inputs": Mistake(
        LAYER, "outputs.append(activation(inputs @ weight.T))"
    ),
    "4.3 returns the last layer": Mistake(
        LAYER + "\n    return outputs",
        LAYER + "\n    return inputs",
        "expected 3 values (layer 1, layer 2, layer 3), got a tensor",
    ),
    "4.3 forgets to transpose": Mistake(LAYER, LAYER.replace(".T", "")),
    "4.3 always takes a ReLU": Mistake(
        LAYER, LAYER.replace("activation(", "torch.relu("), "a ReLU, whatever the activation"
    ),
    "4.3 activates the inputs": Mistake(
        LAYER, LAYER.replace("activation(inputs @ weight.T)", "activation(inputs) @ weight.T")
    ),
    "4.4 uses the running values in training": Mistake(
        NORM, NORM.replace("mean) / (var", "self.running_mean) / (self.running_var")
    ),
    "4.4 divides by N - 1": Mistake(
        BATCH, BATCH.replace(", correction=0", ""), "the variance with N - 1"
    ),
    "4.4 forgets weight and bias": Mistake(
        NORM, NORM.replace(" * self.weight + self.bias", ""), "leaving out weight and bias"
    ),
    "4.4 forgets the bias": Mistake(NORM, NORM.replace(" + self.bias", ""), "leaving out bias"),
    "4.4 has its own eps": Mistake(NORM, NORM.replace("self.eps", "1e-5"), "ignoring eps"),
    "4.4 swaps momentum": Mistake(
        MEAN,
        MEAN.replace("self.momentum)", "1 - self.momentum)"),
        "swapping momentum and 1 - momentum",
    ),
    "4.4 forgets running_var": Mistake(VAR, "pass", "a running_var that never changes"),
    "4.4 keeps the batch's values": Mistake(
        MEAN, "self.running_mean = mean.detach()", "running values that are those of the batch"
    ),
    "4.4 ignores evaluation mode": Mistake(
        "if self.training:\n            mean, var",
        "if True:\n            mean, var",
        "the values of the batch in evaluation mode",
    ),
    "4.4 updates in evaluation mode too": Mistake(
        NORM,
        "new = inputs.mean(dim=0).detach()\n        self.running_mean = torch.lerp(self.running_mean, new, 0.0 if self.training else self.momentum)\n        "
        + NORM,
        "in evaluation mode, second call",
    ),
    "4.4 keeps the graph": Mistake(
        MEAN, MEAN.replace("mean.detach()", "mean"), "keep the gradient graph"
    ),
    "4.4 detaches the mean": Mistake(
        BATCH, BATCH.replace("inputs.mean(dim=0)", "inputs.mean(dim=0).detach()"), "a detached mean"
    ),
    "4.4 detaches the variance": Mistake(
        BATCH, BATCH + "\n            var = var.detach()", "a detached variance"
    ),
    "4.4 normalizes each sample": Mistake(
        BATCH,
        "mean, var = inputs.mean(dim=1, keepdim=True), inputs.var(dim=1, correction=0, keepdim=True)",
    ),
    "4.4 normalizes all units together": Mistake(
        BATCH, "mean, var = inputs.mean(), inputs.var(correction=0)"
    ),
    "4.4 forgets the root": Mistake(NORM, NORM.replace(".sqrt()", ""), "dividing by the variance"),
    "4.5 forgets to divide": Mistake(
        DROP, DROP.replace(" / (1 - p)", ""), "leaving out the division by 1 - p"
    ),
    "4.5 divides by p": Mistake(
        DROP, DROP.replace("/ (1 - p)", "/ p if p else inputs"), "dividing by p"
    ),
    "4.5 multiplies": Mistake(DROP, DROP.replace("/ (1 - p)", "* (1 - p)"), "multiplying by 1 - p"),
    "4.5 keeps with probability p": Mistake(DROP, DROP.replace(">= p", "< p"), "expected"),
    "4.5 drops in evaluation mode too": Mistake(EVAL, "", "in evaluation mode"),
    "4.5 scales in evaluation mode": Mistake(
        EVAL,
        EVAL.replace("return inputs", "return inputs * (1 - p)"),
        "multiplying by 1 - p in evaluation mode",
    ),
    "4.5 drops whole columns": Mistake(
        DROP,
        DROP.replace("torch.rand_like(inputs)", "torch.rand_like(inputs[0])"),
        "expected",
    ),
    "4.5 drops whole rows": Mistake(
        DROP, DROP.replace("torch.rand_like(inputs)", "torch.rand_like(inputs[:, :1])"), "expected"
    ),
    "4.5 changes the inputs": Mistake(
        DROP,
        "inputs[torch.rand_like(inputs) < p] = 0\n    return inputs / (1 - p)",
        "which must not change",
    ),
    "4.5 draws normally": Mistake(DROP, DROP.replace("rand_like", "randn_like"), "with p = 0"),
    "4.5 returns the mask": Mistake(
        DROP, "return (torch.rand_like(inputs) >= p) / (1 - p)", "with p = 0"
    ),
    "4.5 ignores p": Mistake(
        DROP, DROP.replace(">= p", ">= 0.5").replace("(1 - p)", "0.5"), "expected"
    ),
    "4.6 forgets the decay": Mistake(
        STEP, "return weight - lr * gradient", "leaving out the weight decay"
    ),
    "4.6 takes the penalty itself": Mistake(
        STEP,
        STEP.replace("weight_decay * weight)", "weight_decay / 2 * weight**2)"),
        "the penalty itself instead of its gradient",
    ),
    "4.6 squares": Mistake(
        STEP,
        STEP.replace("weight_decay * weight)", "weight_decay * weight**2)"),
        "decay * weight ** 2",
    ),
    "4.6 halves": Mistake(
        STEP,
        STEP.replace("weight_decay * weight)", "weight_decay / 2 * weight)"),
        "half of the decay",
    ),
    "4.6 forgets lr at the decay": Mistake(
        STEP, "return weight - lr * gradient - weight_decay * weight", "a decay without lr"
    ),
    "4.6 adds the decay": Mistake(
        STEP, STEP.replace("gradient +", "gradient -"), "adding the decay instead of subtracting it"
    ),
    "4.6 forgets lr": Mistake(STEP, STEP.replace("lr * ", ""), "leaving out lr"),
    "4.6 goes up": Mistake(
        STEP,
        STEP.replace("weight - lr", "weight + lr"),
        "adding the step instead of subtracting it",
    ),
    "4.6 shrinks the new weight": Mistake(
        STEP,
        "return (weight - lr * gradient) * (1 - lr * weight_decay)",
        "shrinking the new weight",
    ),
    "4.6 takes the sign": Mistake(
        STEP,
        STEP.replace("* weight)", "* weight.sign())"),
        "the sign of the weight instead of the weight",
    ),
    "4.7 takes an equal error": Mistake(
        COUNT, COUNT.replace(">=", ">"), "taking an equal error for an improvement"
    ),
    "4.7 counts from 0": Mistake(
        COUNT + "        " + KEEP,
        COUNT.replace("self.epoch += 1\n        ", "") + "        " + KEEP,
    ),
    "4.7 counts improvements only": Mistake(
        COUNT + "        ",
        COUNT.replace("self.epoch += 1\n        ", "") + "        self.epoch += 1\n        ",
        "epoch: expected",
    ),
    "4.7 forgets best_epoch": Mistake(
        KEEP,
        KEEP.replace("self.best, self.best_epoch = error, self.epoch", "self.best = error"),
        "best_epoch",
    ),
    "4.7 keeps the last error": Mistake(
        COUNT,
        COUNT.replace("return False", "self.best = error\n            return False"),
        "the last error instead of the lowest",
    ),
    "4.7 has no return": Mistake(
        KEEP, KEEP.removesuffix("\n        return True"), "is a `return` missing?"
    ),
    "4.7 stops one epoch too late": Mistake(STOP, STOP.replace(">=", ">"), "one epoch too late"),
    "4.7 stops one epoch too early": Mistake(
        STOP,
        STOP.replace(">= self.patience", ">= self.patience - 1"),
        "stop: expected False, got True",
    ),
    "4.7 counts epochs from the start": Mistake(
        STOP, STOP.replace(" - self.best_epoch", ""), "stop: expected False, got True"
    ),
    "4.7 swaps the answers": Mistake(
        STOP, STOP.replace(">=", "<"), "stop: expected False, got True"
    ),
    "4.7 never remembers the best epoch": Mistake(
        "self.best, self.best_epoch = error, self.epoch", "self.best = error", "not remembering"
    ),
    "4.7 compares with the error before": Mistake(
        "        if error >= self.best:\n            return False\n        self.best,",
        "        if self.epoch > 1 and error >= self.last:\n            self.last = error\n            return False\n        self.last = error\n        self.best,",
        "the error before",
    ),
}
