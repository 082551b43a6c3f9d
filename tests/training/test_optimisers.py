"""Moving averages: of weights and of batch norms' statistics."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spiralage.training.optimisers import make_average


@torch.no_grad()
def test_an_average_is_of_weights_and_of_statistics() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = make_average(network, 0.75)
    expected: dict[str, torch.Tensor] = {}
    for step in range(3):
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                value.fill_(float(step + len(name)))
        average.update_parameters(network)
        for name, value in network.state_dict().items():
            before = expected.get(name, value)  # the first is taken as it is
            expected[name] = 0.75 * before + 0.25 * value
    found = average.module.state_dict()
    checked = [name for name in found if not name.endswith("num_batches_tracked")]
    assert {"1.running_mean", "1.running_var", "0.weight"} <= set(checked)
    for name in checked:
        torch.testing.assert_close(found[name], expected[name], msg=name)
        assert not torch.equal(found[name], network.state_dict()[name])


def test_an_average_does_not_follow_by_itself() -> None:
    network = nn.Linear(2, 2)
    average = make_average(network, 0.5)
    with torch.no_grad():
        network.weight.fill_(9)
    assert average.module.weight.abs().max().item() < 9  # type: ignore[operator]


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
@torch.no_grad()
def test_the_decay_is_what_stays(decay: float) -> None:
    network = nn.Linear(1, 1, bias=False)
    average = make_average(network, decay)
    for value in (1.0, 2.0):
        network.weight.fill_(value)
        average.update_parameters(network)
    assert average.module.state_dict()["weight"].item() == pytest.approx(decay * 1 + (1 - decay) * 2)
