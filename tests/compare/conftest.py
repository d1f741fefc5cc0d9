"""A small data set in a folder, and a grid over it, for the harness's tests."""

import numpy as np
import pytest

from dlcourse import compare


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A folder with blobs.npz: 8x8 images, the class is the bright quarter; a tenth is noise."""
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 400), ("test", 120)):
        labels = np.arange(count) % 4
        images = generator.integers(0, 160, (count, 1, 8, 8))
        for index, label in enumerate(labels):
            row, column = divmod(label, 2)
            images[index, 0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 40
        arrays |= {f"{split}_images": images.astype("uint8"), f"{split}_labels": labels}
    np.savez(folder / "blobs.npz", **arrays)
    return str(folder)


@pytest.fixture(scope="session")
def small_settings(data_dir):
    """Settings of a grid that takes a moment."""
    return {
        "model": "mlp", "data": "blobs", "epochs": 2, "batch_size": 20, "width": 8,
        "data_dir": data_dir, "device": "cpu",
    }  # fmt: skip


@pytest.fixture
def small(small_settings):
    """The same, to change."""
    return dict(small_settings)


@pytest.fixture(scope="session")
def crossed(small_settings, tmp_path_factory):
    """A study of two axes, two seeds a cell."""
    return compare.grid(
        tmp_path_factory.mktemp("crossed") / "study",
        **{**small_settings, "init": ["zeros", "xavier"], "optimizer": ["sgd", "adam"], "seeds": 2},
    )


@pytest.fixture
def grid(small, tmp_path):
    """Run a grid into a folder of its own."""

    def run(out=tmp_path / "study", **settings):
        return compare.grid(out, **{**small, **settings})

    return run
