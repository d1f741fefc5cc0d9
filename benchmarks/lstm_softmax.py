"""Train an LSTM language model with an exact softmax over 10,000 words: `fit` and the usual loop.

    DLCOURSE_DATA=DIR python benchmarks/lstm_softmax.py     (about 4 minutes on 2 cores)

The usual loop is that of PyTorch's word_language_model example in float32: log_softmax and
nll_loss, clipping, and a plain step of gradient descent written by hand. Both train the same model
(the example's sizes: an embedding and two LSTM layers of 200 units, dropout 0.2, batches of 20 rows
and 35 words) from the same weights on the same batches. They take turns over a part of the Penn
Treebank, each in a process of its own. `fit` uses `cross_entropy_in_place`, and bf16 where the
machine supports it.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from common import interleave_apart, parser, record, spread

from dlcourse import data
from dlcourse.models import RecurrentLM
from dlcourse.runtime import has_bf16
from dlcourse.train import Gradients, cross_entropy_in_place, evaluate, fit

LR, CLIP, STEPS = 5.0, 0.25, 40
# Small enough that rounding errors do not grow. With LR, a change of the first weights by one
# millionth changes the perplexity after 120 steps by 5 %.
SMALL_LR = 0.5


def model(vocab_size: int, dropout: float = 0.2) -> RecurrentLM:
    torch.manual_seed(0)
    return RecurrentLM(vocab_size, hidden_size=200, num_layers=2, dropout=dropout)


def usual(net: RecurrentLM, batches: list, lr: float = LR) -> None:
    net.train()
    net.reset_state()
    for inputs, targets in batches:
        net.zero_grad()
        output = F.log_softmax(net(inputs).flatten(0, 1), dim=1)
        F.nll_loss(output, targets.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        for p in net.parameters():
            p.data.add_(p.grad, alpha=-lr)


def ours(net: RecurrentLM, batches: list, lr: float = LR) -> None:
    fit(
        net, batches, epochs=1, optimizer="sgd", lr=lr,
        gradients=Gradients(clip_norm=CLIP),
        loss=cross_entropy_in_place, device="cpu",
    )  # fmt: skip


RUNS = {"usual": usual, "fit": ours}


def contestant(name: str) -> Callable[[], object]:
    text = data.load_text("ptb", offline=True)
    batches = list(text.batches(20, 35)[0])[:STEPS]
    return partial(RUNS[name], model(len(text.vocabulary)), batches)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=5)
    args = made.parse_args()
    text = data.load_text("ptb", offline=True)
    train, val, _ = text.batches(20, 35)
    seconds = interleave_apart({name: partial(contestant, name) for name in RUNS}, args.rounds)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    tokens = sum(targets.numel() for _, targets in list(train)[:STEPS])
    # Without dropout, both take the same steps from the same weights.
    perplexities, some = {}, list(val)[:40]
    for name, run in RUNS.items():
        net = model(len(text.vocabulary), dropout=0.0)
        run(net, list(train)[: 3 * STEPS], SMALL_LR)
        perplexities[name] = math.exp(evaluate(net, some)["loss"])
    result = {
        "data": "Penn Treebank" if not text.synthetic else "synthetic text",
        "load_average": round(os.getloadavg()[0], 1),
        "threads": torch.get_num_threads(),
        "bf16": has_bf16(torch.device("cpu")),
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "tokens_per_s": {name: round(tokens / median) for name, median in medians.items()},
        "times_as_fast": round(medians["usual"] / medians["fit"], 3),
        "val_perplexity_after_120_steps": {
            name: round(value, 3) for name, value in perplexities.items()
        },
    }
    record("lstm_softmax", result, args.out)


if __name__ == "__main__":
    main()
