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
import requests
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
    "channels last": (
        {"train_images": np.zeros((30, 8, 8, 3), np.uint8)},
        r"got uint8 \(30, 8, 8, 3\); its channels are last: use images.transpose\(0, 3, 1, 2\)"),
    "float channels last": (
        {"train_images": np.full((30, 8, 8, 1), 0.5)}, r"transpose.*; scale \[0, 1\] with"),
    "images of int64": (
        {"train_images": np.full((30, 1, 4, 4), 7, np.int64)}, r"use images.round\(\).astype"),
    "images of bool": (
        {"train_images": np.ones((30, 1, 4, 4), bool)}, r"scale \[0, 1\] with \(255 \* images\)"),
    "images of uint16": (
        {"train_images": np.full((30, 1, 4, 4), 9000, np.uint16)}, "scale 9000 to 9000 to 0"),
    "NaN": ({"test_images": np.full((15, 1, 4, 4), np.nan)}, "it holds NaN or infinity: remove"),
    "infinity": ({"test_images": np.full((15, 1, 4, 4), np.inf)}, "it holds NaN or infinity"),
    "labels in a column": (
        {"train_labels": np.zeros((30, 1), np.uint8)}, r"got uint8 \(30, 1\); use labels\[:, 0\]"),
    "one-hot labels": ({"train_labels": np.eye(30)}, r"use labels.argmax\(1\)"),
    "labels of uint8": (
        {"train_labels": np.zeros(30, np.uint8)}, r"use labels.astype\(np.int64\)"),
    "labels of float": ({"train_labels": np.full(30, 0.5)}, "labels must be whole numbers"),
    "labels from 1": ({"train_labels": np.arange(30) % 10 + 1}, "hold 1 to 10, but no 0; number"),
    "test labels beyond": ({"test_labels": np.full(15, 10)}, "test_labels .* must be 0 to 9"),
    "names in bytes": ({"class_names": np.array([b"a"] * 10)}, r"use np.array\(names, dtype=str\)"),
    "two equal names": ({"class_names": np.array(["a"] * 10)}, "must differ from each other"),
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


def test_arrays_under_other_names_are_listed(tmp_path, capsys):
    np.savez(tmp_path / "own.npz", x_train=np.zeros(3), y_train=np.zeros(3))
    with pytest.raises(DataError, match=r"lacks the array train_images; .*; it holds x_t"):
        data.load("own", tmp_path)
    np.savez(tmp_path / "own.npz", **arrays(), val_images=np.zeros(3))
    data.load("own", tmp_path)
    assert "also holds val_images, which is not used" in capsys.readouterr().err


def rename_idx(raw, where, form):
    """Move the files of MNIST/raw to another folder under other names."""
    where.mkdir(parents=True, exist_ok=True)
    for path in list(raw.iterdir()):
        target = where / form.format(path.name, path.name.replace("-idx", ".idx"))
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    raw.rmdir()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("where", ["MNIST", "MNIST/raw", "mnist", "mnist/raw"])
@pytest.mark.parametrize("form", ["{0}", "{1}", "{0}/{0}"])
def test_idx_files_of_other_mirrors_and_folders_are_taken(tmp_path, packed, where, form):
    if packed and form == "{0}/{0}":
        pytest.skip("archives hold unpacked files")
    made = arrays()
    rename_idx(write_idx(tmp_path / "made", made, packed), tmp_path / where, form)
    mnist = data.load("mnist", tmp_path, offline=True)
    assert not mnist.synthetic
    assert torch.equal(mnist.train_images, torch.from_numpy(made["train_images"]))
    assert [status.ok for status in store.verify(tmp_path)] == [False]  # not the original's hash


@pytest.mark.parametrize("offline", [True, False])
def test_three_of_four_files_name_the_fourth(tmp_path, offline, monkeypatch):
    def unreachable(*_, **__):
        raise requests.ConnectionError

    monkeypatch.setattr("dlcourse.data.fetch.requests.get", unreachable)
    raw = write_idx(tmp_path, arrays())
    (raw / "t10k-labels-idx1-ubyte").unlink()
    message = (
        r"MNIST is incomplete: .*raw' lacks t10k-labels-idx1-ubyte \(looked for "
        r"t10k-labels-idx1-ubyte and t10k-labels.idx1-ubyte, with and without .gz\)"
    )
    with pytest.raises(DataError, match=message):
        data.load("mnist", tmp_path, offline=offline)
    (status,) = store.verify(tmp_path)
    assert (status.ok, "lacks t10k-labels" in status.problem) == (False, True)
    assert "is incomplete" in store.as_text(store.statuses(tmp_path))


def test_a_stand_in_says_what_was_looked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("dlcourse.data.images.draw_digits", lambda: draw_digits(100, 20))
    data.images.draw.cache_clear()
    data.load("mnist", tmp_path, offline=True)
    data.images.draw.cache_clear()
    told = capsys.readouterr().err
    assert "for mnist.npz and MNIST/raw/train-images-idx3-ubyte.gz; --offline" in told


def toy_data():
    made = arrays(size=4, num_classes=2)
    tensors = {name: torch.from_numpy(array) for name, array in made.items()}
    return data.ImageData("blobs", "drawn", False, ("round", "square"), **tensors)


def test_a_registered_data_set_is_loaded_listed_and_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "REGISTERED", {})
    data.register("blobs", toy_data, title="two kinds of blobs")
    assert data.load("blobs", tmp_path).class_names == ("round", "square")
    assert "two kinds of blobs" in store.as_text(store.statuses(tmp_path))
    with pytest.raises(UnknownNameError, match="did you mean 'blobs'"):
        data.load("blob", tmp_path)
    with pytest.raises(UsageError, match="data set 'blobs' already exists"):
        data.register("blobs", toy_data)
    with pytest.raises(UsageError, match="data set 'mnist' already exists"):
        data.register("mnist", toy_data)
    with pytest.raises(UsageError, match="needs a function that makes it, got 3"):
        data.register("three", 3)
    data.register("none", lambda: None)
    with pytest.raises(UsageError, match="data set 'none' is not an ImageData, got NoneType"):
        data.load("none", tmp_path)
    data.register("words", toy_data, kind="text")
    with pytest.raises(UsageError, match="data set 'words' is not a TextData, got ImageData"):
        data.load_text("words", tmp_path)


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
        "agnews": 4,
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


def test_a_data_set_shows_what_it_is_and_not_its_numbers(tmp_path):
    (tmp_path / "mine.txt").write_text("a b\n" * 20)
    assert repr(data.load_text("mine", tmp_path)) == (
        f"TextData(name='mine', source='mine from {tmp_path / 'mine.txt'}', words: 54 train, "
        "3 val, 3 test)"
    )
    assert len(repr(data.load("mnist", tmp_path, offline=True))) < 300
    assert len(repr(data.load_pairs("multi30k", tmp_path, offline=True))) < 300


@pytest.mark.real_data
def test_real_data_verify_good():
    assert all(status.ok for status in store.verify())
