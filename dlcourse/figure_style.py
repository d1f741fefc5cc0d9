"""What all figures share: their style, log axes with numbers, and how they are written.

The style is `figures.mplstyle` next to this file. matplotlib is imported with the first figure: it
takes 0.4 s, which `dlcourse check` does not need.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

from dlcourse.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = [
    "MARKERS",
    "add_legend",
    "describe",
    "finish",
    "in_percent",
    "is_share",
    "legend_rows",
    "new_figure",
    "number_log_axes",
    "only_integers",
    "styled",
    "writing",
]

STYLE = Path(__file__).with_name("figures.mplstyle")
# One for each color of the style, for series of a few points.
MARKERS = "os^Dvp*X"

P = ParamSpec("P")
R = TypeVar("R")


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that draws a figure, so that it draws in the style of the course."""

    @functools.wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        import matplotlib.style

        with matplotlib.style.context(STYLE):
            return draw(*args, **kwargs)

    return wrapped


@functools.cache
def figure_class() -> type[Figure]:
    """matplotlib's Figure, which a notebook displays although pyplot does not know it."""
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        def _repr_png_(self) -> bytes:
            png = io.BytesIO()
            self.savefig(png, format="png", dpi=100)
            return png.getvalue()

    return NotebookFigure


def new_figure(
    width: float, height: float, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """An empty figure; `width` and `height` in inches."""
    return figure_class()(figsize=(width, height), layout=layout)


def finish(figure: Figure, path: str | PathLike[str] | None) -> Figure:
    """Write `figure` to `path` if there is one, and return it.

    The form follows the end of the path: .svg, .pdf, or .png with 200 points per inch. SVG and PNG
    hold a description of the figure. Raises UsageError for another end, or if it cannot write.
    """
    number_log_axes(figure)
    if path is not None:
        # No file holds a date, so that the same figure is the same file.
        metadata = {
            ".svg": {"Date": None, "Description": describe(figure)},
            ".pdf": {"CreationDate": None},
        }.get(Path(path).suffix.lower(), {"Description": describe(figure)})
        with writing(path, ".png", ".svg", ".pdf"):
            figure.savefig(path, dpi=200, metadata=metadata)
    return figure


@contextlib.contextmanager
def writing(path: str | PathLike[str], *ends: str) -> Iterator[None]:
    """Around the writing of a figure: say in one line that its name or its folder is wrong."""
    if Path(path).suffix.lower() not in ends:
        raise UsageError(f"the name of a figure must end in {' or '.join(ends)}, got {str(path)!r}")
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write the figure {str(path)!r}: {error.strerror}") from None


def describe(figure: Figure) -> str:
    """What a figure shows, in words, for readers who do not see it: panels, axes and series."""
    title = getattr(figure, "_suptitle", None)  # get_suptitle is newer than matplotlib 3.8
    said = [title.get_text()] if title is not None else []
    pictures, rows = 0, []
    for ax in figure.axes:
        if ax.get_label() == "<colorbar>":
            continue
        parts = [ax.get_title()] if ax.get_title() else []
        if ax.axison:
            axes = (("horizontal", ax.get_xlabel()), ("vertical", ax.get_ylabel()))
            parts += [f"{way} axis: {label}" for way, label in axes if label]
            labels = [text.get_text() for text in ax.get_yticklabels()] if ax.images else []
            rows += [
                label for label in labels if label.strip(" .-\u2212").isalpha() or " " in label
            ]
        elif ax.images:
            pictures += 1
            rows += [text.get_text() for text in ax.texts]
        _, names = ax.get_legend_handles_labels()
        parts += [f"series: {', '.join(names)}"] * bool(names)
        said.append("; ".join(parts))
    said += [f"{pictures} images"] * bool(pictures)
    said += [f"rows: {', '.join(rows)}"] * bool(rows)
    return ". ".join(dict.fromkeys(filter(None, said)))


def legend_rows(labels: Sequence[str], most: int = 4) -> int:
    """The rows of a legend below the axes; 0 if it is inside, as for few and short entries."""
    longest = max(map(len, labels), default=0)
    if len(labels) <= most and longest <= 30:
        return 0
    return len(labels) if longest > 24 else -(-len(labels) // 2)


def add_legend(ax: Axes, most: int = 4, title: str | None = None) -> None:
    """Add a legend, below the axes if it has more than `most` or long entries, so that it hides no
    line. Below, it has two columns, or one if the entries are long, and the figure grows by it."""
    handles, labels = ax.get_legend_handles_labels()
    if rows := legend_rows(labels, most):
        ncols = 1 if rows == len(labels) else 2
        figure: Figure = ax.figure  # type: ignore[assignment]  # no figure here has subfigures
        figure.set_figheight(figure.get_figheight() + 0.27 * (rows + bool(title)))
        figure.legend(handles, labels, loc="outside lower center", ncols=ncols, title=title)
    else:
        ax.legend(title=title)


def is_share(column: str) -> bool:
    """Whether the numbers of a History's column are shares, which figures and tables show in
    percent, such as `val_accuracy`."""
    return column.endswith(("accuracy", "top5"))


def in_percent(axis: Axis) -> None:
    """Label an axis of shares, from 0 to 1, in percent, as tables do."""
    from matplotlib.ticker import FuncFormatter

    # matplotlib's own formatter writes 50.0% where 50% is enough.
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g}%"))


def only_integers(ax: Axes) -> None:
    """Label only whole numbers on the x axis, such as epochs."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def number_log_axes(figure: Figure) -> None:
    """Put at least three numbers on each logarithmic axis of `figure`, however short its range."""
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if axis.get_scale() in ("log", "symlog"):
                number(axis)


def number(axis: Axis) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    low, high = sorted(axis.get_view_interval())
    if low <= 0:  # symlog, or an empty axis
        low = min((tick for tick in axis.get_majorticklocs() if tick > 0), default=high / 100)
    if not 0 < low < high < math.inf:
        return
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 3:
            break
    else:
        inside = [tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    if len(inside) > 9:
        return  # many decades: matplotlib's own powers of ten
    axis.set_major_locator(FixedLocator(inside))
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    axis.set_minor_locator(NullLocator())


def plain(value: float) -> str:
    """A tick's number: 0.002, 30, 1e-07."""
    return f"{value:g}"
