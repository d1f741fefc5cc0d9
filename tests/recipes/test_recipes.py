"""Recipes: each builds, trains through the command line, and goes on where it was stopped."""

import os
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from dlcourse import recipes
from dlcourse.cli import main
from dlcourse.errors import UnknownNameError
from dlcourse.recipes.nets import DigitNet, ObjectNet, whitening_filters
from dlcourse.train import History
from dlcourse.train.checkpoint import NAME

WHOLE = SimpleNamespace(num_classes=10, vocabulary=range(50))
BATCH = (torch.rand(8, 3, 32, 32), torch.zeros(8, dtype=torch.int64))
SPLITS = recipes.Splits(train=[BATCH], val=[], test=[], whole=WHOLE)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe_builds_a_model_that_takes_its_data(name):
    recipe = recipes.find(name)
    model = recipe.model(SPLITS)
    if recipe.text:
        assert model(torch.randint(50, (2, 5))).shape == (2, 5, 50)
    else:
        shape = (1, 28, 28) if recipe.data == "mnist" else (3, 32, 32)
        assert model(torch.randn(2, *shape)).shape == (2, 10)
    assert recipe.about.endswith(".")
    assert recipe.expected


@pytest.mark.parametrize(
    ("net", "shape"),
    [(DigitNet(num_classes=7), (1, 28, 28)), (ObjectNet(BATCH[0], num_classes=7), (3, 32, 32))],
)
def test_nets_take_one_image_and_other_numbers_of_classes(net, shape):
    assert net.eval()(torch.randn(1, *shape)).shape == (1, 7)


def test_whitening_filters_leave_patches_uncorrelated_with_variance_one():
    # Neighboring pixels and channels alike, as in photographs.
    images = F.avg_pool2d(torch.randn(64, 3, 36, 36), 5, stride=1)
    images = (images + images.mean(dim=1, keepdim=True)) * 10
    outputs = F.conv2d(images, whitening_filters(images)).transpose(0, 1).flatten(1)  # (24, N)
    torch.testing.assert_close(outputs[:12].cov(), torch.eye(12), atol=0.01, rtol=0)
    torch.testing.assert_close(outputs[12:], -outputs[:12])


def test_whitening_filters_of_images_of_one_color_are_finite():
    assert whitening_filters(torch.ones(4, 3, 32, 32)).isfinite().all()


def test_object_net_scores_an_image_as_its_mirror_image_and_keeps_its_first_layer_fixed():
    net, inputs = ObjectNet(BATCH[0]), torch.randn(4, 3, 32, 32)
    before = net.whiten.weight.clone()
    F.cross_entropy(net(inputs), torch.arange(4)).backward()
    torch.optim.SGD(net.parameters(), 0.1, weight_decay=0.1).step()
    torch.testing.assert_close(net.whiten.weight, before, atol=0, rtol=0)
    assert net.whiten.bias.abs().sum() > 0
    net.eval()
    torch.testing.assert_close(net(inputs), net(inputs.flip(3)))
    assert not torch.allclose(net.logits(inputs), net.logits(inputs.flip(3)))


def test_object_nets_filters_start_by_handing_their_inputs_through():
    net, maps = ObjectNet(BATCH[0]), torch.randn(2, 24, 8, 8)
    torch.testing.assert_close(net.stages[0][0](maps)[:, :24], maps)
    assert not torch.allclose(net.stages[0][0](maps)[:, 24:48], maps)


def test_an_unknown_recipe_is_named(capsys):
    with pytest.raises(UnknownNameError) as caught:
        recipes.find("mnist-fats")
    text = f"unknown recipe 'mnist-fats'; did you mean 'mnist-fast'? ({', '.join(recipes.RECIPES)})"
    assert str(caught.value) == text
    assert main(["train", "mnist-fats"]) == 2
    assert capsys.readouterr().err == f"dlcourse: {text}\n"


def run(tmp_path, *flags, name="mnist-fast"):
    argv = ["train", name, "--tiny", "--offline", "--no-plot", "--device", "cpu"]
    out = str(tmp_path / "out")
    return main([*argv, "--data-dir", str(tmp_path), "--threads", "2", "--out", out, *flags])


def test_a_recipe_runs_from_the_command_line_and_writes_its_history(tmp_path, capsys):
    assert run(tmp_path) == 0
    said = capsys.readouterr().out
    assert said.startswith("mnist-fast: ")
    assert "\ndata: synthetic digits" in said
    assert "\naccuracy: val " in said
    history = History.load(tmp_path / "out" / "history.json")
    assert len(history) == 1
    assert history.config["label_smoothing"] == 0.1
    assert NAME not in os.listdir(tmp_path / "out")
    assert run(tmp_path) == 0  # and once more into the same folder


def test_a_recipe_that_was_stopped_goes_on_with_resume(tmp_path, monkeypatch, capsys):
    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(History, "save", stopped)
        assert run(tmp_path) == 130
    assert NAME in os.listdir(tmp_path / "out")
    assert run(tmp_path) == 2
    assert "holds a run of 1 epochs; resume it" in capsys.readouterr().err
    assert run(tmp_path, "--resume") == 0
    assert len(History.load(tmp_path / "out" / "history.json")) == 1


def test_the_deterministic_flag_gives_the_same_numbers_twice(tmp_path):
    losses = []
    for _ in range(2):
        run(tmp_path, "--deterministic")
        losses.append(History.load(tmp_path / "out" / "history.json")["train_loss"])
    assert losses[0] == losses[1]
