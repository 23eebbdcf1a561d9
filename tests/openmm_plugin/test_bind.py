"""Files for TorchForce: written by `spinconv bind`, refused in words where they do not fit, run by a real TorchForce."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import ase.io
import numpy as np
import pytest
import torch
from structures import ethanol, triclinic, water_box, with_calculator
from typer.testing import CliRunner

from models import SHIPPED_MODEL
from spinconv.export import SpinConvCalculator
from spinconv.export.bind import bind_model
from spinconv.export.check import TOLERANCES, compare
from spinconv.export.cli import app
from spinconv.export.engines import EngineUnavailable
from spinconv.export.reader import read_model
from spinconv.export.units import KJ_PER_MOL_PER_EV
from spinconv.openmm_plugin.torchforce import Host, host_of, python_with_torchforce

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")
openmm_app = pytest.importorskip("openmm.app")
needs_model = pytest.mark.skipif(not SHIPPED_MODEL.exists(), reason="the shipped model is not here")
WATER = SHIPPED_MODEL.parent.parent / "water" / "model.pt"


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, " ".join(done.output.split())


def write(path: Path, atoms: ase.Atoms, mm: SimpleNamespace) -> None:
    """PDB and mmCIF by OpenMM, with an atom name each; the rest by ASE."""
    writers = {".pdb": openmm_app.PDBFile, ".pdbx": openmm_app.PDBxFile}
    if path.suffix not in writers:
        ase.io.write(path, atoms)
        return
    with path.open("w") as file:
        writers[path.suffix].writeFile(mm.topology(atoms), atoms.positions * openmm.unit.angstrom, file)


@pytest.fixture
def host() -> Host:
    try:
        return host_of(python_with_torchforce())
    except EngineUnavailable as reason:
        pytest.skip(str(reason))


def request(atoms: ase.Atoms, **more: object) -> dict[str, object]:
    box = (atoms.cell.array / 10).tolist() if atoms.pbc.all() else None
    return {"positions": (atoms.positions / 10).tolist(), "masses": atoms.get_masses().tolist(), "box": box, **more}


# ---- the command


@pytest.mark.parametrize("name", ["system.pdb", "system.pdbx", "system.xyz", "system.cif"])
def test_a_bound_file_computes_what_ase_computes(name: str, model_file: Path, tmp_path: Path, mm: SimpleNamespace) -> None:
    atoms = water_box()
    write(tmp_path / name, atoms, mm)
    code, output = run("bind", model_file, tmp_path / name, "-o", tmp_path / "system.pt", "--dtype", "float64")
    assert code == 0, output
    assert "written for 24 atoms, in a periodic box" in output
    assert "force.setUsesPeriodicBoundaryConditions(True)" in output
    module = torch.jit.load(tmp_path / "system.pt")
    positions = torch.tensor(atoms.positions / 10, requires_grad=True)
    energy = module(positions, torch.tensor(atoms.cell.array / 10))
    assert energy.dtype == torch.float64
    energy.backward()
    exact = with_calculator(atoms, SpinConvCalculator(model_file))
    assert float(energy.detach()) == pytest.approx(exact.get_potential_energy() * KJ_PER_MOL_PER_EV, rel=1e-13)
    np.testing.assert_allclose(-positions.grad / (10 * KJ_PER_MOL_PER_EV), exact.get_forces(), rtol=0, atol=1e-11)


def test_a_bound_file_is_a_model_file_still(model_file: Path, tmp_path: Path) -> None:
    atoms = triclinic()
    metadata = bind_model(model_file, tmp_path / "bound.pt", atoms.numbers, periodic=True)
    assert metadata["bound"]["n_particles"] == len(atoms)
    read = read_model(tmp_path / "bound.pt").metadata
    assert {key: value for key, value in read.items() if key != "weights_sha256"} == metadata
    energies = [with_calculator(atoms, SpinConvCalculator(path)).get_potential_energy() for path in (model_file, tmp_path / "bound.pt")]
    assert energies[0] == energies[1]


def test_a_bound_file_can_be_checked(model_file: Path, tmp_path: Path) -> None:
    bind_model(model_file, tmp_path / "bound.pt", [6, 8], particles=[3, 4], n_particles=7, periodic=True)
    rows = [row for row in compare(tmp_path / "bound.pt", engines={}) if row.engine == "forward"]
    assert len(rows) == 3
    assert all(TOLERANCES["float64"].holds_for(row) for row in rows)


def test_atoms_are_chosen_by_index_or_residue(model_file: Path, tmp_path: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol() + ase.Atoms("Ar2", positions=[(9, 0, 0), (9, 4, 0)])
    topology = mm.topology(atoms)
    argon = topology.addResidue("AR", topology.addChain())
    for atom in list(topology.atoms())[9:]:
        atom.residue._atoms.remove(atom)
        argon._atoms.append(atom)
        atom.residue = argon
    next(topology.residues()).name = "ETH"
    with (tmp_path / "system.pdb").open("w") as file:
        openmm_app.PDBFile.writeFile(topology, atoms.positions * openmm.unit.angstrom, file)
    positions = torch.tensor(atoms.positions / 10)
    energies = []
    for choice in ("0-8", "ETH", "0,1,2,3-7,8"):
        code, output = run("bind", model_file, tmp_path / "system.pdb", "-o", tmp_path / "system.pt", "--atoms", choice, "--forces")
        assert code == 0, output
        assert "written for 9 of 11 particles, without a box" in output
        energy, forces = torch.jit.load(tmp_path / "system.pt")(positions)
        assert forces.shape == (11, 3)
        assert forces.is_contiguous()
        assert (forces[9:] == 0).all()
        energies.append(float(energy))
    alone = with_calculator(ethanol(), SpinConvCalculator(model_file)).get_potential_energy() * KJ_PER_MOL_PER_EV
    np.testing.assert_allclose(energies, alone, rtol=1e-13)
    code, output = run("bind", model_file, tmp_path / "system.pdb")
    assert code == 1
    assert "elements that the model knows (H, C, O, Cu), got Ar for particle 9" in output


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("0-99", "`--atoms` must name particles from 0 to 8, got 0-99"),
        ("5-3", "`--atoms` must name particles from 0 to 8, got 5-3"),
        ("LIG", "must be indices as 0-8,15 or names of residues (the structure has none), got 'LIG'"),
        ("-3", "must be indices as 0-8,15 or names of residues"),
    ],
)
def test_a_wrong_choice_of_atoms_is_refused(choice: str, words: str, model_file: Path, tmp_path: Path) -> None:
    ase.io.write(tmp_path / "system.xyz", ethanol())
    code, output = run("bind", model_file, tmp_path / "system.xyz", f"--atoms={choice}")
    assert code == 1
    assert words in output


def test_what_cannot_be_read_or_written_is_named(model_file: Path, tmp_path: Path) -> None:
    ase.io.write(tmp_path / "system.xyz", ethanol())
    assert "there is no such structure file" in run("bind", model_file, tmp_path / "missing.pdb")[1]
    assert "there is no such model file" in run("bind", tmp_path / "missing.pt", tmp_path / "system.xyz")[1]
    (tmp_path / "text.pdb").write_text("ATOM nonsense")
    assert "must be a PDB or mmCIF file; OpenMM says" in run("bind", model_file, tmp_path / "text.pdb")[1]
    assert "`dtype` must be one of float32, float64" in run("bind", model_file, tmp_path / "system.xyz", "--dtype", "half")[1]
    ase.io.write(tmp_path / "names.pdb", ethanol())  # ASE names atoms by their element
    assert "duplicate atom" in run("bind", model_file, tmp_path / "names.pdb")[1]
    slab = ethanol()
    slab.set_cell([9, 9, 9])
    slab.pbc = (True, True, False)
    ase.io.write(tmp_path / "slab.xyz", slab)
    assert "periodic in three directions or in none" in run("bind", model_file, tmp_path / "slab.xyz")[1]
    (tmp_path / "kept.pt").write_text("kept")
    assert run("bind", model_file, tmp_path / "system.xyz", "-o", tmp_path / "kept.pt", "--dtype", "half")[0] == 1
    assert (tmp_path / "kept.pt").read_text() == "kept"


# ---- what the module refuses


def refusal(module: torch.jit.ScriptModule, positions: np.ndarray, box: np.ndarray | None = None) -> str:
    with pytest.raises(torch.jit.Error) as error:
        module(torch.tensor(positions / 10), None if box is None else torch.tensor(box / 10))
    return str(error.value).strip().splitlines()[-1]


def test_an_unbound_file_is_refused_until_it_has_numbers(model_file: Path) -> None:
    atoms = ethanol()
    module = torch.jit.load(model_file)
    assert "does not know the atoms yet: `spinconv bind model.pt system.pdb -o system.pt` writes one" in refusal(module, atoms.positions)
    module.numbers = torch.tensor(atoms.numbers)
    exact = with_calculator(atoms, SpinConvCalculator(model_file)).get_potential_energy()
    assert float(module(torch.tensor(atoms.positions / 10))) == pytest.approx(exact * KJ_PER_MOL_PER_EV, rel=1e-13)
    module.numbers = torch.tensor(atoms.numbers, dtype=torch.int32)
    assert "`numbers` must be an int64 tensor" in refusal(module, atoms.positions)
    module.numbers = torch.tensor([6, 6, 7, 1, 1, 1, 1, 1, 1])
    assert "elements that the model knows [1, 6, 8, 29], got 7 for atom 2" in refusal(module, atoms.positions)


def test_another_system_is_refused(model_file: Path, tmp_path: Path) -> None:
    atoms = ethanol()
    bind_model(model_file, tmp_path / "all.pt", atoms.numbers, periodic=False)
    module = torch.jit.load(tmp_path / "all.pt")
    assert "is bound to 9 particles, the system has 8" in refusal(module, atoms.positions[:8])
    assert "bound to a system without a box, but the force is periodic" in refusal(module, atoms.positions, np.eye(3) * 30)
    lost = atoms.positions.copy()
    lost[3, 1] = np.inf
    assert "a position is not a number" in refusal(module, lost)
    bind_model(model_file, tmp_path / "some.pt", atoms.numbers[:3], particles=[0, 1, 2], n_particles=9, periodic=True)
    module = torch.jit.load(tmp_path / "some.pt")
    assert "is bound to 9 particles, the system has 8" in refusal(module, atoms.positions[:8])
    assert "is bound to a periodic system: say force.setUsesPeriodicBoundaryConditions(True)" in refusal(module, atoms.positions)


@pytest.mark.parametrize(
    ("numbers", "particles", "words"),
    [
        ([], None, "must name at least one particle"),
        ([1, 1, 8], [0, 1], "one atomic number for each of the 2 `particles`, got 3"),
        ([1, 1, 8], [0, 4, 4], "must name a particle once, got 4 twice"),
        ([1, 8], [0, -1], "must be indices from 0 on and below 5, the number of particles, got -1"),
        ([1, 8], [0, 5], "must be indices from 0 on and below 5, the number of particles, got 5"),
        ([1, 7], [0, 4], "got N for particle 4"),
    ],
)
def test_atoms_that_do_not_fit_are_refused(
    numbers: list[int], particles: list[int] | None, words: str, model_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        bind_model(model_file, tmp_path / "bound.pt", numbers, particles=particles, n_particles=5)
    assert not (tmp_path / "bound.pt").exists()


# ---- in a real TorchForce (test_doors.py has energies and forces on all platforms)


def test_the_module_itself_with_numbers_set_runs(model_file: Path, host: Host) -> None:
    atoms = ethanol()
    answer = host.ask(file=str(model_file), **request(atoms, numbers=atoms.numbers.tolist()))
    exact = with_calculator(atoms, SpinConvCalculator(model_file))
    assert answer["energy"] == pytest.approx(exact.get_potential_energy() * KJ_PER_MOL_PER_EV, rel=1e-13)
    np.testing.assert_allclose(np.array(answer["forces"]) / (10 * KJ_PER_MOL_PER_EV), exact.get_forces(), rtol=0, atol=1e-9)


def test_refusals_reach_the_user(model_file: Path, tmp_path: Path, host: Host) -> None:
    atoms = ethanol()
    with pytest.raises(ValueError, match="does not know the atoms yet"):
        host.ask(file=str(model_file), **request(atoms))
    bind_model(model_file, tmp_path / "bound.pt", atoms.numbers, periodic=False)
    with pytest.raises(ValueError, match="is bound to 9 particles, the system has 8"):
        host.ask(file=str(tmp_path / "bound.pt"), **request(atoms[:8]))


@needs_model
@pytest.mark.parametrize("variable", ["SPINCONV_TORCHFORCE_PYTHON", "SPINCONV_OTHER_TORCH_PYTHON"])
def test_the_shipped_file_has_the_same_digits_in_other_versions_of_torch(variable: str, tmp_path: Path) -> None:
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"{variable} names no Python with another torch (scripts/other_torch.sh makes some)")
    atoms = water_box()
    bind_model(WATER, tmp_path / "bound.pt", atoms.numbers, periodic=True, dtype="float64")
    np.savez(tmp_path / "system.npz", positions=atoms.positions / 10, box=atoms.cell.array / 10)
    script = """if True:
        import json, numpy, torch
        torch.set_num_threads(1)
        system = numpy.load("system.npz")
        module = torch.jit.load("bound.pt")
        positions = torch.tensor(system["positions"], requires_grad=True)
        energy = module(positions, torch.tensor(system["box"]))
        energy.backward()
        print(json.dumps([torch.__version__, float(energy.detach()), positions.grad.tolist()]))
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    here, there = (
        json.loads(subprocess.run([p, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout)
        for p in (sys.executable, python)
    )
    assert here[0] != there[0], "the same torch twice"
    assert there[1] == pytest.approx(here[1], rel=1e-14)
    np.testing.assert_allclose(there[2], here[2], rtol=0, atol=1e-9)  # kJ/mol/nm, of some thousands


@needs_model
def test_the_two_changed_lines_of_the_manual_run(tmp_path: Path, host: Host, mm: SimpleNamespace) -> None:
    # docs/openmm.md: the command, then the lines as they stand, in a script of a TorchForce user
    text = (SHIPPED_MODEL.parent.parent.parent / "docs" / "openmm.md").read_text()
    block = re.search(r"^    from openmmtorch import TorchForce\n(?:    .*\n)+", text, re.MULTILINE)
    assert block is not None
    assert "    spinconv bind model.pt system.pdb -o system.pt\n" in text
    atoms = water_box()
    write(tmp_path / "system.pdb", atoms, mm)
    assert run("bind", WATER, tmp_path / "system.pdb", "-o", tmp_path / "system.pt", "--dtype", "float64")[0] == 0
    script = f"""
from openmm import Context, LangevinMiddleIntegrator, Platform, System
from openmm.app import PDBFile
pdb = PDBFile("system.pdb")
system = System()
system.setDefaultPeriodicBoxVectors(*pdb.topology.getPeriodicBoxVectors())
for atom in pdb.topology.atoms():
    system.addParticle(atom.element.mass)
{re.sub("^    ", "", block[0], flags=re.MULTILINE)}
context = Context(system, LangevinMiddleIntegrator(300, 1, 0.0005), Platform.getPlatformByName("CPU"))
context.setPositions(pdb.positions)
print("ENERGY", context.getState(energy=True).getPotentialEnergy()._value)
context.getIntegrator().step(3)
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python_with_torchforce(), "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    atoms.positions = atoms.positions.round(3)  # as a PDB file has them
    exact = with_calculator(atoms, SpinConvCalculator(WATER, dtype="float64")).get_potential_energy() * KJ_PER_MOL_PER_EV
    assert float(re.search(r"ENERGY (\S+)", done.stdout)[1]) == pytest.approx(exact, rel=1e-9)
