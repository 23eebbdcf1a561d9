"""The neighbour list inside the model file finds the pairs that vesin finds, exactly, in Python and scripted."""

from collections.abc import Callable

import ase
import numpy as np
import pytest
import torch
import vesin
from structures import cluster, ethanol, triclinic, water_box

from spinconv.export.neighbors import edge_vectors, find_neighbors

CUTOFF = 5.0
SCRIPTED = torch.jit.script(find_neighbors)
ALL_PAIRS, CELLS = 10**12, 0
METHODS = {"all pairs": ALL_PAIRS, "cells": CELLS}

BOXES = {
    "cubic": np.eye(3) * 13.7,
    "just two cutoffs": np.eye(3) * 10.0,
    "between one cutoff and two": np.diag([6.0, 9.9, 7.5]),
    "0.6 cutoff": np.eye(3) * 0.6 * CUTOFF,
    "triclinic": np.array([[9.0, 0, 0], [4.0, 8.0, 0], [-3.0, 3.5, 10.0]]),
    "skewed far over": np.array([[6.0, 0, 0], [17.0, 6.0, 0], [-13.0, 15.0, 7.0]]),
    "no triangle": np.array([[0.0, 5.0, 5.0], [5.0, 0.0, 5.0], [5.0, 5.0, 0.0]]),
    "left-handed": np.array([[9.0, 0, 0], [4.0, 8.0, 0], [-3.0, 3.5, -10.0]]),
    "needle": np.diag([3.1, 4.0, 45.0]),
}


def triplets(i: np.ndarray, j: np.ndarray, shifts: np.ndarray) -> list[tuple[int, ...]]:
    return sorted(map(tuple, np.column_stack([i, j, shifts]).astype(int).tolist()))


def by_vesin(positions: np.ndarray, box: np.ndarray | None) -> list[tuple[int, ...]]:
    found = vesin.NeighborList(cutoff=CUTOFF, full_list=True)
    cell = np.zeros((3, 3)) if box is None else box
    return triplets(*found.compute(points=positions, box=cell, periodic=box is not None, quantities="ijS"))


def by_torch(positions: np.ndarray, box: np.ndarray | None, method: int, find: Callable = SCRIPTED) -> list[tuple[int, ...]]:
    neighbors = find(torch.tensor(positions), None if box is None else torch.tensor(box), CUTOFF, method)
    j, i = neighbors.edge_index.numpy()
    assert (np.diff(i) >= 0).all(), "ordered by the receiving atom"
    np.testing.assert_array_equal(neighbors.shifts, neighbors.shifts.round())
    return triplets(i, j, neighbors.shifts.numpy())


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("n_atoms", [1, 2, 17, 60])
def test_periodic_pairs_are_those_of_vesin(n_atoms: int, box: np.ndarray, method: int) -> None:
    rng = np.random.default_rng(n_atoms)
    unwrapped = rng.uniform(-2, 3, size=(n_atoms, 3)) @ box
    assert by_torch(unwrapped, box, method) == by_vesin(unwrapped, box)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("extent", [1.0, 12.0, 60.0, 1e6])
def test_free_pairs_are_those_of_vesin(extent: float, method: int) -> None:
    positions = np.random.default_rng(0).uniform(-extent, extent, size=(80, 3))
    positions[:, 2] *= 0.1
    assert by_torch(positions, None, method) == by_vesin(positions, None)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("structure", [ethanol, triclinic, water_box, lambda: cluster(40, 1), lambda: water_box(5)])
def test_pairs_of_molecules_are_those_of_vesin_in_python_too(structure: Callable[[], ase.Atoms], method: int) -> None:
    atoms = structure()
    box = atoms.cell.array if atoms.pbc.all() else None
    assert by_torch(atoms.positions, box, method, find_neighbors) == by_vesin(atoms.positions, box)


def test_either_method_is_chosen_by_size() -> None:
    # 200 000 pairs: 600 atoms are below, 700 above; both must agree with vesin
    rng = np.random.default_rng(0)
    for n_atoms in (600, 700):
        box = np.eye(3) * (n_atoms / 0.1) ** (1 / 3)
        positions = rng.uniform(size=(n_atoms, 3)) @ box
        assert by_torch(positions, box, 200_000) == by_vesin(positions, box)


def test_atoms_on_the_faces_of_cells_are_found_once() -> None:
    # a lattice with sites on every cell border: rounding must neither lose nor double a pair; its distances are off the cutoff
    sites = np.array(list(np.ndindex(6, 6, 6)), dtype=float) * 2.6
    box = np.eye(3) * 15.6
    for method in METHODS.values():
        assert by_torch(sites, box, method) == by_vesin(sites, box)


def test_nobody_and_one_alone_have_no_neighbours() -> None:
    for method in METHODS.values():
        neighbors = SCRIPTED(torch.zeros(1, 3, dtype=torch.float64), None, CUTOFF, method)
        assert neighbors.edge_index.shape == (2, 0)
        assert neighbors.shifts.shape == (0, 3)


def test_vectors_go_from_receiver_to_sender_and_carry_the_gradient() -> None:
    positions = torch.tensor([[0.0, 0, 0], [0, 0, 9.0]], dtype=torch.float64, requires_grad=True)
    box = torch.eye(3, dtype=torch.float64) * 10
    neighbors = find_neighbors(positions.detach(), box, CUTOFF)
    vectors = edge_vectors(positions, box, neighbors)
    edge = neighbors.edge_index[1].tolist().index(0)  # atom 0 receives from the image of atom 1 below it
    np.testing.assert_allclose(vectors.detach()[edge], [0, 0, -1.0])
    vectors[edge, 2].backward()
    assert positions.grad is not None
    assert positions.grad[:, 2].tolist() == [-1.0, 1.0]
