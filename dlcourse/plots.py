"""Every figure. Each function draws one, writes it as PNG where `path` is given, and returns it.

Figures are made without pyplot, so no window opens and none is left over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

if TYPE_CHECKING:
    from dlcourse.train import History

__all__ = ["confusion_matrix", "image_grid", "learning_curves"]

Path = str | PathLike[str] | None


def learning_curves(histories: History | Mapping[str, History], path: Path = None) -> Figure:
    """Loss, and each validation metric, by epoch; several runs by name share the axes.

    Training is drawn dashed, validation solid, the best epoch as a dot.
    """
    if not isinstance(histories, Mapping):
        histories = {"": histories}
    rows = next(iter(histories.values())).epochs
    metrics = [name for name in rows[0] if name.startswith("val_") and name != "val_loss"]
    figure = Figure(figsize=(5 * (1 + len(metrics)), 3.6), layout="constrained")
    axes = figure.subplots(1, 1 + len(metrics), squeeze=False)[0]
    for index, (name, history) in enumerate(histories.items()):
        color, epochs = f"C{index}", history["epoch"]
        axes[0].plot(epochs, history["train_loss"], "--", color=color, label=f"{name} train")
        for ax, column in zip(axes, ["val_loss", *metrics], strict=True):
            if column not in history.epochs[0]:
                continue
            ax.plot(epochs, history[column], "-", color=color, label=f"{name} val")
            if history.best_epoch:
                ax.plot(history.best_epoch, history.best[column], "o", color=color)
    for ax, title in zip(axes, ["loss", *(m.removeprefix("val_") for m in metrics)], strict=True):
        ax.set(title=title, xlabel="epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(alpha=0.3)
        ax.legend()
    return finish(figure, path)


def image_grid(
    images: Tensor | Sequence[Tensor],
    titles: Sequence[str] = (),
    columns: int = 8,
    path: Path = None,
    cmap: str = "gray",
    title: str = "",
) -> Figure:
    """Images in rows of `columns`, each with its title.

    images: (N, H, W) or (N, C, H, W) with C 1 or 3; each is stretched to its own range, so
        filters and feature maps show as well as pictures.
    """
    rows = -(-len(images) // columns)
    columns = min(columns, len(images))
    figure = Figure(figsize=(1.4 * columns, 1.55 * rows + 0.5 * bool(title)), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for index, (ax, image) in enumerate(zip(axes, images, strict=False)):
        image = image.detach().float().cpu()
        image = (image - image.min()) / (image.max() - image.min()).clamp(min=1e-8)
        picture = image if image.dim() == 2 else image.permute(1, 2, 0).squeeze(2)
        ax.imshow(picture.numpy(), cmap=cmap, interpolation="nearest")
        if index < len(titles):
            ax.set_title(titles[index], fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11)
    return finish(figure, path)


def confusion_matrix(
    predictions: Tensor, targets: Tensor, class_names: Sequence[str], path: Path = None
) -> Figure:
    """How often each class (row) was taken for each (column); the right answers are left blank.

    Shape: predictions int64 (N,), targets int64 (N,).
    """
    num_classes = len(class_names)
    counts = (targets * num_classes + predictions).bincount(minlength=num_classes**2)
    counts = counts.reshape(num_classes, num_classes)
    mistakes = counts - counts.diag().diag()
    figure = Figure(
        figsize=(0.45 * num_classes + 2, 0.45 * num_classes + 1.6), layout="constrained"
    )
    ax = figure.subplots()
    ax.imshow(mistakes.numpy(), cmap="Reds")
    for row in range(num_classes):
        for column in range(num_classes):
            if count := mistakes[row, column].item():
                dark = count > 0.6 * mistakes.max().item()
                ax.text(column, row, count, ha="center", va="center", color="wk"[not dark])
    ax.set(
        xlabel="predicted",
        ylabel="true",
        title=f"{int(mistakes.sum())} mistakes on {len(targets):,} images",
        xticks=range(num_classes),
        yticks=range(num_classes),
    )
    ax.set_xticklabels(class_names, rotation=0 if max(map(len, class_names)) < 3 else 45)
    ax.set_yticklabels(class_names)
    return finish(figure, path)


def finish(figure: Figure, path: Path) -> Figure:
    """Write `figure` where a path is given."""
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure
