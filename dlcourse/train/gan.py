"""Training a generator and a discriminator against each other."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from dlcourse import optim
from dlcourse.errors import NonFiniteLossError, UnknownNameError, UsageError
from dlcourse.runtime import pick_device, versions
from dlcourse.train.checks import check_batch, check_batches
from dlcourse.train.history import History
from dlcourse.train.progress import progress_bar
from dlcourse.train.run import LOOK_EVERY
from dlcourse.values import check_whole, is_number

__all__ = ["GENERATOR_LOSSES", "coverage", "discriminator_loss", "fit_gan"]


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[log D(real)] - E[log(1 - D(fake))], D the sigmoid of the logits; stable for any logit.

    Shape: (N,), (M,) -> (). Goodfellow et al. 2014, equation 1.
    """
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def minimax(fake_logits: Tensor) -> Tensor:
    """E[log(1 - D(fake))], flat if the discriminator is sure. Shape: (N,) -> ()."""
    return -F.softplus(fake_logits).mean()


def non_saturating(fake_logits: Tensor) -> Tensor:
    """-E[log D(fake)], steep if the discriminator is sure. Shape: (N,) -> ()."""
    return F.softplus(-fake_logits).mean()


GENERATOR_LOSSES = {"minimax": minimax, "non_saturating": non_saturating}


def fit_gan(
    gan: Any,
    train: Any,
    *,
    epochs: int = 10,
    lr: float = 5e-4,
    betas: tuple[float, float] = (0.5, 0.999),
    loss: str = "non_saturating",
    score: Callable[[Any], float] | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: bool | None = None,
) -> History:
    """Train a GAN (see `models.GAN`): for each batch one step of each of its two networks.

    train: batches whose inputs are images (B, C, H, W) in [0, 1]; their targets are not used.
    loss: the generator's, from GENERATOR_LOSSES. lr, betas: of both Adams; lr falls linearly to 0.
    score(gan): how good the GAN is, higher is better, called after each epoch. The GAN keeps the
        weights of the best epoch; without a score those of the last one.
    seed: of the latents. device, progress: as in `fit`.

    The History's rows hold `epoch`, `lr`, `train_loss` (the discriminator's), `generator_loss`,
    `val_score` if there is a score, and `seconds`.

    Raises UsageError for arguments that make no sense and images outside of [0, 1], and
    NonFiniteLossError if a loss turns NaN or infinite: the GAN then holds the weights of its best
    epoch (without a score, of the last complete one; its first ones if none was complete), and the
    error carries `.history`. A score that is NaN after every epoch raises it too.
    """
    check_whole(epochs=epochs)
    check_whole(0, seed=seed)
    if not is_number(lr) or not 0 <= lr < math.inf:
        raise UsageError(f"lr must be a finite number of at least 0, got {lr!r}")
    if loss not in GENERATOR_LOSSES:
        raise UnknownNameError("generator loss", loss, GENERATOR_LOSSES)
    check_batches("train", train)
    torch.manual_seed(seed)
    place = pick_device(device)
    gan.to(place)
    config = {
        "model": type(gan).__name__,
        "parameters": sum(p.numel() for p in gan.parameters()),
        "epochs": epochs,
        "lr": lr,
        "betas": list(betas),
        "loss": loss,
        "batch_size": getattr(train, "batch_size", None),
        "data_seed": getattr(train, "seed", None),
    }
    history = History(config, seed, str(place), getattr(train, "source", ""), versions())
    steps = epochs * len(train)
    optimizers = [
        torch.optim.Adam(net.parameters(), lr, betas) for net in (gan.discriminator, gan.generator)
    ]
    schedules = [optim.build_schedule("linear", optimizer, steps) for optimizer in optimizers]
    best_score, best_weights = -math.inf, copy.deepcopy(gan.state_dict())
    bar = progress_bar(steps, progress, unit="batch")
    try:
        for epoch in range(1, epochs + 1):
            start = time.perf_counter()
            bar.set_description(f"epoch {epoch}/{epochs}", refresh=False)
            row: dict[str, float] = {"epoch": epoch, "lr": optimizers[0].param_groups[0]["lr"]}
            losses = train_epoch(gan, train, optimizers, schedules, loss, epoch, bar)
            row |= {"train_loss": losses[0], "generator_loss": losses[1]}
            value = float(epoch)
            if score is not None:
                value = row["val_score"] = float(score(gan))
            if value > best_score:
                best_score, best_weights = value, copy.deepcopy(gan.state_dict())
                history.best_epoch = epoch
            history.epochs.append(row | {"seconds": time.perf_counter() - start})
        if not history.best_epoch:
            best_weights = gan.state_dict()
            raise NonFiniteLossError(
                f"the score is {value} after every epoch, so that no epoch is the best; look at "
                "the function `score`; the GAN keeps its last weights"
            )
    except NonFiniteLossError as error:
        history.stopped = str(error)
        error.history = history
        raise
    finally:
        bar.close()
        gan.load_state_dict(best_weights)
    return history


def train_epoch(
    gan: Any,
    train: Any,
    optimizers: Sequence[torch.optim.Optimizer],
    schedules: Sequence[Any],
    loss: str,
    epoch: int,
    bar: tqdm[Any],
) -> tuple[float, float]:
    """One pass over `train`. Returns the mean losses of discriminator and generator."""
    gan.train()
    device = next(gan.parameters()).device
    losses, sizes = [], []
    trained = [p for p in gan.discriminator.parameters() if p.requires_grad]
    for step, batch in enumerate(train, start=1):
        if step == 1:
            check_images(batch, gan)
        images = batch[0].to(device)
        fakes = gan(gan.draw_latents(len(images)))

        real_logits, fake_logits = gan.discriminate(images), gan.discriminate(fakes.detach())
        d_loss = discriminator_loss(real_logits, fake_logits)
        optimizers[0].zero_grad()
        d_loss.backward()
        optimizers[0].step()

        for parameter in trained:  # the generator's step does not need its gradients
            parameter.requires_grad_(False)
        g_loss = GENERATOR_LOSSES[loss](gan.discriminate(fakes))
        optimizers[1].zero_grad()
        g_loss.backward()
        optimizers[1].step()
        for parameter in trained:
            parameter.requires_grad_(True)

        for schedule in schedules:
            schedule.step()
        losses.append(torch.stack([d_loss.detach(), g_loss.detach()]))
        sizes.append(len(images))
        bar.update()
        if step % LOOK_EVERY == 0:
            check_finite(losses[-LOOK_EVERY:], step - LOOK_EVERY, epoch)
    check_finite(losses, 0, epoch)
    weights = torch.tensor(sizes, device=device) / sum(sizes)
    of_discriminator, of_generator = (weights @ torch.stack(losses)).tolist()
    return of_discriminator, of_generator


def check_images(batch: Any, gan: Any) -> None:
    """Refuse a batch whose images are not in [0, 1], where the generator's are."""
    images, _ = check_batch("train", batch, gan)
    low, high = images.min().item(), images.max().item()
    if low < 0 or high > 1:
        raise UsageError(
            f"fit_gan needs images in [0, 1], as the generator makes them; train has pixels from "
            f"{low:.3g} to {high:.3g}; use batches(normalize='none')"
        )


def check_finite(losses: Sequence[Tensor], before: int, epoch: int) -> None:
    """Raise NonFiniteLossError for the first step after `before` with a loss that is not finite.

    losses: of discriminator and generator, one tensor (2,) for each step.
    """
    values = torch.stack(list(losses))
    bad = (~values.isfinite()).nonzero()
    if len(bad):
        step, which = bad[0].tolist()
        raise NonFiniteLossError(
            f"the {('discriminator', 'generator')[which]}'s loss is {values[step, which]} at step "
            f"{before + step + 1} of epoch {epoch}; try a smaller lr; "
            "the best weights so far are kept"
        )


@torch.no_grad()
def coverage(classifier: nn.Module, images: Tensor, batch_size: int = 500) -> tuple[Tensor, float]:
    """What a trained classifier sees in `images`: (share of each class, mean confidence).

    Confidence is the probability of the most likely class. The shares (num_classes,) add up to 1.
    images (N, C, H, W) must look as those that the classifier was trained on. Raises UsageError if
    there are none.
    """
    if len(images) == 0:
        raise UsageError("there is no image to judge")
    classifier.eval()
    parts = [classifier(part).softmax(1) for part in images.split(batch_size)]
    confidence, found = torch.cat(parts).max(1)
    shares = found.bincount(minlength=parts[0].shape[1]) / len(images)
    return shares, confidence.mean().item()
