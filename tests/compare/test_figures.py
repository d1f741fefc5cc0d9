"""What the figures show: signals by layer, walks on two surfaces; and that each can be drawn."""

import math

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from dlcourse import init, models
from dlcourse.compare import figures
from dlcourse.compare.lectures.activations import gradient_by_depth, layer_histograms, probe
from dlcourse.compare.lectures.surfaces import RAVINE, SADDLE, best_walk, trajectories, walk


def layers(rule, activation):
    torch.manual_seed(0)
    model = models.build("mlp", hidden_sizes=(500,) * 10, activation=activation)
    init.initialize(model, rule)
    return probe(model, torch.randn(128, 1, 28, 28), torch.arange(128) % 10)


def test_ten_tanh_layers_die_at_a_hundredth_saturate_at_one_and_live_with_xavier():
    dead, full, alive = (layers(rule, "tanh") for rule in ("normal:0.01", "normal:1", "xavier"))
    assert len(dead) == len(alive) == 10
    assert dead[-1].std < 1e-4
    assert full[-1].saturated > 0.9
    assert alive[-1].std > 0.1
    assert alive[-1].saturated < 0.05


def test_under_relu_xavier_fades_and_kaiming_holds():
    xavier, kaiming = layers("xavier", "relu"), layers("kaiming", "relu")
    assert kaiming[-1].std / kaiming[0].std > 0.3
    assert xavier[-1].std / xavier[0].std < 0.1


def test_a_probe_is_what_autograd_says_and_leaves_the_model_as_it_was():
    torch.manual_seed(0)
    model = models.build("mlp", in_features=6, hidden_sizes=(5,), num_classes=3, batch_norm=True)
    inputs, targets = torch.randn(4, 6), torch.tensor([0, 1, 2, 0])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    (layer,) = probe(model, inputs, targets)
    hidden = model.layers[:4](inputs).detach().requires_grad_()
    torch.nn.functional.cross_entropy(model.layers[4](hidden), targets).backward()
    assert layer.std == pytest.approx(hidden.std().item())
    assert layer.gradient_norm == pytest.approx(hidden.grad.norm().item())
    assert layer.dead == (hidden == 0).all(0).float().mean().item()
    model.load_state_dict(before)
    probe(model, inputs, targets)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_plain_descent_on_the_ravine_goes_as_its_eigenvalues_say():
    found = walk(RAVINE, "sgd", 0.15, steps=5)
    for step, (x, y) in enumerate(found.points):
        assert x == pytest.approx(-4 * (1 - 0.15 * 0.1) ** step)
        assert y == pytest.approx((1 - 0.15 * 10) ** step)
    # Just above 2 / 10, given by the largest eigenvalue, it leaves the axes: 1.01^41 > 1.5.
    assert len(walk(RAVINE, "sgd", 0.201, steps=300).points) == 41
    assert abs(walk(RAVINE, "sgd", 0.199, steps=300).points[-1][1]) < 0.2


def test_momentum_beats_plain_descent_on_the_ravine_and_leaves_the_saddle_sooner():
    assert best_walk(RAVINE, "momentum").arrived < best_walk(RAVINE, "sgd").arrived < math.inf
    plain, momentum, adam = (
        walk(SADDLE, name, 0.05).arrived for name in ("sgd", "momentum", "adam")
    )
    # The way down grows by (1 + lr) a step, from 0.001 to 1.
    assert plain == math.ceil(math.log(1000) / math.log(1.05))
    assert adam < momentum < plain


def test_every_figure_is_drawn(tmp_path):
    path = tmp_path / "figure.png"
    curve = [{"epoch": 1, "train_loss": 2.0}, {"epoch": 2, "train_loss": math.nan}]
    case = {"one": layers("xavier", "tanh")[:3], "other": layers("kaiming", "relu")[:2]}
    walks = [walk(RAVINE, name, 0.05, steps=20) for name in ("sgd", "momentum")]
    for figure in (
        figures.learning_bands({"a": [(curve, True), (curve[:1], False)]}, "train_loss"),
        figures.heat_map([[1.0, math.nan]], [["1", ""]], ["r"], ["a", "b"], "t"),
        layer_histograms(case, "gradients"),
        gradient_by_depth(case),
        trajectories(RAVINE, walks),
        figures.error_by({"a": {1: [0.5, 0.6], 4: [0.2]}}, "width", "error"),
        figures.search_race({"random": [(3, 0.4), (9, 0.6)]}, "accuracy"),
    ):
        figure.savefig(path)
        assert path.read_bytes()[:4] == b"\x89PNG"
        path.unlink()


def test_a_run_is_drawn_to_where_it_diverged_and_marked():
    runs = [([{"train_loss": 2.0}, {"train_loss": 9.0}, {"train_loss": math.inf}], True)]
    steady = [([{"train_loss": 2.0 - epoch / 9} for epoch in range(9)], False)]
    ax = figures.learning_bands({"large": runs, "small": steady}, "train_loss").axes[0]
    marks = [line for line in ax.get_lines() if line.get_marker() == "x"]
    assert [line.get_xydata().tolist() for line in marks] == [[[2.0, 9.0]], []]
    assert marks[1].get_label() == "diverged after this epoch"
    assert len(ax.get_lines()[0].get_xdata()) == 2


def test_curves_are_in_percent_and_few_epochs_are_points():
    run = [{"val_accuracy": 0.5}, {"val_accuracy": 0.75}]
    ax = figures.learning_bands({"a": [(run, False)], "b": [(run, False)]}, "val_accuracy").axes[0]
    assert ax.get_ylabel() == "validation accuracy in percent"
    points = [bars.lines[0] for bars in ax.containers]
    assert [line.get_linestyle() for line in points] == ["None", "None"]
    assert [line.get_ydata().tolist() for line in points] == [[50.0, 75.0]] * 2
    assert points[0].get_xdata()[0] < 1 < points[1].get_xdata()[0]


def test_one_dead_row_does_not_flatten_the_colors_of_the_others():
    values = [[10.0, 10.1, 9.9], [96.0, 97.0, 98.0], [95.0, 97.5, 96.5]]
    figure = figures.heat_map(values, [[""] * 3] * 3, list("abc"), list("def"), "t")
    (image,) = figure.axes[0].images
    assert image.get_clim() == (95.0, 98.0)
    assert figures.color_range([5.0]) == (5.0, 5.0)
    assert figures.color_range([0.0, 100.0]) == (0.0, 100.0)


def test_the_best_epoch_of_a_pair_of_curves_is_marked():
    runs = [
        [{"train_loss": 1 / epoch, "val_loss": (epoch - at) ** 2} for epoch in range(1, 7)]
        for at in (3, 4, 5)
    ]
    ax = figures.learning_pair(runs, "loss").axes[0]
    (dot,) = [line for line in ax.get_lines() if line.get_marker() == "o"]
    # The mean of (1, 0, 1) squared distances is lowest in the middle.
    assert dot.get_xydata().tolist() == [[4.0, pytest.approx(2 / 3)]]
    assert dot.get_label() == "best epoch: 4"


def test_a_pair_of_curves_and_a_race_show_shares_in_percent_and_losses_as_they_are():
    run = [
        {"train_accuracy": 0.6, "val_accuracy": 0.5, "train_loss": 0.6, "val_loss": 0.5},
        {"train_accuracy": 0.9, "val_accuracy": 0.7, "train_loss": 0.9, "val_loss": 0.7},
    ]
    race = {"hyperband": [(1, 0.5), (9, 0.7)]}
    shares = [
        figures.learning_pair([run], "accuracy"),
        figures.search_race(race, "best validation accuracy so far"),
    ]
    numbers = [
        figures.learning_pair([run], "loss"),
        figures.search_race(race, "best validation loss so far"),
    ]
    for drawn, ending in ((shares, True), (numbers, False)):
        for figure in drawn:
            FigureCanvasAgg(figure).draw()
            labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
            assert labels
            assert all(label.endswith("%") == ending for label in labels)
