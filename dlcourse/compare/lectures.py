"""What the lectures claim, each as an experiment that can say whether it came.

The letters are the lecture decks of the course: T, C, A, J, K.
"""

from __future__ import annotations

import math
from typing import Any

from dlcourse import optim
from dlcourse.compare import figures, flow, surfaces
from dlcourse.compare.experiments import Answer, Experiment, mean, means
from dlcourse.compare.material import Place
from dlcourse.compare.study import Study

__all__ = ["EXPERIMENTS"]

MNIST = {"model": "mlp", "data": "mnist"}


def said(values: dict[Any, float], digits: int = 3) -> str:
    """As "0.1: 2.31, 0.5: 1.07"."""
    return ", ".join(f"{name}: {value:.{digits}g}" for name, value in values.items())


def spread_by(study: Study, score: str, axis: str, **where: Any) -> dict[float, list[float]]:
    """`score` of every run, by the value of `axis`."""
    found: dict[float, list[float]] = {}
    for row in study.rows:
        if all(row.settings.get(name) == value for name, value in where.items()):
            found.setdefault(row.settings[axis], []).append(row.scores.get(score, math.nan))
    return found


def initialization(study: Study, place: Place) -> Answer:
    tanh = flow.ten_layers("tanh", study, place)
    relu = flow.ten_layers("relu", study, place)
    last = {name: layers[-1] for name, layers in tanh.items()}
    kept = {name: layers[-1].std / layers[0].std for name, layers in relu.items()}
    came = (
        last["normal:0.01"].std < 1e-3
        and last["normal:1"].saturated > 0.8
        and last["xavier"].std > 0.1
        and last["xavier"].saturated < 0.2
        and kept["xavier"] < 0.2 < kept["kaiming"]
    )
    found = (
        "the tenth tanh layer at step 0: standard deviation "
        f"{said({name: layer.std for name, layer in last.items()}, 2)}; share saturated "
        f"{said({name: layer.saturated for name, layer in last.items()}, 2)}; "
        f"of the first ReLU layer's signal the tenth has {said(kept, 2)}"
    )
    drawn = {}
    for activation, before in (("tanh", tanh), ("relu", relu)):
        after = flow.ten_layers(activation, study, place, steps=flow.STEPS)
        for when, cases in (("step 0", before), (f"step {flow.STEPS}", after)):
            for what in ("activations", "gradients"):
                caption = f"Ten {activation} layers of 500: {what} at {when}"
                drawn[caption] = figures.layer_histograms(cases, what)
        drawn[f"Ten {activation} layers of 500: by depth, step 0"] = figures.gradient_by_depth(
            before
        )
    return Answer(came, found, drawn)


def optimizers(study: Study, place: Place) -> Answer:
    losses = means(study, "train_loss", "optimizer")
    ravine = [surfaces.best_walk(surfaces.RAVINE, name) for name in optim.OPTIMIZERS]
    saddle = [surfaces.walk(surfaces.SADDLE, name, 0.05) for name in optim.OPTIMIZERS]
    steps = {one.optimizer: one.arrived for one in ravine}
    adaptive = min(losses[name] for name in ("adagrad", "rmsprop", "adam", "nadam"))
    came = steps["momentum"] < steps["sgd"] and min(adaptive, losses["momentum"]) < losses["sgd"]
    return Answer(
        came,
        f"training loss {said(losses)}; steps through the ravine {said(steps)}",
        {
            "A ravine, each at its best learning rate": figures.trajectories(
                surfaces.RAVINE, ravine
            ),
            "A saddle, all at the learning rate 0.05": figures.trajectories(
                surfaces.SADDLE, saddle
            ),
        },
    )


def schedules(study: Study, place: Place) -> Answer:
    losses = means(study, "test_loss", "schedule")
    constant = losses.pop(None)
    better = [name for name, loss in losses.items() if loss < constant]
    return Answer(
        len(better) == len(losses),
        f"test loss {said({'constant': constant, **losses})}",
    )


def batch_size(study: Study, place: Place) -> Answer:
    losses = means(study, "train_loss", "batch_size")
    values = list(losses.values())
    return Answer(
        values == sorted(values),
        f"training loss after {study.grid['epochs'][0]} epochs {said(losses)}",
        {
            "Training loss by batch size": figures.error_by(
                {"train": spread_by(study, "train_loss", "batch_size")},
                "batch size", "training loss", log=True,
            )
        },
    )  # fmt: skip


def batch_norm(study: Study, place: Place) -> Answer:
    plain, normed = (
        {rule: 100 * mean(study, "test_accuracy", batch_norm=on, init=rule)
         for rule in study.grid["init"]}
        for on in (False, True)
    )  # fmt: skip
    return Answer(
        min(normed.values()) > min(plain.values()) + 20,
        f"test accuracy without {said(plain)}; with {said(normed)}",
    )


def depth(study: Study, place: Place) -> Answer:
    losses = means(study, "train_loss", "model")
    error = {
        kind: {
            int(model.removeprefix(kind)): [
                100 * (1 - row.scores.get("train_accuracy", math.nan))
                for row in study.rows
                if row.settings["model"] == model
            ]
            for model in losses
            if model.startswith(kind)
        }
        for kind in ("plain", "resnet")
    }
    shallow, deep = min(error["plain"]), max(error["plain"])
    cost = {kind: losses[f"{kind}{deep}"] - losses[f"{kind}{shallow}"] for kind in error}
    return Answer(
        cost["plain"] > 0 and cost["resnet"] < cost["plain"],
        f"training loss {said(losses)}",
        {"Training error by depth": figures.error_by(error, "layers", "training error in percent")},
    )


def dropout(study: Study, place: Place) -> Answer:
    losses = means(study, "test_loss", "dropout")
    return Answer(
        min(loss for share, loss in losses.items() if share) < losses[0.0],
        f"test loss {said(losses)}",
        {"Test loss by dropout": figures.error_by(
            {"test": spread_by(study, "test_loss", "dropout")}, "share dropped", "test loss"
        )},
    )  # fmt: skip


def early_stopping(study: Study, place: Place) -> Answer:
    losses = means(study, "test_loss", "keep")
    turned = [
        row.best_epoch for row in study.rows if row.settings["keep"] == "best" and row.best_epoch
    ]
    epochs = study.grid["epochs"][0]
    return Answer(
        losses["best"] < losses["last"] and max(turned) < epochs,
        f"validation loss was least after {', '.join(map(str, turned))} of {epochs} epochs; "
        f"test loss {said(losses)}",
    )


def random_labels(study: Study, place: Place) -> Answer:
    fitted = means(study, "train_accuracy", "random_labels")
    tested = means(study, "test_accuracy", "random_labels")
    slow = {
        share: math.fsum(
            sum(epoch["train_loss"] > 0.5 for epoch in row.epochs)
            for row in study.rows
            if row.settings["random_labels"] == share
        )
        / len(study.grid["seed"])
        for share in fitted
    }
    came = fitted[1.0] > 0.9 and tested[1.0] < 0.2 and slow[1.0] > slow[0.0]
    return Answer(
        came,
        f"training accuracy {said(fitted)}; test accuracy {said(tested)}; "
        f"epochs until the training loss is below 0.5 {said(slow)}",
    )


def width(study: Study, place: Place) -> Answer:
    losses = means(study, "test_loss", "width")
    fitted = means(study, "train_accuracy", "width")
    peak = max(losses, key=losses.get)
    came = losses[min(losses)] < losses[peak] * 0.95 and losses[max(losses)] < losses[peak] * 0.8
    names = {"test": "test_loss", "train": "train_loss"}
    return Answer(
        came,
        f"test loss {said(losses)}, highest at width {peak}, where {100 * fitted[peak]:.0f} % of "
        f"the training labels are fitted ({100 * fitted[max(losses)]:.0f} % at {max(losses)})",
        {
            "Loss by width": figures.error_by(
                {name: spread_by(study, score, "width") for name, score in names.items()},
                "hidden units", "loss", log=True,
            ),
            "Test error by width": figures.error_by(
                {"test": {
                    width: [100 * (1 - share) for share in shares]
                    for width, shares in spread_by(study, "test_accuracy", "width").items()
                }},
                "hidden units", "test error in percent", log=True,
            ),
        },
    )  # fmt: skip


EXPERIMENTS = {
    one.name: one
    for one in (
        Experiment(
            "initialization",
            "A, K: tuning the weights' initialization",
            "Ten tanh layers die at 0.01, saturate at 1 and live with Xavier; "
            "under ReLU Xavier fades and Kaiming holds.",
            {**MNIST, "depth": 10, "width": 500, "activation": ["tanh", "relu"],
             "init": ["normal:0.01", "normal:1", "xavier", "kaiming"],
             "optimizer": "sgd", "lr": "auto", "epochs": 6, "seeds": 3},
            {"limit": 1500, "width": 100, "epochs": 2, "lr": 0.03, "seeds": 1},
            initialization,
        ),
        Experiment(
            "optimizers",
            "T, A, J, K: gradient descent and its variants",
            "Each at its own best learning rate, momentum or an adaptive optimizer ends with a "
            "lower training loss than plain SGD, and momentum is sooner through a ravine.",
            {**MNIST, "optimizer": list(optim.OPTIMIZERS), "init": "xavier", "depth": 2,
             "lr": "auto", "keep": "last", "epochs": 10, "seeds": 3},
            {"limit": 3000, "epochs": 3, "seeds": 1},
            optimizers,
        ),
        Experiment(
            "schedules",
            "J: the learning rate over time",
            "A learning rate that falls ends with a lower test loss than a constant one.",
            {**MNIST, "optimizer": "momentum", "lr": 0.05, "batch_size": 16, "keep": "last",
             "schedule": [None, "linear", "cosine", "inverse", "halve"], "epochs": 10, "seeds": 3},
            {"limit": 2500, "epochs": 5, "seeds": 2},
            schedules,
        ),
        Experiment(
            "batch-size",
            "T, J: mini-batches",
            "In equally many epochs small batches end with a lower training loss: they step more "
            "often.",
            {**MNIST, "batch_size": [16, 64, 256, 1024], "optimizer": "sgd", "lr": 0.05,
             "keep": "last", "epochs": 10, "seeds": 3},
            {"limit": 4000, "epochs": 3, "seeds": 2},
            batch_size,
        ),
        Experiment(
            "batch-norm",
            "A, J, K: batch normalization",
            "With batch normalization a deep net learns from starts that it does not learn from "
            "without.",
            {**MNIST, "depth": 6, "width": 256, "batch_norm": [False, True], "optimizer": "sgd",
             "lr": 0.05, "init": ["normal:0.01", "normal:1", "xavier", "kaiming"], "epochs": 5,
             "seeds": 3},
            {"limit": 3000, "width": 100, "epochs": 3, "seeds": 1},
            batch_norm,
        ),
        Experiment(
            "depth",
            "T, A, K: residual networks",
            "Deeper plain nets have a higher training loss; deeper residual nets do not pay so.",
            {"model": ["plain20", "plain32", "plain56", "resnet20", "resnet32", "resnet56"],
             "data": "cifar10", "optimizer": "momentum", "lr": 0.05, "schedule": "linear",
             "weight_decay": 1e-4, "train_scores": True, "keep": "last", "epochs": 30, "seeds": 1},
            {"model": ["plain20", "plain56", "resnet20", "resnet56"], "limit": 1000,
             "train_size": 384, "width": 4, "batch_size": 32, "epochs": 3},
            depth,
        ),
        Experiment(
            "dropout",
            "T, A, J, K: dropout",
            "On few training images dropout lowers the test loss of a wide net.",
            {**MNIST, "train_size": 1000, "depth": 2, "width": 1024, "dropout": [0.0, 0.2, 0.5],
             "keep": "last", "epochs": 60, "seeds": 5},
            {"train_size": 300, "limit": 4000, "width": 256, "epochs": 25, "seeds": 2},
            dropout,
        ),
        Experiment(
            "early-stopping",
            "T, J, K: early stopping",
            "On few images with some wrong labels the validation loss turns up before the end, and "
            "the weights of its best epoch test better than the last.",
            {**MNIST, "train_size": 1000, "random_labels": 0.2, "width": 512, "monitor": "loss",
             "mode": "min", "keep": ["best", "last"], "epochs": 60, "seeds": 5},
            {"train_size": 300, "limit": 4000, "width": 256, "epochs": 30, "seeds": 2},
            early_stopping,
        ),
        Experiment(
            "random-labels",
            "A: the randomization test (Zhang et al. 2017)",
            "Random labels are learned by heart, only slower, and nothing of it carries over to "
            "the test images.",
            {**MNIST, "train_size": 2000, "random_labels": [0.0, 0.5, 1.0], "width": 512,
             "train_scores": True, "keep": "last", "epochs": 100, "seeds": 3},
            {"train_size": 300, "limit": 4000, "width": 256, "epochs": 60, "seeds": 2},
            random_labels,
        ),
        Experiment(
            "width",
            "A, K: depth, capacity and overfitting",
            "With some wrong labels the test loss rises until the net is just wide enough to fit "
            "them, and falls again beyond: double descent.",
            {**MNIST, "train_size": 1000, "random_labels": 0.2, "optimizer": "momentum",
             "lr": 0.02, "batch_size": 32, "keep": "last", "train_scores": True,
             "width": [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 512, 2048],
             "epochs": 200, "seeds": 5},
            {"train_size": 300, "limit": 4000, "width": [1, 2, 4, 6, 16, 64, 256], "epochs": 50,
             "seeds": 2},
            width,
        ),
    )
}  # fmt: skip
