"""Compare `fit` with Lightning, fastai, skorch, ignite and npfl138: one epoch, the same tensors.

    PYTHONPATH=OVERLAY DLCOURSE_DATA=DIR python benchmarks/fit_rivals.py     (about a minute)

OVERLAY is a folder with the other frameworks, which the package does not depend on: `pip install
--target OVERLAY --no-deps lightning pytorch-lightning lightning-utilities torchmetrics fastai
fastcore fastprogress skorch pytorch-ignite npfl138`, and what these need besides torch. A framework
that is missing is left out, and the record says so.

All take turns in one process: an MLP (784-128-10), batch sizes 64 and 512, Adam, cross-entropy, no
validation, no logger, no checkpoint, no progress bar. Each iterates over the same `Batches`.
"""

from __future__ import annotations

import logging
import statistics
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import torch
import torch.nn.functional as F
from common import interleave, parser, record, spread
from fit_overhead import PLAIN, bare_loop

from dlcourse import data, models
from dlcourse.train import fit

LR = 1e-3


def mlp() -> torch.nn.Module:
    return models.build("mlp", hidden_sizes=(128,))


def lightning(batches: Iterable) -> Callable[[], object]:
    import lightning as L

    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = mlp()

        def training_step(self, batch, _):
            return F.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=LR)

    def run():
        trainer = L.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(module, train_dataloaders=batches)

    module = Module()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    return run


def fastai(batches: Iterable) -> Callable[[], object]:
    from fastai.callback.progress import ProgressCallback
    from fastai.learner import Learner
    from fastai.optimizer import Adam

    class Loaders:
        train, device, path = batches, torch.device("cpu"), "."
        valid = ()

        def __getitem__(self, index):
            return (self.train, self.valid)[index]

    model = mlp()

    def run():
        learner = Learner(Loaders(), model, loss_func=F.cross_entropy, opt_func=Adam, lr=LR)
        learner.remove_cb(ProgressCallback)
        with learner.no_bar(), learner.no_logging():
            learner._do_epoch_validate = lambda *_: None  # it would require validation data
            learner.fit(1)

    return run


def skorch(batches: Iterable) -> Callable[[], object]:
    from skorch import NeuralNet

    model = mlp()

    class Data(torch.utils.data.Dataset):
        def __len__(self):
            return batches.num_samples

        def __getitem__(self, index):
            raise IndexError(index)

    def run():
        net = NeuralNet(
            model, criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=LR,
            max_epochs=1, train_split=None, verbose=0, warm_start=True,
            iterator_train=lambda dataset, **_: batches,
        )  # fmt: skip
        net.fit(Data(), y=None)

    return run


def ignite(batches: Iterable) -> Callable[[], object]:
    from ignite.engine import create_supervised_trainer

    model = mlp()

    def run():
        optimizer = torch.optim.Adam(model.parameters(), lr=LR)
        create_supervised_trainer(model, optimizer, F.cross_entropy).run(batches, max_epochs=1)

    return run


def npfl138(batches: Iterable) -> Callable[[], object]:
    from npfl138 import TrainableModule

    model = TrainableModule(mlp())

    def run():
        optimizer = torch.optim.Adam(model.parameters(), lr=LR)
        model.configure(
            optimizer=optimizer, loss=torch.nn.CrossEntropyLoss(), logdir=None, device="cpu"
        )
        model.fit(batches, epochs=1, console=0)

    return run


RIVALS = {
    "lightning": lightning,
    "fastai": fastai,
    "skorch": skorch,
    "pytorch-ignite": ignite,
    "npfl138": npfl138,
}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    args = made.parse_args()
    mnist = data.load("mnist", offline=True)
    result = {"data": "MNIST", "threads": torch.get_num_threads(), "rivals": {}}
    warnings.simplefilter("ignore")  # of the other frameworks
    for batch_size in (64, 512):
        batches, _, _ = mnist.batches(batch_size=batch_size, limit=30_000)
        contestants = {
            "bare": partial(bare_loop, mlp(), batches),
            "fit": partial(fit, mlp(), batches, epochs=1, lr=LR, device="cpu"),
            "fit_plain": partial(
                fit, mlp(), batches, epochs=1, lr=LR, device="cpu", execution=PLAIN
            ),
        }
        for name, make in RIVALS.items():
            try:
                result["rivals"][name] = version(name)
            except PackageNotFoundError:
                result["rivals"][name] = "not installed, not measured"
            else:
                contestants[name] = make(batches)
        seconds = interleave(contestants, args.rounds)
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        result[f"batch {batch_size}"] = {
            "seconds": {name: spread(values) for name, values in seconds.items()},
            "speed_against_bare": {
                name: round(medians["bare"] / median, 3) for name, median in medians.items()
            },
        }
    record("fit_rivals", result, args.out)


if __name__ == "__main__":
    main()
