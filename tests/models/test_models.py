"""The first reference models against published counts and hand-written forwards."""

import pytest
import torch
import torch.nn.functional as F

from dlcourse import models
from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.models.summary import summary


def num_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_lenet5_has_the_courses_61706_parameters():
    assert num_parameters(models.build("lenet5")) == 61_706


@pytest.mark.parametrize("batch_size", [1, 2])
def test_lenet5_is_relu_before_pooling_as_in_the_lectures(batch_size):
    model = models.build("lenet5").double()
    x = inputs = torch.randn(batch_size, 1, 28, 28, dtype=torch.float64)
    x = F.max_pool2d(model.conv1(x).relu(), 2)
    x = F.max_pool2d(model.conv2(x).relu(), 2).reshape(batch_size, 400)
    expected = model.fc3(model.fc2(model.fc1(x).relu()).relu())
    torch.testing.assert_close(model(inputs), expected)


def test_mlp_counts_and_computes_as_by_hand():
    model = models.build("mlp", hidden_sizes=(5, 3), num_classes=2, activation="tanh").double()
    assert num_parameters(model) == (784 * 5 + 5) + (5 * 3 + 3) + (3 * 2 + 2)
    inputs = torch.randn(4, 1, 28, 28, dtype=torch.float64)
    w = list(model.parameters())
    hidden = torch.tanh(torch.tanh(inputs.flatten(1) @ w[0].T + w[1]) @ w[2].T + w[3])
    torch.testing.assert_close(model(inputs), hidden @ w[4].T + w[5])


def test_mlp_without_hidden_layers_is_linear():
    model = models.build("mlp", in_features=3, hidden_sizes=())
    assert num_parameters(model) == 3 * 10 + 10


def test_mlp_drops_units_only_in_training():
    model = models.build("mlp", dropout=0.5, batch_norm=True)
    inputs = torch.randn(8, 784)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


@pytest.mark.parametrize(
    ("name", "settings", "error", "message"),
    [
        ("lenet", {}, UnknownNameError, "unknown model 'lenet'; did you mean 'lenet5'?"),
        ("lenet5", {"width": 3}, UsageError, "model 'lenet5': "),
        ("mlp", {"hidden_sizes": (0,)}, UsageError, "sizes must be at least 1, got [784, 0]"),
        ("mlp", {"activation": "rellu"}, UnknownNameError, "did you mean 'relu'?"),
        ("mlp", {"dropout": 1.0}, UsageError, "dropout must be at least 0 and below 1, got 1.0"),
    ],
)
def test_impossible_models_are_refused(name, settings, error, message):
    with pytest.raises(error) as caught:
        models.build(name, **settings)
    assert message in str(caught.value)


TOKENS = torch.tensor([[1, 2, 3]])


@pytest.mark.parametrize(
    ("name", "settings", "use"),
    [
        ("lstm_lm", {"vocab_size": 9}, lambda model: model.generate(TOKENS[0], 3)),
        ("transformer_lm", {"vocab_size": 9}, lambda model: model.generate(TOKENS[0], 3)),
        ("seq2seq", {}, lambda model: model.translate(TOKENS, 3)),
        ("mlp_gan", {}, lambda model: model.sample(2)),
        ("glo", {}, lambda model: model.sample(2)),
        ("lenet5", {}, lambda model: summary(model, torch.zeros(1, 1, 28, 28))),
    ],
)
def test_a_model_that_is_only_used_keeps_the_mode_of_each_of_its_parts(name, settings, use):
    model = models.build(name, **settings)
    modules = list(model.modules())
    modules[1].eval()  # as for a backbone that is trained no more
    before = [module.training for module in modules]
    use(model)
    assert [module.training for module in modules] == before
    assert len(set(before)) == 2


@pytest.mark.parametrize(
    ("name", "settings", "misuse"),
    [
        ("transformer_lm", {"context_size": 2}, lambda model: model.generate(TOKENS[0], 3)),
        ("seq2seq", {"source_vocab_size": 2}, lambda model: model.translate(TOKENS, 3)),
    ],
)
def test_a_refused_call_leaves_a_model_in_training_mode(name, settings, misuse):
    model = models.build(name, **settings)
    with pytest.raises(UsageError):
        misuse(model)
    assert model.training
