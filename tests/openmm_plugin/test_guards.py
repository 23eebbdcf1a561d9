"""What is no matter, or no number, is refused in the same words by SpinConvForce and PythonForce; what is set in torch changes nothing."""

import base64
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ase
import numpy as np
import pytest
from packed import repacked
from structures import ethanol
from torch_states import TORCH_STATES

from spinconv.export import SpinConvCalculator
from spinconv.export.bind import bind_model
from spinconv.export.container import read_container
from spinconv.export.reader import read_model
from spinconv.openmm_plugin import force
from spinconv.openmm_plugin.bind import read_particles
from spinconv.openmm_plugin.python_force import python_force

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")
app = pytest.importorskip("openmm.app")

DOORS = {"SpinConvForce": force, "PythonForce": python_force}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("state", TORCH_STATES)
def test_what_is_set_in_torch_changes_nothing(door: str, state: str, model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()

    def make() -> Any:
        return mm.context(mm.system(atoms, DOORS[door](model_file, atoms.numbers.tolist())), atoms)

    energy, forces = mm.read(make())
    assert np.abs(forces).max() > 0.01
    with TORCH_STATES[state]():
        within = make()
        made_within = mm.read(within)
    for found in (made_within, mm.read(within)):
        assert found[0] == energy
        np.testing.assert_array_equal(found[1], forces)


CROWD = np.random.default_rng(0).random((20000, 3)) * 6
REFUSED = {
    "atoms 0 and 1 are 0.005 Å apart; atoms must be at least 0.01 Å apart": ase.Atoms("CO", [(0, 0, 0), (0.005, 0, 0)]),
    "atom 0 and its own image are 0.09 Å apart; atoms must be at least 0.1 Å apart": ase.Atoms("C", cell=[7, 7, 0.09], pbc=True),
    "too small for 9 atoms, each must have at least 1.01 Å³: look whether it is a dummy, as CRYST1 1 1 1": ase.Atoms(
        ethanol(), cell=[1, 1, 1], pbc=True
    ),
    "a space of 1e+06 x 5 x 5 Å, which is too long or too flat": ase.Atoms("CO", [(0, 0, 0), (1e6, 0, 0)]),
    "a space of 5 x 5 x 1e+06 Å, which is too long or too flat": ase.Atoms("C", cell=[5, 5, 1e6], pbc=True),
    "a space of 5 x 1e+05 x 1e+05 Å, which is too long or too flat": ase.Atoms("C", cell=[5, 1e5, 1e5], pbc=True),
    "`positions` must be finite and within 1e+07 Å, got 1e+09": ase.Atoms("CO", [(0, 0, 0), (1e9, 0, 0)], cell=[9, 9, 9], pbc=True),
    "`cell` must be finite": ase.Atoms("C", cell=[9, 9, np.inf], pbc=True),
    "pairs of 20000 atoms are within 5 Å, whose list needs": ase.Atoms("C20000", CROWD),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("words", REFUSED)
def test_what_is_no_matter_is_refused(
    door: str, words: str, model_file: Path, mm: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spinconv.potential.searchable.available_memory", lambda: 10**10)  # PythonForce; 40 GB are wanted
    atoms = REFUSED[words]
    context = mm.context(mm.system(atoms, DOORS[door](model_file, atoms.numbers.tolist(), periodic=bool(atoms.pbc.all()))), atoms)
    with pytest.raises(openmm.OpenMMException if door == "SpinConvForce" else Exception, match=re.escape(words)):
        mm.read(context)


@pytest.mark.parametrize("door", DOORS)
def test_particles_on_top_of_each_other_are_called_by_their_place_in_the_system(door: str, model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ase.Atoms("HHCO", [(0, 0, 0), (5, 5, 5), (1, 0, 0), (1, 0, 0.005)])
    context = mm.context(mm.system(atoms, DOORS[door](model_file, [6, 8], particles=[2, 3])), atoms)
    with pytest.raises(Exception, match=r"atoms 2 and 3 are 0.005 Å apart"):
        mm.read(context)


def test_a_python_force_refuses_a_particle_past_the_end(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    context = mm.context(mm.system(atoms, python_force(model_file, [6, 8], particles=[0, 9])), atoms)
    with pytest.raises(Exception, match=r"`particles` must lie between 0 and 8, got 9"):
        mm.read(context)


def test_a_python_force_on_some_particles_leaves_the_others_alone(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    chosen = [5, 0, 2]
    numbers = atoms.numbers[chosen].tolist()
    results = [
        mm.read(mm.context(mm.system(atoms, door(model_file, numbers, particles=chosen, precision="float64")), atoms))
        for door in (force, python_force)
    ]
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-13)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-10)
    assert not results[1][1][[1, 3, 4, 6, 7, 8]].any()


@pytest.mark.parametrize("wrong", [1.9, float("nan"), True, "6"])
@pytest.mark.parametrize("name", ["numbers", "particles"])
def test_what_is_no_whole_number_is_not_cut(wrong: object, name: str, model_file: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"numbers": [6, 8], "particles": [0, 1]}
    given[name] = [given[name][0], wrong]
    for call in (
        lambda: force(model_file, given["numbers"], particles=given["particles"]),
        lambda: python_force(model_file, given["numbers"], particles=given["particles"]),
        lambda: bind_model(model_file, tmp_path / "bound.pt", given["numbers"], particles=given["particles"]),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must be whole numbers, got {re.escape(repr(wrong))}"):
            call()


DUMMY = """CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1
HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O
HETATM    2  H1  HOH A   1       0.957   0.000   0.000  1.00  0.00           H
HETATM    3  H2  HOH A   1      -0.240   0.927   0.000  1.00  0.00           H
END
"""


def test_the_dummy_box_of_a_pdb_file_is_refused_and_can_be_taken_off(model_file: Path, tmp_path: Path, mm: SimpleNamespace) -> None:
    path = tmp_path / "dummy.pdb"
    path.write_text(DUMMY)
    topology = app.PDBFile(str(path)).topology
    for call in (lambda: force(model_file, topology), lambda: read_particles(path)):
        with pytest.raises(ValueError, match=r"the box of the Topology is 0.1 x 0.1 x 0.1 nm: a dummy, as the CRYST1 1 1 1"):
            call()
    assert not force(model_file, topology, periodic=False).usesPeriodicBoundaryConditions()
    topology.setPeriodicBoxVectors(None)
    assert not force(model_file, topology).usesPeriodicBoundaryConditions()


@pytest.mark.parametrize("threads", [1_000_000, 2**40])
def test_more_threads_than_any_machine_has_are_refused(threads: int, model_file: Path) -> None:
    with pytest.raises(ValueError, match=rf"`threads` must be 0 \(OMP_NUM_THREADS, or all processors\) to \d+, got {threads}"):
        force(model_file, [6, 8], threads=threads)


def test_more_threads_than_any_machine_has_are_refused_in_xml(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    xml = openmm.XmlSerializer.serialize(force(model_file, atoms.numbers.tolist(), threads=1)).replace('threads="1"', 'threads="1000000"')
    with pytest.raises(openmm.OpenMMException, match=r"`threads` must be 0 \(OMP_NUM_THREADS, or all processors\) to \d+, got 1000000"):
        mm.context(mm.system(atoms, openmm.XmlSerializer.deserialize(xml)), atoms)


@pytest.mark.parametrize(("name", "value"), [("cutoff", 3.0), ("n_blocks", 1), ("n_blocks", 3), ("channels", 8), ("lmax", 2)])
def test_a_file_whose_sizes_are_not_those_of_its_network_is_damaged(
    name: str, value: float, model_file: Path, tmp_path: Path, mm: SimpleNamespace
) -> None:
    """Under a seal that holds: a model that runs with another cutoff than it has gives numbers all the same."""
    model = read_container(model_file).metadata.model
    path = repacked(model_file, tmp_path / "damaged.pt", model=model.model_copy(update={name: value}))
    with pytest.raises(ValueError, match="is damaged: its "):
        read_model(path)
    if name in ("channels", "lmax"):
        return  # the engines take them from the weights
    atoms = ethanol()
    xml = openmm.XmlSerializer.serialize(force(model_file, atoms.numbers.tolist()))
    with pytest.raises(openmm.OpenMMException, match="is damaged: "):
        mm.context(mm.system(atoms, with_model(xml, path)), atoms)


def test_a_file_that_is_damaged_in_xml_is_refused(model_file: Path, tmp_path: Path, mm: SimpleNamespace) -> None:
    atoms, path = ethanol(), tmp_path / "damaged.pt"
    data = bytearray(model_file.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)
    xml = openmm.XmlSerializer.serialize(force(model_file, atoms.numbers.tolist()))
    with pytest.raises(openmm.OpenMMException, match="is damaged: its bytes do not have the hash that is written in it"):
        mm.context(mm.system(atoms, with_model(xml, path)), atoms)


def with_model(xml: str, path: Path) -> Any:
    return openmm.XmlSerializer.deserialize(re.sub(r'base64="[^"]*"', f'base64="{base64.b64encode(path.read_bytes()).decode()}"', xml))


@pytest.mark.parametrize("door", DOORS)
def test_a_trial_step_of_a_minimizer_has_the_energy_of_the_wall(door: str, model_file: Path, mm: SimpleNamespace) -> None:
    """As the calculator has it, far above two atoms apart."""
    atoms = ase.Atoms("CO", [(0, 0, 0), (0.03, 0, 0.04)])
    energy, forces = mm.read(mm.context(mm.system(atoms, DOORS[door](model_file, atoms.numbers.tolist())), atoms))
    atoms.calc = SpinConvCalculator(model_file)
    np.testing.assert_allclose(energy, atoms.get_potential_energy(), rtol=1e-9)
    np.testing.assert_allclose(forces, atoms.get_forces(), rtol=1e-9, atol=1e-3)
    assert energy > 1000 + sum(atoms.calc.model.metadata["reference_energies"][symbol] for symbol in atoms.symbols)
