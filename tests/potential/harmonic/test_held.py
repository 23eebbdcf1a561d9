"""The distance that the network is shown: that of the atoms, and hardly less than the shortest of the training frames."""

import math

import ase
import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.data import covalent_radii

from models import HAS_TRAINED, SHIPPED_CHECKPOINT, random_model
from spinconv.potential import batch_graphs, build_graph, energy_and_forces
from spinconv.potential.harmonic.equations import held
from spinconv.potential.training.checkpoint import load_checkpoint

INNER = 1.4


def held_with_derivatives(d: torch.Tensor) -> list[torch.Tensor]:
    """The held distance of every row of `d` and its first two derivatives."""
    d = d.clone().requires_grad_(True)
    values = [held(d, torch.full_like(d, INNER))]
    for _ in range(2):
        values.append(torch.autograd.grad(values[-1].sum(), d, create_graph=True)[0])
    return [value.detach() for value in values]


def test_from_the_shortest_distance_on_nothing_changes() -> None:
    d = torch.linspace(INNER + 1e-9, 6.0, 50, dtype=torch.float64)[:, None]
    value, slope, curvature = held_with_derivatives(d)
    torch.testing.assert_close(value, d, rtol=1e-15, atol=0)
    assert (slope == 1).all()
    assert (curvature == 0).all()


def test_stands_still_below() -> None:
    d = torch.linspace(0.0, 0.7 * INNER, 20, dtype=torch.float64)[:, None]
    value, slope, curvature = held_with_derivatives(d)
    torch.testing.assert_close(value, torch.full_like(d, 0.85 * INNER), rtol=1e-12, atol=0)
    assert slope.abs().max() < 1e-12
    assert curvature.abs().max() < 1e-12


@pytest.mark.parametrize("edge", [0.7 * INNER, INNER])
def test_two_derivatives_are_continuous(edge: float) -> None:
    step = 1e-7
    before, after = (held_with_derivatives(torch.tensor([[edge + side]], dtype=torch.float64)) for side in (-step, step))
    for left, right in zip(before, after, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=50 * step)  # the third derivative is 6 / (0.3 INNER)^2


def test_never_decreases() -> None:
    d = torch.linspace(0.0, 3.0, 2000, dtype=torch.float64)[:, None]
    assert (held_with_derivatives(d)[1] >= 0).all()


def test_without_a_shortest_distance_it_is_the_distance() -> None:
    d = torch.linspace(0.0, 5.0, 20, dtype=torch.float64)[:, None]
    torch.testing.assert_close(held(d, torch.zeros_like(d)), d, rtol=1e-15, atol=0)


def test_a_model_is_told_the_shortest_distances_and_takes_the_radii_where_there_are_none() -> None:
    model = random_model((1, 8))
    model.hold([[math.inf, 0.9], [0.9, 2.4]])
    expected = [2 * covalent_radii[1], 0.9, 0.9, 2.4]
    np.testing.assert_allclose(model.distance.inner.flatten(), expected)
    assert {"distance.inner"} <= set(model.weights()) & set(model.state_dict())


def test_the_network_says_the_same_of_all_closer_atoms() -> None:
    """Two atoms along a line, less than 0.7 of what they had in training: only the wall changes."""
    model = random_model((1, 8))
    model.hold([[1.0, 1.0], [1.0, 1.0]])
    model._constants["constants.pairs"][:, :4] = 0.0  # no wall
    graphs = [build_graph(ase.Atoms("OH", [(0, 0, 0), (0, 0, d)]), 5.0, torch.float64) for d in (0.3, 0.5, 0.699)]
    spread = np.ptp(energy_and_forces(model, batch_graphs(graphs)).energies.detach().numpy())
    model.hold([[0.0, 0.0], [0.0, 0.0]])
    free = np.ptp(energy_and_forces(model, batch_graphs(graphs)).energies.detach().numpy())
    assert spread < 1e-3 * free  # and not 0: the envelope of the cutoff is not quite 1 there


@pytest.mark.skipif(not HAS_TRAINED, reason="the shipped model is not here")
@pytest.mark.parametrize(("fixed", "moved", "along"), [(2, 3, (3,)), (0, 6, (6,)), (1, 0, (0, 6, 7, 8))], ids=["O-H", "C-H", "C-C"])
def test_bonds_of_the_shipped_ethanol_have_no_abyss_inwards(fixed: int, moved: int, along: tuple[int, ...]) -> None:
    """From a tenth less than the bond of the molecule down to 0.3 Å: without the hold, C-C fell by thousands of eV from 1.1 Å on."""
    model = load_checkpoint(SHIPPED_CHECKPOINT).model.to(torch.float64)
    atoms = molecule("CH3CH2OH")
    bond = atoms.positions[moved] - atoms.positions[fixed]
    graphs = []
    for length in np.linspace(0.9 * np.linalg.norm(bond), 0.3, 60):
        squeezed = atoms.copy()
        squeezed.positions[list(along)] += (length / np.linalg.norm(bond) - 1) * bond
        graphs.append(build_graph(squeezed, 5.0, torch.float64))
    energies = energy_and_forces(model, batch_graphs(graphs)).energies.detach()
    assert (energies.cummax(0).values - energies).max() < 1.0  # a step on the way where the wall begins is no abyss
    assert energies[-1] > energies[0] + 20.0
