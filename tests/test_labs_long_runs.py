"""What only `--full` runs, at a tiny size: a long run must not fail at its end."""

import math

import pytest
import torch

from dlcourse import course, data


@pytest.fixture(scope="module")
def lab14():
    return course.load_script(course.find_lab("lab14").solution)


def test_baby_configuration_of_lab14_has_the_matrices_of_nanogpts(lab14):
    with torch.device("meta"):
        model = lab14.models.build("transformer_lm", vocab_size=65, **lab14.BABY)
    # In each of the 6 blocks: 3 + 1 for the attention, 4 + 4 for the linear layers. nanoGPT shares
    # one matrix between embedding and decoder.
    matrices = sum(p.numel() for p in model.parameters() if p.dim() > 1)
    assert matrices == 6 * 12 * 384**2 + 2 * 65 * 384


def test_baby_configuration_of_lab14_learns_a_cycle(lab14):
    vocabulary = data.Vocabulary.build("abcd")
    cycle = torch.arange(600) % 4 + 1
    text = data.TextData("cycle", "a cycle", True, "char", vocabulary, cycle, cycle[:200], cycle)
    sizes = {"embedding_dim": 16, "num_heads": 2, "num_layers": 1, "context_size": 8}
    short, long = (
        lab14.train_baby(text, torch.device("cpu"), steps=steps, rows=4, sizes=sizes)
        for steps in (1, 300)
    )
    assert short > 1 > long
    assert math.isfinite(long)
