"""Batches, splits, standardization and augmentation, held against arithmetic by hand."""

import dataclasses
import itertools

import pytest
import torch
from torch.utils.data import DataLoader

from dlcourse import data, models
from dlcourse.data.augment import windows
from dlcourse.data.images import stratified_split
from dlcourse.data.normalize import Standardization
from dlcourse.errors import DataError, UnknownNameError, UsageError
from dlcourse.train import fit


def toy(n=100, C=1, size=6, num_classes=5):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, C, size, size), generator=generator, dtype=torch.uint8)
    images[:, :, 0, 0] = torch.arange(n).view(n, 1) % 256  # the sample's own number
    labels = torch.arange(n) % num_classes
    names = tuple(map(str, range(num_classes)))
    return data.ImageData("toy", "toy", False, names, images, labels, images[:20], labels[:20])


def numbers(batches):
    return [x[:, 0, 0, 0].round().int().tolist() for x, _ in batches]


def flat(lists):
    return list(itertools.chain.from_iterable(lists))


def raw(batch_size=16, **settings):
    """Train batches whose corner pixel gives the sample's number back."""
    train, *rest = toy().batches(batch_size, normalize="none", **settings)
    for one in (train, *rest):
        one.normalize = None
    return train, *rest


def test_every_sample_comes_once_and_the_short_batch_last():
    train, val, test = raw()
    got = numbers(train)
    assert [len(batch) for batch in got] == [16] * 5 + [10]
    assert (len(train), train.num_samples, val.num_samples, test.num_samples) == (6, 90, 10, 20)
    order = flat(got)
    assert order != sorted(order)
    assert sorted(order + flat(numbers(val))) == list(range(100))
    assert flat(numbers(test)) == list(range(20))


def test_drop_last_leaves_the_short_batch_out():
    train, *_ = raw(drop_last=True)
    assert [len(batch) for batch in numbers(train)] == [16] * 5
    assert len(train) == 5


def test_order_is_a_function_of_seed_and_epoch_alone():
    train, *_ = raw(seed=3)
    first, second = numbers(train), numbers(train)
    assert first != second
    train.set_epoch(0)
    assert numbers(train) == first
    other, *_ = raw(seed=3)
    other.set_epoch(1)
    assert numbers(other) == second
    assert numbers(raw(seed=4)[0]) != first


def test_a_dataloader_over_the_same_samples_trains_fit_to_the_same_losses():
    def losses(train):
        torch.manual_seed(0)
        model = models.build("mlp", in_features=36, hidden_sizes=(8,), num_classes=5)
        return fit(model, train, epochs=2, lr=0.01, device="cpu")["train_loss"]

    batches, *_ = toy().batches(16, seed=3)
    samples = [pair for x, y in batches for pair in zip(x, y, strict=True)]
    batches.set_epoch(0)
    assert losses(DataLoader(samples, 16))[0] == losses(batches)[0]


def test_global_seed_changes_nothing():
    torch.manual_seed(1)
    first = numbers(raw()[0])
    torch.manual_seed(2)
    assert numbers(raw()[0]) == first


def test_validation_is_the_same_for_every_seed_and_stratified():
    first, second = raw(seed=0)[1], raw(seed=9)[1]
    assert numbers(first) == numbers(second)
    labels = torch.cat([targets for _, targets in first])
    assert labels.bincount().tolist() == [2] * 5


def test_stratified_split_keeps_shares_of_uneven_classes():
    labels = torch.tensor([0] * 700 + [1] * 200 + [2] * 100)
    rest, cut = stratified_split(labels, 0.1, torch.Generator().manual_seed(0))
    assert labels[cut].bincount().tolist() == [70, 20, 10]
    assert sorted([*rest.tolist(), *cut.tolist()]) == list(range(1000))


def test_limit_takes_a_stratified_few():
    train, val, test = toy().batches(8, limit=50)
    assert (train.num_samples, val.num_samples, test.num_samples) == (45, 5, 20)


def test_inputs_are_float32_standardized_by_the_training_part_alone():
    made = toy(C=3)
    train, val, _ = made.batches(16, val_fraction=0.5)
    inputs = torch.cat([x for x, _ in train])
    assert inputs.dtype == torch.float32
    assert torch.allclose(inputs.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(inputs.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4)
    before = train.normalize.mean.clone()
    made.train_images[val.indices] = 255
    assert torch.equal(made.batches(16, val_fraction=0.5)[0].normalize.mean, before)


def test_standardization_by_pixel_equals_torch_and_keeps_dead_pixels_finite():
    images = torch.randint(256, (50, 3, 4, 4), dtype=torch.uint8)
    images[:, :, 0, 0] = 7
    standardization = Standardization.of(images, torch.arange(40), "pixel")
    part = images[:40].double()
    assert torch.allclose(standardization.mean.double(), part.mean(0))
    assert torch.allclose(standardization.std.double(), part.std(0, correction=0).clamp(min=1))
    assert standardization(images.float())[:, :, 0, 0].abs().max() == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"limit": 0}, "limit must be at least 1, got 0"),
        ({"val_fraction": 1.0}, "val_fraction must be at least 0 and below 1, got 1.0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"batch_size": 1.5}, "batch_size must be a whole number, at least 1, got 1.5"),
        ({"batch_size": "64"}, "batch_size must be a whole number, at least 1, got '64'"),
        ({"limit": 10.0}, "limit must be a whole number, at least 1, got 10.0"),
        ({"val_fraction": "half"}, "val_fraction must be at least 0 and below 1, got 'half'"),
        ({"val_fraction": float("nan")}, "val_fraction must be at least 0 and below 1, got nan"),
        ({"val_fraction": 0.001}, "val_fraction 0.001 of 100 samples is less than one sample"),
        ({"limit": 4}, "val_fraction 0.1 of 4 samples is less than one sample"),
        ({"val_fraction": 0.999, "limit": 9}, "there is no training image"),
        (
            {"batch_size": 91, "drop_last": True},
            "drop_last with batch_size 91 leaves",
        ),
        ({"augment": data.Flip}, r"augment must be a function or None, got .*; write Flip\(\)"),
        ({"augment": "flip"}, "augment must be a function or None, got 'flip'"),
        ({"split_seed": -1}, "split_seed must be at least 0, got -1"),
    ],
)
def test_values_that_cannot_be_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        toy().batches(**settings)


def test_unknown_normalization_is_refused():
    with pytest.raises(UnknownNameError, match=r"unknown normalization 'pixels'; did you"):
        toy().batches(normalize="pixels")


def images(B=300, C=3, H=8, W=10):
    return torch.randint(1, 256, (B, C, H, W), dtype=torch.uint8)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [1, 2, 300])
def test_crop_gives_windows_of_the_padded_image_each_its_own(size):
    x = images(size)
    y = data.Crop(2)(x, generator())
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2))
    offsets = set()
    for before, after in zip(padded, y, strict=True):
        found = [(i, j) for i in range(5) for j in range(5)
                 if torch.equal(before[:, i : i + 8, j : j + 10], after)]  # fmt: skip
        assert len(found) == 1
        offsets.update(found)
    assert size < 300 or len(offsets) == 25


def test_windows_equal_a_gather_also_of_what_is_not_contiguous():
    x = images(20).transpose(2, 3)  # not contiguous
    top, left = torch.randint(3, (2, 20))
    every = x.unfold(2, 8, 1).unfold(3, 6, 1)
    assert torch.equal(windows(x, top, left, (8, 6)), every[torch.arange(20), :, top, left])


def test_a_batch_may_be_empty_or_a_part_of_another():
    x, steps = images(), data.Compose(data.Crop(2), data.Flip())
    assert steps(x[:0], generator()).shape == x[:0].shape
    assert torch.equal(steps(x[7:20], generator()), steps(x[7:20].clone(), generator()))


def test_flip_mirrors_about_half_and_p_decides():
    x = images()
    y = data.Flip()(x, generator())
    mirrored = (y == x.flip(3)).flatten(1).all(1)
    assert ((y == x).flatten(1).all(1) ^ mirrored).all()
    assert 110 < mirrored.sum() < 190
    assert torch.equal(data.Flip(1.0)(x, generator()), x.flip(3))
    assert torch.equal(data.Flip(0.0)(x, generator()), x)


def test_cutout_blackens_one_square_in_every_channel():
    x = images()
    holes = data.Cutout(4)(x, generator()) == 0
    assert (holes == holes[:, :1]).all()
    areas = holes[:, 0].sum((1, 2))
    assert areas.max() == 16  # whole inside
    assert areas.min() >= 4  # in the corner
    rows, columns = holes[:, 0].any(2).sum(1), holes[:, 0].any(1).sum(1)
    assert torch.equal(rows * columns, areas)


def test_noise_has_its_standard_deviation_and_stays_in_range():
    x = torch.full((50, 1, 20, 20), 128, dtype=torch.uint8)
    y = data.Noise(10)(x, generator())
    assert y.dtype == torch.uint8
    assert 9.5 < y.float().std() < 10.5
    assert data.Noise(200)(x, generator()).max() == 255


def test_augmentation_reaches_train_alone_and_repeats_by_seed():
    black = data.Compose(data.Flip(), data.Cutout(20))
    train, val, _ = raw(augment=black)
    assert flat(numbers(train)).count(0) > 80
    assert flat(numbers(val)) == sorted(flat(numbers(val)))
    one, again = raw(augment=data.Shift(2))[0], raw(augment=data.Shift(2))[0]
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(one, again, strict=True))


def test_augmentation_refuses_what_cannot_be():
    with pytest.raises(UsageError, match="padding must be at least 0, got -1"):
        data.Crop(-1)
    with pytest.raises(UsageError, match="p must be between 0 and 1, got 2"):
        data.Flip(2)


@pytest.mark.cuda
def test_order_and_augmentation_are_the_same_on_cuda():
    augment = data.Compose(data.Crop(2), data.Flip(), data.Cutout(3), data.Noise(5))
    for (x, y), (u, v) in zip(
        toy().batches(16, augment=augment)[0],
        toy().batches(16, augment=augment, device="cuda")[0],
        strict=True,
    ):
        assert torch.equal(y, v.cpu())
        assert torch.allclose(x, u.cpu(), atol=0.03)  # a rounding of the noise may differ


def test_a_batch_larger_than_the_data_holds_all_of_them():
    train, val, test = raw(batch_size=1000)
    assert [[len(batch) for batch in numbers(b)] for b in (train, val, test)] == [[90], [10], [20]]


@pytest.mark.parametrize(("settings", "message"), [
    ({"labels": torch.zeros(5).long()}, "6 images do not match 5 labels"),
    ({"indices": torch.tensor([0, 6])}, "indices must be int64, 0 to 5, got torch.int64, 0 to 6"),
    ({"indices": torch.tensor([-1])}, "indices must be int64, 0 to 5, got torch.int64, -1 to -1"),
    ({"indices": torch.tensor([0.5])}, "indices must be int64, 0 to 5, got torch.float32"),
])  # fmt: skip
def test_batches_refuse_tensors_that_do_not_fit(settings, message):
    given = {"images": images(6), "labels": torch.zeros(6).long(), "batch_size": 2} | settings
    with pytest.raises(UsageError, match=message):
        data.Batches(**given)


WRONG_DATA = {
    "float images": ({"train_images": torch.rand(100, 1, 6, 6)}, r"scale \[0, 1\] with"),
    "no channels": ({"train_images": images(100)[:, 0]}, r"add the channel with images\[:, None\]"),
    "labels from 1": ({"train_labels": torch.arange(100) % 5 + 1}, "must be 0 to 4, got 1 to 5"),
    "int32 labels": ({"test_labels": torch.zeros(20).int()}, r"use labels.astype\(np.int64\)"),
    "a list": ({"test_labels": [0] * 20}, "test_labels of 'toy' must be a tensor"),
    "two equal names": ({"class_names": ("a",) * 5}, "class_names in 'toy' must differ"),
}


@pytest.mark.parametrize("what", WRONG_DATA)
def test_image_data_of_another_form_are_refused_with_a_cure(what):
    change, message = WRONG_DATA[what]
    with pytest.raises(DataError, match=message):
        dataclasses.replace(toy(), **change)


@pytest.mark.parametrize("augmentation", [
    data.Crop(2), data.Shift(1), data.Flip(), data.Cutout(2), data.Noise(1),
])  # fmt: skip
def test_augmentations_refuse_what_is_no_image(augmentation):
    name = type(augmentation).__name__.replace("Shift", "Crop")
    with pytest.raises(UsageError, match=rf"{name} takes images \(B, C, H, W\), got \(8, 784\)"):
        augmentation(torch.zeros(8, 784), generator())


def test_augmentations_refuse_settings_that_make_no_sense():
    for make, message in (
        (lambda: data.Crop(1.5), "padding must be a whole number"),
        (lambda: data.Cutout(0), "size must be at least 1"),
        (lambda: data.Noise(float("nan")), "std must be at least 0, got nan"),
        (lambda: data.Compose(data.Flip), "Compose takes augmentations such as Flip"),
        (lambda: data.Noise(5)(torch.rand(1, 1, 2, 2), generator()), "Noise takes uint8 images"),
    ):
        with pytest.raises(UsageError, match=message):
            make()
