"""Train `cifar10-gpu` and airbench94 by turns on one GPU and the same pixels; record both.

    DLCOURSE_DATA=DIR python benchmarks/cifar10_airbench.py FILE

FILE is legacy/airbench94.py of github.com/KellerJordan/cifar10-airbench (Jordan 2024,
arXiv:2404.00498). Both are trained on all 50,000 training images and judged on the test images,
once for each seed, after a first run of each that is not counted. The seconds are those of training
and of the test, without loading the data, as airbench94 counts them itself.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import statistics
import tempfile
import time
from pathlib import Path
from types import ModuleType

import torch
from common import parser, record, spread

from dlcourse import recipes
from dlcourse.data import ImageData
from dlcourse.recipes import Splits
from dlcourse.train import evaluate


def ours(splits: Splits, seed: int) -> tuple[float, float]:
    """Train the recipe; return its accuracy on the test images, and the seconds."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    recipe = recipes.find("cifar10-gpu")
    model, _ = recipe.train(splits, seed=seed, device="cuda", progress=False)
    accuracy = evaluate(model, splits.test, metrics=("accuracy",))["accuracy"]
    torch.cuda.synchronize()
    return accuracy, time.perf_counter() - start


def save_for_the_peer(whole: ImageData) -> None:
    """Write the images as the files that airbench94 looks for in the working folder."""
    Path("cifar10").mkdir()
    for part in ("train", "test"):
        kept = {
            "images": getattr(whole, f"{part}_images").permute(0, 2, 3, 1).contiguous(),
            "labels": getattr(whole, f"{part}_labels"),
            "classes": list(whole.class_names),
        }
        torch.save(kept, f"cifar10/{part}.pt")


def load_peer(path: Path) -> ModuleType:
    """The peer's script as a module; it trains nothing when it is imported."""
    spec = importlib.util.spec_from_file_location("airbench94", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def theirs(peer: ModuleType, run: int | str) -> tuple[float, float]:
    """Train airbench94; return its accuracy on the test images, and the seconds that it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        accuracy = peer.main(run)
    last = next(line for line in reversed(printed.getvalue().splitlines()) if "eval" in line)
    return accuracy, float(re.findall(r"\d+\.\d+", last)[-1])


def main() -> None:
    made = parser(__doc__)
    made.add_argument("peer", type=Path, metavar="FILE")
    made.add_argument("--seeds", type=int, default=5, help="default: %(default)s")
    args = made.parse_args()
    splits = recipes.find("cifar10-gpu").splits(offline=True, device="cuda")
    if splits.whole.synthetic:
        raise SystemExit(f"needs the real data in DLCOURSE_DATA, found {splits.whole.source}")
    path, out = args.peer.resolve(), args.out and args.out.resolve()
    found: dict[str, list[tuple[float, float]]] = {"cifar10-gpu": [], "airbench94": []}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        save_for_the_peer(splits.whole)
        peer = load_peer(path)
        ours(splits, 0), theirs(peer, "warmup")
        for seed in range(args.seeds):
            found["cifar10-gpu"].append(ours(splits, seed))
            found["airbench94"].append(theirs(peer, seed))
    result = {
        name: {
            "test_accuracy": spread([accuracy for accuracy, _ in runs]),
            "seconds": spread([seconds for _, seconds in runs], 2),
        }
        for name, runs in found.items()
    }
    medians = {name: statistics.median(s for _, s in runs) for name, runs in found.items()}
    record(
        "cifar10_airbench",
        {
            "data": "CIFAR-10 (pixels went through JPEG)",
            "device": torch.cuda.get_device_name(),
            **result,
            "times_the_seconds": round(medians["cifar10-gpu"] / medians["airbench94"], 2),
        },
        out,
    )


if __name__ == "__main__":
    main()
