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


def test_rows_of_a_mosaic_have_names_at_their_middle():
    figure = plots.mosaic(torch.rand(6, 4, 4), 3, rows=["real", "fake"])
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["real", "fake"]
    assert list(ax.get_yticks()) == [2.0, 6.0]
