"""Finding and reading image data: IDX, npz, CIFAR's batches, stand-ins, and what damages them."""

import ast
import gzip
import hashlib
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dlcourse import data, models
from dlcourse.data import catalog, store
from dlcourse.data.npz import write_npz
from dlcourse.data.synthetic.digits import draw_digits
from dlcourse.data.synthetic.shapes import class_names, draw_shapes
from dlcourse.errors import DataError, UnknownNameError, UsageError

CONSTANTS = ("CATALOG", "MODELS")


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def arrays(n=30, C=1, size=28, num_classes=10, seed=0):
    rng = np.random.default_rng(seed)
    return {
        f"{split}_{what}": value
        for split, count in (("train", n), ("test", n // 2))
        for what, value in (
            ("images", rng.integers(0, 256, (count, C, size, size), dtype=np.uint8)),
            ("labels", np.arange(count) % num_classes),
        )
    }


def write_idx(folder, made, packed=False):
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split, word in (("train", "train"), ("test", "t10k")):
        for what, ending in (("images", "images-idx3-ubyte"), ("labels", "labels-idx1-ubyte")):
            array = made[f"{split}_{what}"].astype(np.uint8)
            content = idx_bytes(array[:, 0] if what == "images" else array)
            if packed:
                (raw / f"{word}-{ending}.gz").write_bytes(gzip.compress(content))
            else:
                (raw / f"{word}-{ending}").write_bytes(content)
    return raw


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_load_as_they_were_written(tmp_path, packed):
    made = arrays()
    write_idx(tmp_path, made, packed)
    mnist = data.load("mnist", tmp_path, offline=True)
    assert torch.equal(mnist.train_images, torch.from_numpy(made["train_images"]))
    assert torch.equal(mnist.test_labels, torch.from_numpy(made["test_labels"]))
    assert mnist.train_labels.dtype == torch.int64
    assert mnist.class_names == tuple("0123456789")
    assert not mnist.synthetic
    assert str(tmp_path) in mnist.source


def test_npz_comes_before_idx(tmp_path):
    write_idx(tmp_path, arrays(seed=1))
    write_npz(tmp_path / "mnist.npz", arrays(seed=2))
    loaded = data.load("mnist", tmp_path, offline=True)
    assert torch.equal(loaded.train_images, torch.from_numpy(arrays(seed=2)["train_images"]))


def test_any_npz_in_the_folder_has_a_name(tmp_path):
    names = np.array(["cat", "dog"])
    write_npz(tmp_path / "pets.npz", arrays(C=3, size=8, num_classes=2) | {"class_names": names})
    pets = data.load("pets", tmp_path, offline=True)
    assert (pets.class_names, pets.num_classes) == (("cat", "dog"), 2)


def test_unknown_name_gets_the_near_one(tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown data set 'minst'; did you mean 'mnist'\?"):
        data.load("minst", tmp_path)


def test_text_is_not_loaded_as_images(tmp_path):
    with pytest.raises(UsageError, match="load it with load_text"):
        data.load("ptb", tmp_path)


def test_data_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot read data folder .*file': Not a directory; name"):
        data.load("mnist", tmp_path / "file", offline=True)


DAMAGE = {
    "truncated": (lambda content: content[:-100], r"holds 23,420 bytes .* header says 23,520"),
    "too long": (lambda content: content + b"x", r"holds 23,521 bytes .* header says 23,520"),
    "flipped in the header": (
        lambda c: c[:3] + b"\x02" + c[4:],
        "begins with 00000802, not 00000803",
    ),
    "empty": (lambda content: b"", "begins with nothing, not 00000803"),
    "an HTML page": (lambda content: b"<html>" * 99, "begins with 3c68746d, not 00000803"),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_idx_is_refused(tmp_path, how):
    damage, message = DAMAGE[how]
    path = write_idx(tmp_path, arrays()) / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        data.load("mnist", tmp_path, offline=True)


@pytest.mark.parametrize("at", [-5, 5000])
def test_bit_flip_or_cut_in_packed_idx_is_refused(tmp_path, at):
    path = write_idx(tmp_path, arrays(), packed=True) / "train-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"train-images.* cannot be read"):
        data.load("mnist", tmp_path, offline=True)


def test_unpacked_file_of_the_originals_size_must_be_the_original(tmp_path, monkeypatch):
    path = write_idx(tmp_path, arrays()) / "train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    md5 = hashlib.md5(content).hexdigest()
    known = catalog.RawFile(len(content), md5)
    monkeypatch.setitem(catalog.RAW_FILES, ("mnist", path.name), known)
    data.load("mnist", tmp_path, offline=True)
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=rf"is damaged: its MD5 is \w+, the original's {md5}; delete"
    ):
        data.load("mnist", tmp_path, offline=True)


def test_verify_finds_a_bit_flip_in_raw_idx(tmp_path):
    write_idx(tmp_path, arrays())
    (status,) = store.verify(tmp_path)
    assert status.ok is False
    assert "wrong hash" in status.problem


def test_verify_finds_a_bit_flip_in_npz(tmp_path):
    path = tmp_path / "toy.npz"
    write_npz(path, arrays())
    assert [s.ok for s in store.verify(tmp_path)] == [True]
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    (status,) = store.verify(tmp_path)
    assert status.ok is False
    assert "CRC" in status.problem


def test_npz_with_pickles_is_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    np.savez(tmp_path / "mnist.npz", train_images=np.array([Bomb()], dtype=object))
    with pytest.raises(DataError, match=r"mnist\.npz': it holds pickled objects"):
        data.load("mnist", tmp_path, offline=True)
    assert not (tmp_path / "exploded").exists()


WRONG_ARRAYS = {
    "images of float": (
        {"train_images": np.zeros((30, 1, 4, 4))}, r"uint8 \(N, C, H, W\), got float64"),
    "images without channels": (
        {"train_images": np.zeros((30, 4, 4), np.uint8)}, r"got uint8 \(30, 4, 4\)"),
    "too few labels": ({"train_labels": np.zeros(3, np.int64)}, r"int64 \(30,\), got int64 \(3,\)"),
    "labels too large": (
        {"class_names": np.array(["a", "b"])}, "train_labels .* must be 0 to 1, got 0 to 9"),
    "labels below 0": ({"train_labels": np.full(30, -1)}, "got -1 to -1"),
    "splits of two shapes": (
        {"test_images": np.zeros((15, 1, 4, 4), np.uint8)}, "differ in shape"),
    "names that are numbers": ({"class_names": np.arange(10)}, "must be a row of strings"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_ARRAYS)
def test_npz_of_wrong_arrays_is_refused(tmp_path, what):
    change, message = WRONG_ARRAYS[what]
    np.savez(tmp_path / "mnist.npz", **(arrays() | change))
    with pytest.raises(DataError, match=message):
        data.load("mnist", tmp_path, offline=True)


def test_npz_without_an_array_or_cut_is_refused(tmp_path):
    path = tmp_path / "mnist.npz"
    np.savez(path, train_images=arrays()["train_images"])
    with pytest.raises(DataError, match="lacks the array train_labels"):
        data.load("mnist", tmp_path, offline=True)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"cannot read .*mnist\.npz'"):
        data.load("mnist", tmp_path, offline=True)


def write_cifar(folder, bomb=None):
    folder = folder / "cifar-10-batches-py"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (12, 3072), dtype=np.uint8)
    for i, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        batch = {b"data": rows[2 * i : 2 * i + 2], b"labels": [i, 9 - i]}
        (folder / name).write_bytes(pickle.dumps(bomb or batch, protocol=2))
    return rows


def test_cifar_batches_load_with_planes_in_order(tmp_path):
    rows = write_cifar(tmp_path)
    cifar = data.load("cifar10", tmp_path, offline=True)
    assert cifar.train_images.shape == (10, 3, 32, 32)
    assert cifar.train_images[3, 1, 0, 5] == rows[3, 1024 + 5]
    assert cifar.test_labels.tolist() == [5, 4]


def test_cifar_batch_that_would_run_code_is_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    write_cifar(tmp_path, Bomb())
    with pytest.raises(DataError, match="data_batch_1: it asks for"):
        data.load("cifar10", tmp_path, offline=True)
    assert not (tmp_path / "exploded").exists()


def test_stand_in_is_said_loudly_and_offline_touches_no_network(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("touched the network"))
    monkeypatch.setattr("dlcourse.data.images.draw_digits", lambda: draw_digits(40, 20))
    data.images.draw.cache_clear()
    mnist = data.load("mnist", tmp_path, offline=True)
    data.images.draw.cache_clear()
    assert mnist.synthetic
    assert mnist.source == "synthetic digits (stand-in for MNIST)"
    assert mnist.batches(8)[0].source == mnist.source
    assert "SYNTHETIC DIGITS TAKE ITS PLACE" in capsys.readouterr().err


def test_digits_are_deterministic_and_differ_by_seed():
    one, again, other = draw_digits(200, 50), draw_digits(200, 50), draw_digits(200, 50, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0], other[0])
    assert (one[0].shape, one[0].dtype) == ((200, 1, 28, 28), torch.uint8)
    assert set(one[1].tolist()) == set(range(10))


@pytest.mark.parametrize("num_classes", [10, 100])
def test_shapes_say_nothing_by_their_mean_color(num_classes):
    images, labels, *_ = draw_shapes(3000, 100, num_classes)
    assert (images.shape, images.dtype) == ((3000, 3, 32, 32), torch.uint8)
    assert len(set(class_names(num_classes))) == num_classes
    color = images.float().mean((2, 3)) / 255
    color = torch.cat([color, color**2, torch.ones(3000, 1)], 1)
    wanted = torch.nn.functional.one_hot(labels, num_classes).float()
    weights = torch.linalg.lstsq(color[:2000], wanted[:2000]).solution
    right = ((color[2000:] @ weights).argmax(1) == labels[2000:]).float().mean()
    assert right < 3 / num_classes


def test_catalog_lists_without_torch_and_knows_its_classes():
    code = "import sys; from dlcourse.data import store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    counts = {entry.name: len(entry.classes) for entry in catalog.CATALOG.values() if entry.classes}
    assert counts == {
        "mnist": 10,
        "fashion_mnist": 10,
        "kmnist": 10,
        "cifar10": 10,
        "cifar100": 100,
    }


@pytest.mark.parametrize("package", [data, models])
def test_names_that_load_lazily_are_the_names_that_a_type_checker_sees(package):
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module.removeprefix(f"{package.__name__}.")
        for node in typed.body
        for alias in node.names
    }
    assert seen == package.HOME
    assert sorted(package.__all__) == sorted(seen)
    assert all(getattr(package, name).__name__ for name in seen if name not in CONSTANTS)


def test_building_one_model_loads_no_other():
    code = (
        "import sys; from dlcourse import models; models.build('mlp'); "
        "sys.exit('dlcourse.models.googlenet' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.real_data
def test_real_data_verify_good():
    assert all(status.ok for status in store.verify())
