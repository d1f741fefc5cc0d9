"""`dlcourse data import`: folders, zips and tars of images, and what is refused."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from dlcourse import data
from dlcourse.cli import main
from dlcourse.data.importer import import_images
from dlcourse.errors import DataError, UsageError

COLORS = {"blue": (0, 0, 250), "red": (250, 0, 0)}


def png(color, size=(40, 20)):
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def files(prefix="", n=10):
    return {f"{prefix}{name}/{i}.png": png(COLORS[name]) for name in COLORS for i in range(n)}


def write_folder(path, contents):
    for name, content in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def write_zip(path, contents):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def write_tar(path, contents):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


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
        DataError, match=r"2 of 22 images .* red/bad\.png, red/cut\.png; .*skip-bad"
    ):
        import_images("flags", path, tmp_path)
    assert not (tmp_path / "flags.npz").exists()
    _, counts = import_images("flags", path, tmp_path, skip_bad=True)
    assert counts == {"blue": 10, "red": 10}
    assert "left out, does not decode: red/bad.png" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["flags", "flags.zip"])
def test_empty_class_folder_is_refused(tmp_path, where):
    if where == "flags":
        path = write_folder(tmp_path / where, files())
        (path / "green").mkdir()
    else:
        path = write_zip(tmp_path / where, files() | {"green/": b""})
    with pytest.raises(DataError, match=r"class folder 'green' .* is empty; remove it"):
        import_images("flags", path, tmp_path)


def test_class_of_bad_images_alone_is_refused(tmp_path):
    path = write_folder(tmp_path / "flags", files() | {"green/a.png": b"no image"})
    with pytest.raises(DataError, match=r"class 'green' .* has no image"):
        import_images("flags", path, tmp_path, skip_bad=True)


REFUSED = {
    "no images": ({"red/a.txt": b"text"}, "holds no images; they must lie as class/name.png"),
    "image outside a class": (
        {"a.png": png((0, 0, 0))},
        "image 'a.png' .* lies in no class folder",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_folder_of_another_make_is_refused(tmp_path, what):
    contents, message = REFUSED[what]
    with pytest.raises(DataError, match=message):
        import_images("flags", write_folder(tmp_path / "flags", contents), tmp_path)


@pytest.mark.parametrize("name", ["mnist", "../x", ""])
def test_name_that_cannot_be_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="NAME must be of letters"):
        import_images(name, tmp_path, tmp_path)


def test_archive_that_is_none_or_cut_is_refused(tmp_path):
    (tmp_path / "page.zip").write_text("<html>")
    with pytest.raises(DataError, match="is no folder, zip or tar"):
        import_images("flags", tmp_path / "page.zip", tmp_path)
    path = write_tar(tmp_path / "flags.tgz", {"red/a.png": np.random.bytes(9999)})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="cannot read"):
        import_images("flags", path, tmp_path)


def test_commands_import_list_and_verify(tmp_path, capsys):
    path = write_folder(tmp_path / "flags", files())
    where = ["--data-dir", str(tmp_path)]
    assert main(["data", "import", "flags", str(path), "--size", "8", *where]) == 0
    assert "20 images in 2 classes" in capsys.readouterr().out
    assert main(["data", "list", *where]) == 0
    assert "flags" in capsys.readouterr().out
    assert main(["data", "verify", *where]) == 0
    (tmp_path / "flags.npz").write_bytes(b"PK\x03\x04")
    assert main(["data", "verify", *where]) == 1
    assert "BAD" in capsys.readouterr().out
    assert main(["data", "get", "minst", *where]) == 2
    assert "did you mean 'mnist'?" in capsys.readouterr().err
    assert main(["data", "verify", "minst", *where]) == 2
