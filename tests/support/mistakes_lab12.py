"""Typical mistakes in lab 12."""

# ruff: noqa: E501 (one mistake, one line)

from support.mistakes import Mistake

LARGEST = "largest = weight.abs().amax(dim=(1, 2, 3), keepdim=True)"
PICTURE = "return 0.5 + weight / (2 * largest.clamp(min=1e-12))"
FIRST = "first = first * stride - padding"
LAST = "last = last * stride - padding + kernel_size - 1"
FIELD = "return first, last - first + 1"
ORDER = "sorted(range(len(best)), key=lambda n: -best[n])[:count]"
PLACE = "row, column = divmod(places[n], responses.shape[2])"
PADDED = "padded = F.pad(images[n], (size,) * 4)"
TOTAL = "total = model(images).gather(1, labels[:, None]).sum()"
SALIENT = "return gradient.abs().amax(dim=1)"
SHIFT = "shift = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()"
VALUE = "value = score(moved).sum() - decay * (moved - 0.5).square().sum()"
BACK = "gradient = gradient.roll([-number for number in shift], (2, 3))"
LENGTH = "length = gradient.square().sum(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)"
CLIMB = "images = (images + lr * (1 - step / steps) * gradient / length).clamp(0, 1)"
RANGE = "if not (images.min() >= 0 and images.max() <= 1):"
CLIPPED = "return changed.clamp(*bounds).clamp(0, 1)"
ONE = "return project(images + epsilon * gradient.sign(), images, epsilon)"
MANY = "changed = project(changed - step if targeted else changed + step, images, epsilon)"
GRAM = "return flat @ flat.transpose(1, 2)\n"
STYLE = "difference = gram(features) / places - gram(style) / others"
CONTENT = "return (features - content).square().mean() / 2"
LOSS = "return -(content_loss(outputs[where], wanted) + style_weight * unlike)"
CENTERS = "(2 * torch.arange(size).to(theta) + 1) / size - 1"
PIXELS = "((grid[..., axis] + 1) * size / 2 - 0.5 for axis, size in ((0, W), (1, H)))"
SHARE = "share = (y - top if down else top + 1 - y) * (x - left if right else left + 1 - x)"
INSIDE = "inside = (row >= 0) & (row < H) & (column >= 0) & (column < W)"

MISTAKES = {
    "12.1 changes the weight": Mistake(
        PICTURE,
        f"weight *= 0.5\n    {PICTURE.replace('2 * largest', 'largest')}",
        "changed the weight",
    ),
    "12.1 takes small filters for zeros": Mistake(PICTURE, PICTURE.replace("1e-12", "0.1")),
    "12.2 takes absolute responses": Mistake(
        ORDER, ORDER.replace("-best[n]", "-abs(best[n])"), "absolute values"
    ),
    "12.4 divides each channel by its length": Mistake(
        LENGTH, LENGTH.replace("(1, 2, 3)", "(2, 3)"), "for each channel"
    ),
    "12.4 returns images with a graph": Mistake(
        CLIMB, f"{CLIMB}.requires_grad_()", "hang on a graph"
    ),
    "12.5 returns float64": Mistake(
        CLIPPED,
        CLIPPED.replace(
            "changed.clamp(*bounds)", "changed.double().clamp(*[b.double() for b in bounds])"
        ),
        "dtype",
    ),
    "12.5 does not finish with project": Mistake(
        ONE,
        "project(images, images, epsilon)\n    return (images + epsilon * gradient.sign()).clamp(0, 1)",
        "finish with `project`",
    ),
    "12.7 takes a style of one channel": Mistake(
        "if channels != C:", "if channels not in (1, C):", "ValueError"
    ),
    "12.7 takes contents of several images": Mistake(
        "if features.shape != content.shape:",
        "if features.shape[1:] != content.shape[1:]:",
        "ValueError",
    ),
    "12.1 scales all filters alike": Mistake(LARGEST, "largest = weight.abs().max()"),
    "12.1 scales each channel by itself": Mistake(LARGEST, LARGEST.replace("(1, 2, 3)", "(2, 3)")),
    "12.1 divides by the largest weight": Mistake(LARGEST, LARGEST.replace(".abs()", "")),
    "12.1 stretches from the smallest to the largest": Mistake(
        PICTURE,
        "low = weight.amin((1, 2, 3), True)\n    return (weight - low) / (weight.amax((1, 2, 3), True) - low).clamp(min=1e-12)",
    ),
    "12.1 forgets the gray": Mistake(PICTURE, PICTURE.replace("0.5 + ", "")),
    "12.1 divides 0 by 0": Mistake(PICTURE, PICTURE.replace(".clamp(min=1e-12)", "")),
    "12.1 draws any number of channels": Mistake("if channels not in (1, 3):", "if False:"),
    "12.2 goes from the image to the unit": Mistake("in reversed(layers):", "in layers:"),
    "12.2 forgets the padding": Mistake(FIRST, FIRST.replace(" - padding", "")),
    "12.2 adds the padding": Mistake(FIRST, FIRST.replace("- padding", "+ padding")),
    "12.2 counts one pixel less": Mistake(FIELD, "return first, last - first"),
    "12.2 returns the last pixel": Mistake(FIELD, "return first, last"),
    "12.2 adds a pixel for each layer": Mistake(LAST, LAST.replace(" - 1", "")),
    "12.2 takes the weakest": Mistake(ORDER, ORDER.replace("-best", "best")),
    "12.2 keeps the order of the images": Mistake(
        ORDER, "sorted(sorted(range(len(best)), key=lambda n: -best[n])[:count])"
    ),
    "12.2 divides by the number of rows": Mistake(
        PLACE,
        PLACE.replace("shape[2]", "shape[1]") + "\n        column = column % responses.shape[2]",
    ),
    "12.2 swaps rows and columns": Mistake(PLACE, PLACE.replace("row, column", "column, row")),
    "12.2 takes the place in the map for a pixel": Mistake(
        "(top, size), (left, _) = (receptive_field(layers, place) for place in (row, column))",
        "size = receptive_field(layers, 0)[1]\n        top, left = row, column",
    ),
    "12.2 repeats the pixels at the edge": Mistake(
        PADDED,
        "padded = F.pad(images[n : n + 1], (size - 1,) * 4, mode='replicate')[0]\n        top, left = top - 1, left - 1",
    ),
    "12.3 takes all logits": Mistake(TOTAL, "total = model(images).sum()"),
    "12.3 takes the loss": Mistake(TOTAL, "total = F.cross_entropy(model(images), labels)"),
    "12.3 takes the most likely class": Mistake(TOTAL, "total = model(images).amax(1).sum()"),
    "12.3 takes the softmax": Mistake(
        TOTAL, TOTAL.replace("model(images)", "model(images).softmax(1)")
    ),
    "12.3 forgets the absolute value": Mistake(SALIENT, "return gradient.amax(dim=1)"),
    "12.3 takes the largest first": Mistake(SALIENT, "return gradient.amax(dim=1).abs()"),
    "12.3 adds up the channels": Mistake(SALIENT, "return gradient.abs().sum(dim=1)"),
    "12.3 keeps the channels": Mistake(SALIENT, "return gradient.abs()"),
    "12.3 fills the gradients of the parameters": Mistake(
        "(gradient,) = torch.autograd.grad(total, images)\n    return gradient.abs()",
        "total.backward()\n    gradient = images.grad\n    return gradient.abs()",
    ),
    "12.4 goes down": Mistake(CLIMB, CLIMB.replace("images + lr", "images - lr")),
    "12.4 does not clip": Mistake(CLIMB, CLIMB.replace(".clamp(0, 1)", "")),
    "12.4 does not divide by the length": Mistake(CLIMB, CLIMB.replace(" / length", "")),
    "12.4 takes one length for all images": Mistake(
        LENGTH, "length = gradient.norm().clamp(min=1e-12)"
    ),
    "12.4 divides 0 by 0": Mistake(LENGTH, LENGTH.replace(".clamp(min=1e-12)", "")),
    "12.4 takes the sign": Mistake(CLIMB, CLIMB.replace("gradient / length", "gradient.sign()")),
    "12.4 keeps the step as long as it is": Mistake(
        CLIMB, CLIMB.replace("(1 - step / steps)", "1")
    ),
    "12.4 counts the steps from 1": Mistake(
        CLIMB, CLIMB.replace("step / steps", "(step + 1) / steps")
    ),
    "12.4 rewards what is far from gray": Mistake(VALUE, VALUE.replace("- decay", "+ decay")),
    "12.4 pulls to black": Mistake(VALUE, VALUE.replace("(moved - 0.5)", "moved")),
    "12.4 takes the mean of the squares": Mistake(
        VALUE, VALUE.replace("square().sum()", "square().mean()")
    ),
    "12.4 does not shift back": Mistake(BACK, "pass"),
    "12.4 shifts on instead of back": Mistake(BACK, BACK.replace("-number", "number")),
    "12.4 shifts in one direction only": Mistake(
        SHIFT, SHIFT.replace("-jitter, jitter", "0, jitter")
    ),
    "12.4 draws one shift for all steps": Mistake(
        f"    for step in range(steps):\n        {SHIFT}",
        f"    {SHIFT}\n    for step in range(steps):",
    ),
    "12.4 draws with the global generator": Mistake(
        SHIFT, SHIFT.replace(", generator=generator", "")
    ),
    "12.5 takes a negative epsilon": Mistake("if not epsilon >= 0:", "if False:"),
    "12.5 takes NaN as epsilon": Mistake("if not epsilon >= 0:", "if epsilon < 0:"),
    "12.5 takes any image": Mistake(RANGE, "if False:"),
    "12.5 takes images above 1": Mistake(RANGE, "if not images.min() >= 0:"),
    "12.5 keeps the bound up to rounding": Mistake(
        "torch.where(too_far, rounded.nextafter(images), rounded)", "rounded"
    ),
    "12.5 forgets [0, 1]": Mistake(CLIPPED, "return changed.clamp(*bounds)"),
    "12.5 forgets the bound": Mistake(CLIPPED, "return changed.clamp(0, 1)"),
    "12.5 lowers the loss": Mistake(ONE, ONE.replace("+ epsilon", "- epsilon")),
    "12.5 forgets the sign": Mistake(ONE, ONE.replace("gradient.sign()", "gradient")),
    "12.5 divides by the length": Mistake(
        ONE, ONE.replace("gradient.sign()", "gradient / gradient.norm()")
    ),
    "12.5 adds nothing": Mistake(ONE, "return project(images, images, epsilon)"),
    "12.6 takes the gradient at the first images": Mistake(
        "inputs = changed.detach().requires_grad_()", "inputs = images.detach().requires_grad_()"
    ),
    "12.6 bounds the change of one step": Mistake(
        MANY, MANY.replace("images, epsilon", "changed, epsilon")
    ),
    "12.6 swaps targeted": Mistake(MANY, MANY.replace("if targeted", "if not targeted")),
    "12.6 ignores targeted": Mistake(MANY, "changed = project(changed + step, images, epsilon)"),
    "12.6 takes steps of epsilon": Mistake(
        "step = step_size * gradient.sign()", "step = epsilon * gradient.sign()"
    ),
    "12.6 starts each step at the images": Mistake(
        MANY,
        MANY.replace(
            "changed - step if targeted else changed + step",
            "images - step if targeted else images + step",
        ),
    ),
    "12.6 clips to [0, 1] only": Mistake(
        MANY,
        "changed = (changed - step if targeted else changed + step).clamp(0, 1)\n    project(images, images, epsilon)",
    ),
    "12.6 returns images with a graph": Mistake(
        "changed = project(images, images, epsilon)\n    for _ in range(steps):\n        inputs = changed.detach().requires_grad_()",
        "changed = project(images, images, epsilon).requires_grad_()\n    for _ in range(steps):\n        inputs = changed",
        "hang on a graph",
    ),
    "12.5 returns images with a graph": Mistake(
        ONE, ONE.replace("images +", "inputs +"), "hang on a graph"
    ),
    "12.6 takes one step": Mistake(
        "    for _ in range(steps):\n        inputs = changed",
        "    for _ in range(1):\n        inputs = changed",
    ),
    "12.7 divides the Gram matrix": Mistake(
        GRAM, "return flat @ flat.transpose(1, 2) / flat.shape[2]\n"
    ),
    "12.7 adds up the channels": Mistake(GRAM, "return flat.transpose(1, 2) @ flat\n"),
    "12.7 subtracts the means": Mistake(
        "flat = features.flatten(2)",
        "flat = features.flatten(2)\n    flat = flat - flat.mean(2, keepdim=True)",
    ),
    "12.7 adds up the images": Mistake(GRAM, "return (flat @ flat.transpose(1, 2)).sum(0)\n"),
    "12.7 forgets the places": Mistake(STYLE, "difference = gram(features) - gram(style)"),
    "12.7 takes the places of the features twice": Mistake(
        STYLE, STYLE.replace("others", "places")
    ),
    "12.7 forgets the channels": Mistake(
        "return difference.square().sum() / (4 * C**2)", "return difference.square().sum() / 4"
    ),
    "12.7 takes the mean": Mistake(
        "return difference.square().sum() / (4 * C**2)",
        "return difference.square().mean() / (4 * C**2)",
    ),
    "12.7 takes a style of any channels": Mistake("if channels != C:", "if False:"),
    "12.7 takes a content of any shape": Mistake(
        "if features.shape != content.shape:", "if False:"
    ),
    "12.7 adds up the squares of the content": Mistake(CONTENT, CONTENT.replace("mean", "sum")),
    "12.7 forgets the half": Mistake(CONTENT, CONTENT.replace(" / 2", "")),
    "12.7 climbs the loss": Mistake(LOSS, LOSS.replace("-(", "(")),
    "12.7 forgets the style weight": Mistake(LOSS, LOSS.replace("style_weight * ", "")),
    "12.7 forgets the content": Mistake(LOSS, "return -style_weight * unlike"),
    "12.7 starts from the style": Mistake(
        "return maximize(score, content, steps, lr)",
        "return maximize(score, style[..., : content.shape[2], : content.shape[3]], steps, lr)",
    ),
    "12.7 takes the last style layer only": Mistake(
        "for name in styles)\n        return -(", "for name in styles[-1:])\n        return -("
    ),
    "12.8 puts the corners at -1 and 1": Mistake(
        CENTERS, "2 * torch.arange(size).to(theta) / max(size - 1, 1) - 1"
    ),
    "12.8 takes the left edges of the pixels": Mistake(
        CENTERS, "2 * torch.arange(size).to(theta) / size - 1"
    ),
    "12.8 swaps x and y in the grid": Mistake(
        "torch.stack([x, y, torch.ones_like(x)], dim=2)",
        "torch.stack([y, x, torch.ones_like(x)], dim=2)",
    ),
    "12.8 forgets the shift": Mistake(
        "torch.ones_like(x)], dim=2)", "torch.zeros_like(x)], dim=2)"
    ),
    "12.8 does not transpose theta": Mistake(
        "return points @ theta.transpose(1, 2)[:, None]",
        "return torch.cat([points[..., :2] @ theta[:, None, :, :2], ], 3) + theta[:, None, None, :, 2]",
    ),
    "12.8 swaps x and y in the sampler": Mistake(
        PIXELS, PIXELS.replace("((0, W), (1, H))", "((1, W), (0, H))")
    ),
    "12.8 samples with the corners at -1 and 1": Mistake(
        PIXELS, PIXELS.replace("size / 2 - 0.5", "(size - 1) / 2")
    ),
    "12.8 takes the nearest pixel": Mistake(
        SHARE,
        "share = ((y - top >= 0.5) == bool(down)) * ((x - left >= 0.5) == bool(right)) + 0 * (x + y)",
    ),
    "12.8 swaps the shares": Mistake(SHARE, SHARE.replace("if down", "if not down")),
    "12.8 repeats the pixels at the edge": Mistake(INSIDE, "inside = torch.ones_like(row)"),
    "12.8 loses the last row": Mistake(INSIDE, INSIDE.replace("row < H", "row < H - 1")),
    "12.8 loses the gradient of theta": Mistake(
        "return points @ theta.transpose(1, 2)[:, None]",
        "return points @ torch.tensor(theta.tolist()).to(theta).transpose(1, 2)[:, None]",
        "no gradient goes from the result back to the input",
    ),
    "12.8 loses the gradient of the grid": Mistake(
        "left, top = x.detach().floor(), y.detach().floor()",
        "x, y = x.detach(), y.detach()\n    left, top = x.floor(), y.floor()",
    ),
    "12.1 accepts two channels": Mistake(
        "if channels not in (1, 3):", "if channels > 3:", "ValueError"
    ),
    "12.1 reads the number of filters": Mistake(
        "channels = weight.shape[1]", "channels = weight.shape[0]"
    ),
    "12.2 divides by the height of the map": Mistake(
        PLACE, "row, column = divmod(places[n], responses.shape[1])", "wide"
    ),
    "12.3 stores gradients in the parameters": Mistake(
        "(gradient,) = torch.autograd.grad(total, images)",
        "total.backward()\n    gradient = images.grad",
        "have a gradient now",
    ),
    "12.3 has the given images require a gradient": Mistake(
        "images = images.detach().requires_grad_()\n    total",
        "images.requires_grad_()\n    total",
        "require a gradient now",
    ),
    "12.4 never shifts by jitter itself": Mistake(
        SHIFT, SHIFT.replace("jitter + 1", "jitter or 1")
    ),
    "12.5 stores gradients in the parameters": Mistake(
        "(gradient,) = torch.autograd.grad(F.cross_entropy(model(inputs), labels), inputs)\n    return",
        "F.cross_entropy(model(inputs), labels).backward()\n    gradient = inputs.grad\n    return",
        "have a gradient now",
    ),
    "12.7 takes the mean over the images": Mistake(
        "return difference.square().sum() / (4 * C**2)",
        "return difference.square().mean() / 4",
        "mean over the images",
    ),
}
