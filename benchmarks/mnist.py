"""Train LeNet-5 and an MLP on real MNIST; record test accuracy and seconds of training.

    DLCOURSE_DATA=DIR python benchmarks/mnist.py     (about 6 minutes on 2 cores)
    python benchmarks/mnist.py --synthetic           (do the two differ on the stand-in as well?)

Each run keeps the weights of its best epoch on the validation images. The test images are used
once, at the end.
"""

from __future__ import annotations

import tempfile

from common import parser, record, spread

from dlcourse import data, models
from dlcourse.runtime import seed_everything
from dlcourse.train import evaluate, fit

RUNS = {
    "lenet5": ({}, {"epochs": 8, "lr": 3e-3, "schedule": "onecycle"}),
    "mlp": ({"hidden_sizes": (512,)}, {"epochs": 8, "lr": 1e-3, "schedule": "onecycle"}),
}

BATCH_SIZE = 64


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--synthetic", action="store_true", help="use the synthetic digits")
    args = made.parse_args()
    with tempfile.TemporaryDirectory() as empty:
        mnist = data.load("mnist", empty if args.synthetic else None, offline=True)
    result = {"data": "MNIST, synthetic" if mnist.synthetic else "MNIST"}
    for name, (settings, training) in RUNS.items():
        accuracies, seconds = [], []
        for seed in range(3):
            seed_everything(seed)
            model = models.build(name, **settings)
            train, val, test = mnist.batches(batch_size=BATCH_SIZE, seed=seed)
            history = fit(model, train, val, seed=seed, device="cpu", **training)
            accuracies.append(evaluate(model, test)["accuracy"])
            seconds.append(sum(history["seconds"]))
        result[name] = {
            "test_accuracy": spread(accuracies),
            "training_s": spread(seconds, 1),
            **settings,
            **training,
        }
    record("mnist_synthetic" if mnist.synthetic else "mnist", result, args.out)


if __name__ == "__main__":
    main()
