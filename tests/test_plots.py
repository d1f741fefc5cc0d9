"""Figures: a notebook displays them, a path stores them, and matplotlib waits for the first one."""

import re

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from PIL import Image

from dlcourse import plots
from dlcourse.errors import UsageError
from dlcourse.train.history import History

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_notebook_displays_a_figure_that_a_cell_returns():
    from IPython.core.formatters import DisplayFormatter

    figure = plots.curves({"loss": [3.0, 2.0, 1.0]})
    shown, _ = DisplayFormatter().format(figure)
    assert shown["image/png"].startswith(PNG)


def test_a_figure_is_written_to_its_path_only(tmp_path):
    figure = plots.image_grid(torch.rand(3, 4, 4), ["a", "b", "c"], path=tmp_path / "grid.png")
    assert (tmp_path / "grid.png").read_bytes().startswith(PNG)
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "c"]
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


def test_curves_of_one_number_are_bars_with_its_size():
    figure = plots.curves({"sgd": [3.0], "adam": [2.0]}, ylabel="loss", yscale="log")
    (ax,) = figure.axes
    assert [bar.get_width() for bar in ax.patches] == [3.0, 2.0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["sgd", "adam"]
    assert (ax.get_xlabel(), ax.get_xscale()) == ("loss", "log")


def test_a_mosaic_shows_colors_and_gray_as_they_are_with_gaps_between():
    images = torch.tensor([0.2, 0.8, 0.4, 2.0]).reshape(4, 1, 1, 1).repeat(1, 3, 2, 2)
    images[0, 0] = 1.0
    for given, channels in ((images, 3), (images[:, 1:2], 1), (images[:, 1], 1)):
        (ax,) = plots.mosaic(given, 2, gap=1).axes
        shown = torch.as_tensor(ax.images[0].get_array().data).reshape(6, 6, channels)
        assert torch.equal(shown[2], torch.ones(6, channels))
        assert torch.equal(shown[:, 5], torch.ones(6, channels))
        corners = shown[::3, ::3].reshape(4, channels)
        assert torch.equal(corners, given.reshape(4, channels, 4)[..., 0].clamp(max=1))
        assert ax.images[0].get_clim() == (0, 1)


def test_images_of_a_grid_keep_their_values_if_asked():
    images = torch.tensor([[[0.2, 0.4]], [[0.6, 3.0]]])
    figure = plots.image_grid(images, scale=False)
    arrays = [ax.images[0].get_array().data for ax in figure.axes]
    expected = torch.tensor([[[0.2, 0.4]], [[0.6, 1.0]]])
    assert torch.equal(torch.stack(list(map(torch.as_tensor, arrays))), expected)
    assert [ax.images[0].get_clim() for ax in figure.axes] == [(0, 1)] * 2
    figure = plots.image_grid(images)
    assert torch.as_tensor(figure.axes[0].images[0].get_array().data).tolist() == [[0.0, 1.0]]


def test_rows_of_a_mosaic_have_names_at_their_middle():
    figure = plots.mosaic(torch.rand(6, 4, 4), 3, rows=["real", "fake"])
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["real", "fake"]
    assert list(ax.get_yticks()) == [2.0, 6.0]


def labels_of(axis):
    figure = axis.figure
    FigureCanvasAgg(figure).draw()
    low, high = sorted(axis.get_view_interval())
    return [t.label1.get_text() for t in axis.get_major_ticks() if low <= t.get_loc() <= high]


@pytest.mark.parametrize("x", [None, [3, 4, 5]])
def test_epochs_are_whole_numbers(x):
    (ax,) = plots.curves({"loss": [3.0, 2.0, 1.0]}, x=x, xlabel="epoch").axes
    assert labels_of(ax.xaxis) == (["1", "2", "3"] if x is None else ["3", "4", "5"])
    (ax,) = plots.curves({"accuracy": [3.0, 2.0, 1.0]}, x=[0.0, 0.1, 0.2]).axes
    assert any(0 < float(label) < 1 for label in labels_of(ax.xaxis))


def test_shares_are_in_percent_as_in_the_tables():
    for values in ([0.5, 0.7, 0.9], [0.5]):
        (ax,) = plots.curves({"a": values}, percent=True).axes
        shown = labels_of(ax.yaxis if len(values) > 1 else ax.xaxis)
        assert all(label.endswith("%") for label in shown)
        assert "50%" in shown
    rows = [{"epoch": e, "train_loss": 1.0, "val_loss": 1.0, "val_accuracy": e / 4} for e in (1, 2)]
    loss, accuracy = plots.learning_curves(History(epochs=rows, best_epoch=2)).axes
    assert "50%" in labels_of(accuracy.yaxis)
    assert not any("%" in label for label in labels_of(loss.yaxis))


@pytest.mark.parametrize("draw", [plots.mosaic, plots.image_grid])
def test_names_of_rows_leave_most_of_the_width_to_the_images(draw):
    figure = draw(torch.rand(32, 8, 8), columns=16, rows=["real", "fake"])
    FigureCanvasAgg(figure).draw()
    images = [ax.images[0].get_window_extent() for ax in figure.axes if ax.images]
    width = max(box.x1 for box in images) - min(box.x0 for box in images)
    assert width > 0.8 * figure.bbox.width


def test_a_legend_with_long_names_is_outside_of_the_axes():
    inside = plots.curves({"a": [1.0, 2.0], "b": [2.0, 1.0]})
    outside = plots.curves({"a": [1.0, 2.0], "the second of two with a long name": [2.0, 1.0]})
    assert [len(figure.legends) for figure in (inside, outside)] == [0, 1]


def test_an_animation_holds_every_frame_enlarged(tmp_path):
    frames = torch.zeros(3, 1, 2, 4)
    for number in range(3):
        frames[number, 0, 1, number] = 1.0
    plots.animation(frames, tmp_path / "film.gif", scale=3)
    with Image.open(tmp_path / "film.gif") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (3, (12, 6), 0)
        for number in range(3):
            film.seek(number)
            found = torch.from_numpy(np.array(film.convert("L"))).float() / 255
            enlarged = frames[number, 0].repeat_interleave(3, 0).repeat_interleave(3, 1)
            assert torch.equal(found, enlarged)


@pytest.mark.parametrize("shape", [(1, 4, 4), (4, 4), (2, 3, 4, 4), (0, 1, 4, 4)])
def test_frames_that_are_no_film_are_refused(shape, tmp_path):
    with pytest.raises(UsageError, match=rf"^frames must .*got {re.escape(str(shape))}$"):
        plots.animation(torch.zeros(shape), tmp_path / "film.gif")
    assert not list(tmp_path.iterdir())


def test_images_have_their_texts_to_the_right(tmp_path):
    figure = plots.captioned(torch.rand(2, 3, 4, 4), ["a red\nsquare", "b"], tmp_path / "c.png")
    assert [len(ax.images) for ax in figure.axes] == [1, 0, 1, 0]
    assert [text.get_text() for ax in figure.axes for text in ax.texts] == ["a red\nsquare", "b"]
    assert (tmp_path / "c.png").is_file()


def test_equal_codes_are_one_point():
    """A code that does not depend on the image must not look as if it told classes apart."""
    codes = torch.stack([torch.full((6,), 0.5), torch.tensor([3.0, 1.0, 2.0, 1.0, 9.0, 3.0])], 1)
    figure = plots.code_scatter(codes, torch.tensor([0, 0, 0, 1, 1, 1]), "ab")
    points = np.concatenate([drawn.get_offsets() for drawn in figure.axes[0].collections])
    assert np.ptp(points[:, 0]) == 0
    assert points[:, 1].tolist() == pytest.approx([3 / 6, 0, 2 / 6, 0, 5 / 6, 3 / 6])


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.confusion_matrix(torch.tensor([0, 2]), torch.tensor([0, 1]), "ab"),
        lambda: plots.code_scatter(torch.rand(2, 2), torch.tensor([0, 2]), "ab"),
    ],
)
def test_a_class_without_a_name_is_refused(draw):
    """A matrix would count it as another class, and a scatter would leave it out."""
    with pytest.raises(UsageError, match="names the classes 0 to 1, but there are 0 to 2"):
        draw()


def test_every_run_has_its_own_line_in_every_score_that_it_has():
    runs = {
        f"run {number}": History(
            epochs=[
                {"epoch": epoch, "train_loss": number, "val_loss": number, f"val_{score}": number}
                for epoch in (1, 2)
            ]
        )
        for number, score in enumerate(["accuracy"] * 9 + ["perplexity"])
    }
    loss, accuracy, perplexity = plots.learning_curves(runs).axes
    assert [ax.get_title() for ax in (loss, accuracy, perplexity)] == [
        "loss", "accuracy", "perplexity"
    ]  # fmt: skip
    assert [line.get_label() for line in perplexity.lines] == ["run 9 val"]
    looks = {
        (to_hex(line.get_color()), line.get_linestyle(), line.get_marker()) for line in loss.lines
    }
    assert len(looks) == len(loss.lines) == 2 * len(runs)
