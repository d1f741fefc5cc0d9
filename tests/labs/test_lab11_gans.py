"""Tests of lab 11, with their points. `student` is the lab under test: a solution or a submission.

The oracles are the formulas in float64, the same steps on a twin, and numbers computed by hand.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from dlcourse.check import points


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@points(
    0.5,
    task="11.1",
    forbidden=("dlcourse.train*",),
    hint="mean of -log D(real), plus mean of -log(1 - D(fake)), separately",
)
def test_discriminator_loss_is_the_formula(student):
    zero = torch.zeros(3)
    assert_close(student.discriminator_loss(zero, zero[:2]), torch.tensor(2 * math.log(2)))
    real, fake = randn(5), randn(9, seed=1)
    expected = -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean()
    assert_close(student.discriminator_loss(real, fake), expected)
    sure = torch.tensor([300.0])  # the sigmoid of -300 is rounded to 0
    assert_close(student.discriminator_loss(sure, -sure), torch.tensor(0.0))
    assert_close(student.discriminator_loss(-sure, sure), torch.tensor(600.0))
    far = torch.tensor([-300.0, 300.0, 300.0], requires_grad=True)
    grads = student.probe("gradients", "discriminator_loss", far, torch.zeros(2))
    assert_close(grads[0], torch.tensor([-1 / 3, 0.0, 0.0]))


@points(0.5, task="11.1", hint="use softplus, not the log of a rounded sigmoid", hidden=True)
def test_discriminator_loss_holds_for_large_logits(student):
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
    fake = randn(6)
    assert_close(student.generator_loss(fake), -fake.sigmoid().log().mean())
    assert_close(student.generator_loss(fake, "non_saturating"), -fake.sigmoid().log().mean())
    assert_close(student.generator_loss(fake, "minimax"), (1 - fake.sigmoid()).log().mean())
    sure = torch.tensor([-300.0, 300.0])  # finite for logits of any size
    assert_close(student.generator_loss(sure), torch.tensor(150.0))
    assert_close(student.generator_loss(sure, "minimax"), torch.tensor(-150.0))


@points(1, task="11.2", hint="use softplus, which is finite for logits of any size", hidden=True)
def test_generator_losses_hold_where_the_discriminator_is_sure(student):
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
        self.optimizers, self.twin_optimizers = {}, {}
        for number, (name, twin) in enumerate(self.twins.items()):
            drawn = {
                key: randn(*value.shape, seed=10 * seed + 3 * number + i, dtype=torch.float32)
                for i, (key, value) in enumerate(twin.state_dict().items())
            }
            twin.load_state_dict(drawn)
            self.nets[name].load_state_dict(drawn)
            self.optimizers[name] = student.adam(self.nets[name], lr)
            adam = torch.optim.Adam(twin.parameters(), lr, betas=(0.5, 0.999))
            self.twin_optimizers[name] = adam

    def twin_step(self, name, loss):
        """Make one step of the twin called `name`, with no gradient for the other."""
        weights = list(self.twins[name].parameters())
        for weight, grad in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = grad
        self.twin_optimizers[name].step()

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

    def compare(self, name, words):
        got, twin = self.nets[name].state_dict(), self.twins[name].state_dict()
        same = all(torch.allclose(got[key], twin[key], atol=1e-5) for key in twin)
        assert same, f"the {name}'s weights {words}"


def close(got, expected):
    assert isinstance(got, float), f"expected the loss as a float, got {type(got).__name__}"
    assert math.isclose(got, expected, rel_tol=1e-4, abs_tol=1e-5), (
        f"expected the loss {expected:.6g}, got {got:.6g}"
    )


def draw(seed):
    return randn(6, 4, seed=seed, dtype=torch.float32), randn(5, 3, seed=seed, dtype=torch.float32)


@points(
    1,
    task="11.3",
    forbidden=("dlcourse.train*",),
    needs=("11.1",),
    hint="return the loss on images and on generator(latents), as a float",
)
def test_discriminator_step_moves_the_discriminator(student):
    players = Players(student)
    for number in (1, 2):
        images, latents = draw(99 + number)
        got = student.discriminator_step(
            players.nets["generator"],
            players.nets["discriminator"],
            players.optimizers["discriminator"],
            images,
            latents,
        )
        close(got, players.twin_discriminator_step(images, latents))
        players.compare("discriminator", f"are wrong in step {number}: zero_grad, backward, step")
    players.compare("generator", "changed during the discriminator's step")


@points(
    1,
    task="11.3",
    needs=("11.1",),
    hint="detach() the fakes: store no gradient in the generator",
)
def test_discriminator_step_leaves_no_gradient_in_the_generator(student):
    players = Players(student, seed=1)
    student.discriminator_step(
        players.nets["generator"],
        players.nets["discriminator"],
        players.optimizers["discriminator"],
        *draw(200),
    )
    left = student.gradient_norm(players.nets["generator"])
    assert left == 0, f"expected no gradient in the generator, got one of length {left:.3g}"
    again = student.gradient_norm(players.nets["discriminator"])
    assert again >= 0


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
        _, latents = draw(300)
        more = () if kind == "non_saturating" else (kind,)
        got = student.generator_step(
            players.nets["generator"],
            players.nets["discriminator"],
            players.optimizers["generator"],
            latents,
            *more,
        )
        close(got, players.twin_generator_step(latents, kind))
        players.compare("generator", f"differ from those after one step of the {kind} loss")
        players.compare("discriminator", "changed during the generator's step")


def take_turns(student, rounds=4, seed=2):
    players = Players(student, seed=seed)
    nets, optimizers = players.nets, players.optimizers
    both = nets["generator"], nets["discriminator"]
    for number in range(rounds):
        images, latents = draw(400 + number)
        got = student.discriminator_step(*both, optimizers["discriminator"], images, latents)
        close(got, players.twin_discriminator_step(images, latents))
        _, latents = draw(500 + number)
        got = student.generator_step(*both, optimizers["generator"], latents, "minimax")
        close(got, players.twin_generator_step(latents, "minimax"))
    return players


@points(
    0.5,
    task="11.4",
    needs=("11.1", "11.2", "11.3"),
    hint="call zero_grad before backward in both steps: older gradients must have no effect",
)
def test_two_rounds_in_turn(student):
    players = take_turns(student, rounds=2, seed=3)
    players.compare("discriminator", "are wrong after two rounds: older gradients were used")
    players.compare("generator", "are wrong after two rounds: older gradients were used")


@points(
    1,
    task="11.3",
    needs=("11.1", "11.2", "11.4"),
    hint="call zero_grad before backward: generator_step stored gradients in D",
    hidden=True,
)
def test_no_gradient_leaks_into_the_discriminators_next_step(student):
    take_turns(student).compare(
        "discriminator", "are wrong after several steps: gradients of another step were used"
    )


@points(
    1,
    task="11.4",
    needs=("11.1", "11.2", "11.3"),
    hint="call zero_grad of the generator before each backward",
    hidden=True,
)
def test_no_gradient_leaks_into_the_generators_next_step(student):
    take_turns(student).compare(
        "generator", "are wrong after several steps: gradients of another step were used"
    )


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
        assert learned == generator_shapes(latent_dim, width)


# Pixels 7, 11, 15 and 19 in row 5 of four images; see test_generator_computes_known_pixels.
GENERATED = [
    [0.4801, 0.3919, 0.4394, 0.4579],
    [0.4191, 0.4247, 0.4786, 0.4476],
    [0.4421, 0.3816, 0.2895, 0.4064],
    [0.3840, 0.4804, 0.3918, 0.5293],
]


@points(0.5, task="11.5", hint="norm1 and norm2 are followed by a ReLU, up2 by a sigmoid")
def test_generator_computes_known_pixels(student):
    model, _ = loaded_generator(student, latent_dim=5, width=3)
    images = model(randn(4, 5, seed=50, dtype=torch.float32))
    assert tuple(images.shape) == (4, 1, 28, 28), f"got images of shape {tuple(images.shape)}"
    assert_close(images[:, 0, 5, 7:20:4], torch.tensor(GENERATED), atol=1e-3, rtol=0)


@points(1, task="11.5", hint="norm and then ReLU, twice; a sigmoid at the end", hidden=True)
def test_generator_computes_its_images(student):
    model, w = loaded_generator(student, latent_dim=6, width=4)
    for batch_size in (2, 3):
        latents = randn(batch_size, 6, seed=batch_size, dtype=torch.float32)
        x = torch.einsum("ni,iohw->nohw", latents, w["start.weight"])
        x = x + w["start.bias"].view(1, -1, 1, 1)
        x = F.batch_norm(x, None, None, w["norm1.weight"], w["norm1.bias"], training=True).relu()
        x = F.conv_transpose2d(x, w["up1.weight"], w["up1.bias"], stride=2, padding=1)
        x = F.batch_norm(x, None, None, w["norm2.weight"], w["norm2.bias"], training=True).relu()
        x = F.conv_transpose2d(x, w["up2.weight"], w["up2.bias"], stride=2, padding=1)
        assert_close(model(latents), x.sigmoid(), atol=1e-4, rtol=1e-4)


@points(
    0.5,
    task="11.6",
    forbidden=("dlcourse.train*",),
    hint="count the classes with the largest logits",
)
def test_coverage_of_the_example(student):
    logits = torch.tensor([[9.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 0.0]])
    shares, confidence = student.coverage(logits)
    assert_close(shares.double(), torch.tensor([0.75, 0.25], dtype=torch.float64))
    assert_close(confidence, torch.tensor(9.0).sigmoid())
    # p = 1/2, 3/4, 4/5 and 1/2; no image in the last class
    logits = torch.tensor([[2.0, 1, 1], [1, 6, 1], [8, 1, 1], [1, 2, 1]]).log()
    shares, confidence = student.coverage(logits)
    assert_close(shares.double(), torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64))
    assert_close(confidence, torch.tensor(0.6375))


@points(0.5, task="11.6", hint="return a share for each of the K classes, even 0", hidden=True)
def test_coverage_of_many_classes(student):
    logits = randn(200, 7)
    logits[:, 6] = -9
    shares, confidence = student.coverage(logits)
    probabilities = logits.softmax(1).amax(1)
    counts = [(logits.argmax(1) == k).sum().item() / 200 for k in range(7)]
    assert_close(shares.double(), torch.tensor(counts, dtype=torch.float64))
    assert_close(confidence, probabilities.mean())


@points(0.5, task="11.7", hint="x decreases by lr * y, y increases by lr * x, with the old x")
def test_play_of_the_examples(student):
    at_once = torch.tensor([[1.0, 1.0], [0.5, 1.5]])
    assert_close(student.play(1.0, 1.0, lr=0.5, steps=1), at_once)
    in_turn = torch.tensor([[1.0, 1.0], [0.5, 1.25]])
    assert_close(student.play(1.0, 1.0, lr=0.5, steps=1, in_turn=True), in_turn)
    at_once = torch.tensor([[2.0, -1.0], [2.5, 0.0], [2.5, 1.25]])
    assert_close(student.play(2.0, -1.0, 0.5, 2), at_once)
    in_turn = torch.tensor([[2.0, -1.0], [2.5, 0.25], [2.375, 1.4375]])
    assert_close(student.play(2.0, -1.0, 0.5, 2, True), in_turn)


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
    # Both at once: the squared distance grows by the factor 1 + lr^2 in each step, from any start.
    far = student.play(0.6, 0.8, lr=0.1, steps=300).double().norm(dim=1)
    expected = (1 + 0.1**2) ** (torch.arange(301.0, dtype=torch.float64) / 2)
    assert_close(far, expected, atol=1e-3, rtol=1e-4)
    near = student.play(0.6, 0.8, lr=0.1, steps=300, in_turn=True).norm(dim=1)
    assert 0.9 < near.min() <= near.max() < 1.1


@points(
    0.5,
    task="11.8",
    forbidden=("dlcourse.models*",),
    hint="(3, 4) has length 5; do not change short latents",
)
def test_projection_of_the_example(student):
    latents = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    assert_close(student.project(latents), torch.tensor([[0.6, 0.8], [0.3, 0.4]]))
    latents = torch.tensor([[2.0, 1.0, -2.0], [0.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    expected = torch.tensor([[2 / 3, 1 / 3, -2 / 3], [0.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    assert_close(student.project(latents), expected)


@points(
    0.5, task="11.8", hint="divide each row by its own length; a latent of 0 stays 0", hidden=True
)
def test_projection_of_many_latents(student):
    latents = randn(20, 5) * torch.linspace(0, 2, 20, dtype=torch.float64)[:, None]
    got = student.project(latents)
    for row, expected in zip(got, latents, strict=True):
        length = math.sqrt(sum(value**2 for value in expected.tolist()))
        assert_close(row, expected / max(length, 1.0))
