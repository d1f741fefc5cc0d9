"""Training a generator and a discriminator against each other."""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from dlcourse.errors import NonFiniteLossError, UnknownNameError, UsageError
from dlcourse.runtime import pick_device, versions
from dlcourse.train.history import History

__all__ = ["GENERATOR_LOSSES", "coverage", "discriminator_loss", "fit_gan"]

# Steps between two looks at the losses: a look waits for the device, so it is not taken every step.
LOOK_EVERY = 50


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[log D(real)] - E[log(1 - D(fake))], D the sigmoid of the logits; stable for any logit.

    Shape: (N,), (M,) -> (). Goodfellow et al. 2014, equation 1.
    """
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def minimax(fake_logits: Tensor) -> Tensor:
    """E[log(1 - D(fake))], flat where the discriminator is sure. Shape: (N,) -> ()."""
    return -F.softplus(fake_logits).mean()


def non_saturating(fake_logits: Tensor) -> Tensor:
    """-E[log D(fake)], steep where the discriminator is sure. Shape: (N,) -> ()."""
    return F.softplus(-fake_logits).mean()


GENERATOR_LOSSES = {"minimax": minimax, "non_saturating": non_saturating}


def fit_gan(
    gan: nn.Module,
    train: Iterable[tuple[Tensor, Tensor]],
    *,
    epochs: int = 10,
    lr: float = 5e-4,
    betas: tuple[float, float] = (0.5, 0.999),
    loss: str = "non_saturating",
    score: Callable[[nn.Module], float] | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: bool | None = None,
) -> History:
    """Train `gan` (see models.GAN): a step of the discriminator and one of the generator a batch.

    train: batches whose inputs are images (B, C, H, W) in [0, 1]; targets are not looked at.
    loss: the generator's, from GENERATOR_LOSSES. lr, betas: of both Adams; lr falls linearly to 0.
    score(gan): how good it is, higher is better, asked after each epoch; the gan is left with the
        weights of the best one. Without it the last weights stay.
    seed: of the latents. device, progress: as in `fit`.

    The History's rows hold `epoch`, `train_loss` (the discriminator's), `generator_loss`,
    `val_score` where there is a score, and `seconds`.

    Raises UsageError for an argument that cannot be, and NonFiniteLossError where a loss turns NaN
    or infinite: the gan then holds the weights of its best epoch (without a score the last whole
    one; those it came with, where none was whole), and the error carries `.history`.
    """
    if epochs < 1:
        raise UsageError(f"epochs must be at least 1, got {epochs}")
    if loss not in GENERATOR_LOSSES:
        raise UnknownNameError("generator loss", loss, GENERATOR_LOSSES)
    if len(train) == 0:
        raise UsageError("train holds no batch: is batch_size larger than the data?")
    torch.manual_seed(seed)
    device = pick_device(device)
    gan.to(device)
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
    history = History(config, seed, str(device), getattr(train, "source", ""), versions())
    optimizers = [
        torch.optim.Adam(net.parameters(), lr, betas) for net in (gan.discriminator, gan.generator)
    ]
    steps = epochs * len(train)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps))
        for optimizer in optimizers
    ]
    best_score, best_weights = -math.inf, copy.deepcopy(gan.state_dict())
    hide = None if progress is None else not progress
    bar = tqdm(total=steps, unit="batch", disable=hide, file=sys.stderr)
    try:
        for epoch in range(1, epochs + 1):
            start = time.perf_counter()
            bar.set_description(f"epoch {epoch}/{epochs}", refresh=False)
            losses = train_epoch(gan, train, optimizers, schedules, loss, epoch, bar)
            row = {"epoch": epoch, "train_loss": losses[0], "generator_loss": losses[1]}
            value = epoch
            if score is not None:
                value = row["val_score"] = score(gan)
            if value > best_score:
                best_score, best_weights = value, copy.deepcopy(gan.state_dict())
                history.best_epoch = epoch
            history.epochs.append(row | {"seconds": time.perf_counter() - start})
    except NonFiniteLossError as error:
        history.stopped = str(error)
        error.history = history
        raise
    finally:
        bar.close()
        gan.load_state_dict(best_weights)
    return history


def train_epoch(
    gan: nn.Module,
    train: Iterable[tuple[Tensor, Tensor]],
    optimizers: list[torch.optim.Optimizer],
    schedules: list[torch.optim.lr_scheduler.LRScheduler],
    loss: str,
    epoch: int,
    bar: tqdm,
) -> tuple[float, float]:
    """One pass over `train`; returns the mean losses of discriminator and generator."""
    gan.train()
    device = next(gan.parameters()).device
    losses = []
    for step, (images, _) in enumerate(train, start=1):
        images = images.to(device)
        fakes = gan(gan.draw_latents(len(images)))

        real_logits, fake_logits = gan.discriminate(images), gan.discriminate(fakes.detach())
        d_loss = discriminator_loss(real_logits, fake_logits)
        optimizers[0].zero_grad()
        d_loss.backward()
        optimizers[0].step()

        gan.discriminator.requires_grad_(False)  # the generator's step has no use for its gradients
        g_loss = GENERATOR_LOSSES[loss](gan.discriminate(fakes))
        optimizers[1].zero_grad()
        g_loss.backward()
        optimizers[1].step()
        gan.discriminator.requires_grad_(True)

        for schedule in schedules:
            schedule.step()
        losses.append(torch.stack([d_loss.detach(), g_loss.detach()]))
        bar.update()
        if step % LOOK_EVERY == 0:
            check_finite(losses[-LOOK_EVERY:], step - LOOK_EVERY, epoch)
    check_finite(losses, 0, epoch)
    return tuple(torch.stack(losses).mean(0).tolist())


def check_finite(losses: list[Tensor], before: int, epoch: int) -> None:
    """Raise NonFiniteLossError for the first step, after `before`, with a loss that is not finite.

    losses: the discriminator's and the generator's, (2,), one a step.
    """
    values = torch.stack(losses)
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
    """How a trained classifier sees `images`: (share of each class, mean confidence).

    Confidence is the probability of the class it finds most likely. Shares (num_classes,) add up
    to 1; images (N, C, H, W) as the classifier was trained on.
    """
    if len(images) == 0:
        raise UsageError("there is no image to judge")
    classifier.eval()
    parts = [classifier(part).softmax(1) for part in images.split(batch_size)]
    confidence, found = torch.cat(parts).max(1)
    shares = found.bincount(minlength=parts[0].shape[1]) / len(images)
    return shares, confidence.mean().item()
