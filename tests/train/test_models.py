"""Every reference model trains with its own loss, or is refused with the name of its own method."""

import re

import pytest
import torch
import torch.nn.functional as F

from dlcourse import models
from dlcourse.errors import UsageError
from dlcourse.train import Reconstruction, fit, laplacian_loss, squared_error
from dlcourse.train.gan import fit_gan

LABELS = torch.tensor([0, 1, 1])
SETTINGS = {"epochs": 1, "lr": 1e-3, "device": "cpu"}
LANGUAGE = (
    "elman_lm", "lstm_lm", "gru_lm", "scrn_lm", "feedforward_lm", "transformer_lm",
    "text_classifier",
)  # fmt: skip
# Small forms of models that are large; the others are built as they are.
SMALL = {
    **{name: {"vocab_size": 9} for name in LANGUAGE},
    "seq2seq": {"source_vocab_size": 9, "target_vocab_size": 9},
    "glo": {"num_images": 3},
    "googlenet": {"num_classes": 2},
}
# Models that repeat a block more often, or take larger images, than one that is tested.
LARGER = re.compile(
    r"alexnet|vgg11|vgg1[369].*|vgg11_bn|.*net(32|34|44|56|110)|plain(32|44|56|110)"
)
NAMES = [name for name in models.MODELS if not LARGER.fullmatch(name)]


def data_for(name):
    """Batches that the model takes, and the loss to train it with (None: that of a classifier)."""
    entry, tokens = models.MODELS[name], torch.randint(9, (3, 6))
    if entry.kind == "language model":
        return [(tokens[:, :-1], tokens[:, 1:])], {}
    if name == "text_classifier":
        return [(tokens, LABELS)], {}
    if name == "seq2seq":
        return [((tokens, tokens), tokens)], {}
    if name == "glo":
        return [(torch.arange(3), torch.rand(3, 1, 28, 28))], {"loss": laplacian_loss}
    size = entry.input_size
    if len(size) == 3 and size[-1] > 64:
        size = (3, 32, 32)
    images = torch.rand(3, *size)
    if entry.kind == "autoencoder":
        return Reconstruction([(images, LABELS)]), {"loss": squared_error}
    return [(images, LABELS)], {}


def flat(model):
    """All parameters in one vector."""
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("name", NAMES)
def test_every_model_trains_with_its_own_loss(name):
    torch.manual_seed(0)
    model = models.build(name, **SMALL.get(name, {}))
    entry = models.MODELS[name]
    if not any(p.requires_grad for p in model.parameters()):
        own = "learn" if name == "perceptron" else "fit"
        with pytest.raises(
            UsageError, match=f"has a method of its own: {type(model).__name__}.{own}"
        ):
            fit(model, [(torch.zeros(3, 2), LABELS)], **SETTINGS)
        return
    before = flat(model)
    if entry.kind == "generator" and name != "glo":
        shape = (3, *model.image_shape)
        fit_gan(model, [(torch.rand(shape), LABELS)], epochs=1, device="cpu")
    else:
        data, settings = data_for(name)
        history = fit(model, data, data, **SETTINGS, **settings)
        assert history.best["val_loss"] > 0
    after = flat(model)
    assert after.isfinite().all()
    assert not torch.equal(before, after)


def test_googlenets_auxiliary_losses_count_three_tenths_each():
    torch.manual_seed(0)
    model = models.build("googlenet", num_classes=2, dropout=0.0)
    model.aux1.dropout.p = model.aux2.dropout.p = 0.0
    images = torch.rand(3, 3, 32, 32)
    main, first, second = (F.cross_entropy(one, LABELS) for one in model.train()(images))
    expected = (main + 0.3 * (first + second)).item()
    history = fit(model, [(images, LABELS)], epochs=1, lr=0.0, optimizer="sgd", device="cpu")
    assert history["train_loss"][0] == pytest.approx(expected, rel=1e-3)
