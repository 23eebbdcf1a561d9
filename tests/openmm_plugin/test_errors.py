"""What is refused, and in which words."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from packed import astray, repacked
from structures import ethanol

from models import random_model
from spinconv.export import export_model
from spinconv.export.bind import bind_model
from spinconv.export.build import TORCH_EVALUATOR, Build, minor, read_build
from spinconv.export.engines import EngineUnavailable
from spinconv.openmm_plugin import force
from spinconv.openmm_plugin import library as library_module
from spinconv.openmm_plugin.library import check_openmm, load_library
from spinconv.openmm_plugin.python_force import python_force

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")
app = pytest.importorskip("openmm.app")


# ---- in Python, before there is a System


def test_an_unknown_element_is_named_with_those_known(model_file: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("elements that the model knows (H, C, O, Cu), got N for particle 2")):
        force(model_file, [6, 1, 7])
    with pytest.raises(ValueError, match="got N for particle 40"):
        force(model_file, [6, 7], particles=[3, 40])


def test_what_is_no_model_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.pt`: there is no such model file"):
        force(tmp_path / "missing.pt", [1])
    (tmp_path / "text.pt").write_text("no model")
    with pytest.raises(ValueError, match="must be a model file written by `spinconv export`"):
        force(tmp_path / "text.pt", [1])


@pytest.mark.parametrize(
    ("numbers", "particles", "words"),
    [
        ([], None, "must name at least one particle"),
        ([1, 1, 8], [0, 1], "one atomic number for each of the 2 `particles`, got 3"),
        ([1, 1, 8], [0, 4, 4], "must name a particle once, got 4 twice"),
        ([1, 8], [0, -1], "must be indices from 0 on, got -1"),
    ],
)
def test_particles_that_do_not_fit_are_refused(numbers: list[int], particles: list[int] | None, words: str, model_file: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        force(model_file, numbers, particles=particles)


def test_a_topology_atom_without_element_or_beyond_its_end_is_refused(model_file: Path) -> None:
    topology = app.Topology()
    residue = topology.addResidue("MOL", topology.addChain())
    topology.addAtom("O", app.Element.getBySymbol("O"), residue)
    topology.addAtom("EP", None, residue)
    with pytest.raises(ValueError, match=re.escape("atom 1 (EP) of the Topology has none; leave it out by `particles`")):
        force(model_file, topology)
    assert isinstance(force(model_file, topology, particles=[0]), openmm.Force)
    with pytest.raises(ValueError, match="must lie between 0 and 1, the atoms of the Topology, got 2"):
        force(model_file, topology, particles=[2])


def test_an_unknown_precision_is_refused(model_file: Path) -> None:
    with pytest.raises(ValueError, match="`dtype` must be one of float32, float64, got 'half'"):
        force(model_file, [1], precision="half")


@pytest.fixture
def nonconservative_file(model_file: Path, tmp_path: Path) -> Path:
    """A file that says of itself that its forces are not the gradient of its energy."""
    return repacked(model_file, tmp_path / "cut.pt", conservative=False)


def test_forces_that_are_no_gradient_are_refused_by_every_door(nonconservative_file: Path, tmp_path: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    words = "are not the gradient of its energy, which will not be conserved; say nonconservative=True"
    with pytest.raises(ValueError, match=words):
        force(nonconservative_file, atoms.numbers)
    with pytest.raises(ValueError, match=words):
        python_force(nonconservative_file, atoms.numbers)
    with pytest.raises(ValueError, match=words):
        bind_model(nonconservative_file, tmp_path / "bound.pt", atoms.numbers)
    asked_for = force(nonconservative_file, atoms.numbers, nonconservative=True)
    xml = openmm.XmlSerializer.serialize(asked_for)
    energy, forces = mm.read(mm.context(mm.system(atoms, asked_for), atoms))
    assert np.isfinite(energy)
    assert np.abs(forces).max() > 0
    not_asked_for = openmm.XmlSerializer.deserialize(xml.replace('nonconservative="1"', 'nonconservative="0"'))
    with pytest.raises(openmm.OpenMMException, match="which will not be conserved"):
        mm.context(mm.system(atoms, not_asked_for), atoms)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threads": -1}, "`threads` must be 0 (OMP_NUM_THREADS, or all processors) to "),
        ({"skin": -0.1}, "`skin` must be 0 or a length (nm), got -0.1"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, float], words: str, model_file: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        force(model_file, [1], **options)


def test_a_device_that_is_not_there_or_unknown_is_refused(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    with pytest.raises(openmm.OpenMMException, match="`device` must be auto, cpu, cuda, cuda:<index>, opencl or opencl:<index>, got gpu"):
        mm.context(mm.system(atoms, force(model_file, atoms.numbers, device="gpu")), atoms)
    energies = [mm.read(mm.context(mm.system(atoms, force(model_file, atoms.numbers, device=name)), atoms))[0] for name in ("auto", "cpu")]
    assert energies[0] == pytest.approx(energies[1], rel=1e-12)
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(openmm.OpenMMException, match="`device` is cuda, but this torch finds no CUDA device; use cpu"):
        mm.context(mm.system(atoms, force(model_file, atoms.numbers, device="cuda")), atoms)


def test_a_committee_of_nobody_and_one_with_a_stranger_are_refused(model_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`model` must be a model file or several, got an empty list"):
        force([], [1])
    fields = {"channels": 8, "n_blocks": 1}
    export_model(random_model((1, 6), **fields), tmp_path / "other.pt")
    with pytest.raises(ValueError, match=re.escape("elements that the model knows (H, C), got O for particle 1")):
        force([model_file, tmp_path / "other.pt"], [1, 8])


# ---- in OpenMM, when a Context is made or computes


def test_numbers_of_another_system_are_refused(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    with pytest.raises(openmm.OpenMMException, match="one atomic number for each of the 9 particles of the System, got 2"):
        mm.context(mm.system(atoms, force(model_file, [1, 1])), atoms)
    with pytest.raises(openmm.OpenMMException, match="`particles` must lie between 0 and 8, got 9"):
        mm.context(mm.system(atoms, force(model_file, [1], particles=[9])), atoms)


def test_an_unknown_device_is_refused(model_file: Path, mm: SimpleNamespace) -> None:
    atoms = ethanol()
    with pytest.raises(
        openmm.OpenMMException, match="SpinConvForce: `device` must be auto, cpu, cuda, cuda:<index>, opencl or opencl:<index>, got tpu"
    ):
        mm.context(mm.system(atoms, force(model_file, atoms.numbers, device="tpu")), atoms)


def changed_xml(model_file: Path, pattern: str, replacement: str) -> "openmm.Force":
    xml = openmm.XmlSerializer.serialize(force(model_file, ethanol().numbers))
    changed, count = re.subn(pattern, replacement, xml, count=1)
    assert count == 1
    return openmm.XmlSerializer.deserialize(changed)


def test_xml_that_is_damaged_or_of_another_version_is_refused(model_file: Path, mm: SimpleNamespace) -> None:
    with pytest.raises(openmm.OpenMMException, match="of version 9, this spinconv reads version 2; write it again"):
        changed_xml(model_file, ' version="2"', ' version="9"')
    with pytest.raises(openmm.OpenMMException, match="is damaged: it is not base64"):
        changed_xml(model_file, 'base64="....', 'base64="%%%%')
    atoms = ethanol()
    with pytest.raises(openmm.OpenMMException, match="SpinConvForce: the model must be a model file written by `spinconv export`"):
        mm.context(mm.system(atoms, changed_xml(model_file, 'base64="[^"]*"', 'base64="bm8gbW9kZWw="')), atoms)
    with pytest.raises(openmm.OpenMMException, match=re.escape("elements that the model knows (H C O Cu), got N for particle 0")):
        mm.context(mm.system(atoms, changed_xml(model_file, '<Atom number="6"', '<Atom number="7"')), atoms)


def test_a_result_that_is_no_number_names_the_particle(model_file: Path, tmp_path: Path, mm: SimpleNamespace) -> None:
    astray(model_file, tmp_path / "nan.pt")
    atoms = ethanol()
    spinconv_force = force(tmp_path / "nan.pt", atoms.numbers[3:], particles=range(3, 9))
    context = mm.context(mm.system(atoms, spinconv_force), atoms)
    with pytest.raises(openmm.OpenMMException, match="the energy of particle 3 is not a number"):
        context.getState(energy=True)


@pytest.mark.parametrize("platform", ["Reference", "OpenCL"])
def test_a_position_that_is_no_number_names_the_particle(platform: str, model_file: Path, mm: SimpleNamespace) -> None:
    # the CPU platform finds it first; OpenCL computes such a force on a thread of its own, and the exception must come over
    atoms = ethanol()
    context = mm.context(mm.system(atoms, force(model_file, atoms.numbers)), atoms, platform)
    positions = atoms.positions / 10
    positions[4, 1] = np.nan
    context.setPositions(positions)
    with pytest.raises(openmm.OpenMMException, match="the position of particle 4 is not a number"):
        context.getState(energy=True)


# ---- the library


@pytest.mark.parametrize(("built", "found"), [("8.6.1", "8.5.2"), ("8.6.1", "9.6.1")])
def test_another_minor_version_of_openmm_is_refused(built: str, found: str) -> None:
    with pytest.raises(EngineUnavailable, match=re.escape(f"found openmm {found}; `pip install openmm=={built}`, or build it again")):
        check_openmm(built, found)


def test_a_library_that_was_not_built_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_module, "read_build", lambda folder: Build("SpinConvForce", "", "", "OpenMM was not found"))
    load_library.cache_clear()
    with pytest.raises(EngineUnavailable, match=r"SpinConvForce: not built: OpenMM was not found; .*pip install --force-reinstall"):
        load_library()


def test_a_missing_openmm_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openmm", None)
    load_library.cache_clear()
    with pytest.raises(EngineUnavailable, match="OpenMM is not installed; `pip install openmm`"):
        load_library()


def test_the_note_beside_the_library_names_what_is_installed() -> None:
    build = read_build("openmm_plugin")
    assert minor(build.engine.removeprefix("OpenMM ")) == minor(openmm.version.version)
    assert minor(read_build(TORCH_EVALUATOR).torch) == minor(torch.__version__)
