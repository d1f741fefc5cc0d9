"""The cross-entropy in place against torch's own."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlcourse.train import cross_entropy_in_place, fit, losses
from dlcourse.train.losses import cross_entropy_in_place as in_place


@pytest.mark.parametrize("shape", [(1, 2), (7, 5), (3, 4, 11)])
@pytest.mark.parametrize("piece", [1, 12, 1 << 20])
@pytest.mark.parametrize("scale", [1.0, -2.5])
def test_loss_and_gradients_are_those_of_torch(shape, piece, scale, monkeypatch):
    monkeypatch.setattr(losses, "PIECE", piece)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(*shape[:-1], 3, generator=generator, dtype=torch.float64) * 30
    targets = torch.randint(shape[-1], shape[:-1], generator=generator)
    layer = nn.Linear(3, shape[-1]).double()
    results = []
    for loss in (in_place, lambda x, y: F.cross_entropy(x.flatten(0, -2), y.flatten())):
        ours = inputs.clone().requires_grad_()
        layer.zero_grad()
        value = loss(layer(ours), targets)
        (value * scale).backward()
        results.append([value, ours.grad, layer.weight.grad.clone(), layer.bias.grad.clone()])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-12, rtol=1e-10)


def test_enormous_logits_do_not_overflow():
    logits = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    loss = in_place(logits * 1.0, torch.tensor([1]))
    loss.backward()
    assert loss.item() == 2e4
    assert logits.grad.tolist() == [[1.0, -1.0, 0.0]]


def test_without_a_gradient_the_logits_stay():
    logits = torch.randn(4, 5)
    before = logits.clone()
    targets = torch.tensor([0, 1, 2, 3])
    assert torch.equal(in_place(logits, targets), F.cross_entropy(before, targets))
    assert torch.equal(logits, before)


def test_fit_trains_with_it_as_with_cross_entropy():
    tokens = torch.randint(9, (4, 31), generator=torch.Generator().manual_seed(0))
    batches = [(tokens[:, :-1], tokens[:, 1:])]
    losses, usual = [], {"epochs": 5, "optimizer": "sgd", "lr": 1.0, "device": "cpu"}
    for settings in ({}, {"loss": cross_entropy_in_place}):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 9))
        history = fit(model, batches, batches, **usual, **settings)
        losses.append(history["val_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
