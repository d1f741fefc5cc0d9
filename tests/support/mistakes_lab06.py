"""Typical mistakes in lab 06."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

CONV = "o * (i * k**2 + 1) for i, o, k in convolutions"
LINEAR = "o * (i + 1) for i, o in linears"
WIDTHS = "layers += [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU()]\n"
STAGE = "return nn.Sequential(*layers, nn.MaxPool2d(2))"
BRANCH2 = "conv_relu(in_channels, reduced3, 1), conv_relu(reduced3, n3, 3)"
BRANCH3 = "conv_relu(in_channels, reduced5, 1), conv_relu(reduced5, n5, 5)"
BRANCH4 = "nn.MaxPool2d(3, stride=1, padding=1), conv_relu(in_channels, pooled, 1)"
STACK = "return torch.cat([branch(inputs) for branch in branches], dim=1)"
LOGITS = "logits = self.classifier(self.block2(self.pool(halfway)).mean(dim=(2, 3)))"
HEADS = "return logits, self.auxiliary(halfway.mean(dim=(2, 3)))"
LOSS = "return F.cross_entropy(logits, targets) + weight * F.cross_entropy(auxiliary, targets)"
CONV1 = "nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)"
CONV2 = "nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)"
BLOCK = "x = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(inputs)))))"
ADD = "x = x + shortcut(inputs, self.out_channels, self.stride)\n        return F.relu(x)"
WINDOW = "padded[i, :, row : row + height, column : column + width]"
PAD = "padded = F.pad(images, (padding,) * 4)"
FLIP = "return torch.where(chosen.view(-1, 1, 1, 1), images.flip(3), images)"

MISTAKES = {
    "6.4 returns a number for one head": Mistake(
        "return F.cross_entropy(outputs, targets)",
        "return F.cross_entropy(outputs, targets).item()",
        "number",
    ),
    "6.1 forgets the biases of the convolutions": Mistake(
        CONV, CONV.replace(" + 1", ""), "leaving out the biases of the convolutions"
    ),
    "6.1 forgets the biases of the linear layers": Mistake(
        LINEAR, LINEAR.replace(" + 1", ""), "leaving out the biases of the linear layers"
    ),
    "6.1 does not square the kernel": Mistake(
        CONV, CONV.replace("k**2", "k"), "kernel_size instead of its square"
    ),
    "6.1 has a bias for each input channel": Mistake(
        CONV, "i * (o * k**2 + 1) for i, o, k in convolutions", "a bias for each input channel"
    ),
    "6.1 has one bias for each layer": Mistake(
        CONV, CONV.replace("(i * k**2 + 1)", "i * k**2 + 1"), "one bias for each layer"
    ),
    "6.1 has a bias for each filter of one channel": Mistake(
        CONV,
        CONV.replace("(i * k**2 + 1)", "i * (k**2 + 1)"),
        "a bias for each kernel of one channel",
    ),
    "6.1 swaps in and out": Mistake(
        LINEAR, LINEAR.replace("i, o", "o, i"), "swapping in_features and out_features"
    ),
    "6.2 does not update in_channels": Mistake(
        f"{WIDTHS}        in_channels = width\n",
        WIDTHS,
        "not updating in_channels after a convolution",
    ),
    "6.2 has no padding": Mistake(WIDTHS, WIDTHS.replace(", padding=1", "")),
    "6.2 has one ReLU, at the end": Mistake(
        f"{WIDTHS}        in_channels = width\n    {STAGE}",
        f"{WIDTHS.replace(', nn.ReLU()', '')}        in_channels = width\n"
        "    return nn.Sequential(*layers, nn.ReLU(), nn.MaxPool2d(2))",
        "one ReLU at the end instead of one after each convolution",
    ),
    "6.2 pools after every convolution": Mistake(
        WIDTHS, WIDTHS.replace("nn.ReLU()", "nn.ReLU(), nn.MaxPool2d(2)")
    ),
    "6.2 forgets the pooling": Mistake(
        STAGE, STAGE.replace(", nn.MaxPool2d(2)", ""), "leaving out the pooling"
    ),
    "6.2 pools with stride 1": Mistake(
        STAGE, STAGE.replace("(2)", "(2, stride=1)"), "pooling with stride 1"
    ),
    "6.2 takes the mean of the pixels": Mistake(
        STAGE, STAGE.replace("Max", "Avg"), "the mean of the pixels instead of the largest"
    ),
    "6.2 leaves out the biases": Mistake(
        WIDTHS, WIDTHS.replace("=1", "=1, bias=False"), "convolutions without biases"
    ),
    "6.2 builds two convolutions, however many widths": Mistake(
        "for width in widths:\n        layers",
        "for width in (widths[0], widths[-1]):\n        layers",
        "two convolutions, however many widths there are",
    ),
    "6.2 takes the first width for all": Mistake(
        WIDTHS, WIDTHS.replace("(in_channels, width, 3", "(in_channels, widths[0], 3")
    ),
    "6.3 leaves out the reduction": Mistake(BRANCH2, "conv_relu(in_channels, n3, 3)"),
    "6.3 leaves out the pooling": Mistake(
        BRANCH4, "conv_relu(in_channels, pooled, 1)", "leaving out the pooling of branch4"
    ),
    "6.3 pools after the convolution": Mistake(
        BRANCH4,
        ", ".join(["conv_relu(in_channels, pooled, 1)", "nn.MaxPool2d(3, stride=1, padding=1)"]),
        "pooling after the convolution in branch4",
    ),
    "6.3 takes the mean of the neighbors": Mistake(
        BRANCH4,
        BRANCH4.replace("Max", "Avg"),
        "the mean of the neighbors in branch4 instead of the largest",
    ),
    "6.3 has a kernel of 3 in the third branch": Mistake(
        BRANCH3, BRANCH3.replace("5, 5)", "5, 3)")
    ),
    "6.3 reduces with a kernel of 3": Mistake(
        BRANCH2, BRANCH2.replace("reduced3, 1)", "reduced3, 3)")
    ),
    "6.3 swaps reduced5 and n5": Mistake(
        BRANCH3, "conv_relu(in_channels, n5, 1), conv_relu(n5, reduced5, 5)"
    ),
    "6.3 concatenates the images": Mistake(STACK, STACK.replace("dim=1", "dim=0")),
    "6.3 concatenates in another order": Mistake(
        STACK,
        STACK.replace("branches]", "branches[::-1]]"),
        "stacking branch4 first and branch1 last",
    ),
    "6.3 applies the branches one after the other": Mistake(
        "branches = (self.branch1, self.branch2, self.branch3, self.branch4)",
        "branches = (self.branch1, self.branch2, self.branch2, self.branch4)",
    ),
    "6.3 raises in forward": Mistake(STACK, "return torch.cat(branches, dim=1)"),
    "6.3 detaches its inputs": Mistake(STACK, STACK.replace("(inputs)", "(inputs.detach())")),
    "6.4 always returns two": Mistake("if not self.training:", "if False:"),
    "6.4 always returns one": Mistake("if not self.training:", "if True:"),
    "6.4 has the two modes the wrong way round": Mistake(
        "if not self.training:", "if self.training:"
    ),
    "6.4 swaps the two logits": Mistake(
        HEADS,
        "return self.auxiliary(halfway.mean(dim=(2, 3))), logits",
        "returning the auxiliary logits first",
    ),
    "6.4 forgets the pooling": Mistake(
        LOGITS,
        LOGITS.replace("self.pool(halfway)", "halfway"),
        "leaving out the pooling between the blocks",
    ),
    "6.4 skips the first block": Mistake(
        "halfway = self.block1(self.stem(inputs))",
        "halfway = self.block1(self.stem(inputs)).relu() * 0.5",
    ),
    "6.4 takes the sum over the positions": Mistake(
        LOGITS,
        LOGITS.replace(".mean(", ".sum("),
        "the sum over height and width instead of the mean",
    ),
    "6.4 takes the largest value": Mistake(HEADS, HEADS.replace(".mean(", ".amax(")),
    "6.4 takes the mean over one dimension, the first pixel of the other": Mistake(
        HEADS, HEADS.replace(".mean(dim=(2, 3))", ".mean(dim=2)[:, :, 0]")
    ),
    "6.4 squeezes a batch of one": Mistake(
        LOGITS,
        "logits = self.classifier(F.adaptive_avg_pool2d(self.block2(self.pool(halfway)), 1).squeeze())",
        "(1, 3, 10, 7)",
    ),
    "6.4 squeezes a batch of one in the auxiliary head": Mistake(
        HEADS,
        "return logits, self.auxiliary(F.adaptive_avg_pool2d(halfway, 1).squeeze())",
        "the two logits of one image",
    ),
    "6.4 detaches the auxiliary head": Mistake(HEADS, HEADS.replace("halfway", "halfway.detach()")),
    "6.4 returns probabilities": Mistake(
        HEADS, HEADS.replace("logits,", "logits.softmax(1),"), "a softmax of the logits"
    ),
    "6.4 ignores the weight": Mistake(LOSS, LOSS.replace("weight *", "0.3 *"), "ignoring weight"),
    "6.4 leaves the weight out": Mistake(
        LOSS, LOSS.replace("weight * ", ""), "leaving out the weight"
    ),
    "6.4 weighs both losses": Mistake(
        LOSS, LOSS.replace("F.c", "(1 - weight) * F.c", 1), "weighing both losses"
    ),
    "6.4 adds up the images": Mistake(
        LOSS,
        LOSS.replace("(auxiliary, targets)", "(auxiliary, targets, reduction='sum')"),
        "the sum of the auxiliary loss over the images",
    ),
    "6.4 applies softmax before the cross-entropy": Mistake(
        "    return F.cross_entropy(outputs, targets)\n",
        "    return F.cross_entropy(outputs.softmax(1), targets)\n",
        "a softmax before the cross-entropy",
    ),
    "6.4 ignores the auxiliary logits": Mistake(
        LOSS, "return F.cross_entropy(logits, targets)", "ignoring the auxiliary logits"
    ),
    "6.4 returns a number": Mistake(LOSS, f"{LOSS.replace('return ', 'return (')}).item()"),
    "6.5 has a bias": Mistake(
        f"self.conv2 = {CONV2}",
        f"self.conv2 = {CONV2}".replace(", bias=False", ""),
        "a convolution with a bias",
    ),
    "6.5 ignores the stride": Mistake(CONV1, CONV1.replace("3, stride,", "3,")),
    "6.5 has the stride in both convolutions": Mistake(CONV2, CONV2.replace("3,", "3, stride,")),
    "6.5 ignores residual": Mistake("if self.residual:", "if True:", "ignoring residual=False"),
    "6.5 adds after the last ReLU": Mistake(
        ADD,
        ADD.replace("x + ", "F.relu(x) + ")
        .replace("F.relu(x)\n", "F.relu(x)\n")
        .replace("return F.relu(x)", "return x if self.residual else F.relu(x)"),
        "adding after the last ReLU",
    ),
    "6.5 forgets the last ReLU": Mistake(
        ADD, ADD.replace("F.relu(x)", "x"), "leaving out the last ReLU"
    ),
    "6.5 forgets the ReLU between": Mistake(
        BLOCK,
        "x = self.bn2(self.conv2(self.bn1(self.conv1(inputs))))",
        "leaving out the ReLU between the convolutions",
    ),
    "6.5 applies a ReLU before adding": Mistake(
        BLOCK,
        BLOCK.replace("self.bn2", "F.relu(self.bn2").replace("))))", ")))))"),
        "a ReLU before the addition",
    ),
    "6.5 uses bn1 twice": Mistake(BLOCK, BLOCK.replace("bn2", "bn1"), "using bn1 twice"),
    "6.5 normalizes before the convolution": Mistake(
        "self.bn1 = nn.BatchNorm2d(out_channels)", "self.bn1 = nn.BatchNorm2d(in_channels)"
    ),
    "6.5 forgets the stride of the shortcut": Mistake(ADD, ADD.replace("self.stride", "1")),
    "6.5 adds only where the shape stays": Mistake(
        "if self.residual:", "if self.residual and inputs.shape == x.shape:"
    ),
    "6.5 changes its inputs": Mistake(BLOCK, f"inputs.mul_(1.0).relu_()\n        {BLOCK}"),
    "6.5 detaches the shortcut": Mistake(
        ADD, ADD.replace("shortcut(inputs", "shortcut(inputs.detach()")
    ),
    "6.5 raises in forward": Mistake(BLOCK, BLOCK.replace("self.bn1", "self.norm1")),
    "6.6 swaps top and left": Mistake(
        "torch.stack([top, left], dim=1)",
        "torch.stack([left, top], dim=1)",
        "swapping top and left",
    ),
    "6.6 ignores padding": Mistake(PAD, "padded = F.pad(images, (4,) * 4)", "ignoring padding"),
    "6.6 takes the first corner for all": Mistake(
        "torch.stack([top, left], dim=1).tolist()",
        "[(top[0], left[0])] * len(images)",
        "the corner of the first image for all images",
    ),
    "6.6 takes squares": Mistake(WINDOW, WINDOW.replace("width", "height"), "a square window"),
    "6.6 repeats the border": Mistake(
        PAD,
        'padded = F.pad(images.double(), (padding,) * 4, mode="replicate").to(images.dtype)',
        "repeating the border instead of adding zeros",
    ),
    "6.6 shifts the other way": Mistake(
        "for i, (row, column) in enumerate(torch.stack([top, left], dim=1).tolist())",
        "for i, (row, column) in enumerate((2 * padding - torch.stack([top, left], dim=1)).tolist())",
        "shifting the other way",
    ),
    "6.6 returns floats": Mistake(
        "return torch.stack(windows)", "return torch.stack(windows).float()"
    ),
    "6.6 shifts around the border": Mistake(
        WINDOW,
        "images[i].roll((padding - row, padding - column), (1, 2))",
        "shifting around the border instead of adding zeros",
    ),
    "6.6 writes into its images": Mistake(
        "return torch.stack(windows)", "images.copy_(torch.stack(windows))\n    return images"
    ),
    "6.7 flips upside down": Mistake(
        FLIP, FLIP.replace("flip(3)", "flip(2)"), "turning the image upside down"
    ),
    "6.7 flips all images": Mistake(FLIP, "return images.flip(3)", "mirroring all images"),
    "6.7 flips the other images": Mistake(
        FLIP,
        "return torch.where(chosen.view(-1, 1, 1, 1), images, images.flip(3))",
        "mirroring the images that were not chosen",
    ),
    "6.7 returns only the chosen images": Mistake(
        FLIP, "return images[chosen].flip(3)", "leaving out the images that were not chosen"
    ),
    "6.7 changes its images": Mistake(
        FLIP, "images[chosen] = images[chosen].flip(3)\n    return images"
    ),
    "6.7 turns by a half": Mistake(
        FLIP, FLIP.replace("flip(3)", "flip(2, 3)"), "rotating the image by a half turn"
    ),
    "6.7 does not widen the condition": Mistake(FLIP, FLIP.replace(".view(-1, 1, 1, 1)", "")),
}
