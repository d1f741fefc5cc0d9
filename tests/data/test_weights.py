"""Weights in the data folder: fetched, found, refused if damaged, loaded into their network."""

import hashlib
from dataclasses import replace

import pytest
import torch
from torchvision.models import resnet18

from dlcourse import data, models
from dlcourse.data.catalog import CATALOG, RemoteFile
from dlcourse.errors import DataError, UnknownNameError, UsageError

NAME = "resnet18-f37072fd.pth"


@pytest.fixture(scope="module")
def oracle():
    """torchvision's ResNet-18 with random weights, whose file has the form of the published one."""
    torch.manual_seed(0)
    return resnet18().eval()


@pytest.fixture(scope="module")
def folder(oracle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    torch.save(oracle.state_dict(), folder / NAME)
    return folder


def test_torchvisions_file_name_holds_the_start_of_the_hash():
    (file,) = CATALOG["resnet18-weights"].files
    assert file.path == file.urls[0].rpartition("/")[2] == NAME
    assert file.hash.startswith(f"sha256:{NAME[9:17]}")
    assert len(file.hash) == len("sha256:") + 64


def test_weights_in_the_data_folder_give_the_outputs_of_torchvisions_network(oracle, folder):
    state = data.load_state_dict("resnet18-weights", folder, offline=True)
    model = models.build("resnet18")
    models.load_weights(model, state)
    inputs = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(inputs), oracle(inputs), rtol=1e-4, atol=1e-4)


def test_older_files_without_the_counters_of_batch_normalization_load_too(oracle):
    state = {k: v for k, v in oracle.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert len(state) == 102
    model = models.build("resnet18")
    models.load_weights(model, state)
    assert torch.equal(model.fc.weight, oracle.fc.weight)
    state.pop("bn1.running_mean")
    with pytest.raises(UsageError, match=r"lacks bn1\.running_mean$"):
        models.load_weights(model, state)


def test_weights_of_another_architecture_are_refused_in_one_line(folder):
    state = data.load_state_dict("resnet18-weights", folder, offline=True)
    for name in ("resnet34", "resnet20"):
        with pytest.raises(UsageError, match=r"^these weights are not a \w+'s: .*lacks") as caught:
            models.load_weights(models.build(name), state)
        assert "\n" not in str(caught.value)


def test_get_fetches_the_file_once_and_verify_sees_damage(tmp_path, monkeypatch, oracle):
    source = tmp_path / "server" / NAME
    source.parent.mkdir()
    torch.save({"weight": torch.ones(3)}, source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    entry = CATALOG["resnet18-weights"]
    file = RemoteFile(NAME, f"sha256:{digest}", ("https://weights.invalid/" + NAME,))
    monkeypatch.setitem(CATALOG, entry.name, replace(entry, files=(file,)))
    fetched = []

    def retrieve(url, known, name, folder, downloader):
        fetched.append(url)
        (folder / name).write_bytes(source.read_bytes())

    monkeypatch.setattr("dlcourse.data.fetch.pooch.retrieve", retrieve)
    folder = tmp_path / "data"
    for _ in range(2):
        assert data.get(entry.name, folder) == folder / NAME
    assert fetched == list(file.urls)
    assert torch.equal(data.load_state_dict(entry.name, folder)["weight"], torch.ones(3))
    (status,) = data.verify(folder, [entry.name])
    assert status.ok
    assert status.path == str(folder / NAME)
    (folder / NAME).write_bytes(b"damaged")
    (status,) = data.verify(folder, [entry.name])
    assert not status.ok
    assert "has a wrong hash; delete it" in status.problem


def test_missing_damaged_and_other_files_are_refused_in_one_line(tmp_path):
    with pytest.raises(DataError, match=rf" lacks {NAME}; --offline; run `dlcourse data get"):
        data.load_state_dict("resnet18-weights", tmp_path, offline=True)
    for content in (b"", b"PK\x03\x04 broken", b"a text\n"):
        (tmp_path / NAME).write_bytes(content)
        with pytest.raises(DataError, match=rf"^cannot read the weights in .*{NAME}") as caught:
            data.load_state_dict("resnet18-weights", tmp_path, offline=True)
        assert "\n" not in str(caught.value)
    for value in (torch.ones(2), {}, {"epoch": 3}, [1]):
        torch.save(value, tmp_path / NAME)
        with pytest.raises(DataError, match="must hold a state dict, names with tensors, got"):
            data.load_state_dict("resnet18-weights", tmp_path, offline=True)


def test_each_kind_names_the_function_that_loads_it(tmp_path):
    with pytest.raises(UsageError, match="is weights; load it with load_state_dict"):
        data.load("resnet18-weights", tmp_path)
    with pytest.raises(UsageError, match=r"is weights; load it with load_state_dict$"):
        data.load_text("resnet18-weights", tmp_path)
    with pytest.raises(UsageError, match=r"is images; load it with load$"):
        data.load_state_dict("mnist", tmp_path)
    with pytest.raises(UnknownNameError, match=r"unknown weights 'resnet18'; did you mean 'resnet"):
        data.load_state_dict("resnet18", tmp_path)
