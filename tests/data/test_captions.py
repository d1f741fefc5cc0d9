"""`dlcourse data import --captions`, `load_captioned`, and lab 15 on images of your own."""

import numpy as np
import pytest
import torch
from PIL import Image

from dlcourse import course, data
from dlcourse.cli import main
from dlcourse.errors import DataError, UnknownNameError

N = 12
ROWS = [
    (f"in/{i}.png", f"{text} {i}") for i in range(N) for text in ("A dog, running", "The Cat's")
]


def table(rows, between=",", heading=("image", "caption")):
    """A file of captions: each caption in double quotes."""
    lines = [between.join(heading), *(f'{image}{between}"{text}"' for image, text in rows)]
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path):
    """Twelve images of one gray each: 20 times the number in their name."""
    (tmp_path / "photos" / "in").mkdir(parents=True)
    for i in range(N):
        Image.new("RGB", (10, 8), (20 * i,) * 3).save(tmp_path / "photos" / "in" / f"{i}.png")
    return tmp_path


def run(folder, text, *flags, name="captions.txt"):
    """Import with this file of captions; return the exit status."""
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    command = ["data", "import", "own", str(folder / "photos"), "--captions", str(file)]
    return main([*command, "--size", "8", "--data-dir", str(folder / "data"), *flags])


@pytest.mark.parametrize(("name", "between"), [("captions.txt", ","), ("captions.tsv", "\t")])
def test_each_image_keeps_its_own_captions_and_is_in_one_split(folder, capsys, name, between):
    assert run(folder, table(ROWS, between), name=name) == 0
    said = capsys.readouterr().out
    assert "24 captions of 9 images to train on, 1 to validate and 2 to test on" in said
    own = data.load_captioned("own", folder / "data")
    seen = []
    for split in (own.train, own.val, own.test):
        assert split.images.dtype == torch.uint8
        assert split.images.shape == (len(split.captions), 3, 8, 8)
        for image, captions in zip(split.images, split.captions, strict=True):
            number = image.unique().item() // 20
            assert captions == [
                ["a", "dog", ",", "running", str(number)],
                ["the", "cat", "'", "s", str(number)],
            ]
            seen.append(number)
    assert sorted(seen) == list(range(N))
    assert main(["data", "verify", "own", "--data-dir", str(folder / "data")]) == 0


def test_columns_may_stand_in_any_order_among_others_and_paths_in_the_way_of_windows(folder):
    rows = [f'{i},"a  dog",.\\in\\{i}.png' for i in range(N)]
    assert run(folder, "\ufeffnumber, Caption,image\r\n" + "\r\n".join(rows)) == 0
    own = data.load_captioned("own", folder / "data")
    assert own.train.captions == [[["a", "dog"]]] * 9


REFUSED = {
    "no column": (
        table(ROWS, heading=("file", "caption")),
        r"columns image and caption.*'file', '",
    ),
    "a column twice": (table(ROWS, heading=("image", "image")), "once each; it names 'image', '"),
    "no such image": (
        table([*ROWS, ("in/x.png", "a")]),
        r"line 26 of .* names the image 'in/x.png', which is not in",
    ),
    "images without a caption": (
        table(ROWS[:-4]),
        r"2 of the images in .* have no caption: in/10.png, in/11.png; add captions",
    ),
    "an empty caption": (table([*ROWS, ("in/1.png", " ")]), "line 26 of .* has an empty caption"),
    "a comma without quotes": (table(ROWS) + "in/1.png,a,b\n", "line 26 .* has 3 columns, but"),
    "an open quote": (table(ROWS) + 'in/1.png,"a\n', "line 2[67] of .* cannot be read"),
    "not UTF-8": (table([("in/1.png", "ä")]).encode("latin1"), "is not UTF-8 .*line 2"),
    "no rows": ("image,caption\n\n", "has no lines of captions below its first line"),
    "no text": ("", "is empty"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_file_of_captions_is_refused_in_one_line_and_nothing_is_written(folder, capsys, what):
    text, message = REFUSED[what]
    assert run(folder, text) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    with pytest.raises(DataError, match=message):
        raise DataError(said)
    assert not (folder / "data").exists()


def test_images_that_cannot_be_used_are_left_out_on_demand(folder, capsys):
    (folder / "photos" / "in" / "0.png").write_bytes(b"no image")
    assert run(folder, table(ROWS[:-2])) == 2
    assert "have no caption: in/11.png" in capsys.readouterr().err
    assert run(folder, table(ROWS[:-2]), "--skip-bad") == 0
    said = capsys.readouterr().err
    assert "left out in/0.png: not an image" in said
    assert "left out: 1 of the images in" in said
    own = data.load_captioned("own", folder / "data")
    grays = torch.cat([split.images for split in (own.train, own.val, own.test)])[:, 0, 0, 0]
    assert sorted(grays.tolist()) == [20 * i for i in range(1, N - 1)]


def test_too_few_images_gray_and_an_earlier_import_are_refused(folder, capsys):
    assert run(folder, table(ROWS), "--gray") == 2
    assert "--gray does not work with --captions" in capsys.readouterr().err
    for i in range(6, N):
        (folder / "photos" / "in" / f"{i}.png").unlink()
    assert run(folder, table(ROWS[:12])) == 2
    assert "6 images with captions: too few .* 7 are needed".replace(".*", "to be split into "
        "training, validation and test;") in capsys.readouterr().err  # fmt: skip
    (folder / "data" / "own.npz").write_bytes(b"")
    assert run(folder, table(ROWS[:12])) == 2
    assert "already exists" in capsys.readouterr().err


def test_an_unknown_or_damaged_name_is_refused_and_the_others_are_named(folder):
    assert run(folder, table(ROWS)) == 0
    path = folder / "data" / "own.npz"
    np.savez(folder / "data" / "other.npz", x=np.zeros(1))
    for name in ("owm", "other", "../data/own"):
        with pytest.raises(UnknownNameError, match=r"unknown captioned images .*\(own\)"):
            data.load_captioned(name, folder / "data")
    with pytest.raises(DataError, match=r"holds no captioned images, .* --captions FILE$"):
        data.load_captioned("own", folder)
    with pytest.raises(DataError, match=r"with captions, not with classes; .*load_captioned"):
        data.load("own", folder / "data", offline=True)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {"test_places": arrays["test_places"] + 1})
    with pytest.raises(
        DataError,
        match=r"damaged: test_captions do not fit the 2 test_images; import",
    ):
        data.load_captioned("own", folder / "data")
    assert main(["data", "verify", "own", "--data-dir", str(folder / "data")]) == 1


def test_lab_15_captions_images_of_your_own(folder, capsys):
    """Two captions for dark images and two for bright ones: whoever mixes them up scores less."""
    texts = (
        ["the night is dark and long", "dark as the night"],
        ["a bright day in may", "so bright a day"],
    )
    assert run(folder, table([(f"in/{i}.png", t) for i in range(N) for t in texts[i >= 6]])) == 0
    lab15 = course.load_script(course.find_lab("lab15").solution)
    flags = ["--data-dir", str(folder / "data"), "--out", str(folder / "out"), "--epochs", "60"]
    capsys.readouterr()
    lab15.main(["--captions", "own", *flags])
    said = capsys.readouterr().out.splitlines()
    assert "9 images with 18 captions" in said[0]
    assert said[2] == "BLEU of the captions of 2 test images"
    assert [line.split()[-1] for line in said[3:]] == ["100.0", "100.0"]
    with pytest.raises(UnknownNameError, match="did you mean 'own'"):
        lab15.main(["--captions", "owm", *flags])
