"""Data sets by name, in memory: found, downloaded, or replaced by a synthetic stand-in.

A name is imported when it is first used, so that listing the catalog does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlcourse.data.augment import Compose, Crop, Cutout, Flip, Noise, Shift
    from dlcourse.data.batches import Batches
    from dlcourse.data.caption_importer import import_captioned
    from dlcourse.data.captions import Captioned, CaptionedImages, load_captioned
    from dlcourse.data.catalog import CATALOG, register
    from dlcourse.data.images import ImageData, load
    from dlcourse.data.importer import import_images
    from dlcourse.data.sentences import LabeledTexts, SentencePairs, load_labeled, load_pairs
    from dlcourse.data.store import get, verify
    from dlcourse.data.synthetic.digits import draw_digits
    from dlcourse.data.synthetic.grammar import Grammar, build_grammar
    from dlcourse.data.synthetic.moving_digits import move_digits
    from dlcourse.data.synthetic.paired_grammar import PairedGrammar, build_paired_grammar
    from dlcourse.data.synthetic.scenes import Scene, captions_of, choose_scenes, draw_scenes
    from dlcourse.data.synthetic.shapes import draw_shapes
    from dlcourse.data.text import TextBatches, TextData, load_text, tokenize
    from dlcourse.data.vocabulary import Vocabulary
    from dlcourse.data.weights import load_state_dict

HOME = {
    "CATALOG": "catalog",
    "Batches": "batches",
    "Captioned": "captions",
    "CaptionedImages": "captions",
    "Compose": "augment",
    "Crop": "augment",
    "Cutout": "augment",
    "Flip": "augment",
    "Grammar": "synthetic.grammar",
    "ImageData": "images",
    "LabeledTexts": "sentences",
    "Noise": "augment",
    "PairedGrammar": "synthetic.paired_grammar",
    "Scene": "synthetic.scenes",
    "SentencePairs": "sentences",
    "Shift": "augment",
    "TextBatches": "text",
    "TextData": "text",
    "Vocabulary": "vocabulary",
    "build_grammar": "synthetic.grammar",
    "build_paired_grammar": "synthetic.paired_grammar",
    "captions_of": "synthetic.scenes",
    "choose_scenes": "synthetic.scenes",
    "draw_digits": "synthetic.digits",
    "draw_scenes": "synthetic.scenes",
    "draw_shapes": "synthetic.shapes",
    "get": "store",
    "import_captioned": "caption_importer",
    "import_images": "importer",
    "load": "images",
    "load_captioned": "captions",
    "load_labeled": "sentences",
    "load_pairs": "sentences",
    "load_state_dict": "weights",
    "load_text": "text",
    "move_digits": "synthetic.moving_digits",
    "register": "catalog",
    "tokenize": "text",
    "verify": "store",
}

__all__ = [
    "CATALOG",
    "Batches",
    "Captioned",
    "CaptionedImages",
    "Compose",
    "Crop",
    "Cutout",
    "Flip",
    "Grammar",
    "ImageData",
    "LabeledTexts",
    "Noise",
    "PairedGrammar",
    "Scene",
    "SentencePairs",
    "Shift",
    "TextBatches",
    "TextData",
    "Vocabulary",
    "build_grammar",
    "build_paired_grammar",
    "captions_of",
    "choose_scenes",
    "draw_digits",
    "draw_scenes",
    "draw_shapes",
    "get",
    "import_captioned",
    "import_images",
    "load",
    "load_captioned",
    "load_labeled",
    "load_pairs",
    "load_state_dict",
    "load_text",
    "move_digits",
    "register",
    "tokenize",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *HOME])
