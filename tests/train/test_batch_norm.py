"""Statistics of batch norm, recomputed over the training data."""

import pytest
import torch
from torch import nn

from dlcourse.train.batch_norm import settle_batch_norm


def test_settled_statistics_are_the_means_over_the_batches():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5))
    batches = [(torch.randn(size, 3), torch.zeros(size)) for size in (8, 8, 4, 1)]
    model.train()
    model(batches[0][0])  # the running statistics are still close to 0 and 1
    assert settle_batch_norm(model, batches)
    hidden = [model[0](inputs).detach() for inputs, _ in batches[:3]]
    weights = (8 / 20, 8 / 20, 4 / 20)
    mean = sum(w * h.mean(0) for w, h in zip(weights, hidden, strict=True))
    var = sum(w * h.var(0) for w, h in zip(weights, hidden, strict=True))
    torch.testing.assert_close(model[1].running_mean, mean)
    torch.testing.assert_close(model[1].running_var, var)
    assert not any(module.training for module in model.modules())
    assert model[1].momentum == 0.1


@pytest.mark.parametrize("norm", [nn.Identity(), nn.BatchNorm1d(4, track_running_stats=False)])
def test_a_model_without_running_statistics_is_only_put_into_eval_mode(norm):
    model = nn.Sequential(nn.Linear(3, 4), norm)
    assert not settle_batch_norm(model, iter(()))
    assert not model.training
