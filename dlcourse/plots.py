"""The figures. Each function draws one, writes it to `path`, and returns it.

The file is SVG or PDF if `path` ends so, else PNG; without a `path` none is written. A notebook
displays the figure that a cell returns. Figures are made without pyplot, so no window opens and
none stays in memory.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dlcourse.errors import UsageError
from dlcourse.figure_style import (
    MARKERS,
    add_legend,
    finish,
    in_percent,
    is_share,
    legend_rows,
    new_figure,
    only_integers,
    styled,
    writing,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dlcourse.models.summary import Stage
    from dlcourse.train import History
    from dlcourse.train.lr_range import LRRange

__all__ = [
    "animation",
    "architecture",
    "attention_map",
    "captioned",
    "code_scatter",
    "confusion_matrix",
    "curves",
    "decision_regions",
    "histograms",
    "image_grid",
    "learning_curves",
    "line_descent",
    "lr_range",
    "mosaic",
    "trajectories",
]

Path = str | PathLike[str] | None


def animation(frames: Tensor, path: str | PathLike[str], scale: int = 4) -> None:
    """Write an animated GIF, 5 frames per second, that starts again after its end.

    scale: the side of a pixel in the GIF. Shape: frames (T, H, W) or (T, 1, H, W) in [0, 1], T at
    least 2. Raises UsageError for other frames, or if it cannot write.
    """
    from PIL import Image

    shape = tuple(frames.shape)
    if len(frames) < 2 or len(shape) not in (3, 4) or (len(shape) == 4 and shape[1] != 1):
        raise UsageError(
            "frames must have the shape (T, H, W) or (T, 1, H, W) with at least 2 frames, got "
            f"{shape}"
        )
    pixels = frames.reshape(shape[0], *shape[-2:]).detach().cpu().clamp(0, 1).mul(255).round()
    pixels = pixels.to(torch.uint8).repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    first, *others = [Image.fromarray(picture) for picture in pixels.numpy()]
    with writing(path, ".gif"):
        first.save(path, save_all=True, append_images=others, duration=200, loop=0)


@styled
def architecture(stages: Sequence[Stage], path: Path = None, title: str = "") -> Figure:
    """Draw a network from left to right: feature maps as slabs, vectors as bars.

    stages: from `dlcourse.models.summary.stages`. The height of a slab grows with the logarithm
        of the side of its maps, its width with the logarithm of their number; the height of a bar
        grows with the logarithm of the vector's length.
    """
    from matplotlib.patches import Rectangle

    figure = new_figure(max(5.0, 0.95 * len(stages) + 0.5), 3.4)
    ax, left, middle = figure.subplots(), 0.0, 4.6
    for stage in stages:
        sizes = stage.shape or (1,)  # a model that returns one number for each sample
        maps = len(sizes) == 3
        height = math.log2(sizes[-1] + 1) * (1.0 if maps else 0.55)
        width = 0.12 + 0.07 * math.log2(sizes[0]) if maps else 0.16
        kinds = [(kind, len(list(group))) for kind, group in itertools.groupby(stage.kinds)]
        color = "C7" if kinds[0][0] == "input" else "C0" if maps else "C1"
        center = left + 0.5
        ax.add_patch(
            Rectangle((center - width / 2, middle - height / 2), width, height, fc=color, ec="k")
        )
        shape = "x".join(map(str, sizes))
        ax.text(center, middle + height / 2 + 0.25, shape, ha="center", fontsize=7)
        names = "\n".join(f"{count} {kind}" if count > 1 else kind for kind, count in kinds)
        ax.text(center, middle - height / 2 - 0.25, names, ha="center", va="top", fontsize=7)
        left += 1.0
    ax.set(xlim=(-0.1, left + 0.1), ylim=(-0.8, 9.2), title=title)
    ax.axis("off")
    return finish(figure, path)


@styled
def attention_map(
    weights: Tensor, rows: Sequence[str], columns: Sequence[str], path: Path = None, title: str = ""
) -> Figure:
    """Draw how much each written word (row) attends to each word that is read (column).

    Shape: weights (R, C) from 0 (white) to 1 (dark), for R words in `rows` and C in `columns`.
    """
    figure = new_figure(0.42 * len(columns) + 1.6, 0.34 * len(rows) + 1.3)
    ax = figure.subplots()
    ax.imshow(weights.detach().cpu().numpy(), cmap="Blues", vmin=0, vmax=1)
    slanted: dict[str, Any] = {"rotation": 60, "ha": "left", "rotation_mode": "anchor"}
    long = max(map(len, columns), default=0) > 1
    ax.set_xticks(range(len(columns)), columns, **(slanted if long else {}))
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.set_title(title)
    return finish(figure, path)


@styled
def captioned(images: Tensor, texts: Sequence[str], path: Path = None) -> Figure:
    """Draw images below each other, each with a text of a few lines to the right of it.

    Shape: images (N, H, W) or (N, C, H, W) with C 1 or 3; 0 is black and 1 is white.
    """
    figure = new_figure(7.2, 0.95 * len(texts))
    grid = figure.subplots(len(texts), 2, squeeze=False, width_ratios=(1, 7))
    for (left, right), image, text in zip(grid, images, texts, strict=True):
        picture = image.detach().float().cpu().clamp(0, 1)
        picture = picture if picture.dim() == 2 else picture.permute(1, 2, 0).squeeze(2)
        left.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        right.text(0, 0.5, text, va="center", fontsize=9)
        left.axis("off")
        right.axis("off")
    return finish(figure, path)


@styled
def learning_curves(histories: History | Mapping[str, History], path: Path = None) -> Figure:
    """Draw the loss and each validation metric over the epochs.

    histories: one run, or several by name, which share the plots. Training is a dashed line,
        validation a solid line, and the best epoch a dot. Accuracies are in percent.
    """
    if not isinstance(histories, Mapping):
        histories = {"": histories}
    columns = dict.fromkeys(name for history in histories.values() for name in history.epochs[0])
    metrics = [name for name in columns if name.startswith("val_") and name != "val_loss"]
    figure = new_figure(5.5 * (1 + len(metrics)), 4.2)
    axes = figure.subplots(1, 1 + len(metrics), squeeze=False)[0]
    for index, (name, history) in enumerate(histories.items()):
        epochs = history["epoch"]
        # A line through one epoch is invisible, and the ninth line has the color of the first.
        marker = "x" if len(epochs) == 1 else (None, *MARKERS)[index // len(MARKERS)]
        style: dict[str, Any] = {"color": f"C{index}", "marker": marker}
        label = f"{name} train".strip()
        axes[0].plot(epochs, history["train_loss"], "--", label=label, **style)
        for ax, column in zip(axes, ["val_loss", *metrics], strict=True):
            if column not in history.epochs[0]:
                continue
            ax.plot(epochs, history[column], "-", label=f"{name} val".strip(), **style)
            if history.best_epoch:
                ax.plot(history.best_epoch, history.best[column], "o", color=style["color"])
    for ax, title in zip(axes, ["loss", *(m.removeprefix("val_") for m in metrics)], strict=True):
        ax.set(title=title, xlabel="epoch")
        only_integers(ax)
        if is_share(title):
            in_percent(ax.yaxis)
        ax.grid(True)
        add_legend(ax)
    return finish(figure, path)


@styled
def image_grid(
    images: Tensor | Sequence[Tensor],
    titles: Sequence[str] = (),
    columns: int = 8,
    path: Path = None,
    cmap: str = "gray",
    title: str = "",
    rows: Sequence[str] = (),
    scale: bool = True,
) -> Figure:
    """Draw images in rows of `columns`, each with its title.

    rows: the names of the rows, written next to them.
    images: (N, H, W) or (N, C, H, W) with C 1 or 3.
    scale: whether each image is scaled from its own smallest to its own largest value, so that
        filters and feature maps are visible too. If not, 0 is black and 1 is white.
    """
    count = -(-len(images) // columns)
    columns = min(columns, len(images))
    # Images only as wide as their titles need, so that these are not small in a wide figure.
    side = max(1.1, letters(titles, 11))
    width = max(side * columns + letters(rows, 12), letters([title], 16))
    figure = new_figure(width, (side + 0.05 + 0.25 * bool(titles)) * count + 0.5 * bool(title))
    grid = figure.subplots(count, columns, squeeze=False)
    axes = grid.ravel()
    for ax in axes:
        ax.axis("off")
    for ax, name in zip(grid[:, 0], rows, strict=False):
        ax.text(-0.1, 0.5, name, ha="right", va="center", transform=ax.transAxes)
    for index, (ax, image) in enumerate(zip(axes, images, strict=False)):
        image = image.detach().float().cpu()
        if scale:
            image = (image - image.min()) / (image.max() - image.min()).clamp(min=1e-8)
        picture = image if image.dim() == 2 else image.permute(1, 2, 0).squeeze(2)
        ax.imshow(picture.clamp(0, 1).numpy(), cmap=cmap, vmin=0, vmax=1, interpolation="nearest")
        if index < len(titles):
            ax.set_title(titles[index], fontsize=11)
    if title:
        figure.suptitle(title)
    return finish(figure, path)


def letters(names: Sequence[str], points: float) -> float:
    """The inches that the longest of `names` takes in letters of this size; 0 for no names."""
    longest = max(map(len, names), default=0)
    return (0.0085 * longest * points + 0.2) if longest else 0.0


@styled
def lr_range(result: LRRange, path: Path = None) -> Figure:
    """Draw the loss over the learning rate, with the suggested learning rate as a line.

    result: from `dlcourse.train.lr_range_test`.
    """
    figure = curves(
        {"smoothed loss": result.losses}, x=result.lrs, xscale="log", xlabel="learning rate",
        ylabel="training loss", title=f"suggested learning rate: {result.suggestion:.2g}",
    )  # fmt: skip
    figure.axes[0].axvline(result.suggestion, color="C1")
    return finish(figure, path)


@styled
def mosaic(
    images: Tensor,
    columns: int,
    path: Path = None,
    title: str = "",
    rows: Sequence[str] = (),
    gap: int = 0,
) -> Figure:
    """Draw images in rows of `columns`; 0 is black, 1 is white or the full color.

    rows: the names of the rows. gap: white pixels between the images.
    Shape: images (N, H, W) or (N, C, H, W) with C 1 or 3, N a multiple of `columns`.
    """
    tiles = images.detach().float().cpu()
    tiles = tiles[:, None] if tiles.dim() == 3 else tiles
    tiles = torch.nn.functional.pad(tiles.clamp(0, 1), (0, gap, 0, gap), value=1.0)
    C, H, W = tiles.shape[1:]
    tiles = tiles.reshape(-1, columns, C, H, W)
    height = 0.45 * len(tiles) * H / W + 0.4 * bool(title)
    width = max(0.45 * columns + letters(rows, 11), letters([title], 13))
    figure = new_figure(width, height)
    ax = figure.subplots()
    picture = tiles.permute(0, 3, 1, 4, 2).reshape(len(tiles) * H, columns * W, C).squeeze(2)
    ax.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([H * (row + 0.5) for row in range(len(rows))], rows, fontsize=11)
    ax.tick_params(length=0)
    ax.set_frame_on(False)
    ax.set_anchor("W")  # in the middle, the names of the rows would reach over the edge
    ax.set_title(title)
    return finish(figure, path)


@styled
def trajectories(ways: Mapping[str, Tensor], path: Path = None, title: str = "") -> Figure:
    """Draw how a point moves in the plane.

    ways: the positions of the point, by name, each (steps + 1, 2). A dot marks the start, a cross
        the origin.
    """
    low, high = torch.cat([*ways.values()]).aminmax(dim=0)
    width, height = (high - low).clamp(min=1e-9).tolist()
    figure = new_figure(6, min(max(5.5 * height / width, 2.5), 6) + 0.8)
    ax = figure.subplots()
    for name, way in ways.items():
        (line,) = ax.plot(*way.T.tolist(), label=name)
        ax.plot(*way[0].tolist(), "o", color=line.get_color())
    ax.plot(0, 0, "k+", ms=10)
    ax.set(xlabel="x", ylabel="y", title=title, aspect="equal", anchor="S")
    ax.grid(True)
    add_legend(ax, most=0)  # walks around the origin leave no free corner
    return finish(figure, path)


@styled
def code_scatter(
    codes: Tensor, labels: Tensor, class_names: Sequence[str], path: Path = None
) -> Figure:
    """Draw codes of two numbers as points in the plane, colored by class.

    Each number is drawn by its rank among all codes, from 0 to 1, which spreads crowded regions;
    equal numbers have the same rank. The name of a class stands at the median of its points.
    Shape: codes (N, 2), labels int64 (N,).
    """
    import matplotlib

    # The style's eight colors are not enough for ten classes; their names stand in the plot.
    colors = matplotlib.color_sequences["tab10"]
    labels = labels.cpu()
    check_classes(labels, class_names)
    columns = codes.detach().cpu().T.contiguous()
    ranks = torch.searchsorted(columns.sort(1).values, columns).T / len(codes)
    figure = new_figure(6.4, 5.6)
    ax = figure.subplots()
    for label, name in enumerate(class_names):
        points = ranks[labels == label]
        x, y = points.T.numpy()
        color = colors[label % 10]
        ax.scatter(x, y, s=6, color=color, alpha=0.6, linewidths=0)
        if len(points):
            halo = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": color, "alpha": 0.85}
            x, y = points.median(0).values.tolist()
            ax.text(x, y, name, ha="center", va="center", bbox=halo)
    ax.set(xlabel="first number, by rank", ylabel="second number, by rank")
    ax.set_title("Test images by their 2-number codes")
    return finish(figure, path)


def check_classes(labels: Tensor, class_names: Sequence[str]) -> None:
    last = len(class_names) - 1
    if len(labels) and not 0 <= labels.min() <= labels.max() <= last:
        found = f"{int(labels.min())} to {int(labels.max())}"
        raise UsageError(f"class_names names the classes 0 to {last}, but there are {found}")


@styled
def confusion_matrix(
    predictions: Tensor, targets: Tensor, class_names: Sequence[str], path: Path = None
) -> Figure:
    """Draw how often images of each class (row) were predicted as each other class (column).

    Right predictions are left blank.

    Shape: predictions int64 (N,), targets int64 (N,).
    """
    num_classes = len(class_names)
    check_classes(torch.cat([predictions, targets]), class_names)
    counts = (targets * num_classes + predictions).bincount(minlength=num_classes**2)
    counts = counts.reshape(num_classes, num_classes)
    mistakes = counts - counts.diag().diag()
    figure = new_figure(0.55 * num_classes + 2, 0.55 * num_classes + 1.6)
    ax = figure.subplots()
    ax.imshow(mistakes.numpy(), cmap="Reds")
    for row in range(num_classes):
        for column in range(num_classes):
            if count := mistakes[row, column].item():
                dark = count > 0.6 * mistakes.max().item()
                ax.text(column, row, str(count), ha="center", va="center", color="wk"[not dark])
    title = f"{int(mistakes.sum())} mistakes on {len(targets):,} images"
    ax.set(xlabel="predicted", ylabel="true", title=title)
    rotation = 0 if max(map(len, class_names)) < 3 else 45
    ax.set_xticks(range(num_classes), class_names, rotation=rotation)
    ax.set_yticks(range(num_classes), class_names)
    return finish(figure, path)


@styled
def curves(
    series: Mapping[str, Sequence[float]],
    path: Path = None,
    *,
    x: Sequence[float] | None = None,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    percent: bool = False,
    **axes: Any,
) -> Figure:
    """Draw series of numbers as lines, by name; as bars, if each is only one number.

    x: the same for all series; None counts from 1, such as epochs.
    percent: whether the numbers are shares, from 0 to 1, to label in percent.
    axes: further arguments for matplotlib's Axes.set, such as yscale="log" or ylim=(0, 1).
    """
    figure = new_figure(6, 4)
    ax = figure.subplots()
    if all(len(values) == 1 for values in series.values()):
        figure.set_figheight(4 + 0.3 * legend_rows([*series]))
        ax.barh(list(series), [values[0] for values in series.values()])
        ax.invert_yaxis()
        ax.set(title=title, xlabel=ylabel, xscale=axes.get("yscale", "linear"))
        if percent:
            in_percent(ax.xaxis)
        return finish(figure, path)
    for index, (name, values) in enumerate(series.items()):
        places = range(1, len(values) + 1) if x is None else x
        marker = MARKERS[index % len(MARKERS)] if len(values) < 20 else ""
        ax.plot(places, values, label=name, marker=marker)
    if x is None or all(isinstance(place, int) for place in x):
        only_integers(ax)
    if percent:
        in_percent(ax.yaxis)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel, **axes)
    ax.grid(True)
    add_legend(ax)
    return finish(figure, path)


@styled
def decision_regions(
    panels: Mapping[str, tuple[Callable[[Tensor], Tensor], Tensor]],
    inputs: Tensor,
    path: Path = None,
) -> Figure:
    """Draw one panel for each classifier: the region where it says 1 (shaded), and the examples.

    panels: (classify, targets) by title. classify maps (N, 2) to (N,) of 0 and 1; targets (N,).
    Shape: inputs (N, 2). A hollow dot has target 0, a full dot target 1.
    """
    low, high = inputs.min().item() - 0.6, inputs.max().item() + 0.6
    side = torch.linspace(low, high, 241)
    plane = torch.cartesian_prod(side, side)
    figure = new_figure(2.6 * len(panels), 3)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (title, (classify, targets)) in zip(axes, panels.items(), strict=True):
        says = classify(plane).reshape(len(side), -1).T  # rows are the second coordinate
        ax.contourf(side.numpy(), side.numpy(), says.numpy(), levels=[0.5, 1.5], colors=["#bcd4ee"])
        fill = ["k" if target else "w" for target in targets]
        x, y = inputs.T.numpy()
        ax.scatter(x, y, c=fill, edgecolors="k", s=60, zorder=2)
        ax.set(title=title, xlabel="x1", xticks=[0, 1], yticks=[0, 1], aspect="equal")
    axes[0].set_ylabel("x2")
    return finish(figure, path)


@styled
def histograms(
    rows: Mapping[str, Sequence[Tensor]], titles: Sequence[str], path: Path = None
) -> Figure:
    """Draw the distribution of numbers: one row of panels for each name, one panel per tensor.

    All panels of a row share the range of the row. The tallest bar of a panel has height 1.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(1.6 * len(titles) + 1.8, 1.15 * len(rows) + 0.4)
    axes = figure.subplots(len(rows), len(titles), squeeze=False, sharex="row")
    for row, (name, tensors) in zip(axes, rows.items(), strict=True):
        tensors = [tensor.detach().float().cpu().flatten() for tensor in tensors]
        low = min(tensor.min().item() for tensor in tensors)
        high = max(tensor.max().item() for tensor in tensors)
        for ax, tensor in zip(row, tensors, strict=True):
            heights = torch.histc(tensor, bins=41, min=low, max=high)
            width = (high - low) / 41
            places = low + width * (torch.arange(41) + 0.5)
            ax.bar(places.numpy(), (heights / heights.max()).numpy(), width=width)
            ax.set_yticks([])
            ax.tick_params(labelsize=9)
            ax.xaxis.set_major_locator(MaxNLocator(2))
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
    return finish(figure, path)


@styled
def line_descent(
    x: Tensor, y: Tensor, lines: Sequence[tuple[float, float]], path: Path = None
) -> Figure:
    """Draw points with the lines a x + b of a gradient descent, and the mean squared error of each.

    lines: (a, b) for each step; later lines are darker.
    Shape: x (N,), y (N,).
    """
    figure = new_figure(9, 3.8)
    left, right = figure.subplots(1, 2)
    ends = torch.tensor([0.0, 1.0], dtype=x.dtype)
    for index, (a, b) in enumerate(lines):
        left.plot(ends, a * ends + b, "-", color="C0", lw=1, alpha=0.15 + 0.85 * index / len(lines))
    left.plot(x, y, "ko", ms=4, zorder=3)
    left.set(title="the line on its way", xlabel="x", ylabel="y")
    losses = [(a * x + b - y).square().mean().item() for a, b in lines]
    right.semilogy(range(1, len(lines) + 1), losses, "o-", ms=3)
    right.set(title="mean squared error", xlabel="slide")
    only_integers(right)
    right.grid(True)
    return finish(figure, path)
