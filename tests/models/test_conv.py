"""The feed-forward and convolutional models against torchvision, published counts and torch."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from dlcourse import models
from dlcourse.cli import main
from dlcourse.errors import UnknownNameError, UsageError
from dlcourse.models import registry, summary
from dlcourse.models.alexnet import AlexNet
from dlcourse.models.cifar_resnet import CifarResNet, PreActivationBlock, ResidualBlock
from dlcourse.models.googlenet import INCEPTIONS, GoogLeNet, Inception
from dlcourse.models.perceptron import Perceptron
from dlcourse.models.vgg import VGG

CLASSIFIERS = [name for name, known in models.MODELS.items() if known.kind == "image classifier"]
# One of each architecture, small enough to train here.
TRAINED = {
    "logistic_regression": {},
    "mlp": {"hidden_sizes": (64, 32), "batch_norm": True, "activation": "gelu"},
    "lenet5": {},
    "wide_lenet": {},
    "alexnet_32": {"dropout": 0.0},
    "vgg11_bn_32": {},
    "resnet18": {"num_classes": 10},
    "resnet20": {},
    "plain20": {},
    "preact_resnet20": {},
}

LEARNING_RATES = {"alexnet_32": 3e-4, "vgg11_bn_32": 1e-3}


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def on_meta(name, **settings):
    with torch.device("meta"):
        return models.build(name, **settings)


def images(name, batch_size, seed=0):
    size = models.MODELS[name].input_size
    size = (3, 32, 32) if size == (3, 224, 224) else size
    return torch.randn(batch_size, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("lenet5", 61_706),
        ("wide_lenet", 431_080),
        ("alexnet", 61_100_840),
        ("vgg11", 132_863_336),
        ("vgg13", 133_047_848),
        ("vgg16", 138_357_544),
        ("vgg19", 143_667_240),
        ("vgg16_bn", 138_365_992),
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
    ],
)
def test_parameters_are_as_many_as_published(name, published):
    assert count(on_meta(name)) == published


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_cifar_resnets_weigh_what_their_paper_says(depth, millions):
    digits = 1 if depth == 110 else 2
    for kind in ("resnet", "plain", "preact_resnet"):
        assert round(count(on_meta(f"{kind}{depth}")) / 1e6, digits) == millions
    layers = [
        m for m in on_meta(f"resnet{depth}").modules() if isinstance(m, nn.Conv2d | nn.Linear)
    ]
    assert len(layers) == depth


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "vgg16_bn", "vgg19", "resnet18", "resnet34"])
def test_state_dict_has_torchvisions_keys_and_shapes(name):
    with torch.device("meta"):
        oracle = torchvision.models.get_model(name).state_dict()
    ours = on_meta(name).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {
        key: value.shape for key, value in oracle.items()
    }


@pytest.mark.parametrize("name", ["alexnet", "vgg11_bn", "resnet34"])
@torch.inference_mode()
def test_outputs_are_torchvisions_under_its_weights(name):
    torch.manual_seed(0)
    oracle = torchvision.models.get_model(name, num_classes=7).eval()
    model = models.build(name, num_classes=7)
    models.load_weights(model, oracle.state_dict())
    inputs = torch.randn(2, 3, 224, 224)
    assert_close(model.eval()(inputs), oracle(inputs), rtol=1e-4, atol=1e-5)


def test_googlenet_is_torchvisions_but_for_its_filters_of_5x5():
    torch.manual_seed(0)
    oracle = torchvision.models.googlenet(weights=None, init_weights=True, num_classes=7)
    # What torchvision has otherwise: 3x3 for 5x5, a last pooling of 2x2, another eps.
    oracle.maxpool4 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    for name, (*_, ch5x5red, ch5x5, _) in INCEPTIONS.items():
        block = getattr(oracle, f"inception{name}")
        block.branch3[1].conv = nn.Conv2d(ch5x5red, ch5x5, 5, padding=2, bias=False)
    for layer in oracle.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = 1e-5
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    model = GoogLeNet(num_classes=7, dropout=0.0)
    for classifier in (model.aux1, model.aux2):
        classifier.dropout.p = 0.0
    values = oracle.state_dict().values()
    models.load_weights(model, dict(zip(model.state_dict(), values, strict=True)))
    inputs = torch.randn(3, 3, 64, 64)
    expected = oracle(inputs)
    got = model(inputs)
    oracle_order = (expected.logits, expected.aux_logits1, expected.aux_logits2)
    assert_close(got, oracle_order, rtol=1e-3, atol=1e-4)
    assert_close(model.eval()(inputs), oracle.eval()(inputs), rtol=1e-3, atol=1e-4)


def test_inception_is_its_four_branches_side_by_side():
    block = Inception(8, 2, 3, 4, 5, 6, 7).eval()
    inputs = torch.randn(2, 8, 9, 5)
    outputs = block(inputs)
    assert outputs.shape == (2, 2 + 4 + 6 + 7, 9, 5)
    pooled = F.max_pool2d(inputs, 3, stride=1, padding=1)
    assert_close(outputs[:, -7:], block.branch4[1](pooled))
    assert_close(outputs[:, :2], block.branch1(inputs))


def test_googlenet_gives_three_logits_in_training_and_one_after():
    model = GoogLeNet(num_classes=5)
    inputs = torch.randn(2, 3, 64, 64)
    assert [logits.shape for logits in model(inputs)] == [(2, 5)] * 3
    loss = sum(F.cross_entropy(logits, torch.tensor([0, 3])) for logits in model(inputs))
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert model.eval()(inputs).shape == (2, 5)


@pytest.mark.parametrize("block", [ResidualBlock, PreActivationBlock])
def test_block_with_zero_weights_passes_its_input_on(block):
    made = block(4, 4).eval()
    for conv in (made.conv1, made.conv2):
        nn.init.zeros_(conv.weight)
    inputs = torch.rand(2, 4, 6, 6)
    assert_close(made(inputs), inputs)
    widening = block(4, 8, stride=2).eval()
    for conv in (widening.conv1, widening.conv2):
        nn.init.zeros_(conv.weight)
    outputs = widening(inputs)
    assert_close(outputs[:, :4], inputs[:, :, ::2, ::2])
    assert not outputs[:, 4:].any()


def test_plain_block_with_zero_weights_loses_its_input():
    made = ResidualBlock(4, 4, residual=False).eval()
    nn.init.zeros_(made.conv2.weight)
    assert not made(torch.rand(1, 4, 5, 5)).any()


@pytest.mark.parametrize("name", TRAINED)
def test_model_takes_one_and_two_overfits_and_survives_save_and_load(name, tmp_path):
    torch.manual_seed(0)
    model = models.build(name, **TRAINED[name])
    model.eval()
    for batch_size in (1, 2):
        assert model(images(name, batch_size)).shape == (batch_size, 10)
    inputs, targets = images(name, 16), torch.arange(16) % 10
    if name == "alexnet_32":  # PyTorch's default makes signals fade: twice the steps
        for p in model.parameters():
            if p.dim() > 1:
                torch.nn.init.kaiming_normal_(p)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATES.get(name, 3e-3))
    model.train()
    for step in range(100):
        loss = F.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            assert all(p.grad.isfinite().all() for p in model.parameters())
            assert all(p.grad.any() for p in model.parameters() if p.dim() > 1)
        optimizer.step()
        if loss < 0.3:
            break
    assert loss < 0.3
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    twin = models.build(name, **TRAINED[name])
    models.load_weights(twin, torch.load(tmp_path / "weights.pt", weights_only=True))
    assert_close(twin.eval()(inputs), model.eval()(inputs))


@pytest.mark.cuda
@pytest.mark.parametrize("name", TRAINED)
def test_model_gives_the_same_on_cuda(name):
    torch.manual_seed(0)
    model, inputs = models.build(name, **TRAINED[name]).eval(), images(name, 4)
    expected = model(inputs)
    assert_close(model.cuda()(inputs.cuda()).cpu(), expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", ["mlp", "vgg11_bn_32", "alexnet_32", "resnet20"])
def test_dropout_and_batch_norm_rest_in_eval(name):
    torch.manual_seed(0)
    settings = {"dropout": 0.5, "batch_norm": True} if name == "mlp" else {}
    model, inputs = models.build(name, **settings), images(name, 8)
    model(inputs)
    model.eval()
    alone = torch.cat([model(inputs[i : i + 1]) for i in range(8)])
    assert_close(model(inputs), alone, rtol=1e-4, atol=1e-5)


def test_perceptron_learns_and_but_not_xor():
    inputs = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    conjunction, difference = torch.tensor([[0.0, 0, 0, 1], [0.0, 1, 1, 0]])[..., None]
    neuron = Perceptron()
    mistakes = [neuron.learn(inputs, conjunction) for _ in range(20)]
    assert mistakes[-1] == 0
    assert torch.equal(neuron(inputs), conjunction)
    neuron = Perceptron()
    assert all(neuron.learn(inputs, difference) > 0 for _ in range(100))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.tensor([[-1.0, 1.0, 1.0]] * 2), "0 or 1, (N, 3), got (2, 3) from -1 to 1"),
        (torch.tensor([0, 1]), "targets must be 0 or 1, (N, 3), got (2,) from 0 to 1"),
    ],
)
def test_a_perceptron_refuses_targets_that_its_rule_cannot_learn(targets, message):
    with pytest.raises(UsageError) as caught:
        Perceptron(2, 3).learn(torch.eye(2), targets)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("lenet5", (2, 3, 32, 32), r"inputs must be (N, 1, 28, 28), got (2, 3, 32, 32)"),
        ("wide_lenet", (1, 28, 28), r"inputs must be (N, 1, 28, 28), got (1, 28, 28)"),
        ("mlp", (2, 3, 32, 32), r"inputs must have 784 numbers per sample, got (2, 3, 32, 32)"),
        ("logistic_regression", (2, 5), r"inputs must have 784 numbers per sample, got (2, 5)"),
        ("perceptron", (2, 3), r"inputs must be (N, 2), got (2, 3)"),
        ("alexnet_32", (2, 3, 224, 224), r"inputs must be (N, 3, 32, 32), got (2, 3, 224, 224)"),
        ("vgg11_bn_32", (2, 1, 32, 32), r"inputs must be (N, 3, 32, 32), got (2, 1, 32, 32)"),
        ("resnet18", (2, 3, 28, 28),
         r"inputs must be (N, 3, H, W), H and W at least 32, got (2, 3, 28, 28)"),
        ("resnet20", (2, 1, 32, 32),
         r"inputs must be (N, 3, H, W), H and W at least 4, got (2, 1, 32, 32)"),
        ("googlenet", (2, 3, 16, 16),
         r"inputs must be (N, 3, H, W), H and W at least 32, got (2, 3, 16, 16)"),
    ],
)  # fmt: skip
def test_inputs_of_another_shape_are_told_in_one_line(name, shape, message):
    with pytest.raises(UsageError) as caught:
        models.build(name)(torch.zeros(shape))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.build("lenet5", num_classes=0), "num_classes must be at least 1, got 0"),
        (lambda: models.build("mlp", hidden_sizes=(5, 0)), "sizes must be at least 1, got"),
        (lambda: models.build("mlp", dropout=1.0), "dropout must be at least 0 and below 1"),
        (lambda: Perceptron(-1), "in_features must be at least 1, got -1"),
        (lambda: AlexNet(image_size=64), "image_size must be 32 or 224, got 64"),
        (lambda: VGG("F"), "unknown configuration 'F'; choose one of (A, B, D, E)"),
        (lambda: CifarResNet(21), "depth must be 6n + 2 (8, 14, 20, 26, 32, ...), got 21"),
        (lambda: CifarResNet(width=0), "width must be at least 1, got 0"),
        (lambda: ResidualBlock(4, 0), "out_channels must be at least 1, got 0"),
        (lambda: Inception(8, 0, 1, 1, 1, 1, 1), "ch1x1 must be at least 1, got 0"),
        (lambda: models.build("vgg16", hidden=3), "model 'vgg16': "),
    ],
)  # fmt: skip
def test_sizes_that_cannot_be_are_refused(make, message):
    with pytest.raises(UsageError) as caught:
        make()
    assert message in str(caught.value)


def test_unknown_model_gets_the_near_name():
    with pytest.raises(
        UnknownNameError, match="unknown model 'renset110'; did you mean 'resnet110'"
    ):
        models.build("renset110")


def test_weights_of_another_architecture_are_named_and_not_loaded():
    model = models.build("lenet5")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = models.build("wide_lenet").state_dict()
    with pytest.raises(UsageError) as caught:
        models.load_weights(model, state)
    assert str(caught.value) == (
        "these weights are not a LeNet5's: the state dict lacks fc3.weight, fc3.bias; "
        "has conv1.weight (20, 1, 5, 5), not (6, 1, 5, 5), conv1.bias (20,), not (6,), "
        "conv2.weight (50, 20, 5, 5), not (16, 6, 5, 5) and 5 more"
    )
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_every_model_is_described_and_counted():
    rows = {row["name"]: row for row in registry.as_dicts(models.MODELS)}
    assert rows["vgg16"]["parameters"] == 138_357_544
    assert rows["alexnet"]["departs"].startswith("no local response normalization")
    text = registry.as_text(models.MODELS)
    assert all(name in text for name in models.MODELS)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier_takes_the_input_that_it_is_listed_with(name):
    with torch.device("meta"):
        model = models.build(name).eval()
        assert model(torch.zeros(2, *models.MODELS[name].input_size)).dim() == 2


def test_summary_lists_the_layers_of_lenet5_as_counted_by_hand():
    found = summary.layers(models.build("lenet5"), torch.zeros(1, 1, 28, 28))
    assert [
        (layer.name, layer.shape, layer.parameters, layer.multiply_adds) for layer in found
    ] == [
        ("conv1", (6, 28, 28), 156, 28 * 28 * 6 * 25),
        ("conv2", (16, 10, 10), 2416, 10 * 10 * 16 * 150),
        ("fc1", (120,), 48_120, 400 * 120),
        ("fc2", (84,), 10_164, 120 * 84),
        ("fc3", (10,), 850, 84 * 10),
    ]


# In billions, as torchvision gives them for its own models (as "GFLOPS").
PUBLISHED = {
    "alexnet": torchvision.models.AlexNet_Weights.IMAGENET1K_V1,
    "vgg11": torchvision.models.VGG11_Weights.IMAGENET1K_V1,
    "vgg16": torchvision.models.VGG16_Weights.IMAGENET1K_V1,
    "vgg19_bn": torchvision.models.VGG19_BN_Weights.IMAGENET1K_V1,
    "resnet18": torchvision.models.ResNet18_Weights.IMAGENET1K_V1,
    "resnet34": torchvision.models.ResNet34_Weights.IMAGENET1K_V1,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_multiply_adds_are_as_many_as_published(name):
    with torch.device("meta"):
        found = summary.layers(models.build(name), *models.MODELS[name].example_inputs())
    billions = sum(layer.multiply_adds for layer in found) / 1e9
    assert billions == pytest.approx(PUBLISHED[name].meta["_ops"], rel=2e-3)
    assert sum(layer.parameters for layer in found) == PUBLISHED[name].meta["num_params"]


@pytest.mark.parametrize(
    "name", ["googlenet", "transformer_lm", "seq2seq", "resnet20", "spatial_transformer"]
)
def test_multiply_adds_count_each_product_once(name):
    """Also where a model calls the layers of a module, and not the module that holds them."""
    model, inputs = models.build(name).eval(), models.MODELS[name].example_inputs()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(*inputs)
    found = summary.layers(model, *inputs)
    assert sum(layer.multiply_adds for layer in found) == counter.get_total_flops() // 2


def test_multiply_adds_of_a_transformer_are_those_counted_by_hand():
    T, E, V = 6, 8, 50
    model = models.TransformerLM(V, embedding_dim=E, num_heads=2, num_layers=3)
    found = summary.layers(model, torch.zeros(1, T).long())
    block = T * 12 * E * E + 2 * T * T * E  # projections and linear layers; scores and sums
    assert sum(layer.multiply_adds for layer in found) == 3 * block + T * E * V


def test_multiply_adds_of_recurrent_layers_are_those_of_their_matrices():
    V, H, T = 50, 8, 3
    for cell, gates in (("elman", 1), ("gru", 3), ("lstm", 4)):
        model = models.build(f"{cell}_lm", vocab_size=V, hidden_size=H)
        found = {layer.name: layer for layer in summary.layers(model, torch.zeros(1, T).long())}
        assert found["recurrent"].multiply_adds == T * gates * 2 * H * H
        assert found["decoder"].multiply_adds == T * H * V
        assert found["embedding"].multiply_adds == 0


@pytest.mark.parametrize("name", models.MODELS)
def test_every_model_has_a_summary_with_all_its_parameters(name, capsys):
    if len(models.MODELS[name].input_size) == 3:
        with torch.device("meta"):
            model = models.build(name)
            text = summary.summary(model, *models.MODELS[name].example_inputs())
    else:
        assert main(["models", name]) == 0
        text, model = capsys.readouterr().out, models.build(name)
    assert f"{count(model):,}" in text.splitlines()[-1]


def test_stages_follow_the_shapes_through_the_network():
    model = models.build("vgg11_bn_32")
    model.train()
    found = summary.stages(model, torch.zeros(1, 3, 32, 32))
    assert model.training
    assert [stage.shape for stage in found[:4]] == [
        (3, 32, 32), (64, 32, 32), (64, 16, 16), (128, 16, 16),
    ]  # fmt: skip
    assert found[-1] == summary.Stage(("linear",), (10,))
    blocks = summary.stages(models.build("resnet20"), torch.zeros(1, 3, 32, 32))
    assert blocks[1] == summary.Stage(("conv 3x3", *["ResidualBlock"] * 3), (16, 32, 32))


def test_spatial_transformer_starts_as_the_network_behind_it():
    # Localization: 8 (49 + 1) + 10 (8 * 25 + 1) + 32 (90 + 1) + 6 (32 + 1); LeNet-5: 61,706.
    parameters = sum(p.numel() for p in models.SpatialTransformer().parameters())
    assert parameters == 400 + 2010 + 2912 + 198 + 61706 == 67226
    model = models.SpatialTransformer(num_classes=7)
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    identity = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(3, 2, 3)
    torch.testing.assert_close(model.theta(images), identity)
    torch.testing.assert_close(model.transform(images), images, atol=1e-5, rtol=0)
    torch.testing.assert_close(model(images), model.classifier(images), atol=1e-4, rtol=0)


def test_spatial_transformer_sees_the_image_through_its_map():
    model = models.SpatialTransformer()
    images = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():  # (x, y) of the output is at (-y, x) of the input
        model.affine.bias.copy_(torch.tensor([0.0, -1, 0, 1, 0, 0]))
    turned = images.rot90(1, (2, 3))
    torch.testing.assert_close(model.transform(images), turned, atol=1e-5, rtol=0)
    torch.testing.assert_close(model(images), model.classifier(turned), atol=1e-4, rtol=0)


def test_loss_of_the_spatial_transformer_reaches_its_map():
    model = models.SpatialTransformer()
    nn.init.normal_(model.affine.weight, std=0.1, generator=torch.Generator().manual_seed(2))
    images = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(3))
    model(images).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    with pytest.raises(UsageError, match=r"inputs must be \(N, 1, 28, 28\), got \(2, 3, 28, 28\)"):
        model(torch.rand(2, 3, 28, 28))
    with pytest.raises(UsageError, match="num_classes must be at least 1, got 0"):
        models.SpatialTransformer(num_classes=0)
