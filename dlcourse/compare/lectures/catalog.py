"""The claims of the lectures, each as an experiment with a verdict.

The letters are the lecture decks of the course: T, C, A, J, K.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

from dlcourse import optim
from dlcourse.compare import figures
from dlcourse.compare.lectures import activations, surfaces
from dlcourse.compare.lectures.activations import STEPS, ten_layers
from dlcourse.compare.lectures.experiment import Answer, Claim, Experiment, by_seed, means
from dlcourse.compare.result import Result
from dlcourse.compare.settings import Environment
from dlcourse.compare.study import Study

__all__ = ["EXPERIMENTS"]

MNIST = {"model": "mlp", "data": "mnist"}


def listed(values: dict[Any, float], digits: int = 3) -> str:
    """As "0.1: 2.31, 0.5: 1.07"."""
    return ", ".join(f"{name}: {value:.{digits}g}" for name, value in values.items())


def minus(one: list[float], other: list[float]) -> list[float]:
    """The difference for each seed."""
    return [a - b for a, b in zip(one, other, strict=True)]


def lowest(values: dict[Any, float]) -> Any:
    """The key of the smallest value; NaN, from a run that has no score, is never the smallest."""
    return min(values, key=lambda key: math.inf if math.isnan(values[key]) else values[key])


def of_whole_runs(
    study: Study, measure: Callable[[Result], float], axis: str, value: Any
) -> list[float]:
    """`measure` of the run with this value of `axis`, for each seed; NaN if it did not end well."""
    found = {
        result.settings["seed"]: measure(result)
        for result in study.results
        if result.settings[axis] == value and result.status == "done"
    }
    return [found.get(seed, math.nan) for seed in study.grid["seed"]]


def spread_by(study: Study, score: str, axis: str) -> dict[Any, list[float]]:
    """`score` of every run by the value of `axis`."""
    return {value: by_seed(study, score, **{axis: value}) for value in study.grid[axis]}


def percent(study: Study, accuracy: str, axis: str) -> dict[Any, list[float]]:
    """An accuracy in percent of every run by the value of `axis`."""
    found = spread_by(study, accuracy, axis).items()
    return {value: [100 * share for share in shares] for value, shares in found}


def percent_wrong(study: Study, accuracy: str, axis: str) -> dict[Any, list[float]]:
    """The error in percent of every run by the value of `axis`."""
    right = percent(study, accuracy, axis)
    return {value: [100 - share for share in shares] for value, shares in right.items()}


def initialization(study: Study, environment: Environment) -> Answer:
    nets = {
        activation: [
            ten_layers(activation, study, environment, seed) for seed in study.grid["seed"]
        ]
        for activation in ("tanh", "relu")
    }
    last = [{rule: layers[-1] for rule, layers in net.items()} for net in nets["tanh"]]
    kept = [
        {rule: layers[-1].std / layers[0].std for rule, layers in net.items()}
        for net in nets["relu"]
    ]
    claims = [
        Claim("tanh dies at 0.01", [1e-3 - net["normal:0.01"].std for net in last]),
        Claim("tanh saturates at 1", [net["normal:1"].saturated - 0.8 for net in last]),
        Claim("tanh lives with Xavier", [net["xavier"].std - 0.1 for net in last]),
        Claim("and does not saturate", [0.2 - net["xavier"].saturated for net in last]),
        Claim("ReLU fades with Xavier", [0.2 - net["xavier"] for net in kept]),
        Claim("ReLU holds with Kaiming", [net["kaiming"] - 0.2 for net in kept]),
    ]
    measured = (
        "the tenth tanh layer at step 0: standard deviation "
        f"{listed({rule: layer.std for rule, layer in last[0].items()}, 2)}; share saturated "
        f"{listed({rule: layer.saturated for rule, layer in last[0].items()}, 2)}; "
        f"the tenth ReLU layer's signal as a share of the first one's {listed(kept[0], 2)}"
    )
    drawn = {}
    for activation, before in nets.items():
        seed = study.grid["seed"][0]
        after = ten_layers(activation, study, environment, seed, steps=STEPS)
        for when, cases in (("step 0", before[0]), (f"step {STEPS}", after)):
            for what in ("activations", "gradients"):
                caption = f"Ten {activation} layers of 500: {what} at {when}"
                drawn[caption] = activations.layer_histograms(cases, what)
        caption = f"Ten {activation} layers of 500: by depth, step 0"
        drawn[caption] = activations.gradient_by_depth(before[0])
    return Answer(claims, measured, drawn)


def optimizers(study: Study, environment: Environment) -> Answer:
    losses = means(study, "train_loss", "optimizer")
    ravine = [surfaces.best_walk(surfaces.RAVINE, name) for name in optim.OPTIMIZERS]
    saddle = [surfaces.walk(surfaces.SADDLE, name, 0.05) for name in optim.OPTIMIZERS]
    steps = {one.optimizer: one.arrived for one in ravine}
    best = lowest({name: loss for name, loss in losses.items() if name in RIVALS_OF_SGD})
    gain = minus(*(by_seed(study, "train_loss", optimizer=name) for name in ("sgd", best)))
    sooner = steps["sgd"] - steps["momentum"]
    return Answer(
        [
            Claim(f"{best} ends with a lower training loss than SGD", gain),
            Claim("momentum is sooner through the ravine", [sooner], exact=True),
        ],
        f"training loss {listed(losses)}; steps through the ravine {listed(steps)}",
        {
            "A ravine, each at its best learning rate": surfaces.trajectories(
                surfaces.RAVINE, ravine
            ),
            "A saddle, all at the learning rate 0.05": surfaces.trajectories(
                surfaces.SADDLE, saddle
            ),
        },
    )


RIVALS_OF_SGD = ("momentum", "adagrad", "rmsprop", "adam", "nadam")


def schedules(study: Study, environment: Environment) -> Answer:
    losses = means(study, "test_loss", "schedule")
    constant = by_seed(study, "test_loss", schedule=None)
    claims = [
        Claim(
            f"{name} ends lower than a constant learning rate",
            minus(constant, by_seed(study, "test_loss", schedule=name)),
        )
        for name in losses
        if name is not None
    ]
    return Answer(
        claims, f"test loss {listed({name or 'constant': loss for name, loss in losses.items()})}"
    )


def batch_size(study: Study, environment: Environment) -> Answer:
    losses = spread_by(study, "train_loss", "batch_size")
    sizes = sorted(losses)
    claims = [
        Claim(f"{small} ends lower than {large}", minus(losses[large], losses[small]))
        for small, large in itertools.pairwise(sizes)
    ]
    return Answer(
        claims,
        f"training loss after {study.grid['epochs'][0]} epochs "
        f"{listed(means(study, 'train_loss', 'batch_size'))}",
        {
            "Training loss by batch size": figures.error_by(
                {"train": losses}, "batch size", "training loss", log=True
            )
        },
    )


def batch_norm(study: Study, environment: Environment) -> Answer:
    def worst(on: bool) -> list[float]:
        """The percentage of the worst start for each seed; NaN if a run has no score."""
        starts = (
            by_seed(study, "test_accuracy", batch_norm=on, init=rule) for rule in study.grid["init"]
        )
        return [
            math.nan if any(map(math.isnan, scores)) else 100 * min(scores)
            for scores in zip(*starts, strict=True)
        ]

    plain, normed = (
        {name: 100 * share for name, share in scores.items()}
        for scores in (means(study, "test_accuracy", "init", batch_norm=on) for on in (False, True))
    )
    claim = "the worst start is more than 20 points better with batch norm"
    return Answer(
        [Claim(claim, [gain - 20 for gain in minus(worst(True), worst(False))])],
        f"test accuracy in percent without {listed(plain)}; with {listed(normed)}",
    )


def depth(study: Study, environment: Environment) -> Answer:
    depths = {
        kind: [
            int(name.removeprefix(kind)) for name in study.grid["model"] if name.startswith(kind)
        ]
        for kind in ("plain", "resnet")
    }
    both = set(depths["plain"]) & set(depths["resnet"])
    shallow, deep = min(both), max(both)
    losses = spread_by(study, "train_loss", "model")
    cost = {kind: minus(losses[f"{kind}{deep}"], losses[f"{kind}{shallow}"]) for kind in depths}
    wrong = percent_wrong(study, "train_accuracy", "model")
    error: dict[str, dict[float, list[float]]] = {
        kind: {layers: wrong[f"{kind}{layers}"] for layers in found}
        for kind, found in depths.items()
    }
    return Answer(
        [
            Claim(f"plain nets lose from {shallow} to {deep} layers", cost["plain"]),
            Claim("residual nets lose less", minus(cost["plain"], cost["resnet"])),
        ],
        f"training loss {listed(means(study, 'train_loss', 'model'))}",
        {"Training error by depth": figures.error_by(error, "layers", "training error in percent")},
    )


def dropout(study: Study, environment: Environment) -> Answer:
    losses, chosen_by = (means(study, score, "dropout") for score in ("test_loss", "val_loss"))
    best = lowest({share: loss for share, loss in chosen_by.items() if share})
    gain = minus(*(by_seed(study, "test_loss", dropout=share) for share in (0.0, best)))
    return Answer(
        [Claim(f"dropout {best} ends with a lower test loss than none", gain)],
        f"test loss {listed(losses)}",
        {
            "Test loss by dropout": figures.error_by(
                {"test": spread_by(study, "test_loss", "dropout")}, "share dropped", "test loss"
            )
        },
    )


def early_stopping(study: Study, environment: Environment) -> Answer:
    losses = means(study, "test_loss", "keep")
    gain = minus(*(by_seed(study, "test_loss", keep=keep) for keep in ("last", "best")))
    best = of_whole_runs(study, lambda result: result.best_epoch, "keep", "best")
    epochs = study.grid["epochs"][0]
    return Answer(
        [
            Claim("the best epoch's weights have a lower test loss than the last", gain),
            Claim("the best epoch comes before the last", [epochs - one for one in best]),
        ],
        f"validation loss was lowest after {', '.join(map(str, best))} of {epochs} epochs; "
        f"test loss {listed(losses)}",
        {"Training and validation loss": figures.learning_pair(whole_runs(study), "loss")},
    )


def whole_runs(study: Study) -> list[list[dict[str, float]]]:
    """The learning curves of the runs that kept the last weights, one for each seed."""
    return [result.epochs for result in study.results if result.settings["keep"] == "last"]


def random_labels(study: Study, environment: Environment) -> Answer:
    fitted = by_seed(study, "train_accuracy", random_labels=1.0)
    tested = by_seed(study, "test_accuracy", random_labels=1.0)
    slow = {share: epochs_to_fit(study, share) for share in study.grid["random_labels"]}
    average = {share: sum(epochs) / len(epochs) for share, epochs in slow.items()}
    trained, right = (
        {share: 100 * mean for share, mean in means(study, score, "random_labels").items()}
        for score in ("train_accuracy", "test_accuracy")
    )
    return Answer(
        [
            Claim("nine in ten random labels are learned", [share - 0.9 for share in fitted]),
            Claim(
                "at most one in five test images is right then", [0.2 - share for share in tested]
            ),
            Claim("it takes more epochs than true labels", minus(slow[1.0], slow[0.0])),
        ],
        f"accuracy in percent: training {listed(trained)}; test {listed(right)}; epochs until the "
        f"training loss is below 0.5 {listed(average)}",
        {
            "Training and test accuracy by the share of random labels": figures.error_by(
                {
                    split: percent(study, f"{split}_accuracy", "random_labels")
                    for split in ("train", "test")
                },
                "share of random labels", "accuracy in percent",
            )
        },
    )  # fmt: skip


def epochs_to_fit(study: Study, share: float) -> list[float]:
    """For each seed the number of epochs with a training loss above 0.5."""
    return of_whole_runs(
        study,
        lambda result: sum(epoch["train_loss"] > 0.5 for epoch in result.epochs),
        "random_labels",
        share,
    )


def width(study: Study, environment: Environment) -> Answer:
    losses = means(study, "test_loss", "width")
    fitted = means(study, "train_accuracy", "width")
    narrow, wide = min(losses), max(losses)
    peak = lowest({width: -loss for width, loss in losses.items()})
    by_width = spread_by(study, "test_loss", "width")
    claims = [
        Claim(
            f"at width {low} the test loss is below {share:g} of that at {peak}",
            [share * high - loss for high, loss in zip(by_width[peak], by_width[low], strict=True)],
        )
        for low, share in ((narrow, 0.95), (wide, 0.8))
    ]
    errors = percent_wrong(study, "test_accuracy", "width")
    return Answer(
        claims,
        f"test loss {listed(losses)}, highest at width {peak}, where {100 * fitted[peak]:.0f} % of "
        f"the training labels are fitted ({100 * fitted[wide]:.0f} % at {wide})",
        {
            "Loss by width": figures.error_by(
                {"test": by_width, "train": spread_by(study, "train_loss", "width")},
                "hidden units", "loss", log=True,
            ),
            "Test error by width": figures.error_by(
                {"test": errors}, "hidden units", "test error in percent", log=True
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
            {"limit": 1500, "width": 100, "epochs": 2, "lr": 0.03},
            initialization,
            {"init": ("normal:0.01", "normal:1", "xavier", "kaiming")},
        ),
        Experiment(
            "optimizers",
            "T, A, J, K: gradient descent and its variants",
            "Each at its own best learning rate, momentum or an adaptive optimizer ends with a "
            "lower training loss than plain SGD, and momentum is sooner through a ravine.",
            {**MNIST, "optimizer": list(optim.OPTIMIZERS), "init": "xavier", "depth": 2,
             "lr": "auto", "keep": "last", "epochs": 10, "seeds": 3},
            {"limit": 3000, "epochs": 3},
            optimizers,
            {"optimizer": ("sgd", "momentum")},
        ),
        Experiment(
            "schedules",
            "J: the learning rate over time",
            "A learning rate that falls ends with a lower test loss than a constant one.",
            {**MNIST, "optimizer": "momentum", "lr": 0.05, "batch_size": 16, "keep": "last",
             "schedule": [None, "linear", "cosine", "inverse", "halve"], "epochs": 10, "seeds": 3},
            {"limit": 2500, "epochs": 5},
            schedules,
            {"schedule": (None,)},
        ),
        Experiment(
            "batch-size",
            "T, J: mini-batches",
            "In the same number of epochs small batches end with a lower training loss: they step "
            "more often.",
            {**MNIST, "batch_size": [16, 64, 256, 1024], "optimizer": "sgd", "lr": 0.05,
             "keep": "last", "epochs": 10, "seeds": 3},
            {"limit": 4000, "epochs": 3},
            batch_size,
            {"batch_size": ()},
        ),
        Experiment(
            "batch-norm",
            "A, J, K: batch normalization",
            "With batch normalization a deep net learns from starts from which it does not learn "
            "without it.",
            {**MNIST, "depth": 6, "width": 256, "batch_norm": [False, True], "optimizer": "sgd",
             "lr": 0.05, "init": ["normal:0.01", "normal:1", "xavier", "kaiming"], "epochs": 5,
             "seeds": 3},
            {"limit": 3000, "width": 100, "epochs": 3},
            batch_norm,
            {"batch_norm": (False, True)},
        ),
        Experiment(
            "depth",
            "T, A, K: residual networks",
            "Deeper plain nets have a higher training loss; deeper residual nets lose less.",
            {"model": ["plain20", "plain32", "plain56", "resnet20", "resnet32", "resnet56"],
             "data": "cifar10", "optimizer": "momentum", "lr": 0.05, "schedule": "linear",
             "weight_decay": 1e-4, "train_scores": True, "keep": "last", "epochs": 30, "seeds": 3},
            {"model": ["plain20", "plain56", "resnet20", "resnet56"], "limit": 1000,
             "train_size": 384, "width": 4, "batch_size": 32, "epochs": 3,
             "seeds": 1},
            depth,
            {"model": ("plain20", "plain56", "resnet20", "resnet56")},
        ),
        Experiment(
            "dropout",
            "T, A, J, K: dropout",
            "On few training images dropout lowers the test loss of a wide net.",
            {**MNIST, "train_size": 1000, "depth": 2, "width": 1024, "dropout": [0.0, 0.2, 0.5],
             "lr": 1e-4, "keep": "last", "epochs": 60, "seeds": 5},
            {"train_size": 300, "limit": 4000, "width": 256, "lr": 1e-3, "epochs": 25, "seeds": 3},
            dropout,
            {"dropout": (0.0,)},
        ),
        Experiment(
            "early-stopping",
            "T, J, K: early stopping",
            "On few images with some wrong labels the validation loss rises before the end, and "
            "the weights of its best epoch test better than the last ones.",
            {**MNIST, "train_size": 1000, "random_labels": 0.2, "width": 512, "monitor": "loss",
             "mode": "min", "keep": ["best", "last"], "epochs": 60, "seeds": 5},
            {"train_size": 300, "limit": 4000, "width": 256, "epochs": 30, "seeds": 3},
            early_stopping,
            {"keep": ("best", "last")},
        ),
        Experiment(
            "random-labels",
            "A: the randomization test (Zhang et al. 2017)",
            "Random labels are learned by heart, only slower, and the test images gain nothing "
            "from it.",
            {**MNIST, "train_size": 2000, "random_labels": [0.0, 0.5, 1.0], "width": 512,
             "train_scores": True, "keep": "last", "epochs": 100, "seeds": 3},
            {"train_size": 300, "limit": 4000, "width": 256, "epochs": 60, "seeds": 3},
            random_labels,
            {"random_labels": (0.0, 1.0)},
        ),
        Experiment(
            "width",
            "A, K: depth, capacity and overfitting",
            "With some wrong labels the test loss rises until the net is just wide enough to fit "
            "them, and falls again beyond that width: double descent.",
            {**MNIST, "train_size": 1000, "random_labels": 0.2, "optimizer": "momentum",
             "lr": 0.02, "batch_size": 32, "keep": "last", "train_scores": True,
             "width": [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 512, 2048],
             "epochs": 200, "seeds": 5},
            {"train_size": 300, "limit": 4000, "width": [1, 2, 4, 6, 16, 64, 256], "epochs": 50,
             "seeds": 3},
            width,
            {"width": ()},
        ),
    )
}  # fmt: skip
