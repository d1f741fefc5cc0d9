"""Train DCGAN on real MNIST: do its samples show all ten digits, and is a LeNet-5 sure of them?

    DLCOURSE_DATA=DIR python benchmarks/models_gan.py [--state DIR]    (about 20 minutes on 2 cores)

Three GANs are trained, one for each seed. A LeNet-5 that was trained only on the training images
judges 10,000 samples of each. The weights of the last step are judged: the judge chooses no epoch.
With --state, the judge and the finished seeds are kept in that folder and not trained again.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from common import parser, record, spread

from dlcourse import data, plots
from dlcourse.models.dcgan import DCGAN
from dlcourse.models.lenet import LeNet5
from dlcourse.runtime import seed_everything
from dlcourse.train import evaluate, fit
from dlcourse.train.gan import coverage, fit_gan

BATCH_SIZE = 64
NUM_SAMPLES = 10_000
JUDGE = {"epochs": 8, "lr": 3e-3, "schedule": "onecycle"}
MODEL = {"width": 32, "latent_dim": 64}
TRAINING = {"epochs": 6, "lr": 1e-3, "loss": "non_saturating"}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--state", type=Path, help="folder for the judge and finished seeds")
    args = made.parse_args()
    mnist = data.load("mnist", offline=True)
    judge, accuracy = trained_judge(mnist, args.state)
    runs = [judged_gan(mnist, judge, seed, args.state) for seed in range(3)]
    record(
        "models_gan",
        {
            "data": "MNIST, synthetic" if mnist.synthetic else "MNIST",
            "judge_test_accuracy": accuracy,
            "num_samples": NUM_SAMPLES,
            "least_share": spread([min(run["shares"]) for run in runs]),
            "mean_confidence": spread([run["confidence"] for run in runs]),
            "training_s": spread([run["training_s"] for run in runs], 1),
            "shares": [run["shares"] for run in runs],
            **MODEL,
            **TRAINING,
            "batch_size": BATCH_SIZE,
        },
        args.out,
    )


def trained_judge(mnist: data.ImageData, state: Path | None) -> tuple[LeNet5, float]:
    seed_everything(0)
    judge = LeNet5()
    train, val, test = mnist.batches(batch_size=BATCH_SIZE, normalize="none")
    weights = state and state / "judge.pt"
    if weights and weights.is_file():
        judge.load_state_dict(torch.load(weights, weights_only=True))
    else:
        fit(judge, train, val, device="cpu", **JUDGE)
        if weights:
            torch.save(judge.state_dict(), weights)
    return judge, round(evaluate(judge, test)["accuracy"], 4)


def judged_gan(mnist: data.ImageData, judge: LeNet5, seed: int, state: Path | None) -> dict:
    result = state and state / f"seed{seed}.json"
    if result and result.is_file():
        return json.loads(result.read_text())
    seed_everything(seed)
    gan = DCGAN(**MODEL)
    train, _, _ = mnist.batches(batch_size=BATCH_SIZE, normalize="none", seed=seed)
    history = fit_gan(gan, train, seed=seed, device="cpu", **TRAINING)
    samples = gan.sample(NUM_SAMPLES, torch.Generator().manual_seed(seed))
    shares, confidence = coverage(judge, samples)
    run = {
        "shares": [round(share, 4) for share in shares.tolist()],
        "confidence": confidence,
        "training_s": sum(history["seconds"]),
    }
    if result:
        plots.image_grid(samples[:40], path=state / f"seed{seed}.png")
        torch.save(gan.state_dict(), state / f"seed{seed}.pt")
        result.write_text(json.dumps(run))
    return run


if __name__ == "__main__":
    main()
