"""Makes the Force of a model file."""

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ase.data import atomic_numbers, chemical_symbols

from spinconv.export.reader import read_model
from spinconv.openmm_plugin.library import load_library

if TYPE_CHECKING:
    import openmm
    import openmm.app

XML_VERSION = 1


def force(
    model: str | os.PathLike[str],
    topology_or_numbers: "openmm.app.Topology | Sequence[int]",
    *,
    particles: Sequence[int] | None = None,
    periodic: bool | None = None,
    precision: str | None = None,
    device: str = "cpu",
) -> "openmm.Force":
    """An `openmm.Force` with the energy of the model file `model`, to be added to a System; it runs on every platform.

    Without `particles` it acts on all particles. With them, indices into the System, it acts on those alone, and they feel no other
    particle through it: add it beside a force field that leaves out what happens among them. `topology_or_numbers` is a Topology,
    from which the elements of `particles` are taken, or the atomic numbers themselves, one for each particle the force acts on.

    `periodic` says whether it sees the images of the box (None: as the Topology does; numbers alone have no box, so False). Any box
    will do, also one smaller than the cutoff. `precision` is "float32", "float64" or None for what the file was exported for.
    `device` is where the model runs, whatever the platform: "cpu", "cuda" or "cuda:<index>".

    The Force carries the model inside: System XML, copies and pickles need the file no more, but wherever they are read this
    function or `spinconv.openmm_plugin.load_library` must have run before. Raises ValueError for what does not fit together,
    FileNotFoundError, and EngineUnavailable where the library is not built or is built for another OpenMM.
    """
    load_library()
    from openmm import XmlSerializer
    from openmm.app import Topology

    symbols = read_model(model, precision).metadata["elements"]
    indices = None if particles is None else [int(particle) for particle in particles]
    if isinstance(topology_or_numbers, Topology):
        numbers = _numbers_of_topology(topology_or_numbers, indices)
        periodic = topology_or_numbers.getPeriodicBoxVectors() is not None if periodic is None else periodic
    else:
        numbers = [int(number) for number in topology_or_numbers]
    _check_particles(numbers, indices)
    _check_elements(numbers, indices, symbols)

    node = ElementTree.Element("Force", type="SpinConvForce", version=str(XML_VERSION), name="SpinConvForce", forceGroup="0")
    node.attrib |= {"usesPeriodic": str(int(bool(periodic))), "precision": precision or "", "device": device}
    ElementTree.SubElement(node, "Model", base64=base64.b64encode(Path(model).read_bytes()).decode())
    atoms = ElementTree.SubElement(node, "Atoms")
    for i, number in enumerate(numbers):
        atom = ElementTree.SubElement(atoms, "Atom", number=str(number))
        if indices is not None:
            atom.set("particle", str(indices[i]))
    return XmlSerializer.deserialize(ElementTree.tostring(node, encoding="unicode"))


def _numbers_of_topology(topology: "openmm.app.Topology", particles: list[int] | None) -> list[int]:
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


def _check_particles(numbers: list[int], particles: list[int] | None) -> None:
    if not numbers:
        raise ValueError("`particles` must name at least one particle, got none; leave it out for all of them")
    if particles is None:
        return
    if len(numbers) != len(particles):
        raise ValueError(
            f"`topology_or_numbers` must hold one atomic number for each of the {len(particles)} `particles`, got {len(numbers)}"
        )
    if len(set(particles)) < len(particles):
        twice = next(particle for particle in particles if particles.count(particle) > 1)
        raise ValueError(f"`particles` must name a particle once, got {twice} twice")
    if min(particles) < 0:
        raise ValueError(f"`particles` must be indices from 0 on, got {min(particles)}")


def _check_elements(numbers: list[int], particles: list[int] | None, symbols: list[str]) -> None:
    known = {atomic_numbers[symbol] for symbol in symbols}
    for i, number in enumerate(numbers):
        if number not in known:
            name = chemical_symbols[number] if 0 < number < len(chemical_symbols) else str(number)
            particle = i if particles is None else particles[i]
            raise ValueError(
                f"`topology_or_numbers` must hold elements that the model knows ({', '.join(symbols)}), got {name} for particle {particle}"
            )
