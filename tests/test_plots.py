"""Figures: a notebook displays them, a path stores them, and matplotlib waits for the first one."""

import subprocess
import sys

import torch

from dlcourse import plots

PNG = b"\x89PNG\r\n\x1a\n"


def test_importing_the_plots_imports_no_matplotlib():
    code = "import sys, dlcourse.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


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
