"""Compare a character LSTM on tiny Shakespeare with a small GPT that has nanoGPT's CPU settings.

    DLCOURSE_DATA=DIR python benchmarks/char_lstm.py           (the LSTM, a minute)
    DLCOURSE_DATA=DIR python benchmarks/char_lstm.py --gpt     (the GPT, minutes)

The GPT has the sizes and the training that nanoGPT's README gives for a CPU: 4 layers, 4 heads, an
embedding of 128, windows of 64 characters, batch size 12, 2,000 steps of AdamW with warm-up and a
cosine schedule, no dropout, tied weights. It is written here on top of torch's own attention.
nanoGPT splits its data 90 : 10, so both models train on the first 90 % of the text. Both are
scored in the same way: the mean cross-entropy over the last 10 %, in windows of 64 characters
without earlier context. The clock runs during training, and the score is not computed before the
end.
"""

from __future__ import annotations

import math
import os
import time

import torch
import torch.nn.functional as F
from common import RESULTS, parser, record, recorded, spread
from torch import Tensor, nn

from dlcourse import data
from dlcourse.train import Gradients, evaluate, fit

WINDOW, GOAL = 64, 1.88


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, bias=False) for _ in range(2))
        self.qkv, self.out = (nn.Linear(width, n * width, bias=False) for n in (3, 1))
        self.up, self.down = (
            nn.Linear(width, 4 * width, bias=False),
            nn.Linear(4 * width, width, bias=False),
        )
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, vocab_size: int, width: int = 128, layers: int = 4, heads: int = 4) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(vocab_size, width), nn.Embedding(WINDOW, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width, bias=False)
        self.head = nn.Linear(width, vocab_size, bias=False)
        for name, p in self.named_parameters():
            if p.dim() > 1:
                std = 0.02 / math.sqrt(2 * layers) if "out" in name or "down" in name else 0.02
                nn.init.normal_(p, std=std)
        self.head.weight = self.token.weight

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.token(inputs) + self.place.weight[: inputs.shape[1]]
        return self.head(self.norm(self.blocks(x)))


class CharLSTM(nn.Module):
    """Shape: inputs int64 (B, T) -> logits (B, T, vocab_size); each row starts at state 0."""

    def __init__(self, vocab_size: int, embedding_dim: int = 32, hidden_size: int = 192) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_size, batch_first=True)
        self.decoder = nn.Linear(hidden_size, vocab_size)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.decoder(self.lstm(self.embedding(inputs))[0])


class Windows:
    """Yield `steps` batches of windows at random positions of `tokens`."""

    def __init__(self, tokens: Tensor, batch_size: int, steps: int, seed: int) -> None:
        self.tokens, self.batch_size, self.steps = tokens, batch_size, steps
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self):
        for _ in range(self.steps):
            high = len(self.tokens) - WINDOW - 1
            starts = torch.randint(high, (self.batch_size, 1), generator=self.generator)
            windows = self.tokens[starts + torch.arange(WINDOW + 1)]
            yield windows[:, :-1], windows[:, 1:]


def scoring(tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
    count = (len(tokens) - 1) // WINDOW
    inputs = tokens[: count * WINDOW].view(count, WINDOW)
    targets = tokens[1 : count * WINDOW + 1].view(count, WINDOW)
    return list(zip(inputs.split(256), targets.split(256), strict=True))


def warm_up_then_cosine(optimizer: torch.optim.Optimizer, steps: int):
    def share(step: int) -> float:
        if step < 100:
            return (step + 1) / 101
        return 0.1 + 0.9 * (1 + math.cos(math.pi * (step - 100) / (steps - 100))) / 2

    return torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def train_gpt(tokens: Tensor, vocab_size: int, steps: int = 2000) -> tuple[nn.Module, float]:
    """Train with a plain loop, as nanoGPT does."""
    torch.manual_seed(1337)
    model = GPT(vocab_size)
    decayed = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
    scheduler = warm_up_then_cosine(optimizer, steps)
    start = time.perf_counter()
    for inputs, targets in Windows(tokens, 12, steps, seed=1337):
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
    return model, time.perf_counter() - start


def train_lstm(tokens: Tensor, vocab_size: int, seed: int, steps: int, batch_size: int, lr: float):
    torch.manual_seed(seed)
    model, batches = CharLSTM(vocab_size), Windows(tokens, batch_size, steps, seed)
    start = time.perf_counter()
    fit(
        model, batches, epochs=1, lr=lr, schedule="onecycle", seed=seed, device="cpu",
        gradients=Gradients(clip_norm=1.0),
    )  # fmt: skip
    return model, time.perf_counter() - start


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--gpt", action="store_true", help="train the GPT instead of the LSTM")
    made.add_argument("--seeds", type=int, default=5)
    made.add_argument("--steps", type=int, default=550)
    made.add_argument("--batch-size", type=int, default=16)
    made.add_argument("--lr", type=float, default=8e-3)
    args = made.parse_args()
    path = args.out or RESULTS / "char_lstm.json"
    result = recorded(path)
    text = data.load_text("tinyshakespeare", offline=True)
    tokens = torch.cat([text.train, text.val, text.test])
    cut, vocab_size = int(0.9 * len(tokens)), len(text.vocabulary)
    val = scoring(tokens[cut:])
    result |= {
        "data": "synthetic text" if text.synthetic else "tiny Shakespeare",
        "goal": GOAL,
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 1),
    }
    if args.gpt:
        model, took = train_gpt(tokens[:cut], vocab_size)
        result["gpt"] = {
            "val_loss": round(evaluate(model, val)["loss"], 4), "seconds": round(took, 1), "n": 1
        }  # fmt: skip
    else:
        losses, seconds = [], []
        for seed in range(args.seeds):
            model, took = train_lstm(
                tokens[:cut], vocab_size, seed, args.steps, args.batch_size, args.lr
            )
            losses.append(evaluate(model, val)["loss"])
            seconds.append(took)
            print(losses[-1], took, flush=True)
        result["lstm"] = {
            "val_loss": spread(losses), "seconds": spread(seconds, 2), "steps": args.steps,
            "batch_size": args.batch_size, "lr": args.lr,
            "parameters": sum(p.numel() for p in model.parameters()),
        }  # fmt: skip
    record("char_lstm", result, path)


if __name__ == "__main__":
    main()
