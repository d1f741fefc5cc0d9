"""What `fit` tells callbacks, and the line on stderr."""

import builtins
import json
import os
import select
import struct
import sys

import pytest
import torch
from torch import nn

from dlcourse.errors import UsageError
from dlcourse.train import Callback, EarlyStopping, TensorBoard, fit
from dlcourse.train.progress import Progress

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(30, 2, generator=GENERATOR)
BATCHES = list(zip(INPUTS.split(10), (INPUTS[:, 0] > 0).long().split(10), strict=True))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Linear(2, 2)


class Diary(Callback):
    def __init__(self, name, pages):
        self.name, self.pages = name, pages

    def on_start(self, run):
        self.pages.append((self.name, "start", run.epochs, run.steps))

    def on_step(self, run):
        self.pages.append((self.name, "step", run.epoch, run.step))

    def on_epoch(self, run):
        self.pages.append((self.name, "epoch", run.history.epochs[-1]["epoch"], run.step))

    def on_end(self, run):
        self.pages.append((self.name, "end"))


def test_callbacks_hear_of_the_start_each_step_each_epoch_and_the_end(model):
    pages = []
    fit(model, BATCHES, epochs=2, callbacks=[Diary("a", pages)], device="cpu")
    epochs = [
        [*(("a", "step", epoch, step) for step in (1, 2, 3)), ("a", "epoch", epoch, 0)]
        for epoch in (1, 2)
    ]
    assert pages == [("a", "start", 2, 3), *epochs[0], *epochs[1], ("a", "end")]


def test_every_callback_that_started_ends_even_after_an_error(model):
    pages = []

    class Fails(Callback):
        def on_step(self, run):
            raise RuntimeError("a fault")

    callbacks = [Diary("a", pages), Fails(), Diary("b", pages)]
    with pytest.raises(RuntimeError, match="a fault"):
        fit(model, BATCHES, callbacks=callbacks, device="cpu")
    assert [page[:2] for page in pages if page[1] in ("start", "end")] == [
        ("b", "start"), ("a", "start"), ("a", "end"), ("b", "end"),
    ]  # fmt: skip


class Patience(Callback):
    """Early stopping, written with nothing but the protocol."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_epoch(self, run):
        losses = run.history["val_loss"]
        if len(losses) - 1 - losses.index(min(losses)) >= self.epochs:
            run.stop = f"no lower loss for {self.epochs} epochs"


@pytest.mark.parametrize("patience", [1, 2, 4])
def test_early_stopping_written_as_a_callback_stops_where_ours_does(model, patience):
    losses = [0.9, 0.8, 0.85, 0.7, 0.75, 0.72, 0.71, 0.6, 0.9, 0.9, 0.9, 0.9]

    def fitted(**settings):
        # `fit` tries the loss on the first validation batch before it starts.
        told = iter([0.0, *losses])

        def loss(outputs, targets):
            looking = torch.is_inference_mode_enabled()
            return torch.tensor(next(told)) if looking else outputs.sum() * 0

        return fit(
            model, BATCHES, BATCHES[:1], epochs=len(losses), loss=loss, device="cpu",
            **settings,
        )  # fmt: skip

    ours, theirs = fitted(patience=patience), fitted(callbacks=[Patience(patience)])
    stopping = EarlyStopping(patience, mode="min")
    by_hand = next(n for n, loss in enumerate(losses, 1) if stopping.update(loss) or stopping.stop
                   if stopping.stop)  # fmt: skip
    assert len(ours) == len(theirs) == by_hand
    assert theirs.stopped == f"no lower loss for {patience} epochs"
    assert ours.stopped == f"no better loss for {patience} epochs"


def test_off_a_terminal_nothing_is_said(model, capfd):
    fit(model, BATCHES, BATCHES, epochs=2, device="cpu")
    assert capfd.readouterr() == ("", "")


def test_the_line_shows_epoch_loss_score_best_rate_and_time_left(model, capfd, monkeypatch):
    monkeypatch.setattr(Progress, "EVERY_S", 0.0)
    history = fit(model, BATCHES, BATCHES, epochs=3, lr=0.1, device="cpu", progress=True)
    lines = capfd.readouterr().err.replace("\x1b[A", "").split("\r")
    line = next(line for line in lines if line.startswith("epoch 3/3"))
    first, second, best = history["val_accuracy"][0], history["val_accuracy"][1], 0.0
    best = max(first, second)
    assert f", val accuracy {second:.4f}, best {best:.4f}, " in line
    assert " samples/s, " in line
    assert line.rstrip().endswith("left")
    assert ", loss " in line


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_on_a_terminal_the_line_is_shown_by_itself(model, monkeypatch):
    import fcntl
    import pty
    import termios

    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    with open(terminal, "w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        fit(model, BATCHES, epochs=2, device="cpu")
        seen = b""
        while b"epoch 2/2, loss " not in seen:
            assert select.select([main], [], [], 5)[0], seen
            seen += os.read(main, 10_000)
    os.close(main)


def test_tensorboard_says_how_to_install_it(model, tmp_path, monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith(("tensorboard", "torch.utils.tensorboard")):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError) as caught:
        TensorBoard(tmp_path)
    assert str(caught.value) == (
        "TensorBoard(folder) needs the package tensorboard: pip install tensorboard"
    )


def test_tensorboard_gets_every_column_of_the_history(model, tmp_path, monkeypatch):
    written, made = [], []

    class Writer:
        def __init__(self, folder, purge_step):
            made.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def close(self):
            made.append("closed")

    module = type(sys)("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    history = fit(model, BATCHES, BATCHES, epochs=2, callbacks=TensorBoard(tmp_path), device="cpu")
    assert made == [(str(tmp_path), 1), "closed"]
    expected = [
        (name, value, row["epoch"])
        for row in history.epochs
        for name, value in row.items()
        if name != "epoch"
    ]
    assert written == expected


def test_tensorboard_itself_reads_the_log(model, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    history = fit(model, BATCHES, epochs=2, callbacks=TensorBoard(tmp_path), device="cpu")
    log = accumulator.EventAccumulator(str(tmp_path)).Reload()
    values = [event.value for event in log.Scalars("train_loss")]
    assert values == pytest.approx(history["train_loss"])


def test_the_config_of_a_run_is_json(model):
    json.dumps(fit(model, BATCHES, epochs=1, device="cpu").config)
