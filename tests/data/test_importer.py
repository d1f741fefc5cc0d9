"""`dlcourse data import`: folders, zips and tars of images, and what is refused."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from dlcourse import data
from dlcourse.cli import main
from dlcourse.data import importer
from dlcourse.data.importer import import_images
from dlcourse.errors import DataError, UsageError

from support.images import (
    UPRIGHT,
    classes,
    encode,
    halves,
    ink,
    noise,
    plain,
    turned,
    write_folder,
    write_tar,
    write_zip,
)

COLORS = {"blue": (0, 0, 250), "red": (250, 0, 0)}


def png(color, size=(40, 20)):
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def files(prefix="", n=10):
    return {f"{prefix}{name}/{i}.png": png(COLORS[name]) for name in COLORS for i in range(n)}


def test_an_import_that_was_stopped_continues_and_gives_the_same(tmp_path, monkeypatch, capsys):
    path = write_folder(tmp_path / "flags", {**files(), "red/zebra.png": b"damaged"})
    expected, _ = import_images("flags", path, tmp_path / "whole", size=8, skip_bad=True)
    calls = []

    def decode(*args, real=importer.decode):
        if len(calls) == stop:
            raise KeyboardInterrupt
        calls.append(args)
        return real(*args)

    monkeypatch.setattr(importer, "KEPT", 4)
    monkeypatch.setattr(importer, "decode", decode)
    stop = 11
    with pytest.raises(KeyboardInterrupt):
        import_images("flags", path, tmp_path / "data", size=8)
    stop = None
    with pytest.raises(DataError, match=r"1 of 21 images .* cannot be decoded: red/zebra.png"):
        import_images("flags", path, tmp_path / "data", size=8)
    assert "8 images were decoded by an earlier import that was stopped" in capsys.readouterr().err
    assert len(calls) == 11 + 21 - 8
    npz, _ = import_images("flags", path, tmp_path / "data", size=8, skip_bad=True)
    assert len(calls) == 11 + 21 - 8 + 1
    with np.load(npz) as found, np.load(expected) as whole:
        assert all(np.array_equal(found[name], whole[name]) for name in whole.files)
    assert [one.name for one in (tmp_path / "data").iterdir()] == ["flags.npz"]


@pytest.mark.parametrize("change", ["size", "gray", "content"])
def test_what_was_decoded_in_another_way_is_not_used(tmp_path, monkeypatch, change):
    path = write_zip(tmp_path / "flags.zip", {**files(), "red/zebra.png": b"damaged"})
    with pytest.raises(DataError, match="cannot be decoded"):
        import_images("flags", path, tmp_path / "data", size=8)
    settings = {"size": 8, "skip_bad": True}
    if change == "content":
        write_zip(path, {name: png((0, 250, 0)) for name in files()})
    else:
        settings[change] = {"size": 9, "gray": True}[change]
    npz, _ = import_images("flags", path, tmp_path / "data", **settings)
    other, _ = import_images("flags", path, tmp_path / "fresh", **settings)
    with np.load(npz) as found, np.load(other) as fresh:
        assert np.array_equal(found["train_images"], fresh["train_images"])


WRITERS = {"flags": write_folder, "flags.zip": write_zip, "flags.tgz": write_tar}


@pytest.mark.parametrize("where", WRITERS)
@pytest.mark.parametrize("prefix", ["", "top/"])
def test_every_container_gives_the_same_data_set(tmp_path, where, prefix):
    path = WRITERS[where](tmp_path / where, files(prefix))
    npz, counts = import_images("flags", path, tmp_path / "data", size=8)
    assert counts == {"blue": 10, "red": 10}
    flags = data.load("flags", tmp_path / "data", offline=True)
    assert npz == tmp_path / "data" / "flags.npz"
    assert flags.class_names == ("blue", "red")
    assert flags.train_images.shape == (16, 3, 8, 8)
    assert flags.test_labels.bincount().tolist() == [2, 2]
    for image, label in zip(flags.train_images, flags.train_labels, strict=True):
        assert image[:, 4, 4].tolist() == list(COLORS[flags.class_names[label]])


def test_folders_train_and_test_are_kept_apart(tmp_path):
    path = write_folder(tmp_path / "flags", files("train/", 3) | files("test/", 2))
    import_images("flags", path, tmp_path, gray=True)
    flags = data.load("flags", tmp_path, offline=True)
    assert (len(flags.train_images), len(flags.test_images)) == (6, 4)
    assert flags.train_images.shape[1:] == (1, 32, 32)


@pytest.mark.parametrize("name", ["../evil/a.png", "/evil/a.png", "red/../../a.png", "C:/evil.png"])
@pytest.mark.parametrize("where", ["flags.zip", "flags.tgz"])
def test_archive_with_a_path_that_leads_outside_is_refused(tmp_path, where, name):
    path = WRITERS[where](tmp_path / where, files() | {name: png((0, 0, 0))})
    with pytest.raises(DataError, match=r"holds a path that leads outside: .*nothing was imported"):
        import_images("flags", path, tmp_path / "data")
    assert {entry.name for entry in tmp_path.iterdir()} == {where}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_tar_with_a_link_or_device_is_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "flags.tar", "w") as archive:
        info = tarfile.TarInfo("red/passwd.png")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DataError, match=r"holds a link or device: 'red/passwd.png'"):
        import_images("flags", tmp_path / "flags.tar", tmp_path)


def test_zip_with_a_link_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "flags.zip", "w") as archive:
        info = zipfile.ZipInfo("red/passwd.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match=r"holds a link or device: 'red/passwd.png'"):
        import_images("flags", tmp_path / "flags.zip", tmp_path)


def test_folder_with_a_link_is_refused(tmp_path):
    path = write_folder(tmp_path / "flags", files())
    (path / "red" / "link.png").symlink_to(path / "blue" / "0.png")
    with pytest.raises(DataError, match="holds a link or device"):
        import_images("flags", path, tmp_path)


def test_images_that_do_not_decode_are_named_counted_and_skipped_on_demand(tmp_path, capsys):
    bad = {"red/bad.png": b"no image", "red/cut.png": png((0, 0, 0))[:50]}
    path = write_folder(tmp_path / "flags", files() | bad)
    with pytest.raises(
        DataError, match=r"2 of 22 images .* red/bad\.png \(.*red/cut\.png \(.*skip-bad"
    ):
        import_images("flags", path, tmp_path)
    assert not (tmp_path / "flags.npz").exists()
    _, counts = import_images("flags", path, tmp_path, skip_bad=True)
    assert counts == {"blue": 10, "red": 10}
    assert "left out red/bad.png: not an image" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["flags", "flags.zip"])
def test_empty_class_folder_is_refused(tmp_path, where):
    if where == "flags":
        path = write_folder(tmp_path / where, files())
        (path / "green").mkdir()
    else:
        path = write_zip(tmp_path / where, files() | {"green/": b""})
    with pytest.raises(DataError, match=r"class folder 'green' .* is empty"):
        import_images("flags", path, tmp_path)


def test_class_of_bad_images_alone_is_refused(tmp_path):
    path = write_folder(tmp_path / "flags", files() | {"green/a.png": b"no image"})
    with pytest.raises(DataError, match=r"class 'green' .* has no image"):
        import_images("flags", path, tmp_path, skip_bad=True)


REFUSED = {
    "no images": (
        {"red/a.txt": b"text"},
        r"holds no images; they must be .* class/name.png; it holds 1 \.txt",
    ),
    "image outside a class": (
        {"a.png": png((0, 0, 0))},
        "image 'a.png' .* is in no class folder",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_folder_of_another_make_is_refused(tmp_path, what):
    contents, message = REFUSED[what]
    with pytest.raises(DataError, match=message):
        import_images("flags", write_folder(tmp_path / "flags", contents), tmp_path)


@pytest.mark.parametrize("name", ["mnist", "../x", ""])
def test_name_that_cannot_be_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r"NAME must consist|is a data set of the course"):
        import_images(name, tmp_path, tmp_path)


def test_archive_that_is_none_or_cut_is_refused(tmp_path):
    (tmp_path / "page.zip").write_text("<html>")
    with pytest.raises(DataError, match="is not a folder, zip or tar"):
        import_images("flags", tmp_path / "page.zip", tmp_path)
    path = write_tar(tmp_path / "flags.tgz", {"red/a.png": np.random.bytes(9999)})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="cannot read"):
        import_images("flags", path, tmp_path)


def test_test_images_that_are_copies_of_training_images_are_counted_aloud(tmp_path, capsys):
    different = {f"{name}/{i}.png": noise(name, i) for name in COLORS for i in range(10)}
    import_images("one", write_folder(tmp_path / "one", different), tmp_path, size=8)
    assert "same pixels" not in capsys.readouterr().err
    import_images("two", write_folder(tmp_path / "two", files()), tmp_path, size=8)
    said = "4 of the 4 test images have the same pixels as a training image, so that the test score"
    assert said in capsys.readouterr().err


def test_commands_import_list_and_verify(tmp_path, capsys):
    path = write_folder(tmp_path / "flags", files())
    where = ["--data-dir", str(tmp_path)]
    assert main(["data", "import", "flags", str(path), "--size", "8", *where]) == 0
    assert "20 images in 2 classes: blue 10, red 10" in capsys.readouterr().out
    assert main(["data", "list", *where]) == 0
    assert "flags" in capsys.readouterr().out
    assert main(["data", "verify", *where]) == 0
    (tmp_path / "flags.npz").write_bytes(b"PK\x03\x04")
    assert main(["data", "verify", *where]) == 1
    assert "BAD" in capsys.readouterr().out
    assert main(["data", "get", "minst", *where]) == 2
    assert "did you mean 'mnist'?" in capsys.readouterr().err
    assert main(["data", "verify", "minst", *where]) == 2
    assert main(["data", "verify", "mnist", *where]) == 1
    assert "dlcourse: mnist is not here: dlcourse data get mnist\n" in capsys.readouterr().err


def imported(tmp_path, contents, **settings):
    """The data set made from these files."""
    path = write_folder(tmp_path / "source", contents)
    import_images("own", path, tmp_path / "data", **settings)
    return data.load("own", tmp_path / "data", offline=True)


def means(own):
    """The mean pixel of each class, over both splits."""
    images = torch.cat([own.train_images, own.test_images]).float().mean((1, 2, 3))
    labels = torch.cat([own.train_labels, own.test_labels])
    return {n: images[labels == i].mean().item() for i, n in enumerate(own.class_names)}


SPLITS = [
    ("train", "test"), ("Train", "Test"), ("TRAINING", "testing"), ("train", "val"),
    ("Training", "Validation"), ("train", "dev"), ("train", "valid"), ("training_set", "test_set"),
    ("seg_train", "seg_test"), ("train2017", "val2017"),
]  # fmt: skip


@pytest.mark.parametrize("names", SPLITS)
@pytest.mark.parametrize("form", ["{0}/{1}/", "top/{0}/{1}/", "{0}/{0}/{1}/", "{1}/{0}/"])
def test_splits_are_known_by_their_usual_names_wherever_they_lie(tmp_path, capsys, names, form):
    contents = {
        f"{form.format(split, label)}{i}.png": noise(label, i)
        for split, n in zip(names, (6, 3), strict=True)
        for label in ("ants", "bees")
        for i in range(n)
    }
    own = imported(tmp_path, contents)
    assert own.class_names == ("ants", "bees")
    assert (len(own.train_labels), len(own.test_labels)) == (12, 6)
    told = "'val' is used as the test split" in capsys.readouterr().err
    assert told == (names[1].lower()[0] in "vd")


def test_val_joins_train_where_there_is_a_test_split_and_that_is_said(tmp_path, capsys):
    parts = (("train", 6), ("val", 2), ("test", 3))
    contents = {
        k: v for split, n in parts for k, v in classes(noise, n=n, prefix=f"{split}/").items()
    }
    own = imported(tmp_path, contents)
    assert (len(own.train_labels), len(own.test_labels)) == (16, 6)
    assert "'val' joins the training split" in capsys.readouterr().err


@pytest.mark.parametrize("only", ["train", "Test", "val"])
def test_a_single_split_is_cut_and_that_is_said(tmp_path, capsys, only):
    own = imported(tmp_path, classes(noise, n=10, prefix=f"{only}/"))
    assert (own.class_names, len(own.test_labels)) == (("a", "b"), 4)
    assert f"the only split is {only.lower()!r}" in capsys.readouterr().err


def test_a_class_may_have_the_name_of_a_split(tmp_path):
    own = imported(tmp_path, classes(noise, ("train", "car")))
    assert own.class_names == ("car", "train")


BAD_LAYOUTS = {
    "a class next to splits": (
        classes(noise, prefix="train/") | classes(noise, prefix="extra/"),
        "holds 'extra' next to the splits train; move it away",
    ),
    "no train split": (
        classes(noise, prefix="val/") | classes(noise, prefix="test/"),
        "has the splits test, val, but no train split",
    ),
    "test images without classes": (
        classes(noise, prefix="train/") | {"test/0.png": noise()},
        "image 'test/0.png' .* is in no class folder; move it into one, or away",
    ),
    "a split of other files alone": (
        classes(noise, prefix="train/") | {"test/a/0.heic": b"x"},
        "class folder 'test' .* is empty, or holds no file that is an image",
    ),
    "a class of other files alone": (
        classes(noise) | {"c/0.heic": b"x"},
        "class folder 'c' .* is empty, or holds no file that is an image",
    ),
    "an empty class of a split": (
        classes(noise, prefix="train/") | {"train/c/": b""},
        "class folder 'train/c' .* is empty",
    ),
    "classes that differ in case": (
        classes(noise, ("Bees", "ants")) | classes(noise, ("bees",)),
        "class folders 'Bees' and 'bees' .* differ only in case",
    ),
    "a class of two images": (
        classes(noise, ("a",)) | classes(noise, ("b",), n=2),
        "class 'b' .* has 2 images: too few to be split into training, validation and test",
    ),
    "a class without training images": (
        classes(noise, prefix="train/") | classes(noise, ("a", "b", "c"), prefix="test/"),
        "class 'c' .* has no image in the train split",
    ),
    "too few training images": (
        classes(noise, prefix="train/", n=2) | classes(noise, prefix="test/"),
        "leaves 4 images to train on; 6 are needed",
    ),
}


@pytest.mark.parametrize("what", BAD_LAYOUTS)
def test_an_ambiguous_layout_is_refused_by_name(tmp_path, what):
    contents, message = BAD_LAYOUTS[what]
    with pytest.raises(DataError, match=message):
        imported(tmp_path, contents)
    assert not (tmp_path / "data" / "own.npz").exists()


@pytest.mark.parametrize("writer", WRITERS)
def test_hidden_and_private_folders_are_no_classes(tmp_path, writer):
    hidden = {".ipynb_checkpoints/": b"", "__MACOSX/a/._0.png": b"x", "a/.DS_Store": b"x"}
    path = WRITERS[writer](tmp_path / writer, classes(noise) | hidden)
    _, counts = import_images("own", path, tmp_path / "data")
    assert counts == {"a": 6, "b": 6}


ENDINGS = {
    "jfif": "JPEG", "jpe": "JPEG", "JPG": "JPEG", "PNG": "PNG", "webp": "WEBP", "gif": "GIF",
    "tiff": "TIFF", "bmp": "BMP", "avif": "AVIF", "jp2": "JPEG2000", "tga": "TGA", "ppm": "PPM",
}  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_that_pillow_reads_is_taken(tmp_path, ending):
    Image.init()
    if ENDINGS[ending] not in Image.SAVE:
        pytest.skip(f"this Pillow cannot write {ENDINGS[ending]}")
    light = {"a": 250, "b": 20}
    contents = classes(
        lambda name, _: plain(light[name], ENDINGS[ending], channels=3), ending=ending
    )
    assert means(imported(tmp_path, contents)) == pytest.approx(light, abs=3)


def test_other_files_are_counted_and_named(tmp_path, capsys):
    others = {"b/6.HEIC": b"x", "b/7.heic": b"x", "notes.txt": b"x", "a/scan": b"x"}
    assert len(imported(tmp_path, classes(noise) | others).train_labels) == 10
    told = capsys.readouterr().err
    assert "passed over 4 files that are not images, or of no kind that can be read" in told
    assert "(2 .heic, 1 without an ending, 1 .txt): a/scan, b/6.HEIC, b/7.heic, ..." in told


WIDE = {
    "16-bit PNG": (lambda v: plain(v, dtype=np.uint16), 65535),
    "16-bit TIFF": (lambda v: plain(v, "TIFF", np.uint16), 65535),
    "big-endian TIFF": (lambda v: plain(v, "TIFF", ">u2"), 65535),
    "32-bit TIFF": (lambda v: plain(v, "TIFF", np.int32), 65535),
    "16-bit PGM": (lambda v: plain(v, "PPM", np.uint16), 65535),
    "floats in [0, 1]": (lambda v: plain(v / 65535, "TIFF", np.float32), 65535),
    "floats in [0, 255]": (lambda v: plain(v / 257, "TIFF", np.float32), 65535),
    "16-bit TIFF of 8-bit values": (lambda v: plain(v // 257, "TIFF", np.uint16), 65535),
    "floats up to 100000": (lambda v: plain(v * 2, "TIFF", np.float32), 50_000),
}


@pytest.mark.parametrize("gray", [True, False])
@pytest.mark.parametrize("what", WIDE)
def test_more_than_8_bits_are_scaled_by_a_range_that_all_images_share(tmp_path, capsys, what, gray):
    make, top = WIDE[what]
    light = {"dark": 8_000, "bright": 50_000}
    contents = classes(lambda name, _: make(light[name]), light, ending="png")
    contents = {name.replace("png", "tif" if "PNG" not in what else "png"): c
                for name, c in contents.items()}  # fmt: skip
    expected = {name: 255 * value / top for name, value in light.items()}
    own = imported(tmp_path, contents, gray=gray)
    assert means(own) == pytest.approx(expected, abs=1)
    assert own.train_images.shape[1] == (1 if gray else 3)
    assert "becomes 0 to 255" in capsys.readouterr().err


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_floats_without_a_range_are_refused(tmp_path, value):
    contents = classes(noise, ending="tif") | {"a/7.tif": plain(value, "TIFF", np.float32)}
    with pytest.raises(DataError, match=r"1 of 13 .* a/7\.tif \(it holds negative values or NaN"):
        imported(tmp_path, contents)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_images_are_turned_upright(tmp_path, kind, orientation):
    own = imported(tmp_path, classes(lambda *_: turned(orientation, kind), ending=kind.lower()))
    got = own.train_images[0].permute(1, 2, 0).float()
    apart = (got - torch.from_numpy(halves()).float()).abs()
    assert apart.mean() < 6  # JPEG and WebP lose a little


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
@pytest.mark.parametrize("gray", [True, False])
def test_transparent_images_are_put_on_white(tmp_path, mode, gray):
    own = imported(tmp_path, classes(lambda *_: ink(mode)), gray=gray)
    image = own.train_images[0].float()
    assert image[:, :, :14].min() > 245
    assert image[:, :, 18:].max() < 10


MODES = {"CMYK": "TIFF", "P": "GIF", "1": "PNG", "YCbCr": "JPEG", "L": "BMP"}


@pytest.mark.parametrize("mode", MODES)
def test_other_modes_keep_their_lightness(tmp_path, mode):
    light = {"dark": 0, "bright": 255}

    def make(name, _):
        return encode(Image.new("RGB", (32, 32), (light[name],) * 3).convert(mode), MODES[mode])

    contents = classes(make, light)
    assert means(imported(tmp_path, contents)) == pytest.approx(light, abs=2)


def test_of_several_pictures_in_a_file_the_first_is_taken_and_that_is_said(tmp_path, capsys):
    first, second = (Image.new("RGB", (32, 32), (v, v, v)) for v in (200, 10))
    for kind, ending in (("GIF", "gif"), ("TIFF", "tif")):
        animated = encode(first, kind, save_all=True, append_images=[second])
        own = imported(tmp_path / kind, classes(lambda *_, made=animated: made, ending=ending))
        assert own.train_images.float().mean() == pytest.approx(200, abs=4)
        assert (
            "12 files hold several pictures, the first of each was taken" in capsys.readouterr().err
        )


def test_zero_bytes_and_truncated_files_are_named(tmp_path):
    contents = classes(noise) | {"a/8.png": b"", "a/9.jpg": noise(kind="JPEG")[:300]}
    with pytest.raises(
        DataError, match=r"2 of 14 .* a/8\.png \(not an image.*a/9\.jpg \(.*[Tt]runcated"
    ):
        imported(tmp_path, contents)


def test_an_earlier_import_is_replaced_only_by_force(tmp_path, capsys):
    path = write_folder(tmp_path / "source", classes(noise))
    command = ["data", "import", "own", str(path), "--data-dir", str(tmp_path)]
    assert main(command) == 0
    assert "12 images in 2 classes: a 6, b 6" in capsys.readouterr().out
    before = (tmp_path / "own.npz").read_bytes()
    assert main([*command, "--gray"]) == 2
    assert "data set 'own' already exists" in capsys.readouterr().err
    assert (tmp_path / "own.npz").read_bytes() == before
    assert main([*command, "--gray", "--force"]) == 0
    assert (tmp_path / "own.npz").read_bytes() != before


@pytest.mark.parametrize("name", ["mnist", "MNIST", "own.npz"])
def test_a_name_of_the_course_is_refused_also_by_force(tmp_path, name):
    with pytest.raises(UsageError):
        import_images(name, write_folder(tmp_path / "s", classes(noise)), tmp_path, force=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"size": 0}, "size must be at least 1"), ({"size": 1.5}, "size must be a whole number"),
     ({"seed": -1}, "seed must be at least 0")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(tmp_path, settings, message):
    with pytest.raises(UsageError, match=message):
        import_images("own", tmp_path, tmp_path, **settings)


def test_a_path_that_does_not_exist_is_said(tmp_path):
    with pytest.raises(DataError, match="there is no folder or file"):
        import_images("own", tmp_path / "nowhere", tmp_path)
