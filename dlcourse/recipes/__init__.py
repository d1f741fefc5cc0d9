"""Recipes by name: model, data, training and the result to expect, ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dlcourse import lab
from dlcourse.errors import UnknownNameError
from dlcourse.recipes.catalog import RECIPES, Recipe, Splits
from dlcourse.train import Checkpoint, Execution, evaluate
from dlcourse.train.checkpoint import NAME

__all__ = ["RECIPES", "Recipe", "Splits", "as_text", "find", "run"]


def as_text() -> str:
    """The list of recipes: name, description, expected result."""
    return "\n\n".join(
        f"{name}\n    {recipe.about}\n    expected: {recipe.expected}"
        for name, recipe in RECIPES.items()
    )


def find(name: str) -> Recipe:
    """Return the recipe called `name`. Raises UnknownNameError."""
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]


def run(name: str, argv: Sequence[str] | None = None) -> None:
    """Train the recipe called `name` with the flags in `argv`, and print and save its result.

    While it trains, --out holds a checkpoint; afterwards it holds `history.json` and the learning
    curves. Raises UnknownNameError and the errors of `fit`.
    """
    recipe = find(name)
    args = lab.parse_flags(
        name, f"{recipe.about}\nexpected: {recipe.expected}", argv,
        epochs=recipe.epochs, full_epochs=recipe.epochs, tiny_epochs=1, long=True,
    )  # fmt: skip
    splits = recipe.splits(
        args.data_dir, offline=args.offline, seed=args.seed, device=args.device, limit=args.limit
    )
    print(f"{name}: {recipe.about}\ndata: {splits.train.source}")
    execution = recipe.training.get("execution", Execution())
    model, history = recipe.train(
        splits,
        seed=args.seed,
        epochs=args.epochs,
        device=args.device,
        callbacks=Checkpoint(args.out, resume=args.resume),
        execution=replace(execution, deterministic=args.deterministic),
    )
    history.save(args.out / "history.json")
    # The run is complete, so the next one is a new one.
    (args.out / NAME).unlink(missing_ok=True)
    if args.plot:
        from dlcourse import plots  # imports matplotlib

        plots.learning_curves(history, args.out / "learning_curves.png")
    scores = {
        split: evaluate(model, batches, metrics=recipe.metric)[recipe.metric]
        for split, batches in (("val", splits.val), ("test", splits.test))
        if len(batches)  # a recipe may train on all training images
    }
    print(f"expected: {recipe.expected}")
    form = "{:.2f}" if recipe.text else "{:.2%}"
    found = ", ".join(f"{split} {form.format(score)}" for split, score in scores.items())
    print(f"{recipe.metric}: {found} after {sum(history['seconds']):.1f} s of training")
