"""Every figure can be projected: no text is cut, log axes carry numbers, lines differ."""

import pytest
import torch
from matplotlib.figure import Figure

from dlcourse import plots
from dlcourse.errors import UsageError
from dlcourse.figure_style import STYLE, finish, new_figure, styled

from support import figures

EXAMPLES = figures.examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_is_cut_log_axes_carry_numbers_and_lines_differ(name):
    assert figures.problems(EXAMPLES[name]()) == {}


def test_what_is_wrong_is_found():
    figure = Figure(figsize=(2, 3))
    ax = figure.subplots()
    ax.plot([1, 2], [0.51, 0.52], "C0-", label="a")
    ax.plot([1, 2], [0.53, 0.54], "C0-", label="b")
    ax.set_yscale("log")
    ax.set_yticks([], [])
    ax.set_yticks([], [], minor=True)
    ax.set_title("a title that is much too long for so small a figure, and is cut")
    assert figures.problems(figure) == {
        "cut": [ax.get_title()],
        "no numbers": ["y axis, 0 numbers"],
        "alike": [("a", "b")],
    }


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_the_path_decides_the_form_and_files_are_reproducible(tmp_path, suffix, start):
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        plots.curves({"a": [1.0, 2.0, 3.0]}, path)
    first, second = (path.read_bytes() for path in paths)
    assert first.startswith(start)
    assert first == second


def test_the_style_ends_with_the_figure():
    import matplotlib

    before = matplotlib.rcParams["axes.prop_cycle"]
    styled(lambda: finish(new_figure(2, 2), None))()
    assert matplotlib.rcParams["axes.prop_cycle"] == before


def test_the_style_sheet_has_sixteen_different_lines():
    import matplotlib.style

    with matplotlib.style.context(STYLE):
        cycle = list(matplotlib.rcParams["axes.prop_cycle"])
    assert len({(entry["color"], entry["linestyle"]) for entry in cycle}) == len(cycle) == 16


def test_a_figure_is_described_by_its_axes_and_series_and_its_file_says_so(tmp_path):
    from PIL import Image

    path = tmp_path / "a.png"
    plots.curves({"SGD": [1.0, 2.0], "Adam": [1.0, 3.0]}, path, xlabel="epoch", ylabel="loss")
    said = "horizontal axis: epoch; vertical axis: loss; series: SGD, Adam"
    with Image.open(path) as image:
        assert image.info["Description"] == said
    plots.curves({"SGD": [1.0, 2.0]}, path.with_suffix(".svg"), ylabel="loss", title="A title")
    assert "A title; vertical axis: loss; series: SGD" in path.with_suffix(".svg").read_text(
        "utf-8"
    )


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing/a.png", "cannot write the figure '{}': No such file or directory"),
        ("a.txt", "the name of a figure must end in .png or .svg or .pdf, got '{}'"),
        ("a", "the name of a figure must end in .png or .svg or .pdf, got '{}'"),
    ],
)
def test_a_figure_that_cannot_be_written_is_one_line(tmp_path, path, message):
    with pytest.raises(UsageError) as caught:
        finish(new_figure(2, 2), tmp_path / path)
    assert str(caught.value) == message.format(tmp_path / path)
    assert not list(tmp_path.iterdir())


def test_an_animation_is_a_gif_in_a_folder_that_is_there(tmp_path):
    frames = torch.zeros(2, 4, 4)
    with pytest.raises(UsageError, match=r"must end in \.gif"):
        plots.animation(frames, tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"^cannot write the figure"):
        plots.animation(frames, tmp_path / "missing" / "a.gif")
