"""The probe of a model file tells whether a reader computes what the model does."""

import subprocess
import sys
from pathlib import Path

import ase
import numpy as np
import pytest
import torch
from ase.data import chemical_symbols
from packed import CONFIG, repacked

from models import random_model
from spinconv.export import export_model, read_model
from spinconv.export.build import read_build
from spinconv.export.check_structures import own_structures
from spinconv.export.container import read_container
from spinconv.export.native_library import NativeModel
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


# ---- every reader computes it again


def moved(path: Path, target: Path, what: str, share: float) -> Path:
    """The file with a probe one of whose numbers is away by a share of the largest of its kind."""
    probe = read_container(path).metadata.probe
    rows = np.array(getattr(probe, what))
    references = [read_container(path).metadata.reference_energies[chemical_symbols[z]] for z in probe.numbers]
    rows.flat[0] += share * np.abs(rows - references if what == "energies" else rows).max()
    return repacked(path, target, probe=probe.model_copy(update={what: rows.tolist()}))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.pt"
    export_model(random_model(weights_times=2.0), path)
    return path


READERS = {
    "native": lambda path, dtype: NativeModel(path, dtype),
    "torch in C++": lambda path, dtype: NativeModel(path, dtype, evaluator="torch"),
    "torch": lambda path, dtype: read_model(path, dtype),
}


@pytest.mark.parametrize("what", ["energies", "gradients"])
@pytest.mark.parametrize(("dtype", "share"), [("float64", 1e-8), ("float32", 1e-3)])
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_that_finds_other_numbers_refuses_the_file(
    reader: str, dtype: str, share: float, what: str, path: Path, tmp_path: Path
) -> None:
    """The tolerance is three times what is let pass here, and a third of what is not."""
    READERS[reader](path, dtype)
    READERS[reader](moved(path, tmp_path / "near.pt", what, share / 3), dtype)
    far = moved(path, tmp_path / "far.pt", what, share * 3)
    with pytest.raises(
        ValueError, match=r"far.pt` gives other numbers here than where it was exported: the energies of its probe differ by "
    ):
        READERS[reader](far, dtype)


@pytest.mark.parametrize("engine", ["lammps", "openmm"])
def test_an_engine_refuses_it_too(engine: str, path: Path, tmp_path: Path) -> None:
    if read_build(f"{engine}_plugin").not_built:
        pytest.skip(read_build(f"{engine}_plugin").in_words())
    far = moved(path, tmp_path / "far.pt", "gradients", 1e-2)
    program = {
        "lammps": f"""
from spinconv.lammps_plugin.engine import open_lammps
open_lammps().command("pair_style spinconv {far}")
""",
        "openmm": f"""
import re, base64, pathlib, openmm
from spinconv.openmm_plugin import force
xml = openmm.XmlSerializer.serialize(force({str(path)!r}, [8]))
bad = base64.b64encode(pathlib.Path({str(far)!r}).read_bytes()).decode()
system = openmm.System()
system.addParticle(16.0)
system.addForce(openmm.XmlSerializer.deserialize(re.sub('base64="[^"]*"', f'base64="{{bad}}"', xml)))
openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
""",
    }[engine]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "gives other numbers here than where it was exported" in done.stdout + done.stderr
    assert "(native x86-64-v" in done.stdout + done.stderr
