"""Train a recipe as `dlcourse train NAME` does; record its result and its seconds.

    DLCOURSE_DATA=DIR python benchmarks/recipe.py cifar10-fast     (10 minutes on 2 cores)
    DLCOURSE_DATA=DIR python benchmarks/recipe.py ptb-lstm100      (20 minutes)

The settings were chosen on validation data. The test split is used once, after the last epoch.
"""

from __future__ import annotations

import os

import torch
from common import parser, record, spread

from dlcourse import recipes
from dlcourse.runtime import available_devices
from dlcourse.train import evaluate


def main() -> None:
    made = parser(__doc__)
    made.add_argument("recipe", choices=recipes.RECIPES)
    made.add_argument("--seeds", type=int, default=1, help="default: %(default)s")
    made.add_argument("--device", default="cpu", choices=available_devices())
    args = made.parse_args()
    recipe = recipes.find(args.recipe)
    load_average, seconds = os.getloadavg()[0], []
    scores: dict[str, list[float]] = {}
    for seed in range(args.seeds):
        splits = recipe.splits(offline=True, seed=seed, device=args.device)
        if splits.whole.synthetic:
            raise SystemExit(f"needs the real data in DLCOURSE_DATA, found {splits.whole.source}")
        model, history = recipe.train(splits, seed=seed, device=args.device)
        seconds.append(sum(history["seconds"]))
        for name, batches in (("val", splits.val), ("test", splits.test)):
            if len(batches):  # a recipe may train on all training images
                score = evaluate(model, batches, metrics=(recipe.metric,))[recipe.metric]
                scores.setdefault(f"{name}_{recipe.metric}", []).append(score)
    pixels = " (pixels went through JPEG)" if recipe.data == "cifar10" else ""
    result = {
        "data": recipe.data + pixels,
        "device": torch.cuda.get_device_name() if args.device == "cuda" else args.device,
        "threads": torch.get_num_threads(),
        "load_average": round(load_average, 1),
        "epochs": recipe.epochs,
        **{name: spread(values) for name, values in scores.items()},
        "training_s": spread(seconds, 1),
    }
    where = {"cpu": "", "cuda": "_gpu"}.get(args.device, f"_{args.device}")
    record(f"recipe_{args.recipe}{where}", result, args.out)


if __name__ == "__main__":
    main()
