import numpy as np
import pytest
import torch

from spinconv.potential.training.average import WeightAverage


def test_the_average_follows_its_recursion():
    weight = torch.nn.Parameter(torch.tensor([0.0], dtype=torch.float64))
    average, expected = WeightAverage([weight], decay=0.6), 0.0
    for step in range(1, 30):
        with torch.no_grad():
            weight += 0.1 * step
        average.update()
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.item()
        assert float(average.average[0]) == pytest.approx(expected, rel=1e-12)


def test_without_decay_the_average_is_the_weights():
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    average = WeightAverage([weight], decay=0.0)
    with torch.no_grad():
        weight *= 3.0
    average.update()
    assert torch.equal(average.average[0], weight)


def test_two_swaps_are_none():
    weight = torch.nn.Parameter(torch.randn(5))
    average = WeightAverage([weight], decay=0.9)
    with torch.no_grad():
        weight += 1.0
    before, mean = weight.detach().clone(), average.average[0].clone()
    average.swap()
    np.testing.assert_array_equal(weight.detach(), mean)
    average.swap()
    np.testing.assert_array_equal(weight.detach(), before)
