"""Train 16 MLPs (784-128-10), each with its own weights and data: as one model, and one by one.

    python benchmarks/compare_batched.py

The batch size is 64. Each contestant takes the same steps from the same weights on the same
batches, and the losses of the last step are compared. Compilation happens in the first round, which
is not counted. "products alone": the batched matrix products of as many steps and nothing else, in
tensors that exist already. No way to train these models as one takes less time than that.
"""

from __future__ import annotations

import functools
import os
import statistics

import torch
from common import interleave, parser, record, spread

from dlcourse import init, optim
from dlcourse.compare.stacked import Optimizers, Stack
from dlcourse.models import build
from dlcourse.runtime import pick_device
from dlcourse.train import cross_entropy

COUNT, BATCH, STEPS = 16, 64, 50
RULES = ("normal:0.01", "normal:0.1", "xavier", "kaiming")


def made(device):
    """Build the models, each with its own seed; the initializers alternate."""
    found = []
    for seed in range(COUNT):
        torch.manual_seed(seed)
        model = init.initialize(build("mlp"), RULES[seed % len(RULES)], seed=seed)
        found.append(model.to(device))
    return found


def layer(shape, inner, device):
    """The batched products of a linear layer: outputs, gradients of the weights, and, of an inner
    layer, gradients of the inputs."""
    outs, ins = shape
    x, y = (torch.randn(COUNT, BATCH, size, device=device) for size in shape[::-1])
    weight = torch.randn(COUNT, ins, outs, device=device)
    found = [
        functools.partial(torch.bmm, x, weight, out=torch.empty_like(y)),
        functools.partial(torch.bmm, x.mT, y, out=torch.empty_like(weight)),
    ]
    if inner:
        found.append(functools.partial(torch.bmm, y, weight.mT, out=torch.empty_like(x)))
    return found


def main() -> None:
    args = parser(__doc__)
    args.add_argument("--rounds", type=int, default=7)
    args.add_argument("--device")
    args.add_argument("--no-compile", action="store_true")
    args = args.parse_args()
    device = pick_device(args.device)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(COUNT, BATCH, 1, 28, 28, generator=generator).to(device)
    targets = torch.randint(10, (COUNT, BATCH), generator=generator).to(device)
    result, last = {"models": COUNT, "steps": STEPS, "threads": torch.get_num_threads()}, {}
    result["load_average"] = round(os.getloadavg()[0], 1)

    models, starts = made(device), [model.state_dict() for model in made(device)]

    def in_turn(name):
        losses = []
        for model, start, own_inputs, own_targets in zip(
            models, starts, inputs, targets, strict=True
        ):
            model.load_state_dict(start)
            optimizer = optim.build(name, model.parameters())
            for _ in range(STEPS):
                loss = cross_entropy(model(own_inputs), own_targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            losses.append(loss.detach())
        last["in turn"] = torch.stack(losses).cpu()

    stacks = {"as one": Stack(made(device)), "compiled": Stack(made(device), compiled=True)}
    first = stacks["as one"].state()

    def as_one(name, what):
        stack = stacks[what]
        stack.write(first)
        optimizers = Optimizers(stack, [(name, None, 0.0)] * COUNT, None, STEPS)
        for _ in range(STEPS):
            gradients, losses = stack.gradients(inputs, targets, True)
            optimizers.step(gradients)
        last[what] = losses.cpu()

    shapes = [weight.shape[1:] for weight in stacks["as one"].params.values() if weight.dim() == 3]

    def products():
        for _ in range(STEPS):
            for multiply in each_step:
                multiply()
        if device.type == "cuda":
            torch.cuda.synchronize()

    each_step = [one for n, shape in enumerate(shapes) for one in layer(shape, n > 0, device)]
    for name in ("sgd", "adam"):
        contestants = {
            "products alone": products,
            "in turn": functools.partial(in_turn, name),
            "as one": functools.partial(as_one, name, "as one"),
        }
        if not args.no_compile:
            contestants["compiled"] = functools.partial(as_one, name, "compiled")
        seconds = interleave(contestants, args.rounds)
        plain = statistics.median(seconds["in turn"])
        result[name] = {
            what: {
                "seconds": spread(values),
                "times as fast": round(plain / statistics.median(values), 2),
            }
            for what, values in seconds.items()
        }
        for what, losses in last.items():
            difference = (losses - last["in turn"]).abs().max().item()
            result[name][what]["largest difference of a loss"] = difference
    result["device"] = str(device)
    record("compare_batched", result, args.out)


if __name__ == "__main__":
    main()
