"""Named initializers: their moments against the formulas, and that a seed is all they depend on."""

import math

import pytest
import torch
from torch import nn

from dlcourse import init, models
from dlcourse.errors import UnknownNameError, UsageError

N_IN, N_OUT = 300, 500
VARIANCES = {
    "zeros": 0.0,
    "normal:0.01": 1e-4,
    "normal:1": 1.0,
    "uniform:0.3": 0.3**2 / 3,
    "lecun": 1 / N_IN,
    "lecun_uniform": 1 / N_IN,
    "xavier": 2 / (N_IN + N_OUT),
    "xavier_uniform": 2 / (N_IN + N_OUT),
    "kaiming": 2 / N_IN,
    "kaiming_uniform": 2 / N_IN,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_weights_have_the_variance_of_the_formula_and_biases_are_zero(name):
    layer = init.initialize(nn.Linear(N_IN, N_OUT), name)
    assert layer.weight.var().item() == pytest.approx(VARIANCES[name], rel=0.02)
    assert not layer.bias.any()


def test_uniform_rules_stay_within_their_bound():
    weight = init.initialize(nn.Linear(N_IN, N_OUT), "xavier_uniform").weight
    bound = math.sqrt(6 / (N_IN + N_OUT))
    assert 0.99 * bound < weight.abs().max() <= bound


def test_a_convolution_counts_the_kernel_in_its_inputs():
    layer = init.initialize(nn.Conv2d(32, 64, kernel_size=5), "kaiming")
    assert layer.weight.var().item() == pytest.approx(2 / (32 * 25), rel=0.02)


@pytest.mark.parametrize(
    ("layer", "n_in", "n_out"),
    [
        (nn.ConvTranspose2d(32, 64, 5), 32 * 25, 64 * 25),
        (nn.ConvTranspose2d(32, 64, 5, stride=2, groups=4), 8 * 25, 16 * 25),
        (nn.ConvTranspose1d(128, 16, 9), 128 * 9, 16 * 9),
        (nn.Conv2d(64, 128, 3, groups=8), 8 * 9, 16 * 9),
        (nn.Conv1d(256, 512, 5, groups=256), 5, 10),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["kaiming", "kaiming_uniform", "lecun", "lecun_uniform", "xavier"])
def test_transposed_and_grouped_convolutions_have_the_variance_of_the_formula(
    layer, n_in, n_out, kind
):
    name = kind.removesuffix("_uniform")
    variance = {"kaiming": 2 / n_in, "lecun": 1 / n_in, "xavier": 2 / (n_in + n_out)}[name]
    weight = init.initialize(layer, kind).weight
    assert weight.var().item() == pytest.approx(variance, rel=0.06)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_orthogonal_rows_or_columns_are_orthonormal(shape):
    weight = init.initialize(nn.Linear(*shape[::-1]), "orthogonal:2").weight.detach()
    small = weight @ weight.T if shape[0] < shape[1] else weight.T @ weight
    torch.testing.assert_close(small, 4 * torch.eye(20), atol=1e-5, rtol=0)


def test_draws_depend_on_the_seed_alone_and_leave_the_global_generator_be():
    layer = nn.Linear(9, 7)
    before = torch.get_rng_state()
    first = init.initialize(layer, "xavier", seed=3).weight
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    again = init.initialize(nn.Linear(9, 7), "xavier", seed=3).weight
    other = init.initialize(nn.Linear(9, 7), "xavier", seed=4).weight
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_initializers_scale_the_same_draws():
    small = init.initialize(models.build("mlp"), "normal:0.01", seed=1)
    large = init.initialize(models.build("mlp"), "normal:1", seed=1)
    for a, b in zip(small.parameters(), large.parameters(), strict=True):
        torch.testing.assert_close(100 * a, b)


def test_normalization_layers_keep_their_scale_under_zeros():
    model = init.initialize(models.build("mlp", batch_norm=True), "zeros")
    scales = [m.weight for m in model.modules() if isinstance(m, nn.BatchNorm1d)]
    assert scales
    assert all((scale == 1).all() for scale in scales)
    assert all((p == 0).all() for p in model.parameters() if p.dim() == 2)


def test_default_leaves_the_model_as_it_is():
    model = nn.Linear(3, 2)
    before = model.weight.clone()
    assert torch.equal(init.initialize(model, "default").weight, before)


def test_recurrent_weights_are_drawn_and_their_biases_cleared():
    cell = init.initialize(nn.LSTM(200, 100), "lecun")
    assert cell.weight_ih_l0.var().item() == pytest.approx(1 / 200, rel=0.05)
    assert not cell.bias_hh_l0.any()


def test_every_initializer_has_a_formula_and_a_source():
    for name, entry in init.INITIALIZERS.items():
        assert entry.formula, name
        assert entry.source, name
    assert init.describe("normal:0.5") == (
        "w ~ N(0, 0.5^2)  (Krizhevsky, Sutskever & Hinton 2012 (0.01))"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("xavir", "unknown initializer 'xavir'; did you mean 'xavier'?"),
        ("xavier:2", "initializer 'xavier' takes no number, got 'xavier:2'"),
        ("normal:x", "initializer 'normal:x': the standard deviation must be a number of 0 or mo"),
        ("normal:-1", "must be a number of 0 or more, got '-1'"),
        ("normal:nan", "must be a number of 0 or more, got 'nan'"),
    ],
)
def test_a_wrong_name_says_what_is_right(name, message):
    with pytest.raises(UsageError) as caught:
        init.initialize(nn.Linear(2, 2), name)
    assert message in str(caught.value)
    assert isinstance(caught.value, UnknownNameError) == message.startswith("unknown")
