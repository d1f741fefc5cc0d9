"""Data sets by name, in memory: found, fetched, or replaced by a synthetic stand-in.

Names are taken from their modules when they are first used, so that listing the catalog does not
import torch.
"""

from importlib import import_module

HOME = {
    "CATALOG": "catalog",
    "Batches": "batches",
    "Compose": "augment",
    "Crop": "augment",
    "Cutout": "augment",
    "Flip": "augment",
    "Grammar": "grammar",
    "ImageData": "images",
    "Noise": "augment",
    "Shift": "augment",
    "TextBatches": "text",
    "TextData": "text",
    "Vocabulary": "vocabulary",
    "build_grammar": "grammar",
    "draw_digits": "digits",
    "draw_shapes": "shapes",
    "get": "library",
    "import_images": "importer",
    "load": "images",
    "load_text": "text",
    "tokenize": "text",
    "verify": "library",
}

__all__ = sorted(HOME)


def __getattr__(name: str) -> object:
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *HOME])
