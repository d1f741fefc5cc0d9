"""Typical mistakes in lab 07."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

FROZEN = "return model.requires_grad_(False).eval()"
JOINED = "return torch.cat([model(batch).flatten(1) for batch in inputs.split(batch_size)])"
NO_GRAD = f"    with torch.no_grad():\n        {JOINED}"
ERRORS = "errors = (F.linear(features, weight, bias).softmax(dim=1) - targets) / len(labels)"
MOVED = "weight = weight - lr * (errors.T @ features + weight_decay * weight)"
BIAS = "bias = bias - lr * errors.sum(dim=0)"
GROUP = '{"params": [p for p in part.parameters() if p.requires_grad], "lr": lr}'
PAIRS = "((backbone, backbone_lr), (head, head_lr))"
GRAY = "gray = 0.299 * red + 0.587 * green + 0.114 * blue"
COLORS = "torch.cat([red - gray, blue - gray], dim=1)"
DRAWN = "return F.normalize(torch.randn(count, dim, generator=generator))"
MATCHED = "return points[assign(-features @ points.T).to(points.device)]"
STUDENT = "(logits / temperature).log_softmax(dim=1)"
TEACHER = "(teacher_logits.detach() / temperature).softmax(dim=1)"
LOSS = "return weight * temperature**2 * soft + (1 - weight) * F.cross_entropy(logits, labels)"
HINT = "return F.mse_loss(regressor(maps), teacher_maps.detach()) / 2"
FIRST = "first.weight.data = root[:, None] * Vh[:rank]"
SECOND = "second.weight.data = U[:, :rank] * root"
COPIED = "second.bias.data = layer.bias.detach().clone()"

MISTAKES = {
    "7.2 returns parameters": Mistake(
        "return weight, bias\n", "return weight.requires_grad_(), bias.requires_grad_()\n", "detach"
    ),
    "7.3 keeps a frozen head": Mistake(
        "for p in part.parameters() if p.requires_grad]",
        "for p in part.parameters() if p.requires_grad or part is head]",
        "frozen parameters",
    ),
    "7.5 keeps the graph of the features": Mistake(
        "return points[assign(-features @ points.T).to(points.device)]",
        "return points[assign(-features @ points.T).to(points.device)] + 0 * features",
        "graph",
    ),
    "7.1 leaves training mode on": Mistake(FROZEN, FROZEN.replace(".eval()", "")),
    "7.1 leaves the gradients on": Mistake(FROZEN, FROZEN.replace(".requires_grad_(False)", "")),
    "7.1 sets an attribute of the model alone": Mistake(
        FROZEN, "model.requires_grad = False\n    return model.eval()"
    ),
    "7.1 freezes the first layer only": Mistake(
        FROZEN, "next(model.children()).requires_grad_(False)\n    return model.eval()"
    ),
    "7.1 freezes the weights only": Mistake(
        FROZEN,
        "for p in model.parameters():\n        p.requires_grad = p.dim() < 2\n    return model.eval()",
    ),
    "7.1 returns nothing": Mistake(FROZEN, FROZEN.replace("return ", ""), "return"),
    "7.1 keeps the graph": Mistake(NO_GRAD, f"    {JOINED}", "no_grad"),
    "7.1 does not flatten": Mistake(
        JOINED, JOINED.replace(".flatten(1)", ""), "not flattening the features"
    ),
    "7.1 views what is not contiguous": Mistake(
        JOINED, JOINED.replace(".flatten(1)", ".view(len(batch), -1)"), "view"
    ),
    "7.1 leaves out the last batch": Mistake(
        JOINED,
        JOINED.replace("inputs.split(batch_size)", "inputs.split(batch_size)[:-1]"),
        "leaving out the last batch",
    ),
    "7.1 computes everything at once": Mistake(
        JOINED, "return model(inputs).flatten(1)", "batches"
    ),
    "7.1 splits into batch_size parts": Mistake(
        JOINED, JOINED.replace("inputs.split(", "inputs.chunk("), "batches"
    ),
    "7.2 forgets the decay": Mistake(
        MOVED, MOVED.replace(" + weight_decay * weight", ""), "leaving out the weight decay"
    ),
    "7.2 decays the bias": Mistake(
        BIAS, "bias = bias - lr * (errors.sum(dim=0) + weight_decay * bias)", "decaying the bias"
    ),
    "7.2 sums the loss": Mistake(
        ERRORS, ERRORS.replace(" / len(labels)", ""), "sum of the cross-entropy"
    ),
    "7.2 decays twice as much": Mistake(
        MOVED, MOVED.replace("+ weight_decay", "+ 2 * weight_decay"), "weight_decay / 2"
    ),
    "7.2 keeps the bias": Mistake(BIAS, "pass", "a bias that does not learn"),
    "7.2 climbs": Mistake(MOVED, MOVED.replace("weight - lr", "weight + lr")),
    "7.2 starts with random weights": Mistake(
        "weight = torch.zeros(num_classes, features.shape[1]).to(features)",
        "weight = 0.01 * torch.randn(num_classes, features.shape[1]).to(features)",
    ),
    "7.2 counts the classes of the labels": Mistake(
        "targets = F.one_hot(labels, num_classes)",
        "num_classes = int(labels.max()) + 1\n    weight, bias = weight[:num_classes], bias[:num_classes]\n    targets = F.one_hot(labels)",
    ),
    "7.2 one step too many": Mistake(
        "for _ in range(steps):", "for _ in range(steps + 1):", "one step too many"
    ),
    "7.2 returns the transposed weight": Mistake(
        "    return weight, bias\n    # END", "    return weight.T, bias\n    # END"
    ),
    "7.3 swaps the rates": Mistake(
        PAIRS, "((backbone, head_lr), (head, backbone_lr))", "swapping the learning rates"
    ),
    "7.3 puts the head first": Mistake(
        PAIRS, "((head, head_lr), (backbone, backbone_lr))", "the head first"
    ),
    "7.3 gives both one rate": Mistake(
        PAIRS, "((backbone, head_lr), (head, head_lr))", "one learning rate for both"
    ),
    "7.3 copies the parameters": Mistake(
        GROUP, GROUP.replace("[p for", "[p.detach().clone() for"), "copies of the parameters"
    ),
    "7.3 leaves the backbone out": Mistake(
        GROUP, GROUP.replace("if p.requires_grad", "if part is head"), "leaving out the backbone"
    ),
    "7.3 takes the weights only": Mistake(GROUP, GROUP.replace("p.requires_grad", "p.dim() > 1")),
    "7.3 takes the first layer only": Mistake(
        GROUP,
        GROUP.replace(
            "[p for p in part.parameters() if p.requires_grad]", "list(part.parameters())[:2]"
        ),
    ),
    "7.4 takes the mean as gray": Mistake(
        GRAY, "gray = (red + green + blue) / 3", "the mean of the channels"
    ),
    "7.4 one gray channel": Mistake(
        "gray.expand_as(images)", "gray", "one gray channel instead of three"
    ),
    "7.4 swaps red and blue": Mistake(
        COLORS, "torch.cat([blue - gray, red - gray], dim=1)", "swapping red and blue"
    ),
    "7.4 takes the channels": Mistake(
        COLORS, "torch.cat([red, blue], dim=1)", "the channels themselves"
    ),
    "7.4 takes the inverse difference": Mistake(
        COLORS, "torch.cat([gray - red, gray - blue], dim=1)", "the inverse difference"
    ),
    "7.4 takes red and green": Mistake(COLORS, "torch.cat([red - gray, green - gray], dim=1)"),
    "7.4 sums over the cells": Mistake(
        "(images), F.avg_pool2d(colors, cell)",
        "(images), F.avg_pool2d(colors, cell) * cell**2",
        "the sum over each cell",
    ),
    "7.4 takes the largest color": Mistake(
        "(images), F.avg_pool2d(colors, cell)",
        "(images), F.max_pool2d(colors, cell)",
        "the largest color of each cell",
    ),
    "7.4 takes the first pixel": Mistake(
        "(images), F.avg_pool2d(colors, cell)",
        "(images), colors[:, :, ::cell, ::cell]",
        "the color of the first pixel",
    ),
    "7.4 reads the channels as BGR": Mistake(
        "red, green, blue = images.split", "blue, green, red = images.split"
    ),
    "7.5 normalizes the columns": Mistake(
        DRAWN,
        DRAWN.replace("generator=generator)", "generator=generator), dim=0"),
        "lengths of the rows",
    ),
    "7.5 does not normalize": Mistake(
        DRAWN, "return torch.randn(count, dim, generator=generator)", "lengths of the rows"
    ),
    "7.5 draws from a cube": Mistake(
        DRAWN,
        "return F.normalize(2 * torch.rand(count, dim, generator=generator) - 1)",
        "draw normal numbers",
    ),
    "7.5 draws from a corner": Mistake(
        DRAWN, "return F.normalize(torch.rand(count, dim, generator=generator))", "as many positive"
    ),
    "7.5 ignores the generator": Mistake(
        DRAWN, "return F.normalize(torch.randn(count, dim))", "the same seed"
    ),
    "7.5 matches the farthest": Mistake(
        MATCHED, MATCHED.replace("-features", "features"), "distances largest"
    ),
    "7.5 takes the nearest point each": Mistake(
        MATCHED, "return points[(features @ points.T).argmax(dim=1)]", "points are used twice"
    ),
    "7.5 goes greedily": Mistake(
        MATCHED,
        "near = features @ points.T\n    order = []\n    for row in near:\n        order.append(max(set(range(len(row))) - set(order), key=lambda c: row[c]))\n    return points[order]",
        "in turn",
    ),
    "7.5 inverts the order": Mistake(
        MATCHED, "return points[assign(-features @ points.T).argsort()]", "inverse order"
    ),
    "7.5 returns the order": Mistake(MATCHED, "return assign(-features @ points.T)"),
    "7.5 changes the points": Mistake(
        MATCHED,
        "points[:] = match_in_turn = points[assign(-features @ points.T)]\n    return match_in_turn",
        "changed",
    ),
    "7.6 forgets T squared": Mistake(
        LOSS, LOSS.replace(" * temperature**2", ""), "leaving out T squared"
    ),
    "7.6 multiplies by T": Mistake(LOSS, LOSS.replace("**2", ""), "T instead of T squared"),
    "7.6 swaps the weights": Mistake(
        LOSS,
        "return (1 - weight) * temperature**2 * soft + weight * F.cross_entropy(logits, labels)",
        "swapping weight",
    ),
    "7.6 swaps teacher and student": Mistake(
        STUDENT + ",\n        " + TEACHER,
        "(teacher_logits.detach() / temperature).log_softmax(dim=1),\n        (logits / temperature).softmax(dim=1)",
        "swapping teacher and student",
    ),
    "7.6 softens the labels' part": Mistake(
        LOSS,
        LOSS.replace("(logits, labels)", "(logits / temperature, labels)"),
        "softening the labels",
    ),
    "7.6 softens the student only": Mistake(
        TEACHER, TEACHER.replace(" / temperature", ""), "softening the student only"
    ),
    "7.6 softens the teacher only": Mistake(
        STUDENT, STUDENT.replace(" / temperature", ""), "softening the teacher only"
    ),
    "7.6 divides by all numbers": Mistake(  # as reduction="mean" does, of which torch warns
        '        reduction="batchmean",\n',
        '        reduction="batchmean",\n    ) / logits.shape[1]\n    soft = (soft\n',
        "dividing by N times C",
    ),
    "7.6 sums over the batch": Mistake('"batchmean",\n', '"sum",\n', "the sum over the batch"),
    "7.6 trains the teacher": Mistake("teacher_logits.detach()", "teacher_logits", "detach"),
    "7.6 gives probabilities to kl_div": Mistake(
        STUDENT, STUDENT.replace("log_softmax", "softmax")
    ),
    "7.6 normalizes over the batch": Mistake(TEACHER, TEACHER.replace("dim=1", "dim=0")),
    "7.6 ignores the labels": Mistake(
        LOSS, "return weight * temperature**2 * soft", "ignoring the labels"
    ),
    "7.7 forgets the half": Mistake(HINT, HINT.replace(" / 2", ""), "leaving out the half"),
    "7.7 sums": Mistake(
        HINT, HINT.replace("detach())", 'detach(), reduction="sum")'), "the sum instead of the mean"
    ),
    "7.7 trains the teacher": Mistake(HINT, HINT.replace(".detach()", ""), "detach"),
    "7.7 cuts the student": Mistake(
        HINT, HINT.replace("regressor(maps)", "regressor(maps.detach())")
    ),
    "7.7 takes absolute differences": Mistake(
        HINT, HINT.replace("mse_loss", "l1_loss"), "absolute differences"
    ),
    "7.7 means over the images of a sum": Mistake(
        HINT, HINT.replace("detach())", 'detach(), reduction="sum") / len(maps)'), "over the images"
    ),
    "7.8 puts a bias into both": Mistake(
        "rank, bias=False).to", "rank).to", "a bias in both layers"
    ),
    "7.8 forgets the bias": Mistake(
        "bias=layer.bias is not None).to(layer.weight)",
        "bias=False).to(layer.weight)\n    layer = nn.Linear(1, 1, bias=False)",
        "no bias",
    ),
    "7.8 does not copy the bias": Mistake(COPIED, "pass", "a bias that was not copied"),
    "7.8 shares the bias": Mistake(COPIED, "second.bias = layer.bias", "of the given layer"),
    "7.8 forgets the singular values": Mistake(
        "root = S[:rank].sqrt()",
        "root = torch.ones_like(S[:rank])",
        "leaving out the singular values",
    ),
    "7.8 multiplies by the singular values twice": Mistake(
        "root = S[:rank].sqrt()", "root = S[:rank]", "the singular values in both layers"
    ),
    "7.8 takes the root in one layer": Mistake(
        FIRST, FIRST.replace("root[:, None] * ", ""), "in one layer only"
    ),
    "7.8 takes the smallest": Mistake(
        "root = S[:rank].sqrt()",
        "U, S, Vh = U.flip(1), S.flip(0), Vh.flip(0)\n    root = S[:rank].sqrt()",
        "the smallest singular values",
    ),
    "7.8 cuts the weight itself": Mistake(
        f"{FIRST}\n    {SECOND}",
        "first.weight.data = torch.eye(layer.in_features)[:rank].to(layer.weight)\n    second.weight.data = layer.weight.detach()[:, :rank].clone()",
        "the first rows and columns",
    ),
    "7.8 scales the rows": Mistake(SECOND, "second.weight.data = root[:, None] * U[:, :rank].T"),
    "7.8 keeps random weights": Mistake(FIRST, "pass"),
    "7.8 freezes the new layers": Mistake(
        "return nn.Sequential(first, second)",
        "return nn.Sequential(first, second).requires_grad_(False)",
        "does not require a gradient",
    ),
    "7.1 freezes the children only": Mistake(
        "return model.requires_grad_(False).eval()",
        "for layer in model.children():\n        layer.requires_grad_(False)\n    return model.eval()",
        "still requires a gradient",
    ),
    "7.2 returns float64": Mistake(
        "    return weight, bias\n    # END",
        "    return weight.double(), bias.double()\n    # END",
        "dtype of the weight",
    ),
    "7.2 computes in float32": Mistake(
        "weight = torch.zeros(num_classes, features.shape[1]).to(features)\n    bias = torch.zeros(num_classes).to(features)",
        "weight = torch.zeros(num_classes, features.shape[1])\n    bias = torch.zeros(num_classes)\n    features = features.float()",
        "dtype",
    ),
    "7.3 keeps frozen parameters": Mistake(
        '{"params": [p for p in part.parameters() if p.requires_grad], "lr": lr}',
        '{"params": list(part.parameters()), "lr": lr}',
        "frozen",
    ),
    "7.5 takes distances without the square": Mistake(
        "assign(-features @ points.T)", "assign(torch.cdist(features, points))", "squared distances"
    ),
    "7.5 compares the angles": Mistake(
        "assign(-features @ points.T)", "assign(-F.normalize(features) @ points.T)", "angles"
    ),
    "7.6 detaches the softened logits": Mistake(
        "(logits / temperature).log_softmax",
        "(logits.detach() / temperature).log_softmax",
        "detached",
    ),
}
