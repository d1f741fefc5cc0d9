"""What the labs' given code says when its input cannot be."""

import argparse
import dataclasses
import hashlib
import importlib.util
import sys
from collections import OrderedDict

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import resnet18, resnet34

from dlcourse import course, data
from dlcourse.data import catalog
from dlcourse.errors import DataError, UnknownNameError, UsageError


@pytest.fixture
def load(monkeypatch):
    def load(name):
        path = course.find_lab(name).solution
        spec = importlib.util.spec_from_file_location(f"{name}_under_test", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_codes_wider_than_the_data_are_refused(load):
    lab10 = load("lab10")
    with pytest.raises(UsageError, match=r"^latent_dim must be at most 4, got 5$"):
        lab10.pca(torch.rand(9, 4), 5)
    with pytest.raises(UsageError, match=r"^latent_dim must be at most 3, got 4$"):
        lab10.pca(torch.rand(3, 4), 4)


def test_prompt_of_unknown_words_is_refused(load):
    lab08 = load("lab08")
    vocabulary = data.Vocabulary.build(["the", "cat", "<eos>"])
    text = data.TextData("text", "text", True, "word", vocabulary, *[torch.zeros(9).long()] * 3)
    model = lab08.models.RecurrentLM(len(vocabulary), cell=lab08.Cell, tied=True, kind="gru")
    assert len(lab08.write(model, ["the", "cat"], 5, 1.0, text).split()) == 5
    with pytest.raises(UsageError, match=r"^prompt holds 'dog', not in the vocabulary of 4"):
        lab08.write(model, ["the", "dog"], 5, 1.0, text)


def test_sentences_that_cannot_be_translated_are_refused(load, capsys):
    lab09 = load("lab09")
    pairs = data.load_pairs(limit=64, offline=True)
    capsys.readouterr()
    task = lab09.Task(pairs, reverse=False)
    model = task.model(attention=True)
    sentence = " ".join(pairs.train[0][0])
    source, translation, weights = lab09.align(task, model, sentence)
    assert weights.shape == (len(translation), len(source))
    with pytest.raises(
        UsageError, match=r"^sentence holds 'dog', not in the vocabulary of .*; replace it, or"
    ):
        lab09.align(task, model, sentence + " dog")
    with pytest.raises(
        ValueError, match=r"^expected sentences of at least one word, got the .*\[0\]$"
    ):
        lab09.align(task, model, "")
    tokens, mask = lab09.pad([[1, 2], [3]])
    with pytest.raises(ValueError, match=r"^row 1 of the mask has no word, only padding$"):
        model.encode(tokens, mask & torch.tensor([[True], [False]]))
    steps = lab09.Steps(model, [1, 2])
    with pytest.raises(ValueError, match=r"^max_words must be at least 1, got 0$"):
        lab09.greedy(steps, task.end, 0)
    with pytest.raises(ValueError, match=r"^max_words and width must be at least 1, got 5 and 0$"):
        lab09.beam_search(steps, task.end, 5, 0)


class SpoiledLater:
    """Batches of images, from the second pass on not a number."""

    device = torch.device("cpu")

    def __init__(self):
        self.passes = 0

    def __len__(self):
        return 2

    def __iter__(self):
        self.passes += 1
        images = torch.rand(4, 1, 28, 28)
        yield images, None
        yield (images if self.passes == 1 else images * torch.nan), None


def test_gan_whose_loss_turns_nan_stops_and_keeps_the_last_whole_epoch(load, capsys):
    lab11 = load("lab11")
    torch.manual_seed(0)
    stopped = lab11.train_gan(SpoiledLater(), epochs=5, width=2)
    said = capsys.readouterr().out
    assert said.startswith("stopped in epoch 2: losses nan, ")
    assert said.endswith("; a smaller lr may help\n")
    for player in (stopped.generator, stopped.discriminator):
        assert all(value.isfinite().all() for value in player.state_dict().values())
    torch.manual_seed(0)
    batches = SpoiledLater()
    lab11.train_gan(batches, epochs=5, width=2)
    assert batches.passes == 2


def test_layers_of_lab12_that_do_not_exist_are_refused_with_the_nearest_name(load):
    lab12 = load("lab12")
    net, images = lab12.color_net(), torch.rand(1, 3, 32, 32)
    said = r"^unknown layer 'conv22'; did you mean 'conv2'\?"
    with pytest.raises(UnknownNameError, match=said):
        lab12.outputs_of(net, images, ["conv22"])
    with pytest.raises(UnknownNameError, match=said):
        lab12.layers_to(net, "conv22")
    with pytest.raises(UsageError, match=r"^layer 'flat' has no receptive field: Flatten$"):
        lab12.layers_to(net, "fc")
    outputs = lab12.outputs_of(net.eval(), images, ["conv2", "pool1"])
    assert list(outputs) == ["pool1", "conv2"]
    torch.testing.assert_close(outputs["conv2"], net[:5](images))
    assert lab12.layers_to(net, "relu2") == [(7, 1, 3), (2, 2, 0), (3, 1, 1)]


def test_what_lab12_cannot_work_with_is_refused_in_one_line(load):
    lab12 = load("lab12")
    images, labels = torch.rand(2, 1, 4, 4), torch.tensor([0, 1])
    features, few, model = torch.rand(1, 3, 4, 4), torch.rand(1, 2, 4, 4), nn.Flatten()
    with pytest.raises(ValueError, match=r"^epsilon must be at least 0, got -0\.1$"):
        lab12.fgsm(model, images, labels, -0.1)
    with pytest.raises(ValueError, match=r"^images must be in \[0, 1\], got 1\.\d+ to 1\.\d+$"):
        lab12.pgd(model, images + 1, labels, 0.1, 1, 0.1)
    with pytest.raises(ValueError, match=r"^epsilon must be at least 0, got -0\.1$"):
        lab12.pgd(model, images, labels, -0.1, 0, 0.1)
    with pytest.raises(ValueError, match=r"^style must have 3 channels like the features, got 2$"):
        lab12.style_loss(features, few)
    with pytest.raises(ValueError, match=r"^content must be \(1, 3, 4, 4\), got \(1, 2, 4, 4\)$"):
        lab12.content_loss(features, few)
    photo, gray = torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)
    for content, style in ((photo, gray), (gray, photo)):
        with pytest.raises(UsageError, match=r"^images must have 3 channels, got 1$"):
            lab12.stylize(lab12.color_net(), content, style, ("conv2", ["relu1"]), 1, 0.5, 1.0)


class SmallVGG(nn.Module):
    """The form of VGG-19 in a few weights: two stages, and three classes."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Linear(5 * 4, 6), nn.Dropout(), nn.Linear(6, 3))


def test_lab12_loads_vgg19_where_its_weights_are(load, monkeypatch, tmp_path):
    lab12 = load("lab12")
    args = argparse.Namespace(data_dir=tmp_path, device=torch.device("cpu"))
    assert lab12.load_vgg(args) is None
    torch.manual_seed(0)
    state = SmallVGG().state_dict()
    entry = catalog.CATALOG["vgg19-weights"]
    torch.save(state, tmp_path / entry.files[0].path)
    with pytest.raises(DataError, match=r"vgg19-dcbb9e9d\.pth"):  # another hash
        lab12.load_vgg(args)
    digest = hashlib.sha256((tmp_path / entry.files[0].path).read_bytes()).hexdigest()
    file = dataclasses.replace(entry.files[0], hash=f"sha256:{digest}")
    own = dataclasses.replace(entry, files=(file,))
    monkeypatch.setitem(catalog.CATALOG, "vgg19-weights", own)
    monkeypatch.setattr(lab12.models, "build", lambda name: SmallVGG())
    net = lab12.load_vgg(args)
    names = ["norm", "conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1", "conv2_1", "relu2_1"]
    assert list(dict(net.named_children())) == [*names, "pool2", "flat", "fc"]
    twin, images = SmallVGG().eval(), torch.rand(2, 3, 8, 8)
    twin.load_state_dict(state)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    inputs = (images - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(
        net(images), twin.classifier(twin.features(inputs).flatten(1)), atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize(
    ("prompt", "length", "message"),
    [
        ("cat", 5, "prompt holds 'c', which is not in the training text"),
        ("a" * 9, 5, "prompt must have 1 to 8 characters, got 9"),
        ("", 5, "prompt must have 1 to 8 characters, got 0"),
        ("ab", 0, "length must be at least 1, got 0"),
    ],
)
def test_gpt_writes_beyond_its_context_and_refuses_what_it_cannot_read(
    load, prompt, length, message
):
    lab14 = load("lab14")
    vocabulary = data.Vocabulary.build("ab")
    model = lab14.GPT(3, 4, 2, 1, context=8)
    assert len(lab14.write(model, "ab", 20, vocabulary, temperature=1.0)) >= 22
    with pytest.raises(UsageError) as caught:
        lab14.write(model, prompt, length, vocabulary)
    assert str(caught.value) == message


def test_captions_that_lab15_cannot_read_are_refused_with_the_nearest_word(load):
    lab15 = load("lab15")
    vocabulary = data.Vocabulary.build(["a", "red", "circle", "square", "<eos>"])
    numbers = lab15.numbers_of(["a", "red", "circle"], vocabulary)
    assert vocabulary.decode(numbers) == ["a", "red", "circle", "<eos>"]
    with pytest.raises(
        UnknownNameError,
        match=r"^unknown word in the caption 'circel'; did you mean 'circle'\? \(a, .*square\)$",
    ):
        lab15.numbers_of(["a", "red", "circel"], vocabulary)
    with pytest.raises(UsageError, match=r"^caption must have at least one word, got none$"):
        lab15.numbers_of([], vocabulary)
    decoder = lab15.CaptionDecoder(5, len(vocabulary), vocabulary["<eos>"], True)
    with pytest.raises(ValueError, match=r"^features must have the shape \(N, 5\), got \(2, 4\)$"):
        decoder(torch.rand(2, 4), torch.zeros(2, 3).long())
    with pytest.raises(ValueError, match=r"^max_words must be at least 1, got 0$"):
        lab15.write(decoder, torch.rand(2, 5), 0)
    with pytest.raises(ValueError, match=r"^expected references for each caption, got 1 captions"):
        lab15.bleu([["a"]], [])
    with pytest.raises(ValueError, match=r"^count must be from 1 to 2, got 3$"):
        lab15.nearest(torch.rand(1, 5), torch.rand(2, 5), 3)
    with pytest.raises(ValueError, match=r"^captions must hold at least one caption, got none$"):
        lab15.consensus([], lab15.overlap)


def test_films_that_lab15_cannot_predict_are_refused(load):
    lab15 = load("lab15")
    model, films = lab15.FramePredictor(), torch.rand(2, 3, 1, 8, 12)
    assert model(films).shape == (2, 2, 1, 8, 12)
    with pytest.raises(ValueError, match=r"^frames must hold at least 2 frames, got 1$"):
        model(films[:, :1])
    with pytest.raises(ValueError, match=r"^horizon and frames must be at least 1, got 0 and 3$"):
        lab15.rollout(model, films, 0)
    with pytest.raises(ValueError, match=r"^horizon must be at least 1, got 0$"):
        lab15.copy_last(films, 0)
    for wrong in (films[..., :7], films[:, :, 0], films.expand(-1, -1, 3, -1, -1)):
        said = r"^frames must have the shape \(N, T, 1, H, W\), H and W multiples of 4, got \(2, 3,"
        with pytest.raises(UsageError, match=said):
            model(wrong)
    with pytest.raises(ValueError, match=r"^predicted and frames must have the same shape, got"):
        lab15.errors_by_horizon(films[:, :1], films)


def test_transfer_refuses_what_it_cannot_use_in_one_line(load):
    lab07 = load("lab07")
    labels = torch.arange(20) % 4
    generator = torch.Generator()
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(UsageError, match=rf"^share of the labels must .* 0 to 1, got {share}$"):
            lab07.draw_share(labels, share, generator)
    for share in (0.0, 0.05):
        with pytest.raises(UsageError, match=rf"^class 0 has 5 images, and a share of {share} "):
            lab07.draw_share(labels, share, generator)
    assert lab07.draw_share(labels, 1.0, generator).sort().values.tolist() == list(range(20))
    chosen = lab07.draw_share(labels, 0.4, generator)
    assert labels[chosen].bincount().tolist() == [2, 2, 2, 2]
    images = torch.zeros(20, 3, 2, 2, dtype=torch.uint8)
    with pytest.raises(UsageError, match=r"^class 4 has no images; choose other classes"):
        lab07.of_classes(images, labels, range(2, 5), 9)
    logits = torch.zeros(2, 4)
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match=rf"^temperature must be above 0, got {temperature}"):
            lab07.distillation_loss(logits, logits, labels[:2], temperature)
    layer = torch.nn.Linear(6, 4)
    for rank in (0, 5):
        with pytest.raises(UsageError, match=rf"^rank must be from 1 to 4, the rank .* got {rank}"):
            lab07.low_rank(layer, rank)
    with pytest.raises(UsageError, match=r"--backbone: invalid choice: 'vgg'"):
        lab07.main(["--backbone", "vgg"])


def test_transfer_runs_on_weights_of_resnet18_and_refuses_others(load, tmp_path):
    lab07 = load("lab07")
    torch.manual_seed(0)
    oracle = resnet18().eval()
    path = tmp_path / "resnet18-f37072fd.pth"
    torch.save(oracle.state_dict(), path)
    images = torch.rand(2, 3, 64, 64)
    model = lab07.pretrained_resnet("resnet18-weights", tmp_path, True)
    features = lab07.extract(lab07.freeze(lab07.resnet_backbone(model)), images)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (lab07.MEAN, lab07.STD))
    maps = torch.nn.Sequential(*list(oracle.children())[:-2])((images - mean) / std)
    torch.testing.assert_close(features, maps.detach().flatten(1), rtol=1e-3, atol=1e-3)
    torch.save(resnet34().state_dict(), path)
    with pytest.raises(UsageError, match=r"^these weights are not a ResNet's: .* has also layer1"):
        lab07.pretrained_resnet("resnet18-weights", tmp_path, True)
    path.unlink()
    with pytest.raises(DataError, match=r"lacks resnet18-f37072fd\.pth; --offline; run `dlcourse"):
        lab07.main(["--tiny", "--offline", "--backbone", "resnet18", "--data-dir", str(tmp_path)])


def test_lab12_draws_with_vgg19(load, monkeypatch, tmp_path, capsys):
    lab12 = load("lab12")
    monkeypatch.setattr(lab12, "TABBY", 2)
    torch.manual_seed(0)
    layers = {}
    for stage in range(1, 6):  # as small as can be, with the names that the pictures ask for
        layers[f"conv{stage}_1"] = nn.Conv2d(3 if stage == 1 else 2, 2, 1)
        layers[f"conv{stage}_2"] = nn.Conv2d(2, 2, 1)
        layers[f"pool{stage}"] = nn.MaxPool2d(2)
    layers |= {"flat": nn.Flatten(), "fc": nn.Linear(2 * 7 * 7, 4)}
    images = torch.randint(256, (8, 3, 32, 32)).byte()
    split = images, torch.arange(8)
    pictures = data.ImageData("cifar10", "test", True, tuple("abcdefgh"), *split, *split)
    args = argparse.Namespace(device=torch.device("cpu"), seed=0, plot=True, out=tmp_path)
    lab12.look_into_vgg(nn.Sequential(OrderedDict(layers)).eval(), pictures, 2, args)
    assert capsys.readouterr().out.startswith("VGG-19: a tabby cat from noise, ")
    with Image.open(tmp_path / "vgg19.png") as image:
        assert image.info["Description"].endswith("content. style. both. 4 images")
