"""What the labs' given code says when its input cannot be."""

import importlib.util
import sys

import pytest
import torch

from dlcourse import course, data
from dlcourse.errors import UsageError


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
    for player in stopped:
        assert all(value.isfinite().all() for value in player.state_dict().values())
    torch.manual_seed(0)
    batches = SpoiledLater()
    lab11.train_gan(batches, epochs=5, width=2)
    assert batches.passes == 2


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
