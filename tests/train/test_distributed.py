"""Two CPU processes that train one model, held against one process with the same batches."""

import json
import os
import subprocess
import sys

import pytest
import torch

from dlcourse.cli import main
from dlcourse.train import distributed
from dlcourse.train.checkpoint import NAME, read

# A lab without tasks: what each process sees goes to seen_<rank>.json. SGD shows a gradient of the
# wrong size, and passes rounding on as it is; Adam would make a step of any gradient.
LAB = '''
"""Lab 01: a probe."""
import json
import os
from pathlib import Path

import torch
from torch import nn

from dlcourse import lab
from dlcourse.data import Batches
from dlcourse.models import RecurrentLM
from dlcourse.train import Callback, Checkpoint, Gradients, fit


class Seen(Callback):
    """Counts the rows that this process trains on, by their first pixel, in the first epoch."""

    rows = ()

    def on_start(self, run):
        run.net.register_forward_pre_hook(self.look)
        self.rows = []

    def look(self, module, args):
        self.rows += args[0].flatten(1)[:, 0].tolist()


class Net(nn.Sequential):
    def forward(self, inputs):
        return super().forward(inputs.flatten(1))


def main(argv=None):
    here = Path.cwd()
    args = lab.parse_flags("lab01", __doc__, argv, epochs=3, full_epochs=3)
    images = torch.arange(43 * 4).view(43, 1, 2, 2).to(torch.uint8)
    labels = torch.randint(3, (43,), generator=torch.Generator().manual_seed(0))
    train = Batches(images, labels, 9, shuffle=True, normalize=lambda x: x.div_(43 * 4))
    val = Batches(images, labels, 14, normalize=lambda x: x.div_(43 * 4))
    torch.manual_seed(args.seed)
    seen = Seen()
    model = Net(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    history = fit(
        model, train, val, epochs=args.epochs, optimizer="sgd", lr=0.5,
        metrics=("accuracy", "perplexity"),
        gradients=Gradients(accumulate=2, clip_norm=1.0), average="ema",
        callbacks=[seen, Checkpoint(here / "run", resume=True)], device="cpu", progress=True,
    )
    tokens = torch.randint(7, (4, 21), generator=torch.Generator().manual_seed(1))
    text = list(zip(tokens[:, :-1].split(5, 1), tokens[:, 1:].split(5, 1)))
    language_model = RecurrentLM(7, hidden_size=5)
    of_text = fit(language_model, text, text, epochs=2, optimizer="sgd", lr=0.5, device="cpu")
    rank = os.environ.get("RANK", "0")
    (here / f"seen_{rank}.json").write_text(json.dumps({
        "rows": seen.rows,
        "history": [{k: v for k, v in row.items() if k != "seconds"}
                    for row in history.epochs + of_text.epochs],
        "weights": [p.tolist() for p in [*model.parameters(), *language_model.parameters()]],
    }))
    print("done", history.best_epoch)
'''


def write_lab(folder):
    for name in ("labs", "tests/labs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "labs" / "lab01_probe.py").write_text(LAB)


def run_alone(folder, *flags):
    """Run the lab in the process of the tests."""
    write_lab(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["run", "lab01", *flags]) == 0


def run_by_two(folder):
    """Run the lab in two processes of torchrun and return what they wrote."""
    write_lab(folder)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "dlcourse", "run", "lab01"],
        cwd=folder, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(), done.stderr.decode()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of the lab run by one process and by two, and what the two said."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    run_alone(one)
    return one, two, run_by_two(two)


def seen(folder, rank=0):
    return json.loads((folder / f"seen_{rank}.json").read_text())


def test_two_processes_give_the_result_of_one_within_rounding(runs):
    one, two, _ = runs
    alone, together = seen(one), seen(two)
    for ours, theirs in zip(together["weights"], alone["weights"], strict=True):
        assert torch.allclose(torch.tensor(ours), torch.tensor(theirs), atol=1e-5)
    for ours, theirs in zip(together["history"], alone["history"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_every_process_has_the_same_weights_and_the_same_history(runs):
    _, two, _ = runs
    first, second = seen(two, 0), seen(two, 1)
    assert first["weights"] == second["weights"]
    assert first["history"] == second["history"]


def test_shards_cover_each_epoch_without_overlap(runs):
    _, two, _ = runs
    rows = [round(row * 43) for rank in (0, 1) for row in seen(two, rank)["rows"]]
    # 43 rows in batches of 9, 9, 9, 9, 7: five, and four, of each; three epochs
    assert len(seen(two, 0)["rows"]) == 3 * (4 * 5 + 4)
    assert sorted(rows) == sorted([*range(43)] * 3)


def test_there_is_one_checkpoint_one_voice_and_one_progress_line(runs):
    _, two, (stdout, stderr) = runs
    assert stdout.startswith("done ")
    assert stdout.count("done") == 1
    assert sorted(os.listdir(two / "run")) == [".lock", NAME]
    assert len(read(two / "run" / NAME)["history"]["epochs"]) == 3
    assert len(read(two / "run" / NAME)["generators"]) == 2
    lines = [line.split("\r")[-1] for line in stderr.split("\n")]  # as a terminal ends up
    assert sum("epoch 3/3, " in line for line in lines) == 1


def test_what_two_processes_wrote_one_goes_on_from(runs, tmp_path):
    _, two, _ = runs
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / NAME).write_bytes((two / "run" / NAME).read_bytes())
    run_alone(tmp_path, "--epochs", "5")
    assert len(seen(tmp_path)["history"]) == 5 + 2
    assert seen(tmp_path)["history"][:3] == seen(two)["history"][:3]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7, 10])
def test_shares_of_rows_add_up_to_the_batch_and_no_process_has_a_single_row(size, monkeypatch):
    inputs, targets = torch.arange(10.0)[:size], torch.arange(size)
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    total, count = 0.0, 0.0
    for rank in range(3):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        part, its_targets, share = distributed.my_rows(inputs, targets)
        assert part.tolist() == its_targets.tolist()
        assert len(part) >= min(2, size)
        total += part.sum().item() * share
        count += len(part) * share
    assert total / count == pytest.approx(inputs.mean().item())
    assert count == pytest.approx(size)


def test_one_process_alone_has_all_rows_and_needs_no_group():
    inputs = torch.zeros(3, 2)
    assert distributed.my_rows(inputs, inputs)[0] is inputs
    assert distributed.rank() == 0
    assert distributed.gather("mine") == ["mine"]
