"""Typical mistakes in lab 11."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

LOSS_D = "return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()"
MINIMAX = "return -F.softplus(fake_logits).mean()"
LOSS_G = "    return F.softplus(-fake_logits).mean()\n    # END"
FAKES = "fakes = generator(latents).detach()"
STEP_D = """    loss = discriminator_loss(discriminator(images), discriminator(fakes))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
"""
STEP_G = """    loss = generator_loss(discriminator(generator(latents)), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
"""
START = "self.start = nn.ConvTranspose2d(latent_dim, 2 * width, 7)"
UP1 = "self.up1 = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1)"
UP2 = "self.up2 = nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1)"
FIRST = "x = F.relu(self.norm1(self.start(latents[:, :, None, None])))"
SECOND = "x = F.relu(self.norm2(self.up1(x)))"
LAST = "return self.up2(x).sigmoid()"
BEST = "confidence, classes = logits.softmax(dim=1).max(dim=1)"
SHARES = "return classes.bincount(minlength=logits.shape[1]) / len(logits), confidence.mean()"
PLAY = """    way = [(x, y)]
    for _ in range(steps):
        new_x = x - lr * y
        y = y + lr * (new_x if in_turn else x)
        x = new_x
        way.append((x, y))
    return torch.tensor(way)
"""
PROJECT = "return latents / latents.norm(dim=1, keepdim=True).clamp(min=1)"

MISTAKES = {
    "11.3 sets the generator to evaluation mode": Mistake(
        "fakes = generator(latents).detach()",
        "generator.eval()\n    fakes = generator(latents).detach()",
        "training mode",
    ),
    "11.1 swaps real and fake": Mistake(
        LOSS_D,
        "return F.softplus(real_logits).mean() + F.softplus(-fake_logits).mean()",
        "swapping real and fake",
    ),
    "11.1 takes the mean over all images": Mistake(
        LOSS_D,
        "return torch.cat([F.softplus(-real_logits), F.softplus(fake_logits)]).mean()",
        "one mean over all images, real and fake",
    ),
    "11.1 adds up the images": Mistake(
        LOSS_D, LOSS_D.replace("mean", "sum"), "sums instead of means"
    ),
    "11.1 halves the loss": Mistake(
        LOSS_D,
        LOSS_D.replace("return ", "return 0.5 * (").replace(
            "fake_logits).mean()", "fake_logits).mean())"
        ),
        "half of the loss",
    ),
    "11.1 forgets the fakes": Mistake(
        LOSS_D, "return F.softplus(-real_logits).mean()", "leaving out the fakes"
    ),
    "11.1 takes the log of the sigmoid": Mistake(
        LOSS_D,
        "return -real_logits.sigmoid().log().mean() - (1 - fake_logits.sigmoid()).log().mean()",
        "the log of a sigmoid that was rounded to 0",
    ),
    "11.1 adds a small number to the sigmoid": Mistake(
        LOSS_D,
        "return -(real_logits.sigmoid() + 1e-8).log().mean() - (1 - fake_logits.sigmoid() + 1e-8).log().mean()",
        "a small number in the log",
    ),
    "11.1 takes the cross-entropy of rounded sigmoids": Mistake(
        LOSS_D,
        "bce = F.binary_cross_entropy\n    return bce(real_logits.sigmoid(), torch.ones_like(real_logits)) + bce(fake_logits.sigmoid(), torch.zeros_like(fake_logits))",
        "F.binary_cross_entropy",
    ),
    "11.1 forgets the minus": Mistake(
        LOSS_D,
        LOSS_D.replace("return F", "return -F").replace("+ F", "- F"),
        "leaving out the minus",
    ),
    "11.1 takes the logits as probabilities": Mistake(
        LOSS_D,
        "return -real_logits.clamp(1e-6).log().mean() - (1 - fake_logits).clamp(1e-6).log().mean()",
    ),
    "11.1 detaches the real logits": Mistake(
        LOSS_D, LOSS_D.replace("-real_logits", "-real_logits.detach()")
    ),
    "11.2 swaps the kinds": Mistake(
        'if kind == "minimax":', 'if kind != "minimax":', "log(1 - D), the minimax loss"
    ),
    "11.2 ignores kind": Mistake(
        'if kind == "minimax":', "if False:", "-log D, the non-saturating loss"
    ),
    "11.2 turns the sign of minimax": Mistake(
        MINIMAX, MINIMAX.replace("-F", "F"), "the wrong sign"
    ),
    "11.2 is minus the non-saturating loss for minimax": Mistake(
        MINIMAX, "return -F.softplus(-fake_logits).mean()", "log D instead of log(1 - D)"
    ),
    "11.2 turns the sign of the non-saturating loss": Mistake(
        LOSS_G, LOSS_G.replace("F.", "-F."), "the wrong sign"
    ),
    "11.2 makes fakes look fake": Mistake(
        LOSS_G, LOSS_G.replace("-fake", "fake"), "-log(1 - D): the fakes would look fake"
    ),
    "11.2 takes the log of the sigmoid": Mistake(
        LOSS_G,
        LOSS_G.replace("F.softplus(-fake_logits)", "-fake_logits.sigmoid().log()"),
        "the log of a sigmoid that was rounded",
    ),
    "11.2 takes the log of 1 - sigmoid": Mistake(
        MINIMAX,
        "return (1 - fake_logits.sigmoid()).log().mean()",
        "the log of a sigmoid that was rounded",
    ),
    "11.2 adds up the images": Mistake(
        LOSS_G, LOSS_G.replace("mean", "sum"), "the sum over the images instead of their mean"
    ),
    "11.2 returns a number": Mistake(LOSS_G, LOSS_G.replace("mean()", "mean().item()")),
    "11.3 does not detach": Mistake(FAKES, "fakes = generator(latents)"),
    "11.3 forgets zero_grad": Mistake(STEP_D, STEP_D.replace("    optimizer.zero_grad()\n", "")),
    "11.3 clears the gradient after backward": Mistake(
        STEP_D,
        STEP_D.replace("    optimizer.zero_grad()\n", "").replace(
            "backward()\n", "backward()\n    optimizer.zero_grad()\n"
        ),
    ),
    "11.3 forgets the step": Mistake(STEP_D, STEP_D.replace("    optimizer.step()\n", "")),
    "11.3 forgets backward": Mistake(STEP_D, STEP_D.replace("    loss.backward()\n", "")),
    "11.3 swaps real and fake": Mistake(
        STEP_D,
        STEP_D.replace(
            "discriminator(images), discriminator(fakes)",
            "discriminator(fakes), discriminator(images)",
        ),
    ),
    "11.3 returns a tensor": Mistake(STEP_D, STEP_D.replace("loss.item()", "loss.detach()")),
    "11.3 returns the loss after the step": Mistake(
        STEP_D,
        STEP_D.replace(
            "    return loss",
            "    loss = discriminator_loss(discriminator(images), discriminator(fakes))\n    return loss",
        ),
    ),
    "11.3 steps twice": Mistake(
        STEP_D,
        STEP_D.replace("    optimizer.step()\n", "    optimizer.step()\n    optimizer.step()\n"),
    ),
    "11.3 takes the images as fakes": Mistake(
        STEP_D, STEP_D.replace("discriminator(fakes)", "discriminator(images)")
    ),
    "11.3 minimizes the generator's loss": Mistake(
        STEP_D,
        STEP_D.replace(
            "discriminator_loss(discriminator(images), discriminator(fakes))",
            "generator_loss(discriminator(fakes))",
        ),
    ),
    "11.3 leaves the generator frozen": Mistake(
        FAKES, f"generator.requires_grad_(False)\n    {FAKES}"
    ),
    "11.4 detaches the fakes": Mistake(
        STEP_G, STEP_G.replace("generator(latents)", "generator(latents).detach()")
    ),
    "11.4 ignores kind": Mistake(STEP_G, STEP_G.replace(", kind)", ")")),
    "11.4 forgets zero_grad": Mistake(STEP_G, STEP_G.replace("    optimizer.zero_grad()\n", "")),
    "11.4 clears the gradient after backward": Mistake(
        STEP_G,
        STEP_G.replace("    optimizer.zero_grad()\n", "").replace(
            "backward()\n", "backward()\n    optimizer.zero_grad()\n"
        ),
    ),
    "11.4 forgets the step": Mistake(STEP_G, STEP_G.replace("    optimizer.step()\n", "")),
    "11.4 returns a tensor": Mistake(STEP_G, STEP_G.replace("loss.item()", "loss.detach()")),
    "11.4 changes the discriminator": Mistake(
        STEP_G,
        STEP_G.replace(
            "    return loss",
            "    torch.optim.SGD(discriminator.parameters(), 0.1).step()\n    return loss",
        ),
    ),
    "11.4 climbs": Mistake(STEP_G, STEP_G.replace("loss.backward()", "(-loss).backward()")),
    "11.4 leaves the discriminator frozen": Mistake(
        STEP_G, "    discriminator.requires_grad_(False)\n" + STEP_G
    ),
    "11.4 takes the mean of the images as the loss": Mistake(
        STEP_G, STEP_G.replace("discriminator(generator(latents))", "generator(latents)")
    ),
    "11.5 forgets the first ReLU": Mistake(
        FIRST, "x = self.norm1(self.start(latents[:, :, None, None]))", "leaving out the first ReLU"
    ),
    "11.5 forgets the second ReLU": Mistake(
        SECOND, "x = self.norm2(self.up1(x))", "leaving out the second ReLU"
    ),
    "11.5 forgets the sigmoid": Mistake(LAST, "return self.up2(x)", "leaving out the sigmoid"),
    "11.5 takes tanh": Mistake(
        LAST, LAST.replace("sigmoid", "tanh"), "tanh instead of the sigmoid"
    ),
    "11.5 takes a leaky ReLU": Mistake(
        FIRST, FIRST.replace("relu(", "leaky_relu(").replace("None])))", "None])), 0.2)")
    ),
    "11.5 skips norm2": Mistake(SECOND, "x = F.relu(self.up1(x))", "leaving out norm2"),
    "11.5 normalizes after the ReLU": Mistake(
        SECOND, "x = self.norm2(F.relu(self.up1(x)))", "the ReLU before norm2"
    ),
    "11.5 has no stride": Mistake(UP1, UP1.replace("stride=2", "stride=1")),
    "11.5 has no padding": Mistake(UP2, UP2.replace(", padding=1", "")),
    "11.5 ignores latent_dim": Mistake(START, START.replace("latent_dim", "64")),
    "11.5 ignores width": Mistake(START, f"width = 32\n        {START}"),
    "11.5 does not halve the width": Mistake(
        f"{UP1}\n        self.norm2 = nn.BatchNorm2d(width)\n        {UP2}",
        f"{UP1}\n        self.norm2 = nn.BatchNorm2d(width)\n        {UP2}".replace(
            "width, width", "width, 2 * width"
        ).replace("(width", "(2 * width"),
    ),
    "11.5 has no bias": Mistake(UP2, UP2.replace("padding=1", "padding=1, bias=False")),
    "11.5 raises in forward": Mistake(FIRST, FIRST.replace("latents[:, :, None, None]", "latents")),
    "11.5 detaches": Mistake(SECOND, SECOND.replace("up1(x)", "up1(x.detach())")),
    "11.6 forgets minlength": Mistake(
        SHARES,
        SHARES.replace("minlength=logits.shape[1]", ""),
        "leaving out the classes without an image",
    ),
    "11.6 returns counts": Mistake(SHARES, SHARES.replace(" / len(logits)", "")),
    "11.6 takes the largest logit": Mistake(
        BEST, BEST.replace(".softmax(dim=1)", ""), "the largest logit instead of the probability"
    ),
    "11.6 takes softmax over the images": Mistake(
        BEST, BEST.replace("softmax(dim=1)", "softmax(dim=0)"), "a softmax over the images"
    ),
    "11.6 takes the mean over all classes": Mistake(
        SHARES,
        SHARES.replace("confidence.mean()", "logits.softmax(dim=1).mean()"),
        "the mean over all classes",
    ),
    "11.6 takes the mean probability of each class": Mistake(
        SHARES,
        "return logits.softmax(dim=1).mean(0), confidence.mean()",
        "the mean probability of each class instead of the share",
    ),
    "11.6 returns a confidence for each image": Mistake(
        SHARES, SHARES.replace("confidence.mean()", "confidence"), "a confidence for each image"
    ),
    "11.6 swaps the two": Mistake(
        SHARES,
        "return confidence.mean(), classes.bincount(minlength=logits.shape[1]) / len(logits)",
        "the order confidence, shares",
    ),
    "11.6 divides by the number of classes": Mistake(
        SHARES,
        SHARES.replace("len(logits)", "logits.shape[1]"),
        "dividing by the number of classes instead of the images",
    ),
    "11.7 moves in turn always": Mistake(
        PLAY, PLAY.replace("(new_x if in_turn else x)", "new_x"), "y using the new x"
    ),
    "11.7 ignores in_turn": Mistake(
        PLAY, PLAY.replace("(new_x if in_turn else x)", "x"), "ignoring in_turn"
    ),
    "11.7 moves y first": Mistake(
        PLAY,
        PLAY.replace(
            "new_x = x - lr * y\n        y = y + lr * (new_x if in_turn else x)",
            "new_y = y + lr * x\n        new_x = x - lr * (new_y if in_turn else y)\n        y = new_y",
        ),
        "moving y first",
    ),
    "11.7 lets both descend": Mistake(PLAY, PLAY.replace("y + lr", "y - lr"), "y descending too"),
    "11.7 swaps descent and ascent": Mistake(
        PLAY,
        PLAY.replace("x - lr", "x + lr").replace("y + lr", "y - lr"),
        "x ascending and y descending",
    ),
    "11.7 takes the wrong derivatives": Mistake(
        PLAY, PLAY.replace("x - lr * y", "x - lr * x").replace("(new_x if in_turn else x)", "y")
    ),
    "11.7 leaves out the start": Mistake(
        PLAY, PLAY.replace("way = [(x, y)]", "way = []"), "leaving out the start"
    ),
    "11.7 leaves out the end": Mistake(
        PLAY,
        PLAY.replace("torch.tensor(way)", "torch.tensor(way[:-1])"),
        "leaving out the last step",
    ),
    "11.7 ignores lr": Mistake(PLAY, PLAY.replace("    way = ", "    lr = 0.5\n    way = ")),
    "11.7 returns the end": Mistake(
        PLAY, PLAY.replace("torch.tensor(way)", "torch.tensor(way[-1])"), "returning only the end"
    ),
    "11.7 returns float64": Mistake(
        PLAY, PLAY.replace("torch.tensor(way)", "torch.tensor(way, dtype=torch.float64)")
    ),
    "11.8 gives all the length 1": Mistake(
        PROJECT,
        "return latents / latents.norm(dim=1, keepdim=True)",
        "giving all latents the length 1",
    ),
    "11.8 lengthens the short ones": Mistake(
        PROJECT, PROJECT.replace("min=1", "max=1"), "lengthening the short ones instead"
    ),
    "11.8 takes the length of all latents": Mistake(
        PROJECT,
        "return latents / latents.norm().clamp(min=1)",
        "one length of all latents together",
    ),
    "11.8 takes the length of each column": Mistake(
        PROJECT, PROJECT.replace("dim=1", "dim=0"), "the length of each column"
    ),
    "11.8 limits each number": Mistake(
        PROJECT, "return latents.clamp(-1, 1)", "limiting each number"
    ),
    "11.8 adds up the absolute values": Mistake(
        PROJECT, PROJECT.replace("norm(", "norm(p=1, "), "adding up the absolute values"
    ),
    "11.8 divides by the squared length": Mistake(
        PROJECT, PROJECT.replace("True)", "True).square()"), "dividing by the squared length"
    ),
    "11.8 changes its latents": Mistake(
        PROJECT, "latents /= latents.norm(dim=1, keepdim=True).clamp(min=1)\n    return latents"
    ),
}
