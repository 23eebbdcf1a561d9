"""Makes the Force of a model file."""

import base64
import ctypes
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from spinconv.export.evaluators import open_model
from spinconv.export.metadata import check_is_conservative
from spinconv.export.particles import check_atoms, whole_numbers
from spinconv.openmm_plugin.library import load_library
from spinconv.potential.threads import check_threads

if TYPE_CHECKING:
    import openmm
    import openmm.app

XML_VERSION = 2
DUMMY_BOX = 0.1001  # nm; no crystal has three vectors as short as that


def force(
    model: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    topology_or_numbers: "openmm.app.Topology | Sequence[int]",
    *,
    particles: Sequence[int] | None = None,
    periodic: bool | None = None,
    precision: str | None = None,
    device: str = "cpu",
    evaluator: str | None = None,
    threads: int = 0,
    skin: float = 0.0,
    nonconservative: bool = False,
) -> "openmm.Force":
    """An `openmm.Force` with the energy of the model file `model`, to be added to a System; it runs on every platform.

    Several files make a committee: energy and forces are the mean of theirs, and `committee_deviation` tells how far they are apart.

    Without `particles` it acts on all particles. With them, indices into the System, it acts on those alone, and they feel no other
    particle through it: add it beside a force field that leaves out what happens among them. `topology_or_numbers` is a Topology,
    from which the elements of `particles` are taken, or the atomic numbers themselves, one for each particle the force acts on. Of a
    Topology the bonds are taken too: not for the model, but for barostats, which then move molecules as a whole.

    `periodic` says whether it sees the images of the box (None: as the Topology does; numbers alone have no box, so False). Any box
    will do, also one smaller than the cutoff. `precision` is "float32", "float64" or None for what the file was exported for.
    `device` is where the model runs, whatever the platform: "cpu", "cuda", "opencl", one of several as "cuda:1", or "auto", CUDA where
    there is a device. "context" is where the Context computes: on the platforms OpenCL, CUDA and HIP kernels in its own arrays, so
    that nothing goes to the host and back, else the CPU; "opencl" and "cuda" are that, too, where they name the platform's device.
    `evaluator` is "native", code of our own, "torch", or None for native where that can be. `threads` work on an evaluation on
    a CPU (0: OMP_NUM_THREADS, or as many as there are processors; small systems are fastest with 1). With a `skin` (nm) neighbours are
    looked for again only once a particle has moved by half of it; it saves under 1 % of a step, and the last digits of a result then depend
    on the steps before it. `nonconservative` accepts a model whose forces are not the gradient of its energy.

    The Force carries the model inside: System XML, copies and pickles need the file no more, but wherever they are read this
    function or `spinconv.openmm_plugin.load_library` must have run before. Raises ValueError for what does not fit together,
    FileNotFoundError, and EngineUnavailable where the library is not built or is built for another OpenMM.
    """
    load_library()
    from openmm import XmlSerializer
    from openmm.app import Topology

    models = [model] if isinstance(model, str | os.PathLike) else list(model)
    if not models:
        raise ValueError("`model` must be a model file or several, got an empty list")
    threads = check_threads(whole_numbers("threads", [threads])[0], least=0)
    if not 0 <= skin < math.inf:
        raise ValueError(f"`skin` must be 0 or a length (nm), got {skin}")
    indices = None if particles is None else whole_numbers("particles", particles)
    bonds: list[tuple[int, int]] = []
    if isinstance(topology_or_numbers, Topology):
        bonds = _bonds_of_topology(topology_or_numbers, indices)
        numbers = numbers_of_topology(topology_or_numbers, indices)
        periodic = has_box(topology_or_numbers) if periodic is None else periodic
    else:
        numbers = whole_numbers("numbers", topology_or_numbers)
    for path in models:
        elsewhere = evaluator == "native" and device != "context"
        file = open_model(path, precision, device if elsewhere else "cpu", evaluator)
        check_is_conservative(file.said, path, nonconservative)
        check_atoms(numbers, indices, None, file.metadata["elements"])

    node = ElementTree.Element("Force", type="SpinConvForce", version=str(XML_VERSION), name="SpinConvForce", forceGroup="0")
    node.attrib |= {"usesPeriodic": str(int(bool(periodic))), "precision": precision or "", "device": device, "evaluator": evaluator or ""}
    node.attrib |= {"threads": str(threads), "skin": repr(float(skin)), "nonconservative": str(int(nonconservative))}
    files = ElementTree.SubElement(node, "Models")
    for path in models:
        ElementTree.SubElement(files, "Model", base64=base64.b64encode(Path(path).read_bytes()).decode())
    atoms = ElementTree.SubElement(node, "Atoms")
    for i, number in enumerate(numbers):
        atom = ElementTree.SubElement(atoms, "Atom", number=str(number))
        if indices is not None:
            atom.set("particle", str(indices[i]))
    molecules = ElementTree.SubElement(node, "Bonds")
    for one, other in bonds:
        ElementTree.SubElement(molecules, "Bond", particle1=str(one), particle2=str(other))
    return XmlSerializer.deserialize(ElementTree.tostring(node, encoding="unicode"))


class Deviation(NamedTuple):
    """How far the models of a committee are apart: root mean squares of the differences from their mean."""

    energy: Any
    """Of the total energy, an openmm.unit.Quantity."""
    forces: Any
    """Of the force on each particle that the Force acts on, in its order, [n_atoms], an openmm.unit.Quantity of a NumPy array."""


def committee_deviation(context: "openmm.Context") -> Deviation:
    """How far the models of the SpinConvForce in `context` are apart at its current positions; costs one evaluation of each.

    Raises ValueError unless the System has exactly one SpinConvForce, or OpenMM's exception where a model fails.
    """
    import openmm
    from openmm.unit import kilojoule_per_mole, nanometer

    library, spinconv = load_library(), _spinconv_force(context)
    energy = ctypes.c_double()
    of_atoms = np.zeros(library.spinconv_n_atoms(int(spinconv.this)))
    pointer = of_atoms.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
    trouble = library.spinconv_deviation(int(spinconv.this), int(context.this), ctypes.byref(energy), pointer)
    if trouble is not None:
        raise openmm.OpenMMException(trouble.decode())
    return Deviation(energy.value * kilojoule_per_mole, of_atoms * kilojoule_per_mole / nanometer)


def evaluator_of(context: "openmm.Context") -> str:
    """What evaluates the SpinConvForce in `context`: "native x86-64-v4, float32 on cpu", "native cuda, float32 in the Context of platform
    CUDA"; of a committee one after another."""
    words: bytes | None = load_library().spinconv_evaluator_in_context(int(_spinconv_force(context).this), int(context.this))
    if words is None:
        raise ValueError("`context` must be one that was made of its System with the SpinConvForce in it")
    return words.decode()


def model_seconds(context: "openmm.Context") -> float:
    """Wall time that the model of the SpinConvForce in `context` has taken so far; what OpenMM took is the rest of a run."""
    return float(load_library().spinconv_model_seconds(int(_spinconv_force(context).this), int(context.this)))


def _spinconv_force(context: "openmm.Context") -> "openmm.Force":
    library = load_library()
    forces = [force for force in context.getSystem().getForces() if library.spinconv_n_atoms(int(force.this)) >= 0]
    if len(forces) != 1:
        raise ValueError(f"`context` must have one SpinConvForce in its System, got {len(forces)}")
    return forces[0]


def numbers_of_topology(topology: "openmm.app.Topology", particles: list[int] | None) -> list[int]:
    """Atomic numbers of the atoms `particles` of a Topology, or of all. Raises ValueError for an atom without element or beyond the end."""
    atoms = list(topology.atoms())
    for particle in particles or []:
        if not 0 <= particle < len(atoms):
            raise ValueError(f"`particles` must lie between 0 and {len(atoms) - 1}, the atoms of the Topology, got {particle}")
    chosen = atoms if particles is None else [atoms[particle] for particle in particles]
    for atom in chosen:
        if atom.element is None:
            raise ValueError(
                f"every atom must have an element, atom {atom.index} ({atom.name}) of the Topology has none; leave it out by `particles`"
            )
    return [atom.element.atomic_number for atom in chosen]


def has_box(topology: "openmm.app.Topology") -> bool:
    """Whether a Topology is periodic. Raises ValueError for the box of 1 Å that files of molecules have because the format wants one."""
    box = topology.getPeriodicBoxVectors()
    if box is None:
        return False
    lengths = np.linalg.norm(np.array([[x._value for x in vector] for vector in box]), axis=1)  # (3,) nm
    if lengths.max() < DUMMY_BOX:
        raise ValueError(
            f"the box of the Topology is {lengths[0]:.3g} x {lengths[1]:.3g} x {lengths[2]:.3g} nm: a dummy, as the CRYST1 1 1 1 of "
            "molecules in PDB files; take it off by topology.setPeriodicBoxVectors(None), or set the real one"
        )
    return True


def _bonds_of_topology(topology: "openmm.app.Topology", particles: list[int] | None) -> list[tuple[int, int]]:
    chosen = None if particles is None else set(particles)
    bonds = ((bond[0].index, bond[1].index) for bond in topology.bonds())
    return [(one, other) for one, other in bonds if chosen is None or (one in chosen and other in chosen)]
