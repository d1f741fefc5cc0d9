"""Test perplexity of recurrent language models with 100 hidden units on the real Penn Treebank.

    DLCOURSE_DATA=DIR python benchmarks/models_ptb.py --cell lstm

Training uses SGD whose learning rate is halved after each epoch of the second half, dropout, and
tied weights. The weights of the best validation epoch are tested once. All epochs but the last
train with a sampled softmax (`sampled_cross_entropy`), which takes half of the time; perplexities
are always exact. The weights and the history of each epoch are saved in --work, so that an
interrupted run continues from there.
"""

import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from common import RESULTS, parser, record, recorded

from dlcourse import data
from dlcourse.models.recurrent_lm import RecurrentLM
from dlcourse.train import cross_entropy_in_place

LR, CLIP, SEED = 20.0, 0.25, 0
HEAD, SAMPLE = 1000, 600
EXACT_EPOCHS = 1  # the last epochs, trained with the exact softmax
MODELS = {  # settings of RecurrentLM, training, published perplexity (Mikolov et al. 2015)
    "lstm": ({"cell": "lstm"}, {"epochs": 14, "dropout": 0.1}, 115),
    # The context units change slowly: a gradient cut after 20 steps cannot train them.
    "scrn": (
        {"cell": "scrn", "context_size": 40},
        {"epochs": 14, "dropout": 0.15, "batch_size": 10, "bptt": 40},
        115,
    ),
    # With the learning rate that rare words need, the Elman network's recurrent weights diverge.
    "elman": ({"cell": "elman"}, {"epochs": 11, "dropout": 0.1, "recurrent_share": 0.1}, 129),
}


def share_of_lr(epoch, epochs):
    """The factor of the learning rate in `epoch`: 1 in the first half, then halved each epoch."""
    return 0.5 ** max(0, epoch - math.ceil(epochs / 2))


def sampled_cross_entropy(x, w, b, y):
    """Estimate cross_entropy(linear(x, w, b), y) (Jean et al. 2015).

    The HEAD most frequent words (the lowest numbers) and the target count exactly; a sample stands
    for all other words.
    """
    words = torch.cat([torch.arange(HEAD), HEAD + torch.randperm(len(w) - HEAD)[:SAMPLE]])
    scale = torch.zeros(len(words))
    scale[HEAD:] = math.log(
        (len(w) - HEAD) / SAMPLE
    )  # each sampled word stands for this many words
    logits = F.linear(x, w[words], b[words] + scale)
    place = torch.full((len(w),), -1)
    place[words] = torch.arange(len(words))
    rows = (place[y] >= 0).nonzero()[:, 0]
    logits[rows, place[y[rows]]] = -math.inf  # the target must not count twice
    right = (x * w[y]).sum(1) + b[y]
    return (torch.logaddexp(logits.logsumexp(1), right) - right).mean()


def loss_of(model, inputs, targets, sampled):
    """The mean cross-entropy of a batch; the model carries its state as in `forward`."""
    if not sampled:
        return cross_entropy_in_place(model(inputs), targets)
    decoder, model.decoder = model.decoder, torch.nn.Identity()
    outputs = model(inputs).flatten(0, 1)
    model.decoder = decoder
    return sampled_cross_entropy(outputs, decoder.weight, decoder.bias, targets.flatten())


@torch.no_grad()
def perplexity(model, batches):
    """exp of the mean cross-entropy over every token, from the model's own logits."""
    model.eval()
    model.reset_state()
    total = sum(
        F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum").item()
        for x, y in batches
    )
    return math.exp(total / batches.num_samples)


def train(name, epochs, work):
    settings, training, published = MODELS[name]
    epochs, dropout = epochs or training["epochs"], training["dropout"]
    recurrent_share = training.get("recurrent_share", 1.0)
    batch_size, bptt = training.get("batch_size", 20), training.get("bptt", 20)
    text = data.load_text("ptb", offline=True)
    if text.synthetic:
        raise SystemExit("needs the real Penn Treebank in DLCOURSE_DATA")
    batches, val, _ = text.batches(batch_size, bptt)
    test = text.batches(1, 1000)[2]  # one row, so that every token but the first is predicted
    torch.manual_seed(SEED)
    model = RecurrentLM(
        len(text.vocabulary), hidden_size=100, dropout=dropout, tied=True, **settings
    )
    others = [p for n, p in model.named_parameters() if not n.startswith("recurrent")]
    optimizer = torch.optim.SGD(
        [
            {"params": model.recurrent.parameters(), "share": recurrent_share},
            {"params": others, "share": 1.0},
        ],
        lr=LR,
    )
    path = work / f"{name}.pt"
    history, best = [], None
    if path.exists():
        saved = torch.load(path, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["rng"])
        history, best = saved["history"], saved["best"]
    for epoch in range(len(history) + 1, epochs + 1):
        wall, cpu, total = time.perf_counter(), time.process_time(), 0.0
        sampled = epoch <= epochs - EXACT_EPOCHS
        for group in optimizer.param_groups:
            group["lr"] = LR * group["share"] * share_of_lr(epoch, epochs)
        model.train()
        model.reset_state()
        for x, y in batches:
            loss = loss_of(model, x, y, sampled)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            total += loss.item() * y.numel()
        row = {
            "epoch": epoch,
            "train_perplexity": math.exp(total / batches.num_samples),  # measured during training
            "val_perplexity": perplexity(model, val),
            "seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
        }
        row = {key: round(value, 2) for key, value in row.items()}
        history.append(row | {"softmax": "sampled" if sampled else "exact"})
        print(name, history[-1], flush=True)
        if best is None or row["val_perplexity"] < best["val_perplexity"]:
            weights = {key: value.clone() for key, value in model.state_dict().items()}
            best = {"val_perplexity": row["val_perplexity"], "epoch": epoch, "weights": weights}
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "history": history,
            "best": best,
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
    model.load_state_dict(best["weights"])
    return {
        "published_test_perplexity": published,
        "test_perplexity": round(perplexity(model, test), 2),
        "val_perplexity": round(best["val_perplexity"], 2),
        "best_epoch": best["epoch"],
        "n": 1,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "settings": {
            **settings, "hidden_size": 100, "tied": True, "dropout": dropout, "optimizer": "sgd",
            "lr": LR, "recurrent_share": recurrent_share, "clip": CLIP,
            "schedule": "halved each epoch of the second half", "epochs": epochs,
            "batch_size": batch_size, "bptt": bptt, "seed": SEED, "head": HEAD, "sample": SAMPLE,
            "threads": torch.get_num_threads(),
        },
        "data": "Penn Treebank",
        "history": history,
    }  # fmt: skip


def main():
    made = parser(__doc__)
    made.add_argument("--cell", choices=MODELS, required=True)
    made.add_argument("--epochs", type=int, help="default: the recorded number")
    made.add_argument("--work", type=Path, default=Path("results/models_ptb"))
    args = made.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    result = train(args.cell, args.epochs, args.work)
    path = args.out or RESULTS / "models_ptb.json"
    record("models_ptb", recorded(path) | {args.cell: result}, path)


if __name__ == "__main__":
    main()
