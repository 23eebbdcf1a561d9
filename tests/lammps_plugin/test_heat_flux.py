"""centroid/stress/atom makes `compute heat/flux` the rate of change of sum_i x_i E_i, which stress/atom does not for such models."""

from pathlib import Path
from typing import Any

import ase
import numpy as np
from structures import ethanol, water_box, with_calculator

from spinconv.export import SpinConvCalculator

STEP = 1e-4  # Å; central differences leave 1e-8 of energies' third derivatives, some 10 eV/Å^3, times distances of some Å
ERROR = 1e-6  # of the largest
ROUNDING = 2e-6  # eV: of energies of thousands of eV, 1e-12, over STEP, times the 18 Å to the farthest atom of the block


def centroid_virials(lmp: Any, atoms: ase.Atoms, model: Path) -> np.ndarray:
    """W_j of every atom, eV, [n_atoms, 3, 3]."""
    elements = lmp.place(atoms)
    lmp(
        f"pair_style spinconv {model}",
        f"pair_coeff * * {elements}",
        "compute stress_centroid all centroid/stress/atom NULL virial",
        "compute virial all pressure NULL virial",
        "thermo_style custom step pe c_virial[1]",
        "dump 1 all custom 1 /dev/null id c_stress_centroid[1]",
        "run 0 post no",
    )
    xx, yy, zz, xy, xz, yz, yx, zx, zy = -lmp.per_atom("stress_centroid").T / lmp.engine.extract_global("nktv2p")
    return np.array([[xx, xy, xz], [yx, yy, yz], [zx, zy, zz]]).transpose(2, 0, 1)


def energy_gradients(atoms: ase.Atoms, j: int, model: Path) -> np.ndarray:
    """dE_i/dx_j of all atoms i by central differences, eV/Å, [n_atoms, 3]."""
    calculator = SpinConvCalculator(model)
    gradients = np.zeros((len(atoms), 3))
    for axis in range(3):
        sides = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[j, axis] += sign * STEP
            sides.append(with_calculator(moved, calculator).get_potential_energies())
        gradients[:, axis] = (sides[0] - sides[1]) / (2 * STEP)
    return gradients


def test_a_cluster(lmp: Any, model_file: Path) -> None:
    atoms = ethanol()
    virials = centroid_virials(lmp, atoms, model_file)
    for j in range(len(atoms)):
        gradients = energy_gradients(atoms, j, model_file)
        expected = (atoms.positions - atoms.positions[j]).T @ gradients  # sum over i of (x_i - x_j) (x) dE_i/dx_j
        np.testing.assert_allclose(virials[j], expected, rtol=0, atol=ERROR * np.abs(virials).max() + ROUNDING)
    assert np.abs(virials).max() > 0.1


def test_a_periodic_cell(lmp: Any, model_file: Path) -> None:
    """An atom of the cell moves alone in a block of 7^3 cells, so that what it does to each image of another is told apart: two blocks
    of the model make three hops of 5 Å at most, and the block is more than 30 Å long."""
    atoms = ase.Atoms(
        "OH2", [[0.1, 0.0, 0.2], [0.9, 0.5, 0.1], [-0.6, 0.8, 0.3]], cell=[[5.1, 0, 0], [0.4, 5.3, 0], [-0.3, 0.2, 5.0]], pbc=True
    )
    virials = centroid_virials(lmp, atoms, model_file)
    block = atoms.repeat((7, 7, 7))
    middle = 3 * (3 * 49 + 3 * 7 + 3)
    for j in range(3):
        gradients = energy_gradients(block, middle + j, model_file)
        expected = (block.positions - block.positions[middle + j]).T @ gradients
        np.testing.assert_allclose(virials[j], expected, rtol=0, atol=ERROR * np.abs(virials).max() + ROUNDING)
    assert np.abs(virials).max() > 0.01


def test_centroid_virials_sum_to_the_virial(lmp: Any, model_file: Path) -> None:
    total = centroid_virials(lmp, water_box(), model_file).sum(axis=0)
    expected = lmp.virial()
    np.testing.assert_allclose(total[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]], expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_heat_flux_is_the_rate_of_change_of_the_energy_moment(lmp: Any, model_file: Path) -> None:
    """In a cluster that moves freely, J = d/dt of sum over i of x_i (E_i + m v_i^2 / 2)."""
    atoms = ethanol()
    elements = lmp.place(atoms)
    lmp("mass 1 1.008", "mass 2 12.011", "mass 3 15.999")
    lmp(
        f"pair_style spinconv {model_file}",
        f"pair_coeff * * {elements}",
        "velocity all create 1000 4928459 mom yes rot yes",
        "compute ke all ke/atom",
        "compute pe all pe/atom",
        "compute centroid all centroid/stress/atom NULL virial",
        "compute plain all stress/atom NULL virial",
        "compute flux all heat/flux ke pe centroid",
        "compute naive all heat/flux ke pe plain",
        "thermo_style custom step c_flux[1] c_flux[2] c_flux[3] c_naive[1] c_naive[2] c_naive[3]",
        "dump 1 all custom 1 /dev/null id c_pe c_ke",
        "fix nve all nve",
        "timestep 1e-6",
    )
    moments = []
    lmp("run 0 post no")
    for step in range(5):
        if step:
            lmp("run 1 pre yes post no")
        energies = lmp.per_atom("pe") + lmp.per_atom("ke")
        moments.append(lmp.positions.T @ (energies - energies.mean()))  # a constant moves with the centre, which is at rest
        if step == 2:
            flux, naive = (np.array(lmp.engine.numpy.extract_compute(name, 0, 1))[:3] for name in ("flux", "naive"))
            total, velocity = energies.mean(), np.array(lmp.engine.numpy.extract_atom("v"))[: len(atoms)].sum(axis=0)
    rate = (moments[0] - 8 * moments[1] + 8 * moments[3] - moments[4]) / (12 * 1e-6) + total * velocity
    error = 1e-5 * np.abs(rate).max()
    np.testing.assert_allclose(flux, rate, rtol=0, atol=error)
    assert np.abs(naive - rate).max() > 100 * error, "stress/atom would do as well"
