"""LAMMPS' own commands on top of the style: thermostats, barostats, relaxation, phonons, restarts, unit systems, committees."""

from pathlib import Path
from typing import Any

import ase
import numpy as np
import pytest
from structures import ethanol, rattled_fcc, triclinic, water_box, with_calculator

from models import SHIPPED_MODEL
from spinconv.export import SpinConvCalculator

WATER_MODEL = SHIPPED_MODEL.parent.parent / "water" / "model.pt"
needs_models = pytest.mark.skipif(not (SHIPPED_MODEL.exists() and WATER_MODEL.exists()), reason="the shipped models are not here")
MASSES = {"H": 1.008, "C": 12.011, "O": 15.999, "Cu": 63.546}


def start(lmp: Any, atoms: ase.Atoms, style: str, *lines: str) -> None:
    elements = lmp.place(atoms)
    lmp(*(f"mass {n} {MASSES[symbol]}" for n, symbol in enumerate(elements.split(), 1)))
    lmp(f"pair_style spinconv {style}", f"pair_coeff * * {elements}", *lines)


def thermo(lmp: Any, name: str) -> float:
    return lmp.engine.get_thermo(name)


def water() -> ase.Atoms:
    """A cell of 24 atoms for the shipped model, which knows molecules at liquid density; compact enough for short runs."""
    return water_box(2)


# ---- dynamics

WATER = f"{WATER_MODEL} precision float64"
ETHANOL = f"{SHIPPED_MODEL} precision float64"


@needs_models
@pytest.mark.parametrize(
    "fix",
    ["nvt temp 200 200 0.02", "npt temp 200 200 0.02 iso 0 0 0.5", "npt temp 200 200 0.02 aniso 0 0 0.5"],
    ids=["nvt", "npt iso", "npt aniso"],
)
def test_what_nose_and_hoover_conserve(fix: str, lmp: Any) -> None:
    start(lmp, water(), WATER, "velocity all create 100 1", "minimize 0 0.2 200 1000", "velocity all create 200 1", "reset_timestep 0")
    lmp(f"fix 1 all {fix}", "timestep 0.00025", "thermo_style custom step pe etotal econserve press lx", "run 0 post no")
    before, energy = thermo(lmp, "econserve"), thermo(lmp, "etotal")
    conserved, energies, lengths = [], [], []
    for _ in range(10):
        lmp("run 20 pre no post no")
        conserved.append(thermo(lmp, "econserve") - before)
        energies.append(thermo(lmp, "etotal") - energy)
        lengths.append(thermo(lmp, "lx"))
    # 24 atoms, 0.25 fs: the thermostat moves tenths of an eV, of which a hundredth stays
    assert np.abs(energies).max() > 0.05
    assert np.abs(conserved).max() < 0.05 * np.abs(energies).max() + 0.002
    assert ("npt" in fix) == (np.ptp(lengths) > 1e-6)


@needs_models
def test_langevin_counts_what_it_gives(lmp: Any) -> None:
    start(lmp, ethanol(), ETHANOL, "velocity all create 300 1")
    lmp("fix 1 all nve", "fix 2 all langevin 300 300 0.1 4711 tally yes", "timestep 0.00025")
    lmp("thermo_style custom step pe etotal econserve temp", "run 0 post no")
    before = thermo(lmp, "econserve")
    lmp("run 400 post no")
    assert abs(thermo(lmp, "econserve") - before) < 0.02
    assert 50 < thermo(lmp, "temp") < 1500


@needs_models
def test_deformation_does_the_work_of_the_stress(lmp: Any) -> None:
    """Atoms that follow the box, without dynamics: the energy rises by minus the virial stress times the strain."""
    start(lmp, water(), WATER, "compute virial all pressure NULL virial", "thermo_style custom step pe c_virial[1] c_virial[4] lx")
    lmp("fix 1 all deform 1 x scale 1.002 remap x", "timestep 0.001", "run 0 post no")
    energy, virial = lmp.energy, lmp.virial()[0]
    lmp("run 10 post no", "unfix 1", "run 0 post no")  # the last step has moved the box after its forces
    middle = (virial + lmp.virial()[0]) / 2
    assert lmp.energy - energy == pytest.approx(-middle * np.log(1.002), rel=1e-2)
    assert thermo(lmp, "lx") == pytest.approx(1.002 * 6.2)


def test_all_six_components_of_the_pressure_are_derivatives_by_strain(lmp: Any, model_file: Path) -> None:
    atoms = triclinic()
    atoms.wrap()
    start(
        lmp, atoms, str(model_file), "compute virial all pressure NULL virial", "thermo_style custom step pe c_virial[1]", "run 0 post no"
    )
    found, step = lmp.virial(), 1e-4
    elements = " ".join(sorted(set(atoms.get_chemical_symbols())))
    for component, (a, b) in enumerate([(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step / 2
            strain[b, a] += sign * step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            lmp("clear")
            lmp.place(strained)
            lmp(f"pair_style spinconv {model_file}", f"pair_coeff * * {elements}", "thermo_style custom step pe", "run 0 post no")
            energies.append(lmp.energy)
        derivative = (energies[0] - energies[1]) / (2 * step)
        # the box of LAMMPS is this cell but for a rotation, which leaves the trace; its own axes are those of this cell
        assert found[component] == pytest.approx(-derivative, rel=1e-5, abs=1e-5 * np.abs(found).max())


# ---- relaxation and phonons


@needs_models
def test_minimize_ends_where_ase_sees_no_force(lmp: Any) -> None:
    atoms = ethanol()
    start(lmp, atoms, ETHANOL, "run 0 post no")
    before = lmp.energy
    lmp("min_style cg", "minimize 0 1e-4 2000 10000")
    relaxed = atoms.copy()
    relaxed.positions = lmp.positions
    expected = with_calculator(relaxed, SpinConvCalculator(SHIPPED_MODEL, "float64"))
    assert lmp.energy < before - 0.1
    assert lmp.energy == pytest.approx(expected.get_potential_energy(), rel=1e-12)
    assert np.abs(expected.get_forces()).max() < 1e-3


def test_box_relax_ends_at_the_pressure_asked_for(lmp: Any, model_file: Path) -> None:
    start(lmp, rattled_fcc(), str(model_file), "thermo_style custom step pe press lx", "fix 1 all box/relax iso 1000.0 vmax 0.002")
    lmp("run 0 post no")
    before = abs(thermo(lmp, "press") - 1000)
    lmp("minimize 0 1e-8 500 5000")
    assert before > 100
    assert abs(thermo(lmp, "press") - 1000) < max(1.0, 0.01 * before)


@needs_models
def test_dynamical_matrix_is_that_of_ase(lmp: Any, tmp_path: Path) -> None:
    atoms = ethanol()
    start(lmp, atoms, ETHANOL, "minimize 0 1e-6 5000 20000", f"dynamical_matrix all regular 1e-4 file {tmp_path / 'dynmat'}")
    matrix = np.loadtxt(tmp_path / "dynmat").reshape(27, 27)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-4 * np.abs(matrix).max())

    relaxed = atoms.copy()
    relaxed.positions = lmp.positions
    calculator = SpinConvCalculator(SHIPPED_MODEL, "float64")
    hessian = np.zeros((27, 27))
    for k in range(27):
        sides = []
        for sign in (1, -1):
            moved = relaxed.copy()
            moved.positions.reshape(-1)[k] += sign * 1e-4
            sides.append(with_calculator(moved, calculator).get_forces().reshape(-1))
        hessian[k] = -(sides[0] - sides[1]) / 2e-4
    mass = np.repeat([MASSES[symbol] for symbol in atoms.get_chemical_symbols()], 3)
    np.testing.assert_allclose(matrix, hessian / np.sqrt(np.outer(mass, mass)), atol=1e-6 * np.abs(matrix).max())
    eigenvalues = np.sort(np.abs(np.linalg.eigvalsh((matrix + matrix.T) / 2)))
    assert eigenvalues[5] < 1e-3 * eigenvalues[6:].max()  # three translations, three rotations
    assert eigenvalues[6] > 10 * eigenvalues[5]


# ---- files


def test_restart_wants_the_style_again_and_goes_on_where_it_was(lmp: Any, model_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "state"
    start(lmp, water_box(), str(model_file), "fix 1 all nve", "timestep 1e-4", "run 3 post no", f"write_restart {file}", "run 3 post no")
    energy, forces = lmp.energy, lmp.forces
    lmp("clear", f"read_restart {file}")
    with pytest.raises(Exception, match="Must re-specify non-restarted pair style"):
        lmp("run 0")
    lmp(f"pair_style spinconv {model_file}", "pair_coeff * * H O", "fix 1 all nve", "timestep 1e-4", "run 3 post no")
    assert lmp.energy == pytest.approx(energy, rel=1e-12)
    np.testing.assert_allclose(lmp.forces, forces, rtol=0, atol=1e-10 * np.abs(forces).max())


def test_write_data_leaves_the_coefficients_to_the_input(lmp: Any, model_file: Path, tmp_path: Path) -> None:
    start(lmp, water_box(), str(model_file), "run 0 post no")
    energy = lmp.energy
    lmp(f"write_data {tmp_path / 'data'}")
    assert "Coeffs" not in (tmp_path / "data").read_text()
    lmp(
        "clear", "units metal", f"read_data {tmp_path / 'data'}", f"pair_style spinconv {model_file}", "pair_coeff * * H O", "run 0 post no"
    )
    assert lmp.energy == pytest.approx(energy, rel=1e-12)


def test_rerun_of_a_trajectory(lmp: Any, model_file: Path, tmp_path: Path) -> None:
    dump = f"dump 1 all custom 1 {tmp_path / 'dump'} id type x y z"
    start(lmp, water_box(), str(model_file), "fix 1 all nve", "timestep 1e-4", dump, "dump_modify 1 format float %.17g", "run 2 post no")
    energy = lmp.energy
    lmp("undump 1", f"rerun {tmp_path / 'dump'} dump x y z")
    assert lmp.energy == pytest.approx(energy, rel=1e-12)


# ---- unit systems

# eV in the energy unit, Å in the length unit: CODATA 2018. LAMMPS has its constants to seven or eight digits.
UNITS = {
    "metal": (1.0, 1.0),
    "real": (23.060549, 1.0),
    "si": (1.602176634e-19, 1e-10),
    "cgs": (1.602176634e-12, 1e-8),
    "electron": (1 / 27.211386246, 1 / 0.529177210903),
    "micro": (1.602176634e-4, 1e-4),  # pg um^2/us^2
    "nano": (160.2176634, 0.1),  # ag nm^2/ns^2
}
UNIT_ERROR = 5e-6  # relative


@pytest.mark.parametrize("units", UNITS)
def test_every_unit_system_has_the_same_energy_and_forces(units: str, lmp: Any, model_file: Path) -> None:
    energy_unit, length_unit = UNITS[units]
    atoms = rattled_fcc()
    expected = with_calculator(atoms, SpinConvCalculator(model_file))
    side = float(atoms.cell[0, 0]) * length_unit
    skin = 2.0 * length_unit
    lmp(f"units {units}", f"region cell block 0 {side!r} 0 {side!r} 0 {side!r} units box", "create_box 1 cell", "mass 1 1.0")
    for position in (atoms.get_scaled_positions() * side).tolist():
        lmp("create_atoms 1 single {!r} {!r} {!r} units box".format(*position))
    lmp(f"neighbor {skin!r} bin", f"pair_style spinconv {model_file}", "pair_coeff * * Cu", "run 0 post no")
    assert lmp.energy / energy_unit == pytest.approx(expected.get_potential_energy(), rel=UNIT_ERROR)
    forces = expected.get_forces()
    np.testing.assert_allclose(lmp.forces / energy_unit * length_unit, forces, rtol=0, atol=UNIT_ERROR * np.abs(forces).max() * 10)


# ---- committees


def committee(lmp: Any, files: list[Path], words: str = "") -> ase.Atoms:
    atoms = water_box()
    start(lmp, atoms, f"{' '.join(map(str, files))} {words}", "fix 1 all nve", "timestep 1e-5")
    return atoms


def members(atoms: ase.Atoms, files: list[Path]) -> list[ase.Atoms]:
    return [with_calculator(atoms, SpinConvCalculator(file)) for file in files]


def test_a_committee_is_the_mean_of_its_models(lmp: Any, model_file: Path, other_model_file: Path, tmp_path: Path) -> None:
    files = [model_file, other_model_file, model_file]
    devi = tmp_path / "md.devi"
    atoms = committee(lmp, files, f"out_freq 2 out_file {devi}")
    lmp("compute deviation all pair spinconv", "thermo_style custom step pe c_deviation[*]")
    lmp("fix peratom all pair 1 spinconv force_deviation 0 energy_deviation 1 energy 0", "run 0 post no")
    models = members(atoms, files)
    forces = np.array([model.get_forces() for model in models])
    assert lmp.energy == pytest.approx(np.mean([model.get_potential_energy() for model in models]), rel=1e-12)
    np.testing.assert_allclose(lmp.forces, forces.mean(axis=0), rtol=0, atol=1e-10 * np.abs(forces).max())

    deviations = np.sqrt(((forces - forces.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0))
    energies = np.array([model.get_potential_energies() for model in models])
    table = np.array(lmp.engine.numpy.extract_fix("peratom", 1, 2))[: len(atoms)][lmp.order]
    np.testing.assert_allclose(table, np.stack([deviations, energies.std(axis=0), energies.mean(axis=0)], axis=1), rtol=1e-9, atol=1e-10)
    compute = np.array(lmp.engine.numpy.extract_compute("deviation", 0, 1))
    np.testing.assert_allclose(compute, [deviations.max(), deviations.min(), deviations.mean()], rtol=1e-9)

    in_ase = SpinConvCalculator(files)
    np.testing.assert_allclose(in_ase.get_property("force_deviation", atoms), table[:, 0], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(in_ase.results["energy_deviation"], table[:, 1], rtol=1e-9, atol=1e-10)
    assert in_ase.results["energy"] == pytest.approx(lmp.energy, rel=1e-12)

    lmp("run 4 post no", "run 2 post no")
    header, *rows = devi.read_text().splitlines()
    assert header.split()[:8] == ["#", "step", "max_devi_v", "min_devi_v", "avg_devi_v", "max_devi_f", "min_devi_f", "avg_devi_f"]
    assert [int(row.split()[0]) for row in rows] == [0, 2, 4, 6]  # once each, over three runs
    first = np.array(rows[0].split(), dtype=float)
    np.testing.assert_allclose(first[4:], [deviations.max(), deviations.min(), deviations.mean()], rtol=1e-5)
    virials = np.array([-model.get_stress(voigt=False) * model.get_volume() for model in models]).reshape(3, 9).std(axis=0) / len(atoms)
    np.testing.assert_allclose(first[1:4], [virials.max(), virials.min(), np.sqrt((virials**2).mean())], rtol=1e-5)


def test_halt_ends_the_run_and_later_ones(lmp: Any, model_file: Path, other_model_file: Path, tmp_path: Path) -> None:
    devi = tmp_path / "md.devi"
    committee(lmp, [model_file, other_model_file], f"out_freq 100 out_file {devi} halt 1e-6")
    lmp("run 50 post no")
    assert thermo(lmp, "step") < 3
    assert len(devi.read_text().splitlines()) >= 2
    ended = thermo(lmp, "step")
    lmp("run 5 post no")
    assert thermo(lmp, "step") == ended
    lmp(f"write_data {tmp_path / 'end.data'}")
    assert (tmp_path / "end.data").exists()


def test_one_model_has_no_deviations(lmp: Any, model_file: Path) -> None:
    start(lmp, water_box(), str(model_file), "fix energies all pair 1 spinconv energy 0", "run 0 post no")
    energies = np.array(lmp.engine.numpy.extract_fix("energies", 1, 1))[:24][lmp.order]
    np.testing.assert_allclose(energies, members(water_box(), [model_file])[0].get_potential_energies(), rtol=1e-12)
    with pytest.raises(Exception, match="force_deviation"):
        lmp("fix deviations all pair 1 spinconv force_deviation 0", "run 0")
