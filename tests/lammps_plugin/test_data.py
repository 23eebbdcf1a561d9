"""A data file of `spinconv lammps-data` is, for LAMMPS, the structure that it was written from."""

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import units
from structures import CELLS, ethanol, slab_with_adsorbate, triclinic, water_box, with_calculator
from typer.testing import CliRunner

from spinconv.export import SpinConvCalculator
from spinconv.export.cli import app
from spinconv.lammps_plugin.data import UNITS, data_file, input_lines, read_structure, types_of
from spinconv.lammps_plugin.engine import box_of

# float64 on both sides; ASE writes 17 digits, turning the cell costs one or two of 1e-15
ENERGY, FORCE = 1e-9, 1e-8


def read_into(lmp: Any, atoms: ase.Atoms, folder: Path, model: Path, unit_system: str = "metal", types: tuple[str, ...] = ()) -> None:
    elements = types_of(atoms, types)
    path = folder / "data.test"
    path.write_text(data_file(atoms, elements, unit_system))
    lmp(*input_lines(atoms, elements, str(path), str(model), unit_system), "thermo_style custom step pe temp", "run 0 post no")


@pytest.mark.parametrize("name", CELLS)
def test_energy_and_forces_of_the_data_file_are_those_of_ase(name: str, lmp: Any, model_file: Path, tmp_path: Path) -> None:
    atoms = CELLS[name]()
    read_into(lmp, atoms, tmp_path, model_file)
    expected = with_calculator(atoms, SpinConvCalculator(model_file))
    assert lmp.energy == pytest.approx(expected.get_potential_energy(), rel=0, abs=ENERGY * len(atoms))
    np.testing.assert_allclose(lmp.forces @ box_of(atoms).rotation, expected.get_forces(), rtol=0, atol=FORCE)


@pytest.mark.parametrize("unit_system", UNITS)
def test_velocities_and_masses_give_the_temperature_in_all_units(unit_system: str, lmp: Any, model_file: Path, tmp_path: Path) -> None:
    atoms = water_box()
    atoms.set_velocities(np.random.default_rng(0).normal(scale=0.01, size=(len(atoms), 3)))
    read_into(lmp, atoms, tmp_path, model_file, unit_system)
    kinetic = atoms.get_kinetic_energy() * 2 / (3 * len(atoms) - 3) / units.kB  # LAMMPS counts 3 N - 3 degrees of freedom
    assert lmp.engine.get_thermo("temp") == pytest.approx(kinetic, rel=1e-5)  # constants of LAMMPS and ASE have some six digits


def test_velocities_are_turned_with_the_cell(lmp: Any, model_file: Path, tmp_path: Path) -> None:
    """The power, velocities times forces, knows both directions."""
    atoms = triclinic()
    atoms.rotate(40, (1, 2, 3), rotate_cell=True)
    atoms.set_velocities(np.random.default_rng(0).normal(scale=0.01, size=(len(atoms), 3)))
    read_into(lmp, atoms, tmp_path, model_file)
    velocities = np.array(lmp.engine.numpy.extract_atom("v"))[: len(atoms)][lmp.order] * 1e-3 / units.fs  # Å/ps to ASE's
    forces = with_calculator(atoms, SpinConvCalculator(model_file)).get_forces()
    assert (velocities * lmp.forces).sum() == pytest.approx((atoms.get_velocities() * forces).sum(), rel=1e-6)


def test_a_structure_without_velocities_has_none_in_its_file() -> None:
    assert "Velocities" not in data_file(ethanol(), ["H", "C", "O"])


def test_types_may_be_in_any_order_and_more_than_there_are(lmp: Any, model_file: Path, tmp_path: Path) -> None:
    atoms = water_box()
    read_into(lmp, atoms, tmp_path, model_file, types=("O", "Cu", "H"))
    assert lmp.energy == pytest.approx(with_calculator(atoms, SpinConvCalculator(model_file)).get_potential_energy(), abs=1e-7)
    masses = lmp.engine.numpy.extract_atom("mass")[1:4]
    np.testing.assert_allclose(masses, [15.999, 63.546, 1.008])
    text = (tmp_path / "data.test").read_text()
    assert text.splitlines()[0] == "H16O8; units metal; types 1 O, 2 Cu, 3 H"
    assert " # Cu\n" in text


def test_a_free_molecule_may_fly_anywhere(lmp: Any, model_file: Path, tmp_path: Path) -> None:
    atoms = ethanol()
    read_into(lmp, atoms, tmp_path, model_file)
    before = lmp.energy
    lmp("displace_atoms all move 100 -50 20 units box", "run 0 post no")
    assert lmp.energy == pytest.approx(before, abs=1e-9)


def spinconv(*words: object) -> Any:
    return CliRunner().invoke(app, ["lammps-data", *map(str, words)])


def test_the_command_writes_a_file_and_the_beginning_of_an_input(program: Any, model_file: Path, tmp_path: Path) -> None:
    frames = [ethanol(seed) for seed in range(3)]
    ase.io.write(tmp_path / "frames.xyz", frames)
    data = tmp_path / "data of ethanol"
    said = spinconv(tmp_path / "frames.xyz", "-o", data, "--model", model_file, "--index", 1)
    assert said.exit_code == 0, said.output
    done = program(said.output + "thermo_style custom pe\nthermo_modify format float %.10f\nfix 1 all nve\nrun 0\n")
    assert done.returncode == 0, done.stdout
    energy = float(done.stdout.split("PotEng")[1].split()[0])
    assert energy == pytest.approx(with_calculator(frames[1], SpinConvCalculator(model_file)).get_potential_energy(), abs=1e-6)
    assert "WARNING" not in done.stdout


def test_the_last_frame_and_a_name_are_chosen_when_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    slab = slab_with_adsorbate()
    slab.info.clear()  # the builder's notes are none of extxyz
    ase.io.write("frames.xyz", [ethanol(), slab])
    said = spinconv("frames.xyz")
    assert said.exit_code == 0
    assert "read_data   data.frames\npair_style  spinconv model.pt\npair_coeff  * * C O Cu" in said.output
    assert "boundary    p p m" in said.output
    assert (tmp_path / "data.frames").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["missing.xyz"], "`missing.xyz`: there is no such file of structures"),
        (["broken.xyz"], "`broken.xyz` must hold structures in a format of ASE, which says:"),
        (["two.xyz", "--index", "2"], "`index` must be the number of one of the 2 frames of two.xyz, 0 the first, -1 the last; got 2"),
        (["two.xyz", "--types", "C H"], "`types` must name every element of the structure, got C H without O"),
        (["two.xyz", "--types", "C H O X9"], "`types` must be different chemical symbols, got C H O X9"),
        (["two.xyz", "--units", "lj"], "`units` must be one of metal, real, si, cgs, electron, micro, nano, got 'lj'"),
        (["sulphur.xyz", "--model", "MODEL"], "`model` must know all elements of the structure, MODEL knows H, C, O, Cu, got S"),
        (["two.xyz", "--model", "two.xyz"], "`two.xyz` must be a model file written by `spinconv export`"),
        (["isotopes.xyz"], "all atoms of an element must have one mass, those of H have [1.008, 2.014]"),
        (["flat.xyz"], "`cell` must have independent lattice vectors where it is periodic, got"),
    ],
)
def test_errors_are_said_in_words(
    words: list[str], sentence: str, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    Path("broken.xyz").write_text("this is no structure\n")
    ase.io.write("two.xyz", [ethanol(0), ethanol(1)])
    ase.io.write("sulphur.xyz", ase.Atoms("SO", [(0, 0, 0), (0, 0, 1.5)]))
    isotopes = ethanol()
    isotopes.set_masses([2.014 if n == 8 else mass for n, mass in enumerate(isotopes.get_masses())])
    ase.io.write("isotopes.xyz", isotopes)
    ase.io.write("flat.xyz", ase.Atoms("Cu", cell=[[1, 0, 0], [0, 1, 0], [1, 1, 0]], pbc=True))
    said = spinconv(*(word.replace("MODEL", str(model_file)) for word in words))
    assert said.exit_code == 1
    assert sentence.replace("MODEL", str(model_file)) in " ".join(said.output.split())


def test_a_frame_of_many_can_be_read(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "two.xyz", [ethanol(0), ethanol(1)])
    np.testing.assert_allclose(read_structure(tmp_path / "two.xyz", 0).positions, ethanol(0).positions, atol=1e-7)
