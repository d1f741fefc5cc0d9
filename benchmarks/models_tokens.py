"""Compare tokens per second of the LSTM language model with those of a bare loop over nn.LSTM.

    python benchmarks/models_tokens.py                     (about 2 minutes on 2 cores)

Both train with SGD on the same random tokens: 100 hidden units, batches of 20 rows and 35 tokens,
with the state carried from batch to batch. The vocabulary has 10,000 words, as the Penn Treebank,
and then 50, where the softmax no longer hides the cost of the model itself.
"""

from __future__ import annotations

import functools
import statistics

import torch
from common import interleave, parser, record, spread
from torch import Tensor, nn
from torch.nn import functional as F

from dlcourse.models.recurrent_lm import RecurrentLM

BATCH_SIZE, BPTT, HIDDEN_SIZE = 20, 35, 100
STEPS = {10_000: 20, 50: 200}  # for each size of the vocabulary


class BareLSTM(nn.Module):
    """The model of a tutorial: an embedding, nn.LSTM, a linear layer; the state is passed along."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, HIDDEN_SIZE)
        self.lstm = nn.LSTM(HIDDEN_SIZE, HIDDEN_SIZE, batch_first=True)
        self.decoder = nn.Linear(HIDDEN_SIZE, vocab_size)


def train_bare(model: BareLSTM, optimizer: torch.optim.Optimizer, tokens: list[Tensor]) -> None:
    state = None
    for batch in tokens:
        outputs, state = model.lstm(model.embedding(batch[:, :-1]), state)
        state = tuple(s.detach() for s in state)
        step(optimizer, model.decoder(outputs), batch)


def train_course(
    model: RecurrentLM, optimizer: torch.optim.Optimizer, tokens: list[Tensor]
) -> None:
    model.reset_state()
    for batch in tokens:
        step(optimizer, model(batch[:, :-1]), batch)


def step(optimizer: torch.optim.Optimizer, logits: Tensor, batch: Tensor) -> None:
    loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def main() -> None:
    args = parser(__doc__).parse_args()
    result = {
        "threads": torch.get_num_threads(),
        "batch_size": BATCH_SIZE,
        "bptt": BPTT,
        "hidden_size": HIDDEN_SIZE,
    }
    for vocab_size, steps in STEPS.items():
        torch.manual_seed(0)
        tokens = list(torch.randint(vocab_size, (steps, BATCH_SIZE, BPTT + 1)))
        bare, course = BareLSTM(vocab_size), RecurrentLM(vocab_size, hidden_size=HIDDEN_SIZE)
        seconds = interleave(
            {
                name: functools.partial(
                    train, model, torch.optim.SGD(model.parameters(), lr=0.1), tokens
                )
                for name, model, train in (
                    ("bare_nn_lstm", bare, train_bare), ("course", course, train_course),
                )
            },
            rounds=9,
        )  # fmt: skip
        rates = {
            name: [steps * BATCH_SIZE * BPTT / taken for taken in times]
            for name, times in seconds.items()
        }
        medians = {name: statistics.median(values) for name, values in rates.items()}
        result[f"{vocab_size} words"] = {
            "tokens_a_second": {name: spread(values, 0) for name, values in rates.items()},
            "course_over_bare": round(medians["course"] / medians["bare_nn_lstm"], 3),
        }
    record("models_tokens", result, args.out)


if __name__ == "__main__":
    main()
