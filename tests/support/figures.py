"""One example of each figure, and what is wrong with a drawn one."""

import math

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from dlcourse import plots
from dlcourse.compare import figures
from dlcourse.compare.lectures import activations, surfaces
from dlcourse.train.history import History


def history(seed, epochs=12):
    generator = torch.Generator().manual_seed(seed)
    rows = [
        {
            "epoch": epoch, "train_loss": 2.3 / epoch, "val_loss": 2.4 / epoch + 0.1,
            "val_accuracy": 1 - 0.5 / epoch - 0.01 * float(torch.rand((), generator=generator)),
            "seconds": 1.0,
        }
        for epoch in range(1, epochs + 1)
    ]  # fmt: skip
    return History(epochs=rows, best_epoch=epochs)


def falling(rate, count=40, start=1.0):
    return [start * rate**step for step in range(count)]


def bands(runs, epochs, worst=0.9):
    return {
        f"optimizer {index}": [
            (
                [{"train_loss": worst ** (epoch + index + seed / 3)} for epoch in range(epochs)],
                False,
            )
            for seed in range(3)
        ]
        for index in range(runs)
    }


def ten_layers(kind):
    torch.manual_seed(0)
    model = torch.nn.Sequential()
    for _ in range(6):
        linear = torch.nn.Linear(30, 30)
        torch.nn.init.normal_(linear.weight, 0.0, kind)
        model.extend([linear, torch.nn.Tanh()])
    model.append(torch.nn.Linear(30, 10))
    return activations.probe(model, torch.randn(64, 30), torch.randint(10, (64,)))


def examples():
    """A function that draws each figure, by name."""
    torch.manual_seed(0)
    images, labels = torch.rand(16, 1, 8, 8), torch.arange(200) % 10
    layers = {"std 0.01": ten_layers(0.01), "std 0.2": ten_layers(0.2)}
    points = torch.linspace(0, 1, 5)
    walks = [surfaces.best_walk(surfaces.RAVINE, name, 100) for name in ("sgd", "momentum", "adam")]
    words = [f"word{i}" for i in range(9)]
    return {
        "attention_map": lambda path=None: plots.attention_map(
            torch.eye(7, 9), words[:7], words, path, "Alignment"
        ),
        "learning_curves": lambda path=None: plots.learning_curves(
            {"LeNet-5": history(0), "MLP": history(1)}, path
        ),
        "image_grid with names of rows": lambda path=None: plots.image_grid(
            images, path=path, rows=["the first row", "another"]
        ),
        "image_grid with a long title": lambda path=None: plots.image_grid(
            images[:3], path=path, title="Bright weights count for 8, dark weights for 3"
        ),
        "image_grid": lambda path=None: plots.image_grid(
            images, "01234567", path=path
        ),
        "mosaic": lambda path=None: plots.mosaic(images, 8, path, "two rows", ["first", "second"]),
        "mosaic of many rows": lambda path=None: plots.mosaic(
            torch.rand(120, 28, 28), 12, path, rows=["rotated", "straightened"] * 5
        ),
        "curves with long names": lambda path=None: plots.curves(
            {f"{name}, non-saturating, D first": falling(0.9, 30) for name in ("first", "second")}
            | {"the discriminator, non-saturating, D first": falling(0.8, 30)}, path,
        ),
        "a flat walk": lambda path=None: plots.trajectories(
            {name: torch.rand(50, 2) * torch.tensor([4, 2]) for name in ("sgd", "momentum")},
            path, "150 steps down a ravine",
        ),
        "curves in percent": lambda path=None: plots.curves(
            {"training": falling(0.9, 30), "validation": falling(0.95, 30)}, path,
            xlabel="epoch", ylabel="accuracy", percent=True,
        ),
        "trajectories": lambda path=None: plots.trajectories(
            {name: torch.randn(50, 2).cumsum(0) for name in ("sgd", "adam", "momentum")}, path
        ),
        "code_scatter": lambda path=None: plots.code_scatter(
            torch.randn(200, 2) + labels[:, None], labels, "0123456789", path
        ),
        "confusion_matrix": lambda path=None: plots.confusion_matrix(
            torch.randint(10, (200,)), labels, "0123456789", path
        ),
        "curves": lambda path=None: plots.curves(
            {f"network {i}": falling(0.9 + i / 200) for i in range(12)}, path,
            xlabel="epoch", ylabel="loss",
        ),
        "curves over less than a decade": lambda path=None: plots.curves(
            {"a": falling(0.97, 20, 0.9), "b": falling(0.98, 20, 0.9)}, path, yscale="log",
            xlabel="epoch", ylabel="loss",
        ),
        "curves over a few percent": lambda path=None: plots.curves(
            {"a": falling(0.999, 12, 0.9)}, path, yscale="log", ylabel="loss",
        ),
        "curves over many decades": lambda path=None: plots.curves(
            {"a": falling(0.3, 30)}, path, x=[2.0**i for i in range(30)], yscale="log",
            xscale="log",
        ),
        "one number each": lambda path=None: plots.curves({"a": [0.5], "b": [0.7]}, path),
        "decision_regions": lambda path=None: plots.decision_regions(
            {"AND": (lambda x: (x.sum(1) > 1.5).float(), torch.tensor([0, 0, 0, 1]))},
            torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), path,
        ),
        "histograms": lambda path=None: plots.histograms(
            {"std 0.01": [torch.randn(99), torch.randn(99) / 9], "Xavier": [torch.randn(99)] * 2},
            ["layer 1", "layer 2"], path,
        ),
        "line_descent": lambda path=None: plots.line_descent(
            points, points / 2, [(i / 9, 1 - i / 9) for i in range(9)], path
        ),
        "learning_bands": lambda path=None: figures.learning_bands(bands(9, 30), "train_loss"),
        "learning_bands of two epochs": lambda path=None: figures.learning_bands(
            bands(10, 2), "train_loss"
        ),
        "learning_bands with a run that diverged": lambda path=None: figures.learning_bands(
            {**bands(2, 12), "large steps": [([{"train_loss": 2.0}, {"train_loss": 9.0}], True)]},
            "train_loss", "optimizer",
        ),
        "learning_bands with a long label beside nine names": lambda path=None: (
            figures.learning_bands(
                {f"False, normal:{n}": [([{"val_accuracy": n / 9}] * 5, n == 8)] for n in range(8)}
                | {"large steps": [([{"val_accuracy": 0.1}] * 5, True)]},
                "val_accuracy", "batch norm, init",
            )
        ),
        "learning_pair": lambda path=None: figures.learning_pair([history(0).epochs], "loss"),
        "heat_map": lambda path=None: figures.heat_map(
            [[0.1, 0.9], [math.nan, 0.5]], [["10", "90"], ["!", "50"]], ["xavier", "kaiming"],
            ["sgd", "adam"], "validation accuracy",
        ),
        "search_race": lambda path=None: figures.search_race(
            {"hyperband": [(1, 0.5), (9, 0.7)], "random": [(3, 0.4), (12, 0.8)]}, "accuracy"
        ),
        "error_by": lambda path=None: figures.error_by(
            {"plain": {20: [0.1, 0.12], 44: [0.2]}, "residual": {20: [0.1], 44: [0.08, 0.09]}},
            "layers", "error", log=True,
        ),
        "layer_histograms": lambda path=None: activations.layer_histograms(layers),
        "gradient_by_depth": lambda path=None: activations.gradient_by_depth(layers),
        "walks": lambda path=None: surfaces.trajectories(surfaces.RAVINE, walks),
    }  # fmt: skip


def tick_texts(axis):
    """The labels of the ticks that are drawn; those outside of the range are not."""
    low, high = sorted(axis.get_view_interval())
    return [
        tick.label1
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        if low - 1e-9 * abs(low) <= tick.get_loc() <= high + 1e-9 * abs(high)
    ]


def texts_of(figure):
    """Every text that is drawn."""
    texts = [*figure.texts, *([figure._suptitle] if figure._suptitle else [])]
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes)]
    texts += [text for legend in legends if legend for text in legend.get_texts()]
    for ax in figure.axes:
        texts += [ax.title, *ax.texts]
        for axis in (ax.xaxis, ax.yaxis) if ax.axison else ():
            texts += [axis.label, *tick_texts(axis)]
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


def texts_outside(figure):
    """The texts that are not completely inside the figure."""
    renderer, box = figure.canvas.get_renderer(), figure.bbox.padded(-0.5)
    extents = {text: text.get_window_extent(renderer) for text in texts_of(figure)}
    return [
        text.get_text()
        for text, one in extents.items()
        if not (box.x0 <= one.x0 <= one.x1 <= box.x1 and box.y0 <= one.y0 <= one.y1 <= box.y1)
    ]


def axes_without_numbers(figure):
    """The logarithmic axes with fewer than two numbers in their range."""
    found = []
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            shown = [text for text in tick_texts(axis) if text.get_text().strip()]
            if axis.get_scale() != "linear" and len(shown) < 2:
                found.append(f"{axis.axis_name} axis, {len(shown)} numbers")
    return found


def problems(figure):
    """What is wrong with `figure`, by kind."""
    # A figure that was made without pyplot gets its canvas when it is first drawn.
    FigureCanvasAgg(figure).draw()
    found = {
        "cut": texts_outside(figure),
        "no numbers": axes_without_numbers(figure),
        "alike": lines_alike(figure),
    }
    return {kind: where for kind, where in found.items() if where}


def lines_alike(figure):
    """Pairs of lines of one plot that have the same color, style and marker."""
    found = []
    for ax in figure.axes:
        seen = {}
        # The points of error bars have no label themselves; their container has it.
        labels = {
            bars.lines[0]: bars.get_label() for bars in ax.containers if hasattr(bars, "lines")
        }
        for line in ax.get_lines():
            label = labels.get(line, line.get_label())
            if label.startswith("_"):
                continue
            look = line.get_color(), line.get_linestyle(), line.get_marker()
            if look in seen:
                found.append((seen[look], label))
            seen[look] = label
    return found
