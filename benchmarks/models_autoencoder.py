"""Compress real MNIST to 30 numbers and reconstruct it: the deep autoencoder against PCA.

    DLCOURSE_DATA=DIR python benchmarks/models_autoencoder.py [--epochs 15] [--seeds 3]

The error is the sum of the squared pixel differences of an image, with pixels in [0, 1], averaged
over the test images. Published values (Hinton & Salakhutdinov 2006): PCA 13.87, autoencoder 3.00.
The weights are those of the best epoch on validation images.
"""

from __future__ import annotations

from common import parser, record, spread

from dlcourse import data
from dlcourse.models.autoencoder import DeepAutoencoder
from dlcourse.models.pca import PCA
from dlcourse.runtime import seed_everything
from dlcourse.train import Reconstruction, evaluate, fit, squared_error

TRAINING = {"lr": 3e-3, "schedule": "onecycle"}
BATCH_SIZE = 100


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--epochs", type=int, default=15, help="default: %(default)s")
    made.add_argument("--seeds", type=int, default=3, help="default: %(default)s")
    args = made.parse_args()
    mnist = data.load("mnist", offline=True)
    images = mnist.test_images / 255
    pca_error = squared_error(PCA().fit(mnist.train_images / 255)(images), images).item()
    print(f"PCA: {pca_error:.3f}", flush=True)
    errors, seconds = [], []
    for seed in range(args.seeds):
        seed_everything(seed)
        model = DeepAutoencoder()
        train, val, test = (
            Reconstruction(part)
            for part in mnist.batches(batch_size=BATCH_SIZE, normalize="none", seed=seed)
        )
        history = fit(
            model,
            train,
            val,
            epochs=args.epochs,
            loss=squared_error,
            seed=seed,
            device="cpu",
            **TRAINING,
        )
        errors.append(evaluate(model, test, loss=squared_error)["loss"])
        seconds.append(sum(history["seconds"]))
        print(f"seed {seed}: {errors[-1]:.3f} in {seconds[-1]:.0f} s", flush=True)
    record(
        "models_autoencoder",
        {
            "data": "MNIST, synthetic" if mnist.synthetic else "MNIST",
            "pca_30": round(pca_error, 4),
            "autoencoder_30": spread(errors),
            "share_of_pca": spread([error / pca_error for error in errors]),
            "training_s": spread(seconds, 1),
            "epochs": args.epochs,
            "batch_size": BATCH_SIZE,
            **TRAINING,
        },
        args.out,
    )


if __name__ == "__main__":
    main()
