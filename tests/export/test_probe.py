"""The probe of a model file tells whether a reader computes what the model does."""

import ase
import numpy as np
import pytest
import torch
from packed import CONFIG

from models import random_model
from spinconv.export.check_structures import own_structures
from spinconv.export.probe import computed, make_probe, probe_difference

STEP = 1e-4  # Å


@pytest.mark.parametrize(("atom", "axis"), [(0, 0), (5, 1), (11, 2)])
def test_gradients_are_those_of_the_energy(atom: int, axis: int) -> None:
    model = random_model(weights_times=2.0)
    probe = make_probe(model, CONFIG.elements, CONFIG.cutoff)
    energies = []
    for sign in (-1, 1):
        positions = np.array(probe.positions)
        positions[atom, axis] += sign * STEP
        energies.append(float(computed(model, ase.Atoms(probe.numbers, positions), CONFIG.cutoff)[0].sum()))
    # central differences: STEP² times a third derivative of some 10 eV/Å³
    assert abs((energies[1] - energies[0]) / (2 * STEP) - probe.gradients[atom][axis]) < 1e-6
    assert abs(probe.gradients[atom][axis]) > 1e-3  # they are no zeros that agree


def test_it_tells_one_model_from_another() -> None:
    model, other = random_model(weights_times=2.0), random_model(weights_times=2.0)
    probe = make_probe(model, CONFIG.elements, CONFIG.cutoff)
    assert probe_difference(model, probe, CONFIG.cutoff) == (0.0, 0.0)
    with torch.no_grad():
        next(iter(other.parameters())).view(-1)[0] += 1e-6
    assert min(probe_difference(other, probe, CONFIG.cutoff)) > 0.0


@pytest.mark.parametrize("elements", [(1,), (1, 8), tuple(range(1, 13)), tuple(range(1, 41))])
def test_its_atoms_are_of_all_elements(elements: tuple[int, ...]) -> None:
    probe = make_probe(random_model(elements, seed=1), elements, CONFIG.cutoff)
    assert set(probe.numbers) == set(elements)
    assert len(probe.numbers) >= 12


def test_structures_of_many_elements_do_not_overlap() -> None:
    for atoms in own_structures(["H", "C", "N", "O"] * 10).atoms.values():
        distances = atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)]
        assert distances.min() > 1.0
