"""Runs that are stopped in every way, and go on to the same numbers to the bit."""

import copy
import json
import math
import os
import pickle
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from dlcourse.data import Batches, Shift
from dlcourse.errors import DataError, NonFiniteLossError, UsageError
from dlcourse.models import RecurrentLM
from dlcourse.train import Callback, Checkpoint, EarlyStopping, Execution, Gradients, fit
from dlcourse.train.checkpoint import NAME, read, write

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends itself signals")

PIXELS = torch.Generator().manual_seed(0)
IMAGES = torch.randint(256, (44, 1, 6, 6), dtype=torch.uint8, generator=PIXELS)
LABELS = torch.randint(3, (44,), generator=PIXELS)


def batches(**settings):
    """Six shuffled, augmented batches, the last of them short."""
    return Batches(IMAGES, LABELS, 8, normalize=lambda x: x.div_(255), **settings)


def train_batches():
    return batches(shuffle=True, augment=Shift(1), seed=3)


def loader(**settings):
    return DataLoader(TensorDataset(IMAGES / 255, LABELS), 8, shuffle=True, **settings)


def classifier():
    torch.manual_seed(1)
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3)
    return nn.Sequential(*layers, nn.Linear(64, 3))


class Interrupt(Callback):
    """Sends this process a signal, or raises, after so many batches of so late an epoch."""

    def __init__(self, epoch, step=0, number=None):
        self.when, self.number = (epoch, step), number

    def on_step(self, run):
        if (run.epoch, run.step) == self.when:
            self.strike()

    def on_epoch(self, run):
        if (len(run.history), 0) == self.when:
            self.strike()

    def strike(self):
        if self.number is None:
            raise RuntimeError("a fault")
        os.kill(os.getpid(), self.number)


def outcome(model, history):
    """All that must not depend on whether a run was stopped."""
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history.epochs]
    return rows, history.best_epoch, history.stopped, model.state_dict()


def assert_same(ours, theirs):
    assert ours[:3] == theirs[:3]
    assert ours[3].keys() == theirs[3].keys()
    for name, value in ours[3].items():
        assert torch.equal(value, theirs[3][name]), name


def interrupted(make, tmp_path, stop, expected):
    """The outcome of a run stopped by `stop` and resumed, and how the first half ended."""
    model, train, val, settings = make()
    with pytest.raises(expected) as caught:
        fit(model, train, val, **settings, callbacks=[stop, Checkpoint(tmp_path)])
    torch.manual_seed(99)
    model, train, val, settings = make()
    history = fit(model, train, val, **settings, callbacks=Checkpoint(tmp_path, resume=True))
    return outcome(model, history), caught


def usual(**settings):
    def make():
        given = {"epochs": 4, "schedule": "onecycle", "lr": 0.01, "device": "cpu", **settings}
        return classifier(), train_batches(), batches(), given

    return make


def sampled(kind):
    """A run whose order comes from a sampler with a generator of its own."""

    def make():
        own = torch.Generator().manual_seed(5)
        data = TensorDataset(IMAGES / 255, LABELS)
        if kind == "weighted":
            sampler = WeightedRandomSampler(torch.arange(1.0, 45.0), 44, generator=own)
            train = DataLoader(data, 8, sampler=sampler)
        elif kind == "random":
            train = DataLoader(data, 8, sampler=RandomSampler(data, generator=own))
        elif kind == "batch sampler":
            sampler = BatchSampler(RandomSampler(data, generator=own), 8, drop_last=False)
            train = DataLoader(data, batch_sampler=sampler)
        else:
            train = DataLoader(Noisy(), 8, shuffle=True)
        return classifier(), train, batches(), {"epochs": 4, "device": "cpu"}

    return make


class Noisy(Dataset):
    """A data set that draws noise from generators of its own, of NumPy and of Python."""

    def __init__(self):
        self.numpy, self.python = np.random.default_rng(3), random.Random(4)

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, index):
        noise = self.numpy.random() + self.python.random()
        return IMAGES[index] / 255 + noise, LABELS[index]


def with_loader(**settings):
    def make():
        own = {"generator": torch.Generator().manual_seed(5)} if settings.get("own") else {}
        return classifier(), loader(**own), batches(), {"epochs": 4, "device": "cpu"}

    return make


def language_model():
    torch.manual_seed(1)
    model = RecurrentLM(7, hidden_size=5, dropout=0.2)
    tokens = torch.randint(7, (2, 2, 30), generator=torch.Generator().manual_seed(2))
    train = list(zip(tokens[0].split(5, 1), tokens[1].split(5, 1), strict=True))
    return (
        model,
        train,
        train[:1],
        {"epochs": 4, "gradients": Gradients(clip_norm=0.5), "device": "cpu"},
    )


RUNS = {
    "onecycle": usual(),
    "momentum, halve": usual(optimizer="momentum", schedule="halve", lr=0.5),
    "inverse, accumulate": usual(schedule="inverse", gradients=Gradients(accumulate=2)),
    "ema": usual(average="ema"),
    "swa": usual(average="swa", schedule=None),
    "patience": usual(early_stopping=EarlyStopping(1, 0.5), schedule=None, epochs=9),
    "deterministic": usual(execution=Execution(deterministic=True, fused=True)),
    "loader": with_loader(),
    "loader with a generator of its own": with_loader(own=True),
    "language model": language_model,
    "WeightedRandomSampler": sampled("weighted"),
    "RandomSampler": sampled("random"),
    "BatchSampler": sampled("batch sampler"),
    "a data set with generators": sampled("data set"),
}


@pytest.mark.parametrize(
    ("name", "step"), [*((name, 4) for name in RUNS), ("onecycle", 0), ("loader", 0)]
)
def test_a_resumed_run_is_the_same_to_the_bit(name, step, tmp_path):
    model, train, val, settings = RUNS[name]()
    whole = outcome(model, fit(model, train, val, **settings))
    stop = Interrupt(2, step, None if step == 0 else signal.SIGINT)
    if step == 0:  # a fault while epoch 2 ends, before it is written: epoch 1 stands
        resumed, _ = interrupted(RUNS[name], tmp_path, stop, RuntimeError)
    else:
        resumed, _ = interrupted(RUNS[name], tmp_path, stop, KeyboardInterrupt)
    assert_same(resumed, whole)


def test_workers_that_outlive_an_epoch_are_named(tmp_path, capsys):
    train = loader(num_workers=1, persistent_workers=True)
    run = SimpleNamespace(rank=0, train=train, load_state_dict=None)
    checkpoint = Checkpoint(tmp_path)
    checkpoint.on_start(run)
    checkpoint.on_end(run)
    assert "workers of train outlive an epoch (persistent_workers=True)" in capsys.readouterr().err


def test_sigterm_saves_after_the_step_in_progress_and_exits_143(tmp_path, capsys):
    stop = Interrupt(2, 3, signal.SIGTERM)
    resumed, caught = interrupted(usual(), tmp_path, stop, SystemExit)
    assert caught.value.code == 143
    said = capsys.readouterr().err.strip()
    assert said == (
        "dlcourse: stopped after epoch 2, batch 3; the same command with resume goes on from "
        f"{str(tmp_path / NAME)!r}"
    )
    model, train, val, settings = usual()()
    assert_same(resumed, outcome(model, fit(model, train, val, **settings)))


def test_a_signal_during_validation_waits_for_the_end_of_the_epoch(tmp_path, capsys):
    model, train, val, settings = usual()()

    class Val:
        passes = 0

        def __len__(self):
            return len(val)

        def __iter__(self):
            Val.passes += 1
            if Val.passes == 2:  # the first one tries the metrics, before training starts
                os.kill(os.getpid(), signal.SIGINT)
            return iter(val)

    with pytest.raises(KeyboardInterrupt):
        fit(model, train, Val(), **settings, callbacks=Checkpoint(tmp_path))
    assert "stopped after epoch 1; the same command" in capsys.readouterr().err
    assert len(read(tmp_path / NAME)["history"]["epochs"]) == 1


def test_a_second_signal_is_answered_at_once(tmp_path):
    model, train, val, settings = usual()()
    steps = []

    class Impatient(Callback):
        def on_step(self, run):
            steps.append(run.step)
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        fit(model, train, val, **settings, callbacks=[Impatient(), Checkpoint(tmp_path)])
    assert steps == [1]


def test_handlers_are_given_back_however_a_run_ends(tmp_path):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    model, train, val, settings = usual(epochs=1)()
    fit(model, train, val, **settings, callbacks=Checkpoint(tmp_path / "well"))
    with pytest.raises(RuntimeError, match="a fault"):
        fit(model, train, val, **settings, callbacks=[Interrupt(1), Checkpoint(tmp_path / "ill")])
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


# One process imports torch and makes an optimizer, which imports a compiler. Its forks train.
KILLED = """
import json, os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import torch
torch.set_num_threads(1)
from test_checkpoint import outcome, usual
from dlcourse.train import Checkpoint, fit
from dlcourse.train.checkpoint import NAME, read

def train(folder, plant=None, epochs=3):
    pid = os.fork()
    if pid:
        return pid
    if plant:
        plant()
    model, batches, val, settings = usual(epochs=epochs, schedule=None)()
    try:
        history = fit(model, batches, val, **settings, callbacks=Checkpoint(folder, resume=True))
        rows = outcome(model, history)[0]
        total = sum(value.double().sum().item() for value in model.state_dict().values())
        (folder / "outcome.json").write_text(json.dumps([rows, total]))
        os._exit(0)
    finally:
        os._exit(9)

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

count = 0
def at(owner, name, which):  # die at the which-th call of <owner>.<name>
    real = getattr(owner, name)
    def planted(*args, **kwargs):
        global count
        count += 1
        if count == which:
            die()
        return real(*args, **kwargs)
    setattr(owner, name, planted)

def half_written():
    import io
    real = io.BytesIO.getbuffer
    class Half(io.BytesIO):
        saved = 0
        def getbuffer(self):
            Half.saved += 1
            return real(self)[: 1000 if Half.saved == 2 else None]
    io.BytesIO = Half
    at(os, "fsync", 2)

torch.optim.Adam([torch.zeros(1, requires_grad=True)])
top = Path(sys.argv[1])
moments = {
    "half of a file written": half_written,
    "before the second file is whole": lambda: at(os, "fsync", 2),
    "before the first file takes its name": lambda: at(Path, "replace", 1),
    "before the third file takes its name": lambda: at(Path, "replace", 3),
}
for number, (name, plant) in enumerate({"never": None, **moments}.items()):
    folder = top / str(number)
    folder.mkdir()
    status = os.waitpid(train(folder, plant), 0)[1]
    assert status == (signal.SIGKILL if plant else 0), (name, status)
    if plant:
        assert os.waitpid(train(folder), 0)[1] == 0, name
    assert sorted(os.listdir(folder)) == [".lock", "checkpoint.pt", "outcome.json"], name

folder, draw, kills = top / "random", random.Random(0), 0
folder.mkdir()
for _ in range(6):
    pid = train(folder, epochs=12)
    time.sleep(draw.uniform(0.0, 0.15))
    os.kill(pid, signal.SIGKILL)
    kills += os.waitpid(pid, 0)[1] == signal.SIGKILL
    if (folder / NAME).exists():
        read(folder / NAME)
assert os.waitpid(train(folder, epochs=12), 0)[1] == 0
os.mkdir(top / "random whole")
assert os.waitpid(train(top / "random whole", epochs=12), 0)[1] == 0
print(kills)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kill_9_at_any_moment_leaves_the_last_whole_checkpoint(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path, Path(__file__).parent],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 1
    whole, *resumed = (
        json.loads((tmp_path / str(number) / "outcome.json").read_text()) for number in range(5)
    )
    assert all(one == whole for one in resumed)
    at_random = (tmp_path / "random" / "outcome.json").read_text()
    assert at_random == (tmp_path / "random whole" / "outcome.json").read_text()


@pytest.fixture
def written(tmp_path):
    """A folder with the checkpoint of two epochs."""
    model, train, val, settings = usual(epochs=2, schedule=None)()
    fit(model, train, val, **settings, callbacks=Checkpoint(tmp_path))
    return tmp_path


def resume(folder, make=None, **changed):
    model, train, val, settings = (make or usual(epochs=2, schedule=None))()
    return fit(
        model, train, val, **{**settings, **changed}, callbacks=Checkpoint(folder, resume=True)
    )


def test_a_folder_that_holds_a_run_is_not_overwritten(written):
    before = (written / NAME).read_bytes()
    with pytest.raises(UsageError) as caught:
        fit(classifier(), train_batches(), batches(), device="cpu", callbacks=Checkpoint(written))
    assert str(caught.value) == (
        f"{str(written)!r} holds a run of 2 epochs; resume it (resume=True, or --resume), "
        "or name another folder"
    )
    assert (written / NAME).read_bytes() == before


def test_a_finished_run_resumed_trains_no_further(written):
    before = (written / NAME).read_bytes()
    assert len(resume(written)) == 2
    assert (written / NAME).read_bytes() == before


def test_a_resumed_run_may_have_more_epochs_and_more_patience(tmp_path):
    short = usual(epochs=9, schedule=None, early_stopping=EarlyStopping(1, 2.0))
    model, train, val, settings = short()
    assert len(fit(model, train, val, **settings, callbacks=Checkpoint(tmp_path))) == 2
    assert resume(tmp_path, short).stopped == "no better accuracy for 1 epochs"
    assert len(resume(tmp_path, short, early_stopping=EarlyStopping(None, 2.0), epochs=5)) == 5


class Other(nn.Module):
    """As many parameters as `classifier` has, in one vector."""

    def __init__(self):
        super().__init__()
        self.all = nn.Parameter(torch.zeros(sum(p.numel() for p in classifier().parameters())))

    def forward(self, inputs):
        return self.all[:3].expand(len(inputs), 3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lr": 0.02}, "lr was 0.01, now 0.02"),
        ({"seed": 7}, "seed was 0, now 7"),
        ({"optimizer": "sgd"}, "optimizer was adam, now sgd"),
        ({"schedule": "cosine"}, "schedule was None, now cosine"),
        ({"gradients": Gradients(accumulate=3)}, "accumulate was 1, now 3"),
        ({"gradients": Gradients(clip_norm=3.0)}, "clip_norm was None, now 3.0"),
        ({"average": "ema"}, "average was None, now ema"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(written, changed, message):
    with pytest.raises(UsageError) as caught:
        resume(written, **changed)
    assert str(caught.value) == (
        f"checkpoint {str(written / NAME)!r} is of another run: {message}; "
        "name another folder, or use the same settings"
    )


def test_a_checkpoint_of_another_model_is_refused(written):
    def other():
        _, *rest = usual(epochs=2, schedule=None)()
        return Other(), *rest

    with pytest.raises(UsageError, match="another run: model was Sequential, now Other; name"):
        resume(written, other)

    def turned():  # as many parameters in another shape
        model, *rest = usual(epochs=2, schedule=None)()
        model[0], model[2] = nn.Conv2d(1, 4, (9, 1), padding=(3, 0)), nn.AdaptiveMaxPool2d(4)
        return model, *rest

    message = r"run: weights was 0\.weight \(4, 1, 3, 3\), now 0\.weight \(4, 1, 9, 1\); name"
    with pytest.raises(UsageError, match=message):
        resume(written, turned)


def test_a_checkpoint_of_a_run_on_more_data_is_refused(written):
    def larger():
        model, train, *rest = usual(epochs=2, schedule=None)()
        train.indices = train.indices.repeat(2)
        return model, train, *rest

    with pytest.raises(UsageError, match=r"number of batches was (\d+), now \d+; name another"):
        resume(written, larger)


def test_epochs_are_part_of_a_run_whose_schedule_depends_on_them(tmp_path):
    model, train, val, settings = usual(epochs=1, schedule="cosine")()
    fit(model, train, val, **settings, callbacks=Checkpoint(tmp_path))
    with pytest.raises(UsageError, match="another run: epochs was 1, now 2; name"):
        resume(tmp_path, usual(epochs=2, schedule="cosine"))


def test_a_truncated_checkpoint_is_refused_wherever_it_ends(written):
    path = written / NAME
    whole = path.read_bytes()
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=re.escape(f"checkpoint {str(path)!r} ")) as caught:
            resume(written)
        assert "remove it" in str(caught.value)
        assert "\n" not in str(caught.value)


class Trap:
    def __reduce__(self):
        return (print, ("the trap has sprung",))


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_pickle_in_a_checkpoint_is_not_executed(written, how, capsys):
    path = written / NAME
    if how == "torch":
        torch.save({"format": 2, "model": Trap()}, path)
    else:
        path.write_bytes(pickle.dumps({"format": 2, "model": Trap()}))
    with pytest.raises(DataError) as caught:
        resume(written)
    assert str(caught.value) == (
        f"checkpoint {str(path)!r} holds something other than numbers and names, which is not "
        "loaded; it is damaged, or no checkpoint of dlcourse; remove it"
    )
    assert "sprung" not in capsys.readouterr().out


def test_checkpoints_of_a_newer_version_and_other_files_are_named(written):
    path = written / NAME
    torch.save({"format": 99}, path)
    with pytest.raises(DataError) as caught:
        resume(written)
    assert str(caught.value) == (
        f"checkpoint {str(path)!r} has format 99, and this version reads 2; update dlcourse"
    )
    torch.save([1, 2], path)
    with pytest.raises(DataError, match="is not a checkpoint of a run; remove it"):
        resume(written)


def test_two_runs_into_one_folder_are_told_apart(tmp_path):
    texts = []

    class Second(Callback):
        def on_step(self, run):
            with pytest.raises(UsageError) as caught:
                resume(tmp_path)
            texts.append(str(caught.value))

    model, train, val, settings = usual(epochs=1)()
    history = fit(model, train, val, **settings, callbacks=[Second(), Checkpoint(tmp_path)])
    assert texts[0] == (
        f"another run writes into folder {str(tmp_path)!r}; wait for it, or name another folder"
    )
    assert len(history) == 1
    assert len(read(tmp_path / NAME)["history"]["epochs"]) == 1


def test_a_disk_that_fills_leaves_the_last_whole_checkpoint_and_training_goes_on(tmp_path, capfd):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Fill(Callback):
        def on_epoch(self, run):
            full = len(run.history) == 2
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000 if full else limits[0], limits[1]))

    model, train, val, settings = usual(epochs=2, schedule=None)()
    try:
        history = fit(model, train, val, **settings, callbacks=[Fill(), Checkpoint(tmp_path)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(history) == 2
    assert capfd.readouterr().err == (
        f"dlcourse: cannot write checkpoint {str(tmp_path / NAME)!r}: File too large; "
        "the one before it stays, and training goes on\n"
    )
    assert sorted(os.listdir(tmp_path)) == [".lock", NAME]
    assert len(read(tmp_path / NAME)["history"]["epochs"]) == 1
    whole = usual(epochs=2, schedule=None)()
    expected = fit(whole[0], whole[1], whole[2], **whole[3])
    assert resume(tmp_path)["train_loss"] == expected["train_loss"]


def test_a_folder_that_cannot_be_made_is_named_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "run"
    model, train, val, settings = usual()()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(UsageError) as caught:
        fit(model, train, val, **settings, callbacks=Checkpoint(folder))
    assert str(caught.value) == f"cannot write into folder {str(folder)!r}: Not a directory"
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_state_that_no_checkpoint_can_hold_is_said_after_the_first_epoch(tmp_path):
    class Odd(torch.optim.SGD):
        def state_dict(self):
            return {**super().state_dict(), "trap": Trap()}

    model, train, val, settings = usual(schedule=None)()
    settings["optimizer"] = Odd(model.parameters(), lr=settings.pop("lr"))
    with pytest.raises(UsageError, match="the state_dict of the model, the optimizer or the sch"):
        fit(model, train, val, **settings, callbacks=Checkpoint(tmp_path))
    assert os.listdir(tmp_path) == [".lock"]


def test_a_run_that_turned_nan_can_be_resumed_where_it_was_well(tmp_path):
    model, train, _, settings = usual(schedule=None)()
    calls = []

    def breaks(logits, targets):
        calls.append(1)
        return nn.functional.cross_entropy(logits, targets) * (math.nan if len(calls) == 15 else 1)

    with pytest.raises(NonFiniteLossError, match="at step 3 of epoch 3"):
        fit(model, train, None, **settings, loss=breaks, callbacks=Checkpoint(tmp_path))
    assert len(read(tmp_path / NAME)["history"]["epochs"]) == 2


def test_a_file_is_whole_or_not_there(tmp_path):
    write(tmp_path / NAME, {"value": torch.ones(3)})
    state = read(tmp_path / NAME)
    assert torch.equal(state["value"], torch.ones(3))
    assert os.listdir(tmp_path) == [NAME]
