"""Your own files that register models and data sets, loaded by commands and their processes."""

import os
import sys

import pytest

from dlcourse import extensions, models
from dlcourse.cli import main
from dlcourse.data.catalog import REGISTERED
from dlcourse.errors import UsageError

OWN = """
import torch
from torch import nn
from dlcourse import data, models

class TwoLayers(nn.Module):
    def __init__(self, width=4, in_features=16, num_classes=2):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(in_features, width), nn.ReLU(), nn.Linear(width, num_classes)
        )

    def forward(self, inputs):
        return self.layers(inputs)

def blobs():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 2
    images = torch.randint(100, (60, 1, 4, 4), generator=generator) + 100 * labels.view(-1, 1, 1, 1)
    images = images.to(torch.uint8)
    return data.ImageData(
        "blobs", "drawn", False, ("dark", "light"), images, labels, images[:20], labels[:20]
    )

models.register("two_layers", TwoLayers, input_size=(1, 4, 4))
data.register("blobs", blobs, title="dark and light blobs")
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The path of an extension; afterwards nothing of it is left."""
    monkeypatch.setenv(extensions.VARIABLE, "")
    path = tmp_path / "own_nets.py"
    path.write_text(OWN)
    yield path
    forget()


def forget():
    REGISTERED.pop("blobs", None)
    models.MODELS.pop("two_layers", None)
    extensions.HASHES.clear()
    for name in [name for name in sys.modules if name.startswith(extensions.PREFIX)]:
        del sys.modules[name]


def test_commands_know_what_an_extension_registers(own, capsys):
    assert main(["models", "two_layers", "--extension", str(own)]) == 0
    assert "78" in capsys.readouterr().out.splitlines()[-1]  # 16 * 4 + 4 + 4 * 2 + 2
    assert main(["data", "list", "--extension", str(own), "--data-dir", str(own.parent)]) == 0
    assert "dark and light blobs" in capsys.readouterr().out


@pytest.mark.parametrize(("jobs", "widths"), [(1, "2,8"), (2, "2")])
def test_compare_trains_a_registered_model_on_a_registered_data_set(own, capsys, jobs, widths):
    # One run for two jobs: another process has to know the extension, and one is enough.
    command = ["compare", "--model", "two_layers", "--axis", f"width={widths}", "--data", "blobs"]
    command += ["--epochs", "2", "--lr", "0.1", "--jobs", str(jobs), "--extension", str(own)]
    assert main([*command, "--out", str(own.parent / "study"), "--device", "cpu"]) == 0
    runs = "2 runs" if jobs == 1 else "1 run\n"
    assert f"over seeds, {runs}" in capsys.readouterr().out


def test_a_study_does_not_go_on_with_an_edited_extension(own, capsys):
    command = ["compare", "--model", "two_layers", "--data", "blobs", "--epochs", "1"]
    command += ["--extension", str(own), "--out", str(own.parent / "study"), "--device", "cpu"]
    codes = []
    for text in (OWN, OWN, f"{OWN}# edited\n"):
        own.write_text(text)
        forget()
        codes.append(main(command))
    assert codes == [0, 0, 2]
    assert capsys.readouterr().err.endswith(
        "holds results from before its extension own_nets.py changed; name another folder\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import torchh", "ModuleNotFoundError: No module named 'torchh'"),
        ("from dlcourse import data\ndata.register('mnist', print)", "'mnist' already exists"),
        ("def", "SyntaxError: "),
    ],
)
def test_an_extension_that_fails_is_named_in_one_line(own, text, message):
    own.write_text(text)
    with pytest.raises(UsageError, match=f"own_nets.py': .*{message}"):
        extensions.load([own])
    with pytest.raises(UsageError, match=r"nowhere\.py' is not a Python file"):
        extensions.load([own.parent / "nowhere.py"])


def test_a_model_that_cannot_be_registered_is_refused():
    with pytest.raises(UsageError, match="model 'mlp' already exists"):
        models.register("mlp", dict)
    with pytest.raises(UsageError, match="needs a class or function that builds it"):
        models.register("net", models.build("perceptron"))
    with pytest.raises(UsageError, match="give every argument a default"):
        models.register("net", models.Entry)


def test_an_extension_that_was_edited_after_it_ran_is_not_taken_for_the_new_one(own):
    extensions.load([own])
    extensions.load([own])
    own.write_text(f"{OWN}# edited\n")
    with pytest.raises(UsageError, match=r"own_nets.py' has changed since this process ran it"):
        extensions.load([own])


def test_an_extension_is_run_as_it_was_saved_last_even_within_one_second(own):
    for module in ("math", "cmath"):
        own.write_text(f"import {module} as chosen".ljust(40))
        os.utime(own, (1_000_000_000, 1_000_000_000))
        extensions.load([own])
        name = next(name for name in sys.modules if name.startswith(extensions.PREFIX))
        assert sys.modules.pop(name).chosen.__name__ == module
