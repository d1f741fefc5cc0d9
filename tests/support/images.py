"""Small image files of every kind that people bring, made in memory."""

import io
import tarfile
import zipfile

import numpy as np
from PIL import Image

# How a picture is stored for each value of EXIF's Orientation: the operations that undo it.
UPRIGHT = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.transpose(1, 0, 2), 2),
    8: lambda a: np.rot90(a, 1),
}


def encode(picture, kind="PNG", **settings):
    """The bytes of an image file from a Pillow image or an array."""
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **settings)
    return buffer.getvalue()


def plain(value, kind="PNG", dtype=np.uint8, channels=None, **settings):
    """An image file, 32x32, with one value everywhere."""
    shape = (32, 32) if channels is None else (32, 32, channels)
    return encode(np.full(shape, value, dtype), kind, **settings)


def halves():
    """An array uint8 (32, 32, 3), white above black with a gray left upper corner."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = 255
    pixels[:16, :16] = 128
    return pixels


def turned(orientation, kind="PNG"):
    """An image file of `halves` that is stored as a camera stores it with this orientation."""
    stored = halves()
    back = {6: 8, 8: 6}.get(orientation, orientation)  # the others are their own inverses
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(np.ascontiguousarray(UPRIGHT[back](stored)), kind, exif=exif)


def ink(mode):
    """Black ink on nothing: a transparent image file in this mode."""
    alpha = np.zeros((32, 32), np.uint8)
    alpha[:, 16:] = 255
    rgba = np.zeros((32, 32, 4), np.uint8)
    rgba[..., 3] = alpha
    if mode == "P":  # color 1 is transparent
        picture = Image.fromarray((alpha == 0).astype(np.uint8), "L").convert("P")
        picture.putpalette([0, 0, 0] * 256)
        return encode(picture, transparency=1)
    if mode == "RGB":  # the color (9, 0, 0) is transparent
        pixels = np.zeros((32, 32, 3), np.uint8)
        pixels[alpha == 0] = (9, 0, 0)
        return encode(pixels, transparency=(9, 0, 0))
    return encode(Image.fromarray(rgba).convert(mode))


def classes(make, names=("a", "b"), n=6, ending="png", prefix=""):
    """{path: content} of `n` files for each class; make(class name, number) gives the content."""
    return {f"{prefix}{name}/{i}.{ending}": make(name, i) for name in names for i in range(n)}


def noise(name="", number=0, kind="PNG"):
    """An image file of random pixels."""
    rng = np.random.default_rng([number, *name.encode()])
    return encode(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8), kind)


def write_folder(path, contents):
    for name, content in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (path / name).mkdir(exist_ok=True)
        else:
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
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            archive.addfile(info, io.BytesIO(content))
    return path
