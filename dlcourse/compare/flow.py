"""Ten layers of 500 units: how a signal passes them, at the first step and some steps later."""

from __future__ import annotations

from dlcourse import optim
from dlcourse.compare import axes, material, single
from dlcourse.compare.material import Place
from dlcourse.compare.probe import Layer, probe
from dlcourse.compare.study import Study
from dlcourse.train import cross_entropy

__all__ = ["STEPS", "ten_layers"]

STEPS = 10
BATCH = 100


def ten_layers(
    activation: str, study: Study, place: Place, steps: int = 0
) -> dict[str, list[Layer]]:
    """For each of the study's initializers, what `probe` sees after `steps` steps of SGD."""
    data, limit = study.grid["data"][0], study.grid.get("limit", [None])[0]
    settings = {**axes.DATA, "batch_size": BATCH, "limit": limit}
    train, _, _ = material.splits(data, settings, 0, place)
    inputs, targets = next(iter(train))
    found = {}
    for rule in study.grid["init"]:
        settings = {
            "model": "mlp", "data": data, "init": rule, "depth": 10, "width": 500,
            "activation": activation,
        }  # fmt: skip
        model = single.build(settings, place).to(place.device)
        stepper = optim.build("sgd", model.parameters(), 0.03)
        for _ in range(steps):
            stepper.zero_grad()
            cross_entropy(model(inputs), targets).backward()
            stepper.step()
        found[rule] = probe(model, inputs, targets)
    return found
