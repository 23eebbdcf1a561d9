"""What LAMMPS makes of the style: per-atom output, pressure, hybrid styles, types that are no part of the model, moving atoms."""

from pathlib import Path
from typing import Any

import ase
import numpy as np
import pytest
from structures import cluster, ethanol, rattled_fcc, triclinic, water_box, with_calculator

from spinconv.export import SpinConvCalculator
from spinconv.export.reader import read_model

SUM = 1e-12  # relative: the order of a sum of a few hundred numbers
VIRIAL = "compute virial all pressure NULL virial"
NO_OUTPUT = "thermo_style custom step pe c_virial[1]"


def start(lmp: Any, atoms: ase.Atoms, model_file: Path) -> None:
    elements = lmp.place(atoms)
    lmp(f"pair_style spinconv {model_file}", f"pair_coeff * * {elements}", VIRIAL, NO_OUTPUT)


def test_atom_energies_are_those_of_ase_and_sum_to_the_energy(lmp: Any, model_file: Path) -> None:
    atoms = triclinic()
    start(lmp, atoms, model_file)
    lmp(
        "compute energy all pe/atom",
        "thermo_style custom step pe c_virial[1]",
        "dump 1 all custom 1 /dev/null id c_energy",
        "run 0 post no",
    )
    energies = lmp.per_atom("energy")
    expected = with_calculator(atoms, SpinConvCalculator(model_file)).get_potential_energies()
    np.testing.assert_allclose(energies, expected, rtol=SUM)
    assert energies.sum() == pytest.approx(lmp.energy, rel=SUM)


@pytest.mark.parametrize("structure", [water_box, triclinic, ethanol])
def test_atom_stresses_sum_to_the_virial(structure: Any, lmp: Any, model_file: Path) -> None:
    start(lmp, structure(), model_file)
    lmp("compute stress all stress/atom NULL virial", "dump 1 all custom 1 /dev/null id c_stress[1]", "run 0 post no")
    total = -lmp.per_atom("stress").sum(axis=0) / lmp.engine.extract_global("nktv2p")
    np.testing.assert_allclose(total, lmp.virial(), rtol=0, atol=SUM * np.abs(lmp.virial()).max())
    assert np.abs(total).max() > 0.01


def test_the_virial_of_a_molecule_is_the_sum_of_force_times_position(lmp: Any, model_file: Path) -> None:
    start(lmp, ethanol(), model_file)
    lmp("run 0 post no")
    full = lmp.positions.T @ lmp.forces
    expected = [full[0, 0], full[1, 1], full[2, 2], full[0, 1], full[0, 2], full[1, 2]]
    np.testing.assert_allclose(lmp.virial(), expected, rtol=0, atol=SUM * np.abs(full).max())


def test_pressure_is_minus_the_derivative_of_energy_by_volume(lmp: Any, model_file: Path) -> None:
    start(lmp, rattled_fcc(), model_file)
    lmp("run 0 post no")
    virial, length, strain = lmp.virial()[:3].sum(), lmp.engine.get_thermo("lx"), 1e-4
    energies = []
    for side in (-1, 1):
        new = length * (1 + side * strain)
        lmp(f"change_box all x final 0 {new!r} y final 0 {new!r} z final 0 {new!r} remap units box", "run 0 post no")
        energies.append(lmp.energy)
    # dE/d(strain) of a uniform strain = -(xx + yy + zz); the error of central differences is of order strain^2
    assert virial == pytest.approx(-(energies[1] - energies[0]) / (2 * strain), rel=1e-6)


@pytest.mark.parametrize("atom_map", ["array", "hash", "none"])
def test_images_are_folded_with_any_atom_map_and_any_ids(atom_map: str, lmp: Any, model_file: Path, tmp_path: Path) -> None:
    atoms = rattled_fcc()
    expected = with_calculator(atoms, SpinConvCalculator(model_file))
    ids = np.array([4000, 7, 90, 31])
    rows = "\n".join(f"{i} 1 {x!r} {y!r} {z!r}" for i, (x, y, z) in zip(ids, atoms.positions.tolist(), strict=True))
    side = float(atoms.cell[0, 0])
    box = "\n".join(f"0 {side!r} {k}lo {k}hi" for k in "xyz")
    (tmp_path / "data").write_text(f"copper\n\n4 atoms\n1 atom types\n{box}\n\nMasses\n\n1 63.5\n\nAtoms # atomic\n\n{rows}\n")
    if atom_map != "none":
        lmp(f"atom_modify map {atom_map}")
    lmp("units metal", f"read_data {tmp_path / 'data'}", f"pair_style spinconv {model_file}", "pair_coeff * * Cu", "run 0 post no")
    assert lmp.energy == pytest.approx(expected.get_potential_energy(), rel=SUM)
    np.testing.assert_allclose(lmp.forces, expected.get_forces()[np.argsort(ids)], rtol=0, atol=1e-10)


def test_forces_stay_right_while_atoms_move_and_neighbors_change(lmp: Any, model_file: Path) -> None:
    atoms = water_box()
    start(lmp, atoms, model_file)
    lmp(
        "neighbor 0.3 bin",
        "neigh_modify delay 0 every 1 check yes",
        "mass * 4.0",
        "velocity all create 3000 1",
        "fix 1 all nve",
        "timestep 0.001",
    )
    lmp("run 60 post no")
    moved = atoms.copy()
    moved.positions = lmp.positions
    expected = with_calculator(moved, SpinConvCalculator(model_file))
    assert np.abs(moved.positions - atoms.positions).max() > 0.3, "nothing moved by more than the skin"
    assert lmp.energy == pytest.approx(expected.get_potential_energy(), rel=SUM)
    np.testing.assert_allclose(lmp.forces, expected.get_forces(), rtol=0, atol=1e-9)


def alone(lmp: Any, atoms: ase.Atoms, *lines: str) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy, forces and virial of `atoms` with the pair style that `lines` set."""
    lmp("clear")
    elements = lmp.place(atoms)
    lmp(*(line.format(elements=elements) for line in lines), VIRIAL, NO_OUTPUT, "run 0 post no")
    return lmp.energy, lmp.forces, lmp.virial()


@pytest.mark.parametrize(
    ("style", "coefficients"),
    [("lj/cut 5.0", ["{all} lj/cut 0.01 1.0"]), ("zbl 3.0 4.0", ["1 1 zbl 1 1", "2 2 zbl 8 8", "1 2 zbl 1 8"])],
    ids=["lj/cut", "zbl"],
)
def test_hybrid_overlay_adds(style: str, coefficients: list[str], lmp: Any, model_file: Path) -> None:
    atoms = triclinic()
    pairs = [f"pair_coeff {line}".replace("{all}", "* *") for line in coefficients]
    without_name = [line.replace(f" {style.split()[0]} ", " ") for line in pairs]
    ours = alone(lmp, atoms, f"pair_style spinconv {model_file}", "pair_coeff * * {elements}")
    other = alone(lmp, atoms, f"pair_style {style}", *without_name)
    both = alone(lmp, atoms, f"pair_style hybrid/overlay {style} spinconv {model_file}", "pair_coeff * * spinconv {elements}", *pairs)
    assert abs(other[0]) > 1e-3
    assert both[0] == pytest.approx(ours[0] + other[0], rel=SUM)
    for k in (1, 2):
        np.testing.assert_allclose(both[k], ours[k] + other[k], rtol=0, atol=SUM * np.abs(both[k]).max())


def test_two_models_in_one_hybrid_add(lmp: Any, model_file: Path, other_model_file: Path) -> None:
    atoms = water_box()
    one, two = (alone(lmp, atoms, f"pair_style spinconv {file}", "pair_coeff * * {elements}") for file in (model_file, other_model_file))
    both = alone(
        lmp,
        atoms,
        f"pair_style hybrid/overlay spinconv {model_file} spinconv {other_model_file}",
        "pair_coeff * * spinconv 1 {elements}",
        "pair_coeff * * spinconv 2 {elements}",
    )
    assert one[0] != two[0]
    assert both[0] == pytest.approx(one[0] + two[0], rel=SUM)
    np.testing.assert_allclose(both[1], one[1] + two[1], rtol=0, atol=SUM * np.abs(both[1]).max())


def test_hybrid_scaled_scales(lmp: Any, model_file: Path, other_model_file: Path) -> None:
    atoms = water_box()
    one, two = (alone(lmp, atoms, f"pair_style spinconv {file}", "pair_coeff * * {elements}") for file in (model_file, other_model_file))
    mixed = alone(
        lmp,
        atoms,
        f"pair_style hybrid/scaled 0.25 spinconv {model_file} 0.75 spinconv {other_model_file}",
        "pair_coeff * * spinconv 1 {elements}",
        "pair_coeff * * spinconv 2 {elements}",
    )
    for k in (0, 1, 2):
        np.testing.assert_allclose(mixed[k], 0.25 * one[k] + 0.75 * two[k], rtol=0, atol=SUM * np.abs(mixed[k]).max())


def test_types_that_are_null_are_not_there(lmp: Any, model_file: Path) -> None:
    atoms = cluster(30)
    is_part = atoms.numbers != 6
    expected = with_calculator(atoms[is_part], SpinConvCalculator(model_file))
    energy, forces, _ = alone(lmp, atoms, f"pair_style spinconv {model_file}", "pair_coeff * * H NULL O")
    assert energy == pytest.approx(expected.get_potential_energy(), rel=SUM)
    np.testing.assert_allclose(forces[is_part], expected.get_forces(), rtol=0, atol=1e-10)
    assert (forces[~is_part] == 0).all()


def test_hybrid_gives_null_types_to_another_style(lmp: Any, model_file: Path) -> None:
    atoms = cluster(30)
    ours = alone(lmp, atoms, f"pair_style spinconv {model_file}", "pair_coeff * * H NULL O")
    other = alone(
        lmp,
        atoms,
        "pair_style lj/cut 4.0",
        "pair_coeff * * 0.0 1.0",
        "pair_coeff 2 2 0.01 1.0",
        "pair_coeff 1 2 0.01 1.0",
        "pair_coeff 2 3 0.01 1.0",
    )
    both = alone(
        lmp,
        atoms,
        f"pair_style hybrid lj/cut 4.0 spinconv {model_file}",
        "pair_coeff * * spinconv H NULL O",
        "pair_coeff 2 2 lj/cut 0.01 1.0",
        "pair_coeff 1 2 lj/cut 0.01 1.0",
        "pair_coeff 2 3 lj/cut 0.01 1.0",
    )
    assert both[0] == pytest.approx(ours[0] + other[0], rel=SUM)
    np.testing.assert_allclose(both[1], ours[1] + other[1], rtol=0, atol=SUM * np.abs(both[1]).max())


def test_an_element_may_have_several_types(lmp: Any, model_file: Path) -> None:
    atoms = ethanol()
    reference = alone(lmp, atoms, f"pair_style spinconv {model_file}", "pair_coeff * * {elements}")
    labelled = atoms.copy()
    labelled.numbers[0] = 29  # the first carbon becomes a type of its own, the fourth
    twice = alone(lmp, labelled, f"pair_style spinconv {model_file}", "pair_coeff * * H C O C")
    assert twice[0] == pytest.approx(reference[0], rel=SUM)


def test_pair_style_again_is_another_model(lmp: Any, model_file: Path, other_model_file: Path) -> None:
    atoms = ethanol()
    second = alone(lmp, atoms, f"pair_style spinconv {other_model_file}", "pair_coeff * * {elements}")
    again = alone(
        lmp,
        atoms,
        f"pair_style spinconv {model_file}",
        "pair_coeff * * {elements}",
        "run 0 post no",
        f"pair_style spinconv {other_model_file}",
        "pair_coeff * * {elements}",
    )
    assert again[0] == second[0]
    with pytest.raises(Exception, match="All pair coeffs are not set"):
        lmp(f"pair_style spinconv {model_file}", "run 0 post no")


def test_an_isolated_atom_has_its_reference_energy(lmp: Any, model_file: Path) -> None:
    atoms = ase.Atoms("O")
    start(lmp, atoms, model_file)
    lmp("run 0 post no")
    assert lmp.energy == pytest.approx(read_model(model_file).metadata["reference_energies"]["O"], rel=SUM)
    assert (lmp.forces == 0).all()


def test_no_atoms_have_no_energy(lmp: Any, model_file: Path) -> None:
    lmp(
        "units metal",
        "region r block 0 9 0 9 0 9",
        "create_box 1 r",
        "mass 1 1.0",
        f"pair_style spinconv {model_file}",
        "pair_coeff * * Cu",
    )
    lmp("run 0 post no")
    assert lmp.energy == 0
