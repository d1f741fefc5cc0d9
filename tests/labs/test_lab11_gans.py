"""Tests of lab 11, with their points. `student` is the lab under test: a solution or a submission.

The oracles are the formulas in float64, the same steps on a twin, and numbers computed by hand.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from dlcourse.check import assert_close, expect, points
from dlcourse.check.student import StudentError


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@points(
    0.5,
    task="11.1",
    forbidden=("dlcourse.train*",),
    hint="mean of -log D(real), plus mean of -log(1 - D(fake)), separately",
)
def test_discriminator_loss_is_the_formula(student):
    # Probabilities that D is right: 1/2, 3/4 and 1/4 on three real images, 4/5 on one fake.
    real, fake = torch.tensor([1.0, 3, 1 / 3]).log(), torch.tensor([1 / 4]).log()
    on_real, on_fake = torch.tensor(32 / 3).log() / 3, torch.tensor(5 / 4).log()
    swapped = torch.tensor(32 / 3).log() / 3 + torch.tensor(5.0).log()
    expect(
        student.discriminator_loss(real, fake),
        on_real + on_fake,
        mistakes={
            "swapping real and fake": swapped,
            "one mean over all images, real and fake": (3 * on_real + on_fake) / 4,
            "sums instead of means": 3 * on_real + on_fake,
            "half of the loss": (on_real + on_fake) / 2,
            "leaving out the fakes": on_real,
            "leaving out the minus": -(on_real + on_fake),
        },
    )
    sure = torch.tensor([300.0])  # the sigmoid of -300 is rounded to 0
    expect(
        student.discriminator_loss(-sure, sure),
        torch.tensor(600.0),
        mistakes={
            "the log of a sigmoid that was rounded to 0": torch.tensor(torch.inf),
            "a small number in the log, which hides how wrong D is": -2 * torch.tensor(1e-8).log(),
            "F.binary_cross_entropy, which stops at 100": torch.tensor(200.0),
        },
    )
    expect(student.discriminator_loss(sure, -sure), torch.tensor(0.0))
    far = torch.tensor([-300.0, 300.0, 300.0], requires_grad=True)
    fakes = torch.tensor([300.0, -300.0], requires_grad=True)
    grads = student.probe("gradients", "discriminator_loss", far, fakes)
    names = ("the gradient with respect to real_logits", "the one with respect to fake_logits")
    expect(grads, [torch.tensor([-1 / 3, 0.0, 0.0]), torch.tensor([0.5, 0.0])], names)


@points(0.5, task="11.1", hint="use softplus, not the log of a rounded sigmoid", hidden=True)
def test_discriminator_loss_holds_for_large_logits(student):
    real, fake = randn(5), randn(3, seed=1)
    expected = F.softplus(-real).mean() + F.softplus(fake).mean()
    assert_close(student.discriminator_loss(real, fake), expected)
    for size in (60.0, 1e4):
        sure = torch.tensor([size])
        assert_close(student.discriminator_loss(sure, -sure), torch.tensor(0.0))
        assert_close(student.discriminator_loss(-sure, -sure), torch.tensor(size))
        assert_close(student.discriminator_loss(sure, sure), torch.tensor(size))
    far = torch.tensor([-1e4, 1e4], requires_grad=True)
    grads = student.probe("gradients", "discriminator_loss", far, torch.zeros(1))
    assert_close(grads[0], torch.tensor([-0.5, 0.0]))


@points(
    1,
    task="11.2",
    forbidden=("dlcourse.train*",),
    hint="log(1 - D) for minimax, -log D for non_saturating: check the signs",
)
def test_generator_losses_are_the_formulas(student):
    fake = torch.tensor([1.0, 3, 1 / 3, 4]).log()  # D(fake) is 1/2, 3/4, 1/4 and 4/5
    loss = torch.tensor([2, 4 / 3, 4, 5 / 4]).log().mean()  # of -log D
    other = torch.tensor([2, 4, 4 / 3, 5]).log().mean()  # of -log(1 - D)
    mistakes = {
        "the wrong sign": -loss,
        "-log(1 - D): the fakes would look fake": other,
        "log(1 - D), the minimax loss": -other,
        "the sum over the images instead of their mean": 4 * loss,
    }
    expect(student.generator_loss(fake), loss, mistakes=mistakes)
    expect(student.generator_loss(fake, "non_saturating"), loss, mistakes=mistakes)
    expect(
        student.generator_loss(fake, "minimax"),
        -other,
        mistakes={
            "the wrong sign": other,
            "-log D, the non-saturating loss": loss,
            "log D instead of log(1 - D)": -loss,
            "the sum over the images instead of their mean": -4 * other,
        },
    )
    sure = torch.tensor([-300.0, 300.0])  # finite for logits of any size
    rounded = {"the log of a sigmoid that was rounded": torch.tensor(torch.inf)}
    expect(student.generator_loss(sure), torch.tensor(150.0), mistakes=rounded)
    rounded = {name: -value for name, value in rounded.items()}
    expect(student.generator_loss(sure, "minimax"), torch.tensor(-150.0), mistakes=rounded)
    sure.requires_grad_()
    for kind, slopes in (("minimax", [0.0, -0.5]), ("non_saturating", [-0.5, 0.0])):
        got = student.probe("gradients", "generator_loss", sure, kind)[0]
        expect(got, torch.tensor(slopes), "the gradient with respect to fake_logits")


@points(1, task="11.2", hint="use softplus, which is finite for logits of any size", hidden=True)
def test_generator_losses_hold_where_the_discriminator_is_sure(student):
    fake = randn(7)
    assert_close(student.generator_loss(fake), F.softplus(-fake).mean())
    assert_close(student.generator_loss(fake, "minimax"), -F.softplus(fake).mean())
    for size in (60.0, 1e4):
        fake, real = torch.tensor([-size]), torch.tensor([size])
        assert_close(student.generator_loss(fake), torch.tensor(size))
        assert_close(student.generator_loss(real), torch.tensor(0.0))
        assert_close(student.generator_loss(fake, "minimax"), torch.tensor(0.0))
        assert_close(student.generator_loss(real, kind="minimax"), torch.tensor(-size))
    for kind, slopes in (("minimax", [0.0, -0.5]), ("non_saturating", [-0.5, 0.0])):
        far = torch.tensor([-1e4, 1e4], requires_grad=True)
        assert_close(
            student.probe("gradients", "generator_loss", far, kind)[0], torch.tensor(slopes)
        )


CALLS = {
    "discriminator": "discriminator_step(generator, discriminator, optimizer, images, latents)",
    "generator": "generator_step(generator, discriminator, optimizer, latents, kind)",
}


class Players:
    """A small game for the student, and its twin: G from 3 to 4 numbers, D from 4 to a logit."""

    def __init__(self, student, seed=0, lr=0.1):
        self.nets = {
            "generator": student.nn.Linear(3, 4),
            "discriminator": student.nn.Sequential(student.nn.Linear(4, 1), student.nn.Flatten(0)),
        }
        self.twins = {
            "generator": nn.Linear(3, 4),
            "discriminator": nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)),
        }
        self.lr, self.optimizers, self.steps = lr, {}, {}
        for number, (name, twin) in enumerate(self.twins.items()):
            drawn = {
                key: randn(*value.shape, seed=10 * seed + 3 * number + i, dtype=torch.float32)
                for i, (key, value) in enumerate(twin.state_dict().items())
            }
            twin.load_state_dict(drawn)
            self.nets[name].load_state_dict(drawn)
            self.optimizers[name] = student.probe("gradient_descent", self.nets[name], lr)

    def twin_step(self, name, loss):
        """Make one step of the twin called `name`; keep in `wrong` what mistakes would give."""
        before = self.weights(self.twins, name)
        weights = list(self.twins[name].parameters())
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.data -= self.lr * gradient
        after = self.weights(self.twins, name)
        step = {key: after[key] - before[key] for key in after}
        self.wrong = {
            "no step: a detached image, or zero_grad, backward and step in another order": before,
            "a step in the other direction": {key: before[key] - step[key] for key in step},
            "two steps": {key: before[key] + 2 * step[key] for key in step},
        }
        if name in self.steps:
            old = {key: after[key] + self.steps[name][key] for key in step}
            self.wrong["adding the gradient of the step before; zero_grad is missing"] = old
        self.steps[name] = step

    def twin_discriminator_step(self, images, latents):
        D, fakes = self.twins["discriminator"], self.twins["generator"](latents)
        loss = -F.logsigmoid(D(images)).mean() - F.logsigmoid(-D(fakes)).mean()
        self.twin_step("discriminator", loss)
        return loss.item()

    def twin_generator_step(self, latents, kind="non_saturating"):
        logits = self.twins["discriminator"](self.twins["generator"](latents))
        minimax = kind == "minimax"
        loss = F.logsigmoid(-logits).mean() if minimax else -F.logsigmoid(logits).mean()
        self.twin_step("generator", loss)
        return loss.item()

    def weights(self, nets, name):
        return {key: value.clone() for key, value in nets[name].state_dict().items()}

    def compare(self, name, words, mistakes=None):
        """Compare the weights of the player called `name` with those of its twin."""
        expected = self.weights(self.twins, name)
        expect(self.weights(self.nets, name), expected, words, mistakes=mistakes, call=CALLS[name])


def close(got, expected, name, mistakes=None):
    """Compare the loss that the step of the player called `name` returned."""
    assert isinstance(got, float), f"expected the loss as a float, got {type(got).__name__}"
    expect(got, expected, "loss", mistakes=mistakes, rtol=1e-4, atol=1e-5, call=CALLS[name])


def draw(seed):
    return randn(6, 4, seed=seed, dtype=torch.float32), randn(5, 3, seed=seed, dtype=torch.float32)


def step_discriminator(student, players, images, latents):
    return student.discriminator_step(
        players.nets["generator"],
        players.nets["discriminator"],
        players.optimizers["discriminator"],
        images,
        latents,
    )


def step_generator(student, players, latents, *kind):
    nets = players.nets["generator"], players.nets["discriminator"]
    try:
        return student.generator_step(*nets, players.optimizers["generator"], latents, *kind)
    except StudentError as error:
        if "does not require grad" in error.text:
            error.text = "no gradient reaches the generator: is something detached?"
        raise


def check_left_alone(players, name, before, call):
    """Check that a step of one player did not change the other one, called `name`."""
    got = players.weights(players.nets, name)
    expect(got, before, f"the {name}'s weights changed, and it was not its turn", call=CALLS[call])
    for player in players.nets:
        learning = [weight.requires_grad for weight in players.nets[player].parameters()]
        what = f"requires_grad of the {player}'s weights afterwards"
        expect(learning, [True, True], what, call=CALLS[call])
        what = f"training mode of the {player} afterwards"
        expect(players.nets[player].training, True, what, call=CALLS[call])


@points(
    1,
    task="11.3",
    forbidden=("dlcourse.train*",),
    needs=("11.1",),
    hint="return the loss on images and on generator(latents), as a float",
)
def test_discriminator_step_moves_the_discriminator(student):
    players = Players(student)
    before = players.weights(players.twins, "generator")
    for number in (1, 2):
        images, latents = draw(99 + number)
        got = step_discriminator(student, players, images, latents)
        D, fakes = players.twins["discriminator"], players.twins["generator"](latents)
        swapped = -F.logsigmoid(D(fakes)).mean() - F.logsigmoid(-D(images)).mean()
        same = -F.logsigmoid(D(images)).mean() - F.logsigmoid(-D(images)).mean()
        fooled = -F.logsigmoid(D(fakes)).mean()
        wrong = {
            "swapping the images and the fakes": swapped.item(),
            "taking the images as fakes too": same.item(),
            "the generator's loss": fooled.item(),
        }
        expected = players.twin_discriminator_step(images, latents)
        D = players.twins["discriminator"]
        after = -F.logsigmoid(D(images)).mean() - F.logsigmoid(-D(fakes)).mean()
        wrong["measuring after the step"] = after.item()
        close(got, expected, "discriminator", wrong)
        what = f"the discriminator's weights after step {number}"
        players.compare("discriminator", what, players.wrong)
        check_left_alone(players, "generator", before, "discriminator")


@points(
    1,
    task="11.3",
    needs=("11.1",),
    hint="detach() the fakes: store no gradient in the generator",
)
def test_discriminator_step_leaves_no_gradient_in_the_generator(student):
    players = Players(student, seed=1)
    before = players.weights(players.twins, "generator")
    step_discriminator(student, players, *draw(200))
    # With a gradient in its weights, this step would move the generator.
    players.optimizers["generator"].step()
    got = players.weights(players.nets, "generator")
    expect(
        got,
        before,
        "a gradient was stored in the generator; are the fakes detached? Its weights after "
        "optimizer.step()",
        call=CALLS["discriminator"],
    )


@points(
    0.5,
    task="11.4",
    forbidden=("dlcourse.train*",),
    needs=("11.2",),
    hint="the gradient goes through the discriminator into the generator",
)
def test_generator_step_moves_the_generator(student):
    for seed, kind in enumerate(("non_saturating", "minimax")):
        players = Players(student, seed=seed)
        before = players.weights(players.twins, "discriminator")
        _, latents = draw(300)
        logits = players.twins["discriminator"](players.twins["generator"](latents))
        losses = {"minimax": F.logsigmoid(-logits), "non_saturating": -F.logsigmoid(logits)}
        other = next(name for name in losses if name != kind)
        got = step_generator(student, players, latents, *[kind][:seed])
        mistakes = {f"the {other} loss": losses[other].mean().item()}
        close(got, players.twin_generator_step(latents, kind), "generator", mistakes)
        what = f"the generator's weights after one step of the {kind} loss"
        players.compare("generator", what, players.wrong)
        check_left_alone(players, "discriminator", before, "generator")


def take_turns(student, rounds=4, seed=2):
    players = Players(student, seed=seed)
    for number in range(rounds):
        images, latents = draw(400 + number)
        got = step_discriminator(student, players, images, latents)
        close(got, players.twin_discriminator_step(images, latents), "discriminator")
        _, latents = draw(500 + number)
        got = step_generator(student, players, latents, "minimax")
        close(got, players.twin_generator_step(latents, "minimax"), "generator")
    return players


@points(
    0.5,
    task="11.4",
    needs=("11.1", "11.2", "11.3"),
    hint="call zero_grad before backward in both steps: older gradients must have no effect",
)
def test_two_rounds_in_turn(student):
    players = take_turns(student, rounds=2, seed=3)
    for name in players.nets:
        players.compare(name, f"the {name}'s weights after two rounds: were older gradients used?")


@points(
    1,
    task="11.3",
    needs=("11.1", "11.2", "11.4"),
    hint="call zero_grad before backward: generator_step stored gradients in D",
    hidden=True,
)
def test_no_gradient_leaks_into_the_discriminators_next_step(student):
    take_turns(student).compare("discriminator", "the discriminator's weights")
    players = Players(student, seed=5)
    before = players.weights(players.twins, "generator")
    step_discriminator(student, players, *draw(600))
    players.optimizers["generator"].step()  # a gradient that was stored would move it
    expect(players.weights(players.nets, "generator"), before, "the generator's weights")


@points(
    1,
    task="11.4",
    needs=("11.1", "11.2", "11.3"),
    hint="call zero_grad of the generator before each backward",
    hidden=True,
)
def test_no_gradient_leaks_into_the_generators_next_step(student):
    take_turns(student).compare("generator", "the generator's weights")


def generator_shapes(latent_dim, width):
    wide = (2 * width,)
    return {
        "start.weight": (latent_dim, 2 * width, 7, 7),
        "start.bias": wide,
        "norm1.weight": wide,
        "norm1.bias": wide,
        "up1.weight": (2 * width, width, 4, 4),
        "up1.bias": (width,),
        "norm2.weight": (width,),
        "norm2.bias": (width,),
        "up2.weight": (width, 1, 4, 4),
        "up2.bias": (1,),
    }


def loaded_generator(student, latent_dim, width):
    """Build the student's generator with random weights, so that it cannot choose them."""
    model = student.Generator(latent_dim, width=width)
    state = model.state_dict()
    weights = {
        name: randn(*shape, seed=seed, dtype=torch.float32) / 3
        for seed, (name, shape) in enumerate(generator_shapes(latent_dim, width).items())
    }
    model.load_state_dict(state | weights)
    return model, weights


@points(
    0.5,
    task="11.5",
    forbidden=("dlcourse.models*",),
    hint="compare with the table: which layer has another shape or name?",
)
def test_generator_has_the_layers_of_the_table(student):
    for latent_dim, width in ((64, 32), (5, 3)):
        state = student.Generator(latent_dim, width).state_dict()
        learned = {
            name: tuple(value.shape)
            for name, value in state.items()
            if "running" not in name and "batches" not in name
        }
        what = "the shapes of the weights"
        expect(learned, generator_shapes(latent_dim, width), what)


# Pixels 7, 11, 15 and 19 in row 5 of four images; see test_generator_computes_known_pixels.
GENERATED = [
    [0.4801, 0.3919, 0.4394, 0.4579],
    [0.4191, 0.4247, 0.4786, 0.4476],
    [0.4421, 0.3816, 0.2895, 0.4064],
    [0.3840, 0.4804, 0.3918, 0.5293],
]


# The same pixels after typical mistakes, and the gradient of the sum of all pixels with respect to
# the first latents.
WRONGLY_GENERATED = {
    "leaving out the first ReLU": [
        [0.4474, 0.4756, 0.4991, 0.4774],
        [0.4916, 0.4657, 0.5339, 0.502],
        [0.5542, 0.6061, 0.3021, 0.4603],
        [0.3455, 0.4028, 0.5161, 0.5078],
    ],
    "leaving out the second ReLU": [
        [0.5693, 0.4026, 0.4758, 0.5265],
        [0.4815, 0.5015, 0.5411, 0.5311],
        [0.5708, 0.5133, 0.3192, 0.4212],
        [0.2921, 0.5696, 0.4962, 0.6255],
    ],
    "a leaky ReLU": [
        [0.4883, 0.427, 0.4817, 0.4889],
        [0.4621, 0.4649, 0.5286, 0.4972],
        [0.5341, 0.4994, 0.3147, 0.443],
        [0.3561, 0.4689, 0.4822, 0.5491],
    ],
    "leaving out norm2": [
        [0.4982, 0.5044, 0.5033, 0.5011],
        [0.5034, 0.5031, 0.5031, 0.5008],
        [0.482, 0.502, 0.5001, 0.5037],
        [0.5277, 0.4846, 0.4984, 0.4973],
    ],
    "the ReLU before norm2": [
        [0.4857, 0.4291, 0.4345, 0.4571],
        [0.4349, 0.4342, 0.4343, 0.4595],
        [0.6112, 0.4537, 0.4678, 0.4354],
        [0.2141, 0.4923, 0.5362, 0.5423],
    ],
}
SLOPES = [-0.5756, -0.6307, -0.1433, -0.7115, -0.6388]


@points(0.5, task="11.5", hint="norm1 and norm2 are followed by a ReLU, up2 by a sigmoid")
def test_generator_computes_known_pixels(student):
    model, _ = loaded_generator(student, latent_dim=5, width=3)
    latents = randn(4, 5, seed=50, dtype=torch.float32).requires_grad_()
    images = model(latents)
    assert tuple(images.shape) == (4, 1, 28, 28), (
        f"Generator(5, width=3) of latents (4, 5): expected images of shape (4, 1, 28, 28), got "
        f"{tuple(images.shape)}"
    )
    expected = torch.tensor(GENERATED)
    logits = expected.logit()
    expect(
        images[:, 0, 5, 7:20:4],
        expected,
        "four pixels of each image",
        mistakes={
            "leaving out the sigmoid": logits,
            "tanh instead of the sigmoid": logits.tanh(),
        }
        | {name: torch.tensor(values) for name, values in WRONGLY_GENERATED.items()},
        atol=2e-3,
        rtol=0,
    )
    slopes = student.probe("gradients", model, latents)[0]
    expect(slopes[0], torch.tensor(SLOPES), "the gradient with respect to latents", atol=2e-3)


@points(1, task="11.5", hint="norm and then ReLU, twice; a sigmoid at the end", hidden=True)
def test_generator_computes_its_images(student):
    model, w = loaded_generator(student, latent_dim=6, width=4)
    for batch_size in (2, 3):
        latents = randn(batch_size, 6, seed=batch_size, dtype=torch.float32).requires_grad_()
        x = torch.einsum("ni,iohw->nohw", latents, w["start.weight"])
        x = x + w["start.bias"].view(1, -1, 1, 1)
        x = F.batch_norm(x, None, None, w["norm1.weight"], w["norm1.bias"], training=True).relu()
        x = F.conv_transpose2d(x, w["up1.weight"], w["up1.bias"], stride=2, padding=1)
        x = F.batch_norm(x, None, None, w["norm2.weight"], w["norm2.bias"], training=True).relu()
        x = F.conv_transpose2d(x, w["up2.weight"], w["up2.bias"], stride=2, padding=1)
        assert_close(model(latents), x.sigmoid().detach(), atol=1e-4, rtol=1e-4)
        expected = torch.autograd.grad(x.sigmoid().sum(), latents)[0]
        slopes = student.probe("gradients", model, latents)[0]
        expect(slopes, expected, "the gradient with respect to latents", atol=1e-3, rtol=1e-3)


@points(
    0.5,
    task="11.6",
    forbidden=("dlcourse.train*",),
    hint="count the classes with the largest logits",
)
def test_coverage_by_hand(student):
    # p = 1/2, 3/4, 4/5 and 1/2; no image in the last class
    odds = torch.tensor([[2.0, 1, 1], [1, 6, 1], [8, 1, 1], [1, 2, 1]])
    shares, confidence = torch.tensor([0.5, 0.5, 0.0]), torch.tensor(0.6375)
    expect(
        student.coverage(odds.log()),
        (shares, confidence),
        ("shares", "confidence"),
        mistakes={
            "leaving out the classes without an image": (shares[:2], ...),
            "the number of images instead of their share": (4 * shares, ...),
            "dividing by the number of classes instead of the images": (4 / 3 * shares, ...),
            "the mean probability of each class instead of the share": (
                (odds / odds.sum(1, keepdim=True)).mean(0), ...,
            ),
            "the largest logit instead of the probability": (..., odds.log().amax(1).mean()),
            "a softmax over the images": (..., (odds / odds.sum(0)).amax(1).mean()),
            "the mean over all classes": (..., torch.tensor(1 / 3)),
            "a confidence for each image": (..., torch.tensor([0.5, 0.75, 0.8, 0.5])),
            "the order confidence, shares": (confidence, shares),
        },
    )  # fmt: skip


@points(0.5, task="11.6", hint="return a share for each of the K classes, even 0", hidden=True)
def test_coverage_of_many_classes(student):
    logits = randn(200, 7)
    logits[:, 6] = -9
    probabilities = logits.softmax(1).amax(1)
    counts = torch.tensor([(logits.argmax(1) == k).sum().item() / 200 for k in range(7)])
    got = student.coverage(logits)
    expect(got, (counts, probabilities.mean()), ("shares", "confidence"), atol=1e-6)


@points(0.5, task="11.7", hint="x decreases by lr * y, y increases by lr * x, with the old x")
def test_play_by_hand(student):
    at_once = torch.tensor([[2.0, -1.0], [2.25, -0.5], [2.375, 0.0625]])
    in_turn = torch.tensor([[2.0, -1.0], [2.25, -0.4375], [2.359375, 0.15234375]])
    y_first = torch.tensor([[2.0, -1.0], [2.125, -0.5], [2.1171875, 0.03125]])
    wrong = {
        "leaving out the start": at_once[1:],
        "leaving out the last step": at_once[:-1],
        "y descending too": torch.tensor([[2.0, -1.0], [2.25, -1.5], [2.625, -2.0625]]),
        "x ascending and y descending": torch.tensor([[2.0, -1], [1.75, -1.5], [1.375, -1.9375]]),
        "returning only the end": at_once[-1],
    }
    got = student.play(2.0, -1.0, 0.25, 2)
    expect(got, at_once, mistakes=wrong | {"y using the new x, which is `in_turn`": in_turn})
    assert got.dtype == torch.float32, f"expected float32, got {got.dtype}"
    wrong = {
        "ignoring in_turn": at_once,
        "moving y first": y_first,
        "leaving out the start": in_turn[1:],
    }
    expect(student.play(2.0, -1.0, 0.25, 2, True), in_turn, mistakes=wrong)


@points(0.5, task="11.7", hint="return steps + 1 rows, with the start first", hidden=True)
def test_play_follows_its_steps(student):
    for in_turn in (False, True):
        x, y, way = -0.3, 2.0, [(-0.3, 2.0)]
        for _ in range(7):
            old = x
            x = x - 0.2 * y
            y = y + 0.2 * (x if in_turn else old)
            way.append((x, y))
        assert_close(student.play(-0.3, 2.0, 0.2, 7, in_turn), torch.tensor(way))


@points(1, task="11.7", hint="at once, the path spirals out; in turn, it circles", hidden=True)
def test_play_at_once_spirals_out_and_in_turn_stays(student):
    # Both at once, x + i y is multiplied by 1 + i lr in each step: its length grows.
    factors = torch.tensor(1 + 0.1j, dtype=torch.complex128) ** torch.arange(301)
    far = student.play(0.6, 0.8, lr=0.1, steps=300).double()
    assert_close(far, torch.view_as_real((0.6 + 0.8j) * factors), atol=1e-3, rtol=1e-4)
    # In turn, (x, y) is multiplied by a matrix whose determinant is 1.
    step = torch.tensor([[1.0, -0.1], [0.1, 0.99]]).double()
    start = torch.tensor([0.6, 0.8]).double()
    expected = torch.stack([torch.linalg.matrix_power(step, n) @ start for n in range(301)])
    near = student.play(0.6, 0.8, lr=0.1, steps=300, in_turn=True).double()
    assert_close(near, expected, atol=1e-3, rtol=1e-3)


@points(
    0.5,
    task="11.8",
    forbidden=("dlcourse.models*",),
    hint="(3, 4) has length 5; do not change short latents",
)
def test_projection_by_hand(student):
    latents = torch.tensor([[2.0, 1.0, -2.0], [0.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.3, 0.0, 0.4]])
    long, zero, unit, short = latents.tolist()
    nan = [math.nan] * 3
    got, left = student.probe("in_place", "project", latents)
    expect(
        got,
        torch.tensor([[2 / 3, 1 / 3, -2 / 3], zero, unit, short]),
        mistakes={
            "giving all latents the length 1": torch.tensor(
                [[2 / 3, 1 / 3, -2 / 3], nan, unit, [0.6, 0.0, 0.8]]
            ),
            "lengthening the short ones instead": torch.tensor([long, nan, unit, [0.6, 0.0, 0.8]]),
            "one length of all latents together": latents / 10.25**0.5,
            "the length of each column": latents / torch.tensor([4.09**0.5, 2**0.5, 4.16**0.5]),
            "limiting each number": torch.tensor([[1.0, 1.0, -1.0], zero, unit, short]),
            "adding up the absolute values": torch.tensor([[0.4, 0.2, -0.4], zero, unit, short]),
            "dividing by the squared length": torch.tensor(
                [[2 / 9, 1 / 9, -2 / 9], zero, unit, short]
            ),
        },
    )
    expect(left[0], latents, "project changed its argument `latents`", rtol=0, atol=0)


@points(
    0.5, task="11.8", hint="divide each row by its own length; a latent of 0 stays 0", hidden=True
)
def test_projection_of_many_latents(student):
    latents = randn(20, 5) * torch.linspace(0, 2, 20, dtype=torch.float64)[:, None]
    lengths = [math.sqrt(sum(value**2 for value in row)) for row in latents.tolist()]
    rows = [row / max(length, 1.0) for row, length in zip(latents, lengths, strict=True)]
    got, left = student.probe("in_place", "project", latents)
    expect(got, torch.stack(rows))
    expect(left[0], latents, "project changed its argument `latents`", rtol=0, atol=0)
