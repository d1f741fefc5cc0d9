"""Typical mistakes in lab 10."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

PCA = """    mean = images.mean(dim=0)
    _, _, directions = torch.linalg.svd(images - mean, full_matrices=False)
    return mean, directions[:latent_dim]
"""
SVD = "_, _, directions = torch.linalg.svd(images - mean, full_matrices=False)"
ENCODE = "codes = (images - mean) @ components.T"
DECODE = "return codes, codes @ components + mean"
LAYERS = """        for net, widths in ((self.encoder, sizes), (self.decoder, sizes[::-1])):
            for fan_in, fan_out in itertools.pairwise(widths):
                net.extend([nn.Linear(fan_in, fan_out), nn.SiLU()])
            net.pop(-1)
        self.decoder.append(nn.Sigmoid())
"""
FLATTEN = "return self.encoder(inputs.flatten(1))"
SQUARED = "errors = (outputs - targets).square()"
ABSOLUTE = "errors = (outputs - targets).abs()"
ENTROPY = 'errors = F.binary_cross_entropy(outputs, targets, reduction="none")'
REDUCE = "return errors.sum() / len(targets)"
LINE = """    weights = torch.linspace(0, 1, steps).to(start)[:, None]
    return (1 - weights) * start + weights * end
"""
KEEP = "keep = torch.rand(images.shape, generator=generator) >= fraction"
DENOISE = "return reconstruction_loss(model(images * keep.to(images.device)), images)"
TURNS = "inputs = torch.cat([images.rot90(turns, (2, 3)) for turns in range(4)])"
TARGETS = "return inputs, torch.arange(4, device=images.device).repeat_interleave(len(images))"

MISTAKES = {
    "10.4 detaches the absolute errors": Mistake(
        "errors = (outputs - targets).abs()",
        "errors = (outputs - targets).detach().abs()",
        "detached",
    ),
    "10.1 does not subtract the mean": Mistake(
        SVD, SVD.replace("images - mean", "images"), "not subtracting the mean"
    ),
    "10.1 returns columns": Mistake(
        PCA, PCA.replace("directions[:latent_dim]", "directions.T[:, :latent_dim]")
    ),
    "10.1 has the smallest variance first": Mistake(
        PCA,
        PCA.replace("directions[:", "directions.flip(0)[:"),
        "taking the directions of smallest variance",
    ),
    "10.1 returns all directions": Mistake(
        PCA, PCA.replace("directions[:latent_dim]", "directions")
    ),
    "10.1 takes the mean of each image": Mistake(PCA, PCA.replace("dim=0)", "dim=1)")),
    "10.1 scales the directions": Mistake(
        PCA,
        PCA.replace("_, _, dir", "_, S, dir").replace(
            "directions[:latent_dim]", "(S[:, None] * directions)[:latent_dim]"
        ),
    ),
    "10.1 divides each pixel by its deviation": Mistake(
        SVD, SVD.replace("images - mean", "(images - mean) / (images.std(dim=0) + 1e-6)")
    ),
    "10.1 swaps mean and components": Mistake(
        PCA, PCA.replace("mean, directions[:latent_dim]", "directions[:latent_dim], mean")
    ),
    "10.1 keeps a dimension of the mean": Mistake(
        PCA, PCA.replace("dim=0)", "dim=0, keepdim=True)")
    ),
    "10.1 changes its images": Mistake(SVD, SVD.replace("images - mean", "images.sub_(mean)")),
    "10.1 takes the first pixels of the directions": Mistake(
        PCA, PCA.replace("directions[:latent_dim]", "directions[:, :latent_dim]")
    ),
    "10.2 does not subtract the mean": Mistake(
        ENCODE, ENCODE.replace("(images - mean)", "images"), "not subtracting the mean"
    ),
    "10.2 does not add the mean": Mistake(
        DECODE, DECODE.replace(" + mean", ""), "not adding the mean"
    ),
    "10.2 subtracts the mean again": Mistake(
        DECODE, DECODE.replace("+ mean", "- mean"), "subtracting the mean from the outputs"
    ),
    "10.2 swaps codes and outputs": Mistake(
        DECODE, "return codes @ components + mean, codes", "the order outputs, codes"
    ),
    "10.2 does not transpose": Mistake(ENCODE, ENCODE.replace("components.T", "components")),
    "10.2 returns only the outputs": Mistake(DECODE, "return codes @ components + mean"),
    "10.2 returns the images": Mistake(
        DECODE, "return codes, images", "returning the images, not what the code keeps of them"
    ),
    "10.2 changes its images": Mistake(
        ENCODE, ENCODE.replace("images - mean", "images.sub_(mean)")
    ),
    "10.2 takes the mean of these images": Mistake(
        ENCODE, f"mean = images.mean(dim=0)\n    {ENCODE}"
    ),
    "10.3 has a SiLU after the code": Mistake(
        LAYERS,
        LAYERS.replace(
            "            net.pop(-1)\n",
            "            if net is self.decoder:\n                net.pop(-1)\n",
        ),
        "SiLU after the code",
    ),
    "10.3 forgets the SiLU": Mistake(
        LAYERS,
        LAYERS.replace(", nn.SiLU()])", "])").replace("            net.pop(-1)\n", ""),
        "leaving out the SiLU between the layers",
    ),
    "10.3 takes ReLU": Mistake(LAYERS, LAYERS.replace("SiLU", "ReLU"), "ReLU instead of SiLU"),
    "10.3 forgets the sigmoid": Mistake(
        LAYERS,
        LAYERS.replace("        self.decoder.append(nn.Sigmoid())\n", ""),
        "leaving out the sigmoid at the end",
    ),
    "10.3 has a sigmoid after the code too": Mistake(
        LAYERS, LAYERS + "        self.encoder.append(nn.Sigmoid())\n", "a sigmoid after the code"
    ),
    "10.3 keeps the SiLU before the sigmoid": Mistake(
        LAYERS,
        LAYERS.replace(
            "            net.pop(-1)\n",
            "            if net is self.encoder:\n                net.pop(-1)\n",
        ),
        "SiLU before the sigmoid at the end",
    ),
    "10.3 takes tanh at the end": Mistake(
        LAYERS, LAYERS.replace("nn.Sigmoid", "nn.Tanh"), "tanh at the end instead of a sigmoid"
    ),
    "10.3 has the decoder in the encoder's order": Mistake(
        LAYERS, LAYERS.replace("sizes[::-1]", "sizes"), "a decoder with the sizes of the encoder"
    ),
    "10.3 ignores sizes": Mistake(
        LAYERS, f"        sizes = (784, 1000, 500, 250, 30)\n{LAYERS}", "ignoring sizes"
    ),
    "10.3 has one hidden layer": Mistake(
        LAYERS, f"        sizes = (sizes[0], sizes[1], sizes[-1])\n{LAYERS}"
    ),
    "10.3 leaves out the biases": Mistake(
        LAYERS, LAYERS.replace("fan_out)", "fan_out, bias=False)")
    ),
    "10.3 does not flatten": Mistake(FLATTEN, "return self.encoder(inputs)"),
    "10.3 flattens the whole batch": Mistake(FLATTEN, FLATTEN.replace("flatten(1)", "flatten()")),
    "10.3 expects 784 pixels": Mistake(FLATTEN, FLATTEN.replace("flatten(1)", "view(-1, 784)")),
    "10.3 detaches the code": Mistake(FLATTEN, FLATTEN.replace("(1))", "(1)).detach()")),
    "10.3 decodes too": Mistake(FLATTEN, "return self.decoder(self.encoder(inputs.flatten(1)))"),
    "10.4 takes the mean over the pixels": Mistake(
        REDUCE, "return errors.mean()", "the mean over all pixels"
    ),
    "10.4 adds up the images": Mistake(
        REDUCE, "return errors.sum()", "the sum over the images, not their mean"
    ),
    "10.4 divides by the pixels": Mistake(
        REDUCE,
        "return errors.sum() / targets.shape[1]",
        "dividing by the number of pixels instead of the images",
    ),
    "10.4 ignores kind": Mistake(
        'if kind == "squared":\n        errors',
        "if True:\n        errors",
        "ignoring kind='absolute'",
    ),
    "10.4 forgets the absolute value": Mistake(
        ABSOLUTE, "errors = outputs - targets", "leaving out the absolute value"
    ),
    "10.4 takes the length of the difference": Mistake(
        SQUARED,
        "errors = (outputs - targets).flatten(1).norm(dim=1)",
        "the length of the difference, not its square",
    ),
    "10.4 halves the squares": Mistake(
        SQUARED, "errors = (outputs - targets).square() / 2", "half of the squares"
    ),
    "10.4 swaps outputs and targets": Mistake(
        ENTROPY, ENTROPY.replace("outputs, targets", "targets, outputs")
    ),
    "10.4 takes the mean cross-entropy": Mistake(ENTROPY, ENTROPY.replace("none", "mean")),
    "10.4 is infinite where both are sure": Mistake(
        ENTROPY,
        "errors = -targets * outputs.log() - (1 - targets) * (1 - outputs).log()",
        "0 * log(0)",
    ),
    "10.4 forgets the second half of the cross-entropy": Mistake(
        ENTROPY, "errors = -torch.xlogy(targets, outputs)", "leaving out (1 - t) log(1 - o)"
    ),
    "10.4 takes the outputs as logits": Mistake(
        ENTROPY,
        ENTROPY.replace("cross_entropy(", "cross_entropy_with_logits("),
        "outputs taken as logits",
    ),
    "10.4 returns a number": Mistake(REDUCE, f"{REDUCE.replace('return ', 'return (')}).item()"),
    "10.4 detaches the outputs": Mistake(SQUARED, SQUARED.replace("outputs", "outputs.detach()")),
    "10.5 leaves out the end": Mistake(
        LINE,
        LINE.replace("torch.linspace(0, 1, steps)", "(torch.arange(steps) / steps)"),
        "leaving out the end",
    ),
    "10.5 has one step more": Mistake(
        LINE, LINE.replace("1, steps)", "1, steps + 1)"), "one code more than `steps`"
    ),
    "10.5 starts at the end": Mistake(
        LINE,
        LINE.replace(
            "(1 - weights) * start + weights * end", "weights * start + (1 - weights) * end"
        ),
        "going from `end` to `start`",
    ),
    "10.5 returns float32": Mistake(
        LINE,
        LINE.replace(").to(start)", ")")
        .replace("* end", "* end.float()")
        .replace("* start", "* start.float()"),
    ),
    "10.5 has a row of weights": Mistake(LINE, LINE.replace("[:, None]", "")),
    "10.5 adds the whole end": Mistake(
        LINE,
        LINE.replace("(1 - weights) * start", "start"),
        "start + weight * end: start needs the weight 1 - weight",
    ),
    "10.5 has no equal distances": Mistake(LINE, LINE.replace(".to(start)", ".to(start).square()")),
    "10.6 compares with the broken images": Mistake(
        DENOISE,
        "broken = images * keep.to(images.device)\n    return reconstruction_loss(model(broken), broken)",
        "comparing with the broken images",
    ),
    "10.6 gives the model whole images": Mistake(
        DENOISE, DENOISE.replace("images * keep.to(images.device)", "images")
    ),
    "10.6 keeps the fraction": Mistake(KEEP, KEEP.replace(">=", "<")),
    "10.6 breaks whole images": Mistake(
        KEEP, KEEP.replace("images.shape", "(len(images),) + (1,) * (images.dim() - 1)")
    ),
    "10.6 breaks the same pixels in all images": Mistake(
        KEEP, KEEP.replace("images.shape", "images.shape[1:]")
    ),
    "10.6 ignores the generator": Mistake(KEEP, KEEP.replace(", generator=generator", "")),
    "10.6 seeds the generator": Mistake(
        KEEP, KEEP.replace("generator=generator", "generator=torch.Generator().manual_seed(0)")
    ),
    "10.6 ignores fraction": Mistake(KEEP, KEEP.replace("fraction", "0.5")),
    "10.6 scales what is left": Mistake(
        DENOISE, DENOISE.replace("(images.device)", "(images.device) / max(1 - fraction, 1e-6)")
    ),
    "10.6 changes its images": Mistake(
        DENOISE, "images *= keep\n    return reconstruction_loss(model(images), images)"
    ),
    "10.6 adds noise": Mistake(
        DENOISE,
        DENOISE.replace(
            "images * keep.to(images.device)",
            "images + fraction * torch.randn(images.shape, generator=generator)",
        ),
    ),
    "10.6 fills with ones": Mistake(
        DENOISE,
        DENOISE.replace("images * keep.to(images.device)", "images.masked_fill(~keep, 1.0)"),
    ),
    "10.6 breaks the target too": Mistake(
        DENOISE,
        DENOISE.replace("), images)", "), images * keep)"),
        "comparing with the broken images",
    ),
    "10.6 takes the mean over the pixels": Mistake(
        DENOISE, "return F.mse_loss(model(images * keep), images)", "the mean over all pixels"
    ),
    "10.7 turns clockwise": Mistake(
        TURNS, TURNS.replace("rot90(turns", "rot90(-turns"), "rotating clockwise"
    ),
    "10.7 has all turns of an image in a row": Mistake(
        TURNS,
        "inputs = torch.stack([images.rot90(turns, (2, 3)) for turns in range(4)], 1).flatten(0, 1)",
        "all turns of the first image, then all of the second",
    ),
    "10.7 repeats 0 1 2 3": Mistake(
        TARGETS,
        TARGETS.replace("repeat_interleave", "repeat"),
        "targets in the order 0 1 2 3 0 1 ...",
    ),
    "10.7 has floats as targets": Mistake(
        TARGETS, TARGETS.replace("arange(4,", "arange(4.0,"), "targets that are not int64"
    ),
    "10.7 turns channels": Mistake(TURNS, TURNS.replace("(2, 3)", "(1, 2)")),
    "10.7 counts from 1": Mistake(
        TARGETS, TARGETS.replace("arange(4", "arange(1, 5"), "counting the turns from 1"
    ),
    "10.7 mirrors": Mistake(
        TURNS,
        "inputs = torch.cat([images, images.flip(3), images.flip(2), images.flip(2, 3)])",
        "mirroring instead of rotating",
    ),
    "10.7 transposes": Mistake(
        TURNS,
        "inputs = torch.cat([images, images.mT, images.flip(2, 3), images.flip(2, 3).mT])",
        "transposing instead of rotating",
    ),
    "10.7 leaves out the images themselves": Mistake(
        TURNS, TURNS.replace("range(4)", "range(1, 5)"), "1, 2, 3 and 4 turns"
    ),
    "10.7 returns degrees": Mistake(
        TARGETS,
        TARGETS.replace("torch.arange(4", "90 * torch.arange(4"),
        "degrees instead of turns",
    ),
    "10.1 takes rows of the transposed directions": Mistake(
        "return mean, directions[:latent_dim]", "return mean, directions.T[:latent_dim]"
    ),
    "10.4 sums over the first dimension of an image only": Mistake(
        "return errors.sum() / len(targets)", "return errors.sum(dim=1).mean()"
    ),
}
